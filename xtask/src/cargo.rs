//! Other programs, run in the root of the workspace.

use crate::Failure;
use stampcard_tests::binary::root;
use std::process::{Command, Stdio};

/// The cargo that runs us.
pub fn cargo(arguments: &[&str]) -> Command {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    program(&cargo, arguments)
}

pub fn program(name: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(name);
    command.args(arguments).current_dir(root());
    command
}

/// Runs it to its end, with its output on the terminal.
pub fn must(mut command: Command) -> Result<(), Failure> {
    let status = command
        .status()
        .map_err(|source| not_started(&command, source))?;
    if status.success() {
        Ok(())
    } else {
        Err(Failure::Program(text(&command)))
    }
}

/// Runs it to its end and returns what it printed.
pub fn printed(mut command: Command) -> Result<String, Failure> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|source| not_started(&command, source))?;
    if !output.status.success() {
        return Err(Failure::Program(text(&command)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether a program is there and says yes.
pub fn succeeds(mut command: Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

pub fn not_started(command: &Command, source: std::io::Error) -> Failure {
    Failure::Start {
        program: command.get_program().to_string_lossy().into_owned(),
        source,
    }
}

fn text(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}
