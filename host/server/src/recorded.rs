//! Rules as the database has them: what goes live is written down with its bytes, and can be made
//! live again from there alone.

use sha2::{Digest, Sha256};
use stampcard_pipeline::rules::{MessagesTo, Plugin};
use stampcard_pipeline::shop::{Shop, ShopError};
use stampcard_pipeline::store::StoreError;
use stampcard_runtime::limits::TABLE as LIMITS;
use stampcard_runtime::{Candidate, Engine, Personal, PluginFile, RuleBook};
use stampcard_store::{Artifact, ArtifactKind, PluginFiles, Reads, SourceFile};
use std::collections::HashMap;
use toml::{Table, Value};

/// Why recorded rules cannot be made live.
#[derive(Debug, thiserror::Error)]
pub enum RecordedError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the database has no {kind:?} {digest} of {plugin}")]
    Missing {
        plugin: String,
        kind: ArtifactKind,
        digest: String,
    },
    #[error("the recorded configuration of {plugin} cannot be read: {problem}")]
    Configuration { plugin: String, problem: String },
    #[error("the recorded shop cannot be: {0}")]
    Shop(#[from] ShopError),
    #[error("recorded rules cannot be loaded: {0}")]
    Load(String),
}

/// Bytes that are written down with a rule book.
pub struct Kept {
    pub kind: ArtifactKind,
    pub bytes: Vec<u8>,
}

impl Kept {
    pub fn artifact<'a>(&'a self, digest: &'a str) -> Artifact<'a> {
        Artifact {
            digest,
            kind: self.kind,
            bytes: &self.bytes,
        }
    }
}

/// The bytes that a whole candidate brings along, by digest.
pub fn kept(whole: &Candidate) -> HashMap<String, Kept> {
    let mut kept = HashMap::new();
    let mut keep = |kind, bytes: Vec<u8>| kept.insert(digest(&bytes), Kept { kind, bytes });
    if let Some(component) = &whole.component {
        keep(ArtifactKind::Component, component.clone());
    }
    keep(ArtifactKind::Manifest, whole.file.clone().into_bytes());
    if let Some(schema) = &whole.schema {
        keep(ArtifactKind::Manifest, schema.clone().into_bytes());
    }
    if let Some(source) = &whole.source {
        keep(ArtifactKind::Manifest, source.text.clone());
    }
    if let Ok(file) = PluginFile::read(&whole.name, &whole.file, &[])
        && let Ok(bytes) = serde_json_canonicalizer::to_vec(&file.config)
    {
        keep(ArtifactKind::Configuration, bytes);
    }
    kept
}

/// What a rule book says of the files of a whole candidate.
pub fn files(whole: &Candidate, made_of: String) -> PluginFiles {
    PluginFiles {
        made_of,
        manifest: digest(whole.file.as_bytes()),
        schema: whole.schema.as_ref().map(|text| digest(text.as_bytes())),
        source: whole.source.as_ref().map(|source| SourceFile {
            file: source.file.clone(),
            digest: source.digest(),
        }),
    }
}

/// `sha256:…` of some bytes.
pub fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("sha256:{hex}")
}

/// The bytes that a recorded rule book names, by digest.
pub fn artifacts(
    reads: &Reads,
    book: &stampcard_store::RuleBook,
) -> Result<HashMap<String, Kept>, RecordedError> {
    let mut kept = HashMap::new();
    for plugin in book.plugins.iter() {
        let named = [
            (ArtifactKind::Component, &plugin.digest),
            (ArtifactKind::Configuration, &plugin.configuration),
        ];
        for (kind, digest) in named {
            kept.insert(
                digest.clone(),
                Kept {
                    kind,
                    bytes: find(reads, plugin, kind, digest)?,
                },
            );
        }
    }
    for (plugin, files) in book.plugins.iter().zip(book.files.iter()) {
        let source = files.source.as_ref().map(|source| &source.digest);
        for digest in [Some(&files.manifest), files.schema.as_ref(), source]
            .into_iter()
            .flatten()
        {
            let kind = ArtifactKind::Manifest;
            let bytes = find(reads, plugin, kind, digest)?;
            kept.insert(digest.clone(), Kept { kind, bytes });
        }
    }
    Ok(kept)
}

fn find(
    reads: &Reads,
    plugin: &Plugin,
    kind: ArtifactKind,
    digest: &str,
) -> Result<Vec<u8>, RecordedError> {
    let missing = || RecordedError::Missing {
        plugin: plugin.name.clone(),
        kind,
        digest: digest.into(),
    };
    reads.artifact(digest)?.ok_or_else(missing)
}

/// What recorded rules are loaded for, which decides within which limits they are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum For {
    /// To decide what comes: within their own limits.
    Live,
    /// To decide a journal again whose failures are known: as wide as any may be, so that nothing
    /// fails now that did not fail then.
    Replay,
    /// To repeat one call, also one that failed: within the limits of then. Only the deadline is as
    /// wide as it may be, because it depends on the machine.
    Rerun,
}

