//! The functions of the module, as the TypeScript driver calls them.
//!
//! Bytes go in through one buffer ([`ps_buffer`]); records, texts and their bytes come out as places in linear memory that
//! stay valid until the next call. Times are microseconds of `performance.now()` as a float. What returns an `i32` returns
//! the number of records, or a negative [`Failure`]. After a panic the module is stopped for good: the driver drops it
//! and loads a fresh one.

use std::cell::RefCell;

use peerstream_node::{Input, Keeping, LinkId, PlayerState, Playout};
use peerstream_protocol::time::Micros;

use crate::record::{RECORD_BYTES, lane};
use crate::table::{Table, micros};
use crate::{ABI_VERSION, Failure, INPUT_BYTES_MAX, evidence, signalling, status};

#[link(wasm_import_module = "peerstream")]
unsafe extern "C" {
    /// Receives the message of a panic, as UTF-8, just before the module stops.
    fn panicked(text: *const u8, len: usize);
}

/// One record as it lies in linear memory; see [`crate::record`].
#[repr(C)]
#[derive(Clone, Copy)]
struct Flat {
    kind: u32,
    a: u32,
    b: u32,
    start: *const u8,
    len: usize,
    zero: u32,
    value: f64,
}

const _: () = assert!(size_of::<Flat>() == RECORD_BYTES);

#[derive(Default)]
struct Module {
    table: Table,
    input: Vec<u8>,
    flat: Vec<Flat>,
    text: Vec<u8>,
}

thread_local! {
    static MODULE: RefCell<Module> = RefCell::default();
}

fn with(call: impl FnOnce(&mut Module) -> Result<i32, Failure>) -> i32 {
    MODULE.with(|module| match module.try_borrow_mut() {
        Ok(mut module) => call(&mut module).unwrap_or_else(|failure| failure as i32),
        Err(_) => Failure::Busy as i32,
    })
}

fn told(handle: u32, now: f64, input: Input<'_>) -> i32 {
    with(|module| module.tell(handle, micros(now), input))
}

fn told_bytes(handle: u32, now: f64, len: usize, input: impl FnOnce(&[u8]) -> Input<'_>) -> i32 {
    with(|module| {
        let bytes = std::mem::take(&mut module.input);
        let result = match bytes.get(..len) {
            Some(bytes) => module.tell(handle, micros(now), input(bytes)),
            None => Err(Failure::Input),
        };
        module.input = bytes;
        result
    })
}

impl Module {
    fn tell(&mut self, handle: u32, now: Micros, input: Input<'_>) -> Result<i32, Failure> {
        self.table.get(handle)?.handle(now, input);
        self.flatten(handle)
    }

    fn flatten(&mut self, handle: u32) -> Result<i32, Failure> {
        let session = self.table.get(handle)?;
        self.flat.clear();
        self.flat.extend(session.records().iter().map(|record| {
            let bytes = session.bytes(record);
            let (start, len) = (bytes.as_ptr(), bytes.len());
            Flat { kind: record.kind as u32, a: record.a, b: record.b, start, len, zero: 0, value: record.value }
        }));
        Ok(self.flat.len() as i32)
    }

    fn input(&self, len: usize) -> Result<&[u8], Failure> {
        self.input.get(..len).ok_or(Failure::Input)
    }
}

/// The version of this interface.
#[unsafe(no_mangle)]
pub extern "C" fn ps_abi() -> u32 {
    ABI_VERSION
}

/// Once, before anything else: sends panics to the driver.
#[unsafe(no_mangle)]
pub extern "C" fn ps_start() {
    std::panic::set_hook(Box::new(|info| {
        let text = info.to_string();
        // SAFETY: the driver's function only reads these bytes, before it returns.
        unsafe { panicked(text.as_ptr(), text.len()) };
    }));
}

/// The input buffer, with room for `len` bytes; null beyond the bound. It moves only when it grows.
#[unsafe(no_mangle)]
pub extern "C" fn ps_buffer(len: usize) -> *mut u8 {
    let mut buffer = std::ptr::null_mut();
    with(|module| {
        if len > INPUT_BYTES_MAX {
            return Err(Failure::Input);
        }
        if module.input.len() < len {
            module.input.resize(len, 0);
        }
        buffer = module.input.as_mut_ptr();
        Ok(0)
    });
    buffer
}

/// The records of the last call.
#[unsafe(no_mangle)]
pub extern "C" fn ps_records() -> *const u8 {
    MODULE.with(|module| module.try_borrow().map_or(std::ptr::null(), |module| module.flat.as_ptr().cast()))
}

/// The text or bytes of the last call that made one.
#[unsafe(no_mangle)]
pub extern "C" fn ps_text() -> *const u8 {
    MODULE.with(|module| module.try_borrow().map_or(std::ptr::null(), |module| module.text.as_ptr()))
}

