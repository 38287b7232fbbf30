//! A rule and everything that it imports, laid into a folder in which its imports find each other.

use crate::file::{self, Fault, File, Import};
use crate::limits::FILES_MAX;
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

/// What a rule imports of ours.
const SDK: &str = "stampcard-sdk";
/// What the host gives begins with this.
const HOST: &str = "stampcard:";
/// Of what a rule may consist, by the ends of their names.
const KINDS: [&str; 4] = ["js", "ts", "mjs", "mts"];
/// What would be there on a server, and is not in a shop.
const SYSTEM: [&str; 7] = ["fs", "path", "http", "https", "net", "os", "crypto"];

/// The files of a rule.
pub struct Files {
    /// By their paths below the rule's folder.
    pub all: BTreeMap<PathBuf, File>,
    /// Other names under which one is imported, such as `lib` for `lib.ts`.
    pub aliases: BTreeMap<PathBuf, PathBuf>,
    /// The rule's own path.
    pub rule: PathBuf,
}

impl Files {
    /// The rule in a file, and what it imports from the folder in which it lies.
    pub fn of(rule: &Path) -> Result<Files, Fault> {
        let name = rule.file_name().map(PathBuf::from);
        let name = name.ok_or_else(|| Fault(format!("{} is no file", rule.display())))?;
        if !is_source(&name) {
            return Err(Fault(format!(
                "{} ends neither in .js nor in .ts",
                name.display()
            )));
        }
        let home = rule.parent().unwrap_or(Path::new(""));
        let mut files = Files {
            all: BTreeMap::new(),
            aliases: BTreeMap::new(),
            rule: name.clone(),
        };
        let mut open = vec![name];
        while let Some(path) = open.pop() {
            if files.all.contains_key(&path) {
                continue;
            }
            if files.all.len() == FILES_MAX {
                return Err(Fault(format!("the rule has more than {FILES_MAX} files")));
            }
            let name = path.display().to_string();
            let found = file::read(&name, &file::text(&name, &home.join(&path))?)?;
            for import in &found.imports {
                open.extend(files.resolve(home, &path, import)?);
            }
            files.all.insert(path, found);
        }
        Ok(files)
    }

    /// The file that an import names; `None` if it is not the author's.
    fn resolve(
        &mut self,
        home: &Path,
        from: &Path,
        import: &Import,
    ) -> Result<Option<PathBuf>, Fault> {
        let named = &import.specifier;
        if named == SDK || named.starts_with(HOST) {
            return Ok(None);
        }
        if !named.starts_with("./") && !named.starts_with("../") {
            let bare = named.strip_prefix("node:").unwrap_or(named);
            return Err(import.at.fault(match SYSTEM.contains(&bare) {
                true => format!("could not resolve \"{named}\": a rule has no files, network or system: what it may know is in its input"),
                false => format!("could not resolve \"{named}\": a rule that is built without npm has its own files and {SDK}"),
            }));
        }
        let wanted = below(from, named).ok_or_else(|| {
            import
                .at
                .fault(format!("\"{named}\" is outside of the rule's folder"))
        })?;
        let found = candidates(&wanted).find(|path| home.join(path).is_file());
        let found = found.ok_or_else(|| {
            import
                .at
                .fault(format!("there is no \"{named}\" beside it"))
        })?;
        if !is_source(&found) {
            return Err(import.at.fault(format!(
                "\"{named}\" is no .js or .ts file, and nothing else can be imported"
            )));
        }
        if found != wanted {
            self.aliases.insert(wanted, found.clone());
        }
        Ok(Some(found))
    }
}

fn is_source(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    ending.is_some_and(|ending| KINDS.contains(&ending))
}

/// The path below the rule's folder that a file means by another's.
fn below(from: &Path, named: &str) -> Option<PathBuf> {
    let mut path = from.parent().unwrap_or(Path::new("")).to_owned();
    for part in Path::new(named).components() {
        match part {
            Component::CurDir => {}
            Component::Normal(part) => path.push(part),
            Component::ParentDir => {
                if !path.pop() {
                    return None;
                }
            }
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(path)
}

/// The files that may be meant, the likeliest first: as it is written, with the ending left out, and as
/// TypeScript writes it, by the name that the file would have without its types.
fn candidates(wanted: &Path) -> impl Iterator<Item = PathBuf> {
    let with = |ending: &str| PathBuf::from(format!("{}.{ending}", wanted.display()));
    let typed = match wanted.extension().and_then(|ending| ending.to_str()) {
        Some("js") => Some(wanted.with_extension("ts")),
        Some("mjs") => Some(wanted.with_extension("mts")),
        _ => None,
    };
    [wanted.to_owned(), with("ts"), with("js")]
        .into_iter()
        .chain(typed)
}
