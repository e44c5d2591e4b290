//! The rules of archives.

use std::sync::Arc;

use bytes::Bytes;
use peerstream_protocol::crypto::{PublicKey, SecretKey, hash};
use peerstream_protocol::header::{Context, Core, Flags, Header};
use peerstream_protocol::id::{Epoch, Rendition, Seq};
use peerstream_protocol::segment::{Init, InitId, Kind, PieceSize};
use peerstream_traits::ErrorClass;
use peerstream_traits::archive::{
    Item, LINES_MAX, Line, Manifest, Receipt, RecordingId, RestrictMode, Restriction, Segment, SharedArchive,
    StreamMeta,
};

use super::Rule;
use super::life::{started, stops};

/// Makes instances, each on a fresh place.
pub type Make = Box<dyn Fn() -> SharedArchive>;

/// Makes instances by this function.
pub fn of(make: impl Fn() -> SharedArchive + 'static) -> Make {
    Box::new(make)
}

/// The rules.
pub const RULES: &[Rule<Make>] = &[
    Rule {
        name: "it_stops_without_a_start_and_twice",
        why: "a start may fail, and a host that ends may have begun to end already",
        check: |make| stops(make),
    },
    Rule {
        name: "what_is_put_twice_is_kept_once",
        why: "after a failure nobody knows whether it was kept, so it is put again",
        check: twice,
    },
    Rule {
        name: "another_payload_under_the_same_number_is_a_conflict",
        why: "a recording that changes after the fact is worth nothing",
        check: conflict,
    },
    Rule {
        name: "the_same_broadcast_is_the_same_recording",
        why: "a host that was restarted goes on where it was",
        check: reopened,
    },
    Rule {
        name: "gaps_are_no_reason_to_fail",
        why: "what was dropped on the way is gone, the rest is not",
        check: gaps,
    },
    Rule {
        name: "a_recording_can_end_twice",
        why: "the end is told again when nobody knows whether it was heard",
        check: ends,
    },
    Rule {
        name: "what_it_can_do_it_does_and_nothing_else",
        why: "the framework relies on what an archive says it can do",
        check: honest,
    },
];

/// A broadcast to keep.
pub struct Stream {
    key: SecretKey,
    context: Context,
    prev: [u8; 32],
    init: InitId,
}

impl Stream {
    /// The broadcast of this number.
    pub fn new(epoch: u64) -> Self {
        let context = Context { stream: PublicKey([7; 32]), epoch: Epoch(epoch), rendition: Rendition(0) };
        Self { key: SecretKey::from_seed(&[9; 32]), context, prev: [0; 32], init: InitId::NONE }
    }

    /// What is told of it.
    pub fn meta(&self) -> StreamMeta {
        StreamMeta {
            stream: self.context.stream.to_string(),
            epoch: self.context.epoch,
            kind: Kind::Media,
            cert: "00ff".into(),
            title: Some("Friday night".into()),
        }
    }

    /// Its init.
    pub fn init(&mut self) -> Item {
        let encoded = Init { mime: "video/mp4".into(), title: String::new(), bytes: vec![1, 2, 3] }.encode();
        self.init = InitId::of(&encoded);
        Item::Init { id: self.init, encoded: encoded.into() }
    }

    /// A segment of it, signed.
    pub fn segment(&mut self, seq: u64, payload: &[u8]) -> Item {
        let core = Core {
            seq: Seq(seq),
            kind: Kind::Media,
            flags: Flags::JOIN_POINT,
            pts_us: seq * 200_000,
            duration_us: 200_000,
            wall_us: 1_700_000_000_000_000 + seq * 200_000,
            init: self.init,
            payload_len: payload.len() as u32,
            piece_size: PieceSize::Kib4,
            prev: self.prev,
        };
        let hashes = payload.chunks(PieceSize::Kib4.bytes()).map(hash).collect();
        let (header, chain) = Header::sign(&self.key, &self.context, core, hashes);
        self.prev = chain;
        let encoded = Bytes::from(header.encode());
        Item::Segment(Segment { header: Arc::new(header), encoded, payload: Bytes::copy_from_slice(payload) })
    }
}

/// Runs with an archive that was started and a recording of the first three segments.
fn recording<F: Future<Output = Result<(), String>>>(
    make: &Make,
    run: impl FnOnce(SharedArchive, RecordingId, Stream) -> F,
) -> Result<(), String> {
    started(make, |archive| async move {
        let mut stream = Stream::new(3);
        let id = archive.open(&stream.meta()).await.map_err(|error| format!("it does not open: {error}"))?;
        let items = [stream.init(), stream.segment(0, b"zero"), stream.segment(1, b"one"), stream.segment(2, b"two")];
        for item in &items {
            keep(&archive, &id, item, Receipt::Kept).await?;
        }
        run(archive, id, stream).await
    })
}

async fn keep(archive: &SharedArchive, id: &RecordingId, item: &Item, expected: Receipt) -> Result<(), String> {
    let receipt = archive.put(id, item).await.map_err(|error| format!("it does not keep an item: {error}"))?;
    if receipt == expected { Ok(()) } else { Err(format!("its receipt is {receipt:?}, expected {expected:?}")) }
}

fn twice(make: &Make) -> Result<(), String> {
    recording(make, |archive, id, _| async move {
        let mut again = Stream::new(3);
        for item in [again.init(), again.segment(0, b"zero"), again.segment(1, b"one")] {
            keep(&archive, &id, &item, Receipt::AlreadyKept).await?;
        }
        Ok(())
    })
}

