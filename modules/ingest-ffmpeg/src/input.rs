//! What ffmpeg reads, and which protocols it may use for that.

/// What is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// A test picture with a tone.
    Test,
    /// A file, by its path.
    File(String),
    /// Anything with a scheme.
    Url {
        /// In lower case.
        scheme: String,
        /// The whole of it, with its secrets.
        url: String,
    },
}

/// What each scheme needs. No network input may read files: a playlist from a stranger could name any.
const SCHEMES: [(&[&str], &str); 8] = [
    (&["srt"], "srt"),
    (&["rist"], "rist"),
    (&["rtsp", "rtsps"], "rtp,srtp,udp,tcp,tls,http,https"),
    (&["http", "https"], "http,https,httpproxy,tcp,tls,crypto"),
    (
        &["rtmp", "rtmps", "rtmpt", "rtmpe", "rtmpte", "rtmpts"],
        "rtmp,rtmps,rtmpt,rtmpe,rtmpte,rtmpts,ffrtmphttp,ffrtmpcrypt,http,https,tcp,tls",
    ),
    (&["udp", "rtp"], "udp,rtp,srtp"),
    (&["tcp"], "tcp"),
    (&["tls"], "tls,tcp"),
];

impl Input {
    /// From what a config says; `free` allows any scheme, because the config names the protocols itself.
    ///
    /// Only `SCHEME://` makes a URL: `concat:a|b`, `subfile,,:x` and the like are names of files, which are not there.
    pub(crate) fn read(text: &str, free: bool) -> Result<Self, String> {
        if text.is_empty() || text.contains('\0') {
            return Err("is empty, expected a URL, a path or `test`".into());
        }
        if text == "test" {
            return Ok(Self::Test);
        }
        let Some((scheme, rest)) = text.split_once("://") else { return Ok(Self::File(text.into())) };
        let scheme = scheme.to_ascii_lowercase();
        if !scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Ok(Self::File(text.into()));
        }
        if scheme == "file" {
            return Ok(Self::File(rest.into()));
        }
        if !free && protocols_of(&scheme).is_none() {
            let known: Vec<_> = SCHEMES.iter().map(|(schemes, _)| schemes[0]).collect();
            let known = known.join(", ");
            return Err(format!(
                "has the scheme `{scheme}`, expected one of {known}; for others name what ffmpeg may use in `protocols`"
            ));
        }
        Ok(Self::Url { scheme, url: text.into() })
    }

    /// What ffmpeg is told to open.
    pub(crate) fn argument(&self) -> String {
        match self {
            Self::Test => String::new(),
            // With its protocol in front no name is taken for a URL or an option.
            Self::File(path) => format!("file:{path}"),
            Self::Url { url, .. } => url.clone(),
        }
    }

    /// The protocols it needs, for `-protocol_whitelist`.
    pub(crate) fn protocols(&self) -> &'static str {
        match self {
            Self::Test => "",
            Self::File(_) => "file",
            Self::Url { scheme, .. } => protocols_of(scheme).unwrap_or_default(),
        }
    }

    /// The protocol without which nothing goes; none if that is not known.
    pub(crate) fn protocol(&self) -> Option<&str> {
        match self {
            Self::Test => None,
            Self::File(_) => Some("file"),
            Self::Url { scheme, .. } if scheme.starts_with("rtsp") => Some("rtp"),
            Self::Url { scheme, .. } => Some(scheme),
        }
    }

    /// Whether it is there as a whole, so that its end is the end.
    pub(crate) fn is_stored(&self) -> bool {
        matches!(self, Self::File(_) | Self::Test)
    }

    /// Whether it must be kept to real time. HLS over HTTP comes in bursts of whole segments.
    pub(crate) fn is_paced(&self) -> bool {
        match self {
            Self::Test | Self::File(_) => true,
            Self::Url { scheme, .. } => scheme.starts_with("http"),
        }
    }

    /// Whether ffmpeg waits for somebody to connect: it is not asked twice, and not hurried.
    pub(crate) fn listens(&self, options: &[String]) -> bool {
        let Self::Url { scheme, url } = self else { return false };
        let query = url.split_once('?').map_or("", |(_, query)| query);
        let asked = query.split('&').any(|part| matches!(part, "mode=listener" | "listen" | "listen=1" | "listen=2"));
        let by_option = options.windows(2).any(|pair| match pair[0].as_str() {
            "-listen" => pair[1] != "0",
            "-mode" | "-rtsp_flags" => pair[1].starts_with("listen"),
            _ => false,
        });
        asked || by_option || matches!(scheme.as_str(), "udp" | "rtp")
    }

    /// Whether what comes is MPEG-TS, as far as can be said before.
    pub(crate) fn is_transport_stream(&self) -> bool {
        matches!(self, Self::Url { scheme, .. } if matches!(scheme.as_str(), "srt" | "rist" | "udp" | "tcp"))
    }
}

fn protocols_of(scheme: &str) -> Option<&'static str> {
    SCHEMES.iter().find(|(schemes, _)| schemes.contains(&scheme)).map(|&(_, protocols)| protocols)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(text: &str) -> Input {
        Input::read(text, false).unwrap()
    }

    #[test]
    fn no_network_input_may_read_files() {
        for (schemes, protocols) in SCHEMES {
            let bad = |name: &str| matches!(name, "file" | "concat" | "subfile" | "pipe" | "data" | "fd" | "unix");
            assert!(!protocols.split(',').any(bad), "{schemes:?}");
        }
    }

    #[test]
    fn tricks_are_names_of_files() {
        for trick in ["concat:a|b", "subfile,,start,0,end,9,,:/etc/passwd", "data:text,x", "-i", "pipe:0", "cache:x"] {
            assert_eq!(input(trick).argument(), format!("file:{trick}"));
        }
        assert_eq!(input("file:///srv/a.mp4").argument(), "file:/srv/a.mp4");
    }

    #[test]
    fn schemes_that_are_not_known_need_a_list_of_their_own() {
        let said = Input::read("gopher://x", false).unwrap_err();
        assert!(said.contains("`gopher`") && said.contains("srt, rist"), "{said}");
        assert!(Input::read("gopher://x", true).is_ok());
        assert!(Input::read("concat://x", false).is_err());
    }

    #[test]
    fn it_is_known_who_waits_for_a_caller() {
        let none: &[String] = &[];
        assert!(input("srt://:9000?passphrase=x&mode=listener").listens(none));
        assert!(!input("srt://host:9000?mode=caller").listens(none));
        assert!(input("rtmp://0.0.0.0/live").listens(&["-listen".into(), "1".into()]));
        assert!(input("rtsp://0.0.0.0:8554/x").listens(&["-rtsp_flags".into(), "listen".into()]));
        assert!(input("udp://239.0.0.1:5000").listens(none));
        assert!(!input("a.mp4").listens(none) && !input("test").listens(none));
    }
}
