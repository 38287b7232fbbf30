//! One customer: the ledger against its sums, the fold against the history and the journal.

use super::{Findings, number, redemptions};
use crate::error::Trouble;
use crate::row::{self, instant, position, some_instant};
use crate::sql::Sql;
use rusqlite::Row;
use stampcard_pipeline::change::CustomerId;
use stampcard_pipeline::currency::{ByCurrency, Currency};
use stampcard_pipeline::event::{Back, Body, Channel, Event, Instant, Points, Position, Return};
use stampcard_pipeline::fold::{Fold, Moved, window_ms};
use stampcard_pipeline::rules::{Tally, WINDOW_DAYS};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

struct Checked {
    row: i64,
    id: CustomerId,
    created_at: i64,
    clock: i64,
    next_due: Option<i64>,
    balance: ByCurrency<i64>,
    tier: Option<String>,
    head: Vec<u8>,
}

/// The columns that [`checked`] reads.
macro_rules! columns_checked {
    () => {
        "SELECT id, public, created_at, clock, next_due, balance, tier, head, credit FROM customers"
    };
}

/// The customer, and everybody with whom they were ever one: an entry stays where it was booked, and its
/// lot goes with the merge.
macro_rules! family {
    () => {
        "WITH RECURSIVE family (id) AS (
             SELECT ?1
             UNION SELECT m.other FROM family f JOIN merges m ON m.kept = f.id
             UNION SELECT m.kept FROM family f JOIN merges m ON m.other = f.id
         ) "
    };
}

pub(super) fn check_all(sql: &Sql, findings: &mut Findings) -> Result<(), Trouble> {
    let of = number(sql, "SELECT count(*) FROM customers")? as u64;
    let mut done = 0;
    sql.each::<Trouble>(concat!(columns_checked!(), " ORDER BY id"), &[], |row| {
        done += 1;
        findings.at("customers", done, of);
        check(sql, &checked(row)?, findings)
    })
}

/// The first `most` customers after a row: how many there are, and the last of them.
pub(super) fn check_some(
    sql: &Sql,
    after: i64,
    most: u32,
    findings: &mut Findings,
) -> Result<(u64, Option<i64>), Trouble> {
    let (mut looked, mut last) = (0, None);
    sql.each::<Trouble>(
        concat!(columns_checked!(), " WHERE id > ?1 ORDER BY id LIMIT ?2"),
        &[&after, &most],
        |row| {
            let customer = checked(row)?;
            (looked, last) = (looked + 1, Some(customer.row));
            check(sql, &customer, findings)
        },
    )?;
    Ok((looked, last))
}

fn checked(row: &Row) -> rusqlite::Result<Checked> {
    Ok(Checked {
        row: row.get(0)?,
        id: CustomerId(row.get(1)?),
        created_at: row.get(2)?,
        clock: row.get(3)?,
        next_due: row.get(4)?,
        balance: ByCurrency {
            points: row.get(5)?,
            store_credit: row.get(8)?,
        },
        tier: row.get(6)?,
        head: row.get(7)?,
    })
}

fn check(sql: &Sql, customer: &Checked, findings: &mut Findings) -> Result<(), Trouble> {
    ledger(sql, customer, findings)?;
    lots(sql, customer, findings)?;
    let head = match row::fold(&customer.head) {
        Ok(Some(head)) => head,
        Ok(None) => {
            findings.differ(
                Some(&customer.id),
                "head",
                "readable by this program",
                "of another version",
            );
            return Ok(());
        }
        Err(error) => {
            findings.differ(Some(&customer.id), "head", "readable", error.to_string());
            return Ok(());
        }
    };
    columns(customer, &head, findings);
    purse(sql, customer, &head, findings)?;
    redemptions::check(sql, customer.row, &customer.id, &head, findings)?;
    history(sql, customer, &head, findings)?;
    memberships(sql, customer, &head, findings)?;
    tier(sql, customer, &head, findings)?;
    tags(sql, customer, &head, findings)?;
    outbox(sql, customer, &head, findings)
}

