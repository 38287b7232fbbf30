//! Allowances: what a till may redeem while it is not connected.
//!
//! A till asks for one while it can, and carries it: a text that names the customer, so many points and
//! until when, signed with the shop's own secret. The points are set aside from then on and for some
//! days more, so nobody else can spend them before the till has told what it did. It tells that with
//! `redemption.offline`, which counts as of its time and works once; what was not used is free again.
//!
//! What is redeemed beyond an allowance has happened all the same. A shop that does not refuse it takes
//! the points that are there, is owed the rest, and has somebody look at it.

use crate::admit::{Secret, base32, mac};
use crate::change::{CustomerId, Decider, RedemptionRow, RedemptionState, ReviewItem, TakingKind};
use crate::currency::Currency;
use crate::event::{
    Body, Event, Instant, Offline, Points, RedemptionAct, RedemptionName, RedemptionStep,
};
use crate::fold::Reservation;
use crate::ledger::Taking;
use crate::purse::TakingKey;
use crate::redemption;
use crate::refusal::Refusal;
use crate::store::{Redeemed, RedemptionKnown};
use crate::token::same;
use crate::walk::{Step, Walk};
use std::sync::Arc;

const PREFIX: &str = "sca_";
/// Bytes of the signature that are kept: 120 bits, which nobody guesses within an allowance's days.
const SIGNATURE_BYTES: usize = 15;

/// An allowance of this shop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// The redemption under which its points are set aside.
    pub redemption: String,
    pub customer: CustomerId,
    pub points: Points,
    /// A till may redeem by it until then. Whole seconds.
    pub until: Instant,
}

/// Why an allowance is worth nothing. What it said is not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AllowanceError {
    #[error("this is no allowance of this shop, or it was changed; nothing may be redeemed by it")]
    NotOurs,
    #[error("this allowance had ended by then; nothing may be redeemed by it")]
    Ended,
}

impl Allowance {
    /// The same allowance is the same text, however often it is asked for.
    pub fn sign(&self, secret: &Secret) -> String {
        let (redemption, customer) = (&self.redemption, &self.customer.0);
        let until_s = self.until.0.div_euclid(1_000);
        let signature = signature(secret, redemption, customer, self.points, until_s);
        format!(
            "{PREFIX}{redemption}.{customer}.{}.{until_s}.{signature}",
            self.points
        )
    }

    /// Reads the allowance by which something was redeemed at an instant.
    pub fn read(text: &str, secret: &Secret, at: Instant) -> Result<Allowance, AllowanceError> {
        let ours = || AllowanceError::NotOurs;
        let text = text.trim().strip_prefix(PREFIX).ok_or_else(ours)?;
        let parts: Vec<&str> = text.split('.').collect();
        let [redemption, customer, points, until, signed] = parts[..] else {
            return Err(AllowanceError::NotOurs);
        };
        let points: Points = points.parse().map_err(|_| AllowanceError::NotOurs)?;
        let until_s: i64 = until.parse().map_err(|_| AllowanceError::NotOurs)?;
        if !same(
            &signature(secret, redemption, customer, points, until_s),
            signed,
        ) {
            return Err(AllowanceError::NotOurs);
        }
        let until = Instant(until_s.saturating_mul(1_000));
        if at >= until {
            return Err(AllowanceError::Ended);
        }
        Ok(Allowance {
            redemption: redemption.into(),
            customer: CustomerId(customer.into()),
            points,
            until,
        })
    }
}

/// What the till carries for whom points were set aside.
pub fn text_of(row: &RedemptionRow, customer: &CustomerId, secret: &Secret) -> Option<String> {
    let until = row.held.offline_until?;
    let allowance = Allowance {
        redemption: row.id.clone(),
        customer: customer.clone(),
        points: row.held.points,
        until,
    };
    (row.state == RedemptionState::Reserved).then(|| allowance.sign(secret))
}

fn signature(
    secret: &Secret,
    redemption: &str,
    customer: &str,
    points: Points,
    until_s: i64,
) -> String {
    let parts = [
        redemption.as_bytes(),
        customer.as_bytes(),
        &points.to_le_bytes(),
        &until_s.to_le_bytes(),
    ];
    base32(&mac(secret, "allowance", &parts)[..SIGNATURE_BYTES])
}

/// That somebody had used the allowance, or given it back, is a fact of the arrival, which no refold
/// decides again. One that nobody had used in time is good for what was done in its time.
pub fn note_what_is_left(event: &mut Arc<Event>, known: Option<&RedemptionKnown>) {
    let is_gone = known
        .is_some_and(|known| !known.state.is_open() && known.state != RedemptionState::TimedOut);
    let is_news = |it: &Offline| it.allowance.is_some() && !it.came_too_late;
    if !is_gone || !event.offline().is_some_and(is_news) {
        return;
    }
    if let Body::Redemption(RedemptionStep {
        act: RedemptionAct::Offline(it),
        ..
    }) = &mut Arc::make_mut(event).body
    {
        it.came_too_late = true;
    }
}

