//! What a till, and whoever serves at it, may give in a day.
//!
//! These limits are about people of the shop, and count over all customers, so no customer's fold can
//! hold them. The store counts what events have given as they arrive, and what was left for an event is
//! written into it: from then on it is a fact of the journal like everything else that the event says. A
//! sale that is decided again later has the room that it had, a replay has it too, and nobody's points
//! depend on what somebody else's late sale would have left.

use crate::calendar::LocalTime;
use crate::event::{Event, Points, Room};
use crate::shop::Shop;

/// Somebody who gives points, on a day of the calendar where they do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Giver {
    pub kind: GiverKind,
    pub name: String,
    /// As a number such as 20240229.
    pub day: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GiverKind {
    Device,
    Staff,
}

impl GiverKind {
    pub fn name(self) -> &'static str {
        match self {
            GiverKind::Device => "device",
            GiverKind::Staff => "staff",
        }
    }

    /// The key of `[caps]`.
    pub fn cap(self) -> &'static str {
        match self {
            GiverKind::Device => "points_per_device_day",
            GiverKind::Staff => "points_per_staff_day",
        }
    }

    fn most(self, shop: &Shop) -> Option<Points> {
        match self {
            GiverKind::Device => shop.file.caps.points_per_device_day,
            GiverKind::Staff => shop.file.caps.points_per_staff_day,
        }
    }
}

/// Who gives with an event, of those who have a limit.
pub fn givers(event: &Event, shop: &Shop) -> Vec<Giver> {
    let named = [
        (GiverKind::Device, &event.device),
        (GiverKind::Staff, &event.staff),
    ];
    let limited = named
        .into_iter()
        .filter(|(kind, _)| kind.most(shop).is_some());
    let day = || LocalTime::at(event.at, shop.zone_at(event.location.as_deref())).number();
    limited
        .filter_map(|(kind, name)| {
            Some(Giver {
                kind,
                name: name.clone()?,
                day: day(),
            })
        })
        .collect()
}

/// What is left, with what each of them has given so far.
pub fn room(given: &[(Giver, Points)], shop: &Shop) -> Room {
    let left = |kind: GiverKind| {
        let (_, given) = given.iter().find(|(giver, _)| giver.kind == kind)?;
        Some((kind.most(shop)? - given).max(0))
    };
    Room {
        device: left(GiverKind::Device),
        staff: left(GiverKind::Staff),
    }
}
