//! Redemption: points that a customer gives for something, and store credit with which they pay.
//!
//! They are set aside first and can be spent on nothing else; they are gone when somebody confirms,
//! and free again when somebody cancels, a second person says no, or nobody says anything in time.
//! That somebody had the points when they asked is checked when the event arrives. From then on it is
//! a fact, which no refold decides again. What tills redeem while they are not connected is in
//! [`crate::allowance`].
//!
//! Credit is set aside in the same way. What takes it is the sale's tender that carries the code
//! ([`crate::credit`]), and nothing else, so that no credit is taken twice for one sale.

use crate::admit::{Secret, base32, mac};
use crate::allowance;
use crate::change::{Decider, LotKey, LotKind, RedemptionRow, RedemptionState, TakingKind};
use crate::credit;
use crate::currency::Currency;
use crate::event::{
    Event, EventName, Instant, Points, RedemptionAct, RedemptionName, RedemptionStep, Reserve,
    SaleName,
};
use crate::fold::{DAY_MS, EarlyCode, Fold, Reservation};
use crate::ledger::Taking;
use crate::limits;
use crate::points::Award;
use crate::purse::TakingKey;
use crate::refusal::Refusal;
use crate::returns::Coming;
use crate::shop::Reward;
use crate::store::{Redeemed, RedemptionKnown};
use crate::walk::{Step, Walk};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Letters of a code: 50 bits, which nobody guesses.
const CODE_LETTERS: usize = 10;

/// The id of the redemption that an event begins. It depends on nothing but the event's name and the
/// merchant's secret, so that a replay makes the same ones.
pub fn id_of(source: &str, id: &str, secret: &Secret) -> String {
    let hash = mac(secret, "redemption", &[source.as_bytes(), id.as_bytes()]);
    format!("red_{}", base32(&hash[..15]))
}

/// What the customer shows for it: capitals and figures that nobody confuses.
pub(crate) fn code_of(event: &Event, secret: &Secret) -> String {
    let name = [event.source.as_bytes(), event.id.as_bytes()];
    let hash = mac(secret, "redemption-code", &name);
    let mut code = base32(&hash[..7]).to_uppercase();
    code.truncate(CODE_LETTERS);
    code
}

/// Whether an event says what becomes of the redemption that another one began.
pub fn is_of(event: &Event, begun: &Event, secret: &Secret) -> bool {
    let began = begun.redemption().map(|step| &step.of);
    match event.speaks_of_redemption() {
        Some(RedemptionName::Code(code)) => *code == code_of(begun, secret),
        name => name.is_some() && name == began,
    }
}

/// A code as people read it.
pub fn shown(code: &str) -> String {
    let (front, back) = code.split_at(code.len() / 2);
    format!("{front}-{back}")
}

/// A code as it was typed or read aloud, in the form in which it is kept; `None` if it is none.
pub fn normal_code(text: &str) -> Option<String> {
    let letters = text.chars().filter(|it| !it.is_whitespace() && *it != '-');
    let letters = letters.map(|letter| match letter.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        letter => letter,
    });
    let code: String = letters.take(CODE_LETTERS + 1).collect();
    let is_code = code.len() == CODE_LETTERS
        && code
            .chars()
            .all(|it| it.is_ascii_digit() || it.is_ascii_uppercase() && it != 'U');
    is_code.then_some(code)
}

/// Points that were given with a sale of this walk of which nobody has spoken yet.
pub struct Given {
    pub sale: SaleName,
    pub redeemed: Redeemed,
}

/// What the event does about redemptions, before rules are asked what it earns.
pub fn redeem(walk: &mut Walk, step: &mut Step) {
    let event = step.event.clone();
    if let Some(redemption) = event.redemption() {
        match &redemption.act {
            RedemptionAct::Reserve(what) => reserve(walk, step, &redemption.of, what),
            RedemptionAct::Offline(what) => allowance::redeem(walk, step, &redemption.of, what),
            _ => go_on(walk, step, redemption),
        }
        return;
    }
    let Some(sale) = event.sale() else {
        return;
    };
    let codes = sale.discounts.iter().filter_map(|it| it.code.as_deref());
    for code in codes.filter_map(normal_code) {
        let Some(id) = find(walk, &RedemptionName::Code(code.clone())) else {
            remember(walk, &event, code);
            continue;
        };
        if walk.fold.reservations[&id].currency == Currency::StoreCredit {
            step.note(format!(
                "{id} is store credit, which a tender of kind {:?} takes, and no discount",
                credit::TENDER
            ));
            continue;
        }
        if walk.fold.reservations[&id].awaits_approval {
            step.note(format!("{id} is not approved, and its code was used"));
            continue;
        }
        use_up(walk, step, id, event.name());
    }
}

