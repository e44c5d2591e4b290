//! One connection of an encoder, seen from the server: bytes in, events and bytes out, no input or output of its own.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use crate::amf::{self, Value};
use crate::chunk::{self, Message};
use crate::handshake::Handshake;

/// What the other side did that ends the connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Fault(String);

impl Fault {
    /// A fault, in words for the streamer.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// What a session tells.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The encoder wants to publish. It waits for [`Session::accept`] or [`Session::refuse`].
    Publish {
        /// What it has as its stream key.
        key: String,
        /// What it says it is, such as `FMLE/3.0 (compatible; Lavf59.27.100)`.
        tool: String,
    },
    /// A tag of pictures.
    Video(u32, Bytes),
    /// A tag of sound.
    Audio(u32, Bytes),
    /// What the encoder says about its stream.
    Metadata(Value),
    /// The encoder has ended its stream in good order.
    End,
}

/// The size of our chunks, in bytes.
const CHUNK_BYTES: u32 = 4096;
/// The other side tells us after so many bytes that they have come.
const WINDOW_BYTES: u32 = 2_500_000;
/// Commands and metadata are no larger, in bytes.
const COMMAND_BYTES_MAX: usize = 64 * 1024;
/// The one stream that an encoder gets.
const STREAM: u32 = 1;

/// Channels of the messages that we send.
const CONTROL_CHANNEL: u8 = 2;
const COMMAND_CHANNEL: u8 = 3;

const SET_CHUNK_BYTES: u8 = 1;
const ABORT: u8 = 2;
const ACKNOWLEDGED: u8 = 3;
const USER_CONTROL: u8 = 4;
const WINDOW: u8 = 5;
const BANDWIDTH: u8 = 6;
const AUDIO: u8 = 8;
const VIDEO: u8 = 9;
const DATA_3: u8 = 15;
const COMMAND_3: u8 = 17;
const DATA: u8 = 18;
const COMMAND: u8 = 20;
const AGGREGATE: u8 = 22;

const STREAM_BEGIN: u16 = 0;
const PING: u16 = 6;
const PONG: u16 = 7;

/// Codecs with four letters that may come.
const CODECS: [&str; 6] = ["avc1", "hvc1", "av01", "mp4a", "Opus", "ac-3"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It has not said which application it wants.
    Greeted,
    Connected,
    /// It has asked to publish and waits for an answer.
    Asking,
    Publishing,
    /// Nothing that comes counts any more.
    Over,
}

/// A connection of an encoder.
#[derive(Debug)]
pub struct Session {
    app: String,
    handshake: Option<Handshake>,
    state: State,
    tool: String,
    reader: chunk::Reader,
    /// The other side wants to hear after so many bytes that they have come; 0 if it has not said so.
    window: u32,
    received: u64,
    acknowledged: u64,
    out: BytesMut,
    events: VecDeque<Event>,
    dropped: u64,
}

impl Session {
    /// A connection to this application; `chance` is what the handshake sends.
    pub fn new(app: impl Into<String>, chance: [u8; Handshake::CHANCE_LEN]) -> Self {
        Self {
            app: app.into(),
            handshake: Some(Handshake::new(chance)),
            state: State::Greeted,
            tool: String::new(),
            reader: chunk::Reader::default(),
            window: 0,
            received: 0,
            acknowledged: 0,
            out: BytesMut::new(),
            events: VecDeque::new(),
            dropped: 0,
        }
    }

