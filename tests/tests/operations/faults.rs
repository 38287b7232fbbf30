//! Faults of disk and clock: what is said of them is typed and clear, nothing that was answered is
//! lost, and there is a way back that somebody can walk.

use crate::tills::numbered;
use jiff::Timestamp;
use rustix::process::{Resource, Rlimit, prlimit};
use serde_json::{Value, json};
use stampcard_tests::server::Client;
use stampcard_tests::{Answer, Server, Shop, Shops, binary, sale};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Fills a page of the database with nonsense: the root of a table.
pub fn overwrite_a_page(shop: &Shop, table: &str) {
    let connection = rusqlite::Connection::open(shop.database()).expect("a database");
    let (page, size): (u64, u64) = connection
        .query_row(
            "SELECT rootpage, (SELECT page_size FROM pragma_page_size) FROM sqlite_schema WHERE name = ?1",
            [table],
            |row| Ok((row.get::<_, i64>(0)? as u64, row.get::<_, i64>(1)? as u64)),
        )
        .expect("the table is there");
    drop(connection);
    let file = File::options()
        .write(true)
        .open(shop.database())
        .expect("the database");
    file.write_all_at(&vec![0xa5; size as usize], (page - 1) * size)
        .expect("a page");
}

fn code(answer: &Answer) -> &str {
    answer.body["code"].as_str().unwrap_or_default()
}

/// Sends sales from a number on until one is not answered with 200, and gives that one.
#[track_caller]
fn sell_until_refused(
    server: &Server,
    answered: &mut Vec<(u64, Value)>,
    from: u64,
) -> (u64, Answer) {
    for number in from..from + 100_000 {
        let answer = server.send(&numbered(number));
        if answer.status != 200 {
            return (number, answer);
        }
        answered.push((number, answer.body));
    }
    panic!("the disk never filled");
}

/// Everything that was answered is there, once, as it was answered.
#[track_caller]
fn nothing_is_lost(shop: &Shop, answered: &[(u64, Value)]) {
    shop.check();
    let server = shop.serve();
    for (number, outcome) in answered {
        let again = server.outcome(&numbered(*number));
        assert_eq!(again["status"], "duplicate", "sale {number} is missing");
        assert_eq!(again["points"], outcome["points"], "sale {number}");
    }
    server.stop();
}

