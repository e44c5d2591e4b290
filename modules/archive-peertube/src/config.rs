//! The config of the archive.

use std::path::PathBuf;

use peerstream_sdk::prelude::*;
use url::Url;

/// Who may see a video.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Privacy {
    /// Everybody, and it is listed.
    #[default]
    Public,
    /// Who has the link.
    Unlisted,
    /// Its owner.
    Private,
    /// Who has an account on the site.
    Internal,
}

impl Privacy {
    /// PeerTube's number for it.
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Public => 1,
            Self::Unlisted => 2,
            Self::Private => 3,
            Self::Internal => 4,
        }
    }

    /// The number for a playlist, which knows no internal ones.
    pub(crate) fn of_playlist(self) -> u8 {
        match self {
            Self::Internal => Self::Private.number(),
            privacy => privacy.number(),
        }
    }
}

/// Where videos go and how they are cut.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The site's address, such as `https://video.example.org`.
    pub url: String,
    /// The account's name.
    pub user: String,
    /// The account's password.
    pub password: Secret,
    /// The one-time code of an account with two factors, for the first login; after that the stored tokens are renewed.
    pub otp: Secret,
    /// The channel's name; the account's first channel when empty.
    pub channel: String,
    /// The folder in which parts wait; created when it is not there. One host at a time uses it.
    pub folder: PathBuf,
    /// Bytes of parts in the folder; segments for which there is no room are missing in the videos.
    pub spool_bytes_max: u64,
    /// How long a part is, in minutes; it ends with the next key frame.
    pub part_minutes: u32,
    /// One video for the whole broadcast, uploaded at its end, instead of parts.
    pub whole: bool,
    /// What videos are called; `{title}` and `{date}` are filled in, and the number of the part is added.
    pub name: String,
    /// What their description begins with; may be empty.
    pub description: String,
    /// Who may see them: `public`, `unlisted`, `private` or `internal`.
    pub privacy: Privacy,
    /// Videos are unlisted until the broadcast has ended and all of it is there.
    pub unlisted_until_end: bool,
    /// A playlist for each broadcast, with its parts in order.
    pub playlist: bool,
    /// Bytes that are sent in one request; halved by itself where a proxy takes less.
    pub chunk_bytes: u32,
    /// Bytes per second that uploads may take from the uplink; 0 for no bound.
    pub upload_bytes_per_second: u64,
    /// Milliseconds that the site may take to answer.
    pub timeout_ms: u64,
    /// Milliseconds until something that failed is tried again; doubles each time.
    pub pause_first_ms: u64,
    /// The longest pause in milliseconds, unless the site asks for a longer one; also the pause after it has refused.
    pub pause_max_ms: u64,
    /// The broadcast is on the site live too: pushed to a permanent live video. The site's administrator must allow it.
    pub live: bool,
    /// With `live`: the site keeps what it was shown as replays, and no parts are uploaded.
    pub replay: bool,
    /// The ffmpeg that pushes, by name or path; needed for `live` only.
    pub program: PathBuf,
}

impl Default for Config {
    /// For a site on the same machine, as PeerTube sets itself up.
    fn default() -> Self {
        Self {
            url: "http://127.0.0.1:9000".into(),
            user: "root".into(),
            password: Secret::default(),
            otp: Secret::default(),
            channel: String::new(),
            folder: "peertube".into(),
            spool_bytes_max: 20 * 1024 * 1024 * 1024,
            part_minutes: 12,
            whole: false,
            name: "{title}".into(),
            description: String::new(),
            privacy: Privacy::Public,
            unlisted_until_end: false,
            playlist: true,
            chunk_bytes: 4 * 1024 * 1024,
            upload_bytes_per_second: 0,
            timeout_ms: 60_000,
            pause_first_ms: 1_000,
            pause_max_ms: 300_000,
            live: false,
            replay: false,
            program: "ffmpeg".into(),
        }
    }
}

