//! What a plugin says of itself and what the operator says to it: `NAME.toml`.
//!
//! The file is the author's `plugin.toml` with the operator's `[config]` and `grant` beside it.
//! With `pack = "…"` the author's part is the one that the pack carries, and what the file says
//! goes above it. Nothing here reads files or looks at components; it reads text and says in
//! which line it is wrong.

pub use crate::manifest_toml::toml_problem;

use crate::limits::{LimitError, Limits, MANIFEST_BYTES_MAX};
use crate::manifest_toml::{
    check_keys, check_name, is_file_name, is_kind, json, limits, list, messages_to, owned, table,
    text_of, words,
};
use crate::nearest::nearest;
use semver::Version;
use serde::Deserialize;
use stampcard_pipeline::campaigns::{Campaign, CampaignError};
use stampcard_pipeline::person::PersonField;
use stampcard_pipeline::rules::{Isolation, MessagesTo, Role};
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
    /// The key of its configuration under which its campaigns stand.
    pub campaigns: Option<String>,
    /// Whom its messages are for, if it says so.
    pub messages_to: Option<MessagesTo>,
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
    /// What the operator lets its calls run in.
    pub isolation: Isolation,
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
    UnknownKey {
        place: String,
        key: String,
        nearest: &'static str,
    },
    #[error("`{key}` is missing")]
    Missing { key: &'static str },
    #[error("`{key}` must be {expected}")]
    Type { key: String, expected: &'static str },
    #[error("{key}: `{written}` is none; did you mean `{nearest}`? They are {}", .known.join(", "))]
    UnknownWord {
        key: &'static str,
        written: String,
        nearest: &'static str,
        known: Vec<&'static str>,
    },
    #[error("{key} must not be empty")]
    Empty { key: &'static str },
    #[error("{key} names `{word}` twice")]
    Twice { key: &'static str, word: String },
    #[error("version: `{written}` is not a version such as 1.0.0")]
    Version { written: String },
    #[error("name: the file is named {file}.toml and says that it is `{written}`; name both alike")]
    Name { written: String, file: String },
    #[error(
        "`{written}` is not a name; a name has letters, digits, `-` and `_`, begins with a letter, and at most 64 of them"
    )]
    NotAName { written: String },
    #[error("configuration: `{written}` is not the name of a file beside the manifest")]
    NotAFile { written: String },
    #[error("events: `{written}` is not a kind of event; `sale.completed` and `*` are")]
    NotAKind { written: String },
    #[error(
        "the file names a pack, and {file} is there, too; one of them is the plugin, so remove the other"
    )]
    PackAndSource { file: String },
    #[error("pack: this program carries no `{written}`; it carries {}", .known.join(", "))]
    UnknownPack { written: String, known: Vec<String> },
    #[error(transparent)]
    Limit(#[from] LimitError),
    #[error(transparent)]
    Campaigns(#[from] CampaignError),
    #[error("{path}: {number} cannot be told exactly; whole numbers go to ±9007199254740991")]
    Number { path: String, number: String },
    #[error(
        "`messages_to` is missing: a follow-up trigger says whom its messages are for; write their segments, such as \
         `messages_to = [\"vip\"]`, or `messages_to = \"everybody\"` if it is meant for all, or `messages_to = []` if it \
         sends none"
    )]
    NoTarget,
    #[error("owns_configured: config.{kind}.{key} has no `explain`, the sentence for people")]
    NoSentence { kind: &'static str, key: String },
}

const MANIFEST_KEYS: [&str; 16] = [
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
    "campaigns",
    "messages_to",
    "limits",
];
const OPERATOR_KEYS: [&str; 4] = ["pack", "config", "grant", "isolation"];
/// What an operator may let the calls of a plugin run in.
const ISOLATIONS: [Isolation; 2] = [Isolation::Fresh, Isolation::VerifiedReuse];
const FACT_SCOPES: [&str; 6] = [
    "location",
    "category",
    "collection",
    "product",
    "tag",
    "staff",
];

impl Personal {
    const ALL: [Personal; 4] = [
        Personal::Name,
        Personal::Email,
        Personal::Phone,
        Personal::Address,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Personal::Name => "name",
            Personal::Email => "email",
            Personal::Phone => "phone",
            Personal::Address => "address",
        }
    }
}

impl Personal {
    /// What was granted to a plugin that may name these fields.
    pub fn of(fields: &[PersonField]) -> Vec<Personal> {
        let granted = |one: &Personal| one.fields().iter().all(|field| fields.contains(field));
        Personal::ALL.into_iter().filter(granted).collect()
    }

