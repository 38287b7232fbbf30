//! A folder of shops: one server opens all of them.
//!
//! ```text
//! shops/
//!   stampcard.toml   the server: where it listens, how it logs; a folder of shops need not have one
//!   soho/            a shop, with everything that a shop's folder has
//!   brooklyn/        another
//! ```
//!
//! A folder in it is a shop when it has a `merchant.toml` or a database. One that begins with a dot
//! is none: a shop that is being restored has such a name until it is whole.

use super::{ConfigError, Folder, MERCHANT_FILE, SERVER_FILE, ServerFile};
use std::fs;
use std::path::{Path, PathBuf};

/// What a folder is that a command was given.
#[derive(Clone, Debug)]
pub enum Place {
    Shop(Folder),
    Shops(ShopsFolder),
}

impl Place {
    /// A folder that is nothing yet is taken for a shop, so that whoever opens it says what is missing.
    pub fn at(dir: &Path) -> Result<Place, ConfigError> {
        let folder = Folder::at(dir);
        if folder.is_a_shop() {
            return Ok(Place::Shop(folder));
        }
        let shops = ShopsFolder { dir: dir.into() };
        if dir.join(SERVER_FILE).exists() || dir.is_dir() && !shops.folders()?.is_empty() {
            return Ok(Place::Shops(shops));
        }
        Ok(Place::Shop(folder))
    }
}

/// A folder of shops.
#[derive(Clone, Debug)]
pub struct ShopsFolder {
    dir: PathBuf,
}

impl ShopsFolder {
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Its `stampcard.toml`.
    pub fn server(&self) -> Result<ServerFile, ConfigError> {
        Folder::at(&self.dir).server()
    }

    /// The shops that there are now, in the order of their names.
    pub fn folders(&self) -> Result<Vec<Folder>, ConfigError> {
        let failed = |source| ConfigError::Read {
            path: self.dir.clone(),
            source,
        };
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let folder = Folder::at(&entry.path());
            // A name that is no text could not be said in a log, a figure or an answer.
            let is_named = entry
                .file_name()
                .to_str()
                .is_some_and(|name| !name.starts_with('.'));
            if is_named && folder.is_a_shop() {
                found.push(folder);
            }
        }
        found.sort_by(|one, other| one.dir().cmp(other.dir()));
        Ok(found)
    }
}

impl Folder {
    fn is_a_shop(&self) -> bool {
        self.dir().join(MERCHANT_FILE).exists() || self.database().exists()
    }

    /// What one of several shops has: what its own `stampcard.toml` says goes above what the server's
    /// does. Where the server listens and how it logs is said by the server's alone.
    pub fn server_within(&self, server: &ServerFile) -> Result<ServerFile, ConfigError> {
        let own = self.server()?;
        Ok(ServerFile {
            lanes: own.lanes.or(server.lanes),
            queue: own.queue.or(server.queue),
            requests_per_minute: own.requests_per_minute.or(server.requests_per_minute),
            ..server.clone()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU32;

    fn make(dir: &Path, files: &[&str]) {
        for file in files {
            let path = dir.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
    }

    #[test]
    fn a_folder_is_a_shop_or_holds_shops_by_what_is_in_it() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| Place::at(&dir.path().join(name)).unwrap();
        make(
            dir.path(),
            &[
                "one/merchant.toml",
                "one/stampcard.toml",
                "lost-its-file/data/stampcard.db",
                "many/soho/merchant.toml",
                "many/brooklyn/data/stampcard.db",
                "many/.stampcard-half/merchant.toml",
                "many/notes/today.txt",
                "many/merchants.txt",
                "none-yet/stampcard.toml",
                "empty/x.txt",
            ],
        );
        for shop in ["one", "lost-its-file", "empty", "not-there"] {
            assert!(matches!(at(shop), Place::Shop(_)), "{shop}");
        }
        let names = |name: &str| match at(name) {
            Place::Shops(shops) => {
                let folders = shops.folders().unwrap();
                folders.iter().map(Folder::name).collect::<Vec<_>>()
            }
            Place::Shop(_) => panic!("{name} is no shop"),
        };
        assert_eq!(names("many"), ["brooklyn", "soho"]);
        assert_eq!(names("none-yet"), [""; 0]);
    }

    #[test]
    fn a_shops_own_limits_go_above_those_of_the_server() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::at(dir.path());
        let server = ServerFile {
            queue: Some(9),
            requests_per_minute: NonZeroU32::new(7),
            ..ServerFile::default()
        };
        assert_eq!(folder.server_within(&server).unwrap(), server);
        fs::write(
            dir.path().join(SERVER_FILE),
            "requests_per_minute = 5\nlisten = \"127.0.0.1:1\"\n[log]\nlevel = \"debug\"\n",
        )
        .unwrap();
        let expected = ServerFile {
            requests_per_minute: NonZeroU32::new(5),
            ..server.clone()
        };
        assert_eq!(folder.server_within(&server).unwrap(), expected);
    }
}
