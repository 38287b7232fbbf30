//! Reading an import line by line, in memory that does not depend on the input.

use bytes::Bytes;
use serde::Deserialize;
use stampcard_pipeline::calendar;
use stampcard_pipeline::event::Instant;
use stampcard_pipeline::limits::EVENT_BYTES_MAX;
use std::borrow::Cow;
use std::io::{self, BufRead};

/// When the event happened, as far as it says.
pub fn time_of(event: &[u8]) -> Option<Instant> {
    #[derive(Deserialize)]
    struct Envelope<'a> {
        #[serde(borrow)]
        time: Cow<'a, str>,
    }
    let envelope: Envelope = serde_json::from_slice(event).ok()?;
    calendar::parse(&envelope.time).ok()
}

/// A line without its end, and how many bytes of the input it took.
pub struct Line {
    pub bytes: Bytes,
    pub read: u64,
}

/// Reads a line, but of one that is longer than any event may be only as much as shows that: the
/// memory does not depend on the input.
pub fn next_line(input: &mut impl BufRead) -> io::Result<Option<Line>> {
    let mut bytes = Vec::new();
    let mut read = 0;
    loop {
        let available = match input.fill_buf() {
            Ok(available) => available,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let is_end = available.is_empty();
        let end = memchr::memchr(b'\n', available);
        let taken = end.unwrap_or(available.len());
        let room = (EVENT_BYTES_MAX + 1).saturating_sub(bytes.len());
        bytes.extend_from_slice(&available[..taken.min(room)]);
        let used = taken + usize::from(end.is_some());
        input.consume(used);
        read += used as u64;
        if is_end && read == 0 {
            return Ok(None);
        }
        if is_end || end.is_some() {
            return Ok(Some(Line {
                bytes: bytes.into(),
                read,
            }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(input: &[u8]) -> Vec<(usize, u64)> {
        // A small buffer, so that lines go over its end.
        let mut input = io::BufReader::with_capacity(7, input);
        let next = || {
            next_line(&mut input)
                .unwrap()
                .map(|line| (line.bytes.len(), line.read))
        };
        std::iter::from_fn(next).collect()
    }

    #[test]
    fn lines_are_read_whole_and_counted_in_bytes() {
        assert_eq!(lines(b""), []);
        assert_eq!(lines(b"0123456789\n\nab"), [(10, 11), (0, 1), (2, 2)]);
        assert_eq!(lines(b"ab\n"), [(2, 3)]);
    }

    #[test]
    fn of_a_line_that_no_event_can_have_only_so_much_is_kept_as_shows_it() {
        let mut input = vec![b'x'; 3 * EVENT_BYTES_MAX];
        input.extend_from_slice(b"\nab\n");
        assert_eq!(
            lines(&input),
            [
                (EVENT_BYTES_MAX + 1, 3 * EVENT_BYTES_MAX as u64 + 1),
                (2, 3)
            ]
        );
    }

    #[test]
    fn the_time_is_the_envelopes_own() {
        let event = br#"{"data":{"time":"2030-01-01T00:00:00Z"},"time":"2024-05-01T00:00:00Z"}"#;
        assert_eq!(
            time_of(event).map(calendar::text).as_deref(),
            Some("2024-05-01T00:00:00Z")
        );
        assert_eq!(time_of(b"{}"), None);
        assert_eq!(time_of(b"{\"time\":"), None);
    }
}
