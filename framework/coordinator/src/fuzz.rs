//! The body of the fuzz target: arbitrary bytes as messages of several connections.

use peerstream_overlay::{Context, Event, Plan, TreeStrategy};
use peerstream_protocol::cert::EpochCert;
use peerstream_protocol::control::{Hello, Role, Up};
use peerstream_protocol::crypto::SecretKey;
use peerstream_protocol::id::{Epoch, Stripes, Term};
use peerstream_protocol::segment::Kind;
use peerstream_protocol::time::Micros;

use crate::{Config, ConnId, Coordinator, Input, Limits, Origin, Output};

/// Connections that say hello properly before the bytes come.
const CONNECTIONS: u64 = 4;
/// Orders for one input, at most.
const ORDERS_MAX: usize = 10_000;

/// Everyone below everyone before it, as far as there is room.
struct Line;

impl TreeStrategy for Line {
    fn attach(&mut self, _: &Context<'_>, _: &mut Plan) {}

    fn on_events(&mut self, context: &Context<'_>, _: &[Event], plan: &mut Plan) {
        let nodes: Vec<_> = context.topology.iter().map(|(node, _)| node).collect();
        for pair in nodes.windows(2) {
            if context.topology.get(pair[1]).is_some_and(|member| member.parent() != Some(pair[0])) {
                plan.group().set_parent(pair[1], Stripes::ALL, pair[0]);
            }
        }
    }
}

/// The first byte of each chunk says which connection speaks and how much time has passed, the second how long the
/// message is. Nothing may panic, and no input may cause a flood of orders.
#[doc(hidden)]
pub fn fuzz_messages(mut data: &[u8]) {
    let mut coordinator = world();
    let mut now = Micros::from_secs(1);
    while let [head, length, rest @ ..] = data {
        let (message, left) = rest.split_at(usize::from(*length).min(rest.len()));
        let conn = ConnId(u64::from(head & 7));
        now += Micros::from_millis(u64::from(head >> 4) * 40);
        let input = match head & 15 {
            14 => Input::Closed(ConnId(u64::from(head >> 4))),
            15 => Input::Tick,
            _ => Input::Message(conn, message),
        };
        coordinator.handle(now, input);
        drain(&mut coordinator);
        data = left;
    }
    let members = coordinator.overview().nodes.len() as u64;
    assert!(members <= CONNECTIONS + 2 + now.0 / 1_000, "{members} members out of nothing");
}

fn world() -> Coordinator {
    let publisher = SecretKey::from_seed(&[1; 32]);
    let config = Config {
        term: Term(1),
        follows: false,
        cert: EpochCert::issue(&publisher, Epoch(1), publisher.public(), u64::MAX),
        kind: Kind::Data,
        ice: Vec::new(),
        strategy: "line".into(),
        secret: [2; 32],
        wall_at_zero_us: 0,
        limits: Limits::default(),
    };
    let mut coordinator = Coordinator::new(config, Box::new(Line), Micros(0));
    for conn in 0..=CONNECTIONS {
        let (origin, role) = match conn {
            0 => (Origin::Source, Role::Source),
            _ => (Origin::Address([1; 16]), Role::Viewer),
        };
        let wire = peerstream_protocol::WIRE_VERSION;
        let hello = Hello {
            wire,
            stream: None,
            role,
            capacity: 2,
            relay: true,
            untried: false,
            resume: None,
            ticket: Vec::new(),
        };
        coordinator.handle(Micros(0), Input::Opened { conn: ConnId(conn), origin });
        coordinator.handle(Micros(0), Input::Message(ConnId(conn), &Up::Hello(hello).encode()));
        drain(&mut coordinator);
    }
    coordinator
}

fn drain(coordinator: &mut Coordinator) {
    let orders = std::iter::from_fn(|| coordinator.poll()).take(ORDERS_MAX).inspect(|order| {
        if let Output::Send(_, bytes) = order {
            assert!(bytes.len() <= peerstream_protocol::control::CONTROL_BYTES_MAX, "an order nobody accepts");
        }
    });
    assert!(orders.count() < ORDERS_MAX, "a flood of orders");
}

#[cfg(test)]
mod tests {
    use peerstream_protocol::control::Report;
    use peerstream_protocol::id::NodeId;

    use super::*;

    /// A cheap generator; the fuzzer proper does better.
    fn bytes(mut chance: u64, length: usize) -> Vec<u8> {
        let mut next = || {
            chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (chance >> 33) as u8
        };
        (0..length).map(|_| next()).collect()
    }

    #[test]
    fn arbitrary_bytes_do_no_harm() {
        (0..300).for_each(|seed| fuzz_messages(&bytes(seed, 600)));
    }

    #[test]
    fn valid_messages_with_arbitrary_names_do_no_harm() {
        let node = |n: u8| NodeId((1 << 32) | u64::from(n % 6));
        for seed in 0..300 {
            let mut data = Vec::new();
            for chunk in bytes(seed, 120).chunks_exact(3) {
                let message = match chunk[0] % 7 {
                    0 => Up::Suspect(node(chunk[1])),
                    1 => Up::LinkFailed(node(chunk[1])),
                    2 => Up::Report(Report { relay: chunk[1] % 2 == 0, ..Report::default() }),
                    3 => Up::Signal { to: node(chunk[1]), attempt: 0, payload: vec![0] },
                    4 => Up::Starving,
                    5 => Up::Past { from: peerstream_protocol::id::Seq(chunk[1].into()), but: vec![node(chunk[1])] },
                    _ => Up::Leave,
                };
                let encoded = message.encode();
                data.extend([chunk[2], encoded.len() as u8]);
                data.extend(encoded);
            }
            fuzz_messages(&data);
        }
    }
}
