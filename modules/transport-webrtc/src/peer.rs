//! One peer connection of the `webrtc` crate, set up the way links need it.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use peerstream_sdk::protocol::signal::{self, Candidate, Description, Signal};
use peerstream_sdk::traits::transport::{IceServers, Lane};
use rtc::ice::mdns::MulticastDnsMode;
use rtc::peer_connection::configuration::setting_engine::SctpMaxMessageSize;
use rtc::peer_connection::transport::RTCDtlsRole;
use tokio::sync::mpsc;
use webrtc::data_channel::{DataChannel, RTCDataChannelInit};
use webrtc::error::{Error, Result};
use webrtc::peer_connection::{
    PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCConfigurationBuilder, RTCIceCandidateInit,
    RTCIceGatheringState, RTCIceServer, RTCPeerConnectionIceEvent, RTCPeerConnectionState, RTCSdpType,
    RTCSessionDescription, SettingEngine, SettingEngineBuilder,
};

use crate::address;
use crate::{Config, Shared};

/// The ids of the two channels; both ends know them, so no message has to open them.
const CONTROL_CHANNEL: u16 = 0;
const PIECES_CHANNEL: u16 = 1;
/// More STUN servers than this are not asked.
const SERVERS_MAX: usize = 4;
/// A pair of addresses is tried this often before it is given up.
const CHECKS_MAX: u16 = 200;
/// How long better pairs are waited for before one behind a NAT, or one found by the peer, is used.
const REFLEXIVE_WAIT: Duration = Duration::from_millis(100);
/// How long better pairs are waited for before a relayed one is used.
const RELAY_WAIT: Duration = Duration::from_millis(500);

/// What the connection tells the session. There are a few per link: as many as local candidates, states and lanes.
#[derive(Debug)]
pub(crate) enum Note {
    /// A local candidate was found.
    Candidate(Candidate),
    /// All local candidates were found.
    Gathered,
    /// A lane opened.
    Open,
    /// A lane ended.
    Ended,
    /// The peer sent a frame above the limit.
    Oversized,
    /// The connection is beyond repair.
    Broken(RTCPeerConnectionState),
}

/// The connection and its two channels.
pub(crate) struct Peer {
    connection: Arc<dyn PeerConnection>,
    pub(crate) control: Arc<dyn DataChannel>,
    pub(crate) pieces: Arc<dyn DataChannel>,
}

impl Peer {
    /// Binds sockets and creates both channels. The connection must be ended with [`Self::close`].
    pub(crate) async fn build(
        shared: &Shared,
        servers: &IceServers,
        notes: mpsc::UnboundedSender<Note>,
    ) -> Result<Self> {
        let configuration = RTCConfigurationBuilder::default().with_ice_servers(stun_servers(servers)).build();
        let connection = PeerConnectionBuilder::new()
            .with_configuration(configuration)
            .with_setting_engine(settings(&shared.config))
            .with_runtime(Arc::clone(&shared.runtime) as _)
            .with_handler(Arc::new(Handler { notes }))
            .with_udp_addrs(address::bind_addresses(&shared.config, &shared.ports))
            .build()
            .await?;
        let connection: Arc<dyn PeerConnection> = Arc::new(connection);
        match create_lanes(&*connection).await {
            Ok((control, pieces)) => Ok(Self { connection, control, pieces }),
            Err(error) => {
                let _ = connection.close().await;
                Err(error)
            }
        }
    }

    /// Makes the local description. Candidates follow as notes.
    pub(crate) async fn describe(&self, side: signal::Side) -> Result<Description> {
        let description = match side {
            signal::Side::Offer => self.connection.create_offer(None).await?,
            signal::Side::Answer => self.connection.create_answer(None).await?,
        };
        let signal = Signal::from_sdp(side, &description.sdp);
        self.connection.set_local_description(description).await?;
        match signal {
            Ok(Signal::Description(mut description)) => {
                // The same come as notes, whatever the stack put into its text.
                description.retain(|_| false);
                Ok(description)
            }
            _ => Err(Error::Other("the local description is not one of a data channel".to_owned())),
        }
    }

    /// Applies the description of the other side.
    pub(crate) async fn accept(&self, description: &Description) -> Result<()> {
        let sdp = description.to_sdp();
        let description = match description.side() {
            signal::Side::Offer => RTCSessionDescription::offer(sdp)?,
            signal::Side::Answer => RTCSessionDescription::answer(sdp)?,
        };
        debug_assert!(matches!(description.sdp_type, RTCSdpType::Offer | RTCSdpType::Answer));
        self.connection.set_remote_description(description).await
    }