/// A sale carries the code: what it is for was given with it.
fn use_up(walk: &mut Walk, step: &mut Step, id: String, sale: EventName) {
    confirm(walk, step, id.clone(), Some(SaleName::Sale(sale)));
    if !step.was_decided() {
        walk.given_unasked.push(id);
    }
}

/// Tills' clocks drift: what a code is for may be set aside a little later than it is used.
pub(crate) fn remember(walk: &mut Walk, event: &Event, code: String) {
    let early = &mut walk.fold.early_codes;
    early.retain(|it| it.at.0 + limits::AHEAD_MS_MAX > event.at.0);
    if early.len() >= limits::EARLY_CODES_MAX {
        early.remove(0);
    }
    early.push(EarlyCode {
        code,
        sale: event.name(),
        at: event.at,
    });
}

/// What nobody confirmed in time is free again.
pub fn time_out(walk: &mut Walk, step: &mut Step) {
    let now = step.event.at;
    let over = walk.fold.reservations.iter();
    let over: Vec<String> = over
        .filter(|(_, held)| held.until <= now)
        .map(|(id, _)| id.clone())
        .collect();
    for id in over {
        close(walk, step, id, RedemptionState::TimedOut, None);
    }
}

/// Nothing that is set aside is wanted any more.
pub(crate) fn cancel_all(walk: &mut Walk, step: &mut Step, reason: &str) {
    let open: Vec<String> = walk.fold.reservations.keys().cloned().collect();
    for id in open {
        close(
            walk,
            step,
            id,
            RedemptionState::Cancelled,
            Some(reason.into()),
        );
    }
}

/// A redemption that is open. An allowance has a code like all others, which opens nothing.
pub(crate) fn find(walk: &Walk, name: &RedemptionName) -> Option<String> {
    let held = &walk.fold.reservations;
    match name {
        RedemptionName::Id(id) => held.contains_key(id).then(|| id.clone()),
        RedemptionName::Code(code) => {
            let has_it = |held: &Reservation| held.code == *code && held.offline_until.is_none();
            let found = held.iter().find(|(_, held)| has_it(held));
            found.map(|(id, _)| id.clone())
        }
    }
}

fn reserve(walk: &mut Walk, step: &mut Step, name: &RedemptionName, what: &Reserve) {
    let RedemptionName::Id(id) = name else {
        return;
    };
    if !step.was_decided()
        && let Err(refusal) = check_reward(walk, step, what)
    {
        walk.refuse(refusal);
        return;
    }
    let held = Reservation {
        code: code_of(&step.event, walk.with.secret),
        currency: what.currency,
        points: what.points,
        reward: what.reward.clone(),
        worth: what.worth.clone(),
        minimum: what.minimum,
        limit: what.limit,
        alone: what.alone,
        reserved_at: step.event.at,
        until: what.until,
        awaits_approval: what.needs_approval,
        channel: step.event.channel,
        asked_by: step.event.actor(),
        offline_until: what.offline_until,
    };
    let state = match held.awaits_approval {
        true => RedemptionState::PendingApproval,
        false => RedemptionState::Reserved,
    };
    step.redemptions.push(RedemptionRow {
        actor: Some(held.asked_by.clone()),
        ..row(step, id.clone(), held.clone(), state)
    });
    let code = held.code.clone();
    walk.fold.reservations.insert(id.clone(), held);
    let since = step.event.at.0 - limits::AHEAD_MS_MAX;
    let early = &walk.fold.early_codes;
    let used = early.iter().find(|it| it.code == code && it.at.0 > since);
    let used = used.filter(|_| !what.needs_approval);
    let Some(sale) = used.map(|it| it.sale.clone()) else {
        return;
    };
    match what.currency {
        Currency::Points => use_up(walk, step, id.clone(), sale),
        Currency::StoreCredit => credit::was_paid_before(walk, step, id.clone(), sale),
    }
}

/// Nothing becomes of a redemption before it began, whatever the clocks of two tills say.
pub fn come_after_it_began(event: &Arc<Event>, known: Option<&RedemptionKnown>) -> Arc<Event> {
    let Some(known) = known.filter(|known| event.at <= known.reserved_at) else {
        return event.clone();
    };
    Arc::new(Event {
        at: Instant(known.reserved_at.0 + 1),
        ..Event::clone(event)
    })
}

