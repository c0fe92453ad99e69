//! How a question or a change comes to the thread that owns the connection, and back as what callers
//! see of it.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::Connection;

use super::error::{Failure, StoreError};
use super::transaction::transact;
use super::worker::{Late, Worker};
use super::{Shared, Store, bump, migrations, query, queue};
use crate::domain::{Invocation, InvocationId, Outcome, Phase};

/// Whether the file may be written.
pub(super) enum Access {
    Writes(Worker),
    /// Its tables have this version, which is newer than ours.
    ReadsOnly(u32),
}

impl Store {
    /// What a question comes to, if its answer comes within seconds: for who asks many databases, one of
    /// which must not hold up the others. One that hangs is told at once from then on, and by
    /// [`Store::changes`] when it answers again.
    ///
    /// # Errors
    /// Those of the question, and [`StoreError::NoAnswer`].
    pub async fn promptly<T>(
        &self,
        question: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let answer = self.shared.reader.promptly(question).await;
        answer.unwrap_or_else(|Late| Err(self.late()))
    }

    /// Those of these uuids of which it has a row of ours that tells what became of them: one that ended as lost
    /// may be that in a copy, and what it was copied of goes on.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn known(&self, uuids: Vec<String>) -> Result<HashSet<String>, StoreError> {
        self.read(move |db| {
            let is_lost = |row: &Invocation| {
                let lost = Some(Outcome::Lost);
                matches!(row.phase, Phase::Ended { outcome, .. } if outcome == lost)
            };
            let has = |uuid: String| {
                let row = query::by_uuid(db, &uuid)?;
                Ok(row.filter(|row| !is_lost(row)).map(|_| uuid))
            };
            let known = uuids.into_iter().map(has);
            known.filter_map(Result::transpose).collect()
        })
        .await
    }

    /// When those of these uuids ended of which it has a row of ours, in epoch milliseconds; `None` for one
    /// that is not over.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn ends(
        &self,
        uuids: Vec<String>,
    ) -> Result<HashMap<String, Option<i64>>, StoreError> {
        self.read(move |db| {
            let mut ends = HashMap::with_capacity(uuids.len());
            for uuid in uuids {
                if let Some(row) = query::by_uuid(db, &uuid)? {
                    let is_over = row.phase.is_ended();
                    ends.insert(uuid, is_over.then(|| row.completed_ms.unwrap_or(0)));
                }
            }
            Ok(ends)
        })
        .await
    }

    /// Says where one that waits is to work now.
    ///
    /// # Errors
    /// Where the id is another one's, or the change cannot be written.
    pub async fn moved(
        &self,
        id: InvocationId,
        uuid: String,
        cwd: PathBuf,
    ) -> Result<(), StoreError> {
        self.write(move |tx| queue::moved(tx, id, &uuid, &cwd))
            .await
    }

    /// As [`Store::promptly`], of a change. One that comes too late may be made all the same.
    ///
    /// # Errors
    /// Those of the change, and [`StoreError::NoAnswer`].
    pub async fn promptly_changed<T>(
        &self,
        change: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        match &self.shared.writer {
            Access::Writes(writer) => {
                let answer = writer.promptly(change).await;
                answer.unwrap_or_else(|Late| Err(self.late()))
            }
            // Refused at once.
            Access::ReadsOnly(_) => change.await,
        }
    }

    fn late(&self) -> StoreError {
        let path = self.shared.path.clone();
        StoreError::NoAnswer { path }
    }

    pub(super) async fn read<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        let shared = Arc::clone(&self.shared);
        let answer = self
            .shared
            .reader
            .run(move |connection| {
                shared.footing.check()?;
                ask(connection).map_err(|failure| shared.sorted(failure))
            })
            .await;
        answer.unwrap_or_else(|_gone| Err(self.closed()))
    }

    pub(super) async fn write<T: Send + 'static>(
        &self,
        change: impl Fn(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.write_with(transact, change).await
    }

    pub(super) async fn write_with<T, C>(
        &self,
        transact: fn(&mut Connection, C) -> Result<T, Failure>,
        change: C,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
        C: Fn(&Connection) -> Result<T, Failure> + Send + 'static,
    {
        let writer = match &self.shared.writer {
            Access::Writes(writer) => writer,
            Access::ReadsOnly(version) => {
                return Err(StoreError::Newer {
                    path: self.shared.path.clone(),
                    version: *version,
                    known: migrations::OWN_VERSION,
                });
            }
        };
        let shared = Arc::clone(&self.shared);
        let answer = writer
            .run(move |connection| {
                shared.footing.check()?;
                let answer = transact(connection, change);
                if answer.is_ok() {
                    steroids_failpoint::reach("store.committed");
                    // Replaced in just this moment: then nobody will ever see what was written.
                    shared.footing.check()?;
                    bump(&shared.changes);
                    bump(&shared.written);
                }
                answer.map_err(|failure| shared.sorted(failure))
            })
            .await;
        answer.unwrap_or_else(|_gone| Err(self.closed()))
    }

    /// One that was given up says why.
    pub(super) fn closed(&self) -> StoreError {
        let path = self.shared.path.clone();
        let why = self.shared.footing.why_closed();
        why.unwrap_or(StoreError::Closed { path })
    }
}

impl Shared {
    /// The error as callers see it; damage is remembered.
    pub(super) fn sorted(&self, failure: Failure) -> StoreError {
        let error = failure.at(&self.path);
        self.footing.notice(&error);
        error
    }
}
