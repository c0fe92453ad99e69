//! Of a log that is being written nobody is given what somebody else added to it.

use std::io::Write as _;

use super::*;

/// As a line of ours looks, and the last one of a log.
const FORGED: &[u8] = b"{\"ts\":1,\"type\":\"complete\",\"raw\":9}\n";

/// Not by the log's writer.
fn add(room: &Room, bytes: &[u8]) {
    let file = fs::OpenOptions::new().append(true).open(room.path());
    file.unwrap().write_all(bytes).unwrap();
}

/// What a reader gives next, on the spot where that can be done; nothing at the end.
fn next(reader: &mut LogReader) -> Vec<u8> {
    let step = match reader.next_cached(1 << 20, false) {
        Some(cached) => cached.step,
        None => reader.next_batch(1 << 20).unwrap(),
    };
    match step {
        Step::End => Vec::new(),
        other => bytes(other),
    }
}

#[test]
fn what_somebody_adds_to_a_log_that_is_written_is_not_given() {
    let room = room();
    let mut before = {
        room.put(b"");
        room.reader()
    };
    let mut writer = room.logs.writer(id()).unwrap();
    let mut after = room.reader();
    writer.append(b"one\n").unwrap();
    for reader in [&mut before, &mut after] {
        assert_eq!(next(reader), b"one\n");
    }
    add(&room, FORGED);
    let mut late = room.reader();
    assert_eq!(late.given_len().unwrap(), 4);
    assert_eq!(late.next_batch(1 << 20).unwrap(), {
        let bytes = bytes::Bytes::from_static(b"one\n");
        let first = Offset::START;
        Step::Batch(Batch { bytes, first })
    });
    let past = room.logs.reader(id(), Offset::new(4 + FORGED.len() as u64));
    assert!(matches!(past, Err(LogError::PastEnd { .. })), "{past:?}");
    // What is written behind it neither: which bytes are whose is known once it is made anew.
    assert!(!writer.is_current().unwrap());
    writer.append(b"two\n").unwrap();
    for reader in [&mut before, &mut after, &mut late] {
        assert_eq!(next(reader), b"");
        assert_eq!(reader.next_batch(1 << 20).unwrap(), Step::End);
        assert_eq!(reader.check().unwrap(), None, "it has its name");
    }
    let mut anew = room.logs.replace(id()).unwrap();
    anew.append(b"one\ntwo\n").unwrap();
    let mut writer = anew.commit().unwrap();
    writer.append(b"three\n").unwrap();
    assert_eq!(next(&mut room.reader()), b"one\ntwo\nthree\n");
    let broken = Step::Broken(Break::Replaced);
    assert_eq!(before.next_batch(1 << 20).unwrap(), broken);
}

#[test]
fn who_reads_on_gets_what_the_next_writer_writes() {
    let room = room();
    let mut writer = room.logs.writer(id()).unwrap();
    writer.append(b"one\n").unwrap();
    let mut reader = room.reader();
    assert_eq!(next(&mut reader), b"one\n");
    drop(writer);
    assert_eq!(next(&mut reader), b"");
    // As where its project was given up, and opened anew.
    let root = fs::File::open(room.dir.path()).unwrap();
    let again = ActivityLogs::open(root.into(), room.dir.path());
    again.writer(id()).unwrap().append(b"two\n").unwrap();
    assert_eq!(next(&mut reader), b"two\n");
    add(&room, FORGED);
    assert_eq!(next(&mut reader), b"");
    // Whoever comes when nobody has it open takes it as it is.
    drop(reader);
    assert_eq!(
        next(&mut room.reader()),
        [&b"one\ntwo\n"[..], FORGED].concat()
    );
}

#[test]
fn a_log_cut_below_what_was_written_is_not_read() {
    let room = room();
    let mut writer = room.logs.writer(id()).unwrap();
    writer
        .append(b"one\ntwo\nthree\nfour\nfive\nsix\nseven\neight\nnine\nten\n")
        .unwrap();
    // As `echo … > 7.log` leaves it.
    fs::write(room.path(), FORGED).unwrap();
    let mut late = room.reader();
    assert_eq!(late.next_cached(1 << 20, false), None);
    let cut = Step::Broken(Break::Truncated);
    assert_eq!(late.next_batch(1 << 20).unwrap(), cut);
    assert_eq!(late.check().unwrap(), Some(Break::Truncated));
    // What the next writer finds is the log then, to be compared with what it should be.
    drop(writer);
    let writer = room.logs.writer(id()).unwrap();
    assert!(writer.tell());
    assert_eq!(next(&mut late), FORGED);
}

#[test]
fn what_somebody_adds_to_a_log_that_is_made_anew_is_no_part_of_it() {
    let room = room();
    room.put(b"one\n");
    let mut anew = room.logs.replace(id()).unwrap();
    anew.append(b"two\n").unwrap();
    let hidden = room.path().with_extension("log.new");
    let file = fs::OpenOptions::new().append(true).open(hidden);
    file.unwrap().write_all(FORGED).unwrap();
    let writer = anew.commit().unwrap();
    assert_eq!(writer.len(), Offset::new(4));
    assert!(!writer.is_current().unwrap());
    assert_eq!(next(&mut room.reader()), b"two\n");
}

#[test]
fn what_is_written_while_it_is_read_is_no_cut() {
    const LINES: usize = 20_000;
    let room = room();
    let mut writer = room.logs.writer(id()).unwrap();
    let mut reader = room.reader();
    std::thread::scope(|scope| {
        scope.spawn(move || (0..LINES).for_each(|_| writer.append(b"{}\n").unwrap()));
        let mut read = 0;
        while read < 3 * LINES {
            match reader.next_batch(1 << 20).unwrap() {
                Step::Batch(batch) => read += batch.bytes.len(),
                Step::End => std::hint::spin_loop(),
                other => panic!("{other:?} after {read} bytes"),
            }
            assert_eq!(reader.check().unwrap(), None);
        }
    });
}
