//! Reading both customers of an event about two: of a merge all that either of them has, of one that is
//! taken back what each of them is left with. Both are decided from their first event on.

use super::customer::{hot, later, lots, recorded, takings, unpack_recorded};
use super::referral::referrer_awards;
use crate::cache::Hot;
use crate::error::Trouble;
use crate::people;
use crate::row::{self, instant};
use crate::rule_books::Books;
use crate::writer::Writer;
use stampcard_pipeline::change::{CustomerId, ReferrerAward};
use stampcard_pipeline::currency::ByCurrency;
use stampcard_pipeline::event::{Body, Event, EventName, Identifier, Instant, Position};
use stampcard_pipeline::fold::Fold;
use stampcard_pipeline::identity::{Who, Whose};
use stampcard_pipeline::merges::{Apart, Told, ToldWhen};
use stampcard_pipeline::store::{
    Ask, BookedLot, BookedTaking, CustomerCase, Later, OtherKnown, PurseRows, Recorded, StoreError,
};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// What becomes of the rows of two customers.
pub(crate) enum Way {
    /// All that the other one has goes to the first.
    Join,
    /// A part of what the first one has goes to the other.
    Part(Box<Part>),
}

/// What goes back when a merge is taken back.
pub(crate) struct Part {
    /// The event of the merge.
    pub merge: i64,
    /// Everybody who was the other one at the merge: they themselves, and whoever they had taken in.
    pub family: Vec<i64>,
    /// The journal row and the place of each event, and whether it was somebody else's on arrival.
    pub events: Vec<(i64, Position, bool)>,
    pub lots: Vec<i64>,
    pub takings: Vec<i64>,
    pub identifiers: BTreeSet<Identifier>,
}

pub(super) struct Two {
    pub first: (Hot, CustomerCase),
    pub other: (Hot, CustomerCase),
    /// Events that do not say whose they are.
    pub unclear: Vec<EventName>,
    pub way: Way,
}

/// What is known of the second customer of an event about two.
pub(super) fn other_known(writer: &Writer, event: &Event) -> Result<Option<OtherKnown>, Trouble> {
    let Some(other) = event.other() else {
        return Ok(None);
    };
    Ok(writer.sql.first(
        "SELECT c.public, k.public FROM customers c
         LEFT JOIN merges m ON m.other = c.id AND m.ended_by IS NULL LEFT JOIN customers k ON k.id = m.kept
         WHERE c.public = ?1",
        &[&other.0],
        |row| {
            let into: Option<String> = row.get(1)?;
            Ok(OtherKnown {
                id: CustomerId(row.get(0)?),
                merged_into: into.map(CustomerId),
            })
        },
    )?)
}

/// Pairs of customers who are two people, and customers who have an e-mail.
type OfSeveral = (Vec<(CustomerId, CustomerId)>, Vec<CustomerId>);

/// What is known of customers whom the identifiers of one event name, where there are several.
pub(super) fn known_of_several(
    writer: &Writer,
    identifiers: &[(Identifier, Option<CustomerId>)],
) -> Result<OfSeveral, Trouble> {
    let named: BTreeSet<&CustomerId> = identifiers
        .iter()
        .filter_map(|(_, owner)| owner.as_ref())
        .collect();
    let (mut apart, mut with_email) = (Vec::new(), Vec::new());
    if named.len() < 2 {
        return Ok((apart, with_email));
    }
    for id in named {
        let others = writer.sql.all(
            "SELECT o.public FROM told_apart t JOIN customers c ON c.id = t.one JOIN customers o ON o.id = t.other
             WHERE c.public = ?1",
            &[&id.0],
            |row| row.get(0).map(CustomerId),
        )?;
        apart.extend(others.into_iter().map(|other| (id.clone(), other)));
        let email = writer.sql.first(
            "SELECT 1 FROM identifiers i JOIN customers c ON c.id = i.customer
             WHERE c.public = ?1 AND i.kind = 'email' AND i.retired_at IS NULL",
            &[&id.0],
            |_| Ok(()),
        )?;
        with_email.extend(email.map(|()| id.clone()));
    }
    Ok((apart, with_email))
}

/// The two whom the event is about, if it can be done.
pub(super) fn two_of<'a>(who: &'a Who, event: &Event) -> Option<(&'a CustomerId, &'a CustomerId)> {
    let (Whose::Existing(first), Some(other)) = (&who.customer, &who.other) else {
        return None;
    };
    let can_be_done = match &event.body {
        Body::Merge(_) => other.merged_into.is_none() && other.id != *first,
        Body::Unmerge(_) => other.merged_into.as_ref() == Some(first),
        _ => false,
    };
    can_be_done.then_some((first, &other.id))
}

