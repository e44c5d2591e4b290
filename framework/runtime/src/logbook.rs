//! What of a broadcast outlives its process, beside the publisher's key, so that a host that was killed goes on with it.
//!
//! `KEY.broadcast` is durable: written whole, synced, for its owner alone. It holds the key of the epoch and *reserves* numbers ahead:
//! none is signed that is not reserved. `KEY.last` has a fixed size and is written in place before and after each signature. It is never
//! synced, so that it costs microseconds, and outlives the process but not the machine. At the next start it tells the last number and its
//! hash; when the machine was started since, it proves nothing, and the broadcast goes on behind all that was reserved.
//!
//! Both files go when the broadcast ends as it should.

mod files;

use std::fs::{self, File};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, Weak};
use std::time::{Duration, Instant};

use peerstream_node::Resume;
use peerstream_protocol::crypto::{Hash, PublicKey};
use peerstream_protocol::header::Core;
use peerstream_protocol::id::Seq;
use peerstream_protocol::segment::Kind;
use peerstream_protocol::withheld::Withheld;
use tracing::{error, info, warn};

pub(crate) use files::{Files, Found, Going};
use files::{Last, Record, hex, ignore_missing, write_last};

use crate::clock;
use crate::key::EpochKey;

/// Numbers that are reserved at once: three minutes of five segments a second.
pub const STRIDE: u64 = 1_024;
/// The durable file is no older than this, unless the disk takes nothing.
const DURABLE_EVERY: Duration = Duration::from_secs(30);
/// How often the last record says that the process is alive.
const ALIVE_EVERY: Duration = Duration::from_secs(2);
/// The pause before a durable file that could not be written is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// Writes down what is signed; cheap to clone. Its thread ends within a second of the last clone, or with the broadcast.
#[derive(Clone, Debug)]
pub(crate) struct Logbook(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    files: Files,
    state: Mutex<State>,
    wake: Condvar,
    /// Held while the durable file is written or removed.
    disk: Mutex<()>,
}

#[derive(Debug)]
struct State {
    /// Nobody else of this process writes these files; none behind the end.
    seat: Option<Seat>,
    record: Record,
    last: Last,
    /// The last record; none when it cannot be written, and then it is not there.
    file: Option<File>,
    /// What is reserved for sure; none when there is no durable file, so that nothing can be gone on with.
    durable: Option<Seq>,
    changed: bool,
    ended: bool,
    /// The trouble was told.
    told: bool,
}

/// The only one of a process who writes the files of a publisher, until it is dropped.
#[derive(Debug)]
pub(crate) struct Seat(Arc<AtomicBool>);

