//! What a till shows of one customer: the balance, and the card.

use super::Door;
use super::event_view::Named;
use super::limits;
use super::next::{Offer, last_prompts, usable};
use super::problem::Problem;
use super::profile::{Standing, own_fields, record, standing};
use super::schema;
use crate::clock;
use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use serde_json::{Map, Value};
use stampcard_pipeline::change::CustomerId;
use stampcard_pipeline::event::{Channel, Line, Money, Points};
use stampcard_pipeline::outcome::{PromptView, Time};
use stampcard_store::Reads;
use stampcard_store::reads::TimelineRow;
use std::sync::Arc;
use utoipa::ToSchema;

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

pub async fn balance(
    State(door): State<Arc<Door>>,
    Path(id): Path<String>,
) -> Result<Json<Balance>, Problem> {
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
    /// What the shop's own fields say that is not personal: sizes, preferences.
    #[schema(value_type = Object)]
    pub preferences: Map<String, Value>,
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

pub async fn card(
    State(door): State<Arc<Door>>,
    Path(id): Path<String>,
) -> Result<Json<Card>, Problem> {
    let id = CustomerId(id);
    let currency = door.currency();
    let live = door.merchant.live();
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
                preferences: own_fields(head, None, &live.shop),
                currency,
                purchases: purchases(reads, &id)?,
                offers: usable(head, now),
                prompts: last_prompts(reads, &id, &person)?,
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
    Ok(rows
        .into_iter()
        .filter_map(purchase)
        .take(limits::CARD_PURCHASES)
        .collect())
}

fn purchase(row: TimelineRow) -> Option<Purchase> {
    let event = row.event;
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
