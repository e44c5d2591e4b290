//! The casebook with the operator's key: entries are signed here and nowhere else. All of it blocks.

use std::path::Path;

use peerstream_protocol::crypto::SecretKey;
use peerstream_takedown::action::Segments;
use peerstream_takedown::draft::{DRAFT_PRESSED_US, DRAFT_TTL_US, DRAFTS_MAX};
use peerstream_takedown::hex::Digest;
use peerstream_takedown::ledger::{self, Entry, Evidence, Happening, Head, Intake, Signed};
use peerstream_takedown::notice::{Claimant, Notice};
use peerstream_takedown::outbox::About;
use peerstream_takedown::record::{Body, Record};
use peerstream_takedown::state::{Actor, State, Step};
use peerstream_takedown::statement::{self, Of};
use peerstream_takedown::{Docket, Draft, Receipt, docket};
use peerstream_traits::casebook::{self, BoxedCasebook, CASES_MAX, Change, Query};
use peerstream_traits::compliance::{self, Case, Stored, Sworn, Transition};
use tracing::{info, warn};

use super::files::{Files, Part};
use super::post::Post;
use super::refused::Refused;
use super::rules::Rules;
use crate::clock::wall;

/// The casebook and the files of one host.
pub(super) struct Books {
    book: BoxedCasebook,
    operator: SecretKey,
    /// Makes claimants' names into keys that only this host can make.
    claimant_secret: [u8; 32],
    pub(super) files: Files,
    pub(super) rules: Rules,
    pub(super) post: Post,
}

/// What an entry has led to.
pub(super) struct Written {
    pub(super) docket: Docket,
    /// The step, if it is one.
    pub(super) transition: Option<Transition>,
}

/// The time, microseconds since 1970.
pub(super) fn now_us() -> u64 {
    wall().as_micros() as u64
}

/// 16 random bytes.
pub(super) fn salt() -> [u8; 16] {
    crate::random_seed()[..16].try_into().expect("16 of 32")
}

impl Books {
    /// Refuses a log that another key has begun or gone on with.
    pub(super) fn open(
        mut book: BoxedCasebook,
        operator: SecretKey,
        folder: &Path,
        rules: Rules,
        post: Post,
    ) -> Result<Self, Refused> {
        casebook::is_of(book.as_mut(), &operator.public())?;
        let files = Files::open(folder, rules.files_bytes_max)?;
        let claimant_secret = operator.derive("peerstream 2026 takedown claimants");
        Ok(Self { book, operator, claimant_secret, files, rules, post })
    }

    /// As it is kept: after a failure nobody knows whether the last entry is.
    pub(super) fn head(&mut self) -> Result<Head, Refused> {
        Ok(self.book.head()?)
    }

    pub(super) fn book(&mut self) -> &mut BoxedCasebook {
        &mut self.book
    }

    /// The same for all notices of a claimant: by their mail address, or by their name where there is none.
    pub(super) fn claimant_key(&self, who: &Claimant) -> Digest {
        let name = if who.email.is_empty() { &who.name } else { &who.email };
        let named = [&self.claimant_secret[..], name.to_lowercase().as_bytes()].concat();
        Digest::of("peerstream takedown claimant 1", &named)
    }

    pub(super) fn docket(&mut self, case: u64) -> Result<Docket, Refused> {
        self.book.docket(case)?.ok_or(Refused::Unknown)
    }

    /// A case that somebody saw at a revision, if they say which.
    pub(super) fn docket_at(&mut self, case: u64, revision: Option<u32>) -> Result<Docket, Refused> {
        let docket = self.docket(case)?;
        match revision {
            Some(revision) if revision != docket.revision => Err(Refused::Changed(docket.revision)),
            _ => Ok(docket),
        }
    }

