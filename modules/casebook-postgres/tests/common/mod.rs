//! A PostgreSQL server of the tests' own, in a folder that goes with it.
#![allow(dead_code)] // each test file uses its own part

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use peerstream_sdk::traits::Secret;

/// A server that takes longer to begin has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server. It is killed at the end.
pub struct Server {
    folder: tempfile::TempDir,
    port: u16,
    child: Child,
}

/// The newest of Debian's PostgreSQL servers, or that of `PATH`.
fn programs() -> Option<PathBuf> {
    let versions =
        fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|entry| entry.path().join("bin"));
    let mut found: Vec<_> = versions.filter(|bin| bin.join("initdb").exists()).collect();
    found.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    found.pop().or_else(|| std::env::split_paths(&path).find(|bin| bin.join("initdb").exists()))
}

impl Server {
    /// Begins one; none when there is no PostgreSQL here, which is said, unless `PEERSTREAM_REQUIRE_POSTGRES` asks for it.
    pub fn start() -> Option<Self> {
        Self::with("", |_| {})
    }

    /// The same with these lines in its config, in which `FOLDER` is the folder that files were put into before.
    pub fn with(config: &str, files: impl FnOnce(&Path)) -> Option<Self> {
        let Some(bin) = programs() else {
            let required = std::env::var_os("PEERSTREAM_REQUIRE_POSTGRES").is_some();
            assert!(!required, "there is no PostgreSQL here: apt-get install postgresql");
            eprintln!("skipped: there is no PostgreSQL here (apt-get install postgresql)");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        files(folder.path());
        let put = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
        put.for_each(|file| give(&file));
        give(folder.path());
        let data = folder.path().join("data");
        let mut init = as_somebody(&bin.join("initdb"));
        let made = init
            .args([
                "--auth=trust",
                "--username=postgres",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
                "--no-sync",
                "--pgdata",
            ])
            .arg(&data)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let more = config.replace("FOLDER", &folder.path().display().to_string());
        let config = format!(
            "listen_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = ''\nautovacuum = off\nfsync = off\n{more}\n"
        );
        fs::write(data.join("postgresql.auto.conf"), config).unwrap();
        let child = begin(&bin, folder.path());
        let server = Self { folder, port, child };
        server.until_it_answers();
        Some(server)
    }

    /// The folder that holds all of it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// The address of a database.
    pub fn url(&self, database: &str) -> Secret {
        Secret::new(format!("postgres://postgres@127.0.0.1:{}/{database}", self.port))
    }

    /// Makes a fresh database.
    pub fn database(&self, name: &str) -> Secret {
        self.sql("postgres", &format!("create database {name}")).unwrap();
        self.url(name)
    }

    /// Kills it as a power cut does, and begins it again.
    pub fn kill_and_restart(&mut self) {
        self.kill();
        let bin = programs().expect("it was there before");
        self.child = begin(&bin, self.folder.path());
        self.until_it_answers();
    }

    /// At once and without writing down what is in memory: the next one has to recover it from the log.
    fn kill(&mut self) {
        // SAFETY: a signal to our own child, which was not waited for.
        unsafe { libc::kill(self.pid(), libc::SIGQUIT) };
        let _ = self.child.wait();
    }

    /// What a statement gives, as text; or what the server says.
    pub fn sql(&self, database: &str, statement: &str) -> Result<String, String> {
        let bin = programs().expect("it was there before");
        let output = Command::new(bin.join("psql"))
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-U", "postgres", "-p"])
            .args([&self.port.to_string(), "-d", database, "-c", statement])
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    fn until_it_answers(&self) {
        let began = Instant::now();
        while let Err(why) = self.sql("postgres", "select 1") {
            let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(began.elapsed() < PATIENCE, "PostgreSQL does not answer: {why}\n{log}");
            sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

fn begin(bin: &Path, folder: &Path) -> Child {
    let log = || Stdio::from(fs::OpenOptions::new().create(true).append(true).open(folder.join("log")).unwrap());
    let mut server = as_somebody(&bin.join("postgres"));
    server.arg("-D").arg(folder.join("data")).stdin(Stdio::null()).stdout(log()).stderr(log());
    server.spawn().unwrap()
}

/// PostgreSQL does not run as root; then it runs as Debian's user for it.
fn somebody() -> Option<(u32, u32)> {
    // SAFETY: asks for a number.
    let is_root = unsafe { libc::geteuid() } == 0;
    is_root.then(|| {
        let users = fs::read_to_string("/etc/passwd").unwrap();
        let line =
            users.lines().find(|line| line.starts_with("postgres:")).expect("the package has made a user `postgres`");
        let mut numbers = line.split(':').skip(2).map(|it| it.parse().unwrap());
        (numbers.next().unwrap(), numbers.next().unwrap())
    })
}

fn as_somebody(program: &Path) -> Command {
    use std::os::unix::process::CommandExt as _;
    let mut command = Command::new(program);
    if let Some((user, group)) = somebody() {
        command.uid(user).gid(group);
    }
    command.current_dir("/").env("LC_ALL", "C.UTF-8");
    command
}

fn give(path: &Path) {
    if let Some((user, group)) = somebody() {
        std::os::unix::fs::chown(path, Some(user), Some(group)).unwrap();
    }
}
