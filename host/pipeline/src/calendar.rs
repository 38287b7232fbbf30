//! The wall clock of a place, made from an instant that arrives as an argument.

use crate::event::{Instant, MonthDay};
use crate::limits;
use crate::rules::Moment;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan};
use serde::{Deserialize, Serialize};

/// A wall clock reading, and the turns of the calendar around it as instants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalTime {
    pub year: i32,
    pub month: u8,
    pub day: u8,
    pub hour: u8,
    pub minute: u8,
    /// 1 is Monday, 7 is Sunday.
    pub weekday: u8,
    /// Seconds east of UTC.
    pub utc_offset: i32,
    pub day_began: Instant,
    pub month_began: Instant,
    pub year_began: Instant,
    pub next_day: Instant,
    pub next_month: Instant,
    pub next_year: Instant,
}

impl LocalTime {
    pub fn at(at: Instant, zone: &TimeZone) -> LocalTime {
        let now = timestamp(at).to_zoned(zone.clone());
        let today = now.date();
        let month = today.first_of_month();
        let year = today.first_of_year();
        LocalTime {
            year: i32::from(now.year()),
            month: now.month() as u8,
            day: now.day() as u8,
            hour: now.hour() as u8,
            minute: now.minute() as u8,
            weekday: now.weekday().to_monday_one_offset() as u8,
            utc_offset: now.offset().seconds(),
            day_began: first_instant(today, zone),
            month_began: first_instant(month, zone),
            year_began: first_instant(year, zone),
            next_day: first_instant(today.saturating_add(1.day()), zone),
            next_month: first_instant(month.saturating_add(1.month()), zone),
            next_year: first_instant(year.saturating_add(1.year()), zone),
        }
    }

    /// The day as a number such as 20240229.
    pub fn number(&self) -> i32 {
        self.year * 10_000 + i32::from(self.month) * 100 + i32::from(self.day)
    }

    pub fn date(&self) -> Date {
        Date::new(self.year as i16, self.month as i8, self.day as i8)
            .expect("a local time is made from a real date")
    }
}

/// The first instant of the next birthday after the local day of `local`, and whether that day is
/// one itself. Somebody born on 29 February has it on 28 February in other years.
pub fn birthday(born: MonthDay, local: &LocalTime, zone: &TimeZone) -> (Instant, bool) {
    let today = local.date();
    let this_year = birthday_in(today.year(), born);
    let next = if this_year > today {
        this_year
    } else {
        birthday_in(today.year() + 1, born)
    };
    (first_instant(next, zone), this_year == today)
}

fn birthday_in(year: i16, born: MonthDay) -> Date {
    Date::new(year, born.month as i8, born.day as i8)
        .or_else(|_| Date::new(year, born.month as i8, 28))
        .expect("admission checks that month and day exist in some year")
}

/// Date and time as a wall clock there shows them: `2026-03-02 10:42`.
pub fn on_the_wall(at: Instant, zone: &TimeZone) -> String {
    let zoned = timestamp(at).to_zoned(zone.clone());
    zoned.strftime("%Y-%m-%d %H:%M").to_string()
}

/// The last day on which something can be used that ends then.
pub fn last_day(ends: Instant, zone: &TimeZone) -> Date {
    timestamp(Instant(ends.0 - 1)).to_zoned(zone.clone()).date()
}

/// When that day is over.
pub fn last_day_ends(ends: Instant, zone: &TimeZone) -> Instant {
    first_instant(last_day(ends, zone).saturating_add(1.day()), zone)
}

/// Works out a moment on the calendar of a zone. `None` if it lies beyond what a calendar has.
pub fn resolve(moment: Moment, at: Instant, local: &LocalTime, zone: &TimeZone) -> Option<Instant> {
    let same_time_later = |span: Span| {
        let later = timestamp(at)
            .to_zoned(zone.clone())
            .checked_add(span)
            .ok()?;
        Some(Instant(later.timestamp().as_millisecond()))
    };
    let months_on = |months: u32| {
        local
            .date()
            .first_of_month()
            .checked_add(Span::new().months(i64::from(months)))
            .ok()
    };
    let within = |count: u32| (count <= limits::MOMENT_DAYS_MAX).then_some(i64::from(count));
    match moment {
        Moment::At(at) => Some(at),
        Moment::Hours(hours) => Some(Instant(at.0 + i64::from(hours) * 3_600_000)),
        Moment::Days(days) => same_time_later(Span::new().days(within(days)?)),
        Moment::Months(months) => same_time_later(Span::new().months(within(months)?)),
        Moment::EndOfMonth(months) => {
            within(months)?;
            Some(first_instant(
                months_on(months)?.checked_add(1.month()).ok()?,
                zone,
            ))
        }
        Moment::EndOfYear(years) => {
            let year = i64::from(local.year) + within(years)? + 1;
            Some(first_instant(
                Date::new(i16::try_from(year).ok()?, 1, 1).ok()?,
                zone,
            ))
        }
    }
}

