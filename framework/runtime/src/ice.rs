//! ICE servers as a node gets them.

/// Stands in an ICE url for the host of the node's own control endpoint, as in `stun:?:3478`.
///
/// A source that answers STUN itself cannot know by which of its names and addresses a viewer reaches it; the viewer does.
pub const ENDPOINT_HOST: &str = "?";

/// The urls with [`ENDPOINT_HOST`] replaced by `host`; those that need a host are left out when there is none.
pub fn resolve(urls: &[String], host: Option<&str>) -> Vec<String> {
    urls.iter().filter_map(|url| resolve_one(url, host)).collect()
}

fn resolve_one(url: &str, host: Option<&str>) -> Option<String> {
    let Some((scheme, rest)) = url.split_once(':') else { return Some(url.to_owned()) };
    match rest.strip_prefix(ENDPOINT_HOST) {
        Some(port) if port.is_empty() || port.starts_with(':') => Some(format!("{scheme}:{}{port}", host?)),
        _ => Some(url.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, host: Option<&str>, want: &[&str]) {
        assert_eq!(resolve(&[url.to_owned()], host), want, "{url} with {host:?}");
    }

    #[test]
    fn question_mark_becomes_the_endpoints_host() {
        check("stun:?:3478", Some("example.org"), &["stun:example.org:3478"]);
        check("stun:?:3478", Some("[2001:db8::1]"), &["stun:[2001:db8::1]:3478"]);
        check("stun:?", Some("192.0.2.1"), &["stun:192.0.2.1"]);
    }

    #[test]
    fn other_urls_stay_as_they_are() {
        check("stun:203.0.113.7:3478", Some("example.org"), &["stun:203.0.113.7:3478"]);
        check("turn:h:3478?transport=udp", Some("example.org"), &["turn:h:3478?transport=udp"]);
        check("stun:?x:1", Some("example.org"), &["stun:?x:1"]);
    }

    #[test]
    fn url_without_a_known_host_is_left_out() {
        check("stun:?:3478", None, &[]);
    }
}
