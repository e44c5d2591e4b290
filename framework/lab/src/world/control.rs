//! Control connections, and what happens to them.

use peerstream_node::Input;
use peerstream_protocol::control::{Down, Up};
use peerstream_protocol::frame::{Frame, Lane, PIECE_PREFIX};
use peerstream_protocol::time::Micros;

use super::{ActorId, Event, HEADER, World};
use crate::conductor::{Conductor, Conn, From, Order};
use crate::network::on_the_line;
use crate::wire::Wire;

/// No control message but a starter is longer, in bytes; those that are shorter are not looked into.
const SMALL: usize = 64;
/// After this long without anything under way a connection begins anew with its first window, as TCP does.
const WINDOW_IDLE: Micros = Micros::from_secs(1);

impl<C: Conductor> World<C> {
    /// All viewers' control connections break, and none can be opened for a while.
    pub fn cut_control(&mut self, span: Micros) {
        self.control_cut_until = self.now + span;
        for id in (1..self.actors.len()).map(ActorId) {
            self.break_control(id);
        }
        self.obey_conductor();
    }

    /// The conductor dies and another one takes over; viewers cannot open a connection for a while.
    pub fn replace_conductor(&mut self, conductor: C, span: Micros) {
        self.conductor = conductor;
        self.break_control(ActorId::SOURCE);
        self.cut_control(span);
    }

    pub(super) fn break_control(&mut self, id: ActorId) {
        if let Some(conn) = self.actors[id.0].conn.take() {
            self.conns[conn.0 as usize] = None;
            self.conductor.closed(self.now, conn);
            self.tell(id, Input::ControlDown);
        }
    }

    pub(super) fn dial_control(&mut self, id: ActorId) {
        self.close_control(id);
        let conn = Conn(self.conns.len() as u64);
        self.conns.push(None);
        let opening = Micros(self.actors[id.0].access.control_delay.0 * 2 * self.network.control_round_trips);
        self.schedule(opening, Event::ControlOpened(id.0 as u32, conn));
    }

    pub(super) fn open_control(&mut self, id: ActorId, conn: Conn) {
        if self.now < self.control_cut_until && id != ActorId::SOURCE {
            return self.tell(id, Input::ControlDown);
        }
        if self.actors[id.0].is_alive() {
            self.actors[id.0].conn = Some(conn);
            self.conns[conn.0 as usize] = Some(id.0 as u32);
            let network = || self.network.network(&self.actors[id.0].access).map_or(From::Anywhere, From::Network);
            let from = if id == ActorId::SOURCE { From::Source } else { network() };
            self.with_conductor(|conductor, now| conductor.opened(now, conn, from));
            self.tell(id, Input::ControlUp);
        }
    }

    pub(super) fn close_control(&mut self, id: ActorId) {
        if let Some(conn) = self.actors[id.0].conn.take() {
            self.schedule(self.actors[id.0].access.control_delay, Event::ConductorLost(conn));
        }
    }

    /// Whether messages on this node's control connection may be lost.
    pub(super) fn is_control_sure(&self, id: ActorId, greeting: impl FnOnce() -> bool) -> bool {
        let perfect = self.network.control_lost == 0.0 && self.network.control_doubled == 0.0;
        id == ActorId::SOURCE || (perfect && self.network.control_late == Micros(0)) || greeting()
    }

    pub(super) fn send_to_conductor(&mut self, id: ActorId, bytes: Vec<u8>) {
        let Some(conn) = self.actors[id.0].conn else { return };
        self.tally.control_in += bytes.len() as u64;
        self.tally.messages_in += 1;
        let sure = self.is_control_sure(id, || matches!(Up::decode(&bytes), Ok(Up::Hello(_) | Up::Leave)));
        let delay = self.actors[id.0].access.control_delay;
        if sure {
            return self.schedule(delay, Event::ToConductor(conn, bytes));
        }
        for late in self.network.control_copies(false, &mut self.chance) {
            self.events.push(self.now + delay + late, Event::ToConductor(conn, bytes.clone()));
        }
    }

