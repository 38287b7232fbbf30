//! What it takes to decide again: rule books, every explanation, and what the file was made with.

use super::Reads;
use super::shop::{ExplanationRow, explanation_row};
use crate::error::Trouble;
use crate::row::instant;
use crate::rule_books::{Inbox, RuleBook, read_book};
use stampcard_pipeline::admit::Secret;
use stampcard_pipeline::event::Instant;
use stampcard_pipeline::store::StoreError;
use std::sync::Arc;

impl Reads {
    /// A rule book by its number.
    pub fn rule_book(&self, number: i64) -> Result<Option<Arc<RuleBook>>, StoreError> {
        self.read(|sql| {
            sql.find(
                "SELECT number, created_at, plugins, shop, origin, actor, reason, packs FROM rule_books WHERE number = ?1",
                &[&number],
                |row| Ok(Some(Arc::new(read_book(sql, row)?))),
            )
        })
    }

    /// The rule book that went live last.
    pub fn newest_rule_book(&self) -> Result<Option<Arc<RuleBook>>, StoreError> {
        self.read(|sql| {
            sql.find(
                "SELECT number, created_at, plugins, shop, origin, actor, reason, packs FROM rule_books
                 ORDER BY number DESC LIMIT 1",
                &[],
                |row| Ok(Some(Arc::new(read_book(sql, row)?))),
            )
        })
    }

    /// What the folder had for each plugin when it was last looked at.
    pub fn inbox(&self) -> Result<Inbox, StoreError> {
        self.read(|sql| {
            let rows = sql.all("SELECT name, made_of FROM inbox", &[], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
            Ok(rows.into_iter().collect())
        })
    }

    /// The components that a source became, by their digests, the newest first. `source` is its own.
    pub fn built_from(&self, source: &str) -> Result<Vec<String>, StoreError> {
        self.read(|sql| {
            Ok(sql.all(
                "SELECT v.digest FROM rule_book_files f
                 JOIN rule_book_plugins p ON p.rule_book = f.rule_book AND p.position = f.position
                 JOIN plugin_versions v ON v.id = p.plugin_version
                 WHERE f.source = ?1 GROUP BY v.digest ORDER BY max(f.rule_book) DESC",
                &[&source],
                |row| row.get(0),
            )?)
        })
    }

    /// Keys the hashes that the line makes. A replay needs it, to make the same customers.
    pub fn secret(&self) -> Result<Secret, StoreError> {
        self.read(|sql| {
            let secret = sql.first("SELECT secret FROM meta", &[], |row| row.get(0))?;
            Ok(Secret(secret.ok_or(rusqlite::Error::QueryReturnedNoRows)?))
        })
    }

    /// When the file was made.
    pub fn created_at(&self) -> Result<Instant, StoreError> {
        self.read(|sql| {
            let at = sql.first("SELECT created_at FROM meta", &[], |row| instant(row, 0))?;
            Ok(at.ok_or(rusqlite::Error::QueryReturnedNoRows)?)
        })
    }

    /// Every explanation in the order of deciding, after the number at which the last page ended.
    pub fn all_explanations(
        &self,
        after: i64,
        limit: u32,
    ) -> Result<Vec<ExplanationRow>, StoreError> {
        self.read(|sql| {
            let mut rows = Vec::new();
            sql.each::<Trouble>(
                "SELECT x.number, x.at, x.source, x.id, c.source, c.id, x.rule_book, x.body, x.journal
                 FROM explanations x LEFT JOIN journal c ON c.seq = x.caused_by
                 WHERE x.number > ?1 ORDER BY x.number LIMIT ?2",
                &[&after, &limit],
                |row| {
                    rows.push(explanation_row(row)?);
                    Ok(())
                },
            )?;
            Ok(rows)
        })
    }
}
