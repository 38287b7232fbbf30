//! What comes next: follow-ups and the outbox, prompts, reviews, offers, and what customers agreed to.

use super::Door;
use super::ask::{Flag, Query};
use super::copy::Age;
use super::event_view::Named;
use super::limits;
use super::page::{Page, Paging};
use super::problem::Problem;
use super::profile::{ConsentView, consents, record};
use super::redemptions::{OfferedTender, RewardView, Spendable, rewards, spendable, tenders};
use super::schema;
use super::tier::{Benefit, benefits_of, language_asked, languages, tier_of};
use crate::clock;
use crate::desk::Live;
use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use stampcard_pipeline::change::CustomerId;
use stampcard_pipeline::event::{Channel, Instant};
use stampcard_pipeline::fold::Fold;
use stampcard_pipeline::follow_ups::message_name;
use stampcard_pipeline::outcome::{DiscountView, PromptView, Time, fill_data, names_somebody};
use stampcard_pipeline::rules::Value;
use stampcard_pipeline::shop::ReferralPolicy;
use stampcard_store::Reads;
use stampcard_store::reads::{OutboxRow, Person, TimelineRow};
use std::collections::{BTreeMap, HashMap};
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
    /// What its receiver knows it by: each attempt has the same name.
    #[schema(example = "msg_0r6h3m9c1w8k2f7d5t4b9n1q")]
    pub message: String,
    /// `planned`, `suppressed` (a consent is missing), `cancelled` or `withdrawn`; when its turn came
    /// `sent`, `dead` (it was tried often enough, or there is nowhere to send it to), `too-late` or
    /// `dropped`.
    #[schema(example = "planned")]
    pub state: String,
    /// How often it was tried to send it.
    pub attempts: u32,
    /// When it is tried again, where that is later than `send_at`.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_attempt_at: Option<Time>,
    /// What was wrong with the last attempt, or who dropped it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// When it was sent, given up, dropped or seen to be too late.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Time>,
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
    /// In which language to write it: the customer's, or the shop's (BCP 47).
    #[schema(example = "en")]
    pub language: String,
    /// `customer`, or `shop` where the customer has told none. A template that is not in the
    /// customer's language is written in `shop_language`.
    #[schema(example = "customer")]
    pub language_of: &'static str,
    #[schema(example = "en")]
    pub shop_language: String,
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
    let (shops, policy) = (door.language(), door.referral());
    let page = door
        .read(move |reads| {
            record(reads, &id)?;
            let found = reads.follow_ups(&id, waiting, after, rows + 1)?;
            let page = Page::of(found, rows, |row| (row.due, row.id));
            page.try_map(|rows| follow_ups_of(reads, rows, &shops, policy.as_ref()))
        })
        .await?;
    Ok(Json(FollowUps {
        follow_ups: page.items,
        next: page.next,
    }))
}

/// Follow-ups as whoever sends them needs them: with what their customers are called, and in which
/// language they are spoken to. Both are as they are today, not as they were when it was planned.
pub(super) fn follow_ups_of(
    reads: &Reads,
    rows: Vec<OutboxRow>,
    shops: &str,
    policy: Option<&ReferralPolicy>,
) -> Result<Vec<FollowUp>, Problem> {
    let secret = reads.secret()?;
    let mut languages: HashMap<CustomerId, Option<String>> = HashMap::new();
    let mut follow_ups = Vec::with_capacity(rows.len());
    for mut row in rows {
        if names_somebody(&row.data) {
            let person = reads.person(&row.customer)?;
            fill_data(&mut row.data, |field| person.value(field, policy));
        }
        let language = match languages.get(&row.customer) {
            Some(known) => known.clone(),
            None => {
                let told = record(reads, &row.customer)?.head.language;
                languages.insert(row.customer.clone(), told.clone());
                told
            }
        };
        let message = message_name(&row.customer, &row.plugin, &row.dedupe_key, &secret);
        follow_ups.push(follow_up(row, message, language, shops));
    }
    Ok(follow_ups)
}

