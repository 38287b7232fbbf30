//! `stampcard plugin`: what a component is, and how a shop's plugins are.

mod install;

use super::{End, Run, say, say_json};
use crate::config::Folder;
use crate::orders::{self, Order};
use crate::pack;
use crate::table::{Side, number, table};
use clap::{Args, Subcommand};
use serde_json::Value;
use stampcard_runtime::{Engine, Inspection, RuleBook, inspect};
use std::path::{Path, PathBuf};

/// Look at plugins.
#[derive(Subcommand)]
pub enum Plugin {
    List(List),
    Inspect(Inspect),
    Install(install::Install),
    Rollback(install::Rollback),
    Release(install::Release),
    Apply(install::Apply),
}

/// List the plugins of a shop: what is live, how it does, and what could not be loaded and why.
///
/// Of a shop that is open it tells what the server has live; of one that is closed, what its folder
/// would come to. Exit code 1 if one cannot be loaded or is quarantined.
#[derive(Args)]
#[command(after_help = "Example:\n  stampcard plugin list shop")]
pub struct List {
    /// The shop's folder.
    dir: PathBuf,
    /// A list of objects.
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
            Plugin::Install(install) => install.run(),
            Plugin::Rollback(rollback) => rollback.run(),
            Plugin::Release(release) => release.run(),
            Plugin::Apply(apply) => apply.run(),
        }
    }
}

impl List {
    fn run(self) -> Run {
        let folder = Folder::of_one(&self.dir)?;
        let listed = if stampcard_store::is_in_use(&folder.database()) {
            orders::give(&folder, &Order::List, None)?
        } else {
            of_folder(&folder)?
        };
        let plugins = listed.as_array().map_or(&[][..], Vec::as_slice);
        if self.json {
            say_json(&listed)?
        } else {
            say(tell(&self.dir, plugins))?
        }
        Ok(if plugins.iter().all(|plugin| plugin["state"] == "live") {
            End::Done
        } else {
            End::Attention
        })
    }
}

/// What the folder of a closed shop would come to.
fn of_folder(folder: &Folder) -> Result<Value, Box<dyn std::error::Error>> {
    let shop = folder.shop()?;
    let engine = Engine::new(&folder.cache()?)?;
    let book = RuleBook::load(&engine, &shop, folder.candidates()?, &pack::packs(), None);
    let unknown = |_: &str| orders::Seen::default();
    Ok(orders::listed(&book, None, unknown))
}

fn tell(dir: &Path, plugins: &[Value]) -> String {
    let text = |plugin: &Value, field: &str| plugin[field].as_str().unwrap_or("-").to_owned();
    let all = |plugin: &Value, field: &str| {
        let words = plugin[field].as_array().map_or(&[][..], Vec::as_slice);
        let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
        words.join(", ")
    };
    let live = plugins.iter().filter(|plugin| plugin["state"] != "refused");
    let row = |plugin: &Value| {
        vec![
            text(plugin, "name"),
            text(plugin, "version"),
            all(plugin, "roles"),
            text(plugin, "digest").chars().take(19).collect(),
            text(plugin, "health"),
            all(plugin, "owns"),
        ]
    };
    let heads =
        ["plugin", "version", "roles", "digest", "health", "owns"].map(|head| (head, Side::Left));
    let mut told = table(&heads, &live.map(row).collect::<Vec<_>>());
    for plugin in plugins {
        let name = text(plugin, "name");
        if plugin["state"] == "quarantined" {
            let why = text(plugin, "quarantine");
            told.push_str(&format!(
                "\n\n{name} is quarantined and is not called: {why}\nInstall a mended version, or: stampcard plugin release {} {name}",
                dir.display()
            ));
        } else if plugin["state"] != "live" {
            let why = text(&plugin["last_error"], "message");
            told.push_str(&format!("\n\nNot loaded: {name}: {why}"));
        } else if plugin["drift"] == true {
            told.push_str(&format!(
                "\n\n{name}: its files are not what is live, because another version was ordered; they are taken when they change"
            ));
        }
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
