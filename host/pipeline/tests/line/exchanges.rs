//! Goods for other goods, and orders that are edited: what they take back, what they give, and that
//! the order in which we hear of them makes no difference.

use crate::native_rules::award;
use crate::{Bench, event, sale};
use serde_json::{Value, json};
use stampcard_pipeline::outcome::{Outcome, Status};
use stampcard_pipeline::rules::{Amount, PointAnswer};

const ANA: &str = "ana@example.com";

/// Two jackets and a hat, for 300.00.
fn jackets(id: &str, time: &str) -> Value {
    let mut told = sale(id, time, ANA, 30_000);
    told["data"]["order"] = json!({"system": "web", "id": id});
    told["data"]["lines"] = json!([
        {"sku": "JACKET", "category": "jackets", "quantity": 2, "unit_price": 12_000},
        {"sku": "HAT", "category": "hats", "quantity": 1, "unit_price": 6_000},
    ]);
    told
}

/// One piece of the first line of a sale for a coat.
fn for_a_coat(id: &str, time: &str, of: &str, amount: i64, coat: i64) -> Value {
    let data = json!({
        "sale": {"source": "till-1", "id": of}, "channel": "pos", "location": "pier", "currency": "USD",
        "returned": [{"line": 1, "quantity": 1}], "amount": amount,
        "lines": [{"sku": "COAT", "category": "coats", "quantity": 1, "unit_price": coat}], "total": coat,
    });
    event(id, "exchange.completed", time, data)
}

fn back(id: &str, time: &str, of: &str, line: u32, amount: i64) -> Value {
    let data = json!({
        "sale": {"source": "till-1", "id": of}, "channel": "online", "currency": "USD",
        "amount": amount, "lines": [{"line": line, "quantity": 1, "amount": amount}],
    });
    event(id, "return.completed", time, data)
}

/// The hat goes, a scarf for 20.00 comes.
fn edited(id: &str, time: &str, of: &str) -> Value {
    let data = json!({
        "order": {"system": "web", "id": of}, "currency": "USD",
        "removed": [{"line": 2, "quantity": 1}], "amount": 6_000,
        "added": [{"sku": "SCARF", "category": "scarves", "quantity": 1, "unit_price": 2_000}], "total": 2_000,
    });
    event(id, "order.edited", time, data)
}

/// So many points per dollar of what was bought, or added to what was bought.
fn earns(bench: &mut Bench, points: i64) {
    bench.rules.points = Box::new(move |event, _| {
        let awards = event.basket().map(|basket| {
            let base = Amount::Base(points * (basket.total / 100));
            award(base, "points per dollar")
        });
        Ok(PointAnswer {
            awards: awards.into_iter().collect(),
            ..PointAnswer::default()
        })
    });
}

fn amounts(told: &Outcome) -> Vec<i64> {
    told.points.iter().map(|entry| entry.amount).collect()
}

fn refused(bench: &Bench, told: &Value) -> (String, String) {
    let refusal = bench.tell(told).unwrap_err();
    (refusal.code().to_owned(), refusal.pointer().to_owned())
}

/// Tells the events in every order; says what they come to, which is always the same.
fn in_every_order(events: &[Value]) -> stampcard_pipeline::fold::Fold {
    let mut ends = Vec::new();
    for order in orders(events.len()) {
        let mut bench = Bench::new();
        earns(&mut bench, 1);
        let known = json!({"customer": {"email": ANA}});
        let known = event("0", "customer.created", "2024-04-01T10:00:00Z", known);
        bench.tell(&known).unwrap();
        for index in &order {
            bench.tell(&events[*index]).unwrap();
        }
        bench.store.only_customer(|customer| {
            crate::order_of_arrival::check_lots(customer).unwrap();
            ends.push((order, customer.head.clone()));
        });
    }
    for (order, end) in &ends {
        assert_eq!(*end, ends[0].1, "{order:?}");
    }
    ends.swap_remove(0).1
}

fn orders(length: usize) -> Vec<Vec<usize>> {
    if length == 0 {
        return vec![Vec::new()];
    }
    let shorter = orders(length - 1);
    let with = |order: &Vec<usize>, at: usize| {
        let mut order = order.clone();
        order.insert(at, length - 1);
        order
    };
    shorter
        .iter()
        .flat_map(|order| (0..length).map(move |at| with(order, at)))
        .collect()
}

#[test]
fn an_exchange_is_the_net_of_what_came_back_and_what_was_taken() {
    let bench = Bench::new();
    bench.tell(&jackets("s", "2024-05-01T10:00:00Z")).unwrap();
    let coat = for_a_coat("x", "2024-05-03T10:00:00Z", "s", 12_000, 15_000);
    let told = bench.tell(&coat).unwrap();
    assert_eq!(amounts(&told), [150, -120]);
    assert_eq!(told.customer.unwrap().balance, 330);
    bench.store.only_customer(|customer| {
        let all = &customer.head.totals.lifetime;
        assert_eq!((all.orders, all.spend), (2, 45_000));
        assert_eq!((all.returns, all.returned), (1, 12_000));
        let jackets = &customer.head.facts["category"].tallies["jackets"];
        assert_eq!((jackets.orders, jackets.returned), (1, 12_000));
        assert_eq!(customer.head.facts["category"].tallies["coats"].orders, 1);
    });
}

