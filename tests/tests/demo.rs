//! `cargo xtask demo`: it prints what it promises, and the commands that it prints work.

use rustix::process::{Pid, Signal, kill_process_group};
use stampcard_tests::binary::{self, root};
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

/// Ends the demo and its server, as Ctrl-C does.
struct Demo(Child);

impl Drop for Demo {
    fn drop(&mut self) {
        kill_process_group(Pid::from_child(&self.0), Signal::INT).ok();
        self.0.wait().ok();
    }
}

#[test]
fn the_demo_prints_what_happened_and_leaves_a_server_that_answers_its_commands() {
    let mut child = Command::new(binary::xtask())
        .args(["demo", "--small", "--seed", "7"])
        .env("STAMPCARD_BIN", binary::path())
        .current_dir(root())
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()
        .expect("xtask runs");
    let stdout = child.stdout.take().expect("it is piped");
    let demo = Demo(child);
    let mut printed = Vec::new();
    for line in BufReader::new(stdout).lines().map_while(Result::ok) {
        let is_last = line.contains("until you press Ctrl-C");
        printed.push(line);
        if is_last {
            break;
        }
    }
    let text = printed.join("\n");
    for part in [
        "segments ",
        "points ",
        "tiers ",
        "follow-ups ",
        "Measured: ",
        "a second, each on disk before its answer left",
        "entered vip",
        "What each plugin saw, decided and noted:",
        "until you press Ctrl-C",
    ] {
        assert!(
            text.contains(part),
            "the demo did not print {part:?}:\n{text}"
        );
    }
    let commands: Vec<&str> = printed
        .iter()
        .map(|line| line.trim())
        .filter(|line| line.starts_with("curl "))
        .collect();
    assert!(commands.len() >= 4, "{text}");
    for command in commands {
        let script = format!("{}\n{command}", binary::curl());
        let output = Command::new("bash")
            .args(["-c", &script])
            .output()
            .expect("bash runs");
        let answer = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success() && !answer.is_empty(),
            "{command}\n{answer}"
        );
    }
    drop(demo);
}
