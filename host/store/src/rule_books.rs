//! Rule books: what was live at once, under a number that every decision names.

use crate::error::{Trouble, store_error};
use crate::reviews::{self, Doubted, NewRound};
use crate::row;
use crate::sql::Sql;
use crate::store::Shared;
use crate::writer::Writer;
use parking_lot::{Mutex, RwLock};
use rusqlite::Row;
use serde::{Deserialize, Serialize};
use stampcard_pipeline::admit::HOST_SOURCE;
use stampcard_pipeline::event::{Body, Event, EventName, Instant};
use stampcard_pipeline::outcome::Outcome;
use stampcard_pipeline::rules::Plugin;
use stampcard_pipeline::shop::ShopFile;
use stampcard_pipeline::store::StoreError;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Everything that was live at once. It never changes.
#[derive(Clone, Debug)]
pub struct RuleBook {
    pub number: i64,
    /// When it went live.
    pub created_at: Instant,
    pub plugins: Arc<Vec<Plugin>>,
    pub shop: ShopFile,
    pub by: By,
    /// What each plugin was loaded from; empty for rules that came from nowhere.
    pub files: Arc<Vec<PluginFiles>>,
    /// The packs of which plugins are live.
    pub packs: Arc<Vec<LivePack>>,
    /// The row of `plugin_versions` for each plugin.
    pub(crate) versions: Vec<i64>,
}

/// Why a rule book went live.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct By {
    pub origin: Origin,
    /// Who ordered it; empty for what the folder brought.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub actor: String,
    /// In their words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// From where a rule book came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// The shop's folder.
    #[default]
    Folder,
    Install,
    Rollback,
    /// A plugin failed for too many customers, and is not called.
    Quarantine,
    /// It is called again as it is.
    Release,
    /// A kept instance of a plugin answered otherwise than a fresh one, and each of its calls has a
    /// fresh one from now on.
    FallBack,
}

impl Origin {
    const ALL: [Origin; 6] = [
        Origin::Folder,
        Origin::Install,
        Origin::Rollback,
        Origin::Quarantine,
        Origin::Release,
        Origin::FallBack,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Origin::Folder => "folder",
            Origin::Install => "install",
            Origin::Rollback => "rollback",
            Origin::Quarantine => "quarantine",
            Origin::Release => "release",
            Origin::FallBack => "fall-back",
        }
    }
}

/// What a plugin was loaded from, by the digests of its artifacts. The component is the plugin's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginFiles {
    /// Of the files as they were found.
    pub made_of: String,
    pub manifest: String,
    pub schema: Option<String>,
    /// Where the folder had a source in the place of the component.
    pub source: Option<SourceFile>,
}

/// The file of which a plugin was built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// Its name, such as `extra-coffee.js`.
    pub file: String,
    /// `sha256:…` of its text.
    pub digest: String,
}

/// A pack of which plugins are live.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LivePack {
    pub name: String,
    pub version: String,
    /// `sha256:…` of its list of sums, which is what was signed.
    pub digest: String,
    /// Who signed it; `None` where the operator let it in without.
    pub signer: Option<Signer>,
    pub installed_at: Instant,
    /// What the shop says to its plugins, as TOML; `None` where the pack's own words hold.
    pub words: Option<String>,
    pub plugins: Vec<PackedPlugin>,
}

/// Whoever signed a pack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signer {
    /// As the shop calls them.
    pub name: String,
    /// The number of their key, sixteen hexadecimal digits.
    pub key: String,
}

/// A plugin as it came with a pack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackedPlugin {
    pub name: String,
    /// `sha256:…` of its component.
    pub component: String,
    /// `sha256:…` of its manifest, with what the shop says to it.
    pub manifest: String,
}

impl LivePack {
    /// Whether a plugin is as it came with this pack.
    pub fn brought(&self, plugin: &Plugin, files: &PluginFiles) -> bool {
        self.plugins.iter().any(|packed| {
            packed.name == plugin.name
                && packed.component == plugin.digest
                && packed.manifest == files.manifest
        })
    }
}

impl RuleBook {
    /// The pack with which a plugin of this rule book came, if it still is as it came.
    pub fn pack_of(&self, index: usize) -> Option<&LivePack> {
        let (plugin, files) = (self.plugins.get(index)?, self.files.get(index)?);
        self.packs.iter().find(|pack| pack.brought(plugin, files))
    }
}

