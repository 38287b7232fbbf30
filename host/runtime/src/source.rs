//! A rule as its author wrote it, which stands in a shop's folder in the place of a component.
//!
//! What is built of it is not the same twice, so it is known by its own digest. Its manifest may stand in
//! the source itself; then the component carries it in a section that its builder appends.

use crate::component::custom_section;
use crate::digest::Digest;
use crate::manifest::{ManifestError, PluginFile, author_alone};
use crate::manifest_toml::table;

/// The section of a component that has its author's manifest, as TOML.
const SECTION: &str = "stampcard-manifest";
/// Digits of a source's digest that tell its versions apart where it names none.
const VERSION_DIGITS: usize = 8;

/// The source of a plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleSource {
    /// The name of its file, such as `extra-coffee.js`.
    pub file: String,
    pub text: Vec<u8>,
    /// The text of `NAME.toml` as it was found; empty where there is none.
    pub beside: String,
    /// Why there is no component of it, in a sentence that names the file.
    pub problem: Option<String>,
}

impl RuleSource {
    /// `sha256:…` of the text.
    pub fn digest(&self) -> String {
        Digest::of(&self.text).to_string()
    }

    /// The roles that `NAME.toml` names; empty where the source says its manifest itself.
    pub fn roles(&self) -> Vec<String> {
        let beside = table(&self.beside).unwrap_or_default();
        let roles = beside.get("roles").and_then(toml::Value::as_array);
        let roles = roles.into_iter().flatten().filter_map(toml::Value::as_str);
        roles.map(str::to_owned).collect()
    }

    /// What `NAME.toml` would say if all of the manifest stood there: what is beside the source goes
    /// above what the component carries of it, key by key.
    pub fn manifest(&self, name: &str, component: &[u8]) -> Result<String, ManifestError> {
        let beside = table(&self.beside)?;
        if beside.contains_key("pack") {
            return Err(ManifestError::PackAndSource {
                file: self.file.clone(),
            });
        }
        let whole = match carried_manifest(component) {
            None => self.beside.clone(),
            Some(carried) => {
                let mut whole = author_alone(&carried)?;
                let named = |it: &str| toml::Value::String(it.into());
                whole.entry("name").or_insert_with(|| named(name));
                whole.entry("version").or_insert_with(|| {
                    let digits = &Digest::of(&self.text).hex()[..VERSION_DIGITS];
                    named(&format!("0.0.0+{digits}"))
                });
                whole.extend(beside);
                whole.to_string()
            }
        };
        PluginFile::read(name, &whole, &[])?
            .manifest
            .check_target()?;
        Ok(whole)
    }

    /// What tells whether the folder still has the same.
    pub(crate) fn made_of(&self, name: &str, schema: Option<&str>) -> Digest {
        Digest::of_parts([
            name.as_bytes(),
            self.beside.as_bytes(),
            self.file.as_bytes(),
            &self.text,
            schema.unwrap_or_default().as_bytes(),
            self.problem.as_deref().unwrap_or_default().as_bytes(),
        ])
    }
}

/// The manifest that a component carries, if its author wrote it into the source.
pub fn carried_manifest(component: &[u8]) -> Option<String> {
    String::from_utf8(custom_section(component, SECTION)?.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A component of nothing, with a section.
    fn component(carried: &str) -> Vec<u8> {
        let mut bytes = wat::parse_str("(component)").unwrap();
        let mut section = vec![SECTION.len() as u8];
        section.extend(SECTION.bytes().chain(carried.bytes()));
        bytes.push(0);
        bytes.extend([
            section.len() as u8 & 0x7f | 0x80,
            (section.len() >> 7) as u8,
        ]);
        bytes.extend(section);
        bytes
    }

    fn source(beside: &str) -> RuleSource {
        RuleSource {
            file: "extra.js".into(),
            text: b"export default {}".to_vec(),
            beside: beside.into(),
            problem: None,
        }
    }

    const CARRIED: &str = "roles = ['point-formula']\nevents = ['sale.completed']\nfacts = ['category']\n\
         [configuration]\ntype = 'object'\n# so that the section is long enough for two bytes of length\n";

    #[test]
    fn what_stands_beside_a_source_goes_above_what_it_says_of_itself() {
        let read = |beside: &str| {
            let text = source(beside)
                .manifest("extra", &component(CARRIED))
                .unwrap();
            PluginFile::read("extra", &text, &[]).unwrap()
        };
        let alone = read("");
        assert_eq!(alone.manifest.events, ["sale.completed"]);
        let version = alone.manifest.version.to_string();
        assert!(
            version.starts_with("0.0.0+") && version.len() == 14,
            "{version}"
        );
        let beside = read("version = '2.1.0'\nevents = ['*']\n[config]\npoints = 5\n");
        assert_eq!(beside.manifest.version.to_string(), "2.1.0");
        assert_eq!(beside.manifest.events, ["*"]);
        assert_eq!(beside.manifest.facts, ["category"]);
        assert_eq!(beside.config["points"], 5);
    }

    #[test]
    fn a_source_says_nothing_that_is_the_operators() {
        let problem = |carried: &str, beside: &str| {
            let told = source(beside).manifest("extra", &component(carried));
            told.unwrap_err().to_string()
        };
        let granted = format!("grant = ['name'] # {}\n{CARRIED}", "-".repeat(40));
        assert!(problem(&granted, "").contains("`grant` is not a key"));
        let file = CARRIED.replace(
            "[configuration]\ntype = 'object'",
            "configuration = 'a.json'",
        );
        assert!(problem(&file, "").contains("`configuration` must be"));
        assert!(problem(CARRIED, "pack = 'starter-points'").contains("extra.js"));
        assert!(problem(CARRIED, "name = 'other'").contains("other"));
        let follow_up = CARRIED.replace("point-formula", "follow-up-trigger");
        assert!(problem(&follow_up, "").contains("messages_to"));
    }

    #[test]
    fn the_roles_stand_in_the_toml_or_in_the_source() {
        assert!(source("").roles().is_empty());
        assert!(source("not = = toml").roles().is_empty());
        assert_eq!(source("roles = ['tier-rule']").roles(), ["tier-rule"]);
    }
}
