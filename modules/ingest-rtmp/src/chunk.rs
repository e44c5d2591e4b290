//! RTMP's chunks: messages of several channels, cut into pieces and sent in turns.

use std::collections::BTreeMap;

use bytes::{Buf, Bytes, BytesMut};
use peerstream_media::mux::SAMPLE_BYTES_MAX;

use crate::session::Fault;

/// The largest message, in bytes: the largest sample with what FLV puts before it.
pub const MESSAGE_BYTES_MAX: usize = SAMPLE_BYTES_MAX + 64;
/// The largest message of somebody who has not shown a key yet, in bytes.
pub const COMMAND_BYTES_MAX: usize = 64 * 1024;
/// Channels that may be in use; encoders use four or five.
const CHANNELS_MAX: usize = 64;
/// Bytes of unfinished messages of all channels, besides one of the largest.
const UNFINISHED_BYTES_MAX: usize = 1024 * 1024;
/// The size of chunks until a side says otherwise, in bytes.
const CHUNK_BYTES: usize = 128;
/// The largest that a side may say, in bytes.
const CHUNK_BYTES_MAX: u32 = 0xff_ffff;
/// A time of this value is told in four bytes more.
const EXTENDED: u32 = 0xff_ffff;

/// A whole message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What it is.
    pub kind: u8,
    /// Its time, in milliseconds; begins again after 49 days.
    pub time_ms: u32,
    /// The stream it belongs to.
    pub stream: u32,
    /// What it says.
    pub payload: Bytes,
}

/// Puts messages together.
#[derive(Debug)]
pub struct Reader {
    buffer: BytesMut,
    chunk_bytes: usize,
    channels: BTreeMap<u32, Channel>,
    unfinished_bytes: usize,
    /// The largest message that is taken now, in bytes.
    message_max: usize,
}

/// What the last header of a channel said, and the message that is coming.
#[derive(Debug, Default)]
struct Channel {
    head: Head,
    payload: BytesMut,
    /// A message has begun.
    open: bool,
}

/// What a channel's headers have said so far.
#[derive(Clone, Copy, Debug, Default)]
struct Head {
    /// The time or the step that was written last, in milliseconds.
    field: u32,
    /// It was written in four bytes more.
    extended: bool,
    time_ms: u32,
    len: usize,
    kind: u8,
    stream: u32,
}

/// The first bytes of a chunk: how much of a header follows, and for which channel.
struct Basic {
    form: u8,
    channel: u32,
    len: usize,
}

impl Default for Reader {
    fn default() -> Self {
        Self {
            buffer: BytesMut::new(),
            chunk_bytes: CHUNK_BYTES,
            channels: BTreeMap::new(),
            unfinished_bytes: 0,
            message_max: COMMAND_BYTES_MAX,
        }
    }
}

impl Reader {
    /// Takes bytes in pieces of any size.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// From now on messages may be as large as media: the other side has shown its key.
    pub fn take_media(&mut self) {
        self.message_max = MESSAGE_BYTES_MAX;
    }

    /// The other side's chunks have this size from now on, in bytes.
    pub fn set_chunk_bytes(&mut self, bytes: u32) -> Result<(), Fault> {
        if !(1..=CHUNK_BYTES_MAX).contains(&bytes) {
            return Err(Fault::new(format!("chunks of {bytes} bytes, 1 to {CHUNK_BYTES_MAX} expected")));
        }
        self.chunk_bytes = bytes as usize;
        Ok(())
    }

    /// The other side gives up a message that it has begun.
    pub fn abort(&mut self, channel: u32) {
        if let Some(channel) = self.channels.get_mut(&channel) {
            self.unfinished_bytes -= channel.payload.len();
            channel.payload.clear();
            channel.open = false;
        }
    }

    /// The next whole message; `None` means that more bytes are needed.
    pub fn poll(&mut self) -> Result<Option<Message>, Fault> {
        while let Some(whole) = self.read_chunk()? {
            if whole.is_some() {
                return Ok(whole);
            }
        }
        Ok(None)
    }

