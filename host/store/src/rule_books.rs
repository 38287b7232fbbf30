//! Rule books: what was live at once, under a number that every decision names.

use crate::error::Trouble;
use crate::row;
use crate::sql::Sql;
use crate::store::Shared;
use crate::writer::Writer;
use parking_lot::RwLock;
use rusqlite::Row;
use stampcard_pipeline::admit::HOST_SOURCE;
use stampcard_pipeline::event::{Body, Event, EventName, Instant};
use stampcard_pipeline::outcome::Outcome;
use stampcard_pipeline::rules::Plugin;
use stampcard_pipeline::shop::ShopFile;
use stampcard_pipeline::store::StoreError;
use std::collections::HashMap;
use std::sync::Arc;

/// Everything that was live at once. It never changes.
#[derive(Clone, Debug)]
pub struct RuleBook {
    pub number: i64,
    /// When it went live.
    pub created_at: Instant,
    pub plugins: Arc<Vec<Plugin>>,
    pub shop: ShopFile,
    /// The row of `plugin_versions` for each plugin.
    pub(crate) versions: Vec<i64>,
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
pub(crate) struct Books(RwLock<HashMap<i64, Arc<RuleBook>>>);

impl Books {
    pub fn load(sql: &Sql) -> Result<Books, Trouble> {
        let mut books = HashMap::new();
        sql.each::<Trouble>(
            "SELECT number, created_at, plugins, shop FROM rule_books",
            &[],
            |row| {
                let book = read_book(sql, row)?;
                books.insert(book.number, Arc::new(book));
                Ok(())
            },
        )?;
        Ok(Books(RwLock::new(books)))
    }

    pub fn get(&self, number: i64) -> Option<Arc<RuleBook>> {
        self.0.read().get(&number).cloned()
    }

    pub fn newest(&self) -> Option<Arc<RuleBook>> {
        self.0
            .read()
            .values()
            .max_by_key(|book| book.number)
            .cloned()
    }
}

/// The columns `number, created_at, plugins, shop`, and the versions that belong to them.
pub(crate) fn read_book(sql: &Sql, row: &Row) -> Result<RuleBook, Trouble> {
    let number: i64 = row.get(0)?;
    let plugins: Vec<Plugin> =
        serde_json::from_str(row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?)?;
    let shop = serde_json::from_str(row.get_ref(3)?.as_str().map_err(rusqlite::Error::from)?)?;
    Ok(RuleBook {
        number,
        created_at: row::instant(row, 1)?,
        plugins: Arc::new(plugins),
        shop,
        versions: versions(sql, number)?,
    })
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
    /// that one stays. `at` is when it goes live.
    pub fn save_rule_book(
        &self,
        plugins: &[Plugin],
        shop: &ShopFile,
        artifacts: &[Artifact],
        at: Instant,
    ) -> Result<Arc<RuleBook>, StoreError> {
        let mut writer = self.group.lock();
        let newest = self.books.newest();
        if let Some(newest) = newest
            .as_ref()
            .filter(|book| *book.plugins == plugins && book.shop == *shop)
        {
            self.keep_artifacts(&mut writer, artifacts)?;
            return Ok(newest.clone());
        }
        let number = newest.map_or(1, |book| book.number + 1);
        let (versions, _) = self.group.change(&mut writer, |writer| {
            let versions = insert_book(writer, number, plugins, shop, at)?;
            insert_artifacts(writer, artifacts)?;
            Ok(versions)
        })?;
        self.group.flush(&mut writer)?;
        let plugins = Arc::new(plugins.to_vec());
        let book = Arc::new(RuleBook {
            number,
            created_at: at,
            plugins,
            shop: shop.clone(),
            versions,
        });
        self.books.0.write().insert(number, book.clone());
        Ok(book)
    }

    fn keep_artifacts(
        &self,
        writer: &mut Writer,
        artifacts: &[Artifact],
    ) -> Result<(), StoreError> {
        if !artifacts.is_empty() {
            self.group
                .change(writer, |writer| insert_artifacts(writer, artifacts))?;
            self.group.flush(writer)?;
        }
        Ok(())
    }
}

fn insert_book(
    writer: &mut Writer,
    number: i64,
    plugins: &[Plugin],
    shop: &ShopFile,
    at: Instant,
) -> Result<Vec<i64>, Trouble> {
    writer.sql.run(
        "INSERT INTO rule_books (number, created_at, plugins, shop) VALUES (?1, ?2, ?3, ?4)",
        &[
            &number,
            &at.0,
            &serde_json::to_string(plugins)?,
            &serde_json::to_string(shop)?,
        ],
    )?;
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
        body: Body::Other(format!("{{\"number\":{number}}}")),
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

fn insert_artifacts(writer: &Writer, artifacts: &[Artifact]) -> Result<(), Trouble> {
    for artifact in artifacts {
        writer.sql.run(
            "INSERT OR IGNORE INTO artifacts (digest, kind, body) VALUES (?1, ?2, ?3)",
            &[
                &artifact.digest,
                &artifact.kind.name(),
                &crate::codec::pack(artifact.bytes),
            ],
        )?;
    }
    Ok(())
}
