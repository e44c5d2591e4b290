//! One file, and the folder of its broadcast.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use peerstream_sdk::traits::archive::Init;

use crate::name;
use crate::ogg::Pages;
use crate::opus::Sound;

/// Files of a broadcast; segments beyond the last are refused.
const TRACKS_MAX: u32 = 9_999;

/// The folder of a broadcast.
#[derive(Debug)]
pub(crate) struct Album {
    folder: PathBuf,
    title: Option<String>,
    /// The number of the latest file.
    last: u32,
}

impl Album {
    /// Creates the folder if need be; numbers go on where they ended.
    pub(crate) fn open(folder: &Path, title: Option<&str>) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let mut last = 0;
        for entry in std::fs::read_dir(folder)? {
            let name = entry?.file_name();
            let number = name.to_string_lossy().split(' ').next().and_then(|number| number.parse().ok());
            last = last.max(number.unwrap_or(0));
        }
        Ok(Self { folder: folder.to_owned(), title: title.map(str::to_owned), last })
    }
}

/// A file that is written.
#[derive(Debug)]
pub(crate) struct Track {
    file: File,
    /// None for what is kept as it comes.
    ogg: Option<(Sound, Pages)>,
}

impl Track {
    /// The next file of a broadcast; it has the title of the codec header.
    pub(crate) fn create(album: &mut Album, init: Option<&Init>) -> io::Result<Self> {
        if album.last >= TRACKS_MAX {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!("{TRACKS_MAX} files are there already"),
            ));
        }
        let title = init.map_or("", |init| &init.title);
        let sound = init.and_then(|init| Sound::read(&init.bytes));
        let number = album.last + 1;
        let ending = if sound.is_some() { "opus" } else { "mp4" };
        let path = album.folder.join(format!("{number:03} {}.{ending}", name::of_title(title)));
        let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
        album.last = number;
        let ogg = match sound {
            Some(sound) => {
                let (mut pages, mut bytes) = (Pages::new(number), Vec::new());
                pages.header(&sound.head, &mut bytes);
                pages.header(&tags(title, album.title.as_deref(), number), &mut bytes);
                file.write_all(&bytes)?;
                Some((sound, pages))
            }
            None => {
                file.write_all(init.map_or(&[], |init| &init.bytes))?;
                None
            }
        };
        Ok(Self { file, ogg })
    }

    /// Adds a segment; it is on the disk when this returns.
    pub(crate) fn add(&mut self, payload: &[u8]) -> io::Result<()> {
        match &mut self.ogg {
            Some((sound, pages)) => {
                let mut bytes = Vec::new();
                pages.packets(&sound.packets(payload), &mut bytes);
                self.file.write_all(&bytes)?;
            }
            None => self.file.write_all(payload)?,
        }
        self.file.sync_data()
    }

    /// The track is over. A file without this, after a crash, plays as well.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        if let Some((_, pages)) = &mut self.ogg {
            let mut bytes = Vec::new();
            pages.end(&mut bytes);
            self.file.write_all(&bytes)?;
        }
        self.file.sync_all()
    }
}

/// The packet of tags: who made the file, and what is played.
fn tags(title: &str, album: Option<&str>, number: u32) -> Vec<u8> {
    let (artist, title) = name::artist(title);
    let mut list = vec![format!("TITLE={}", if title.is_empty() { "untitled" } else { title })];
    list.extend(artist.map(|artist| format!("ARTIST={artist}")));
    list.extend(album.map(|album| format!("ALBUM={album}")));
    list.push(format!("TRACKNUMBER={number}"));
    let mut packet = b"OpusTags".to_vec();
    text(&mut packet, "PeerStream");
    packet.extend((list.len() as u32).to_le_bytes());
    list.iter().for_each(|tag| text(&mut packet, tag));
    packet
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u32).to_le_bytes());
    out.extend(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::opus::tests::second;

    fn init(title: &str, bytes: &[u8]) -> Init {
        Init { mime: r#"audio/mp4; codecs="opus""#.into(), title: title.into(), bytes: bytes.to_vec() }
    }

    #[test]
    fn a_track_is_ogg_with_tags_and_its_length() {
        let folder = tempfile::tempdir().unwrap();
        let mut album = Album::open(&folder.path().join("a"), Some("Friday")).unwrap();
        let (head, media) = second(1);
        for title in ["Miles Davis - So What", ""] {
            let mut track = Track::create(&mut album, Some(&init(title, &head))).unwrap();
            (0..3).for_each(|_| track.add(&media).unwrap());
            track.finish().unwrap();
        }
        let file = folder.path().join("a/001 Miles Davis - So What.opus");
        assert!(folder.path().join("a/002 untitled.opus").exists());
        assert_eq!(Album::open(&folder.path().join("a"), None).unwrap().last, 2, "numbers go on");
        let bytes = std::fs::read(&file).unwrap();
        assert!(
            bytes.windows(13).any(|it| it == b"TITLE=So What") && bytes.windows(12).any(|it| it == b"ALBUM=Friday")
        );
        // Without ffprobe this is what is known.
        let arguments = ["-v", "error", "-show_entries", "format=duration:stream_tags=ARTIST", "-of", "csv=p=0"];
        let Ok(said) = Command::new("ffprobe").args(arguments).arg(&file).output() else { return };
        let text = String::from_utf8_lossy(&said.stdout).into_owned();
        assert!(said.stderr.is_empty(), "{}", String::from_utf8_lossy(&said.stderr));
        let seconds: f64 = text.lines().rev().find_map(|line| line.parse().ok()).unwrap();
        assert!(text.contains("Miles Davis") && (2.9..=3.0).contains(&seconds), "{text}");
    }

    #[test]
    fn what_is_no_opus_is_kept_as_it_comes() {
        let folder = tempfile::tempdir().unwrap();
        let mut album = Album::open(folder.path(), None).unwrap();
        let mut track = Track::create(&mut album, Some(&init("x", b"header"))).unwrap();
        track.add(b"media").unwrap();
        track.finish().unwrap();
        assert_eq!(std::fs::read(folder.path().join("001 x.mp4")).unwrap(), b"headermedia");
    }
}
