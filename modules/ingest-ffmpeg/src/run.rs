//! One child's life on air.

use std::time::Duration;

use peerstream_ffmpeg_child::output::{Audio, Video};
use peerstream_ffmpeg_child::{Child, Command, Ending, Program, Redactor};
use peerstream_media::Cutter;
use peerstream_sdk::traits::ingest::{IngestEvent, OffAir, OnAir, Publication, Stage};
use tokio::time::{Instant, timeout};

use crate::arguments;
use crate::codecs::{Known, Tracks, Unfit};
use crate::config::{AudioChoice, Config, VideoChoice};
use crate::input::Input;

/// A child that nobody has to call has this much longer for its first bytes than for others: it connects and looks first.
const START_MORE: Duration = Duration::from_secs(30);
/// ffprobe has this long.
const PROBE_WAIT: Duration = Duration::from_secs(30);
/// How much is read at once, in bytes.
const CHUNK_BYTES: usize = 64 * 1024;

/// What comes after a child.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The input has ended by itself.
    Done,
    /// The broadcast has ended.
    Closed,
    /// Another child now.
    AtOnce(String),
    /// Another child after a pause.
    Again {
        /// For people, without secrets.
        why: String,
        /// How long the child was on air.
        well: Duration,
    },
}

/// Why a child is given up or has gone.
enum Cause {
    Ended,
    Stalled,
    Malformed(String),
    Unfit(Unfit),
    OffAir(OffAir),
}

/// Runs children one after the other.
#[derive(Debug)]
pub(crate) struct Runner {
    config: Config,
    input: Input,
    program: Program,
    redactor: Redactor,
    shown: String,
    listens: bool,
    /// What was learnt where nobody may be asked twice.
    unfit: Unfit,
    /// One that was replaced does not take over again until it has been on air.
    takeover: bool,
}

impl Runner {
    pub(crate) fn new(config: Config, input: Input) -> Self {
        let mut redactor = Redactor::new().hide(config.secret.reveal());
        if let Input::Url { url, .. } = &input {
            redactor = redactor.hide(url);
        }
        let shown = match &input {
            Input::Test => "test picture".into(),
            Input::File(path) => redactor.show(path).into_owned(),
            Input::Url { url, .. } => redactor.show(url).into_owned(),
        };
        Self {
            program: Program::new(&config.program),
            listens: input.listens(&config.input_options),
            unfit: Unfit::default(),
            takeover: config.takeover,
            config,
            input,
            redactor,
            shown,
        }
    }

    /// The input for people, without secrets.
    pub(crate) fn shown(&self) -> &str {
        &self.shown
    }

    /// Runs one child from its start to its end.
    pub(crate) async fn once(&mut self, stage: &Stage) -> Outcome {
        // Whoever can wait for a turn starts nothing before. A caller is listened to, and refused when he comes.
        if !self.listens && !self.takeover {
            stage.vacant().await;
        }
        let known = match self.known().await {
            Ok(known) => known,
            Err(why) => return Outcome::Again { why, well: Duration::ZERO },
        };
        let video = known.video(&self.config, &self.input);
        let audio = known.audio(&self.config, &self.input, &video);
        if video == Video::None && audio == Audio::None {
            return Outcome::Again { why: "there is no picture and no sound in it".into(), well: Duration::ZERO };
        }
        let stored = self.input.is_stored() || matches!(&known, Known::Probed(tracks) if tracks.finite);
        match Child::start(&self.command(&video, audio)).await {
            Ok(child) => self.attend(child, stage, stored).await,
            Err(error) => {
                let why = format!("`{}` cannot be started: {error}", self.config.program);
                Outcome::Again { why, well: Duration::ZERO }
            }
        }
    }

    fn command(&self, video: &Video, audio: Audio) -> Command {
        Command {
            program: self.program.ffmpeg().to_owned(),
            arguments: arguments::ffmpeg(&self.config, &self.input, video, audio),
            name: "ffmpeg".into(),
            redactor: self.redactor.clone(),
            fed: false,
            memory_mib: self.config.memory_mib,
        }
    }

    /// What is known of the tracks: asked if that decides anything and costs nobody his only call.
    async fn known(&self) -> Result<Known, String> {
        let Config { video, audio, .. } = &self.config;
        let decided = !matches!(video, VideoChoice::Auto) && !matches!(audio, AudioChoice::Auto | AudioChoice::Copy);
        if self.listens || decided || self.input == Input::Test {
            return Ok(Known::Tried(self.unfit));
        }
        let arguments = arguments::ffprobe(&self.config, &self.input);
        let answer =
            self.program.probe(&arguments, PROBE_WAIT, &self.redactor).await.map_err(|error| error.to_string())?;
        Ok(Known::Probed(Tracks::read(&answer)?))
    }

