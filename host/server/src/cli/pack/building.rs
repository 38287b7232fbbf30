//! `stampcard pack new` and `build`: from the projects of plugins to one file.

use super::super::plugin::building::{build_if_stale, put};
use super::super::plugin::project::{NoProject, Project, candidate, manifest_of, read, text};
use super::super::{End, Run, say, say_json};
use crate::packs::{
    ABOUT, About, AboutError, COMPONENT_ENDING, Contents, MANIFEST_ENDING, Pack, is_name,
};
use crate::table::number;
use clap::Args;
use serde_json::json;
use stampcard_runtime::manifest::schema_file_of;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

/// Make the folder of a pack: what it is, and which plugins it has.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  stampcard pack new coffee-house extra-coffee double-weekend\n  stampcard pack new coffee-house"
)]
pub struct New {
    /// The folder; its name is the pack's.
    name: PathBuf,
    /// The folders of its plugins' projects. More can be written into pack.toml.
    plugins: Vec<PathBuf>,
    #[arg(long)]
    json: bool,
}

/// Make one file of a pack's folder. Plugins whose source has changed are built first.
///
/// The same components make the same bytes. The file is not signed yet.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  stampcard pack build coffee-house\n  stampcard pack build coffee-house -o coffee-house-1.0.0.pack --json"
)]
pub struct Build {
    /// The pack's folder.
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// The file; NAME-VERSION.pack if it is not said.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[arg(long)]
    json: bool,
}

/// Why there is no pack.
#[derive(Debug, thiserror::Error)]
enum NotPacked {
    #[error(
        "`{0}` is no name for a pack; it has small letters, digits and `-`, begins with a letter, and has at most 64 of them"
    )]
    Name(String),
    #[error("{} is there already; a new pack needs a folder of its own", .0.display())]
    IsThere(PathBuf),
    #[error("{} is the folder of no pack: it has no {ABOUT}; `stampcard pack new NAME` makes one", .0.display())]
    NoAbout(PathBuf),
    #[error("{}: {error}", .path.display())]
    About {
        path: PathBuf,
        #[source]
        error: AboutError,
    },
    #[error(
        "two plugins name their schema {file}, and each has its own; name each schema after its plugin"
    )]
    SameSchema { file: String },
    #[error("{} cannot be written: {source}", .path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

impl New {
    pub fn run(self) -> Run {
        let name = self.name.file_name().unwrap_or_default().to_string_lossy();
        if !is_name(&name) {
            return Err(NotPacked::Name(name.into_owned()).into());
        }
        if self.name.exists() {
            return Err(NotPacked::IsThere(self.name).into());
        }
        let mut plugins = Vec::with_capacity(self.plugins.len());
        for plugin in &self.plugins {
            // One that is no project is told before anything is written.
            manifest_of(plugin)?;
            plugins.push(seen_from(&self.name, plugin).display().to_string());
        }
        let failed = |source| NotPacked::Write {
            path: self.name.clone(),
            source,
        };
        fs::create_dir_all(&self.name).map_err(failed)?;
        let plugins = serde_json::to_string(&plugins)?;
        let about = include_str!("template.toml")
            .replace("{{name}}", &name)
            .replace("\"{{plugins}}\"", &plugins);
        fs::write(self.name.join(ABOUT), about).map_err(failed)?;
        let readme = include_str!("template.md").replace("{{name}}", &name);
        fs::write(self.name.join("README.md"), readme).map_err(failed)?;
        if self.json {
            say_json(&json!({ "name": name, "dir": self.name, "files": [ABOUT, "README.md"] }))?;
        } else {
            say(format_args!(
                "{0} is made. What comes next:\n\n  say in {0}/{ABOUT} what it is and which plugins it has\n  stampcard pack build {0}",
                self.name.display()
            ))?;
        }
        Ok(End::Done)
    }
}

/// A path that was given from here, as a folder has it that was given from here, too.
fn seen_from(folder: &Path, path: &Path) -> PathBuf {
    if path.is_absolute() || folder.is_absolute() {
        return fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    }
    let up = folder.components().map(|_| "..");
    up.collect::<PathBuf>().join(path)
}

