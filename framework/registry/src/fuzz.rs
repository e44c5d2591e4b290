//! The body of the fuzz target: whatever a config says, its check ends, and says things that can be shown.

use peerstream_traits::{BuildContext, Kind, Plugin, PluginConfig, PluginError, Registration, Secret};
use peerstream_traits::{Lifecycle, strategy};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::draft::Draft;
use crate::layers::Layers;
use crate::layout::Layout;
use crate::loading::Loading;
use crate::registry::Registry;

/// Options of every shape that a schema can have.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Shapes {
    count: Option<u8>,
    ratio: f64,
    names: Vec<String>,
    token: Secret,
    mode: Mode,
    inner: Option<Box<Shapes>>,
    any: std::collections::BTreeMap<String, Shapes>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Mode {
    #[default]
    Plain,
    Sized {
        bytes: u32,
    },
}

impl PluginConfig for Shapes {}

struct Idle;

impl Plugin for Idle {
    const NAME: &'static str = "idle";
    const SUMMARY: &'static str = "does nothing";
    type Config = Shapes;

    fn build(_: Shapes, _: &BuildContext<'_>) -> Result<Self, PluginError> {
        Ok(Self)
    }
}

impl Lifecycle for Idle {}

impl strategy::TreeStrategy for Idle {
    fn attach(&mut self, _: &strategy::Context<'_>, _: &mut strategy::Plan) {}

    fn on_events(&mut self, _: &strategy::Context<'_>, _: &[strategy::Event], _: &mut strategy::Plan) {}
}

/// Checks a config of any bytes: the first half as a file, the second as `--set`.
pub fn config(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (file, set) = text.split_once('\0').unwrap_or((&text, ""));
    let registry = Registry::of(&[Registration::strategy::<Idle>("fuzz", "0.0.0")]).expect("one name");
    let layout = Layout::new()
        .section::<Shapes>("serve")
        .section::<Loading>("plugins")
        .slot::<Shapes>(Kind::Strategy, Some("idle"))
        .slot::<Shapes>(Kind::Telemetry, None);
    let mut layers = Layers::new();
    layers.text("fuzz.toml", file);
    set.split('\0').take(16).for_each(|set| layers.set(set));
    let outcome = Draft::new(layers).check(&registry, &layout);
    let report = &outcome.report;
    assert_eq!(report.diagnostics.is_empty(), report.human().is_empty());
    let _ = (report.json(), report.github());
    if let Ok(config) = outcome.into_result() {
        let _ = config.show(true, true);
        let _ = config.section::<Shapes>("serve");
    }
}
