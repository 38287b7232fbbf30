//! The devices of a shop: which tills there are, and which of them have not heard of the rules that
//! are live.
//!
//! A device is known by what it calls itself when it calls us, so there is nothing to register. Each
//! answer behind a key tells the number of the live rule book, and that is what a device has heard.
//! It is in memory and written down now and then; a crash costs a minute of "last seen".

use crate::clock;
use parking_lot::Mutex;
use stampcard_pipeline::event::Instant;
use stampcard_pipeline::store::StoreError;
use stampcard_store::{Device, DeviceBook, Reads};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Devices of one shop: a thousand stores with ten tills each. Beyond it the longest unseen is
/// forgotten.
const DEVICES_MAX: usize = 10_000;
/// A device's name, in bytes: what an event may say.
const DEVICE_BYTES_MAX: usize = stampcard_pipeline::limits::TEXT_BYTES_MAX;
/// A device that was not heard for so long is forgotten, in milliseconds: 90 days, a season. A till
/// that was thrown away would be behind for ever.
const FORGOTTEN_AFTER_MS: i64 = 90 * 24 * 60 * 60 * 1_000;
/// How exactly "last seen" is written down, in milliseconds: a till sells every minute, and need not
/// be written every minute for nothing else.
const SEEN_WITHIN_MS: i64 = 60 * 1_000;
/// How often what was heard is written down.
pub const BEAT: Duration = Duration::from_secs(5);

/// The devices of one shop.
pub struct Devices {
    /// The shop's database.
    path: PathBuf,
    heard: Mutex<BTreeMap<String, Heard>>,
}

struct Heard {
    device: Device,
    /// As it is written down.
    kept: Option<Device>,
}

impl Heard {
    /// Whether somebody would miss what is not written down yet.
    fn is_worth_keeping(&self) -> bool {
        let device = &self.device;
        self.kept.as_ref().is_none_or(|kept| {
            kept.location != device.location
                || kept.rule_book != device.rule_book
                || device.seen_at.0 - kept.seen_at.0 >= SEEN_WITHIN_MS
        })
    }
}

/// How many devices there are, and how many have not heard of a rule book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    pub known: usize,
    pub behind: usize,
}

impl Devices {
    /// Those that a shop's database has.
    pub fn read(reads: &Reads) -> Result<Devices, StoreError> {
        let kept = reads.devices()?.into_iter().map(|device| {
            let kept = Some(device.clone());
            (device.name.clone(), Heard { device, kept })
        });
        Ok(Devices {
            path: reads.path().to_owned(),
            heard: Mutex::new(kept.collect()),
        })
    }

    /// A device has called, and is told the number of the rule book that is live.
    pub fn heard(&self, name: &str, location: Option<&str>, rule_book: i64, now: Instant) {
        if name.trim().is_empty() || name.len() > DEVICE_BYTES_MAX {
            return;
        }
        let mut heard = self.heard.lock();
        if let Some(Heard { device, .. }) = heard.get_mut(name) {
            // Calls of one device may end in another order than they began.
            device.seen_at = device.seen_at.max(now);
            device.rule_book = device.rule_book.max(rule_book);
            if let Some(location) = location
                && device.location.as_deref() != Some(location)
            {
                device.location = Some(location.to_owned());
            }
            return;
        }
        if heard.len() >= DEVICES_MAX {
            let longest = heard.values().min_by_key(|heard| heard.device.seen_at);
            if let Some(longest) = longest.map(|heard| heard.device.name.clone()) {
                heard.remove(&longest);
            }
        }
        let device = Device {
            name: name.to_owned(),
            location: location.map(str::to_owned),
            seen_at: now,
            rule_book,
        };
        heard.insert(name.to_owned(), Heard { device, kept: None });
    }

