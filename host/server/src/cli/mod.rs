//! The commands. Each file is one command: its arguments, its words, its exit code.

mod backup;
mod check;
mod conformance;
mod doctor;
mod edge;
mod explain;
mod export;
mod ingest;
mod init;
mod key;
mod outbox;
mod pack;
mod plugin;
mod progress;
mod replay;
mod report;
mod restore;
mod sandbox;
mod serve;
mod time;

use clap::{Parser, Subcommand};
use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

/// The host for sandboxed loyalty rules.
#[derive(Parser)]
#[command(version, after_help = EXIT_CODES, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 done, and something wants attention (refused events, differences, nothing
found); 2 it could not be done, and standard error says why.

Examples:
  stampcard init shop
  stampcard serve shop
  stampcard ingest shop events.ndjson";

#[derive(Subcommand)]
enum Command {
    Init(init::Init),
    Serve(serve::Serve),
    Ingest(ingest::Ingest),
    Check(check::Check),
    Explain(explain::Explain),
    Export(export::Export),
    Replay(replay::Replay),
    Backup(backup::Backup),
    Restore(restore::Restore),
    Doctor(doctor::Doctor),
    Sandbox(sandbox::Sandbox),
    Edge(edge::Edge),
    Conformance(conformance::Conformance),
    #[command(subcommand)]
    Report(report::Report),
    #[command(subcommand)]
    Outbox(outbox::Outbox),
    #[command(subcommand)]
    Plugin(plugin::Plugin),
    #[command(subcommand)]
    Pack(pack::PackCommand),
    #[command(subcommand)]
    Key(key::Key),
}

/// How a command that ran ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Done,
    /// Something wants attention.
    Attention,
}

/// Whatever it is, it is told to a person.
type Run = Result<End, Box<dyn Error>>;

const ATTENTION: u8 = 1;
const FAILED: u8 = 2;

pub fn run() -> ExitCode {
    let ended = match Cli::parse().command {
        Command::Init(init) => init.run(),
        Command::Serve(serve) => serve.run(),
        Command::Ingest(ingest) => ingest.run(),
        Command::Check(check) => check.run(),
        Command::Explain(explain) => explain.run(),
        Command::Export(export) => export.run(),
        Command::Replay(replay) => replay.run(),
        Command::Backup(backup) => backup.run(),
        Command::Restore(restore) => restore.run(),
        Command::Doctor(doctor) => doctor.run(),
        Command::Sandbox(sandbox) => sandbox.run(),
        Command::Edge(edge) => edge.run(),
        Command::Conformance(conformance) => conformance.run(),
        Command::Report(report) => report.run(),
        Command::Outbox(outbox) => outbox.run(),
        Command::Plugin(plugin) => plugin.run(),
        Command::Pack(pack) => pack.run(),
        Command::Key(key) => key.run(),
    };
    match ended {
        Ok(End::Done) => ExitCode::SUCCESS,
        Ok(End::Attention) => ExitCode::from(ATTENTION),
        // Whoever reads our output has seen enough, such as `head`.
        Err(error) if is_closed_pipe(&*error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("stampcard: {error}");
            ExitCode::from(FAILED)
        }
    }
}

fn is_closed_pipe(error: &(dyn Error + 'static)) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Prints a line of what people or scripts read.
fn say(text: impl std::fmt::Display) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{text}")
}

fn say_json(value: &impl serde::Serialize) -> io::Result<()> {
    say(serde_json::to_string(value).map_err(io::Error::other)?)
}
