//! The header for C says the same as the Rust structs.

use std::fmt::Write as _;
use std::mem::offset_of;
use std::path::{Path, PathBuf};
use std::process::Command;

use peerstream_abi::record::{Event, Op, event, flag, op as code};
use peerstream_abi::{ABI_MAJOR, ABI_MINOR, Api, Batch, Bytes, Host, Out, Status, op};

fn include() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugin-sdk/include")
}

#[track_caller]
fn compile(compiler: &str, flags: &[&str], source: &Path, into: &Path) {
    let mut command = Command::new(compiler);
    command.args(flags).arg("-Wall").arg("-Wextra").arg("-Werror").arg("-I").arg(include());
    let output = command.arg(source).arg("-o").arg(into).output().expect("a C compiler runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

macro_rules! sizes {
    ($text:ident, $($c:literal = $rust:ty),+ $(,)?) => {
        $(writeln!($text, "sizeof({}) {}", $c, size_of::<$rust>()).unwrap();)+
    };
}

macro_rules! offsets {
    ($text:ident, $c:literal, $rust:ty, $($field:ident),+ $(,)?) => {
        $(writeln!($text, "{}.{} {}", $c, stringify!($field), offset_of!($rust, $field)).unwrap();)+
    };
}

macro_rules! numbers {
    ($text:ident, $($c:literal = $rust:expr),+ $(,)?) => {
        $(writeln!($text, "{} {}", $c, $rust).unwrap();)+
    };
}

fn of_rust() -> String {
    let mut text = String::new();
    sizes!(
        text,
        "ps_bytes" = Bytes,
        "ps_out" = Out,
        "ps_event" = Event,
        "ps_op" = Op,
        "ps_batch" = Batch,
        "ps_host" = Host,
        "ps_plugin_api" = Api
    );
    offsets!(text, "ps_event", Event, index, node, a, b, time_us, v);
    offsets!(text, "ps_op", Op, group, node, target, second, value);
    offsets!(text, "ps_batch", Batch, now_us, source, stride, count, records, ops_max);
    offsets!(text, "ps_host", Host, ctx, log, complete);
    offsets!(text, "ps_plugin_api", Api, abi_major, size, describe, check, create);
    offsets!(text, "ps_plugin_api", Api, call, batch, submit, cancel, destroy);
    numbers!(text, "PS_ABI_MAJOR" = ABI_MAJOR, "PS_ABI_MINOR" = ABI_MINOR);
    numbers!(
        text,
        "PS_PENDING" = Status::PENDING.0,
        "PS_INVALID" = Status::failed(0).0,
        "PS_INTERNAL" = Status::failed(8).0,
        "PS_PANICKED" = Status::PANICKED.0
    );
    numbers!(
        text,
        "PS_TICK" = event::TICK,
        "PS_JOINED" = event::JOINED,
        "PS_LEFT" = event::LEFT,
        "PS_CHANGED" = event::CHANGED,
        "PS_LINK_FAILED" = event::LINK_FAILED,
        "PS_UNDERPERFORMS" = event::UNDERPERFORMS,
        "PS_REJECTED" = event::REJECTED,
        "PS_ROUND_TRIP" = event::ROUND_TRIP,
        "PS_MEMBER" = event::MEMBER,
        "PS_PARENT" = event::PARENT,
        "PS_BACKUP" = event::BACKUP,
        "PS_STANDBY" = event::STANDBY,
        "PS_OVERLOAD" = event::OVERLOAD,
        "PS_LEAF" = event::LEAF,
        "PS_RELAY" = flag::RELAY,
        "PS_UNTRIED" = flag::UNTRIED,
        "PS_GONE" = flag::GONE
    );
    numbers!(
        text,
        "PS_SET_PARENT" = code::SET_PARENT,
        "PS_SET_BACKUP" = code::SET_BACKUP,
        "PS_SET_STANDBY" = code::SET_STANDBY,
        "PS_DETACH" = code::DETACH,
        "PS_RUNG" = code::RUNG
    );
    numbers!(
        text,
        "PS_ATTACH" = op::ATTACH,
        "PS_EVENTS" = op::EVENTS,
        "PS_DECIDE" = op::DECIDE,
        "PS_WAITING" = op::WAITING,
        "PS_PLACE" = op::PLACE,
        "PS_EXPLAIN" = op::EXPLAIN,
        "PS_DIGEST" = op::DIGEST,
        "PS_TRAITS" = op::TRAITS,
        "PS_HEALTH" = op::HEALTH,
        "PS_MOVED" = op::MOVED,
        "PS_PROBE" = op::PROBE,
        "PS_START" = op::START,
        "PS_RELOAD" = op::RELOAD,
        "PS_STOP" = op::STOP,
        "PS_WRITE" = op::WRITE,
        "PS_FLUSH" = op::FLUSH,
        "PS_ARCHIVE_OPEN" = op::ARCHIVE_OPEN,
        "PS_ARCHIVE_PUT" = op::ARCHIVE_PUT,
        "PS_ARCHIVE_FINALIZE" = op::ARCHIVE_FINALIZE,
        "PS_ARCHIVE_READ" = op::ARCHIVE_READ,
        "PS_ARCHIVE_LIST" = op::ARCHIVE_LIST,
        "PS_ARCHIVE_RESTRICT" = op::ARCHIVE_RESTRICT,
        "PS_ARCHIVE_INDEX" = op::ARCHIVE_INDEX,
        "PS_ARCHIVE_INIT" = op::ARCHIVE_INIT,
        "PS_ARCHIVE_HEADER" = op::ARCHIVE_HEADER,
        "PS_ASSESS" = op::ASSESS,
        "PS_ADMIT" = op::ADMIT
    );
    text
}

#[test]
fn sizes_offsets_and_numbers_are_those_of_rust() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("layout");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/layout.c");
    compile("cc", &["-std=c11", "-pedantic"], &source, &program);
    let output = Command::new(&program).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), of_rust());
}

#[test]
fn the_header_is_fit_for_cpp() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("plugin.cpp");
    std::fs::write(&source, "#include \"peerstream_plugin.h\"\n").unwrap();
    compile("c++", &["-std=c++17", "-pedantic", "-c"], &source, &folder.path().join("plugin.o"));
}
