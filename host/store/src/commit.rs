//! The one place that changes a customer: writes a change as it is, in one transaction.

use crate::cache::{Hot, Plan};
use crate::error::Trouble;
use crate::hold::Token;
use crate::people;
use crate::row::{self, channel_column, on_return_column, pack_json};
use crate::rule_books::RuleBook;
use crate::store::Shared;
use crate::writer::Writer;
use rusqlite::ToSql;
use stampcard_pipeline::calendar;
use stampcard_pipeline::change::{
    Change, CustomerChange, FollowUpRow, LotRef, MembershipRow, NewEntry, NewLot, Planned,
};
use stampcard_pipeline::event::Event;
use stampcard_pipeline::fold::Fold;
use stampcard_pipeline::outcome::{Outcome, Status};
use stampcard_pipeline::rules::Value;
use stampcard_pipeline::store::{Case, Committed, StoreError};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

impl Shared {
    pub fn commit_case(&self, case: Case, mut change: Change) -> Result<Committed, StoreError> {
        let Case { hold, claimed, .. } = case;
        let Ok(token) = hold.0.downcast::<Token>() else {
            return Err(StoreError::Failed("the case was opened by another store".into()));
        };
        let book = self
            .books
            .get(change.rule_book)
            .ok_or_else(|| StoreError::Failed(format!("there is no rule book {}", change.rule_book)))?;
        check(&change, token.hot.as_ref())?;
        let plans = match &change.customer {
            None => Plans::default(),
            Some(customer) => {
                let events = [Some(&change.event), claimed.as_ref().map(|(_, event)| event)];
                let cancelled = cancelled(&token, customer, events.into_iter().flatten());
                Plans { fates: self.fates(&token, customer, &book)?, cancelled }
            }
        };
        plans.tell(&change.customer, &book, &mut change.outcome);
        let encoded = Encoded::of(&change);
        let head = change.customer.as_mut().map(|customer| Arc::new(std::mem::take(&mut customer.head)));

        let mut writer = self.group.lock();
        let (first_entry, ticket) = self.group.change(&mut writer, |writer| {
            Writing { writer, change: &change, token: &token, book: &book, plans: &plans, encoded: &encoded, head }.write()
        })?;
        drop(writer);
        drop(token);
        row::number_entries(&mut change.outcome, Some(first_entry));
        Ok(Committed { outcome: change.outcome, durable: Box::new(crate::group::Promise(ticket)) })
    }

    /// What becomes of each planned follow-up: the customer is held, so it stays true.
    fn fates(&self, token: &Token, customer: &CustomerChange, book: &RuleBook) -> Result<Vec<Fate>, StoreError> {
        if customer.follow_ups.is_empty() {
            return Ok(Vec::new());
        }
        let writer = self.group.lock();
        let mut planned: HashSet<(u32, &str)> = HashSet::new();
        let mut fates = Vec::with_capacity(customer.follow_ups.len());
        for row in &customer.follow_ups {
            let key = row.dedupe_key.as_str();
            fates.push(if planned.insert((row.plugin, key)) {
                fate(&writer, token, customer, row, book)?
            } else {
                Fate::Known
            });
        }
        Ok(fates)
    }
}

/// Refuses a change that does not add up, before anything is written.
fn check(change: &Change, hot: Option<&Hot>) -> Result<(), StoreError> {
    let wrong = |what: String| Err(StoreError::Failed(format!("the change does not add up: {what}")));
    let Some(customer) = &change.customer else { return Ok(()) };
    let mut balance = hot.map_or(0, |hot| hot.balance);
    for entry in &customer.entries {
        balance += entry.amount;
        if entry.balance_after != balance {
            return wrong(format!("an entry says balance {} and {balance} is the sum", entry.balance_after));
        }
    }
    if customer.head.balance != balance {
        return wrong(format!("the customer has balance {} and {balance} is the sum", customer.head.balance));
    }
    if change.outcome.points.len() != customer.entries.len() {
        return wrong("the answer does not name every entry".into());
    }
    let needs_journal = !customer.entries.is_empty() || !customer.follow_ups.is_empty() || !customer.history.is_empty();
    if !change.in_journal && needs_journal {
        return wrong("it moves the ledger, the history or the outbox without a journal entry".into());
    }
    Ok(())
}

