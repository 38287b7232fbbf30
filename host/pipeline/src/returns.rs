//! Returns: what of a sale came back, and what its awards lose by that.
//!
//! A return takes back what that sale earned, by the points that the ledger has for it and not by
//! what rules would say today. What came back is added up over all returns of a sale, and the awards
//! lose the difference, so that many small returns lose no more and no less than a large one, and the
//! last one takes the rest.
//!
//! What an edit adds to an order belongs to the sale from then on: its lines are numbered after the others,
//! and what it earned is lost with them.

use crate::calendar::LocalTime;
use crate::change::{Decider, LotKey, LotKind, ReferrerAward, TakingKind};
use crate::credit;
use crate::currency::Currency;
use crate::event::{Back, Body, Event, Line, Money, Points, Position, Sale, SaleName};
use crate::ledger::Taking;
use crate::points::Award;
use crate::purse::{LotId, TakingKey};
use crate::rules::{Coverage, OriginalSale, PastAward, Returned};
use crate::store::{Redeemed, SoldLot, SoldRows};
use crate::walk::{Step, Walk};
use std::collections::VecDeque;
use std::sync::Arc;

mod came_back;

pub use came_back::CameBack;
use came_back::difference;

/// A sale, with what came of it until the step that speaks of it.
pub struct Sold {
    pub event: Arc<Event>,
    /// `None` for the event of this change.
    pub journal: Option<i64>,
    /// All that was ever sold with it: what edits have added stands after its own lines.
    sale: Sale,
    pub awards: Vec<SoldAward>,
    pub kept: Vec<(String, Vec<u8>)>,
    /// Points that were given for a part of it.
    pub redeemed: Vec<GivenFor>,
    pub came_back: CameBack,
}

pub struct SoldAward {
    pub lot: LotId,
    pub key: LotKey,
    /// It went to whoever referred the customer.
    pub to_referrer: bool,
    pub earned: Points,
    /// By line, from 1.
    pub shares: Vec<(u32, Points)>,
    /// What returns have taken, or were to take and left as a debt.
    pub reversed: Points,
    /// What it has lost by right, lapsed points among it. It never becomes less: nothing that comes
    /// later gives back what was taken.
    pub lost: Points,
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
    /// Points that come back with the goods.
    pub gives_back: Vec<Coming>,
    /// Nothing of the sale is left.
    pub is_whole: bool,
}

/// Points of one redemption that come back: all that are between two places.
#[derive(Clone, Copy)]
pub struct Coming {
    /// The place of the redemption among those of the sale.
    pub at: usize,
    pub from: Points,
    pub to: Points,
}

/// Points that were given for a part of a sale.
pub struct GivenFor {
    pub of: Redeemed,
    /// How many of them have come back.
    back: Points,
}

impl Sold {
    pub fn of(rows: SoldRows) -> Sold {
        let (mut lots, mut for_referrer) = (rows.lots, rows.for_referrer);
        let mut redeemed = VecDeque::from(rows.redeemed);
        let mut sold = Sold {
            sale: rows.event.sale().cloned().unwrap_or_default(),
            event: rows.event,
            journal: Some(rows.journal),
            awards: Vec::new(),
            kept: rows.kept,
            redeemed: Vec::new(),
            came_back: CameBack::default(),
        };
        sold.award(&mut lots, &sold.event.position(), 0);
        sold.award_referrer(&mut for_referrer, &sold.event.position(), 0);
        for event in rows.returns {
            let back = match &event.body {
                Body::Return(it) => it.back.clone(),
                Body::Exchange(it) | Body::Edit(it) => Back::Goods(it.back.clone()),
                // It took everything, or it came too late and took nothing.
                Body::Payment(it)
                    if !it.arrived
                        && sold
                            .awards
                            .iter()
                            .filter(|award| !award.to_referrer)
                            .all(|award| award.reversed >= award.earned) =>
                {
                    Back::Everything
                }
                _ => continue,
            };
            while let Some(given) = redeemed.pop_front_if(|it| it.given_at < event.position()) {
                sold.give(given);
            }
            let lines = sold.sale.lines.len() as u32;
            sold.take(&back, &event);
            sold.award(&mut lots, &event.position(), lines);
            sold.award_referrer(&mut for_referrer, &event.position(), lines);
        }
        for given in redeemed {
            sold.give(given);
        }
        sold
    }

