//! What a plugin remembers about a customer, as JSON: small for the few numbers that a rule keeps,
//! readable for whoever runs the shop, and it takes a new field with `#[serde(default)]` without
//! a new `state_version`.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Result;
use crate::types::{Input, OriginalSale, Refusal};

/// The most that a plugin may remember about one customer, in bytes. The host refuses more.
pub const STATE_MAX_BYTES: usize = 4 * 1024;

/// The most that a plugin may keep with one sale, in bytes. The host refuses more.
pub const KEPT_MAX_BYTES: usize = 256;

impl Input {
    /// What this plugin remembered about this customer, or the default if it is the first time.
    #[track_caller]
    pub fn remembered<T: DeserializeOwned + Default>(&self) -> Result<T> {
        Ok(self.recall()?.unwrap_or_default())
    }

    /// What this plugin remembered about this customer, if anything.
    #[track_caller]
    pub fn recall<T: DeserializeOwned>(&self) -> Result<Option<T>> {
        decode(self.state.as_deref(), "what was remembered")
    }
}

impl OriginalSale {
    /// What this plugin kept with the sale, if anything.
    #[track_caller]
    pub fn recall<T: DeserializeOwned>(&self) -> Result<Option<T>> {
        decode(self.kept.as_deref(), "what was kept with the sale")
    }
}

#[track_caller]
fn decode<T: DeserializeOwned>(bytes: Option<&[u8]>, what: &str) -> Result<Option<T>> {
    let Some(bytes) = bytes else {
        return Ok(None);
    };
    match serde_json::from_slice(bytes) {
        Ok(state) => Ok(Some(state)),
        Err(error) => Err(Refusal::fault(format!("{what}: {error}"))),
    }
}

#[track_caller]
pub(crate) fn encode<T: Serialize>(state: &T, max_bytes: usize) -> Result<Vec<u8>> {
    let bytes = serde_json::to_vec(state)?;
    match bytes.len() <= max_bytes {
        true => Ok(bytes),
        false => Err(Refusal::fault(format!(
            "{} bytes to remember; at most {max_bytes} are kept",
            bytes.len()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Answer;
    use crate::types::{Memory, PointAnswer};

    #[test]
    fn what_is_remembered_comes_back() {
        let answer = PointAnswer::nothing().remember(&vec![3u32, 4]).unwrap();
        let Memory::Replace(bytes) = answer.after.memory else {
            panic!("it was to be remembered");
        };
        let input = Input {
            state: Some(bytes),
            ..Input::default()
        };
        assert_eq!(input.remembered::<Vec<u32>>(), Ok(vec![3, 4]));
        assert_eq!(Input::default().remembered::<Vec<u32>>(), Ok(vec![]));

        let answer = PointAnswer::nothing().keep_with_event(&7).unwrap();
        let original = OriginalSale {
            kept: answer.after.keep_with_event,
            ..OriginalSale::default()
        };
        assert_eq!(original.recall::<u32>(), Ok(Some(7)));
    }

    #[test]
    fn more_than_the_host_keeps_and_what_nobody_can_read_are_faults() {
        let too_much = PointAnswer::nothing().remember(&"x".repeat(STATE_MAX_BYTES));
        assert!(matches!(too_much, Err(Refusal::Fault(_))));
        let too_much = PointAnswer::nothing().keep_with_event(&"x".repeat(KEPT_MAX_BYTES));
        assert!(matches!(too_much, Err(Refusal::Fault(_))));
        let enough = PointAnswer::nothing().remember(&"x".repeat(STATE_MAX_BYTES - 2));
        assert!(enough.is_ok());
        let input = Input {
            state: Some(b"[1,".to_vec()),
            ..Input::default()
        };
        assert!(matches!(input.recall::<Vec<u32>>(), Err(Refusal::Fault(_))));
    }
}
