//! Days of the calendar in texts for the till: so much later, written as people there do. The
//! instants themselves are the host's to work out.

use stampcard_sdk::types::LocalTime;
use stampcard_sdk::{Date, Span};

use crate::config::DateStyle;

/// The last local day of a span that begins now.
pub fn last_day(now: &LocalTime, span: Span) -> Date {
    let today = now.date();
    match span {
        Span::Hours(hours) => later(today, (u32::from(now.hour) + hours) / 24),
        Span::Days(days) => later(today, days),
        Span::Months(months) => in_month(today, months, today.day),
        Span::EndOfMonth(months) => in_month(today, months, 31),
        Span::EndOfYear(years) => Date {
            year: today.year + years as i32,
            month: 12,
            day: 31,
        },
    }
}

/// The day of that number in the month so many months ahead, or that month's last.
fn in_month(date: Date, months: u32, day: u8) -> Date {
    let month = u32::from(date.month) - 1 + months;
    let (year, month) = (date.year + (month / 12) as i32, (month % 12) as u8 + 1);
    let days = (1..=day).rev();
    let last = days.into_iter().find_map(|day| Date::new(year, month, day));
    last.unwrap_or(Date {
        year,
        month,
        day: 1,
    })
}

/// The day so many days later.
fn later(date: Date, days: u32) -> Date {
    let mut date = date;
    let mut left = days;
    loop {
        let rest =
            (date.day..=31).take_while(|day| Date::new(date.year, date.month, *day).is_some());
        let rest = rest.count() as u32 - 1;
        if left <= rest {
            return Date {
                day: date.day + left as u8,
                ..date
            };
        }
        left -= rest + 1;
        date = match date.month {
            12 => Date {
                year: date.year + 1,
                month: 1,
                day: 1,
            },
            month => Date {
                month: month + 1,
                day: 1,
                ..date
            },
        };
    }
}

/// The day in the style that is configured, or in the one of the country (ISO 3166-1 alpha-2).
pub fn written(date: Date, style: DateStyle, country: &str) -> String {
    let Date { year, month, day } = date;
    match style {
        DateStyle::ByCountry => written(date, of_country(country), country),
        DateStyle::Iso => date.to_string(),
        DateStyle::MonthFirst => format!("{month:02}/{day:02}/{year:04}"),
        DateStyle::DayFirst => format!("{day:02}/{month:02}/{year:04}"),
        DateStyle::DayFirstDots => format!("{day:02}.{month:02}.{year:04}"),
    }
}

/// What is common there. Where it is not known the unmistakable one is written.
fn of_country(country: &str) -> DateStyle {
    match country {
        "US" | "PR" | "PH" => DateStyle::MonthFirst,
        "GB" | "IE" | "FR" | "ES" | "IT" | "PT" | "BE" | "LU" | "GR" | "AU" | "NZ" | "IN"
        | "SG" | "BR" | "MX" | "AR" | "CL" | "CO" | "PE" | "ZA" | "NG" | "KE" | "AE" => {
            DateStyle::DayFirst
        }
        "DE" | "AT" | "CH" | "PL" | "CZ" | "SK" | "NO" | "DK" | "FI" | "RO" | "BG" | "RS"
        | "UA" | "TR" => DateStyle::DayFirstDots,
        _ => DateStyle::Iso,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_later_go_over_months_leap_days_and_years() {
        for (from, days, expected) in [
            ("2024-05-01", 30, "2024-05-31"),
            ("2024-05-01", 31, "2024-06-01"),
            ("2024-02-28", 1, "2024-02-29"),
            ("2023-02-28", 1, "2023-03-01"),
            ("2024-02-29", 365, "2025-02-28"),
            ("2024-12-31", 1, "2025-01-01"),
            ("2024-01-31", 0, "2024-01-31"),
            ("2000-01-01", 3_650, "2009-12-29"),
        ] {
            let date = later(from.parse().unwrap(), days);
            assert_eq!(date.to_string(), expected, "{from} + {days}");
        }
    }

    #[test]
    fn a_span_ends_on_the_day_that_people_expect() {
        let now = LocalTime {
            year: 2024,
            month: 1,
            day: 31,
            hour: 20,
            ..LocalTime::default()
        };
        for (span, expected) in [
            (Span::Hours(3), "2024-01-31"),
            (Span::Hours(4), "2024-02-01"),
            (Span::Days(30), "2024-03-01"),
            (Span::Months(1), "2024-02-29"),
            (Span::Months(13), "2025-02-28"),
            (Span::EndOfMonth(0), "2024-01-31"),
            (Span::EndOfMonth(11), "2024-12-31"),
            (Span::EndOfYear(1), "2025-12-31"),
        ] {
            assert_eq!(last_day(&now, span).to_string(), expected, "{span:?}");
        }
    }

    #[test]
    fn a_date_is_written_as_the_country_does() {
        let date = "2024-05-31".parse().unwrap();
        for (country, expected) in [
            ("US", "05/31/2024"),
            ("GB", "31/05/2024"),
            ("DE", "31.05.2024"),
            ("JP", "2024-05-31"),
            ("", "2024-05-31"),
        ] {
            assert_eq!(
                written(date, DateStyle::ByCountry, country),
                expected,
                "{country}"
            );
        }
    }
}
