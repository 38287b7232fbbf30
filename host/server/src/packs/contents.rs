//! What may be in a pack: which files, how large, and the tar in which they travel.
//!
//! There is a list of what may be there, and no other name gets past it, so none can lead out of a
//! folder. What a header claims is held against the limits before a byte of it is read.

use super::{ABOUT, SIGNATURE, SUMS, hex};
use sha2::{Digest, Sha256};
use stampcard_runtime::limits::{COMPONENT_BYTES_MAX, MANIFEST_BYTES_MAX};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Read};
use tar::{Archive, EntryType, Header};

/// The largest pack, in bytes: four rules in Python with what else they need, or a hundred in
/// JavaScript. It is held in memory while it is looked at.
pub const PACK_BYTES_MAX: usize = 128 << 20;
/// Files of one pack: what 64 plugins have, with a dozen files of cases each.
pub const FILES_MAX: usize = 1_024;
/// The longest path in a pack, in bytes: what a plain tar header holds.
const PATH_BYTES_MAX: usize = 100;
/// A signature with its two comments, in bytes.
const SIGNATURE_BYTES_MAX: usize = 4 << 10;

/// How the files of a plugin end.
pub const MANIFEST_ENDING: &str = ".toml";
pub const COMPONENT_ENDING: &str = ".wasm";

/// The files of a pack by their paths, each of which may be there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    files: BTreeMap<String, Vec<u8>>,
    bytes: usize,
}

