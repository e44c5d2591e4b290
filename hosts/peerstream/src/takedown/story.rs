//! Cases as a person reads them in a terminal.

use peerstream::traits::compliance::{Action, Actor, Case};
use peerstream::traits::takedown::calendar::{DAY_US, Date};
use peerstream::traits::takedown::counter::{CounterNotice, Suit};
use peerstream::traits::takedown::docket::Verdict;
use peerstream::traits::takedown::ledger::{Entry, Happening};
use peerstream::traits::takedown::text::{tidy, tidy_line};
use serde::Deserialize;
use serde_json::Value;

/// A title or a name in a table is no longer, in characters.
const CELL_CHARS_MAX: usize = 40;
/// Titles of the columns of a list of cases.
const CASES: [&str; 8] = ["CASE", "STATE", "RULES", "LANE", "CAME IN", "DUE", "CLAIMANT", "ABOUT"];
/// And of a list of mails.
const LETTERS: [&str; 7] = ["PUT IN", "CASE", "TO", "FAILED", "NEXT", "SUBJECT", "PROBLEM"];

/// A list of cases as the desk gives it.
pub fn cases(answer: &Value) -> String {
    let rows: Vec<_> = answer["cases"].as_array().into_iter().flatten().map(case_row).collect();
    let count = match (rows.len(), answer["more"] == true) {
        (0, _) => return "no cases\n".into(),
        (1, false) => "1 case".to_owned(),
        (count, false) => format!("{count} cases"),
        (count, true) => format!("{count} cases, and there are more: narrow them down with --state or --text"),
    };
    format!("{}{count}\n", table(CASES, &rows))
}

fn case_row(case: &Value) -> [String; 8] {
    let text = |name: &str| cell(case[name].as_str().unwrap_or_default());
    let day = |name: &str| case[name].as_u64().map_or_else(|| "-".to_owned(), |us| Date::of_us(us).to_string());
    [
        case["case"].to_string(),
        text("state"),
        text("profile"),
        text("lane"),
        day("received_us"),
        day("due_us"),
        text("claimant"),
        text("title"),
    ]
}

/// Mails; nothing when there are none.
pub fn letters(answer: &Value) -> String {
    let rows: Vec<_> = answer["letters"].as_array().into_iter().flatten().map(letter_row).collect();
    if rows.is_empty() {
        return String::new();
    }
    table(LETTERS, &rows)
}

fn letter_row(letter: &Value) -> [String; 7] {
    let next = match (letter["sent_us"].as_u64(), letter["next_us"].as_u64()) {
        (Some(sent), _) => format!("sent {}", time(sent)),
        (None, Some(next)) => time(next),
        (None, None) => "given up".to_owned(),
    };
    let case = letter["case"].as_u64().map_or_else(|| "draft".to_owned(), |case| case.to_string());
    let text = |name: &str| tidy_line(letter[name].as_str().unwrap_or_default());
    let put = time(letter["put_us"].as_u64().unwrap_or_default());
    [put, case, text("to"), letter["tries"].to_string(), next, text("subject"), text("problem")]
}

/// How many mails wait and were given up, in words; nothing when there are none.
pub fn letters_in_short(answer: &Value) -> Option<String> {
    let count = |name: &str| answer[name].as_u64().unwrap_or_default();
    let (waiting, given_up) = (count("waiting"), count("given_up"));
    (waiting + given_up > 0)
        .then(|| format!("mails: {waiting} wait, {given_up} were given up (peerstream takedown letters)"))
}

/// One line of a stranger's text, cut where it is too long.
fn cell(text: &str) -> String {
    let text = tidy_line(text);
    match text.char_indices().nth(CELL_CHARS_MAX) {
        None if text.is_empty() => "-".into(),
        None => text,
        Some(_) => text.chars().take(CELL_CHARS_MAX - 1).chain(['…']).collect(),
    }
}

