//! `cargo xtask test`: the gate. One optimised build of everything, every test, the doctests, and
//! the format and the lints where their tools are installed.

use crate::cargo::{cargo, must, not_started, succeeds};
use crate::{Failure, setup};
use std::fmt;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Packages whose documentation has examples that are run.
const WITH_DOCTESTS: [&str; 1] = ["stampcard-sdk"];
/// How many of the slowest tests are named at the end.
const SLOWEST: usize = 10;

/// What the tests came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    pub passed: usize,
    pub failed: usize,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

pub fn run() -> Result<(), Failure> {
    let began = Instant::now();
    setup::wasm_target()?;
    // Binaries and tests in one build: cargo unites the features of what it builds together, and
    // two builds would compile wasmtime twice.
    must(cargo(&[
        "build",
        "--release",
        "--workspace",
        "--all-targets",
    ]))?;
    let mut tests = Tests::default();
    if succeeds(cargo(&["nextest", "--version"])) {
        tests.nextest()?;
    } else {
        tests.plain(&[
            "test",
            "--release",
            "--workspace",
            "--all-targets",
            "--no-fail-fast",
        ])?;
    }
    for package in WITH_DOCTESTS {
        tests.plain(&[
            "test",
            "--release",
            "--doc",
            "--no-fail-fast",
            "--package",
            package,
        ])?;
    }
    tests.tool(
        "cargo fmt",
        &["fmt", "--version"],
        &["fmt", "--all", "--check"],
    )?;
    let lints = [
        "clippy",
        "--release",
        "--workspace",
        "--all-targets",
        // What only the bench builds is looked at here, so that it stays true.
        "--features",
        "xtask/measure",
        "--",
        "--deny",
        "warnings",
    ];
    tests.tool("cargo clippy", &["clippy", "--version"], &lints)?;
    tests.print_slowest();
    println!("\nthe gate took {} s", began.elapsed().as_secs());
    let verdict = tests.verdict;
    println!("{verdict}");
    if verdict.failed == 0 {
        Ok(())
    } else {
        Err(Failure::Tests(verdict))
    }
}

#[derive(Default)]
struct Tests {
    verdict: Verdict,
    slow: Vec<(Duration, String)>,
}

impl Tests {
    /// Every test but the doctests, in processes of their own, two and more at a time.
    fn nextest(&mut self) -> Result<(), Failure> {
        let color = "--color=never";
        let mut command = cargo(&[
            "nextest",
            "run",
            "--release",
            "--workspace",
            "--all-targets",
            "--no-fail-fast",
            color,
        ]);
        // It tells each test on standard error as it ends; one line is one test.
        let mut child = command
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|source| not_started(&command, source))?;
        let mut told = false;
        for line in BufReader::new(child.stderr.take().expect("it is piped"))
            .lines()
            .map_while(Result::ok)
        {
            eprintln!("{line}");
            match Told::read(&line) {
                // Failures are told once more in the summary at the end.
                Some(test) if !told => self.count(test.passed, test.took, test.name),
                _ => told |= line.trim_start().starts_with("Summary"),
            }
        }
        let status = child
            .wait()
            .map_err(|source| not_started(&command, source))?;
        self.must_explain(status.success(), "cargo nextest run")
    }

    /// cargo's own runner, for doctests and for machines without nextest.
    fn plain(&mut self, arguments: &[&str]) -> Result<(), Failure> {
        let began = Instant::now();
        let mut command = cargo(arguments);
        let mut child = command
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|source| not_started(&command, source))?;
        let failed_before = self.verdict.failed;
        for line in BufReader::new(child.stdout.take().expect("it is piped"))
            .lines()
            .map_while(Result::ok)
        {
            println!("{line}");
            let Some(result) = line.strip_prefix("test result: ") else {
                continue;
            };
            let number = |word: &str| {
                let before = result.split(word).next().unwrap_or_default().trim_end();
                before
                    .rsplit([' ', '.'])
                    .next()
                    .and_then(|text| text.parse::<usize>().ok())
                    .unwrap_or(0)
            };
            self.verdict.passed += number(" passed");
            self.verdict.failed += number(" failed");
        }
        let status = child
            .wait()
            .map_err(|source| not_started(&command, source))?;
        self.slow
            .push((began.elapsed(), format!("cargo {}", arguments.join(" "))));
        let explained = status.success() || self.verdict.failed > failed_before;
        self.must_explain(explained, "cargo test")
    }

    /// A check that counts as one test, if its tool is installed.
    fn tool(&mut self, name: &str, is_there: &[&str], check: &[&str]) -> Result<(), Failure> {
        if !succeeds(cargo(is_there)) {
            println!("{name} is not installed, and is skipped");
            return Ok(());
        }
        let began = Instant::now();
        let passed = must(cargo(check)).is_ok();
        self.count(passed, began.elapsed(), name.to_owned());
        Ok(())
    }

    fn count(&mut self, passed: bool, took: Duration, name: String) {
        match passed {
            true => self.verdict.passed += 1,
            false => self.verdict.failed += 1,
        }
        self.slow.push((took, name));
    }

    /// A runner that fails without a failed test did not run the tests at all.
    fn must_explain(&self, explained: bool, runner: &str) -> Result<(), Failure> {
        if explained || self.verdict.failed > 0 {
            Ok(())
        } else {
            Err(Failure::Program(runner.to_owned()))
        }
    }

    fn print_slowest(&mut self) {
        self.slow.sort_by_key(|(took, _)| std::cmp::Reverse(*took));
        println!("\nthe slowest");
        for (took, name) in self.slow.iter().take(SLOWEST) {
            println!("{:>8.2} s  {name}", took.as_secs_f64());
        }
    }
}

/// One test as nextest tells it: `PASS [   0.012s] (1/9) package::binary name`.
struct Told {
    passed: bool,
    took: Duration,
    name: String,
}

impl Told {
    fn read(line: &str) -> Option<Told> {
        let (status, rest) = line.trim_start().split_once(" [")?;
        let passed = match status {
            "PASS" | "LEAK" => true,
            "FAIL" | "ABORT" | "TIMEOUT" | "SIGSEGV" | "SIGABRT" | "SIGKILL" => false,
            _ => return None,
        };
        let (seconds, rest) = rest.split_once("s]")?;
        let name = match rest.trim_start().split_once(") ") {
            Some((count, name)) if count.starts_with('(') => name,
            _ => rest,
        };
        let took =
            Duration::try_from_secs_f64(seconds.trim().trim_start_matches('>').parse().ok()?)
                .ok()?;
        Some(Told {
            passed,
            took,
            name: name.trim().to_owned(),
        })
    }
}
