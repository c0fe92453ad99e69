//! The control socket.

use std::io::{Read, Write};
use std::net::Shutdown;

use steroids_shim::exit::Reason;
use steroids_shim::protocol::{Message, Request};

use crate::harness::{Case, until};

const HELLO: Request = Request::Hello { hints: true };

fn idle() -> Case {
    let mut case = Case::script(": > $OUT/up; exec sleep 60");
    case.start_until("up");
    case
}

#[test]
fn it_says_who_it_is_and_how() {
    let case = idle();
    let mut client = case.connect();
    let state = case.state();
    assert_eq!(
        client.ask(&HELLO),
        Message::Hello {
            proto: 1,
            uuid: case.spec.uuid.clone(),
            shim_pid: state.shim_pid,
            agent_pid: state.agent_pid,
        }
    );
    let Message::Stat(stat) = client.ask(&Request::Stat) else {
        panic!("asked for a stat");
    };
    assert_eq!(
        (stat.phase.as_str(), stat.waiting, stat.paused),
        ("running", 0, false)
    );
}

#[test]
fn who_said_hello_gets_hints_up_to_the_last_byte_and_then_the_end() {
    let mut case = Case::script("read x < $OUT/fifo; seq 1 50000; exit 0");
    let mut fifo = case.fifo();
    case.start();
    let mut client = case.connect();
    client.ask(&HELLO);
    fifo.write_all(b"go\n").unwrap();
    let mut last = 0;
    let mut endings = Vec::new();
    while let Some(message) = client.hear() {
        match message {
            Message::Spool { length } => {
                assert!(length > last);
                last = length;
            }
            Message::Ending { what } => endings.push(what),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(endings, ["draining", "recording"]);
    assert_eq!(case.exit().spool_length, last);
}

#[test]
fn a_stop_is_answered_and_on_record() {
    let mut case = idle();
    let mut client = case.connect();
    assert_eq!(
        client.ask(&Request::Stop {
            grace_ms: None,
            why: None,
            shutdown: false,
        }),
        Message::Stopping
    );
    assert_eq!(case.ran().ended_by, Some(Reason::Stop));
}

#[test]
fn nonsense_is_answered_and_harms_nobody() {
    let mut case = idle();
    let mut client = case.connect();
    client.say("{\"v\":1,\"op\":\"dance\"}\nnonsense\n\u{0}\n");
    for _ in 0..3 {
        assert!(matches!(client.hear(), Some(Message::Error { .. })));
    }
    // Longer than a line may be: told so, and let go.
    let _ = client.stream.write_all(&[b'x'; 10_000]);
    let mut rest = Vec::new();
    let _ = client.stream.read_to_end(&mut rest);
    // One that leaves in the middle of a line, and one that has said all it wants to.
    case.connect().say("{\"v\":1,");
    let mut short = case.connect();
    short.say("{\"v\":1,\"op\":\"kill\"}\n");
    short.stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(short.hear(), Some(Message::Killed));
    case.ran();
}

#[test]
fn who_wants_no_hints_hears_the_end_alone() {
    let mut case = Case::script("read x < $OUT/fifo; seq 1 50000; exit 0");
    let mut fifo = case.fifo();
    case.start();
    let mut client = case.connect();
    client.ask(&HELLO);
    client.ask(&Request::Hello { hints: false });
    fifo.write_all(b"go\n").unwrap();
    let heard: Vec<_> = std::iter::from_fn(|| client.hear()).collect();
    let endings = ["draining", "recording"].map(|what| Message::Ending {
        what: what.to_owned(),
    });
    assert_eq!(heard, endings);
    case.exit();
}

#[test]
fn one_that_never_reads_is_dropped_and_the_number_is_bounded() {
    let case = idle();
    let mut deaf = case.connect();
    deaf.stream.set_nonblocking(true).unwrap();
    until("it to be dropped", || {
        deaf.stream
            .write_all("{\"v\":1,\"op\":\"stat\"}\n".repeat(100).as_bytes())
            .err()
            .filter(|error| error.kind() != std::io::ErrorKind::WouldBlock)
    });
    let mut clients: Vec<_> = (0..8).map(|_| case.connect()).collect();
    for client in &mut clients {
        client.ask(&HELLO);
    }
    assert_eq!(case.connect().hear(), None);
    drop(clients);
    until("room for another one", || case.connect().try_ask(&HELLO));
}
