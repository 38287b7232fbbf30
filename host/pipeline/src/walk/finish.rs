//! The end of a walk: what its steps come to, as one change.

use super::Walk;
use crate::admit::Admitted;
use crate::change::{Change, CustomerChange, Explanation, ReviewItem};
use crate::credit;
use crate::currency::Currency;
use crate::event::{Body, Event, EventName, Money, RedemptionAct};
use crate::identity::{self, Who};
use crate::ledger::{self, Before, Booked, Transfer};
use crate::line::Context;
use crate::outcome::{
    CreditNow, CustomerNow, Outcome, SegmentChanges, Status, TagChanges, ToldPoints,
};
use crate::redemption;
use crate::referral;
use crate::refusal::Refusal;
use crate::returns;
use crate::shop::Late;
use crate::visitors;

impl Walk<'_> {
    /// Which corrections are made. What a failure kept from a customer is owed, whatever the shop does
    /// about sales that come late.
    fn late(&self) -> Late {
        let again = self.admitted.event.rules_changed();
        match self.with.shop.file.policies.late {
            Late::Report if again.is_some_and(|change| change.again_from.is_some()) => {
                Late::InFavour
            }
            policy => policy,
        }
    }

    /// Whether rules decided something that points and rows do not show: what they remember, when
    /// they want to be asked.
    fn changed_something(&self) -> bool {
        !self.out.cancels.is_empty() || self.fold.decided() != self.case.start.decided()
    }

    /// Nothing of this walk is to be kept.
    pub fn refuse(&mut self, refusal: Refusal) {
        self.refused.get_or_insert(refusal);
    }

    /// More store credit was spent than there was: somebody should look at it.
    pub(crate) fn overspent(&mut self, sale: EventName, amount: Money) {
        let item = ReviewItem::CreditOverspent { sale, amount };
        self.out.review_items.push(item);
    }

    /// Whoever takes or sets aside points must leave what was set aside before.
    fn check_what_is_left(&mut self) -> Result<(), Refusal> {
        let event = &self.admitted.event;
        if let Some(RedemptionAct::Reserve(what)) = event.redemption().map(|it| &it.act) {
            let available = self.fold.available(what.currency, self.fold.clock);
            if available < 0 {
                return Err(redemption::insufficient(what, available));
            }
        }
        let (currency, taken) = event.taken_by_staff();
        let reserved = self.fold.reserved(currency);
        if reserved > 0
            && taken > 0
            && self.fold.account(currency).balance < reserved
            && !self.with.shop.file.policies.adjust_below_zero
        {
            let set_aside = currency.told(reserved);
            return credit::not_enough(
                currency,
                format!("{set_aside} are set aside for redemptions and cannot be taken"),
            );
        }
        let balance = self.fold.account(Currency::StoreCredit).balance;
        if let (true, Some(sale)) = (balance < 0, self.paid_with_credit.take()) {
            self.overspent(sale, -balance);
        }
        if self.fold.points.balance < 0 {
            for redemption in std::mem::take(&mut self.given_unasked) {
                let points = -self.fold.points.balance;
                let item = ReviewItem::RedeemedTooMuch { redemption, points };
                self.out.review_items.push(item);
            }
        }
        Ok(())
    }

    /// Two profiles that are one person, of whom one had referred the other.
    fn see_who_referred_themselves(&mut self) {
        let Some(other) = self
            .admitted
            .event
            .other()
            .filter(|_| self.admitted.event.is_about_two())
        else {
            return;
        };
        let by = self.fold.referred().map(|referred| referred.by.clone());
        if let Some(referrer) = by.filter(|by| by == other || *by == self.case.id) {
            self.look_at(ReviewItem::ReferredThemselves { referrer });
        }
    }

    /// What the ledger says of each account.
    fn settle_accounts(&mut self, booked: &Booked) {
        for currency in Currency::ALL {
            let takings = booked.takings.iter().filter(|it| it.currency == currency);
            let paid = booked.allocations.iter();
            let paid = paid.filter(|it| it.currency == currency);
            let balance = booked.balance[currency];
            let owed = self.case.start.account(currency).owed
                + takings.map(|taking| taking.points).sum::<i64>()
                - paid.map(|paid| paid.points).sum::<i64>();
            let known = self.fold.account(currency);
            if (known.balance, known.owed) != (balance, owed) {
                let account = self.fold.account_mut(currency);
                (account.balance, account.owed) = (balance, owed);
            }
        }
    }

    /// Everything that the steps did, as one change.
    pub fn finish(mut self) -> Result<Change, Refusal> {
        if let Some(refusal) = self.refused.take() {
            return Err(refusal);
        }
        let plugins = self.with.rules.plugins();
        let before = Before {
            lots: std::mem::take(&mut self.case.lots),
            takings: std::mem::take(&mut self.case.takings),
            balance: self.case.balance,
            transfers: Transfer::of(&self.admitted.event, self.case.transfer),
        };
        let moves = std::mem::take(&mut self.out.moves);
        let booked = ledger::book(moves, before, plugins, self.late());
        if let Some(points) = booked.reported {
            self.out
                .review_items
                .push(ReviewItem::LateReported { points });
        }
        // Under a policy that does not correct both ways the ledger, not the fold, is right.
        self.settle_accounts(&booked);
        self.check_what_is_left()?;
        let live = |plugin: &str| plugins.iter().any(|it| it.name == plugin);
        let for_referrers = referral::settle(
            &self.case.id,
            &self.event,
            std::mem::take(&mut self.out.for_referrers),
            std::mem::take(&mut self.case.referrer_awards),
            live,
            self.late(),
            self.with.secret,
        );
        self.see_who_referred_themselves();
        let code = referral::new_code(&self.event, &self.referring, self.with);
        let mut outcome = std::mem::take(&mut self.out.outcome);
        outcome.referral = referral::view(
            &self.event,
            code.as_ref(),
            &self.referring,
            &for_referrers,
            self.with,
        );
        let views = |currency| ledger::views(&booked, currency, plugins, |lot| self.state_of(lot));
        outcome.points = views(Currency::Points);
        outcome.store_credit = views(Currency::StoreCredit);
        outcome.customer = Some(CustomerNow {
            id: self.case.id.0.clone(),
            tier: self.fold.standing.as_ref().map(|held| held.tier.clone()),
            balance: self.fold.points.balance,
            available: self.fold.available(Currency::Points, self.fold.clock),
            store_credit: CreditNow::of(&self.fold, self.with.shop, self.fold.clock),
            segments: self.fold.memberships.keys().cloned().collect(),
        });
        let explanations = &mut self.out.explanations;
        for (_, index) in self.recorded.drain() {
            let known = &self.case.recorded[index].explanation;
            if known.is_review && !known.calls.is_empty() {
                explanations.push(Explanation {
                    calls: Vec::new(),
                    notes: vec!["no longer due".into()],
                    ..known.clone()
                });
            }
        }
        explanations.sort_by(|one, other| one.position.cmp(&other.position));
        let says_something = self.out.visible || !booked.entries.is_empty();
        let says_something = says_something || !for_referrers.told.is_empty();
        let in_journal = if self.admitted.event.rules_changed().is_some() {
            says_something || self.start.is_refold || self.changed_something()
        } else {
            !self.admitted.due || says_something
        };
        if !in_journal && !self.admitted.due {
            // New rules that change nothing for a customer leave nothing behind.
            self.fold = self.case.start.clone();
            self.out.history.clear();
            self.out.explanations.clear();
            self.out.checkpoints.clear();
        }
        let given = self.out.given;
        let givers = std::mem::take(&mut self.givers).into_iter();
        Ok(Change {
            event: self.event,
            given: givers
                .filter(|_| given > 0)
                .map(|giver| (giver, given))
                .collect(),
            personal: self.admitted.personal.clone(),
            sameness: self.admitted.sameness,
            received_at: self.admitted.received_at,
            rule_book: self.with.rule_book,
            orders: orders(&self.admitted.event),
            claims: claims(&self.admitted.event),
            outcome,
            in_journal,
            review_items: self.out.review_items,
            for_referrers: for_referrers.told,
            code,
            other: None,
            customer: Some(CustomerChange {
                id: self.case.id,
                is_new: self.case.is_new,
                revision: self.case.revision,
                links: self.links,
                clock: self.fold.clock.max(self.until),
                head: self.fold,
                start: self.start,
                cancels: self.out.cancels,
                memberships: self.out.memberships,
                tiers: self.out.tiers,
                history: self.out.history,
                follow_ups: self.out.follow_ups,
                undone: self.out.undone,
                lots: booked.lots,
                reapportioned: booked.reapportioned,
                kept: self.out.kept,
                provisional: self.out.provisional,
                settled: self.out.settled,
                redemptions: self.out.redemptions,
                referrer_awards: for_referrers.kept,
                takings: booked.takings,
                allocations: booked.allocations,
                entries: booked.entries,
                explanations: self.out.explanations,
                checkpoints: self.out.checkpoints,
            }),
        })
    }
}