    /// Reads one chunk, if all of it is there, and gives the message that it ends.
    fn read_chunk(&mut self) -> Result<Option<Option<Message>>, Fault> {
        let Some(basic) = Basic::read(&self.buffer) else { return Ok(None) };
        self.check_channel(&basic)?;
        let old = self.channels.get(&basic.channel);
        let open = basic.form == 3 && old.is_some_and(|channel| channel.open);
        let before = old.map(|channel| channel.head).unwrap_or_default();
        let Some((head, header_len)) = before.next(&basic, &self.buffer, open) else { return Ok(None) };
        if head.len > self.message_max {
            return Err(Fault::new(format!("a message of {} bytes, at most {} expected", head.len, self.message_max)));
        }
        let gathered = if open { old.map_or(0, |channel| channel.payload.len()) } else { 0 };
        let take = (head.len - gathered).min(self.chunk_bytes);
        if self.buffer.len() < header_len + take {
            return Ok(None);
        }
        self.buffer.advance(header_len);
        if !open {
            self.abort(basic.channel);
        }
        let bytes = self.buffer.split_to(take);
        self.unfinished_bytes += take;
        if self.unfinished_bytes > self.message_max + UNFINISHED_BYTES_MAX {
            return Err(Fault::new("too many messages have begun and not ended"));
        }
        let channel = self.channels.entry(basic.channel).or_default();
        channel.head = head;
        channel.open = true;
        channel.payload.extend_from_slice(&bytes);
        Ok(Some(if channel.payload.len() < head.len { None } else { Some(self.whole(basic.channel)) }))
    }

    fn check_channel(&self, basic: &Basic) -> Result<(), Fault> {
        if self.channels.contains_key(&basic.channel) {
            return Ok(());
        }
        if self.channels.len() >= CHANNELS_MAX {
            return Err(Fault::new(format!("more than {CHANNELS_MAX} channels")));
        }
        if basic.form > 1 {
            return Err(Fault::new(format!("channel {} begins without a header", basic.channel)));
        }
        Ok(())
    }

    fn whole(&mut self, channel: u32) -> Message {
        let channel = self.channels.entry(channel).or_default();
        channel.open = false;
        let payload = std::mem::take(&mut channel.payload).freeze();
        self.unfinished_bytes -= payload.len();
        let Head { kind, time_ms, stream, .. } = channel.head;
        Message { kind, time_ms, stream, payload }
    }
}

impl Basic {
    fn read(bytes: &[u8]) -> Option<Self> {
        let &first = bytes.first()?;
        let (channel, len) = match first & 0x3f {
            0 => (64 + u32::from(*bytes.get(1)?), 2),
            1 => (64 + u32::from(*bytes.get(1)?) + 256 * u32::from(*bytes.get(2)?), 3),
            channel => (u32::from(channel), 1),
        };
        Some(Self { form: first >> 6, channel, len })
    }
}

impl Head {
    /// What holds after the header of the next chunk, and how long that header is; `open` says that a message goes on.
    fn next(mut self, basic: &Basic, bytes: &[u8], open: bool) -> Option<(Self, usize)> {
        let mut len = basic.len + [11, 7, 3, 0][usize::from(basic.form)];
        let header = bytes.get(basic.len..len)?;
        if let [a, b, c, rest @ ..] = header {
            self.field = u32::from_be_bytes([0, *a, *b, *c]);
            self.extended = self.field == EXTENDED;
            if let [a, b, c, kind, rest @ ..] = rest {
                self.len = u32::from_be_bytes([0, *a, *b, *c]) as usize;
                self.kind = *kind;
                self.stream = rest.first_chunk().map_or(self.stream, |stream| u32::from_le_bytes(*stream));
            }
        }
        if self.extended {
            let long = u32::from_be_bytes(*bytes.get(len..)?.first_chunk()?);
            // Chunks that go on repeat the long time, but not those of all encoders.
            if basic.form < 3 || long == self.field {
                self.field = long;
                len += 4;
            }
        }
        if basic.form == 0 {
            self.time_ms = self.field;
        } else if !open {
            self.time_ms = self.time_ms.wrapping_add(self.field);
        }
        Some((self, len))
    }
}

