//! The config of the push.

use std::path::PathBuf;

use peerstream_sdk::prelude::*;
use url::Url;

/// Where the broadcast is pushed to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The server and its application, without the stream key: `rtmp://host:1935/live`, or `rtmps://`.
    pub url: String,
    /// The stream key.
    pub key: Secret,
    /// The ffmpeg that pushes, by name or path.
    pub program: PathBuf,
    /// Bytes that wait for a server that is slow; beyond it whole groups of pictures are left out.
    pub buffer_bytes_max: usize,
    /// A server that takes nothing for so many seconds is given up, and tried again.
    pub stall_s: u32,
    /// Memory that ffmpeg may have, in MiB; 0 for no bound. Holds on Linux.
    pub memory_mib: u64,
}

impl Default for Config {
    /// For a server on the same machine. The buffer is eight seconds of 4 Mbit/s.
    fn default() -> Self {
        Self {
            url: "rtmp://127.0.0.1:1935/live".into(),
            key: Secret::default(),
            program: "ffmpeg".into(),
            buffer_bytes_max: 4 * 1024 * 1024,
            stall_s: 15,
            memory_mib: 512,
        }
    }
}

/// What is wrong with an address to be pushed to, if anything is.
pub(crate) fn wrong_url(text: &str) -> Option<String> {
    let expected = |found: &str| Some(format!("{found}, expected such as rtmp://host:1935/live"));
    let Ok(url) = Url::parse(text) else { return expected("is no address") };
    let application = url.path().trim_matches('/');
    match () {
        () if !matches!(url.scheme(), "rtmp" | "rtmps") => expected("is not of RTMP"),
        () if url.host_str().is_none_or(str::is_empty) => expected("names no server"),
        () if !url.username().is_empty() || url.password().is_some() => expected("holds a password"),
        () if url.query().is_some() || url.fragment().is_some() => expected("has a query: that belongs to `key`"),
        () if application.is_empty() => expected("names no application"),
        () if application.contains('/') => expected("has more than an application: the last part belongs to `key`"),
        () => None,
    }
}

impl PluginConfig for Config {
    fn validate(&self, violations: &mut Violations) {
        if let Some(wrong) = wrong_url(&self.url) {
            violations.push("url", wrong);
        }
        violations.push_if(self.key.is_empty(), "key", "is empty, expected the server's stream key");
        let lines = self.key.reveal().contains(['\n', '\r', '\0']);
        violations.push_if(lines, "key", "has more than one line");
        violations.push_if(self.program.as_os_str().is_empty(), "program", "is empty, expected ffmpeg by name or path");
        let small = self.buffer_bytes_max < 64 * 1024;
        violations.push_if(small, "buffer_bytes_max", "is below 65536, expected room for a group of pictures");
        violations.push_if(self.stall_s == 0, "stall_s", "is 0, expected at least 1");
        let little = (1..64).contains(&self.memory_mib);
        violations.push_if(little, "memory_mib", "is below 64, expected at least 64, or 0 for no bound");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_in_the_address_is_refused() {
        assert_eq!(wrong_url("rtmps://video.example.org:1936/live"), None);
        for (bad, word) in [
            ("rtmp://h/live/geheim", "belongs to `key`"),
            ("rtmp://h/live?key=x", "query"),
            ("rtmp://u:p@h/live", "password"),
            ("https://h/live", "not of RTMP"),
            ("rtmp://h", "no application"),
            ("h/live", "no address"),
        ] {
            assert!(wrong_url(bad).is_some_and(|said| said.contains(word)), "{bad}: {:?}", wrong_url(bad));
        }
    }
}
