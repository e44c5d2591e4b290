//! A node's status as JSON, once or twice a second, for people and tests.

use std::fmt::Write;

use peerstream_node::Status;
use peerstream_protocol::control::Figures;
use peerstream_protocol::id::NodeId;

/// Writes a status as a JSON object.
pub fn to_json(status: &Status) -> String {
    let mut object = Object::new();
    object.text("node", status.node);
    object.text("stream", status.stream);
    object.plain("epoch", status.epoch.map_or("null".into(), |epoch| epoch.0.to_string()));
    object.plain("control", status.control);
    object.plain("feeders", names(&status.feeders));
    object.plain("fed", names(&status.fed));
    object.text("backup", status.backup);
    object.plain("links", status.links);
    object.plain("relay", status.relay);
    object.plain("zero_ms", status.zero_us.map_or("null".into(), |zero| (zero as f64 / 1_000.0).to_string()));
    object.plain("fallback", status.fallback);
    object.plain("fetched", status.counters.fetched);
    object.plain("behind_ms", status.behind.map_or("null".into(), |it| it.behind.as_millis().to_string()));
    object.plain("keepers", status.behind.map_or(0, |it| it.keepers));
    object.plain("kept_ms", status.kept.as_millis());
    object.plain("kept_bytes", status.kept_bytes);
    object.plain("past_sent", status.counters.past_sent);
    object.plain("past_from_peers", status.counters.past_from_peers);
    object.plain("past_from_host", status.counters.past_from_host);
    object.plain("past_lost", status.counters.past_lost);
    object.plain("target_ms", status.target.0 / 1_000);
    object.plain("jitter_ms", status.jitter.0 / 1_000);
    object.plain("figures", figures(&status.figures));
    object.finish()
}

fn figures(figures: &Figures) -> String {
    let mut object = Object::new();
    object.plain("next", figures.next.0);
    object.plain("received_lag_ms", figures.received_lag_ms);
    object.plain("lag_ms", figures.lag_ms);
    object.plain("payload_received", figures.payload_received);
    object.plain("payload_repeated", figures.payload_repeated);
    object.plain("payload_sent", figures.payload_sent);
    object.plain("overhead_sent", figures.overhead_sent);
    object.plain("delivered", figures.delivered);
    object.plain("skipped", figures.skipped);
    object.plain("stalls", figures.stalls);
    object.plain("offences", figures.offences);
    object.plain("uplink_kbps", figures.uplink_kbps);
    object.finish()
}

fn names(nodes: &[NodeId]) -> String {
    let quoted: Vec<_> = nodes.iter().map(|node| format!("\"{node}\"")).collect();
    format!("[{}]", quoted.join(","))
}

/// A JSON object being written. Texts are names and keys, which need no escapes.
struct Object(String);

impl Object {
    fn new() -> Self {
        Self("{".into())
    }

    fn plain(&mut self, key: &str, value: impl std::fmt::Display) {
        let comma = if self.0.len() > 1 { "," } else { "" };
        // Writing into a String cannot fail.
        let _ = write!(self.0, "{comma}\"{key}\":{value}");
    }

    fn text(&mut self, key: &str, value: Option<impl std::fmt::Display>) {
        self.plain(key, value.map_or("null".into(), |value| format!("\"{value}\"")));
    }

    fn finish(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

#[cfg(test)]
mod tests {
    use peerstream_protocol::crypto::PublicKey;
    use peerstream_protocol::id::Epoch;

    use super::*;

    #[test]
    fn a_status_is_valid_json() {
        let status = Status {
            node: Some(NodeId((1 << 32) | 7)),
            stream: Some(PublicKey([0xab; 32])),
            epoch: Some(Epoch(1_700_000_000_000)),
            feeders: vec![NodeId::SOURCE],
            fed: vec![NodeId(8), NodeId(9)],
            ..Status::default()
        };
        let json: serde_json::Value = serde_json::from_str(&to_json(&status)).unwrap();
        assert_eq!(json["node"], "n7");
        assert_eq!(json["stream"], "ab".repeat(32));
        assert_eq!(json["feeders"], serde_json::json!(["source"]));
        assert_eq!(json["fed"], serde_json::json!(["n8", "n9"]));
        assert_eq!(json["backup"], serde_json::Value::Null);
        assert_eq!(json["figures"]["stalls"], 0);
    }

    #[test]
    fn a_node_that_knows_nothing_has_a_status() {
        let json: serde_json::Value = serde_json::from_str(&to_json(&Status::default())).unwrap();
        assert_eq!(json["node"], serde_json::Value::Null);
    }
}
