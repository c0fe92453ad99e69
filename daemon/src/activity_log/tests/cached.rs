//! Reading on the spot gives what reading does, or leaves it to that.

use super::*;

#[test]
fn what_is_read_on_the_spot_is_what_is_read() {
    let room = room();
    room.put(b"one\ntwo\nthr");
    let (mut spot, mut slow) = (room.reader(), room.reader());
    // A file system without it leaves everything to the slow way.
    let Some(cached) = spot.next_cached(100, false) else {
        return;
    };
    assert_eq!((cached.len, cached.generation), (11, None));
    assert_eq!(cached.step, slow.next_batch(100).unwrap());
    assert_eq!(spot.position(), slow.position());
    assert_eq!(
        spot.next_cached(100, false),
        None,
        "half a line is looked at again"
    );
    fs::write(room.path(), b"one\ntwo\nthree\n").unwrap();
    assert_eq!(
        bytes(spot.next_cached(100, false).unwrap().step),
        b"three\n"
    );
    assert_eq!(spot.next_cached(100, false).unwrap().step, Step::End);
}

#[test]
fn a_foreign_log_read_on_the_spot_says_which_it_is() {
    let room = room();
    room.put(b"one\ntwo\n");
    let mut reader = room.reader();
    let Some(cached) = reader.next_cached(100, true) else {
        return;
    };
    let before = cached.generation;
    assert!(before.is_some());
    assert_eq!(before, reader.file_generation().unwrap());
    fs::write(room.path(), b"two\none\nand more\n").unwrap();
    let cached = reader.next_cached(100, true).unwrap();
    assert_eq!(bytes(cached.step), b"and more\n");
    assert_ne!(cached.generation, before, "it begins with another line");
    assert_eq!(cached.generation, reader.file_generation().unwrap());
    // As long as it was, and no end there.
    fs::write(room.path(), b"two and more\none\nand more\n").unwrap();
    assert_eq!(reader.next_cached(100, true), None, "it is looked at whole");
}

#[test]
fn one_without_a_whole_first_line_is_left_to_a_look() {
    let room = room();
    room.put(b"on");
    let mut reader = room.reader();
    assert_eq!(reader.next_cached(100, true), None);
    assert_eq!(reader.position(), Offset::START);
}

#[test]
fn what_is_no_plain_continuation_is_left_to_a_look() {
    let room = room();
    for changed in [&b"one\n"[..], b"one\ntwoXthree\n"] {
        room.put(b"one\ntwo\n");
        let mut reader = room.reader();
        if reader.next_cached(100, false).is_none() {
            return;
        }
        fs::write(room.path(), changed).unwrap();
        assert_eq!(reader.next_cached(100, false), None);
    }
    room.put(b"one\ntwo\n");
    let mut reader = room.reader();
    fs::remove_file(room.path()).unwrap();
    assert_eq!(reader.next_cached(100, false), None);
}
