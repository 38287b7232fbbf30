//! Replay: a journal taken down the line again, into an empty database.
//!
//! Same journal, same bytes: each event is decided by the rule book that the journal names, at the
//! time at which it arrived. A call that failed then fails now, and what a call used is what it used
//! then, whatever this machine would make of it. Each call has a fresh instance; only what kept ones
//! answered of a plugin that was found to remember is taken as it was.

mod then;

use crate::clock;
use crate::config::{ConfigError, Folder, MERCHANT_FILE, PLUGINS};
use crate::desk::Live;
use crate::merchant::fall_back::doubtful;
use crate::recorded::{self, For, RecordedError};
use serde::Serialize;
use stampcard_pipeline::admit::{Admitted, Arrival};
use stampcard_pipeline::change::CustomerId;
use stampcard_pipeline::event::{Body, EventName};
use stampcard_pipeline::line::{Context, process, process_admitted};
use stampcard_pipeline::outcome::Status;
use stampcard_pipeline::refusal::Refusal;
use stampcard_pipeline::rules::Isolation;
use stampcard_pipeline::store::{Committed, StoreError};
use stampcard_runtime::{Engine, EngineError};
use stampcard_store::reads::{Find, JournalRow};
use stampcard_store::{Birth, Doubted, Grouping, NewRuleBook, Reads, Settings, SqliteStore};
use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use then::{AsThen, Then};

/// What a replay came to.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Replayed {
    pub events: u64,
    pub rule_books: u64,
    /// Recorded failures that were taken instead of a call.
    pub failures: u64,
    pub seconds: f64,
}

/// Why a journal cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error("{} is not empty; name a folder that does not exist yet", .0.display())]
    NotEmpty(PathBuf),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Open(#[from] stampcard_store::OpenError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("rule book {number}: {error}")]
    Rules { number: i64, error: RecordedError },
    #[error("rule book {0} is named by the journal and is not in the database")]
    NoRuleBook(i64),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("row {seq} of the journal, {}/{}, was taken then and is refused now: {refusal}", .name.source, .name.id)]
    Refused {
        seq: i64,
        name: EventName,
        refusal: Box<Refusal>,
    },
    #[error("row {seq} of the journal, {}/{}, is a duplicate now and was none then", .name.source, .name.id)]
    Duplicate { seq: i64, name: EventName },
}

/// Nobody waits for the answer to one event.
const GROUPING: Grouping = Grouping {
    changes_max: 2_048,
    wait_max: Duration::from_millis(250),
};
/// Rows of the journal that are read at once.
const PAGE: u32 = 512;
const PAGE_CACHE_KIB: u32 = 8 << 10;

/// Replays the journal of one shop into another folder, which must be empty. `progress` is told how
/// many rows of how many are done.
pub fn replay(
    from: &Folder,
    to: &Folder,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Replayed, ReplayError> {
    let began = std::time::Instant::now();
    let reads = Reads::open(&from.database(), 1, PAGE_CACHE_KIB)?;
    make_folder(from, to)?;
    let engine = Engine::new(&from.cache()?)?;
    let birth = Birth {
        secret: reads.secret()?.0,
        at: reads.created_at()?,
    };
    let store = SqliteStore::open(
        &to.database(),
        &birth,
        &Settings {
            grouping: GROUPING,
            ..Settings::default()
        },
    )?;
    let mut replay = Replay {
        then: Then::find(&reads)?,
        reads: &reads,
        store: &store,
        engine: &engine,
        live: None,
        known: HashSet::new(),
        replayed: Replayed::default(),
    };
    let rows = reads.counters()?.journal_rows;
    let mut after = 0;
    loop {
        let page = reads.journal(after, PAGE)?;
        let Some(last) = page.last() else { break };
        after = last.seq;
        for row in page {
            progress(row.seq as u64, rows);
            replay.row(row)?;
        }
    }
    replay.drive_as_far()?;
    store.flush()?;
    let failures = replay.then.taken();
    Ok(Replayed {
        failures,
        seconds: began.elapsed().as_secs_f64(),
        ..replay.replayed
    })
}

struct Replay<'a> {
    reads: &'a Reads,
    store: &'a SqliteStore,
    engine: &'a Engine,
    then: Then,
    live: Option<Live>,
    /// Customers who have come by now.
    known: HashSet<CustomerId>,
    replayed: Replayed,
}

