//! The engine: how plugins are compiled and run, and the clock of their deadlines.
//!
//! Everything about determinism, resident slots and deadlines is set here and nowhere else, so
//! that no caller can get half of it. It reads no files and starts no processes: `library.rs` and
//! `compile.rs` do.

use crate::cache::CacheError;
use crate::kept::{KeepLimits, KeptFigures, Shelf};
use crate::library::{Library, LibraryFigures};
use crate::limits::{
    CALLS_AT_ONCE, CompileLimits, MEMORY_BYTES_MOST, PARTS_PER_COMPONENT, RESIDENT_MEMORY_BYTES,
    RESIDENT_TABLE_BYTES, STACK_BYTES, TABLE_ENTRIES_MAX, TICK_MS,
};
use sha2::{Digest as _, Sha256};
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use wasmtime::{Config, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig};

/// Runs the plugins of all shops of one process. It is made once; clones are the same engine.
///
/// A thread that calls plugins needs a stack of its own beyond
/// [`STACK_BYTES`](crate::limits::STACK_BYTES), which the 2 MiB of an ordinary thread have, and
/// not more than [`CALLS_AT_ONCE`](crate::limits::CALLS_AT_ONCE) of them call at the same time.
#[derive(Clone)]
pub struct Engine {
    library: Arc<Library>,
    shelf: Arc<Shelf>,
    fingerprint: Arc<str>,
}

/// How much an engine may use.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// Calls for which slots are reserved.
    pub calls_at_once: u32,
    pub compile: CompileLimits,
    pub keep: KeepLimits,
}

impl Default for Room {
    fn default() -> Room {
        Room {
            calls_at_once: CALLS_AT_ONCE,
            compile: CompileLimits::default(),
            keep: KeepLimits::default(),
        }
    }
}

impl Room {
    /// Instances that there may be: one for each call, and, where some are kept, these, and for each
    /// call the fresh one with which it is compared.
    fn slots(&self) -> u32 {
        match self.keep.instances {
            0 => self.calls_at_once,
            kept => self.calls_at_once * 2 + kept,
        }
    }
}

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("this machine cannot run plugins: {0}")]
    Machine(String),
    #[error(transparent)]
    Cache(#[from] CacheError),
}

impl Engine {
    /// `cache` is a directory for compiled plugins that belongs to this user alone; it is made if
    /// it is not there. Plugins are compiled by running this very program again, so its `main`
    /// must call [`child_main`](crate::child_main) before anything else.
    pub fn new(cache: &Path) -> Result<Engine, EngineError> {
        Engine::with_compiler(cache, THIS_PROGRAM.into())
    }

    /// The same, where another program calls `child_main`.
    pub fn with_compiler(cache: &Path, program: PathBuf) -> Result<Engine, EngineError> {
        Engine::with_room(cache, program, Room::default())
    }

    /// The same, with more or less room than a server has.
    pub fn with_room(cache: &Path, program: PathBuf, room: Room) -> Result<Engine, EngineError> {
        let engine =
            start(room.slots()).map_err(|error| EngineError::Machine(format!("{error:#}")))?;
        let fingerprint = fingerprint(&engine);
        let library = Library::open(engine, cache, &fingerprint, program, room.compile)?;
        Ok(Engine {
            library: Arc::new(library),
            shelf: Arc::new(Shelf::new(room.keep)),
            fingerprint: fingerprint.into(),
        })
    }

    /// What identifies this build of the engine. Figures of fuel are exact under one fingerprint
    /// and mean nothing under another.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// What was compiled, and what code is in memory for all shops together.
    pub fn figures(&self) -> LibraryFigures {
        self.library.figures()
    }

    /// What was done with instances that are kept between calls, for all shops together.
    pub fn kept(&self) -> KeptFigures {
        self.shelf.figures()
    }

    pub(crate) fn shelf(&self) -> &Arc<Shelf> {
        &self.shelf
    }

    pub(crate) fn library(&self) -> &Library {
        &self.library
    }
}

/// The very file that is running, even where an update has put another one in its place.
const THIS_PROGRAM: &str = "/proc/self/exe";

