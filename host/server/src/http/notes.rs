//! Notes of staff about a customer, with what they said before.

use super::Door;
use super::ask::{Flag, Query};
use super::event_view::Named;
use super::problem::Problem;
use super::profile::record;
use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use stampcard_pipeline::change::CustomerId;
use stampcard_pipeline::outcome::Time;
use stampcard_store::reads::{Note as Kept, NoteVersion};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

#[derive(Debug, Serialize, ToSchema)]
pub struct Notes {
    /// The one that was written last comes first.
    pub notes: Vec<Note>,
}

/// A note as it stands.
#[derive(Debug, Serialize, ToSchema)]
pub struct Note {
    /// The event that wrote it; `note.edited` names it in `edits`.
    pub note: Named,
    /// Null where it was withdrawn, or where the customer was forgotten.
    pub text: Option<String>,
    /// For staff only.
    pub internal: bool,
    /// Who wrote it last, and when.
    pub by: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    pub at: Time,
    pub location: Option<String>,
    /// What it said before, newest first.
    pub before: Vec<NoteBefore>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct NoteBefore {
    pub event: Named,
    pub text: Option<String>,
    pub internal: bool,
    pub by: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    pub at: Time,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct NotesAsked {
    /// `0` leaves out what is for staff only: what a customer may be given who asks what is kept
    /// about them. Staff's own opinions stay in unless the law of the place says otherwise.
    #[param(value_type = Option<String>)]
    pub internal: Option<Flag>,
}

pub async fn notes(
    State(door): State<Arc<Door>>,
    Path(id): Path<String>,
    Query(asked): Query<NotesAsked>,
) -> Result<Json<Notes>, Problem> {
    let id = CustomerId(id);
    let with_internal = asked.internal.is_none_or(|flag| flag.0);
    let notes = door
        .read(move |reads| {
            record(reads, &id)?;
            let mut notes: Vec<Note> = reads.notes(&id)?.into_iter().filter_map(shown).collect();
            // A note that was ever internal is not given away with its history.
            notes.retain(|note| {
                with_internal || !note.internal && note.before.iter().all(|it| !it.internal)
            });
            notes.sort_by_key(|note| std::cmp::Reverse(note.at));
            Ok(Notes { notes })
        })
        .await?;
    Ok(Json(notes))
}

fn shown(note: Kept) -> Option<Note> {
    let mut versions = note.versions;
    let last = versions.pop()?;
    Some(Note {
        note: note.name.into(),
        text: last.text,
        internal: last.internal,
        by: last.actor,
        at: Time(last.at),
        location: last.location,
        before: versions.into_iter().rev().map(before).collect(),
    })
}

fn before(version: NoteVersion) -> NoteBefore {
    NoteBefore {
        event: version.event.into(),
        text: version.text,
        internal: version.internal,
        by: version.actor,
        at: Time(version.at),
    }
}
