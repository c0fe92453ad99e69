//! What an open database stands on: the files that were opened, still under their names, and not
//! known to be damaged. Everything asked of a store asks this first.
//!
//! SQLite goes on with a file that was deleted, replaced or overwritten, and what it writes then is
//! seen by nobody, or makes it worse. Damage that was seen once stays: the store is to be closed, and
//! the file that has the name then opened as any other.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use rustix::io::Errno;

use super::error::StoreError;
use super::open::{self, Depth};
use super::place::{Identity, Origin, Stamp};
use super::{Store, sys};

/// Shared by a store and its threads.
#[derive(Debug)]
pub(super) struct Footing {
    path: PathBuf,
    identity: Identity,
    damage: OnceLock<Damage>,
    /// Set when the store is closed: whether it was for want of a footing.
    given_up: OnceLock<bool>,
    /// The database file as it was when it was last looked through.
    looked: Mutex<Option<Stamp>>,
}

/// What was found broken.
#[derive(Debug, Clone)]
enum Damage {
    Header,
    Pages(String),
}

impl Store {
    /// Whether nobody writes to it any more, as another file has its name or its folder is gone.
    pub fn is_given_up(&self) -> bool {
        self.shared.footing.given_up.get().copied().unwrap_or(false)
    }

    /// Which database it is, as of when it was opened.
    pub fn origin(&self) -> Origin {
        self.shared.footing.identity.origin()
    }
}

impl Footing {
    /// Of a database whose connections have been used, and that was looked through at `looked`.
    pub(super) fn of(db: &Path, looked: Stamp) -> Footing {
        Footing {
            path: db.to_owned(),
            identity: Identity::of(db),
            damage: OnceLock::new(),
            given_up: OnceLock::new(),
            looked: Mutex::new(Some(looked)),
        }
    }

    /// Why the database must not be used any more, if that is so.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        let path = self.path.clone();
        match self.damage.get() {
            Some(Damage::Header) => Err(StoreError::NotADatabase { path }),
            Some(Damage::Pages(what)) => Err(StoreError::Corrupt {
                path,
                what: what.clone(),
            }),
            None if self.identity.holds() => Ok(()),
            None => Err(StoreError::Replaced { path }),
        }
    }

    /// To be called before the store is closed: after that its -wal may be gone by its own hand.
    pub(super) fn note_closing(&self) {
        // A second close is no other one.
        let _ = self.given_up.set(self.check().is_err());
    }

    /// Why a closed store was closed, if that was no end of the daemon or the project.
    pub(super) fn why_closed(&self) -> Option<StoreError> {
        let given_up = self.given_up.get().copied().unwrap_or(false);
        given_up.then(|| self.check().err()).flatten()
    }

    /// True if nothing in the file may be written any more, not even what was committed.
    pub(super) fn is_damaged(&self) -> bool {
        self.damage.get().is_some()
    }

    /// Remembers damage that somebody came upon.
    pub(super) fn notice(&self, error: &StoreError) {
        let damage = match error {
            StoreError::NotADatabase { .. } => Damage::Header,
            StoreError::Corrupt { what, .. } => Damage::Pages(what.clone()),
            _ => return,
        };
        if self.damage.set(damage).is_ok() {
            tracing::error!(db = %self.path.display(), %error, "database is damaged");
        }
    }

    /// After our connections are closed: takes our journals away from a file that has taken the
    /// database's place. SQLite would take them for its own and write what is in them into it.
    pub(super) fn set_strays_aside(&self) {
        let own = self.identity.database();
        for (path, id) in self.identity.strays() {
            match sys::set_aside(path, id, own) {
                Ok(()) => {
                    tracing::warn!(journal = %path.display(), "set aside: not this database's")
                }
                // It is at home again, or may be once its database is back.
                Err(Errno::STALE | Errno::NOENT) => {}
                Err(error) => tracing::error!(journal = %path.display(), %error, "stays in place"),
            }
        }
    }

    /// Looks the file through if it was written since the last look, which in WAL mode happens
    /// seldom; blocks.
    pub(super) fn look(&self) -> Result<(), StoreError> {
        self.check()?;
        let stamp = Stamp::of(&self.path);
        {
            let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
            if looked.replace(stamp.clone()).as_ref() == Some(&stamp) {
                return Ok(());
            }
        }
        let found = open::look_for_damage(&self.path, Depth::InPassing);
        if let Err(error) = &found {
            self.notice(error);
        }
        // What it was replaced by meanwhile says nothing about what we have open.
        self.check()?;
        match found {
            // Another program has it locked, or the like: not a reason to give it up.
            Err(error) => {
                tracing::debug!(db = %self.path.display(), %error, "database not looked through");
                // It was not seen: next time it is.
                *self.looked.lock().unwrap_or_else(PoisonError::into_inner) = None;
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }
}
