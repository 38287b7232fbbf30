//! A thank-you after the first purchase.

use stampcard_sdk::prelude::*;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FirstPurchase {
    template: String,
    days: u32,
}

impl Rule for FirstPurchase {
    type Config = Self;

    fn configure(config: Self, _: &Shop) -> Result<Self> {
        match config.template.trim() {
            "" => Err(Refusal::rejected("template must not be blank")),
            _ => Ok(config),
        }
    }
}

impl FollowUpTrigger for FirstPurchase {
    fn follow_ups(&self, input: &Input) -> Result<FollowUpAnswer> {
        let answer = FollowUpAnswer::nothing();
        Ok(match input.purchase() {
            Some(sale) if input.totals.lifetime.orders == 1 => answer
                .follow_up(
                    FollowUp::marketing(
                        "email",
                        &self.template,
                        "first-purchase",
                        "the first purchase",
                    )
                    .send_at(Moment::Days(self.days))
                    .data("total", Value::Money(sale.total))
                    .cancelled_by("return.completed"),
                )
                .receipt("Thank you for your first purchase."),
            _ => answer,
        })
    }
}

stampcard_sdk::export!(FirstPurchase: FollowUpTrigger);

#[cfg(test)]
mod tests {
    #[test]
    fn the_cases_hold() {
        stampcard_sdk::cases::check_all::<super::FirstPurchase>("cases");
    }
}
