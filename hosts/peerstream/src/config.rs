//! The config file. Every field has a default that is good for production, so that no file is needed.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use peerstream::coordinator;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// A config file is no larger, in bytes.
const CONFIG_BYTES_MAX: u64 = 256 * 1024;

/// The whole file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Who broadcasts, and where viewers find it.
    pub serve: Serve,
    /// Where the stream comes from.
    pub ingest: Component,
    /// How much the source itself sends.
    pub source: Source,
    /// What places the nodes.
    pub strategy: Component,
    /// How nodes are linked.
    pub transport: Component,
    /// What helps nodes find a path to each other.
    pub ice: Ice,
    /// The built-in STUN server.
    pub stun: Stun,
    /// What protects this machine.
    pub limits: Limits,
    /// The file it was read from.
    #[serde(skip)]
    pub origin: Origin,
}

/// Who broadcasts, and where viewers find it.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Serve {
    /// Address and port of the web server.
    pub listen: SocketAddr,
    /// The publisher's key file, created on first use; absent means `peerstream/publisher.key` in the user's data folder.
    pub key: Option<PathBuf>,
    /// Shown above the player.
    pub title: Option<String>,
    /// Seconds to go on serving after the input has ended.
    pub linger_s: u64,
}

impl Default for Serve {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([0, 0, 0, 0], 8080)), key: None, title: None, linger_s: 60 }
    }
}

/// How much the source itself sends.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Source {
    /// Megabits per second for viewers that the source feeds itself; a small audience is fed directly up to that, a larger
    /// one grows below them. 0 means two viewers, whatever the bitrate.
    pub budget_mbps: u32,
}

/// A plug-in by name, with its options.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Component {
    /// Its name; absent means the default one.
    #[serde(default, rename = "use")]
    pub name: Option<toml::Spanned<String>>,
    /// Its own options.
    #[serde(default)]
    pub config: Option<toml::Spanned<toml::Table>>,
}

/// What helps nodes find a path to each other.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ice {
    /// STUN urls besides the built-in server, such as `stun:stun.example.org:3478`.
    pub servers: Vec<String>,
}

/// The built-in STUN server.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Stun {
    /// Whether there is one.
    pub enabled: bool,
    /// Its UDP address and port; another port is used when this one is taken.
    pub listen: SocketAddr,
}

impl Default for Stun {
    fn default() -> Self {
        Self { enabled: true, listen: SocketAddr::from(([0, 0, 0, 0], 3478)) }
    }
}

/// What protects this machine.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Viewers and helpers; beyond it newcomers are turned away.
    pub nodes: usize,
    /// Open TCP connections; beyond it newcomers wait.
    pub connections: usize,
    /// Control connections from one IPv4 address, or one /64 of IPv6. Raise it behind a proxy.
    pub connections_per_address: usize,
    /// Joins from one address at once after a pause.
    pub joins_per_address_burst: u32,
    /// Joins from one address per second after that.
    pub joins_per_address_per_second: u32,
    /// Bytes per second of stream that newcomers, all together, are sent by this host until a viewer feeds them; 0 for none.
    pub starter_bytes_per_second: u64,
}

impl Default for Limits {
    fn default() -> Self {
        let limits = coordinator::Limits::default();
        Self {
            nodes: limits.nodes_max,
            connections: limits.connections_max,
            connections_per_address: 512,
            joins_per_address_burst: limits.joins_per_address_burst,
            joins_per_address_per_second: limits.joins_per_address_per_second,
            starter_bytes_per_second: limits.starter_bytes_per_second,
        }
    }
}

impl Limits {
    /// The coordinator's share.
    pub fn coordinator(&self) -> coordinator::Limits {
        coordinator::Limits {
            nodes_max: self.nodes,
            connections_max: self.connections,
            joins_per_address_burst: self.joins_per_address_burst,
            joins_per_address_per_second: self.joins_per_address_per_second,
            starter_bytes_per_second: self.starter_bytes_per_second,
            ..coordinator::Limits::default()
        }
    }
}

/// Where a config came from, to name file and line in what is said about it.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    path: PathBuf,
    text: String,
}

impl Origin {
    fn at(&self, offset: usize) -> String {
        let line = self.text.get(..offset).map_or(1, |before| before.matches('\n').count() + 1);
        format!("{}:{line}", self.path.display())
    }
}

