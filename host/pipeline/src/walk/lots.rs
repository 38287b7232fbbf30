//! What the steps of a walk do to lots: points come in, are taken, end, become final.

use super::{Step, Upcoming, Walk};
use crate::calendar::{last_day, last_day_ends};
use crate::change::{Decider, LotKey, ProvisionalRow, ReviewItem, Settled, SettledRow, TakingKind};
use crate::currency::{ByCurrency, Currency};
use crate::event::{Body, Event, EventName, Instant, Points, Position, SaleName};
use crate::fold::{Fold, Provisional};
use crate::ledger::{Draw, Taking};
use crate::outcome::EntryState;
use crate::purse::{Drawn, Ending, Held, LotId, Purse, TakingId, TakingKey};
use crate::redemption::Given;
use crate::returns::Sold;
use crate::rules::{self, ReviewCause};
use crate::shop::{OfReturns, Shop};
use crate::store::{BookedLot, PurseRows, Redeemed, SoldRows};
use std::collections::VecDeque;
use std::sync::Arc;

const HOUR_MS: i64 = 3_600_000;

/// The lots at the start of a walk. Those of sales that it speaks of are among them, even if nothing
/// is left in them.
pub(super) fn purses(
    rows: Option<PurseRows>,
    start: &Fold,
    sold: &[SoldRows],
    shop: &Shop,
) -> ByCurrency<Purse> {
    let purse = |currency| match &rows {
        Some(rows) => purse(rows, currency, start, sold, shop),
        None => Purse::closed(start.account(currency).next_expiry),
    };
    ByCurrency {
        points: purse(Currency::Points),
        store_credit: purse(Currency::StoreCredit),
    }
}

fn purse(
    rows: &PurseRows,
    currency: Currency,
    start: &Fold,
    sold: &[SoldRows],
    shop: &Shop,
) -> Purse {
    let held = |id: i64, key: &LotKey, remaining, lapsed| Held {
        lot: LotId::Known(id),
        matures_at: matures_at(key, start.provisional.get(&key.origin), shop),
        key: key.clone(),
        remaining,
        lapsed,
    };
    let lots_of_sold = || sold.iter().flat_map(|sale| &sale.lots);
    let open = rows
        .lots
        .iter()
        .filter(|lot| lot.key.currency == currency)
        .filter(|lot| lots_of_sold().all(|known| known.id != lot.id))
        .map(|lot| held(lot.id, &lot.key, lot.remaining, 0));
    let of_sold = lots_of_sold().filter(|lot| lot.key.currency == currency);
    let of_sold = of_sold.map(|lot| held(lot.id, &lot.key, lot.remaining, lot.lapsed));
    let owed = rows.owed.iter().filter(|(_, of, _)| *of == currency);
    let owed = owed.map(|(taking, _, amount)| (TakingId::Known(*taking), *amount));
    Purse::open(open.chain(of_sold).collect(), owed)
}

/// From when on points can be spent, if not at once.
fn matures_at(key: &LotKey, sale: Option<&Provisional>, shop: &Shop) -> Option<Instant> {
    let final_at = sale.filter(|_| !shop.file.policies.spend_provisional);
    key.available_from.max(final_at.map(|sale| sale.until))
}

/// Nothing comes back before it was sold, whatever the clocks of two tills say; and what was taken for
/// something that came back is no earlier than that, so one such step may move the next.
pub(super) fn come_after_their_sales(upcoming: &mut VecDeque<Upcoming>, sold: &[SoldRows]) {
    if upcoming.iter().all(|it| it.event.speaks_of().is_none()) {
        return;
    }
    while let Some((index, at)) = first_before_its_sale(upcoming, sold) {
        let moved = &mut upcoming[index];
        moved.event = Arc::new(Event {
            at,
            ..Event::clone(&moved.event)
        });
    }
}

