//! Where follow-ups go when they are due: `[delivery]` of `merchant.toml`.

use super::{Shop, ShopError};
use crate::calendar::LocalTime;
use crate::event::Instant;
use crate::fold::DAY_MS;
use serde::{Deserialize, Serialize};

/// One receiver that writes to customers for the shop: a service, or a program of the shop's own. Without
/// it follow-ups are planned and wait.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delivery {
    /// Each follow-up is sent there by a POST of its own.
    pub url: String,
    /// Where the secret is with which they are signed, and not the secret itself: what is live is kept for
    /// ever. `env:NAME` is a variable of the server's environment, `file:/path` a file.
    pub secret: String,
    /// How long the receiver may take to answer.
    #[serde(default = "Delivery::timeout")]
    pub timeout_seconds: u32,
    /// How often one follow-up is tried before it is left for a person to look at.
    #[serde(default = "Delivery::attempts_default")]
    pub attempts: u32,
    /// How long after the first attempt the second one is; each wait after that is three times as long.
    #[serde(default = "Delivery::retry")]
    pub retry_seconds: u32,
    /// How many are under way at the same time.
    #[serde(default = "Delivery::at_once_default")]
    pub at_once: u32,
    /// What is due for longer than so many hours when it is tried for the first time is not sent: nobody
    /// wants to be thanked for what they bought in spring.
    #[serde(default = "Delivery::late")]
    pub late_hours: u32,
    /// Between these no marketing is sent; it waits until the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet: Option<Quiet>,
    /// Speaks HTTP without TLS also to another machine, for a network that nobody else is in.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub plain_http: bool,
}

/// Hours on the wall of the shop, such as from 21:00 to 09:00.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quiet {
    pub from: String,
    pub to: String,
}

/// The most seconds that a receiver may be waited for: a server that stops waits for it, too.
const TIMEOUT_S_MAX: u32 = 25;
/// The most attempts: with ten seconds at first and eight hours at most between two of them, two weeks.
const ATTEMPTS_MAX: u32 = 50;
/// The most that are under way at once: each has a thread.
const AT_ONCE_MAX: u32 = 32;

impl Delivery {
    fn timeout() -> u32 {
        10
    }

    fn attempts_default() -> u32 {
        12
    }

    fn retry() -> u32 {
        10
    }

    fn at_once_default() -> u32 {
        4
    }

    fn late() -> u32 {
        72
    }

    pub(super) fn check(&self) -> Result<(), ShopError> {
        let wrong = |key: &'static str, problem: String| Err(ShopError::Delivery { key, problem });
        let host = self.url.split_once("://").map(|(scheme, rest)| {
            let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
            (scheme, &rest[..end])
        });
        match host {
            Some(("https" | "http", host)) if host.contains('@') => {
                let problem = "has a name or a password in it; the secret says who sends".into();
                return wrong("url", problem);
            }
            Some(("https", host)) if !host.is_empty() => {}
            Some(("http", host)) if !host.is_empty() => {
                if !self.plain_http && !is_this_machine(host) {
                    let problem = "would send what customers are called over an open line; write https://, or `plain_http = true` \
                                   where the network is the shop's own"
                        .into();
                    return wrong("url", problem);
                }
            }
            _ => {
                let problem = format!(
                    "is {:?}; https://mailer.example.com/stampcard is one",
                    self.url
                );
                return wrong("url", problem);
            }
        }
        let is_reference = ["env:", "file:"].iter().any(|kind| {
            let place = self.secret.strip_prefix(kind);
            place.is_some_and(|place| !place.is_empty())
        });
        if !is_reference {
            let problem = "is to say where the secret is, because this file is kept for ever: \
                           \"env:STAMPCARD_DELIVERY_SECRET\" or \"file:/run/secrets/delivery\""
                .into();
            return wrong("secret", problem);
        }
        for (key, number, most) in [
            ("timeout_seconds", self.timeout_seconds, TIMEOUT_S_MAX),
            ("attempts", self.attempts, ATTEMPTS_MAX),
            ("retry_seconds", self.retry_seconds, 3_600),
            ("at_once", self.at_once, AT_ONCE_MAX),
            ("late_hours", self.late_hours, 8_760),
        ] {
            if !(1..=most).contains(&number) {
                return wrong(key, format!("is {number}; it goes from 1 to {most}"));
            }
        }
        if let Some(quiet) = &self.quiet {
            let minutes = [&quiet.from, &quiet.to].map(|text| minute_of_day(text));
            match minutes {
                [Some(from), Some(to)] if from != to => {}
                _ => {
                    let problem = "needs two different times of the day, such as { from = \"21:00\", to = \"09:00\" }";
                    return wrong("quiet", problem.into());
                }
            }
        }
        Ok(())
    }