#[test]
fn what_was_taken_in_exchange_comes_back_like_any_sale_in_any_order_of_arrival() {
    let end = in_every_order(&[
        jackets("s", "2024-05-01T10:00:00Z"),
        for_a_coat("x", "2024-05-03T10:00:00Z", "s", 12_000, 15_000),
        for_a_coat("y", "2024-05-04T10:00:00Z", "x", 15_000, 20_000),
        back("r", "2024-05-05T10:00:00Z", "y", 1, 20_000),
    ]);
    assert_eq!(end.points.balance, 180, "a jacket and the hat were kept");
    assert_eq!(
        (end.totals.lifetime.orders, end.totals.lifetime.returns),
        (3, 3)
    );
}

#[test]
fn a_chain_of_exchanges_at_tills_whose_clocks_are_behind_keeps_its_order() {
    let end = in_every_order(&[
        jackets("s", "2024-05-01T10:00:00Z"),
        for_a_coat("x", "2024-05-01T09:59:00Z", "s", 12_000, 15_000),
        back("r", "2024-05-01T09:58:00Z", "x", 1, 15_000),
        sale("later", "2024-05-02T10:00:00Z", ANA, 1_000),
    ]);
    assert_eq!(end.points.balance, 180 + 10);
}

#[test]
fn while_the_sale_of_an_exchange_is_not_there_both_wait() {
    let bench = Bench::new();
    let coat = for_a_coat("x", "2024-05-03T10:00:00Z", "s", 12_000, 15_000);
    assert_eq!(bench.tell(&coat).unwrap().status, Status::Parked);
    let back = back("r", "2024-05-05T10:00:00Z", "x", 1, 15_000);
    assert_eq!(bench.tell(&back).unwrap().status, Status::Parked);
    let told = bench.tell(&jackets("s", "2024-05-01T10:00:00Z")).unwrap();
    assert_eq!(amounts(&told), [300, 150, -120, -150]);
}

#[test]
fn plugins_see_an_exchange_as_what_came_back_and_what_was_bought() {
    let mut bench = Bench::new();
    bench.rules.points = Box::new(|event, input| {
        let back = input.returned.as_ref().map(|it| {
            assert_eq!(it.original.sale.lines.len(), 2, "the whole sale is told");
            assert_eq!(it.original.awards[0].amount, 3);
            it.lines[0].quantity
        });
        if event.kind == "exchange.completed" {
            assert_eq!(back, Some(1_000));
        }
        let lines = event.basket().map(|basket| 1 + basket.lines.len() as i64);
        let awards = lines.map(|lines| award(Amount::Base(lines), "for lines"));
        Ok(PointAnswer {
            awards: awards.into_iter().collect(),
            ..PointAnswer::default()
        })
    });
    bench.tell(&jackets("s", "2024-05-01T10:00:00Z")).unwrap();
    let told = bench
        .tell(&for_a_coat(
            "x",
            "2024-05-03T10:00:00Z",
            "s",
            12_000,
            15_000,
        ))
        .unwrap();
    assert_eq!(amounts(&told), [2, -1]);
}

#[test]
fn what_an_exchange_takes_back_makes_room_under_the_limit_of_a_day() {
    let bench = Bench::with(|file| file.caps.points_per_day = Some(300));
    bench.tell(&jackets("s", "2024-05-01T10:00:00Z")).unwrap();
    let told = bench
        .tell(&for_a_coat(
            "x",
            "2024-05-01T12:00:00Z",
            "s",
            12_000,
            15_000,
        ))
        .unwrap();
    assert_eq!(amounts(&told), [120, -120], "the day was full");
}

#[test]
fn an_exchange_that_cannot_be_is_refused_by_name() {
    let bench = Bench::new();
    bench.tell(&jackets("s", "2024-05-01T10:00:00Z")).unwrap();
    let table = [
        ("/sale/id", json!("x"), "its-own-sale", "/data"),
        ("/lines", json!([]), "nothing-new", "/data/lines"),
        ("/total", json!(1), "sum", "/data/total"),
        ("/amount", json!(-1), "negative-amount", "/data/amount"),
        (
            "/returned/0/line",
            json!(3),
            "unknown-line",
            "/data/returned/0/line",
        ),
        (
            "/returned/0/quantity",
            json!("x"),
            "quantity",
            "/data/returned/0/quantity",
        ),
        (
            "/tenders",
            json!([{"kind": "card", "amount": 15_000}]),
            "tenders",
            "/data/tenders",
        ),
        (
            "/location",
            Value::Null,
            "location-required",
            "/data/location",
        ),
        (
            "/new_order",
            json!({"system": "stampcard-token", "id": "1"}),
            "reserved-system",
            "/data/new_order/system",
        ),
    ];
    for (path, value, code, place) in table {
        let mut told = for_a_coat("x", "2024-05-03T10:00:00Z", "s", 12_000, 15_000);
        let data = &mut told["data"];
        match data.pointer_mut(path) {
            Some(field) => *field = value,
            None => data[&path[1..]] = value,
        }
        let expected = (code.to_owned(), place.to_owned());
        assert_eq!(refused(&bench, &told), expected, "{path}");
    }
    let mut paid = for_a_coat("x", "2024-05-03T10:00:00Z", "s", 12_000, 15_000);
    paid["data"]["tenders"] = json!([{"kind": "card", "amount": 3_000}]);
    bench.tell(&paid).unwrap();
}

