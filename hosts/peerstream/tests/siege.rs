//! A real host under a siege of its desk: thousands of notices, links that are followed again, uploads and notices that never end, bodies without
//! end, from one address, from many, and through a web server in front. It must go on serving the stream and an honest claimant, within its bounds.
#![cfg(target_os = "linux")]

mod common;

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread::{JoinHandle, scope, sleep, spawn};
use std::time::{Duration, Instant};

use common::cases::{House, PASSWORD};
use common::{Process, get, until};
use peerstream_admission::work::solve;
use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};

/// Who does not answer within this time is gone.
const PATIENCE: Duration = Duration::from_secs(20);

/// What one besieger does until it is over.
type Sort = fn(&Siege);

/// What besiegers do: notices, replays, bodies without end, huge ones, uploads.
const SORTS: usize = 5;

/// Where the besiegers are.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Camp {
    /// All at one address.
    One,
    /// Each at an address, and in a network, of its own.
    Many,
    /// Behind a web server in front, which says so.
    Behind,
}

/// Somebody who asks, from an address.
#[derive(Clone, Copy)]
struct Caller {
    host: SocketAddr,
    from: Ipv4Addr,
    /// The web server in front adds this.
    behind: Option<Ipv4Addr>,
}

impl Caller {
    fn connect(&self) -> io::Result<TcpStream> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.bind(&SocketAddr::from((self.from, 0)).into())?;
        socket.connect_timeout(&self.host.into(), PATIENCE)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(socket.into())
    }

    fn head(&self, method: &str, path: &str, token: &str, length: u64) -> String {
        let behind = self.behind.map_or(String::new(), |address| format!("x-forwarded-for: {address}\r\n"));
        format!(
            "{method} /api/v1/takedown{path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {token}\r\n{behind}content-length: {length}\r\n\
             connection: close\r\n\r\n",
            self.host
        )
    }

    fn ask(&self, method: &str, path: &str, token: &str, body: &[u8]) -> io::Result<(u16, Value)> {
        let mut stream = self.connect()?;
        stream.write_all(&[self.head(method, path, token, body.len() as u64).as_bytes(), body].concat())?;
        answer(&mut stream)
    }

    fn post(&self, path: &str, token: &str, body: &Value) -> io::Result<(u16, Value)> {
        self.ask("POST", path, token, body.to_string().as_bytes())
    }

    /// A draft's name and token, or the refusal.
    fn begin(&self, notice: &Value) -> io::Result<Result<(String, String), (u16, Value)>> {
        loop {
            let (status, puzzle) = self.post("/challenge", "", &Value::Null)?;
            if status != 200 {
                return Ok(Err((status, puzzle)));
            }
            let proof = solve(puzzle["puzzle"].as_str().unwrap(), puzzle["bits"].as_u64().unwrap() as u8);
            let (status, begun) = self.post("/drafts", "", &json!({ "proof": proof, "notice": notice }))?;
            match status {
                201 => {
                    let word = |name: &str| begun[name].as_str().unwrap().to_owned();
                    return Ok(Ok((word("draft"), word("token"))));
                }
                // Somebody of the same network was faster with the same puzzle.
                403 => sleep(Duration::from_millis(50)),
                status => return Ok(Err((status, begun))),
            }
        }
    }
}

fn answer(stream: &mut TcpStream) -> io::Result<(u16, Value)> {
    let mut text = Vec::new();
    stream.read_to_end(&mut text)?;
    let text = String::from_utf8_lossy(&text);
    let cut = || io::Error::from(io::ErrorKind::UnexpectedEof);
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(cut)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(cut)?;
    Ok((status, serde_json::from_str(body).unwrap_or(Value::Null)))
}

/// What besiegers were answered, and how many tries had no answer.
#[derive(Default)]
struct Tally {
    granted: AtomicU64,
    cut_off: AtomicU64,
    refused: Mutex<BTreeMap<String, u64>>,
}

impl Tally {
    fn note(&self, answer: io::Result<(u16, Value)>) {
        match answer {
            Ok((200..=299, _)) => drop(self.granted.fetch_add(1, Relaxed)),
            Ok((_, said)) => {
                let code = said["error"].as_str().unwrap_or("other").to_owned();
                *self.refused.lock().unwrap().entry(code).or_default() += 1;
            }
            Err(_) => drop(self.cut_off.fetch_add(1, Relaxed)),
        }
    }
}

struct Siege {
    house: House,
    camp: Camp,
    notice: Value,
    next: AtomicU64,
    over: AtomicBool,
    tally: Tally,
    /// Each sort of besieger has so many threads.
    strength: usize,
}

