//! The ledger against a bookkeeper who knows nothing of folds: plain lists, plain sums, one pass over
//! the events in the order in which they happened. The line is told the same events in any order.

mod standing;

use self::standing::Standing;
use crate::memory_store::Customer;
use crate::native_rules::award;
use crate::{Bench, event};
use proptest::prelude::*;
use serde_json::{Value, json};
use stampcard_pipeline::admit::Secret;
use stampcard_pipeline::allowance::Allowance;
use stampcard_pipeline::calendar;
use stampcard_pipeline::change::{CustomerId, LotKind};
use stampcard_pipeline::currency::Currency;
use stampcard_pipeline::event::{Event, Instant};
use stampcard_pipeline::fold::DAY_MS;
use stampcard_pipeline::redemption::id_of;
use stampcard_pipeline::refusal::Refusal;
use stampcard_pipeline::rules::{Amount, Input, Moment, OnReturn, PointAnswer};
use stampcard_pipeline::shop::{Beyond, CreditPolicy, OfReturns, OfflinePolicy, ShopFile, Span};
use std::collections::{BTreeMap, BTreeSet};

const HOUR_MS: i64 = 3_600_000;
const LASTS_DAYS: i64 = 90;

#[derive(Clone, Debug)]
struct Told {
    hour: i64,
    id: String,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    /// Pieces and price of each line, whether the payment is pending, and what of it is paid with store
    /// credit.
    Sale(Vec<(i64, i64)>, bool, Option<Tender>),
    /// Of a sale: line and pieces.
    Goods(usize, Vec<(usize, i64)>),
    /// Of a sale: money, the line that it is for, and how much of it is store credit from then on.
    Money(usize, i64, Option<usize>, i64),
    /// Of a sale: line and pieces; and pieces and price of each line that there is instead.
    Exchange(usize, (usize, i64), Vec<(i64, i64)>),
    Edit(usize, (usize, i64), Vec<(i64, i64)>),
    Void(usize),
    Paid(usize),
    Failed(usize),
    Adjust(i64, Option<i64>),
    /// The same in store credit.
    AdjustCredit(i64, Option<i64>),
    /// All of them, where no number is said.
    Forfeit(Option<i64>),
    /// Points that are set aside, and freed some hours later if nobody says anything.
    Reserve(i64),
    ReserveCredit(i64),
    /// Of a reservation: given, with a sale or without.
    Confirm(usize, Option<usize>),
    Cancel(usize),
    /// A second person agrees, or does not.
    Approve(usize),
    Deny(usize),
    /// Points that a till may redeem while it is not connected.
    Allow(i64),
    /// Of an allowance: how many it did redeem, with a sale.
    Offline(usize, i64, usize),
    /// Points that come over, and end.
    Import(i64, Option<i64>),
    /// A tier, and until when staff holds it; none gives it back to the rules.
    Place(Option<&'static str>, Option<i64>),
    /// A kind that moves no points, by its number.
    Other(usize),
}

/// What of a sale is paid with store credit, at most, and which reservation's code the till shows.
#[derive(Clone, Copy, Debug)]
struct Tender {
    amount: i64,
    of: Option<usize>,
}

/// How long refunded credit lasts.
const CREDIT_DAYS: i64 = 60;

/// How long points stay set aside.
const HOLD_HOURS: i64 = 48;
/// From so many points on a second person has to agree, and how long it waits for them.
const APPROVAL_FROM: i64 = 300;
const APPROVAL_HOURS: i64 = 72;
/// How long an allowance is good, and how long its points stay set aside.
const OFFLINE_HOURS: i64 = 100;
const SYNC_HOURS: i64 = 60;

/// The shop's rule: a point per dollar that lasts 90 days, 50 for 100 dollars, and 5 for coming, which
/// is not what an edit is.
fn rule(event: &Event, input: &Input) -> Result<PointAnswer, stampcard_pipeline::rules::Failure> {
    let mut answer = PointAnswer::default();
    answer.after.memory = standing::remember(event, input);
    let bought = event
        .basket()
        .filter(|_| event.kind != "checkout.started" && event.kind != "checkout.updated");
    let Some(sale) = bought else {
        return Ok(answer);
    };
    let mut base = award(Amount::Base(sale.total / 100), "a point per dollar");
    base.expires_at = Some(Moment::Hours(LASTS_DAYS as u32 * 24));
    let mut coming = award(Amount::Bonus(5), "for coming");
    coming.on_return = OnReturn::Keep;
    let mut awards = vec![base];
    if event.edits().is_none() {
        awards.push(coming);
    }
    if sale.total >= 10_000 {
        let mut large = award(Amount::Bonus(50), "100 dollars");
        large.on_return = OnReturn::WholeBelow(10_000);
        awards.push(large);
    }
    answer.awards = awards;
    Ok(answer)
}

// ---------------------------------------------------------------- the bookkeeper

#[derive(Clone, Debug)]
struct Lot {
    /// Hour, id of the event, and reason.
    name: (i64, String, String),
    earned: i64,
    left: i64,
    ends: Option<i64>,
    /// By line, after so many others; none for what staff gave.
    shares: Vec<i64>,
    after: usize,
    /// Lost by right, taken or left as a debt, and not used in time or forfeited.
    lost: i64,
    taken: i64,
    lapsed: i64,
}

#[derive(Default, Debug)]
struct Sold {
    lots: Vec<usize>,
    lines: Vec<(i64, i64)>,
    pieces: BTreeMap<usize, i64>,
    money: BTreeMap<usize, i64>,
    /// Money for nothing in particular, and of how many lines and which total.
    loose: Vec<(i64, usize, i64)>,
    refunded: i64,
    gone: bool,
    pending_until: Option<i64>,
    /// Points that were given for a part of it, with the ends that they would have had, the longest
    /// life first; and how many have come back.
    redeemed: Vec<(String, Vec<Option<i64>>, usize)>,
    /// All money that came back.
    paid_back: i64,
    /// Store credit with which it was paid, with the ends that it would have had.
    credit: Vec<Vec<Option<i64>>>,
}

/// What there is of one currency.
#[derive(Default, Debug)]
struct Column {
    lots: Vec<Lot>,
    owed: i64,
    debt: i64,
    keeps_debts: bool,
    /// By the place of the event: until when, and how many.
    reserved: BTreeMap<usize, (i64, i64)>,
}

#[derive(Default, Debug)]
struct Books {
    points: Column,
    credit: Column,
    sold: BTreeMap<usize, Sold>,
    standing: Standing,
}

impl Sold {
    fn total(&self) -> i64 {
        self.lines
            .iter()
            .map(|(pieces, price)| pieces * price)
            .sum()
    }

