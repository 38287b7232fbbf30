//! One customer's redemptions: those that are open are in the head, and those that were given have
//! taken their points, or are owed them.

use super::Findings;
use crate::error::Trouble;
use crate::row;
use crate::sql::Sql;
use stampcard_pipeline::change::CustomerId;
use stampcard_pipeline::currency::Currency;
use stampcard_pipeline::event::Points;
use stampcard_pipeline::fold::Fold;
use std::collections::BTreeMap;

pub(super) fn check(
    sql: &Sql,
    row: i64,
    id: &CustomerId,
    head: &Fold,
    findings: &mut Findings,
) -> Result<(), Trouble> {
    let mut held: BTreeMap<&String, (Currency, Points)> = BTreeMap::new();
    for (name, reservation) in &head.reservations {
        held.insert(name, (reservation.currency, reservation.points));
    }
    sql.each::<Trouble>(
        "SELECT id, state, points, (SELECT coalesce(sum(points + debt), 0) FROM takings WHERE redemption = r.id), currency, taken
         FROM redemptions r WHERE customer = ?1",
        &[&row],
        |row| {
            let (name, state): (String, String) = (row.get(0)?, row.get(1)?);
            let (points, taken): (Points, Points) = (row.get(2)?, row.get(3)?);
            let is_open = matches!(state.as_str(), "pending-approval" | "reserved");
            let currency = row::currency(row, 4)?;
            let reserved = held.remove(&name).map_or(0, |(of, points)| if of == currency { points } else { 0 });
            let expected = if is_open { points } else { 0 };
            findings.compare(Some(id), || format!("{name}: {} set aside", currency.name()), expected, reserved);
            let used: Points = row.get(5)?;
            findings.compare(Some(id), || format!("{name}: {} taken", currency.name()), used, taken);
            // Of credit as much is taken as the basket needs.
            let whole = match (state.as_str(), currency) {
                ("confirmed", Currency::Points) => points,
                ("confirmed", Currency::StoreCredit) => used.clamp(0, points),
                _ => 0,
            };
            findings.compare(Some(id), || format!("{name}: {} used", currency.name()), whole, used);
            Ok(())
        },
    )?;
    for (name, (currency, points)) in held {
        let what = format!("{name}: {} set aside", currency.name());
        let found = points.to_string();
        findings.differ(Some(id), what, "none", found);
    }
    Ok(())
}
