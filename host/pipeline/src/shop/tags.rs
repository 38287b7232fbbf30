//! The registry of tags: `[[tags]]` of `merchant.toml` says what each tag means, who may set it,
//! how else it is written, and when it ends by itself.

use super::{ShopError, ShopFile};
use crate::catalogue::distance;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// One registered tag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TagRule {
    pub key: String,
    /// One sentence for whoever finds it on a customer.
    pub means: String,
    #[serde(default = "staff_only")]
    pub set_by: Vec<SetBy>,
    /// Other spellings, which become the key wherever they come in.
    #[serde(default)]
    pub synonyms: Vec<String>,
    /// A campaign's tag ends this many days of 24 hours after it was last set.
    #[serde(default)]
    pub expires_after_days: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SetBy {
    /// Segment rules that own the tag.
    Rules,
    /// A till or a web store, by its key.
    Pos,
    Staff,
}

impl SetBy {
    pub fn name(self) -> &'static str {
        match self {
            SetBy::Rules => "rules",
            SetBy::Pos => "pos",
            SetBy::Staff => "staff",
        }
    }
}

/// What happens to a tag that is not registered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TagPolicy {
    /// Staff and rules may set it all the same; tills may not.
    #[default]
    Open,
    /// Nobody may set it.
    Registered,
}

impl TagRule {
    pub fn may_be_set_by(&self, who: SetBy) -> bool {
        self.set_by.contains(&who)
    }
}

fn staff_only() -> Vec<SetBy> {
    vec![SetBy::Staff]
}

/// The registry, checked.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    tags: Vec<TagRule>,
    /// Keys and synonyms.
    words: HashMap<String, usize>,
}

impl Registry {
    pub(super) fn new(file: &ShopFile) -> Result<Registry, ShopError> {
        let mut registry = Registry::default();
        for (index, tag) in file.tags.iter().enumerate() {
            if tag.means.trim().is_empty() {
                return Err(ShopError::TagWithoutMeaning(tag.key.clone()));
            }
            for word in std::iter::once(&tag.key).chain(&tag.synonyms) {
                if word.is_empty() || word.trim() != word {
                    return Err(ShopError::TagSpelling(word.clone()));
                }
                if registry.words.insert(word.clone(), index).is_some() {
                    return Err(ShopError::TagTwice(word.clone()));
                }
            }
            registry.tags.push(tag.clone());
        }
        Ok(registry)
    }

    /// A tag by its key or by another spelling of it.
    pub fn find(&self, word: &str) -> Option<&TagRule> {
        self.words.get(word).map(|index| &self.tags[*index])
    }

    /// The key of a tag as somebody wrote it; what is not registered stays as it is.
    pub fn key_of<'a>(&'a self, word: &'a str) -> &'a str {
        self.find(word).map_or(word, |tag| &tag.key)
    }

    /// The registered tag that is most like this one.
    pub fn nearest(&self, word: &str) -> Option<&str> {
        let words = self.words.iter().map(|(known, index)| {
            let far = distance(&word.to_lowercase(), &known.to_lowercase());
            (far, self.tags[*index].key.as_str())
        });
        words.min().map(|(_, key)| key)
    }

    pub fn all(&self) -> &[TagRule] {
        &self.tags
    }
}