pub(super) fn read_two(
    writer: &mut Writer,
    (first, other): (&CustomerId, &CustomerId),
    event: &Event,
    ask: &dyn Ask,
    books: &Books,
) -> Result<Two, Trouble> {
    let gone = || Trouble::from(StoreError::Conflict);
    let hots = (
        hot(writer, first)?.ok_or_else(gone)?,
        hot(writer, other)?.ok_or_else(gone)?,
    );
    match event.body {
        Body::Merge(_) => join(writer, hots, (first, other), books),
        _ => part(writer, hots, (first, other), ask, books),
    }
}

fn join(
    writer: &Writer,
    (first, other): (Hot, Hot),
    (first_id, other_id): (&CustomerId, &CustomerId),
    books: &Books,
) -> Result<Two, Trouble> {
    let start = Fold::default();
    let mut both = Parts::default();
    for hot in [&first, &other] {
        both.later.extend(later(writer, hot.row, &start.last)?);
        both.lots.extend(lots(writer, hot.row, &start)?);
        both.takings.extend(takings(writer, hot.row, &start)?);
        let awards = referrer_awards(writer, hot.row, &start)?;
        both.referrer_awards.extend(awards);
        let rows = recorded(writer, hot.row, &start)?;
        both.recorded.extend(unpack_recorded(rows, books)?);
    }
    let clock = first.clock.max(other.clock);
    let came = other.balance;
    let went = ByCurrency {
        points: -came.points,
        store_credit: -came.store_credit,
    };
    let cases = (
        both.case(first_id, &first, clock, came),
        Parts::default().case(other_id, &other, Instant::default(), went),
    );
    Ok(Two {
        first: (first, cases.0),
        other: (other, cases.1),
        unclear: Vec::new(),
        way: Way::Join,
    })
}

fn part(
    writer: &Writer,
    (first, other): (Hot, Hot),
    (first_id, other_id): (&CustomerId, &CustomerId),
    ask: &dyn Ask,
    books: &Books,
) -> Result<Two, Trouble> {
    let start = Fold::default();
    let merge = writer.sql.first(
        "SELECT journal FROM merges WHERE other = ?1 AND ended_by IS NULL",
        &[&other.row],
        |row| row.get::<_, i64>(0),
    )?;
    let merge = merge.ok_or_else(|| Trouble::from(StoreError::Conflict))?;
    let family = family(writer, other.row)?;
    let rows = told(writer, first.row, merge, &family)?;
    let identifiers = writer.sql.all(
        "SELECT kind, value, first_of FROM identifiers WHERE customer = ?1 AND first_of IS NOT NULL",
        &[&first.row],
        |row| Ok((crate::reads::identifier(row)?, row.get::<_, i64>(2)?)),
    )?;
    let theirs = identifiers
        .into_iter()
        .filter(|(_, first_of)| family.contains(first_of))
        .map(|(identifier, _)| (identifier, true));
    let told: Vec<Told> = rows.iter().map(|row| row.told.clone()).collect();
    let Apart {
        events,
        identifiers,
        unclear,
    } = ask.tell_apart(&told, &theirs.collect::<Vec<_>>());

    let (mut stays, mut goes) = (Parts::default(), Parts::default());
    let mut moved = Vec::new();
    for row in rows {
        let journal = row.told.journal;
        let is_theirs = events.contains(&journal);
        if is_theirs {
            moved.push((journal, row.told.event.position(), !row.was_theirs));
        }
        let side = if is_theirs { &mut goes } else { &mut stays };
        side.later.push(Later {
            journal,
            event: row.told.event,
        });
    }
    // What a review did is theirs if it was driven by something of theirs.
    let drivers = drivers(writer, first.row, &family)?;
    let is_theirs = |journal: i64| events.contains(&journal) || drivers.contains(&journal);
    let (mut moved_lots, mut moved_takings) = (Vec::new(), Vec::new());
    let journals = journals_of(
        writer,
        "SELECT id, journal FROM lots WHERE customer = ?1",
        first.row,
    )?;
    for lot in lots(writer, first.row, &start)? {
        if is_theirs(journals[&lot.id]) {
            moved_lots.push(lot.id);
            goes.lots.push(lot);
        } else {
            stays.lots.push(lot);
        }
    }
    for taking in takings(writer, first.row, &start)? {
        if is_theirs(taking.journal) {
            moved_takings.push(taking.id);
            goes.takings.push(taking);
        } else {
            stays.takings.push(taking);
        }
    }
    let places: BTreeSet<&Position> = moved.iter().map(|(_, place, _)| place).collect();
    for award in referrer_awards(writer, first.row, &start)? {
        let side = match places.contains(&award.step) {
            true => &mut goes,
            false => &mut stays,
        };
        side.referrer_awards.push(award);
    }
    let rows = recorded(writer, first.row, &start)?;
    for known in unpack_recorded(rows, books)? {
        let side = match places.contains(&known.explanation.position) {
            true => &mut goes,
            false => &mut stays,
        };
        side.recorded.push(known);
    }
    let (mut came, mut went) = (ByCurrency::default(), ByCurrency::default());
    for lot in &goes.lots {
        came[lot.key.currency] += lot.earned;
        went[lot.key.currency] -= lot.earned;
    }
    for taking in &goes.takings {
        came[taking.currency] -= taking.points;
        went[taking.currency] += taking.points;
    }
    let cases = (
        stays.case(first_id, &first, first.clock, went),
        goes.case(other_id, &other, first.clock, came),
    );
    Ok(Two {
        first: (first, cases.0),
        other: (other, cases.1),
        unclear,
        way: Way::Part(Box::new(Part {
            merge,
            family,
            events: moved,
            lots: moved_lots,
            takings: moved_takings,
            identifiers,
        })),
    })
}

