//! The one place that changes a customer: writes a change as it is, in one transaction.

mod fold;
mod ledger;
mod outbox;
mod products;
mod redemptions;
mod referral;
mod stock;
mod two;

use crate::cache::Hot;
use crate::error::Trouble;
use crate::hold::Token;
use crate::open;
use crate::people;
use crate::row::{self, pack_json};
use crate::rule_books::RuleBook;
use crate::store::Shared;
use crate::writer::Writer;
use outbox::{Plans, cancelled};
use stampcard_pipeline::admit::HOST_SOURCE;
use stampcard_pipeline::change::{
    Change, CustomerChange, Decider, EntryKind, Explanation, ReviewItem,
};
use stampcard_pipeline::currency::{ByCurrency, Currency};
use stampcard_pipeline::event::{Position, SaleName};
use stampcard_pipeline::fold::{DAY_MS, Fold};
use stampcard_pipeline::limits;
use stampcard_pipeline::outcome::Status;
use stampcard_pipeline::rules::Failure;
use stampcard_pipeline::store::{Case, Committed, StoreError};
use stampcard_pipeline::visitors;
use std::sync::Arc;
use two::OtherReady;

impl Shared {
    pub fn commit_case(&self, case: Case, change: Change) -> Result<Committed, StoreError> {
        let (committed, _) = self.commit_and(case, change, |_| ())?;
        Ok(committed)
    }

    /// Commits a change, and does something with its group before anybody else has the writer.
    pub fn commit_and<T>(
        &self,
        case: Case,
        mut change: Change,
        and: impl FnOnce(&mut Writer) -> T,
    ) -> Result<(Committed, T), StoreError> {
        let Case { hold, claimed, .. } = case;
        let Ok(token) = hold.0.downcast::<Token>() else {
            return Err(StoreError::Failed(
                "the case was opened by another store".into(),
            ));
        };
        let book = self.books.get(change.rule_book).ok_or_else(|| {
            StoreError::Failed(format!("there is no rule book {}", change.rule_book))
        })?;
        let beside = token.other.as_ref().map(|(beside, _)| beside);
        let other_hot = beside.and_then(|beside| beside.hot.as_ref());
        let other_row = other_hot.map(|hot| hot.row);
        check(&change, token.hot.as_ref(), other_hot)?;
        let other = self.other(&token, &mut change, &book)?;
        let plans = match &change.customer {
            None => Plans::default(),
            Some(customer) => {
                let events = [
                    Some(&change.event),
                    claimed.as_ref().map(|(_, event)| event),
                ];
                let cancelled = cancelled(&token, customer, events.into_iter().flatten());
                Plans {
                    fates: self.fates(&token, other_row, customer, &book)?,
                    cancelled,
                }
            }
        };
        plans.tell(&change.customer, &book, &mut change.outcome);
        let encoded = Encoded::of(&change);
        let head = change
            .customer
            .as_mut()
            .map(|customer| Arc::new(std::mem::take(&mut customer.head)));

        let mut writer = self.group.lock();
        let (first_entry, ticket) = self.group.change(&mut writer, |writer| {
            Writing {
                writer,
                change: &change,
                token: &token,
                book: &book,
                plans: &plans,
                encoded: &encoded,
                head,
            }
            .write(other)
        })?;
        let done = and(&mut writer);
        drop(writer);
        drop(token);
        row::number_entries(&mut change.outcome, Some(first_entry));
        let committed = Committed {
            outcome: change.outcome,
            durable: Box::new(crate::ticket::Promise(ticket)),
        };
        Ok((committed, done))
    }
}

