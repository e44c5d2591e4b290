//! The chain of handlers, the log, and what is carried out.

mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use peerstream::plugins::compliance::{CASES_WAITING_MAX, Carrier, NotTaken};
use peerstream::plugins::{Running, StartError, options};
use peerstream::traits::compliance::{Action, Case, ComplianceHandler, Contact, Decision, Notice, Regime};
use peerstream::traits::{ErrorClass, Lifecycle, PluginError};

use common::{counted, instance, none};

type Assess = Box<dyn Fn(&Case) -> Result<Decision, PluginError> + Send + Sync>;

/// A handler that remembers what it was asked.
struct Fake {
    asked: Arc<Mutex<Vec<(String, u64)>>>,
    name: String,
    regimes: Vec<Regime>,
    assess: Assess,
}

impl Lifecycle for Fake {}

#[async_trait]
impl ComplianceHandler for Fake {
    fn regimes(&self) -> Vec<Regime> {
        self.regimes.clone()
    }

    async fn assess(&self, case: &Case) -> Result<Decision, PluginError> {
        self.asked.lock().unwrap().push((self.name.clone(), case.id));
        (self.assess)(case)
    }
}

#[derive(Default)]
struct Done(Mutex<Vec<Action>>);

#[async_trait]
impl Carrier for Done {
    async fn carry_out(&self, _: &Case, action: &Action) -> Result<(), PluginError> {
        self.0.lock().unwrap().push(action.clone());
        if *action == Action::NotifyPublisher { Err(PluginError::unavailable("nobody is there")) } else { Ok(()) }
    }
}

struct World {
    folder: tempfile::TempDir,
    asked: Arc<Mutex<Vec<(String, u64)>>>,
    done: Arc<Done>,
}

