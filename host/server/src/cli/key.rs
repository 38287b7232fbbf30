//! `stampcard key`: who may call the API.

use super::{End, Run, say, say_json};
use crate::config::Folder;
use crate::http::auth::{Role, hash};
use crate::table::{Side, table};
use crate::{clock, keys};
use clap::{ArgGroup, Args, Subcommand};
use serde::Serialize;
use stampcard_pipeline::calendar;
use stampcard_store::{KeyRing, Reads};
use std::path::PathBuf;

/// Add, list and revoke the keys of the API.
#[derive(Subcommand)]
pub enum Key {
    Add(Add),
    List(List),
    Revoke(Revoke),
}

/// Make a key and print it, this once. A server that is running knows it at once.
#[derive(Args)]
#[command(
    after_help = "Example:\n  stampcard key add shop --role pos --label 'tills in Soho'",
    group(ArgGroup::new("what").required(true).args(["role", "role_named"]))
)]
pub struct Add {
    /// The shop's folder.
    dir: PathBuf,
    /// What it may do: pos, staff, operator, agency or read.
    #[arg(long)]
    role: Option<Role>,
    /// The same without a name, for those who type.
    #[arg(value_name = "ROLE", hide = true)]
    role_named: Option<Role>,
    /// What people call it.
    #[arg(long, default_value = "")]
    label: String,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// List the keys: their numbers, roles and labels. The keys themselves are not known.
#[derive(Args)]
#[command(after_help = "Example:\n  stampcard key list shop")]
pub struct List {
    /// The shop's folder.
    dir: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// End a key by its number. Exit code 1 if there is none that works.
///
/// A server that is running takes it for two seconds more at most.
#[derive(Args)]
#[command(after_help = "Example:\n  stampcard key revoke shop 2")]
pub struct Revoke {
    /// The shop's folder.
    dir: PathBuf,
    /// Its number in `stampcard key list`.
    number: i64,
}

#[derive(Serialize)]
struct Listed {
    number: i64,
    role: String,
    label: String,
    created_at: String,
    revoked_at: Option<String>,
    /// To the day.
    last_used_at: Option<String>,
}

impl Key {
    pub fn run(self) -> Run {
        crate::log::start_quiet()?;
        match self {
            Key::Add(add) => add.run(),
            Key::List(list) => list.run(),
            Key::Revoke(revoke) => revoke.run(),
        }
    }
}

impl Add {
    fn run(self) -> Run {
        let folder = Folder::of_one(&self.dir)?;
        folder.shop()?;
        let Some(role) = self.role.or(self.role_named) else {
            unreachable!("the group of both is required");
        };
        let key = keys::make(role)?;
        let number = KeyRing::open(&folder.database())?.add(
            &hash(&key),
            role.name(),
            &self.label,
            clock::now(),
        )?;
        if self.json {
            say_json(&serde_json::json!({ "number": number, "role": role.name(), "key": key }))?;
        } else {
            say(key)?;
        }
        Ok(End::Done)
    }
}

impl List {
    fn run(self) -> Run {
        let keys: Vec<Listed> = Reads::open(&Folder::of_one(&self.dir)?.database(), 1, 1 << 10)?
            .keys()?
            .into_iter()
            .map(|key| Listed {
                number: key.id,
                role: key.role,
                label: key.label,
                created_at: calendar::text(key.created_at),
                revoked_at: key.revoked_at.map(calendar::text),
                last_used_at: key.last_used_at.map(calendar::text),
            })
            .collect();
        if self.json {
            say_json(&keys)?;
            return Ok(End::Done);
        }
        let row = |key: &Listed| {
            let revoked = key.revoked_at.clone().unwrap_or_default();
            let used = key.last_used_at.as_deref().unwrap_or("never");
            vec![
                key.number.to_string(),
                key.role.clone(),
                key.label.clone(),
                key.created_at.clone(),
                used.get(..10).unwrap_or(used).to_owned(),
                revoked,
            ]
        };
        let heads = [
            ("number", Side::Right),
            ("role", Side::Left),
            ("label", Side::Left),
            ("made", Side::Left),
            ("used", Side::Left),
            ("revoked", Side::Left),
        ];
        say(table(&heads, &keys.iter().map(row).collect::<Vec<_>>()))?;
        Ok(End::Done)
    }
}

impl Revoke {
    fn run(self) -> Run {
        let folder = Folder::of_one(&self.dir)?;
        folder.shop()?;
        let mut ring = KeyRing::open(&folder.database())?;
        if ring.revoke(self.number, clock::now())? {
            return Ok(End::Done);
        }
        eprintln!(
            "stampcard: there is no key {} that works; see `stampcard key list`",
            self.number
        );
        Ok(End::Attention)
    }
}
