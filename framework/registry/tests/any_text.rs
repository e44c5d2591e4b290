//! Whatever a config says, its check ends and says something that can be shown.

use peerstream_registry::fuzz;
use proptest::prelude::*;

/// Pieces of which texts are made that get further than noise.
const PIECES: &[&str] = &[
    "[",
    "]",
    "{",
    "}",
    "=",
    ".",
    ",",
    "\n",
    "\"",
    "'",
    "#",
    "\0",
    "serve",
    "strategy",
    "telemetry.a",
    "use",
    "config",
    "plugins.load.x",
    "token",
    "env",
    "file",
    "mode",
    "sized",
    "inner",
    "any",
    "count",
    "idle",
    "1",
    "-1",
    "1e999",
    "nan",
    "0x7fffffffffffffffff",
    "true",
    "1979-05-27",
    "ü",
    "\"\"\"",
    "[[",
    "]]",
    "\\u0000",
    "ratio",
    "names",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_text_makes_the_check_panic(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..40)) {
        fuzz::config(pieces.concat().as_bytes());
    }

    #[test]
    fn no_bytes_make_the_check_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        fuzz::config(&bytes);
    }
}

#[test]
fn deep_texts_are_refused_and_do_not_exhaust_the_stack() {
    for (open, close) in [("[", "]"), ("{a=", "}"), ("{a.b.c.d.e=", "}")] {
        for depth in [31, 33, 79, 100, 10_000] {
            let text = format!("serve.any.x = {}1{}", open.repeat(depth), close.repeat(depth));
            fuzz::config(text.as_bytes());
        }
    }
    for depth in [31, 79, 100, 10_000] {
        fuzz::config(format!("a{} = 1", ".a".repeat(depth)).as_bytes());
        fuzz::config(format!("[a{}]", ".a".repeat(depth)).as_bytes());
        fuzz::config(format!("\0a{}=1", ".a".repeat(depth)).as_bytes());
        fuzz::config(format!("\0strategy.config.inner.any.x={}", "[".repeat(depth)).as_bytes());
    }
}
