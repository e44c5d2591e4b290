//! Hellos: newcomers, and nodes that come back.

use peerstream_overlay::Member;
use peerstream_overlay::maybe::Maybe;
use peerstream_protocol::WIRE_VERSION;
use peerstream_protocol::control::{Down, Hello, ICE_URLS_MAX, Reason, Role, Welcome};
use peerstream_protocol::id::{NodeId, Rendition};
use peerstream_protocol::time::Micros;

use crate::coordinator::Coordinator;
use crate::history::Happening;
use crate::io::ConnId;
use crate::limits::Join;

impl Coordinator {
    pub(crate) fn on_hello(&mut self, conn: ConnId, hello: Hello) {
        let Some(state) = self.conns.get(conn) else { return };
        let (trusted, present) = (state.trusted, state.node.get());
        let address = self.unanswered.get(&(state.opened_at, conn)).copied().flatten();
        if hello.wire != WIRE_VERSION {
            return self.turn_away(conn, Reason::WireVersion);
        }
        if hello.stream.is_some_and(|stream| stream != self.config.cert.publisher) {
            return self.turn_away(conn, Reason::UnknownStream);
        }
        let resumed = hello.resume.filter(|(node, session)| self.names.is_session_of(*node, *session));
        let adopted = resumed.filter(|(node, _)| self.is_adoptable(*node));
        let resumed = resumed.filter(|(node, _)| self.members.contains(*node));
        match (hello.role, adopted.or(resumed), present) {
            (Role::Source, _, _) if !trusted => self.turn_away(conn, Reason::Misbehaved),
            (Role::Source, _, None | Some(NodeId::SOURCE)) => self.on_source(conn, &hello),
            (_, Some((node, _)), None) if adopted.is_some() => self.adopt(conn, node, &hello),
            (_, Some((node, _)), None) if node != NodeId::SOURCE => self.resume(conn, node, &hello),
            (_, Some((node, _)), Some(present)) if node == present => self.resume(conn, node, &hello),
            (_, _, None) => self.join(conn, address, &hello),
            _ => self.counters.unexpected += 1,
        }
    }

    fn turn_away(&mut self, conn: ConnId, reason: Reason) {
        self.counters.joins_refused_other += 1;
        if self.conns.get(conn).is_some_and(|state| state.node.is_some()) {
            return;
        }
        self.refuse(conn, reason);
    }

    /// The source feeds at least the two roots; a strategy may count on that.
    fn on_source(&mut self, conn: ConnId, hello: &Hello) {
        let capacity = self.clamp(hello.capacity).max(2);
        self.source_says(capacity);
        self.attach(conn, NodeId::SOURCE);
    }

    fn resume(&mut self, conn: ConnId, node: NodeId, hello: &Hello) {
        self.counters.resumed += 1;
        self.note(node, Happening::Resumed);
        self.attach(conn, node);
        let capacity = self.clamp(hello.capacity);
        self.set_ability(node, capacity, hello.relay, hello.untried);
    }

    fn join(&mut self, conn: ConnId, address: Option<[u8; 16]>, hello: &Hello) {
        if self.topology.len() >= self.config.limits.nodes_max {
            self.counters.joins_refused_full += 1;
            return self.refuse(conn, Reason::Full);
        }
        if let Some(address) = address {
            match self.addresses.join(address, self.now) {
                Join::Allowed => {}
                Join::AllowedShared => self.counters.addresses_shared += 1,
                Join::Refused => {
                    self.counters.joins_refused_address += 1;
                    return self.refuse(conn, Reason::TooManyJoins);
                }
            }
        }
        let Some(node) = self.names.next() else {
            self.counters.joins_refused_full += 1;
            return self.refuse(conn, Reason::Full);
        };
        let capacity = self.clamp(hello.capacity);
        let target = Member::new(capacity, hello.relay, Micros(self.wall_us())).with_untried(hello.untried);
        let told = address.filter(|_| self.strategy.wants_round_trips());
        let target = target.with_network(told.map_or(0, |address| self.names.network(address)));
        self.admit(node, hello.role, target);
        self.counters.joined += 1;
        self.note(node, Happening::Joined);
        self.attach(conn, node);
        self.start(node);
    }

    /// From now on the member is at the other end of this connection; an older one of its is closed.
    pub(crate) fn attach(&mut self, conn: ConnId, node: NodeId) {
        if let Some(state) = self.conns.get_mut(conn) {
            state.node = Some(node).into();
            self.unanswered.remove(&(state.opened_at, conn));
        }
        let Some(member) = self.members.get_mut(node) else { return };
        let old = member.conn.replace(conn);
        (member.lost_at, member.heard, member.placeholder) = (Maybe::default(), self.now, false);
        if let Some(old) = old.filter(|old| *old != conn) {
            self.close(old);
        }
        let welcome = self.welcome(node);
        self.send(conn, &Down::Welcome(Box::new(welcome)));
        self.tell_newcomer_withheld(conn);
        self.carry.set_online(node, true);
    }

    fn welcome(&self, node: NodeId) -> Welcome {
        let joined_at = self.topology.get(node).map_or(Micros(0), |member| member.joined_at);
        let urls = self.config.ice.iter().filter(|url| url.len() <= 255);
        Welcome {
            node,
            session: self.names.session(node),
            ticket: self.names.ticket(node, joined_at),
            term: self.config.term,
            cert: self.config.cert.clone(),
            rendition: Rendition(0),
            kind: self.config.kind,
            wall_us: self.wall_us(),
            ice: urls.take(ICE_URLS_MAX).cloned().collect(),
        }
    }

    pub(crate) fn clamp(&mut self, capacity: u8) -> u8 {
        let most = self.config.limits.capacity_max;
        self.counters.capacity_clamped += u64::from(capacity > most);
        capacity.min(most)
    }
}
