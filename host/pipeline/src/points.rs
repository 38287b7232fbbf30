//! Points: what does this event earn, and what does the ledger say to that?

use crate::change::{Decider, EntryKind, LotKey, LotKind, LotRef, NewEntry, NewLot};
use crate::event::{Adjustment, Body, Event, Instant, Points};
use crate::facts;
use crate::limits;
use crate::outcome::{EntryState, EntryView};
use crate::rules::{
    self, Amount, Coverage, Earned, Failure, OnReturn, Plugin, PointAnswer, Recipient, Role,
};
use crate::shop::{Combine, Late, Shop};
use crate::store::OpenLot;
use crate::walk::{Step, StepOrigin, Walk};
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

/// Points that an event takes from what the customer has.
#[derive(Clone, Debug)]
pub struct Debit {
    pub kind: EntryKind,
    /// Above zero.
    pub points: Points,
    pub reason: String,
    pub by: Decider,
}

pub fn decide(walk: &mut Walk, step: &mut Step) {
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
    let mut awards = worth(asked, plugins, step);
    if walk.with.shop.file.policies.awards == Combine::Best {
        keep_best(&mut awards, plugins, step);
    }
    cap(&mut awards, walk.with.shop, step);
    let gone = walk.earned_by_the_gone(step);
    let awarded = awards.iter().map(|award| (&award.key, award.amount));
    let earned: Vec<_> = awarded
        .chain(gone.iter().map(|(key, amount)| (key, *amount)))
        .collect();
    let sum: Points = earned.iter().map(|(_, amount)| amount).sum();
    step.so_far.awards = earned
        .iter()
        .filter_map(|(key, amount)| as_earned(key, *amount))
        .collect();
    step.so_far.points = sum;
    step.so_far.balance_after = walk.fold.balance + sum;
    // A basket that is not paid yet shows what it would earn, and earns nothing.
    if !matches!(step.event.body, Body::Checkout(_)) {
        earn(walk, step, &earned, sum);
        step.awards = awards;
    }
    let event = step.event.clone();
    if let Body::Adjustment(adjustment) = &event.body {
        adjust(walk, step, &event, adjustment);
    }
}

/// What staff gave is a lot like any other, and what staff took is taken from the lots; neither
/// was earned, so no tier that counts what was earned is moved by it.
fn adjust(walk: &mut Walk, step: &mut Step, event: &Event, adjustment: &Adjustment) {
    let by = Decider::Staff(event.actor());
    walk.fold.balance += adjustment.points;
    step.so_far.balance_after = walk.fold.balance;
    if adjustment.points < 0 {
        step.debit = Some(Debit {
            kind: EntryKind::Adjustment,
            points: -adjustment.points,
            reason: adjustment.reason.clone(),
            by,
        });
        return;
    }
    step.awards.push(Award {
        by,
        key: LotKey {
            origin: event.position(),
            plugin: String::new(),
            kind: LotKind::Adjustment,
            reason: adjustment.reason.clone(),
            covers: Coverage::Whole,
            available_from: None,
            expires_at: adjustment.expires_at,
            on_return: OnReturn::Keep,
            ordinal: 0,
        },
        amount: adjustment.points,
        shares: Vec::new(),
    });
}

