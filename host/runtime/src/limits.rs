//! Every limit of a plugin in one place: its name, its unit, its most and its reason.
//!
//! What a manifest may set stands in [`TABLE`]; what no manifest can move are the constants below
//! it. This file only says numbers: `engine.rs`, `compile.rs` and `call.rs` hold plugins to them.

use crate::nearest::nearest;

/// What one call of a plugin may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Fuel for `configure` and the role together, before what the lines of a sale add.
    pub fuel: u64,
    /// Fuel that each line of a sale adds.
    pub fuel_per_line: u64,
    /// Fuel to come to life: memory images, tables and start functions.
    pub start_fuel: u64,
    /// Milliseconds on the wall clock.
    pub deadline_ms: u64,
    /// Bytes of all linear memories together.
    pub memory_bytes: u64,
    /// Memberships, tags, awards, follow-ups, prompts and receipt lines of one answer.
    pub actions: u64,
    /// Bytes of one answer.
    pub answer_bytes: u64,
    /// Bytes of log lines, standard output and standard error.
    pub log_bytes: u64,
}

/// One limit that a manifest may set in its `[limits]`.
pub struct Limit {
    /// Its key in `[limits]`.
    pub name: &'static str,
    pub unit: &'static str,
    /// What a plugin has that asks for nothing.
    pub default: u64,
    /// What it may ask for at most.
    pub most: u64,
    pub reason: &'static str,
    field: fn(&mut Limits) -> &mut u64,
}

const MIB: u64 = 1 << 20;

/// The limits that a manifest may set.
pub const TABLE: [Limit; 8] = [
    Limit {
        name: "fuel",
        unit: "units of fuel",
        default: 20_000_000,
        most: EVENT_FUEL,
        reason: "decides when a rule is too slow, the same on every machine; about 10 ms of work, \
                 and a JavaScript rule of ordinary size uses 2 % of it",
        field: |limits| &mut limits.fuel,
    },
    Limit {
        name: "fuel_per_line",
        unit: "units of fuel for each line of a sale",
        default: 50_000,
        most: 1_000_000,
        reason: "a basket of two hundred lines must not fail where one of two passes",
        field: |limits| &mut limits.fuel_per_line,
    },
    Limit {
        name: "start_fuel",
        unit: "units of fuel",
        default: 20_000_000,
        most: EVENT_FUEL,
        reason: "coming to life costs fuel too, and must not eat what the rule was promised",
        field: |limits| &mut limits.start_fuel,
    },
    Limit {
        name: "deadline_ms",
        unit: "milliseconds",
        default: 250,
        most: 2_000,
        reason: "the safety net for what fuel does not see; a till waits for the answer",
        field: |limits| &mut limits.deadline_ms,
    },
    Limit {
        name: "memory_bytes",
        unit: "bytes",
        default: 64 * MIB,
        most: MEMORY_BYTES_MOST,
        reason: "Python starts with 25 MiB; a rule that needs more than 64 has a leak",
        field: |limits| &mut limits.memory_bytes,
    },
    Limit {
        name: "actions",
        unit: "actions",
        default: stampcard_pipeline::limits::ACTIONS_MAX as u64,
        most: stampcard_pipeline::limits::ACTIONS_MAX as u64,
        reason: "each becomes rows and a line of the explanation",
        field: |limits| &mut limits.actions,
    },
    Limit {
        name: "answer_bytes",
        unit: "bytes",
        default: 64 << 10,
        most: 256 << 10,
        reason: "an answer is copied, explained and kept as long as the ledger",
        field: |limits| &mut limits.answer_bytes,
    },
    Limit {
        name: "log_bytes",
        unit: "bytes",
        default: 16 << 10,
        most: 256 << 10,
        reason: "a chatty rule must not fill the operator's disk",
        field: |limits| &mut limits.log_bytes,
    },
];

