//! Points that are redeemed over HTTP, in the store and online: nobody spends the same points twice,
//! and whoever sends a request again gets the same answer.

use jiff::Timestamp;
use serde_json::{Value, json};
use stampcard_tests::event::event;
use stampcard_tests::{Server, Shop, sale};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A shop in which Ana has so many points, and her id.
fn shop_with(points: i64, merchant: &str) -> (Shop, Server, String) {
    let shop = Shop::new();
    shop.lay_over("merchant.toml", merchant);
    let server = shop.serve();
    let outcome = server.outcome(&sale(
        "1",
        &Timestamp::now().to_string(),
        json!({"customer": {"email": "ana@example.com"}, "channel": "online", "total": points * 100}),
    ));
    let id = outcome["customer"]["id"].as_str().unwrap().to_owned();
    (shop, server, id)
}

fn balance(server: &Server, id: &str) -> (i64, i64) {
    let found = server.get(&format!("/v1/customers/{id}/balance"));
    let number = |field: &str| found[field].as_i64().unwrap();
    (number("balance"), number("available"))
}

#[test]
fn points_are_set_aside_at_once_and_gone_when_it_is_confirmed() {
    let (shop, server, id) = shop_with(450, "");
    let (pos, body) = (
        &server.keys.pos,
        json!({"customer": id, "points": 200, "channel": "online"}),
    );
    let made = server.post_once(pos, "/v1/redemptions", "web-1", &body);
    assert_eq!(made.status, 201, "{}", made.body);
    let red = made.body["id"].as_str().unwrap().to_owned();
    assert_eq!(made.body["state"], "reserved");
    assert_eq!(made.body["worth"], json!({"amount": 200}));
    assert_eq!(
        (&made.body["balance"], &made.body["available"]),
        (&json!(450), &json!(250))
    );
    assert_eq!(balance(&server, &id), (450, 250));
    let profile = server.get(&format!("/v1/customers/{id}"));
    assert_eq!(
        (&profile["available"], &profile["reserved"]),
        (&json!(250), &json!(200))
    );

    let again = server.post_once(pos, "/v1/redemptions", "web-1", &body);
    assert_eq!((again.status, &again.body), (201, &made.body));
    let other = json!({"customer": id, "points": 100, "channel": "online"});
    let other = server.post_once(pos, "/v1/redemptions", "web-1", &other);
    assert_eq!(
        (other.status, &other.body["code"]),
        (409, &json!("key-taken"))
    );

    let confirm = format!("/v1/redemptions/{red}/confirm");
    let used = server.post_as(
        pos,
        &confirm,
        &json!({"channel": "online", "order": {"system": "web", "id": "9"}}),
    );
    assert_eq!(used.status, 200, "{}", used.body);
    assert_eq!(used.body["state"], "confirmed");
    assert_eq!(
        (&used.body["balance"], &used.body["available"]),
        (&json!(250), &json!(250))
    );
    assert_eq!(used.body["order"], json!({"system": "web", "id": "9"}));
    let again = server.post_as(
        pos,
        &confirm,
        &json!({"channel": "online", "order": {"system": "web", "id": "9"}}),
    );
    assert_eq!((again.status, &again.body), (200, &used.body));

    // A tier by points goes by what was earned, which spending does not change.
    let found = server.get(&format!("/v1/customers/{id}/balance"));
    assert_eq!(found["earned"], 450);
    let ledger = server.get(&format!("/v1/customers/{id}/ledger"));
    let last = &ledger["items"][0];
    assert_eq!(
        (&last["kind"], &last["amount"], &last["balance_after"]),
        (&json!("redeem"), &json!(-200), &json!(250))
    );
    assert_eq!(
        (&last["reason"], &last["redemption"]),
        (&json!("redeemed"), &json!(red))
    );
    assert_eq!(
        last["entry"].as_i64().unwrap(),
        ledger["items"][1]["entry"].as_i64().unwrap() + 1
    );
    drop(server);
    shop.check();
    let server = shop.serve();
    assert_eq!(balance(&server, &id), (250, 250), "after a restart");
}

