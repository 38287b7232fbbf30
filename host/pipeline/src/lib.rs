//! The line: what one event does to one customer.
//!
//! Everything here is a decision in our own types. This room does no input or output, reads no
//! clock, draws no random numbers, and knows neither wasmtime nor SQL nor HTTP: what it needs
//! arrives as arguments ([`store::Store`] and [`rules::Rules`] are its two doors).
//!
//! Start with [`line::process`]; its steps are the files beside it.

pub mod admit;
pub mod allowance;
pub mod calendar;
pub mod campaigns;
pub mod catalogue;
pub mod change;
pub mod credit;
pub mod currency;
mod erasure;
pub mod event;
pub mod facts;
pub mod fold;
pub mod follow_ups;
mod forfeit;
pub mod geo;
pub mod identity;
pub mod ledger;
pub mod limited;
pub mod limits;
pub mod line;
pub mod merges;
pub mod offers;
pub mod outcome;
pub mod person;
pub mod points;
pub mod products;
pub mod purse;
pub mod redemption;
pub mod referral;
pub mod refusal;
pub mod returns;
pub mod rules;
pub mod segments;
pub mod shop;
pub mod stock;
pub mod store;
pub mod tiers;
pub mod token;
pub mod visitors;
pub mod walk;
