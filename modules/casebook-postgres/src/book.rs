//! The casebook.

use peerstream_sdk::traits::casebook::{
    CASES_MAX, Casebook, Change, ENTRIES_MAX, GIVEN_UP_MAX, LETTERS_GIVEN_MAX, LetterCounts, Query, SENT_MAX,
};
use peerstream_sdk::traits::takedown::hex::Digest;
use peerstream_sdk::traits::takedown::ledger::Head;
use peerstream_sdk::traits::takedown::outbox::{About, Fate};
use peerstream_sdk::traits::takedown::{Docket, Draft, Posted, Record, Signed, State};
use peerstream_sdk::traits::{PluginError, Secret};
use serde::de::DeserializeOwned;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Row, Transaction};

use crate::session::{Session, WAIT, WAIT_LONG};

/// What a statement is given.
type Values<'a> = &'a [&'a (dyn ToSql + Sync)];

/// Which letters were given up.
const GIVEN_UP: &str = "next_us is null and sent_us is null";

/// Cases in one schema of a database.
#[derive(Debug)]
pub struct Postgres(Session);

impl Postgres {
    /// Opens a database or begins the cases in it, and keeps other hosts out. From an address such as
    /// `postgres://user:password@host/database?sslmode=require`; without `sslmode`, TLS is demanded of a server on another machine.
    ///
    /// # Errors
    /// It cannot be reached, a later version has written it, or another host has it open.
    pub fn open(url: &Secret) -> Result<Self, PluginError> {
        let mut session = Session::new(url)?;
        // A thread of its own: the caller may be in one in which nobody may wait.
        let opened = std::thread::scope(|scope| {
            let opening = scope.spawn(|| session.run(WAIT, async |_| Ok(())));
            opening.join().unwrap_or_else(|_| Err(PluginError::unavailable("the database could not be opened")))
        });
        opened.map(|()| Self(session))
    }

    fn rows(&mut self, sql: &str, values: Values<'_>) -> Result<Vec<Row>, PluginError> {
        self.0.run(WAIT, async |client| client.query(sql, values).await)
    }

    /// One row's JSON, if there is one.
    fn one<T: DeserializeOwned>(&mut self, sql: &str, values: Values<'_>) -> Result<Option<T>, PluginError> {
        Ok(self.all(sql, values)?.pop())
    }

    /// All rows' JSON.
    fn all<T: DeserializeOwned>(&mut self, sql: &str, values: Values<'_>) -> Result<Vec<T>, PluginError> {
        self.rows(sql, values)?.iter().map(|row| read(row.get(0))).collect()
    }

    fn numbers(&mut self, sql: &str, values: Values<'_>) -> Result<Vec<u64>, PluginError> {
        Ok(self.rows(sql, values)?.iter().map(|row| row.get::<_, i64>(0) as u64).collect())
    }

    fn count(&mut self, sql: &str, values: Values<'_>) -> Result<u64, PluginError> {
        Ok(self.numbers(sql, values)?.pop().unwrap_or_default())
    }

    fn execute(&mut self, sql: &str, values: Values<'_>) -> Result<(), PluginError> {
        self.0.run(WAIT, async |client| client.execute(sql, values).await.map(drop))
    }

    /// After a failure in which nobody knows whether the entry was kept: whoever holds the lock again can tell.
    fn has_kept(&mut self, entry: &Signed) -> Result<bool, PluginError> {
        let kept: Option<Signed> =
            self.one("select line from entries where number = $1", &[&column(entry.entry.number)])?;
        Ok(kept.as_ref() == Some(entry))
    }
}

fn read<T: DeserializeOwned>(text: &str) -> Result<T, PluginError> {
    serde_json::from_str(text)
        .map_err(|error| PluginError::invalid(format!("what is in the database cannot be read: {error}")))
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("what is kept is JSON")
}

/// A number as a column holds it; larger ones are as good as the largest.
fn column(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Text with a zero in it, which strangers may ask for and no column can hold.
fn is_nobodys(text: &str) -> bool {
    text.contains('\0')
}

async fn keep(client: &mut Client, change: &Change<'_>) -> Result<(), Error> {
    let Change { entry, docket, records, draft, letters, erase } = change;
    let to = client.transaction().await?;
    let numbers = [entry.entry.number, entry.entry.case, docket.id].map(column);
    to.execute(
        "insert into entries (number, case_id, line) values ($1, $2, $3)",
        &[&numbers[0], &numbers[1], &json(entry)],
    )
    .await?;
    put_docket(&to, docket, draft.map(|draft| draft.token.to_string())).await?;
    for record in *records {
        let sql = "insert into records (hash, case_id, personal, json) values ($1, $2, $3, $4) on conflict do nothing";
        to.execute(sql, &[&record.hash().to_string(), &numbers[2], &record.is_personal(), &json(record)]).await?;
    }
    if let Some(draft) = draft {
        to.execute("delete from letters where draft = $1", &[&draft.id]).await?;
        to.execute("delete from drafts where id = $1", &[&draft.id]).await?;
    }
    if *erase {
        to.execute("delete from records where case_id = $1 and personal", &[&numbers[2]]).await?;
        to.execute("delete from letters where case_id = $1", &[&numbers[2]]).await?;
        to.execute("update casebook set scrub = true", &[]).await?;
    }
    if !letters.is_empty() {
        put_letters(&to, letters).await?;
    }
    to.commit().await
}

async fn put_docket(to: &Transaction<'_>, docket: &Docket, token: Option<String>) -> Result<(), Error> {
    let sql = "insert into dockets (id, state, profile, lane, stream, claimant_key, changed_us, due_us, work, strike, rejected, erased,
            token, json)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
        on conflict (id) do update set state = $2, lane = $4, changed_us = $7, due_us = $8, work = $9, strike = $10, rejected = $11,
            erased = $12, json = $14";
    let values: Values<'_> = &[
        &column(docket.id),
        &docket.state.word(),
        &docket.profile.word(),
        &(docket.lane as i32),
        &docket.stream,
        &docket.claimant_key.to_string(),
        &column(docket.changed_us),
        &docket.due_us().map(column),
        &docket.has_work(),
        &docket.is_strike(),
        &docket.is_rejected(),
        &docket.erased_us.is_some(),
        &token,
        &json(docket),
    ];
    to.execute(sql, values).await.map(drop)
}

