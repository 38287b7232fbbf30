//! What a copy of the shop says of itself while it stands in for the server: `[edge]` of `merchant.toml`.

use super::{ShopError, Words};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EdgePolicy {
    /// Answers that are older than this, in seconds, say so to the customer.
    pub stale_after_seconds: u32,
    /// In these words, where `{as_of}` is when the copy was made.
    pub notice: Words,
}

impl Default for EdgePolicy {
    fn default() -> Self {
        EdgePolicy {
            stale_after_seconds: 60,
            notice: Words::One(
                "As of {as_of}. What was bought since then is not counted yet.".into(),
            ),
        }
    }
}

pub(super) fn check(policy: &EdgePolicy, language: &str) -> Result<(), ShopError> {
    let checked = policy.notice.check(language);
    checked.map_err(|problem| ShopError::Edge(format!("notice {problem}")))
}
