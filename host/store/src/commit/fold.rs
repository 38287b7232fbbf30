//! The fold's rows: history, memberships, tiers, tags, checkpoints, and what a refold takes back.

use super::Writing;
use crate::cache::Hot;
use crate::error::Trouble;
use crate::row::channel_column;
use rusqlite::ToSql;
use stampcard_pipeline::change::{CustomerChange, MembershipRow};
use stampcard_pipeline::fold::Fold;
use std::collections::BTreeSet;

impl Writing<'_> {
    /// A refold: what came after its start is there no more.
    pub(super) fn take_back(
        &self,
        row: i64,
        seq: Option<i64>,
        customer: &CustomerChange,
    ) -> Result<(), Trouble> {
        let sql = &self.writer.sql;
        let (last, changes) = (&customer.start.last, customer.start.changes);
        let after_start: &[&dyn ToSql] = &[&row, &last.at.0, &last.source, &last.id];
        sql.run(
            "DELETE FROM history WHERE customer = ?1 AND (at, source, id) > (?2, ?3, ?4)",
            after_start,
        )?;
        sql.run(
            "DELETE FROM checkpoints WHERE customer = ?1 AND (at, source, id) > (?2, ?3, ?4)",
            after_start,
        )?;
        sql.run(
            "DELETE FROM memberships WHERE customer = ?1 AND number > ?2",
            &[&row, &changes],
        )?;
        sql.run(
            "UPDATE memberships SET left_at = NULL, left_number = NULL, left_reason = NULL, left_plugin = NULL
             WHERE customer = ?1 AND left_number > ?2",
            &[&row, &changes],
        )?;
        // Ends that were moved after the start are where they were.
        for (segment, member) in self.token.start.iter().flat_map(|start| &start.memberships) {
            sql.run(
                "UPDATE memberships SET until = ?3 WHERE customer = ?1 AND segment = ?2 AND left_at IS NULL",
                &[&row, segment, &member.until.map(|until| until.0)],
            )?;
        }
        sql.run(
            "DELETE FROM tiers WHERE customer = ?1 AND number > ?2",
            &[&row, &changes],
        )?;
        sql.run(
            "UPDATE outbox SET state = 'withdrawn', ended_by = ?3
             WHERE customer = ?1 AND number > ?2 AND state IN ('planned', 'cancelled', 'suppressed')",
            &[&row, &changes, &seq],
        )?;
        Ok(())
    }

    pub(super) fn history(
        &self,
        row: i64,
        seq: Option<i64>,
        customer: &CustomerChange,
    ) -> Result<(), Trouble> {
        for step in &customer.history {
            let (position, moved) = (&step.position, &step.moved);
            self.writer.sql.run(
                "INSERT INTO history (customer, at, source, id, journal, channel, orders, spend, returns, returned, earned)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
                &[
                    &row,
                    &position.at.0,
                    &position.source,
                    &position.id,
                    &step.journal.or(seq),
                    &channel_column(moved.channel),
                    &moved.orders,
                    &moved.spend,
                    &moved.returns,
                    &moved.returned,
                    &moved.earned,
                ],
            )?;
        }
        Ok(())
    }

    pub(super) fn memberships(&self, row: i64, customer: &CustomerChange) -> Result<(), Trouble> {
        let sql = &self.writer.sql;
        for membership in &customer.memberships {
            match membership {
                MembershipRow::Entered { number, segment, since, until, plugin, reason } => sql.run(
                    "INSERT INTO memberships (customer, number, segment, since, until, reason, plugin)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                    &[&row, number, segment, &since.0, &until.map(|at| at.0), reason, &self.version(*plugin)?],
                )?,
                MembershipRow::Prolonged { segment, until } => sql.run(
                    "UPDATE memberships SET until = ?3 WHERE customer = ?1 AND segment = ?2 AND left_at IS NULL",
                    &[&row, segment, &until.map(|at| at.0)],
                )?,
                MembershipRow::Left { number, segment, at, plugin, reason } => {
                    let plugin = plugin.map(|plugin| self.version(plugin)).transpose()?;
                    sql.run(
                        "UPDATE memberships SET left_at = ?3, left_number = ?4, left_reason = ?5, left_plugin = ?6
                         WHERE customer = ?1 AND segment = ?2 AND left_at IS NULL",
                        &[&row, segment, &at.0, number, reason, &plugin],
                    )?
                }
            };
        }
        Ok(())
    }

    pub(super) fn tiers(&self, row: i64, customer: &CustomerChange) -> Result<(), Trouble> {
        for tier in &customer.tiers {
            let (plugin, actor) = self.decider(&tier.by)?;
            self.writer.sql.run(
                "INSERT INTO tiers (customer, number, from_tier, to_tier, since, keep_until, reason, plugin, actor)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                &[
                    &row,
                    &tier.number,
                    &tier.from,
                    &tier.to,
                    &tier.since.0,
                    &tier.keep_until.map(|at| at.0),
                    &tier.reason,
                    &plugin,
                    &actor,
                ],
            )?;
        }
        Ok(())
    }

    pub(super) fn tags(&self, row: i64, head: &Fold) -> Result<(), Trouble> {
        let sql = &self.writer.sql;
        let none = BTreeSet::new();
        let before = match &self.token.hot {
            None => &none,
            Some(Hot {
                head: Some(before), ..
            }) => &before.tags,
            Some(Hot { head: None, .. }) => {
                sql.run("DELETE FROM customer_tags WHERE customer = ?1", &[&row])?;
                &none
            }
        };
        for tag in before.difference(&head.tags) {
            sql.run(
                "DELETE FROM customer_tags WHERE tag = ?1 AND customer = ?2",
                &[tag, &row],
            )?;
        }
        for tag in head.tags.difference(before) {
            sql.run(
                "INSERT INTO customer_tags (tag, customer) VALUES (?1, ?2)",
                &[tag, &row],
            )?;
        }
        Ok(())
    }

    pub(super) fn checkpoints(&self, row: i64, customer: &CustomerChange) -> Result<(), Trouble> {
        for (fold, bytes) in customer.checkpoints.iter().zip(&self.encoded.checkpoints) {
            self.writer.sql.run(
                "INSERT OR REPLACE INTO checkpoints (customer, at, source, id, fold) VALUES (?1, ?2, ?3, ?4, ?5)",
                &[&row, &fold.last.at.0, &fold.last.source, &fold.last.id, bytes],
            )?;
        }
        Ok(())
    }
}
