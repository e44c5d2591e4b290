//! Who may join: everybody ([`Open`]), who shows a token that the page got from whoever embeds it ([`Token`]), or who has done some work
//! that costs a page a moment and a crowd of machines a lot ([`Work`]).
//!
//! A token is a JSON Web Token with HMAC-SHA-256, which every language has a library for; see [`token`].

mod config;
mod open;
pub mod token;
pub mod work;

peerstream_sdk::export_plugin! { admission: Open, admission: Token, admission: Work }

pub use config::{TokenConfig, WorkConfig};
pub use open::Open;
pub use token::Token;
pub use work::Work;