/// What an honest claimant has seen.
#[derive(Debug)]
struct Honest {
    notices: Vec<Duration>,
}

impl Honest {
    fn at(&self, percent: usize) -> Duration {
        self.notices[(self.notices.len() * percent / 100).min(self.notices.len() - 1)]
    }
}

impl Siege {
    fn lay(camp: Camp, strength: usize) -> Self {
        let proxies = (camp == Camp::Behind).then_some("limits.proxies=[\"127.0.0.1\"]");
        let settings = ["takedown.files_mib_max=64", "takedown.copy_mib_max=16"].into_iter().chain(proxies);
        let house = House::open(&settings.collect::<Vec<_>>());
        let mut notice = house.notice("dsa", "");
        notice["explanation"] = "it is shown in full ".repeat(300).into();
        let (next, over, tally) = Default::default();
        Self { house, camp, notice, next, over, tally, strength }
    }

    fn host(&self) -> SocketAddr {
        self.house.url().trim_start_matches("http://").trim_end_matches('/').parse().unwrap()
    }

    /// Another besieger: each at another address if there are many, the networks of all of them apart.
    fn besieger(&self) -> Caller {
        let next = self.next.fetch_add(1, Relaxed);
        let address = Ipv4Addr::new(127, 1 + (next / 200 % 100) as u8, (next % 200) as u8, 1);
        let (from, behind) = match self.camp {
            Camp::One => (Ipv4Addr::new(127, 1, 1, 1), None),
            Camp::Many => (address, None),
            Camp::Behind => (Ipv4Addr::LOCALHOST, Some(address)),
        };
        Caller { host: self.host(), from, behind }
    }

    /// An honest claimant in a network of their own.
    fn honest(&self, index: u8) -> Caller {
        let address = Ipv4Addr::new(127, 200, index, 1);
        let (from, behind) =
            if self.camp == Camp::Behind { (Ipv4Addr::LOCALHOST, Some(address)) } else { (address, None) };
        Caller { host: self.host(), from, behind }
    }

    /// A notice from the puzzle to its receipt.
    fn honest_notice(&self, index: u8) -> Duration {
        let (caller, began) = (self.honest(index), Instant::now());
        let mut notice = self.notice.clone();
        notice["work"]["title"] = format!("an honest work {index}").into();
        notice["claimant"]["name"] = format!("Honest Author {index}").into();
        notice["signature"] = notice["claimant"]["name"].clone();
        let (draft, token) = caller.begin(&notice).unwrap().unwrap_or_else(|refused| panic!("refused: {refused:?}"));
        let (status, case) = caller.post(&format!("/drafts/{draft}/submit"), &token, &json!({})).unwrap();
        assert!(status == 201 && case["receipt"].is_object(), "{status}: {case}");
        began.elapsed()
    }

    fn goes_on(&self) -> bool {
        !self.over.load(Relaxed)
    }

    /// Sends notices in as fast as it can, with all the work that takes.
    fn notices(&self) {
        while self.goes_on() {
            let (caller, mut notice) = (self.besieger(), self.notice.clone());
            notice["work"]["title"] = format!("work {}", self.next.load(Relaxed)).into();
            let begun = match caller.begin(&notice) {
                Ok(Ok(begun)) => begun,
                Ok(Err(refused)) => {
                    self.tally.note(Ok(refused));
                    continue;
                }
                Err(error) => {
                    self.tally.note(Err(error));
                    continue;
                }
            };
            self.tally.note(caller.post(&format!("/drafts/{}/submit", begun.0), &begun.1, &json!({})));
            self.tally.note(caller.post(&format!("/drafts/{}/submit", begun.0), &begun.1, &json!({})));
        }
    }

    /// Shows proofs and links again, and guesses tokens.
    fn replays(&self) {
        while self.goes_on() {
            let (caller, token) = (self.besieger(), "7".repeat(64));
            self.tally.note(caller.post("/confirm", "", &json!({ "token": token })));
            self.tally.note(caller.post("/drafts", "", &json!({ "proof": "0-0:1", "notice": self.notice })));
            self.tally.note(caller.ask("GET", "/cases/1", &token, b""));
            self.tally.note(caller.ask(
                "PUT",
                &format!("/drafts/{}/copy?offset=0", "7".repeat(32)),
                &token,
                &[0; 1000],
            ));
        }
    }

