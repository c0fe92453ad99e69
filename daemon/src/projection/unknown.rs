//! Provider events that no parser knew, by name and by the version of the CLI that printed them.
//!
//! A spool may be decoded again from its start; the same events come out in the same order, so what
//! was told is passed over by its number alone.

use std::collections::BTreeMap;

use steroids_provider::activity::{Activity, Foreign, Stamp};

/// Names told apart between two takes. A CLI has some dozens; what prints more is no CLI we know.
const NAMES: usize = 64;

/// The name of what is beyond that.
const OTHER: &str = "other";

/// Bytes of a name or a version that are kept: names are words, versions numbers.
const WORD: usize = 64;

/// Events of one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    /// The CLI's own word for its version; empty while it has not said any.
    pub version: String,
    /// The event's name; empty for one that has none.
    pub name: String,
    /// How many.
    pub count: u64,
    /// When the first and the last of them were printed, in epoch milliseconds.
    pub at_ms: (u64, u64),
}

/// Counts them while lines are made.
#[derive(Debug, Default)]
pub(super) struct Unknowns {
    version: String,
    /// Since the spool's start.
    met: u64,
    /// So many of those were told before.
    told: u64,
    news: BTreeMap<(String, String), Unknown>,
}

impl Unknowns {
    /// Looks at one activity, which holds no secret any more.
    pub(super) fn note(&mut self, at: Stamp, activity: &Activity<'_>) {
        match activity {
            Activity::Session {
                provider_version: Some(version),
                ..
            } => self.version = word(version),
            // Cut off, or too long to be taken apart: nobody knows whether it is known.
            Activity::Unknown {
                name: None,
                data: Foreign::Text(_),
            } => {}
            Activity::Unknown { name, .. } => {
                self.met += 1;
                if self.met > self.told {
                    self.add(at, word(name.as_deref().unwrap_or_default()));
                }
            }
            _ => {}
        }
    }

    fn add(&mut self, at: Stamp, name: String) {
        let mut key = (self.version.clone(), name);
        if self.news.len() >= NAMES && !self.news.contains_key(&key) {
            key.1 = OTHER.to_owned();
        }
        let known = self.news.entry(key).or_insert_with_key(|key| Unknown {
            version: key.0.clone(),
            name: key.1.clone(),
            count: 0,
            at_ms: (at.wall_ms, at.wall_ms),
        });
        known.count += 1;
        known.at_ms.1 = at.wall_ms;
    }

    /// Those not taken before.
    pub(super) fn take(&mut self) -> Vec<Unknown> {
        self.told = self.told.max(self.met);
        std::mem::take(&mut self.news).into_values().collect()
    }

    /// For the same spool from its start.
    pub(super) fn again(&self) -> Unknowns {
        Unknowns {
            told: self.told,
            ..Unknowns::default()
        }
    }
}

/// The beginning of a word that a provider chose, fit for a line and a label.
fn word(text: &str) -> String {
    let text = &text[..text.floor_char_boundary(WORD)];
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use steroids_provider::activity::{Foreign, Text};

    use super::*;

    fn event(name: &str) -> Activity<'_> {
        Activity::Unknown {
            name: Some(name.into()),
            data: Foreign::Text(Text::default()),
        }
    }

    fn session(version: &str) -> Activity<'_> {
        Activity::Session {
            session_id: "s".into(),
            provider_version: Some(version.into()),
        }
    }

    fn at(wall_ms: u64) -> Stamp {
        Stamp {
            wall_ms,
            ..Stamp::default()
        }
    }

    fn told(unknowns: &mut Unknowns) -> Vec<(String, String, u64)> {
        let taken = unknowns.take().into_iter();
        taken.map(|it| (it.version, it.name, it.count)).collect()
    }

    #[test]
    fn one_that_is_cut_off_or_too_long_may_be_known() {
        let mut unknowns = Unknowns::default();
        for truncated_bytes in [0, 1] {
            let text = Text {
                truncated_bytes,
                ..Text::default()
            };
            let data = Foreign::Text(text);
            unknowns.note(at(1), &Activity::Unknown { name: None, data });
        }
        assert_eq!(told(&mut unknowns), []);
    }

    #[test]
    fn each_is_told_once_though_the_spool_is_decoded_again() {
        let mut unknowns = Unknowns::default();
        unknowns.note(at(1), &event("early"));
        unknowns.note(at(2), &session("2.1"));
        unknowns.note(at(3), &event("a"));
        unknowns.note(at(9), &event("a"));
        let taken = unknowns.take();
        assert_eq!((taken[1].count, taken[1].at_ms), (2, (3, 9)));
        let mut again = unknowns.again();
        let all = [event("early"), session("2.1"), event("a"), event("a")];
        all.iter().for_each(|activity| again.note(at(1), activity));
        assert_eq!(told(&mut again), []);
        again.note(at(12), &event("a"));
        // Once more, before that was taken: it is not forgotten.
        let mut again = again.again();
        all.iter().for_each(|activity| again.note(at(1), activity));
        again.note(at(12), &event("a"));
        assert_eq!(told(&mut again), [("2.1".into(), "a".into(), 1)]);
    }

    #[test]
    fn names_are_bounded_in_number_and_length() {
        let mut unknowns = Unknowns::default();
        for number in 0..300 {
            unknowns.note(at(1), &event(&format!("{number}\n{}", "ä".repeat(500))));
        }
        let told = told(&mut unknowns);
        assert_eq!(told.len(), NAMES + 1);
        assert_eq!(told.iter().map(|it| it.2).sum::<u64>(), 300);
        let names = told.iter().map(|it| &it.1);
        assert!(
            names
                .clone()
                .all(|name| name.len() <= WORD && !name.contains('\n'))
        );
        assert!(names.clone().any(|name| name == OTHER));
    }
}
