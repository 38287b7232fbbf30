//! Refused lines of an import, with the reason, in a file beside the shop.

use parking_lot::Mutex;
use serde::Serialize;
use serde_json::value::RawValue;
use stampcard_pipeline::refusal::Refusal;
use std::borrow::Cow;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

/// The file of refused lines; it is made with the first of them, for this user alone.
pub struct Refusals {
    pub path: PathBuf,
    file: Mutex<io::Result<Option<BufWriter<File>>>>,
}

#[derive(Serialize)]
struct RefusedLine<'a> {
    line: u64,
    code: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pointer: &'a str,
    problem: String,
    event: Cow<'a, RawValue>,
}

impl Refusals {
    pub fn at(path: PathBuf) -> Refusals {
        Refusals {
            path,
            file: Mutex::new(Ok(None)),
        }
    }

    /// Where they are, if there are any; an error if they could not be kept.
    pub fn close(&self) -> io::Result<Option<PathBuf>> {
        match std::mem::replace(&mut *self.file.lock(), Ok(None))? {
            None => Ok(None),
            Some(mut file) => file.flush().map(|()| Some(self.path.clone())),
        }
    }

    pub fn keep(&self, line: u64, event: &[u8], refusal: &Refusal) {
        let row = RefusedLine {
            line,
            code: refusal.code(),
            pointer: refusal.pointer(),
            problem: refusal.to_string(),
            event: match refusal.code() {
                // It was refused so that it is nowhere, and a file of refusals is somewhere too.
                "payment-card" => left_out(),
                _ => as_json(event),
            },
        };
        let mut file = self.file.lock();
        let written = match &mut *file {
            Ok(Some(file)) => write_row(file, &row),
            Ok(None) => self.create().and_then(|mut created| {
                write_row(&mut created, &row)?;
                *file = Ok(Some(created));
                Ok(())
            }),
            // The first problem is the one that is told.
            Err(_) => return,
        };
        if let Err(error) = written {
            *file = Err(error);
        }
    }

    fn create(&self) -> io::Result<BufWriter<File>> {
        // Refused events hold what the tills sent, personal data too.
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&self.path)?;
        Ok(BufWriter::new(file))
    }
}

fn write_row(file: &mut BufWriter<File>, row: &RefusedLine) -> io::Result<()> {
    serde_json::to_writer(&mut *file, row)?;
    file.write_all(b"\n")
}

/// What stands in the place of an event that nobody may keep.
fn left_out() -> Cow<'static, RawValue> {
    let text = "\"left out: it has the number of a payment card\"".to_owned();
    Cow::Owned(RawValue::from_string(text).expect("a text is JSON"))
}

/// The line as JSON: itself if it is, else as a text.
fn as_json(event: &[u8]) -> Cow<'_, RawValue> {
    match serde_json::from_slice::<&RawValue>(event) {
        Ok(json) => Cow::Borrowed(json),
        Err(_) => {
            let text =
                serde_json::to_string(&String::from_utf8_lossy(event)).expect("a text is JSON");
            Cow::Owned(RawValue::from_string(text).expect("it was just made"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_line_is_kept_as_json_whatever_it_is() {
        let kept = |event: &[u8]| as_json(event).get().to_owned();
        assert_eq!(kept(b"{\"a\": 1}"), "{\"a\": 1}");
        assert_eq!(kept(b"{\"a\": "), "\"{\\\"a\\\": \"");
        assert_eq!(kept(&[0xff, b'a']), "\"\u{fffd}a\"");
    }
}
