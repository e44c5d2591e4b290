//! What an operator can say about the handling of notices.

use std::time::Duration;

/// How a claimant's mail address is confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmation {
    /// By a link in a mail.
    Mail,
    /// By the operator, who has spoken to them for example.
    Operator,
    /// Not at all.
    None,
}

/// The rules of one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// How mail addresses are confirmed.
    pub confirmation: Confirmation,
    /// Business days that a claimant has to complete a notice.
    pub answer_business_days: u32,
    /// What was hidden is shown again so many business days after a counter-notice: 10 to 14.
    pub restore_business_days: u32,
    /// Whether that happens by itself; else the operator does it.
    pub restore_by_itself: bool,
    /// Personal data and files are erased so many days after a case has last changed.
    pub retention_days: u32,
    /// A copy of a work is no larger, in bytes.
    pub copy_bytes_max: u64,
    /// Evidence of one case is no larger, in bytes.
    pub bundle_bytes_max: u64,
    /// All files together are no larger, in bytes.
    pub files_bytes_max: u64,
    /// Cases that nobody has decided, at most; beyond it newcomers are told to come back.
    pub open_max: u64,
    /// The host's address in mails, without a slash at its end.
    pub url: String,
    /// Where the streamer gets mail about notices; empty for none.
    pub streamer_email: String,
    /// Between two looks at what is due.
    pub look_interval: Duration,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            confirmation: Confirmation::None,
            answer_business_days: 10,
            restore_business_days: 12,
            restore_by_itself: true,
            retention_days: 3 * 365,
            copy_bytes_max: 100 << 20,
            bundle_bytes_max: 1 << 30,
            files_bytes_max: 20 << 30,
            open_max: 10_000,
            url: String::new(),
            streamer_email: String::new(),
            look_interval: Duration::from_secs(20),
        }
    }
}
