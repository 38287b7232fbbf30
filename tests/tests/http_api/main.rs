//! The HTTP API as those who build on it see it: what it takes, what it refuses and how it says so,
//! who may do what, and that its own description is true.

mod allowances;
mod bad_input;
mod catalogue;
mod client;
mod customers;
mod description;
mod devices;
mod discounts;
mod five_questions;
mod forgetting;
mod hooks;
mod identity;
mod keys;
mod merges;
mod names;
mod one_record;
mod parts;
mod products;
mod profile;
mod quota;
mod reports;
mod review_items;
mod staff;
mod stream;
mod tags;
mod till;
mod wire;
