//! The listener: who connects, what is answered.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use peerstream_sdk::traits::Secret;
use peerstream_sdk::traits::ingest::{OffAir, OnAir, Publication, Stage};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::{debug, info, warn};

use crate::body::{Body, Framing};
use crate::config::Config;
use crate::head::{HEAD_BYTES_MAX, Head};
use crate::metadata::Update;
use crate::pace::Pace;
use crate::source::{End, Source};

/// Connections at a time; more are closed at once.
const CONNECTIONS_MAX: usize = 32;
/// Of one address: whoever guesses passwords must not keep others out.
const CONNECTIONS_PER_ADDRESS_MAX: usize = 8;
/// The head of a request must be there within this time.
const HEAD_WAIT: Duration = Duration::from_secs(10);
/// A wrong password is answered after this time.
const DENIED_WAIT: Duration = Duration::from_secs(1);
/// An answer is waited for by a client for no longer than this.
const ANSWER_WAIT: Duration = Duration::from_secs(2);
/// What a client still sends when it was refused is read up to this, in bytes: else it would not read the answer.
const REFUSED_BYTES_MAX: u64 = 256 * 1024;
/// Names of clients and streams are no longer for people, in bytes.
const NAME_BYTES_MAX: usize = 128;
/// After so long without a free place for connections a new one is tried to be accepted.
const ACCEPT_WAIT: Duration = Duration::from_millis(100);

/// What all connections share.
pub struct Server {
    /// What clients may do.
    pub config: Config,
    /// What they must know.
    pub password: Secret,
    /// Where sources ask to go on air.
    pub stage: Stage,
    /// Titles that were told beside the stream.
    pub titles: watch::Sender<String>,
    /// Connections by address.
    pub connections: Mutex<BTreeMap<IpAddr, usize>>,
}

/// A place of a connection; free again when it is dropped.
struct Place {
    server: Arc<Server>,
    address: IpAddr,
}

