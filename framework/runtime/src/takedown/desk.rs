//! Where notices are taken in and decided.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use peerstream_protocol::crypto::{PublicKey, SecretKey};
use peerstream_takedown::action::Action;
use peerstream_takedown::calendar::Date;
use peerstream_takedown::counter::{CounterNotice, Suit};
use peerstream_takedown::docket::{self, Comparison, NOTE_CHARS_MAX, NotPossible};
use peerstream_takedown::draft::{DRAFT_TTL_US, token_hash};
use peerstream_takedown::hex::Digest;
use peerstream_takedown::ledger::{File, Happening, Head, Signed};
use peerstream_takedown::notice::{Notice, Profile};
use peerstream_takedown::outbox::{About, Mails, Posted};
use peerstream_takedown::record::{Body, Record};
use peerstream_takedown::state::{Actor, Illegal, State, Step};
use peerstream_takedown::text::{self, Invalid};
use peerstream_takedown::{Docket, Receipt, hex};
use peerstream_traits::casebook::{BoxedCasebook, LETTERS_GIVEN_MAX, LetterCounts, Query};
use peerstream_traits::compliance::{Case, Decision, Evidence, Transition};
use peerstream_traits::mail::SharedCourier;
use peerstream_traits::telemetry::Figure;
use tokio::sync::{Notify, Semaphore, mpsc};
use tracing::warn;

use super::books::{Books, How, Written, now_us, salt, without_words, words};
use super::files::{CHUNK_BYTES_MAX, Part};
use super::post::Post;
use super::refused::Refused;
use super::rules::{Confirmation, Rules};
use super::work::{Compare, Work};
use crate::plugins::compliance::Chain;

/// A draft with what only its claimant sees.
pub use peerstream_takedown::Draft;

/// Steps that wait to be told to handlers and by mail, at most; more are dropped, which is said.
pub(super) const NEWS_MAX: usize = 1_024;

/// What it takes to have a desk.
pub struct Setup {
    /// Where files are kept; created when it is not there.
    pub folder: PathBuf,
    /// Where cases are kept.
    pub casebook: BoxedCasebook,
    /// Signs the log and the receipts. Cases that were begun with another key are refused: keep it.
    pub operator: SecretKey,
    /// The operator's rules.
    pub rules: Rules,
    /// Sends mails, if there is a mail server.
    pub courier: Option<SharedCourier>,
    /// Compares copies of works with what was streamed, if there is something that can.
    pub compare: Option<Arc<dyn Compare>>,
}

/// Where notices are taken in and decided; cheap to clone.
#[derive(Clone)]
pub struct Desk(pub(super) Arc<Shared>);

pub(super) struct Shared {
    books: Mutex<Books>,
    /// Whose turn with the books it is, in the order in which they came: those who wait keep no thread.
    turn: Arc<Semaphore>,
    pub(super) rules: Rules,
    operator: PublicKey,
    pub(super) post: Post,
    /// The worker looks whenever something has changed.
    pub(super) changed: Notify,
    news: mpsc::Sender<(Docket, Transition)>,
    pub(super) chain: Chain,
}

/// What becomes of a notice that is sent in.
#[derive(Clone, Debug, PartialEq)]
pub enum Submitted {
    /// The claimant must confirm their mail address until then, microseconds since 1970.
    Pending(u64),
    /// It is a case.
    Taken(Box<Docket>, Box<Receipt>),
}

/// What the operator says beside a step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// The revision that they have seen; nothing happens if the case has changed since.
    pub revision: Option<u32>,
    /// For the log, for good.
    pub note: String,
}

/// What the operator wants with a case.
#[derive(Clone, Debug, PartialEq)]
pub enum Order {
    /// Decide.
    Decide(Decision),
    /// Do more.
    Act(Vec<Action>),
    /// Undo what was done, and decide anew.
    Reopen,
    /// Undo what was done.
    Restore,
    /// End it.
    Close,
    /// Say something.
    Note,
    /// Keep all of it, or not any longer.
    Hold(bool),
    /// Erase personal data and files.
    Erase,
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Desk({})", self.0.operator)
    }
}

