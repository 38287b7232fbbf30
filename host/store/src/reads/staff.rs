//! What staff wrote and set: notes with their history, and which tags there are.

use super::Reads;
use crate::error::Trouble;
use crate::people;
use crate::row::{self, instant};
use stampcard_pipeline::change::CustomerId;
use stampcard_pipeline::event::{Body, EventName, Instant};
use stampcard_pipeline::store::StoreError;
use std::collections::BTreeMap;

/// A note, as it was first written and each time it was written anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The event that wrote it, by which it is edited.
    pub name: EventName,
    /// In the order in which they happened; never empty.
    pub versions: Vec<NoteVersion>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteVersion {
    pub event: EventName,
    pub at: Instant,
    pub actor: Option<String>,
    pub location: Option<String>,
    pub internal: bool,
    /// `None` where it was withdrawn, or where the person was forgotten.
    pub text: Option<String>,
}

impl Reads {
    /// A customer's notes in the order in which they were first written: those of `note.added` and
    /// those that came with a profile. An edit that came before the note it edits stands for it.
    pub fn notes(&self, id: &CustomerId) -> Result<Vec<Note>, StoreError> {
        self.read(|sql| {
            let mut notes: Vec<Note> = Vec::new();
            let mut known: BTreeMap<(String, String), usize> = BTreeMap::new();
            sql.each::<Trouble>(
                "SELECT j.source, j.id, h.at, j.body, s.body
                 FROM history h JOIN journal j ON j.seq = h.journal LEFT JOIN said s ON s.journal = j.seq
                 WHERE h.customer = (SELECT id FROM customers WHERE public = ?1)
                 AND (j.kind IN ('note.added', 'note.edited') OR j.kind LIKE 'customer.%' OR j.kind = 'loyalty.enrolled')
                 ORDER BY h.at, h.source, h.id",
                &[&id.0],
                |row| {
                    let event = row::event(&row.get::<_, Vec<u8>>(3)?)?;
                    let said: Option<String> = row.get(4)?;
                    let text = people::personal(said.as_deref())?.note;
                    let own = EventName {
                        source: row.get(0)?,
                        id: row.get(1)?,
                    };
                    let (name, internal) = match &event.body {
                        Body::Note(note) => {
                            (note.edits.clone().unwrap_or_else(|| own.clone()), note.internal)
                        }
                        _ if text.is_some() => (own.clone(), true),
                        _ => return Ok(()),
                    };
                    let version = NoteVersion {
                        event: own,
                        at: instant(row, 2)?,
                        actor: event.staff,
                        location: event.location,
                        internal,
                        text,
                    };
                    let place = (name.source.clone(), name.id.clone());
                    let index = *known.entry(place).or_insert_with(|| {
                        let versions = Vec::new();
                        notes.push(Note { name, versions });
                        notes.len() - 1
                    });
                    notes[index].versions.push(version);
                    Ok(())
                },
            )?;
            Ok(notes)
        })
    }

    /// Every customer with tags, in the order in which they came.
    pub fn tagged(&self) -> Result<Vec<(CustomerId, Vec<String>)>, StoreError> {
        self.read(|sql| {
            let mut tagged: Vec<(CustomerId, Vec<String>)> = Vec::new();
            sql.each::<Trouble>(
                "SELECT c.public, t.tag FROM customer_tags t JOIN customers c ON c.id = t.customer ORDER BY c.id, t.tag",
                &[],
                |row| {
                    let customer: String = row.get(0)?;
                    match tagged.last_mut() {
                        Some((last, tags)) if last.0 == customer => tags.push(row.get(1)?),
                        _ => tagged.push((CustomerId(customer), vec![row.get(1)?])),
                    }
                    Ok(())
                },
            )?;
            Ok(tagged)
        })
    }

    /// Every tag that some customer has, and how many have it.
    pub fn tags(&self) -> Result<Vec<(String, u64)>, StoreError> {
        self.read(|sql| {
            Ok(sql.all(
                "SELECT tag, count(*) FROM customer_tags GROUP BY tag ORDER BY tag",
                &[],
                |row| Ok((row.get(0)?, row.get::<_, i64>(1)? as u64)),
            )?)
        })
    }
}
