//! Reports: how large segments and tags are, what moves, who uses them and what nobody would miss,
//! what was sold at other prices, and what the shop owes in points. They change nothing.

mod liability;
mod prices;

pub use liability::{LiabilityReport, LiabilitySpan, liability};
pub use prices::{MispricedProduct, PricesReport, prices};

use serde::Serialize;
use serde_json::Value;
use stampcard_pipeline::calendar::LocalTime;
use stampcard_pipeline::event::Instant;
use stampcard_pipeline::outcome::Time;
use stampcard_pipeline::rules::{MessagesTo, Plugin};
use stampcard_pipeline::shop::Shop;
use stampcard_pipeline::store::StoreError;
use stampcard_store::Reads;
use std::collections::{BTreeMap, BTreeSet};
use utoipa::ToSchema;

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
/// How far back a report looks that does not say, in days.
pub const DAYS_DEFAULT: u32 = 30;
/// How far back one may look, in days: a year and the day that it begins with.
pub const DAYS_MAX: u32 = 366;

/// The segments of a shop.
#[derive(Debug, Serialize, ToSchema)]
pub struct SegmentsReport {
    #[schema(value_type = String, format = DateTime)]
    pub as_of: Time,
    /// Entries and exits are those of so many days of 24 hours.
    pub days: u32,
    pub customers: u64,
    /// Segments of live rules that nobody is in.
    pub empty: u64,
    /// Segments that no live rule looks at.
    pub unused: u64,
    /// Segments that nobody entered or left in these days.
    pub unmoved: u64,
    pub segments: Vec<SegmentLine>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct SegmentLine {
    #[schema(example = "vip")]
    pub segment: String,
    /// In one sentence; absent if no live plugin has it any more.
    pub meaning: Option<String>,
    /// The live plugin that decides it.
    pub plugin: Option<String>,
    pub members: u64,
    pub entered: u64,
    pub left: u64,
    /// When somebody entered or left last.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_moved: Option<Time>,
    /// The live plugins whose configuration names it.
    pub used_by: Vec<String>,
    /// What somebody may want to tidy up.
    pub advice: Vec<String>,
}

/// Entries and exits by the days of the shop.
#[derive(Debug, Serialize, ToSchema)]
pub struct MovementsReport {
    #[schema(value_type = String, format = DateTime)]
    pub from: Time,
    #[schema(value_type = String, format = DateTime)]
    pub to: Time,
    /// The days are this zone's.
    #[schema(example = "America/New_York")]
    pub time_zone: String,
    /// Days on which nobody moved are left out.
    pub movements: Vec<MovementLine>,
}

#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct MovementLine {
    #[schema(example = "2026-03-02")]
    pub day: String,
    #[schema(example = "vip")]
    pub segment: String,
    pub entered: u64,
    pub left: u64,
}

/// Which of the live plugins name a word in their configuration, or write to it. A rule that has a segment's or a
/// tag's key in its code cannot be seen from here.
pub struct Uses(Vec<(String, BTreeSet<String>)>);

impl Uses {
    pub fn read(reads: &Reads, plugins: &[Plugin]) -> Result<Uses, StoreError> {
        let mut uses = Vec::with_capacity(plugins.len());
        for plugin in plugins {
            let mut words = BTreeSet::new();
            texts(&configuration(reads, plugin)?, &mut words);
            if let Some(MessagesTo::Segments(targets)) = &plugin.messages_to {
                words.extend(targets.iter().cloned());
            }
            uses.push((plugin.name.clone(), words));
        }
        Ok(Uses(uses))
    }

    pub fn of(&self, word: &str) -> Vec<String> {
        let named = self.0.iter().filter(|(_, words)| words.contains(word));
        named.map(|(name, _)| name.clone()).collect()
    }
}

/// The live configuration of a plugin; null where it has none.
pub fn configuration(reads: &Reads, plugin: &Plugin) -> Result<Value, StoreError> {
    let bytes = reads.artifact(&plugin.configuration)?;
    // It was checked when it went live.
    Ok(bytes
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or(Value::Null))
}

