//! What there is of products, as it comes in.

use super::data::Common;
use super::malformed;
use super::unknown_location;
use crate::event::{Body, Channel};
use crate::limits;
use crate::refusal::{Refusal, invalid};
use crate::shop::Shop;
use crate::stock::{Stock, StockPlace, Told};
use serde::Deserialize;
use std::collections::HashSet;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StockEvent {
    stock: Vec<StockData>,
    staff: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StockData {
    sku: String,
    location: Option<String>,
    channel: Option<Channel>,
    quantity: i64,
}

impl StockEvent {
    pub fn check(self, common: &mut Common, shop: &Shop) -> Result<Body, Refusal> {
        common.staff = self.staff;
        match self.stock.len() {
            0 => return malformed("/data/stock", "it tells of no stock"),
            length if length > limits::PRODUCTS_MAX => {
                return invalid(
                    "too-many",
                    "/data/stock",
                    format!(
                        "{length} rows, and {} is the limit of one event; send the rest in more of them",
                        limits::PRODUCTS_MAX
                    ),
                );
            }
            _ => {}
        }
        let given = self.stock.into_iter().enumerate();
        let stock = given
            .map(|(index, row)| row.check(index, shop))
            .collect::<Result<Vec<_>, _>>()?;
        let mut seen = HashSet::new();
        let twice = stock
            .iter()
            .position(|it| !seen.insert((&it.sku, it.place.names())));
        if let Some(index) = twice {
            return invalid(
                "stock-twice",
                format!("/data/stock/{index}"),
                format!(
                    "{:?} is there before in the same event, at the same place; which of the two is it?",
                    stock[index].sku
                ),
            );
        }
        let text = serde_json::to_string(&Told { stock }).expect("plain data");
        Ok(Body::Other(text))
    }
}

impl StockData {
    fn check(self, index: usize, shop: &Shop) -> Result<Stock, Refusal> {
        let at = |field: &str| format!("/data/stock/{index}/{field}");
        if self.sku.is_empty() || self.sku.len() > limits::TEXT_BYTES_MAX {
            return malformed(
                &at("sku"),
                format!("a sku has from 1 to {} bytes", limits::TEXT_BYTES_MAX),
            );
        }
        let place = match (self.location, self.channel) {
            (Some(id), None) if shop.place(&id).is_none() => {
                return unknown_location(&id, &at("location"), shop);
            }
            (Some(id), None) => StockPlace::Location(id),
            (None, Some(channel)) => StockPlace::Channel(channel),
            _ => {
                return malformed(
                    &format!("/data/stock/{index}"),
                    "say where it is: a `location`, or the `channel` that sells it from somewhere else",
                );
            }
        };
        Ok(Stock {
            sku: self.sku,
            place,
            quantity: self.quantity,
        })
    }
}
