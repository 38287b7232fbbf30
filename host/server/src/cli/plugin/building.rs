//! `stampcard plugin build`: from an author's source to the component that shops load.
//!
//! Each language has its own builder. What is missing on the machine is told in one line, with how
//! to get it.

use super::super::{End, Run, say, say_json};
use super::project::{Language, Project, read};
use crate::builder;
use crate::table::number;
use clap::Args;
use serde::Serialize;
use stampcard_build::BuildError;
use stampcard_runtime::{ComponentError, Inspection, inspect};
use std::error::Error;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// Build a plugin's project into its component, NAME.wasm.
///
/// Exit code 2 if it cannot be built, with what the compiler said.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  stampcard plugin build\n  stampcard plugin build double-weekend --json"
)]
pub struct Build {
    /// The project.
    #[arg(default_value = ".")]
    dir: PathBuf,
    #[arg(long)]
    json: bool,
}

/// What was built.
#[derive(Serialize)]
pub struct Built {
    pub name: String,
    /// The component's file.
    pub component: PathBuf,
    pub digest: String,
    pub bytes: usize,
    pub seconds: f64,
}

/// Why there is no component.
#[derive(Debug, thiserror::Error)]
pub enum NotBuilt {
    #[error("cargo is not on this machine; get Rust at https://rustup.rs")]
    NoCargo,
    #[error(transparent)]
    Rust(BuildError),
    #[error("Node.js is not on this machine; get version 20 or later at https://nodejs.org")]
    NoNode,
    #[error(
        "the builder for JavaScript is not there yet; type: npm install --prefix {}; or lay stampcard-js beside stampcard, which needs no npm",
        .dir.display()
    )]
    NoPackages { dir: PathBuf },
    #[error(transparent)]
    Builder(builder::NotBuilt),
    #[error(
        "the builder for Python is not there yet; type: cd {} && python3 -m venv .venv && .venv/bin/pip install --requirement requirements.txt",
        .dir.display()
    )]
    NoComponentize { dir: PathBuf },
    #[error("{0}")]
    Source(String),
    #[error("{program} could not be started: {source}")]
    Program {
        program: &'static str,
        #[source]
        source: io::Error,
    },
    #[error("{} was built and is no plugin: {error}", .path.display())]
    Component {
        path: PathBuf,
        #[source]
        error: ComponentError,
    },
    #[error("{} cannot be written: {source}", .path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl Build {
    pub fn run(self) -> Run {
        let project = Project::at(&self.dir)?;
        let built = build(&project)?;
        if self.json {
            say_json(&built)?;
        } else {
            say(tell(&built))?;
        }
        Ok(End::Done)
    }
}

pub fn tell(built: &Built) -> String {
    format!(
        "{} has {} bytes, built in {:.1} s\ndigest {}",
        built.component.display(),
        number(built.bytes as i64),
        built.seconds,
        built.digest,
    )
}

/// Builds it, and puts the component beside the manifest in one step, so that whoever watches the
/// folder never sees a half of it.
pub fn build(project: &Project) -> Result<Built, Box<dyn Error>> {
    let began = Instant::now();
    let component = match project.language {
        Language::Rust => rust(project)?,
        Language::JavaScript | Language::TypeScript => javascript(project)?,
        Language::Python => python(project)?,
    };
    let path = project.component();
    let found: Inspection = inspect(&component).map_err(|error| NotBuilt::Component {
        path: path.clone(),
        error,
    })?;
    put(&path, &component)?;
    Ok(Built {
        name: project.name.clone(),
        component: path,
        digest: found.digest,
        bytes: found.bytes,
        seconds: began.elapsed().as_secs_f64(),
    })
}

/// Builds it if something that it is made of has changed. What is told goes to standard error.
pub fn build_if_stale(project: &Project) -> Result<(), Box<dyn Error>> {
    if project.is_stale() {
        let built = build(project)?;
        eprintln!("{}", tell(&built));
    }
    Ok(())
}

/// Writes a file that nobody sees before it is whole.
pub fn put(path: &Path, bytes: &[u8]) -> Result<(), NotBuilt> {
    let failed = |source| NotBuilt::Write {
        path: path.into(),
        source,
    };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let part = path.with_file_name(format!(".{name}.part"));
    fs::write(&part, bytes).map_err(failed)?;
    fs::rename(&part, path).map_err(failed)
}

fn rust(project: &Project) -> Result<Vec<u8>, NotBuilt> {
    // The first build compiles the SDK, which takes a while.
    eprintln!("building {} with cargo", project.name);
    let built = stampcard_build::component(&project.dir, project.dir.join("target"));
    built.map_err(|error| match error {
        BuildError::Program { source, .. } if source.kind() == io::ErrorKind::NotFound => {
            NotBuilt::NoCargo
        }
        error => NotBuilt::Rust(error),
    })
}

