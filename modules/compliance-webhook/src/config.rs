//! The config of the handler.

use peerstream_sdk::prelude::*;
use peerstream_sdk::traits::compliance::Profile;

/// A secret is no shorter, in bytes.
const SECRET_BYTES_MIN: usize = 16;

/// Whom to ask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The platform's address to which cases are posted.
    pub url: String,
    /// What the posts are signed with: at least 16 bytes that the platform has too.
    pub secret: Secret,
    /// Milliseconds that the platform may take over an answer.
    pub timeout_ms: u64,
    /// The rules it is asked about: `dmca`, `dsa`, `house-rules`.
    #[schemars(with = "Vec<String>")]
    pub profiles: Vec<Profile>,
}

impl Default for Config {
    /// For a platform on the same machine, about all rules.
    fn default() -> Self {
        Self {
            url: "http://127.0.0.1:8090/takedown".into(),
            secret: Secret::default(),
            timeout_ms: 8_000,
            profiles: Profile::ALL.to_vec(),
        }
    }
}

impl PluginConfig for Config {
    fn validate(&self, violations: &mut Violations) {
        let scheme = ["http://", "https://"].into_iter().find(|scheme| self.url.starts_with(scheme));
        let authority =
            scheme.map_or("", |scheme| self.url[scheme.len()..].split(['/', '?', '#']).next().unwrap_or(""));
        let bad = authority.is_empty() || self.url.chars().any(|char| char.is_whitespace() || char.is_control());
        violations.push_if(bad, "url", "is no web address, expected such as https://example.org/takedown");
        // Whoever reads the config or a log would see them.
        violations.push_if(authority.contains('@'), "url", "has a user or password in it; the signature says who asks");
        let local = ["127.", "localhost", "[::1]"].iter().any(|host| authority.starts_with(host));
        let clear = scheme == Some("http://") && !local;
        violations.push_if(clear, "url", "would show who complains to everybody on the way, expected an https address");
        let short = self.secret.reveal().len() < SECRET_BYTES_MIN;
        violations.push_if(short, "secret", format!("is too short, expected at least {SECRET_BYTES_MIN} bytes"));
        violations.push_if(self.timeout_ms == 0, "timeout_ms", "is 0, expected at least 1");
        violations.push_if(
            self.profiles.is_empty(),
            "profiles",
            "is empty, expected at least one of dmca, dsa, house-rules",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(url: &str, secret: &str) -> Vec<String> {
        let config = Config { url: url.into(), secret: Secret::new(secret), ..Config::default() };
        let mut violations = Violations::default();
        config.validate(&mut violations);
        violations.into_vec().into_iter().map(|violation| violation.path).collect()
    }

    #[test]
    fn complaints_and_secrets_do_not_travel_in_the_clear() {
        let good = "0123456789abcdef";
        for url in ["https://example.org/x", "http://127.0.0.1:8090/x", "http://localhost/", "http://[::1]:1/"] {
            assert_eq!(problems(url, good), [""; 0], "{url}");
        }
        for url in ["http://example.org/x", "https://user:word@example.org/", "example.org", "https://", "https://a b/"]
        {
            assert_eq!(problems(url, good), ["url"], "{url}");
        }
        assert_eq!(problems("https://example.org/", "short"), ["secret"]);
    }
}
