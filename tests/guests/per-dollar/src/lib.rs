//! One point per dollar: the smallest rule that is one, for measuring.

use stampcard_sdk::prelude::*;

struct PerDollar;

impl Rule for PerDollar {
    type Config = NoConfig;

    fn configure(_: NoConfig, _: &Shop) -> Result<Self> {
        Ok(PerDollar)
    }
}

impl PointFormula for PerDollar {
    fn points(&self, input: &Input) -> Result<PointAnswer> {
        match input.sale() {
            Some(sale) => {
                Ok(PointAnswer::nothing()
                    .award(Award::base(sale.total / 100, "1 point per dollar")))
            }
            None => Ok(PointAnswer::nothing()),
        }
    }
}

stampcard_sdk::export!(PerDollar: PointFormula);