/// Whether the customer may have it, apart from the points.
fn check_reward(walk: &Walk, step: &Step, what: &Reserve) -> Result<(), Refusal> {
    let refuse = |code, at: &str, problem: String| {
        Err(Refusal::NotNow {
            code,
            at: at.into(),
            problem,
        })
    };
    let open = &walk.fold.reservations;
    if open.len() >= limits::REDEMPTIONS_OPEN_MAX {
        return refuse(
            "too-many-redemptions",
            "/data/customer",
            format!(
                "{} redemptions of this customer are open; confirm or cancel some",
                open.len()
            ),
        );
    }
    let in_the_way = in_the_way(&walk.fold, what.alone);
    if let Some(id) = in_the_way.filter(|_| what.currency.is_points()) {
        return refuse(
            "reward-alone",
            "/data/reward",
            format!("it cannot be had beside {id}, which is open; confirm or cancel that first"),
        );
    }
    if let (Some(reward), Some((times, days))) = (&what.reward, what.limit)
        && had_within(&walk.fold, reward, days, step.event.at) >= times
    {
        return refuse(
            "reward-limit",
            "/data/reward",
            format!("the customer has had {reward} {times} times within {days} days"),
        );
    }
    Ok(())
}

/// How often a customer has had a reward within so many days, those among it that are open.
fn had_within(fold: &Fold, reward: &str, days: u32, now: Instant) -> u32 {
    let since = Instant(now.0 - i64::from(days) * DAY_MS);
    let had = fold.redeemed.get(reward);
    let had = had.map_or(0, |had| had.iter().filter(|at| **at > since).count());
    let held = fold.reservations.values();
    let held = held.filter(|held| held.reward.as_deref() == Some(reward));
    (had + held.count()) as u32
}

/// How often a customer may still have a reward; `None` where there is no limit.
pub fn left(fold: &Fold, reward: &Reward, now: Instant) -> Option<u32> {
    let limit = reward.limit?;
    let had = had_within(fold, &reward.key, limit.days, now);
    Some(limit.times.saturating_sub(had))
}

/// An open redemption beside which another one cannot be had.
pub fn in_the_way(fold: &Fold, alone: bool) -> Option<&str> {
    let open = fold.reservations.iter();
    let mut open = open.filter(|(_, other)| other.currency.is_points());
    let found = open.find(|(_, other)| alone || other.alone);
    found.map(|(id, _)| id.as_str())
}

/// Somebody said what becomes of a redemption that is open.
fn go_on(walk: &mut Walk, step: &mut Step, redemption: &RedemptionStep) {
    let Some(id) = find(walk, &redemption.of) else {
        // It was open when this arrived, or it would have been refused then.
        if !step.was_decided() {
            walk.refuse(closed(&redemption.of, RedemptionState::TimedOut));
        }
        return;
    };
    let held = &walk.fold.reservations[&id];
    let actor = step.event.actor();
    if !step.was_decided()
        && let Err(refusal) = check_act(&redemption.act, &id, held, &actor)
    {
        walk.refuse(refusal);
        return;
    }
    match &redemption.act {
        // These are begun, and not gone on with.
        RedemptionAct::Reserve(_) | RedemptionAct::Offline(_) => {}
        RedemptionAct::Confirm(sale) => confirm(walk, step, id, sale.clone()),
        RedemptionAct::Cancel(reason) | RedemptionAct::Deny(reason) => {
            let state = match redemption.act {
                RedemptionAct::Deny(_) => RedemptionState::Denied,
                _ => RedemptionState::Cancelled,
            };
            close(walk, step, id, state, Some(reason.clone()));
            walk.expire(step);
        }
        RedemptionAct::Approve(until) => {
            let Some(held) = walk.fold.reservations.get_mut(&id) else {
                return;
            };
            held.awaits_approval = false;
            held.until = *until;
            let held = held.clone();
            step.redemptions.push(RedemptionRow {
                actor: Some(actor),
                ..row(step, id, held, RedemptionState::Reserved)
            });
        }
    }
}

