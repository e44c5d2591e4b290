//! One publication: packets in, events out, until somebody ends it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use peerstream_media::Cutter;
use peerstream_media::format::{Audio, Video};
use peerstream_media::mux::{Lane, Muxer, Sample, Settings};
use peerstream_sdk::traits::ingest::{IngestError, IngestEvent, OffAir, OnAir};
use rtc::rtp::Packet;
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::{debug, info};
use webrtc::media_stream::track_remote::TrackRemote;

use crate::connection::{Connection, Note, ask_for_key};
use crate::pictures::Pictures;
use crate::reorder::{Ordered, Reorder};
use crate::times::Times;

/// A publisher that sends nothing for this long has gone.
const IDLE_MAX: Duration = Duration::from_secs(10);
/// Waiting packets are looked at this often.
const LOOK: Duration = Duration::from_millis(20);
/// How long the second track is waited for at the start, in microseconds.
const SECOND_TRACK_US: u64 = 3_000_000;
/// Stereo at 48 kHz with nothing to skip, as WebRTC sends it.
const OPUS_HEAD: &[u8; 19] = b"OpusHead\x01\x02\x00\x00\x80\xbb\x00\x00\x00\x00\x00";
/// A key frame is not asked for more often than this because of losses.
const ASK_PAUSE: Duration = Duration::from_millis(300);

/// What a publisher offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Offered {
    pub(crate) video: bool,
    pub(crate) audio: bool,
}

/// Why a publication ended.
#[derive(Debug)]
pub(crate) enum End {
    /// The publisher said so, or went.
    Gone,
    /// Nothing came for [`IDLE_MAX`].
    Idle,
    /// It was taken off the air.
    OffAir(OffAir),
    /// What came could not be used.
    Failed(IngestError),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str("the publisher has gone"),
            Self::Idle => write!(f, "nothing came for {} s", IDLE_MAX.as_secs()),
            Self::OffAir(off) => write!(f, "{off}"),
            Self::Failed(error) => write!(f, "{error}"),
        }
    }
}

/// One publication.
pub(crate) struct Session {
    air: OnAir,
    connection: Connection,
    key_frame: Duration,
    began: Instant,
    heard: Instant,
    asked: Instant,
    video: Option<(Arc<dyn TrackRemote>, u32)>,
    pictures: Pictures,
    picture_times: Times,
    sound_times: Times,
    picture_order: Reorder<Packet>,
    sound_order: Reorder<Packet>,
    muxer: Muxer,
    cutter: Cutter,
}

impl Session {
    pub(crate) fn new(air: OnAir, connection: Connection, offered: Offered, key_frame: Duration) -> Self {
        let both = offered.video && offered.audio;
        let settings = Settings { second_track_us: if both { SECOND_TRACK_US } else { 0 }, ..Settings::default() };
        let mut muxer = Muxer::new(settings);
        if let Some(audio) = Audio::opus(OPUS_HEAD).ok().filter(|_| offered.audio) {
            muxer.set_audio(audio);
        }
        let (now, cutter) = (Instant::now(), Cutter::starting_at(air.start_us()));
        Self {
            air,
            connection,
            key_frame,
            began: now,
            heard: now,
            asked: now,
            video: None,
            pictures: Pictures::default(),
            picture_times: Times::new(90_000),
            sound_times: Times::new(48_000),
            picture_order: Reorder::default(),
            sound_order: Reorder::default(),
            muxer,
            cutter,
        }
    }

    /// Runs until the publication ends. `leave` is the publisher's word.
    pub(crate) async fn run(mut self, leave: Arc<Notify>) {
        let end = self.publish(&leave).await;
        self.muxer.finish();
        if self.feed().is_ok() {
            self.cutter.finish();
            let _ = self.send().await;
        }
        self.connection.close().await;
        let (pictures, late) = (self.pictures.dropped(), self.picture_order.late() + self.sound_order.late());
        info!(%end, pictures, late, packets = self.connection.dropped(), "publication over WebRTC ended; dropped");
    }