/// RFC 3339 in UTC with milliseconds where there are any: the form of every answer and export.
pub fn text(at: Instant) -> String {
    timestamp(at).to_string()
}

/// Reads RFC 3339. A time without an offset has no instant and is refused.
pub fn parse(text: &str) -> Result<Instant, String> {
    let at: Timestamp = text
        .parse()
        .map_err(|error: jiff::Error| error.to_string())?;
    // Sub-millisecond digits are cut towards the past, so that equal texts stay equal.
    Ok(Instant(at.as_millisecond()))
}

/// Reads a date as headers of HTTP have it: `Mon, 23 Nov 2026 08:00:00 GMT`.
pub fn parse_http(text: &str) -> Option<Instant> {
    let at = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text);
    Some(Instant(at.ok()?.as_millisecond()))
}

/// An instant inside of other data: RFC 3339 where people read, milliseconds where nobody does.
pub mod readable {
    use super::{Instant, parse, text};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(at: &Instant, serializer: S) -> Result<S::Ok, S::Error> {
        match serializer.is_human_readable() {
            true => serializer.serialize_str(&text(*at)),
            false => at.serialize(serializer),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Instant, D::Error> {
        match deserializer.is_human_readable() {
            true => parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom),
            false => Instant::deserialize(deserializer),
        }
    }
}

fn first_instant(date: Date, zone: &TimeZone) -> Instant {
    // Where midnight is skipped, `to_zoned` gives the first instant after the gap.
    match date.to_zoned(zone.clone()) {
        Ok(zoned) => Instant(zoned.timestamp().as_millisecond()),
        Err(_) => Instant(Timestamp::MAX.as_millisecond()),
    }
}

fn timestamp(at: Instant) -> Timestamp {
    Timestamp::from_millisecond(at.0).unwrap_or(if at.0 < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).unwrap()
    }

    #[test]
    fn a_day_with_a_clock_change_has_23_or_25_hours() {
        for (noon, hours) in [
            ("2024-03-10T12:00:00-04:00", 23),
            ("2024-11-03T12:00:00-05:00", 25),
        ] {
            let local = LocalTime::at(parse(noon).unwrap(), &zone("America/New_York"));
            assert_eq!(
                (local.next_day.0 - local.day_began.0) / 3_600_000,
                hours,
                "{noon}"
            );
        }
    }

    #[test]
    fn a_skipped_midnight_begins_the_day_at_the_first_instant_that_exists() {
        // Clocks in Santiago went from 24:00 on 7 September 2024 straight to 01:00.
        let local = LocalTime::at(
            parse("2024-09-08T12:00:00-03:00").unwrap(),
            &zone("America/Santiago"),
        );
        assert_eq!(text(local.day_began), "2024-09-08T04:00:00Z");
    }

    #[test]
    fn the_29th_of_february_is_celebrated_on_the_28th_in_other_years() {
        let zone = zone("Europe/Berlin");
        let born = MonthDay { month: 2, day: 29 };
        for (now, next, today) in [
            ("2023-02-27T10:00:00Z", "2023-02-27T23:00:00Z", false),
            ("2023-02-28T10:00:00Z", "2024-02-28T23:00:00Z", true),
            ("2024-02-28T10:00:00Z", "2024-02-28T23:00:00Z", false),
            ("2024-02-29T10:00:00Z", "2025-02-27T23:00:00Z", true),
        ] {
            let local = LocalTime::at(parse(now).unwrap(), &zone);
            let (at, is_today) = birthday(born, &local, &zone);
            assert_eq!((text(at).as_str(), is_today), (next, today), "at {now}");
        }
    }

    #[test]
    fn a_time_without_an_offset_is_refused() {
        assert!(parse("2024-03-10T12:00:00").is_err());
        assert_eq!(parse("2024-03-10T12:00:00.1239Z").unwrap().0 % 1000, 123);
    }
}
