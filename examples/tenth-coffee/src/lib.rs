//! A stamp card: so many coffees, so many points.

use stampcard_sdk::StampCard;
use stampcard_sdk::prelude::*;

#[derive(Deserialize)]
pub struct TenthCoffee {
    every: u32,
    points: i64,
}

impl Rule for TenthCoffee {
    type Config = Self;

    fn configure(config: Self, _: &Shop) -> Result<Self> {
        Ok(config)
    }
}

impl PointFormula for TenthCoffee {
    fn points(&self, input: &Input) -> Result<PointAnswer> {
        let mut card: StampCard = input.remembered()?;
        card.count(input, |line| line.in_category("coffee"));
        let mut answer = PointAnswer::nothing();
        for _ in 0..card.full(self.every) {
            answer = answer.award(Award::bonus(self.points, "a full stamp card").kept_on_return());
        }
        answer.remember(&card)
    }
}

stampcard_sdk::export!(TenthCoffee: PointFormula);

#[cfg(test)]
mod tests {
    #[test]
    fn the_cases_hold() {
        stampcard_sdk::cases::check_all::<super::TenthCoffee>("cases");
    }
}
