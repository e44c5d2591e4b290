//! The casebook.

use std::path::Path;
use std::time::Duration;

use peerstream_sdk::traits::casebook::{
    CASES_MAX, Casebook, Change, ENTRIES_MAX, GIVEN_UP_MAX, LETTERS_GIVEN_MAX, LetterCounts, Query, SENT_MAX,
};
use peerstream_sdk::traits::takedown::hex::Digest;
use peerstream_sdk::traits::takedown::ledger::Head;
use peerstream_sdk::traits::takedown::outbox::{About, Fate};
use peerstream_sdk::traits::takedown::{Docket, Draft, Posted, Record, Signed, State};
use peerstream_sdk::traits::{ErrorClass, PluginError};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, TransactionBehavior, params, params_from_iter};
use serde::de::DeserializeOwned;

use crate::schema;

/// Another program that reads the file is waited for so long.
const BUSY: Duration = Duration::from_secs(2);
/// Statements that are kept prepared.
const STATEMENTS_MAX: usize = 32;

/// Which letters were given up.
const GIVEN_UP: &str = "next_us is null and sent_us is null";

/// Cases in one file.
#[derive(Debug)]
pub struct Sqlite(Connection);

impl Sqlite {
    /// Opens a file or begins one, and keeps other programs from writing it.
    ///
    /// # Errors
    /// It is no such file, of a later version, or another host has it open.
    pub fn open(path: &Path) -> Result<Self, PluginError> {
        let named = |error: rusqlite::Error| {
            let error = from(error);
            PluginError::new(error.class, format!("{}: {}", path.display(), error.message))
        };
        private(path)
            .map_err(|error| PluginError::new(ErrorClass::Unavailable, format!("{}: {error}", path.display())))?;
        Self::of(Connection::open(path).map_err(named)?).map_err(|error| match error {
            Refused::Sqlite(error) => named(error),
            Refused::Version(version) => PluginError::invalid(format!(
                "{} has the version {version}, expected at most {}; a later peerstream has written it",
                path.display(),
                schema::VERSION
            )),
        })
    }

    /// In memory, for tests: nothing outlives it.
    pub fn in_memory() -> Result<Self, PluginError> {
        Self::of(Connection::open_in_memory().map_err(from)?).map_err(|error| match error {
            Refused::Sqlite(error) => from(error),
            Refused::Version(_) => PluginError::new(ErrorClass::Internal, "a fresh database has a version"),
        })
    }

    fn of(mut connection: Connection) -> Result<Self, Refused> {
        connection.busy_timeout(BUSY)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
        // One writer, for as long as the host runs: a second one would break the chain.
        connection.pragma_update(None, "locking_mode", "exclusive")?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "synchronous", "full")?;
        connection.pragma_update(None, "secure_delete", "on")?;
        connection.pragma_update(None, "trusted_schema", "off")?;
        let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if version > schema::VERSION {
            return Err(Refused::Version(version));
        }
        let begun = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for step in schema::STEPS.iter().skip(version.max(0) as usize) {
            begun.execute_batch(step)?;
        }
        begun.pragma_update(None, "user_version", schema::VERSION)?;
        begun.commit()?;
        Ok(Self(connection))
    }

    /// One row's JSON, if there is one.
    fn one<T: DeserializeOwned>(&self, sql: &str, with: impl rusqlite::Params) -> Result<Option<T>, PluginError> {
        let text: Option<String> =
            self.0.prepare_cached(sql).and_then(|mut it| it.query_row(with, first).optional()).map_err(from)?;
        text.map(|text| read(&text)).transpose()
    }

    /// All rows' JSON.
    fn all<T: DeserializeOwned>(&self, sql: &str, with: impl rusqlite::Params) -> Result<Vec<T>, PluginError> {
        let mut statement = self.0.prepare_cached(sql).map_err(from)?;
        let rows = statement.query_map(with, first::<String>).map_err(from)?;
        rows.map(|text| read(&text.map_err(from)?)).collect()
    }

    fn numbers(&self, sql: &str, with: impl rusqlite::Params) -> Result<Vec<u64>, PluginError> {
        let mut statement = self.0.prepare_cached(sql).map_err(from)?;
        let rows = statement.query_map(with, first::<u64>).map_err(from)?;
        rows.map(|number| number.map_err(from)).collect()
    }

    /// Overwrites what was erased and still waits to be written to the file.
    fn truncate(&self) -> Result<(), PluginError> {
        self.0.pragma_update(None, "wal_checkpoint", "truncate").map_err(from)
    }

    fn count(&self, sql: &str, with: impl rusqlite::Params) -> Result<u64, PluginError> {
        self.0.prepare_cached(sql).and_then(|mut it| it.query_row(with, first)).map_err(from)
    }
}

