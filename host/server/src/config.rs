//! A shop's folder: which files it has, and how they are read.
//!
//! ```text
//! shop/
//!   stampcard.toml   the server: where it listens, how it logs
//!   merchant.toml    the shop: currency, time zone, locations, tiers, policies, caps
//!   plugins/         a NAME.toml for each plugin, with its NAME.wasm unless a pack has it
//!   data/            the database
//! ```
//!
//! What is wrong is told with the file, the line, the key, and what to type instead. Nothing here
//! runs anything.

use serde::{Deserialize, Serialize};
use stampcard_pipeline::shop::{Shop, ShopError, ShopFile};
use stampcard_runtime::Candidate;
use stampcard_runtime::limits::{COMPONENT_BYTES_MAX, MANIFEST_BYTES_MAX};
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use toml::de::{DeTable, DeValue};

pub const SERVER_FILE: &str = "stampcard.toml";
pub const MERCHANT_FILE: &str = "merchant.toml";
pub const PLUGINS: &str = "plugins";
/// A folder of its own, because every sale changes its files and the watch over the shop's folder
/// shall not wake for that.
pub const DATA: &str = "data";
pub const DATABASE: &str = "stampcard.db";

/// A shop's folder.
#[derive(Clone, Debug)]
pub struct Folder {
    dir: PathBuf,
}

/// `stampcard.toml` as it is written. Every key may be left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerFile {
    /// Address and port; `--listen` goes above it.
    pub listen: Option<SocketAddr>,
    /// Threads that decide events: as many as the machine has processors, where it is not given.
    pub lanes: Option<usize>,
    /// Events that wait in each lane before tills are asked to come back.
    pub queue: Option<usize>,
    pub log: LogFile,
}

/// The server's own log, on standard error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogFile {
    pub format: LogFormat,
    /// `error`, `warn`, `info`, `debug`, `trace`, or a filter such as `info,stampcard_store=debug`.
    /// The variable `STAMPCARD_LOG` goes above it.
    pub level: String,
}

impl Default for LogFile {
    fn default() -> LogFile {
        LogFile {
            format: LogFormat::Text,
            level: "info".into(),
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// A line for people.
    #[default]
    Text,
    /// A JSON object for machines.
    Json,
}

/// What is wrong with a file of the shop's folder.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{path} is not there; `stampcard init {dir}` makes a shop", dir = path.parent().unwrap_or(path).display(), path = path.display())]
    NotAShop { path: PathBuf },
    #[error("{} cannot be read: {source}", .path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} cannot be written: {source}", .path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} has {bytes} bytes, and {most} is the limit", .path.display())]
    TooLarge {
        path: PathBuf,
        bytes: u64,
        most: usize,
    },
    #[error("{}: {problem}", .path.display())]
    Toml { path: PathBuf, problem: String },
    #[error("{}, line {line}: {key}", .path.display())]
    UnknownKey {
        path: PathBuf,
        line: usize,
        key: UnknownKey,
    },
    #[error("{}: {error}", .path.display())]
    Shop {
        path: PathBuf,
        #[source]
        error: ShopError,
    },
    #[error(
        "there is no folder for compiled plugins: neither STAMPCARD_CACHE nor XDG_CACHE_HOME nor HOME is set; set STAMPCARD_CACHE to one that belongs to this user"
    )]
    NoCache,
}

/// A key that a file may not have, and what was probably meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownKey {
    /// Where: `policies`, `locations`, or nothing for the top of the file.
    pub place: &'static str,
    pub key: String,
    pub nearest: &'static str,
    /// The nearest key is at another place of the file.
    pub nearest_place: &'static str,
}

impl fmt::Display for UnknownKey {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let inside = |place: &str| {
            if place.is_empty() {
                String::new()
            } else {
                format!(" of [{place}]")
            }
        };
        write!(
            f,
            "`{}` is not a key{}; did you mean `{}`",
            self.key,
            inside(self.place),
            self.nearest
        )?;
        match (self.place == self.nearest_place, self.nearest_place) {
            (true, _) => write!(f, "?"),
            (false, "") => write!(
                f,
                ", which belongs at the top of the file, above the first [table]?"
            ),
            (false, place) => write!(f, ", which belongs under [{place}]?"),
        }
    }
}

