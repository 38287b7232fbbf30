//! The ledger's rows: lots and entries. Whatever is here is only ever added to.

use super::Writing;
use crate::error::Trouble;
use crate::row::{channel_column, on_return_column};
use stampcard_pipeline::change::{CustomerChange, LotRef, NewEntry, NewLot};
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
                .filter(|entry| entry.lot == Some(LotRef::New(index)));
            lots.push(self.lot(row, seq, lot, entries.map(|entry| entry.amount).sum())?);
        }
        for entry in &customer.entries {
            let lot = match entry.lot {
                None => None,
                Some(LotRef::New(index)) => Some(new_lot(&lots, index)?),
                Some(LotRef::Existing(lot)) => {
                    self.move_lot(
                        "UPDATE lots SET earned = earned + ?3, remaining = remaining + ?3 WHERE id = ?1 AND customer = ?2",
                        lot,
                        row,
                        entry.amount,
                    )?;
                    Some(lot)
                }
            };
            let number = self.entry(row, seq, lot, entry)?;
            for (lot, points) in &entry.allocations {
                let lot = match lot {
                    LotRef::New(index) => new_lot(&lots, *index)?,
                    LotRef::Existing(lot) => *lot,
                };
                self.writer.sql.run(
                    "INSERT INTO allocations (entry, lot, amount) VALUES (?1, ?2, ?3)",
                    &[&number, &lot, points],
                )?;
                self.move_lot(
                    "UPDATE lots SET remaining = remaining - ?3 WHERE id = ?1 AND customer = ?2",
                    lot,
                    row,
                    *points,
                )?;
            }
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
                 on_return, ordinal, earned, remaining, shares, plugin_version, journal)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?13, ?14, ?15, ?16)",
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
            ],
        )?;
        Ok(self.writer.sql.raw().last_insert_rowid())
    }

    /// Writes an entry and says which number it has.
    fn entry(
        &mut self,
        row: i64,
        seq: i64,
        lot: Option<i64>,
        entry: &NewEntry,
    ) -> Result<i64, Trouble> {
        let number = self.writer.next.entry;
        let (plugin, actor) = self.decider(&entry.by)?;
        self.writer.sql.run(
            "INSERT INTO entries (number, customer, lot, kind, amount, balance_after, reason, plugin_version, actor, journal,
                 caused_by, occurred_at, channel, location, device)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
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
            ],
        )?;
        self.writer.next.entry += 1;
        Ok(number)
    }
}

fn new_lot(lots: &[i64], index: usize) -> Result<i64, Trouble> {
    let lot = lots.get(index).copied();
    lot.ok_or_else(|| StoreError::Failed("an entry has no lot".into()).into())
}
