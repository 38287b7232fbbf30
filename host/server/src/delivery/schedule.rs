//! When a follow-up is tried again that could not be delivered.

use stampcard_pipeline::calendar;
use stampcard_pipeline::event::Instant;
use stampcard_pipeline::shop::Delivery;

/// Each wait is so many times the one before.
const FACTOR: i64 = 3;
/// The longest wait that we choose ourselves: eight hours, so that a receiver that is mended over night has
/// all of it before noon.
const WAIT_MS_MAX: i64 = 8 * 3_600_000;
/// The longest that a receiver may ask for in `Retry-After`: a day. It may ask again.
const ASKED_MS_MAX: i64 = 24 * 3_600_000;
/// By how much waits differ, in thousandths, so that what failed together does not come back together.
const SPREAD: i64 = 200;

/// What there is to go by.
#[derive(Clone, Copy, Debug)]
pub struct Failed {
    /// Attempts so far, with the one that failed.
    pub attempts: u32,
    pub now: Instant,
    /// How long the receiver asked us to wait, in milliseconds.
    pub asked_ms: Option<i64>,
}

/// The instant of the next attempt; `None` when there were as many as the shop wants. `chance` is any
/// number, drawn anew each time.
pub fn next_attempt(failed: Failed, delivery: &Delivery, chance: u64) -> Option<Instant> {
    if failed.attempts >= delivery.attempts {
        return None;
    }
    let first = i64::from(delivery.retry_seconds) * 1_000;
    let doubled = failed.attempts.saturating_sub(1);
    let wait = FACTOR
        .checked_pow(doubled)
        .and_then(|factor| first.checked_mul(factor))
        .unwrap_or(WAIT_MS_MAX)
        .min(WAIT_MS_MAX);
    let spread = (chance % (2 * SPREAD as u64 + 1)) as i64 - SPREAD;
    let wait = wait + wait * spread / 1_000;
    // Never before the receiver wants to hear of it.
    let asked = failed.asked_ms.unwrap_or(0).min(ASKED_MS_MAX);
    Some(Instant(failed.now.0 + wait.max(asked)))
}

/// How long the header `Retry-After` asks us to wait, in milliseconds: seconds, or a date of HTTP.
pub fn retry_after(header: &str, now: Instant) -> Option<i64> {
    if let Ok(seconds) = header.trim().parse::<u32>() {
        return Some(i64::from(seconds) * 1_000);
    }
    let at = calendar::parse_http(header.trim())?;
    Some((at.0 - now.0).max(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery() -> Delivery {
        serde_json::from_value(serde_json::json!({
            "url": "https://x", "secret": "env:S", "attempts": 10, "retry_seconds": 10,
        }))
        .expect("a delivery")
    }

    fn wait(attempts: u32, asked_ms: Option<i64>, chance: u64) -> Option<i64> {
        let now = Instant(1_000_000);
        let failed = Failed {
            attempts,
            now,
            asked_ms,
        };
        next_attempt(failed, &delivery(), chance).map(|next| (next.0 - now.0) / 1_000)
    }

    #[test]
    fn waits_grow_to_eight_hours_and_end() {
        let middle = SPREAD as u64;
        let waits: Vec<_> = (1..=10)
            .map(|attempts| wait(attempts, None, middle))
            .collect();
        let grown = [10, 30, 90, 270, 810, 2_430, 7_290, 21_870, 28_800];
        let mut expected: Vec<_> = grown.map(Some).to_vec();
        expected.push(None);
        assert_eq!(waits, expected);
        assert_eq!(wait(9, None, 0), Some(23_040), "a fifth less");
        assert_eq!(
            wait(9, None, 2 * SPREAD as u64),
            Some(34_560),
            "a fifth more"
        );
        assert_eq!(wait(9, None, u64::MAX).map(|it| it >= 23_040), Some(true));
    }

    #[test]
    fn the_receiver_may_ask_for_longer_but_not_for_ever() {
        assert_eq!(wait(1, Some(120_000), 0), Some(120));
        assert_eq!(wait(1, Some(1_000), 0), Some(8), "but not for less");
        assert_eq!(wait(1, Some(i64::MAX), 0), Some(86_400));
        assert_eq!(wait(10, Some(1_000), 0), None);
        let now = calendar::parse("2026-11-23T08:00:00Z").expect("a time");
        assert_eq!(retry_after("120", now), Some(120_000));
        assert_eq!(
            retry_after("Mon, 23 Nov 2026 08:01:00 GMT", now),
            Some(60_000)
        );
        assert_eq!(retry_after("Mon, 23 Nov 2026 07:00:00 GMT", now), Some(0));
        assert_eq!(retry_after("soon", now), None);
    }
}
