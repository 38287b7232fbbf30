//! The builder for JavaScript that shops run in tests.

use crate::binary::{root, target};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The variable by which `stampcard` is told where the builder is.
pub const VARIABLE: &str = "STAMPCARD_JS";

/// Machine time that the builder from npm may take, in seconds: what the real one holds itself to.
const CPU_SECONDS: u32 = 10;

/// What `STAMPCARD_JS` names, as in `cargo xtask soak`; else what npm has, behind the same protocol.
///
/// # Panics
/// If npm or Node.js is missing.
pub fn js_builder() -> PathBuf {
    match std::env::var_os(VARIABLE) {
        Some(named) => named.into(),
        None => from_npm(),
    }
}

/// Whether it is the real one.
pub fn is_real() -> bool {
    std::env::var_os(VARIABLE).is_some()
}

fn from_npm() -> PathBuf {
    let template = root().join("sdk/templates/js/package.json");
    let template = fs::read_to_string(template).expect("the template of a project");
    let sdk = root().join("sdk/js");
    let sdk = sdk.to_str().expect("the root has a name in UTF-8");
    let package = template
        .replace("{{name}}", "js-builder")
        .replace("file:sdk", &format!("file:{sdk}"));
    let mut hasher = DefaultHasher::new();
    package.hash(&mut hasher);
    let home = target().join(format!("js-builder-npm/{:x}", hasher.finish()));
    let script = home.join("stampcard-js");
    if !script.is_file() {
        install(&home, &package);
    }
    script
}

/// Puts it there in one step: tests run beside each other.
fn install(home: &Path, package: &str) {
    let parent = home.parent().expect("it lies in the target folder");
    fs::create_dir_all(parent).expect("the target folder can be written");
    let room = tempfile::tempdir_in(parent).expect("the target folder can be written");
    fs::write(room.path().join("package.json"), package).expect("a file");
    let npm = Command::new("npm")
        .args(["install", "--prefer-offline", "--no-audit", "--no-fund"])
        .current_dir(room.path())
        .output()
        .expect("npm, of Node.js 20 or later, is needed");
    assert!(
        npm.status.success(),
        "{}",
        String::from_utf8_lossy(&npm.stderr)
    );
    // It is run in an environment with nothing in it.
    let script = format!(
        "#!/bin/sh\nulimit -S -t {CPU_SECONDS}\nexec '{}' '{}' '{}' \"$@\"\n",
        which("node").display(),
        root().join("tests/js/builder.mjs").display(),
        home.display(),
    );
    let path = room.path().join("stampcard-js");
    fs::write(&path, script).expect("a file");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("its mode");
    let room = room.keep();
    if fs::rename(&room, home).is_err() {
        // Another test was faster.
        fs::remove_dir_all(&room).expect("it is ours");
    }
}

fn which(program: &str) -> PathBuf {
    let search = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&search).map(|dir| dir.join(program));
    let found = places.find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("{program} is needed"))
}
