//! What goes live: at the start and when the folder changed. It is written down with everything that
//! is needed to run it again, and what is wrong leaves what was live before.

use super::{CurrencyChanged, Live, Merchant};
use crate::clock;
use crate::pack;
use crate::recorded::{self, For};
use stampcard_pipeline::rules::{Plugin, Rules};
use stampcard_pipeline::shop::Shop;
use stampcard_pipeline::store::StoreError;
use stampcard_runtime::{Candidate, Engine, RuleBook};
use stampcard_store::{Artifact, SqliteStore};
use std::collections::HashMap;
use std::sync::Arc;

impl Merchant {
    /// Reads the folder again and takes what is new between two events. What is wrong leaves what
    /// it had before, and is told in the answer.
    pub fn reload(&self) -> Result<Reloaded, String> {
        let taken = self.take_folder();
        let mut reloads = self.reloads.lock();
        let problem = match &taken {
            Ok(Reloaded { problems, .. }) if problems.is_empty() => None,
            Ok(Reloaded { problems, .. }) => Some(problems.join("; ")),
            Err(problem) => Some(problem.clone()),
        };
        let count = if problem.is_none() {
            &mut reloads.taken
        } else {
            &mut reloads.refused
        };
        *count += 1;
        reloads.last_at = Some(clock::now());
        let was_wrong = std::mem::replace(&mut reloads.last_problem, problem).is_some();
        taken.map(|taken| Reloaded {
            is_mended: was_wrong && taken.problems.is_empty(),
            ..taken
        })
    }

    fn take_folder(&self) -> Result<Reloaded, String> {
        let shop = self.folder.shop().map_err(|error| error.to_string())?;
        let candidates = self
            .folder
            .candidates()
            .map_err(|error| error.to_string())?;
        let before = self.live();
        if before.shop.file.currency != shop.file.currency {
            let changed = CurrencyChanged {
                ledger: before.shop.file.currency.clone(),
                now: shop.file.currency,
            };
            return Err(changed.to_string());
        }
        let book = RuleBook::load(
            &self.engine,
            &shop,
            candidates.clone(),
            &pack::packs(),
            Some(&before.book),
        );
        let problems = problems(&book);
        let live =
            record(&self.desk.store, shop, book, candidates).map_err(|error| error.to_string())?;
        let number = live.number;
        self.desk.swap(live);
        Ok(Reloaded {
            number,
            is_new: number != before.number,
            is_mended: false,
            problems,
        })
    }
}

/// What a reload came to.
#[derive(Clone, Debug)]
pub struct Reloaded {
    /// The rule book that is live now.
    pub number: i64,
    /// It is another one than before.
    pub is_new: bool,
    /// Something was wrong before, and nothing is now.
    pub is_mended: bool,
    /// Plugins that are not live as their files have them, and why.
    pub problems: Vec<String>,
}

/// What is not loaded as the folder has it, each with what is live instead.
pub fn problems(book: &RuleBook) -> Vec<String> {
    let sentences = book.not_loaded().iter().map(|failure| match &failure.live {
        Some(version) => format!("{} (version {version} of it stays live)", failure.reason),
        None => format!("{} (nothing of it is live)", failure.reason),
    });
    sentences.collect()
}

/// Loads the folder's plugins. One that cannot be loaded has its last recorded version instead:
/// a restart must not take away what a reload would have left alone.
pub(super) fn load_at_start(
    engine: &Engine,
    store: &SqliteStore,
    shop: &Shop,
    candidates: Vec<Candidate>,
) -> RuleBook {
    let book = RuleBook::load(engine, shop, candidates.clone(), &pack::packs(), None);
    if book.not_loaded().is_empty() {
        return book;
    }
    let Some(last) = store.rule_book() else {
        return book;
    };
    match recorded::load(engine, store.reads(), &last, For::Live) {
        Ok((_, last)) => RuleBook::load(engine, shop, candidates, &pack::packs(), Some(&last)),
        Err(problem) => {
            tracing::warn!(%problem, "the rules that were live before the restart cannot be loaded");
            book
        }
    }
}

/// Writes down what goes live, with everything that is needed to run it again.
pub(super) fn record(
    store: &SqliteStore,
    shop: Shop,
    book: RuleBook,
    candidates: Vec<Candidate>,
) -> Result<Live, StoreError> {
    let plugins = book.plugins();
    let last = store.rule_book();
    let is_known = |plugin: &Plugin| {
        let mut known = last.iter().flat_map(|last| last.plugins.iter());
        known.any(|known| {
            known.digest == plugin.digest && known.configuration == plugin.configuration
        })
    };
    let new: Vec<&Plugin> = plugins.iter().filter(|plugin| !is_known(plugin)).collect();
    let kept = if new.is_empty() {
        HashMap::new()
    } else {
        recorded::kept(candidates)
    };
    let named = new
        .iter()
        .flat_map(|plugin| [&plugin.digest, &plugin.configuration]);
    let artifacts: Vec<Artifact> = named
        .filter_map(|digest| Some(kept.get(digest)?.artifact(digest)))
        .collect();
    let number = store
        .save_rule_book(plugins, &shop.file, &artifacts, clock::now())?
        .number;
    Ok(Live {
        shop,
        book: Arc::new(book),
        number,
    })
}
