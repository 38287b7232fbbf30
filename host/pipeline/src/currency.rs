//! What a customer has with the shop: points, and store credit. One ledger holds both, by the same
//! rules; whoever asks it for something says of which.

use serde::{Deserialize, Serialize};
use std::ops::{Index, IndexMut};

#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Currency {
    #[default]
    Points,
    /// Money that the shop owes the customer, in minor units of the shop's currency.
    StoreCredit,
}

impl Currency {
    pub const ALL: [Currency; 2] = [Currency::Points, Currency::StoreCredit];

    pub fn name(self) -> &'static str {
        match self {
            Currency::Points => "points",
            Currency::StoreCredit => "store_credit",
        }
    }

    pub fn is_points(&self) -> bool {
        *self == Currency::Points
    }

    /// An amount of it, for people.
    pub fn told(self, amount: i64) -> String {
        match self {
            Currency::Points => format!("{amount} points"),
            Currency::StoreCredit => format!("{amount} of store credit"),
        }
    }
}

/// One of something for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ByCurrency<T> {
    pub points: T,
    pub store_credit: T,
}

impl<T> Index<Currency> for ByCurrency<T> {
    type Output = T;

    fn index(&self, currency: Currency) -> &T {
        match currency {
            Currency::Points => &self.points,
            Currency::StoreCredit => &self.store_credit,
        }
    }
}

impl<T> IndexMut<Currency> for ByCurrency<T> {
    fn index_mut(&mut self, currency: Currency) -> &mut T {
        match currency {
            Currency::Points => &mut self.points,
            Currency::StoreCredit => &mut self.store_credit,
        }
    }
}
