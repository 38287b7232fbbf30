//! Redemptions, as they stand after the change.

use super::Writing;
use crate::error::Trouble;
use crate::row::{channel_column, currency_column};
use stampcard_pipeline::change::CustomerChange;
use stampcard_pipeline::event::SaleName;

impl Writing<'_> {
    pub(super) fn redemptions(&self, row: i64, customer: &CustomerChange) -> Result<(), Trouble> {
        for redemption in &customer.redemptions {
            let held = &redemption.held;
            let (sale, order) = match &redemption.sale {
                None => (None, None),
                Some(SaleName::Sale(sale)) => (Some(sale), None),
                Some(SaleName::Order(order)) => (None, Some(order)),
            };
            self.writer.sql.run(
                "INSERT INTO redemptions (id, customer, code, state, points, reward, worth, minimum, reserved_at, until,
                     channel, asked_by, state_at, actor, reason, used_channel, used_location,
                     sale_source, sale_event, sale_system, sale_order, currency, taken)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23)
                 ON CONFLICT (id) DO UPDATE SET customer = excluded.customer, state = excluded.state, until = excluded.until,
                     state_at = excluded.state_at, actor = excluded.actor, reason = excluded.reason,
                     used_channel = excluded.used_channel, used_location = excluded.used_location,
                     sale_source = excluded.sale_source, sale_event = excluded.sale_event,
                     sale_system = excluded.sale_system, sale_order = excluded.sale_order,
                     taken = excluded.taken",
                &[
                    &redemption.id,
                    &row,
                    &held.code,
                    &redemption.state.name(),
                    &held.points,
                    &held.reward,
                    &serde_json::to_string(&held.worth)?,
                    &held.minimum,
                    &held.reserved_at.0,
                    &held.until.0,
                    &channel_column(held.channel),
                    &held.asked_by,
                    &redemption.at.0,
                    &redemption.actor,
                    &redemption.reason,
                    &channel_column(redemption.channel),
                    &redemption.location,
                    &sale.map(|sale| &sale.source),
                    &sale.map(|sale| &sale.id),
                    &order.map(|order| &order.system),
                    &order.map(|order| &order.id),
                    &currency_column(held.currency),
                    &redemption.taken,
                ],
            )?;
        }
        Ok(())
    }
}
