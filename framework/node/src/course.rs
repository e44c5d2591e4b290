//! Courses: the stripes that come from one parent, and how they come. A node with one parent has one course, the whole stream.

use peerstream_protocol::crypto::Verifier;
use peerstream_protocol::id::{NodeId, Seq, Stripes};
use peerstream_protocol::time::Micros;

use crate::ask::FalseAlarms;
use crate::io::LinkId;
use crate::node::Node;
use crate::window::{Segment, Window};

/// One course.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Course {
    pub(crate) stripes: Stripes,
    /// Its next segment neither received nor given up, once there was a first of the stream.
    pub(crate) next: Option<Seq>,
    /// When that last moved.
    pub(crate) moved: Micros,
    /// When the coordinator was last told of starvation.
    pub(crate) starved: Micros,
    /// When the coordinator was last told that the link to a parent is too slow.
    pub(crate) complained: Micros,
    /// When a repair was last asked for, and of which link.
    pub(crate) repair_asked: Micros,
    pub(crate) repair_from: Option<LinkId>,
    pub(crate) false_alarms: FalseAlarms,
}

impl Course {
    pub(crate) fn new(stripes: Stripes, now: Micros) -> Self {
        Self {
            stripes,
            next: None,
            moved: now,
            starved: now,
            complained: now,
            repair_asked: now,
            repair_from: None,
            false_alarms: FalseAlarms::default(),
        }
    }

    /// Whether it is the whole stream.
    pub(crate) fn is_whole(&self) -> bool {
        self.stripes == Stripes::ALL
    }

    /// The next segment; the first one before there was any.
    pub(crate) fn position(&self) -> Seq {
        self.next.unwrap_or_default()
    }

    /// The retained segments of this course from `seq` on.
    pub(crate) fn segments<'a>(
        &self,
        window: &'a Window,
        seq: Seq,
    ) -> impl DoubleEndedIterator<Item = (Seq, &'a Segment)> + use<'a> {
        let stripes = self.stripes;
        window.from(seq).filter(move |(seq, _)| stripes.meets(Stripes::of(*seq)))
    }

    /// Over how many segments of the stream as many of the course stretch.
    pub(crate) fn span(&self, count: u64) -> u64 {
        count.saturating_mul(u64::from(Stripes::COUNT)) / self.stripes.count().max(1) as u64
    }

    /// Segments of the course are further apart than those of the stream by this.
    pub(crate) fn pause(&self, segment: Micros) -> Micros {
        Micros(self.span(segment.0) - segment.0)
    }

    /// The first segment from `position` on that is of this course and not whole.
    fn missing(&self, window: &Window, position: Seq) -> Seq {
        let mut seq = position;
        let passed =
            |seq: Seq| !self.stripes.meets(Stripes::of(seq)) || window.get(seq).is_some_and(Segment::is_complete);
        while passed(seq) && seq.next() > seq {
            seq = seq.next();
        }
        seq
    }
}

impl<V: Verifier> Node<V> {
    /// A new assignment may deal the stripes to other courses: each goes on from what it was part of.
    pub(crate) fn redeal_courses(&mut self) {
        let stripes = self.reconciler.courses();
        if self.courses.iter().map(|course| course.stripes).eq(stripes.iter().copied()) {
            return;
        }
        let continued = |stripes: Stripes| {
            let before = self.courses.iter().filter(|course| course.stripes.meets(stripes));
            // The one that is worse off, so that nothing is overlooked.
            let before = before.min_by_key(|course| course.moved).copied();
            Course { stripes, next: None, ..before.unwrap_or(Course::new(stripes, self.now)) }
        };
        let mut courses: Vec<_> = stripes.into_iter().map(continued).collect();
        if let Some(position) = self.position {
            courses.iter_mut().for_each(|course| course.next = Some(course.missing(&self.window, position)));
        }
        self.courses = courses;
    }

    /// Notes how far each course has come, after the position or a segment has changed.
    pub(crate) fn advance_courses(&mut self) {
        let Some(position) = self.position else { return };
        for course in &mut self.courses {
            let next = course.missing(&self.window, position);
            if course.next != Some(next) {
                (course.next, course.moved) = (Some(next), self.now);
            }
        }
    }

    /// The course that a segment belongs to.
    pub(crate) fn course_of(&self, seq: Seq) -> Option<&Course> {
        self.courses.iter().find(|course| course.stripes.meets(Stripes::of(seq)))
    }

    /// The course of these stripes, which is one of those there are.
    pub(crate) fn course_mut(&mut self, stripes: Stripes) -> &mut Course {
        let at = self.courses.iter().position(|course| course.stripes == stripes).unwrap_or_default();
        &mut self.courses[at]
    }

    /// The first segment of these stripes that is missing here; none before there was a first one.
    pub(crate) fn missing_of(&self, stripes: Stripes) -> Option<Seq> {
        let courses = self.courses.iter().filter(|course| course.stripes.meets(stripes));
        courses.filter_map(|course| course.next).min()
    }

    /// The stripes in which a peer is known to feed this node by a new piece of that segment: all of the course that it was
    /// asked for, unless it fed a part of that before.
    pub(crate) fn proven_by(&self, peer: NodeId, seq: Seq) -> Stripes {
        let course = self.course_of(seq).map_or(Stripes::NONE, |course| course.stripes);
        let link = self.reconciler.link(peer);
        let asked = link.wanted.and(course);
        if link.feeds_me.meets(asked) { asked.and(Stripes::of(seq)) } else { asked }
    }
}
