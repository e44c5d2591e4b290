//! Reads a file with ffmpeg: what comes out is bounded, whatever went in.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::thread::JoinHandle;

use crate::report::bounded;

/// No more of a file is looked at, in seconds.
const SECONDS_MAX: u64 = 4 * 3600;
/// Pictures with more pixels are not decoded: 8K.
const PIXELS_MAX: &str = "33177600";
/// Containers that are read. None of them names other files; playlists do.
const CONTAINERS: &str =
    "mov,matroska,mp3,ogg,wav,w64,aiff,flac,aac,ac3,eac3,caf,mpegts,mpeg,avi,flv,asf,ivf,mpegvideo";
/// Decoders that are used: those of what people have, none of the hundreds for games and forgotten cameras.
const DECODERS: &str = "h264,hevc,vp8,vp9,libvpx,libvpx-vp9,av1,libdav1d,libaom-av1,mpeg1video,mpeg2video,mpegvideo,mpeg4,\
    msmpeg4v2,msmpeg4,theora,mjpeg,prores,dnxhd,ffv1,wmv1,wmv2,wmv3,vc1,flv,aac,aac_fixed,mp3,mp3float,mp2,mp2float,opus,libopus,\
    vorbis,flac,alac,ac3,eac3,dca,wmav1,wmav2,pcm_s16le,pcm_s16be,pcm_s24le,pcm_s24be,pcm_s32le,pcm_s32be,pcm_f32le,pcm_f32be,pcm_u8,\
    pcm_alaw,pcm_mulaw,adpcm_ms,adpcm_ima_wav";
/// What ffmpeg says is read up to here, in bytes; the rest is dropped.
const WORDS_BYTES_MAX: u64 = 8 * 1024;

/// Why a file cannot be read, for people; without its path.
#[derive(Debug)]
pub(crate) struct Problem(pub(crate) String);

impl Problem {
    pub(crate) fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

/// An ffmpeg that reads hostile files.
#[derive(Debug)]
pub(crate) struct Decoder {
    ffmpeg: PathBuf,
    /// No more of a file is looked at, in seconds.
    pub(crate) seconds_max: u64,
}

impl Decoder {
    pub(crate) fn new(ffmpeg: &Path) -> Self {
        Self { ffmpeg: ffmpeg.to_owned(), seconds_max: SECONDS_MAX }
    }

    /// Its version; a problem when there is none.
    pub(crate) fn version(&self) -> Result<String, Problem> {
        let output = Command::new(&self.ffmpeg).arg("-version").stdin(Stdio::null()).output().map_err(not_started)?;
        let text = String::from_utf8_lossy(&output.stdout);
        Ok(bounded(text.split_whitespace().nth(2).unwrap_or("unknown version")))
    }

    /// Decodes as `output` says and hands over pieces of `unit` bytes, the last one maybe shorter, at most `count_max` of them. Says
    /// what went wrong if something did after the first of them.
    pub(crate) fn read(
        &self,
        file: &Path,
        output: &[&str],
        unit: usize,
        count_max: u64,
        mut take: impl FnMut(&[u8]),
    ) -> Result<Option<String>, Problem> {
        let mut child = self.start(file, output)?;
        let words = child.stderr.take().map(follow);
        let mut pipe = child.stdout.take().expect("its output is a pipe");
        let (mut piece, mut count) = (Vec::with_capacity(unit), 0);
        while count < count_max {
            piece.clear();
            match (&mut pipe).take(unit as u64).read_to_end(&mut piece) {
                Ok(1..) => take(&piece),
                _ => break,
            }
            count += 1;
        }
        let cut = count == count_max;
        drop(pipe);
        if cut {
            let _ = child.kill();
        }
        let status = child.wait();
        let said = words.and_then(|words| words.join().ok()).unwrap_or_default();
        if cut {
            return Ok(Some(format!("only the first {} s were looked at", self.seconds_max)));
        }
        let good = status.as_ref().is_ok_and(|status| status.success());
        match (good, count) {
            (true, _) => Ok(None),
            (false, 0) => Err(Problem(why(&said, file, &status))),
            (false, _) => Ok(Some(format!("only a part can be read: {}", why(&said, file, &status)))),
        }
    }

    fn start(&self, file: &Path, output: &[&str]) -> Result<Child, Problem> {
        let mut command = Command::new(&self.ffmpeg);
        command.args(["-nostdin", "-hide_banner", "-v", "error", "-threads", "1", "-filter_threads", "1"]);
        command.args(["-protocol_whitelist", "file", "-format_whitelist", CONTAINERS, "-codec_whitelist", DECODERS]);
        command.args(["-max_pixels", PIXELS_MAX, "-max_streams", "64", "-max_alloc", "268435456", "-i"]);
        // With its protocol no name is taken for another one, or for an option.
        let mut name = std::ffi::OsString::from("file:");
        name.push(file);
        command.arg(name).args(["-t", &self.seconds_max.to_string()]).args(output).arg("pipe:1");
        command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().map_err(not_started)
    }
}

fn not_started(error: io::Error) -> Problem {
    match error.kind() {
        io::ErrorKind::NotFound => Problem::new("there is no ffmpeg here"),
        _ => Problem(format!("ffmpeg cannot be started: {error}")),
    }
}

/// Reads what it says to the end, so that it never waits for us.
fn follow(mut errors: ChildStderr) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = (&mut errors).take(WORDS_BYTES_MAX).read_to_end(&mut bytes);
        let _ = io::copy(&mut errors, &mut io::sink());
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// What ffmpeg's words mean.
fn why(said: &str, file: &Path, status: &io::Result<std::process::ExitStatus>) -> String {
    if said.contains("matches no streams") {
        return "there is none in the file".into();
    }
    if said.contains("not on whitelist") {
        return "files of this sort are not read".into();
    }
    let path = file.to_string_lossy();
    // Before the words stands who says them, maybe several: `[mov @ 0x55...] `.
    let words = |mut line: &str| {
        while let Some((_, rest)) = line.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
            line = rest;
        }
        line.to_owned()
    };
    let line = said.lines().find(|line| !line.trim().is_empty()).map(|line| words(line).replace(&*path, "the file"));
    bounded(&match (line, status) {
        (Some(line), _) => line.replace("file:the file", "the file"),
        (None, Ok(status)) => format!("ffmpeg ended with {status}"),
        (None, Err(error)) => format!("ffmpeg cannot be waited for: {error}"),
    })
}
