//! `stampcard pack install` and `remove`: a pack's plugins go live together, and go together.

use super::super::plugin::install::login;
use super::super::plugin::project::text;
use super::super::{End, Run, say, say_json};
use super::pack_file;
use crate::config::Folder;
use crate::merchant::Terms;
use crate::orders::{self, Order};
use crate::packs::{Words, admit};
use clap::Args;
use serde_json::Value;
use std::path::PathBuf;

/// Bring a pack live, in the place of its earlier version if there is one.
///
/// All of its plugins go live with one rule book, or none does. It has to be signed with a key that
/// stampcard.toml names under [trusted_keys]. What the shop has said to its plugins stays said; where a
/// plugin does not take it any more, it is told and nothing changes. The shop may be open.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  stampcard pack install shop coffee-house-1.0.0.pack --reason 'the autumn season'\n  stampcard pack install shop coffee-house-1.0.0.pack --config soho.toml\n\nsoho.toml says what is particular to this shop:\n  [extra-coffee.config]\n  category = \"tea\"\n  points = 5"
)]
pub struct Install {
    /// The shop's folder.
    dir: PathBuf,
    /// The pack's file.
    file: PathBuf,
    /// What the shop says to the plugins, as TOML: under [NAME.config] a plugin's whole configuration,
    /// under [NAME] what it may see of people, such as grant = ["name"]. It takes the place of all that
    /// was said before.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Let a pack in that nobody trusted has signed.
    #[arg(long)]
    allow_unsigned: bool,
    /// Let its plugins take the place of others of their names, which are not of this pack.
    #[arg(long)]
    replace: bool,
    /// Why, for whoever reads the history.
    #[arg(long, default_value = "")]
    reason: String,
    #[arg(long)]
    json: bool,
}

/// Take a pack's plugins out of what is live.
///
/// What they have granted stays granted; memberships that they decided end, and what they were about to
/// send is not sent. The shop may be open.
#[derive(Args)]
#[command(
    after_help = "Example:\n  stampcard pack remove shop coffee-house --reason 'the season is over'"
)]
pub struct Remove {
    /// The shop's folder.
    dir: PathBuf,
    /// The pack.
    name: String,
    /// Why, for whoever reads the history.
    #[arg(long, default_value = "")]
    reason: String,
    #[arg(long)]
    json: bool,
}

impl Install {
    pub fn run(self) -> Run {
        let folder = Folder::of_one(&self.dir)?;
        let file = pack_file(&self.file)?;
        let words = self.config.as_deref().map(text).transpose()?;
        // What would be refused anyway is refused before the shop is opened for it.
        let (pack, _) = admit(&file, &folder.trusted_keys()?, self.allow_unsigned)?;
        if let Some(words) = &words {
            pack.check_words(&Words::read(words)?)?;
        }
        let order = Order::InstallPack {
            terms: Terms {
                words,
                allow_unsigned: self.allow_unsigned,
                replace: self.replace,
            },
            actor: login(),
            reason: self.reason,
        };
        let done = orders::give(&folder, &order, Some(file))?;
        if self.json {
            say_json(&done)?;
        } else {
            say(tell(&done))?;
        }
        Ok(End::Done)
    }
}

fn tell(done: &Value) -> String {
    let text = |field: &str| done[field].as_str().unwrap_or_default();
    let names = |field: &str| {
        let names = done[field].as_array().into_iter().flatten();
        let names = names.filter_map(|it| it.as_str().or(it["name"].as_str()));
        names.collect::<Vec<_>>().join(", ")
    };
    let mut told = format!(
        "{} {} is live with rule book {}: {}\n",
        text("pack"),
        text("version"),
        done["revision"],
        names("plugins")
    );
    told.push_str(&match done["signer"]["name"].as_str() {
        Some(signer) => format!("signed by {signer}"),
        None => "nobody trusted has signed it".into(),
    });
    if let Some(was) = done["was"].as_str().filter(|was| *was != text("version")) {
        told.push_str(&format!("\nbefore it was {was}"));
    }
    let gone = names("gone");
    if !gone.is_empty() {
        told.push_str(&format!("\nnot in it any more, and not live: {gone}"));
    }
    told
}

impl Remove {
    pub fn run(self) -> Run {
        let order = Order::RemovePack {
            name: self.name,
            actor: login(),
            reason: self.reason,
        };
        let done = orders::give(&Folder::of_one(&self.dir)?, &order, None)?;
        if self.json {
            say_json(&done)?;
        } else {
            let names = |field: &str| {
                let names = done[field].as_array().into_iter().flatten();
                names
                    .filter_map(Value::as_str)
                    .collect::<Vec<_>>()
                    .join(", ")
            };
            say(format_args!(
                "{} {} is gone with rule book {}: {}",
                done["pack"].as_str().unwrap_or_default(),
                done["version"].as_str().unwrap_or_default(),
                done["revision"],
                names("plugins")
            ))?;
            let kept = names("kept");
            if !kept.is_empty() {
                say(format_args!(
                    "still live, because it is not as it came: {kept}"
                ))?;
            }
        }
        Ok(End::Done)
    }
}
