//! The rules of a doer's life, which all kinds of doers have.

use std::time::Duration;

use peerstream_traits::Lifecycle;

/// A doer that is asked to stop gets this long.
pub const STOP_MAX: Duration = Duration::from_secs(5);

/// Stops it, starts it, stops it twice.
pub async fn stops_safely(make: impl Fn() -> Box<dyn AsLife>) -> Result<(), String> {
    let never_started = make();
    stop(never_started.life(), "without a start").await?;
    let started = make();
    started.life().start().await.map_err(|error| format!("it does not start: {error}"))?;
    stop(started.life(), "after a start").await?;
    stop(started.life(), "a second time").await
}

async fn stop(doer: &dyn Lifecycle, when: &str) -> Result<(), String> {
    let stopped = tokio::time::timeout(STOP_MAX * 2, doer.stop(STOP_MAX)).await;
    let stopped = stopped.map_err(|_| format!("it does not stop within {} s {when}", STOP_MAX.as_secs() * 2))?;
    stopped.map_err(|error| format!("it does not stop {when}: {error}"))
}

/// A doer of any kind, seen as one that lives.
pub trait AsLife {
    /// The doer.
    fn life(&self) -> &dyn Lifecycle;
}

impl<T: Lifecycle + ?Sized> AsLife for std::sync::Arc<T>
where
    Self: Held,
{
    fn life(&self) -> &dyn Lifecycle {
        self.held()
    }
}

/// A shared doer gives itself as one that lives.
#[doc(hidden)]
pub trait Held {
    /// The doer.
    fn held(&self) -> &dyn Lifecycle;
}

macro_rules! held {
    ($($kind:path),+ $(,)?) => {
        $(
            impl Held for std::sync::Arc<dyn $kind> {
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
