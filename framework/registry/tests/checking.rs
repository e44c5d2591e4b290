//! What comes of a config that is right, and of plug-ins that clash.

mod common;

use common::{Around, Pusher, Queue, Serve, WhenFull, layout, registrations, registry};
use peerstream_registry::{Change, Config, Draft, Entry, Layers, Registry, RegistryError, Spec, changes};
use peerstream_traits::{Kind, Registration};

#[track_caller]
fn config(text: &str) -> Config {
    let mut layers = Layers::new();
    layers.text("x.toml", text);
    let outcome = Draft::new(layers).check(&registry(), &layout());
    outcome.into_result().unwrap_or_else(|report| panic!("{}", report.human()))
}

fn specs(text: &str) -> Vec<Spec> {
    config(text).specs().to_vec()
}

#[test]
fn an_empty_config_wants_the_defaults() {
    let config = config("");
    assert_eq!(config.section::<Serve>("serve").linger_s, 60);
    let [strategy] = config.specs() else { panic!("{:?}", config.specs()) };
    assert_eq!(
        (strategy.kind, strategy.plugin.as_str(), &strategy.options["fanout"]),
        (Kind::Strategy, "proximity", &2.into())
    );
    assert!(registry().strategy(strategy).is_ok());
}

#[test]
fn an_instance_has_its_options_its_secrets_and_those_of_the_framework() {
    let text = "[telemetry.mine]\nuse = \"push\"\nqueue.items_max = 7\nconfig.url = \"http://x\"\nconfig.token = { file = \"FILE\" }\n";
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "hunter2\n").unwrap();
    let config = config(&text.replace("FILE", file.path().to_str().unwrap()));
    let spec = config.of_kind(Kind::Telemetry).next().unwrap();
    let queue = Queue { items_max: 7, when_full: WhenFull::DropOldest };
    assert_eq!(spec.around::<Around>(), Around { required: false, queue });
    assert_eq!(spec.options["token"], "hunter2");
    assert!(registry().telemetry(spec).is_ok());
    let shown = [config.show(true, true), format!("{spec:?}"), format!("{config:?}")].join("");
    assert!(!shown.contains("hunter2") && shown.contains("[redacted]"), "{shown}");
}

#[test]
fn a_plugin_may_be_named_with_its_crate() {
    assert_eq!(specs("strategy.use = \"acme-strategies/proximity\"")[0].plugin, "proximity");
    assert!(registry().find(Kind::Strategy, "other/proximity").is_none());
    assert!(
        registry()
            .alternatives(Kind::Strategy, "other/proximity")
            .starts_with("did you mean `acme-strategies/proximity`?")
    );
}

#[test]
fn two_plugins_of_one_name_are_refused_with_both_crates() {
    let again = Registration::telemetry::<Pusher>("other-sinks", "2.0.0");
    let error = Registry::of(registrations().iter().chain([&again])).unwrap_err();
    let message = error.to_string();
    assert!(message.contains("crate acme-sinks 0.3.0") && message.contains("crate other-sinks 2.0.0"), "{message}");
    let mut registry = registry();
    assert!(matches!(registry.add(Entry::linked(&again)), Err(RegistryError::Clash { .. })));
}

#[test]
fn a_program_without_plugins_says_how_to_get_some() {
    // This test links the crate alone; nothing is submitted to the inventory.
    let message = Registry::linked().unwrap_err().to_string();
    assert!(message.contains("use my_plugin as _;"), "{message}");
}

#[test]
fn two_configs_differ_by_instance() {
    let base = "[telemetry.a]\nuse = \"push\"\nconfig.url = \"http://a\"\n";
    let before = specs(&format!("{base}[telemetry.b]\nuse = \"push\"\nconfig.url = \"http://b\"\n"));
    let after = specs(&format!(
        "{base}[telemetry.c]\nuse = \"push\"\nconfig.url = \"http://c\"\n[strategy.config]\nslack = 2\n"
    ));
    let found = changes(&before, &after);
    let words: Vec<_> = found
        .iter()
        .map(|change| match change {
            Change::Added(spec) => format!("+{}", spec.instance),
            Change::Removed(spec) => format!("-{}", spec.instance),
            Change::Changed(both) => format!("~{}", both.0.instance),
            _ => "?".to_owned(),
        })
        .collect();
    assert_eq!(words, ["-b", "~strategy", "+c"]);
    // A default that is written out is no change.
    assert_eq!(changes(&specs(""), &specs("[strategy.config]\nslack = 1\n")), []);
}

#[test]
fn a_later_layer_replaces_values_and_keeps_the_rest_of_a_table() {
    let mut layers = Layers::new();
    layers.text("a.toml", "[serve]\nlinger_s = 1\ntitle = \"a\"\n");
    layers.text("b.toml", "[serve]\ntitle = \"b\"\n");
    layers.environment([
        ("PEERSTREAM_SERVE__LISTEN".into(), "127.0.0.1:1".into()),
        ("PEERSTREAM_BIN".into(), "x".into()),
    ]);
    layers.set("serve.title=5");
    let serve: Serve = Draft::new(layers).check(&registry(), &layout()).into_result().unwrap().section("serve");
    assert_eq!((serve.linger_s, serve.title.as_deref(), serve.listen.as_str()), (1, Some("5"), "127.0.0.1:1"));
}

#[test]
fn a_command_replaces_a_whole_section() {
    let mut layers = Layers::new();
    layers.text("a.toml", "[strategy]\nuse = \"mesh\"\n[strategy.config]\nodd = 1\n");
    layers.replace("demo", "strategy", serde_json::json!({ "use": "proximity" }));
    let outcome = Draft::new(layers).check(&registry(), &layout());
    assert_eq!(outcome.report.human(), "");
}

#[test]
fn the_schema_for_editors_leads_only_to_what_is_in_it() {
    let schema = peerstream_registry::document(&registry(), &layout());
    let text = schema.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        assert!(schema.pointer(reference).is_some(), "{reference}");
    }
    assert!(text.contains("\"env\""), "secrets may be taken from the environment");
}

#[test]
fn more_mistakes_than_can_be_shown_are_counted() {
    let mut layers = Layers::new();
    layers.text("x.toml", (0..80).map(|at| format!("odd{at} = 1\n")).collect::<String>());
    let report = Draft::new(layers).check(&registry(), &layout()).report;
    assert_eq!(report.errors(), 80);
    assert!(report.human().ends_with("and 30 more; the first 50 are shown\n"));
}
