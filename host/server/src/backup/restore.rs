//! A shop of a backup: all of it, as it was, or nothing.

use super::{FORM, MANIFEST, Manifest, PAGE_CACHE_KIB, Part, SUMS, Step, Watched, database_part};
use super::{folder_of, hex, is_of_a_shop};
use crate::config::{DATA, Folder, MERCHANT_FILE, PLUGINS};
use crate::disk;
use crate::merchant::{self, open_store};
use sha2::{Digest, Sha256};
use stampcard_pipeline::store::StoreError;
use stampcard_store::check::{Difference, Progress};
use stampcard_store::{FORMAT, OpenError, Reads, Settings};
use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use tar::{Archive, EntryType};

/// What came of it.
pub struct Restored {
    pub made_at: String,
    pub customers: u64,
    pub entries: u64,
    pub events: u64,
    pub files: Vec<String>,
    /// What the recomputation found, if it was asked for. The shop was like that when it was
    /// backed up.
    pub differences: Option<Vec<Difference>>,
}

/// Why nothing was restored. The folder is as it was.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    #[error("{} is not empty; name a folder that does not exist yet", .0.display())]
    NotEmpty(PathBuf),
    #[error("{} cannot be read: {source}", .path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} cannot be written: {source}", .path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} is no backup of stampcard's: {why}", .path.display())]
    NotABackup { path: PathBuf, why: String },
    #[error(
        "{} was made by a later stampcard ({found}), and this one knows {known}; restore it with the version that made \
         it, or a later one",
        .path.display()
    )]
    FromTheFuture {
        path: PathBuf,
        found: String,
        known: String,
    },
    #[error("{} ends too early: {missing} is not in it as a whole; take another copy of it", .path.display())]
    Truncated { path: PathBuf, missing: String },
    #[error("{}: {part} is not what was written: its sum differs; take another copy of it", .path.display())]
    Damaged { path: PathBuf, part: String },
    #[error("the restored database cannot be opened: {0}")]
    Database(#[from] OpenError),
    #[error("the restored database cannot be brought up to date: {0}")]
    Migrate(#[source] merchant::OpenError),
    #[error("the restored database cannot be read: {0}")]
    Check(#[from] StoreError),
    #[error("the restored database is damaged: {0}; take an older backup")]
    Unsound(String),
}

/// Above what a manifest or a list of sums can have, in bytes: a thousand plugins.
const LIST_BYTES_MAX: u64 = 1 << 20;
/// What a tar is made of, in bytes.
const TAR_BLOCK: u64 = 512;

/// Makes a shop of a backup. Nothing has the folder's name until every sum is right and, if
/// `verify` says so, SQLite finds the file sound and everything was computed again.
pub fn restore(
    file: &Path,
    dir: &Path,
    verify: bool,
    progress: &mut dyn FnMut(Step),
) -> Result<Restored, RestoreError> {
    must_be_empty(dir)?;
    let beside = folder_of(dir);
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| RestoreError::Write { path, source }
    };
    let room = tempfile::Builder::new()
        .prefix(".stampcard-")
        .permissions(Permissions::from_mode(0o700))
        .tempdir_in(&beside)
        .map_err(failed(dir))?;
    let manifest = unpack(file, room.path(), progress)?;
    let folder = Folder::at(room.path());
    let reads = Reads::open(&folder.database(), 1, PAGE_CACHE_KIB);
    let differences = match reads {
        Err(OpenError::NotMigrated { .. }) | Ok(_) if verify => {
            // As `serve` would: an older backup is brought up to date first.
            drop(reads);
            drop(open_store(&folder, &Settings::default()).map_err(RestoreError::Migrate)?);
            Some(recompute(&folder, progress)?)
        }
        Ok(_) | Err(OpenError::NotMigrated { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    for folder in [DATA, PLUGINS, ""] {
        disk::flush_folder(&room.path().join(folder)).map_err(failed(dir))?;
    }
    // An empty folder of that name gives way; one that somebody filled meanwhile does not.
    fs::rename(room.path(), dir).map_err(failed(dir))?;
    disk::flush_folder(&beside).map_err(failed(dir))?;
    let _ = room.keep();
    Ok(Restored {
        made_at: manifest.made_at,
        customers: manifest.customers,
        entries: manifest.entries,
        events: manifest.events,
        files: manifest.parts.into_iter().map(|part| part.path).collect(),
        differences,
    })
}

fn must_be_empty(dir: &Path) -> Result<(), RestoreError> {
    match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(RestoreError::Write {
            path: dir.into(),
            source,
        }),
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(RestoreError::NotEmpty(dir.into())),
        },
    }
}

fn recompute(
    folder: &Folder,
    progress: &mut dyn FnMut(Step),
) -> Result<Vec<Difference>, RestoreError> {
    let reads = Reads::open(&folder.database(), 1, PAGE_CACHE_KIB)?;
    if let Some(problem) = reads.unsound()? {
        return Err(RestoreError::Unsound(problem));
    }
    Ok(reads.check(&mut |Progress { part, done, of }| {
        progress(Step {
            what: part,
            done,
            of,
        })
    })?)
}

/// Lays the parts into a folder, checks their sums, and gives what the file says of itself.
fn unpack(
    file: &Path,
    into: &Path,
    progress: &mut dyn FnMut(Step),
) -> Result<Manifest, RestoreError> {
    let reading = Reading { file };
    let opened = File::open(file).map_err(|source| RestoreError::Read {
        path: file.into(),
        source,
    })?;
    let of = opened.metadata().map_or(0, |found| found.len());
    reading.begins_and_ends(&opened, of)?;
    let mut done = 0;
    let watched = Watched {
        from: BufReader::with_capacity(256 << 10, opened),
        seen: |bytes: &[u8]| {
            done += bytes.len() as u64;
            progress(Step {
                what: "reading the file",
                done,
                of,
            });
        },
    };
    let mut archive = Archive::new(watched);
    let entries = archive
        .entries()
        .map_err(|error| reading.broke(error, MANIFEST))?;
    let mut entries =
        entries.map(|entry| entry.map_err(|error| reading.broke(error, "the next part")));
    let mut sums = BTreeMap::new();

    let (name, said) = match entries.next() {
        Some(entry) => reading.list(entry?)?,
        None => return Err(reading.no_backup("it is empty")),
    };
    if name != MANIFEST {
        return Err(reading.no_backup(&format!("it does not begin with {MANIFEST}")));
    }
    let manifest = reading.manifest(&said)?;
    sums.insert(MANIFEST.to_owned(), hex(&Sha256::digest(&said)));

    for folder in [DATA, PLUGINS] {
        fs::create_dir(into.join(folder)).map_err(|source| RestoreError::Write {
            path: into.join(folder),
            source,
        })?;
    }
    for part in &manifest.parts {
        let entry = entries
            .next()
            .ok_or_else(|| reading.truncated(&part.path))??;
        sums.insert(part.path.clone(), reading.part(entry, part, into)?);
    }
    let (name, listed) = match entries.next() {
        Some(entry) => reading.list(entry?)?,
        None => return Err(reading.truncated(SUMS)),
    };
    if name != SUMS || entries.next().is_some() {
        return Err(reading.no_backup("it has parts that its manifest does not name"));
    }
    reading.compare(&listed, &sums)?;
    Ok(manifest)
}

/// The file that is read, for what is said of it.
struct Reading<'a> {
    file: &'a Path,
}

impl Reading<'_> {
    /// What can be seen without reading a tar: that it begins as ours do, and that its last block
    /// is whole.
    fn begins_and_ends(&self, file: &File, bytes: u64) -> Result<(), RestoreError> {
        let mut name = [0; MANIFEST.len()];
        if file.read_exact_at(&mut name, 0).is_err() || name != *MANIFEST.as_bytes() {
            return Err(self.no_backup(&format!("it does not begin with {MANIFEST}")));
        }
        if !bytes.is_multiple_of(TAR_BLOCK) {
            return Err(self.truncated("its end"));
        }
        Ok(())
    }

    fn no_backup(&self, why: &str) -> RestoreError {
        RestoreError::NotABackup {
            path: self.file.into(),
            why: why.into(),
        }
    }

    fn truncated(&self, missing: &str) -> RestoreError {
        RestoreError::Truncated {
            path: self.file.into(),
            missing: missing.into(),
        }
    }

    fn damaged(&self, part: &str) -> RestoreError {
        RestoreError::Damaged {
            path: self.file.into(),
            part: part.into(),
        }
    }

    /// What reading the tar ran into.
    fn broke(&self, error: io::Error, at: &str) -> RestoreError {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => self.truncated(at),
            // The tar's own words, such as a header whose checksum is wrong.
            io::ErrorKind::Other | io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
                self.no_backup(&format!("{at} cannot be read as tar ({error})"))
            }
            _ => RestoreError::Read {
                path: self.file.into(),
                source: error,
            },
        }
    }

    /// A short part that is read whole: its name and what it says.
    fn list(&self, mut entry: tar::Entry<impl Read>) -> Result<(String, Vec<u8>), RestoreError> {
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if entry.size() > LIST_BYTES_MAX || entry.header().entry_type() != EntryType::Regular {
            return Err(self.no_backup(&format!("its part {name:?} is none of ours")));
        }
        let mut said = Vec::new();
        entry
            .read_to_end(&mut said)
            .map_err(|error| self.broke(error, &name))?;
        if said.len() as u64 != entry.size() {
            return Err(self.truncated(&name));
        }
        Ok((name, said))
    }

    fn manifest(&self, said: &[u8]) -> Result<Manifest, RestoreError> {
        // The form first: a later one may have other fields.
        let value: serde_json::Value = serde_json::from_slice(said)
            .map_err(|error| self.no_backup(&format!("{MANIFEST}: {error}")))?;
        let future = |found: String, known: String| RestoreError::FromTheFuture {
            path: self.file.into(),
            found,
            known,
        };
        match value["stampcard_backup"].as_u64() {
            None => return Err(self.no_backup(&format!("{MANIFEST} does not say so"))),
            Some(form) if form > u64::from(FORM) => {
                return Err(future(format!("form {form}"), format!("form {FORM}")));
            }
            Some(_) => {}
        }
        let manifest: Manifest = serde_json::from_value(value)
            .map_err(|error| self.no_backup(&format!("{MANIFEST}: {error}")))?;
        if manifest.database_format > FORMAT {
            return Err(future(
                format!("database format {}", manifest.database_format),
                format!("format {FORMAT}"),
            ));
        }
        let named = |path: &str| {
            manifest
                .parts
                .iter()
                .filter(|part| part.path == path)
                .count()
        };
        for part in &manifest.parts {
            if !is_of_a_shop(&part.path) || named(&part.path) > 1 {
                return Err(self.no_backup(&format!("no shop has a part {:?}", part.path)));
            }
        }
        for needed in [MERCHANT_FILE, &database_part()] {
            if named(needed) == 0 {
                return Err(self.no_backup(&format!("it has no {needed}")));
            }
        }
        Ok(manifest)
    }

    /// Writes one part where it belongs, on disk, and gives its sum.
    fn part(
        &self,
        mut entry: tar::Entry<impl Read>,
        part: &Part,
        into: &Path,
    ) -> Result<String, RestoreError> {
        let is_this = *entry.path_bytes() == *part.path.as_bytes()
            && entry.size() == part.bytes
            && entry.header().entry_type() == EntryType::Regular;
        if !is_this {
            return Err(self.damaged(&part.path));
        }
        let path = into.join(&part.path);
        let failed = |source| RestoreError::Write {
            path: path.clone(),
            source,
        };
        let mut file = private(&path).map_err(failed)?;
        let mut sum = Sha256::new();
        let mut buffer = vec![0; 256 << 10];
        let mut written = 0;
        loop {
            let bytes = entry
                .read(&mut buffer)
                .map_err(|error| self.broke(error, &part.path))?;
            if bytes == 0 {
                break;
            }
            sum.update(&buffer[..bytes]);
            file.write_all(&buffer[..bytes]).map_err(failed)?;
            written += bytes as u64;
        }
        if written != part.bytes {
            return Err(self.truncated(&part.path));
        }
        file.sync_all().map_err(failed)?;
        Ok(hex(&sum.finalize()))
    }

    fn compare(&self, listed: &[u8], sums: &BTreeMap<String, String>) -> Result<(), RestoreError> {
        let listed = String::from_utf8_lossy(listed);
        let written: BTreeMap<&str, &str> = listed
            .lines()
            .filter_map(|line| line.split_once("  "))
            .map(|(sum, path)| (path, sum))
            .collect();
        for (path, sum) in sums {
            match written.get(path.as_str()) {
                Some(written) if written == sum => {}
                Some(_) => return Err(self.damaged(path)),
                None => return Err(self.damaged(SUMS)),
            }
        }
        if written.len() == sums.len() {
            Ok(())
        } else {
            Err(self.damaged(SUMS))
        }
    }
}

/// A new file that only this user reads: it may hold keys' hashes and people.
fn private(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}