enum Refused {
    Sqlite(rusqlite::Error),
    Version(i64),
}

impl From<rusqlite::Error> for Refused {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// Makes the file for its owner alone: it names who complains.
fn private(path: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

fn first<T: rusqlite::types::FromSql>(row: &Row<'_>) -> rusqlite::Result<T> {
    row.get(0)
}

fn from(error: rusqlite::Error) -> PluginError {
    use rusqlite::ErrorCode::{DatabaseBusy, DatabaseCorrupt, DatabaseLocked, DiskFull, NotADatabase};
    let class = match error.sqlite_error_code() {
        Some(DatabaseBusy | DatabaseLocked | DiskFull) => ErrorClass::Unavailable,
        Some(DatabaseCorrupt | NotADatabase) => ErrorClass::Invalid,
        _ => ErrorClass::Internal,
    };
    let message = match error.sqlite_error_code() {
        Some(DatabaseBusy | DatabaseLocked) => "another host has the cases open".to_owned(),
        _ => error.to_string(),
    };
    PluginError::new(class, message)
}

/// A number as a column holds it; larger ones are as good as the largest.
fn column(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn read<T: DeserializeOwned>(text: &str) -> Result<T, PluginError> {
    serde_json::from_str(text)
        .map_err(|error| PluginError::invalid(format!("what is in the database cannot be read: {error}")))
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("what is kept is JSON")
}

fn put_docket(to: &Transaction<'_>, docket: &Docket, token: Option<&Digest>) -> rusqlite::Result<()> {
    let sql = "insert into dockets (id, state, profile, lane, stream, claimant_key, changed_us, due_us, work, strike, rejected, erased,
            token, json)
        values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
        on conflict (id) do update set state = ?2, lane = ?4, changed_us = ?7, due_us = ?8, work = ?9, strike = ?10, rejected = ?11,
            erased = ?12, json = ?14";
    to.prepare_cached(sql)?.execute(params![
        docket.id,
        docket.state.word(),
        docket.profile.word(),
        docket.lane as i64,
        docket.stream,
        docket.claimant_key.to_string(),
        docket.changed_us,
        docket.due_us(),
        docket.has_work(),
        docket.is_strike(),
        docket.is_rejected(),
        docket.erased_us.is_some(),
        token.map(Digest::to_string),
        json(docket),
    ])?;
    Ok(())
}

fn put_draft(to: &Transaction<'_>, draft: &Draft) -> rusqlite::Result<()> {
    let sql = "insert or replace into drafts (id, token, confirmation, expires_us, json) values (?1, ?2, ?3, ?4, ?5)";
    let confirmation = draft.confirmation.as_ref().map(Digest::to_string);
    let values = params![draft.id, draft.token.to_string(), confirmation, draft.expires_us, json(draft)];
    to.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

fn put_letter(to: &Transaction<'_>, letter: &Posted) -> rusqlite::Result<()> {
    let (case, draft) = match &letter.about {
        About::Case(case) => (Some(*case), None),
        About::Draft(draft) => (None, Some(draft)),
    };
    to.prepare_cached(
        "insert into letters (id, case_id, draft, put_us, next_us, sent_us, json) values (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![letter.id, case, draft, letter.put_us, letter.next_us, letter.sent_us, json(letter)])?;
    Ok(())
}

impl Casebook for Sqlite {
    fn head(&mut self) -> Result<Head, PluginError> {
        let last: Option<Signed> = self.one("select line from entries order by number desc limit 1", [])?;
        Ok(last.as_ref().map(Head::of).unwrap_or_default())
    }

    fn commit(&mut self, change: &Change<'_>) -> Result<(), PluginError> {
        let Change { entry, docket, records, draft, letters, erase } = change;
        let commit =
            |to: &Transaction<'_>| -> rusqlite::Result<()> {
                let line = json(entry);
                to.prepare_cached("insert into entries (number, case_id, line) values (?1, ?2, ?3)")?
                    .execute(params![entry.entry.number, entry.entry.case, line])?;
                put_docket(to, docket, draft.map(|draft| &draft.token))?;
                for record in *records {
                    to.prepare_cached(
                        "insert or ignore into records (hash, case_id, personal, json) values (?1, ?2, ?3, ?4)",
                    )?
                    .execute(params![
                        record.hash().to_string(),
                        docket.id,
                        record.is_personal(),
                        json(record)
                    ])?;
                }
                if let Some(draft) = draft {
                    to.prepare_cached("delete from letters where draft = ?1")?.execute([&draft.id])?;
                    to.prepare_cached("delete from drafts where id = ?1")?.execute([&draft.id])?;
                }
                if *erase {
                    to.prepare_cached("delete from records where case_id = ?1 and personal = 1")?
                        .execute([docket.id])?;
                    to.prepare_cached("delete from letters where case_id = ?1")?.execute([docket.id])?;
                }
                letters.iter().try_for_each(|letter| put_letter(to, letter))
            };
        let transaction = self.0.transaction_with_behavior(TransactionBehavior::Immediate).map_err(from)?;
        commit(&transaction).map_err(from)?;
        transaction.commit().map_err(from)?;
        if *erase || draft.is_some() {
            // What was erased must not survive in the file of what waits to be written.
            self.truncate()?;
        }
        Ok(())
    }

    fn next_case(&mut self) -> Result<u64, PluginError> {
        self.count("select coalesce(max(id), 0) + 1 from dockets", [])
    }

    fn docket(&mut self, case: u64) -> Result<Option<Docket>, PluginError> {
        // A number that no column can hold is nobody's.
        let Ok(case) = i64::try_from(case) else { return Ok(None) };
        self.one("select json from dockets where id = ?1", [case])
    }

    fn dockets(&mut self, query: &Query) -> Result<Vec<Docket>, PluginError> {
        let mut sql = "select json from dockets where 1".to_owned();
        let mut values = Vec::new();
        let mut with = |condition: &str, value: String| {
            sql.push_str(condition);
            values.push(Value::Text(value));
        };
        if !query.states.is_empty() {
            let words: Vec<_> = query.states.iter().map(|state| state.word()).collect();
            with(" and instr(?, ' ' || state || ' ')", format!(" {} ", words.join(" ")));
        }
        query.profile.iter().for_each(|it| with(" and profile = ?", it.word().to_owned()));
        query.lane.iter().for_each(|it| with(" and lane = cast(? as integer)", (*it as i64).to_string()));
        query.stream.iter().for_each(|it| with(" and stream = ?", it.clone()));
        query.claimant_key.iter().for_each(|it| with(" and claimant_key = ?", it.to_string()));
        if let Some(text) = &query.text {
            // As it stands in JSON, with what means something to LIKE escaped.
            let quoted = json(text);
            let plain = quoted[1..quoted.len() - 1].replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
            with(" and id in (select case_id from records where json like ? escape '\\')", format!("%{plain}%"));
        }
        sql.push_str(" order by lane, due_us is null, due_us, id limit ? offset ?");
        values.push(Value::Integer(query.max.min(CASES_MAX) as i64));
        values.push(Value::Integer(column(query.skip as u64)));
        self.all(&sql, params_from_iter(values))
    }

    fn counts(&mut self) -> Result<Vec<(State, u64)>, PluginError> {
        let mut statement =
            self.0.prepare_cached("select state, count(*) from dockets group by state").map_err(from)?;
        let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get(1)?))).map_err(from)?;
        let rows = rows.map(|row| row.map_err(from)).collect::<Result<Vec<_>, _>>()?;
        Ok(rows.into_iter().filter_map(|(word, count)| Some((State::of_word(&word)?, count))).collect())
    }

