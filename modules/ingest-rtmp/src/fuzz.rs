//! The bodies of the fuzz targets: `cargo fuzz` needs only a shell around [`fuzz_session`] and [`fuzz_tags`].

use bytes::Bytes;
use peerstream_sdk::traits::ingest::IngestEvent;

use crate::handshake::Handshake;
use crate::publication::Publication;
use crate::session::{Event, Session};

/// Takes bytes as an encoder's connection, whole and in pieces of a length taken from the first byte, the handshake done before if that
/// byte is even; panics if the two differ.
pub fn fuzz_session(data: &[u8]) {
    let Some((&first, input)) = data.split_first() else { return };
    let whole = session(input, first % 2 == 0, usize::MAX);
    assert_eq!(whole, session(input, first % 2 == 0, usize::from(first) + 1));
}

/// All that a session said, and how it ended.
fn session(input: &[u8], greeted: bool, len: usize) -> (Vec<Event>, Option<String>) {
    let mut session = Session::new("live", [0; Handshake::CHANCE_LEN]);
    if greeted {
        session.push(&[&[3][..], &[0; 3072]].concat()).expect("a plain handshake");
    }
    let mut events = Vec::new();
    for piece in input.chunks(len) {
        let mut pushed = session.push(piece);
        while let Some(event) = session.poll() {
            if let Event::Publish { .. } = event {
                pushed = pushed.and_then(|()| session.accept());
            }
            events.push(event);
        }
        assert!(session.output().len() < 64 * 1024 + 8 * piece.len(), "an answer to each question at most");
        if let Err(fault) = pushed {
            return (events, Some(fault.to_string()));
        }
    }
    (events, None)
}

/// Takes bytes as tags, each behind a byte of its length and one of its time; panics if what comes out breaks a promise.
pub fn fuzz_tags(mut data: &[u8]) {
    let (mut publication, mut events, mut time) = (Publication::new(0), Vec::new(), 0u32);
    while let [len, step, rest @ ..] = data {
        let (tag, rest) = rest.split_at(usize::from(len >> 1).min(rest.len()));
        time = time.wrapping_add(u32::from(*step).pow(2));
        let tag = Bytes::copy_from_slice(tag);
        let taken = if len & 1 == 0 { publication.video(time, &tag) } else { publication.audio(time, &tag) };
        events.extend(std::iter::from_fn(|| publication.poll()));
        if taken.is_err() {
            return;
        }
        data = rest;
    }
    if publication.finish().is_ok() {
        events.extend(std::iter::from_fn(|| publication.poll()));
    }
    events.retain(|event| !matches!(event, IngestEvent::Advice(_)));
    peerstream_media::fuzz::check_promises(&events);
}
