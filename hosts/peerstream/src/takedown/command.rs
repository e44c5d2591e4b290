//! `peerstream takedown`: proofs that are checked offline, and the desk from a terminal.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, anyhow, bail};
use clap::{Args, Subcommand};
use peerstream::protocol::crypto::PublicKey;
use peerstream::recording::bundle::{Inspection, MAGIC, Verdict};
use peerstream::traits::takedown::calendar::Date;
use peerstream::traits::takedown::ledger::{LINE_BYTES_MAX, Signed, Verifier};
use peerstream::traits::takedown::receipt::{RECEIPT_BYTES_MAX, Receipt};
use serde_json::Value;

use super::operator::OWN_PAGE;
use super::story;
use crate::banner::line;
use crate::cli::publisher;
use crate::failure::{EXIT_BROKEN, Failure};

/// An answer of the desk is no larger, in bytes.
const ANSWER_BYTES_MAX: u64 = 64 << 20;

/// What to do with notices.
#[derive(Debug, Subcommand)]
pub enum TakedownCommand {
    /// Check an evidence bundle, a receipt or a log without any host; a fault is named, and the exit code is 4
    Verify {
        /// A bundle, a receipt or a log
        file: PathBuf,
        /// The operator's key that a receipt or a log must be signed by [default: the one that it names]
        #[arg(long, value_name = "KEY", value_parser = publisher)]
        operator: Option<PublicKey>,
        /// A log that must hold the receipt's case
        #[arg(long, value_name = "LOG")]
        held_in: Option<PathBuf>,
    },
    /// List cases
    Ls {
        #[command(flatten)]
        at: DeskArgs,
        /// Only those in these states, such as `screened,deficient`
        #[arg(long, value_name = "STATES", default_value = "")]
        state: String,
        /// Only those whose notice or claimant has this in it
        #[arg(long, value_name = "TEXT", default_value = "")]
        text: String,
        /// As JSON, for programs
        #[arg(long)]
        json: bool,
    },
    /// Tell the story of a case: who wants what, the evidence, what happened, what can be done
    Show {
        #[command(flatten)]
        at: DeskArgs,
        /// Its number
        case: u64,
        /// As JSON, for programs
        #[arg(long)]
        json: bool,
    },
    /// List mails that wait or were given up
    Letters {
        #[command(flatten)]
        at: DeskArgs,
        /// As JSON, for programs
        #[arg(long)]
        json: bool,
    },
    /// Write a case in the shape of the Lumen database, its evidence, or the whole log; a log is checked as it is written, a fault is named,
    /// and the exit code is 4
    Export {
        #[command(flatten)]
        at: DeskArgs,
        /// Its number; the log when there is none
        case: Option<u64>,
        /// The evidence bundle instead
        #[arg(long, requires = "case")]
        evidence: bool,
        /// With the claimant's name
        #[arg(long, requires = "case")]
        names: bool,
        /// Where to write it; `-` for standard output
        #[arg(long, short, value_name = "FILE", default_value = "-")]
        output: PathBuf,
    },
    /// Enter a notice that came by post: JSON as in docs/takedown.md
    Enter {
        #[command(flatten)]
        at: DeskArgs,
        /// The notice; `-` for standard input
        notice: PathBuf,
        /// How it came
        #[arg(long, value_name = "WORD", default_value = "post")]
        channel: String,
    },
}

/// Which desk.
#[derive(Args, Debug)]
pub struct DeskArgs {
    /// The stream's page
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080/")]
    pub url: String,
    /// The operator's password or token
    #[arg(long, value_name = "TOKEN", env = "PEERSTREAM_DESK_TOKEN", hide_env_values = true)]
    pub token: String,
    /// The operator's key; a desk whose log another key signs is refused
    #[arg(long, value_name = "KEY", value_parser = publisher)]
    pub operator: Option<PublicKey>,
}

