//! What customers are shown of a tier: `[tier.KEY]` of `merchant.toml`. Which tier somebody holds is
//! decided by rules; what it is called, and what it is worth, is for the shop to say.

use super::{ShopError, ShopFile};
use crate::event::Channel;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// One tier as people see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TierCard {
    pub name: Words,
    /// Where the picture is that a storefront shows: an address, or a path of the storefront.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub badge: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub benefits: Vec<Benefit>,
}

/// Something that whoever holds a tier has, for as long as they hold it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Benefit {
    pub key: String,
    pub text: Words,
    /// Where it is to be had; everywhere, if nothing is said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<Channel>,
}

impl Benefit {
    pub fn is_for(&self, channel: Option<Channel>) -> bool {
        channel.is_none_or(|channel| self.channels.is_empty() || self.channels.contains(&channel))
    }
}

/// Words for customers: the same for all of them, or by language (BCP 47).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Words {
    One(String),
    ByLanguage(BTreeMap<String, String>),
}

impl Words {
    /// The words in the first of these languages that they are in, where `fr` speaks for `fr-CA`,
    /// and in which language that is. The last one of the list is the shop's, which is always there.
    pub fn spoken(&self, languages: &[&str]) -> (&str, String) {
        let shops = languages.last().copied().unwrap_or_default();
        let by_language = match self {
            Words::One(words) => return (words, shops.to_owned()),
            Words::ByLanguage(by_language) => by_language,
        };
        for language in languages {
            let mut wanted = *language;
            loop {
                let mut known = by_language.iter();
                if let Some((name, words)) = known.find(|(it, _)| it.eq_ignore_ascii_case(wanted)) {
                    return (words, name.clone());
                }
                match wanted.rfind('-') {
                    Some(end) => wanted = &wanted[..end],
                    None => break,
                }
            }
        }
        let any = by_language.iter().next();
        any.map_or(("", shops.to_owned()), |(name, words)| {
            (words, name.clone())
        })
    }

    pub(super) fn check(&self, shops: &str) -> Result<(), String> {
        match self {
            Words::One(words) if words.trim().is_empty() => Err("has no words".into()),
            Words::One(_) => Ok(()),
            Words::ByLanguage(by_language) => {
                if let Some((language, _)) = by_language.iter().find(|(_, it)| it.trim().is_empty())
                {
                    return Err(format!("has no words in {language:?}"));
                }
                let main = shops.split('-').next().unwrap_or(shops);
                let speaks =
                    |it: &String| it.eq_ignore_ascii_case(shops) || it.eq_ignore_ascii_case(main);
                match by_language.keys().any(speaks) {
                    true => Ok(()),
                    false => Err(format!("is not in {shops:?}, the shop's own language")),
                }
            }
        }
    }
}

/// What stands in the place of a tier of which nobody can be sure.
pub const UNKNOWN: &str = "unknown";

/// What is wrong with the cards of a shop, if anything.
pub(super) fn check(file: &ShopFile) -> Result<(), ShopError> {
    if file.tiers.iter().any(|tier| tier == UNKNOWN) {
        return Err(ShopError::TierCard {
            tier: UNKNOWN.into(),
            problem:
                "this is what a tier is called of which nobody can be sure; choose another name"
                    .into(),
        });
    }
    for (tier, card) in &file.tier {
        let wrong = |problem: String| {
            Err(ShopError::TierCard {
                tier: tier.clone(),
                problem,
            })
        };
        if !file.tiers.contains(tier) {
            return wrong("it is not among `tiers`".into());
        }
        if let Err(problem) = card.name.check(&file.language) {
            return wrong(format!("name {problem}"));
        }
        let is_address = |text: &str| {
            ["https://", "http://", "/"]
                .iter()
                .any(|it| text.starts_with(it))
                && !text.contains(char::is_whitespace)
        };
        if card
            .badge
            .as_deref()
            .is_some_and(|badge| !is_address(badge))
        {
            return wrong("badge is an address (https://…) or a path (/badges/gold.svg)".into());
        }
        let mut keys = BTreeSet::new();
        for benefit in &card.benefits {
            if benefit.key.trim().is_empty() || !keys.insert(&benefit.key) {
                return wrong(format!(
                    "each benefit needs a key of its own; {:?} is not one",
                    benefit.key
                ));
            }
            if let Err(problem) = benefit.text.check(&file.language) {
                return wrong(format!(
                    "the text of the benefit {:?} {problem}",
                    benefit.key
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(pairs: &[(&str, &str)]) -> Words {
        let owned = |(language, words): &(&str, &str)| (language.to_string(), words.to_string());
        Words::ByLanguage(pairs.iter().map(owned).collect())
    }

    #[test]
    fn words_are_in_the_customers_language_or_in_the_shops_and_say_in_which() {
        let gold = words(&[("en", "Gold"), ("fr", "Or"), ("pt-BR", "Ouro")]);
        for (languages, found) in [
            (&["fr", "en"][..], ("Or", "fr")),
            (&["fr-CA", "en"], ("Or", "fr")),
            (&["PT-br", "en"], ("Ouro", "pt-BR")),
            (&["pt", "en"], ("Gold", "en")),
            (&["ja", "en-GB"], ("Gold", "en")),
            (&["en"], ("Gold", "en")),
        ] {
            let (words, language) = gold.spoken(languages);
            assert_eq!((words, language.as_str()), found, "{languages:?}");
        }
        let one = Words::One("Gold".into());
        assert_eq!(one.spoken(&["fr", "en"]), ("Gold", "en".into()));
    }

    #[test]
    fn words_must_be_in_the_shops_own_language() {
        let gold = words(&[("en", "Gold"), ("fr", "Or")]);
        assert_eq!(gold.check("en-US"), Ok(()));
        assert!(gold.check("de").unwrap_err().contains("\"de\""));
        assert!(words(&[("en", " ")]).check("en").is_err());
        assert!(Words::One(String::new()).check("en").is_err());
    }
}
