//! The customers' lines.

use super::{LotLine, View, line};
use crate::error::Trouble;
use crate::reads::{identifier, not_rebuilt};
use crate::row::{self, instant, some_instant};
use crate::sql::Sql;
use serde::Serialize;
use stampcard_pipeline::change::CustomerId;
use stampcard_pipeline::event::{Channel, Consent, Identifier, Instant, Money, MonthDay, Points};
use stampcard_pipeline::fold::{Fold, Group};
use stampcard_pipeline::outcome::Time;
use stampcard_pipeline::rules::{HeldOffer, Tally};
use stampcard_pipeline::shop::UNKNOWN;
use std::collections::{BTreeMap, HashSet};
use std::io::Write;

pub(super) fn export(sql: &Sql, view: View, out: &mut dyn Write) -> Result<(), Trouble> {
    if !view.canonical {
        return sql.each::<Trouble>(
            "SELECT id, public, created_at, balance, head, credit FROM customers
             WHERE created_at <= ?1 AND merged_into IS NULL ORDER BY public",
            &[&view.until()],
            |row| line(out, &customer(sql, view, CustomerRow::read(row)?)?),
        );
    }
    // Our ids follow arrival; identities do not. A customer comes with the first of theirs.
    let mut seen: HashSet<i64> = HashSet::new();
    sql.each::<Trouble>(
        "SELECT c.id, c.public, c.created_at, c.balance, c.head, c.credit FROM identifiers i JOIN customers c ON c.id = i.customer
         WHERE c.created_at <= ?1 ORDER BY i.kind, i.value",
        &[&view.until()],
        |row| {
            if seen.insert(row.get(0)?) {
                line(out, &customer(sql, view, CustomerRow::read(row)?)?)?;
            }
            Ok(())
        },
    )?;
    // Those without any are told apart by nothing but what is in their lines.
    let mut others = Vec::new();
    sql.each::<Trouble>(
        "SELECT id, public, created_at, balance, head, credit FROM customers c
         WHERE created_at <= ?1 AND merged_into IS NULL
         AND NOT EXISTS (SELECT 1 FROM identifiers i WHERE i.customer = c.id)",
        &[&view.until()],
        |row| {
            others.push(serde_json::to_string(&customer(
                sql,
                view,
                CustomerRow::read(row)?,
            )?)?);
            Ok(())
        },
    )?;
    others.sort_unstable();
    for other in others {
        writeln!(out, "{other}")?;
    }
    Ok(())
}

struct CustomerRow {
    id: i64,
    public: CustomerId,
    created_at: Instant,
    balance: Points,
    credit: Money,
    head: Vec<u8>,
}

impl CustomerRow {
    fn read(row: &rusqlite::Row) -> rusqlite::Result<CustomerRow> {
        Ok(CustomerRow {
            id: row.get(0)?,
            public: CustomerId(row.get(1)?),
            created_at: instant(row, 2)?,
            balance: row.get(3)?,
            head: row.get(4)?,
            credit: row.get(5)?,
        })
    }
}

#[derive(Serialize)]
struct CustomerLine {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    identities: Vec<Identifier>,
    created_at: Time,
    orders: i64,
    spend: Money,
    returns: i64,
    returned: Money,
    balance: Points,
    earned: Points,
    earned_by_channel: BTreeMap<&'static str, Points>,
    tier: Option<String>,
    segments: Vec<String>,
    /// In minor units.
    store_credit: Money,
    #[serde(flatten)]
    now: Option<Now>,
    #[serde(flatten)]
    canonical: Option<Canonical>,
}

/// What is known as it is now, and not as of a day.
#[derive(Serialize)]
struct Now {
    enrolled_at: Option<Time>,
    origin: String,
    tags: Vec<String>,
    consents: BTreeMap<String, Consent>,
    /// Channels through which they want no marketing, whatever they agreed to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unwanted: Vec<String>,
    language: Option<String>,
    birthday: Option<MonthDay>,
    home_location: Option<String>,
    /// The shop's own fields that are not personal.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    fields: BTreeMap<String, String>,
}

/// The rest of what any order of arrival must end in.
#[derive(Serialize)]
struct Canonical {
    memberships: Vec<MembershipLine>,
    tiers: Vec<TierLine>,
    lots: Vec<LotLine>,
    #[serde(flatten)]
    fold: Option<CanonicalFold>,
}

