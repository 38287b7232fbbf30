//! What kept instances of a plugin have answered, as the explanations have it.

use super::Reads;
use crate::error::Trouble;
use crate::reviews::Doubted;
use crate::row::{self, position};
use stampcard_pipeline::event::Position;
use stampcard_pipeline::rules::Instance;
use stampcard_pipeline::store::StoreError;
use std::collections::HashSet;

/// Answers that kept instances of a plugin gave and that nobody has compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeptAnswers {
    /// Of the newest decision of each step.
    pub doubtful: Doubted,
    /// One that was compared was not what a fresh instance answered.
    pub differed: bool,
    /// There are more of them than were asked for: older ones.
    pub are_more: bool,
}

/// How far to look for them.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// The first rule book in which the plugin was as it is.
    pub since: i64,
    /// Answers that are returned at most.
    pub answers: usize,
    /// Explanations that are read at most.
    pub explanations: usize,
}

/// Explanations that are read at once.
const PAGE: u32 = 512;

impl Reads {
    /// What kept instances of a plugin answered, the newest first.
    pub fn kept_answers(&self, plugin: &str, look: Look) -> Result<KeptAnswers, StoreError> {
        let mut found = KeptAnswers {
            doubtful: Doubted {
                plugin: plugin.into(),
                steps: Vec::new(),
            },
            ..KeptAnswers::default()
        };
        let places = self.read(|sql| {
            let places = sql.all(
                "SELECT p.rule_book, p.position FROM rule_book_plugins p
                 JOIN plugin_versions v ON v.id = p.plugin_version
                 WHERE v.name = ?1 AND p.rule_book >= ?2",
                &[&plugin, &look.since],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )?;
            Ok(places.into_iter().collect::<HashSet<(i64, u32)>>())
        })?;
        // A step that was decided again is what its newest explanation says.
        let mut seen: HashSet<(i64, Position)> = HashSet::new();
        let (mut before, mut looked) = (i64::MAX, 0);
        while looked < look.explanations {
            let mut rows = 0;
            let mut is_older = true;
            let above = before;
            self.read(|sql| {
                sql.each::<Trouble>(
                    "SELECT number, rule_book, customer, at, source, id, body FROM explanations
                     WHERE number < ?1 ORDER BY number DESC LIMIT ?2",
                    &[&above, &PAGE],
                    |row| {
                        rows += 1;
                        before = row.get(0)?;
                        let rule_book: i64 = row.get(1)?;
                        if rule_book < look.since {
                            return Ok(());
                        }
                        is_older = false;
                        let explanation = row::explanation(&row.get::<_, Vec<u8>>(6)?)?;
                        let calls = explanation.calls.iter();
                        let mut instances = calls
                            .filter(|call| places.contains(&(rule_book, call.plugin)))
                            .map(|call| call.answer.usage().instance)
                            .peekable();
                        if instances.peek().is_none() {
                            return Ok(());
                        }
                        let step = (row.get(2)?, position(row, 3)?);
                        let (mut differed, mut is_kept) = (false, false);
                        for instance in instances {
                            differed |= instance == Instance::Differed;
                            is_kept |= instance == Instance::Kept;
                        }
                        found.differed |= differed;
                        if seen.insert(step.clone()) && is_kept {
                            match found.doubtful.steps.len() < look.answers {
                                true => found.doubtful.steps.push(step),
                                false => found.are_more = true,
                            }
                        }
                        Ok(())
                    },
                )
            })?;
            looked += rows as usize;
            if rows < PAGE || is_older || found.are_more {
                return Ok(found);
            }
        }
        found.are_more = true;
        Ok(found)
    }
}
