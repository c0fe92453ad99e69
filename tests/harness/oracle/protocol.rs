//! What a daemon and a shim tell each other: the lines of the socket, and the files of the state
//! folder, whatever stands in them.

use std::fs;

use steroids_provider::activity::{Activity, Stamp};
use steroids_provider::decoder::Decoder;
use steroids_provider::encode::encode_line;
use steroids_provider::kind::{Format, Kind};
use steroids_shim::exit::ExitRecord;
use steroids_shim::paths::InvDir;
use steroids_shim::protocol::{decode, decode_request, encode, encode_message};
use steroids_shim::spec::Spec;
use steroids_shim::state::State;
use steroidsd::projection::ending_of;

use super::script::Script;
use super::{log_line, scratch};

/// A line or file is refused, or read and written so that it is read the same again; and what an
/// exit record says can be put into a log and a row.
///
/// The script: which of them it is; then its bytes.
pub fn protocol(input: &[u8]) {
    let mut script = Script::new(input);
    let which = script.byte();
    let bytes = script.rest();
    match which % 4 {
        0 => lines(bytes),
        1 => exit(bytes),
        2 => state(bytes),
        _ => spec(bytes),
    }
}

fn lines(bytes: &[u8]) {
    let Ok(line) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(message) = decode(line) {
        let written = encode_message(&message);
        assert_eq!(written.matches('\n').count(), 1);
        let again = decode(&written).expect("what is written can be read");
        assert_eq!(again, message);
    }
    if let Ok(request) = decode_request(line) {
        let again = decode_request(&encode(&request)).expect("what is written can be read");
        assert_eq!(again, request);
    }
}

fn exit(bytes: &[u8]) {
    let folder = scratch();
    let dir = InvDir::at(folder.path());
    fs::write(dir.exit(), bytes).expect("the file can be written");
    let Ok(Some(record)) = ExitRecord::load(&dir) else {
        return;
    };
    record.store(&dir).expect("what is read can be written");
    let again = ExitRecord::load(&dir).expect("what is written can be read");
    let again = again.expect("it is there");
    // An error that is too long is cut, once.
    again.store(&dir).expect("what is read can be written");
    let third = ExitRecord::load(&dir).expect("what is written can be read");
    assert_eq!(third.as_ref(), Some(&again));
    assert_eq!(again.facts(), record.facts());

    let ending = ending_of(&record, None, 1_000);
    assert!(ending.duration_ms >= 0 && ending.completed_ms >= 0);
    if let Some(facts) = record.facts() {
        let mut log = Vec::new();
        let mut sink = |at: Stamp, activity: &Activity<'_>| encode_line(&mut log, at, activity);
        let at = Stamp {
            wall_ms: record.ended_ms,
            mono_ms: 0,
            raw: record.spool_length,
        };
        let verdict = Decoder::new(Kind::Claude, Format::Json).end(at, &facts, &mut sink);
        assert_eq!(log_line::lines(&log).len(), 1);
        let ending = ending_of(&record, Some(&verdict), u64::MAX);
        assert_eq!(ending.outcome, verdict.outcome);
    }
}

fn state(bytes: &[u8]) {
    let folder = scratch();
    let dir = InvDir::at(folder.path());
    fs::write(dir.state(), bytes).expect("the file can be written");
    if let Ok(Some(state)) = State::load(&dir) {
        state.store(&dir).expect("what is read can be written");
        let again = State::load(&dir).expect("what is written can be read");
        assert_eq!(again, Some(state));
    }
}

fn spec(bytes: &[u8]) {
    let folder = scratch();
    let dir = InvDir::at(folder.path());
    fs::write(dir.spec(), bytes).expect("the file can be written");
    if let Ok(spec) = Spec::load(&dir) {
        spec.store(&dir).expect("what is read can be written");
        let again = Spec::load(&dir).expect("what is written can be read");
        assert_eq!(again, spec);
    }
}
