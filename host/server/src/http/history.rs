//! What happened to one customer: the timeline, the ledger, and where it was.

use super::Door;
use super::ask::Query;
use super::event_view::{EventView, Named};
use super::limits;
use super::page::{Page, Paging};
use super::problem::Problem;
use super::profile::record;
use super::schema;
use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use stampcard_pipeline::change::CustomerId;
use stampcard_pipeline::currency::Currency;
use stampcard_pipeline::event::{Body, Channel, Event, Money, Points, Position};
use stampcard_pipeline::outcome::{SegmentChanges, Time};
use stampcard_store::Reads;
use stampcard_store::reads::{LedgerRow, TimelineRow};
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// One event of a customer, and what it did.
#[derive(Debug, Serialize, ToSchema)]
pub struct TimelineItem {
    /// What sort of thing it was: `sale`, `exchange`, `edit` (of an order), `return`, `payment`, `basket`,
    /// `profile`, `consent`, `tag`, `points`, `credit`, `tier`, `note`, `service`, `rules` (they changed) or `other`.
    #[schema(example = "sale")]
    pub kind: &'static str,
    pub event: EventView,
    /// The same for everything that belongs to one sale, and whatever named it with its attribute
    /// `chain`: what was looked at before, what was collected, exchanged and brought back.
    #[schema(example = "order 1001 of web")]
    pub chain: Option<String>,
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
        kind: sort_of(&row.event),
        event: EventView::of(&row.event, currency),
        chain: row.chain,
        received_at: Time(row.received_at),
        earned: row.moved.earned,
        segments: row.outcome.segments,
        tier: row.outcome.tier.and_then(|tier| tier.to),
        notes: row.outcome.notes,
    }
}

fn sort_of(event: &Event) -> &'static str {
    match &event.body {
        Body::Sale(_) => "sale",
        Body::Checkout(_) => "basket",
        Body::Profile(_) => "profile",
        Body::Consent(_) => "consent",
        Body::Tag(_) => "tag",
        Body::Adjustment(_) | Body::Forfeit(_) | Body::Import(_) => "points",
        Body::CreditAdjustment(_) => "credit",
        Body::Erasure(_) => "profile",
        Body::Placement(_) => "tier",
        Body::Note(_) => "note",
        Body::Return(_) => "return",
        Body::Exchange(_) => "exchange",
        Body::Edit(_) => "edit",
        Body::Payment(_) => "payment",
        Body::Redemption(_) => "redemption",
        Body::Other(_) if event.kind.starts_with("ticket.") => "service",
        Body::Merge(_) | Body::Unmerge(_) | Body::Declined(_) => "merge",
        Body::Referral(_) | Body::CodeRevoked(_) => "referral",
        Body::RulesChanged(_) => "rules",
        Body::Visit(_) | Body::Review | Body::Other(_) => "other",
    }
}

/// One entry of the ledger. Nothing changes it; what changes is a later entry.
#[derive(Debug, Serialize, ToSchema)]
pub struct LedgerEntry {
    /// Its number, without gaps over all customers of the shop.
    pub entry: i64,
    /// `points`, or `store_credit`: then the amounts are minor units of the shop's currency.
    #[schema(value_type = String, example = "points")]
    pub currency: Currency,
    pub amount: Points,
    /// `base`, `bonus`, `correction`, `adjustment`, `reversal`, `expiry`, `recovery`, `redeem`,
    /// `given-back`, `refund` or `transfer`.
    pub kind: String,
    /// `provisional` while the payment of its sale is not certain, else `final`.
    pub state: &'static str,
    /// The customer's balance of that currency with it.
    pub balance_after: Points,
    pub reason: String,
    /// The plugin that decided it; null where a person did.
    pub plugin: Option<DecidedBy>,
    /// Who of the shop's people did it, where no plugin decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
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
    /// The redemption that the points were given for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redemption: Option<String>,
    /// Whose it was, where that is somebody who was merged into this customer; `balance_after` is theirs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
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

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct LedgerAsked {
    /// Only the entries of one currency; all of them, if it is not given.
    #[param(value_type = Option<String>, pattern = "^(points|store_credit)$", example = "store_credit")]
    pub currency: Option<Currency>,
    /// Rows of this page, from 1 to 500; 50 if it is not given.
    #[param(minimum = 1, maximum = 500, default = 50)]
    pub limit: Option<u32>,
    /// The `next` of the page before.
    #[param(pattern = "^([0-9a-f]{2})+$")]
    pub cursor: Option<String>,
}

pub async fn ledger(
    State(door): State<Arc<Door>>,
    Path(id): Path<String>,
    Query(asked): Query<LedgerAsked>,
) -> Result<Json<Page<LedgerEntry>>, Problem> {
    let LedgerAsked {
        currency,
        limit,
        cursor,
    } = asked;
    let paging = Paging { limit, cursor };
    let (rows, before) = (paging.rows()?, paging.after::<i64>()?);
    let id = CustomerId(id);
    let page = door
        .read(move |reads| {
            record(reads, &id)?;
            let found = reads.ledger(&id, currency, before, rows + 1)?;
            Ok(Page::of(found, rows, |row| row.number).map(ledger_entry))
        })
        .await?;
    Ok(Json(page))
}

fn ledger_entry(row: LedgerRow) -> LedgerEntry {
    LedgerEntry {
        entry: row.number,
        currency: row.currency,
        amount: row.amount,
        kind: row.kind,
        state: if row.is_provisional {
            "provisional"
        } else {
            "final"
        },
        balance_after: row.balance_after,
        reason: row.reason,
        plugin: row.plugin.map(|plugin| DecidedBy {
            name: plugin.name,
            version: plugin.version,
            digest: plugin.digest,
            configuration: plugin.configuration,
        }),
        actor: row.actor,
        event: row.event.into(),
        occurred_at: Time(row.occurred_at),
        caused_by: row.caused_by.into(),
        channel: row.channel.map(Channel::name),
        location: row.location,
        device: row.device,
        lot: row.lot,
        redemption: row.redemption,
        of: row.of.map(|id| id.0),
    }
}

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

pub async fn locations(
    State(door): State<Arc<Door>>,
    Path(id): Path<String>,
) -> Result<Json<Locations>, Problem> {
    let live = door.merchant.live();
    let id = CustomerId(id);
    let locations = door
        .read(move |reads| {
            record(reads, &id)?;
            let (places, truncated) = places(reads, &id)?;
            let name = |location: &str| {
                live.shop
                    .place(location)
                    .map(|place| place.place.name.clone())
            };
            let locations = places
                .into_iter()
                .map(|at| AtLocation {
                    name: name(&at.location),
                    ..at
                })
                .collect();
            Ok(Locations {
                locations,
                truncated,
            })
        })
        .await?;
    Ok(Json(locations))
}

/// The locations of a customer's sales, the last visited first, and whether the customer has more
/// events than are looked through.
pub fn places(reads: &Reads, id: &CustomerId) -> Result<(Vec<AtLocation>, bool), Problem> {
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
                let at = places
                    .entry(location.clone())
                    .or_insert_with(|| AtLocation {
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
