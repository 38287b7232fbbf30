//! How what is remembered is written down: a version, and then only the parts that are in use, in
//! variable-length integers. A weekly shopper takes about fifty bytes. Nothing here decides.

use stampcard_sdk::prelude::*;

use crate::memory::{Entry, Remembered, Wait};
use crate::rhythm::{Months, SeasonCount};

/// The first byte. It moves together with `state_version` in the manifest.
const VERSION: u8 = 1;

/// Each part begins with its number, so that a part that is not in use costs nothing.
mod part {
    pub const VISITS: u8 = 1;
    pub const MONTHS: u8 = 2;
    pub const SEASONS: u8 = 3;
    pub const LEDGER: u8 = 4;
    pub const ACTIVE: u8 = 5;
    pub const REVIEWS: u8 = 6;
    pub const SETTLE: u8 = 7;
    pub const WAITS: u8 = 8;
    pub const COUNTS: u8 = 9;
}

/// What the host keeps.
pub fn encode(remembered: &Remembered) -> Vec<u8> {
    let mut out = vec![VERSION];
    if !remembered.visits.0.is_empty() {
        begin(&mut out, part::VISITS, remembered.visits.0.len());
        let mut last = 0;
        for visit in &remembered.visits.0 {
            signed(&mut out, visit - last);
            last = *visit;
        }
    }
    if remembered.months != Months::default() {
        out.push(part::MONTHS);
        signed(&mut out, remembered.months.newest.into());
        unsigned(&mut out, remembered.months.bought.into());
        unsigned(&mut out, remembered.months.in_newest.into());
    }
    if !remembered.seasons.is_empty() {
        begin(&mut out, part::SEASONS, remembered.seasons.len());
        for (plan, count) in &remembered.seasons {
            unsigned(&mut out, (*plan).into());
            unsigned(&mut out, count.inside.into());
            unsigned(&mut out, count.outside.into());
            unsigned(&mut out, count.seasons.into());
            signed(&mut out, count.newest.into());
            unsigned(&mut out, count.in_newest.into());
        }
    }
    if !remembered.ledger.is_empty() {
        begin(&mut out, part::LEDGER, remembered.ledger.len());
        let mut last = 0;
        for entry in &remembered.ledger {
            signed(&mut out, entry.at - last);
            last = entry.at;
            let channel = Channel::ALL
                .iter()
                .position(|it| Some(*it) == entry.channel);
            let channel = channel.map_or(0, |index| index as u8 + 1);
            out.push(channel << 1 | u8::from(entry.is_sale));
            signed(&mut out, entry.amount);
        }
    }
    if !remembered.active.is_empty() {
        begin(&mut out, part::ACTIVE, remembered.active.len());
        for (days, orders) in &remembered.active {
            unsigned(&mut out, (*days).into());
            unsigned(&mut out, (*orders).into());
        }
    }
    if !remembered.waits.is_empty() {
        begin(&mut out, part::WAITS, remembered.waits.len());
        for wait in &remembered.waits {
            unsigned(&mut out, wait.of.into());
            signed(&mut out, wait.since);
            // How long it took, plus one: zero is still waiting.
            let took = wait.bought_at.map_or(0, |at| at - wait.since + 1);
            unsigned(&mut out, took as u64);
        }
    }
    if !remembered.counts.is_empty() {
        begin(&mut out, part::COUNTS, remembered.counts.len());
        for (of, count) in &remembered.counts {
            unsigned(&mut out, (*of).into());
            unsigned(&mut out, (*count).into());
        }
    }
    if remembered.reviews.count > 0 {
        begin(&mut out, part::REVIEWS, remembered.reviews.count as usize);
        signed(&mut out, remembered.reviews.since);
    }
    if let Some(at) = remembered.reviews.settle_at {
        out.push(part::SETTLE);
        signed(&mut out, at);
    }
    out
}

fn begin(out: &mut Vec<u8>, part: u8, count: usize) {
    out.push(part);
    unsigned(out, count as u64);
}