fn conflict(make: &Make) -> Result<(), String> {
    recording(make, |archive, id, _| async move {
        let mut other = Stream::new(3);
        other.init();
        match archive.put(&id, &other.segment(0, b"forged")).await {
            Err(error) if error.class == ErrorClass::Conflict => Ok(()),
            Err(error) => Err(format!("it fails as {}, expected conflict: {error}", error.class.word())),
            Ok(receipt) => Err(format!("it says {receipt:?}")),
        }
    })
}

fn reopened(make: &Make) -> Result<(), String> {
    recording(make, |archive, id, mut stream| async move {
        let again = archive.open(&stream.meta()).await.map_err(|error| format!("it does not open again: {error}"))?;
        if again != id {
            return Err(format!("it is {again:?} after it was {id:?}"));
        }
        keep(&archive, &id, &stream.segment(3, b"three"), Receipt::Kept).await?;
        let other = archive.open(&Stream::new(4).meta()).await.map_err(|error| format!("another one: {error}"))?;
        if other == id { Err(format!("two broadcasts are both {id:?}")) } else { Ok(()) }
    })
}

fn gaps(make: &Make) -> Result<(), String> {
    recording(make, |archive, id, mut stream| async move {
        keep(&archive, &id, &stream.segment(9, b"nine"), Receipt::Kept).await
    })
}

fn manifest() -> Manifest {
    Manifest { first: Seq(0), end: Seq(3), gaps: Vec::new(), ended: true, resumed: vec![] }
}

fn ends(make: &Make) -> Result<(), String> {
    recording(make, |archive, id, _| async move {
        for _ in 0..2 {
            archive.finalize(&id, &manifest()).await.map_err(|error| format!("it does not end: {error}"))?;
        }
        Ok(())
    })
}

fn honest(make: &Make) -> Result<(), String> {
    recording(make, |archive, id, _| async move {
        archive.finalize(&id, &manifest()).await.map_err(|error| format!("it does not end: {error}"))?;
        let able = archive.capabilities();
        let read = archive.read(&id, Seq(1)).await;
        match &read {
            Ok(segment) if &segment.payload[..] != b"one" => return Err("it gives another payload".to_owned()),
            _ => check("read", able.read, read.map(drop))?,
        }
        if able.read {
            let missing = archive.read(&id, Seq(77)).await.map(drop);
            if !missing.as_ref().is_err_and(|error| error.class == ErrorClass::NotFound) {
                return Err(format!("a segment that was never kept is {missing:?}, expected not-found"));
            }
        }
        let listed = archive.list().await;
        if let (true, Ok(all)) = (able.list, &listed)
            && !all.iter().any(|recording| recording.id == id)
        {
            return Err("the recording is not listed".to_owned());
        }
        check("list", able.list, listed.map(drop))?;
        let lines = archive.index(&id, Seq(1), 1).await;
        if let (true, Ok(lines)) = (able.index, &lines) {
            expect_lines(lines, &[(1, false)])?;
            let all = archive.index(&id, Seq(0), LINES_MAX).await.map_err(|error| format!("its index: {error}"))?;
            expect_lines(&all, &[(0, false), (1, false), (2, false)])?;
            let init = archive.init(&id, all[0].init).await.map_err(|error| format!("an init it kept: {error}"))?;
            if InitId::of(&init) != all[0].init {
                return Err("it gives another init".to_owned());
            }
            let header = archive.header(&id, Seq(2)).await.map_err(|error| format!("a header it kept: {error}"))?;
            if !Header::decode(&header).is_ok_and(|header| header.core.seq == Seq(2)) {
                return Err("it gives another header".to_owned());
            }
            let missing = archive.init(&id, InitId([1; 16])).await;
            if !missing.as_ref().is_err_and(|error| error.class == ErrorClass::NotFound) {
                return Err(format!("an init that was never kept is {missing:?}, expected not-found"));
            }
        }
        check("index", able.index, lines.map(drop))?;
        if !able.index {
            check("init", false, archive.init(&id, InitId::NONE).await.map(drop))?;
            check("header", false, archive.header(&id, Seq(1)).await.map(drop))?;
        }
        let hide = Restriction { first: Seq(1), end: Seq(2), mode: RestrictMode::Hide };
        check("restrict", able.restrict, archive.restrict(&id, &hide).await)?;
        let hidden = archive.read(&id, Seq(1)).await;
        if able.read && able.restrict && !hidden.as_ref().is_err_and(|error| error.class == ErrorClass::Denied) {
            return Err("a segment that is withheld can be read".to_owned());
        }
        if able.index && able.restrict {
            let lines = archive.index(&id, Seq(0), 2).await.map_err(|error| format!("its index: {error}"))?;
            expect_lines(&lines, &[(0, false), (1, true)])?;
            archive.header(&id, Seq(1)).await.map_err(|error| format!("the header of what is withheld: {error}"))?;
        }
        Ok(())
    })
}

/// The numbers of an index and whether they are withheld.
fn expect_lines(lines: &[Line], expected: &[(u64, bool)]) -> Result<(), String> {
    let found: Vec<_> = lines.iter().map(|line| (line.seq.0, line.withheld)).collect();
    if found == expected { Ok(()) } else { Err(format!("its index holds {found:?}, expected {expected:?}")) }
}

fn check(what: &str, able: bool, result: Result<(), peerstream_traits::PluginError>) -> Result<(), String> {
    match (able, result) {
        (true, Ok(())) => Ok(()),
        (true, Err(error)) => Err(format!("it says that it can {what}, and does not: {error}")),
        (false, Err(error)) if error.class == ErrorClass::Unsupported => Ok(()),
        (false, other) => Err(format!("it says that it cannot {what}, and answers {other:?}, expected unsupported")),
    }
}
