//! The fields of a `NAME.toml`, taken one by one: each is what it must be, or the error says which
//! it is and what it should have been. What the fields mean is in `manifest.rs`.

use crate::limits::{Limits, MANIFEST_BYTES_MAX};
use crate::manifest::ManifestError;
use crate::nearest::nearest;
use stampcard_pipeline::rules::MessagesTo;
use std::collections::BTreeMap;
use toml::{Table, Value};

pub(crate) fn table(text: &str) -> Result<Table, ManifestError> {
    if text.len() > MANIFEST_BYTES_MAX {
        return Err(ManifestError::TooLarge { bytes: text.len() });
    }
    text.parse()
        .map_err(|error: toml::de::Error| ManifestError::NotToml(toml_problem(&error)))
}

pub(crate) fn check_keys(
    place: &str,
    table: &Table,
    known: &[&'static str],
) -> Result<(), ManifestError> {
    match table.keys().find(|key| !known.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => Err(ManifestError::UnknownKey {
            place: place.into(),
            key: key.clone(),
            nearest: nearest(key, known.iter().copied()),
        }),
    }
}

pub(crate) fn text_of(key: &str, value: &Value) -> Result<String, ManifestError> {
    let text = value.as_str().map(str::to_owned);
    text.ok_or_else(|| ManifestError::Type {
        key: key.into(),
        expected: "a text",
    })
}

/// A list of texts, without doubles; empty if it is not there.
pub(crate) fn list(file: &mut Table, key: &'static str) -> Result<Vec<String>, ManifestError> {
    let wrong = || ManifestError::Type {
        key: key.into(),
        expected: "a list of texts",
    };
    let values = match file.remove(key) {
        None => return Ok(Vec::new()),
        Some(Value::Array(values)) => values,
        Some(_) => return Err(wrong()),
    };
    let mut words = Vec::with_capacity(values.len());
    for value in values {
        let word = value.as_str().ok_or_else(wrong)?.to_owned();
        if words.contains(&word) {
            return Err(ManifestError::Twice { key, word });
        }
        words.push(word);
    }
    Ok(words)
}

/// A list of words of which only some are known.
pub(crate) fn words<W: Copy>(
    file: &mut Table,
    key: &'static str,
    known: impl IntoIterator<Item = W> + Clone,
    name: impl Fn(W) -> &'static str,
) -> Result<Vec<W>, ManifestError> {
    let mut found = Vec::new();
    for written in list(file, key)? {
        match known
            .clone()
            .into_iter()
            .find(|word| name(*word) == written)
        {
            Some(word) => found.push(word),
            None => {
                let known: Vec<_> = known.into_iter().map(name).collect();
                let nearest = nearest(&written, known.iter().copied());
                return Err(ManifestError::UnknownWord {
                    key,
                    written,
                    nearest,
                    known,
                });
            }
        }
    }
    Ok(found)
}

/// `[segments.vip] explain = "…"` and the like.
pub(crate) fn owned(
    file: &mut Table,
    kind: &'static str,
) -> Result<BTreeMap<String, String>, ManifestError> {
    let wrong = |key: String| ManifestError::Type {
        key,
        expected: "a table with `explain`",
    };
    let entries = match file.remove(kind) {
        None => return Ok(BTreeMap::new()),
        Some(Value::Table(entries)) => entries,
        Some(_) => return Err(wrong(kind.into())),
    };
    let mut owned = BTreeMap::new();
    for (key, entry) in entries {
        let place = format!("{kind}.{key}");
        let Value::Table(entry) = entry else {
            return Err(wrong(place));
        };
        check_keys(&format!("{place}."), &entry, &["explain"])?;
        let explain = entry.get("explain").ok_or_else(|| wrong(place.clone()))?;
        owned.insert(key, text_of(&format!("{place}.explain"), explain)?);
    }
    Ok(owned)
}

/// `messages_to = ["vip"]`, `"everybody"` or `"as-configured"`.
pub(crate) fn messages_to(file: &mut Table) -> Result<Option<MessagesTo>, ManifestError> {
    const KEY: &str = "messages_to";
    let said = match file.get(KEY).map(Value::as_str) {
        None => return Ok(None),
        Some(None) => return Ok(Some(MessagesTo::Segments(list(file, KEY)?))),
        Some(Some("everybody")) => MessagesTo::Everybody,
        Some(Some("as-configured")) => MessagesTo::AsConfigured,
        Some(Some(_)) => {
            return Err(ManifestError::Type {
                key: KEY.into(),
                expected: "a list of segments, \"everybody\" or \"as-configured\"",
            });
        }
    };
    file.remove(KEY);
    Ok(Some(said))
}

pub(crate) fn limits(file: &mut Table) -> Result<Limits, ManifestError> {
    let mut limits = Limits::default();
    let asked = match file.remove("limits") {
        None => return Ok(limits),
        Some(Value::Table(asked)) => asked,
        Some(_) => {
            return Err(ManifestError::Type {
                key: "limits".into(),
                expected: "a table",
            });
        }
    };
    for (name, value) in asked {
        let wrong = || ManifestError::Type {
            key: format!("limits.{name}"),
            expected: "a whole number",
        };
        limits.set(&name, value.as_integer().ok_or_else(wrong)?)?;
    }
    Ok(limits)
}

/// TOML as JSON. Dates become texts, because JSON has none.
pub(crate) fn json(path: &str, value: Value) -> Result<serde_json::Value, ManifestError> {
    const EXACT: i64 = stampcard_pipeline::limits::NUMBER_MAX;
    let number = |number: String| ManifestError::Number {
        path: path.into(),
        number,
    };
    Ok(match value {
        Value::String(text) => text.into(),
        Value::Integer(whole) if whole.unsigned_abs() <= EXACT as u64 => whole.into(),
        Value::Integer(whole) => return Err(number(whole.to_string())),
        Value::Float(float) => serde_json::Number::from_f64(float)
            .ok_or_else(|| number(float.to_string()))?
            .into(),
        Value::Boolean(choice) => choice.into(),
        Value::Datetime(date) => date.to_string().into(),
        Value::Array(values) => {
            let values = values
                .into_iter()
                .enumerate()
                .map(|(at, value)| json(&format!("{path}[{at}]"), value));
            values.collect::<Result<Vec<_>, _>>()?.into()
        }
        Value::Table(table) => {
            let entry = |(key, value)| Ok((json(&format!("{path}.{key}"), value)?, key));
            let entries = table
                .into_iter()
                .map(entry)
                .collect::<Result<Vec<_>, ManifestError>>()?;
            entries
                .into_iter()
                .map(|(value, key)| (key, value))
                .collect()
        }
    })
}

pub(crate) fn check_name(name: &str) -> Result<(), ManifestError> {
    let fits = name.len() <= 64
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name
            .chars()
            .all(|char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_'));
    if fits {
        Ok(())
    } else {
        Err(ManifestError::NotAName {
            written: name.into(),
        })
    }
}

pub(crate) fn is_file_name(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', '\0'])
}

pub(crate) fn is_kind(kind: &str) -> bool {
    let word = |word: &str| {
        !word.is_empty()
            && word
                .chars()
                .all(|char| matches!(char, 'a'..='z' | '0'..='9' | '_' | '-'))
    };
    kind == "*" || (kind.contains('.') && kind.split('.').all(word))
}

/// Letters of one line of a message about a file that people are shown.
const LINE_LETTERS_MAX: usize = 160;

/// What is wrong with a TOML file, in the words of its reader. It quotes the line that is wrong, and
/// a hostile line may be as long as the file.
pub fn toml_problem(error: &toml::de::Error) -> String {
    let text = error.to_string();
    let lines = text.trim_end().lines().map(|line| {
        let mut letters = line.chars();
        let mut shown: String = letters.by_ref().take(LINE_LETTERS_MAX).collect();
        if letters.next().is_some() {
            shown.push('…');
        }
        shown
    });
    lines.collect::<Vec<_>>().join("\n")
}
