//! Two customers and one set of events: what a friend does, in whatever order it arrives, and what
//! whoever brought them has of it.

use crate::native_rules::award;
use crate::order_of_arrival::{check_lots, ends};
use crate::{Bench, event, sale};
use proptest::prelude::*;
use serde_json::{Value, json};
use stampcard_pipeline::calendar;
use stampcard_pipeline::change::{CustomerId, ReviewItem};
use stampcard_pipeline::outcome::Outcome;
use stampcard_pipeline::refusal::Refusal;
use stampcard_pipeline::rules::{After, Amount, Award, OnReturn, PointAnswer, Recipient};
use stampcard_pipeline::shop::ReferralPolicy;

const ANA: &str = "ana@example.com";
const BO: &str = "bo@example.com";

fn to_referrer(points: i64, reason: &str) -> Award {
    Award {
        to: Recipient::Referrer,
        ..award(Amount::Bonus(points), reason)
    }
}

/// 200 points for whoever brings a friend and 100 for the friend; 500 for the friend's first purchase.
fn bench() -> Bench {
    let mut bench = Bench::with(|file| {
        file.referral = Some(ReferralPolicy {
            url: "https://shop.example/join?code={code}".into(),
            friends_per_day: 3,
        });
    });
    bench.rules.add_points("friends", |event, input| {
        let mut awards = Vec::new();
        let is_referred = input.referral.as_ref().is_some_and(|it| it.by.is_some());
        if event.kind == "referral.signup" {
            let keep = |award| Award {
                on_return: OnReturn::Keep,
                ..award
            };
            awards.push(keep(award(Amount::Bonus(100), "welcome")));
            awards.push(keep(to_referrer(200, "a friend joined")));
        }
        if event.sale().is_some() && is_referred && input.totals.lifetime.orders == 1 {
            awards.push(to_referrer(500, "a friend's first purchase"));
        }
        Ok(PointAnswer {
            awards,
            after: After::default(),
        })
    });
    bench
}

/// Ana joins, and has a code.
fn with_ana() -> (Bench, String) {
    let bench = bench();
    let told = bench
        .tell(&event(
            "ana",
            "loyalty.enrolled",
            "2024-05-01T10:00:00Z",
            json!({"customer": {"email": ANA}}),
        ))
        .unwrap();
    let referral = told.referral.expect("who joins has a code");
    let code = referral.code.unwrap();
    assert!(referral.url.unwrap().ends_with(&code.replace('-', "")));
    (bench, code)
}

fn joins(id: &str, time: &str, email: &str, code: &str) -> Value {
    let data = json!({"customer": {"email": email}, "code": code, "via": "instagram"});
    event(id, "referral.signup", time, data)
}

fn brings_back(id: &str, time: &str, sale: &str, cents: i64) -> Value {
    event(
        id,
        "return.completed",
        time,
        json!({"sale": {"source": "till-1", "id": sale}, "channel": "pos", "location": "soho",
               "currency": "USD", "amount": cents, "lines": [{"line": 1, "quantity": 1, "amount": cents}]}),
    )
}

fn customer(bench: &Bench, email: &str) -> CustomerId {
    let seen = bench.preview(&event(
        "who",
        "customer.identified",
        "2029-01-01T00:00:00Z",
        json!({"customer": {"email": email}}),
    ));
    CustomerId(seen.unwrap().customer.unwrap().id)
}

fn balance(bench: &Bench, email: &str) -> i64 {
    let id = customer(bench, email);
    bench.store.inner.borrow().customers[&id]
        .head
        .points
        .balance
}

fn code(refused: Result<Outcome, Refusal>) -> &'static str {
    match refused {
        Err(Refusal::Invalid { code, .. }) => code,
        other => panic!("it is refused, not {other:?}"),
    }
}