/// Waits until a sale is taken again.
#[track_caller]
fn sell_again(server: &Server, answered: &mut Vec<(u64, Value)>, number: u64) {
    let began = Instant::now();
    loop {
        let answer = server.send(&numbered(number));
        if answer.status == 200 {
            answered.push((number, answer.body));
            return;
        }
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "{}\n{}",
            answer.body,
            server.log()
        );
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Whether the rest of a test may mount file systems. If not, the test is run once more in a
/// namespace where it may; a machine that allows none has the tests that need no mounts.
fn may_mount(test: &str) -> bool {
    const INSIDE: &str = "STAMPCARD_TEST_MAY_MOUNT";
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    const NAMESPACE: [&str; 3] = ["--user", "--map-root-user", "--mount"];
    let is_allowed = Command::new("unshare")
        .args(NAMESPACE)
        .arg("true")
        .output()
        .is_ok_and(|output| output.status.success());
    if !is_allowed {
        eprintln!("{test}: this machine allows no namespaces; nothing was tested");
        return false;
    }
    let status = Command::new("unshare")
        .args(NAMESPACE)
        .arg(std::env::current_exe().expect("a test is a program"))
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .status()
        .expect("unshare runs");
    assert!(status.success(), "it failed inside of the namespace");
    false
}

#[track_caller]
fn mount(arguments: &[&str], at: &Path) {
    let status = Command::new("mount").args(arguments).arg(at).status();
    assert!(
        status.is_ok_and(|status| status.success()),
        "mount {arguments:?}"
    );
}

#[test]
fn a_full_disk_is_told_and_sales_go_on_when_there_is_room() {
    if !may_mount("faults::a_full_disk_is_told_and_sales_go_on_when_there_is_room") {
        return;
    }
    // A small disk for the shop, the server's log and everything beside it.
    let mut shop = Shop::new();
    let disk = tempfile::tempdir().expect("a temporary folder");
    mount(&["-t", "tmpfs", "-o", "size=24m", "tmpfs"], disk.path());
    let moved = disk.path().join("shop");
    let status = Command::new("cp")
        .arg("-r")
        .args([&shop.dir, &moved])
        .status();
    assert!(status.is_ok_and(|status| status.success()));
    shop.dir = moved;

    let server = shop.serve();
    let mut answered = Vec::new();
    for number in 0..20 {
        answered.push((number, server.outcome(&numbered(number))));
    }
    let ballast = disk.path().join("ballast");
    let mut file = File::create(&ballast).expect("a file");
    while file.write_all(&[0; 4_096]).is_ok() {}
    drop(file);
    let (number, refused) = sell_until_refused(&server, &mut answered, 20);
    assert_eq!(
        (refused.status, code(&refused)),
        (503, "storage-full"),
        "{}",
        refused.body
    );
    assert!(
        refused.body["detail"]
            .as_str()
            .is_some_and(|detail| detail.contains("Free some space"))
    );
    // The server's log is on that disk, too. It has no room either, which is no reason to end.
    for _ in 0..300 {
        let again = server.send(&numbered(number));
        assert_eq!(
            (again.status, code(&again)),
            (503, "storage-full"),
            "{}",
            again.body
        );
    }
    // What was sold can still be read, and the doctor knows.
    assert_eq!(
        server.get_as(&server.keys.read, "/v1/customers").status,
        200
    );
    let report = shop.run("doctor", &["--json"]).json();
    let disk_line = report["checks"]
        .as_array()
        .and_then(|checks| checks.iter().find(|check| check["name"] == "disk"))
        .expect("a line on the disk");
    assert_eq!(disk_line["state"], "fail", "{report}");
    // A backup onto the same disk is refused before anything is written.
    let target = disk.path().join("shop.tar");
    let ran = shop.run("backup", &[target.to_str().expect("UTF-8")]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("on another disk"), "{}", ran.stderr);

    fs::remove_file(&ballast).expect("it is there");
    sell_again(&server, &mut answered, number);
    for number in number + 1..number + 20 {
        sell_again(&server, &mut answered, number);
    }
    server.stop();
    nothing_is_lost(&shop, &answered);
}

#[test]
fn the_full_disk_of_one_shop_leaves_the_others_of_its_server_writing() {
    if !may_mount("faults::the_full_disk_of_one_shop_leaves_the_others_of_its_server_writing") {
        return;
    }
    let shops = Shops::new(&["soho", "brooklyn"]);
    // The database of one of them is on a small disk of its own.
    let disk = tempfile::tempdir().expect("a temporary folder");
    mount(&["-t", "tmpfs", "-o", "size=24m", "tmpfs"], disk.path());
    let data = shops["soho"].path("data");
    let status = Command::new("mv").args([&data, disk.path()]).status();
    assert!(status.is_ok_and(|status| status.success()));
    std::os::unix::fs::symlink(disk.path().join("data"), &data).expect("a link");

    // Its keys are those of the shop on the small disk.
    let server = shops.serve();
    let brooklyn = Client::new(&server.address, &shops["brooklyn"].keys.pos);
    let sells = |number: u64| {
        let answer = brooklyn.send(&numbered(number)).expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.body);
    };
    let mut answered = Vec::new();
    for number in 0..20 {
        answered.push((number, server.outcome(&numbered(number))));
        sells(number);
    }
    let ballast = disk.path().join("ballast");
    let mut file = File::create(&ballast).expect("a file");
    while file.write_all(&[0; 4_096]).is_ok() {}
    drop(file);
    let (number, refused) = sell_until_refused(&server, &mut answered, 20);
    assert_eq!(
        (refused.status, code(&refused)),
        (503, "storage-full"),
        "{}",
        refused.body
    );
    for more in 20..120 {
        sells(more);
        assert_eq!(code(&server.send(&numbered(number))), "storage-full");
    }
    fs::remove_file(&ballast).expect("it is there");
    sell_again(&server, &mut answered, number);
    server.stop();
    shops.check();
    nothing_is_lost(&shops["soho"], &answered);
}

