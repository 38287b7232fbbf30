//! The shop's folder as an inbox: what of it is taken, and what is left alone.
//!
//! The rule book in the database is the truth. A file is taken when it is new or has changed since
//! the folder was last looked at. One that is not live and has not changed since was rolled back, or
//! another version was installed: taking it again would undo what somebody ordered. A file that is
//! gone takes its plugin with it.

use crate::recorded::{self, RecordedError};
use stampcard_pipeline::rules::Plugin;
use stampcard_runtime::{Candidate, PackPlugin};
use stampcard_store::{Inbox, PluginFiles, Reads, RuleBook};
use std::collections::BTreeSet;

/// What is to go live.
pub struct Chosen {
    pub candidate: Candidate,
    /// What the rule book says of its files.
    pub files: Files,
}

pub enum Files {
    /// New to the database.
    New { made_of: String },
    /// Those of the rule book that is live.
    AsLive(PluginFiles),
}

impl Chosen {
    pub fn new(candidate: Candidate, packs: &[PackPlugin]) -> Chosen {
        let made_of = candidate.made_of(packs);
        Chosen {
            candidate,
            files: Files::New { made_of },
        }
    }
}

/// What the folder comes to.
pub struct Choice {
    pub chosen: Vec<Chosen>,
    /// What the folder has, by name.
    pub found: Inbox,
    /// Files that are left alone because something else was ordered.
    pub drift: BTreeSet<String>,
}

/// Chooses between the folder and what is live.
pub fn choose(
    folder: Vec<Candidate>,
    packs: &[PackPlugin],
    seen: &Inbox,
    live: Option<&RuleBook>,
    reads: &Reads,
) -> Result<Choice, RecordedError> {
    let mut choice = Choice {
        chosen: Vec::with_capacity(folder.len()),
        found: Inbox::new(),
        drift: BTreeSet::new(),
    };
    for candidate in folder {
        let (name, made_of) = (candidate.name.clone(), candidate.made_of(packs));
        let now_live = live.and_then(|book| as_live(book, &name));
        let is_live = now_live
            .as_ref()
            .is_some_and(|(_, files)| files.made_of == made_of);
        if !is_live && seen.get(&name) == Some(&made_of) {
            if let (Some(book), Some((index, files))) = (live, now_live) {
                choice.chosen.push(Chosen {
                    candidate: recorded::whole(reads, book, index)?,
                    files: Files::AsLive(files),
                });
            }
            choice.drift.insert(name.clone());
        } else {
            choice.chosen.push(match now_live {
                Some((_, files)) if is_live => Chosen {
                    candidate,
                    files: Files::AsLive(files),
                },
                _ => Chosen {
                    candidate,
                    files: Files::New {
                        made_of: made_of.clone(),
                    },
                },
            });
        }
        choice.found.insert(name, made_of);
    }
    for (index, plugin) in live.iter().flat_map(|book| book.plugins.iter().enumerate()) {
        let Some((book, files)) = live.zip(live.and_then(|book| book.files.get(index))) else {
            continue;
        };
        if choice.found.contains_key(&plugin.name) || seen.contains_key(&plugin.name) {
            continue;
        }
        choice.chosen.push(Chosen {
            candidate: recorded::whole(reads, book, index)?,
            files: Files::AsLive(files.clone()),
        });
    }
    Ok(choice)
}

/// Everything that is live, as it is.
pub fn all_live(book: &RuleBook, reads: &Reads) -> Result<Vec<Chosen>, RecordedError> {
    let chosen = |(index, files): (usize, &PluginFiles)| {
        Ok(Chosen {
            candidate: recorded::whole(reads, book, index)?,
            files: Files::AsLive(files.clone()),
        })
    };
    book.files.iter().enumerate().map(chosen).collect()
}

fn as_live(book: &RuleBook, name: &str) -> Option<(usize, PluginFiles)> {
    let is_it = |plugin: &Plugin| plugin.name == name;
    let index = book.plugins.iter().position(is_it)?;
    Some((index, book.files.get(index)?.clone()))
}