#[test]
fn both_are_given_points_when_a_friend_joins_and_both_events_say_so() {
    let (bench, code) = with_ana();
    let told = bench
        .tell(&joins(
            "bo",
            "2024-05-02T10:00:00Z",
            BO,
            &code.to_lowercase(),
        ))
        .unwrap();
    let referral = told.referral.unwrap();
    assert_eq!(referral.referrer_points, Some(200));
    assert!(
        referral.code.is_some_and(|own| own != code),
        "a code of their own"
    );
    assert_eq!((balance(&bench, ANA), balance(&bench, BO)), (200, 100));
    let inner = bench.store.inner.borrow();
    let (event, _, outcome) = inner.journal.last().unwrap();
    assert_eq!(event.kind, "referral.joined");
    let said = event.referral().unwrap();
    assert_eq!(Some(&said.referral), referral.id.as_ref());
    assert_eq!((said.of.id.as_str(), said.points()), ("bo", 200));
    assert_eq!(outcome.points[0].amount, 200);
    assert_eq!(outcome.points[0].plugin.as_deref(), Some("friends"));
}

#[test]
fn nobody_is_referred_by_themselves_in_a_circle_or_twice() {
    let (bench, ana) = with_ana();
    let refused = |id: &str, email: &str, with: &str| {
        code(bench.tell(&joins(id, "2024-05-03T10:00:00Z", email, with)))
    };
    assert_eq!(refused("x", ANA, &ana), "own-code");
    assert_eq!(refused("x", BO, "ABCDEFGHJK"), "unknown-code");
    assert_eq!(refused("x", BO, "OIL"), "unknown-code");
    let mut by_both = joins("x", "2024-05-03T10:00:00Z", BO, &ana);
    by_both["data"]["customer"]["phone"] = json!("+12125550100");
    bench
        .tell(&event(
            "phone",
            "customer.updated",
            "2024-05-01T11:00:00Z",
            json!({"customer": {"email": ANA, "phone": "+12125550100"}}),
        ))
        .unwrap();
    assert_eq!(code(bench.tell(&by_both)), "own-code", "her phone is hers");
    let told = bench
        .tell(&joins("bo", "2024-05-02T10:00:00Z", BO, &ana))
        .unwrap();
    let bo = told.referral.unwrap().code.unwrap();
    assert_eq!(refused("bo-2", BO, &ana), "referred-before");
    assert_eq!(refused("ana-2", ANA, &bo), "circular-referral");
    bench
        .tell(&sale("s", "2024-05-02T09:00:00Z", "cy@example.com", 1_000))
        .unwrap();
    assert_eq!(refused("cy", "cy@example.com", &ana), "already-a-customer");
    bench
        .tell(&event(
            "gone",
            "referral.revoked",
            "2024-05-04T10:00:00Z",
            json!({"customer": {"email": ANA}, "reason": "on a page of vouchers"}),
        ))
        .unwrap();
    assert_eq!(refused("di", "di@example.com", &ana), "code-revoked");
    assert_eq!((balance(&bench, ANA), balance(&bench, BO)), (200, 100));
}

#[test]
fn a_shop_without_a_programme_has_no_codes() {
    let bench = Bench::new();
    let told = bench
        .tell(&event(
            "ana",
            "loyalty.enrolled",
            "2024-05-01T10:00:00Z",
            json!({"customer": {"email": ANA}}),
        ))
        .unwrap();
    assert_eq!(told.referral, None);
    let refused = bench.tell(&joins("bo", "2024-05-02T10:00:00Z", BO, "ABCDEFGHJK"));
    assert_eq!(code(refused), "no-referral");
}

#[test]
fn what_a_friend_brings_back_takes_again_what_it_gave() {
    let (bench, code) = with_ana();
    for told in [
        joins("bo", "2024-05-02T10:00:00Z", BO, &code),
        sale("coat", "2024-05-03T10:00:00Z", BO, 10_000),
    ] {
        bench.tell(&told).unwrap();
    }
    assert_eq!(balance(&bench, ANA), 700);
    let mut keeps_it = brings_back("back", "2024-05-04T10:00:00Z", "coat", 4_000);
    keeps_it["data"]["lines"][0]["quantity"] = json!(0);
    let told = bench.tell(&keeps_it).unwrap();
    assert_eq!(told.referral.unwrap().referrer_points, Some(-200));
    assert_eq!(balance(&bench, ANA), 500);
    bench
        .tell(&brings_back("rest", "2024-05-05T10:00:00Z", "coat", 6_000))
        .unwrap();
    assert_eq!(balance(&bench, ANA), 200, "that the friend joined stays");
    let ana = customer(&bench, ANA);
    let inner = bench.store.inner.borrow();
    let head = &inner.customers[&ana].head;
    let referrals = head.referrals.as_ref().unwrap();
    assert_eq!((referrals.friends, referrals.points), (1, 200));
    assert_eq!(head.earned, 200);
}

