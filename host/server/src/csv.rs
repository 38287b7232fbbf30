//! Comma-separated values as spreadsheets write them (RFC 4180): quotes around what has commas, quotes
//! or line ends in it, and a quote in quotes twice.

/// Why a text is no table.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct CsvError {
    /// From 1.
    pub line: usize,
    pub problem: &'static str,
}

/// A row, and the line that it begins on, from 1.
pub type Row = (usize, Vec<String>);

/// Every row that has anything in it.
pub fn read(text: &str) -> Result<Vec<Row>, CsvError> {
    // Some spreadsheets begin a file with a mark that it is UTF-8.
    let mut letters = text
        .strip_prefix('\u{feff}')
        .unwrap_or(text)
        .chars()
        .peekable();
    let (mut rows, mut row, mut field) = (Vec::new(), Vec::new(), String::new());
    let (mut line, mut begun, mut quoted, mut closed) = (1, 1, false, false);
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                field.push('"');
            }
            '"' if quoted => (quoted, closed) = (false, true),
            '"' if field.is_empty() && !closed => quoted = true,
            ',' if !quoted => {
                row.push(std::mem::take(&mut field));
                closed = false;
            }
            '\r' if !quoted && letters.peek() == Some(&'\n') => {}
            '\n' if !quoted => {
                row.push(std::mem::take(&mut field));
                closed = false;
                end(&mut rows, begun, &mut row);
                line += 1;
                begun = line;
            }
            _ if closed => {
                let problem = "something follows a quote that was closed";
                return Err(CsvError { line, problem });
            }
            letter => {
                line += usize::from(letter == '\n');
                field.push(letter);
            }
        }
    }
    if quoted {
        let problem = "a quote that begins here is never closed";
        return Err(CsvError {
            line: begun,
            problem,
        });
    }
    row.push(field);
    end(&mut rows, begun, &mut row);
    Ok(rows)
}

fn end(rows: &mut Vec<Row>, begun: usize, row: &mut Vec<String>) {
    let row = std::mem::take(row);
    if row.iter().any(|field| !field.is_empty()) {
        rows.push((begun, row));
    }
}

/// A field as it is written.
pub fn field(text: &str) -> String {
    if text.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Vec<(usize, Vec<String>)> {
        read(text).unwrap()
    }

    fn row(line: usize, fields: &[&str]) -> Row {
        (line, fields.iter().map(|it| (*it).to_owned()).collect())
    }

    #[test]
    fn what_spreadsheets_write_is_read() {
        assert_eq!(
            rows("\u{feff}id,tags\r\n1,\"a;b\"\r\n\r\n2,\"say \"\"hi\"\", x\ny\"\n3,"),
            [
                row(1, &["id", "tags"]),
                row(2, &["1", "a;b"]),
                row(4, &["2", "say \"hi\", x\ny"]),
                row(6, &["3", ""]),
            ]
        );
        assert_eq!(rows(""), []);
        assert_eq!(rows("a\n"), [row(1, &["a"])]);
        assert_eq!(rows("in\"side"), [row(1, &["in\"side"])]);
    }

    #[test]
    fn what_is_no_table_is_told_with_its_line() {
        for (text, line) in [("a\n\"b\nc", 2), ("a\nb\n\"c\"d", 3), ("\"\"\"", 1)] {
            assert_eq!(read(text).unwrap_err().line, line, "{text:?}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for text in ["", "a", "a,b", "\"", "a\nb", "\r\n", "é;"] {
            let read = rows(&format!("x,{}", field(text)));
            assert_eq!(read, [row(1, &["x", text])]);
        }
    }
}