/// The least and the most that is sent in one request, in bytes. A chunk is held in memory.
pub(crate) const CHUNK_BYTES: std::ops::RangeInclusive<u32> = 64 * 1024..=64 * 1024 * 1024;

impl Config {
    /// The site's address without a slash at its end.
    pub(crate) fn base(&self) -> &str {
        self.url.trim_end_matches('/')
    }

    /// What videos are until the broadcast has ended.
    pub(crate) fn first_privacy(&self) -> Privacy {
        if self.unlisted_until_end { Privacy::Unlisted } else { self.privacy }
    }

    /// Whether parts are written and uploaded.
    pub(crate) fn keeps_parts(&self) -> bool {
        !(self.live && self.replay)
    }

    fn check_url(&self, violations: &mut Violations) {
        let message = || format!("is `{}`, expected such as https://video.example.org", self.url);
        let Some(url) = Url::parse(&self.url).ok().filter(|url| matches!(url.scheme(), "http" | "https")) else {
            return violations.push("url", message());
        };
        let plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
        violations.push_if(!plain || url.password().is_some(), "url", message());
        let local = matches!(url.host_str(), Some("localhost" | "[::1]"))
            || url.host_str().is_some_and(|host| host.starts_with("127."));
        let clear = url.scheme() == "http" && !local;
        violations.push_if(clear, "url", "would carry the password in the clear, expected an https address");
    }
}

impl PluginConfig for Config {
    fn validate(&self, violations: &mut Violations) {
        self.check_url(violations);
        violations.push_if(self.user.is_empty(), "user", "is empty, expected the account's name");
        violations.push_if(self.password.is_empty(), "password", "is empty, expected the account's password");
        violations.push_if(self.folder.as_os_str().is_empty(), "folder", "is empty, expected a path");
        let minutes = !(1..=720).contains(&self.part_minutes);
        violations.push_if(minutes, "part_minutes", format!("is {}, expected 1 to 720", self.part_minutes));
        let small = self.spool_bytes_max < 1024 * 1024;
        violations.push_if(small, "spool_bytes_max", "is below 1048576, expected room for a part at least");
        let chunk = !CHUNK_BYTES.contains(&self.chunk_bytes);
        let (min, max) = CHUNK_BYTES.into_inner();
        violations.push_if(chunk, "chunk_bytes", format!("is {}, expected {min} to {max}", self.chunk_bytes));
        violations.push_if(self.timeout_ms == 0, "timeout_ms", "is 0, expected at least 1");
        violations.push_if(self.pause_first_ms == 0, "pause_first_ms", "is 0, expected at least 1");
        let backwards = self.pause_max_ms < self.pause_first_ms;
        violations.push_if(backwards, "pause_max_ms", "is below `pause_first_ms`");
        violations.push_if(self.replay && !self.live, "replay", "needs `live = true`: there is nothing to replay");
        violations.push_if(self.replay && self.whole, "whole", "is of no use beside `replay`: nothing is uploaded");
        violations.push_if(self.name.trim().is_empty(), "name", "is empty, expected such as {title}");
        violations.push_if(self.description.len() > 5_000, "description", "has more than 5000 bytes");
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
    fn a_password_does_not_travel_in_the_clear() {
        let base = Config { password: Secret::new("geheim"), ..Config::default() };
        assert!(paths(&base).is_empty());
        for bad in ["http://video.example.org", "video.example.org", "https://u:p@example.org", "https://e.org/?x=1"] {
            assert_eq!(paths(&Config { url: bad.into(), ..base.clone() }), ["url"], "{bad}");
        }
        assert!(paths(&Config { url: "https://video.example.org/".into(), ..base }).is_empty());
    }

    #[test]
    fn all_problems_are_told_at_once() {
        let config = Config { part_minutes: 0, chunk_bytes: 1, replay: true, whole: true, ..Config::default() };
        assert_eq!(paths(&config), ["password", "part_minutes", "chunk_bytes", "replay", "whole"]);
    }
}
