//! What comes back: what plugins are told of it, what follows from it, and that nothing of it depends
//! on the order in which we hear of things.

use crate::native_rules::award;
use crate::{Bench, event, sale};
use serde_json::{Value, json};
use stampcard_pipeline::change::{Planned, ReviewItem};
use stampcard_pipeline::outcome::{EntryState, Status};
use stampcard_pipeline::rules::{After, Amount, Memory, PointAnswer, Returned};
use std::sync::{Arc, Mutex};

const ANA: &str = "ana@example.com";

fn coffees(id: &str, time: &str, pieces: i64) -> Value {
    let mut told = sale(id, time, ANA, 300 * pieces);
    told["data"]["lines"] = json!([{"sku": "COFFEE", "quantity": pieces, "unit_price": 300}]);
    told
}

fn back(id: &str, time: &str, of: &str, pieces: i64) -> Value {
    let data = json!({
        "sale": {"source": "till-1", "id": of}, "channel": "pos", "location": "pier", "currency": "USD",
        "amount": 300 * pieces, "lines": [{"line": 1, "quantity": pieces, "amount": 300 * pieces}],
    });
    event(id, "return.completed", time, data)
}

/// Ten coffees are worth 500 points. It counts in its memory, as an author's own card would.
fn stamp_card(bench: &mut Bench) {
    bench.rules.points = Box::new(|event, input| {
        let pieces = |thousandths: i64| thousandths / 1_000;
        let bought = event.sale().map(|sale| {
            sale.lines
                .iter()
                .map(|line| pieces(line.quantity))
                .sum::<i64>()
        });
        let back = input.returned.as_ref().map(|it| {
            it.lines
                .iter()
                .map(|line| pieces(line.quantity))
                .sum::<i64>()
        });
        let (had, paid) = input
            .state
            .as_ref()
            .map_or((0, 0), |state| (state[0] as i8, state[1] as i8));
        let count = i64::from(had) + bought.unwrap_or(0) - back.unwrap_or(0);
        let full = (count / 10).max(i64::from(paid));
        let mut answer = PointAnswer {
            after: After {
                memory: Memory::Replace(vec![count as u8, full as u8]),
                ..After::default()
            },
            ..PointAnswer::default()
        };
        if full > i64::from(paid) {
            let mut reward = award(Amount::Bonus(500 * (full - i64::from(paid))), "ten coffees");
            reward.on_return = stampcard_pipeline::rules::OnReturn::Keep;
            answer.awards.push(reward);
        }
        Ok(answer)
    });
}

#[test]
fn buy_ten_return_nine_buy_one_ends_the_same_in_every_order_of_arrival() {
    let events = [
        coffees("ten", "2024-05-01T10:00:00Z", 10),
        back("nine", "2024-05-02T10:00:00Z", "ten", 9),
        coffees("one", "2024-05-03T10:00:00Z", 1),
    ];
    let mut ends = Vec::new();
    for order in [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ] {
        let mut bench = Bench::new();
        stamp_card(&mut bench);
        for index in order {
            bench.tell(&events[index]).unwrap();
        }
        ends.push(bench.store.only_customer(|customer| {
            assert_eq!(
                customer.head.points.balance, 500,
                "{order:?}: the reward of the ten is kept"
            );
            assert_eq!(customer.head.memory["points"].bytes, [2, 1], "{order:?}");
            customer.head.clone()
        }));
    }
    for end in &ends {
        assert_eq!(*end, ends[0]);
    }
}

#[test]
fn a_return_takes_what_the_sale_earned_whatever_the_rules_say_today() {
    let mut bench = Bench::new();
    bench
        .tell(&sale("a", "2024-05-01T10:00:00Z", ANA, 10_000))
        .unwrap();
    // No points at all any more.
    bench.rules.points = Box::new(|_, _| Ok(PointAnswer::default()));
    let told = bench
        .tell(&back_all("r", "2024-05-02T10:00:00Z", "a", 10_000))
        .unwrap();
    assert_eq!(told.points[0].amount, -100);
    assert_eq!(told.customer.unwrap().balance, 0);
}

fn back_all(id: &str, time: &str, of: &str, amount: i64) -> Value {
    let data = json!({"sale": {"source": "till-1", "id": of}, "channel": "online", "currency": "USD", "amount": amount});
    event(id, "return.completed", time, data)
}

#[test]
fn a_plugin_is_told_of_the_sale_its_own_awards_and_what_it_kept() {
    let seen: Arc<Mutex<Vec<Returned>>> = Arc::default();
    let mut bench = Bench::new();
    let told = seen.clone();
    bench.rules.points = Box::new(move |event, input| {
        told.lock()
            .unwrap()
            .extend(input.returned.as_deref().cloned());
        if event.sale().is_none() {
            return Ok(PointAnswer::default());
        }
        Ok(PointAnswer {
            awards: vec![award(Amount::Base(30), "for coming")],
            after: After {
                keep_with_event: Some(b"a note".to_vec()),
                ..After::default()
            },
        })
    });
    bench.rules.add_points("other", |event, _| {
        let awards = event.sale().map(|_| award(Amount::Bonus(7), "another's"));
        Ok(PointAnswer {
            awards: awards.into_iter().collect(),
            after: After::default(),
        })
    });
    bench
        .tell(&coffees("ten", "2024-05-01T10:00:00Z", 10))
        .unwrap();
    bench
        .tell(&back("r1", "2024-05-02T10:00:00Z", "ten", 4))
        .unwrap();
    bench
        .tell(&back("r2", "2024-05-03T10:00:00Z", "ten", 4))
        .unwrap();
    let seen = seen.lock().unwrap();
    let (first, second) = (&seen[0], &seen[1]);
    assert_eq!((first.original.id.as_str(), first.amount), ("ten", 1_200));
    assert_eq!(first.original.kept.as_deref(), Some(&b"a note"[..]));
    let awards: Vec<_> = first
        .original
        .awards
        .iter()
        .map(|it| (it.amount, it.reversed))
        .collect();
    assert_eq!(awards, [(30, 0)], "its own and nobody else's");
    assert_eq!(first.lines[0].quantity, 4_000);
    assert!(first.original.returned.is_empty());
    assert_eq!(second.original.returned[0].quantity, 4_000);
    assert_eq!(second.original.returned_amount, 1_200);
    assert_eq!(second.original.awards[0].reversed, 12);
}

