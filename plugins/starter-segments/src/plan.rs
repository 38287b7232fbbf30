//! The configuration, checked and put in order. What a schema cannot say is refused here, with
//! the place and what to write instead. Nothing here looks at a customer.

use stampcard_sdk::prelude::*;

use crate::check::check;
use crate::config::{
    Bounds, ChannelName, Condition, Config, Distance, Happened, Measured, SaleAfter, Scope, Seasons,
};
use crate::ladder::{LadderStep, ladder_steps};
use crate::rhythm::SeasonWindow;

/// What the rule does, ready for any customer.
#[derive(Debug)]
pub struct Plan {
    pub shop: Shop,
    /// Segments first, by key, then tags.
    pub nodes: Vec<Node>,
    pub needs: Needs,
}

/// A segment or a tag.
#[derive(Debug)]
pub struct Node {
    pub key: String,
    pub is_tag: bool,
    pub rule: NodeRule,
    pub leaves: bool,
    /// How long whoever enters stays at least, in milliseconds.
    pub stays_ms: Option<i64>,
}

#[derive(Debug)]
pub enum NodeRule {
    When(Condition),
    Step {
        measure: Quantity,
        scope: Scope,
        range: Range,
    },
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantity {
    Spend,
    Orders,
}

/// Both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    pub least: i64,
    pub most: i64,
}

/// What has to be remembered for the rules that are configured.
#[derive(Debug, Default)]
pub struct Needs {
    /// The longest weekly rhythm, in spans; 0 if there is none.
    pub spans: u32,
    pub months: bool,
    /// The windows of each seasonal rule, by fingerprint.
    pub seasons: Vec<(u32, Vec<SeasonWindow>)>,
    /// The longest window that the host doesn't count, in days; 0 if there is none.
    pub ledger_days: u32,
    pub active_days: Vec<u32>,
    /// The sales that are waited for after something else happened.
    pub awaited: Vec<SaleAfter>,
    /// The kinds of events that are counted.
    pub counted: Vec<Happened>,
    /// Something depends on the balance or the tier, which this event may move after us.
    pub standing: bool,
    /// Something can change by time alone as often as the customer buys.
    pub often: bool,
}

impl Plan {
    pub fn new(config: Config, shop: &Shop) -> Result<Plan> {
        let needs = check(&config)?;
        let ladders = ladder_steps(&config)?;
        Ok(Plan {
            shop: shop.clone(),
            nodes: nodes(config, ladders),
            needs,
        })
    }

    pub fn node(&self, is_tag: bool, key: &str) -> Option<usize> {
        self.nodes
            .iter()
            .position(|node| node.is_tag == is_tag && node.key == key)
    }
}

impl Bounds {
    /// The integers within the bounds.
    pub fn range(&self) -> Range {
        let over = self.over.map(|over| over.saturating_add(1));
        let under = self.under.map(|under| under.saturating_sub(1));
        Range {
            least: self
                .at_least
                .max(over)
                .max(self.exactly)
                .unwrap_or(i64::MIN),
            most: [self.at_most, under, self.exactly]
                .into_iter()
                .flatten()
                .min()
                .unwrap_or(i64::MAX),
        }
    }
}

/// Whatever says how much says it in the same five fields.
macro_rules! bounded {
    ($($of:ident),+) => { $(
        impl $of {
            pub fn bounds(&self) -> Bounds {
                Bounds {
                    at_least: self.at_least,
                    over: self.over,
                    at_most: self.at_most,
                    under: self.under,
                    exactly: self.exactly,
                }
            }
        }
    )+ };
}

bounded!(Measured, Distance, Happened);

impl Measured {
    /// The scope and the key of the facts that it asks for, if it is about a group.
    pub fn group(&self) -> Option<(&'static str, &str)> {
        let named = [
            ("location", &self.location),
            ("category", &self.category),
            ("collection", &self.collection),
        ];
        named
            .into_iter()
            .find_map(|(scope, key)| Some((scope, key.as_deref()?)))
    }
}

impl Seasons {
    /// The windows as (month, day) pairs.
    pub fn days(&self) -> Vec<SeasonWindow> {
        let days = self
            .windows
            .iter()
            .map(|window| [window.from, window.to].map(|it| (it.month, it.day)));
        days.collect()
    }
}

/// True if the host doesn't count this window of this channel, so that we have to.
pub fn is_own_window(days: Option<u32>, channel: Option<ChannelName>) -> bool {
    days.is_some_and(|days| channel.is_some() || !Totals::WINDOWS.contains(&days))
}

/// Names the windows of a seasonal rule by what they are.
pub fn fingerprint(windows: &[SeasonWindow]) -> u32 {
    hash(
        windows
            .iter()
            .flatten()
            .flat_map(|(month, day)| [*month, *day]),
    )
}

impl SaleAfter {
    /// Names the wait by what is waited for, so that a changed rule starts to wait anew.
    pub fn fingerprint(&self) -> u32 {
        let channel = self.channel.map_or("", |channel| channel.channel().name());
        let days = self.within_days.to_le_bytes();
        hash(
            self.event
                .bytes()
                .chain([0])
                .chain(channel.bytes())
                .chain(days),
        )
    }
}

impl Happened {
    /// Names the count by what is counted: conditions that count the same share it, and a changed
    /// one begins anew.
    pub fn fingerprint(&self) -> u32 {
        let attribute = self.attribute.as_deref().unwrap_or_default();
        let least = self.attribute_at_least.unwrap_or(i64::MIN).to_le_bytes();
        hash(
            self.event
                .bytes()
                .chain([0])
                .chain(attribute.bytes())
                .chain(least),
        )
    }

    /// Is this event one of those that are counted?
    pub fn is(&self, event: &Event) -> bool {
        let attribute = self.attribute.as_deref();
        let value = attribute.and_then(|name| event.attribute(name));
        let is_large_enough = match self.attribute_at_least {
            None => attribute.is_none() || value.is_some(),
            Some(least) => value
                .and_then(|text| text.parse::<i64>().ok())
                .is_some_and(|value| value >= least),
        };
        event.is(&self.event) && is_large_enough
    }
}

/// FNV-1a: a short name for what a rule is about. It guards nothing.
fn hash(bytes: impl Iterator<Item = u8>) -> u32 {
    bytes.fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

/// The rule's own no to a configuration, with the place in it.
pub fn refuse<T>(place: &str, problem: impl AsRef<str>) -> Result<T> {
    Err(Refusal::rejected(format!("{place}: {}", problem.as_ref())))
}

fn nodes(config: Config, steps: Vec<LadderStep>) -> Vec<Node> {
    let segments = config.segments.into_iter().map(|(key, segment)| {
        let step = steps.iter().find(|step| step.segment == key);
        let rule = match (step, segment.when) {
            (Some(step), _) => NodeRule::Step {
                measure: step.measure,
                scope: step.scope.clone(),
                range: step.range,
            },
            (None, Some(condition)) => NodeRule::When(condition),
            // Refused by now: it has neither.
            (None, None) => NodeRule::When(Condition::Any(Vec::new())),
        };
        let stays_ms = segment.stays_days.map(|days| i64::from(days) * DAY);
        Node {
            key,
            is_tag: false,
            rule,
            leaves: segment.leaves,
            stays_ms,
        }
    });
    let tags = config.tags.into_iter().map(|(key, tag)| Node {
        key,
        is_tag: true,
        rule: NodeRule::When(tag.when),
        leaves: tag.leaves,
        stays_ms: None,
    });
    segments.chain(tags).collect()
}
