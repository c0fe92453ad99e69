//! Where a viewer of a project is: in its lifecycle events and in its logs. Before the first event of
//! a lifecycle the time stands for its number, so that none is missed by who comes back then.

use std::fmt;

use super::body::now_ms;

/// Where a viewer is: `p.<lifecycle>.<cursor>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// Of what became of them.
    pub(super) lifecycle: Lifecycle,
    /// Of the logs; empty: nothing came yet.
    pub(super) cursor: String,
}

/// How far a viewer has the lifecycle events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lifecycle {
    /// Up to this one.
    Number(i64),
    /// None came since this time, epoch milliseconds; written `t<time>`.
    Since(i64),
}

impl Lifecycle {
    /// Nothing came yet, and what comes from now on does.
    pub(super) fn now() -> Lifecycle {
        Lifecycle::Since(now_ms())
    }
}

impl Place {
    /// Reads an id; an empty one is the present.
    pub(super) fn parse(id: &str) -> Option<Place> {
        if id.is_empty() {
            return Some(Place {
                lifecycle: Lifecycle::now(),
                cursor: String::new(),
            });
        }
        let (lifecycle, cursor) = id.strip_prefix("p.")?.split_once('.')?;
        let number = |text: &str| {
            let is_plain = text.bytes().all(|b| b.is_ascii_digit());
            text.parse::<i64>().ok().filter(|_| is_plain)
        };
        let lifecycle = match lifecycle.strip_prefix('t') {
            Some(since) => Lifecycle::Since(number(since)?),
            None => Lifecycle::Number(number(lifecycle)?),
        };
        let cursor = cursor.to_owned();
        Some(Place { lifecycle, cursor })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.lifecycle {
            Lifecycle::Number(number) => write!(f, "p.{number}.{}", self.cursor),
            Lifecycle::Since(since) => write!(f, "p.t{since}.{}", self.cursor),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_names_both_places_and_nothing_else_is_one() {
        for id in ["p.7.w1.4z8k.c.b:0:35s", "p.0.", "p.t1700000000000.w1.a.b"] {
            assert_eq!(Place::parse(id).unwrap().to_string(), id);
        }
        for id in [
            "p", "p.", "p.7", "p.-7.w1", "p.+7.w1", "p.t.w1", "q.7.w1", "1:0:4",
        ] {
            assert_eq!(Place::parse(id), None, "{id}");
        }
        let fresh = Place::parse("").unwrap();
        assert!(matches!(fresh.lifecycle, Lifecycle::Since(t) if t > 0));
    }
}
