//! Friends and whoever brought them, in a real file: two customers, one transaction.

mod shop;

use serde_json::{Value, json};
use shop::{DAY, HOUR, MAY, TestShop, event, no_difference, shop_file};
use stampcard_pipeline::shop::Shop;

/// A shop with a referral programme, in which Ana has a code.
fn with_ana() -> (TestShop, String) {
    let mut shop = TestShop::new();
    let mut file = serde_json::to_value(shop_file()).unwrap();
    file["referral"] =
        json!({"url": "https://lamps.example/join?code={code}", "friends_per_day": 1_000});
    shop.shop = Shop::new(serde_json::from_value(file).unwrap()).unwrap();
    let told = shop.send(&event(
        "loyalty.enrolled",
        "ana",
        MAY,
        json!({"customer": {"email": "ana@example.com"}}),
    ));
    let code = told.referral.and_then(|it| it.code).unwrap();
    (shop, code)
}

fn joins(id: &str, at: i64, code: &str) -> Value {
    let email = format!("{id}@example.com");
    event(
        "referral.signup",
        id,
        at,
        json!({"customer": {"email": email}, "code": code}),
    )
}

const OF_ANA: &str = "SELECT balance FROM customers WHERE id = 1";
const ENTRIES: &str = "SELECT count(*) FROM entries";

#[test]
fn both_entries_are_in_one_transaction_and_both_are_there_after_a_restart() {
    let (shop, code) = with_ana();
    let told = shop.send(&joins("bo", MAY + DAY, &code));
    assert_eq!(told.referral.unwrap().referrer_points, Some(200));
    assert_eq!((shop.count(OF_ANA), shop.count(ENTRIES)), (200, 2));
    let again = shop.send(&joins("bo", MAY + DAY, &code));
    assert_eq!(again.points.len(), 1, "the same answer as before");
    let shop = shop.reopen();
    assert_eq!((shop.count(OF_ANA), shop.count(ENTRIES)), (200, 2));
    no_difference(&shop);
}

#[test]
fn if_one_of_them_cannot_be_written_the_other_is_not_there_either() {
    let (shop, code) = with_ana();
    let beside = rusqlite::Connection::open(shop.path()).unwrap();
    beside
        .execute_batch(
            "CREATE TRIGGER no BEFORE INSERT ON journal WHEN NEW.kind = 'referral.joined'
             BEGIN SELECT RAISE(ABORT, 'a test'); END",
        )
        .unwrap();
    assert!(shop.process(&joins("bo", MAY + DAY, &code)).is_err());
    assert_eq!(shop.count("SELECT count(*) FROM customers"), 1);
    assert_eq!(shop.count(ENTRIES), 0);
    beside.execute_batch("DROP TRIGGER no").unwrap();
    shop.send(&joins("bo", MAY + DAY, &code));
    assert_eq!((shop.count(OF_ANA), shop.count(ENTRIES)), (200, 2));
    no_difference(&shop);
}

#[test]
fn friends_who_join_at_once_with_one_code_and_buy_meanwhile_lose_nobody_a_point() {
    let (shop, code) = with_ana();
    std::thread::scope(|scope| {
        for door in 0..4 {
            let (shop, code) = (&shop, &code);
            scope.spawn(move || {
                for n in 0..20 {
                    let id = format!("friend-{door}-{n}");
                    let at = MAY + DAY + n * HOUR;
                    shop.send(&joins(&id, at, code));
                    let customer = json!({"email": format!("{id}@example.com")});
                    shop.send(&shop::sale_of(
                        &format!("{id}-buys"),
                        customer,
                        at + HOUR,
                        1_000,
                    ));
                    // Ana is busy herself.
                    let ana = json!({"email": "ana@example.com"});
                    shop.send(&shop::sale_of(&format!("{id}-ana"), ana, at, 100));
                }
            });
        }
    });
    // For each friend 200 when they join and 500 when they buy first, and a point for each dollar.
    assert_eq!(shop.count(OF_ANA), 80 * (200 + 500 + 1));
    assert_eq!(
        shop.count("SELECT count(*) FROM journal WHERE kind = 'referral.joined'"),
        80
    );
    no_difference(&shop);
}

#[test]
fn a_first_purchase_that_comes_late_moves_the_points_and_a_return_takes_them() {
    let (shop, code) = with_ana();
    shop.send(&joins("bo", MAY + DAY, &code));
    let bo = || json!({"email": "bo@example.com"});
    shop.send(&shop::sale_of("second", bo(), MAY + 4 * DAY, 5_000));
    shop.send(&shop::sale_of("first", bo(), MAY + 3 * DAY, 5_000));
    assert_eq!(shop.count(OF_ANA), 700);
    no_difference(&shop);
    for sale in ["second", "first"] {
        let back = json!({"sale": {"source": "till-1", "id": sale}, "channel": "pos", "location": "downtown",
            "currency": "USD", "amount": 5_000});
        let id = format!("back-{sale}");
        shop.send(&event("return.completed", &id, MAY + 5 * DAY, back));
        no_difference(&shop);
    }
    assert_eq!(shop.count(OF_ANA), 200);
    let shop = shop.reopen();
    no_difference(&shop);
}

#[test]
fn a_check_finds_points_that_nobody_was_told_of() {
    let (shop, code) = with_ana();
    shop.send(&joins("bo", MAY + DAY, &code));
    let beside = rusqlite::Connection::open(shop.path()).unwrap();
    beside
        .execute(
            "UPDATE referrer_awards SET points = 300 WHERE points = 200",
            [],
        )
        .unwrap();
    let found = shop.store.reads().check(&mut |_| ()).unwrap();
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(
        (found[0].expected.as_str(), found[0].found.as_str()),
        ("300", "200")
    );
}

#[test]
fn a_friend_who_is_somebody_the_shop_knew_twice_takes_what_was_given_along() {
    let (shop, code) = with_ana();
    let bo = shop
        .send(&joins("bo", MAY + DAY, &code))
        .customer
        .unwrap()
        .id;
    let card = json!({"card": "C-1"});
    let by_card = shop.send(&shop::sale_of("s1", card, MAY + 2 * DAY, 3_000));
    let by_card = by_card.customer.unwrap().id;
    assert_eq!(shop.count(OF_ANA), 200, "nobody knows whose card it is");
    let merge = json!({"keep": by_card, "other": bo, "confirmed_on": "phone", "reason": "twice"});
    shop.send(&event("customer.merged", "m", MAY + 3 * DAY, merge));
    assert_eq!(shop.count(OF_ANA), 700, "it was a friend's first purchase");
    no_difference(&shop);
    let apart = json!({"keep": by_card, "other": bo, "reason": "two after all"});
    shop.send(&event("customer.unmerged", "u", MAY + 4 * DAY, apart));
    assert_eq!(shop.count(OF_ANA), 200);
    no_difference(&shop);
}
