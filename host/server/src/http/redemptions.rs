//! Redemptions: points or store credit set aside for something, used, given back, and approved by a second person.
//!
//! Each request becomes an event that goes down the line like all others. What makes it safe to send
//! again is the event's name: it is made of the `Idempotency-Key`, or of the redemption itself.

use super::Door;
use super::ask::{ContentType, Query, object, some_object};
use super::auth::Caller;
use super::customers::SOURCE;
use super::event_view::Named;
use super::orders::OrderName;
use super::page::{Page, Paging};
use super::problem::{Problem, bad_request, internal, not_found};
use super::profile::record;
use super::schema;
use super::tier::languages;
use crate::clock;
use crate::desk::Live;
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use stampcard_pipeline::calendar;
use stampcard_pipeline::change::{CustomerId, RedemptionState};
use stampcard_pipeline::credit;
use stampcard_pipeline::currency::Currency;
use stampcard_pipeline::event::{Channel, EventName, Instant, Money, Points, SaleName, Worth};
use stampcard_pipeline::fold::Fold;
use stampcard_pipeline::outcome::{CreditNow, Time};
use stampcard_pipeline::redemption;
use stampcard_store::Reads;
use stampcard_store::reads::{RedemptionRow, Redemptions};
use std::sync::Arc;
use utoipa::ToSchema;

/// A redemption as it stands, with what its customer has now.
#[derive(Debug, Serialize, ToSchema)]
pub struct Redemption {
    #[schema(example = "red_0r6h3m9c1w8k2f7d5t4b9n1q")]
    pub id: String,
    pub customer: String,
    /// `pending-approval`, `reserved`, `confirmed`, `cancelled`, `denied` or `timed-out`.
    #[schema(value_type = String, example = "reserved")]
    pub state: RedemptionState,
    /// `points` or `store_credit`.
    #[schema(value_type = String, example = "points")]
    pub currency: Currency,
    /// What is set aside; 0 for store credit.
    pub points: Points,
    /// Store credit that is set aside, in minor units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
    /// What the sale's tender took of it; the rest is free again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used: Option<Money>,
    /// The reward that they are for; null for points at their general worth.
    pub reward: Option<String>,
    #[schema(value_type = schema::Worth)]
    pub worth: Worth,
    /// The least total of a basket with which it is given, in minor units.
    pub minimum_basket: Money,
    /// What the customer shows. It works once, in every channel.
    #[schema(example = "7K3MQ-0P1XZ")]
    pub code: String,
    #[schema(value_type = String, format = DateTime)]
    pub reserved_at: Time,
    /// While it is open: the points are free again then.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Time,
    /// Where it was asked for, and by whom.
    #[schema(value_type = Option<String>)]
    pub channel: Option<Channel>,
    pub asked_by: String,
    /// When it came into its state, who said so, and why.
    #[schema(value_type = String, format = DateTime)]
    pub state_at: Time,
    pub actor: Option<String>,
    pub reason: Option<String>,
    /// Where it was used.
    #[schema(value_type = Option<String>)]
    pub used_channel: Option<Channel>,
    pub used_location: Option<String>,
    /// The sale that it was a part of, by its event or by its order.
    pub sale: Option<Named>,
    pub order: Option<OrderName>,
    /// What the customer has now of that currency, and what of it can be spent.
    pub balance: Points,
    pub available: Points,
}

/// Something that the customer can have for points.
#[derive(Debug, Serialize, ToSchema)]
pub struct RewardView {
    #[schema(example = "5-off")]
    pub key: String,
    /// What customers call it.
    #[schema(example = "$5 off")]
    pub name: String,
    /// What it costs.
    pub points: Points,
    #[schema(value_type = schema::Worth)]
    pub worth: Worth,
    /// The least total of a basket with which it is given, in minor units.
    pub minimum_basket: Money,
    /// Where it is to be had; everywhere, where there is none.
    #[schema(value_type = Vec<String>)]
    pub channels: Vec<Channel>,
    /// The customer can have it now.
    pub redeemable: bool,
    /// The product is out of stock there, by what `stock.updated` has told last.
    pub unavailable: bool,
    /// The key of a reward that can be had instead of one that is unavailable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alternative: Option<String>,
    /// Points that are missing.
    pub missing: Points,
    /// How often the customer may still have it; null where there is no limit.
    pub left: Option<u32>,
}