fn check_act(
    act: &RedemptionAct,
    id: &str,
    held: &Reservation,
    actor: &str,
) -> Result<(), Refusal> {
    let not_now = |code, problem: String| {
        Err(Refusal::NotNow {
            code,
            at: "/data/redemption".into(),
            problem,
        })
    };
    match (act, held.awaits_approval) {
        (RedemptionAct::Confirm(_), _) if held.currency == Currency::StoreCredit => not_now(
            "taken-by-its-tender",
            format!(
                "{id} is store credit: the sale takes it, with a tender of kind {:?} that has the code {}",
                credit::TENDER,
                shown(&held.code)
            ),
        ),
        (RedemptionAct::Confirm(_), _) if held.offline_until.is_some() => not_now(
            "an-allowance",
            format!("{id} is an allowance; redemption.offline says what was redeemed of it"),
        ),
        (RedemptionAct::Confirm(_), true) => not_now(
            "approval-required",
            format!("a second person has to approve {id} before it can be confirmed"),
        ),
        (RedemptionAct::Approve(_) | RedemptionAct::Deny(_), false) => {
            not_now("not-waiting", format!("{id} waits for nobody's approval"))
        }
        (RedemptionAct::Approve(_) | RedemptionAct::Deny(_), true) if held.asked_by == actor => {
            Err(Refusal::Forbidden {
                code: "same-person",
                at: "/data/actor".into(),
                problem: format!("{actor} asked for {id}; somebody else has to approve it"),
            })
        }
        _ => Ok(()),
    }
}

/// More is wanted than can be spent; below zero is what would be left.
pub fn insufficient(what: &Reserve, left: i64) -> Refusal {
    let (code, at) = match (what.currency, &what.reward) {
        (Currency::StoreCredit, _) => ("insufficient-credit", "/data/amount"),
        (Currency::Points, Some(_)) => ("insufficient-points", "/data/reward"),
        (Currency::Points, None) => ("insufficient-points", "/data/points"),
    };
    Refusal::NotNow {
        code,
        at: at.into(),
        problem: format!(
            "{} are wanted, and {} can be spent",
            what.currency.told(what.points),
            (left + what.points).max(0)
        ),
    }
}

/// A redemption that is open no more.
pub fn closed(name: &RedemptionName, state: RedemptionState) -> Refusal {
    let (at, name) = match name {
        RedemptionName::Id(id) => ("/data/redemption", id.clone()),
        RedemptionName::Code(code) => ("/data/code", format!("the code {}", shown(code))),
    };
    Refusal::NotNow {
        code: "redemption-closed",
        at: at.into(),
        problem: format!("{name} is {}; it works once", state.name()),
    }
}

fn confirm(walk: &mut Walk, step: &mut Step, id: String, sale: Option<SaleName>) {
    let Some(held) = walk.fold.reservations.remove(&id) else {
        return;
    };
    if let (Some(reward), Some((times, _))) = (&held.reward, held.limit) {
        let had = walk.fold.redeemed.entry(reward.clone()).or_default();
        had.push(step.event.at);
        let spare = had.len().saturating_sub(times as usize);
        had.drain(..spare);
    }
    let taking = Taking {
        key: TakingKey {
            step: step.event.position(),
            currency: Currency::Points,
            kind: TakingKind::Redeem,
            lot: None,
            redemption: Some(id.clone()),
        },
        points: held.points,
        debt: 0,
        reason: held.reward.clone().unwrap_or_else(|| "redeemed".into()),
        by: Decider::Staff(step.event.actor()),
    };
    let drawn = walk.take(step, taking);
    step.so_far.balance_after = walk.fold.points.balance;
    if let Some(sale) = &sale {
        let redeemed = Redeemed {
            currency: Currency::Points,
            id: Some(id.clone()),
            given_at: step.event.position(),
            reward: held.reward.clone(),
            points: held.points,
            drawn,
        };
        walk.give_for(sale.clone(), redeemed);
    }
    step.redemptions.push(RedemptionRow {
        sale,
        channel: step.event.channel,
        location: step.event.location.clone(),
        actor: step.event.staff.clone(),
        taken: held.points,
        ..row(step, id, held, RedemptionState::Confirmed)
    });
    walk.expire(step);
}

pub(crate) fn close(
    walk: &mut Walk,
    step: &mut Step,
    id: String,
    state: RedemptionState,
    reason: Option<String>,
) {
    let Some(held) = walk.fold.reservations.remove(&id) else {
        return;
    };
    if state == RedemptionState::TimedOut {
        step.note(format!(
            "{id} was not confirmed in time: its {} are free again",
            held.currency.told(held.points)
        ));
    }
    step.redemptions.push(RedemptionRow {
        reason: reason.filter(|reason| !reason.is_empty()),
        actor: step.event.staff.clone(),
        ..row(step, id, held, state)
    });
}

pub(crate) fn row(
    step: &Step,
    id: String,
    held: Reservation,
    state: RedemptionState,
) -> RedemptionRow {
    RedemptionRow {
        id,
        held,
        taken: 0,
        state,
        at: step.event.at,
        channel: None,
        location: None,
        sale: None,
        actor: None,
        reason: None,
    }
}

