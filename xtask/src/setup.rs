//! What every command needs first: the target of the plugins, and the binary.

use crate::Failure;
use crate::cargo::{cargo, must, printed, program, succeeds};
use std::path::{Path, PathBuf};

/// The target of every plugin in Rust.
const WASM: &str = "wasm32-unknown-unknown";

/// Builds the binary and says where it is. Whoever names one with `STAMPCARD_BIN` has built it.
pub fn binary() -> Result<PathBuf, Failure> {
    if std::env::var_os("STAMPCARD_BIN").is_some() {
        return Ok(stampcard_tests::binary::path());
    }
    wasm_target()?;
    must(cargo(&["build", "--release", "--package", "stampcard"]))?;
    Ok(stampcard_tests::binary::path())
}

/// Adds the target for plugins to the toolchain in use, unless it is there.
pub fn wasm_target() -> Result<(), Failure> {
    let libraries = printed(program(
        "rustc",
        &["--print", "target-libdir", "--target", WASM],
    ))?;
    if Path::new(libraries.trim()).is_dir() {
        return Ok(());
    }
    if !succeeds(program("rustup", &["--version"])) {
        return Err(Failure::Missing {
            missing: "the Rust target wasm32-unknown-unknown",
            remedy: "install rustup (https://rustup.rs), or add the target with your own package manager",
        });
    }
    println!("adding the Rust target {WASM}, in which plugins are built");
    must(program("rustup", &["target", "add", WASM]))
}
