//! What came back of one sale, added up over everything that took something back of it, and what that
//! makes of its lines and awards.

use super::SoldAward;
use crate::event::{Back, Line, Money, Points, ReturnedLine, Sale};
use crate::rules::OnReturn;
use std::collections::BTreeMap;

/// What came back of one sale.
#[derive(Clone, Debug, Default)]
pub struct CameBack {
    /// Thousandths by line.
    quantities: BTreeMap<u32, i64>,
    /// Money by line, for goods that the customer kept.
    amounts: BTreeMap<u32, Money>,
    /// Money for nothing in particular.
    loose: Vec<Loose>,
    /// Money for goods, all of it.
    refunded: Money,
    /// All money.
    pub(super) amount: Money,
    /// As if nothing had been sold.
    everything: bool,
}

/// Money for all of what a sale was at that time: what edits add later has no part in it.
#[derive(Clone, Debug)]
struct Loose {
    amount: Money,
    /// What was paid for goods until then.
    goods: Money,
    /// How many lines these were.
    lines: u32,
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
        if refund.lines.is_empty() && goods > 0 {
            let lines = sale.lines.len() as u32;
            match self.loose.last_mut().filter(|it| it.lines == lines) {
                Some(loose) => loose.amount += goods,
                None => self.loose.push(Loose {
                    amount: goods,
                    goods: goods_of(sale),
                    lines,
                }),
            }
        }
    }

    /// What of the money for a sale is still to be paid back when it is undone; nothing where only goods
    /// come back, because then the return says how.
    pub(super) fn to_pay_back(&self, back: &Back, sale: &Sale) -> Money {
        match back {
            Back::Everything => (sale.total - self.amount).max(0),
            Back::Goods(_) => 0,
        }
    }

    /// How many thousandths of a line, by its number from 1, can still come back.
    pub fn left_of(&self, sale: &Sale, number: u32) -> i64 {
        let Some(line) = line_of(sale, number).filter(|_| !self.is_whole(sale)) else {
            return 0;
        };
        let back = self.quantities.get(&number).copied().unwrap_or(0);
        (line.quantity - back).max(0)
    }

    /// Whether nothing is left. Shipping and tips are no goods: a sale is gone without them.
    pub(super) fn is_whole(&self, sale: &Sale) -> bool {
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
    pub(super) fn gone(&self, sale: &Sale, number: u32, whole: i64) -> i64 {
        if self.is_whole(sale) {
            return whole;
        }
        let Some(line) = line_of(sale, number) else {
            return 0;
        };
        let pieces = self.quantities.get(&number).copied().unwrap_or(0);
        let amount = self.amounts.get(&number).copied().unwrap_or(0);
        let loose = self.loose.iter().filter(|loose| number <= loose.lines);
        let loose = loose.map(|loose| part(whole, loose.amount, loose.goods));
        let gone =
            part(whole, pieces, line.quantity) + part(whole, amount, line.net) + loose.sum::<i64>();
        gone.min(whole)
    }

    /// What an award has lost by now.
    pub(super) fn loss(&self, sale: &Sale, award: &SoldAward) -> Points {
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
    pub fn share_of(&self, sale: &Sale, whole: i64) -> i64 {
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

/// What came back since of the lines that there were, line by line. Of a sale that is gone as a whole
/// every line is back.
pub(super) fn difference(
    before: (&CameBack, &Sale),
    after: (&CameBack, &Sale),
) -> Vec<ReturnedLine> {
    let pieces = |(back, sale): (&CameBack, &Sale), number: u32, line: &Line| {
        if back.is_whole(sale) {
            return line.quantity;
        }
        let pieces = back.quantities.get(&number).copied().unwrap_or(0);
        pieces.min(line.quantity)
    };
    let gone = |(back, sale): (&CameBack, &Sale), number: u32, line: &Line| {
        back.gone(sale, number, line.net.max(0))
    };
    let lines = (1..)
        .zip(&before.1.lines)
        .map(|(number, line)| ReturnedLine {
            line: number,
            quantity: (pieces(after, number, line) - pieces(before, number, line)).max(0),
            amount: (gone(after, number, line) - gone(before, number, line)).max(0),
        });
    lines
        .filter(|line| line.quantity != 0 || line.amount != 0)
        .collect()
}
