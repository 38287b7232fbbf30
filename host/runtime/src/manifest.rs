//! What a plugin says of itself and what the operator says to it: `NAME.toml`.
//!
//! The file is the author's `plugin.toml` with the operator's `[config]` and `grant` beside it.
//! With `pack = "…"` the author's part is the one that the pack carries, and what the file says
//! goes above it. Nothing here reads files or looks at components; it reads text and says in
//! which line it is wrong.

use crate::limits::{LimitError, Limits, MANIFEST_BYTES_MAX};
use crate::nearest::nearest;
use semver::Version;
use serde::Deserialize;
use stampcard_pipeline::rules::Role;
use std::collections::BTreeMap;
use toml::{Table, Value};

/// A plugin's manifest, checked by itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    pub name: String,
    pub version: Version,
    pub roles: Vec<Role>,
    /// Kinds of events that it is called for; `*` is every kind.
    pub events: Vec<String>,
    /// Groups of facts that it wants.
    pub facts: Vec<String>,
    /// Personal data that it asks for.
    pub personal: Vec<Personal>,
    /// Raised by the author when the bytes of its state change their meaning.
    pub state_version: u32,
    /// Plugins that decide before it.
    pub after: Vec<String>,
    pub configuration: Option<SchemaSource>,
    /// What it owns, each with its sentence for people.
    pub owns: Owned,
    /// Kinds of keys that it owns as far as they are in its configuration.
    pub owns_configured: Vec<OwnedKind>,
    pub limits: Limits,
}

/// Keys that one plugin alone may decide, each with its sentence.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Owned {
    pub segments: BTreeMap<String, String>,
    pub tiers: BTreeMap<String, String>,
    pub tags: BTreeMap<String, String>,
}

/// Where the JSON Schema of a configuration is.
#[derive(Clone, Debug, PartialEq)]
pub enum SchemaSource {
    /// In a file of that name beside the manifest.
    File(String),
    Inline(serde_json::Value),
}

/// Personal data that a plugin may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Personal {
    Name,
    Email,
    Phone,
    Address,
}

/// Of what a plugin may own keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OwnedKind {
    Segments,
    Tiers,
    Tags,
}

/// `NAME.toml`: the manifest, and what the operator says beside it.
#[derive(Clone, Debug, PartialEq)]
pub struct PluginFile {
    pub manifest: Manifest,
    /// The plugin of the program's own pack that it is.
    pub pack: Option<String>,
    /// The `[config]` table as JSON.
    pub config: serde_json::Value,
    /// Personal data that the operator lets it see.
    pub grant: Vec<Personal>,
}

/// A plugin that the program itself carries.
#[derive(Clone, Copy, Debug)]
pub struct PackPlugin<'a> {
    /// By what `pack = "…"` names it.
    pub name: &'a str,
    /// Its `plugin.toml`.
    pub manifest: &'a str,
    /// The JSON Schema of its configuration, if it takes one.
    pub schema: Option<&'a str>,
    pub component: &'a [u8],
}

