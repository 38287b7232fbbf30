//! The starter pack's points: so many for each currency unit of a sale, and extras on top, by
//! configuration alone. It never decides who is in a segment or a tier; it only reads them.
//!
//! The base is one award, floored once per sale. Every extra is a bonus entry of its own, counted
//! from the base, so that the ledger says what was earned for what, and an extra that ends leaves
//! the base as it was.

pub mod config;
mod eligible;
mod extras;

use serde::{Deserialize, Serialize};
use stampcard_sdk::prelude::*;

use config::{Config, Exclude, Rate, Rounding};
use eligible::Eligible;

/// The rule, configured.
pub struct StarterPoints {
    config: Config,
    shop: Shop,
}

impl Rule for StarterPoints {
    type Config = Config;

    fn configure(config: Config, shop: &Shop) -> Result<Self> {
        match config.check(shop) {
            Ok(()) => Ok(Self {
                config,
                shop: shop.clone(),
            }),
            Err(error) => Err(Refusal::rejected(error.to_string())),
        }
    }
}

impl PointFormula for StarterPoints {
    fn points(&self, input: &Input) -> Result<PointAnswer> {
        if input.event.is("loyalty.enrolled") || input.event.is("referral.signup") {
            return self.welcome(input);
        }
        // What was bought earns; what is still in a basket shows what it will earn, and the host
        // books nothing for it. Receipts that are shown again and reviews earn nothing.
        match input.basket() {
            Some(sale) => Ok(self.earned(sale, input)),
            None => Ok(PointAnswer::nothing()),
        }
    }
}

stampcard_sdk::export!(StarterPoints: PointFormula);

impl StarterPoints {
    fn earned(&self, sale: &Sale, input: &Input) -> PointAnswer {
        if let Some(reason) = self.config.exclude.customer(&input.customer) {
            return PointAnswer::nothing().note(reason);
        }
        let rate = self.config.rate_in(input.event.channel);
        let eligible = match Eligible::of(sale, &self.config) {
            Ok(eligible) => eligible,
            Err(nothing) => return PointAnswer::nothing().note(nothing.to_string()),
        };
        let points = rate.points_for(&eligible, self.config.rounding, &self.shop);

        let mut answer = PointAnswer::nothing();
        if points > 0 {
            let reason = rate.reason(&self.shop);
            let base = Award::base(points, reason).covering(eligible.coverage());
            answer = answer.award(self.lasting(base));
        }
        for extra in extras::for_sale(&self.config, sale, &eligible, points, input) {
            answer = answer.award(self.lasting(extra));
        }
        match answer.awards.is_empty() {
            true => answer.note(format!(
                "{} is less than one point ({})",
                self.shop.money(eligible.amount()),
                rate.reason(&self.shop)
            )),
            false => answer,
        }
    }

    /// The bonus for joining, once in a life, however often the customer enrols.
    fn welcome(&self, input: &Input) -> Result<PointAnswer> {
        let Some(welcome) = &self.config.welcome else {
            return Ok(PointAnswer::nothing());
        };
        if let Some(reason) = self.config.exclude.customer(&input.customer) {
            return Ok(PointAnswer::nothing().note(reason));
        }
        if input.remembered::<Remembered>()?.welcomed {
            return Ok(PointAnswer::nothing().note("the welcome bonus was given before"));
        }
        let reason = welcome.reason.as_deref().unwrap_or("welcome bonus");
        let bonus = Award::bonus(welcome.points, reason).kept_on_return();
        PointAnswer::nothing()
            .award(self.lasting(bonus))
            .remember(&Remembered { welcomed: true })
    }

    /// The award with the time from and until which it can be spent.
    fn lasting(&self, award: Award) -> Award {
        award
            .available_from(self.config.available_after)
            .expires_at(self.config.expires_after)
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Remembered {
    welcomed: bool,
}

impl Exclude {
    /// Why this customer earns nothing, if so.
    fn customer(&self, customer: &Customer) -> Option<String> {
        let tag = self
            .customer_tags
            .iter()
            .find(|tag| customer.has_tag(tag))?;
        Some(format!("customers with the tag {tag} earn no points"))
    }
}

impl Rate {
    /// The points for what is eligible, rounded once, in integers wide enough for any amount.
    fn points_for(&self, eligible: &Eligible, rounding: Rounding, shop: &Shop) -> Points {
        let (amount, of) = eligible.fraction();
        let dividend = amount * i128::from(self.points);
        let divisor = of * i128::from(self.per(shop));
        let points = match rounding {
            Rounding::Down => dividend / divisor,
            Rounding::Nearest => (2 * dividend + divisor) / (2 * divisor),
            Rounding::Up => (dividend + divisor - 1) / divisor,
            Rounding::WholeSteps => amount / divisor * i128::from(self.points),
        };
        points as Points
    }

    /// "1 point per 1.00 USD", unless the shop has words of its own.
    fn reason(&self, shop: &Shop) -> String {
        match &self.reason {
            Some(reason) => reason.clone(),
            None => format!(
                "{} per {}",
                stampcard_sdk::count(self.points, "point"),
                shop.money_in_words(self.per(shop))
            ),
        }
    }

    /// How much earns `points`, in minor units.
    fn per(&self, shop: &Shop) -> Money {
        self.per.unwrap_or(shop.minor_units.into())
    }
}
