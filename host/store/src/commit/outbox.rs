//! The outbox: what a follow-up comes to, and what an event cancels.

use super::Writing;
use crate::cache::Plan;
use crate::error::Trouble;
use crate::hold::Token;
use crate::row;
use crate::rule_books::RuleBook;
use crate::store::Shared;
use crate::writer::Writer;
use stampcard_pipeline::calendar;
use stampcard_pipeline::change::{CustomerChange, FollowUpRow, Planned};
use stampcard_pipeline::event::Event;
use stampcard_pipeline::outcome::Outcome;
use stampcard_pipeline::rules::Value;
use stampcard_pipeline::store::StoreError;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// What happens to the outbox.
#[derive(Default)]
pub(super) struct Plans {
    /// For each follow-up of the change.
    pub fates: Vec<Fate>,
    /// What waited and does not happen, because of this event.
    pub cancelled: Vec<Plan>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is planned for the first time.
    Fresh,
    /// A refold plans it again: the same row.
    Again(i64),
    /// Its occasion was written for before.
    Known,
}

/// The states of which no refold takes anything back: it was sent, or it is settled that it is not.
const HAS_LEFT: [&str; 4] = ["sent", "dead", "too-late", "dropped"];

fn fate(
    writer: &Writer,
    token: &Token,
    beside: Option<i64>,
    customer: &CustomerChange,
    row: &FollowUpRow,
    book: &RuleBook,
) -> Result<Fate, Trouble> {
    let Some(hot) = &token.hot else {
        return Ok(Fate::Fresh);
    };
    let plugin = &plugin_name(book, row.plugin)?;
    let find = |customer: i64| {
        writer.sql.first(
            "SELECT id, number, state FROM outbox WHERE customer = ?1 AND plugin = ?2 AND dedupe_key = ?3",
            &[&customer, plugin, &row.dedupe_key],
            |row| Ok((row.get::<_, i64>(0)?, row.get::<_, u32>(1)?, row.get::<_, String>(2)?)),
        )
    };
    // What left for either of two who become one, or one who becomes two, does not leave again.
    if let Some(beside) = beside
        && find(beside)?.is_some_and(|(_, _, state)| HAS_LEFT.contains(&state.as_str()))
    {
        return Ok(Fate::Known);
    }
    Ok(match find(hot.row)? {
        None => Fate::Fresh,
        Some((_, _, state)) if HAS_LEFT.contains(&state.as_str()) => Fate::Known,
        Some((id, number, state)) => {
            let is_taken_back = customer.start.is_refold && number > customer.start.changes;
            if state == "withdrawn" || is_taken_back {
                Fate::Again(id)
            } else {
                Fate::Known
            }
        }
    })
}

/// What waits from before the start and is cancelled by one of these events. What was planned
/// after the start the walk has settled itself.
pub(super) fn cancelled<'a>(
    token: &Token,
    customer: &CustomerChange,
    events: impl Iterator<Item = &'a Arc<Event>> + Clone,
) -> Vec<Plan> {
    let Some(plans) = token.hot.as_ref().and_then(|hot| hot.plans.as_ref()) else {
        return Vec::new();
    };
    plans
        .iter()
        .filter(|plan| {
            plan.number <= customer.start.changes
                && events
                    .clone()
                    .any(|event| plan.due > event.at && plan.cancelled_by.contains(&event.kind))
        })
        .cloned()
        .collect()
}

impl Plans {
    /// Says in the answer what became of follow-ups.
    pub fn tell(&self, customer: &Option<CustomerChange>, book: &RuleBook, outcome: &mut Outcome) {
        let follow_ups = customer.iter().flat_map(|customer| &customer.follow_ups);
        for (row, fate) in follow_ups.zip(&self.fates) {
            if *fate != Fate::Known {
                continue;
            }
            let plugin = book
                .plugins
                .get(row.plugin as usize)
                .map(|plugin| plugin.name.as_str());
            let view = outcome.follow_ups.iter_mut().rev().find(|view| {
                view.dedupe_key == row.dedupe_key
                    && Some(view.plugin.as_str()) == plugin
                    && view.state != "known"
            });
            if let Some(view) = view {
                view.state = "known".into();
            }
        }
        for plan in &self.cancelled {
            let due = calendar::text(plan.due);
            outcome.notes.push(format!(
                "cancelled: {} by {}, which was due {due}",
                plan.template, plan.channel
            ));
        }
    }
}

