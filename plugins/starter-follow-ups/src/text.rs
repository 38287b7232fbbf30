//! Texts with fields: `"Thanks, {first_name|friend}!"`. A text is written only if every field of
//! it is known or has something to stand in for it, so nobody ever reads a raw `{first_name}`.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// A text as it is configured: one string, several to choose the first that can be written, or a
/// table of these by language, with `default` for all others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// The first is for everybody whose language is not named.
    languages: Vec<(String, Vec<String>)>,
}

/// The key of the table for all languages that are not named.
const DEFAULT: &str = "default";

impl Text {
    /// The first alternative in the customer's language that can be written; in the default
    /// language, if the customer's has none.
    pub fn write(
        &self,
        language: Option<&str>,
        field: impl Fn(&str) -> Option<String>,
    ) -> Option<String> {
        let own = language
            .and_then(|language| self.speaking(language))
            .unwrap_or(&[]);
        let default = self.languages.first().map_or(&[][..], |(_, texts)| texts);
        own.iter()
            .chain(default)
            .find_map(|text| fill(text, &field))
    }

    /// The name of the field, if the text is nothing else.
    pub fn only_field(&self) -> Option<&str> {
        let [(_, texts)] = &self.languages[..] else {
            return None;
        };
        let [text] = &texts[..] else {
            return None;
        };
        let name = text.strip_prefix('{')?.strip_suffix('}')?;
        (!name.contains(['{', '}', '|'])).then_some(name)
    }

    /// Every field that it names, for checking.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        let texts = self.languages.iter().flat_map(|(_, texts)| texts);
        texts
            .flat_map(|text| Parts(text))
            .filter_map(|part| match part {
                Part::Field { name, .. } => Some(name),
                Part::Words(_) => None,
            })
    }

    /// True if it is in several languages and not in this one. The default is in the shop's own.
    pub fn lacks(&self, language: &str, shops: &str) -> bool {
        let main = |tag: &str| tag.split('-').next().unwrap_or(tag).to_ascii_lowercase();
        self.languages.len() > 1
            && main(language) != main(shops)
            && self.speaking(language).is_none()
    }

    /// The longest match wins: "fr-CA" before "fr".
    fn speaking(&self, language: &str) -> Option<&[String]> {
        let mut wanted = language;
        loop {
            let mut named = self.languages[1..].iter();
            if let Some((_, texts)) = named.find(|(name, _)| name.eq_ignore_ascii_case(wanted)) {
                return Some(texts);
            }
            wanted = &wanted[..wanted.rfind('-')?];
        }
    }
}

fn fill(text: &str, field: &impl Fn(&str) -> Option<String>) -> Option<String> {
    let mut written = String::with_capacity(text.len());
    for part in Parts(text) {
        match part {
            Part::Words(words) => written.push_str(words),
            Part::Field { name, fallback } => match (field(name), fallback) {
                (Some(value), _) => written.push_str(&value),
                (None, Some(fallback)) => written.push_str(fallback),
                (None, None) => return None,
            },
        }
    }
    Some(written)
}

#[derive(Debug, PartialEq, Eq)]
enum Part<'a> {
    Words(&'a str),
    Field {
        name: &'a str,
        fallback: Option<&'a str>,
    },
}

/// A brace that nothing closes is an ordinary character.
struct Parts<'a>(&'a str);

impl<'a> Iterator for Parts<'a> {
    type Item = Part<'a>;

    fn next(&mut self) -> Option<Part<'a>> {
        let text = self.0;
        let (part, rest) = match text.find('{') {
            Some(0) => match text.find('}') {
                Some(end) => {
                    let inner = &text[1..end];
                    let (name, fallback) = match inner.split_once('|') {
                        Some((name, fallback)) => (name, Some(fallback)),
                        None => (inner, None),
                    };
                    (Part::Field { name, fallback }, &text[end + 1..])
                }
                None => (Part::Words(text), ""),
            },
            Some(begin) => (Part::Words(&text[..begin]), &text[begin..]),
            None if text.is_empty() => return None,
            None => (Part::Words(text), ""),
        };
        self.0 = rest;
        Some(part)
    }
}

