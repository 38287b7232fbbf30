//! One plugin of one shop, loaded: its code, its manifest, its configuration, and the sum of what
//! the line needs to know of it.
//!
//! Loading refuses whatever could surprise later. It compiles in a process of its own, and it
//! runs nothing of the plugin but `configure`, under its limits.

use crate::bindings as wit;
use crate::cache::CacheError;
use crate::call::{self, Subject};
use crate::code::{Code, CodeError};
use crate::compile::CompileError;
use crate::component::{self, ComponentError, Inspection};
use crate::digest::Digest;
use crate::engine::Engine;
use crate::kept::Keeping;
use crate::limits::Limits;
use crate::manifest::{
    ManifestError, OwnedKind, PackPlugin, Personal, PluginFile, SchemaSource, pack_of, without_pack,
};
use crate::nearest::nearest;
use crate::source::RuleSource;
use serde_json::Value;
use stampcard_pipeline::campaigns::Campaign;
use stampcard_pipeline::rules::{self, Failure, Role};
use stampcard_pipeline::shop::Shop;
use std::borrow::Cow;
use std::sync::Arc;

/// What a shop's folder has for one plugin.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The name of its files without their endings.
    pub name: String,
    /// The text of `NAME.toml`.
    pub file: String,
    /// The bytes of `NAME.wasm`; `None` where there is none, which is right for a pack's plugin.
    pub component: Option<Vec<u8>>,
    /// The text of the file that [`schema_file_of`](crate::manifest::schema_file_of) names, where
    /// it is in the folder.
    pub schema: Option<String>,
    /// It was live before, and comes from the database: what manifests have had to say since then is
    /// not asked of it.
    pub was_live: bool,
    /// The source that the component was built from, or is to be.
    pub source: Option<RuleSource>,
}

impl Candidate {
    /// Says whether files are the same as others: `sha256:…` of them, and of what they take from a
    /// pack. What was built of a source does not count: the source does.
    pub fn made_of(&self, packs: &[PackPlugin]) -> String {
        let digest = match &self.source {
            Some(source) => source.made_of(&self.name, self.schema.as_deref()),
            None => self.own_digest(packs),
        };
        digest.to_string()
    }

    /// The same with everything written out that it takes from a pack, so that it loads as it does
    /// now when the program carries another version of that pack. `None` if it cannot be read.
    pub fn whole(&self, packs: &[PackPlugin]) -> Option<Candidate> {
        let source = Source::of(self, packs).ok()?;
        Some(Candidate {
            name: self.name.clone(),
            file: without_pack(&self.name, &self.file, packs).ok()?,
            component: Some(source.component.into_owned()),
            schema: source.schema.map(Cow::into_owned),
            was_live: self.was_live,
            source: self.source.clone(),
        })
    }

    /// Everything that a loaded plugin depends on. Equal digests load equal plugins.
    pub(crate) fn digest(&self, shop: &Shop, packs: &[PackPlugin]) -> Digest {
        let facts = &shop.file;
        let tiers = facts.tiers.join("\0");
        Digest::of_parts([
            &self.own_digest(packs).0[..],
            facts.currency.as_bytes(),
            facts.time_zone.as_bytes(),
            facts.country.as_bytes(),
            facts.language.as_bytes(),
            tiers.as_bytes(),
        ])
    }

    fn own_digest(&self, packs: &[PackPlugin]) -> Digest {
        // A pack changes only with the program, but a program may hold several packs of a name.
        let pack = pack_of(&self.file);
        let pack = packs
            .iter()
            .find(|carried| Some(carried.name) == pack.as_deref());
        Digest::of_parts([
            self.name.as_bytes(),
            self.file.as_bytes(),
            self.component.as_deref().unwrap_or_default(),
            self.schema.as_deref().unwrap_or_default().as_bytes(),
            pack.map_or(&[], |pack| pack.component),
            pack.map_or("", |pack| pack.manifest).as_bytes(),
            pack.and_then(|pack| pack.schema)
                .unwrap_or_default()
                .as_bytes(),
        ])
    }
}

/// A plugin that may be called.
pub(crate) struct Plugin {
    pub about: rules::Plugin,
    /// Plugins that decide before it.
    pub after: Vec<String>,
    code: Arc<Code>,
    limits: Limits,
    /// Canonical JSON.
    configuration: String,
    shop: wit::Shop,
    /// Its kept instances. There are none where its operator does not want them.
    pub keeping: Keeping,
}