impl Desk {
    /// Opens the books. The worker does nothing before it is run.
    pub(crate) fn open(setup: Setup, chain: Chain) -> Result<(Self, Work), Refused> {
        let Setup { folder, casebook, operator, rules, courier, compare } = setup;
        let public = operator.public();
        let post = Post::new(courier);
        let books = Books::open(casebook, operator, &folder, rules.clone(), post.clone())?;
        let (news, heard) = mpsc::channel(NEWS_MAX);
        let shared = Arc::new(Shared {
            books: Mutex::new(books),
            turn: Arc::new(Semaphore::new(1)),
            rules,
            operator: public,
            post,
            changed: Notify::new(),
            news,
            chain,
        });
        let desk = Self(shared);
        let work = Work::new(desk.clone(), heard, compare);
        Ok((desk, work))
    }

    /// The operator's rules.
    pub fn rules(&self) -> &Rules {
        &self.0.rules
    }

    /// The operator's key, which signs the log and the receipts.
    pub fn operator(&self) -> PublicKey {
        self.0.operator
    }

    /// Whether mails are sent.
    pub fn has_mail(&self) -> bool {
        self.0.post.is_there()
    }

    /// The profiles of which some handler knows what to do.
    pub fn profiles(&self) -> Vec<Profile> {
        self.0.chain.profiles()
    }

    /// The handlers, by name.
    pub fn handlers(&self) -> Vec<String> {
        self.0.chain.names()
    }

