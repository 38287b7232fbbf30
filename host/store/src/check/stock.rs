//! Stock is what the newest event about each product and place says.

use super::Findings;
use crate::error::Trouble;
use crate::reads::{StockRow, stock_row};
use crate::row;
use crate::sql::Sql;
use stampcard_pipeline::stock::{StockPlace, told_in};
use std::collections::BTreeMap;

pub(super) fn stock(sql: &Sql, findings: &mut Findings) -> Result<(), Trouble> {
    let mut told: BTreeMap<(String, StockPlace), StockRow> = BTreeMap::new();
    sql.each::<Trouble>(
        "SELECT body FROM journal WHERE kind = 'stock.updated' ORDER BY seq",
        &[],
        |row| {
            // One that cannot be read is told of with the journal.
            let Ok(event) = row::event(&row.get::<_, Vec<u8>>(0)?) else {
                return Ok(());
            };
            for stock in told_in(&event) {
                let key = (stock.sku.clone(), stock.place.clone());
                let news = StockRow {
                    stock,
                    told: event.position(),
                };
                match told.get(&key) {
                    Some(known) if known.told >= news.told => {}
                    _ => drop(told.insert(key, news)),
                }
            }
            Ok(())
        },
    )?;
    let mut differ = |(sku, place): &(String, StockPlace),
                      expected: Option<&StockRow>,
                      found: Option<&StockRow>| {
        let text = |row: Option<&StockRow>| match row {
            None => "none".to_owned(),
            Some(row) => format!(
                "{} of {}/{}",
                row.stock.quantity, row.told.source, row.told.id
            ),
        };
        let (location, channel) = place.names();
        let what = format!("stock of {sku} in {location}{channel}");
        findings.differ(None, what, text(expected), text(found));
    };
    sql.each::<Trouble>(
        "SELECT sku, location, channel, quantity, at, source, id FROM stock",
        &[],
        |row| {
            let found = stock_row(row)?;
            let key = (found.stock.sku.clone(), found.stock.place.clone());
            let expected = told.remove(&key);
            if expected.as_ref() != Some(&found) {
                differ(&key, expected.as_ref(), Some(&found));
            }
            Ok(())
        },
    )?;
    for (key, expected) in &told {
        differ(key, Some(expected), None);
    }
    Ok(())
}
