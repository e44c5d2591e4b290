//! `archive`: what the archives of a config or a folder hold, as media files, and whether it is genuine. Nothing is changed, and a host may
//! write beside it.

mod export;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use clap::{Args, Subcommand};
use peerstream::traits::Kind;
use peerstream::traits::archive::{Recording, SharedArchive};
use peerstream_recording::Moment;
use peerstream_registry::{Draft, Layers, Registry};

use crate::failure::Failure;
use crate::setup::ConfigArgs;
use crate::{banner, bundle, config, libraries};

/// What to do with recordings.
#[derive(Debug, Subcommand)]
pub enum ArchiveCommand {
    /// List recordings
    Ls(LsArgs),
    /// Write a recording to a media file; another one follows when the codec changes
    Export(ExportArgs),
    /// Check every signature, every byte and the chain of recordings against the publisher's key
    Verify(VerifyArgs),
}

/// Where the recordings are.
#[derive(Args, Debug)]
pub struct SourceArgs {
    /// A folder of the archive `store`
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["config", "archive"])]
    pub folder: Option<PathBuf>,
    #[command(flatten)]
    pub config: ConfigArgs,
    /// The archive's name in the config [default: the first that can be read]
    #[arg(long, value_name = "NAME")]
    pub archive: Option<String>,
}

