//! Keys are made and ended while the shop is open.

use crate::tills::{Answered, while_tills_sell};
use stampcard_tests::{Shop, binary};
use std::time::{Duration, Instant};

#[test]
fn a_key_works_as_soon_as_it_is_made_and_ends_within_seconds_while_tills_sell() {
    let shop = Shop::new();
    let server = shop.serve();
    let answered = Answered::default();
    while_tills_sell(&server, &answered, || {
        for _ in 0..3 {
            let ran = binary::run(["key", "add", shop.text(), "--role", "staff", "--json"]);
            assert_eq!(ran.code, 0, "{}", ran.stderr);
            let made = ran.json();
            assert_eq!(made["role"], "staff");
            let key = made["key"].as_str().expect("the key, this once");
            assert_eq!(server.get_as(key, "/v1/customers").status, 200);
            let number = made["number"].to_string();
            binary::run(["key", "revoke", shop.text(), &number]).ok();
            let revoked = Instant::now();
            while server.get_as(key, "/v1/customers").status != 401 {
                assert!(
                    revoked.elapsed() < Duration::from_secs(5),
                    "a revoked key still works"
                );
                std::thread::sleep(Duration::from_millis(50));
            }
            let again = binary::run(["key", "revoke", shop.text(), &number]);
            assert_eq!(again.code, 1, "it has ended already");
        }
    });
    server.stop();
    shop.check();
}

#[test]
fn the_list_says_which_keys_are_used() {
    let shop = Shop::new();
    let server = shop.serve();
    assert_eq!(
        server.get_as(&server.keys.read, "/v1/customers").status,
        200
    );
    let used = || -> Vec<bool> {
        let listed = binary::run(["key", "list", shop.text(), "--json"]).json();
        let keys = listed.as_array().expect("a list").iter();
        keys.map(|key| key["last_used_at"].is_string()).collect()
    };
    let began = Instant::now();
    // The note is made beside the answer.
    while used() != [false, false, true] {
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", used());
    }
    server.stop();
}

#[test]
fn a_key_is_shown_once_and_kept_nowhere() {
    let shop = Shop::new();
    let key = binary::run(["key", "add", shop.text(), "--role", "pos"]).ok();
    let key = key.trim();
    assert!(key.starts_with("sk_pos_"), "{key}");
    let listed = binary::run(["key", "list", shop.text(), "--json"]).ok();
    assert!(!listed.contains(key), "{listed}");
    let mut bytes = std::fs::read(shop.database()).expect("the database");
    bytes.extend(std::fs::read(shop.path("data/stampcard.db-wal")).unwrap_or_default());
    let secret = &key.as_bytes()["sk_pos_".len()..];
    assert!(!bytes.windows(secret.len()).any(|window| window == secret));
}