/// Why a plugin is not loaded. Each says what is wrong and what to do.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The sentence names the file, and the line and column where there are any.
    #[error("{problem}")]
    Source { problem: String },
    #[error("{name}.toml: {error}")]
    Manifest {
        name: String,
        #[source]
        error: ManifestError,
    },
    #[error(
        "{name}.wasm is not there; put the component beside {name}.toml, or name a pack of this program with `pack = \"…\"`"
    )]
    NoComponent { name: String },
    #[error("{name}.wasm: {error}")]
    Component {
        name: String,
        #[source]
        error: ComponentError,
    },
    #[error("{name}.wasm: {error}")]
    Compile {
        name: String,
        #[source]
        error: CompileError,
    },
    #[error("{name}.wasm: {error}")]
    Code {
        name: String,
        #[source]
        error: CodeError,
    },
    #[error("{0}")]
    Cache(#[from] CacheError),
    #[error("{name}.toml claims the roles {}, and the component has {}; write what it has", roles(.claimed), roles(.found))]
    Lies {
        name: String,
        claimed: Vec<Role>,
        found: Vec<Role>,
    },
    #[error("{name} asks to see {} and was not granted it; write `grant = [{}]` into {name}.toml if it shall", .missing.join(" and "), quoted(.missing))]
    NotGranted {
        name: String,
        missing: Vec<&'static str>,
    },
    #[error("{name}.toml has a `grant` for {}, which the plugin does not ask for; remove it", .unasked.join(" and "))]
    GrantedUnasked {
        name: String,
        unasked: Vec<&'static str>,
    },
    #[error(
        "{name}.toml names the JSON Schema {file}, which is not there; put it beside the manifest"
    )]
    NoSchema { name: String, file: String },
    #[error("the JSON Schema of {name} is not one: {reason}")]
    Schema { name: String, reason: String },
    #[error("{name}.toml has a [config], and the plugin takes none; remove it")]
    NoConfiguration { name: String },
    #[error("{name}.toml: {}", .problems.join("; "))]
    Configuration { name: String, problems: Vec<String> },
    #[error("{name} refuses its configuration: {failure}")]
    Configure { name: String, failure: Failure },
    #[error(
        "{name} owns the {kind} `{key}`, which {owner} owns already; one of them must leave it"
    )]
    Owned {
        name: String,
        kind: &'static str,
        key: String,
        owner: String,
    },
    #[error("{name} decides about the tier `{tier}`, which the shop does not have; its tiers are {}", or_none(.known))]
    NoTier {
        name: String,
        tier: String,
        known: Vec<String>,
    },
    #[error("{name} writes to the segment `{segment}`, which no plugin decides; {}", nearest_of(segment, .known))]
    NoSegment {
        name: String,
        segment: String,
        known: Vec<String>,
    },
    #[error("{name} decides after {after}, which is not among the shop's plugins")]
    AfterNobody { name: String, after: String },
    #[error("{name} would have to decide before itself: {}", .round.join(" after "))]
    Cycle { name: String, round: Vec<String> },
}

fn roles(roles: &[Role]) -> String {
    roles
        .iter()
        .map(|role| role.name())
        .collect::<Vec<_>>()
        .join(", ")
}

fn quoted(words: &[&str]) -> String {
    words
        .iter()
        .map(|word| format!("\"{word}\""))
        .collect::<Vec<_>>()
        .join(", ")
}

fn nearest_of(written: &str, known: &[String]) -> String {
    if known.is_empty() {
        return "this shop has no segments".into();
    }
    let known = known.iter().map(String::as_str);
    format!("did you mean `{}`?", nearest(written, known))
}

fn or_none(words: &[String]) -> String {
    if words.is_empty() {
        "none".into()
    } else {
        words.join(", ")
    }
}

