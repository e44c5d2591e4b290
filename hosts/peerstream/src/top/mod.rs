//! `top`: the dashboard in a terminal.

mod follow;
mod picture;

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::cli::TopArgs;
use crate::failure::Failure;
use crate::locate::folder;
use crate::top::follow::{Follow, News};
use crate::top::picture::Picture;
use crate::{banner, signals};

/// The screen is drawn this often.
const DRAW: Duration = Duration::from_secs(1);
/// Where there is no screen, a line is written this often.
const LINE: Duration = Duration::from_secs(5);
/// News that wait to be drawn; the host's feed waits meanwhile.
const NEWS_MAX: usize = 8;
/// A screen of which nothing else is known.
const SIZE: (usize, usize) = (80, 24);

const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";

/// `peerstream top`
pub async fn run(args: TopArgs) -> Result<ExitCode, Failure> {
    let url = folder(&args.url).map_err(Failure::Usage)?;
    let follow = Follow::new(url, args.token);
    let session = follow.clone();
    let title = tokio::task::spawn_blocking(move || session.title()).await.context("asking was interrupted")??;
    let (sender, news) = mpsc::channel(NEWS_MAX);
    // Ends with the process, or when nobody takes the news any more.
    std::thread::spawn(move || follow.run(&sender));
    let is_screen = std::io::stdout().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
    let picture = Picture::new(title);
    tokio::select! {
        result = show(news, picture, is_screen) => result?,
        () = signals::stop() => {}
    }
    if is_screen {
        write(LEAVE);
    }
    Ok(ExitCode::SUCCESS)
}

/// Shows what comes until the host says that it will not go on.
async fn show(mut news: mpsc::Receiver<News>, mut picture: Picture, is_screen: bool) -> Result<()> {
    if is_screen {
        write(ENTER);
    }
    let mut ticks = interval(if is_screen { DRAW } else { LINE });
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut heard = Instant::now();
    loop {
        tokio::select! {
            fresh = news.recv() => match fresh {
                Some(News::Message(message)) => {
                    heard = Instant::now();
                    picture.take(&message);
                }
                Some(News::Trouble(why)) => picture.trouble = Some(why),
                None => return Ok(()),
            },
            _ = ticks.tick() => draw(&picture, heard.elapsed(), is_screen),
        }
    }
}

fn draw(picture: &Picture, silence: Duration, is_screen: bool) {
    if !is_screen {
        return banner::line(&picture.line());
    }
    let (width, height) =
        terminal_size::terminal_size().map_or(SIZE, |(width, height)| (usize::from(width.0), usize::from(height.0)));
    let lines = picture.screen(width, height, silence);
    // What is left of the line, and of the screen, goes.
    let text: String = lines.iter().map(|line| format!("{line}\x1b[K\r\n")).collect();
    write(&format!("\x1b[H{}\x1b[J", text.trim_end_matches("\r\n")));
}

/// It does not matter whether anybody reads it.
fn write(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
