//! Two customers in one change: what belongs to a history goes with it, before the two folds are written.

use super::outbox::Plans;
use super::{Encoded, Writing};
use crate::error::Trouble;
use crate::hold::Token;
use crate::open::{Part, Way};
use crate::people;
use crate::rule_books::RuleBook;
use crate::store::Shared;
use stampcard_pipeline::admit::{Address, join_addresses};
use stampcard_pipeline::change::{Change, CustomerChange};
use stampcard_pipeline::event::Body;
use stampcard_pipeline::fold::Fold;
use stampcard_pipeline::store::StoreError;
use std::sync::Arc;

/// What the addresses of both were before they became one.
pub(super) struct Addresses {
    first: Vec<Address>,
    other: Vec<Address>,
}

/// The second customer of a change, ready to be written.
pub(super) struct OtherReady {
    plans: Plans,
    encoded: Encoded,
    head: Arc<Fold>,
}

impl Shared {
    pub(super) fn other(
        &self,
        token: &Token,
        change: &mut Change,
        book: &RuleBook,
    ) -> Result<Option<OtherReady>, StoreError> {
        let (Some((beside, _)), Some(other)) = (&token.other, &mut change.other) else {
            return Ok(None);
        };
        let plans = Plans {
            fates: self.fates(beside, token.hot.as_ref().map(|hot| hot.row), other, book)?,
            cancelled: Vec::new(),
        };
        let encoded = Encoded::default().with(other);
        let head = Arc::new(std::mem::take(&mut other.head));
        Ok(Some(OtherReady {
            plans,
            encoded,
            head,
        }))
    }
}

/// The second customer of a change.
pub(super) struct Beside<'a> {
    pub row: i64,
    token: &'a Token,
    pub way: &'a Way,
    pub change: &'a CustomerChange,
}

