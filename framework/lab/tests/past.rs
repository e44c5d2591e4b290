//! Viewers that go back in time under the real coordinator: others give them what they keep, and what is live goes on.

use peerstream_dumbbell::Dumbbell;
use peerstream_lab::world::broadcast_keys;
use peerstream_lab::{ActorId, Coordinated, Network, World};
use peerstream_node::{Input, Keeping, PlayerState};
use peerstream_protocol::segment::Kind;
use peerstream_protocol::time::Micros;

const SEGMENT: Micros = Micros::from_millis(200);
const BYTES: usize = 4_000;
const KEEPING: Keeping = Keeping { bytes_max: 8 << 20, span: Micros::from_secs(600), host: false };

fn stream(world: &mut World<Coordinated>, seconds: u64) {
    stream_for(world, Micros::from_secs(seconds));
}

fn stream_for(world: &mut World<Coordinated>, span: Micros) {
    world.stream(span, SEGMENT, BYTES, 5);
}

fn join(world: &mut World<Coordinated>, count: usize, keeping: Keeping) -> Vec<ActorId> {
    let come = |_| {
        let viewer = world.join(true);
        world.tell(viewer, Input::Keeping(keeping));
        stream(world, 1);
        viewer
    };
    (0..count).map(come).collect()
}

/// A player that has all it is handed and plays at rate one, `behind` the live edge.
fn player(world: &World<Coordinated>, behind: Micros) -> PlayerState {
    let position_us = (world.produced() as u64 * SEGMENT.0).saturating_sub(behind.0);
    let range_end_us = position_us + 8_000_000;
    let ahead_us = 8_000_000;
    let range_start_us = position_us.saturating_sub(1_000_000);
    let latest_us = range_end_us;
    PlayerState {
        position_us,
        range_start_us,
        range_end_us,
        latest_us,
        ahead_us,
        ready: true,
        ..PlayerState::default()
    }
}

/// Fifteen early viewers that have watched for most of a minute, then so many that have come just now.
fn latecomers(count: usize) -> (World<Coordinated>, Vec<ActorId>, Vec<(ActorId, usize)>) {
    latecomers_of(count, KEEPING)
}

fn latecomers_of(count: usize, keeping: Keeping) -> (World<Coordinated>, Vec<ActorId>, Vec<(ActorId, usize)>) {
    let (_, cert) = broadcast_keys();
    let conductor = Coordinated::new(cert, Kind::Media, Box::new(Dumbbell::default()));
    let mut world = World::new(1, Network::default(), conductor, Kind::Media);
    world.run_until(Micros::from_millis(200));
    world.keep_archive(2_500_000);
    let early = join(&mut world, 15, keeping);
    stream(&mut world, 40);
    let mut late = Vec::new();
    for _ in 0..count {
        let came = world.produced();
        late.extend(join(&mut world, 1, keeping).into_iter().map(|viewer| (viewer, came)));
    }
    stream(&mut world, 5);
    (world, early, late)
}

/// The same with an archive at the source, of a budget that is as good as none.
fn latecomers_with_an_archive(count: usize) -> (World<Coordinated>, Vec<ActorId>, Vec<ActorId>) {
    let (world, early, late) = latecomers_of(count, Keeping { host: true, ..KEEPING });
    (world, early, late.into_iter().map(|(viewer, _)| viewer).collect())
}

/// All of them go back at once and watch for so many seconds.
fn go_back_together(world: &mut World<Coordinated>, late: &[ActorId], behind: Micros, seconds: u64) {
    late.iter().for_each(|viewer| world.go_back(*viewer, behind));
    for _ in 0..seconds * 4 {
        stream_for(world, Micros::from_millis(250));
        world.play_past();
        assert_within_capacity(world);
    }
}

/// Payload of the past that each was given by others and by the host, in bytes.
fn given(world: &World<Coordinated>, viewers: &[ActorId]) -> Vec<(u64, u64)> {
    let counters = |viewer: &ActorId| world.status(*viewer).counters;
    viewers.iter().map(counters).map(|it| (it.past_from_peers, it.past_from_host)).collect()
}

/// Bytes of the stream in so many seconds.
fn stream_bytes(seconds: u64) -> u64 {
    seconds * 1_000_000 / SEGMENT.0 * BYTES as u64
}

/// Children and guests together are no more than capacity and one.
fn assert_within_capacity(world: &World<Coordinated>) {
    for viewer in world.living() {
        let status = world.status(viewer);
        let copies = status.stripes_out.div_ceil(2) + status.guests;
        assert!(copies <= usize::from(world.actor(viewer).capacity) + 1, "{viewer:?} sends {copies} copies");
    }
}