/// Loads a rule book from the database: the plugins, the configuration and the shop of then.
pub fn load(
    engine: &Engine,
    reads: &Reads,
    book: &stampcard_store::RuleBook,
    purpose: For,
) -> Result<(Shop, RuleBook), RecordedError> {
    let mut file = book.shop.clone();
    // In the order of then, whatever the shop declared.
    file.plugins = book
        .plugins
        .iter()
        .map(|plugin| plugin.name.clone())
        .collect();
    let candidates = book
        .plugins
        .iter()
        .map(|plugin| candidate(reads, plugin, purpose))
        .collect::<Result<Vec<_>, _>>()?;
    let loaded = RuleBook::load(engine, &Shop::new(file)?, candidates, &[], None);
    match loaded.not_loaded() {
        [] => Ok((
            Shop::new(book.shop.clone())?,
            loaded.judged_as(&book.plugins),
        )),
        [first, ..] => Err(RecordedError::Load(first.reason.to_string())),
    }
}

/// What a plugin of a rule book was loaded from, whole, so that it can go live again.
pub fn whole(
    reads: &Reads,
    book: &stampcard_store::RuleBook,
    index: usize,
) -> Result<Candidate, RecordedError> {
    let plugin = &book.plugins[index];
    let Some(files) = book.files.get(index) else {
        return candidate(reads, plugin, For::Live);
    };
    let text = |digest: &str| -> Result<String, RecordedError> {
        let bytes = find(reads, plugin, ArtifactKind::Manifest, digest)?;
        String::from_utf8(bytes).map_err(|_| RecordedError::Configuration {
            plugin: plugin.name.clone(),
            problem: "it is not UTF-8".into(),
        })
    };
    Ok(Candidate {
        name: plugin.name.clone(),
        file: text(&files.manifest)?,
        component: Some(find(
            reads,
            plugin,
            ArtifactKind::Component,
            &plugin.digest,
        )?),
        schema: files.schema.as_deref().map(text).transpose()?,
        was_live: true,
        source: None,
    })
}

fn candidate(reads: &Reads, plugin: &Plugin, purpose: For) -> Result<Candidate, RecordedError> {
    let component = find(reads, plugin, ArtifactKind::Component, &plugin.digest)?;
    let configuration = find(
        reads,
        plugin,
        ArtifactKind::Configuration,
        &plugin.configuration,
    )?;
    let unreadable = |problem| RecordedError::Configuration {
        plugin: plugin.name.clone(),
        problem,
    };
    let configuration: Value =
        serde_json::from_slice(&configuration).map_err(|error| unreadable(error.to_string()))?;
    let manifest = toml::to_string(&manifest(plugin, configuration, purpose))
        .map_err(|error| unreadable(error.to_string()))?;
    Ok(Candidate {
        name: plugin.name.clone(),
        file: manifest,
        component: Some(component),
        schema: None,
        was_live: true,
        source: None,
    })
}

/// A manifest that loads to just this plugin. Its configuration was checked when it went live, so
/// any is taken here.
fn manifest(plugin: &Plugin, configuration: Value, purpose: For) -> Table {
    let texts = |texts: &[String]| Value::Array(texts.iter().cloned().map(Value::String).collect());
    let owned = |owned: &[(String, String)]| {
        let entry = |sentence: &String| {
            Value::Table(Table::from_iter([(
                "explain".into(),
                Value::String(sentence.clone()),
            )]))
        };
        Value::Table(
            owned
                .iter()
                .map(|(key, sentence)| (key.clone(), entry(sentence)))
                .collect(),
        )
    };
    let roles: Vec<String> = plugin
        .roles
        .iter()
        .map(|role| role.name().to_owned())
        .collect();
    let personal: Vec<String> = Personal::of(&plugin.personal)
        .into_iter()
        .map(|granted| granted.name().to_owned())
        .collect();
    let limits = LIMITS
        .iter()
        .map(|limit| {
            let recorded = plugin.limits.get(limit.name).copied();
            let most = match purpose {
                For::Live => recorded.unwrap_or(limit.most),
                For::Rerun if limit.name != DEADLINE => recorded.unwrap_or(limit.most),
                For::Rerun | For::Replay => limit.most,
            };
            (limit.name.to_owned(), Value::Integer(most as i64))
        })
        .collect();
    let campaigns = plugin.campaigns.clone().map(Value::String);
    let campaigns = campaigns.map(|key| ("campaigns".to_owned(), key));
    let said = [
        ("name".into(), Value::String(plugin.name.clone())),
        ("version".into(), Value::String(plugin.version.clone())),
        ("roles".into(), texts(&roles)),
        ("events".into(), texts(&plugin.events)),
        ("facts".into(), texts(&plugin.facts)),
        ("personal".into(), texts(&personal)),
        ("grant".into(), texts(&personal)),
        (
            "state_version".into(),
            Value::Integer(i64::from(plugin.state_version)),
        ),
        ("configuration".into(), Value::Table(Table::new())),
        ("segments".into(), owned(&plugin.segments)),
        ("tiers".into(), owned(&plugin.tiers)),
        ("tags".into(), owned(&plugin.tags)),
        ("limits".into(), Value::Table(limits)),
        ("config".into(), configuration),
    ];
    let messages_to = plugin.messages_to.as_ref().map(|said| match said {
        MessagesTo::Everybody => Value::String("everybody".into()),
        MessagesTo::AsConfigured => Value::String("as-configured".into()),
        MessagesTo::Segments(targets) => texts(targets),
    });
    let messages_to = messages_to.map(|said| ("messages_to".to_owned(), said));
    let optional = campaigns.into_iter().chain(messages_to);
    said.into_iter().chain(optional).collect()
}

/// The limit that depends on the machine.
const DEADLINE: &str = "deadline_ms";
