//! A shop that is open: its store, its live rules, its lanes.
//!
//! This is the door through which HTTP, the clock and imports reach the line. It decides nothing.

pub(crate) mod fall_back;
mod going_live;
mod inbox;
mod packs;
mod quarantine;
pub(crate) mod reviews;

use going_live::at_start;
pub use going_live::{Installed, NotLive, Reloaded, problems, state, when_opened};
pub use packs::{Provenance, Terms, of_pack, provenance, source};
pub use reviews::Foreseen;

use crate::audit::{Audit, Audited};
use crate::chores::Chores;
use crate::clock::{self, Clock};
use crate::config::{ConfigError, Folder, ServerFile};
use crate::delivery::{self, DeliveryFigures};
use crate::desk::Desk;
pub use crate::desk::Live;
use crate::devices::{self, Devices};
use crate::figures::Figures;
use crate::keys;
use crate::lanes::{Lanes, NotTaken, RETRY_AFTER_S, Reply};
use crate::orders;
use crate::recorded::RecordedError;
use crate::reload::{Watch, Watched};
use crate::sources::Sources;
use crate::turns::Turns;
use bytes::Bytes;
use parking_lot::Mutex;
use stampcard_pipeline::admit::{Sender, normal_phone};
use stampcard_pipeline::event::Instant;
use stampcard_pipeline::outcome::Outcome;
use stampcard_pipeline::refusal::Refusal;
use stampcard_pipeline::shop::Shop;
use stampcard_pipeline::store::StoreError;
use stampcard_runtime::{Engine, EngineError, KeptFigures, LibraryFigures};
use stampcard_store::{Birth, Grouping, Settings, SqliteStore};
use std::collections::{BTreeSet, VecDeque};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Once};
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};
use tracing::Span;

/// How a shop is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// Threads that decide events.
    pub lanes: usize,
    /// Events that wait in each lane before tills are asked to come back.
    pub queue: usize,
    /// When the store closes a group of changes.
    pub grouping: Grouping,
    /// Shops that this process opens: they share its memory and its processors.
    pub shops: usize,
}

/// What all shops of a process share. Clones are the same.
#[derive(Clone)]
pub struct Shared {
    pub engine: Engine,
    pub turns: Arc<Turns>,
    pub sources: Sources,
}

impl Shared {
    /// For a process whose compiled plugins are kept in `cache`.
    pub fn new(cache: &Path) -> Result<Shared, EngineError> {
        Ok(Shared {
            engine: Engine::new(cache)?,
            turns: Arc::new(Turns::of_this_machine()),
            sources: Sources::new(cache),
        })
    }
}

/// Events that wait in each lane. At 1,500 events a second and lane the last one waits for a third
/// of a second, which a till forgives; more would only wait longer.
pub const QUEUE_DEFAULT: usize = 512;

/// Events of one batch that are under way at once. More would take the lane from other tills for
/// longer, and fewer would wait for the disk.
const IN_TURN_MAX: usize = 32;

/// Of the memory that a shop alone may have, each of many has at least one part in so many: 8 MiB for
/// its hot customers and its pages, which a shop with a few thousand customers does not fill.
const MEMORY_PARTS_MAX: usize = 16;
/// Connections for reads of each of several shops: one may be slow. Each shop's wait for each other.
const READERS_OF_SEVERAL: usize = 2;

impl Options {
    /// As the `stampcard.toml` of a shop says that is open alone.
    pub fn of(file: &ServerFile) -> Options {
        Options::of_one_in(1, file)
    }

    /// The same for one of several shops.
    pub fn of_one_in(shops: usize, file: &ServerFile) -> Options {
        let processors = std::thread::available_parallelism().map_or(2, usize::from);
        Options {
            lanes: file.lanes.unwrap_or((processors / shops.max(1)).max(1)),
            queue: file.queue.unwrap_or(QUEUE_DEFAULT),
            grouping: Grouping::default(),
            shops,
        }
    }

    /// How the store is opened.
    fn settings(&self) -> Settings {
        let alone = Settings {
            grouping: self.grouping,
            ..Settings::default()
        };
        if self.shops <= 1 {
            return alone;
        }
        let parts = self.shops.min(MEMORY_PARTS_MAX);
        Settings {
            cache_bytes: alone.cache_bytes / parts,
            page_cache_kib: alone.page_cache_kib / parts as u32,
            readers: READERS_OF_SEVERAL,
            ..alone
        }
    }
}

