//! What there is of products, as whoever keeps the stock has told it.

use super::Reads;
use crate::error::Trouble;
use crate::row::{position, unknown};
use crate::sql::Sql;
use rusqlite::Row;
use stampcard_pipeline::event::{Channel, Position};
use stampcard_pipeline::stock::{Stock, StockPlace};
use stampcard_pipeline::store::StoreError;

/// What there is of a product at one place, and the event that told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StockRow {
    pub stock: Stock,
    pub told: Position,
}

impl Reads {
    /// Stock in the order of sku, location and channel, after those at which the last page ended: all of
    /// it, or that of one product.
    pub fn stock(
        &self,
        sku: Option<&str>,
        after: Option<(&str, &str, &str)>,
        limit: u32,
    ) -> Result<Vec<StockRow>, StoreError> {
        let (after_sku, after_location, after_channel) = after.unwrap_or_default();
        self.read(|sql| {
            let mut rows = Vec::new();
            sql.each::<Trouble>(
                "SELECT sku, location, channel, quantity, at, source, id FROM stock
                 WHERE (?1 IS NULL OR sku = ?1) AND (sku, location, channel) > (?2, ?3, ?4)
                 ORDER BY sku, location, channel LIMIT ?5",
                &[&sku, &after_sku, &after_location, &after_channel, &limit],
                |row| {
                    rows.push(stock_row(row)?);
                    Ok(())
                },
            )?;
            Ok(rows)
        })
    }

    /// How many pieces can be given there; `None` if nobody has told.
    pub fn in_stock(
        &self,
        sku: &str,
        location: Option<&str>,
        channel: Option<Channel>,
    ) -> Result<Option<i64>, StoreError> {
        self.read(|sql| in_stock(sql, sku, location, channel))
    }
}

/// What is told of the location goes before what is told of the channel.
pub(crate) fn in_stock(
    sql: &Sql,
    sku: &str,
    location: Option<&str>,
    channel: Option<Channel>,
) -> Result<Option<i64>, Trouble> {
    let channel = channel.map(Channel::name);
    Ok(sql.first(
        "SELECT quantity FROM stock WHERE sku = ?1 AND (location = ?2 OR channel = ?3)
         ORDER BY location = '' LIMIT 1",
        &[&sku, &location.filter(|it| !it.is_empty()), &channel],
        |row| row.get(0),
    )?)
}

pub(crate) fn stock_row(row: &Row) -> Result<StockRow, Trouble> {
    let channel: String = row.get(2)?;
    let place =
        StockPlace::named(row.get(1)?, &channel).ok_or_else(|| unknown("channel", &channel))?;
    Ok(StockRow {
        stock: Stock {
            sku: row.get(0)?,
            place,
            quantity: row.get(3)?,
        },
        told: position(row, 4)?,
    })
}
