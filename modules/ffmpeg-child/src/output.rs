//! Arguments that make ffmpeg write fragmented MP4 on its standard output, fit for a live stream.

/// What becomes of the picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Video {
    /// There is none.
    None,
    /// It stays as it is.
    Copy,
    /// It is encoded with x264.
    H264(H264),
}

/// How a picture is encoded: no B-frames, no look-ahead, a key frame a second.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct H264 {
    /// In kbit/s; it is not exceeded for long.
    pub kbps: u32,
    /// Width and height in pixels; none leaves them as they are.
    pub size: Option<(u32, u32)>,
    /// Pictures a second; none leaves them as they are.
    pub fps: Option<u32>,
    /// x264's preset, such as `veryfast`.
    pub preset: String,
}

/// What becomes of the sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audio {
    /// There is none.
    None,
    /// It stays as it is.
    Copy,
    /// It is AAC out of MPEG-TS or ADTS and stays as it is; its codec header comes with its first packet.
    CopyAdts,
    /// It is encoded to AAC of so many kbit/s.
    Aac(u32),
    /// It is encoded to Opus of so many kbit/s.
    Opus(u32),
}

/// Sound alone is put into fragments of this length, in microseconds: shorter ones would be mostly header.
pub const SOUND_FRAGMENT_US: u32 = 480_000;
/// ffmpeg waits this long for a track that lags behind the other, in microseconds.
const INTERLEAVE_US: u32 = 500_000;

/// All arguments behind the input; `more` comes before the output's name.
pub fn arguments(video: &Video, audio: Audio, more: &[String]) -> Vec<String> {
    let mut arguments = Arguments::default();
    arguments.add(&["-sn", "-dn", "-map_metadata", "-1", "-map_chapters", "-1"]);
    arguments.video(video);
    arguments.audio(audio);
    arguments.list.extend_from_slice(more);
    // Without `empty_moov` the header waits for the first packet of every track.
    let moov = if audio == Audio::CopyAdts { "delay_moov" } else { "empty_moov" };
    match video {
        Video::None => {
            arguments.add(&["-movflags", &format!("{moov}+default_base_moof"), "-frag_duration"]);
            arguments.number(SOUND_FRAGMENT_US);
        }
        _ => {
            let flags = format!("frag_every_frame+{moov}+default_base_moof");
            arguments.add(&["-movflags", &flags, "-max_interleave_delta"]);
            arguments.number(INTERLEAVE_US);
        }
    }
    arguments.add(&["-flush_packets", "1", "-f", "mp4", "pipe:1"]);
    arguments.list
}

#[derive(Default)]
struct Arguments {
    list: Vec<String>,
}

impl Arguments {
    fn add(&mut self, arguments: &[&str]) {
        self.list.extend(arguments.iter().map(|&argument| argument.to_owned()));
    }

    fn number(&mut self, number: impl ToString) {
        self.list.push(number.to_string());
    }

    fn rate(&mut self, option: &str, kbps: u32) {
        self.list.extend([option.to_owned(), format!("{kbps}k")]);
    }

    fn video(&mut self, video: &Video) {
        match video {
            Video::None => self.add(&["-vn"]),
            // `V` leaves out pictures that are attached to sound.
            Video::Copy => self.add(&["-map", "0:V:0?", "-c:v", "copy"]),
            Video::H264(h264) => self.h264(h264),
        }
    }

    fn h264(&mut self, h264: &H264) {
        self.add(&["-map", "0:V:0?", "-c:v", "libx264", "-preset", &h264.preset, "-tune", "zerolatency"]);
        self.add(&["-bf", "0", "-sc_threshold", "0", "-g", "600", "-force_key_frames", "expr:gte(t,n_forced)"]);
        self.rate("-b:v", h264.kbps);
        self.rate("-maxrate", h264.kbps);
        self.rate("-bufsize", h264.kbps.div_ceil(2));
        let scale = match h264.size {
            Some((width, height)) => format!("scale={width}:{height}"),
            // Sizes must be even.
            None => "scale=trunc(iw/2)*2:trunc(ih/2)*2".into(),
        };
        self.list.extend(["-vf".into(), format!("{scale},format=yuv420p")]);
        if let Some(fps) = h264.fps {
            self.add(&["-r"]);
            self.number(fps);
        }
    }

    fn audio(&mut self, audio: Audio) {
        match audio {
            Audio::None => self.add(&["-an"]),
            Audio::Copy => self.add(&["-map", "0:a:0?", "-c:a", "copy"]),
            Audio::CopyAdts => self.add(&["-map", "0:a:0?", "-c:a", "copy", "-bsf:a", "aac_adtstoasc"]),
            Audio::Aac(kbps) => {
                self.add(&["-map", "0:a:0?", "-c:a", "aac", "-ac", "2"]);
                self.rate("-b:a", kbps);
            }
            Audio::Opus(kbps) => {
                self.add(&["-map", "0:a:0?", "-c:a", "libopus", "-ar", "48000", "-ac", "2"]);
                self.rate("-b:a", kbps);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sound_alone_comes_in_long_fragments_and_pictures_one_by_one() {
        let sound = arguments(&Video::None, Audio::Opus(96), &[]).join(" ");
        assert!(sound.contains("-vn") && sound.contains("-c:a libopus") && sound.contains("-b:a 96k"), "{sound}");
        assert!(sound.contains("-frag_duration 480000") && sound.ends_with("-f mp4 pipe:1"), "{sound}");
        let both = arguments(&Video::Copy, Audio::Copy, &["-x".into()]).join(" ");
        assert!(both.contains("-x -movflags frag_every_frame") && !both.contains("-frag_duration"), "{both}");
    }

    #[test]
    fn pictures_are_encoded_for_low_delay() {
        let h264 = H264 { kbps: 2500, size: Some((1280, 720)), fps: Some(30), preset: "veryfast".into() };
        let text = arguments(&Video::H264(h264), Audio::None, &[]).join(" ");
        for part in ["-tune zerolatency", "-bf 0", "scale=1280:720", "-r 30", "-bufsize 1250k", "-an"] {
            assert!(text.contains(part), "{part} not in {text}");
        }
    }
}
