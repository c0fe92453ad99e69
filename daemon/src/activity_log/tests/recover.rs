//! What a crash left, and whether a log is what it should be.

use super::*;

#[test]
fn a_log_cut_at_every_byte_recovers_to_its_whole_lines() {
    let lines = [
        "{\"ts\":1,\"type\":\"output\",\"msg\":\"größe 雪 🦀\",\"raw\":10}\n",
        "{\"ts\":1,\"type\":\"output\",\"msg\":\"\u{2028}\",\"raw\":30}\n",
        "{\"ts\":2,\"type\":\"output\",\"msg\":\"é\",\"raw\":30}\n",
    ];
    let tails = [None, tail(10, 1), tail(30, 1), tail(30, 2)];
    let text = lines.concat();
    let room = room();
    for cut in 0..=text.len() {
        room.put(&text.as_bytes()[..cut]);
        let whole = (0..=3)
            .rev()
            .find(|&n| lines[..n].concat().len() <= cut)
            .unwrap();
        let len = lines[..whole].concat().len();
        let expected = Recovered {
            len: Offset::new(len as u64),
            cut: (cut - len) as u64,
            tail: tails[whole],
        };
        assert_eq!(
            room.logs.recover(id()).unwrap(),
            Some(expected),
            "cut at {cut}"
        );
        assert_eq!(fs::read(room.path()).unwrap(), &text.as_bytes()[..len]);
    }
}

fn tail(raw: u64, lines: u64) -> Option<Tail> {
    Some(Tail {
        raw,
        lines,
        is_terminal: false,
    })
}

#[test]
fn a_last_line_that_is_none_of_ours_has_no_tail() {
    let room = room();
    let line = "{\"ts\":1,\"raw\":10}\n";
    for bad in [
        "{\"ts\":1}\n",
        "hello\n",
        "\0\0\0\0,\"raw\":10}\n",
        "{,\"raw\":10}\n",
        "\n",
    ] {
        room.put(format!("{line}{bad}").as_bytes());
        assert_eq!(
            room.logs.recover(id()).unwrap().unwrap().tail,
            None,
            "{bad:?}"
        );
    }
    assert_eq!(
        room.logs.recover(InvocationId::new(99).unwrap()).unwrap(),
        None
    );
}

#[test]
fn lines_longer_than_a_block_are_recovered_backwards() {
    let long = format!("{{\"msg\":\"{}\",\"raw\":5}}\n", "x".repeat(200_000));
    let room = room();
    room.put(format!("{{\"m\":1,\"raw\":4}}\n{long}{long}{long}torn").as_bytes());
    let found = room.logs.recover(id()).unwrap().unwrap();
    assert_eq!((found.cut, found.tail), (4, tail(5, 3)));
}

#[test]
fn comparing_tells_the_first_byte_that_differs() {
    let room = room();
    room.put(b"one\ntwo\n");
    let mut same = room.logs.compare(id(), 8).unwrap();
    assert_eq!(same.feed(b"one\nt").unwrap(), Compared::Same);
    assert!(!same.is_at_end());
    assert_eq!(
        same.feed(b"wo\nthree\n").unwrap(),
        Compared::Past { held: 3 }
    );
    assert!(same.is_at_end());
    assert_eq!(same.feed(b"four\n").unwrap(), Compared::Past { held: 0 });

    let mut other = room.logs.compare(id(), 8).unwrap();
    let differs = Compared::Differs { at: Offset::new(5) };
    assert_eq!(other.feed(b"one\ntXo\n").unwrap(), differs);
    assert_eq!(other.feed(b"more").unwrap(), differs);
    assert!(!other.is_at_end());

    let mut shorter = room.logs.compare(id(), 20).unwrap();
    assert!(matches!(
        shorter.feed(b"one\ntwo\nthree\n").unwrap(),
        Compared::Differs { .. }
    ));
}

#[test]
fn the_line_that_ends_a_log_is_known_for_one() {
    for (kind, ends) in [("complete", true), ("error", true), ("output", false)] {
        let room = room();
        let line = format!("{{\"ts\":1,\"type\":\"{kind}\",\"raw\":7}}\n");
        room.put(line.as_bytes());
        let tail = room.logs.recover(id()).unwrap().unwrap().tail.unwrap();
        assert_eq!((tail.is_terminal, kind), (ends, kind));
    }
}
