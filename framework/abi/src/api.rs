//! The table of functions and what they are called with.

use std::ffi::c_void;

/// Bytes lent for the duration of a call. `ptr` is never null, also when `len` is 0.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Bytes {
    /// The first byte.
    pub ptr: *const u8,
    /// How many.
    pub len: usize,
}

impl Bytes {
    /// Lends a slice.
    #[inline]
    pub fn of(bytes: &[u8]) -> Self {
        Self { ptr: bytes.as_ptr(), len: bytes.len() }
    }

    /// The slice that was lent.
    ///
    /// # Safety
    /// `ptr` and `len` describe initialised memory that nobody changes for `'a`.
    #[inline]
    pub unsafe fn slice<'a>(self) -> &'a [u8] {
        if self.ptr.is_null() || self.len == 0 {
            return &[];
        }
        // SAFETY: the caller's promise.
        unsafe { std::slice::from_raw_parts(self.ptr, self.len) }
    }
}

/// Where a call writes what it gives back: the host copies. `write` may be called any number of times, only during the call.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Out {
    /// The host's own.
    pub ctx: *mut c_void,
    /// Appends bytes.
    pub write: unsafe extern "C" fn(ctx: *mut c_void, bytes: *const u8, len: usize),
}

impl Out {
    /// Appends bytes.
    ///
    /// # Safety
    /// Only during the call that this was passed to.
    pub unsafe fn put(self, bytes: &[u8]) {
        // SAFETY: the host's function takes any bytes for the duration of the call.
        unsafe { (self.write)(self.ctx, bytes.as_ptr(), bytes.len()) }
    }
}

/// Bytes that a call has written, up to a bound.
#[derive(Debug)]
pub struct Sink {
    bytes: Vec<u8>,
    max: usize,
    overflowed: bool,
}

impl Sink {
    /// Takes up to `max` bytes.
    pub fn new(max: usize) -> Self {
        Self { bytes: Vec::new(), max, overflowed: false }
    }

    /// What a call is given to write here.
    #[inline]
    pub fn out(&mut self) -> Out {
        Out { ctx: std::ptr::from_mut(self).cast(), write: append }
    }

    /// What was written; none if it was more than the bound.
    #[inline]
    pub fn bytes(&self) -> Option<&[u8]> {
        (!self.overflowed).then_some(&self.bytes[..])
    }

    /// Empty again, with the memory it has.
    #[inline]
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.overflowed = false;
    }
}

unsafe extern "C" fn append(ctx: *mut c_void, bytes: *const u8, len: usize) {
    // SAFETY: `ctx` was made by `Sink::out` for this call, and the callee lends the bytes.
    let (sink, bytes) = unsafe { (&mut *ctx.cast::<Sink>(), Bytes { ptr: bytes, len }.slice()) };
    if sink.bytes.len() + bytes.len() > sink.max {
        sink.overflowed = true;
    } else {
        sink.bytes.extend_from_slice(bytes);
    }
}

/// Records for a decider.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Batch {
    /// Of this struct, in bytes.
    pub size: u32,
    /// See [`crate::op`].
    pub op: u32,
    /// Now, microseconds since 1970 on the coordinator's clock.
    pub now_us: u64,
    /// The node the roots are fed by.
    pub source: u64,
    /// Bytes from one record to the next.
    pub stride: u32,
    /// Records.
    pub count: u32,
    /// The first record, 8-aligned.
    pub records: *const c_void,
    /// Operations that may be written at most.
    pub ops_max: u32,
    /// Zero.
    pub reserved: u32,
}

/// What a host does for an instance; valid until `destroy` has returned. Every function may be called from any thread.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Host {
    /// Of this struct, in bytes.
    pub size: u32,
    /// Of the host.
    pub abi_minor: u32,
    /// The host's own; passed to every function.
    pub ctx: *mut c_void,
    /// Logs a line. `level`: 1 error, 2 warn, 3 info, 4 debug, 5 trace. May be called until the process ends, whatever `ctx` is.
    pub log: unsafe extern "C" fn(ctx: *mut c_void, level: u32, target: Bytes, message: Bytes),
    /// Ends a request that answered [`Status::PENDING`](crate::Status::PENDING); exactly once for each.
    pub complete: unsafe extern "C" fn(ctx: *mut c_void, request: u64, status: i32, json: Bytes, payload: Bytes),
}

/// The table that a library gives. Functions that a kind does not need may be null: `batch` for doers, `submit` and `cancel` for
/// deciders.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Api {
    /// [`MAGIC`](crate::MAGIC)
    pub magic: [u8; 8],
    /// [`ABI_MAJOR`](crate::ABI_MAJOR) it was built for.
    pub abi_major: u32,
    /// [`ABI_MINOR`](crate::ABI_MINOR) it was built for.
    pub abi_minor: u32,
    /// Of this struct, in bytes; what is beyond it counts as null.
    pub size: u32,
    /// Zero.
    pub flags: u32,
    /// Writes the [manifest](crate::message::Manifest).
    pub describe: Option<unsafe extern "C" fn(out: Out) -> i32>,
    /// Writes all that is wrong with options of the plug-in of this index, as a list of violations.
    pub check: Option<unsafe extern "C" fn(index: u32, options: Bytes, out: Out) -> i32>,
    /// Makes an instance.
    pub create: Option<
        unsafe extern "C" fn(
            index: u32,
            host: *const Host,
            options: Bytes,
            name: Bytes,
            instance: *mut *mut c_void,
            out: Out,
        ) -> i32,
    >,
    /// Answers at once.
    pub call: Option<unsafe extern "C" fn(instance: *mut c_void, op: u32, json: Bytes, out: Out) -> i32>,
    /// A decider answers events.
    pub batch: Option<unsafe extern "C" fn(instance: *mut c_void, batch: *const Batch, out: Out) -> i32>,
    /// A doer answers now, or later by [`Host::complete`]. Of an answer now, the JSON is written; a payload goes through
    /// `complete` only.
    pub submit: Option<
        unsafe extern "C" fn(
            instance: *mut c_void,
            request: u64,
            op: u32,
            json: Bytes,
            payload: Bytes,
            out: Out,
        ) -> i32,
    >,
    /// The answer is not wanted any more; it may still come.
    pub cancel: Option<unsafe extern "C" fn(instance: *mut c_void, request: u64)>,
    /// Ends an instance; when it returns, no call to the host is under way or will come.
    pub destroy: Option<unsafe extern "C" fn(instance: *mut c_void)>,
}

// SAFETY: a table of functions and numbers.
unsafe impl Sync for Api {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sink_takes_what_is_written_up_to_its_bound() {
        let mut sink = Sink::new(5);
        let out = sink.out();
        // SAFETY: the sink is alive.
        unsafe {
            out.put(b"abc");
            out.put(b"");
            out.put(b"de");
        }
        assert_eq!(sink.bytes(), Some(&b"abcde"[..]));
        let out = sink.out();
        // SAFETY: as above.
        unsafe { out.put(b"f") };
        assert_eq!(sink.bytes(), None);
        sink.clear();
        assert_eq!(sink.bytes(), Some(&b""[..]));
    }
}