/// Refuses a change that does not add up, before anything is written.
fn check(change: &Change, hot: Option<&Hot>, other_hot: Option<&Hot>) -> Result<(), StoreError> {
    let wrong = |what: String| {
        Err(StoreError::Failed(format!(
            "the change does not add up: {what}"
        )))
    };
    let Some(customer) = &change.customer else {
        return Ok(());
    };
    if let Some(other) = &change.other {
        let moved = [customer, other].into_iter().flat_map(|it| &it.entries);
        let moved = moved.filter(|entry| entry.kind == EntryKind::Transfer);
        let mut sums: ByCurrency<i64> = ByCurrency::default();
        moved.for_each(|entry| sums[entry.currency] += entry.amount);
        if let Some(currency) = Currency::ALL.into_iter().find(|it| sums[*it] != 0) {
            let lost = currency.told(sums[currency]);
            return wrong(format!("{lost} are lost between two customers"));
        }
        adds_up(other, other_hot).or_else(wrong)?;
    }
    adds_up(customer, hot).or_else(wrong)?;
    let told = change.outcome.points.len() + change.outcome.store_credit.len();
    if told != customer.entries.len() {
        return wrong("the answer does not name every entry".into());
    }
    let needs_journal = !customer.entries.is_empty()
        || !customer.follow_ups.is_empty()
        || !customer.cancels.is_empty()
        || !customer.undone.is_empty()
        || !customer.takings.is_empty()
        || !customer.allocations.is_empty()
        || !customer.redemptions.is_empty()
        || !customer.history.is_empty();
    if !change.in_journal && needs_journal {
        return wrong(
            "it moves the ledger, the history or the outbox without a journal entry".into(),
        );
    }
    Ok(())
}

/// Whether a customer's entries lead from what they had to what they have.
fn adds_up(customer: &CustomerChange, hot: Option<&Hot>) -> Result<(), String> {
    let mut balances = hot.map_or_else(ByCurrency::default, |hot| hot.balance);
    for entry in &customer.entries {
        let balance = &mut balances[entry.currency];
        *balance += entry.amount;
        if entry.balance_after != *balance {
            return Err(format!(
                "an entry says balance {} and {balance} is the sum",
                entry.balance_after
            ));
        }
    }
    for currency in Currency::ALL {
        let (head, sum) = (customer.head.account(currency).balance, balances[currency]);
        if head != sum {
            let name = currency.name();
            return Err(format!(
                "the customer has {head} as the balance of {name}, and {sum} is the sum"
            ));
        }
    }
    Ok(())
}

