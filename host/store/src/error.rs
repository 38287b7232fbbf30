//! What can go wrong with a merchant's file, in types.

use crate::codec::Damaged;
use rusqlite::ErrorCode;
use stampcard_pipeline::store::StoreError;
use std::path::PathBuf;

/// Why a merchant's file cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(
        "{path}: the database has format {found}, and this program knows formats up to {known}; \
         use the version of stampcard that wrote it, or a later one"
    )]
    FromTheFuture {
        path: PathBuf,
        found: i64,
        known: i64,
    },
    #[error("{path}: this is a SQLite database, but not one of stampcard's")]
    NotStampcard { path: PathBuf },
    #[error("{path}: another stampcard has it open; stop that one first")]
    InUse { path: PathBuf },
    #[error("{path}: there is no database; `stampcard init` makes a shop with one")]
    Missing { path: PathBuf },
    #[error(
        "{path}: the database has format {found} and must be brought to {known} first; \
         `stampcard serve` does that when it starts"
    )]
    NotMigrated {
        path: PathBuf,
        found: i64,
        known: i64,
    },
    #[error("{path}: {error}")]
    Store { path: PathBuf, error: StoreError },
}

/// What SQLite says, in the words of the line.
pub(crate) fn store_error(error: rusqlite::Error) -> StoreError {
    let text = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::Full,
        Some(
            ErrorCode::ReadOnly
            | ErrorCode::CannotOpen
            | ErrorCode::PermissionDenied
            | ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked,
        ) => StoreError::ReadOnly(text),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::Corrupt(text),
        _ => StoreError::Failed(text),
    }
}

/// What goes wrong while rows are read or written, before it is told to others.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    #[error(transparent)]
    Sql(#[from] rusqlite::Error),
    #[error(transparent)]
    Damaged(#[from] Damaged),
    #[error("a stored text cannot be read: {0}")]
    Json(#[from] serde_json::Error),
    #[error("stored bytes cannot be read: {0}")]
    Postcard(#[from] postcard::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("cannot write the export: {0}")]
    Io(#[from] std::io::Error),
}

impl From<Trouble> for StoreError {
    fn from(trouble: Trouble) -> StoreError {
        match trouble {
            Trouble::Sql(error) => store_error(error),
            Trouble::Store(error) => error,
            Trouble::Damaged(_) | Trouble::Json(_) | Trouble::Postcard(_) => {
                StoreError::Corrupt(trouble.to_string())
            }
            Trouble::Io(_) => StoreError::Failed(trouble.to_string()),
        }
    }
}