fn table<const N: usize>(titles: [&str; N], rows: &[[String; N]]) -> String {
    let widths: [usize; N] = std::array::from_fn(|at| {
        let cells = rows.iter().map(|row| row[at].chars().count());
        cells.chain([titles[at].len()]).max().unwrap_or_default()
    });
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    std::iter::once(&titles.map(str::to_owned)).chain(rows).map(line).collect()
}

/// All of a case, as the desk gives it.
#[derive(Deserialize)]
struct Shown {
    case: Case,
    entries: Vec<Entry>,
    steps: Vec<String>,
    counter: Option<CounterNotice>,
    suit: Option<Suit>,
}

/// A case from its notice to what can be done next.
///
/// # Errors
/// The host is of another version: its answer has something else in it.
pub fn case(shown: &Value, letters: &Value) -> Result<String, serde_json::Error> {
    let shown = Shown::deserialize(shown)?;
    let mut story = Story::default();
    story.head(&shown.case);
    story.notice(&shown.case);
    story.evidence(&shown.case);
    story.done(&shown.case);
    if let Some(counter) = &shown.counter {
        story.part("The objection");
        story.fact("by", &tidy_line(&counter.name));
        story.quote(&counter.explanation);
    }
    if let Some(suit) = &shown.suit {
        story.part("The court action");
        story.fact("at", &tidy_line(&format!("{} {}", suit.court, suit.number)));
        story.quote(&suit.explanation);
    }
    story.part("What happened");
    shown.entries.iter().for_each(|entry| story.entry(entry));
    let mails = self::letters(letters);
    if !mails.is_empty() {
        story.part("Mails");
        mails.lines().for_each(|line| story.line(&format!("  {line}")));
    }
    story.line("");
    let steps = if shown.steps.is_empty() { "nothing".into() } else { shown.steps.join(", ") };
    story.line(&format!("You can: {steps}"));
    Ok(story.0)
}

/// Lines of text.
#[derive(Default)]
struct Story(String);

impl Story {
    fn line(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
    }

    fn part(&mut self, title: &str) {
        self.line("");
        self.line(title);
    }

    /// A name and what there is to say; nothing if there is nothing.
    fn fact(&mut self, name: &str, what: &str) {
        let mut lines = what.lines();
        if let Some(first) = lines.next() {
            self.line(&format!("  {name:<12} {first}"));
        }
        lines.for_each(|line| self.line(&format!("  {:<12} {line}", "")));
    }

    /// Words of strangers, marked as such.
    fn quote(&mut self, text: &str) {
        tidy(text).lines().for_each(|line| self.line(&format!("  > {line}")));
    }

    fn head(&mut self, case: &Case) {
        let docket = &case.docket;
        self.line(&format!("Case {}: {} ({})", docket.id, docket.state, docket.profile.word()));
        self.fact("came in", &format!("{} by {}", time(docket.received_us), tidy_line(&docket.channel)));
        let lane = serde_json::to_value(docket.lane).unwrap_or_default();
        self.fact("lane", lane.as_str().unwrap_or_default());
        self.fact("due", &docket.due_us().map(time).unwrap_or_default());
        self.fact("missing", &tidy_line(&docket.missing.join(", ")));
        self.fact("asked for", &tidy_line(&docket.asked.join(", ")));
        let hold = if docket.hold { "nothing is erased" } else { "" };
        self.fact("held", hold);
        self.fact("erased", &docket.erased_us.map(time).unwrap_or_default());
        self.fact("strikes", &format!("{} against this stream", case.strikes));
    }

