//! The catalogue is what the newest event about each product says.

use super::Findings;
use crate::error::Trouble;
use crate::reads::{ProductRow, product_row};
use crate::row;
use crate::sql::Sql;
use stampcard_pipeline::products::told_in;
use std::collections::BTreeMap;

type Catalogue = BTreeMap<(String, Option<String>), ProductRow>;

pub(super) fn products(sql: &Sql, findings: &mut Findings) -> Result<(), Trouble> {
    let mut told = Catalogue::new();
    sql.each::<Trouble>(
        "SELECT body FROM journal WHERE kind = 'catalog.updated' ORDER BY seq",
        &[],
        |row| {
            // One that cannot be read is told of with the journal.
            let Ok(event) = row::event(&row.get::<_, Vec<u8>>(0)?) else {
                return Ok(());
            };
            for product in told_in(&event) {
                let news = ProductRow {
                    product,
                    told: event.position(),
                };
                let key = (news.product.product.clone(), news.product.variant.clone());
                match told.get(&key) {
                    Some(known) if known.told >= news.told => {}
                    _ => drop(told.insert(key, news)),
                }
            }
            Ok(())
        },
    )?;
    sql.each::<Trouble>(
        "SELECT product, variant, sku, name, price, collections, flags, at, source, id FROM products",
        &[],
        |row| {
            let found = product_row(row)?;
            let key = (found.product.product.clone(), found.product.variant.clone());
            let expected = told.remove(&key);
            if expected.as_ref() != Some(&found) {
                differ(findings, &key, expected.as_ref(), Some(&found));
            }
            Ok(())
        },
    )?;
    for (key, expected) in &told {
        differ(findings, key, Some(expected), None);
    }
    Ok(())
}

fn differ(
    findings: &mut Findings,
    (product, variant): &(String, Option<String>),
    expected: Option<&ProductRow>,
    found: Option<&ProductRow>,
) {
    let text = |row: Option<&ProductRow>| match row {
        None => "none".to_owned(),
        Some(row) => format!("{:?} of {}/{}", row.product, row.told.source, row.told.id),
    };
    let variant = variant
        .as_ref()
        .map(|it| format!("/{it}"))
        .unwrap_or_default();
    findings.differ(
        None,
        format!("product {product}{variant}"),
        text(expected),
        text(found),
    );
}