/// One shop, open for business. It is shared as an `Arc`.
pub struct Merchant {
    name: String,
    folder: Folder,
    desk: Arc<Desk>,
    lanes: Arc<Lanes>,
    devices: Arc<Devices>,
    engine: Engine,
    sources: Sources,
    reloads: Mutex<Reloads>,
    /// Held by whoever brings rules live: one after the other.
    changing: Mutex<()>,
    /// What it does by itself; `None` until it is tended.
    tended: Mutex<Option<Tended>>,
    closing: AtomicBool,
    /// Names the shop in the log, where a process has several.
    span: Span,
    shops: usize,
}

/// What an open shop does by itself.
struct Tended {
    clock: Arc<Clock>,
    audit: Arc<Audit>,
    sender: Arc<delivery::Sender>,
    chores: Chores,
    watched: Option<Watched>,
}

/// Why an event is not answered with an outcome.
#[derive(Debug, thiserror::Error)]
pub enum Rejected {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("too many events are waiting; send it again in {retry_after_s} s")]
    Overloaded { retry_after_s: u32 },
    #[error("the shop is closing; send it again when it is back")]
    Closing,
}

impl From<NotTaken> for Rejected {
    fn from(not_taken: NotTaken) -> Rejected {
        match not_taken {
            NotTaken::Full => Rejected::Overloaded {
                retry_after_s: RETRY_AFTER_S,
            },
            NotTaken::Closed => Rejected::Closing,
        }
    }
}

/// Why a shop cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Store(#[from] stampcard_store::OpenError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Rules(#[from] NotLive),
    #[error(transparent)]
    Currency(#[from] CurrencyChanged),
    #[error("the operating system gives no random numbers: {0}")]
    Random(#[from] getrandom::Error),
}

/// Points and amounts of a ledger mean nothing in another currency.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "merchant.toml: `currency` is {now:?}, and this shop's ledger is in {ledger:?}, which never changes; \
     write `currency = \"{ledger}\"`, or make another shop with `stampcard init`"
)]
pub struct CurrencyChanged {
    pub ledger: String,
    pub now: String,
}

/// How the shop is, for health checks and metrics.
#[derive(Clone, Debug)]
pub struct Health {
    /// It takes events.
    pub ready: bool,
    pub why_not: Option<String>,
    pub lanes: usize,
    /// Events that wait, and how many may.
    pub waiting: usize,
    pub places: usize,
    /// Customers whom the shop's clock drove since the start, and how often it failed.
    pub driven: u64,
    pub driven_failed: u64,
    pub audited: Audited,
    pub delivery: DeliveryFigures,
    /// Events over which the host itself panicked.
    pub panics: u64,
    pub reloads: Reloads,
}

/// What became of changes in the shop's folder since the start.
#[derive(Clone, Debug, Default)]
pub struct Reloads {
    pub taken: u64,
    /// Wholly or in part.
    pub refused: u64,
    pub last_at: Option<Instant>,
    /// What was wrong with the last one; `None` if nothing was.
    pub last_problem: Option<String>,
    /// Plugins whose files are left alone because another version of them was ordered.
    pub drift: BTreeSet<String>,
}

impl Merchant {
    /// Opens a shop's folder: its files, its database, its plugins. It takes events at once; the
    /// clock and the watch over the folder are started by [`Merchant::tend`].
    pub fn open(dir: &Path, options: &Options) -> Result<Arc<Merchant>, OpenError> {
        let shared = Shared::new(&Folder::at(dir).cache()?)?;
        Merchant::open_with(&shared, dir, options)
    }

