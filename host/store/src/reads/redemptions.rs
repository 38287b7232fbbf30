//! Redemptions: points that customers gave, or have set aside, for something.

use super::Reads;
use crate::error::Trouble;
use crate::row::{self, channel, instant};
use rusqlite::Row;
use stampcard_pipeline::change::{CustomerId, RedemptionState};
use stampcard_pipeline::currency::Currency;
use stampcard_pipeline::event::{
    Channel, EventName, Instant, Money, OrderName, Points, SaleName, Worth,
};
use stampcard_pipeline::store::StoreError;

/// A redemption as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedemptionRow {
    pub id: String,
    pub customer: CustomerId,
    /// As it is kept; people read it with a dash.
    pub code: String,
    pub state: RedemptionState,
    pub currency: Currency,
    /// What was set aside, in its own unit.
    pub points: Points,
    /// What of it was taken.
    pub taken: Points,
    pub reward: Option<String>,
    pub worth: Worth,
    pub minimum: Money,
    pub reserved_at: Instant,
    pub until: Instant,
    pub channel: Option<Channel>,
    pub asked_by: String,
    /// When it came into its state.
    pub state_at: Instant,
    pub actor: Option<String>,
    pub reason: Option<String>,
    pub used_channel: Option<Channel>,
    pub used_location: Option<String>,
    pub sale: Option<SaleName>,
}

/// Which redemptions are looked for.
pub enum Redemptions<'a> {
    /// One customer's, the newest first.
    Of(&'a CustomerId),
    /// All that wait for a second person, the oldest first.
    ToApprove,
}

macro_rules! columns {
    () => {
        "SELECT r.id, c.public, r.code, r.state, r.points, r.reward, r.worth, r.minimum, r.reserved_at, r.until,
             r.channel, r.asked_by, r.state_at, r.actor, r.reason, r.used_channel, r.used_location,
             r.sale_source, r.sale_event, r.sale_system, r.sale_order, r.currency, r.taken
         FROM redemptions r JOIN customers c ON c.id = r.customer "
    };
}

impl Reads {
    /// One redemption, by its id or by its code.
    pub fn redemption(&self, named: &str) -> Result<Option<RedemptionRow>, StoreError> {
        self.read(|sql| {
            let found = sql.all(
                concat!(columns!(), "WHERE r.id = ?1 OR r.code = ?1"),
                &[&named],
                |row| Ok(redemption(row)),
            )?;
            found.into_iter().next().transpose()
        })
    }

    /// A page of redemptions, after a place in it.
    pub fn redemptions(
        &self,
        which: Redemptions,
        after: Option<(Instant, String)>,
        most: u32,
    ) -> Result<Vec<RedemptionRow>, StoreError> {
        self.read(|sql| {
            let rows = match which {
                Redemptions::Of(customer) => {
                    let (at, id) = after.unwrap_or((Instant(i64::MAX), String::new()));
                    sql.all(
                        concat!(
                            columns!(),
                            "WHERE c.public = ?1 AND (r.reserved_at, r.id) < (?2, ?3)
                             ORDER BY r.reserved_at DESC, r.id DESC LIMIT ?4"
                        ),
                        &[&customer.0, &at.0, &id, &most],
                        |row| Ok(redemption(row)),
                    )?
                }
                Redemptions::ToApprove => {
                    let (at, id) = after.unwrap_or_default();
                    sql.all(
                        concat!(
                            columns!(),
                            "WHERE r.state = 'pending-approval' AND (r.reserved_at, r.id) > (?1, ?2)
                             ORDER BY r.reserved_at, r.id LIMIT ?3"
                        ),
                        &[&at.0, &id, &most],
                        |row| Ok(redemption(row)),
                    )?
                }
            };
            rows.into_iter().collect()
        })
    }
}

fn redemption(row: &Row) -> Result<RedemptionRow, Trouble> {
    let name = |system: usize| -> rusqlite::Result<Option<(String, String)>> {
        let system: (Option<String>, Option<String>) = (row.get(system)?, row.get(system + 1)?);
        Ok(system.0.zip(system.1))
    };
    let sale = name(17)?.map(|(source, id)| SaleName::Sale(EventName { source, id }));
    let order = name(19)?.map(|(system, id)| SaleName::Order(OrderName { system, id }));
    Ok(RedemptionRow {
        id: row.get(0)?,
        customer: CustomerId(row.get(1)?),
        code: row.get(2)?,
        state: row::redemption_state(&row.get::<_, String>(3)?)?,
        currency: row::currency(row, 21)?,
        points: row.get(4)?,
        taken: row.get(22)?,
        reward: row.get(5)?,
        worth: serde_json::from_str(&row.get::<_, String>(6)?)?,
        minimum: row.get(7)?,
        reserved_at: instant(row, 8)?,
        until: instant(row, 9)?,
        channel: channel(row, 10)?,
        asked_by: row.get(11)?,
        state_at: instant(row, 12)?,
        actor: row.get(13)?,
        reason: row.get(14)?,
        used_channel: channel(row, 15)?,
        used_location: row.get(16)?,
        sale: sale.or(order),
    })
}
