//! What people of the shop may give in a day, and sales that look like one.

use crate::{Bench, event, sale};
use serde_json::{Value, json};
use stampcard_pipeline::change::ReviewItem;
use stampcard_pipeline::outcome::Outcome;

const ANA: &str = "ana@example.com";
const BO: &str = "bo@example.com";

fn served(id: &str, time: &str, email: &str, cents: i64, device: &str, staff: &str) -> Value {
    let mut told = sale(id, time, email, cents);
    told["data"]["device"] = json!(device);
    told["data"]["staff"] = json!(staff);
    told
}

fn amounts(told: &Outcome) -> Vec<i64> {
    told.points.iter().map(|entry| entry.amount).collect()
}

fn limited() -> Bench {
    Bench::with(|file| {
        file.caps.points_per_device_day = Some(500);
        file.caps.points_per_staff_day = Some(300);
    })
}

#[test]
fn a_person_of_the_shop_gives_no_more_than_their_day_to_all_customers_together() {
    let bench = limited();
    let at = |hour: u32| format!("2024-05-01T{hour}:00:00-04:00");
    let told = bench.tell(&served("a", &at(10), ANA, 25_000, "till-1", "Leo"));
    assert_eq!(amounts(&told.unwrap()), [250]);
    let told = bench
        .tell(&served("b", &at(11), BO, 10_000, "till-2", "Leo"))
        .unwrap();
    assert_eq!(amounts(&told), [50]);
    assert_eq!(
        told.notes,
        ["points_per_staff_day: 100 points were capped to 50"]
    );
    let told = bench
        .tell(&served("c", &at(12), BO, 30_000, "till-1", "Mia"))
        .unwrap();
    assert_eq!(amounts(&told), [250], "the till had 250 left");
    assert_eq!(
        told.notes,
        ["points_per_device_day: 300 points were capped to 250"]
    );
    // The next day is another one.
    let next = "2024-05-02T00:00:00-04:00";
    let told = bench.tell(&served("d", next, ANA, 10_000, "till-1", "Leo"));
    assert_eq!(amounts(&told.unwrap()), [100]);
}

#[test]
fn what_staff_gives_by_hand_counts_and_is_refused_beyond_the_limit() {
    let bench = limited();
    bench
        .tell(&served(
            "a",
            "2024-05-01T10:00:00-04:00",
            ANA,
            25_000,
            "till-1",
            "Leo",
        ))
        .unwrap();
    let given = |id: &str, points: i64| {
        let data = json!({"customer": {"email": ANA}, "points": points, "reason": "goodwill", "actor": "Leo"});
        event(id, "points.adjusted", "2024-05-01T11:00:00-04:00", data)
    };
    let refusal = bench.tell(&given("g", 51)).unwrap_err();
    assert_eq!(
        (refusal.code(), refusal.pointer()),
        ("over-the-limit", "/data/points")
    );
    bench.tell(&given("h", 50)).unwrap();
    assert_eq!(
        bench.tell(&given("i", 1)).unwrap_err().code(),
        "over-the-limit"
    );
}

#[test]
fn the_room_of_a_sale_is_a_fact_that_no_later_decision_moves() {
    let bench = limited();
    bench
        .tell(&served(
            "a",
            "2024-05-01T10:00:00-04:00",
            BO,
            25_000,
            "till-1",
            "Leo",
        ))
        .unwrap();
    let told = bench.tell(&served(
        "b",
        "2024-05-01T12:00:00-04:00",
        ANA,
        10_000,
        "till-1",
        "Leo",
    ));
    assert_eq!(amounts(&told.unwrap()), [50]);
    // A late sale of another person: everything of Ana's is decided again, in the room that it had.
    let told = bench.tell(&served(
        "c",
        "2024-05-01T09:00:00-04:00",
        ANA,
        1_000,
        "till-9",
        "Mia",
    ));
    assert_eq!(amounts(&told.unwrap()), [10]);
    let inner = bench.store.inner.borrow();
    let ana = inner
        .customers
        .values()
        .find(|customer| customer.head.events == 2)
        .unwrap();
    assert_eq!(ana.head.points.balance, 60);
}

#[test]
fn two_sales_that_look_like_one_are_taken_and_left_for_somebody() {
    let bench = Bench::new();
    let at = |time: &str| format!("2024-05-01T10:{time}-04:00");
    bench.tell(&sale("a", &at("00:00"), ANA, 12_900)).unwrap();
    let told = bench.tell(&sale("b", &at("00:59"), ANA, 12_900)).unwrap();
    assert_eq!(amounts(&told), [129], "nothing is taken");
    assert_eq!(
        told.notes,
        [
            "this looks like till-1/a: the same customer, amount and place; somebody should look at it"
        ]
    );
    let mut elsewhere = sale("c", &at("01:00"), ANA, 12_900);
    elsewhere["data"]["location"] = json!("pier");
    for other in [
        elsewhere,
        sale("d", &at("01:00"), BO, 12_900),
        sale("e", &at("01:00"), ANA, 12_901),
        sale("f", &at("02:30"), ANA, 12_900),
    ] {
        assert_eq!(bench.tell(&other).unwrap().notes, [""; 0], "{other}");
    }
    let items = bench.store.inner.borrow().review_items.clone();
    assert!(
        matches!(&items[..], [ReviewItem::LooksTwice { sale }] if sale.id == "a"),
        "{items:?}"
    );
}