impl Replay<'_> {
    fn row(&mut self, row: JournalRow) -> Result<(), ReplayError> {
        if row.is_rule_book() {
            return self.rule_book(&row);
        }
        self.replayed.events += 1;
        let (seq, name, at) = (
            row.seq,
            EventName {
                source: row.event.source.clone(),
                id: row.event.id.clone(),
            },
            row.received_at,
        );
        self.then.begin(self.reads, name.clone())?;
        let decided = match row.customer.clone() {
            Some(customer) if matches!(row.event.body, Body::Review) => {
                self.decide(|store, with| {
                    process(
                        store,
                        with,
                        &Arrival::Due {
                            customer,
                            at: row.event.at,
                        },
                        at,
                    )
                })
            }
            _ => {
                let admitted = self.admitted(row);
                self.decide(|store, with| process_admitted(store, with, &admitted))
            }
        };
        match decided? {
            Err(Refusal::Store(error)) => Err(error.into()),
            Err(refusal) => Err(ReplayError::Refused {
                seq,
                name,
                refusal: refusal.into(),
            }),
            Ok(committed) if committed.outcome.status == Status::Duplicate => {
                Err(ReplayError::Duplicate { seq, name })
            }
            Ok(_) => Ok(()),
        }
    }

    fn decide(
        &self,
        work: impl FnOnce(&SqliteStore, Context) -> Result<Committed, Refusal>,
    ) -> Result<Result<Committed, Refusal>, ReplayError> {
        let live = self.live.as_ref().ok_or(ReplayError::NoRuleBook(0))?;
        let rules = AsThen {
            book: &live.book,
            then: &self.then,
        };
        let with = Context {
            shop: &live.shop,
            rules: &rules,
            rule_book: live.number,
            secret: self.store.secret(),
        };
        Ok(work(self.store, with))
    }

    /// The event as it was admitted then. What was said about the person is in the row, and whose
    /// event it was is known, so nothing has to be found out again.
    fn admitted(&mut self, row: JournalRow) -> Admitted {
        let is_new = row
            .customer
            .as_ref()
            .is_some_and(|customer| self.known.insert(customer.clone()));
        Admitted {
            event: Arc::new(row.event),
            personal: row.personal,
            sameness: row.sameness,
            received_at: row.received_at,
            named: row.customer.clone().filter(|_| !is_new),
            wants_account: row.customer.is_some(),
            as_guest: row.customer.is_none(),
            new_customer: row.customer.unwrap_or(CustomerId(String::new())),
            due: false,
            found_then: row.outcome.identity,
            verified: Vec::new(),
        }
    }

    fn rule_book(&mut self, row: &JournalRow) -> Result<(), ReplayError> {
        let number = row.rule_book.unwrap_or_default();
        let book = self
            .reads
            .rule_book(number)?
            .ok_or(ReplayError::NoRuleBook(number))?;
        let (shop, rules) = recorded::load(self.engine, self.reads, &book, For::Replay)
            .map_err(|error| ReplayError::Rules { number, error })?;
        let artifacts = recorded::artifacts(self.reads, &book)
            .map_err(|error| ReplayError::Rules { number, error })?;
        let artifacts: Vec<_> = artifacts
            .iter()
            .map(|(digest, kept)| kept.artifact(digest))
            .collect();
        let doubted = self.doubted(&book)?;
        // As the book has it: the order of its plugins is the order in which they ran.
        let saved = self.store.save_rule_book(
            &NewRuleBook {
                plugins: &book.plugins,
                shop: &book.shop,
                files: &book.files,
                packs: &book.packs,
                artifacts: &artifacts,
                by: &book.by,
                round: None,
                doubted: doubted.as_ref(),
                at: row.received_at,
            },
            None,
        )?;
        self.live = Some(Live {
            shop,
            book: Arc::new(rules),
            number: saved.number,
        });
        self.replayed.rule_books += 1;
        Ok(())
    }

    /// The answers that nobody believed any more when a rule book went live: those of kept instances of
    /// the plugin that it says was found out.
    fn doubted(&self, book: &stampcard_store::RuleBook) -> Result<Option<Doubted>, ReplayError> {
        let Some(before) = self.store.rule_book() else {
            return Ok(None);
        };
        let mut plugins = before.plugins.iter();
        let found_out = plugins.find(|then| {
            let mut plugins = book.plugins.iter();
            let now = plugins.find(|now| now.is_same_as(then));
            then.isolation == Isolation::VerifiedReuse
                && now.is_some_and(|now| now.isolation.found_out().is_some())
        });
        let Some(plugin) = found_out else {
            return Ok(None);
        };
        let found = doubtful(self.store, before.number, plugin)?;
        Ok(Some(found.doubtful))
    }

    /// Drives the timers of every customer as far as they were driven then. Reviews that changed
    /// nothing are not in the journal.
    fn drive_as_far(&mut self) -> Result<(), ReplayError> {
        let mut after: Option<CustomerId> = None;
        loop {
            let page = self.reads.customers(Find::All, after.as_ref(), PAGE)?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            after = Some(last.id.clone());
            self.store.flush()?;
            for then in &page {
                let clock = self
                    .store
                    .reads()
                    .customer(&then.id)?
                    .map(|now| now.head.clock);
                if clock.is_none_or(|clock| clock >= then.head.clock) {
                    continue;
                }
                let arrival = Arrival::Due {
                    customer: then.id.clone(),
                    at: then.head.clock,
                };
                let name = EventName::default();
                self.then.begin(self.reads, name.clone())?;
                let driven =
                    self.decide(|store, with| process(store, with, &arrival, clock::now()))?;
                driven.map_err(|refusal| ReplayError::Refused {
                    seq: 0,
                    name,
                    refusal: refusal.into(),
                })?;
            }
        }
    }
}

/// A shop's folder with the configuration of the first one.
fn make_folder(from: &Folder, to: &Folder) -> Result<(), ReplayError> {
    if fs::read_dir(to.dir()).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(ReplayError::NotEmpty(to.dir().into()));
    }
    let failed = |path: &Path, source| ConfigError::Write {
        path: path.into(),
        source,
    };
    let data = to.database();
    let data = data.parent().unwrap_or(to.dir());
    fs::create_dir_all(data).map_err(|source| failed(data, source))?;
    let copy = |name: &Path| -> Result<(), ConfigError> {
        let (old, new) = (from.dir().join(name), to.dir().join(name));
        match fs::copy(&old, &new) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(failed(&new, source))
            }
            _ => Ok(()),
        }
    };
    copy(Path::new(MERCHANT_FILE))?;
    copy(Path::new(crate::config::SERVER_FILE))?;
    let plugins = to.plugins();
    fs::create_dir_all(&plugins).map_err(|source| failed(&plugins, source))?;
    for entry in fs::read_dir(from.plugins()).into_iter().flatten().flatten() {
        if entry.path().is_file() {
            copy(&Path::new(PLUGINS).join(entry.file_name()))?;
        }
    }
    Ok(())
}
