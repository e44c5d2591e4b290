//! Takes the packets of Opus out of fragmented MP4: bounded, never past the end, never a panic.

use peerstream_media::boxes::{Child, Reader, children, descend, find};
use peerstream_media::init::{Content, Tracks};
use peerstream_media::opus;

/// Packets of a segment; more are not looked at.
const PACKETS_MAX: usize = 10_000;

/// What is known of the sound from the codec header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sound {
    track: u32,
    /// As Ogg begins.
    pub(crate) head: Vec<u8>,
}

impl Sound {
    /// From a codec header; none if there is anything but Opus in it.
    pub(crate) fn read(init: &[u8]) -> Option<Self> {
        let moov = find(init, b"moov").ok()??;
        let tracks = Tracks::read(moov.body).ok()?;
        let track = tracks.leader();
        let is_opus = track.codec.as_ref().is_some_and(|codec| codec.name == "opus");
        if tracks.iter().count() != 1 || track.content != Content::Audio || !is_opus {
            return None;
        }
        let stsd = descend(moov.body, &[b"trak", b"mdia", b"minf", b"stbl", b"stsd"]).ok()??;
        let entry = find(stsd.get(8..)?, b"Opus").ok()??;
        // The box of the setup is behind the 28 bytes that describe any sound.
        let setup = find(entry.body.get(28..)?, b"dOps").ok()??.body;
        Some(Self { track: track.id, head: head(setup)? })
    }

    /// The packets of a segment, each with its length in samples of 1/48,000 s.
    pub(crate) fn packets<'a>(&self, payload: &'a [u8]) -> Vec<(&'a [u8], u32)> {
        let (mut packets, mut moof_at) = (Vec::new(), 0usize);
        for child in children(payload).map_while(Result::ok) {
            if &child.name == b"moof" {
                for (at, len) in self.places(child.body) {
                    let start = usize::try_from(at).ok().and_then(|at| moof_at.checked_add(at));
                    let packet = start.and_then(|start| payload.get(start..start.checked_add(len as usize)?));
                    let Some((packet, samples)) = packet.and_then(|it| Some((it, opus::duration(it)?))) else {
                        continue;
                    };
                    if packets.len() < PACKETS_MAX {
                        packets.push((packet, samples));
                    }
                }
            }
            moof_at = child.at + child.body.len();
        }
        packets
    }

    /// Where packets are, from the start of the fragment, and how long they are.
    fn places(&self, moof: &[u8]) -> Vec<(u64, u32)> {
        let mut places = Vec::new();
        for traf in children(moof).map_while(Result::ok).filter(|child| &child.name == b"traf") {
            let Some(size) = find(traf.body, b"tfhd").ok().flatten().and_then(|tfhd| self.usual_size(tfhd)) else {
                continue;
            };
            for run in children(traf.body).map_while(Result::ok).filter(|child| &child.name == b"trun") {
                let _ = read_run(run, size, &mut places);
            }
        }
        places
    }

    /// How long packets are unless they say so, if this is our track.
    fn usual_size(&self, tfhd: Child<'_>) -> Option<u32> {
        let mut reader = Reader::new(tfhd.body);
        let (_, flags) = reader.version_and_flags().ok()?;
        if reader.u32().ok()? != self.track {
            return None;
        }
        let skipped = [(0x01, 8), (0x02, 4), (0x08, 4)].iter().filter(|(flag, _)| flags & flag != 0);
        reader.skip(skipped.map(|(_, len)| len).sum()).ok()?;
        if flags & 0x10 == 0 { Some(0) } else { reader.u32().ok() }
    }
}

fn read_run(run: Child<'_>, usual: u32, places: &mut Vec<(u64, u32)>) -> Option<()> {
    let mut reader = Reader::new(run.body);
    let (_, flags) = reader.version_and_flags().ok()?;
    let count = reader.u32().ok()? as usize;
    let mut at = if flags & 0x01 == 0 { 0 } else { u64::from(reader.u32().ok()?) };
    reader.skip(if flags & 0x04 == 0 { 0 } else { 4 }).ok()?;
    for _ in 0..count.min(PACKETS_MAX - places.len().min(PACKETS_MAX)) {
        reader.skip(if flags & 0x100 == 0 { 0 } else { 4 }).ok()?;
        let len = if flags & 0x200 == 0 { usual } else { reader.u32().ok()? };
        reader.skip([0x400, 0x800].iter().filter(|&flag| flags & flag != 0).count() * 4).ok()?;
        places.push((at, len));
        at += u64::from(len);
    }
    Some(())
}

/// The body of `dOps` as Ogg has it: the same numbers, the other way round.
fn head(setup: &[u8]) -> Option<Vec<u8>> {
    let &[_, channels, a, b, c, d, e, f, g, h, family, ref mapping @ ..] = setup else { return None };
    let mut head = b"OpusHead\x01".to_vec();
    head.extend([channels, b, a, f, e, d, c, h, g, family]);
    head.extend(mapping);
    // What it makes of it is what players make of it.
    opus::Head::read(&head).ok().map(|_| head)
}

#[cfg(test)]
pub(crate) mod tests {
    use peerstream_media::format::Audio;
    use peerstream_media::mux::{Lane, Muxer, Sample, Settings};

    use super::*;

    pub(crate) const HEAD: &[u8] = b"OpusHead\x01\x02\x38\x01\x80\xbb\0\0\0\0\0";

    /// The codec header and a second of sound, in fragments; every packet begins as one of 20 ms.
    pub(crate) fn second(number: u8) -> (Vec<u8>, Vec<u8>) {
        let mut muxer = Muxer::new(Settings { second_track_us: 0, ..Settings::default() });
        muxer.set_audio(Audio::opus(HEAD).unwrap());
        for n in 0..50u8 {
            let bytes = [&[0xfc, number, n][..], &vec![n; usize::from(n)]].concat().into();
            muxer.push(Lane::Audio, Sample { at_us: u64::from(n) * 20_000, shift_us: 0, key: true, bytes }).unwrap();
        }
        muxer.finish();
        let pieces: Vec<_> = std::iter::from_fn(|| muxer.poll()).collect();
        (pieces[0].to_vec(), pieces[1..].concat())
    }

    #[test]
    fn the_packets_that_went_in_come_out() {
        let (init, media) = second(9);
        let sound = Sound::read(&init).unwrap();
        assert_eq!(sound.head, HEAD);
        let packets = sound.packets(&media);
        assert_eq!(packets.len(), 50);
        assert!(packets.iter().enumerate().all(|(n, (packet, samples))| {
            (&packet[..3], packet.len(), *samples) == (&[0xfc, 9, n as u8][..], 3 + n, 960)
        }));
    }

    #[test]
    fn whatever_bytes_are_changed_nothing_is_read_beyond_the_end() {
        let (init, media) = second(1);
        let sound = Sound::read(&init).unwrap();
        for at in 0..400.min(media.len()) {
            for value in [0, 1, 0x7f, 0xff] {
                let mut bent = media.clone();
                bent[at] = value;
                assert!(sound.packets(&bent).len() <= PACKETS_MAX);
            }
            sound.packets(&media[..at]);
        }
        for at in 0..init.len() {
            let mut bent = init.clone();
            bent[at] ^= 0xff;
            let _ = (Sound::read(&bent), Sound::read(&init[..at]));
        }
    }
}