    pub(super) fn obey_conductor(&mut self) {
        while let Some(order) = self.conductor.poll() {
            match order {
                Order::Send(conn, bytes) => self.send_to_node(conn, bytes),
                Order::Close(conn) => self.hang_up(conn),
                Order::SetTimer(at) => self.schedule(at.since(self.now), Event::ConductorTimer),
            }
        }
    }

    pub(super) fn send_to_node(&mut self, conn: Conn, bytes: Vec<u8>) {
        let Some(id) = self.whose(conn) else { return };
        self.tally.control_out += bytes.len() as u64;
        self.tally.messages_out += 1;
        let sure = self.is_control_sure(id, || matches!(Down::decode(&bytes), Ok(Down::Welcome(_) | Down::Refuse(_))));
        let delay = self.actors[id.0].access.control_delay;
        if let Some(arrives) = self.starter_arrives(id, &bytes) {
            return self.events.push(arrives, Event::ToNode(id.0 as u32, conn, bytes));
        }
        if sure {
            return self.schedule(delay, Event::ToNode(id.0 as u32, conn, bytes));
        }
        for late in self.network.control_copies(false, &mut self.chance) {
            self.events.push(self.now + delay + late, Event::ToNode(id.0 as u32, conn, bytes.clone()));
        }
    }

    /// When a starter arrives: it waits for the window of its connection, which grows as a link's does, and is not lost.
    fn starter_arrives(&mut self, id: ActorId, bytes: &[u8]) -> Option<Micros> {
        let Some(Down::Starter(frames)) = (bytes.len() > SMALL).then(|| Down::decode(bytes).ok()).flatten() else {
            return None;
        };
        let size = on_the_line(self.starter_size(&frames));
        let (now, window_max) = (self.now, self.window_max);
        let actor = &mut self.actors[id.0];
        let (delay, wire) = (actor.access.control_delay, &mut actor.control_wire);
        if wire.in_flight(now) == 0 && now.since(wire.arrives[Lane::Control as usize]) > WINDOW_IDLE {
            *wire = Wire::with_delay(delay);
        }
        let wait = wire.wait_for_window(size, window_max, now);
        let arrives = wire.in_order(Lane::Control, now + wait + delay, now);
        wire.on_sent(size, arrives + delay);
        Some(arrives)
    }

    /// The bytes that a starter's frames stand for; its payload is counted.
    fn starter_size(&mut self, frames: &[Vec<u8>]) -> u64 {
        let is_piece = |frame: &&Vec<u8>| matches!(Frame::decode(frame), Ok(Frame::Piece { .. }));
        let pieces = frames.iter().filter(is_piece).count() as u64;
        let seen: u64 = frames.iter().map(|frame| frame.len() as u64).sum();
        let Some(scale) = self.scale else { return seen };
        self.tally.payload_from_starters += pieces * scale.piece_bytes;
        pieces * (scale.piece_bytes + PIECE_PREFIX as u64) + (frames.len() as u64 - pieces) * HEADER
    }

    /// The conductor closes a connection: nothing more comes in over it, and its end reaches the node after what was sent
    /// before.
    pub(super) fn hang_up(&mut self, conn: Conn) {
        if let Some(id) = self.whose(conn) {
            self.conns[conn.0 as usize] = None;
            self.schedule(self.actors[id.0].access.control_delay, Event::ControlEnded(id.0 as u32, conn));
        }
    }

    pub(super) fn end_control(&mut self, id: ActorId, conn: Conn) {
        if self.actors[id.0].conn.take_if(|open| *open == conn).is_some() {
            self.tell(id, Input::ControlDown);
        }
    }

    pub(super) fn whose(&self, conn: Conn) -> Option<ActorId> {
        self.conns.get(conn.0 as usize).copied().flatten().map(|id| ActorId(id as usize))
    }

    pub(super) fn with_conductor(&mut self, tell: impl FnOnce(&mut C, Micros)) {
        tell(&mut self.conductor, self.now);
        self.obey_conductor();
    }
}
