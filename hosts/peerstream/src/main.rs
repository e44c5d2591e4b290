//! The peerstream command.

fn main() -> std::process::ExitCode {
    peerstream_host::run(std::env::args_os())
}
