//! The packs of a shop: their plugins go live together or not at all, with what the shop says to them,
//! and whose they are stays known.

use super::Merchant;
use super::going_live::{Installed, NotLive};
use super::inbox::Chosen;
use crate::clock;
use crate::config::ConfigError;
use crate::packs::{NotAdmitted, Pack, Words, WordsError, admit};
use crate::recorded;
use serde::{Deserialize, Serialize};
use stampcard_runtime::Candidate;
use stampcard_store::{By, LivePack, Origin, PackedPlugin, RuleBook, Signer};
use std::sync::Arc;
use utoipa::ToSchema;

/// On which terms a pack is let in.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Terms {
    /// What the shop says to its plugins, as TOML; what it said before, where it is `None`.
    pub words: Option<String>,
    /// Nobody trusted needs to have signed it.
    pub allow_unsigned: bool,
    /// It may take the place of plugins that are not of this pack.
    pub replace: bool,
}

/// Why a pack did not go live, or does not go.
#[derive(Debug, thiserror::Error)]
pub enum PackNotLive {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    NotAdmitted(#[from] NotAdmitted),
    #[error(transparent)]
    Words(#[from] WordsError),
    #[error(
        "the shop has {} already, and not of this pack; say --replace if the pack's shall take the place of them", .names.join(" and ")
    )]
    Taken { names: Vec<String> },
    #[error("there is no pack {name}; {}", if .known.is_empty() { "the shop has none".into() } else { format!("there are {}", .known.join(", ")) })]
    NoPack { name: String, known: Vec<String> },
    #[error(transparent)]
    NotLive(#[from] NotLive),
}

/// A pack that went live.
#[derive(Clone, Debug, Serialize)]
pub struct InstalledPack {
    pub pack: String,
    pub version: String,
    /// The version that was live before; null if none was.
    pub was: Option<String>,
    pub digest: String,
    pub signer: Option<Signer>,
    /// The number of the rule book that it is live with.
    pub revision: i64,
    pub plugins: Vec<Installed>,
    /// Plugins of the version before that this one does not have.
    pub gone: Vec<String>,
}

/// A pack that is live no more.
#[derive(Clone, Debug, Serialize)]
pub struct RemovedPack {
    pub pack: String,
    pub version: String,
    pub revision: i64,
    /// Its plugins, which went with it.
    pub plugins: Vec<String>,
    /// Plugins of its names that are live and did not come with it.
    pub kept: Vec<String>,
}

/// With what a plugin came, and who signed that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Provenance {
    #[schema(example = "coffee-house")]
    pub pack: String,
    pub version: String,
    /// Whoever signed it, as the shop calls them; null where the operator let it in unsigned.
    pub signer: Option<String>,
    /// The number of their key.
    pub key: Option<String>,
}

impl Provenance {
    pub fn of(pack: &LivePack) -> Provenance {
        let signer = pack.signer.as_ref();
        Provenance {
            pack: pack.name.clone(),
            version: pack.version.clone(),
            signer: signer.map(|signer| signer.name.clone()),
            key: signer.map(|signer| signer.key.clone()),
        }
    }
}

impl Merchant {
    /// Brings a pack live, in the place of its version that is. Everything in it is loaded and
    /// configured first; if one plugin cannot be, nothing changes.
    pub fn install_pack(
        &self,
        file: &[u8],
        terms: &Terms,
        actor: &str,
        reason: &str,
    ) -> Result<InstalledPack, PackNotLive> {
        let trusted = self.folder.trusted_keys()?;
        let (pack, signer) = admit(file, &trusted, terms.allow_unsigned)?;
        let _changing = self.begin_change();
        let last = self.desk.store.rule_book();
        let now = |book: &RuleBook| {
            let found = book.packs.iter().find(|it| it.name == pack.about.name);
            found.cloned()
        };
        let before = last.as_deref().and_then(now);
        let own = match (&last, &before) {
            (Some(book), Some(before)) => of_pack(book, before),
            _ => Vec::new(),
        };
        let names = &pack.about.plugins;
        let others = last.as_deref().map_or(&[][..], |book| &book.plugins);
        let taken = others.iter().map(|plugin| &plugin.name);
        let taken = taken.filter(|name| names.contains(name) && !own.contains(name));
        let taken: Vec<String> = taken.cloned().collect();
        if !taken.is_empty() && !terms.replace {
            return Err(PackNotLive::Taken { names: taken });
        }
        let words = said(&pack, terms, before.as_ref())?;
        let candidates = candidates(&pack, &words)?;
        let live_pack = LivePack {
            name: pack.about.name.clone(),
            version: pack.about.version.to_string(),
            digest: pack.digest(),
            signer: signer.clone(),
            installed_at: clock::now(),
            words: words.text(),
            plugins: candidates.iter().map(packed).collect(),
        };
        let gone: Vec<String> = own.into_iter().filter(|it| !names.contains(it)).collect();
        let carried = crate::pack::packs();
        let chosen = candidates.into_iter();
        let chosen = chosen.map(|candidate| Chosen::new(candidate, &carried));
        let mut going = self.with_those(chosen.collect(), &gone)?;
        let others = last.iter().flat_map(|book| book.packs.iter());
        let others = others.filter(|it| it.name != pack.about.name).cloned();
        // The same pack again is nothing new.
        let unchanged = before.as_ref().filter(|before| {
            LivePack {
                installed_at: before.installed_at,
                ..live_pack.clone()
            } == **before
        });
        let live_pack = unchanged.cloned().unwrap_or(live_pack);
        let mut packs: Vec<LivePack> = others.collect();
        packs.push(live_pack.clone());
        packs.sort_by(|one, other| one.name.cmp(&other.name));
        going.packs = Some(packs);
        let by = By {
            origin: Origin::Install,
            actor: actor.into(),
            reason: reason.into(),
        };
        let (revision, plugins) = self.go_all(going, &by, names)?;
        Ok(InstalledPack {
            pack: live_pack.name,
            version: live_pack.version,
            was: before.map(|before| before.version),
            digest: live_pack.digest,
            signer,
            revision,
            plugins,
            gone,
        })
    }

