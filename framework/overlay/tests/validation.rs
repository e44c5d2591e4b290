//! A group is committed whole or not at all, and the refusal has a name.

use peerstream_overlay::{Group, Member, Op, Reject, STANDBY_CLIENTS_MAX, Topology};
use peerstream_protocol::id::{NodeId, Stripes};
use peerstream_protocol::time::Micros;

const S: NodeId = NodeId::SOURCE;
const ALL: Stripes = Stripes::ALL;

fn n(number: u64) -> NodeId {
    NodeId(number)
}

/// The source and nodes 1 to `nodes`, none of them placed.
fn topology(nodes: u64) -> Topology {
    let mut topology = Topology::new(2);
    (1..=nodes).for_each(|number| topology.insert(n(number), Member::default()).unwrap());
    topology
}

fn group(write: impl FnOnce(&mut Group)) -> Group {
    let mut group = Group::default();
    write(&mut group);
    group
}

#[track_caller]
fn refuses(topology: &Topology, reject: Reject, write: impl FnOnce(&mut Group)) {
    let mut trial = topology.clone();
    assert_eq!(trial.commit(&group(write)), Err(reject));
    assert_eq!(&trial, topology, "a refused group changes nothing");
}

#[test]
fn each_broken_rule_has_its_name() {
    let mut topology = topology(STANDBY_CLIENTS_MAX as u64 + 3);
    topology
        .commit(&group(|g| {
            g.set_parent(n(1), ALL, S).set_parent(n(2), ALL, S).set_parent(n(3), ALL, n(1));
        }))
        .unwrap();
    let good = |g: &mut Group| {
        g.set_parent(n(4), ALL, n(2));
    };
    refuses(&topology, Reject::Unknown(n(99)), |g| {
        good(g);
        g.set_parent(n(99), ALL, S);
    });
    refuses(&topology, Reject::Source, |g| {
        g.set_parent(S, ALL, n(1));
    });
    refuses(&topology, Reject::Itself(n(1)), |g| {
        g.set_backup(n(1), Some(n(1)));
    });
    refuses(&topology, Reject::NoStripe(n(4)), |g| {
        g.set_parent(n(4), Stripes::NONE, n(1));
    });
    refuses(&topology, Reject::NoStripe(n(4)), |g| {
        g.set_parent(n(4), Stripes(1 << Stripes::COUNT), n(1));
    });
    refuses(&topology, Reject::Cycle(n(1)), |g| {
        g.set_parent(n(1), ALL, n(3));
    });
    refuses(&topology, Reject::Capacity(S), |g| {
        good(g);
        g.set_parent(n(5), ALL, S);
    });
    refuses(&topology, Reject::Spare(n(1)), |g| {
        (4..=6).for_each(|client| {
            g.set_backup(n(client), Some(n(1)));
        });
    });
    refuses(&topology, Reject::Standby(n(1)), |g| {
        (2..=STANDBY_CLIENTS_MAX as u64 + 2).for_each(|client| {
            g.set_standby(n(client), [n(1)]);
        });
    });
    assert_eq!(topology.insert(n(1), Member::default()), Err(Reject::Known(n(1))));
}

#[test]
fn only_the_state_after_the_whole_group_counts() {
    let mut topology = topology(2);
    topology
        .commit(&group(|g| {
            g.set_parent(n(1), ALL, S).set_parent(n(2), ALL, n(1));
        }))
        .unwrap();
    topology
        .commit(&group(|g| {
            g.set_parent(n(1), ALL, n(2)).set_parent(n(2), ALL, S);
        }))
        .unwrap();
    assert_eq!((topology.depth(n(2)), topology.depth(n(1))), (Some(1), Some(2)));
}

#[test]
fn each_stripe_has_one_parent_and_its_own_tree() {
    let mut topology = topology(2);
    let (even, odd) = (Stripes(1), Stripes(2));
    let crossed = group(|g| {
        g.set_parent(n(1), even, S).set_parent(n(2), even, n(1));
        g.set_parent(n(2), odd, S).set_parent(n(1), odd, n(2));
    });
    topology.commit(&crossed).unwrap();
    assert_eq!(topology.get(n(1)).unwrap().parents(), [(S, even), (n(2), odd)]);
    topology
        .commit(&group(|g| {
            g.set_parent(n(1), Stripes(3), S);
        }))
        .unwrap();
    assert_eq!(topology.get(n(1)).unwrap().parents(), [(S, Stripes(3))]);
    assert!(topology.get(n(2)).unwrap().children().is_empty());
}

