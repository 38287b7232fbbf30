//! Where one customer belongs, since when, and why.

use super::Door;
use super::ask::{At, Flag, Query};
use super::problem::Problem;
use super::profile::record;
use crate::clock;
use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use stampcard_pipeline::change::CustomerId;
use stampcard_pipeline::outcome::Time;
use stampcard_pipeline::rules::{Plugin, Rules};
use stampcard_store::reads::MembershipView;
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SegmentsAsked {
    /// `1` also says what each segment means and why the customer is in it.
    #[param(value_type = Option<String>, pattern = "^(0|1|true|false)$", example = "1")]
    pub explain: Option<Flag>,
    /// As it was at an instant; now if it is not given.
    #[param(value_type = Option<String>, format = DateTime)]
    pub as_of: Option<At>,
    /// `1` also gives the memberships that have ended.
    #[param(value_type = Option<String>, pattern = "^(0|1|true|false)$", example = "1")]
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
    let (explain, history) = (
        asked.explain.unwrap_or_default().0,
        asked.history.unwrap_or_default().0,
    );
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
    let segments = found
        .into_iter()
        .filter(began)
        .map(|row| membership(row, explain, plugins))
        .collect();
    Ok(Json(Memberships {
        as_of: Time(as_of),
        segments,
    }))
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
    owned
        .find(|(key, _)| key == segment)
        .map(|(_, sentence)| sentence.as_str())
}