impl Shared {
    /// What becomes of each planned follow-up: the customer is held, so it stays true.
    pub(super) fn fates(
        &self,
        token: &Token,
        beside: Option<i64>,
        customer: &CustomerChange,
        book: &RuleBook,
    ) -> Result<Vec<Fate>, StoreError> {
        if customer.follow_ups.is_empty() {
            return Ok(Vec::new());
        }
        let writer = self.group.lock();
        let mut planned: HashSet<(u32, &str)> = HashSet::new();
        let mut fates = Vec::with_capacity(customer.follow_ups.len());
        for row in &customer.follow_ups {
            let key = row.dedupe_key.as_str();
            fates.push(if planned.insert((row.plugin, key)) {
                fate(&writer, token, beside, customer, row, book)?
            } else {
                Fate::Known
            });
        }
        Ok(fates)
    }
}

/// The columns of a planned follow-up, in the order in which they are bound.
macro_rules! columns {
    () => {
        "(id, customer, plugin, dedupe_key, number, plugin_version, channel, template,
         planned_at, due, expires_at, data, cancelled_by, purpose, offer, reason, state, journal, ended_by)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)"
    };
}

const PLAN: &str = concat!("INSERT INTO outbox ", columns!());
const PLAN_AGAIN: &str = concat!("INSERT OR REPLACE INTO outbox ", columns!());

impl Writing<'_> {
    pub(super) fn outbox(
        &self,
        row: i64,
        seq: i64,
        customer: &CustomerChange,
    ) -> Result<(), Trouble> {
        let sql = &self.writer.sql;
        for plan in &self.plans.cancelled {
            sql.run(
                "UPDATE outbox SET state = 'cancelled', ended_by = ?2 WHERE id = ?1 AND state = 'planned'",
                &[&plan.id, &seq],
            )?;
        }
        for plugin in &customer.cancels {
            sql.run(
                "UPDATE outbox SET state = 'cancelled', ended_by = ?4
                 WHERE customer = ?1 AND plugin = ?2 AND number <= ?3 AND state = 'planned'",
                &[&row, plugin, &customer.start.changes, &seq],
            )?;
        }
        for sale in &customer.undone {
            sql.run(
                "UPDATE outbox SET state = 'cancelled', ended_by = ?4
                 WHERE customer = ?1 AND journal = ?2 AND number <= ?3 AND state = 'planned' AND due > ?5",
                &[&row, sale, &customer.start.changes, &seq, &self.change.event.at.0],
            )?;
        }
        for (planned, fate) in customer.follow_ups.iter().zip(&self.plans.fates) {
            let again = match fate {
                Fate::Known => continue,
                Fate::Fresh => None,
                Fate::Again(id) => Some(*id),
            };
            let data: BTreeMap<&String, &Value> = planned
                .data
                .iter()
                .map(|(key, value)| (key, value))
                .collect();
            let offer = planned
                .offer
                .as_ref()
                .map(serde_json::to_string)
                .transpose()?;
            let state = match planned.state {
                Planned::Planned => "planned",
                Planned::Suppressed => "suppressed",
                Planned::Cancelled => "cancelled",
            };
            let ended_by = (planned.state != Planned::Planned).then_some(seq);
            sql.run(
                match fate {
                    Fate::Again(_) => PLAN_AGAIN,
                    _ => PLAN,
                },
                &[
                    &again,
                    &row,
                    &plugin_name(self.book, planned.plugin)?,
                    &planned.dedupe_key,
                    &planned.number,
                    &self.version(planned.plugin)?,
                    &planned.channel,
                    &planned.template,
                    &planned.at.0,
                    &planned.send_at.0,
                    &planned.expires_at.map(|at| at.0),
                    &serde_json::to_string(&data)?,
                    &serde_json::to_string(&planned.cancelled_by)?,
                    &row::word(&planned.purpose)?,
                    &offer,
                    &planned.reason,
                    &state,
                    &planned.journal.unwrap_or(seq),
                    &ended_by,
                ],
            )?;
        }
        Ok(())
    }
}

pub(super) fn plugin_name(book: &RuleBook, plugin: u32) -> Result<String, Trouble> {
    let plugin_there = book.plugins.get(plugin as usize);
    plugin_there
        .map(|plugin| plugin.name.clone())
        .ok_or_else(|| no_plugin(book, plugin))
}

pub(super) fn no_plugin(book: &RuleBook, plugin: u32) -> Trouble {
    StoreError::Failed(format!("rule book {} has no plugin {plugin}", book.number)).into()
}
