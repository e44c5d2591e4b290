//! A swarm of real processes: what the others get when some die or stand still.

mod common;

use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

use common::{Process, Server, noise};

/// What happens in a swarm.
struct Story {
    watchers: usize,
    /// In bytes per second.
    rate: usize,
    seconds: u64,
    /// How many that feed others are killed, one by one.
    killed: usize,
    /// How long one stands still.
    stopped: Duration,
}

struct Swarm {
    server: Server,
    watchers: Vec<Process>,
    outputs: Vec<Option<JoinHandle<Vec<u8>>>>,
    ids: Vec<String>,
}

impl Swarm {
    fn gather(count: usize) -> Self {
        let server = Server::data(&[]);
        let mut swarm = Self { server, watchers: Vec::new(), outputs: Vec::new(), ids: Vec::new() };
        // One by one, so that it is known which node is which process.
        for index in 0..count {
            let mut watcher = swarm.server.watch(&["-o", "-", "--log", "warn,peerstream=debug"]);
            swarm.outputs.push(Some(watcher.collect()));
            swarm.watchers.push(watcher);
            swarm.server.wait_for_fed(index + 1);
            let overlay = swarm.server.overlay();
            let new =
                overlay["nodes"].as_array().unwrap().iter().filter_map(|node| node["id"].as_str().map(str::to_owned));
            let new: Vec<_> = new.filter(|id| id != "source" && !swarm.ids.contains(id)).collect();
            assert_eq!(new.len(), 1, "one more node");
            swarm.ids.extend(new);
        }
        swarm
    }

    /// A living watcher that feeds others.
    fn inner(&self) -> Option<usize> {
        let overlay = self.server.overlay();
        let nodes = overlay["nodes"].as_array().unwrap().iter();
        let inner = nodes.filter(|node| node["id"] != "source" && !node["children"].as_array().unwrap().is_empty());
        inner
            .filter_map(|node| self.ids.iter().position(|id| node["id"] == **id))
            .find(|index| self.outputs[*index].is_some())
    }
}

/// Lets the story happen while data flows; all who live must get each byte.
fn check(story: &Story) {
    let mut swarm = Swarm::gather(story.watchers);
    let bytes = noise(story.watchers as u64, story.rate * story.seconds as usize);
    let events = story.killed + usize::from(!story.stopped.is_zero());
    let pause = Duration::from_secs(story.seconds) / (events as u32 + 2);
    let (mut killed, mut stopped) = (0, None);
    let start = Instant::now();
    for (index, chunk) in bytes.chunks(story.rate / 20).enumerate() {
        swarm.server.write(chunk);
        sleep((Duration::from_millis(50) * (index as u32 + 1)).saturating_sub(start.elapsed()));
        if killed < story.killed && start.elapsed() > pause * (killed as u32 + 1) {
            let victim = swarm.inner().expect("somebody feeds others");
            swarm.watchers[victim].signal("KILL");
            swarm.outputs[victim] = None;
            killed += 1;
        }
        if killed == story.killed
            && stopped.is_none()
            && !story.stopped.is_zero()
            && start.elapsed() > pause * events as u32
        {
            let victim = swarm.inner().expect("somebody feeds others");
            swarm.watchers[victim].signal("STOP");
            stopped = Some((victim, Instant::now()));
        }
        if let Some((victim, since)) = stopped
            && since.elapsed() > story.stopped
            && swarm.outputs[victim].is_some()
        {
            swarm.watchers[victim].signal("CONT");
            // Whoever stood still may have lost something; the others must not.
            swarm.outputs[victim] = None;
        }
    }
    if let Some((victim, _)) = stopped {
        swarm.watchers[victim].signal("CONT");
        swarm.outputs[victim] = None;
    }
    swarm.server.input = None;
    for (watcher, output) in swarm.watchers.iter_mut().zip(swarm.outputs) {
        let Some(output) = output else { continue };
        assert_eq!(watcher.wait().code(), Some(0));
        let got = output.join().unwrap();
        assert!(got == bytes, "{} of {} bytes", got.len(), bytes.len());
    }
}

#[test]
fn six_watchers_get_each_byte_though_one_that_feeds_others_is_killed() {
    check(&Story { watchers: 6, rate: 200_000, seconds: 6, killed: 1, stopped: Duration::ZERO });
}

/// 8 Mbit/s; run it with `cargo test --release --test swarm -- --ignored`.
#[test]
#[ignore = "takes 45 s and most of a machine"]
fn fifteen_watchers_survive_four_deaths_and_a_standstill() {
    check(&Story { watchers: 15, rate: 1_000_000, seconds: 40, killed: 4, stopped: Duration::from_secs(10) });
}
