//! What is written is read back; nothing else is read.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::read::{invocation_cursor, scoped_reach};
use super::*;

fn id(n: i64) -> InvocationId {
    InvocationId::new(n).unwrap()
}

fn generations() -> impl Strategy<Value = Generation> {
    let file = any::<(u64, u64)>().prop_map(|(inode, head)| Generation::File { inode, head });
    prop_oneof![any::<u32>().prop_map(Generation::Rebuilt), file]
}

fn positions() -> impl Strategy<Value = Position> {
    (generations(), any::<u64>()).prop_map(|(generation, offset)| Position {
        generation,
        offset: Offset::new(offset),
    })
}

fn reaches() -> impl Strategy<Value = Reach> {
    let open = btree_map((1..=i64::MAX).prop_map(id), positions(), 0..MAX_OPEN / 2);
    (0..=i64::MAX, open, queued()).prop_map(|(high, open, mut queued)| {
        let mut is_free = |span: &Span| open.range(span.first..=span.last).next().is_none();
        queued.retain(&mut is_free);
        let last = open.keys().last().max(queued.last().map(|span| &span.last));
        let high = last.map_or(high, |id| high.max(id.get()));
        Reach { high, open, queued }
    })
}

/// Ranges, from how far each begins behind the one before and how long it is.
fn queued() -> impl Strategy<Value = Vec<Span>> {
    vec((2..1000i64, 0..3i64), 0..MAX_OPEN / 2).prop_map(|pairs| {
        let mut behind = 0;
        let spans = pairs.into_iter().map(|(gap, length)| {
            let first = behind + gap;
            behind = first + length;
            Span {
                first: id(first),
                last: id(behind),
            }
        });
        spans.collect()
    })
}

proptest! {
    #[test]
    fn an_invocations_cursor_is_read_as_written(n in 1..=i64::MAX, position in positions()) {
        let cursor = InvocationCursor { invocation: id(n), position };
        prop_assert_eq!(InvocationCursor::parse(&cursor.to_string(), id(n)), Ok(cursor));
    }

    #[test]
    fn a_wide_cursor_is_read_as_written(reach in reaches(), task in ".{0,20}") {
        let scope = Scope::of_task(Path::new("/p"), &task);
        let cursor = ScopeCursor { scope, reach };
        prop_assert_eq!(ScopeCursor::parse(&cursor.to_string(), scope), Ok(cursor));
    }

    #[test]
    fn a_cursor_of_all_is_read_as_written(reach in reaches(), highs in vec(0..=i64::MAX, 0..50)) {
        let scope = |n: usize| Scope::of_project(Path::new(&format!("/p/{n}")));
        let plain = |high| Reach { high, ..Reach::default() };
        let mut cursor = AllCursor::default();
        cursor.reaches.extend(highs.into_iter().map(plain).enumerate().map(|(n, r)| (scope(n), r)));
        cursor.reaches.insert(scope(99), reach);
        prop_assert_eq!(AllCursor::parse(&cursor.to_string()), Ok(cursor));
    }

    #[test]
    fn any_text_is_read_or_refused_and_what_is_read_is_written_the_same(
        text in prop_oneof![".{0,60}", "(w1|a1|[0-9a-z.:_-]){0,20}", "w1\\.[0-9a-z]{1,3}(\\.[0-9a-z:-]{1,9}){0,4}", "w1\\.1\\.z(\\.[1-9](:0:0|-[1-9])?){0,4}"],
    ) {
        if let Some(cursor) = invocation_cursor(&text) {
            prop_assert_eq!(cursor.to_string(), text.clone());
        }
        if let Ok(cursor) = AllCursor::parse(&text) {
            prop_assert_eq!(cursor.to_string(), text.clone());
        }
        if let Some((scope, reach)) = text.strip_prefix("w1.").and_then(scoped_reach) {
            prop_assert_eq!(ScopeCursor { scope, reach }.to_string(), text);
        }
    }
}

#[test]
fn the_plain_form_is_the_documented_one() {
    let position = Position {
        generation: Generation::Rebuilt(2),
        offset: Offset::new(4096),
    };
    let cursor = InvocationCursor {
        invocation: id(12),
        position,
    };
    assert_eq!(cursor.to_string(), "12:2:4096");
}

