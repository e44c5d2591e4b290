//! The browser's build of the node: a flat C interface for the TypeScript driver.
//!
//! Every function of the module is one fact told to one node; what the node asks for in return lies in linear memory as
//! records of a fixed size ([`record`]). No JSON and no JavaScript object is made for a piece. The inside
//! ([`Table`], [`Session`]) knows no pointers and is tested natively; [`abi`] is the thin shell around it.
//!
//! It never sleeps, never reads a clock and never panics on bytes from outside.

#[cfg(target_arch = "wasm32")]
pub mod abi;
pub mod config;
pub mod evidence;
pub mod record;
pub mod session;
pub mod signalling;
pub mod status;
pub mod table;

pub use session::Session;
pub use table::Table;

/// Changes with every incompatible change of the interface; the driver compares it with its own.
pub const ABI_VERSION: u32 = 3;
/// No input from the driver is larger, in bytes.
pub const INPUT_BYTES_MAX: usize = 64 * 1024;
/// At most this many nodes in one module.
pub const NODES_MAX: usize = 64;

/// Why a call was not carried out; what the driver sees is the negative number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Failure {
    /// No node has this handle.
    Handle = -1,
    /// The input is malformed or longer than the buffer.
    Input = -2,
    /// The module is inside another call, or stopped in one.
    Busy = -3,
    /// As many nodes as the module holds.
    Full = -4,
}
