//! What is linked into this binary: the only place that names plug-in crates.

use peerstream_archive_file as _;
use peerstream_archive_peertube as _;
use peerstream_archive_rtmp_push as _;
use peerstream_archive_store as _;
use peerstream_compliance_queue as _;
use peerstream_compliance_webhook as _;
use peerstream_dumbbell as _;
use peerstream_ingest_ffmpeg as _;
use peerstream_ingest_icecast as _;
use peerstream_ingest_pipe as _;
use peerstream_ingest_rtmp as _;
use peerstream_ingest_whip as _;
use peerstream_proximity as _;
use peerstream_registry::{Registry, RegistryError};
use peerstream_step_down as _;
use peerstream_striped as _;
use peerstream_telemetry_jsonl as _;
use peerstream_telemetry_otlp as _;
use peerstream_telemetry_prometheus as _;
use peerstream_transport_webrtc as _;

/// Solves the puzzle of a host that wants work, for [`crate::porter`].
pub use peerstream_admission::work::solve as solve_puzzle;
/// Makes puzzles, for [`crate::takedown`].
pub use peerstream_admission::{Work, WorkConfig};

/// Writes a file that can be played at any moment, for [`crate::recording`].
pub use peerstream_archive_file::{Sync, Tape};
/// Keeps cases in a database, for [`crate::takedown`].
#[cfg(feature = "postgres")]
pub use peerstream_casebook_postgres::Postgres;
/// Keeps cases, for [`crate::takedown`].
pub use peerstream_casebook_sqlite::Sqlite;
/// Compares a copy of a work with an excerpt, in a process that can do little else, for [`crate::comparison`].
pub use peerstream_compare::{Comparer, Report as ComparisonReport, Verdict as Compared, WAIT, run as compare};
/// Plays a clip in memory, for [`crate::clip`].
pub use peerstream_ingest_pipe::Pipe;
/// Sends mails, for [`crate::takedown`].
pub use peerstream_mail_smtp::Smtp;
/// Writes figures as Prometheus reads them, for [`crate::metrics`].
pub use peerstream_telemetry_prometheus::{CONTENT_TYPE as METRICS_TYPE, text as metrics_text};
/// Tells viewers their public address, for [`crate::stun`].
pub use peerstream_transport_webrtc::stun::Server as StunServer;

/// The plug-ins of this binary.
pub fn registry() -> Result<Registry, RegistryError> {
    Registry::linked()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A crate that is only in `Cargo.toml` is left out by the linker without a word: this list is what must be there.
    const LINKED: &[&str] = &[
        "strategy/dumbbell",
        "strategy/proximity",
        "strategy/striped",
        "ladder/step-down",
        "telemetry/jsonl",
        "telemetry/otlp",
        "telemetry/prometheus",
        "archive/file",
        "archive/peertube",
        "archive/rtmp-push",
        "archive/store",
        "compliance/queue",
        "compliance/webhook",
        "admission/open",
        "admission/proof-of-work",
        "admission/token",
        "transport/webrtc",
        "ingest/clip",
        "ingest/ffmpeg",
        "ingest/icecast",
        "ingest/pipe",
        "ingest/rtmp",
        "ingest/whip",
    ];

    #[test]
    fn every_plugin_of_the_list_is_linked_and_no_other() {
        let registry = registry().unwrap();
        let found: Vec<_> = registry.entries().map(peerstream_registry::Entry::id).collect();
        assert_eq!(found, LINKED);
    }

    #[test]
    fn the_defaults_of_every_plugin_are_valid() {
        for entry in registry().unwrap().entries() {
            // A secret has no good default.
            let is_secret = |path: &str| entry.schema["properties"][path]["format"] == "secret";
            let found: Vec<_> = (entry.check)(&entry.defaults).into_iter().filter(|it| !is_secret(&it.path)).collect();
            assert_eq!(found, [], "{}", entry.id());
        }
    }
}
