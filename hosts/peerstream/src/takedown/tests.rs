//! The API, from a form to a hidden range, with real segments, and what hostile people send.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use peerstream::plugins::options;
use peerstream::protocol::crypto::SecretKey;
use peerstream::takedown::{Confirmation, Rules, Setup};
use peerstream_compliance_queue::Queue;
use peerstream_sdk::traits::archive::{
    ArchiveBackend, Capabilities, InitId, Item, Line, Manifest, Published, Receipt, Recording, RecordingId,
    RestrictMode, Restriction, Segment, Seq, StreamMeta,
};
use peerstream_sdk::traits::compliance::{Action, Case, ComplianceHandler, Decision, Evidence};
use peerstream_sdk::traits::takedown::ledger::Verifier;
use peerstream_sdk::traits::{ErrorClass, Lifecycle, PluginError, Secret};
use serde_json::{Value, json};

use super::command::verify;
use crate::bundle::solve_puzzle;
use crate::world::{Host, instance};

/// Keeps a broadcast in memory.
#[derive(Default)]
struct Memory(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    meta: Option<StreamMeta>,
    inits: BTreeMap<InitId, Bytes>,
    segments: BTreeMap<u64, (Segment, bool)>,
}

impl Lifecycle for Memory {}

fn gone() -> PluginError {
    PluginError::new(ErrorClass::NotFound, "it is not kept")
}

impl Memory {
    fn withheld(&self) -> Vec<u64> {
        self.0.lock().unwrap().segments.iter().filter(|(_, it)| it.1).map(|(seq, _)| *seq).collect()
    }

    fn count(&self) -> usize {
        self.0.lock().unwrap().segments.len()
    }
}

#[async_trait]
impl ArchiveBackend for Memory {
    fn capabilities(&self) -> Capabilities {
        Capabilities { read: true, list: true, restrict: true, index: true }
    }

    async fn open(&self, meta: &StreamMeta) -> Result<RecordingId, PluginError> {
        self.0.lock().unwrap().meta = Some(meta.clone());
        Ok(RecordingId("now".into()))
    }

    async fn put(&self, _: &RecordingId, item: &Item) -> Result<Receipt, PluginError> {
        let mut kept = self.0.lock().unwrap();
        match item.clone() {
            Item::Init { id, encoded } => drop(kept.inits.insert(id, encoded)),
            Item::Segment(segment) => drop(kept.segments.insert(segment.header.core.seq.0, (segment, false))),
        }
        Ok(Receipt::Kept)
    }

    async fn finalize(&self, _: &RecordingId, _: &Manifest) -> Result<Published, PluginError> {
        Ok(Published::default())
    }

    async fn read(&self, _: &RecordingId, seq: Seq) -> Result<Segment, PluginError> {
        match self.0.lock().unwrap().segments.get(&seq.0) {
            None => Err(gone()),
            Some((_, true)) => Err(PluginError::new(ErrorClass::Denied, "it is withheld")),
            Some((segment, false)) => Ok(segment.clone()),
        }
    }

    async fn list(&self) -> Result<Vec<Recording>, PluginError> {
        let kept = self.0.lock().unwrap();
        let end = kept.segments.keys().last().map_or(0, |last| last + 1);
        let manifest = Manifest { first: Seq(0), end: Seq(end), gaps: vec![], ended: false, resumed: vec![] };
        let one = |meta: &StreamMeta| Recording { id: RecordingId("now".into()), meta: meta.clone(), manifest };
        Ok(kept.meta.as_ref().map(one).into_iter().collect())
    }

    async fn index(&self, _: &RecordingId, from: Seq, max: usize) -> Result<Vec<Line>, PluginError> {
        let kept = self.0.lock().unwrap();
        Ok(kept.segments.range(from.0..).take(max).map(|(_, (it, withheld))| Line::of(&it.header, *withheld)).collect())
    }

    async fn header(&self, _: &RecordingId, seq: Seq) -> Result<Bytes, PluginError> {
        self.0.lock().unwrap().segments.get(&seq.0).map(|(it, _)| it.encoded.clone()).ok_or_else(gone)
    }

    async fn init(&self, _: &RecordingId, id: InitId) -> Result<Bytes, PluginError> {
        self.0.lock().unwrap().inits.get(&id).cloned().ok_or_else(gone)
    }

