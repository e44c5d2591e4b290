//! A host that takes notices, those who send them, and a mail server.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::spawn;

use peerstream_admission::work::solve;
use serde_json::{Value, json};

use super::{Process, Server, command, until};

/// The desk's password.
pub const PASSWORD: &str = "staple of the desk";

/// A host with a desk; ended and begun again it is the same host.
pub struct House {
    server: Option<Server>,
    /// Its folder while it is ended.
    ended: Option<tempfile::TempDir>,
    flags: Vec<String>,
}

impl House {
    /// With these settings besides, such as `takedown.links=2`.
    pub fn open(settings: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let cases = format!("takedown.folder=\"{}\"", folder.path().join("cases").display());
        let password = format!("takedown.password=\"{PASSWORD}\"");
        let set = ["compliance.queue.use=\"queue\"", "takedown.puzzle_bits=4", &cases, &password];
        let set = set.iter().chain(settings);
        let flags: Vec<_> = set.flat_map(|set| ["--set".to_owned(), (*set).to_owned()]).collect();
        let server = Some(Self::start(folder, &flags));
        Self { server, ended: None, flags }
    }

    fn start(folder: tempfile::TempDir, flags: &[String]) -> Server {
        Server::demo_in(folder, command(), &flags.iter().map(String::as_str).collect::<Vec<_>>())
    }

    pub fn url(&self) -> &str {
        &self.server.as_ref().unwrap().url
    }

    pub fn folder(&self) -> &Path {
        self.server.as_ref().map_or_else(|| self.ended.as_ref().unwrap(), |server| &server.folder).path()
    }

    /// Its number in the system.
    pub fn process_id(&self) -> u32 {
        self.server.as_ref().unwrap().process.child.id()
    }

    /// Somebody who watches, and writes the stream to standard output.
    pub fn watch(&self) -> Process {
        self.server.as_ref().unwrap().watch(&["-o", "-"])
    }

    /// What the host has said.
    pub fn log(&self) -> String {
        self.server.as_ref().unwrap().process.log()
    }

    /// Kills it without a word, and begins it again.
    pub fn kill_and_restart(&mut self) {
        self.end();
        self.start_again();
    }

    /// Kills it without a word.
    pub fn end(&mut self) {
        let Server { process, folder, .. } = self.server.take().unwrap();
        drop(process);
        self.ended = Some(folder);
    }

    /// Begins it again where it was.
    pub fn start_again(&mut self) {
        self.server = Some(Self::start(self.ended.take().unwrap(), &self.flags));
    }

    /// Tries to begin it again in vain; gives its exit code and what it says.
    pub fn refuses_to_start(&self) -> (Option<i32>, String) {
        let mut demo = command();
        demo.args(["demo", "--listen", "127.0.0.1:0", "--set", "stun.listen=\"127.0.0.1:0\"", "--key"]);
        let mut process = Process::start(demo.arg(self.folder().join("key")).args(&self.flags));
        let code = process.wait().code();
        (code, process.log())
    }

    pub fn send(&self, method: &str, path: &str, token: &str, body: &Value) -> (u16, Value) {
        self.send_bytes(method, path, token, if body.is_null() { Vec::new() } else { body.to_string().into_bytes() })
    }

