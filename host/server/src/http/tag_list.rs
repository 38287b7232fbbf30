//! Tags of many customers as a table: out for a spreadsheet, and in again. A row names a customer and
//! their tags, with `;` between them.

use super::Door;
use super::ask::{ContentType, body};
use super::auth::Caller;
use super::customers::Looked;
use super::limits;
use super::problem::{Problem, bad_request};
use super::tag_jobs::{BulkAction, BulkDone, TagsBulk, WhoIs, assign};
use crate::csv;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use stampcard_pipeline::change::CustomerId;
use stampcard_pipeline::rules::Rules;
use stampcard_pipeline::shop::{Shop, TagPolicy};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use utoipa::ToSchema;

/// `GET /v1/tags:export`
pub async fn export(State(door): State<Arc<Door>>) -> Result<Response, Problem> {
    let tagged = door.read(|reads| Ok(reads.tagged()?)).await?;
    let mut table = String::from("id,tags\n");
    for (customer, tags) in tagged {
        table.push_str(&csv::field(&customer.0));
        table.push(',');
        table.push_str(&csv::field(&join(&tags)));
        table.push('\n');
    }
    let kind = [(header::CONTENT_TYPE, "text/csv; charset=utf-8")];
    Ok((kind, table).into_response())
}

/// A table of customers and tags.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TagsImport {
    /// Names this job for ever, in the caller's own words.
    #[schema(example = "spring-2026")]
    pub key: String,
    pub mode: ImportMode,
    /// The table as text, at most 5,000 rows: a column `tags`, and one or more of `id`, `email`,
    /// `phone` and `card`, of which the first that is not empty names the customer. Other columns do
    /// not matter.
    #[schema(example = "id,tags\ncus_1,VIP;press\n")]
    pub csv: String,
    /// Who wants it; the name of the key, where it is not given.
    pub actor: Option<String>,
    pub reason: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ImportMode {
    /// The tags of the table are set.
    Add,
    /// They are cleared.
    Remove,
    /// The customers of the table have just these afterwards; tags of rules are left to the rules.
    Replace,
}

/// What came of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Imported {
    /// Rows of the table, without its head.
    pub rows: u64,
    /// Customers who were found.
    pub customers: u64,
    /// Tags that were set or cleared.
    pub changed: u64,
    /// Lines of the table that name nobody.
    pub unknown: Vec<u64>,
    /// One for each tag that was to be set, and for each that was to be cleared.
    pub jobs: Vec<BulkDone>,
}

/// `POST /v1/tags:import`
pub async fn import(
    State(door): State<Arc<Door>>,
    caller: Caller,
    headers: HeaderMap,
    given: Body,
) -> Result<Json<Imported>, Problem> {
    ContentType::read(&headers, &[ContentType::Json])?;
    let bytes = body(&headers, given, limits::BULK_BYTES_MAX).await?;
    let asked: TagsImport = serde_json::from_slice(&bytes).map_err(|error| {
        bad_request(
            "malformed",
            format!("this is no table of tags: {error}; nothing was done"),
        )
    })?;
    let live = door.merchant.live();
    let table = Table::read(&asked.csv, &live.shop)?;
    let rules: BTreeSet<String> = live
        .book
        .plugins()
        .iter()
        .flat_map(|plugin| plugin.tags.iter().map(|(tag, _)| tag.clone()))
        .collect();
    let mode = asked.mode;
    let wanted = door
        .read(move |reads| table.find(reads, mode, &rules))
        .await?;
    let mut imported = Imported {
        rows: wanted.rows,
        customers: wanted.customers,
        changed: 0,
        unknown: wanted.unknown,
        jobs: Vec::new(),
    };
    for ((action, tag), customers) in wanted.jobs {
        let job = TagsBulk {
            key: format!("{}:{}", asked.key, mark(action, &tag, &customers)),
            action,
            tag,
            customers: Some(customers.into_iter().map(who).collect()),
            query: None,
            actor: asked.actor.clone(),
            reason: asked.reason.clone(),
        };
        let done = assign(&door, &caller, &job).await?;
        imported.changed += done.changed;
        imported.jobs.push(done);
    }
    Ok(Json(imported))
}

/// The rows, as they name customers, with the line that each begins on.
struct Table {
    rows: Vec<(u64, Looked, BTreeSet<String>)>,
}

/// What has to be done, for whom.
struct Wanted {
    rows: u64,
    customers: u64,
    unknown: Vec<u64>,
    jobs: BTreeMap<(BulkAction, String), BTreeSet<String>>,
}

const NAMES: [&str; 4] = ["id", "email", "phone", "card"];

