//! A shop's folder: which files it has, and how they are read. [`ShopsFolder`] is a folder of them.
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

mod shops;
pub mod unknown;

pub use shops::{Place, ShopsFolder};

use crate::packs::{KeyError, TrustedKey};
use crate::sources;
use serde::{Deserialize, Serialize};
use stampcard_pipeline::shop::{Shop, ShopError, ShopFile};
use stampcard_runtime::Candidate;
use stampcard_runtime::limits::{COMPONENT_BYTES_MAX, MANIFEST_BYTES_MAX};
use stampcard_runtime::manifest::toml_problem;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroU64};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use unknown::{Keys, MERCHANT_KEYS, SERVER_KEYS, UnknownKey, check_keys};

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
    /// Where a server of several shops answers whoever runs it: `/readyz` and `/metrics` of all shops.
    /// The port after that of `listen`, on this machine alone, where it is not given.
    pub operations: Option<SocketAddr>,
    /// Threads that decide the events of a shop: as many as the machine has processors, where it is
    /// not given, and of several shops each its part of them.
    pub lanes: Option<usize>,
    /// Events that wait in each lane before tills are asked to come back.
    pub queue: Option<usize>,
    /// Requests that one key may send in a minute, the events of a batch counted each.
    pub requests_per_minute: Option<NonZeroU32>,
    pub log: LogFile,
    pub telemetry: TelemetryFile,
    /// Whose packs are let in: a name of the shop's choosing, and the public key of minisign's.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub trusted_keys: BTreeMap<String, String>,
}

/// A thousand requests a second, minute after minute: more than any store has, so that who sends
/// more has a mistake or means harm, and few enough that a lane and the disk are left to the others.
pub const REQUESTS_PER_MINUTE: NonZeroU32 = NonZeroU32::new(60_000).expect("it is not zero");

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

/// Traces for OpenTelemetry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TelemetryFile {
    /// The address of a collector that takes OTLP over HTTP, such as `http://127.0.0.1:4318`. None is
    /// no traces.
    pub otlp: Option<String>,
    /// What this server is called there.
    pub service: String,
    /// One request in so many is traced, and each that belongs to a trace that its caller began.
    pub one_in: NonZeroU64,
}

impl Default for TelemetryFile {
    fn default() -> TelemetryFile {
        TelemetryFile {
            otlp: None,
            service: "stampcard".into(),
            one_in: NonZeroU64::MIN,
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
        "{dir} holds several shops, and this command is for one: name it, such as {dir}/{first}",
        dir = .dir.display()
    )]
    SeveralShops { dir: PathBuf, first: String },
    #[error("{}: trusted_keys: {error}", .path.display())]
    Key {
        path: PathBuf,
        #[source]
        error: KeyError,
    },
    #[error(
        "there is no folder for compiled plugins: neither STAMPCARD_CACHE nor XDG_CACHE_HOME nor HOME is set; set STAMPCARD_CACHE to one that belongs to this user"
    )]
    NoCache,
}

impl Folder {
    pub fn at(dir: &Path) -> Folder {
        Folder { dir: dir.into() }
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The merchant's name: that of the folder, as it was given where it was given by name.
    pub fn name(&self) -> String {
        if let Some(name) = self.dir.file_name() {
            return name.to_string_lossy().into_owned();
        }
        let whole = fs::canonicalize(&self.dir).unwrap_or_else(|_| self.dir.clone());
        whole
            .file_name()
            .map_or_else(|| "shop".into(), |name| name.to_string_lossy().into_owned())
    }

    /// Where the database is; it may be a disk of its own.
    pub fn data(&self) -> PathBuf {
        self.dir.join(DATA)
    }

    pub fn database(&self) -> PathBuf {
        self.data().join(DATABASE)
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

    /// Whose packs are let in: those whom the shop's own `stampcard.toml` names, and, where the shop is
    /// one of several, those whom the server's does. A file that is another user's says nothing here:
    /// a shop may lie in a folder into which many write.
    pub fn trusted_keys(&self) -> Result<Vec<TrustedKey>, ConfigError> {
        let mut places = vec![self.clone()];
        let whole = fs::canonicalize(&self.dir).unwrap_or_else(|_| self.dir.clone());
        let owner = |path: &Path| fs::metadata(path).ok().map(|found| found.uid());
        if let Some(above) = whole.parent()
            && let Some(writer) = owner(&above.join(SERVER_FILE))
            && (writer == 0 || owner(&whole) == Some(writer))
        {
            places.push(Folder::at(above));
        }
        let mut keys = Vec::new();
        for place in places {
            for (name, key) in place.server()?.trusted_keys {
                let key = TrustedKey::new(&name, &key);
                keys.push(key.map_err(|error| ConfigError::Key {
                    path: place.dir.join(SERVER_FILE),
                    error,
                })?);
            }
        }
        Ok(keys)
    }

    /// `merchant.toml`, checked.
    pub fn shop(&self) -> Result<Shop, ConfigError> {
        let path = self.dir.join(MERCHANT_FILE);
        if !path.exists() {
            return Err(self.not_a_shop());
        }
        let file: ShopFile = read(&path, MERCHANT_KEYS)?;
        Shop::new(file).map_err(|error| ConfigError::Shop { path, error })
    }

    /// The folder of a command that is for one shop.
    pub fn of_one(dir: &Path) -> Result<Folder, ConfigError> {
        let folder = Folder::at(dir);
        match folder.not_a_shop() {
            several @ ConfigError::SeveralShops { .. } => Err(several),
            _ => Ok(folder),
        }
    }

    /// Why the folder is not one shop's.
    fn not_a_shop(&self) -> ConfigError {
        if let Ok(Place::Shops(shops)) = Place::at(&self.dir)
            && let Some(first) = shops.folders().ok().and_then(|all| all.first().cloned())
        {
            return ConfigError::SeveralShops {
                dir: self.dir.clone(),
                first: first.name(),
            };
        }
        ConfigError::NotAShop {
            path: self.dir.join(MERCHANT_FILE),
        }
    }

    /// What the folder has for plugins: each `NAME.toml`, with its `NAME.wasm` and its schema, and each
    /// source, which is not built yet. A component without a `NAME.toml` is a candidate too, so that it is
    /// listed as not loaded.
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
            let is_ours = matches!(ending, Some("toml" | "wasm")) || sources::is_source(&path);
            if let Some(name) = name.filter(|name| is_ours && !name.starts_with('.')) {
                names.insert(name.to_owned());
            }
        }
        names.into_iter().map(|name| self.candidate(name)).collect()
    }

