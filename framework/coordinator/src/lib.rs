//! The coordinator as a value: members, targets, assignments, verdicts, signalling.
