//! Write a Stampcard loyalty rule in Rust.
//!
//! A rule is a type with a configuration and one function for each role that it plays:
//!
//! ```
//! use stampcard_sdk::prelude::*;
//!
//! /// Points for so much, and double for members of a segment.
//! struct Doubled(Config);
//!
//! #[derive(Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Config {
//!     per: Money,
//!     double_for: String,
//! }
//!
//! impl Rule for Doubled {
//!     type Config = Config;
//!
//!     fn configure(config: Config, _: &Shop) -> Result<Self> {
//!         match config.per {
//!             ..=0 => Err(Refusal::rejected("per must be above zero")),
//!             _ => Ok(Doubled(config)),
//!         }
//!     }
//! }
//!
//! impl PointFormula for Doubled {
//!     fn points(&self, input: &Input) -> Result<PointAnswer> {
//!         let Some(sale) = input.basket() else {
//!             return Ok(PointAnswer::nothing());
//!         };
//!         let answer = PointAnswer::nothing().award(Award::base(sale.total / self.0.per, "points"));
//!         Ok(match input.customer.in_segment(&self.0.double_for) {
//!             true => answer.award(Award::bonus_share(10_000, "double points")),
//!             false => answer,
//!         })
//!     }
//! }
//!
//! stampcard_sdk::export!(Doubled: PointFormula);
//!
//! // A test needs no host. What the input leaves out is completed; what the answer must be is
//! // named as far as it matters.
//! use stampcard_sdk::cases::{check, json};
//!
//! check::<Doubled>(
//!     stampcard_sdk::Role::PointFormula,
//!     json!({ "per": 100, "double_for": "vip" }),
//!     json!({
//!         "customer": { "segments": ["vip"] },
//!         "event": { "body": { "Sale": { "total": 3749 } } }
//!     }),
//!     json!({ "awards": [{ "amount": { "Base": 37 } }, { "amount": { "BonusShare": 10000 } }] }),
//! );
//! ```
//!
//! # What a rule is given and gives
//!
//! [`types`] has the contract as Rust, with the documentation of every field. [`types::Input`] is
//! all that a rule knows: the event, the customer, totals, the facts that its manifest asks for,
//! what it remembered, and what the steps before it decided. Its methods ask without unwraps
//! ([`sale`](types::Input::sale), [`fact`](types::Input::fact),
//! [`in_segment`](types::Customer::in_segment)), and answers are built as sentences
//! ([`Answer`]).
//!
//! A rule says no in two ways. [`Refusal::rejected`](types::Refusal::rejected) is its own no, in a
//! sentence for people. Every other error that it meets with `?` is a fault that names the line,
//! and counts against the plugin. A panic is logged with its line and ends the call.
//!
//! # What a rule remembers
//!
//! Each call starts in a fresh instance, so a rule keeps nothing in itself. What it
//! [remembers](Answer::remember) about a customer comes back with the
//! [next call](types::Input::remembered): that is all that a [stamp card](StampCard) needs.
//!
//! # What a plugin is made of
//!
//! A library with `crate-type = ["cdylib", "rlib"]`, built for `wasm32-unknown-unknown` by the
//! crate `stampcard-build` and described by a `plugin.toml`. It has a stack of 32 KiB and an
//! allocator that stays within its first 128 KiB of memory in an ordinary call, so that a fresh
//! instance costs a few microseconds.

#[doc(hidden)]
pub mod bindings;

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

/// The JSON library of configurations and states.
pub use serde_json;

pub use answers::Answer;
pub use bindings::types;
pub use moment::{Span, When};
pub use refusal::Result;
#[doc(hidden)]
pub use rule::Exported;
pub use rule::{
    Answered, FollowUpTrigger, NoConfig, Plugin, PointFormula, Role, Rule, SegmentRule, TierRule,
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
        SECOND, SegmentRule, Span, StampCard, TierRule, When, log,
    };
}

/// The examples of the README compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