    /// Everything of the folder for plugins that belongs to one, as `plugins/NAME.ending`.
    pub fn plugin_files(&self) -> Result<Vec<String>, ConfigError> {
        let dir = self.plugins();
        let failed = |source| ConfigError::Read {
            path: dir.clone(),
            source,
        };
        let entries = match fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(failed(source)),
        };
        let mut files = Vec::new();
        for entry in entries {
            let path = entry.map_err(failed)?.path();
            let ending = path.extension().and_then(|ending| ending.to_str());
            let name = path.file_name().and_then(|name| name.to_str());
            let is_ours =
                matches!(ending, Some("toml" | "wasm" | "json")) || sources::is_source(&path);
            if let Some(name) = name.filter(|name| is_ours && !name.starts_with('.'))
                && path.is_file()
            {
                files.push(format!("{PLUGINS}/{name}"));
            }
        }
        files.sort();
        Ok(files)
    }

    fn candidate(&self, name: String) -> Result<Candidate, ConfigError> {
        let dir = self.plugins();
        let file = text(&dir.join(format!("{name}.toml")), MANIFEST_BYTES_MAX)?.unwrap_or_default();
        let source = sources::find(&dir, &name, &file)?;
        // One byte more than may be, so that the loader sees that it is too much and says so.
        let component = match source {
            Some(_) => None,
            None => bytes(&dir.join(format!("{name}.wasm")), COMPONENT_BYTES_MAX + 1)?,
        };
        let schema = match schema_of(&file) {
            Some(schema) => text(&dir.join(schema), MANIFEST_BYTES_MAX)?,
            None => None,
        };
        Ok(Candidate {
            name,
            file,
            component,
            schema,
            was_live: false,
            source,
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
    parse(path, &text, keys)
}

fn parse<T: for<'de> Deserialize<'de>>(
    path: &Path,
    text: &str,
    keys: &Keys,
) -> Result<T, ConfigError> {
    check_keys(path, text, keys)?;
    toml::from_str(text).map_err(|error| ConfigError::Toml {
        path: path.into(),
        problem: toml_problem(&error),
    })
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
pub fn bytes(path: &Path, most: usize) -> Result<Option<Vec<u8>>, ConfigError> {
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
#[path = "../../../tests/fuzz/fuzz.rs"]
pub mod fuzz;

#[cfg(test)]
mod fuzzed {
    use super::*;

    #[test]
    fn no_text_of_a_shops_files_makes_the_host_panic() {
        let merchant = "name = 'A'\ncurrency = 'USD'\ntime_zone = 'America/New_York'\ncountry = 'US'\ntiers = ['gold']\n\
                        rates = { EUR = 1080000 }\nkinds = { 'x.a' = 'A.' }\n[policies]\nlate = 'correct'\nlate_window_days = 30\n\
                        [caps]\npoints_per_event = 5\n[[locations]]\nid = 'a'\nname = 'A'\nopened = '2024-01-01'\n";
        let server =
            "listen = '127.0.0.1:80'\nlanes = 2\nrequests_per_minute = 5\n[log]\nlevel = 'info'\n";
        let inputs = [merchant, server].map(|text| text.as_bytes().to_vec());
        let words = [
            "=",
            "[",
            "[[",
            "{",
            "'''",
            "inf",
            "1979-05-27",
            "true",
            "XXX",
            "Asia/Atlantis",
            "[caps]",
            "locations",
            "\u{0}",
        ];
        let path = Path::new("merchant.toml");
        fuzz::fuzz("shop-text", inputs.to_vec(), &words, |bytes| {
            let text = String::from_utf8_lossy(bytes);
            let shop = parse::<ShopFile>(path, &text, MERCHANT_KEYS).and_then(|file| {
                Shop::new(file).map_err(|error| ConfigError::Shop {
                    path: path.into(),
                    error,
                })
            });
            let server = parse::<ServerFile>(path, &text, SERVER_KEYS);
            let came = |error: Option<ConfigError>| {
                let told = error.map_or_else(String::new, |error| error.to_string());
                let told = told.chars().filter(|letter| !letter.is_ascii_digit());
                told.take(60).collect::<String>()
            };
            format!("{} {}", came(shop.err()), came(server.err()))
        });
    }
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
