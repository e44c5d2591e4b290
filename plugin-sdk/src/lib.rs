//! What a plug-in author depends on: the protocol's words, the traits of all kinds, and the line that makes a type a plug-in.
//!
//! ```
//! use peerstream_sdk::prelude::*;
//!
//! /// Everybody below the newcomer before.
//! #[derive(Default)]
//! struct Chain {
//!     last: Option<NodeId>,
//! }
//!
//! impl Plugin for Chain {
//!     const NAME: &'static str = "chain";
//!     const SUMMARY: &'static str = "everybody below the newcomer before";
//!     type Config = NoOptions;
//!
//!     fn build(_: NoOptions, _: &BuildContext<'_>) -> Result<Self, PluginError> {
//!         Ok(Self::default())
//!     }
//! }
//!
//! impl TreeStrategy for Chain {
//!     fn attach(&mut self, _: &Context<'_>, _: &mut Plan) {}
//!
//!     fn on_events(&mut self, context: &Context<'_>, events: &[Event], plan: &mut Plan) {
//!         for event in events {
//!             if let Event::Joined(node) = event {
//!                 let parent = self.last.replace(*node).unwrap_or(context.source);
//!                 plan.group().set_parent(*node, Stripes::ALL, parent);
//!             }
//!         }
//!     }
//! }
//!
//! peerstream_sdk::export_plugin! { strategy: Chain }
//! ```

#[cfg(feature = "dynamic")]
pub mod dynamic;
mod export;
pub mod prelude;
pub mod recent;
#[cfg(feature = "testkit")]
pub mod testkit;

pub use peerstream_abi as abi;
pub use peerstream_overlay as overlay;
pub use peerstream_protocol as protocol;
pub use peerstream_traits as traits;
pub use {async_trait, schemars, serde, serde_json};
