//! What a till shows of one customer: the balance, and the card.

use super::Door;
use super::applicable::{Applicable, applicable};
use super::ask::Query;
use super::copy::Age;
use super::event_view::Named;
use super::limits;
use super::next::{Offer, prompts_of, usable};
use super::problem::Problem;
use super::profile::{PointsEnding, lifecycle, own_fields, record};
use super::schema;
use super::tier::{Tier, languages, tier_of};
use crate::clock;
use crate::desk::Live;
use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use stampcard_pipeline::change::CustomerId;
use stampcard_pipeline::currency::Currency;
use stampcard_pipeline::event::{Body, Channel, Line, Money, Points};
use stampcard_pipeline::facts::TAX_EXEMPT;
use stampcard_pipeline::outcome::{CreditNow, PromptView, Time};
use stampcard_store::Reads;
use stampcard_store::reads::{OutboxRow, TimelineRow};
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

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
    /// Money that the shop owes the customer, and with which they pay; absent for those who never had any,
    /// unless the shop has `[store_credit]` in merchant.toml.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::StoreCredit>)]
    pub store_credit: Option<CreditNow>,
    /// The balance is exact at this instant.
    #[schema(value_type = String, format = DateTime)]
    pub as_of: Time,
    /// What the customer is told of an answer that is old: this is a copy that stands in for the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notice: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ByChannel {
    pub pos: Points,
    pub online: Points,
    pub phone: Points,
    pub other: Points,
}

