//! The version of an event's data: which reading of the catalogue its sender wrote it for.
//!
//! A CloudEvent names it in `dataschema`. A till that never heard of versions leaves it out and means
//! the first one, so what was built before goes on as it is, beside what names a version.

use super::malformed;
use crate::catalogue::{DATA_VERSIONS, SCHEMAS};
use crate::refusal::{Refusal, invalid};
use serde_json::Value;

/// Takes the version out of an envelope, if it is one of ours: an event that names what it would
/// mean anyway is the same event. A schema of somebody else's says nothing about ours and stays.
pub(super) fn take(event: &mut Value) -> Result<Option<String>, Refusal> {
    let Some(envelope) = event.as_object_mut() else {
        return Ok(None);
    };
    match envelope.get("dataschema") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(schema)) if !schema.starts_with(SCHEMAS) => Ok(None),
        Some(Value::String(schema)) => {
            let schema = schema.clone();
            envelope.remove("dataschema");
            Ok(Some(schema))
        }
        Some(_) => malformed("/dataschema", "dataschema must be a string"),
    }
}

/// Whether we read events of this kind in the version that was named.
pub(super) fn check(schema: &str, kind: &str) -> Result<(), Refusal> {
    let named = schema
        .strip_prefix(SCHEMAS)
        .and_then(|it| it.rsplit_once('/'));
    let (of, version) = named.unwrap_or(("", ""));
    if !DATA_VERSIONS.contains(&version) {
        return invalid(
            "unknown-data-version",
            "/dataschema",
            format!(
                "{schema:?} names no version that this host reads; it reads {} of {kind}, as {SCHEMAS}{kind}/{}",
                DATA_VERSIONS.join(" and "),
                DATA_VERSIONS[0]
            ),
        );
    }
    if of != kind {
        return invalid(
            "data-of-another-kind",
            "/dataschema",
            format!("the data is said to be of {of:?}, and the event is a {kind}"),
        );
    }
    Ok(())
}