/// Everything that can be encoded without the writer.
#[derive(Default)]
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
            said: people::said(&change.personal),
            ..Encoded::default()
        };
        if change.in_journal {
            encoded.body = pack_json(&*change.event);
            encoded.outcome = pack_json(&change.outcome);
        }
        match &change.customer {
            Some(customer) => encoded.with(customer),
            None => encoded,
        }
    }

    fn with(mut self, customer: &CustomerChange) -> Encoded {
        let head = customer.head.to_bytes();
        self.head = crate::codec::pack_if_large(&head);
        self.head_bytes = head.len();
        self.explanations = customer
            .explanations
            .iter()
            .map(row::pack_explanation)
            .collect();
        self.checkpoints = customer
            .checkpoints
            .iter()
            .map(|fold| crate::codec::pack(&fold.to_bytes()))
            .collect();
        self
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
    fn write(mut self, other: Option<OtherReady>) -> Result<i64, Trouble> {
        let first_entry = self.writer.next.entry;
        if let Some(guest) = self.token.claimed {
            self.require_guest(guest)?;
        }
        self.require_visits()?;
        let Some(customer) = &self.change.customer else {
            self.require_nobodys_sale()?;
            if self.change.in_journal {
                self.journal(None, None)?;
                self.products()?;
                self.stock()?;
            }
            return Ok(first_entry);
        };
        let head = self.head.take().expect("a customer's change has a head");
        let beside = self.beside()?;
        let row = self.customer(customer, &head)?;
        let seq = self.change.in_journal.then_some(self.writer.next.seq);
        let others = self.change.other.iter().flat_map(|other| &other.entries);
        let has_entries = customer.entries.iter().chain(others).next().is_some();
        self.journal(Some(row), has_entries.then_some(first_entry))?;
        self.tags(row, &head)?;
        self.person(row, seq, customer)?;
        if customer.start.is_refold {
            self.take_back(row, seq, customer)?;
            self.give_back(row, customer)?;
        }
        let moved = match (&beside, seq) {
            (Some(beside), Some(seq)) => {
                self.take_back(beside.row, Some(seq), beside.change)?;
                self.give_back(beside.row, beside.change)?;
                self.writer.cache.clear();
                Some(self.move_rows(seq, row, beside.row, beside.way)?)
            }
            _ => None,
        };
        self.history(row, seq, customer)?;
        self.memberships(row, customer)?;
        self.tiers(row, customer)?;
        self.explanations(row, seq, customer)?;
        self.checkpoints(row, customer)?;
        self.review_items(row, seq)?;
        self.redemptions(row, customer)?;
        self.referrer_awards(row, customer)?;
        if let Some(seq) = seq {
            self.outbox(row, seq, customer)?;
            self.ledger(row, seq, customer)?;
            self.codes(row, seq)?;
        }
        self.sales(row, customer)?;
        self.given()?;
        if let Some(seq) = seq {
            self.decline(seq, row)?;
        }
        if self.change.event.is_erasure() {
            self.forget(row, seq)?;
        }
        self.remember(row, customer, head);
        if let (Some(beside), Some(other), Some(seq), Some(moved)) = (beside, other, seq, moved) {
            self.write_other(&beside, other, seq)?;
            self.tell_people_again(row, beside.row, beside.way, moved)?;
        }
        Ok(first_entry)
    }

    /// The guest sale may have been in a group that was taken back.
    fn require_guest(&self, guest: i64) -> Result<(), Trouble> {
        let there = self.writer.sql.first(
            "SELECT 1 FROM journal WHERE seq = ?1 AND status = 'guest'",
            &[&guest],
            |_| Ok(()),
        )?;
        there.ok_or(StoreError::Conflict.into())
    }

    /// What a visitor did may have become somebody else's meanwhile.
    fn require_visits(&self) -> Result<(), Trouble> {
        for journal in &self.token.visited {
            let there = self.writer.sql.first(
                "SELECT 1 FROM visits WHERE journal = ?1",
                &[journal],
                |_| Ok(()),
            )?;
            there.ok_or(StoreError::Conflict)?;
        }
        Ok(())
    }

    /// Keeps what a visitor did until somebody says who they are, and forgets whose the oldest was.
    fn visits(&self, seq: i64, customer: Option<i64>) -> Result<(), Trouble> {
        let (sql, event) = (&self.writer.sql, &self.change.event);
        for journal in &self.token.visited {
            sql.run("DELETE FROM visits WHERE journal = ?1", &[journal])?;
        }
        if customer.is_some() || !visitors::waits(event) {
            return Ok(());
        }
        sql.run(
            "INSERT INTO visits (journal, visitor, at) VALUES (?1, ?2, ?3)",
            &[&seq, &event.visitor, &event.at.0],
        )?;
        // Two for each that comes, so that they go sooner than they come.
        let oldest = event.at.0 - limits::VISITOR_DAYS * DAY_MS;
        sql.run(
            "DELETE FROM visits WHERE journal IN (SELECT journal FROM visits WHERE at < ?1 ORDER BY at LIMIT 2)",
            &[&oldest],
        )?;
        Ok(())
    }

    /// The sale may have been claimed meanwhile by an event that does not know its order.
    fn require_nobodys_sale(&self) -> Result<(), Trouble> {
        let Some(name) = self.change.event.speaks_of() else {
            return Ok(());
        };
        match open::sale_of(self.writer, name)? {
            Some(sale) if open::owner_of(self.writer, sale.seq)?.is_some() => {
                Err(StoreError::Conflict.into())
            }
            _ => Ok(()),
        }
    }

    fn customer(&mut self, customer: &CustomerChange, head: &Fold) -> Result<i64, Trouble> {
        let sql = &self.writer.sql;
        let tier = head.standing.as_ref().map(|held| held.tier.as_str());
        let next_due = head.next_due().map(|due| due.0);
        let credit = head.account(Currency::StoreCredit).balance;
        let Some(hot) = &self.token.hot else {
            let row = self.writer.next.customer;
            sql.run(
                "INSERT INTO customers (id, public, revision, created_at, clock, next_due, balance, tier, head, credit)
                 VALUES (?1, ?2, 1, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                &[&row, &customer.id.0, &head.created_at.0, &customer.clock.0, &next_due, &head.points.balance, &tier, &self.encoded.head, &credit],
            )?;
            self.writer.next.customer += 1;
            return Ok(row);
        };
        let met = sql.run(
            "UPDATE customers SET revision = ?3 + 1, created_at = ?4, clock = ?5, balance = ?6, head = ?7, credit = ?8
             WHERE id = ?1 AND public = ?2 AND revision = ?3",
            &[
                &hot.row,
                &customer.id.0,
                &(customer.revision as i64),
                &head.created_at.0,
                &customer.clock.0,
                &head.points.balance,
                &self.encoded.head,
                &credit,
            ],
        )?;
        if met == 0 {
            return Err(StoreError::Conflict.into());
        }
        // Indexed columns only when they change: an index page that is not written is not flushed.
        let before = hot.head.as_deref();
        if before.is_none_or(|before| before.next_due() != head.next_due()) {
            sql.run(
                "UPDATE customers SET next_due = ?2 WHERE id = ?1",
                &[&hot.row, &next_due],
            )?;
        }
        if before
            .is_none_or(|before| before.standing.as_ref().map(|held| held.tier.as_str()) != tier)
        {
            sql.run(
                "UPDATE customers SET tier = ?2 WHERE id = ?1",
                &[&hot.row, &tier],
            )?;
        }
        Ok(hot.row)
    }

    fn journal(&mut self, customer: Option<i64>, first_entry: Option<i64>) -> Result<(), Trouble> {
        if !self.change.in_journal {
            return Ok(());
        }
        let (change, sql, seq) = (self.change, &self.writer.sql, self.writer.next.seq);
        let entries = change
            .customer
            .iter()
            .chain(&change.other)
            .map(|customer| customer.entries.len() as i64)
            .sum::<i64>();
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
            sql.run(
                "INSERT INTO orders (system, id, journal) VALUES (?1, ?2, ?3)",
                &[&order.system, &order.id, &seq],
            )?;
        }
        if let Some(said) = &self.encoded.said {
            sql.run(
                "INSERT INTO said (journal, body) VALUES (?1, ?2)",
                &[&seq, said],
            )?;
        }
        self.waiting(seq, customer)?;
        self.visits(seq, customer)?;
        if let (Some(guest), Some(customer)) = (self.token.claimed, customer) {
            sql.run(
                "INSERT INTO claims (guest, customer, journal) VALUES (?1, ?2, ?3)",
                &[&guest, &customer, &seq],
            )?;
        }
        self.writer.next.seq += 1;
        Ok(())
    }

    /// Events that waited for this sale have it now; one whose sale is nobody's waits.
    fn waiting(&self, seq: i64, customer: Option<i64>) -> Result<(), Trouble> {
        let sql = &self.writer.sql;
        if customer.is_some() {
            for waited in &self.token.waited {
                sql.run(
                    "UPDATE waiting SET joined = ?2 WHERE journal = ?1",
                    &[waited, &seq],
                )?;
            }
            return Ok(());
        }
        let (sale, order) = match self.change.event.speaks_of() {
            None => return Ok(()),
            Some(SaleName::Sale(sale)) => (Some(sale), None),
            Some(SaleName::Order(order)) => (None, Some(order)),
        };
        sql.run(
            "INSERT INTO waiting (journal, source, event, system, \"order\") VALUES (?1, ?2, ?3, ?4, ?5)",
            &[
                &seq,
                &sale.map(|sale| &sale.source),
                &sale.map(|sale| &sale.id),
                &order.map(|order| &order.system),
                &order.map(|order| &order.id),
            ],
        )?;
        Ok(())
    }

    fn person(&self, row: i64, seq: Option<i64>, customer: &CustomerChange) -> Result<(), Trouble> {
        for identifier in &customer.links {
            self.writer.sql.run(
                "INSERT INTO identifiers (kind, value, customer) VALUES (?1, ?2, ?3)",
                &[&identifier.kind.name(), &identifier.value, &row],
            )?;
        }
        self.replace(row)?;
        if seq.is_some() && !self.change.personal.fields.is_empty() {
            people::edit(&self.writer.sql, row, &self.change.personal.fields)?;
        }
        Ok(())
    }

    /// The person is forgotten: nothing leaves for them, and nobody needs to look at whom they look like.
    fn forget(&self, row: i64, seq: Option<i64>) -> Result<(), Trouble> {
        people::erase(&self.writer.sql, row)?;
        self.writer.sql.run(
            "UPDATE outbox SET state = 'cancelled', ended_by = ?2 WHERE customer = ?1 AND state IN ('planned', 'dead')",
            &[&row, &seq],
        )?;
        self.writer.sql.run(
            "UPDATE review_items SET resolved_at = ?2
             WHERE kind = 'merge-suggested' AND resolved_at IS NULL
             AND EXISTS (SELECT 1 FROM customers WHERE id = ?1 AND public IN (body ->> 'keep', body ->> 'other'))",
            &[&row, &self.change.event.at.0],
        )?;
        Ok(())
    }

    /// Retires what the event's identifiers take the place of; one that comes back is current again.
    fn replace(&self, row: i64) -> Result<(), Trouble> {
        let (event, said) = (&self.change.event, &self.change.personal.identifiers);
        for kind in event.replaces() {
            self.writer.sql.run(
                "UPDATE identifiers SET retired_at = ?3 WHERE customer = ?1 AND kind = ?2 AND retired_at IS NULL",
                &[&row, &kind.name(), &event.at.0],
            )?;
            for identifier in said.iter().filter(|it| it.kind == *kind) {
                self.writer.sql.run(
                    "UPDATE identifiers SET retired_at = NULL WHERE customer = ?1 AND kind = ?2 AND value = ?3",
                    &[&row, &kind.name(), &identifier.value],
                )?;
            }
        }
        Ok(())
    }

    fn explanations(
        &self,
        row: i64,
        seq: Option<i64>,
        customer: &CustomerChange,
    ) -> Result<(), Trouble> {
        for (explanation, body) in customer.explanations.iter().zip(&self.encoded.explanations) {
            let position = &explanation.position;
            let of_event = if explanation.is_review {
                None
            } else {
                explanation.journal.or(seq)
            };
            self.writer.sql.run(
                "INSERT INTO explanations (customer, at, source, id, journal, caused_by, rule_book, body)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                &[&row, &position.at.0, &position.source, &position.id, &of_event, &seq, &self.change.rule_book, body],
            )?;
            self.missed(row, customer, explanation)?;
        }
        Ok(())
    }

    /// Keeps which plugins owe an answer to this step. One that is decided again may have had it.
    fn missed(
        &self,
        row: i64,
        customer: &CustomerChange,
        step: &Explanation,
    ) -> Result<(), Trouble> {
        let Position { at, source, id } = &step.position;
        if customer.start.is_refold {
            self.writer.sql.run(
                "DELETE FROM missed WHERE customer = ?1 AND at = ?2 AND source = ?3 AND id = ?4",
                &[&row, &at.0, source, id],
            )?;
        }
        let calls = step.calls.iter();
        for call in calls.filter(|call| call.answer.failure().is_some_and(Failure::counts)) {
            self.writer.sql.run(
                "INSERT OR IGNORE INTO missed (customer, at, source, id, plugin) VALUES (?1, ?2, ?3, ?4, ?5)",
                &[&row, &at.0, source, id, &outbox::plugin_name(self.book, call.plugin)?],
            )?;
        }
        Ok(())
    }

    /// Counts what givers with a limit have given.
    fn given(&self) -> Result<(), Trouble> {
        for (giver, points) in &self.change.given {
            self.writer.sql.run(
                "INSERT INTO given (day, kind, name, points) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT DO UPDATE SET points = points + excluded.points",
                &[&giver.day, &giver.kind.name(), &giver.name, points],
            )?;
        }
        Ok(())
    }

    fn review_items(&self, row: i64, seq: Option<i64>) -> Result<(), Trouble> {
        for item in &self.change.review_items {
            let body = serde_json::to_value(item)?;
            let kind = body
                .get("kind")
                .and_then(|kind| kind.as_str())
                .unwrap_or_default();
            self.writer.sql.run(
                match item {
                    // Who looks like somebody else does so with every purchase; it is said once.
                    ReviewItem::MergeSuggested { .. } => {
                        "INSERT INTO review_items (customer, journal, kind, body, occurred_at) SELECT ?1, ?2, ?3, ?4, ?5
                         WHERE NOT EXISTS (SELECT 1 FROM review_items
                                           WHERE kind = 'merge-suggested' AND body = ?4 AND resolved_at IS NULL)"
                    }
                    _ => {
                        "INSERT INTO review_items (customer, journal, kind, body, occurred_at) VALUES (?1, ?2, ?3, ?4, ?5)"
                    }
                },
                &[&row, &seq, &kind, &body.to_string(), &self.change.event.at.0],
            )?;
        }
        Ok(())
    }

    /// Puts the customer as they are now where the next event finds them.
    fn remember(&mut self, row: i64, customer: &CustomerChange, head: Arc<Fold>) {
        let before = self.token.hot.as_ref();
        let outbox_moved = customer.start.is_refold
            || !self.plans.cancelled.is_empty()
            || !customer.cancels.is_empty()
            || !customer.undone.is_empty()
            || !self.plans.fates.is_empty();
        let plans = match before {
            None if !outbox_moved => Some(Arc::new(Vec::new())),
            Some(hot) if !outbox_moved => hot.plans.clone(),
            _ => None,
        };
        let hot = Hot {
            row,
            revision: before.map_or(1, |_| customer.revision + 1),
            balance: ByCurrency {
                points: head.points.balance,
                store_credit: head.account(Currency::StoreCredit).balance,
            },
            clock: customer.clock,
            head: Some(head),
            plans,
            head_bytes: self.encoded.head_bytes,
        };
        self.writer.cache.put(&customer.id.0, hot);
    }

    /// Who decided something, as the columns `plugin_version` and `actor` have it.
    fn decider<'a>(&self, by: &'a Decider) -> Result<(Option<i64>, Option<&'a str>), Trouble> {
        Ok(match by {
            Decider::Plugin(plugin) => (Some(self.version(*plugin)?), None),
            Decider::Staff(actor) => (None, Some(actor)),
            Decider::Host => (None, Some(HOST_SOURCE)),
        })
    }

    /// The row of a plugin that the change names by its index in the rule book.
    fn version(&self, plugin: u32) -> Result<i64, Trouble> {
        let version = self.book.versions.get(plugin as usize).copied();
        version.ok_or_else(|| outbox::no_plugin(self.book, plugin))
    }
}

pub(crate) fn status(status: Status) -> &'static str {
    match status {
        Status::Applied => "applied",
        Status::Duplicate => "duplicate",
        Status::Guest => "guest",
        Status::Parked => "parked",
    }
}
