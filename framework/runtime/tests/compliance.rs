//! The desk: notices become cases, handlers and the operator decide, and what they decide is carried out and undone.

mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use peerstream::plugins::{Running, StartError, options};
use peerstream::protocol::crypto::SecretKey;
use peerstream::takedown::{Carrier, Confirmation, Desk, Notes, Order, Part, Refused, Rules, Setup, Submitted};
use peerstream::traits::casebook::Query;
use peerstream::traits::compliance::{
    Action, Actor, Case, Claimant, ComplianceHandler, Decision, Docket, Evidence, Material, Notice, Profile, Segments,
    State, Transition, Work,
};
use peerstream::traits::mail::{Courier, Letter};
use peerstream::traits::takedown::calendar::Date;
use peerstream::traits::takedown::counter::{CounterNotice, Suit};
use peerstream::traits::takedown::ledger::{Hidden, Verifier};
use peerstream::traits::takedown::statement::{Of, statements};
use peerstream::traits::{ErrorClass, Lifecycle, PluginError};
use peerstream_casebook_sqlite::Sqlite;

use common::{counted, instance, none};

const STREAM: &str = "abababababababababababababababababababababababababababababababab";

type Assess = Box<dyn Fn(&Case) -> Result<Decision, PluginError> + Send + Sync>;

/// A handler that remembers what it was asked and told.
struct Fake {
    asked: Arc<Mutex<Vec<(String, u64)>>>,
    told: Arc<Mutex<Vec<State>>>,
    name: String,
    assess: Assess,
}

impl Lifecycle for Fake {}

#[async_trait]
impl ComplianceHandler for Fake {
    fn profiles(&self) -> Vec<Profile> {
        vec![Profile::Dmca, Profile::Dsa]
    }

    async fn assess(&self, case: &Case, _: &Evidence) -> Result<Decision, PluginError> {
        self.asked.lock().unwrap().push((self.name.clone(), case.docket.id));
        (self.assess)(case)
    }

    async fn on_transition(&self, _: &Case, transition: &Transition) -> Result<(), PluginError> {
        self.told.lock().unwrap().push(transition.to);
        Ok(())
    }
}

#[derive(Default)]
struct Done {
    done: Mutex<Vec<Action>>,
    shown: Mutex<Vec<Segments>>,
}

#[async_trait]
impl Carrier for Done {
    async fn carry_out(&self, case: &Case, action: &Action) -> Result<Option<Hidden>, PluginError> {
        self.done.lock().unwrap().push(action.clone());
        match action {
            Action::HideRange { from_ms, to_ms } => {
                let segments = Segments { first: from_ms / 200, end: to_ms / 200 };
                Ok(Some(Hidden { epoch: case.docket.epoch, segments }))
            }
            Action::StopStream => Err(PluginError::unavailable("nobody is there")),
            _ => Ok(None),
        }
    }

    async fn show(&self, _: u64, parts: &[Segments]) -> Result<(), PluginError> {
        self.shown.lock().unwrap().extend_from_slice(parts);
        Ok(())
    }
}

#[derive(Default)]
struct Letterbox(Mutex<Vec<Letter>>);

#[async_trait]
impl Courier for Letterbox {
    async fn send(&self, letter: &Letter, _: &str) -> Result<(), PluginError> {
        self.0.lock().unwrap().push(letter.clone());
        Ok(())
    }
}

struct World {
    folder: tempfile::TempDir,
    asked: Arc<Mutex<Vec<(String, u64)>>>,
    told: Arc<Mutex<Vec<State>>>,
    done: Arc<Done>,
    mail: Arc<Letterbox>,
    rules: Rules,
}

impl World {
    fn new() -> Self {
        let rules = Rules { look_interval: Duration::from_millis(50), ..Rules::default() };
        Self {
            folder: tempfile::tempdir().unwrap(),
            asked: Arc::default(),
            told: Arc::default(),
            done: Arc::default(),
            mail: Arc::default(),
            rules,
        }
    }

