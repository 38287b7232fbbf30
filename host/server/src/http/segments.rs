//! Segments: what they mean, what decides them, and who is in them.

use super::ask::{At, ContentType, Query, body};
use super::auth::Caller;
use super::membership::meaning;
use super::page::{Page, Paging};
use super::problem::{Problem, bad_request, not_found};
use super::tag_jobs::{BulkAction, BulkDone, TagsBulk, WhoIs, assign};
use super::tags::{self, TagInfo};
use super::{Door, limits};
use crate::merchant::Live;
use crate::reports::{self, Uses};
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use stampcard_pipeline::change::CustomerId;
use stampcard_pipeline::outcome::Time;
use stampcard_pipeline::rules::Rules;
use stampcard_store::Reads;
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

/// One segment with what decides it, or a list that is made by hand: a tag that only people set.
#[derive(Debug, Serialize, ToSchema)]
pub struct SegmentSource {
    #[schema(example = "vip")]
    pub segment: String,
    /// In one sentence, from the plugin's manifest or from the registry of tags.
    pub meaning: Option<String>,
    /// It is a list made by hand, and no rule decides who is on it.
    pub manual: bool,
    /// What decides it; absent for a list, and for a segment that no live plugin has any more.
    pub rule: Option<RuleSource>,
    pub members: u64,
    /// The path that lists them.
    pub members_at: String,
    /// The live plugins whose configuration names it.
    pub used_by: Vec<String>,
}

/// The rule of a segment: its plugin as it is live, and what the operator configured.
#[derive(Debug, Serialize, ToSchema)]
pub struct RuleSource {
    pub plugin: String,
    pub version: String,
    /// `sha256:…` of the component.
    pub digest: String,
    /// `sha256:…` of the whole configuration.
    pub configuration: String,
    /// This segment's part of the configuration; null where the plugin has the rule in its code.
    #[schema(value_type = Option<Object>)]
    pub configured: Value,
}

pub async fn segment(
    State(door): State<Arc<Door>>,
    Path(key): Path<String>,
) -> Result<Json<SegmentSource>, Problem> {
    let live = door.merchant.live();
    let source = door
        .read(move |reads| {
            let plugins = live.book.plugins();
            let uses = Uses::read(reads, plugins)?;
            let counts = reads.segments()?;
            let count = counts.into_iter().find(|count| count.segment == key);
            let owner = plugins.iter().find(|plugin| plugin.owns_segment(&key));
            let mut source = SegmentSource {
                meaning: meaning(plugins, &key).map(str::to_owned),
                manual: false,
                rule: None,
                members: count.as_ref().map_or(0, |count| count.members),
                members_at: format!("/v1/segments/{key}/members"),
                used_by: uses.of(&key),
                segment: key,
            };
            if let Some(plugin) = owner {
                let configuration = reports::configuration(reads, plugin)?;
                source.rule = Some(RuleSource {
                    plugin: plugin.name.clone(),
                    version: plugin.version.clone(),
                    digest: plugin.digest.clone(),
                    configuration: plugin.configuration.clone(),
                    configured: configuration["segments"][&source.segment].clone(),
                });
            } else if count.is_none() {
                let list = list_of(reads, &live, &source.segment)?;
                let list = list.ok_or_else(no_such_segment)?;
                source.meaning = list.means;
                source.manual = true;
                source.members = list.customers;
                source.members_at = format!("/v1/customers?tag={}", in_a_query(&list.tag));
                source.used_by = list.used_by;
                source.segment = list.tag;
            }
            Ok(source)
        })
        .await?;
    Ok(Json(source))
}

/// A text as the value of a query.
fn in_a_query(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| match plain(byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect()
}

/// The tag of this name, if only people set it.
fn list_of(reads: &Reads, live: &Live, key: &str) -> Result<Option<TagInfo>, Problem> {
    let tags = tags::listed(reads, live.book.plugins(), &live.shop)?;
    let key = live.shop.tags.key_of(key);
    let mut lists = tags.tags.into_iter().filter(|tag| tag.manual);
    Ok(lists.find(|tag| tag.tag == key))
}

fn no_such_segment() -> Problem {
    not_found(
        "no-such-segment",
        "no live plugin has this segment; GET /v1/segments lists those that there are",
    )
}

/// Customers who are put on a list that is made by hand, or taken off it. Sent again with the same
/// key it does nothing twice and gets the same answer.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MembersWritten {
    /// Names this job for ever, in the caller's own words.
    #[schema(example = "press-2026")]
    pub key: String,
    pub action: BulkAction,
    /// At most 5,000, by our own id or anything that they go by.
    pub customers: Vec<WhoIs>,
    /// Who wants it; the name of the key, where it is not given.
    pub actor: Option<String>,
    pub reason: Option<String>,
}

/// A segment's members are what its rule says of them, and nobody writes them beside it.
pub async fn write_members(
    State(door): State<Arc<Door>>,
    caller: Caller,
    Path(key): Path<String>,
    headers: HeaderMap,
    given: Body,
) -> Result<Json<BulkDone>, Problem> {
    ContentType::read(&headers, &[ContentType::Json])?;
    let bytes = body(&headers, given, limits::BULK_BYTES_MAX).await?;
    let live = door.merchant.live();
    let list = door
        .read(move |reads| {
            let owner = live.book.plugins().iter().find(|it| it.owns_segment(&key));
            let who = match owner {
                Some(plugin) => plugin.name.clone(),
                None if reads.segments()?.iter().any(|it| it.segment == key) => {
                    "a plugin that is live no more".into()
                }
                None => return list_of(reads, &live, &key)?.ok_or_else(no_such_segment),
            };
            let detail = format!(
                "{who} decides who is in {key:?}, so nobody is put into it or taken out by hand; set a tag that its \
                 rule looks at, or change the rule"
            );
            Err(Problem::new(StatusCode::CONFLICT, "rule-segment", detail))
        })
        .await?;
    let written: MembersWritten = serde_json::from_slice(&bytes).map_err(|error| {
        bad_request(
            "malformed",
            format!("these are not customers for a list: {error}; nothing was done"),
        )
    })?;
    let job = TagsBulk {
        key: written.key,
        action: written.action,
        tag: list.tag,
        customers: Some(written.customers),
        query: None,
        actor: written.actor,
        reason: written.reason,
    };
    Ok(Json(assign(&door, &caller, &job).await?))
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
                return Err(no_such_segment());
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
