//! A spool's file, whatever stands in it, and while it grows.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;

use steroids_provider::activity::{Level, Stream};
use steroids_shim::exit::Reason;
use steroids_shim::spool::{
    Control, LONGEST_PAYLOAD, OVERHEAD, PAYLOAD_OFFSET, Payload, Reader, SpoolError,
    append_control, append_output, whole_records,
};

use super::scratch;
use super::script::Script;
use super::spool_model::{self, Model, Stop};

/// A reader gives what the documentation says stands in the file, and stops where that ends; the
/// same while the file grows, and from any record on.
///
/// The script: how the file is made; what is then changed in it; how it grows; then its bytes.
pub fn spool(input: &[u8]) {
    let mut script = Script::new(input);
    let how = script.byte();
    let edits: Vec<_> = (0..how / 4 % 4)
        .map(|_| (script.byte(), script.number(), script.byte()))
        .collect();
    let mut growth = script.sizes();
    let mut file = match how % 4 {
        0 => script.rest().to_vec(),
        1 => framed(&mut script),
        _ => written(&mut script),
    };
    for edit in edits {
        tamper(&mut file, edit);
    }
    let pieces = growth.cut(&file, 24);
    check(&file, &pieces);
}

fn check(file: &[u8], pieces: &[&[u8]]) {
    let (records, end, stop) = spool_model::records(file);
    let folder = scratch();
    let path = folder.path().join("spool");
    fs::write(&path, file).expect("the file can be written");

    let all: Vec<&Model<'_>> = records.iter().collect();
    let mut reader = open(&path, 0);
    assert_eq!(read(&mut reader, &all), (all.len(), stop));
    assert_eq!(reader.position(), end);
    // It says the same again.
    assert_eq!(read(&mut reader, &[]), (0, stop));
    if stop == Stop::Waiting {
        assert_eq!(whole_records(file) as u64, end);
    }

    let middle = records.len() / 2;
    if let Some(record) = records.get(middle) {
        let mut later = open(&path, record.raw - PAYLOAD_OFFSET as u64);
        let rest = all.len() - middle;
        assert_eq!(read(&mut later, &all[middle..]), (rest, stop));
    }

    fs::write(&path, b"").expect("the file can be emptied");
    let mut growing = OpenOptions::new()
        .append(true)
        .open(&path)
        .expect("the file can be opened");
    let mut reader = open(&path, 0);
    let mut seen = 0;
    let mut last = Stop::Waiting;
    for piece in pieces {
        growing.write_all(piece).expect("the file can grow");
        let (count, stopped) = read(&mut reader, &all[seen..]);
        seen += count;
        last = stopped;
    }
    assert_eq!(
        (seen, last),
        (
            all.len(),
            if file.is_empty() { Stop::Waiting } else { stop }
        )
    );
}

fn open(path: &Path, at: u64) -> Reader {
    Reader::open_at(path, at).expect("a file that is there can be opened")
}

/// Reads to the end, holding each record against the one that was expected.
fn read(reader: &mut Reader, expected: &[&Model<'_>]) -> (usize, Stop) {
    let mut count = 0;
    loop {
        let position = reader.position();
        let record = match reader.next() {
            Ok(Some(record)) => record,
            Ok(None) => return (count, Stop::Waiting),
            Err(SpoolError::Damaged { offset, .. }) => {
                assert_eq!(offset, position);
                return (count, Stop::Damaged);
            }
            Err(error) => panic!("{error}"),
        };
        let model = expected.get(count).expect("one record more than there is");
        let at = (record.at.wall_ms, record.at.mono_ms, record.at.raw);
        assert_eq!(at, (model.wall_ms, model.mono_ms, model.raw));
        match record.payload {
            Payload::Output { stream, bytes } => {
                let id = match stream {
                    Stream::Stdout => 1,
                    Stream::Stderr => 2,
                };
                assert_eq!((id, bytes), (model.stream, model.payload));
            }
            Payload::Control(control) => {
                assert!(!matches!(model.stream, 1 | 2), "a pipe's record is output");
                reads_back(&control);
            }
        }
        count += 1;
    }
}

/// What was understood is written so that it is understood again.
fn reads_back(control: &Control) {
    if matches!(control, Control::Other(_)) {
        return;
    }
    let mut bytes = Vec::new();
    append_control(&mut bytes, 1, 2, control);
    // A text of control characters alone is six times as long when written, and cut.
    if bytes.len() < LONGEST_PAYLOAD / 6 {
        let folder = scratch();
        let path = folder.path().join("again");
        fs::write(&path, &bytes).expect("the file can be written");
        let mut reader = open(&path, 0);
        let again = reader.next().expect("it is whole").expect("it is there");
        assert_eq!(again.payload, Payload::Control(control.clone()));
    }
}

/// Records with any header, and the right checksum.
fn framed(script: &mut Script<'_>) -> Vec<u8> {
    let mut file = Vec::new();
    while !script.is_empty() {
        let odd = script.byte();
        let (stream, wanted) = (script.byte(), usize::from(script.byte()));
        let payload = script.take(wanted);
        let mut header = *b"sp\x01\0\0\0\0\0\0\0\0\0wallwallmonomono";
        header[3] = stream;
        header[8..12].copy_from_slice(&(payload.len() as u32).to_le_bytes());
        if odd & 0x80 != 0 {
            header[usize::from(odd) % PAYLOAD_OFFSET] ^= script.byte();
        }
        spool_model::append(&mut file, &header, payload);
    }
    file
}

/// Records as the shim writes them.
fn written(script: &mut Script<'_>) -> Vec<u8> {
    let mut file = Vec::new();
    while !script.is_empty() {
        let (what, times) = (script.byte(), script.number());
        let length = usize::from(what / 8) * if what & 4 == 0 { 1 } else { 50 };
        let bytes = script.take(length);
        let (wall_ms, mono_ms) = (u64::from(times) << 20, u64::from(times));
        let text = || String::from_utf8_lossy(bytes).into_owned();
        let control = match what % 8 {
            0 | 4 => {
                append_output(&mut file, wall_ms, mono_ms, Stream::Stdout, bytes);
                continue;
            }
            1 | 5 => {
                append_output(&mut file, wall_ms, mono_ms, Stream::Stderr, bytes);
                continue;
            }
            2 => Control::Input { msg: text() },
            3 => Control::Notice {
                level: Level::Warn,
                msg: text(),
            },
            6 => Control::Stop {
                by: Reason::PostResult,
                why: Some(text()),
            },
            _ => Control::Other(text()),
        };
        append_control(&mut file, wall_ms, mono_ms, &control);
    }
    assert_eq!(whole_records(&file), file.len());
    let (records, end, stop) = spool_model::records(&file);
    assert_eq!((end, stop), (file.len() as u64, Stop::Waiting));
    let payload: usize = records.iter().map(|record| record.payload.len()).sum();
    assert_eq!(file.len(), payload + records.len() * OVERHEAD);
    file
}

/// Changes a byte, cuts, puts bytes in, or doubles a part: as disks, crashes and people do.
pub(super) fn tamper(file: &mut Vec<u8>, (how, at, what): (u8, u16, u8)) {
    if file.is_empty() {
        return;
    }
    let at = (usize::from(at) * file.len()) >> 16;
    match how % 6 {
        0 => file[at] ^= what | 1,
        1 => file.truncate(at),
        2 => file.insert(at, what),
        3 => file.extend_from_within(at..),
        4 => file.resize(file.len() + usize::from(what), 0),
        _ => {
            let end = (at + usize::from(what)).min(file.len());
            file.drain(at..end);
        }
    }
}
