//! The signed header of a segment.
//!
//! The signature covers a core of fixed size, chained to the previous header of the epoch and rendition, which makes a
//! recording tamper-evident. What both ends of a link know already is signed but not sent; see `docs/wire.md`.

use crate::DecodeError;
use crate::bitmap::PIECES_MAX;
use crate::crypto::{Hash, PublicKey, SecretKey, Signature, Strict, Verifier};
use crate::id::{Epoch, Rendition, Seq};
use crate::segment::{InitId, Kind, PAYLOAD_BYTES_MAX, PieceSize};

/// Marks of a segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags(pub u8);

impl Flags {
    /// A viewer can start here.
    pub const JOIN_POINT: Self = Self(1);
    /// The timeline or the codec breaks before this segment.
    pub const DISCONTINUITY: Self = Self(2);
    /// The epoch ends here; no payload.
    pub const END: Self = Self(4);
    /// The source was cut short before this segment and goes on: what it had made right before may be lost.
    pub const RESUMED: Self = Self(8);
    const KNOWN: u8 = 15;

    /// Whether all of `other`'s marks are set.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both sets of marks.
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// What a node knows of a stream before any header comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Context {
    /// The publisher's key.
    pub stream: PublicKey,
    /// The broadcast.
    pub epoch: Epoch,
    /// The quality.
    pub rendition: Rendition,
}

/// The facts of a segment that its source signs, beside the [`Context`] and the piece hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Core {
    /// The number of the segment.
    pub seq: Seq,
    /// Media or data.
    pub kind: Kind,
    /// Marks.
    pub flags: Flags,
    /// Presentation time, microseconds on the payload's own timeline.
    pub pts_us: u64,
    /// Microseconds; 0 for data.
    pub duration_us: u32,
    /// The source's wall clock when the segment was complete, microseconds since 1970.
    pub wall_us: u64,
    /// The init this segment needs.
    pub init: InitId,
    /// Bytes of payload.
    pub payload_len: u32,
    /// How the payload is cut.
    pub piece_size: PieceSize,
    /// Hash of the previous header's signed bytes; zero for the first, and where a source that goes on does not know it.
    pub prev: Hash,
}

impl Core {
    /// How many pieces the payload has.
    pub fn piece_count(&self) -> usize {
        self.piece_size.count(self.payload_len as usize)
    }

    /// The length of one piece in bytes, 0 when there is no such piece.
    pub fn piece_len(&self, index: u8) -> usize {
        let start = usize::from(index) * self.piece_size.bytes();
        (self.payload_len as usize).saturating_sub(start).min(self.piece_size.bytes())
    }
}

/// A core with its piece hashes and signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The signed facts.
    pub core: Core,
    /// BLAKE3 of every piece, at most 256.
    pub hashes: Vec<Hash>,
    /// The epoch key's.
    pub signature: Signature,
}

const DOMAIN: &[u8; 20] = b"peerstream/segment/1";
const SIGNED_LEN: usize = 20 + 32 + 8 + 1 + 8 + 1 + 1 + 8 + 4 + 8 + 16 + 4 + 1 + 32 + 32;

/// The bytes a source signs for one segment.
pub struct Signed([u8; SIGNED_LEN]);

impl Signed {
    /// Lays out the signed bytes.
    pub fn new(context: &Context, core: &Core, hashes: &[Hash], verifier: &mut impl Verifier) -> Self {
        let root = verifier.hash(hashes.as_flattened());
        let mut bytes = [0; SIGNED_LEN];
        let mut rest = &mut bytes[..];
        let mut put = |field: &[u8]| {
            let (head, tail) = core::mem::take(&mut rest).split_at_mut(field.len());
            head.copy_from_slice(field);
            rest = tail;
        };
        put(DOMAIN);
        put(&context.stream.0);
        put(&context.epoch.0.to_le_bytes());
        put(&[context.rendition.0]);
        put(&core.seq.0.to_le_bytes());
        put(&[core.kind as u8, core.flags.0]);
        put(&core.pts_us.to_le_bytes());
        put(&core.duration_us.to_le_bytes());
        put(&core.wall_us.to_le_bytes());
        put(&core.init.0);
        put(&core.payload_len.to_le_bytes());
        put(&[core.piece_size as u8]);
        put(&root);
        put(&core.prev);
        Self(bytes)
    }

