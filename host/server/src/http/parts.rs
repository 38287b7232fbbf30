//! The parts of one customer: what happened, what was booked, where they belong and why, and what
//! comes next.

use super::Door;
use super::ask::{At, Flag, Query};
use super::customers::{ConsentView, Standing, consents, record, standing};
use super::decision::{EventView, Named};
use super::limits;
use super::page::{Page, Paging};
use super::problem::Problem;
use super::schema;
use crate::clock;
use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use stampcard_pipeline::change::CustomerId;
use stampcard_pipeline::event::{Channel, Instant, Money, Points, Position};
use stampcard_pipeline::fold::Fold;
use stampcard_pipeline::outcome::{DiscountView, PromptView, SegmentChanges, Time};
use stampcard_pipeline::rules::{Plugin, Rules, Value};
use stampcard_store::Reads;
use stampcard_store::reads::{LedgerRow, MembershipView, OutboxRow, TimelineRow};
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

// ------------------------------------------------------------------- what happened

/// One event of a customer, and what it did.
#[derive(Debug, Serialize, ToSchema)]
pub struct TimelineItem {
    pub event: EventView,
    #[schema(value_type = String, format = DateTime)]
    pub received_at: Time,
    /// Points that it earned, net of what was corrected since.
    pub earned: Points,
    /// The rest as it was decided when the event came.
    #[schema(value_type = schema::SegmentChanges)]
    pub segments: SegmentChanges,
    /// The tier to which it moved the customer.
    pub tier: Option<String>,
    pub notes: Vec<String>,
}

