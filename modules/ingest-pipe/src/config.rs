//! The config of a pipe.

use peerstream_sdk::prelude::*;
use peerstream_sdk::traits::ingest::Kind;

/// What an input carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum InputKind {
    /// Fragmented MP4.
    #[default]
    Media,
    /// Any bytes.
    Data,
}

impl From<InputKind> for Kind {
    fn from(kind: InputKind) -> Self {
        match kind {
            InputKind::Media => Self::Media,
            InputKind::Data => Self::Data,
        }
    }
}

/// Where the input comes from and how it is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// `-` for standard input, or the path of a file or named pipe.
    pub input: String,
    /// `media` (fragmented MP4) or `data` (any bytes).
    pub kind: InputKind,
    /// Starts a file again when it ends; its times go on.
    #[serde(rename = "loop")]
    pub looped: bool,
    /// How fast a data file is read, in bytes per second; 0 means as fast as it is taken.
    pub rate_bytes_per_second: u64,
}

impl Default for Config {
    /// Media from standard input.
    fn default() -> Self {
        Self { input: "-".into(), kind: InputKind::Media, looped: false, rate_bytes_per_second: 0 }
    }
}

impl PluginConfig for Config {
    fn validate(&self, violations: &mut Violations) {
        let stdin = self.input == "-";
        let rated = self.rate_bytes_per_second > 0;
        let media = self.kind == InputKind::Media;
        violations.push_if(self.input.is_empty(), "input", "is empty, expected '-' for standard input or a path");
        violations.push_if(stdin && self.looped, "loop", "needs a file: standard input cannot start again");
        let rate = "rate_bytes_per_second";
        violations.push_if(stdin && rated, rate, "needs a file: standard input is read as it comes");
        violations.push_if(media && rated, rate, "is for kind 'data': media is paced by its times");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(config: &Config) -> usize {
        let mut violations = Violations::default();
        config.validate(&mut violations);
        violations.into_vec().len()
    }

    #[test]
    fn a_config_is_read_and_unknown_fields_are_refused() {
        let config: Config = serde_json::from_str(r#"{"input": "talk.mp4", "loop": true}"#).unwrap();
        assert_eq!(config, Config { input: "talk.mp4".into(), looped: true, ..Config::default() });
        assert_eq!(problems(&config), 0);
        assert!(serde_json::from_str::<Config>(r#"{"inptu": "-"}"#).is_err());
    }

    #[test]
    fn all_problems_are_told_at_once() {
        let config = Config { looped: true, rate_bytes_per_second: 1000, ..Config::default() };
        assert_eq!(problems(&config), 3);
    }
}