    /// The same in a process that has other shops, too.
    pub fn open_with(
        shared: &Shared,
        dir: &Path,
        options: &Options,
    ) -> Result<Arc<Merchant>, OpenError> {
        let folder = Folder::at(dir);
        let name = folder.name();
        let span = match options.shops {
            1 => Span::none(),
            _ => tracing::info_span!("shop", name),
        };
        let _said_of_it = span.enter();
        // A shop that was open once opens again, whatever became of its file.
        let (shop, broken) = match folder.shop() {
            Ok(shop) => (Some(shop), None),
            Err(missing @ (ConfigError::NotAShop { .. } | ConfigError::SeveralShops { .. })) => {
                return Err(missing.into());
            }
            Err(broken) if folder.database().exists() => (None, Some(broken)),
            Err(broken) => return Err(broken.into()),
        };
        let candidates = folder.candidates()?;
        let engine = shared.engine.clone();
        let store = open_store(&folder, &options.settings())?;
        let shop = match (shop, store.rule_book(), &broken) {
            (Some(shop), _, _) => shop,
            (None, Some(last), Some(broken)) => {
                tracing::error!(problem = %broken, "the last good merchant.toml stays live");
                Shop::new(last.shop.clone())
                    .map_err(|error| OpenError::Rules(RecordedError::Shop(error).into()))?
            }
            (None, _, _) => {
                let broken = broken.expect("a file that is not there has a reason");
                return Err(broken.into());
            }
        };
        if let Some(book) = store.rule_book()
            && book.shop.currency != shop.file.currency
        {
            return Err(CurrencyChanged {
                ledger: book.shop.currency.clone(),
                now: shop.file.currency,
            }
            .into());
        }
        let devices = Devices::read(store.reads()).map_err(|error| {
            OpenError::Store(stampcard_store::OpenError::Store {
                path: folder.database(),
                error,
            })
        })?;
        let (live, drift) = at_start(&engine, &store, shop, candidates, &shared.sources)?;
        let desk = Arc::new(Desk::new(store, live));
        let merchant = Merchant {
            name,
            lanes: Arc::new(Lanes::start(
                Arc::clone(&desk),
                &shared.turns,
                options.lanes,
                options.queue,
            )),
            folder,
            desk,
            devices: Arc::new(devices),
            engine,
            sources: shared.sources.clone(),
            reloads: Mutex::new(Reloads {
                last_problem: broken.map(|broken| broken.to_string()),
                drift,
                ..Reloads::default()
            }),
            changing: Mutex::default(),
            tended: Mutex::default(),
            closing: AtomicBool::new(false),
            span: span.clone(),
            shops: options.shops,
        };
        Ok(Arc::new(merchant))
    }

    /// Lets the shop's clock follow the wall clock, and takes changes of the folder as it says and
    /// orders of commands. All of it is done on threads of `runtime`, which must outlive
    /// [`Merchant::close`].
    pub fn tend(self: &Arc<Self>, runtime: &Handle, watch: Option<&Arc<Watch>>) {
        let _said_of_it = self.span.enter();
        warm_up();
        let mut chores = Chores::new(runtime);
        let desk = || Arc::clone(&self.desk);
        let clock = Clock::start(&mut chores, desk(), Arc::clone(&self.lanes));
        let audit = Audit::start(&mut chores, desk(), self.engine.clone(), self.shops);
        let sender = delivery::Sender::start(&mut chores, desk(), &self.name);
        quarantine::judge_while_open(&mut chores, self);
        orders::answer_while_open(&mut chores, self);
        let heard = Arc::clone(&self.devices);
        chores.every(devices::BEAT, "devices", move |_| heard.keep());
        *self.tended.lock() = Some(Tended {
            clock,
            audit,
            sender,
            chores,
            watched: watch.and_then(|watch| watch.over(self)),
        });
    }

