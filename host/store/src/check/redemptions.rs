//! One customer's redemptions: those that are open are in the head, and those that were given have
//! taken their points, or are owed them.

use super::Findings;
use crate::error::Trouble;
use crate::sql::Sql;
use stampcard_pipeline::change::CustomerId;
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
    let mut held: BTreeMap<&String, Points> = BTreeMap::new();
    for (name, reservation) in &head.reservations {
        held.insert(name, reservation.points);
    }
    sql.each::<Trouble>(
        "SELECT id, state, points, (SELECT coalesce(sum(points + debt), 0) FROM takings WHERE redemption = r.id)
         FROM redemptions r WHERE customer = ?1",
        &[&row],
        |row| {
            let (name, state): (String, String) = (row.get(0)?, row.get(1)?);
            let (points, taken): (Points, Points) = (row.get(2)?, row.get(3)?);
            let is_open = matches!(state.as_str(), "pending-approval" | "reserved");
            let reserved = held.remove(&name).unwrap_or(0);
            let expected = if is_open { points } else { 0 };
            findings.compare(Some(id), || format!("{name}: points set aside"), expected, reserved);
            let expected = if state == "confirmed" { points } else { 0 };
            findings.compare(Some(id), || format!("{name}: points taken"), expected, taken);
            Ok(())
        },
    )?;
    for (name, points) in held {
        let (what, found) = (format!("{name}: points set aside"), points.to_string());
        findings.differ(Some(id), what, "none", found);
    }
    Ok(())
}