    fn pending(&mut self, now_us: u64) -> Result<Vec<u64>, PluginError> {
        self.numbers(
            "select id from (select id, lane from dockets where work = 1 union select id, lane from dockets where due_us <= ?1)
            order by lane, id limit ?2",
            [column(now_us), CASES_MAX as i64],
        )
    }

    fn unchanged_since(&mut self, since_us: u64) -> Result<Vec<u64>, PluginError> {
        self.numbers(
            "select id from dockets where changed_us <= ?1 and erased = 0 order by changed_us limit ?2",
            [column(since_us), CASES_MAX as i64],
        )
    }

    fn entries(&mut self, case: Option<u64>, from: u64, max: usize) -> Result<Vec<Signed>, PluginError> {
        let [case, from] = [case.unwrap_or(0), from].map(column);
        let max = max.min(ENTRIES_MAX) as i64;
        match case {
            0 => self.all("select line from entries where number >= ?1 order by number limit ?2", [from, max]),
            _ => self.all(
                "select line from entries where case_id = ?3 and number >= ?1 order by number limit ?2",
                [from, max, case],
            ),
        }
    }

    fn record(&mut self, hash: &Digest) -> Result<Option<Record>, PluginError> {
        self.one("select json from records where hash = ?1", [hash.to_string()])
    }

    fn strikes(&mut self, stream: &str) -> Result<u32, PluginError> {
        Ok(self.count("select count(*) from dockets where stream = ?1 and strike = 1", [stream])? as u32)
    }

    fn rejected(&mut self, claimant_key: &Digest) -> Result<u32, PluginError> {
        let sql = "select count(*) from dockets where claimant_key = ?1 and rejected = 1";
        Ok(self.count(sql, [claimant_key.to_string()])? as u32)
    }

