//! Plug-ins at work: the layers around each instance, its supervision, and how all of them stand.
//!
//! A host builds instances from its config and hands them in as [`Plugins`]; [`Plugins::start`] gives [`Running`], which
//! [`Broadcast::start_with`](crate::broadcast::Broadcast::start_with) feeds. Queues, batches, timeouts and retries are here and the
//! same for all; no plug-in contains them, and none of them can hold the broadcast up.

pub mod admission;
pub mod archive;
mod call;
pub mod caselog;
pub mod compliance;
mod coverage;
mod instance;
pub mod options;
mod queue;
mod running;
pub mod shelf;
mod state;
mod status;
mod supervisor;
pub mod telemetry;
pub mod ticket;
mod timeline;

pub use call::RETRY_AFTER_MAX;
pub(crate) use call::{AbortOnDrop, call_now};
pub use coverage::GAPS_MAX;
pub use instance::{Instance, Other, Plugins};
pub use running::{Running, StartError};
pub use state::State;
pub use status::{HostHealth, Identity, Shown, Status, Statuses, WHY_BYTES_MAX};
pub use timeline::MARKS_MAX;