pub async fn timeline(
    State(door): State<Arc<Door>>,
    Path(id): Path<String>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<TimelineItem>>, Problem> {
    let (rows, before) = (paging.rows()?, paging.after::<Position>()?);
    let id = CustomerId(id);
    let currency = door.currency();
    let page = door
        .read(move |reads| {
            record(reads, &id)?;
            let found = reads.timeline(&id, before.as_ref(), rows + 1)?;
            let page = Page::of(found, rows, |row| row.event.position());
            Ok(page.map(|row| timeline_item(row, &currency)))
        })
        .await?;
    Ok(Json(page))
}

fn timeline_item(row: TimelineRow, currency: &str) -> TimelineItem {
    TimelineItem {
        event: EventView::of(&row.event, currency),
        received_at: Time(row.received_at),
        earned: row.moved.earned,
        segments: row.outcome.segments,
        tier: row.outcome.tier.and_then(|tier| tier.to),
        notes: row.outcome.notes,
    }
}

// ------------------------------------------------------------------- what was booked

/// One entry of the ledger. Nothing changes it; what changes is a later entry.
#[derive(Debug, Serialize, ToSchema)]
pub struct LedgerEntry {
    /// Its number, without gaps over all customers of the shop.
    pub entry: i64,
    pub amount: Points,
    /// `base`, `bonus` or `correction`.
    pub kind: String,
    pub balance_after: Points,
    pub reason: String,
    pub plugin: DecidedBy,
    /// The event that it is for, and when that happened.
    pub event: Named,
    #[schema(value_type = String, format = DateTime)]
    pub occurred_at: Time,
    /// The event on whose arrival it was written: another one where a late event corrects.
    pub caused_by: Named,
    pub channel: Option<&'static str>,
    pub location: Option<String>,
    pub device: Option<String>,
    /// Points that were earned together have the same lot.
    pub lot: Option<i64>,
}

/// The plugin that decided something, exactly as it was then.
#[derive(Debug, Serialize, ToSchema)]
pub struct DecidedBy {
    pub name: String,
    pub version: String,
    #[schema(example = "sha256:9f2c…")]
    pub digest: String,
    pub configuration: String,
}

pub async fn ledger(
    State(door): State<Arc<Door>>,
    Path(id): Path<String>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<LedgerEntry>>, Problem> {
    let (rows, before) = (paging.rows()?, paging.after::<i64>()?);
    let id = CustomerId(id);
    let page = door
        .read(move |reads| {
            record(reads, &id)?;
            let found = reads.ledger(&id, before, rows + 1)?;
            Ok(Page::of(found, rows, |row| row.number).map(ledger_entry))
        })
        .await?;
    Ok(Json(page))
}

fn ledger_entry(row: LedgerRow) -> LedgerEntry {
    LedgerEntry {
        entry: row.number,
        amount: row.amount,
        kind: row.kind,
        balance_after: row.balance_after,
        reason: row.reason,
        plugin: DecidedBy {
            name: row.plugin.name,
            version: row.plugin.version,
            digest: row.plugin.digest,
            configuration: row.plugin.configuration,
        },
        event: row.event.into(),
        occurred_at: Time(row.occurred_at),
        caused_by: row.caused_by.into(),
        channel: row.channel.map(Channel::name),
        location: row.location,
        device: row.device,
        lot: row.lot,
    }
}

// ------------------------------------------------------------------- where they belong

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SegmentsAsked {
    /// `1` also says what each segment means and why the customer is in it.
    #[param(value_type = Option<String>, example = "1")]
    pub explain: Option<Flag>,
    /// As it was at an instant; now if it is not given.
    #[param(value_type = Option<String>, format = DateTime)]
    pub as_of: Option<At>,
    /// `1` also gives the memberships that have ended.
    #[param(value_type = Option<String>, example = "1")]
    pub history: Option<Flag>,
}

/// A customer's memberships, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct Memberships {
    #[schema(value_type = String, format = DateTime)]
    pub as_of: Time,
    pub segments: Vec<Membership>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Membership {
    #[schema(example = "vip")]
    pub segment: String,
    #[schema(value_type = String, format = DateTime)]
    pub since: Time,
    /// When it ends by itself, as far as is known.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub until: Option<Time>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub left_at: Option<Time>,
    pub left_reason: Option<String>,
    /// The plugin that decided it.
    pub plugin: String,
    /// With `explain`: why this customer is in it, in the plugin's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// With `explain`: what the segment means, from the plugin's manifest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meaning: Option<String>,
}

pub async fn segments(
    State(door): State<Arc<Door>>,
    Path(id): Path<String>,
    Query(asked): Query<SegmentsAsked>,
) -> Result<Json<Memberships>, Problem> {
    let live = door.merchant.live();
    let (explain, history) = (asked.explain.unwrap_or_default().0, asked.history.unwrap_or_default().0);
    let as_of = asked.as_of.map_or_else(clock::now, |at| at.0);
    let id = CustomerId(id);
    let found = door
        .read(move |reads| {
            record(reads, &id)?;
            let moment = (!history).then_some(as_of);
            Ok(reads.memberships(&id, moment)?)
        })
        .await?;
    let plugins = live.book.plugins();
    let began = |row: &MembershipView| row.since <= as_of;
    let segments = found.into_iter().filter(began).map(|row| membership(row, explain, plugins)).collect();
    Ok(Json(Memberships { as_of: Time(as_of), segments }))
}

fn membership(row: MembershipView, explain: bool, plugins: &[Plugin]) -> Membership {
    let meaning = |segment: &str| meaning(plugins, segment).map(str::to_owned);
    Membership {
        meaning: if explain { meaning(&row.segment) } else { None },
        reason: explain.then_some(row.reason),
        segment: row.segment,
        since: Time(row.since),
        until: row.until.map(Time),
        left_at: row.left_at.map(Time),
        left_reason: row.left_reason,
        plugin: row.plugin,
    }
}

/// The sentence of the plugin that owns a segment.
pub fn meaning<'a>(plugins: &'a [Plugin], segment: &str) -> Option<&'a str> {
    let mut owned = plugins.iter().flat_map(|plugin| &plugin.segments);
    owned.find(|(key, _)| key == segment).map(|(_, sentence)| sentence.as_str())
}

// ------------------------------------------------------------------- what comes next

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct FollowUpsAsked {
    /// `1` gives only those that wait.
    #[param(value_type = Option<String>, example = "1")]
    pub waiting: Option<Flag>,
}

/// A follow-up as it stands in the outbox.
#[derive(Debug, Serialize, ToSchema)]
pub struct FollowUp {
    pub id: i64,
    pub customer: String,
    /// `planned`, `suppressed` (a consent is missing), `cancelled` or `withdrawn`.
    pub state: String,
    #[schema(example = "email")]
    pub channel: String,
    #[schema(example = "win-back")]
    pub template: String,
    /// `marketing`, which needs a consent, or `service`.
    pub purpose: String,
    #[schema(value_type = String, format = DateTime)]
    pub send_at: Time,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Time>,
    #[schema(value_type = String, format = DateTime)]
    pub planned_at: Time,
    /// What the template is filled with.
    #[schema(value_type = BTreeMap<String, schema::TemplateValue>)]
    pub data: BTreeMap<String, Value>,
    /// The discount that it carries.
    #[schema(value_type = Option<schema::Discount>)]
    pub offer: Option<DiscountView>,
    /// Kinds of events that cancel it while it waits.
    pub cancelled_by: Vec<String>,
    pub dedupe_key: String,
    pub reason: String,
    /// The plugin that planned it, and the event that it was planned for.
    pub plugin: String,
    pub event: Named,
}