    fn case_of(&mut self, token: &Digest) -> Result<Option<u64>, PluginError> {
        Ok(self.numbers("select id from dockets where token = ?1", [token.to_string()])?.pop())
    }

    fn put_draft(&mut self, draft: &Draft, letter: Option<&Posted>) -> Result<(), PluginError> {
        let transaction = self.0.transaction_with_behavior(TransactionBehavior::Immediate).map_err(from)?;
        put_draft(&transaction, draft)
            .and_then(|()| letter.map_or(Ok(()), |letter| put_letter(&transaction, letter)))
            .map_err(from)?;
        transaction.commit().map_err(from)
    }

    fn draft(&mut self, id: &str) -> Result<Option<Draft>, PluginError> {
        self.one("select json from drafts where id = ?1", [id])
    }

    fn draft_of_confirmation(&mut self, confirmation: &Digest) -> Result<Option<Draft>, PluginError> {
        self.one("select json from drafts where confirmation = ?1", [confirmation.to_string()])
    }

    fn drafts_pending(&mut self) -> Result<Vec<Draft>, PluginError> {
        let sql = "select json from drafts where json ->> 'state' = 'email-pending' order by expires_us limit ?1";
        self.all(sql, [CASES_MAX as i64])
    }

    fn expire_drafts(&mut self, now_us: u64) -> Result<Vec<String>, PluginError> {
        let transaction = self.0.transaction_with_behavior(TransactionBehavior::Immediate).map_err(from)?;
        let expire = |from: &Transaction<'_>| -> rusqlite::Result<Vec<String>> {
            from.prepare_cached("delete from letters where draft in (select id from drafts where expires_us <= ?1)")?
                .execute([column(now_us)])?;
            let mut statement = from.prepare_cached("delete from drafts where expires_us <= ?1 returning id")?;
            statement.query_map([column(now_us)], first::<String>)?.collect()
        };
        let expired = expire(&transaction).map_err(from)?;
        transaction.commit().map_err(from)?;
        Ok(expired)
    }

    fn drafts(&mut self) -> Result<usize, PluginError> {
        Ok(self.count("select count(*) from drafts", [])? as usize)
    }

    fn letters_due(&mut self, now_us: u64, max: usize) -> Result<Vec<Posted>, PluginError> {
        let sql = "select json from letters where next_us <= ?1 order by next_us, number limit ?2";
        self.all(sql, [column(now_us), max.min(LETTERS_GIVEN_MAX) as i64])
    }

    fn update_letter(&mut self, letter: &Posted) -> Result<(), PluginError> {
        let sql = "update letters set next_us = ?2, sent_us = ?3, json = ?4 where id = ?1";
        let values = params![letter.id, letter.next_us, letter.sent_us, json(letter)];
        self.0.prepare_cached(sql).and_then(|mut it| it.execute(values)).map_err(from)?;
        let (which, max) = match letter.fate() {
            Fate::Waiting | Fate::Failing => return Ok(()),
            Fate::GivenUp => (GIVEN_UP, GIVEN_UP_MAX),
            Fate::Sent => ("sent_us is not null", SENT_MAX),
        };
        let sql = format!(
            "delete from letters where number in (select number from letters where {which} order by number desc limit -1 offset ?1)"
        );
        self.0.prepare_cached(&sql).and_then(|mut it| it.execute([max])).map_err(from)?;
        // Its address and its text are forgotten.
        self.truncate()
    }

    fn remove_letter(&mut self, id: &str) -> Result<(), PluginError> {
        let sql = "delete from letters where id = ?1";
        self.0.prepare_cached(sql).and_then(|mut it| it.execute([id])).map_err(from)?;
        // It may have had a link in it that is its claimant's alone.
        self.truncate()
    }

    fn letters(&mut self, case: Option<u64>, max: usize) -> Result<Vec<Posted>, PluginError> {
        let max = max.min(LETTERS_GIVEN_MAX) as i64;
        let Some(case) = case else {
            return self.all("select json from letters where sent_us is null order by number desc limit ?1", [max]);
        };
        let Ok(case) = i64::try_from(case) else { return Ok(Vec::new()) };
        self.all("select json from letters where case_id = ?2 order by number desc limit ?1", [max, case])
    }

    fn letter_counts(&mut self) -> Result<LetterCounts, PluginError> {
        let waiting = self.count("select count(*) from letters where next_us is not null", [])?;
        let given_up = self.count(&format!("select count(*) from letters where {GIVEN_UP}"), [])?;
        Ok(LetterCounts { waiting, given_up })
    }

    fn scrub(&mut self) -> Result<(), PluginError> {
        self.truncate()
    }
}