fn earn(walk: &mut Walk, step: &mut Step, earned: &[(&LotKey, Points)], sum: Points) {
    for (key, amount) in earned {
        if let Some(from) = key.available_from.filter(|from| *from > step.event.at) {
            *walk.fold.maturing.entry(from).or_default() += amount;
        }
    }
    walk.fold.balance += sum;
    walk.fold.earned += sum;
    if let Some(channel) = step.event.channel {
        walk.fold.earned_by_channel[channel as usize] += sum;
    }
    facts::count_earned(walk, step, sum);
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
            LotKind::Adjustment => return None,
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

/// Works out shares of the base and apportions every award to its lines.
fn worth(asked: Vec<Asked>, plugins: &[Plugin], step: &mut Step) -> Vec<Award> {
    let event = step.event.clone();
    let base: Vec<(Option<u32>, Points)> = asked
        .iter()
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
        if asked.to == Recipient::Referrer {
            step.note(format!(
                "{plugin}: nobody referred this customer, {amount} points were dropped"
            ));
            continue;
        }
        let mut key = LotKey {
            origin: event.position(),
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
        awards.push(Award {
            by: Decider::Plugin(asked.plugin as u32),
            shares: shares(&event, &key.covers, amount),
            key,
            amount,
        });
    }
    awards
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

/// The cap is taken from the last award backwards, so that base awards go last.
fn cap(awards: &mut Vec<Award>, shop: &Shop, step: &mut Step) {
    let Some(cap) = shop.file.caps.points_per_event else {
        return;
    };
    let sum: Points = awards.iter().map(|award| award.amount).sum();
    let mut over = sum - cap;
    if over <= 0 {
        return;
    }
    step.notes.push(format!(
        "points_per_event: {sum} points were capped to {cap}"
    ));
    awards.sort_by_key(|award| award.key.kind);
    for award in awards.iter_mut().rev() {
        let taken = over.min(award.amount);
        award.amount -= taken;
        award.shares = shares(&step.event, &award.key.covers, award.amount);
        over -= taken;
    }
    awards.retain(|award| award.amount != 0);
}

/// What the ledger writes.
pub struct Booked {
    pub lots: Vec<NewLot>,
    pub entries: Vec<NewEntry>,
    pub balance: Points,
    /// Points that a late event would have changed, where the policy only reports.
    pub reported: Option<Points>,
}

/// Holds the awards of the walk against the lots that its steps had before. What is new becomes a
/// lot with its entry; what differs becomes a correction, so that the ledger says what happened
/// and nothing in it ever changes.
pub fn book(
    awards: Vec<(StepOrigin, Award)>,
    old: Vec<(i64, LotKey, Points)>,
    balance: Points,
    plugins: &[Plugin],
    late: Late,
) -> Booked {
    let mut old: BTreeMap<LotKey, (i64, Points)> = old
        .into_iter()
        .map(|(id, key, earned)| (key, (id, earned)))
        .collect();
    let mut booked = Booked {
        lots: Vec::new(),
        entries: Vec::new(),
        balance,
        reported: None,
    };
    for (origin, award) in awards {
        let known = old.remove(&award.key);
        let amount = award.amount - known.map_or(0, |(_, earned)| earned);
        if amount == 0 {
            continue;
        }
        let kind = match award.key.kind {
            _ if origin.was_decided => EntryKind::Correction,
            LotKind::Base => EntryKind::Base,
            LotKind::Bonus => EntryKind::Bonus,
            LotKind::Adjustment => EntryKind::Adjustment,
        };
        if kind == EntryKind::Correction && !booked.may_correct(amount, late) {
            continue;
        }
        let lot = match known {
            Some((id, _)) => LotRef::Existing(id),
            None => {
                booked.lots.push(NewLot {
                    key: award.key.clone(),
                    journal: origin.journal,
                    by: award.by.clone(),
                    shares: award.shares,
                });
                LotRef::New(booked.lots.len() - 1)
            }
        };
        booked.enter(lot, kind, amount, &award.key, award.by, Some(&origin));
    }
    // What was earned before and is not earned any more. Of a plugin that is live no more nobody can
    // say that, so it stays.
    for (key, (id, earned)) in old {
        let Some(plugin) = plugins.iter().position(|it| it.name == key.plugin) else {
            continue;
        };
        if earned != 0 && booked.may_correct(-earned, late) {
            let by = Decider::Plugin(plugin as u32);
            booked.enter(
                LotRef::Existing(id),
                EntryKind::Correction,
                -earned,
                &key,
                by,
                None,
            );
        }
    }
    booked
}

impl Booked {
    fn may_correct(&mut self, amount: Points, late: Late) -> bool {
        let may = match late {
            Late::Correct => true,
            Late::InFavour => amount > 0,
            Late::Report => false,
        };
        if !may {
            *self.reported.get_or_insert(0) += amount;
        }
        may
    }

    fn enter(
        &mut self,
        lot: LotRef,
        kind: EntryKind,
        amount: Points,
        key: &LotKey,
        by: Decider,
        origin: Option<&StepOrigin>,
    ) {
        self.balance += amount;
        let event = origin.map(|origin| &origin.event);
        self.entries.push(NewEntry {
            lot: Some(lot),
            allocations: Vec::new(),
            kind,
            amount,
            balance_after: self.balance,
            reason: key.reason.clone(),
            by,
            occurred_at: key.origin.at,
            journal: origin.and_then(|origin| origin.journal),
            channel: event.and_then(|event| event.channel),
            location: event.and_then(|event| event.location.clone()),
            device: event.and_then(|event| event.device.clone()),
        });
    }

    /// Takes points from the lots: what expires first goes first, then what was earned first. What
    /// no lot can give, where the shop lets a balance fall below zero, is owed by nobody's lot.
    pub fn take(&mut self, debits: Vec<(StepOrigin, Debit)>, open: Vec<OpenLot>) {
        if debits.is_empty() {
            return;
        }
        let mut lots = self.after_corrections(open);
        for (origin, debit) in debits {
            let mut left = debit.points;
            let mut allocations = Vec::new();
            for (_, lot, remaining) in &mut lots {
                let taken = left.min(*remaining);
                if taken > 0 {
                    *remaining -= taken;
                    left -= taken;
                    allocations.push((*lot, taken));
                }
            }
            self.balance -= debit.points;
            let event = &origin.event;
            self.entries.push(NewEntry {
                lot: None,
                allocations,
                kind: debit.kind,
                amount: -debit.points,
                balance_after: self.balance,
                reason: debit.reason,
                by: debit.by,
                occurred_at: event.at,
                journal: origin.journal,
                channel: event.channel,
                location: event.location.clone(),
                device: event.device.clone(),
            });
        }
    }

    /// The lots in the order in which they are taken from, with what is left in each when the
    /// entries of this change are booked.
    fn after_corrections(&self, open: Vec<OpenLot>) -> Vec<(LotOrder, LotRef, Points)> {
        let booked = |lot: LotRef| -> Points {
            let entries = self.entries.iter().filter(|entry| entry.lot == Some(lot));
            entries.map(|entry| entry.amount).sum()
        };
        let order = |expires_at: Option<Instant>, earned_at, number| {
            (expires_at.is_none(), expires_at, earned_at, number)
        };
        let existing = open.into_iter().map(|lot| {
            let reference = LotRef::Existing(lot.id);
            let left = lot.remaining + booked(reference);
            (
                order(lot.expires_at, lot.earned_at, lot.id),
                reference,
                left,
            )
        });
        let new = self.lots.iter().enumerate().map(|(index, lot)| {
            let reference = LotRef::New(index);
            let place = order(lot.key.expires_at, lot.key.origin.at, i64::MAX);
            (place, reference, booked(reference))
        });
        let mut lots: Vec<_> = existing.chain(new).collect();
        lots.sort_by_key(|(order, ..)| *order);
        lots
    }
}

/// Whether it never expires, when it does, when it was earned, and its number.
type LotOrder = (bool, Option<Instant>, Instant, i64);

/// The entries as the answer shows them; the store fills in their numbers.
pub fn views(
    entries: &[NewEntry],
    plugins: &[Plugin],
    now: Instant,
    lots: &[NewLot],
) -> Vec<EntryView> {
    entries
        .iter()
        .map(|entry| {
            let available_from = match entry.lot {
                Some(LotRef::New(index)) => lots[index].key.available_from,
                Some(LotRef::Existing(_)) | None => None,
            };
            let (plugin, actor) = match &entry.by {
                Decider::Plugin(index) => (plugins.get(*index as usize), None),
                Decider::Staff(actor) => (None, Some(actor.clone())),
            };
            EntryView {
                entry: 0,
                amount: entry.amount,
                kind: entry.kind,
                state: if available_from.is_some_and(|from| from > now) {
                    EntryState::Pending
                } else {
                    EntryState::Final
                },
                balance_after: entry.balance_after,
                reason: entry.reason.clone(),
                plugin: plugin.map(|plugin| plugin.name.clone()),
                actor,
            }
        })
        .collect()
}