    /// Pieces of a line come back for their price.
    fn refund(&mut self, (line, pieces): (usize, i64)) {
        *self.pieces.entry(line).or_default() += pieces;
        self.refunded += pieces * self.lines[line].1;
        self.paid_back += pieces * self.lines[line].1;
    }

    fn loosen(&mut self, money: i64) {
        let (lines, total) = (self.lines.len(), self.total());
        match self.loose.last_mut().filter(|loose| loose.1 == lines) {
            Some(loose) => loose.0 += money,
            None => self.loose.push((money, lines, total)),
        }
    }

    fn is_gone(&self) -> bool {
        let all = (0..self.lines.len())
            .all(|line| self.pieces.get(&line).copied().unwrap_or(0) >= self.lines[line].0);
        self.gone || all || self.refunded >= self.total()
    }

    fn lost_of(&self, line: usize, whole: i64) -> i64 {
        if self.is_gone() {
            return whole;
        }
        let (pieces, price) = self.lines[line];
        let piece = |some: i64, all: i64| whole * some.min(all) / all;
        let lost = piece(self.pieces.get(&line).copied().unwrap_or(0), pieces)
            + piece(self.money.get(&line).copied().unwrap_or(0), pieces * price);
        let loose = self.loose.iter().filter(|(_, lines, _)| line < *lines);
        let loose: i64 = loose.map(|(money, _, total)| piece(*money, *total)).sum();
        (lost + loose).min(whole)
    }

    /// What of a number that belongs to the sale has come back with its goods.
    fn share(&self, whole: usize) -> usize {
        if self.is_gone() {
            return whole;
        }
        let goods = |line: usize| self.lines[line].0 * self.lines[line].1;
        let gone: i64 = (0..self.lines.len())
            .map(|line| self.lost_of(line, goods(line)))
            .sum();
        (whole as i64 * gone / self.total()) as usize
    }

    fn lost(&self, lot: &Lot) -> i64 {
        if self.gone {
            return lot.earned;
        }
        match lot.name.2.as_str() {
            "for coming" => 0,
            "100 dollars" => {
                let left: i64 = (0..self.lines.len())
                    .map(|line| {
                        let net = self.lines[line].0 * self.lines[line].1;
                        net - self.lost_of(line, net)
                    })
                    .sum();
                if left < 10_000 { lot.earned } else { 0 }
            }
            _ => (0..lot.shares.len())
                .map(|line| self.lost_of(lot.after + line, lot.shares[line]))
                .sum(),
        }
    }
}

impl Column {
    fn balance(&self) -> i64 {
        self.lots.iter().map(|lot| lot.left).sum::<i64>() - self.owed
    }

    fn give(
        &mut self,
        told: &Told,
        reason: &str,
        points: i64,
        ends: Option<i64>,
        shares: Vec<i64>,
    ) -> usize {
        let paying = points.min(self.owed);
        self.owed -= paying;
        self.lots.push(Lot {
            name: (told.hour, told.id.clone(), reason.into()),
            earned: points,
            left: points - paying,
            ends,
            shares,
            after: 0,
            lost: 0,
            taken: 0,
            lapsed: 0,
        });
        self.lots.len() - 1
    }

    fn reserved(&self) -> i64 {
        self.reserved.values().map(|(_, points)| points).sum()
    }

    /// What of it is not there, where the shop keeps debts.
    fn debt_of(&mut self, wanted: i64) -> i64 {
        let there = (self.balance() - self.reserved()).max(0);
        let debt = match self.keeps_debts {
            true => (wanted - there).max(0),
            false => 0,
        };
        self.debt += debt;
        debt
    }

    /// Pays for debts with what came in.
    fn recover(&mut self, came_in: i64) {
        let recovered = self.debt.min(came_in);
        self.debt -= recovered;
        self.take(recovered);
    }

    fn take(&mut self, points: i64) {
        let order = self.order();
        self.take_in(order, points);
    }

    /// The lots in the order in which they are taken from.
    fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.lots.len()).collect();
        order.sort_by_key(|at| {
            let lot = &self.lots[*at];
            // In the order of the contract's kinds: what is earned as base goes before a bonus.
            let rank = ["a point per dollar", "100 dollars", "for coming"]
                .iter()
                .position(|reason| *reason == lot.name.2);
            (
                lot.ends.is_none(),
                lot.ends,
                lot.name.0,
                lot.name.1.clone(),
                rank,
            )
        });
        order
    }

    /// Says when what was taken would have ended, point by point.
    fn take_in(&mut self, order: Vec<usize>, points: i64) -> Vec<Option<i64>> {
        let mut ends = Vec::new();
        let mut left = points;
        for at in order {
            let taken = left.min(self.lots[at].left);
            self.lots[at].left -= taken;
            left -= taken;
            ends.extend(vec![self.lots[at].ends; taken as usize]);
        }
        self.owed += left;
        ends.extend(vec![None; left as usize]);
        ends
    }

    /// Points go for good, as far as they are there and not set aside.
    fn forfeit(&mut self, points: Option<i64>) {
        let there = (self.balance() - self.reserved()).max(0);
        let mut left = points.unwrap_or(there).min(there);
        for at in self.order() {
            let lot = &mut self.lots[at];
            let gone = left.min(lot.left);
            lot.left -= gone;
            lot.lapsed += gone;
            left -= gone;
        }
    }

    /// What ends by now, but for as many points as are set aside: the first that can be spent.
    fn expire(&mut self, hour: i64, pending: &BTreeSet<usize>) {
        let mut spared = self.reserved();
        for at in self.order() {
            if self.lots[at].ends.is_none_or(|ends| ends > hour) {
                continue;
            }
            let kept = match pending.contains(&at) {
                true => 0,
                false => spared.min(self.lots[at].left),
            };
            spared -= kept;
            let lot = &mut self.lots[at];
            lot.lapsed += lot.left - kept;
            lot.left = kept;
        }
    }
}

