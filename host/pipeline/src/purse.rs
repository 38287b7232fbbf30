//! The purse: one customer's lots of one currency along the walk, and what takes from them.
//!
//! What expires first is taken first, then what was earned first, so that a customer loses as little
//! as possible to expiry. Points that no lot has, where the shop lets a balance fall below zero, are
//! owed, and whatever is earned next pays for them first.

use crate::change::{LotKey, TakingKind};
use crate::currency::Currency;
use crate::event::{Instant, Points, Position};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::collections::VecDeque;

/// A lot, as the walk calls it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LotId {
    /// Of a step before the walk: the store's number.
    Known(i64),
    /// Of a step of the walk.
    Step(LotKey),
}

/// What took points: a step takes for one reason from one lot, or from the purse, at most once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TakingId {
    /// Of a step before the walk: the store's number.
    Known(i64),
    Step(Box<TakingKey>),
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TakingKey {
    /// The step; a review has an empty source and id.
    pub step: Position,
    pub currency: Currency,
    pub kind: TakingKind,
    /// The lot whose points are taken back; `None` if any will do.
    pub lot: Option<LotId>,
    /// The redemption that they are given for.
    pub redemption: Option<String>,
}

/// A lot that may hold points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    pub lot: LotId,
    pub key: LotKey,
    pub remaining: Points,
    /// What of it was not used in time, or forfeited: a return does not take it again.
    pub lapsed: Points,
    /// Before this instant nothing of it can be spent.
    pub matures_at: Option<Instant>,
}

/// Points from one lot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drawn {
    pub lot: LotId,
    /// Above zero.
    pub points: Points,
    pub matures_at: Option<Instant>,
    /// When they would have ended.
    pub ends: Option<Instant>,
}

/// What ends next: all that can be used for the last time on the same day of the shop's calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// When the first of it does.
    pub at: Instant,
    /// When that day is over. What ends then is of that day; what ends later is not counted.
    pub day_ends: Instant,
    pub amount: Points,
}

