//! Why an event is refused: the order of this enum is the order in which the line checks.
//!
//! A refusal changes nothing. Each has a stable code, the place in the event that it is about (a
//! JSON pointer), and a sentence that says what to do.

use crate::store::StoreError;

#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Not JSON, not a CloudEvent, a field of the wrong type or one that does not exist.
    #[error("{problem}")]
    Malformed { at: String, problem: String },
    #[error("the event has {bytes} bytes, and {max} is the limit")]
    TooLarge { bytes: usize, max: usize },
    /// A kind that is not in the catalogue.
    #[error(
        "{kind:?} is not a kind of event in the catalogue; did you mean {nearest:?}? Kinds of your own begin with x."
    )]
    UnknownKind { kind: String, nearest: String },
    /// A kind that the catalogue has and this version does not process.
    #[error("{kind} is in the catalogue, but this version of the host does not process it yet")]
    NotYetSupported { kind: String },
    /// A value that cannot be: an unknown location, a sum that does not add up.
    #[error("{problem}")]
    Invalid {
        code: &'static str,
        at: String,
        problem: String,
    },
    /// Whoever sent it may not.
    #[error("{problem}")]
    Forbidden {
        code: &'static str,
        at: String,
        problem: String,
    },
    /// A token that names nobody any more, or never did.
    #[error("{problem}")]
    Unauthorized {
        code: &'static str,
        at: String,
        problem: String,
    },
    /// It could be, and things are not so that it can now: too few points, a code that was used.
    #[error("{problem}")]
    NotNow {
        code: &'static str,
        at: String,
        problem: String,
    },
    /// The name is taken by an event with another body.
    #[error(
        "the event {source_name}/{id} is known with another body; the first one stands. Send a new id if this is a new event"
    )]
    Conflict { source_name: String, id: String },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Refusal {
    /// The stable name of the refusal, the last part of a problem document's `type`.
    pub fn code(&self) -> &'static str {
        match self {
            Refusal::Malformed { .. } => "malformed",
            Refusal::TooLarge { .. } => "too-large",
            Refusal::UnknownKind { .. } => "unknown-kind",
            Refusal::NotYetSupported { .. } => "not-yet-supported",
            Refusal::Invalid { code, .. }
            | Refusal::Forbidden { code, .. }
            | Refusal::NotNow { code, .. }
            | Refusal::Unauthorized { code, .. } => code,
            Refusal::Conflict { .. } => "conflict",
            Refusal::Store(_) => "store",
        }
    }

    /// Where in the event, as a JSON pointer; empty for the whole of it.
    pub fn pointer(&self) -> &str {
        match self {
            Refusal::Malformed { at, .. }
            | Refusal::Invalid { at, .. }
            | Refusal::Forbidden { at, .. }
            | Refusal::NotNow { at, .. }
            | Refusal::Unauthorized { at, .. } => at,
            Refusal::UnknownKind { .. } | Refusal::NotYetSupported { .. } => "/type",
            Refusal::Conflict { .. } => "/id",
            Refusal::TooLarge { .. } | Refusal::Store(_) => "",
        }
    }
}

/// A refusal of something that cannot be, at its place.
pub fn invalid<T>(
    code: &'static str,
    at: impl Into<String>,
    problem: impl Into<String>,
) -> Result<T, Refusal> {
    Err(Refusal::Invalid {
        code,
        at: at.into(),
        problem: problem.into(),
    })
}
