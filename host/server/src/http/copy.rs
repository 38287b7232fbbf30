//! A copy of the shop that stands in for the server: what it may be asked, and how old its answers are.

use super::Door;
use super::problem::{Problem, conflict};
use axum::http::Method;
use serde::Deserialize;
use stampcard_pipeline::calendar;
use stampcard_pipeline::event::Instant;
use stampcard_pipeline::outcome::{Outcome, Time};
use stampcard_pipeline::shop::Shop;

/// What tills tell a copy, beside what anybody reads.
const TOLD: [&str; 3] = ["/v1/events", "/v1/events:batch", "/v1/preview"];

const OFFLINE: &str = "redemption.offline";

/// How old an answer is.
pub struct Age {
    pub as_of: Time,
    /// What the customer is told of it, where it is older than the shop wants.
    pub notice: Option<String>,
}

impl Door {
    /// How old an answer of now is, for somebody who speaks these languages.
    pub fn age(&self, now: Instant, shop: &Shop, languages: &[&str]) -> Age {
        let Some(as_of) = self.copy_of else {
            return Age {
                as_of: Time(now),
                notice: None,
            };
        };
        let policy = &shop.file.edge;
        let is_stale = now.0 - as_of.0 > i64::from(policy.stale_after_seconds) * 1_000;
        let notice = is_stale.then(|| {
            let (words, _) = policy.notice.spoken(languages);
            words.replace("{as_of}", &calendar::on_the_wall(as_of, &shop.zone))
        });
        Age {
            as_of: Time(as_of),
            notice,
        }
    }

    /// A copy answers and counts for its tills. Whatever else is done to a customer is the server's.
    pub fn may_be_told(&self, method: &Method, route: &str) -> Result<(), Problem> {
        match self.copy_of {
            Some(as_of) if *method != Method::GET && !TOLD.contains(&route) => Err(conflict(
                "a-copy",
                format!(
                    "this is a copy of the shop as of {}: it takes events and answers, and nothing else; ask the server",
                    calendar::text(as_of)
                ),
            )),
            _ => Ok(()),
        }
    }

    /// Nobody redeems at a copy what they may redeem at the server in the same moment; what an allowance has set
    /// aside there may be given.
    pub fn may_take(&self, event: &[u8]) -> Result<(), Problem> {
        #[derive(Deserialize)]
        struct Kind {
            #[serde(rename = "type")]
            kind: String,
        }
        if self.copy_of.is_none() {
            return Ok(());
        }
        match serde_json::from_slice::<Kind>(event) {
            Ok(Kind { kind }) if kind.starts_with("redemption.") && kind != OFFLINE => {
                Err(conflict(
                    "a-copy",
                    "a copy of the shop redeems nothing but by an allowance (redemption.offline); ask the server",
                ))
            }
            // Whatever is no event is told so further on.
            _ => Ok(()),
        }
    }

    /// What comes of an event at a copy is provisional.
    pub fn mark(&self, outcome: &mut Outcome) {
        if let Some(as_of) = self.copy_of {
            outcome.notes.push(format!(
                "provisional: from a copy of the shop as of {}; tell the server of it with told_points",
                calendar::text(as_of)
            ));
        }
    }
}
