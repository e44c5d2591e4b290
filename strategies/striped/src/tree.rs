//! One tree: who sits where, and which places can be taken.

use std::collections::{BTreeMap, BTreeSet};

use peerstream_sdk::prelude::*;

use crate::place::Place;

/// Who sits at a place.
#[derive(Clone, Debug)]
pub(crate) struct Seat {
    pub(crate) id: NodeId,
    /// Whether it feeds the places below. A leaf does not, so they cannot be taken.
    pub(crate) inner: bool,
    /// Leaves it can feed besides.
    pub(crate) extra_room: usize,
    /// Leaves it feeds besides.
    pub(crate) extras: Vec<NodeId>,
}

impl Seat {
    pub(crate) fn leaf(id: NodeId) -> Self {
        Self { id, inner: false, extra_room: 0, extras: Vec::new() }
    }

    pub(crate) fn inner(id: NodeId, extra_room: usize) -> Self {
        Self { id, inner: true, extra_room, extras: Vec::new() }
    }
}

/// Where somebody is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spot {
    /// At a place.
    At(Place),
    /// One of the leaves that this node feeds besides those at the places below it.
    Extra(NodeId),
}

/// The tree of one stripe. Only those who feed others, and the source, have anybody below them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tree {
    seats: BTreeMap<Place, Seat>,
    spots: BTreeMap<NodeId, Spot>,
    /// Empty places below somebody who feeds, shallowest first like all of these.
    pub(crate) open: BTreeSet<Place>,
    /// Places of leaves.
    pub(crate) leaves: BTreeSet<Place>,
    /// Places of those who feed, without the source.
    pub(crate) inner: BTreeSet<Place>,
    /// Places of those who can feed one more leaf besides.
    pub(crate) roomy: BTreeSet<Place>,
    /// Leaves that are fed besides.
    pub(crate) extras: BTreeSet<NodeId>,
    /// Those for whom there is no place, the oldest first.
    pub(crate) waiting: BTreeSet<(Micros, NodeId)>,
    /// Whose edges may have changed.
    touched: Vec<NodeId>,
}

impl Tree {
    /// An empty tree below a source that can feed so many; the first is the root.
    pub(crate) fn new(source_room: usize) -> Self {
        let mut tree = Self::default();
        if let Some(extra_room) = source_room.checked_sub(1) {
            tree.sit(Place::SOURCE, Seat::inner(NodeId::SOURCE, extra_room));
        }
        tree
    }

    pub(crate) fn seat(&self, place: Place) -> Option<&Seat> {
        self.seats.get(&place)
    }

    pub(crate) fn spot(&self, id: NodeId) -> Option<Spot> {
        self.spots.get(&id).copied()
    }

    /// Who feeds a place, whether anybody is there or not.
    pub(crate) fn feeder_of(&self, place: Place) -> Option<NodeId> {
        Some(self.seat(place.feeder()?)?.id)
    }

    /// Who feeds a node.
    pub(crate) fn parent(&self, id: NodeId) -> Option<NodeId> {
        match self.spot(id)? {
            Spot::At(place) => self.feeder_of(place),
            Spot::Extra(feeder) => Some(feeder),
        }
    }

    /// Who can feed a node when its parent fails: whoever feeds that one. Those whom the source feeds besides ask the
    /// root.
    pub(crate) fn helper(&self, id: NodeId) -> Option<NodeId> {
        match self.spot(id)? {
            Spot::Extra(NodeId::SOURCE) => self.seat(Place::ROOT).filter(|root| root.inner).map(|root| root.id),
            _ => self.parent(self.parent(id)?),
        }
    }

    /// The occupants of the places below a place.
    pub(crate) fn below(&self, place: Place) -> impl Iterator<Item = (Place, &Seat)> {
        place.children().filter_map(|child| Some((child, self.seat(child)?)))
    }

    /// How many a node feeds.
    pub(crate) fn fed_by(&self, id: NodeId) -> usize {
        let Some(Spot::At(place)) = self.spot(id) else { return 0 };
        self.below(place).count() + self.seat(place).map_or(0, |seat| seat.extras.len())
    }

    /// How many more leaves would have no place in the normal case; negative if there are places.
    pub(crate) fn lack(&self) -> isize {
        (self.extras.len() + self.waiting.len()) as isize - self.open.len() as isize
    }

    /// The level of the shallowest place where nobody feeds others.
    pub(crate) fn brim(&self) -> Option<u32> {
        [self.open.first(), self.leaves.first()].into_iter().flatten().min().map(|place| place.level())
    }

