//! What friends' steps gave, against what those who brought them were told.

use super::Findings;
use crate::error::Trouble;
use crate::row;
use crate::sql::Sql;
use stampcard_pipeline::change::CustomerId;
use stampcard_pipeline::event::Points;

pub(super) fn referrals(sql: &Sql, findings: &mut Findings) -> Result<(), Trouble> {
    let mut given: Vec<(CustomerId, i64, String, Points, bool)> = Vec::new();
    sql.each::<Trouble>(
        "SELECT referrer, at, place, sum(points), max(plugin = '') FROM referrer_awards GROUP BY place",
        &[],
        |row| {
            given.push((
                CustomerId(row.get(0)?),
                row.get(1)?,
                row.get(2)?,
                row.get(3)?,
                row.get(4)?,
            ));
            Ok(())
        },
    )?;
    for (referrer, at, place, points, joined) in given {
        // Whoever took them in once may have kept it.
        let told = sql.first(
            "SELECT j.body FROM history h JOIN journal j ON j.seq = h.journal
             WHERE h.customer IN (SELECT id FROM customers WHERE public = ?1
                                  UNION SELECT m.kept FROM merges m JOIN customers c ON c.id = m.other WHERE c.public = ?1)
             AND h.at = ?2 AND h.source = 'stampcard' AND h.id = ?3",
            &[&referrer.0, &at, &place],
            |row| row.get::<_, Vec<u8>>(0),
        )?;
        let told = match told {
            None => None,
            Some(body) => row::event(&body)?.referral().map(|it| it.points()),
        };
        let what = || format!("referral at {place}");
        match told {
            Some(told) => findings.compare(Some(&referrer), what, points, told),
            None if points != 0 || joined => {
                findings.differ(Some(&referrer), what(), points.to_string(), "nothing");
            }
            None => {}
        }
    }
    Ok(())
}
