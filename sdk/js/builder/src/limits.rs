//! What building one rule may take. A file that is saved in a shop's folder is built beside the tills, so
//! this comes after everything else that the machine has to do.

use rustix::process::{Resource, Rlimit, setrlimit};
use std::io;

/// The largest source, in bytes. The longest rule seen has 30 KB.
pub const SOURCE_BYTES_MAX: u64 = 1 << 20;
/// Most files of which a rule may be made.
pub const FILES_MAX: usize = 200;
/// Machine time, in seconds. A rule takes one; what takes more does not end at its top level.
const CPU_SECONDS: u64 = 10;
/// Memory that can be written to, in bytes. A rule takes 350 MB, nearly all for the compiler of the
/// interpreter.
const MEMORY_BYTES: u64 = 1 << 30;
/// The largest component, in bytes: what a shop loads at most.
const COMPONENT_BYTES_MAX: u64 = 32 << 20;
/// The stack on which sources are parsed, in bytes.
pub const STACK_BYTES: usize = 64 << 20;

/// Holds this process to its limits.
pub fn hold() -> io::Result<()> {
    let at_most = |limit| Rlimit {
        current: Some(limit),
        maximum: Some(limit),
    };
    // The signal that says why comes at the first limit, the one that nobody can tell from others at
    // the second.
    let cpu = Rlimit {
        current: Some(CPU_SECONDS),
        maximum: Some(CPU_SECONDS + 1),
    };
    setrlimit(Resource::Cpu, cpu)?;
    setrlimit(Resource::Data, at_most(MEMORY_BYTES))?;
    setrlimit(Resource::Fsize, at_most(COMPONENT_BYTES_MAX))?;
    setrlimit(Resource::Core, at_most(0))?;
    // A system that does not let us be nice is no reason to fail.
    let _ = rustix::process::nice(19);
    Ok(())
}
