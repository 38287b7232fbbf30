//! Strangers at the API: a client that was generated from the description, and a tester that reads
//! it and tries whatever it can think of. Both come from PyPI, so they run in `cargo xtask soak`; in
//! the gate `http_api` holds the description to what generators and testers need of it.

use stampcard_tests::binary::{root, target};
use stampcard_tests::{Server, Shop};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

/// How many requests the tester makes up for each operation and phase.
const EXAMPLES: u32 = 100;

/// A folder with the programs of `tests/clients/requirements.txt`.
fn programs() -> PathBuf {
    // Both tests want them, and the first one makes the folder.
    static INSTALLING: Mutex<()> = Mutex::new(());
    let _alone = INSTALLING.lock();
    let dir = target().join("clients");
    let environment = dir.join("python");
    if !environment.join("bin/python").exists() {
        run(Command::new("python3")
            .args(["-m", "venv"])
            .arg(&environment));
    }
    let requirements = clients().join("requirements.txt");
    run(Command::new(environment.join("bin/pip"))
        .args([
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--requirement",
        ])
        .arg(requirements));
    environment.join("bin")
}

fn clients() -> PathBuf {
    root().join("tests/clients")
}

fn run(command: &mut Command) -> String {
    let ran = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(
        ran.status.success(),
        "{command:?}\n{said}\n{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    said
}

fn description(server: &Server, dir: &Path) -> PathBuf {
    let file = dir.join("openapi.json");
    fs::write(&file, server.get("/openapi.json").to_string()).expect("it can be written");
    file
}

#[test]
#[ignore = "installs from PyPI; cargo xtask soak runs it"]
fn a_client_that_was_generated_from_the_description_does_a_days_work_at_a_till() {
    let programs = programs();
    let (shop, room) = (Shop::new(), tempfile::tempdir().expect("a folder"));
    let server = shop.serve();
    let client = room.path().join("client");
    let generated = run(Command::new(programs.join("openapi-python-client"))
        .arg("generate")
        .arg("--path")
        .arg(description(&server, room.path()))
        .arg("--output-path")
        .arg(&client)
        .current_dir(room.path()));
    // What a generator does not understand it leaves out, and says so.
    for word in ["Unable to parse", "was not generated", "not supported"] {
        assert!(!generated.contains(word), "{generated}");
    }
    let said = run(Command::new(programs.join("python"))
        .arg(clients().join("till.py"))
        .args([&server.address, &server.keys.operator])
        .env("PYTHONPATH", &client));
    assert!(said.contains("a day's work"), "{said}");
    server.stop();
    shop.check();
}

#[test]
#[ignore = "installs from PyPI; cargo xtask soak runs it"]
fn a_tester_that_tries_whatever_the_description_says_finds_nothing() {
    let programs = programs();
    let shop = Shop::new();
    // It asks much more than any client may.
    let file = shop.read("stampcard.toml");
    shop.write(
        "stampcard.toml",
        format!("requests_per_minute = 100000000\n{file}"),
    );
    let server = shop.serve();
    let said = run(Command::new(programs.join("schemathesis"))
        .arg("--config-file")
        .arg(clients().join("schemathesis.toml"))
        .args(["run", &format!("{}/openapi.json", server.address)])
        .args([
            "--header",
            &format!("Authorization: Bearer {}", server.keys.operator),
        ])
        .args(["--max-examples", &EXAMPLES.to_string()])
        .args(["--continue-on-failure", "--no-color"])
        .current_dir(shop.dir.parent().expect("it lies in a folder of its own")));
    println!("{said}");
    server.stop();
    shop.check();
}