    /// Tries an address of the other side.
    pub(crate) async fn add(&self, candidate: &Candidate) -> Result<()> {
        let init = RTCIceCandidateInit {
            candidate: candidate.to_line(),
            sdp_mid: Some("0".to_owned()),
            sdp_mline_index: Some(0),
            ..RTCIceCandidateInit::default()
        };
        self.connection.add_ice_candidate(init).await
    }

    /// Makes the driver flush what it produced while handling events; during set-up it would sleep up to 200 ms on it.
    pub(crate) async fn poke(&self) {
        // Any setter of a channel does. The threshold is not used.
        let _ = self.control.set_buffered_amount_low_threshold(0).await;
    }

    /// Hands a frame to the stack.
    pub(crate) async fn send(&self, lane: Lane, frame: Bytes) -> Result<()> {
        let frame = frame.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..]));
        self.channel(lane).send(frame).await
    }

    /// Returns the bytes of a lane that the peer has not acknowledged yet.
    pub(crate) async fn outstanding(&self, lane: Lane) -> usize {
        self.channel(lane).outstanding_bytes().await.unwrap_or(0)
    }

    /// Says goodbye to the peer, ends the driver and frees the sockets.
    pub(crate) async fn close(&self) {
        let _ = self.connection.close().await;
    }

    fn channel(&self, lane: Lane) -> &Arc<dyn DataChannel> {
        match lane {
            Lane::Control => &self.control,
            Lane::Pieces => &self.pieces,
        }
    }
}

async fn create_lanes(connection: &dyn PeerConnection) -> Result<(Arc<dyn DataChannel>, Arc<dyn DataChannel>)> {
    let lane = |id, ordered| RTCDataChannelInit { ordered, negotiated: Some(id), ..RTCDataChannelInit::default() };
    let control = connection.create_data_channel("control", Some(lane(CONTROL_CHANNEL, true))).await?;
    let pieces = connection.create_data_channel("pieces", Some(lane(PIECES_CHANNEL, false))).await?;
    Ok((control, pieces))
}

fn settings(config: &Config) -> SettingEngine {
    let half_silence = config.silence_timeout() / 2;
    SettingEngineBuilder::new()
        .with_multicast_dns_mode(MulticastDnsMode::Disabled)
        .with_include_loopback_candidate(config.include_loopback)
        .with_answering_dtls_role(RTCDtlsRole::Client)
        .with_ice_connection_attempts(Some(config.ice_check()), Some(CHECKS_MAX))
        .with_ice_timeouts(Some(half_silence), Some(half_silence), Some(Duration::from_secs(1)))
        .with_srflx_acceptance_min_wait(Some(REFLEXIVE_WAIT))
        .with_prflx_acceptance_min_wait(Some(REFLEXIVE_WAIT))
        .with_relay_acceptance_min_wait(Some(RELAY_WAIT))
        .with_sctp_max_message_size(SctpMaxMessageSize::Bounded(signal::MESSAGE_BYTES_MAX as u32))
        .with_sctp_max_receive_buffer_size(config.window_bytes)
        .build()
}

fn stun_servers(servers: &IceServers) -> Vec<RTCIceServer> {
    let urls: Vec<String> =
        servers.urls.iter().filter(|url| url.starts_with("stun:")).take(SERVERS_MAX).cloned().collect();
    if urls.is_empty() { Vec::new() } else { vec![RTCIceServer { urls, ..RTCIceServer::default() }] }
}

/// Turns callbacks into notes.
struct Handler {
    notes: mpsc::UnboundedSender<Note>,
}

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_candidate(&self, event: RTCPeerConnectionIceEvent) {
        let candidate = event.candidate.to_json().ok().and_then(|json| Candidate::from_line(&json.candidate).ok());
        if let Some(candidate) = candidate {
            let _ = self.notes.send(Note::Candidate(candidate));
        }
    }

    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        if state == RTCIceGatheringState::Complete {
            let _ = self.notes.send(Note::Gathered);
        }
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        if matches!(state, RTCPeerConnectionState::Failed | RTCPeerConnectionState::Closed) {
            let _ = self.notes.send(Note::Broken(state));
        }
    }
}