    pub fn send_bytes(&self, method: &str, path: &str, token: &str, body: Vec<u8>) -> (u16, Value) {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let request = ureq::http::Request::builder().method(method).uri(format!("{}api/v1/takedown{path}", self.url()));
        let request = request.header("authorization", format!("Bearer {token}")).header("x-peerstream-desk", "1");
        let mut answer =
            agent.run(request.body(body).unwrap()).unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        let text = answer.body_mut().read_to_string().unwrap();
        (answer.status().as_u16(), serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    pub fn get(&self, path: &str, token: &str) -> (u16, Value) {
        self.send("GET", path, token, &Value::Null)
    }

    pub fn post(&self, path: &str, token: &str, body: &Value) -> (u16, Value) {
        self.send("POST", path, token, body)
    }

    /// What the desk answers.
    pub fn desk(&self, path: &str) -> Value {
        let (status, answer) = self.get(&format!("/desk/{path}"), PASSWORD);
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    /// A notice as the page makes it of what the host shows.
    pub fn notice(&self, profile: &str, email: &str) -> Value {
        let (_, info) = self.get("", "");
        let agreed = |it: &Value| json!({ "id": it["id"], "version": it["version"], "locale": it["locale"], "sha256": it["sha256"] });
        json!({
            "profile": profile,
            "material": { "from_ms": 400, "to_ms": 1000, "where": "the first second" },
            "work": { "title": "a film" },
            "explanation": "it is shown in full",
            "claimant": { "name": "A. Author", "address": "1 Road", "email": email },
            "statements": info["statements"][profile].as_array().unwrap().iter().map(agreed).collect::<Vec<_>>(),
            "executed_on": info["today"],
            "signature": "A. Author",
        })
    }

    /// Begins a draft; gives its name and its token.
    pub fn begin(&self, notice: &Value) -> (String, String) {
        let mut begun = (0, Value::Null);
        until("a puzzle is solved that nobody of this network has used", || {
            let (_, puzzle) = self.post("/challenge", "", &Value::Null);
            let proof = solve(puzzle["puzzle"].as_str().unwrap(), puzzle["bits"].as_u64().unwrap() as u8);
            begun = self.post("/drafts", "", &json!({ "proof": proof, "notice": notice }));
            begun.0 != 403
        });
        assert_eq!(begun.0, 201, "{}", begun.1);
        let word = |name: &str| begun.1[name].as_str().unwrap().to_owned();
        (word("draft"), word("token"))
    }

    /// Sends a notice in; gives the answer and the claimant's token.
    pub fn submit(&self, notice: &Value) -> (u16, Value, String) {
        let (draft, token) = self.begin(notice);
        let (status, answer) = self.post(&format!("/drafts/{draft}/submit"), &token, &json!({}));
        (status, answer, token)
    }

    /// Waits until a case is in this state.
    pub fn until_state(&self, case: u64, state: &str) -> Value {
        let mut seen = Value::Null;
        until("the case moves on", || {
            seen = self.desk(&format!("cases/{case}"));
            seen["case"]["state"] == state
        });
        seen
    }
}

/// A mail server that is there.
pub struct Mailbox {
    _process: Process,
    mails: Arc<Mutex<Vec<Value>>>,
}

impl Mailbox {
    /// At this port; the first mail is answered after so many seconds.
    pub fn open(port: u16, seconds: u32) -> Self {
        let python = python().expect("the caller has looked for it");
        let mut process =
            Process::start(Command::new(python).arg(script()).arg(port.to_string()).arg(seconds.to_string()));
        let mut lines = BufReader::new(process.child.stdout.take().unwrap()).lines().map_while(Result::ok);
        lines.next().unwrap_or_else(|| panic!("the mail server does not begin: {}", process.log()));
        let mails = Arc::<Mutex<Vec<Value>>>::default();
        let kept = mails.clone();
        spawn(move || lines.for_each(|line| kept.lock().unwrap().push(serde_json::from_str(&line).unwrap())));
        Self { _process: process, mails }
    }

    pub fn mails(&self) -> Vec<Value> {
        self.mails.lock().unwrap().clone()
    }

    /// Waits until so many mails have come.
    pub fn until(&self, count: usize) -> Vec<Value> {
        until("mails come", || self.mails().len() >= count);
        self.mails()
    }
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/common/mailbox.py")
}

/// A Python with Debian's `python3-aiosmtpd`; without one a test is skipped, unless all tools are asked for.
pub fn python() -> Option<&'static str> {
    let has = |python: &&str| {
        let run = Command::new(python).arg(script()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        run.is_ok_and(|status| status.success())
    };
    let found = ["/usr/bin/python3", "python3"].into_iter().find(has);
    let required = std::env::var_os("PEERSTREAM_REQUIRE_TOOLS").is_some();
    assert!(found.is_some() || !required, "python3-aiosmtpd is not installed");
    found
}

/// A port at which nobody listens.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// What follows the number sign of the link in a mail.
pub fn link(mail: &Value) -> String {
    let text = mail["text"].as_str().unwrap();
    let token = text.split("/takedown/confirm#").nth(1).unwrap_or_else(|| panic!("no link in {text}"));
    token.split_whitespace().next().unwrap().to_owned()
}
