//! The plug-in: what is answered over HTTP, and who is on air.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_EXPOSE_HEADERS};
use http::header::{ALLOW, AUTHORIZATION, CONTENT_TYPE, LOCATION};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use peerstream_sdk::prelude::*;
use peerstream_sdk::traits::Secret;
use peerstream_sdk::traits::ingest::{
    Ingest, IngestError, Instruction, Kind, OffAir, Publication, SharedWeb, Stage, Web,
};
use tokio::sync::{Notify, Semaphore};
use tracing::{info, warn};

use crate::Config;
use crate::connection::Connection;
use crate::session::{Offered, Session};

/// Offers that are answered at the same time.
const ANSWERED_AT_ONCE_MAX: usize = 4;
/// Publications that can be ended by their address.
const REMEMBERED_MAX: usize = 16;
/// A wrong key is answered after this long.
const WRONG_KEY_PAUSE: Duration = Duration::from_secs(1);
/// Wrong keys that wait for their answer; beyond it they get none.
const WRONG_KEYS_MAX: usize = 16;
/// What an offer is.
const SDP: &str = "application/sdp";

/// Live input over WebRTC.
pub struct Whip {
    shared: Arc<Shared>,
}

struct Shared {
    instance: String,
    config: Config,
    stage: OnceLock<Stage>,
    /// Those who publish: the last part of their address, and how they are told to end.
    sessions: Mutex<VecDeque<(String, Arc<Notify>)>>,
    answers: Semaphore,
    wrong_keys: Semaphore,
}

impl Plugin for Whip {
    const NAME: &'static str = "whip";
    const SUMMARY: &'static str = "WebRTC from a page, OBS 30 or later, or whatever else speaks WHIP";
    const STABILITY: Stability = Stability::Beta;
    type Config = Config;

    fn build(config: Config, context: &BuildContext<'_>) -> Result<Self, PluginError> {
        let shared = Shared {
            instance: context.instance.to_owned(),
            config,
            stage: OnceLock::new(),
            sessions: Mutex::default(),
            answers: Semaphore::new(ANSWERED_AT_ONCE_MAX),
            wrong_keys: Semaphore::new(WRONG_KEYS_MAX),
        };
        Ok(Self { shared: Arc::new(shared) })
    }
}

impl Lifecycle for Whip {}

#[async_trait]
impl Ingest for Whip {
    fn kind(&self) -> Kind {
        Kind::Media
    }

    fn instructions(&self, key: &Secret) -> Vec<Instruction> {
        let key = if self.shared.config.key.is_empty() { key } else { &self.shared.config.key };
        let (instance, key) = (&self.shared.instance, key.reveal());
        let query = if instance == Self::NAME { String::new() } else { format!("?input={instance}") };
        let instruction = |program: &str, text| Instruction { program: program.to_owned(), text };
        vec![
            instruction("WHIP (OBS 30 or later)", format!("server PAGE/ingest/{instance}, bearer token {key}")),
            instruction(
                "a browser",
                format!("PAGE/live{query} (over https, or on this machine as localhost), stream key {key}"),
            ),
        ]
    }

    fn web(&self) -> Option<SharedWeb> {
        Some(self.shared.clone())
    }

    async fn run(self: Box<Self>, stage: Stage) -> Result<(), IngestError> {
        let _ = self.shared.stage.set(stage.clone());
        stage.closed().await;
        for (_, leave) in self.shared.sessions().iter() {
            leave.notify_one();
        }
        Ok(())
    }
}

type Answer = Response<Bytes>;

#[async_trait]
impl Web for Shared {
    async fn answer(&self, from: IpAddr, request: Request<Bytes>) -> Answer {
        let path = request.uri().path().trim_matches('/').to_owned();
        let answer = match (request.method(), path.as_str()) {
            (&Method::OPTIONS, _) => said(StatusCode::NO_CONTENT, ""),
            (&Method::POST, "") => self.publish(from, &request).await,
            (&Method::DELETE, name) if !name.is_empty() => self.end(from, name, request.headers()).await,
            (&Method::PATCH, name) if !name.is_empty() => {
                said(StatusCode::METHOD_NOT_ALLOWED, "all addresses are in the offer and the answer\n")
            }
            _ => said(StatusCode::METHOD_NOT_ALLOWED, "an offer is sent here with POST\n"),
        };
        with_leave_for_pages(answer)
    }
}

