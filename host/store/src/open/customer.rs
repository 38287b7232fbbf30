//! Reading one customer: their head, or for a late event everything from the last checkpoint on.

use super::Sale;
use super::referral::{referrer_awards, sold_for_referrer};
use crate::cache::{Hot, Plan};
use crate::codec::unpack;
use crate::error::Trouble;
use crate::row::{self, instant, some_instant};
use crate::rule_books::Books;
use crate::sql::Sql;
use crate::writer::Writer;
use rusqlite::{Row, ToSql};
use stampcard_pipeline::admit::Admitted;
use stampcard_pipeline::change::{CustomerId, Explanation, ReferrerAward};
use stampcard_pipeline::currency::{ByCurrency, Currency};
use stampcard_pipeline::event::{Event, EventName, Instant, Position};
use stampcard_pipeline::fold::{Fold, Moved, window_ms};
use stampcard_pipeline::store::{
    Ask, BookedLot, BookedTaking, Later, OpenLot, PurseRows, Recorded, Redeemed, SoldLot, SoldRows,
    StoreError, end_of_walk, moves_lots,
};
use std::collections::VecDeque;
use std::sync::Arc;

/// A customer as read under the writer; what is packed is unpacked after it is let go.
pub(super) struct Read {
    pub hot: Hot,
    /// `None` is the head.
    pub start: Option<Arc<Fold>>,
    pub leaving: [VecDeque<Moved>; 4],
    pub later: Vec<Later>,
    pub lots: Vec<BookedLot>,
    pub takings: Vec<BookedTaking>,
    pub referrer_awards: Vec<ReferrerAward>,
    pub purse: Option<PurseRows>,
    pub sold: Vec<SoldRows>,
    pub planned_by: Vec<String>,
    pub looks_like: Option<EventName>,
    pub recorded: Vec<RecordedRow>,
}

pub(super) struct RecordedRow {
    rule_book: i64,
    journal: Option<i64>,
    body: Vec<u8>,
    /// JSON list: the plugins that owe an answer to the step.
    owed: String,
}

pub(super) fn read_customer(
    writer: &mut Writer,
    id: &CustomerId,
    event: &Admitted,
    ask: &dyn Ask,
    joins: &[Arc<Event>],
    sale: Option<Sale>,
    waited: &[(i64, Arc<Event>)],
) -> Result<Read, Trouble> {
    // The row may be gone only if a group was taken back since the identifiers were read, and that
    // takes the writer, which we have.
    let Some(mut hot) = hot(writer, id)? else {
        return Err(StoreError::Conflict.into());
    };
    if hot.plans.is_none() {
        hot.plans = Some(Arc::new(plans(writer, hot.row)?));
        writer.cache.put(&id.0, hot.clone());
    }
    // What is claimed may have been paid with store credit.
    let opens_purse = !waited.is_empty() || joins.iter().any(|event| event.pays_with_credit(true));
    // What was nobody's joins the history in its own place, so the start is before that as well.
    let places: Vec<Position> = joins.iter().map(|event| event.position()).collect();
    let can_start =
        |fold: &Fold| ask.can_start_at(fold) && places.iter().all(|place| fold.is_before(place));
    let end = end_of_walk(event, hot.clock, waited);
    let planned_by = match event.event.rules_changed() {
        None => Vec::new(),
        Some(_) => planned_by(writer, hot.row)?,
    };
    let looks_like = match ask.looks_twice_within() {
        None => None,
        Some(within) => looks_like(writer, hot.row, &event.event, within)?,
    };
    let head = hot.head.clone().filter(|head| can_start(head));
    // Timers were driven beyond the head that turned out not to be due: what they left is after it.
    if let Some(head) = head.clone().filter(|head| head.clock >= hot.clock) {
        let leaving = leaving(writer, hot.row, &head, end)?;
        let is_open = opens_purse || moves_lots(&event.event, &head, end, &[], &[]);
        return Ok(Read {
            purse: match is_open {
                true => Some(purse(writer, hot.row, &head, true)?),
                false => None,
            },
            sold: sold(writer, hot.row, &head, sale, &[])?,
            hot,
            start: None,
            leaving,
            later: Vec::new(),
            lots: Vec::new(),
            takings: Vec::new(),
            referrer_awards: Vec::new(),
            planned_by,
            looks_like,
            recorded: Vec::new(),
        });
    }
    let start = match head {
        Some(head) => Fold::clone(&head),
        None => checkpoint(writer, hot.row, can_start)?.unwrap_or_default(),
    };
    let later = later(writer, hot.row, &start.last)?;
    let takings = takings(writer, hot.row, &start)?;
    let is_open = opens_purse || moves_lots(&event.event, &start, end, &later, &takings);
    Ok(Read {
        leaving: leaving(writer, hot.row, &start, end)?,
        lots: lots(writer, hot.row, &start)?,
        takings,
        referrer_awards: referrer_awards(writer, hot.row, &start)?,
        purse: match is_open {
            true => Some(purse(writer, hot.row, &start, false)?),
            false => None,
        },
        sold: sold(writer, hot.row, &start, sale, &later)?,
        later,
        planned_by,
        looks_like,
        recorded: recorded(writer, hot.row, &start)?,
        start: Some(Arc::new(start)),
        hot,
    })
}

