//! One customer, and how customers are found.

use super::chain::chain_of;
use super::{END_OF_HISTORY, Reads};
use crate::error::Trouble;
use crate::people::words;
use crate::row::{self, instant, some_instant};
use crate::sql::Sql;
use rusqlite::{Row, ToSql};
use stampcard_pipeline::change::{CustomerId, LotKey};
use stampcard_pipeline::currency::Currency;
use stampcard_pipeline::event::Event;
use stampcard_pipeline::event::{
    Channel, EventName, Identifier, IdentifierKind, Instant, Points, Position,
};
use stampcard_pipeline::fold::{Fold, Moved};
use stampcard_pipeline::outcome::{DiscountView, Outcome};
use stampcard_pipeline::person::PersonField;
use stampcard_pipeline::redemption::shown;
use stampcard_pipeline::rules::Value;
use stampcard_pipeline::shop::ReferralPolicy;
use stampcard_pipeline::store::StoreError;
use std::collections::BTreeMap;

/// A customer without anything personal.
#[derive(Clone, Debug)]
pub struct CustomerRecord {
    pub id: CustomerId,
    /// For `If-Match`: another one means that somebody changed the customer.
    pub revision: u64,
    pub balance: Points,
    /// When something is due by itself.
    pub next_due: Option<Instant>,
    /// Who took the customer in, if somebody did; then there is nothing else to tell.
    pub merged_into: Option<CustomerId>,
    /// Everything else: totals, segments, tier, tags, tallies by location.
    pub head: Fold,
}

/// What is known of the person.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Person {
    /// `given_name`, `family_name`, `address`, `birth_year` …
    pub fields: BTreeMap<String, String>,
    /// What they go by.
    pub identifiers: Vec<Identifier>,
    /// What they went by before.
    pub retired: Vec<Identifier>,
    /// With which they bring friends, as it is kept; people read it with a dash.
    pub referral_code: Option<String>,
}

impl Person {
    /// What stands for this field in the texts of rules. How the shop's links look is in its file.
    pub fn value(&self, field: PersonField, referral: Option<&ReferralPolicy>) -> Option<String> {
        let identifier = |kind| {
            let found = self.identifiers.iter().find(|it| it.kind == kind);
            found.map(|it| it.value.clone())
        };
        let code = self.referral_code.as_deref();
        match field {
            PersonField::Email => identifier(IdentifierKind::Email),
            PersonField::Phone => identifier(IdentifierKind::Phone),
            PersonField::ReferralCode => code.map(shown),
            PersonField::ReferralUrl => Some(referral?.link(code?)),
            PersonField::GivenName | PersonField::FamilyName | PersonField::Address => {
                self.fields.get(field.name()).cloned()
            }
        }
    }
}