fn follow_up(row: OutboxRow, message: String, language: Option<String>, shops: &str) -> FollowUp {
    FollowUp {
        language_of: match &language {
            Some(_) => "customer",
            None => "shop",
        },
        language: language.unwrap_or_else(|| shops.to_owned()),
        shop_language: shops.to_owned(),
        id: row.id,
        customer: row.customer.0,
        message,
        state: row.state,
        attempts: row.attempts,
        next_attempt_at: row.next_attempt.map(Time),
        problem: row.problem,
        ended_at: row.ended_at.map(Time),
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
    /// The plugin that it is of; absent for what the host or staff does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plugin: Option<String>,
}

pub async fn next(
    State(door): State<Arc<Door>>,
    Path(id): Path<String>,
) -> Result<Json<Next>, Problem> {
    let id = CustomerId(id);
    let (shops, policy) = (door.language(), door.referral());
    let next = door
        .read(move |reads| {
            let record = record(reads, &id)?;
            let follow_ups = follow_ups_of(
                reads,
                reads.follow_ups(&id, true, None, limits::PAGE_ROWS_MAX)?,
                &shops,
                policy.as_ref(),
            )?;
            let last = reads.timeline(&id, None, 1)?;
            let prompts = prompts_of(last.first(), &reads.person(&id)?, policy.as_ref());
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

/// What the till was told at this event, which is the customer's last.
pub fn prompts_of(
    last: Option<&TimelineRow>,
    person: &Person,
    policy: Option<&ReferralPolicy>,
) -> Vec<PromptView> {
    let mut prompts = last
        .map(|row| row.outcome.prompts.clone())
        .unwrap_or_default();
    for prompt in &mut prompts {
        prompt.fill(|field| person.value(field, policy));
    }
    prompts
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

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct OffersAsked {
    /// Only what is to be had there; all of it, if it is not given.
    #[param(value_type = Option<String>, pattern = "^(pos|online|phone|other)$", example = "pos")]
    pub channel: Option<Channel>,
    /// The location at which they stand: what is out of stock there is not to be had.
    #[param(example = "soho")]
    pub location: Option<String>,
    /// `1` gives only rewards that the customer can have now.
    #[param(value_type = Option<String>, pattern = "^(0|1|true|false)$", example = "1")]
    pub redeemable: Option<Flag>,
    /// In which language, if not in the customer's (BCP 47).
    #[param(example = "fr", pattern = "^[A-Za-z0-9-]{2,35}$")]
    pub language: Option<String>,
}

/// What there is for a customer.
#[derive(Debug, Serialize, ToSchema)]
pub struct Offers {
    #[schema(value_type = String, format = DateTime)]
    pub as_of: Time,
    /// What the customer is told of an answer that is old: this is a copy that stands in for the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notice: Option<String>,
    /// Discounts that were promised to this customer. They are good in every channel.
    pub offers: Vec<Offer>,
    /// The tier whose benefits these are.
    pub tier: Option<String>,
    pub benefits: Vec<Benefit>,
    /// What runs now for everybody.
    pub campaigns: Vec<CampaignView>,
    /// What the shop has for points, the cheapest first.
    pub rewards: Vec<RewardView>,
    /// What the points are worth without a reward.
    pub spendable: Spendable,
    /// With what the customer can pay: their store credit, if there is any to be spent.
    pub tenders: Vec<OfferedTender>,
}

/// A time in which a rule gives more.
#[derive(Debug, Serialize, ToSchema)]
pub struct CampaignView {
    /// What it gives, in the words of whoever configured it.
    #[schema(example = "double points online this week")]
    pub text: String,
    pub plugin: String,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub starts_at: Option<Time>,
    /// It is over at this instant; null for one without an end.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ends_at: Option<Time>,
    /// Where it runs; everywhere, where there is none.
    #[schema(value_type = Vec<String>)]
    pub channels: Vec<Channel>,
    pub locations: Vec<String>,
    /// On which days of the week; on all of them, where there is none.
    pub weekdays: Vec<String>,
}

pub async fn offers(
    State(door): State<Arc<Door>>,
    Path(id): Path<String>,
    Query(asked): Query<OffersAsked>,
) -> Result<Json<Offers>, Problem> {
    let language = language_asked(asked.language)?;
    let (channel, location) = (asked.channel, asked.location);
    let only_redeemable = asked.redeemable.unwrap_or_default().0;
    let now = clock::now();
    let id = CustomerId(id);
    let live = door.merchant.live();
    let at = Arc::clone(&door);
    let offers = door
        .read(move |reads| {
            let head = record(reads, &id)?.head;
            let language = language.as_deref();
            let place = (channel, location.as_deref());
            let spoken = languages(&head, &live.shop, language);
            let mut rewards = rewards(reads, &head, &live, place, language, now)?;
            rewards.retain(|reward| reward.redeemable || !only_redeemable);
            let Age { as_of, notice } = at.age(now, &live.shop, &spoken);
            Ok(Offers {
                as_of,
                notice,
                offers: all_offers(&head, now).collect(),
                tier: tier_of(&head, &live, language, now).key,
                benefits: benefits_of(&head, &live, channel, &spoken),
                campaigns: campaigns(&live, channel, now),
                rewards,
                spendable: spendable(&head, &live, now),
                tenders: tenders(&head, &live, now),
            })
        })
        .await?;
    Ok(Json(offers))
}

/// The campaigns that run now, on the wall of the shop, those that end first before the others.
pub fn campaigns(live: &Live, channel: Option<Channel>, now: Instant) -> Vec<CampaignView> {
    let zone = &live.shop.zone;
    let running = live.book.campaigns();
    let running = running.filter(|(_, it)| it.is_for(channel) && it.is_on(now, zone));
    let mut campaigns: Vec<CampaignView> = running
        .map(|(plugin, campaign)| {
            let (starts_at, ends_at) = campaign.window(zone);
            CampaignView {
                text: campaign.reason,
                plugin: plugin.to_owned(),
                starts_at: starts_at.map(Time),
                ends_at: ends_at.map(Time),
                channels: campaign.channels,
                locations: campaign.locations,
                weekdays: campaign.weekdays,
            }
        })
        .collect();
    campaigns.sort_by_key(|campaign| (campaign.ends_at.is_none(), campaign.ends_at));
    campaigns
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
