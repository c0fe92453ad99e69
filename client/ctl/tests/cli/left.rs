//! A stream that ends before its invocation does: where a person and a script go on.

use std::fs::File;
use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::fake::{Fake, invocation};
use crate::harness::{Running, command, finish, run, through};
use steroids_proto::v1;

/// One that runs, and has said two lines.
fn two_lines() -> Fake {
    let fake = Fake::start();
    fake.world(|world| {
        world.invocations.push(invocation(1, v1::State::Running));
        for n in 0..2 {
            world.line(1, format!(r#"{{"ts":{n},"type":"output","msg":"{n}"}}"#));
        }
    });
    fake
}

/// The last note.
fn note(stderr: &str) -> Value {
    let mut lines = stderr.lines().filter_map(|line| {
        let mut line: Value = serde_json::from_str(line).unwrap();
        line.get_mut("note").map(Value::take)
    });
    lines.next_back().unwrap_or_default()
}

/// Reads two lines, and has it end by a signal.
fn by(fake: &Fake, arguments: &[&str], signal: Signal) -> (std::process::ExitStatus, String) {
    let mut stream = Running::start(command(fake, arguments));
    stream.line();
    stream.line();
    stream.signal(signal);
    let (status, _, stderr) = stream.end();
    (status, stderr)
}

#[test]
fn a_script_that_is_told_to_end_has_the_cursor() {
    let fake = two_lines();
    for arguments in [
        &["stream", "1", "--json"][..],
        &["stream", "--all", "--json"],
    ] {
        let (status, stderr) = by(&fake, arguments, Signal::INT);
        assert_eq!(status.code(), Some(130));
        assert_eq!(note(&stderr)["cursor"], "c2", "{stderr}");
        let (status, stderr) = by(&fake, arguments, Signal::HUP);
        assert_eq!(status.signal(), Some(1), "{status:?}");
        assert_eq!(note(&stderr)["cursor"], "c2", "{stderr}");
        let (status, stderr) = by(&fake, arguments, Signal::TERM);
        assert_eq!(status.signal(), Some(15), "{status:?}");
        assert_eq!(note(&stderr)["cursor"], "c2", "{stderr}");
        let message = note(&stderr)["message"].to_string();
        assert!(message.contains("--after c2"), "{stderr}");
    }
    let rest = ["stream", "1", "--json", "--after", "c2", "--no-follow"];
    assert_eq!(run(&fake, &rest).stdout, "");
}

/// As when the terminal is closed of which `nohup` was told to be independent.
#[test]
fn who_is_to_outlive_the_terminal_does() {
    let fake = two_lines();
    let mut stream = Running::start(through("nohup", &fake, &["stream", "1", "--json"]));
    stream.line();
    stream.line();
    stream.signal(Signal::HUP);
    fake.world(|world| world.line(1, r#"{"ts":3,"type":"complete","outcome":"success"}"#));
    assert!(stream.line().contains("complete"));
    let (status, _, stderr) = stream.end();
    assert_eq!(status.code(), Some(0), "{stderr}");
}

/// Nothing was read of it, so there is no cursor; what to go on with is told all the same.
#[test]
fn a_script_that_leaves_before_the_first_line_has_the_invocation() {
    let fake = Fake::start();
    fake.world(|world| world.invocations.push(invocation(1, v1::State::Running)));
    let ran = run(&fake, &["stream", "1", "--no-follow", "--json"]);
    let said = note(&ran.stderr);
    assert_eq!((ran.code, &said["invocationId"]), (0, &json!(1)), "{ran:?}");
    assert_eq!(said["cursor"], Value::Null);
}

#[test]
fn a_person_whose_stream_is_ended_is_told_how_to_come_back() {
    let (status, stderr) = by(&two_lines(), &["stream", "1"], Signal::TERM);
    assert_eq!(status.signal(), Some(15), "{status:?}");
    assert_eq!(
        stderr,
        "left; invocation 1 goes on — stop it with: steroidsctl stop 1\n\
         come back with: steroidsctl stream 1 --after c2\n"
    );
}

#[test]
fn output_that_cannot_be_written_ends_where_it_was() {
    let fake = two_lines();
    let full = || File::options().write(true).open("/dev/full").unwrap();
    let after = ["stream", "1", "--after", "c1", "--json"];
    let mut json = command(&fake, &after);
    json.stdout(full());
    let ran = finish(&fake, json);
    assert_eq!(ran.code, 75, "{ran:?}");
    let said = json!({"message": "go on with: steroidsctl stream 1 --after c1", "cursor": "c1", "invocationId": 1});
    assert_eq!(note(&ran.stderr), said, "{ran:?}");
    let error = ran.stderr.lines().last().unwrap();
    assert!(error.starts_with(r#"{"error":{"code":"io""#), "{ran:?}");

    let mut text = command(&fake, &after[..4]);
    text.stdout(full());
    let ran = finish(&fake, text);
    let said = "go on with: steroidsctl stream 1 --after c1\nerror: could not write the output";
    assert!(ran.stderr.starts_with(said), "{ran:?}");
}

#[test]
fn a_script_whose_reader_leaves_has_the_cursor() {
    let fake = two_lines();
    let arguments = ["stream", "1", "--json", "--exit-status"];
    let mut stream = Running::start(command(&fake, &arguments));
    stream.line();
    stream.line();
    stream.close();
    let (status, _, stderr) = stream.end();
    assert_eq!(status.code(), Some(75));
    assert_eq!(note(&stderr)["cursor"], "c2", "{stderr}");
}

#[test]
fn what_there_is_ends_with_the_cursor_only_where_more_may_come() {
    let fake = two_lines();
    let ran = run(&fake, &["stream", "1", "--no-follow", "--json"]);
    assert_eq!((ran.code, &note(&ran.stderr)["cursor"]), (0, &json!("c2")));
    fake.world(|world| world.line(1, r#"{"ts":3,"type":"complete","outcome":"success"}"#));
    let ran = run(&fake, &["stream", "1", "--no-follow", "--json"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
}

#[test]
fn a_cursor_that_is_refused_is_not_given_back() {
    let arguments = ["stream", "1", "--json", "--after", "nonsense"];
    let ran = run(&two_lines(), &arguments);
    assert_eq!((ran.code, note(&ran.stderr)), (2, Value::Null), "{ran:?}");
}

/// Two lines are read, and of a third one only what a pipe takes.
fn stalled(fake: &Fake, arguments: &[&str]) -> Running {
    let mut stream = Running::start(command(fake, arguments));
    stream.line();
    stream.line();
    let long = "x".repeat(200 * 1024);
    fake.world(|world| world.line(1, format!(r#"{{"ts":2,"type":"output","msg":"{long}"}}"#)));
    stream.until_written();
    stream
}

#[test]
fn a_script_that_is_ended_while_nobody_reads_has_the_cursor() {
    for arguments in [
        &["stream", "1", "--json"][..],
        &["stream", "1", "--json", "--exit-status"],
    ] {
        let fake = two_lines();
        let stream = stalled(&fake, arguments);
        stream.signal(Signal::TERM);
        let (status, stderr) = stream.end_unread(|_| {});
        assert_eq!(status.signal(), Some(15), "{status:?}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert_eq!(note(&stderr)["cursor"], "c2", "{stderr}");
        assert_eq!(note(&stderr)["invocationId"], 1, "{stderr}");
    }
    let fake = two_lines();
    let stream = stalled(&fake, &["stream", "1"]);
    // Two that come as one would be one.
    let (status, stderr) = stream.end_unread(|stream| stream.interrupt());
    assert_eq!(status.code(), Some(130));
    let said = "go on with: steroidsctl stream 1 --after c2\n";
    assert_eq!(stderr, said);
}

/// What is said last waits for nobody.
#[test]
fn a_script_whose_notes_nobody_reads_is_ended_all_the_same() {
    let fake = two_lines();
    let (reader, pipe) = std::io::pipe().unwrap();
    let mut json = command(&fake, &["stream", "1", "--json"]);
    let long = "x".repeat(200 * 1024);
    fake.world(|world| world.line(1, format!(r#"{{"ts":2,"type":"output","msg":"{long}"}}"#)));
    json.stdout(pipe.try_clone().unwrap()).stderr(pipe);
    let stream = Running::start(json);
    // Nobody tells how full a pipe is that is not to be read.
    while rustix::io::ioctl_fionread(&reader).unwrap() < 60_000 {
        std::thread::sleep(Duration::from_millis(10));
    }
    stream.signal(Signal::TERM);
    let (status, _) = stream.end_unread(|_| {});
    assert_eq!(status.signal(), Some(15), "{status:?}");
}
