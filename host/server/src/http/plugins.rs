//! The plugins that are live: who they are, how they do, and what could not be loaded.

use super::Door;
use super::problem::Problem;
use crate::figures::{PluginFigures, health};
use crate::merchant::{Provenance, state};
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use stampcard_pipeline::outcome::Time;
use stampcard_pipeline::rules::{MessagesTo, Plugin, Role, Rules};
use stampcard_store::{Round, RuleBook};
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::ToSchema;

/// The plugins that are live, in the order in which they run, and what could not be loaded.
#[derive(Debug, Serialize, ToSchema)]
pub struct Plugins {
    /// The number of the rule book that is live.
    pub rule_book: i64,
    pub plugins: Vec<PluginInfo>,
    /// Files of the shop's folder that are not live as they are, and why.
    pub not_loaded: Vec<NotLoaded>,
    /// Plugins whose files in the folder are not what is live, because another version was ordered.
    /// They are taken when they change.
    pub drift: Vec<String>,
    /// Why this rule book went live.
    pub by: ByView,
    /// Customers who are asked again because rules changed: the last time, or now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reviews: Option<Reviews>,
    /// What was wrong with the last change of the folder; absent if it was taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_reload_problem: Option<String>,
}

/// How far the host is with asking again.
#[derive(Debug, Serialize, ToSchema)]
pub struct Reviews {
    /// The rule book that went live.
    pub rule_book: i64,
    /// The plugins that were new in it, or not as they were.
    pub asks: Vec<String>,
    /// Customers whom it may affect.
    pub customers: u64,
    /// How many of them were asked, for how many something came of it, and for how many asking
    /// failed.
    pub asked: u64,
    pub changed: u64,
    pub failed: u64,
    /// `running`, or `done`: nobody is left who was not asked since the rules changed.
    pub state: &'static str,
    #[schema(value_type = String, format = DateTime)]
    pub began_at: Time,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Time>,
}

impl From<Round> for Reviews {
    fn from(round: Round) -> Reviews {
        Reviews {
            rule_book: round.rule_book,
            asks: round.asks,
            customers: round.customers,
            asked: round.progress.asked,
            changed: round.progress.changed,
            failed: round.progress.failed,
            state: if round.ended_at.is_some() {
                "done"
            } else {
                "running"
            },
            began_at: Time(round.began_at),
            ended_at: round.ended_at.map(Time),
        }
    }
}

/// Who brought rules live, and why.
#[derive(Debug, Serialize, ToSchema)]
pub struct ByView {
    /// `folder`, `install`, `rollback`, `quarantine`, `release`, or `fall-back`: a kept instance of a
    /// plugin answered otherwise than a fresh one.
    pub origin: &'static str,
    /// Empty for what the folder brought.
    pub actor: String,
    pub reason: String,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub at: Option<Time>,
}

impl ByView {
    fn of(book: Option<&RuleBook>) -> ByView {
        let by = book.map(|book| book.by.clone()).unwrap_or_default();
        ByView {
            origin: by.origin.name(),
            actor: by.actor,
            reason: by.reason,
            at: book.map(|book| Time(book.created_at)),
        }
    }
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
    /// Whom its messages are for: `segments`, `everybody`, or `as-configured` where each of its rules
    /// says it. Absent for a plugin that plans none, or that went live before it had to be said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages_to: Option<&'static str>,
    /// Those segments.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub target_segments: Vec<String>,
    /// With which pack it came, and who signed that. Absent for one that came by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Provenance>,
    /// The file of which it was built, such as `extra-coffee.js`. Absent for what came as a component.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// `live`, or `quarantined`: it failed for too many customers and is not called.
    pub state: &'static str,
    /// Why it is quarantined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quarantine: Option<String>,
    /// What its calls run in: `fresh` instances, `verified-reuse` of kept ones, or `found-out`: it was
    /// to have kept ones and has fresh ones, because of what `found_out` says.
    pub isolation: &'static str,
    /// When a kept instance answered otherwise than a fresh one, and what becomes of its answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found_out: Option<String>,
    /// Customers to whom it owes an answer, because it failed, was not called, or gave one that nobody
    /// believes any more. They are asked about again when it is mended or released.
    pub owed: u64,
    /// `unknown` before its first call, `ok`, `recovering` (it failed, and its calls went well
    /// since), `failing` or `quarantined`.
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
    /// `fault`, `trap`, `fuel`, `deadline`, `memory`, `stack`, `answer`, `unavailable` or `quarantined`.
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

pub async fn plugins(State(door): State<Arc<Door>>) -> Result<Json<Plugins>, Problem> {
    let merchant = &door.merchant;
    let (live, reads) = (merchant.live(), merchant.store().reads());
    let figures = merchant.figures().plugins();
    let owed: BTreeMap<String, u64> = reads.owed()?.into_iter().collect();
    let reloads = merchant.health().reloads;
    let not_loaded = live.book.not_loaded().iter().map(|failure| NotLoaded {
        name: failure.name.clone(),
        reason: failure.reason.to_string(),
        live: failure.live.clone(),
    });
    let plugins = live.book.plugins().iter().enumerate();
    let plugins = plugins.map(|(index, plugin)| PluginInfo {
        owed: owed.get(&plugin.name).copied().unwrap_or_default(),
        from: merchant.provenance(&plugin.name),
        source: merchant.source(&plugin.name),
        ..plugin_info(plugin, live.book.limits(index).fuel, &figures)
    });
    Ok(Json(Plugins {
        rule_book: live.number,
        plugins: plugins.collect(),
        not_loaded: not_loaded.collect(),
        drift: reloads.drift.into_iter().collect(),
        by: ByView::of(merchant.store().rule_book_at(live.number).as_deref()),
        reviews: reads.newest_round()?.map(Reviews::from),
        last_reload_problem: reloads.last_problem,
    }))
}

fn plugin_info(
    plugin: &Plugin,
    fuel_limit: u64,
    figures: &BTreeMap<(String, String), PluginFigures>,
) -> PluginInfo {
    let seen: Vec<(&str, &PluginFigures)> = figures
        .iter()
        .filter(|((name, _), _)| *name == plugin.name)
        .map(|((_, role), seen)| (role.as_str(), seen))
        .collect();
    let last = seen
        .iter()
        .filter_map(|(_, seen)| seen.last_failure.as_ref())
        .max_by_key(|failure| failure.at);
    let owned = |keys: &[(String, String)]| keys.iter().cloned().collect();
    PluginInfo {
        state: state(plugin),
        quarantine: plugin.quarantine.clone(),
        isolation: plugin.isolation.name(),
        found_out: plugin.isolation.found_out().map(str::to_owned),
        owed: 0,
        from: None,
        source: None,
        health: match plugin.quarantine {
            Some(_) => state(plugin),
            None => health(&seen),
        },
        calls: seen
            .iter()
            .map(|(role, seen)| calls(role, seen, fuel_limit))
            .collect(),
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
        messages_to: plugin.messages_to.as_ref().map(|said| match said {
            MessagesTo::Everybody => "everybody",
            MessagesTo::AsConfigured => "as-configured",
            MessagesTo::Segments(_) => "segments",
        }),
        target_segments: match &plugin.messages_to {
            Some(MessagesTo::Segments(targets)) => targets.clone(),
            _ => Vec::new(),
        },
    }
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
