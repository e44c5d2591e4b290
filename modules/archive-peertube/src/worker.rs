//! The thread that carries to the site what is in the spool: one thing after the other, again when it fails.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use tracing::{info, warn};

use crate::api::{Api, Element};
use crate::config::{Config, Privacy};
use crate::failure::Failure;
use crate::http::Http;
use crate::live::Live;
use crate::peertube::Shared;
use crate::show::{Playlist, Progress, Show, Shown, State, Video, Visibility};
use crate::spool::Key;
use crate::upload::Upload;
use crate::words;

/// With nothing to do it looks again after this time at the latest.
const IDLE: Duration = Duration::from_secs(60);

/// Works until the host ends.
pub(crate) fn run(shared: &Shared) {
    let http = Http::new(&shared.config, shared.stop.clone());
    let api = Api::new(&shared.config, http, Some(shared.config.folder.join("tokens.json")));
    let live = shared.config.live.then(|| Live::new(&shared.config));
    let mut worker = Worker { shared, api, live, lanes: Default::default() };
    while !shared.stop.load(Relaxed) {
        worker.turn();
    }
}

/// What can be done independently of each other: a quota that is used up does not keep a video from being hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lane {
    Visibility = 0,
    Live = 1,
    Parts = 2,
}

/// When a lane may be tried again.
#[derive(Clone, Copy, Debug, Default)]
struct Pause {
    until: Option<Instant>,
    last: Duration,
}

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Job {
    /// A video is to be hidden, shown or deleted.
    Visibility(Key),
    /// The live video is to be made ready, under this title.
    Live(Option<String>),
    /// A part is the next: upload, chapters, playlist.
    Part(Key),
    /// Videos are unlisted no more.
    Publish(String),
}

impl Job {
    fn lane(&self) -> Lane {
        match self {
            Self::Visibility(_) => Lane::Visibility,
            Self::Live(_) => Lane::Live,
            Self::Part(_) | Self::Publish(_) => Lane::Parts,
        }
    }
}

struct Worker<'a> {
    shared: &'a Shared,
    api: Api,
    live: Option<Live>,
    lanes: [Pause; 3],
}

/// What the documents say of a part when work on it begins.
struct Snapshot {
    show: Show,
    key: Key,
}

impl Snapshot {
    fn number(&self) -> usize {
        self.key.1 + 1
    }

    fn part(&self) -> &crate::show::Part {
        &self.show.parts[self.key.1]
    }

    fn video(&self) -> Result<&Video, Failure> {
        self.part().video.as_ref().ok_or_else(|| Failure::unfit("a part without a video"))
    }
}

