//! Commands for one shop work for one of several, and say so where they are given all of them; the
//! doctor looks at all.

use crate::apart::bought;
use serde_json::Value;
use stampcard_tests::{Shops, binary};

#[test]
fn every_command_for_one_shop_works_beside_the_open_server_of_several() {
    let shops = Shops::new(&["soho", "brooklyn"]);
    let server = shops.serve();
    let soho = &shops["soho"];
    let sold = server.post_as(&soho.keys.pos, "/v1/events", &bought("1", "ana"));
    assert_eq!(sold.status, 200, "{}", sold.body);
    soho.check();
    assert_eq!(soho.exported("ledger", &[]).len(), 1);
    assert_eq!(shops["brooklyn"].exported("ledger", &[]).len(), 0);
    let explained = soho.run("explain", &["till-1", "1", "--json"]);
    assert_eq!(explained.json()["rerun"], "same", "{}", explained.stderr);
    let listed = binary::run(["plugin", "list", soho.text(), "--json"]).json();
    assert_eq!(listed.as_array().map(Vec::len), Some(4), "{listed}");
    let keys = binary::run(["key", "list", soho.text(), "--json"]).json();
    assert_eq!(keys.as_array().map(Vec::len), Some(3), "{keys}");
    soho.back_up("soho.tar");
    server.stop();
}

#[test]
fn a_command_for_one_shop_that_is_given_several_names_one_of_them() {
    let shops = Shops::new(&["brooklyn", "soho"]);
    let dir = shops.text();
    let commands: [&[&str]; 10] = [
        &["check", dir],
        &["explain", dir, "till-1", "1"],
        &["export", dir, "customers"],
        &["ingest", dir, "-"],
        &["replay", dir, "elsewhere"],
        &["backup", dir, "elsewhere.tar"],
        &["plugin", "list", dir],
        &["plugin", "rollback", dir, "starter-points"],
        &["key", "add", dir, "--role", "pos"],
        &["key", "list", dir],
    ];
    for command in commands {
        let ran = binary::run(command);
        assert_eq!(ran.code, 2, "{command:?}: {}", ran.stdout);
        assert!(
            ran.stderr.contains(&format!("{dir}/brooklyn")),
            "{command:?}: {}",
            ran.stderr
        );
    }
}

#[test]
fn the_doctor_looks_at_every_shop_of_a_folder_and_says_which_of_them_is_ill() {
    let shops = Shops::new(&["soho", "brooklyn"]);
    let report = |code: i32| -> Value {
        let ran = binary::run(["doctor", shops.text(), "--json"]);
        assert_eq!(ran.code, code, "{}{}", ran.stdout, ran.stderr);
        ran.json()
    };
    let healthy = report(0);
    assert_eq!(healthy["shops"].as_array().map(Vec::len), Some(2));
    let file = shops["soho"].read("merchant.toml");
    shops["soho"].write("merchant.toml", file.replace("USD", "DOLLARS"));
    let ill = report(1);
    assert_eq!(ill["state"], "fail", "{ill}");
    let state = |name: &str| {
        let shops = ill["shops"].as_array().expect("a list");
        let shop = shops.iter().find(|shop| shop["merchant"] == name);
        shop.expect("it is listed")["state"].clone()
    };
    assert_eq!(state("soho"), "fail");
    assert_ne!(state("brooklyn"), "fail");
    let told = binary::run(["doctor", shops.text()]);
    assert!(
        told.stdout.contains("soho") && told.stdout.contains("DOLLARS"),
        "{}",
        told.stdout
    );
}

#[test]
fn init_says_how_the_shops_of_a_folder_are_opened() {
    let mut shops = Shops::new(&["soho"]);
    shops.add("brooklyn");
    let queens = shops.dir.join("queens");
    let told = binary::run(["init", queens.to_str().expect("UTF-8")]).ok();
    assert!(
        told.contains(&format!("stampcard serve {}\n", shops.text())),
        "{told}"
    );
}

#[test]
fn two_servers_of_one_folder_do_not_share_it() {
    let shops = Shops::new(&["soho"]);
    let server = shops.serve();
    let second = shops.serve();
    let state = stampcard_tests::shops::state(&second, "soho");
    assert_eq!(state["status"], "not-open", "{state}");
    assert_eq!(second.get_as("", "/readyz").status, 503);
    assert_eq!(server.get_as("", "/readyz").status, 200);
    second.stop();
    server.stop();
}