    /// Puts somebody at an empty place.
    pub(crate) fn sit(&mut self, place: Place, seat: Seat) {
        self.spots.insert(seat.id, Spot::At(place));
        let before = self.seats.insert(place, seat);
        assert!(before.is_none(), "{place:?} was taken by {before:?}");
        self.changed(place);
    }

    /// Takes whoever is there away, with the leaves it feeds besides.
    pub(crate) fn take(&mut self, place: Place) -> Option<Seat> {
        self.touch(place);
        let seat = self.seats.remove(&place)?;
        self.spots.remove(&seat.id);
        self.changed(place);
        Some(seat)
    }

    /// Moves whoever is at a place to an empty one.
    pub(crate) fn shift(&mut self, from: Place, to: Place) {
        if let Some(seat) = self.take(from) {
            self.sit(to, seat);
        }
    }

    /// Changes how many leaves whoever is there feeds besides; returns those that are too many, whom nobody feeds now.
    pub(crate) fn set_feeding(&mut self, place: Place, inner: bool, extra_room: usize) -> Vec<NodeId> {
        let Some(seat) = self.seats.get_mut(&place) else { return Vec::new() };
        (seat.inner, seat.extra_room) = (inner, extra_room);
        let surplus = seat.extras.split_off(extra_room.min(seat.extras.len()));
        self.cast_off(&surplus);
        self.changed(place);
        surplus
    }

    /// Nobody feeds these leaves besides any more.
    pub(crate) fn cast_off(&mut self, extras: &[NodeId]) {
        for id in extras {
            self.spots.remove(id);
            self.extras.remove(id);
            self.touched.push(*id);
        }
    }

    /// Has whoever is at a place feed a leaf besides.
    pub(crate) fn add_extra(&mut self, place: Place, id: NodeId) {
        let Some(seat) = self.seats.get_mut(&place) else { return };
        seat.extras.push(id);
        self.spots.insert(id, Spot::Extra(seat.id));
        self.extras.insert(id);
        self.touched.push(id);
        self.refresh(place);
    }

    /// The leaf is not fed besides any more.
    pub(crate) fn remove_extra(&mut self, id: NodeId, feeder: NodeId) {
        self.cast_off(&[id]);
        let Some(Spot::At(place)) = self.spot(feeder) else { return };
        if let Some(seat) = self.seats.get_mut(&place) {
            seat.extras.retain(|extra| *extra != id);
            self.refresh(place);
        }
    }

    pub(crate) fn touch_one(&mut self, id: NodeId) {
        self.touched.push(id);
    }

    /// Whose edges may have changed since the last call; some more than once.
    pub(crate) fn take_touched(&mut self) -> Vec<NodeId> {
        std::mem::take(&mut self.touched)
    }

    fn changed(&mut self, place: Place) {
        self.refresh(place);
        place.children().for_each(|child| self.refresh(child));
        self.touch(place);
    }

    /// Puts a place into the sets it belongs to.
    fn refresh(&mut self, place: Place) {
        let seat = self.seats.get(&place);
        let feeds = seat.is_some_and(|seat| seat.inner);
        let roomy = seat.is_some_and(|seat| seat.inner && seat.extras.len() < seat.extra_room);
        let fed = place.feeder().and_then(|feeder| self.seat(feeder)).is_some_and(|feeder| feeder.inner);
        let (open, leaf) = (seat.is_none() && fed, seat.is_some() && !feeds);
        put(&mut self.open, place, open);
        put(&mut self.leaves, place, leaf);
        put(&mut self.inner, place, feeds && place != Place::SOURCE);
        put(&mut self.roomy, place, roomy);
    }

    /// Notes everybody whose parent or helper depends on who is at this place.
    fn touch(&mut self, place: Place) {
        let mut found = std::mem::take(&mut self.touched);
        let near = std::iter::once(place).chain(place.children());
        for seat in near.filter_map(|near| self.seat(near)) {
            found.push(seat.id);
            found.extend(&seat.extras);
        }
        if place == Place::ROOT {
            found.extend(self.seat(Place::SOURCE).into_iter().flat_map(|source| &source.extras));
        }
        let far = place.children().flat_map(Place::children);
        found.extend(far.filter_map(|far| Some(self.seat(far)?.id)));
        self.touched = found;
    }
}

fn put(set: &mut BTreeSet<Place>, place: Place, is_in: bool) {
    if is_in {
        set.insert(place);
    } else {
        set.remove(&place);
    }
}
