//! The config of the sink.

use std::net::SocketAddr;

use peerstream_sdk::prelude::*;

/// Where Prometheus finds the figures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Address and port of the page `/metrics`. Whoever reaches it can read it.
    pub listen: String,
    /// A figure that is this many seconds older than the newest one is not shown any more.
    pub stale_after_s: u64,
}

impl Default for Config {
    /// For a Prometheus on the same machine.
    fn default() -> Self {
        Self { listen: "127.0.0.1:9464".into(), stale_after_s: 60 }
    }
}

impl Config {
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.listen.parse().ok()
    }
}

impl PluginConfig for Config {
    fn validate(&self, violations: &mut Violations) {
        let wrong = self.address().is_none();
        violations.push_if(
            wrong,
            "listen",
            format!("is `{}`, expected an address and a port such as 127.0.0.1:9464", self.listen),
        );
        violations.push_if(self.stale_after_s == 0, "stale_after_s", "is 0, expected at least 1");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_without_a_port_is_told() {
        let mut violations = Violations::default();
        Config { listen: "localhost".into(), stale_after_s: 0 }.validate(&mut violations);
        let paths: Vec<_> = violations.into_vec().into_iter().map(|violation| violation.path).collect();
        assert_eq!(paths, ["listen", "stale_after_s"]);
    }
}