/// What is wrong with a `NAME.toml`, and what to write instead.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ManifestError {
    #[error("the file has {bytes} bytes, more than the {MANIFEST_BYTES_MAX} that it may have")]
    TooLarge { bytes: usize },
    #[error("not TOML: {0}")]
    NotToml(String),
    #[error("`{place}{key}` is not a key; did you mean `{place}{nearest}`?")]
    UnknownKey { place: String, key: String, nearest: &'static str },
    #[error("`{key}` is missing")]
    Missing { key: &'static str },
    #[error("`{key}` must be {expected}")]
    Type { key: String, expected: &'static str },
    #[error("{key}: `{written}` is none; did you mean `{nearest}`? They are {}", .known.join(", "))]
    UnknownWord { key: &'static str, written: String, nearest: &'static str, known: Vec<&'static str> },
    #[error("{key} must not be empty")]
    Empty { key: &'static str },
    #[error("{key} names `{word}` twice")]
    Twice { key: &'static str, word: String },
    #[error("version: `{written}` is not a version such as 1.0.0")]
    Version { written: String },
    #[error("name: the file is named {file}.toml and says that it is `{written}`; name both alike")]
    Name { written: String, file: String },
    #[error("`{written}` is not a name; a name has letters, digits, `-` and `_`, begins with a letter, and at most 64 of them")]
    NotAName { written: String },
    #[error("configuration: `{written}` is not the name of a file beside the manifest")]
    NotAFile { written: String },
    #[error("events: `{written}` is not a kind of event; `sale.completed` and `*` are")]
    NotAKind { written: String },
    #[error("pack: this program carries no `{written}`; it carries {}", .known.join(", "))]
    UnknownPack { written: String, known: Vec<String> },
    #[error(transparent)]
    Limit(#[from] LimitError),
    #[error("{path}: {number} cannot be told exactly; whole numbers go to ±9007199254740991")]
    Number { path: String, number: String },
    #[error("owns_configured: config.{kind}.{key} has no `explain`, the sentence for people")]
    NoSentence { kind: &'static str, key: String },
}

const MANIFEST_KEYS: [&str; 14] = [
    "name",
    "version",
    "roles",
    "events",
    "facts",
    "personal",
    "state_version",
    "after",
    "configuration",
    "segments",
    "tiers",
    "tags",
    "owns_configured",
    "limits",
];
const OPERATOR_KEYS: [&str; 3] = ["pack", "config", "grant"];
const FACT_SCOPES: [&str; 6] = ["location", "category", "collection", "product", "tag", "staff"];

impl Personal {
    const ALL: [Personal; 4] = [Personal::Name, Personal::Email, Personal::Phone, Personal::Address];

    pub fn name(self) -> &'static str {
        match self {
            Personal::Name => "name",
            Personal::Email => "email",
            Personal::Phone => "phone",
            Personal::Address => "address",
        }
    }
}

impl OwnedKind {
    const ALL: [OwnedKind; 3] = [OwnedKind::Segments, OwnedKind::Tiers, OwnedKind::Tags];

    pub fn name(self) -> &'static str {
        match self {
            OwnedKind::Segments => "segments",
            OwnedKind::Tiers => "tiers",
            OwnedKind::Tags => "tags",
        }
    }
}

impl Owned {
    pub fn of(&self, kind: OwnedKind) -> &BTreeMap<String, String> {
        match kind {
            OwnedKind::Segments => &self.segments,
            OwnedKind::Tiers => &self.tiers,
            OwnedKind::Tags => &self.tags,
        }
    }

    fn of_mut(&mut self, kind: OwnedKind) -> &mut BTreeMap<String, String> {
        match kind {
            OwnedKind::Segments => &mut self.segments,
            OwnedKind::Tiers => &mut self.tiers,
            OwnedKind::Tags => &mut self.tags,
        }
    }
}

/// The pack that a `NAME.toml` names, if it can be read and names one.
pub(crate) fn pack_of(text: &str) -> Option<String> {
    Some(table(text).ok()?.get("pack")?.as_str()?.to_owned())
}

/// The file beside a `NAME.toml` that has the JSON Schema of its configuration, for whoever reads
/// the shop's folder. `None` if it names none, or cannot be read, which loading it then explains.
pub fn schema_file_of(text: &str) -> Option<String> {
    let named = table(text).ok()?.get("configuration")?.as_str()?.to_owned();
    is_file_name(&named).then_some(named)
}

impl PluginFile {
    /// Reads `NAME.toml`. `name` is the file's name without its ending.
    pub fn read(name: &str, text: &str, packs: &[PackPlugin]) -> Result<PluginFile, ManifestError> {
        let mut file = table(text)?;
        let known = MANIFEST_KEYS.iter().chain(&OPERATOR_KEYS).copied();
        check_keys("", &file, &known.collect::<Vec<_>>())?;
        let config = match file.remove("config") {
            None => serde_json::Value::Object(serde_json::Map::new()),
            Some(Value::Table(config)) => json("config", Value::Table(config))?,
            Some(_) => return Err(ManifestError::Type { key: "config".into(), expected: "a table" }),
        };
        let grant = words(&mut file, "grant", Personal::ALL, Personal::name)?;
        let pack = file.remove("pack").map(|pack| text_of("pack", &pack)).transpose()?;
        if let Some(pack) = &pack {
            // A pack may be used under any name, and twice under two.
            file.entry("name").or_insert_with(|| name.into());
            file = above(file, pack, packs)?;
        }
        let mut manifest = Manifest::of(file)?;
        if manifest.name != name {
            return Err(ManifestError::Name { written: manifest.name, file: name.into() });
        }
        own_configured(&mut manifest, &config)?;
        Ok(PluginFile { manifest, pack, config, grant })
    }
}

impl Manifest {
    /// Reads an author's `plugin.toml`, which has nothing of an operator in it.
    pub fn read(text: &str) -> Result<Manifest, ManifestError> {
        let file = table(text)?;
        check_keys("", &file, &MANIFEST_KEYS)?;
        Manifest::of(file)
    }

    fn of(mut file: Table) -> Result<Manifest, ManifestError> {
        let missing = |key| ManifestError::Missing { key };
        let name = text_of("name", &file.remove("name").ok_or(missing("name"))?)?;
        check_name(&name)?;
        let version = text_of("version", &file.remove("version").ok_or(missing("version"))?)?;
        let version = version.parse().map_err(|_| ManifestError::Version { written: version })?;
        let roles = words(&mut file, "roles", Role::ALL, Role::name)?;
        let events = list(&mut file, "events")?;
        for (key, empty) in [("roles", roles.is_empty()), ("events", events.is_empty())] {
            if empty {
                return Err(ManifestError::Empty { key });
            }
        }
        if let Some(written) = events.iter().find(|kind| !is_kind(kind)) {
            return Err(ManifestError::NotAKind { written: written.clone() });
        }
        let facts = words(&mut file, "facts", FACT_SCOPES, |scope| scope)?;
        let personal = words(&mut file, "personal", Personal::ALL, Personal::name)?;
        let after = list(&mut file, "after")?;
        after.iter().try_for_each(|name| check_name(name))?;
        let state_version = match file.remove("state_version") {
            None => 1,
            Some(version) => u32::deserialize(version).map_err(|_| ManifestError::Type {
                key: "state_version".into(),
                expected: "a whole number from 0",
            })?,
        };
        let configuration = match file.remove("configuration") {
            None => None,
            Some(Value::String(name)) if is_file_name(&name) => Some(SchemaSource::File(name)),
            Some(Value::String(written)) => return Err(ManifestError::NotAFile { written }),
            Some(Value::Table(schema)) => Some(SchemaSource::Inline(json("configuration", Value::Table(schema))?)),
            Some(_) => {
                let expected = "the name of a file with a JSON Schema, or the schema itself as a table";
                return Err(ManifestError::Type { key: "configuration".into(), expected });
            }
        };
        let mut owns = Owned::default();
        for kind in OwnedKind::ALL {
            *owns.of_mut(kind) = owned(&mut file, kind.name())?;
        }
        let owns_configured = words(&mut file, "owns_configured", OwnedKind::ALL, OwnedKind::name)?;
        let limits = limits(&mut file)?;
        Ok(Manifest {
            name,
            version,
            roles,
            events,
            facts: facts.into_iter().map(str::to_owned).collect(),
            personal,
            state_version,
            after,
            configuration,
            owns,
            owns_configured,
            limits,
        })
    }
}

/// The pack's manifest with what the operator's file says above it, key by key.
fn above(file: Table, pack: &str, packs: &[PackPlugin]) -> Result<Table, ManifestError> {
    let Some(carried) = packs.iter().find(|carried| carried.name == pack) else {
        let known = packs.iter().map(|carried| carried.name.to_owned()).collect();
        return Err(ManifestError::UnknownPack { written: pack.into(), known });
    };
    let mut manifest = table(carried.manifest)?;
    check_keys("", &manifest, &MANIFEST_KEYS)?;
    manifest.extend(file);
    Ok(manifest)
}

/// Adds the keys that the plugin owns because its configuration has them.
fn own_configured(manifest: &mut Manifest, config: &serde_json::Value) -> Result<(), ManifestError> {
    for kind in manifest.owns_configured.clone() {
        let configured = config.get(kind.name()).and_then(serde_json::Value::as_object);
        for (key, entry) in configured.into_iter().flatten() {
            let sentence = entry.get("explain").and_then(serde_json::Value::as_str);
            let sentence = sentence.ok_or(ManifestError::NoSentence { kind: kind.name(), key: key.clone() })?;
            manifest.owns.of_mut(kind).insert(key.clone(), sentence.into());
        }
    }
    Ok(())
}

fn table(text: &str) -> Result<Table, ManifestError> {
    if text.len() > MANIFEST_BYTES_MAX {
        return Err(ManifestError::TooLarge { bytes: text.len() });
    }
    text.parse().map_err(|error: toml::de::Error| ManifestError::NotToml(error.to_string().trim_end().into()))
}

fn check_keys(place: &str, table: &Table, known: &[&'static str]) -> Result<(), ManifestError> {
    match table.keys().find(|key| !known.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => Err(ManifestError::UnknownKey {
            place: place.into(),
            key: key.clone(),
            nearest: nearest(key, known.iter().copied()),
        }),
    }
}

fn text_of(key: &str, value: &Value) -> Result<String, ManifestError> {
    let text = value.as_str().map(str::to_owned);
    text.ok_or_else(|| ManifestError::Type { key: key.into(), expected: "a text" })
}

/// A list of texts, without doubles; empty if it is not there.
fn list(file: &mut Table, key: &'static str) -> Result<Vec<String>, ManifestError> {
    let wrong = || ManifestError::Type { key: key.into(), expected: "a list of texts" };
    let values = match file.remove(key) {
        None => return Ok(Vec::new()),
        Some(Value::Array(values)) => values,
        Some(_) => return Err(wrong()),
    };
    let mut words = Vec::with_capacity(values.len());
    for value in values {
        let word = value.as_str().ok_or_else(wrong)?.to_owned();
        if words.contains(&word) {
            return Err(ManifestError::Twice { key, word });
        }
        words.push(word);
    }
    Ok(words)
}

/// A list of words of which only some are known.
fn words<W: Copy>(
    file: &mut Table,
    key: &'static str,
    known: impl IntoIterator<Item = W> + Clone,
    name: impl Fn(W) -> &'static str,
) -> Result<Vec<W>, ManifestError> {
    let mut found = Vec::new();
    for written in list(file, key)? {
        match known.clone().into_iter().find(|word| name(*word) == written) {
            Some(word) => found.push(word),
            None => {
                let known: Vec<_> = known.into_iter().map(name).collect();
                let nearest = nearest(&written, known.iter().copied());
                return Err(ManifestError::UnknownWord { key, written, nearest, known });
            }
        }
    }
    Ok(found)
}

/// `[segments.vip] explain = "…"` and the like.
fn owned(file: &mut Table, kind: &'static str) -> Result<BTreeMap<String, String>, ManifestError> {
    let wrong = |key: String| ManifestError::Type { key, expected: "a table with `explain`" };
    let entries = match file.remove(kind) {
        None => return Ok(BTreeMap::new()),
        Some(Value::Table(entries)) => entries,
        Some(_) => return Err(wrong(kind.into())),
    };
    let mut owned = BTreeMap::new();
    for (key, entry) in entries {
        let place = format!("{kind}.{key}");
        let Value::Table(entry) = entry else { return Err(wrong(place)) };
        check_keys(&format!("{place}."), &entry, &["explain"])?;
        let explain = entry.get("explain").ok_or_else(|| wrong(place.clone()))?;
        owned.insert(key, text_of(&format!("{place}.explain"), explain)?);
    }
    Ok(owned)
}

fn limits(file: &mut Table) -> Result<Limits, ManifestError> {
    let mut limits = Limits::default();
    let asked = match file.remove("limits") {
        None => return Ok(limits),
        Some(Value::Table(asked)) => asked,
        Some(_) => return Err(ManifestError::Type { key: "limits".into(), expected: "a table" }),
    };
    for (name, value) in asked {
        let wrong = || ManifestError::Type { key: format!("limits.{name}"), expected: "a whole number" };
        limits.set(&name, value.as_integer().ok_or_else(wrong)?)?;
    }
    Ok(limits)
}

/// TOML as JSON. Dates become texts, because JSON has none.
fn json(path: &str, value: Value) -> Result<serde_json::Value, ManifestError> {
    const EXACT: i64 = stampcard_pipeline::limits::NUMBER_MAX;
    let number = |number: String| ManifestError::Number { path: path.into(), number };
    Ok(match value {
        Value::String(text) => text.into(),
        Value::Integer(whole) if whole.unsigned_abs() <= EXACT as u64 => whole.into(),
        Value::Integer(whole) => return Err(number(whole.to_string())),
        Value::Float(float) => {
            serde_json::Number::from_f64(float).ok_or_else(|| number(float.to_string()))?.into()
        }
        Value::Boolean(choice) => choice.into(),
        Value::Datetime(date) => date.to_string().into(),
        Value::Array(values) => {
            let values = values.into_iter().enumerate().map(|(at, value)| json(&format!("{path}[{at}]"), value));
            values.collect::<Result<Vec<_>, _>>()?.into()
        }
        Value::Table(table) => {
            let entry = |(key, value)| Ok((json(&format!("{path}.{key}"), value)?, key));
            let entries = table.into_iter().map(entry).collect::<Result<Vec<_>, ManifestError>>()?;
            entries.into_iter().map(|(value, key)| (key, value)).collect()
        }
    })
}

fn check_name(name: &str) -> Result<(), ManifestError> {
    let fits = name.len() <= 64
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.chars().all(|char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_'));
    if fits { Ok(()) } else { Err(ManifestError::NotAName { written: name.into() }) }
}

fn is_file_name(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', '\0'])
}

fn is_kind(kind: &str) -> bool {
    let word = |word: &str| !word.is_empty() && word.chars().all(|char| matches!(char, 'a'..='z' | '0'..='9' | '_' | '-'));
    kind == "*" || (kind.contains('.') && kind.split('.').all(word))
}
