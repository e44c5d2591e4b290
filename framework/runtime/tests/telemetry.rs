//! The layers around telemetry sinks that are slow, fail, or take a part.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use async_trait::async_trait;
use peerstream::plugins::options::{self, Queue, WhenFull};
use peerstream::plugins::{Running, State};
use peerstream::traits::telemetry::{Batch, Interest, TelemetrySink, WriteReport};
use peerstream::traits::{ErrorClass, Health, Lifecycle, PluginError};
use proptest::prelude::*;

use common::{Fake, counted, event, instance, none, shown, total};

async fn run(fake: &Arc<Fake>, options: options::Telemetry) -> Running {
    let mut plugins = none();
    plugins.telemetry.push(instance("sink", fake.clone() as _, options));
    plugins.start().await.unwrap()
}

fn offer(running: &Running, count: usize) {
    (0..count).for_each(|n| running.telemetry().offer(&event(&format!("e{n}"))));
}

/// Whatever became of them, every record is accounted for once all has ended.
#[track_caller]
fn check_accounts(running: &Running) {
    let of = |counter| total(running.statuses(), "sink", counter);
    assert_eq!(of("offered"), of("accepted") + of("rejected") + of("dropped"), "{:?}", running.statuses().shown());
}

#[tokio::test(start_paused = true)]
async fn records_come_in_order_and_in_bounded_batches() {
    let fake = Arc::new(Fake::default());
    let options = options::Telemetry { batch: options::Batch { items_max: 10, linger_ms: 100 }, ..Default::default() };
    let running = run(&fake, options).await;
    offer(&running, 95);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let names: Vec<_> = fake.written.lock().unwrap().iter().map(|record| format!("{:?}", record.what)).collect();
    assert_eq!(names.len(), 95);
    assert!(names[0].contains("e0") && names[94].contains("e94"));
    assert_eq!((fake.largest.load(Relaxed), fake.calls.load(Relaxed)), (10, 10));
    running.stop().await;
    check_accounts(&running);
}

