//! What changes when a person sits at a terminal: colours, widths, and the line that shows that
//! waiting goes on. The terminal is a real one, of the kernel's pseudo kind.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::process::Command;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::fake::{Fake, invocation};
use crate::harness::command;
use steroids_proto::v1;

/// A terminal of so many columns: our end, and the program's.
fn terminal(columns: u16) -> (File, OwnedFd) {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let path = ptsname(&ours, Vec::new()).unwrap();
    let theirs = File::options()
        .read(true)
        .write(true)
        .open(path.to_str().unwrap())
        .unwrap();
    let size = Winsize {
        ws_row: 24,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(&theirs, size).unwrap();
    (File::from(ours), theirs.into())
}

/// Runs it at a terminal; all that appeared there.
fn shown(mut command: Command, columns: u16, until: impl FnOnce(&mut File) -> String) -> String {
    let (mut screen, theirs) = terminal(columns);
    command
        .env("TERM", "xterm-256color")
        .stdout(theirs.try_clone().unwrap())
        .stderr(theirs);
    let mut child = command.spawn().unwrap();
    // Our copies of its end must go, or its last close would not be seen here.
    drop(command);
    let mut text = until(&mut screen);
    let mut rest = Vec::new();
    // The kernel reports the other end's close as an error, after all bytes were read.
    let _ = screen.read_to_end(&mut rest);
    text.push_str(&String::from_utf8_lossy(&rest));
    assert_eq!(child.wait().unwrap().code(), Some(0));
    text
}

fn until(screen: &mut File, what: &str) -> String {
    let mut text = Vec::new();
    let mut byte = [0];
    while !String::from_utf8_lossy(&text).contains(what) {
        screen.read_exact(&mut byte).unwrap();
        text.push(byte[0]);
    }
    String::from_utf8(text).unwrap()
}

#[test]
fn a_list_fits_the_terminal_and_has_colours() {
    let fake = Fake::start();
    fake.world(|world| {
        let mut long = invocation(1, v1::State::Completed);
        long.task_id = "a-task-whose-name-goes-on-and-on-and-on-and-on".to_owned();
        long.model = "a-model-with-a-rather-long-name-20260101".to_owned();
        world.invocations.push(long);
    });
    let text = shown(command(&fake, &["list"]), 80, |_| String::new());
    assert!(text.contains("\u{1b}[1mID\u{1b}[0m"), "{text}");
    let plain = text.replace("\u{1b}[0m", "");
    for line in plain.lines() {
        let visible = line
            .split('\u{1b}')
            .map(|part| part.split_once('m').map_or(part, |(_, rest)| rest))
            .collect::<String>();
        assert!(visible.trim_end().chars().count() <= 80, "{visible}");
    }
    assert!(plain.contains('…'), "{plain}");
}

#[test]
fn help_has_colours_unless_somebody_wants_none() {
    let fake = Fake::absent();
    let help = |arguments: &[&str]| shown(command(&fake, arguments), 80, |_| String::new());
    assert!(help(&["--help"]).contains("\u{1b}["));
    for arguments in [
        &["--no-color", "--help"][..],
        &["start", "--help", "--no-color"],
        &["--no-color", "help", "list"],
    ] {
        let text = help(arguments);
        assert!(text.contains("Usage:"), "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
    }
}

#[test]
fn waiting_shows_what_is_waited_for_and_leaves_no_trace() {
    let fake = Fake::start();
    fake.world(|world| {
        world.invocations.push(invocation(1, v1::State::Running));
        world.line(
            1,
            r#"{"ts":1,"type":"usage","inputTokens":1200,"outputTokens":34}"#,
        );
        world.line(
            1,
            r#"{"ts":2,"type":"tool","cmd":"make world","callId":"a"}"#,
        );
    });
    let text = shown(command(&fake, &["stream", "1"]), 80, |screen| {
        let text = until(screen, "1.2k in, 34 out · make world\u{1b}[0m\u{1b}[K");
        fake.world(|world| world.line(1, r#"{"ts":3,"type":"complete","outcome":"success"}"#));
        text
    });
    let after = text.rsplit("\u{1b}[K").next().unwrap();
    assert!(
        after.contains("success") && !after.contains("make world"),
        "{text:?}"
    );
    assert!(text.contains("\r\u{1b}[K\u{1b}[2m00:00:00"), "{text:?}");
}