    /// Points are given for a part of it, or credit with which it is paid. What had come back before was
    /// not paid for with them.
    pub fn give(&mut self, of: Redeemed) {
        let back = match of.currency {
            Currency::Points => self.came_back.share_of(&self.sale, of.points),
            Currency::StoreCredit => 0,
        };
        self.redeemed.push(GivenFor { of, back });
        let place = |it: &GivenFor| (it.of.given_at.clone(), it.of.id.is_none(), it.of.id.clone());
        self.redeemed.sort_by_cached_key(place);
    }

    /// A sale of this walk of which nothing has come back yet.
    pub fn fresh(event: Arc<Event>, journal: Option<i64>, kept: Vec<(String, Vec<u8>)>) -> Sold {
        Sold {
            sale: event.sale().cloned().unwrap_or_default(),
            event,
            journal,
            awards: Vec::new(),
            kept,
            redeemed: Vec::new(),
            came_back: CameBack::default(),
        }
    }

    /// Adds what its own step was awarded, or one that edited it and whose lines stand after so many
    /// others.
    pub fn earn(&mut self, key: LotKey, earned: Points, shares: &[(u32, Points)], after: u32) {
        if is_of_the_sale(&key) {
            self.earned(key, false, earned, shares, after);
        }
    }

    /// The same, for what went to whoever referred the customer.
    pub fn earn_for_referrer(
        &mut self,
        key: LotKey,
        earned: Points,
        shares: &[(u32, Points)],
        after: u32,
    ) {
        self.earned(key, true, earned, shares, after);
    }

    fn earned(
        &mut self,
        key: LotKey,
        to_referrer: bool,
        earned: Points,
        shares: &[(u32, Points)],
        after: u32,
    ) {
        self.awards.push(SoldAward {
            lot: LotId::Step(key.clone()),
            shares: numbered_after(after, shares),
            key: covering_after(after, key),
            to_referrer,
            earned,
            reversed: 0,
            lost: 0,
        });
    }

    /// The steps that earned something with it: its own first, then those that edited it.
    pub fn origins(&self) -> Vec<Position> {
        let mut origins = vec![self.event.position()];
        for award in &self.awards {
            if !origins.contains(&award.key.origin) {
                origins.push(award.key.origin.clone());
            }
        }
        origins
    }

    fn award(&mut self, lots: &mut Vec<SoldLot>, origin: &Position, after: u32) {
        let is_its_own = |key: &LotKey| key.origin == *origin && is_of_the_sale(key);
        let earned = lots.extract_if(.., |lot| is_its_own(&lot.key));
        self.awards.extend(earned.map(|lot| SoldAward {
            lot: LotId::Known(lot.id),
            shares: numbered_after(after, &lot.shares),
            key: covering_after(after, lot.key),
            to_referrer: false,
            earned: lot.earned,
            reversed: lot.reversed,
            lost: 0,
        }));
    }

    fn award_referrer(&mut self, awards: &mut Vec<ReferrerAward>, origin: &Position, after: u32) {
        for award in awards.extract_if(.., |award| award.key.origin == *origin) {
            self.earn_for_referrer(award.key, award.points, &award.shares, after);
        }
    }