/// The first event that is not after the sale of which it speaks, and the instant at which it is.
fn first_before_its_sale(
    upcoming: &VecDeque<Upcoming>,
    sold: &[SoldRows],
) -> Option<(usize, Instant)> {
    let sales = || {
        let of_walk = upcoming.iter().map(|upcoming| &upcoming.event);
        of_walk.chain(sold.iter().map(|sold| &sold.event))
    };
    upcoming.iter().enumerate().find_map(|(index, upcoming)| {
        let name = upcoming.event.speaks_of()?;
        let sale = sales().find(|event| event.is_sale(name))?;
        (sale.at >= upcoming.event.at).then(|| (index, Instant(sale.at.0 + 1)))
    })
}

impl Walk<'_> {
    /// The lots of a step that plugins gave which are live no more: nobody can be asked about them
    /// again.
    pub(super) fn lots_of_the_gone(&self, origin: Position) -> impl Iterator<Item = &BookedLot> {
        self.case.lots.iter().filter(move |lot| {
            let plugin = &lot.key.plugin;
            lot.key.origin == origin && !plugin.is_empty() && self.live(plugin).is_none()
        })
    }

    /// The sale of that name, with what came of it until now.
    pub fn sold(&mut self, name: &SaleName) -> Option<usize> {
        if let Some(known) = self.sold.iter().position(|sold| sold.event.is_sale(name)) {
            return Some(known);
        }
        let (event, journal) = self
            .passed
            .iter()
            .find(|(event, _)| event.is_sale(name))?
            .clone();
        let origin = event.position();
        let kept = self.out.kept.iter().filter(|kept| kept.sale == origin);
        let kept = kept.map(|kept| (kept.plugin.clone(), kept.bytes.clone()));
        let mut sold = Sold::fresh(event, journal, kept.collect());
        let awarded = self.out.moves.awards.iter();
        for (_, award) in awarded.filter(|(_, award)| award.key.origin == origin) {
            sold.earn(award.key.clone(), award.amount, &award.shares, 0);
        }
        for lot in self.lots_of_the_gone(origin.clone()) {
            sold.earn(lot.key.clone(), lot.earned, &lot.shares, 0);
        }
        let for_referrer = self.out.for_referrers.iter();
        for award in for_referrer.flat_map(|gave| gave.at(&origin)) {
            sold.earn_for_referrer(award.key.clone(), award.amount, &award.shares, 0);
        }
        let event = sold.event.clone();
        let given = self
            .given
            .extract_if(.., |given| event.is_sale(&given.sale));
        for given in given {
            sold.give(given.redeemed);
        }
        self.sold.push(sold);
        Some(self.sold.len() - 1)
    }

    /// What an edit was awarded belongs to the sale that it edited.
    pub(super) fn add_to_its_sale(&mut self, step: &Step) {
        let Some(returning) = step
            .returning
            .as_ref()
            .filter(|_| step.event.edits().is_some())
        else {
            return;
        };
        let (index, after) = (returning.sale(), returning.lines());
        let gone: Vec<BookedLot> = self
            .lots_of_the_gone(step.event.position())
            .cloned()
            .collect();
        let sold = &mut self.sold[index];
        for award in &step.awards {
            sold.earn(award.key.clone(), award.amount, &award.shares, after);
        }
        for award in step.for_referrer.iter().filter(|award| award.amount > 0) {
            sold.earn_for_referrer(award.key.clone(), award.amount, &award.shares, after);
        }
        for lot in gone {
            sold.earn(lot.key, lot.earned, &lot.shares, after);
        }
    }

    /// Points are given for a part of a sale, which may be known here or not.
    pub(crate) fn give_for(&mut self, sale: SaleName, redeemed: Redeemed) {
        match self.sold.iter_mut().find(|sold| sold.event.is_sale(&sale)) {
            Some(sold) => sold.give(redeemed),
            None => self.given.push(Given { sale, redeemed }),
        }
    }

    /// Puts a lot of this step into its purse. What is owed is paid first.
    pub(crate) fn give(&mut self, step: &Step, key: &LotKey, points: Points) {
        let now = step.event.at;
        let provisional = self.fold.provisional.get(&key.origin);
        let matures_at =
            matures_at(key, provisional, self.with.shop).filter(|matures| *matures > now);
        let account = self.fold.account_mut(key.currency);
        account.balance += points;
        if let Some(at) = matures_at {
            *account.maturing.entry(at).or_default() += points;
        }
        let ends_on_the_way = key.expires_at.is_some_and(|ends| ends <= self.end);
        let purse = &mut self.purses[key.currency];
        if !purse.is_open() && !ends_on_the_way {
            let zone = &self.with.shop.zone;
            purse.leave_out(key.expires_at, points, |ends| last_day_ends(ends, zone));
            return;
        }
        let lot = LotId::Step(key.clone());
        let paid = purse.add(Held {
            lot: lot.clone(),
            key: key.clone(),
            remaining: points,
            lapsed: 0,
            matures_at,
        });
        for (taking, points) in paid {
            self.fold.account_mut(key.currency).owed -= points;
            let drawn = Drawn {
                lot: lot.clone(),
                points,
                matures_at,
                ends: key.expires_at,
            };
            self.drawn(key.currency, taking, step, vec![drawn]);
        }
    }

    /// Takes points, or credit: of the lot that it is about first, then of whatever lots have it. What
    /// none has is owed. Says when what was drawn would have ended.
    pub(crate) fn take(
        &mut self,
        step: &mut Step,
        taking: Taking,
    ) -> Vec<(Option<Instant>, Points)> {
        let lot: Vec<LotId> = taking.key.lot.iter().cloned().collect();
        self.take_first_from(step, taking, &lot)
    }

    /// The same, for a taking that is about several lots.
    pub(crate) fn take_first_from(
        &mut self,
        step: &mut Step,
        taking: Taking,
        lots: &[LotId],
    ) -> Vec<(Option<Instant>, Points)> {
        let sum = |drawn: &[Drawn]| drawn.iter().map(|drawn| drawn.points).sum::<Points>();
        let mut drawn: Vec<Drawn> = Vec::new();
        for lot in lots {
            let left = taking.points - sum(&drawn);
            drawn.extend(self.purses[taking.key.currency].take_from(lot, left));
        }
        let currency = taking.key.currency;
        let purse = &mut self.purses[currency];
        let left = taking.points - sum(&drawn);
        drawn.extend(match taking.key.kind {
            TakingKind::Redeem => purse.take_spendable(left, step.event.at),
            _ => purse.take(left),
        });
        let owed = taking.points - sum(&drawn);
        let ends = drawn.iter().map(|drawn| (drawn.ends, drawn.points));
        let ends = ends.collect();
        let id = TakingId::Step(Box::new(taking.key.clone()));
        self.drawn(currency, id.clone(), step, drawn);
        let account = self.fold.account_mut(currency);
        account.balance -= taking.points;
        if owed > 0 {
            account.owed += owed;
            self.purses[currency].owe(id, owed);
        }
        step.takings.push(taking);
        ends
    }

    fn drawn(&mut self, currency: Currency, taking: TakingId, step: &Step, drawn: Vec<Drawn>) {
        for drawn in drawn {
            if let Some(at) = drawn.matures_at.filter(|at| *at > step.event.at) {
                let account = self.fold.account_mut(currency);
                *account.maturing.entry(at).or_default() -= drawn.points;
            }
            self.out.moves.draws.push(Draw {
                currency,
                taking: taking.clone(),
                lot: drawn.lot,
                step: step.event.position(),
                points: drawn.points,
            });
        }
    }

    /// What of a taking nobody has, where the shop lets no balance fall below zero: it is remembered, and
    /// what comes in next pays for it ([`Walk::recover`]).
    pub(crate) fn left_as_debt(&mut self, currency: Currency, wanted: i64) -> i64 {
        if self.with.shop.file.policies.returns == OfReturns::Negative {
            return 0;
        }
        let reserved = self.fold.reserved(currency);
        let account = self.fold.account_mut(currency);
        let debt = (wanted - (account.balance - reserved).max(0)).max(0);
        account.debt += debt;
        debt
    }

    /// Pays with what came in for what should have been taken before and was not there.
    pub(crate) fn recover(&mut self, step: &mut Step, currency: Currency, came_in: i64, why: &str) {
        let recovered = self.fold.account(currency).debt.min(came_in);
        if recovered <= 0 {
            return;
        }
        self.fold.account_mut(currency).debt -= recovered;
        let taking = Taking {
            key: TakingKey {
                step: step.event.position(),
                currency,
                kind: TakingKind::Recovery,
                lot: None,
                redemption: None,
            },
            points: recovered,
            debt: 0,
            reason: why.into(),
            by: Decider::Host,
        };
        self.take(step, taking);
        step.so_far.balance_after = self.fold.points.balance;
    }

    /// Takes what was not used in time.
    pub(crate) fn expire(&mut self, step: &mut Step) {
        for currency in Currency::ALL {
            self.expire_of(currency, step);
        }
    }

    fn expire_of(&mut self, currency: Currency, step: &mut Step) {
        let reserved = self.fold.reserved(currency);
        let drawn = self.purses[currency].expire(step.event.at, reserved);
        let key = TakingKey {
            step: step.event.position(),
            currency,
            kind: TakingKind::Expiry,
            lot: None,
            redemption: None,
        };
        let points = self.lapse(step, key, drawn, "not used in time", Decider::Host);
        if points == 0 {
            return;
        }
        if currency.is_points() {
            step.causes.push(ReviewCause::PointsExpired(points));
        }
        step.note(format!("{} were not used in time", currency.told(points)));
    }

    /// Takes points for good, at most as many as are there and not set aside. Says how many that were.
    pub(crate) fn forfeit(&mut self, step: &mut Step, wanted: Points, reason: &str) -> Points {
        let there = self.fold.points.balance - self.fold.reserved(Currency::Points);
        let drawn = self.purses.points.forfeit(wanted.min(there.max(0)));
        let key = TakingKey {
            step: step.event.position(),
            currency: Currency::Points,
            kind: TakingKind::Forfeit,
            lot: None,
            redemption: None,
        };
        let by = Decider::Staff(step.event.actor());
        self.lapse(step, key, drawn, reason, by)
    }

    /// Lots were drawn for nothing.
    fn lapse(
        &mut self,
        step: &mut Step,
        key: TakingKey,
        drawn: Vec<Drawn>,
        reason: &str,
        by: Decider,
    ) -> Points {
        let points: Points = drawn.iter().map(|drawn| drawn.points).sum();
        if points == 0 {
            return 0;
        }
        let currency = key.currency;
        let id = TakingId::Step(Box::new(key.clone()));
        self.drawn(currency, id, step, drawn);
        self.fold.account_mut(currency).balance -= points;
        step.so_far.balance_after = self.fold.points.balance;
        step.takings.push(Taking {
            key,
            points,
            debt: 0,
            reason: reason.into(),
            by,
        });
        points
    }

    /// What ends next by now, of the lots of that currency.
    pub(super) fn next_expiry(&self, currency: Currency, now: Instant) -> Option<Ending> {
        let zone = &self.with.shop.zone;
        self.purses[currency].next_expiry(now, |ends| last_day_ends(ends, zone))
    }

    /// The same of points, as rules are told it.
    pub(super) fn points_ending(&self, now: Instant) -> Option<rules::Ending> {
        let next = self.next_expiry(Currency::Points, now)?;
        Some(rules::Ending {
            points: next.amount,
            last_day: last_day(next.at, &self.with.shop.zone),
            day_ends: next.day_ends,
        })
    }

    /// What ends next, now that a step is done.
    pub(super) fn see_next_expiry(&mut self) {
        for currency in Currency::ALL {
            let next = self.next_expiry(currency, self.fold.clock);
            if next != self.fold.account(currency).next_expiry {
                self.fold.account_mut(currency).next_expiry = next;
            }
        }
    }

    /// Says that points of a sale may have to be given back, if its payment is not certain. What an
    /// edit adds is paid with its order.
    pub(crate) fn hold_back(&mut self, step: &Step, points: Points) {
        let until = match (step.event.sale(), &step.returning) {
            (Some(sale), _) => {
                let policies = &self.with.shop.file.policies;
                let kinds = &policies.provisional_tenders;
                let mut tenders = sale.tenders.iter();
                let is_certain =
                    !sale.payment_pending && !tenders.any(|tender| kinds.contains(&tender.kind));
                let hours = i64::from(policies.provisional_hours);
                (!is_certain).then(|| Instant(step.event.at.0 + hours * HOUR_MS))
            }
            (None, Some(returning)) if step.event.edits().is_some() => {
                let sale = self.sold[returning.sale()].event.position();
                self.fold.provisional.get(&sale).map(|sale| sale.until)
            }
            _ => None,
        };
        let Some(until) = until else {
            return;
        };
        let position = step.event.position();
        self.out.provisional.push(ProvisionalRow {
            sale: position.clone(),
            until,
        });
        self.fold
            .provisional
            .insert(position, Provisional { until, points });
    }

    /// Nobody said in time that a payment failed.
    pub(super) fn make_final(&mut self, at: Instant) {
        let over = self.fold.provisional.iter();
        let over: Vec<Position> = over
            .filter(|(_, sale)| sale.until <= at)
            .map(|(position, _)| position.clone())
            .collect();
        let step = Event::review(at).position();
        for sale in over {
            self.settle(sale, &step, Settled::InTime);
        }
    }

    fn settle(&mut self, sale: Position, step: &Position, how: Settled) {
        self.fold.provisional.remove(&sale);
        self.out.settled.push(SettledRow {
            sale,
            step: step.clone(),
            how,
        });
    }

    /// A payment arrived, or failed: by now what failed has been taken back.
    pub(crate) fn settle_payment(&mut self, step: &mut Step) {
        let event = step.event.clone();
        let Body::Payment(payment) = &event.body else {
            return;
        };
        let Some(index) = self.sold(&payment.of) else {
            return;
        };
        let sold = self.sold[index].event.clone();
        let sale = sold.position();
        if !self.fold.provisional.contains_key(&sale) {
            if payment.arrived {
                step.note("the points of this sale were final already");
                return;
            }
            step.note("the points of this sale are final; somebody should look at it");
            if !step.was_decided {
                let sale = EventName {
                    source: sale.source,
                    id: sale.id,
                };
                let item = ReviewItem::PaymentFailedLate { sale };
                self.out.review_items.push(item);
            }
            return;
        }
        let now = event.at;
        let how = match payment.arrived {
            true => Settled::Paid,
            false => Settled::Failed,
        };
        let spendable = |key: &LotKey| key.available_from.filter(|from| *from > now);
        for sale in self.sold[index].origins() {
            if !self.fold.provisional.contains_key(&sale) {
                continue;
            }
            for currency in Currency::ALL {
                for (points, then, at) in self.purses[currency].mature(&sale, spendable) {
                    for (at, points) in [(then, -points), (at, points)] {
                        if let Some(at) = at.filter(|at| *at > now) {
                            let account = self.fold.account_mut(currency);
                            *account.maturing.entry(at).or_default() += points;
                        }
                    }
                }
            }
            self.settle(sale, &event.position(), how);
        }
    }

    /// The state of a lot when the walk is over.
    pub(super) fn state_of(&self, key: &LotKey) -> EntryState {
        if self.fold.provisional.contains_key(&key.origin) {
            return EntryState::Provisional;
        }
        match key
            .available_from
            .is_some_and(|from| from > self.fold.clock)
        {
            true => EntryState::Pending,
            false => EntryState::Final,
        }
    }
}