    /// By name, after the one with which the last page ended. With `behind`, those that have not heard
    /// of that rule book.
    pub fn after(&self, name: Option<&str>, behind: Option<i64>, most: usize) -> Vec<Device> {
        let from = name.map_or(Bound::Unbounded, Bound::Excluded);
        let heard = self.heard.lock();
        let devices = heard.range::<str, _>((from, Bound::Unbounded));
        let devices = devices.map(|(_, heard)| &heard.device);
        let asked = devices.filter(|device| behind.is_none_or(|live| device.rule_book < live));
        asked.take(most).cloned().collect()
    }

    pub fn count(&self, rule_book: i64) -> Count {
        let heard = self.heard.lock();
        let behind = heard.values().filter(|it| it.device.rule_book < rule_book);
        Count {
            known: heard.len(),
            behind: behind.count(),
        }
    }

    /// Writes down what is worth it, and forgets who was not heard for a season.
    pub fn keep(&self) {
        self.write(Heard::is_worth_keeping);
    }

    /// Writes down everything, because there is no later.
    pub fn keep_all(&self) {
        self.write(|heard| heard.kept.as_ref() != Some(&heard.device));
    }

    fn write(&self, is_to_be: impl Fn(&Heard) -> bool) {
        let oldest = Instant(clock::now().0 - FORGOTTEN_AFTER_MS);
        let news: Vec<Device> = {
            let mut heard = self.heard.lock();
            heard.retain(|_, heard| heard.device.seen_at >= oldest);
            let news = heard.values().filter(|heard| is_to_be(heard));
            news.map(|heard| heard.device.clone()).collect()
        };
        if news.is_empty() {
            return;
        }
        match write(&self.path, &news, oldest) {
            Ok(()) => {
                let mut heard = self.heard.lock();
                for device in news {
                    if let Some(heard) = heard.get_mut(&device.name) {
                        heard.kept = Some(device);
                    }
                }
            }
            // It is tried again at the next beat; what a customer holds does not depend on it.
            Err(problem) => tracing::warn!(problem, "the devices that called could not be kept"),
        }
    }
}

fn write(path: &Path, news: &[Device], oldest: Instant) -> Result<(), String> {
    let mut book = DeviceBook::open(path).map_err(|error| error.to_string())?;
    let kept = book.keep(news, oldest, DEVICES_MAX);
    kept.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn devices() -> Devices {
        Devices {
            path: PathBuf::new(),
            heard: Mutex::default(),
        }
    }

    #[test]
    fn a_shop_that_is_flooded_with_names_forgets_the_longest_unseen() {
        let devices = devices();
        for number in 0..DEVICES_MAX as i64 {
            devices.heard(&format!("till-{number}"), None, 1, Instant(number));
        }
        devices.heard("till-0", None, 1, Instant(20_000));
        devices.heard("one more", None, 1, Instant(20_001));
        assert_eq!(devices.count(1).known, DEVICES_MAX);
        let known = |name: &str| devices.heard.lock().contains_key(name);
        assert!(known("till-0") && known("one more") && !known("till-1"));
        devices.heard(&"x".repeat(DEVICE_BYTES_MAX + 1), None, 1, Instant(20_002));
        devices.heard(" ", None, 1, Instant(20_003));
        assert!(known("till-2"), "what is no name pushes nobody out");
    }

    #[test]
    fn answers_that_cross_on_their_way_take_nothing_back() {
        let devices = devices();
        devices.heard("till-1", Some("soho"), 7, Instant(5));
        devices.heard("till-1", None, 6, Instant(4));
        let expected = Device {
            name: "till-1".into(),
            location: Some("soho".into()),
            seen_at: Instant(5),
            rule_book: 7,
        };
        assert_eq!(devices.after(None, None, 9), [expected]);
        assert_eq!(
            devices.count(8),
            Count {
                known: 1,
                behind: 1
            }
        );
        assert!(devices.after(None, Some(7), 9).is_empty());
        assert!(devices.after(Some("till-1"), None, 9).is_empty());
    }
}