fn plans(writer: &Writer, customer: i64) -> Result<Vec<Plan>, Trouble> {
    let mut plans = Vec::new();
    writer.sql.each::<Trouble>(
        "SELECT id, number, due, channel, template, cancelled_by FROM outbox
         WHERE customer = ?1 AND state = 'planned' AND cancelled_by <> '[]'",
        &[&customer],
        |row| {
            plans.push(Plan {
                id: row.get(0)?,
                number: row.get(1)?,
                due: instant(row, 2)?,
                channel: row.get(3)?,
                template: row.get(4)?,
                cancelled_by: serde_json::from_str(&row.get::<_, String>(5)?)?,
            });
            Ok(())
        },
    )?;
    Ok(plans)
}

/// The plugins with follow-ups that wait to be sent.
fn planned_by(writer: &Writer, customer: i64) -> Result<Vec<String>, Trouble> {
    Ok(writer.sql.all(
        "SELECT DISTINCT plugin FROM outbox WHERE customer = ?1 AND state = 'planned'",
        &[&customer],
        |row| row.get(0),
    )?)
}

/// Another sale of the same amount at the same place, not further away than so many milliseconds.
fn looks_like(
    writer: &Writer,
    customer: i64,
    event: &Event,
    within: i64,
) -> Result<Option<EventName>, Trouble> {
    let total = event.sale().map_or(0, |sale| sale.total);
    let (from, until) = (event.at.0 - within, event.at.0 + within);
    writer.sql.find(
        "SELECT j.body FROM history h JOIN journal j ON j.seq = h.journal
         WHERE h.customer = ?1 AND h.at BETWEEN ?2 AND ?3 AND h.orders = 1 AND h.spend = ?4 AND j.kind = ?5
         ORDER BY h.at, h.source, h.id",
        &[&customer, &from, &until, &total, &event.kind],
        |row| {
            let other = row::event(&row.get::<_, Vec<u8>>(0)?)?;
            Ok((other.location == event.location).then_some(EventName {
                source: other.source,
                id: other.id,
            }))
        },
    )
}

/// The newest checkpoint at which the decisions can begin.
fn checkpoint(
    writer: &Writer,
    customer: i64,
    can_start: impl Fn(&Fold) -> bool,
) -> Result<Option<Fold>, Trouble> {
    writer.sql.find(
        "SELECT fold FROM checkpoints WHERE customer = ?1 ORDER BY at DESC, source DESC, id DESC",
        &[&customer],
        |row| {
            let bytes = unpack(&row.get::<_, Vec<u8>>(0)?)?;
            // Bytes of another version of this program are passed over.
            Ok(Fold::from_bytes(&bytes).filter(|fold| can_start(fold)))
        },
    )
}

