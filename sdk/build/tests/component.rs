//! What comes out of a build: a component with one import, the roles of its rule, and no more
//! memory than the host keeps resident. The guest is a package outside of every workspace.

use std::fs;
use std::path::{Path, PathBuf};

use stampcard_build::{BuildError, component};
use wit_component::DecodedWasm;

const RULE: &str = r#"
use stampcard_sdk::prelude::*;

struct Quiet;

impl Rule for Quiet {
    type Config = NoConfig;

    fn configure(_: NoConfig, _: &Shop) -> Result<Self> {
        Ok(Quiet)
    }
}

impl SegmentRule for Quiet {
    fn segments(&self, _: &Input) -> Result<SegmentAnswer> {
        Ok(SegmentAnswer::nothing())
    }
}

impl TierRule for Quiet {
    fn tier(&self, _: &Input) -> Result<TierAnswer> {
        log::info("nobody moves");
        Ok(TierAnswer::unchanged())
    }
}

stampcard_sdk::export!(Quiet: SegmentRule, TierRule);
"#;

const CDYLIB: &str = r#"crate-type = ["cdylib"]"#;

fn scratch() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
}

/// Writes a package that has a workspace of its own, the versions of ours, and this library.
fn package(name: &str, lib: &str, source: &str) -> PathBuf {
    let repository = fs::canonicalize(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")).unwrap();
    let sdk = repository.join("sdk/rust");
    let folder = scratch().join(name);
    fs::create_dir_all(folder.join("src")).unwrap();
    let manifest = format!(
        "[workspace]\n[package]\nname = {name:?}\nversion = \"0.1.0\"\nedition = \"2024\"\n\
         [lib]\n{lib}\n[dependencies]\nstampcard-sdk = {{ path = {sdk:?} }}\n"
    );
    fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    fs::write(folder.join("src/lib.rs"), source).unwrap();
    fs::copy(repository.join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    folder
}

fn target() -> PathBuf {
    stampcard_build::shared_target_dir(scratch())
}

#[test]
fn a_component_has_one_import_and_exactly_the_roles_of_its_rule() {
    let bytes = component(package("quiet", CDYLIB, RULE), target()).unwrap();

    let DecodedWasm::Component(resolve, world) = wit_component::decode(&bytes).unwrap() else {
        panic!("it is no component");
    };
    let world = &resolve.worlds[world];
    let mut exports: Vec<String> = world
        .exports
        .keys()
        .map(|it| resolve.name_world_key(it))
        .collect();
    exports.sort();
    assert_eq!(
        exports,
        [
            "stampcard:plugin/lifecycle@0.1.0",
            "stampcard:plugin/segment-rule@0.1.0",
            "stampcard:plugin/tier-rule@0.1.0",
        ]
    );
    // `types` has no functions: it is how a component names the types of the others.
    let mut imports: Vec<String> = world
        .imports
        .keys()
        .map(|it| resolve.name_world_key(it))
        .collect();
    imports.sort();
    assert_eq!(
        imports,
        ["stampcard:plugin/log@0.1.0", "stampcard:plugin/types@0.1.0",]
    );
}

#[test]
fn a_plugin_begins_with_the_memory_that_the_host_keeps_resident_and_names_no_path_of_this_machine()
{
    let bytes = component(package("quiet", CDYLIB, RULE), target()).unwrap();

    let mut pages = Vec::new();
    for payload in wasmparser::Parser::new(0).parse_all(&bytes) {
        if let wasmparser::Payload::MemorySection(memories) = payload.unwrap() {
            pages.extend(memories.into_iter().map(|memory| memory.unwrap().initial));
        }
    }
    assert_eq!(pages, [2], "two pages of 64 KiB");

    let home = std::env::home_dir().unwrap();
    let home = home.to_str().unwrap().as_bytes();
    let named = bytes.windows(home.len()).any(|it| it == home);
    assert!(!named, "the home directory is in the component");
}

#[test]
fn what_cannot_be_a_plugin_says_what_to_do() {
    let nowhere = component(scratch().join("nowhere"), target()).unwrap_err();
    assert!(
        matches!(nowhere, BuildError::NotAPackage { .. }),
        "{nowhere}"
    );

    let rlib = component(package("only-rlib", "", RULE), target()).unwrap_err();
    assert!(matches!(rlib, BuildError::NoModule { .. }), "{rlib}");
    assert!(rlib.to_string().contains("crate-type"), "{rlib}");

    let empty = component(package("no-rule", CDYLIB, ""), target()).unwrap_err();
    assert!(matches!(empty, BuildError::NotAPlugin { .. }), "{empty}");

    let broken = component(package("broken", CDYLIB, "fn rule( {}"), target()).unwrap_err();
    assert!(matches!(broken, BuildError::Cargo { .. }), "{broken}");
    assert!(broken.to_string().contains("src/lib.rs:1"), "{broken}");
}
