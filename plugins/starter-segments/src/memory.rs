//! What is remembered about a customer, beyond what the host counts, and how an event changes it.
//! Nothing here decides.

use stampcard_sdk::prelude::*;

use crate::codec::{decode, encode};
use crate::config::{ChannelName, Happened};
use crate::plan::Needs;
use crate::rhythm::{Months, SeasonCount, Visits, season_of};

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
    /// How often something happened, by the fingerprint of what is counted.
    pub counts: Vec<(u32, u32)>,
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
        } else if input.event.is("order.edited") {
            // The sale that it was costs more now, or less; nobody came to buy.
            let added = input.purchase().map_or(0, |sale| sale.total);
            let removed = input.returned().map_or(0, |it| it.amount);
            self.enter(input, needs, false, added - removed);
        } else {
            if let Some(sale) = input.purchase() {
                self.add_sale(sale, input, needs);
            }
            if let Some(returned) = input.returned() {
                self.enter(input, needs, false, -returned.amount);
            }
        }
        self.count(input, needs);
        self.begin_to_wait(input, needs);
        self.waits
            .retain(|wait| needs.awaited.iter().any(|it| it.fingerprint() == wait.of));
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
                if let Some(wait) = waits
                    .find(|wait| wait.of == of && wait.since > begin && wait.bought_at.is_none())
                {
                    wait.bought_at = Some(input.now);
                }
            }
        }
        self.enter(input, needs, true, sale.total);
    }

    /// Conditions that count the same share one count.
    fn count(&mut self, input: &Input, needs: &Needs) {
        let counted = &needs.counted;
        self.counts
            .retain(|(of, _)| counted.iter().any(|it| it.fingerprint() == *of));
        for of in counted
            .iter()
            .filter(|it| it.is(&input.event))
            .map(Happened::fingerprint)
        {
            match self.counts.iter_mut().find(|(known, _)| *known == of) {
                Some((_, count)) => *count = count.saturating_add(1),
                None => self.counts.push((of, 1)),
            }
        }
    }

    /// Somebody who comes to a store event and then buys is waited for from then on.
    fn begin_to_wait(&mut self, input: &Input, needs: &Needs) {
        for wanted in needs
            .awaited
            .iter()
            .filter(|wanted| input.event.is(&wanted.event))
        {
            let of = wanted.fingerprint();
            self.waits.retain(|wait| wait.of != of);
            self.waits.push(Wait {
                of,
                since: input.now,
                bought_at: None,
            });
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
