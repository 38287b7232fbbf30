//! Points: what does this event earn?

use crate::change::{Decider, LotKey, LotKind, TakingKind};
use crate::credit;
use crate::currency::Currency;
use crate::event::{Adjustment, Body, Event, Instant, Points, Room};
use crate::facts;
use crate::forfeit;
use crate::ledger::Taking;
use crate::limited::GiverKind;
use crate::limits;
use crate::purse::TakingKey;
use crate::redemption;
use crate::referral;
use crate::returns;
use crate::rules::{
    self, Amount, Coverage, Earned, Failure, OnReturn, Plugin, PointAnswer, Recipient, Role,
};
use crate::shop::Combine;
use crate::walk::{Step, Walk};
use std::collections::{BTreeMap, HashMap};

/// An award that is worth something, apportioned to its lines.
#[derive(Clone, Debug)]
pub struct Award {
    pub by: Decider,
    pub key: LotKey,
    pub amount: Points,
    /// Line number from 1 and its points.
    pub shares: Vec<(u32, Points)>,
}

pub fn decide(walk: &mut Walk, step: &mut Step) {
    redemption::redeem(walk, step);
    let mut taken_back = returns::take_back(walk, step);
    taken_back.extend(referral::take_back(walk, step));
    walk.settle_payment(step);
    let mut asked: Vec<Asked> = Vec::new();
    for plugin in walk.wanted(step, Role::PointFormula) {
        let call = walk.ask::<PointAnswer>(step, plugin);
        let checked = call.result.and_then(|answer| {
            walk.check_after(step, plugin, &answer.after)?;
            Ok((check(plugin, answer.awards, walk, step)?, answer.after))
        });
        match checked {
            Ok((awards, after)) => {
                let name = &walk.with.rules.plugins()[plugin].name;
                step.so_far
                    .awards
                    .extend(awards.iter().filter_map(|award| award.as_earned(name)));
                asked.extend(awards);
                walk.after(step, plugin, Role::PointFormula, call.usage, Ok(after));
            }
            Err(failure) => walk.after(step, plugin, Role::PointFormula, call.usage, Err(&failure)),
        }
    }
    let plugins = walk.with.rules.plugins();
    let (mut awards, for_referrer) = worth(asked, plugins, walk, step);
    if walk.with.shop.file.policies.awards == Combine::Best {
        keep_best(&mut awards, plugins, step);
    }
    awards.extend(referral::awards(walk, step));
    let lost = taken_back
        .iter()
        .filter(|(key, _)| key.currency.is_points());
    let lost: Points = lost.map(|(_, points)| points).sum();
    // What an exchange takes back makes room for what it gives.
    let room = step.event.basket().map_or(0, |_| lost);
    cap(&mut awards, room, walk, step);
    let gone = walk.earned_by_the_gone(step);
    let awarded = awards.iter().map(|award| (&award.key, award.amount));
    let earned: Vec<_> = awarded
        .chain(gone.iter().map(|(key, amount)| (key, *amount)))
        .collect();
    let given: Points = earned.iter().map(|(_, amount)| amount).sum();
    step.so_far.awards = taken_back
        .iter()
        .map(|(key, points)| (key, -points))
        .chain(earned.iter().map(|(key, points)| (*key, *points)))
        .filter_map(|(key, amount)| as_earned(key, amount))
        .collect();
    step.so_far.points = given - lost;
    step.so_far.balance_after = walk.fold.points.balance + given;
    // A basket that is not paid yet shows what it would earn, and earns nothing.
    if !matches!(step.event.body, Body::Checkout(_)) {
        earn(walk, step, &earned, given, lost);
        referral::count_points(walk, step, given - lost);
        step.awards = awards;
        step.for_referrer.extend(for_referrer);
    }
    let event = step.event.clone();
    match &event.body {
        Body::Adjustment(adjustment) => adjust(walk, step, &event, adjustment),
        Body::Import(import) => {
            for (ordinal, lot) in (0..).zip(&import.lots) {
                give_by_hand(
                    walk,
                    step,
                    &import.reason,
                    lot.points,
                    lot.expires_at,
                    ordinal,
                );
            }
        }
        _ => forfeit::take(walk, step),
    }
    redemption::give_back(walk, step);
    credit::settle(walk, step);
}