/// Each entry's balance is the sum so far, and the last one is the customer's.
fn ledger(sql: &Sql, customer: &Checked, findings: &mut Findings) -> Result<(), Trouble> {
    let mut balances: ByCurrency<i64> = ByCurrency::default();
    sql.each::<Trouble>(
        "SELECT number, amount, balance_after, currency FROM entries WHERE customer = ?1 ORDER BY number",
        &[&customer.row],
        |row| {
            let number: i64 = row.get(0)?;
            let balance = &mut balances[row::currency(row, 3)?];
            *balance += row.get::<_, Points>(1)?;
            findings.compare(
                Some(&customer.id),
                || format!("entry {number}: balance after"),
                *balance,
                row.get(2)?,
            );
            Ok(())
        },
    )?;
    for currency in Currency::ALL {
        findings.compare(
            Some(&customer.id),
            || of(currency, "balance"),
            balances[currency],
            customer.balance[currency],
        );
    }
    Ok(())
}

fn lots(sql: &Sql, customer: &Checked, findings: &mut Findings) -> Result<(), Trouble> {
    let mut booked: HashMap<i64, Points> = HashMap::new();
    sql.each::<Trouble>(
        concat!(
            family!(),
            "SELECT e.lot, sum(e.amount) FROM entries e JOIN lots l ON l.id = e.lot
             WHERE e.customer IN (SELECT id FROM family) AND l.customer = ?1 AND e.taking IS NULL GROUP BY e.lot"
        ),
        &[&customer.row],
        |row| {
            booked.insert(row.get(0)?, row.get(1)?);
            Ok(())
        },
    )?;
    sql.each::<Trouble>(
        "SELECT id, earned, remaining, (SELECT coalesce(sum(amount), 0) FROM allocations WHERE lot = lots.id)
         FROM lots WHERE customer = ?1",
        &[&customer.row],
        |row| {
            let (id, earned, taken): (i64, Points, Points) = (row.get(0)?, row.get(1)?, row.get(3)?);
            let sum = booked.remove(&id).unwrap_or(0);
            findings.compare(Some(&customer.id), || format!("lot {id}: earned"), sum, earned);
            findings.compare(Some(&customer.id), || format!("lot {id}: remaining"), sum - taken, row.get(2)?);
            Ok(())
        },
    )?;
    sql.each::<Trouble>(
        concat!(
            family!(),
            "SELECT id, points,
                    (SELECT coalesce(-sum(amount), 0) FROM entries
                     WHERE taking = takings.id AND customer IN (SELECT id FROM family)),
                    (SELECT coalesce(sum(amount), 0) FROM allocations WHERE taking = takings.id)
             FROM takings WHERE customer = ?1"
        ),
        &[&customer.row],
        |row| {
            let (id, points, paid): (i64, Points, Points) = (row.get(0)?, row.get(1)?, row.get(3)?);
            findings.compare(
                Some(&customer.id),
                || format!("taking {id}: points"),
                row.get(2)?,
                points,
            );
            if paid > points {
                let (most, found) = (format!("at most {points}"), paid.to_string());
                findings.differ(
                    Some(&customer.id),
                    format!("taking {id}: paid by lots"),
                    most,
                    found,
                );
            }
            Ok(())
        },
    )?;
    // A lot may have gone to somebody else with a merge, but to nobody beside them.
    sql.each::<Trouble>(
        concat!(
            family!(),
            "SELECT e.lot, sum(e.amount) FROM entries e WHERE e.customer = ?1 AND e.lot IS NOT NULL AND e.taking IS NULL
             AND NOT EXISTS (SELECT 1 FROM lots l WHERE l.id = e.lot AND l.customer IN (SELECT id FROM family))
             GROUP BY e.lot"
        ),
        &[&customer.row],
        |row| {
            findings.differ(
                Some(&customer.id),
                format!("lot {}", row.get::<_, i64>(0)?),
                format!("a lot of this customer with {}", row.get::<_, Points>(1)?),
                "none",
            );
            Ok(())
        },
    )
}

