//! Backup and restore: everything that was answered before is in it, and what is no whole backup is
//! refused and leaves nothing behind.

use crate::tills::{Answered, numbered, while_tills_sell};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use stampcard_tests::binary::{self, Ran};
use stampcard_tests::{Shop, sale};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn small_shop() -> Shop {
    let shop = Shop::new();
    let events: Vec<Value> = (0..40).map(numbered).collect();
    shop.ingest(&events);
    shop
}

fn text(path: &Path) -> &str {
    path.to_str()
        .expect("temporary folders have names in UTF-8")
}

#[test]
fn a_backup_under_load_has_every_answer_given_before_it_and_is_sound() {
    let shop = Shop::new();
    let server = shop.serve();
    let answered = Answered::default();
    let (before, files) = while_tills_sell(&server, &answered, || {
        answered.wait_for(300);
        let mut before = Vec::new();
        let mut files = Vec::new();
        for name in ["one.tar", "two.tar", "three.tar"] {
            before.push(answered.so_far());
            files.push(shop.back_up(name));
            let seen = answered.so_far().len();
            answered.wait_for(seen + 50);
        }
        (before, files)
    });
    server.stop();
    let (events, ledger) = (shop.export("events", &[]), shop.export("ledger", &[]));
    for (before, file) in before.iter().zip(&files) {
        let restored = shop.restored(file);
        restored.check();
        // Both only ever grow: what the backup holds is how they began.
        for (what, whole) in [("events", &events), ("ledger", &ledger)] {
            let part = restored.export(what, &[]);
            assert!(whole.starts_with(&part), "{what} differ from the source");
        }
        let ids: BTreeSet<String> = restored
            .exported("events", &[])
            .iter()
            .filter_map(|line| line["event"]["id"].as_str().map(str::to_owned))
            .collect();
        for (number, _) in before {
            assert!(
                ids.contains(&number.to_string()),
                "sale {number} is missing"
            );
        }
    }
    // The restored shop goes on where the backup was made.
    let (number, answer) = before[0].last().expect("there was load");
    let restored = shop.restored(&files[0]);
    let server = restored.serve();
    let again = server.outcome(&numbered(*number));
    assert_eq!(again["status"], "duplicate");
    assert_eq!(again["points"], answer["points"]);
    server.stop();
}

#[test]
fn a_restored_shop_exports_the_same_bytes_and_has_the_same_files_and_keys() {
    let shop = small_shop();
    shop.write("plugins/notes.toml", "# not a plugin yet\n");
    let file = shop.back_up("shop.tar");
    let restored = shop.restored(&file);
    assert_eq!(restored.exported_whole(&[]), shop.exported_whole(&[]));
    assert_eq!(
        restored.exported_whole(&["--canonical"]),
        shop.exported_whole(&["--canonical"])
    );
    for name in [
        "merchant.toml",
        "stampcard.toml",
        "plugins/notes.toml",
        "plugins/starter-points.toml",
    ] {
        assert_eq!(restored.read(name), shop.read(name), "{name}");
    }
    fs::remove_file(restored.path("plugins/notes.toml")).expect("it is there");
    let server = restored.serve();
    assert_eq!(
        server.get("/v1/customers")["items"]
            .as_array()
            .map(Vec::len),
        Some(23)
    );
    server.stop();
}