/// What the folder had for each plugin when it was last looked at, by name.
pub type Inbox = BTreeMap<String, String>;

/// A rule book that goes live.
pub struct NewRuleBook<'a> {
    pub plugins: &'a [Plugin],
    pub shop: &'a ShopFile,
    /// One for each plugin, or none at all.
    pub files: &'a [PluginFiles],
    /// The packs of which plugins are among them.
    pub packs: &'a [LivePack],
    /// Bytes that it names and the file may not have yet.
    pub artifacts: &'a [Artifact<'a>],
    pub by: &'a By,
    /// Who is asked again, if anybody.
    pub round: Option<&'a NewRound>,
    /// Answers that stand no more, if any.
    pub doubted: Option<&'a Doubted>,
    pub at: Instant,
}

impl<'a> NewRuleBook<'a> {
    /// Rules that came from nowhere.
    pub fn bare(plugins: &'a [Plugin], shop: &'a ShopFile, at: Instant) -> NewRuleBook<'a> {
        static NOBODY: By = By {
            origin: Origin::Folder,
            actor: String::new(),
            reason: String::new(),
        };
        NewRuleBook {
            plugins,
            shop,
            files: &[],
            packs: &[],
            artifacts: &[],
            by: &NOBODY,
            round: None,
            doubted: None,
            at,
        }
    }
}

/// Bytes that a rule book names by their digest.
#[derive(Clone, Copy, Debug)]
pub struct Artifact<'a> {
    /// `sha256:…`
    pub digest: &'a str,
    pub kind: ArtifactKind,
    pub bytes: &'a [u8],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArtifactKind {
    Component,
    /// The canonical JSON of a plugin's configuration.
    Configuration,
    /// What people wrote: the manifest, the schema of the configuration, and the source.
    Manifest,
}

impl ArtifactKind {
    fn name(self) -> &'static str {
        match self {
            ArtifactKind::Component => "component",
            ArtifactKind::Configuration => "configuration",
            ArtifactKind::Manifest => "manifest",
        }
    }
}

/// The kind of the journal's rows for rule books.
pub(crate) const RULE_BOOK_CHANGED: &str = "rule-book.changed";

/// The rule books in memory: there are few, and every commit needs one.
pub(crate) struct Books {
    all: RwLock<HashMap<i64, Arc<RuleBook>>>,
    saving: Mutex<()>,
}

impl Books {
    pub fn load(sql: &Sql) -> Result<Books, Trouble> {
        let mut books = HashMap::new();
        sql.each::<Trouble>(
            "SELECT number, created_at, plugins, shop, origin, actor, reason, packs FROM rule_books",
            &[],
            |row| {
                let book = read_book(sql, row)?;
                books.insert(book.number, Arc::new(book));
                Ok(())
            },
        )?;
        Ok(Books {
            all: RwLock::new(books),
            saving: Mutex::new(()),
        })
    }

    pub fn get(&self, number: i64) -> Option<Arc<RuleBook>> {
        self.all.read().get(&number).cloned()
    }

    pub fn newest(&self) -> Option<Arc<RuleBook>> {
        self.all
            .read()
            .values()
            .max_by_key(|book| book.number)
            .cloned()
    }
}

/// The columns `number, created_at, plugins, shop, origin, actor, reason, packs`, and what belongs to them.
pub(crate) fn read_book(sql: &Sql, row: &Row) -> Result<RuleBook, Trouble> {
    let number: i64 = row.get(0)?;
    let plugins: Vec<Plugin> =
        serde_json::from_str(row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?)?;
    let shop = serde_json::from_str(row.get_ref(3)?.as_str().map_err(rusqlite::Error::from)?)?;
    let packs = serde_json::from_str(row.get_ref(7)?.as_str().map_err(rusqlite::Error::from)?)?;
    Ok(RuleBook {
        number,
        created_at: row::instant(row, 1)?,
        plugins: Arc::new(plugins),
        shop,
        by: By {
            origin: origin(row.get_ref(4)?.as_str().map_err(rusqlite::Error::from)?),
            actor: row.get(5)?,
            reason: row.get(6)?,
        },
        files: Arc::new(files(sql, number)?),
        packs: Arc::new(packs),
        versions: versions(sql, number)?,
    })
}