    fn notice(&mut self, case: &Case) {
        let (docket, notice) = (&case.docket, &case.notice);
        self.part("The notice");
        let claimant = &notice.claimant;
        let confirmed = if docket.confirmed { "address confirmed" } else { "address not confirmed" };
        let who = [&claimant.name, &claimant.organisation, &claimant.email, &claimant.phone, &claimant.country];
        let who: Vec<_> = who.into_iter().map(|it| tidy_line(it)).filter(|it| !it.is_empty()).collect();
        let who =
            if who.is_empty() { "unknown, or erased".into() } else { format!("{} ({confirmed})", who.join(", ")) };
        self.fact("by", &who);
        self.fact("", &tidy_line(&claimant.address));
        self.fact("rejected", &format!("{} notices of theirs", case.claimant_rejected));
        self.fact("work", &tidy(&notice.work.title));
        self.fact("owner", &tidy_line(&notice.work.owner));
        self.fact("at", &tidy_line(&notice.work.url));
        self.fact("broadcast", &docket.epoch.to_string());
        let range = docket.material.times().map(|(from, to)| format!("{} to {}", clock(from), clock(to)));
        self.fact("range", &range.unwrap_or_default());
        self.fact("where", &tidy(&notice.material.place));
        let agreed: Vec<_> = docket.statements.iter().map(|it| tidy_line(&it.id)).collect();
        self.fact("agreed to", &agreed.join(", "));
        self.quote(&notice.explanation);
    }

    fn evidence(&mut self, case: &Case) {
        let docket = &case.docket;
        let Some(evidence) = &docket.evidence else { return };
        self.part("The evidence");
        let bundle = match (&evidence.bundle, evidence.segments) {
            (Some(file), Some(it)) => {
                format!(
                    "segments {} to {} from the {}, {} bytes",
                    it.first,
                    it.end.saturating_sub(1),
                    evidence.source,
                    file.bytes
                )
            }
            (Some(file), None) => format!("from the {}, {} bytes", evidence.source, file.bytes),
            (None, _) => "none".into(),
        };
        self.fact("bundle", &bundle);
        evidence.faults.iter().for_each(|fault| self.fact("fault", &tidy_line(fault)));
        self.fact("copy", &docket.copy.map(|file| format!("{} bytes", file.bytes)).unwrap_or_default());
        if let Some(comparison) = &docket.comparison {
            let verdict = match comparison.verdict {
                Verdict::Match => "the same",
                Verdict::Unclear => "may be the same",
                Verdict::Mismatch => "not the same",
                Verdict::NotCompared => "not compared",
            };
            self.fact("comparison", &format!("{verdict}: {}", tidy_line(&comparison.detail)));
        }
    }

    fn done(&mut self, case: &Case) {
        let docket = &case.docket;
        let Some(ruling) = &docket.ruling else { return };
        self.part("The decision");
        let outcome = if ruling.accepted { "accepted" } else { "rejected" };
        self.fact(outcome, &format!("{} by {}", time(ruling.at_us), actor(&ruling.by)));
        self.quote(&ruling.reason);
        for done in &docket.done {
            let standing = serde_json::to_value(done.standing).unwrap_or_default();
            let error = done.error.as_ref().map(|error| format!(", failed: {}", tidy_line(error))).unwrap_or_default();
            let standing = standing.as_str().unwrap_or_default();
            self.fact("done", &format!("{} ({standing}{error})", action(&done.action)));
        }
        docket.to_do.iter().for_each(|it| self.fact("to do", &action(it)));
        let window = docket.restore_from_us.zip(docket.restore_by_us);
        let window = window.map(|(from, by)| format!("between {} and {}", time(from), time(by)));
        self.fact("shown again", &window.unwrap_or_default());
    }

    fn entry(&mut self, entry: &Entry) {
        let line = format!("  {}  {:<9} {}", time(entry.at_us), actor(&entry.by), happened(&entry.what));
        self.line(line.trim_end());
    }
}

/// `2026-11-29 12:00:05`, UTC.
fn time(us: u64) -> String {
    let second = us % DAY_US / 1_000_000;
    format!("{} {:02}:{:02}:{:02}", Date::of_us(us), second / 3600, second / 60 % 60, second % 60)
}

/// `1:02:03.4` of a broadcast.
fn clock(ms: u64) -> String {
    let second = ms / 1000;
    format!("{}:{:02}:{:02}.{}", second / 3600, second / 60 % 60, second % 60, ms / 100 % 10)
}

fn actor(by: &Actor) -> String {
    match by {
        Actor::Claimant => "claimant".into(),
        Actor::Streamer => "streamer".into(),
        Actor::Operator => "operator".into(),
        Actor::Handler { name, .. } => tidy_line(name),
        Actor::Clock => "host".into(),
    }
}