    fn handler(
        &self,
        name: &str,
        assess: impl Fn(&Case) -> Result<Decision, PluginError> + Send + Sync + 'static,
    ) -> Fake {
        Fake { asked: self.asked.clone(), told: self.told.clone(), name: name.into(), assess: Box::new(assess) }
    }

    fn setup(&self) -> Setup {
        Setup {
            folder: self.folder.path().to_owned(),
            casebook: Box::new(Sqlite::open(&self.folder.path().join("cases.sqlite")).unwrap()),
            operator: operator(),
            rules: self.rules.clone(),
            courier: Some(self.mail.clone()),
            compare: None,
        }
    }

    async fn run(&self, handlers: Vec<Fake>) -> Running {
        let mut plugins = none();
        plugins.desk = Some(self.setup());
        for handler in handlers {
            let name = handler.name.clone();
            plugins.compliance.push(instance(&name, Arc::new(handler) as _, options::Compliance::default()));
        }
        let running = plugins.start().await.unwrap();
        running.carry_with(self.done.clone());
        running
    }

    /// A person decides.
    async fn queue(&self) -> Running {
        self.run(vec![self.handler("queue", |_| Ok(Decision::Queue))]).await
    }
}

fn operator() -> SecretKey {
    SecretKey::from_seed(&[9; 32])
}

fn notice(profile: Profile) -> Notice {
    let today = Date::of_us(peerstream::clock::wall().as_micros() as u64);
    Notice {
        material: Material { from_ms: Some(10_000), to_ms: Some(20_000), ..Material::default() },
        work: Work { title: "a film".into(), ..Work::default() },
        explanation: "it is shown in full".into(),
        claimant: Claimant {
            name: "A. Author".into(),
            address: "1 Road".into(),
            email: "a@example.org".into(),
            ..Claimant::default()
        },
        statements: statements(Of::Notice(profile)).map(|it| it.agreed(today)).collect(),
        executed_on: today.to_string(),
        signature: "A. Author".into(),
        ..Notice::empty(profile)
    }
}

fn desk(running: &Running) -> Desk {
    running.desk().unwrap().clone()
}

/// Sends a notice in; gives its case and its token.
async fn submit(desk: &Desk, notice: Notice) -> (u64, String) {
    let (draft, token) = desk.begin(notice).await.unwrap();
    match desk.submit(&draft.id, &token, STREAM, 3).await.unwrap() {
        Submitted::Taken(docket, _) => (docket.id, token),
        pending => panic!("{pending:?}"),
    }
}