async fn put_draft(to: &Transaction<'_>, draft: &Draft) -> Result<(), Error> {
    let sql = "insert into drafts (id, token, confirmation, waits, expires_us, json) values ($1, $2, $3, $4, $5, $6)
        on conflict (id) do update set token = $2, confirmation = $3, waits = $4, expires_us = $5, json = $6";
    let values: Values<'_> = &[
        &draft.id,
        &draft.token.to_string(),
        &draft.confirmation.as_ref().map(Digest::to_string),
        &(draft.state == State::EmailPending),
        &column(draft.expires_us),
        &json(draft),
    ];
    to.execute(sql, values).await.map(drop)
}

/// All of them in one statement, in their order.
async fn put_letters(to: &Transaction<'_>, letters: &[Posted]) -> Result<(), Error> {
    let (mut cases, mut drafts) = (Vec::new(), Vec::new());
    for letter in letters {
        let (case, draft) = match &letter.about {
            About::Case(case) => (Some(column(*case)), None),
            About::Draft(draft) => (None, Some(draft)),
        };
        cases.push(case);
        drafts.push(draft);
    }
    let ids: Vec<_> = letters.iter().map(|letter| &letter.id).collect();
    let put_us: Vec<_> = letters.iter().map(|letter| column(letter.put_us)).collect();
    let next_us: Vec<_> = letters.iter().map(|letter| letter.next_us.map(column)).collect();
    let sent_us: Vec<_> = letters.iter().map(|letter| letter.sent_us.map(column)).collect();
    let kept: Vec<_> = letters.iter().map(json).collect();
    let sql = "insert into letters (id, case_id, draft, put_us, next_us, sent_us, json)
        select id, case_id, draft, put_us, next_us, sent_us, json
        from unnest($1::text[], $2::bigint[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::text[])
            with ordinality as new (id, case_id, draft, put_us, next_us, sent_us, json, at) order by at";
    to.execute(sql, &[&ids, &cases, &drafts, &put_us, &next_us, &sent_us, &kept]).await.map(drop)
}

/// Conditions, and what they are given.
#[derive(Default)]
struct Conditions {
    sql: String,
    values: Vec<Box<dyn ToSql + Sync>>,
}

impl Conditions {
    /// With `?` for the value.
    fn add(&mut self, condition: &str, value: impl ToSql + Sync + 'static) {
        self.values.push(Box::new(value));
        self.sql.push_str(&condition.replace('?', &format!("${}", self.values.len())));
    }

    fn of(query: &Query) -> Self {
        let mut all = Self::default();
        if !query.states.is_empty() {
            let words: Vec<_> = query.states.iter().map(|state| state.word()).collect();
            all.add(" and state = any(?)", words);
        }
        query.profile.iter().for_each(|it| all.add(" and profile = ?", it.word()));
        query.lane.iter().for_each(|it| all.add(" and lane = ?", *it as i32));
        query.stream.iter().for_each(|it| all.add(" and stream = ?", it.clone()));
        query.claimant_key.iter().for_each(|it| all.add(" and claimant_key = ?", it.to_string()));
        if let Some(text) = &query.text {
            // As it stands in JSON.
            let quoted = json(text);
            let plain = quoted[1..quoted.len() - 1].to_owned();
            all.add(" and id in (select case_id from records where strpos(lower(json), lower(?)) > 0)", plain);
        }
        all.add(" order by lane, due_us is null, due_us, id limit ?", query.max.min(CASES_MAX) as i64);
        all.add(" offset ?", column(query.skip as u64));
        all
    }
}

impl Casebook for Postgres {
    fn head(&mut self) -> Result<Head, PluginError> {
        let last: Option<Signed> = self.one("select line from entries order by number desc limit 1", &[])?;
        Ok(last.as_ref().map(Head::of).unwrap_or_default())
    }

    fn commit(&mut self, change: &Change<'_>) -> Result<(), PluginError> {
        match self.0.run(WAIT, async |client| keep(client, change).await) {
            Err(error) if error.class.is_temporary() => match self.has_kept(change.entry) {
                Ok(true) => Ok(()),
                _ => Err(error),
            },
            kept => kept,
        }
    }

    fn next_case(&mut self) -> Result<u64, PluginError> {
        self.count("select coalesce(max(id), 0) + 1 from dockets", &[])
    }

    fn docket(&mut self, case: u64) -> Result<Option<Docket>, PluginError> {
        self.one("select json from dockets where id = $1", &[&column(case)])
    }

    fn dockets(&mut self, query: &Query) -> Result<Vec<Docket>, PluginError> {
        if query.stream.as_deref().is_some_and(is_nobodys) {
            return Ok(Vec::new());
        }
        let Conditions { sql, values } = Conditions::of(query);
        let values: Vec<_> = values.iter().map(|value| &**value).collect();
        self.all(&format!("select json from dockets where true{sql}"), &values)
    }

    fn counts(&mut self) -> Result<Vec<(State, u64)>, PluginError> {
        let rows = self.rows("select state, count(*) from dockets group by state", &[])?;
        let rows = rows.iter().map(|row| (row.get::<_, &str>(0), row.get::<_, i64>(1) as u64));
        Ok(rows.filter_map(|(word, count)| Some((State::of_word(word)?, count))).collect())
    }

    fn pending(&mut self, now_us: u64) -> Result<Vec<u64>, PluginError> {
        self.numbers(
            "select id from (select id, lane from dockets where work union select id, lane from dockets where due_us <= $1) it
            order by lane, id limit $2",
            &[&column(now_us), &(CASES_MAX as i64)],
        )
    }

    fn unchanged_since(&mut self, since_us: u64) -> Result<Vec<u64>, PluginError> {
        self.numbers(
            "select id from dockets where changed_us <= $1 and not erased order by changed_us, id limit $2",
            &[&column(since_us), &(CASES_MAX as i64)],
        )
    }

    fn entries(&mut self, case: Option<u64>, from: u64, max: usize) -> Result<Vec<Signed>, PluginError> {
        let (from, max) = (column(from), max.min(ENTRIES_MAX) as i64);
        match case {
            None => self.all("select line from entries where number >= $1 order by number limit $2", &[&from, &max]),
            Some(case) => self.all(
                "select line from entries where case_id = $3 and number >= $1 order by number limit $2",
                &[&from, &max, &column(case)],
            ),
        }
    }

    fn record(&mut self, hash: &Digest) -> Result<Option<Record>, PluginError> {
        self.one("select json from records where hash = $1", &[&hash.to_string()])
    }

    fn strikes(&mut self, stream: &str) -> Result<u32, PluginError> {
        Ok(self.count("select count(*) from dockets where stream = $1 and strike", &[&stream])? as u32)
    }

    fn rejected(&mut self, claimant_key: &Digest) -> Result<u32, PluginError> {
        let sql = "select count(*) from dockets where claimant_key = $1 and rejected";
        Ok(self.count(sql, &[&claimant_key.to_string()])? as u32)
    }

    fn case_of(&mut self, token: &Digest) -> Result<Option<u64>, PluginError> {
        Ok(self.numbers("select id from dockets where token = $1", &[&token.to_string()])?.pop())
    }

    fn put_draft(&mut self, draft: &Draft, letter: Option<&Posted>) -> Result<(), PluginError> {
        self.0.run(WAIT, async |client| {
            let to = client.transaction().await?;
            put_draft(&to, draft).await?;
            if let Some(letter) = letter {
                put_letters(&to, std::slice::from_ref(letter)).await?;
            }
            to.commit().await
        })
    }

    fn draft(&mut self, id: &str) -> Result<Option<Draft>, PluginError> {
        if is_nobodys(id) {
            return Ok(None);
        }
        self.one("select json from drafts where id = $1", &[&id])
    }

    fn draft_of_confirmation(&mut self, confirmation: &Digest) -> Result<Option<Draft>, PluginError> {
        self.one("select json from drafts where confirmation = $1", &[&confirmation.to_string()])
    }

    fn drafts_pending(&mut self) -> Result<Vec<Draft>, PluginError> {
        self.all("select json from drafts where waits order by expires_us, id limit $1", &[&(CASES_MAX as i64)])
    }

    fn expire_drafts(&mut self, now_us: u64) -> Result<Vec<String>, PluginError> {
        let now_us = column(now_us);
        let rows = self.0.run(WAIT, async |client| {
            let to = client.transaction().await?;
            let sql = "delete from letters where draft in (select id from drafts where expires_us <= $1)";
            to.execute(sql, &[&now_us]).await?;
            let rows = to.query("delete from drafts where expires_us <= $1 returning id", &[&now_us]).await?;
            to.commit().await.map(|()| rows)
        })?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    fn drafts(&mut self) -> Result<usize, PluginError> {
        Ok(self.count("select count(*) from drafts", &[])? as usize)
    }

    fn letters_due(&mut self, now_us: u64, max: usize) -> Result<Vec<Posted>, PluginError> {
        let max = max.min(LETTERS_GIVEN_MAX) as i64;
        let sql = "select json from letters where next_us <= $1 order by next_us, number limit $2";
        self.all(sql, &[&column(now_us), &max])
    }

    fn update_letter(&mut self, letter: &Posted) -> Result<(), PluginError> {
        let (next_us, sent_us) = (letter.next_us.map(column), letter.sent_us.map(column));
        self.execute(
            "update letters set next_us = $2, sent_us = $3, json = $4 where id = $1",
            &[&letter.id, &next_us, &sent_us, &json(letter)],
        )?;
        let (which, max) = match letter.fate() {
            Fate::Waiting | Fate::Failing => return Ok(()),
            Fate::GivenUp => (GIVEN_UP, GIVEN_UP_MAX),
            Fate::Sent => ("sent_us is not null", SENT_MAX),
        };
        let sql = format!(
            "delete from letters where number in (select number from letters where {which} order by number desc offset $1)"
        );
        self.execute(&sql, &[&column(max)])
    }

    fn remove_letter(&mut self, id: &str) -> Result<(), PluginError> {
        self.execute("delete from letters where id = $1", &[&id])
    }

    fn letters(&mut self, case: Option<u64>, max: usize) -> Result<Vec<Posted>, PluginError> {
        let max = max.min(LETTERS_GIVEN_MAX) as i64;
        match case {
            None => self.all("select json from letters where sent_us is null order by number desc limit $1", &[&max]),
            Some(case) => self.all(
                "select json from letters where case_id = $2 order by number desc limit $1",
                &[&max, &column(case)],
            ),
        }
    }

    fn letter_counts(&mut self) -> Result<LetterCounts, PluginError> {
        let waiting = self.count("select count(*) from letters where next_us is not null", &[])?;
        let given_up = self.count(&format!("select count(*) from letters where {GIVEN_UP}"), &[])?;
        Ok(LetterCounts { waiting, given_up })
    }

    fn scrub(&mut self) -> Result<(), PluginError> {
        let due = self.rows("select scrub from casebook", &[])?.iter().any(|row| row.get(0));
        if !due {
            return Ok(());
        }
        self.0.run(WAIT_LONG, async |client| {
            // Written anew without what was deleted; one at a time, as this is possible in no transaction.
            for table in ["records", "drafts", "letters"] {
                client.batch_execute(&format!("vacuum full {table}")).await?;
            }
            client.batch_execute("update casebook set scrub = false").await
        })
    }
}