impl Plugin {
    /// Reads, checks, compiles and configures a candidate.
    pub fn load(
        engine: &Engine,
        shop: &Shop,
        candidate: &Candidate,
        packs: &[PackPlugin],
    ) -> Result<Plugin, LoadError> {
        let name = &candidate.name;
        if let Some(problem) = candidate.source.as_ref().and_then(|it| it.problem.clone()) {
            return Err(LoadError::Source { problem });
        }
        let source = Source::of(candidate, packs)?;
        let file = &source.file;
        if !candidate.was_live {
            let targeted = file.manifest.check_target();
            targeted.map_err(|error| LoadError::Manifest {
                name: name.clone(),
                error,
            })?;
        }
        let configuration = configuration(name, &source)?;
        granted(name, file)?;
        let code = engine.library().code(name, &source.component)?;
        let mut claimed = file.manifest.roles.clone();
        claimed.sort();
        if claimed != code.roles {
            return Err(LoadError::Lies {
                name: name.clone(),
                claimed,
                found: code.roles.clone(),
            });
        }
        let about = about(file, &code, &configuration);
        let plugin = Plugin {
            about,
            after: file.manifest.after.clone(),
            code,
            limits: file.manifest.limits.clone(),
            configuration,
            shop: wit::Shop {
                currency: shop.file.currency.clone(),
                minor_units: shop.minor_units,
                time_zone: shop.file.time_zone.clone(),
                country: shop.file.country.clone(),
                language: shop.file.language.clone(),
                tiers: shop.file.tiers.clone(),
                attributes: Vec::new(),
            },
            keeping: Keeping::new(engine.shelf()),
        };
        let _alone = engine.library().configuring();
        match call::configure(&plugin.subject()) {
            Ok(()) => Ok(plugin),
            Err(failure) => Err(LoadError::Configure {
                name: name.clone(),
                failure,
            }),
        }
    }

    /// What a call of it needs.
    pub fn subject(&self) -> Subject<'_> {
        Subject {
            name: &self.about.name,
            code: &self.code,
            limits: &self.limits,
            configuration: &self.configuration,
            shop: &self.shop,
            personal: &self.about.personal,
        }
    }

    /// What its configuration tells of its campaigns.
    pub fn campaigns(&self) -> Vec<Campaign> {
        let Some(key) = &self.about.campaigns else {
            return Vec::new();
        };
        let configuration = serde_json::from_str(&self.configuration).unwrap_or_default();
        // The manifest was read with the same list, so there is nothing wrong with it.
        Campaign::of(&configuration, key).unwrap_or_default()
    }

    pub fn currency(&self) -> &str {
        &self.shop.currency
    }
}

/// Whether a shop could load a candidate, as far as that can be said without compiling or running
/// it. What only a shop can say is not asked: what it grants, and a configuration where the
/// candidate has none.
pub fn examine(candidate: &Candidate) -> Result<Inspection, LoadError> {
    let name = &candidate.name;
    let source = Source::of(candidate, &[])?;
    let manifest = &source.file.manifest;
    let targeted = manifest.check_target();
    targeted.map_err(|error| LoadError::Manifest {
        name: name.clone(),
        error,
    })?;
    let config = source.file.config.as_object();
    if config.is_some_and(|config| !config.is_empty()) {
        configuration(name, &source)?;
    } else {
        source.schema(name)?;
    }
    let component = |error| LoadError::Component {
        name: name.clone(),
        error,
    };
    component::check(&source.component).map_err(component)?;
    let inspection = component::inspect(&source.component).map_err(component)?;
    let mut claimed = manifest.roles.clone();
    claimed.sort();
    if claimed != inspection.roles {
        return Err(LoadError::Lies {
            name: name.clone(),
            claimed,
            found: inspection.roles,
        });
    }
    Ok(inspection)
}

/// A candidate with its pack found.
pub(crate) struct Source<'a> {
    pub file: PluginFile,
    component: Cow<'a, [u8]>,
    schema: Option<Cow<'a, str>>,
}

