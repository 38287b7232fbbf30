//! Sales at other prices than the catalogue has: one of the two is wrong, and somebody should look.

use serde::Serialize;
use stampcard_pipeline::event::{Instant, Money};
use stampcard_pipeline::outcome::Time;
use stampcard_pipeline::store::StoreError;
use stampcard_store::Reads;
use stampcard_store::reads::Mispriced;
use utoipa::ToSchema;

/// Events that the report looks at, newest first: a week of a busy store, read in a part of a second.
const EVENTS: u32 = 10_000;
/// Products that it names.
const PRODUCTS: usize = 100;

/// How the prices of the newest sales compare with the catalogue. Points go by the price on the line
/// in any case.
#[derive(Debug, Serialize, ToSchema)]
pub struct PricesReport {
    #[schema(value_type = String, format = DateTime)]
    pub as_of: Time,
    #[schema(example = "USD")]
    pub currency: String,
    /// It looks at the sales among so many of the newest events.
    pub events: u32,
    /// Lines of these sales; 0 where there is no catalogue to compare them with.
    pub lines: u64,
    /// Those that have a price and whose product the catalogue has had since before the sale.
    pub compared: u64,
    /// Those of them that were sold at another price.
    pub differing: u64,
    /// Their products, those with most such lines first.
    pub products: Vec<MispricedProduct>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct MispricedProduct {
    #[schema(example = "jacket")]
    pub product: String,
    pub variant: Option<String>,
    pub sku: Option<String>,
    pub name: Option<String>,
    /// What the catalogue says, and since when.
    pub price: Money,
    #[schema(value_type = String, format = DateTime)]
    pub since: Time,
    pub lines: u64,
    /// The price of the newest of these lines, and its sale.
    pub sold_at: Money,
    #[schema(value_type = String, format = DateTime)]
    pub last_at: Time,
    pub source: String,
    pub id: String,
}

pub fn prices(reads: &Reads, currency: &str, now: Instant) -> Result<PricesReport, StoreError> {
    let check = reads.price_check(EVENTS, PRODUCTS)?;
    Ok(PricesReport {
        as_of: Time(now),
        currency: currency.to_owned(),
        events: EVENTS,
        lines: check.lines,
        compared: check.compared,
        differing: check.differing,
        products: check.products.into_iter().map(mispriced).collect(),
    })
}

fn mispriced(found: Mispriced) -> MispricedProduct {
    let product = found.product;
    MispricedProduct {
        product: product.product,
        variant: product.variant,
        sku: product.sku,
        name: product.name,
        price: product.price,
        since: Time(found.since),
        lines: found.lines,
        sold_at: found.sold_at,
        last_at: Time(found.last_at),
        source: found.last.source,
        id: found.last.id,
    }
}
