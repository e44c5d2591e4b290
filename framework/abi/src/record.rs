//! Fixed records for deciders: without pointers, little-endian, the same on every machine.

/// Something a decider is told. What each kind means by its fields stands beside the kinds.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// One of the constants of [`event`].
    pub kind: u16,
    /// Bits of [`flag`].
    pub flags: u16,
    /// See the kind.
    pub index: u32,
    /// The node it is about.
    pub node: u64,
    /// See the kind.
    pub a: u64,
    /// See the kind.
    pub b: u64,
    /// See the kind.
    pub time_us: u64,
    /// See the kind.
    pub v: [u32; 4],
    /// Zero.
    pub reserved: u64,
}

/// Something a decider wants.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Op {
    /// One of the constants of [`op`].
    pub code: u16,
    /// Zero.
    pub flags: u16,
    /// Operations of the same group are committed together or not at all; groups are numbered from 0 in order.
    pub group: u32,
    /// The node whose edges change.
    pub node: u64,
    /// See the code; [`NOBODY`] for none.
    pub target: u64,
    /// See the code; [`NOBODY`] for none.
    pub second: u64,
    /// See the code.
    pub value: u32,
    /// Zero.
    pub reserved: [u32; 3],
}

/// Where a node may be absent.
pub const NOBODY: u64 = u64::MAX;

/// Kinds of events.
pub mod event {
    /// A second or so has passed.
    pub const TICK: u16 = 1;
    /// A member without edges is there: `v[0]` its capacity, `time_us` when it joined, `b` its network or 0, flags. It may have left
    /// again: then
    /// `flags` has [`GONE`](super::flag::GONE).
    pub const JOINED: u16 = 2;
    /// A member is gone, and its edges with it.
    pub const LEFT: u16 = 3;
    /// What a member can do has changed: as [`JOINED`].
    pub const CHANGED: u16 = 4;
    /// `node` could not open a link to `a`.
    pub const LINK_FAILED: u16 = 5;
    /// This member serves worse than it should.
    pub const UNDERPERFORMS: u16 = 6;
    /// The group `index` of the last plan was not committed: `v[0]` a constant of [`reject`](super::reject), about `node`.
    pub const REJECTED: u16 = 7;
    /// The round trip between `node` and `a` is `v[0]` milliseconds.
    pub const ROUND_TRIP: u16 = 8;

    /// With [`ATTACH`](crate::op::ATTACH): a member, as [`JOINED`].
    pub const MEMBER: u16 = 16;
    /// With [`ATTACH`](crate::op::ATTACH): `a` feeds `node` the stripes `v[0]`.
    pub const PARENT: u16 = 17;
    /// With [`ATTACH`](crate::op::ATTACH): `a` backs up `node`.
    pub const BACKUP: u16 = 18;
    /// With [`ATTACH`](crate::op::ATTACH): `node` has standby links to `a` and `b`, the second being
    /// [`NOBODY`](super::NOBODY) when there is one alone.
    pub const STANDBY: u16 = 19;

    /// With [`DECIDE`](crate::op::DECIDE), first: `v` has the numbers of members, of those that struggle, and of those without a place.
    pub const OVERLOAD: u16 = 32;
    /// With [`DECIDE`](crate::op::DECIDE): a leaf concerned.
    pub const LEAF: u16 = 33;
}

/// Bits of an event's flags.
pub mod flag {
    /// It may feed others.
    pub const RELAY: u16 = 1;
    /// Its uplink is still to be measured.
    pub const UNTRIED: u16 = 2;
    /// It has left again.
    pub const GONE: u16 = 4;
}

/// Codes of operations.
pub mod op {
    /// `target` feeds `node` the stripes `value`, instead of whoever did.
    pub const SET_PARENT: u16 = 1;
    /// `target` feeds `node` when its parent fails.
    pub const SET_BACKUP: u16 = 2;
    /// `node` keeps open, unused links to `target` and `second`.
    pub const SET_STANDBY: u16 = 3;
    /// Takes all parents, the backup and the standbys of `node` away.
    pub const DETACH: u16 = 4;
    /// Of a ladder policy: `value` 0 lets `node` stay, 1 lowers it, 2 turns it away.
    pub const RUNG: u16 = 16;
}

/// Why a group was not committed.
pub mod reject {
    /// Something that this version of the interface has no number for.
    pub const OTHER: u32 = 0;
    /// The node is no member.
    pub const UNKNOWN: u32 = 1;
    /// The node is a member already.
    pub const KNOWN: u32 = 2;
    /// The source cannot be fed.
    pub const SOURCE: u32 = 3;
    /// The node would serve itself.
    pub const ITSELF: u32 = 4;
    /// The node would be fed no stripe.
    pub const NO_STRIPE: u32 = 5;
    /// The node would be its own ancestor.
    pub const CYCLE: u32 = 6;
    /// The node would have more children than its capacity.
    pub const CAPACITY: u32 = 7;
    /// The node would back more nodes than it has copies.
    pub const SPARE: u32 = 8;
    /// Too many nodes would stand by at the node.
    pub const STANDBY: u32 = 9;
    /// The group has too many operations.
    pub const TOO_LARGE: u32 = 10;
}

/// Records that a batch holds. Nothing if their number, stride or place makes no sense.
///
/// # Safety
/// `batch.records` points to `count` records of `stride` bytes.
#[inline]
pub unsafe fn events<'a>(batch: &crate::Batch) -> &'a [Event] {
    let fits = batch.stride as usize == size_of::<Event>() && (batch.records as usize).is_multiple_of(8);
    if batch.count == 0 || batch.records.is_null() || !fits {
        return &[];
    }
    // SAFETY: the caller's promise; every bit pattern is an event.
    unsafe { std::slice::from_raw_parts(batch.records.cast(), batch.count as usize) }
}

/// Operations as bytes.
pub fn op_bytes(ops: &[Op]) -> &[u8] {
    // SAFETY: `Op` has no padding (checked below), so all its bytes are initialised.
    unsafe { std::slice::from_raw_parts(ops.as_ptr().cast(), size_of_val(ops)) }
}

/// Reads operations from bytes of any alignment; none if they are not whole records.
pub fn read_ops(bytes: &[u8]) -> Option<impl Iterator<Item = Op> + '_> {
    let (records, rest) = bytes.as_chunks::<{ size_of::<Op>() }>();
    // SAFETY: every bit pattern is an operation, and the read need not be aligned.
    rest.is_empty().then(|| records.iter().map(|record| unsafe { record.as_ptr().cast::<Op>().read_unaligned() }))
}

/// Each field begins where the one before ends: no padding.
const _: () = {
    use std::mem::offset_of;
    assert!(size_of::<Event>() == 64 && align_of::<Event>() == 8);
    assert!(offset_of!(Event, flags) == 2 && offset_of!(Event, index) == 4 && offset_of!(Event, node) == 8);
    assert!(offset_of!(Event, a) == 16 && offset_of!(Event, b) == 24 && offset_of!(Event, time_us) == 32);
    assert!(offset_of!(Event, v) == 40 && offset_of!(Event, reserved) == 56);
    assert!(size_of::<Op>() == 48 && align_of::<Op>() == 8);
    assert!(offset_of!(Op, flags) == 2 && offset_of!(Op, group) == 4 && offset_of!(Op, node) == 8);
    assert!(offset_of!(Op, target) == 16 && offset_of!(Op, second) == 24 && offset_of!(Op, value) == 32);
    assert!(offset_of!(Op, reserved) == 36);
};