impl Worker<'_> {
    /// Does one thing, or waits for one.
    fn turn(&mut self) {
        let Some(job) = self.next() else { return };
        let result = match &job {
            Job::Visibility(key) => self.visibility(key),
            Job::Live(title) => self.make_live(title.as_deref()),
            Job::Part(key) => self.part(key),
            Job::Publish(id) => self.publish(id),
        };
        self.settle(job.lane(), result);
    }

    /// The next thing that may be done now; waits a while when there is none.
    fn next(&self) -> Option<Job> {
        let mut inner = self.shared.lock();
        if self.shared.stop.load(Relaxed) {
            return None;
        }
        let Some(spool) = inner.spool.as_ref() else {
            let _ = self.shared.wake.wait_timeout(inner, IDLE);
            return None;
        };
        let (waiting, refused, bytes) = spool.waiting();
        self.shared.status.waiting(waiting, refused, bytes);
        let ready = |lane: Lane| self.lanes[lane as usize].until.is_none_or(|until| until <= Instant::now());
        let job = spool.next_visibility().map(Job::Visibility).filter(|_| ready(Lane::Visibility));
        let job = job.or_else(|| inner.live_title.clone().map(Job::Live).filter(|_| ready(Lane::Live)));
        let part = || spool.next_part().map(Job::Part);
        let publication = || self.shared.config.unlisted_until_end.then(|| spool.next_publication()).flatten();
        let job = job.or_else(|| part().or_else(|| publication().map(Job::Publish)).filter(|_| ready(Lane::Parts)));
        if job.is_none() {
            let now = Instant::now();
            let until = self.lanes.iter().filter_map(|lane| lane.until).filter(|until| *until > now).min();
            let wait = until.map_or(IDLE, |until| until - now).min(IDLE);
            inner = self.shared.wake.wait_timeout(inner, wait).expect("no holder panics").0;
        }
        drop(inner);
        job
    }

    fn settle(&mut self, lane: Lane, result: Result<(), Failure>) {
        let Config { pause_first_ms, pause_max_ms, .. } = self.shared.config;
        let (first, most) = (Duration::from_millis(pause_first_ms), Duration::from_millis(pause_max_ms));
        let pause = &mut self.lanes[lane as usize];
        let failure = match result {
            Ok(()) => {
                *pause = Pause::default();
                match lane {
                    Lane::Live => self.shared.status.live(None),
                    _ => self.shared.status.fine(),
                }
                return;
            }
            Err(Failure::Stopped) => return,
            Err(failure) => failure,
        };
        match lane {
            Lane::Live => self.shared.status.live(Some(failure.why().to_owned())),
            _ => self.shared.status.trouble(failure.why()),
        }
        pause.last = match &failure {
            Failure::Later { .. } => (pause.last * 2).clamp(first, most),
            // Somebody must do something first.
            _ => most,
        };
        let asked = if let Failure::Later { pause: Some(asked), .. } = &failure { *asked } else { Duration::ZERO };
        pause.until = Some(Instant::now() + pause.last.max(asked));
    }

    /// A part as it is now; nothing if it is not there any more.
    fn look(&self, key: &Key) -> Option<Snapshot> {
        let inner = self.shared.lock();
        let show = inner.spool.as_ref()?.show(&key.0)?.clone();
        show.parts.get(key.1)?;
        Some(Snapshot { show, key: key.clone() })
    }

    /// Changes what the documents say of a part; on the disk when this returns.
    fn note(&self, key: &Key, change: impl FnOnce(&mut crate::show::Part)) -> Result<(), Failure> {
        let mut inner = self.shared.lock();
        let Some(spool) = inner.spool.as_mut() else { return Err(Failure::Stopped) };
        spool.part_mut(key).map(change);
        Ok(spool.save(&key.0)?)
    }

    fn note_show(&self, id: &str, change: impl FnOnce(&mut Show)) -> Result<(), Failure> {
        let mut inner = self.shared.lock();
        let Some(spool) = inner.spool.as_mut() else { return Err(Failure::Stopped) };
        spool.show_mut(id).map(change);
        Ok(spool.save(id)?)
    }

    fn part(&self, key: &Key) -> Result<(), Failure> {
        let Some(snapshot) = self.look(key) else { return Ok(()) };
        let part = snapshot.part();
        match part.state {
            State::Closed => self.upload(&snapshot),
            _ if !part.chaptered => self.tell_chapters(&snapshot),
            _ => self.list(&snapshot),
        }
    }

    fn upload(&self, snapshot: &Snapshot) -> Result<(), Failure> {
        let Snapshot { show, key } = snapshot;
        let (number, part) = (snapshot.number(), snapshot.part());
        let path = {
            let inner = self.shared.lock();
            let Some(spool) = inner.spool.as_ref() else { return Err(Failure::Stopped) };
            spool.media(&key.0, number)
        };
        let file = match std::fs::File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                warn!(file = %path.display(), "the file of a part is gone");
                return self.note(key, |part| (part.state, part.upload) = (State::Erased, None));
            }
            Err(error) => return Err(error.into()),
        };
        let total = file.metadata()?.len();
        let facts = words::facts(&self.shared.config, show, number, self.api.channel()?);
        let (name, mark) = (words::name(&self.shared.config, show, number), words::mark(show, part));
        let upload = Upload {
            api: &self.api,
            file,
            total,
            mime: "video/mp4",
            facts: &facts,
            mark: (&name, &mark),
            chunk_bytes: self.shared.config.chunk_bytes,
            keep: &mut |progress| self.keep(key, progress),
        };
        match upload.run(part.upload.clone()) {
            Ok(video) => self.uploaded(key, &name, video),
            Err(Failure::Unfit { why }) => {
                warn!(file = %path.display(), "PeerTube does not take a part, which is kept: {why}");
                self.note(key, |part| {
                    (part.state, part.upload, part.refused) = (State::Refused, None, Some(why));
                })
            }
            Err(failure) => Err(failure),
        }
    }

    /// How far an upload is. One that is not to be seen any more is interrupted.
    fn keep(&self, key: &Key, progress: Option<&Progress>) -> Result<(), Failure> {
        let mut wanted = Visibility::Shown;
        self.note(key, |part| {
            part.upload = progress.cloned();
            wanted = part.wanted;
        })?;
        if wanted == Visibility::Shown { Ok(()) } else { Err(Failure::Stopped) }
    }

    fn uploaded(&self, key: &Key, name: &str, video: Video) -> Result<(), Failure> {
        info!(name, video = video.uuid, "PeerTube has a part");
        let mut inner = self.shared.lock();
        let Some(spool) = inner.spool.as_mut() else { return Err(Failure::Stopped) };
        if let Some(part) = spool.part_mut(key) {
            (part.state, part.upload, part.video) = (State::Uploaded, None, Some(video));
        }
        Ok(spool.drop_file(key)?)
    }

    fn tell_chapters(&self, snapshot: &Snapshot) -> Result<(), Failure> {
        let chapters = words::chapters(snapshot.part());
        let told = match chapters.is_empty() {
            true => Ok(()),
            false => self.api.chapters(&snapshot.video()?.uuid, &chapters),
        };
        // Sites before 6.0 know no chapters.
        self.unless_unfit(told, "its chapters")?;
        self.note(&snapshot.key, |part| part.chaptered = true)
    }

    /// Puts a video into the playlist, behind the parts before it.
    fn list(&self, snapshot: &Snapshot) -> Result<(), Failure> {
        let playlist = match self.shared.config.playlist {
            true => self.playlist(snapshot)?,
            false => None,
        };
        if let Some(playlist) = playlist {
            let listed = self.list_in(playlist, snapshot);
            self.unless_unfit(listed, "its place in the playlist")?;
        }
        self.note(&snapshot.key, |part| part.listed = true)
    }

    fn list_in(&self, playlist: u64, snapshot: &Snapshot) -> Result<(), Failure> {
        let video = snapshot.video()?.id;
        let mut elements = self.api.elements(playlist)?;
        if !elements.iter().any(|element| is(element, video)) {
            self.api.list(playlist, video)?;
            elements = self.api.elements(playlist)?;
        }
        let Some(position) = elements.iter().find(|element| is(element, video)).map(|element| element.position) else {
            return Err(Failure::later("the site does not show what was added to a playlist"));
        };
        let before: Vec<_> =
            snapshot.show.parts[..snapshot.key.1].iter().filter_map(|part| part.video.as_ref()).collect();
        let is_before = |element: &&Element| before.iter().any(|video| is(element, video.id));
        let after = elements.iter().filter(is_before).map(|element| element.position).max().unwrap_or(0);
        // One that was withheld for a while comes after later ones.
        let is_later = |element: &&Element| !is(element, video) && !is_before(element) && element.position < position;
        if position < after || elements.iter().any(|element| is_later(&element)) {
            self.api.reorder(playlist, position, after)?;
        }
        Ok(())
    }

    /// The broadcast's playlist, made if need be; nothing if the site gives none.
    fn playlist(&self, snapshot: &Snapshot) -> Result<Option<u64>, Failure> {
        let (id, show) = (&snapshot.key.0, &snapshot.show);
        let found = match &show.playlist {
            Playlist::Made(playlist) => return Ok(Some(*playlist)),
            Playlist::Unfit => return Ok(None),
            Playlist::Asked => self.api.find_playlist(&words::playlist_mark(show))?,
            Playlist::None => None,
        };
        let playlist = match found {
            Some(playlist) => playlist,
            None => {
                let fields = words::playlist(&self.shared.config, show, self.api.channel()?);
                self.note_show(id, |show| show.playlist = Playlist::Asked)?;
                match self.api.make_playlist(fields) {
                    Ok(playlist) => playlist,
                    Err(Failure::Unfit { why }) => {
                        warn!("PeerTube makes no playlist: {why}");
                        self.note_show(id, |show| show.playlist = Playlist::Unfit)?;
                        return Ok(None);
                    }
                    Err(failure) => return Err(failure),
                }
            }
        };
        self.note_show(id, |show| show.playlist = Playlist::Made(playlist))?;
        Ok(Some(playlist))
    }

    /// What the site does not take, or what was deleted there, is told and left.
    fn unless_unfit(&self, result: Result<(), Failure>, what: &str) -> Result<(), Failure> {
        match result {
            Err(Failure::Unfit { why } | Failure::Gone { why }) => {
                warn!("PeerTube has a part, but not {what}: {why}");
                Ok(())
            }
            result => result,
        }
    }

    /// Has the site show of a video what it should.
    fn visibility(&self, key: &Key) -> Result<(), Failure> {
        let Some(snapshot) = self.look(key) else { return Ok(()) };
        let (part, video) = (snapshot.part(), snapshot.video()?);
        let shown = match (part.wanted, part.shown) {
            (Visibility::Erased, _) => {
                self.unless_gone(self.api.delete(&video.uuid))?;
                return self.note(key, |part| part.state = State::Erased);
            }
            (Visibility::Hidden, _) => self.hide(&video.uuid)?,
            (Visibility::Shown, Shown::Private) => {
                let privacy = words::privacy(&self.shared.config, &snapshot.show);
                self.unless_gone(self.set_privacy(&video.uuid, privacy))?;
                Shown::Open
            }
            (Visibility::Shown, _) => {
                self.unless_gone(self.api.unblock(&video.uuid))?;
                Shown::Open
            }
        };
        info!(video = video.uuid, wanted = ?part.wanted, "PeerTube shows of a video what it should");
        self.note(key, |part| part.shown = shown)
    }

    /// Blocks a video, or makes it private where the account may not block.
    fn hide(&self, video: &str) -> Result<Shown, Failure> {
        match self.api.block(video) {
            Err(Failure::Refused { .. }) => {
                self.unless_gone(self.set_privacy(video, Privacy::Private))?;
                Ok(Shown::Private)
            }
            result => self.unless_gone(result).map(|()| Shown::Blocked),
        }
    }

    /// What was deleted at the site shows nothing.
    fn unless_gone(&self, result: Result<(), Failure>) -> Result<(), Failure> {
        if let Err(Failure::Gone { .. }) = result { Ok(()) } else { result }
    }

    fn set_privacy(&self, video: &str, privacy: Privacy) -> Result<(), Failure> {
        self.api.update(video, vec![("privacy", privacy.number().to_string())])
    }

    /// The broadcast is over and all of it is there: its videos get the privacy that the config says.
    fn publish(&self, id: &str) -> Result<(), Failure> {
        let show = {
            let inner = self.shared.lock();
            let Some(show) = inner.spool.as_ref().and_then(|spool| spool.show(id)) else { return Ok(()) };
            show.clone()
        };
        let privacy = self.shared.config.privacy;
        for part in &show.parts {
            // One that was made private to withhold it gets its privacy when it is shown again.
            if let Some(video) =
                part.video.as_ref().filter(|_| part.shown != Shown::Private && part.state == State::Uploaded)
            {
                let set = self.set_privacy(&video.uuid, privacy);
                self.unless_unfit(set, "its privacy")?;
            }
        }
        if let Playlist::Made(playlist) = show.playlist {
            let published = Show { published: true, ..show.clone() };
            let fields = words::playlist(&self.shared.config, &published, self.api.channel()?);
            let set = self.api.update_playlist(playlist, fields);
            self.unless_unfit(set, "the privacy of its playlist")?;
        }
        self.note_show(id, |show| show.published = true)
    }

    fn make_live(&self, title: Option<&str>) -> Result<(), Failure> {
        let (Some(live), Some(pusher)) = (&self.live, &self.shared.pusher) else { return Ok(()) };
        let target = live.ready(&self.api, title)?;
        pusher.aim(target);
        let mut inner = self.shared.lock();
        // Another broadcast may have begun meanwhile.
        if inner.live_title.as_ref().is_some_and(|wanted| wanted.as_deref() == title) {
            inner.live_title = None;
        }
        Ok(())
    }
}

fn is(element: &Element, video: u64) -> bool {
    element.video.as_ref().is_some_and(|it| it.id == video)
}
