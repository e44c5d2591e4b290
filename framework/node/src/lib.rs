//! The node as a value: links, window, relay, buddy, repair, playout.
