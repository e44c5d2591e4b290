//! Notices about what is broadcast, as values: what a notice holds and lacks, which states a case has and who may change them, deadlines in
//! business days, the statements that claimants make, a log that shows what was changed later, and receipts.
//!
//! It never reads a clock, a file or chance, and it decides no case. A case is what its log says: [`Docket::apply`] is the only way to change one.
//!
//! ```
//! use peerstream_takedown::calendar::Date;
//!
//! // Ten business days after the Monday before Thanksgiving of 2026: the holiday and the weekends do not count.
//! let counter_notice = Date::parse("2026-11-23").unwrap();
//! assert_eq!(counter_notice.after_business_days(10).to_string(), "2026-12-08");
//! ```

pub mod action;
pub mod calendar;
pub mod counter;
pub mod docket;
pub mod draft;
pub mod fuzz;
pub mod hex;
pub mod ledger;
pub mod letter;
pub mod lumen;
pub mod notice;
pub mod outbox;
pub mod receipt;
pub mod record;
pub mod state;
pub mod statement;
pub mod text;

pub use action::Action;
pub use docket::{Docket, Lane};
pub use draft::Draft;
pub use ledger::{Entry, Happening, Signed};
pub use notice::{Notice, Profile};
pub use outbox::Posted;
pub use receipt::Receipt;
pub use record::Record;
pub use state::{Actor, State, Step};
