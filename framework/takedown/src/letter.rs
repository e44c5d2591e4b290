//! The mails that are sent about a case, as values. What strangers wrote stands in bodies only, never in a subject or an address.

use serde::{Deserialize, Serialize};

use crate::action::Action;
use crate::calendar::Date;
use crate::docket::Docket;
use crate::notice::{Notice, Profile};
use crate::text::is_mail;

/// To whom a mail is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Whom {
    /// Who complains.
    #[default]
    Claimant,
    /// Who streams.
    Streamer,
}

/// A mail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Letter {
    /// Who that is.
    #[serde(default)]
    whom: Whom,
    /// To this address.
    to: String,
    /// What it is about.
    subject: String,
    /// Plain text.
    body: String,
}

/// Who writes, and where its pages are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sender {
    /// The host's address, such as `https://live.example.org`, without a slash at its end.
    pub url: String,
}

impl Letter {
    /// A letter, if the address is one.
    fn new(whom: Whom, to: &str, subject: String, lines: &[&str]) -> Option<Self> {
        debug_assert!(!subject.contains(char::is_control));
        let footer = "--\nThis mail was sent by a PeerStream host about a notice. It is no legal advice.";
        let body = format!("{}\n\n{footer}\n", lines.join("\n\n"));
        is_mail(to).then(|| Self { whom, to: to.to_owned(), subject, body })
    }

    /// To whom.
    pub fn whom(&self) -> Whom {
        self.whom
    }

    /// Their address.
    pub fn to(&self) -> &str {
        &self.to
    }

    /// What it is about: one line.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Plain text.
    pub fn body(&self) -> &str {
        &self.body
    }
}

impl Sender {
    /// Asks a claimant to confirm their address with this token.
    pub fn confirmation(&self, to: &str, token: &str) -> Option<Letter> {
        let link = format!("{}/takedown/confirm#{token}", self.url);
        let lines = [
            "Somebody, probably you, has filled in a notice about a broadcast on this host and named this mail address.",
            "To send the notice in, open this page within 24 hours and confirm it:",
            &link,
            "If it was not you, do nothing: the notice is deleted, and you get no other mail.",
        ];
        Letter::new(Whom::Claimant, to, "Please confirm your notice".into(), &lines)
    }

    /// Confirms that a notice came in, as article 16(4) of the DSA demands.
    pub fn received(&self, to: &str, docket: &Docket) -> Option<Letter> {
        let day = format!("Your notice has come in on {} (UTC).", Date::of_us(docket.received_us));
        let lines =
            [&day, "You can see how it stands with the receipt or the link that you were given.", &self.status(docket)];
        Letter::new(Whom::Claimant, to, format!("Notice {} has come in", docket.id), &lines)
    }

    /// Asks a claimant for what is missing.
    pub fn asked(&self, to: &str, docket: &Docket) -> Option<Letter> {
        let until = docket.answer_by_us.map_or(String::new(), |us| Date::of_us(us - 1).to_string());
        let fields: Vec<_> = docket.asked.iter().map(|field| format!("- {field}")).collect();
        let (fields, until) = (fields.join("\n"), format!("Please complete it until the end of {until} (UTC):"));
        let lines = ["Something that is needed is missing in your notice:", &fields, &until, &self.status(docket)];
        Letter::new(Whom::Claimant, to, format!("Notice {} is not complete", docket.id), &lines)
    }

    /// Tells a claimant the decision and what they can do about it, as article 16(5) of the DSA demands.
    pub fn decided(&self, to: &str, docket: &Docket) -> Option<Letter> {
        let ruling = docket.ruling.as_ref()?;
        let outcome = if ruling.accepted { "Your notice was accepted." } else { "Your notice was rejected." };
        let reason = if ruling.reason.is_empty() { String::new() } else { format!("Reason:\n{}", ruling.reason) };
        let status = self.status(docket);
        let mut lines = vec![outcome];
        lines.extend(Some(reason.as_str()).filter(|reason| !reason.is_empty()));
        lines.extend([redress(docket.profile), status.as_str()]);
        Letter::new(Whom::Claimant, to, format!("Notice {} was decided", docket.id), &lines)
    }

