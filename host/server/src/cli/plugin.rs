//! `stampcard plugin`: writing one, from a new project to one that is live, and how a shop's plugins
//! are.

mod bench;
pub mod building;
mod cases;
mod inspect;
pub mod install;
mod new;
pub mod project;
mod run;
mod watch;

use super::{End, Run, say, say_json};
use crate::config::Folder;
use crate::merchant::{provenance, source, when_opened};
use crate::orders::{self, Order};
use crate::pack;
use crate::sources::Sources;
use crate::table::{Side, table};
use clap::{Args, Subcommand};
use serde_json::Value;
use stampcard_runtime::{Engine, RuleBook};
use stampcard_store::{OpenError, Reads};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Write plugins, test them, bring them live, look at them.
#[derive(Subcommand)]
pub enum Plugin {
    New(new::New),
    Build(building::Build),
    Test(cases::Test),
    Bench(bench::Bench),
    Run(run::RunEvents),
    Watch(watch::Watch),
    Inspect(inspect::Inspect),
    List(List),
    Install(install::Install),
    Rollback(install::Rollback),
    Release(install::Release),
    Apply(install::Apply),
}

/// List the plugins of a shop: what is live, how it does, and what could not be loaded and why.
///
/// Of a shop that is open it tells what the server has live; of one that is closed, what it would have
/// if it were opened. Exit code 1 if one cannot be loaded, is quarantined, or was found to remember what
/// it was asked before.
#[derive(Args)]
#[command(after_help = "Example:\n  stampcard plugin list shop")]
pub struct List {
    /// The shop's folder.
    dir: PathBuf,
    /// A list of objects.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, thiserror::Error)]
#[error("{} cannot be read: {source}", .path.display())]
pub struct ReadError {
    path: PathBuf,
    #[source]
    source: std::io::Error,
}

impl Plugin {
    pub fn run(self) -> Run {
        // Whoever sends events to a plugin reads what it says; a case that fails shows it beside its
        // name.
        let level = match self {
            Plugin::Run(_) => "warn,plugin=debug",
            Plugin::Test(_) | Plugin::Bench(_) | Plugin::Watch(_) => "warn,plugin=off",
            _ => "warn",
        };
        crate::log::start_at(level)?;
        match self {
            Plugin::New(new) => new.run(),
            Plugin::Build(build) => build.run(),
            Plugin::Test(test) => test.run(),
            Plugin::Bench(bench) => bench.run(),
            Plugin::Run(run) => run.run(),
            Plugin::Watch(watch) => watch.run(),
            Plugin::Inspect(inspect) => inspect.run(),
            Plugin::List(list) => list.run(),
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
            of_closed(&folder)?
        };
        let plugins = listed.as_array().map_or(&[][..], Vec::as_slice);
        if self.json {
            say_json(&listed)?
        } else {
            say(tell(&self.dir, plugins))?
        }
        let is_well = |plugin: &Value| plugin["state"] == "live" && plugin["found_out"].is_null();
        Ok(if plugins.iter().all(is_well) {
            End::Done
        } else {
            End::Attention
        })
    }
}

/// Pages that are read of a closed shop, in KiB: its rule books have a few.
const PAGE_CACHE_KIB: u32 = 1 << 10;

/// What a closed shop would come to.
fn of_closed(folder: &Folder) -> Result<Value, Box<dyn std::error::Error>> {
    let shop = folder.shop()?;
    let cache = folder.cache()?;
    let engine = Engine::new(&cache)?;
    let sources = Sources::new(&cache);
    let load = |candidates| RuleBook::load(&engine, &shop, candidates, &pack::packs(), None);
    let reads = match Reads::open(&folder.database(), 1, PAGE_CACHE_KIB) {
        Ok(reads) => reads,
        // It has its folder alone, as far as can be read without changing anything.
        Err(OpenError::Missing { .. } | OpenError::NotMigrated { .. }) => {
            let unknown = |_: &str| orders::Seen::default();
            let candidates = folder.candidates()?.into_iter();
            let candidates = candidates.map(|it| sources.whole(it, None));
            let book = load(candidates.collect::<Result<_, _>>()?);
            return Ok(orders::listed(&book, None, unknown));
        }
        Err(error) => return Err(error.into()),
    };
    let last = reads.newest_rule_book()?;
    let mut book = load(when_opened(folder, &reads, &sources)?);
    if let Some(last) = &last {
        book = book.judged_as(&last.plugins);
    }
    let mut books = HashMap::new();
    for number in 1..=last.as_ref().map_or(0, |last| last.number) {
        books.extend(reads.rule_book(number)?.map(|book| (number, book)));
    }
    Ok(orders::listed(&book, None, |name| orders::Seen {
        provenance: last
            .as_deref()
            .and_then(|last| provenance(last, name, |number| books.get(&number).cloned())),
        source: last.as_deref().and_then(|last| source(last, name)),
        ..orders::Seen::default()
    }))
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
        if let Some(from) = plugin["from"].as_object() {
            told.push_str(&format!(
                "\n\n{name} came with the pack {} {}, {}",
                from["pack"].as_str().unwrap_or_default(),
                from["version"].as_str().unwrap_or_default(),
                match from["signer"].as_str() {
                    Some(signer) => format!("signed by {signer}"),
                    None => "which nobody signed".into(),
                }
            ));
        }
        if let Some(when) = plugin["found_out"].as_str() {
            told.push_str(&format!(
                "\n\n{name} remembers what it was asked before, so each of its calls has a fresh instance: {when}\n\
                 Install a mended version, or write `isolation = \"fresh\"`, or: stampcard plugin release {} {name}",
                dir.display()
            ));
        } else if plugin["isolation"] == "verified-reuse" {
            told.push_str(&format!(
                "\n\n{name} keeps its instances between calls; some of its answers are compared with those of a fresh one"
            ));
        }
        if let Some(source) = plugin["source"].as_str() {
            told.push_str(&format!("\n\n{name} is built from {source}"));
        }
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
