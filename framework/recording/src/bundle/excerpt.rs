//! What can be played of a bundle.

use bytes::Bytes;
use peerstream_protocol::header::Header;
use peerstream_protocol::segment::{Init, InitId};

use super::{BundleError, Decoder, Record};
/// Inits that are kept; those after it are passed over, and the segments that need them are not played.
pub const EXCERPT_INITS_MAX: usize = 256;

/// Takes the media out of a bundle as its bytes come: one codec header and the segments that need it, one after the other as a player takes them.
/// Where the broadcast changes to another codec the excerpt ends. Verifies nothing: that is [`Inspection`](super::Inspection)'s.
#[derive(Debug, Default)]
pub struct Excerpt {
    decoder: Decoder,
    inits: Vec<(InitId, Init)>,
    /// Which of them is played.
    played: Option<usize>,
    over: bool,
}

impl Excerpt {
    /// Takes the next bytes of the bundle and gives those of the media that follow from them.
    ///
    /// # Errors
    /// Where the bytes are no bundle.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<Bytes>, BundleError> {
        self.decoder.push(bytes);
        let mut media = Vec::new();
        while let Some(record) = self.decoder.poll()? {
            self.take(record, &mut media);
        }
        Ok(media)
    }

    /// What is played, such as `video/mp4; codecs="avc1.64001f"`; nothing before the first segment, or if there is no media.
    pub fn mime(&self) -> Option<&str> {
        self.played.map(|played| self.inits[played].1.mime.as_str())
    }

    fn take(&mut self, record: Record, media: &mut Vec<Bytes>) {
        match record {
            Record::Init { id, encoded } if self.inits.len() < EXCERPT_INITS_MAX => {
                self.inits.extend(Init::decode(&encoded).ok().map(|init| (id, init)));
            }
            Record::Segment { header, payload: Some(payload) } if !self.over => {
                let needed = Header::decode(&header).ok().map(|header| header.core.init);
                let Some(needed) = self.inits.iter().position(|(id, _)| Some(*id) == needed) else { return };
                if self.played.is_none() {
                    media.push(Bytes::copy_from_slice(&self.inits[needed].1.bytes));
                }
                let played = *self.played.get_or_insert(needed);
                // Another title is another init too, and no other codec.
                let form = |index: usize| (&self.inits[index].1.mime, &self.inits[index].1.bytes);
                self.over = form(played) != form(needed);
                if !self.over {
                    media.push(payload);
                }
            }
            _ => {}
        }
    }
}
