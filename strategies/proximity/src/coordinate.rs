//! Where nodes are in the network: coordinates between which distances are delays.
//!
//! Vivaldi with height vectors (Dabek, Cox, Kaashoek, Morris: Vivaldi: A Decentralized Network Coordinate System, SIGCOMM 2004):
//! each measured delay is a spring between two nodes, which pulls or pushes each of them the more, the surer the other one is of
//! where it is. The height is the delay of a node's own access, which is part of all its delays.

use std::ops::{Add, Mul, Sub};

/// Dimensions besides the height.
const DIMENSIONS: usize = 4;
/// How far a measurement moves a node that is as unsure as its neighbour is sure: the paper's c_c.
const STEP: f32 = 0.25;
/// How fast the error follows the last measurements: the paper's c_e.
const ERROR_STEP: f32 = 0.25;
/// Errors are never taken to be less or more than this.
const ERROR: [f32; 2] = [0.02, 1.5];
/// The least height, in milliseconds.
const HEIGHT_MIN: f32 = 0.05;
/// Nobody is farther out than this in any direction, in milliseconds, whatever is said.
const FAR_MAX: f32 = 5_000.0;

/// A point of the space.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Point([f32; DIMENSIONS]);

impl Point {
    fn norm(self) -> f32 {
        self.0.iter().map(|x| x * x).sum::<f32>().sqrt()
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

/// Where a node is, and how sure that is. All in milliseconds, one way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Coordinate {
    at: Point,
    height: f32,
    /// The relative error of what it predicts, about.
    error: f32,
}

impl Default for Coordinate {
    /// In the middle, and not sure of it at all.
    fn default() -> Self {
        Self { at: Point::default(), height: HEIGHT_MIN, error: 1.0 }
    }
}

impl Coordinate {
    /// The delay between two nodes, one way.
    pub fn distance(&self, other: &Self) -> f32 {
        (self.at - other.at).norm() + self.height + other.height
    }

    /// The relative error of what it predicts, about.
    pub fn error(&self) -> f32 {
        self.error
    }

    /// The same place, not being sure of it at all.
    pub(crate) fn unsure(self) -> Self {
        Self { error: 1.0, ..self }
    }

    /// Moves a part of the way to another one.
    pub(crate) fn drift(&mut self, to: &Self, part: f32) {
        self.at = self.at + (to.at - self.at) * part;
        self.height += (to.height - self.height) * part;
    }

    /// The delay to `other` was measured. `chance` says in which direction to part from somebody at the very same place.
    pub fn pull(&mut self, other: &Self, delay: f32, chance: u64) {
        let delay = delay.clamp(HEIGHT_MIN, FAR_MAX);
        let away = self.at - other.at;
        let (apart, predicted) = (away.norm(), self.distance(other));
        let weight = self.error / (self.error + other.error);
        let error = ((predicted - delay) / delay).abs().min(ERROR[1]);
        let follow = ERROR_STEP * weight;
        self.error = (error * follow + self.error * (1.0 - follow)).clamp(ERROR[0], ERROR[1]);
        let force = STEP * weight * (delay - predicted);
        let direction = if apart > 1e-3 { away * (1.0 / predicted) } else { any_direction(chance) };
        self.at = Point((self.at + direction * force).0.map(|x| x.clamp(-FAR_MAX, FAR_MAX)));
        let heights = self.height + other.height;
        self.height = (self.height + force * heights / predicted).clamp(HEIGHT_MIN, FAR_MAX);
    }
}

/// A vector of length one at most, by chance.
fn any_direction(chance: u64) -> Point {
    let part = |axis: usize| ((chance >> (axis * 16)) & 0xffff) as f32 / 32_768.0 - 1.0;
    let vector = Point(std::array::from_fn(part));
    vector * (1.0 / vector.norm().max(1.0))
}
