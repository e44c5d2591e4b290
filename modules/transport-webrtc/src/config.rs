//! The options of the transport.

use std::net::IpAddr;
use std::time::Duration;

use peerstream_sdk::prelude::*;

/// The options. The defaults are good for production.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Local addresses to bind; empty means every interface that is up, found anew for each link.
    pub bind_addresses: Vec<IpAddr>,
    /// Also binds 127.0.0.1, so that nodes on one machine meet without a network.
    pub include_loopback: bool,
    /// UDP ports to use, for firewalls; absent means any free one. One port per link and interface.
    #[schemars(example = Ports { first: 40_000, last: 40_999 })]
    pub ports: Option<Ports>,
    /// Public addresses told to other nodes in addition, with the local port: for machines behind a 1:1 NAT.
    pub advertise: Vec<IpAddr>,
    /// Flow-control window of a link in either direction, in bytes (65536 to 16777216). It caps the rate at window / round trip.
    #[schemars(range(min = 65_536, max = 16_777_216))]
    pub window_bytes: u32,
    /// Kernel buffer of a socket in either direction, in bytes (at least 65536). The kernel may clamp it.
    #[schemars(range(min = 65_536, max = 1_073_741_824))]
    pub socket_buffer_bytes: usize,
    /// Datagrams read before acknowledgements are sent (1 to 64). Above 2, browsers that send to us slow down.
    #[schemars(range(min = 1, max = 64))]
    pub datagrams_per_wakeup: u32,
    /// Datagrams of about 1200 bytes sent per millisecond and link (1 to 1000). Browsers lose larger bursts.
    #[schemars(range(min = 1, max = 1_000))]
    pub datagrams_per_ms: u32,
    /// Datagrams that wait for the pacer per socket (16 to 65536); beyond it the newest is dropped and counted.
    #[schemars(range(min = 16, max = 65_536))]
    pub pacer_queue_datagrams: usize,
    /// Time between two connectivity checks of an address pair, in milliseconds (5 to 1000).
    #[schemars(range(min = 5, max = 1_000))]
    pub ice_check_ms: u64,
    /// A link that is not open after this time has failed, in milliseconds (100 to 120000).
    #[schemars(range(min = 100, max = 120_000))]
    pub setup_timeout_ms: u64,
    /// A peer that is silent for this time is gone, in milliseconds (1000 to 120000).
    #[schemars(range(min = 1_000, max = 120_000))]
    pub silence_timeout_ms: u64,
}

/// An inclusive range of UDP ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ports {
    /// The first port.
    #[schemars(range(min = 1))]
    pub first: u16,
    /// The last port.
    pub last: u16,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            bind_addresses: Vec::new(),
            include_loopback: true,
            ports: None,
            advertise: Vec::new(),
            window_bytes: 256 * 1024,
            socket_buffer_bytes: 2 * 1024 * 1024,
            datagrams_per_wakeup: 2,
            datagrams_per_ms: 4,
            pacer_queue_datagrams: 512,
            ice_check_ms: 20,
            setup_timeout_ms: 10_000,
            silence_timeout_ms: 8_000,
        }
    }
}

impl PluginConfig for Config {
    fn validate(&self, violations: &mut Violations) {
        let ranges = [
            ("window_bytes", u64::from(self.window_bytes), 64 << 10, 16 << 20),
            ("socket_buffer_bytes", self.socket_buffer_bytes as u64, 64 << 10, 1 << 30),
            ("datagrams_per_wakeup", u64::from(self.datagrams_per_wakeup), 1, 64),
            ("datagrams_per_ms", u64::from(self.datagrams_per_ms), 1, 1000),
            ("pacer_queue_datagrams", self.pacer_queue_datagrams as u64, 16, 65_536),
            ("ice_check_ms", self.ice_check_ms, 5, 1000),
            ("setup_timeout_ms", self.setup_timeout_ms, 100, 120_000),
            ("silence_timeout_ms", self.silence_timeout_ms, 1000, 120_000),
        ];
        for (name, value, least, most) in ranges {
            let wrong = !(least..=most).contains(&value);
            violations.push_if(wrong, name, format!("is {value}, expected {least} to {most}"));
        }
        self.validate_addresses(violations);
    }
}

impl Config {
    fn validate_addresses(&self, violations: &mut Violations) {
        if let Some(Ports { first, last }) = self.ports
            && (first == 0 || last < first)
        {
            let expected = "expected a first port above 0 and a last one not below it";
            violations.push("ports", format!("are {first} to {last}, {expected}"));
        }
        for address in self.bind_addresses.iter().filter(|address| address.is_unspecified() || address.is_multicast()) {
            let expected = "expected an interface's address, or an empty list for all";
            violations.push("bind_addresses", format!("has {address}, {expected}"));
        }
        for address in self.advertise.iter().filter(|address| address.is_unspecified() || address.is_multicast()) {
            violations.push("advertise", format!("has {address}, expected an address that others can reach"));
        }
    }

    pub(crate) fn ice_check(&self) -> Duration {
        Duration::from_millis(self.ice_check_ms)
    }

    pub(crate) fn setup_timeout(&self) -> Duration {
        Duration::from_millis(self.setup_timeout_ms)
    }

    pub(crate) fn silence_timeout(&self) -> Duration {
        Duration::from_millis(self.silence_timeout_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(config: &Config) -> Vec<String> {
        let mut violations = Violations::default();
        config.validate(&mut violations);
        violations.into_vec().into_iter().map(|it| format!("{} {}", it.path, it.message)).collect()
    }

    #[test]
    fn the_defaults_are_valid() {
        assert_eq!(problems(&Config::default()), [""; 0]);
    }

    #[test]
    fn all_problems_are_reported_at_once() {
        let config = Config {
            window_bytes: 1,
            datagrams_per_ms: 0,
            ports: Some(Ports { first: 9, last: 8 }),
            advertise: vec!["0.0.0.0".parse().unwrap()],
            ..Config::default()
        };
        let problems = problems(&config);
        assert_eq!(problems.len(), 4, "{problems:?}");
        assert_eq!(problems[0], "window_bytes is 1, expected 65536 to 16777216");
    }

    #[test]
    fn unknown_options_are_refused() {
        let error = serde_json::from_str::<Config>(r#"{"windows_bytes": 1}"#).unwrap_err();
        assert!(error.to_string().contains("unknown field `windows_bytes`"), "{error}");
        let ports: Config = serde_json::from_str(r#"{"ports": {"first": 5000, "last": 5010}}"#).unwrap();
        assert_eq!(ports.ports, Some(Ports { first: 5000, last: 5010 }));
    }
}
