//! The store: the journal, the ledger and the customers, in one SQLite file for each merchant.
//!
//! This is the only room with SQL, and [`commit`] is the one place that changes a customer. It
//! decides nothing and never calls a plugin. `schema/` is the first thing to read; then [`store`].

mod backup;
mod beside;
mod cache;
pub mod check;
mod codec;
mod commit;
mod deliveries;
mod devices;
mod error;
pub mod export;
mod group;
mod hold;
mod keys;
mod log;
mod open;
mod orders;
mod people;
pub mod reads;
mod review_items;
mod reviews;
mod row;
mod rule_books;
mod schema;
mod sql;
mod store;
mod ticket;
mod writer;

pub use backup::{Snapshot, SnapshotError};
pub use deliveries::{Delivered, Granted, OutboxDesk, Wish};
pub use devices::{Device, DeviceBook};
pub use error::OpenError;
pub use group::{Grouping, Work};
pub use keys::{ApiKey, KeyRing};
pub use orders::{Order, OrderDesk};
pub use reads::Reads;
pub use review_items::{Closed, Closing, ReviewItemRow};
pub use reviews::{Affected, Doubted, NewRound, Progress, Round};
pub use rule_books::{
    Artifact, ArtifactKind, By, Inbox, LivePack, NewRuleBook, Origin, PackedPlugin, PluginFiles,
    RuleBook, Signer, SourceFile,
};
pub use schema::FORMAT;
pub use sql::{Recorded, Recording};
pub use store::{Birth, Preview, Settings, SqliteStore, is_in_use};