/// How many bytes lie at [`ps_text`].
#[unsafe(no_mangle)]
pub extern "C" fn ps_text_len() -> usize {
    MODULE.with(|module| module.try_borrow().map_or(0, |module| module.text.len()))
}

/// Makes a node of the config in the buffer ([`crate::config`]); returns its handle. [`ps_first`] has its first orders.
#[unsafe(no_mangle)]
pub extern "C" fn ps_node(len: usize, now: f64) -> i32 {
    with(|module| {
        let bytes = module.input(len)?.to_vec();
        Ok(module.table.create(&bytes, micros(now))? as i32)
    })
}

/// The orders of a node's last call once more; after [`ps_node`], the first ones.
#[unsafe(no_mangle)]
pub extern "C" fn ps_first(handle: u32) -> i32 {
    with(|module| module.flatten(handle))
}

/// Forgets a node.
#[unsafe(no_mangle)]
pub extern "C" fn ps_drop(handle: u32) {
    with(|module| {
        module.table.remove(handle);
        Ok(0)
    });
}

/// The control connection is open.
#[unsafe(no_mangle)]
pub extern "C" fn ps_control_up(handle: u32, now: f64) -> i32 {
    told(handle, now, Input::ControlUp)
}

/// The control connection ended or could not be opened.
#[unsafe(no_mangle)]
pub extern "C" fn ps_control_down(handle: u32, now: f64) -> i32 {
    told(handle, now, Input::ControlDown)
}

/// The buffer holds a message from the coordinator.
#[unsafe(no_mangle)]
pub extern "C" fn ps_control(handle: u32, now: f64, len: usize) -> i32 {
    told_bytes(handle, now, len, |bytes| Input::Control(bytes))
}

/// A link is open and takes `credit` bytes.
#[unsafe(no_mangle)]
pub extern "C" fn ps_link_up(handle: u32, now: f64, link: u32, credit: u32) -> i32 {
    told(handle, now, Input::LinkUp(LinkId(link), credit))
}

/// An open link ended.
#[unsafe(no_mangle)]
pub extern "C" fn ps_link_down(handle: u32, now: f64, link: u32) -> i32 {
    told(handle, now, Input::LinkDown(LinkId(link)))
}

/// A link never opened.
#[unsafe(no_mangle)]
pub extern "C" fn ps_link_failed(handle: u32, now: f64, link: u32) -> i32 {
    told(handle, now, Input::LinkFailed(LinkId(link)))
}

/// The buffer holds a set-up message for the other side of a link.
#[unsafe(no_mangle)]
pub extern "C" fn ps_link_signal(handle: u32, now: f64, link: u32, len: usize) -> i32 {
    told_bytes(handle, now, len, |bytes| Input::LinkSignal(LinkId(link), bytes))
}

/// The buffer holds a frame that arrived on a link; `code` is its lane.
#[unsafe(no_mangle)]
pub extern "C" fn ps_frame(handle: u32, now: f64, link: u32, code: u32, len: usize) -> i32 {
    match lane(code) {
        Some(lane) => told_bytes(handle, now, len, |bytes| Input::Frame(LinkId(link), lane, bytes)),
        None => Failure::Input as i32,
    }
}

/// A link takes this many bytes now.
#[unsafe(no_mangle)]
pub extern "C" fn ps_writable(handle: u32, now: f64, link: u32, credit: u32) -> i32 {
    told(handle, now, Input::Writable(LinkId(link), credit))
}

/// How the media element stands. `next` is negative when there is no later range; bit 0 of `flags` is "paused", bit 1
/// "ready".
#[unsafe(no_mangle)]
#[allow(clippy::too_many_arguments, reason = "one call, so that no half-told state is seen")]
pub extern "C" fn ps_player(
    handle: u32,
    now: f64,
    position: f64,
    range_start: f64,
    range_end: f64,
    next: f64,
    next_end: f64,
    latest: f64,
    ahead: f64,
    flags: u32,
) -> i32 {
    let state = PlayerState {
        position_us: micros(position).0,
        range_start_us: micros(range_start).0,
        range_end_us: micros(range_end).0,
        next_range_us: (next >= 0.0).then(|| (micros(next).0, micros(next_end).0)),
        latest_us: micros(latest).0,
        ahead_us: micros(ahead).0,
        paused: flags & 1 != 0,
        ready: flags & 2 != 0,
    };
    told(handle, now, Input::Player(state))
}

/// How it is to be played: the bits of `flags` are, from bit 0 on, "daring", "bridges", "fallback" and "linkless".
#[unsafe(no_mangle)]
pub extern "C" fn ps_playout(handle: u32, now: f64, flags: u32) -> i32 {
    let has = |bit: u32| flags & (1 << bit) != 0;
    let playout = Playout { daring: has(0), bridges: has(1), fallback: has(2), linkless: has(3) };
    told(handle, now, Input::Playout(playout))
}

