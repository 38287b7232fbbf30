//! Store credit: money that the shop owes a customer, and with which they pay.
//!
//! It comes in where a return says so and where staff gives it, and goes out where a sale has a tender of
//! this kind. All of that has happened when we hear of it: the goods are gone, so a tender of more than
//! there is takes the rest as a debt, or below zero, as the shop's policy has it for returns, and somebody
//! should look at it. A sale that is undone gives back the credit that it took, each part with the end
//! that it had ([`crate::redemption::give_back`]).

use crate::change::{Decider, LotKey, LotKind, RedemptionRow, RedemptionState, TakingKind};
use crate::currency::Currency;
use crate::event::{
    Body, CreditAdjustment, EventName, Instant, Money, RedemptionName, Sale, SaleName,
};
use crate::ledger::Taking;
use crate::points::Award;
use crate::purse::TakingKey;
use crate::redemption;
use crate::refusal::{Refusal, invalid};
use crate::shop::Shop;
use crate::store::Redeemed;
use crate::walk::{Step, Walk};

/// The kind of a tender that is store credit, and what `refund_to` of a return says.
pub const TENDER: &str = "store_credit";

/// What the event does to credit, after all that it does to points.
pub fn settle(walk: &mut Walk, step: &mut Step) {
    let event = step.event.clone();
    match &event.body {
        Body::Return(back) => {
            if let Some(to) = &back.to_credit {
                let what = (LotKind::Refund, Decider::Host);
                give(walk, step, what, "refunded", to.amount, to.expires_at, 0);
            }
        }
        Body::CreditAdjustment(adjustment) => adjust(walk, step, adjustment),
        _ => {}
    }
    let has_some = walk.fold.credit.is_some();
    if let Some(sale) = event.sale().filter(|_| event.pays_with_credit(has_some)) {
        pay(walk, step, sale);
    }
    let awards = step.awards.iter();
    let came_in = awards.filter(|award| award.key.currency == Currency::StoreCredit);
    let came_in = came_in.map(|award| award.amount).sum();
    walk.recover(step, Currency::StoreCredit, came_in, "owed for a sale");
    print(walk, step, came_in);
}

/// What the receipt says of it.
fn print(walk: &Walk, step: &mut Step, came_in: Money) {
    let shop = walk.with.shop;
    let takings = step.takings.iter();
    let taken = takings.filter(|taking| taking.key.currency == Currency::StoreCredit);
    let moved = came_in - taken.map(|taking| taking.points).sum::<Money>();
    let (Some(policy), true) = (&shop.file.store_credit, moved != 0) else {
        return;
    };
    let left = walk.fold.account(Currency::StoreCredit).balance;
    let own = walk.fold.language.iter().map(String::as_str);
    let languages: Vec<&str> = own.chain([shop.file.language.as_str()]).collect();
    let line = policy.receipt(&shown(moved, shop), &shown(left, shop), &languages);
    step.receipt.push(line);
}

/// An amount as a receipt has it, such as `-12.50 USD`.
fn shown(amount: Money, shop: &Shop) -> String {
    let unit = u64::from(shop.minor_units.max(1));
    let (whole, rest) = (amount.unsigned_abs() / unit, amount.unsigned_abs() % unit);
    let sign = if amount < 0 { "-" } else { "" };
    let rest = match unit.ilog10() as usize {
        0 => String::new(),
        digits => format!(".{rest:0digits$}"),
    };
    format!("{sign}{whole}{rest} {}", shop.file.currency)
}

fn adjust(walk: &mut Walk, step: &mut Step, adjustment: &CreditAdjustment) {
    let by = Decider::Staff(step.event.actor());
    let reason = &adjustment.reason;
    if adjustment.amount > 0 {
        let (what, ends) = ((LotKind::Adjustment, by), adjustment.expires_at);
        give(walk, step, what, reason, adjustment.amount, ends, 0);
        return;
    }
    let taking = Taking {
        key: TakingKey {
            step: step.event.position(),
            currency: Currency::StoreCredit,
            kind: TakingKind::Adjustment,
            lot: None,
            redemption: None,
        },
        points: -adjustment.amount,
        debt: 0,
        reason: reason.clone(),
        by,
    };
    walk.take(step, taking);
}

