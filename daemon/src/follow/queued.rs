//! What is queued when its turn in a stream comes. It has given no line yet, and may wait for days: so it gets no place
//! of its own, but is remembered as one of a range of ids.

use crate::domain::InvocationId;
use crate::domain::cursor::Span;

/// Of one scope, those that were queued when they were last looked at.
#[derive(Debug, Default)]
pub(super) struct Queued {
    // Ascending, and none next to another.
    spans: Vec<Span>,
    /// Some of them may have begun, or be over.
    pub(super) is_stale: bool,
}

impl Queued {
    /// As a cursor had them.
    pub(super) fn new(spans: Vec<Span>) -> Queued {
        let is_stale = !spans.is_empty();
        Queued { spans, is_stale }
    }

    pub(super) fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// True if the next one, with an id above all of them, takes no place of its own. `behind` is an id behind
    /// which there is nothing of the scope up to that one.
    pub(super) fn takes_along(&self, behind: i64) -> bool {
        self.spans
            .last()
            .is_some_and(|span| span.last.get() == behind)
    }

    /// Adds the next one.
    pub(super) fn push(&mut self, behind: i64, id: InvocationId) {
        match self.spans.last_mut() {
            Some(span) if span.last.get() == behind => span.last = id,
            _ => self.spans.push(Span {
                first: id,
                last: id,
            }),
        }
    }

    /// How many more places it takes to have this one by itself, its own counted.
    pub(super) fn price(&self, id: InvocationId) -> usize {
        let span = self.spans.iter().find(|span| span.contains(id));
        span.map_or(1, |span| {
            usize::from(span.first != id) + usize::from(span.last != id)
        })
    }

    /// Takes one out.
    pub(super) fn take(&mut self, id: InvocationId) {
        let Some(at) = self.spans.iter().position(|span| span.contains(id)) else {
            return;
        };
        let span = self.spans[at];
        let next_to = |by| id.get().checked_add(by).and_then(InvocationId::new);
        let before = next_to(-1).filter(|_| span.first < id);
        let after = next_to(1).filter(|_| id < span.last);
        let before = before.map(|last| Span { last, ..span });
        let after = after.map(|first| Span { first, ..span });
        self.spans.splice(at..=at, before.into_iter().chain(after));
    }

    /// Forgets a range in which there is none any more.
    pub(super) fn forget(&mut self, span: Span) {
        self.spans.retain(|it| *it != span);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: i64) -> InvocationId {
        InvocationId::new(n).unwrap()
    }

    fn pairs(queued: &Queued) -> Vec<(i64, i64)> {
        let spans = queued.spans().iter();
        spans
            .map(|span| (span.first.get(), span.last.get()))
            .collect()
    }

    #[test]
    fn neighbours_share_a_place_and_one_of_them_leaves_the_others_theirs() {
        let mut queued = Queued::default();
        for (behind, n) in [(2, 3), (3, 4), (4, 6), (8, 9)] {
            assert_eq!(queued.takes_along(behind), matches!(n, 4 | 6), "{n}");
            queued.push(behind, id(n));
        }
        assert_eq!(pairs(&queued), [(3, 6), (9, 9)]);
        for (n, price, left) in [
            (9, 0, vec![(3, 6)]),
            (4, 2, vec![(3, 3), (5, 6)]),
            (5, 1, vec![(3, 3), (6, 6)]),
            (3, 0, vec![(6, 6)]),
            (7, 1, vec![(6, 6)]),
        ] {
            assert_eq!(queued.price(id(n)), price, "{n}");
            queued.take(id(n));
            assert_eq!(pairs(&queued), left, "{n}");
        }
    }
}