impl<'a> Source<'a> {
    pub fn of(candidate: &'a Candidate, packs: &[PackPlugin<'a>]) -> Result<Source<'a>, LoadError> {
        let name = &candidate.name;
        let manifest = |error| LoadError::Manifest {
            name: name.clone(),
            error,
        };
        let file = PluginFile::read(name, &candidate.file, packs).map_err(manifest)?;
        let pack = packs
            .iter()
            .find(|pack| file.pack.as_deref() == Some(pack.name));
        let component = match (&candidate.component, pack) {
            (Some(bytes), _) => Cow::Borrowed(bytes.as_slice()),
            (None, Some(pack)) => Cow::Borrowed(pack.component),
            (None, None) => return Err(LoadError::NoComponent { name: name.clone() }),
        };
        let schema = candidate
            .schema
            .as_deref()
            .or(pack.and_then(|pack| pack.schema))
            .map(Cow::Borrowed);
        Ok(Source {
            file,
            component,
            schema,
        })
    }

    /// What its configuration must be; `None` if it takes none.
    pub fn schema(&self, name: &str) -> Result<Option<jsonschema::Validator>, LoadError> {
        let not_one = |reason: String| LoadError::Schema {
            name: name.into(),
            reason,
        };
        let schema = match &self.file.manifest.configuration {
            None => return Ok(None),
            Some(SchemaSource::Inline(schema)) => schema.clone(),
            Some(SchemaSource::File(file)) => {
                let text = self.schema.as_deref().ok_or_else(|| LoadError::NoSchema {
                    name: name.into(),
                    file: file.clone(),
                })?;
                serde_json::from_str::<Value>(text).map_err(|error| not_one(error.to_string()))?
            }
        };
        let validator = jsonschema::validator_for(&schema);
        Ok(Some(validator.map_err(|error| not_one(error.to_string()))?))
    }
}

/// The operator's configuration, checked against the schema, as canonical JSON.
fn configuration(name: &str, source: &Source) -> Result<String, LoadError> {
    let config = &source.file.config;
    match source.schema(name)? {
        None if config.as_object().is_some_and(|config| !config.is_empty()) => {
            return Err(LoadError::NoConfiguration { name: name.into() });
        }
        None => {}
        Some(schema) => {
            let problems = problems(&schema, config);
            if !problems.is_empty() {
                return Err(LoadError::Configuration {
                    name: name.into(),
                    problems,
                });
            }
        }
    }
    Ok(canonical(config))
}

/// A configuration as a plugin is given it.
pub(crate) fn canonical(config: &Value) -> String {
    // Reading TOML left no number that JSON cannot hold.
    serde_json_canonicalizer::to_string(config).expect("a configuration is JSON")
}

/// Why a configuration does not fit a schema; empty if it does.
pub(crate) fn problems(schema: &jsonschema::Validator, config: &Value) -> Vec<String> {
    let problem = |error: jsonschema::ValidationError| {
        let place = error.instance_path().as_str().replace('/', ".");
        format!("config{place}: {error}")
    };
    let errors = schema.iter_errors(config).take(PROBLEMS_MAX);
    errors.map(problem).collect()
}

/// Problems of a configuration that are told at once.
const PROBLEMS_MAX: usize = 5;

/// The manifest must ask and the operator must grant.
fn granted(name: &str, file: &PluginFile) -> Result<(), LoadError> {
    let but_not = |some: &[Personal], others: &[Personal]| -> Vec<&'static str> {
        some.iter()
            .filter(|one| !others.contains(one))
            .map(|one| one.name())
            .collect()
    };
    let missing = but_not(&file.manifest.personal, &file.grant);
    if !missing.is_empty() {
        return Err(LoadError::NotGranted {
            name: name.into(),
            missing,
        });
    }
    let unasked = but_not(&file.grant, &file.manifest.personal);
    if !unasked.is_empty() {
        return Err(LoadError::GrantedUnasked {
            name: name.into(),
            unasked,
        });
    }
    Ok(())
}

fn about(file: &PluginFile, code: &Code, configuration: &str) -> rules::Plugin {
    let manifest = &file.manifest;
    let owned = |kind| {
        manifest
            .owns
            .of(kind)
            .iter()
            .map(|(key, sentence)| (key.clone(), sentence.clone()))
            .collect()
    };
    rules::Plugin {
        quarantine: None,
        isolation: file.isolation.clone(),
        name: manifest.name.clone(),
        version: manifest.version.to_string(),
        digest: code.digest.clone(),
        configuration: Digest::of(configuration.as_bytes()).to_string(),
        roles: code.roles.clone(),
        events: manifest.events.clone(),
        facts: manifest.facts.clone(),
        personal: file
            .grant
            .iter()
            .flat_map(|granted| granted.fields())
            .copied()
            .collect(),
        state_version: manifest.state_version,
        segments: owned(OwnedKind::Segments),
        tiers: owned(OwnedKind::Tiers),
        tags: owned(OwnedKind::Tags),
        campaigns: manifest.campaigns.clone(),
        messages_to: manifest.messages_to.clone(),
        limits: manifest
            .limits
            .named()
            .map(|(name, most)| (name.to_owned(), most))
            .collect(),
    }
}
