//! Two profiles that are one person, on a real file: what a merge comes to is what one profile would have
//! come to, and what is taken back is as if there had been none.

mod shop;

use serde_json::{Value, json};
use shop::*;
use stampcard_pipeline::admit::{Arrival, Sender};
use stampcard_pipeline::change::CustomerId;
use stampcard_pipeline::event::{Event, Instant};
use stampcard_pipeline::line::{self, Context};
use stampcard_pipeline::refusal::Refusal;
use stampcard_pipeline::rules::{
    Amount, Award, Call, Coverage, FollowUpAnswer, Input, Moment, NextReview, OnReturn, Plugin,
    PointAnswer, Recipient, ReviewCause, Rules, SegmentAnswer, TierAnswer,
};
use stampcard_pipeline::shop::Shop;
use stampcard_store::export::View;
use std::sync::Arc;

const MAIL: &str = "ana@example.com";
const PHONE: &str = "+12125550100";
/// When the profiles that a test plays with become one.
const MERGED: i64 = MAY + 29 * DAY;

/// Numbers that look random and are the same on every machine (an LCG with Knuth's constants).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: i64) -> i64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % end as u64) as i64
    }
}

/// How many random months are tried: enough for the gate, more in the soak.
fn tried() -> u64 {
    let given = std::env::var("STAMPCARD_LEDGERS").ok();
    given.and_then(|count| count.parse().ok()).unwrap_or(25)
}

/// A shop in which staff may take more points than there are: what is refused depends on arrival.
fn open_shop() -> TestShop {
    let mut shop = TestShop::new();
    let mut file = shop_file();
    file.policies.adjust_below_zero = true;
    shop.shop = Shop::new(file).unwrap();
    shop
}

fn by(other: bool) -> Value {
    match other {
        false => json!({"email": MAIL}),
        true => json!({"phone": PHONE}),
    }
}

/// The two profiles, or one that goes by both.
fn made(as_one: bool) -> [Value; 2] {
    let second = match as_one {
        true => json!({"email": MAIL, "phone": PHONE}),
        false => by(true),
    };
    let created = |id: &str, at, customer: Value| {
        event("loyalty.enrolled", id, at, json!({"customer": customer}))
    };
    [
        created("made-1", MAY - DAY, by(false)),
        created("made-2", MAY - DAY + HOUR, second),
    ]
}

/// Four weeks of what happens to two profiles, each event with its time: all within the late window of
/// the merge, because what comes later than that is decided without what was known before.
fn month(dice: &mut Dice) -> Vec<(i64, Value)> {
    let mut month: Vec<(i64, Value)> = Vec::new();
    let mut sales: Vec<(String, i64, i64)> = Vec::new();
    for number in 0..6 + dice.below(24) {
        let at = MAY + dice.below(24 * 24) * HOUR + number;
        let id = format!("e-{number:02}");
        let customer = by(dice.below(2) == 1);
        let event = match dice.below(10) {
            0 => {
                let tag = ["friend", "tailor"][dice.below(2) as usize];
                let kind = ["tag.added", "tag.removed"][dice.below(2) as usize];
                event(kind, &id, at, json!({"customer": customer, "tag": tag}))
            }
            1 => {
                let granted = dice.below(2) == 1;
                let data = json!({"customer": customer, "purpose": "email", "granted": granted});
                event("consent.changed", &id, at, data)
            }
            2 => {
                let ends = (dice.below(2) == 1).then(|| time(at + dice.below(40) * DAY + HOUR));
                let points = 1 + dice.below(300);
                let data = json!({"customer": customer, "points": points, "reason": "goodwill", "expires_at": ends});
                event("points.adjusted", &id, at, data)
            }
            3 => {
                let data = json!({"customer": customer, "points": -1 - dice.below(400), "reason": "abuse"});
                event("points.adjusted", &id, at, data)
            }
            4 if !sales.is_empty() => {
                let (sale, sold_at, cents) = sales[dice.below(sales.len() as i64) as usize].clone();
                let at = sold_at + 1 + dice.below(5 * 24) * HOUR + number;
                let data = json!({
                    "sale": {"source": "till-1", "id": sale}, "currency": "USD", "amount": 1 + dice.below(cents),
                });
                month.push((at, event("return.completed", &id, at, data)));
                continue;
            }
            5 => {
                let language = ["en", "es"][dice.below(2) as usize];
                let data = json!({"customer": customer, "language": language, "given_name": "Ana"});
                event("customer.updated", &id, at, data)
            }
            _ => {
                let cents = 100 + dice.below(60_000);
                sales.push((id.clone(), at, cents));
                sale_of(&id, customer, at, cents)
            }
        };
        month.push((at, event));
    }
    month
}