#[test]
fn a_code_from_one_channel_works_once_in_the_other() {
    let (shop, server, id) = shop_with(300, "");
    let (pos, body) = (
        &server.keys.pos,
        json!({"customer": id, "points": 100, "channel": "pos", "location": "soho"}),
    );
    let made = server.post_once(pos, "/v1/redemptions", "till-1", &body);
    let code = made.body["code"].as_str().unwrap();
    let spoken = code.to_lowercase().replace('-', " ").replace('0', "o");
    let path = format!("/v1/redemptions/{}/confirm", spoken.replace(' ', "%20"));
    let online = json!({"channel": "online"});
    let used = server.post_once(pos, &path, "web-order-9", &online);
    assert_eq!(
        (used.status, &used.body["state"], &used.body["used_channel"]),
        (200, &json!("confirmed"), &json!("online"))
    );
    let again = server.post_once(pos, &path, "web-order-9", &online);
    assert_eq!(
        (again.status, &again.body),
        (200, &used.body),
        "the same request"
    );
    for key in ["web-order-10", "web-order-11"] {
        let second = server.post_once(pos, &path, key, &online);
        assert_eq!(
            (second.status, &second.body["code"]),
            (409, &json!("redemption-closed")),
            "{}",
            second.body
        );
    }
    let second = server.post_as(pos, &path, &online);
    assert_eq!(second.status, 409, "shown again without a key");
    assert_eq!(balance(&server, &id), (200, 200));

    // Asked for online, given up at a desk in the store.
    let body = json!({"customer": id, "points": 150, "channel": "online"});
    let made = server.post_once(pos, "/v1/redemptions", "web-2", &body);
    let red = made.body["id"].as_str().unwrap();
    assert_eq!(balance(&server, &id), (200, 50));
    let cancel = format!("/v1/redemptions/{red}/cancel");
    let desk = json!({"channel": "pos", "location": "soho", "reason": "changed her mind"});
    let freed = server.post_as(pos, &cancel, &desk);
    assert_eq!(
        (freed.status, &freed.body["state"], &freed.body["available"]),
        (200, &json!("cancelled"), &json!(200))
    );
    let confirm = server.post_as(pos, &format!("/v1/redemptions/{red}/confirm"), &json!({}));
    assert_eq!(confirm.status, 409);
    drop(server);
    shop.check();
}

#[test]
fn what_cannot_be_redeemed_is_refused_and_changes_nothing() {
    let (shop, server, id) = shop_with(100, "");
    let pos = &server.keys.pos;
    let cases = [
        (
            json!({"customer": id, "points": 101, "channel": "online"}),
            409,
            "insufficient-points",
        ),
        (
            json!({"customer": id, "points": 0, "channel": "online"}),
            422,
            "too-few-to-redeem",
        ),
        (
            json!({"customer": id, "points": -5, "channel": "online"}),
            422,
            "too-few-to-redeem",
        ),
        (
            json!({"customer": id, "channel": "online"}),
            400,
            "malformed",
        ),
        (json!({"customer": id, "points": 10}), 400, "malformed"),
        (
            json!({"customer": id, "points": "10", "channel": "online"}),
            400,
            "malformed",
        ),
        (
            json!({"customer": id, "points": 10, "channel": "fax"}),
            400,
            "malformed",
        ),
        (
            json!({"customer": id, "reward": "mug", "channel": "online"}),
            422,
            "unknown-reward",
        ),
        (
            json!({"customer": id, "points": 9, "reward": "mug", "channel": "online"}),
            422,
            "points-and-reward",
        ),
        (
            json!({"customer": "cus_nobody", "points": 10, "channel": "online"}),
            422,
            "unknown-customer",
        ),
        (
            json!({"customer": {"email": "bo@example.com"}, "points": 10, "channel": "online"}),
            422,
            "unknown-customer",
        ),
        (
            json!({"customer": id, "points": 10, "channel": "pos", "location": "moon"}),
            422,
            "unknown-location",
        ),
        (
            json!({"customer": id, "points": 10, "channel": "online", "pionts": 1}),
            400,
            "malformed",
        ),
        (
            json!({"customer": id, "points": 9_007_199_254_740_993i64, "channel": "online"}),
            400,
            "malformed",
        ),
    ];
    for (index, (body, status, code)) in cases.iter().enumerate() {
        let answer = server.post_once(pos, "/v1/redemptions", &format!("bad-{index}"), body);
        assert_eq!(
            (answer.status, answer.body["code"].as_str().unwrap()),
            (*status, *code),
            "{body}: {}",
            answer.body
        );
        assert!(answer.body["type"].as_str().unwrap().ends_with(code));
    }
    let good = json!({"customer": id, "points": 10, "channel": "online"});
    let answer = server.post_as(pos, "/v1/redemptions", &good);
    assert_eq!(
        (answer.status, &answer.body["code"]),
        (400, &json!("idempotency-key-required"))
    );
    let answer = server.post_once(&server.keys.read, "/v1/redemptions", "a", &good);
    assert_eq!(answer.status, 403);
    for path in [
        "red_nothing/confirm",
        "red_nothing/cancel",
        "7K3MQ-0P1XZ/confirm",
    ] {
        let answer = server.post_as(pos, &format!("/v1/redemptions/{path}"), &json!({}));
        assert_eq!(
            (answer.status, &answer.body["code"]),
            (404, &json!("unknown-redemption"))
        );
    }
    assert_eq!(server.get_as(pos, "/v1/redemptions/red_x").status, 404);
    assert_eq!(balance(&server, &id), (100, 100));
    // A preview says the same and sets nothing aside.
    let told = event(
        "redemption.reserved",
        "p",
        &Timestamp::now().to_string(),
        json!({"customer": {"id": id}, "points": 60, "channel": "online"}),
    );
    let seen = server.post_as(pos, "/v1/preview", &told);
    assert_eq!(
        (seen.status, &seen.body["customer"]["available"]),
        (200, &json!(40)),
        "{}",
        seen.body
    );
    assert_eq!(balance(&server, &id), (100, 100));
    drop(server);
    shop.check();
}

