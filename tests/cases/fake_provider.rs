//! The stand-in itself: what tests build on must do what it says.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use steroids_tests::{Home, Puppet, binaries, processes};

fn run(args: &[&str]) -> Output {
    let mut command = Command::new(binaries::fake_provider());
    command.args(args).stdin(Stdio::null());
    command.output().unwrap()
}

fn stdout(args: &[&str]) -> String {
    let output = run(args);
    assert!(output.status.success(), "{args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn numbers_are_padded_and_every_kth_goes_to_stderr() {
    let output = run(&[
        "numbers",
        "--count",
        "4",
        "--bytes",
        "16",
        "--stderr-every",
        "2",
    ]);
    assert_eq!(output.stdout, b"n 000001 xxxxxx\nn 000003 xxxxxx\n");
    assert_eq!(output.stderr, b"n 000002 xxxxxx\nn 000004 xxxxxx\n");
}

#[test]
fn a_flood_has_every_line_at_its_length() {
    let text = stdout(&["flood", "--lines", "5000", "--bytes", "200"]);
    assert_eq!(text.len(), 1_000_000);
    assert!(
        text.lines()
            .zip(1..)
            .all(|(line, n)| line.starts_with(&format!("n {n:06} ")))
    );
}

#[test]
fn split_lines_are_whole_when_they_are_joined() {
    let text = stdout(&["split", "--count", "2", "--stderr-every", "1"]);
    assert_eq!(text, "n 000001 äöü ✓ end\nn 000002 äöü ✓ end\n");
}

#[test]
fn exits_and_signals_are_as_told() {
    assert_eq!(run(&["exit", "7"]).status.code(), Some(7));
    for signal in [6, 9, 11, 15] {
        assert_eq!(
            run(&["signal", &signal.to_string()]).status.signal(),
            Some(signal)
        );
    }
    assert_eq!(run(&["no-such-verb"]).status.code(), Some(64));
}

#[test]
fn the_environment_takes_precedence_over_the_arguments_of_a_cli() {
    let mut command = Command::new(binaries::fake_provider());
    command.args(["-p", "--model", "m", "--output-format", "stream-json"]);
    command.env("FAKE_PROVIDER", r#"["exit", "3", "--line", "hello there"]"#);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(output.stdout, b"hello there\n");
}

#[test]
fn facts_name_the_descriptors_and_the_arguments_it_was_given() {
    let facts: Value = serde_json::from_str(&stdout(&["facts", "-x"])).unwrap();
    assert_eq!(facts["fds"]["0"], "/dev/null");
    assert!(facts["fds"]["1"].as_str().unwrap().starts_with("pipe:"));
    assert_eq!(facts["argv"][2], "-x");
}

#[test]
fn a_grandchild_outlives_its_parent_and_is_ended_with_the_home() {
    let home = Home::new();
    let mut command = home.command(&binaries::fake_provider());
    command
        .args(["grandchild", "--setsid"])
        .stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    assert!(child.wait().unwrap().success());
    let mut held = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut held, &mut line).unwrap();
    let pid: i32 = line.trim().strip_prefix("held ").unwrap().parse().unwrap();
    assert!(processes::is_alive(pid));
    assert_eq!(home.processes()[0].pid, pid);
    drop(home);
    assert!(!processes::is_alive(pid));
}

#[test]
fn a_puppet_does_as_its_strings_are_pulled() {
    let home = Home::new();
    let mut puppet = Puppet::new(&home, "strings");
    puppet.prints("one");
    puppet.begins("tw");
    puppet.complains("hm");
    puppet.prints("o");
    puppet.exits(5);
    let mut command = home.command(&binaries::fake_provider());
    let output = command.args(puppet.args()).output().unwrap();
    assert_eq!(output.stdout, b"one\ntwo\n");
    assert_eq!(output.stderr, b"hm\n");
    assert_eq!(output.status.code(), Some(5));
}