    /// Takes a pack's plugins out of what is live.
    pub fn remove_pack(
        &self,
        name: &str,
        actor: &str,
        reason: &str,
    ) -> Result<RemovedPack, PackNotLive> {
        let _changing = self.begin_change();
        let last = self.desk.store.rule_book();
        let packs = last.as_ref().map_or(&[][..], |book| &book.packs);
        let pack = packs.iter().find(|pack| pack.name == name);
        let (Some(book), Some(pack)) = (&last, pack) else {
            return Err(PackNotLive::NoPack {
                name: name.into(),
                known: packs.iter().map(|pack| pack.name.clone()).collect(),
            });
        };
        let plugins = of_pack(book, pack);
        let is_live = |name: &&PackedPlugin| book.plugins.iter().any(|it| it.name == name.name);
        let kept = pack
            .plugins
            .iter()
            .filter(is_live)
            .map(|it| it.name.clone());
        let kept = kept.filter(|name| !plugins.contains(name)).collect();
        let mut going = self.with_those(Vec::new(), &plugins)?;
        let others = packs.iter().filter(|other| other.name != name);
        going.packs = Some(others.cloned().collect());
        let by = By {
            origin: Origin::Install,
            actor: actor.into(),
            reason: reason.into(),
        };
        let (revision, _) = self.go_all(going, &by, &[])?;
        Ok(RemovedPack {
            pack: pack.name.clone(),
            version: pack.version.clone(),
            revision,
            plugins,
            kept,
        })
    }

    /// With what a plugin that is live came, if with a pack: also when a version of it was brought back
    /// that an older rule book had.
    pub fn provenance(&self, name: &str) -> Option<Provenance> {
        let store = &self.desk.store;
        provenance(&*store.rule_book()?, name, |number| {
            store.rule_book_at(number)
        })
    }

    /// The file of which a plugin was built, where the folder had a source.
    pub fn source(&self, name: &str) -> Option<String> {
        source(&*self.desk.store.rule_book()?, name)
    }
}

/// The same for a plugin of any rule book.
pub fn source(live: &RuleBook, name: &str) -> Option<String> {
    let index = live.plugins.iter().position(|plugin| plugin.name == name)?;
    let source = live.files.get(index)?.source.as_ref()?;
    Some(source.file.clone())
}

/// With what a plugin of a rule book came; `at` knows the rule books before it.
pub fn provenance(
    live: &RuleBook,
    name: &str,
    at: impl Fn(i64) -> Option<Arc<RuleBook>>,
) -> Option<Provenance> {
    let index = live.plugins.iter().position(|plugin| plugin.name == name)?;
    let (plugin, files) = (&live.plugins[index], live.files.get(index)?);
    let mut books = (1..=live.number).rev().filter_map(at);
    books.find_map(|book| {
        let pack = book.packs.iter().find(|pack| pack.brought(plugin, files))?;
        Some(Provenance::of(pack))
    })
}

/// The plugins of a rule book that are as they came with a pack.
pub fn of_pack(book: &RuleBook, pack: &LivePack) -> Vec<String> {
    let plugins = book.plugins.iter().zip(book.files.iter());
    let plugins = plugins.filter(|(plugin, files)| pack.brought(plugin, files));
    plugins.map(|(plugin, _)| plugin.name.clone()).collect()
}

/// What the shop says to a pack's plugins: now, or else before.
fn said(pack: &Pack, terms: &Terms, before: Option<&LivePack>) -> Result<Words, PackNotLive> {
    if let Some(text) = &terms.words {
        let words = Words::read(text)?;
        pack.check_words(&words)?;
        return Ok(words);
    }
    let kept = before.and_then(|before| before.words.as_deref());
    let kept = kept.map(Words::read).transpose()?;
    Ok(kept.unwrap_or_default().for_those_of(pack))
}

/// A pack's plugins as they are written down when they go live.
fn candidates(pack: &Pack, words: &Words) -> Result<Vec<Candidate>, PackNotLive> {
    let candidates = pack.candidates(words).map_err(NotAdmitted::from)?;
    let whole = |candidate: Candidate| candidate.whole(&[]).unwrap_or(candidate);
    Ok(candidates.into_iter().map(whole).collect())
}

fn packed(candidate: &Candidate) -> PackedPlugin {
    let component = candidate.component.as_deref().unwrap_or_default();
    PackedPlugin {
        name: candidate.name.clone(),
        component: recorded::digest(component),
        manifest: recorded::files(candidate, String::new()).manifest,
    }
}