/// Whoever brings back what they paid for with points gets points, for as much of it as comes back:
/// those with the longest life first, and each ends when it would have ended. Credit comes back where the
/// sale is undone; of goods the return says how they were paid back.
pub fn give_back(walk: &mut Walk, step: &mut Step) {
    let Some(returning) = &step.returning else {
        return;
    };
    let sold = &walk.sold[returning.sale()];
    let gives_back = returning.gives_back.iter();
    let gives_back: Vec<(Redeemed, Coming)> = gives_back
        .map(|coming| (sold.redeemed[coming.at].of.clone(), *coming))
        .collect();
    let mut alike: BTreeMap<(Currency, String, Option<Instant>), u32> = BTreeMap::new();
    for (redeemed, coming) in gives_back {
        let currency = redeemed.currency;
        let reason = match currency {
            Currency::Points => {
                let reward = redeemed.reward.as_deref().unwrap_or("redeemed");
                format!("{reward}, came back")
            }
            Currency::StoreCredit => "the sale was undone".into(),
        };
        let mut ended = 0;
        for (ends, points) in slice(&redeemed, coming.from, coming.to) {
            if ends.is_some_and(|ends| ends <= step.event.at) {
                ended += points;
                continue;
            }
            let ordinal = alike.entry((currency, reason.clone(), ends)).or_default();
            let award = Award {
                by: Decider::Host,
                key: LotKey {
                    expires_at: ends,
                    ordinal: *ordinal,
                    ..LotKey::of_no_rule(
                        step.event.position(),
                        currency,
                        LotKind::GivenBack,
                        reason.clone(),
                    )
                },
                amount: points,
                shares: Vec::new(),
            };
            *ordinal += 1;
            walk.give(step, &award.key, award.amount);
            step.awards.push(award);
        }
        if ended > 0 {
            step.note(format!(
                "{}: {} would have ended by now and do not come back",
                redeemed.id.as_deref().unwrap_or(credit::TENDER),
                currency.told(ended)
            ));
        }
    }
    step.so_far.balance_after = walk.fold.points.balance;
}

/// The points from one place to another, counted from those with the longest life, by their end.
fn slice(redeemed: &Redeemed, from: Points, to: Points) -> Vec<(Option<Instant>, Points)> {
    let drawn: Points = redeemed.drawn.iter().map(|(_, points)| points).sum();
    // What no lot had paid for has no end.
    let mut by_life = redeemed.drawn.clone();
    by_life.push((None, redeemed.points - drawn));
    by_life.sort_by_key(|(ends, _)| ends.map(std::cmp::Reverse));
    let mut pieces: Vec<(Option<Instant>, Points)> = Vec::new();
    let mut place = 0;
    for (ends, points) in by_life {
        let begins = place.max(from);
        place += points;
        let taken = place.min(to) - begins;
        if taken <= 0 {
            continue;
        }
        match pieces.last_mut() {
            Some((last, sum)) if *last == ends => *sum += taken,
            _ => pieces.push((ends, taken)),
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_however_it_is_said() {
        for (text, code) in [
            ("7K3MQ-0P1XZ", Some("7K3MQ0P1XZ")),
            ("7k3mq 0p1xz", Some("7K3MQ0P1XZ")),
            ("7k3mqopixz", Some("7K3MQ0P1XZ")),
            ("7k3mqoplxz", Some("7K3MQ0P1XZ")),
            ("7k3mq0p1x", None),
            ("7k3mq0p1xzz", None),
            ("7k3mq0p1xü", None),
            ("SPRING-10", None),
            ("", None),
        ] {
            assert_eq!(normal_code(text).as_deref(), code, "{text:?}");
        }
        assert_eq!(shown("7K3MQ0P1XZ"), "7K3MQ-0P1XZ");
    }

    #[test]
    fn what_lives_longest_comes_back_first_and_all_of_it_once() {
        let ends = |at| Some(Instant(at));
        let redeemed = Redeemed {
            id: Some("red_1".into()),
            given_at: Default::default(),
            reward: None,
            points: 12,
            drawn: vec![(ends(50), 5), (ends(60), 4), (None, 2)],
            ..Redeemed::default()
        };
        let pieces = |from, to| slice(&redeemed, from, to);
        assert_eq!(pieces(0, 3), [(None, 3)]);
        assert_eq!(pieces(3, 8), [(ends(60), 4), (ends(50), 1)]);
        assert_eq!(pieces(8, 12), [(ends(50), 4)]);
        assert_eq!(pieces(0, 12), [(None, 3), (ends(60), 4), (ends(50), 5)]);
        assert_eq!(pieces(4, 4), []);
    }
}
