//! What goes live: at the start, when the folder changed, and by order. It is written down with
//! everything that is needed to run it again, and what is wrong leaves what was live before.

use super::inbox::{self, Choice, Chosen, Files};
use super::reviews::{self, Foreseen};
use super::{CurrencyChanged, Live, Merchant, OpenError};
use crate::clock;
use crate::config::Folder;
use crate::pack;
use crate::recorded::{self, Kept, RecordedError};
use crate::sources::Sources;
use serde::Serialize;
use stampcard_pipeline::rules::{Plugin, Rules};
use stampcard_pipeline::shop::Shop;
use stampcard_pipeline::store::StoreError;
use stampcard_runtime::{Candidate, Engine, NotLoaded, RuleBook};
use stampcard_store::{
    Artifact, By, Doubted, Inbox, LivePack, NewRuleBook, Origin, PluginFiles, Reads, SqliteStore,
};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use utoipa::ToSchema;

/// Why nothing went live.
#[derive(Debug, thiserror::Error)]
pub enum NotLive {
    #[error("{0}")]
    Folder(String),
    #[error(transparent)]
    Currency(#[from] CurrencyChanged),
    #[error("it was not installed: {}", .0.join("; "))]
    NotLoaded(Vec<String>),
    #[error("there is no plugin {name}, and there never was one; there are {}", .known.join(", "))]
    NoPlugin { name: String, known: Vec<String> },
    #[error(
        "{name} {version} is the first version of it that was live: there is none to go back to"
    )]
    NoEarlier { name: String, version: String },
    #[error("{name} is not quarantined, and was not found to remember")]
    NotQuarantined { name: String },
    #[error(transparent)]
    Recorded(#[from] RecordedError),
    #[error("the rules cannot be recorded: {0}")]
    Store(#[from] StoreError),
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
    /// Files that are left alone because another version was ordered.
    pub drift: BTreeSet<String>,
}

/// A plugin that went live by order.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Installed {
    pub name: String,
    pub version: String,
    /// The number of the rule book that it is live with.
    pub revision: i64,
    /// `sha256:…` of the component.
    pub digest: String,
    /// `live`, or `quarantined`: it is not called.
    pub state: &'static str,
}

impl Merchant {
    /// Reads the folder again and takes what is new between two events. What is wrong leaves what
    /// it had before, and is told in the answer.
    pub fn reload(&self) -> Result<Reloaded, NotLive> {
        let taken = self.take_folder();
        let mut reloads = self.reloads.lock();
        let problem = match &taken {
            Ok(Reloaded { problems, .. }) if problems.is_empty() => None,
            Ok(Reloaded { problems, .. }) => Some(problems.join("; ")),
            Err(problem) => Some(problem.to_string()),
        };
        let count = if problem.is_none() {
            &mut reloads.taken
        } else {
            &mut reloads.refused
        };
        *count += 1;
        reloads.last_at = Some(clock::now());
        if let Ok(taken) = &taken {
            reloads.drift = taken.drift.clone();
        }
        let was_wrong = std::mem::replace(&mut reloads.last_problem, problem).is_some();
        taken.map(|taken| Reloaded {
            is_mended: was_wrong && taken.problems.is_empty(),
            ..taken
        })
    }

    fn take_folder(&self) -> Result<Reloaded, NotLive> {
        let _changing = self.begin_change();
        let folder = |error: crate::config::ConfigError| NotLive::Folder(error.to_string());
        let shop = self.folder.shop().map_err(folder)?;
        let candidates = self.folder.candidates().map_err(folder)?;
        let before = self.live();
        if before.shop.file.currency != shop.file.currency {
            return Err(NotLive::Currency(CurrencyChanged {
                ledger: before.shop.file.currency.clone(),
                now: shop.file.currency,
            }));
        }
        let store = &self.desk.store;
        let Choice {
            chosen,
            found,
            drift,
        } = inbox::choose(
            candidates,
            &pack::packs(),
            &store.reads().inbox()?,
            store.rule_book().as_deref(),
            store.reads(),
            &self.sources,
        )?;
        let going = Going::new(&self.engine, store, shop, chosen, Some(&before.book));
        let problems = problems(&going.book);
        let live = going.record(store, &By::default(), Some(found))?;
        let number = live.number;
        self.desk.swap(live);
        Ok(Reloaded {
            number,
            is_new: number != before.number,
            is_mended: false,
            problems,
            drift,
        })
    }

