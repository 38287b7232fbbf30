//! Tables for people who read a terminal: a line of heads, columns that line up, numbers to the
//! right.

/// Which side of its column a value is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Left,
    Right,
}

/// Lines of a table, without an end of line after the last.
pub fn table(heads: &[(&str, Side)], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let values = rows.iter().map(|row| row[column].chars().count());
        values
            .chain([heads[column].0.chars().count()])
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..heads.len()).map(width).collect();
    let line = |values: &mut dyn Iterator<Item = &str>| {
        let mut line = String::new();
        for ((value, width), (_, side)) in values.zip(&widths).zip(heads) {
            let pad = " ".repeat(width - value.chars().count());
            match side {
                Side::Left => line.extend([value, &pad]),
                Side::Right => line.extend([pad.as_str(), value]),
            }
            line.push_str("  ");
        }
        line.trim_end().to_owned()
    };
    let mut lines = vec![line(&mut heads.iter().map(|(head, _)| *head))];
    lines.extend(
        rows.iter()
            .map(|row| line(&mut row.iter().map(String::as_str))),
    );
    lines.join("\n")
}

/// A number with commas between thousands.
pub fn number(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3 + 1);
    if number < 0 {
        grouped.push('-');
    }
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// An amount of minor units in whole ones, such as `1,500.00`.
pub fn money(amount: i64, minor_units: u32) -> String {
    let unit = u64::from(minor_units.max(1));
    let (whole, rest) = (amount.unsigned_abs() / unit, amount.unsigned_abs() % unit);
    let sign = if amount < 0 { "-" } else { "" };
    let whole = number(i64::try_from(whole).unwrap_or(i64::MAX));
    match minor_units {
        0 | 1 => format!("{sign}{whole}"),
        _ => format!(
            "{sign}{whole}.{rest:0width$}",
            width = minor_units.ilog10() as usize
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [
            vec!["applied".into(), "12".into()],
            vec!["é".into(), "1,234".into()],
        ];
        let printed = table(&[("status", Side::Left), ("events", Side::Right)], &rows);
        assert_eq!(printed, "status   events\napplied      12\né         1,234");
    }

    #[test]
    fn numbers_are_grouped_and_money_has_its_minor_units() {
        for (given, told) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (-1_234_567, "-1,234,567"),
        ] {
            assert_eq!(number(given), told);
        }
        for (amount, units, told) in [
            (150_000, 100, "1,500.00"),
            (-5, 100, "-0.05"),
            (1_500, 1, "1,500"),
            (1_234_567, 1_000, "1,234.567"),
        ] {
            assert_eq!(money(amount, units), told);
        }
    }
}
