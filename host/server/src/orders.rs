//! What a command asks of a shop's rules: to install a plugin, to roll one back, to take the
//! folder, to tell how the plugins do.
//!
//! A shop that is closed does it in the command's own process. One that is open has the file, so
//! the command leaves an order in it, and the server answers within moments. Whoever may write the
//! shop's files may order.

use crate::chores::{Chores, Closing};
use crate::clock;
use crate::config::Folder;
use crate::figures::{LastFailure, health};
use crate::merchant::{Merchant, OpenError, Options, Provenance, Terms, of_pack, state};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use stampcard_pipeline::calendar;
use stampcard_pipeline::rules::Rules;
use stampcard_pipeline::store::StoreError;
use stampcard_runtime::{Candidate, RuleBook, RuleSource};
use stampcard_store::{Grouping, OrderDesk};
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often the server looks for orders. People wait for them, tills do not.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long a command waits: a large component is compiled in this time.
const PATIENCE: Duration = Duration::from_secs(60);
/// The same for a pack: a few rules in Python, each of which takes a quarter of a minute.
const PACK_PATIENCE: Duration = Duration::from_secs(300);
/// How often it looks for the answer.
const ASK_EVERY: Duration = Duration::from_millis(50);

/// An order.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "kebab-case")]
pub enum Order {
    /// Its component goes beside it.
    Install {
        name: String,
        /// The text of `NAME.toml`.
        file: String,
        schema: Option<String>,
        /// Of what the component was built, where it was.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        source: Option<Source>,
        actor: String,
        reason: String,
    },
    Rollback {
        name: String,
        actor: String,
        reason: String,
    },
    Release {
        name: String,
        actor: String,
        reason: String,
    },
    /// What an install would do to the customers there are. Its component goes beside it.
    Preview {
        name: String,
        /// The text of `NAME.toml`.
        file: String,
        schema: Option<String>,
    },
    /// Takes what is new in the folder, whatever `reload` says.
    Apply,
    List,
    /// The pack's file goes beside it.
    InstallPack {
        terms: Terms,
        actor: String,
        reason: String,
    },
    RemovePack {
        name: String,
        actor: String,
        reason: String,
    },
    Packs,
}

/// The source of a component that goes with an order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Source {
    /// The name of its file.
    pub file: String,
    pub text: String,
    /// The text of `NAME.toml`, before what the source says of itself was put under it.
    pub beside: String,
}

