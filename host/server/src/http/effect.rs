//! What a plugin has done: whom it reached, what it gave, what it planned, and who bought afterwards.

use super::Door;
use super::ask::{At, Query};
use super::problem::{Problem, not_found};
use super::reports::window;
use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use stampcard_pipeline::outcome::Time;
use stampcard_pipeline::rules::{Plugin, Rules};
use stampcard_store::reads::VersionEffect;
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// A purchase counts for a message for so many days of 24 hours after it was due: a month is how
/// often an ordinary customer comes back.
const BOUGHT_WITHIN_DAYS: u32 = 30;
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct EffectAsked {
    /// 30 days before `to` if it is not given.
    #[param(value_type = Option<String>, format = DateTime)]
    pub from: Option<At>,
    /// Not included; now if it is not given.
    #[param(value_type = Option<String>, format = DateTime)]
    pub to: Option<At>,
}

/// What a plugin has done to customers. What a change of it would do is told by its preview.
#[derive(Debug, Serialize, ToSchema)]
pub struct Effect {
    #[schema(example = "starter-points")]
    pub plugin: String,
    #[schema(value_type = String, format = DateTime)]
    pub from: Time,
    #[schema(value_type = String, format = DateTime)]
    pub to: Time,
    /// Customers to whom it did something, each counted once.
    pub customers: u64,
    /// A purchase counts as after a message for so many days of 24 hours.
    pub bought_within_days: u32,
    /// Version by version, the oldest first; another configuration is another version.
    pub versions: Vec<EffectOfVersion>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct EffectOfVersion {
    #[schema(example = "0.1.0")]
    pub version: String,
    /// `sha256:…` of the component.
    pub digest: String,
    /// `sha256:…` of the configuration.
    pub configuration: String,
    /// It is the one that is live.
    pub live: bool,
    /// Customers to whom it did something.
    pub customers: u64,
    pub points: PointsGiven,
    pub segments: Vec<SegmentMoved>,
    pub tiers: Vec<TierPlaced>,
    pub messages: Vec<MessagesPlanned>,
}

/// Points for what happened in this time.
#[derive(Debug, Serialize, ToSchema)]
pub struct PointsGiven {
    pub customers: u64,
    /// Entries of the ledger.
    pub entries: u64,
    pub given: i64,
    /// What corrections took back.
    pub taken: i64,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct SegmentMoved {
    #[schema(example = "vip")]
    pub segment: String,
    pub entered: u64,
    pub left: u64,
    /// Who is in it now because of this version, whenever they entered.
    pub members: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct TierPlaced {
    /// `null` is no tier.
    pub tier: Option<String>,
    pub placed: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct MessagesPlanned {
    #[schema(example = "win_back")]
    pub template: String,
    pub channel: String,
    /// Those that stand.
    pub planned: u64,
    /// There was no consent, or the customer wants none.
    pub suppressed: u64,
    pub cancelled: u64,
    pub withdrawn: u64,
    /// Customers for whom one stands.
    pub customers: u64,
    /// Those of them who bought within `bought_within_days` after it was due. They may have bought
    /// without it.
    pub bought_after: u64,
}

pub async fn effect(
    State(door): State<Arc<Door>>,
    Path(name): Path<String>,
    Query(asked): Query<EffectAsked>,
) -> Result<Json<Effect>, Problem> {
    let (from, to) = window(asked.from, asked.to)?;
    let live = door.merchant.live();
    let within_ms = i64::from(BOUGHT_WITHIN_DAYS) * DAY_MS;
    let (plugin, (versions, customers)) = door
        .read(move |reads| {
            let effects = reads.effects(&name, (from, to), within_ms)?;
            Ok((name, effects))
        })
        .await?;
    if versions.is_empty() {
        let detail =
            format!("no plugin {plugin:?} was ever live; GET /v1/plugins lists those that are");
        return Err(not_found("unknown-plugin", detail));
    }
    let now = live.book.plugins().iter().find(|it| it.name == plugin);
    let versions = versions.into_iter().map(|effect| of_version(effect, now));
    Ok(Json(Effect {
        from: Time(from),
        to: Time(to),
        customers,
        bought_within_days: BOUGHT_WITHIN_DAYS,
        versions: versions.collect(),
        plugin,
    }))
}

fn of_version(effect: VersionEffect, now: Option<&Plugin>) -> EffectOfVersion {
    let is_now = |now: &Plugin| {
        now.version == effect.version
            && now.digest == effect.digest
            && now.configuration == effect.configuration
    };
    let (segments, tiers) = (effect.segments.into_iter(), effect.tiers.into_iter());
    let messages = effect.messages.into_iter();
    EffectOfVersion {
        live: now.is_some_and(is_now),
        version: effect.version,
        digest: effect.digest,
        configuration: effect.configuration,
        customers: effect.customers,
        points: PointsGiven {
            customers: effect.points.customers,
            entries: effect.points.entries,
            given: effect.points.given,
            taken: effect.points.taken,
        },
        segments: segments
            .map(|moved| SegmentMoved {
                segment: moved.segment,
                entered: moved.entered,
                left: moved.left,
                members: moved.members,
            })
            .collect(),
        tiers: tiers
            .map(|placed| TierPlaced {
                tier: placed.tier,
                placed: placed.placed,
            })
            .collect(),
        messages: messages
            .map(|message| MessagesPlanned {
                template: message.template,
                channel: message.channel,
                planned: message.planned,
                suppressed: message.suppressed,
                cancelled: message.cancelled,
                withdrawn: message.withdrawn,
                customers: message.customers,
                bought_after: message.bought_after,
            })
            .collect(),
    }
}
