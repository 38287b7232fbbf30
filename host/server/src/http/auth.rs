//! Who may do what.
//!
//! A caller shows a key; we know its hash and its role. Each route names the roles that may use it
//! (see [`super::routes`]), and there is no key that everybody has.

use super::problem::{Problem, forbidden, unauthorized};
use axum::http::{HeaderMap, header};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::str::FromStr;
use utoipa::ToSchema;

/// What a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// A till or a web store: sends events, finds customers, shows cards.
    Pos,
    /// People of the shop: the same, and edits profiles.
    Staff,
    /// Whoever runs the server: everything.
    Operator,
    /// Whoever writes the rules: plugins, their health and decisions, and nothing that is personal.
    Agency,
    /// Reports and dashboards: reads everything, changes nothing.
    Read,
}

impl Role {
    pub const ALL: [Role; 5] = [Role::Pos, Role::Staff, Role::Operator, Role::Agency, Role::Read];

    pub fn name(self) -> &'static str {
        match self {
            Role::Pos => "pos",
            Role::Staff => "staff",
            Role::Operator => "operator",
            Role::Agency => "agency",
            Role::Read => "read",
        }
    }
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a role; they are pos, staff, operator, agency and read")]
pub struct UnknownRole(String);

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Role, UnknownRole> {
        Role::ALL.into_iter().find(|role| role.name() == text).ok_or_else(|| UnknownRole(text.to_owned()))
    }
}

/// Sends events and asks what they would do.
pub const SENDS: &[Role] = &[Role::Pos, Role::Staff, Role::Operator];
/// Sees customers.
pub const SEES_CUSTOMERS: &[Role] = &[Role::Pos, Role::Staff, Role::Operator, Role::Read];
/// Edits profiles by hand.
pub const EDITS: &[Role] = &[Role::Staff, Role::Operator];
/// Sees decisions, which hold nothing that is personal.
pub const SEES_DECISIONS: &[Role] = &[Role::Pos, Role::Staff, Role::Operator, Role::Agency, Role::Read];
/// Sees how the rules are doing.
pub const SEES_RULES: &[Role] = &[Role::Operator, Role::Agency, Role::Read];
/// Sees what is to be sent to whom.
pub const SEES_OUTBOX: &[Role] = &[Role::Staff, Role::Operator, Role::Read];

/// What is kept of a key. Keys are long and random, so one round of hashing is enough, and looking
/// a hash up tells a caller nothing about how near a guess was.
pub fn hash(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}

/// The role of the key that a request shows.
pub fn role(headers: &HeaderMap, role_of: impl FnOnce(&[u8; 32]) -> Option<Role>) -> Result<Role, Problem> {
    let Some(given) = headers.get(header::AUTHORIZATION) else {
        return Err(unauthorized("no-key", "send the header `Authorization: Bearer KEY`; `stampcard key add` makes a key"));
    };
    let key = given.to_str().ok().and_then(|text| text.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let Some((_, key)) = key else {
        return Err(unauthorized("bad-authorization", "the header Authorization must read `Bearer KEY`"));
    };
    role_of(&hash(key.trim())).ok_or_else(|| {
        unauthorized("unknown-key", "this key is not known here, or it was revoked; `stampcard key list` shows those that work")
    })
}

pub fn allow(role: Role, may: &'static [Role]) -> Result<(), Problem> {
    if may.contains(&role) { Ok(()) } else { Err(forbidden(role, may)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(authorization: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::AUTHORIZATION, authorization.parse().unwrap())])
    }

    #[test]
    fn a_key_is_found_by_its_hash_and_nothing_else_is_a_key() {
        let role_of = |shown: &[u8; 32]| (*shown == hash("sck_1")).then_some(Role::Pos);
        assert_eq!(role(&with("Bearer sck_1"), role_of).unwrap(), Role::Pos);
        assert_eq!(role(&with("bearer  sck_1"), role_of).unwrap(), Role::Pos);
        for (headers, code) in [
            (HeaderMap::new(), "no-key"),
            (with("sck_1"), "bad-authorization"),
            (with("Basic sck_1"), "bad-authorization"),
            (with("Bearer sck_2"), "unknown-key"),
            (with("Bearer "), "unknown-key"),
        ] {
            assert_eq!(role(&headers, role_of).unwrap_err().code(), code, "{headers:?}");
        }
    }

    #[test]
    fn every_role_is_read_by_its_name() {
        for known in Role::ALL {
            assert_eq!(known.name().parse(), Ok(known));
        }
        assert_eq!("admin".parse::<Role>(), Err(UnknownRole("admin".into())));
    }
}