/// Options of `archive ls`.
#[derive(Args, Debug)]
pub struct LsArgs {
    #[command(flatten)]
    pub source: SourceArgs,
    /// As one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Options of `archive export`.
#[derive(Args, Debug)]
pub struct ExportArgs {
    /// The file to write; a number is added when there is one already
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    #[command(flatten)]
    pub source: SourceArgs,
    /// The recording's name or its beginning, or its epoch [default: the latest]
    #[arg(long, value_name = "ID")]
    pub recording: Option<String>,
    /// Begin so many seconds after the start of the recording
    #[arg(long, value_name = "SECONDS", default_value_t = 0.0)]
    pub from: f64,
    /// End so many seconds after the start of the recording
    #[arg(long, value_name = "SECONDS")]
    pub to: Option<f64>,
}

/// Options of `archive verify`.
#[derive(Args, Debug)]
pub struct VerifyArgs {
    #[command(flatten)]
    pub source: SourceArgs,
    /// The recording's name or its beginning, or its epoch [default: all]
    #[arg(long, value_name = "ID")]
    pub recording: Option<String>,
}

/// `peerstream archive`
pub async fn run(command: ArchiveCommand) -> Result<ExitCode, Failure> {
    match command {
        ArchiveCommand::Ls(args) => ls(&args).await,
        ArchiveCommand::Export(args) => export::run(&args).await,
        ArchiveCommand::Verify(args) => verify::run(&args).await,
    }
}

impl SourceArgs {
    /// The archive, which is not started.
    fn open(&self) -> Result<SharedArchive, Failure> {
        let mut layers = match &self.folder {
            Some(_) => Layers::new(),
            None => self.config.layers(),
        };
        if let Some(folder) = &self.folder {
            if !folder.is_dir() {
                return Err(Failure::Usage(anyhow!("{} is no folder", folder.display())));
            }
            layers.flag("--folder", &["archive", "folder", "use"], "store");
            layers.flag("--folder", &["archive", "folder", "config", "folder"], folder.to_string_lossy());
        }
        let mut registry = bundle::registry().map_err(anyhow::Error::from)?;
        let draft = Draft::new(layers);
        let problems = libraries::load(&draft.peek("plugins"), &mut registry);
        let mut outcome = draft.check(&registry, &config::layout());
        problems.into_iter().for_each(|problem| outcome.add(problem.code, &problem.path, problem.message));
        let config = outcome.into_result().map_err(Failure::Config)?;
        let named = |instance: &str| self.archive.as_ref().is_none_or(|name| name == instance);
        let specs: Vec<_> = config.of_kind(Kind::Archive).filter(|spec| named(&spec.instance)).collect();
        for spec in &specs {
            let archive = Registry::archive(&registry, spec);
            let archive = archive.with_context(|| format!("archive `{}` cannot be made", spec.instance))?;
            let able = archive.capabilities();
            if able.list && able.index && able.read {
                return Ok(archive);
            }
        }
        let what = match (specs.is_empty(), &self.archive) {
            (true, Some(name)) => format!("the config has no archive `{name}`"),
            (true, None) => "no archive is named: give --folder, or a --config with one".to_owned(),
            (false, _) => "nothing can be read back from the archives of the config; `store` can".to_owned(),
        };
        Err(Failure::Usage(anyhow!(what)))
    }
}

/// All recordings, or the one that a word means.
async fn recordings(archive: &SharedArchive, word: Option<&str>) -> Result<Vec<Recording>, Failure> {
    let mut all = archive.list().await.context("recordings cannot be listed")?;
    let Some(word) = word else { return Ok(all) };
    all.retain(|it| it.id.0.starts_with(word) || it.meta.epoch.0.to_string() == word);
    match all.len() {
        0 => Err(Failure::Usage(anyhow!("no recording is called `{word}`; `peerstream archive ls` lists them"))),
        1 => Ok(all),
        many => Err(Failure::Usage(anyhow!("`{word}` means {many} recordings; give more of the name, or the epoch"))),
    }
}

async fn ls(args: &LsArgs) -> Result<ExitCode, Failure> {
    let archive = args.source.open()?;
    let all = recordings(&archive, None).await?;
    if args.json {
        banner::line(&serde_json::to_string_pretty(&all).map_err(anyhow::Error::from)?);
        return Ok(ExitCode::SUCCESS);
    }
    for it in &all {
        let line = described(&archive, it).await?;
        banner::line(&line);
    }
    if all.is_empty() {
        eprintln!("there are no recordings");
    }
    Ok(ExitCode::SUCCESS)
}

/// One recording in a line.
async fn described(archive: &SharedArchive, it: &Recording) -> Result<String, Failure> {
    let manifest = &it.manifest;
    let edge = |seq| archive.index(&it.id, seq, 1);
    let first = edge(manifest.first).await.context("the index cannot be read")?;
    // The last one that is there may be some numbers before the end.
    let last_gap = manifest.gaps.last().filter(|(_, end)| *end == manifest.end).map(|(first, _)| *first);
    let last = peerstream::protocol::id::Seq(last_gap.unwrap_or(manifest.end).0.saturating_sub(1));
    let last = edge(last).await.context("the index cannot be read")?;
    let seconds = match (first.first(), last.first()) {
        (Some(first), Some(last)) => last.wall_us.saturating_sub(first.wall_us) / 1_000_000,
        _ => 0,
    };
    let (h, m, s) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    let missing: u64 = manifest.gaps.iter().map(|(first, end)| end.0 - first.0).sum();
    let kept = (manifest.end.0 - manifest.first.0).saturating_sub(missing);
    let state = if manifest.ended { "ended" } else { "not ended" };
    let gaps = match manifest.gaps.len() {
        0 => String::new(),
        1 => format!(", 1 gap of {missing}"),
        many => format!(", {many} gaps of {missing} together"),
    };
    let cut = match manifest.resumed.len() {
        0 => String::new(),
        many => format!(", cut short and gone on {many} times"),
    };
    let title = it.meta.title.as_deref().map(|title| format!("  {}", plain(title))).unwrap_or_default();
    let began = Moment(it.meta.epoch.0.saturating_mul(1_000));
    Ok(format!("{}  {began}  {h}:{m:02}:{s:02}  {kept} segments{gaps}{cut}, {state}{title}", it.id.0))
}

/// A title without what a terminal would obey.
fn plain(text: &str) -> String {
    text.chars().filter(|char| !char.is_control()).collect()
}