impl Books {
    /// Lots of sales whose payment is pending.
    fn pending(&self) -> BTreeSet<usize> {
        let sold = self.sold.values().filter(|it| it.pending_until.is_some());
        sold.flat_map(|sold| sold.lots.iter().copied()).collect()
    }

    fn expire(&mut self, hour: i64) {
        let pending = self.pending();
        self.points.expire(hour, &pending);
        self.credit.expire(hour, &BTreeSet::new());
    }

    /// What lines earn, and what pays for a debt of it.
    fn earn(&mut self, told: &Told, lines: &[(i64, i64)], comes: bool) -> Vec<usize> {
        let weights: Vec<i64> = lines.iter().map(|(pieces, price)| pieces * price).collect();
        let total: i64 = weights.iter().sum();
        let mut given = 0;
        let mut lots = Vec::new();
        let ends = Some(told.hour + LASTS_DAYS * 24);
        for (reason, points, ends) in [
            ("a point per dollar", total / 100, ends),
            ("for coming", if comes { 5 } else { 0 }, None),
            ("100 dollars", if total >= 10_000 { 50 } else { 0 }, None),
        ] {
            if points > 0 {
                given += points;
                let shares = largest_remainder(points, &weights);
                lots.push(self.points.give(told, reason, points, ends, shares));
            }
        }
        self.points.recover(given);
        lots
    }

    /// Hour by hour, because what is freed may end in the same one.
    fn until(&mut self, hour: i64) {
        let columns = [&self.points, &self.credit];
        let holds = columns.iter().flat_map(|it| it.reserved.values());
        let holds = holds.map(|(until, _)| *until);
        let ends = columns.iter().flat_map(|it| &it.lots);
        let ends = ends.filter_map(|lot| lot.ends);
        let finals = self.sold.values().filter_map(|sold| sold.pending_until);
        let mut hours: Vec<i64> = holds
            .chain(ends)
            .chain(finals)
            .filter(|it| *it <= hour)
            .collect();
        hours.sort_unstable();
        for hour in hours {
            for column in [&mut self.points, &mut self.credit] {
                column.reserved.retain(|_, (until, _)| *until > hour);
            }
            self.expire(hour);
            for sold in self.sold.values_mut() {
                if sold.pending_until.is_some_and(|until| until <= hour) {
                    sold.pending_until = None;
                }
            }
        }
    }

    fn confirm(&mut self, reservation: usize, sale: Option<usize>) {
        let Some((_, points)) = self.points.reserved.remove(&reservation) else {
            return;
        };
        let pending = self.pending();
        let mut order = self.points.order();
        order.sort_by_key(|at| pending.contains(at));
        let mut ends = self.points.take_in(order, points);
        ends.sort_by_key(|ends| ends.map(std::cmp::Reverse));
        if let Some(sold) = sale.and_then(|sale| self.sold.get_mut(&sale)) {
            // What had come back before was not paid for with these.
            let back = sold.share(ends.len());
            sold.redeemed.push((format!("{reservation}"), ends, back));
        }
    }

    /// A sale is paid with store credit: what was set aside for it first, and the rest of that is free.
    fn pay(&mut self, tender: Tender, sale: usize) {
        let held = tender.of.and_then(|of| self.credit.reserved.remove(&of));
        let set_aside = held.map_or(0, |(_, amount)| amount.min(tender.amount));
        for amount in [set_aside, tender.amount - set_aside] {
            if amount == 0 {
                continue;
            }
            let debt = self.credit.debt_of(amount);
            let order = self.credit.order();
            let mut ends = self.credit.take_in(order, amount - debt);
            ends.extend(vec![None; debt as usize]);
            ends.sort_by_key(|ends| ends.map(std::cmp::Reverse));
            self.sold.get_mut(&sale).unwrap().credit.push(ends);
        }
    }

    fn give_credit(&mut self, told: &Told, reason: &str, amount: i64, ends: Option<i64>) {
        self.credit.give(told, reason, amount, ends, Vec::new());
        self.credit.recover(amount);
    }

    /// What a till gave while it was not connected: what the allowance does not cover is taken from what
    /// is there, and the rest is owed.
    fn offline(&mut self, index: usize, of: usize, points: i64, sale: usize) {
        let pending = self.pending();
        let column = &mut self.points;
        let (_, allowed) = column.reserved.remove(&of).unwrap();
        let covered = points.min(allowed);
        let held: i64 = pending.iter().map(|at| column.lots[*at].left).sum();
        let there = (column.balance() - column.reserved() - held - covered).max(0);
        let debt = (points - covered - there).max(0);
        column.debt += debt;
        let mut order = column.order();
        order.sort_by_key(|at| pending.contains(at));
        let mut ends = column.take_in(order, points - debt);
        ends.extend(vec![None; debt as usize]);
        ends.sort_by_key(|ends| ends.map(std::cmp::Reverse));
        if let Some(sold) = self.sold.get_mut(&sale) {
            let back = sold.share(ends.len());
            sold.redeemed.push((format!("{index}"), ends, back));
        }
    }