    /// Works on the books in a thread in which it may block.
    pub(super) async fn with<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Books) -> Result<T, Refused> + Send + 'static,
    ) -> Result<T, Refused> {
        let shared = self.0.clone();
        let turn = shared.turn.clone().acquire_owned().await.expect("it is never closed");
        let acted = tokio::task::spawn_blocking(move || {
            let acted = act(&mut shared.books.lock().expect("no holder panics"));
            drop(turn);
            acted
        });
        acted.await.map_err(|error| Refused::Store(peerstream_traits::PluginError::unavailable(error.to_string())))?
    }

    /// Adds an entry to a case, and has others hear of it.
    pub(super) async fn write(
        &self,
        case: u64,
        revision: Option<u32>,
        by: Actor,
        what: impl FnOnce(&mut Books, &Docket) -> Result<(Happening, Vec<Record>), Refused> + Send + 'static,
    ) -> Result<Docket, Refused> {
        let written = self.with(move |books| {
            let docket = books.docket_at(case, revision)?;
            let (what, records) = what(books, &docket)?;
            books.add(docket, by, what, &records)
        });
        Ok(self.heard(written.await?))
    }

    /// Wakes the worker and tells the handlers.
    fn heard(&self, Written { docket, transition }: Written) -> Docket {
        if let Some(transition) = transition
            && self.0.news.try_send((docket.clone(), transition)).is_err()
        {
            warn!(case = docket.id, waiting = NEWS_MAX, "nobody is told of a step: too many wait");
        }
        self.0.changed.notify_one();
        docket
    }

    // What claimants do.

    /// Begins a draft; gives the token that its claimant shows from now on.
    pub async fn begin(&self, notice: Notice) -> Result<(Draft, String), Refused> {
        let token = token();
        let hash = token_hash(&token);
        let draft = self.with(move |books| {
            books.room_for_draft()?;
            let notice = notice.tidied(today())?;
            let expires_us = now_us() + DRAFT_TTL_US;
            let draft = Draft {
                id: hex::encode(&salt()),
                state: State::Draft,
                token: hash,
                confirmation: None,
                expires_us,
                notice,
            };
            books.book().put_draft(&draft, None)?;
            Ok(draft)
        });
        Ok((draft.await?, token))
    }

    /// A draft that is still being written, and how many bytes of its parts have come.
    pub async fn draft(&self, id: &str, token: &str) -> Result<(Draft, [u64; 2]), Refused> {
        let (id, token) = (id.to_owned(), token_hash(token));
        self.with(move |books| {
            let draft = draft_of(books, &id, &token)?;
            let sizes = [Part::Copy, Part::Bundle].map(|part| books.files.uploaded(&draft.id, part));
            Ok((draft, sizes))
        })
        .await
    }

    /// Replaces what is written.
    pub async fn rewrite(&self, id: &str, token: &str, notice: Notice) -> Result<Draft, Refused> {
        let (id, token) = (id.to_owned(), token_hash(token));
        self.with(move |books| {
            let draft = Draft { notice: notice.tidied(today())?, ..draft_of(books, &id, &token)? };
            books.book().put_draft(&draft, None)?;
            Ok(draft)
        })
        .await
    }

    /// Takes the next bytes of an upload, at most [`CHUNK_BYTES_MAX`]; gives how many there are.
    pub async fn upload(
        &self,
        id: &str,
        token: &str,
        part: Part,
        offset: u64,
        bytes: bytes::Bytes,
    ) -> Result<u64, Refused> {
        if bytes.len() > CHUNK_BYTES_MAX {
            return Err(Refused::TooLarge(CHUNK_BYTES_MAX as u64));
        }
        let (id, token) = (id.to_owned(), token_hash(token));
        self.with(move |books| {
            let draft = draft_of(books, &id, &token)?;
            let max = match part {
                Part::Copy => books.rules.copy_bytes_max,
                Part::Bundle => books.rules.bundle_bytes_max,
            };
            books.files.append(&draft.id, part, offset, &bytes, max)
        })
        .await
    }

    /// Deletes what was uploaded.
    pub async fn discard(&self, id: &str, token: &str, part: Part) -> Result<(), Refused> {
        let (id, token) = (id.to_owned(), token_hash(token));
        self.with(move |books| {
            let draft = draft_of(books, &id, &token)?;
            Ok(books.files.discard(&draft.id, part)?)
        })
        .await
    }

    /// Sends a draft in, about a broadcast of this stream if it does not say which.
    pub async fn submit(&self, id: &str, token: &str, stream: &str, epoch: u64) -> Result<Submitted, Refused> {
        let (id, token, stream) = (id.to_owned(), token_hash(token), stream.to_owned());
        let confirmation = self.0.rules.confirmation;
        let secret = self::token();
        let confirm = token_hash(&secret);
        let submitted = self.with(move |books| {
            let mut draft = draft_of(books, &id, &token)?;
            draft.notice.material.epoch.get_or_insert(epoch);
            // Who names no address cannot confirm it; the law does not demand one.
            let confirms = confirmation != Confirmation::None && !draft.notice.claimant.email.is_empty();
            room(books, confirms)?;
            if let Some(twin) = books.twin(&draft.notice, None)? {
                return Err(Refused::Duplicate(twin));
            }
            if !confirms {
                let how =
                    How { step: Step::Receive, by: Actor::Claimant, channel: "web", stream: &stream, confirmed: false };
                return Ok(Ok(begin(books, &draft, how)?));
            }
            (draft.state, draft.confirmation) =
                (State::Draft.after(Step::Submit, Actor::Claimant.sort()).map_err(NotPossible::from)?, Some(confirm));
            draft.expires_us = now_us() + DRAFT_TTL_US;
            let letter = match confirmation {
                Confirmation::Mail => confirmation_letter(books, &draft, &secret)?,
                _ => None,
            };
            books.book().put_draft(&draft, letter.as_ref())?;
            books.post.has_put();
            Ok(Err(draft.expires_us))
        });
        Ok(match submitted.await? {
            Ok((written, receipt)) => self.taken(written, receipt),
            Err(expires_us) => Submitted::Pending(expires_us),
        })
    }

    /// A claimant has followed the link in a mail.
    pub async fn confirm(&self, secret: &str, stream: &str) -> Result<Submitted, Refused> {
        let (confirm, stream) = (token_hash(secret), stream.to_owned());
        let written = self.with(move |books| {
            let draft = books.book().draft_of_confirmation(&confirm)?.filter(|draft| draft.expires_us > now_us());
            let draft = draft.ok_or(Refused::Expired)?;
            room(books, true)?;
            // Several may have been sent in before the first one was confirmed.
            if let Some(twin) = books.twin(&draft.notice, None)? {
                return Err(Refused::Duplicate(twin));
            }
            let how =
                How { step: Step::Confirm, by: Actor::Claimant, channel: "web", stream: &stream, confirmed: true };
            begin(books, &draft, how)
        });
        let (written, receipt) = written.await?;
        Ok(self.taken(written, receipt))
    }

    fn taken(&self, written: Written, receipt: Receipt) -> Submitted {
        Submitted::Taken(Box::new(self.heard(written)), Box::new(receipt))
    }

    /// The case of a claimant's token.
    pub async fn case_of(&self, token: &str) -> Result<u64, Refused> {
        let token = token_hash(token);
        self.with(move |books| books.book().case_of(&token)?.ok_or(Refused::Unknown)).await
    }

    /// A claimant sends a notice again that lacked something.
    pub async fn complete(&self, case: u64, by: Actor, notice: Notice) -> Result<Docket, Refused> {
        self.write(case, None, by.clone(), move |books, docket| {
            let mut notice = notice.tidied(today())?;
            if notice.profile != docket.profile {
                return Err(Invalid::new("profile", "is another one than before").into());
            }
            // Mails go there from now on, and nobody has confirmed another one.
            let confirmed = books.notice(docket)?.claimant.email;
            if docket.confirmed && by == Actor::Claimant && confirmed != notice.claimant.email {
                return Err(Invalid::new("claimant.email", "is another one than was confirmed").into());
            }
            notice.material.epoch.get_or_insert(docket.epoch);
            let records = Record::of_notice([salt(), salt()], &notice);
            let what = Happening::Completed {
                notice: records[0].hash(),
                claimant: records[1].hash(),
                statements: notice.statements.clone(),
                material: without_words(&notice),
                missing: words(notice.missing()),
            };
            Ok((what, records.into()))
        })
        .await
    }

    /// A claimant takes a notice back.
    pub async fn withdraw(&self, case: u64) -> Result<Docket, Refused> {
        self.write(case, None, Actor::Claimant, |_, _| Ok((Happening::Withdrawn, Vec::new()))).await
    }

    /// A claimant has gone to court.
    pub async fn sue(&self, case: u64, by: Actor, revision: Option<u32>, suit: Suit) -> Result<Docket, Refused> {
        self.write(case, revision, by, |_, _| {
            let record = Record::new(salt(), Body::Suit(suit.tidied()?));
            Ok((Happening::Sued { suit: record.hash() }, vec![record]))
        })
        .await
    }

    // What the streamer does.

    /// The streamer objects.
    pub async fn counter(
        &self,
        case: u64,
        by: Actor,
        revision: Option<u32>,
        counter: CounterNotice,
    ) -> Result<Docket, Refused> {
        self.write(case, revision, by, |_, docket| {
            let formal = docket.profile == Profile::Dmca;
            let counter = counter.tidied(today(), formal)?;
            let statements = counter.statements.clone();
            let record = Record::new(salt(), Body::Counter(counter));
            // The window is one of the DMCA.
            let (restore_from_us, restore_by_us) = formal.then(|| docket::restoration(now_us())).unzip();
            let what = Happening::Countered { counter: record.hash(), statements, restore_from_us, restore_by_us };
            Ok((what, vec![record]))
        })
        .await
    }

    // What the operator does.

    /// Takes a notice in that came another way than over the web.
    pub async fn enter(
        &self,
        notice: Notice,
        channel: &str,
        stream: &str,
        epoch: u64,
    ) -> Result<(Docket, Receipt), Refused> {
        let (stream, mut channel) = (stream.to_owned(), channel.to_owned());
        let written = self.with(move |books| {
            text::line("channel", &mut channel, 40)?;
            let mut notice = notice;
            // A letter has no boxes to tick: what it says in its own words is in the explanation.
            let day = Date::parse(&notice.executed_on).unwrap_or_else(today);
            notice = notice.tidied(day)?;
            notice.material.epoch.get_or_insert(epoch);
            let how =
                How { step: Step::Enter, by: Actor::Operator, channel: &channel, stream: &stream, confirmed: true };
            let written = books.begin(&notice, None, how)?;
            let receipt = books.receipt(&written.docket);
            Ok((written, receipt))
        });
        let (written, receipt) = written.await?;
        Ok((self.heard(written), receipt))
    }

    /// Drafts whose claimants have not confirmed their address yet.
    pub async fn pending(&self) -> Result<Vec<Draft>, Refused> {
        self.with(|books| Ok(books.book().drafts_pending()?)).await
    }

    /// The operator vouches for a claimant's address.
    pub async fn vouch(&self, draft: &str, stream: &str) -> Result<Docket, Refused> {
        let (id, stream) = (draft.to_owned(), stream.to_owned());
        let written = self.with(move |books| {
            let draft = books.book().draft(&id)?.filter(|draft| draft.state == State::EmailPending);
            let draft = draft.ok_or(Refused::Unknown)?;
            let how =
                How { step: Step::Confirm, by: Actor::Operator, channel: "web", stream: &stream, confirmed: true };
            begin(books, &draft, how)
        });
        Ok(self.heard(written.await?.0))
    }

    /// Carries out what the operator wants.
    pub async fn order(&self, case: u64, order: Order, notes: Notes) -> Result<Docket, Refused> {
        let (days, erases) = (self.0.rules.answer_business_days, order == Order::Erase);
        let written = self.write(case, notes.revision, Actor::Operator, move |_, docket| {
            let mut note = notes.note;
            text::field("note", &mut note, NOTE_CHARS_MAX)?;
            Ok((happening(order, note, docket, days)?, Vec::new()))
        });
        let docket = written.await?;
        if erases {
            self.scrub().await?;
        }
        Ok(docket)
    }

    /// Has what was erased vanish from the casebook's files as well.
    pub(super) async fn scrub(&self) -> Result<(), Refused> {
        self.with(|books| Ok(books.book().scrub()?)).await
    }

    /// What a comparison of the copy of the work with what was streamed has found.
    pub async fn compared(&self, case: u64, comparison: Comparison) -> Result<Docket, Refused> {
        self.write(case, None, Actor::Clock, |_, _| Ok((Happening::Compared(comparison), Vec::new()))).await
    }

    // What can be seen.

    /// A case with its notice.
    pub async fn case(&self, case: u64) -> Result<Case, Refused> {
        self.with(move |books| {
            let docket = books.docket(case)?;
            books.case(docket)
        })
        .await
    }

    /// What there is to look at in a case.
    pub async fn evidence(&self, case: Case) -> Result<Evidence, Refused> {
        self.with(move |books| Ok(books.evidence(&case))).await
    }

    /// Where a file of a case is.
    pub async fn file(&self, case: u64, file: File) -> Result<PathBuf, Refused> {
        self.with(move |books| Ok(books.files.path(case, &file))).await
    }

    /// A case's receipt.
    pub async fn receipt(&self, case: u64) -> Result<Receipt, Refused> {
        self.with(move |books| {
            let docket = books.docket(case)?;
            Ok(books.receipt(&docket))
        })
        .await
    }

    /// Whether a receipt is one of this desk; gives its case.
    pub async fn case_of_receipt(&self, receipt: Receipt) -> Result<u64, Refused> {
        receipt.verify(Some(self.0.operator)).map_err(|_| Refused::Unknown)?;
        let own = self.receipt(receipt.case).await?;
        if own == receipt { Ok(own.case) } else { Err(Refused::Unknown) }
    }

    /// Cases with their notices.
    pub async fn cases(&self, query: Query) -> Result<Vec<Case>, Refused> {
        self.with(move |books| {
            let dockets = books.book().dockets(&query)?;
            dockets.into_iter().map(|docket| books.case(docket)).collect()
        })
        .await
    }

    /// How many cases are in each state.
    pub async fn counts(&self) -> Result<Vec<(State, u64)>, Refused> {
        self.with(|books| Ok(books.book().counts()?)).await
    }

    /// How many cases count against a stream.
    pub async fn strikes(&self, stream: &str) -> Result<u32, Refused> {
        let stream = stream.to_owned();
        self.with(move |books| Ok(books.book().strikes(&stream)?)).await
    }

    /// A record of a case, if it was not erased.
    pub async fn record(&self, hash: Digest) -> Result<Option<Record>, Refused> {
        self.with(move |books| Ok(books.book().record(&hash)?)).await
    }

    /// Entries of the log, of one case or of all, from a number on.
    pub async fn entries(&self, case: Option<u64>, from: u64, max: usize) -> Result<Vec<Signed>, Refused> {
        self.with(move |books| Ok(books.book().entries(case, from, max)?)).await
    }

    /// The end of the log.
    pub async fn head(&self) -> Result<Head, Refused> {
        self.with(Books::head).await
    }

    /// Mails about one case, or those about all of them that were not sent, the latest first, and how many wait or were given up.
    pub async fn letters(&self, case: Option<u64>) -> Result<(Vec<Posted>, LetterCounts), Refused> {
        self.with(move |books| {
            let letters = books.book().letters(case, LETTERS_GIVEN_MAX)?;
            Ok((letters, books.book().letter_counts()?))
        })
        .await
    }

    /// How the mails of each of these cases stand.
    pub async fn mails(&self, cases: Vec<u64>) -> Result<Vec<Mails>, Refused> {
        self.with(move |books| {
            let mails = cases.into_iter().map(|case| books.book().letters(Some(case), LETTERS_GIVEN_MAX));
            mails.map(|letters| Ok(Mails::of(&letters?))).collect()
        })
        .await
    }

    /// What becomes of mails, in numbers.
    pub fn figures(&self) -> Vec<Figure> {
        self.0.post.figures()
    }
}