impl Table {
    fn read(text: &str, shop: &Shop) -> Result<Table, Problem> {
        let wrong = |detail: String| {
            let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bad-table", detail);
            problem.at("/csv")
        };
        let mut rows = csv::read(text)
            .map_err(|error| wrong(error.to_string()))?
            .into_iter();
        let (_, head) = rows.next().unwrap_or_default();
        let column = |name: &str| {
            head.iter()
                .position(|head| head.trim().eq_ignore_ascii_case(name))
        };
        let columns = NAMES.map(column);
        let (Some(tags), true) = (column("tags"), columns.iter().any(Option::is_some)) else {
            return Err(wrong(format!(
                "its first line must have a column tags, and one of {}",
                NAMES.join(", ")
            )));
        };
        if rows.len() > limits::BULK_CUSTOMERS_MAX {
            let detail = format!(
                "{} rows, and {} is the limit of one table; nothing was done",
                rows.len(),
                limits::BULK_CUSTOMERS_MAX
            );
            return Err(Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too-many-customers",
                detail,
            ));
        }
        let mut table = Table { rows: Vec::new() };
        for (line, row) in rows {
            let field = |column: usize| row.get(column).map_or("", |field| field.trim());
            let named = columns.map(|column| {
                let text = column.map(field)?;
                (!text.is_empty()).then(|| text.to_owned())
            });
            let looked = Looked::of(&first_of(named), shop).map_err(|problem| {
                wrong(format!(
                    "line {line}: {}; nothing was done",
                    problem.detail()
                ))
            })?;
            let tags: BTreeSet<String> = split(field(tags))
                .iter()
                .map(|tag| shop.tags.key_of(tag).to_owned())
                .collect();
            let is_known = |tag: &&String| shop.tags.find(tag).is_some();
            if shop.file.policies.tags == TagPolicy::Registered
                && let Some(unknown) = tags.iter().find(|tag| !is_known(tag))
            {
                return Err(wrong(format!(
                    "line {line}: the tag {unknown:?} is not registered under [[tags]]; nothing was done"
                )));
            }
            table.rows.push((line as u64, looked, tags));
        }
        Ok(table)
    }

    fn find(
        self,
        reads: &stampcard_store::Reads,
        mode: ImportMode,
        rules: &BTreeSet<String>,
    ) -> Result<Wanted, Problem> {
        let mut unknown = Vec::new();
        let mut wanted: BTreeMap<CustomerId, BTreeSet<String>> = BTreeMap::new();
        let rows = self.rows.len() as u64;
        for (line, looked, tags) in self.rows {
            match looked.find(reads)? {
                Some(id) => wanted.entry(id).or_default().extend(tags),
                None => unknown.push(line),
            }
        }
        let customers = wanted.len() as u64;
        let mut jobs: BTreeMap<(BulkAction, String), BTreeSet<String>> = BTreeMap::new();
        let mut plan = |action, tag: String, id: &CustomerId| {
            jobs.entry((action, tag)).or_default().insert(id.0.clone());
        };
        for (id, tags) in wanted {
            if mode == ImportMode::Replace {
                let has = reads
                    .customer(&id)?
                    .map_or(BTreeSet::new(), |it| it.head.tags);
                let gone = has
                    .iter()
                    .filter(|tag| !tags.contains(*tag) && !rules.contains(*tag));
                for tag in gone {
                    plan(BulkAction::Remove, tag.clone(), &id);
                }
                for tag in tags.into_iter().filter(|tag| !has.contains(tag)) {
                    plan(BulkAction::Add, tag, &id);
                }
                continue;
            }
            let action = match mode {
                ImportMode::Remove => BulkAction::Remove,
                _ => BulkAction::Add,
            };
            for tag in tags {
                plan(action, tag, &id);
            }
        }
        Ok(Wanted {
            rows,
            customers,
            unknown,
            jobs,
        })
    }
}

fn who(id: String) -> WhoIs {
    WhoIs {
        id: Some(id),
        email: None,
        phone: None,
        card: None,
    }
}

/// A spreadsheet has all that it knows of somebody; one of it names them.
fn first_of([id, email, phone, card]: [Option<String>; 4]) -> WhoIs {
    let (has_id, has_email) = (id.is_some(), email.is_some());
    let has_phone = phone.is_some();
    WhoIs {
        email: email.filter(|_| !has_id),
        phone: phone.filter(|_| !has_id && !has_email),
        card: card.filter(|_| !has_id && !has_email && !has_phone),
        id,
    }
}

/// Names a part of a job by what it does: the same table sent again has the same parts.
fn mark(action: BulkAction, tag: &str, customers: &BTreeSet<String>) -> String {
    let text = serde_json::to_vec(&(action, tag, customers)).expect("it is plain data");
    let hash = Sha256::digest(text);
    hash.iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Tags in one field. A semicolon within a tag is written `\;`, and a backslash `\\`.
fn join(tags: &[String]) -> String {
    let written = tags
        .iter()
        .map(|tag| tag.replace('\\', "\\\\").replace(';', "\\;"));
    written.collect::<Vec<_>>().join(";")
}

fn split(text: &str) -> Vec<String> {
    let (mut tags, mut tag) = (Vec::new(), String::new());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => tag.extend(letters.next()),
            ';' => tags.push(std::mem::take(&mut tag)),
            letter => tag.push(letter),
        }
    }
    tags.push(tag);
    let trimmed = tags.iter().map(|tag| tag.trim().to_owned());
    trimmed.filter(|tag| !tag.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_in_one_field_are_the_same_tags_again() {
        let tags = ["VIP", "a;b", "back\\slash", "trailing\\"].map(str::to_owned);
        assert_eq!(split(&join(&tags)), tags);
        assert_eq!(split(" VIP ;; press "), ["VIP", "press"]);
        assert_eq!(split(""), [""; 0]);
    }

    #[test]
    fn the_first_name_that_a_row_has_is_whom_it_is_about() {
        let named = |names: [&str; 4]| {
            let names = names.map(|name| (!name.is_empty()).then(|| name.to_owned()));
            let who = first_of(names);
            [who.id, who.email, who.phone, who.card]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
        };
        assert_eq!(named(["cus_1", "a@b.c", "1", "L"]), ["cus_1"]);
        assert_eq!(named(["", "a@b.c", "1", "L"]), ["a@b.c"]);
        assert_eq!(named(["", "", "1", "L"]), ["1"]);
        assert_eq!(named(["", "", "", "L"]), ["L"]);
        assert_eq!(named([""; 4]), [""; 0]);
    }
}
