//! Plug-ins in Rust that panic: wherever it happens, it is told as such and ends the instance, not the host.

use std::sync::OnceLock;

use peerstream_loader::{Loaded, LoadedBuild};
use peerstream_sdk::dynamic::{self, Library};
use peerstream_sdk::prelude::*;
use peerstream_sdk::traits::Registration;
use peerstream_sdk::traits::telemetry::{Batch, TelemetrySink, WriteReport};
use serde_json::json;

/// Where to panic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Where {
    #[default]
    Nowhere,
    Validate,
    Build,
    Attach,
    OnEvents,
    Waiting,
    Start,
    Write,
    Health,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Config {
    /// Where to panic.
    at: Where,
}

impl PluginConfig for Config {
    fn validate(&self, _: &mut Violations) {
        self.panic_if(Where::Validate);
    }
}

impl Config {
    fn panic_if(&self, here: Where) {
        assert!(self.at != here, "panic at {here:?}");
    }
}

struct Nervous(Config);

impl Plugin for Nervous {
    const NAME: &'static str = "nervous";
    const SUMMARY: &'static str = "panics where it is told to";
    type Config = Config;

    fn build(config: Config, _: &BuildContext<'_>) -> Result<Self, PluginError> {
        config.panic_if(Where::Build);
        Ok(Self(config))
    }
}

impl TreeStrategy for Nervous {
    fn attach(&mut self, _: &Context<'_>, _: &mut Plan) {
        self.0.panic_if(Where::Attach);
    }

    fn on_events(&mut self, _: &Context<'_>, _: &[Event], _: &mut Plan) {
        self.0.panic_if(Where::OnEvents);
    }

    fn waiting(&self) -> usize {
        self.0.panic_if(Where::Waiting);
        7
    }
}

#[async_trait]
impl Lifecycle for Nervous {
    async fn start(&self) -> Result<(), PluginError> {
        self.0.panic_if(Where::Start);
        Ok(())
    }

    fn health(&self) -> Health {
        self.0.panic_if(Where::Health);
        Health::Ok
    }
}

#[async_trait]
impl TelemetrySink for Nervous {
    async fn write(&self, batch: Batch) -> Result<WriteReport, PluginError> {
        tokio::task::yield_now().await;
        self.0.panic_if(Where::Write);
        Ok(WriteReport::all(&batch))
    }
}

struct Table;

impl Library for Table {
    const PLUGINS: &'static [Registration] =
        &[Registration::strategy::<Nervous>("it", "1"), Registration::telemetry::<Nervous>("it", "1")];
}

fn loaded() -> &'static [Loaded] {
    static API: dynamic::Api = dynamic::api::<Table>();
    static LOADED: OnceLock<Vec<Loaded>> = OnceLock::new();
    LOADED.get_or_init(|| Loaded::of_table(&API).unwrap())
}

fn build(index: usize, at: &str) -> Result<LoadedBuild, PluginError> {
    loaded()[index].build(&json!({ "at": at }), "it")
}

#[track_caller]
fn check_strategy_ends(at: &str, word: &str) {
    let Ok(LoadedBuild::Strategy(mut strategy)) = build(0, at) else { panic!("{at}: no strategy") };
    let topology = Topology::new(2);
    let context = Context { topology: &topology, now: Micros(1), source: NodeId::SOURCE };
    let mut plan = Plan::default();
    strategy.attach(&context, &mut plan);
    strategy.on_events(&context, &[Event::Tick], &mut plan);
    let why = strategy.failure().unwrap_or_else(|| panic!("{at} was not noticed"));
    assert!(why.contains("panicked") && why.contains(word), "{why}");
}

#[test]
fn a_strategy_that_panics_is_given_up() {
    check_strategy_ends("attach", "panic at Attach");
    check_strategy_ends("on-events", "panic at OnEvents");
}

#[test]
fn a_panic_on_the_side_makes_the_next_call_the_last() {
    let Ok(LoadedBuild::Strategy(mut strategy)) = build(0, "waiting") else { panic!("no strategy") };
    assert_eq!(strategy.waiting(), 0);
    let topology = Topology::new(2);
    let context = Context { topology: &topology, now: Micros(1), source: NodeId::SOURCE };
    strategy.on_events(&context, &[Event::Tick], &mut Plan::default());
    assert!(strategy.failure().is_some_and(|why| why.contains("panicked before")));
}

#[test]
fn a_panic_before_there_is_an_instance_is_an_error() {
    let error = build(0, "build").err().unwrap();
    assert_eq!(error.class, ErrorClass::Panicked);
    assert!(error.message.contains("panic at Build"), "{error}");
    let found = loaded()[0].check(&json!({ "at": "validate" }));
    assert!(found[0].message.contains("panic at Validate"), "{found:?}");
}

#[test]
fn options_are_checked_by_the_library() {
    let found = loaded()[0].check(&json!({ "ta": "start" }));
    assert!(found[0].message.contains("unknown field `ta`"), "{found:?}");
    assert!(loaded()[0].check(&json!({})).is_empty());
    assert_eq!(loaded()[0].schema["properties"]["at"]["description"], "Where to panic.");
}

#[tokio::test]
async fn a_doer_that_panics_says_so() {
    let sink = |at: &str| match build(1, at) {
        Ok(LoadedBuild::Telemetry(sink)) => sink,
        _ => panic!("{at}: no sink"),
    };
    let error = sink("start").start().await.unwrap_err();
    assert!(error.class == ErrorClass::Panicked && error.message.contains("panic at Start"), "{error}");
    let records: Batch = peerstream_sdk::testkit::telemetry::records().into();
    let error = sink("write").write(records.clone()).await.unwrap_err();
    assert!(error.class == ErrorClass::Panicked && error.message.contains("panic at Write"), "{error}");
    assert!(matches!(sink("health").health(), Health::Failed { why } if why.contains("panic at Health")));
    let sound = sink("nowhere");
    sound.start().await.unwrap();
    assert_eq!(sound.write(records).await.unwrap(), WriteReport { accepted: 3, rejected: Vec::new() });
    assert_eq!(sound.health(), Health::Ok);
}

#[test]
fn every_rule_of_a_sink_holds_through_the_interface() {
    let make: peerstream_sdk::testkit::telemetry::Make = Box::new(|| match build(1, "nowhere") {
        Ok(LoadedBuild::Telemetry(sink)) => sink,
        _ => panic!("no sink"),
    });
    for rule in peerstream_sdk::testkit::telemetry::RULES {
        rule.run(&make).unwrap_or_else(|broken| panic!("{broken}"));
    }
}