    /// Points for as much of a sale as has come back.
    fn give_back(&mut self, told: &Told, sale: usize) {
        let sold = self.sold.get_mut(&sale).unwrap();
        let shares: Vec<usize> = sold
            .redeemed
            .iter()
            .map(|(_, ends, _)| sold.share(ends.len()))
            .collect();
        let mut given: BTreeMap<(String, Option<i64>), i64> = BTreeMap::new();
        for ((name, ends, back), now) in sold.redeemed.iter_mut().zip(shares) {
            for end in &ends[*back..now.max(*back)] {
                *given.entry((name.clone(), *end)).or_default() += 1;
            }
            *back = now.max(*back);
        }
        for ((name, ends), points) in given {
            if ends.is_none_or(|ends| ends > told.hour) {
                let name = format!("of {name}, {ends:?}");
                self.points.give(told, &name, points, ends, Vec::new());
            }
        }
    }

    /// A sale is gone: the credit that paid for it comes back, as far as money has not.
    fn undo(&mut self, told: &Told, sale: usize) {
        let sold = self.sold.get_mut(&sale).unwrap();
        sold.gone = true;
        let mut left = (sold.total() - sold.paid_back).max(0);
        sold.paid_back = sold.paid_back.max(sold.total());
        let mut given: BTreeMap<(usize, Option<i64>), i64> = BTreeMap::new();
        for (part, ends) in std::mem::take(&mut sold.credit).into_iter().enumerate() {
            for end in ends.into_iter().take(left as usize) {
                left -= 1;
                *given.entry((part, end)).or_default() += 1;
            }
        }
        self.take_back(sale);
        self.give_back(told, sale);
        let mut came_in = 0;
        for ((part, ends), amount) in given {
            if ends.is_none_or(|ends| ends > told.hour) {
                came_in += amount;
                let name = format!("part {part}, {ends:?}");
                self.credit.give(told, &name, amount, ends, Vec::new());
            }
        }
        self.credit.recover(came_in);
    }

    /// Takes what the lots of a sale have lost since it was looked at last.
    fn take_back(&mut self, sale: usize) {
        for at in self.sold[&sale].lots.clone() {
            let lost = self.sold[&sale].lost(&self.points.lots[at]);
            let lot = &mut self.points.lots[at];
            let now = lost - lot.lost;
            if now <= 0 {
                continue;
            }
            let there = lot.left.min(now);
            let spared = (lot.lapsed - (lot.lost - lot.taken)).max(0);
            let points = there + (now - there - spared).max(0);
            lot.lost = lost;
            lot.taken += points;
            let debt = self.points.debt_of(points);
            let from_it = self.points.lots[at].left.min(points - debt);
            self.points.lots[at].left -= from_it;
            self.points.take(points - debt - from_it);
        }
    }

    fn book(&mut self, told: &Told, index: usize) {
        self.until(told.hour);
        self.standing.until(told.hour);
        match &told.what {
            What::Sale(lines, pending, tender) => {
                self.standing.buy();
                let sold = Sold {
                    lots: self.earn(told, lines, true),
                    lines: lines.clone(),
                    pending_until: pending.then_some(told.hour + 24),
                    ..Sold::default()
                };
                self.sold.insert(index, sold);
                if let Some(tender) = tender {
                    self.pay(*tender, index);
                    self.expire(told.hour);
                }
            }
            What::Exchange(sale, back, lines) => {
                self.standing.buy();
                self.sold.get_mut(sale).unwrap().refund(*back);
                self.take_back(*sale);
                let sold = Sold {
                    lots: self.earn(told, lines, true),
                    lines: lines.clone(),
                    ..Sold::default()
                };
                self.sold.insert(index, sold);
                self.give_back(told, *sale);
            }
            What::Edit(sale, back, lines) => {
                let sold = self.sold.get_mut(sale).unwrap();
                sold.refund(*back);
                let after = sold.lines.len();
                sold.lines.extend(lines);
                self.take_back(*sale);
                let lots = self.earn(told, lines, false);
                for at in &lots {
                    self.points.lots[*at].after = after;
                }
                self.sold.get_mut(sale).unwrap().lots.extend(lots);
                self.give_back(told, *sale);
            }
            What::Goods(sale, lines) => {
                let sold = self.sold.get_mut(sale).unwrap();
                for (line, pieces) in lines {
                    *sold.pieces.entry(*line).or_default() += pieces;
                }
                self.take_back(*sale);
                self.give_back(told, *sale);
            }
            What::Money(sale, amount, line, credit) => {
                let sold = self.sold.get_mut(sale).unwrap();
                sold.refunded += amount;
                sold.paid_back += amount;
                match line {
                    Some(line) => *sold.money.entry(*line).or_default() += amount,
                    None => sold.loosen(*amount),
                }
                self.take_back(*sale);
                self.give_back(told, *sale);
                if *credit > 0 {
                    let ends = Some(told.hour + CREDIT_DAYS * 24);
                    self.give_credit(told, "refunded", *credit, ends);
                }
            }
            What::Void(sale) => self.undo(told, *sale),
            What::Paid(sale) => self.sold.get_mut(sale).unwrap().pending_until = None,
            What::Failed(sale) => {
                let sold = self.sold.get_mut(sale).unwrap();
                if sold.pending_until.take().is_some() {
                    self.undo(told, *sale);
                }
            }
            What::Adjust(points, ends) | What::Import(points, ends) if *points > 0 => {
                let points = *points;
                self.points.give(told, "because", points, *ends, Vec::new());
            }
            What::Adjust(points, _) | What::Import(points, _) => self.points.take(-points),
            What::Forfeit(points) => self.points.forfeit(*points),
            What::AdjustCredit(amount, ends) if *amount > 0 => {
                let ends = ends.or(Some(told.hour + CREDIT_DAYS * 24));
                self.give_credit(told, "because", *amount, ends);
            }
            What::AdjustCredit(amount, _) => self.credit.take(-amount),
            What::Reserve(points) => {
                let hours = match *points >= APPROVAL_FROM {
                    true => APPROVAL_HOURS,
                    false => HOLD_HOURS,
                };
                let held = (told.hour + hours, *points);
                self.points.reserved.insert(index, held);
            }
            What::ReserveCredit(amount) => {
                let held = (told.hour + HOLD_HOURS, *amount);
                self.credit.reserved.insert(index, held);
            }
            What::Allow(points) => {
                let until = told.hour + OFFLINE_HOURS + SYNC_HOURS;
                self.points.reserved.insert(index, (until, *points));
            }
            What::Offline(of, points, sale) => {
                self.offline(index, *of, *points, *sale);
                self.expire(told.hour);
            }
            What::Approve(of) => {
                self.points.reserved.get_mut(of).unwrap().0 = told.hour + HOLD_HOURS;
            }
            What::Confirm(of, sale) => {
                self.confirm(*of, *sale);
                self.expire(told.hour);
            }
            What::Cancel(of) | What::Deny(of) => {
                self.points.reserved.remove(of);
                self.credit.reserved.remove(of);
                self.expire(told.hour);
            }
            What::Place(tier, until) => self.standing.place(*tier, *until, told.hour),
            What::Other(_) => {}
        }
        self.standing.ask(told, kind_of(&told.what));
    }
}