    async fn restrict(&self, _: &RecordingId, restriction: &Restriction) -> Result<(), PluginError> {
        let hide = restriction.mode == RestrictMode::Hide;
        let mut kept = self.0.lock().unwrap();
        kept.segments.range_mut(restriction.first.0..restriction.end.0).for_each(|(_, it)| it.1 = hide);
        Ok(())
    }
}

/// Hides whatever anybody complains about.
struct Credulous;

impl Lifecycle for Credulous {}

#[async_trait]
impl ComplianceHandler for Credulous {
    async fn assess(&self, case: &Case, evidence: &Evidence) -> Result<Decision, PluginError> {
        assert!(evidence.bundle.is_some(), "{evidence:?}");
        let (from_ms, to_ms) = case.docket.material.times().unwrap();
        Ok(Decision::Act { actions: vec![Action::HideRange { from_ms, to_ms }], note: "it is so".into() })
    }
}

struct World {
    host: Host,
    archive: Arc<Memory>,
    folder: tempfile::TempDir,
}

fn setup(folder: &Path, rules: Rules) -> Setup {
    Setup {
        folder: folder.to_owned(),
        casebook: super::casebook(&Secret::default(), folder).unwrap(),
        operator: SecretKey::from_seed(&[9; 32]),
        rules,
        courier: None,
        compare: None,
    }
}

impl World {
    async fn with(rules: Rules, handler: impl ComplianceHandler + 'static) -> Self {
        let (folder, archive) = (tempfile::tempdir().unwrap(), Arc::new(Memory::default()));
        let host = Host::start(|plugins| {
            plugins.desk = Some(setup(folder.path(), rules));
            plugins.archives.push(instance("memory", archive.clone() as _, options::Archive::default()));
            plugins.compliance.push(instance("queue", Arc::new(handler) as _, options::Compliance::default()));
        })
        .await;
        Self { host, archive, folder }
    }

    async fn new() -> Self {
        Self::with(Rules::default(), Queue).await
    }

    /// Waits until so many segments are kept.
    async fn kept(&self, count: usize) {
        until(|| self.archive.count() >= count).await;
    }

    async fn send(&self, method: &str, path: &str, token: &str, body: Vec<u8>) -> (u16, Value) {
        let url = format!("{}api/v1/{path}", self.host.url);
        let (method, token) = (method.to_owned(), token.to_owned());
        let ask = move || {
            let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
            let request = ureq::http::Request::builder().method(method.as_str()).uri(url);
            let request = request.header("authorization", format!("Bearer {token}"));
            let request = request.header("x-peerstream-desk", "1").header("x-peerstream-dashboard", "1");
            let mut answer = agent.run(request.body(body).unwrap()).unwrap();
            let text = answer.body_mut().read_to_string().unwrap();
            (answer.status().as_u16(), serde_json::from_str(&text).unwrap_or(Value::String(text)))
        };
        tokio::task::spawn_blocking(ask).await.unwrap()
    }

    async fn post(&self, path: &str, token: &str, body: &Value) -> (u16, Value) {
        self.send("POST", path, token, body.to_string().into_bytes()).await
    }

    async fn get(&self, path: &str, token: &str) -> (u16, Value) {
        self.send("GET", path, token, Vec::new()).await
    }

    fn operator(&self) -> String {
        self.host.shared.takedown.login.owner_token().unwrap().to_owned()
    }

    fn streamer(&self) -> String {
        self.host.shared.dashboard.login.owner_token().unwrap().to_owned()
    }

    async fn proof(&self) -> String {
        let (status, puzzle) = self.post("takedown/challenge", "", &json!({})).await;
        assert_eq!(status, 200, "{puzzle}");
        solve_puzzle(puzzle["puzzle"].as_str().unwrap(), puzzle["bits"].as_u64().unwrap() as u8)
    }

    /// A notice as the page makes it of what the host shows.
    async fn notice(&self, profile: &str) -> Value {
        let (_, info) = self.get("takedown", "").await;
        let statements = info["statements"][profile].as_array().unwrap();
        let agreed = |it: &Value| json!({ "id": it["id"], "version": it["version"], "locale": it["locale"], "sha256": it["sha256"] });
        json!({
            "profile": profile,
            "material": { "from_ms": 400, "to_ms": 1000 },
            "work": { "title": "a film" },
            "explanation": "it is shown in full",
            "claimant": { "name": "A. Author", "address": "1 Road", "email": "a@example.org" },
            "statements": statements.iter().map(agreed).collect::<Vec<_>>(),
            "executed_on": info["today"],
            "signature": "A. Author",
        })
    }