/// For each window that something leaves by `end`: what is in it, up to the first order that stays.
fn leaving(
    writer: &Writer,
    customer: i64,
    start: &Fold,
    end: Instant,
) -> Result<[VecDeque<Moved>; 4], Trouble> {
    let mut leaving: [VecDeque<Moved>; 4] = Default::default();
    for (window, moves) in leaving.iter_mut().enumerate() {
        if start.leaves_at[window].is_none_or(|leaves| leaves > end) {
            continue;
        }
        let length = window_ms(window);
        let (in_since, out_by) = (start.clock.0 - length, end.0 - length);
        let last = &start.last;
        writer.sql.find::<()>(
            "SELECT at, channel, orders, spend, returns, returned, earned FROM history
             WHERE customer = ?1 AND at > ?2 AND (at, source, id) <= (?3, ?4, ?5)
             AND (orders | spend | returns | returned | earned) <> 0
             ORDER BY at, source, id",
            &[&customer, &in_since, &last.at.0, &last.source, &last.id],
            |row| {
                let moved = row::moved(row, 0)?;
                let stays = moved.at.0 > out_by;
                let is_order = moved.orders > 0;
                moves.push_back(moved);
                Ok((stays && is_order).then_some(()))
            },
        )?;
    }
    Ok(leaving)
}

/// The events after a place. What comes back of a sale has its place after it, whatever it says of
/// its time.
pub(super) fn later(
    writer: &Writer,
    customer: i64,
    last: &Position,
) -> Result<Vec<Later>, Trouble> {
    let mut later = Vec::new();
    writer.sql.each::<Trouble>(
        "SELECT h.journal, j.body, h.at FROM history h JOIN journal j ON j.seq = h.journal
         WHERE h.customer = ?1 AND (h.at, h.source, h.id) > (?2, ?3, ?4)
         ORDER BY h.at, h.source, h.id",
        &[&customer, &last.at.0, &last.source, &last.id],
        |row| {
            let mut event = row::event(&row.get::<_, Vec<u8>>(1)?)?;
            event.at = instant(row, 2)?;
            later.push(Later {
                journal: row.get(0)?,
                event: Arc::new(event),
            });
            Ok(())
        },
    )?;
    Ok(later)
}

pub(super) fn lots(
    writer: &Writer,
    customer: i64,
    start: &Fold,
) -> Result<Vec<BookedLot>, Trouble> {
    let mut lots = Vec::new();
    let last = &start.last;
    writer.sql.each::<Trouble>(
        // A review (an empty source) that the start has behind it may be after its last event.
        "SELECT id, earned, shares, at, source, event, plugin, kind, reason, covers, available_from, expires_at, on_return, ordinal, currency
         FROM lots WHERE customer = ?1 AND (at, source, event) > (?2, ?3, ?4) AND NOT (source = '' AND at <= ?5)
         ORDER BY id",
        &[&customer, &last.at.0, &last.source, &last.id, &start.clock.0],
        |row| {
            lots.push(BookedLot {
                id: row.get(0)?,
                earned: row.get(1)?,
                shares: serde_json::from_str(&row.get::<_, String>(2)?)?,
                key: row::lot_key(row, 3)?,
            });
            Ok(())
        },
    )?;
    Ok(lots)
}

