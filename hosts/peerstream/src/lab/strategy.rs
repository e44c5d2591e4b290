//! The strategy that a flag names.

use anyhow::{Result, anyhow};
use peerstream_sdk::traits::Kind;
use peerstream_sdk::traits::strategy::BoxedStrategy;

use crate::bundle;
use crate::config::StrategyOptions;

/// Makes strategies, each for an empty overlay; the lab makes one per coordinator.
pub type MakeStrategy = Box<dyn Fn() -> BoxedStrategy + Send + Sync>;

/// The strategy that a flag names, with options if need be, such as `dumbbell` or `dumbbell:standby=false`.
pub fn named(flag: &str) -> Result<MakeStrategy> {
    let registry = bundle::registry()?;
    let spec = registry.short::<StrategyOptions>(Kind::Strategy, "--strategy", flag).map_err(|why| anyhow!(why))?;
    registry.strategy(&spec).map_err(|error| anyhow!("--strategy `{flag}`: {error}"))?;
    Ok(Box::new(move || registry.strategy(&spec).expect("it was made before of the same options")))
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
