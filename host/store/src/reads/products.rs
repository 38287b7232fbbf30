//! The shop's catalogue, and how the prices of sales compare with it.

use super::Reads;
use crate::error::Trouble;
use crate::row::{self, position};
use crate::sql::Sql;
use rusqlite::Row;
use stampcard_pipeline::event::{Event, EventName, Instant, Line, Money, Position};
use stampcard_pipeline::products::Product;
use stampcard_pipeline::store::StoreError;
use std::collections::{BTreeMap, HashMap};

/// A product, and the event that told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProductRow {
    pub product: Product,
    pub told: Position,
}

/// How the prices of the newest sales compare with the catalogue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PriceCheck {
    /// Lines of sales that were looked at.
    pub lines: u64,
    /// Those with a price of their own whose product the catalogue has had since before the sale.
    pub compared: u64,
    /// Those of them that were sold at another price.
    pub differing: u64,
    /// Their products, those with most such lines first.
    pub products: Vec<Mispriced>,
}

/// A product that was sold at another price than the catalogue has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mispriced {
    pub product: Product,
    /// Since when the catalogue says so.
    pub since: Instant,
    pub lines: u64,
    /// The newest sale of them: its price, when, and which it is.
    pub sold_at: Money,
    pub last_at: Instant,
    pub last: EventName,
}

/// The columns that [`product_row`] reads.
macro_rules! product_columns {
    () => {
        "SELECT product, variant, sku, name, price, collections, flags, at, source, id FROM products"
    };
}

impl Reads {
    /// Products in the order of their names, after the (product, variant) at which the last page
    /// ended: all of them, the variants of one, or what a till sends as a sku.
    pub fn products(
        &self,
        product: Option<&str>,
        sku: Option<&str>,
        after: Option<(&str, &str)>,
        limit: u32,
    ) -> Result<Vec<ProductRow>, StoreError> {
        let (after_product, after_variant) = after.unwrap_or_default();
        self.read(|sql| {
            let mut rows = Vec::new();
            sql.each::<Trouble>(
                concat!(
                    product_columns!(),
                    " WHERE (?1 IS NULL OR product = ?1) AND (?2 IS NULL OR sku = ?2)
                      AND (product, variant) > (?3, ?4) ORDER BY product, variant LIMIT ?5"
                ),
                &[&product, &sku, &after_product, &after_variant, &limit],
                |row| {
                    rows.push(product_row(row)?);
                    Ok(())
                },
            )?;
            Ok(rows)
        })
    }

    /// Compares the lines of sales among so many of the newest rows of the journal with the
    /// catalogue, and names at most so many products. A sale that happened before the catalogue's
    /// event about a product is not compared: the price may have been another one then.
    pub fn price_check(&self, rows: u32, most: usize) -> Result<PriceCheck, StoreError> {
        self.read(|sql| {
            let mut check = PriceCheck::default();
            let any = sql.first("SELECT 1 FROM products LIMIT 1", &[], |_| Ok(()))?;
            if any.is_none() {
                return Ok(check);
            }
            let mut catalogue = Catalogue::of(sql);
            let mut differing: BTreeMap<(String, Option<String>), Mispriced> = BTreeMap::new();
            sql.each::<Trouble>(
                "SELECT body FROM journal
                 WHERE kind = 'sale.completed' AND seq > (SELECT max(seq) FROM journal) - ?1 ORDER BY seq",
                &[&rows],
                |row| {
                    let event = row::event(&row.get::<_, Vec<u8>>(0)?)?;
                    for line in event.sale().iter().flat_map(|sale| &sale.lines) {
                        check.lines += 1;
                        let Some(known) = catalogue.price_at(&event, line)? else {
                            continue;
                        };
                        check.compared += 1;
                        if known.product.price == line.unit_price {
                            continue;
                        }
                        check.differing += 1;
                        let product = &known.product;
                        let key = (product.product.clone(), product.variant.clone());
                        let found = differing.entry(key).or_insert_with(|| Mispriced {
                            product: product.clone(),
                            since: known.told.at,
                            lines: 0,
                            sold_at: line.unit_price,
                            last_at: Instant(i64::MIN),
                            last: EventName::default(),
                        });
                        found.lines += 1;
                        if event.at >= found.last_at {
                            (found.sold_at, found.last_at) = (line.unit_price, event.at);
                            found.last = EventName {
                                source: event.source.clone(),
                                id: event.id.clone(),
                            };
                        }
                    }
                    Ok(())
                },
            )?;
            check.products = differing.into_values().collect();
            check.products.sort_by_key(|found| std::cmp::Reverse(found.lines));
            check.products.truncate(most);
            Ok(check)
        })
    }
}

/// Products that were looked up, by what lines call them.
struct Catalogue<'a> {
    sql: &'a Sql,
    known: HashMap<[Option<String>; 3], Option<ProductRow>>,
}

impl Catalogue<'_> {
    fn of(sql: &Sql) -> Catalogue<'_> {
        Catalogue {
            sql,
            known: HashMap::new(),
        }
    }

    /// The product of a line, where the catalogue had its price when it was sold.
    fn price_at(&mut self, event: &Event, line: &Line) -> Result<Option<&ProductRow>, Trouble> {
        let is_converted = event.sale().is_some_and(|sale| sale.converted.is_some());
        if line.unit_price == 0 || line.gift_card || is_converted {
            return Ok(None);
        }
        let called = [&line.sku, &line.variant, &line.product].map(Option::clone);
        if !self.known.contains_key(&called) {
            let found = find(self.sql, &called)?;
            self.known.insert(called.clone(), found);
        }
        let known = self.known.get(&called).and_then(Option::as_ref);
        Ok(known.filter(|known| known.told.at <= event.at))
    }
}

/// A till calls a product by its sku or by its variant, or by its own name where it has no variants.
fn find(sql: &Sql, called: &[Option<String>; 3]) -> Result<Option<ProductRow>, Trouble> {
    let [sku, variant, product] = called;
    let tries: [(&'static str, &Option<String>); 4] = [
        (
            concat!(
                product_columns!(),
                " WHERE sku = ?1 ORDER BY at DESC LIMIT 1"
            ),
            sku,
        ),
        (
            concat!(
                product_columns!(),
                " WHERE variant = ?1 AND variant <> '' ORDER BY at DESC LIMIT 1"
            ),
            variant,
        ),
        (
            concat!(
                product_columns!(),
                " WHERE variant = ?1 AND variant <> '' ORDER BY at DESC LIMIT 1"
            ),
            sku,
        ),
        (
            concat!(product_columns!(), " WHERE product = ?1 AND variant = ''"),
            product,
        ),
    ];
    for (text, name) in tries {
        if let Some(name) = name
            && let Some(found) = sql.find(text, &[name], |row| product_row(row).map(Some))?
        {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

pub(crate) fn product_row(row: &Row) -> Result<ProductRow, Trouble> {
    let variant: String = row.get(1)?;
    let (collections, flags): (String, String) = (row.get(5)?, row.get(6)?);
    Ok(ProductRow {
        product: Product {
            product: row.get(0)?,
            variant: Some(variant).filter(|variant| !variant.is_empty()),
            sku: row.get(2)?,
            name: row.get(3)?,
            price: row.get(4)?,
            collections: serde_json::from_str(&collections)?,
            flags: serde_json::from_str(&flags)?,
        },
        told: position(row, 7)?,
    })
}
