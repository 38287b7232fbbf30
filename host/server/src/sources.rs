//! Rules that stand in a folder as their authors wrote them: each becomes a component, and then goes the way
//! of every other.
//!
//! The same source is not built twice. What it became is in the database, under the digest of the source; so
//! a shop opens with it where there is no builder any more, and a restart makes no new rule book.

use crate::builder;
use crate::config::ConfigError;
use parking_lot::Mutex;
use stampcard_pipeline::store::StoreError;
use stampcard_runtime::limits::SOURCE_BYTES_MAX;
use stampcard_runtime::{Candidate, RuleSource, carried_manifest, inspect};
use stampcard_store::Reads;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// How the files of sources end.
pub const ENDINGS: [&str; 2] = ["js", "ts"];

/// Sources that were refused, and are remembered; each is a few hundred bytes.
const REFUSED_MAX: usize = 256;

/// What becomes of sources in this process. Clones are the same.
#[derive(Clone)]
pub struct Sources {
    /// Where they are built.
    room: PathBuf,
    /// What is wrong with those that cannot be built, so that they are not tried whenever another file of
    /// the folder changes.
    refused: Arc<Mutex<HashMap<Tried, String>>>,
}

/// A source as it was tried: its file's name, its digest, its roles.
type Tried = (String, String, Vec<String>);

impl Sources {
    /// `cache` is where compiled plugins are kept, which this process may write.
    pub fn new(cache: &Path) -> Sources {
        Sources {
            room: cache.into(),
            refused: Arc::default(),
        }
    }

    /// A candidate with its component: what its source became earlier, as far as the database knows it, or
    /// what it is built into now. If it cannot be, the candidate says why. One that has no source stays as it
    /// is.
    pub fn whole(
        &self,
        mut candidate: Candidate,
        recorded: Option<&Reads>,
    ) -> Result<Candidate, StoreError> {
        let Some(source) = &mut candidate.source else {
            return Ok(candidate);
        };
        if source.problem.is_some() {
            return Ok(candidate);
        }
        let known = match recorded {
            Some(reads) => known(source, reads)?,
            None => None,
        };
        let component = match known {
            Some(component) => Ok(component),
            None => self.build(source),
        };
        let whole = component.and_then(|component| {
            let manifest = source.manifest(&candidate.name, &component);
            let said_in = match source.beside.is_empty() {
                true => source.file.clone(),
                false => format!("{} with {}.toml", source.file, candidate.name),
            };
            let manifest = manifest.map_err(|error| format!("{said_in}: {error}"))?;
            Ok((manifest, component))
        });
        match whole {
            Ok((manifest, component)) => {
                candidate.file = manifest;
                candidate.component = Some(component);
            }
            Err(problem) => source.problem = Some(problem),
        }
        Ok(candidate)
    }

    fn build(&self, source: &RuleSource) -> Result<Vec<u8>, String> {
        let tried = (source.file.clone(), source.digest(), source.roles());
        if let Some(problem) = self.refused.lock().get(&tried) {
            return Err(problem.clone());
        }
        let began = Instant::now();
        let built = build(source, &tried.2, &self.room);
        match built {
            Ok(component) => {
                tracing::info!(
                    source = source.file,
                    bytes = component.len(),
                    milliseconds = began.elapsed().as_millis(),
                    "built"
                );
                Ok(component)
            }
            Err(error) => {
                let problem = match &error {
                    // It begins with the place in the file, where it has one.
                    builder::NotBuilt::Source(said) if said.starts_with(&source.file) => {
                        said.clone()
                    }
                    error => format!("{}: {error}", source.file),
                };
                if error.is_of_the_source() {
                    let mut refused = self.refused.lock();
                    if refused.len() == REFUSED_MAX {
                        refused.clear();
                    }
                    refused.insert(tried, problem.clone());
                }
                Err(problem)
            }
        }
    }
}

/// The component that a source once became, if it has the roles that are asked for now.
fn known(source: &RuleSource, reads: &Reads) -> Result<Option<Vec<u8>>, StoreError> {
    let mut roles = source.roles();
    roles.sort();
    for digest in reads.built_from(&source.digest())? {
        let Some(component) = reads.artifact(&digest)? else {
            continue;
        };
        let fits = match roles.is_empty() {
            true => carried_manifest(&component).is_some(),
            false => inspect(&component).is_ok_and(|found| {
                let mut has: Vec<&str> = found.roles.iter().map(|role| role.name()).collect();
                has.sort();
                has == roles
            }),
        };
        if fits {
            return Ok(Some(component));
        }
    }
    Ok(None)
}

/// Builds a source by itself: nothing that lies beside it can be imported, because its digest would not
/// tell when that changes.
fn build(source: &RuleSource, roles: &[String], room: &Path) -> Result<Vec<u8>, builder::NotBuilt> {
    let failed = |error| builder::NotBuilt::Program {
        program: room.into(),
        source: error,
    };
    let room = tempfile::Builder::new()
        .prefix("source-")
        .tempdir_in(room)
        .map_err(failed)?;
    let rule = room.path().join(&source.file);
    fs::write(&rule, &source.text).map_err(failed)?;
    builder::build(&rule, roles, room.path())
}

/// The source of a plugin in a folder, if it has one there. `beside` is the text of `NAME.toml`.
pub fn find(dir: &Path, name: &str, beside: &str) -> Result<Option<RuleSource>, ConfigError> {
    let there = |ending: &&str| dir.join(format!("{name}.{ending}")).is_file();
    let mut endings = ENDINGS.into_iter().filter(there);
    let Some(ending) = endings.next() else {
        return Ok(None);
    };
    let other = endings.chain(["wasm"].into_iter().filter(there)).next();
    let mut source = read(&dir.join(format!("{name}.{ending}")), beside)?;
    if let Some(other) = other {
        source.problem = Some(format!(
            "{name}.{ending} and {name}.{other} are both there, and only one of them can be the plugin {name}; remove the other"
        ));
    }
    Ok(Some(source))
}

/// The source in a file.
pub fn read(path: &Path, beside: &str) -> Result<RuleSource, ConfigError> {
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    let text = crate::config::bytes(path, SOURCE_BYTES_MAX + 1)?.unwrap_or_default();
    let problem = (text.len() > SOURCE_BYTES_MAX).then(|| {
        format!("{file} has more than the {SOURCE_BYTES_MAX} bytes that a source may have")
    });
    Ok(RuleSource {
        file: file.into_owned(),
        text,
        beside: beside.into(),
        problem,
    })
}

/// Whether a file is the source of a plugin, by its name. What only tells an editor types is none.
pub fn is_source(path: &Path) -> bool {
    let ending = path.extension().and_then(OsStr::to_str);
    let name = path.file_stem().and_then(OsStr::to_str);
    ending.is_some_and(|ending| ENDINGS.contains(&ending))
        && name.is_some_and(|name| !name.ends_with(".d"))
}