    /// Takes what has come, in pieces of any size. After a fault what is to be sent should still be sent.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.received += bytes.len() as u64;
        let rest = match &mut self.handshake {
            Some(handshake) => {
                let Some(rest) = handshake.push(bytes, &mut self.out)? else { return Ok(()) };
                self.handshake = None;
                rest
            }
            None => Bytes::copy_from_slice(bytes),
        };
        self.reader.push(&rest);
        self.read_on()
    }

    /// The next event.
    pub fn poll(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// What is to be sent.
    pub fn output(&mut self) -> Bytes {
        self.out.split().freeze()
    }

    /// Messages that were passed over: unknown, or pictures and sound without a publication.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// The encoder may publish. Then what it has sent behind its question is read.
    pub fn accept(&mut self) -> Result<(), Fault> {
        if self.state == State::Asking {
            self.state = State::Publishing;
            self.reader.take_media();
            self.user_control(STREAM_BEGIN, &STREAM.to_be_bytes());
            self.status("status", "NetStream.Publish.Start", "on air");
        }
        self.read_on()
    }

    /// The encoder may not publish, or not any more; it shows the description to its user.
    pub fn refuse(&mut self, description: &str) {
        let before = std::mem::replace(&mut self.state, State::Over);
        if self.handshake.is_none() && before != State::Over {
            self.status("error", "NetStream.Publish.BadName", description);
        }
    }

    /// Reads what is there, up to a question that must be answered first.
    fn read_on(&mut self) -> Result<(), Fault> {
        while self.state != State::Asking
            && let Some(message) = self.reader.poll()?
        {
            self.take(message)?;
        }
        self.acknowledge();
        Ok(())
    }

    /// Tells the encoder how many bytes have come, as often as it wants to hear it.
    fn acknowledge(&mut self) {
        if self.window > 0 && self.received - self.acknowledged >= u64::from(self.window / 2) {
            self.acknowledged = self.received;
            // Begins again after 4 GB, as all do.
            self.send(CONTROL_CHANNEL, ACKNOWLEDGED, 0, &(self.received as u32).to_be_bytes());
        }
    }

    fn take(&mut self, message: Message) -> Result<(), Fault> {
        let Message { kind, time_ms, payload, .. } = message;
        match kind {
            SET_CHUNK_BYTES => self.reader.set_chunk_bytes(word(&payload)?)?,
            ABORT => self.reader.abort(word(&payload)?),
            WINDOW => self.window = word(&payload)?,
            USER_CONTROL => self.user_controlled(&payload),
            ACKNOWLEDGED | BANDWIDTH => {}
            AUDIO | VIDEO if self.state == State::Publishing => {
                let event = if kind == AUDIO { Event::Audio } else { Event::Video };
                self.events.push_back(event(time_ms, payload));
            }
            COMMAND | COMMAND_3 | DATA | DATA_3 if payload.len() > COMMAND_BYTES_MAX => {
                let len = payload.len();
                return Err(Fault::new(format!("a command of {len} bytes, at most {COMMAND_BYTES_MAX} expected")));
            }
            COMMAND => self.command(&payload)?,
            // One byte more, and then the same.
            COMMAND_3 => self.command(payload.get(1..).unwrap_or_default())?,
            DATA => self.data(&payload),
            DATA_3 => self.data(payload.get(1..).unwrap_or_default()),
            AGGREGATE => return Err(Fault::new("aggregated messages are not taken")),
            _ => self.dropped += 1,
        }
        Ok(())
    }

    fn user_controlled(&mut self, payload: &[u8]) {
        if let Some((kind, rest)) = payload.split_first_chunk()
            && u16::from_be_bytes(*kind) == PING
        {
            let nonce = rest.get(..4).unwrap_or_default().to_vec();
            self.user_control(PONG, &nonce);
        }
    }

    fn data(&mut self, payload: &[u8]) {
        let mut values = amf::read_all(payload);
        if values.first().and_then(Value::text) == Some("@setDataFrame") {
            values.remove(0);
        }
        match &mut values[..] {
            [Value::Text(name), value, ..] if name == "onMetaData" && self.state == State::Publishing => {
                self.events.push_back(Event::Metadata(std::mem::replace(value, Value::Null)));
            }
            _ => self.dropped += 1,
        }
    }

    fn command(&mut self, payload: &[u8]) -> Result<(), Fault> {
        let values = amf::read_all(payload);
        let name = values.first().and_then(Value::text).unwrap_or_default();
        let transaction = values.get(1).and_then(Value::number).unwrap_or(0.0);
        let argument = |index: usize| values.get(index).and_then(Value::text).unwrap_or_default();
        match (name, self.state) {
            ("connect", State::Greeted) => self.connect(transaction, values.get(2).unwrap_or(&Value::Null)),
            ("createStream", State::Connected) => {
                self.reply("_result", transaction, [Value::Null, Value::Number(STREAM.into())]);
                Ok(())
            }
            ("publish", State::Connected) => {
                self.state = State::Asking;
                self.events.push_back(Event::Publish { key: argument(3).into(), tool: self.tool.clone() });
                Ok(())
            }
            ("play" | "play2", _) => {
                self.status("error", "NetStream.Play.Failed", "this takes streams; viewers open the page in a browser");
                self.state = State::Over;
                Err(Fault::new("a player, not an encoder, has connected"))
            }
            ("FCUnpublish" | "deleteStream" | "closeStream", State::Publishing) => {
                self.state = State::Over;
                self.events.push_back(Event::End);
                Ok(())
            }
            ("connect" | "publish", _) => Err(Fault::new(format!("'{name}' out of order"))),
            _ => Ok(()),
        }
    }

    fn connect(&mut self, transaction: f64, wish: &Value) -> Result<(), Fault> {
        // Answers are longer than the chunks that the other side expects until it is told.
        self.send(CONTROL_CHANNEL, SET_CHUNK_BYTES, 0, &CHUNK_BYTES.to_be_bytes());
        let text = |name: &str| wish.get(name).and_then(Value::text).unwrap_or_default();
        let app = text("app").trim_matches('/').split(['?', '/']).next().unwrap_or_default();
        if app != self.app {
            let (found, expected) = (printable(app), &self.app);
            let problem = format!("no application '{found}' here: the server's address ends with /{expected}");
            let info = information("error", "NetConnection.Connect.Rejected", &problem);
            self.reply("_error", transaction, [Value::Null, info]);
            self.state = State::Over;
            return Err(Fault::new(problem));
        }
        self.tool = printable(text("flashVer"));
        self.state = State::Connected;
        self.send(CONTROL_CHANNEL, WINDOW, 0, &WINDOW_BYTES.to_be_bytes());
        // 2: the limit may be changed later.
        self.send(CONTROL_CHANNEL, BANDWIDTH, 0, &[&WINDOW_BYTES.to_be_bytes()[..], &[2]].concat());
        let server = object([("fmsVer", "FMS/3,0,1,123".into()), ("capabilities", Value::Number(31.0))]);
        let mut info = information("status", "NetConnection.Connect.Success", "connected");
        if let Value::Object(fields) = &mut info {
            let codecs = CODECS.map(|codec| codec.into()).to_vec();
            fields.push(("objectEncoding".into(), Value::Number(0.0)));
            fields.push(("fourCcList".into(), Value::List(codecs)));
        }
        self.reply("_result", transaction, [server, info]);
        Ok(())
    }

    fn status(&mut self, level: &str, code: &str, description: &str) {
        let values = ["onStatus".into(), Value::Number(0.0), Value::Null, information(level, code, description)];
        self.send(COMMAND_CHANNEL, COMMAND, STREAM, &written(&values));
    }

    fn reply(&mut self, name: &str, transaction: f64, [first, second]: [Value; 2]) {
        let values = [name.into(), Value::Number(transaction), first, second];
        self.send(COMMAND_CHANNEL, COMMAND, 0, &written(&values));
    }

    fn user_control(&mut self, kind: u16, rest: &[u8]) {
        self.send(CONTROL_CHANNEL, USER_CONTROL, 0, &[&kind.to_be_bytes()[..], rest].concat());
    }

    fn send(&mut self, channel: u8, kind: u8, stream: u32, payload: &[u8]) {
        let message = Message { kind, time_ms: 0, stream, payload: Bytes::copy_from_slice(payload) };
        let mut bytes = Vec::new();
        chunk::write(&mut bytes, channel, &message, CHUNK_BYTES as usize);
        self.out.extend_from_slice(&bytes);
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

fn object<const N: usize>(fields: [(&str, Value); N]) -> Value {
    Value::Object(fields.map(|(name, value)| (name.to_owned(), value)).to_vec())
}

fn information(level: &str, code: &str, description: &str) -> Value {
    object([("level", level.into()), ("code", code.into()), ("description", description.into())])
}

fn written(values: &[Value]) -> Vec<u8> {
    let mut bytes = Vec::new();
    values.iter().for_each(|value| amf::write(&mut bytes, value));
    bytes
}

fn word(payload: &[u8]) -> Result<u32, Fault> {
    let word = payload.first_chunk().ok_or_else(|| Fault::new("a message of control is cut off"))?;
    Ok(u32::from_be_bytes(*word))
}

/// A text of the other side, fit for a line of a log.
pub fn printable(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A session after its handshake.
    fn greeted() -> Session {
        let mut session = Session::new("live", [0; Handshake::CHANCE_LEN]);
        session.push(&[&[3][..], &[0; 3072]].concat()).unwrap();
        assert_eq!(session.output().len(), 3073);
        session
    }

    fn message(kind: u8, time_ms: u32, payload: &[u8]) -> Vec<u8> {
        let message = Message { kind, time_ms, stream: 1, payload: Bytes::copy_from_slice(payload) };
        let mut bytes = Vec::new();
        chunk::write(&mut bytes, 4, &message, 128);
        bytes
    }

    fn command(values: &[Value]) -> Vec<u8> {
        message(COMMAND, 0, &written(values))
    }

    fn connect(app: &str) -> Vec<u8> {
        let wish = object([("app", app.into()), ("flashVer", "FMLE/3.0\n(Lavf)".into())]);
        command(&["connect".into(), Value::Number(1.0), wish])
    }

    fn publish(key: &str) -> Vec<u8> {
        command(&["publish".into(), Value::Number(3.0), Value::Null, key.into(), "live".into()])
    }

    /// The kinds of the messages that are to be sent, and the texts in them.
    fn sent(session: &mut Session) -> (Vec<u8>, String) {
        heard(session, CHUNK_BYTES)
    }

    /// The same for an encoder that expects chunks of this size at first.
    fn heard(session: &mut Session, chunk_bytes: u32) -> (Vec<u8>, String) {
        let mut reader = chunk::Reader::default();
        reader.set_chunk_bytes(chunk_bytes).unwrap();
        reader.push(&session.output());
        let (mut kinds, mut texts) = (Vec::new(), String::new());
        while let Some(message) = reader.poll().unwrap() {
            if message.kind == SET_CHUNK_BYTES {
                reader.set_chunk_bytes(word(&message.payload).unwrap()).unwrap();
            }
            kinds.push(message.kind);
            texts += &String::from_utf8_lossy(&message.payload);
        }
        (kinds, texts)
    }

    #[test]
    fn an_encoder_connects_publishes_and_sends() {
        let mut session = greeted();
        session.push(&connect("live")).unwrap();
        let (kinds, texts) = heard(&mut session, 128);
        assert_eq!(kinds, [SET_CHUNK_BYTES, WINDOW, BANDWIDTH, COMMAND]);
        assert!(texts.contains("NetConnection.Connect.Success"), "{texts}");
        session.push(&command(&["createStream".into(), Value::Number(2.0), Value::Null])).unwrap();
        assert!(sent(&mut session).1.contains("_result"));
        // What comes right behind the question is read after the answer.
        session.push(&[publish("secret"), message(VIDEO, 5, b"picture")].concat()).unwrap();
        let asked = Event::Publish { key: "secret".into(), tool: "FMLE/3.0(Lavf)".into() };
        assert_eq!((session.poll(), session.poll()), (Some(asked), None));
        session.accept().unwrap();
        assert!(sent(&mut session).1.contains("NetStream.Publish.Start"));
        assert_eq!(session.poll(), Some(Event::Video(5, Bytes::from_static(b"picture"))));
        let facts = object([("encoder", "obs".into())]);
        session
            .push(&message(DATA, 0, &written(&["@setDataFrame".into(), "onMetaData".into(), facts.clone()])))
            .unwrap();
        assert_eq!(session.poll(), Some(Event::Metadata(facts)));
        session.push(&command(&["FCUnpublish".into(), Value::Number(4.0), Value::Null, "secret".into()])).unwrap();
        assert_eq!(session.poll(), Some(Event::End));
    }

    #[test]
    fn an_encoder_that_is_refused_is_told_why() {
        let mut session = greeted();
        session.push(&[connect("live"), publish("guess")].concat()).unwrap();
        session.refuse("wrong stream key");
        let (_, texts) = heard(&mut session, 128);
        assert!(texts.contains("NetStream.Publish.BadName") && texts.contains("wrong stream key"), "{texts}");
        session.push(&message(VIDEO, 5, b"picture")).unwrap();
        assert_eq!(session.dropped(), 1);
    }

    #[test]
    fn another_application_and_players_are_told_what_is_expected() {
        let mut session = greeted();
        let fault = session.push(&connect("other")).unwrap_err().to_string();
        assert!(fault.contains("'other'") && fault.contains("/live"), "{fault}");
        assert!(heard(&mut session, 128).1.contains("NetConnection.Connect.Rejected"));
        let mut session = greeted();
        let play = command(&["play".into(), Value::Number(3.0), Value::Null, "x".into()]);
        assert!(session.push(&[connect("live/"), play].concat()).is_err());
        assert!(heard(&mut session, 128).1.contains("NetStream.Play.Failed"));
    }

    #[test]
    fn pings_are_answered_and_bytes_acknowledged() {
        let mut session = greeted();
        session.push(&message(USER_CONTROL, 0, &[0, 6, 1, 2, 3, 4])).unwrap();
        let answer = session.output();
        assert_eq!(answer[12..], [0, 7, 1, 2, 3, 4]);
        session.push(&message(WINDOW, 0, &4000u32.to_be_bytes())).unwrap();
        session.output();
        let kinds: Vec<u8> = (0..10)
            .flat_map(|_| {
                session.push(&message(VIDEO, 0, &[0; 900])).unwrap();
                sent(&mut session).0
            })
            .collect();
        assert!((3..=5).contains(&kinds.len()) && kinds.iter().all(|&kind| kind == ACKNOWLEDGED), "{kinds:?}");
    }

    #[test]
    fn commands_out_of_order_or_too_large_end_the_connection() {
        let mut session = greeted();
        assert!(session.push(&publish("x")).is_err(), "before it has connected");
        let mut session = greeted();
        assert!(session.push(&[connect("live"), connect("live")].concat()).is_err());
        let mut session = greeted();
        assert!(session.push(&message(COMMAND, 0, &vec![0; COMMAND_BYTES_MAX + 1])).is_err());
    }
}