#[test]
fn a_purchase_that_arrives_late_is_the_first_all_the_same() {
    let (bench, code) = with_ana();
    for told in [
        joins("bo", "2024-05-02T10:00:00Z", BO, &code),
        sale("second", "2024-05-04T10:00:00Z", BO, 10_000),
        sale("first", "2024-05-03T10:00:00Z", BO, 5_000),
    ] {
        bench.tell(&told).unwrap();
    }
    assert_eq!(balance(&bench, ANA), 700, "once");
    // Now it is the first that the points hang on.
    bench
        .tell(&brings_back("b2", "2024-05-05T10:00:00Z", "second", 10_000))
        .unwrap();
    assert_eq!(balance(&bench, ANA), 700);
    bench
        .tell(&brings_back("b1", "2024-05-05T11:00:00Z", "first", 5_000))
        .unwrap();
    assert_eq!(balance(&bench, ANA), 200);
}

#[test]
fn points_for_friends_have_an_end_for_the_day_and_the_friends_have_theirs() {
    let (bench, code) = with_ana();
    for friend in 0..5 {
        let email = format!("friend-{friend}@example.com");
        let time = format!("2024-05-02T1{friend}:00:00Z");
        bench.tell(&joins(&email, &time, &email, &code)).unwrap();
        assert_eq!(balance(&bench, &email), 100);
    }
    assert_eq!(balance(&bench, ANA), 600);
    let items = bench.store.inner.borrow().review_items.clone();
    let many = items
        .iter()
        .filter(|item| matches!(item, ReviewItem::ManyFriends { .. }));
    assert_eq!(many.count(), 2);
    bench
        .tell(&joins(
            "next",
            "2024-05-03T16:00:00Z",
            "next@example.com",
            &code,
        ))
        .unwrap();
    assert_eq!(balance(&bench, ANA), 800, "the next day is another day");
}

#[test]
fn what_somebody_is_given_for_a_friend_gives_nobody_points() {
    let mut bench = bench();
    bench.rules.more_points = Some(Box::new(|event, _| {
        let gives = event.kind.starts_with("referral.");
        let awards = gives.then(|| to_referrer(10, "and so on"));
        Ok(PointAnswer {
            awards: awards.into_iter().collect(),
            after: After::default(),
        })
    }));
    let mut codes = Vec::new();
    let ana = bench
        .tell(&event(
            "ana",
            "loyalty.enrolled",
            "2024-05-01T10:00:00Z",
            json!({"customer": {"email": ANA}}),
        ))
        .unwrap();
    codes.push(ana.referral.unwrap().code.unwrap());
    for (friend, hour) in [(BO, 11), ("cy@example.com", 12)] {
        let time = format!("2024-05-01T{hour}:00:00Z");
        let code = codes.last().unwrap();
        let told = bench.tell(&joins(friend, &time, friend, code)).unwrap();
        codes.push(told.referral.unwrap().code.unwrap());
    }
    assert_eq!((balance(&bench, ANA), balance(&bench, BO)), (10, 10));
}

