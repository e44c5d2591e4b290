//! Has a copy of a work compared with what was streamed, and gives out what was streamed so that it can be played.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use peerstream::takedown::Compare;
use peerstream::traits::compliance::{Comparison, Verdict};
use peerstream_recording::bundle::Excerpt;
use tokio::sync::Semaphore;

use crate::bundle::{Compared, Comparer, ComparisonReport, WAIT};

/// Comparisons at once: one takes a core for a minute or two.
const COMPARISONS_MAX: usize = 1;
/// How much of a bundle is read at once, in bytes.
const PIECE_BYTES: usize = 256 * 1024;

/// Compares in a process of its own, which is this program again.
#[derive(Debug)]
pub struct Comparing {
    comparer: Comparer,
    turns: Semaphore,
}

impl Comparing {
    /// With this ffmpeg: a name to be found or a path.
    pub fn new(ffmpeg: PathBuf) -> io::Result<Self> {
        let (program, arguments) = (std::env::current_exe()?, vec!["compare".into()]);
        let comparer = Comparer { program, arguments, ffmpeg, wait: WAIT };
        Ok(Self { comparer, turns: Semaphore::new(COMPARISONS_MAX) })
    }

    async fn report(&self, bundle: &Path, copy: &Path) -> Result<ComparisonReport, String> {
        let _turn = self.turns.acquire().await.map_err(|error| error.to_string())?;
        let bundle = bundle.to_owned();
        let excerpt = tokio::task::spawn_blocking(move || Unpacked::of(&bundle)).await;
        let excerpt = excerpt.map_err(|error| error.to_string())??;
        Ok(self.comparer.compare(copy, &excerpt.path).await)
    }
}

#[async_trait]
impl Compare for Comparing {
    async fn compare(&self, bundle: &Path, copy: &Path) -> Comparison {
        let report = self.report(bundle, copy).await.unwrap_or_else(ComparisonReport::not_compared);
        let verdict = match report.verdict {
            Compared::Match => Verdict::Match,
            Compared::Unclear => Verdict::Unclear,
            Compared::Mismatch => Verdict::Mismatch,
            Compared::NotCompared => Verdict::NotCompared,
        };
        let tools = report.tools.iter().map(|(tool, version)| format!("{tool} {version}")).collect();
        Comparison { verdict, detail: report.detail(), tools }
    }
}

/// The media of a bundle as a file that is removed when this is dropped.
struct Unpacked {
    path: PathBuf,
}

impl Unpacked {
    fn of(bundle: &Path) -> Result<Self, String> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = format!("peerstream-excerpt-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let failed = |error: io::Error| format!("the excerpt cannot be written to {}: {error}", path.display());
        let mut file = options.open(&path).map_err(failed)?;
        let unpacked = Self { path: path.clone() };
        media(bundle, |bytes| file.write_all(bytes).map_err(failed))?;
        Ok(unpacked)
    }
}

impl Drop for Unpacked {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Hands over the media of a bundle piece by piece, and gives their type.
pub fn media(bundle: &Path, mut take: impl FnMut(&[u8]) -> Result<(), String>) -> Result<String, String> {
    let failed = |error: io::Error| format!("the evidence cannot be read: {error}");
    let mut file = File::open(bundle).map_err(failed)?;
    let (mut excerpt, mut piece) = (Excerpt::default(), vec![0; PIECE_BYTES]);
    loop {
        let len = file.read(&mut piece).map_err(failed)?;
        if len == 0 {
            break;
        }
        let media = excerpt.push(&piece[..len]).map_err(|error| format!("the evidence cannot be played: {error}"))?;
        media.iter().try_for_each(|bytes| take(bytes))?;
    }
    excerpt.mime().map(str::to_owned).ok_or_else(|| "there is no sound or picture in the evidence".to_owned())
}
