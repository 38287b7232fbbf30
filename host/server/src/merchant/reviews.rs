//! Customers are asked again when other rules go live: whom a change can affect, a look at what
//! would come of it, and the round itself, behind the tills.

use super::Merchant;
use crate::desk::{Desk, Live};
use crate::lanes::Lanes;
use serde::Serialize;
use stampcard_pipeline::admit::Arrival;
use stampcard_pipeline::event::{Instant, RulesChanged};
use stampcard_pipeline::line::preview;
use stampcard_pipeline::outcome::Outcome;
use stampcard_pipeline::refusal::Refusal;
use stampcard_pipeline::rules::{Plugin, Role, Rules};
use stampcard_pipeline::shop::ShopFile;
use stampcard_pipeline::store::StoreError;
use stampcard_store::{Affected, NewRound, Progress, Round, RuleBook};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;
use utoipa::ToSchema;

/// Customers of a round that are in the lanes at once. What a batch has done is kept when all of it
/// is, so this is what a crash makes the host ask again, which does no harm.
const BATCH: u32 = 64;
/// Customers who are looked at before a change goes live.
const LOOK_AT: u32 = 256;

/// Whom going from one rule book to another can affect; `None` if it is nobody.
///
/// A rule that says where somebody belongs is asked about everybody. What others would award or send
/// by themselves they say where they subscribe to reviews; if they do not, the change is for the
/// events to come, and for those to whom an earlier version owes an answer.
pub(super) fn round_between(
    before: &RuleBook,
    plugins: &[Plugin],
    shop: &ShopFile,
) -> Option<NewRound> {
    let mut round = NewRound::default();
    let tiers_differ = before.shop.tiers != shop.tiers;
    for plugin in plugins.iter().filter(|plugin| plugin.quarantine.is_none()) {
        let then = before.plugins.iter().find(|then| then.name == plugin.name);
        let is_released = then.is_some_and(|then| then.quarantine.is_some());
        let is_new = then.is_none_or(|then| !plugin.is_just_like(then));
        let is_placing = |role| plugin.roles.contains(&role);
        let other_tiers = tiers_differ && is_placing(Role::TierRule);
        let is_found_out = plugin.isolation.found_out().is_some()
            && then.is_some_and(|then| then.isolation.found_out().is_none());
        if is_new || is_released || is_found_out || other_tiers {
            round.asks.push(plugin.name.clone());
        }
        round.everyone |= other_tiers
            || is_new
                && (is_placing(Role::SegmentRule)
                    || is_placing(Role::TierRule)
                    || Role::ALL
                        .iter()
                        .any(|role| plugin.wants(*role, "review.due")));
    }
    let is_gone = |then: &Plugin| plugins.iter().all(|plugin| plugin.name != then.name);
    round.everyone |= before.plugins.iter().any(is_gone);
    (round.everyone || !round.asks.is_empty()).then_some(round)
}

/// What a change of rules would do to the customers there are.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct Foreseen {
    /// The plugins that would be asked about their customers.
    pub asks: Vec<String>,
    /// Customers who would be asked; only those to whom one of these plugins owes an answer, if
    /// nobody else can be affected.
    pub customers: u64,
    /// Customers who were looked at, spread evenly. Everything below is about them.
    pub looked_at: u64,
    /// For how many anything would change.
    pub changed: u64,
    /// Customers who would enter each segment, and leave it.
    pub entered: BTreeMap<String, u64>,
    pub left: BTreeMap<String, u64>,
    pub tiers: Vec<TierMove>,
    /// Points that the ledger would gain.
    pub points: i64,
    /// Messages that would be planned.
    pub follow_ups: u64,
    /// Customers for whom a plugin would fail.
    pub failed: u64,
}

/// Customers who would go from one tier to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TierMove {
    pub from: Option<String>,
    pub to: Option<String>,
    pub customers: u64,
}

impl Foreseen {
    fn count(&mut self, outcome: &Outcome) {
        self.looked_at += 1;
        self.changed += u64::from(changed(outcome));
        for segment in &outcome.segments.entered {
            *self.entered.entry(segment.clone()).or_default() += 1;
        }
        for segment in &outcome.segments.left {
            *self.left.entry(segment.clone()).or_default() += 1;
        }
        if let Some(tier) = &outcome.tier {
            let same = |it: &&mut TierMove| it.from == tier.from && it.to == tier.to;
            match self.tiers.iter_mut().find(same) {
                Some(known) => known.customers += 1,
                None => self.tiers.push(TierMove {
                    from: tier.from.clone(),
                    to: tier.to.clone(),
                    customers: 1,
                }),
            }
        }
        self.points += outcome.points.iter().map(|entry| entry.amount).sum::<i64>();
        self.follow_ups += outcome.follow_ups.len() as u64;
        let mut calls = outcome.plugins.iter();
        self.failed +=
            u64::from(calls.any(|call| !matches!(call.status.as_str(), "ok" | "rejected")));
    }
}

