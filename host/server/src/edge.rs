//! The edge: a copy of the shop, made of a backup, that stands in for the server while a store has no line
//! to it.
//!
//! It has the same rules, the same customers and the same keys as the shop had then, so a till asks it in the
//! same words, and what a sale would earn is worked out by the same components. What it answers is
//! provisional: the till tells the server of its sales when it can, and what the server says counts. Nothing
//! leaves a copy, and nobody redeems at one but by an allowance.

use crate::backup::{RestoreError, restore};
use crate::config::{Folder, MERCHANT_FILE};
use crate::sandbox::without;
use stampcard_pipeline::calendar;
use stampcard_pipeline::event::Instant;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub enum EdgeError {
    #[error(transparent)]
    Restore(#[from] RestoreError),
    #[error("{} cannot be written: {source}", .path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the backup says that it was made at {0:?}, which is no time; take another one")]
    Undated(String),
}

/// It goes when it is dropped.
pub struct Edge {
    room: TempDir,
    /// What was bought after this instant it does not know, but for what it was told itself.
    pub as_of: Instant,
}

/// The shop's folder in the room.
const SHOP: &str = "shop";
/// What would leave the shop, or come in from others: the server does that.
const NOT_HERE: [&str; 2] = ["delivery", "hooks"];

impl Edge {
    /// As the shop was when it was backed up.
    pub fn of(backup: &Path) -> Result<Edge, EdgeError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| EdgeError::Write { path, source }
        };
        let room = tempfile::Builder::new()
            .prefix("stampcard-edge-")
            .tempdir()
            .map_err(failed(&std::env::temp_dir()))?;
        let dir = room.path().join(SHOP);
        let restored = restore(backup, &dir, false, &mut |_| ())?;
        let as_of = calendar::parse(&restored.made_at)
            .map_err(|_| EdgeError::Undated(restored.made_at.clone()))?;
        let file = dir.join(MERCHANT_FILE);
        let text = fs::read_to_string(&file).map_err(failed(&file))?;
        fs::write(&file, without(&text, &NOT_HERE)).map_err(failed(&file))?;
        Ok(Edge { room, as_of })
    }

    pub fn folder(&self) -> Folder {
        Folder::at(&self.room.path().join(SHOP))
    }
}
