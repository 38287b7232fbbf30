//! Later instants, as rules say them. What is said as days, months or years the host works out on
//! the calendar of the place.

use serde::{Deserialize, Serialize};

use crate::types::{Instant, Moment};

/// What can be said for a later instant: an `Instant` ("at exactly then"), a [`Moment`] ("three
/// local days later"), or an option of either.
pub trait When {
    fn when(self) -> Option<Moment>;
}

impl When for Moment {
    fn when(self) -> Option<Moment> {
        Some(self)
    }
}

impl When for Instant {
    fn when(self) -> Option<Moment> {
        Some(Moment::At(self))
    }
}

impl<T: When> When for Option<T> {
    fn when(self) -> Option<Moment> {
        self.and_then(When::when)
    }
}

/// A span of time as a configuration says it: `{ days = 30 }`, `{ months = 12 }`,
/// `{ end_of_year = 0 }`. As JSON Schema it is an object with exactly one of these keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Span {
    /// Hours after the event.
    Hours(u32),
    /// Local days after the event, at the same time of day.
    Days(u32),
    Months(u32),
    /// The end of the local month so many months ahead; 0 is the month of the event.
    EndOfMonth(u32),
    EndOfYear(u32),
}

impl When for Span {
    fn when(self) -> Option<Moment> {
        Some(match self {
            Span::Hours(hours) => Moment::Hours(hours),
            Span::Days(days) => Moment::Days(days),
            Span::Months(months) => Moment::Months(months),
            Span::EndOfMonth(months) => Moment::EndOfMonth(months),
            Span::EndOfYear(years) => Moment::EndOfYear(years),
        })
    }
}