pub async fn balance(
    State(door): State<Arc<Door>>,
    Path(id): Path<String>,
) -> Result<Json<Balance>, Problem> {
    let id = CustomerId(id);
    let live = door.merchant.live();
    let at = Arc::clone(&door);
    let balance = door
        .read(move |reads| {
            // Before the read: a sale that is answered by now is in it.
            let now = clock::now();
            let record = record(reads, &id)?;
            let spoken = languages(&record.head, &live.shop, None);
            let Age { as_of, notice } = at.age(now, &live.shop, &spoken);
            let of = |channel: Channel| record.head.earned_by_channel[channel as usize];
            Ok(Balance {
                balance: record.balance,
                available: record.head.available(Currency::Points, now),
                store_credit: CreditNow::of(&record.head, &live.shop, now),
                earned: record.head.earned,
                earned_by_channel: ByChannel {
                    pos: of(Channel::Pos),
                    online: of(Channel::Online),
                    phone: of(Channel::Phone),
                    other: of(Channel::Other),
                },
                as_of,
                notice,
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
    pub tier: Tier,
    pub balance: Points,
    pub available: Points,
    /// Points that end next; absent where none do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_expiry: Option<PointsEnding>,
    /// With what they can pay: what is available of it goes into a tender of kind `store_credit`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::StoreCredit>)]
    pub store_credit: Option<CreditNow>,
    /// Where the customer stands with the shop (`new`, `active`, `lapsed` …), if a rule says so: the
    /// segment whose key begins with `lifecycle-`.
    #[schema(example = "active")]
    pub lifecycle: Option<String>,
    pub segments: Vec<String>,
    pub tags: Vec<String>,
    /// What the shop's own fields say that is not personal: sizes, preferences.
    #[schema(value_type = Object)]
    pub preferences: Map<String, Value>,
    /// The customer pays no tax; the profile says why.
    pub tax_exempt: bool,
    /// Of the purchases' totals.
    #[schema(example = "USD")]
    pub currency: String,
    /// The last purchases, newest first.
    pub purchases: Vec<Purchase>,
    /// Offers that can be used now.
    pub offers: Vec<Offer>,
    /// Those of them that the till can take off the basket by itself, each with the id that confirms it.
    pub discounts: Vec<Applicable>,
    /// What the till was last told to say.
    #[schema(value_type = Vec<schema::Prompt>)]
    pub prompts: Vec<PromptView>,
    /// What the customer waits for, the newest first: tickets that are open, and tasks of staff.
    pub requests: Vec<Request>,
    /// What the till calls the basket for which the customer was recognised.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub basket: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    pub as_of: Time,
    /// What the customer is told of an answer that is old: this is a copy that stands in for the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notice: Option<String>,
}

/// Something that the customer waits for.
#[derive(Debug, Serialize, ToSchema)]
pub struct Request {
    /// `ticket`, of a help desk, or `task`, of staff.
    #[schema(example = "ticket")]
    pub kind: &'static str,
    /// The ticket's name, or the template of the task.
    #[schema(example = "desk/T-9")]
    pub name: String,
    #[schema(example = "repair")]
    pub about: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    pub since: Time,
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

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct CardAsked {
    /// Which device shows it, as it calls itself in its events.
    #[param(example = "till-7")]
    pub device: Option<String>,
}

pub async fn card(
    State(door): State<Arc<Door>>,
    Path(id): Path<String>,
    Query(asked): Query<CardAsked>,
) -> Result<Json<Card>, Problem> {
    let id = CustomerId(id);
    let live = door.merchant.live();
    let at = Arc::clone(&door);
    let card = door
        .read(move |reads| card_of(&at, reads, id, &live))
        .await?;
    if let Some(device) = asked.device {
        door.heard_of_device(&device, None);
    }
    Ok(Json(card))
}

/// The card of whoever was just recognised, if it can be had in the time that a till has for it:
/// without it the sale goes on.
pub async fn card_in_time(door: &Arc<Door>, id: CustomerId) -> Option<Card> {
    let live = door.merchant.live();
    let at = Arc::clone(door);
    let reading = door.read(move |reads| card_of(&at, reads, id, &live));
    match tokio::time::timeout(limits::CARD_TIME_MAX, reading).await {
        Ok(Ok(card)) => Some(card),
        Ok(Err(_)) | Err(_) => {
            door.around.meters.card_left_out();
            None
        }
    }
}

fn card_of(door: &Door, reads: &Reads, id: CustomerId, live: &Live) -> Result<Card, Problem> {
    let now = clock::now();
    let record = record(reads, &id)?;
    let person = reads.person(&id)?;
    let head = &record.head;
    let Age { as_of, notice } = door.age(now, &live.shop, &languages(head, &live.shop, None));
    // A customer who only looked at pages for so long has no purchase that anybody at the till
    // would talk about.
    let rows = reads.timeline(&id, None, limits::CARD_EVENTS)?;
    let waiting = reads.follow_ups(&id, true, None, limits::PAGE_ROWS_MAX)?;
    Ok(Card {
        given_name: person.fields.get("given_name").cloned(),
        family_name: person.fields.get("family_name").cloned(),
        tier: tier_of(head, live, None, now),
        balance: record.balance,
        available: head.available(Currency::Points, now),
        next_expiry: PointsEnding::of(head, &live.shop),
        store_credit: CreditNow::of(head, &live.shop, now),
        lifecycle: lifecycle(head),
        segments: head.memberships.keys().cloned().collect(),
        tags: head.tags.iter().cloned().collect(),
        preferences: own_fields(head, None, &live.shop),
        tax_exempt: head.attributes.contains_key(TAX_EXEMPT),
        currency: live.shop.file.currency.clone(),
        purchases: rows
            .iter()
            .filter_map(purchase)
            .take(limits::CARD_PURCHASES)
            .collect(),
        offers: usable(head, now),
        discounts: applicable(head, &rows, &person, live.shop.file.referral.as_ref(), now),
        prompts: prompts_of(rows.first(), &person, live.shop.file.referral.as_ref()),
        requests: requests(&rows, &waiting),
        basket: rows.first().and_then(|row| match &row.event.body {
            Body::Profile(change) => change.basket.clone(),
            _ => None,
        }),
        as_of,
        notice,
        customer: id.0,
    })
}

/// Tickets that were opened and not closed since, and tasks that wait for staff.
fn requests(rows: &[TimelineRow], waiting: &[OutboxRow]) -> Vec<Request> {
    let mut seen = BTreeSet::new();
    let mut requests: Vec<Request> = Vec::new();
    for row in rows {
        let event = &row.event;
        let (Body::Other(text), "ticket.opened" | "ticket.closed") =
            (&event.body, event.kind.as_str())
        else {
            continue;
        };
        let data: Value = serde_json::from_str(text).unwrap_or_default();
        let part = |name: &str| data["ticket"][name].as_str().unwrap_or_default();
        let name = format!("{}/{}", part("system"), part("id"));
        // The rows go back in time: what was closed later is not open.
        if seen.insert(name.clone()) && event.kind == "ticket.opened" {
            requests.push(Request {
                kind: "ticket",
                name,
                about: data["topic"].as_str().map(str::to_owned),
                since: Time(event.at),
            });
        }
    }
    let tasks = waiting.iter().filter(|row| row.channel == "task");
    requests.extend(tasks.map(|row| Request {
        kind: "task",
        name: row.template.clone(),
        about: Some(row.reason.clone()),
        since: Time(row.planned_at),
    }));
    requests.sort_by_key(|request| Reverse(request.since));
    requests
}

fn purchase(row: &TimelineRow) -> Option<Purchase> {
    let event = &row.event;
    let sale = event.sale()?;
    let name = |line: &Line| {
        [&line.name, &line.product, &line.sku, &line.variant]
            .into_iter()
            .flatten()
            .next()
            .cloned()
    };
    Some(Purchase {
        at: Time(event.at),
        channel: event.channel.map(Channel::name),
        location: event.location.clone(),
        total: sale.total,
        earned: row.moved.earned,
        items: sale
            .lines
            .iter()
            .filter_map(name)
            .take(limits::CARD_ITEMS)
            .collect(),
        event: Named {
            source: event.source.clone(),
            id: event.id.clone(),
        },
    })
}