    /// Reads a child from its first bytes to its end.
    async fn attend(&mut self, mut child: Child, stage: &Stage, stored: bool) -> Outcome {
        let mut buffer = vec![0; CHUNK_BYTES];
        let first = match self.first_bytes(&mut child, &mut buffer).await {
            Some(0) => return self.never_on_air(child.end().await),
            Some(len) => len,
            None => return self.given_up(child, Duration::ZERO).await,
        };
        let publication = Publication { name: format!("ffmpeg: {}", self.shown), takeover: self.takeover };
        let air = match stage.go_on_air(publication) {
            Ok(air) => air,
            Err(OffAir::Closed) => return Outcome::Closed,
            Err(off) => {
                drop(child);
                return Outcome::Again { why: off.to_string(), well: Duration::ZERO };
            }
        };
        self.takeover = self.config.takeover;
        let since = Instant::now();
        let cause = self.on_air(&mut child, &air, &mut buffer, first).await;
        drop(air);
        let well = since.elapsed();
        match cause {
            Cause::Ended => self.after_its_end(child.end().await, stored, well),
            Cause::Stalled => self.given_up(child, well).await,
            Cause::Malformed(why) => Outcome::Again { why, well },
            Cause::Unfit(unfit) => {
                self.unfit = self.unfit.and(unfit);
                Outcome::AtOnce("not every browser plays its codecs: they are encoded from now on".into())
            }
            Cause::OffAir(OffAir::Closed) => Outcome::Closed,
            Cause::OffAir(off) => {
                self.takeover = false;
                Outcome::AtOnce(off.to_string())
            }
        }
    }

    async fn first_bytes(&self, child: &mut Child, buffer: &mut [u8]) -> Option<usize> {
        if self.listens {
            return Some(child.read(buffer).await.unwrap_or(0));
        }
        let read = timeout(self.stall() + START_MORE, child.read(buffer)).await;
        read.ok().map(|read| read.unwrap_or(0))
    }

    /// Cuts and sends what the child writes, until something ends that.
    async fn on_air(&self, child: &mut Child, air: &OnAir, buffer: &mut [u8], first: usize) -> Cause {
        let mut cutter = Cutter::starting_at(air.start_us());
        let mut len = first;
        while len > 0 {
            let pushed = cutter.push(&buffer[..len]);
            if let Err(cause) = self.send(&mut cutter, air).await {
                return cause;
            }
            if let Err(error) = pushed {
                return Cause::Malformed(error.to_string());
            }
            len = tokio::select! {
                off = air.off_air() => return Cause::OffAir(off),
                read = timeout(self.stall(), child.read(buffer)) => match read {
                    Ok(read) => read.unwrap_or(0),
                    Err(_) => return Cause::Stalled,
                },
            };
        }
        cutter.finish();
        match self.send(&mut cutter, air).await {
            Ok(()) => Cause::Ended,
            Err(cause) => cause,
        }
    }

    async fn send(&self, cutter: &mut Cutter, air: &OnAir) -> Result<(), Cause> {
        while let Some(event) = cutter.poll() {
            if let IngestEvent::Init { mime, .. } = &event {
                self.check(mime)?;
            }
            air.send(event).await.map_err(Cause::OffAir)?;
        }
        Ok(())
    }

    /// Whether what was copied for a try is fit to be copied.
    fn check(&self, mime: &str) -> Result<(), Cause> {
        let found = Unfit::of_mime(mime);
        let video = found.video && self.config.video == VideoChoice::Auto && !self.unfit.video;
        let audio = found.audio && self.config.audio == AudioChoice::Auto && !self.unfit.audio;
        if self.listens && (video || audio) { Err(Cause::Unfit(Unfit { video, audio })) } else { Ok(()) }
    }

    fn never_on_air(&mut self, ending: Ending) -> Outcome {
        let learnt = Unfit::of_words(&ending.last_words);
        let lesson = self.listens && learnt.is_any() && self.unfit.and(learnt) != self.unfit;
        if lesson {
            self.unfit = self.unfit.and(learnt);
            return Outcome::AtOnce("its codecs cannot be copied: they are encoded from now on".into());
        }
        Outcome::Again { why: format!("ffmpeg gave nothing; {ending}"), well: Duration::ZERO }
    }

    fn after_its_end(&self, ending: Ending, stored: bool, well: Duration) -> Outcome {
        if stored && ending.is_good() && !self.config.looped {
            return Outcome::Done;
        }
        Outcome::Again { why: format!("ffmpeg ended; {ending}"), well }
    }

    async fn given_up(&self, child: Child, well: Duration) -> Outcome {
        let ending = child.kill().await;
        let said = if ending.last_words.is_empty() { String::new() } else { format!("; {}", ending.last_words) };
        Outcome::Again { why: format!("ffmpeg gave nothing for too long{said}"), well }
    }

    fn stall(&self) -> Duration {
        Duration::from_secs(self.config.stall_s.into())
    }
}