impl Change {
    /// The change of an event of nobody: it is kept and counted.
    pub fn of_nobody(admitted: &Admitted, who: &Who, with: Context) -> Change {
        let mut outcome = Outcome::of(admitted);
        outcome.identity = identity::log(admitted, who);
        match admitted.event.speaks_of() {
            Some(sale) if who.waits_for_sale => {
                outcome.status = Status::Parked;
                let sale = returns::words(sale);
                let note = format!("parked: {sale} has not come; this is done when it has");
                outcome.notes.push(note);
            }
            None if visitors::waits(&admitted.event) => {
                let note = "kept apart: nobody knows yet whose browser this is";
                outcome.notes.push(note.into());
            }
            None if admitted.event.sale().is_none() => {}
            _ => {
                outcome.status = Status::Guest;
                outcome.notes.push("skipped: guest".into());
            }
        }
        if let Some(told) = admitted.event.sale().and_then(|sale| sale.told_points) {
            let told = ToldPoints::of(told, 0);
            outcome.notes.extend(told.note());
            outcome.told_points = Some(told);
        }
        Change {
            event: admitted.event.clone(),
            personal: admitted.personal.clone(),
            sameness: admitted.sameness,
            received_at: admitted.received_at,
            rule_book: with.rule_book,
            orders: orders(&admitted.event),
            claims: None,
            customer: None,
            other: None,
            outcome,
            in_journal: !admitted.due,
            given: Vec::new(),
            review_items: Vec::new(),
            for_referrers: Vec::new(),
            code: None,
        }
    }
}

impl Outcome {
    pub(super) fn of(admitted: &Admitted) -> Outcome {
        Outcome {
            event: admitted.event.name(),
            status: Status::Applied,
            duplicate_of: None,
            differs: Vec::new(),
            customer: None,
            identity: None,
            segments: SegmentChanges::default(),
            points: Vec::new(),
            told_points: None,
            store_credit: Vec::new(),
            tier: None,
            tags: TagChanges::default(),
            redemptions: Vec::new(),
            referral: None,
            follow_ups: Vec::new(),
            prompts: Vec::new(),
            receipt: Vec::new(),
            plugins: Vec::new(),
            notes: admitted.event.notes.clone(),
        }
    }
}

/// A sale takes its order's name; whatever else speaks of an order only points to it.
fn orders(event: &Event) -> Vec<crate::event::OrderName> {
    event.business_key().cloned().into_iter().collect()
}

fn claims(event: &Event) -> Option<EventName> {
    match &event.body {
        Body::Profile(change) => change.claims.clone(),
        _ => None,
    }
}
