//! What every act of staff says beside what it does: about whom, where, through which channel, and who
//! did it.

use super::data::{Common, CustomerData, attributes, short};
use super::malformed;
use super::sender::Sender;
use crate::event::Channel;
use crate::refusal::Refusal;
use std::collections::BTreeMap;

/// The data of acts: their own fields, and those that every act has. A refusal of an unknown field
/// names both, which is why they are one struct.
macro_rules! acts {
    ($($name:ident { $($(#[$attribute:meta])* $field:ident: $type:ty,)* })*) => { $(
        #[derive(serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(super) struct $name {
            customer: crate::admit::data::CustomerData,
            channel: Option<crate::event::Channel>,
            location: Option<String>,
            device: Option<String>,
            /// Who did it.
            actor: Option<String>,
            #[serde(default)]
            attributes: std::collections::BTreeMap<String, String>,
            $($(#[$attribute])* $field: $type,)*
        }

        impl $name {
            fn said(&mut self) -> crate::admit::said::Said {
                crate::admit::said::Said {
                    customer: std::mem::take(&mut self.customer),
                    channel: self.channel,
                    location: self.location.take(),
                    device: self.device.take(),
                    actor: self.actor.take(),
                    attributes: std::mem::take(&mut self.attributes),
                }
            }
        }
    )* };
}
pub(super) use acts;

/// What an act says beside what it does.
pub(super) struct Said {
    pub customer: CustomerData,
    pub channel: Option<Channel>,
    pub location: Option<String>,
    pub device: Option<String>,
    pub actor: Option<String>,
    pub attributes: BTreeMap<String, String>,
}

impl Said {
    /// Puts it where everybody looks for it.
    pub fn tell(self, common: &mut Common, by: &Sender) -> Result<(), Refusal> {
        common.customer = Some(self.customer);
        common.tell_where(self.channel, self.location, self.device, None)?;
        common.attributes = attributes(self.attributes)?;
        common.staff = Some(actor(self.actor, by)?);
        Ok(())
    }
}

/// Who did it: whom the event names, or the key that sent it.
pub(super) fn actor(given: Option<String>, by: &Sender) -> Result<String, Refusal> {
    match given {
        Some(actor) if actor.trim().is_empty() => malformed("/data/actor", "actor is empty"),
        Some(actor) => short(actor, "/data/actor"),
        None => Ok(by.name.to_string()),
    }
}
