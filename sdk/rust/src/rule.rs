//! What an author writes: a rule, and one trait for each role that it plays.

use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::bindings;
use crate::types::{FollowUpAnswer, Input, PointAnswer, Refusal, SegmentAnswer, Shop, TierAnswer};
use crate::{Result, log};

/// A rule and its configuration. Each call starts in a fresh instance: first `configure`, then
/// one question of one role.
pub trait Rule: Sized + 'static {
    /// What the operator may set. The host has checked it against the manifest's schema; use
    /// [`NoConfig`] if there is nothing to set.
    type Config: DeserializeOwned;

    /// Makes the rule. What is refused here is not loaded, and the version that was live stays
    /// live, so this is the place to refuse what a schema cannot say.
    fn configure(config: Self::Config, shop: &Shop) -> Result<Self>;
}

/// Does this customer belong?
pub trait SegmentRule: Rule {
    /// Memberships and tags to change. What is not named stays as it is.
    fn segments(&self, input: &Input) -> Result<SegmentAnswer>;
}

/// What does this event earn?
pub trait PointFormula: Rule {
    /// The awards for this event.
    fn points(&self, input: &Input) -> Result<PointAnswer>;
}

/// Which tier now?
pub trait TierRule: Rule {
    /// The tier to be in, or no change.
    fn tier(&self, input: &Input) -> Result<TierAnswer>;
}

/// What should happen next?
pub trait FollowUpTrigger: Rule {
    /// Messages and tasks, prompts for the till, lines for the receipt.
    fn follow_ups(&self, input: &Input) -> Result<FollowUpAnswer>;
}

/// The configuration of a rule that has none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoConfig {}

/// One of the four questions that the host asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    SegmentRule,
    PointFormula,
    TierRule,
    FollowUpTrigger,
}

impl fmt::Display for Role {
    /// The name that manifests and the contract use.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::SegmentRule => "segment-rule",
            Role::PointFormula => "point-formula",
            Role::TierRule => "tier-rule",
            Role::FollowUpTrigger => "follow-up-trigger",
        })
    }
}

/// What [`export!`](crate::export) tells about a rule, so that cases can ask it by role.
pub trait Plugin: Rule {
    const ROLES: &'static [Role];

    /// Asks one question; the answer is the role's own answer record.
    fn decide(&self, role: Role, input: &Input) -> Result<Answered>;
}

/// An answer of any role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Answered {
    Segments(SegmentAnswer),
    Points(PointAnswer),
    Tier(TierAnswer),
    FollowUps(FollowUpAnswer),
}

/// Reads the operator's JSON and makes the rule.
pub(crate) fn configure<R: Rule>(configuration: &str, shop: &Shop) -> Result<R> {
    let config = serde_json::from_str(configuration)
        .map_err(|error| Refusal::rejected(format!("configuration: {error}")))?;
    R::configure(config, shop)
}

/// The rule as the contract sees it: what the export macro hangs the component's functions on.
#[doc(hidden)]
pub struct Exported<R>(PhantomData<R>);

thread_local! {
    // A component holds one rule. Its type is known where it is asked for, not here.
    static CONFIGURED: RefCell<Option<Box<dyn Any>>> = const { RefCell::new(None) };
}

fn ask<R: Rule, A>(question: impl FnOnce(&R) -> Result<A>) -> Result<A> {
    CONFIGURED.with_borrow(
        |rule| match rule.as_ref().and_then(|it| it.downcast_ref()) {
            Some(rule) => question(rule),
            None => Err(Refusal::fault("the host asked before it configured")),
        },
    )
}

impl<R: Rule> bindings::core::exports::stampcard::plugin::lifecycle::Guest for Exported<R> {
    fn configure(configuration: String, shop: Shop) -> Result<()> {
        log::panics_to_the_host();
        let rule = configure::<R>(&configuration, &shop)?;
        CONFIGURED.set(Some(Box::new(rule)));
        Ok(())
    }
}

macro_rules! guest {
    ($module:ident, $role:ident, $method:ident, $answer:ident) => {
        impl<R: $role> bindings::$module::exports::stampcard::plugin::$module::Guest
            for Exported<R>
        {
            fn decide(input: Input) -> Result<$answer> {
                ask(|rule: &R| rule.$method(&input))
            }
        }
    };
}

guest!(segment_rule, SegmentRule, segments, SegmentAnswer);
guest!(point_formula, PointFormula, points, PointAnswer);
guest!(tier_rule, TierRule, tier, TierAnswer);
guest!(
    follow_up_trigger,
    FollowUpTrigger,
    follow_ups,
    FollowUpAnswer
);

/// Makes a component of a rule: `export!(MyRule: PointFormula, TierRule)` exports exactly the
/// roles that are named.
///
/// Only a build for `wasm32` exports anything. Everywhere else the rule is an ordinary type, and
/// the macro lets [`cases`](crate::cases) ask it by role.
#[macro_export]
macro_rules! export {
    ($rule:ident : $($role:ident),+ $(,)?) => {
        impl $crate::Plugin for $rule {
            const ROLES: &'static [$crate::Role] = &[$($crate::Role::$role),+];

            fn decide(
                &self,
                role: $crate::Role,
                input: &$crate::types::Input,
            ) -> $crate::Result<$crate::Answered> {
                $(if role == $crate::Role::$role {
                    return $crate::__ask!($role, self, input);
                })+
                Err($crate::types::Refusal::fault(::std::format!("this rule is no {role}")))
            }
        }

        #[cfg(target_arch = "wasm32")]
        const _: () = {
            type Exported = $crate::Exported<$rule>;
            $crate::bindings::core::export_lifecycle!(
                Exported with_types_in $crate::bindings::core
            );
            $($crate::__export_role!($role);)+
        };
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __ask {
    (SegmentRule, $rule:expr, $input:expr) => {
        $crate::SegmentRule::segments($rule, $input).map($crate::Answered::Segments)
    };
    (PointFormula, $rule:expr, $input:expr) => {
        $crate::PointFormula::points($rule, $input).map($crate::Answered::Points)
    };
    (TierRule, $rule:expr, $input:expr) => {
        $crate::TierRule::tier($rule, $input).map($crate::Answered::Tier)
    };
    (FollowUpTrigger, $rule:expr, $input:expr) => {
        $crate::FollowUpTrigger::follow_ups($rule, $input).map($crate::Answered::FollowUps)
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export_role {
    (SegmentRule) => {
        $crate::bindings::segment_rule::export_segment_rule!(
            Exported with_types_in $crate::bindings::segment_rule
        );
    };
    (PointFormula) => {
        $crate::bindings::point_formula::export_point_formula!(
            Exported with_types_in $crate::bindings::point_formula
        );
    };
    (TierRule) => {
        $crate::bindings::tier_rule::export_tier_rule!(
            Exported with_types_in $crate::bindings::tier_rule
        );
    };
    (FollowUpTrigger) => {
        $crate::bindings::follow_up_trigger::export_follow_up_trigger!(
            Exported with_types_in $crate::bindings::follow_up_trigger
        );
    };
}
