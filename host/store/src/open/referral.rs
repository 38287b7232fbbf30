//! Reading what is known of codes, and what a customer's steps gave whoever referred them.

use super::customer::hot;
use crate::error::Trouble;
use crate::people;
use crate::reads::referral_code;
use crate::row;
use crate::writer::Writer;
use rusqlite::Row;
use stampcard_pipeline::admit::Admitted;
use stampcard_pipeline::change::{CustomerId, ReferrerAward};
use stampcard_pipeline::event::Position;
use stampcard_pipeline::fold::Fold;
use stampcard_pipeline::identity::{Who, Whose};
use stampcard_pipeline::referral::{ReferrerKnown, Referring, same_address};

/// Referrals are looked at for a circle as far as this: a longer chain was made on purpose, and costs its
/// maker more than it brings.
const CHAIN_MAX: usize = 64;

/// What is known of the code of an event, and of its customer's.
pub(super) fn referring(
    writer: &mut Writer,
    event: &Admitted,
    who: &Who,
) -> Result<Referring, Trouble> {
    let code = match &who.customer {
        Whose::Existing(id) => referral_code(&writer.sql, id)?,
        _ => None,
    };
    let referrer = match event.event.signup() {
        Some(signup) => referrer(writer, event, &signup.code)?,
        None => None,
    };
    Ok(Referring { code, referrer })
}

fn referrer(
    writer: &mut Writer,
    event: &Admitted,
    code: &str,
) -> Result<Option<ReferrerKnown>, Trouble> {
    let found = writer.sql.first(
        "SELECT c.id, c.public, r.revoked_by IS NOT NULL FROM referral_codes r JOIN customers c ON c.id = r.customer
         WHERE r.code = ?1",
        &[&code],
        |row| Ok((row.get::<_, i64>(0)?, CustomerId(row.get(1)?), row.get(2)?)),
    )?;
    let Some((row, customer, is_revoked)) = found else {
        return Ok(None);
    };
    let mut above: Vec<CustomerId> = Vec::new();
    let mut next = customer.clone();
    while above.len() < CHAIN_MAX {
        let head = hot(writer, &next)?.and_then(|hot| hot.head);
        let Some(by) = head.and_then(|head| head.referred().map(|it| it.by.clone())) else {
            break;
        };
        if above.contains(&by) {
            break;
        }
        above.push(by.clone());
        next = by;
    }
    let told = event
        .personal
        .fields
        .get("address")
        .and_then(Option::as_ref);
    let same_address = match told {
        None => false,
        Some(told) => people::address(&writer.sql, row)?.is_some_and(|it| same_address(&it, told)),
    };
    Ok(Some(ReferrerKnown {
        customer,
        is_revoked,
        above,
        same_address,
    }))
}

/// In the order in which [`award`] reads them; every one of them is in points.
macro_rules! columns {
    () => {
        "SELECT at, source, event, place, referral, referrer, points, shares, award_at, award_source, award_event,
             plugin, kind, reason, covers, available_from, expires_at, on_return, ordinal, 0
         FROM referrer_awards "
    };
}

/// What the steps after a place gave.
pub(super) fn referrer_awards(
    writer: &Writer,
    customer: i64,
    start: &Fold,
) -> Result<Vec<ReferrerAward>, Trouble> {
    let last = &start.last;
    let mut awards = Vec::new();
    writer.sql.each::<Trouble>(
        concat!(
            columns!(),
            "WHERE customer = ?1 AND (at, source, event) > (?2, ?3, ?4) ORDER BY id"
        ),
        &[&customer, &last.at.0, &last.source, &last.id],
        |row| {
            awards.push(award(row)?);
            Ok(())
        },
    )?;
    Ok(awards)
}

/// What a step gave that sold something.
pub(super) fn sold_for_referrer(
    writer: &Writer,
    customer: i64,
    step: &Position,
) -> Result<Vec<ReferrerAward>, Trouble> {
    let mut awards = Vec::new();
    writer.sql.each::<Trouble>(
        concat!(columns!(), "WHERE customer = ?1 AND at = ?2 AND source = ?3 AND event = ?4 AND points > 0 ORDER BY id"),
        &[&customer, &step.at.0, &step.source, &step.id],
        |row| {
            awards.push(award(row)?);
            Ok(())
        },
    )?;
    Ok(awards)
}

fn award(row: &Row) -> Result<ReferrerAward, Trouble> {
    Ok(ReferrerAward {
        step: row::position(row, 0)?,
        place: row.get(3)?,
        referral: row.get(4)?,
        referrer: CustomerId(row.get(5)?),
        points: row.get(6)?,
        shares: serde_json::from_str(&row.get::<_, String>(7)?)?,
        key: row::lot_key(row, 8)?,
    })
}