impl Server {
    /// Takes connections for ever.
    pub async fn serve(self: Arc<Self>, listener: TcpListener) -> io::Error {
        let (mut running, mut refused) = (JoinSet::new(), 0_u64);
        loop {
            while running.try_join_next().is_some() {}
            let (stream, from) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    debug!(%error, "a source client could not be accepted");
                    sleep(ACCEPT_WAIT).await;
                    continue;
                }
            };
            let Some(place) = self.clone().place(from.ip()) else {
                refused += 1;
                if refused.is_power_of_two() {
                    warn!(%from, refused, "too many connections of source clients");
                }
                continue;
            };
            running.spawn(async move {
                if let Err(error) = place.server.clone().attend(stream, from).await {
                    debug!(%from, %error, "connection of a source client");
                }
                drop(place);
            });
        }
    }

    fn place(self: Arc<Self>, address: IpAddr) -> Option<Place> {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        let (all, own) = (connections.values().sum::<usize>(), connections.get(&address).copied().unwrap_or(0));
        if all >= CONNECTIONS_MAX || own >= CONNECTIONS_PER_ADDRESS_MAX {
            return None;
        }
        connections.insert(address, own + 1);
        drop(connections);
        Some(Place { server: self, address })
    }

    async fn attend(self: Arc<Self>, mut stream: TcpStream, from: SocketAddr) -> io::Result<()> {
        let mut pending = BytesMut::new();
        let head = match timeout(HEAD_WAIT, read_head(&mut stream, &mut pending)).await {
            Ok(Ok(Some(head))) => head,
            Ok(Ok(None)) | Err(_) => return Ok(()),
            Ok(Err(Unread::Refused(why))) => {
                debug!(%from, why, "not a source client");
                return refuse(stream, Answer::new("400 Bad Request", why)).await;
            }
            Ok(Err(Unread::Broken(error))) => return Err(error),
        };
        match (head.method.as_str(), head.path.as_str()) {
            ("PUT" | "SOURCE", _) => self.source(stream, pending, &head, from).await,
            ("GET", "/admin/metadata" | "/admin/metadata.xsl") => {
                let answer = self.metadata(&head, from).await;
                refuse(stream, answer).await
            }
            // libshout asks before it sends.
            ("OPTIONS", _) => refuse(stream, Answer::new("204 No Content", "")).await,
            ("GET" | "HEAD", _) => {
                let text = "this is where source clients send to; nothing is to be heard here";
                refuse(stream, Answer::new("404 Not Found", text)).await
            }
            _ => refuse(stream, Answer::new("405 Method Not Allowed", "PUT or SOURCE expected")).await,
        }
    }

    /// Whether the client knows user and password; an answer for it if not. One that guesses waits for it, one that asks whether it has to
    /// say them at all does not.
    async fn denied(&self, head: &Head, from: SocketAddr) -> Option<Answer> {
        let known = |(user, password): (String, String)| {
            // The user is no secret: it is the same everywhere.
            (user == self.config.user) & self.password.is(password.as_bytes())
        };
        if head.credentials().is_some_and(known) {
            return None;
        }
        if !head.header("authorization").is_empty() {
            warn!(%from, "a source client with a wrong user or password");
            sleep(DENIED_WAIT).await;
        }
        Some(Answer::new("401 Unauthorized", "wrong user or password"))
    }

    async fn metadata(&self, head: &Head, from: SocketAddr) -> Answer {
        if let Some(answer) = self.denied(head, from).await {
            return answer;
        }
        match Update::read(&head.query) {
            Some(update) if update.mount.is_empty() || update.mount == self.config.mount => {
                self.titles.send_replace(update.title);
                Answer::new("200 OK", XML_DONE)
            }
            Some(_) => Answer::new("404 Not Found", "there is no such mount point"),
            None => Answer::new("400 Bad Request", "mode=updinfo expected"),
        }
    }

    async fn source(&self, stream: TcpStream, pending: BytesMut, head: &Head, from: SocketAddr) -> io::Result<()> {
        let name = publication(head, from);
        let (framing, air) = match self.admit(head, &name, from).await {
            Ok(admitted) => admitted,
            Err(answer) => return refuse(stream, answer).await,
        };
        let titles = self.titles.subscribe();
        let stream = welcome(stream, head, &framing).await?;
        let mut body = Body::new(stream, pending, framing, self.config.idle());
        let he = head.header("content-type").starts_with("audio/aacp");
        let source = Source { config: &self.config, air, titles, he, pace: Pace::begin() };
        let end = source.run(&mut body, &shown(head.header("ice-name"))).await;
        farewell(body, &name, end).await
    }

    /// Lets a source on air, or says why not.
    async fn admit(&self, head: &Head, name: &str, from: SocketAddr) -> Result<(Framing, OnAir), Answer> {
        if let Some(answer) = self.denied(head, from).await {
            return Err(answer);
        }
        if head.path != self.config.mount {
            let text = format!("there is no mount point {}, use {}", shown(&head.path), self.config.mount);
            return Err(Answer::new("404 Not Found", text));
        }
        let framing = Framing::of(head).map_err(|why| Answer::new("400 Bad Request", why))?;
        let publication = Publication { name: name.into(), takeover: self.config.takeover };
        match self.stage.go_on_air(publication) {
            Ok(air) => Ok((framing, air)),
            Err(OffAir::Closed) => Err(Answer::new("503 Service Unavailable", OffAir::Closed.to_string())),
            Err(off) => {
                info!(source = name, why = %off, "a source client was refused");
                Err(Answer::new("403 Mountpoint in use", format!("Mountpoint in use: {off}")))
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut connections = self.server.connections.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = connections.get_mut(&self.address) {
            *own -= 1;
            if *own == 0 {
                connections.remove(&self.address);
            }
        }
    }
}

/// What clients of Icecast read after an update.
const XML_DONE: &str = "<?xml version=\"1.0\"?>\n<iceresponse><message>Metadata update successful</message><return>1</return></iceresponse>\n";

/// An answer that ends the connection.
struct Answer {
    status: &'static str,
    text: String,
}

impl Answer {
    fn new(status: &'static str, text: impl Into<String>) -> Self {
        Self { status, text: text.into() }
    }

    fn bytes(&self) -> Vec<u8> {
        let Self { status, text } = self;
        if status.starts_with("204") {
            let allowed = "Allow: PUT, SOURCE, GET, OPTIONS";
            return format!("HTTP/1.1 {status}\r\nServer: PeerStream\r\nConnection: close\r\n{allowed}\r\n\r\n")
                .into_bytes();
        }
        let kind = if text.starts_with("<?xml") { "text/xml" } else { "text/plain" };
        let asked = if status.starts_with("401") { "WWW-Authenticate: Basic realm=\"PeerStream\"\r\n" } else { "" };
        let len = text.len() + 1;
        format!(
            "HTTP/1.1 {status}\r\nServer: PeerStream\r\nConnection: close\r\n{asked}Content-Type: {kind}; charset=utf-8\r\nContent-Length: {len}\r\n\r\n{text}\n"
        )
        .into_bytes()
    }
}

/// Why there is no head.
enum Unread {
    Broken(io::Error),
    Refused(&'static str),
}

/// Reads a head; what comes behind it stays in `pending`. None if the client goes before it has said anything.
async fn read_head(stream: &mut TcpStream, pending: &mut BytesMut) -> Result<Option<Head>, Unread> {
    loop {
        if let Some((head, len)) = Head::read(pending).map_err(Unread::Refused)? {
            let _ = pending.split_to(len);
            return Ok(Some(head));
        }
        pending.reserve(HEAD_BYTES_MAX);
        if stream.read_buf(pending).await.map_err(Unread::Broken)? == 0 {
            return Ok(None);
        }
    }
}

/// Answers and waits a little, so that the client reads it even while it sends.
async fn refuse(mut stream: TcpStream, answer: Answer) -> io::Result<()> {
    let answered = async {
        stream.write_all(&answer.bytes()).await?;
        stream.shutdown().await?;
        tokio::io::copy(&mut (&mut stream).take(REFUSED_BYTES_MAX), &mut tokio::io::sink()).await
    };
    match timeout(ANSWER_WAIT, answered).await {
        Ok(result) => result.map(|_| ()),
        Err(_) => Ok(()),
    }
}

/// Asks for the body.
async fn welcome(mut stream: TcpStream, head: &Head, framing: &Framing) -> io::Result<TcpStream> {
    let asked = head.header("expect").eq_ignore_ascii_case("100-continue");
    let answer: &[u8] = match (asked, framing) {
        (true, _) => b"HTTP/1.1 100 Continue\r\n\r\n",
        (false, Framing::UntilClose) => b"HTTP/1.0 200 OK\r\n\r\n",
        // An ordinary client, which is answered at the end.
        (false, _) => b"",
    };
    stream.write_all(answer).await?;
    Ok(stream)
}

/// Tells the client and the streamer why a source ended.
async fn farewell(body: Body, name: &str, end: End) -> io::Result<()> {
    let (received, ends) = (body.received(), body.ends());
    let answer = match end {
        End::Finished => {
            info!(source = name, received, "a source has ended");
            if ends { Some(Answer::new("200 OK", "thank you")) } else { None }
        }
        End::Broken(error) => {
            info!(source = name, received, %error, "the connection of a source broke");
            None
        }
        End::Idle => {
            warn!(source = name, received, "a source sends nothing any more and is let go");
            Some(Answer::new("408 Request Timeout", "nothing came for too long"))
        }
        End::OffAir(off) => {
            info!(source = name, received, why = %off, "a source is let go");
            Some(Answer::new("409 Conflict", off.to_string()))
        }
        End::Unusable(why) => {
            warn!(source = name, received, why, "a source sends what cannot be used");
            Some(Answer::new("415 Unsupported Media Type", why))
        }
    };
    match answer {
        Some(answer) => refuse(body.into_stream(), answer).await,
        None => Ok(()),
    }
}

/// Such as `icecast from 192.0.2.7 (butt 0.1.40)`.
fn publication(head: &Head, from: SocketAddr) -> String {
    let address = from.ip().to_canonical();
    match shown(head.header("user-agent")) {
        client if client.is_empty() => format!("icecast from {address}"),
        client => format!("icecast from {address} ({client})"),
    }
}

/// A client's text as people see it: bounded, without control characters.
fn shown(text: &str) -> String {
    let mut shown: String = text.chars().filter(|char| !char.is_control()).collect();
    let end = (0..=NAME_BYTES_MAX.min(shown.len())).rev().find(|&at| shown.is_char_boundary(at));
    shown.truncate(end.unwrap_or(0));
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_for_people_are_short_and_plain() {
        assert_eq!(shown("Radio\x1b[2J X"), "Radio[2J X");
        assert_eq!(shown(&"ä".repeat(200)).len(), NAME_BYTES_MAX);
    }
}
