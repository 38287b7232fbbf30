//! Segments: what they mean, and who is in them.

use super::Door;
use super::ask::{At, Query};
use super::membership::meaning;
use super::page::{Page, Paging};
use super::problem::{Problem, not_found};
use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use stampcard_pipeline::change::CustomerId;
use stampcard_pipeline::outcome::Time;
use stampcard_pipeline::rules::Rules;
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// Every segment that the live rules have, and those that still have members.
#[derive(Debug, Serialize, ToSchema)]
pub struct Segments {
    pub segments: Vec<SegmentInfo>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct SegmentInfo {
    #[schema(example = "vip")]
    pub segment: String,
    /// In one sentence, from the manifest of its plugin; absent if no live plugin has it any more.
    pub meaning: Option<String>,
    pub plugin: Option<String>,
    pub members: u64,
}

pub async fn segments(State(door): State<Arc<Door>>) -> Result<Json<Segments>, Problem> {
    let live = door.merchant.live();
    let counts = door.read(|reads| Ok(reads.segments()?)).await?;
    let mut segments: BTreeMap<String, SegmentInfo> = BTreeMap::new();
    for plugin in live.book.plugins() {
        for (segment, meaning) in &plugin.segments {
            let info = SegmentInfo {
                segment: segment.clone(),
                meaning: Some(meaning.clone()),
                plugin: Some(plugin.name.clone()),
                members: 0,
            };
            segments.insert(segment.clone(), info);
        }
    }
    for count in counts {
        let gone = SegmentInfo {
            segment: count.segment.clone(),
            meaning: None,
            plugin: None,
            members: 0,
        };
        segments.entry(count.segment).or_insert(gone).members = count.members;
    }
    Ok(Json(Segments {
        segments: segments.into_values().collect(),
    }))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct MembersAsked {
    /// Who was in it at an instant; now if it is not given.
    #[param(value_type = Option<String>, format = DateTime)]
    pub as_of: Option<At>,
    /// Rows of this page, from 1 to 500; 50 if it is not given.
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<u32>,
    /// The `next` of the page before.
    #[param(pattern = "^([0-9a-f]{2})+$")]
    pub cursor: Option<String>,
}

/// A customer in a segment.
#[derive(Debug, Serialize, ToSchema)]
pub struct Member {
    pub customer: String,
    #[schema(value_type = String, format = DateTime)]
    pub since: Time,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub until: Option<Time>,
    pub reason: String,
}

pub async fn members(
    State(door): State<Arc<Door>>,
    Path(segment): Path<String>,
    Query(asked): Query<MembersAsked>,
) -> Result<Json<Page<Member>>, Problem> {
    let live = door.merchant.live();
    let MembersAsked {
        as_of,
        limit,
        cursor,
    } = asked;
    let paging = Paging { limit, cursor };
    let (rows, after) = (paging.rows()?, paging.after::<CustomerId>()?);
    let page = door
        .read(move |reads| {
            let found = reads.members(&segment, as_of.map(|at| at.0), after.as_ref(), rows + 1)?;
            if found.is_empty()
                && after.is_none()
                && meaning(live.book.plugins(), &segment).is_none()
            {
                return Err(not_found(
                    "no-such-segment",
                    "no live plugin has this segment; GET /v1/segments lists those that there are",
                ));
            }
            Ok(
                Page::of(found, rows, |row| row.customer.clone()).map(|row| Member {
                    customer: row.customer.0,
                    since: Time(row.since),
                    until: row.until.map(Time),
                    reason: row.reason,
                }),
            )
        })
        .await?;
    Ok(Json(page))
}
