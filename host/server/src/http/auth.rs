//! Who may do what.
//!
//! A caller shows a key; we know its hash and its role. Each route names the roles that may use it
//! (see [`super::routes`]), and there is no key that everybody has.

use super::problem::{Problem, forbidden, unauthorized};
use Role::{Agency, Operator, Pos, Read, Staff};
use axum::http::{HeaderMap, header};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use stampcard_pipeline::admit::{Sender, SenderKind};
use std::str::FromStr;
use std::sync::Arc;

/// What a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// A till or a web store: sends events, finds and makes customers, shows cards.
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
    pub const ALL: [Role; 5] = [Pos, Staff, Operator, Agency, Read];

    pub fn name(self) -> &'static str {
        match self {
            Pos => "pos",
            Staff => "staff",
            Operator => "operator",
            Agency => "agency",
            Read => "read",
        }
    }
}

/// The hash of a key, which is all that is known of it.
pub type KeyHash = [u8; 32];

/// Who asks, on every route behind a key: the key's role, and what people call it.
#[derive(Clone, Debug)]
pub struct Caller {
    pub key: KeyHash,
    pub role: Role,
    pub name: Arc<str>,
}

impl Caller {
    /// As the line knows it.
    pub fn sender(&self) -> Sender {
        let kind = match self.role {
            Operator => SenderKind::Operator,
            Staff => SenderKind::Staff,
            // The others send nothing; what they cannot do, a till cannot do either.
            Pos | Agency | Read => SenderKind::Pos,
        };
        let name = Arc::clone(&self.name);
        Sender { kind, name }
    }
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a role; they are pos, staff, operator, agency and read")]
pub struct UnknownRole(String);

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Role, UnknownRole> {
        Role::ALL
            .into_iter()
            .find(|role| role.name() == text)
            .ok_or_else(|| UnknownRole(text.to_owned()))
    }
}

/// What is kept of a key. Keys are long and random, so one round of hashing is enough.
pub fn hash(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}

/// Sends events and asks what they would do.
pub const SENDS: &[Role] = &[Pos, Staff, Operator];
/// Sees customers.
pub const APPROVES: &[Role] = &[Staff, Operator];
pub const SEES_CUSTOMERS: &[Role] = &[Pos, Staff, Operator, Read];
/// Makes customers by hand.
pub const MAKES_CUSTOMERS: &[Role] = &[Pos, Staff, Operator];
/// Edits profiles by hand.
pub const EDITS: &[Role] = &[Pos, Staff, Operator];
/// Forgets a person who wants it.
pub const FORGETS: &[Role] = &[Staff, Operator];
/// Says which profiles are one person.
pub const MERGES: &[Role] = &[Staff, Operator];
/// Sees which profiles may be one person.
pub const SEES_SUGGESTIONS: &[Role] = &[Staff, Operator, Read];
/// The fields of a profile that a till may edit: what people say at a counter. What somebody holds,
/// agreed to or is tagged with has its own events.
pub const POS_EDITS: [&str; 5] = ["given_name", "family_name", "email", "phone", "note"];
/// What a till says of an edit beside the fields: who made it, and where.
pub const POS_SAYS: [&str; 4] = ["staff", "location", "device", "channel"];
/// Sees decisions and segments, which hold nothing that is personal.
pub const SEES_DECISIONS: &[Role] = &[Pos, Staff, Operator, Agency, Read];
/// Sees how the rules are doing.
pub const SEES_RULES: &[Role] = &[Operator, Agency, Read];
/// Says which rules are live.
pub const ORDERS_RULES: &[Role] = &[Operator];
/// Sees what is to be sent to whom.
pub const SEES_OUTBOX: &[Role] = &[Staff, Operator, Read];
/// Says that something is to be sent again, or not at all.
pub const RUNS_OUTBOX: &[Role] = &[Staff, Operator];
/// Looks at what waits for a person, and says what they found.
pub const LOOKS_AT_ITEMS: &[Role] = &[Staff, Operator];

/// The hash of the key that a request shows. Looking a hash up tells a caller nothing about how
/// near a guess was.
pub fn shown(headers: &HeaderMap) -> Result<KeyHash, Problem> {
    let Some(given) = headers.get(header::AUTHORIZATION) else {
        return Err(unauthorized(
            "no-key",
            "send the header `Authorization: Bearer KEY`; `stampcard key add` makes a key",
        ));
    };
    let parts = given.to_str().ok().and_then(|text| text.split_once(' '));
    match parts.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")) {
        Some((_, key)) => Ok(hash(key.trim())),
        None => Err(unauthorized(
            "bad-authorization",
            "the header Authorization must read `Bearer KEY`",
        )),
    }
}

pub fn unknown_key() -> Problem {
    unauthorized(
        "unknown-key",
        "this key is not known here, or it was revoked; `stampcard key list` shows those that work",
    )
}

pub fn allow(role: Role, may: &[Role]) -> Result<(), Problem> {
    if may.contains(&role) {
        Ok(())
    } else {
        Err(forbidden(role, may))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(authorization: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::AUTHORIZATION, authorization.parse().unwrap())])
    }

    #[test]
    fn every_role_is_read_by_its_name() {
        for known in Role::ALL {
            assert_eq!(known.name().parse(), Ok(known));
        }
        assert_eq!("admin".parse::<Role>(), Err(UnknownRole("admin".into())));
    }

    #[test]
    fn a_key_is_shown_as_a_bearer_and_in_no_other_way() {
        for shown_as in ["Bearer sk_1", "bearer  sk_1 ", "BEARER sk_1"] {
            assert_eq!(shown(&with(shown_as)).unwrap(), hash("sk_1"), "{shown_as}");
        }
        for (headers, code) in [
            (HeaderMap::new(), "no-key"),
            (with("sk_1"), "bad-authorization"),
            (with("Basic sk_1"), "bad-authorization"),
        ] {
            assert_eq!(shown(&headers).unwrap_err().code(), code, "{headers:?}");
        }
    }
}