impl Shared {
    fn sessions(&self) -> MutexGuard<'_, VecDeque<(String, Arc<Notify>)>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn publish(&self, from: IpAddr, request: &Request<Bytes>) -> Answer {
        let Some(stage) = self.stage.get() else {
            return said(StatusCode::SERVICE_UNAVAILABLE, "the broadcast takes no input yet\n");
        };
        if !self.knows(stage, request.headers()) {
            return self.refuse_key(from).await;
        }
        let is_sdp =
            request.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(SDP.as_bytes()));
        let Some(offer) = std::str::from_utf8(request.body()).ok().filter(|_| is_sdp) else {
            return said(StatusCode::UNSUPPORTED_MEDIA_TYPE, "an offer as application/sdp expected\n");
        };
        let offered = match offered(offer) {
            Ok(offered) => offered,
            Err(problem) => return said(StatusCode::UNPROCESSABLE_ENTITY, problem),
        };
        let Ok(_place) = self.answers.try_acquire() else {
            return said(StatusCode::SERVICE_UNAVAILABLE, "too many offers at once\n");
        };
        self.begin(stage, from, offer, offered).await
    }

    async fn begin(&self, stage: &Stage, from: IpAddr, offer: &str, offered: Offered) -> Answer {
        let name = format!("webrtc from {from}");
        let air = match stage.go_on_air(Publication { name, takeover: self.config.takeover }) {
            Ok(air) => air,
            Err(busy @ OffAir::Busy(_)) => return said(StatusCode::CONFLICT, &format!("{busy}\n")),
            Err(off) => return said(StatusCode::GONE, &format!("{off}\n")),
        };
        let (connection, answer) = match Connection::answer(offer, &self.config).await {
            Ok(answered) => answered,
            Err(error) => {
                warn!(%from, %error, "an offer could not be answered");
                return said(StatusCode::UNPROCESSABLE_ENTITY, &format!("the offer cannot be answered: {error}\n"));
            }
        };
        let key_frame = Duration::from_millis(self.config.key_frame_ms);
        let (id, leave) = self.remember();
        info!(%from, "publisher over WebRTC");
        tokio::spawn(Session::new(air, connection, offered, key_frame).run(leave));
        let location = format!("/ingest/{}/{id}", self.instance);
        let built = Response::builder()
            .status(StatusCode::CREATED)
            .header(CONTENT_TYPE, SDP)
            .header(LOCATION, location)
            .body(Bytes::from(answer));
        built.unwrap_or_else(|_| said(StatusCode::INTERNAL_SERVER_ERROR, ""))
    }

    /// A name for a publication that nobody can guess.
    fn remember(&self) -> (String, Arc<Notify>) {
        let leave = Arc::<Notify>::default();
        let id = format!("{:016x}", rand_id());
        let mut sessions = self.sessions();
        // Only the latest can be at work: those before have ended, or are being replaced.
        if sessions.len() >= REMEMBERED_MAX {
            sessions.pop_front();
        }
        sessions.push_back((id.clone(), leave.clone()));
        (id, leave)
    }

    async fn end(&self, from: IpAddr, id: &str, headers: &HeaderMap) -> Answer {
        let knows = self.stage.get().is_some_and(|stage| self.knows(stage, headers));
        if !knows {
            return self.refuse_key(from).await;
        }
        let sessions = self.sessions();
        match sessions.iter().find(|(name, _)| name == id) {
            Some((_, leave)) => {
                leave.notify_one();
                said(StatusCode::OK, "")
            }
            None => said(StatusCode::NOT_FOUND, "no such publication\n"),
        }
    }

    fn knows(&self, stage: &Stage, headers: &HeaderMap) -> bool {
        let key = if self.config.key.is_empty() { stage.key() } else { &self.config.key };
        let shown = headers.get(AUTHORIZATION).map(|value| value.as_bytes()).unwrap_or_default();
        let shown = shown.strip_prefix(b"Bearer ").unwrap_or_default();
        key.is(shown)
    }

    async fn refuse_key(&self, from: IpAddr) -> Answer {
        warn!(%from, "a publisher without the stream key was refused");
        let Ok(_place) = self.wrong_keys.try_acquire() else {
            return said(StatusCode::TOO_MANY_REQUESTS, "too many wrong keys\n");
        };
        tokio::time::sleep(WRONG_KEY_PAUSE).await;
        said(StatusCode::UNAUTHORIZED, "the stream key is missing or wrong\n")
    }
}

/// What an offer brings, or what is wrong with it.
fn offered(sdp: &str) -> Result<Offered, &'static str> {
    let sections: Vec<_> = sdp.split("\nm=").skip(1).collect();
    let has = |kind: &str, codec: &str| -> Option<bool> {
        let mut of_kind = sections.iter().filter(|section| section.starts_with(kind)).peekable();
        of_kind.peek()?;
        Some(of_kind.any(|section| section.to_ascii_lowercase().contains(codec)))
    };
    let (video, audio) = (has("video", " h264/90000"), has("audio", " opus/48000/2"));
    match (video, audio) {
        (None, None) => Err("the offer has neither pictures nor sound\n"),
        (Some(false), _) => Err("the offer has no H.264: every browser and OBS can send it\n"),
        (_, Some(false)) => Err("the offer has no Opus\n"),
        (video, audio) => Ok(Offered { video: video.is_some(), audio: audio.is_some() }),
    }
}

fn said(status: StatusCode, text: &str) -> Answer {
    let mut answer = Response::new(Bytes::copy_from_slice(text.as_bytes()));
    *answer.status_mut() = status;
    answer
}

/// Pages of other hosts may publish here; they need the key all the same.
fn with_leave_for_pages(mut answer: Answer) -> Answer {
    let headers = answer.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, http::HeaderValue::from_static("POST, DELETE, OPTIONS"));
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, http::HeaderValue::from_static("Authorization, Content-Type"));
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, http::HeaderValue::from_static("Location"));
    headers.insert(ALLOW, http::HeaderValue::from_static("POST, DELETE, OPTIONS"));
    answer
}

/// 64 bits of chance: the hash keys of the standard library come from the operating system.
fn rand_id() -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one(0u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offer_must_bring_what_every_browser_plays() {
        let audio = "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=rtpmap:111 opus/48000/2\r\n";
        assert_eq!(offered(audio), Ok(Offered { video: false, audio: true }));
        let vp8 = format!("{audio}m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=rtpmap:96 VP8/90000\r\n");
        assert!(offered(&vp8).unwrap_err().contains("H.264"));
        let both = format!("{vp8}a=rtpmap:102 H264/90000\r\n");
        assert_eq!(offered(&both), Ok(Offered { video: true, audio: true }));
        assert!(offered("v=0\r\n").is_err());
    }
}