/// What one of two customers is decided from.
#[derive(Default)]
struct Parts {
    later: Vec<Later>,
    lots: Vec<BookedLot>,
    takings: Vec<BookedTaking>,
    referrer_awards: Vec<ReferrerAward>,
    recorded: Vec<Recorded>,
}

impl Parts {
    fn case(
        mut self,
        id: &CustomerId,
        hot: &Hot,
        clock: Instant,
        transfer: ByCurrency<i64>,
    ) -> CustomerCase {
        self.later
            .sort_by_cached_key(|later| later.event.position());
        CustomerCase {
            id: id.clone(),
            is_new: false,
            revision: hot.revision,
            balance: hot.balance,
            transfer,
            clock,
            start: Fold::default(),
            leaving: Default::default(),
            later: self.later,
            lots: self.lots,
            takings: self.takings,
            referrer_awards: self.referrer_awards,
            purse: Some(PurseRows::default()),
            sold: Vec::new(),
            planned_by: Vec::new(),
            recorded: self.recorded,
            looks_like: None,
        }
    }
}

struct ToldRow {
    told: Told,
    /// It was theirs on arrival, or has gone back to them before.
    was_theirs: bool,
}

/// A customer's events in the order of arrival, with what each said of identifiers.
fn told(
    writer: &Writer,
    customer: i64,
    merge: i64,
    family: &[i64],
) -> Result<Vec<ToldRow>, Trouble> {
    let mut rows = Vec::new();
    writer.sql.each::<Trouble>(
        "SELECT h.journal, j.body, h.at, s.body, coalesce(l.journal, h.journal), coalesce(g.customer, l.customer, j.customer)
         FROM history h JOIN journal j ON j.seq = h.journal LEFT JOIN said s ON s.journal = h.journal
         LEFT JOIN claims l ON l.guest = h.journal LEFT JOIN given_back g ON g.journal = h.journal
         WHERE h.customer = ?1 ORDER BY h.journal",
        &[&customer],
        |row| {
            let mut event = row::event(&row.get::<_, Vec<u8>>(1)?)?;
            event.at = instant(row, 2)?;
            let said: Option<String> = row.get(3)?;
            let arrived: i64 = row.get(4)?;
            let whose: Option<i64> = row.get(5)?;
            let was_theirs = whose.is_some_and(|whose| family.contains(&whose));
            rows.push(ToldRow {
                was_theirs,
                told: Told {
                    journal: row.get(0)?,
                    event: Arc::new(event),
                    when: match (arrived < merge, was_theirs) {
                        (true, true) => ToldWhen::BeforeToOther,
                        (true, false) => ToldWhen::BeforeToKept,
                        (false, _) => ToldWhen::After,
                    },
                    identifiers: people::personal(said.as_deref())?.identifiers,
                },
            });
            Ok(())
        },
    )?;
    Ok(rows)
}

/// A customer and everybody whom they have taken in, directly or not.
fn family(writer: &Writer, customer: i64) -> Result<Vec<i64>, Trouble> {
    Ok(writer.sql.all(
        "WITH RECURSIVE family (id) AS (
             SELECT ?1 UNION SELECT m.other FROM merges m JOIN family f ON m.kept = f.id WHERE m.ended_by IS NULL
         ) SELECT id FROM family",
        &[&customer],
        |row| row.get(0),
    )?)
}

/// The events of the journal that were this family's and drove something of which the customer has lots
/// or takings now.
fn drivers(writer: &Writer, customer: i64, family: &[i64]) -> Result<BTreeSet<i64>, Trouble> {
    let mut drivers = BTreeSet::new();
    writer.sql.each::<Trouble>(
        "SELECT j.seq, j.customer FROM journal j WHERE j.seq IN (
             SELECT journal FROM lots WHERE customer = ?1 AND source = ''
             UNION SELECT journal FROM takings WHERE customer = ?1 AND source = '')",
        &[&customer],
        |row| {
            let whose: Option<i64> = row.get(1)?;
            if whose.is_some_and(|whose| family.contains(&whose)) {
                drivers.insert(row.get(0)?);
            }
            Ok(())
        },
    )?;
    Ok(drivers)
}

fn journals_of(
    writer: &Writer,
    rows: &'static str,
    customer: i64,
) -> Result<HashMap<i64, i64>, Trouble> {
    let rows = writer
        .sql
        .all(rows, &[&customer], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.into_iter().collect())
}