    /// When it is quiet at this instant: the end of it, on the wall of the shop.
    pub fn quiet_until(&self, now: Instant, shop: &Shop) -> Option<Instant> {
        let quiet = self.quiet.as_ref()?;
        let (from, to) = (minute_of_day(&quiet.from)?, minute_of_day(&quiet.to)?);
        let wall = LocalTime::at(now, &shop.zone);
        let minute = i64::from(wall.hour) * 60 + i64::from(wall.minute);
        let is_quiet = match from < to {
            true => (from..to).contains(&minute),
            false => minute >= from || minute < to,
        };
        let left = (to - minute).rem_euclid(DAY_MINUTES);
        // From the full minute, so that the end is the end of a minute as well.
        let this_minute = now.0 - now.0.rem_euclid(MINUTE_MS);
        is_quiet.then_some(Instant(this_minute + left * MINUTE_MS))
    }
}

const MINUTE_MS: i64 = 60_000;
const DAY_MINUTES: i64 = DAY_MS / MINUTE_MS;

fn minute_of_day(text: &str) -> Option<i64> {
    let (hour, minute) = text.split_once(':')?;
    let number = |text: &str, below: i64| {
        let number: i64 = text.parse().ok()?;
        (text.len() == 2 && (0..below).contains(&number)).then_some(number)
    };
    Some(number(hour, 24)? * 60 + number(minute, 60)?)
}

fn is_this_machine(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    matches!(name, "localhost" | "127.0.0.1" | "::1")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar;
    use crate::shop::ShopFile;
    use serde_json::{Value, json};

    /// One that is as it should be, but for what is said.
    fn delivery(change: Value) -> Delivery {
        let mut said = json!({"url": "https://mail.example.com/x", "secret": "env:S"});
        let change = change.as_object().expect("keys").clone();
        said.as_object_mut().expect("keys").extend(change);
        serde_json::from_value(said).expect("it is well formed")
    }

    #[test]
    fn it_is_refused_by_the_key_that_is_wrong() {
        assert_eq!(delivery(json!({})).check(), Ok(()));
        for (change, key) in [
            (json!({"url": "ftp://x"}), "url"),
            (json!({"url": "http://mail.example.com"}), "url"),
            (json!({"url": "http://localhost.example.com:1"}), "url"),
            (json!({"url": "https://me:pass@x"}), "url"),
            (json!({"secret": "whsec_c2VjcmV0"}), "secret"),
            (json!({"attempts": 0}), "attempts"),
            (json!({"at_once": 33}), "at_once"),
            (json!({"quiet": {"from": "9", "to": "10:00"}}), "quiet"),
            (json!({"quiet": {"from": "09:00", "to": "09:00"}}), "quiet"),
        ] {
            let problem = delivery(change.clone()).check().expect_err("refused");
            let key = format!("delivery.{key} ");
            assert!(problem.to_string().starts_with(&key), "{change}: {problem}");
        }
        for here in ["http://127.0.0.1:9/x", "http://[::1]:9", "http://localhost"] {
            assert_eq!(delivery(json!({"url": here})).check(), Ok(()), "{here}");
        }
        let inside = json!({"url": "http://mailer:3000/", "plain_http": true});
        assert_eq!(delivery(inside).check(), Ok(()));
    }

    #[test]
    fn nights_end_in_the_morning_of_the_shop() {
        let shop = json!({"name": "A", "currency": "USD", "time_zone": "America/New_York", "country": "US"});
        let shop: ShopFile = serde_json::from_value(shop).expect("a shop");
        let shop = Shop::new(shop).expect("a shop");
        let until = |delivery: &Delivery, now: &str| {
            let now = calendar::parse(now).expect("a time");
            delivery.quiet_until(now, &shop).map(calendar::text)
        };
        let night = delivery(json!({"quiet": {"from": "21:00", "to": "09:00"}}));
        assert_eq!(until(&night, "2024-05-01T20:59:59-04:00"), None);
        let morning = Some("2024-05-02T13:00:00Z".to_owned());
        assert_eq!(until(&night, "2024-05-01T21:00:00-04:00"), morning);
        assert_eq!(until(&night, "2024-05-02T08:59:59-04:00"), morning);
        assert_eq!(until(&night, "2024-05-02T09:00:00-04:00"), None);
        let noon = delivery(json!({"quiet": {"from": "12:00", "to": "13:30"}}));
        let after = Some("2024-05-01T17:30:00Z".to_owned());
        assert_eq!(until(&noon, "2024-05-01T12:10:30-04:00"), after);
        assert_eq!(until(&noon, "2024-05-01T21:00:00-04:00"), None);
        assert_eq!(
            until(&delivery(json!({})), "2024-05-01T23:00:00-04:00"),
            None
        );
    }
}
