//! The wish to stop: Ctrl-C, or SIGTERM.

/// Waits for the first signal. A second one ends the process at once.
pub async fn stop() {
    signal().await;
    tokio::spawn(async {
        signal().await;
        std::process::exit(130);
    });
}

/// Waits for the wish to read the config again: SIGHUP. Comes once each time; safe to cancel.
#[cfg(unix)]
pub struct Reread(Option<tokio::signal::unix::Signal>);

#[cfg(unix)]
impl Reread {
    /// From now on the signal is waited for and no longer ends the process.
    pub fn new() -> Self {
        Self(tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()).ok())
    }

    /// The next time.
    pub async fn next(&mut self) {
        match &mut self.0 {
            Some(signal) => drop(signal.recv().await),
            None => std::future::pending().await,
        }
    }
}

/// There is no such signal here.
#[cfg(not(unix))]
pub struct Reread;

#[cfg(not(unix))]
impl Reread {
    pub fn new() -> Self {
        Self
    }

    pub async fn next(&mut self) {
        std::future::pending().await
    }
}

#[cfg(unix)]
async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    match (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) {
        (Ok(mut interrupt), Ok(mut terminate)) => {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        }
        // Without handlers the signals end the process by themselves.
        _ => std::future::pending().await,
    }
}

#[cfg(not(unix))]
async fn signal() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending().await
    }
}