fn give(
    walk: &mut Walk,
    step: &mut Step,
    (kind, by): (LotKind, Decider),
    reason: &str,
    amount: Money,
    expires_at: Option<Instant>,
    ordinal: u32,
) {
    let award = Award {
        by,
        key: LotKey {
            expires_at,
            ordinal,
            ..LotKey::of_no_rule(step.event.position(), Currency::StoreCredit, kind, reason)
        },
        amount,
        shares: Vec::new(),
    };
    walk.give(step, &award.key, award.amount);
    step.awards.push(award);
}

/// Takes what the sale's tenders say. One below zero is what is left over for the customer, of
/// an exchange for example.
fn pay(walk: &mut Walk, step: &mut Step, sale: &Sale) {
    let mut wanted = 0;
    let tenders = sale.tenders.iter();
    let tenders = tenders.filter(|tender| tender.is_credit() && tender.amount != 0);
    for (ordinal, tender) in (0..).zip(tenders) {
        if tender.amount < 0 {
            let what = (LotKind::Refund, Decider::Host);
            let (left_over, ends) = (-tender.amount, tender.expires_at);
            give(walk, step, what, "left over", left_over, ends, ordinal);
            continue;
        }
        let set_aside = match &tender.code {
            Some(code) => use_set_aside(walk, step, code, tender.amount),
            None => 0,
        };
        wanted += tender.amount - set_aside;
    }
    if wanted > 0 {
        take(walk, step, wanted, None);
    }
    // What was free again and had ended ends now.
    walk.expire(step);
}

/// Takes what the tender needs of the credit that was set aside for its code; the rest is free again. Says
/// how much that was.
fn use_set_aside(walk: &mut Walk, step: &mut Step, code: &str, amount: Money) -> Money {
    let found = redemption::find(walk, &RedemptionName::Code(code.to_owned()));
    let found = found.filter(|id| !walk.fold.reservations[id].currency.is_points());
    let held = found.and_then(|id| walk.fold.reservations.remove_entry(&id));
    let Some((id, held)) = held else {
        let event = step.event.clone();
        redemption::remember(walk, &event, code.to_owned());
        step.note(format!(
            "nothing is set aside for the code {}: the tender takes what there is",
            redemption::shown(code)
        ));
        return 0;
    };
    let taken = held.points.min(amount);
    step.redemptions.push(RedemptionRow {
        sale: Some(SaleName::Sale(step.event.name())),
        taken,
        channel: step.event.channel,
        location: step.event.location.clone(),
        actor: step.event.staff.clone(),
        ..redemption::row(step, id.clone(), held, RedemptionState::Confirmed)
    });
    take(walk, step, taken, Some(id));
    taken
}

/// A sale paid with the code before anything was set aside for it, by the clock of its till: its tender
/// has taken what it needed.
pub(crate) fn was_paid_before(walk: &mut Walk, step: &mut Step, id: String, sale: EventName) {
    let Some(held) = walk.fold.reservations.remove(&id) else {
        return;
    };
    step.redemptions.push(RedemptionRow {
        sale: Some(SaleName::Sale(sale)),
        ..redemption::row(step, id, held, RedemptionState::Confirmed)
    });
}

fn take(walk: &mut Walk, step: &mut Step, amount: Money, redemption: Option<String>) {
    if !step.was_decided() {
        walk.paid_with_credit = Some(step.event.name());
    }
    let debt = walk.left_as_debt(Currency::StoreCredit, amount);
    if debt > 0 {
        step.note(format!(
            "{} was not there and is owed: the next credit pays for it",
            Currency::StoreCredit.told(debt)
        ));
        if !step.was_decided() {
            walk.overspent(step.event.name(), debt);
        }
    }
    let taking = Taking {
        key: TakingKey {
            step: step.event.position(),
            currency: Currency::StoreCredit,
            kind: TakingKind::Redeem,
            lot: None,
            redemption: redemption.clone(),
        },
        points: amount - debt,
        debt,
        reason: "paid with store credit".into(),
        by: Decider::Host,
    };
    let drawn = walk.take(step, taking);
    let redeemed = Redeemed {
        currency: Currency::StoreCredit,
        id: redemption,
        given_at: step.event.position(),
        reward: None,
        points: amount,
        drawn,
    };
    walk.give_for(SaleName::Sale(step.event.name()), redeemed);
}

/// Staff wants to take what is not there.
pub(crate) fn not_enough<T>(currency: Currency, problem: String) -> Result<T, Refusal> {
    match currency {
        Currency::Points => invalid("not-enough-points", "/data/points", problem),
        Currency::StoreCredit => invalid("not-enough-credit", "/data/amount", problem),
    }
}
