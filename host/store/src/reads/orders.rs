//! What a customer bought, as whoever stands at a counter wants to find it again.

use super::{END_OF_HISTORY, Reads};
use crate::error::Trouble;
use crate::row;
use crate::sql::Sql;
use stampcard_pipeline::change::CustomerId;
use stampcard_pipeline::event::{Back, Body, Event, Points, Position, Sale};
use stampcard_pipeline::outcome::Outcome;
use stampcard_pipeline::returns::CameBack;
use stampcard_pipeline::store::StoreError;

/// A sale, and what the ledger holds for it.
#[derive(Clone, Debug)]
pub struct OrderRow {
    pub event: Event,
    /// What was sold, as edits have left it: lines that were added stand after the others.
    pub sale: Sale,
    /// What has come back of it.
    pub came_back: CameBack,
    /// The sum of its entries, corrections included.
    pub points: Points,
    /// The answer that it got.
    pub outcome: Outcome,
}

impl Reads {
    /// A customer's sales of all channels, newest first, before the position at which the last page
    /// ended; with `sku`, only those that have a line with it.
    pub fn orders(
        &self,
        id: &CustomerId,
        sku: Option<&str>,
        before: Option<&Position>,
        limit: u32,
    ) -> Result<Vec<OrderRow>, StoreError> {
        let before = before.unwrap_or(&END_OF_HISTORY);
        self.read(|sql| {
            let mut orders = Vec::new();
            sql.find::<()>(
                // By lots, which go with a merge; an entry stays with whoever had it then.
                "SELECT j.body,
                        (SELECT coalesce(sum(l.earned), 0) FROM lots l
                         WHERE l.customer = h.customer AND l.at = h.at AND l.source = h.source AND l.event = h.id AND l.currency = 0)
                        - (SELECT coalesce(sum(t.points), 0) FROM takings t
                           WHERE t.customer = h.customer AND t.at = h.at AND t.source = h.source AND t.event = h.id AND t.currency = 0),
                        j.outcome, j.first_entry
                 FROM history h JOIN journal j ON j.seq = h.journal
                 WHERE h.customer = (SELECT id FROM customers WHERE public = ?1) AND h.orders > 0
                 AND (h.at, h.source, h.id) < (?2, ?3, ?4)
                 ORDER BY h.at DESC, h.source DESC, h.id DESC",
                &[&id.0, &before.at.0, &before.source, &before.id],
                |row| -> Result<Option<()>, Trouble> {
                    let event = row::event(&row.get::<_, Vec<u8>>(0)?)?;
                    if sku.is_none_or(|sku| event.sale().is_some_and(|sale| has(sale, sku))) {
                        orders.push(OrderRow {
                            sale: event.sale().cloned().unwrap_or_default(),
                            came_back: CameBack::default(),
                            event,
                            points: row.get(1)?,
                            outcome: row::outcome(&row.get::<_, Vec<u8>>(2)?, row.get(3)?)?,
                        });
                    }
                    Ok((orders.len() >= limit as usize).then_some(()))
                },
            )?;
            follow(sql, id, &mut orders)?;
            Ok(orders)
        })
    }
}

/// Brings orders to where edits, returns and exchanges have left them.
fn follow(sql: &Sql, id: &CustomerId, orders: &mut [OrderRow]) -> Result<(), Trouble> {
    let Some(oldest) = orders.iter().map(|order| order.event.at.0).min() else {
        return Ok(());
    };
    sql.each::<Trouble>(
        "SELECT j.body FROM history h JOIN journal j ON j.seq = h.journal
         WHERE h.customer = (SELECT id FROM customers WHERE public = ?1) AND h.at > ?2
         AND j.kind IN ('order.edited', 'return.completed', 'exchange.completed', 'sale.voided')
         ORDER BY h.at, h.source, h.id",
        &[&id.0, &oldest],
        |row| {
            let event = row::event(&row.get::<_, Vec<u8>>(0)?)?;
            let (of, back) = match &event.body {
                Body::Return(it) => (&it.of, it.back.clone()),
                Body::Exchange(it) | Body::Edit(it) => (&it.of, Back::Goods(it.back.clone())),
                _ => return Ok(()),
            };
            let Some(order) = orders.iter_mut().find(|order| order.event.is_sale(of)) else {
                return Ok(());
            };
            order.came_back.add(&back, &order.sale);
            if let Body::Edit(it) = &event.body {
                order.sale.add(&it.bought);
                order.sale.total -= it.back.amount;
            }
            Ok(())
        },
    )
}

/// Whether a line of the sale is this article, by its SKU or by its variant.
fn has(sale: &Sale, sku: &str) -> bool {
    let is = |name: &Option<String>| name.as_deref() == Some(sku);
    sale.lines
        .iter()
        .any(|line| is(&line.sku) || is(&line.variant))
}
