//! The plugin's log: the one import. Lines carry the plugin and the event by themselves; what
//! goes beyond 16 KiB in one call is cut by the host. Outside of a plugin lines go to standard
//! error.

use std::fmt::Display;

#[cfg(target_arch = "wasm32")]
use crate::bindings::core::stampcard::plugin::log::{Level, log};

#[cfg(not(target_arch = "wasm32"))]
#[derive(Debug)]
enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

#[cfg(not(target_arch = "wasm32"))]
fn log(level: Level, message: &str) {
    eprintln!("{level:?}: {message}");
}

/// For the author, while the rule is being written.
pub fn debug(message: impl Display) {
    log(Level::Debug, &message.to_string());
}

/// Worth knowing.
pub fn info(message: impl Display) {
    log(Level::Info, &message.to_string());
}

/// Somebody should look at it.
pub fn warn(message: impl Display) {
    log(Level::Warn, &message.to_string());
}

/// Something went wrong.
pub fn error(message: impl Display) {
    log(Level::Error, &message.to_string());
}

/// A panic ends a plugin with a trap that says nothing, so its message and its line are logged
/// before.
pub(crate) fn panics_to_the_host() {
    #[cfg(target_arch = "wasm32")]
    std::panic::set_hook(Box::new(|panic| error(panic)));
}