    /// Puts a plugin beside those that are live, or in the place of its earlier version. It is
    /// loaded and configured first; if it cannot be, or another plugin would have to give way to
    /// it, nothing changes.
    pub fn install(
        &self,
        candidate: Candidate,
        actor: &str,
        reason: &str,
    ) -> Result<Installed, NotLive> {
        let by = By {
            origin: Origin::Install,
            actor: actor.into(),
            reason: reason.into(),
        };
        let chosen = Chosen::new(candidate, &pack::packs());
        self.put(chosen, &by)
    }

    /// Brings back the version of a plugin that was live before the one that is, or the last one if
    /// it is live no more.
    pub fn roll_back(&self, name: &str, actor: &str, reason: &str) -> Result<Installed, NotLive> {
        let by = By {
            origin: Origin::Rollback,
            actor: actor.into(),
            reason: reason.into(),
        };
        let earlier = self.earlier(name)?;
        self.put(earlier, &by)
    }

    /// What bringing a plugin live would do to the customers there are. Nothing is kept.
    pub fn foresee(&self, candidate: Candidate) -> Result<Foreseen, NotLive> {
        let going = self.beside_the_others(Chosen::new(candidate, &pack::packs()))?;
        let going = Live {
            shop: going.shop,
            book: Arc::new(going.book),
            // It gets a number when it goes live.
            number: self.live().number,
        };
        Ok(reviews::foresee(&self.desk, &going, clock::now())?)
    }

    fn put(&self, chosen: Chosen, by: &By) -> Result<Installed, NotLive> {
        let _changing = self.begin_change();
        self.put_held(chosen, by)
    }

    /// With `changing` held.
    pub(super) fn put_held(&self, chosen: Chosen, by: &By) -> Result<Installed, NotLive> {
        let name = chosen.candidate.name.clone();
        let going = self.beside_the_others(chosen)?;
        self.go(going, by, &name)
    }

    /// The plugins that are live with one more, or with another version of one.
    fn beside_the_others(&self, chosen: Chosen) -> Result<Going, NotLive> {
        self.with_those(vec![chosen], &[])
    }

    /// The plugins that are live with some more, or with other versions of some, and without others.
    pub(super) fn with_those(
        &self,
        chosen: Vec<Chosen>,
        without: &[String],
    ) -> Result<Going, NotLive> {
        let store = &self.desk.store;
        let before = self.live();
        let mut changed: Vec<String> = without.to_vec();
        changed.extend(chosen.iter().map(|it| it.candidate.name.clone()));
        let mut all = match store.rule_book() {
            Some(book) => inbox::all_live(&book, store.reads())?,
            None => Vec::new(),
        };
        all.retain(|other| !changed.contains(&other.candidate.name));
        all.extend(chosen);
        let shop = Shop::new(before.shop.file.clone()).map_err(RecordedError::Shop)?;
        let mut going = Going::new(&self.engine, store, shop, all, Some(&before.book));
        let problems = problems(&going.book);
        if !problems.is_empty() {
            return Err(NotLive::NotLoaded(problems));
        }
        // What the folder has broken stays as it is told: it is not what this order is about.
        let broken = before.book.not_loaded().iter();
        let broken = broken.filter(|it| !changed.contains(&it.name));
        let broken: Vec<NotLoaded> = broken.cloned().collect();
        going.book = going.book.with_not_loaded(&broken);
        Ok(going)
    }

    /// Brings rules live, with `changing` held, and says how a plugin of theirs is now.
    pub(super) fn go(&self, going: Going, by: &By, name: &str) -> Result<Installed, NotLive> {
        let mut installed = self.go_all(going, by, &[name.to_owned()])?.1;
        Ok(installed.remove(0))
    }

    /// The same for several: says the number of the rule book, and how each is now.
    pub(super) fn go_all(
        &self,
        going: Going,
        by: &By,
        names: &[String],
    ) -> Result<(i64, Vec<Installed>), NotLive> {
        let live = going.record(&self.desk.store, by, None)?;
        let number = live.number;
        let installed = names.iter().map(|name| {
            let mut plugins = live.book.plugins().iter();
            let plugin = plugins
                .find(|plugin| plugin.name == *name)
                .expect("what had no problem is loaded");
            Installed {
                name: name.clone(),
                version: plugin.version.clone(),
                revision: number,
                digest: plugin.digest.clone(),
                state: state(plugin),
            }
        });
        let installed = installed.collect();
        self.desk.swap(live);
        Ok((number, installed))
    }

    /// The version that was live last before the one that is.
    fn earlier(&self, name: &str) -> Result<Chosen, NotLive> {
        let newest = self.live().number;
        self.other_version(name, newest)
    }

