//! Which versions of the plugin contract this host speaks.
//!
//! The version is chosen once, when a component is loaded; a released version never changes, and
//! a new one is a new folder in `wit/` and a new case here.

use crate::component::contract_item;
use semver::Version;

/// A version of the contract between the host and a plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contract {
    /// `wit/v0.1`, with every patch of it.
    V0_1,
}

impl Contract {
    /// For people.
    pub const KNOWN: &'static str = "0.1";

    /// The contract to which an interface of that version belongs.
    pub fn of(version: &Version) -> Option<Contract> {
        (version.major == 0 && version.minor == 1 && version.pre.is_empty())
            .then_some(Contract::V0_1)
    }

    /// What whoever has a plugin of an unknown version can do.
    pub fn advice(found: &Version) -> &'static str {
        if *found > Version::new(0, 1, u64::MAX) {
            "update Stampcard, or ask the plugin's author for a build for this version"
        } else {
            "ask the plugin's author for a build with a current SDK"
        }
    }

    /// The name of an exported interface within this contract: `tier-rule` of
    /// `stampcard:plugin/tier-rule@0.1.3`.
    pub fn item(self, name: &str) -> Option<&str> {
        let (item, version) = contract_item(name)?;
        (Contract::of(&version) == Some(self)).then_some(item)
    }
}