pub(super) fn takings(
    writer: &Writer,
    customer: i64,
    start: &Fold,
) -> Result<Vec<BookedTaking>, Trouble> {
    let mut takings = Vec::new();
    let last = &start.last;
    writer.sql.each::<Trouble>(
        "SELECT id, at, source, event, kind, lot, points, reason, journal, redemption, currency
         FROM takings WHERE customer = ?1 AND (at, source, event) > (?2, ?3, ?4) AND NOT (source = '' AND at <= ?5)
         ORDER BY id",
        &[&customer, &last.at.0, &last.source, &last.id, &start.clock.0],
        |row| {
            takings.push(BookedTaking {
                id: row.get(0)?,
                step: row::position(row, 1)?,
                kind: row::taking_kind(&row.get::<_, String>(4)?)?,
                lot: row.get(5)?,
                points: row.get(6)?,
                reason: row.get(7)?,
                journal: row.get(8)?,
                redemption: row.get(9)?,
                currency: row::currency(row, 10)?,
            });
            Ok(())
        },
    )?;
    Ok(takings)
}

/// What was taken from a lot by the start of a walk that is not the head.
macro_rules! taken_by_start {
    () => {
        "(SELECT coalesce(sum(a.amount), 0) FROM allocations a WHERE a.lot = lots.id
          AND NOT ((a.at, a.source, a.event) > (?2, ?3, ?4) AND NOT (a.source = '' AND a.at <= ?5)))"
    };
}

/// The lots that hold points at the start of a walk, and the takings for which none has paid.
fn purse(
    writer: &Writer,
    customer: i64,
    start: &Fold,
    is_head: bool,
) -> Result<PurseRows, Trouble> {
    let mut rows = PurseRows::default();
    let last = &start.last;
    let at_start: &[&dyn ToSql] = &[
        &customer,
        &last.at.0,
        &last.source,
        &last.id,
        &start.clock.0,
    ];
    let mut open = |row: &Row| -> Result<(), Trouble> {
        let remaining = row.get(1)?;
        if remaining > 0 {
            rows.lots.push(OpenLot {
                id: row.get(0)?,
                key: row::lot_key(row, 2)?,
                remaining,
            });
        }
        Ok(())
    };
    if is_head {
        writer.sql.each::<Trouble>(
            "SELECT id, remaining, at, source, event, plugin, kind, reason, covers, available_from, expires_at, on_return, ordinal, currency
             FROM lots WHERE customer = ?1 AND remaining > 0",
            &at_start[..1],
            &mut open,
        )?;
    } else {
        writer.sql.each::<Trouble>(
            concat!(
                "SELECT id, earned - ",
                taken_by_start!(),
                ", at, source, event, plugin, kind, reason, covers, available_from, expires_at, on_return, ordinal, currency
                 FROM lots WHERE customer = ?1
                 AND NOT ((at, source, event) > (?2, ?3, ?4) AND NOT (source = '' AND at <= ?5))"
            ),
            at_start,
            &mut open,
        )?;
    }
    if Currency::ALL
        .into_iter()
        .any(|it| start.account(it).owed > 0)
    {
        rows.owed = writer.sql.all(
            "SELECT id, currency, left FROM (
                 SELECT id, currency, at, source, event, points - (
                     SELECT coalesce(sum(a.amount), 0) FROM allocations a WHERE a.taking = takings.id
                     AND NOT ((a.at, a.source, a.event) > (?2, ?3, ?4) AND NOT (a.source = '' AND a.at <= ?5))
                 ) AS left
                 FROM takings WHERE customer = ?1
                 AND NOT ((at, source, event) > (?2, ?3, ?4) AND NOT (source = '' AND at <= ?5)))
             WHERE left > 0 ORDER BY at, source, event, id",
            at_start,
            |row| Ok((row.get(0)?, row::currency(row, 1)?, row.get(2)?)),
        )?;
    }
    Ok(rows)
}

/// The sales up to the start of which an event speaks: the one of this event, and those of later ones.
fn sold(
    writer: &Writer,
    customer: i64,
    start: &Fold,
    sale: Option<Sale>,
    later: &[Later],
) -> Result<Vec<SoldRows>, Trouble> {
    let mut sales: Vec<Sale> = sale.into_iter().collect();
    for name in later.iter().filter_map(|later| later.event.speaks_of()) {
        if sales.iter().all(|known| !known.event.is_sale(name)) {
            sales.extend(super::sale_of(writer, name)?);
        }
    }
    let mut sold = Vec::with_capacity(sales.len());
    for mut sale in sales {
        sale.event = in_its_place(writer, customer, sale.event)?;
        if sale.event.position() <= start.last {
            sold.push(one_sold(writer, customer, start, sale)?);
        }
    }
    Ok(sold)
}

