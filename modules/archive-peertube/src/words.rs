//! What people read on the site: names, descriptions, chapters; and the mark that ties a video to its signed original.

use serde_json::{Value, json};

use crate::api::Fields;
use crate::config::{Config, Privacy};
use crate::show::{Chapter, Part, Show};

/// PeerTube's bounds of a name, in characters.
const NAME_CHARS: std::ops::RangeInclusive<usize> = 3..=120;
/// PeerTube's bound of a description, in characters.
const DESCRIPTION_CHARS_MAX: usize = 10_000;
/// PeerTube's bound of a playlist's description, in characters.
const PLAYLIST_CHARS_MAX: usize = 1_000;
/// PeerTube's bound of a chapter's title, in characters.
const CHAPTER_CHARS_MAX: usize = 100;
/// Gaps that a description names.
const GAPS_SHOWN: usize = 20;

/// A text of so many characters at most, on one line.
fn line(text: &str, chars_max: usize) -> String {
    let plain: String = text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect();
    let plain = plain.trim();
    match plain.char_indices().nth(chars_max) {
        Some(_) => format!("{}…", plain.chars().take(chars_max - 1).collect::<String>().trim_end()),
        None => plain.to_owned(),
    }
}

/// A name as PeerTube takes it: `base`, shortened so that `rest` fits behind it.
fn name_of(base: &str, rest: &str) -> String {
    let room = NAME_CHARS.end() - rest.chars().count();
    let name = format!("{}{rest}", line(base, room));
    if name.chars().count() < *NAME_CHARS.start() { format!("Live: {name}") } else { name }
}

/// What the show is called: the config's name, filled in.
fn title(config: &Config, show: &Show) -> String {
    let date = date(show.began_us.unwrap_or_default());
    let title = show.title.as_deref().filter(|title| !title.trim().is_empty()).unwrap_or("Live");
    config.name.replace("{title}", title).replace("{date}", &date)
}

/// What a part's video is called; the only one of a whole broadcast has no number.
pub(crate) fn name(config: &Config, show: &Show, number: usize) -> String {
    let single = config.whole && show.parts.len() <= 1;
    let rest = if single { String::new() } else { format!(", part {number}") };
    name_of(&title(config, show), &rest)
}

/// The mark in a video's `support` field, by which it is found and tied to the signed original.
pub(crate) fn mark(show: &Show, part: &Part) -> String {
    let Part { first, end, proof, .. } = part;
    format!(
        "peerstream {}/{} segments {first}-{} headers blake3:{proof}",
        show.stream,
        show.epoch,
        end.saturating_sub(1)
    )
}

/// The mark of a broadcast's playlist.
pub(crate) fn playlist_mark(show: &Show) -> String {
    format!("peerstream {}/{}", show.stream, show.epoch)
}

fn description(config: &Config, show: &Show, part: &Part) -> String {
    let from = part.start_us.saturating_sub(show.start_us.unwrap_or(part.start_us)) / 1_000_000;
    let to = from + part.duration_us / 1_000_000;
    let began = show.began_us.unwrap_or_default();
    let mut text = format!("{} to {} of a live broadcast that began {} UTC.", clock(from), clock(to), moment(began));
    if !part.gaps.is_empty() {
        let missing = |&(first, end): &(u64, u64)| match end - 1 {
            last if last == first => format!("{first}"),
            last => format!("{first}-{last}"),
        };
        let named: Vec<_> = part.gaps.iter().take(GAPS_SHOWN).map(missing).collect();
        let more = if part.gaps.len() > GAPS_SHOWN { " and others" } else { "" };
        text += &format!(" Missing: segments {}{more}.", named.join(", "));
    }
    text += &format!("\n\nSigned original: {}", mark(show, part));
    let room = DESCRIPTION_CHARS_MAX - text.chars().count() - 3;
    let own: String = config.description.trim().chars().take(room).collect();
    if own.is_empty() { text } else { format!("{own}\n\n{text}") }
}

/// Who may see a video now.
pub(crate) fn privacy(config: &Config, show: &Show) -> Privacy {
    if show.published { config.privacy } else { config.first_privacy() }
}

/// What PeerTube is told of an upload.
pub(crate) fn facts(config: &Config, show: &Show, number: usize, channel: u64) -> Value {
    let part = &show.parts[number - 1];
    json!({
        "channelId": channel,
        "name": name(config, show, number),
        "filename": format!("{}-{}-{number:04}.mp4", &show.stream.get(..8).unwrap_or("stream"), show.epoch),
        "privacy": privacy(config, show).number(),
        "description": description(config, show, part),
        "support": mark(show, part),
        "waitTranscoding": true,
    })
}

/// What PeerTube is told of a playlist.
pub(crate) fn playlist(config: &Config, show: &Show, channel: u64) -> Fields {
    let mark = playlist_mark(show);
    let room = PLAYLIST_CHARS_MAX - mark.len() - 2;
    let own: String = config.description.trim().chars().take(room).collect();
    let description = if own.is_empty() { mark } else { format!("{own}\n\n{mark}") };
    vec![
        ("displayName", name_of(&title(config, show), "")),
        ("description", description),
        ("privacy", privacy(config, show).of_playlist().to_string()),
        ("videoChannelId", channel.to_string()),
    ]
}

