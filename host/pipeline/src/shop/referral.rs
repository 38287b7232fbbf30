//! How customers bring friends: `[referral]` of `merchant.toml`.

use super::ShopError;
use crate::limits;
use serde::{Deserialize, Serialize};

/// Where the link in `url` has the code.
const CODE: &str = "{code}";

/// A shop without one has no codes and takes no sign-up that names one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReferralPolicy {
    /// The link that a customer shares, with `{code}` in it.
    pub url: String,
    /// For how many friends a customer is given points within a day; there is no limit for what the
    /// friends are given.
    #[serde(default = "friends")]
    pub friends_per_day: u32,
}

fn friends() -> u32 {
    10
}

impl ReferralPolicy {
    /// The link for one code.
    pub fn link(&self, code: &str) -> String {
        self.url.replace(CODE, code)
    }

    pub(super) fn check(&self) -> Result<(), ShopError> {
        let wrong = |problem: String| Err(ShopError::Referral(problem));
        if !self.url.contains(CODE) {
            return wrong(format!(
                "url needs {CODE} where the code goes: \"https://shop.example/join?code={CODE}\""
            ));
        }
        let is_link = self.url.starts_with("https://") || self.url.starts_with("http://");
        if !is_link || self.url.contains(char::is_whitespace) {
            return wrong(format!("{:?} is not a link", self.url));
        }
        if self.url.len() > limits::TEXT_BYTES_MAX {
            return wrong(format!("url has at most {} bytes", limits::TEXT_BYTES_MAX));
        }
        if self.friends_per_day == 0 {
            return wrong(
                "friends_per_day must be at least 1; leave [referral] out to have none".into(),
            );
        }
        Ok(())
    }
}
