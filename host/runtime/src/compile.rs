//! Compiles a component in a process of its own.
//!
//! A compiler that is fed by strangers may take for ever, eat all memory, or crash. So it runs
//! in a child with limits on time and memory, and the worst that it can do is to die. The child
//! is a program whose `main` calls [`child_main`] first: usually this very program.

use crate::engine::{self, Purpose};
use crate::limits::{CODE_BYTES_MAX, COMPILE_THREADS, CompileLimits};
use rustix::process::{Resource, Rlimit, setrlimit};
use std::io::{self, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// The hidden argument that makes a program compile one component and end. Its processor time in
/// seconds and its memory in bytes follow.
const ARGUMENT: &str = "compile-a-plugin-and-end";
/// The child's exit code where the component is at fault.
const REFUSED: i32 = 65;
/// What is kept of what the child says of a failure, in bytes.
const COMPLAINT_BYTES_MAX: u64 = 4 << 10;

/// Why there is no machine code.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    #[error("the component cannot be compiled: {reason}")]
    Refused { reason: String },
    #[error(
        "the component took longer to compile than {seconds} seconds; it is too large or made to be slow"
    )]
    TooSlow { seconds: u64 },
    #[error(
        "compiling the component ended with {how}; most likely it wanted more than {most_bytes} bytes of memory{said}"
    )]
    Died {
        how: String,
        most_bytes: u64,
        said: String,
    },
    #[error("the compiler {program} cannot be run: {source}")]
    Program {
        program: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// To be called first thing in `main` of every program that loads plugins. If this process was
/// started to compile a component it does so and never returns; otherwise it returns at once.
pub fn child_main() {
    if std::env::args_os()
        .nth(1)
        .is_some_and(|argument| argument == ARGUMENT)
    {
        let number = |place| std::env::args().nth(place)?.parse().ok();
        let most = CompileLimits::default();
        let limits = CompileLimits {
            cpu_seconds: number(2).unwrap_or(most.cpu_seconds),
            memory_bytes: number(3).unwrap_or(most.memory_bytes),
            ..most
        };
        std::process::exit(match compile_standard_input(&limits) {
            Ok(()) => 0,
            Err(error) => {
                eprintln!("{error:#}");
                REFUSED
            }
        });
    }
}

fn compile_standard_input(limits: &CompileLimits) -> wasmtime::Result<()> {
    hold_to(limits)?;
    let mut component = Vec::new();
    io::stdin().read_to_end(&mut component)?;
    let code = engine::build(Purpose::Compile)?.precompile_component(&component)?;
    io::stdout().write_all(&code)?;
    Ok(())
}

/// Holds this process to its limits. Of its memory it limits what it can write to, because the
/// address space that allocators merely reserve grows with the processors of the machine.
fn hold_to(limits: &CompileLimits) -> io::Result<()> {
    let at_most = |limit| Rlimit {
        current: Some(limit),
        maximum: Some(limit),
    };
    // The signal that says why comes at the first limit, the one that nobody can tell from others at
    // the second.
    let cpu = Rlimit {
        current: Some(limits.cpu_seconds),
        maximum: Some(limits.cpu_seconds + 1),
    };
    setrlimit(Resource::Cpu, cpu)?;
    setrlimit(Resource::Data, at_most(limits.memory_bytes))?;
    setrlimit(Resource::Fsize, at_most(0))?;
    setrlimit(Resource::Core, at_most(0))?;
    // Tills come first, by as much as there is: a swap may take a second longer, and a sale may not. A system that does not let us be nice is no reason to fail.
    let _ = rustix::process::nice(19);
    Ok(())
}

/// Compiles a component in a process of `program`.
pub(crate) fn compile(
    program: &PathBuf,
    limits: &CompileLimits,
    component: &[u8],
) -> Result<Vec<u8>, CompileError> {
    let failed = |source| CompileError::Program {
        program: program.clone(),
        source,
    };
    let threads = thread::available_parallelism()
        .map_or(1, usize::from)
        .min(COMPILE_THREADS);
    let mut child = Command::new(program)
        .arg(ARGUMENT)
        .arg(limits.cpu_seconds.to_string())
        .arg(limits.memory_bytes.to_string())
        .env_clear()
        .env("RAYON_NUM_THREADS", threads.to_string())
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let finished = converse(&mut child, component, limits);
    if finished.is_none() {
        // It may have ended by itself in between; either way it is gone after this.
        let _ = child.kill();
    }
    let status = child.wait().map_err(failed)?;
    match finished {
        Some((code, _)) if status.success() && !code.is_empty() => Ok(code),
        Some((_, complaint)) => Err(why(status, complaint, limits)),
        None => Err(CompileError::TooSlow {
            seconds: limits.wall_seconds,
        }),
    }
}

/// Gives the child the component and takes its code and its complaint; `None` if that takes too
/// long. All three pipes move at once, so that neither side waits for the other.
fn converse(
    child: &mut Child,
    component: &[u8],
    limits: &CompileLimits,
) -> Option<(Vec<u8>, String)> {
    let mut stdin = child.stdin.take().expect("the pipe was asked for");
    let stdout = child.stdout.take().expect("the pipe was asked for");
    let stderr = child.stderr.take().expect("the pipe was asked for");
    let component = component.to_vec();
    // A child that dies before it has read everything says why on standard error.
    thread::spawn(move || drop(stdin.write_all(&component)));
    let (finished, waiting) = mpsc::channel();
    thread::spawn(move || {
        let complaint = thread::spawn(move || read(stderr, COMPLAINT_BYTES_MAX));
        let code = read(stdout, CODE_BYTES_MAX);
        let complaint = complaint.join().unwrap_or_default();
        // Nobody listens any more if the time was up.
        let _ = finished.send((code, String::from_utf8_lossy(&complaint).trim().to_owned()));
    });
    waiting
        .recv_timeout(Duration::from_secs(limits.wall_seconds))
        .ok()
}

fn read(pipe: impl Read, most: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    // What was read before an error is what there is to say.
    let _ = pipe.take(most).read_to_end(&mut bytes);
    bytes
}

fn why(status: ExitStatus, complaint: String, limits: &CompileLimits) -> CompileError {
    let said = if complaint.is_empty() {
        String::new()
    } else {
        format!(" ({complaint})")
    };
    match (status.code(), status.signal()) {
        (Some(REFUSED), _) => CompileError::Refused { reason: complaint },
        (Some(0), _) => CompileError::Refused {
            reason: "the program that should compile it did nothing; its main must call child_main first".into(),
        },
        // Beyond its processor time a process gets SIGXCPU, and SIGKILL if it does not listen.
        (_, Some(signal)) if signal == rustix::process::Signal::XCPU.as_raw() => {
            CompileError::TooSlow { seconds: limits.cpu_seconds }
        }
        _ => CompileError::Died { how: status.to_string(), most_bytes: limits.memory_bytes, said },
    }
}