/// What staff gave is a lot like any other, and what staff took is taken from the lots; neither
/// was earned, so no tier that counts what was earned is moved by it.
fn adjust(walk: &mut Walk, step: &mut Step, event: &Event, adjustment: &Adjustment) {
    if adjustment.points < 0 {
        let taking = Taking {
            key: TakingKey {
                step: event.position(),
                currency: Currency::Points,
                kind: TakingKind::Adjustment,
                lot: None,
                redemption: None,
            },
            points: -adjustment.points,
            debt: 0,
            reason: adjustment.reason.clone(),
            by: Decider::Staff(event.actor()),
        };
        walk.take(step, taking);
        step.so_far.balance_after = walk.fold.points.balance;
        return;
    }
    walk.gave(step, adjustment.points);
    let (reason, ends) = (&adjustment.reason, adjustment.expires_at);
    give_by_hand(walk, step, reason, adjustment.points, ends, 0);
}

/// A lot that no rule decided. Nobody takes it back with a sale.
fn give_by_hand(
    walk: &mut Walk,
    step: &mut Step,
    reason: &str,
    amount: Points,
    expires_at: Option<Instant>,
    ordinal: u32,
) {
    let award = Award {
        by: Decider::Staff(step.event.actor()),
        key: LotKey {
            expires_at,
            ordinal,
            ..LotKey::of_no_rule(
                step.event.position(),
                Currency::Points,
                LotKind::Adjustment,
                reason,
            )
        },
        amount,
        shares: Vec::new(),
    };
    walk.give(step, &award.key, award.amount);
    step.so_far.balance_after = walk.fold.points.balance;
    step.awards.push(award);
}

fn earn(
    walk: &mut Walk,
    step: &mut Step,
    earned: &[(&LotKey, Points)],
    given: Points,
    lost: Points,
) {
    let event = step.event.clone();
    walk.hold_back(step, given);
    let room = event.basket().map_or(0, |_| lost);
    let more = (given - room).max(0);
    count_for_the_day(walk, step, more);
    walk.gave(step, more);
    for (key, amount) in earned {
        walk.give(step, key, *amount);
    }
    walk.recover(step, Currency::Points, given, "owed");
    let net = given - lost;
    walk.fold.earned += net;
    if let Some(channel) = step.moved.channel {
        walk.fold.earned_by_channel[channel as usize] += net;
    }
    facts::count_earned(walk, step, net);
}

/// An award as a plugin asked for it, its moments worked out.
struct Asked {
    plugin: usize,
    amount: Amount,
    to: Recipient,
    covers: Coverage,
    reason: String,
    available_from: Option<Instant>,
    expires_at: Option<Instant>,
    on_return: OnReturn,
}

impl Asked {
    /// What a later formula of the same event may see of it. Shares come when all are in.
    fn as_earned(&self, plugin: &str) -> Option<Earned> {
        match self.amount {
            _ if self.to == Recipient::Referrer => None,
            Amount::Base(amount) | Amount::Bonus(amount) => Some(Earned {
                plugin: plugin.to_owned(),
                kind: self.amount.kind(),
                amount,
                reason: self.reason.clone(),
            }),
            Amount::BonusShare(_) => None,
        }
    }
}

/// What later steps may see of an award; nobody earned what staff gave.
fn as_earned(key: &LotKey, amount: Points) -> Option<Earned> {
    Some(Earned {
        plugin: key.plugin.clone(),
        kind: match key.kind {
            LotKind::Base => rules::AwardKind::Base,
            LotKind::Bonus => rules::AwardKind::Bonus,
            LotKind::Adjustment | LotKind::GivenBack | LotKind::Refund => return None,
        },
        amount,
        reason: key.reason.clone(),
    })
}

fn check(
    plugin: usize,
    awards: Vec<rules::Award>,
    walk: &Walk,
    step: &Step,
) -> Result<Vec<Asked>, Failure> {
    let lines = step
        .event
        .basket()
        .map_or(0, |sale| sale.lines.len() as u32);
    awards
        .into_iter()
        .map(|award| check_award(plugin, award, lines, walk, step))
        .collect()
}

