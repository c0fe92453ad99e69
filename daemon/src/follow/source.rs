//! What following needs of a project: its rows, its logs, and word that they changed.

use std::collections::BTreeSet;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::FollowError;
use crate::activity_log::ActivityLogs;
use crate::domain::cursor::{Scope, Span};
use crate::domain::{Invocation, InvocationId, Query};
use crate::projects::{Origin, Project, Projects};

pub(super) type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, FollowError>> + Send + 'a>>;

/// Rows and logs of one project.
pub(super) trait Source: Send + Sync {
    /// Differs from that of any other, also of the same project closed and opened again.
    fn number(&self) -> usize;
    fn root(&self) -> &Arc<Path>;
    /// By what its database is told from another one under the same path.
    fn origin(&self) -> Origin;
    fn logs(&self) -> &ActivityLogs;
    /// Since when it is open.
    fn opened(&self) -> Instant;
    /// Grows when rows were added or ended.
    fn changes(&self) -> watch::Receiver<u64>;
    fn invocation(&self, id: InvocationId) -> Answer<'_, Option<Invocation>>;
    /// The highest id that was ever given, as far as the database knows.
    fn highest(&self) -> Answer<'_, i64>;
    /// The highest id, and those up to it that have not ended, ascending; of one task, or of all.
    fn standing<'a>(&'a self, task: Option<&'a str>) -> Answer<'a, (i64, Vec<InvocationId>)>;
    /// The newest that has ended, of those up to an id; of one task, or of all.
    fn newest_ended<'a>(
        &'a self,
        task: Option<&'a str>,
        up_to: i64,
    ) -> Answer<'a, Option<Invocation>>;
    /// The first in a range that is not queued, or else one that is; of one task, or of all.
    fn begun<'a>(&'a self, task: Option<&'a str>, span: Span) -> Answer<'a, Option<Invocation>>;
    /// Those above an id, ascending; of one task, or of all.
    fn after<'a>(
        &'a self,
        task: Option<&'a str>,
        after: i64,
        limit: u32,
    ) -> Answer<'a, Vec<Invocation>>;
}

/// All projects there are.
pub(super) trait Sources: Send + Sync {
    fn all(&self) -> Vec<Arc<dyn Source>>;
    /// Grows when a project was added.
    fn changes(&self) -> watch::Receiver<u64>;
    /// The scopes of all that are registered, be they there or not.
    fn registered(&self) -> Answer<'_, BTreeSet<Scope>>;
    /// True while it is known that a project's disk does not answer.
    fn is_mute(&self, root: &Path) -> bool;
    /// Has a project looked at, and given up if it cannot be used any more; tells whether it can be used, be it that
    /// or the one that is opened in its place.
    fn ask(&self, root: &Path) -> JoinHandle<bool>;
}

/// A project as a source.
struct Served {
    project: Arc<Project>,
    root: Arc<Path>,
}

/// Makes a source of a project.
pub(super) fn served(project: Arc<Project>) -> Arc<dyn Source> {
    let root = Arc::from(project.root.as_path());
    Arc::new(Served { project, root })
}

impl Source for Served {
    fn number(&self) -> usize {
        Arc::as_ptr(&self.project).addr()
    }

    fn root(&self) -> &Arc<Path> {
        &self.root
    }

    fn origin(&self) -> Origin {
        self.project.origin()
    }

    fn logs(&self) -> &ActivityLogs {
        self.project.logs()
    }

    fn opened(&self) -> Instant {
        self.project.opened()
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.project.changes()
    }

    fn invocation(&self, id: InvocationId) -> Answer<'_, Option<Invocation>> {
        Box::pin(async move { self.project.store.invocation(id).await.map_err(unreadable) })
    }

    fn highest(&self) -> Answer<'_, i64> {
        Box::pin(async move { self.project.store.highest().await.map_err(unreadable) })
    }

    fn standing<'a>(&'a self, task: Option<&'a str>) -> Answer<'a, (i64, Vec<InvocationId>)> {
        Box::pin(async move { self.project.store.standing(task).await.map_err(unreadable) })
    }

    fn newest_ended<'a>(
        &'a self,
        task: Option<&'a str>,
        up_to: i64,
    ) -> Answer<'a, Option<Invocation>> {
        let query = Query {
            task: task.map(str::to_owned),
            states: vec!["completed", "failed", "timeout"],
            below: InvocationId::new(up_to.saturating_add(1)),
            limit: 1,
            ..Query::default()
        };
        Box::pin(async move {
            let page = self.project.store.invocations(query).await;
            Ok(page.map_err(unreadable)?.invocations.pop())
        })
    }

    fn begun<'a>(&'a self, task: Option<&'a str>, span: Span) -> Answer<'a, Option<Invocation>> {
        let store = &self.project.store;
        Box::pin(async move {
            let begun = store.begun(task, span.first, span.last).await;
            begun.map_err(unreadable)
        })
    }

    fn after<'a>(
        &'a self,
        task: Option<&'a str>,
        after: i64,
        limit: u32,
    ) -> Answer<'a, Vec<Invocation>> {
        let store = &self.project.store;
        Box::pin(async move {
            match task {
                Some(task) => store.of_task_after(task, after, limit).await,
                None => store.after(after, limit).await,
            }
            .map_err(unreadable)
        })
    }
}

impl Sources for Projects {
    fn all(&self) -> Vec<Arc<dyn Source>> {
        Projects::all(self).into_iter().map(served).collect()
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changed()
    }

    fn registered(&self) -> Answer<'_, BTreeSet<Scope>> {
        Box::pin(async move {
            let paths = Projects::registered(self).await?;
            Ok(paths.iter().map(|it| Scope::of_project(it)).collect())
        })
    }

    fn is_mute(&self, root: &Path) -> bool {
        Projects::is_mute(self, root)
    }

    fn ask(&self, root: &Path) -> JoinHandle<bool> {
        let (projects, root) = (self.clone(), root.to_owned());
        // It ends within the time that a disk has to answer in.
        tokio::spawn(async move { projects.get(&root).await.is_ok() })
    }
}

/// Keeps what went wrong with the database, whose errors are not followers' to tell apart.
pub(super) fn unreadable(error: impl std::error::Error + Send + Sync + 'static) -> FollowError {
    FollowError::Store(Box::new(error))
}
