//! Builds the starter pack into the binary, so that a shop needs nothing else on the machine; and
//! carries the SDKs, so that an author needs nothing else of ours.
//!
//! The plugins are built by a cargo of their own in a target directory of their own: the one that
//! runs this script is locked meanwhile.

#[path = "build/sdk.rs"]
mod sdk;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// In the order in which `init` writes them down, and whether it does: what not every shop has waits until
/// somebody names it.
const PACK: [(&str, bool); 5] = [
    ("starter-segments", true),
    ("starter-points", true),
    ("starter-tiers", true),
    ("starter-follow-ups", true),
    ("starter-referral", false),
];

fn main() {
    let root =
        PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("../..");
    let root = fs::canonicalize(root).expect("the workspace is two folders up");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    for what in ["plugins", "sdk", "wit", "Cargo.toml", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", root.join(what).display());
    }
    sdk::carry(&root, &out);
    let mut table = String::from("[");
    for (name, is_of_every_shop) in PACK {
        let folder = root.join("plugins").join(name);
        let component = out.join(format!("{name}.wasm"));
        match stampcard_build::component(&folder, stampcard_build::shared_target_dir(&out)) {
            Ok(bytes) => fs::write(&component, bytes).expect("OUT_DIR can be written"),
            Err(error) => {
                println!(
                    "cargo::error=the plugin {name} of the starter pack cannot be built: {error}"
                );
                return;
            }
        }
        entry(&mut table, name, is_of_every_shop, &folder, &component);
    }
    table.push(']');
    fs::write(out.join("pack.rs"), table).expect("OUT_DIR can be written");
}

fn entry(table: &mut String, name: &str, is_of_every_shop: bool, folder: &Path, component: &Path) {
    let text = |file: &str| format!("include_str!({:?})", folder.join(file));
    let written = writeln!(
        table,
        "Starter {{ plugin: PackPlugin {{ name: {name:?}, manifest: {}, schema: Some({}), component: include_bytes!({component:?}) }}, default: {}, is_of_every_shop: {is_of_every_shop} }},",
        text("plugin.toml"),
        text("config.schema.json"),
        text("default.toml"),
    );
    written.expect("a string can be written to");
}
