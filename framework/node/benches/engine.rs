//! How fast a node takes segments in, beside what the checks alone allow: one `verify_strict` and the BLAKE3 hash of
//! every byte.

#[allow(dead_code)]
#[path = "../tests/fed/mod.rs"]
mod fed;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fed::{Fed, Frames, Maker};
use peerstream_protocol::crypto::{SecretKey, Strict, Verifier, hash};
use peerstream_protocol::segment::PieceSize;

const SEGMENT: usize = 50_000;
const SEGMENTS: usize = 64;

fn segments(maker: &mut Maker, payload: &[u8], size: PieceSize) -> Vec<Frames> {
    (0..SEGMENTS).map(|_| maker.segment(payload, size)).collect()
}

fn ingest(c: &mut Criterion) {
    let payload: Vec<u8> = (0..SEGMENT).map(|i| i as u8).collect();
    let mut group = c.benchmark_group("ingest of 50 kB segments");
    group.throughput(Throughput::Bytes((SEGMENT * SEGMENTS) as u64));
    for (name, size) in [("4 KiB", PieceSize::Kib4), ("16 KiB", PieceSize::Kib16)] {
        group.bench_function(BenchmarkId::new("checks alone", name), |b| {
            let key = SecretKey::from_seed(&[1; 32]);
            let message = [7; 176];
            let signature = key.sign(&message);
            let mut strict = Strict::default();
            b.iter(|| {
                for _ in 0..SEGMENTS {
                    assert!(strict.verify(&key.public(), &message, &signature));
                    payload.chunks(size.bytes()).for_each(|piece| {
                        std::hint::black_box(hash(piece));
                    });
                }
            });
        });
        for children in [0, 2] {
            group.bench_function(BenchmarkId::new(format!("node with {children} children"), name), |b| {
                b.iter_batched(
                    || {
                        let mut maker = Maker::new();
                        let mut fed = Fed::new(&maker.cert.clone(), children);
                        let warm = segments(&mut maker, &payload, size);
                        warm.iter().for_each(|frames| {
                            fed.feed_segment(frames);
                        });
                        (fed, segments(&mut maker, &payload, size))
                    },
                    |(mut fed, segments)| {
                        segments.iter().for_each(|frames| {
                            fed.feed_segment(frames);
                        });
                        (fed, segments)
                    },
                    BatchSize::PerIteration,
                );
            });
        }
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(30);
    targets = ingest
}
criterion_main!(benches);
