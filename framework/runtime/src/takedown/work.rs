//! What the host does about cases by itself: gathers evidence, asks handlers, carries out decisions, keeps deadlines, sends mails.
//!
//! What is to be done stands in the cases, so that a host that was killed goes on where it was.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use peerstream_takedown::Docket;
use peerstream_takedown::action::Action;
use peerstream_takedown::calendar::DAY_US;
use peerstream_takedown::docket::{self, Comparison};
use peerstream_takedown::ledger::{Evidence, Happening, Hidden};
use peerstream_takedown::state::{Actor, State, Step};
use peerstream_traits::PluginError;
use peerstream_traits::compliance::{Case, Decision, Transition};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::{error, warn};

use super::books::{now_us, sworn};
use super::carrier::Carrier;
use super::desk::{Desk, decided};
use super::files::Room;
use super::gather;
use super::refused::Refused;
use crate::plugins::shelf::Shelf;

/// A case that no handler could decide is shown again after this time.
const LEFT_OPEN_PAUSE: Duration = Duration::from_secs(600);
/// Between two looks for personal data that is too old.
const ERASE_INTERVAL: Duration = Duration::from_secs(3600);
/// A case has no more done in one look; what is left is done in the next one.
const STEPS_MAX: usize = 200;
/// An action that takes longer has failed.
const ACTION_TIMEOUT: Duration = Duration::from_secs(60);

/// Compares a copy of a work with what was streamed. The result only sorts the queue.
#[async_trait]
pub trait Compare: Send + Sync {
    /// Both are files of the host, and neither can be trusted. Bounds its own time.
    async fn compare(&self, bundle: &Path, copy: &Path) -> Comparison;
}

/// What is done with cases, until the desk is gone.
pub(crate) struct Work {
    desk: Desk,
    news: mpsc::Receiver<(Docket, Transition)>,
    compare: Option<Arc<dyn Compare>>,
}

impl Work {
    pub(super) fn new(
        desk: Desk,
        news: mpsc::Receiver<(Docket, Transition)>,
        compare: Option<Arc<dyn Compare>>,
    ) -> Self {
        Self { desk, news, compare }
    }

    pub(crate) async fn run(self, carrier: Arc<dyn Carrier>, shelf: Shelf) {
        let Self { desk, news, compare } = self;
        let mut worker = Worker { desk: desk.clone(), compare, carrier, shelf, left_open: BTreeMap::new() };
        tokio::join!(desk.0.post.rounds(&desk), tell(&desk, news), worker.look());
    }
}

/// Has handlers hear of steps, in their order.
async fn tell(desk: &Desk, mut news: mpsc::Receiver<(Docket, Transition)>) {
    while let Some((docket, transition)) = news.recv().await {
        let case = desk.with(move |books| books.case(docket)).await;
        match case {
            Ok(case) => desk.0.chain.tell(&case, &transition).await,
            Err(error) => error!(%error, "nobody could be told of a step"),
        }
    }
}

struct Worker {
    desk: Desk,
    compare: Option<Arc<dyn Compare>>,
    carrier: Arc<dyn Carrier>,
    shelf: Shelf,
    /// When cases that no handler could decide are shown again.
    left_open: BTreeMap<u64, Instant>,
}

impl Worker {
    async fn look(&mut self) {
        let mut erase_at = Instant::now();
        loop {
            if let Err(error) = self.look_once().await {
                error!(%error, "cases cannot be looked at");
            }
            if erase_at <= Instant::now() {
                erase_at = Instant::now() + ERASE_INTERVAL;
                if let Err(error) = self.erase_old().await {
                    error!(%error, "old personal data cannot be looked for");
                }
            }
            let again = tokio::time::sleep(self.desk.rules().look_interval);
            tokio::select! {
                () = self.desk.0.changed.notified() => {}
                () = again => {}
            }
        }
    }

    async fn look_once(&mut self) -> Result<(), Refused> {
        let expired = self.desk.with(|books| books.expire_drafts(now_us()));
        expired.await?;
        let mut seen = BTreeSet::new();
        loop {
            // Asked for anew each time: who comes later may be in a faster lane.
            let pending = self.desk.with(|books| Ok(books.book().pending(now_us())?)).await?;
            let Some(case) = pending.into_iter().find(|case| !seen.contains(case)) else { return Ok(()) };
            seen.insert(case);
            if self.left_open.get(&case).is_none_or(|at| *at <= Instant::now()) {
                // One case that cannot go on holds no other one up.
                if let Err(error) = self.work_on(case).await {
                    error!(case, %error, "a case cannot go on");
                }
            }
        }
    }

    /// Does what there is to do about a case, step by step.
    async fn work_on(&mut self, case: u64) -> Result<(), Refused> {
        for _ in 0..STEPS_MAX {
            let docket = self.desk.with(move |books| books.docket(case)).await?;
            if !self.step(docket).await? {
                break;
            }
        }
        Ok(())
    }

