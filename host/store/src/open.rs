//! Opening a case: everything that one event needs is read here, once, under the writer, and its
//! customer is held until the case is committed or dropped.

use crate::cache::{Hot, Plan};
use crate::codec::unpack;
use crate::error::Trouble;
use crate::hold::{Token, claims, orders};
use crate::row::{self, instant};
use crate::rule_books::Books;
use crate::store::Shared;
use crate::writer::Writer;
use parking_lot::MutexGuard;
use stampcard_pipeline::admit::Admitted;
use stampcard_pipeline::change::{CustomerId, Explanation};
use stampcard_pipeline::event::{Event, EventName, Instant, Position};
use stampcard_pipeline::fold::{Fold, Moved, window_ms};
use stampcard_pipeline::identity::{Who, Whose};
use stampcard_pipeline::store::{
    Ask, Case, CustomerCase, Hold, Known, Later, Opened, Recorded, Seen, SeenBy, StoreError,
};
use std::collections::VecDeque;
use std::sync::Arc;

/// What happens to an event that comes under a known name with another body.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Conflicts {
    /// It is kept for inspection.
    Keep,
    /// A preview leaves nothing behind.
    Forget,
}

/// Refused bodies that are kept for inspection, the oldest going first.
const CONFLICTS_MAX: i64 = 1_000;

impl Shared {
    pub fn open_case(&self, event: &Admitted, ask: &dyn Ask, conflicts: Conflicts) -> Result<Opened, StoreError> {
        let work = self.group.begin_work();
        let mut keys = self.holds.keys_of(event);
        loop {
            let Some(mut writer) = self.holds.free_or_wait(&keys, self.group.lock()) else { continue };
            if let Some(first) = first_of(&writer, event)? {
                if let Some(ticket) = writer.not_yet_durable(first.seq) {
                    // Its answer has not left yet, and neither may this one. If the group fails,
                    // the event was never there: look again.
                    drop(writer);
                    self.group.hurry();
                    let _ = ticket.wait();
                    continue;
                }
                if first.by == SeenBy::NameWithOtherBody && conflicts == Conflicts::Keep {
                    self.keep_conflict(&mut writer, first.seq, event)?;
                }
                drop(writer);
                return Ok(Opened::Seen(Box::new(first.seen()?)));
            }
            let known = known(&mut writer, event)?;
            let who = ask.identify(&known);
            let customer = match &who.customer {
                Whose::Nobody => None,
                Whose::Existing(id) | Whose::New(id) => Some(id.clone()),
            };
            let Some(id) = customer else {
                let token = Token::take(&self.holds, keys, work);
                return Ok(nobody(who, token));
            };
            let held_customer = self.holds.customer(&id.0);
            let Some(mut writer) = self.holds.free_or_wait(&[held_customer], writer) else { continue };
            let claimed = claimed(&writer, event)?;
            let read = match who.customer {
                Whose::New(_) => None,
                _ => Some(read_customer(&mut writer, &id, event, ask, claimed.as_ref())?),
            };
            keys.push(held_customer);
            let token = Token::take(&self.holds, keys, work);
            drop(writer);
            return finish(id, who, read, claimed, token, &self.books);
        }
    }

    fn keep_conflict(
        &self,
        writer: &mut MutexGuard<Writer>,
        first: i64,
        event: &Admitted,
    ) -> Result<(), StoreError> {
        let body = row::pack_json(&*event.event);
        let (_, _ticket) = self.group.change(writer, |writer| {
            let is_new = writer.sql.run(
                "INSERT OR IGNORE INTO conflicts (journal, sameness, received_at, body) VALUES (?1, ?2, ?3, ?4)",
                &[&first, &event.sameness, &event.received_at.0, &body],
            )?;
            if is_new > 0 {
                let oldest = writer.sql.raw().last_insert_rowid() - CONFLICTS_MAX;
                writer.sql.run("DELETE FROM conflicts WHERE number <= ?1", &[&oldest])?;
            }
            Ok(())
        })?;
        Ok(())
    }
}

/// The event that came first, as the journal holds it.
struct First {
    by: SeenBy,
    seq: i64,
    source: String,
    id: String,
    first_entry: Option<i64>,
    body: Vec<u8>,
    outcome: Vec<u8>,
}