/// Every text that is a value; what a table calls its own entries is no use of them.
fn texts(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => {
            found.insert(text.clone());
        }
        Value::Array(items) => items.iter().for_each(|item| texts(item, found)),
        Value::Object(fields) => fields.values().for_each(|field| texts(field, found)),
        _ => {}
    }
}

pub fn segments(
    reads: &Reads,
    plugins: &[Plugin],
    now: Instant,
    days: u32,
) -> Result<SegmentsReport, StoreError> {
    let since = days_before(now, days);
    let uses = Uses::read(reads, plugins)?;
    let mut lines: BTreeMap<String, SegmentLine> = BTreeMap::new();
    for plugin in plugins {
        for (segment, meaning) in &plugin.segments {
            let mut line = SegmentLine::empty(segment, &uses);
            line.meaning = Some(meaning.clone());
            line.plugin = Some(plugin.name.clone());
            lines.insert(segment.clone(), line);
        }
    }
    for moves in reads.segment_moves(since)? {
        // What has no rule and no member any more is history.
        if moves.members == 0 && moves.left == 0 && !lines.contains_key(&moves.segment) {
            continue;
        }
        let line = lines
            .entry(moves.segment)
            .or_insert_with_key(|segment| SegmentLine::empty(segment, &uses));
        line.members = moves.members;
        line.entered = moves.entered;
        line.left = moves.left;
        line.last_moved = moves.last_at.map(Time);
    }
    let mut segments: Vec<SegmentLine> = lines.into_values().collect();
    for line in &mut segments {
        line.advise(days);
    }
    let count = |is_so: fn(&SegmentLine) -> bool| {
        let counted = segments.iter().filter(|line| is_so(line));
        counted.count() as u64
    };
    Ok(SegmentsReport {
        as_of: Time(now),
        days,
        customers: reads.counters()?.customers,
        empty: count(|line| line.plugin.is_some() && line.members == 0),
        unused: count(|line| line.used_by.is_empty()),
        unmoved: count(SegmentLine::is_unmoved),
        segments,
    })
}

impl SegmentLine {
    fn empty(segment: &str, uses: &Uses) -> SegmentLine {
        SegmentLine {
            segment: segment.to_owned(),
            meaning: None,
            plugin: None,
            members: 0,
            entered: 0,
            left: 0,
            last_moved: None,
            used_by: uses.of(segment),
            advice: Vec::new(),
        }
    }

    fn is_unmoved(&self) -> bool {
        self.entered == 0 && self.left == 0
    }

    fn advise(&mut self, days: u32) {
        if self.plugin.is_none() {
            self.advice.push(match self.members {
                0 => "no live plugin has it any more, and nobody is in it".into(),
                members => format!(
                    "no live plugin has it any more: its {members} members stay until they are asked about again"
                ),
            });
        } else if self.members == 0 {
            self.advice.push("nobody is in it".into());
        }
        if self.used_by.is_empty() {
            self.advice.push(
                "no live rule looks at it: give it a follow-up or a rate, or take it out".into(),
            );
        }
        if self.is_unmoved() && self.members > 0 {
            self.advice
                .push(format!("nobody entered or left it in {days} days"));
        }
    }
}

pub fn movements(
    reads: &Reads,
    shop: &Shop,
    from: Instant,
    to: Instant,
    segment: Option<&str>,
) -> Result<MovementsReport, StoreError> {
    let mut days: BTreeMap<(String, String), (u64, u64)> = BTreeMap::new();
    for movement in reads.movements(from, to, segment)? {
        let local = LocalTime::at(movement.at, &shop.zone);
        let day = format!("{:04}-{:02}-{:02}", local.year, local.month, local.day);
        let (entered, left) = days.entry((day, movement.segment)).or_default();
        *entered += movement.entered;
        *left += movement.left;
    }
    let movements = days
        .into_iter()
        .map(|((day, segment), (entered, left))| MovementLine {
            day,
            segment,
            entered,
            left,
        });
    Ok(MovementsReport {
        from: Time(from),
        to: Time(to),
        time_zone: shop.file.time_zone.clone(),
        movements: movements.collect(),
    })
}

/// The instant so many days of 24 hours before another.
pub fn days_before(now: Instant, days: u32) -> Instant {
    Instant(now.0 - i64::from(days) * DAY_MS)
}