/// What PeerTube is told of the live video when it is made.
pub(crate) fn live(config: &Config, title: Option<&str>, channel: u64) -> Fields {
    vec![
        ("channelId", channel.to_string()),
        ("name", live_name(config, title)),
        ("privacy", config.privacy.number().to_string()),
        ("permanentLive", "true".into()),
        ("saveReplay", config.replay.to_string()),
        ("replaySettings[privacy]", config.privacy.number().to_string()),
        ("latencyMode", "1".into()),
    ]
}

/// What the live video is called while this is on.
pub(crate) fn live_name(config: &Config, title: Option<&str>) -> String {
    let title = title.filter(|title| !title.trim().is_empty()).unwrap_or("Live");
    name_of(&config.name.replace("{title}", title).replace("{date}", "").replace("  ", " "), "")
}

/// Chapters as PeerTube takes them: none unless there are two.
pub(crate) fn chapters(part: &Part) -> Vec<Chapter> {
    let titled = |Chapter { at_s, title }: &Chapter| {
        let title = match (line(title, CHAPTER_CHARS_MAX), at_s) {
            (title, 0) if title.is_empty() => "Start".into(),
            (title, _) if title.is_empty() => "…".into(),
            (title, _) => title,
        };
        Chapter { at_s: *at_s, title }
    };
    let mut chapters: Vec<_> = part.chapters.iter().map(titled).collect();
    if chapters.first().is_some_and(|first| first.at_s > 0) {
        // A beginning without a title still needs a chapter of its own.
        chapters.insert(0, Chapter { at_s: 0, title: "Start".into() });
    }
    if chapters.len() < 2 { Vec::new() } else { chapters }
}

/// Seconds as hours, minutes and seconds.
pub(crate) fn clock(seconds: u64) -> String {
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// A time as a date and the minute.
fn moment(us: u64) -> String {
    let minutes = us / 60_000_000;
    format!("{} {:02}:{:02}", date(us), minutes / 60 % 24, minutes % 60)
}

/// A time, microseconds since 1970, as a date of the Gregorian calendar.
fn date(us: u64) -> String {
    // Days are counted from 1 March of year 0, so that the leap day is the last of a year.
    let days = us / 86_400_000_000 + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year + u64::from(month <= 2);
    format!("{year}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::show::Playlist;

    fn show(title: &str, parts: usize) -> Show {
        let part = Part { first: 3, end: 9, start_us: 65_000_000, duration_us: 5_000_000, ..Part::default() };
        Show {
            stream: "ab".repeat(32),
            epoch: 7,
            title: Some(title.into()),
            began_us: Some(1_700_000_000_000_000),
            start_us: Some(5_000_000),
            ended: false,
            playlist: Playlist::None,
            parts: vec![part; parts],
            published: false,
        }
    }

    #[test]
    fn a_part_says_what_it_is_and_which_original_it_is_of() {
        let config = Config { description: "Every Friday.".into(), unlisted_until_end: true, ..Config::default() };
        let mut show = show("Friday night", 2);
        show.parts[1].gaps = vec![(4, 6)];
        show.parts[1].proof = "00ff".into();
        let facts = facts(&config, &show, 2, 5);
        assert_eq!((&facts["name"], &facts["privacy"]), (&json!("Friday night, part 2"), &json!(2)));
        let mark = format!("peerstream {}/7 segments 3-8 headers blake3:00ff", "ab".repeat(32));
        assert_eq!(facts["support"], mark);
        let expected = format!(
            "Every Friday.\n\n00:01:00 to 00:01:05 of a live broadcast that began 2023-11-14 22:13 UTC. \
             Missing: segments 4-5.\n\nSigned original: {mark}"
        );
        assert_eq!(facts["description"], expected);
        assert_eq!(name(&Config { whole: true, ..config }, &self::show("x", 1), 1), "Live: x");
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        let day = 86_400_000_000;
        for (days, expected) in [(0, "1970-01-01"), (58, "1970-02-28"), (59, "1970-03-01"), (11_016, "2000-02-29")] {
            assert_eq!(date(days * day + 1), expected);
        }
        assert_eq!((date(20_786 * day), moment(90_000_000)), ("2026-11-29".into(), "1970-01-01 00:01".into()));
    }

    #[test]
    fn a_beginning_without_title_is_a_chapter_and_one_chapter_is_none() {
        let chapter = |at_s, title: &str| Chapter { at_s, title: title.into() };
        let part = |chapters| Part { chapters, ..Part::default() };
        assert_eq!(chapters(&part(vec![chapter(0, "a")])), []);
        assert_eq!(chapters(&part(vec![chapter(9, "a")])), [chapter(0, "Start"), chapter(9, "a")]);
    }

    proptest! {
        #[test]
        fn any_title_becomes_a_name_that_is_taken(title in ".{0,300}", number in 1usize..5_000) {
            let shown = name(&Config::default(), &show(&title, 5_000), number);
            let chars = shown.chars().count();
            prop_assert!(NAME_CHARS.contains(&chars), "{chars}");
            let (has_number, has_control) = (shown.ends_with(&format!(", part {number}")), shown.chars().any(char::is_control));
            prop_assert!(has_number && !has_control, "{}", shown);
        }
    }
}