/// The tables of a file and the keys that each may have; "" is the file itself.
type Keys = [(&'static str, &'static [&'static str])];

/// Tables whose keys are the shop's own words.
const FREE: [&str; 2] = ["rates", "kinds"];

const MERCHANT_KEYS: &Keys = &[
    (
        "",
        &[
            "name",
            "currency",
            "time_zone",
            "country",
            "language",
            "tiers",
            "plugins",
            "policies",
            "caps",
            "profile",
            "kinds",
            "rates",
            "reload",
            "locations",
        ],
    ),
    (
        "policies",
        &[
            "points_see_segments",
            "late",
            "late_window_days",
            "unknown_customer",
            "awards",
        ],
    ),
    (
        "caps",
        &["points_per_event", "discount_amount", "discount_share"],
    ),
    ("profile", &["required", "mode"]),
    (
        "locations",
        &[
            "id",
            "name",
            "kind",
            "country",
            "time_zone",
            "opened",
            "closed",
        ],
    ),
];

const SERVER_KEYS: &Keys = &[
    ("", &["listen", "lanes", "queue", "log"]),
    ("log", &["format", "level"]),
];

impl Folder {
    pub fn at(dir: &Path) -> Folder {
        Folder { dir: dir.into() }
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The merchant's name: that of the folder.
    pub fn name(&self) -> String {
        let whole = fs::canonicalize(&self.dir).unwrap_or_else(|_| self.dir.clone());
        whole
            .file_name()
            .map_or_else(|| "shop".into(), |name| name.to_string_lossy().into_owned())
    }

    pub fn database(&self) -> PathBuf {
        self.dir.join(DATA).join(DATABASE)
    }

    pub fn plugins(&self) -> PathBuf {
        self.dir.join(PLUGINS)
    }

    /// Where compiled plugins are kept: one place for all shops of a user, since they share code.
    pub fn cache(&self) -> Result<PathBuf, ConfigError> {
        let variable = |name| {
            std::env::var_os(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        let below = |dir: PathBuf| dir.join("stampcard");
        variable("STAMPCARD_CACHE")
            .or_else(|| variable("XDG_CACHE_HOME").map(below))
            .or_else(|| variable("HOME").map(|home| below(home.join(".cache"))))
            .ok_or(ConfigError::NoCache)
    }

    /// `stampcard.toml`; a shop need not have one.
    pub fn server(&self) -> Result<ServerFile, ConfigError> {
        let path = self.dir.join(SERVER_FILE);
        if path.exists() {
            read(&path, SERVER_KEYS)
        } else {
            Ok(ServerFile::default())
        }
    }

    /// `merchant.toml`, checked.
    pub fn shop(&self) -> Result<Shop, ConfigError> {
        let path = self.dir.join(MERCHANT_FILE);
        if !path.exists() {
            return Err(ConfigError::NotAShop { path });
        }
        let file: ShopFile = read(&path, MERCHANT_KEYS)?;
        Shop::new(file).map_err(|error| ConfigError::Shop { path, error })
    }

    /// What the folder has for plugins: each `NAME.toml`, with its `NAME.wasm` and its schema.
    /// A component without a `NAME.toml` is a candidate too, so that it is listed as not loaded.
    pub fn candidates(&self) -> Result<Vec<Candidate>, ConfigError> {
        let dir = self.plugins();
        let entries = match fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(ConfigError::Read { path: dir, source }),
        };
        let mut names = std::collections::BTreeSet::new();
        for entry in entries {
            let path = entry
                .map_err(|source| ConfigError::Read {
                    path: dir.clone(),
                    source,
                })?
                .path();
            let ending = path.extension().and_then(|ending| ending.to_str());
            let name = path.file_stem().and_then(|name| name.to_str());
            if let (Some("toml" | "wasm"), Some(name)) = (ending, name)
                && !name.starts_with('.')
            {
                names.insert(name.to_owned());
            }
        }
        names.into_iter().map(|name| self.candidate(name)).collect()
    }

    fn candidate(&self, name: String) -> Result<Candidate, ConfigError> {
        let dir = self.plugins();
        let file = text(&dir.join(format!("{name}.toml")), MANIFEST_BYTES_MAX)?.unwrap_or_default();
        // One byte more than may be, so that the loader sees that it is too much and says so.
        let component = bytes(&dir.join(format!("{name}.wasm")), COMPONENT_BYTES_MAX + 1)?;
        let schema = match schema_of(&file) {
            Some(schema) => text(&dir.join(schema), MANIFEST_BYTES_MAX)?,
            None => None,
        };
        Ok(Candidate {
            name,
            file,
            component,
            schema,
        })
    }
}

/// The file beside a manifest that holds the schema of its configuration. Whatever is wrong with
/// the manifest is for the loader to say.
fn schema_of(manifest: &str) -> Option<String> {
    let manifest: toml::Table = manifest.parse().ok()?;
    let file = manifest.get("configuration")?.as_str()?;
    let is_beside = Path::new(file).file_name().is_some_and(|name| name == file);
    is_beside.then(|| file.to_owned())
}

fn read<T: for<'de> Deserialize<'de>>(path: &Path, keys: &Keys) -> Result<T, ConfigError> {
    let text = text(path, MANIFEST_BYTES_MAX)?
        .ok_or_else(|| ConfigError::NotAShop { path: path.into() })?;
    check_keys(path, &text, keys)?;
    toml::from_str(&text).map_err(|error| ConfigError::Toml {
        path: path.into(),
        problem: error.to_string().trim_end().into(),
    })
}

/// Looks for keys that the file may not have. What is not TOML at all is left to the reader.
fn check_keys(path: &Path, text: &str, keys: &Keys) -> Result<(), ConfigError> {
    let Ok(file) = DeTable::parse(text) else {
        return Ok(());
    };
    let found = unknown(file.get_ref(), "", keys);
    match found.into_iter().min_by_key(|(at, _)| *at) {
        None => Ok(()),
        Some((at, key)) => {
            let line = text.as_bytes()[..at]
                .iter()
                .filter(|byte| **byte == b'\n')
                .count()
                + 1;
            Err(ConfigError::UnknownKey {
                path: path.into(),
                line,
                key,
            })
        }
    }
}

/// Every unknown key with the byte at which it stands.
fn unknown(table: &DeTable, place: &'static str, keys: &Keys) -> Vec<(usize, UnknownKey)> {
    let known = keys
        .iter()
        .find(|(table, _)| *table == place)
        .map_or(&[][..], |(_, known)| known);
    let mut found = Vec::new();
    for (key, value) in table {
        let name = key.get_ref().as_ref();
        if !known.contains(&name) {
            found.push((key.span().start, nearest(place, name, keys)));
            continue;
        }
        let Some((inside, _)) = keys
            .iter()
            .find(|(table, _)| *table == name && !FREE.contains(table))
        else {
            continue;
        };
        match value.get_ref() {
            DeValue::Table(table) => found.extend(unknown(table, inside, keys)),
            DeValue::Array(entries) => {
                for entry in entries.iter() {
                    if let DeValue::Table(table) = entry.get_ref() {
                        found.extend(unknown(table, inside, keys));
                    }
                }
            }
            _ => {}
        }
    }
    found
}

/// The nearest known key, preferring the same table: a right key in the wrong place is found too.
fn nearest(place: &'static str, key: &str, keys: &Keys) -> UnknownKey {
    let known = keys
        .iter()
        .flat_map(|(place, known)| known.iter().map(move |known| (*place, *known)));
    let (nearest_place, nearest) = known
        .min_by_key(|(other, known)| (strsim::damerau_levenshtein(key, known), *other != place))
        .expect("there are keys");
    UnknownKey {
        place,
        key: key.into(),
        nearest,
        nearest_place,
    }
}

fn text(path: &Path, most: usize) -> Result<Option<String>, ConfigError> {
    let Some(bytes) = bytes(path, most + 1)? else {
        return Ok(None);
    };
    if bytes.len() > most {
        let bytes = fs::metadata(path).map_or(bytes.len() as u64, |found| found.len());
        return Err(ConfigError::TooLarge {
            path: path.into(),
            bytes,
            most,
        });
    }
    let text = String::from_utf8(bytes);
    Ok(Some(text.map_err(|_| ConfigError::Toml {
        path: path.into(),
        problem: "it is not UTF-8 text".into(),
    })?))
}

/// The first `most` bytes of a file; `None` if it is not there.
fn bytes(path: &Path, most: usize) -> Result<Option<Vec<u8>>, ConfigError> {
    let failed = |source| ConfigError::Read {
        path: path.into(),
        source,
    };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut bytes = Vec::new();
    file.take(most as u64)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(merchant: &str) -> String {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(MERCHANT_FILE), merchant).unwrap();
        let error = Folder::at(dir.path()).shop().expect_err(merchant);
        error
            .to_string()
            .replace(&format!("{}/", dir.path().display()), "")
    }

    const GOOD: &str =
        "name = \"A\"\ncurrency = \"USD\"\ntime_zone = \"America/New_York\"\ncountry = \"US\"\n";

    #[test]
    fn what_is_wrong_is_told_with_file_line_key_and_what_to_type() {
        for (added, told) in [
            (
                "time_zon = \"UTC\"\n",
                "merchant.toml, line 5: `time_zon` is not a key; did you mean `time_zone`?",
            ),
            (
                "[policies]\nlate_windows_days = 3\n",
                "merchant.toml, line 6: `late_windows_days` is not a key of [policies]; did you mean `late_window_days`?",
            ),
            (
                "late_window_days = 3\n",
                "merchant.toml, line 5: `late_window_days` is not a key; did you mean `late_window_days`, which belongs under [policies]?",
            ),
            (
                "[caps]\nreload = \"watch\"\n",
                "merchant.toml, line 6: `reload` is not a key of [caps]; did you mean `reload`, which belongs at the top of the file, above the first [table]?",
            ),
            (
                "[[locations]]\nid = \"soho\"\nname = \"Soho\"\ntimezone = \"UTC\"\n",
                "merchant.toml, line 8: `timezone` is not a key of [locations]; did you mean `time_zone`?",
            ),
        ] {
            assert_eq!(problem(&format!("{GOOD}{added}")), told);
        }
    }

    #[test]
    fn a_wrong_value_is_told_with_its_place() {
        let wrong_type = problem(&format!("{GOOD}[policies]\nlate_window_days = \"ten\"\n"));
        assert!(wrong_type.contains("line 6"), "{wrong_type}");
        let unknown_word = problem(&format!("{GOOD}[policies]\nlate = \"maybe\"\n"));
        assert!(
            unknown_word.contains("correct") && unknown_word.contains("in-favour"),
            "{unknown_word}"
        );
        assert!(problem("name = \"A\"\n").contains("currency"));
        assert!(problem("name = ").starts_with("merchant.toml: TOML parse error at line 1"));
        let currency = problem(&GOOD.replace("USD", "DOLLARS"));
        assert!(
            currency.starts_with("merchant.toml: currency: \"DOLLARS\""),
            "{currency}"
        );
    }

    #[test]
    fn the_shops_own_words_are_no_unknown_keys() {
        let dir = tempfile::tempdir().unwrap();
        let file = format!(
            "{GOOD}[rates]\nEUR = 1080000\n[kinds]\n\"x.fitting\" = \"Tried something on.\"\n"
        );
        fs::write(dir.path().join(MERCHANT_FILE), file).unwrap();
        assert_eq!(
            Folder::at(dir.path()).shop().unwrap().file.rates["EUR"],
            1_080_000
        );
    }

    /// The keys of a value of ours as it would be written, table by table.
    fn keys_of(value: &impl Serialize) -> Vec<(String, Vec<String>)> {
        let toml::Value::Table(file) = toml::Value::try_from(value).unwrap() else {
            panic!("a file is a table")
        };
        let keys = |table: &toml::Table| table.keys().cloned().collect::<Vec<_>>();
        let mut all = vec![(String::new(), keys(&file))];
        for (name, value) in &file {
            match value {
                toml::Value::Table(table) if !FREE.contains(&name.as_str()) => {
                    all.push((name.clone(), keys(table)))
                }
                toml::Value::Array(entries) => {
                    all.extend(
                        entries
                            .iter()
                            .filter_map(|entry| Some((name.clone(), keys(entry.as_table()?)))),
                    );
                }
                _ => {}
            }
        }
        all
    }

    fn assert_known(found: Vec<(String, Vec<String>)>, known: &Keys) {
        for (place, mut found) in found {
            let mut known = known
                .iter()
                .find(|(known, _)| *known == place)
                .expect(&place)
                .1
                .to_vec();
            (found.sort(), known.sort());
            assert_eq!(found, known, "[{place}]");
        }
    }

    #[test]
    fn the_lists_of_known_keys_are_those_of_the_files() {
        let text = "kinds = { \"x.a\" = \"A\" }\nrates = { EUR = 1 }\n";
        let shop: ShopFile = toml::from_str(&format!(
            "{GOOD}{text}[caps]\npoints_per_event = 1\ndiscount_amount = 1\ndiscount_share = 1\n\
             [[locations]]\nid = \"a\"\nname = \"A\"\ncountry = \"US\"\ntime_zone = \"UTC\"\nopened = \"2024-01-01\"\nclosed = \"2024-01-02\"\n"
        ))
        .unwrap();
        assert_known(keys_of(&shop), MERCHANT_KEYS);
        let server = ServerFile {
            listen: Some(([127, 0, 0, 1], 80).into()),
            lanes: Some(1),
            queue: Some(1),
            log: LogFile::default(),
        };
        assert_known(keys_of(&server), SERVER_KEYS);
    }

    #[test]
    fn a_schema_is_read_from_beside_the_manifest_and_from_nowhere_else() {
        assert_eq!(
            schema_of("configuration = \"a.json\""),
            Some("a.json".into())
        );
        for elsewhere in ["../a.json", "/etc/passwd", "..", "x/a.json"] {
            assert_eq!(schema_of(&format!("configuration = {elsewhere:?}")), None);
        }
    }
}