fn check_award(
    plugin: usize,
    award: rules::Award,
    lines: u32,
    walk: &Walk,
    step: &Step,
) -> Result<Asked, Failure> {
    let refuse = |problem: String| Err(Failure::Answer { problem });
    match award.amount {
        Amount::Base(points) | Amount::Bonus(points)
            if !(0..=limits::NUMBER_MAX).contains(&points) =>
        {
            return refuse(format!(
                "an award of {points} points; it is at least 0 and at most 2^53 - 1"
            ));
        }
        Amount::BonusShare(share) if share > limits::BONUS_SHARE_MAX => {
            return refuse(format!(
                "a share of {share} basis points; {} is the limit",
                limits::BONUS_SHARE_MAX
            ));
        }
        _ => {}
    }
    if award.reason.is_empty() || award.reason.len() > limits::REASON_BYTES_MAX {
        return refuse(format!(
            "an award needs a reason of at most {} bytes",
            limits::REASON_BYTES_MAX
        ));
    }
    let covers = match award.covers {
        Coverage::Whole => Coverage::Whole,
        Coverage::Lines(mut numbers) => {
            if let Some(line) = numbers.iter().find(|line| !(1..=lines).contains(*line)) {
                return refuse(format!("an award for line {line}; the event has {lines}"));
            }
            numbers.sort_unstable();
            numbers.dedup();
            Coverage::Lines(numbers)
        }
    };
    let available_from = step.moment(walk, award.available_from)?;
    let expires_at = step.moment(walk, award.expires_at)?;
    if expires_at.is_some_and(|expires| expires <= available_from.unwrap_or(step.event.at)) {
        return refuse("an award that expires before it is available".into());
    }
    Ok(Asked {
        plugin,
        amount: award.amount,
        to: award.to,
        covers,
        reason: award.reason,
        available_from,
        expires_at,
        on_return: award.on_return,
    })
}

/// Works out shares of the base and apportions every award to its lines. Says what the customer gets, and
/// what whoever referred them does.
fn worth(
    asked: Vec<Asked>,
    plugins: &[Plugin],
    walk: &Walk,
    step: &mut Step,
) -> (Vec<Award>, Vec<Award>) {
    let event = step.event.clone();
    // One link of the chain and no more: what somebody is given for a friend gives nobody points.
    let has_referrer =
        walk.fold.referred().is_some() && !step.is_review && event.referral().is_none();
    let mut for_referrer = Vec::new();
    let base: Vec<(Option<u32>, Points)> = asked
        .iter()
        .filter(|award| award.to == Recipient::Customer)
        .flat_map(|award| base_by_line(award, &event))
        .collect();
    let mut ordinals: HashMap<LotKey, u32> = HashMap::new();
    let mut awards = Vec::with_capacity(asked.len());
    for asked in asked {
        let amount = match asked.amount {
            Amount::Base(amount) | Amount::Bonus(amount) => amount,
            Amount::BonusShare(share) => share_of(&base, &asked.covers, share),
        };
        let plugin = &plugins[asked.plugin].name;
        if amount == 0 {
            continue;
        }
        if asked.to == Recipient::Referrer && !has_referrer {
            step.note(format!(
                "{plugin}: nobody referred this customer, {amount} points were dropped"
            ));
            continue;
        }
        let mut key = LotKey {
            origin: event.position(),
            currency: Currency::Points,
            plugin: plugin.clone(),
            kind: asked.amount.kind().into(),
            reason: asked.reason,
            covers: asked.covers,
            available_from: asked.available_from,
            expires_at: asked.expires_at,
            on_return: asked.on_return,
            ordinal: 0,
        };
        let alike = ordinals.entry(key.clone()).or_default();
        key.ordinal = *alike;
        *alike += 1;
        let award = Award {
            by: Decider::Plugin(asked.plugin as u32),
            shares: shares(&event, &key.covers, amount),
            key,
            amount,
        };
        match asked.to {
            Recipient::Customer => awards.push(award),
            Recipient::Referrer => for_referrer.push(award),
        }
    }
    (awards, for_referrer)
}

/// A base award line by line, or as a whole where there are no lines.
fn base_by_line(award: &Asked, event: &Event) -> Vec<(Option<u32>, Points)> {
    let Amount::Base(amount) = award.amount else {
        return Vec::new();
    };
    let shares = shares(event, &award.covers, amount);
    if shares.is_empty() {
        return vec![(None, amount)];
    }
    shares
        .into_iter()
        .map(|(line, points)| (Some(line), points))
        .collect()
}

fn share_of(base: &[(Option<u32>, Points)], covers: &Coverage, share: u32) -> Points {
    let covered = base
        .iter()
        .filter(|(line, _)| line.map_or(*covers == Coverage::Whole, |line| covers.has(line)));
    let of: i128 = covered.map(|(_, points)| i128::from(*points)).sum();
    i64::try_from((of * i128::from(share)).div_euclid(10_000)).unwrap_or(limits::NUMBER_MAX)
}

fn shares(event: &Event, covers: &Coverage, amount: Points) -> Vec<(u32, Points)> {
    let Some(sale) = event.basket() else {
        return Vec::new();
    };
    let numbers: Vec<u32> = match covers {
        Coverage::Whole => (1..=sale.lines.len() as u32).collect(),
        Coverage::Lines(lines) => lines.clone(),
    };
    let weights: Vec<i64> = numbers
        .iter()
        .map(|line| sale.lines[*line as usize - 1].net.max(0))
        .collect();
    numbers
        .into_iter()
        .zip(apportion(amount, &weights))
        .filter(|(_, points)| *points != 0)
        .collect()
}

