//! Projects of a stream over all that were forgotten, and may be registered again: nothing was deleted by that, so they go
//! on where they were, unless another database has their path by then.
//!
//! Cursors speak of so many of them and no more, and of none for which something else needs the place: a project for
//! each branch would fill them in the end. One whose place is gone begins as one that nobody has seen.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::domain::cursor::{Reach, Scope};
use crate::projects::Origin;

/// Each makes all cursors longer, and they come with every line.
pub(super) const MOST: usize = 24;

/// Which of those that are not followed are not registered either.
#[derive(Default)]
pub(super) struct Forgotten {
    // Who was forgotten longest ago comes first.
    scopes: VecDeque<Scope>,
    // Of those that are not followed, where it was seen: which database each had.
    origins: BTreeMap<Scope, Origin>,
}

impl Forgotten {
    /// Notes which database a project had that is followed no longer.
    pub(super) fn note(&mut self, scope: Scope, origin: Origin) {
        self.origins.insert(scope, origin);
    }

    /// Whether one that was forgotten is back with another database than it had.
    pub(super) fn is_other(&self, scope: Scope, origin: Origin) -> bool {
        let had = self.origins.get(&scope);
        self.scopes.contains(&scope) && had.is_some_and(|had| *had != origin)
    }

    /// It is followed.
    pub(super) fn took_up(&mut self, scope: Scope) {
        self.scopes.retain(|it| *it != scope);
        self.origins.remove(&scope);
    }

    /// Drops, of those that are not registered, the oldest beyond [`MOST`], and beyond `room` for all that are not
    /// followed.
    pub(super) fn sift(
        &mut self,
        absent: &mut BTreeMap<Scope, Reach>,
        registered: &BTreeSet<Scope>,
        room: usize,
    ) {
        // One that is back and could not be taken up yet is to be known as another, if it is.
        self.scopes
            .retain(|scope| !registered.contains(scope) || absent.contains_key(scope));
        let gone = absent.keys().filter(|scope| !registered.contains(scope));
        for scope in gone {
            if !self.scopes.contains(scope) {
                self.scopes.push_back(*scope);
            }
        }
        while self.scopes.len() > MOST || absent.len() > room {
            let is_away = |scope: &Scope| !registered.contains(scope);
            let Some(at) = self.scopes.iter().position(is_away) else {
                break;
            };
            if let Some(oldest) = self.scopes.remove(at) {
                self.drop(oldest, absent);
            }
        }
    }

    /// Drops the oldest that takes a place among what is open or queued; false if none does.
    pub(super) fn make_room(&mut self, absent: &mut BTreeMap<Scope, Reach>) -> bool {
        let takes_place = |scope: &Scope| absent.get(scope).is_some_and(|it| it.places() > 0);
        let Some(at) = self.scopes.iter().position(takes_place) else {
            return false;
        };
        if let Some(scope) = self.scopes.remove(at) {
            self.drop(scope, absent);
        }
        true
    }

    fn drop(&mut self, scope: Scope, absent: &mut BTreeMap<Scope, Reach>) {
        absent.remove(&scope);
        self.origins.remove(&scope);
    }
}