fn merge(id: &str, at: i64, keep: &str, other: &str) -> Value {
    let data = json!({"keep": keep, "other": other, "confirmed_on": "phone", "actor": "mia", "reason": "registered twice"});
    event("customer.merged", id, at, data)
}

fn unmerge(id: &str, at: i64, keep: &str, other: &str) -> Value {
    let data = json!({"keep": keep, "other": other, "actor": "mia", "reason": "two people"});
    event("customer.unmerged", id, at, data)
}

fn id_of(shop: &TestShop, event: &Value) -> String {
    shop.send(event).customer.unwrap().id
}

/// The shop's clock: whatever is due by then.
fn tick_all(shop: &TestShop, until: i64) {
    for _ in 0..2_000 {
        let due = shop.store.reads().due_customers(Instant(until), 1).unwrap();
        let Some((customer, at)) = due.into_iter().next() else {
            return;
        };
        shop.tick(&customer.0, at.0);
    }
    panic!("something stays due");
}

fn exported(shop: &TestShop) -> Vec<String> {
    let view = View {
        as_of: None,
        canonical: true,
    };
    let (mut customers, mut ledger) = (Vec::new(), Vec::new());
    let reads = shop.store.reads();
    reads.export_customers(view, &mut customers).unwrap();
    reads.export_ledger(view, &mut ledger).unwrap();
    let text = String::from_utf8([customers, ledger].concat()).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// The lines in which two shops differ, so that they can be read.
fn assert_same(found: &TestShop, expected: &TestShop, seed: u64) {
    let (found, expected) = (exported(found), exported(expected));
    let only = |these: &[String], those: &[String]| -> Vec<String> {
        let these = these.iter().filter(|line| !those.contains(line));
        these.cloned().collect()
    };
    let (more, less) = (only(&found, &expected), only(&expected, &found));
    assert!(
        found == expected,
        "seed {seed}: found {more:#?}, expected {less:#?}"
    );
}

/// Plays the month in some order of arrival, with what is to be done before the event of a number.
fn play(
    shop: &TestShop,
    month: &[(i64, Value)],
    order: &[usize],
    mut before: impl FnMut(&TestShop, usize),
) {
    for (turn, index) in order.iter().enumerate() {
        before(shop, turn);
        shop.send(&month[*index].1);
    }
    before(shop, order.len());
    tick_all(shop, MAY + 200 * DAY);
}

fn shuffled(dice: &mut Dice, length: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..length).collect();
    for at in (1..length).rev() {
        order.swap(at, dice.below(at as i64 + 1) as usize);
    }
    order
}

#[test]
fn a_merge_comes_to_what_one_profile_would_have_come_to_whenever_it_is_told() {
    for seed in 0..tried() {
        let mut dice = Dice(seed);
        let month = month(&mut dice);
        let order = shuffled(&mut dice, month.len());
        let merged_at = dice.below(order.len() as i64 + 1) as usize;
        let ticks = dice.below(3) == 0;

        let one = open_shop();
        made(true).iter().for_each(|event| drop(one.send(event)));
        play(&one, &month, &order, |_, _| ());

        let two = open_shop();
        let [keep, other] = made(false).map(|event| id_of(&two, &event));
        play(&two, &month, &order, |shop, turn| {
            if turn == merged_at {
                if ticks {
                    tick_all(shop, MERGED);
                }
                let told = shop.send(&merge("m-1", MERGED, &keep, &other));
                assert_eq!(told.customer.unwrap().id, keep);
                no_difference(shop);
            }
        });
        no_difference(&two);
        assert_same(&two, &one, seed);
    }
}

