//! One peer connection that only receives: an offer is answered, packets come out.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use peerstream_media::mux::Lane;
use rtc::peer_connection::configuration::interceptor_registry::{Registry, register_default_interceptors};
use rtc::peer_connection::configuration::media_engine::{MIME_TYPE_H264, MIME_TYPE_OPUS, MediaEngine};
use rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc::rtcp::sender_report::SenderReport;
use rtc::rtp_transceiver::rtp_sender::{RTCPFeedback, RTCRtpCodec, RTCRtpCodecParameters, RtpCodecKind};
use tokio::sync::{Notify, mpsc};
use webrtc::error::{Error, Result};
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};
use webrtc::peer_connection::{
    PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCConfigurationBuilder, RTCIceGatheringState,
    RTCPeerConnectionState, RTCSessionDescription, SettingEngineBuilder,
};
use webrtc::runtime::default_runtime;

use crate::Config;
use crate::reports::Reports;

/// Packets that wait for the session; beyond it they are dropped and counted.
pub(crate) const NOTES_MAX: usize = 1024;
/// All addresses of this machine are gathered within this time, or those found by then are told.
const GATHER_MAX: Duration = Duration::from_secs(2);
/// The peer is gone when nothing came for this long.
const SILENCE: Duration = Duration::from_secs(5);
/// What a picture's packet type is worth in the profiles that browsers and OBS send.
const PROFILES: [&str; 4] = ["42e01f", "42001f", "4d001f", "640c1f"];

/// What comes out of a connection.
pub(crate) enum Note {
    /// A track begins.
    Track(Lane, Arc<dyn TrackRemote>, u32),
    /// A packet of a track.
    Packet(Lane, rtc::rtp::Packet),
    /// A sender's wall clock and the count it stood at.
    Report(Lane, u64, u32),
    /// The connection has ended.
    Ended,
}

/// A connection that was answered. It must be ended with [`Self::close`].
pub(crate) struct Connection {
    peer: Arc<dyn PeerConnection>,
    pub(crate) notes: mpsc::Receiver<Note>,
    dropped: Arc<AtomicU64>,
}

impl Connection {
    /// Answers an offer; gives the answer as SDP, with all addresses of this machine.
    pub(crate) async fn answer(offer: &str, config: &Config) -> Result<(Self, String)> {
        let (sender, notes) = mpsc::channel(NOTES_MAX);
        let (gathered, dropped) = (Arc::<Notify>::default(), Arc::<AtomicU64>::default());
        let handler = Handler { notes: sender, gathered: gathered.clone(), dropped: dropped.clone() };
        let peer = Arc::new(build(handler, config).await?) as Arc<dyn PeerConnection>;
        let connection = Self { peer, notes, dropped };
        match connection.negotiate(offer, &gathered).await {
            Ok(sdp) => Ok((connection, advertised(&sdp, &config.advertise))),
            Err(error) => {
                connection.close().await;
                Err(error)
            }
        }
    }

    async fn negotiate(&self, offer: &str, gathered: &Notify) -> Result<String> {
        self.peer.set_remote_description(RTCSessionDescription::offer(offer.to_owned())?).await?;
        let answer = self.peer.create_answer(None).await?;
        self.peer.set_local_description(answer).await?;
        let _ = tokio::time::timeout(GATHER_MAX, gathered.notified()).await;
        let described = self.peer.local_description().await;
        described.map(|described| described.sdp).ok_or_else(|| Error::Other("there is no answer".to_owned()))
    }

    /// Packets that were dropped because [`NOTES_MAX`] waited.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Says goodbye and frees the sockets.
    pub(crate) async fn close(&self) {
        let _ = self.peer.close().await;
    }
}

/// The stack keeps its sockets until it is told to close: also when an answer is not waited for to its end.
impl Drop for Connection {
    fn drop(&mut self) {
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let peer = self.peer.clone();
            runtime.spawn(async move { peer.close().await });
        }
    }
}

/// Asks for a key frame.
pub(crate) async fn ask_for_key(track: &dyn TrackRemote, ssrc: u32) {
    let _ = track.write_rtcp(vec![Box::new(PictureLossIndication { sender_ssrc: 0, media_ssrc: ssrc })]).await;
}

async fn build(handler: Handler, config: &Config) -> Result<impl PeerConnection + use<>> {
    let mut media = MediaEngine::default();
    register_codecs(&mut media)?;
    let registry = register_default_interceptors(Registry::new(), &mut media)?;
    let registry = registry.with(Reports::slot(), Reports::default());
    let settings = SettingEngineBuilder::new()
        .with_include_loopback_candidate(true)
        .with_ice_timeouts(Some(SILENCE), Some(SILENCE), Some(Duration::from_secs(1)))
        .build();
    let addresses = [IpAddr::from(Ipv4Addr::UNSPECIFIED), Ipv4Addr::LOCALHOST.into()];
    let addresses = addresses.map(|ip| SocketAddr::new(ip, config.udp_port));
    let runtime = default_runtime().ok_or_else(|| Error::Other("no runtime for WebRTC".to_owned()))?;
    PeerConnectionBuilder::new()
        .with_configuration(RTCConfigurationBuilder::default().build())
        .with_media_engine(media)
        .with_interceptor_registry(registry)
        .with_setting_engine(settings)
        .with_runtime(runtime)
        .with_handler(Arc::new(handler))
        .with_udp_addrs(addresses.to_vec())
        .build()
        .await
}

