//! Viewers that go back in time, and what they see there.

use peerstream_node::Input;
use peerstream_protocol::id::Seq;
use peerstream_protocol::time::Micros;

use super::{ActorId, World};
use crate::conductor::Conductor;
use crate::replay::Replay;

impl<C: Conductor> World<C> {
    /// A viewer goes back in time. [`Self::play_past`] plays what it is handed.
    pub fn go_back(&mut self, id: ActorId, behind: Micros) {
        self.judge_overdue(id);
        let actor = &mut self.actors[id.0];
        actor.player.leave();
        actor.replay = Some(Replay::new(self.now));
        self.tell(id, Input::GoBack(behind));
    }

    /// The players of those that have gone back play on until now; call it a few times a second.
    pub fn play_past(&mut self) {
        for id in (1..self.actors.len()).map(ActorId).filter(|id| self.actors[id.0].is_alive()).collect::<Vec<_>>() {
            let Some(replay) = &mut self.actors[id.0].replay else { continue };
            replay.play(self.now);
            let state = replay.state();
            self.tell(id, Input::Player(state));
        }
    }

    /// What is delivered next is somewhere else.
    pub(super) fn turn(&mut self, id: ActorId) {
        let actor = &mut self.actors[id.0];
        let is_back = actor.node.as_ref().is_some_and(|node| node.status().behind.is_some());
        match &mut actor.replay {
            Some(replay) if is_back => replay.turn(),
            replay => {
                *replay = None;
                actor.received.turned = true;
            }
        }
    }

    /// A segment of the past is handed to the player.
    pub(super) fn deliver_past(&mut self, id: ActorId, seq: Seq) {
        let actor = &mut self.actors[id.0];
        let (Some(node), Some(replay)) = (&actor.node, &mut actor.replay) else { return };
        self.scratch.clear();
        let whole = node.payload(seq, &mut self.scratch);
        replay.wrong += u64::from(!whole || !super::is_payload_of(seq, &self.scratch));
        if let Some((pts_us, _, duration_us)) = node.times(seq) {
            replay.on_segment(pts_us, duration_us.into());
        }
    }
}