/// By what customers are looked for.
#[derive(Clone, Copy, Debug)]
pub enum Find<'a> {
    All,
    /// In its normal form.
    Identifier(IdentifierKind, &'a str),
    Tag(&'a str),
    /// Who is in it now.
    Segment(&'a str),
    Tier(&'a str),
    /// Beginnings of words of a name, or of an e-mail address.
    Text(&'a str),
}

/// One event in a customer's history.
#[derive(Clone, Debug)]
pub struct TimelineRow {
    pub seq: i64,
    pub event: Event,
    /// What it belongs together with.
    pub chain: Option<String>,
    pub received_at: Instant,
    /// What it moved.
    pub moved: Moved,
    /// The answer that it got on arrival.
    pub outcome: Outcome,
}

/// The plugin that decided something, as it was then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decider {
    pub name: String,
    pub version: String,
    pub digest: String,
    pub configuration: String,
}

#[derive(Clone, Debug)]
pub struct LedgerRow {
    pub number: i64,
    pub currency: Currency,
    pub kind: String,
    pub amount: Points,
    /// Of that currency.
    pub balance_after: Points,
    pub reason: String,
    /// `None` where a person decided.
    pub plugin: Option<Decider>,
    /// Who, where no plugin decided.
    pub actor: Option<String>,
    /// The event that it is for, and when that happened.
    pub event: EventName,
    pub occurred_at: Instant,
    /// The event on whose arrival it was written.
    pub caused_by: EventName,
    pub channel: Option<Channel>,
    pub location: Option<String>,
    pub device: Option<String>,
    pub lot: Option<i64>,
    /// The redemption that the points were given for.
    pub redemption: Option<String>,
    /// The payment of its sale is not certain.
    pub is_provisional: bool,
    /// Whose it was, where that is somebody who was merged.
    pub of: Option<CustomerId>,
}

#[derive(Clone, Debug)]
pub struct LotRow {
    pub id: i64,
    pub key: LotKey,
    pub earned: Points,
    pub remaining: Points,
    /// Line number from 1 and its points.
    pub shares: Vec<(u32, Points)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MembershipView {
    pub segment: String,
    pub since: Instant,
    pub until: Option<Instant>,
    pub reason: String,
    pub plugin: String,
    pub left_at: Option<Instant>,
    pub left_reason: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TierRecord {
    pub from: Option<String>,
    pub to: Option<String>,
    pub since: Instant,
    pub keep_until: Option<Instant>,
    pub reason: String,
    /// `None` where a person decided.
    pub plugin: Option<String>,
    pub actor: Option<String>,
}

/// A follow-up as it stands in the outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxRow {
    pub id: i64,
    pub customer: CustomerId,
    pub plugin: String,
    pub channel: String,
    pub template: String,
    pub planned_at: Instant,
    pub due: Instant,
    pub expires_at: Option<Instant>,
    pub data: BTreeMap<String, Value>,
    pub cancelled_by: Vec<String>,
    pub purpose: String,
    pub offer: Option<DiscountView>,
    pub dedupe_key: String,
    pub reason: String,
    /// `planned`, `suppressed`, `cancelled` or `withdrawn`; `sent`, `dead`, `too-late` or `dropped` when
    /// its turn came.
    pub state: String,
    /// The event that it was planned for.
    pub event: EventName,
    /// How often it was tried to send it.
    pub attempts: u32,
    /// When it is its turn, where that is later than when it is due.
    pub next_attempt: Option<Instant>,
    /// What was wrong with the last attempt, or who dropped it.
    pub problem: Option<String>,
    /// When it was sent, given up, dropped or seen to be too late.
    pub ended_at: Option<Instant>,
}

/// The columns that [`outbox_row`] reads.
macro_rules! outbox_columns {
    () => {
        "SELECT o.id, c.public, o.plugin, o.channel, o.template, o.planned_at, o.due, o.expires_at, o.data,
                o.cancelled_by, o.purpose, o.offer, o.dedupe_key, o.reason, o.state, j.source, j.id,
                o.attempts, o.next_attempt, o.problem, o.ended_at
         FROM outbox o JOIN customers c ON c.id = o.customer JOIN journal j ON j.seq = o.journal"
    };
}
pub(crate) use outbox_columns;

impl Reads {
    pub fn customer(&self, id: &CustomerId) -> Result<Option<CustomerRecord>, StoreError> {
        self.read(|sql| {
            let mut found = records(sql, "WHERE public = ?1", &[&id.0])?;
            Ok(found.pop())
        })
    }

    /// The personal side of a customer; empty where nothing is known or all was erased.
    pub fn person(&self, id: &CustomerId) -> Result<Person, StoreError> {
        self.read(|sql| {
            let fields = sql.all(
                "SELECT p.field, p.value FROM people p JOIN customers c ON c.id = p.customer WHERE c.public = ?1",
                &[&id.0],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )?;
            Ok(Person {
                fields: fields.into_iter().collect(),
                identifiers: identifiers(sql, id, false)?,
                retired: identifiers(sql, id, true)?,
                referral_code: referral_code(sql, id)?,
            })
        })
    }

    /// Customers in the order in which they came, after the one at which the last page ended.
    pub fn customers(
        &self,
        find: Find,
        after: Option<&CustomerId>,
        limit: u32,
    ) -> Result<Vec<CustomerRecord>, StoreError> {
        self.read(|sql| {
            let after = match after {
                None => 0,
                Some(id) => row_of(sql, id)?.unwrap_or(i64::MAX),
            };
            let which = |rest: &str| format!("{rest} ORDER BY id LIMIT {limit}");
            match find {
                Find::All => records(
                    sql,
                    &which("WHERE id > ?1 AND merged_into IS NULL"),
                    &[&after],
                ),
                Find::Identifier(kind, value) => records(
                    sql,
                    &which("WHERE id = (SELECT customer FROM identifiers WHERE kind = ?2 AND value = ?3
                            AND (kind <> 'card' OR retired_at IS NULL)) AND id > ?1"),
                    &[&after, &kind.name(), &value],
                ),
                Find::Tag(tag) => records(
                    sql,
                    &which("WHERE id IN (SELECT customer FROM customer_tags WHERE tag = ?2 AND customer > ?1)"),
                    &[&after, &tag],
                ),
                Find::Segment(segment) => records(
                    sql,
                    &which(
                        "WHERE id IN (SELECT customer FROM memberships WHERE segment = ?2 AND left_at IS NULL AND customer > ?1)",
                    ),
                    &[&after, &segment],
                ),
                Find::Tier(tier) => records(sql, &which("WHERE tier = ?2 AND id > ?1"), &[&after, &tier]),
                Find::Text(text) => by_text(sql, text, after, limit),
            }
        })
    }

    /// A customer's events, newest first, before the position at which the last page ended.
    pub fn timeline(
        &self,
        id: &CustomerId,
        before: Option<&Position>,
        limit: u32,
    ) -> Result<Vec<TimelineRow>, StoreError> {
        let before = before.unwrap_or(&END_OF_HISTORY);
        self.read(|sql| {
            let mut rows = Vec::new();
            sql.each::<Trouble>(
                "SELECT j.seq, j.body, j.received_at, j.outcome, j.first_entry,
                        h.at, h.channel, h.orders, h.spend, h.returns, h.returned, h.earned
                 FROM history h JOIN journal j ON j.seq = h.journal
                 WHERE h.customer = (SELECT id FROM customers WHERE public = ?1) AND (h.at, h.source, h.id) < (?2, ?3, ?4)
                 ORDER BY h.at DESC, h.source DESC, h.id DESC LIMIT ?5",
                &[&id.0, &before.at.0, &before.source, &before.id, &limit],
                |row| {
                    let event = row::event(&row.get::<_, Vec<u8>>(1)?)?;
                    rows.push(TimelineRow {
                        seq: row.get(0)?,
                        chain: chain_of(sql, &event)?,
                        event,
                        received_at: instant(row, 2)?,
                        outcome: row::outcome(&row.get::<_, Vec<u8>>(3)?, row.get(4)?)?,
                        moved: row::moved(row, 5)?,
                    });
                    Ok(())
                },
            )?;
            Ok(rows)
        })
    }

    /// A customer's ledger, with that of whoever was merged into them, newest entry first, before the
    /// number at which the last page ended: of one currency, or of both.
    pub fn ledger(
        &self,
        id: &CustomerId,
        currency: Option<Currency>,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<LedgerRow>, StoreError> {
        self.read(|sql| {
            let mut rows = ledger_of(sql, id, currency, before, limit)?;
            let merged = sql.all(
                "SELECT o.public FROM customers c JOIN customers o ON o.merged_into = c.id WHERE c.public = ?1",
                &[&id.0],
                |row| row.get(0).map(CustomerId),
            )?;
            if merged.is_empty() {
                return Ok(rows);
            }
            for other in merged {
                let of = Some(other.clone());
                let theirs = ledger_of(sql, &other, currency, before, limit)?;
                rows.extend(theirs.into_iter().map(|row| LedgerRow { of: of.clone(), ..row }));
            }
            rows.sort_by_key(|row| std::cmp::Reverse(row.number));
            rows.truncate(limit as usize);
            Ok(rows)
        })
    }

    /// A customer's lots that still hold points, in the order in which they were earned.
    pub fn lots(&self, id: &CustomerId) -> Result<Vec<LotRow>, StoreError> {
        self.read(|sql| {
            let mut rows = Vec::new();
            sql.each::<Trouble>(
                "SELECT id, earned, remaining, shares,
                        at, source, event, plugin, kind, reason, covers, available_from, expires_at, on_return, ordinal, currency
                 FROM lots WHERE customer = (SELECT id FROM customers WHERE public = ?1) AND remaining <> 0
                 ORDER BY at, source, event, id",
                &[&id.0],
                |row| {
                    rows.push(LotRow {
                        id: row.get(0)?,
                        earned: row.get(1)?,
                        remaining: row.get(2)?,
                        shares: serde_json::from_str(&row.get::<_, String>(3)?)?,
                        key: row::lot_key(row, 4)?,
                    });
                    Ok(())
                },
            )?;
            Ok(rows)
        })
    }

    /// A customer's memberships, newest first: all there ever were, or those of one moment.
    pub fn memberships(
        &self,
        id: &CustomerId,
        as_of: Option<Instant>,
    ) -> Result<Vec<MembershipView>, StoreError> {
        self.read(|sql| {
            Ok(sql.all(
                "SELECT m.segment, m.since, m.until, m.reason, v.name, m.left_at, m.left_reason
                 FROM memberships m JOIN plugin_versions v ON v.id = m.plugin
                 WHERE m.customer = (SELECT id FROM customers WHERE public = ?1)
                 AND (?2 IS NULL OR m.since <= ?2 AND coalesce(m.left_at, m.until, ?2 + 1) > ?2)
                 ORDER BY m.number DESC",
                &[&id.0, &as_of.map(|at| at.0)],
                |row| {
                    Ok(MembershipView {
                        segment: row.get(0)?,
                        since: instant(row, 1)?,
                        until: some_instant(row, 2)?,
                        reason: row.get(3)?,
                        plugin: row.get(4)?,
                        left_at: some_instant(row, 5)?,
                        left_reason: row.get(6)?,
                    })
                },
            )?)
        })
    }

    /// A customer's changes of tier, newest first.
    pub fn tiers(&self, id: &CustomerId) -> Result<Vec<TierRecord>, StoreError> {
        self.read(|sql| {
            Ok(sql.all(
                "SELECT t.from_tier, t.to_tier, t.since, t.keep_until, t.reason, v.name, t.actor
                 FROM tiers t LEFT JOIN plugin_versions v ON v.id = t.plugin
                 WHERE t.customer = (SELECT id FROM customers WHERE public = ?1) ORDER BY t.number DESC",
                &[&id.0],
                |row| {
                    Ok(TierRecord {
                        from: row.get(0)?,
                        to: row.get(1)?,
                        since: instant(row, 2)?,
                        keep_until: some_instant(row, 3)?,
                        reason: row.get(4)?,
                        plugin: row.get(5)?,
                        actor: row.get(6)?,
                    })
                },
            )?)
        })
    }

    /// A customer's follow-ups in the order in which they are due, after the (due, id) at which the
    /// last page ended: those that wait, or all.
    pub fn follow_ups(
        &self,
        id: &CustomerId,
        waiting_only: bool,
        after: Option<(Instant, i64)>,
        limit: u32,
    ) -> Result<Vec<OutboxRow>, StoreError> {
        let (due, last) = after.map_or((i64::MIN, 0), |(due, id)| (due.0, id));
        self.read(|sql| {
            let mut rows = Vec::new();
            sql.each::<Trouble>(
                concat!(
                    outbox_columns!(),
                    " WHERE o.customer = (SELECT id FROM customers WHERE public = ?1)
                      AND (NOT ?2 OR o.state = 'planned') AND (o.due, o.id) > (?3, ?4)
                      ORDER BY o.due, o.id LIMIT ?5"
                ),
                &[&id.0, &waiting_only, &due, &last, &limit],
                |row| {
                    rows.push(outbox_row(row)?);
                    Ok(())
                },
            )?;
            Ok(rows)
        })
    }
}

/// What was booked for one customer.
fn ledger_of(
    sql: &Sql,
    id: &CustomerId,
    currency: Option<Currency>,
    before: Option<i64>,
    limit: u32,
) -> Result<Vec<LedgerRow>, Trouble> {
    Ok(sql.all(
                "SELECT e.number, e.kind, e.amount, e.balance_after, e.reason, v.name, v.version, v.digest, v.configuration,
                        j.source, j.id, e.occurred_at, c.source, c.id, e.channel, e.location, e.device, e.lot, e.actor,
                        EXISTS (SELECT 1 FROM provisional p WHERE p.customer = l.customer AND p.at = l.at
                                AND p.source = l.source AND p.event = l.event AND p.how IS NULL),
                        t.redemption, e.currency
                 FROM entries e LEFT JOIN lots l ON l.id = e.lot LEFT JOIN takings t ON t.id = e.taking
                 LEFT JOIN plugin_versions v
                     ON v.id = CASE WHEN e.taking IS NULL THEN e.plugin_version ELSE l.plugin_version END
                 JOIN journal j ON j.seq = e.journal JOIN journal c ON c.seq = e.caused_by
                 WHERE e.customer = (SELECT id FROM customers WHERE public = ?1) AND e.number < ?2
                 AND (?4 IS NULL OR e.currency = ?4)
                 ORDER BY e.number DESC LIMIT ?3",
                &[&id.0, &before.unwrap_or(i64::MAX), &limit, &currency.map(row::currency_column)],
                |row| {
                    Ok(LedgerRow {
                        number: row.get(0)?,
                        kind: row.get(1)?,
                        amount: row.get(2)?,
                        balance_after: row.get(3)?,
                        reason: row.get(4)?,
                        plugin: match row.get::<_, Option<String>>(5)? {
                            Some(name) => Some(Decider {
                                name,
                                version: row.get(6)?,
                                digest: row.get(7)?,
                                configuration: row.get(8)?,
                            }),
                            None => None,
                        },
                        actor: row.get(18)?,
                        event: EventName { source: row.get(9)?, id: row.get(10)? },
                        occurred_at: instant(row, 11)?,
                        caused_by: EventName { source: row.get(12)?, id: row.get(13)? },
                        channel: row::channel(row, 14)?,
                        location: row.get(15)?,
                        device: row.get(16)?,
                        lot: row.get(17)?,
                        is_provisional: row.get(19)?,
                        redemption: row.get(20)?,
                        currency: row::currency(row, 21)?,
                        of: None,
                    })
                },
            )?)
}

pub(crate) fn outbox_row(row: &Row) -> Result<OutboxRow, Trouble> {
    let offer: Option<String> = row.get(11)?;
    Ok(OutboxRow {
        id: row.get(0)?,
        customer: CustomerId(row.get(1)?),
        plugin: row.get(2)?,
        channel: row.get(3)?,
        template: row.get(4)?,
        planned_at: instant(row, 5)?,
        due: instant(row, 6)?,
        expires_at: some_instant(row, 7)?,
        data: serde_json::from_str(&row.get::<_, String>(8)?)?,
        cancelled_by: serde_json::from_str(&row.get::<_, String>(9)?)?,
        purpose: row.get(10)?,
        offer: offer
            .map(|offer| serde_json::from_str(&offer))
            .transpose()?,
        dedupe_key: row.get(12)?,
        reason: row.get(13)?,
        state: row.get(14)?,
        event: EventName {
            source: row.get(15)?,
            id: row.get(16)?,
        },
        attempts: row.get(17)?,
        next_attempt: some_instant(row, 18)?,
        problem: row.get(19)?,
        ended_at: some_instant(row, 20)?,
    })
}

/// Customers by a condition on the table `customers`.
fn records(sql: &Sql, which: &str, bound: &[&dyn ToSql]) -> Result<Vec<CustomerRecord>, Trouble> {
    let text = format!(
        "SELECT public, revision, balance, next_due, head,
                (SELECT k.public FROM customers k WHERE k.id = customers.merged_into)
         FROM customers {which}"
    );
    let rows = sql.built(&text, bound, |row| {
        let head: Vec<u8> = row.get(4)?;
        Ok((
            CustomerRecord {
                id: CustomerId(row.get(0)?),
                revision: row.get::<_, i64>(1)? as u64,
                balance: row.get(2)?,
                next_due: some_instant(row, 3)?,
                merged_into: row.get::<_, Option<String>>(5)?.map(CustomerId),
                head: Fold::default(),
            },
            head,
        ))
    })?;
    rows.into_iter()
        .map(|(record, head)| {
            let head = row::fold(&head)?.ok_or_else(|| not_rebuilt(&record.id))?;
            Ok(CustomerRecord { head, ..record })
        })
        .collect()
}

/// The head is of another version of this program.
pub(crate) fn not_rebuilt(id: &CustomerId) -> Trouble {
    StoreError::Failed(format!(
        "{} was kept by another version of this program and is built again with its next event",
        id.0
    ))
    .into()
}

fn row_of(sql: &Sql, id: &CustomerId) -> rusqlite::Result<Option<i64>> {
    sql.first(
        "SELECT id FROM customers WHERE public = ?1",
        &[&id.0],
        |row| row.get(0),
    )
}

fn identifiers(sql: &Sql, id: &CustomerId, retired: bool) -> Result<Vec<Identifier>, Trouble> {
    let mut identifiers = sql.all(
        "SELECT i.kind, i.value FROM identifiers i JOIN customers c ON c.id = i.customer
         WHERE c.public = ?1 AND (i.retired_at IS NOT NULL) = ?2",
        &[&id.0, &retired],
        identifier,
    )?;
    identifiers.sort_unstable();
    Ok(identifiers)
}

pub(crate) fn identifier(row: &Row) -> rusqlite::Result<Identifier> {
    let kind = match row.get_ref(0)?.as_str()? {
        "email" => IdentifierKind::Email,
        "phone" => IdentifierKind::Phone,
        "card" => IdentifierKind::Card,
        _ => IdentifierKind::External,
    };
    Ok(Identifier {
        kind,
        value: row.get(1)?,
    })
}

/// Each word must be the beginning of a word of the name; a text with an @ is the beginning of an
/// e-mail address, and one of digits is a part of a phone number.
fn by_text(sql: &Sql, text: &str, after: i64, limit: u32) -> Result<Vec<CustomerRecord>, Trouble> {
    if text.contains('@') {
        let beginning = text.trim().to_lowercase();
        return records(
            sql,
            &format!(
                "WHERE id IN (SELECT customer FROM identifiers WHERE kind = 'email' AND value >= ?2 AND value < ?3)
                 AND id > ?1 ORDER BY id LIMIT {limit}"
            ),
            &[&after, &beginning, &beyond(&beginning)],
        );
    }
    if let Some(digits) = phone_digits(text) {
        // Every number is looked at: nobody types the beginning of one, and people wait for it.
        return records(
            sql,
            &format!(
                "WHERE id IN (SELECT customer FROM identifiers WHERE kind = 'phone' AND instr(value, ?2) > 0)
                 AND id > ?1 ORDER BY id LIMIT {limit}"
            ),
            &[&after, &digits],
        );
    }
    let beginnings = words(text);
    if beginnings.is_empty() {
        return Ok(Vec::new());
    }
    let ends: Vec<String> = beginnings.iter().map(|word| beyond(word)).collect();
    let mut which = String::from("WHERE id > ?1");
    let mut bound: Vec<&dyn ToSql> = vec![&after];
    for (word, end) in beginnings.iter().zip(&ends) {
        let first = bound.len() + 1;
        // A word may also begin the address of somebody whose name nobody has written down.
        which.push_str(&format!(
            " AND (id IN (SELECT customer FROM names WHERE word >= ?{first} AND word < ?{0})
              OR id IN (SELECT customer FROM identifiers WHERE kind = 'email' AND value >= ?{first} AND value < ?{0}))",
            first + 1
        ));
        bound.push(word);
        bound.push(end);
    }
    which.push_str(&format!(" ORDER BY id LIMIT {limit}"));
    records(sql, &which, &bound)
}

/// The digits of a text that can only be meant for a phone number: at least four of them, and
/// nothing but what people write between them.
fn phone_digits(text: &str) -> Option<String> {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let others = text.chars().filter(|it| !it.is_ascii_digit());
    let is_number = others.into_iter().all(|it| " +-.()/".contains(it));
    (is_number && digits.len() >= 4).then_some(digits)
}

/// The end of all texts with this beginning.
fn beyond(beginning: &str) -> String {
    format!("{beginning}\u{10ffff}")
}

/// The code of a customer that works; the first, if a merge left them several.
pub(crate) fn referral_code(sql: &Sql, customer: &CustomerId) -> Result<Option<String>, Trouble> {
    Ok(sql.first(
        "SELECT r.code FROM referral_codes r JOIN customers c ON c.id = r.customer
         WHERE c.public = ?1 AND r.revoked_by IS NULL ORDER BY r.journal LIMIT 1",
        &[&customer.0],
        |row| row.get(0),
    )?)
}
