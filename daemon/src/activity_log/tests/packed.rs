//! Compressed logs: read like plain ones, at any offset, and never there half.

use super::*;
use crate::activity_log::packed::FRAME;

/// Lines of very different lengths, over several frames; one is longer than a frame.
fn lines() -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut state = 7_u64;
    for n in 0..4000_u64 {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(n);
        let words = match n {
            2000 => FRAME / 4,
            _ => usize::try_from(state >> 58).unwrap_or(0),
        };
        let text: String = (0..words)
            .map(|word| format!("w{:x} ", state >> (word % 40)))
            .collect();
        let line = format!("{{\"ts\":{n},\"type\":\"output\",\"msg\":\"{text}\",\"raw\":{n}}}\n");
        bytes.extend(line.into_bytes());
    }
    bytes
}

struct Packed {
    room: Room,
    bytes: Vec<u8>,
}

fn unpacked() -> Packed {
    let (room, bytes) = (room(), lines());
    room.put(&bytes);
    Packed { room, bytes }
}

impl Packed {
    fn pack(&self) -> Saved {
        self.room.logs.pack(id(), &|| false).unwrap()
    }

    fn zst(&self) -> std::path::PathBuf {
        self.room.path().with_extension("log.zst")
    }

    fn rest(&self, from: usize, max: usize) -> Vec<u8> {
        let from = Offset::new(from as u64);
        let mut reader = self.room.logs.reader(id(), from).unwrap();
        let mut read = Vec::new();
        while let Step::Batch(batch) = reader.next_batch(max).unwrap() {
            read.extend_from_slice(&batch.bytes);
        }
        read
    }
}

fn packed() -> Packed {
    let packed = unpacked();
    assert!(matches!(packed.pack(), Saved::Bytes(_)));
    assert!(!packed.room.path().exists());
    packed
}

#[test]
fn a_compressed_log_reads_as_the_plain_one_did_from_every_line() {
    let packed = packed();
    assert!(packed.bytes.len() > 3 * FRAME);
    assert_eq!(packed.rest(0, 64 * 1024), packed.bytes);
    let starts = packed
        .bytes
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte == b'\n');
    for (at, _) in starts.step_by(331) {
        assert!(
            packed.rest(at + 1, 1 << 20) == packed.bytes[at + 1..],
            "{at}"
        );
    }
    let logs = &packed.room.logs;
    let inside = logs.reader(id(), Offset::new(3)).unwrap_err();
    assert!(matches!(inside, LogError::InsideLine { .. }), "{inside}");
    let past = Offset::new(packed.bytes.len() as u64 + 1);
    let past = logs.reader(id(), past).unwrap_err();
    assert!(matches!(past, LogError::PastEnd { .. }), "{past}");
}

#[test]
fn any_zstd_unpacks_it() {
    let packed = packed();
    let file = std::fs::File::open(packed.zst()).unwrap();
    assert!(zstd::stream::decode_all(file).unwrap() == packed.bytes);
}

#[test]
fn it_is_compared_listed_counted_and_removed_as_a_log() {
    let packed = packed();
    let logs = &packed.room.logs;
    let mut comparer = logs.compare_all(id()).unwrap().unwrap();
    assert_eq!(comparer.feed(&packed.bytes).unwrap(), Compared::Same);
    assert!(comparer.is_at_end());
    let mut other = logs.compare_all(id()).unwrap().unwrap();
    let mut bytes = packed.bytes.clone();
    bytes[FRAME + 5] ^= 1;
    let at = Offset::new(FRAME as u64 + 5);
    assert_eq!(other.feed(&bytes).unwrap(), Compared::Differs { at });
    assert_eq!(logs.highest().unwrap(), Some(id()));
    assert_eq!(logs.files().unwrap().len(), 1);
    assert!(logs.remove(id(), &|| false).unwrap());
    assert_eq!(logs.highest().unwrap(), None);
    assert!(!logs.remove(id(), &|| false).unwrap());
}

