//! The plug-ins by kind and name, and the config that chooses among them.
//!
//! A [`Registry`] holds what can be used: what is linked in, and what a host adds. [`Layers`] are put on top of each other
//! (files, environment, flags); a [`Draft`] of them is checked against a [`Layout`] and the registry, and gives a [`Config`]
//! whose [`Spec`]s say which instances are wanted. All that is wrong is told at once, each with a stable [`Code`], the
//! place, and what helps.
//!
//! It never starts anything, and never chooses a plug-in that was not named.
//!
//! ```
//! use peerstream_registry::{Draft, Layers, Layout, Registry};
//!
//! let mut layers = Layers::new();
//! layers.text("peerstream.toml", "[sevre]\n");
//! let outcome = Draft::new(layers).check(&Registry::default(), &Layout::new());
//! assert!(outcome.report.human().starts_with("error[PS0103]: unknown section `sevre`\n  ┌─ peerstream.toml:1:2"));
//! ```

mod check;
mod code;
mod config;
mod describe;
mod diagnostic;
mod document;
mod draft;
mod entry;
pub mod fuzz;
mod layers;
mod layout;
mod loading;
mod nearest;
mod parse;
mod place;
mod registry;
mod render;
mod schema;
mod secret;
mod short;
mod show;
mod source;
mod spec;
mod starter;
mod toml_text;
mod tree;
mod walk;

pub use check::{INSTANCE_LETTERS_MAX, INSTANCES_MAX};
pub use code::{Code, Severity};
pub use config::Config;
pub use describe::describe;
pub use diagnostic::{Diagnostic, Report};
pub use document::document;
pub use draft::{Draft, Outcome};
pub use entry::{Check, Entry, Make, MakeOf, Origin};
pub use layers::{ENVIRONMENT_PREFIX, FILE_BYTES_MAX, FILES_MAX, Layers};
pub use layout::Layout;
pub use loading::{LIBRARIES_MAX, Library, Loading, Require};
pub use nearest::{did_you_mean, nearest};
pub use parse::DEPTH_MAX;
pub use place::Place;
pub use registry::{Registry, RegistryError};
pub use render::SHOWN_MAX;
pub use secret::SECRET_BYTES_MAX;
pub use source::{Position, Source};
pub use spec::{Change, Spec, changes};
pub use starter::starter;