/// A customer's follow-ups in the order in which they are due.
#[derive(Debug, Serialize, ToSchema)]
pub struct FollowUps {
    pub follow_ups: Vec<FollowUp>,
}

pub async fn follow_ups(
    State(door): State<Arc<Door>>,
    Path(id): Path<String>,
    Query(asked): Query<FollowUpsAsked>,
) -> Result<Json<FollowUps>, Problem> {
    let waiting = asked.waiting.unwrap_or_default().0;
    let id = CustomerId(id);
    let rows = door
        .read(move |reads| {
            record(reads, &id)?;
            Ok(reads.follow_ups(&id, waiting)?)
        })
        .await?;
    Ok(Json(FollowUps { follow_ups: rows.into_iter().map(follow_up).collect() }))
}

pub fn follow_up(row: OutboxRow) -> FollowUp {
    FollowUp {
        id: row.id,
        customer: row.customer.0,
        state: row.state,
        channel: row.channel,
        template: row.template,
        purpose: row.purpose,
        send_at: Time(row.due),
        expires_at: row.expires_at.map(Time),
        planned_at: Time(row.planned_at),
        data: row.data,
        offer: row.offer,
        cancelled_by: row.cancelled_by,
        dedupe_key: row.dedupe_key,
        reason: row.reason,
        plugin: row.plugin,
        event: row.event.into(),
    }
}