/// The SDK's builder for JavaScript and TypeScript, which npm brings into the project.
const BUILDER: &str = "node_modules/stampcard-sdk/build.mjs";

/// With what npm has installed, because that bundles packages and checks types, too; else with
/// `stampcard-js`.
fn javascript(project: &Project) -> Result<Vec<u8>, Box<dyn Error>> {
    let builder = project.dir.join(BUILDER);
    // The builder's own dependencies are installed together with it.
    let is_there = |package: &str| project.dir.join("node_modules").join(package).is_dir();
    if !builder.is_file() || !is_there("componentize-qjs") || !is_there("esbuild") {
        let dir = project.dir.clone();
        return without_npm(project, NotBuilt::NoPackages { dir });
    }
    let made = tempfile::Builder::new().suffix(".wasm").tempfile()?;
    let mut node = Command::new("node");
    node.arg(&builder)
        .arg(project.dir.join(project.language.source()))
        .arg("--roles")
        .arg(project.roles().join(","))
        .arg("--output")
        .arg(made.path())
        .stdin(Stdio::null());
    let ran = match node.output() {
        Ok(ran) => ran,
        Err(source) if source.kind() == io::ErrorKind::NotFound => {
            return without_npm(project, NotBuilt::NoNode);
        }
        Err(source) => {
            let program = "node";
            return Err(NotBuilt::Program { program, source }.into());
        }
    };
    let said = String::from_utf8_lossy(&ran.stderr);
    if !ran.status.success() {
        return Err(NotBuilt::Source(said.trim_end().to_owned()).into());
    }
    // What a bundler warns of is worth reading even where it builds.
    if !said.trim().is_empty() {
        eprintln!("{}", said.trim_end());
    }
    Ok(read(made.path())?)
}

/// With `stampcard-js`, if it is on this machine; `otherwise` says what else would do.
fn without_npm(project: &Project, otherwise: NotBuilt) -> Result<Vec<u8>, Box<dyn Error>> {
    if let Err(builder::NotBuilt::NoBuilder { .. }) = builder::path() {
        return Err(otherwise.into());
    }
    eprintln!("building {} with stampcard-js", project.name);
    let rule = project.dir.join(project.language.source());
    let room = tempfile::tempdir()?;
    let built = builder::build(&rule, &project.roles(), room.path());
    Ok(built.map_err(|error| match error {
        builder::NotBuilt::Source(said) => NotBuilt::Source(said),
        error => NotBuilt::Builder(error),
    })?)
}

/// The file from which the builder for Python begins.
const APP: &str = "import rule\nfrom stampcard_sdk.component import exported\n\n";

fn python(project: &Project) -> Result<Vec<u8>, Box<dyn Error>> {
    // An environment of the project's own goes before one of the machine's.
    let own = project.dir.join(".venv/bin/componentize-py");
    let program = match own.is_file() {
        true => fs::canonicalize(&project.dir)?.join(".venv/bin/componentize-py"),
        false => "componentize-py".into(),
    };
    let room = tempfile::tempdir()?;
    let wit = room.path().join("wit");
    fs::create_dir(&wit)?;
    let sdk = project.dir.join("sdk");
    for name in ["types.wit", "roles.wit"] {
        let text = read(&sdk.join("stampcard_sdk/wit").join(name))?;
        put(&wit.join(name), &text)?;
    }
    let roles = project.roles();
    let exports: String = roles.iter().map(|it| format!(" export {it};")).collect();
    let world = format!("world this-plugin {{ import log; export lifecycle;{exports} }}\n");
    put(&wit.join("plugin.wit"), world.as_bytes())?;
    let roles = serde_json::to_string(&roles)?;
    let app = format!("{APP}globals().update(exported(rule, {roles}))\n");
    put(&room.path().join("app.py"), app.as_bytes())?;
    let made = room.path().join("made.wasm");

    eprintln!("building {} with componentize-py", project.name);
    let mut componentize = Command::new(program);
    componentize
        .arg("--wit-path")
        .arg(&wit)
        .args(["--world", "this-plugin", "componentize", "app"])
        .arg("--python-path")
        .arg(room.path())
        .arg("--python-path")
        .arg(&project.dir)
        .arg("--python-path")
        .arg(&sdk)
        // It would import sockets, which no shop gives. What goes wrong is told by the SDK.
        .arg("--stub-wasi")
        .arg("--output")
        .arg(&made)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null());
    let ran = componentize
        .output()
        .map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => NotBuilt::NoComponentize {
                dir: project.dir.clone(),
            },
            _ => NotBuilt::Program {
                program: "componentize-py",
                source,
            },
        })?;
    if !ran.status.success() {
        let said = [ran.stdout, ran.stderr].concat();
        let said = String::from_utf8_lossy(&said).trim().to_owned();
        return Err(NotBuilt::Source(said).into());
    }
    Ok(read(&made)?)
}
