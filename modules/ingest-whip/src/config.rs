//! The options of WHIP.

use std::net::IpAddr;

use peerstream_sdk::prelude::*;
use peerstream_sdk::traits::Secret;

/// Who may publish, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What a publisher must show as bearer token; not set: the publisher's stream key, which `peerstream serve` shows.
    pub key: Secret,
    /// A second publisher ends the first instead of being refused.
    pub takeover: bool,
    /// A key frame is asked for this often, in milliseconds (500 to 10000): viewers can join there.
    pub key_frame_ms: u64,
    /// Public addresses told to publishers in addition: for machines behind a 1:1 NAT.
    pub advertise: Vec<IpAddr>,
    /// UDP port of the media; 0 means any free one.
    pub udp_port: u16,
}

impl Default for Config {
    fn default() -> Self {
        Self { key: Secret::default(), takeover: false, key_frame_ms: 1_000, advertise: Vec::new(), udp_port: 0 }
    }
}

impl PluginConfig for Config {
    fn validate(&self, violations: &mut Violations) {
        let ms = self.key_frame_ms;
        violations.push_if(
            !(500..=10_000).contains(&ms),
            "key_frame_ms",
            &*format!("is {ms}, expected 500 to 10000 milliseconds"),
        );
        let short = !self.key.is_empty() && self.key.reveal().len() < 8;
        violations.push_if(short, "key", "is shorter than 8 characters");
        for address in self.advertise.iter().filter(|address| address.is_unspecified() || address.is_multicast()) {
            violations.push("advertise", format!("has {address}, expected an address that others can reach"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_problems_are_told_at_once() {
        let advertise = vec!["0.0.0.0".parse().unwrap()];
        let config = Config { key_frame_ms: 20, advertise, ..Config::default() };
        let mut violations = Violations::default();
        config.validate(&mut violations);
        assert_eq!(violations.into_vec().len(), 2);
    }
}