/// What happens to the outbox.
#[derive(Default)]
struct Plans {
    /// For each follow-up of the change.
    fates: Vec<Fate>,
    /// What waited and does not happen, because of this event.
    cancelled: Vec<Plan>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It is planned for the first time.
    Fresh,
    /// A refold plans it again: the same row.
    Again(i64),
    /// Its occasion was written for before.
    Known,
}

fn fate(
    writer: &Writer,
    token: &Token,
    customer: &CustomerChange,
    row: &FollowUpRow,
    book: &RuleBook,
) -> Result<Fate, Trouble> {
    let Some(hot) = &token.hot else { return Ok(Fate::Fresh) };
    let plugin = &plugin_name(book, row.plugin)?;
    let found = writer.sql.first(
        "SELECT id, number, state FROM outbox WHERE customer = ?1 AND plugin = ?2 AND dedupe_key = ?3",
        &[&hot.row, plugin, &row.dedupe_key],
        |row| Ok((row.get::<_, i64>(0)?, row.get::<_, u32>(1)?, row.get::<_, String>(2)?)),
    )?;
    Ok(match found {
        None => Fate::Fresh,
        Some((id, number, state)) => {
            let is_taken_back = customer.start.is_refold && number > customer.start.changes;
            if state == "withdrawn" || is_taken_back { Fate::Again(id) } else { Fate::Known }
        }
    })
}

/// What waits from before the start and is cancelled by one of these events. What was planned
/// after the start the walk has settled itself.
fn cancelled<'a>(token: &Token, customer: &CustomerChange, events: impl Iterator<Item = &'a Arc<Event>> + Clone) -> Vec<Plan> {
    let Some(plans) = token.hot.as_ref().and_then(|hot| hot.plans.as_ref()) else { return Vec::new() };
    plans
        .iter()
        .filter(|plan| {
            plan.number <= customer.start.changes
                && events.clone().any(|event| plan.due > event.at && plan.cancelled_by.contains(&event.kind))
        })
        .cloned()
        .collect()
}

impl Plans {
    /// Says in the answer what became of follow-ups.
    fn tell(&self, customer: &Option<CustomerChange>, book: &RuleBook, outcome: &mut Outcome) {
        let follow_ups = customer.iter().flat_map(|customer| &customer.follow_ups);
        for (row, fate) in follow_ups.zip(&self.fates) {
            if *fate != Fate::Known {
                continue;
            }
            let plugin = book.plugins.get(row.plugin as usize).map(|plugin| plugin.name.as_str());
            let view = outcome.follow_ups.iter_mut().rev().find(|view| {
                view.dedupe_key == row.dedupe_key && Some(view.plugin.as_str()) == plugin && view.state != "known"
            });
            if let Some(view) = view {
                view.state = "known".into();
            }
        }
        for plan in &self.cancelled {
            let due = calendar::text(plan.due);
            outcome.notes.push(format!("cancelled: {} by {}, which was due {due}", plan.template, plan.channel));
        }
    }
}

/// Everything that can be encoded without the writer.
struct Encoded {
    body: Vec<u8>,
    outcome: Vec<u8>,
    said: Option<String>,
    head: Vec<u8>,
    head_bytes: usize,
    explanations: Vec<Vec<u8>>,
    checkpoints: Vec<Vec<u8>>,
}

impl Encoded {
    fn of(change: &Change) -> Encoded {
        let mut encoded = Encoded {
            body: Vec::new(),
            outcome: Vec::new(),
            said: people::said(&change.personal),
            head: Vec::new(),
            head_bytes: 0,
            explanations: Vec::new(),
            checkpoints: Vec::new(),
        };
        if change.in_journal {
            encoded.body = pack_json(&*change.event);
            encoded.outcome = pack_json(&change.outcome);
        }
        if let Some(customer) = &change.customer {
            let head = customer.head.to_bytes();
            encoded.head = crate::codec::pack(&head);
            encoded.head_bytes = head.len();
            encoded.explanations = customer.explanations.iter().map(row::pack_explanation).collect();
            encoded.checkpoints = customer.checkpoints.iter().map(|fold| crate::codec::pack(&fold.to_bytes())).collect();
        }
        encoded
    }
}