/// Fuel for all plugins of one event: ten calls that use all they have.
pub const EVENT_FUEL: u64 = 200_000_000;
/// The most memory that any manifest may ask for, in bytes; each slot of the pool reserves it.
pub const MEMORY_BYTES_MOST: u64 = 512 * MIB;
/// The largest component, in bytes; the interpreter inside a Python one makes 18 MiB.
pub const COMPONENT_BYTES_MAX: usize = 32 << 20;
/// The largest `NAME.toml` or JSON Schema, in bytes; the schema with the longest enumerations of
/// categories seen has 90 KB.
pub const MANIFEST_BYTES_MAX: usize = 1 << 20;
/// The largest source that stands in the place of a component, in bytes. The longest rule seen has 30 KB.
pub const SOURCE_BYTES_MAX: usize = 1 << 20;

/// Machine time that the compilation of one component may take, in seconds; Python takes 12.
pub const COMPILE_CPU_SECONDS: u64 = 60;
/// Time on the wall clock for the same, in seconds: a busy machine is not a hostile plugin.
pub const COMPILE_WALL_SECONDS: u64 = 180;
/// Memory of the compiling process, in bytes; Python takes 380 MB.
pub const COMPILE_MEMORY_BYTES: u64 = 2 << 30;
/// Threads that compile; more of them add memory and little speed.
pub const COMPILE_THREADS: usize = 4;
/// The largest machine code of one component, in bytes; Python has 40 MB.
pub const CODE_BYTES_MAX: u64 = 512 << 20;
/// Compiled components that the cache directory keeps; the oldest go first.
pub const CACHE_ENTRIES_MAX: usize = 256;

/// How often the clock of the deadlines ticks, in milliseconds: the precision of a deadline.
pub const TICK_MS: u64 = 10;
/// The native stack of a call, in bytes. Recursion beyond it is a failure of its own class.
pub const STACK_BYTES: usize = 512 << 10;
/// What a slot of the pool keeps in memory between calls, in bytes. A plugin that stays below
/// costs no system call: it is wiped by copying, not by unmapping.
pub const RESIDENT_MEMORY_BYTES: usize = 256 << 10;
/// The same for its tables of functions; QuickJS has about 2,000 entries of 8 bytes.
pub const RESIDENT_TABLE_BYTES: usize = 16 << 10;
/// Entries of one table. The largest seen, a Python one, has about 12,000.
pub const TABLE_ENTRIES_MAX: usize = 1 << 16;
/// Core instances, memories and tables within one component. Python has 21, 1 and 2.
pub const PARTS_PER_COMPONENT: Parts = Parts {
    instances: 64,
    memories: 4,
    tables: 16,
};
/// Calls at the same time for which slots are reserved, beside those of instances that are kept.
pub const CALLS_AT_ONCE: u32 = 64;
/// Of them, those that events leave to what is none: plugins that are being loaded are configured,
/// one at a time, and cases are run.
pub const CALLS_BESIDE_EVENTS: u32 = 4;

/// Instances that all plugins of a process together keep between calls: a lane or two of thirty
/// plugins. What was asked longest ago goes first.
pub const KEPT_INSTANCES_MAX: u32 = 64;
/// Memory of all of them together, in bytes: that of twenty Python ones.
pub const KEPT_BYTES_MAX: u64 = 512 * MIB;
/// Calls of one kept instance, after which a fresh one takes its place. What a plugin piles up comes
/// to an end so, and starting anew is a thousandth of the price.
pub const KEPT_CALLS_MAX: u32 = 1_000;
/// How often the memory that it had after its first call a kept instance may have. Interpreters grow
/// a little until they have seen every kind of event; a leak grows for ever.
pub const KEPT_GROWTH_MAX: u64 = 2;
/// One in so many answers of kept instances is given again by a fresh one and compared. It makes a
/// call of JavaScript a quarter dearer and one of Python twice as dear, which is still a third and a
/// seventh of a fresh one; and a plugin that remembers is found within a few dozens.
pub const SAMPLE_ONE_IN: u64 = 16;

