//! The peerstream command.

fn main() {}
