//! Loads plug-ins from dynamic libraries.
//!
//! A loaded plug-in is code with all the rights of its host. So nothing is loaded unless a folder is allowed, the file is one that
//! only its owner can change, and its SHA-256 is pinned or its signature is that of a trusted key ([`Policy`]). The bytes
//! that were checked are copied to a private place and loaded from there, never from where they were found. `describe` and
//! the functions before it run in a child process first ([`probe`]), so that a library that crashes there ends a child.
//!
//! What cannot be contained: a crash, an exhausted stack or memory, `abort`. A panic is caught at the border; a decider runs
//! on a thread of its own and is given up when it does not answer in time ([`decider`]). A library is never unloaded.

mod cache;
pub mod decider;
mod doer;
mod error;
mod host;
mod instance;
mod library;
mod pending;
mod plugin;
mod policy;
pub mod probe;
mod worker;

pub use error::{LoadError, Named};
pub use library::Library;
pub use plugin::{Loaded, LoadedBuild};
pub use policy::{Pin, Policy, Requirement, SIGNATURE_SUFFIX, sha256_of, sign};
