//! Why something about a notice was not done.

use peerstream_takedown::docket::NotPossible;
use peerstream_takedown::text::Invalid;
use peerstream_traits::PluginError;
use peerstream_traits::casebook::NotOurs;

/// Why something was not done. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// There is no such draft, case or file, or the token is another one.
    #[error("there is no such case or draft, or the token is not its own")]
    Unknown,
    /// It is not possible in the state of the case.
    #[error("{0}")]
    State(#[from] NotPossible),
    /// Somebody else has changed the case.
    #[error("the case has changed: it has the revision {0} by now")]
    Changed(u32),
    /// A field cannot be kept.
    #[error("{0}")]
    Invalid(#[from] Invalid),
    /// It came too late, or a second time.
    #[error("it has expired, or was used before")]
    Expired,
    /// An upload does not go on where it stopped.
    #[error("{0} bytes have been received so far")]
    Offset(u64),
    /// It is too large.
    #[error("it is larger than {0} bytes")]
    TooLarge(u64),
    /// The same claimant has an open notice about the same work and the same place.
    #[error("your notice {0} about the same work and the same place is still open")]
    Duplicate(u64),
    /// There is no room for more.
    #[error("too many notices wait; try again later")]
    Busy,
    /// The cases are those of another operator.
    #[error("{0}")]
    NotOurs(NotOurs),
    /// It could not be written down.
    #[error("it could not be written down; try again later")]
    Store(#[from] PluginError),
}

impl From<NotOurs> for Refused {
    fn from(why: NotOurs) -> Self {
        match why {
            NotOurs::Store(error) => Self::Store(error),
            why => Self::NotOurs(why),
        }
    }
}

impl From<std::io::Error> for Refused {
    fn from(error: std::io::Error) -> Self {
        Self::Store(error.into())
    }
}
