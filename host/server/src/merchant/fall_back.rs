//! Plugins whose kept instance answered otherwise than a fresh one. Each of their calls has a fresh
//! one from then on, and what kept ones had answered is asked again, as if it had been missed.

use super::going_live::Going;
use super::{Merchant, NotLive};
use parking_lot::MutexGuard;
use stampcard_pipeline::rules::{Isolation, Plugin, Rules};
use stampcard_pipeline::shop::Shop;
use stampcard_pipeline::store::StoreError;
use stampcard_store::reads::{KeptAnswers, Look};
use stampcard_store::{By, Origin, SqliteStore};

/// Answers that are asked again when a plugin is found out, the newest. One in sixteen was compared, so
/// the last one that was right is among them; and so many are written down within a tenth of a
/// second, for which tills wait.
const DOUBTED_MAX: usize = 10_000;
/// Explanations that are read to find them: a plugin may be asked for few events. It takes some
/// seconds of one reader.
const LOOKED_AT_MAX: usize = 200_000;
/// Explanations that are read after a start, to see whether a plugin was found out just before the
/// host ended: it judges once a second.
const LOOKED_AT_AFTER_START: usize = 10_000;

impl Merchant {
    /// Holds whoever else would bring rules live. What was found out by now is written down before: of
    /// a version that is replaced nobody would ask.
    pub(super) fn begin_change(&self) -> MutexGuard<'_, ()> {
        self.judge_kept();
        self.changing.lock()
    }

    /// Lets every plugin fall back that was found out.
    pub(super) fn judge_kept(&self) {
        for (plugin, when) in self.live().book.found_out() {
            match self.fall_back(plugin, &when) {
                Ok(None) => {}
                Ok(Some((revision, doubted))) => tracing::error!(
                    plugin,
                    when,
                    revision,
                    doubted,
                    "a plugin remembers; each of its calls has a fresh instance from now on, and what kept ones answered is asked again"
                ),
                Err(error) => {
                    tracing::error!(plugin, %error, "a plugin remembers, and what it answered cannot be asked again yet")
                }
            }
        }
    }

    /// Finds out again what was known when the host ended and not written down: that an answer
    /// differed stands with the event.
    pub(super) fn look_back(&self) {
        let live = self.live();
        let plugins = live.book.plugins().iter();
        for plugin in plugins.filter(|it| it.isolation == Isolation::VerifiedReuse) {
            let look = Look {
                since: kept_since(&self.desk.store, live.number, plugin),
                answers: usize::MAX,
                explanations: LOOKED_AT_AFTER_START,
            };
            match self.desk.store.reads().kept_answers(&plugin.name, look) {
                Ok(found) if found.differed => {
                    let when = "before the shop was opened a kept instance answered otherwise than a fresh one";
                    live.book.find_out(&plugin.name, when);
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::error!(plugin = plugin.name, %error, "what kept instances answered cannot be read")
                }
            }
        }
    }

    /// The number of the rule book, and how many answers are doubted. `None` if another version is live
    /// by now.
    fn fall_back(&self, name: &str, when: &str) -> Result<Option<(i64, usize)>, NotLive> {
        let _changing = self.changing.lock();
        let live = self.live();
        let mut plugins = live.book.plugins().iter();
        let plugin = plugins.find(|plugin| plugin.name == name);
        let is_still = live
            .book
            .found_out()
            .iter()
            .any(|(found, _)| *found == name);
        let Some(plugin) = plugin.filter(|_| is_still) else {
            return Ok(None);
        };
        // No instance of it is kept any more, but what one has answered may be on its way to the disk.
        self.lanes.settle();
        let found = doubtful(&self.desk.store, live.number, plugin)?;
        let count = found.doubtful.steps.len();
        let older = if found.are_more {
            "; older ones stand"
        } else {
            ""
        };
        let words = format!("{when}; {count} answers of kept instances are asked again{older}");
        let by = By {
            origin: Origin::FallBack,
            actor: String::new(),
            reason: format!("{name}: {words}"),
        };
        let book = live.book.with_isolation(name, Isolation::FoundOut(words));
        let book = book.ok_or_else(|| self.no_plugin(name))?;
        let shop =
            Shop::new(live.shop.file.clone()).map_err(crate::recorded::RecordedError::Shop)?;
        let mut going = Going::as_it_is(shop, book);
        going.doubted = Some(found.doubtful);
        let installed = self.go(going, &by, name)?;
        Ok(Some((installed.revision, count)))
    }
}

/// What kept instances of a plugin answered under the newest rule book and those before it in which it
/// was as it is. What is decided meanwhile is not waited for.
pub(crate) fn doubtful(
    store: &SqliteStore,
    newest: i64,
    plugin: &Plugin,
) -> Result<KeptAnswers, StoreError> {
    store.flush()?;
    let look = Look {
        since: kept_since(store, newest, plugin),
        answers: DOUBTED_MAX,
        explanations: LOOKED_AT_MAX,
    };
    store.reads().kept_answers(&plugin.name, look)
}

/// The first of the rule books, up to the newest, in which a plugin kept instances as it is.
fn kept_since(store: &SqliteStore, newest: i64, plugin: &Plugin) -> i64 {
    let kept_it = |number: &i64| {
        let book = store.rule_book_at(*number);
        book.is_some_and(|book| {
            let mut plugins = book.plugins.iter();
            plugins
                .any(|then| then.is_same_as(plugin) && then.isolation == Isolation::VerifiedReuse)
        })
    };
    let numbers = (1..=newest).rev();
    numbers.take_while(kept_it).last().unwrap_or(newest)
}
