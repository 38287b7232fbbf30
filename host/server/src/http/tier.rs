//! A customer's tier, in full: what it is called, what it is worth, how long it lasts, and what the
//! next one wants. Where nobody can know the tier, it says so instead of guessing.

use super::Door;
use super::ask::Query;
use super::problem::{Problem, bad_request};
use super::profile::record;
use crate::clock;
use crate::desk::Live;
use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use stampcard_pipeline::change::CustomerId;
use stampcard_pipeline::event::{Channel, Instant};
use stampcard_pipeline::fold::Fold;
use stampcard_pipeline::outcome::Time;
use stampcard_pipeline::rules::{ProgressUnit, Role, Rules};
use stampcard_pipeline::shop::{Shop, UNKNOWN};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// A tier as people see it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Tier {
    /// `held`, `none`, or `unknown`: what decides it is not complete, so nobody should rely on it.
    #[schema(example = "held")]
    pub state: &'static str,
    /// As merchant.toml lists it; null for none, and while it is unknown.
    #[schema(example = "gold")]
    pub key: Option<String>,
    /// What people call it; its key, where merchant.toml says nothing.
    #[schema(example = "Gold")]
    pub name: Option<String>,
    /// Where its picture is.
    pub badge: Option<String>,
    pub benefits: Vec<Benefit>,
    /// In which the words are: the customer's, or the shop's where they are not in that.
    #[schema(example = "en")]
    pub language: String,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub since: Option<Time>,
    /// It is kept until then, and looked at again.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires: Option<Time>,
    pub reason: Option<String>,
    /// Who of the shop's people holds the customer in it, whatever the rules say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_by: Option<String>,
    pub next: Option<Progress>,
    /// Why the tier is unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown: Option<String>,
}

/// Something that holders of the tier have.
#[derive(Debug, Serialize, ToSchema)]
pub struct Benefit {
    #[schema(example = "free-alterations")]
    pub key: String,
    /// For people, in the `language` of the whole.
    #[schema(example = "Free alterations")]
    pub text: String,
    /// Where it is to be had; everywhere, where there is none.
    #[schema(value_type = Vec<String>)]
    pub channels: Vec<Channel>,
}

/// How far it is to the next tier.
#[derive(Debug, Serialize, ToSchema)]
pub struct Progress {
    #[schema(example = "platinum")]
    pub key: String,
    pub name: String,
    /// What is missing, in `unit`; money in minor units.
    pub missing: i64,
    /// `spend`, `points` or `orders`.
    #[schema(value_type = String)]
    pub unit: ProgressUnit,
}

