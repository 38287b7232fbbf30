//! What customers do to bring friends, and what the shop does about their codes.

use super::acts::reason;
use super::data::short;
use super::said::acts;
use super::sender::Sender;
use crate::admit::data::Common;
use crate::event::{Body, SignUp};
use crate::referral::normal_code;
use crate::refusal::{Refusal, invalid};

acts! {
    CodeRevokedEvent {
        /// Why: somebody put it on a page of vouchers.
        reason: String,
    }
}

impl CodeRevokedEvent {
    pub fn check(mut self, common: &mut Common, by: &Sender) -> Result<Body, Refusal> {
        self.said().tell(common, by)?;
        Ok(Body::CodeRevoked(reason(self.reason)?))
    }
}

/// The code with which a friend joins. Only that event has one.
pub(super) fn signup(
    kind: &str,
    code: Option<String>,
    via: Option<String>,
) -> Result<Option<SignUp>, Refusal> {
    match (kind == "referral.signup", code) {
        (true, Some(text)) => {
            let Some(code) = normal_code(&text) else {
                return invalid(
                    "unknown-code",
                    "/data/code",
                    "a code has ten letters and figures, such as 7K3MQ-2PRXZ",
                );
            };
            let via = via.map(|via| short(via, "/data/via")).transpose()?;
            Ok(Some(SignUp {
                code,
                via,
                referrer: None,
            }))
        }
        (true, None) => invalid(
            "code-required",
            "/data/code",
            "who joins without a code is enrolled by loyalty.enrolled",
        ),
        (false, Some(_)) => invalid(
            "code-out-of-place",
            "/data/code",
            format!("{kind} takes no code; referral.signup does"),
        ),
        (false, None) if via.is_some() => invalid(
            "code-out-of-place",
            "/data/via",
            format!("{kind} was shared nowhere; referral.signup was"),
        ),
        (false, None) => Ok(None),
    }
}