/// For what an engine is made.
pub(crate) enum Purpose {
    /// To run plugins, in so many slots that stay resident between calls.
    Run { slots: u32 },
    /// To compile one component and end. It reserves no address space.
    Compile,
}

/// The engine, with its deadline clock running.
fn start(slots: u32) -> wasmtime::Result<wasmtime::Engine> {
    let engine = match build(Purpose::Run { slots }) {
        Ok(engine) => engine,
        Err(error) => {
            // A container may forbid reserving address space. Plugins then run slower, not less safely.
            tracing::warn!(%error, "no resident slots for plugins: each call maps its memory anew");
            build(Purpose::Compile)?
        }
    };
    tick(&engine);
    Ok(engine)
}

pub(crate) fn build(purpose: Purpose) -> wasmtime::Result<wasmtime::Engine> {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        // Fuel decides, the same on every machine; the epoch is the safety net behind it.
        .consume_fuel(true)
        .epoch_interruption(true)
        // The same input gives the same answer on every processor.
        .cranelift_nan_canonicalization(true)
        .wasm_relaxed_simd(false)
        // Nothing of a plugin runs beside it.
        .concurrency_support(false)
        .max_wasm_stack(STACK_BYTES)
        .cranelift_opt_level(OptLevel::Speed)
        .memory_init_cow(true);
    if let Purpose::Run { slots } = purpose {
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(slots)));
    }
    wasmtime::Engine::new(&config)
}

fn pool(slots: u32) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(slots)
        .total_core_instances(slots * PARTS_PER_COMPONENT.instances)
        .total_memories(slots * PARTS_PER_COMPONENT.memories)
        .total_tables(slots * PARTS_PER_COMPONENT.tables)
        .max_core_instances_per_component(PARTS_PER_COMPONENT.instances)
        .max_memories_per_component(PARTS_PER_COMPONENT.memories)
        .max_tables_per_component(PARTS_PER_COMPONENT.tables)
        .max_tables_per_module(PARTS_PER_COMPONENT.tables)
        .max_memory_size(MEMORY_BYTES_MOST as usize)
        .table_elements(TABLE_ENTRIES_MAX)
        // Wiped by writing over it. `pagemap_scan` would wipe only what was written to, but leaves
        // pages that were swapped out as they are for the next call (wasmtime#14357).
        .linear_memory_keep_resident(RESIDENT_MEMORY_BYTES)
        .table_keep_resident(RESIDENT_TABLE_BYTES);
    pool
}

/// Moves the clock of the deadlines until the engine is gone. A tick that comes late is one tick:
/// a machine that was asleep must not end the calls that were running when it fell asleep.
fn tick(engine: &wasmtime::Engine) {
    let engine = engine.weak();
    let beat = move || {
        loop {
            std::thread::sleep(Duration::from_millis(TICK_MS));
            match engine.upgrade() {
                Some(engine) => engine.increment_epoch(),
                None => return,
            }
        }
    };
    std::thread::Builder::new()
        .name("plugin-deadlines".into())
        .stack_size(64 << 10)
        .spawn(beat)
        .expect("the operating system gives a thread at the start");
}

/// What identifies this engine: fuel figures are comparable only under the same fingerprint, and
/// compiled code fits only the engine that has it.
fn fingerprint(engine: &wasmtime::Engine) -> String {
    struct Sha(Sha256);
    impl Hasher for Sha {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }
        fn finish(&self) -> u64 {
            unreachable!("the fingerprint is longer than 64 bits")
        }
    }
    let mut sha = Sha(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut sha);
    format!(
        "wasmtime-48-{}-{}",
        std::env::consts::ARCH,
        crate::digest::hex(&sha.0.finalize()[..8])
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_compiled_without_slots_fits_the_engine_with_slots() {
        let slots = Room::default().slots();
        let running = build(Purpose::Run { slots }).unwrap();
        let compiling = build(Purpose::Compile).unwrap();
        assert_eq!(fingerprint(&running), fingerprint(&compiling));
    }

    #[test]
    fn the_deadline_clock_dies_with_its_engine() {
        let engine = start(CALLS_AT_ONCE).unwrap();
        let weak = engine.weak();
        drop(engine);
        assert!(weak.upgrade().is_none());
    }
}
