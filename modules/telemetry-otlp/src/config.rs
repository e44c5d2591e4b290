//! The config of the sink.

use peerstream_sdk::prelude::*;
use peerstream_sdk::traits::telemetry::Interest;

/// Where the collector is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The collector's address; `/v1/metrics` and `/v1/logs` are added.
    pub endpoint: String,
    /// What the header `authorization` says, such as `Bearer ...`; none when empty.
    pub authorization: Secret,
    /// What this host is called: the attribute `service.name`.
    pub service_name: String,
    /// Which one of its kind this host is: the attribute `service.instance.id`; none when empty.
    pub service_instance: String,
    /// Milliseconds that the collector may take over a request.
    pub timeout_ms: u64,
    /// Whether figures of the whole broadcast are sent.
    pub figures: bool,
    /// Whether events are sent.
    pub events: bool,
    /// Whether reports of every node are sent: as many series as there are viewers.
    pub reports: bool,
}

impl Default for Config {
    /// For a collector on the same machine.
    fn default() -> Self {
        Self {
            endpoint: "http://127.0.0.1:4318".into(),
            authorization: Secret::default(),
            service_name: "peerstream".into(),
            service_instance: String::new(),
            timeout_ms: 8_000,
            figures: true,
            events: true,
            reports: false,
        }
    }
}

impl Config {
    pub(crate) fn interest(&self) -> Interest {
        Interest { figures: self.figures, events: self.events, reports: self.reports }
    }
}

impl PluginConfig for Config {
    fn validate(&self, violations: &mut Violations) {
        let http = ["http://", "https://"].iter().any(|scheme| self.endpoint.starts_with(scheme));
        let message = format!("is `{}`, expected such as http://127.0.0.1:4318", self.endpoint);
        violations.push_if(!http, "endpoint", message);
        violations.push_if(self.timeout_ms == 0, "timeout_ms", "is 0, expected at least 1");
        violations.push_if(self.service_name.is_empty(), "service_name", "is empty, expected a name");
        let plain = self.endpoint.starts_with("http://") && !self.authorization.is_empty();
        let local =
            ["http://127.", "http://localhost", "http://[::1]"].iter().any(|host| self.endpoint.starts_with(host));
        violations.push_if(plain && !local, "authorization", "would be sent in the clear, expected an https endpoint");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(config: &Config) -> Vec<String> {
        let mut violations = Violations::default();
        config.validate(&mut violations);
        violations.into_vec().into_iter().map(|violation| violation.path).collect()
    }

    #[test]
    fn a_secret_does_not_travel_in_the_clear() {
        let authorization = Secret::new("Bearer x");
        let far = Config { endpoint: "http://example.org".into(), authorization, ..Config::default() };
        assert_eq!(paths(&far), ["authorization"]);
        assert!(paths(&Config { endpoint: "https://example.org".into(), ..far.clone() }).is_empty());
        assert!(paths(&Config { endpoint: "http://127.0.0.1:4318".into(), ..far }).is_empty());
        assert_eq!(paths(&Config { endpoint: "example.org".into(), ..Config::default() }), ["endpoint"]);
    }
}