impl Build {
    pub fn run(self) -> Run {
        let pack = gather(&self.dir)?;
        let named = format!("{}-{}.pack", pack.about.name, pack.about.version);
        let file = self.output.unwrap_or_else(|| PathBuf::from(named));
        let bytes = pack.bytes();
        put(&file, &bytes)?;
        if self.json {
            say_json(&json!({
                "name": pack.about.name, "version": pack.about.version.to_string(), "file": file,
                "bytes": bytes.len(), "digest": pack.digest(), "plugins": pack.about.plugins,
            }))?;
        } else {
            say(format_args!(
                "{} has {} bytes: {} {} with {}\ndigest {}\nIt is not signed: stampcard pack sign {0} --key KEY",
                file.display(),
                number(bytes.len() as i64),
                pack.about.name,
                pack.about.version,
                pack.about.plugins.join(", "),
                pack.digest(),
            ))?;
        }
        Ok(End::Done)
    }
}

/// Everything of a pack's folder, with its plugins built.
fn gather(dir: &Path) -> Result<Pack, Box<dyn Error>> {
    let path = dir.join(ABOUT);
    if !path.is_file() {
        return Err(NotPacked::NoAbout(dir.into()).into());
    }
    let about = About::read(&text(&path)?);
    // Here `plugins` are folders, and in the pack they are names.
    let mut about = about.map_err(|error| NotPacked::About {
        path: path.clone(),
        error,
    })?;
    let mut contents = Contents::default();
    let folders = std::mem::take(&mut about.plugins);
    for folder in &folders {
        let folder = dir.join(folder);
        let name = manifest_of(&folder)?;
        build(&folder, &name)?;
        add_plugin(&mut contents, &folder, &name)?;
        about.plugins.push(name);
    }
    for path in files_of(dir)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_for_people = ["README.md", "LICENSE", "LICENCE", "NOTICE"];
        if is_for_people.iter().any(|it| name.starts_with(it)) {
            contents.add(&name, read(&path)?)?;
        }
    }
    contents.add(ABOUT, about.text().into_bytes())?;
    Ok(Pack::of(contents, None)?)
}

/// Builds a project; a folder with a component and no source has it already.
fn build(folder: &Path, name: &str) -> Result<(), Box<dyn Error>> {
    let is_built = || folder.join(format!("{name}{COMPONENT_ENDING}")).is_file();
    match Project::at(folder) {
        Ok(project) => build_if_stale(&project),
        Err(error) => match error.downcast_ref() {
            Some(NoProject::NoSource { .. }) if is_built() => Ok(()),
            _ => Err(error),
        },
    }
}

fn add_plugin(contents: &mut Contents, folder: &Path, name: &str) -> Result<(), Box<dyn Error>> {
    let candidate = candidate(folder, name)?;
    if let (Some(file), Some(schema)) = (schema_file_of(&candidate.file), &candidate.schema) {
        let path = format!("plugins/{file}");
        match contents.get(&path) {
            None => contents.add(&path, schema.clone().into_bytes())?,
            Some(other) if other == schema.as_bytes() => {}
            Some(_) => return Err(NotPacked::SameSchema { file }.into()),
        }
    }
    let manifest = format!("plugins/{name}{MANIFEST_ENDING}");
    contents.add(&manifest, candidate.file.into_bytes())?;
    let component = format!("plugins/{name}{COMPONENT_ENDING}");
    contents.add(&component, candidate.component.unwrap_or_default())?;
    for path in files_of(&folder.join("cases"))? {
        if path.extension().is_some_and(|ending| ending == "json") {
            let file = path.file_name().unwrap_or_default().to_string_lossy();
            contents.add(&format!("cases/{name}/{file}"), read(&path)?)?;
        }
    }
    Ok(())
}

/// The files in a folder, in the order of their names; none if it is not there.
fn files_of(dir: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    if !dir.is_dir() {
        return Ok(Vec::new());
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_file() && !name.starts_with('.') {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