/// What is in the lots, less what no lot has paid for, is the balance; and the head knows when the next
/// lots end and which sales are not certain.
fn purse(
    sql: &Sql,
    customer: &Checked,
    head: &Fold,
    findings: &mut Findings,
) -> Result<(), Trouble> {
    for currency in Currency::ALL {
        account(sql, customer, currency, head, findings)?;
    }
    let uncertain = sql.first(
        "SELECT count(*) FROM provisional WHERE customer = ?1 AND how IS NULL",
        &[&customer.row],
        |row| row.get(0),
    )?;
    findings.compare(
        Some(&customer.id),
        || "sales that are not certain".into(),
        uncertain.unwrap_or(0),
        head.provisional.len() as i64,
    );
    Ok(())
}

/// What is looked at, of points where nothing else is said.
fn of(currency: Currency, what: &str) -> String {
    match currency {
        Currency::Points => what.to_owned(),
        Currency::StoreCredit => format!("{what} of store credit"),
    }
}

fn account(
    sql: &Sql,
    customer: &Checked,
    currency: Currency,
    head: &Fold,
    findings: &mut Findings,
) -> Result<(), Trouble> {
    let (id, account) = (Some(&customer.id), head.account(currency));
    let (name, column) = (currency.name(), row::currency_column(currency));
    let one = |sql_text: &'static str| -> Result<i64, Trouble> {
        let found = sql.first(sql_text, &[&customer.row, &column], |row| {
            row.get::<_, Option<i64>>(0)
        })?;
        Ok(found.flatten().unwrap_or(0))
    };
    let left = one("SELECT sum(remaining) FROM lots WHERE customer = ?1 AND currency = ?2")?;
    let taken = one("SELECT sum(points) FROM takings WHERE customer = ?1 AND currency = ?2")?;
    let paid = one(
        "SELECT sum(a.amount) FROM allocations a JOIN takings t ON t.id = a.taking
         WHERE a.customer = ?1 AND t.currency = ?2",
    )?;
    findings.compare(
        id,
        || format!("{name} that are owed"),
        taken - paid,
        account.owed,
    );
    findings.compare(
        id,
        || format!("{name} in lots"),
        customer.balance[currency] + account.owed,
        left,
    );
    let crossed = one(
        "SELECT count(*) FROM allocations a JOIN takings t ON t.id = a.taking JOIN lots l ON l.id = a.lot
         WHERE a.customer = ?1 AND t.currency = ?2 AND l.currency <> ?2",
    )?;
    findings.compare(
        id,
        || format!("{name} that another currency paid for"),
        0,
        crossed,
    );
    // What has ended and is still there is set aside, and ends when it is free again.
    let day_ends = account.next_expiry.map_or(0, |next| next.day_ends.0);
    let next_expiry = sql.first(
        "SELECT min(expires_at), sum(remaining) FILTER (WHERE expires_at <= ?4) FROM lots
         WHERE customer = ?1 AND currency = ?2 AND remaining > 0 AND expires_at > ?3",
        &[&customer.row, &column, &head.clock.0, &day_ends],
        |row| {
            Ok(row
                .get::<_, Option<i64>>(0)?
                .zip(row.get::<_, Option<i64>>(1)?))
        },
    )?;
    let text = |next: Option<(i64, i64)>| match next {
        None => "nothing".to_owned(),
        Some((at, amount)) => format!("{amount} at {at}"),
    };
    findings.compare(
        id,
        || of(currency, "next expiry"),
        text(next_expiry.flatten()),
        text(account.next_expiry.map(|next| (next.at.0, next.amount))),
    );
    findings.compare(
        id,
        || of(currency, "head: balance"),
        customer.balance[currency],
        account.balance,
    );
    Ok(())
}