impl Config {
    /// Reads a file, or takes the defaults when there is none.
    pub fn load(path: Option<&Path>) -> Result<Self> {
        let Some(path) = path else { return Ok(Self::default()) };
        let shown = path.display();
        let size = fs::metadata(path).with_context(|| format!("config file {shown} cannot be read"))?.len();
        if size > CONFIG_BYTES_MAX {
            return Err(anyhow!("config file {shown} has {size} bytes, expected at most {CONFIG_BYTES_MAX}"));
        }
        let text = fs::read_to_string(path).with_context(|| format!("config file {shown} cannot be read"))?;
        let mut config: Self = toml::from_str(&text).map_err(|error| anyhow!("config file {shown}: {error}"))?;
        config.origin = Origin { path: path.to_owned(), text };
        Ok(config)
    }
}

impl Component {
    /// Picks what the name stands for; an unknown name is answered with the known ones.
    pub fn choose<T: Copy>(&self, section: &str, origin: &Origin, known: &[(&str, T)]) -> Result<T> {
        let Some(name) = &self.name else { return Ok(known[0].1) };
        let found = known.iter().find(|(known, _)| known == name.get_ref());
        found.map(|(_, choice)| *choice).ok_or_else(|| {
            let names: Vec<_> = known.iter().map(|(name, _)| format!("`{name}`")).collect();
            let at = origin.at(name.span().start);
            anyhow!("{at}: [{section}] use is `{}`, expected {}", name.get_ref(), names.join(" or "))
        })
    }

    /// Where its section is, for what its plug-in has to say about the options.
    pub fn place(&self, section: &str, origin: &Origin) -> String {
        let at = self.config.as_ref().map(|table| origin.at(table.span().start) + ": ").unwrap_or_default();
        format!("{at}[{section}.config]")
    }

    /// The options as they are written; empty when there are none.
    pub fn table(&self) -> toml::Table {
        self.config.as_ref().map(|table| table.get_ref().clone()).unwrap_or_default()
    }

    /// The options as the plug-in's own type.
    pub fn options<T: DeserializeOwned + Default>(&self, section: &str, origin: &Origin) -> Result<T> {
        self.table()
            .try_into()
            .map_err(|error: toml::de::Error| anyhow!("{} {}", self.place(section, origin), error.message()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Config> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        Config::load(Some(file.path()))
    }

    #[track_caller]
    fn check_refused(text: &str, words: &[&str]) {
        let error = format!("{:#}", load(text).unwrap_err());
        words.iter().for_each(|word| assert!(error.contains(word), "`{word}` is not in: {error}"));
    }

    #[test]
    fn the_example_is_valid_and_shows_the_defaults() {
        let config = load(include_str!("../peerstream.example.toml")).unwrap();
        let default = Config::default();
        assert_eq!(config.serve.listen, default.serve.listen);
        assert_eq!(config.stun.listen, default.stun.listen);
        assert_eq!(config.limits.connections_per_address, default.limits.connections_per_address);
    }

    #[test]
    fn mistake_is_told_with_its_line_and_the_alternatives() {
        check_refused("\n[serve]\nlisten_on = 1\n", &["line 3", "listen_on", "`listen`", "`key`"]);
        check_refused("[serve]\nlisten = \"localhost\"\n", &["line 2", "listen"]);
        check_refused("[limits]\nnodes = -1\n", &["line 2"]);
        check_refused("[sevre]\n", &["line 1", "sevre", "`serve`"]);
        check_refused("[serve\n", &["line 1"]);
    }

    #[test]
    fn unknown_plugin_is_told_with_its_line_and_the_known_ones() {
        let config = load("[serve]\n\n[strategy]\nuse = \"dumbell\"\n").unwrap();
        let error = config.strategy.choose("strategy", &config.origin, &[("dumbbell", ())]).unwrap_err().to_string();
        assert!(error.contains(":4: [strategy] use is `dumbell`, expected `dumbbell`"), "{error}");
    }

    #[test]
    fn unknown_option_of_a_plugin_is_told_with_its_section() {
        #[derive(Debug, Default, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        struct Options {
            window: u32,
        }
        let config = load("[transport]\nuse = \"webrtc\"\n[transport.config]\nwindwo = 1\n").unwrap();
        let error = config.transport.options::<Options>("transport", &config.origin).unwrap_err().to_string();
        assert!(error.contains("[transport.config]") && error.contains("`window`"), "{error}");
        let fine = load("[transport.config]\nwindow = 7\n").unwrap();
        assert_eq!(fine.transport.options::<Options>("transport", &fine.origin).unwrap().window, 7);
    }
}
