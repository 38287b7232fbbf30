//! `stampcard plugin install`, `rollback` and `apply`: what is live changes by order.

use super::super::{End, Run, say, say_json};
use super::building::{NotBuilt, build_if_stale};
use super::project::{Project, read, text};
use crate::config::Folder;
use crate::orders::{self, Order, Source};
use crate::sources::{self, Sources, is_source};
use crate::table::{Side, number, table};
use clap::Args;
use serde_json::Value;
use stampcard_runtime::Candidate;
use std::borrow::Cow;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

/// Bring a plugin live, in the place of its earlier version if there is one.
///
/// FILE.toml beside it is its manifest; a source, FILE.js or FILE.ts, is built first, and may say its
/// manifest itself. It is loaded and configured first; if it cannot be, nothing
/// changes. The shop may be open: the next event has it. The shop's folder stays as it is.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  stampcard plugin install shop double-weekend.wasm --reason 'the spring sale'\n  stampcard plugin install shop double-weekend.wasm --config spring.toml --json\n  stampcard plugin install shop double-weekend.wasm --preview\n  stampcard plugin install shop double-weekend.js\n  stampcard plugin install ../shop"
)]
pub struct Install {
    /// The shop's folder.
    dir: PathBuf,
    /// The component, or a source in one file; its manifest is the file beside it that ends in .toml. The
    /// one of the project in this folder if none is named.
    file: Option<PathBuf>,
    /// Its configuration, as TOML or JSON, instead of [config] in the manifest.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Why, for whoever reads the history.
    #[arg(long, default_value = "")]
    reason: String,
    /// Only tell what it would do to the customers there are.
    #[arg(long, conflicts_with = "reason")]
    preview: bool,
    #[arg(long)]
    json: bool,
}

/// Bring back the version of a plugin that was live before this one.
///
/// The shop may be open. The shop's folder stays as it is: its file is not taken again until it
/// changes.
#[derive(Args)]
#[command(
    after_help = "Example:\n  stampcard plugin rollback shop double-weekend --reason 'it doubled refunds'"
)]
pub struct Rollback {
    /// The shop's folder.
    dir: PathBuf,
    /// The plugin.
    name: String,
    /// Why, for whoever reads the history.
    #[arg(long, default_value = "")]
    reason: String,
    #[arg(long)]
    json: bool,
}

/// Let a quarantined plugin be called again as it is, and ask again for what it missed; or let one
/// keep its instances again that was found to remember.
///
/// The shop may be open. A plugin that is mended is released by installing it.
#[derive(Args)]
#[command(
    after_help = "Example:\n  stampcard plugin release shop double-weekend --reason 'the till sends what it needs again'"
)]
pub struct Release {
    /// The shop's folder.
    dir: PathBuf,
    /// The plugin.
    name: String,
    /// Why, for whoever reads the history.
    #[arg(long, default_value = "")]
    reason: String,
    #[arg(long)]
    json: bool,
}

/// Take what is new in the shop's folder. With `reload = "apply"` nothing is taken before.
///
/// Exit code 1 if something could not be taken.
#[derive(Args)]
#[command(after_help = "Example:\n  stampcard plugin apply shop")]
pub struct Apply {
    /// The shop's folder.
    dir: PathBuf,
    #[arg(long)]
    json: bool,
}

#[derive(Debug, thiserror::Error)]
enum BadFile {
    #[error("{} is not TOML: {problem}", .path.display())]
    NotToml { path: PathBuf, problem: String },
    #[error("{} is not JSON: {problem}", .path.display())]
    NotJson { path: PathBuf, problem: String },
    #[error("{} has no `name`; a manifest begins with name, version and roles", .path.display())]
    NoName { path: PathBuf },
}

impl Install {
    pub fn run(self) -> Run {
        let given = match self.file {
            Some(file) => file,
            None => {
                let project = Project::at(Path::new("."))?;
                build_if_stale(&project)?;
                project.component()
            }
        };
        let folder = Folder::of_one(&self.dir)?;
        let manifest_path = given.with_extension("toml");
        // A source may say all of it itself.
        let is_alone = is_source(&given) && !manifest_path.exists();
        // As it is written, unless something in it is replaced.
        let (mut manifest, mut file) = match is_alone {
            true => Default::default(),
            false => (read_table(&manifest_path)?, text(&manifest_path)?),
        };
        if let Some(path) = &self.config {
            manifest.insert("config".into(), configuration(path)?);
            file = manifest.to_string();
        }
        let named = manifest.get("name").and_then(toml::Value::as_str);
        let stem = given.file_stem().map(|stem| stem.to_string_lossy());
        let named = match is_source(&given) {
            true => named.map(str::to_owned).or(stem.map(Cow::into_owned)),
            false => named.map(str::to_owned),
        };
        let name = named.ok_or_else(|| BadFile::NoName {
            path: manifest_path.clone(),
        })?;
        let schema = manifest
            .get("configuration")
            .and_then(toml::Value::as_str)
            .map(|file| text(&manifest_path.with_file_name(file)))
            .transpose()?;
        let (component, source) = match is_source(&given) {
            true => {
                let (built, source) = of_source(&folder, &given, &name, &file)?;
                file = built.file;
                (built.component.unwrap_or_default(), Some(source))
            }
            false => (read(&given)?, None),
        };
        if self.preview {
            let order = Order::Preview { name, file, schema };
            let foreseen = orders::give(&folder, &order, Some(component))?;
            if self.json {
                say_json(&foreseen)?;
            } else {
                say(foresee(&foreseen))?;
            }
            return Ok(End::Done);
        }
        let order = Order::Install {
            name,
            file,
            schema,
            source,
            actor: login(),
            reason: self.reason,
        };
        let done = orders::give(&folder, &order, Some(component))?;
        tell(&done, self.json)
    }
}

