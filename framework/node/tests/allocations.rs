//! A steady stream is received, kept and forwarded without an allocation per piece.

#[allow(dead_code)]
mod fed;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use fed::{Fed, Maker};
use peerstream_protocol::frame::Lane;
use peerstream_protocol::segment::PieceSize;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator unchanged; only a counter is kept beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_piece_is_received_and_forwarded_to_two_children_without_an_allocation() {
    let mut maker = Maker::new();
    let mut fed = Fed::new(&maker.cert.clone(), 2);
    let payload = vec![3; 50_000];
    for _ in 0..200 {
        let frames = maker.segment(&payload, PieceSize::Kib4);
        fed.feed_segment(&frames);
    }
    let frames = maker.segment(&payload, PieceSize::Kib4);
    fed.feed(Lane::Pieces, &frames.header);
    let before = ALLOCATIONS.with(Cell::get);
    let last = frames.pieces.len() - 1;
    for piece in &frames.pieces[..last] {
        assert_eq!(fed.feed(Lane::Pieces, piece), 2, "the piece goes to both children");
    }
    let during = ALLOCATIONS.with(Cell::get) - before;
    assert_eq!(during, 0, "{last} pieces cost {during} allocations");
}
