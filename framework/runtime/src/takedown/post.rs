//! Letters that wait to be sent. They wait in memory: a host that ends has sent what it could.

use std::time::Duration;

use peerstream_traits::mail::{Letter, SharedCourier};
use tokio::sync::mpsc;
use tracing::{error, warn};

/// Letters that wait, at most; more are dropped, which is said.
pub const LETTERS_MAX: usize = 1_024;
/// A letter is tried so many times.
const TRIES_MAX: u32 = 6;
/// The pause after a first failure; doubles each time.
const PAUSE: Duration = Duration::from_secs(5);
/// A mail server that says nothing is given up after this time.
const SEND_TIMEOUT: Duration = Duration::from_secs(60);

/// Where letters are put; cheap to clone. Without a courier they go nowhere.
#[derive(Clone, Default)]
pub(super) struct Post(Option<mpsc::Sender<Letter>>);

impl Post {
    /// With a courier, whose rounds are the future's.
    pub(super) fn with(courier: SharedCourier) -> (Self, impl Future<Output = ()> + Send) {
        let (sender, waiting) = mpsc::channel(LETTERS_MAX);
        (Self(Some(sender)), deliver(waiting, courier))
    }

    pub(super) fn is_there(&self) -> bool {
        self.0.is_some()
    }

    /// Puts a letter in, if it has an address.
    pub(super) fn put(&self, letter: Option<Letter>) {
        let (Some(post), Some(letter)) = (&self.0, letter) else { return };
        if post.try_send(letter).is_err() {
            error!(waiting = LETTERS_MAX, "a mail about a notice was dropped: too many wait");
        }
    }
}

async fn deliver(mut waiting: mpsc::Receiver<Letter>, courier: SharedCourier) {
    while let Some(letter) = waiting.recv().await {
        let mut pause = PAUSE;
        for tries in 1..=TRIES_MAX {
            let sent = tokio::time::timeout(SEND_TIMEOUT, courier.send(&letter)).await;
            // Neither the address nor the text stands in the host's own log.
            let problem = match sent {
                Ok(Ok(())) => break,
                Ok(Err(problem)) if !problem.class.is_temporary() => {
                    error!(subject = letter.subject(), error = %problem, "a mail about a notice was refused");
                    break;
                }
                Ok(Err(problem)) => problem.to_string(),
                Err(_) => format!("no answer within {} s", SEND_TIMEOUT.as_secs()),
            };
            if tries == TRIES_MAX {
                error!(subject = letter.subject(), error = problem, "a mail about a notice could not be sent");
                break;
            }
            warn!(subject = letter.subject(), error = problem, "a mail about a notice is sent again");
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }
}