    /// A version that was live before this one ever was: going back to it again and again comes to an
    /// end.
    pub(super) fn older(&self, name: &str) -> Result<Chosen, NotLive> {
        let store = &self.desk.store;
        let live = self.live();
        let now = live.book.plugins().iter().find(|it| it.name == name);
        let now = now.ok_or_else(|| self.no_plugin(name))?;
        let had_it = |number: &i64| {
            let book = store.rule_book_at(*number);
            book.is_some_and(|book| book.plugins.iter().any(|then| then.is_same_as(now)))
        };
        let first = (1..=live.number).find(had_it).unwrap_or(live.number);
        self.other_version(name, first - 1)
    }

    /// The newest version up to a rule book that is another one than the one that is live.
    fn other_version(&self, name: &str, up_to: i64) -> Result<Chosen, NotLive> {
        let store = &self.desk.store;
        let live = self.live();
        let now = live.book.plugins().iter().find(|it| it.name == name);
        for number in (1..=up_to).rev() {
            let Some(book) = store.rule_book_at(number) else {
                continue;
            };
            let found = book.plugins.iter().position(|plugin| plugin.name == name);
            let Some(index) = found else { continue };
            if now.is_some_and(|now| now.is_same_as(&book.plugins[index])) {
                continue;
            }
            let candidate = recorded::whole(store.reads(), &book, index)?;
            let files = match book.files.get(index) {
                Some(files) => Files::AsLive(files.clone()),
                None => Files::New {
                    made_of: candidate.made_of(&[]),
                },
            };
            return Ok(Chosen { candidate, files });
        }
        Err(match now {
            Some(now) => NotLive::NoEarlier {
                name: name.into(),
                version: now.version.clone(),
            },
            None => self.no_plugin(name),
        })
    }

    pub(super) fn no_plugin(&self, name: &str) -> NotLive {
        let live = self.live();
        let plugins = live.book.plugins().iter();
        NotLive::NoPlugin {
            name: name.into(),
            known: plugins.map(|plugin| plugin.name.clone()).collect(),
        }
    }
}

/// `live`, or `quarantined`: it is not called.
pub fn state(plugin: &Plugin) -> &'static str {
    match plugin.quarantine {
        None => "live",
        Some(_) => "quarantined",
    }
}

/// What is not loaded as it was found, each with what is live instead.
pub fn problems(book: &RuleBook) -> Vec<String> {
    let sentences = book.not_loaded().iter().map(|failure| match &failure.live {
        Some(version) => format!("{} (version {version} of it stays live)", failure.reason),
        None => format!("{} (nothing of it is live)", failure.reason),
    });
    sentences.collect()
}

/// What the folder and the database have at the start. A plugin that cannot be loaded from the
/// folder has its last version instead: a restart must not take away what a reload would have left
/// alone.
pub(super) fn at_start(
    engine: &Engine,
    store: &SqliteStore,
    shop: Shop,
    candidates: Vec<Candidate>,
    sources: &Sources,
) -> Result<(Live, BTreeSet<String>), NotLive> {
    let last = store.rule_book();
    let Choice {
        chosen,
        found,
        drift,
    } = inbox::choose(
        candidates,
        &pack::packs(),
        &store.reads().inbox()?,
        last.as_deref(),
        store.reads(),
        sources,
    )?;
    let mut going = Going::new(engine, store, shop, chosen.clone(), None);
    if !going.book.not_loaded().is_empty()
        && let Some(last) = &last
    {
        let before = Shop::new(last.shop.clone()).map_err(RecordedError::Shop)?;
        let all_live = inbox::all_live(last, store.reads())?;
        let before = Going::new(engine, store, before, all_live, None);
        going = Going::new(engine, store, going.shop, chosen, Some(&before.book));
    }
    Ok((going.record(store, &By::default(), Some(found))?, drift))
}

/// What a shop that is closed would load if it were opened, from its folder and from a database that is
/// only read.
pub fn when_opened(
    folder: &Folder,
    reads: &Reads,
    sources: &Sources,
) -> Result<Vec<Candidate>, OpenError> {
    let last = reads.newest_rule_book().map_err(NotLive::from)?;
    let seen = reads.inbox().map_err(NotLive::from)?;
    let candidates = folder.candidates()?;
    let packs = pack::packs();
    let choice = inbox::choose(candidates, &packs, &seen, last.as_deref(), reads, sources);
    let chosen = choice.map_err(NotLive::from)?.chosen.into_iter();
    Ok(chosen.map(|chosen| chosen.candidate).collect())
}

