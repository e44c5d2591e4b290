//! The config of a pipe.

use peerstream_sdk::traits::ingest::Kind;
use serde::{Deserialize, Serialize};

/// What an input carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

impl Config {
    /// All that is wrong with it; touches nothing.
    pub fn validate(&self) -> Result<(), Vec<String>> {
        let stdin = self.input == "-";
        let rated = self.rate_bytes_per_second > 0;
        let checks = [
            (self.input.is_empty(), "input is empty: expected '-' for standard input or a path"),
            (stdin && self.looped, "loop needs a file: standard input cannot start again"),
            (stdin && rated, "rate_bytes_per_second needs a file: standard input is read as it comes"),
            (
                rated && self.kind == InputKind::Media,
                "rate_bytes_per_second is for kind 'data': media is paced by its times",
            ),
        ];
        let problems: Vec<_> = checks.iter().filter(|(wrong, _)| *wrong).map(|(_, text)| (*text).to_owned()).collect();
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_is_read_and_unknown_fields_are_refused() {
        let config: Config = serde_json::from_str(r#"{"input": "talk.mp4", "loop": true}"#).unwrap();
        assert_eq!(config, Config { input: "talk.mp4".into(), looped: true, ..Config::default() });
        assert!(config.validate().is_ok());
        assert!(serde_json::from_str::<Config>(r#"{"inptu": "-"}"#).is_err());
    }

    #[test]
    fn all_problems_are_told_at_once() {
        let config = Config { looped: true, rate_bytes_per_second: 1000, ..Config::default() };
        assert_eq!(config.validate().unwrap_err().len(), 3);
    }
}
