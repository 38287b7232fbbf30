//! The shops of one server: each is opened, kept and closed by itself, so that one that cannot be
//! opened stops no other.
//!
//! One that is not open is tried again every few seconds, and a shop that comes into the folder is
//! opened in the same way. It does not wait for its folder to change, because what was wrong may lie
//! outside of it: a disk that is not mounted yet, rights, another program that has the database.

use crate::config::{ConfigError, Folder, REQUESTS_PER_MINUTE, ServerFile, ShopsFolder};
use crate::merchant::{Merchant, OpenError, Options, Shared, problems};
use crate::reload::Watch;
use parking_lot::Mutex;
use stampcard_pipeline::admit::Secret;
use stampcard_pipeline::store::StoreError;
use stampcard_store::Reads;
use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU32;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::watch;

/// How often shops that are not open are tried.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Shops that are opened at the same time: while one compiles its plugins the others go on.
const OPENED_AT_ONCE: usize = 4;

/// Memory of the page cache with which one row is read, in KiB.
const SECRET_CACHE_KIB: u32 = 64;

/// The shops of one server.
pub struct Merchants {
    folder: ShopsFolder,
    file: ServerFile,
    shared: Shared,
    runtime: Handle,
    watch: Option<Arc<Watch>>,
    shops: Mutex<BTreeMap<String, Shop>>,
    /// The shops of this folder by their secrets: of two copies of one shop the first is opened.
    secrets: Mutex<HashMap<[u8; 32], String>>,
    /// Told when a shop opened, could not be opened, or is gone.
    changed: watch::Sender<()>,
    closing: AtomicBool,
}

/// One of them.
#[derive(Clone)]
pub struct Shop {
    pub folder: Folder,
    /// Requests that one key may send in a minute.
    pub requests_per_minute: NonZeroU32,
    pub state: State,
}

/// Whether a shop is open.
#[derive(Clone)]
pub enum State {
    Open(Arc<Merchant>),
    Opening,
    /// And why.
    NotOpen(Arc<str>),
}

/// Why one of several shops is not open.
#[derive(Debug, thiserror::Error)]
enum NotOpened {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(
        "{} has no database. A new shop is made by `stampcard init`, and a database that should be there is \
         not made anew: see whether its disk is mounted, or docs/runbooks/restore.md", .dir.display()
    )]
    NoDatabase { dir: std::path::PathBuf },
    #[error(
        "it is a copy of {first}, with its customers and its keys, and one of them must be the shop; put the \
         other one outside of the folder"
    )]
    Copy { first: String },
    #[error("the host panicked over it; please report it")]
    Panicked,
}

impl Merchants {
    /// None is open yet; see [`Merchants::keep`]. What shops do by themselves is done on threads of
    /// `runtime`, which must outlive [`Merchants::close`].
    pub fn new(
        folder: ShopsFolder,
        file: ServerFile,
        shared: Shared,
        runtime: &Handle,
    ) -> Merchants {
        Merchants {
            folder,
            file,
            shared,
            runtime: runtime.clone(),
            watch: Watch::start(),
            shops: Mutex::default(),
            secrets: Mutex::default(),
            changed: watch::Sender::new(()),
            closing: AtomicBool::new(false),
        }
    }

    /// Opens what can be opened, now and again and again. Tells when each shop was tried once.
    pub fn keep(self: &Arc<Self>) -> Receiver<()> {
        let (tell, told) = mpsc::channel();
        let merchants = Arc::downgrade(self);
        std::thread::Builder::new()
            .name("merchants".into())
            .spawn(move || {
                while let Some(merchants) = merchants.upgrade() {
                    if merchants.closing.load(Ordering::Acquire) {
                        return;
                    }
                    merchants.look();
                    drop(merchants);
                    // Nobody waits for it after the first time.
                    let _ = tell.send(());
                    std::thread::sleep(LOOK_EVERY);
                }
            })
            .expect("the operating system gives a thread at the start");
        told
    }

    /// All shops by their names.
    pub fn all(&self) -> BTreeMap<String, Shop> {
        self.shops.lock().clone()
    }

    /// Those that are open.
    pub fn open(&self) -> Vec<Arc<Merchant>> {
        let shops = self.shops.lock();
        let open = shops.values().filter_map(|shop| match &shop.state {
            State::Open(merchant) => Some(Arc::clone(merchant)),
            State::Opening | State::NotOpen(_) => None,
        });
        open.collect()
    }

