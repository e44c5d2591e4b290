//! The rules that every plug-in of this kind keeps.

use std::sync::Arc;

use peerstream_admission::{Open, Token, TokenConfig, Work};
use peerstream_sdk::prelude::*;
use peerstream_sdk::testkit::build;
use peerstream_sdk::traits::admission::SharedPolicy;

mod open {
    use super::*;

    peerstream_sdk::admission_suite!(Open, || Arc::new(build::<Open>()));
}

mod token {
    use super::*;

    fn policy() -> SharedPolicy {
        let config = TokenConfig { secret: Secret::new("0123456789abcdef0123456789abcdef"), ..TokenConfig::default() };
        Arc::new(Token::build(config, &BuildContext::new("conformance")).unwrap())
    }

    peerstream_sdk::admission_suite!(Token, policy);
}

mod work {
    use super::*;

    peerstream_sdk::admission_suite!(Work, || Arc::new(build::<Work>()));
}
