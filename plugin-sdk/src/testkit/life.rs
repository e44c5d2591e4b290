//! The rules of a doer's life, which all kinds of doers have.

use std::sync::Arc;
use std::time::Duration;

use peerstream_traits::Lifecycle;

use super::block_on;

/// A doer that is asked to stop gets this long.
pub const STOP_MAX: Duration = Duration::from_secs(5);

/// Stops one that was never started; starts another one and stops it twice.
pub fn stops<T: ?Sized>(make: &dyn Fn() -> Arc<T>) -> Result<(), String>
where
    Arc<T>: Held,
{
    block_on(async {
        let never_started = make();
        stop(never_started.held(), "without a start").await?;
        let started = make();
        start(started.held()).await?;
        stop(started.held(), "after a start").await?;
        stop(started.held(), "a second time").await
    })
}

/// Runs with a doer that was started, and stops it.
pub fn started<T: ?Sized, F: Future<Output = Result<(), String>>>(
    make: &dyn Fn() -> Arc<T>,
    run: impl FnOnce(Arc<T>) -> F,
) -> Result<(), String>
where
    Arc<T>: Held,
{
    block_on(async {
        let doer = make();
        start(doer.held()).await?;
        let result = run(doer.clone()).await;
        result.and(stop(doer.held(), "after its use").await)
    })
}

async fn start(doer: &dyn Lifecycle) -> Result<(), String> {
    doer.start().await.map_err(|error| format!("it does not start: {error}"))
}

async fn stop(doer: &dyn Lifecycle, when: &str) -> Result<(), String> {
    let stopped = tokio::time::timeout(STOP_MAX * 2, doer.stop(STOP_MAX)).await;
    let stopped = stopped.map_err(|_| format!("it does not stop within {} s {when}", STOP_MAX.as_secs() * 2))?;
    stopped.map_err(|error| format!("it does not stop {when}: {error}"))
}

/// A shared doer gives itself as one that lives.
pub trait Held {
    /// The doer.
    fn held(&self) -> &dyn Lifecycle;
}

macro_rules! held {
    ($($kind:path),+ $(,)?) => {
        $(
            impl Held for Arc<dyn $kind> {
                fn held(&self) -> &dyn Lifecycle {
                    &**self
                }
            }
        )+
    };
}

held!(
    peerstream_traits::telemetry::TelemetrySink,
    peerstream_traits::archive::ArchiveBackend,
    peerstream_traits::compliance::ComplianceHandler,
    peerstream_traits::admission::AdmissionPolicy,
);