#[test]
fn the_longest_cursor_keeps_within_its_bound() {
    let generation = Generation::File {
        inode: u64::MAX,
        head: u64::MAX,
    };
    let position = Position {
        generation,
        offset: Offset::new(u64::MAX),
    };
    let open = (0..MAX_OPEN as i64)
        .map(|n| (id(i64::MAX - n), position))
        .collect();
    let mut reaches: BTreeMap<_, _> = (0..MAX_SCOPES as u64)
        .map(|n| {
            (
                Scope((1 << 48) - 1 - n),
                Reach {
                    high: i64::MAX,
                    ..Reach::default()
                },
            )
        })
        .collect();
    reaches.first_entry().unwrap().get_mut().open = open;
    let text = AllCursor { reaches }.to_string();
    assert!(text.len() <= MAX_CURSOR, "{}", text.len());
    assert!(AllCursor::parse(&text).is_ok());
}

#[test]
fn another_invocations_or_tasks_cursor_is_told_from_a_malformed_one() {
    let other = InvocationCursor::parse("12:0:0", id(13));
    assert_eq!(
        other,
        Err(CursorError::OtherInvocation {
            found: id(12),
            wanted: id(13)
        })
    );
    let scope = Scope::of_task(Path::new("/p"), "a");
    let cursor = ScopeCursor {
        scope,
        reach: Reach::default(),
    }
    .to_string();
    for wanted in [
        Scope::of_task(Path::new("/p"), "b"),
        Scope::of_project(Path::new("/p")),
    ] {
        assert_eq!(
            ScopeCursor::parse(&cursor, wanted),
            Err(CursorError::OtherScope)
        );
    }
    assert_eq!(AllCursor::parse(&cursor), Err(CursorError::Malformed));
    assert_eq!(
        InvocationCursor::parse(&cursor, id(1)),
        Err(CursorError::Malformed)
    );
}

#[test]
fn signs_zeros_and_excess_are_malformed() {
    for bad in [
        "",
        ":",
        "::",
        "1:0",
        "1:0:",
        "1:0:-1",
        "1:0:+1",
        "1:0:01",
        "01:0:1",
        "0:0:1",
        "-1:0:1",
        "1:0:1:1",
        "1:0:18446744073709551616",
        "1:4294967296:1",
        "1:a-:1",
        "1:-a:1",
        "1:A-b:1",
        " 1:0:1",
        "1:0:1\n",
        "1:0:\u{0661}",
    ] {
        assert_eq!(
            InvocationCursor::parse(bad, id(1)),
            Err(CursorError::Malformed),
            "{bad:?}"
        );
    }
    let scope = Scope(1);
    for bad in [
        "w1.1",
        "w1.1.0.",
        "w1.1.1.2:0:0",
        "w1.1.2.2:0:0.1:0:0",
        "w1.1.2.1:0:0.1:0:0",
        "w1.1.9.1-1",
        "w1.1.9.2-1",
        "w1.1.9.2-a",
        "w1.1.9.0",
        "w1.1.9.1.2",
        "w1.1.9.1-3.3",
        "w1.1.9.5.2",
        "w1.1.9.1-3.5:0:0",
        "w1.1.9.2:0:0.1-3",
        "w1.1.9.1-3-5",
        "w2.1.0",
    ] {
        assert_eq!(
            ScopeCursor::parse(bad, scope),
            Err(CursorError::Malformed),
            "{bad:?}"
        );
    }
    let long = "1".repeat(MAX_CURSOR + 1);
    assert_eq!(
        AllCursor::parse(&long),
        Err(CursorError::TooLong {
            len: MAX_CURSOR + 1
        })
    );
}

proptest! {
    #[test]
    fn a_template_gives_the_cursor_with_one_position_changed(
        reach in reaches(), n in 1..1000i64, position in positions(), scopes in vec(any::<u16>(), 0..9),
    ) {
        let scope = Scope(30_000);
        let mut with = ScopeCursor { scope, reach };
        with.reach.high = with.reach.high.max(n);
        with.reach.queued.retain(|span| !span.contains(id(n)));
        let template = Template::of_scope(&with, id(n));
        let mut all = AllCursor::default();
        all.reaches.extend(scopes.into_iter().map(|n| (Scope(n.into()), Reach::default())));
        all.reaches.insert(scope, with.reach.clone());
        let of_all = Template::of_all(&all, scope, id(n));

        with.reach.open.insert(id(n), position);
        all.reaches.insert(scope, with.reach.clone());
        prop_assert_eq!(template.at(Some(position)), with.to_string());
        prop_assert_eq!(of_all.at(Some(position)), all.to_string());

        with.reach.open.remove(&id(n));
        all.reaches.insert(scope, with.reach.clone());
        prop_assert_eq!(template.at(None), with.to_string());
        prop_assert_eq!(of_all.at(None), all.to_string());
    }
}
