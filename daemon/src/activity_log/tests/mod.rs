//! The files themselves: writing, reading, recovering, and what may stand in their place.

mod cached;
mod last;
mod packed;
mod recover;
mod written;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

struct Room {
    dir: TempDir,
    logs: ActivityLogs,
}

const ID: i64 = 7;

fn room() -> Room {
    let dir = tempfile::tempdir().unwrap();
    let root = fs::File::open(dir.path()).unwrap();
    let logs = ActivityLogs::open(root.into(), dir.path());
    Room { dir, logs }
}

fn id() -> InvocationId {
    InvocationId::new(ID).unwrap()
}

impl Room {
    fn path(&self) -> PathBuf {
        self.logs.path(id())
    }

    fn put(&self, bytes: &[u8]) {
        drop(self.logs.writer(id()).unwrap());
        fs::write(self.path(), bytes).unwrap();
    }

    fn reader(&self) -> LogReader {
        self.logs.reader(id(), Offset::START).unwrap()
    }
}

fn bytes(step: Step) -> Vec<u8> {
    match step {
        Step::Batch(batch) => batch.bytes.to_vec(),
        other => panic!("no batch: {other:?}"),
    }
}

fn refused(result: Result<impl std::fmt::Debug, LogError>) -> &'static str {
    match result {
        Err(LogError::Refused { what, .. }) => what,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn a_log_is_made_private_with_a_readme_beside_it() {
    let room = room();
    let mut writer = room.logs.writer(id()).unwrap();
    writer.append(b"{}\n").unwrap();
    writer.sync().unwrap();
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(room.path()), 0o600);
    assert_eq!(mode(room.logs.folder().to_owned()), 0o700);
    assert_eq!(
        room.path(),
        room.dir.path().join(".steroids/invocations/7.log")
    );
    assert!(room.logs.folder().join("README.txt").exists());
    assert_eq!(room.logs.highest().unwrap(), Some(id()));
    assert_eq!(room.logs.files().unwrap().len(), 1);
}

#[test]
fn a_log_others_could_read_is_closed_to_them() {
    let room = room();
    room.put(b"{}\n");
    fs::set_permissions(room.path(), fs::Permissions::from_mode(0o644)).unwrap();
    drop(room.logs.writer(id()).unwrap());
    assert_eq!(
        fs::metadata(room.path()).unwrap().permissions().mode() & 0o777,
        0o600
    );
}

#[test]
fn half_a_line_is_never_appended() {
    let room = room();
    let mut writer = room.logs.writer(id()).unwrap();
    assert!(matches!(
        writer.append(b"{}\n{"),
        Err(LogError::NotLines { .. })
    ));
    assert_eq!(writer.len(), Offset::START);
    assert_eq!(fs::read(room.path()).unwrap(), b"");
}

#[test]
fn what_stands_in_the_logs_place_is_refused_and_unchanged() {
    let room = room();
    drop(room.logs.writer(id()).unwrap());
    let other = room.dir.path().join("other");
    fs::write(&other, "mine\n").unwrap();
    let place: [(&str, &dyn Fn()); 4] = [
        ("a symlink", &|| symlink(&other, room.path()).unwrap()),
        ("a file with a second name", &|| {
            fs::hard_link(&other, room.path()).unwrap()
        }),
        ("a folder", &|| fs::create_dir(room.path()).unwrap()),
        ("a fifo or socket", &|| {
            nix::unistd::mkfifo(&room.path(), nix::sys::stat::Mode::S_IRWXU).unwrap();
        }),
    ];
    for (what, make) in place {
        let _ = fs::remove_file(room.path());
        let _ = fs::remove_dir(room.path());
        make();
        assert_eq!(refused(room.logs.writer(id())), what);
        assert_eq!(refused(room.logs.reader(id(), Offset::START)), what);
        assert_eq!(refused(room.logs.recover(id())), what);
        assert_eq!(refused(room.logs.remove(id(), &|| false)), what);
        assert_eq!(fs::read(&other).unwrap(), b"mine\n");
    }
}