    async fn publish(&mut self, leave: &Notify) -> End {
        let (mut look, mut keys) = (interval(LOOK), interval(self.key_frame));
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        keys.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let result = tokio::select! {
                note = self.connection.notes.recv() => match note {
                    Some(Note::Ended) | None => return End::Gone,
                    Some(note) => self.take(note),
                },
                _ = look.tick() => self.look(),
                _ = keys.tick() => {
                    self.ask().await;
                    Ok(())
                }
                () = leave.notified() => return End::Gone,
                off = self.air.off_air() => return End::OffAir(off),
            };
            if let Err(error) = result.and_then(|()| self.feed()) {
                return End::Failed(error);
            }
            if let Err(off) = self.send().await {
                return End::OffAir(off);
            }
            if self.heard.elapsed() > IDLE_MAX {
                return End::Idle;
            }
            if self.pictures.needs_key() && self.asked.elapsed() > ASK_PAUSE {
                self.ask().await;
            }
        }
    }

    fn take(&mut self, note: Note) -> Result<(), IngestError> {
        match note {
            Note::Track(Lane::Video, track, ssrc) => self.video = Some((track, ssrc)),
            Note::Track(Lane::Audio, ..) | Note::Ended => {}
            Note::Report(lane, ntp, count) => {
                match lane {
                    Lane::Video => self.picture_times.report(ntp, count),
                    Lane::Audio => self.sound_times.report(ntp, count),
                }
                self.sound_times.follow(&self.picture_times);
            }
            Note::Packet(lane, packet) => {
                self.heard = Instant::now();
                let now = self.began.elapsed();
                let number = packet.header.sequence_number;
                match lane {
                    Lane::Video => {
                        let ready = self.picture_order.push(number, packet, now);
                        return self.take_pictures(ready);
                    }
                    Lane::Audio => {
                        let ready = self.sound_order.push(number, packet, now);
                        return self.take_sound(ready);
                    }
                }
            }
        }
        Ok(())
    }

    fn look(&mut self) -> Result<(), IngestError> {
        let now = self.began.elapsed();
        let ready = self.picture_order.ready(now);
        self.take_pictures(ready)?;
        let ready = self.sound_order.ready(now);
        self.take_sound(ready)
    }

    fn take_pictures(&mut self, ready: Vec<Ordered<Packet>>) -> Result<(), IngestError> {
        for ordered in ready {
            let packet = match ordered {
                Ordered::Packet(packet) => packet,
                Ordered::Lost(packets) => {
                    debug!(packets, "packets of pictures are lost");
                    self.pictures.lost();
                    continue;
                }
            };
            // Padding for measuring the path has no payload.
            if packet.payload.is_empty() {
                continue;
            }
            let (count, last) = (packet.header.timestamp, packet.header.marker);
            let Some(picture) = self.pictures.push(count, last, &packet.payload) else { continue };
            if picture.key
                && let Some(record) = self.pictures.record()
            {
                self.muxer.set_video(Video::h264(&record)?);
            }
            if picture.bytes.is_empty() {
                continue;
            }
            let at_us = self.picture_times.at_us(picture.count, self.now_us());
            let sample = Sample { at_us, shift_us: 0, key: picture.key, bytes: picture.bytes };
            self.muxer.push(Lane::Video, sample)?;
        }
        Ok(())
    }

    fn take_sound(&mut self, ready: Vec<Ordered<Packet>>) -> Result<(), IngestError> {
        for ordered in ready {
            let Ordered::Packet(packet) = ordered else { continue };
            if packet.payload.is_empty() {
                continue;
            }
            let at_us = self.sound_times.at_us(packet.header.timestamp, self.now_us());
            let sample = Sample { at_us, shift_us: 0, key: true, bytes: Bytes::copy_from_slice(&packet.payload) };
            self.muxer.push(Lane::Audio, sample)?;
        }
        Ok(())
    }

    fn now_us(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn feed(&mut self) -> Result<(), IngestError> {
        while let Some(bytes) = self.muxer.poll() {
            self.cutter.push(&bytes)?;
        }
        Ok(())
    }

    async fn send(&mut self) -> Result<(), OffAir> {
        while let Some(event) = self.cutter.poll() {
            // Its words are about programs with settings for key frames; here they are asked for.
            if !matches!(event, IngestEvent::Advice(_)) {
                self.air.send(event).await?;
            }
        }
        Ok(())
    }

    async fn ask(&mut self) {
        self.asked = Instant::now();
        if let Some((track, ssrc)) = &self.video {
            ask_for_key(&**track, *ssrc).await;
        }
    }
}