#[test]
fn nobody_is_thanked_for_what_they_have_brought_back() {
    let bench = Bench::new();
    bench
        .tell(&coffees("two", "2024-05-01T10:00:00Z", 2))
        .unwrap();
    let state = || {
        bench
            .store
            .only_customer(|customer| customer.follow_ups[0].state)
    };
    bench
        .tell(&back("r1", "2024-05-01T11:00:00Z", "two", 1))
        .unwrap();
    assert_eq!(state(), Planned::Planned, "one of them was kept");
    bench
        .tell(&back("r2", "2024-05-01T12:00:00Z", "two", 1))
        .unwrap();
    assert_eq!(state(), Planned::Cancelled);
}

#[test]
fn a_return_whose_clock_is_behind_comes_after_its_sale() {
    for first in [0, 1] {
        let bench = Bench::new();
        let events = [
            coffees("two", "2024-05-01T10:00:00Z", 2),
            back("r", "2024-05-01T09:58:00Z", "two", 2),
        ];
        bench.tell(&events[first]).unwrap();
        bench.tell(&events[1 - first]).unwrap();
        bench
            .tell(&sale("later", "2024-05-02T10:00:00Z", ANA, 1_000))
            .unwrap();
        // Late, so that everything is decided again.
        bench
            .tell(&sale("late", "2024-04-30T10:00:00Z", ANA, 1_000))
            .unwrap();
        bench.store.only_customer(|customer| {
            assert_eq!(customer.head.totals.lifetime.returns, 1);
            assert_eq!(
                customer.head.points.balance,
                10 + 10 + 5,
                "the third order is a regular's"
            );
        });
    }
}

#[test]
fn a_payment_that_fails_too_late_is_for_a_person_to_look_at() {
    let bench = Bench::new();
    let mut pending = sale("a", "2024-05-01T10:00:00Z", ANA, 10_000);
    pending["data"]["payment_state"] = json!("pending");
    let told = bench.tell(&pending).unwrap();
    assert_eq!(told.customer.unwrap().available, 0);
    let failed = json!({"sale": {"source": "till-1", "id": "a"}});
    let late = event("f", "payment.failed", "2024-05-02T10:00:00Z", failed);
    let told = bench.tell(&late).unwrap();
    assert!(told.points.is_empty());
    assert_eq!(told.customer.unwrap().available, 100);
    let items = bench.store.inner.borrow().review_items.clone();
    assert!(
        matches!(&items[..], [ReviewItem::PaymentFailedLate { sale }] if sale.id == "a"),
        "{items:?}"
    );
}

#[test]
fn a_shop_may_let_provisional_points_be_spent() {
    for (allowed, available) in [(false, 0), (true, 100)] {
        let bench = Bench::with(|file| file.policies.spend_provisional = allowed);
        let mut pending = sale("a", "2024-05-01T10:00:00Z", ANA, 10_000);
        pending["data"]["payment_state"] = json!("pending");
        let told = bench.tell(&pending).unwrap();
        assert_eq!(told.points[0].state, EntryState::Provisional);
        let now = told.customer.unwrap();
        assert_eq!((now.balance, now.available), (100, available), "{allowed}");
        let failed = json!({"sale": {"source": "till-1", "id": "a"}});
        let failed = event("f", "payment.failed", "2024-05-01T11:00:00Z", failed);
        let now = bench.tell(&failed).unwrap().customer.unwrap();
        assert_eq!((now.balance, now.available), (0, 0), "{allowed}");
    }
}

#[test]
fn what_waits_for_its_sale_says_so_and_takes_nothing() {
    let bench = Bench::new();
    let told = bench
        .tell(&back("r", "2024-05-02T10:00:00Z", "nowhere", 1))
        .unwrap();
    assert_eq!(told.status, Status::Parked);
    assert!(told.customer.is_none() && told.points.is_empty());
}

#[test]
fn the_largest_sale_is_the_largest_that_was_kept() {
    let bench = Bench::new();
    let mut largest = Vec::new();
    for (id, day, cents) in [("a", "01", 5_000), ("b", "02", 9_000), ("c", "03", 7_000)] {
        bench
            .tell(&sale(id, &format!("2024-05-{day}T10:00:00Z"), ANA, cents))
            .unwrap();
    }
    let look = || {
        bench
            .store
            .only_customer(|customer| customer.head.totals.largest_sale)
    };
    largest.push(look());
    bench
        .tell(&back_all("r1", "2024-05-04T10:00:00Z", "b", 9_000))
        .unwrap();
    largest.push(look());
    bench
        .tell(&back_all("r2", "2024-05-05T10:00:00Z", "c", 3_500))
        .unwrap();
    largest.push(look());
    assert_eq!(largest, [9_000, 7_000, 7_000]);
}
