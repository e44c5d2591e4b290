//! The strategy that a flag names.

use std::path::Path;

use anyhow::{Result, anyhow};
use peerstream_registry::Registry;
use peerstream_sdk::traits::Kind;
use peerstream_sdk::traits::strategy::BoxedStrategy;

use crate::config::StrategyOptions;
use crate::{bundle, libraries};

/// Makes strategies, each for an empty overlay; the lab makes one per coordinator.
pub type MakeStrategy = Box<dyn Fn() -> BoxedStrategy + Send + Sync>;

/// The strategy that a flag names, with options if need be, such as `dumbbell` or `dumbbell:standby=false`.
///
/// A name with a slash or ending in `.so` is the file of a library, which is loaded as it is: whoever names a file means it.
pub fn named(flag: &str) -> Result<MakeStrategy> {
    let (name, options) = flag.split_once(':').unwrap_or((flag, ""));
    if libraries::is_file(name) {
        return of_library(flag, name, options);
    }
    let registry = bundle::registry()?;
    let spec = registry.short::<StrategyOptions>(Kind::Strategy, "--strategy", flag).map_err(|why| anyhow!(why))?;
    registry.strategy(&spec).map_err(|error| anyhow!("--strategy `{flag}`: {error}"))?;
    Ok(Box::new(move || registry.strategy(&spec).expect("it was made before of the same options")))
}

/// The only strategy of a library. Called on the thread of the simulation, where one that hangs hangs the run.
fn of_library(flag: &str, file: &str, options: &str) -> Result<MakeStrategy> {
    let plugins = libraries::of_file(Path::new(file))?.plugins();
    let strategies: Vec<_> = plugins.into_iter().filter(|plugin| plugin.kind == Kind::Strategy).collect();
    let [plugin] = &strategies[..] else {
        return Err(anyhow!("--strategy `{flag}`: the library has {} strategies, expected one", strategies.len()));
    };
    let mut registry = Registry::default();
    registry.add(libraries::entry(plugin.clone()))?;
    let text = if options.is_empty() { plugin.name.clone() } else { format!("{}:{options}", plugin.name) };
    let spec = registry.short::<StrategyOptions>(Kind::Strategy, "--strategy", &text).map_err(|why| anyhow!(why))?;
    let (plugin, options) = (plugin.clone(), spec.options);
    plugin.build_direct(&options).map_err(|error| anyhow!("--strategy `{flag}`: {error}"))?;
    Ok(Box::new(move || plugin.build_direct(&options).expect("it was made before of the same options")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_names_a_strategy_with_its_options() {
        assert!(named("dumbbell").is_ok());
        assert!(named("dumbbell:standby=false,roots=1").is_ok());
        for (flag, word) in [
            ("mesh", "available: dumbbell"),
            ("dumbell", "did you mean `dumbbell`?"),
            ("dumbbell:standbye=false", "did you mean `standby`?"),
            ("dumbbell:standby=2", "boolean"),
            ("dumbbell:roots=3", "out of range 1–2"),
            ("dumbbell:standby", "OPTION=VALUE"),
        ] {
            let error = named(flag).err().expect("refused").to_string();
            assert!(error.starts_with(&format!("--strategy `{flag}`: ")) && error.contains(word), "{error}");
        }
    }
}
