//! Times on the command line.

use stampcard_pipeline::calendar;
use stampcard_pipeline::event::Instant;

/// Reads RFC 3339, such as `2024-05-01T00:00:00Z`.
pub fn parse(text: &str) -> Result<Instant, String> {
    calendar::parse(text).map_err(|_| {
        "write a time with an offset, such as 2024-05-01T00:00:00Z or 2024-05-01T10:30:00-04:00"
            .into()
    })
}
