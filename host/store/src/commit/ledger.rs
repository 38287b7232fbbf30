//! The ledger's rows: entries, which are only ever added to, and the lots and takings behind them,
//! which follow the fold.

use super::Writing;
use crate::error::Trouble;
use crate::row::{channel_column, currency_column, on_return_column};
use rusqlite::ToSql;
use stampcard_pipeline::change::{CustomerChange, LotRef, NewEntry, NewLot, TakingRef, TakingRow};
use stampcard_pipeline::store::StoreError;

impl Writing<'_> {
    pub(super) fn ledger(
        &mut self,
        row: i64,
        seq: i64,
        customer: &CustomerChange,
    ) -> Result<(), Trouble> {
        let mut lots = Vec::with_capacity(customer.lots.len());
        for (index, lot) in customer.lots.iter().enumerate() {
            let entries = customer
                .entries
                .iter()
                .filter(|entry| entry.taking.is_none() && entry.lot == Some(LotRef::New(index)));
            lots.push(self.lot(row, seq, lot, entries.map(|entry| entry.amount).sum())?);
        }
        for lot in &customer.reapportioned {
            self.writer.sql.run(
                "UPDATE lots SET shares = ?3 WHERE id = ?1 AND customer = ?2",
                &[&lot.lot, &row, &serde_json::to_string(&lot.shares)?],
            )?;
        }
        let number = |lot: LotRef| match lot {
            LotRef::New(index) => new_lot(&lots, index),
            LotRef::Existing(lot) => Ok(lot),
        };
        let mut takings = Vec::with_capacity(customer.takings.len());
        for taking in &customer.takings {
            let lot = taking.lot.map(number).transpose()?;
            takings.push(self.taking(row, seq, lot, taking)?);
        }
        let taken = |taking: TakingRef| match taking {
            TakingRef::New(index) => takings.get(index).copied().ok_or_else(no_taking),
            TakingRef::Existing(taking) => Ok(taking),
        };
        for entry in &customer.entries {
            let lot = entry.lot.map(number).transpose()?;
            let taking = entry.taking.map(taken).transpose()?;
            if let (Some(LotRef::Existing(lot)), None) = (entry.lot, taking) {
                self.move_lot(
                    "UPDATE lots SET earned = earned + ?3, remaining = remaining + ?3 WHERE id = ?1 AND customer = ?2",
                    lot,
                    row,
                    entry.amount,
                )?;
            }
            self.entry(row, seq, lot, taking, entry)?;
        }
        for paid in &customer.allocations {
            let lot = number(paid.lot)?;
            let step = &paid.step;
            self.writer.sql.run(
                "INSERT INTO allocations (customer, at, source, event, taking, lot, amount)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                 ON CONFLICT DO UPDATE SET amount = amount + excluded.amount",
                &[
                    &row,
                    &step.at.0,
                    &step.source,
                    &step.id,
                    &taken(paid.taking)?,
                    &lot,
                    &paid.points,
                ],
            )?;
            self.move_lot(
                "UPDATE lots SET remaining = remaining - ?3 WHERE id = ?1 AND customer = ?2",
                lot,
                row,
                paid.points,
            )?;
        }
        Ok(())
    }

    fn taking(
        &self,
        row: i64,
        seq: i64,
        lot: Option<i64>,
        taking: &TakingRow,
    ) -> Result<i64, Trouble> {
        if let Some(known) = taking.known {
            self.writer.sql.run(
                "UPDATE takings SET points = ?3, debt = ?4 WHERE id = ?1 AND customer = ?2",
                &[&known, &row, &taking.points, &taking.debt],
            )?;
            return Ok(known);
        }
        let step = &taking.step;
        self.writer.sql.run(
            "INSERT INTO takings (customer, at, source, event, kind, lot, points, debt, reason, journal, redemption, currency)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
            &[
                &row,
                &step.at.0,
                &step.source,
                &step.id,
                &taking.kind.name(),
                &lot,
                &taking.points,
                &taking.debt,
                &taking.reason,
                &taking.journal.unwrap_or(seq),
                &taking.redemption,
                &currency_column(taking.currency),
            ],
        )?;
        Ok(self.writer.sql.raw().last_insert_rowid())
    }

    /// What was taken after the start of a refold comes back into its lots; the walk takes it again.
    pub(super) fn give_back(&self, row: i64, customer: &CustomerChange) -> Result<(), Trouble> {
        let (last, clock) = (&customer.start.last, &customer.start.clock);
        let after_start: &[&dyn ToSql] = &[&row, &last.at.0, &last.source, &last.id, &clock.0];
        let sql = &self.writer.sql;
        sql.run(
            "UPDATE lots SET remaining = remaining + given.points FROM (
                 SELECT lot, sum(amount) AS points FROM allocations
                 WHERE customer = ?1 AND (at, source, event) > (?2, ?3, ?4) AND NOT (source = '' AND at <= ?5)
                 GROUP BY lot
             ) AS given WHERE lots.id = given.lot",
            after_start,
        )?;
        sql.run(
            "DELETE FROM allocations
             WHERE customer = ?1 AND (at, source, event) > (?2, ?3, ?4) AND NOT (source = '' AND at <= ?5)",
            after_start,
        )?;
        sql.run(
            "DELETE FROM kept WHERE customer = ?1 AND (at, source, event) > (?2, ?3, ?4)",
            &after_start[..4],
        )?;
        sql.run(
            "DELETE FROM provisional WHERE customer = ?1 AND (at, source, event) > (?2, ?3, ?4)",
            &after_start[..4],
        )?;
        sql.run(
            "UPDATE provisional SET settled_at = NULL, settled_source = NULL, settled_event = NULL, how = NULL
             WHERE customer = ?1 AND (settled_at, settled_source, settled_event) > (?2, ?3, ?4)
             AND NOT (settled_source = '' AND settled_at <= ?5)",
            after_start,
        )?;
        Ok(())
    }

    /// What plugins keep with sales, and which sales are not certain.
    pub(super) fn sales(&self, row: i64, customer: &CustomerChange) -> Result<(), Trouble> {
        let sql = &self.writer.sql;
        for kept in &customer.kept {
            let sale = &kept.sale;
            sql.run(
                "INSERT OR REPLACE INTO kept (customer, at, source, event, plugin, bytes)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                &[
                    &row,
                    &sale.at.0,
                    &sale.source,
                    &sale.id,
                    &kept.plugin,
                    &kept.bytes,
                ],
            )?;
        }
        for row_of in &customer.provisional {
            let sale = &row_of.sale;
            sql.run(
                "INSERT INTO provisional (customer, at, source, event, until) VALUES (?1, ?2, ?3, ?4, ?5)",
                &[&row, &sale.at.0, &sale.source, &sale.id, &row_of.until.0],
            )?;
        }
        for settled in &customer.settled {
            let (sale, step) = (&settled.sale, &settled.step);
            sql.run(
                "UPDATE provisional SET settled_at = ?5, settled_source = ?6, settled_event = ?7, how = ?8
                 WHERE customer = ?1 AND at = ?2 AND source = ?3 AND event = ?4",
                &[&row, &sale.at.0, &sale.source, &sale.id, &step.at.0, &step.source, &step.id, &settled.how.name()],
            )?;
        }
        Ok(())
    }

    fn move_lot(
        &self,
        sql: &'static str,
        lot: i64,
        customer: i64,
        points: i64,
    ) -> Result<(), Trouble> {
        match self.writer.sql.run(sql, &[&lot, &customer, &points])? {
            0 => Err(StoreError::Failed(format!("the customer has no lot {lot}")).into()),
            _ => Ok(()),
        }
    }

    fn lot(&self, row: i64, seq: i64, lot: &NewLot, earned: i64) -> Result<i64, Trouble> {
        let key = &lot.key;
        let (plugin, _) = self.decider(&lot.by)?;
        self.writer.sql.run(
            "INSERT INTO lots (customer, at, source, event, plugin, kind, reason, covers, available_from, expires_at,
                 on_return, ordinal, earned, remaining, shares, plugin_version, journal, currency)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?13, ?14, ?15, ?16, ?17)",
            &[
                &row,
                &key.origin.at.0,
                &key.origin.source,
                &key.origin.id,
                &key.plugin,
                &key.kind.name(),
                &key.reason,
                &serde_json::to_string(&key.covers)?,
                &key.available_from.map(|at| at.0),
                &key.expires_at.map(|at| at.0),
                &on_return_column(key.on_return),
                &key.ordinal,
                &earned,
                &serde_json::to_string(&lot.shares)?,
                &plugin,
                &lot.journal.unwrap_or(seq),
                &currency_column(key.currency),
            ],
        )?;
        Ok(self.writer.sql.raw().last_insert_rowid())
    }

    fn entry(
        &mut self,
        row: i64,
        seq: i64,
        lot: Option<i64>,
        taking: Option<i64>,
        entry: &NewEntry,
    ) -> Result<(), Trouble> {
        let number = self.writer.next.entry;
        let (plugin, actor) = self.decider(&entry.by)?;
        self.writer.sql.run(
            "INSERT INTO entries (number, customer, lot, kind, amount, balance_after, reason, plugin_version, actor, journal,
                 caused_by, occurred_at, channel, location, device, taking, currency)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
            &[
                &number,
                &row,
                &lot,
                &entry.kind.name(),
                &entry.amount,
                &entry.balance_after,
                &entry.reason,
                &plugin,
                &actor,
                &entry.journal.unwrap_or(seq),
                &seq,
                &entry.occurred_at.0,
                &channel_column(entry.channel),
                &entry.location,
                &entry.device,
                &taking,
                &currency_column(entry.currency),
            ],
        )?;
        self.writer.next.entry += 1;
        Ok(())
    }
}

fn new_lot(lots: &[i64], index: usize) -> Result<i64, Trouble> {
    let lot = lots.get(index).copied();
    lot.ok_or_else(|| StoreError::Failed("an entry has no lot".into()).into())
}

fn no_taking() -> Trouble {
    StoreError::Failed("an entry takes nothing".into()).into()
}
