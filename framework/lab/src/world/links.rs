//! Links: how they open, what their credit is, how they end.

use peerstream_node::{Input, LinkId, Side};
use peerstream_protocol::time::Micros;

use super::{Actor, ActorId, Event, World};
use crate::conductor::Conductor;
use crate::wire::{CREDIT, Wire};

/// A link that has not opened by then has failed, as in the real transport.
const SETUP_MAX: Micros = Micros::from_secs(10);
/// What counts as the first frames of a link, when they are lost.
const FIRST_FRAMES: Micros = Micros::from_millis(30);
/// A description waits this long for candidates.
const GATHERING: Micros = Micros::from_millis(10);
/// What a description has besides its address in this world, in bytes.
const DESCRIPTION: usize = 110;

impl<C: Conductor> World<C> {
    pub(super) fn open_link(&mut self, id: ActorId, link: LinkId, side: Side) {
        self.actors[id.0].wires.push((link, Wire::default()));
        self.schedule(SETUP_MAX, Event::SetupOver(id.0 as u32, link));
        if side == Side::Offer {
            self.describe(id, link, side);
        }
    }

    /// A description in this world is the node's own address, of the length that real ones have.
    fn describe(&mut self, id: ActorId, link: LinkId, side: Side) {
        let mut address = vec![u8::from(side == Side::Answer)];
        address.extend((id.0 as u64).to_le_bytes());
        address.extend(link.0.to_le_bytes());
        address.resize(DESCRIPTION, 0);
        self.schedule(GATHERING, Event::Signal(id.0 as u32, link, address));
    }

    /// A description came: an offer is answered; with the answer the link begins to open at both ends.
    pub(super) fn pair(&mut self, id: ActorId, link: LinkId, description: &[u8]) {
        let actor = description.get(1..9).and_then(|bytes| bytes.try_into().ok()).map(u64::from_le_bytes);
        let other_link = description.get(9..13).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes);
        let (Some(actor), Some(other_link)) = (actor, other_link) else { return };
        let (other, other_link) = (ActorId(actor as usize), LinkId(other_link));
        let reachable = self.actors.get(other.0).is_some_and(Actor::is_alive) && self.network.connects(id.0, other.0);
        if !reachable || other == id {
            return;
        }
        let (here, there) = (self.actors[id.0].access, self.actors[other.0].access);
        let delay = self.network.one_way((id.0, &here), (other.0, &there));
        let Some(wire) = self.actors[id.0].wire(link) else { return };
        (wire.other, wire.delay) = (Some((other.0, other_link)), delay);
        if description[0] == 0 {
            return self.describe(id, link, Side::Answer);
        }
        let setup = Micros(delay.0 * 2 * self.network.setup_round_trips);
        self.schedule(setup, Event::LinkUp(id.0 as u32, link));
        self.schedule(setup, Event::LinkUp(other.0 as u32, other_link));
    }

    pub(super) fn link_up(&mut self, id: ActorId, link: LinkId) {
        let loses = self.chance.happens(self.network.first_frames_lost);
        let credit = self.credit(CREDIT);
        let other = self.actors[id.0].wire(link).and_then(|wire| wire.other);
        let deserted = other.is_some_and(|(other, _)| !self.actors[other].is_alive());
        let Some(wire) = self.actors[id.0].wire(link) else { return };
        (wire.open, wire.deserted) = (true, deserted);
        wire.credit = credit;
        wire.loses_until = if loses { self.now + FIRST_FRAMES } else { Micros(0) };
        self.tell(id, Input::LinkUp(link, credit as u32));
    }

    pub(super) fn link_lost(&mut self, id: ActorId, link: LinkId) {
        if self.remove_wire(id, link).is_some() {
            self.tell(id, Input::LinkDown(link));
        }
    }

    pub(super) fn close_link(&mut self, id: ActorId, link: LinkId) {
        let Some(wire) = self.remove_wire(id, link) else { return };
        if let Some((other, other_link)) = wire.other {
            self.schedule(wire.delay, Event::LinkLost(other as u32, other_link));
        }
    }

    pub(super) fn remove_wire(&mut self, id: ActorId, link: LinkId) -> Option<Wire> {
        let wires = &mut self.actors[id.0].wires;
        let at = wires.iter().position(|(known, _)| *known == link)?;
        Some(wires.swap_remove(at).1)
    }

    pub(super) fn end_setup(&mut self, id: ActorId, link: LinkId) {
        if self.actors[id.0].wire(link).is_some_and(|wire| !wire.open) {
            self.remove_wire(id, link);
            self.tell(id, Input::LinkFailed(link));
        }
    }

    /// What a node is told when a link takes this many true bytes.
    pub(super) fn credit(&self, free: u64) -> u64 {
        self.scale.map_or(free, |scale| scale.credit(free))
    }

    /// The node hears of its credit again, now that some of what was sent has been acknowledged.
    pub(super) fn acknowledge(&mut self, id: ActorId, link: LinkId) {
        let now = self.now;
        let Some(wire) = self.actors[id.0].wire(link) else { return };
        let free = CREDIT.saturating_sub(wire.in_flight(now));
        wire.told = false;
        let credit = self.credit(free);
        let Some(wire) = self.actors[id.0].wire(link) else { return };
        wire.credit = credit;
        self.tell(id, Input::Writable(link, credit as u32));
        self.promise_credit(id, link);
    }

    /// While a node believes that little credit is left, it hears of each acknowledgement; before that of none.
    pub(super) fn promise_credit(&mut self, id: ActorId, link: LinkId) {
        let (now, low) = (self.now, self.credit_low);
        let Some(wire) = self.actors[id.0].wire(link).filter(|wire| wire.credit < low && !wire.told) else { return };
        wire.in_flight(now);
        let next = wire.next_acknowledged().unwrap_or(now + Micros(1));
        // Nobody there: the link ends by itself.
        if next.0 < u64::MAX {
            wire.told = true;
            self.events.push(next, Event::Acknowledged(id.0 as u32, link));
        }
    }
}
