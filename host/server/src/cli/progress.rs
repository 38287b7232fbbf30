//! A bar for what takes more than a second. It is drawn on a terminal and nowhere else.

use indicatif::{ProgressBar, ProgressStyle};
use std::time::Duration;

/// A bar for a known amount of bytes, or a counter where nobody knows how many will come.
pub fn bytes(total: Option<u64>) -> ProgressBar {
    match total {
        Some(total) => bar(
            ProgressBar::new(total),
            "{bar:30} {bytes}/{total_bytes}  {msg}  {eta} left",
        ),
        None => bar(
            ProgressBar::new_spinner(),
            "{spinner} {bytes}  {msg}  {elapsed}",
        ),
    }
}

/// A bar for a known number of things.
pub fn steps(total: u64) -> ProgressBar {
    bar(
        ProgressBar::new(total),
        "{bar:30} {human_pos}/{human_len}  {msg}  {eta} left",
    )
}

fn bar(bar: ProgressBar, template: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template).expect("the templates are ours");
    let bar = bar.with_style(style);
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
