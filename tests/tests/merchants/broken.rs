//! A shop that cannot be opened stops no other: it is listed with the reason, its tills are told to
//! come again, and it opens as soon as it can.

use crate::apart::bought;
use serde_json::{Value, json};
use stampcard_tests::shops::{figure, state};
use stampcard_tests::{Server, Shop, Shops, binary};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// A shop that is not open is tried every five seconds.
const OPEN_MAX: Duration = Duration::from_secs(30);

#[track_caller]
pub fn until_open(server: &Server, name: &str) {
    let began = Instant::now();
    loop {
        let ready = server.operations("/readyz");
        let shops = ready["merchants"].as_array().expect("a list");
        if shops
            .iter()
            .any(|shop| shop["name"] == name && shop["status"] == "ready")
        {
            return;
        }
        assert!(began.elapsed() < OPEN_MAX, "{ready}\n{}", server.log());
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[track_caller]
fn sells(server: &Server, shops: &Shops, name: &str, id: &str) {
    let answer = server.post_as(&shops[name].keys.pos, "/v1/events", &bought(id, "ana"));
    assert_eq!(answer.status, 200, "{name}: {}", answer.body);
}

#[track_caller]
fn is_not_open(server: &Server, name: &str, words: &str) -> Value {
    let shop = state(server, name);
    assert_eq!(shop["status"], "not-open", "{shop}");
    let why = shop["why_not"].as_str().expect("a reason");
    assert!(why.contains(words), "{why}");
    shop
}

#[test]
fn a_shop_whose_file_was_never_right_stops_no_other_and_opens_when_it_is_mended() {
    let shops = Shops::new(&["soho", "brooklyn"]);
    let good = shops["brooklyn"].read("merchant.toml");
    shops["brooklyn"].write("merchant.toml", format!("time_zon = \"UTC\"\n{good}"));
    let server = shops.serve();
    sells(&server, &shops, "soho", "1");
    is_not_open(&server, "brooklyn", "did you mean `time_zone`?");
    let metrics = server.operations("/metrics");
    let open = |name| {
        figure(
            &metrics,
            &format!("stampcard_merchant_open{{merchant=\"{name}\"}} "),
        )
    };
    assert_eq!((open("soho"), open("brooklyn")), (Some(1.0), Some(0.0)));
    // Its keys are known, so its tills keep their sales and come again.
    let keys = &shops["brooklyn"].keys;
    let told = server.post_as(&keys.pos, "/v1/events", &bought("1", "ana"));
    assert_eq!(
        (told.status, &told.body["code"]),
        (503, &json!("not-open")),
        "{}",
        told.body
    );
    // Whoever has no key at all learns nothing of it.
    assert_eq!(server.get_as("sk_pos_x", "/v1/customers").status, 401);
    assert_eq!(
        server.get_as("", "/readyz").body,
        json!({"status": "ready"})
    );

    shops["brooklyn"].write("merchant.toml", good);
    until_open(&server, "brooklyn");
    sells(&server, &shops, "brooklyn", "1");
    server.stop();
    shops.check();
}

#[test]
fn a_database_that_is_broken_or_gone_stops_no_other_shop() {
    let shops = Shops::new(&["soho", "brooklyn", "queens"]);
    let whole = fs::read(shops["brooklyn"].database()).expect("a database");
    fs::write(
        shops["brooklyn"].database(),
        "no database at all, but long enough to be read as one. ".repeat(99),
    )
    .expect("it can be written");
    let kept = shops["queens"].dir.with_extension("kept");
    fs::rename(shops["queens"].path("data"), &kept).expect("it can be moved");
    let server = shops.serve();
    sells(&server, &shops, "soho", "1");
    is_not_open(&server, "brooklyn", "stampcard.db");
    is_not_open(&server, "queens", "has no database");
    assert!(
        !shops["queens"].database().exists(),
        "none is made in its place"
    );
    // Nobody can say whose key this is, so nobody says that it is wrong.
    let told = server.get_as(&shops["queens"].keys.read, "/v1/customers");
    assert_eq!((told.status, &told.body["code"]), (503, &json!("not-open")));

    fs::write(shops["brooklyn"].database(), whole).expect("it can be written");
    fs::rename(&kept, shops["queens"].path("data")).expect("it can be moved");
    for name in ["brooklyn", "queens"] {
        until_open(&server, name);
        sells(&server, &shops, name, "1");
    }
    assert_eq!(
        server.get_as("sk_pos_x", "/v1/customers").status,
        401,
        "now it is known"
    );
    server.stop();
    shops.check();
}

#[test]
fn a_shop_that_another_program_has_open_is_opened_when_it_is_free() {
    let shops = Shops::new(&["soho", "brooklyn"]);
    let alone = shops["brooklyn"].serve();
    let server = shops.serve();
    is_not_open(&server, "brooklyn", "another");
    sells(&server, &shops, "soho", "1");
    alone.stop();
    until_open(&server, "brooklyn");
    sells(&server, &shops, "brooklyn", "1");
    server.stop();
    shops.check();
}

#[test]
fn a_shop_that_is_made_beside_the_open_server_is_opened_without_a_restart() {
    let mut shops = Shops::new(&["soho"]);
    let server = shops.serve();
    shops.add("brooklyn");
    until_open(&server, "brooklyn");
    sells(&server, &shops, "brooklyn", "1");
    // And one that comes from a backup of another machine.
    let elsewhere = Shop::new();
    restore(&elsewhere.back_up("queens.tar"), &shops.dir.join("queens"));
    until_open(&server, "queens");
    let sold = server.post_as(&elsewhere.keys.pos, "/v1/events", &bought("1", "ana"));
    assert_eq!(sold.status, 200, "{}", sold.body);
    server.stop();
    shops.check();
}

fn restore(backup: &Path, dir: &Path) {
    let text = |path: &Path| path.to_str().expect("UTF-8").to_owned();
    let arguments = ["restore".into(), text(backup), text(dir), "--verify".into()];
    binary::run(arguments).ok();
}

#[test]
fn of_two_copies_of_a_shop_one_is_opened_and_its_keys_are_its_own() {
    let shops = Shops::new(&["soho", "brooklyn"]);
    let server = shops.serve();
    sells(&server, &shops, "soho", "1");
    // A name that comes before that of the shop.
    restore(
        &shops["soho"].back_up("soho.tar"),
        &shops.dir.join("a-copy"),
    );
    let began = Instant::now();
    while server.operations("/readyz")["merchants"]
        .as_array()
        .map(Vec::len)
        != Some(3)
    {
        assert!(began.elapsed() < OPEN_MAX, "{}", server.log());
        std::thread::sleep(Duration::from_millis(50));
    }
    until_told(&server, "a-copy", "a copy of soho");
    sells(&server, &shops, "soho", "2");
    assert_eq!(
        server.get_as(&shops["soho"].keys.read, "/readyz").body["merchant"],
        "soho"
    );
    server.stop();
    // At the start it is the name that counts: whoever makes copies learns of it.
    let server = shops.serve();
    until_told(&server, "soho", "a copy of a-copy");
    sells(&server, &shops, "brooklyn", "1");
    server.stop();
    shops.check();
    assert_eq!(shops["soho"].exported("ledger", &[]).len(), 2);
}

#[track_caller]
fn until_told(server: &Server, name: &str, words: &str) {
    let began = Instant::now();
    loop {
        let shop = state(server, name);
        if shop["why_not"]
            .as_str()
            .is_some_and(|why| why.contains(words))
        {
            return;
        }
        assert!(began.elapsed() < OPEN_MAX, "{shop}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn everything_that_was_answered_is_there_after_a_restart_and_after_a_kill() {
    let shops = Shops::new(&["soho", "brooklyn"]);
    for id in ["1", "2", "3"] {
        let server = shops.serve();
        for name in ["soho", "brooklyn"] {
            sells(&server, &shops, name, id);
        }
        if id == "2" {
            server.kill();
        } else {
            server.stop();
        }
    }
    shops.check();
    for name in ["soho", "brooklyn"] {
        assert_eq!(shops[name].exported("ledger", &[]).len(), 3, "{name}");
    }
}