fn origin(name: &str) -> Origin {
    let known = Origin::ALL.into_iter().find(|origin| origin.name() == name);
    known.expect("the schema allows no other origin")
}

fn files(sql: &Sql, book: i64) -> rusqlite::Result<Vec<PluginFiles>> {
    sql.all(
        "SELECT made_of, manifest, schema, source_file, source FROM rule_book_files WHERE rule_book = ?1 ORDER BY position",
        &[&book],
        |row| {
            Ok(PluginFiles {
                made_of: row.get(0)?,
                manifest: row.get(1)?,
                schema: row.get(2)?,
                source: match (row.get(3)?, row.get(4)?) {
                    (Some(file), Some(digest)) => Some(SourceFile { file, digest }),
                    _ => None,
                },
            })
        },
    )
}

fn versions(sql: &Sql, book: i64) -> rusqlite::Result<Vec<i64>> {
    sql.all(
        "SELECT plugin_version FROM rule_book_plugins WHERE rule_book = ?1 ORDER BY position",
        &[&book],
        |row| row.get(0),
    )
}

impl Shared {
    /// Makes a rule book the newest, on disk, and returns it. If the newest says the same already,
    /// that one stays. `inbox` is what the folder has now, where it was looked at.
    pub fn save_rule_book(
        &self,
        new: &NewRuleBook,
        inbox: Option<&Inbox>,
    ) -> Result<Arc<RuleBook>, StoreError> {
        // One at a time, because the next one has the next number.
        let _saving = self.books.saving.lock();
        // What is large is packed before anybody has to wait for the writer.
        let artifacts = self.packed(new.artifacts)?;
        let newest = self.books.newest();
        if let Some(newest) = newest
            .as_ref()
            .filter(|book| *book.plugins == new.plugins && book.shop == *new.shop)
            .filter(|book| new.files.is_empty() || *book.files == new.files)
            .filter(|book| *book.packs == new.packs)
        {
            self.group.change_on_disk(|writer| {
                insert_artifacts(writer, &artifacts)?;
                keep_inbox(writer, inbox)
            })?;
            return Ok(newest.clone());
        }
        let number = newest.map_or(1, |book| book.number + 1);
        let versions = self.group.change_on_disk(|writer| {
            insert_artifacts(writer, &artifacts)?;
            let versions = insert_book(writer, number, new)?;
            keep_inbox(writer, inbox)?;
            if let Some(doubted) = new.doubted {
                reviews::doubt(writer, doubted)?;
            }
            if let Some(round) = new.round {
                reviews::begin(writer, number, round, new.at)?;
            }
            Ok(versions)
        })?;
        let book = Arc::new(RuleBook {
            number,
            created_at: new.at,
            plugins: Arc::new(new.plugins.to_vec()),
            shop: new.shop.clone(),
            by: new.by.clone(),
            files: Arc::new(new.files.to_vec()),
            packs: Arc::new(new.packs.to_vec()),
            versions,
        });
        self.books.all.write().insert(number, book.clone());
        Ok(book)
    }

    /// Those of the artifacts that are not in the file, as they are kept there.
    fn packed<'a>(&self, artifacts: &'a [Artifact]) -> Result<Vec<Packed<'a>>, StoreError> {
        let mut missing = Vec::new();
        {
            let writer = self.group.lock();
            for artifact in artifacts {
                let known = writer.sql.first(
                    "SELECT 1 FROM artifacts WHERE digest = ?1",
                    &[&artifact.digest],
                    |_| Ok(()),
                );
                if known.map_err(store_error)?.is_none() {
                    missing.push(artifact);
                }
            }
        }
        let packed = missing.into_iter().map(|artifact| Packed {
            digest: artifact.digest,
            kind: artifact.kind,
            body: crate::codec::pack(artifact.bytes),
        });
        Ok(packed.collect())
    }
}

/// An artifact as it is kept.
struct Packed<'a> {
    digest: &'a str,
    kind: ArtifactKind,
    body: Vec<u8>,
}

/// What the folder has now takes the place of what it had.
fn keep_inbox(writer: &Writer, inbox: Option<&Inbox>) -> Result<(), Trouble> {
    let Some(inbox) = inbox else {
        return Ok(());
    };
    writer.sql.run("DELETE FROM inbox", &[])?;
    for (name, made_of) in inbox {
        writer.sql.run(
            "INSERT INTO inbox (name, made_of) VALUES (?1, ?2)",
            &[name, made_of],
        )?;
    }
    Ok(())
}

