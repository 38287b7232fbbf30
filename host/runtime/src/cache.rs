//! The directory of compiled components, so that a restart does not compile again.
//!
//! Machine code is run as it is, so what lies here is trusted: the directory belongs to this user
//! alone, every file carries the digest of its own bytes in its name, and one that does not fit
//! its name is thrown away. Nothing is ever put here but what our own compiler made.

use crate::digest::Digest;
use crate::limits::CACHE_ENTRIES_MAX;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

/// Compiled components of one engine.
pub(crate) struct Cache {
    dir: PathBuf,
    /// The fingerprint of the engine whose code this is.
    engine: String,
}

/// What is wrong with the directory itself.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    #[error("the cache of compiled plugins {dir} cannot be used: {source}")]
    Io {
        dir: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(
        "the cache of compiled plugins {dir} belongs to another user, who could put machine code into it; give this user a directory of its own"
    )]
    Foreign { dir: PathBuf },
}

impl Cache {
    pub fn open(dir: &Path, engine: String) -> Result<Cache, CacheError> {
        let failed = |source| CacheError::Io {
            dir: dir.into(),
            source,
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(failed)?;
        let found = fs::metadata(dir).map_err(failed)?;
        if found.uid() != rustix::process::geteuid().as_raw() {
            return Err(CacheError::Foreign { dir: dir.into() });
        }
        if found.permissions().mode() & 0o777 != 0o700 {
            fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).map_err(failed)?;
        }
        Ok(Cache {
            dir: dir.into(),
            engine,
        })
    }

    /// The code of a component, if it is here and whole.
    pub fn find(&self, component: &Digest) -> Option<PathBuf> {
        let prefix = self.prefix(component);
        for (name, path) in self.files() {
            let Some(checksum) = name
                .strip_prefix(&prefix)
                .and_then(|rest| rest.strip_suffix(".cwasm"))
            else {
                continue;
            };
            match fs::read(&path) {
                Ok(bytes) if Digest::of(&bytes).hex() == checksum => return Some(path),
                _ => {
                    tracing::warn!(file = %path.display(), "compiled plugin is damaged; compiling again");
                    self.remove(&path);
                }
            }
        }
        None
    }

    /// Keeps the code of a component and says where.
    pub fn keep(&self, component: &Digest, code: &[u8]) -> Result<PathBuf, CacheError> {
        let name = format!("{}{}.cwasm", self.prefix(component), Digest::of(code).hex());
        let path = self.dir.join(&name);
        // Written beside and moved, so that nobody ever maps half a file. The process id keeps two
        // hosts that share the directory apart, and the count two engines of one.
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let (process, count) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let beside = self.dir.join(format!(".{process}-{count}-{name}"));
        let write = || {
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&beside)?;
            // Not synced, because the ledger's own syncs would have to wait for it. What a power cut
            // leaves of it does not fit its name, and is compiled again.
            file.write_all(code)?;
            drop(file);
            fs::rename(&beside, &path)
        };
        write().map_err(|source| CacheError::Io {
            dir: self.dir.clone(),
            source,
        })?;
        self.forget_the_oldest();
        Ok(path)
    }

    /// Removes code that cannot be used after all.
    pub fn remove(&self, path: &Path) {
        if let Err(error) = fs::remove_file(path) {
            tracing::warn!(file = %path.display(), %error, "cannot remove compiled plugin");
        }
    }

    fn forget_the_oldest(&self) {
        let mut aged: Vec<(SystemTime, PathBuf)> = self
            .files()
            .filter(|(name, _)| name.ends_with(".cwasm"))
            .filter_map(|(_, path)| Some((fs::metadata(&path).ok()?.modified().ok()?, path)))
            .collect();
        let over = aged.len().saturating_sub(CACHE_ENTRIES_MAX);
        aged.sort();
        for (_, path) in aged.into_iter().take(over) {
            self.remove(&path);
        }
    }

    fn files(&self) -> impl Iterator<Item = (String, PathBuf)> {
        let entries = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        entries.filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path())))
    }

    fn prefix(&self, component: &Digest) -> String {
        format!("{}.{}.", component.hex(), self.engine)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(dir: &Path) -> Cache {
        Cache::open(dir, "engine-1".into()).unwrap()
    }

    #[test]
    fn what_was_kept_is_found_by_component_and_engine() {
        let dir = tempfile::tempdir().unwrap();
        let (one, other) = (Digest::of(b"one"), Digest::of(b"other"));
        let path = cache(dir.path()).keep(&one, b"code").unwrap();
        assert_eq!(cache(dir.path()).find(&one), Some(path));
        assert_eq!(cache(dir.path()).find(&other), None);
        let newer = Cache::open(dir.path(), "engine-2".into()).unwrap();
        assert_eq!(newer.find(&one), None);
    }

    #[test]
    fn code_that_was_damaged_is_thrown_away() {
        let dir = tempfile::tempdir().unwrap();
        let component = Digest::of(b"one");
        let path = cache(dir.path()).keep(&component, b"code").unwrap();
        fs::write(&path, b"c0de").unwrap();
        assert_eq!(cache(dir.path()).find(&component), None);
        assert!(!path.exists());
    }

    #[test]
    fn nobody_else_may_look_into_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("compiled");
        DirBuilder::new().mode(0o777).create(&inner).unwrap();
        fs::set_permissions(&inner, fs::Permissions::from_mode(0o777)).unwrap();
        let path = cache(&inner).keep(&Digest::of(b"one"), b"code").unwrap();
        assert_eq!(fs::metadata(&inner).unwrap().mode() & 0o777, 0o700);
        assert_eq!(fs::metadata(path).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn the_oldest_entries_go_first() {
        let dir = tempfile::tempdir().unwrap();
        let cache = cache(dir.path());
        let digests: Vec<Digest> = (0..=CACHE_ENTRIES_MAX)
            .map(|n| Digest::of(&n.to_le_bytes()))
            .collect();
        for (age, digest) in digests.iter().enumerate() {
            let path = cache.keep(digest, b"code").unwrap();
            let when = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(age as u64);
            if let Ok(file) = fs::File::open(path) {
                file.set_modified(when).unwrap();
            }
        }
        cache.keep(&Digest::of(b"newest"), b"code").unwrap();
        assert!(cache.find(&digests[0]).is_none());
        assert!(cache.find(&digests[CACHE_ENTRIES_MAX]).is_some());
        assert!(cache.find(&Digest::of(b"newest")).is_some());
    }
}
