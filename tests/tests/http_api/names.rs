//! What customers are called: it stands in the texts that leave, and in no record of them.

use crate::client::ago;
use serde_json::{Value, json};
use stampcard_tests::event::event;
use stampcard_tests::{Server, Shop, binary, sale};

const THANKS: &str = r#"
pack = "starter-follow-ups"
personal = ["name"]
grant = ["name"]

[config.rules.thanks]
on = ["sale"]
receipt = [["Thanks, {first_name}!", "Thanks!"]]
prompt = { text = ["Say goodbye to {first_name} {last_name|}", "Say goodbye"] }
"#;

fn shop() -> Shop {
    let shop = Shop::new();
    shop.write("plugins/starter-follow-ups.toml", THANKS);
    shop
}

fn profile(server: &Server, id: &str, kind: &str, days: i64, names: Value) -> String {
    let mut data = json!({"customer": {"email": "ana@example.com"}});
    let fields = data.as_object_mut().expect("a table");
    fields.extend(names.as_object().expect("a table").clone());
    let outcome = server.outcome(&event(kind, id, &ago(days), data));
    outcome["customer"]["id"]
        .as_str()
        .expect("a customer")
        .to_owned()
}

#[test]
fn receipts_and_prompts_name_the_customer_as_they_are_called_today() {
    let shop = shop();
    let server = shop.serve();
    let names = json!({"given_name": "Anabel-Sofía", "family_name": "Quist"});
    let ana = profile(&server, "made", "customer.created", 9, names);
    let told = sale(
        "first",
        &ago(8),
        json!({"customer": {"email": "ana@example.com"}, "total": 1_000}),
    );
    let outcome = server.outcome(&told);
    assert_eq!(outcome["receipt"], json!(["Thanks, Anabel-Sofía!"]));
    assert_eq!(
        outcome["prompts"][0]["text"],
        "Say goodbye to Anabel-Sofía Quist"
    );
    let card = server.get(&format!("/v1/customers/{ana}/card"));
    assert_eq!(
        card["prompts"][0]["text"],
        "Say goodbye to Anabel-Sofía Quist"
    );

    // Neither the explanation nor an export knows it.
    let record = server.get("/v1/events?source=till-1&id=first");
    assert_eq!(
        record["outcome"]["receipt"],
        json!(["Thanks, {given_name}!"])
    );
    assert!(!record.to_string().contains("Anabel"), "{record}");
    let explained = shop.run("explain", &["till-1", "first"]).stdout;
    assert!(
        explained.contains("receipt: Thanks, {given_name}!"),
        "{explained}"
    );
    let exported = shop.export("events", &[]);
    assert!(exported.contains("Thanks, {given_name}!") && !exported.contains("Anabel"));

    // A replay asks the rules of then, which may name her too.
    let copy = shop.dir.with_file_name("replayed");
    let copy = copy
        .to_str()
        .expect("temporary folders have names in UTF-8");
    server.stop();
    shop.run("replay", &[copy]).ok();
    let replayed = binary::run(["export", copy, "events"]).ok();
    assert_eq!(replayed, exported);
    let server = shop.serve();

    // Whoever is renamed is so in the answer to a till that asks again, and whoever has no name
    // any more is thanked without one the next time.
    profile(
        &server,
        "renamed",
        "customer.updated",
        7,
        json!({"given_name": "Bel"}),
    );
    assert_eq!(server.outcome(&told)["receipt"], json!(["Thanks, Bel!"]));
    profile(
        &server,
        "cleared",
        "customer.updated",
        6,
        json!({"given_name": null}),
    );
    let next = json!({"customer": {"email": "ana@example.com"}, "total": 1_000});
    let outcome = server.outcome(&sale("second", &ago(5), next));
    assert_eq!(outcome["receipt"], json!(["Thanks!"]));
    assert_eq!(outcome["prompts"][0]["text"], "Say goodbye");
}

#[test]
fn a_name_of_any_length_fits_the_receipt() {
    let shop = shop();
    let server = shop.serve();
    let names = json!({"given_name": "Ü".repeat(200)});
    profile(&server, "made", "customer.created", 9, names);
    let told = json!({"customer": {"email": "ana@example.com"}, "total": 1_000});
    let outcome = server.outcome(&sale("first", &ago(8), told));
    let line = outcome["receipt"][0].as_str().expect("a line");
    assert_eq!(line.chars().count(), 80);
    assert!(
        line.starts_with("Thanks, ÜÜ") && line.ends_with("Ü…"),
        "{line}"
    );
}

#[test]
fn without_the_grant_nobody_is_named() {
    let shop = Shop::new();
    let text = THANKS.replace("personal = [\"name\"]\ngrant = [\"name\"]\n", "");
    shop.write("plugins/starter-follow-ups.toml", text);
    let server = shop.serve();
    profile(
        &server,
        "made",
        "customer.created",
        9,
        json!({"given_name": "Ana"}),
    );
    let told = json!({"customer": {"email": "ana@example.com"}, "total": 1_000});
    let outcome = server.outcome(&sale("first", &ago(8), told));
    assert_eq!(outcome["receipt"], json!(["Thanks!"]));
}