/// What the compilation of one component may take.
#[derive(Clone, Copy, Debug)]
pub struct CompileLimits {
    /// See [`COMPILE_CPU_SECONDS`].
    pub cpu_seconds: u64,
    /// See [`COMPILE_WALL_SECONDS`].
    pub wall_seconds: u64,
    /// See [`COMPILE_MEMORY_BYTES`].
    pub memory_bytes: u64,
}

impl Default for CompileLimits {
    fn default() -> CompileLimits {
        CompileLimits {
            cpu_seconds: COMPILE_CPU_SECONDS,
            wall_seconds: COMPILE_WALL_SECONDS,
            memory_bytes: COMPILE_MEMORY_BYTES,
        }
    }
}

/// Of what a component may consist.
pub struct Parts {
    pub instances: u32,
    pub memories: u32,
    pub tables: u32,
}

/// Why a `[limits]` table is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    #[error("limits.{name} is not a limit; did you mean `{nearest}`?")]
    Unknown { name: String, nearest: &'static str },
    #[error("limits.{name} must be between 1 and {most} {unit}, not {asked}")]
    OutOfRange {
        name: &'static str,
        unit: &'static str,
        most: u64,
        asked: i64,
    },
}

impl Default for Limits {
    fn default() -> Self {
        let mut limits = Limits {
            fuel: 0,
            fuel_per_line: 0,
            start_fuel: 0,
            deadline_ms: 0,
            memory_bytes: 0,
            actions: 0,
            answer_bytes: 0,
            log_bytes: 0,
        };
        for limit in &TABLE {
            *(limit.field)(&mut limits) = limit.default;
        }
        limits
    }
}

impl Limits {
    /// Sets what a manifest's `[limits]` asks for, key by key.
    pub fn set(&mut self, name: &str, asked: i64) -> Result<(), LimitError> {
        let Some(limit) = TABLE.iter().find(|limit| limit.name == name) else {
            let nearest = nearest(name, TABLE.iter().map(|limit| limit.name));
            return Err(LimitError::Unknown {
                name: name.into(),
                nearest,
            });
        };
        match u64::try_from(asked) {
            Ok(value) if (1..=limit.most).contains(&value) => *(limit.field)(self) = value,
            _ => {
                return Err(LimitError::OutOfRange {
                    name: limit.name,
                    unit: limit.unit,
                    most: limit.most,
                    asked,
                });
            }
        }
        Ok(())
    }

    /// Every limit of the table with its name.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let mut limits = self.clone();
        TABLE
            .iter()
            .map(move |limit| (limit.name, *(limit.field)(&mut limits)))
    }

    /// Fuel of one call for an event with so many lines of a sale.
    pub fn fuel_for(&self, lines: usize) -> u64 {
        self.fuel
            .saturating_add(self.fuel_per_line.saturating_mul(lines as u64))
    }

    /// The deadline in ticks of the engine's clock. One more than it takes, because the first
    /// tick may come at once.
    pub fn deadline_ticks(&self) -> u64 {
        self.deadline_ms.div_ceil(TICK_MS) + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_of_the_table_has_its_own_place() {
        let mut limits = Limits::default();
        for (value, limit) in (1..).zip(&TABLE) {
            limits.set(limit.name, value).unwrap();
        }
        for (value, limit) in (1..).zip(&TABLE) {
            assert_eq!(*(limit.field)(&mut limits), value, "{}", limit.name);
        }
    }

    #[test]
    fn no_default_is_above_its_most() {
        for limit in &TABLE {
            assert!(limit.default <= limit.most, "{}", limit.name);
        }
    }

    #[test]
    fn an_unknown_limit_names_the_nearest() {
        let error = Limits::default().set("memory_byte", 1).unwrap_err();
        assert_eq!(
            error.to_string(),
            "limits.memory_byte is not a limit; did you mean `memory_bytes`?"
        );
    }

    #[test]
    fn a_limit_beyond_its_most_is_refused() {
        for asked in [0, -1, 2_001, i64::MAX] {
            assert!(
                Limits::default().set("deadline_ms", asked).is_err(),
                "{asked}"
            );
        }
        assert!(Limits::default().set("deadline_ms", 2_000).is_ok());
    }
}
