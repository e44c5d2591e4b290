//! What a config says about notices.

use std::path::PathBuf;

use peerstream::takedown::{Confirmation, Rules};
use peerstream_sdk::prelude::*;

use super::puzzle::BITS_MAX;

/// Notices about what is broadcast; taken in where there is a compliance handler.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Takedown {
    /// Where cases and their files are kept; not set: `peerstream/takedown` in the user's data folder, a folder for each stream.
    #[schemars(example = "/var/lib/peerstream/takedown")]
    pub folder: Option<PathBuf>,
    /// Cases in PostgreSQL instead of a file in the folder, such as `postgres://user:password@host/database`; needs a host that was built with
    /// the feature `postgres`. One database or schema for each stream.
    pub database: Secret,
    /// Lets the operator in, at least 8 characters; not set: a token that `serve` prints at its start.
    pub password: Secret,
    /// Another number makes all tokens and logins of the operator given out so far worthless.
    pub links: u32,
    /// How a claimant's mail address is confirmed before a notice is a case: `mail` by a link in a mail, `operator` by the operator, `none`
    /// not at all.
    pub confirmation: Confirm,
    /// The mail server, such as `smtps://user:password@mail.example.org`; not set: no mails.
    pub smtp: Secret,
    /// From whom mails come, such as `live@example.org`.
    pub mail_from: String,
    /// Where the streamer gets mails about notices; not set: the dashboard alone tells.
    pub streamer_email: String,
    /// This host's address in mails and exports, such as `https://live.example.org`.
    pub url: String,
    /// Zero bits of the puzzle that a page solves before a notice is begun; each one more doubles the work.
    #[schemars(range(min = 1, max = 26))]
    pub puzzle_bits: u8,
    /// Business days that a claimant has to complete a notice.
    pub answer_business_days: u32,
    /// What was hidden is shown again so many business days after a counter-notice; the law says 10 to 14.
    #[schemars(range(min = 10, max = 14))]
    pub restore_business_days: u32,
    /// Whether that happens by itself.
    pub restore_by_itself: bool,
    /// Days after which personal data and files of a case are erased, unless it is held.
    pub retention_days: u32,
    /// The largest copy of a work, in mebibytes.
    pub copy_mib_max: u64,
    /// The most that is kept of the broadcast for one case, in mebibytes.
    pub evidence_mib_max: u64,
    /// All files of all cases together, in mebibytes.
    pub files_mib_max: u64,
    /// ffmpeg, which compares copies of works with what was streamed: a name to be found or a path.
    pub ffmpeg: PathBuf,
    /// The agent that is registered with the Copyright Office, for the page.
    pub agent: Agent,
}

/// How a claimant's mail address is confirmed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Confirm {
    /// By a link in a mail.
    Mail,
    /// By the operator.
    Operator,
    /// Not at all.
    #[default]
    None,
}

/// The designated agent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Agent {
    /// Name or position.
    pub name: String,
    /// Postal address.
    pub address: String,
    /// Telephone number.
    pub phone: String,
    /// Mail address.
    pub email: String,
}

impl Default for Takedown {
    fn default() -> Self {
        let rules = Rules::default();
        Self {
            folder: None,
            database: Secret::default(),
            password: Secret::default(),
            links: 1,
            confirmation: Confirm::None,
            smtp: Secret::default(),
            mail_from: String::new(),
            streamer_email: String::new(),
            url: String::new(),
            puzzle_bits: 16,
            answer_business_days: rules.answer_business_days,
            restore_business_days: rules.restore_business_days,
            restore_by_itself: rules.restore_by_itself,
            retention_days: rules.retention_days,
            copy_mib_max: rules.copy_bytes_max >> 20,
            evidence_mib_max: rules.bundle_bytes_max >> 20,
            files_mib_max: rules.files_bytes_max >> 20,
            ffmpeg: "ffmpeg".into(),
            agent: Agent::default(),
        }
    }
}

impl Takedown {
    /// For the runtime.
    pub fn rules(&self) -> Rules {
        Rules {
            confirmation: match self.confirmation {
                Confirm::Mail => Confirmation::Mail,
                Confirm::Operator => Confirmation::Operator,
                Confirm::None => Confirmation::None,
            },
            answer_business_days: self.answer_business_days,
            restore_business_days: self.restore_business_days,
            restore_by_itself: self.restore_by_itself,
            retention_days: self.retention_days,
            copy_bytes_max: self.copy_mib_max << 20,
            bundle_bytes_max: self.evidence_mib_max << 20,
            files_bytes_max: self.files_mib_max << 20,
            url: self.url.trim_end_matches('/').to_owned(),
            streamer_email: self.streamer_email.clone(),
            ..Rules::default()
        }
    }
}

/// Mebibytes, at most: what fits into bytes with room to spare.
const MIB_MAX: u64 = 1 << 40;

impl PluginConfig for Takedown {
    fn validate(&self, violations: &mut Violations) {
        crate::config::validate_password(&self.password, violations);
        if !self.database.reveal().is_empty() {
            let message = "this host was built without PostgreSQL, expected one built with `--features postgres`";
            violations.push_if(!cfg!(feature = "postgres"), "database", message);
        }
        let bits = format!("is {}, expected 1 to {BITS_MAX}", self.puzzle_bits);
        violations.push_if(!(1..=BITS_MAX).contains(&self.puzzle_bits), "puzzle_bits", bits);
        let days = format!("is {}, expected 10 to 14", self.restore_business_days);
        violations.push_if(!(10..=14).contains(&self.restore_business_days), "restore_business_days", days);
        let days = format!("is {}, expected 1 to 365", self.answer_business_days);
        violations.push_if(!(1..=365).contains(&self.answer_business_days), "answer_business_days", days);
        violations.push_if(self.retention_days == 0, "retention_days", "is 0, expected at least 1");
        for (name, mib) in [
            ("copy_mib_max", self.copy_mib_max),
            ("evidence_mib_max", self.evidence_mib_max),
            ("files_mib_max", self.files_mib_max),
        ] {
            violations.push_if(mib == 0 || mib > MIB_MAX, name, format!("is {mib}, expected 1 to {MIB_MAX}"));
        }
        let has_mail = !self.smtp.reveal().is_empty();
        let message = "is `mail`, but there is no mail server; expected smtp as well, or `operator` or `none`";
        violations.push_if(self.confirmation == Confirm::Mail && !has_mail, "confirmation", message);
        violations.push_if(
            has_mail && self.mail_from.is_empty(),
            "mail_from",
            "is not set, expected who sends the mails",
        );
        let is_mail = peerstream::traits::takedown::text::is_mail;
        let bad = !self.streamer_email.is_empty() && !is_mail(&self.streamer_email);
        violations.push_if(bad, "streamer_email", "is no mail address, expected one such as name@example.org");
        let is_page = self.url.is_empty() || peerstream::traits::takedown::text::is_page(&self.url);
        violations.push_if(!is_page, "url", "is no address, expected one such as https://live.example.org");
        violations.push_if(has_mail && self.url.is_empty(), "url", "is not set, but mails need it for their links");
    }
}