/// The fold, but for what moves with the clock alone.
#[derive(Serialize)]
struct CanonicalFold {
    lifetime: Tally,
    channels: [Tally; 4],
    largest_sale: Money,
    previous_sale_at: Option<Time>,
    facts: BTreeMap<String, Group>,
    /// Plugin → its state version and its bytes.
    memory: BTreeMap<String, (u32, String)>,
    /// Plugin, role, instant.
    reviews: Vec<(String, &'static str, Time)>,
    offers: Vec<(String, HeldOffer)>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tag_ends: BTreeMap<String, Time>,
    /// Who of the shop's people holds the tier, and until when.
    #[serde(skip_serializing_if = "Option::is_none")]
    held_by: Option<(String, Option<Time>)>,
}

#[derive(Serialize, PartialEq, Eq, PartialOrd, Ord)]
struct MembershipLine {
    since: Time,
    segment: String,
    until: Option<Time>,
    left_at: Option<Time>,
    reason: String,
    left_reason: Option<String>,
    plugin: String,
}

#[derive(Serialize)]
struct TierLine {
    since: Time,
    from: Option<String>,
    to: Option<String>,
    keep_until: Option<Time>,
    reason: String,
    plugin: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<String>,
}

fn customer(sql: &Sql, view: View, row: CustomerRow) -> Result<CustomerLine, Trouble> {
    let id = (!view.canonical).then(|| row.public.0.clone());
    let identities = sql.all(
        "SELECT kind, value FROM identifiers WHERE customer = ?1 ORDER BY kind, value",
        &[&row.id],
        identifier,
    )?;
    let mut line = match view.as_of {
        Some(at) => as_of(sql, &row, at)?,
        None => {
            let head = row::fold(&row.head)?.ok_or_else(|| not_rebuilt(&row.public))?;
            as_now(&row, head, view.canonical)
        }
    };
    if view.canonical {
        line.canonical = Some(Canonical {
            memberships: memberships(sql, row.id, view)?,
            tiers: tiers(sql, row.id, view)?,
            lots: lots(sql, row.id, view)?,
            fold: line.canonical.and_then(|canonical| canonical.fold),
        });
    }
    Ok(CustomerLine {
        id,
        identities,
        ..line
    })
}

fn as_now(row: &CustomerRow, head: Fold, canonical: bool) -> CustomerLine {
    let lifetime = head.totals.lifetime;
    CustomerLine {
        id: None,
        identities: Vec::new(),
        created_at: Time(row.created_at),
        orders: lifetime.orders.into(),
        spend: lifetime.spend,
        returns: lifetime.returns.into(),
        returned: lifetime.returned,
        balance: row.balance,
        earned: head.earned,
        earned_by_channel: by_channel(head.earned_by_channel),
        // Whoever reads this elsewhere cannot ask; a tier that may be wrong is none to rely on.
        tier: match head.tier_doubt() {
            Some(_) => Some(UNKNOWN.into()),
            None => head.standing.map(|held| held.tier),
        },
        segments: head.memberships.into_keys().collect(),
        store_credit: row.credit,
        now: Some(Now {
            enrolled_at: head.enrolled_at.map(Time),
            origin: head.origin,
            tags: head.tags.into_iter().collect(),
            consents: head.consents,
            unwanted: head.unwanted.into_iter().collect(),
            language: head.language,
            birthday: head.birthday,
            home_location: head.home_location,
            fields: head.attributes,
        }),
        canonical: canonical.then(|| Canonical {
            memberships: Vec::new(),
            tiers: Vec::new(),
            lots: Vec::new(),
            fold: Some(CanonicalFold {
                lifetime,
                channels: head.totals.channels,
                largest_sale: head.totals.largest_sale,
                previous_sale_at: head.totals.previous_sale_at.map(Time),
                facts: head.facts,
                memory: head
                    .memory
                    .into_iter()
                    .map(|(plugin, memory)| (plugin, (memory.state_version, hex(&memory.bytes))))
                    .collect(),
                reviews: head
                    .reviews
                    .into_iter()
                    .map(|((plugin, role), at)| (plugin, role.name(), Time(at)))
                    .collect(),
                tag_ends: head
                    .tag_ends
                    .into_iter()
                    .map(|(tag, at)| (tag, Time(at)))
                    .collect(),
                held_by: head
                    .placed
                    .map(|placed| (placed.actor, placed.until.map(Time))),
                // Codes that nobody can guess follow the shop's own secret.
                offers: head
                    .offers
                    .into_iter()
                    .map(|(plugin, offer)| {
                        (
                            plugin,
                            HeldOffer {
                                code: None,
                                ..offer
                            },
                        )
                    })
                    .collect(),
            }),
        }),
    }
}

/// From the rows that carry when they happened.
fn as_of(sql: &Sql, row: &CustomerRow, at: Instant) -> Result<CustomerLine, Trouble> {
    let mut moved = [0i64; 4];
    let mut earned_by_channel = [0i64; 4];
    sql.each::<Trouble>(
        "SELECT channel, sum(orders), sum(spend), sum(returns), sum(returned), sum(earned) FROM history
         WHERE customer = ?1 AND at <= ?2 GROUP BY channel",
        &[&row.id, &at.0],
        |sums| {
            for (index, sum) in moved.iter_mut().enumerate() {
                *sum += sums.get::<_, i64>(index + 1)?;
            }
            if let Some(channel) = row::channel(sums, 0)? {
                earned_by_channel[channel as usize] += sums.get::<_, i64>(5)?;
            }
            Ok(())
        },
    )?;
    let sums = sql.first(
        "SELECT coalesce(sum(amount) FILTER (WHERE currency = 0), 0),
                coalesce(sum(amount) FILTER (WHERE currency = 0 AND lot IS NOT NULL AND kind <> 'adjustment'), 0)
                - (SELECT coalesce(sum(debt), 0) FROM takings WHERE customer = ?1 AND at <= ?2 AND currency = 0),
                coalesce(sum(amount) FILTER (WHERE currency = 1), 0)
         FROM entries WHERE customer IN (SELECT id FROM customers WHERE id = ?1 OR merged_into = ?1) AND occurred_at <= ?2",
        &[&row.id, &at.0],
        |sums| Ok((sums.get(0)?, sums.get(1)?, sums.get(2)?)),
    )?;
    let (balance, earned, store_credit) = sums.unwrap_or_default();
    let tier = sql.first(
        "SELECT to_tier FROM tiers WHERE customer = ?1 AND since <= ?2 ORDER BY number DESC LIMIT 1",
        &[&row.id, &at.0],
        |tier| tier.get(0),
    )?;
    Ok(CustomerLine {
        id: None,
        identities: Vec::new(),
        created_at: Time(row.created_at),
        orders: moved[0],
        spend: moved[1],
        returns: moved[2],
        returned: moved[3],
        balance,
        earned,
        earned_by_channel: by_channel(earned_by_channel),
        tier: tier.flatten(),
        segments: sql.all(
            "SELECT DISTINCT segment FROM memberships
             WHERE customer = ?1 AND since <= ?2 AND coalesce(left_at, until, ?2 + 1) > ?2 ORDER BY segment",
            &[&row.id, &at.0],
            |segment| segment.get(0),
        )?,
        store_credit,
        now: None,
        canonical: None,
    })
}

fn memberships(sql: &Sql, customer: i64, view: View) -> Result<Vec<MembershipLine>, Trouble> {
    let seen = |at: Option<Instant>| at.filter(|at| at.0 <= view.until()).map(Time);
    let mut lines = sql.all(
        "SELECT m.segment, m.since, m.until, m.left_at, m.reason, m.left_reason, v.name
         FROM memberships m JOIN plugin_versions v ON v.id = m.plugin WHERE m.customer = ?1 AND m.since <= ?2",
        &[&customer, &view.until()],
        |row| {
            let left_at = seen(some_instant(row, 3)?);
            Ok(MembershipLine {
                segment: row.get(0)?,
                since: Time(instant(row, 1)?),
                until: some_instant(row, 2)?.map(Time),
                reason: row.get(4)?,
                left_reason: if left_at.is_some() { row.get(5)? } else { None },
                left_at,
                plugin: row.get(6)?,
            })
        },
    )?;
    lines.sort_unstable();
    Ok(lines)
}

fn tiers(sql: &Sql, customer: i64, view: View) -> Result<Vec<TierLine>, Trouble> {
    Ok(sql.all(
        "SELECT t.from_tier, t.to_tier, t.since, t.keep_until, t.reason, v.name, t.actor
         FROM tiers t LEFT JOIN plugin_versions v ON v.id = t.plugin
         WHERE t.customer = ?1 AND t.since <= ?2 ORDER BY t.number",
        &[&customer, &view.until()],
        |row| {
            Ok(TierLine {
                from: row.get(0)?,
                to: row.get(1)?,
                since: Time(instant(row, 2)?),
                keep_until: some_instant(row, 3)?.map(Time),
                reason: row.get(4)?,
                plugin: row.get(5)?,
                actor: row.get(6)?,
            })
        },
    )?)
}

fn lots(sql: &Sql, customer: i64, view: View) -> Result<Vec<LotLine>, Trouble> {
    let mut lots = Vec::new();
    sql.each::<Trouble>(
        "SELECT earned, at, source, event, plugin, kind, reason, covers, available_from, expires_at, on_return, ordinal, currency
         FROM lots WHERE customer = ?1 AND at <= ?2 AND earned <> 0",
        &[&customer, &view.until()],
        |row| {
            lots.push((row::lot_key(row, 1)?, row.get(0)?));
            Ok(())
        },
    )?;
    lots.sort_unstable();
    lots.into_iter()
        .map(|(key, points)| LotLine::new(key, points))
        .collect()
}

fn by_channel(points: [Points; 4]) -> BTreeMap<&'static str, Points> {
    Channel::ALL
        .into_iter()
        .map(|channel| (channel.name(), points[channel as usize]))
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