#[test]
fn who_has_the_plain_log_open_reads_on() {
    let log = unpacked();
    let logs = &log.room.logs;
    let mut reader = logs.reader(id(), Offset::START).unwrap();
    let Step::Batch(first) = reader.next_batch(1000).unwrap() else {
        panic!("lines");
    };
    assert!(matches!(log.pack(), Saved::Bytes(_)));
    assert_eq!(reader.check().unwrap(), None);
    let mut read = first.bytes.to_vec();
    loop {
        match reader.next_batch(64 * 1024).unwrap() {
            Step::Batch(batch) => read.extend_from_slice(&batch.bytes),
            step => {
                assert_eq!(step, Step::End);
                break;
            }
        }
    }
    assert!(read == log.bytes);
}

#[test]
fn a_log_written_anew_is_plain_and_readers_of_the_compressed_one_are_told() {
    let packed = packed();
    let logs = &packed.room.logs;
    let mut reader = logs.reader(id(), Offset::START).unwrap();
    let mut new = logs.replace(id()).unwrap();
    new.append(b"{}\n").unwrap();
    new.commit().unwrap();
    assert!(!packed.zst().exists());
    assert_eq!(
        reader.next_batch(10).unwrap(),
        Step::Broken(Break::Replaced)
    );
    assert_eq!(packed.rest(0, 10), b"{}\n");
}

#[test]
fn where_both_are_there_the_plain_one_counts_and_is_compressed_again() {
    let log = unpacked();
    std::fs::write(log.zst(), "half").unwrap();
    assert_eq!(log.room.logs.files().unwrap().len(), 1);
    assert!(log.rest(0, 1 << 20) == log.bytes);
    assert!(matches!(log.pack(), Saved::Bytes(_)));
    assert!(log.rest(0, 1 << 20) == log.bytes);
}

#[test]
fn one_that_was_given_up_leaves_the_log_as_it_was() {
    let log = unpacked();
    let given_up = log.room.logs.pack(id(), &|| true).unwrap();
    assert_eq!(given_up, Saved::GivenUp);
    assert!(log.rest(0, 1 << 20) == log.bytes);
    assert_eq!(log.room.logs.unfinished().unwrap(), []);
    std::fs::write(log.room.path(), "{}\n").unwrap();
    assert_eq!(log.pack(), Saved::Nothing, "too small");
}

#[test]
fn one_that_was_given_up_leaves_the_draft_of_who_came_after_it() {
    let log = unpacked();
    let draft = log.zst().with_extension("zst.new");
    for last in [1, frames(&log) + 1] {
        let asked = std::cell::Cell::new(0);
        let is_given_up = || {
            asked.set(asked.get() + 1);
            if asked.get() == last {
                std::fs::remove_file(&draft).unwrap();
                std::fs::write(&draft, "another's").unwrap();
            }
            asked.get() == last
        };
        let given_up = log.room.logs.pack(id(), &is_given_up).unwrap();
        assert_eq!(given_up, Saved::GivenUp);
        assert_eq!(std::fs::read(&draft).unwrap(), b"another's");
        assert!(log.room.path().exists() && !log.zst().exists());
    }
}

/// Asked once before each frame, and once more when all is written. What `then` does at one of these
/// leaves nothing half done.
fn packed_with(log: &Packed, at: usize, then: impl Fn() -> bool) -> Saved {
    let (asked, frames) = (std::cell::Cell::new(0), frames(log));
    let is_given_up = || {
        asked.set(asked.get() + 1);
        asked.get() == at && then()
    };
    let saved = log.room.logs.pack(id(), &is_given_up).unwrap();
    assert_eq!(asked.get(), frames + 1);
    assert!(!log.zst().exists());
    assert_eq!(log.room.logs.unfinished().unwrap(), []);
    saved
}

fn frames(log: &Packed) -> usize {
    log.bytes.len().div_ceil(FRAME)
}

#[test]
fn one_that_was_given_up_at_the_last_step_takes_nothing_away() {
    let log = unpacked();
    let last = frames(&log) + 1;
    assert_eq!(packed_with(&log, last, || true), Saved::GivenUp);
    assert!(log.rest(0, 1 << 20) == log.bytes);
    let logs = &log.room.logs;
    assert!(!logs.remove(id(), &|| true).unwrap());
    std::fs::write(log.zst().with_extension("zst.new"), "half").unwrap();
    assert!(!logs.remove_unfinished(id(), &|| true).unwrap());
    assert!(logs.remove_unfinished(id(), &|| false).unwrap());
    assert!(log.rest(0, 1 << 20) == log.bytes);
}