/// Nobody lost anything that is live.
fn assert_undisturbed(world: &World<Coordinated>, viewers: &[ActorId]) {
    for viewer in viewers {
        assert_eq!(world.status(*viewer).figures.skipped, 0, "{viewer:?} lost something");
    }
}

/// All of them go back, and watch for twenty seconds.
fn watch_the_past(world: &mut World<Coordinated>, late: &[(ActorId, usize)], behind: Micros) {
    late.iter().for_each(|(viewer, _)| world.tell(*viewer, Input::GoBack(behind)));
    for _ in 0..20 {
        stream(world, 1);
        for (viewer, _) in late {
            let state = player(world, behind);
            world.tell(*viewer, Input::Player(state));
        }
    }
}

#[test]
fn five_latecomers_of_twenty_see_what_was_half_a_minute_ago_and_the_source_sends_nothing_more_for_it() {
    let (mut world, early, late) = latecomers(5);
    let behind = Micros::from_secs(30);
    let begin = world.produced() - (behind.0 / SEGMENT.0) as usize;
    watch_the_past(&mut world, &late, behind);
    for (viewer, came) in &late {
        let status = world.status(*viewer);
        let from_peers = status.counters.past_from_peers as usize;
        // Twenty seconds and what is handed over ahead, but no more than there was before it came: a newcomer begins with the
        // last join point, and keeps what it has received from there on.
        let needed = (28 * 5).min(came - 5 - begin);
        assert!(from_peers >= needed * BYTES, "{viewer:?} was given {from_peers} bytes, not {needed} segments");
        assert_eq!(status.counters.past_lost, 0, "{viewer:?}");
        let now = status.behind.expect("it is in the past").behind;
        assert!((Micros::from_secs(27)..Micros::from_secs(34)).contains(&now), "{viewer:?} is {now:?} behind");
        assert!(status.figures.next.0 as usize + 8 >= world.produced(), "{viewer:?} goes on receiving what is live");
    }
    for viewer in early {
        let status = world.status(viewer);
        assert_eq!(status.figures.skipped, 0, "{viewer:?} lost something");
        assert!(status.stripes_out <= 6, "no more than capacity and one");
    }
    late.iter().for_each(|(viewer, _)| world.tell(*viewer, Input::ReturnToEdge));
    stream(&mut world, 1);
    assert!(late.iter().all(|(viewer, _)| world.status(*viewer).behind.is_none()));
}

#[test]
fn twenty_that_go_back_at_once_among_fifteen_others_are_fed_by_peers() {
    let (mut world, early, late) = latecomers_with_an_archive(20);
    let before = world.given_by_archive();
    go_back_together(&mut world, &late, Micros::from_secs(40), 30);
    let given = given(&world, &late);
    let (peers, host) = given.iter().fold((0, 0), |(peers, host), it| (peers + it.0, host + it.1));
    assert!(given.iter().all(|(peers, _)| *peers >= stream_bytes(10)), "each is given most by others: {given:?}");
    assert!(host * 10 <= peers, "the host gave {host} bytes, others {peers}");
    assert!(world.given_by_archive() - before < stream_bytes(30), "the host sends less than one stream");
    for viewer in &late {
        let replay = world.actor(*viewer).replay.expect("it is in the past");
        assert!(replay.watched >= Micros::from_secs(28), "{viewer:?}: {replay:?}");
        assert_eq!((replay.wrong, world.status(*viewer).counters.past_lost), (0, 0), "{viewer:?}");
    }
    assert_undisturbed(&world, &early);
}

#[test]
fn five_of_twenty_are_two_minutes_back_and_the_host_sends_less_than_one_stream_for_it() {
    let (_, cert) = broadcast_keys();
    let conductor = Coordinated::new(cert, Kind::Media, Box::new(Dumbbell::default()));
    let mut world = World::new(2, Network::default(), conductor, Kind::Media);
    world.keep_archive(2_500_000);
    world.run_until(Micros::from_millis(200));
    let keeping = Keeping { host: true, ..KEEPING };
    let early = join(&mut world, 15, keeping);
    stream(&mut world, 110);
    let late = join(&mut world, 5, keeping);
    go_back_together(&mut world, &late, Micros::from_secs(120), 20);
    let given = given(&world, &late);
    assert!(given.iter().all(|(peers, _)| *peers >= stream_bytes(20)), "{given:?}");
    assert!(world.given_by_archive() < stream_bytes(20), "{given:?}");
    assert_undisturbed(&world, &early);
}
