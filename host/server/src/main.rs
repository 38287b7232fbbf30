//! The binary `stampcard`: the edges of the host. It reads files and arguments, listens and prints;
//! what an event does is decided in `host/pipeline`.

mod audit;
mod backup;
mod builder;
mod chores;
mod cli;
mod clock;
mod config;
mod conformance;
mod csv;
mod delivery;
mod desk;
mod devices;
mod disk;
mod doctor;
mod edge;
mod failing;
mod figures;
mod hooks;
mod http;
mod ingest;
mod keys;
mod lanes;
mod log;
mod merchant;
mod merchants;
mod orders;
mod pack;
mod packs;
mod recorded;
mod reload;
mod replay;
mod reports;
mod rerun;
mod sandbox;
mod sources;
mod table;
mod telemetry;
mod turns;

use std::process::ExitCode;

// An event is many small allocations on several threads, most of them freed together.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Plugins are compiled by a child process that is this program.
    stampcard_runtime::child_main();
    cli::run()
}