    /// What the next header's `prev` must be.
    pub fn hash(&self, verifier: &mut impl Verifier) -> Hash {
        verifier.hash(&self.0)
    }
}

impl Header {
    /// Signs a segment; returns the header and the hash that chains the next one.
    pub fn sign(key: &SecretKey, context: &Context, core: Core, hashes: Vec<Hash>) -> (Self, Hash) {
        let mut hasher = Strict::default();
        let signed = Signed::new(context, &core, &hashes, &mut hasher);
        (Self { core, hashes, signature: key.sign(&signed.0) }, signed.hash(&mut hasher))
    }

    /// The bytes that its signature is to be of.
    pub fn signed(&self, context: &Context, verifier: &mut impl Verifier) -> Signed {
        Signed::new(context, &self.core, &self.hashes, verifier)
    }

    /// The header as it travels and is kept, without what its [`Context`] says.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        encode(self, &mut out);
        out
    }

    /// Reads what [`Self::encode`] wrote. Not yet verified.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode(bytes)
    }

    /// Checks the signature of the bytes that [`Self::signed`] gave.
    pub fn is_genuine(&self, signed: &Signed, key: &PublicKey, verifier: &mut impl Verifier) -> bool {
        verifier.verify(key, &signed.0, &self.signature)
    }

    /// Checks the signature; returns the hash that chains the next header.
    pub fn verify(&self, key: &PublicKey, context: &Context, verifier: &mut impl Verifier) -> Option<Hash> {
        let signed = self.signed(context, verifier);
        self.is_genuine(&signed, key, verifier).then(|| signed.hash(verifier))
    }
}

/// Appends a header as it travels on a link.
pub(crate) fn encode(header: &Header, out: &mut Vec<u8>) {
    let core = &header.core;
    out.push(core.flags.0);
    out.push((core.kind as u8) << 4 | core.piece_size as u8);
    out.extend(core.seq.0.to_le_bytes());
    out.extend(core.pts_us.to_le_bytes());
    out.extend(core.duration_us.to_le_bytes());
    out.extend(core.wall_us.to_le_bytes());
    out.extend(core.payload_len.to_le_bytes());
    out.extend(core.init.0);
    out.extend(core.prev);
    out.extend(header.signature.to_bytes());
    out.extend(header.hashes.as_flattened());
}

/// Reads fields of fixed size from the front of bytes.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (head, tail) = self.0.split_first_chunk::<N>().ok_or(DecodeError::Malformed)?;
        self.0 = tail;
        Ok(*head)
    }

    fn u64(&mut self) -> Result<u64, DecodeError> {
        self.take().map(u64::from_le_bytes)
    }

    fn u32(&mut self) -> Result<u32, DecodeError> {
        self.take().map(u32::from_le_bytes)
    }

    fn hashes(self, count: usize) -> Result<Vec<Hash>, DecodeError> {
        let (hashes, []) = self.0.as_chunks::<32>() else { return Err(DecodeError::Malformed) };
        if hashes.len() != count {
            return Err(DecodeError::Malformed);
        }
        Ok(hashes.to_vec())
    }
}

/// Reads a header. Not yet verified.
pub(crate) fn decode(bytes: &[u8]) -> Result<Header, DecodeError> {
    let mut read = Reader(bytes);
    let [flags, shape] = read.take()?;
    let kind = match shape >> 4 {
        0 => Kind::Media,
        1 => Kind::Data,
        _ => return Err(DecodeError::Malformed),
    };
    let piece_size = PieceSize::from_code(shape & 15).ok_or(DecodeError::Malformed)?;
    let (seq, pts_us) = (Seq(read.u64()?), read.u64()?);
    let (duration_us, wall_us, payload_len) = (read.u32()?, read.u64()?, read.u32()?);
    let (init, prev) = (InitId(read.take()?), read.take()?);
    let signature = Signature::from_bytes(&read.take()?);
    let flags = Flags(flags);
    let core = Core { seq, kind, flags, pts_us, duration_us, wall_us, init, payload_len, piece_size, prev };
    if flags.0 & !Flags::KNOWN != 0 || payload_len as usize > PAYLOAD_BYTES_MAX || core.piece_count() > PIECES_MAX {
        return Err(DecodeError::Malformed);
    }
    Ok(Header { core, hashes: read.hashes(core.piece_count())?, signature })
}