/// Rules on their way to be live: loaded, and not written down yet.
pub(super) struct Going {
    shop: Shop,
    book: RuleBook,
    /// What each plugin was loaded from, by name.
    chosen: HashMap<String, Chosen>,
    /// The packs of the shop, as far as their plugins are live; `None` if they are those of before.
    pub packs: Option<Vec<LivePack>>,
    /// Answers that stand no more.
    pub doubted: Option<Doubted>,
}

impl Going {
    fn new(
        engine: &Engine,
        store: &SqliteStore,
        shop: Shop,
        chosen: Vec<Chosen>,
        before: Option<&RuleBook>,
    ) -> Going {
        let candidates = chosen.iter().map(|it| it.candidate.clone()).collect();
        let mut book = RuleBook::load(engine, &shop, candidates, &pack::packs(), before);
        if let Some(last) = store.rule_book() {
            book = book.judged_as(&last.plugins);
        }
        let chosen = chosen.into_iter();
        Going {
            chosen: chosen
                .map(|chosen| (chosen.candidate.name.clone(), chosen))
                .collect(),
            shop,
            book,
            packs: None,
            doubted: None,
        }
    }

    /// Rules of which all is written down already.
    pub(super) fn as_it_is(shop: Shop, book: RuleBook) -> Going {
        Going {
            shop,
            book,
            chosen: HashMap::new(),
            packs: None,
            doubted: None,
        }
    }

    /// Writes down what goes live, with everything that is needed to run it again. `found` is what
    /// the folder has, where it was looked at.
    fn record(
        mut self,
        store: &SqliteStore,
        by: &By,
        found: Option<Inbox>,
    ) -> Result<Live, NotLive> {
        let last = store.rule_book();
        let mut kept: HashMap<String, Kept> = HashMap::new();
        let mut files = Vec::with_capacity(self.book.plugins().len());
        for plugin in self.book.plugins() {
            let stayed = self.is_refused(&plugin.name);
            files.push(match self.chosen.get(&plugin.name) {
                Some(Chosen {
                    files: Files::New { made_of },
                    candidate,
                }) if !stayed => {
                    // It was loaded, so it can be read.
                    let whole = candidate.whole(&pack::packs());
                    let whole = whole.ok_or_else(|| RecordedError::Load(plugin.name.clone()))?;
                    kept.extend(recorded::kept(&whole));
                    recorded::files(&whole, made_of.clone())
                }
                Some(Chosen {
                    files: Files::AsLive(files),
                    ..
                }) if !stayed => files.clone(),
                _ => self.files_before(last.as_deref(), &plugin.name)?,
            });
        }
        let artifacts: Vec<Artifact> = kept
            .iter()
            .map(|(digest, kept)| kept.artifact(digest))
            .collect();
        // What was refused is new again the next time: it may be mended elsewhere.
        let found = found.map(|mut found| {
            found.retain(|name, _| !self.is_refused(name));
            found
        });
        let plugins = self.book.plugins();
        let packs_before = || Some(last.as_ref()?.packs.to_vec());
        let mut packs = self.packs.take().or_else(packs_before).unwrap_or_default();
        // A pack is there as long as one of its plugins is.
        packs.retain(|pack| {
            let mut live = plugins.iter().zip(&files);
            live.any(|(plugin, files)| pack.brought(plugin, files))
        });
        let round = last.and_then(|last| reviews::round_between(&last, plugins, &self.shop.file));
        let book = NewRuleBook {
            plugins,
            shop: &self.shop.file,
            files: &files,
            packs: &packs,
            artifacts: &artifacts,
            by,
            round: round.as_ref(),
            doubted: self.doubted.as_ref(),
            at: clock::now(),
        };
        let number = store.save_rule_book(&book, found.as_ref())?.number;
        Ok(Live {
            shop: self.shop,
            book: Arc::new(self.book),
            number,
        })
    }

    fn is_refused(&self, name: &str) -> bool {
        self.book
            .not_loaded()
            .iter()
            .any(|failure| failure.name == name)
    }

    /// The files of a plugin that stays live although the folder has something else.
    fn files_before(
        &self,
        last: Option<&stampcard_store::RuleBook>,
        name: &str,
    ) -> Result<PluginFiles, NotLive> {
        let index = |book: &stampcard_store::RuleBook| {
            let at = book.plugins.iter().position(|plugin| plugin.name == name)?;
            book.files.get(at).cloned()
        };
        let files = last.and_then(index);
        files.ok_or_else(|| {
            RecordedError::Load(format!("{name} was live and is not recorded")).into()
        })
    }
}
