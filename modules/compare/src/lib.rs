//! Whether a claimant's source copy and an excerpt of a broadcast show the same. The answer sorts complaints for the people who
//! decide them; it decides nothing.
//!
//! Both files are hostile until proven otherwise. They are read by an ffmpeg inside a process of its own ([`run`], started and bounded by
//! [`Comparer`]) that has limits of time, memory, files and size, and can reach no network. Sound is compared by its chromaprint, pictures by a hash
//! of their brightness at four pictures a second.

mod align;
mod comparer;
mod decode;
mod picture;
mod report;
mod run;
mod sandbox;
mod sound;

pub use comparer::{Comparer, WAIT};
pub use report::{Found, Report, Track, Verdict};
pub use run::run;
