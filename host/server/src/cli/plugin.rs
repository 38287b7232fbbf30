//! `stampcard plugin`: what a component is, and how a shop's plugins are.

use super::{End, Run, say, say_json};
use crate::config::Folder;
use crate::pack;
use crate::table::{Side, number, table};
use clap::{Args, Subcommand};
use serde::Serialize;
use stampcard_pipeline::rules::Rules;
use stampcard_runtime::{Engine, Inspection, RuleBook, inspect};
use std::path::PathBuf;

/// Look at plugins.
#[derive(Subcommand)]
pub enum Plugin {
    List(List),
    Inspect(Inspect),
}

/// List the plugins of a shop's folder as they would be loaded now, and what cannot be and why.
///
/// It may run while the shop is open. Exit code 1 if one cannot be loaded.
#[derive(Args)]
#[command(after_help = "Example:\n  stampcard plugin list shop")]
pub struct List {
    /// The shop's folder.
    dir: PathBuf,
    #[arg(long)]
    json: bool,
}

/// Say what a component is: its roles, its contract, its imports and which of them are refused.
///
/// Nothing of it is run. Exit code 1 if a shop could not load it.
#[derive(Args)]
#[command(after_help = "Example:\n  stampcard plugin inspect double-weekend.wasm --json")]
pub struct Inspect {
    /// The component.
    file: PathBuf,
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Listed {
    plugins: Vec<Entry>,
    not_loaded: Vec<Problem>,
}

#[derive(Serialize)]
struct Entry {
    name: String,
    version: String,
    roles: Vec<&'static str>,
    digest: String,
    configuration: String,
    events: Vec<String>,
    owns: Vec<String>,
}

#[derive(Serialize)]
struct Problem {
    name: String,
    reason: String,
}

#[derive(Debug, thiserror::Error)]
#[error("{} cannot be read: {source}", .path.display())]
struct ReadError {
    path: PathBuf,
    #[source]
    source: std::io::Error,
}

impl Plugin {
    pub fn run(self) -> Run {
        crate::log::start_quiet()?;
        match self {
            Plugin::List(list) => list.run(),
            Plugin::Inspect(inspect) => inspect.run(),
        }
    }
}

impl List {
    fn run(self) -> Run {
        let folder = Folder::at(&self.dir);
        let shop = folder.shop()?;
        let engine = Engine::new(&folder.cache()?)?;
        let book = RuleBook::load(&engine, &shop, folder.candidates()?, &pack::packs(), None);
        let plugins = book.plugins().iter().map(|plugin| {
            let owned = [&plugin.segments, &plugin.tiers, &plugin.tags];
            Entry {
                name: plugin.name.clone(),
                version: plugin.version.clone(),
                roles: plugin.roles.iter().map(|role| role.name()).collect(),
                digest: plugin.digest.clone(),
                configuration: plugin.configuration.clone(),
                events: plugin.events.clone(),
                owns: owned
                    .into_iter()
                    .flatten()
                    .map(|(key, _)| key.clone())
                    .collect(),
            }
        });
        let not_loaded = book.not_loaded().iter().map(|failure| Problem {
            name: failure.name.clone(),
            reason: failure.reason.to_string(),
        });
        let listed = Listed {
            plugins: plugins.collect(),
            not_loaded: not_loaded.collect(),
        };
        if self.json {
            say_json(&listed)?
        } else {
            say(tell(&listed))?
        }
        Ok(if listed.not_loaded.is_empty() {
            End::Done
        } else {
            End::Attention
        })
    }
}

fn tell(listed: &Listed) -> String {
    let row = |plugin: &Entry| {
        let digest = plugin.digest.get(..19).unwrap_or(&plugin.digest).to_owned();
        vec![
            plugin.name.clone(),
            plugin.version.clone(),
            plugin.roles.join(", "),
            digest,
            plugin.owns.join(", "),
        ]
    };
    let heads = ["plugin", "version", "roles", "digest", "owns"].map(|head| (head, Side::Left));
    let mut told = table(&heads, &listed.plugins.iter().map(row).collect::<Vec<_>>());
    for problem in &listed.not_loaded {
        told.push_str(&format!(
            "\n\nNot loaded: {}: {}",
            problem.name, problem.reason
        ));
    }
    told
}

impl Inspect {
    fn run(self) -> Run {
        let bytes = std::fs::read(&self.file).map_err(|source| ReadError {
            path: self.file.clone(),
            source,
        })?;
        let inspection = match inspect(&bytes) {
            Ok(inspection) => inspection,
            Err(error) => {
                if self.json {
                    say_json(&serde_json::json!({ "refused": error.to_string() }))?;
                } else {
                    eprintln!("stampcard: {}: {error}", self.file.display());
                }
                return Ok(End::Attention);
            }
        };
        let fits = !inspection.roles.is_empty()
            && inspection
                .imports
                .iter()
                .all(|import| import.refused.is_none());
        if self.json {
            say_json(&inspection)?
        } else {
            say(describe(&inspection))?
        }
        Ok(if fits { End::Done } else { End::Attention })
    }
}

fn describe(inspection: &Inspection) -> String {
    let roles: Vec<&str> = inspection.roles.iter().map(|role| role.name()).collect();
    let or_none = |words: String| {
        if words.is_empty() {
            "none".into()
        } else {
            words
        }
    };
    let mut told = format!(
        "digest    {}\nsize      {} bytes\ncontract  {}\nroles     {}",
        inspection.digest,
        number(inspection.bytes as i64),
        inspection.contract.as_deref().unwrap_or("none"),
        or_none(roles.join(", ")),
    );
    for import in &inspection.imports {
        told.push_str(&format!("\nimport    {}", import.name));
        if let Some(reason) = &import.refused {
            told.push_str(&format!("  REFUSED: {reason}"));
        }
    }
    told
}
