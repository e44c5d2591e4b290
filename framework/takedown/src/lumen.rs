//! A case in the shape in which the Lumen database takes notices, without personal data unless it is asked for.

use serde_json::{Value, json};

use crate::calendar::Date;
use crate::docket::Docket;
use crate::notice::{Notice, Profile};
use crate::record::Person;
use crate::state::State;

/// In place of what is left out.
pub const REDACTED: &str = "[redacted]";

/// Who hands the notice on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// Its name.
    pub name: String,
    /// The page of the stream.
    pub url: String,
}

/// The case for Lumen's `POST /notices`. Names are in it only where `person` is given; addresses, telephone numbers and mail addresses never.
pub fn export(docket: &Docket, notice: &Notice, person: Option<&Person>, host: &Host) -> Value {
    let name = |text: Option<&str>| match text {
        Some(text) if !text.is_empty() => text.to_owned(),
        _ => REDACTED.to_owned(),
    };
    let sender = name(person.map(|it| it.claimant.name.as_str()));
    let principal = match person {
        Some(it) if !it.claimant.organisation.is_empty() => it.claimant.organisation.clone(),
        _ if notice.work.owner.is_empty() => sender.clone(),
        Some(_) => notice.work.owner.clone(),
        // Who owns a work may be a person.
        None => REDACTED.to_owned(),
    };
    let title = notice.work.title.lines().next().unwrap_or_default().to_owned();
    let (kind, jurisdictions) = match docket.profile {
        Profile::Dmca => ("DMCA", json!(["US"])),
        Profile::Dsa => ("LocalLaw", json!(["EU"])),
        Profile::HouseRules => ("Other", json!([])),
    };
    let day = Date::of_us(docket.received_us).to_string();
    let copyrighted = if notice.work.url.is_empty() { json!([]) } else { json!([{ "url": notice.work.url }]) };
    json!({
        "notice": {
            "type": kind,
            "title": format!("Notice {} about {}", docket.id, if title.is_empty() { "a broadcast" } else { &title }),
            "subject": title,
            "body": if person.is_some() { notice.explanation.as_str() } else { REDACTED },
            "date_sent": day,
            "date_received": day,
            "action_taken": action_taken(docket),
            "language": "en",
            "jurisdiction_list": jurisdictions,
            "works_attributes": [{
                "kind": if notice.work.kind.is_empty() { "other" } else { &notice.work.kind },
                "description": notice.work.title,
                "infringing_urls_attributes": [{ "url": place(docket, host) }],
                "copyrighted_urls_attributes": copyrighted,
            }],
            "entity_notice_roles_attributes": [
                { "name": "sender", "entity_attributes": { "name": sender } },
                { "name": "principal", "entity_attributes": { "name": principal } },
                { "name": "recipient", "entity_attributes": { "name": host.name } },
                { "name": "submitter", "entity_attributes": { "name": host.name } },
            ],
        }
    })
}

fn action_taken(docket: &Docket) -> &'static str {
    match docket.state {
        State::Actioned | State::CounterReceived | State::SuitFiled => "Yes",
        State::Accepted => "Partial",
        _ => "No",
    }
}

/// The stream's page with the broadcast and the time, as the player shows it.
fn place(docket: &Docket, host: &Host) -> String {
    let time = docket.material.times().map(|(from, to)| format!("&t={},{}", from / 1000, to.div_ceil(1000)));
    format!("{}#epoch={}{}", host.url, docket.epoch, time.unwrap_or_default())
}
