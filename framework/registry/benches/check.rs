//! How long the check of a config of 500 lines takes: less than 50 ms.

#[path = "../tests/common/mod.rs"]
mod common;

use std::fmt::Write as _;
use std::hint::black_box;

use common::{layout, registry};
use criterion::{Criterion, criterion_group, criterion_main};
use peerstream_registry::{Draft, Layers};

/// Thirty sinks with their options; `broken` has a mistake in each.
fn text(broken: bool) -> String {
    let mut text =
        String::from("[serve]\nlisten = \"0.0.0.0:8080\"\nlinger_s = 60\n\n[strategy]\nuse = \"proximity\"\n");
    for at in 0..30 {
        let key = if broken { "itms_max" } else { "items_max" };
        let _ =
            write!(text, "\n[telemetry.sink-{at}]\nuse = \"push\"\nrequired = true\n# a comment\nqueue.{key} = 100\n");
        let _ = write!(
            text,
            "queue.when_full = \"drop-newest\"\n\n[telemetry.sink-{at}.config]\nurl = \"http://sink/{at}\"\n"
        );
        let _ = write!(
            text,
            "labels.a = \"1\"\nlabels.b = \"2\"\nlabels.c = \"3\"\nlabels.d = \"4\"\nlabels.e = \"5\"\nlabels.f = \"6\"\nlabels.g = \"7\"\n"
        );
    }
    assert!(text.lines().count() >= 480, "{}", text.lines().count());
    text
}

fn check(criterion: &mut Criterion) {
    let (registry, layout) = (registry(), layout());
    for (name, broken) in [("500 lines, fine", false), ("500 lines, 30 mistakes", true)] {
        let text = text(broken);
        criterion.bench_function(name, |bencher| {
            bencher.iter(|| {
                let mut layers = Layers::new();
                layers.text("bench.toml", text.as_str());
                black_box(Draft::new(layers).check(&registry, &layout).report.human())
            });
        });
    }
}

criterion_group!(benches, check);
criterion_main!(benches);
