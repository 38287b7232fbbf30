//! `cargo xtask rows`: how many requirement rows work, by group.

use crate::Failure;
use stampcard_tests::rows;

pub fn run() -> Result<(), Failure> {
    let rows = rows::load();
    println!("{:<8}{:>6}", "group", "rows");
    for (group, count) in rows::groups(&rows) {
        println!("{group:<8}{count:>6}");
    }
    println!("{:<8}{:>6}", "all", rows.len());
    Ok(())
}