impl Ending {
    /// With something that ends then.
    fn with(
        next: Option<Ending>,
        ends: Instant,
        amount: Points,
        day_ends: impl Fn(Instant) -> Instant,
    ) -> Ending {
        match next {
            Some(next) if ends > next.day_ends => next,
            Some(next) if ends >= next.at => Ending {
                amount: next.amount + amount,
                ..next
            },
            _ => {
                let day_ends = day_ends(ends);
                let same_day = next.filter(|next| next.day_ends == day_ends);
                Ending {
                    at: ends,
                    day_ends,
                    amount: amount + same_day.map_or(0, |next| next.amount),
                }
            }
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Purse {
    /// In the order in which they are taken from.
    held: Vec<Held>,
    /// What was taken and no lot had, the oldest first.
    owed: VecDeque<(TakingId, Points)>,
    /// Whether the lots from before the walk are here. They are not where nothing can move them.
    is_open: bool,
    /// What ends next of the lots that are not here.
    elsewhere: Option<Ending>,
}

impl Purse {
    pub fn open(held: Vec<Held>, owed: impl IntoIterator<Item = (TakingId, Points)>) -> Purse {
        let mut held = held;
        held.sort_by(Held::order);
        Purse {
            held,
            owed: owed.into_iter().collect(),
            is_open: true,
            elsewhere: None,
        }
    }

    /// Without the lots from before the walk, of which the next one ends then.
    pub fn closed(next_expiry: Option<Ending>) -> Purse {
        Purse {
            elsewhere: next_expiry,
            ..Purse::default()
        }
    }

    /// A lot that nothing along the walk moves stays out of a purse that is closed.
    pub fn leave_out(
        &mut self,
        ends: Option<Instant>,
        points: Points,
        day_ends: impl Fn(Instant) -> Instant,
    ) {
        if let Some(ends) = ends {
            self.elsewhere = Some(Ending::with(self.elsewhere, ends, points, day_ends));
        }
    }

    pub fn is_open(&self) -> bool {
        self.is_open
    }

    /// The lot of that key, if it may hold points.
    pub fn find(&self, key: &LotKey) -> Option<LotId> {
        let held = self.held.iter().find(|held| held.key == *key);
        held.map(|held| held.lot.clone())
    }

    /// Puts a lot in, and pays with it for what is owed: says what for, and how much.
    pub fn add(&mut self, mut lot: Held) -> Vec<(TakingId, Points)> {
        let mut paid = Vec::new();
        while let Some((taking, points)) = self.owed.front_mut() {
            let paying = lot.remaining.min(*points);
            if paying <= 0 {
                break;
            }
            lot.remaining -= paying;
            *points -= paying;
            paid.push((taking.clone(), paying));
            if *points == 0 {
                self.owed.pop_front();
            }
        }
        let place = self
            .held
            .partition_point(|held| Held::order(held, &lot) != Ordering::Greater);
        self.held.insert(place, lot);
        paid
    }

    /// Takes points from whatever lots have them. Less is drawn than asked for where they have less.
    pub fn take(&mut self, points: Points) -> Vec<Drawn> {
        let mut left = points;
        let mut drawn = Vec::new();
        for held in &mut self.held {
            if left == 0 {
                break;
            }
            let taken = held.draw(left);
            left -= taken.as_ref().map_or(0, |drawn| drawn.points);
            drawn.extend(taken);
        }
        drawn
    }

    /// The same, and what can be spent by now goes before what cannot.
    pub fn take_spendable(&mut self, points: Points, now: Instant) -> Vec<Drawn> {
        let mut left = points;
        let mut drawn = Vec::new();
        let spendable = |held: &&mut Held| held.is_spendable(now);
        for held in self.held.iter_mut().filter(spendable) {
            if left == 0 {
                break;
            }
            let taken = held.draw(left);
            left -= taken.as_ref().map_or(0, |drawn| drawn.points);
            drawn.extend(taken);
        }
        drawn.extend(self.take(left));
        drawn
    }

    /// Takes points from one lot, at most what it has.
    pub fn take_from(&mut self, lot: &LotId, points: Points) -> Option<Drawn> {
        let held = self.held.iter_mut().find(|held| held.lot == *lot)?;
        held.draw(points)
    }

    /// Takes what is left in lots that end by now, except for points that are set aside: those are
    /// the first that can be spent, and end when they are free again.
    pub fn expire(&mut self, now: Instant, reserved: Points) -> Vec<Drawn> {
        let ended = self
            .held
            .iter_mut()
            .filter(|held| held.key.expires_at.is_some_and(|ends| ends <= now));
        let mut drawn = Vec::new();
        let mut spared = reserved.max(0);
        for held in ended {
            let kept = match held.is_spendable(now) {
                true => spared.min(held.remaining),
                false => 0,
            };
            spared -= kept;
            let taken = held.draw(held.remaining - kept);
            held.lapsed += taken.as_ref().map_or(0, |drawn| drawn.points);
            drawn.extend(taken);
        }
        drawn
    }

    /// Takes points that are lost like those that were not used in time.
    pub fn forfeit(&mut self, points: Points) -> Vec<Drawn> {
        let mut left = points;
        let mut drawn = Vec::new();
        for held in &mut self.held {
            if left == 0 {
                break;
            }
            let taken = held.draw(left);
            let lapsed = taken.as_ref().map_or(0, |drawn| drawn.points);
            held.lapsed += lapsed;
            left -= lapsed;
            drawn.extend(taken);
        }
        drawn
    }

    /// Remembers points that were taken and that no lot had.
    pub fn owe(&mut self, taking: TakingId, points: Points) {
        self.owed.push_back((taking, points));
    }

    /// What ends next, of lots in which something is left.
    pub fn next_expiry(
        &self,
        now: Instant,
        day_ends: impl Fn(Instant) -> Instant,
    ) -> Option<Ending> {
        let mut next = self.elsewhere;
        for held in self.held.iter().filter(|held| held.remaining > 0) {
            // Those without an end are the last.
            let Some(ends) = held.key.expires_at else {
                break;
            };
            if next.is_some_and(|next| ends > next.day_ends) {
                break;
            }
            if ends > now {
                next = Some(Ending::with(next, ends, held.remaining, &day_ends));
            }
        }
        next
    }

    pub fn remaining_of(&self, lot: &LotId) -> Points {
        let held = self.held.iter().find(|held| held.lot == *lot);
        held.map_or(0, |held| held.remaining)
    }

    /// What of a lot was not used in time, or forfeited.
    pub fn lapsed_of(&self, lot: &LotId) -> Points {
        let held = self.held.iter().find(|held| held.lot == *lot);
        held.map_or(0, |held| held.lapsed)
    }

    /// From when on lots of one step can be spent is another instant. Says what that moves: points,
    /// from which instant, to which.
    pub fn mature(
        &mut self,
        origin: &Position,
        at: impl Fn(&LotKey) -> Option<Instant>,
    ) -> Vec<(Points, Option<Instant>, Option<Instant>)> {
        let of_step = self
            .held
            .iter_mut()
            .filter(|held| held.key.origin == *origin);
        let mut moved = Vec::new();
        for held in of_step {
            let then = std::mem::replace(&mut held.matures_at, at(&held.key));
            moved.push((held.remaining, then, held.matures_at));
        }
        moved
    }
}

impl Held {
    fn is_spendable(&self, now: Instant) -> bool {
        self.matures_at.is_none_or(|matures| matures <= now)
    }

    fn draw(&mut self, points: Points) -> Option<Drawn> {
        let points = points.min(self.remaining);
        if points <= 0 {
            return None;
        }
        self.remaining -= points;
        Some(Drawn {
            lot: self.lot.clone(),
            points,
            matures_at: self.matures_at,
            ends: self.key.expires_at,
        })
    }

    /// By nothing that depends on when we heard of it.
    fn order(one: &Held, other: &Held) -> Ordering {
        let place = |held: &Held| (held.key.expires_at.is_none(), held.key.expires_at);
        place(one)
            .cmp(&place(other))
            .then_with(|| one.key.cmp(&other.key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::LotKind;
    use crate::rules::{Coverage, OnReturn};

    fn lot(at: i64, expires_at: Option<i64>, remaining: Points) -> Held {
        let key = LotKey {
            origin: Position {
                at: Instant(at),
                source: "till".into(),
                id: at.to_string(),
            },
            currency: Currency::Points,
            plugin: "per-dollar".into(),
            kind: LotKind::Base,
            reason: "a point per dollar".into(),
            covers: Coverage::Whole,
            available_from: None,
            expires_at: expires_at.map(Instant),
            on_return: OnReturn::Proportional,
            ordinal: 0,
        };
        Held {
            lot: LotId::Step(key.clone()),
            key,
            remaining,
            lapsed: 0,
            matures_at: None,
        }
    }

    fn points(drawn: Vec<Drawn>) -> Vec<(i64, Points)> {
        let at = |lot: LotId| match lot {
            LotId::Step(key) => key.origin.at.0,
            LotId::Known(number) => number,
        };
        drawn
            .into_iter()
            .map(|drawn| (at(drawn.lot), drawn.points))
            .collect()
    }

    /// When something ends next, and how much, on days of a hundred.
    fn next_expiry(purse: &Purse, now: i64) -> Option<(i64, Points)> {
        let next = purse.next_expiry(Instant(now), end_of_day)?;
        Some((next.at.0, next.amount))
    }

    fn end_of_day(ends: Instant) -> Instant {
        Instant(((ends.0 - 1).div_euclid(100) + 1) * 100)
    }

    #[test]
    fn what_ends_on_the_same_day_ends_together_whether_the_purse_is_open_or_closed() {
        let lots = [
            lot(1, Some(150), 1),
            lot(2, None, 2),
            lot(3, Some(130), 4),
            lot(4, Some(201), 8),
            lot(5, Some(200), 16),
        ];
        let open = Purse::open(lots.to_vec(), []);
        assert_eq!(next_expiry(&open, 0), Some((130, 21)));
        assert_eq!(next_expiry(&open, 130), Some((150, 17)));
        let mut closed = Purse::closed(None);
        for lot in &lots {
            closed.leave_out(lot.key.expires_at, lot.remaining, end_of_day);
        }
        assert_eq!(next_expiry(&closed, 0), next_expiry(&open, 0));
        closed.leave_out(Some(Instant(90)), 32, end_of_day);
        assert_eq!(next_expiry(&closed, 0), Some((90, 32)), "an earlier day");
    }

    #[test]
    fn what_is_forfeited_has_lapsed() {
        let mut purse = Purse::open(vec![lot(1, Some(50), 10), lot(2, Some(60), 10)], []);
        assert_eq!(points(purse.forfeit(14)), [(1, 10), (2, 4)]);
        assert_eq!(purse.lapsed_of(&lot(2, Some(60), 0).lot), 4);
        assert_eq!(points(purse.forfeit(14)), [(2, 6)], "no more than there is");
        assert_eq!(points(purse.expire(Instant(60), 0)), []);
    }

    #[test]
    fn what_expires_first_is_taken_first_then_what_was_earned_first() {
        let lots = vec![
            lot(1, None, 10),
            lot(2, Some(90), 10),
            lot(3, Some(50), 10),
            lot(4, None, 10),
        ];
        let mut purse = Purse::open(lots, []);
        assert_eq!(points(purse.take(35)), [(3, 10), (2, 10), (1, 10), (4, 5)]);
        assert_eq!(points(purse.take(35)), [(4, 5)]);
        assert_eq!(next_expiry(&purse, 0), None);
    }

    #[test]
    fn an_expiry_takes_only_what_is_left() {
        let mut purse = Purse::open(vec![lot(1, Some(50), 10), lot(2, Some(60), 10)], []);
        assert_eq!(next_expiry(&purse, 0), Some((50, 20)));
        purse.take(4);
        assert_eq!(points(purse.expire(Instant(50), 0)), [(1, 6)]);
        assert_eq!(purse.lapsed_of(&lot(1, Some(50), 0).lot), 6);
        assert_eq!(points(purse.expire(Instant(55), 0)), []);
        assert_eq!(next_expiry(&purse, 55), Some((60, 10)));
    }

    #[test]
    fn what_is_set_aside_does_not_end_until_it_is_free() {
        let lots = vec![lot(1, Some(50), 10), lot(2, Some(50), 10), lot(3, None, 5)];
        let mut purse = Purse::open(lots, []);
        assert_eq!(points(purse.expire(Instant(50), 12)), [(2, 8)]);
        assert_eq!(next_expiry(&purse, 50), None);
        assert_eq!(
            points(purse.take_spendable(4, Instant(60))),
            [(1, 4)],
            "what has ended goes first"
        );
        assert_eq!(points(purse.expire(Instant(70), 0)), [(1, 6), (2, 2)]);
    }

    #[test]
    fn what_can_be_spent_goes_before_what_cannot() {
        let mut later = lot(1, Some(40), 10);
        later.matures_at = Some(Instant(30));
        let mut purse = Purse::open(vec![later, lot(2, None, 10)], []);
        assert_eq!(
            points(purse.take_spendable(12, Instant(20))),
            [(2, 10), (1, 2)]
        );
    }

    #[test]
    fn what_is_earned_pays_for_what_is_owed_the_oldest_first() {
        let owed = [(TakingId::Known(1), 8), (TakingId::Known(2), 5)];
        let mut purse = Purse::open(Vec::new(), owed);
        let paid = purse.add(lot(1, None, 10));
        assert_eq!(paid, [(TakingId::Known(1), 8), (TakingId::Known(2), 2)]);
        assert_eq!(
            purse.add(lot(2, None, 10)),
            [(TakingId::Known(2), 3)],
            "the rest"
        );
        assert_eq!(points(purse.take(100)), [(2, 7)]);
    }
}