/// Takes what a till has given.
pub fn redeem(walk: &mut Walk, step: &mut Step, name: &RedemptionName, what: &Offline) {
    let RedemptionName::Id(id) = name else {
        return;
    };
    let allowance = what.allowance.as_ref().filter(|_| !what.came_too_late);
    let allowance = allowance.and_then(|name| redemption::find(walk, name));
    let held = allowance
        .as_ref()
        .and_then(|id| walk.fold.reservations.get(id));
    let covered = held.map_or(0, |held| what.points.min(held.points));
    let beyond = what.points - covered;
    if beyond > 0 && !what.may_exceed && !step.was_decided() {
        walk.refuse(Refusal::NotNow {
            code: "beyond-the-allowance",
            at: "/data/points".into(),
            problem: format!(
                "the allowance covers {covered} points; redemption.offline.beyond in merchant.toml decides whether more is taken"
            ),
        });
        return;
    }
    if let Some(allowance) = allowance {
        // What was not used of it is free again.
        let reason = format!("used: {id}");
        redemption::close(
            walk,
            step,
            allowance,
            RedemptionState::Cancelled,
            Some(reason),
        );
    }
    let there = (walk.fold.available(Currency::Points, step.event.at) - covered).max(0);
    let debt = (beyond - there).max(0);
    let taking = Taking {
        key: TakingKey {
            step: step.event.position(),
            currency: Currency::Points,
            kind: TakingKind::Redeem,
            lot: None,
            redemption: Some(id.clone()),
        },
        points: what.points - debt,
        debt,
        reason: "redeemed".into(),
        by: Decider::Staff(step.event.actor()),
    };
    let drawn = walk.take(step, taking);
    walk.fold.points.debt += debt;
    if !step.was_decided() {
        walk.given_unasked.push(id.clone());
    }
    step.so_far.balance_after = walk.fold.points.balance;
    if beyond > 0 {
        say(walk, step, id, beyond, debt);
    }
    if let Some(sale) = &what.sale {
        let redeemed = Redeemed {
            id: Some(id.clone()),
            currency: Currency::Points,
            given_at: step.event.position(),
            reward: None,
            points: what.points,
            drawn,
        };
        walk.give_for(sale.clone(), redeemed);
    }
    let given = given(walk, step, what);
    let row = RedemptionRow {
        taken: what.points,
        sale: what.sale.clone(),
        channel: step.event.channel,
        location: step.event.location.clone(),
        actor: step.event.staff.clone(),
        ..redemption::row(step, id.clone(), given, RedemptionState::Confirmed)
    };
    step.redemptions.push(row);
    walk.expire(step);
}

fn say(walk: &mut Walk, step: &mut Step, id: &str, beyond: Points, debt: Points) {
    step.note(format!(
        "{beyond} points were redeemed that no allowance covers; {debt} of them were not there and are owed"
    ));
    if !step.was_decided() {
        walk.look_at(ReviewItem::RedeemedBeyond {
            redemption: id.into(),
            points: beyond,
            debt,
        });
    }
}

/// What was given, in the form of all redemptions: it was set aside and given in one.
fn given(walk: &Walk, step: &Step, what: &Offline) -> Reservation {
    Reservation {
        currency: Currency::Points,
        code: redemption::code_of(&step.event, walk.with.secret),
        points: what.points,
        reward: None,
        worth: what.worth.clone(),
        minimum: 0,
        limit: None,
        alone: false,
        reserved_at: step.event.at,
        until: step.event.at,
        awaits_approval: false,
        channel: step.event.channel,
        asked_by: step.event.actor(),
        offline_until: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: Secret = Secret([7; 32]);
    const UNTIL: Instant = Instant(1_772_463_600_000);

    fn allowance() -> Allowance {
        Allowance {
            redemption: "red_0r6h3m9c1w8k2f7d5t4b9n1q".into(),
            customer: CustomerId("cus_0r6h3m9c1w8k2f7d5t4b9n1q".into()),
            points: 300,
            until: UNTIL,
        }
    }

    #[test]
    fn an_allowance_says_what_was_signed_until_it_ends() {
        let text = allowance().sign(&SECRET);
        assert_eq!(text, allowance().sign(&SECRET));
        let read = |at| Allowance::read(&text, &SECRET, at);
        assert_eq!(read(Instant(0)), Ok(allowance()));
        assert_eq!(read(Instant(UNTIL.0 - 1)), Ok(allowance()));
        assert_eq!(read(UNTIL), Err(AllowanceError::Ended));
    }

    #[test]
    fn whatever_is_changed_of_an_allowance_makes_it_nobodys() {
        let good = allowance().sign(&SECRET);
        for place in 0..good.len() {
            let mut bytes = good.clone().into_bytes();
            bytes[place] = if bytes[place] == b'0' { b'1' } else { b'0' };
            let forged = String::from_utf8(bytes).unwrap();
            let read = Allowance::read(&forged, &SECRET, Instant(0));
            assert_eq!(read, Err(AllowanceError::NotOurs), "{forged}");
        }
        for text in ["", "sca_", "sca_a.b.1.2.c", "sct_a.b.c.d", &good[..60]] {
            let read = Allowance::read(text, &SECRET, Instant(0));
            assert_eq!(read, Err(AllowanceError::NotOurs), "{text}");
        }
        let others = Allowance::read(&good, &Secret([8; 32]), Instant(0));
        assert_eq!(others, Err(AllowanceError::NotOurs));
    }
}
