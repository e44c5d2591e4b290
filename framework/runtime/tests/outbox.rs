//! Letters survive the process: they wait in the casebook until a mail server has taken them.

mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use peerstream::plugins::{Running, options};
use peerstream::protocol::crypto::SecretKey;
use peerstream::takedown::{Carrier, Confirmation, Desk, Notes, Order, Refused, Rules, Setup};
use peerstream::traits::casebook::{BoxedCasebook, LETTERS_MAX};
use peerstream::traits::compliance::{Action, Case, ComplianceHandler, Decision, Evidence, Notice, Segments, State};
use peerstream::traits::mail::{Courier, Letter};
use peerstream::traits::takedown::ledger::Hidden;
use peerstream::traits::takedown::outbox::About;
use peerstream::traits::{ErrorClass, Lifecycle, PluginError};
use peerstream_casebook_sqlite::Sqlite;
use peerstream_sdk::testkit::casebook;

use common::{instance, none};

const STREAM: &str = "abababababababababababababababababababababababababababababababab";

/// Leaves all to a person.
struct Queue;

impl Lifecycle for Queue {}

#[async_trait]
impl ComplianceHandler for Queue {
    async fn assess(&self, _: &Case, _: &Evidence) -> Result<Decision, PluginError> {
        Ok(Decision::Queue)
    }
}

/// Nothing is to be hidden here.
struct Idle;

#[async_trait]
impl Carrier for Idle {
    async fn carry_out(&self, _: &Case, _: &Action) -> Result<Option<Hidden>, PluginError> {
        Ok(None)
    }

    async fn show(&self, _: u64, _: &[Segments]) -> Result<(), PluginError> {
        Ok(())
    }
}

/// A mail server that is away, refuses, or takes what comes.
#[derive(Default)]
struct Moody {
    problem: Mutex<Option<ErrorClass>>,
    tried: Mutex<Vec<String>>,
    taken: Mutex<Vec<(String, Letter)>>,
}

#[async_trait]
impl Courier for Moody {
    async fn send(&self, letter: &Letter, id: &str) -> Result<(), PluginError> {
        self.tried.lock().unwrap().push(id.to_owned());
        if let Some(class) = *self.problem.lock().unwrap() {
            return Err(PluginError::new(class, "the mail server answers so"));
        }
        self.taken.lock().unwrap().push((id.to_owned(), letter.clone()));
        Ok(())
    }
}

impl Moody {
    fn with(problem: ErrorClass) -> Arc<Self> {
        Arc::new(Self { problem: Mutex::new(Some(problem)), ..Self::default() })
    }
}

struct World {
    folder: tempfile::TempDir,
    rules: Rules,
}

impl World {
    fn new() -> Self {
        let rules = Rules { look_interval: Duration::from_millis(50), ..Rules::default() };
        Self { folder: tempfile::tempdir().unwrap(), rules }
    }

    fn book(&self) -> BoxedCasebook {
        Box::new(Sqlite::open(&self.folder.path().join("cases.sqlite")).unwrap())
    }

    async fn run(&self, courier: Arc<Moody>) -> Running {
        let mut plugins = none();
        plugins.desk = Some(Setup {
            folder: self.folder.path().to_owned(),
            casebook: self.book(),
            operator: SecretKey::from_seed(&[9; 32]),
            rules: self.rules.clone(),
            courier: Some(courier),
            compare: None,
        });
        plugins.compliance.push(instance("queue", Arc::new(Queue) as _, options::Compliance::default()));
        let running = plugins.start().await.unwrap();
        running.carry_with(Arc::new(Idle));
        running
    }
}

fn desk(running: &Running) -> Desk {
    running.desk().unwrap().clone()
}

fn notice() -> Notice {
    let mut notice = casebook::notice();
    notice.claimant.name = "A. Author".into();
    notice.material.place = "the second song".into();
    notice
}

/// A notice that came by post.
async fn enter(desk: &Desk) -> u64 {
    desk.enter(notice(), "post", STREAM, 3).await.unwrap().0.id
}

