//! What a plugin has done to customers, version by version: whether it was worth having.

use super::Reads;
use crate::error::Trouble;
use crate::sql::Sql;
use rusqlite::Row;
use stampcard_pipeline::event::{Instant, Points};
use stampcard_pipeline::store::StoreError;

/// What one version of a plugin has done in some time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VersionEffect {
    pub version: String,
    /// `sha256:…` of the component, and of the canonical configuration.
    pub digest: String,
    pub configuration: String,
    /// Customers to whom it did any of what follows.
    pub customers: u64,
    pub points: PointsEffect,
    pub segments: Vec<SegmentEffect>,
    pub tiers: Vec<TierEffect>,
    pub messages: Vec<MessageEffect>,
}

/// Points, by when the event happened for which they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PointsEffect {
    pub customers: u64,
    pub entries: u64,
    pub given: Points,
    /// As a number from 0 up: what later corrections and returns took back.
    pub taken: Points,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentEffect {
    pub segment: String,
    pub entered: u64,
    /// Who left because this version said so, or because their time in it was over.
    pub left: u64,
    /// Who is in it now because of this version, whenever they entered.
    pub members: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TierEffect {
    /// `None` is no tier.
    pub tier: Option<String>,
    pub placed: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageEffect {
    pub template: String,
    pub channel: String,
    pub planned: u64,
    pub suppressed: u64,
    pub cancelled: u64,
    pub withdrawn: u64,
    /// Customers for whom it was planned and still stands.
    pub customers: u64,
    /// Those of them who bought in the time after it was due.
    pub bought_after: u64,
}

impl Reads {
    /// What each version of a plugin did from an instant up to another one, the oldest version
    /// first, and how many customers all of them did something to. `within_ms` is how long after a
    /// message was due a purchase counts. Empty if no plugin of that name ever was live.
    ///
    /// It looks at every entry, membership, tier and message that there is.
    pub fn effects(
        &self,
        plugin: &str,
        (from, to): (Instant, Instant),
        within_ms: i64,
    ) -> Result<(Vec<VersionEffect>, u64), StoreError> {
        self.read(|sql| {
            let asked = Asked { sql, plugin, from, to };
            let mut versions: Vec<(i64, VersionEffect)> = sql.all(
                "SELECT id, version, digest, configuration FROM plugin_versions WHERE name = ?1 ORDER BY id",
                &[&plugin],
                |row| {
                    let effect = VersionEffect {
                        version: row.get(1)?,
                        digest: row.get(2)?,
                        configuration: row.get(3)?,
                        ..VersionEffect::default()
                    };
                    Ok((row.get(0)?, effect))
                },
            )?;
            let all = asked.customers(&mut versions)?;
            asked.points(&mut versions)?;
            asked.segments(&mut versions)?;
            asked.tiers(&mut versions)?;
            asked.messages(&mut versions, within_ms)?;
            Ok((versions.into_iter().map(|(_, effect)| effect).collect(), all))
        })
    }
}

struct Asked<'a> {
    sql: &'a Sql,
    plugin: &'a str,
    from: Instant,
    to: Instant,
}

/// Versions with their rows' ids.
type Versions = [(i64, VersionEffect)];

impl Asked<'_> {
    /// Hands each row to the version that its first column names.
    fn each(
        &self,
        text: &'static str,
        versions: &mut Versions,
        mut take: impl FnMut(&mut VersionEffect, &Row) -> rusqlite::Result<()>,
    ) -> Result<(), Trouble> {
        let bound: [&dyn rusqlite::ToSql; 3] = [&self.plugin, &self.from.0, &self.to.0];
        self.sql.each(text, &bound, |row| {
            let id: i64 = row.get(0)?;
            match versions.iter_mut().find(|(known, _)| *known == id) {
                Some((_, effect)) => Ok(take(effect, row)?),
                None => Ok(()),
            }
        })
    }

    /// Customers by version; and of all versions, each of them once.
    fn customers(&self, versions: &mut Versions) -> Result<u64, Trouble> {
        macro_rules! touched {
            () => {
                "WITH asked AS (SELECT id FROM plugin_versions WHERE name = ?1),
                 touched (version, customer) AS (
                     SELECT plugin_version, customer FROM entries
                     WHERE plugin_version IN asked AND occurred_at >= ?2 AND occurred_at < ?3
                     UNION SELECT plugin, customer FROM memberships WHERE plugin IN asked AND since >= ?2 AND since < ?3
                     UNION SELECT coalesce(left_plugin, plugin), customer FROM memberships
                     WHERE coalesce(left_plugin, plugin) IN asked AND left_at >= ?2 AND left_at < ?3
                     UNION SELECT plugin, customer FROM tiers WHERE plugin IN asked AND since >= ?2 AND since < ?3
                     UNION SELECT plugin_version, customer FROM outbox
                     WHERE plugin_version IN asked AND planned_at >= ?2 AND planned_at < ?3)
                 "
            };
        }
        self.each(
            concat!(
                touched!(),
                "SELECT version, count(*) FROM touched GROUP BY version"
            ),
            versions,
            |effect, row| {
                effect.customers = count(row, 1)?;
                Ok(())
            },
        )?;
        let all = self.sql.first(
            concat!(touched!(), "SELECT count(DISTINCT customer) FROM touched"),
            &[&self.plugin, &self.from.0, &self.to.0],
            |row| count(row, 0),
        )?;
        Ok(all.unwrap_or_default())
    }

    fn points(&self, versions: &mut Versions) -> Result<(), Trouble> {
        self.each(
            "SELECT plugin_version, count(DISTINCT customer), count(*), sum(max(amount, 0)), sum(max(-amount, 0))
             FROM entries
             WHERE plugin_version IN (SELECT id FROM plugin_versions WHERE name = ?1)
             AND occurred_at >= ?2 AND occurred_at < ?3
             GROUP BY plugin_version",
            versions,
            |effect, row| {
                effect.points = PointsEffect {
                    customers: count(row, 1)?,
                    entries: count(row, 2)?,
                    given: row.get(3)?,
                    taken: row.get(4)?,
                };
                Ok(())
            },
        )
    }

    fn segments(&self, versions: &mut Versions) -> Result<(), Trouble> {
        self.each(
            "SELECT version, segment, sum(entered), sum(gone), sum(stays) FROM (
                 SELECT plugin AS version, segment, since >= ?2 AND since < ?3 AS entered, 0 AS gone,
                        left_at IS NULL AS stays
                 FROM memberships WHERE plugin IN (SELECT id FROM plugin_versions WHERE name = ?1)
                 UNION ALL
                 SELECT coalesce(left_plugin, plugin), segment, 0, 1, 0 FROM memberships
                 WHERE coalesce(left_plugin, plugin) IN (SELECT id FROM plugin_versions WHERE name = ?1)
                 AND left_at >= ?2 AND left_at < ?3
             ) GROUP BY version, segment ORDER BY version, segment",
            versions,
            |effect, row| {
                effect.segments.push(SegmentEffect {
                    segment: row.get(1)?,
                    entered: count(row, 2)?,
                    left: count(row, 3)?,
                    members: count(row, 4)?,
                });
                Ok(())
            },
        )
    }

    fn tiers(&self, versions: &mut Versions) -> Result<(), Trouble> {
        self.each(
            "SELECT plugin, to_tier, count(*) FROM tiers
             WHERE plugin IN (SELECT id FROM plugin_versions WHERE name = ?1) AND since >= ?2 AND since < ?3
             GROUP BY plugin, to_tier ORDER BY plugin, to_tier",
            versions,
            |effect, row| {
                effect.tiers.push(TierEffect {
                    tier: row.get(1)?,
                    placed: count(row, 2)?,
                });
                Ok(())
            },
        )
    }

    fn messages(&self, versions: &mut Versions, within_ms: i64) -> Result<(), Trouble> {
        // A message that nothing has ended stands, whether it waits or has left.
        let bound: [&dyn rusqlite::ToSql; 4] = [&self.plugin, &self.from.0, &self.to.0, &within_ms];
        self.sql.each(
            "SELECT version, template, channel, sum(stands), sum(state = 'suppressed'), sum(state = 'cancelled'),
                    sum(state = 'withdrawn'), count(DISTINCT iif(stands, customer, NULL)),
                    count(DISTINCT iif(stands AND EXISTS (
                        SELECT 1 FROM history h
                        WHERE h.customer = o.customer AND h.at > o.due AND h.at <= o.due + ?4 AND h.orders > 0
                    ), customer, NULL))
             FROM (
                 SELECT plugin_version AS version, template, channel, state, customer, due,
                        state NOT IN ('suppressed', 'cancelled', 'withdrawn') AS stands
                 FROM outbox WHERE plugin = ?1 AND planned_at >= ?2 AND planned_at < ?3
             ) o GROUP BY version, template, channel ORDER BY version, template, channel",
            &bound,
            |row| {
                let id: i64 = row.get(0)?;
                let known = versions.iter_mut().find(|(known, _)| *known == id);
                if let Some((_, effect)) = known {
                    effect.messages.push(MessageEffect {
                        template: row.get(1)?,
                        channel: row.get(2)?,
                        planned: count(row, 3)?,
                        suppressed: count(row, 4)?,
                        cancelled: count(row, 5)?,
                        withdrawn: count(row, 6)?,
                        customers: count(row, 7)?,
                        bought_after: count(row, 8)?,
                    });
                }
                Ok::<_, Trouble>(())
            },
        )
    }
}

fn count(row: &Row, index: usize) -> rusqlite::Result<u64> {
    Ok(row.get::<_, i64>(index)? as u64)
}