/// What stands beside the head, so that it can be found, is what the head says.
fn columns(customer: &Checked, head: &Fold, findings: &mut Findings) {
    let id = Some(&customer.id);
    findings.compare(
        id,
        || "created at".into(),
        head.created_at.0,
        customer.created_at,
    );
    if customer.clock < head.clock.0 {
        let (least, found) = (
            format!("at least {}", head.clock.0),
            customer.clock.to_string(),
        );
        findings.differ(id, "clock", least, found);
    }
    let text = |at: Option<i64>| at.map_or("nothing".to_owned(), |at| at.to_string());
    findings.compare(
        id,
        || "next due".into(),
        text(head.next_due().map(|at| at.0)),
        text(customer.next_due),
    );
    let tier = |tier: Option<&str>| tier.unwrap_or("none").to_owned();
    let held = head.standing.as_ref().map(|held| held.tier.as_str());
    findings.compare(
        id,
        || "tier".into(),
        tier(held),
        tier(customer.tier.as_deref()),
    );
}

/// The history is what the journal's events moved, and its sums are the head's totals.
fn history(
    sql: &Sql,
    customer: &Checked,
    head: &Fold,
    findings: &mut Findings,
) -> Result<(), Trouble> {
    let id = Some(&customer.id);
    let explained: HashSet<Position> = sql
        .all(
            "SELECT DISTINCT at, source, id FROM explanations WHERE customer = ?1",
            &[&customer.row],
            |row| position(row, 0),
        )?
        .into_iter()
        .collect();
    let mut sums = Sums::new(head.clock);
    let mut last = Position::default();
    let mut counted: HashMap<Position, u32> = HashMap::new();
    sql.each::<Trouble>(
        "SELECT h.source, h.id, h.journal, j.body, h.at, h.channel, h.orders, h.spend, h.returns, h.returned, h.earned
         FROM history h LEFT JOIN journal j ON j.seq = h.journal WHERE h.customer = ?1 ORDER BY h.at, h.source, h.id",
        &[&customer.row],
        |row| {
            let moved = row::moved(row, 4)?;
            last = Position { at: moved.at, source: row.get(0)?, id: row.get(1)? };
            let what = || format!("history of {}/{}", last.source, last.id);
            let body: Option<Vec<u8>> = row.get(3)?;
            if let Some(Ok(event)) = body.map(|body| row::event(&body)) {
                // What comes back of a sale has its place after it, and what becomes of a redemption
                // after that began, whatever their own clocks say.
                let follows = event.speaks_of().is_some() || event.speaks_of_redemption().is_some();
                let is_in_place = match follows {
                    false => event.position() == last,
                    true => (&event.source, &event.id) == (&last.source, &last.id) && event.at <= last.at,
                };
                if !is_in_place {
                    findings.differ(id, what(), format!("{:?}", event.position()), format!("{last:?}"));
                }
                let told = moves(&event, &moved);
                if told != moved {
                    findings.differ(id, what(), format!("{told:?}"), format!("{moved:?}"));
                }
            }
            if !explained.contains(&last) {
                findings.differ(id, format!("explanation of {}/{}", last.source, last.id), "one", "none");
            }
            sums.add(&moved);
            counted.insert(last.clone(), sums.events);
            Ok(())
        },
    )?;
    findings.compare(id, || "events".into(), sums.events, head.events);
    if last != head.last {
        findings.differ(
            id,
            "last event",
            format!("{last:?}"),
            format!("{:?}", head.last),
        );
    }
    sums.compare(id, head, findings);
    checkpoints(sql, customer, &counted, findings)
}