/// The value of one of the desk's figures.
fn figure(desk: &Desk, name: &str) -> u64 {
    desk.figures().into_iter().find(|it| it.name == name).unwrap().value as u64
}

async fn until(what: impl Fn() -> bool) {
    while !what() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_could_not_be_sent_is_sent_by_the_host_that_follows_once_and_under_the_same_name() {
    let world = World::new();
    let away = Moody::with(ErrorClass::Unavailable);
    let running = world.run(away.clone()).await;
    let case = enter(&desk(&running)).await;
    until(|| !away.tried.lock().unwrap().is_empty()).await;
    let (letters, counts) = desk(&running).letters(Some(case)).await.unwrap();
    assert_eq!((letters.len(), counts.waiting, counts.given_up), (1, 1, 0));
    running.stop().await;
    drop(running);

    let back = Arc::new(Moody::default());
    let running = world.run(back.clone()).await;
    until(|| back.taken.lock().unwrap().len() == 1).await;
    let desk = desk(&running);
    while desk.letters(None).await.unwrap().1.waiting > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(back.taken.lock().unwrap()[0].0, away.tried.lock().unwrap()[0]);
    assert_eq!(back.tried.lock().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_is_refused_is_shown_without_its_address_and_not_tried_again() {
    let world = World::new();
    let refuses = Moody::with(ErrorClass::Denied);
    let running = world.run(refuses.clone()).await;
    let desk = desk(&running);
    let case = enter(&desk).await;
    while desk.letters(None).await.unwrap().1.given_up == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (letters, _) = desk.letters(Some(case)).await.unwrap();
    assert_eq!((letters[0].tries, letters[0].letter.as_ref()), (1, None));
    assert_eq!((&*letters[0].subject, &*letters[0].problem), ("Notice 1 has come in", "the mail server answers so"));
    assert_eq!((figure(&desk, "takedown_letters_given_up"), refuses.tried.lock().unwrap().len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn when_too_many_letters_wait_further_ones_are_counted_and_links_are_not_promised() {
    let mut world = World::new();
    world.rules.confirmation = Confirmation::Mail;
    let mut book = world.book();
    let waiting: Vec<_> =
        (0..LETTERS_MAX).map(|at| casebook::letter(&at.to_string(), About::Case(1), u64::MAX >> 2)).collect();
    let with = casebook::With { letters: &waiting, ..casebook::With::default() };
    casebook::add(&mut book, 1, casebook::received(1), with).unwrap();
    drop(book);
    let running = world.run(Arc::default()).await;
    let desk = desk(&running);
    let (draft, token) = desk.begin(notice()).await.unwrap();
    assert!(matches!(desk.submit(&draft.id, &token, STREAM, 3).await, Err(Refused::Busy)));
    let case = enter(&desk).await;
    let (letters, counts) = desk.letters(Some(case)).await.unwrap();
    assert_eq!((letters, counts.waiting), (vec![], LETTERS_MAX));
    assert!(figure(&desk, "takedown_letters_dropped") >= 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_streamer_is_told_with_the_entry_that_says_so() {
    let mut world = World::new();
    world.rules.streamer_email = "s@example.org".into();
    let mail = Arc::new(Moody::default());
    let running = world.run(mail.clone()).await;
    let desk = desk(&running);
    let case = enter(&desk).await;
    while desk.case(case).await.unwrap().docket.state != State::Screened {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let actions = vec![Action::Strike, Action::NotifyPublisher];
    let decision = Decision::Act { actions, note: String::new() };
    desk.order(case, Order::Decide(decision), Notes::default()).await.unwrap();
    let to_streamer = || mail.taken.lock().unwrap().iter().find(|it| it.1.to() == "s@example.org").cloned();
    until(|| to_streamer().is_some()).await;
    let (_, letter) = to_streamer().unwrap();
    assert!(letter.body().contains("What was done: strike.\n"), "{}", letter.body());
}
