//! Children as the system runs them. A shell script stands for ffmpeg where it has to misbehave.
#![cfg(unix)]

use std::time::{Duration, Instant};

use peerstream_ffmpeg_child::{Child, Command, Program, ProgramError, Redactor};

fn script(text: &str) -> Command {
    Command {
        program: "/bin/sh".into(),
        arguments: vec!["-c".into(), text.into()],
        name: "script".into(),
        redactor: Redactor::new(),
        fed: false,
        memory_mib: 0,
    }
}

async fn output(child: &mut Child) -> String {
    let (mut all, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(len @ 1..) = child.read(&mut buffer).await {
        all.extend_from_slice(&buffer[..len]);
    }
    String::from_utf8(all).unwrap()
}

/// Whether a process runs; one that is dead and not yet reaped does not.
fn is_running(id: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    !state.is_empty() && !state.starts_with('Z') && !state.starts_with('X')
}

fn wait_until(what: &str, check: impl Fn() -> bool) {
    let start = Instant::now();
    while !check() {
        assert!(start.elapsed() < Duration::from_secs(20), "not {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[tokio::test]
async fn a_child_that_ends_by_itself_tells_its_status_and_its_last_words() {
    let mut child = Child::start(&script("echo out; echo 'no such rtsp://u:geheim@h' >&2; exit 3")).await.unwrap();
    assert_eq!(output(&mut child).await, "out\n");
    let ending = child.end().await;
    assert!(!ending.is_good());
    assert_eq!(ending.to_string(), "exit status: 3: no such rtsp://[redacted]@h");
}

#[tokio::test]
async fn a_child_is_fed_and_sees_the_end_of_its_input() {
    use tokio::io::AsyncWriteExt as _;
    let mut child = Child::start(&Command { fed: true, ..script("cat") }).await.unwrap();
    let mut input = child.take_input().unwrap();
    input.write_all(b"through").await.unwrap();
    drop(input);
    assert_eq!(output(&mut child).await, "through");
    assert!(child.end().await.is_good());
}

#[tokio::test]
async fn what_a_child_has_started_is_killed_with_it() {
    let mut child = Child::start(&script("sleep 1000 & echo $!; wait")).await.unwrap();
    let mut buffer = [0; 64];
    let len = child.read(&mut buffer).await.unwrap();
    let grandchild = String::from_utf8_lossy(&buffer[..len]).trim().to_owned();
    assert!(is_running(&grandchild));
    drop(child);
    wait_until("killed", || !is_running(&grandchild));
}

#[tokio::test]
async fn one_that_does_not_end_after_its_output_is_killed() {
    let mut child = Child::start(&script("exec >&-; sleep 1000")).await.unwrap();
    assert_eq!(output(&mut child).await, "");
    assert!(child.end().await.status.is_none());
}

#[tokio::test]
async fn a_flood_of_words_neither_blocks_the_child_nor_fills_the_memory() {
    let flood = "head -c 20000000 /dev/zero | tr '\\0' x >&2; seq 200000 >&2; echo done";
    let mut child = Child::start(&script(flood)).await.unwrap();
    assert_eq!(output(&mut child).await, "done\n");
    let ending = child.end().await;
    assert!(ending.is_good() && ending.last_words.ends_with("200000"), "{ending}");
    assert!(ending.last_words.len() < 2000);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_memory_of_a_child_is_bounded() {
    // The bound comes right after the start.
    let bounded = Command { memory_mib: 100, ..script("sleep 0.5; grep 'Max data' /proc/self/limits") };
    let mut child = Child::start(&bounded).await.unwrap();
    let said = output(&mut child).await;
    assert!(said.contains("104857600"), "{said}");
}

#[tokio::test]
async fn a_missing_program_says_what_to_install() {
    let error = Program::new("/no/such/ffmpeg").features().await.unwrap_err();
    assert!(matches!(error, ProgramError::Missing(_)));
    let text = error.to_string();
    assert!(text.contains("`/no/such/ffmpeg` is not there") && text.contains("apt install ffmpeg"), "{text}");
}

#[tokio::test]
async fn a_program_that_is_no_ffmpeg_is_told() {
    let error = Program::new("/bin/false").features().await.unwrap_err().to_string();
    assert!(error.starts_with("`/bin/false` does not answer: exit status: 1"), "{error}");
}

/// Runs this test binary again as a process that starts a child and is then killed without a chance to clean up.
#[cfg(target_os = "linux")]
#[test]
fn no_child_outlives_a_process_that_is_killed() {
    if std::env::var_os("PEERSTREAM_TEST_PARENT").is_some() {
        return start_one_and_wait();
    }
    let arguments = ["--exact", "no_child_outlives_a_process_that_is_killed", "--nocapture"];
    let mut parent = std::process::Command::new(std::env::current_exe().unwrap())
        .args(arguments)
        .env("PEERSTREAM_TEST_PARENT", "1")
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let lines = std::io::BufRead::lines(std::io::BufReader::new(parent.stdout.take().unwrap()));
    let line = lines.map_while(Result::ok).find(|line| line.contains("child="));
    let child = line.unwrap().rsplit_once("child=").unwrap().1.trim().to_owned();
    assert!(is_running(&child));
    parent.kill().unwrap();
    parent.wait().unwrap();
    wait_until("ended", || !is_running(&child));
}

#[cfg(target_os = "linux")]
fn start_one_and_wait() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut child = Child::start(&script("echo child=$$; exec sleep 1000")).await.unwrap();
        let mut buffer = [0; 64];
        let len = child.read(&mut buffer).await.unwrap();
        println!("{}", String::from_utf8_lossy(&buffer[..len]));
        tokio::time::sleep(Duration::from_secs(100)).await;
    });
}