#[test]
fn a_large_redemption_waits_for_somebody_else() {
    let (shop, server, id) = shop_with(9_000, "[redemption]\napproval_from = 5000\n");
    let (pos, operator) = (&server.keys.pos, &server.keys.operator);
    let body = json!({"customer": id, "points": 6_000, "channel": "online"});
    let made = server.post_once(pos, "/v1/redemptions", "large", &body);
    assert_eq!(
        (made.status, &made.body["state"]),
        (201, &json!("pending-approval"))
    );
    assert_eq!(balance(&server, &id), (9_000, 3_000));
    let red = made.body["id"].as_str().unwrap();
    let waiting = server.get("/v1/redemptions");
    assert_eq!(waiting["items"][0]["id"], *red);
    let path = |verb: &str| format!("/v1/redemptions/{red}/{verb}");
    let early = server.post_as(pos, &path("confirm"), &json!({}));
    assert_eq!(
        (early.status, &early.body["code"]),
        (409, &json!("approval-required"))
    );
    assert_eq!(
        server.post_as(pos, &path("approve"), &json!({})).status,
        403,
        "a till approves nothing"
    );
    let asked_by = made.body["asked_by"].clone();
    let same = server.post_as(operator, &path("approve"), &json!({"actor": asked_by}));
    assert_eq!(
        (same.status, &same.body["code"]),
        (403, &json!("same-person"))
    );
    let agreed = server.post_as(operator, &path("approve"), &json!({"actor": "Leo"}));
    assert_eq!(
        (agreed.status, &agreed.body["state"]),
        (200, &json!("reserved")),
        "{}",
        agreed.body
    );
    assert_eq!(server.get("/v1/redemptions")["items"], json!([]));
    let used = server.post_as(pos, &path("confirm"), &json!({}));
    assert_eq!((used.status, &used.body["balance"]), (200, &json!(3_000)));

    let body = json!({"customer": id, "points": 3_000, "channel": "online"});
    let made = server.post_once(pos, "/v1/redemptions", "small", &body);
    assert_eq!(made.body["state"], "reserved");
    drop(server);
    shop.check();
}

#[test]
fn what_was_set_aside_goes_with_a_merge_and_comes_back_when_that_is_taken_back() {
    let (shop, server, ana) = shop_with(300, "");
    let card = server.outcome(&sale(
        "2",
        &Timestamp::now().to_string(),
        json!({"customer": {"card": "L-7"}, "total": 20_000}),
    ));
    let other = card["customer"]["id"].as_str().unwrap().to_owned();
    let (pos, operator) = (&server.keys.pos, &server.keys.operator);
    let asked = |key: &str, id: &str, points: i64| {
        let body = json!({"customer": id, "points": points, "channel": "online"});
        let made = server.post_once(pos, "/v1/redemptions", key, &body);
        assert_eq!(made.status, 201, "{}", made.body);
        made.body
    };
    let (hers, theirs) = (asked("hers", &ana, 50), asked("theirs", &other, 60));
    let merge = json!({"other": other, "confirmed_on": "card", "reason": "showed the card"});
    let merged = server.post_as(operator, &format!("/v1/customers/{ana}/merge"), &merge);
    assert_eq!(merged.status, 200, "{}", merged.body);
    assert_eq!(balance(&server, &ana), (500, 390));
    let confirm = |made: &Value| {
        let path = format!("/v1/redemptions/{}/confirm", made["code"].as_str().unwrap());
        server.post_as(pos, &path, &json!({"channel": "online"}))
    };
    let used = confirm(&theirs);
    assert_eq!(
        (used.status, &used.body["customer"], &used.body["balance"]),
        (200, &json!(ana), &json!(440)),
        "{}",
        used.body
    );
    let apart = json!({"other": other, "reason": "mother and daughter"});
    let apart = server.post_as(operator, &format!("/v1/customers/{ana}/unmerge"), &apart);
    assert_eq!(apart.status, 200, "{}", apart.body);
    assert_eq!(balance(&server, &ana), (300, 250));
    assert_eq!(balance(&server, &other), (140, 140));
    assert_eq!(confirm(&hers).status, 200);
    assert_eq!(balance(&server, &ana), (250, 250));
    drop(server);
    shop.check();
}

