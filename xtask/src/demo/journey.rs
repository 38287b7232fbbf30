//! `--data complete-journey`: a public year of supermarket baskets, converted by the example's own
//! script, taken with `stampcard ingest`, and compared with what the data say.

use super::report;
use crate::Failure;
use crate::cargo::{must, printed, program};
use serde_json::Value;
use stampcard_tests::binary::{self, root};
use stampcard_tests::server::Server;
use stampcard_tests::shop::Keys;
use std::path::PathBuf;

/// The example does all of it: the environment, the download, the shop, the year, the comparison.
pub fn run() -> Result<(PathBuf, Keys, Server), Failure> {
    let work = root().join("target/complete-journey");
    let script = "examples/complete-journey/run.py";
    must(program(
        "python3",
        &[
            script,
            "--work",
            work.to_str().expect("the root has a name in UTF-8"),
        ],
    ))?;
    let dir = work.join("shop");
    let keys = keys(&dir)?;
    let server = Server::start(&dir, &keys, &[]);
    println!("\n{:<34}{:>9}", "segments today", "members");
    for segment in server.get("/v1/segments")["segments"]
        .as_array()
        .into_iter()
        .flatten()
    {
        println!(
            "{:<34}{:>9}",
            segment["segment"].as_str().unwrap_or_default(),
            segment["members"].as_u64().unwrap_or(0)
        );
    }
    println!("\nOne household:\n");
    report::print_explanation(&dir, "complete-journey/900", None)?;
    Ok((dir, keys, server))
}

/// New keys: those that `init` printed are gone with the example's output.
fn keys(dir: &std::path::Path) -> Result<Keys, Failure> {
    let key = |role: &str| -> Result<String, Failure> {
        let command = binary::command([
            "key".as_ref(),
            "add".as_ref(),
            dir.as_os_str(),
            role.as_ref(),
            "--json".as_ref(),
        ]);
        let printed = printed(command)?;
        let parsed: Value = serde_json::from_str(&printed).unwrap_or_default();
        let key = parsed["key"].as_str().map(str::to_owned);
        key.ok_or(Failure::Printed {
            program: "stampcard key add".into(),
            printed,
        })
    };
    Ok(Keys {
        operator: key("operator")?,
        pos: key("pos")?,
        read: key("read")?,
    })
}