    /// Begins a case of a notice that lacks nothing that it must have to be kept.
    pub(super) fn begin(&mut self, notice: &Notice, draft: Option<&Draft>, how: How<'_>) -> Result<Written, Refused> {
        let case = self.book.next_case()?;
        // A beginning that was not written down may have left its uploads.
        self.files.erase(case)?;
        let claimant_key = self.claimant_key(&notice.claimant);
        let rejected = self.book.rejected(&claimant_key)?;
        let records = Record::of_notice([salt(), salt()], notice);
        let [copy, bundle] = match draft {
            Some(draft) => [
                self.files.take_upload(&draft.id, Part::Copy, case)?,
                self.files.take_upload(&draft.id, Part::Bundle, case)?,
            ],
            None => [None, None],
        };
        let intake = Intake {
            step: how.step,
            profile: notice.profile,
            channel: how.channel.to_owned(),
            stream: how.stream.to_owned(),
            epoch: notice.material.epoch.unwrap_or_default(),
            material: without_words(notice),
            notice: records[0].hash(),
            claimant: records[1].hash(),
            claimant_key,
            statements: notice.statements.clone(),
            missing: words(notice.missing()),
            confirmed: how.confirmed,
            lane: docket::lane(how.confirmed, rejected),
            copy,
            bundle,
        };
        let entry = self.head()?.next(now_us(), case, how.by, Happening::Received(Box::new(intake)));
        let signed = Signed::new(entry, &self.operator);
        let docket = Docket::open(&signed)?;
        self.keep(&signed, &docket, &records, draft, false)?;
        let from = if how.step == Step::Confirm { State::EmailPending } else { State::Draft };
        let transition = Some(transition(from, &docket, how.step, &signed.entry));
        Ok(Written { docket, transition })
    }

    /// Adds an entry to a case.
    pub(super) fn add(
        &mut self,
        mut docket: Docket,
        by: Actor,
        what: Happening,
        records: &[Record],
    ) -> Result<Written, Refused> {
        let (from, step) = (docket.state, what.step());
        let erase = matches!(what, Happening::Erased { .. });
        let signed = Signed::new(self.head()?.next(now_us(), docket.id, by, what), &self.operator);
        docket.apply(&signed)?;
        if erase {
            // First, so that a crash leaves no file of a case that is said to be erased.
            self.files.erase(docket.id)?;
        }
        self.keep(&signed, &docket, records, None, erase)?;
        let transition = step.map(|step| transition(from, &docket, step, &signed.entry));
        Ok(Written { docket, transition })
    }

    fn keep(
        &mut self,
        signed: &Signed,
        docket: &Docket,
        records: &[Record],
        draft: Option<&Draft>,
        erase: bool,
    ) -> Result<(), Refused> {
        let letters = self.letters_of(docket, &signed.entry.what, records)?;
        let letters = &self.posted(&About::Case(docket.id), letters)?;
        self.book.commit(&Change { entry: signed, docket, records, draft, letters, erase })?;
        if !letters.is_empty() {
            self.post.has_put();
        }
        info!(case = docket.id, state = %docket.state, by = %signed.entry.by, entry = signed.entry.number, "a case has changed");
        Ok(())
    }

    /// The notice of a case; who complains is empty once that is erased.
    pub(super) fn notice(&mut self, docket: &Docket) -> Result<Notice, Refused> {
        let mut notice = match self.book.record(&docket.notice_hash)?.map(|record| record.body) {
            Some(Body::Notice(notice)) => *notice,
            _ => Notice::empty(docket.profile),
        };
        if let Some(Body::Claimant(person)) = self.book.record(&docket.claimant_hash)?.map(|record| record.body) {
            (notice.claimant, notice.signature) = (person.claimant, person.signature);
        }
        Ok(notice)
    }

    /// A case with all that a handler or the operator sees.
    pub(super) fn case(&mut self, docket: Docket) -> Result<Case, Refused> {
        let notice = self.notice(&docket)?;
        let claimant_rejected = self.book.rejected(&docket.claimant_key)?;
        let strikes = self.book.strikes(&docket.stream)?;
        Ok(Case { docket, notice, claimant_rejected, strikes })
    }

    /// What there is to look at.
    pub(super) fn evidence(&self, case: &Case) -> compliance::Evidence {
        let docket = &case.docket;
        let stored = |file: ledger::File| {
            let path = self.files.path(docket.id, &file);
            Stored { path, blake3: file.blake3, bytes: file.bytes }
        };
        let kept = docket
            .evidence
            .clone()
            .unwrap_or_else(|| Evidence { faults: vec!["nothing was gathered yet".into()], ..Evidence::default() });
        compliance::Evidence {
            bundle: kept.bundle.map(stored),
            segments: kept.segments,
            faults: kept.faults,
            copy: docket.copy.map(stored),
            statements: sworn(&case.notice),
        }
    }

    pub(super) fn receipt(&self, docket: &Docket) -> Receipt {
        Receipt::new(docket, &self.operator)
    }

