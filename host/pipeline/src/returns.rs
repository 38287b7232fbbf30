//! Returns: what of a sale came back, and what its awards lose by that.
//!
//! A return takes back what that sale earned, by the points that the ledger has for it and not by
//! what rules would say today. What came back is added up over all returns of a sale, and the awards
//! lose the difference, so that many small returns lose no more and no less than a large one, and the
//! last one takes the rest.

use crate::calendar::LocalTime;
use crate::change::{Decider, LotKey, TakingKind};
use crate::event::{Back, Body, Event, Line, Money, Points, ReturnedLine, Sale, SaleName};
use crate::ledger::Taking;
use crate::purse::{LotId, TakingKey};
use crate::rules::{OnReturn, OriginalSale, PastAward, Returned};
use crate::shop::OfReturns;
use crate::store::{Redeemed, SoldRows};
use crate::walk::{Step, Walk};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A sale, with what came of it until the step that speaks of it.
pub struct Sold {
    pub event: Arc<Event>,
    /// `None` for the event of this change.
    pub journal: Option<i64>,
    pub awards: Vec<SoldAward>,
    pub kept: Vec<(String, Vec<u8>)>,
    /// Points that were given for a part of it before the walk.
    pub redeemed: Vec<Redeemed>,
    pub came_back: CameBack,
}

pub struct SoldAward {
    pub lot: LotId,
    pub key: LotKey,
    pub earned: Points,
    /// By line, from 1.
    pub shares: Vec<(u32, Points)>,
    /// What returns have taken, or were to take and left as a debt.
    pub reversed: Points,
}

/// What came back of one sale.
#[derive(Clone, Debug, Default)]
pub struct CameBack {
    /// Thousandths by line.
    quantities: BTreeMap<u32, i64>,
    /// Money by line, for goods that the customer kept.
    amounts: BTreeMap<u32, Money>,
    /// Money for nothing in particular.
    loose: Money,
    /// Money for goods, all of it.
    refunded: Money,
    /// All money.
    amount: Money,
    /// As if nothing had been sold.
    everything: bool,
}

/// What a step takes back of a sale.
pub struct Returning {
    /// The sale's place among those of the walk.
    sold: usize,
    /// What rules are told of it, apart from what is each plugin's own.
    told: Returned,
    /// What each line loses of its net.
    pub lost: Vec<(Line, Money)>,
    /// What each award loses, by its place.
    losses: Vec<(usize, Points)>,
    /// What each award had lost before, by right, debts among it.
    lost_before: Vec<Points>,
    /// What had come back before.
    before: CameBack,
    /// Nothing of the sale is left.
    pub is_whole: bool,
}

impl Sold {
    pub fn of(rows: SoldRows) -> Sold {
        let mut came_back = CameBack::default();
        let awards: Vec<SoldAward> = rows
            .lots
            .into_iter()
            .map(|lot| SoldAward {
                lot: LotId::Known(lot.id),
                key: lot.key,
                earned: lot.earned,
                shares: lot.shares,
                reversed: lot.reversed,
            })
            .collect();
        let sale = rows.event.sale();
        for event in rows.returns {
            let back = match &event.body {
                Body::Return(it) => it.back.clone(),
                // It took everything, or it came too late and took nothing.
                Body::Payment(it)
                    if !it.arrived && awards.iter().all(|award| award.reversed >= award.earned) =>
                {
                    Back::Everything
                }
                _ => continue,
            };
            if let Some(sale) = sale {
                came_back.add(&back, sale);
            }
        }
        Sold {
            event: rows.event,
            journal: Some(rows.journal),
            awards,
            kept: rows.kept,
            redeemed: rows.redeemed,
            came_back,
        }
    }
}

impl CameBack {
    pub fn add(&mut self, back: &Back, sale: &Sale) {
        let refund = match back {
            Back::Everything => {
                self.everything = true;
                self.amount = self.amount.max(sale.total);
                return;
            }
            Back::Goods(refund) => refund,
        };
        self.amount += refund.amount;
        let goods = refund.amount - refund.shipping;
        self.refunded += goods;
        let known = |line: &&ReturnedLine| line_of(sale, line.line).is_some();
        for line in refund.lines.iter().filter(known) {
            if line.quantity > 0 {
                *self.quantities.entry(line.line).or_default() += line.quantity;
            } else {
                *self.amounts.entry(line.line).or_default() += line.amount;
            }
        }
        if refund.lines.is_empty() {
            self.loose += goods;
        }
    }

    /// Whether nothing is left. Shipping and tips are no goods: a sale is gone without them.
    pub fn is_whole(&self, sale: &Sale) -> bool {
        let goods = goods_of(sale);
        let back = |(number, line): (u32, &Line)| {
            let pieces = self.quantities.get(&number).copied().unwrap_or(0);
            line.quantity > 0 && pieces >= line.quantity
        };
        let all_back = !sale.lines.is_empty() && (1..).zip(&sale.lines).all(back);
        self.everything || all_back || goods > 0 && self.refunded >= goods
    }

