//! Extra points for each piece of a category.

use stampcard_sdk::prelude::*;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ByCategory {
    category: String,
    points: Points,
}

impl Rule for ByCategory {
    type Config = Self;

    fn configure(config: Self, _: &Shop) -> Result<Self> {
        match config.category.trim() {
            "" => Err(Refusal::rejected("category must not be blank")),
            _ => Ok(config),
        }
    }
}

impl PointFormula for ByCategory {
    fn points(&self, input: &Input) -> Result<PointAnswer> {
        let Some(basket) = input.basket() else {
            return Ok(PointAnswer::nothing());
        };
        let category = &self.category;
        let pieces = basket.pieces(|line| line.in_category(category));
        if pieces == 0 {
            return Ok(PointAnswer::nothing().note(format!("no {category} in the basket")));
        }
        let lines = basket.lines.iter().filter(|line| line.in_category(category));
        let award = Award::bonus(pieces * self.points, format!("{pieces} × {category}"));
        Ok(PointAnswer::nothing().award(award.on_lines(lines.map(|line| line.number))))
    }
}

stampcard_sdk::export!(ByCategory: PointFormula);

#[cfg(test)]
mod tests {
    #[test]
    fn the_cases_hold() {
        stampcard_sdk::cases::check_all::<super::ByCategory>("cases");
    }
}