impl First {
    fn seen(self) -> Result<Seen, Trouble> {
        Ok(Seen {
            first: EventName { source: self.source, id: self.id },
            by: self.by,
            outcome: row::outcome(&self.outcome, self.first_entry)?,
            event: Arc::new(row::event(&self.body)?),
        })
    }
}

fn first_of(writer: &Writer, event: &Admitted) -> Result<Option<First>, Trouble> {
    let read = |by: SeenBy| {
        move |row: &rusqlite::Row| {
            let same: [u8; 32] = row.get(6)?;
            let by = if by == SeenBy::Name && same != event.sameness { SeenBy::NameWithOtherBody } else { by };
            Ok(First {
                by,
                seq: row.get(0)?,
                source: row.get(1)?,
                id: row.get(2)?,
                first_entry: row.get(3)?,
                body: row.get(4)?,
                outcome: row.get(5)?,
            })
        }
    };
    let by_name = writer.sql.first(
        "SELECT seq, source, id, first_entry, body, outcome, sameness FROM journal WHERE source = ?1 AND id = ?2",
        &[&event.event.source, &event.event.id],
        read(SeenBy::Name),
    )?;
    if by_name.is_some() {
        return Ok(by_name);
    }
    for order in orders(event) {
        let by_order = writer.sql.first(
            "SELECT j.seq, j.source, j.id, j.first_entry, j.body, j.outcome, j.sameness
             FROM orders o JOIN journal j ON j.seq = o.journal WHERE o.system = ?1 AND o.id = ?2",
            &[&order.system, &order.id],
            read(SeenBy::Order),
        )?;
        if by_order.is_some() {
            return Ok(by_order);
        }
    }
    Ok(None)
}

fn known(writer: &mut Writer, event: &Admitted) -> Result<Known, Trouble> {
    let mut identifiers = Vec::with_capacity(event.personal.identifiers.len());
    for identifier in &event.personal.identifiers {
        let customer = writer.sql.first(
            "SELECT c.public FROM identifiers i JOIN customers c ON c.id = i.customer WHERE i.kind = ?1 AND i.value = ?2",
            &[&identifier.kind.name(), &identifier.value],
            |row| row.get(0).map(CustomerId),
        )?;
        identifiers.push((identifier.clone(), customer));
    }
    let named = match &event.named {
        Some(id) if hot(writer, id)?.is_some() => Some(id.clone()),
        _ => None,
    };
    Ok(Known { identifiers, named })
}

/// A customer from the cache or from the disk.
fn hot(writer: &mut Writer, id: &CustomerId) -> Result<Option<Hot>, Trouble> {
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
    let Some((mut hot, packed)) = read else { return Ok(None) };
    let bytes = unpack(&packed)?;
    hot.head = Fold::from_bytes(&bytes).map(Arc::new);
    hot.head_bytes = bytes.len();
    writer.cache.put(&id.0, hot.clone());
    Ok(Some(hot))
}

/// A guest sale that this event may claim.
fn claimed(writer: &Writer, event: &Admitted) -> Result<Option<Claimed>, Trouble> {
    let Some(guest) = claims(event) else { return Ok(None) };
    let found = writer.sql.first(
        "SELECT seq, body FROM journal j WHERE source = ?1 AND id = ?2 AND status = 'guest'
         AND NOT EXISTS (SELECT 1 FROM claims c WHERE c.guest = j.seq)",
        &[&guest.source, &guest.id],
        |row| Ok((row.get(0)?, row.get::<_, Vec<u8>>(1)?)),
    )?;
    found.map(|(seq, body)| Ok(Claimed { seq, event: Arc::new(row::event(&body)?) })).transpose()
}

struct Claimed {
    seq: i64,
    event: Arc<Event>,
}

/// A customer as read under the writer; what is packed is unpacked after it is let go.
struct Read {
    hot: Hot,
    /// `None` is the head.
    start: Option<Arc<Fold>>,
    leaving: [VecDeque<Moved>; 4],
    later: Vec<(i64, Vec<u8>)>,
    lots: Vec<(i64, stampcard_pipeline::change::LotKey, i64)>,
    recorded: Vec<RecordedRow>,
}

struct RecordedRow {
    rule_book: i64,
    journal: Option<i64>,
    body: Vec<u8>,
}

