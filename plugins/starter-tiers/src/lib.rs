//! The starter pack's tiers: thresholds on spend, points or orders, with a time for which a tier
//! is kept and a grace after it, by configuration alone. It earns nothing and sends nothing.

pub mod config;
mod ladder;

use serde::{Deserialize, Serialize};
use stampcard_sdk::prelude::*;

use config::{Config, Window};
use ladder::{Ladder, Step};

/// The rule, configured.
pub struct StarterTiers {
    ladder: Ladder,
    window: Window,
    keep: Option<Span>,
    grace: Option<Span>,
    falls: bool,
}

impl Rule for StarterTiers {
    type Config = Config;

    fn configure(config: Config, shop: &Shop) -> Result<Self> {
        match config.check(shop) {
            Ok(()) => Ok(Self {
                window: config.window,
                keep: config.keep,
                grace: config.grace,
                falls: config.falls,
                ladder: Ladder::new(config, shop),
            }),
            Err(error) => Err(Refusal::rejected(error.to_string())),
        }
    }
}

impl TierRule for StarterTiers {
    fn tier(&self, input: &Input) -> Result<TierAnswer> {
        let tally = self.window.of(&input.totals);
        let remembered: Remembered = input.remembered()?;
        let decision = match input.checkout() {
            // A basket moves nobody yet; it only shows how far it is to the next tier.
            Some(_) => Decision::Leave,
            None => self.decide(tally, &input.customer, &remembered, input.now),
        };

        let held = self.ladder.step(input.customer.tier_name());
        let after = decision.step_after(held);
        let answer = self.answer(&decision, tally, input);
        let answer = match self.ladder.next(after, tally) {
            Some(next) => answer.next(next.tier, next.missing, next.unit),
            None => answer,
        };
        if input.checkout().is_some() {
            return Ok(answer);
        }
        let answer = answer.review_at(self.review_at(&decision, after, input));
        match &decision {
            Decision::Grace(step) => answer.remember(&Remembered {
                grace: Some(step.tier.clone()),
            }),
            Decision::Leave => Ok(answer),
            _ if remembered.grace.is_some() => Ok(answer.forget()),
            _ => Ok(answer),
        }
    }
}

stampcard_sdk::export!(StarterTiers: TierRule);

#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Remembered {
    /// The tier that the customer does not reach any more and keeps by grace.
    grace: Option<String>,
}

/// What becomes of the tier with this event.
enum Decision<'a> {
    /// The tier stays as it is.
    Leave,
    /// Reached, or reached again when its time was over.
    Reach(&'a Step),
    /// Not reached any more, and kept for a while all the same.
    Grace(&'a Step),
    /// Down to what is reached now, if anything.
    Fall {
        from: &'a Step,
        to: Option<&'a Step>,
    },
}

impl<'a> Decision<'a> {
    /// The tier that the customer holds then.
    fn step_after(&self, held: Option<&'a Step>) -> Option<&'a Step> {
        match self {
            Decision::Leave => held,
            Decision::Reach(step) | Decision::Grace(step) => Some(step),
            Decision::Fall { to, .. } => *to,
        }
    }
}

impl StarterTiers {
    fn decide(
        &self,
        tally: &Tally,
        customer: &Customer,
        remembered: &Remembered,
        now: Instant,
    ) -> Decision<'_> {
        let reached = self.ladder.reached(tally);
        let tier = customer.tier_name();
        let Some(held) = self.ladder.step(tier) else {
            // No tier, or one that another plugin gave: it is only ever exceeded.
            return match reached {
                Some(step) if self.ladder.is_above(step, tier) => Decision::Reach(step),
                _ => Decision::Leave,
            };
        };
        let by_grace = remembered.grace.as_deref() == tier;
        let kept = is_kept(customer, now);

        match reached {
            Some(step) if step.rank > held.rank => Decision::Reach(step),
            Some(step) if step.rank == held.rank => {
                match by_grace || self.keep.is_some() && !kept {
                    true => Decision::Reach(held),
                    false => Decision::Leave,
                }
            }
            _ if kept || !self.falls => Decision::Leave,
            _ if self.grace.is_some() && !by_grace => Decision::Grace(held),
            _ => Decision::Fall {
                from: held,
                to: reached,
            },
        }
    }

    fn answer(&self, decision: &Decision, tally: &Tally, input: &Input) -> TierAnswer {
        let window = self.window.words(input);
        match decision {
            Decision::Leave => TierAnswer::unchanged(),
            Decision::Reach(step) => {
                let reason = self.ladder.why(step, tally, &window);
                TierAnswer::place(&step.tier, reason).keep_until(self.keep)
            }
            Decision::Grace(step) => {
                let reason = self.ladder.why_not(step, tally, &window);
                let reason = format!("{reason}; it is kept for a while");
                TierAnswer::place(&step.tier, reason).keep_until(self.grace)
            }
            Decision::Fall { from, to } => {
                let reason = self.ladder.why_not(from, tally, &window);
                match to {
                    Some(step) => TierAnswer::place(&step.tier, reason).keep_until(self.keep),
                    None => TierAnswer::no_tier(reason),
                }
            }
        }
    }

    /// When to be asked again because time alone can take the tier away. While a tier is kept
    /// the host asks at its end by itself.
    fn review_at(
        &self,
        decision: &Decision,
        after: Option<&Step>,
        input: &Input,
    ) -> Option<Instant> {
        let kept = match decision {
            Decision::Leave => is_kept(&input.customer, input.now),
            Decision::Grace(_) => true,
            Decision::Reach(_) | Decision::Fall { .. } => self.keep.is_some(),
        };
        match after {
            Some(_) if self.falls && !kept => self.window.moves_at(input),
            _ => None,
        }
    }
}

/// True until the tier's keep-until.
fn is_kept(customer: &Customer, now: Instant) -> bool {
    let keep_until = customer.tier.as_ref().and_then(|it| it.keep_until);
    keep_until.is_some_and(|instant| instant > now)
}
