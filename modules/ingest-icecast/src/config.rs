//! The config of the listener.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use peerstream_sdk::prelude::*;

/// Where source clients connect, and what they may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where source clients connect: an address and a port.
    pub listen: SocketAddr,
    /// The mount point that source clients name.
    pub mount: String,
    /// The user that source clients name.
    pub user: String,
    /// The password of source clients. Empty: the broadcast's stream key, which `serve` shows.
    pub password: Secret,
    /// A source that connects takes over from an input that is on air, instead of being refused.
    pub takeover: bool,
    /// A source that sends nothing for this long has gone, in seconds.
    pub idle_s: u32,
    /// ffmpeg, by name or path, for what browsers do not play: MP3, Vorbis, FLAC.
    pub program: String,
    /// Of sound that has to be encoded, in kbit/s.
    pub kbps: u32,
    /// How much memory ffmpeg may have for its data, in MiB; 0 for no bound. Holds on Linux.
    pub memory_mib: u64,
}

impl Default for Config {
    /// Port 8000 of all addresses, mount `/live`.
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::UNSPECIFIED, 8000).into(),
            mount: "/live".into(),
            user: "source".into(),
            password: Secret::default(),
            takeover: false,
            idle_s: 10,
            program: "ffmpeg".into(),
            kbps: 128,
            memory_mib: 512,
        }
    }
}

impl Config {
    pub(crate) fn idle(&self) -> Duration {
        Duration::from_secs(self.idle_s.into())
    }
}

impl PluginConfig for Config {
    fn validate(&self, violations: &mut Violations) {
        let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'?' && byte != b'#');
        let mount =
            self.mount.len() > 1 && self.mount.starts_with('/') && self.mount.len() <= 128 && plain(&self.mount);
        violations.push_if(!mount, "mount", "is no mount point, expected a path such as /live");
        let user = !self.user.is_empty() && !self.user.contains(':') && plain(&self.user);
        violations.push_if(!user, "user", "is no user, expected a word without colon such as source");
        let short = (1..8).contains(&self.password.reveal().len());
        violations.push_if(short, "password", "has fewer than 8 characters: anybody who guesses it can broadcast");
        let idle = (1..=3600).contains(&self.idle_s);
        violations.push_if(!idle, "idle_s", format!("is {}, expected 1 to 3600", self.idle_s));
        let kbps = (8..=512).contains(&self.kbps);
        violations.push_if(!kbps, "kbps", format!("is {}, expected 8 to 512", self.kbps));
        violations.push_if(self.program.is_empty(), "program", "is empty, expected ffmpeg by name or path");
        let little = (1..64).contains(&self.memory_mib);
        violations.push_if(little, "memory_mib", "is below 64, expected at least 64, or 0 for no bound");
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
    fn a_config_is_read_and_all_problems_are_told_at_once() {
        let config: Config = serde_json::from_str(r#"{"listen": "[::]:9000", "mount": "/club.ogg"}"#).unwrap();
        assert_eq!((config.listen.port(), problems(&config)), (9000, 0));
        let bad = r#"{"mount": "live", "user": "a:b", "password": "short", "idle_s": 0, "kbps": 1}"#;
        assert_eq!(problems(&serde_json::from_str(bad).unwrap()), 5);
    }
}