impl World {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), asked: Arc::default(), done: Arc::default() }
    }

    fn handler(
        &self,
        name: &str,
        assess: impl Fn(&Case) -> Result<Decision, PluginError> + Send + Sync + 'static,
    ) -> Fake {
        let regimes = vec![Regime::Dmca, Regime::Dsa];
        Fake { asked: self.asked.clone(), name: name.into(), regimes, assess: Box::new(assess) }
    }

    async fn run(&self, handlers: Vec<Fake>) -> Running {
        let mut plugins = none();
        plugins.case_log = Some(self.log());
        for handler in handlers {
            let name = handler.name.clone();
            plugins.compliance.push(instance(&name, Arc::new(handler) as _, options::Compliance::default()));
        }
        let running = plugins.start().await.unwrap();
        running.carry_with(self.done.clone());
        running
    }

    fn log(&self) -> std::path::PathBuf {
        self.folder.path().join("cases.jsonl")
    }

    /// Waits until the log has so many lines, and gives them.
    async fn lines(&self, count: usize) -> Vec<serde_json::Value> {
        loop {
            let lines = lines(&self.log());
            if lines.len() >= count {
                assert_eq!(lines.len(), count, "{lines:#?}");
                return lines;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn asked(&self) -> Vec<(String, u64)> {
        self.asked.lock().unwrap().clone()
    }
}

fn lines(log: &Path) -> Vec<serde_json::Value> {
    std::fs::read_to_string(log).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn notice(regime: Regime) -> Notice {
    Notice {
        regime,
        claimant: Contact::default(),
        subject: "a film".into(),
        explanation: "it is shown".into(),
        from_s: None,
        to_s: None,
        statements: BTreeMap::new(),
        signature: None,
    }
}

async fn submit(running: &Running) -> u64 {
    running.desk().unwrap().submit("ab".into(), 3, notice(Regime::Dmca)).await.unwrap().case
}

fn act(actions: Vec<Action>) -> Decision {
    Decision::Act { actions, note: "because".into() }
}

#[tokio::test]
async fn the_first_decision_in_the_order_of_names_is_logged_and_carried_out() {
    let world = World::new();
    let actions = vec![Action::NotifyPublisher, Action::HideRange { from_s: 1.0, to_s: 2.0 }, Action::StopStream];
    let decided = actions.clone();
    let running = world
        .run(vec![
            world.handler("c", |_| panic!("is not asked")),
            world.handler("b", move |_| Ok(act(decided.clone()))),
            world.handler("a", |_| Ok(Decision::Pass)),
        ])
        .await;
    assert_eq!(submit(&running).await, 1);
    let lines = world.lines(5).await;
    let what: Vec<_> = lines.iter().map(|line| line["what"].as_str().unwrap()).collect();
    assert_eq!(what, ["opened", "decided", "acted", "acted", "acted"]);
    assert_eq!(lines[1]["handler"], "b (fake of test)");
    assert_eq!((&lines[2]["error"], &lines[3]["error"]), (&"nobody is there".into(), &serde_json::Value::Null));
    assert_eq!(world.asked(), [("a".into(), 1), ("b".into(), 1)]);
    assert_eq!(*world.done.0.lock().unwrap(), actions);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_fails_leaves_the_case_open_and_nothing_is_done() {
    for class in [ErrorClass::Internal, ErrorClass::Unavailable] {
        let world = World::new();
        let fails = move |_: &Case| Err(PluginError::new(class, "no"));
        let acts = |_: &Case| Ok(act(vec![Action::StopStream]));
        let running = world.run(vec![world.handler("a", fails), world.handler("b", acts)]).await;
        submit(&running).await;
        let lines = world.lines(2).await;
        assert_eq!((&lines[1]["what"], &lines[1]["why"]), (&"left-open".into(), &"handler a: no".into()));
        assert_eq!(*world.done.0.lock().unwrap(), []);
        assert_eq!(world.asked().len(), if class.is_temporary() { 4 } else { 1 });
        assert_eq!(counted(running.statuses(), "a", &format!("left-open.{}", class.word())), 1);
    }
}

#[tokio::test]
async fn a_handler_that_panics_leaves_the_case_open() {
    let world = World::new();
    let running = world.run(vec![world.handler("a", |_| panic!("out of cheese"))]).await;
    submit(&running).await;
    assert_eq!(world.lines(2).await[1]["what"], "left-open");
}

#[tokio::test]
async fn a_handler_is_not_asked_about_rules_that_it_does_not_know() {
    let world = World::new();
    let running = world.run(vec![world.handler("a", |_| Ok(Decision::Queue))]).await;
    running.desk().unwrap().submit("ab".into(), 3, notice(Regime::HouseRules)).await.unwrap();
    assert_eq!(world.lines(2).await[1]["why"], "no handler knows what to do");
    assert_eq!(world.asked(), []);
}

#[tokio::test]
async fn what_was_left_open_is_asked_about_again_after_a_restart_and_numbers_go_on() {
    let world = World::new();
    let running = world.run(vec![world.handler("a", |_| Err(PluginError::new(ErrorClass::Internal, "no")))]).await;
    submit(&running).await;
    world.lines(2).await;
    running.stop().await;
    drop(running);
    let running = loop {
        // The log is free as soon as the last write is over.
        let mut plugins = none();
        plugins.case_log = Some(world.log());
        let handler = world.handler("a", |_| Ok(Decision::Reject { reason: "no".into() }));
        plugins.compliance.push(instance("a", Arc::new(handler) as _, options::Compliance::default()));
        match plugins.start().await {
            Ok(running) => break running,
            Err(StartError::CaseLog(_)) => tokio::time::sleep(Duration::from_millis(5)).await,
            Err(error) => panic!("{error}"),
        }
    };
    running.carry_with(world.done.clone());
    assert_eq!(world.lines(3).await[2]["decision"]["decision"], "reject");
    assert_eq!(submit(&running).await, 2);
}

#[tokio::test]
async fn more_complaints_than_can_wait_are_told_to_come_back() {
    let world = World::new();
    let mut plugins = none();
    plugins.case_log = Some(world.log());
    let handler = world.handler("a", |_| Ok(Decision::Queue));
    plugins.compliance.push(instance("a", Arc::new(handler) as _, options::Compliance::default()));
    // Nobody works on them.
    let running = plugins.start().await.unwrap();
    for n in 1..=CASES_WAITING_MAX as u64 {
        assert_eq!(submit(&running).await, n);
    }
    let refused = running.desk().unwrap().submit("ab".into(), 3, notice(Regime::Dmca)).await;
    assert!(matches!(refused, Err(NotTaken::Busy)));
    assert_eq!(lines(&world.log()).len(), CASES_WAITING_MAX);
}

#[tokio::test]
async fn handlers_without_a_log_are_refused() {
    let world = World::new();
    let mut plugins = none();
    let handler = world.handler("a", |_| Ok(Decision::Queue));
    plugins.compliance.push(instance("a", Arc::new(handler) as _, options::Compliance::default()));
    assert!(matches!(plugins.start().await, Err(StartError::NoCaseLog)));
}