/// What cannot be in a pack, or is not one.
#[derive(Debug, thiserror::Error)]
pub enum ContentsError {
    #[error("the pack has {bytes} bytes, more than the {PACK_BYTES_MAX} that it may have")]
    TooLarge { bytes: usize },
    #[error("this is no pack: {0}")]
    NotAPack(String),
    #[error(
        "`{path}` may not be in a pack; there may be {ABOUT}, README.md, LICENSE and NOTICE files, plugins/NAME.toml with NAME.wasm and its schema, and cases/NAME/….json"
    )]
    NotAllowed { path: String },
    #[error("`{path}` is {what}, and a pack has files alone")]
    NotAFile { path: String, what: &'static str },
    #[error("`{path}` is in the pack twice")]
    Twice { path: String },
    #[error("{path} has {bytes} bytes, more than the {most} that it may have")]
    FileTooLarge {
        path: String,
        bytes: u64,
        most: usize,
    },
    #[error("the pack has more files than the {FILES_MAX} that it may have")]
    TooMany,
    #[error("{path} is missing")]
    Missing { path: &'static str },
    #[error("{path} is not UTF-8 text")]
    NotText { path: String },
}

impl Contents {
    /// Adds a file, if it may be there.
    pub fn add(&mut self, path: &str, bytes: Vec<u8>) -> Result<(), ContentsError> {
        let most = most_bytes(path)?;
        if bytes.len() > most {
            return Err(ContentsError::FileTooLarge {
                path: path.into(),
                bytes: bytes.len() as u64,
                most,
            });
        }
        if self.files.contains_key(path) {
            return Err(ContentsError::Twice { path: path.into() });
        }
        if self.files.len() == FILES_MAX {
            return Err(ContentsError::TooMany);
        }
        self.bytes += bytes.len();
        if self.bytes > PACK_BYTES_MAX {
            return Err(ContentsError::TooLarge { bytes: self.bytes });
        }
        self.files.insert(path.to_owned(), bytes);
        Ok(())
    }

    /// Reads a pack's file. Extensions of tar are refused, because they hold names and sizes of their
    /// own.
    pub fn unpack(bytes: &[u8]) -> Result<Contents, ContentsError> {
        if bytes.len() > PACK_BYTES_MAX {
            return Err(ContentsError::TooLarge { bytes: bytes.len() });
        }
        let broken = |error: io::Error| ContentsError::NotAPack(error.to_string());
        let mut contents = Contents::default();
        let mut archive = Archive::new(bytes);
        for entry in archive.entries().map_err(broken)?.raw(true) {
            let mut entry = entry.map_err(broken)?;
            let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let header = entry.header();
            if let Some(what) = not_a_file(header.entry_type()) {
                return Err(ContentsError::NotAFile { path, what });
            }
            let most = most_bytes(&path)?;
            let claimed = header.entry_size().map_err(broken)?;
            if claimed > most as u64 {
                return Err(ContentsError::FileTooLarge {
                    path,
                    bytes: claimed,
                    most,
                });
            }
            let mut held = Vec::new();
            entry.read_to_end(&mut held).map_err(broken)?;
            if held.len() as u64 != claimed {
                let cut_off = format!("it ends within {path}; take another copy of it");
                return Err(ContentsError::NotAPack(cut_off));
            }
            contents.add(&path, held)?;
        }
        if contents.files.is_empty() {
            return Err(ContentsError::NotAPack("there is nothing in it".into()));
        }
        Ok(contents)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let files = self.files.iter();
        files.map(|(path, bytes)| (path.as_str(), bytes.as_slice()))
    }

    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    pub fn get(&self, path: &str) -> Option<&[u8]> {
        self.files.get(path).map(Vec::as_slice)
    }

    /// A text that has to be there. Only [`ABOUT`] is asked for before it is known to be.
    pub fn text(&self, path: &str) -> Result<&str, ContentsError> {
        let bytes = self.get(path);
        let bytes = bytes.ok_or(ContentsError::Missing { path: ABOUT })?;
        std::str::from_utf8(bytes).map_err(|_| ContentsError::NotText { path: path.into() })
    }

    /// A text that is no part of what is signed.
    pub fn take_text(&mut self, path: &str) -> Result<Option<String>, ContentsError> {
        let Some(bytes) = self.files.remove(path) else {
            return Ok(None);
        };
        self.bytes -= bytes.len();
        let text = String::from_utf8(bytes);
        let text = text.map_err(|_| ContentsError::NotText { path: path.into() })?;
        Ok(Some(text))
    }

    /// The sums of everything, as `sha256sum` writes them.
    pub fn sums(&self) -> String {
        let mut sums = String::new();
        for (path, bytes) in self.iter() {
            let sum = hex(&Sha256::digest(bytes));
            writeln!(sums, "{sum}  {path}").expect("a string can be written to");
        }
        sums
    }
}

/// The tar of some files. Nobody's name and no time is in it, so the same files make the same bytes.
pub fn pack(parts: &[(&str, Cow<[u8]>)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, bytes) in parts {
        let mut header = Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        let written = header.set_path(path).and_then(|()| {
            header.set_cksum();
            tar.append(&header, &bytes[..])
        });
        written.expect("the path is short enough and memory can be written to");
    }
    tar.into_inner().expect("memory can be written to")
}

/// The most bytes of a file in a pack, or that none of that name may be there.
pub fn most_bytes(path: &str) -> Result<usize, ContentsError> {
    let not_allowed = || ContentsError::NotAllowed { path: path.into() };
    if path.len() > PATH_BYTES_MAX || !path.split('/').all(is_name) {
        return Err(not_allowed());
    }
    let parts: Vec<&str> = path.split('/').collect();
    let is_for_people = |name: &str| {
        name == "README.md"
            || ["LICENSE", "LICENCE", "NOTICE"]
                .iter()
                .any(|it| name.starts_with(it))
    };
    match parts[..] {
        [SIGNATURE] => Ok(SIGNATURE_BYTES_MAX),
        [ABOUT | SUMS] => Ok(MANIFEST_BYTES_MAX),
        [name] if is_for_people(name) => Ok(MANIFEST_BYTES_MAX),
        ["plugins", name] if name.ends_with(COMPONENT_ENDING) => Ok(COMPONENT_BYTES_MAX),
        ["plugins", name] if name.ends_with(MANIFEST_ENDING) || name.ends_with(".json") => {
            Ok(MANIFEST_BYTES_MAX)
        }
        ["cases", _, name] if name.ends_with(".json") => Ok(MANIFEST_BYTES_MAX),
        _ => Err(not_allowed()),
    }
}

/// One step of a path: nothing that a file system or a list of sums could read otherwise.
fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with('.')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

fn not_a_file(kind: EntryType) -> Option<&'static str> {
    match kind {
        EntryType::Regular => None,
        EntryType::Directory => Some("a folder"),
        EntryType::Link | EntryType::Symlink => Some("a link"),
        EntryType::GNUSparse => Some("a sparse file, which is larger than it looks"),
        EntryType::GNULongName
        | EntryType::GNULongLink
        | EntryType::XHeader
        | EntryType::XGlobalHeader => Some("an extension of tar"),
        _ => Some("a device or the like"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tar_of(kind: EntryType, path: &str, claimed: u64, bytes: &[u8]) -> Vec<u8> {
        let mut header = Header::new_ustar();
        // As somebody would write it who means harm: no library checks the name.
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_entry_type(kind);
        header.set_size(claimed);
        header.set_cksum();
        let mut tar = header.as_bytes().to_vec();
        tar.extend(bytes);
        tar.resize(tar.len().next_multiple_of(512), 0);
        tar.extend([0; 1024]);
        tar
    }

    #[test]
    fn nothing_gets_in_under_a_name_that_leads_elsewhere() {
        for path in [
            "../pack.toml",
            "/etc/passwd",
            "plugins/../../x.toml",
            "plugins/./a.toml",
            "plugins//a.toml",
            "plugins/a.toml/",
            "plugins\\a.toml",
            "plugins/.a.toml",
            "plugins/a.toml\n",
            "plugins/a.so",
            "plugins/a/b.toml",
            "cases/a.json",
            "run.sh",
            "",
        ] {
            let tar = tar_of(EntryType::Regular, path, 1, b"x");
            let refused = Contents::unpack(&tar);
            assert!(
                matches!(refused, Err(ContentsError::NotAllowed { .. })),
                "{path}: {refused:?}"
            );
            let mut contents = Contents::default();
            assert!(contents.add(path, Vec::new()).is_err(), "{path}");
        }
    }

    #[test]
    fn links_folders_devices_and_extensions_are_no_files_of_a_pack() {
        for kind in [
            EntryType::Symlink,
            EntryType::Link,
            EntryType::Directory,
            EntryType::Char,
            EntryType::Fifo,
            EntryType::GNUSparse,
            EntryType::GNULongName,
            EntryType::XHeader,
        ] {
            let refused = Contents::unpack(&tar_of(kind, "pack.toml", 1, b"x"));
            assert!(
                matches!(refused, Err(ContentsError::NotAFile { .. })),
                "{kind:?}: {refused:?}"
            );
        }
    }

    #[test]
    fn a_file_that_claims_to_be_vast_is_refused_before_it_is_read() {
        for (path, claimed) in [
            ("plugins/a.wasm", 1 << 33),
            ("plugins/a.wasm", COMPONENT_BYTES_MAX as u64 + 1),
            ("pack.toml", MANIFEST_BYTES_MAX as u64 + 1),
            ("SHA256SUMS.minisig", 1 << 20),
        ] {
            let refused = Contents::unpack(&tar_of(EntryType::Regular, path, claimed, b"x"));
            assert!(
                matches!(refused, Err(ContentsError::FileTooLarge { bytes, .. }) if bytes == claimed),
                "{refused:?}"
            );
        }
        let cut_off = tar_of(EntryType::Regular, "plugins/a.wasm", 4_000, b"x");
        assert!(matches!(
            Contents::unpack(&cut_off),
            Err(ContentsError::NotAPack(_))
        ));
    }

    #[test]
    fn a_pack_has_so_many_files_and_each_once() {
        let parts: Vec<(String, Vec<u8>)> = (0..=FILES_MAX)
            .map(|number| (format!("cases/a/{number}.json"), Vec::new()))
            .collect();
        let tar = |parts: &[(String, Vec<u8>)]| {
            let parts = parts.iter();
            let parts: Vec<_> = parts
                .map(|(path, bytes)| (path.as_str(), Cow::Borrowed(&bytes[..])))
                .collect();
            pack(&parts)
        };
        assert!(Contents::unpack(&tar(&parts[..FILES_MAX])).is_ok());
        assert!(matches!(
            Contents::unpack(&tar(&parts)),
            Err(ContentsError::TooMany)
        ));
        let twice = [parts[0].clone(), parts[0].clone()];
        assert!(matches!(
            Contents::unpack(&tar(&twice)),
            Err(ContentsError::Twice { .. })
        ));
    }

    #[test]
    fn what_is_no_tar_is_no_pack() {
        let long = vec![0; PACK_BYTES_MAX + 1];
        assert!(matches!(
            Contents::unpack(&long),
            Err(ContentsError::TooLarge { .. })
        ));
        for bytes in [&b""[..], b"\0asm\x0d\0\x01\0", &[7; 2_000]] {
            assert!(Contents::unpack(bytes).is_err());
        }
    }
}