/// The buffer holds a frame that the host sent over HTTP.
#[unsafe(no_mangle)]
pub extern "C" fn ps_fetched(handle: u32, now: f64, len: usize) -> i32 {
    told_bytes(handle, now, len, |bytes| Input::Fetched(bytes))
}

/// The host sends no more, or did not begin.
#[unsafe(no_mangle)]
pub extern "C" fn ps_fetch_ended(handle: u32, now: f64) -> i32 {
    told(handle, now, Input::FetchEnded)
}

/// What the node does about the past: how many bytes it keeps for others, how far back viewers may go, and whether the host has what
/// nobody keeps.
#[unsafe(no_mangle)]
pub extern "C" fn ps_keeping(handle: u32, now: f64, bytes: f64, span: f64, host: u32) -> i32 {
    // A number beyond the range of the type is its largest, one below it 0.
    let keeping = Keeping { bytes_max: bytes as usize, span: micros(span), host: host != 0 };
    told(handle, now, Input::Keeping(keeping))
}

/// The user wants to see what was so many microseconds ago.
#[unsafe(no_mangle)]
pub extern "C" fn ps_go_back(handle: u32, now: f64, behind: f64) -> i32 {
    told(handle, now, Input::GoBack(micros(behind)))
}

/// The buffer holds a frame that the host sent of the past.
#[unsafe(no_mangle)]
pub extern "C" fn ps_past_fetched(handle: u32, now: f64, len: usize) -> i32 {
    told_bytes(handle, now, len, |bytes| Input::PastFetched(bytes))
}

/// The host has sent all it has of what was asked for; `whole` is 0 when its answer broke off, or there was none.
#[unsafe(no_mangle)]
pub extern "C" fn ps_past_fetch_ended(handle: u32, now: f64, whole: u32) -> i32 {
    told(handle, now, Input::PastFetchEnded(whole != 0))
}

/// Makes an evidence bundle of what is here of the media between these times, microseconds on its own timeline; nothing when there
/// is nothing.
#[unsafe(no_mangle)]
pub extern "C" fn ps_evidence(handle: u32, from: f64, to: f64) -> i32 {
    with(|module| {
        let found = module.table.get(handle)?.node().evidence(micros(from).0, micros(to).0);
        module.text = found.and_then(|found| evidence::bundle(&found)).unwrap_or_default();
        Ok(0)
    })
}

/// The user wants to be at the live edge.
#[unsafe(no_mangle)]
pub extern "C" fn ps_return_to_edge(handle: u32, now: f64) -> i32 {
    told(handle, now, Input::ReturnToEdge)
}

/// The page was frozen or its network has changed.
#[unsafe(no_mangle)]
pub extern "C" fn ps_woke(handle: u32, now: f64) -> i32 {
    told(handle, now, Input::Woke)
}

/// The user's word on relaying.
#[unsafe(no_mangle)]
pub extern "C" fn ps_relay(handle: u32, now: f64, on: u32) -> i32 {
    told(handle, now, Input::Relay(on != 0))
}

/// The page is leaving.
#[unsafe(no_mangle)]
pub extern "C" fn ps_leave(handle: u32, now: f64) -> i32 {
    told(handle, now, Input::Leave)
}

/// The timer fired.
#[unsafe(no_mangle)]
pub extern "C" fn ps_tick(handle: u32, now: f64) -> i32 {
    told(handle, now, Input::Tick)
}

/// Writes the node's status as a JSON text.
#[unsafe(no_mangle)]
pub extern "C" fn ps_status(handle: u32) -> i32 {
    with(|module| {
        module.text = status::to_json(&module.table.get(handle)?.node().status()).into_bytes();
        Ok(0)
    })
}

/// Shrinks the SDP in the buffer into a signal; `side` is 0 for an offer and 1 for an answer.
#[unsafe(no_mangle)]
pub extern "C" fn ps_signal_of_sdp(side: u32, len: usize) -> i32 {
    with(|module| {
        module.text = signalling::from_sdp(side, module.input(len)?)?;
        Ok(0)
    })
}

/// Shrinks the candidate line in the buffer into a signal; an empty one says that no more follow.
#[unsafe(no_mangle)]
pub extern "C" fn ps_signal_of_candidate(len: usize) -> i32 {
    with(|module| {
        module.text = signalling::from_candidate(module.input(len)?)?;
        Ok(0)
    })
}

/// Expands the signal in the buffer; returns its [`signalling::Kind`], the text is the SDP or the candidate line.
#[unsafe(no_mangle)]
pub extern "C" fn ps_signal_expand(len: usize) -> i32 {
    with(|module| {
        let (kind, text) = signalling::expand(module.input(len)?)?;
        module.text = text.into_bytes();
        Ok(kind as i32)
    })
}

/// Stops the module as a defect would; for the driver's tests.
#[unsafe(no_mangle)]
pub extern "C" fn ps_panic() {
    panic!("asked for by the driver");
}
