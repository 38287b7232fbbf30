//! `stampcard explain`: why an event came out as it did, or how a customer stands, for a person.

mod words;

use super::{End, Run, say, say_json};
use crate::config::Folder;
use crate::rerun::{self, Rerun, Reruns};
use crate::table::{Side, money, number, table};
use clap::Args;
use serde::Serialize;
use stampcard_pipeline::calendar;
use stampcard_pipeline::change::{Answered, CustomerId, RecordedCall};
use stampcard_pipeline::currency::Currency;
use stampcard_pipeline::event::{EventName, IdentifierKind, Instant};
use stampcard_pipeline::outcome::{CreditNow, EntryState, Outcome};
use stampcard_pipeline::rules::{Input, Plugin};
use stampcard_pipeline::shop::Shop;
use stampcard_pipeline::store::StoreError;
use stampcard_runtime::Engine;
use stampcard_store::Reads;
use stampcard_store::reads::{ExplanationRow, Find, JournalRow};
use std::collections::HashMap;
use std::path::PathBuf;

/// Say why an event came out as it did: what each plugin saw, decided and noted, which caps bit and
/// what lost. With --customer, how a customer stands and why.
///
/// The recorded calls are run again, in the plugins and with the configuration of then, and it says
/// whether they answer the same. It may run while the shop is open. Exit code 1 if there is no such
/// event or customer, or if an answer differs.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  stampcard explain shop till-1 ord-1001\n  stampcard explain shop --customer ana@example.com"
)]
pub struct Explain {
    /// The shop's folder.
    dir: PathBuf,
    /// Who sent the event.
    #[arg(required_unless_present = "customer", requires = "id")]
    source: Option<String>,
    /// The event's id.
    id: Option<String>,
    /// A customer: our id, an e-mail address, a phone number as +1…, a card, or SOURCE/ID.
    #[arg(long, conflicts_with = "source")]
    customer: Option<String>,
    /// Print one JSON object, with the inputs and answers of every call.
    #[arg(long)]
    json: bool,
}

/// One step of the event: the event itself, or a timer that was due before it.
#[derive(Serialize)]
struct Step {
    at: String,
    /// Empty for a timer.
    source: String,
    id: String,
    is_timer: bool,
    /// It was decided again by this later event.
    #[serde(skip_serializing_if = "Option::is_none")]
    decided_again_by: Option<EventName>,
    calls: Vec<Called>,
    notes: Vec<String>,
}

#[derive(Serialize)]
struct Called {
    plugin: String,
    version: String,
    digest: String,
    role: &'static str,
    input: Option<Input>,
    answer: Answered,
}

#[derive(Serialize)]
struct Explained<'a> {
    event: &'a stampcard_pipeline::event::Event,
    outcome: &'a Outcome,
    steps: &'a [Step],
    plugins: Vec<Asked<'a>>,
    rerun: Rerun,
}

/// A plugin in one of its roles, over all steps of the event.
#[derive(Serialize)]
struct Asked<'a> {
    name: &'a str,
    version: &'a str,
    digest: &'a str,
    role: &'static str,
    /// `ok`, or the class of the failure; of the last call, which stands.
    status: &'static str,
    /// What it noted for people, and how it failed, in the order of deciding.
    notes: Vec<String>,
}

/// Readers for a command that runs beside the server.
const READERS: usize = 1;
const PAGE_CACHE_KIB: u32 = 4 << 10;
/// Entries of a customer's ledger that are shown.
const ENTRIES_SHOWN: u32 = 10;
/// Messages that are planned for them; there are seldom more than three.
const PLANNED_SHOWN: u32 = 50;

impl Explain {
    pub fn run(self) -> Run {
        crate::log::start_quiet()?;
        let folder = Folder::of_one(&self.dir)?;
        let shop = folder.shop()?;
        let reads = Reads::open(&folder.database(), READERS, PAGE_CACHE_KIB)?;
        match (&self.customer, &self.source, &self.id) {
            (Some(customer), ..) => self.customer(&shop, &reads, customer),
            (None, Some(source), Some(id)) => self.event(
                &folder,
                &shop,
                &reads,
                EventName {
                    source: source.clone(),
                    id: id.clone(),
                },
            ),
            _ => unreachable!("clap asks for one of them"),
        }
    }

    fn event(&self, folder: &Folder, shop: &Shop, reads: &Reads, name: EventName) -> Run {
        let Some(row) = reads.event(&name)? else {
            eprintln!("stampcard: there is no event {}/{}", name.source, name.id);
            return Ok(End::Attention);
        };
        let explanations = reads.explanations(&name)?;
        let mut reruns = Reruns::new(Engine::new(&folder.cache()?)?);
        let rerun = reruns.of(reads, &row, &explanations)?;
        let end = match rerun {
            Rerun::Same | Rerun::Erased => End::Done,
            Rerun::Differs(_) => End::Attention,
        };
        let steps = steps(reads, &name, explanations)?;
        if self.json {
            say_json(&Explained {
                event: &row.event,
                outcome: &row.outcome,
                plugins: asked(&steps),
                steps: &steps,
                rerun,
            })?;
        } else {
            let told = tell_event(shop, &row, &steps);
            say(format!("{told}\n\n{}", rerun::tell(&rerun)))?;
        }
        Ok(end)
    }