/// 256 random bits.
fn token() -> String {
    hex::encode(&crate::random_seed())
}

fn today() -> Date {
    Date::of_us(now_us())
}

/// A draft that is still being written, by its name and its token.
fn draft_of(books: &mut Books, id: &str, token: &Digest) -> Result<Draft, Refused> {
    let draft = books.book().draft(id)?.filter(|draft| draft.token == *token).ok_or(Refused::Unknown)?;
    if draft.expires_us <= now_us() {
        return Err(Refused::Expired);
    }
    match draft.state {
        State::Draft => Ok(draft),
        state => {
            let illegal = Illegal { state, step: Step::Submit, by: Actor::Claimant.sort() };
            Err(NotPossible::from(illegal).into())
        }
    }
}

/// The mail with the link; a claimant who cannot be sent one is told to come back.
fn confirmation_letter(books: &mut Books, draft: &Draft, secret: &str) -> Result<Option<Posted>, Refused> {
    let letter = books.sender().confirmation(&draft.notice.claimant.email, secret);
    let (written, about) = (letter.is_some(), About::Draft(draft.id.clone()));
    let put = books.posted(&about, letter.into_iter().collect())?.pop();
    if written && put.is_none() && books.post.is_there() { Err(Refused::Busy) } else { Ok(put) }
}

