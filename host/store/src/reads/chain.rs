//! Which chain an event belongs to: what was looked at, bought, collected, exchanged and brought back,
//! wherever that was.
//!
//! A sender may say it with the attribute `chain`. Otherwise a sale begins one under the name of its order,
//! or of its event, and whatever speaks of the sale is of its chain.

use crate::error::Trouble;
use crate::row;
use crate::sql::Sql;
use serde_json::Value;
use stampcard_pipeline::event::{Body, Event, OrderName, SaleName};
use stampcard_pipeline::returns::words;

/// Exchanges of exchanges that are followed back.
const LENGTH_MAX: usize = 16;

/// The attribute with which a sender names a chain.
const SAID: &str = "chain";

/// The chain of an event; `None` for one that has nothing to do with any sale.
pub(super) fn chain_of(sql: &Sql, event: &Event) -> Result<Option<String>, Trouble> {
    let mut event = event.clone();
    for _ in 0..LENGTH_MAX {
        let of_sale = event.basket().and_then(|sale| sale.attributes.get(SAID));
        if let Some(said) = event.attributes.get(SAID).or(of_sale) {
            return Ok(Some(said.clone()));
        }
        let Some(name) = name_in(&event) else {
            return Ok(None);
        };
        match sale(sql, &name)? {
            Some(sale) if (&sale.source, &sale.id) != (&event.source, &event.id) => event = sale,
            _ => return Ok(Some(words(&name))),
        }
    }
    Ok(None)
}

/// The sale of which an event speaks, or that it is.
fn name_in(event: &Event) -> Option<SaleName> {
    if let Some(name) = event.speaks_of() {
        return Some(name.clone());
    }
    match &event.body {
        Body::Sale(sale) => Some(match &sale.order {
            Some(order) => SaleName::Order(order.clone()),
            None => SaleName::Sale(stampcard_pipeline::event::EventName {
                source: event.source.clone(),
                id: event.id.clone(),
            }),
        }),
        Body::Other(data) => {
            let data: Value = serde_json::from_str(data).ok()?;
            let order: OrderName = serde_json::from_value(data.get("order")?.clone()).ok()?;
            Some(SaleName::Order(order))
        }
        _ => None,
    }
}

fn sale(sql: &Sql, name: &SaleName) -> Result<Option<Event>, Trouble> {
    let read = |row: &rusqlite::Row| row.get::<_, Vec<u8>>(0);
    let found = match name {
        SaleName::Sale(name) => sql.first(
            "SELECT body FROM journal WHERE source = ?1 AND id = ?2",
            &[&name.source, &name.id],
            read,
        )?,
        SaleName::Order(order) => sql.first(
            "SELECT j.body FROM orders o JOIN journal j ON j.seq = o.journal WHERE o.system = ?1 AND o.id = ?2",
            &[&order.system, &order.id],
            read,
        )?,
    };
    found.map(|body| row::event(&body)).transpose()
}