/// At most so many characters, the last an ellipsis if something was cut.
pub fn shortened(mut text: String, chars_max: usize) -> String {
    if let Some((end, _)) = text.char_indices().nth(chars_max) {
        let cut = text[..end]
            .char_indices()
            .next_back()
            .map_or(0, |(last, _)| last);
        text.truncate(cut);
        text.push('…');
    }
    text
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a list of texts, or a table of these by language")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Text, E> {
        Ok(Text {
            languages: vec![(DEFAULT.into(), vec![text.into()])],
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Text, A::Error> {
        let mut texts = Vec::new();
        while let Some(text) = items.next_element()? {
            texts.push(text);
        }
        Ok(Text {
            languages: vec![(DEFAULT.into(), texts)],
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Text, A::Error> {
        let mut by_language: BTreeMap<String, Text> = BTreeMap::new();
        while let Some((language, text)) = entries.next_entry()? {
            by_language.insert(language, text);
        }
        let Some(default) = by_language.remove(DEFAULT) else {
            return Err(A::Error::custom(
                "a text by language needs `default` for all others",
            ));
        };
        let mut languages = default.languages;
        for (language, text) in by_language {
            let texts = text
                .languages
                .into_iter()
                .next()
                .map_or_else(Vec::new, |(_, texts)| texts);
            languages.push((language, texts));
        }
        Ok(Text { languages })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stampcard_sdk::serde_json::{from_value, json};

    fn field(name: &str) -> Option<String> {
        (name == "first_name").then(|| "Ana".into())
    }

    #[test]
    fn no_raw_field_is_ever_written() {
        for (text, expected) in [
            (json!("Thanks, {first_name}!"), Some("Thanks, Ana!")),
            (json!("Thanks, {nickname}!"), None),
            (json!("Thanks, {nickname|friend}!"), Some("Thanks, friend!")),
            (json!("Thanks{nickname|}!"), Some("Thanks!")),
            (json!(["Thanks, {nickname}!", "Thanks!"]), Some("Thanks!")),
            (json!(["{a}", "{b}"]), None),
            (json!([]), None),
            (json!("10 % { off"), Some("10 % { off")),
            (json!("a } b"), Some("a } b")),
            (json!("{}"), None),
            (json!(""), Some("")),
            (json!("{first_name}{first_name}"), Some("AnaAna")),
        ] {
            let read: Text = from_value(text.clone()).unwrap();
            assert_eq!(read.write(None, field).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn the_customers_language_is_preferred_and_the_default_is_always_there() {
        let text: Text = from_value(json!({
            "default": ["Thanks, {nickname}", "Thanks"],
            "fr": "Merci, {first_name}",
            "fr-CA": "Merci bien",
            "de": "Danke, {nickname}"
        }))
        .unwrap();
        for (language, expected) in [
            (None, "Thanks"),
            (Some("en-US"), "Thanks"),
            (Some("fr"), "Merci, Ana"),
            (Some("fr-BE"), "Merci, Ana"),
            (Some("FR-ca"), "Merci bien"),
            (Some("de-DE"), "Thanks"),
            (Some("default"), "Thanks"),
        ] {
            assert_eq!(
                text.write(language, field).as_deref(),
                Some(expected),
                "{language:?}"
            );
        }
        assert!(from_value::<Text>(json!({ "fr": "Merci" })).is_err());
    }

    #[test]
    fn a_text_is_cut_at_whole_characters() {
        for (text, most, expected) in [
            ("Grüße", 5, "Grüße"),
            ("Grüße!", 5, "Grüß…"),
            ("", 5, ""),
            ("ab", 1, "…"),
        ] {
            assert_eq!(shortened(text.into(), most), expected);
        }
    }

    #[test]
    fn a_lone_field_keeps_its_type() {
        for (text, expected) in [
            ("{points}", Some("points")),
            ("{points} points", None),
            ("{points|0}", None),
            ("points", None),
            ("{a}{b}", None),
        ] {
            let read: Text = from_value(json!(text)).unwrap();
            assert_eq!(read.only_field(), expected, "{text}");
        }
    }
}