/// The tier of one customer, and when that was so.
#[derive(Debug, Serialize, ToSchema)]
pub struct TierNow {
    pub customer: String,
    pub tier: Tier,
    #[schema(value_type = String, format = DateTime)]
    pub as_of: Time,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TierAsked {
    /// In which language, if not in the customer's (BCP 47).
    #[param(example = "fr", pattern = "^[A-Za-z0-9-]{2,35}$")]
    pub language: Option<String>,
}

pub async fn tier(
    State(door): State<Arc<Door>>,
    Path(id): Path<String>,
    Query(asked): Query<TierAsked>,
) -> Result<Json<TierNow>, Problem> {
    let language = language_asked(asked.language)?;
    let id = CustomerId(id);
    let live = door.merchant.live();
    let now = door
        .read(move |reads| {
            let now = clock::now();
            let record = record(reads, &id)?;
            Ok(TierNow {
                tier: tier_of(&record.head, &live, language.as_deref(), now),
                customer: record.id.0,
                as_of: Time(now),
            })
        })
        .await?;
    Ok(Json(now))
}

/// The language that somebody asks for, checked for its form.
pub fn language_asked(asked: Option<String>) -> Result<Option<String>, Problem> {
    let is_tag = |text: &String| {
        (2..=35).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    match asked {
        Some(text) if !is_tag(&text) => {
            let detail = "language must be a BCP 47 tag; en and pt-BR are";
            Err(bad_request("bad-query", detail).with("parameter", "language"))
        }
        asked => Ok(asked),
    }
}

/// The tier of one customer as it is now, in the language that is asked for, or in theirs.
pub fn tier_of(head: &Fold, live: &Live, language: Option<&str>, now: Instant) -> Tier {
    let shop = &live.shop;
    let languages = languages(head, shop, language);
    let spoken = languages.first().copied().unwrap_or_default().to_owned();
    let unknown = why_unknown(head, live);
    let held = head.standing.as_ref().filter(|_| unknown.is_none());
    let card = held.and_then(|held| shop.file.tier.get(&held.tier));
    let (name, spoken) = match (card, held) {
        (Some(card), _) => {
            let (name, language) = card.name.spoken(&languages);
            (Some(name.to_owned()), language)
        }
        (None, held) => (held.map(|held| held.tier.clone()), spoken),
    };
    let next = head.next_tier.as_ref().filter(|_| unknown.is_none());
    Tier {
        state: match (&unknown, held) {
            (Some(_), _) => UNKNOWN,
            (None, Some(_)) => "held",
            (None, None) => "none",
        },
        key: held.map(|held| held.tier.clone()),
        name,
        badge: card.and_then(|card| card.badge.clone()),
        benefits: benefits_of(head, live, None, &languages),
        language: spoken,
        since: held.map(|held| Time(held.since)),
        expires: held
            .and_then(|held| held.keep_until)
            .filter(|until| *until > now)
            .map(Time),
        reason: held.map(|held| held.reason.clone()),
        held_by: head.placed.as_ref().map(|placed| placed.actor.clone()),
        next: next.map(|next| Progress {
            name: match shop.file.tier.get(&next.tier) {
                Some(card) => card.name.spoken(&languages).0.to_owned(),
                None => next.tier.clone(),
            },
            key: next.tier.clone(),
            missing: next.missing,
            unit: next.unit,
        }),
        unknown,
    }
}

/// What the customer's tier is worth in a channel, or anywhere.
pub fn benefits_of(
    head: &Fold,
    live: &Live,
    channel: Option<Channel>,
    languages: &[&str],
) -> Vec<Benefit> {
    if why_unknown(head, live).is_some() {
        return Vec::new();
    }
    let held = head.standing.as_ref();
    let card = held.and_then(|held| live.shop.file.tier.get(&held.tier));
    let benefits = card.map_or(&[][..], |card| &card.benefits);
    let told = benefits.iter().filter(|it| it.is_for(channel));
    told.map(|benefit| Benefit {
        key: benefit.key.clone(),
        text: benefit.text.spoken(languages).0.to_owned(),
        channels: benefit.channels.clone(),
    })
    .collect()
}

/// The languages to look for words in: the one that is asked for, or the customer's, and the shop's.
pub fn languages<'a>(head: &'a Fold, shop: &'a Shop, asked: Option<&'a str>) -> Vec<&'a str> {
    let first = asked.or(head.language.as_deref());
    first
        .into_iter()
        .chain([shop.file.language.as_str()])
        .collect()
}

/// A tier is known if the rules that decide it are there and could decide when they were asked last,
/// or if staff has said what it is.
fn why_unknown(head: &Fold, live: &Live) -> Option<String> {
    if head.placed.is_some() || live.shop.file.tiers.is_empty() {
        return None;
    }
    let plugins = live.book.plugins();
    let mut rules = plugins
        .iter()
        .filter(|it| it.roles.contains(&Role::TierRule));
    if rules.clone().next().is_none() {
        return Some("no rule that decides tiers is live".into());
    }
    rules.find_map(|rule| {
        let class = head.tier_doubts.get(&rule.name)?;
        Some(format!(
            "{} could not decide when it was last asked: {class}",
            rule.name
        ))
    })
}
