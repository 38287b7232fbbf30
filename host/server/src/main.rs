//! The binary `stampcard`: the edges of the host. It reads files and arguments, listens and prints;
//! what an event does is decided in `host/pipeline`.

mod cli;
mod clock;
mod config;
mod desk;
mod figures;
mod http;
mod ingest;
mod keys;
mod lanes;
mod log;
mod merchant;
mod pack;
mod recorded;
mod reload;
mod replay;
mod table;

use std::process::ExitCode;

fn main() -> ExitCode {
    // Plugins are compiled by a child process that is this program.
    stampcard_runtime::child_main();
    cli::run()
}