impl<'a> Writing<'a> {
    /// The second customer of the change, if there is one, as nobody has changed them meanwhile.
    pub(super) fn beside(&self) -> Result<Option<Beside<'a>>, Trouble> {
        let (Some((token, way)), Some(change)) = (&self.token.other, &self.change.other) else {
            return Ok(None);
        };
        let Some(hot) = &token.hot else {
            return Err(StoreError::Conflict.into());
        };
        self.require_other(hot.row, change)?;
        Ok(Some(Beside {
            row: hot.row,
            token,
            way,
            change,
        }))
    }

    pub(super) fn write_other(
        &mut self,
        beside: &Beside,
        ready: OtherReady,
        seq: i64,
    ) -> Result<(), Trouble> {
        let mut writing = Writing {
            writer: &mut *self.writer,
            change: self.change,
            token: beside.token,
            book: self.book,
            plans: &ready.plans,
            encoded: &ready.encoded,
            head: None,
        };
        let (change, head) = (beside.change, ready.head);
        let row = writing.customer(change, &head)?;
        writing.tags(row, &head)?;
        writing.history(row, Some(seq), change)?;
        writing.memberships(row, change)?;
        writing.tiers(row, change)?;
        writing.explanations(row, Some(seq), change)?;
        writing.checkpoints(row, change)?;
        writing.redemptions(row, change)?;
        writing.referrer_awards(row, change)?;
        writing.outbox(row, seq, change)?;
        writing.ledger(row, seq, change)?;
        writing.sales(row, change)?;
        if matches!(beside.way, Way::Part(_)) {
            writing.remember(row, change, head);
        }
        Ok(())
    }

    /// Another event may have been there first: said before anything is written.
    fn require_other(&self, other: i64, change: &CustomerChange) -> Result<(), Trouble> {
        let met = self.writer.sql.first(
            "SELECT 1 FROM customers WHERE id = ?1 AND revision = ?2",
            &[&other, &(change.revision as i64)],
            |_| Ok(()),
        )?;
        met.ok_or(StoreError::Conflict.into())
    }

    /// Gives the rows that are the ledger's, and the names, to whom they belong now. What is of the fold
    /// alone was taken back and is written again.
    pub(super) fn move_rows(
        &self,
        seq: i64,
        first: i64,
        other: i64,
        way: &Way,
    ) -> Result<Addresses, Trouble> {
        let addresses = Addresses {
            first: people::addresses(&self.writer.sql, first)?,
            other: people::addresses(&self.writer.sql, other)?,
        };
        match way {
            Way::Join => self.join(seq, first, other)?,
            Way::Part(part) => self.part(seq, first, other, part)?,
        }
        Ok(addresses)
    }

    fn join(&self, seq: i64, first: i64, other: i64) -> Result<(), Trouble> {
        let sql = &self.writer.sql;
        sql.run(
            "INSERT INTO merges (journal, kept, other) VALUES (?1, ?2, ?3)",
            &[&seq, &first, &other],
        )?;
        for text in [
            "UPDATE customers SET merged_into = ?1 WHERE id = ?2 OR merged_into = ?2",
            "UPDATE lots SET customer = ?1 WHERE customer = ?2",
            "UPDATE takings SET customer = ?1 WHERE customer = ?2",
            "UPDATE referral_codes SET customer = ?1 WHERE customer = ?2",
            "UPDATE referrer_awards SET customer = ?1 WHERE customer = ?2",
            "UPDATE explanations SET customer = ?1 WHERE customer = ?2",
            // Both may owe an answer to a review of the same instant.
            "UPDATE OR REPLACE missed SET customer = ?1 WHERE customer = ?2",
            "DELETE FROM told_apart WHERE (one, other) IN ((?1, ?2), (?2, ?1))",
            "UPDATE identifiers SET customer = ?1, first_of = coalesce(first_of, ?2) WHERE customer = ?2",
            "UPDATE review_items SET customer = ?1 WHERE customer = ?2 AND resolved_at IS NULL",
            // What has left for one of them has left for both.
            "UPDATE OR IGNORE outbox SET customer = ?1
             WHERE customer = ?2 AND state IN ('sent', 'dead', 'too-late', 'dropped')",
        ] {
            sql.run(text, &[&first, &other])?;
        }
        self.answer_suggestions(first, other)
    }

    /// Two who look like one are two.
    pub(super) fn decline(&self, seq: i64, first: i64) -> Result<(), Trouble> {
        let Body::Declined(declined) = &self.change.event.body else {
            return Ok(());
        };
        let other = self.writer.sql.first(
            "SELECT id FROM customers WHERE public = ?1",
            &[&declined.other.0],
            |row| row.get(0),
        )?;
        let Some(other) = other else {
            return Err(StoreError::Conflict.into());
        };
        self.tell_apart(seq, first, other)?;
        self.answer_suggestions(first, other)
    }

    fn tell_apart(&self, seq: i64, first: i64, other: i64) -> Result<(), Trouble> {
        for (one, other) in [(first, other), (other, first)] {
            self.writer.sql.run(
                "INSERT OR REPLACE INTO told_apart (one, other, journal) VALUES (?1, ?2, ?3)",
                &[&one, &other, &seq],
            )?;
        }
        Ok(())
    }

    /// Nobody needs to look at what has been decided.
    fn answer_suggestions(&self, first: i64, other: i64) -> Result<(), Trouble> {
        self.writer.sql.run(
            "UPDATE review_items SET resolved_at = ?3
             WHERE customer IN (?1, ?2) AND kind = 'merge-suggested' AND resolved_at IS NULL
             AND (SELECT count(*) FROM customers WHERE id IN (?1, ?2) AND public IN (body ->> 'keep', body ->> 'other')) = 2",
            &[&first, &other, &self.change.event.at.0],
        )?;
        Ok(())
    }

    fn part(&self, seq: i64, first: i64, other: i64, part: &Part) -> Result<(), Trouble> {
        let sql = &self.writer.sql;
        sql.run(
            "UPDATE merges SET ended_by = ?2 WHERE journal = ?1",
            &[&part.merge, &seq],
        )?;
        for member in &part.family {
            let into = (*member != other).then_some(other);
            sql.run(
                "UPDATE customers SET merged_into = ?2 WHERE id = ?1",
                &[member, &into],
            )?;
        }
        self.tell_apart(seq, first, other)?;
        for lot in &part.lots {
            sql.run(
                "UPDATE lots SET customer = ?2 WHERE id = ?1",
                &[lot, &other],
            )?;
        }
        for taking in &part.takings {
            sql.run(
                "UPDATE takings SET customer = ?2 WHERE id = ?1",
                &[taking, &other],
            )?;
        }
        for (journal, place, was_anothers) in &part.events {
            for text in [
                "UPDATE explanations SET customer = ?2 WHERE customer = ?1 AND at = ?3 AND source = ?4 AND id = ?5",
                "UPDATE missed SET customer = ?2 WHERE customer = ?1 AND at = ?3 AND source = ?4 AND id = ?5",
                "UPDATE referrer_awards SET customer = ?2 WHERE customer = ?1 AND at = ?3 AND source = ?4 AND event = ?5",
            ] {
                sql.run(
                    text,
                    &[&first, &other, &place.at.0, &place.source, &place.id],
                )?;
            }
            sql.run(
                "UPDATE referral_codes SET customer = ?2 WHERE journal = ?1",
                &[journal, &other],
            )?;
            if *was_anothers {
                sql.run(
                    "INSERT OR REPLACE INTO given_back (journal, customer) VALUES (?1, ?2)",
                    &[journal, &other],
                )?;
            }
        }
        for identifier in &part.identifiers {
            sql.run(
                "UPDATE identifiers SET customer = ?2, first_of = nullif(first_of, ?2)
                 WHERE customer = ?1 AND kind = ?3 AND value = ?4",
                &[&first, &other, &identifier.kind.name(), &identifier.value],
            )?;
        }
        Ok(())
    }

    /// What is known of the two persons, as their histories say it: what was said last stands.
    pub(super) fn tell_people_again(
        &self,
        first: i64,
        other: i64,
        way: &Way,
        addresses: Addresses,
    ) -> Result<(), Trouble> {
        let sql = &self.writer.sql;
        people::rebuild(sql, first)?;
        people::rebuild(sql, other)?;
        let Addresses {
            first: of_first,
            other: of_other,
        } = addresses;
        if matches!(way, Way::Join) && !of_first.is_empty() && !of_other.is_empty() {
            people::set_addresses(sql, first, &join_addresses(of_first, of_other))?;
        }
        Ok(())
    }
}
