//! Reading one customer: their head, or for a late event everything from the last checkpoint on.

use super::Claimed;
use crate::cache::{Hot, Plan};
use crate::codec::unpack;
use crate::error::Trouble;
use crate::row::{self, instant};
use crate::rule_books::Books;
use crate::writer::Writer;
use stampcard_pipeline::admit::Admitted;
use stampcard_pipeline::change::{CustomerId, Explanation, LotKey};
use stampcard_pipeline::event::{Instant, Points, Position};
use stampcard_pipeline::fold::{Fold, Moved, window_ms};
use stampcard_pipeline::store::{Ask, Later, OpenLot, Recorded, StoreError};
use std::collections::VecDeque;
use std::sync::Arc;

/// A customer as read under the writer; what is packed is unpacked after it is let go.
pub(super) struct Read {
    pub hot: Hot,
    /// `None` is the head.
    pub start: Option<Arc<Fold>>,
    pub leaving: [VecDeque<Moved>; 4],
    pub later: Vec<(i64, Vec<u8>)>,
    pub lots: Vec<(i64, LotKey, Points)>,
    pub open_lots: Vec<OpenLot>,
    pub planned_by: Vec<String>,
    pub recorded: Vec<RecordedRow>,
}

pub(super) struct RecordedRow {
    rule_book: i64,
    journal: Option<i64>,
    body: Vec<u8>,
}

pub(super) fn read_customer(
    writer: &mut Writer,
    id: &CustomerId,
    event: &Admitted,
    ask: &dyn Ask,
    claimed: Option<&Claimed>,
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
    // A claimed sale joins the history in its own place, so the start is before that as well.
    let can_start = |fold: &Fold| {
        ask.can_start_at(fold)
            && claimed.is_none_or(|claimed| fold.is_before(&claimed.event.position()))
    };
    let end = event.event.at.max(hot.clock);
    let open_lots = match event.event.points_taken() {
        0 => Vec::new(),
        _ => open_lots(writer, hot.row)?,
    };
    let planned_by = match event.event.rules_changed() {
        None => Vec::new(),
        Some(_) => planned_by(writer, hot.row)?,
    };
    if let Some(head) = hot.head.clone().filter(|head| can_start(head)) {
        let leaving = leaving(writer, hot.row, &head, end)?;
        return Ok(Read {
            hot,
            start: None,
            leaving,
            later: Vec::new(),
            lots: Vec::new(),
            open_lots,
            planned_by,
            recorded: Vec::new(),
        });
    }
    let start = checkpoint(writer, hot.row, can_start)?.unwrap_or_default();
    Ok(Read {
        leaving: leaving(writer, hot.row, &start, end)?,
        later: later(writer, hot.row, &start.last)?,
        lots: lots(writer, hot.row, &start)?,
        open_lots,
        planned_by,
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

fn later(writer: &Writer, customer: i64, last: &Position) -> Result<Vec<(i64, Vec<u8>)>, Trouble> {
    Ok(writer.sql.all(
        "SELECT h.journal, j.body FROM history h JOIN journal j ON j.seq = h.journal
         WHERE h.customer = ?1 AND (h.at, h.source, h.id) > (?2, ?3, ?4)
         ORDER BY h.at, h.source, h.id",
        &[&customer, &last.at.0, &last.source, &last.id],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?)
}

fn lots(
    writer: &Writer,
    customer: i64,
    start: &Fold,
) -> Result<Vec<(i64, LotKey, Points)>, Trouble> {
    let mut lots = Vec::new();
    let last = &start.last;
    writer.sql.each::<Trouble>(
        // A review (an empty source) that the start has behind it may be after its last event.
        "SELECT id, earned, at, source, event, plugin, kind, reason, covers, available_from, expires_at, on_return, ordinal
         FROM lots WHERE customer = ?1 AND (at, source, event) > (?2, ?3, ?4) AND NOT (source = '' AND at <= ?5)
         ORDER BY id",
        &[&customer, &last.at.0, &last.source, &last.id, &start.clock.0],
        |row| {
            lots.push((row.get(0)?, row::lot_key(row, 2)?, row.get(1)?));
            Ok(())
        },
    )?;
    Ok(lots)
}

/// The lots from which points can be taken.
fn open_lots(writer: &Writer, customer: i64) -> Result<Vec<OpenLot>, Trouble> {
    Ok(writer.sql.all(
        "SELECT id, remaining, at, expires_at FROM lots WHERE customer = ?1 AND remaining > 0",
        &[&customer],
        |row| {
            Ok(OpenLot {
                id: row.get(0)?,
                remaining: row.get(1)?,
                earned_at: instant(row, 2)?,
                expires_at: row::some_instant(row, 3)?,
            })
        },
    )?)
}

fn recorded(writer: &Writer, customer: i64, start: &Fold) -> Result<Vec<RecordedRow>, Trouble> {
    let last = &start.last;
    Ok(writer.sql.all(
        "SELECT rule_book, journal, body FROM explanations WHERE number IN (
             SELECT max(number) FROM explanations
             WHERE customer = ?1 AND (at, source, id) > (?2, ?3, ?4) AND NOT (source = '' AND at <= ?5)
             GROUP BY at, source, id)",
        &[&customer, &last.at.0, &last.source, &last.id, &start.clock.0],
        |row| Ok(RecordedRow { rule_book: row.get(0)?, journal: row.get(1)?, body: row.get(2)? }),
    )?)
}

/// A customer from the cache or from the disk.
pub(super) fn hot(writer: &mut Writer, id: &CustomerId) -> Result<Option<Hot>, Trouble> {
    if let Some(hot) = writer.cache.get(&id.0) {
        return Ok(Some(hot.clone()));
    }
    let read = writer.sql.first(
        "SELECT id, revision, balance, clock, head FROM customers WHERE public = ?1",
        &[&id.0],
        |row| {
            let bytes: Vec<u8> = row.get(4)?;
            Ok((
                Hot {
                    row: row.get(0)?,
                    revision: row.get::<_, i64>(1)? as u64,
                    balance: row.get(2)?,
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

pub(super) fn unpack_later(rows: Vec<(i64, Vec<u8>)>) -> Result<Vec<Later>, Trouble> {
    rows.into_iter()
        .map(|(journal, body)| {
            Ok(Later {
                journal,
                event: Arc::new(row::event(&body)?),
            })
        })
        .collect()
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
        });
    }
    Ok(recorded)
}
