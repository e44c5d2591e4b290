//! What this host tells pages about relaying: the words of the notice, whether viewers are asked, and how much is taken from
//! them. A page that embeds the player says otherwise with the attributes of the same names.

use peerstream_sdk::prelude::*;

/// The longest notice, in characters.
const NOTICE_CHARS_MAX: usize = 500;
/// The longest address, in bytes.
const HREF_BYTES_MAX: usize = 2_000;

/// How a page deals with its viewer about relaying.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Consent {
    /// Nothing is relayed before the viewer has agreed.
    Ask,
    /// The page relays, and says so under the picture.
    #[default]
    Inform,
    /// The page relays and says nothing; the switch stays. For hosts whose viewers have agreed elsewhere.
    Silent,
}

/// What pages do on lines that cost by the byte, and where the viewer asks pages to save data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Metered {
    /// They relay there as well.
    Relay,
    /// They only watch.
    #[default]
    Rest,
}

/// What pages with this host's stream say about relaying, and how much they give; attributes of the player in a page come first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Player {
    /// Whether viewers are asked before their page relays, told that it does, or neither.
    pub consent: Consent,
    /// Whether pages relay on metered lines, and where the viewer asks pages to save data.
    pub metered: Metered,
    /// What is said under the picture while a page relays, in the host's own words.
    #[schemars(example = "While you watch, you pass the concert on to others.", length(max = 500))]
    pub notice: Option<String>,
    /// Where more is to be read about it: a whole address with http, https or mailto.
    #[schemars(example = "https://example.org/relaying")]
    pub notice_href: Option<String>,
    /// Megabits per second that a page uploads at most, also parts of one; not set: no cap besides two viewers for each page.
    #[schemars(example = 10)]
    pub upload_mbps: Option<f64>,
}

impl PluginConfig for Player {
    fn validate(&self, violations: &mut Violations) {
        let chars = self.notice.as_ref().map_or(0, |notice| notice.chars().count());
        let message = format!("has {chars} characters, expected at most {NOTICE_CHARS_MAX}");
        violations.push_if(chars > NOTICE_CHARS_MAX, "notice", message);
        let is_cap = self.upload_mbps.is_none_or(|cap| cap.is_finite() && cap >= 0.0);
        violations.push_if(!is_cap, "upload_mbps", "is no number of megabits per second");
        if let Some(href) = &self.notice_href {
            let known = ["http://", "https://", "mailto:"].iter().any(|scheme| href.starts_with(scheme));
            let wrong =
                !known || href.len() > HREF_BYTES_MAX || href.chars().any(|c| c.is_whitespace() || c.is_control());
            violations.push_if(wrong, "notice_href", "is no address that begins with http://, https:// or mailto:");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::Host;

    fn violations(player: &Player) -> usize {
        let mut violations = Violations::default();
        player.validate(&mut violations);
        violations.into_vec().len()
    }

    #[test]
    fn a_notice_leads_to_pages_and_not_to_scripts() {
        let to = |href: &str| Player { notice_href: Some(href.into()), ..Player::default() };
        for good in ["https://example.org/relaying", "http://[::1]:8080/", "mailto:us@example.org"] {
            assert_eq!(violations(&to(good)), 0, "{good}");
        }
        for bad in ["javascript:alert(1)", "policy.html", "", "https://a b"] {
            assert_eq!(violations(&to(bad)), 1, "{bad:?}");
        }
    }

    #[test]
    fn a_notice_is_no_novel() {
        let of = |chars: usize| Player { notice: Some("é".repeat(chars)), ..Player::default() };
        assert_eq!((violations(&of(NOTICE_CHARS_MAX)), violations(&of(NOTICE_CHARS_MAX + 1))), (0, 1));
    }

    #[test]
    fn a_cap_is_a_number_from_nothing_on() {
        let of = |cap| Player { upload_mbps: Some(cap), ..Player::default() };
        assert_eq!([0.0, 0.5, 10.0].map(|cap| violations(&of(cap))), [0; 3]);
        assert_eq!([-1.0, f64::NAN, f64::INFINITY].map(|cap| violations(&of(cap))), [1; 3]);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn pages_are_told_with_what_else_the_host_says() {
        let host = Host::start(|_| {}).await;
        let told: serde_json::Value = serde_json::from_str(&host.get("api/v1/stream", &[]).await.1).unwrap();
        let expected = serde_json::json!({
            "consent": "inform", "metered": "rest", "notice": null, "notice_href": null, "upload_mbps": null,
        });
        assert_eq!(told["player"], expected);
    }
}