/// An exchange has its place after the sale of which something came back, whatever it says of its time.
fn in_its_place(writer: &Writer, customer: i64, event: Arc<Event>) -> Result<Arc<Event>, Trouble> {
    if event.speaks_of().is_none() {
        return Ok(event);
    }
    let at = writer.sql.first(
        "SELECT at FROM history WHERE customer = ?1 AND at >= ?2 AND source = ?3 AND id = ?4",
        &[&customer, &event.at.0, &event.source, &event.id],
        |row| instant(row, 0),
    )?;
    Ok(match at.filter(|at| *at != event.at) {
        None => event,
        Some(at) => Arc::new(Event {
            at,
            ..Event::clone(&event)
        }),
    })
}

fn one_sold(writer: &Writer, customer: i64, start: &Fold, sale: Sale) -> Result<SoldRows, Trouble> {
    let (sql, last, at) = (&writer.sql, &start.last, &sale.event.position());
    let mut lots = lots_sold(writer, customer, start, at)?;
    let kept = sql.all(
        "SELECT plugin, bytes FROM kept WHERE customer = ?1 AND at = ?2 AND source = ?3 AND event = ?4",
        &[&customer, &at.at.0, &at.source, &at.id],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    // What takes something back of it took its place after it.
    let mut returns = Vec::new();
    sql.each::<Trouble>(
        "SELECT j.body, h.at FROM history h JOIN journal j ON j.seq = h.journal
         WHERE h.customer = ?1 AND h.at > ?2 AND (h.at, h.source, h.id) <= (?3, ?4, ?5)
         AND j.kind IN ('return.completed', 'exchange.completed', 'order.edited', 'sale.voided', 'payment.failed')
         ORDER BY h.at, h.source, h.id",
        &[&customer, &at.at.0, &last.at.0, &last.source, &last.id],
        |row| {
            let mut event = row::event(&row.get::<_, Vec<u8>>(0)?)?;
            event.at = instant(row, 1)?;
            if event
                .speaks_of()
                .is_some_and(|name| sale.event.is_sale(name))
            {
                returns.push(Arc::new(event));
            }
            Ok(())
        },
    )?;
    let mut for_referrer = sold_for_referrer(writer, customer, &sale.event.position())?;
    for edit in returns.iter().filter(|event| event.edits().is_some()) {
        lots.extend(lots_sold(writer, customer, start, &edit.position())?);
        for_referrer.extend(sold_for_referrer(writer, customer, &edit.position())?);
    }
    Ok(SoldRows {
        redeemed: redeemed(&writer.sql, customer, start, &sale.event)?,
        journal: sale.seq,
        event: sale.event,
        lots,
        for_referrer,
        kept,
        returns,
    })
}

/// What a step earned that sold something, as it is at the start of a walk.
fn lots_sold(
    writer: &Writer,
    customer: i64,
    start: &Fold,
    step: &Position,
) -> Result<Vec<SoldLot>, Trouble> {
    let last = &start.last;
    let mut lots = Vec::new();
    writer.sql.each::<Trouble>(
        concat!(
            "SELECT id, earned, shares, earned - ",
            taken_by_start!(),
            ", (SELECT coalesce(sum(t.points + t.debt), 0) FROM takings t WHERE t.lot = lots.id AND t.kind = 'reversal'
                AND NOT ((t.at, t.source, t.event) > (?2, ?3, ?4) AND NOT (t.source = '' AND t.at <= ?5))),
               (SELECT coalesce(sum(a.amount), 0) FROM allocations a JOIN takings t ON t.id = a.taking
                WHERE a.lot = lots.id AND t.kind IN ('expiry', 'forfeit')
                AND NOT ((a.at, a.source, a.event) > (?2, ?3, ?4) AND NOT (a.source = '' AND a.at <= ?5))),
               at, source, event, plugin, kind, reason, covers, available_from, expires_at, on_return, ordinal, currency
             FROM lots WHERE customer = ?1 AND at = ?6 AND source = ?7 AND event = ?8"
        ),
        &[
            &customer, &last.at.0, &last.source, &last.id, &start.clock.0, &step.at.0, &step.source, &step.id,
        ],
        |row| {
            lots.push(SoldLot {
                id: row.get(0)?,
                earned: row.get(1)?,
                shares: serde_json::from_str(&row.get::<_, String>(2)?)?,
                remaining: row.get(3)?,
                reversed: row.get(4)?,
                lapsed: row.get(5)?,
                key: row::lot_key(row, 6)?,
            });
            Ok(())
        },
    )?;
    Ok(lots)
}