#[test]
fn a_limit_on_the_size_of_files_ends_no_server_and_loses_nothing() {
    let shop = Shop::new();
    let server = shop.serve();
    let mut answered = Vec::new();
    for number in 0..20 {
        answered.push((number, server.outcome(&numbered(number))));
    }
    let log = fs::metadata(shop.path("data/stampcard.db-wal"))
        .expect("a log")
        .len();
    let limit = |bytes: Option<u64>| {
        let limit = Rlimit {
            current: bytes,
            maximum: None,
        };
        prlimit(Some(server.pid()), Resource::Fsize, limit).expect("it is our process");
    };
    limit(Some(log + 16 * 4_096));
    let (number, refused) = sell_until_refused(&server, &mut answered, 20);
    assert_eq!(refused.status, 503, "{}", refused.body);
    assert!(
        ["storage-failed", "storage-full"].contains(&code(&refused)),
        "{}",
        refused.body
    );
    limit(None);
    sell_again(&server, &mut answered, number);
    server.stop();
    nothing_is_lost(&shop, &answered);
}

#[test]
fn a_read_only_disk_is_named_at_the_start_and_serves_again_when_it_is_not() {
    if !may_mount("faults::a_read_only_disk_is_named_at_the_start_and_serves_again_when_it_is_not")
    {
        return;
    }
    let shop = Shop::new();
    shop.ingest(&[numbered(0)]);
    let data = shop.path("data");
    mount(&["--bind", data.to_str().expect("UTF-8")], &data);
    mount(&["-o", "remount,bind,ro"], &data);
    for command in ["serve", "ingest"] {
        let ran = shop.run(
            command,
            if command == "serve" {
                &["--listen", "127.0.0.1:0"]
            } else {
                &["-"]
            },
        );
        assert_eq!(ran.code, 2, "{}", ran.stdout);
        assert!(
            ran.stderr.contains("cannot be written") && ran.stderr.contains("Read-only"),
            "{}",
            ran.stderr
        );
    }
    let report = shop.run("doctor", &["--json"]).json();
    let line = report["checks"]
        .as_array()
        .and_then(|checks| checks.iter().find(|check| check["name"] == "writable"))
        .expect("a line on writing");
    assert_eq!(line["state"], "fail", "{report}");
    assert!(
        line["remedy"]
            .as_str()
            .is_some_and(|remedy| remedy.contains("findmnt")),
        "{line}"
    );
    mount(&["-o", "remount,bind,rw"], &data);
    let outcome = shop.serve().outcome(&numbered(0));
    assert_eq!(outcome["status"], "duplicate");
}

#[test]
fn a_corrupt_page_is_named_and_a_backup_is_the_way_back() {
    let shop = Shop::new();
    let events: Vec<Value> = (0..50).map(numbered).collect();
    shop.ingest(&events);
    let backup = shop.back_up("shop.tar");
    let ledger = shop.export("ledger", &[]);
    overwrite_a_page(&shop, "identifiers");
    let server = shop.serve();
    let answer = server.send(&numbered(60));
    assert_eq!(
        (answer.status, code(&answer)),
        (503, "storage-damaged"),
        "{}",
        answer.body
    );
    assert!(
        answer.body["detail"]
            .as_str()
            .is_some_and(|detail| detail.contains("restored"))
    );
    server.stop();
    let ran = shop.run("check", &[]);
    assert_ne!(ran.code, 0, "{}", ran.stdout);
    let ran = shop.run("doctor", &[]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.stdout.contains("docs/runbooks/restore.md"),
        "{}",
        ran.stdout
    );
    // As the runbook says: the damaged shop is put aside, and tills send again what is newer.
    let restored = shop.restored(&backup);
    assert_eq!(restored.export("ledger", &[]), ledger);
    let server = restored.serve();
    assert_eq!(server.outcome(&numbered(60))["status"], "applied");
    server.stop();
    restored.check();
}

