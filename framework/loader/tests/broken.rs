//! Broken plug-ins: each way of being broken has its own clear error, and the host goes on.

mod built;

use std::time::Duration;

use peerstream_loader::{Loaded, LoadedBuild, Policy};
use peerstream_overlay::{Context, Event, Member, Plan, Topology, TreeStrategy};
use peerstream_protocol::id::NodeId;
use peerstream_protocol::time::Micros;
use peerstream_traits::telemetry::SharedSink;
use peerstream_traits::{ErrorClass, Health};
use serde_json::json;

use crate::built::Built;

/// The fault keeps the library from being loaded, for this reason.
#[track_caller]
fn check_refused(fault: &str, code: &str, words: &[&str]) {
    let error = Built::with(&[fault]).load().err().unwrap_or_else(|| panic!("{fault} was loaded"));
    let text = error.to_string();
    assert!(error.code() == code && text.starts_with(code), "{fault}: {text}");
    words.iter().for_each(|word| assert!(text.contains(word), "{fault}: `{word}` is not in: {text}"));
}

fn strategy(fault: &str) -> Box<dyn TreeStrategy + Send> {
    let loaded = Built::with(&[fault]).load().unwrap().plugins().remove(0);
    match loaded.build(&json!({}), "it").unwrap() {
        LoadedBuild::Strategy(strategy) => strategy,
        _ => panic!("not a strategy"),
    }
}

/// Lets five nodes join, one at a time.
fn five_join(strategy: &mut dyn TreeStrategy) -> Topology {
    let mut topology = Topology::new(8);
    let mut rejected = Vec::new();
    for name in 1..=5 {
        let node = NodeId(name);
        topology.insert(node, Member::default()).unwrap();
        let mut events = vec![Event::Joined(node)];
        events.append(&mut rejected);
        let mut plan = Plan::default();
        let context = Context { topology: &topology, now: Micros(name), source: NodeId::SOURCE };
        strategy.on_events(&context, &events, &mut plan);
        for (group, wish) in plan.groups().iter().enumerate() {
            rejected.extend(topology.commit(wish).err().map(|reason| Event::Rejected { group, reason }));
        }
    }
    topology
}

/// The fault makes the strategy give up, and says why.
#[track_caller]
fn check_gives_up(fault: &str, words: &[&str]) {
    let mut strategy = strategy(fault);
    five_join(strategy.as_mut());
    let why = strategy.failure().unwrap_or_else(|| panic!("{fault} was not noticed"));
    words.iter().for_each(|word| assert!(why.contains(word), "{fault}: `{word}` is not in: {why}"));
    // It is not asked again.
    five_join(strategy.as_mut());
    assert_eq!(strategy.failure(), Some(why));
}

#[test]
fn a_sound_one_places_everybody() {
    let mut strategy = strategy("FAULT_NONE=1");
    let topology = five_join(strategy.as_mut());
    assert_eq!(strategy.failure(), None);
    assert!((1..=5).all(|name| topology.depth(NodeId(name)) == Some(1)));
}

#[test]
fn what_is_no_plug_in_is_refused() {
    check_refused("FAULT_NO_SYMBOL", "PS0206", &["not a PeerStream plug-in", "peerstream_plugin_v0"]);
    check_refused("FAULT_NULL_TABLE", "PS0207", &["no table"]);
    check_refused("FAULT_WRONG_MAGIC", "PS0204", &["begins with"]);
    check_refused("FAULT_WRONG_MAJOR", "PS0204", &["ABI 2.1", "speaks 0.1", "rebuild"]);
    check_refused("FAULT_SHORT_TABLE", "PS0204", &["24 bytes", "expected"]);
    check_refused("FAULT_NULL_FUNCTION", "PS0207", &["`check` is null"]);
    check_refused("FAULT_NULL_BATCH", "PS0207", &["`batch` is null", "strategy/star"]);
}

#[test]
fn what_makes_no_sense_of_itself_is_refused() {
    check_refused("FAULT_GARBAGE_MANIFEST", "PS0207", &["cannot be read", "line 1"]);
    check_refused("FAULT_FAILING_DESCRIBE", "PS0207", &["no licence"]);
    check_refused("FAULT_UNKNOWN_KIND", "PS0207", &["`wizard`"]);
    check_refused("FAULT_LINKED_ONLY_KIND", "PS0207", &["`transport`", "linked"]);
    check_refused("FAULT_BAD_NAME", "PS0207", &["`Star Two`", "lower case"]);
}

#[test]
fn one_that_crashes_while_it_is_tried_takes_nobody_with_it() {
    check_refused("FAULT_ABORT_IN_DESCRIBE", "PS0208", &["SIGABRT"]);
    check_refused("FAULT_CRASH_IN_DESCRIBE", "PS0208", &["SIGSEGV"]);
    check_refused("FAULT_CONSTRUCTOR", "PS0208", &["SIGABRT"]);
}