fn register_codecs(media: &mut MediaEngine) -> Result<()> {
    let feedback = |typ: &str, parameter: &str| RTCPFeedback { typ: typ.into(), parameter: parameter.into() };
    for (at, profile) in (0u8..).zip(PROFILES) {
        let rtp_codec = RTCRtpCodec {
            mime_type: MIME_TYPE_H264.to_owned(),
            clock_rate: 90_000,
            channels: 0,
            sdp_fmtp_line: format!("level-asymmetry-allowed=1;packetization-mode=1;profile-level-id={profile}"),
            rtcp_feedback: vec![feedback("nack", "pli"), feedback("ccm", "fir"), feedback("nack", "")],
        };
        let codec = RTCRtpCodecParameters { rtp_codec, payload_type: 102 + at };
        media.register_codec(codec, RtpCodecKind::Video)?;
    }
    let rtp_codec = RTCRtpCodec {
        mime_type: MIME_TYPE_OPUS.to_owned(),
        clock_rate: 48_000,
        channels: 2,
        sdp_fmtp_line: "minptime=10;useinbandfec=1;stereo=1".to_owned(),
        rtcp_feedback: Vec::new(),
    };
    let codec = RTCRtpCodecParameters { rtp_codec, payload_type: 111 };
    media.register_codec(codec, RtpCodecKind::Audio)
}

/// The answer with each address of this machine's network also told as the public ones.
fn advertised(sdp: &str, public: &[IpAddr]) -> String {
    let mut lines = String::with_capacity(sdp.len());
    for line in sdp.lines() {
        lines += line;
        lines += "\r\n";
        let fields: Vec<_> = line.split(' ').collect();
        let &[_, _, "udp" | "UDP", _, address, _, "typ", "host", ..] = &fields[..] else { continue };
        let Ok(address) = address.parse::<IpAddr>() else { continue };
        for public in public.iter().filter(|public| public.is_ipv4() == address.is_ipv4() && !address.is_loopback()) {
            let mut fields: Vec<_> = fields.iter().map(|field| (*field).to_owned()).collect();
            fields[4] = public.to_string();
            lines += &fields.join(" ");
            lines += "\r\n";
        }
    }
    lines
}

/// Turns callbacks into notes.
struct Handler {
    notes: mpsc::Sender<Note>,
    gathered: Arc<Notify>,
    dropped: Arc<AtomicU64>,
}

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        if state == RTCIceGatheringState::Complete {
            self.gathered.notify_one();
        }
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        if matches!(state, RTCPeerConnectionState::Failed | RTCPeerConnectionState::Closed) {
            let _ = self.notes.try_send(Note::Ended);
        }
    }

    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        let Some(ssrc) = track.ssrcs().await.first().copied() else { return };
        let lane = match track.kind().await {
            RtpCodecKind::Video => Lane::Video,
            _ => Lane::Audio,
        };
        let _ = self.notes.try_send(Note::Track(lane, track.clone(), ssrc));
        tokio::spawn(read(lane, track, self.notes.clone(), self.dropped.clone()));
    }
}

/// Reads a track until it ends or nobody listens.
async fn read(lane: Lane, track: Arc<dyn TrackRemote>, notes: mpsc::Sender<Note>, dropped: Arc<AtomicU64>) {
    while let Some(event) = track.poll().await {
        let note = match event {
            TrackRemoteEvent::OnRtpPacket(packet) => Note::Packet(lane, packet),
            TrackRemoteEvent::OnRtcpPacket(packets) => {
                let mut reports = packets.iter().filter_map(|packet| packet.as_any().downcast_ref::<SenderReport>());
                let Some(report) = reports.next_back() else { continue };
                Note::Report(lane, report.ntp_time, report.rtp_time)
            }
            TrackRemoteEvent::OnEnded => return,
            _ => continue,
        };
        match notes.try_send(note) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => {
                dropped.fetch_add(1, Ordering::Relaxed);
            }
            Err(mpsc::error::TrySendError::Closed(_)) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_addresses_are_told_beside_those_of_the_network() {
        let sdp = "v=0\r\na=candidate:1 1 udp 2130706431 10.0.0.7 40000 typ host\r\na=candidate:2 1 udp 1 127.0.0.1 40001 typ host\r\n";
        let told = advertised(sdp, &["192.0.2.9".parse().unwrap()]);
        let lines: Vec<_> = told.lines().collect();
        assert_eq!(lines.len(), 4);
        assert_eq!(lines[2], "a=candidate:1 1 udp 2130706431 192.0.2.9 40000 typ host");
        assert_eq!(advertised(sdp, &[]), sdp);
    }
}