/// What should happen next, and which rule says so.
#[derive(Debug, Serialize, ToSchema)]
pub struct Next {
    /// Messages that wait, the next one first.
    pub follow_ups: Vec<FollowUp>,
    /// What the till was last told to say.
    #[schema(value_type = Vec<schema::Prompt>)]
    pub prompts: Vec<PromptView>,
    /// When the rules look at this customer again, if nothing happens before.
    pub reviews: Vec<Review>,
    pub offers: Vec<Offer>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Review {
    #[schema(value_type = String, format = DateTime)]
    pub at: Time,
    /// What comes due: a plugin that asked for it, the end of a membership, the end of a tier.
    pub why: String,
    pub plugin: String,
}

pub async fn next(State(door): State<Arc<Door>>, Path(id): Path<String>) -> Result<Json<Next>, Problem> {
    let id = CustomerId(id);
    let next = door
        .read(move |reads| {
            let record = record(reads, &id)?;
            let follow_ups = reads.follow_ups(&id, true)?.into_iter().map(follow_up).collect();
            let prompts = last_prompts(reads, &id)?;
            Ok(Next { follow_ups, prompts, reviews: reviews(&record.head), offers: usable(&record.head, clock::now()) })
        })
        .await?;
    Ok(Json(next))
}

fn reviews(head: &Fold) -> Vec<Review> {
    let asked = head.reviews.iter().map(|((plugin, role), at)| {
        let why = format!("the {} of {plugin} asked for it", role.name());
        Review { at: Time(*at), why, plugin: plugin.clone() }
    });
    let memberships = head.memberships.iter().filter_map(|(segment, member)| {
        Some(Review { at: Time(member.until?), why: format!("the membership in {segment} ends"), plugin: member.plugin.clone() })
    });
    let tier = head.standing.iter().filter_map(|held| {
        Some(Review { at: Time(held.keep_until?), why: format!("the tier {} is kept until then", held.tier), plugin: held.plugin.clone() })
    });
    let mut reviews: Vec<Review> = asked.chain(memberships).chain(tier).collect();
    reviews.sort_by_key(|review| review.at);
    reviews
}

/// What the till was told at the customer's last event that was theirs to see.
pub fn last_prompts(reads: &Reads, id: &CustomerId) -> Result<Vec<PromptView>, Problem> {
    Ok(reads.timeline(id, None, 1)?.pop().map(|row| row.outcome.prompts).unwrap_or_default())
}

// ------------------------------------------------------------------- what they may use

/// A discount that was promised to the customer.
#[derive(Debug, Serialize, ToSchema)]
pub struct Offer {
    /// Names the offer within its plugin.
    pub key: String,
    /// What the till or the web store enters to use it.
    pub code: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    pub offered_at: Time,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub valid_until: Option<Time>,
    /// The sale that carried its code was at this time.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub used_at: Option<Time>,
    /// `open`, `used` or `expired`.
    pub state: &'static str,
    pub plugin: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Offers {
    #[schema(value_type = String, format = DateTime)]
    pub as_of: Time,
    pub offers: Vec<Offer>,
}

pub async fn offers(State(door): State<Arc<Door>>, Path(id): Path<String>) -> Result<Json<Offers>, Problem> {
    let now = clock::now();
    let id = CustomerId(id);
    let offers = door.read(move |reads| Ok(all_offers(&record(reads, &id)?.head, now).collect())).await?;
    Ok(Json(Offers { as_of: Time(now), offers }))
}

/// The offers that can still be used.
pub fn usable(head: &Fold, now: Instant) -> Vec<Offer> {
    all_offers(head, now).filter(|offer| offer.state == "open").collect()
}

fn all_offers(head: &Fold, now: Instant) -> impl Iterator<Item = Offer> {
    head.offers.iter().map(move |(plugin, held)| Offer {
        key: held.key.clone(),
        code: held.code.clone(),
        offered_at: Time(held.offered_at),
        valid_until: held.valid_until.map(Time),
        used_at: held.used_at.map(Time),
        state: match (held.used_at, held.valid_until) {
            (Some(_), _) => "used",
            (None, Some(until)) if until <= now => "expired",
            (None, _) => "open",
        },
        plugin: plugin.clone(),
    })
}

// ------------------------------------------------------------------- what they agreed to

#[derive(Debug, Serialize, ToSchema)]
pub struct Consents {
    pub consents: Vec<ConsentView>,
}

pub async fn consents_of(State(door): State<Arc<Door>>, Path(id): Path<String>) -> Result<Json<Consents>, Problem> {
    let id = CustomerId(id);
    let consents = door.read(move |reads| Ok(consents(&record(reads, &id)?.head))).await?;
    Ok(Json(Consents { consents }))
}

// ------------------------------------------------------------------- what the till shows

/// What can be spent, and where it came from.
#[derive(Debug, Serialize, ToSchema)]
pub struct Balance {
    pub customer: String,
    /// The sum of the ledger.
    pub balance: Points,
    /// What can be spent now.
    pub available: Points,
    /// All points ever earned, less what was taken back.
    pub earned: Points,
    pub earned_by_channel: ByChannel,
    /// The balance is exact at this instant.
    #[schema(value_type = String, format = DateTime)]
    pub as_of: Time,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ByChannel {
    pub pos: Points,
    pub online: Points,
    pub phone: Points,
    pub other: Points,
}

pub async fn balance(State(door): State<Arc<Door>>, Path(id): Path<String>) -> Result<Json<Balance>, Problem> {
    let id = CustomerId(id);
    let balance = door
        .read(move |reads| {
            // Before the read: a sale that is answered by now is in it.
            let now = clock::now();
            let record = record(reads, &id)?;
            let of = |channel: Channel| record.head.earned_by_channel[channel as usize];
            Ok(Balance {
                balance: record.balance,
                available: record.head.available(now),
                earned: record.head.earned,
                earned_by_channel: ByChannel {
                    pos: of(Channel::Pos),
                    online: of(Channel::Online),
                    phone: of(Channel::Phone),
                    other: of(Channel::Other),
                },
                as_of: Time(now),
                customer: record.id.0,
            })
        })
        .await?;
    Ok(Json(balance))
}

/// What a person at the till wants to see at a glance.
#[derive(Debug, Serialize, ToSchema)]
pub struct Card {
    pub customer: String,
    pub given_name: Option<String>,
    pub family_name: Option<String>,
    pub tier: Option<String>,
    pub standing: Standing,
    pub balance: Points,
    pub available: Points,
    pub segments: Vec<String>,
    pub tags: Vec<String>,
    /// Of the purchases' totals.
    #[schema(example = "USD")]
    pub currency: String,
    /// The last purchases, newest first.
    pub purchases: Vec<Purchase>,
    /// Offers that can be used now.
    pub offers: Vec<Offer>,
    /// What the till was last told to say.
    #[schema(value_type = Vec<schema::Prompt>)]
    pub prompts: Vec<PromptView>,
    #[schema(value_type = String, format = DateTime)]
    pub as_of: Time,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Purchase {
    pub event: Named,
    #[schema(value_type = String, format = DateTime)]
    pub at: Time,
    pub channel: Option<&'static str>,
    pub location: Option<String>,
    /// Minor units of the shop's currency.
    pub total: Money,
    pub earned: Points,
    /// What was bought, by name where there is one.
    pub items: Vec<String>,
}

pub async fn card(State(door): State<Arc<Door>>, Path(id): Path<String>) -> Result<Json<Card>, Problem> {
    let id = CustomerId(id);
    let currency = door.currency();
    let card = door
        .read(move |reads| {
            let now = clock::now();
            let record = record(reads, &id)?;
            let person = reads.person(&id)?;
            let head = &record.head;
            Ok(Card {
                given_name: person.fields.get("given_name").cloned(),
                family_name: person.fields.get("family_name").cloned(),
                tier: head.standing.as_ref().map(|held| held.tier.clone()),
                standing: standing(head),
                balance: record.balance,
                available: head.available(now),
                segments: head.memberships.keys().cloned().collect(),
                tags: head.tags.iter().cloned().collect(),
                currency,
                purchases: purchases(reads, &id)?,
                offers: usable(head, now),
                prompts: last_prompts(reads, &id)?,
                as_of: Time(now),
                customer: id.0,
            })
        })
        .await?;
    Ok(Json(card))
}

/// The last purchases, looked for among the last events: a customer who only looked at pages for
/// so long has none that anybody at the till would talk about.
fn purchases(reads: &Reads, id: &CustomerId) -> Result<Vec<Purchase>, Problem> {
    let rows = reads.timeline(id, None, limits::CARD_EVENTS)?;
    Ok(rows.into_iter().filter_map(purchase).take(limits::CARD_PURCHASES).collect())
}

fn purchase(row: TimelineRow) -> Option<Purchase> {
    let event = row.event;
    let sale = event.sale()?;
    let name = |line: &stampcard_pipeline::event::Line| {
        [&line.name, &line.product, &line.sku, &line.variant].into_iter().flatten().next().cloned()
    };
    Some(Purchase {
        at: Time(event.at),
        channel: event.channel.map(Channel::name),
        location: event.location.clone(),
        total: sale.total,
        earned: row.moved.earned,
        items: sale.lines.iter().filter_map(name).take(limits::CARD_ITEMS).collect(),
        event: Named { source: event.source.clone(), id: event.id.clone() },
    })
}

// ------------------------------------------------------------------- where they were

/// What a customer bought at each location, the last visited first.
#[derive(Debug, Serialize, ToSchema)]
pub struct Locations {
    pub locations: Vec<AtLocation>,
    /// The customer has more events than are looked through, and what is older is not counted.
    pub truncated: bool,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct AtLocation {
    pub location: String,
    /// What merchant.toml calls it now.
    pub name: Option<String>,
    pub orders: u32,
    pub spend: Money,
    #[schema(value_type = String, format = DateTime)]
    pub first_at: Time,
    #[schema(value_type = String, format = DateTime)]
    pub last_at: Time,
}

pub async fn locations(State(door): State<Arc<Door>>, Path(id): Path<String>) -> Result<Json<Locations>, Problem> {
    let live = door.merchant.live();
    let id = CustomerId(id);
    let locations = door
        .read(move |reads| {
            record(reads, &id)?;
            let (places, truncated) = places(reads, &id)?;
            let name = |location: &str| live.shop.place(location).map(|place| place.place.name.clone());
            let locations = places.into_iter().map(|at| AtLocation { name: name(&at.location), ..at }).collect();
            Ok(Locations { locations, truncated })
        })
        .await?;
    Ok(Json(locations))
}

/// The locations of a customer's sales, the last visited first, and whether the customer has more
/// events than are looked through.
fn places(reads: &Reads, id: &CustomerId) -> Result<(Vec<AtLocation>, bool), Problem> {
    let mut places: BTreeMap<String, AtLocation> = BTreeMap::new();
    let mut before = None;
    let mut seen = 0;
    loop {
        let rows = reads.timeline(id, before.as_ref(), limits::PAGE_ROWS_MAX)?;
        seen += rows.len();
        before = rows.last().map(|row| row.event.position());
        let is_last = rows.len() < limits::PAGE_ROWS_MAX as usize;
        for row in &rows {
            if let (Some(location), Some(sale)) = (&row.event.location, row.event.sale()) {
                let at = places.entry(location.clone()).or_insert_with(|| AtLocation {
                    location: location.clone(),
                    name: None,
                    orders: 0,
                    spend: 0,
                    first_at: Time(row.event.at),
                    last_at: Time(row.event.at),
                });
                at.orders += 1;
                at.spend += sale.total;
                // The timeline goes back in time.
                at.first_at = Time(row.event.at);
            }
        }
        if is_last || seen >= limits::LOCATION_EVENTS {
            let mut places: Vec<AtLocation> = places.into_values().collect();
            places.sort_by_key(|at| std::cmp::Reverse(at.last_at));
            return Ok((places, !is_last));
        }
    }
}
