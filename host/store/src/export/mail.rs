//! Letters: whom the shop may write to on paper, one line for each household. Two people at one address get
//! one letter, and so does one person who is there twice.

use super::line;
use crate::error::Trouble;
use crate::row;
use crate::sql::Sql;
use serde::Serialize;
use serde_json::Value;
use stampcard_pipeline::admit::{Address, household};
use stampcard_pipeline::follow_ups::may_be_written;
use stampcard_pipeline::rules::Purpose;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io::Write;

/// The channel of letters, and what a customer agrees to who gets them.
const POST: &str = "post";

/// One letter.
#[derive(Serialize)]
struct Letter {
    customer: String,
    name: Option<String>,
    /// In its parts, or in one line where nothing else is known.
    address: Value,
    /// Who lives there as well and gets no letter of their own.
    others: Vec<Housemate>,
}

#[derive(Serialize)]
struct Housemate {
    customer: String,
    name: Option<String>,
}

pub(super) fn export(sql: &Sql, out: &mut dyn Write) -> Result<(), Trouble> {
    // In the order in which customers came: whoever came first gets the letter.
    let mut letters: Vec<Letter> = Vec::new();
    let mut at: HashMap<String, usize> = HashMap::new();
    sql.each::<Trouble>(
        "SELECT c.public, c.head, p.value, o.value, g.value, f.value FROM people p JOIN customers c ON c.id = p.customer
         LEFT JOIN people o ON o.customer = c.id AND o.field = 'addresses'
         LEFT JOIN people g ON g.customer = c.id AND g.field = 'given_name'
         LEFT JOIN people f ON f.customer = c.id AND f.field = 'family_name'
         WHERE p.field = 'address' AND c.merged_into IS NULL ORDER BY c.created_at, c.public",
        &[],
        |row| {
            let customer: String = row.get(0)?;
            // A head of another version is built again with the customer's next event; until then nobody
            // knows what they agreed to.
            let head = row::fold(&row.get::<_, Vec<u8>>(1)?)?;
            if !head.is_some_and(|head| may_be_written(&head, POST, Purpose::Marketing)) {
                return Ok(());
            }
            let (whole, parts): (String, Option<String>) = (row.get(2)?, row.get(3)?);
            let parts: Vec<Address> = match parts {
                Some(parts) => serde_json::from_str(&parts)?,
                None => Vec::new(),
            };
            let first = parts.into_iter().find(|address| address.default);
            let (key, address) = match first {
                Some(first) => (first.household(), serde_json::to_value(&first)?),
                None => (household(&[&whole]), Value::String(whole)),
            };
            let names: [Option<String>; 2] = [row.get(4)?, row.get(5)?];
            let names: Vec<String> = names.into_iter().flatten().collect();
            let name = (!names.is_empty()).then(|| names.join(" "));
            match at.entry(key) {
                Entry::Occupied(known) => {
                    letters[*known.get()].others.push(Housemate { customer, name });
                }
                Entry::Vacant(new) => {
                    new.insert(letters.len());
                    letters.push(Letter {
                        customer,
                        name,
                        address,
                        others: Vec::new(),
                    });
                }
            }
            Ok(())
        },
    )?;
    letters.iter().try_for_each(|letter| line(out, letter))
}
