//! The plugins that are live: who they are, how they do, and what could not be loaded.

use super::Door;
use crate::figures::{PluginFigures, health};
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use stampcard_pipeline::outcome::Time;
use stampcard_pipeline::rules::{Plugin, Role, Rules};
use stampcard_store::RuleBook;
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
    /// What was wrong with the last change of the folder; absent if it was taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_reload_problem: Option<String>,
}

/// Who brought rules live, and why.
#[derive(Debug, Serialize, ToSchema)]
pub struct ByView {
    /// `folder`, `install` or `rollback`.
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
    let reloads = door.merchant.health().reloads;
    let plugins = live.book.plugins().iter().enumerate();
    let not_loaded = live.book.not_loaded().iter().map(|failure| NotLoaded {
        name: failure.name.clone(),
        reason: failure.reason.to_string(),
        live: failure.live.clone(),
    });
    Json(Plugins {
        rule_book: live.number,
        plugins: plugins
            .map(|(index, plugin)| plugin_info(plugin, live.book.limits(index).fuel, &figures))
            .collect(),
        not_loaded: not_loaded.collect(),
        drift: reloads.drift.into_iter().collect(),
        by: ByView::of(door.merchant.store().rule_book_at(live.number).as_deref()),
        last_reload_problem: reloads.last_problem,
    })
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
        health: health(&seen),
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
