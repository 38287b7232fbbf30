//! How much one key may ask for: what is more is told to come later, and takes nothing from others.
//!
//! The headers are those of the IETF draft "RateLimit header fields for HTTP"
//! (draft-ietf-httpapi-ratelimit-headers-10). A key that asks evenly never waits; one that was
//! silent may catch up a whole minute's worth at once.

use super::auth::KeyHash;
use super::problem::{Problem, too_many_requests};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

/// The time over which a quota is given.
const WINDOW: Duration = Duration::from_secs(60);
/// Keys that are remembered before those that are silent are forgotten. Only keys that work get in.
const KEYS_MAX: usize = 4_096;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// The quotas of all keys.
pub struct Quota {
    a_minute: NonZeroU32,
    /// For each key, when all that it asked for is paid off.
    paid: Mutex<HashMap<KeyHash, Instant>>,
}

/// What is left to a key after it asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    a_minute: u32,
    requests: u64,
    /// Until all of the quota is there again.
    whole_in: Duration,
}

impl Quota {
    pub fn new(a_minute: NonZeroU32) -> Quota {
        Quota {
            a_minute,
            paid: Mutex::default(),
        }
    }

    /// Takes one request of a key's quota.
    pub fn take(&self, key: KeyHash, now: Instant) -> Result<Left, Problem> {
        let mut paid = self.paid.lock();
        if paid.len() >= KEYS_MAX {
            paid.retain(|_, paid| *paid > now);
        }
        let before = paid.get(&key).map_or(now, |paid| now.max(*paid));
        let owed = before + self.cost(1) - now;
        if owed > WINDOW {
            let left = self.left(before - now);
            let wait = (owed - WINDOW).as_secs() + 1;
            let mut problem = too_many_requests(self.a_minute.get(), wait);
            for (name, value) in left.headers() {
                problem = problem.header(name, &value);
            }
            return Err(problem);
        }
        paid.insert(key, now + owed);
        Ok(self.left(owed))
    }

    /// Takes what a request turned out to hold beyond one: the other events of a batch. They are
    /// decided in any case, and paid for by who asks next.
    pub fn take_more(&self, key: KeyHash, more: usize, now: Instant) {
        let mut paid = self.paid.lock();
        let before = paid.get(&key).map_or(now, |paid| now.max(*paid));
        paid.insert(key, before + self.cost(more as u32));
    }

    fn cost(&self, requests: u32) -> Duration {
        WINDOW * requests / self.a_minute.get()
    }

    fn left(&self, owed: Duration) -> Left {
        let free = WINDOW.saturating_sub(owed).as_nanos();
        let a_minute = self.a_minute.get();
        Left {
            a_minute,
            requests: (free * u128::from(a_minute) / WINDOW.as_nanos()) as u64,
            whole_in: owed,
        }
    }
}

impl Left {
    fn headers(self) -> [(HeaderName, String); 2] {
        let window = WINDOW.as_secs();
        let whole_in = self.whole_in.as_millis().div_ceil(1_000);
        [
            (POLICY, format!("\"key\";q={};w={window}", self.a_minute)),
            (LIMIT, format!("\"key\";r={};t={whole_in}", self.requests)),
        ]
    }

    /// Writes it into an answer.
    pub fn tell(self, headers: &mut HeaderMap) {
        for (name, value) in self.headers() {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: KeyHash = [1; 32];

    fn quota(a_minute: u32) -> Quota {
        Quota::new(NonZeroU32::new(a_minute).unwrap())
    }

    #[test]
    fn a_minutes_worth_at_once_and_then_as_it_comes_back() {
        let (quota, now) = (quota(60), Instant::now());
        for left in (0..60).rev() {
            assert_eq!(quota.take(KEY, now).unwrap().requests, left);
        }
        assert_eq!(
            quota.take(KEY, now).unwrap_err().code(),
            "too-many-requests"
        );
        assert!(quota.take([2; 32], now).is_ok(), "another key has its own");
        let later = now + Duration::from_secs(1);
        assert!(quota.take(KEY, later).is_ok());
        assert!(quota.take(KEY, later).is_err());
    }

    #[test]
    fn who_asks_evenly_never_waits() {
        let (quota, begun) = (quota(600), Instant::now());
        for number in 0..6_000 {
            let now = begun + Duration::from_millis(100) * number;
            assert!(quota.take(KEY, now).is_ok(), "request {number}");
        }
    }

    #[test]
    fn a_batch_is_paid_for_by_who_asks_next() {
        let (quota, now) = (quota(60), Instant::now());
        quota.take(KEY, now).unwrap();
        quota.take_more(KEY, 89, now);
        assert!(quota.take(KEY, now + Duration::from_secs(29)).is_err());
        assert!(quota.take(KEY, now + Duration::from_secs(31)).is_ok());
    }

    #[test]
    fn the_headers_say_what_there_is_and_when_all_of_it_is_back() {
        let (quota, now) = (quota(120), Instant::now());
        quota.take(KEY, now).unwrap();
        let mut headers = HeaderMap::new();
        quota.take(KEY, now).unwrap().tell(&mut headers);
        assert_eq!(headers[POLICY], "\"key\";q=120;w=60");
        assert_eq!(headers[LIMIT], "\"key\";r=118;t=1");
    }
}
