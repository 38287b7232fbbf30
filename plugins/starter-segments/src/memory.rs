//! What is remembered about a customer, beyond what the host counts, and how it is written down:
//! a version and then only the parts that are in use, in variable-length integers. A weekly
//! shopper takes about fifty bytes. Nothing here decides.

use stampcard_sdk::prelude::*;

use crate::config::ChannelName;
use crate::plan::Needs;
use crate::rhythm::{Months, SeasonCount, Visits, season_of};

/// The first byte. It moves together with `state_version` in the manifest.
const VERSION: u8 = 1;

/// The most sales and returns that are remembered for windows that the host doesn't count. At
/// some 9 bytes each they fit well into what a plugin may remember.
pub const LEDGER_MAX: usize = 200;

/// Everything that is remembered about one customer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Remembered {
    pub visits: Visits,
    pub months: Months,
    /// By the fingerprint of the windows, so that a changed rule starts to count anew.
    pub seasons: Vec<(u32, SeasonCount)>,
    /// Sales and returns, oldest first, for windows that the host doesn't count.
    pub ledger: Vec<Entry>,
    /// How many sales there were in so many days when the customer last bought.
    pub active: Vec<(u32, u32)>,
    pub waits: Vec<Wait>,
    pub reviews: Reviews,
}

/// Something happened, and a sale is waited for, or came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait {
    /// The fingerprint of what is waited for.
    pub of: u32,
    pub since: Instant,
    /// When the sale came: the next one does not count again.
    pub bought_at: Option<Instant>,
}

/// A sale or a return.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    pub at: Instant,
    pub channel: Option<Channel>,
    pub is_sale: bool,
    /// Negative for a return.
    pub amount: Money,
}

/// How often the host was asked to come back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reviews {
    /// When the first of them came.
    pub since: Instant,
    pub count: u32,
    /// When to look at the balance and the tier again, after an event that may have moved them.
    pub settle_at: Option<Instant>,
}

impl Remembered {
    /// Reads the state that the host kept.
    pub fn read(input: &Input) -> Result<Self> {
        match &input.state {
            None => Ok(Self::default()),
            Some(bytes) => decode(bytes).ok_or_else(|| {
                Refusal::fault(format!("state of {} bytes cannot be read", bytes.len()))
            }),
        }
    }

    /// What the host is to keep, if that is something else than it has.
    pub fn written(&self, before: Option<&[u8]>) -> Memory {
        if *self == Self::default() {
            return match before {
                Some(_) => Memory::Forget,
                None => Memory::Keep,
            };
        }
        let bytes = encode(self);
        match before == Some(&bytes[..]) {
            true => Memory::Keep,
            false => Memory::Replace(bytes),
        }
    }

    /// Takes the event in, as far as a rule needs it.
    pub fn observe(&mut self, input: &Input, needs: &Needs) {
        if input.event.is("sale.voided") {
            if let Some(sale) = input.returned().and_then(|it| it.original.as_ref()) {
                self.forget_sale(sale, needs);
            }
        } else {
            if let Some(sale) = input.purchase() {
                self.add_sale(sale, input, needs);
            }
            if let Some(returned) = input.returned() {
                self.enter(input, needs, false, -returned.amount);
            }
        }
        self.begin_to_wait(input, needs);
        self.waits.retain(|wait| needs.awaited.iter().any(|it| it.fingerprint() == wait.of));
        self.visits.prune(input.now, needs.spans);
        let horizon = input.now - i64::from(needs.ledger_days) * DAY;
        self.ledger.retain(|entry| entry.at > horizon);
        let surplus = self.ledger.len().saturating_sub(LEDGER_MAX);
        self.ledger.drain(..surplus);
        self.seasons
            .retain(|(plan, _)| needs.seasons.iter().any(|(wanted, _)| wanted == plan));
    }

