//! What every command needs first: the target of the plugins, and the binary.

use crate::Failure;
use crate::cargo::{cargo, must, printed, program, succeeds};
use stampcard_tests::binary::target;
use std::path::{Path, PathBuf};
use std::process::Command;

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

/// Builds the builder for JavaScript, lays it beside the binary, and says where it is. It brings another
/// wasmtime along, so it has a target folder of its own, and the first time takes minutes.
pub fn js_builder() -> Result<PathBuf, Failure> {
    const NAME: &str = "stampcard-js";
    must(js_builder_cargo("build"))?;
    let own = target().join("js-builder");
    let (built, beside) = (
        own.join("release").join(NAME),
        target().join("release").join(NAME),
    );
    let failed = |source| Failure::File {
        path: beside.display().to_string(),
        source,
    };
    std::fs::create_dir_all(target().join("release")).map_err(failed)?;
    std::fs::copy(&built, &beside).map_err(failed)?;
    Ok(beside)
}

/// A command of cargo for the builder alone.
pub fn js_builder_cargo(command: &str) -> Command {
    let own = target().join("js-builder");
    let own = own.to_str().expect("the root has a name in UTF-8");
    let manifest = "sdk/js/builder/Cargo.toml";
    let arguments = [
        "--release",
        "--locked",
        "--manifest-path",
        manifest,
        "--target-dir",
        own,
    ];
    cargo(&[&[command][..], &arguments].concat())
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
