//! Merges: no point and no credit is lost between two customers, and whoever was merged leads to whoever has it all.

use super::Findings;
use crate::error::Trouble;
use crate::row;
use crate::sql::Sql;
use stampcard_pipeline::change::CustomerId;
use stampcard_pipeline::event::Points;

pub(super) fn merges(sql: &Sql, findings: &mut Findings) -> Result<(), Trouble> {
    sql.each::<Trouble>(
        "SELECT caused_by, sum(amount), currency FROM entries WHERE kind = 'transfer'
         GROUP BY caused_by, currency HAVING sum(amount) <> 0",
        &[],
        |row| {
            let (journal, points): (i64, Points) = (row.get(0)?, row.get(1)?);
            let currency = row::currency(row, 2)?.name();
            findings.compare(
                None,
                || format!("journal {journal}: {currency} transferred"),
                0,
                points,
            );
            Ok(())
        },
    )?;
    // From one who was merged to the next, until nobody took them in.
    sql.each::<Trouble>(
        "WITH RECURSIVE way (id, at) AS (
             SELECT other, kept FROM merges WHERE ended_by IS NULL
             UNION SELECT w.id, m.kept FROM way w JOIN merges m ON m.other = w.at WHERE m.ended_by IS NULL
         )
         SELECT c.public, e.public, i.public FROM customers c
         LEFT JOIN way w ON w.id = c.id AND NOT EXISTS (SELECT 1 FROM merges m WHERE m.other = w.at AND m.ended_by IS NULL)
         LEFT JOIN customers e ON e.id = w.at LEFT JOIN customers i ON i.id = c.merged_into
         WHERE w.at IS NOT c.merged_into",
        &[],
        |row| {
            let text = |id: Option<String>| id.unwrap_or_else(|| "nobody".into());
            findings.differ(
                Some(&CustomerId(row.get(0)?)),
                "merged into",
                text(row.get(1)?),
                text(row.get(2)?),
            );
            Ok(())
        },
    )?;
    // Nothing may be left with somebody who was merged.
    sql.each::<Trouble>(
        "SELECT c.public, abs(c.balance) + abs(c.credit),
                (SELECT count(*) FROM history h WHERE h.customer = c.id) + (SELECT count(*) FROM lots l WHERE l.customer = c.id)
                + (SELECT count(*) FROM identifiers i WHERE i.customer = c.id) + (SELECT count(*) FROM people p WHERE p.customer = c.id)
         FROM customers c WHERE c.merged_into IS NOT NULL",
        &[],
        |row| {
            let id = CustomerId(row.get(0)?);
            findings.compare(Some(&id), || "balance of one who was merged".into(), 0, row.get::<_, Points>(1)?);
            findings.compare(Some(&id), || "rows of one who was merged".into(), 0, row.get::<_, i64>(2)?);
            Ok(())
        },
    )
}