fn kind_of(what: &What) -> &'static str {
    match what {
        What::Sale(..) => "sale.completed",
        What::Exchange(..) => "exchange.completed",
        What::Edit(..) => "order.edited",
        What::Goods(..) | What::Money(..) => "return.completed",
        What::Void(_) => "sale.voided",
        What::Paid(_) => "payment.settled",
        What::Failed(_) => "payment.failed",
        What::Adjust(..) => "points.adjusted",
        What::Forfeit(_) => "points.forfeited",
        What::AdjustCredit(..) => "credit.adjusted",
        What::Import(..) => "points.imported",
        What::Place(..) => "tier.overridden",
        What::Reserve(_) | What::ReserveCredit(_) => "redemption.reserved",
        What::Confirm(..) => "redemption.confirmed",
        What::Cancel(_) => "redemption.cancelled",
        What::Approve(_) => "redemption.approved",
        What::Deny(_) => "redemption.denied",
        What::Allow(_) => "redemption.allowed",
        What::Offline(..) => "redemption.offline",
        What::Other(number) => standing::other(*number).0,
    }
}

fn largest_remainder(amount: i64, weights: &[i64]) -> Vec<i64> {
    let all: i64 = weights.iter().sum();
    let mut parts: Vec<i64> = weights.iter().map(|weight| amount * weight / all).collect();
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by_key(|at| (-(amount * weights[*at] % all), *at));
    for at in order
        .into_iter()
        .take((amount - parts.iter().sum::<i64>()) as usize)
    {
        parts[at] += 1;
    }
    parts
}

// ---------------------------------------------------------------- the same, told to the line

fn time(hour: i64) -> String {
    let start = calendar::parse("2024-01-01T00:00:00Z").unwrap().0;
    calendar::text(Instant(start + hour * HOUR_MS))
}

fn redemption(of: usize, all: &[Told]) -> String {
    id_of("till-1", &all[of].id, &Secret([7; 32]))
}

/// The text that the till was given.
fn allowance(of: usize, all: &[Told]) -> String {
    let What::Allow(points) = all[of].what else {
        panic!("{:?} allows nothing", all[of].what);
    };
    let start = calendar::parse("2024-01-01T00:00:00Z").unwrap().0;
    let until = Instant(start + (all[of].hour + OFFLINE_HOURS) * HOUR_MS);
    let allowance = Allowance {
        redemption: redemption(of, all),
        customer: CustomerId("cus_whoever".into()),
        points,
        until,
    };
    allowance.sign(&Secret([7; 32]))
}

