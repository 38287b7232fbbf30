//! Builds a Cargo package into a plugin: the one place that knows the target, the profile, the
//! stack and how a core module becomes a component. It never runs what it builds.
//!
//! ```no_run
//! let plugin = stampcard_build::component("plugins/starter-points", "target/plugins")?;
//! std::fs::write("starter-points.wasm", plugin)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs, io};

use wit_component::{ComponentEncoder, DecodedWasm};

/// The target of every Rust plugin. It has no system interface at all, so the only import of a
/// plugin is the contract's `log`.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// The stack of a plugin, in bytes. The default of 1 MiB would be part of every instance; rules
/// are not deep, and a stack that is used up is a trap, never a corruption, because it lies at
/// the bottom of the memory.
pub const STACK_BYTES: u32 = 32 * 1024;

/// Small, quick to instantiate, and an overflow is a fault rather than a wrong number. On the
/// command line, so that a package outside of this workspace is built the same.
const PROFILE: [&str; 9] = [
    "profile.plugin.inherits=\"release\"",
    "profile.plugin.opt-level=3",
    "profile.plugin.lto=true",
    "profile.plugin.codegen-units=1",
    "profile.plugin.panic=\"abort\"",
    "profile.plugin.strip=true",
    "profile.plugin.debug=0",
    "profile.plugin.incremental=false",
    "profile.plugin.overflow-checks=true",
];

/// Variables by which cargo is told where it is at home and how it reaches a registry. Every
/// other one that begins with `CARGO_` or `RUST` would carry the settings of the build that we
/// run inside of into the plugin.
const KEPT: [&str; 9] = [
    "CARGO_HOME",
    "CARGO_HTTP_",
    "CARGO_MAKEFLAGS",
    "CARGO_NET_",
    "CARGO_REGISTR",
    "CARGO_SOURCE_",
    "CARGO_TERM_",
    "RUSTUP_HOME",
    "RUSTUP_TOOLCHAIN",
];

/// Why there is no component. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("{path} is not a Cargo package: it has no Cargo.toml")]
    NotAPackage { path: PathBuf },
    #[error("Rust cannot build for {TARGET} yet; type: rustup target add {TARGET}")]
    TargetMissing,
    #[error("{program} could not be started: {source}")]
    Program {
        program: String,
        #[source]
        source: io::Error,
    },
    #[error("cargo could not build {path}:\n{stderr}")]
    Cargo { path: PathBuf, stderr: String },
    #[error(
        "{path} has no cdylib, so it builds no module; \
         add crate-type = [\"cdylib\", \"rlib\"] under [lib] in its Cargo.toml"
    )]
    NoModule { path: PathBuf },
    #[error("{path} could not be read: {source}")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{path} is no plugin; does its lib.rs call stampcard_sdk::export!(…)? {reason}")]
    NotAPlugin { path: PathBuf, reason: String },
}

/// Builds the package in `package_dir` and returns it as a component.
///
/// `target_dir` is cargo's working directory for it. Inside a build script it must not be the
/// target directory of the outer build, which is locked; see [`shared_target_dir`].
pub fn component(
    package_dir: impl AsRef<Path>,
    target_dir: impl AsRef<Path>,
) -> Result<Vec<u8>, BuildError> {
    let package_dir = package_dir.as_ref();
    let module = module(package_dir, target_dir.as_ref())?;
    let bytes = fs::read(&module).map_err(|source| BuildError::Read {
        path: module,
        source,
    })?;
    encode(&bytes).map_err(|reason| BuildError::NotAPlugin {
        path: package_dir.to_owned(),
        reason,
    })
}

/// A target directory for plugins, beside the one that `inside` lies in. Whatever builds plugins
/// during one build of this workspace shares it, so that the SDK is compiled once: a build script
/// gives its `OUT_DIR`, a test its `CARGO_TARGET_TMPDIR`.
pub fn shared_target_dir(inside: impl AsRef<Path>) -> PathBuf {
    let inside = inside.as_ref();
    // Cargo marks the root of a target directory with this file, for backup programs.
    let root = inside
        .ancestors()
        .find(|folder| folder.join("CACHEDIR.TAG").is_file());
    root.unwrap_or(inside).join("plugins")
}

/// Turns a core module with the contract's descriptions inside into a component.
fn encode(module: &[u8]) -> Result<Vec<u8>, String> {
    let component = ComponentEncoder::default()
        .validate(true)
        .module(module)
        .and_then(|encoder| encoder.encode());
    // The alternate form prints the chain of causes in one line.
    let component = component.map_err(|error| format!("{error:#}"))?;
    match exports_a_rule(&component) {
        true => Ok(component),
        false => Err("it exports no rule".into()),
    }
}

/// Any module can be encoded; only the export macro makes a plugin of it.
fn exports_a_rule(component: &[u8]) -> bool {
    let Ok(DecodedWasm::Component(resolve, world)) = wit_component::decode(component) else {
        return false;
    };
    let exports = resolve.worlds[world].exports.keys();
    exports
        .map(|key| resolve.name_world_key(key))
        .any(|name| name.starts_with("stampcard:plugin/lifecycle@"))
}

