//! Pages: a list is read in parts, each beginning where the last one ended.
//!
//! The cursor is a place in the order of the list, not a row number, so that rows that come or go
//! meanwhile are neither shown twice nor left out. Callers give it back as they got it.

use super::limits;
use super::problem::{Problem, bad_request};
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

/// One part of a list.
#[derive(Debug, Serialize)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Give it back as `cursor` to read on; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// How to ask for a part.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Paging {
    /// Rows of this page, from 1 to 500; 50 if it is not given.
    #[param(minimum = 1, maximum = 500, default = 50)]
    pub limit: Option<u32>,
    /// The `next` of the page before.
    #[param(pattern = "^([0-9a-f]{2})+$")]
    pub cursor: Option<String>,
}

impl Paging {
    pub fn rows(&self) -> Result<u32, Problem> {
        match self.limit.unwrap_or(limits::PAGE_ROWS) {
            rows @ 1..=limits::PAGE_ROWS_MAX => Ok(rows),
            rows => {
                let detail = format!(
                    "limit is {rows}; it goes from 1 to {}",
                    limits::PAGE_ROWS_MAX
                );
                Err(bad_request("bad-query", detail).with("parameter", "limit"))
            }
        }
    }

    /// The place after which to read on: `T` is the list's own sort key.
    pub fn after<T: for<'de> Deserialize<'de>>(&self) -> Result<Option<T>, Problem> {
        let Some(cursor) = &self.cursor else {
            return Ok(None);
        };
        let place = decode(cursor).and_then(|bytes| postcard::from_bytes(&bytes).ok());
        place.map(Some).ok_or_else(|| {
            let detail = "this is not a cursor of this list; give back the `next` of the page before, or none for the first page";
            bad_request("bad-cursor", detail).with("parameter", "cursor")
        })
    }
}

impl<T> Page<T> {
    /// A page of rows of which one more than asked was read, so that it is known whether they end.
    pub fn of<K: Serialize>(mut items: Vec<T>, rows: u32, key: impl Fn(&T) -> K) -> Page<T> {
        let rows = rows as usize;
        let goes_on = items.len() > rows;
        items.truncate(rows);
        let next = items
            .last()
            .filter(|_| goes_on)
            .map(|last| cursor(&key(last)));
        Page { items, next }
    }

    pub fn try_map<U, E>(
        self,
        view: impl FnOnce(Vec<T>) -> Result<Vec<U>, E>,
    ) -> Result<Page<U>, E> {
        Ok(Page {
            items: view(self.items)?,
            next: self.next,
        })
    }

    pub fn map<U>(self, view: impl FnMut(T) -> U) -> Page<U> {
        Page {
            items: self.items.into_iter().map(view).collect(),
            next: self.next,
        }
    }
}

/// The place of a row as callers see it.
pub fn cursor(key: &impl Serialize) -> String {
    encode(&postcard::to_stdvec(key).expect("a sort key is plain data"))
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

fn encode(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| {
            [
                DIGITS[usize::from(byte >> 4)] as char,
                DIGITS[usize::from(byte & 15)] as char,
            ]
        })
        .collect()
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let digit = |letter: u8| DIGITS.iter().position(|known| *known == letter);
    text.as_bytes()
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => Some((digit(*high)? << 4 | digit(*low)?) as u8),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paging(cursor: &str) -> Paging {
        Paging {
            limit: None,
            cursor: Some(cursor.into()),
        }
    }

    #[test]
    fn a_cursor_comes_back_as_the_place_it_was_made_of() {
        let place = (
            1_714_557_000_000_i64,
            "till-1".to_owned(),
            "ord/ö".to_owned(),
        );
        assert_eq!(paging(&cursor(&place)).after().unwrap(), Some(place));
    }

    #[test]
    fn what_is_no_cursor_is_a_bad_request() {
        for text in ["", "z", "0", "zz", "ff", "0102", "ÿ", "=="] {
            let problem = paging(text).after::<(i64, String)>().unwrap_err();
            assert_eq!(problem.code(), "bad-cursor", "{text:?}");
        }
    }

    #[test]
    fn the_last_page_has_no_next() {
        let page = Page::of(vec![1, 2, 3], 3, |row| *row);
        assert_eq!((page.items.len(), page.next), (3, None));
        let page = Page::of(vec![1, 2, 3, 4], 3, |row| *row);
        assert_eq!(
            (page.items.as_slice(), page.next),
            ([1, 2, 3].as_slice(), Some(cursor(&3)))
        );
    }
}
