//! The numbers of methods. A number is never used for anything else; an unknown one is answered as unsupported.

/// The strategy takes over an overlay: `batch` with records of all members and edges.
pub const ATTACH: u32 = 1;
/// The strategy hears of events: `batch`.
pub const EVENTS: u32 = 2;
/// The ladder policy is asked: `batch`.
pub const DECIDE: u32 = 3;

/// How many members have no place: `call`, JSON number.
pub const WAITING: u32 = 16;
/// Where a node is in a word: `call` with a node's number, JSON text or null.
pub const PLACE: u32 = 17;
/// Why a node is where it is: `call` with a node's number, JSON text or null.
pub const EXPLAIN: u32 = 18;
/// What the strategy has moved so far: `call`, JSON of `[all, to optimise]`.
pub const MOVED: u32 = 22;
/// A hash of the plug-in's copy of the overlay: `call`, JSON text, or null if it has none.
pub const DIGEST: u32 = 19;
/// What a doer says of itself once: `call`, see [`crate::message::Traits`].
pub const TRAITS: u32 = 20;
/// How a doer is: `call`, JSON of `Health`.
pub const HEALTH: u32 = 21;

/// `Lifecycle::probe`: `submit`, null to null.
pub const PROBE: u32 = 32;
/// `Lifecycle::start`: `submit`, null to null.
pub const START: u32 = 33;
/// `Lifecycle::reload`: `submit`, options to JSON of `Reload`.
pub const RELOAD: u32 = 34;
/// `Lifecycle::stop`: `submit`, milliseconds to null.
pub const STOP: u32 = 35;

/// `TelemetrySink::write`: `submit`, a list of records to a `WriteReport`.
pub const WRITE: u32 = 48;
/// `TelemetrySink::flush`: `submit`, null to null.
pub const FLUSH: u32 = 49;

/// `ArchiveBackend::open`: `submit`, `StreamMeta` to the recording's name.
pub const ARCHIVE_OPEN: u32 = 64;
/// `ArchiveBackend::put`: `submit`, see [`crate::message::Put`], to a `Receipt`.
pub const ARCHIVE_PUT: u32 = 65;
/// `ArchiveBackend::finalize`: `submit`, `[recording, manifest]` to `Published`.
pub const ARCHIVE_FINALIZE: u32 = 66;
/// `ArchiveBackend::read`: `submit`, `[recording, seq]` to the header's length, header and payload beside it.
pub const ARCHIVE_READ: u32 = 67;
/// `ArchiveBackend::list`: `submit`, null to a list of recordings.
pub const ARCHIVE_LIST: u32 = 68;
/// `ArchiveBackend::restrict`: `submit`, `[recording, restriction]` to null.
pub const ARCHIVE_RESTRICT: u32 = 69;
/// `ArchiveBackend::index`: `submit`, `[recording, from, max]` to null, with the lines one after the other beside it. A host asks for
/// at most [`INDEX_LINES_MAX`](crate::INDEX_LINES_MAX) at once.
pub const ARCHIVE_INDEX: u32 = 70;
/// `ArchiveBackend::init`: `submit`, `[recording, id]` with the id in 32 hexadecimal digits to null, with the init beside it.
pub const ARCHIVE_INIT: u32 = 71;
/// `ArchiveBackend::header`: `submit`, `[recording, seq]` to null, with the header beside it.
pub const ARCHIVE_HEADER: u32 = 72;

/// `ComplianceHandler::assess`: `submit`, `Case` to `Decision`.
pub const ASSESS: u32 = 80;

/// `AdmissionPolicy::admit`: `submit`, `JoinRequest` to `Verdict`.
pub const ADMIT: u32 = 96;