#[test]
fn a_merge_that_is_taken_back_leaves_what_there_would_be_without_it() {
    for seed in 1_000..1_000 + tried() {
        let mut dice = Dice(seed);
        let month = month(&mut dice);
        let order = shuffled(&mut dice, month.len());
        let merged_at = dice.below(order.len() as i64 + 1) as usize;
        let apart_at = merged_at + dice.below((order.len() - merged_at) as i64 + 1) as usize;

        let never = open_shop();
        made(false).iter().for_each(|event| drop(never.send(event)));
        play(&never, &month, &order, |_, _| ());

        let two = open_shop();
        let [keep, other] = made(false).map(|event| id_of(&two, &event));
        play(&two, &month, &order, |shop, turn| {
            if turn == merged_at {
                shop.send(&merge("m-1", MERGED, &keep, &other));
            }
            if turn == apart_at {
                let told = shop.send(&unmerge("u-1", MERGED + HOUR, &keep, &other));
                assert!(
                    !told.notes.iter().any(|it| it.contains("do not say")),
                    "{:?}",
                    told.notes
                );
                no_difference(shop);
            }
        });
        no_difference(&two);
        assert_same(&two, &never, seed);
    }
}

#[test]
fn points_are_conserved_to_the_last_one_and_every_name_leads_to_who_stays() {
    let shop = TestShop::new();
    let keep = id_of(&shop, &sale_of("s-1", by(false), MAY, 12_000));
    let other = id_of(&shop, &sale_of("s-2", by(true), MAY + HOUR, 7_700));
    let told = shop.send(&merge("m-1", MAY + DAY, &keep, &other));
    let now = told.customer.unwrap();
    assert_eq!((now.id.as_str(), now.balance), (keep.as_str(), 197));
    let moved: Vec<i64> = told.points.iter().map(|entry| entry.amount).collect();
    assert_eq!(moved, [77]);
    assert_eq!(
        shop.count("SELECT sum(amount) FROM entries WHERE kind = 'transfer'"),
        0
    );
    assert_eq!(shop.count("SELECT sum(amount) FROM entries"), 197);

    let old = shop
        .store
        .reads()
        .customer(&CustomerId(other.clone()))
        .unwrap();
    assert_eq!(old.unwrap().merged_into, Some(CustomerId(keep.clone())));
    let by_phone = shop.send(&sale_of("s-3", by(true), MAY + 2 * DAY, 1_000));
    assert_eq!(by_phone.customer.unwrap().id, keep);
    let by_old_id = shop.send(&sale_of("s-4", json!({"id": other}), MAY + 3 * DAY, 1_000));
    assert_eq!(by_old_id.customer.unwrap().balance, 217);
    let refund =
        json!({"sale": {"source": "till-1", "id": "s-2"}, "currency": "USD", "amount": 7_700});
    let returned = shop.send(&event("return.completed", "r-1", MAY + 4 * DAY, refund));
    let now = returned.customer.unwrap();
    assert_eq!((now.id, now.balance), (keep, 140), "the buyer is who stays");
    no_difference(&shop);
}

#[test]
fn a_segment_that_is_true_of_both_only_is_there_with_the_answer() {
    let shop = TestShop::new();
    let keep = id_of(&shop, &sale_of("s-1", by(false), MAY, 40_000));
    let other = id_of(&shop, &sale_of("s-2", by(true), MAY + HOUR, 40_000));
    let told = shop.send(&merge("m-1", MAY + DAY, &keep, &other));
    assert_eq!(told.customer.unwrap().tier.as_deref(), Some("silver"));
}

