//! A shop as one file, made while the shop is open, and a shop made of it again.
//!
//! The file is a tar, so that it can be looked into with anything:
//!
//! ```text
//! manifest.json      what this is: versions, when it was made, the parts and their sizes
//! merchant.toml      and stampcard.toml, plugins/…: the shop's folder
//! data/stampcard.db  the database as of one moment, without a log beside it
//! SHA256SUMS         the sums of everything before it, as `sha256sum --check` reads them
//! ```
//!
//! The sums come last, so that it is written in one go and a file that was cut off has none. It
//! gets its name when all of it is on disk: there is a whole backup under that name, or the one
//! before it.

mod restore;

pub use restore::{RestoreError, Restored, restore};

use crate::clock;
use crate::config::{ConfigError, DATA, DATABASE, Folder, MERCHANT_FILE, PLUGINS, SERVER_FILE};
use crate::disk;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use stampcard_pipeline::calendar;
use stampcard_pipeline::event::Instant;
use stampcard_store::{OpenError, Reads, Snapshot, SnapshotError};
use std::fmt::Write as _;
use std::fs::{self, File, Permissions};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

const MANIFEST: &str = "manifest.json";
const SUMS: &str = "SHA256SUMS";
/// The form of the file that this page describes.
const FORM: u32 = 1;
/// Pages that the copy keeps in memory, in KiB: it reads everything once.
const PAGE_CACHE_KIB: u32 = 16 << 10;
/// Beside the database and its copy, in bytes: the folder's files and the tar's own.
const SPARE_BYTES: u64 = 16 << 20;

/// The first part of the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Manifest {
    stampcard_backup: u32,
    /// The version of the program that made it, for people.
    stampcard: String,
    /// RFC 3339.
    made_at: String,
    merchant: String,
    database_format: i64,
    customers: u64,
    entries: u64,
    events: u64,
    /// Everything that follows, in its order, without the sums.
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Part {
    path: String,
    bytes: u64,
}

/// What is in a backup that was made. `--json` prints it; scripts lean on it.
#[derive(Clone, Debug, Serialize)]
pub struct Made {
    pub file: PathBuf,
    pub bytes: u64,
    pub made_at: String,
    pub database_format: i64,
    pub customers: u64,
    pub entries: u64,
    /// Journal rows.
    pub events: u64,
    /// The folder's files that are in it.
    pub files: Vec<String>,
}

/// Why there is no backup. Whatever had that name before still has it.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Store(#[from] OpenError),
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    #[error(
        "{} has {free} bytes free, and a backup needs {needed} while it is made: the database twice; \
         name a file on another disk",
        .folder.display()
    )]
    NoRoom {
        folder: PathBuf,
        free: u64,
        needed: u64,
    },
    #[error("{} cannot be written: {source}; the shop is as it was, and so is an older backup of that name", .path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// What is under way, and how far it is.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    pub what: &'static str,
    pub done: u64,
    pub of: u64,
}

/// Writes a backup of a shop that may be open.
pub fn make(
    folder: &Folder,
    file: &Path,
    at: Instant,
    progress: &mut dyn FnMut(Step),
) -> Result<Made, BackupError> {
    // A folder that cannot be opened again is no backup.
    folder.shop()?;
    let reads = Reads::open_to_copy(&folder.database(), PAGE_CACHE_KIB)?;
    let beside = folder_of(file);
    let failed = |source| BackupError::Write {
        path: file.into(),
        source,
    };
    let database_bytes = fs::metadata(folder.database()).map_or(0, |found| found.len());
    let needed = database_bytes * 2 + SPARE_BYTES;
    let free = disk::room(&beside).map_err(failed)?.free;
    if free < needed {
        return Err(BackupError::NoRoom {
            folder: beside,
            free,
            needed,
        });
    }
    // Both are deleted on the way out unless the file gets its name, and only this user reads them.
    let scratch = tempfile::Builder::new()
        .prefix(".stampcard-")
        .permissions(Permissions::from_mode(0o700))
        .tempdir_in(&beside)
        .map_err(failed)?;
    let target = NamedTempFile::with_prefix_in(".stampcard-", &beside).map_err(failed)?;
    let copy = scratch.path().join(DATABASE);
    let snapshot = reads.snapshot(&copy, &mut |done, of| {
        progress(Step {
            what: "copying the database",
            done,
            of,
        })
    })?;
    // After the copy: what is saved in between is taken when the shop opens again.
    let files = files_of(folder)?;
    let database = File::open(&copy).map_err(failed)?;
    let manifest = manifest(
        folder,
        at,
        snapshot,
        &files,
        database.metadata().map_err(failed)?.len(),
    );
    let bytes = pack(&target, &manifest, &files, database, progress).map_err(failed)?;
    target.persist(file).map_err(|error| failed(error.error))?;
    disk::flush_folder(&beside).map_err(failed)?;
    Ok(Made {
        file: file.into(),
        bytes,
        made_at: manifest.made_at,
        database_format: manifest.database_format,
        customers: manifest.customers,
        entries: manifest.entries,
        events: manifest.events,
        files: files.into_iter().map(|(name, _)| name).collect(),
    })
}