/// Appends a message in chunks of this size, each with a header of its own kind: whole for the first, none for the others.
pub fn write(out: &mut Vec<u8>, channel: u8, message: &Message, chunk_bytes: usize) {
    let time = message.time_ms.min(EXTENDED).to_be_bytes();
    let len = (message.payload.len() as u32).to_be_bytes();
    out.push(channel);
    out.extend(&time[1..]);
    out.extend(&len[1..]);
    out.push(message.kind);
    out.extend(message.stream.to_le_bytes());
    let long = (message.time_ms >= EXTENDED).then(|| message.time_ms.to_be_bytes());
    out.extend(long.iter().flatten());
    for (index, piece) in message.payload.chunks(chunk_bytes).enumerate() {
        if index > 0 {
            out.push(0xc0 | channel);
            out.extend(long.iter().flatten());
        }
        out.extend(piece);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(kind: u8, time_ms: u32, len: usize) -> Message {
        Message { kind, time_ms, stream: 1, payload: vec![kind; len].into() }
    }

    fn read(bytes: &[u8], step: usize) -> Result<Vec<Message>, Fault> {
        let (mut reader, mut messages) = (Reader::default(), Vec::new());
        for piece in bytes.chunks(step) {
            reader.push(piece);
            while let Some(message) = reader.poll()? {
                messages.push(message);
            }
        }
        Ok(messages)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_however_it_is_cut(
            messages in prop::collection::vec((1u8..20, prop_oneof![0u32..9, any::<u32>()], 0usize..700), 0..12),
            step in 1usize..300,
        ) {
            let messages: Vec<_> = messages.into_iter().map(|(kind, time, len)| message(kind, time, len)).collect();
            let mut bytes = Vec::new();
            messages.iter().for_each(|message| write(&mut bytes, 2 + message.kind % 5, message, CHUNK_BYTES));
            prop_assert_eq!(read(&bytes, step).unwrap(), messages);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..600), step in 1usize..99) {
            let _ = read(&bytes, step);
        }
    }

    #[test]
    fn steps_of_time_add_up_and_chunks_of_two_channels_may_alternate() {
        let mut bytes = vec![4, 0, 0, 10, 0, 0, 200, 9, 1, 0, 0, 0];
        bytes.extend([9; 128]);
        bytes.extend([0x46, 0, 0, 3, 0, 0, 2, 8, 7, 7]);
        bytes.push(0xc4);
        bytes.extend([9; 72]);
        bytes.extend([0x84, 0, 0, 40]);
        bytes.extend([9; 128]);
        bytes.push(0xc4);
        bytes.extend([9; 72]);
        bytes.push(0xc6);
        bytes.extend([7, 7]);
        let times: Vec<_> = read(&bytes, 5).unwrap().iter().map(|it| (it.kind, it.time_ms, it.payload.len())).collect();
        assert_eq!(times, [(8, 3, 2), (9, 10, 200), (9, 50, 200), (8, 6, 2)]);
    }

    #[test]
    fn long_times_are_read_whether_later_chunks_repeat_them_or_not() {
        let whole = Message { time_ms: 0x0123_4567, ..message(9, 0, 300) };
        let mut repeated = Vec::new();
        write(&mut repeated, 6, &whole, CHUNK_BYTES);
        assert_eq!(read(&repeated, 1000).unwrap(), std::slice::from_ref(&whole));
        let head = 16 + 128;
        let mut plain = repeated[..head].to_vec();
        plain.push(0xc6);
        plain.extend([9; 128]);
        plain.push(0xc6);
        plain.extend([9; 44]);
        assert_eq!(read(&plain, 1000).unwrap(), [whole]);
    }

    #[test]
    fn absurd_sizes_are_refused_before_their_bytes_come() {
        let huge = [4, 0, 0, 0, 0xff, 0xff, 0xff, 9, 1, 0, 0, 0];
        assert!(read(&huge, 99).unwrap_err().to_string().contains("16777215 bytes"));
        assert!(Reader::default().set_chunk_bytes(0).is_err());
        assert!(Reader::default().set_chunk_bytes(0x8000_0000).is_err());
    }

    #[test]
    fn many_unfinished_messages_and_many_channels_are_refused() {
        let begin = |channel: u8| {
            let mut bytes = vec![channel, 0, 0, 0, 0, 0xe0, 0, 9, 1, 0, 0, 0];
            bytes.extend([1; 128]);
            bytes
        };
        let all: Vec<u8> = (2..64).flat_map(begin).collect();
        assert_eq!(read(&all, 999).unwrap(), [], "62 begun messages are few bytes");
        let more: Vec<u8> =
            (2..64).flat_map(begin).chain((0..9).flat_map(|n| [vec![0, n], begin(3)[1..].to_vec()].concat())).collect();
        assert!(read(&more, 999).unwrap_err().to_string().contains("64 channels"));
        let mut reader = Reader::default();
        reader.push(&[2, 0, 0, 0, 0x3e, 0, 0, 9, 1, 0, 0, 0]);
        assert!(reader.poll().unwrap_err().to_string().contains("at most 65536"), "before a key was shown");
        let mut reader = Reader::default();
        reader.take_media();
        reader.set_chunk_bytes(4_000_000).unwrap();
        for channel in 2..5 {
            reader.push(&[channel, 0, 0, 0, 0x3e, 0, 0, 9, 1, 0, 0, 0]);
            reader.push(&vec![1; 4_000_000]);
        }
        assert!((0..3).any(|_| reader.poll().is_err()));
    }
}