/// Redemptions of the same points, one in the store and one online, at the same moment.
const PAIRS: usize = 1_000;
/// Tills that send at once.
const TILLS: usize = 16;

#[test]
fn of_a_thousand_pairs_for_the_same_points_each_has_one_winner() {
    let shop = Shop::new();
    let customers: Vec<Value> = (0..PAIRS)
        .map(|number| {
            sale(
                &format!("s{number}"),
                "2026-03-02T10:00:00-05:00",
                json!({"customer": {"card": format!("L-{number}")}, "total": 20_000}),
            )
        })
        .collect();
    shop.ingest(&customers);
    let server = shop.serve();
    let next = AtomicUsize::new(0);
    let (won, lost) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..TILLS {
            let clients = [server.client(), server.client()];
            let (next, won, lost) = (&next, &won, &lost);
            scope.spawn(move || {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= PAIRS {
                        return;
                    }
                    let answers = std::thread::scope(|scope| {
                        let asked = ["pos", "online"].into_iter().zip(&clients).map(|(channel, client)| {
                            scope.spawn(move || {
                                let mut body = json!({"customer": {"card": format!("L-{number}")}, "points": 200, "channel": channel});
                                if channel == "pos" {
                                    body["location"] = "soho".into();
                                }
                                let answer = client.post_once("/v1/redemptions", &format!("{channel}-{number}"), &body);
                                let answer = answer.expect("the server answers");
                                if answer.status == 201 {
                                    let id = answer.body["id"].as_str().unwrap();
                                    let path = format!("/v1/redemptions/{id}/confirm");
                                    let used = client.post_once(&path, &format!("use-{channel}-{number}"), &json!({"channel": channel}));
                                    let used = used.expect("the server answers");
                                    assert_eq!((used.status, &used.body["balance"]), (200, &json!(0)));
                                }
                                (answer.status, answer.body["code"].clone())
                            })
                        });
                        let asked: Vec<_> = asked.collect();
                        asked.into_iter().map(|it| it.join().expect("it ends")).collect::<Vec<_>>()
                    });
                    for (status, code) in answers {
                        match status {
                            201 => won.fetch_add(1, Ordering::Relaxed),
                            409 if code == "insufficient-points" => lost.fetch_add(1, Ordering::Relaxed),
                            other => panic!("pair {number}: {other} {code}"),
                        };
                    }
                }
            });
        }
    });
    assert_eq!((won.into_inner(), lost.into_inner()), (PAIRS, PAIRS));
    server.stop();
    shop.check();
    for customer in shop.exported("customers", &[]) {
        assert_eq!(customer["balance"], 0, "{customer}");
    }
}

#[test]
fn of_many_who_show_the_same_code_one_is_given_something() {
    let (shop, server, id) = shop_with(500, "");
    let body = json!({"customer": id, "points": 500, "channel": "online"});
    let made = server.post_once(&server.keys.pos, "/v1/redemptions", "one", &body);
    let path = format!(
        "/v1/redemptions/{}/confirm",
        made.body["code"].as_str().unwrap()
    );
    let statuses = std::thread::scope(|scope| {
        let shown: Vec<_> = (0..24)
            .map(|till| {
                let (client, path) = (server.client(), &path);
                scope.spawn(move || {
                    let answer = client.post_once(path, &format!("till-{till}"), &json!({}));
                    answer.expect("the server answers").status
                })
            })
            .collect();
        let mut statuses: Vec<u16> = shown.into_iter().map(|it| it.join().unwrap()).collect();
        statuses.sort_unstable();
        statuses
    });
    assert_eq!(statuses[0], 200);
    assert!(
        statuses[1..].iter().all(|status| *status == 409),
        "{statuses:?}"
    );
    assert_eq!(balance(&server, &id), (0, 0));
    drop(server);
    shop.check();
}
