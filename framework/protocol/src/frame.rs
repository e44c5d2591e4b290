//! Frames between two nodes.

/// The two lanes of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lane {
    /// Ordered and reliable: headers, inits, wants, progress.
    Control,
    /// Reliable without order: pieces.
    Pieces,
}
