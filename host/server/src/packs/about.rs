//! `pack.toml`: what a pack is, and what it needs of a host.

use semver::{Version, VersionReq};
use serde::{Deserialize, Serialize};
use stampcard_runtime::manifest::toml_problem;

/// What a pack says of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct About {
    pub name: String,
    pub version: Version,
    /// One sentence for whoever chooses among packs.
    pub description: String,
    /// An SPDX expression, or `LicenseRef-…` for terms of one's own.
    pub license: String,
    /// Who made it, in their own words. Who signed it says the signature.
    pub author: Option<String>,
    /// Its plugins, in the order in which they are listed.
    pub plugins: Vec<String>,
    pub requires: Requires,
}

/// What a pack needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Requires {
    /// The version of the plugin contract, such as `0.1`.
    pub contract: String,
    /// The versions of Stampcard with which it works; any where it says nothing.
    pub stampcard: VersionReq,
    /// The oldest ledger with which it works: the format of the shop's database.
    pub ledger: i64,
}

/// The same as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    version: String,
    description: String,
    license: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    author: Option<String>,
    plugins: Vec<String>,
    #[serde(default)]
    requires: WrittenRequires,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenRequires {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    contract: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stampcard: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ledger: Option<i64>,
}

/// What is wrong with a `pack.toml`, or with the host for it.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum AboutError {
    #[error("{0}")]
    Toml(String),
    #[error(
        "name: `{0}` is no name for a pack; it has small letters, digits and `-`, begins with a letter, and has at most {NAME_LETTERS_MAX} of them"
    )]
    Name(String),
    #[error("version: `{0}` is not a version such as 1.0.0")]
    Version(String),
    #[error("{0} must not be empty")]
    Empty(&'static str),
    #[error("plugins names `{0}` twice")]
    Twice(String),
    #[error("plugins: {count} are too many; a pack has at most {PLUGINS_MAX}")]
    TooMany { count: usize },
    #[error("requires.stampcard: `{0}` is no range of versions such as \">=0.1\"")]
    Range(String),
    #[error("the pack needs stampcard {needs}, and this is {found}; update stampcard")]
    Stampcard { needs: VersionReq, found: Version },
    #[error(
        "the pack needs a ledger of format {needs} or later, and this stampcard writes {found}; update stampcard"
    )]
    Ledger { needs: i64, found: i64 },
}

/// It is part of addresses in registries and of file names.
const NAME_LETTERS_MAX: usize = 64;
/// Plugins of one pack. A shop with more rules than this has somebody who keeps several packs.
const PLUGINS_MAX: usize = 64;
/// The contract of packs that say nothing else.
const CONTRACT: &str = "0.1";

impl About {
    pub fn read(text: &str) -> Result<About, AboutError> {
        let written: Written =
            toml::from_str(text).map_err(|error| AboutError::Toml(toml_problem(&error)))?;
        let Written {
            name,
            version,
            description,
            license,
            author,
            plugins,
            requires,
        } = written;
        if !is_name(&name) {
            return Err(AboutError::Name(name));
        }
        let version = Version::parse(&version).map_err(|_| AboutError::Version(version))?;
        for (key, text) in [("description", &description), ("license", &license)] {
            if text.trim().is_empty() {
                return Err(AboutError::Empty(key));
            }
        }
        if plugins.is_empty() {
            return Err(AboutError::Empty("plugins"));
        }
        if plugins.len() > PLUGINS_MAX {
            return Err(AboutError::TooMany {
                count: plugins.len(),
            });
        }
        for (at, plugin) in plugins.iter().enumerate() {
            if plugins[..at].contains(plugin) {
                return Err(AboutError::Twice(plugin.clone()));
            }
        }
        let range = requires.stampcard.unwrap_or_else(|| "*".into());
        Ok(About {
            name,
            version,
            description,
            license,
            author,
            plugins,
            requires: Requires {
                contract: requires.contract.unwrap_or_else(|| CONTRACT.into()),
                stampcard: VersionReq::parse(&range).map_err(|_| AboutError::Range(range))?,
                ledger: requires.ledger.unwrap_or_default(),
            },
        })
    }

