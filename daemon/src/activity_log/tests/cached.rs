//! Reading on the spot gives what reading does, or leaves it to that.

use super::*;

#[test]
fn what_is_read_on_the_spot_is_what_is_read() {
    let room = room();
    room.put(b"one\ntwo\nthr");
    let (mut spot, mut slow) = (room.reader(), room.reader());
    // A file system without it leaves everything to the slow way.
    let Some(step) = spot.next_cached(100) else {
        return;
    };
    assert_eq!(step, slow.next_batch(100).unwrap());
    assert_eq!(spot.position(), slow.position());
    assert_eq!(
        spot.next_cached(100),
        None,
        "half a line is looked at again"
    );
    fs::write(room.path(), b"one\ntwo\nthree\n").unwrap();
    assert_eq!(bytes(spot.next_cached(100).unwrap()), b"three\n");
    assert_eq!(spot.next_cached(100), Some(Step::End));
}

#[test]
fn what_is_no_plain_continuation_is_left_to_a_look() {
    let room = room();
    for changed in [&b"one\n"[..], b"one\ntwoXthree\n"] {
        room.put(b"one\ntwo\n");
        let mut reader = room.reader();
        if reader.next_cached(100).is_none() {
            return;
        }
        fs::write(room.path(), changed).unwrap();
        assert_eq!(reader.next_cached(100), None);
    }
    room.put(b"one\ntwo\n");
    let mut reader = room.reader();
    fs::remove_file(room.path()).unwrap();
    assert_eq!(reader.next_cached(100), None);
}