#[test]
fn a_fifo_with_a_reader_is_refused_too() {
    let room = room();
    drop(room.logs.writer(id()).unwrap());
    fs::remove_file(room.path()).unwrap();
    nix::unistd::mkfifo(&room.path(), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let both = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(room.path())
        .unwrap();
    assert_eq!(refused(room.logs.writer(id())), "a fifo or socket");
    assert_eq!(
        refused(room.logs.reader(id(), Offset::START)),
        "a fifo or socket"
    );
    drop(both);
}

#[test]
fn a_symlink_for_the_folder_leads_nowhere() {
    let room = room();
    let other = tempfile::tempdir().unwrap();
    fs::create_dir(room.dir.path().join(".steroids")).unwrap();
    symlink(other.path(), room.logs.folder()).unwrap();
    assert_eq!(refused(room.logs.writer(id())), "not a folder");
    assert_eq!(fs::read_dir(other.path()).unwrap().count(), 0);
}

#[test]
fn the_writer_notices_that_its_log_is_gone_or_changed() {
    let room = room();
    let mut writer = room.logs.writer(id()).unwrap();
    writer.append(b"{\"a\":1}\n").unwrap();
    assert!(writer.is_current().unwrap());

    fs::OpenOptions::new()
        .write(true)
        .open(room.path())
        .unwrap()
        .set_len(3)
        .unwrap();
    assert!(!writer.is_current().unwrap());

    let mut writer = room.logs.writer(id()).unwrap();
    fs::rename(room.path(), room.logs.folder().join("elsewhere")).unwrap();
    assert!(!writer.is_current().unwrap());
    fs::write(room.path(), "{\"").unwrap();
    assert!(!writer.is_current().unwrap());

    // Also when the whole folder goes, as with `git clean -xdf`; and what comes is made anew.
    fs::remove_dir_all(room.dir.path().join(".steroids")).unwrap();
    assert!(!writer.is_current().unwrap());
    assert!(writer.append(b"{}\n").is_ok());
    writer = room.logs.writer(id()).unwrap();
    assert!(writer.is_current().unwrap() && writer.is_empty());
}

#[test]
fn a_replacement_takes_the_place_at_once_or_not_at_all() {
    let room = room();
    room.put(b"old\n");
    let mut reader = room.reader();

    let mut dropped = room.logs.replace(id()).unwrap();
    dropped.append(b"never\n").unwrap();
    drop(dropped);
    assert_eq!(bytes(reader.next_batch(100).unwrap()), b"old\n");
    assert_eq!(reader.check().unwrap(), None);

    let mut new = room.logs.replace(id()).unwrap();
    new.append(b"new\n").unwrap();
    let mut writer = new.commit().unwrap();
    writer.append(b"more\n").unwrap();
    assert!(writer.is_current().unwrap());
    assert_eq!(
        reader.next_batch(100).unwrap(),
        Step::Broken(Break::Replaced)
    );
    assert_eq!(
        bytes(room.reader().next_batch(100).unwrap()),
        b"new\nmore\n"
    );
    assert_eq!(
        fs::read_dir(room.logs.folder()).unwrap().count(),
        2,
        "the log and the readme"
    );
}

#[test]
fn a_reader_gives_whole_lines_and_waits_for_the_rest() {
    let room = room();
    room.put(b"one\ntwo\nthr");
    let mut reader = room.reader();
    assert_eq!(bytes(reader.next_batch(5).unwrap()), b"one\n");
    assert_eq!(bytes(reader.next_batch(100).unwrap()), b"two\n");
    assert_eq!(reader.next_batch(100).unwrap(), Step::End);
    append(&room, b"ee\n");
    assert_eq!(
        bytes(reader.next_batch(2).unwrap()),
        b"three\n",
        "longer than a batch"
    );
    assert_eq!(reader.next_batch(100).unwrap(), Step::End);
}

#[test]
fn a_line_too_long_to_give_is_passed_over_by_place() {
    let room = room();
    room.put(&[vec![b'x'; MAX_LINE], b"\nnext\n".to_vec()].concat());
    let mut reader = room.reader();
    let next = Offset::new(MAX_LINE as u64 + 1);
    assert_eq!(
        reader.next_batch(100).unwrap(),
        Step::TooLong {
            first: Offset::START,
            next
        }
    );
    assert_eq!(bytes(reader.next_batch(100).unwrap()), b"next\n");
}

#[test]
fn an_offset_must_be_a_lines_start_within_the_file() {
    let room = room();
    room.put(b"one\ntwo\n");
    let at = |n| room.logs.reader(id(), Offset::new(n)).map(|_| ());
    assert!(at(0).is_ok() && at(4).is_ok() && at(8).is_ok());
    assert!(matches!(at(3), Err(LogError::InsideLine { .. })));
    assert!(matches!(at(9), Err(LogError::PastEnd { len: 8, .. })));
    assert!(matches!(at(u64::MAX), Err(LogError::PastEnd { .. })));
}

#[test]
fn a_reader_says_how_its_log_was_lost() {
    let broken = |harm: &dyn Fn(&Room)| {
        let room = room();
        room.put(b"one\ntwo\n");
        let mut reader = room.logs.reader(id(), Offset::new(4)).unwrap();
        harm(&room);
        let step = reader.next_batch(100).unwrap();
        let rest = reader.next_batch(100).unwrap();
        (step, rest, reader.check().unwrap())
    };
    let (step, rest, _) = broken(&|room| fs::remove_file(room.path()).unwrap());
    assert_eq!(
        bytes(step),
        b"two\n",
        "what is still there is read to its end"
    );
    assert_eq!(rest, Step::Broken(Break::Deleted));

    let (step, ..) = broken(&|room| {
        fs::remove_file(room.path()).unwrap();
        fs::write(room.path(), "other\n").unwrap();
    });
    assert_eq!(step, Step::Broken(Break::Replaced));

    let (step, ..) = broken(&|room| truncate(room, 2));
    assert_eq!(step, Step::Broken(Break::Truncated));

    let (step, ..) = broken(&|room| fs::write(room.path(), "other text\n").unwrap());
    assert_eq!(step, Step::Broken(Break::Changed));

    let (_, rest, check) = broken(&|room| {
        fs::rename(room.path(), room.logs.folder().join("x")).unwrap();
    });
    assert_eq!(
        (rest, check),
        (Step::End, Some(Break::Deleted)),
        "only the slow check sees it"
    );
}

fn truncate(room: &Room, len: u64) {
    fs::OpenOptions::new()
        .write(true)
        .open(room.path())
        .unwrap()
        .set_len(len)
        .unwrap();
}

fn append(room: &Room, bytes: &[u8]) {
    use std::io::Write as _;
    fs::OpenOptions::new()
        .append(true)
        .open(room.path())
        .unwrap()
        .write_all(bytes)
        .unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the pieces in which a log grows and the sizes it is read in: the same bytes.
    #[test]
    fn reading_in_pieces_gives_the_file(
        lines in prop::collection::vec("[a-zé🦀]{0,40}", 1..20),
        cuts in prop::collection::vec(1usize..30, 1..40),
        max in 1usize..64,
    ) {
        let text = lines.iter().map(|line| format!("{line}\n")).collect::<String>();
        let room = room();
        room.put(b"");
        let mut reader = room.reader();
        let mut got = Vec::new();
        let mut rest = text.as_bytes();
        let mut cuts = cuts.into_iter().cycle();
        while !rest.is_empty() {
            let (piece, later) = rest.split_at(cuts.next().unwrap().min(rest.len()));
            append(&room, piece);
            rest = later;
            while let Step::Batch(batch) = reader.next_batch(max).unwrap() {
                prop_assert_eq!(batch.bytes.last(), Some(&b'\n'));
                got.extend_from_slice(&batch.bytes);
            }
        }
        prop_assert_eq!(got, text.as_bytes());
    }
}

#[test]
fn a_replacement_puts_a_folder_in_the_logs_place_aside() {
    let room = room();
    let mut replacement = room.logs.replace(id()).unwrap();
    fs::create_dir(room.path()).unwrap();
    fs::write(room.path().join("kept"), "").unwrap();
    replacement.append(b"{}\n").unwrap();
    replacement.commit().unwrap();
    assert_eq!(fs::read(room.path()).unwrap(), b"{}\n");
    let mut beside = fs::read_dir(room.logs.folder()).unwrap();
    assert!(beside.any(|it| it.unwrap().path().join("kept").exists()));
}