    /// As it is written into a pack.
    pub fn text(&self) -> String {
        let requires = &self.requires;
        let any = requires.stampcard == VersionReq::STAR;
        let written = Written {
            name: self.name.clone(),
            version: self.version.to_string(),
            description: self.description.clone(),
            license: self.license.clone(),
            author: self.author.clone(),
            plugins: self.plugins.clone(),
            requires: WrittenRequires {
                contract: Some(requires.contract.clone()),
                stampcard: (!any).then(|| requires.stampcard.to_string()),
                ledger: (requires.ledger > 0).then_some(requires.ledger),
            },
        };
        toml::to_string(&written).expect("it is plain data")
    }

    /// Whether this program and the ledgers that it writes are what the pack needs.
    pub fn fits(&self) -> Result<(), AboutError> {
        let found: Version = env!("CARGO_PKG_VERSION")
            .parse()
            .expect("cargo refuses other versions");
        let Requires {
            stampcard, ledger, ..
        } = &self.requires;
        if !stampcard.matches(&found) {
            return Err(AboutError::Stampcard {
                needs: stampcard.clone(),
                found,
            });
        }
        if *ledger > stampcard_store::FORMAT {
            return Err(AboutError::Ledger {
                needs: *ledger,
                found: stampcard_store::FORMAT,
            });
        }
        Ok(())
    }
}

/// A name of a pack, which is also one for a registry.
pub fn is_name(name: &str) -> bool {
    name.len() <= NAME_LETTERS_MAX
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.ends_with(|last: char| last != '-')
        && !name.contains("--")
        && name
            .chars()
            .all(|letter| matches!(letter, 'a'..='z' | '0'..='9' | '-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "name = 'coffee-house'\nversion = '1.0.0'\ndescription = 'Rules.'\nlicense = 'MIT'\nplugins = ['a', 'b']\n";

    #[test]
    fn what_is_written_into_a_pack_is_read_as_it_was() {
        let about = About::read(&format!(
            "{GOOD}author = 'Corner'\n[requires]\nstampcard = '>=0.1'\nledger = 3\n"
        ))
        .unwrap();
        assert_eq!(About::read(&about.text()).unwrap(), about);
        let plain = About::read(GOOD).unwrap();
        assert_eq!(About::read(&plain.text()).unwrap(), plain);
        assert!(!plain.text().contains("ledger"), "{}", plain.text());
    }

    #[test]
    fn what_is_wrong_with_a_pack_toml_is_told_by_its_key() {
        for (text, words) in [
            (
                GOOD.replace("coffee-house", "Coffee House"),
                "name: `Coffee House`",
            ),
            (GOOD.replace("1.0.0", "first"), "version: `first`"),
            (GOOD.replace("Rules.", " "), "description must not be empty"),
            (
                GOOD.replace("['a', 'b']", "[]"),
                "plugins must not be empty",
            ),
            (GOOD.replace("'b'", "'a'"), "plugins names `a` twice"),
            (format!("{GOOD}plugin = 1\n"), "unknown field `plugin`"),
            (
                format!("{GOOD}[requires]\nstampcard = 'new'\n"),
                "requires.stampcard: `new`",
            ),
        ] {
            let problem = About::read(&text).unwrap_err().to_string();
            assert!(problem.contains(words), "{problem}");
        }
    }

    #[test]
    fn a_pack_says_what_it_needs_and_is_refused_where_it_is_not_there() {
        let fits = |requires: &str| {
            About::read(&format!("{GOOD}[requires]\n{requires}\n"))
                .unwrap()
                .fits()
        };
        assert_eq!(fits("stampcard = '>=0.1'"), Ok(()));
        assert_eq!(
            fits(&format!("ledger = {}", stampcard_store::FORMAT)),
            Ok(())
        );
        let told = fits("stampcard = '>=99'").unwrap_err().to_string();
        assert!(told.contains("needs stampcard >=99"), "{told}");
        let told = fits("ledger = 999").unwrap_err().to_string();
        assert!(told.contains("ledger of format 999"), "{told}");
    }
}