fn as_event(told: &Told, all: &[Told], codes: &BTreeMap<usize, String>) -> Value {
    let of_sale = |sale: usize| json!({"source": "till-1", "id": all[sale].id});
    let refund = |sale: usize, amount: i64, lines: Value| json!({"sale": of_sale(sale), "channel": "online", "currency": "USD", "amount": amount, "lines": lines});
    let basket = |lines: &[(i64, i64)]| -> (Vec<Value>, i64) {
        let line = |(pieces, price): &(i64, i64)| json!({"sku": "A", "quantity": pieces, "unit_price": price});
        let total = lines.iter().map(|(pieces, price)| pieces * price).sum();
        (lines.iter().map(line).collect(), total)
    };
    let back = |sale: usize, (line, pieces): (usize, i64)| {
        let price = match &all[sale].what {
            What::Sale(lines, ..) | What::Exchange(_, _, lines) => lines[line].1,
            other => panic!("{other:?} sells nothing"),
        };
        (
            json!([{"line": line + 1, "quantity": pieces}]),
            pieces * price,
        )
    };
    let mut data = match &told.what {
        What::Sale(lines, pending, tender) => {
            let (lines, total) = basket(lines);
            let state = if *pending { "pending" } else { "paid" };
            let mut data = json!({"channel": "online", "currency": "USD", "lines": lines, "total": total, "payment_state": state});
            if let Some(Tender { amount, of }) = tender {
                let code = of.and_then(|of| codes.get(&of));
                data["tenders"] = json!([
                    {"kind": "store_credit", "amount": amount, "code": code},
                    {"kind": "card", "amount": total - amount},
                ]);
            }
            data
        }
        What::Exchange(sale, goods, lines) => {
            let ((returned, amount), (lines, total)) = (back(*sale, *goods), basket(lines));
            json!({"sale": of_sale(*sale), "channel": "online", "currency": "USD", "returned": returned, "amount": amount, "lines": lines, "total": total})
        }
        What::Edit(sale, goods, lines) => {
            let ((removed, amount), (added, total)) = (back(*sale, *goods), basket(lines));
            json!({"sale": of_sale(*sale), "currency": "USD", "removed": removed, "amount": amount, "added": added, "total": total})
        }
        What::Goods(sale, lines) => {
            let lines = lines
                .iter()
                .map(|(line, pieces)| json!({"line": line + 1, "quantity": pieces}))
                .collect();
            refund(*sale, 0, lines)
        }
        What::Money(sale, amount, line, credit) => {
            let lines = line.map(|line| json!({"line": line + 1, "amount": amount}));
            let lines: Vec<Value> = lines.into_iter().collect();
            let mut data = refund(*sale, *amount, lines.into());
            if credit == amount {
                data["refund_to"] = "store_credit".into();
            } else if *credit > 0 {
                data["refunds"] = json!([
                    {"to": "store_credit", "amount": credit},
                    {"to": "original", "amount": amount - credit},
                ]);
            }
            data
        }
        What::Void(sale) | What::Paid(sale) | What::Failed(sale) => {
            json!({"sale": of_sale(*sale)})
        }
        What::Adjust(points, ends) => {
            json!({"points": points, "reason": "because", "expires_at": ends.map(time)})
        }
        What::Forfeit(points) => json!({"points": points, "reason": "because"}),
        What::AdjustCredit(amount, ends) => {
            json!({"amount": amount, "reason": "because", "expires_at": ends.map(time)})
        }
        What::ReserveCredit(amount) => {
            json!({"currency": "store_credit", "amount": amount, "channel": "online"})
        }
        What::Import(points, ends) => {
            json!({"lots": [{"points": points, "expires_at": ends.map(time)}], "reason": "because"})
        }
        What::Place(tier, until) => {
            json!({"tier": tier, "until": until.map(time), "reason": "because"})
        }
        What::Reserve(points) | What::Allow(points) => {
            json!({"points": points, "channel": "online"})
        }
        What::Offline(of, points, sale) => {
            let allowance = allowance(*of, all);
            json!({"allowance": allowance, "points": points, "channel": "online", "sale": of_sale(*sale)})
        }
        What::Confirm(of, sale) => {
            json!({"redemption": redemption(*of, all), "sale": sale.map(of_sale)})
        }
        What::Cancel(of) => json!({"redemption": redemption(*of, all)}),
        What::Approve(of) | What::Deny(of) => {
            json!({"redemption": redemption(*of, all), "actor": "staff-9"})
        }
        What::Other(number) => standing::other(*number).1,
    };
    let names_ana = matches!(
        told.what,
        What::Sale(..)
            | What::Adjust(..)
            | What::AdjustCredit(..)
            | What::Forfeit(_)
            | What::Import(..)
            | What::Place(..)
            | What::Reserve(_)
            | What::ReserveCredit(_)
            | What::Allow(_)
            | What::Other(_)
    );
    if names_ana {
        data["customer"] = json!({"email": "ana@example.com"});
    }
    let kind = kind_of(&told.what);
    event(&told.id, kind, &time(told.hour), data)
}

/// A sale: its hour, pieces and price of each line, and whether its payment is pending.
type Sale = (i64, Vec<(i64, i64)>, bool);

/// What happens to sales, and what is given for them: which sale, how many hours later, what, and a number to vary it.
type Act = (prop::sample::Index, i64, u8, i64);