fn refused(shop: &TestShop, event: &Value) -> &'static str {
    match shop.process(event) {
        Err(Refusal::Invalid { code, .. }) => code,
        Err(other) => panic!("{other}"),
        Ok(committed) => panic!("{:?}", committed.outcome),
    }
}

#[test]
fn what_cannot_be_merged_is_refused_and_changes_nothing() {
    let shop = TestShop::new();
    let [ana, bo, cy] = ["A", "B", "C"].map(|card| id_of(&shop, &sale(card, card, MAY, 1_000)));
    let at = MAY + DAY;
    assert_eq!(refused(&shop, &merge("1", at, &ana, &ana)), "same-customer");
    assert_eq!(
        refused(&shop, &merge("2", at, &ana, "cus_nobody")),
        "unknown-customer"
    );
    assert_eq!(
        refused(&shop, &merge("3", at, "cus_nobody", &ana)),
        "unknown-customer"
    );
    assert_eq!(refused(&shop, &unmerge("4", at, &ana, &bo)), "not-merged");
    let before = exported(&shop);
    shop.send(&merge("5", at, &ana, &bo));
    let twice = shop.send(&merge("5", at, &ana, &bo));
    assert_eq!(serde_json::to_value(twice.status).unwrap(), "duplicate");
    assert_eq!(refused(&shop, &merge("6", at, &ana, &bo)), "already-merged");
    assert_eq!(refused(&shop, &merge("7", at, &bo, &ana)), "already-merged");
    assert_eq!(refused(&shop, &merge("8", at, &cy, &bo)), "merged-away");
    assert_eq!(refused(&shop, &merge("9", at, &bo, &cy)), "merged-away");
    assert_eq!(refused(&shop, &unmerge("10", at, &cy, &bo)), "not-merged");
    shop.send(&unmerge("11", at, &ana, &bo));
    assert_eq!(refused(&shop, &unmerge("12", at, &ana, &bo)), "not-merged");
    assert_eq!(exported(&shop), before);
    no_difference(&shop);
}

#[test]
fn a_merge_under_another_one_is_taken_back_after_it() {
    let shop = TestShop::new();
    let [ana, bo, cy] = ["A", "B", "C"].map(|card| id_of(&shop, &sale(card, card, MAY, 10_000)));
    let before = exported(&shop);
    let at = MAY + DAY;
    shop.send(&merge("1", at, &bo, &cy));
    shop.send(&merge("2", at, &ana, &bo));
    assert_eq!(
        id_of(&shop, &sale_of("s-4", json!({"id": cy}), at, 1_000)),
        ana
    );
    no_difference(&shop);
    assert_eq!(refused(&shop, &unmerge("3", at, &ana, &cy)), "not-merged");
    let told = shop.send(&unmerge("4", at, &ana, &bo));
    assert!(
        told.notes.iter().any(|it| it.contains("till-1/s-4")),
        "{:?}",
        told.notes
    );
    no_difference(&shop);
    let by_card = |id: &str, card: &str| id_of(&shop, &sale(id, card, at + HOUR, 100));
    assert_eq!(
        (by_card("s-5", "C"), by_card("s-6", "A")),
        (bo.clone(), ana.clone())
    );
    shop.send(&unmerge("5", at, &bo, &cy));
    assert_eq!(by_card("s-7", "C"), cy);
    no_difference(&shop);
    assert_ne!(exported(&shop), before);
    shop.send(&merge("6", at, &cy, &ana));
    assert_eq!(by_card("s-8", "A"), cy);
    no_difference(&shop);
}

