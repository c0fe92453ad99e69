//! Reading cursors: exactly what would be written, and nothing else.

use std::collections::BTreeMap;

use super::{
    AllCursor, CursorError, Generation, InvocationCursor, InvocationId, MAX_CURSOR, MAX_OPEN,
    MAX_SCOPES, Offset, Position, Reach, Scope, ScopeCursor, Span,
};

impl InvocationCursor {
    /// Reads a cursor of an invocation.
    pub fn parse(text: &str, wanted: InvocationId) -> Result<InvocationCursor, CursorError> {
        check_length(text)?;
        let found = invocation_cursor(text).ok_or(CursorError::Malformed)?;
        if found.invocation != wanted {
            return Err(CursorError::OtherInvocation {
                found: found.invocation,
                wanted,
            });
        }
        Ok(found)
    }
}

impl ScopeCursor {
    /// Reads a cursor of a task or project.
    pub fn parse(text: &str, wanted: Scope) -> Result<ScopeCursor, CursorError> {
        check_length(text)?;
        let rest = text.strip_prefix("w1.").ok_or(CursorError::Malformed)?;
        let (scope, reach) = scoped_reach(rest).ok_or(CursorError::Malformed)?;
        if scope != wanted {
            return Err(CursorError::OtherScope);
        }
        Ok(ScopeCursor { scope, reach })
    }
}

impl AllCursor {
    /// Reads a cursor of all projects.
    pub fn parse(text: &str) -> Result<AllCursor, CursorError> {
        check_length(text)?;
        all_cursor(text).ok_or(CursorError::Malformed)
    }
}

fn check_length(text: &str) -> Result<(), CursorError> {
    if text.len() > MAX_CURSOR {
        return Err(CursorError::TooLong { len: text.len() });
    }
    Ok(())
}

pub(super) fn invocation_cursor(text: &str) -> Option<InvocationCursor> {
    let (invocation, generation, offset) = three(text)?;
    let invocation = id(number(invocation, 10)?)?;
    let position = Position {
        generation: generation_of(generation)?,
        offset: Offset::new(number(offset, 10)?),
    };
    Some(InvocationCursor {
        invocation,
        position,
    })
}

fn all_cursor(text: &str) -> Option<AllCursor> {
    let mut parts = text.split('_');
    (parts.next()? == "a1").then_some(())?;
    let mut reaches = BTreeMap::new();
    for part in parts {
        let (scope, reach) = scoped_reach(part)?;
        insert_ascending(&mut reaches, scope, reach)?;
    }
    let places: usize = reaches.values().map(Reach::places).sum();
    (reaches.len() <= MAX_SCOPES && places <= MAX_OPEN).then_some(AllCursor { reaches })
}

pub(super) fn scoped_reach(text: &str) -> Option<(Scope, Reach)> {
    let mut parts = text.split('.');
    let scope = Scope(number(parts.next()?, 36)?);
    let high = i64::try_from(number(parts.next()?, 36)?).ok()?;
    let (mut open, mut queued) = (BTreeMap::new(), Vec::<Span>::new());
    for part in parts {
        let Some((invocation, generation, offset)) = three(part) else {
            let span = span(part)?;
            let is_apart = |before: &Span| before.last.get() < span.first.get() - 1;
            let is_open = open.range(span.first..=span.last).next().is_some();
            let is_next = queued.last().is_none_or(is_apart) && span.last.get() <= high;
            (is_next && !is_open).then(|| queued.push(span))?;
            continue;
        };
        queued.is_empty().then_some(())?;
        let invocation = id(number(invocation, 36)?)?;
        let offset = Offset::new(number(offset, 36)?);
        (invocation.get() <= high).then_some(())?;
        let position = Position {
            generation: generation_of(generation)?,
            offset,
        };
        insert_ascending(&mut open, invocation, position)?;
    }
    let reach = Reach { high, open, queued };
    (reach.places() <= MAX_OPEN).then_some((scope, reach))
}

// In the one order in which they are written.
fn insert_ascending<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, value: V) -> Option<()> {
    let ascending = map.last_key_value().is_none_or(|(last, _)| *last < key);
    ascending.then(|| map.insert(key, value)).map(|_| ())
}

fn span(text: &str) -> Option<Span> {
    let (first, last) = match text.split_once('-') {
        Some((first, last)) => (id(number(first, 36)?)?, id(number(last, 36)?)?),
        None => {
            let one = id(number(text, 36)?)?;
            return Some(Span {
                first: one,
                last: one,
            });
        }
    };
    (first < last).then_some(Span { first, last })
}

fn generation_of(text: &str) -> Option<Generation> {
    match text.split_once('-') {
        Some((inode, head)) => Some(Generation::File {
            inode: number(inode, 36)?,
            head: number(head, 36)?,
        }),
        None => Some(Generation::Rebuilt(u32::try_from(number(text, 10)?).ok()?)),
    }
}

fn three(text: &str) -> Option<(&str, &str, &str)> {
    let (first, rest) = text.split_once(':')?;
    let (second, third) = rest.split_once(':')?;
    Some((first, second, third))
}

fn id(number: u64) -> Option<InvocationId> {
    i64::try_from(number).ok().and_then(InvocationId::new)
}

// Without signs, capitals and leading zeros, so that each number has one text.
fn number(text: &str, radix: u32) -> Option<u64> {
    let plain = text
        .bytes()
        .all(|b| b.is_ascii_digit() || b.is_ascii_lowercase());
    let canonical = plain && (text == "0" || !text.starts_with('0'));
    canonical.then(|| u64::from_str_radix(text, radix).ok())?
}
