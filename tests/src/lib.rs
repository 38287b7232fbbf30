//! Real parts for end-to-end tests and for `cargo xtask demo`: the binary `stampcard`, shops in
//! temporary folders, a server that speaks HTTP, a generated season of a three-store shop, and
//! stories that a shop owner could read. It never fakes a part of the host and never links one:
//! everything goes through the command line and HTTP, as it does for everybody else.
//!
//! What goes wrong here is a failed test, so these functions panic with a sentence that says what
//! the binary did.

pub mod binary;
pub mod disk;
pub mod event;
pub mod every_kind;
pub mod generated;
pub mod js_builder;
pub mod markdown;
pub mod matching;
pub mod neighbours;
pub mod reader;
pub mod receiver;
pub mod rows;
pub mod server;
pub mod shop;
pub mod shops;
pub mod story;
pub mod waits;

pub use event::sale;
pub use server::{Answer, Server};
pub use shop::Shop;
pub use shops::Shops;