    /// Names the shop in the log, where a process has several.
    pub fn span(&self) -> &Span {
        &self.span
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    pub fn live(&self) -> Arc<Live> {
        self.desk.live()
    }

    /// Changes whenever something may have become durable.
    pub fn heard(&self) -> watch::Receiver<()> {
        self.desk.bell.subscribe()
    }

    pub fn store(&self) -> &SqliteStore {
        &self.desk.store
    }

    /// The tills and web stores that call.
    pub fn devices(&self) -> &Devices {
        &self.devices
    }

    /// What was counted since the start.
    pub fn figures(&self) -> &Figures {
        &self.desk.figures
    }

    /// What was compiled, and what code is in memory, for all shops of the process.
    pub fn library(&self) -> LibraryFigures {
        self.engine.figures()
    }

    /// What was done with instances that are kept between calls, for all shops of the process.
    pub fn kept(&self) -> KeptFigures {
        self.engine.kept()
    }

    pub(crate) fn desk(&self) -> &Desk {
        &self.desk
    }

    pub(crate) fn lanes(&self) -> &Lanes {
        &self.lanes
    }

    /// Takes one event down the line. What it did is durable when this returns.
    pub async fn submit(&self, event: Bytes, by: Sender) -> Result<Outcome, Rejected> {
        let (reply, answer) = answer();
        self.lanes.offer(event, by, reply)?;
        Ok(answer.await.map_err(|_| Rejected::Closing)??)
    }

    /// Takes events one after the other, each a commit of its own; the answers are in their order.
    /// The next one is decided while those before it are on their way to the disk.
    pub async fn submit_in_turn(
        &self,
        events: Vec<Bytes>,
        by: Sender,
    ) -> Vec<Result<Outcome, Rejected>> {
        let mut answers = Vec::with_capacity(events.len());
        let mut under_way = VecDeque::with_capacity(IN_TURN_MAX);
        let first = events.first().cloned().unwrap_or_default();
        for event in events {
            loop {
                if under_way.len() >= IN_TURN_MAX {
                    answers.extend(told(under_way.pop_front()).await);
                }
                let (reply, answer) = answer();
                match self
                    .lanes
                    .offer_along(&first, event.clone(), by.clone(), reply)
                {
                    Ok(()) => under_way.push_back(answer),
                    // Places come free while we wait for our own.
                    Err(NotTaken::Full) if !under_way.is_empty() => {
                        answers.extend(told(under_way.pop_front()).await);
                        continue;
                    }
                    Err(not_taken) => {
                        while !under_way.is_empty() {
                            answers.extend(told(under_way.pop_front()).await);
                        }
                        answers.push(Err(not_taken.into()));
                    }
                }
                break;
            }
        }
        while !under_way.is_empty() {
            answers.extend(told(under_way.pop_front()).await);
        }
        answers
    }

    /// What [`Merchant::submit`] would answer, with nothing kept.
    pub async fn preview(&self, event: Bytes, by: Sender) -> Result<Outcome, Rejected> {
        let (reply, answer) = answer();
        self.lanes.offer_preview(event, by, reply)?;
        Ok(answer.await.map_err(|_| Rejected::Closing)??)
    }

    pub fn health(&self) -> Health {
        let (waiting, places) = (self.lanes.waiting(), self.lanes.places());
        let why_not = if self.closing.load(Ordering::Acquire) {
            Some("the shop is closing".to_owned())
        } else if waiting >= places {
            Some(format!("{waiting} events are waiting, and no more may"))
        } else {
            None
        };
        let (driven, audited, delivery) = match &*self.tended.lock() {
            Some(tended) => (
                tended.clock.driven(),
                tended.audit.audited(),
                tended.sender.figures(),
            ),
            None => Default::default(),
        };
        Health {
            ready: why_not.is_none(),
            why_not,
            lanes: self.lanes.count(),
            waiting,
            places,
            driven: driven.done,
            driven_failed: driven.failed,
            audited,
            delivery,
            panics: self.lanes.panics(),
            reloads: self.reloads.lock().clone(),
        }
    }

    /// Takes no more events, decides those that were taken, and returns when all of it is on disk.
    /// It is not to be called from a task.
    pub fn close(&self) -> Result<(), StoreError> {
        self.closing.store(true, Ordering::Release);
        // It may not be locked while chores are waited for: they may want to look here.
        let tended = self.tended.lock().take();
        if let Some(Tended {
            chores, watched, ..
        }) = tended
        {
            drop(watched);
            chores.end();
        }
        self.devices.keep_all();
        self.lanes.close();
        self.desk.store.flush()
    }
}

/// The numbering plans of the world are unpacked when the first phone number is read, which takes a good
/// part of a second. The first customer of the day should not wait for it. All shops share them.
fn warm_up() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| drop(std::thread::spawn(|| normal_phone("+12125550100", "US"))));
}

/// The next answer of a batch.
async fn told(
    next: Option<oneshot::Receiver<Result<Outcome, Refusal>>>,
) -> Option<Result<Outcome, Rejected>> {
    Some(match next?.await {
        Ok(answer) => answer.map_err(Rejected::from),
        Err(_) => Err(Rejected::Closing),
    })
}

fn answer() -> (Reply, oneshot::Receiver<Result<Outcome, Refusal>>) {
    let (tell, told) = oneshot::channel();
    // Nobody listens any more if the till went away; what was decided stays decided.
    (Box::new(move |outcome| drop(tell.send(outcome))), told)
}

/// Opens the database of a shop for writing, making it if it is not there.
pub fn open_store(folder: &Folder, settings: &Settings) -> Result<SqliteStore, OpenError> {
    let database = folder.database();
    if let Some(data) = database.parent() {
        // People and the shop's secret are in it: others on the machine have no business there.
        let mut private = std::fs::DirBuilder::new();
        private.recursive(true).mode(0o700);
        private.create(data).map_err(|source| ConfigError::Write {
            path: data.into(),
            source,
        })?;
    }
    let birth = Birth {
        secret: keys::random()?,
        at: clock::now(),
    };
    Ok(SqliteStore::open(&database, &birth, settings)?)
}
