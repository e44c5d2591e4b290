//! What was streamed, taken out of an evidence bundle so that it can be played.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use peerstream_recording::bundle::Excerpt;
use tokio::sync::mpsc;

/// How much of a bundle is read at once, in bytes.
const READ_BYTES: usize = 256 * 1024;
/// Pieces that wait for whoever plays.
const WAITING_MAX: usize = 8;
/// What browsers play. The stream's own word for its type is not passed on: it could be that of a page.
const TYPES: [&str; 5] = ["video/mp4", "audio/mp4", "video/webm", "audio/webm", "audio/mpeg"];

/// Hands over the media of a bundle piece by piece, each with its type.
fn unpack(bundle: &Path, mut take: impl FnMut(&str, Bytes) -> Result<(), String>) -> Result<(), String> {
    let failed = |error: io::Error| format!("the evidence cannot be read: {error}");
    let mut file = File::open(bundle).map_err(failed)?;
    let (mut excerpt, mut read, mut some) = (Excerpt::default(), vec![0; READ_BYTES], false);
    loop {
        let len = file.read(&mut read).map_err(failed)?;
        if len == 0 {
            return if some { Ok(()) } else { Err("there is no sound or picture in the evidence".into()) };
        }
        let media = excerpt.push(&read[..len]).map_err(|error| format!("the evidence cannot be played: {error}"))?;
        for piece in media {
            some = true;
            take(excerpt.mime().unwrap_or_default(), piece)?;
        }
    }
}

/// The type of a bundle's media, and the media as they are read; they end early when the bundle turns out to be none.
///
/// # Errors
/// There is nothing that browsers play.
pub async fn play(bundle: PathBuf) -> Result<(&'static str, mpsc::Receiver<Bytes>), String> {
    let (sender, mut pieces) = mpsc::channel(WAITING_MAX);
    let unpacking = tokio::task::spawn_blocking(move || {
        unpack(&bundle, |mime, piece| {
            let mime = TYPES.into_iter().find(|known| mime.split(';').next() == Some(known));
            let mime = mime.ok_or("the evidence is nothing that browsers play")?;
            sender.blocking_send((mime, piece)).map_err(|_| "nobody plays it any more".to_owned())
        })
    });
    let Some((mime, first)) = pieces.recv().await else {
        return Err(match unpacking.await {
            Ok(Err(why)) => why,
            _ => "the evidence is empty".into(),
        });
    };
    let (onward, played) = mpsc::channel(1);
    tokio::spawn(async move {
        let mut next = Some(first);
        while let Some(piece) = next {
            if onward.send(piece).await.is_err() {
                return;
            }
            next = pieces.recv().await.map(|(_, piece)| piece);
        }
    });
    Ok((mime, played))
}

/// The media of a bundle as a file that is removed when this is dropped.
#[derive(Debug)]
pub struct Unpacked(PathBuf);

impl Unpacked {
    /// Unpacks; blocks.
    ///
    /// # Errors
    /// It is no bundle, has no media, or cannot be written.
    pub fn of(bundle: &Path) -> Result<Self, String> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = format!("peerstream-excerpt-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let failed = |error: io::Error| format!("the excerpt cannot be written: {error}");
        let mut file = options.open(&path).map_err(failed)?;
        let unpacked = Self(path);
        unpack(bundle, |_, piece| file.write_all(&piece).map_err(failed))?;
        Ok(unpacked)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Unpacked {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use peerstream::protocol::cert::EpochCert;
    use peerstream::protocol::crypto::{SecretKey, hash};
    use peerstream::protocol::header::{Context, Core, Flags, Header};
    use peerstream::protocol::id::{Epoch, Rendition, Seq};
    use peerstream::protocol::segment::{Init, InitId, Kind, PieceSize};
    use peerstream_recording::StreamMeta;
    use peerstream_recording::bundle::{Encoder, Head};

    use super::*;

    /// A bundle of one segment of this type.
    fn bundle(folder: &Path, mime: &str, payload: &[u8]) -> PathBuf {
        let publisher = SecretKey::from_seed(&[1; 32]);
        let cert = EpochCert::issue(&publisher, Epoch(7), publisher.public(), 4_000_000_000);
        let meta = StreamMeta::of(&cert, Kind::Media, None);
        let init = Init { mime: mime.into(), title: String::new(), bytes: b"init ".to_vec() }.encode();
        let context = Context { stream: publisher.public(), epoch: Epoch(7), rendition: Rendition(0) };
        let core = Core {
            seq: Seq(0),
            kind: Kind::Media,
            flags: Flags::JOIN_POINT,
            pts_us: 0,
            duration_us: 200_000,
            wall_us: 1,
            init: InitId::of(&init),
            payload_len: payload.len() as u32,
            piece_size: PieceSize::Kib4,
            prev: [0; 32],
        };
        let hashes = payload.chunks(PieceSize::Kib4.bytes()).map(hash).collect();
        let (header, _) = Header::sign(&publisher, &context, core, hashes);
        let (mut encoder, mut bytes) = Encoder::begin(&Head { meta, manifest: None }).unwrap();
        bytes.extend(encoder.init(InitId::of(&init), &init).unwrap());
        bytes.extend(encoder.segment(&header.encode(), Some(payload)).unwrap());
        bytes.extend(encoder.end().0);
        let path = folder.join("bundle");
        std::fs::write(&path, bytes).unwrap();
        path
    }

    #[tokio::test]
    async fn media_are_played_under_a_type_that_is_ours() {
        let folder = tempfile::tempdir().unwrap();
        let payload = vec![7; 1_000_000];
        let path = bundle(folder.path(), "video/mp4; codecs=\"avc1.64001f\"", &payload);
        let (mime, mut pieces) = play(path.clone()).await.unwrap();
        let mut media = Vec::new();
        while let Some(piece) = pieces.recv().await {
            media.extend_from_slice(&piece);
        }
        assert_eq!((mime, media), ("video/mp4", [b"init ".as_slice(), &payload].concat()));
        let file = Unpacked::of(&path).unwrap();
        assert_eq!(std::fs::metadata(file.path()).unwrap().len(), 1_000_005);
        let place = file.path().to_owned();
        drop(file);
        assert!(!place.exists());
    }

    #[tokio::test]
    async fn a_stream_that_calls_itself_a_page_is_not_shown_as_one() {
        let folder = tempfile::tempdir().unwrap();
        let page = bundle(folder.path(), "text/html", b"<script>alert(1)</script>");
        assert_eq!(play(page).await.unwrap_err(), "the evidence is nothing that browsers play");
        let other = folder.path().join("other");
        std::fs::write(&other, "<html></html>").unwrap();
        assert!(play(other).await.unwrap_err().contains("no evidence bundle"));
        assert!(Unpacked::of(&folder.path().join("nothing")).is_err());
    }
}