/// Points that were given for a part of the sale by the start, and what lots paid for them.
fn redeemed(
    sql: &Sql,
    customer: i64,
    start: &Fold,
    sale: &Event,
) -> Result<Vec<Redeemed>, Trouble> {
    let order = sale.sale().and_then(|sale| sale.order.as_ref());
    let (last, none) = (&start.last, String::new());
    let (system, id) = order.map_or((&none, &none), |order| (&order.system, &order.id));
    let mut redeemed: Vec<Redeemed> = Vec::new();
    sql.each::<Trouble>(
        "SELECT r.id, t.points + t.debt, l.expires_at, a.amount, r.reward, t.at, t.source, t.event, t.currency
         FROM redemptions r JOIN takings t ON t.redemption = r.id
         LEFT JOIN allocations a ON a.taking = t.id AND (a.at, a.source, a.event) = (t.at, t.source, t.event)
         LEFT JOIN lots l ON l.id = a.lot
         WHERE r.customer = ?1 AND t.points + t.debt > 0
         AND (r.sale_source = ?6 AND r.sale_event = ?7 OR r.sale_system = ?8 AND r.sale_order = ?9)
         AND NOT ((t.at, t.source, t.event) > (?2, ?3, ?4) AND NOT (t.source = '' AND t.at <= ?5))
         ORDER BY t.at, t.source, t.event, r.id",
        &[
            &customer, &last.at.0, &last.source, &last.id, &start.clock.0, &sale.source, &sale.id, system, id,
        ],
        |row| {
            let of: String = row.get(0)?;
            if redeemed.last().is_none_or(|it| it.id.as_ref() != Some(&of)) {
                redeemed.push(Redeemed {
                    currency: row::currency(row, 8)?,
                    id: Some(of),
                    given_at: row::position(row, 5)?,
                    reward: row.get(4)?,
                    points: row.get(1)?,
                    drawn: Vec::new(),
                });
            }
            if let (Some(it), Some(points)) = (redeemed.last_mut(), row.get::<_, Option<i64>>(3)?) {
                it.drawn.push((some_instant(row, 2)?, points));
            }
            Ok(())
        },
    )?;
    if sale.pays_with_credit(true) {
        redeemed.extend(tendered(sql, customer, start, sale)?);
    }
    Ok(redeemed)
}