#[test]
fn one_that_hangs_while_it_is_tried_is_given_up() {
    check_refused("FAULT_HANG_IN_DESCRIBE", "PS0208", &["did not answer within 10 s"]);
}

#[test]
fn a_file_that_is_no_library_is_refused_by_the_system() {
    let built = Built::of_bytes(b"\x7fELF, or so it says");
    let error = built.load().unwrap_err();
    assert!(error.code() == "PS0205" && error.to_string().contains("not whole"), "{error}");
}

#[test]
fn one_that_makes_no_instance_says_why() {
    let loaded = |fault| Built::with(&[fault]).load().unwrap().plugins().remove(0);
    let error = |loaded: Loaded| loaded.build(&json!({}), "it").err().unwrap();
    let failing = error(loaded("FAULT_FAILING_CREATE"));
    assert_eq!((failing.class, failing.message.as_str()), (ErrorClass::Unavailable, "the moon is wrong"));
    let null = error(loaded("FAULT_NULL_INSTANCE"));
    assert!(null.message.contains("made nothing"), "{null}");
}

#[test]
fn plans_that_make_no_sense_end_it() {
    check_gives_up("FAULT_TORN_RECORDS", &["17 bytes", "records of 48"]);
    check_gives_up("FAULT_UNKNOWN_CODE", &["operation 99"]);
    check_gives_up("FAULT_WILD_GROUP", &["group 4000000000"]);
    check_gives_up("FAULT_WIDE_STRIPES", &["0x10001"]);
    check_gives_up("FAULT_TOO_MUCH", &["too large"]);
}

#[test]
fn calls_that_fail_end_it() {
    check_gives_up("FAULT_FAILING_BATCH", &["out of ideas"]);
    check_gives_up("FAULT_ODD_STATUS", &["status 7"]);
}

#[test]
fn plans_that_break_the_overlay_are_rejected_and_it_hears_of_it() {
    for fault in ["FAULT_CYCLE", "FAULT_UNKNOWN_NODE"] {
        let mut strategy = strategy(fault);
        let topology = five_join(strategy.as_mut());
        assert!((1..=5).all(|name| topology.depth(NodeId(name)).is_none()), "{fault} was committed");
        assert_eq!(strategy.failure(), None, "{fault} is the coordinator's to judge");
    }
}

#[test]
fn one_that_hangs_is_given_up_and_nobody_hangs_with_it() {
    let begun = std::time::Instant::now();
    check_gives_up("FAULT_HANG", &["did not answer within 1000 ms"]);
    assert!(begun.elapsed() < Duration::from_secs(60));
}

#[test]
fn one_that_is_slow_all_the_time_is_given_up() {
    check_gives_up("FAULT_SLOW", &["more than 100 ms 5 times"]);
}

fn sink(fault: &str) -> SharedSink {
    let loaded = Built::with(&["DOER", fault]).load().unwrap().plugins().remove(0);
    match loaded.build(&json!({}), "it").unwrap() {
        LoadedBuild::Telemetry(sink) => sink,
        _ => panic!("not a sink"),
    }
}

fn record() -> peerstream_traits::telemetry::Batch {
    peerstream_sdk::testkit::telemetry::records().into_iter().take(1).collect()
}

#[tokio::test]
async fn a_second_answer_is_ignored_and_shown() {
    let sink = sink("FAULT_DOUBLE_COMPLETION");
    assert_eq!(sink.write(record()).await.unwrap().accepted, 1);
    assert!(matches!(sink.health(), Health::Degraded { why } if why.contains("twice")));
    assert_eq!(sink.write(record()).await.unwrap().accepted, 1);
}

#[tokio::test]
async fn an_answer_that_never_comes_can_be_given_up() {
    for fault in ["FAULT_NEVER_COMPLETES", "FAULT_WRONG_REQUEST"] {
        let sink = sink(fault);
        let written = tokio::time::timeout(Duration::from_millis(100), sink.write(record())).await;
        assert!(written.is_err(), "{fault}: {written:?}");
    }
}

#[tokio::test]
async fn an_answer_that_makes_no_sense_is_a_mistake_of_the_plug_in() {
    let error = sink("FAULT_GARBAGE_ANSWER").write(record()).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Internal);
    assert!(error.message.contains("cannot be read"), "{error}");
}

#[tokio::test]
async fn a_failure_keeps_its_class_and_its_pause() {
    let error = sink("FAULT_RATE_LIMITED").write(record()).await.unwrap_err();
    assert_eq!((error.class, error.retry_after), (ErrorClass::RateLimited, Some(Duration::from_millis(1_500))));
}

#[test]
fn nothing_is_loaded_unless_a_folder_is_allowed() {
    let built = Built::with(&["FAULT_NONE=1"]);
    let error = peerstream_loader::Library::load(&Policy::default(), &built.pin()).unwrap_err();
    assert!(error.code() == "PS0201" && error.to_string().contains("nothing may be loaded"), "{error}");
}