impl Order {
    /// How long its answer may take.
    fn patience(&self) -> Duration {
        match self {
            Order::InstallPack { .. } => PACK_PATIENCE,
            _ => PATIENCE,
        }
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum NotDone {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Desk(#[from] stampcard_store::OpenError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{0}")]
    Refused(String),
    #[error(
        "the server that has the shop open did not answer in {} s; its log says why",
        .0.as_secs()
    )]
    NoAnswer(Duration),
    #[error("the order cannot be written: {0}")]
    Json(#[from] serde_json::Error),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Answer {
    Done(Value),
    Refused(String),
}

/// Has an order carried out, here or by the server that has the shop open.
pub fn give(folder: &Folder, order: &Order, component: Option<Vec<u8>>) -> Result<Value, NotDone> {
    let here = Options {
        lanes: 1,
        queue: 1,
        grouping: Grouping::default(),
        shops: 1,
    };
    match Merchant::open(folder.dir(), &here) {
        Ok(merchant) => {
            let done = carry_out(&merchant, order.clone(), component);
            merchant.close()?;
            done.map_err(|error| NotDone::Refused(error.to_string()))
        }
        Err(OpenError::Store(stampcard_store::OpenError::InUse { .. })) => {
            leave(folder, order, component.as_deref())
        }
        Err(error) => Err(error.into()),
    }
}

fn leave(folder: &Folder, order: &Order, component: Option<&[u8]>) -> Result<Value, NotDone> {
    let desk = OrderDesk::open(&folder.database())?;
    let number = desk.place(&serde_json::to_string(order)?, component, clock::now())?;
    let asked = Instant::now();
    let patience = order.patience();
    while asked.elapsed() < patience {
        if let Some(answer) = desk.answer(number)? {
            return match serde_json::from_str(&answer)? {
                Answer::Done(value) => Ok(value),
                Answer::Refused(problem) => Err(NotDone::Refused(problem)),
            };
        }
        std::thread::sleep(ASK_EVERY);
    }
    // Nobody wants it any more, and a server that comes later must not do it.
    desk.withdraw(number)?;
    Err(NotDone::NoAnswer(patience))
}

/// Answers orders for as long as the shop is open.
pub fn answer_while_open(chores: &mut Chores, merchant: &Arc<Merchant>) {
    let mut desk = match OrderDesk::open(&merchant.folder().database()) {
        Ok(desk) => desk,
        Err(error) => {
            tracing::warn!(%error, "no orders are taken from commands on this machine");
            return;
        }
    };
    let merchant = Arc::downgrade(merchant);
    chores.every(LOOK_EVERY, "order desk", move |closing| {
        if let Some(merchant) = merchant.upgrade() {
            answer_all(&merchant, &mut desk, closing);
        }
    });
}

fn answer_all(merchant: &Merchant, desk: &mut OrderDesk, closing: &Closing) {
    while !closing.is_near() {
        let order = match desk.next() {
            Ok(Some(order)) => order,
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(%error, "orders cannot be read");
                return;
            }
        };
        let answer = match serde_json::from_str(&order.body) {
            Ok(asked) => match carry_out(merchant, asked, order.component) {
                Ok(done) => Answer::Done(done),
                Err(error) => Answer::Refused(error.to_string()),
            },
            Err(error) => Answer::Refused(format!("this server does not know the order: {error}")),
        };
        let answer = serde_json::to_string(&answer).expect("an answer is plain data");
        if let Err(error) = desk.settle(order.number, &answer, clock::now()) {
            tracing::warn!(%error, "an order cannot be answered");
            return;
        }
    }
}

fn carry_out(
    merchant: &Merchant,
    order: Order,
    component: Option<Vec<u8>>,
) -> Result<Value, Box<dyn Error>> {
    let done = match order {
        Order::Install {
            name,
            file,
            schema,
            source,
            actor,
            reason,
        } => {
            let candidate = Candidate {
                name,
                file,
                component,
                schema,
                was_live: false,
                source: source.map(|source| RuleSource {
                    file: source.file,
                    text: source.text.into_bytes(),
                    beside: source.beside,
                    problem: None,
                }),
            };
            json!(merchant.install(candidate, &actor, &reason)?)
        }
        Order::Rollback {
            name,
            actor,
            reason,
        } => json!(merchant.roll_back(&name, &actor, &reason)?),
        Order::Release {
            name,
            actor,
            reason,
        } => json!(merchant.release(&name, &actor, &reason)?),
        Order::Preview { name, file, schema } => {
            let candidate = Candidate {
                name,
                file,
                component,
                schema,
                was_live: false,
                source: None,
            };
            json!(merchant.foresee(candidate)?)
        }
        Order::Apply => {
            let taken = merchant.reload()?;
            json!({"revision": taken.number, "is_new": taken.is_new, "problems": taken.problems, "drift": taken.drift})
        }
        Order::List => list(merchant),
        Order::InstallPack {
            terms,
            actor,
            reason,
        } => {
            let file = component.unwrap_or_default();
            json!(merchant.install_pack(&file, &terms, &actor, &reason)?)
        }
        Order::RemovePack {
            name,
            actor,
            reason,
        } => json!(merchant.remove_pack(&name, &actor, &reason)?),
        Order::Packs => {
            let book = merchant.store().rule_book();
            let listed = book.map(|book| packs(&book, |name| seen_of(merchant, name)));
            listed.unwrap_or_else(|| Value::Array(Vec::new()))
        }
    };
    Ok(done)
}

fn list(merchant: &Merchant) -> Value {
    let live = merchant.live();
    listed(&live.book, Some(live.number), |name| {
        seen_of(merchant, name)
    })
}

fn seen_of(merchant: &Merchant, name: &str) -> Seen {
    let figures = merchant.figures().plugins();
    let seen: Vec<_> = figures
        .iter()
        .filter(|((plugin, _), _)| plugin == name)
        .map(|((_, role), seen)| (role.as_str(), seen))
        .collect();
    let failures = seen
        .iter()
        .filter_map(|(_, seen)| seen.last_failure.as_ref());
    Seen {
        health: health(&seen),
        last_failure: failures.max_by_key(|failure| failure.at).cloned(),
        drift: merchant.health().reloads.drift.contains(name),
        provenance: merchant.provenance(name),
        source: merchant.source(name),
    }
}

/// What was seen of a plugin since the shop was opened.
pub struct Seen {
    pub health: &'static str,
    pub last_failure: Option<LastFailure>,
    /// Its files are not what is live.
    pub drift: bool,
    /// With what pack it came.
    pub provenance: Option<Provenance>,
    /// The file of which it was built, where the folder has a source.
    pub source: Option<String>,
}

impl Default for Seen {
    fn default() -> Seen {
        Seen {
            health: health(&[]),
            last_failure: None,
            drift: false,
            provenance: None,
            source: None,
        }
    }
}

/// The packs of a rule book, as `stampcard pack list` tells them.
pub fn packs(book: &stampcard_store::RuleBook, seen: impl Fn(&str) -> Seen) -> Value {
    let plugin = |name: &str, brought: &[String]| {
        let live = book.plugins.iter().find(|plugin| plugin.name == name);
        let seen = seen(name);
        let (state, health) = match live {
            None => ("gone", None),
            Some(_) if !brought.iter().any(|it| it == name) => ("replaced", Some(seen.health)),
            Some(plugin) if plugin.quarantine.is_some() => ("quarantined", Some("quarantined")),
            Some(_) => ("live", Some(seen.health)),
        };
        json!({
            "name": name, "version": live.map(|plugin| &plugin.version), "state": state, "health": health,
            "quarantine": live.and_then(|plugin| plugin.quarantine.as_ref()),
            "last_error": seen.last_failure.as_ref().map(told),
        })
    };
    let packs = book.packs.iter().map(|pack| {
        let brought = of_pack(book, pack);
        let plugins = pack.plugins.iter();
        let plugins: Vec<Value> = plugins.map(|it| plugin(&it.name, &brought)).collect();
        json!({
            "name": pack.name, "version": pack.version, "digest": pack.digest, "signer": pack.signer,
            "installed_at": calendar::text(pack.installed_at), "words": pack.words, "plugins": plugins,
        })
    });
    Value::Array(packs.collect())
}

fn told(failure: &LastFailure) -> Value {
    json!({
        "class": failure.class, "message": failure.message, "version": failure.version,
        "at": calendar::text(failure.at),
    })
}

/// Every plugin that is live or should be, as `stampcard plugin list` tells it.
pub fn listed(book: &RuleBook, revision: Option<i64>, seen: impl Fn(&str) -> Seen) -> Value {
    let plugins = book.plugins().iter().map(|plugin| {
        let seen = seen(&plugin.name);
        let roles: Vec<&str> = plugin.roles.iter().map(|role| role.name()).collect();
        let owned = [&plugin.segments, &plugin.tiers, &plugin.tags];
        let owned: Vec<&String> = owned.into_iter().flatten().map(|(key, _)| key).collect();
        json!({
            "name": plugin.name, "version": plugin.version, "revision": revision,
            "digest": plugin.digest, "configuration": plugin.configuration, "roles": roles,
            "events": plugin.events, "owns": owned, "state": state(plugin), "drift": seen.drift,
            "quarantine": plugin.quarantine, "isolation": plugin.isolation.name(),
            "found_out": plugin.isolation.found_out(),
            "health": if plugin.quarantine.is_some() { state(plugin) } else { seen.health },
            "last_error": seen.last_failure.as_ref().map(told), "from": seen.provenance,
            "source": seen.source,
        })
    });
    let refused = book.not_loaded().iter().map(|failure| {
        json!({
            "name": failure.name, "version": failure.live, "revision": null, "digest": null,
            "state": "refused", "drift": false, "from": null, "source": null, "health": health(&[]),
            "last_error": {"class": "load", "message": failure.reason.to_string()},
        })
    });
    Value::Array(plugins.chain(refused).collect())
}