/// The customer's own money, which a till or a web store may take without being asked: with a tender of
/// this kind in the sale, and with its code where it was set aside before.
#[derive(Debug, Serialize, ToSchema)]
pub struct OfferedTender {
    #[schema(example = "store_credit")]
    pub kind: &'static str,
    /// What can be spent now, in minor units.
    pub amount: Money,
    #[schema(example = "USD")]
    pub currency: String,
    /// When the next part of it ends.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_expiry: Option<Time>,
}

/// What the customer's points are worth without a reward.
#[derive(Debug, Serialize, ToSchema)]
pub struct Spendable {
    /// What can be redeemed now.
    pub points: Points,
    /// What that is worth, in minor units.
    pub amount: Money,
    /// The fewest points that can be redeemed.
    pub minimum_points: Points,
}

pub async fn reserve(
    State(door): State<Arc<Door>>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let Some(key) = idempotency_key(&headers)? else {
        let detail = "send an Idempotency-Key of your own, new for each redemption: a request that is sent again with it \
                      sets no points aside twice";
        return Err(bad_request("idempotency-key-required", detail));
    };
    let mut data = object(&headers, body, &[ContentType::Json]).await?;
    if let Some(Value::String(id)) = data.get("customer") {
        let customer = json!({ "id": id });
        data.insert("customer".into(), customer);
    }
    let name = EventName {
        source: SOURCE.into(),
        id: format!("redemption:{key}"),
    };
    let id = redemption::id_of(&name.source, &name.id, door.merchant.store().secret());
    tell(&door, &caller, name, "redemption.reserved", data).await?;
    let made = read_one(&door, id).await?;
    let place = format!("/v1/redemptions/{}", made.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, place)], Json(made)).into_response())
}

/// The routes that say what becomes of a redemption: each is an event of its kind.
macro_rules! acts {
    ($($name:ident is $kind:literal;)*) => { $(
        pub async fn $name(
            State(door): State<Arc<Door>>,
            caller: Caller,
            Path(id): Path<String>,
            headers: HeaderMap,
            body: Body,
        ) -> Result<Json<Redemption>, Problem> {
            act(&door, &caller, id, &headers, body, $kind).await
        }
    )* };
}

acts! {
    confirm is "redemption.confirmed";
    cancel is "redemption.cancelled";
    approve is "redemption.approved";
    deny is "redemption.denied";
}

/// Says what becomes of a redemption, which is named by its id or by its code. Said again it is the
/// same; a code that is shown again was used.
async fn act(
    door: &Arc<Door>,
    caller: &Caller,
    named: String,
    headers: &HeaderMap,
    body: Body,
    kind: &str,
) -> Result<Json<Redemption>, Problem> {
    let mut data = some_object(headers, body).await?;
    let key = idempotency_key(headers)?;
    let code = redemption::normal_code(&named);
    let found = {
        let (named, code) = (named.clone(), code.clone());
        door.read(move |reads| Ok(reads.redemption(code.as_ref().unwrap_or(&named))?))
            .await?
    };
    let found = found.ok_or_else(unknown)?;
    let is_by_code = code.is_some();
    let event = match (key, is_by_code) {
        (Some(key), _) => format!("redemption:{key}"),
        (None, false) => format!("{}/{kind}", found.id),
        (None, true) => {
            let random: [u8; 16] = crate::keys::random().map_err(|error| {
                tracing::error!(%error, "no random numbers");
                internal()
            })?;
            let random: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{}/{kind}/{random}", found.id)
        }
    };
    match code {
        Some(code) => data.insert("code".into(), code.into()),
        None => data.insert("redemption".into(), found.id.clone().into()),
    };
    let name = EventName {
        source: SOURCE.into(),
        id: event,
    };
    tell(door, caller, name, kind, data).await?;
    Ok(Json(read_one(door, found.id).await?))
}

