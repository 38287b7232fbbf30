//! Points per dollar, and a panic over the goods that its configuration names: a rule that works for
//! most sales, as rules with a bug do.

use stampcard_sdk::prelude::*;

#[derive(Deserialize)]
struct Config {
    points: i64,
    breaks_on: Option<String>,
}

struct Brittle(Config);

impl Rule for Brittle {
    type Config = Config;

    fn configure(config: Config, _: &Shop) -> Result<Self> {
        Ok(Brittle(config))
    }
}

impl PointFormula for Brittle {
    fn points(&self, input: &Input) -> Result<PointAnswer> {
        let Some(sale) = input.sale() else {
            return Ok(PointAnswer::nothing());
        };
        let broken = self.0.breaks_on.as_deref();
        assert!(
            sale.lines
                .iter()
                .all(|line| broken.is_none() || line.sku.as_deref() != broken),
            "goods that nobody thought of"
        );
        let points = sale.total / 100 * self.0.points;
        Ok(PointAnswer::nothing().award(Award::base(points, "points per dollar")))
    }
}

stampcard_sdk::export!(Brittle: PointFormula);
