//! Texts that a client says are cursors, and cursors as texts.

use std::path::Path;

use steroidsd::domain::cursor::{
    AllCursor, CursorError, Generation, InvocationCursor, MAX_CURSOR, MAX_OPEN, MAX_SCOPES,
    Position, Reach, Scope, ScopeCursor, Template,
};
use steroidsd::domain::{InvocationId, Offset};

use super::script::Script;

/// A text is refused, or read and written the same; a cursor is written within its bound, and read
/// as it was.
///
/// The script: zero, then a text; or anything else, then numbers that a cursor is made of.
pub fn cursor(input: &[u8]) {
    let mut script = Script::new(input);
    match script.byte() {
        0 => {
            if let Ok(text) = std::str::from_utf8(script.rest()) {
                of_one(text);
                of_scope(text);
                of_all(text);
            }
        }
        _ => made(&mut script),
    }
}

fn of_one(text: &str) {
    let any = InvocationId::new(1).expect("one is positive");
    let read = match InvocationCursor::parse(text, any) {
        Err(CursorError::OtherInvocation { found, .. }) => InvocationCursor::parse(text, found),
        read => read,
    };
    match read {
        Ok(cursor) => assert_eq!(cursor.to_string(), text),
        Err(error) => refused(text, &error),
    }
}

fn of_scope(text: &str) {
    let any = Scope::of_project(Path::new("/p"));
    let read = match ScopeCursor::parse(text, any) {
        // Whose it is says the wide form, which is a row of the same.
        Err(CursorError::OtherScope) => {
            let wide = text.replacen("w1.", "a1_", 1);
            let all = AllCursor::parse(&wide).expect("each reach may stand in the wide form");
            let scope = all.reaches.keys().next();
            ScopeCursor::parse(text, *scope.expect("there is one"))
        }
        read => read,
    };
    match read {
        Ok(cursor) => assert_eq!(cursor.to_string(), text),
        Err(error) => refused(text, &error),
    }
}

fn of_all(text: &str) {
    match AllCursor::parse(text) {
        Ok(cursor) => {
            assert_eq!(cursor.to_string(), text);
            assert!(cursor.reaches.len() <= MAX_SCOPES);
            let places = cursor.reaches.values().map(Reach::places);
            assert!(places.sum::<usize>() <= MAX_OPEN);
        }
        Err(error) => refused(text, &error),
    }
}

fn refused(text: &str, error: &CursorError) {
    match error {
        CursorError::TooLong { len } => assert!(*len == text.len() && *len > MAX_CURSOR),
        CursorError::Malformed => assert!(text.len() <= MAX_CURSOR),
        other => panic!("{text:?} is refused with {other:?}"),
    }
}

/// Makes one of each kind.
fn made(script: &mut Script<'_>) {
    let scopes = usize::from(script.byte()) % (MAX_SCOPES + 1);
    let mut all = AllCursor::default();
    for n in 0..scopes {
        let reach = Reach {
            high: high(script),
            ..Reach::default()
        };
        let scope = Scope::of_project(Path::new(&format!("/p/{n}")));
        all.reaches.insert(scope, reach);
    }
    let mut reach = Reach::default();
    let open = usize::from(script.byte()) % (MAX_OPEN + 1);
    for _ in 0..open {
        let (invocation, position) = (id(script), position(script));
        reach.open.insert(invocation, position);
    }
    reach.high = reach
        .open
        .keys()
        .last()
        .map_or(0, |id| id.get())
        .max(high(script));

    let (invocation, position) = (id(script), position(script));
    let one = InvocationCursor {
        invocation,
        position,
    };
    let text = within(one.to_string());
    assert_eq!(InvocationCursor::parse(&text, invocation), Ok(one));
    let of_one = Template::of_invocation(invocation);
    assert_eq!(of_one.at(Some(position)), text);

    let scope = Scope::of_task(Path::new("/p/0"), "task");
    let cursor = ScopeCursor { scope, reach };
    let text = within(cursor.to_string());
    assert_eq!(ScopeCursor::parse(&text, scope), Ok(cursor.clone()));

    // As many as there may be, and no more: a follower keeps to that.
    if scopes < MAX_SCOPES {
        all.reaches.insert(scope, cursor.reach.clone());
    }
    let text = within(all.to_string());
    assert_eq!(AllCursor::parse(&text), Ok(all.clone()));

    templates(cursor, all, invocation, position);
}

/// A template's cursors are those that would be written.
fn templates(mut one: ScopeCursor, mut all: AllCursor, id: InvocationId, position: Position) {
    one.reach.high = one.reach.high.max(id.get());
    all.reaches.insert(one.scope, one.reach.clone());
    let (of_scope, of_all) = (
        Template::of_scope(&one, id),
        Template::of_all(&all, one.scope, id),
    );
    for position in [Some(position), None] {
        match position {
            Some(position) => one.reach.open.insert(id, position),
            None => one.reach.open.remove(&id),
        };
        all.reaches.insert(one.scope, one.reach.clone());
        assert_eq!(of_scope.at(position), one.to_string());
        assert_eq!(of_all.at(position), all.to_string());
    }
}

fn within(text: String) -> String {
    assert!(text.len() <= MAX_CURSOR, "{} bytes", text.len());
    text
}

fn number(script: &mut Script<'_>) -> u64 {
    let (shift, bits) = (
        script.byte(),
        u64::from(script.number()) << 48 | 0xffff_ffff_ffff,
    );
    bits >> (shift % 64)
}

fn high(script: &mut Script<'_>) -> i64 {
    (number(script) >> 1) as i64
}

fn id(script: &mut Script<'_>) -> InvocationId {
    InvocationId::new(high(script).max(1)).expect("it is positive")
}

fn position(script: &mut Script<'_>) -> Position {
    let generation = match script.byte() {
        0..128 => Generation::Rebuilt(number(script) as u32),
        _ => Generation::File {
            inode: number(script),
            head: number(script),
        },
    };
    Position {
        generation,
        offset: Offset::new(number(script)),
    }
}
