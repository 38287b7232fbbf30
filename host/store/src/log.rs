//! The write-ahead log as a file: a commit is durable when the log is on the disk.
//!
//! SQLite would flush the log inside COMMIT (`synchronous = FULL`), and everybody who decides would
//! wait for the disk with it. So COMMIT only writes (`synchronous = NORMAL`, which still flushes
//! wherever the order of writes matters: before pages are copied from the log and when the log
//! starts again), and the same flush comes right after it, when the writer has been let go. An
//! answer leaves after that flush; the next group fills meanwhile.

use stampcard_pipeline::store::StoreError;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

pub(crate) struct Log {
    path: PathBuf,
    /// SQLite makes the file, so it is opened when it is first needed. It stays the same file for
    /// as long as a connection is open, and nobody locks it, so a second handle does no harm.
    file: OnceLock<File>,
    /// A flush failed. What the system then still holds is not known, so nothing may be written
    /// any more until somebody has looked and opened the file again.
    broken: AtomicBool,
}

impl Log {
    /// The log beside this database.
    pub fn of(database: &Path) -> Log {
        let mut path = database.as_os_str().to_owned();
        path.push("-wal");
        Log {
            path: path.into(),
            file: OnceLock::new(),
            broken: AtomicBool::new(false),
        }
    }

    /// Everything that was committed before is on the disk when this returns.
    pub fn flush(&self) -> Result<(), StoreError> {
        self.check()?;
        self.file()
            .and_then(|file| file.sync_data())
            .map_err(|error| {
                self.broken.store(true, Ordering::Release);
                tracing::error!(%error, "the disk did not keep the log");
                StoreError::Failed(format!(
                    "the disk did not keep what was written ({error}); restart when it is sound"
                ))
            })
    }

    /// Refuses everything once a flush has failed.
    pub fn check(&self) -> Result<(), StoreError> {
        if self.broken.load(Ordering::Acquire) {
            let problem = "the disk did not keep what was written before; restart when it is sound";
            return Err(StoreError::Failed(problem.into()));
        }
        Ok(())
    }

    fn file(&self) -> io::Result<&File> {
        if let Some(file) = self.file.get() {
            return Ok(file);
        }
        let file = File::options().write(true).open(&self.path)?;
        Ok(self.file.get_or_init(|| file))
    }
}

/// The names in a folder are on the disk: that of a new database and of its log.
pub(crate) fn flush_folder_of(database: &Path) -> io::Result<()> {
    let folder = match database.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_flush_that_failed_everything_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let database = dir.path().join("shop.db");
        let log = Log::of(&database);
        assert!(log.check().is_ok());
        assert!(log.flush().is_err(), "there is no log yet");
        std::fs::write(&log.path, b"").unwrap();
        assert!(log.check().is_err());
        assert!(
            log.flush().is_err(),
            "what was lost in between is not known"
        );
        let opened_again = Log::of(&database);
        assert!(opened_again.flush().is_ok());
        flush_folder_of(&database).unwrap();
    }
}