fn history(sales: &[Sale], acts: &[Act]) -> Vec<Told> {
    let mut all: Vec<Told> = sales
        .iter()
        .enumerate()
        .map(|(index, (hour, lines, pending))| Told {
            hour: *hour,
            id: format!("s{index:02}"),
            what: What::Sale(lines.clone(), *pending, None),
        })
        .collect();
    // What can come back: sales, and what was taken in exchange.
    let mut sold: Vec<usize> = (0..sales.len()).collect();
    for (index, (sale, after, what, number)) in acts.iter().enumerate() {
        let sale = sold[sale.index(sold.len())];
        let (hour, lines) = match &all[sale].what {
            What::Sale(lines, ..) | What::Exchange(_, _, lines) => (all[sale].hour, lines.clone()),
            other => panic!("{other:?} sells nothing"),
        };
        let line = (*number as usize) % lines.len();
        let hour = hour + 1 + after;
        let some = (line, 1 + number % lines[line].0);
        let instead = vec![(1 + number % 3, 40 + 37 * number), (1, 900 + number)];
        let what = match what {
            0 | 1 => What::Goods(sale, vec![some]),
            2 => What::Goods(
                sale,
                lines
                    .iter()
                    .enumerate()
                    .map(|(at, it)| (at, it.0))
                    .collect(),
            ),
            3 => What::Money(sale, *number, None, *number / 2),
            4 => What::Money(sale, *number, Some(line), *number),
            5 => What::Void(sale),
            6 => What::Failed(sale),
            7 => What::Paid(sale),
            8 => What::Adjust(*number, Some(hour + 1 + number)),
            9 => What::Adjust(-number, None),
            10 => What::Exchange(sale, some, instead),
            11 => What::Edit(sale, some, instead[..(*number as usize) % 3].to_vec()),
            12 => {
                let tier = [None, Some("silver"), Some("gold")][(*number as usize) % 3];
                let until = (tier.is_some() && number % 2 == 0).then_some(hour + number);
                What::Place(tier, until)
            }
            13 => What::Import(*number, (number % 2 == 0).then_some(hour + 1 + number)),
            14 | 15 => What::Other(*number as usize),
            16 => What::AdjustCredit(*number, (number % 2 == 0).then_some(hour + 1 + number)),
            17 => What::AdjustCredit(-1 - number / 4, None),
            18 => What::ReserveCredit(*number / 3 + 1),
            19 | 20 => {
                let (amount, of) = (50 + *number / 2, None);
                let tender = Tender { amount, of };
                What::Sale(vec![(1, 900 + number)], number % 3 == 0, Some(tender))
            }
            21 => What::Forfeit((number % 3 > 0).then_some(1 + number / 2)),
            22 => What::Allow(1 + number % (APPROVAL_FROM - 1)),
            _ => What::Reserve(*number),
        };
        if matches!(what, What::Exchange(..) | What::Sale(..)) {
            sold.push(all.len());
        }
        all.push(Told {
            hour,
            id: format!("t{index:02}"),
            what,
        });
        let of = all.len() - 1;
        if let What::ReserveCredit(held) = all[of].what {
            // The basket needs less than was set aside, or more.
            let amount = 1 + held * (1 + number % 3) / 2;
            let of_it = Some(of);
            let what = match number % 4 {
                0 => What::Cancel(of),
                _ => What::Sale(vec![(1, 900)], false, Some(Tender { amount, of: of_it })),
            };
            if let What::Sale(..) = what {
                sold.push(all.len());
            }
            all.push(Told {
                hour: hour + number % 60,
                id: format!("u{index:02}"),
                what,
            });
        }
        let begun = all[of].what.clone();
        let mut then = |letter, after, what| {
            all.push(Told {
                hour: hour + after,
                id: format!("{letter}{index:02}"),
                what,
            });
        };
        // Somebody answers later than they are asked.
        let after = 1 + number % 60;
        let points = match begun {
            What::Allow(points) => {
                match number % 5 {
                    0 => then('v', after, What::Cancel(of)),
                    // Often less than was allowed, and sometimes more.
                    _ => then(
                        'v',
                        after,
                        What::Offline(of, 1 + points * (number % 7) / 5, sale),
                    ),
                }
                continue;
            }
            What::Reserve(points) => points,
            _ => continue,
        };
        if points >= APPROVAL_FROM {
            match number % 5 {
                0 => then('u', after, What::Deny(of)),
                _ => then('u', after, What::Approve(of)),
            }
        }
        let after = after + number % 40;
        match number % 4 {
            0 => then('v', after, What::Cancel(of)),
            1 => then('v', after, What::Confirm(of, None)),
            _ => then('v', after, What::Confirm(of, Some(sale))),
        }
    }
    all
}

fn shop(keeps_debts: bool) -> Bench {
    let mut bench = Bench::with(|file: &mut ShopFile| {
        // The bookkeeper's days have 24 hours.
        file.time_zone = "Etc/UTC".into();
        file.policies.late_window_days = 1_000;
        file.policies.adjust_below_zero = true;
        file.redemption.hold_minutes = HOLD_HOURS as u32 * 60;
        file.store_credit = Some(CreditPolicy {
            expires_after: Some(Span::Days(CREDIT_DAYS as u32)),
            ..CreditPolicy::default()
        });
        file.redemption.approval_from = Some(APPROVAL_FROM);
        file.redemption.approval_hours = APPROVAL_HOURS as u32;
        file.redemption.offline = OfflinePolicy {
            points: APPROVAL_FROM - 1,
            minutes: OFFLINE_HOURS as u32 * 60,
            sync_hours: SYNC_HOURS as u32,
            beyond: Beyond::Debt,
        };
        if keeps_debts {
            file.policies.returns = OfReturns::Debt;
        }
    });
    bench.rules.points = Box::new(rule);
    bench.rules.tier = Box::new(standing::tier_rule);
    let made = json!({"customer": {"email": "ana@example.com"}});
    let made = event("0", "customer.created", "2023-12-31T00:00:00Z", made);
    bench.tell(&made).unwrap();
    bench
}

/// The lots by name: earned, and left.
fn lots(customer: &Customer) -> BTreeMap<(String, String), (i64, i64)> {
    let lots = customer.lots.iter().filter(|(_, (_, earned))| *earned != 0);
    let lots = lots.filter(|(key, _)| key.currency.is_points() && key.kind != LotKind::GivenBack);
    lots.map(|(key, (id, earned))| {
        let paid = customer.paid.iter().filter(|paid| paid.lot == *id);
        let left = earned - paid.map(|paid| paid.points).sum::<i64>();
        ((key.origin.id.clone(), key.reason.clone()), (*earned, left))
    })
    .collect()
}

/// Lots of points that came back with goods, or all of store credit: by what event, when they end, earned,
/// and left.
fn lots_by_end(customer: &Customer, currency: Currency) -> Vec<(String, Option<i64>, i64, i64)> {
    let lots = customer.lots.iter().filter(|(_, (_, earned))| *earned != 0);
    let lots = lots.filter(|(key, _)| {
        key.currency == currency && (!currency.is_points() || key.kind == LotKind::GivenBack)
    });
    let mut lots: Vec<_> = lots
        .map(|(key, (id, earned))| {
            let paid = customer.paid.iter().filter(|paid| paid.lot == *id);
            let left = earned - paid.map(|paid| paid.points).sum::<i64>();
            let ends = key.expires_at.map(|at| at.0);
            (key.origin.id.clone(), ends, *earned, left)
        })
        .collect();
    lots.sort();
    lots
}

