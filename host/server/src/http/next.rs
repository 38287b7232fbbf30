//! What comes next: follow-ups and the outbox, prompts, reviews, offers, and what customers agreed to.

use super::Door;
use super::ask::{Flag, Query};
use super::event_view::Named;
use super::limits;
use super::page::{Page, Paging};
use super::problem::Problem;
use super::profile::{ConsentView, consents, record};
use super::schema;
use crate::clock;
use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use stampcard_pipeline::change::CustomerId;
use stampcard_pipeline::event::Instant;
use stampcard_pipeline::fold::Fold;
use stampcard_pipeline::outcome::{DiscountView, PromptView, Time, fill_data, names_somebody};
use stampcard_pipeline::rules::Value;
use stampcard_store::Reads;
use stampcard_store::reads::{OutboxRow, Person};
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct FollowUpsAsked {
    /// `1` gives only those that wait.
    #[param(value_type = Option<String>, pattern = "^(0|1|true|false)$", example = "1")]
    pub waiting: Option<Flag>,
    /// Rows of this page, from 1 to 500; 50 if it is not given.
    #[param(minimum = 1, maximum = 500, default = 50)]
    pub limit: Option<u32>,
    /// The `next` of the page before.
    #[param(pattern = "^([0-9a-f]{2})+$")]
    pub cursor: Option<String>,
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
    /// Give it back as `cursor` to read on; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

pub async fn follow_ups(
    State(door): State<Arc<Door>>,
    Path(id): Path<String>,
    Query(asked): Query<FollowUpsAsked>,
) -> Result<Json<FollowUps>, Problem> {
    let FollowUpsAsked {
        waiting,
        limit,
        cursor,
    } = asked;
    let paging = Paging { limit, cursor };
    let (rows, after) = (paging.rows()?, paging.after::<(Instant, i64)>()?);
    let waiting = waiting.unwrap_or_default().0;
    let id = CustomerId(id);
    let page = door
        .read(move |reads| {
            record(reads, &id)?;
            let found = reads.follow_ups(&id, waiting, after, rows + 1)?;
            let page = Page::of(found, rows, |row| (row.due, row.id));
            page.try_map(|rows| follow_ups_of(reads, rows))
        })
        .await?;
    Ok(Json(FollowUps {
        follow_ups: page.items,
        next: page.next,
    }))
}

/// Follow-ups as whoever sends them needs them: with what their customers are called.
fn follow_ups_of(reads: &Reads, rows: Vec<OutboxRow>) -> Result<Vec<FollowUp>, Problem> {
    let named = |mut row: OutboxRow| {
        if names_somebody(&row.data) {
            let person = reads.person(&row.customer)?;
            fill_data(&mut row.data, |field| person.value(field));
        }
        Ok(follow_up(row))
    };
    rows.into_iter().map(named).collect()
}

fn follow_up(row: OutboxRow) -> FollowUp {
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

/// What is planned for all customers, the next due first.
pub async fn outbox(
    State(door): State<Arc<Door>>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<FollowUp>>, Problem> {
    let (rows, after) = (paging.rows()?, paging.after::<(Instant, i64)>()?);
    let page = door
        .read(move |reads| {
            let found = reads.outbox(after, rows + 1)?;
            let page = Page::of(found, rows, |row| (row.due, row.id));
            page.try_map(|rows| follow_ups_of(reads, rows))
        })
        .await?;
    Ok(Json(page))
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
    /// The plugin that it is of; absent for what the host or staff does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plugin: Option<String>,
}

pub async fn next(
    State(door): State<Arc<Door>>,
    Path(id): Path<String>,
) -> Result<Json<Next>, Problem> {
    let id = CustomerId(id);
    let next = door
        .read(move |reads| {
            let record = record(reads, &id)?;
            let follow_ups = follow_ups_of(
                reads,
                reads.follow_ups(&id, true, None, limits::PAGE_ROWS_MAX)?,
            )?;
            let prompts = last_prompts(reads, &id, &reads.person(&id)?)?;
            Ok(Next {
                follow_ups,
                prompts,
                reviews: reviews(&record.head),
                offers: usable(&record.head, clock::now()),
            })
        })
        .await?;
    Ok(Json(next))
}

fn reviews(head: &Fold) -> Vec<Review> {
    let asked = head.reviews.iter().map(|((plugin, role), at)| {
        let why = format!("the {} of {plugin} asked for it", role.name());
        Review {
            at: Time(*at),
            why,
            plugin: Some(plugin.clone()),
        }
    });
    let memberships = head.memberships.iter().filter_map(|(segment, member)| {
        Some(Review {
            at: Time(member.until?),
            why: format!("the membership in {segment} ends"),
            plugin: Some(member.plugin.clone()),
        })
    });
    let tier = head.standing.iter().filter_map(|held| {
        Some(Review {
            at: Time(held.keep_until?),
            why: match &head.placed {
                Some(placed) => format!("{} holds the tier {} until then", placed.actor, held.tier),
                None => format!("the tier {} is kept until then", held.tier),
            },
            plugin: held.plugin.clone(),
        })
    });
    let tags = head.tag_ends.iter().map(|(tag, at)| Review {
        at: Time(*at),
        why: format!("the tag {tag} ends"),
        plugin: None,
    });
    let mut reviews: Vec<Review> = asked.chain(memberships).chain(tier).chain(tags).collect();
    reviews.sort_by_key(|review| review.at);
    reviews
}

/// What the till was told at the customer's last event that was theirs to see.
pub fn last_prompts(
    reads: &Reads,
    id: &CustomerId,
    person: &Person,
) -> Result<Vec<PromptView>, Problem> {
    let mut prompts = reads
        .timeline(id, None, 1)?
        .pop()
        .map(|row| row.outcome.prompts)
        .unwrap_or_default();
    for prompt in &mut prompts {
        prompt.fill(|field| person.value(field));
    }
    Ok(prompts)
}

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

pub async fn offers(
    State(door): State<Arc<Door>>,
    Path(id): Path<String>,
) -> Result<Json<Offers>, Problem> {
    let now = clock::now();
    let id = CustomerId(id);
    let offers = door
        .read(move |reads| Ok(all_offers(&record(reads, &id)?.head, now).collect()))
        .await?;
    Ok(Json(Offers {
        as_of: Time(now),
        offers,
    }))
}

/// The offers that can still be used.
pub fn usable(head: &Fold, now: Instant) -> Vec<Offer> {
    all_offers(head, now)
        .filter(|offer| offer.state == "open")
        .collect()
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

#[derive(Debug, Serialize, ToSchema)]
pub struct Consents {
    pub consents: Vec<ConsentView>,
}

pub async fn consents_of(
    State(door): State<Arc<Door>>,
    Path(id): Path<String>,
) -> Result<Json<Consents>, Problem> {
    let id = CustomerId(id);
    let consents = door
        .read(move |reads| Ok(consents(&record(reads, &id)?.head)))
        .await?;
    Ok(Json(Consents { consents }))
}