    /// What a plugin that has it may name in its texts.
    pub fn fields(self) -> &'static [PersonField] {
        match self {
            Personal::Name => &[PersonField::GivenName, PersonField::FamilyName],
            Personal::Email => &[PersonField::Email],
            Personal::Phone => &[PersonField::Phone],
            Personal::Address => &[PersonField::Address],
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
            Some(_) => {
                return Err(ManifestError::Type {
                    key: "config".into(),
                    expected: "a table",
                });
            }
        };
        let grant = words(&mut file, "grant", Personal::ALL, Personal::name)?;
        let isolation = isolation(&mut file)?;
        let pack = file
            .remove("pack")
            .map(|pack| text_of("pack", &pack))
            .transpose()?;
        if let Some(pack) = &pack {
            // A pack may be used under any name, and twice under two.
            file.entry("name").or_insert_with(|| name.into());
            file = above(file, pack, packs)?;
        }
        let mut manifest = Manifest::of(file)?;
        if manifest.name != name {
            return Err(ManifestError::Name {
                written: manifest.name,
                file: name.into(),
            });
        }
        own_configured(&mut manifest, &config)?;
        if let Some(key) = &manifest.campaigns {
            Campaign::of(&config, key)?;
        }
        Ok(PluginFile {
            manifest,
            pack,
            config,
            grant,
            isolation,
        })
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
        let version = text_of(
            "version",
            &file.remove("version").ok_or(missing("version"))?,
        )?;
        let version = version
            .parse()
            .map_err(|_| ManifestError::Version { written: version })?;
        let roles = words(&mut file, "roles", Role::ALL, Role::name)?;
        let events = list(&mut file, "events")?;
        for (key, empty) in [("roles", roles.is_empty()), ("events", events.is_empty())] {
            if empty {
                return Err(ManifestError::Empty { key });
            }
        }
        if let Some(written) = events.iter().find(|kind| !is_kind(kind)) {
            return Err(ManifestError::NotAKind {
                written: written.clone(),
            });
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
            Some(Value::Table(schema)) => Some(SchemaSource::Inline(json(
                "configuration",
                Value::Table(schema),
            )?)),
            Some(_) => {
                let expected =
                    "the name of a file with a JSON Schema, or the schema itself as a table";
                return Err(ManifestError::Type {
                    key: "configuration".into(),
                    expected,
                });
            }
        };
        let mut owns = Owned::default();
        for kind in OwnedKind::ALL {
            *owns.of_mut(kind) = owned(&mut file, kind.name())?;
        }
        let owns_configured = words(
            &mut file,
            "owns_configured",
            OwnedKind::ALL,
            OwnedKind::name,
        )?;
        let campaigns = file
            .remove("campaigns")
            .map(|key| text_of("campaigns", &key))
            .transpose()?;
        let messages_to = messages_to(&mut file)?;
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
            campaigns,
            messages_to,
            limits,
        })
    }

    /// A plugin that may plan messages says whom they are for.
    pub(crate) fn check_target(&self) -> Result<(), ManifestError> {
        let may_plan = self.roles.contains(&Role::FollowUpTrigger);
        match &self.messages_to {
            None if may_plan => Err(ManifestError::NoTarget),
            _ => Ok(()),
        }
    }
}

fn isolation(file: &mut Table) -> Result<Isolation, ManifestError> {
    let Some(written) = file.remove("isolation") else {
        return Ok(Isolation::default());
    };
    let written = text_of("isolation", &written)?;
    let mut isolations = ISOLATIONS.into_iter();
    let found = isolations.find(|isolation| isolation.name() == written);
    found.ok_or_else(|| {
        let known: Vec<_> = ISOLATIONS.iter().map(Isolation::name).collect();
        ManifestError::UnknownWord {
            key: "isolation",
            nearest: nearest(&written, known.iter().copied()),
            written,
            known,
        }
    })
}

/// What a source says of itself: an author's manifest, all of it in one place.
pub(crate) fn author_alone(text: &str) -> Result<Table, ManifestError> {
    let file = table(text)?;
    check_keys("", &file, &MANIFEST_KEYS)?;
    if file.get("configuration").is_some_and(Value::is_str) {
        return Err(ManifestError::Type {
            key: "configuration".into(),
            expected: "the JSON Schema itself, because a source has no file for it beside it",
        });
    }
    Ok(file)
}

/// `NAME.toml` with what it takes from its pack written out.
pub(crate) fn without_pack(
    name: &str,
    text: &str,
    packs: &[PackPlugin],
) -> Result<String, ManifestError> {
    let mut file = table(text)?;
    if let Some(pack) = file.remove("pack") {
        file.entry("name").or_insert_with(|| name.into());
        file = above(file, &text_of("pack", &pack)?, packs)?;
    }
    Ok(file.to_string())
}

/// The pack's manifest with what the operator's file says above it, key by key.
fn above(file: Table, pack: &str, packs: &[PackPlugin]) -> Result<Table, ManifestError> {
    let Some(carried) = packs.iter().find(|carried| carried.name == pack) else {
        let known = packs
            .iter()
            .map(|carried| carried.name.to_owned())
            .collect();
        return Err(ManifestError::UnknownPack {
            written: pack.into(),
            known,
        });
    };
    let mut manifest = table(carried.manifest)?;
    check_keys("", &manifest, &MANIFEST_KEYS)?;
    manifest.extend(file);
    Ok(manifest)
}

/// Adds the keys that the plugin owns because its configuration has them.
fn own_configured(
    manifest: &mut Manifest,
    config: &serde_json::Value,
) -> Result<(), ManifestError> {
    for kind in manifest.owns_configured.clone() {
        let configured = config
            .get(kind.name())
            .and_then(serde_json::Value::as_object);
        for (key, entry) in configured.into_iter().flatten() {
            let sentence = entry.get("explain").and_then(serde_json::Value::as_str);
            let sentence = sentence.ok_or(ManifestError::NoSentence {
                kind: kind.name(),
                key: key.clone(),
            })?;
            manifest
                .owns
                .of_mut(kind)
                .insert(key.clone(), sentence.into());
        }
    }
    Ok(())
}
