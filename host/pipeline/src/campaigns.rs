//! Campaigns: times in which a rule gives more, as a shop tells its customers.
//!
//! Rules decide by themselves when they give what. A plugin whose manifest says under which key of
//! its configuration its campaigns stand lets the host read the same list and show it: one place to
//! write a campaign in, and no second one that says something else.

use crate::event::{Channel, Instant};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::Value;

/// One campaign. Fields that a rule adds for itself are left to the rule.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Campaign {
    /// What it gives, in words.
    pub reason: String,
    /// The first and the last local day, both included; open, where one is not said.
    #[serde(default)]
    pub from: Option<Date>,
    #[serde(default)]
    pub until: Option<Date>,
    /// Everywhere, where nothing is said.
    #[serde(default)]
    pub channels: Vec<Channel>,
    #[serde(default)]
    pub locations: Vec<String>,
    /// On every day of the week, where nothing is said.
    #[serde(default)]
    pub weekdays: Vec<String>,
}

impl Campaign {
    /// Those that stand under a key of a plugin's configuration; none, if the key is not there.
    pub fn of(configuration: &Value, key: &str) -> Result<Vec<Campaign>, CampaignError> {
        let wrong = |index: Option<usize>, problem: String| CampaignError {
            place: match index {
                Some(index) => format!("config.{key}[{index}]"),
                None => format!("config.{key}"),
            },
            problem,
        };
        let list = match configuration.get(key) {
            None => return Ok(Vec::new()),
            Some(Value::Array(list)) => list,
            Some(_) => return Err(wrong(None, "it is not a list".into())),
        };
        let one = |(index, entry): (usize, &Value)| {
            Campaign::deserialize(entry).map_err(|error| wrong(Some(index), error.to_string()))
        };
        list.iter().enumerate().map(one).collect()
    }

    /// When it begins and when it is over, on the wall of a place.
    pub fn window(&self, zone: &TimeZone) -> (Option<Instant>, Option<Instant>) {
        let begin_of = |day: Date| {
            let began = day.to_zoned(zone.clone()).ok()?;
            Some(Instant(began.timestamp().as_millisecond()))
        };
        let after = self.until.and_then(|day| day.tomorrow().ok());
        (self.from.and_then(begin_of), after.and_then(begin_of))
    }

    /// A campaign that only some days of some time know is told for the whole of that time.
    pub fn is_on(&self, now: Instant, zone: &TimeZone) -> bool {
        let (begins, ends) = self.window(zone);
        begins.is_none_or(|begins| begins <= now) && ends.is_none_or(|ends| now < ends)
    }

    pub fn is_for(&self, channel: Option<Channel>) -> bool {
        channel.is_none_or(|channel| self.channels.is_empty() || self.channels.contains(&channel))
    }
}

/// What is wrong with a list of campaigns.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "campaigns: {place}: {problem}; each has a `reason`, and `from` and `until` are dates such as 2026-11-23"
)]
pub struct CampaignError {
    place: String,
    problem: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn one(entry: Value) -> Campaign {
        let config = json!({"bonuses": [entry]});
        Campaign::of(&config, "bonuses").unwrap().remove(0)
    }

    #[test]
    fn a_campaign_is_on_from_its_first_local_midnight_to_the_one_after_its_last_day() {
        let zone = TimeZone::get("America/New_York").unwrap();
        let week = json!({"reason": "double", "extra_percent": 100, "from": "2026-03-02", "until": "2026-03-08"});
        let (begins, ends) = one(week.clone()).window(&zone);
        let at = |text: &str| crate::calendar::parse(text).unwrap();
        assert_eq!(begins, Some(at("2026-03-02T00:00:00-05:00")));
        // The clocks went forward on the last day.
        assert_eq!(ends, Some(at("2026-03-09T00:00:00-04:00")));
        for (now, on) in [
            ("2026-03-01T23:59:59-05:00", false),
            ("2026-03-02T00:00:00-05:00", true),
            ("2026-03-08T23:59:59-04:00", true),
            ("2026-03-09T00:00:00-04:00", false),
        ] {
            assert_eq!(one(week.clone()).is_on(at(now), &zone), on, "{now}");
        }
        let open = one(json!({"reason": "always"}));
        assert!(
            open.is_on(at("2026-03-01T00:00:00Z"), &zone) && open.window(&zone) == (None, None)
        );
    }

    #[test]
    fn a_campaign_of_one_channel_is_not_told_in_another() {
        let online = one(json!({"reason": "online", "channels": ["online"]}));
        assert!(online.is_for(None) && online.is_for(Some(Channel::Online)));
        assert!(!online.is_for(Some(Channel::Pos)));
    }

    #[test]
    fn what_cannot_be_a_campaign_is_named() {
        for (config, place) in [
            (json!({"bonuses": 7}), "config.bonuses:"),
            (
                json!({"bonuses": [{"reason": "a"}, {}]}),
                "config.bonuses[1]:",
            ),
            (
                json!({"bonuses": [{"reason": "a", "from": "soon"}]}),
                "config.bonuses[0]:",
            ),
        ] {
            let error = Campaign::of(&config, "bonuses").unwrap_err().to_string();
            assert!(error.contains(place), "{error}");
        }
        assert_eq!(Campaign::of(&json!({}), "bonuses"), Ok(Vec::new()));
    }
}