#[test]
fn lots_keep_their_age_and_their_end() {
    let shop = TestShop::new();
    let give = |id: &str, other: bool, ends: i64| {
        let data = json!({"customer": by(other), "points": 50, "reason": "goodwill", "expires_at": time(ends)});
        event("points.adjusted", id, MAY + HOUR, data)
    };
    let keep = id_of(&shop, &sale_of("s-1", by(false), MAY, 100));
    let other = id_of(&shop, &sale_of("s-2", by(true), MAY, 100));
    shop.send(&give("g-1", false, MAY + 30 * DAY));
    shop.send(&give("g-2", true, MAY + 10 * DAY));
    shop.send(&merge("m-1", MAY + DAY, &keep, &other));
    tick_all(&shop, MAY + 10 * DAY);
    let balance = || shop.count("SELECT sum(balance) FROM customers");
    assert_eq!(balance(), 52, "what ends on the tenth day has ended then");
    tick_all(&shop, MAY + 30 * DAY);
    assert_eq!(balance(), 2);
    no_difference(&shop);
}

#[test]
fn what_is_known_of_both_is_known_of_who_stays() {
    let shop = TestShop::new();
    let tell = |id: &str, at: i64, data: Value| shop.send(&event("customer.updated", id, at, data));
    let home = json!({"line1": "1 Elm St", "city": "Troy", "country": "US"});
    let work = json!({"line1": "2 Oak Av", "city": "Troy", "country": "US"});
    let keep = tell(
        "p-1",
        MAY,
        json!({"customer": by(false), "given_name": "Ana", "addresses": [home]}),
    );
    let other = tell(
        "p-2",
        MAY + DAY,
        json!({"customer": by(true), "family_name": "Ruiz", "given_name": "Anna", "addresses": [home, work]}),
    );
    let (keep, other) = (keep.customer.unwrap().id, other.customer.unwrap().id);
    let person = |id: &str| shop.store.reads().person(&CustomerId(id.into())).unwrap();
    let before = (person(&keep), person(&other));
    shop.send(&merge("m-1", MAY + 2 * DAY, &keep, &other));
    let both = person(&keep);
    assert_eq!(both.fields["given_name"], "Anna", "what was said last");
    assert_eq!(both.fields["family_name"], "Ruiz");
    let addresses: Value = serde_json::from_str(&both.fields["addresses"]).unwrap();
    let lines: Vec<_> = addresses
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["line1"])
        .collect();
    assert_eq!(lines, ["1 Elm St", "2 Oak Av"]);
    assert_eq!(both.identifiers.len(), 2);
    assert_eq!(person(&other), Default::default());
    shop.send(&unmerge("u-1", MAY + 3 * DAY, &keep, &other));
    assert_eq!((person(&keep), person(&other)), before);
}

#[test]
fn one_message_of_each_occasion_is_left() {
    let shop = TestShop::new();
    let keep = id_of(&shop, &sale_of("s-1", by(false), MAY, 1_000));
    let other = id_of(&shop, &sale_of("s-2", by(true), MAY + HOUR, 1_000));
    let planned = || {
        shop.count("SELECT count(*) FROM outbox WHERE template = 'welcome' AND state = 'planned'")
    };
    assert_eq!(planned(), 2);
    shop.send(&merge("m-1", MAY + DAY, &keep, &other));
    assert_eq!(planned(), 1);
    shop.send(&unmerge("u-1", MAY + DAY + HOUR, &keep, &other));
    assert_eq!(planned(), 2);
    no_difference(&shop);
}

#[test]
fn an_older_yes_does_not_undo_a_no() {
    let shop = TestShop::new();
    let consent = |id: &str, at: i64, other: bool, granted: bool, chosen: i64| {
        let data = json!({"customer": by(other), "purpose": "email", "granted": granted, "at": time(chosen)});
        shop.send(&event("consent.changed", id, at, data))
            .customer
            .unwrap()
            .id
    };
    let keep = consent("c-1", MAY, false, false, MAY);
    let other = consent("c-2", MAY + DAY, true, true, MAY - 30 * DAY);
    shop.send(&merge("m-1", MAY + 2 * DAY, &keep, &other));
    let head = shop
        .store
        .reads()
        .customer(&CustomerId(keep))
        .unwrap()
        .unwrap()
        .head;
    assert!(!head.consents["email"].granted);
}