/// Sends the event, or finds that it was sent before with the same request.
pub(super) async fn tell(
    door: &Arc<Door>,
    caller: &Caller,
    name: EventName,
    kind: &str,
    mut data: Map<String, Value>,
) -> Result<(), Problem> {
    let request = fingerprint(kind, &data);
    if let Some(known) = kept(door, name.clone()).await? {
        return same(&known, &request);
    }
    let attributes = data.entry("attributes").or_insert_with(|| json!({}));
    if let Some(attributes) = attributes.as_object_mut() {
        attributes.insert(REQUEST.into(), request.clone().into());
    }
    let event = json!({
        "specversion": "1.0", "source": name.source, "id": name.id, "type": kind,
        "time": calendar::text(clock::now()), "data": data,
    });
    let event = Bytes::from(event.to_string());
    match door.submit(event, caller.sender()).await {
        Ok(_) => Ok(()),
        // Two requests with the same key came at once.
        Err(problem) if problem.code() == "conflict" => match kept(door, name).await? {
            Some(known) => same(&known, &request),
            None => Err(internal()),
        },
        Err(problem) => Err(problem.seen_from_body()),
    }
}

/// Under which attribute an event keeps what its request said.
const REQUEST: &str = "request";

/// What the event of an earlier request said, if there is one.
async fn kept(door: &Arc<Door>, name: EventName) -> Result<Option<String>, Problem> {
    door.read(move |reads| {
        let row = reads.event(&name)?;
        Ok(row.map(|row| {
            let said = row.event.attributes.get(REQUEST);
            said.cloned().unwrap_or_default()
        }))
    })
    .await
}

fn same(known: &str, request: &str) -> Result<(), Problem> {
    if known == request {
        return Ok(());
    }
    let detail = "this was said before in other words, and what was said first stands; nothing was done. A new request \
                  needs an Idempotency-Key of its own";
    Err(Problem::new(StatusCode::CONFLICT, "key-taken", detail))
}

fn fingerprint(kind: &str, data: &Map<String, Value>) -> String {
    let mut hash = Sha256::new();
    hash.update(kind);
    hash.update(serde_json::to_vec(data).expect("a request is plain data"));
    let hash = hash.finalize();
    hash.iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The caller's own name for a request.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let Some(given) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    let key = given.to_str().unwrap_or_default();
    if key.is_empty() || key.len() > IDEMPOTENCY_KEY_BYTES_MAX {
        let detail = format!(
            "an Idempotency-Key has from 1 to {IDEMPOTENCY_KEY_BYTES_MAX} letters of ASCII"
        );
        return Err(bad_request("bad-idempotency-key", detail));
    }
    Ok(Some(key))
}

const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;

pub async fn one(
    State(door): State<Arc<Door>>,
    Path(id): Path<String>,
) -> Result<Json<Redemption>, Problem> {
    let id = redemption::normal_code(&id).unwrap_or(id);
    Ok(Json(read_one(&door, id).await?))
}

async fn read_one(door: &Arc<Door>, id: String) -> Result<Redemption, Problem> {
    door.read(move |reads| {
        let row = reads.redemption(&id)?.ok_or_else(unknown)?;
        view(reads, row)
    })
    .await
}

fn unknown() -> Problem {
    not_found("unknown-redemption", "there is no such redemption")
}

