//! Rules that change while the shop is open: what is good is taken between two events, what is bad
//! leaves the old rules live and says so, and a plugin that misbehaves costs nobody else anything.

use jiff::Timestamp;
use serde_json::{Value, json};
use stampcard_tests::binary::{root, target};
use stampcard_tests::{Server, Shop, sale};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long a change may take to be live: 300 ms of quiet, reading, and compiling where it is new.
const TAKEN_MAX: Duration = Duration::from_secs(20);

fn one_sale(id: &str, total: i64) -> Value {
    let customer = json!({"email": format!("{id}@example.com")});
    sale(
        id,
        &Timestamp::now().to_string(),
        json!({"customer": customer, "total": total}),
    )
}

/// What a sale of 10.00 earns, by plugin.
fn earned(server: &Server, id: &str) -> Vec<(String, i64)> {
    let outcome = server.outcome(&one_sale(id, 1_000));
    let points = outcome["points"].as_array().expect("an outcome has points");
    let entry = |entry: &Value| {
        (
            entry["plugin"].as_str().unwrap_or_default().to_owned(),
            entry["amount"].as_i64().unwrap_or(0),
        )
    };
    points.iter().map(entry).collect()
}

fn plugins(server: &Server) -> Value {
    server.get("/v1/plugins")
}