#[test]
fn whoever_is_forgotten_is_given_nothing_more_and_their_friends_join_and_bring_back_all_the_same() {
    let (bench, code) = with_ana();
    for told in [
        joins("bo", "2024-05-02T10:00:00Z", BO, &code),
        sale("coat", "2024-05-03T10:00:00Z", BO, 10_000),
        event(
            "forget",
            "customer.deleted",
            "2024-05-04T10:00:00Z",
            json!({"customer": {"email": ANA}, "reason": "she asked for it"}),
        ),
        brings_back("back", "2024-05-05T10:00:00Z", "coat", 10_000),
        sale("hat", "2024-05-06T10:00:00Z", BO, 1_000),
    ] {
        bench.tell(&told).unwrap();
    }
    let inner = bench.store.inner.borrow();
    let told = inner
        .journal
        .iter()
        .filter(|(event, ..)| event.referral().is_some());
    assert_eq!(told.count(), 3, "joined, bought, brought back");
    let ana = inner
        .customers
        .values()
        .find(|it| it.head.erased_at.is_some());
    let balance = ana.unwrap().head.points.balance;
    assert_eq!(balance, 0, "they are gone already, and not taken again");
}

/// What happens to Ana and two friends who joined with her code.
#[derive(Clone, Debug)]
enum Act {
    /// The hour, who, and the cents.
    Buys(u32, usize, i64),
    /// The hour, which of the sales so far, and the cents.
    BringsBack(u32, usize, i64),
}

const THEY: [&str; 3] = [ANA, BO, "cy@example.com"];

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let buys = (0..200u32, 0..3usize, 100..20_000i64)
        .prop_map(|(at, who, cents)| Act::Buys(at, who, cents));
    let returns = (0..200u32, 0..8usize, 1..10_000i64)
        .prop_map(|(at, of, cents)| Act::BringsBack(at, of, cents));
    prop::collection::vec(prop_oneof![3 => buys, 2 => returns], 1..9)
}

fn told(acts: &[Act]) -> Vec<(u32, Value)> {
    let mut sales: Vec<(u32, String, i64)> = Vec::new();
    let mut told = Vec::new();
    let time = |hour: u32| {
        let (day, hour) = (3 + hour / 24, hour % 24);
        format!("2024-05-{day:02}T{hour:02}:00:00Z")
    };
    for (number, act) in acts.iter().enumerate() {
        match act {
            Act::Buys(at, who, cents) => {
                let id = format!("s{number}");
                told.push((*at, sale(&id, &time(*at), THEY[*who], *cents)));
                sales.push((*at, id, *cents));
            }
            Act::BringsBack(at, of, cents) => {
                let Some((sold, id, left)) = sales.get_mut(*of) else {
                    continue;
                };
                let (at, cents) = ((*at).max(*sold), (*cents).min(*left));
                *left -= cents;
                if cents > 0 {
                    let id = id.clone();
                    told.push((
                        at,
                        brings_back(&format!("r{number}"), &time(at), &id, cents),
                    ));
                }
            }
        }
    }
    told
}

fn cases() -> u32 {
    std::env::var("STAMPCARD_ORDERS").map_or(150, |cases| cases.parse().expect("it is a number"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn any_order_of_arrival_ends_the_same_for_friends_and_for_whoever_brought_them(
        acts in acts(),
        keys in prop::collection::vec(any::<u32>(), 16),
    ) {
        let mut in_order = told(&acts);
        let mut shuffled = in_order.clone();
        in_order.sort_by_key(|(at, _)| *at);
        let mut keys = keys.into_iter();
        shuffled.sort_by_cached_key(|_| keys.next());
        let after = |events: &[(u32, Value)]| {
            let (bench, code) = with_ana();
            for (hour, friend) in [(10, BO), (11, "cy@example.com")] {
                let time = format!("2024-05-02T{hour}:00:00Z");
                bench.tell(&joins(friend, &time, friend, &code)).unwrap();
            }
            for (_, event) in events {
                bench.tell(event).unwrap();
            }
            bench.clock(calendar::parse("2024-06-01T00:00:00Z").unwrap());
            bench
        };
        let (one, other) = (after(&in_order), after(&shuffled));
        for who in THEY {
            let id = customer(&one, who);
            prop_assert_eq!(&id, &customer(&other, who));
            let (one, other) = (one.store.inner.borrow(), other.store.inner.borrow());
            let (one, other) = (&one.customers[&id], &other.customers[&id]);
            check_lots(one)?;
            check_lots(other)?;
            prop_assert_eq!(ends(one), ends(other), "{}", who);
        }
    }
}