    /// What of a number that belongs to a line is gone with what came back of it: rounded down, until
    /// all of it is gone.
    fn gone(&self, sale: &Sale, number: u32, whole: i64) -> i64 {
        if self.is_whole(sale) {
            return whole;
        }
        let Some(line) = line_of(sale, number) else {
            return 0;
        };
        let pieces = self.quantities.get(&number).copied().unwrap_or(0);
        let amount = self.amounts.get(&number).copied().unwrap_or(0);
        let gone = part(whole, pieces, line.quantity)
            + part(whole, amount, line.net)
            + part(whole, self.loose, goods_of(sale));
        gone.min(whole)
    }

    /// What an award has lost by now.
    fn loss(&self, sale: &Sale, award: &SoldAward) -> Points {
        if self.everything {
            return award.earned;
        }
        match award.key.on_return {
            OnReturn::Keep => 0,
            OnReturn::WholeBelow(amount) if self.left(sale) < amount => award.earned,
            OnReturn::WholeBelow(_) => 0,
            OnReturn::Proportional if award.shares.is_empty() => match self.is_whole(sale) {
                true => award.earned,
                false => part(award.earned, self.refunded, goods_of(sale)),
            },
            OnReturn::Proportional => {
                let shares = award.shares.iter();
                shares
                    .map(|(number, points)| self.gone(sale, *number, *points))
                    .sum()
            }
        }
    }

    /// What of a number that belongs to the sale as a whole is gone with its goods.
    fn share_of(&self, sale: &Sale, whole: i64) -> i64 {
        if self.is_whole(sale) {
            return whole;
        }
        let goods: Money = sale.lines.iter().map(|line| line.net).sum();
        part(whole, goods - self.left(sale), goods)
    }

    /// What is left of the goods, by their net.
    fn left(&self, sale: &Sale) -> Money {
        let lines = (1..).zip(&sale.lines);
        lines
            .map(|(number, line)| line.net - self.gone(sale, number, line.net.max(0)))
            .sum()
    }
}

/// What was paid for goods.
fn goods_of(sale: &Sale) -> Money {
    sale.total - sale.shipping - sale.tip
}

fn line_of(sale: &Sale, number: u32) -> Option<&Line> {
    sale.lines.get((number as usize).checked_sub(1)?)
}

/// So much of a whole as some is of all, rounded down, and never more than the whole.
fn part(whole: i64, some: i64, all: i64) -> i64 {
    if some <= 0 || all <= 0 || whole <= 0 {
        return 0;
    }
    let exact = i128::from(whole) * i128::from(some.min(all)) / i128::from(all);
    i64::try_from(exact).unwrap_or(whole)
}

/// What the event takes back, before anybody counts or decides; `None` if it takes nothing.
pub fn begin(walk: &mut Walk, event: &Event) -> Option<Returning> {
    let (name, back) = match &event.body {
        Body::Return(it) => (&it.of, it.back.clone()),
        Body::Payment(it) if !it.arrived => (&it.of, Back::Everything),
        _ => return None,
    };
    let index = walk.sold(name)?;
    let sold = &walk.sold[index];
    if matches!(event.body, Body::Payment(_))
        && !walk.fold.provisional.contains_key(&sold.event.position())
    {
        return None;
    }
    let sale_event = sold.event.clone();
    let sale = sale_event.sale()?;
    let before = sold.came_back.clone();
    let mut after = before.clone();
    after.add(&back, sale);
    let zone = walk.with.shop.zone_at(sale_event.location.as_deref());
    let place = sale_event.location.as_deref();
    let told = Returned {
        original: OriginalSale {
            source: sale_event.source.clone(),
            id: sale_event.id.clone(),
            at: sale_event.at,
            local: LocalTime::at(sale_event.at, zone),
            channel: sale_event.channel,
            place: place
                .and_then(|id| walk.with.shop.place(id))
                .map(|place| place.place.clone()),
            sale: sale.clone(),
            returned: lines_of(&before, sale),
            returned_amount: before.amount,
            awards: Vec::new(),
            kept: None,
        },
        amount: after.amount - before.amount,
        lines: difference(&before, &after, sale),
    };
    let lost = (1..).zip(&sale.lines).filter_map(|(number, line)| {
        let net = line.net.max(0);
        let gone = after.gone(sale, number, net) - before.gone(sale, number, net);
        (gone != 0).then(|| (line.clone(), gone))
    });
    let lost = lost.collect();
    let lost_before: Vec<Points> = sold
        .awards
        .iter()
        .map(|award| before.loss(sale, award))
        .collect();
    let losses = sold.awards.iter().zip(&lost_before).enumerate();
    let losses = losses
        .map(|(at, (award, before))| (at, after.loss(sale, award) - before))
        .filter(|(_, points)| *points > 0)
        .collect();
    let is_whole = after.is_whole(sale) && !before.is_whole(sale);
    walk.sold[index].came_back = after;
    Some(Returning {
        sold: index,
        told,
        lost,
        losses,
        lost_before,
        before,
        is_whole,
    })
}

