//! The runtime with real components: built from `tests/guests`, compiled in a process of their
//! own, called as the line calls them.

#[path = "../../../../tests/guests/hostile/src/crimes.rs"]
mod crimes;
mod forgeries;
mod fuzzed;
mod given;
mod hostile;
mod kept;
mod loading;
mod order;
mod trial;
mod wasi;
