//! Exports: newline-delimited JSON in a stable order, for other people's scripts and for comparing.
//!
//! The canonical form leaves out whatever follows arrival: entry numbers, our ids, arrival times,
//! windows that end at the clock, lots that came to nothing. Two shops that were told the same, in
//! whatever order, export the same bytes.

mod customers;
mod mail;

use crate::error::Trouble;
use crate::reads::Reads;
use crate::row::{self, channel, instant, some_instant};
use crate::rule_books::RULE_BOOK_CHANGED;
use crate::sql::Sql;
use serde::Serialize;
use stampcard_pipeline::change::LotKey;
use stampcard_pipeline::currency::Currency;
use stampcard_pipeline::event::{Channel, Event, EventName, Instant, Points};
use stampcard_pipeline::outcome::{Outcome, Time};
use stampcard_pipeline::store::StoreError;
use std::io::Write;

/// What an export shows.
#[derive(Clone, Copy, Debug, Default)]
pub struct View {
    /// As it was at that instant, by when things happened. `None` is everything there is.
    pub as_of: Option<Instant>,
    /// Only what does not follow arrival.
    pub canonical: bool,
}

impl View {
    /// The last instant that is seen.
    fn until(self) -> i64 {
        self.as_of.map_or(i64::MAX, |at| at.0)
    }
}

impl Reads {
    /// One line for each customer: in the order of their ids, or of their identities where that is
    /// canonical. Personal fields other than identities are not in it.
    pub fn export_customers(&self, view: View, out: &mut dyn Write) -> Result<(), StoreError> {
        self.read(|sql| customers::export(sql, view, out))
    }

    /// One line for each ledger entry, by number; canonical: one for each lot, with its net points.
    pub fn export_ledger(&self, view: View, out: &mut dyn Write) -> Result<(), StoreError> {
        self.read(|sql| {
            if view.canonical {
                net_points(sql, view, out)
            } else {
                entries(sql, view, out)
            }
        })
    }

    /// One line for each household that may be written to on paper, with who lives there. It is the one export
    /// that says what people are called.
    pub fn export_mail(&self, out: &mut dyn Write) -> Result<(), StoreError> {
        self.read(|sql| mail::export(sql, out))
    }

    /// One line for each event, in the order of arrival; canonical: in the order of the fold.
    pub fn export_events(&self, view: View, out: &mut dyn Write) -> Result<(), StoreError> {
        self.read(|sql| {
            if view.canonical {
                events_as_they_happened(sql, view, out)
            } else {
                events(sql, view, out)
            }
        })
    }
}

fn line(out: &mut dyn Write, value: &impl Serialize) -> Result<(), Trouble> {
    serde_json::to_writer(&mut *out, value)?;
    Ok(out.write_all(b"\n")?)
}

#[derive(Serialize)]
struct EntryLine {
    /// Its number.
    entry: i64,
    customer: String,
    kind: String,
    state: &'static str,
    amount: Points,
    balance_after: Points,
    reason: String,
    plugin: Option<String>,
    version: Option<String>,
    digest: Option<String>,
    configuration: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<String>,
    event: EventName,
    caused_by: EventName,
    /// When the event that it is for happened.
    at: Time,
    channel: Option<Channel>,
    location: Option<String>,
    device: Option<String>,
    available_from: Option<Time>,
    expires_at: Option<Time>,
    /// The redemption that the points were given for.
    #[serde(skip_serializing_if = "Option::is_none")]
    redemption: Option<String>,
    currency: Currency,
}

