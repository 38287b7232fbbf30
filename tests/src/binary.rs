//! The binary under test: where it is and how it is run to its end.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The root of the workspace.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ lies in the workspace")
        .to_owned()
}

/// Where cargo builds.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// `STAMPCARD_BIN`, or `target/release/stampcard`.
///
/// # Panics
/// If there is no such file.
pub fn path() -> PathBuf {
    let path = std::env::var_os("STAMPCARD_BIN")
        .map_or_else(|| target().join("release/stampcard"), PathBuf::from);
    assert!(
        path.is_file(),
        "{} is missing: run `cargo xtask build` first, or name the binary with STAMPCARD_BIN",
        path.display()
    );
    path
}

/// `cargo xtask` without cargo in front of it: whoever runs the gate has it already.
pub fn xtask() -> PathBuf {
    let xtask = target().join("release/xtask");
    if !xtask.is_file() {
        let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        build
            .args(["build", "--quiet", "--release", "--package", "xtask"])
            .current_dir(root());
        assert!(
            build.status().is_ok_and(|status| status.success()),
            "xtask could not be built"
        );
    }
    xtask
}

/// A function for bash that makes `curl` fail where the server refuses; for machines without curl
/// a few lines of Python do as much of it as our documents use.
pub fn curl() -> String {
    let instead = root().join("tests/readme/curl.py");
    format!(
        "curl() {{ if type -P curl >/dev/null; then command curl --fail-with-body \"$@\"; \
         else python3 {} \"$@\"; fi; }}",
        instead.display()
    )
}

/// The binary with its arguments. Compiled plugins are kept in one cache for all tests, as they
/// are for all shops of a machine.
pub fn command<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(path());
    command.args(arguments).stdin(Stdio::null());
    if std::env::var_os("XDG_CACHE_HOME").is_none() {
        command.env("XDG_CACHE_HOME", root().join("target/test-cache"));
    }
    command
}

/// What a run of the binary left.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// # Panics
    /// If the exit code is not 0.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(
            self.code, 0,
            "stdout:\n{}\nstderr:\n{}",
            self.stdout, self.stderr
        );
        self.stdout
    }

    /// The standard output as one JSON value.
    ///
    /// # Panics
    /// If it is not.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| {
            panic!(
                "not one JSON value ({error}):\n{}\nstderr:\n{}",
                self.stdout, self.stderr
            )
        })
    }
}

pub fn run<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Ran {
    finish(&mut command(arguments), None)
}

/// The same, with something on its standard input.
pub fn run_with_input<S: AsRef<OsStr>>(
    arguments: impl IntoIterator<Item = S>,
    input: &[u8],
) -> Ran {
    finish(&mut command(arguments), Some(input))
}

fn finish(command: &mut Command, input: Option<&[u8]>) -> Ran {
    command.stdin(if input.is_some() {
        Stdio::piped()
    } else {
        Stdio::null()
    });
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let stdin = child.stdin.take();
    // Written beside the reading, because both pipes are finite.
    let output = std::thread::scope(|scope| {
        if let (Some(mut stdin), Some(input)) = (stdin, input) {
            // A binary that ends early closes the pipe, and says why in its exit code.
            scope.spawn(move || stdin.write_all(input).ok());
        }
        child
            .wait_with_output()
            .expect("the binary can be waited for")
    });
    Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).expect("the binary prints UTF-8"),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
