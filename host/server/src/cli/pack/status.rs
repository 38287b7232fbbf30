//! `stampcard pack list` and `status`: which shop runs which version, and how it does there.

use super::super::{End, Run, say, say_json};
use crate::config::{ConfigError, Folder, Place};
use crate::orders::{self, Order, Seen};
use crate::table::{Side, table};
use clap::Args;
use serde_json::{Value, json};
use stampcard_store::{OpenError, Reads, is_in_use};
use std::error::Error;
use std::path::PathBuf;

/// List the packs of a shop: their versions, who signed them, their plugins and how they do.
///
/// Exit code 1 if one of their plugins fails, is quarantined or is not live as it came.
#[derive(Args)]
#[command(after_help = "Example:\n  stampcard pack list shop")]
pub struct List {
    /// The shop's folder.
    dir: PathBuf,
    /// A list of objects.
    #[arg(long)]
    json: bool,
}

/// Tell which shop of a folder of shops runs which version of which pack, and what fails.
///
/// Shops that are closed are told as they were; what fails is known of those that are open. Exit code
/// 1 if something fails, or a shop cannot be read.
#[derive(Args)]
#[command(after_help = "Example:\n  stampcard pack status shops --all")]
pub struct Status {
    /// The folder of a shop, or with --all a folder of shops.
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// All shops of the folder.
    #[arg(long)]
    all: bool,
    /// One pack.
    #[arg(long, value_name = "NAME")]
    pack: Option<String>,
    /// A list of objects.
    #[arg(long)]
    json: bool,
}

/// Pages that are read of a closed shop, in KiB: its rule book has a few.
const PAGE_CACHE_KIB: u32 = 1 << 10;

impl List {
    pub fn run(self) -> Run {
        let listed = packs_of(&Folder::of_one(&self.dir)?)?;
        let packs = listed.as_array().map_or(&[][..], Vec::as_slice);
        if self.json {
            say_json(&listed)?;
        } else if packs.is_empty() {
            say("the shop has no packs")?;
        } else {
            say(tell(packs))?;
        }
        Ok(end(packs.iter().all(is_well)))
    }
}

impl Status {
    pub fn run(self) -> Run {
        let folders = match Place::at(&self.dir)? {
            Place::Shops(shops) if self.all => shops.folders()?,
            // It says that there are several, and names one.
            _ => vec![Folder::of_one(&self.dir)?],
        };
        if folders.is_empty() {
            return Err(ConfigError::NotAShop {
                path: self.dir.join(crate::config::MERCHANT_FILE),
            }
            .into());
        }
        let mut shops = Vec::with_capacity(folders.len());
        for folder in &folders {
            shops.push(match packs_of(folder) {
                Ok(mut packs) => {
                    if let (Some(name), Some(packs)) = (&self.pack, packs.as_array_mut()) {
                        packs.retain(|pack| pack["name"] == name.as_str());
                    }
                    json!({ "shop": folder.name(), "packs": packs, "problem": null })
                }
                Err(error) => {
                    json!({ "shop": folder.name(), "packs": [], "problem": error.to_string() })
                }
            });
        }
        let is_well = |shop: &Value| {
            let mut packs = shop["packs"].as_array().into_iter().flatten();
            shop["problem"].is_null() && packs.all(is_well)
        };
        let end = end(shops.iter().all(is_well));
        if self.json {
            say_json(&shops)?;
        } else {
            say(tell_all(&shops))?;
        }
        Ok(end)
    }
}

fn end(is_well: bool) -> End {
    match is_well {
        true => End::Done,
        false => End::Attention,
    }
}

/// The packs of a shop, from the server that has it open or else from its file.
fn packs_of(folder: &Folder) -> Result<Value, Box<dyn Error>> {
    if is_in_use(&folder.database()) {
        return Ok(orders::give(folder, &Order::Packs, None)?);
    }
    let reads = match Reads::open(&folder.database(), 1, PAGE_CACHE_KIB) {
        Ok(reads) => reads,
        // It was never open, or not since packs are known.
        Err(OpenError::Missing { .. } | OpenError::NotMigrated { .. }) => {
            folder.shop()?;
            return Ok(json!([]));
        }
        Err(error) => return Err(error.into()),
    };
    let book = reads.newest_rule_book()?;
    let listed = book.map(|book| orders::packs(&book, |_| Seen::default()));
    Ok(listed.unwrap_or_else(|| json!([])))
}

/// Every plugin is live as it came, and does not fail.
fn is_well(pack: &Value) -> bool {
    let mut plugins = pack["plugins"].as_array().into_iter().flatten();
    plugins.all(|plugin| plugin["state"] == "live" && plugin["health"] != "failing")
}

fn row(pack: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let plugins = pack["plugins"].as_array().into_iter().flatten();
    let plugins = plugins.map(|plugin| {
        let name = text(&plugin["name"]);
        match (plugin["state"].as_str(), plugin["health"].as_str()) {
            (Some("live"), Some("failing")) => format!("{name} (failing)"),
            (Some("live"), _) => name,
            (state, _) => format!("{name} ({})", state.unwrap_or("-")),
        }
    });
    vec![
        text(&pack["name"]),
        text(&pack["version"]),
        pack["signer"]["name"].as_str().unwrap_or("nobody").into(),
        plugins.collect::<Vec<_>>().join(", "),
    ]
}

const HEADS: [&str; 4] = ["pack", "version", "signed by", "plugins"];

fn tell(packs: &[Value]) -> String {
    let rows: Vec<_> = packs.iter().map(row).collect();
    let mut told = table(&HEADS.map(|head| (head, Side::Left)), &rows);
    told.push_str(&failures(packs));
    told
}

fn failures(packs: &[Value]) -> String {
    let plugins = packs.iter().flat_map(|pack| pack["plugins"].as_array());
    let failures = plugins.flatten().filter_map(|plugin| {
        let why = plugin["quarantine"].as_str();
        let why = why.or(plugin["last_error"]["message"].as_str())?;
        Some(format!("\n\n{}: {why}", plugin["name"].as_str()?))
    });
    failures.collect()
}

fn tell_all(shops: &[Value]) -> String {
    let mut rows = Vec::new();
    let mut below = String::new();
    for shop in shops {
        let name = shop["shop"].as_str().unwrap_or_default();
        let packs = shop["packs"].as_array().map_or(&[][..], Vec::as_slice);
        for pack in packs {
            rows.push([vec![name.to_owned()], row(pack)].concat());
        }
        if packs.is_empty() {
            let what = if shop["problem"].is_null() {
                "none"
            } else {
                "not known"
            };
            let empty = ["", "", ""].map(str::to_owned);
            rows.push([vec![name.to_owned(), what.to_owned()], empty.to_vec()].concat());
        }
        if let Some(problem) = shop["problem"].as_str() {
            below.push_str(&format!("\n\n{name}: {problem}"));
        }
        let failures = failures(packs);
        if !failures.is_empty() {
            below.push_str(&format!("\n\n{name}{failures}"));
        }
    }
    let heads: Vec<_> = ["shop"]
        .iter()
        .chain(&HEADS)
        .map(|head| (*head, Side::Left))
        .collect();
    table(&heads, &rows) + &below
}