    /// An open case of the same claimant about the same work and the same place.
    pub(super) fn twin(&mut self, notice: &Notice, except: Option<u64>) -> Result<Option<u64>, Refused> {
        let states = vec![State::Received, State::Deficient, State::Screened, State::Accepted];
        let claimant_key = Some(self.claimant_key(&notice.claimant));
        let open = self.book.dockets(&Query { states, claimant_key, max: TWINS_MAX, ..Query::default() })?;
        for docket in open.into_iter().filter(|docket| Some(docket.id) != except) {
            let other = self.notice(&docket)?;
            if same_work(notice, &other) && same_place(notice, &other) {
                return Ok(Some(docket.id));
            }
        }
        Ok(None)
    }
}

impl Books {
    /// Deletes drafts that are over by this time, and what was uploaded with them; gives how many.
    pub(super) fn expire_drafts(&mut self, at_us: u64) -> Result<usize, Refused> {
        let expired = self.book.expire_drafts(at_us)?;
        expired.iter().try_for_each(|draft| self.files.forget(draft))?;
        Ok(expired.len())
    }

    /// Whether one more draft can be begun: when there are too many, the older ones give way.
    pub(super) fn room_for_draft(&mut self) -> Result<(), Refused> {
        if self.book.drafts()? < DRAFTS_MAX {
            return Ok(());
        }
        match self.expire_drafts(now_us() + DRAFT_TTL_US - DRAFT_PRESSED_US)? {
            0 => Err(Refused::Busy),
            count => {
                warn!(
                    count,
                    max = DRAFTS_MAX,
                    "there were too many drafts of notices: those older than an hour are gone"
                );
                Ok(())
            }
        }
    }

    /// What other cases hide of the same broadcast at present.
    pub(super) fn hidden_by_others(&mut self, docket: &Docket, epoch: u64) -> Result<Vec<Segments>, Refused> {
        let states = vec![State::Accepted, State::Actioned, State::CounterReceived, State::SuitFiled, State::Closed];
        let mut query = Query { states, stream: Some(docket.stream.clone()), max: CASES_MAX, ..Query::default() };
        let mut hidden = Vec::new();
        loop {
            let some = self.book.dockets(&query)?;
            let others = some.iter().filter(|other| other.id != docket.id);
            hidden.extend(others.flat_map(Docket::hides).filter(|it| it.epoch == epoch).map(|it| it.segments));
            if some.len() < CASES_MAX {
                return Ok(hidden);
            }
            query.skip += CASES_MAX;
        }
    }
}

/// Open cases of one claimant that are compared with a new notice.
const TWINS_MAX: usize = 100;

/// How a notice has come in.
pub(super) struct How<'a> {
    pub(super) step: Step,
    pub(super) by: Actor,
    pub(super) channel: &'a str,
    pub(super) stream: &'a str,
    pub(super) confirmed: bool,
}

fn transition(from: State, docket: &Docket, step: Step, entry: &Entry) -> Transition {
    Transition { from, to: docket.state, step, by: entry.by.clone(), at_us: entry.at_us }
}

/// Where the material is, for the log: words may name somebody.
pub(super) fn without_words(notice: &Notice) -> peerstream_takedown::notice::Material {
    peerstream_takedown::notice::Material { place: String::new(), ..notice.material.clone() }
}

pub(super) fn words(fields: Vec<&'static str>) -> Vec<String> {
    fields.into_iter().map(str::to_owned).collect()
}

/// The statements of a notice with the texts that were shown.
pub(super) fn sworn(notice: &Notice) -> Vec<Sworn> {
    let day = peerstream_takedown::calendar::Date::parse(&notice.executed_on);
    let made = notice.statements.iter().filter_map(|agreed| {
        let (day, of) = (day?, Of::Notice(notice.profile));
        let statement = statement::find(of, agreed, day)?;
        Some(Sworn { id: agreed.id.clone(), version: agreed.version, text: statement.text(day) })
    });
    made.collect()
}

fn same_work(a: &Notice, b: &Notice) -> bool {
    let key = |notice: &Notice| (notice.work.title.to_lowercase(), notice.work.url.to_lowercase());
    a.profile == b.profile && key(a) == key(b)
}

fn same_place(a: &Notice, b: &Notice) -> bool {
    let (a, b) = (&a.material, &b.material);
    let overlap = |a: Option<(u64, u64)>, b: Option<(u64, u64)>| match (a, b) {
        (Some(a), Some(b)) => Some(a.0 < b.1 && b.0 < a.1),
        _ => None,
    };
    let by_numbers = overlap(a.times(), b.times()).or_else(|| overlap(a.segments(), b.segments()));
    a.epoch == b.epoch && by_numbers.unwrap_or(a == b)
}