/// What an event moves, besides the points, which are the rules' decision, and what comes back with a
/// sale that is undone, which only the sale can say.
fn moves(event: &Event, found: &Moved) -> Moved {
    let nothing = Moved {
        at: found.at,
        channel: event.channel,
        earned: found.earned,
        ..Moved::default()
    };
    match &event.body {
        Body::Sale(sale) => Moved {
            orders: 1,
            spend: sale.total,
            ..nothing
        },
        Body::Exchange(it) => Moved {
            orders: 1,
            spend: it.bought.total,
            returns: 1,
            returned: it.back.amount,
            ..nothing
        },
        // It counts in the channel of its sale.
        Body::Edit(it) => Moved {
            channel: found.channel,
            spend: it.bought.total - it.back.amount,
            ..nothing
        },
        Body::Return(Return {
            back: Back::Goods(refund),
            ..
        }) => Moved {
            returns: 1,
            returned: refund.amount,
            ..nothing
        },
        Body::Return(_) | Body::Payment(_) => Moved {
            returns: found.returns,
            returned: found.returned,
            ..nothing
        },
        _ => nothing,
    }
}

/// The totals as the history has them.
struct Sums {
    clock: Instant,
    events: u32,
    lifetime: Tally,
    channels: [Tally; 4],
    windows: [Tally; 4],
}

impl Sums {
    fn new(clock: Instant) -> Sums {
        Sums {
            clock,
            events: 0,
            lifetime: Tally::default(),
            channels: Default::default(),
            windows: Default::default(),
        }
    }

    fn add(&mut self, moved: &Moved) {
        self.events += 1;
        let mut tallies = vec![&mut self.lifetime];
        if let Some(channel) = moved.channel {
            tallies.push(&mut self.channels[channel as usize]);
        }
        for (window, tally) in self.windows.iter_mut().enumerate() {
            if moved.at.0 > self.clock.0 - window_ms(window) {
                tallies.push(tally);
            }
        }
        for tally in tallies {
            tally.orders += moved.orders;
            tally.spend += moved.spend;
            tally.returns += moved.returns;
            tally.returned += moved.returned;
        }
    }

    fn compare(&self, id: Option<&CustomerId>, head: &Fold, findings: &mut Findings) {
        let mut both = vec![("in all".to_owned(), &self.lifetime, &head.totals.lifetime)];
        for channel in Channel::ALL {
            let index = channel as usize;
            both.push((
                format!("by {}", channel.name()),
                &self.channels[index],
                &head.totals.channels[index],
            ));
        }
        for (window, days) in WINDOW_DAYS.iter().enumerate() {
            both.push((
                format!("in {days} days"),
                &self.windows[window],
                &head.totals.windows[window],
            ));
        }
        for (which, sum, total) in both {
            findings.compare(id, || format!("orders {which}"), sum.orders, total.orders);
            findings.compare(id, || format!("spend {which}"), sum.spend, total.spend);
            findings.compare(
                id,
                || format!("returns {which}"),
                sum.returns,
                total.returns,
            );
            findings.compare(
                id,
                || format!("returned {which}"),
                sum.returned,
                total.returned,
            );
        }
    }
}

/// A checkpoint is after an event of the history, and has counted those up to it.
fn checkpoints(
    sql: &Sql,
    customer: &Checked,
    counted: &HashMap<Position, u32>,
    findings: &mut Findings,
) -> Result<(), Trouble> {
    sql.each::<Trouble>(
        "SELECT number, at, source, id, fold FROM checkpoints WHERE customer = ?1",
        &[&customer.row],
        |row| {
            let what = format!("checkpoint {}", row.get::<_, i64>(0)?);
            let at = position(row, 1)?;
            match row::fold(&row.get::<_, Vec<u8>>(4)?) {
                Err(error) => {
                    findings.differ(Some(&customer.id), what, "readable", error.to_string())
                }
                // Passed over by a refold; nothing depends on it.
                Ok(None) => {}
                Ok(Some(fold)) => {
                    let events = counted.get(&at).copied().unwrap_or(0);
                    findings.compare(
                        Some(&customer.id),
                        || format!("{what}: events"),
                        events,
                        fold.events,
                    );
                    if fold.last != at {
                        findings.differ(
                            Some(&customer.id),
                            format!("{what}: last event"),
                            format!("{at:?}"),
                            format!("{:?}", fold.last),
                        );
                    }
                }
            }
            Ok(())
        },
    )
}

