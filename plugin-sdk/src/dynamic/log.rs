//! Log lines of the library go to its host: the library has a `tracing` of its own, which nobody else reads.

use std::cell::Cell;
use std::fmt::Write as _;
use std::sync::OnceLock;

use peerstream_abi::{Bytes, Host};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// The host's function. The first host that makes an instance gets all lines of the library; its log outlives the instance.
struct Forward(Host);

// SAFETY: the host's functions may be called from any thread.
unsafe impl Send for Forward {}
// SAFETY: as above.
unsafe impl Sync for Forward {}

/// From now on the host gets the lines.
pub(super) fn forward(host: Host) {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| {
        let _ = tracing::subscriber::set_global_default(Forward(host));
    });
}

impl Subscriber for Forward {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::DEBUG
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        // A host that shares this `tracing`, because the plug-in is a part of it, would log its own log.
        thread_local!(static LOGS: Cell<bool> = const { Cell::new(false) });
        if LOGS.replace(true) {
            return;
        }
        let mut line = Line::default();
        event.record(&mut line);
        let level = match *event.metadata().level() {
            Level::ERROR => 1,
            Level::WARN => 2,
            Level::INFO => 3,
            Level::DEBUG => 4,
            Level::TRACE => 5,
        };
        let target = event.metadata().target().as_bytes();
        let text = line.message + &line.fields;
        // SAFETY: the log function of a host may be called until its process ends.
        unsafe { (self.0.log)(self.0.ctx, level, Bytes::of(target), Bytes::of(text.as_bytes())) };
        LOGS.set(false);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            let _ = write!(self.message, "{value:?}");
        } else {
            let _ = write!(self.fields, " {}={value:?}", field.name());
        }
    }
}