/// Divides an amount by weights so that the parts sum to it exactly: largest remainder, the
/// earlier part first among equals. Without any weight the first part takes all.
pub fn apportion(amount: i64, weights: &[i64]) -> Vec<i64> {
    let total: i128 = weights.iter().map(|weight| i128::from(*weight)).sum();
    if total <= 0 {
        let mut parts = vec![0; weights.len()];
        if let Some(first) = parts.first_mut() {
            *first = amount;
        }
        return parts;
    }
    let exact = weights
        .iter()
        .map(|weight| i128::from(amount) * i128::from(*weight));
    let mut parts: Vec<i64> = exact
        .clone()
        .map(|product| product.div_euclid(total) as i64)
        .collect();
    let mut left = amount - parts.iter().sum::<i64>();
    let mut by_remainder: Vec<(usize, i128)> = exact
        .map(|product| product.rem_euclid(total))
        .enumerate()
        .collect();
    by_remainder.sort_by_key(|(index, remainder)| (std::cmp::Reverse(*remainder), *index));
    for (index, _) in by_remainder {
        if left == 0 {
            break;
        }
        parts[index] += 1;
        left -= 1;
    }
    parts
}

/// Only the plugin with the highest sum awards; the others are told that they lost.
fn keep_best(awards: &mut Vec<Award>, plugins: &[Plugin], step: &mut Step) {
    let index = |award: &Award| plugins.iter().position(|it| it.name == award.key.plugin);
    let mut sums: BTreeMap<usize, Points> = BTreeMap::new();
    for (plugin, award) in awards.iter().filter_map(|it| Some((index(it)?, it))) {
        *sums.entry(plugin).or_default() += award.amount;
    }
    // Among equals the plugin that is declared first wins.
    let Some(best) = sums
        .iter()
        .max_by_key(|(plugin, sum)| (**sum, std::cmp::Reverse(**plugin)))
        .map(|(plugin, _)| *plugin)
    else {
        return;
    };
    for (plugin, sum) in sums.iter().filter(|(plugin, _)| **plugin != best) {
        step.notes.push(format!(
            "{} lost with {sum} points to {} with {}",
            plugins[*plugin].name, plugins[best].name, sums[&best]
        ));
    }
    awards.retain(|award| index(award) == Some(best));
}

/// What no formula gets past: so many points for one event, for one customer within a day, and from one
/// till and one person of the shop; and as many more as the event takes back.
fn cap(awards: &mut Vec<Award>, room: Points, walk: &Walk, step: &mut Step) {
    let caps = &walk.with.shop.file.caps;
    if let Some(most) = caps.points_per_event {
        cap_to(most + room, "points_per_event", awards, step);
    }
    if let Some(most) = caps.points_per_day {
        let today = walk.fold.earned_on.get(&step.local.number());
        let left = most - today.copied().unwrap_or(0);
        cap_to(left.max(0) + room, "points_per_day", awards, step);
    }
    let Room { device, staff } = step.event.room;
    for (kind, left) in [(GiverKind::Device, device), (GiverKind::Staff, staff)] {
        if let Some(left) = left {
            cap_to(left + room, kind.cap(), awards, step);
        }
    }
}

/// The cap is taken from the last award backwards, so that base awards go last.
fn cap_to(most: Points, name: &str, awards: &mut Vec<Award>, step: &mut Step) {
    let sum: Points = awards.iter().map(|award| award.amount).sum();
    let mut over = sum - most;
    if over <= 0 {
        return;
    }
    step.notes
        .push(format!("{name}: {sum} points were capped to {most}"));
    awards.sort_by_key(|award| award.key.kind);
    for award in awards.iter_mut().rev() {
        let taken = over.min(award.amount);
        award.amount -= taken;
        award.shares = shares(&step.event, &award.key.covers, award.amount);
        over -= taken;
    }
    awards.retain(|award| award.amount != 0);
}

/// Days that are remembered: two tills in different time zones may be a day apart.
const DAYS_REMEMBERED: usize = 3;

fn count_for_the_day(walk: &mut Walk, step: &Step, given: Points) {
    if given == 0 || walk.with.shop.file.caps.points_per_day.is_none() {
        return;
    }
    let days = &mut walk.fold.earned_on;
    *days.entry(step.local.number()).or_default() += given;
    while days.len() > DAYS_REMEMBERED {
        days.pop_first();
    }
}
