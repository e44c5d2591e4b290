//! The simulator: a deterministic driver of the same node and coordinator.
