//! The starter pack's segments: groups of customers and tags, by configuration alone.
//!
//! Reads what the host counts, remembers the little that it does not, and says who enters and
//! who leaves, each with a sentence. It never earns, never places a tier and never sends.

use stampcard_sdk::MINUTE;
use stampcard_sdk::prelude::*;

mod bought;
mod check;
mod codec;
pub mod config;
mod judge;
mod ladder;
mod memory;
mod plan;
pub mod rhythm;
mod timing;
mod words;

use config::Config;
use judge::{Judge, Truth};
use memory::{Remembered, Reviews};
use plan::Plan;
use rhythm::NEVER;

/// The rule, configured.
pub struct StarterSegments {
    plan: Plan,
}

impl Rule for StarterSegments {
    type Config = Config;

    fn configure(config: Config, shop: &Shop) -> Result<Self> {
        Ok(StarterSegments {
            plan: Plan::new(config, shop)?,
        })
    }
}

impl SegmentRule for StarterSegments {
    fn segments(&self, input: &Input) -> Result<SegmentAnswer> {
        let mut remembered = Remembered::read(input)?;
        remembered.observe(input, &self.plan.needs);

        let mut judge = Judge::new(&self.plan, input, &remembered);
        let mut answer = SegmentAnswer::nothing();
        let mut turns_at = NEVER;
        let mut unknown = Vec::new();
        for (index, node) in self.plan.nodes.iter().enumerate() {
            let verdict = judge.node(index);
            turns_at = turns_at.min(verdict.turns_at);
            let wanted = match verdict.truth {
                Truth::Yes => true,
                Truth::No => false,
                Truth::Unknown => {
                    unknown.push(node.key.as_str());
                    continue;
                }
            };
            if wanted == judge.member_since(node.is_tag, &node.key).is_some() {
                continue;
            }
            answer = match node.is_tag {
                true => answer.tag(&*node.key, wanted),
                false => answer.member(&*node.key, wanted, judge.reason(node)),
            };
        }
        if !unknown.is_empty() {
            answer = answer.note(format!(
                "More facts than are sent; left as they were: {}.",
                unknown.join(", ")
            ));
        }

        let next_review = next_review(&mut remembered.reviews, input, turns_at, &self.plan);
        answer.after.memory = remembered.written(input.state.as_deref());
        answer.after.next_review = next_review;
        Ok(answer)
    }
}

/// How many reviews in 24 hours are asked for at the exact instant. More than 24 are a fault, and
/// a day of ours may begin in the middle of one of the host's.
const REVIEWS_A_DAY: u32 = 12;

/// How long after an event that may have moved the balance or the tier, which are decided after
/// the segments, we look at them again, in milliseconds. A minute takes several events together.
const SETTLE_MS: i64 = MINUTE;

/// When the host is to come back: when time alone could change something, or when what this event
/// moves has settled.
fn next_review(reviews: &mut Reviews, input: &Input, turns_at: Instant, plan: &Plan) -> NextReview {
    let now = input.now;
    let review = input.review();
    if plan.needs.often || plan.needs.standing {
        if now >= reviews.since + DAY {
            (reviews.since, reviews.count) = (now, 0);
        }
        let asked = review.is_some_and(|it| it.causes.contains(&ReviewCause::Asked));
        reviews.count += u32::from(asked);
    }
    let earliest = match reviews.count >= REVIEWS_A_DAY {
        true => reviews.since + DAY,
        false => now,
    };
    let settled = review.is_some() && reviews.settle_at.is_some_and(|at| at <= now);
    if !plan.needs.standing || settled {
        reviews.settle_at = None;
    } else if review.is_none() || reviews.settle_at.is_none() {
        reviews.settle_at = Some(earliest.max(now + SETTLE_MS));
    }
    let turns_at = (turns_at < NEVER).then(|| turns_at.max(earliest));
    match turns_at.into_iter().chain(reviews.settle_at).min() {
        Some(at) => NextReview::At(at),
        None => NextReview::Never,
    }
}

stampcard_sdk::export!(StarterSegments: SegmentRule);
