//! One call of a plug-in: it takes a bounded time, and its panic stays its own.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use peerstream_traits::{ErrorClass, PluginError};
use tokio::task::{JoinError, JoinHandle};

use super::options::{self, ms};

/// The longest pause that another side can ask for.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(600);

/// Ends a task when it is dropped.
#[derive(Debug)]
pub(crate) struct AbortOnDrop<T>(pub(crate) JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Makes a call in a task of its own, so that one that never yields holds nobody up.
pub(crate) async fn call<T: Send + 'static>(
    limit: Duration,
    call: impl Future<Output = Result<T, PluginError>> + Send + 'static,
) -> Result<T, PluginError> {
    let mut task = AbortOnDrop(tokio::spawn(call));
    match tokio::time::timeout(limit, &mut task.0).await {
        Ok(Ok(result)) => result,
        Ok(Err(error)) => Err(panicked(error)),
        Err(_) => Err(PluginError::new(ErrorClass::Timeout, format!("no answer within {} ms", limit.as_millis()))),
    }
}

/// Makes a call that takes no time.
pub(crate) fn call_now<T>(call: impl FnOnce() -> T) -> Result<T, PluginError> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|payload| told(payload.as_ref()))
}

fn panicked(error: JoinError) -> PluginError {
    match error.try_into_panic() {
        Ok(payload) => told(payload.as_ref()),
        Err(_) => PluginError::new(ErrorClass::Internal, "the call was cancelled"),
    }
}

fn told(payload: &(dyn std::any::Any + Send)) -> PluginError {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
    PluginError::new(ErrorClass::Panicked, format!("panicked: {}", text.unwrap_or_else(|| "no reason given".into())))
}

/// When a call is made again after a failure.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    next: Duration,
    most: Duration,
    calls_left: u32,
}

impl Backoff {
    /// Before the first call.
    pub(crate) fn new(retry: &options::Retry) -> Self {
        let (next, most) = (ms(retry.first_ms), ms(retry.pause_max_ms.max(retry.first_ms)));
        Self { next, most, calls_left: retry.calls_max }
    }

    /// One that never ends.
    pub(crate) fn endless(first_ms: u64, most_ms: u64) -> Self {
        Self { next: ms(first_ms), most: ms(most_ms.max(first_ms)), calls_left: u32::MAX }
    }

    /// The pause after a failure; nothing when it was the last call.
    pub(crate) fn pause(&mut self, error: &PluginError) -> Option<Duration> {
        self.calls_left = self.calls_left.saturating_sub(1);
        let pause = self.next;
        self.next = (pause * 2).min(self.most);
        let asked = error.retry_after.unwrap_or_default().min(RETRY_AFTER_MAX);
        (self.calls_left > 0).then(|| pause.max(asked))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(1);

    #[tokio::test]
    async fn a_panic_becomes_an_error_with_its_words() {
        let error = call::<()>(LIMIT, async { panic!("out of {}", "cheese") }).await.unwrap_err();
        assert_eq!((error.class, error.message.as_str()), (ErrorClass::Panicked, "panicked: out of cheese"));
        assert_eq!(call_now(|| panic!("no")).map(|()| 0).unwrap_err().class, ErrorClass::Panicked);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_never_ends_is_given_up() {
        let error = call::<()>(LIMIT, std::future::pending()).await.unwrap_err();
        assert_eq!(error.class, ErrorClass::Timeout);
    }

    #[test]
    fn pauses_double_up_to_a_bound_and_honour_what_was_asked() {
        let retry = options::Retry { calls_max: 5, first_ms: 100, pause_max_ms: 300 };
        let mut backoff = Backoff::new(&retry);
        let error = PluginError::unavailable("busy");
        let mut pause = |error: &PluginError| backoff.pause(error).map(|pause| pause.as_millis());
        assert_eq!([pause(&error), pause(&error), pause(&error)], [Some(100), Some(200), Some(300)]);
        assert_eq!(pause(&PluginError::unavailable("busy").retry_after(Duration::from_secs(2))), Some(2_000));
        assert_eq!(pause(&error), None);
        let mut backoff = Backoff::new(&retry);
        let patient = PluginError::unavailable("busy").retry_after(Duration::from_secs(86_400));
        assert_eq!(backoff.pause(&patient), Some(RETRY_AFTER_MAX));
    }
}
