//! ffmpeg as a supervised child: found and asked what it can, started with a vector of arguments (never a shell), bounded, its
//! words logged without secrets, ended with all its processes.
//!
//! No plug-in of its own: what plug-ins that need ffmpeg share.

mod backoff;
mod child;
mod features;
pub mod output;
mod redact;
mod spawner;
mod words;

pub use backoff::{Backoff, PAUSE_MAX, PAUSE_MIN};
pub use child::{Child, Command, Ending};
pub use features::{Features, Program, ProgramError};
pub use redact::Redactor;
pub use words::LINE_BYTES_MAX;