    fn add_sale(&mut self, sale: &Sale, input: &Input, needs: &Needs) {
        let local = &input.event.local;
        if needs.spans > 0 {
            self.visits.add(input.now);
        }
        if needs.months {
            self.months.add(Months::of(local));
        }
        for (plan, windows) in &needs.seasons {
            let season = season_of(windows.iter().copied(), local.date());
            self.season(*plan).add(season);
        }
        self.active = needs
            .active_days
            .iter()
            .filter_map(|days| Some((*days, input.totals.within(*days)?.orders)))
            .collect();
        for wanted in &needs.awaited {
            let of = wanted.fingerprint();
            let begin = input.now - i64::from(wanted.within_days) * DAY;
            let channel = wanted.channel.map(ChannelName::channel);
            if channel.is_none() || channel == input.event.channel {
                let mut waits = self.waits.iter_mut();
                if let Some(wait) = waits.find(|wait| {
                    wait.of == of && wait.since > begin && wait.bought_at.is_none()
                }) {
                    wait.bought_at = Some(input.now);
                }
            }
        }
        self.enter(input, needs, true, sale.total);
    }

    /// Somebody who comes to a store event and then buys is waited for from then on.
    fn begin_to_wait(&mut self, input: &Input, needs: &Needs) {
        for wanted in needs.awaited.iter().filter(|wanted| input.event.is(&wanted.event)) {
            let of = wanted.fingerprint();
            self.waits.retain(|wait| wait.of != of);
            self.waits.push(Wait { of, since: input.now, bought_at: None });
        }
    }

    fn forget_sale(&mut self, sale: &OriginalSale, needs: &Needs) {
        let at = sale.occurred_at;
        self.visits.remove(at);
        if needs.months {
            self.months.remove(Months::of(&sale.local));
        }
        for (plan, windows) in &needs.seasons {
            let season = season_of(windows.iter().copied(), sale.local.date());
            self.season(*plan).remove(season);
        }
        let found = self.ledger.iter().rposition(|it| it.is_sale && it.at == at);
        found.map(|found| self.ledger.remove(found));
    }

    fn enter(&mut self, input: &Input, needs: &Needs, is_sale: bool, amount: Money) {
        if needs.ledger_days > 0 {
            self.ledger.push(Entry {
                at: input.now,
                channel: input.event.channel,
                is_sale,
                amount,
            });
        }
    }

    fn season(&mut self, plan: u32) -> &mut SeasonCount {
        let found = self.seasons.iter().position(|(known, _)| *known == plan);
        let index = found.unwrap_or_else(|| {
            self.seasons.push((plan, SeasonCount::default()));
            self.seasons.len() - 1
        });
        &mut self.seasons[index].1
    }
}

// ------------------------------------------------------------------ the bytes

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
}

fn encode(remembered: &Remembered) -> Vec<u8> {
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
            let channel = Channel::ALL.iter().position(|it| Some(*it) == entry.channel);
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

fn decode(bytes: &[u8]) -> Option<Remembered> {
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
                    remembered.waits.push(Wait { of, since, bought_at });
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

    fn full() -> Remembered {
        Remembered {
            visits: Visits(vec![-5, 1_700_000_000_000, 1_700_000_000_001]),
            months: Months { newest: 24_290, bought: 0b1011, in_newest: 3 },
            seasons: vec![(
                u32::MAX,
                SeasonCount { inside: 9, outside: 1, seasons: 2, newest: 32_385, in_newest: 4 },
            )],
            ledger: vec![
                Entry { at: 7, channel: None, is_sale: true, amount: 1 << 52 },
                Entry { at: 6, channel: Some(Channel::Other), is_sale: false, amount: -3 },
            ],
            active: vec![(90, 4), (365, 400)],
            waits: vec![
                Wait { of: 3, since: 8, bought_at: None },
                Wait { of: 4, since: 8, bought_at: Some(8) },
            ],
            reviews: Reviews { since: 1, count: 2, settle_at: Some(60_001) },
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
        let entry = Entry { at: 0, channel: Some(Channel::Other), is_sale: true, amount: 10_000_000 };
        let remembered = Remembered {
            visits: Visits((0..64).map(|day| 1_700_000_000_000 + day * DAY).collect()),
            seasons: vec![(u32::MAX, full().seasons[0].1); 16],
            ledger: (0..LEDGER_MAX as i64)
                .map(|day| Entry { at: 1_700_000_000_000 + day * 4 * DAY, ..entry })
                .collect(),
            ..full()
        };
        let length = encode(&remembered).len();
        assert!(length < stampcard_sdk::STATE_MAX_BYTES * 3 / 4, "{length}");
    }
}