    fn customer(&self, shop: &Shop, reads: &Reads, said: &str) -> Run {
        let Some(id) = find(reads, said)? else {
            eprintln!("stampcard: nobody here is known as {said:?}");
            return Ok(End::Attention);
        };
        match tell_customer(shop, reads, &id, self.json)? {
            Some(told) => say(told)?,
            None => return Ok(End::Attention),
        }
        Ok(End::Done)
    }
}

fn steps(
    reads: &Reads,
    name: &EventName,
    explanations: Vec<ExplanationRow>,
) -> Result<Vec<Step>, StoreError> {
    let mut books: HashMap<i64, Vec<Plugin>> = HashMap::new();
    let mut steps = Vec::new();
    for ExplanationRow {
        position,
        caused_by,
        rule_book,
        explanation,
        ..
    } in explanations
    {
        let plugins = match books.get(&rule_book) {
            Some(plugins) => plugins,
            None => {
                let book = reads.rule_book(rule_book)?;
                books
                    .entry(rule_book)
                    .or_insert(book.map_or_else(Vec::new, |book| book.plugins.to_vec()))
            }
        };
        let calls = explanation
            .calls
            .into_iter()
            .map(|call| called(plugins, call))
            .collect();
        steps.push(Step {
            at: calendar::text(position.at),
            decided_again_by: caused_by.filter(|by| !explanation.is_review && by != name),
            source: position.source,
            id: position.id,
            is_timer: explanation.is_review,
            calls,
            notes: explanation.notes,
        });
    }
    Ok(steps)
}

fn called(plugins: &[Plugin], call: RecordedCall) -> Called {
    let plugin = plugins.get(call.plugin as usize);
    let of = |field: fn(&Plugin) -> &String| {
        plugin.map_or_else(|| "unknown".into(), |plugin| field(plugin).clone())
    };
    Called {
        plugin: of(|plugin| &plugin.name),
        version: of(|plugin| &plugin.version),
        digest: of(|plugin| &plugin.digest),
        role: call.role.name(),
        // One of another version of the host cannot be read any more.
        input: postcard::from_bytes(&call.input).ok(),
        answer: call.answer,
    }
}

fn asked(steps: &[Step]) -> Vec<Asked<'_>> {
    let mut asked: Vec<Asked> = Vec::new();
    for call in steps.iter().flat_map(|step| &step.calls) {
        let is_it = |known: &Asked| {
            known.name == call.plugin && known.digest == call.digest && known.role == call.role
        };
        let at = asked.iter().position(is_it).unwrap_or_else(|| {
            asked.push(Asked {
                name: &call.plugin,
                version: &call.version,
                digest: &call.digest,
                role: call.role,
                status: "ok",
                notes: Vec::new(),
            });
            asked.len() - 1
        });
        let failure = call.answer.failure();
        asked[at].status = failure.map_or("ok", |failure| failure.class());
        asked[at]
            .notes
            .extend(call.answer.note().map(str::to_owned));
        asked[at].notes.extend(failure.map(ToString::to_string));
    }
    asked
}

fn tell_event(shop: &Shop, row: &JournalRow, steps: &[Step]) -> String {
    let mut told = words::event(shop, &row.event);
    told.push('\n');
    told.push_str(&words::outcome(shop, &row.outcome));
    if steps.is_empty() {
        told.push_str("\nNo plugin was asked.\n");
    }
    for step in steps {
        told.push('\n');
        if step.is_timer {
            told.push_str(&format!("Before it, at {}, something was due:\n", step.at));
        } else if let Some(by) = &step.decided_again_by {
            told.push_str(&format!(
                "Decided again when {}/{} came late:\n",
                by.source, by.id
            ));
        } else {
            told.push_str("What each plugin saw, decided and noted:\n");
        }
        for (place, call) in step.calls.iter().enumerate() {
            told.push_str(&format!(
                "  {}. {} {} as {}\n",
                place + 1,
                call.plugin,
                call.version,
                call.role
            ));
            if let Some(input) = &call.input {
                told.push_str(&format!("       saw      {}\n", words::input(shop, input)));
            }
            for (head, line) in words::answer(shop, &call.answer) {
                told.push_str(&format!("       {head:<8} {line}\n"));
            }
        }
        for note in &step.notes {
            told.push_str(&format!("  host: {note}\n"));
        }
    }
    told.trim_end().to_owned()
}