fn read_customer(
    writer: &mut Writer,
    id: &CustomerId,
    event: &Admitted,
    ask: &dyn Ask,
    claimed: Option<&Claimed>,
) -> Result<Read, Trouble> {
    // The row may be gone only if a group was taken back since the identifiers were read, and that
    // takes the writer, which we have.
    let Some(mut hot) = hot(writer, id)? else { return Err(StoreError::Conflict.into()) };
    if hot.plans.is_none() {
        hot.plans = Some(Arc::new(plans(writer, hot.row)?));
        writer.cache.put(&id.0, hot.clone());
    }
    // A claimed sale joins the history in its own place, so the start is before that as well.
    let can_start = |fold: &Fold| {
        ask.can_start_at(fold) && claimed.is_none_or(|claimed| fold.is_before(&claimed.event.position()))
    };
    let end = event.event.at.max(hot.clock);
    if let Some(head) = hot.head.clone().filter(|head| can_start(head)) {
        let leaving = leaving(writer, hot.row, &head, end)?;
        return Ok(Read { hot, start: None, leaving, later: Vec::new(), lots: Vec::new(), recorded: Vec::new() });
    }
    let start = checkpoint(writer, hot.row, can_start)?.unwrap_or_default();
    Ok(Read {
        leaving: leaving(writer, hot.row, &start, end)?,
        later: later(writer, hot.row, &start.last)?,
        lots: lots(writer, hot.row, &start)?,
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

/// The newest checkpoint at which the decisions can begin.
fn checkpoint(writer: &Writer, customer: i64, can_start: impl Fn(&Fold) -> bool) -> Result<Option<Fold>, Trouble> {
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
fn leaving(writer: &Writer, customer: i64, start: &Fold, end: Instant) -> Result<[VecDeque<Moved>; 4], Trouble> {
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
) -> Result<Vec<(i64, stampcard_pipeline::change::LotKey, i64)>, Trouble> {
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

fn nobody(who: Who, token: Token) -> Opened {
    Opened::New(Box::new(Case { customer: None, who, claimed: None, hold: Hold(Box::new(token)) }))
}

/// Unpacks what was read, without the writer.
fn finish(
    id: CustomerId,
    who: Who,
    read: Option<Read>,
    claimed: Option<Claimed>,
    mut token: Token,
    books: &Books,
) -> Result<Opened, StoreError> {
    token.claimed = claimed.as_ref().map(|claimed| claimed.seq);
    let customer = match read {
        None => CustomerCase {
            id,
            is_new: true,
            revision: 0,
            balance: 0,
            clock: Instant::default(),
            start: Fold::default(),
            leaving: Default::default(),
            later: Vec::new(),
            lots: Vec::new(),
            recorded: Vec::new(),
        },
        Some(read) => {
            token.start = read.start;
            let start = token.start.as_ref().or(read.hot.head.as_ref()).expect("a start is the head or a checkpoint");
            let customer = CustomerCase {
                id,
                is_new: false,
                revision: read.hot.revision,
                balance: read.hot.balance,
                clock: read.hot.clock,
                start: Fold::clone(start),
                leaving: read.leaving,
                later: unpack_later(read.later)?,
                lots: read.lots,
                recorded: unpack_recorded(read.recorded, books)?,
            };
            token.hot = Some(read.hot);
            customer
        }
    };
    Ok(Opened::New(Box::new(Case {
        customer: Some(customer),
        who,
        claimed: claimed.map(|claimed| (claimed.seq, claimed.event)),
        hold: Hold(Box::new(token)),
    })))
}

fn unpack_later(rows: Vec<(i64, Vec<u8>)>) -> Result<Vec<Later>, Trouble> {
    rows.into_iter().map(|(journal, body)| Ok(Later { journal, event: Arc::new(row::event(&body)?) })).collect()
}

fn unpack_recorded(rows: Vec<RecordedRow>, books: &Books) -> Result<Vec<Recorded>, Trouble> {
    let mut recorded = Vec::with_capacity(rows.len());
    for row in rows {
        let Some(book) = books.get(row.rule_book) else { continue };
        let mut explanation: Explanation = row::explanation(&row.body)?;
        explanation.journal = row.journal;
        recorded.push(Recorded { plugins: book.plugins.clone(), explanation });
    }
    Ok(recorded)
}