/// Takes back what the awards of the sale lose, and says how much that was, by award.
pub fn take_back(walk: &mut Walk, step: &mut Step) -> Vec<(LotKey, Points)> {
    let Some(returning) = &step.returning else {
        return Vec::new();
    };
    let sale = walk.sold[returning.sold].event.position();
    let (losses, before) = (returning.losses.clone(), returning.lost_before.clone());
    let index = returning.sold;
    let mut taken_back = Vec::new();
    for (at, loss) in losses {
        let award = &walk.sold[index].awards[at];
        let (lot, key) = (award.lot.clone(), award.key.clone());
        // What was not used in time is not taken a second time. What is still there goes first.
        let there = walk.purse.remaining_of(&lot).min(loss);
        let spared = (before[at] - award.reversed).max(0);
        let expired = (walk.purse.expired_of(&lot) - spared).max(0);
        let points = there + (loss - there - expired).max(0);
        if points < loss {
            let name = &key.plugin;
            step.note(format!(
                "{name}: {} points of {loss} had expired and are not taken again",
                loss - points
            ));
        }
        walk.sold[index].awards[at].reversed += points;
        let mut debt = 0;
        if walk.with.shop.file.policies.returns == OfReturns::Debt {
            let there = walk.fold.balance - walk.fold.reserved();
            debt = (points - there.max(0)).max(0);
        }
        if debt > 0 {
            walk.fold.debt += debt;
            step.note(format!(
                "{debt} points were spent already and are owed: the next that are earned pay for them"
            ));
        }
        if points == 0 {
            continue;
        }
        let taking = Taking {
            key: TakingKey {
                step: step.event.position(),
                kind: TakingKind::Reversal,
                lot: Some(lot),
                redemption: None,
            },
            points: points - debt,
            debt,
            reason: key.reason.clone(),
            by: Decider::Host,
        };
        walk.take(step, taking);
        if let Some(provisional) = walk.fold.provisional.get_mut(&sale) {
            provisional.points -= points;
        }
        taken_back.push((key, points));
    }
    taken_back
}

impl Returning {
    /// What one plugin is told.
    pub fn told_to(&self, plugin: &str, walk: &Walk) -> Returned {
        let sold = &walk.sold[self.sold];
        let mut told = self.told.clone();
        let own = sold.awards.iter().zip(&self.lost_before);
        told.original.awards = own
            .filter(|(award, _)| award.key.plugin == plugin)
            .filter_map(|(award, lost)| {
                Some(PastAward {
                    kind: award.key.kind.award()?,
                    amount: award.earned,
                    reversed: *lost,
                    covers: award.key.covers.clone(),
                    reason: award.key.reason.clone(),
                })
            })
            .collect();
        let kept = sold.kept.iter().find(|(keeper, _)| keeper == plugin);
        told.original.kept = kept.map(|(_, bytes)| bytes.clone());
        told
    }

    /// What of a number that belongs to the sale was gone before, and what is now.
    pub fn share_of(&self, sold: &Sold, whole: i64) -> (i64, i64) {
        let Some(sale) = sold.event.sale() else {
            return (0, 0);
        };
        let (before, after) = (&self.before, &sold.came_back);
        (before.share_of(sale, whole), after.share_of(sale, whole))
    }

    /// What the customer got back.
    pub fn amount(&self) -> Money {
        self.told.amount
    }

    pub fn sale(&self) -> usize {
        self.sold
    }
}

/// What has come back line by line.
fn lines_of(back: &CameBack, sale: &Sale) -> Vec<ReturnedLine> {
    difference(&CameBack::default(), back, sale)
}

/// What came back since, line by line. Of a sale that is gone as a whole every line is back.
fn difference(before: &CameBack, after: &CameBack, sale: &Sale) -> Vec<ReturnedLine> {
    let pieces = |back: &CameBack, number: u32, line: &Line| match back.is_whole(sale) {
        true => line.quantity,
        false => {
            let pieces = back.quantities.get(&number).copied().unwrap_or(0);
            pieces.min(line.quantity)
        }
    };
    let lines = (1..).zip(&sale.lines).map(|(number, line)| {
        let net = line.net.max(0);
        ReturnedLine {
            line: number,
            quantity: pieces(after, number, line) - pieces(before, number, line),
            amount: after.gone(sale, number, net) - before.gone(sale, number, net),
        }
    });
    lines
        .filter(|line| line.quantity != 0 || line.amount != 0)
        .collect()
}

/// What is wrong with a return of a sale that is known: the first line that the sale does not have.
pub fn unknown_line(event: &Event, sale: &Sale) -> Option<(usize, u32)> {
    let Body::Return(it) = &event.body else {
        return None;
    };
    let Back::Goods(refund) = &it.back else {
        return None;
    };
    let lines = refund.lines.iter().enumerate();
    lines
        .map(|(index, line)| (index, line.line))
        .find(|(_, number)| line_of(sale, *number).is_none())
}

/// The sale, as a person would look for it.
pub fn words(name: &SaleName) -> String {
    match name {
        SaleName::Sale(name) => format!("{}/{}", name.source, name.id),
        SaleName::Order(order) => format!("order {} of {}", order.id, order.system),
    }
}
