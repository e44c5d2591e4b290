//! The config of an RTMP server.

use std::net::{Ipv4Addr, SocketAddr};

use peerstream_sdk::prelude::*;

/// Shorter keys are guessed too soon.
const KEY_LEN_MIN: usize = 8;

/// Where encoders connect, and who may publish.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Address and TCP port for encoders.
    #[schemars(with = "String", extend("format" = "socket-address"))]
    pub listen: SocketAddr,
    /// The last part of the server's address that encoders are given: `rtmp://HOST:1935/live`.
    #[schemars(length(min = 1, max = 64))]
    pub app: String,
    /// The stream key that an encoder must have, at least 8 characters; not set: that of the publisher, which `serve` prints.
    pub key: Secret,
    /// A second encoder with the right key replaces the one on air; otherwise it is refused while that one sends.
    pub takeover: bool,
    /// Encoders that may be connected at a time, those that have not shown a key yet among them.
    #[schemars(range(min = 1, max = 10_000))]
    pub connections_max: usize,
    /// Seconds in which an encoder must have shown its key.
    #[schemars(range(min = 1, max = 3_600))]
    pub setup_timeout_s: u64,
    /// Seconds after which an encoder that sends nothing is cut off. From five seconds on another one may take its place.
    #[schemars(range(min = 1, max = 3_600))]
    pub idle_timeout_s: u64,
}

impl Default for Config {
    /// The usual port of all networks, one encoder at a time.
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 1935)),
            app: "live".into(),
            key: Secret::default(),
            takeover: false,
            connections_max: 32,
            setup_timeout_s: 10,
            idle_timeout_s: 15,
        }
    }
}

impl PluginConfig for Config {
    fn validate(&self, violations: &mut Violations) {
        let plain = |text: &str| text.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_.~".contains(letter));
        let app = "has other characters than letters, digits and -_.~";
        violations.push_if(self.app.is_empty(), "app", "is empty, expected a word such as 'live'");
        violations.push_if(!plain(&self.app), "app", app);
        let key = self.key.reveal();
        let short = !key.is_empty() && key.len() < KEY_LEN_MIN;
        violations.push_if(short, "key", format!("is shorter than {KEY_LEN_MIN} characters"));
        violations.push_if(
            !plain(key),
            "key",
            "has other characters than letters, digits and -_.~, which encoders change",
        );
        violations.push_if(self.connections_max == 0, "connections_max", "is 0, expected 1 or more");
        violations.push_if(self.setup_timeout_s == 0, "setup_timeout_s", "is 0, expected 1 or more");
        violations.push_if(self.idle_timeout_s == 0, "idle_timeout_s", "is 0, expected 1 or more");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(config: &Config) -> Vec<String> {
        let mut violations = Violations::default();
        config.validate(&mut violations);
        violations.into_vec().into_iter().map(|violation| violation.path).collect()
    }

    #[test]
    fn the_defaults_are_good_and_all_problems_are_told_at_once() {
        assert_eq!(problems(&Config::default()), [] as [&str; 0]);
        let bad = Config { app: "a/b".into(), key: Secret::new("a?b"), idle_timeout_s: 0, ..Config::default() };
        assert_eq!(problems(&bad), ["app", "key", "key", "idle_timeout_s"]);
    }

    #[test]
    fn the_key_is_never_shown() {
        let config: Config = serde_json::from_str(r#"{"key": "hunter2hunter2"}"#).unwrap();
        assert!(!format!("{config:?}{}", serde_json::to_string(&config).unwrap()).contains("hunter2"));
    }
}