fn action(action: &Action) -> String {
    match action {
        Action::HideRange { from_ms, to_ms } => format!("hide-range {} to {}", clock(*from_ms), clock(*to_ms)),
        other => other.word().into(),
    }
}

fn actions(all: &[Action]) -> String {
    if all.is_empty() { "nothing is done".into() } else { all.iter().map(action).collect::<Vec<_>>().join(", ") }
}

/// What an entry says.
fn happened(what: &Happening) -> String {
    let with = |what: &str, why: &str| match tidy_line(why) {
        why if why.is_empty() => what.to_owned(),
        why => format!("{what}: {why}"),
    };
    match what {
        Happening::Received(intake) => format!("the notice comes in by {}", tidy_line(&intake.channel)),
        Happening::Asked { fields, answer_by_us } => {
            format!("asks for {}, until {}", tidy_line(&fields.join(", ")), time(*answer_by_us))
        }
        Happening::Completed { missing, .. } if missing.is_empty() => "completes the notice".into(),
        Happening::Completed { missing, .. } => {
            format!("sends the notice again, without {}", tidy_line(&missing.join(", ")))
        }
        Happening::Lapsed => "nothing came in time".into(),
        Happening::Screened { note } => with("a person is to decide", note),
        Happening::Accepted { actions: all, note } => with(&format!("accepts, {}", actions(all)), note),
        Happening::Ordered { actions: all, note } => with(&format!("orders {}", actions(all)), note),
        Happening::Rejected { reason } => with("rejects", reason),
        Happening::Done { action: it, error: None, .. } => format!("has done: {}", action(it)),
        Happening::Done { action: it, error: Some(error), .. } => with(&format!("could not do {}", action(it)), error),
        Happening::Acted => "all has been tried".into(),
        Happening::Undone { error: None, .. } => "has undone it".into(),
        Happening::Undone { error: Some(error), .. } => with("could not undo it", error),
        Happening::Countered { .. } => "objects".into(),
        Happening::Sued { .. } => "reports a court action".into(),
        Happening::Restored { note } => with("has it shown again", note),
        Happening::Reopened { note } => with("opens the case again", note),
        Happening::Withdrawn => "takes the notice back".into(),
        Happening::Closed { note } => with("closes the case", note),
        Happening::Evidence(evidence) if evidence.bundle.is_some() => {
            format!("keeps the evidence of the {}", evidence.source)
        }
        Happening::Evidence(_) => "finds no evidence".into(),
        Happening::Compared(comparison) => with("compares the copy", &comparison.detail),
        Happening::LeftOpen { why } => with("no handler has decided", why),
        Happening::Noted { note } => with("notes", note),
        Happening::Held { hold: true, note } => with("has nothing erased", note),
        Happening::Held { hold: false, note } => with("lets it be erased again", note),
        Happening::Erased { note } => with("personal data is erased", note),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_table_is_as_wide_as_it_must_be_and_strangers_cannot_break_it() {
        let long = "x".repeat(100);
        let row = |case: u64, title: &str| {
            json!({ "case": case, "state": "screened", "profile": "dmca", "lane": "normal", "received_us": 0, "due_us": null,
                "claimant": "A. Author", "title": title })
        };
        let text = cases(&json!({ "cases": [row(1, "a\nfilm\u{1b}[31m\u{202e}"), row(23, &long)], "more": false }));
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "CASE  STATE     RULES  LANE    CAME IN     DUE  CLAIMANT   ABOUT");
        assert_eq!(lines[1], "1     screened  dmca   normal  1970-01-01  -    A. Author  a film[31m");
        assert!(lines[2].ends_with(&format!("{}…", "x".repeat(CELL_CHARS_MAX - 1))), "{}", lines[2]);
        assert_eq!(lines[3], "2 cases");
    }

    #[test]
    fn times_are_shown_as_people_write_them() {
        assert_eq!(time(1_790_000_000_000_000), "2026-09-21 14:13:20");
        assert_eq!(clock(3_723_450), "1:02:03.4");
    }
}
