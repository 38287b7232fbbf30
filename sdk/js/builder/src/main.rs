//! `stampcard-js`: turns a rule in JavaScript or TypeScript into the component that shops load, on a
//! machine that has no toolchain.
//!
//! ```text
//! stampcard-js extra-coffee.js -o extra-coffee.wasm
//! stampcard-js rule.ts --roles point-formula,tier-rule -o rule.wasm
//! ```
//!
//! The roles stand in the file, as `export const manifest = { … }`, or are given. It makes what
//! `build.mjs` makes beside npm: the same entry, the same contract, the same limits.
//!
//! `stampcard` runs it for every source that is saved in a shop's folder, whoever wrote it. What a file does
//! when it is evaluated it does inside of WebAssembly that was given nothing; and this process holds itself
//! to its limits before it reads a byte, so the worst that it can do is to die.

mod component;
mod file;
mod files;
mod limits;
mod lines;
mod manifest;

use file::Fault;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

const USAGE: &str = "usage: stampcard-js RULE.js|RULE.ts [--roles ROLE,…] -o RULE.wasm";

/// Exit codes, as BSD's sysexits.h has them.
const MISUSED: u8 = 64;
/// The source is at fault; what is wrong, and where, is on standard error.
const REFUSED: u8 = 65;

/// What is to be built.
struct Job {
    rule: PathBuf,
    /// As manifests name them; empty where the file says them itself.
    roles: Vec<String>,
    output: PathBuf,
}

/// Why there is no component.
#[derive(Debug, thiserror::Error)]
enum NotBuilt {
    #[error("{0}")]
    Source(#[from] Fault),
    #[error("{path}: {source}")]
    File {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("this process cannot be held to its limits: {0}")]
    Limits(std::io::Error),
}

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    if words.iter().any(|word| word == "--help" || word == "-h") {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    if words.iter().any(|word| word == "--version") {
        println!("stampcard-js {}", env!("CARGO_PKG_VERSION"));
        return ExitCode::SUCCESS;
    }
    let job = match Job::of(words) {
        Ok(job) => job,
        Err(problem) => {
            eprintln!("{problem}\n{USAGE}");
            return ExitCode::from(MISUSED);
        }
    };
    match limits::hold().map_err(NotBuilt::Limits).and_then(|()| {
        // A parser goes down into brackets as deep as they are, and a stack that ends says nothing.
        let worker = std::thread::Builder::new().stack_size(limits::STACK_BYTES);
        let building = worker.spawn(move || component::build(&job));
        let building = building.map_err(NotBuilt::Limits)?;
        building
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            match error {
                NotBuilt::Source(_) => ExitCode::from(REFUSED),
                NotBuilt::File { .. } | NotBuilt::Limits(_) => ExitCode::FAILURE,
            }
        }
    }
}

impl Job {
    fn of(words: Vec<OsString>) -> Result<Job, String> {
        let (mut rule, mut output, mut roles) = (None, None, Vec::new());
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            match word.to_str() {
                Some("-o" | "--output") => output = words.next().map(PathBuf::from),
                Some("--roles") => {
                    let named = words.next().unwrap_or_default();
                    let named = named.to_string_lossy().into_owned();
                    roles = named
                        .split(',')
                        .filter(|role| !role.is_empty())
                        .map(str::to_owned)
                        .collect();
                }
                _ if rule.is_none() => rule = Some(PathBuf::from(word)),
                _ => return Err(format!("{} is not an option", word.display())),
            }
        }
        if let Some(unknown) = roles.iter().find(|role| manifest::camel(role).is_none()) {
            return Err(manifest::no_role(unknown));
        }
        match (rule, output) {
            (Some(rule), Some(output)) => Ok(Job {
                rule,
                roles,
                output,
            }),
            (None, _) => Err("no rule is named".into()),
            (_, None) => Err("no output is named".into()),
        }
    }
}
