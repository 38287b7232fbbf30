//! A sandbox: the rules of a shop over an empty database, in a folder that goes when it is closed. Whoever
//! tries something out there changes nothing of the shop, and nothing leaves: no key of the shop works
//! in it, and it sends no traces.

use crate::clock;
use crate::config::{Folder, MERCHANT_FILE, PLUGINS};
use crate::http::auth::{Role, hash};
use crate::keys;
use crate::merchant::{OpenError, open_store};
use serde::Serialize;
use stampcard_pipeline::store::StoreError;
use stampcard_store::{KeyRing, Settings};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// What it cannot be made for.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    #[error("{} cannot be copied into a sandbox: {source}", .path.display())]
    Copy {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Config(#[from] crate::config::ConfigError),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Keys(#[from] stampcard_store::OpenError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the operating system gives no random numbers: {0}")]
    Random(#[from] getrandom::Error),
}

pub struct Sandbox {
    pub keys: SandboxKeys,
    room: TempDir,
}

/// A key for each channel, and one that sees everything.
#[derive(Debug, Serialize)]
pub struct SandboxKeys {
    pub till: String,
    pub web: String,
    pub operator: String,
}

/// A shop's file without some of its tables. It was read before, so that it is well formed.
pub fn without(merchant: &str, tables: &[&str]) -> String {
    let mut table: toml::Table = merchant.parse().unwrap_or_default();
    let before = table.len();
    table.retain(|name, _| !tables.contains(&name));
    match table.len() < before {
        true => table.to_string(),
        false => merchant.to_owned(),
    }
}

impl Sandbox {
    /// With the files of a shop as they are now; the shop may be open.
    pub fn of(shop: &Folder) -> Result<Sandbox, SandboxError> {
        // What is wrong with it is told with the names of the shop's own files.
        shop.shop()?;
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| SandboxError::Copy { path, source }
        };
        let room = tempfile::Builder::new()
            .prefix("stampcard-sandbox-")
            .tempdir()
            .map_err(failed(shop.dir()))?;
        let file = shop.dir().join(MERCHANT_FILE);
        let text = fs::read_to_string(&file).map_err(failed(&file))?;
        // Nobody is written to because somebody tries something out.
        let text = without(&text, &["delivery"]);
        fs::write(room.path().join(MERCHANT_FILE), text).map_err(failed(&file))?;
        let plugins = room.path().join(PLUGINS);
        fs::create_dir(&plugins).map_err(failed(&plugins))?;
        let from = shop.plugins();
        if from.exists() {
            for entry in fs::read_dir(&from).map_err(failed(&from))? {
                let path = entry.map_err(failed(&from))?.path();
                if let Some(name) = path.file_name().filter(|_| path.is_file()) {
                    fs::copy(&path, plugins.join(name)).map_err(failed(&path))?;
                }
            }
        }
        let folder = Folder::at(room.path());
        drop(open_store(&folder, &Settings::default())?);
        let mut ring = KeyRing::open(&folder.database())?;
        let mut key = |role: Role, label: &str| -> Result<String, SandboxError> {
            let key = keys::make(role)?;
            ring.add(&hash(&key), role.name(), label, clock::now())?;
            Ok(key)
        };
        Ok(Sandbox {
            keys: SandboxKeys {
                till: key(Role::Pos, "till")?,
                web: key(Role::Pos, "web store")?,
                operator: key(Role::Operator, "operator")?,
            },
            room,
        })
    }

    pub fn dir(&self) -> &Path {
        self.room.path()
    }
}