impl Seat {
    /// None when it is taken.
    pub(crate) fn take(taken: &Arc<AtomicBool>) -> Option<Self> {
        let free = !taken.swap(true, Ordering::AcqRel);
        free.then(|| Self(taken.clone()))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Logbook {
    /// Of a broadcast that begins.
    pub(crate) fn begin(files: Files, epoch: &EpochKey, kind: Kind, seat: Seat) -> io::Result<Self> {
        let wall_us = clock::wall().as_micros() as u64;
        let last = Last {
            epoch: epoch.cert.epoch,
            next: Seq(0),
            prev: Some(PublicKey([0; 32]).to_string()),
            end_us: 0,
            wall_us,
            began_us: None,
            alive_us: wall_us,
            boot: files.boot.clone(),
        };
        let record = Record {
            epoch: epoch.cert.epoch,
            kind,
            cert: hex(&epoch.cert.encode()),
            secret: PublicKey(epoch.seed).to_string(),
            reserved: Seq(0),
            last: last.clone(),
            withheld: Vec::new(),
        };
        Self::open(files, record, last, seat)
    }

    /// Of a broadcast that goes on.
    pub(crate) fn go_on(files: Files, found: &Found, seat: Seat) -> io::Result<Self> {
        let (record, going) = (found.record.clone(), &found.going);
        let Resume { next, prev } = going.resume.unwrap_or(Resume { next: Seq(0), prev: [0; 32] });
        let wall_us = clock::wall().as_micros() as u64;
        let last = Last {
            next,
            prev: Some(PublicKey(prev).to_string()),
            end_us: going.now_us.unwrap_or(0),
            wall_us,
            began_us: going.began_us,
            alive_us: wall_us,
            boot: files.boot.clone(),
            ..record.last.clone()
        };
        Self::open(files, record, last, seat)
    }

    /// The first number is reserved when this returns. What was known before stays until then.
    fn open(files: Files, record: Record, last: Last, seat: Seat) -> io::Result<Self> {
        let record = Record { reserved: Seq(last.next.0.saturating_add(files.stride)), last: last.clone(), ..record };
        files.write(&record)?;
        let mut state = State {
            seat: Some(seat),
            durable: Some(record.reserved),
            file: None,
            changed: false,
            ended: false,
            told: false,
            record,
            last,
        };
        state.begin_last(&files)?;
        let state = Mutex::new(state);
        Ok(Self(Arc::new(Shared { files, state, wake: Condvar::new(), disk: Mutex::default() })))
    }

    /// Looks after the files from now on.
    pub(crate) fn keep(&self) {
        let shared = Arc::downgrade(&self.0);
        let thread = std::thread::Builder::new().name("logbook".into());
        if let Err(error) = thread.spawn(move || keep(&shared)) {
            error!(%error, "no thread for the logbook: the broadcast stands still when its numbers are used up");
        }
    }

    /// A segment of this number is about to be signed. False when it must not be: the number is not reserved yet.
    pub(crate) fn reserve(&self, seq: Seq) -> bool {
        let mut state = self.0.lock();
        let reserved = state.durable.unwrap_or(Seq(u64::MAX));
        if reserved.0.saturating_sub(seq.0) <= self.0.files.stride / 2 {
            self.0.wake.notify_one();
        }
        if seq >= reserved {
            return false;
        }
        (state.last.next, state.last.prev) = (seq.next(), None);
        state.write_last(&self.0.files)
    }

    /// It was signed; the hash is what the next one names as `prev`.
    pub(crate) fn signed(&self, core: &Core, chain: Hash) {
        let mut state = self.0.lock();
        let last = &mut state.last;
        let began_us = core.wall_us.saturating_sub(core.duration_us.into());
        last.prev = Some(PublicKey(chain).to_string());
        last.end_us = last.end_us.max(core.pts_us.saturating_add(core.duration_us.into()));
        (last.wall_us, last.alive_us) = (core.wall_us, last.alive_us.max(core.wall_us));
        last.began_us.get_or_insert(began_us);
        state.write_last(&self.0.files);
    }

    /// These parts are not to be played, also when the broadcast goes on.
    pub(crate) fn withhold(&self, withheld: &Withheld) {
        let mut state = self.0.lock();
        state.record.withheld = withheld.ranges().to_vec();
        state.changed = true;
        drop(state);
        self.0.wake.notify_one();
    }

    /// The broadcast has ended: the next start begins another one.
    pub(crate) fn end(&self) {
        let _disk = self.0.disk.lock().expect("no holder panics");
        let mut state = self.0.lock();
        if std::mem::replace(&mut state.ended, true) {
            return;
        }
        (state.durable, state.file, state.seat) = (None, None, None);
        if let Err(error) = self.0.files.remove() {
            let path = self.0.files.record.display();
            error!(%path, %error, "the broadcast has ended, but would be gone on with: remove this file");
        }
        drop(state);
        self.0.wake.notify_one();
    }
}

fn keep(shared: &Weak<Shared>) {
    let mut written = Instant::now();
    while let Some(shared) = shared.upgrade() {
        let state = shared.lock();
        let (mut state, _) = shared.wake.wait_timeout(state, AGAIN).expect("no holder panics");
        if state.ended {
            return;
        }
        state.show_alive(&shared.files);
        let due = state.changed || written.elapsed() >= DURABLE_EVERY || state.is_short(shared.files.stride / 2);
        drop(state);
        if due && shared.write() {
            written = Instant::now();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder panics")
    }

    /// Writes the durable file, with numbers from the next one on; whether it is written.
    fn write(&self) -> bool {
        let _disk = self.disk.lock().expect("no holder panics");
        let record = {
            let mut state = self.lock();
            if state.ended {
                return true;
            }
            state.changed = false;
            let reserved = Seq(state.last.next.0.saturating_add(self.files.stride));
            Record { reserved, last: state.last.clone(), ..state.record.clone() }
        };
        let result = self.files.write(&record);
        let mut state = self.lock();
        match result {
            // It took so long that it says too little, and there was none before that would have held the source back.
            Ok(()) if state.last.next > record.reserved => {
                let _ = self.files.remove();
                false
            }
            Ok(()) => {
                if state.durable.replace(record.reserved).is_none() {
                    // Without it the reservation counts.
                    let _ = state.begin_last(&self.files);
                }
                if std::mem::take(&mut state.told) {
                    info!("the broadcast can be gone on with again after a crash");
                }
                true
            }
            Err(error) => {
                state.changed = true;
                self.on_trouble(&mut state, &error);
                false
            }
        }
    }

    /// Rather no way to go on after a crash than a broadcast that stands still: the durable file goes before its numbers are used up.
    fn on_trouble(&self, state: &mut State, error: &io::Error) {
        let path = self.files.record.display();
        if !std::mem::replace(&mut state.told, true) {
            warn!(%path, %error, "cannot be written: the broadcast can soon not be gone on with after a crash");
        }
        if state.is_short(self.files.stride / 4) && self.files.remove().is_ok() {
            (state.durable, state.file) = (None, None);
        }
    }
}

impl State {
    /// Whether no more than so many numbers are left.
    fn is_short(&self, numbers: u64) -> bool {
        self.durable.is_none_or(|durable| durable.0.saturating_sub(self.last.next.0) <= numbers)
    }

    fn begin_last(&mut self, files: &Files) -> io::Result<()> {
        self.file = Some(files.create_last()?);
        self.write_last(files);
        Ok(())
    }

    fn show_alive(&mut self, files: &Files) {
        let now_us = clock::wall().as_micros() as u64;
        if now_us.saturating_sub(self.last.alive_us) >= ALIVE_EVERY.as_micros() as u64 {
            self.last.alive_us = now_us;
            self.write_last(files);
        }
    }

    /// False when an old record stays that says too little.
    fn write_last(&mut self, files: &Files) -> bool {
        let Some(file) = &mut self.file else { return true };
        let Err(error) = write_last(file, &self.last) else { return true };
        let gone = file.set_len(0).is_ok() || ignore_missing(fs::remove_file(&files.last)).is_ok();
        if gone {
            let path = files.last.display();
            warn!(%path, %error, "cannot be written: after a crash up to {STRIDE} numbers are passed over");
            self.file = None;
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use peerstream_protocol::cert::EpochCert;
    use peerstream_protocol::crypto::{SecretKey, hash};
    use peerstream_protocol::header::Flags;
    use peerstream_protocol::id::Epoch;
    use peerstream_protocol::segment::{InitId, PieceSize};
    use proptest::prelude::*;

    use super::files::LAST_BYTES;
    use super::*;

    const WITHIN: Duration = Duration::from_secs(60);

    /// A publisher whose host is killed now and then.
    struct Publisher {
        folder: tempfile::TempDir,
        secret: SecretKey,
        files: Files,
        logbook: Option<Logbook>,
        next: Seq,
        chain: Hash,
        /// The hash of the header of every number that anybody may have.
        signed: BTreeMap<Seq, Hash>,
    }

    impl Publisher {
        fn new(stride: u64) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let mut files = Files::beside(&folder.path().join("key"));
            (files.stride, files.boot) = (stride, Some("one run".into()));
            let secret = SecretKey::from_seed(&[1; 32]);
            let (next, chain, signed) = (Seq(0), [0; 32], BTreeMap::new());
            let mut it = Self { folder, secret, files, logbook: None, next, chain, signed };
            it.begin();
            it
        }

        fn begin(&mut self) {
            let seed = [2; 32];
            let key = SecretKey::from_seed(&seed);
            let cert = EpochCert::issue(&self.secret, Epoch(7), key.public(), 1 << 40);
            let epoch = EpochKey { key, cert, seed };
            let seat = Seat::take(&Arc::default()).unwrap();
            self.logbook = Some(Logbook::begin(self.files.clone(), &epoch, Kind::Media, seat).unwrap());
        }

        fn logbook(&self) -> &Logbook {
            self.logbook.as_ref().unwrap()
        }

        fn find(&self, within: Duration) -> Result<Found, Option<String>> {
            self.files.find(&self.secret.public(), Kind::Media, within, clock::wall() + Duration::from_secs(5))
        }

        /// Signs one more if it may, and writes that down, or is killed before it can.
        fn sign(&mut self, written: bool) -> bool {
            let seq = self.next;
            if !self.logbook().reserve(seq) {
                return false;
            }
            let chain = hash(&[&seq.0.to_le_bytes()[..], &self.chain, &[self.signed.len() as u8]].concat());
            assert_eq!(self.signed.insert(seq, chain), None, "number {} was signed twice", seq.0);
            if written {
                self.logbook().signed(&core(seq), chain);
            }
            (self.next, self.chain) = (seq.next(), chain);
            true
        }

        fn go_on(&mut self) -> Going {
            self.logbook = None;
            let found = self.find(WITHIN).unwrap();
            if let Some(Resume { next, prev }) = found.going.resume {
                let before = self.signed.get(&Seq(next.0 - 1)).copied().unwrap_or_default();
                assert_eq!(prev, before, "before {}", next.0);
                (self.next, self.chain) = (next, prev);
            } else {
                assert!(self.signed.is_empty());
            }
            let seat = Seat::take(&Arc::default()).unwrap();
            self.logbook = Some(Logbook::go_on(self.files.clone(), &found, seat).unwrap());
            found.going
        }
    }

    fn core(seq: Seq) -> Core {
        Core {
            seq,
            kind: Kind::Media,
            flags: Flags::JOIN_POINT,
            pts_us: seq.0 * 200_000,
            duration_us: 200_000,
            wall_us: clock::wall().as_micros() as u64,
            init: InitId::NONE,
            payload_len: 0,
            piece_size: PieceSize::Kib4,
            prev: [0; 32],
        }
    }

    #[test]
    fn a_process_that_was_killed_is_gone_on_with_at_the_very_next_number() {
        let mut publisher = Publisher::new(STRIDE);
        (0..10).for_each(|_| assert!(publisher.sign(true)));
        let going = publisher.go_on();
        assert_eq!(going.resume.unwrap().next, Seq(10));
        let (now_us, away) = (going.now_us.unwrap(), going.away.as_secs_f64());
        assert!((7_000_000..7_500_000).contains(&now_us) && (4.5..5.5).contains(&away), "{now_us} {away}");
    }

    #[test]
    fn a_segment_that_was_being_signed_is_passed_over_with_a_number_that_nobody_has() {
        let mut publisher = Publisher::new(STRIDE);
        [true, true, false].into_iter().for_each(|written| assert!(publisher.sign(written)));
        assert_eq!(publisher.go_on().resume, Some(Resume { next: Seq(4), prev: [0; 32] }));
    }

    #[test]
    fn after_the_machine_was_down_it_goes_on_behind_all_that_was_reserved() {
        let mut publisher = Publisher::new(100);
        (0..10).for_each(|_| assert!(publisher.sign(true)));
        publisher.files.boot = Some("another run".into());
        assert_eq!(publisher.go_on().resume, Some(Resume { next: Seq(101), prev: [0; 32] }));
    }

    #[test]
    fn nothing_is_signed_that_is_not_reserved() {
        let mut publisher = Publisher::new(8);
        (0..8).for_each(|_| assert!(publisher.sign(true)));
        assert!(!publisher.sign(true));
        assert!(publisher.logbook().0.write() && publisher.sign(true));
    }

    #[test]
    fn a_disk_that_takes_nothing_costs_the_way_back_and_not_the_broadcast() {
        let mut publisher = Publisher::new(8);
        let in_the_way = publisher.folder.path().join("key.broadcast.new");
        fs::create_dir(&in_the_way).unwrap();
        assert!(publisher.sign(true) && !publisher.logbook().0.write());
        assert!(publisher.find(WITHIN).is_ok(), "numbers are left");
        while publisher.sign(true) {}
        assert!(!publisher.logbook().0.write());
        (0..20).for_each(|_| assert!(publisher.sign(true)));
        assert_eq!(publisher.find(WITHIN).unwrap_err(), None);
        fs::remove_dir(&in_the_way).unwrap();
        assert!(publisher.logbook().0.write());
        assert_eq!(publisher.go_on().resume.unwrap().next, Seq(28));
    }

    #[test]
    fn what_has_ended_is_too_old_or_is_something_else_is_not_gone_on_with() {
        let mut publisher = Publisher::new(STRIDE);
        publisher.sign(true);
        let why = |result: Result<Found, Option<String>>| result.unwrap_err().unwrap_or_default();
        assert!(why(publisher.find(Duration::from_secs(3))).contains("5 s ago, more than 3 s"));
        let (key, now) = (publisher.secret.public(), clock::wall());
        assert!(why(publisher.files.find(&key, Kind::Data, WITHIN, now + WITHIN / 2)).contains("something else"));
        assert!(why(publisher.files.find(&key, Kind::Media, WITHIN, now - WITHIN)).contains("set back"));
        let other = SecretKey::from_seed(&[9; 32]).public();
        assert!(why(publisher.files.find(&other, Kind::Media, WITHIN, now)).contains("not ours"));
        publisher.logbook().end();
        assert_eq!(publisher.find(WITHIN).unwrap_err(), None);
        assert!(!publisher.logbook().0.files.last.exists(), "no secret stays");
        fs::write(&publisher.files.record, "{}").unwrap();
        assert!(why(publisher.find(WITHIN)).contains("cannot be read"));
    }

    #[test]
    fn what_is_withheld_is_withheld_when_it_goes_on() {
        let mut publisher = Publisher::new(STRIDE);
        let mut withheld = Withheld::default();
        withheld.withhold(Seq(3), Seq(5)).unwrap();
        publisher.logbook().withhold(&withheld);
        assert!(publisher.logbook().0.write());
        publisher.sign(true);
        assert_eq!(publisher.go_on().withheld, [(Seq(3), Seq(5))]);
        assert_eq!(publisher.go_on().withheld, [(Seq(3), Seq(5))], "and once more");
    }

    #[cfg(unix)]
    #[test]
    fn both_files_are_for_their_owner_alone_and_no_secret_is_shown() {
        let publisher = Publisher::new(STRIDE);
        for path in [&publisher.files.record, &publisher.files.last] {
            let mode = std::os::unix::fs::MetadataExt::mode(&fs::metadata(path).unwrap());
            assert_eq!(mode & 0o777, 0o600);
        }
        let shown = format!("{:?} {:?}", publisher.logbook(), publisher.find(WITHIN));
        assert!(!shown.contains(&"02".repeat(32)), "{shown}");
    }

    #[test]
    fn two_broadcasts_of_a_process_do_not_write_the_same_files() {
        let taken = Arc::default();
        let seat = Seat::take(&taken).unwrap();
        assert!(Seat::take(&taken).is_none());
        drop(seat);
        assert!(Seat::take(&taken).is_some());
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
        /// 0 to 5: a segment; 6: the durable file; 7: killed; 8: killed while signing; 9 to 11: the machine goes down, which leaves
        /// of the last record what it was, nothing, or something else.
        #[test]
        fn wherever_it_is_cut_short_no_number_is_signed_twice(steps in prop::collection::vec(0..12_u8, 1..60)) {
            let mut publisher = Publisher::new(8);
            for (run, step) in steps.into_iter().enumerate() {
                match step {
                    6 => drop(publisher.logbook().0.write()),
                    7 => drop(publisher.go_on()),
                    8 => {
                        publisher.sign(false);
                        publisher.go_on();
                    }
                    9.. => {
                        publisher.files.boot = Some(format!("run {run}"));
                        match step {
                            9 => {}
                            10 => drop(fs::remove_file(&publisher.files.last)),
                            _ => fs::write(&publisher.files.last, [run as u8; LAST_BYTES]).unwrap(),
                        }
                        // By the reservation nobody knows that nothing was signed.
                        if !publisher.signed.is_empty() {
                            publisher.go_on();
                        }
                    }
                    _ => drop(publisher.sign(true)),
                }
            }
        }
    }
}