    /// Changes when a shop opened, could not be opened, or is gone.
    pub fn changed(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    pub fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Every shop takes no more events, decides those that it took, and has all of it on disk when
    /// this returns. Says what went wrong with which.
    pub fn close(&self) -> Vec<(String, StoreError)> {
        self.closing.store(true, Ordering::Release);
        // All at once: one whose plugins are slow must not hold up the others.
        std::thread::scope(|scope| {
            let closing: Vec<_> = self
                .open()
                .into_iter()
                .map(|merchant| scope.spawn(move || (merchant.name().to_owned(), merchant.close())))
                .collect();
            closing
                .into_iter()
                .filter_map(|shop| match shop.join() {
                    Ok((name, closed)) => closed.err().map(|error| (name, error)),
                    Err(_) => {
                        tracing::error!("a shop panicked while it was closed");
                        None
                    }
                })
                .collect()
        })
    }

    /// Tries every shop that is not open.
    fn look(&self) {
        let folders = match self.folder.folders() {
            Ok(folders) => folders,
            Err(error) => {
                tracing::error!(%error, "the folder of shops cannot be read");
                return;
            }
        };
        let count = folders.len();
        self.look_for_copies(&folders);
        let tried = Mutex::new(self.not_open(folders).into_iter());
        std::thread::scope(|scope| {
            for _ in 0..OPENED_AT_ONCE {
                scope.spawn(|| {
                    loop {
                        let next = tried.lock().next();
                        let Some(folder) = next else { return };
                        if self.closing.load(Ordering::Acquire) {
                            return;
                        }
                        self.try_open(folder, count);
                    }
                });
            }
        });
    }

    /// Of the folders that there are now, those whose shop is not open. Shops whose folder is gone
    /// are forgotten, unless they are open.
    fn not_open(&self, folders: Vec<Folder>) -> Vec<Folder> {
        let mut shops = self.shops.lock();
        let is_open = |shop: &Shop| matches!(shop.state, State::Open(_));
        shops.retain(|name, shop| {
            is_open(shop) || folders.iter().any(|folder| folder.name() == *name)
        });
        let mut not_open = Vec::new();
        for folder in folders {
            let shop = shops.entry(folder.name()).or_insert_with(|| Shop {
                folder: folder.clone(),
                requests_per_minute: REQUESTS_PER_MINUTE,
                state: State::Opening,
            });
            if !is_open(shop) {
                not_open.push(folder);
            }
        }
        not_open
    }

    /// Each shop is the one of its secret whose name comes first, or the one that is open already. What
    /// cannot be read yet is looked at once more when it is opened.
    fn look_for_copies(&self, folders: &[Folder]) {
        let is_there = |name: &String| folders.iter().any(|folder| folder.name() == *name);
        let open: Vec<String> = self
            .open()
            .iter()
            .map(|merchant| merchant.name().to_owned())
            .collect();
        let mut secrets = self.secrets.lock();
        secrets.retain(|_, name| is_there(name) || open.contains(name));
        for folder in folders {
            if secrets.values().any(|known| *known == folder.name()) {
                continue;
            }
            let secret = Reads::open(&folder.database(), 1, SECRET_CACHE_KIB)
                .map_err(|error| error.to_string())
                .and_then(|reads| reads.secret().map_err(|error| error.to_string()));
            if let Ok(secret) = secret {
                secrets.entry(secret.0).or_insert_with(|| folder.name());
            }
        }
    }

    /// Whose secret this is, if it is not this shop's.
    fn copied(&self, secret: &Secret, name: &str) -> Option<String> {
        let mut secrets = self.secrets.lock();
        let first = secrets.entry(secret.0).or_insert_with(|| name.to_owned());
        (first != name).then(|| first.clone())
    }

    fn try_open(&self, folder: Folder, count: usize) {
        let name = folder.name();
        let opened = catch_unwind(AssertUnwindSafe(|| self.open_one(&folder, count)));
        let (state, requests_per_minute) = match opened.unwrap_or(Err(NotOpened::Panicked)) {
            Ok((merchant, requests_per_minute)) => (State::Open(merchant), requests_per_minute),
            Err(error) => {
                let reason = error.to_string();
                let last = self.shops.lock().get(&name).map(|shop| shop.state.clone());
                // Told once, and not every few seconds.
                if !matches!(last, Some(State::NotOpen(last)) if *last == *reason) {
                    tracing::error!(shop = name, "the shop is not open: {reason}");
                }
                (State::NotOpen(reason.into()), REQUESTS_PER_MINUTE)
            }
        };
        let shop = Shop {
            folder,
            requests_per_minute,
            state,
        };
        self.shops.lock().insert(name, shop);
        self.changed.send_replace(());
    }

    fn open_one(
        &self,
        folder: &Folder,
        count: usize,
    ) -> Result<(Arc<Merchant>, NonZeroU32), NotOpened> {
        // `init` writes one before the rest is there, and whoever makes another one where the disk
        // is not mounted has two shops of one name.
        if !folder.database().exists() {
            let dir = folder.dir().to_owned();
            return Err(NotOpened::NoDatabase { dir });
        }
        let name = folder.name();
        if let Ok(reads) = Reads::open(&folder.database(), 1, SECRET_CACHE_KIB)
            && let Ok(secret) = reads.secret()
            && let Some(first) = self.copied(&secret, &name)
        {
            return Err(NotOpened::Copy { first });
        }
        let file = folder.server_within(&self.file)?;
        // More than one, even where it is the only one yet: others may come.
        let options = Options::of_one_in(count.max(2), &file);
        let merchant = Merchant::open_with(&self.shared, folder.dir(), &options)?;
        if let Some(first) = self.copied(merchant.store().secret(), &name) {
            if let Err(error) = merchant.close() {
                tracing::error!(shop = name, %error, "a copy could not be closed as it should be");
            }
            return Err(NotOpened::Copy { first });
        }
        merchant.span().in_scope(|| {
            if folder.server()?.listen.is_some() {
                tracing::warn!(
                    "`listen` in the shop's stampcard.toml has no effect: the server of all shops listens"
                );
            }
            for problem in problems(&merchant.live().book) {
                tracing::error!("not taken: {problem}");
            }
            let rule_book = merchant.live().number;
            tracing::info!(rule_book, "the shop is open");
            Ok::<_, ConfigError>(())
        })?;
        merchant.tend(&self.runtime, self.watch.as_ref());
        let requests_per_minute = file.requests_per_minute.unwrap_or(REQUESTS_PER_MINUTE);
        Ok((merchant, requests_per_minute))
    }
}