/// Begins the case of a draft.
fn begin(books: &mut Books, draft: &Draft, how: How<'_>) -> Result<(Written, Receipt), Refused> {
    let written = books.begin(&draft.notice, Some(draft), how)?;
    let receipt = books.receipt(&written.docket);
    Ok((written, receipt))
}

/// Whether one more case can be taken in. Strangers fill three quarters of the room: who has shown an address still has the rest.
fn room(books: &mut Books, confirmed: bool) -> Result<(), Refused> {
    let max = if confirmed { books.rules.open_max } else { books.rules.open_max - books.rules.open_max / 4 };
    let open: u64 = books.book().counts()?.iter().filter(|(state, _)| state.is_open()).map(|(_, count)| count).sum();
    if open < max { Ok(()) } else { Err(Refused::Busy) }
}

/// What an order is in the log.
fn happening(order: Order, note: String, docket: &Docket, answer_days: u32) -> Result<Happening, Refused> {
    Ok(match order {
        Order::Decide(decision) => decided(decision, note, answer_days)?,
        Order::Act(actions) => Happening::Ordered { actions: checked(actions)?, note },
        Order::Reopen => Happening::Reopened { note },
        Order::Restore => Happening::Restored { note },
        Order::Close => Happening::Closed { note },
        Order::Note if note.is_empty() => {
            return Err(Invalid::new("note", "is empty, expected what is to be noted").into());
        }
        Order::Note => Happening::Noted { note },
        Order::Hold(hold) => Happening::Held { hold, note },
        Order::Erase => {
            if docket.state.is_open() {
                let why = "personal data of an open case is needed";
                return Err(NotPossible::Nothing { case: docket.id, why }.into());
            }
            Happening::Erased { note }
        }
    })
}