/// One change on its way into the open transaction.
struct Writing<'a> {
    writer: &'a mut Writer,
    change: &'a Change,
    token: &'a Token,
    book: &'a RuleBook,
    plans: &'a Plans,
    encoded: &'a Encoded,
    head: Option<Arc<Fold>>,
}

impl Writing<'_> {
    /// Writes it, and says which number the first entry has. A conflict is found before the first
    /// row is written; any other error takes the whole group back.
    fn write(mut self) -> Result<i64, Trouble> {
        let first_entry = self.writer.next.entry;
        if let Some(guest) = self.token.claimed {
            self.require_guest(guest)?;
        }
        let Some(customer) = &self.change.customer else {
            if self.change.in_journal {
                self.journal(None, None)?;
            }
            return Ok(first_entry);
        };
        let head = self.head.take().expect("a customer's change has a head");
        let row = self.customer(customer, &head)?;
        let seq = self.change.in_journal.then_some(self.writer.next.seq);
        self.journal(Some(row), (!customer.entries.is_empty()).then_some(first_entry))?;
        self.tags(row, &head)?;
        self.person(row, seq, customer)?;
        if customer.start.is_refold {
            self.take_back(row, seq, customer)?;
        }
        self.history(row, seq, customer)?;
        self.memberships(row, customer)?;
        self.tiers(row, customer)?;
        self.explanations(row, seq, customer)?;
        self.checkpoints(row, customer)?;
        self.review_items(row, seq)?;
        if let Some(seq) = seq {
            self.outbox(row, seq, customer)?;
            self.ledger(row, seq, customer)?;
        }
        self.remember(row, customer, head);
        Ok(first_entry)
    }

    /// The guest sale may have been in a group that was taken back.
    fn require_guest(&self, guest: i64) -> Result<(), Trouble> {
        let there = self.writer.sql.first("SELECT 1 FROM journal WHERE seq = ?1 AND status = 'guest'", &[&guest], |_| Ok(()))?;
        there.ok_or(StoreError::Conflict.into())
    }

    fn customer(&mut self, customer: &CustomerChange, head: &Fold) -> Result<i64, Trouble> {
        let sql = &self.writer.sql;
        let tier = head.standing.as_ref().map(|held| held.tier.as_str());
        let next_due = head.next_due().map(|due| due.0);
        let Some(hot) = &self.token.hot else {
            let row = self.writer.next.customer;
            sql.run(
                "INSERT INTO customers (id, public, revision, created_at, clock, next_due, balance, tier, head)
                 VALUES (?1, ?2, 1, ?3, ?4, ?5, ?6, ?7, ?8)",
                &[&row, &customer.id.0, &head.created_at.0, &head.clock.0, &next_due, &head.balance, &tier, &self.encoded.head],
            )?;
            self.writer.next.customer += 1;
            return Ok(row);
        };
        let met = sql.run(
            "UPDATE customers SET revision = ?3 + 1, created_at = ?4, clock = ?5, balance = ?6, head = ?7
             WHERE id = ?1 AND public = ?2 AND revision = ?3",
            &[
                &hot.row,
                &customer.id.0,
                &(customer.revision as i64),
                &head.created_at.0,
                &head.clock.0,
                &head.balance,
                &self.encoded.head,
            ],
        )?;
        if met == 0 {
            return Err(StoreError::Conflict.into());
        }
        // Indexed columns only when they change: an index page that is not written is not flushed.
        let before = hot.head.as_deref();
        if before.is_none_or(|before| before.next_due() != head.next_due()) {
            sql.run("UPDATE customers SET next_due = ?2 WHERE id = ?1", &[&hot.row, &next_due])?;
        }
        if before.is_none_or(|before| before.standing.as_ref().map(|held| held.tier.as_str()) != tier) {
            sql.run("UPDATE customers SET tier = ?2 WHERE id = ?1", &[&hot.row, &tier])?;
        }
        Ok(hot.row)
    }

    fn journal(&mut self, customer: Option<i64>, first_entry: Option<i64>) -> Result<(), Trouble> {
        if !self.change.in_journal {
            return Ok(());
        }
        let (change, sql, seq) = (self.change, &self.writer.sql, self.writer.next.seq);
        let entries = change.customer.as_ref().map_or(0, |customer| customer.entries.len() as i64);
        sql.run(
            "INSERT INTO journal (seq, source, id, kind, occurred_at, received_at, customer, rule_book,
                 sameness, status, first_entry, entries, body, outcome)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
            &[
                &seq,
                &change.event.source,
                &change.event.id,
                &change.event.kind,
                &change.event.at.0,
                &change.received_at.0,
                &customer,
                &change.rule_book,
                &change.sameness,
                &status(change.outcome.status),
                &first_entry,
                &entries,
                &self.encoded.body,
                &self.encoded.outcome,
            ],
        )?;
        for order in &change.orders {
            sql.run("INSERT INTO orders (system, id, journal) VALUES (?1, ?2, ?3)", &[&order.system, &order.id, &seq])?;
        }
        if let Some(said) = &self.encoded.said {
            sql.run("INSERT INTO said (journal, body) VALUES (?1, ?2)", &[&seq, said])?;
        }
        if let (Some(guest), Some(customer)) = (self.token.claimed, customer) {
            sql.run("INSERT INTO claims (guest, customer, journal) VALUES (?1, ?2, ?3)", &[&guest, &customer, &seq])?;
        }
        self.writer.next.seq += 1;
        Ok(())
    }

    fn tags(&self, row: i64, head: &Fold) -> Result<(), Trouble> {
        let sql = &self.writer.sql;
        let none = BTreeSet::new();
        let before = match &self.token.hot {
            None => &none,
            Some(Hot { head: Some(before), .. }) => &before.tags,
            Some(Hot { head: None, .. }) => {
                sql.run("DELETE FROM customer_tags WHERE customer = ?1", &[&row])?;
                &none
            }
        };
        for tag in before.difference(&head.tags) {
            sql.run("DELETE FROM customer_tags WHERE tag = ?1 AND customer = ?2", &[tag, &row])?;
        }
        for tag in head.tags.difference(before) {
            sql.run("INSERT INTO customer_tags (tag, customer) VALUES (?1, ?2)", &[tag, &row])?;
        }
        Ok(())
    }

    fn person(&self, row: i64, seq: Option<i64>, customer: &CustomerChange) -> Result<(), Trouble> {
        for identifier in &customer.links {
            self.writer.sql.run(
                "INSERT INTO identifiers (kind, value, customer) VALUES (?1, ?2, ?3)",
                &[&identifier.kind.name(), &identifier.value, &row],
            )?;
        }
        if seq.is_some() && !self.change.personal.fields.is_empty() {
            people::edit(&self.writer.sql, row, &self.change.personal.fields)?;
        }
        Ok(())
    }

    /// A refold: what came after its start is there no more.
    fn take_back(&self, row: i64, seq: Option<i64>, customer: &CustomerChange) -> Result<(), Trouble> {
        let sql = &self.writer.sql;
        let (last, changes) = (&customer.start.last, customer.start.changes);
        let after_start: &[&dyn ToSql] = &[&row, &last.at.0, &last.source, &last.id];
        sql.run("DELETE FROM history WHERE customer = ?1 AND (at, source, id) > (?2, ?3, ?4)", after_start)?;
        sql.run("DELETE FROM checkpoints WHERE customer = ?1 AND (at, source, id) > (?2, ?3, ?4)", after_start)?;
        sql.run("DELETE FROM memberships WHERE customer = ?1 AND number > ?2", &[&row, &changes])?;
        sql.run(
            "UPDATE memberships SET left_at = NULL, left_number = NULL, left_reason = NULL, left_plugin = NULL
             WHERE customer = ?1 AND left_number > ?2",
            &[&row, &changes],
        )?;
        // Ends that were moved after the start are where they were.
        for (segment, member) in self.token.start.iter().flat_map(|start| &start.memberships) {
            sql.run(
                "UPDATE memberships SET until = ?3 WHERE customer = ?1 AND segment = ?2 AND left_at IS NULL",
                &[&row, segment, &member.until.map(|until| until.0)],
            )?;
        }
        sql.run("DELETE FROM tiers WHERE customer = ?1 AND number > ?2", &[&row, &changes])?;
        sql.run(
            "UPDATE outbox SET state = 'withdrawn', ended_by = ?3
             WHERE customer = ?1 AND number > ?2 AND state IN ('planned', 'cancelled', 'suppressed')",
            &[&row, &changes, &seq],
        )?;
        Ok(())
    }

    fn history(&self, row: i64, seq: Option<i64>, customer: &CustomerChange) -> Result<(), Trouble> {
        for step in &customer.history {
            let (position, moved) = (&step.position, &step.moved);
            self.writer.sql.run(
                "INSERT INTO history (customer, at, source, id, journal, channel, orders, spend, returns, returned, earned)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
                &[
                    &row,
                    &position.at.0,
                    &position.source,
                    &position.id,
                    &step.journal.or(seq),
                    &channel_column(moved.channel),
                    &moved.orders,
                    &moved.spend,
                    &moved.returns,
                    &moved.returned,
                    &moved.earned,
                ],
            )?;
        }
        Ok(())
    }

    fn memberships(&self, row: i64, customer: &CustomerChange) -> Result<(), Trouble> {
        let sql = &self.writer.sql;
        for membership in &customer.memberships {
            match membership {
                MembershipRow::Entered { number, segment, since, until, plugin, reason } => sql.run(
                    "INSERT INTO memberships (customer, number, segment, since, until, reason, plugin)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                    &[&row, number, segment, &since.0, &until.map(|at| at.0), reason, &self.version(*plugin)?],
                )?,
                MembershipRow::Prolonged { segment, until } => sql.run(
                    "UPDATE memberships SET until = ?3 WHERE customer = ?1 AND segment = ?2 AND left_at IS NULL",
                    &[&row, segment, &until.map(|at| at.0)],
                )?,
                MembershipRow::Left { number, segment, at, plugin, reason } => {
                    let plugin = plugin.map(|plugin| self.version(plugin)).transpose()?;
                    sql.run(
                        "UPDATE memberships SET left_at = ?3, left_number = ?4, left_reason = ?5, left_plugin = ?6
                         WHERE customer = ?1 AND segment = ?2 AND left_at IS NULL",
                        &[&row, segment, &at.0, number, reason, &plugin],
                    )?
                }
            };
        }
        Ok(())
    }

    fn tiers(&self, row: i64, customer: &CustomerChange) -> Result<(), Trouble> {
        for tier in &customer.tiers {
            self.writer.sql.run(
                "INSERT INTO tiers (customer, number, from_tier, to_tier, since, keep_until, reason, plugin)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                &[
                    &row,
                    &tier.number,
                    &tier.from,
                    &tier.to,
                    &tier.since.0,
                    &tier.keep_until.map(|at| at.0),
                    &tier.reason,
                    &self.version(tier.plugin)?,
                ],
            )?;
        }
        Ok(())
    }

    fn outbox(&self, row: i64, seq: i64, customer: &CustomerChange) -> Result<(), Trouble> {
        let sql = &self.writer.sql;
        for plan in &self.plans.cancelled {
            sql.run("UPDATE outbox SET state = 'cancelled', ended_by = ?2 WHERE id = ?1", &[&plan.id, &seq])?;
        }
        for (planned, fate) in customer.follow_ups.iter().zip(&self.plans.fates) {
            let again = match fate {
                Fate::Known => continue,
                Fate::Fresh => None,
                Fate::Again(id) => Some(*id),
            };
            let data: BTreeMap<&String, &Value> = planned.data.iter().map(|(key, value)| (key, value)).collect();
            let offer = planned.offer.as_ref().map(serde_json::to_string).transpose()?;
            let state = match planned.state {
                Planned::Planned => "planned",
                Planned::Suppressed => "suppressed",
                Planned::Cancelled => "cancelled",
            };
            let ended_by = (planned.state != Planned::Planned).then_some(seq);
            sql.run(
                "INSERT OR REPLACE INTO outbox (id, customer, plugin, dedupe_key, number, plugin_version, channel, template,
                     planned_at, due, expires_at, data, cancelled_by, purpose, offer, reason, state, journal, ended_by)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)",
                &[
                    &again,
                    &row,
                    &plugin_name(self.book, planned.plugin)?,
                    &planned.dedupe_key,
                    &planned.number,
                    &self.version(planned.plugin)?,
                    &planned.channel,
                    &planned.template,
                    &planned.at.0,
                    &planned.send_at.0,
                    &planned.expires_at.map(|at| at.0),
                    &serde_json::to_string(&data)?,
                    &serde_json::to_string(&planned.cancelled_by)?,
                    &row::word(&planned.purpose)?,
                    &offer,
                    &planned.reason,
                    &state,
                    &planned.journal.unwrap_or(seq),
                    &ended_by,
                ],
            )?;
        }
        Ok(())
    }

    fn ledger(&mut self, row: i64, seq: i64, customer: &CustomerChange) -> Result<(), Trouble> {
        let mut lots = Vec::with_capacity(customer.lots.len());
        for (index, lot) in customer.lots.iter().enumerate() {
            let entries = customer.entries.iter().filter(|entry| entry.lot == LotRef::New(index));
            lots.push(self.lot(row, seq, lot, entries.map(|entry| entry.amount).sum())?);
        }
        for entry in &customer.entries {
            let lot = match entry.lot {
                LotRef::New(index) => *lots.get(index).ok_or_else(|| StoreError::Failed("an entry has no lot".into()))?,
                LotRef::Existing(lot) => {
                    let met = self.writer.sql.run(
                        "UPDATE lots SET earned = earned + ?3, remaining = remaining + ?3 WHERE id = ?1 AND customer = ?2",
                        &[&lot, &row, &entry.amount],
                    )?;
                    if met == 0 {
                        return Err(StoreError::Failed(format!("the customer has no lot {lot}")).into());
                    }
                    lot
                }
            };
            self.entry(row, seq, lot, entry)?;
        }
        Ok(())
    }

    fn lot(&self, row: i64, seq: i64, lot: &NewLot, earned: i64) -> Result<i64, Trouble> {
        let key = &lot.key;
        self.writer.sql.run(
            "INSERT INTO lots (customer, at, source, event, plugin, kind, reason, covers, available_from, expires_at,
                 on_return, ordinal, earned, remaining, shares, plugin_version, journal)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?13, ?14, ?15, ?16)",
            &[
                &row,
                &key.origin.at.0,
                &key.origin.source,
                &key.origin.id,
                &key.plugin,
                &key.kind.name(),
                &key.reason,
                &serde_json::to_string(&key.covers)?,
                &key.available_from.map(|at| at.0),
                &key.expires_at.map(|at| at.0),
                &on_return_column(key.on_return),
                &key.ordinal,
                &earned,
                &serde_json::to_string(&lot.shares)?,
                &self.version(lot.plugin)?,
                &lot.journal.unwrap_or(seq),
            ],
        )?;
        Ok(self.writer.sql.raw().last_insert_rowid())
    }

    fn entry(&mut self, row: i64, seq: i64, lot: i64, entry: &NewEntry) -> Result<(), Trouble> {
        self.writer.sql.run(
            "INSERT INTO entries (number, customer, lot, kind, amount, balance_after, reason, plugin_version, journal,
                 caused_by, occurred_at, channel, location, device)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
            &[
                &self.writer.next.entry,
                &row,
                &lot,
                &entry.kind.name(),
                &entry.amount,
                &entry.balance_after,
                &entry.reason,
                &self.version(entry.plugin)?,
                &entry.journal.unwrap_or(seq),
                &seq,
                &entry.occurred_at.0,
                &channel_column(entry.channel),
                &entry.location,
                &entry.device,
            ],
        )?;
        self.writer.next.entry += 1;
        Ok(())
    }

    fn explanations(&self, row: i64, seq: Option<i64>, customer: &CustomerChange) -> Result<(), Trouble> {
        for (explanation, body) in customer.explanations.iter().zip(&self.encoded.explanations) {
            let position = &explanation.position;
            let of_event = if explanation.is_review { None } else { explanation.journal.or(seq) };
            self.writer.sql.run(
                "INSERT INTO explanations (customer, at, source, id, journal, caused_by, rule_book, body)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                &[&row, &position.at.0, &position.source, &position.id, &of_event, &seq, &self.change.rule_book, body],
            )?;
        }
        Ok(())
    }

    fn checkpoints(&self, row: i64, customer: &CustomerChange) -> Result<(), Trouble> {
        for (fold, bytes) in customer.checkpoints.iter().zip(&self.encoded.checkpoints) {
            self.writer.sql.run(
                "INSERT OR REPLACE INTO checkpoints (customer, at, source, id, fold) VALUES (?1, ?2, ?3, ?4, ?5)",
                &[&row, &fold.last.at.0, &fold.last.source, &fold.last.id, bytes],
            )?;
        }
        Ok(())
    }

    fn review_items(&self, row: i64, seq: Option<i64>) -> Result<(), Trouble> {
        for item in &self.change.review_items {
            let body = serde_json::to_value(item)?;
            let kind = body.get("kind").and_then(|kind| kind.as_str()).unwrap_or_default();
            self.writer.sql.run(
                "INSERT INTO review_items (customer, journal, kind, body, occurred_at) VALUES (?1, ?2, ?3, ?4, ?5)",
                &[&row, &seq, &kind, &body.to_string(), &self.change.event.at.0],
            )?;
        }
        Ok(())
    }

    /// Puts the customer as they are now where the next event finds them.
    fn remember(&mut self, row: i64, customer: &CustomerChange, head: Arc<Fold>) {
        let before = self.token.hot.as_ref();
        let outbox_moved = customer.start.is_refold || !self.plans.cancelled.is_empty() || !self.plans.fates.is_empty();
        let plans = match before {
            None if !outbox_moved => Some(Arc::new(Vec::new())),
            Some(hot) if !outbox_moved => hot.plans.clone(),
            _ => None,
        };
        let hot = Hot {
            row,
            revision: before.map_or(1, |_| customer.revision + 1),
            balance: head.balance,
            clock: head.clock,
            head: Some(head),
            plans,
            head_bytes: self.encoded.head_bytes,
        };
        self.writer.cache.put(&customer.id.0, hot);
    }

    /// The row of a plugin that the change names by its index in the rule book.
    fn version(&self, plugin: u32) -> Result<i64, Trouble> {
        let version = self.book.versions.get(plugin as usize).copied();
        version.ok_or_else(|| no_plugin(self.book, plugin))
    }
}

fn plugin_name(book: &RuleBook, plugin: u32) -> Result<String, Trouble> {
    let plugin_there = book.plugins.get(plugin as usize);
    plugin_there.map(|plugin| plugin.name.clone()).ok_or_else(|| no_plugin(book, plugin))
}

fn no_plugin(book: &RuleBook, plugin: u32) -> Trouble {
    StoreError::Failed(format!("rule book {} has no plugin {plugin}", book.number)).into()
}

pub(crate) fn status(status: Status) -> &'static str {
    match status {
        Status::Applied => "applied",
        Status::Duplicate => "duplicate",
        Status::Guest => "guest",
        Status::Parked => "parked",
    }
}