#[test]
fn only_its_user_may_read_a_backup_and_a_restored_shop() {
    use std::os::unix::fs::PermissionsExt;
    let shop = small_shop();
    let file = shop.back_up("shop.tar");
    let restored = shop.restored(&file);
    for path in [file, restored.dir.clone()] {
        let mode = fs::metadata(&path)
            .expect("it is there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o077, 0, "{}: {mode:o}", path.display());
    }
}

/// Runs `restore`, which must refuse and leave nothing.
#[track_caller]
fn refused(file: &Path, words: &[&str]) {
    let room = tempfile::tempdir().expect("a temporary folder");
    let dir = room.path().join("shop");
    let ran = binary::run(["restore", text(file), text(&dir), "--verify"]);
    assert_eq!(ran.code, 2, "{}{}", ran.stdout, ran.stderr);
    for word in words {
        assert!(ran.stderr.contains(word), "no {word:?} in {}", ran.stderr);
    }
    let left: Vec<_> = fs::read_dir(room.path()).expect("a folder").collect();
    assert!(left.is_empty(), "it left {left:?}");
}

#[test]
fn a_file_that_was_cut_off_or_changed_is_refused_whole() {
    let shop = small_shop();
    let file = shop.back_up("shop.tar");
    let good = fs::read(&file).expect("the backup");
    let broken = file.with_file_name("broken.tar");
    let place = |needle: &[u8]| {
        good.windows(needle.len())
            .rposition(|window| window == needle)
            .unwrap_or_else(|| panic!("no {:?}", String::from_utf8_lossy(needle)))
    };
    let sums = place(b"SHA256SUMS");
    for (cut, word) in [
        (0, "no backup"),
        (100, "ends too early"),
        (512 + 20, "ends too early"),
        (place(b"currency = "), "ends too early"),
        (good.len() / 2, "ends too early"),
        (sums, "SHA256SUMS"),
        (sums + 512 + 100, "ends too early"),
        (place(b"SQLite format 3") + 512 * 100, "data/stampcard.db"),
    ] {
        fs::write(&broken, &good[..cut]).expect("a file");
        refused(&broken, &[word]);
    }
    for (at, part) in [
        (place(b"\"made_at\"") + 14, "manifest.json"),
        (place(b"currency = "), "merchant.toml"),
        (place(b"SQLite format 3") + 60_000, "data/stampcard.db"),
        (place(b"SQLite format 3") + 100_000, "data/stampcard.db"),
        (sums + 512, "manifest.json"),
    ] {
        let mut flipped = good.clone();
        flipped[at] ^= 1;
        fs::write(&broken, &flipped).expect("a file");
        refused(&broken, &[part]);
    }
    fs::write(&broken, "a shopping list").expect("a file");
    refused(&broken, &["no backup"]);
    // The good one still is.
    shop.restored(&file).check();
}

/// Writes a backup as somebody could who knows the form.
fn forged(file: &Path, manifest: &Value, parts: &[(&str, &[u8])]) {
    let mut tar = tar::Builder::new(fs::File::create(file).expect("a file"));
    let manifest = manifest.to_string();
    let mut all = vec![("manifest.json", manifest.as_bytes())];
    all.extend(parts);
    let sums: String = all
        .iter()
        .map(|(name, bytes)| {
            let sum: String = Sha256::digest(bytes)
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            format!("{sum}  {name}\n")
        })
        .collect();
    all.push(("SHA256SUMS", sums.as_bytes()));
    for (name, bytes) in all {
        let mut header = tar::Header::new_gnu();
        // As it stands: the crate itself would refuse to climb out.
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(bytes.len() as u64);
        header.set_mode(0o600);
        header.set_cksum();
        tar.append(&header, bytes).expect("a part");
    }
    tar.finish().expect("a file");
}

#[test]
fn what_a_later_version_made_and_what_climbs_out_of_the_folder_is_refused() {
    let shop = small_shop();
    let file = shop.back_up("forged.tar");
    let merchant = shop.read("merchant.toml");
    let database = fs::read(shop.database()).expect("the database");
    let manifest = |form: u32, format: i64, extra: Option<&str>| {
        let mut parts = vec![json!({"path": "merchant.toml", "bytes": merchant.len()})];
        parts.extend(extra.map(|path| json!({"path": path, "bytes": 3})));
        parts.push(json!({"path": "data/stampcard.db", "bytes": database.len()}));
        json!({
            "stampcard_backup": form, "stampcard": "9.0.0", "made_at": "2026-03-02T10:00:00Z", "merchant": "shop",
            "database_format": format, "customers": 0, "entries": 0, "events": 0, "parts": parts,
        })
    };
    let parts = [
        ("merchant.toml", merchant.as_bytes()),
        ("data/stampcard.db", &database[..]),
    ];
    forged(&file, &manifest(1, 1, None), &parts);
    let restored = shop.restored(&file);
    assert_eq!(
        restored.read("merchant.toml"),
        merchant,
        "a right one is taken"
    );
    forged(&file, &manifest(2, 1, None), &parts);
    refused(&file, &["later stampcard", "form 2"]);
    forged(&file, &manifest(1, 900, None), &parts);
    refused(&file, &["later stampcard", "format 900"]);
    for path in ["../evil", "/tmp/evil", "plugins/../../evil", "data/other"] {
        let climbing = [parts[0], (path, b"boo".as_slice()), parts[1]];
        forged(&file, &manifest(1, 1, Some(path)), &climbing);
        refused(&file, &["no backup", path]);
        // Nor if the manifest is silent about it.
        forged(&file, &manifest(1, 1, None), &climbing);
        refused(&file, &[]);
    }
    // The database itself may be newer than its manifest says.
    let newer = shop.path("newer.db");
    fs::write(&newer, &database).expect("a file");
    rusqlite::Connection::open(&newer)
        .and_then(|connection| connection.pragma_update(None, "user_version", 900))
        .expect("a clumsy hand");
    let bytes = fs::read(&newer).expect("the database");
    forged(
        &file,
        &manifest(1, 1, None),
        &[parts[0], ("data/stampcard.db", &bytes[..])],
    );
    refused(&file, &["format 900"]);
}

#[test]
fn a_shop_of_an_older_version_is_backed_up_as_it_is_and_brought_up_to_date_when_it_is_restored() {
    let shop = small_shop();
    let (exports, newest) = (shop.exported_whole(&[]), format_of(&shop));
    rusqlite::Connection::open(shop.database())
        .and_then(|connection| {
            connection.execute_batch(
                "DROP INDEX rule_book_files_by_source; ALTER TABLE rule_book_files DROP COLUMN source_file;
                 ALTER TABLE rule_book_files DROP COLUMN source; DROP TABLE stock; DROP TABLE referrer_awards; DROP TABLE referral_codes;
                 DROP TABLE visits; DROP INDEX outbox_by_turn; DROP INDEX outbox_dead; ALTER TABLE outbox DROP COLUMN attempts;
                 ALTER TABLE outbox DROP COLUMN next_attempt; ALTER TABLE outbox DROP COLUMN problem;
                 ALTER TABLE outbox DROP COLUMN ended_at;
                 ALTER TABLE lots DROP COLUMN currency; ALTER TABLE entries DROP COLUMN currency;
                 ALTER TABLE customers DROP COLUMN credit; ALTER TABLE rule_books DROP COLUMN packs;
                 DROP INDEX customers_by_merge; ALTER TABLE customers DROP COLUMN merged_into;
                 DROP TABLE merges; DROP TABLE given_back; DROP TABLE told_apart;
                 DROP INDEX review_items_suggested; ALTER TABLE identifiers DROP COLUMN first_of;
                 DROP TABLE given; ALTER TABLE review_items DROP COLUMN closed_by;
                 ALTER TABLE review_items DROP COLUMN closed_because;
                 DROP TABLE rule_reviews; DROP TABLE missed; DROP TABLE devices; DROP TABLE products;
                 DROP TABLE waiting; DROP TABLE provisional; DROP TABLE kept; DROP TABLE allocations;
                 DROP TRIGGER entries_never_change; UPDATE entries SET taking = NULL;
                 ALTER TABLE entries DROP COLUMN taking; DROP TABLE takings; DROP TABLE redemptions;
                 CREATE TABLE allocations (entry INTEGER, lot INTEGER, amount INTEGER);
                 CREATE TRIGGER entries_never_change BEFORE UPDATE ON entries
                 BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
                 ALTER TABLE api_keys DROP COLUMN last_used_at; PRAGMA user_version = 3",
            )
        })
        .expect("a clumsy hand");
    let told = shop.run("doctor", &[]);
    assert!(told.stdout.contains("stampcard backup"), "{}", told.stdout);
    let file = shop.back_up("before.tar");
    assert_eq!(format_of(&shop), 3, "a backup changes nothing");
    let restored = shop.restored(&file);
    assert_eq!(format_of(&restored), newest);
    assert_eq!(restored.exported_whole(&[]), exports);
}

fn format_of(shop: &Shop) -> i64 {
    rusqlite::Connection::open(shop.database())
        .and_then(|connection| {
            connection.pragma_query_value(None, "user_version", |row| row.get(0))
        })
        .expect("a database")
}

#[test]
fn a_folder_that_has_something_in_it_is_left_alone() {
    let shop = small_shop();
    let file = shop.back_up("shop.tar");
    let before = shop.exported_whole(&[]);
    let ran = binary::run(["restore", text(&file), shop.text()]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("not empty"), "{}", ran.stderr);
    assert_eq!(shop.exported_whole(&[]), before);
    let empty = tempfile::tempdir().expect("a temporary folder");
    binary::run(["restore", text(&file), text(empty.path())]).ok();
    assert!(empty.path().join("merchant.toml").is_file());
}

/// The binary under a limit on the size of every file that it writes, in KiB.
fn limited(kib: u64, arguments: &[&str]) -> Ran {
    let script = format!("trap '' XFSZ; ulimit -S -f {kib}; exec \"$0\" \"$@\"");
    let output = Command::new("bash")
        .args(["-c", &script, text(&binary::path())])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("bash runs");
    Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn names_beside(shop: &Shop) -> Vec<PathBuf> {
    let room = shop.dir.parent().expect("a shop lies in a folder");
    let mut names: Vec<PathBuf> = fs::read_dir(room)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    names.sort();
    names
}

#[test]
fn a_disk_that_fails_on_the_way_leaves_the_older_backup_and_nothing_else() {
    let shop = small_shop();
    let file = shop.back_up("shop.tar");
    let (good, names) = (fs::read(&file).expect("the backup"), names_beside(&shop));
    // Too little for the copy of the database, and for the copy but not for the file with more in it.
    let database = fs::metadata(shop.database()).expect("the database").len();
    for kib in [64, database / 1_024 + 2] {
        let ran = limited(kib, &["backup", shop.text(), text(&file)]);
        assert_eq!(ran.code, 2, "{kib} KiB: {}{}", ran.stdout, ran.stderr);
        assert!(ran.stderr.contains("cannot be written"), "{}", ran.stderr);
        assert_eq!(fs::read(&file).expect("the backup"), good, "{kib} KiB");
        assert_eq!(names_beside(&shop), names, "{kib} KiB");
    }
    let dir = shop.dir.with_file_name("restored");
    let ran = limited(64, &["restore", text(&file), text(&dir)]);
    assert_eq!(ran.code, 2, "{}", ran.stdout);
    assert!(ran.stderr.contains("cannot be written"), "{}", ran.stderr);
    assert_eq!(names_beside(&shop), names);
}

#[test]
fn a_damaged_database_is_not_backed_up_over_a_good_backup() {
    let shop = small_shop();
    let file = shop.back_up("shop.tar");
    let good = fs::read(&file).expect("the backup");
    crate::faults::overwrite_a_page(&shop, "journal");
    let ran = shop.run("backup", &[text(&file)]);
    assert_eq!(ran.code, 2, "{}", ran.stdout);
    assert!(ran.stderr.contains("damaged"), "{}", ran.stderr);
    assert_eq!(fs::read(&file).expect("the backup"), good);
}

#[test]
fn what_differed_before_is_restored_and_told() {
    let shop = small_shop();
    rusqlite::Connection::open(shop.database())
        .and_then(|connection| connection.execute("UPDATE customers SET balance = balance + 1", []))
        .expect("a clumsy hand");
    let file = shop.back_up("shop.tar");
    let dir = shop.dir.with_file_name("restored");
    let ran = binary::run(["restore", text(&file), text(&dir), "--verify", "--json"]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    let told = ran.json();
    assert_eq!(told["verified"], true);
    assert_eq!(told["differences"][0]["what"], "balance", "{told}");
    assert!(dir.join("data/stampcard.db").is_file());
}

#[test]
fn a_shop_whose_files_cannot_be_read_again_is_not_backed_up() {
    let shop = Shop::new();
    shop.ingest(&[sale(
        "1",
        "2026-03-02T10:00:00-05:00",
        json!({"total": 900}),
    )]);
    shop.append("merchant.toml", "\nnonsense\n");
    let file = shop.dir.with_file_name("shop.tar");
    let ran = shop.run("backup", &[text(&file)]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("merchant.toml"), "{}", ran.stderr);
    assert!(!file.exists());
}