/// Whether something came of asking that a person would notice.
fn changed(outcome: &Outcome) -> bool {
    !outcome.segments.entered.is_empty()
        || !outcome.segments.left.is_empty()
        || !outcome.tags.set.is_empty()
        || !outcome.tags.cleared.is_empty()
        || !outcome.points.is_empty()
        || !outcome.follow_ups.is_empty()
        || outcome.tier.is_some()
}

/// Looks at what rules would do that are not live.
pub(super) fn foresee(desk: &Desk, going: &Live, at: Instant) -> Result<Foreseen, StoreError> {
    let store = &desk.store;
    let book = store.rule_book();
    let plugins = going.book.plugins();
    let round = book.and_then(|book| round_between(&book, plugins, &going.shop.file));
    let Some(round) = round else {
        return Ok(Foreseen::default());
    };
    let mut foreseen = Foreseen {
        customers: store.reads().count_affected(&round)?,
        ..Foreseen::default()
    };
    let looked_at = store.reads().some_affected(&round, LOOK_AT)?;
    for affected in looked_at {
        let arrival = arrival(&affected, i64::MAX, &round.asks, at);
        match preview(&store.preview(), going.context(store), &arrival, at) {
            Ok(outcome) => foreseen.count(&outcome),
            Err(Refusal::Store(error)) => return Err(error),
            Err(_) => foreseen.failed += 1,
        }
    }
    foreseen.asks = round.asks;
    Ok(foreseen)
}

fn arrival(affected: &Affected, rule_book: i64, asks: &[String], at: Instant) -> Arrival<'static> {
    Arrival::RulesChanged {
        customer: affected.customer.clone(),
        at,
        change: RulesChanged {
            rule_book,
            asks: asks.to_vec(),
            again_from: affected.again_from.clone(),
        },
    }
}

/// Goes on with the round that is under way, if one is. Half of the time it rests, so that it takes
/// no more than half of what the lanes can do; without `rest` it is done when this returns. What it
/// did is durable.
pub(crate) fn go_on(
    desk: &Desk,
    lanes: &Lanes,
    at: Instant,
    rest: Option<Duration>,
    is_enough: impl Fn() -> bool,
) -> Result<(), StoreError> {
    let began = std::time::Instant::now();
    while !is_enough() && rest.is_none_or(|most| began.elapsed() < most) {
        let newest = desk.store.reads().newest_round()?;
        let Some(round) = newest.filter(|round| round.ended_at.is_none()) else {
            desk.round_is_open.store(false, Ordering::Release);
            return Ok(());
        };
        if desk.live().number < round.rule_book {
            // It is written down and not live yet: whoever is asked now is asked by the rules before.
            return Ok(());
        }
        let batch_began = std::time::Instant::now();
        if !ask_some(desk, lanes, &round, at)? {
            return Ok(());
        }
        if rest.is_some() {
            std::thread::sleep(batch_began.elapsed());
        }
    }
    Ok(())
}

/// Asks the next ones of a round. False if they could not be asked: they are the next ones still.
fn ask_some(desk: &Desk, lanes: &Lanes, round: &Round, at: Instant) -> Result<bool, StoreError> {
    let affected = desk.store.reads().next_affected(round, BATCH)?;
    let batch = affected.iter().map(|one| {
        let arrival = arrival(one, round.rule_book, &round.asks, at);
        (one.customer.clone(), arrival)
    });
    let Some(told) = lanes.send_all_own(batch, "a customer could not be asked again") else {
        // The shop is closing; the round goes on when it opens again.
        return Ok(false);
    };
    let mut progress = round.progress;
    for outcome in told {
        match outcome {
            Ok(outcome) => progress.changed += u64::from(changed(&outcome)),
            // The disk is full, or the like: what was not kept is asked again later.
            Err(Refusal::Store(_)) => return Ok(false),
            Err(_) => progress.failed += 1,
        }
        progress.asked += 1;
    }
    let is_last = affected.len() < BATCH as usize;
    let done = Progress {
        done_to: affected.last().map_or(progress.done_to, |last| last.row),
        ..progress
    };
    desk.store
        .advance_round(round.rule_book, &done, is_last.then_some(at))?;
    if is_last {
        let Progress {
            asked,
            changed,
            failed,
            ..
        } = done;
        tracing::info!(
            rule_book = round.rule_book,
            asked,
            changed,
            failed,
            "customers were asked about the new rules"
        );
    }
    Ok(true)
}

impl Merchant {
    /// Finishes what changes of rules have left to do, as of just after the last thing that the shop
    /// has seen. For imports, whose shop has no clock of its own.
    pub fn finish_reviews(&self, seen: Instant) -> Result<(), StoreError> {
        let at = Instant(seen.0 + 1);
        go_on(&self.desk, &self.lanes, at, None, || false)
    }
}
