//! Numbers in sentences for people: money with its minor units, thousands in groups, plurals.
//! The words are English; what a shop translates are its templates, not a rule's reasons.

use crate::types::{Money, Shop};

impl Shop {
    /// An amount as people write it, without the currency: `150000` is "1,500.00" in a currency
    /// of 100 minor units, "150,000" in one without, "150.000" in one of 1,000.
    pub fn money(&self, amount: Money) -> String {
        let unit = u64::from(self.minor_units.max(1));
        let sign = if amount < 0 { "-" } else { "" };
        let whole = grouped((amount.unsigned_abs() / unit) as i64);
        let digits = unit.ilog10() as usize;
        match digits {
            0 => format!("{sign}{whole}"),
            _ => format!("{sign}{whole}.{:0digits$}", amount.unsigned_abs() % unit),
        }
    }

    /// The same with the currency behind it: "1,500.00 USD".
    pub fn money_in_words(&self, amount: Money) -> String {
        format!("{} {}", self.money(amount), self.currency)
    }
}

/// A whole number in groups of three: "1,234,567".
pub fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3 + 1);
    if number < 0 {
        text.push('-');
    }
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number and its noun: `count(1, "order")` is "1 order", `count(3, "order")` "3 orders".
pub fn count(number: i64, noun: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{} {noun}{ending}", grouped(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_written_with_the_minor_units_of_its_currency() {
        for (minor_units, amount, text) in [
            (100, 150_000, "1,500.00"),
            (100, 3_749, "37.49"),
            (100, 5, "0.05"),
            (100, -1_205, "-12.05"),
            (100, 0, "0.00"),
            (1, 150_000, "150,000"),
            (1_000, 1_234_567, "1,234.567"),
            (100, i64::MIN, "-92,233,720,368,547,758.08"),
        ] {
            let shop = Shop {
                minor_units,
                ..Shop::default()
            };
            assert_eq!(shop.money(amount), text);
        }
    }

    #[test]
    fn numbers_are_grouped_and_nouns_follow_them() {
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(-1_000), "-1,000");
        assert_eq!(count(1, "order"), "1 order");
        assert_eq!(count(0, "order"), "0 orders");
        assert_eq!(count(12_500, "point"), "12,500 points");
    }
}