/// What a customer redeemed, the newest first.
pub async fn of_customer(
    State(door): State<Arc<Door>>,
    Path(id): Path<String>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<Redemption>>, Problem> {
    let (rows, after) = (paging.rows()?, paging.after::<(Instant, String)>()?);
    let id = CustomerId(id);
    let page = door
        .read(move |reads| {
            record(reads, &id)?;
            let found = reads.redemptions(Redemptions::Of(&id), after, rows + 1)?;
            page(reads, found, rows)
        })
        .await?;
    Ok(Json(page))
}

/// What waits for a second person, the oldest first.
pub async fn to_approve(
    State(door): State<Arc<Door>>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<Redemption>>, Problem> {
    let (rows, after) = (paging.rows()?, paging.after::<(Instant, String)>()?);
    let page = door
        .read(move |reads| {
            let found = reads.redemptions(Redemptions::ToApprove, after, rows + 1)?;
            page(reads, found, rows)
        })
        .await?;
    Ok(Json(page))
}

fn page(reads: &Reads, found: Vec<RedemptionRow>, rows: u32) -> Result<Page<Redemption>, Problem> {
    let page = Page::of(found, rows, |row| (row.reserved_at, row.id.clone()));
    page.try_map(|rows| rows.into_iter().map(|row| view(reads, row)).collect())
}

fn view(reads: &Reads, row: RedemptionRow) -> Result<Redemption, Problem> {
    let customer = record(reads, &row.customer)?;
    let is_credit = row.currency == Currency::StoreCredit;
    let (sale, order) = match row.sale {
        None => (None, None),
        Some(SaleName::Sale(sale)) => (Some(sale.into()), None),
        Some(SaleName::Order(order)) => (
            None,
            Some(OrderName {
                system: order.system,
                id: order.id,
            }),
        ),
    };
    Ok(Redemption {
        id: row.id,
        customer: row.customer.0,
        state: row.state,
        currency: row.currency,
        points: if is_credit { 0 } else { row.points },
        amount: is_credit.then_some(row.points),
        used: (is_credit && row.state == RedemptionState::Confirmed).then_some(row.taken),
        reward: row.reward,
        worth: row.worth,
        minimum_basket: row.minimum,
        code: redemption::shown(&row.code),
        reserved_at: Time(row.reserved_at),
        expires_at: Time(row.until),
        channel: row.channel,
        asked_by: row.asked_by,
        state_at: Time(row.state_at),
        actor: row.actor,
        reason: row.reason,
        used_channel: row.used_channel,
        used_location: row.used_location,
        sale,
        order,
        balance: customer.head.account(row.currency).balance,
        available: customer.head.available(row.currency, clock::now()),
    })
}

/// What the shop has for points there, the cheapest first, and whether this customer can have it.
pub fn rewards(
    reads: &Reads,
    head: &Fold,
    live: &Live,
    (channel, location): (Option<Channel>, Option<&str>),
    language: Option<&str>,
    now: Instant,
) -> Result<Vec<RewardView>, Problem> {
    let spoken = languages(head, &live.shop, language);
    let available = head.available(Currency::Points, now).max(0);
    let rewards = live.shop.file.rewards.iter();
    let rewards = rewards.filter(|reward| reward.is_for(channel));
    let mut rewards = rewards
        .map(|reward| {
            let left = redemption::left(head, reward, now);
            let missing = (reward.points - available).max(0);
            let unavailable = match &reward.product {
                Some(sku) => reads
                    .in_stock(sku, location, channel)?
                    .is_some_and(|pieces| pieces <= 0),
                None => false,
            };
            Ok(RewardView {
                key: reward.key.clone(),
                name: reward.name.spoken(&spoken).0.to_owned(),
                points: reward.points,
                worth: reward.worth(),
                minimum_basket: reward.minimum_basket,
                channels: reward.channels.clone(),
                redeemable: !unavailable
                    && missing == 0
                    && left != Some(0)
                    && redemption::in_the_way(head, !reward.stacks).is_none(),
                unavailable,
                alternative: None,
                missing,
                left,
            })
        })
        .collect::<Result<Vec<_>, Problem>>()?;
    rewards.sort_by(|one, other| (one.points, &one.key).cmp(&(other.points, &other.key)));
    for at in 0..rewards.len() {
        if rewards[at].unavailable {
            rewards[at].alternative = alternative(&rewards[at], &rewards, live);
        }
    }
    Ok(rewards)
}

/// What the shop offers instead of what is out of stock: the reward that it names, if that is there, or else
/// the dearest that the customer can have for no more points. `rewards` are the cheapest first.
fn alternative(wanted: &RewardView, rewards: &[RewardView], live: &Live) -> Option<String> {
    let named = live.shop.reward(&wanted.key)?.alternative.as_deref();
    let named = rewards
        .iter()
        .find(|other| named == Some(&other.key) && !other.unavailable);
    let cheaper = |other: &&RewardView| other.redeemable && other.points <= wanted.points;
    let found = named.or_else(|| rewards.iter().rfind(cheaper));
    found.map(|other| other.key.clone())
}

/// With what the customer can pay now.
pub fn tenders(head: &Fold, live: &Live, now: Instant) -> Vec<OfferedTender> {
    let credit = CreditNow::of(head, &live.shop, now);
    let credit = credit.filter(|credit| credit.available > 0);
    let tender = |credit: CreditNow| OfferedTender {
        kind: credit::TENDER,
        amount: credit.available,
        currency: credit.currency,
        next_expiry: credit.next_expiry,
    };
    credit.into_iter().map(tender).collect()
}

/// What the points are worth without a reward.
pub fn spendable(head: &Fold, live: &Live, now: Instant) -> Spendable {
    let policy = &live.shop.file.redemption;
    let points = head.available(Currency::Points, now).max(0);
    Spendable {
        points,
        amount: policy.worth.of(points),
        minimum_points: policy.minimum_points,
    }
}
