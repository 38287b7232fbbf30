//! Tiers by what was spent within 365 days.

use stampcard_sdk::prelude::*;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BySpend {
    silver: Money,
    gold: Money,
}

impl Rule for BySpend {
    type Config = Self;

    fn configure(config: Self, _: &Shop) -> Result<Self> {
        match config.gold > config.silver {
            true => Ok(config),
            false => Err(Refusal::rejected("gold must be above silver")),
        }
    }
}

impl TierRule for BySpend {
    fn tier(&self, input: &Input) -> Result<TierAnswer> {
        let steps = [("silver", self.silver), ("gold", self.gold)];
        let spent = input.totals.days365.net_spend();
        let reached = steps.iter().rposition(|(_, from)| spent >= *from);
        let held = input.customer.tier.as_ref();
        let place = |tier: &str| steps.iter().position(|(name, _)| *name == tier);
        let held_place = held.and_then(|standing| place(&standing.tier));
        let is_kept = held
            .and_then(|standing| standing.keep_until)
            .is_some_and(|until| input.now < until);

        let answer = if reached == held_place || (is_kept && reached < held_place) {
            TierAnswer::unchanged()
        } else {
            match reached {
                None => TierAnswer::no_tier("spent too little in 365 days"),
                Some(step) => {
                    let tier = steps[step].0;
                    TierAnswer::place(tier, format!("spent enough for {tier} in 365 days"))
                        .keep_until(Moment::EndOfYear(1))
                }
            }
        };
        let next = steps.iter().find(|(_, from)| spent < *from);
        Ok(match next {
            Some((tier, from)) => answer.next(*tier, from - spent, ProgressUnit::Spend),
            None => answer,
        })
    }
}

stampcard_sdk::export!(BySpend: TierRule);

#[cfg(test)]
mod tests {
    #[test]
    fn the_cases_hold() {
        stampcard_sdk::cases::check_all::<super::BySpend>("cases");
    }
}