/// Waits until the list of plugins is as it should be.
#[track_caller]
fn until(server: &Server, what: &str, is_so: impl Fn(&Value) -> bool) {
    let began = Instant::now();
    loop {
        let listed = plugins(server);
        if is_so(&listed) {
            return;
        }
        assert!(
            began.elapsed() < TAKEN_MAX,
            "{what} did not happen: {listed}\n{}",
            server.log()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn points_file(points: i64) -> String {
    format!("pack = \"starter-points\"\n\n[config]\npoints = {points}\nbase = \"total\"\n")
}

#[test]
fn a_saved_change_is_live_for_the_next_event_and_a_bad_one_leaves_the_old_rules() {
    let shop = Shop::new();
    let server = shop.serve();
    let starter = |amount| vec![("starter-points".to_owned(), amount)];
    assert_eq!(earned(&server, "before"), starter(10));

    let book = plugins(&server)["rule_book"]
        .as_i64()
        .expect("rule books have numbers");
    shop.write("plugins/starter-points.toml", points_file(3));
    until(&server, "the new rate", |listed| {
        listed["rule_book"].as_i64() > Some(book)
    });
    assert_eq!(earned(&server, "tripled"), starter(30));

    let table = [
        (
            "plugins/starter-points.toml",
            "pack = \"starter-points\"\n[config]\npoint = 9\n",
            "points",
        ),
        (
            "plugins/starter-points.toml",
            "pack = \"starter-points\"\n[config]\npoints = -1\n",
            "points",
        ),
        (
            "plugins/starter-points.toml",
            "pack = \"starter-point\"\n[config]\npoints = 9\n",
            "starter-points",
        ),
        ("plugins/starter-points.toml", "points = = 9\n", "TOML"),
        ("merchant.toml", "currency = 5\n", "currency"),
    ];
    for (number, (file, bad, named)) in table.into_iter().enumerate() {
        let good = shop.read(file);
        shop.write(file, bad);
        until(&server, bad, |listed| {
            let told = format!("{} {}", listed["not_loaded"], listed["last_reload_problem"]);
            told.contains(named)
        });
        assert_eq!(
            earned(&server, &format!("bad-{number}")),
            starter(30),
            "{bad}"
        );
        shop.write(file, good);
        until(&server, "the good file", |listed| {
            listed["last_reload_problem"].is_null()
                && listed["not_loaded"].as_array().is_some_and(Vec::is_empty)
        });
    }
    let currency = shop.read("merchant.toml").replace("\"USD\"", "\"EUR\"");
    shop.write("merchant.toml", currency);
    until(&server, "the refusal", |listed| {
        listed["last_reload_problem"]
            .to_string()
            .contains("currency")
    });
    assert_eq!(earned(&server, "still"), starter(30));
    server.stop();
    shop.lay_over("merchant.toml", "currency = \"USD\"");
    shop.check();
}

#[test]
fn rules_are_swapped_under_load_and_no_event_is_lost_or_decided_by_half_of_them() {
    let shop = Shop::new();
    let server = shop.serve();
    let done = AtomicBool::new(false);
    let sent = AtomicU64::new(0);
    let earned: Vec<i64> = std::thread::scope(|scope| {
        let tills: Vec<_> = (0..3)
            .map(|till| {
                let (client, done, sent) = (server.client(), &done, &sent);
                scope.spawn(move || {
                    let mut earned = Vec::new();
                    while !done.load(Ordering::Relaxed) {
                        let number = sent.fetch_add(1, Ordering::Relaxed);
                        let answer = client
                            .send(&one_sale(&format!("t{till}-{number}"), 1_000))
                            .expect("the server answers");
                        assert_eq!(answer.status, 200, "{}", answer.body);
                        earned.push(
                            answer.body["points"][0]["amount"]
                                .as_i64()
                                .expect("a sale earns"),
                        );
                    }
                    earned
                })
            })
            .collect();
        for points in [2, 3, 4, 5] {
            let book = plugins(&server)["rule_book"].as_i64();
            shop.write("plugins/starter-points.toml", points_file(points));
            until(&server, "a swap", |listed| {
                listed["rule_book"].as_i64() > book
            });
        }
        // Each till sends its next sale when the one before is answered: by then some were begun under
        // the last rules.
        let before = sent.load(Ordering::Relaxed);
        while sent.load(Ordering::Relaxed) < before + 2 * tills.len() as u64 {
            std::thread::sleep(Duration::from_millis(1));
        }
        done.store(true, Ordering::Relaxed);
        tills
            .into_iter()
            .flat_map(|till| till.join().expect("no till panicked"))
            .collect()
    });
    for rate in [10, 20, 30, 40, 50] {
        assert!(earned.contains(&rate), "no sale was decided at {rate}");
    }
    assert!(
        earned
            .iter()
            .all(|points| [10, 20, 30, 40, 50].contains(points))
    );
    server.stop();
    shop.check();
    let entries = shop.exported("ledger", &[]);
    let booked: i64 = entries
        .iter()
        .map(|entry| entry["amount"].as_i64().expect("an amount"))
        .sum();
    assert_eq!(
        (entries.len(), booked),
        (earned.len(), earned.iter().sum()),
        "every answer is booked once"
    );
}

/// What a plugin may do, and the class under which its failure is told.
const CRIMES: [(&str, &str); 9] = [
    ("Loop", "fuel"),
    ("Hoard", "memory"),
    ("Grab", "memory"),
    ("Recurse", "stack"),
    ("Trap", "trap"),
    ("Panic", "trap"),
    ("ManyAwards", "answer"),
    ("NotText", "answer"),
    ("RoundedNumber", "answer"),
];

#[test]
fn a_plugin_that_misbehaves_fails_by_name_and_the_sale_and_the_others_go_on() {
    let component = stampcard_build::component(
        root().join("tests/guests/hostile"),
        stampcard_build::shared_target_dir(target()),
    )
    .expect("the hostile guest builds");
    let shop = Shop::new();
    let told_to = |crime: &str| {
        format!(
            "name = \"hostile\"\nversion = \"0.1.0\"\nroles = [\"point-formula\"]\nevents = [\"sale.completed\"]\n\
             configuration = {{ type = \"object\" }}\n\n[config]\ncrime = \"{crime}\"\n"
        )
    };
    shop.write("plugins/hostile.wasm", &component);
    shop.write("plugins/hostile.toml", told_to("None"));
    let server = shop.serve();
    let both = vec![("starter-points".to_owned(), 10), ("hostile".to_owned(), 1)];
    assert_eq!(earned(&server, "as-yet-innocent"), both);

    for (crime, class) in CRIMES {
        let book = plugins(&server)["rule_book"].as_i64();
        shop.write("plugins/hostile.toml", told_to(crime));
        until(&server, crime, |listed| listed["rule_book"].as_i64() > book);
        let outcome = server.outcome(&one_sale(crime, 1_000));
        assert_eq!(outcome["status"], "applied", "{crime}");
        assert_eq!(
            outcome["customer"]["balance"], 10,
            "{crime}: the starter pack still awards"
        );
        let calls = outcome["plugins"].as_array().expect("a list");
        let hostile = calls
            .iter()
            .find(|call| call["name"] == "hostile")
            .expect("it was asked");
        assert_eq!(hostile["status"], class, "{crime}: {hostile}");
        assert!(
            hostile["message"]
                .as_str()
                .is_some_and(|message| !message.is_empty()),
            "{crime}: {hostile}"
        );
        for call in calls.iter().filter(|call| call["name"] != "hostile") {
            assert_eq!(call["status"], "ok", "{crime}: {call}");
        }
    }

    // Bytes that are no plugin at all never go live, and what was live stays.
    let book = plugins(&server)["rule_book"].as_i64();
    shop.write("plugins/hostile.toml", told_to("None"));
    until(&server, "peace", |listed| {
        listed["rule_book"].as_i64() > book
    });
    shop.write("plugins/hostile.wasm", b"\0asm and so on");
    until(&server, "the refusal", |listed| {
        listed["not_loaded"].to_string().contains("hostile")
    });
    assert_eq!(earned(&server, "after-garbage"), both);
    server.stop();
    shop.check();
}
