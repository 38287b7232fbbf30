//! A shop in a temporary folder, as `stampcard init` writes it.

use crate::binary::{self, Ran};
use crate::event;
use crate::server::Server;
use serde::Deserialize;
use serde_json::Value;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

/// A shop in New York with USD, the starter pack, and two stores, `soho` and `brooklyn`.
pub struct Shop {
    pub dir: PathBuf,
    pub keys: Keys,
    /// Removes the folder when the shop goes out of scope.
    _room: Arc<TempDir>,
}

/// The keys that `init` prints once.
#[derive(Clone, Debug, Deserialize)]
pub struct Keys {
    pub operator: String,
    pub pos: String,
    pub read: String,
}

const STORES: &str = r#"
[[locations]]
id = "soho"
name = "SoHo"
kind = "store"

[[locations]]
id = "brooklyn"
name = "Brooklyn"
kind = "store"
"#;

impl Default for Shop {
    fn default() -> Self {
        Shop::new()
    }
}

impl Shop {
    #[track_caller]
    pub fn new() -> Shop {
        let shop = Shop::bare(&[]);
        shop.append("merchant.toml", STORES);
        shop
    }

    /// One of several shops of a folder, which lives as long as the longest of them.
    #[track_caller]
    pub(crate) fn within(room: &Arc<TempDir>, dir: PathBuf) -> Shop {
        let keys = init(&dir, &[]);
        let shop = Shop {
            dir,
            keys,
            _room: Arc::clone(room),
        };
        shop.append("merchant.toml", STORES);
        shop
    }

    /// A shop without locations, with more arguments for `init`.
    #[track_caller]
    pub fn bare(arguments: &[&str]) -> Shop {
        let room = tempfile::Builder::new()
            .prefix("stampcard-")
            .tempdir()
            .expect("a temporary folder");
        let dir = room.path().join("shop");
        let keys = init(&dir, arguments);
        Shop {
            dir,
            keys,
            _room: room.into(),
        }
    }

    /// `stampcard backup`, beside the shop's folder.
    #[track_caller]
    pub fn back_up(&self, name: &str) -> PathBuf {
        let file = self.dir.with_file_name(name);
        let text = file
            .to_str()
            .expect("temporary folders have names in UTF-8");
        self.run("backup", &[text]).ok();
        file
    }

    /// The shop that `stampcard restore --verify` makes of a backup of this one.
    #[track_caller]
    pub fn restored(&self, file: &Path) -> Shop {
        let room = tempfile::Builder::new()
            .prefix("stampcard-")
            .tempdir()
            .expect("a temporary folder");
        let dir = room.path().join("shop");
        binary::run([
            OsStr::new("restore"),
            file.as_os_str(),
            dir.as_os_str(),
            OsStr::new("--verify"),
        ])
        .ok();
        Shop {
            dir,
            keys: self.keys.clone(),
            _room: room.into(),
        }
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.dir.join(file)
    }

    /// The file with everything that happened.
    pub fn database(&self) -> PathBuf {
        self.path("data/stampcard.db")
    }

    #[track_caller]
    pub fn read(&self, file: &str) -> String {
        fs::read_to_string(self.path(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
    }

    #[track_caller]
    pub fn write(&self, file: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(file), content).unwrap_or_else(|error| panic!("{file}: {error}"));
    }

    #[track_caller]
    pub fn append(&self, file: &str, text: &str) {
        self.write(file, self.read(file) + text);
    }

    /// Lays tables over a TOML file, key by key; a list or a value replaces what was there.
    #[track_caller]
    pub fn lay_over(&self, file: &str, text: &str) {
        let parse = |text: &str| {
            text.parse::<toml::Table>()
                .unwrap_or_else(|error| panic!("{file}: {error}"))
        };
        let mut table = parse(&self.read(file));
        lay_over(&mut table, parse(text));
        self.write(file, toml::to_string(&table).expect("a table is TOML"));
    }

    pub fn serve(&self) -> Server {
        Server::start(&self.dir, &self.keys, &[])
    }

    /// A server of a copy, whose clock and whose events leave this shop as it is. Everything that
    /// is due by today has happened there before it opens, so no reader meets half of it. Nobody
    /// else may have the shop open.
    pub fn serve_copy(&self) -> (Server, Shop) {
        let copy = self.copied();
        copy.ingest_bytes(b"", &["--until", &jiff::Timestamp::now().to_string()]);
        let server = copy.serve();
        (server, copy)
    }

    /// The same shop in a folder of its own: the same secret, the same customers. Nobody may have this
    /// one open.
    #[track_caller]
    pub fn copied(&self) -> Shop {
        let room = tempfile::Builder::new()
            .prefix("stampcard-")
            .tempdir()
            .expect("a temporary folder");
        let dir = room.path().join("shop");
        copy(&self.dir, &dir).unwrap_or_else(|error| panic!("{}: {error}", self.dir.display()));
        Shop {
            dir,
            keys: self.keys.clone(),
            _room: room.into(),
        }
    }

    /// `stampcard COMMAND DIR …`, run to its end.
    pub fn run(&self, command: &str, arguments: &[&str]) -> Ran {
        binary::run([&[command, self.text()], arguments].concat())
    }

    /// Ingests events from standard input. Everything must be accepted.
    #[track_caller]
    pub fn ingest(&self, events: &[Value]) -> Value {
        self.ingest_bytes(&event::lines(events), &[])
    }

    #[track_caller]
    pub fn ingest_bytes(&self, ndjson: &[u8], arguments: &[&str]) -> Value {
        let ran = binary::run_with_input(
            [&["ingest", self.text(), "-", "--json"], arguments].concat(),
            ndjson,
        );
        let summary = ran.json();
        assert_eq!(ran.code, 0, "{summary}\n{}", ran.stderr);
        summary
    }

    #[track_caller]
    pub fn export(&self, what: &str, arguments: &[&str]) -> String {
        binary::run([&["export", self.text(), what], arguments].concat()).ok()
    }

    /// The same, line by line.
    #[track_caller]
    pub fn exported(&self, what: &str, arguments: &[&str]) -> Vec<Value> {
        self.export(what, arguments)
            .lines()
            .map(|line| serde_json::from_str(line).expect("a line is JSON"))
            .collect()
    }

    /// Every export, one after the other: two shops in the same state have the same one.
    #[track_caller]
    pub fn exported_whole(&self, arguments: &[&str]) -> String {
        ["customers", "ledger", "events"]
            .map(|what| self.export(what, arguments))
            .concat()
    }

    /// `stampcard check` must find nothing.
    #[track_caller]
    pub fn check(&self) {
        binary::run(["check", self.text()]).ok();
    }

    pub fn text(&self) -> &str {
        self.dir
            .to_str()
            .expect("temporary folders have names in UTF-8")
    }
}

/// Runs `stampcard init` and returns the keys that it printed.
#[track_caller]
pub fn init(dir: &Path, arguments: &[&str]) -> Keys {
    let dir = dir.to_str().expect("the folder's name is UTF-8");
    let usual = [
        "init",
        dir,
        "--json",
        "--currency",
        "USD",
        "--time-zone",
        "America/New_York",
        "--country",
        "US",
    ];
    let ran = binary::run([&usual, arguments].concat());
    assert_eq!(ran.code, 0, "stampcard init: {}", ran.stderr);
    serde_json::from_value(ran.json()["keys"].clone()).expect("init prints three keys")
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

fn lay_over(under: &mut toml::Table, over: toml::Table) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(toml::Value::Table(under)), toml::Value::Table(over)) => lay_over(under, over),
            (_, value) => {
                under.insert(key, value);
            }
        }
    }
}