    /// Tells the streamer of a notice and of what was done: the statement of reasons of article 17 of the DSA.
    pub fn to_streamer(&self, to: &str, docket: &Docket, notice: &Notice) -> Option<Letter> {
        let rules = match docket.profile {
            Profile::Dmca => "under 17 U.S.C. 512(c)(3) (DMCA)",
            Profile::Dsa => "under article 16 of the Digital Services Act",
            Profile::HouseRules => "about the rules of this host",
        };
        let about = format!("A notice {rules} concerns your broadcast {}.", docket.epoch);
        let place = docket
            .material
            .times()
            .map(|(from, to)| format!("From {} s to {} s of it.", from / 1000, to.div_ceil(1000)));
        let work = format!("What it is about:\n{}", quoted(&notice.work.title));
        let explanation = format!("In the claimant's words:\n{}", quoted(&notice.explanation));
        let done = docket.done.iter().filter(|it| it.error.is_none() && it.action != Action::NotifyPublisher);
        let done: Vec<_> = done.map(|it| it.action.word()).collect();
        let done = if done.is_empty() { String::new() } else { format!("What was done: {}.", done.join(", ")) };
        let reason = docket.ruling.as_ref().map(|ruling| format!("Reason:\n{}", quoted(&ruling.reason)));
        let page = format!("You can see it, and object to it, on your dashboard: {}/dashboard", self.url);
        let mut lines = vec![about.as_str()];
        lines.extend(
            [place.as_deref(), Some(&work), Some(&explanation), reason.as_deref(), Some(&done)].into_iter().flatten(),
        );
        lines.retain(|line| !line.is_empty());
        lines.push(&page);
        Letter::new(Whom::Streamer, to, format!("A notice about your broadcast: case {}", docket.id), &lines)
    }

    /// Sends a claimant the streamer's objection, as 17 U.S.C. 512(g)(2)(B) demands.
    pub fn countered(&self, to: &str, docket: &Docket, name: &str, explanation: &str) -> Option<Letter> {
        let window = docket.restore_from_us.zip(docket.restore_by_us).map(|(from, by)| {
            let (from, by) = (Date::of_us(from), Date::of_us(by - 1));
            format!(
                "What was hidden will be shown again between {from} and {by} unless you report a court action before."
            )
        });
        let who = format!("{} has objected to your notice.", if name.is_empty() { "The streamer" } else { name });
        let words = format!("In their words:\n{}", quoted(explanation));
        let status = self.status(docket);
        let mut lines = vec![who.as_str(), &words];
        lines.extend(window.as_deref());
        lines.push(&status);
        Letter::new(Whom::Claimant, to, format!("A counter-notice in case {}", docket.id), &lines)
    }

    /// Tells somebody that what was hidden is shown again.
    pub fn restored(&self, whom: Whom, to: &str, docket: &Docket) -> Option<Letter> {
        let status = self.status(docket);
        let lines = ["What was hidden because of this notice is shown again.", &status];
        Letter::new(whom, to, format!("Case {}: what was hidden is shown again", docket.id), &lines)
    }

    fn status(&self, docket: &Docket) -> String {
        format!("The case: {}/takedown/status#{}", self.url, docket.id)
    }
}

/// What somebody can do who does not agree with a decision.
pub const fn redress(profile: Profile) -> &'static str {
    match profile {
        Profile::Dmca => {
            "If you do not agree, answer this host's designated agent. The streamer may send a counter-notice under 17 U.S.C. 512(g)(3)."
        }
        Profile::Dsa => {
            "If you do not agree, you can complain to this host, turn to a certified out-of-court dispute settlement body, or go to court."
        }
        Profile::HouseRules => "If you do not agree, write to this host.",
    }
}

/// Text of others, marked as such on each line.
fn quoted(text: &str) -> String {
    text.lines().map(|line| format!("> {line}")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sender() -> Sender {
        Sender { url: "https://live.example.org".into() }
    }

    #[test]
    fn the_link_to_confirm_is_in_the_mail() {
        let letter = sender().confirmation("a@example.org", "abc").unwrap();
        assert!(letter.body().contains("https://live.example.org/takedown/confirm#abc\n"), "{}", letter.body());
    }

    #[test]
    fn nothing_is_sent_to_what_is_no_address() {
        for to in ["", "a", "a@example.org\r\nBcc: b@example.org", "a@example.org, b@example.org"] {
            assert_eq!(sender().confirmation(to, "abc"), None, "{to}");
        }
    }

    #[test]
    fn text_of_others_is_marked() {
        assert_eq!(quoted("a\n.\nSubject: x"), "> a\n> .\n> Subject: x");
    }
}
