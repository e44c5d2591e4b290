//! Follows the dashboard's feed of a host.

use std::io::{BufRead, BufReader};
use std::time::Duration;

use anyhow::{Result, anyhow};
use serde_json::Value;
use tokio::sync::mpsc;
use url::Url;

use crate::locate::{agent, ask_with};

/// After a failure the host is asked again in this time.
const AGAIN: Duration = Duration::from_secs(2);
/// A message is no larger, in bytes.
const MESSAGE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// What has come.
pub enum News {
    /// A message of the feed.
    Message(Value),
    /// Why none comes.
    Trouble(String),
}

/// A host, and what it is shown.
#[derive(Clone)]
pub struct Follow {
    folder: Url,
    token: Option<String>,
}

impl Follow {
    /// The dashboard of the host at this address.
    pub fn new(folder: Url, token: Option<String>) -> Self {
        Self { folder, token }
    }

    fn url(&self, name: &str) -> Result<Url> {
        Ok(self.folder.join(&format!("api/v1/dashboard/{name}"))?)
    }

    /// What the stream is called; fails when the host does not let us look.
    pub fn title(&self) -> Result<String> {
        let session: Value = ask_with(&self.url("session")?, self.token.as_deref())?;
        Ok(session["title"].as_str().unwrap_or("a stream without a title").to_owned())
    }

    /// Follows for as long as somebody takes the news.
    pub fn run(&self, news: &mpsc::Sender<News>) {
        loop {
            let why = match self.once(news) {
                Ok(()) => "the host has ended the connection".to_owned(),
                Err(error) => format!("{error:#}"),
            };
            if news.blocking_send(News::Trouble(why)).is_err() {
                return;
            }
            std::thread::sleep(AGAIN);
        }
    }

    fn once(&self, news: &mpsc::Sender<News>) -> Result<()> {
        let url = self.url("feed")?;
        let mut request = agent(None).get(url.as_str());
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let response = request.call().map_err(|error| anyhow!("{}: {error}", self.folder))?;
        let mut lines = BufReader::new(response.into_body().into_reader());
        loop {
            let mut line = String::new();
            let len = std::io::Read::take(&mut lines, MESSAGE_BYTES_MAX).read_line(&mut line)?;
            if len == 0 {
                return Ok(());
            }
            let message = line.strip_prefix("data: ").and_then(|text| serde_json::from_str(text).ok());
            if let Some(message) = message
                && news.blocking_send(News::Message(message)).is_err()
            {
                return Ok(());
            }
        }
    }
}
