//! Write a Stampcard loyalty rule in Rust.

#[doc(hidden)]
pub mod bindings;

pub use serde;
pub use serde_json;

mod answers;
// Only a plugin allocates from it; tests run its logic anywhere.
#[cfg(any(test, target_arch = "wasm32"))]
mod arena;
#[cfg(not(target_arch = "wasm32"))]
pub mod cases;
mod facts;
pub mod log;
mod moment;
mod refusal;
mod rule;
mod stamp_card;
mod state;
mod time;
mod wording;

pub use answers::Answer;
pub use bindings::types;
pub use moment::{Span, When};
pub use refusal::Result;
pub use rule::{
    Answered, Exported, FollowUpTrigger, NoConfig, Plugin, PointFormula, Role, Rule, SegmentRule,
    TierRule,
};
pub use stamp_card::StampCard;
pub use state::{KEPT_MAX_BYTES, STATE_MAX_BYTES};
pub use time::{DAY, Date, HOUR, MINUTE, NotADate, SECOND};
pub use wording::{count, grouped};

/// Everything that a rule usually needs.
pub mod prelude {
    pub use serde::{Deserialize, Serialize};

    pub use crate::types::*;
    pub use crate::{
        Answer, DAY, Date, FollowUpTrigger, HOUR, MINUTE, NoConfig, PointFormula, Result, Rule,
        SECOND, SegmentRule, Span, TierRule, log,
    };
}