/// A library that is laid under a program and shifts its wall clock by the milliseconds that a file
/// says. Nothing else of time is touched.
const SHIFTED_CLOCK: &str = r#"
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t clock, struct timespec *at) {
    int failed = syscall(SYS_clock_gettime, clock, at);
    const char *path = getenv("SHIFTED_CLOCK");
    if (failed || clock != CLOCK_REALTIME || !path) return failed;
    FILE *file = fopen(path, "r");
    long long by = 0;
    if (!file) return failed;
    if (fscanf(file, "%lld", &by) == 1) at->tv_sec += by / 1000;
    fclose(file);
    return failed;
}
"#;

struct Shifted {
    by: File,
}

impl Shifted {
    fn hours(&mut self, hours: i64) {
        let text = format!("{:<20}", hours * 3_600_000);
        self.by.seek(SeekFrom::Start(0)).expect("a file");
        self.by.write_all(text.as_bytes()).expect("a file");
    }
}

/// A server whose wall clock can be set.
fn serve_shifted(shop: &Shop) -> (Server, Shifted) {
    let room = shop.dir.parent().expect("a shop lies in a folder");
    let (source, library, by) = (room.join("clock.c"), room.join("clock.so"), room.join("by"));
    fs::write(&source, SHIFTED_CLOCK).expect("a file");
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .args([&library, &source])
        .status();
    assert!(
        compiled.is_ok_and(|status| status.success()),
        "a C compiler is needed to build at all"
    );
    let mut shifted = Shifted {
        by: File::create(&by).expect("a file"),
    };
    shifted.hours(0);
    let environment: [(&str, &OsStr); 2] = [
        ("LD_PRELOAD", library.as_os_str()),
        ("SHIFTED_CLOCK", by.as_os_str()),
    ];
    let server = Server::start_in(&shop.dir, &shop.keys, &[], &environment);
    (server, shifted)
}

#[test]
fn a_clock_that_steps_back_and_forth_loses_nothing_and_revives_nothing() {
    let shop = Shop::new();
    let (server, mut clock) = serve_shifted(&shop);
    let mut answered: Vec<(u64, Value)> = (0..10)
        .map(|number| (number, server.outcome(&numbered(number))))
        .collect();
    let made = binary::run(["key", "add", shop.text(), "--role", "read", "--json"]).json();
    let key = made["key"].as_str().expect("a key").to_owned();
    assert_eq!(server.get_as(&key, "/v1/customers").status, 200);
    binary::run(["key", "revoke", shop.text(), &made["number"].to_string()]).ok();

    // Three hours back: what tills send is ahead of us, and is taken as it is.
    clock.hours(-3);
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(
        server.get_as(&key, "/v1/customers").status,
        401,
        "an ended key came back"
    );
    answered.extend((10..20).map(|number| (number, server.outcome(&numbered(number)))));
    // Three days back: a sale of today would be of the far future. It is refused, with the reason,
    // and the till has it still.
    clock.hours(-72);
    let today = sale(
        "today",
        &Timestamp::now().to_string(),
        json!({"customer": {"email": "customer-1@example.com"}, "total": 1_000}),
    );
    let refused = server.send(&today);
    assert_eq!(
        (refused.status, code(&refused)),
        (422, "from-the-future"),
        "{}",
        refused.body
    );
    // A month ahead: what would be due by then is driven, and nothing is lost by it.
    clock.hours(24 * 31);
    assert_eq!(server.outcome(&today)["status"], "applied");
    answered.extend((20..30).map(|number| (number, server.outcome(&numbered(number)))));
    std::thread::sleep(Duration::from_secs(3));
    clock.hours(0);
    answered.extend((30..40).map(|number| (number, server.outcome(&numbered(number)))));
    let panics = server.get("/metrics");
    assert!(
        panics
            .as_str()
            .is_some_and(|text| text.contains("\nstampcard_panics_total{merchant=\"shop\"} 0"))
    );
    server.stop();
    nothing_is_lost(&shop, &answered);
}