    /// Something comes back, and an edit may add something instead. Says what each award loses by it,
    /// by its place, and which of the points that were given for it come back.
    fn take(&mut self, back: &Back, by: &Event) -> (Vec<(usize, Points)>, Vec<Coming>) {
        let mut to_pay_back = self.came_back.to_pay_back(back, &self.sale);
        self.came_back.add(back, &self.sale);
        if let (Some(_), Some(added)) = (by.edits(), by.basket()) {
            self.sale.add(added);
        }
        let mut losses = Vec::new();
        for at in 0..self.awards.len() {
            let loss = self.came_back.loss(&self.sale, &self.awards[at]);
            let award = &mut self.awards[at];
            if loss > award.lost {
                losses.push((at, loss - award.lost));
                award.lost = loss;
            }
        }
        let mut gives_back = Vec::new();
        for at in 0..self.redeemed.len() {
            let (given, sale) = (&self.redeemed[at], &self.sale);
            let back = match given.of.currency {
                Currency::Points => self.came_back.share_of(sale, given.of.points),
                Currency::StoreCredit => given.of.points.min(to_pay_back),
            };
            if given.of.currency == Currency::StoreCredit {
                to_pay_back -= back;
            }
            if back > given.back {
                let from = given.back;
                gives_back.push(Coming { at, from, to: back });
                self.redeemed[at].back = back;
            }
        }
        (losses, gives_back)
    }
}

/// Points that came back with goods of another sale, in an exchange, are not this sale's: whoever brings
/// back what they took in exchange keeps them.
fn is_of_the_sale(key: &LotKey) -> bool {
    key.kind != LotKind::GivenBack
}

/// Numbers of lines as the sale has them that was edited.
fn numbered_after(after: u32, shares: &[(u32, Points)]) -> Vec<(u32, Points)> {
    let shares = shares.iter();
    shares
        .map(|(line, points)| (line + after, *points))
        .collect()
}

fn covering_after(after: u32, key: LotKey) -> LotKey {
    let covers = match key.covers {
        Coverage::Lines(lines) => Coverage::Lines(lines.iter().map(|line| line + after).collect()),
        whole => whole,
    };
    LotKey { covers, ..key }
}

/// What the event takes back, before anybody counts or decides; `None` if it takes nothing.
pub fn begin(walk: &mut Walk, event: &Event) -> Option<Returning> {
    let (name, back) = match &event.body {
        Body::Return(it) => (&it.of, it.back.clone()),
        Body::Exchange(it) | Body::Edit(it) => (&it.of, Back::Goods(it.back.clone())),
        Body::Payment(it) if !it.arrived => (&it.of, Back::Everything),
        _ => return None,
    };
    let index = walk.sold(name)?;
    let shop = walk.with.shop;
    let sold = &mut walk.sold[index];
    if matches!(event.body, Body::Payment(_))
        && !walk.fold.provisional.contains_key(&sold.event.position())
    {
        return None;
    }
    let (before, sale) = (sold.came_back.clone(), sold.sale.clone());
    let lost_before = sold.awards.iter().map(|award| award.lost).collect();
    let (losses, gives_back) = sold.take(&back, event);
    let (after, edited) = (&sold.came_back, &sold.sale);
    let lost = (1..).zip(&sale.lines).filter_map(|(number, line)| {
        let net = line.net.max(0);
        let gone = after.gone(edited, number, net) - before.gone(&sale, number, net);
        (gone > 0).then(|| (line.clone(), gone))
    });
    let place = sold.event.location.as_deref();
    Some(Returning {
        sold: index,
        lost: lost.collect(),
        losses,
        lost_before,
        gives_back,
        is_whole: after.is_whole(edited) && !before.is_whole(&sale),
        told: Returned {
            amount: after.amount - before.amount,
            lines: difference((&before, &sale), (after, edited)),
            original: OriginalSale {
                source: sold.event.source.clone(),
                id: sold.event.id.clone(),
                at: sold.event.at,
                local: LocalTime::at(sold.event.at, shop.zone_at(place)),
                channel: sold.event.channel,
                place: place
                    .and_then(|id| shop.place(id))
                    .map(|place| place.place.clone()),
                returned: difference((&CameBack::default(), &sale), (&before, &sale)),
                returned_amount: before.amount,
                awards: Vec::new(),
                kept: None,
                sale,
            },
        },
    })
}