fn insert_book(writer: &mut Writer, number: i64, new: &NewRuleBook) -> Result<Vec<i64>, Trouble> {
    let NewRuleBook {
        plugins,
        shop,
        by,
        at,
        ..
    } = *new;
    writer.sql.run(
        "INSERT INTO rule_books (number, created_at, plugins, shop, origin, actor, reason, packs)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        &[
            &number,
            &at.0,
            &serde_json::to_string(plugins)?,
            &serde_json::to_string(shop)?,
            &by.origin.name(),
            &by.actor,
            &by.reason,
            &serde_json::to_string(new.packs)?,
        ],
    )?;
    for (position, files) in new.files.iter().enumerate() {
        writer.sql.run(
            "INSERT INTO rule_book_files (rule_book, position, made_of, manifest, schema, source_file, source)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            &[
                &number,
                &(position as i64),
                &files.made_of,
                &files.manifest,
                &files.schema,
                &files.source.as_ref().map(|source| &source.file),
                &files.source.as_ref().map(|source| &source.digest),
            ],
        )?;
    }
    let mut versions = Vec::with_capacity(plugins.len());
    for (position, plugin) in plugins.iter().enumerate() {
        let version = plugin_version(writer, plugin)?;
        writer.sql.run(
            "INSERT INTO rule_book_plugins (rule_book, position, plugin_version) VALUES (?1, ?2, ?3)",
            &[&number, &(position as i64), &version],
        )?;
        versions.push(version);
    }
    let name = EventName {
        source: HOST_SOURCE.into(),
        id: format!("rule-book/{number}"),
    };
    let event = Event {
        source: name.source.clone(),
        id: name.id.clone(),
        kind: RULE_BOOK_CHANGED.into(),
        at,
        channel: None,
        location: None,
        device: None,
        staff: None,
        historical: false,
        identified_by: Vec::new(),
        notes: Vec::new(),
        body: Body::Other(serde_json::to_string(&Changed { number, by })?),
        room: Default::default(),
        visitor: None,
        attributes: Default::default(),
    };
    let outcome = Outcome {
        event: name.clone(),
        ..Outcome::default()
    };
    let seq = writer.next.seq;
    writer.sql.run(
        "INSERT INTO journal (seq, source, id, kind, occurred_at, received_at, customer, rule_book,
             sameness, status, first_entry, entries, body, outcome)
         VALUES (?1, ?2, ?3, ?4, ?5, ?5, NULL, ?6, zeroblob(32), 'applied', NULL, 0, ?7, ?8)",
        &[
            &seq,
            &name.source,
            &name.id,
            &RULE_BOOK_CHANGED,
            &at.0,
            &number,
            &row::pack_json(&event),
            &row::pack_json(&outcome),
        ],
    )?;
    writer.next.seq += 1;
    Ok(versions)
}

/// What the journal says of a rule book.
#[derive(Serialize)]
struct Changed<'a> {
    number: i64,
    #[serde(flatten)]
    by: &'a By,
}

fn plugin_version(writer: &Writer, plugin: &Plugin) -> Result<i64, Trouble> {
    let Plugin {
        name,
        version,
        digest,
        configuration,
        ..
    } = plugin;
    writer.sql.run(
        "INSERT OR IGNORE INTO plugin_versions (name, version, digest, configuration) VALUES (?1, ?2, ?3, ?4)",
        &[name, version, digest, configuration],
    )?;
    let id = writer.sql.first(
        "SELECT id FROM plugin_versions WHERE name = ?1 AND version = ?2 AND digest = ?3 AND configuration = ?4",
        &[name, version, digest, configuration],
        |row| row.get(0),
    )?;
    Ok(id.ok_or(rusqlite::Error::QueryReturnedNoRows)?)
}

fn insert_artifacts(writer: &Writer, artifacts: &[Packed]) -> Result<(), Trouble> {
    for artifact in artifacts {
        writer.sql.run(
            "INSERT OR IGNORE INTO artifacts (digest, kind, body) VALUES (?1, ?2, ?3)",
            &[&artifact.digest, &artifact.kind.name(), &artifact.body],
        )?;
    }
    Ok(())
}
