//! Opening a case: everything that one event needs is read here, once, under the writer, and its
//! customer is held until the case is committed or dropped.

mod customer;
mod referral;
mod two;

use crate::error::Trouble;
use crate::hold::{Token, claims, orders};
use crate::reads::in_stock;
use crate::row;
use crate::rule_books::Books;
use crate::store::Shared;
use crate::writer::Writer;
use customer::{Read, hot, read_customer, unpack_recorded};
use parking_lot::MutexGuard;
use stampcard_pipeline::admit::Admitted;
use stampcard_pipeline::change::CustomerId;
use stampcard_pipeline::currency::ByCurrency;
use stampcard_pipeline::event::{
    Event, EventName, IdentifierKind, Instant, Points, RedemptionName, SaleName,
};
use stampcard_pipeline::fold::Fold;
use stampcard_pipeline::identity::{Who, Whose};
use stampcard_pipeline::limited::Giver;
use stampcard_pipeline::limits;
use stampcard_pipeline::referral::Referring;
use stampcard_pipeline::store::{
    Ask, Case, CustomerCase, Hold, Known, Opened, OtherCase, PurseRows, RedemptionKnown, SaleKnown,
    Seen, SeenBy, StoreError,
};
use std::sync::Arc;
pub(crate) use two::{Part, Way};
use two::{Two, known_of_several, other_known, read_two, two_of};

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
    pub fn open_case(
        &self,
        event: &Admitted,
        ask: &dyn Ask,
        conflicts: Conflicts,
    ) -> Result<Opened, StoreError> {
        let work = self.group.begin_work();
        let mut keys = self.holds.keys_of(event);
        let givers = ask.givers();
        // What one gives is known to the next: whoever has a limit gives to one customer at a time.
        keys.extend(givers.iter().map(|giver| self.holds.giver(giver)));
        loop {
            let Some(mut writer) = self.holds.free_or_wait(&keys, self.group.lock()) else {
                continue;
            };
            self.group.begin(&mut writer)?;
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
            let sale = match event.event.speaks_of() {
                Some(name) => sale_of(&writer, name)?,
                None => None,
            };
            let known = known(&mut writer, event, sale.as_ref())?;
            let who = ask.identify(&known);
            let redemption = known.redemption;
            let customer = match &who.customer {
                Whose::Nobody => None,
                Whose::Existing(id) | Whose::New(id) => Some(id.clone()),
            };
            let Some(id) = customer else {
                let token = Token::take(&self.holds, keys, work);
                return Ok(nobody(who, token));
            };
            if let Some(two) = two_of(&who, &event.event) {
                let held = [two.0, two.1].map(|id| self.holds.customer(&id.0));
                let Some(mut writer) = self.holds.free_or_wait(&held, writer) else {
                    continue;
                };
                let read = read_two(&mut writer, two, &event.event, ask, &self.books)?;
                keys.extend(held);
                let token = Token::take(&self.holds, keys, work);
                let beside = Token::take(&self.holds, Vec::new(), self.group.begin_work());
                drop(writer);
                return Ok(about_two(who, read, token, beside));
            }
            let held_customer = self.holds.customer(&id.0);
            let Some(mut writer) = self.holds.free_or_wait(&[held_customer], writer) else {
                continue;
            };
            let referring = match ask.is_about_referral() {
                true => referral::referring(&mut writer, event, &who)?,
                false => Referring::default(),
            };
            let stock = stock(&writer, &event.event)?;
            let given = given(&writer, &givers)?;
            let claimed = claimed(&writer, event)?;
            let mut waited = waited(&writer, event, claimed.as_ref())?;
            // Whoever speaks of an exchange that comes back to life with this sale comes before, and is
            // among those that waited, or after, and finds it.
            let joined = waited.iter().map(|(_, event)| event);
            let joined: Vec<u64> = joined.flat_map(|event| self.holds.sale(event)).collect();
            let Some(mut writer) = self.holds.free_or_wait(&joined, writer) else {
                continue;
            };
            let visits = visits(&mut writer, event, &who, ask)?;
            let visited: Vec<i64> = visits.iter().map(|(journal, _)| *journal).collect();
            let claims = claimed.iter().map(|claimed| &claimed.event);
            let joins = claims.chain(visits.iter().map(|(_, event)| event));
            let joins: Vec<Arc<Event>> = joins.cloned().collect();
            let read = match who.customer {
                Whose::New(_) => None,
                _ => Some(read_customer(
                    &mut writer,
                    &id,
                    event,
                    ask,
                    &joins,
                    sale,
                    &waited,
                )?),
            };
            keys.push(held_customer);
            keys.extend(joined);
            let mut token = Token::take(&self.holds, keys, work);
            token.visited = visited;
            drop(writer);
            waited.extend(visits);
            let case = finish(id, who, read, claimed, waited, given, token, &self.books)?;
            return Ok(Opened::New(Box::new(Case {
                redemption,
                stock,
                referring,
                ..case
            })));
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
            first: EventName {
                source: self.source,
                id: self.id,
            },
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
            let by = if by == SeenBy::Name && same != event.sameness {
                SeenBy::NameWithOtherBody
            } else {
                by
            };
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

fn known(writer: &mut Writer, event: &Admitted, sale: Option<&Sale>) -> Result<Known, Trouble> {
    let mut identifiers = Vec::with_capacity(event.personal.identifiers.len());
    let mut shows_revoked_card = false;
    for identifier in &event.personal.identifiers {
        let found = writer.sql.first(
            "SELECT c.public, i.retired_at FROM identifiers i JOIN customers c ON c.id = i.customer
             WHERE i.kind = ?1 AND i.value = ?2",
            &[&identifier.kind.name(), &identifier.value],
            |row| Ok((CustomerId(row.get(0)?), row::some_instant(row, 1)?)),
        )?;
        let retired_at = found.as_ref().and_then(|(_, retired_at)| *retired_at);
        shows_revoked_card |= identifier.kind == IdentifierKind::Card
            && retired_at.is_some_and(|at| at <= event.event.at)
            && !event.event.replaces().contains(&IdentifierKind::Card);
        identifiers.push((identifier.clone(), found.map(|(customer, _)| customer)));
    }
    let named = match &event.named {
        Some(id) => today(writer, id)?,
        None => None,
    };
    let sale = match (event.event.speaks_of(), sale) {
        (None, _) => None,
        (Some(_), None) => Some(SaleKnown::Not),
        (Some(_), Some(sale)) => Some(match owner_of(writer, sale.seq)? {
            None if sale.is_parked => SaleKnown::Not,
            None => SaleKnown::Guest,
            Some(owner) => SaleKnown::Of(owner),
        }),
    };
    let (apart, with_email) = known_of_several(writer, &identifiers)?;
    Ok(Known {
        apart,
        with_email,
        identifiers,
        named,
        shows_revoked_card,
        sale,
        redemption: redemption(writer, event)?,
        other: other_known(writer, &event.event)?,
    })
}

/// The redemption that the event speaks of.
fn redemption(writer: &Writer, event: &Admitted) -> Result<Option<RedemptionKnown>, Trouble> {
    let read = |row: &rusqlite::Row| {
        let known: (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok((known, row::instant(row, 3)?))
    };
    let found = match event.event.speaks_of_redemption() {
        None => None,
        Some(RedemptionName::Id(id)) => writer.sql.first(
            "SELECT r.id, c.public, r.state, r.reserved_at FROM redemptions r JOIN customers c ON c.id = r.customer WHERE r.id = ?1",
            &[id],
            read,
        )?,
        Some(RedemptionName::Code(code)) => writer.sql.first(
            "SELECT r.id, c.public, r.state, r.reserved_at FROM redemptions r JOIN customers c ON c.id = r.customer WHERE r.code = ?1",
            &[code],
            read,
        )?,
    };
    let known = found.map(|((id, customer, state), reserved_at)| {
        Ok(RedemptionKnown {
            id,
            customer: CustomerId(customer),
            state: row::redemption_state(&state)?,
            reserved_at,
        })
    });
    known.transpose()
}

/// What there is of the product that the event reserves.
fn stock(writer: &Writer, event: &Event) -> Result<Option<i64>, Trouble> {
    match event.reserves_product() {
        Some(sku) => in_stock(&writer.sql, sku, event.location.as_deref(), event.channel),
        None => Ok(None),
    }
}

/// What a customer is called today: whoever took them in, where somebody did.
fn today(writer: &mut Writer, id: &CustomerId) -> Result<Option<CustomerId>, Trouble> {
    // Nobody who was merged is kept in memory.
    if writer.cache.get(&id.0).is_some() {
        return Ok(Some(id.clone()));
    }
    Ok(writer.sql.first(
        "SELECT coalesce(k.public, c.public) FROM customers c LEFT JOIN customers k ON k.id = c.merged_into
         WHERE c.public = ?1",
        &[&id.0],
        |row| Ok(CustomerId(row.get(0)?)),
    )?)
}

/// A sale of the journal.
#[derive(Clone)]
pub(crate) struct Sale {
    pub seq: i64,
    event: Arc<Event>,
    /// It is an exchange, and waits for a sale itself.
    is_parked: bool,
}

pub(crate) fn sale_of(writer: &Writer, name: &SaleName) -> Result<Option<Sale>, Trouble> {
    let read = |row: &rusqlite::Row| {
        let is_parked = row.get::<_, String>(2)? == "parked";
        Ok((row.get(0)?, row.get::<_, Vec<u8>>(1)?, is_parked))
    };
    let found = match name {
        SaleName::Sale(name) => writer.sql.first(
            "SELECT seq, body, status FROM journal
             WHERE source = ?1 AND id = ?2 AND kind IN ('sale.completed', 'exchange.completed')",
            &[&name.source, &name.id],
            read,
        )?,
        SaleName::Order(order) => writer.sql.first(
            "SELECT j.seq, j.body, j.status FROM orders o JOIN journal j ON j.seq = o.journal
             WHERE o.system = ?1 AND o.id = ?2 AND j.kind IN ('sale.completed', 'exchange.completed')",
            &[&order.system, &order.id],
            read,
        )?,
    };
    let sale = found.map(|(seq, body, is_parked)| {
        Ok(Sale {
            seq,
            event: Arc::new(row::event(&body)?),
            is_parked,
        })
    });
    sale.transpose()
}

/// Whose a sale is: whoever came with it, or claimed it, or got it back, or came with the sale for which
/// it waited; and whoever took them in.
pub(crate) fn owner_of(writer: &Writer, sale: i64) -> Result<Option<CustomerId>, Trouble> {
    Ok(writer.sql.first(
        "SELECT coalesce(k.public, c.public) FROM journal j LEFT JOIN claims l ON l.guest = j.seq
         LEFT JOIN given_back g ON g.journal = j.seq
         LEFT JOIN waiting w ON w.journal = j.seq LEFT JOIN journal b ON b.seq = w.joined
         JOIN customers c ON c.id = coalesce(g.customer, l.customer, j.customer, b.customer)
         LEFT JOIN customers k ON k.id = c.merged_into WHERE j.seq = ?1",
        &[&sale],
        |row| Ok(CustomerId(row.get(0)?)),
    )?)
}

/// Events that spoke of the sale, or of the one that is claimed, before it was anybody's; and those that
/// speak of exchanges among them.
fn waited(
    writer: &Writer,
    event: &Admitted,
    claimed: Option<&Claimed>,
) -> Result<Vec<(i64, Arc<Event>)>, Trouble> {
    let mut waited = Vec::new();
    let mut sales = vec![
        claimed
            .map_or(&event.event, |claimed| &claimed.event)
            .clone(),
    ];
    while let Some(sale) = sales.pop() {
        for (seq, event) in waiting_for(writer, &sale)? {
            sales.push(event.clone());
            waited.push((seq, event));
        }
    }
    Ok(waited)
}

fn waiting_for(writer: &Writer, sale: &Event) -> Result<Vec<(i64, Arc<Event>)>, Trouble> {
    let Some(order) = sale.sale().map(|sale| sale.order.as_ref()) else {
        return Ok(Vec::new());
    };
    let by_event = writer.sql.all(
        "SELECT w.journal, j.body FROM waiting w JOIN journal j ON j.seq = w.journal
         WHERE w.source = ?1 AND w.event = ?2 AND w.joined IS NULL",
        &[&sale.source, &sale.id],
        |row| Ok((row.get(0)?, row.get::<_, Vec<u8>>(1)?)),
    )?;
    let by_order = match order {
        None => Vec::new(),
        Some(order) => writer.sql.all(
            "SELECT w.journal, j.body FROM waiting w JOIN journal j ON j.seq = w.journal
             WHERE w.system = ?1 AND w.\"order\" = ?2 AND w.joined IS NULL",
            &[&order.system, &order.id],
            |row| Ok((row.get(0)?, row.get::<_, Vec<u8>>(1)?)),
        )?,
    };
    let rows = by_event.into_iter().chain(by_order);
    rows.map(|(seq, body)| Ok((seq, Arc::new(row::event(&body)?))))
        .collect()
}

/// What the visitor of this event did, the newest of it, as far as it becomes the customer's.
fn visits(
    writer: &mut Writer,
    event: &Admitted,
    who: &Who,
    ask: &dyn Ask,
) -> Result<Vec<(i64, Arc<Event>)>, Trouble> {
    let Some(visitor) = &event.event.visitor else {
        return Ok(Vec::new());
    };
    let head = match &who.customer {
        Whose::Existing(id) => hot(writer, id)?.and_then(|hot| hot.head),
        Whose::New(_) | Whose::Nobody => None,
    };
    let Some(since) = ask.visits_since(head.as_deref()) else {
        return Ok(Vec::new());
    };
    let rows = writer.sql.all(
        "SELECT v.journal, j.body FROM visits v JOIN journal j ON j.seq = v.journal
         WHERE v.visitor = ?1 AND v.at >= ?2 ORDER BY v.at DESC, v.journal DESC LIMIT ?3",
        &[visitor, &since.0, &limits::VISITS_MAX],
        |row| Ok((row.get(0)?, row.get::<_, Vec<u8>>(1)?)),
    )?;
    rows.into_iter()
        .map(|(seq, body)| Ok((seq, Arc::new(row::event(&body)?))))
        .collect()
}

/// What each giver has given on the day.
fn given(writer: &Writer, givers: &[Giver]) -> Result<Vec<(Giver, Points)>, Trouble> {
    let given = givers.iter().map(|giver| {
        let points = writer.sql.first(
            "SELECT points FROM given WHERE day = ?1 AND kind = ?2 AND name = ?3",
            &[&giver.day, &giver.kind.name(), &giver.name],
            |row| row.get(0),
        )?;
        Ok((giver.clone(), points.unwrap_or(0)))
    });
    given.collect()
}

/// A guest sale that this event may claim.
fn claimed(writer: &Writer, event: &Admitted) -> Result<Option<Claimed>, Trouble> {
    let Some(guest) = claims(event) else {
        return Ok(None);
    };
    let found = writer.sql.first(
        "SELECT seq, body FROM journal j WHERE source = ?1 AND id = ?2 AND status = 'guest'
         AND NOT EXISTS (SELECT 1 FROM claims c WHERE c.guest = j.seq)",
        &[&guest.source, &guest.id],
        |row| Ok((row.get(0)?, row.get::<_, Vec<u8>>(1)?)),
    )?;
    found
        .map(|(seq, body)| {
            Ok(Claimed {
                seq,
                event: Arc::new(row::event(&body)?),
            })
        })
        .transpose()
}

struct Claimed {
    seq: i64,
    event: Arc<Event>,
}

fn nobody(who: Who, token: Token) -> Opened {
    Opened::New(Box::new(Case {
        customer: None,
        other: None,
        who,
        claimed: None,
        waited: Vec::new(),
        redemption: None,
        stock: None,
        referring: Referring::default(),
        given: Vec::new(),
        hold: Hold(Box::new(token)),
    }))
}

/// A case of two customers.
fn about_two(who: Who, read: Two, mut token: Token, mut beside: Token) -> Opened {
    let ((first, first_case), (other, other_case)) = (read.first, read.other);
    for (token, hot) in [(&mut token, first), (&mut beside, other)] {
        token.hot = Some(hot);
        token.start = Some(Arc::default());
    }
    token.other = Some((Box::new(beside), read.way));
    Opened::New(Box::new(Case {
        customer: Some(first_case),
        other: Some(OtherCase {
            customer: other_case,
            unclear: read.unclear,
        }),
        who,
        claimed: None,
        waited: Vec::new(),
        redemption: None,
        stock: None,
        referring: Referring::default(),
        given: Vec::new(),
        hold: Hold(Box::new(token)),
    }))
}

/// Unpacks what was read, without the writer.
#[expect(
    clippy::too_many_arguments,
    reason = "each is one part of what was read"
)]
fn finish(
    id: CustomerId,
    who: Who,
    read: Option<Read>,
    claimed: Option<Claimed>,
    waited: Vec<(i64, Arc<Event>)>,
    given: Vec<(Giver, Points)>,
    mut token: Token,
    books: &Books,
) -> Result<Case, StoreError> {
    token.claimed = claimed.as_ref().map(|claimed| claimed.seq);
    let waited_for = waited.iter().map(|(journal, _)| *journal);
    token.waited = waited_for
        .filter(|it| !token.visited.contains(it))
        .collect();
    let customer = match read {
        None => CustomerCase {
            id,
            is_new: true,
            revision: 0,
            balance: ByCurrency::default(),
            transfer: ByCurrency::default(),
            clock: Instant::default(),
            start: Fold::default(),
            leaving: Default::default(),
            later: Vec::new(),
            lots: Vec::new(),
            takings: Vec::new(),
            referrer_awards: Vec::new(),
            purse: Some(PurseRows::default()),
            sold: Vec::new(),
            planned_by: Vec::new(),
            looks_like: None,
            recorded: Vec::new(),
        },
        Some(read) => {
            token.start = read.start;
            let start = token
                .start
                .as_ref()
                .or(read.hot.head.as_ref())
                .expect("a start is the head or a checkpoint");
            let customer = CustomerCase {
                id,
                is_new: false,
                revision: read.hot.revision,
                balance: read.hot.balance,
                transfer: ByCurrency::default(),
                clock: read.hot.clock,
                start: Fold::clone(start),
                leaving: read.leaving,
                later: read.later,
                lots: read.lots,
                takings: read.takings,
                referrer_awards: read.referrer_awards,
                purse: read.purse,
                sold: read.sold,
                planned_by: read.planned_by,
                looks_like: read.looks_like,
                recorded: unpack_recorded(read.recorded, books)?,
            };
            token.hot = Some(read.hot);
            customer
        }
    };
    Ok(Case {
        customer: Some(customer),
        other: None,
        who,
        claimed: claimed.map(|claimed| (claimed.seq, claimed.event)),
        waited,
        redemption: None,
        stock: None,
        referring: Referring::default(),
        given,
        hold: Hold(Box::new(token)),
    })
}
