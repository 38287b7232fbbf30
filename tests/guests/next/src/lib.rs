//! A rule that is built for the contract of the rehearsal in `tests/evolution`, and lives on what is
//! new in it: points for whoever comes in the rain, which belong to a campaign.

wit_bindgen::generate!({
    path: "../../evolution/v0.2",
    world: "point-formula-plugin",
});

use exports::stampcard::plugin::{lifecycle, point_formula};
use stampcard::plugin::types::*;

struct Rain;

impl lifecycle::Guest for Rain {
    fn configure(_: String, _: Shop) -> Result<(), Refusal> {
        Ok(())
    }
}

impl point_formula::Guest for Rain {
    fn decide(input: Input) -> Result<PointAnswer, Refusal> {
        let rains = input.event.weather.as_deref() == Some("rain");
        let award = || Award {
            amount: Amount::Bonus(7),
            to: Recipient::Customer,
            covers: Coverage::Whole,
            reason: "came in the rain".into(),
            available_from: None,
            expires_at: None,
            on_return: OnReturn::Keep,
            campaign: Some("rainy days".into()),
            attributes: Vec::new(),
        };
        Ok(PointAnswer {
            awards: rains.then(award).into_iter().collect(),
            after: After {
                memory: Memory::Keep,
                next_review: NextReview::Keep,
                keep_with_event: None,
                note: None,
                attributes: Vec::new(),
            },
        })
    }
}

export!(Rain);