#[test]
fn a_stripe_costs_its_part_of_a_copy() {
    let mut topology = topology(6);
    let (even, odd) = (Stripes(1), Stripes(2));
    let four = group(|g| {
        g.set_parent(n(1), ALL, S);
        (2..=5).for_each(|child| {
            g.set_parent(n(child), if child % 2 == 0 { even } else { odd }, n(1));
        });
    });
    topology.commit(&four).unwrap();
    refuses(&topology, Reject::Capacity(n(1)), |g| {
        g.set_parent(n(6), even, n(1));
    });
}

#[test]
fn a_circle_of_one_stripe_is_found_where_the_others_go_another_way() {
    let mut topology = topology(3);
    let (even, odd) = (Stripes(1), Stripes(2));
    let line = group(|g| {
        g.set_parent(n(1), ALL, S).set_parent(n(2), even, n(1)).set_parent(n(2), odd, S).set_parent(n(3), ALL, n(2));
    });
    topology.commit(&line).unwrap();
    refuses(&topology, Reject::Cycle(n(1)), |g| {
        g.set_parent(n(1), even, n(3));
    });
    let other_way = group(|g| {
        g.set_parent(n(1), odd, n(3));
    });
    topology.commit(&other_way).unwrap();
}

#[test]
fn a_member_takes_its_edges_with_it() {
    let mut topology = topology(3);
    let line = group(|g| {
        g.set_parent(n(1), ALL, S).set_parent(n(2), ALL, n(1)).set_parent(n(3), ALL, n(2));
        g.set_backup(n(3), Some(n(2))).set_standby(n(3), [n(1), n(2)]);
    });
    topology.commit(&line).unwrap();
    let was = topology.remove(n(2)).unwrap();
    assert_eq!(was.children(), [(n(3), ALL)]);
    let orphan = topology.get(n(3)).unwrap();
    assert_eq!((orphan.parent(), orphan.backup(), orphan.standby()), (None, None, &[n(1)][..]));
    assert_eq!((topology.depth(n(3)), topology.remove(S), topology.len()), (None, None, 2));
}

#[test]
fn the_spare_copy_feeds_a_child_only_while_the_source_backs_it_up() {
    let mut topology = topology(5);
    let single_root = group(|g| {
        g.set_parent(n(1), ALL, S);
        (2..=4).for_each(|child| {
            g.set_parent(n(child), ALL, n(1));
        });
        g.set_backup(n(4), Some(S));
    });
    refuses(&topology, Reject::Capacity(n(1)), |g| {
        single_root.ops()[..4].iter().for_each(|op| match op {
            Op::SetParent { node, stripes, parent } => drop(g.set_parent(*node, *stripes, *parent)),
            op => panic!("{op:?}"),
        });
    });
    topology.commit(&single_root).unwrap();
    refuses(&topology, Reject::Spare(n(1)), |g| {
        g.set_backup(n(5), Some(n(1)));
    });
    refuses(&topology, Reject::Capacity(n(1)), |g| {
        g.set_parent(n(5), ALL, n(1));
    });
    refuses(&topology, Reject::Capacity(n(1)), |g| {
        g.set_backup(n(4), None);
    });
    topology
        .commit(&group(|g| {
            g.set_backup(n(4), None).detach(n(3));
        }))
        .unwrap();
}

#[test]
fn a_member_that_does_not_relay_has_room_for_nobody() {
    let mut topology = topology(1);
    topology.insert(n(2), Member::new(2, false, Micros(5))).unwrap();
    refuses(&topology, Reject::Capacity(n(2)), |g| {
        g.set_parent(n(1), ALL, n(2));
    });
    refuses(&topology, Reject::Spare(n(2)), |g| {
        g.set_backup(n(1), Some(n(2)));
    });
}
