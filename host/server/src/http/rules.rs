//! The rules and what they made: plugins and their health, what calls what, the catalogue of
//! events, segments and their members, and the outbox.

use super::Door;
use super::ask::{At, Query};
use super::page::{Page, Paging};
use super::parts::{FollowUp, follow_up, meaning};
use super::problem::{Problem, not_found};
use super::schema;
use crate::figures::PluginFigures;
use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use stampcard_pipeline::catalogue::{KINDS, Support};
use stampcard_pipeline::change::CustomerId;
use stampcard_pipeline::event::Instant;
use stampcard_pipeline::outcome::Time;
use stampcard_pipeline::rules::{Plugin, Role, Rules};
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

// ------------------------------------------------------------------- plugins

/// The plugins that are live, in the order in which they run, and what could not be loaded.
#[derive(Debug, Serialize, ToSchema)]
pub struct Plugins {
    /// The number of the rule book that is live.
    pub rule_book: i64,
    pub plugins: Vec<PluginInfo>,
    /// Files of the shop's folder that are not live as they are, and why.
    pub not_loaded: Vec<NotLoaded>,
    /// What was wrong with the last change of the folder; absent if it was taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_reload_problem: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct PluginInfo {
    #[schema(example = "starter-points")]
    pub name: String,
    pub version: String,
    /// Of the component's bytes.
    pub digest: String,
    /// Of its configuration in canonical form.
    pub configuration: String,
    #[schema(value_type = Vec<String>)]
    pub roles: Vec<Role>,
    /// Kinds of events that it is called for; `*` is every kind.
    pub events: Vec<String>,
    pub facts: Vec<String>,
    /// What it may decide, each with its meaning.
    pub segments: BTreeMap<String, String>,
    pub tiers: BTreeMap<String, String>,
    pub tags: BTreeMap<String, String>,
    /// `unknown` before its first call, `ok`, `recovering` (it failed, and its calls went well
    /// since) or `failing`.
    pub health: &'static str,
    /// What was counted since the server started, by role.
    pub calls: Vec<Calls>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<LastError>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Calls {
    pub role: String,
    /// Calls by `ok` or the class of the failure.
    pub results: BTreeMap<String, u64>,
    /// Fuel of a call on average, and of the one that took most.
    pub fuel_average: u64,
    pub fuel_most: u64,
    /// The most that a call may take, before what the lines of a sale add.
    pub fuel_limit: u64,
    /// `fuel_most` as a share of the limit, in basis points; above 10,000 the lines of a sale paid
    /// for it.
    pub share_of_limit: u64,
    pub micros_average: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct LastError {
    /// `fault`, `trap`, `fuel`, `deadline`, `memory`, `stack`, `answer` or `unavailable`.
    pub class: String,
    pub message: String,
    /// The version that failed.
    pub version: String,
    #[schema(value_type = String, format = DateTime)]
    pub at: Time,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct NotLoaded {
    pub name: String,
    /// What is wrong, and what to do.
    pub reason: String,
    /// The version that stays live instead.
    pub live: Option<String>,
}

pub async fn plugins(State(door): State<Arc<Door>>) -> Json<Plugins> {
    let live = door.merchant.live();
    let figures = door.merchant.figures().plugins();
    let plugins = live.book.plugins().iter().enumerate();
    let not_loaded = live.book.not_loaded().iter().map(|failure| NotLoaded {
        name: failure.name.clone(),
        reason: failure.reason.to_string(),
        live: failure.live.clone(),
    });
    Json(Plugins {
        rule_book: live.number,
        plugins: plugins.map(|(index, plugin)| plugin_info(plugin, live.book.limits(index).fuel, &figures)).collect(),
        not_loaded: not_loaded.collect(),
        last_reload_problem: door.merchant.health().reloads.last_problem,
    })
}

fn plugin_info(plugin: &Plugin, fuel_limit: u64, figures: &BTreeMap<(String, String), PluginFigures>) -> PluginInfo {
    let seen: Vec<(&str, &PluginFigures)> =
        figures.iter().filter(|((name, _), _)| *name == plugin.name).map(|((_, role), seen)| (role.as_str(), seen)).collect();
    let last = seen.iter().filter_map(|(_, seen)| seen.last_failure.as_ref()).max_by_key(|failure| failure.at);
    let owned = |keys: &[(String, String)]| keys.iter().cloned().collect();
    PluginInfo {
        health: health(&seen),
        calls: seen.iter().map(|(role, seen)| calls(role, seen, fuel_limit)).collect(),
        last_error: last.map(|failure| LastError {
            class: failure.class.clone(),
            message: failure.message.clone(),
            version: failure.version.clone(),
            at: Time(failure.at),
        }),
        name: plugin.name.clone(),
        version: plugin.version.clone(),
        digest: plugin.digest.clone(),
        configuration: plugin.configuration.clone(),
        roles: plugin.roles.clone(),
        events: plugin.events.clone(),
        facts: plugin.facts.clone(),
        segments: owned(&plugin.segments),
        tiers: owned(&plugin.tiers),
        tags: owned(&plugin.tags),
    }
}

/// Calls in a row that must go well before a failure is history.
const WELL_AGAIN: u64 = 100;

fn health(seen: &[(&str, &PluginFigures)]) -> &'static str {
    let of_role = |seen: &PluginFigures| match seen.last_failure {
        None => "ok",
        Some(_) if seen.well_since >= WELL_AGAIN => "ok",
        Some(_) if seen.well_since > 0 => "recovering",
        Some(_) => "failing",
    };
    let roles: Vec<&str> = seen.iter().map(|(_, seen)| of_role(seen)).collect();
    if roles.is_empty() {
        return "unknown";
    }
    ["failing", "recovering"].into_iter().find(|state| roles.contains(state)).unwrap_or("ok")
}

fn calls(role: &str, seen: &PluginFigures, fuel_limit: u64) -> Calls {
    let count = seen.calls.values().sum::<u64>().max(1);
    Calls {
        role: role.to_owned(),
        results: seen.calls.clone(),
        fuel_average: seen.fuel / count,
        fuel_most: seen.fuel_most,
        fuel_limit,
        share_of_limit: seen.fuel_most.saturating_mul(10_000) / fuel_limit.max(1),
        micros_average: seen.micros / count,
    }
}

// ------------------------------------------------------------------- what calls what

/// Event → plugins → actions, from the manifests of the plugins that are live.
#[derive(Debug, Serialize, ToSchema)]
pub struct Graph {
    pub rule_book: i64,
    pub events: Vec<GraphEvent>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct GraphEvent {
    #[schema(example = "sale.completed")]
    pub event: String,
    pub meaning: String,
    /// Who is asked, in the order in which the line asks.
    pub asks: Vec<Asked>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Asked {
    pub plugin: String,
    pub version: String,
    #[schema(value_type = String, example = "segment-rule")]
    pub role: Role,
    /// What it may do in this role.
    pub actions: Vec<String>,
    /// The keys that it may decide in this role: segments and tags, or tiers.
    pub decides: Vec<String>,
}

pub async fn graph(State(door): State<Arc<Door>>) -> Json<Graph> {
    let live = door.merchant.live();
    let plugins = live.book.plugins();
    let known = KINDS.iter().filter(|kind| kind.support != Support::NotYet).map(|kind| (kind.name, kind.meaning));
    let own = live.shop.file.kinds.iter().map(|(kind, meaning)| (kind.as_str(), meaning.as_str()));
    let events = known.chain(own).map(|(kind, meaning)| GraphEvent {
        event: kind.to_owned(),
        meaning: meaning.to_owned(),
        asks: Role::ALL.iter().flat_map(|role| plugins.iter().filter(|plugin| plugin.wants(*role, kind)).map(|plugin| asked(plugin, *role))).collect(),
    });
    Json(Graph { rule_book: live.number, events: events.collect() })
}

fn asked(plugin: &Plugin, role: Role) -> Asked {
    let keys = |owned: &[(String, String)]| owned.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>();
    let (actions, decides): (&[&str], Vec<String>) = match role {
        Role::SegmentRule => (&["enter or leave a segment", "set or clear a tag"], [keys(&plugin.segments), keys(&plugin.tags)].concat()),
        Role::PointFormula => (&["award points"], Vec::new()),
        Role::TierRule => (&["place in a tier"], keys(&plugin.tiers)),
        Role::FollowUpTrigger => (&["plan a follow-up", "prompt the till", "print on the receipt", "offer a discount"], Vec::new()),
    };
    let actions = actions.iter().map(|action| (*action).to_owned()).collect();
    Asked { plugin: plugin.name.clone(), version: plugin.version.clone(), role, actions, decides }
}

// ------------------------------------------------------------------- the catalogue

/// Every kind of event that there is.
#[derive(Debug, Serialize, ToSchema)]
pub struct Catalogue {
    pub kinds: Vec<KindInfo>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct KindInfo {
    #[schema(example = "sale.completed")]
    pub name: String,
    pub meaning: String,
    /// Who tells us.
    pub producer: String,
    /// `processed`, `not-yet` (refused in this version) or `host-only` (made by the host).
    pub support: &'static str,
    /// The JSON Schema of its `data`; absent for kinds that are not taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub schema: Option<Value>,
    /// A whole event of the kind.
    #[schema(value_type = Object)]
    pub example: Value,
}

pub async fn catalogue(State(door): State<Arc<Door>>) -> Json<Catalogue> {
    let kinds = KINDS.iter().map(|kind| KindInfo {
        name: kind.name.to_owned(),
        meaning: kind.meaning.to_owned(),
        producer: kind.producer.to_owned(),
        support: match kind.support {
            Support::Processed => "processed",
            Support::NotYet => "not-yet",
            Support::HostOnly => "host-only",
        },
        schema: (kind.support == Support::Processed).then(|| schema::of_data(kind.name)),
        example: schema::example(kind),
    });
    let own = door.merchant.live();
    let own = own.shop.file.kinds.iter().map(|(name, meaning)| KindInfo {
        name: name.clone(),
        meaning: meaning.clone(),
        producer: "this shop".into(),
        support: "processed",
        schema: Some(schema::of_data(name)),
        example: json!({
            "specversion": "1.0", "source": "shop", "id": "1", "type": name, "time": schema::EXAMPLE_TIME,
            "data": {"customer": {"email": "ana@example.com"}},
        }),
    });
    Json(Catalogue { kinds: kinds.chain(own).collect() })
}

// ------------------------------------------------------------------- segments

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
        let gone = SegmentInfo { segment: count.segment.clone(), meaning: None, plugin: None, members: 0 };
        segments.entry(count.segment).or_insert(gone).members = count.members;
    }
    Ok(Json(Segments { segments: segments.into_values().collect() }))
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
    let MembersAsked { as_of, limit, cursor } = asked;
    let paging = Paging { limit, cursor };
    let (rows, after) = (paging.rows()?, paging.after::<CustomerId>()?);
    let page = door
        .read(move |reads| {
            let found = reads.members(&segment, as_of.map(|at| at.0), after.as_ref(), rows + 1)?;
            if found.is_empty() && after.is_none() && meaning(live.book.plugins(), &segment).is_none() {
                return Err(not_found("no-such-segment", "no live plugin has this segment; GET /v1/segments lists those that there are"));
            }
            Ok(Page::of(found, rows, |row| row.customer.clone()).map(|row| Member {
                customer: row.customer.0,
                since: Time(row.since),
                until: row.until.map(Time),
                reason: row.reason,
            }))
        })
        .await?;
    Ok(Json(page))
}

// ------------------------------------------------------------------- the outbox

/// What is planned for all customers, the next due first.
pub async fn outbox(State(door): State<Arc<Door>>, Query(paging): Query<Paging>) -> Result<Json<Page<FollowUp>>, Problem> {
    let (rows, after) = (paging.rows()?, paging.after::<(Instant, i64)>()?);
    let page = door
        .read(move |reads| {
            let found = reads.outbox(after, rows + 1)?;
            Ok(Page::of(found, rows, |row| (row.due, row.id)).map(follow_up))
        })
        .await?;
    Ok(Json(page))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::LastFailure;

    fn seen(well_since: u64, failed: bool) -> PluginFigures {
        let failure = LastFailure { class: "trap".into(), message: String::new(), version: "1".into(), at: Instant(0) };
        PluginFigures { well_since, last_failure: failed.then_some(failure), ..PluginFigures::default() }
    }

    #[test]
    fn a_plugin_is_as_healthy_as_its_sickest_role() {
        let (never, just, recovering, long_ago) = (seen(5, false), seen(0, true), seen(7, true), seen(WELL_AGAIN, true));
        for (roles, expected) in [
            (vec![], "unknown"),
            (vec![("a", &never)], "ok"),
            (vec![("a", &long_ago), ("b", &never)], "ok"),
            (vec![("a", &never), ("b", &recovering)], "recovering"),
            (vec![("a", &just), ("b", &recovering)], "failing"),
        ] {
            assert_eq!(health(&roles), expected, "{roles:?}");
        }
    }
}
