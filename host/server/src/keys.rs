//! API keys: how one is made, what it may do, and how it is kept. A key is printed once; the store
//! has only its hash.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;

/// What the bearer of a key may do. The table of who may do what is in `http/auth.rs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum KeyRole {
    /// A till or a web store: sends events, reads what it shows.
    Pos,
    /// People in the shop: edit customers.
    Staff,
    /// Whoever runs the shop: everything.
    Operator,
    /// Whoever writes its rules: sees rules and how they do, and no customers.
    Agency,
    /// Reads, and changes nothing.
    Read,
}

impl KeyRole {
    pub const ALL: [KeyRole; 5] = [KeyRole::Pos, KeyRole::Staff, KeyRole::Operator, KeyRole::Agency, KeyRole::Read];

    pub fn name(self) -> &'static str {
        match self {
            KeyRole::Pos => "pos",
            KeyRole::Staff => "staff",
            KeyRole::Operator => "operator",
            KeyRole::Agency => "agency",
            KeyRole::Read => "read",
        }
    }

    pub fn of(name: &str) -> Option<KeyRole> {
        KeyRole::ALL.into_iter().find(|role| role.name() == name)
    }
}

impl fmt::Display for KeyRole {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Makes a key of 160 random bits, such as `sk_pos_7k3v…`: its role can be read, so that nobody
/// gives a till the operator's by mistake.
pub fn make(role: KeyRole) -> Result<String, getrandom::Error> {
    // Without letters that are taken for digits, since keys are typed into tills.
    const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let random: [u8; 32] = random()?;
    let letters: String = random.iter().map(|byte| ALPHABET[usize::from(byte % 32)] as char).collect();
    Ok(format!("sk_{role}_{letters}"))
}

/// What the store keeps. Keys are random and long, so that a plain hash gives nothing away.
pub fn hash(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}

/// Random bytes of the operating system.
pub fn random<const N: usize>() -> Result<[u8; N], getrandom::Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_tells_its_role_and_nothing_else() {
        let (one, other) = (make(KeyRole::Pos).unwrap(), make(KeyRole::Pos).unwrap());
        assert!(one.starts_with("sk_pos_"), "{one}");
        assert_eq!(one.len(), "sk_pos_".len() + 32);
        assert_ne!(one, other);
        assert_ne!(hash(&one), hash(&other));
    }

    #[test]
    fn roles_are_found_by_their_names() {
        for role in KeyRole::ALL {
            assert_eq!(KeyRole::of(role.name()), Some(role));
        }
        assert_eq!(KeyRole::of("root"), None);
    }
}