fn entries(sql: &Sql, view: View, out: &mut dyn Write) -> Result<(), Trouble> {
    sql.each::<Trouble>(
        "SELECT e.number, c.public, e.kind, e.amount, e.balance_after, e.reason, v.name, v.version, v.digest, v.configuration,
                j.source, j.id, b.source, b.id, e.occurred_at, e.channel, e.location, e.device, l.available_from, l.expires_at,
                e.actor,
                EXISTS (SELECT 1 FROM provisional p WHERE p.customer = l.customer AND p.at = l.at AND p.source = l.source
                        AND p.event = l.event AND p.until > ?1 AND (p.how IS NULL OR p.settled_at > ?1)),
                l.available_from > ?1, t.redemption, e.currency
         FROM entries e JOIN customers c ON c.id = e.customer LEFT JOIN takings t ON t.id = e.taking
         JOIN journal j ON j.seq = e.journal JOIN journal b ON b.seq = e.caused_by LEFT JOIN lots l ON l.id = e.lot
         LEFT JOIN plugin_versions v
             ON v.id = CASE WHEN e.taking IS NULL THEN e.plugin_version ELSE l.plugin_version END
         WHERE e.occurred_at <= ?1 ORDER BY e.number",
        &[&view.until()],
        |row| {
            let state = match (row.get::<_, bool>(21)?, row.get::<_, Option<bool>>(22)?) {
                (true, _) => "provisional",
                (false, Some(true)) => "pending",
                (false, _) => "final",
            };
            let entry = EntryLine {
                entry: row.get(0)?,
                state,
                customer: row.get(1)?,
                kind: row.get(2)?,
                amount: row.get(3)?,
                balance_after: row.get(4)?,
                reason: row.get(5)?,
                plugin: row.get(6)?,
                version: row.get(7)?,
                digest: row.get(8)?,
                configuration: row.get(9)?,
                event: EventName { source: row.get(10)?, id: row.get(11)? },
                caused_by: EventName { source: row.get(12)?, id: row.get(13)? },
                at: Time(instant(row, 14)?),
                channel: channel(row, 15)?,
                location: row.get(16)?,
                device: row.get(17)?,
                available_from: some_instant(row, 18)?.map(Time),
                expires_at: some_instant(row, 19)?.map(Time),
                actor: row.get(20)?,
                redemption: row.get(23)?,
                currency: row::currency(row, 24)?,
            };
            line(out, &entry)
        },
    )
}

/// A lot as it compares: what it is for, and what came of it.
#[derive(Serialize)]
pub(crate) struct LotLine {
    occurred_at: Time,
    event: EventName,
    plugin: String,
    kind: String,
    reason: String,
    covers: serde_json::Value,
    available_from: Option<Time>,
    expires_at: Option<Time>,
    on_return: String,
    ordinal: u32,
    points: Points,
    currency: Currency,
}

impl LotLine {
    pub(crate) fn new(key: LotKey, points: Points) -> Result<LotLine, Trouble> {
        Ok(LotLine {
            occurred_at: Time(key.origin.at),
            event: EventName {
                source: key.origin.source,
                id: key.origin.id,
            },
            plugin: key.plugin,
            kind: key.kind.name().into(),
            reason: key.reason,
            covers: serde_json::to_value(&key.covers)?,
            available_from: key.available_from.map(Time),
            expires_at: key.expires_at.map(Time),
            on_return: row::on_return_column(key.on_return),
            ordinal: key.ordinal,
            points,
            currency: key.currency,
        })
    }
}

fn net_points(sql: &Sql, view: View, out: &mut dyn Write) -> Result<(), Trouble> {
    sql.each::<Trouble>(
        // A lot that was never earned in the end is one that another order of arrival never made.
        "SELECT net, at, source, event, plugin, kind, reason, covers, available_from, expires_at, on_return, ordinal, currency
         FROM lots JOIN (SELECT lot, sum(amount) AS net FROM entries WHERE occurred_at <= ?1 AND taking IS NULL GROUP BY lot)
         ON lot = id
         WHERE net <> 0
         ORDER BY at, source, event, plugin, kind, reason, covers, available_from, expires_at, on_return, ordinal, currency, net",
        &[&view.until()],
        |row| line(out, &LotLine::new(row::lot_key(row, 1)?, row.get(0)?)?),
    )?;
    takings(sql, view, out)
}

/// Points that were taken, and of what they were given for, if that is why.
#[derive(Serialize)]
struct TakingLine {
    occurred_at: Time,
    /// `None` where a time came due.
    event: Option<EventName>,
    kind: String,
    reason: String,
    actor: Option<String>,
    sale: Option<EventName>,
    plugin: Option<String>,
    points: Points,
    debt: Points,
    currency: Currency,
}