    /// One step; false when there is none.
    async fn step(&mut self, docket: Docket) -> Result<bool, Refused> {
        if let Some(index) = docket.to_undo().first() {
            self.undo(&docket, *index).await?;
        } else if let Some(action) = docket.to_do.first().cloned() {
            self.do_next(docket, action).await?;
        } else if docket.state == State::Accepted {
            self.write(docket.id, Happening::Acted).await?;
        } else if docket.state == State::Received {
            return self.consider(docket).await;
        } else {
            return self.keep_deadlines(docket).await;
        }
        Ok(true)
    }

    async fn write(&self, case: u64, what: Happening) -> Result<Docket, Refused> {
        self.desk.write(case, None, Actor::Clock, |_, _| Ok((what, Vec::new()))).await
    }

    async fn keep_deadlines(&self, docket: Docket) -> Result<bool, Refused> {
        let rules = self.desk.rules();
        let counter = docket.counter.filter(|_| rules.restore_by_itself);
        let restore_at = counter.map(|said| docket::answer_by(said.at_us, rules.restore_business_days));
        let what = match docket.due(now_us(), restore_at) {
            Some(Step::Lapse) => Happening::Lapsed,
            Some(Step::Restore) => Happening::Restored { note: "no court action was reported in time".into() },
            _ => return Ok(false),
        };
        self.write(docket.id, what).await?;
        Ok(true)
    }

    async fn do_next(&self, docket: Docket, action: Action) -> Result<(), Refused> {
        let id = docket.id;
        let case = self.desk.with(move |books| books.case(docket)).await?;
        let tried = tokio::time::timeout(ACTION_TIMEOUT, self.carry_out(&case, &action)).await;
        let late = |_| Err(PluginError::unavailable(format!("not done within {} s", ACTION_TIMEOUT.as_secs())));
        let (hidden, error) = match tried.unwrap_or_else(late) {
            Ok(hidden) => (hidden, None),
            Err(error) => {
                error!(case = id, action = action.word(), %error, "what was decided could not be done");
                (None, Some(error.to_string()))
            }
        };
        let done = Happening::Done { action, hidden: hidden.clone(), error };
        match (self.write(id, done).await, hidden) {
            // Somebody has had all of it undone meanwhile: what no case hides is shown.
            (Err(Refused::State(_)), Some(hidden)) => self.show(&case.docket, &hidden).await.map(drop),
            (written, _) => written.map(drop),
        }
    }

    /// Shows what no other case hides; gives why it could not be.
    async fn show(&self, docket: &Docket, hidden: &Hidden) -> Result<Option<String>, Refused> {
        let (docket, epoch) = (docket.clone(), hidden.epoch);
        let others = self.desk.with(move |books| books.hidden_by_others(&docket, epoch)).await?;
        let parts = hidden.segments.without(&others);
        Ok(match tokio::time::timeout(ACTION_TIMEOUT, self.carrier.show(epoch, &parts)).await {
            Ok(shown) => shown.err().map(|error| error.to_string()),
            Err(_) => Some(format!("not done within {} s", ACTION_TIMEOUT.as_secs())),
        })
    }

    async fn carry_out(&self, case: &Case, action: &Action) -> Result<Option<Hidden>, PluginError> {
        match action {
            Action::StopStream | Action::HideRange { .. } => self.carrier.carry_out(case, action).await,
            Action::NotifyPublisher => {
                let (id, profile) = (case.docket.id, case.docket.profile.word());
                // The streamer has this host's log, and the dashboard.
                warn!(case = id, profile, work = case.notice.work.title, "a notice concerns this stream");
                // A mail is put in with the entry that says so.
                Ok(None)
            }
            // They stand in the case itself.
            Action::Strike | Action::Restore => Ok(None),
        }
    }

    async fn undo(&self, docket: &Docket, index: usize) -> Result<(), Refused> {
        let error = match &docket.done[index].hidden {
            Some(hidden) => self.show(docket, hidden).await?,
            None => None,
        };
        if let Some(error) = &error {
            error!(case = docket.id, error, "what was done could not be undone");
        }
        self.write(docket.id, Happening::Undone { index, error }).await?;
        Ok(())
    }

    /// A notice that has come in: evidence, what it lacks, the handlers. False when it stays as it is.
    async fn consider(&mut self, docket: Docket) -> Result<bool, Refused> {
        if docket.evidence.is_none() {
            let evidence = self.gather(&docket).await?;
            self.write(docket.id, Happening::Evidence(evidence)).await?;
            return Ok(true);
        }
        if docket.comparison.is_none()
            && let Some(comparison) = self.compared(&docket).await?
        {
            self.write(docket.id, Happening::Compared(comparison)).await?;
            return Ok(true);
        }
        if !docket.missing.is_empty() && docket.asked.is_empty() {
            let answer_by_us = docket::answer_by(now_us(), self.desk.rules().answer_business_days);
            self.write(docket.id, Happening::Asked { fields: docket.missing, answer_by_us }).await?;
            return Ok(true);
        }
        self.ask(docket).await
    }