/// What a decision is in the log.
pub(super) fn decided(decision: Decision, note: String, answer_days: u32) -> Result<Happening, Refused> {
    let tidy = |name: &str, mut text: String| text::field(name, &mut text, NOTE_CHARS_MAX).map(|()| text);
    let said = |said: String| if said.is_empty() { note.clone() } else { said };
    Ok(match decision {
        Decision::Pass | Decision::Queue => Happening::Screened { note },
        Decision::NeedInfo { fields } => {
            let fields = fields.into_iter().map(|field| tidy("fields", field)).collect::<Result<Vec<_>, _>>()?;
            if fields.iter().all(String::is_empty) {
                return Err(Invalid::new("fields", "is empty, expected what is missing").into());
            }
            Happening::Asked { fields, answer_by_us: docket::answer_by(now_us(), answer_days) }
        }
        Decision::Reject { reason } => {
            let reason = said(tidy("reason", reason)?);
            if reason.is_empty() {
                return Err(Invalid::new("reason", "is empty, expected why the notice is rejected").into());
            }
            Happening::Rejected { reason }
        }
        Decision::Act { actions, note: why } => {
            Happening::Accepted { actions: checked(actions)?, note: said(tidy("note", why)?) }
        }
    })
}

/// Actions that can be carried out at all.
fn checked(actions: Vec<Action>) -> Result<Vec<Action>, Refused> {
    for action in &actions {
        if let Action::HideRange { from_ms, to_ms } = action
            && from_ms >= to_ms
        {
            return Err(Invalid::new("actions", format!("from {from_ms} ms to {to_ms} ms is no range")).into());
        }
    }
    Ok(actions)
}