/// Takes back what the awards of the sale lose, and says how much that was, by award.
pub fn take_back(walk: &mut Walk, step: &mut Step) -> Vec<(LotKey, Points)> {
    let Some(returning) = &step.returning else {
        return Vec::new();
    };
    let (losses, before) = (returning.losses.clone(), returning.lost_before.clone());
    let index = returning.sold;
    let mut taken_back = Vec::new();
    for (at, loss) in losses {
        let award = &walk.sold[index].awards[at];
        let (lot, key) = (award.lot.clone(), award.key.clone());
        if let (true, LotId::Step(key)) = (award.to_referrer, &lot) {
            step.for_referrer.push(Award {
                by: Decider::Host,
                key: key.clone(),
                amount: -loss,
                shares: Vec::new(),
            });
            continue;
        }
        // What lapsed is not taken a second time. What is still there goes first.
        let currency = key.currency;
        let purse = &walk.purses[currency];
        let there = purse.remaining_of(&lot).min(loss);
        let spared = (before[at] - award.reversed).max(0);
        let lapsed = (purse.lapsed_of(&lot) - spared).max(0);
        let points = there + (loss - there - lapsed).max(0);
        if points < loss {
            let name = match currency {
                Currency::Points => &key.plugin,
                Currency::StoreCredit => credit::TENDER,
            };
            step.note(format!(
                "{name}: {} of {loss} had lapsed and are not taken again",
                currency.told(loss - points)
            ));
        }
        walk.sold[index].awards[at].reversed += points;
        let debt = walk.debt_for(step, currency, points);
        if points == 0 {
            continue;
        }
        let taking = Taking {
            key: TakingKey {
                step: step.event.position(),
                currency,
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
        let provisional = walk.fold.provisional.get_mut(&key.origin);
        if let Some(provisional) = provisional.filter(|_| currency.is_points()) {
            provisional.points -= points;
        }
        taken_back.push((key, points));
    }
    taken_back
}

impl Walk<'_> {
    /// What of points that are taken back is owed, because it was spent already and the shop lets no
    /// balance fall below zero.
    pub(crate) fn debt_for(&mut self, step: &mut Step, currency: Currency, points: i64) -> i64 {
        let debt = self.left_as_debt(currency, points);
        if debt > 0 {
            step.note(format!(
                "{} were spent already and are owed: the next that are earned pay for them",
                currency.told(debt)
            ));
        }
        debt
    }
}

impl Returning {
    /// What one plugin is told.
    pub fn told_to(&self, plugin: &str, walk: &Walk) -> Returned {
        let sold = &walk.sold[self.sold];
        let mut told = self.told.clone();
        let own = sold.awards.iter().zip(&self.lost_before);
        told.original.awards = own
            .filter(|(award, _)| award.key.plugin == plugin && !award.to_referrer)
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

    /// What the customer got back.
    pub fn amount(&self) -> Money {
        self.told.amount
    }

    pub fn sale(&self) -> usize {
        self.sold
    }

    /// How many lines the sale had before the step.
    pub fn lines(&self) -> u32 {
        self.told.original.sale.lines.len() as u32
    }

    /// Whether the sale had goods like these among what is left of it, by one of their keys.
    pub fn sale_had(&self, has: impl Fn(&Line) -> bool) -> bool {
        self.told.original.sale.lines.iter().any(has)
    }
}

/// The sale, as a person would look for it.
pub fn words(name: &SaleName) -> String {
    match name {
        SaleName::Sale(name) => format!("{}/{}", name.source, name.id),
        SaleName::Order(order) => format!("order {} of {}", order.id, order.system),
    }
}