fn memberships(
    sql: &Sql,
    customer: &Checked,
    head: &Fold,
    findings: &mut Findings,
) -> Result<(), Trouble> {
    let text = |since: Instant, until: Option<Instant>| match until {
        None => format!("since {}", since.0),
        Some(until) => format!("since {} until {}", since.0, until.0),
    };
    let mut held: BTreeMap<String, String> = head
        .memberships
        .iter()
        .map(|(segment, member)| (segment.clone(), text(member.since, member.until)))
        .collect();
    sql.each::<Trouble>(
        "SELECT segment, since, until FROM memberships WHERE customer = ?1 AND left_at IS NULL",
        &[&customer.row],
        |row| {
            let segment: String = row.get(0)?;
            let found = text(instant(row, 1)?, some_instant(row, 2)?);
            let expected = held
                .remove(&segment)
                .unwrap_or_else(|| "not a member".into());
            findings.compare(
                Some(&customer.id),
                || format!("membership in {segment}"),
                expected,
                found,
            );
            Ok(())
        },
    )?;
    for (segment, expected) in held {
        findings.differ(
            Some(&customer.id),
            format!("membership in {segment}"),
            expected,
            "not a member",
        );
    }
    let beyond = sql.first(
        "SELECT count(*) FROM memberships WHERE customer = ?1 AND max(number, coalesce(left_number, 0)) > ?2",
        &[&customer.row, &head.changes],
        |row| row.get::<_, i64>(0),
    )?;
    findings.compare(
        Some(&customer.id),
        || "memberships numbered after the head".into(),
        0,
        beyond.unwrap_or(0),
    );
    Ok(())
}

fn tier(
    sql: &Sql,
    customer: &Checked,
    head: &Fold,
    findings: &mut Findings,
) -> Result<(), Trouble> {
    let last = sql.first(
        "SELECT to_tier FROM tiers WHERE customer = ?1 ORDER BY number DESC LIMIT 1",
        &[&customer.row],
        |row| row.get::<_, Option<String>>(0),
    )?;
    let found = last.flatten().unwrap_or_else(|| "none".into());
    let expected = head
        .standing
        .as_ref()
        .map_or("none", |held| held.tier.as_str())
        .to_owned();
    findings.compare(
        Some(&customer.id),
        || "last change of tier".into(),
        expected,
        found,
    );
    Ok(())
}

fn tags(
    sql: &Sql,
    customer: &Checked,
    head: &Fold,
    findings: &mut Findings,
) -> Result<(), Trouble> {
    let found: BTreeSet<String> = sql
        .all(
            "SELECT tag FROM customer_tags WHERE customer = ?1",
            &[&customer.row],
            |row| row.get(0),
        )?
        .into_iter()
        .collect();
    if found != head.tags {
        findings.differ(
            Some(&customer.id),
            "tags",
            format!("{:?}", head.tags),
            format!("{found:?}"),
        );
    }
    Ok(())
}

/// What waits was planned by a step that stands.
fn outbox(
    sql: &Sql,
    customer: &Checked,
    head: &Fold,
    findings: &mut Findings,
) -> Result<(), Trouble> {
    sql.each::<Trouble>(
        "SELECT id, number FROM outbox WHERE customer = ?1 AND state IN ('planned', 'suppressed', 'cancelled')
         AND number > ?2",
        &[&customer.row, &head.changes],
        |row| {
            let what = format!("follow-up {}: number", row.get::<_, i64>(0)?);
            findings.differ(Some(&customer.id), what, format!("at most {}", head.changes), row.get::<_, i64>(1)?.to_string());
            Ok(())
        },
    )
}