/// `peerstream takedown`
pub fn run(command: TakedownCommand) -> Result<ExitCode, Failure> {
    match command {
        TakedownCommand::Verify { file, operator, held_in } => return Ok(verify(&file, operator, held_in.as_deref())?),
        TakedownCommand::Ls { at, state, text, json } => {
            at.is_of()?;
            let cases = at.get(&format!("cases?max=499&state={}&text={}", escaped(&state), escaped(&text)))?;
            tell(&cases, json, || Ok(list(&cases, &at.get("letters")?)))?;
        }
        TakedownCommand::Show { at, case, json } => {
            at.is_of()?;
            let shown = at.get(&format!("cases/{case}"))?;
            let another = "the host is of another version; show its answer as it is with --json";
            tell(&shown, json, || story::case(&shown, &at.get(&format!("letters?case={case}"))?).context(another))?;
        }
        TakedownCommand::Letters { at, json } => {
            at.is_of()?;
            let letters = at.get("letters")?;
            let table = match story::letters(&letters) {
                text if text.is_empty() => "no mails wait\n".to_owned(),
                text => text,
            };
            tell(&letters, json, || Ok(table))?;
        }
        TakedownCommand::Export { at, case: None, output, .. } => return Ok(at.log(&output)?),
        TakedownCommand::Export { at, case: Some(case), evidence, names, output } => {
            at.is_of()?;
            let path = match evidence {
                true => format!("cases/{case}/evidence"),
                false => format!("cases/{case}/lumen?names={names}"),
            };
            at.save(&path, &output)?;
        }
        TakedownCommand::Enter { at, notice, channel } => {
            at.is_of()?;
            let notice: Value = serde_json::from_slice(&whole(&notice)?).context("the notice is no JSON")?;
            let entered = at.post("cases", &serde_json::json!({ "notice": notice, "channel": channel }))?;
            line(&format!("case {}", entered["case"]["id"]));
            let missing = entered["case"]["missing"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let missing: Vec<_> = missing.collect();
            if !missing.is_empty() {
                line(&format!("it lacks {}", missing.join(", ")));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// An answer as it is, or in words.
fn tell(answer: &Value, json: bool, words: impl FnOnce() -> Result<String>) -> Result<()> {
    let text = if json { format!("{answer:#}") } else { words()? };
    line(text.trim_end());
    Ok(())
}

fn list(cases: &Value, letters: &Value) -> String {
    let mails = story::letters_in_short(letters).map(|text| format!("{text}\n"));
    story::cases(cases) + &mails.unwrap_or_default()
}

fn escaped(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

fn whole(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let max = super::NOTICE_BYTES_MAX as u64;
    let read = match path.to_str() {
        Some("-") => io::stdin().lock().take(max + 1).read_to_end(&mut bytes),
        _ => File::open(path).and_then(|file| file.take(max + 1).read_to_end(&mut bytes)),
    };
    read.with_context(|| format!("{} cannot be read", path.display()))?;
    if bytes.len() as u64 > max {
        bail!("{} is larger than {max} bytes", path.display());
    }
    Ok(bytes)
}

/// A file, or standard output.
fn writer(to: &Path) -> Result<Box<dyn io::Write>> {
    Ok(match to.to_str() {
        Some("-") => Box::new(io::stdout().lock()),
        _ => Box::new(File::create(to).with_context(|| format!("{} cannot be written", to.display()))?),
    })
}

impl DeskArgs {
    fn address(&self, path: &str) -> String {
        let page = self.url.split(['#', '?']).next().unwrap_or_default();
        format!("{}/api/v1/takedown/desk/{path}", page.trim_end_matches('/'))
    }

    fn agent() -> ureq::Agent {
        ureq::Agent::config_builder().http_status_as_error(false).build().into()
    }

    fn get(&self, path: &str) -> Result<Value> {
        let bytes = self.body(path)?;
        serde_json::from_slice(&bytes).context("the host's answer is no JSON")
    }

    fn body(&self, path: &str) -> Result<Vec<u8>> {
        let request = Self::agent().get(self.address(path)).header("authorization", format!("Bearer {}", self.token));
        let mut answer = request.call().with_context(|| format!("{} cannot be reached", self.url))?;
        let status = answer.status();
        let bytes = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec()?;
        if status.is_success() { Ok(bytes) } else { Err(refused(status.as_u16(), &bytes)) }
    }

    /// Refuses another operator's desk than was asked for.
    fn is_of(&self) -> Result<()> {
        match self.operator {
            Some(_) => self.signer().map(drop),
            None => Ok(()),
        }
    }

    /// Who signs its log.
    fn signer(&self) -> Result<PublicKey> {
        let session = self.get("session")?;
        let told = session["operator"].as_str().context("the host does not say who signs its log")?;
        let signer = publisher(told).map_err(|why| anyhow!("the host names a key that is none: {why}"))?;
        match self.operator {
            Some(operator) if operator != signer => {
                bail!("the desk at {} is another one: its log is signed by {signer}, not by {operator}", self.url)
            }
            _ => Ok(signer),
        }
    }

    fn save(&self, path: &str, to: &Path) -> Result<()> {
        let mut answer = self.download(path)?;
        let mut writer = writer(to)?;
        io::copy(&mut answer.body_mut().as_reader(), &mut writer)?;
        Ok(writer.flush()?)
    }

    /// Writes the log to its end, whatever is wrong with it, and says what is.
    fn log(&self, to: &Path) -> Result<ExitCode> {
        let (mut verifier, mut fault) = (Verifier::new(self.signer()?), None);
        let mut answer = self.download("log")?;
        let mut reader = BufReader::new(answer.body_mut().as_reader());
        let (mut writer, mut text) = (writer(to)?, Vec::new());
        loop {
            text.clear();
            (&mut reader).take(LINE_BYTES_MAX as u64 + 2).read_until(b'\n', &mut text)?;
            if text.is_empty() {
                break;
            }
            writer.write_all(&text)?;
            if fault.is_none() {
                fault = verifier.take(text.trim_ascii_end()).err();
            }
        }
        writer.flush()?;
        Ok(match fault {
            None => ExitCode::SUCCESS,
            Some(fault) => {
                eprintln!("the log of the desk at {}: {fault}", self.url);
                ExitCode::from(EXIT_BROKEN)
            }
        })
    }

    fn download(&self, path: &str) -> Result<ureq::http::Response<ureq::Body>> {
        let request = Self::agent().get(self.address(path)).header("authorization", format!("Bearer {}", self.token));
        let mut answer = request.call().with_context(|| format!("{} cannot be reached", self.url))?;
        let status = answer.status();
        if !status.is_success() {
            let bytes = answer.body_mut().read_to_vec()?;
            return Err(refused(status.as_u16(), &bytes));
        }
        Ok(answer)
    }

    fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let request = Self::agent()
            .post(self.address(path))
            .header("authorization", format!("Bearer {}", self.token))
            .header(OWN_PAGE, "1");
        let mut answer = request.send(body.to_string()).with_context(|| format!("{} cannot be reached", self.url))?;
        let status = answer.status();
        let bytes = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec()?;
        if !status.is_success() {
            return Err(refused(status.as_u16(), &bytes));
        }
        serde_json::from_slice(&bytes).context("the host's answer is no JSON")
    }
}

fn refused(status: u16, body: &[u8]) -> anyhow::Error {
    let said = serde_json::from_slice::<Value>(body).ok();
    let message = said.as_ref().and_then(|it| it["message"].as_str());
    let field = said.as_ref().and_then(|it| it["field"].as_str()).map(|field| format!("{field}: ")).unwrap_or_default();
    match (status, message) {
        (401 | 429, _) => {
            anyhow!("the host does not let you in (status {status}); show the desk's password or token with --token")
        }
        (_, Some(message)) => anyhow!("{field}{message}"),
        _ => anyhow!("the host answers with status {status}"),
    }
}

/// Says what is right, or what is not.
pub(super) fn verify(file: &Path, operator: Option<PublicKey>, log: Option<&Path>) -> Result<ExitCode> {
    match check(file, operator, log)? {
        Ok(said) => {
            said.iter().for_each(|said| line(said));
            Ok(ExitCode::SUCCESS)
        }
        Err(faults) => {
            faults.iter().for_each(|fault| eprintln!("{}: {fault}", file.display()));
            Ok(ExitCode::from(EXIT_BROKEN))
        }
    }
}

type Checked = std::result::Result<Vec<String>, Vec<String>>;

fn check(path: &Path, operator: Option<PublicKey>, log: Option<&Path>) -> Result<Checked> {
    let mut file = BufReader::new(File::open(path).with_context(|| format!("{} cannot be opened", path.display()))?);
    let start = file.fill_buf()?;
    if start.starts_with(&MAGIC) {
        return bundle(file, operator);
    }
    let mut first = Vec::new();
    (&mut file).take(LINE_BYTES_MAX as u64 + 2).read_until(b'\n', &mut first)?;
    if serde_json::from_slice::<Signed>(&first).is_ok() {
        return Ok(ledger(path, operator)?.map(|log| said_of_log(&log)));
    }
    // A receipt may be written over several lines.
    file.take(RECEIPT_BYTES_MAX as u64 + 1).read_to_end(&mut first)?;
    receipt(&first, operator, log)
}

fn said_of_log(log: &Verifier) -> Vec<String> {
    let (head, cases) = (log.head(), log.dockets().len());
    let day = Date::of_us(head.at_us);
    vec![format!(
        "log: {} entries about {cases} cases, the last one of {day}, all signed; head {}",
        head.entries, head.hash
    )]
}

/// A log that verifies. The operator's key is that of `--operator`, or told.
fn ledger(path: &Path, operator: Option<PublicKey>) -> Result<std::result::Result<Verifier, Vec<String>>> {
    let Some(operator) = operator else {
        bail!("a log does not name its operator; show the key with --operator (it is in every receipt)");
    };
    let mut file = BufReader::new(File::open(path).with_context(|| format!("{} cannot be opened", path.display()))?);
    let (mut verifier, mut text) = (Verifier::new(operator), Vec::new());
    loop {
        text.clear();
        (&mut file).take(LINE_BYTES_MAX as u64 + 2).read_until(b'\n', &mut text)?;
        if text.is_empty() {
            return Ok(Ok(verifier));
        }
        if let Err(fault) = verifier.take(text.trim_ascii_end()) {
            return Ok(Err(vec![fault.to_string()]));
        }
    }
}

fn receipt(bytes: &[u8], operator: Option<PublicKey>, log: Option<&Path>) -> Result<Checked> {
    let receipt = match Receipt::parse(bytes).and_then(|receipt| receipt.verify(operator).map(|()| receipt)) {
        Ok(receipt) => receipt,
        Err(wrong) => return Ok(Err(vec![wrong.to_string()])),
    };
    let mut said = vec![said_of_receipt(&receipt)];
    if let Some(path) = log {
        match ledger(path, Some(PublicKey(receipt.operator.0)))? {
            Err(faults) => return Ok(Err(faults.into_iter().map(|fault| format!("the log: {fault}")).collect())),
            Ok(log) if log.holds(&receipt) => said.extend(said_of_log(&log)),
            Ok(_) => return Ok(Err(vec!["the log does not hold the entry of this receipt".into()])),
        }
    }
    Ok(Ok(said))
}

fn said_of_receipt(receipt: &Receipt) -> String {
    let Receipt { case, received_us, operator, entry, .. } = receipt;
    let day = Date::of_us(*received_us);
    format!("receipt: case {case} came in on {day} (UTC), entry {entry} of the log; signed by {operator}")
}

fn bundle(mut file: impl io::Read, operator: Option<PublicKey>) -> Result<Checked> {
    let (mut inspection, mut buffer) = (Inspection::default(), vec![0; 256 * 1024]);
    let inspected = loop {
        match file.read(&mut buffer)? {
            0 => break inspection.finish(),
            count => {
                if let Err(error) = inspection.push(&buffer[..count]) {
                    break Err(error);
                }
            }
        }
    };
    let verdict = match inspected {
        Ok(verdict) => verdict,
        Err(error) => return Ok(Err(vec![error.to_string()])),
    };
    let mut faults: Vec<_> = verdict.to_string().lines().map(str::to_owned).collect();
    let mut said = vec![said_of_bundle(&verdict)];
    if let Some(attached) = verdict.attachments.iter().find(|it| it.name == "receipt.json") {
        match Receipt::parse(&attached.content).and_then(|receipt| receipt.verify(operator).map(|()| receipt)) {
            Ok(receipt) => said.push(said_of_receipt(&receipt)),
            Err(wrong) => faults.push(format!("receipt.json: {wrong}")),
        }
    }
    let others = verdict.attachments.iter().filter(|it| it.name != "receipt.json");
    said.extend(others.map(|it| format!("attachment: {} ({} bytes)", it.name, it.content.len())));
    Ok(if faults.is_empty() { Ok(said) } else { Err(faults) })
}

fn said_of_bundle(verdict: &Verdict) -> String {
    let report = &verdict.report;
    let meta = &verdict.head.meta;
    format!(
        "bundle: {} segments of broadcast {} of {}, {} withheld, all signed by its publisher",
        report.whole + report.withheld,
        meta.epoch.0,
        meta.stream,
        report.withheld
    )
}