/// The rules of the shop, and 100 points on the tenth day, which end with the month.
struct Birthdays(TestRules);

impl Rules for Birthdays {
    fn plugins(&self) -> &[Plugin] {
        self.0.plugins()
    }

    fn segment_rule(&self, at: usize, event: &Arc<Event>, input: &Input) -> Call<SegmentAnswer> {
        self.0.segment_rule(at, event, input)
    }

    fn point_formula(&self, at: usize, event: &Arc<Event>, input: &Input) -> Call<PointAnswer> {
        let mut call = self.0.point_formula(at, event, input);
        let Ok(answer) = &mut call.result else {
            return call;
        };
        if event.sale().is_some() && event.at.0 < MAY + 10 * DAY {
            answer.after.next_review = NextReview::At(Instant(MAY + 10 * DAY));
        }
        if input.review.contains(&ReviewCause::Asked) {
            answer.after.next_review = NextReview::Never;
            answer.awards.push(Award {
                amount: Amount::Bonus(100),
                to: Recipient::Customer,
                covers: Coverage::Whole,
                reason: "birthday".into(),
                available_from: None,
                expires_at: Some(Moment::At(Instant(MAY + 31 * DAY))),
                on_return: OnReturn::Keep,
                attributes: Vec::new(),
            });
        }
        call
    }

    fn tier_rule(&self, at: usize, event: &Arc<Event>, input: &Input) -> Call<TierAnswer> {
        self.0.tier_rule(at, event, input)
    }

    fn follow_up_trigger(
        &self,
        at: usize,
        event: &Arc<Event>,
        input: &Input,
    ) -> Call<FollowUpAnswer> {
        self.0.follow_up_trigger(at, event, input)
    }
}

#[test]
fn one_person_has_one_birthday_also_where_it_is_over() {
    for until in [MAY + 12 * DAY, MAY + 33 * DAY] {
        let shop = TestShop::new();
        let rules = Birthdays(TestRules::new());
        let with = || Context {
            rules: &rules,
            ..shop.context()
        };
        let take = |arrival: &Arrival| {
            let committed = line::process(&shop.store, with(), arrival, NOW).unwrap();
            committed.durable.wait().unwrap();
            committed.outcome
        };
        let till = Sender::operator("till");
        let tell = |event: &Value| {
            take(&Arrival::Told(&serde_json::to_vec(event).unwrap(), &till))
                .customer
                .unwrap()
        };
        let tick = |until: i64| {
            while let Some((customer, at)) = shop
                .store
                .reads()
                .due_customers(Instant(until), 1)
                .unwrap()
                .pop()
            {
                take(&Arrival::Due { customer, at });
            }
        };
        let keep = tell(&sale_of("s-1", by(false), MAY, 1_000)).id;
        let other = tell(&sale_of("s-2", by(true), MAY + HOUR, 1_000)).id;
        tick(until);
        let is_over = until > MAY + 31 * DAY;
        let balance = || shop.count("SELECT sum(balance) FROM customers");
        assert_eq!(balance(), if is_over { 20 } else { 220 });
        let now = tell(&merge("m-1", until, &keep, &other));
        assert_eq!(now.balance, if is_over { 20 } else { 120 });
        no_difference(&shop);
        let late = tell(&sale_of("s-3", by(true), MAY + 2 * DAY, 500));
        assert_eq!(late.balance, if is_over { 25 } else { 125 });
        no_difference(&shop);
        tick(MAY + 33 * DAY);
        assert_eq!(balance(), 25);
        no_difference(&shop);
        tell(&unmerge("u-1", until + DAY, &keep, &other));
        no_difference(&shop);
    }
}
