//! The personal room: names, addresses, identifiers and notes, and nothing else has any of them.

use crate::error::Trouble;
use crate::sql::Sql;
use serde::{Deserialize, Serialize};
use stampcard_pipeline::admit::Address;
use stampcard_pipeline::event::{Identifier, IdentifierKind, Personal};
use std::collections::{BTreeMap, BTreeSet};

/// What one event said about a person, as it is kept.
#[derive(Serialize, Deserialize, Default)]
struct Said {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    identifiers: Vec<Identifier>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    fields: BTreeMap<String, Option<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    as_written: Vec<(IdentifierKind, String)>,
}

/// The text to keep; `None` if the event said nothing about anybody.
pub(crate) fn said(personal: &Personal) -> Option<String> {
    if *personal == Personal::default() {
        return None;
    }
    let Personal {
        identifiers,
        fields,
        note,
        as_written,
    } = personal.clone();
    let said = Said {
        identifiers,
        fields,
        note,
        as_written,
    };
    Some(serde_json::to_string(&said).expect("our own types are JSON"))
}

pub(crate) fn personal(said: Option<&str>) -> Result<Personal, Trouble> {
    let Said {
        identifiers,
        fields,
        note,
        as_written,
    } = match said {
        Some(text) => serde_json::from_str(text)?,
        None => Said::default(),
    };
    Ok(Personal {
        identifiers,
        fields,
        note,
        as_written,
    })
}

/// The fields from which people are found by name.
const NAME_FIELDS: [&str; 2] = ["given_name", "family_name"];

/// Sets and clears fields of a profile.
pub(crate) fn edit(
    sql: &Sql,
    customer: i64,
    fields: &BTreeMap<String, Option<String>>,
) -> Result<(), Trouble> {
    for (field, value) in fields {
        match value {
            Some(value) => sql.run(
                "INSERT OR REPLACE INTO people (customer, field, value) VALUES (?1, ?2, ?3)",
                &[&customer, field, value],
            )?,
            None => sql.run(
                "DELETE FROM people WHERE customer = ?1 AND field = ?2",
                &[&customer, field],
            )?,
        };
    }
    if fields
        .keys()
        .any(|field| NAME_FIELDS.contains(&field.as_str()))
    {
        index_names(sql, customer)?;
    }
    Ok(())
}

/// Writes anew what is known of a person, from what the events of their history said, in its order.
pub(crate) fn rebuild(sql: &Sql, customer: i64) -> Result<(), Trouble> {
    sql.run("DELETE FROM people WHERE customer = ?1", &[&customer])?;
    let said = sql.all(
        "SELECT s.body FROM history h JOIN said s ON s.journal = h.journal WHERE h.customer = ?1
         ORDER BY h.at, h.source, h.id",
        &[&customer],
        |row| row.get::<_, String>(0),
    )?;
    let mut fields = BTreeMap::new();
    for said in said {
        fields.extend(personal(Some(&said))?.fields);
    }
    edit(sql, customer, &fields)?;
    index_names(sql, customer)
}

/// Deletes everything that is known of a person, of whoever was merged into them, and what their events
/// said about them. The file overwrites what is deleted.
pub(crate) fn erase(sql: &Sql, customer: i64) -> Result<(), Trouble> {
    for text in [
        "DELETE FROM said WHERE journal IN (SELECT journal FROM history WHERE customer = ?1)",
        "DELETE FROM said WHERE journal IN
             (SELECT seq FROM journal WHERE customer IN (SELECT id FROM customers WHERE id = ?1 OR merged_into = ?1))
         AND NOT EXISTS (SELECT 1 FROM history h WHERE h.journal = said.journal AND h.customer <> ?1)",
        "DELETE FROM people WHERE customer IN (SELECT id FROM customers WHERE id = ?1 OR merged_into = ?1)",
        "DELETE FROM names WHERE customer IN (SELECT id FROM customers WHERE id = ?1 OR merged_into = ?1)",
        "DELETE FROM identifiers WHERE customer IN (SELECT id FROM customers WHERE id = ?1 OR merged_into = ?1)",
    ] {
        sql.run(text, &[&customer])?;
    }
    Ok(())
}

/// The addresses of a person, in parts.
pub(crate) fn addresses(sql: &Sql, customer: i64) -> Result<Vec<Address>, Trouble> {
    let text = sql.first(
        "SELECT value FROM people WHERE customer = ?1 AND field = 'addresses'",
        &[&customer],
        |row| row.get::<_, String>(0),
    )?;
    Ok(text
        .map(|text| serde_json::from_str(&text))
        .transpose()?
        .unwrap_or_default())
}

/// Where the person lives, in one line.
pub(crate) fn address(sql: &Sql, customer: i64) -> Result<Option<String>, Trouble> {
    Ok(sql.first(
        "SELECT value FROM people WHERE customer = ?1 AND field = 'address'",
        &[&customer],
        |row| row.get(0),
    )?)
}

pub(crate) fn set_addresses(
    sql: &Sql,
    customer: i64,
    addresses: &[Address],
) -> Result<(), Trouble> {
    let first = addresses.iter().find(|address| address.default);
    let fields = [
        ("address".to_owned(), first.map(Address::in_one_line)),
        (
            "addresses".to_owned(),
            Some(serde_json::to_string(addresses)?),
        ),
    ];
    edit(sql, customer, &fields.into())
}

fn index_names(sql: &Sql, customer: i64) -> Result<(), Trouble> {
    sql.run("DELETE FROM names WHERE customer = ?1", &[&customer])?;
    let names = sql.all(
        "SELECT value FROM people WHERE customer = ?1 AND field IN ('given_name', 'family_name')",
        &[&customer],
        |row| row.get::<_, String>(0),
    )?;
    let words: BTreeSet<String> = names.iter().flat_map(|name| words(name)).collect();
    for word in words {
        sql.run(
            "INSERT INTO names (word, customer) VALUES (?1, ?2)",
            &[&word, &customer],
        )?;
    }
    Ok(())
}

/// The words of a name as they are searched: in lower case, without what stands between them.
pub(crate) fn words(name: &str) -> Vec<String> {
    name.split(|letter: char| !letter.is_alphanumeric() && letter != '\'')
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}