#[test]
fn a_log_that_was_made_anew_meanwhile_stays() {
    let log = unpacked();
    let made_anew = || {
        let new = log.room.path().with_extension("log.new");
        std::fs::write(&new, "{}\n").unwrap();
        std::fs::rename(new, log.room.path()).unwrap();
        false
    };
    assert_eq!(packed_with(&log, frames(&log), made_anew), Saved::Nothing);
    assert_eq!(log.rest(0, 10), b"{}\n");
}

#[test]
fn a_log_lies_in_the_file_that_is_there_and_the_plain_one_counts() {
    let log = unpacked();
    let lying = || log.room.logs.lying(&[id()]);
    assert_eq!(lying(), [Some(log.room.path())]);
    log.pack();
    assert_eq!(lying(), [Some(log.zst())]);
    assert!(log.room.logs.is_packed(id()));
    std::fs::write(log.room.path(), "{}\n").unwrap();
    assert_eq!(lying(), [Some(log.room.path())]);
    std::fs::remove_file(log.room.path()).unwrap();
    std::fs::remove_file(log.zst()).unwrap();
    assert_eq!(lying(), [None]);
    assert!(!log.room.logs.is_packed(id()));
    let folder = log.room.dir.path().join(".steroids");
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(lying(), [None]);
    // Where nobody can look, nobody knows better.
    std::fs::write(folder, "").unwrap();
    assert_eq!(lying(), [Some(log.room.path())]);
    assert!(!log.room.logs.is_packed(id()));
}

#[test]
fn a_damaged_one_is_refused_and_gives_no_other_data() {
    let packed = packed();
    let whole = std::fs::read(packed.zst()).unwrap();
    let cuts = [0, 1, 8, 17, whole.len() / 2, whole.len() - 1];
    for cut in cuts {
        std::fs::write(packed.zst(), &whole[..cut]).unwrap();
        let error = packed.room.logs.reader(id(), Offset::START);
        let error = error.expect_err("half a file");
        assert!(matches!(error, LogError::Damaged { .. }), "{cut}: {error}");
    }
    // A byte of a frame, of the table, and of the foot.
    let table = whole.len() - 9 - 8;
    for at in [10, 5000, table, table + 4, whole.len() - 2, whole.len() - 9] {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x55;
        std::fs::write(packed.zst(), &bytes).unwrap();
        let reader = packed.room.logs.reader(id(), Offset::START);
        let Ok(mut reader) = reader else { continue };
        let mut read = Vec::new();
        while let Ok(Step::Batch(batch)) = reader.next_batch(64 * 1024) {
            read.extend_from_slice(&batch.bytes);
        }
        assert!(packed.bytes.starts_with(&read), "{at}");
    }
}

#[test]
fn a_damaged_frame_differs_and_what_can_be_read_is_counted() {
    let packed = packed();
    let mut held = std::fs::read(packed.zst()).unwrap();
    held[FRAME / 64] ^= 0xff;
    std::fs::write(packed.zst(), &held).unwrap();
    let mut comparer = packed.room.logs.compare_all(id()).unwrap().unwrap();
    let compared = comparer.feed(&packed.bytes).unwrap();
    assert!(matches!(compared, Compared::Differs { .. }), "{compared:?}");
    let tally = packed.room.logs.tally(id(), &|| false).unwrap();
    assert!(tally.unwrap().lines() < 4000);
}

#[test]
fn folders_with_a_logs_other_names_are_in_nobodys_way() {
    let packed = packed();
    std::fs::remove_file(packed.zst()).unwrap();
    for name in [packed.zst(), packed.room.path().with_extension("log.new")] {
        std::fs::create_dir(&name).unwrap();
        std::fs::write(name.join("kept"), "kept").unwrap();
    }
    let mut new = packed.room.logs.replace(id()).unwrap();
    new.append(b"{}\n").unwrap();
    new.commit().unwrap();
    assert_eq!(packed.rest(0, 1024), b"{}\n");
}

#[test]
fn a_log_with_holes_counts_for_what_it_takes() {
    let room = room();
    room.put(b"{}\n");
    let file = std::fs::File::options().write(true).open(room.path());
    file.unwrap().set_len(1 << 40).unwrap();
    let files = room.logs.files().unwrap();
    assert!(files[0].len < 1 << 30, "{}", files[0].len);
}