    async fn begin(&self, notice: &Value) -> (u16, Value) {
        loop {
            let proof = self.proof().await;
            let begun = self.post("takedown/drafts", "", &json!({ "proof": proof, "notice": notice })).await;
            // The puzzle of this second was solved before.
            if begun.0 != 403 {
                return begun;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Sends a notice in; gives the case as its claimant sees it, and the token.
    async fn submit(&self, notice: &Value) -> (Value, String) {
        let (status, draft) = self.begin(notice).await;
        assert_eq!(status, 201, "{draft}");
        let token = draft["token"].as_str().unwrap().to_owned();
        let path = format!("takedown/drafts/{}/submit", draft["draft"].as_str().unwrap());
        let (status, case) = self.post(&path, &token, &json!({})).await;
        assert_eq!(status, 201, "{case}");
        (case, token)
    }

    async fn until_state(&self, case: u64, state: &str) -> Value {
        let (path, token, began) = (format!("takedown/desk/cases/{case}"), self.operator(), Instant::now());
        loop {
            let (_, case) = self.get(&path, &token).await;
            if case["case"]["state"] == state {
                return case;
            }
            assert!(began.elapsed() < Duration::from_secs(20), "{case:#}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

async fn until(wanted: impl Fn() -> bool) {
    let waited = async {
        while !wanted() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), waited).await.expect("it comes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_becomes_a_hidden_range_with_proofs_that_stand_alone_and_all_of_it_is_undone() {
    let world = World::new().await;
    world.kept(8).await;
    let (case, token) = world.submit(&world.notice("dmca").await).await;
    let id = case["case"].as_u64().unwrap();
    let seen = world.until_state(id, "screened").await;
    assert_eq!(seen["case"]["evidence"]["faults"], json!([]), "{seen:#}");
    assert_eq!(seen["statements"].as_array().unwrap().len(), 5);
    let operator = world.operator();
    let decision = json!({ "decision": "act", "note": "it is", "actions": [
        { "action": "hide-range", "from_ms": 400, "to_ms": 1000 }, { "action": "strike" }, { "action": "notify-publisher" }] });
    let path = format!("takedown/desk/cases/{id}");
    let (status, decided) = world.post(&format!("{path}/decide"), &operator, &decision).await;
    assert_eq!(status, 200, "{decided}");
    world.until_state(id, "actioned").await;
    let hidden = world.archive.withheld();
    assert!(!hidden.is_empty() && hidden.len() < world.archive.count(), "{hidden:?}");

    // The proofs, checked as anybody would.
    let file = |name: &str| world.folder.path().join(name);
    let (_, bundle) = (0, world.download(&format!("{path}/evidence")).await);
    std::fs::write(file("bundle"), &bundle).unwrap();
    std::fs::write(file("receipt"), case["receipt"].to_string()).unwrap();
    std::fs::write(file("log"), world.download("takedown/desk/log").await).unwrap();
    let key = Some(SecretKey::from_seed(&[9; 32]).public());
    let code =
        |name: &str, log: Option<&str>| format!("{:?}", verify(&file(name), key, log.map(file).as_deref()).unwrap());
    let fine = format!("{:?}", std::process::ExitCode::SUCCESS);
    assert_eq!(
        [code("bundle", None), code("receipt", Some("log")), code("log", None)],
        [fine.clone(), fine.clone(), fine.clone()]
    );
    for (name, at) in [("bundle", bundle.len() / 2), ("receipt", 60), ("log", 200)] {
        let mut bytes = std::fs::read(file(name)).unwrap();
        bytes[at] ^= 1;
        std::fs::write(file("tampered"), bytes).unwrap();
        let told = verify(&file("tampered"), key, None).map(|code| format!("{code:?}"));
        assert!(told.as_ref().map_or(true, |code| *code != fine), "{name}");
    }

    // The streamer sees it, and objects.
    let streamer = world.streamer();
    let (status, seen) = world.get("dashboard/takedowns", &streamer).await;
    assert_eq!((status, &seen["strikes"], &seen["cases"][0]["case"]), (200, &json!(1), &json!(id)), "{seen}");
    assert_eq!(seen["cases"][0]["notice"]["claimant"]["address"], "");
    let counter = format!("dashboard/takedowns/{id}/counter");
    let (status, refused) = world.post(&counter, &streamer, &json!({ "name": "S" })).await;
    assert_eq!((status, &refused["field"]), (422, &json!("address")));
    let (_, info) = world.get("takedown", "").await;
    let agreed: Vec<_> = info["statements"]["counter"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| json!({ "id": it["id"], "version": 1, "locale": "en", "sha256": it["sha256"] }))
        .collect();
    let objection = json!({ "name": "S. Streamer", "address": "2 Lane", "phone": "5", "explanation": "mine", "statements": agreed,
        "executed_on": info["today"], "signature": "S. Streamer" });
    let (status, objected) = world.post(&counter, &streamer, &objection).await;
    assert_eq!((status, &objected["state"]), (200, &json!("counter-received")), "{objected}");
    let (_, own) = world.get(&format!("takedown/cases/{id}"), &token).await;
    assert_eq!(own["counter"]["name"], "S. Streamer");
    let (_, by_receipt) = world.post("takedown/status", "", &json!({ "receipt": case["receipt"] })).await;
    assert_eq!((&by_receipt["state"], &by_receipt["counter"]["name"]), (&json!("counter-received"), &Value::Null));

    // It is shown again.
    let (status, restored) = world.post(&format!("{path}/restore"), &operator, &json!({ "note": "agreed" })).await;
    assert_eq!(status, 200, "{restored}");
    until(|| world.archive.withheld().is_empty()).await;
    let (_, lumen) = world.get(&format!("{path}/lumen"), &operator).await;
    assert!(lumen["notice"]["type"] == "DMCA" && !lumen.to_string().contains("Author"), "{lumen}");
}

impl World {
    async fn download(&self, path: &str) -> Vec<u8> {
        let (url, token) = (format!("{}api/v1/{path}", self.host.url), self.operator());
        let ask = move || {
            let mut answer = ureq::get(&url).header("authorization", format!("Bearer {token}")).call().unwrap();
            answer.body_mut().read_to_vec().unwrap()
        };
        tokio::task::spawn_blocking(ask).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn from_a_submitted_form_to_a_hidden_range() {
    let world = World::with(Rules::default(), Credulous).await;
    world.kept(8).await;
    let (_, draft) = world.begin(&world.notice("dsa").await).await;
    let path = format!("takedown/drafts/{}/submit", draft["draft"].as_str().unwrap());
    let began = Instant::now();
    world.post(&path, draft["token"].as_str().unwrap(), &json!({})).await;
    let submitted = began.elapsed();
    until(|| !world.archive.withheld().is_empty()).await;
    println!("submitted after {submitted:?}, hidden after {:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_hostile_people_send_is_kept_harmlessly_or_refused_with_its_field() {
    let world = World::new().await;
    let mut notice = world.notice("dmca").await;
    let nasty = "<script>alert(1)</script>=cmd|'/c calc'!A1\u{202e}\u{0}\r\nBcc: x@example.org";
    for field in ["title", "owner", "kind", "registration"] {
        notice["work"][field] = nasty.into();
    }
    notice["explanation"] = nasty.into();
    notice["material"]["where"] = nasty.into();
    notice["claimant"]["organisation"] = nasty.into();
    let (case, _) = world.submit(&notice).await;
    let seen = world.until_state(case["case"].as_u64().unwrap(), "screened").await;
    let kept = &seen["case"]["notice"];
    assert_eq!(kept["work"]["owner"], "<script>alert(1)</script>=cmd|'/c calc'!A1 Bcc: x@example.org");
    assert!(!seen.to_string().contains('\u{202e}') && !seen.to_string().contains("\\u0000"));
    let operator = world.operator();
    let (_, found) = world.get("takedown/desk/cases?text=%3Cscript%3E", &operator).await;
    assert_eq!(found["cases"].as_array().unwrap().len(), 1);

    let draft = world.begin(&world.notice("dmca").await).await.1;
    let (path, token) =
        (format!("takedown/drafts/{}", draft["draft"].as_str().unwrap()), draft["token"].as_str().unwrap());
    let long = "x".repeat(9_000);
    let bad: [(&str, Value); 9] = [
        ("/material/to_ms", json!(u64::MAX)),
        ("/material/to_ms", json!(1)),
        ("/material/to_ms", json!(50_000_000_000_u64)),
        ("/work/title", json!(long)),
        ("/claimant/name", json!(long)),
        ("/claimant/email", json!("a@b.org\r\nBcc: c@d.org")),
        ("/signature", json!(long)),
        ("/executed_on", json!("0001-01-01")),
        ("/statements/0/sha256", json!("00".repeat(32))),
    ];
    for (pointer, value) in bad {
        let mut notice = world.notice("dmca").await;
        *notice.pointer_mut(pointer).unwrap() = value;
        let (status, refused) = world.send("PUT", &path, token, notice.to_string().into_bytes()).await;
        assert_eq!((status, &refused["error"]), (422, &json!("invalid")), "{pointer}: {refused}");
        assert!(!refused["field"].as_str().unwrap().is_empty());
    }
    for body in [
        &b"{"[..],
        b"[]",
        b"\"x\"",
        b"{\"profile\":\"dmcaa\"}",
        b"{\"profile\":\"dmca\",\"x\":1}",
        b"\xff\xfe",
        b"{\"profile\":\"dmca\",\"material\":{\"from_ms\":-1}}",
    ] {
        assert_eq!(world.send("PUT", &path, token, body.to_vec()).await.0, 400, "{body:?}");
    }
    let nested = "[".repeat(100_000);
    assert_eq!(world.send("PUT", &path, token, nested.into_bytes()).await.0, 400);
    assert_eq!(world.send("PUT", &path, token, vec![b' '; super::NOTICE_BYTES_MAX + 1]).await.0, 413);
    assert_eq!(world.send("PUT", &format!("{path}/copy?offset=0"), token, vec![0; (1 << 20) + 1]).await.0, 413);
    assert_eq!(world.send("PUT", &format!("{path}/copy?offset=7"), token, vec![0; 10]).await.1["received"], 0);
    assert_eq!(world.send("PUT", &format!("{path}/passwd?offset=0"), token, vec![0; 10]).await.0, 404);
    for id in ["x", "..%2f..%2fcases.sqlite", "%00", &"f".repeat(5_000)] {
        let status = world.send("PUT", &format!("takedown/drafts/{id}/copy?offset=0"), token, vec![0; 10]).await.0;
        assert!((400..500).contains(&status), "{id}: {status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn drafts_need_work_and_are_bounded_for_each_address_and_tokens_are_not_guessed() {
    let world = World::new().await;
    let notice = world.notice("dsa").await;
    let proof = world.proof().await;
    let with = |proof: &str| json!({ "proof": proof, "notice": notice });
    assert_eq!(world.post("takedown/drafts", "", &with("x")).await.1["error"], "proof");
    assert_eq!(world.post("takedown/drafts", "", &with(&proof)).await.0, 201);
    assert_eq!(world.post("takedown/drafts", "", &with(&proof)).await.1["error"], "proof", "a second time");
    let mut last = 0;
    for _ in 0..5 {
        last = world.begin(&notice).await.0;
    }
    assert_eq!(last, 429);
    for token in ["", "x", &"0".repeat(64), &"x".repeat(4_000)] {
        assert_eq!(world.get("takedown/cases/1", token).await.0, 404);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirmation_is_good_once() {
    let rules = Rules { confirmation: Confirmation::Operator, ..Rules::default() };
    let world = World::with(rules, Queue).await;
    let (_, draft) = world.begin(&world.notice("dsa").await).await;
    let (id, token) = (draft["draft"].as_str().unwrap(), draft["token"].as_str().unwrap());
    let (status, pending) = world.post(&format!("takedown/drafts/{id}/submit"), token, &json!({})).await;
    assert_eq!((status, &pending["state"]), (202, &json!("email-pending")));
    assert_eq!(world.post("takedown/confirm", "", &json!({ "token": "0".repeat(64) })).await.1["error"], "expired");
    let operator = world.operator();
    let (_, drafts) = world.get("takedown/desk/drafts", &operator).await;
    assert_eq!(drafts["drafts"][0]["draft"], id);
    let confirm = format!("takedown/desk/drafts/{id}/confirm");
    assert_eq!(world.post(&confirm, &operator, &json!({})).await.0, 200);
    assert_eq!(world.post(&confirm, &operator, &json!({})).await.0, 404, "a second time");
    assert_eq!(world.get("takedown/cases/1", token).await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_desk_is_the_operators_alone_and_no_other_page_moves_it() {
    let world = World::new().await;
    let (case, claimant) = world.submit(&world.notice("house-rules").await).await;
    let id = case["case"].as_u64().unwrap();
    let streamer = world.streamer();
    let guest = world.host.shared.takedown.login.guest_token().to_owned();
    for token in ["", "x", &streamer, &claimant, &guest] {
        for path in ["takedown/desk/session", "takedown/desk/cases", "takedown/desk/log", "takedown/desk/cases/1"] {
            // After ten wrong ones a network is not heard for a while.
            assert!([401, 429].contains(&world.get(path, token).await.0), "{path}");
        }
        let close =
            world.post(&format!("takedown/desk/cases/{id}/decide"), token, &json!({ "decision": "queue" })).await;
        assert!([401, 429].contains(&close.0));
    }
    // The operator is nobody on the dashboard.
    let operator = world.operator();
    assert_eq!(world.get("dashboard/takedowns", &operator).await.0, 401);
    let headers = [("authorization", &*format!("Bearer {operator}"))];
    let path = format!("api/v1/takedown/desk/cases/{id}/note");
    assert_eq!(world.host.post_with(&path, &headers, b"{}".to_vec()).await.0, 403, "no header of the page");
    let elsewhere = [headers[0], ("x-peerstream-desk", "1"), ("origin", "https://evil.example")];
    assert_eq!(world.host.post_with(&path, &elsewhere, b"{}".to_vec()).await.0, 403, "another page");
    let here = [("x-peerstream-desk", "1")];
    let body = json!({ "secret": operator }).to_string().into_bytes();
    let (status, _, cookie) = world.host.post_with("api/v1/takedown/desk/login", &here, body).await;
    assert!(status == 200 && cookie.contains("HttpOnly; SameSite=Strict"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap().to_owned();
    assert_eq!(world.host.get("api/v1/takedown/desk/session", &[("cookie", &cookie)]).await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_by_post_is_entered_and_listed_and_the_log_verifies() {
    let world = World::new().await;
    let operator = world.operator();
    let notice = json!({ "profile": "dmca", "explanation": "by letter", "claimant": { "name": "L. Letter", "address": "3 Street" } });
    let (status, entered) = world.post("takedown/desk/cases", &operator, &json!({ "notice": notice })).await;
    assert_eq!((status, &entered["case"]["channel"]), (201, &json!("post")), "{entered}");
    let id = entered["case"]["id"].as_u64().unwrap();
    world.until_state(id, "deficient").await;
    let (_, listed) = world.get("takedown/desk/cases?state=deficient&profile=dmca&max=1", &operator).await;
    assert_eq!(
        (&listed["cases"][0]["claimant"], &listed["more"], &listed["counts"]["deficient"]),
        (&json!("L. Letter"), &json!(false), &json!(1))
    );
    for bad in ["state=x", "profile=x", "lane=x"] {
        assert_eq!(world.get(&format!("takedown/desk/cases?{bad}"), &operator).await.0, 422);
    }
    let note = format!("takedown/desk/cases/{id}/note");
    let revision = world.get(&format!("takedown/desk/cases/{id}"), &operator).await.1["case"]["revision"].clone();
    assert_eq!(world.post(&note, &operator, &json!({ "text": "called them", "revision": revision })).await.0, 200);
    let (status, late) = world.post(&note, &operator, &json!({ "text": "again", "revision": revision })).await;
    assert_eq!((status, &late["error"]), (409, &json!("state")), "{late}");
    let log = world.download("takedown/desk/log").await;
    let mut verifier = Verifier::new(SecretKey::from_seed(&[9; 32]).public());
    log.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).for_each(|line| verifier.take(line).unwrap());
    assert!(verifier.head().entries >= 4);
    assert!(!String::from_utf8_lossy(&log).contains("Letter"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_without_handlers_takes_no_notices() {
    let host = Host::start(|_| {}).await;
    for path in ["api/v1/takedown", "api/v1/takedown/desk/session"] {
        assert!([404, 401].contains(&host.get(path, &[]).await.0), "{path}");
    }
    assert_eq!(host.post("api/v1/takedown/drafts", b"{}".to_vec()).await.0, 404);
}