    async fn compared(&self, docket: &Docket) -> Result<Option<Comparison>, Refused> {
        let bundle = docket.evidence.as_ref().and_then(|evidence| evidence.bundle);
        let (Some(compare), Some(bundle), Some(copy)) = (&self.compare, bundle, docket.copy) else { return Ok(None) };
        let (bundle, copy) = (self.desk.file(docket.id, bundle).await?, self.desk.file(docket.id, copy).await?);
        Ok(Some(compare.compare(&bundle, &copy).await))
    }

    async fn gather(&self, docket: &Docket) -> Result<Evidence, Refused> {
        let (id, material) = (docket.id, docket.clone());
        let room = if docket.confirmed { Room::Confirmed } else { Room::Unconfirmed };
        let (path, attachments, bytes_max) = self
            .desk
            .with(move |books| {
                let notice = books.notice(&material)?;
                let texts =
                    sworn(&notice).into_iter().map(|it| format!("{} (version {}):\n{}", it.id, it.version, it.text));
                let statements = texts.collect::<Vec<_>>().join("\n\n");
                let json = |value: Result<Vec<u8>, _>| value.expect("our own types are JSON");
                let attachments = vec![
                    ("statements.txt", statements.into_bytes()),
                    ("notice.json", json(serde_json::to_vec_pretty(&notice.without_person()))),
                    ("receipt.json", json(serde_json::to_vec_pretty(&books.receipt(&material)))),
                ];
                let bytes_max = books.rules.bundle_bytes_max.min(books.files.left(room));
                Ok((books.files.draft_of(id, "bundle")?, attachments, bytes_max))
            })
            .await?;
        if bytes_max == 0 {
            warn!(case = id, "there is no room for evidence: files take all that they may");
            return self.without_archive(docket, "there was no room for it".into()).await;
        }
        match gather::from_archive(&self.shelf, docket, attachments, path.clone(), bytes_max).await {
            Ok(mut evidence) => {
                evidence.bundle = Some(self.desk.with(move |books| Ok(books.files.keep(&path, id)?)).await?);
                Ok(evidence)
            }
            Err(why) => {
                let _ = self.desk.with(move |_| Ok(std::fs::remove_file(&path)?)).await;
                self.without_archive(docket, why.to_string()).await
            }
        }
    }

    /// What the claimant has sent, or nothing.
    async fn without_archive(&self, docket: &Docket, why: String) -> Result<Evidence, Refused> {
        let Some(bundle) = docket.bundle else {
            return Ok(Evidence { source: "archive".into(), faults: vec![why], ..Evidence::default() });
        };
        let path = self.desk.file(docket.id, bundle).await?;
        let docket = docket.clone();
        self.desk.with(move |_| Ok(gather::from_claimant(&path, &docket))).await
    }

    async fn ask(&mut self, docket: Docket) -> Result<bool, Refused> {
        let (id, lacks) = (docket.id, docket.missing.clone());
        let case = self.desk.with(move |books| books.case(docket)).await?;
        let evidence = self.desk.evidence(case.clone()).await?;
        let (by, decision) = match self.desk.0.chain.decide(&case, &evidence).await {
            Ok(decision) => decision,
            Err(why) => return self.leave_open(id, why).await,
        };
        let (by, what) = match decision {
            Decision::Act { .. } if !lacks.is_empty() => {
                let note = format!("a handler would act, but the notice lacks {}", lacks.join(", "));
                (Actor::Clock, Happening::Screened { note })
            }
            // Who was asked twice is not asked for ever.
            Decision::NeedInfo { fields } if case.docket.asked == fields => {
                (by, Happening::Screened { note: "it still lacks what was asked for".into() })
            }
            decision => match decided(decision, String::new(), self.desk.rules().answer_business_days) {
                Ok(what) => (by, what),
                Err(why) => return self.leave_open(id, format!("{by}: {why}")).await,
            },
        };
        let written = self.desk.write(id, Some(case.docket.revision), by, |_, _| Ok((what, Vec::new()))).await;
        match written {
            Ok(_) => Ok(true),
            // Somebody was faster; the case is looked at as it is now.
            Err(Refused::Changed(_)) => Ok(true),
            Err(Refused::State(why)) => self.leave_open(id, why.to_string()).await,
            Err(error) => Err(error),
        }
    }

    async fn leave_open(&mut self, case: u64, why: String) -> Result<bool, Refused> {
        error!(case, why, "a case stays open");
        if self.left_open.insert(case, Instant::now() + LEFT_OPEN_PAUSE).is_none() {
            self.write(case, Happening::LeftOpen { why }).await?;
        }
        Ok(false)
    }

    async fn erase_old(&self) -> Result<(), Refused> {
        let days = self.desk.rules().retention_days;
        let since = now_us().saturating_sub(u64::from(days) * DAY_US);
        for case in self.desk.with(move |books| Ok(books.book().unchanged_since(since)?)).await? {
            let docket = self.desk.with(move |books| books.docket(case)).await?;
            if docket.may_be_erased(now_us(), days) {
                let note = format!("{days} days have passed");
                self.write(case, Happening::Erased { note }).await?;
            }
        }
        self.desk.scrub().await
    }
}