#[test]
fn an_edit_takes_what_the_order_earned_and_gives_what_is_added_and_is_no_second_sale() {
    let mut bench = Bench::new();
    bench.tell(&jackets("s", "2024-05-01T10:00:00Z")).unwrap();
    // Whatever rules give today: the hat goes for what it earned.
    earns(&mut bench, 2);
    let told = bench
        .tell(&edited("e", "2024-05-03T10:00:00Z", "s"))
        .unwrap();
    assert_eq!(amounts(&told), [40, -60]);
    bench.store.only_customer(|customer| {
        let head = &customer.head;
        let all = &head.totals.lifetime;
        assert_eq!((all.orders, all.returns), (1, 0));
        assert_eq!((all.spend, all.returned), (26_000, 0));
        assert_eq!(
            head.totals.channels[0].spend, 26_000,
            "in the channel of the sale"
        );
        assert_eq!(head.earned_by_channel[0], 280);
        assert_eq!(head.totals.largest_sale, 26_000);
        let categories = &head.facts["category"].tallies;
        let of = |key: &str| (categories[key].orders, categories[key].spend);
        assert_eq!(of("hats"), (1, 0));
        assert_eq!(of("scarves"), (1, 2_000));
        assert_eq!(of("jackets"), (1, 24_000));
        assert_eq!(head.facts["location"].tallies["soho"].spend, 26_000);
    });
}

#[test]
fn later_returns_count_against_the_order_as_it_is_now() {
    let mut bench = Bench::new();
    earns(&mut bench, 1);
    bench.tell(&jackets("s", "2024-05-01T10:00:00Z")).unwrap();
    let scarf = back("r1", "2024-05-04T10:00:00Z", "s", 3, 2_000);
    let expected = ("unknown-line".to_owned(), "/data/lines/0/line".to_owned());
    assert_eq!(refused(&bench, &scarf), expected);
    bench
        .tell(&edited("e", "2024-05-03T10:00:00Z", "s"))
        .unwrap();
    assert_eq!(amounts(&bench.tell(&scarf).unwrap()), [-20]);
    let hat = back("r2", "2024-05-05T10:00:00Z", "s", 2, 6_000);
    assert_eq!(
        amounts(&bench.tell(&hat).unwrap()),
        [0i64; 0],
        "it was taken out before"
    );
    let rest = event(
        "v",
        "sale.voided",
        "2024-05-06T10:00:00Z",
        json!({"sale": {"source": "till-1", "id": "s"}}),
    );
    assert_eq!(bench.tell(&rest).unwrap().customer.unwrap().balance, 0);
}

#[test]
fn an_edit_in_any_order_of_arrival_ends_the_same() {
    let end = in_every_order(&[
        jackets("s", "2024-05-01T10:00:00Z"),
        back("r", "2024-05-02T10:00:00Z", "s", 1, 12_000),
        edited("e", "2024-05-03T10:00:00Z", "s"),
        sale("later", "2024-05-04T10:00:00Z", ANA, 1_000),
    ]);
    assert_eq!(end.points.balance, 300 - 120 - 60 + 20 + 10);
    assert_eq!(end.totals.lifetime.orders, 2);
}

#[test]
fn points_of_what_is_added_to_an_order_are_as_certain_as_its_payment() {
    let pending = || {
        let mut pending = jackets("s", "2024-05-01T10:00:00Z");
        pending["data"]["payment_state"] = json!("pending");
        pending
    };
    for (kind, balance) in [("payment.settled", 260), ("payment.failed", 0)] {
        let mut bench = Bench::new();
        earns(&mut bench, 1);
        bench.tell(&pending()).unwrap();
        let told = bench
            .tell(&edited("e", "2024-05-01T11:00:00Z", "s"))
            .unwrap();
        assert_eq!(told.customer.unwrap().available, 0, "{kind}");
        let settled = json!({"order": {"system": "web", "id": "s"}});
        let settled = event("p", kind, "2024-05-01T12:00:00Z", settled);
        let now = bench.tell(&settled).unwrap().customer.unwrap();
        assert_eq!((now.balance, now.available), (balance, balance), "{kind}");
        bench
            .store
            .only_customer(|customer| assert!(customer.head.provisional.is_empty()));
    }
}
