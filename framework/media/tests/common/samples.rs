//! Takes apart what ffmpeg muxed with one sample in each fragment.

use bytes::Bytes;
use peerstream_media::boxes::{children, descend};
use peerstream_media::format::{Audio, Video};
use peerstream_media::fragment::Fragment;
use peerstream_media::init::{Content, Tracks};
use peerstream_media::mux::{Lane, Sample};

/// The samples of a file, in order, and how they are encoded.
pub struct Input {
    pub video: Option<Video>,
    pub audio: Option<Audio>,
    pub samples: Vec<(Lane, Sample)>,
}

/// Takes a file apart.
pub fn of(file: &[u8]) -> Input {
    let moov = descend(file, &[b"moov"]).unwrap().unwrap();
    let tracks = Tracks::read(moov).unwrap();
    let (mut samples, mut open) = (Vec::new(), None);
    for child in children(file) {
        let child = child.unwrap();
        match &child.name {
            b"moof" => {
                open = Some(Fragment::read(&file[child.at - 8..child.at + child.body.len()], 8, &tracks).unwrap())
            }
            b"mdat" => samples.extend(sample(open.take().unwrap(), child.body)),
            _ => {}
        }
    }
    Input { video: video(file), audio: audio(file), samples }
}

fn sample(fragment: Fragment, body: &[u8]) -> Option<(Lane, Sample)> {
    let [part] = &fragment.parts[..] else { panic!("one track in a fragment") };
    assert_eq!(part.samples, 1, "one sample in a fragment");
    let us = |ticks: i64| ticks * 1_000_000 / i64::from(part.timescale);
    let lane = if part.content == Content::Video { Lane::Video } else { Lane::Audio };
    let shift_us = part.reorder.map_or(0, |(low, _)| us(low) as i32);
    let bytes = Bytes::copy_from_slice(body);
    Some((lane, Sample { at_us: us(part.start as i64) as u64, shift_us, key: part.key, bytes }))
}

/// The body of the first box of this name anywhere in the file.
pub fn record(file: &[u8], name: &[u8; 4]) -> Vec<u8> {
    find(file, name).unwrap()
}

fn find(file: &[u8], name: &[u8; 4]) -> Option<Vec<u8>> {
    let at = file.windows(4).position(|letters| letters == name)?;
    let len = u32::from_be_bytes(file[at - 4..at].try_into().unwrap()) as usize;
    Some(file[at + 4..at - 4 + len].to_vec())
}

fn video(file: &[u8]) -> Option<Video> {
    let h264 = find(file, b"avcC").map(|record| Video::h264(&record).unwrap());
    let hevc = || find(file, b"hvcC").map(|record| Video::hevc(&record).unwrap());
    let av1 = || find(file, b"av1C").map(|record| Video::av1(&record).unwrap());
    h264.or_else(hevc).or_else(av1)
}

fn audio(file: &[u8]) -> Option<Audio> {
    if let Some(body) = find(file, b"dOps") {
        let mut head = [&b"OpusHead\x01"[..], &body[1..]].concat();
        head[10..12].reverse();
        head[12..16].reverse();
        head[16..18].reverse();
        return Some(Audio::opus(&head).unwrap());
    }
    let body = find(file, b"esds")?;
    // The descriptor of the setup: its tag, four bytes of length, the setup.
    let at = body.windows(4).position(|bytes| bytes == [5, 0x80, 0x80, 0x80])?;
    let len = usize::from(body[at + 4]);
    Some(Audio::aac(&body[at + 5..at + 5 + len]).unwrap())
}
