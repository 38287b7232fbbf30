//! Somebody who reads one of our documents and types what it says, in an empty folder, with two
//! changes: the server listens on a port of its own, and what has to be built was built before.

use crate::binary::{self, root};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Where a server listens in our documents.
const PORT: &str = "127.0.0.1:8377";
/// Where a server of several shops shows all of them.
const OPERATIONS: &str = "127.0.0.1:8378";
/// What a reader has of the clone.
const CLONE: [&str; 8] = [
    "examples",
    "sdk",
    "wit",
    "plugins",
    "Cargo.toml",
    "tests",
    "host",
    "xtask",
];
/// Variables that live on from one block to the next.
const VARIABLES: &str = "OPERATOR POS READ";
const START_MAX: Duration = Duration::from_secs(60);

pub struct Reader {
    room: TempDir,
    address: String,
    operations: String,
}

impl Default for Reader {
    fn default() -> Self {
        Reader::new()
    }
}

impl Reader {
    /// The folder that a reader works in: the clone's files, and the binary on the path.
    #[track_caller]
    pub fn new() -> Reader {
        let room = tempfile::tempdir().expect("a temporary folder");
        for name in CLONE {
            std::os::unix::fs::symlink(root().join(name), room.path().join(name)).expect("a link");
        }
        // Both at the same time, so that they are two.
        let bind = || std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let (port, next) = (bind(), bind());
        let address = |listener: &std::net::TcpListener| {
            let address = listener.local_addr().expect("it is bound");
            address.to_string()
        };
        let bin = binary::path()
            .parent()
            .expect("a binary lies in a folder")
            .to_owned();
        let prelude = format!(
            "set -euo pipefail\n\
             {curl}\n\
             cargo() {{ if [ \"$1\" = xtask ]; then shift; {xtask} \"$@\"; else command cargo \"$@\"; fi; }}\n\
             export PATH={bin}:$PATH XDG_CACHE_HOME={cache}\n\
             if [ -f keys.sh ]; then . ./keys.sh; fi\n",
            curl = binary::curl(),
            bin = bin.display(),
            xtask = binary::xtask().display(),
            cache = root().join("target/test-cache").display(),
        );
        fs::write(room.path().join("prelude.sh"), prelude).expect("a file");
        Reader {
            room,
            address: address(&port),
            operations: address(&next),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.room.path().join(name)
    }

    #[track_caller]
    pub fn write(&self, name: &str, content: &str) {
        fs::write(self.path(name), content).expect("a file");
    }

    /// Types a block into bash and returns what it printed; every command of it must succeed.
    #[track_caller]
    pub fn run(&self, text: &str) -> String {
        let text = self.here(text);
        let script = format!(
            ". ./prelude.sh\n{text}\nset +u\ndeclare -p {VARIABLES} 2>/dev/null > keys.sh || true\n"
        );
        let output = bash(self.room.path(), &script).output().expect("bash runs");
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "{text}\n{printed}\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
        printed
    }

    /// A text of a document with the ports of this reader.
    fn here(&self, text: &str) -> String {
        text.replace(PORT, &self.address)
            .replace(OPERATIONS, &self.operations)
    }

    /// Types the command that opens a shop, and waits until it listens.
    #[track_caller]
    pub fn serve(&self, command: &str) -> Serving {
        let script = format!(
            ". ./prelude.sh\nexec {} --listen {}\n",
            self.here(command.trim()),
            self.address
        );
        let child = bash(self.room.path(), &script)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("bash runs");
        let serving = Serving(child);
        let began = Instant::now();
        while std::net::TcpStream::connect(&self.address).is_err() {
            assert!(began.elapsed() < START_MAX, "{command}: it does not listen");
            std::thread::sleep(Duration::from_millis(50));
        }
        serving
    }
}

fn bash(room: &Path, script: &str) -> Command {
    let mut bash = Command::new("bash");
    bash.args(["-c", script]).current_dir(room);
    bash
}

/// A server that a reader started.
pub struct Serving(Child);

impl Serving {
    /// Ends it as Ctrl-C does.
    #[track_caller]
    pub fn stop(mut self) {
        kill_process(Pid::from_child(&self.0), Signal::TERM).expect("the server runs");
        assert!(self.0.wait().expect("it can be waited for").success());
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It has ended already if it was stopped.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}
