//! What a Markdown file shows: fenced blocks, and the paths that it names.

/// A fenced block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// What stands behind the fence: `rust`, `sh run`.
    pub info: String,
    pub text: String,
}

/// All fenced blocks in order; one inside of a list is moved to the left margin.
pub fn blocks(markdown: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<(usize, Block)> = None;
    for line in markdown.lines() {
        let indent = line.len() - line.trim_start().len();
        match (&mut open, line.trim_start().strip_prefix("```")) {
            (None, Some(info)) => {
                open = Some((
                    indent,
                    Block {
                        info: info.trim().into(),
                        text: String::new(),
                    },
                ))
            }
            (Some(_), Some(_)) => blocks.extend(open.take().map(|(_, block)| block)),
            (Some((margin, block)), None) => {
                block
                    .text
                    .push_str(line.get((*margin).min(indent)..).unwrap_or_default());
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    blocks
}

/// Files and folders that the text names, in `code` or as a link, outside of fenced blocks. A
/// folder ends with a slash; addresses on the web, routes and placeholders are no paths.
pub fn paths(markdown: &str) -> Vec<String> {
    let mut fenced = false;
    let mut paths = Vec::new();
    for line in markdown.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            let code = line.split('`').skip(1).step_by(2);
            let links = line
                .split("](")
                .skip(1)
                .filter_map(|rest| rest.split(')').next());
            paths.extend(
                code.chain(links)
                    .filter(|text| is_path(text))
                    .map(str::to_owned),
            );
        }
    }
    paths
}

fn is_path(text: &str) -> bool {
    const FILES: [&str; 8] = [
        ".rs", ".md", ".toml", ".sql", ".wit", ".py", ".json", ".wasm",
    ];
    let plain = text
        .chars()
        .all(|char| char.is_ascii_alphanumeric() || "/-_.".contains(char));
    let looks = text.contains('/') || FILES.iter().any(|ending| text.ends_with(ending));
    plain && looks && !FILES.contains(&text) && !text.starts_with('/') && !text.starts_with("http")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_found_with_their_margin_and_paths_without_routes() {
        let text = "See `host/store/` and [why](docs/why.md).\n\n3. so:\n\n   ```sh run\n   cat <<END\n     x\n   END\n   ```\n\n`GET /v1/events`, `/healthz`, `sale.completed`, https://example.com/a.md\n";
        assert_eq!(
            blocks(text),
            [Block {
                info: "sh run".into(),
                text: "cat <<END\n  x\nEND\n".into()
            }]
        );
        assert_eq!(paths(text), ["host/store/", "docs/why.md"]);
    }
}
