//! What can be seen without opening the database: files, who may read and write them, what they say,
//! and whether the rules load.

use super::{Finding, State, bad, count, ok, own};
use crate::builder;
use crate::config::{Folder, MERCHANT_FILE, SERVER_FILE};
use crate::disk;
use crate::pack;
use crate::sources::{Sources, is_source};
use stampcard_pipeline::rules::Rules;
use stampcard_runtime::{Engine, RuleBook};
use stampcard_store::Reads;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Pages that are read of the database, in KiB: it is asked for a few components.
const PAGE_CACHE_KIB: u32 = 1 << 10;

pub(super) fn look(folder: &Folder) -> (Vec<Finding>, Option<RuleBook>) {
    let (plugins, book) = plugins(folder);
    let mut checks = vec![
        files(folder),
        secrecy(folder),
        writable(folder),
        configuration(folder),
        plugins,
    ];
    checks.extend(builder(folder));
    (checks, book)
}

fn files(folder: &Folder) -> Finding {
    const NAME: &str = "files";
    let plugins = match folder.plugin_files() {
        Ok(plugins) => plugins,
        Err(error) => return bad(NAME, State::Fail, error.to_string(), own(folder)),
    };
    let known = [MERCHANT_FILE, SERVER_FILE];
    let mut read = 0;
    for name in known.map(str::to_owned).into_iter().chain(plugins) {
        let path = folder.dir().join(&name);
        match File::open(&path) {
            Ok(_) => read += 1,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                return bad(
                    NAME,
                    State::Fail,
                    format!("{} cannot be read: {error}", path.display()),
                    own(folder),
                );
            }
        }
    }
    ok(NAME, format!("{read} files can be read"))
}

fn secrecy(folder: &Folder) -> Finding {
    const NAME: &str = "secrecy";
    let database = folder.database();
    let data = folder.data();
    let mode = |path: &Path| fs::metadata(path).map_or(0, |found| found.permissions().mode());
    // Whoever may not enter one of the folders reads nothing in it.
    let is_open = mode(folder.dir()) & 0o001 != 0 && mode(&data) & 0o001 != 0;
    if is_open && mode(&database) & 0o004 != 0 {
        return bad(
            NAME,
            State::Warn,
            "everybody on this machine may read the database, with people and the shop's secret",
            format!("chmod 700 {}", data.display()),
        );
    }
    ok(NAME, "others on this machine cannot read the database")
}

fn writable(folder: &Folder) -> Finding {
    const NAME: &str = "writable";
    let database = folder.database();
    let data = folder.data();
    match disk::may_write(&data)
        .and_then(|()| File::options().append(true).open(&database).map(|_| ()))
    {
        Ok(()) => ok(NAME, "the database can be written"),
        Err(error) => bad(
            NAME,
            State::Fail,
            format!("{} cannot be written: {error}", database.display()),
            format!(
                "findmnt --target {} --output TARGET,OPTIONS; then {}",
                data.display(),
                own(folder)
            ),
        ),
    }
}

fn configuration(folder: &Folder) -> Finding {
    const NAME: &str = "configuration";
    let read = folder
        .server()
        .and_then(|_| folder.trusted_keys())
        .and_then(|_| folder.shop())
        .map(|shop| shop.file);
    match read {
        Ok(file) => ok(
            NAME,
            format!(
                "{}, {}, {} locations",
                file.name,
                file.currency,
                count(file.locations.len() as u64)
            ),
        ),
        Err(error) => bad(
            NAME,
            State::Fail,
            error.to_string(),
            "correct that line; a server that runs keeps what it had",
        ),
    }
}

/// Whether a change of a source could be taken, where the folder has any.
fn builder(folder: &Folder) -> Option<Finding> {
    const NAME: &str = "builder";
    let files = folder.plugin_files().ok()?;
    let sources = files.iter().filter(|file| is_source(Path::new(file)));
    let sources: Vec<&str> = sources.map(String::as_str).collect();
    let first = sources.first()?;
    Some(match builder::path() {
        Ok(path) => ok(
            NAME,
            format!(
                "{} builds sources; the folder has {}",
                path.display(),
                sources.len()
            ),
        ),
        Err(error) => bad(
            NAME,
            State::Warn,
            format!("a change of {first} could not be taken: {error}"),
            "lay stampcard-js beside stampcard; what is live stays live",
        ),
    })
}

fn plugins(folder: &Folder) -> (Finding, Option<RuleBook>) {
    const NAME: &str = "plugins";
    let list = format!("stampcard plugin list {}", folder.dir().display());
    let loaded = (|| {
        let shop = folder.shop().map_err(|error| error.to_string())?;
        let cache = folder.cache().map_err(|error| error.to_string())?;
        let engine = Engine::new(&cache).map_err(|error| error.to_string())?;
        let candidates = folder.candidates().map_err(|error| error.to_string())?;
        let sources = Sources::new(&cache);
        // What a source became is in the database, if there is one that can be read.
        let reads = Reads::open(&folder.database(), 1, PAGE_CACHE_KIB).ok();
        let candidates = candidates
            .into_iter()
            .map(|candidate| sources.whole(candidate, reads.as_ref()))
            .collect::<Result<_, _>>()
            .map_err(|error| error.to_string())?;
        Ok::<_, String>(RuleBook::load(
            &engine,
            &shop,
            candidates,
            &pack::packs(),
            None,
        ))
    })();
    let book = match loaded {
        Ok(book) => book,
        Err(problem) => return (bad(NAME, State::Fail, problem, list), None),
    };
    let finding = match book.not_loaded() {
        [] => ok(
            NAME,
            format!("{} of the folder load", count(book.plugins().len() as u64)),
        ),
        [first, rest @ ..] => bad(
            NAME,
            State::Fail,
            match rest.len() {
                0 => first.reason.to_string(),
                more => format!("{}; and {more} more", first.reason),
            },
            format!("{list}; see docs/runbooks/bad-plugin.md"),
        ),
    };
    (finding, Some(book))
}