/// Waits until a case is as it is wanted.
async fn until(desk: &Desk, case: u64, wanted: impl Fn(&Docket) -> bool) -> Docket {
    let seen = async {
        loop {
            let docket = desk.case(case).await.unwrap().docket;
            if wanted(&docket) {
                return docket;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    match tokio::time::timeout(Duration::from_secs(20), seen).await {
        Ok(docket) => docket,
        Err(_) => panic!("{:#?}", desk.case(case).await.unwrap().docket),
    }
}

async fn until_state(desk: &Desk, case: u64, state: State) -> Docket {
    until(desk, case, |docket| docket.state == state).await
}

/// What happened to a case, a word for each entry; the log verifies.
async fn words(desk: &Desk, case: u64) -> Vec<String> {
    let mut verifier = Verifier::new(operator().public());
    for signed in desk.entries(None, 0, 1_000).await.unwrap() {
        verifier.take(&signed.line()).unwrap();
    }
    assert_eq!(verifier.dockets()[&case], desk.case(case).await.unwrap().docket);
    let entries = desk.entries(Some(case), 0, 1_000).await.unwrap();
    let word = |it: &_| serde_json::to_value(it).unwrap()["entry"]["what"].as_str().unwrap().to_owned();
    entries.iter().map(word).collect()
}

fn hide() -> Action {
    Action::HideRange { from_ms: 10_000, to_ms: 20_000 }
}

fn act(actions: Vec<Action>) -> Decision {
    Decision::Act { actions, note: "because".into() }
}

async fn order(desk: &Desk, case: u64, order: Order) -> Result<Docket, Refused> {
    desk.order(case, order, Notes::default()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_decision_in_the_order_of_names_is_logged_and_carried_out() {
    let world = World::new();
    let actions = vec![hide(), Action::StopStream, Action::Strike, Action::NotifyPublisher];
    let decided = actions.clone();
    let running = world
        .run(vec![
            world.handler("c", |_| panic!("is not asked")),
            world.handler("b", move |_| Ok(act(decided.clone()))),
            world.handler("a", |_| Ok(Decision::Pass)),
        ])
        .await;
    let desk = desk(&running);
    let (case, _) = submit(&desk, notice(Profile::Dmca)).await;
    let docket = until_state(&desk, case, State::Actioned).await;
    let expected = ["received", "evidence", "accepted", "done", "done", "done", "done", "acted"];
    assert_eq!(words(&desk, case).await, expected);
    assert_eq!(docket.ruling.unwrap().by, Actor::Handler { name: "b".into(), origin: "fake of test".into() });
    let errors: Vec<_> = docket.done.iter().map(|it| it.error.as_deref()).collect();
    assert_eq!(errors, [None, Some("nobody is there"), None, None]);
    assert_eq!(*world.asked.lock().unwrap(), [("a".into(), 1), ("b".into(), 1)]);
    assert_eq!(*world.done.done.lock().unwrap(), actions[..2]);
    assert_eq!(desk.strikes(STREAM).await.unwrap(), 1);
    // Without an archive there is no evidence, and that is on record.
    assert!(docket.evidence.unwrap().faults[0].contains("reading recordings back"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_fails_or_panics_leaves_the_case_open_and_nothing_is_done() {
    let fails: [Assess; 2] =
        [Box::new(|_| Err(PluginError::new(ErrorClass::Internal, "no"))), Box::new(|_| panic!("out of cheese"))];
    for fails in fails {
        let world = World::new();
        let acts = |_: &Case| Ok(act(vec![Action::StopStream]));
        let running = world.run(vec![world.handler("a", fails), world.handler("b", acts)]).await;
        let desk = desk(&running);
        let (case, _) = submit(&desk, notice(Profile::Dmca)).await;
        until(&desk, case, |docket| docket.revision == 3).await;
        assert_eq!(words(&desk, case).await, ["received", "evidence", "left-open"]);
        assert_eq!(*world.done.done.lock().unwrap(), []);
        // A person can still decide.
        order(&desk, case, Order::Decide(Decision::Reject { reason: "no".into() })).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incomplete_notice_is_asked_about_and_no_handler_can_act_on_it() {
    let world = World::new();
    let running = world.run(vec![world.handler("a", |_| Ok(act(vec![Action::StopStream])))]).await;
    let desk = desk(&running);
    let lacks = Notice { signature: String::new(), ..notice(Profile::Dmca) };
    let (case, token) = submit(&desk, lacks.clone()).await;
    let docket = until_state(&desk, case, State::Deficient).await;
    assert_eq!((docket.missing, docket.asked), (vec!["signature".to_owned()], vec!["signature".to_owned()]));
    assert!(docket.answer_by_us.unwrap() > docket.received_us);
    assert_eq!(desk.case_of(&token).await.unwrap(), case);
    desk.complete(case, Actor::Claimant, lacks).await.unwrap();
    until_state(&desk, case, State::Screened).await;
    assert_eq!(*world.done.done.lock().unwrap(), []);
    let other = Notice::empty(Profile::Dsa);
    assert!(matches!(desk.complete(case, Actor::Claimant, other).await, Err(Refused::Invalid(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_completed_notice_is_decided() {
    let world = World::new();
    let running = world.queue().await;
    let desk = desk(&running);
    let (case, _) = submit(&desk, Notice { signature: String::new(), ..notice(Profile::Dmca) }).await;
    until_state(&desk, case, State::Deficient).await;
    desk.complete(case, Actor::Claimant, notice(Profile::Dmca)).await.unwrap();
    until_state(&desk, case, State::Screened).await;
    order(&desk, case, Order::Decide(act(vec![hide()]))).await.unwrap();
    let docket = until_state(&desk, case, State::Actioned).await;
    assert_eq!(docket.hides().next().unwrap().segments, Segments { first: 50, end: 100 });
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_done_is_undone_but_not_what_another_case_hides() {
    let world = World::new();
    let running = world.queue().await;
    let desk = desk(&running);
    let mut cases = Vec::new();
    for (title, from_ms, to_ms) in [("a film", 10_000, 20_000), ("a song", 16_000, 30_000)] {
        let mut notice = notice(Profile::Dmca);
        (notice.work.title, notice.material.from_ms, notice.material.to_ms) =
            (title.into(), Some(from_ms), Some(to_ms));
        let (case, _) = submit(&desk, notice).await;
        until_state(&desk, case, State::Screened).await;
        let hide = Action::HideRange { from_ms, to_ms };
        order(&desk, case, Order::Decide(act(vec![hide, Action::Strike]))).await.unwrap();
        until_state(&desk, case, State::Actioned).await;
        cases.push(case);
    }
    assert_eq!(desk.strikes(STREAM).await.unwrap(), 2);
    order(&desk, cases[0], Order::Reopen).await.unwrap();
    let docket = until(&desk, cases[0], |docket| docket.to_undo().is_empty()).await;
    assert_eq!((docket.state, docket.hides().count()), (State::Screened, 0));
    assert_eq!(*world.done.shown.lock().unwrap(), [Segments { first: 50, end: 80 }]);
    assert_eq!(desk.strikes(STREAM).await.unwrap(), 1);
    order(&desk, cases[1], Order::Restore).await.unwrap();
    until(&desk, cases[1], |docket| docket.state == State::Restored && docket.to_undo().is_empty()).await;
    assert_eq!(world.done.shown.lock().unwrap()[1], Segments { first: 80, end: 150 });
    assert_eq!(words(&desk, cases[1]).await.last().unwrap(), "undone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_counter_notice_opens_the_window_and_a_court_action_closes_it() {
    let world = World::new();
    let running = world.queue().await;
    let desk = desk(&running);
    let (case, _) = submit(&desk, notice(Profile::Dmca)).await;
    until_state(&desk, case, State::Screened).await;
    order(&desk, case, Order::Decide(act(vec![hide()]))).await.unwrap();
    until_state(&desk, case, State::Actioned).await;
    let empty = desk.counter(case, Actor::Streamer, None, CounterNotice::default()).await;
    assert!(matches!(empty, Err(Refused::Invalid(_))), "{empty:?}");
    let today = Date::of_us(peerstream::clock::wall().as_micros() as u64);
    let counter = CounterNotice {
        name: "S. Streamer".into(),
        address: "2 Lane".into(),
        phone: "555".into(),
        statements: statements(Of::CounterNotice).map(|it| it.agreed(today)).collect(),
        executed_on: today.to_string(),
        signature: "S. Streamer".into(),
        ..CounterNotice::default()
    };
    let docket = desk.counter(case, Actor::Streamer, None, counter).await.unwrap();
    let from = Date::of_us(docket.restore_from_us.unwrap());
    assert_eq!(from, today.after_business_days(10).plus(1));
    let suit = Suit { court: "N.D. Cal.".into(), ..Suit::default() };
    let docket = desk.sue(case, Actor::Claimant, None, suit).await.unwrap();
    assert_eq!((docket.state, docket.restore_from_us, docket.hides().count()), (State::SuitFiled, None, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_confirmed_once_and_letters_are_sent() {
    let mut world = World::new();
    world.rules.confirmation = Confirmation::Mail;
    world.rules.url = "https://live.example.org".into();
    let running = world.queue().await;
    let desk = desk(&running);
    let (draft, token) = desk.begin(notice(Profile::Dsa)).await.unwrap();
    let pending = desk.submit(&draft.id, &token, STREAM, 3).await.unwrap();
    assert!(matches!(pending, Submitted::Pending(_)));
    assert!(matches!(desk.submit(&draft.id, &token, STREAM, 3).await, Err(Refused::State(_))), "it is sent in already");
    let letters = |count: usize| {
        let mail = world.mail.clone();
        async move {
            while mail.0.lock().unwrap().len() < count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            mail.0.lock().unwrap().clone()
        }
    };
    let letter = letters(1).await.remove(0);
    let secret = letter.body().split("/takedown/confirm#").nth(1).unwrap().lines().next().unwrap().to_owned();
    assert!(matches!(desk.confirm(&format!("{secret}0"), STREAM).await, Err(Refused::Expired)));
    let Submitted::Taken(docket, receipt) = desk.confirm(&secret, STREAM).await.unwrap() else { panic!() };
    assert!(docket.confirmed);
    receipt.verify(Some(operator().public())).unwrap();
    assert_eq!(desk.case_of_receipt(*receipt).await.unwrap(), docket.id);
    assert!(matches!(desk.confirm(&secret, STREAM).await, Err(Refused::Expired)), "a second time");
    until_state(&desk, docket.id, State::Screened).await;
    order(&desk, docket.id, Order::Decide(Decision::Reject { reason: "it is a quotation".into() })).await.unwrap();
    let subjects: Vec<_> = letters(3).await.iter().map(|letter| letter.subject().to_owned()).collect();
    assert_eq!(subjects, ["Please confirm your notice", "Notice 1 has come in", "Notice 1 was decided"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_names_no_address_is_heard_all_the_same_and_last() {
    let mut world = World::new();
    world.rules.confirmation = Confirmation::Mail;
    let running = world.queue().await;
    let desk = desk(&running);
    let mut letterless = notice(Profile::Dmca);
    letterless.claimant.email.clear();
    let (case, _) = submit(&desk, letterless).await;
    let docket = until_state(&desk, case, State::Screened).await;
    assert_eq!((docket.confirmed, serde_json::to_value(docket.lane).unwrap()), (false, "slow".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_vouches_where_there_is_no_mail_server() {
    let mut world = World::new();
    world.rules.confirmation = Confirmation::Operator;
    let running = world.queue().await;
    let desk = desk(&running);
    let (draft, token) = desk.begin(notice(Profile::Dmca)).await.unwrap();
    desk.submit(&draft.id, &token, STREAM, 3).await.unwrap();
    assert_eq!(desk.pending().await.unwrap()[0].id, draft.id);
    let docket = desk.vouch(&draft.id, STREAM).await.unwrap();
    assert_eq!(desk.case_of(&token).await.unwrap(), docket.id);
    assert!(matches!(desk.vouch(&draft.id, STREAM).await, Err(Refused::Unknown)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_notice_twice_is_one_case_and_other_claimants_are_not_kept_out() {
    let world = World::new();
    let running = world.queue().await;
    let desk = desk(&running);
    let (case, _) = submit(&desk, notice(Profile::Dmca)).await;
    let (draft, token) = desk.begin(notice(Profile::Dmca)).await.unwrap();
    let twin = desk.submit(&draft.id, &token, STREAM, 3).await;
    assert!(matches!(twin, Err(Refused::Duplicate(id)) if id == case), "{twin:?}");
    let mut other = notice(Profile::Dmca);
    other.claimant.email = "b@example.org".into();
    assert_eq!(submit(&desk, other).await.0, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_comes_in_pieces_and_goes_with_the_case_until_it_is_erased() {
    let world = World::new();
    let running = world.queue().await;
    let desk = desk(&running);
    let (draft, token) = desk.begin(notice(Profile::Dmca)).await.unwrap();
    let copy = |offset| desk.upload(&draft.id, &token, Part::Copy, offset, vec![7; 1000].into());
    assert_eq!(copy(0).await.unwrap(), 1000);
    assert!(matches!(copy(0).await, Err(Refused::Offset(1000))));
    assert!(matches!(desk.upload(&draft.id, "x", Part::Copy, 0, vec![].into()).await, Err(Refused::Unknown)));
    let Submitted::Taken(docket, _) = desk.submit(&draft.id, &token, STREAM, 3).await.unwrap() else { panic!() };
    let path = desk.file(docket.id, docket.copy.unwrap()).await.unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), vec![7; 1000]);
    assert!(matches!(order(&desk, docket.id, Order::Erase).await, Err(Refused::State(_))), "it is open");
    until_state(&desk, docket.id, State::Screened).await;
    order(&desk, docket.id, Order::Decide(Decision::Reject { reason: "no".into() })).await.unwrap();
    order(&desk, docket.id, Order::Hold(true)).await.unwrap();
    assert!(order(&desk, docket.id, Order::Erase).await.is_err());
    order(&desk, docket.id, Order::Hold(false)).await.unwrap();
    order(&desk, docket.id, Order::Erase).await.unwrap();
    assert!(!path.exists());
    let case = desk.case(docket.id).await.unwrap();
    assert_eq!((case.notice.claimant.name.as_str(), case.notice.work.title.as_str()), ("", "a film"));
    words(&desk, docket.id).await;
    // Not a byte of who complained is left.
    running.stop().await;
    for file in ["cases.sqlite", "cases.sqlite-wal"] {
        let bytes = std::fs::read(world.folder.path().join(file)).unwrap_or_default();
        assert!(!bytes.windows(8).any(|it| it == b"A. Autho"), "{file}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_case_that_somebody_has_changed_meanwhile_is_not_decided_blindly() {
    let world = World::new();
    let running = world.queue().await;
    let desk = desk(&running);
    let (case, _) = submit(&desk, notice(Profile::Dmca)).await;
    let seen = until_state(&desk, case, State::Screened).await.revision;
    let at = |revision| Notes { revision: Some(revision), note: "n".into() };
    desk.order(case, Order::Note, at(seen)).await.unwrap();
    let late = desk.order(case, Order::Decide(act(vec![])), at(seen)).await;
    assert!(matches!(late, Err(Refused::Changed(revision)) if revision == seen + 1), "{late:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn handlers_hear_of_every_step_and_a_restart_goes_on_where_it_was() {
    let world = World::new();
    {
        let mut plugins = none();
        plugins.desk = Some(world.setup());
        let handler = world.handler("queue", |_| Ok(Decision::Queue));
        plugins.compliance.push(instance("queue", Arc::new(handler) as _, options::Compliance::default()));
        // Nobody works on what comes in: the host dies first.
        let running = plugins.start().await.unwrap();
        submit(&desk(&running), notice(Profile::Dmca)).await;
        running.stop().await;
    }
    let running = world.queue().await;
    let desk = desk(&running);
    until_state(&desk, 1, State::Screened).await;
    order(&desk, 1, Order::Decide(Decision::Reject { reason: "no".into() })).await.unwrap();
    while world.told.lock().unwrap().len() < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(*world.told.lock().unwrap(), [State::Screened, State::Rejected]);
    assert_eq!(counted(running.statuses(), "queue", "decided"), 1);
    assert_eq!(submit(&desk, notice(Profile::Dsa)).await.0, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn cases_are_found_by_state_rules_and_words() {
    let world = World::new();
    let running = world.queue().await;
    let desk = desk(&running);
    for (profile, title) in [(Profile::Dmca, "100 % \"song\""), (Profile::Dsa, "a film"), (Profile::Dmca, "<b>")] {
        let mut notice = notice(profile);
        notice.work.title = title.into();
        let (case, _) = submit(&desk, notice).await;
        until_state(&desk, case, State::Screened).await;
    }
    let found = |query: Query| {
        let desk = desk.clone();
        async move {
            let cases = desk.cases(Query { max: 10, ..query }).await.unwrap();
            cases.iter().map(|case| case.docket.id).collect::<Vec<_>>()
        }
    };
    let text = |text: &str| Query { text: Some(text.into()), ..Query::default() };
    assert_eq!(found(Query { states: vec![State::Screened], ..Query::default() }).await, [1, 2, 3]);
    assert_eq!(found(Query { states: vec![State::Rejected], ..Query::default() }).await, [0; 0]);
    assert_eq!(found(Query { profile: Some(Profile::Dsa), ..Query::default() }).await, [2]);
    assert_eq!(found(text("100 % \"song")).await, [1]);
    assert_eq!((found(text("100 _ ")).await, found(text("<B>")).await), (vec![], vec![3]));
}

#[tokio::test]
async fn handlers_without_a_desk_are_refused() {
    let world = World::new();
    let mut plugins = none();
    let handler = world.handler("a", |_| Ok(Decision::Queue));
    plugins.compliance.push(instance("a", Arc::new(handler) as _, options::Compliance::default()));
    assert!(matches!(plugins.start().await, Err(StartError::NoDesk)));
}

#[tokio::test]
async fn cases_that_another_key_has_begun_are_refused_and_stay_as_they_are() {
    let world = World::new();
    let running = world.queue().await;
    let (case, _) = submit(&desk(&running), notice(Profile::Dsa)).await;
    until_state(&desk(&running), case, State::Screened).await;
    let before = desk(&running).head().await.unwrap();
    running.stop().await;
    drop(running);
    let mut plugins = none();
    plugins.desk = Some(Setup { operator: SecretKey::from_seed(&[8; 32]), ..world.setup() });
    let queue = world.handler("queue", |_| Ok(Decision::Queue));
    plugins.compliance.push(instance("queue", Arc::new(queue) as _, options::Compliance::default()));
    let Err(StartError::Desk(refused)) = plugins.start().await else { panic!("it has begun") };
    let (said, key) = (refused.to_string(), SecretKey::from_seed(&[8; 32]).public().to_string());
    assert!(matches!(refused, Refused::NotOurs(_)) && said.contains(&key) && said.contains("entry 1"), "{said}");
    let running = world.queue().await;
    assert_eq!(desk(&running).head().await.unwrap(), before);
}

#[tokio::test]
async fn one_host_at_a_time_writes_the_cases() {
    let world = World::new();
    let _setup = world.setup();
    let second = Sqlite::open(&world.folder.path().join("cases.sqlite")).expect_err("refused");
    assert!(second.to_string().contains("another host"), "{second}");
}

#[tokio::test(flavor = "multi_thread")]
async fn links_to_the_same_notice_make_one_case_even_when_they_are_followed_at_once() {
    let mut world = World::new();
    world.rules.confirmation = Confirmation::Mail;
    let running = world.queue().await;
    let desk = desk(&running);
    for _ in 0..3 {
        let (draft, token) = desk.begin(notice(Profile::Dsa)).await.unwrap();
        assert!(matches!(desk.submit(&draft.id, &token, STREAM, 3).await.unwrap(), Submitted::Pending(_)));
    }
    while world.mail.0.lock().unwrap().len() < 3 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let secret = |letter: &Letter| letter.body().split("/takedown/confirm#").nth(1).unwrap()[..64].to_owned();
    let secrets: Vec<_> = world.mail.0.lock().unwrap().iter().map(secret).collect();
    // Each of them four times, by as many tasks.
    let followed = (0..12).map(|at| {
        let (desk, secret) = (desk.clone(), secrets[at % 3].clone());
        tokio::spawn(async move { desk.confirm(&secret, STREAM).await })
    });
    let mut taken = 0;
    for follow in followed.collect::<Vec<_>>() {
        match follow.await.unwrap() {
            Ok(_) => taken += 1,
            Err(refused) => assert!(matches!(refused, Refused::Expired | Refused::Duplicate(1)), "{refused}"),
        }
    }
    assert_eq!((taken, desk.cases(Query { max: 10, ..Query::default() }).await.unwrap().len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn mails_do_not_go_to_an_address_that_nobody_has_confirmed() {
    let mut world = World::new();
    world.rules.confirmation = Confirmation::Operator;
    let running = world.queue().await;
    let desk = desk(&running);
    let mut lacking = notice(Profile::Dmca);
    lacking.statements.clear();
    let (draft, token) = desk.begin(lacking).await.unwrap();
    desk.submit(&draft.id, &token, STREAM, 3).await.unwrap();
    let case = desk.vouch(&draft.id, STREAM).await.unwrap().id;
    until_state(&desk, case, State::Deficient).await;
    let mut elsewhere = notice(Profile::Dmca);
    elsewhere.claimant.email = "victim@example.org".into();
    let refused = desk.complete(case, Actor::Claimant, elsewhere.clone()).await.unwrap_err();
    assert!(matches!(&refused, Refused::Invalid(it) if it.field == "claimant.email"), "{refused}");
    desk.complete(case, Actor::Operator, elsewhere).await.unwrap();
}
