//! Developer commands: `cargo xtask demo`, `test`, `build`, `plugin`, `bench`, `soak`, `sdk`, `rows`.
//! They set up what they need, and nothing of them ships.

mod bench;
mod cargo;
mod demo;
mod gate;
mod plugin;
mod rows;
mod sdk;
mod setup;
mod soak;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    about,
    disable_help_subcommand = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build target/release/stampcard, with all that this needs
    Build,
    /// Build target/release/stampcard-js, the builder for rules that are saved as JavaScript or TypeScript
    JsBuilder,
    /// Run a day of a three-store shop through the host and look at what came of it
    Demo(demo::Options),
    /// Build a package into a plugin and lay it into a shop
    Plugin(plugin::Options),
    /// Pass every test: what continuous integration runs
    Test,
    /// Measure, print a table, and write target/bench.json
    Bench(bench::Options),
    /// The long tests: many seeds, many kills, whole months
    Soak(soak::Options),
    /// Make what the SDKs have of the contract
    Sdk,
    /// Count the requirement rows that work, by group
    Rows,
}

/// Why a command did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("{program} could not be started: {source}")]
    Start {
        program: String,
        source: std::io::Error,
    },
    #[error(transparent)]
    Plugin(#[from] stampcard_build::BuildError),
    #[error("{0} failed; what it said is above")]
    Program(String),
    #[error("{path}: {source}")]
    File {
        path: String,
        source: std::io::Error,
    },
    #[error("{program} printed something that is not what was expected: {printed}")]
    Printed { program: String, printed: String },
    #[error("{0}")]
    Tests(gate::Verdict),
    #[error("{missing} is needed: {remedy}")]
    Missing {
        missing: &'static str,
        remedy: &'static str,
    },
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Build => setup::binary().map(|path| println!("built {}", path.display())),
        Command::JsBuilder => setup::js_builder().map(|path| println!("built {}", path.display())),
        Command::Demo(options) => demo::run(&options),
        Command::Plugin(options) => plugin::run(&options),
        Command::Test => gate::run(),
        Command::Bench(options) => bench::run(&options),
        Command::Soak(options) => soak::run(&options),
        Command::Sdk => sdk::run(),
        Command::Rows => rows::run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // The gate has printed its verdict as its last line already.
        Err(Failure::Tests(_)) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("cargo xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}