/// Where a file is or will be.
fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.into(),
        _ => PathBuf::from("."),
    }
}

fn database_part() -> String {
    format!("{DATA}/{DATABASE}")
}

/// The shop's own files with what they hold: small, and read before the first byte is written.
fn files_of(folder: &Folder) -> Result<Vec<(String, Vec<u8>)>, ConfigError> {
    let mut names = vec![MERCHANT_FILE.to_owned(), SERVER_FILE.to_owned()];
    names.extend(folder.plugin_files()?);
    let mut files = Vec::new();
    for name in names {
        let path = folder.dir().join(&name);
        match fs::read(&path) {
            Ok(bytes) => files.push((name, bytes)),
            // stampcard.toml need not be there, and a plugin may be taken away just now.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(ConfigError::Read { path, source }),
        }
    }
    Ok(files)
}

fn manifest(
    folder: &Folder,
    at: Instant,
    snapshot: Snapshot,
    files: &[(String, Vec<u8>)],
    database_bytes: u64,
) -> Manifest {
    let mut parts: Vec<Part> = files
        .iter()
        .map(|(path, bytes)| Part {
            path: path.clone(),
            bytes: bytes.len() as u64,
        })
        .collect();
    parts.push(Part {
        path: database_part(),
        bytes: database_bytes,
    });
    Manifest {
        stampcard_backup: FORM,
        stampcard: env!("CARGO_PKG_VERSION").into(),
        made_at: calendar::text(at),
        merchant: folder.name(),
        database_format: snapshot.format,
        customers: snapshot.counters.customers,
        entries: snapshot.counters.entries,
        events: snapshot.counters.journal_rows,
        parts,
    }
}

/// Writes the tar and gives its size. It is on disk when this returns.
fn pack(
    target: &NamedTempFile,
    manifest: &Manifest,
    files: &[(String, Vec<u8>)],
    database: File,
    progress: &mut dyn FnMut(Step),
) -> io::Result<u64> {
    let mut tar = tar::Builder::new(BufWriter::with_capacity(256 << 10, target.as_file()));
    let mut sums = String::new();
    let said = serde_json::to_vec_pretty(manifest)?;
    append(&mut tar, &mut sums, MANIFEST, said.len() as u64, &said[..])?;
    for (name, bytes) in files {
        append(&mut tar, &mut sums, name, bytes.len() as u64, &bytes[..])?;
    }
    let of = database.metadata()?.len();
    let mut done = 0;
    let watched = Watched {
        from: database,
        seen: |bytes: &[u8]| {
            done += bytes.len() as u64;
            progress(Step {
                what: "writing the file",
                done,
                of,
            });
        },
    };
    append(&mut tar, &mut sums, &database_part(), of, watched)?;
    let listed = sums.clone();
    append(
        &mut tar,
        &mut sums,
        SUMS,
        listed.len() as u64,
        listed.as_bytes(),
    )?;
    let file = tar
        .into_inner()?
        .into_inner()
        .map_err(|error| error.into_error())?;
    file.sync_all()?;
    Ok(file.metadata()?.len())
}

fn append(
    tar: &mut tar::Builder<impl Write>,
    sums: &mut String,
    path: &str,
    bytes: u64,
    content: impl Read,
) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes);
    header.set_mode(0o600);
    header.set_mtime((clock::now().0 / 1_000).max(0) as u64);
    let mut sum = Sha256::new();
    let content = Watched {
        from: content.take(bytes),
        seen: |bytes: &[u8]| sum.update(bytes),
    };
    tar.append_data(&mut header, path, content)?;
    let _ = writeln!(sums, "{}  {path}", hex(&sum.finalize()));
    Ok(())
}

/// A reader that shows somebody what goes by.
struct Watched<R, F> {
    from: R,
    seen: F,
}

impl<R: Read, F: FnMut(&[u8])> Read for Watched<R, F> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let bytes = self.from.read(into)?;
        (self.seen)(&into[..bytes]);
        Ok(bytes)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Whether a part may be laid into a shop's folder: what a shop has, and nothing that climbs out.
fn is_of_a_shop(path: &str) -> bool {
    let is_name = |name: &str| {
        !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', '\0'])
    };
    path == MERCHANT_FILE
        || path == SERVER_FILE
        || path == database_part()
        || path
            .strip_prefix(PLUGINS)
            .and_then(|rest| rest.strip_prefix('/'))
            .is_some_and(is_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_shop_has_is_laid_into_its_folder() {
        for path in [
            "merchant.toml",
            "stampcard.toml",
            "plugins/a.wasm",
            "data/stampcard.db",
        ] {
            assert!(is_of_a_shop(path), "{path}");
        }
        for path in [
            "",
            "/etc/passwd",
            "../merchant.toml",
            "plugins/",
            "plugins/../../x",
            "plugins/a/b.wasm",
            "plugins/.hidden",
            "data/stampcard.db-wal",
            "plugins",
        ] {
            assert!(!is_of_a_shop(path), "{path}");
        }
    }
}
