//! Bodies on their way in. Each takes memory until its request is answered, so that there are only so many; when there is one more, the one that
//! has been coming for longest gives way. An honest one is there within a moment.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// Bodies that are taken at once.
#[derive(Debug)]
pub struct Bodies {
    max: usize,
    per_network_max: usize,
    patience: Duration,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    next: u64,
    /// Those that still come, the oldest first. Dropping a sender tells its reader to give way.
    coming: VecDeque<(u64, oneshot::Sender<()>)>,
    /// Those that are there.
    whole: usize,
    networks: HashMap<String, usize>,
}

/// Why a body was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Untaken {
    /// There are too many of this network.
    TooMany,
    /// There are too many that wait for their answers.
    Busy,
    /// It is larger than this.
    TooLarge(usize),
    /// It took too long, alone or beside the others.
    Slow,
}

/// A whole body. It has its place until it is dropped.
#[derive(Debug)]
pub struct Taken<'a> {
    pub bytes: Bytes,
    _place: Place<'a>,
}

impl Bodies {
    /// So many altogether and of one network, each within this time.
    pub fn new(max: usize, per_network_max: usize, patience: Duration) -> Self {
        Self { max, per_network_max, patience, held: Mutex::default() }
    }

    /// A whole body of at most so many bytes.
    ///
    /// # Errors
    /// Why it was not taken.
    pub async fn take(&self, network: &str, body: Body, bytes_max: usize) -> Result<Taken<'_>, Untaken> {
        let (mut place, give_way) = self.enter(network)?;
        let bytes = tokio::select! {
            read = timeout(self.patience, to_bytes(body, bytes_max)) => match read {
                Ok(Ok(bytes)) => bytes,
                Ok(Err(error)) if is_too_large(&error) => return Err(Untaken::TooLarge(bytes_max)),
                // Whoever sends it has gone, or takes too long.
                Ok(Err(_)) | Err(_) => return Err(Untaken::Slow),
            },
            _ = give_way => return Err(Untaken::Slow),
        };
        place.is_whole();
        Ok(Taken { bytes, _place: place })
    }

    fn enter(&self, network: &str) -> Result<(Place<'_>, oneshot::Receiver<()>), Untaken> {
        let mut held = self.lock();
        if held.networks.get(network).is_some_and(|count| *count >= self.per_network_max) {
            return Err(Untaken::TooMany);
        }
        if held.coming.len() + held.whole >= self.max && held.coming.pop_front().is_none() {
            return Err(Untaken::Busy);
        }
        *held.networks.entry(network.to_owned()).or_default() += 1;
        let ((sender, receiver), id) = (oneshot::channel(), held.next);
        held.next += 1;
        held.coming.push_back((id, sender));
        Ok((Place { bodies: self, id, network: network.to_owned(), whole: false }, receiver))
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().expect("no holder panics")
    }
}

fn is_too_large(error: &axum::Error) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if error.is::<http_body_util::LengthLimitError>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// The place of a body.
#[derive(Debug)]
struct Place<'a> {
    bodies: &'a Bodies,
    id: u64,
    network: String,
    whole: bool,
}

impl Place<'_> {
    fn is_whole(&mut self) {
        let mut held = self.bodies.lock();
        held.coming.retain(|(id, _)| *id != self.id);
        held.whole += 1;
        self.whole = true;
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut held = self.bodies.lock();
        match self.whole {
            true => held.whole -= 1,
            false => held.coming.retain(|(id, _)| *id != self.id),
        }
        if let Some(count) = held.networks.get_mut(&self.network) {
            *count -= 1;
            if *count == 0 {
                held.networks.remove(&self.network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::stream;
    use tokio::task::JoinHandle;

    use super::*;

    const LONG: Duration = Duration::from_secs(600);

    fn endless() -> Body {
        Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>())
    }

    async fn begin(bodies: &Arc<Bodies>, network: &'static str) -> JoinHandle<Result<usize, Untaken>> {
        let bodies = bodies.clone();
        let task = tokio::spawn(async move { bodies.take(network, endless(), 10).await.map(|it| it.bytes.len()) });
        tokio::task::yield_now().await;
        task
    }

    #[tokio::test(start_paused = true)]
    async fn the_one_that_has_been_coming_for_longest_gives_way() {
        let bodies = Arc::new(Bodies::new(2, 2, LONG));
        let (first, second) = (begin(&bodies, "a").await, begin(&bodies, "b").await);
        let third = bodies.take("c", Body::from("hello"), 10).await.unwrap();
        assert_eq!(third.bytes, "hello");
        assert_eq!(first.await.unwrap(), Err(Untaken::Slow));
        let fourth = bodies.take("c", Body::from("there"), 10).await.unwrap();
        assert_eq!(second.await.unwrap(), Err(Untaken::Slow));
        assert_eq!(bodies.take("d", Body::from("!"), 10).await.unwrap_err(), Untaken::Busy, "two wait for answers");
        drop((third, fourth));
        assert!(bodies.take("d", Body::from("!"), 10).await.is_ok());
        let held = bodies.lock();
        assert_eq!((held.coming.len(), held.whole, held.networks.len()), (0, 0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_network_has_its_share_and_a_body_its_time_and_size() {
        let bodies = Arc::new(Bodies::new(8, 1, Duration::from_secs(10)));
        let slow = begin(&bodies, "a").await;
        let took = async |network: &str, body: &'static str| {
            bodies.take(network, Body::from(body), 10).await.map(|it| it.bytes.len())
        };
        assert_eq!(took("a", "x").await, Err(Untaken::TooMany));
        assert_eq!(took("b", "0123456789").await, Ok(10));
        assert_eq!(took("b", "0123456789a").await, Err(Untaken::TooLarge(10)));
        assert_eq!(slow.await.unwrap(), Err(Untaken::Slow));
        assert_eq!(took("a", "x").await, Ok(1));
    }
}