fn unsigned(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn signed(out: &mut Vec<u8>, number: i64) {
    unsigned(out, (number << 1 ^ number >> 63) as u64);
}

/// None for bytes that are cut, of another version, or not ours.
pub fn decode(bytes: &[u8]) -> Option<Remembered> {
    let mut bytes = Bytes(bytes);
    if bytes.byte()? != VERSION {
        return None;
    }
    let mut remembered = Remembered::default();
    while !bytes.0.is_empty() {
        match bytes.byte()? {
            part::VISITS => {
                let mut last = 0;
                for _ in 0..bytes.number::<usize>()? {
                    last += bytes.signed()?;
                    remembered.visits.0.push(last);
                }
            }
            part::MONTHS => {
                remembered.months = Months {
                    newest: bytes.signed()?.try_into().ok()?,
                    bought: bytes.number()?,
                    in_newest: bytes.number()?,
                };
            }
            part::SEASONS => {
                for _ in 0..bytes.number::<usize>()? {
                    let plan = bytes.number()?;
                    let count = SeasonCount {
                        inside: bytes.number()?,
                        outside: bytes.number()?,
                        seasons: bytes.number()?,
                        newest: bytes.signed()?.try_into().ok()?,
                        in_newest: bytes.number()?,
                    };
                    remembered.seasons.push((plan, count));
                }
            }
            part::LEDGER => {
                let mut last = 0;
                for _ in 0..bytes.number::<usize>()? {
                    last += bytes.signed()?;
                    let flags = bytes.byte()?;
                    let channel = match flags >> 1 {
                        0 => None,
                        index => Some(*Channel::ALL.get(usize::from(index) - 1)?),
                    };
                    remembered.ledger.push(Entry {
                        at: last,
                        channel,
                        is_sale: flags & 1 == 1,
                        amount: bytes.signed()?,
                    });
                }
            }
            part::COUNTS => {
                for _ in 0..bytes.number::<usize>()? {
                    let of = bytes.number()?;
                    remembered.counts.push((of, bytes.number()?));
                }
            }
            part::ACTIVE => {
                for _ in 0..bytes.number::<usize>()? {
                    let days = bytes.number()?;
                    remembered.active.push((days, bytes.number()?));
                }
            }
            part::WAITS => {
                for _ in 0..bytes.number::<usize>()? {
                    let of = bytes.number()?;
                    let since = bytes.signed()?;
                    let took: i64 = bytes.number()?;
                    let bought_at = (took > 0).then(|| since + took - 1);
                    remembered.waits.push(Wait {
                        of,
                        since,
                        bought_at,
                    });
                }
            }
            part::REVIEWS => {
                remembered.reviews.count = bytes.number()?;
                remembered.reviews.since = bytes.signed()?;
            }
            part::SETTLE => remembered.reviews.settle_at = Some(bytes.signed()?),
            _ => return None,
        }
    }
    Some(remembered)
}

struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn unsigned(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn signed(&mut self) -> Option<i64> {
        let number = self.unsigned()?;
        Some((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    fn number<T: TryFrom<u64>>(&mut self) -> Option<T> {
        self.unsigned()?.try_into().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{LEDGER_MAX, Reviews};
    use crate::rhythm::Visits;

    fn full() -> Remembered {
        Remembered {
            visits: Visits(vec![-5, 1_700_000_000_000, 1_700_000_000_001]),
            months: Months {
                newest: 24_290,
                bought: 0b1011,
                in_newest: 3,
            },
            seasons: vec![(
                u32::MAX,
                SeasonCount {
                    inside: 9,
                    outside: 1,
                    seasons: 2,
                    newest: 32_385,
                    in_newest: 4,
                },
            )],
            ledger: vec![
                Entry {
                    at: 7,
                    channel: None,
                    is_sale: true,
                    amount: 1 << 52,
                },
                Entry {
                    at: 6,
                    channel: Some(Channel::Other),
                    is_sale: false,
                    amount: -3,
                },
            ],
            active: vec![(90, 4), (365, 400)],
            waits: vec![
                Wait {
                    of: 3,
                    since: 8,
                    bought_at: None,
                },
                Wait {
                    of: 4,
                    since: 8,
                    bought_at: Some(8),
                },
            ],
            counts: vec![(u32::MAX, 1), (7, 300)],
            reviews: Reviews {
                since: 1,
                count: 2,
                settle_at: Some(60_001),
            },
        }
    }

    #[test]
    fn what_is_written_is_read_again_and_a_cut_or_an_unknown_version_is_not() {
        let bytes = encode(&full());
        assert_eq!(decode(&bytes), Some(full()));
        for length in 0..bytes.len() {
            // Cut between two parts the bytes still read, as less than was written.
            assert_ne!(decode(&bytes[..length]), Some(full()), "{length}");
        }
        assert_eq!(decode(&[VERSION + 1]), None);
        assert_eq!(decode(&[VERSION, 99]), None);
    }

    #[test]
    fn nothing_is_written_for_whom_nothing_is_remembered() {
        let nothing = Remembered::default();
        assert_eq!(nothing.written(None), Memory::Keep);
        assert_eq!(nothing.written(Some(&[VERSION])), Memory::Forget);
        let bytes = encode(&full());
        assert_eq!(full().written(Some(&bytes)), Memory::Keep);
        assert_eq!(full().written(None), Memory::Replace(bytes));
    }

    #[test]
    fn the_fullest_memory_fits_what_the_host_keeps() {
        let entry = Entry {
            at: 0,
            channel: Some(Channel::Other),
            is_sale: true,
            amount: 10_000_000,
        };
        let remembered = Remembered {
            visits: Visits((0..64).map(|day| 1_700_000_000_000 + day * DAY).collect()),
            seasons: vec![(u32::MAX, full().seasons[0].1); 16],
            ledger: (0..LEDGER_MAX as i64)
                .map(|day| Entry {
                    at: 1_700_000_000_000 + day * 4 * DAY,
                    ..entry
                })
                .collect(),
            ..full()
        };
        let length = encode(&remembered).len();
        assert!(length < stampcard_sdk::STATE_MAX_BYTES * 3 / 4, "{length}");
    }
}