/// How many random histories are tried: enough for the gate, more in the soak.
fn tried() -> u32 {
    let given = std::env::var("STAMPCARD_LEDGERS").ok();
    given.and_then(|count| count.parse().ok()).unwrap_or(200)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: tried(), failure_persistence: None, max_shrink_iters: 3_000, ..ProptestConfig::default() })]

    #[test]
    fn the_ledger_is_what_a_bookkeeper_would_write_whatever_the_order_of_arrival(
        sales in prop::collection::vec((0i64..200 * 24, prop::collection::vec((1i64..5, 50i64..9_000), 1..4), any::<bool>()), 1..12),
        acts in prop::collection::vec((any::<prop::sample::Index>(), 0i64..120 * 24, 0u8..27, 1i64..400), 0..24),
        shuffle in prop::collection::vec(any::<u32>(), 96),
        clocks in prop::collection::vec(prop::option::weighted(0.2, 0i64..400 * 24), 96),
        keeps_debts in any::<bool>(),
    ) {
        let all = history(&sales, &acts);
        let mut sorted: Vec<usize> = (0..all.len()).collect();
        sorted.sort_by_key(|at| (all[*at].hour, all[*at].id.clone()));
        let bench = shop(keeps_debts);
        let mut order: Vec<usize> = (0..all.len()).collect();
        order.sort_by_key(|at| shuffle[*at]);
        // Nobody says what becomes of what they have not been answered yet.
        for (at, told) in all.iter().enumerate() {
            let of = match told.what {
                What::Confirm(of, _) | What::Cancel(of) | What::Approve(of) | What::Deny(of) | What::Offline(of, ..) => Some(of),
                What::Sale(.., Some(Tender { of, .. })) => of,
                _ => None,
            };
            if let Some(of) = of {
                let place = |event: usize| order.iter().position(|it| *it == event).unwrap();
                let (first, then) = (place(of), place(at));
                if then < first {
                    order.swap(first, then);
                }
            }
        }
        let start = calendar::parse("2024-01-01T00:00:00Z").unwrap().0;
        let mut refused = BTreeSet::new();
        let mut codes = BTreeMap::new();
        let arrivals = order;
        for (turn, at) in arrivals.iter().copied().enumerate() {
            match bench.tell(&as_event(&all[at], &all, &codes)) {
                Ok(outcome) => {
                    let code = outcome.redemptions.first().map(|it| it.code.clone());
                    codes.extend(code.map(|code| (at, code)));
                }
                // What cannot be given is refused by what is there when it is asked for.
                Err(Refusal::NotNow { .. } | Refusal::Invalid { code: "unknown-redemption", .. }) => {
                    refused.insert(at);
                }
                Err(refusal) => prop_assert!(false, "{refusal}"),
            }
            if let Some(hour) = clocks[turn] {
                bench.clock(Instant(start + hour * HOUR_MS));
            }
        }
        bench.clock(Instant(start + 1_500 * DAY_MS));

        // The story in the order in which it happened, for whoever has to find out why it fails.
        let story: Vec<String> = sorted
            .iter()
            .map(|at| {
                let Told { hour, id, what } = &all[*at];
                let arrival = arrivals.iter().position(|it| it == at).unwrap();
                let fate = if refused.contains(at) { ", refused" } else { "" };
                format!("hour {hour}: {at} {id} {what:?}, arrival {arrival}{fate}, then the clock {:?}", clocks[arrival])
            })
            .collect();
        let story = story.join("\n");
        let mut books = Books::default();
        (books.points.keeps_debts, books.credit.keeps_debts) = (keeps_debts, keeps_debts);
        books.standing.remembered = Some(standing::chain(None, "0", "customer.created"));
        for at in sorted.iter().filter(|at| !refused.contains(*at)) {
            books.book(&all[*at], *at);
        }
        books.until(i64::MAX / 2);
        books.standing.until(i64::MAX / 2);

        bench.store.only_customer(|customer| {
            crate::order_of_arrival::check_lots(customer)?;
            let booked: BTreeMap<_, _> = books
                .points
                .lots
                .iter()
                .filter(|lot| !lot.name.2.starts_with("of "))
                .map(|lot| ((lot.name.1.clone(), lot.name.2.clone()), (lot.earned, lot.left)))
                .collect();
            prop_assert_eq!(lots(customer), booked, "{}", story);
            let by_end = |lots: &[Lot], is_one: fn(&Lot) -> bool| {
                let lots = lots.iter().filter(|lot| is_one(lot));
                let mut lots: Vec<_> = lots.map(|lot| (lot.name.1.clone(), lot.ends.map(|hour| start + hour * HOUR_MS), lot.earned, lot.left)).collect();
                lots.sort();
                lots
            };
            let given_back = by_end(&books.points.lots, |lot| lot.name.2.starts_with("of "));
            prop_assert_eq!(lots_by_end(customer, Currency::Points), given_back, "{}", story);
            prop_assert_eq!(lots_by_end(customer, Currency::StoreCredit), by_end(&books.credit.lots, |_| true), "{}", story);
            let head = &customer.head;
            for (currency, column) in [(Currency::Points, &books.points), (Currency::StoreCredit, &books.credit)] {
                let account = head.account(currency);
                prop_assert_eq!((account.balance, account.owed, account.debt), (column.balance(), column.owed, column.debt), "{}: {}", currency.name(), story);
                prop_assert!(account.maturing.is_empty(), "{:?}", head);
            }
            let stands = books.standing.tier.map(|(tier, since)| (tier.to_owned(), start + since * HOUR_MS));
            prop_assert_eq!(head.standing.as_ref().map(|held| (held.tier.clone(), held.since.0)), stands, "{}", story);
            let remembered = head.memory.get("points").map(|it| it.bytes.clone());
            prop_assert_eq!(remembered, books.standing.remembered.map(Vec::from), "{}", story);
            prop_assert!(head.provisional.is_empty(), "{:?}", head);
            Ok(())
        })?;
        let inner = bench.store.inner.borrow();
        for (currency, column) in [(Currency::Points, &books.points), (Currency::StoreCredit, &books.credit)] {
            let entries = inner.entries.iter().filter(|entry| entry.currency == currency);
            let sum: i64 = entries.map(|entry| entry.amount).sum();
            prop_assert_eq!(sum, column.balance());
        }
    }
}
