//! What the host does for an instance.

use std::ffi::c_void;

use peerstream_abi::{ABI_MINOR, Host, api};
use tracing::{debug, error, info, trace, warn};

use crate::library::one_line;
use crate::pending::{self, Pending};

/// The table of functions for an instance.
pub(crate) fn host(pending: &'static Pending) -> Host {
    let ctx = std::ptr::from_ref(pending).cast_mut().cast::<c_void>();
    Host { size: size_of::<Host>() as u32, abi_minor: ABI_MINOR, ctx, log, complete: pending::complete }
}

/// Logs a line of a library; does not look at the context, so that it may be called at any time.
unsafe extern "C" fn log(_: *mut c_void, level: u32, target: api::Bytes, message: api::Bytes) {
    // SAFETY: the library lends the bytes.
    let (target, message) = unsafe { (target.slice(), message.slice()) };
    let text = |bytes: &[u8]| one_line(&String::from_utf8_lossy(bytes));
    let (plugin, message) = (text(target), text(message));
    match level {
        1 => error!(plugin, "{message}"),
        2 => warn!(plugin, "{message}"),
        3 => info!(plugin, "{message}"),
        4 => debug!(plugin, "{message}"),
        _ => trace!(plugin, "{message}"),
    }
}
