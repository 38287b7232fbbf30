//! From the lines of a component to those of its authors.
//!
//! Each module begins at a line that no other has, so that one list of lines serves all of them: the same
//! that a bundle has, which `component.js` reads when something is thrown in a shop.

use crate::file::Place;
use oxc_sourcemap::SourceMap;
use serde_json::{Value, json};

/// What is the SDK's is of no use to an author, and is known by this.
pub const SDK: &str = "stampcard-sdk/";

/// The lines of all modules.
#[derive(Default)]
pub struct Lines {
    modules: Vec<Module>,
    /// The first line that is free, from 0.
    next: usize,
}

struct Module {
    /// The author's name for it.
    source: String,
    first: usize,
    count: usize,
    map: Map,
}

/// From the lines of one module to those of its source.
#[derive(Clone)]
pub enum Map {
    /// They are the same.
    Same,
    Made(Box<SourceMap<'static>>),
}

impl Lines {
    /// Takes a module, and gives it lines of its own: empty ones come before it.
    pub fn place(&mut self, source: &str, code: &str, map: Map) -> String {
        let count = code.split('\n').count();
        let placed = "\n".repeat(self.next) + code;
        self.modules.push(Module {
            source: source.into(),
            first: self.next,
            count,
            map,
        });
        self.next += count;
        placed
    }

    /// `{ sources, lines }`, where an entry of `lines` is `[source, line]`, or 0.
    pub fn table(&self) -> Value {
        let sources: Vec<&str> = self.modules.iter().map(|it| it.source.as_str()).collect();
        let lines = self.modules.iter().enumerate().flat_map(|(index, module)| {
            let entry = move |line| match module.map.of(line, None) {
                Some((line, _)) => json!([index, line + 1]),
                None => json!(0),
            };
            (0..module.count as u32).map(entry)
        });
        json!({"sources": sources, "lines": lines.collect::<Vec<_>>()})
    }

    /// The author's place for one in the component, both counted from 1.
    pub fn author(&self, line: usize, column: usize) -> Option<Place> {
        let line = line.checked_sub(1)?;
        let within = |it: &&Module| (it.first..it.first + it.count).contains(&line);
        let module = self.modules.iter().find(within)?;
        let column = column.saturating_sub(1) as u32;
        let (line, column) = module.map.of((line - module.first) as u32, Some(column))?;
        Some(Place {
            file: module.source.clone(),
            line: line as usize + 1,
            column: column as usize + 1,
        })
    }
}

impl Map {
    /// The source's line and column, all counted from 0; without a column the first of the line.
    fn of(&self, line: u32, column: Option<u32>) -> Option<(u32, u32)> {
        match self {
            Map::Same => Some((line, column.unwrap_or(0))),
            Map::Made(map) => {
                let mut tokens = map.get_tokens().filter(|it| it.get_dst_line() == line);
                let first = tokens.next()?;
                let before =
                    tokens.take_while(|it| column.is_some_and(|at| it.get_dst_col() <= at));
                let token = before.last().unwrap_or(first);
                Some((token.get_src_line(), token.get_src_col()))
            }
        }
    }
}
