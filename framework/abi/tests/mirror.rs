//! A plug-in's copy of the overlay is the overlay.

use peerstream_abi::lane::{Mirror, digest, read_plan, write_event, write_plan, write_topology};
use peerstream_overlay::{Context, Event, Member, Plan, Topology};
use peerstream_protocol::id::{NodeId, Stripes};
use peerstream_protocol::time::Micros;
use peerstream_sdk::testkit::chance::Chance;
use peerstream_sdk::testkit::overlay::wild_topology;

/// Both ends of the interface: the host's overlay and the copy that follows it.
struct Ends {
    topology: Topology,
    mirror: Mirror,
    chance: Chance,
}

impl Ends {
    fn of(seed: u64) -> Self {
        let topology = wild_topology(seed, 40);
        let mut mirror = Mirror::default();
        mirror.restore(&write_topology(&topology));
        Self { topology, mirror, chance: Chance::new(seed) }
    }

    fn member(&mut self) -> NodeId {
        let members: Vec<_> = self.topology.iter().map(|(node, _)| node).collect();
        *self.chance.pick(&members).unwrap()
    }

    fn someone(&mut self) -> NodeId {
        let node = self.member();
        if node == NodeId::SOURCE { NodeId(1_000_000) } else { node }
    }

    /// Something happens and is told.
    fn step(&mut self, name: u64) {
        let event = match self.chance.below(4) {
            0 => {
                let node = NodeId(10_000 + name);
                self.topology.insert(node, Member::new(3, self.chance.percent(80), Micros(name))).unwrap();
                Event::Joined(node)
            }
            1 => {
                let node = self.someone();
                self.topology.remove(node);
                Event::Left(node)
            }
            2 => {
                let node = self.member();
                self.topology.set_ability(node, self.chance.below(5) as u8, self.chance.percent(80));
                Event::Changed(node)
            }
            _ => Event::Tick,
        };
        let context = Context { topology: &self.topology, now: Micros(name), source: NodeId::SOURCE };
        let records = [write_event(&context, &event).unwrap()];
        let mut events = Vec::new();
        self.mirror.follow(&records, &mut events);
        assert_eq!(events, [event]);
    }

    /// A plan by chance, good or bad, goes through the interface and is committed at both ends.
    fn plan(&mut self) {
        let mut plan = Plan::default();
        for _ in 0..self.chance.below(3) {
            let (node, other, third) = (self.someone(), self.member(), self.member());
            let group = plan.group();
            match self.chance.below(5) {
                0 => group.set_backup(node, Some(other)),
                1 => group.set_standby(node, [other, third]),
                2 => group.detach(node),
                3 => group.set_parent(node, Stripes(3), other),
                _ => group.set_parent(node, Stripes::ALL, other).set_backup(node, None),
            };
        }
        let (mut ops, mut read) = (Vec::new(), Plan::default());
        write_plan(&plan, &mut ops);
        read_plan(ops.into_iter(), &mut read).unwrap();
        assert_eq!(read, plan);
        for group in plan.groups() {
            let _ = self.topology.commit(group);
        }
        self.mirror.commit(&read);
    }
}

#[test]
fn the_copy_follows_whatever_happens_and_whatever_is_planned() {
    for seed in 1..=8 {
        let mut ends = Ends::of(seed);
        assert_eq!(ends.mirror.topology(), &ends.topology, "seed {seed}, restored");
        for name in 0..200 {
            ends.step(name);
            ends.plan();
            assert_eq!(ends.mirror.topology(), &ends.topology, "seed {seed}, step {name}");
        }
        assert_eq!(digest(ends.mirror.topology()), digest(&ends.topology));
    }
}

#[test]
fn the_digest_tells_overlays_apart() {
    let one = wild_topology(1, 40);
    let mut other = one.clone();
    other.set_ability(NodeId(7), 5, true);
    assert_ne!(digest(&one), digest(&other));
}

#[test]
fn whatever_a_strategy_writes_the_overlay_stays_sound() {
    let mut chance = Chance::new(7);
    for _ in 0..2_000 {
        let ops = chance.below(12);
        let mut bytes = Vec::new();
        for _ in 0..ops {
            let op = peerstream_abi::record::Op {
                code: chance.below(6) as u16,
                group: chance.below(4) as u32,
                node: chance.below(30) as u64,
                target: chance.below(30) as u64,
                second: chance.number(),
                value: chance.below(300) as u32,
                ..Default::default()
            };
            bytes.extend_from_slice(peerstream_abi::record::op_bytes(&[op]));
        }
        bytes.extend((0..chance.below(2)).map(|_| 0));
        peerstream_abi::fuzz::plan(&bytes);
    }
}
