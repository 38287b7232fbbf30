//! A stamp card: buy so many, get one.

use serde::{Deserialize, Serialize};

use crate::types::{Input, Line, ReturnedLine};

/// A customer's card, to be kept in the plugin's state.
///
/// ```
/// use stampcard_sdk::StampCard;
/// use stampcard_sdk::prelude::*;
///
/// struct TenthCoffee;
///
/// impl Rule for TenthCoffee {
///     type Config = NoConfig;
///
///     fn configure(_: NoConfig, _: &Shop) -> Result<Self> {
///         Ok(TenthCoffee)
///     }
/// }
///
/// impl PointFormula for TenthCoffee {
///     fn points(&self, input: &Input) -> Result<PointAnswer> {
///         let mut card: StampCard = input.remembered()?;
///         card.count(input, |line| line.in_category("coffee"));
///         let mut answer = PointAnswer::nothing();
///         for _ in 0..card.full(10) {
///             answer = answer.award(Award::bonus(500, "ten coffees").kept_on_return());
///         }
///         answer.remember(&card)
///     }
/// }
/// ```
///
/// The reward is kept on returns because the card already takes the stamps back: what a return
/// took away, the next stamps must fill before there is another reward.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StampCard {
    /// Pieces bought less pieces brought back.
    pieces: i64,
    /// Stamps that were turned into rewards.
    spent: i64,
}

impl StampCard {
    /// Counts the pieces of the lines that `counts` names: those of a sale or an exchange are
    /// added, those of a return are taken back. What is weighed is one piece until all of it has
    /// come back. Every other event leaves the card as it is, and so does a return whose sale is
    /// not known, because nobody can say what came back.
    pub fn count(&mut self, input: &Input, counts: impl Fn(&Line) -> bool) {
        if let Some(sale) = input.purchase() {
            self.pieces += sale.pieces(&counts);
        }
        let original = input.returned().and_then(|it| it.original.as_ref());
        if let (Some(returned), Some(original)) = (input.returned(), original) {
            for line in original.sale.lines.iter().filter(|line| counts(line)) {
                let before = brought_back(&original.returned, line);
                let after = before + brought_back(&returned.lines, line);
                self.pieces -= gone(line, after) - gone(line, before);
            }
        }
    }

    /// Rewards that are due now for full cards of `size` stamps. They are due once: the stamps
    /// are spent with this.
    pub fn full(&mut self, size: u32) -> i64 {
        let size = i64::from(size.max(1));
        let full = (self.stamps() / size).max(0);
        self.spent += full * size;
        full
    }

    /// Stamps on the card; below zero while the customer owes some after a return.
    pub fn stamps(&self) -> i64 {
        self.pieces - self.spent
    }
}

/// Thousandths of this line among what was brought back.
fn brought_back(returned: &[ReturnedLine], line: &Line) -> i64 {
    returned
        .iter()
        .filter(|it| it.line == line.number)
        .map(|it| it.quantity)
        .sum()
}

/// Pieces of this line that are gone when so many thousandths were brought back.
fn gone(line: &Line, thousandths: i64) -> i64 {
    match line.measured {
        true => (thousandths >= line.quantity).into(),
        false => thousandths / 1_000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Body, Event, Exchange, OriginalSale, Return, ReturnedLine, Sale};

    fn coffees(pieces: i64) -> Sale {
        let line = |number, category: &str, quantity| Line {
            number,
            category: Some(category.into()),
            quantity,
            ..Line::default()
        };
        let mut beans = line(3, "coffee", 340);
        beans.measured = true;
        Sale {
            lines: vec![
                line(1, "cake", 7_000),
                line(2, "coffee", pieces * 1_000),
                beans,
            ],
            ..Sale::default()
        }
    }

    /// Brings back cakes, coffees and grams of beans, after so many grams that came back before.
    fn back(coffees_back: i64, grams: i64, grams_before: i64) -> Return {
        let line = |line, quantity| ReturnedLine {
            line,
            quantity,
            amount: 0,
        };
        Return {
            original: Some(OriginalSale {
                sale: coffees(10),
                returned: vec![line(3, grams_before)],
                ..OriginalSale::default()
            }),
            lines: vec![
                line(1, 5_000),
                line(2, coffees_back * 1_000),
                line(3, grams),
            ],
            ..Return::default()
        }
    }

    fn input(body: Body) -> Input {
        Input {
            event: Event {
                body,
                ..Event::default()
            },
            ..Input::default()
        }
    }

    #[test]
    fn a_card_fills_carries_over_and_gives_back() {
        let mut card = StampCard::default();
        let exchange = Exchange {
            returned: back(2, 0, 0),
            bought: coffees(3),
        };
        let table = [
            ("eight and the beans", Body::Sale(coffees(8)), 0, 9),
            ("the card is full twice", Body::Sale(coffees(10)), 2, 0),
            (
                "what comes back is owed",
                Body::Return(back(4, 0, 0)),
                0,
                -4,
            ),
            ("which the next ones fill", Body::Sale(coffees(12)), 0, 9),
            ("some of the beans", Body::Return(back(0, 200, 0)), 0, 9),
            (
                "the rest of the beans",
                Body::Return(back(0, 140, 200)),
                0,
                8,
            ),
            ("three for two, and beans", Body::Exchange(exchange), 1, 0),
            ("a basket is not bought", Body::Checkout(coffees(50)), 0, 0),
            (
                "from nobody knows where",
                Body::Return(Return::default()),
                0,
                0,
            ),
        ];
        for (name, body, rewards, stamps) in table {
            card.count(&input(body), |line| line.in_category("coffee"));
            assert_eq!(card.full(10), rewards, "{name}");
            assert_eq!(card.stamps(), stamps, "{name}");
        }
    }
}
