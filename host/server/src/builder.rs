//! `stampcard-js`, the builder for JavaScript and TypeScript: where it is, and how it is run.
//!
//! It is a program of its own, because it brings an interpreter and another wasmtime along, and because
//! what strangers wrote is parsed in it. It holds itself to its limits; here it is only given as little as
//! can be, and not waited for longer than that.

use rustix::process::{Pid, Signal, kill_process_group};
use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Its file's name.
const NAME: &str = "stampcard-js";
/// Says where it is, above all other places.
const VARIABLE: &str = "STAMPCARD_JS";
/// The exit code with which it says that the source is at fault.
const REFUSED: i32 = 65;
/// Time on the wall clock, in seconds. It takes one or two, and comes after everything else that a busy
/// machine has to do; whoever waits for an order waits longer.
const WALL_SECONDS: u64 = 40;
/// Threads that compile inside of it; more of them add memory and little speed.
const THREADS_MAX: usize = 4;
/// What is kept of what it says, in bytes.
const SAID_BYTES_MAX: u64 = 16 << 10;

/// Why there is no component.
#[derive(Debug, thiserror::Error)]
pub enum NotBuilt {
    #[error(
        "there is no {NAME} on this machine, which builds it: lay it beside {} or on the PATH; `cargo xtask js-builder` makes it",
        .beside.display()
    )]
    NoBuilder { beside: PathBuf },
    #[error("{VARIABLE} says that the builder is {}, which is not there", .0.display())]
    NotThere(PathBuf),
    /// Its lines name the file, line and column.
    #[error("{0}")]
    Source(String),
    #[error(
        "building it took more machine time than a rule may; is there a loop at its top level that does not end?"
    )]
    TooLong,
    #[error(
        "building it was given up after {WALL_SECONDS} s; is there a loop at its top level that does not end? If not, the machine is very busy: save it again"
    )]
    TooSlow,
    #[error("building it ended with {how}; most likely it wanted too much memory{said}")]
    Died { how: ExitStatus, said: String },
    #[error("{} cannot be run: {source}", .program.display())]
    Program {
        program: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl NotBuilt {
    /// The same source would come to the same again.
    pub fn is_of_the_source(&self) -> bool {
        matches!(self, NotBuilt::Source(_) | NotBuilt::TooLong)
    }
}

/// The builder of this machine: the one that is named, the one beside this program, or one on the PATH.
pub fn path() -> Result<PathBuf, NotBuilt> {
    if let Some(named) = std::env::var_os(VARIABLE).filter(|it| !it.is_empty()) {
        let named = PathBuf::from(named);
        return match named.is_file() {
            true => Ok(named),
            false => Err(NotBuilt::NotThere(named)),
        };
    }
    let program = std::env::current_exe().unwrap_or_default();
    let search = std::env::var_os("PATH").unwrap_or_default();
    let beside = program.with_file_name(NAME);
    let places = std::env::split_paths(&search).map(|dir| dir.join(NAME));
    [beside]
        .into_iter()
        .chain(places)
        .find(|path| path.is_file())
        .ok_or(NotBuilt::NoBuilder { beside: program })
}

/// Builds the rule in a file. Without `roles` it says them itself. What the builder writes on its way is in
/// `room`, which must be there.
pub fn build(rule: &Path, roles: &[String], room: &Path) -> Result<Vec<u8>, NotBuilt> {
    let program = path()?;
    let failed = |source| NotBuilt::Program {
        program: program.clone(),
        source,
    };
    let output = room.join("built.wasm");
    let mut arguments: Vec<OsString> = vec![rule.into(), "-o".into(), output.clone().into()];
    if !roles.is_empty() {
        arguments.extend(["--roles".into(), roles.join(",").into()]);
    }
    let threads = thread::available_parallelism()
        .map_or(1, usize::from)
        .min(THREADS_MAX);
    let mut child = Command::new(&program)
        .args(arguments)
        .env_clear()
        .env("RAYON_NUM_THREADS", threads.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        // Whatever it starts ends with it.
        .process_group(0)
        .spawn()
        .map_err(failed)?;
    let said = listen(&mut child);
    if said.is_none() {
        // It may have ended by itself in between; either way it is gone after this.
        let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
    }
    let status = child.wait().map_err(failed)?;
    match said {
        None => Err(NotBuilt::TooSlow),
        Some(_) if status.success() => std::fs::read(&output).map_err(failed),
        Some(said) => Err(why(status, said)),
    }
}

/// What the child says until it ends; `None` if that takes too long.
fn listen(child: &mut Child) -> Option<String> {
    let stderr = child.stderr.take().expect("the pipe was asked for");
    let (finished, waiting) = mpsc::channel();
    thread::spawn(move || {
        let mut stderr = stderr;
        let mut said = Vec::new();
        // What was read before an error is what there is to say; what is more is read and dropped, so
        // that nobody waits to be heard.
        let _ = stderr.by_ref().take(SAID_BYTES_MAX).read_to_end(&mut said);
        let _ = io::copy(&mut stderr, &mut io::sink());
        // Nobody listens any more if the time was up.
        let _ = finished.send(String::from_utf8_lossy(&said).trim().to_owned());
    });
    waiting.recv_timeout(Duration::from_secs(WALL_SECONDS)).ok()
}

fn why(status: ExitStatus, said: String) -> NotBuilt {
    // A shell in between tells the signal of its child by a code.
    let signal = status.signal().or(status.code().map(|code| code - 128));
    if signal == Some(Signal::XCPU.as_raw()) {
        return NotBuilt::TooLong;
    }
    match status.code() {
        Some(REFUSED) => NotBuilt::Source(said),
        _ if said.is_empty() => NotBuilt::Died { how: status, said },
        _ => NotBuilt::Died {
            how: status,
            said: format!(" ({said})"),
        },
    }
}
