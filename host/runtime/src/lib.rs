//! The runtime: the only room that knows wasmtime. It loads plugins, holds them to their limits,
//! makes one call at a time, in a fresh instance or in one that is kept and watched, and keeps the
//! rule book.
//!
//! It sees neither SQL nor HTTP, and it opens no file but those of its cache: texts and bytes are
//! given to it.
//!
//! Words by how long they live: an [`Engine`] as long as the process; machine code as long as some
//! rule book uses it; a [`RuleBook`] until the next one takes its place; an instance for one call, or, where an operator wants
//! it so, for some more.

mod answer;
pub mod bench;
mod bindings;
mod cache;
mod call;
mod code;
mod compile;
mod component;
mod contract;
mod deciding;
mod digest;
mod engine;
mod from_contract;
mod kept;
mod library;
pub mod limits;
mod log;
pub mod manifest;
mod manifest_toml;
mod nearest;
mod plugin;
mod rule_book;
mod seats;
mod source;
mod to_contract;
pub mod trial;
mod wasi;

pub use cache::CacheError;
pub use code::CodeError;
pub use compile::{CompileError, child_main};
pub use component::{ComponentError, Import, Inspection, inspect};
pub use engine::{Engine, EngineError, Room};
pub use kept::{KeepLimits, KeptFigures};
pub use library::LibraryFigures;
pub use log::{Level, Line};
pub use manifest::{PackPlugin, Personal, PluginFile};
pub use plugin::{Candidate, LoadError, examine};
pub use rule_book::{NotLoaded, RuleBook};
pub use source::{RuleSource, carried_manifest};