/// A source as the shop would take it from its folder: built, with the manifest that it comes to.
fn of_source(
    folder: &Folder,
    path: &Path,
    name: &str,
    beside: &str,
) -> Result<(Candidate, Source), Box<dyn Error>> {
    let cache = folder.cache()?;
    fs::create_dir_all(&cache)?;
    let source = sources::read(path, beside)?;
    let candidate = Candidate {
        name: name.into(),
        file: beside.into(),
        component: None,
        schema: None,
        was_live: false,
        source: Some(source.clone()),
    };
    let built = Sources::new(&cache).whole(candidate, None)?;
    if let Some(problem) = built.source.as_ref().and_then(|it| it.problem.clone()) {
        return Err(NotBuilt::Source(problem).into());
    }
    let source = Source {
        file: source.file,
        // It was built, so it is text.
        text: String::from_utf8_lossy(&source.text).into_owned(),
        beside: beside.into(),
    };
    Ok((built, source))
}

impl Rollback {
    pub fn run(self) -> Run {
        let order = Order::Rollback {
            name: self.name,
            actor: login(),
            reason: self.reason,
        };
        let done = orders::give(&Folder::of_one(&self.dir)?, &order, None)?;
        tell(&done, self.json)
    }
}

impl Release {
    pub fn run(self) -> Run {
        let order = Order::Release {
            name: self.name,
            actor: login(),
            reason: self.reason,
        };
        let done = orders::give(&Folder::of_one(&self.dir)?, &order, None)?;
        tell(&done, self.json)
    }
}

/// What an install would do, for people.
fn foresee(foreseen: &Value) -> String {
    let of = |field: &str| foreseen[field].as_i64().unwrap_or_default();
    let looked_at = of("looked_at");
    if looked_at == 0 {
        return "It is for the events that come: no customer would be asked again.".into();
    }
    let share = |count: i64| {
        vec![
            number(count),
            format!(
                "{}.{} %",
                count * 100 / looked_at,
                count * 1_000 / looked_at % 10
            ),
        ]
    };
    let mut rows = Vec::new();
    let mut row = |what: String, count: i64| rows.push([vec![what], share(count)].concat());
    row("anything would change".into(), of("changed"));
    for (field, verb) in [("entered", "would enter"), ("left", "would leave")] {
        for (segment, count) in foreseen[field].as_object().into_iter().flatten() {
            row(
                format!("{verb} {segment}"),
                count.as_i64().unwrap_or_default(),
            );
        }
    }
    for tier in foreseen["tiers"].as_array().into_iter().flatten() {
        let name = |side: &str| tier[side].as_str().unwrap_or("no tier").to_owned();
        let count = tier["customers"].as_i64().unwrap_or_default();
        row(
            format!("would go from {} to {}", name("from"), name("to")),
            count,
        );
    }
    row("the plugin would fail".into(), of("failed"));
    let heads = [
        ("of those looked at", Side::Left),
        ("customers", Side::Right),
        ("share", Side::Right),
    ];
    format!(
        "{} customers would be asked again; {} of them were looked at, and nothing was kept.\n\n{}\n\npoints {}, messages planned {}",
        number(of("customers")),
        number(looked_at),
        table(&heads, &rows),
        number(of("points")),
        number(of("follow_ups")),
    )
}

impl Apply {
    pub fn run(self) -> Run {
        let done = orders::give(&Folder::of_one(&self.dir)?, &Order::Apply, None)?;
        let problems = done["problems"].as_array().map_or(&[][..], Vec::as_slice);
        if self.json {
            say_json(&done)?;
        } else {
            let news = if done["is_new"] == true {
                "is live now"
            } else {
                "is live, as before"
            };
            say(format_args!("rule book {} {news}", done["revision"]))?;
            for problem in problems.iter().filter_map(Value::as_str) {
                say(format_args!("not taken: {problem}"))?;
            }
        }
        Ok(if problems.is_empty() {
            End::Done
        } else {
            End::Attention
        })
    }
}

fn tell(done: &Value, json: bool) -> Run {
    if json {
        say_json(done)?;
    } else {
        let text = |field: &str| done[field].as_str().unwrap_or_default().to_owned();
        say(format_args!(
            "{} {} is {} with rule book {}",
            text("name"),
            text("version"),
            text("state"),
            done["revision"]
        ))?;
    }
    Ok(End::Done)
}

/// Who sits at this machine, for the history.
pub fn login() -> String {
    ["SUDO_USER", "LOGNAME", "USER"]
        .into_iter()
        .find_map(|variable| std::env::var(variable).ok())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "somebody at this machine".into())
}

fn read_table(path: &Path) -> Result<toml::Table, Box<dyn std::error::Error>> {
    let parsed = text(path)?.parse();
    Ok(parsed.map_err(|error: toml::de::Error| BadFile::NotToml {
        path: path.into(),
        problem: error.to_string(),
    })?)
}

/// A configuration by itself, or the `[config]` of a file like those in the shop's folder.
fn configuration(path: &Path) -> Result<toml::Value, Box<dyn std::error::Error>> {
    if path.extension().is_some_and(|ending| ending == "json") {
        let bad = |error: serde_json::Error| BadFile::NotJson {
            path: path.into(),
            problem: error.to_string(),
        };
        return Ok(serde_json::from_str::<toml::Value>(&text(path)?).map_err(bad)?);
    }
    let mut file = read_table(path)?;
    Ok(file.remove("config").unwrap_or(toml::Value::Table(file)))
}
