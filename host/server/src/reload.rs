//! The watch over the shops' folders: takes what an operator puts there, between two events.
//!
//! It waits until the folder has been quiet, so that a `.wasm` and its `.toml` that are copied one
//! after the other are taken together. What cannot be taken leaves everything as it was.

use crate::config::{MERCHANT_FILE, PLUGINS};
use crate::merchant::{Merchant, NotLive, Reloaded};
use crate::sources;
use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use parking_lot::Mutex;
use stampcard_pipeline::shop::Reload;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// How long the folder must be quiet. Copying a pair of files takes less.
const QUIET: Duration = Duration::from_millis(300);

/// The watch over the folders of all shops of a process. It ends when it is dropped.
///
/// There is one for all, because the system gives each user only a hundred or so.
pub struct Watch {
    // Dropping it closes the channel on which the thread waits.
    watcher: Mutex<RecommendedWatcher>,
    shops: Arc<Shops>,
}

/// The shops that are watched, by their folder as the system has it.
type Shops = Mutex<HashMap<PathBuf, Weak<Merchant>>>;

/// One shop's part of the watch, until it is dropped.
pub struct Watched {
    watch: Arc<Watch>,
    dir: PathBuf,
}

/// What may have changed.
enum Told {
    Folder(PathBuf),
    /// What was lost may have been anything.
    All,
}

impl Watch {
    /// Begins to watch. Where the system cannot watch, shops run without and say so.
    pub fn start() -> Option<Arc<Watch>> {
        let (tell, told) = mpsc::channel();
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            let Ok(event) = event else {
                let _ = tell.send(Told::All);
                return;
            };
            if event.need_rescan() {
                let _ = tell.send(Told::All);
            }
            for folder in folders_of(&event) {
                // The thread is gone when the server stops.
                let _ = tell.send(Told::Folder(folder.into()));
            }
        });
        match watcher {
            Ok(watcher) => {
                let shops = Arc::new(Shops::default());
                let watched = Arc::clone(&shops);
                std::thread::Builder::new()
                    .name("folder-watch".into())
                    .spawn(move || take_when_quiet(&watched, &told))
                    .expect("the operating system gives a thread at the start");
                let watcher = Mutex::new(watcher);
                Some(Arc::new(Watch { watcher, shops }))
            }
            Err(error) => {
                unwatched(&error);
                None
            }
        }
    }

    /// Takes a shop's changes from now on.
    pub fn over(self: &Arc<Self>, merchant: &Arc<Merchant>) -> Option<Watched> {
        let dir = merchant.folder().dir();
        let dir = fs::canonicalize(dir).unwrap_or_else(|_| dir.to_owned());
        let mut watcher = self.watcher.lock();
        // Folders and not files: an editor replaces the file that it saves.
        let folders = folders(&dir).filter(|folder| folder.is_dir());
        for folder in folders {
            if let Err(error) = watcher.watch(&folder, RecursiveMode::NonRecursive) {
                unwatched(&error);
                return None;
            }
        }
        self.shops
            .lock()
            .insert(dir.clone(), Arc::downgrade(merchant));
        Some(Watched {
            watch: Arc::clone(self),
            dir,
        })
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.watch.shops.lock().remove(&self.dir);
        let mut watcher = self.watch.watcher.lock();
        for folder in folders(&self.dir) {
            // A folder that was not there, or is gone, is not watched.
            let _ = watcher.unwatch(&folder);
        }
    }
}

fn unwatched(error: &notify::Error) {
    tracing::warn!(%error, "the shop's folder cannot be watched: changes are taken at the next start");
}

/// What is watched of a shop.
fn folders(dir: &Path) -> impl Iterator<Item = PathBuf> {
    [dir.to_owned(), dir.join(PLUGINS)].into_iter()
}

