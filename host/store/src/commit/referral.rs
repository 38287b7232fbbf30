//! Codes, and what steps gave those who had referred a customer.

use super::Writing;
use crate::error::Trouble;
use crate::row::on_return_column;
use stampcard_pipeline::change::CustomerChange;
use stampcard_pipeline::event::Body;

impl Writing<'_> {
    /// The code that the event gives, and those that it takes.
    pub(super) fn codes(&self, row: i64, seq: i64) -> Result<(), Trouble> {
        let event = &self.change.event;
        if event.is_erasure() || matches!(event.body, Body::CodeRevoked(_)) {
            self.writer.sql.run(
                "UPDATE referral_codes SET revoked_by = ?2 WHERE customer = ?1 AND revoked_by IS NULL",
                &[&row, &seq],
            )?;
        }
        if let Some(code) = &self.change.code {
            // Of two customers with the same code, which none of us will see, the second has none.
            self.writer.sql.run(
                "INSERT OR IGNORE INTO referral_codes (code, customer, journal) VALUES (?1, ?2, ?3)",
                &[code, &row, &seq],
            )?;
        }
        Ok(())
    }

    pub(super) fn referrer_awards(
        &self,
        row: i64,
        customer: &CustomerChange,
    ) -> Result<(), Trouble> {
        for step in &customer.referrer_awards {
            let at = &step.step;
            self.writer.sql.run(
                "DELETE FROM referrer_awards WHERE customer = ?1 AND at = ?2 AND source = ?3 AND event = ?4 AND place = ?5",
                &[&row, &at.at.0, &at.source, &at.id, &step.place],
            )?;
            for award in &step.awards {
                let key = &award.key;
                self.writer.sql.run(
                    "INSERT INTO referrer_awards (customer, at, source, event, place, referral, referrer, points, shares,
                         award_at, award_source, award_event, plugin, kind, reason, covers, available_from, expires_at,
                         on_return, ordinal)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)",
                    &[
                        &row,
                        &at.at.0,
                        &at.source,
                        &at.id,
                        &step.place,
                        &award.referral,
                        &award.referrer.0,
                        &award.points,
                        &serde_json::to_string(&award.shares)?,
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
                    ],
                )?;
            }
        }
        Ok(())
    }
}
