//! The two ways to say no, made easy to return with `?`.

use std::error::Error;
use std::panic::Location;

use crate::types::{Fault, Refusal};

/// What every function of a rule returns.
pub type Result<T, E = Refusal> = core::result::Result<T, E>;

impl Refusal {
    /// The rule's own no, in a sentence for people. It does not count against the plugin.
    pub fn rejected(reason: impl Into<String>) -> Self {
        Refusal::Rejected(reason.into())
    }

    /// A mistake in the plugin. It names the line that called this, and it counts.
    #[track_caller]
    pub fn fault(message: impl Into<String>) -> Self {
        Refusal::Fault(Fault {
            message: message.into(),
            trace: Location::caller().to_string(),
        })
    }
}

/// Any error that a rule meets with `?` is a mistake in the plugin, and the fault names the line
/// of the `?`. A rule that wants to say no on purpose returns [`Refusal::rejected`].
impl<E: Error> From<E> for Refusal {
    #[track_caller]
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(inner) = cause {
            message.push_str(": ");
            message.push_str(&inner.to_string());
            cause = inner.source();
        }
        Refusal::fault(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<i64> {
        Ok(text.parse::<i64>()?)
    }

    #[test]
    fn an_error_met_with_a_question_mark_becomes_a_fault_that_names_its_line() {
        let Err(Refusal::Fault(fault)) = parse("ten") else {
            panic!("ten is not a number");
        };
        assert_eq!(fault.message, "invalid digit found in string");
        assert!(fault.trace.contains("refusal.rs:"), "{}", fault.trace);
    }
}
