//! What a plugin says during one call: its log, its standard output and its standard error.
//!
//! It is bounded, it is untrusted, and it reaches the operator's log with the plugin's name and
//! the event's, and with everything that could move a terminal written out.

use serde::Serialize;
use std::fmt::Write;

/// How a plugin meant what it said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

/// A line that a plugin said, without anything that could move a terminal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    pub level: Level,
    pub text: String,
}

/// The lines of one call.
#[derive(Debug)]
pub(crate) struct Log {
    lines: Vec<(Level, String)>,
    /// What may still be said, in bytes.
    left: usize,
    cut: bool,
}

impl Log {
    pub fn new(most_bytes: u64) -> Log {
        Log {
            lines: Vec::new(),
            left: most_bytes as usize,
            cut: false,
        }
    }

    /// Whether another word would be kept. A call that says no more than it may never asks.
    pub fn is_full(&self) -> bool {
        self.left == 0
    }

    pub fn line(&mut self, level: Level, text: &str) {
        let kept = self.room_for(text);
        self.lines.push((level, kept.into()));
    }

    /// Adds what was written to a stream, which comes in any pieces.
    pub fn stream(&mut self, level: Level, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        for piece in text.split_inclusive('\n') {
            let kept = self.room_for(piece).to_owned();
            match self.lines.last_mut() {
                Some((same, line)) if *same == level && !line.ends_with('\n') => {
                    line.push_str(&kept)
                }
                _ => self.lines.push((level, kept)),
            }
        }
    }

    /// The last thing that the plugin said of an error: what a panic or an exception left.
    pub fn last_error(&self) -> Option<&str> {
        let errors = self
            .lines
            .iter()
            .rev()
            .filter(|(level, _)| *level == Level::Error);
        errors
            .map(|(_, line)| line.trim())
            .find(|line| !line.is_empty())
    }

    /// What was said, for the plugin's author.
    pub fn read(&self) -> Vec<Line> {
        let line = |(level, text): &(Level, String)| Line {
            level: *level,
            text: harmless(text.trim_end()),
        };
        self.lines.iter().map(line).collect()
    }

    /// Hands everything to the operator's log.
    pub fn emit(&self, plugin: &str, event: &str) {
        for Line { level, text: line } in self.read() {
            match level {
                Level::Debug => tracing::debug!(target: "plugin", plugin, event, "{line}"),
                Level::Info => tracing::info!(target: "plugin", plugin, event, "{line}"),
                Level::Warn => tracing::warn!(target: "plugin", plugin, event, "{line}"),
                Level::Error => tracing::error!(target: "plugin", plugin, event, "{line}"),
            }
        }
        if self.cut {
            tracing::warn!(target: "plugin", plugin, event, "the log of this call was cut: it was too long");
        }
    }

    fn room_for<'a>(&mut self, text: &'a str) -> &'a str {
        let mut end = text.len().min(self.left);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        self.cut |= end < text.len();
        // Every line costs a byte, so that empty ones end too.
        self.left = if end < text.len() {
            0
        } else {
            self.left.saturating_sub(end.max(1))
        };
        &text[..end]
    }
}

/// The same text with control characters and invisible ones written out, because a log that an
/// operator reads in a terminal must not be able to move its cursor.
pub(crate) fn harmless(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '"' | '\'' | '\\' => out.push(char),
            _ => write!(out, "{}", char.escape_debug()).expect("a string takes everything"),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_cut_between_characters() {
        let mut log = Log::new(5);
        log.line(Level::Info, "abc");
        log.line(Level::Error, "üü");
        assert_eq!(
            log.lines,
            [(Level::Info, "abc".into()), (Level::Error, "ü".into())]
        );
        assert!(log.cut && log.is_full());
    }

    #[test]
    fn empty_lines_come_to_an_end_too() {
        let mut log = Log::new(100);
        while !log.is_full() {
            log.line(Level::Info, "");
        }
        assert_eq!(log.lines.len(), 100);
    }

    #[test]
    fn a_stream_is_read_by_lines_whatever_its_pieces() {
        let mut log = Log::new(100);
        for piece in ["Trace", "back:\nValue", "Error: no\n", "\n"] {
            log.stream(Level::Error, piece.as_bytes());
        }
        assert_eq!(log.last_error(), Some("ValueError: no"));
        assert_eq!(log.lines.len(), 3);
    }

    #[test]
    fn nothing_that_moves_a_terminal_is_left() {
        let text = harmless("\u{1b}[2Jit's \"fine\"\u{202e}\r\n\u{9b}ü");
        assert_eq!(text, r#"\u{1b}[2Jit's "fine"\u{202e}\r\n\u{9b}ü"#);
    }
}