/// The shops' folders of which an event tells a change.
fn folders_of(event: &Event) -> impl Iterator<Item = &Path> {
    let changes = match event.kind {
        // Our own reading is no change.
        EventKind::Access(access) => access == AccessKind::Close(AccessMode::Write),
        _ => true,
    };
    let paths = event.paths.iter().filter(move |_| changes);
    paths.filter_map(|path| folder_of(path))
}

/// The shop's folder to which a file of ours belongs.
fn folder_of(path: &Path) -> Option<&Path> {
    let name = path.file_name()?.to_str()?;
    let ending = path.extension().and_then(|ending| ending.to_str());
    let parent = path.parent()?;
    if name == MERCHANT_FILE {
        return Some(parent);
    }
    let is_ours = !name.starts_with('.')
        && (matches!(ending, Some("toml" | "wasm" | "json")) || sources::is_source(path));
    if parent.ends_with(PLUGINS) && is_ours {
        return parent.parent();
    }
    None
}

fn take_when_quiet(shops: &Shops, told: &Receiver<Told>) {
    // When each folder changed last.
    let mut changed: HashMap<PathBuf, Instant> = HashMap::new();
    loop {
        let next = changed.values().min().map(|last| *last + QUIET);
        let heard = match next {
            None => told.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(quiet) => told.recv_timeout(quiet.saturating_duration_since(Instant::now())),
        };
        let now = Instant::now();
        match heard {
            Ok(Told::Folder(folder)) => {
                changed.insert(folder, now);
            }
            Ok(Told::All) => {
                let all = shops.lock().keys().cloned().collect::<Vec<_>>();
                changed.extend(all.into_iter().map(|folder| (folder, now)));
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        changed.retain(|folder, last| {
            let is_quiet = now.duration_since(*last) >= QUIET;
            if !is_quiet {
                return true;
            }
            let merchant = shops.lock().get(folder).and_then(Weak::upgrade);
            if let Some(merchant) = merchant {
                take(merchant);
            }
            false
        });
    }
}

/// Compiling takes a while, and another shop's change must not wait for it.
fn take(merchant: Arc<Merchant>) {
    let taking = std::thread::Builder::new()
        .name("reload".into())
        .spawn(move || {
            merchant.span().in_scope(|| {
                if merchant.live().shop.file.reload == Reload::Apply {
                    tracing::info!("the shop's folder changed; `stampcard plugin apply` takes it");
                } else {
                    report(merchant.reload());
                }
            });
        });
    if let Err(error) = taking {
        tracing::error!(%error, "a changed folder could not be taken; change it again");
    }
}

fn report(taken: Result<Reloaded, NotLive>) {
    match taken {
        Ok(Reloaded {
            number,
            is_new,
            is_mended,
            problems,
            drift,
        }) => {
            if is_new || is_mended {
                tracing::info!(rule_book = number, "the changed folder is live");
            }
            for problem in problems {
                tracing::error!("not taken: {problem}");
            }
            for name in drift {
                tracing::warn!(
                    plugin = name,
                    "another version was ordered, so its files are left alone until they change"
                );
            }
        }
        Err(problem) => tracing::error!("nothing of the changed folder was taken: {problem}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_shops_own_files_wake_the_watch() {
        for (path, folder) in [
            ("/shop/merchant.toml", Some("/shop")),
            ("/shop/plugins/points.toml", Some("/shop")),
            ("/shop/plugins/points.wasm", Some("/shop")),
            ("/shop/plugins/points.schema.json", Some("/shop")),
            ("/shop/plugins/points.js", Some("/shop")),
            ("/shop/plugins/points.ts", Some("/shop")),
            ("/shop/plugins/types.d.ts", None),
            ("/shop/plugins/.points.toml.swp", None),
            ("/shop/plugins/points.toml~", None),
            ("/shop/refused-1.ndjson", None),
            ("/shop/data/stampcard.db-wal", None),
        ] {
            assert_eq!(folder_of(Path::new(path)), folder.map(Path::new), "{path}");
        }
    }
}
