//! Where nodes are in the network: coordinates between which distances are delays.
//!
//! Vivaldi with height vectors (Dabek, Cox, Kaashoek, Morris: Vivaldi: A Decentralized Network Coordinate System, SIGCOMM 2004):
//! each measured delay is a spring between two nodes, which pulls or pushes each of them the more, the surer the other one is of
//! where it is. The height is the delay of a node's own access, which is part of all its delays. Nodes of one network share
//! the point and have heights of their own.

use std::ops::{Add, Mul, Sub};

/// Dimensions besides the height.
const DIMENSIONS: usize = 4;
/// How far a measurement moves a node that is as unsure as its neighbour is sure: the paper's c_c.
const STEP: f32 = 0.1;
/// How fast the error follows the last measurements: the paper's c_e.
const ERROR_STEP: f32 = 0.1;
/// Errors are never taken to be less or more than this.
const ERROR: [f32; 2] = [0.02, 1.5];
/// The least and the first height, in milliseconds.
const HEIGHT_MIN: f32 = 0.05;
/// Nobody is farther out than this in any direction, in milliseconds, whatever is said.
const FAR_MAX: f32 = 5_000.0;

/// A vector of the space, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Point([f32; DIMENSIONS]);

impl Point {
    fn norm(self) -> f32 {
        self.0.iter().map(|x| x * x).sum::<f32>().sqrt()
    }

    /// A vector of length one at most, by chance.
    fn any(chance: u64) -> Self {
        let part = |axis: usize| ((chance >> (axis * 16)) & 0xffff) as f32 / 32_768.0 - 1.0;
        let vector = Self(std::array::from_fn(part));
        vector * (1.0 / vector.norm().max(1.0))
    }
}

impl Add for Point {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(std::array::from_fn(|axis| self.0[axis] + other.0[axis]))
    }
}

impl Sub for Point {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(std::array::from_fn(|axis| self.0[axis] - other.0[axis]))
    }
}

impl Mul<f32> for Point {
    type Output = Self;

    fn mul(self, factor: f32) -> Self {
        Self(self.0.map(|x| x * factor))
    }
}

/// Where a network is, and how sure that is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spot {
    pub(crate) at: Point,
    /// The relative error of what it predicts, about.
    pub(crate) error: f32,
}

impl Default for Spot {
    /// In the middle, and not sure of it at all.
    fn default() -> Self {
        Self { at: Point::default(), error: 1.0 }
    }
}

impl Spot {
    /// Moves a part of the way to another one.
    pub(crate) fn drift(&mut self, to: &Self, part: f32) {
        self.at = self.at + (to.at - self.at) * part;
    }
}

/// How high a node is above its network, and how sure that is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Height {
    pub(crate) ms: f32,
    pub(crate) error: f32,
}

impl Height {
    /// One that is to be measured.
    pub(crate) fn unsure(ms: f32) -> Self {
        Self { ms: ms.max(HEIGHT_MIN), error: 1.0 }
    }
}

/// The delay between two nodes, one way, in ms.
pub(crate) fn distance(one: (&Spot, &Height), other: (&Spot, &Height)) -> f32 {
    (one.0.at - other.0.at).norm() + one.1.ms + other.1.ms
}

/// The delay from a node to another one was measured. `chance` says in which direction to part from somebody at the very same
/// point.
pub(crate) fn pull(one: (&mut Spot, &mut Height), other: (&Spot, &Height), delay: f32, chance: u64) {
    let (spot, height) = one;
    let delay = delay.clamp(HEIGHT_MIN, FAR_MAX);
    let away = spot.at - other.0.at;
    let (apart, predicted) = (away.norm(), distance((spot, height), other));
    let error = ((predicted - delay) / delay).abs().min(ERROR[1]);
    let weigh = |mine: &mut f32, its: f32| {
        let weight = *mine / (*mine + its);
        let follow = ERROR_STEP * weight;
        *mine = (error * follow + *mine * (1.0 - follow)).clamp(ERROR[0], ERROR[1]);
        STEP * weight * (delay - predicted)
    };
    let force = weigh(&mut spot.error, other.0.error);
    let direction = if apart > 1e-3 { away * (1.0 / predicted) } else { Point::any(chance) };
    spot.at = Point((spot.at + direction * force).0.map(|x| x.clamp(-FAR_MAX, FAR_MAX)));
    let force = weigh(&mut height.error, other.1.error);
    height.ms = (height.ms + force * (height.ms + other.1.ms) / predicted).clamp(HEIGHT_MIN, FAR_MAX);
}