/// Who is meant: our id, or anything that names a customer.
fn find(reads: &Reads, said: &str) -> Result<Option<CustomerId>, StoreError> {
    let id = CustomerId(said.into());
    if reads.customer(&id)?.is_some() {
        return Ok(Some(id));
    }
    let lower = said.trim().to_lowercase();
    let tries = [
        (IdentifierKind::Email, lower.as_str()),
        (IdentifierKind::Phone, said),
        (IdentifierKind::Card, said),
        (IdentifierKind::External, said),
    ];
    for (kind, value) in tries {
        if let Some(found) = reads
            .customers(Find::Identifier(kind, value), None, 1)?
            .pop()
        {
            return Ok(Some(found.id));
        }
    }
    Ok(None)
}

#[derive(Serialize)]
struct Stands {
    id: String,
    tier: Option<String>,
    balance: i64,
    available: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    store_credit: Option<CreditNow>,
    orders: u32,
    spend: i64,
    segments: Vec<String>,
    tags: Vec<String>,
    next_due: Option<String>,
}

fn tell_customer(
    shop: &Shop,
    reads: &Reads,
    id: &CustomerId,
    json: bool,
) -> Result<Option<String>, Box<dyn std::error::Error>> {
    let Some(customer) = reads.customer(id)? else {
        return Ok(None);
    };
    let head = &customer.head;
    let now: Instant = crate::clock::now();
    let stands = Stands {
        id: id.0.clone(),
        tier: head.standing.as_ref().map(|held| held.tier.clone()),
        balance: customer.balance,
        available: head.available(Currency::Points, now),
        store_credit: CreditNow::of(head, shop, now),
        orders: head.totals.lifetime.orders,
        spend: head.totals.lifetime.spend,
        segments: head.memberships.keys().cloned().collect(),
        tags: head.tags.iter().cloned().collect(),
        next_due: customer.next_due.map(calendar::text),
    };
    if json {
        return Ok(Some(serde_json::to_string(&stands)?));
    }
    let amount = |minor| format!("{} {}", money(minor, shop.minor_units), shop.file.currency);
    let mut told = format!("Customer {}\n", stands.id);
    for identifier in reads.person(id)?.identifiers {
        told.push_str(&format!(
            "  {:<9} {}\n",
            identifier.kind.name(),
            identifier.value
        ));
    }
    told.push_str(&format!(
        "  {} orders, {}; since {}\n",
        stands.orders,
        amount(stands.spend),
        calendar::text(head.created_at)
    ));
    told.push_str(&format!(
        "  balance {}, of which {} can be spent\n",
        number(stands.balance),
        number(stands.available)
    ));
    if let Some(credit) = &stands.store_credit {
        told.push_str(&format!(
            "  store credit {}, of which {} can be spent\n",
            amount(credit.amount),
            amount(credit.available)
        ));
    }
    match &head.standing {
        Some(held) => told.push_str(&format!(
            "  tier {} since {}: {}\n",
            held.tier,
            calendar::text(held.since),
            held.reason
        )),
        None => told.push_str("  no tier\n"),
    }
    for (segment, member) in &head.memberships {
        let since = calendar::text(member.since);
        told.push_str(&format!(
            "  in {segment} since {since}: {}\n",
            member.reason
        ));
    }
    if let Some(due) = &stands.next_due {
        told.push_str(&format!("  next thing due by itself: {due}\n"));
    }
    let entries = reads.ledger(id, None, None, ENTRIES_SHOWN)?;
    if !entries.is_empty() {
        let rows: Vec<Vec<String>> = entries
            .iter()
            .map(|entry| {
                vec![
                    entry.number.to_string(),
                    calendar::text(entry.occurred_at),
                    match entry.currency {
                        Currency::Points => format!("{:+}", entry.amount),
                        Currency::StoreCredit => amount(entry.amount),
                    },
                    match entry.currency {
                        Currency::Points => number(entry.balance_after),
                        Currency::StoreCredit => amount(entry.balance_after),
                    },
                    entry.kind.clone(),
                    entry.reason.clone(),
                    match (&entry.plugin, &entry.actor) {
                        (Some(plugin), _) => plugin.name.clone(),
                        (None, actor) => actor.clone().unwrap_or_default(),
                    },
                    format!("{}/{}", entry.event.source, entry.event.id),
                ]
            })
            .collect();
        use Side::{Left, Right};
        let heads = [
            ("entry", Right),
            ("at", Left),
            ("amount", Right),
            ("balance", Right),
            ("kind", Left),
            ("reason", Left),
            ("by", Left),
            ("event", Left),
        ];
        told.push_str(&format!(
            "\nLast entries of the ledger:\n{}\n",
            table(&heads, &rows)
        ));
    }
    for follow_up in reads.follow_ups(id, true, None, PLANNED_SHOWN)? {
        let at = calendar::text(follow_up.due);
        told.push_str(&format!(
            "\nPlanned: {} by {} at {at}: {}",
            follow_up.template, follow_up.channel, follow_up.reason
        ));
    }
    Ok(Some(told.trim_end().to_owned()))
}

/// Whether points of an entry can be spent yet, in a word.
fn state(state: EntryState) -> &'static str {
    match state {
        EntryState::Final => "",
        EntryState::Pending => ", later",
        EntryState::Provisional => ", provisional",
    }
}
