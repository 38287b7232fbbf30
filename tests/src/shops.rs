//! Several shops in one folder, which one server opens.

use crate::binary;
use crate::server::Server;
use crate::shop::Shop;
use serde_json::Value;
use std::ffi::OsStr;
use std::ops::Index;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long shops may take to open whose plugins were never compiled on this machine.
const OPENED_MAX: Duration = Duration::from_secs(120);

/// A folder of shops, each as [`Shop::new`] makes it.
pub struct Shops {
    pub dir: PathBuf,
    shops: Vec<Shop>,
    room: Arc<TempDir>,
}

impl Shops {
    #[track_caller]
    pub fn new(names: &[&str]) -> Shops {
        let room = tempfile::Builder::new()
            .prefix("stampcard-")
            .tempdir()
            .expect("a temporary folder");
        let mut shops = Shops {
            dir: room.path().join("shops"),
            shops: Vec::new(),
            room: Arc::new(room),
        };
        for name in names {
            shops.add(name);
        }
        shops
    }

    /// Makes another shop, as an operator does, whether a server has the others open or not.
    #[track_caller]
    pub fn add(&mut self, name: &str) {
        self.shops
            .push(Shop::within(&self.room, self.dir.join(name)));
    }

    /// Opens all of them, and waits until each was tried; the server's own keys are those of the first
    /// one.
    #[track_caller]
    pub fn serve(&self) -> Server {
        self.serve_in(&[])
    }

    #[track_caller]
    pub fn serve_in(&self, environment: &[(&str, &OsStr)]) -> Server {
        let server = Server::start_in(&self.dir, &self.shops[0].keys, &[], environment);
        let began = Instant::now();
        while server
            .operations("/readyz")
            .to_string()
            .contains("being opened")
        {
            assert!(began.elapsed() < OPENED_MAX, "{}", server.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        server
    }

    /// `stampcard check` must find nothing in any of them.
    #[track_caller]
    pub fn check(&self) {
        for shop in &self.shops {
            binary::run(["check", shop.text()]).ok();
        }
    }

    pub fn text(&self) -> &str {
        self.dir
            .to_str()
            .expect("temporary folders have names in UTF-8")
    }
}

impl Index<&str> for Shops {
    type Output = Shop;

    fn index(&self, name: &str) -> &Shop {
        self.shops
            .iter()
            .find(|shop| shop.dir.ends_with(name))
            .unwrap_or_else(|| panic!("there is no shop {name}"))
    }
}

/// How the operations of a server say that one of its shops is.
#[track_caller]
pub fn state(server: &Server, name: &str) -> Value {
    let ready = server.operations("/readyz");
    let shops = ready["merchants"].as_array().expect("a list").iter();
    let shop = shops.into_iter().find(|shop| shop["name"] == name);
    shop.unwrap_or_else(|| panic!("no {name} in {ready}"))
        .clone()
}

/// The value of a figure of the server, by its name and what stands in its braces.
pub fn figure(metrics: &Value, sample: &str) -> Option<f64> {
    let lines = metrics.as_str().expect("it is text").lines();
    let mut values = lines.filter_map(|line| line.strip_prefix(sample)?.trim().parse().ok());
    values.next()
}