/// Runs cargo and returns the path of the core module that it built.
fn module(package_dir: &Path, target_dir: &Path) -> Result<PathBuf, BuildError> {
    let manifest = package_dir.join("Cargo.toml");
    if !manifest.is_file() {
        return Err(BuildError::NotAPackage {
            path: package_dir.to_owned(),
        });
    }
    target_installed(package_dir)?;

    let mut cargo = clean(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .args(["build", "--lib", "--profile", "plugin", "--target", TARGET])
        .args(["--message-format", "json-render-diagnostics"])
        .arg("--manifest-path")
        .arg(&manifest)
        .arg("--target-dir")
        .arg(target_dir)
        .env("CARGO_ENCODED_RUSTFLAGS", rustflags());
    for setting in PROFILE {
        cargo.args(["--config", setting]);
    }
    let built = run(&mut cargo)?;
    if !built.status.success() {
        return Err(BuildError::Cargo {
            path: package_dir.to_owned(),
            stderr: String::from_utf8_lossy(&built.stderr).into_owned(),
        });
    }
    let manifest = fs::canonicalize(&manifest).map_err(|source| BuildError::Read {
        path: manifest,
        source,
    })?;
    module_among(&built.stdout, &manifest).ok_or_else(|| BuildError::NoModule {
        path: package_dir.to_owned(),
    })
}

/// Finds the module of this package in what cargo reports, one JSON object in each line.
fn module_among(messages: &[u8], manifest: &Path) -> Option<PathBuf> {
    let artifacts = messages
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice::<serde_json::Value>(line).ok());
    for artifact in artifacts {
        let ours = artifact["reason"] == "compiler-artifact"
            && artifact["manifest_path"].as_str().map(Path::new) == Some(manifest);
        let files = artifact["filenames"].as_array().filter(|_| ours);
        let module = files.into_iter().flatten().find_map(|file| {
            let path = Path::new(file.as_str()?);
            path.extension()?.eq("wasm").then(|| path.to_owned())
        });
        if module.is_some() {
            return module;
        }
    }
    None
}

fn target_installed(package_dir: &Path) -> Result<(), BuildError> {
    let mut rustc = clean("rustc".into());
    rustc
        .args(["--print", "target-libdir", "--target", TARGET])
        .current_dir(package_dir);
    let printed = run(&mut rustc)?;
    let libdir = String::from_utf8_lossy(&printed.stdout);
    match Path::new(libdir.trim()).is_dir() {
        true => Ok(()),
        false => Err(BuildError::TargetMissing),
    }
}

/// The linker's settings, and no path of this machine in the messages of panics.
fn rustflags() -> OsString {
    let mut flags = OsString::from(format!("-Clink-arg=-zstack-size={STACK_BYTES}"));
    let cargo_home = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(env::home_dir()?.join(".cargo")));
    if let Some(home) = cargo_home {
        flags.push("\x1f--remap-path-prefix=");
        flags.push(home);
        flags.push("=cargo");
    }
    flags
}

/// A command that knows nothing of the build that it may run inside of.
fn clean(program: OsString) -> Command {
    let mut command = Command::new(program);
    for (name, _) in env::vars_os() {
        if leaks(&name.to_string_lossy()) {
            command.env_remove(&name);
        }
    }
    command
}

/// True for a variable that would carry the settings of another build into this one.
fn leaks(name: &str) -> bool {
    let rust = name.starts_with("CARGO_") || name.starts_with("RUST");
    rust && !KEPT.iter().any(|kept| name.starts_with(kept))
}

fn run(command: &mut Command) -> Result<std::process::Output, BuildError> {
    command
        .stdin(Stdio::null())
        .output()
        .map_err(|source| BuildError::Program {
            program: command.get_program().to_string_lossy().into_owned(),
            source,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_settings_of_another_build_are_left_out() {
        for (name, left_out) in [
            ("CARGO_ENCODED_RUSTFLAGS", true),
            ("CARGO_TARGET_DIR", true),
            ("CARGO_BUILD_TARGET", true),
            ("CARGO_PROFILE_RELEASE_LTO", true),
            ("CARGO_PKG_NAME", true),
            ("CARGO_MANIFEST_DIR", true),
            ("RUSTFLAGS", true),
            ("RUSTC_WRAPPER", true),
            ("RUSTC", true),
            ("CARGO_HOME", false),
            ("CARGO_NET_OFFLINE", false),
            ("CARGO_HTTP_PROXY", false),
            ("CARGO_REGISTRIES_OURS_INDEX", false),
            ("CARGO_MAKEFLAGS", false),
            ("RUSTUP_TOOLCHAIN", false),
            ("PATH", false),
            ("CARGO", false),
        ] {
            assert_eq!(leaks(name), left_out, "{name}");
        }
    }

    #[test]
    fn plugins_are_built_beside_the_target_directory_that_asks() {
        let root = env::temp_dir().join(format!("stampcard-build-{}", std::process::id()));
        let out = root.join("release/build/server-0/out");
        fs::create_dir_all(&out).unwrap();
        assert_eq!(shared_target_dir(&out), out.join("plugins"));
        fs::write(root.join("CACHEDIR.TAG"), "").unwrap();
        assert_eq!(shared_target_dir(&out), root.join("plugins"));
        fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn the_module_is_the_one_of_the_package_and_not_of_a_dependency() {
        let line = |manifest: &str, file: &str| {
            serde_json::json!({
                "reason": "compiler-artifact",
                "manifest_path": manifest,
                "filenames": [file],
            })
            .to_string()
        };
        let messages = [
            line("/other/Cargo.toml", "/t/other.wasm"),
            line("/ours/Cargo.toml", "/t/libours.rlib"),
            "not json".into(),
            line("/ours/Cargo.toml", "/t/ours.wasm"),
        ]
        .join("\n");
        let module = |manifest: &str| module_among(messages.as_bytes(), Path::new(manifest));
        assert_eq!(module("/ours/Cargo.toml"), Some("/t/ours.wasm".into()));
        assert_eq!(module("/nobody/Cargo.toml"), None);
    }
}