#[tokio::test(start_paused = true)]
async fn a_slow_sink_costs_records_and_never_time() {
    let fake = Arc::new(Fake { takes: Duration::from_secs(5), ..Fake::default() });
    let queue = Queue { items_max: 100, ..Queue::default() };
    let running = run(&fake, options::Telemetry { queue, ..Default::default() }).await;
    let began = tokio::time::Instant::now();
    offer(&running, 10_000);
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert!(counted(running.statuses(), "sink", "dropped.queue-full") >= 9_800);
    running.stop().await;
    check_accounts(&running);
    assert!(began.elapsed() <= Duration::from_secs(6), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_failure_for_the_time_being_is_tried_again_after_what_was_asked() {
    let fake = Fake::answering(|call, batch| match call {
        0 => Err(PluginError::unavailable("busy").retry_after(Duration::from_secs(7))),
        1 => Err(PluginError::new(ErrorClass::RateLimited, "busy")),
        _ => Ok(WriteReport::all(batch)),
    });
    let running = run(&fake, options::Telemetry::default()).await;
    let began = tokio::time::Instant::now();
    offer(&running, 3);
    while fake.written.lock().unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(began.elapsed() >= Duration::from_secs(7) && began.elapsed() < Duration::from_secs(10));
    assert_eq!((fake.calls.load(Relaxed), counted(running.statuses(), "sink", "retries")), (3, 2));
    running.stop().await;
    check_accounts(&running);
}

#[tokio::test(start_paused = true)]
async fn a_failure_for_good_is_not_tried_again() {
    let fake = Fake::failing(ErrorClass::Denied);
    let running = run(&fake, options::Telemetry::default()).await;
    offer(&running, 3);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(fake.calls.load(Relaxed), 1);
    assert_eq!(counted(running.statuses(), "sink", "dropped.denied"), 3);
    assert_eq!(counted(running.statuses(), "sink", "errors.denied"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_never_answers_is_given_up_after_its_calls() {
    let fake = Arc::new(Fake { takes: Duration::from_secs(100_000), ..Fake::default() });
    let running = run(&fake, options::Telemetry::default()).await;
    offer(&running, 3);
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(counted(running.statuses(), "sink", "dropped.timeout"), 3);
    assert_eq!(counted(running.statuses(), "sink", "errors.timeout"), 5);
}

#[tokio::test(start_paused = true)]
async fn what_a_sink_refuses_or_forgets_is_counted_by_its_reason() {
    let fake = Fake::answering(|_, _| {
        // Twice the same, and one that is not in the batch.
        let rejected = [(1, ErrorClass::Invalid), (1, ErrorClass::Invalid), (99, ErrorClass::Invalid)];
        Ok(WriteReport { accepted: 2, rejected: rejected.into() })
    });
    let running = run(&fake, options::Telemetry::default()).await;
    offer(&running, 5);
    running.stop().await;
    let of = |counter| counted(running.statuses(), "sink", counter);
    assert_eq!((of("accepted"), of("rejected.invalid"), of("dropped.unaccounted")), (2, 1, 2));
    check_accounts(&running);
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_panics_has_failed_and_is_not_used_again() {
    let fake = Fake::answering(|_, _| panic!("out of cheese"));
    let running = run(&fake, options::Telemetry::default()).await;
    offer(&running, 3);
    tokio::time::sleep(Duration::from_secs(10)).await;
    offer(&running, 3);
    tokio::time::sleep(Duration::from_secs(60)).await;
    let sink = shown(running.statuses(), "sink");
    assert_eq!((sink.state, sink.why.as_deref()), (State::Failed, Some("panicked: out of cheese")));
    assert_eq!(fake.calls.load(Relaxed), 1);
    assert_eq!(running.statuses().health().troubles, ["telemetry.sink: failed: panicked: out of cheese"]);
    running.stop().await;
    assert_eq!(fake.stops.load(Relaxed), 0);
    check_accounts(&running);
}

#[tokio::test(start_paused = true)]
async fn what_a_sink_does_not_want_never_reaches_its_queue() {
    let fake = Arc::new(Fake { interest: Interest::FIGURES, ..Fake::default() });
    let running = run(&fake, options::Telemetry::default()).await;
    offer(&running, 3);
    assert_eq!(counted(running.statuses(), "sink", "offered"), 0);
    assert_eq!(running.telemetry().interest(), Interest::FIGURES);
}

#[tokio::test(start_paused = true)]
async fn an_end_lets_a_sink_take_what_waits() {
    let fake = Arc::new(Fake { takes: Duration::from_millis(100), ..Fake::default() });
    let options =
        options::Telemetry { batch: options::Batch { items_max: 10, linger_ms: 60_000 }, ..Default::default() };
    let running = run(&fake, options).await;
    offer(&running, 105);
    running.stop().await;
    assert_eq!(fake.written.lock().unwrap().len(), 105);
    assert_eq!((fake.stops.load(Relaxed), shown(running.statuses(), "sink").state), (1, State::Stopped));
    running.stop().await;
    assert_eq!(fake.stops.load(Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_start_that_fails_is_tried_again_and_records_wait_for_it() {
    let fake = Arc::new(Fake { failing_starts: 3, ..Fake::default() });
    let running = run(&fake, options::Telemetry::default()).await;
    assert_eq!(shown(running.statuses(), "sink").state, State::Degraded);
    assert!(!running.statuses().health().required_failed);
    offer(&running, 5);
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!((fake.starts.load(Relaxed), shown(running.statuses(), "sink").state), (4, State::Running));
    assert_eq!(fake.written.lock().unwrap().len(), 5);
    assert_eq!(running.statuses().health().status, "ok");
}

#[tokio::test(start_paused = true)]
async fn a_required_one_that_does_not_start_stops_the_host_from_starting() {
    let (bad, good) = (Arc::new(Fake { failing_starts: 9, ..Fake::default() }), Arc::new(Fake::default()));
    let mut options = options::Telemetry::default();
    let mut plugins = none();
    plugins.telemetry.push(instance("good", good.clone() as _, options.clone()));
    options.lifecycle.required = true;
    plugins.telemetry.push(instance("bad", bad as _, options));
    let error = plugins.start().await.unwrap_err().to_string();
    assert_eq!(error, "telemetry `bad` is required and did not start: port is taken");
    assert_eq!(good.stops.load(Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_sink_says_how_it_is() {
    let fake = Arc::new(Fake::default());
    let running = run(&fake, options::Telemetry::default()).await;
    let mut states = Vec::new();
    let all = [Health::Degraded { why: "slow".into() }, Health::Failed { why: "gone".into() }, Health::Ok];
    for health in all {
        *fake.health.lock().unwrap() = health;
        tokio::time::sleep(Duration::from_secs(6)).await;
        let sink = shown(running.statuses(), "sink");
        states.push((sink.state, sink.why.unwrap_or_default()));
    }
    let expected = [(State::Degraded, "slow".into()), (State::Failed, "gone".into()), (State::Running, String::new())];
    assert_eq!(states, expected);
}

#[tokio::test(start_paused = true)]
async fn each_policy_for_a_full_queue_keeps_its_bound_and_its_accounts() {
    for when_full in [WhenFull::DropOldest, WhenFull::DropNewest, WhenFull::Sample] {
        let fake = Arc::new(Fake { takes: Duration::from_secs(1), ..Fake::default() });
        let queue = Queue { items_max: 50, when_full, ..Queue::default() };
        let running = run(&fake, options::Telemetry { queue, ..Default::default() }).await;
        for _ in 0..20 {
            offer(&running, 30);
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        assert!(fake.largest.load(Relaxed) <= 50);
        running.stop().await;
        check_accounts(&running);
        assert!(counted(running.statuses(), "sink", "accepted") > 100, "{when_full:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_sink_whose_writes_fail_is_degraded_until_one_succeeds() {
    let fake = Fake::answering(|call, batch| match call {
        0 => Err(PluginError::new(ErrorClass::Denied, "the token has expired")),
        _ => Ok(WriteReport::all(batch)),
    });
    let running = run(&fake, options::Telemetry::default()).await;
    let mut states = Vec::new();
    for _ in 0..2 {
        offer(&running, 1);
        tokio::time::sleep(Duration::from_secs(6)).await;
        states.push(shown(running.statuses(), "sink"));
    }
    assert_eq!((states[0].state, states[0].why.as_deref()), (State::Degraded, Some("the token has expired")));
    assert_eq!((states[1].state, states[1].why.as_deref()), (State::Running, None));
}

/// What a sink does with a batch.
#[derive(Clone, Copy, Debug)]
enum Mood {
    Takes,
    TakesHalf,
    Refuses(ErrorClass),
    Sleeps,
    Panics,
}

fn moods() -> impl Strategy<Value = Vec<Mood>> {
    let mood = prop_oneof![
        8 => Just(Mood::Takes),
        2 => Just(Mood::TakesHalf),
        2 => prop::sample::select(&ErrorClass::ALL[..9]).prop_map(Mood::Refuses),
        1 => Just(Mood::Sleeps),
        1 => Just(Mood::Panics),
    ];
    prop::collection::vec(mood, 1..12)
}

async fn check_moods(moods: Vec<Mood>, queue: Queue, bursts: Vec<(usize, u64)>) {
    let batch_max = 16;
    let fake = Arc::new(Moody { moods, calls: AtomicUsize::default(), largest: AtomicUsize::default() });
    let batch = options::Batch { items_max: batch_max, linger_ms: 50 };
    let mut plugins = none();
    let options = options::Telemetry { queue, batch, ..Default::default() };
    plugins.telemetry.push(instance("sink", fake.clone() as _, options));
    let running = plugins.start().await.unwrap();
    for (count, pause_ms) in bursts {
        offer(&running, count);
        tokio::time::sleep(Duration::from_millis(pause_ms)).await;
    }
    running.stop().await;
    check_accounts(&running);
    assert!(fake.largest.load(Relaxed) <= batch_max);
}

struct Moody {
    moods: Vec<Mood>,
    calls: AtomicUsize,
    largest: AtomicUsize,
}

impl Lifecycle for Moody {}

#[async_trait]
impl TelemetrySink for Moody {
    async fn write(&self, batch: Batch) -> Result<WriteReport, PluginError> {
        self.largest.fetch_max(batch.len(), Relaxed);
        match self.moods[self.calls.fetch_add(1, Relaxed) % self.moods.len()] {
            Mood::Takes => Ok(WriteReport::all(&batch)),
            Mood::TakesHalf => {
                let rejected = (0..batch.len() as u32 / 2).map(|index| (index, ErrorClass::Invalid)).collect();
                Ok(WriteReport { accepted: batch.len() as u32, rejected })
            }
            Mood::Refuses(class) => Err(PluginError::new(class, "no")),
            Mood::Sleeps => std::future::pending().await,
            Mood::Panics => panic!("out of cheese"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_record_is_accounted_for_whatever_a_sink_does(
        moods in moods(),
        items_max in 1usize..100,
        bytes_max in 1_000usize..20_000,
        when_full in prop_oneof![Just(WhenFull::DropOldest), Just(WhenFull::DropNewest), Just(WhenFull::Sample)],
        bursts in prop::collection::vec((0usize..80, 0u64..30_000), 0..8),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(check_moods(moods, Queue { items_max, bytes_max, when_full }, bursts));
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_starts_while_it_is_stopped_is_stopped_once_more() {
    let slow = Arc::new(Fake { failing_starts: 1, start_takes: Duration::from_secs(3), ..Fake::default() });
    let running = run(&slow, options::Telemetry::default()).await;
    // The second start is under way.
    tokio::time::sleep(Duration::from_secs(2)).await;
    running.stop().await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!((slow.starts.load(Relaxed), slow.stops.load(Relaxed)), (2, 2));
    assert_eq!(shown(running.statuses(), "sink").state, State::Stopped);
}
