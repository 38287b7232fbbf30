//! A segment of whoever has bought often lately.

use stampcard_sdk::prelude::*;

/// The manifest owns it.
const SEGMENT: &str = "{{name}}";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Often {
    orders: u32,
    days: u32,
}

impl Rule for Often {
    type Config = Self;

    fn configure(config: Self, _: &Shop) -> Result<Self> {
        match Totals::WINDOWS.contains(&config.days) {
            true => Ok(config),
            false => Err(Refusal::rejected("days must be 7, 30, 90 or 365")),
        }
    }
}

impl SegmentRule for Often {
    fn segments(&self, input: &Input) -> Result<SegmentAnswer> {
        let Self { orders, days } = *self;
        let bought = input.totals.within(days).map_or(0, |tally| tally.orders);
        let answer = SegmentAnswer::nothing();
        if bought >= orders {
            let reason = format!("{bought} purchases in {days} days");
            return Ok(answer.enter_until(SEGMENT, Moment::Days(days), reason));
        }
        let reason = format!("{bought} of {orders} purchases in {days} days");
        Ok(match input.customer.in_segment(SEGMENT) {
            true => answer.leave(SEGMENT, reason),
            false => answer.note(reason),
        })
    }
}

stampcard_sdk::export!(Often: SegmentRule);

#[cfg(test)]
mod tests {
    #[test]
    fn the_cases_hold() {
        stampcard_sdk::cases::check_all::<super::Often>("cases");
    }
}
