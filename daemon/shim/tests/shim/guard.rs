//! The guard of a program that must not outlive its asker.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};

use super::harness::{is_alive, until};

/// A guard of a shell script; its streams are ours.
fn guard(script: &str) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_steroids-shim"));
    command.args(["--guard", "/bin/sh", "-c", script]);
    command.stdin(Stdio::piped());
    command.stdout(Stdio::piped());
    command.stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Reads lines of process ids until there are so many.
fn pids(guard: &mut Child, count: usize) -> (Vec<i32>, impl Read + use<>) {
    let mut stdout = BufReader::new(guard.stdout.take().unwrap());
    let mut pids = Vec::new();
    while pids.len() < count {
        let mut line = String::new();
        assert_ne!(stdout.read_line(&mut line).unwrap(), 0, "{pids:?}");
        pids.push(line.trim().parse().unwrap());
    }
    (pids, stdout)
}

#[test]
fn what_a_guarded_program_left_behind_is_killed_and_its_code_passed_on() {
    let mut guard = guard("setsid sh -c 'echo $$; exec sleep 1000' & echo $$; read go; exit 3");
    let (pids, _stdout) = pids(&mut guard, 2);
    guard.stdin.take().unwrap().write_all(b"go\n").unwrap();
    assert_eq!(guard.wait().unwrap().code(), Some(3));
    for pid in pids {
        until("it to be gone", || (!is_alive(pid)).then_some(()));
    }
}

#[test]
fn a_guarded_program_ends_with_its_reader_though_it_will_not_be_told() {
    let script = "trap '' TERM; (setsid sh -c 'echo $$; exec sleep 1000' &) ; echo $$; \
                  while :; do sleep 1000; done";
    let mut guard = guard(script);
    let (pids, stdout) = pids(&mut guard, 2);
    drop(stdout);
    assert_eq!(guard.wait().unwrap().code(), Some(128 + 9));
    for pid in pids {
        assert!(!is_alive(pid), "{pid}");
    }
}

#[test]
fn a_guarded_program_is_asked_first() {
    let mut guard = guard("trap 'exit 7' TERM; echo $$; while :; do sleep 0.01; done");
    let (_pids, stdout) = pids(&mut guard, 1);
    drop(stdout);
    assert_eq!(guard.wait().unwrap().code(), Some(7));
}

#[test]
fn a_guarded_program_that_is_missing_is_named() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_steroids-shim"));
    let output = command.args(["--guard", "/no/such"]).output().unwrap();
    assert_eq!(output.status.code(), Some(127));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("/no/such: No such file"), "{said}");
}

#[test]
fn a_guarded_program_gets_three_descriptors_and_a_death_by_signal_is_told() {
    let mut guard = guard("ls /proc/self/fd | tr '\\n' ' '; kill -KILL $$");
    let mut said = String::new();
    let mut stdout = guard.stdout.take().unwrap();
    stdout.read_to_string(&mut said).unwrap();
    // The fourth is that of the folder it lists.
    assert_eq!(said, "0 1 2 3 ");
    assert_eq!(guard.wait().unwrap().code(), Some(128 + 9));
}