    /// Begins bodies and never ends them: notices, and pieces of uploads with and without a draft.
    fn endless(&self) {
        let draft = self.besieger().begin(&self.notice).ok().and_then(Result::ok);
        let (draft, token) = draft.unwrap_or(("7".repeat(32), "7".repeat(64)));
        let upload = format!("/drafts/{draft}/copy?offset=0");
        let mut open: Vec<TcpStream> = Vec::new();
        while self.goes_on() {
            let caller = self.besieger();
            let head = match open.len() % 2 {
                0 => caller.head("POST", "/drafts", "", 100_000),
                _ => caller.head("PUT", &upload, &token, 1 << 20),
            };
            let begun = caller
                .connect()
                .and_then(|mut it| it.write_all(&[head.as_bytes(), &[b' '; 1000]].concat()).map(|()| it));
            match begun {
                Ok(stream) => open.push(stream),
                Err(error) => self.tally.note(Err(error)),
            }
            // A byte now and then, so that none of them is at rest.
            open.retain_mut(|it| it.write_all(b" ").is_ok());
            if open.len() > 100 {
                let mut oldest = open.remove(0);
                let told = oldest.set_read_timeout(Some(Duration::from_millis(100)));
                self.tally.note(told.and_then(|()| answer(&mut oldest)));
            }
            sleep(Duration::from_millis(5));
        }
    }

    /// Sends a gigabyte where a notice or a piece is expected.
    fn huge(&self) {
        let piece = vec![b'['; 64 * 1024];
        while self.goes_on() {
            let caller = self.besieger();
            let send = || {
                let mut stream = caller.connect()?;
                stream.write_all(caller.head("POST", "/drafts", "", 1 << 30).as_bytes())?;
                // The answer may be there although nothing more is taken.
                let _ = (0..16 * 1024).try_for_each(|_| stream.write_all(&piece));
                answer(&mut stream)
            };
            self.tally.note(send());
        }
    }

    /// Fills uploads as far as it is let.
    fn uploads(&self) {
        let piece = vec![7; 1 << 20];
        while self.goes_on() {
            let caller = self.besieger();
            let Ok(Ok((draft, token))) = caller.begin(&self.notice) else {
                sleep(Duration::from_millis(20));
                continue;
            };
            for offset in 0..20_u64 {
                let path = format!("/drafts/{draft}/copy?offset={}", offset << 20);
                let answer = caller.ask("PUT", &path, &token, &piece);
                let goes_on = matches!(answer, Ok((200, _)));
                self.tally.note(answer);
                if !goes_on || !self.goes_on() {
                    break;
                }
            }
        }
    }

    /// For so long; an honest claimant sends a notice in now and then.
    fn withstand(&self, span: Duration, honest_max: u8) -> Honest {
        let sorts: [(Sort, usize); SORTS] =
            [(Self::notices, 4), (Self::replays, 1), (Self::endless, 1), (Self::huge, 1), (Self::uploads, 1)];
        scope(|all| {
            for (sort, times) in sorts {
                (0..self.strength * times).for_each(|_| drop(all.spawn(move || sort(self))));
            }
            let (began, mut notices) = (Instant::now(), Vec::new());
            let honest = all.spawn(move || {
                sleep(span / 8);
                for index in 0..honest_max {
                    notices.push(self.honest_notice(100 + index));
                    if began.elapsed() > span {
                        break;
                    }
                    sleep((span / 2 / u32::from(honest_max)).saturating_sub(Duration::from_millis(20)));
                }
                notices
            });
            let honest = honest.join();
            sleep(span.saturating_sub(began.elapsed()));
            self.over.store(true, Relaxed);
            let mut notices = honest.expect("an honest claimant is served");
            notices.sort_unstable();
            Honest { notices }
        })
    }

    /// What the host counts of what it refuses, by reason.
    fn counted(&self) -> BTreeMap<String, u64> {
        let (_, text) = get(&format!("{}metrics", self.house.url()));
        let refusals = text.lines().filter_map(|line| line.split_once("takedown_refusals"));
        let counted = refusals.filter_map(|(_, rest)| {
            let (_, rest) = rest.split_once("reason=\"")?;
            let (reason, rest) = rest.split_once('"')?;
            Some((reason.to_owned(), rest.rsplit(' ').next()?.parse().ok()?))
        });
        counted.collect()
    }

    /// A line of `/proc/PID/status` in mebibytes.
    fn mebibytes(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.house.process_id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim_start_matches(':').split_whitespace().next().unwrap().parse::<u64>().unwrap() / 1024
    }
}

