//! `cargo xtask plugin`: a Cargo package becomes `NAME.wasm`, beside its `NAME.toml`.

use crate::{Failure, setup};
use clap::Args;
use std::fs;
use std::path::{Path, PathBuf};

#[derive(Args)]
pub struct Options {
    /// The package: a folder with Cargo.toml and NAME.toml, such as examples/tenth-coffee
    package: PathBuf,
    /// Where the plugin goes: the `plugins` folder of a shop
    #[arg(long, default_value = "target/plugins")]
    into: PathBuf,
}

pub fn run(options: &Options) -> Result<(), Failure> {
    setup::wasm_target()?;
    let package =
        fs::canonicalize(&options.package).map_err(|source| failed(&options.package, source))?;
    let name = package
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let component = stampcard_build::component(&package, package.join("target"))?;
    fs::create_dir_all(&options.into).map_err(|source| failed(&options.into, source))?;
    let file = |ending: &str| options.into.join(format!("{name}.{ending}"));

    // A shop that watches its folder takes both together; what the operator has set stays.
    if !file("toml").exists() {
        let manifest = package.join(format!("{name}.toml"));
        fs::copy(&manifest, file("toml")).map_err(|source| failed(&manifest, source))?;
    }
    fs::write(file("wasm"), &component).map_err(|source| failed(&file("wasm"), source))?;
    println!(
        "{} has {} bytes, and its settings are in {}",
        file("wasm").display(),
        component.len(),
        file("toml").display()
    );
    Ok(())
}

fn failed(path: &Path, source: std::io::Error) -> Failure {
    Failure::File {
        path: path.display().to_string(),
        source,
    }
}