fn takings(sql: &Sql, view: View, out: &mut dyn Write) -> Result<(), Trouble> {
    sql.each::<Trouble>(
        "SELECT t.at, t.source, t.event, t.kind, t.reason,
                (SELECT e.actor FROM entries e WHERE e.taking = t.id ORDER BY e.number LIMIT 1),
                l.source, l.event, l.plugin, -t.points, t.debt, t.currency
         FROM takings t JOIN customers c ON c.id = t.customer LEFT JOIN lots l ON l.id = t.lot
         WHERE t.at <= ?1 AND (t.points <> 0 OR t.debt <> 0)
         ORDER BY t.at, t.source, t.event, t.kind, l.source, l.event, l.plugin, t.reason, t.points, t.debt, t.currency",
        &[&view.until()],
        |row| {
            let event = EventName { source: row.get(1)?, id: row.get(2)? };
            let sale: (Option<String>, Option<String>) = (row.get(6)?, row.get(7)?);
            let taking = TakingLine {
                occurred_at: Time(instant(row, 0)?),
                event: Some(event).filter(|event| !event.source.is_empty()),
                kind: row.get(3)?,
                reason: row.get(4)?,
                actor: row.get(5)?,
                sale: match sale {
                    (Some(source), Some(id)) => Some(EventName { source, id }),
                    _ => None,
                },
                plugin: row.get(8)?,
                points: row.get(9)?,
                debt: row.get(10)?,
                currency: row::currency(row, 11)?,
            };
            line(out, &taking)
        },
    )
}

#[derive(Serialize)]
struct EventLine {
    seq: i64,
    received_at: Time,
    customer: Option<String>,
    rule_book: Option<i64>,
    status: String,
    event: Event,
    outcome: Outcome,
}

fn events(sql: &Sql, view: View, out: &mut dyn Write) -> Result<(), Trouble> {
    sql.each::<Trouble>(
        "SELECT j.seq, j.received_at, c.public, j.rule_book, j.status, j.body, j.outcome, j.first_entry
         FROM journal j LEFT JOIN customers c ON c.id = j.customer WHERE j.occurred_at <= ?1 ORDER BY j.seq",
        &[&view.until()],
        |row| {
            let event = EventLine {
                seq: row.get(0)?,
                received_at: Time(instant(row, 1)?),
                customer: row.get(2)?,
                rule_book: row.get(3)?,
                status: row.get(4)?,
                event: row::event(&row.get::<_, Vec<u8>>(5)?)?,
                outcome: row::outcome(&row.get::<_, Vec<u8>>(6)?, row.get(7)?)?.hidden(),
            };
            line(out, &event)
        },
    )
}

#[derive(Serialize)]
struct HappenedLine {
    status: String,
    event: Event,
}

/// What the shop was told. What the host itself wrote into the journal follows arrival.
fn events_as_they_happened(sql: &Sql, view: View, out: &mut dyn Write) -> Result<(), Trouble> {
    sql.each::<Trouble>(
        // What waited for its sale has been decided with it.
        "SELECT CASE WHEN w.joined IS NULL THEN j.status ELSE 'applied' END, j.body
         FROM journal j LEFT JOIN waiting w ON w.journal = j.seq
         WHERE j.occurred_at <= ?1 AND j.kind NOT IN (?2, 'review.due')
         -- Of what referrers were told the last word counts.
         AND (j.kind NOT IN ('referral.joined', 'referral.awarded')
              OR EXISTS (SELECT 1 FROM history h JOIN customers c ON h.customer IN (c.id, c.merged_into)
                         WHERE c.id = j.customer AND h.at = j.occurred_at AND h.journal = j.seq))
         ORDER BY j.occurred_at, j.source, j.id",
        &[&view.until(), &RULE_BOOK_CHANGED],
        |row| {
            let mut event = row::event(&row.get::<_, Vec<u8>>(1)?)?;
            // Its name says what it came with.
            event.id = event.position().id;
            let status = row.get(0)?;
            line(out, &HappenedLine { status, event })
        },
    )
}