/// Watches the stream, and how long it has to wait for its next byte at most.
struct Watch {
    _process: Process,
    reader: JoinHandle<Duration>,
    over: Arc<AtomicBool>,
}

impl Watch {
    fn begin(house: &House) -> Self {
        let mut process = house.watch();
        let mut stdout = process.child.stdout.take().unwrap();
        let (first, over) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (seen, end) = (first.clone(), over.clone());
        let reader = spawn(move || {
            let (mut buffer, mut longest, mut last) = (vec![0; 64 * 1024], Duration::ZERO, None::<Instant>);
            while let Ok(1..) = stdout.read(&mut buffer) {
                longest = longest.max(last.map_or(Duration::ZERO, |last| last.elapsed()));
                last = Some(Instant::now());
                seen.store(true, Relaxed);
                if end.load(Relaxed) {
                    break;
                }
            }
            longest
        });
        until("the stream is watched", || first.load(Relaxed));
        Self { _process: process, reader, over }
    }

    /// The longest wait.
    fn end(self) -> Duration {
        self.over.store(true, Relaxed);
        self.reader.join().unwrap()
    }
}

fn bytes_in(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => bytes_in(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    });
    sizes.sum()
}

fn withstands(camp: Camp, strength: usize, span: Duration, honest_max: u8) {
    let siege = Siege::lay(camp, strength);
    let watch = Watch::begin(&siege.house);
    let mut quiet: Vec<_> = (0..5).map(|index| siege.honest_notice(index)).collect();
    quiet.sort_unstable();
    let before = siege.mebibytes("VmRSS");
    let honest = siege.withstand(span, honest_max);
    let (peak, longest) = (siege.mebibytes("VmHWM"), watch.end());
    let cases = siege.house.folder().join("cases");
    let (files, all) = (bytes_in(&cases.join("uploads")) + bytes_in(&cases.join("cases")), bytes_in(&cases));
    let (seen, counted) = (siege.tally.refused.lock().unwrap().clone(), siege.counted());
    let (granted, cut_off) = (siege.tally.granted.load(Relaxed), siege.tally.cut_off.load(Relaxed));
    println!(
        "{camp:?}, {} besiegers for {span:?}: an honest notice took {:?} (p50) and {:?} at most of {}, {:?} before; longest wait for the stream \
         {longest:?}; memory {before} MiB before, {peak} at its peak; files {} MiB, with the casebook {}; {granted} granted, {cut_off} without an \
         answer, refused {seen:?}, counted {counted:?}",
        (SORTS + 3) * strength,
        honest.at(50),
        honest.at(100),
        honest.notices.len(),
        quiet[2],
        files >> 20,
        all >> 20,
    );
    assert!(honest.at(100) < Duration::from_secs(10), "{honest:?}");
    assert!(longest < Duration::from_secs(5), "the stream stood still for {longest:?}");
    // Two times 64 MiB of bodies, and what the allocator and the connections take.
    assert!(peak < before + 192, "{before} MiB have become {peak}");
    // Half of what files may have, and evidence beside it.
    assert!(bytes_in(&cases.join("uploads")) <= 32 << 20 && files <= 64 << 20, "{files} bytes of files");
    // Besiegers do not hear of all that is refused; what they heard of is counted.
    for (reason, count) in seen.iter().filter(|(reason, _)| *reason != "other") {
        assert!(counted.get(reason) >= Some(count), "{reason}: {count} were refused, and counted were {counted:?}");
    }
    assert!(
        seen.values().sum::<u64>() > 100 && counted["slow"] + counted["cut-off"] > 0,
        "it was no siege: {seen:?}, {counted:?}"
    );
    // All is as before.
    let (status, session) = siege.house.get("/desk/session", PASSWORD);
    assert_eq!(status, 200, "{session}");
    siege.honest_notice(250);
}

#[test]
fn the_stream_and_an_honest_claimant_are_served_while_many_addresses_besiege_the_desk() {
    withstands(Camp::Many, 3, Duration::from_secs(3), 8);
}

#[test]
fn the_same_while_one_address_does() {
    withstands(Camp::One, 3, Duration::from_secs(2), 8);
}

#[test]
fn the_same_behind_a_web_server_in_front() {
    withstands(Camp::Behind, 3, Duration::from_secs(2), 8);
}

#[test]
#[ignore = "minutes; prints figures"]
fn a_long_siege_from_everywhere() {
    for camp in [Camp::Many, Camp::One, Camp::Behind] {
        withstands(camp, 12, Duration::from_secs(60), 60);
    }
}
