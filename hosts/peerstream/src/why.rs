//! `why`: the story of a node, in words.

use std::process::ExitCode;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::banner;
use crate::cli::WhyArgs;
use crate::failure::Failure;
use crate::locate::{ask_with, folder};

/// `peerstream why`
pub async fn run(args: WhyArgs) -> Result<ExitCode, Failure> {
    let url = folder(&args.url).map_err(Failure::Usage)?;
    let url =
        url.join("api/v1/nodes/").and_then(|nodes| nodes.join(&args.node)).context("the address takes no path")?;
    let token = args.token;
    let story = tokio::task::spawn_blocking(move || ask_with(&url, token.as_deref()))
        .await
        .context("asking was interrupted")?;
    let story: Value = story.with_context(|| format!("nothing is known of node {}", args.node))?;
    lines(&story).iter().for_each(|line| banner::line(line));
    Ok(ExitCode::SUCCESS)
}

/// The story as lines for people.
fn lines(story: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    let id = text(&story["id"]);
    let now = &story["now"];
    if now.is_null() {
        lines.push(format!("{id} is gone"));
    } else {
        lines.push(format!("{id}, {}, here for {}", text(&now["role"]), span(&now["age"])));
        lines.push(format!("place: {}", text(&story["place"])));
        lines.push(format!(
            "told: parent {}, backup {}, standby {}",
            text(&now["parent"]),
            text(&now["backup"]),
            text(&now["standby"])
        ));
        lines.push(format!("reported {} ago: {}", span(&now["silent"]), reported(now)));
        lines.push(format!("judged: {}", judged(now)));
    }
    let moments = story["moments"].as_array().map(Vec::as_slice).unwrap_or_default();
    lines.extend(moments.iter().map(|moment| format!("{:>10} ago  {}", span(&moment["ago"]), happening(moment))));
    lines
}

fn reported(now: &Value) -> String {
    let links = now["links"].as_array().map(Vec::as_slice).unwrap_or_default();
    let of = |mark: &str| {
        let peers = links
            .iter()
            .filter(|link| link[mark].as_u64().is_some_and(|stripes| stripes > 0))
            .map(|link| text(&link["peer"]));
        let peers: Vec<_> = peers.collect();
        if peers.is_empty() { "nobody".to_owned() } else { peers.join(" ") }
    };
    let figures = &now["figures"];
    format!(
        "fed by {}, feeds {}, next segment {}, {} ms behind the source, {} given up",
        of("feeds_me"),
        of("fed_by_me"),
        text(&figures["next"]),
        text(&figures["received_lag_ms"]),
        text(&figures["skipped"]),
    )
}

fn judged(now: &Value) -> String {
    let mut verdicts = Vec::new();
    if now["connected"] == false {
        verdicts.push("its control connection is broken".to_owned());
    }
    if now["suspected"] == true {
        verdicts.push("a neighbour says that it has fallen silent".to_owned());
    }
    if now["struggling"] == true {
        verdicts.push("it does not get the stream as it should".to_owned());
    }
    if let Some(fault) = now["fault"].as_str() {
        verdicts.push(format!("it underperforms as a {fault}"));
    }
    if verdicts.is_empty() { "nothing against it".to_owned() } else { verdicts.join(", ") }
}

/// A happening: its name, and what belongs to it.
fn happening(moment: &Value) -> String {
    let details = moment.as_object().into_iter().flatten();
    let details = details.filter(|(key, _)| !matches!(key.as_str(), "ago" | "what"));
    let details: String = details.map(|(key, value)| format!(" {key} {}", text(value))).collect();
    format!("{}{details}", text(&moment["what"]))
}

/// A value without its quotation marks.
fn text(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(values) if values.is_empty() => "none".to_owned(),
        Value::Array(values) => values.iter().map(text).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}

/// Microseconds as seconds.
fn span(micros: &Value) -> String {
    format!("{:.1} s", micros.as_u64().unwrap_or_default() as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_story_tells_the_place_the_report_the_verdict_and_what_happened() {
        let story = json!({
            "id": "n5", "place": "A3 on level 1",
            "now": {
                "role": "Viewer", "age": 12_300_000, "parent": "n1", "backup": null, "standby": ["source", "n2"],
                "silent": 400_000, "connected": true, "suspected": false, "struggling": true, "fault": "relay",
                "links": [{ "peer": "n1", "feeds_me": 3, "fed_by_me": 0 }],
                "figures": { "next": 77, "received_lag_ms": 210, "skipped": 3 },
            },
            "moments": [{ "ago": 12_300_000, "what": "joined" }, { "ago": 2_000_000, "what": "suspected", "by": "n1" }],
        });
        let lines = lines(&story);
        assert_eq!(lines[0], "n5, Viewer, here for 12.3 s");
        assert_eq!(lines[2], "told: parent n1, backup none, standby source n2");
        assert!(lines[3].contains("fed by n1, feeds nobody, next segment 77, 210 ms"), "{}", lines[3]);
        assert_eq!(lines[4], "judged: it does not get the stream as it should, it underperforms as a relay");
        assert_eq!(lines[6], "     2.0 s ago  suspected by n1");
        assert_eq!(super::lines(&json!({ "id": "n9", "now": null, "moments": [] })), ["n9 is gone"]);
    }
}
