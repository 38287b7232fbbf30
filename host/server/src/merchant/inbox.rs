//! The shop's folder as an inbox: what of it is taken, and what is left alone.
//!
//! The rule book in the database is the truth. A file is taken when it is new or has changed since
//! the folder was last looked at. One that is not live and has not changed since was rolled back, or
//! another version was installed: taking it again would undo what somebody ordered. A file that is
//! gone takes its plugin with it.
//!
//! A source that is live already is not built again, and neither is one that is left alone.

use crate::recorded::{self, RecordedError};
use crate::sources::Sources;
use stampcard_runtime::{Candidate, PackPlugin};
use stampcard_store::{Inbox, PluginFiles, Reads, RuleBook};
use std::collections::BTreeSet;

/// What is to go live.
#[derive(Clone)]
pub struct Chosen {
    pub candidate: Candidate,
    /// What the rule book says of its files.
    pub files: Files,
}

#[derive(Clone)]
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

    /// A plugin of a rule book, as the database has it.
    fn live(
        book: &RuleBook,
        index: usize,
        files: &PluginFiles,
        reads: &Reads,
    ) -> Result<Chosen, RecordedError> {
        Ok(Chosen {
            candidate: recorded::whole(reads, book, index)?,
            files: Files::AsLive(files.clone()),
        })
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
    sources: &Sources,
) -> Result<Choice, RecordedError> {
    let mut choice = Choice {
        chosen: Vec::with_capacity(folder.len()),
        found: Inbox::new(),
        drift: BTreeSet::new(),
    };
    for candidate in folder {
        let (name, made_of) = (candidate.name.clone(), candidate.made_of(packs));
        let now_live = live.and_then(|book| as_live(book, &name));
        let is_live = now_live.is_some_and(|(_, files)| files.made_of == made_of);
        if let (Some(book), Some((index, files)), Some(_)) = (live, now_live, &candidate.source)
            && is_live
        {
            choice.chosen.push(Chosen::live(book, index, files, reads)?);
        } else if is_live || seen.get(&name) != Some(&made_of) {
            choice.chosen.push(Chosen {
                files: match now_live {
                    Some((_, files)) if is_live => Files::AsLive(files.clone()),
                    _ => Files::New {
                        made_of: made_of.clone(),
                    },
                },
                candidate: sources.whole(candidate, Some(reads))?,
            });
        } else {
            if let (Some(book), Some((index, files))) = (live, now_live) {
                choice.chosen.push(Chosen::live(book, index, files, reads)?);
            }
            choice.drift.insert(name.clone());
        }
        choice.found.insert(name, made_of);
    }
    if let Some(book) = live {
        for (index, files) in book.files.iter().enumerate() {
            let name = &book.plugins[index].name;
            if !choice.found.contains_key(name) && !seen.contains_key(name) {
                choice.chosen.push(Chosen::live(book, index, files, reads)?);
            }
        }
    }
    Ok(choice)
}

/// Everything that is live, as it is.
pub fn all_live(book: &RuleBook, reads: &Reads) -> Result<Vec<Chosen>, RecordedError> {
    let files = book.files.iter().enumerate();
    files
        .map(|(index, files)| Chosen::live(book, index, files, reads))
        .collect()
}

fn as_live<'a>(book: &'a RuleBook, name: &str) -> Option<(usize, &'a PluginFiles)> {
    let index = book.plugins.iter().position(|plugin| plugin.name == name)?;
    Some((index, book.files.get(index)?))
}