/// What the sale's tenders of store credit took by the start, but for what was set aside before.
fn tendered(
    sql: &Sql,
    customer: i64,
    start: &Fold,
    sale: &Event,
) -> Result<Option<Redeemed>, Trouble> {
    let last = &start.last;
    let mut tendered: Option<Redeemed> = None;
    sql.each::<Trouble>(
        "SELECT t.points + t.debt, l.expires_at, a.amount FROM takings t
         LEFT JOIN allocations a ON a.taking = t.id AND (a.at, a.source, a.event) = (t.at, t.source, t.event)
         LEFT JOIN lots l ON l.id = a.lot
         WHERE t.customer = ?1 AND t.at = ?5 AND t.source = ?6 AND t.event = ?7
         AND t.currency = 1 AND t.kind = 'redeem' AND t.redemption IS NULL AND t.points + t.debt > 0
         AND (t.at, t.source, t.event) <= (?2, ?3, ?4)",
        &[
            &customer, &last.at.0, &last.source, &last.id, &sale.at.0, &sale.source, &sale.id,
        ],
        |row| {
            let points = row.get(0)?;
            let it = tendered.get_or_insert_with(|| Redeemed {
                currency: Currency::StoreCredit,
                given_at: sale.position(),
                points,
                ..Redeemed::default()
            });
            if let Some(amount) = row.get::<_, Option<i64>>(2)? {
                it.drawn.push((some_instant(row, 1)?, amount));
            }
            Ok(())
        },
    )?;
    Ok(tendered)
}

pub(super) fn recorded(
    writer: &Writer,
    customer: i64,
    start: &Fold,
) -> Result<Vec<RecordedRow>, Trouble> {
    let last = &start.last;
    Ok(writer.sql.all(
        "SELECT rule_book, journal, body,
             (SELECT json_group_array(m.plugin) FROM missed m
              WHERE m.customer = x.customer AND m.at = x.at AND m.source = x.source AND m.id = x.id)
         FROM explanations x WHERE number IN (
             SELECT max(number) FROM explanations
             WHERE customer = ?1 AND (at, source, id) > (?2, ?3, ?4) AND NOT (source = '' AND at <= ?5)
             GROUP BY at, source, id)",
        &[&customer, &last.at.0, &last.source, &last.id, &start.clock.0],
        |row| {
            Ok(RecordedRow {
                rule_book: row.get(0)?,
                journal: row.get(1)?,
                body: row.get(2)?,
                owed: row.get(3)?,
            })
        },
    )?)
}

/// A customer from the cache or from the disk.
pub(super) fn hot(writer: &mut Writer, id: &CustomerId) -> Result<Option<Hot>, Trouble> {
    if let Some(hot) = writer.cache.get(&id.0) {
        return Ok(Some(hot.clone()));
    }
    let read = writer.sql.first(
        "SELECT id, revision, balance, clock, head, credit FROM customers WHERE public = ?1",
        &[&id.0],
        |row| {
            let bytes: Vec<u8> = row.get(4)?;
            Ok((
                Hot {
                    row: row.get(0)?,
                    revision: row.get::<_, i64>(1)? as u64,
                    balance: ByCurrency {
                        points: row.get(2)?,
                        store_credit: row.get(5)?,
                    },
                    clock: instant(row, 3)?,
                    head: None,
                    plans: None,
                    head_bytes: 0,
                },
                bytes,
            ))
        },
    )?;
    let Some((mut hot, packed)) = read else {
        return Ok(None);
    };
    let bytes = unpack(&packed)?;
    hot.head = Fold::from_bytes(&bytes).map(Arc::new);
    hot.head_bytes = bytes.len();
    writer.cache.put(&id.0, hot.clone());
    Ok(Some(hot))
}

pub(super) fn unpack_recorded(
    rows: Vec<RecordedRow>,
    books: &Books,
) -> Result<Vec<Recorded>, Trouble> {
    let mut recorded = Vec::with_capacity(rows.len());
    for row in rows {
        let Some(book) = books.get(row.rule_book) else {
            continue;
        };
        let mut explanation: Explanation = row::explanation(&row.body)?;
        explanation.journal = row.journal;
        recorded.push(Recorded {
            plugins: book.plugins.clone(),
            explanation,
            // Whoever failed there has no answer that could stand; whoever has one is doubted.
            doubted: serde_json::from_str(&row.owed)?,
        });
    }
    Ok(recorded)
}
