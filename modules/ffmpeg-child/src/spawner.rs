//! Starts children from one thread that lives as long as this process.
//!
//! On Linux a child is told to end when the *thread* that started it ends. A thread of a runtime may end before the process
//! does; this one does not. So no child is left behind, holding a port, when this process is killed.

use std::io;
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};

use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

struct Order {
    command: Command,
    runtime: Handle,
    answer: oneshot::Sender<io::Result<Child>>,
}

/// Starts a child in a process group of its own.
pub(crate) async fn spawn(mut command: Command) -> io::Result<Child> {
    command.kill_on_drop(true);
    #[cfg(unix)]
    command.process_group(0);
    #[cfg(target_os = "linux")]
    ends_with_us(&mut command);
    let (answer, answered) = oneshot::channel();
    let order = Order { command, runtime: Handle::current(), answer };
    thread()?.send(order).map_err(|_| gone())?;
    answered.await.map_err(|_| gone())?
}

fn gone() -> io::Error {
    io::Error::other("the thread that starts children is gone")
}

fn thread() -> io::Result<&'static Sender<Order>> {
    static THREAD: OnceLock<Sender<Order>> = OnceLock::new();
    if let Some(orders) = THREAD.get() {
        return Ok(orders);
    }
    let (orders, receiver) = channel::<Order>();
    std::thread::Builder::new().name("ffmpeg-spawner".into()).spawn(move || {
        for Order { mut command, runtime, answer } in receiver {
            let _inside = runtime.enter();
            // Whoever does not wait any more drops the child, which ends it.
            let _ = answer.send(command.spawn());
        }
    })?;
    // Another one may have been quicker; then this thread ends, having started nothing.
    Ok(THREAD.get_or_init(|| orders))
}

#[cfg(target_os = "linux")]
fn ends_with_us(command: &mut Command) {
    let us = std::process::id();
    let before_exec = move || {
        // SAFETY: prctl and getppid are async-signal-safe system calls that touch no memory of ours.
        let (told, parent) = unsafe { (libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL), libc::getppid()) };
        match told {
            0 if u32::try_from(parent) == Ok(us) => Ok(()),
            0 => Err(io::ErrorKind::BrokenPipe.into()),
            _ => Err(io::Error::last_os_error()),
        }
    };
    // SAFETY: the closure only makes system calls and allocates nothing, as is required between fork and exec.
    unsafe { command.pre_exec(before_exec) };
}
