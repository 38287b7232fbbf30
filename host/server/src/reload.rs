//! The watch over a shop's folder: takes what an operator puts there, between two events.
//!
//! It waits until the folder has been quiet, so that a `.wasm` and its `.toml` that are copied one
//! after the other are taken together. What cannot be taken leaves everything as it was.

use crate::config::{MERCHANT_FILE, PLUGINS};
use crate::merchant::{Merchant, NotLive, Reloaded};
use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use stampcard_pipeline::shop::Reload;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// How long the folder must be quiet. Copying a pair of files takes less.
const QUIET: Duration = Duration::from_millis(300);

/// Ends when it is dropped.
pub struct Watch {
    // Dropping it closes the channel on which the thread waits.
    _watcher: RecommendedWatcher,
}

/// Begins to watch. Where the system cannot watch, the shop runs without and says so.
pub fn watch(merchant: &Arc<Merchant>) -> Option<Watch> {
    let (tell, told) = mpsc::channel();
    let dir = merchant.folder().dir().to_owned();
    match watcher(&dir, tell) {
        Ok(watcher) => {
            let merchant = Arc::downgrade(merchant);
            std::thread::Builder::new()
                .name("folder-watch".into())
                .spawn(move || take_when_quiet(&merchant, &told))
                .expect("the operating system gives a thread at the start");
            Some(Watch { _watcher: watcher })
        }
        Err(error) => {
            tracing::warn!(%error, "the shop's folder cannot be watched: changes are taken at the next start");
            None
        }
    }
}

fn watcher(dir: &Path, tell: Sender<()>) -> notify::Result<RecommendedWatcher> {
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
        let concerns = match event {
            Ok(event) => concerns_us(&event),
            // What was lost may have been anything.
            Err(_) => true,
        };
        if concerns {
            // The thread is gone when the shop closes.
            let _ = tell.send(());
        }
    })?;
    // Folders and not files: an editor replaces the file that it saves.
    watcher.watch(dir, RecursiveMode::NonRecursive)?;
    let plugins = dir.join(PLUGINS);
    if plugins.is_dir() {
        watcher.watch(&plugins, RecursiveMode::NonRecursive)?;
    }
    Ok(watcher)
}

fn concerns_us(event: &Event) -> bool {
    let changes = match event.kind {
        // Our own reading is no change.
        EventKind::Access(access) => access == AccessKind::Close(AccessMode::Write),
        _ => true,
    };
    changes && (event.need_rescan() || event.paths.iter().any(|path| is_ours(path)))
}

fn is_ours(path: &Path) -> bool {
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let ending = path.extension().and_then(|ending| ending.to_str());
    let in_plugins = path
        .parent()
        .is_some_and(|parent| parent.ends_with(PLUGINS));
    name == MERCHANT_FILE
        || in_plugins && !name.starts_with('.') && matches!(ending, Some("toml" | "wasm" | "json"))
}

fn take_when_quiet(merchant: &Weak<Merchant>, told: &Receiver<()>) {
    while told.recv().is_ok() {
        loop {
            match told.recv_timeout(QUIET) {
                Ok(()) => {}
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
        let Some(merchant) = merchant.upgrade() else {
            return;
        };
        if merchant.live().shop.file.reload == Reload::Apply {
            tracing::info!("the shop's folder changed; `stampcard plugin apply` takes it");
            continue;
        }
        report(merchant.reload());
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
        for (path, ours) in [
            ("/shop/merchant.toml", true),
            ("/shop/plugins/points.toml", true),
            ("/shop/plugins/points.wasm", true),
            ("/shop/plugins/points.schema.json", true),
            ("/shop/plugins/.points.toml.swp", false),
            ("/shop/plugins/points.toml~", false),
            ("/shop/refused-1.ndjson", false),
            ("/shop/data/stampcard.db-wal", false),
        ] {
            assert_eq!(is_ours(Path::new(path)), ours, "{path}");
        }
    }
}
