//! The last lines of a log.

use super::*;

/// What stands from where the last `lines` begin.
fn last(room: &Room, lines: u32) -> Vec<u8> {
    let mut reader = room.reader();
    reader.seek_last(lines, false).unwrap();
    let at = usize::try_from(reader.position().get()).unwrap();
    fs::read(room.path()).unwrap().split_off(at)
}

#[test]
fn a_line_that_is_not_whole_does_not_count() {
    let room = room();
    for (content, lines, expected) in [
        ("", 0, ""),
        ("", 3, ""),
        ("torn", 1, "torn"),
        ("a\n", 0, ""),
        ("a\n", 1, "a\n"),
        ("a\nb\ntorn", 0, "torn"),
        ("a\nb\ntorn", 1, "b\ntorn"),
        ("a\nb\ntorn", 9, "a\nb\ntorn"),
        ("\n\n\n", 2, "\n\n"),
    ] {
        room.put(content.as_bytes());
        assert_eq!(
            last(&room, lines),
            expected.as_bytes(),
            "{content:?} {lines}"
        );
    }
}

#[test]
fn of_one_that_is_over_what_stands_behind_its_terminal_line_does_not_count() {
    let room = room();
    let (first, last) = (
        "{\"ts\":1,\"type\":\"output\"}\n",
        "{\"ts\":2,\"type\":\"complete\"}\n",
    );
    let from = |behind: &str, lines, is_over| {
        room.put([first, last, behind].concat().as_bytes());
        let mut reader = room.reader();
        reader.seek_last(lines, is_over).unwrap();
        usize::try_from(reader.position().get()).unwrap()
    };
    let whole = first.len() + last.len();
    for behind in [
        "",
        "\n",
        "torn",
        "{\"ts\":3,\"type\":\"output\"}\n",
        &"x\n".repeat(99),
    ] {
        let at = [0, 1, 2].map(|lines| from(behind, lines, true));
        assert_eq!(at, [whole, first.len(), 0], "{behind:?}");
    }
    assert_eq!(from("x\n", 1, false), whole);
    room.put(first.as_bytes());
    let mut reader = room.reader();
    reader.seek_last(1, true).unwrap();
    assert_eq!(reader.position(), Offset::START);
}

proptest! {
    /// Also where lines reach over the pieces that are read at once.
    #[test]
    fn as_many_lines_as_asked_for(
        lengths in prop::collection::vec(0..40_000_usize, 0..20),
        lines in 0..25_u32,
    ) {
        let room = room();
        let whole: Vec<_> = lengths.iter().map(|&length| "x".repeat(length) + "\n").collect();
        room.put(whole.concat().as_bytes());
        let from = whole.len().saturating_sub(lines as usize);
        prop_assert_eq!(last(&room, lines), whole[from..].concat().into_bytes());
    }
}
