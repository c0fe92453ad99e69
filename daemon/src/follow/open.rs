//! Opening a stream: what the selector names, and where the cursor points.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::time::Instant;

use super::roster::Roster;
use super::source::{Source, Sources, served, unreadable};
use super::stream::Stream;
use super::tail::{Extent, Tail};
use super::waits::Alarm;
use super::{FollowError, Follower, Form, OWN_POLL, SILENT_POLL, Selector};
use crate::domain::InvocationId;
use crate::domain::cursor::{AllCursor, InvocationCursor, Reach, Scope, ScopeCursor};
use crate::projects::Projects;
use crate::watch::{Hints, Pace};

/// Where a stream without a cursor begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// With the first invocation there ever was.
    First,
    /// With those that run now. A selector of one invocation knows no difference.
    Running,
    /// As [`Begin::Running`], and of what has a place in the cursor by then only so many last lines of
    /// what there is. Of a task or a project of which nothing runs, those of the newest that has ended.
    Last(u32),
}

impl Begin {
    /// How many lines are given of what there is; `None`: all.
    pub(super) fn last(self) -> Option<u32> {
        match self {
            Begin::First | Begin::Running => None,
            Begin::Last(lines) => Some(lines),
        }
    }
}

impl Follower {
    /// Opens a stream of what comes after the cursor (without one, from where it is to begin); with
    /// `follow` it goes on with what is written later, else it ends when all that is there was
    /// given.
    ///
    /// A cursor that is malformed, of another stream, or inside a line is an error; one whose log
    /// was rebuilt, replaced or cut gets a `gap` event and the log from its start.
    pub async fn open(
        projects: &Projects,
        hints: &Hints,
        selector: Selector,
        after: Option<&str>,
        begin: Begin,
        follow: bool,
    ) -> Result<Follower, FollowError> {
        let extent = if follow {
            Extent::Whole
        } else {
            Extent::Present
        };
        let opening = Opening {
            hints: hints.clone(),
            after: after.unwrap_or_default(),
            begin,
            extent,
        };
        match selector {
            Selector::Invocation { project, id } => {
                opening
                    .invocation(served(projects.get(&project).await?), id)
                    .await
            }
            Selector::Task { project, task } => {
                let project = projects.get(&project).await?;
                if !project.store.task_exists(&task).await.map_err(unreadable)? {
                    return Err(FollowError::NoTask { task });
                }
                opening.scope(served(project), Some(task)).await
            }
            Selector::Project { project } => {
                opening
                    .scope(served(projects.get(&project).await?), None)
                    .await
            }
            Selector::All => opening.all(Box::new(projects.clone())).await,
        }
    }
}

/// What every kind of stream is opened with.
pub(super) struct Opening<'a> {
    pub(super) hints: Hints,
    /// Empty: from the start.
    pub(super) after: &'a str,
    pub(super) begin: Begin,
    pub(super) extent: Extent,
}

impl Opening<'_> {
    pub(super) async fn invocation(
        self,
        source: Arc<dyn Source>,
        id: InvocationId,
    ) -> Result<Follower, FollowError> {
        let cursor = match self.after {
            "" => None,
            text => Some(InvocationCursor::parse(text, id)?),
        };
        let row = source
            .invocation(id)
            .await?
            .ok_or(FollowError::NoInvocation { id })?;
        let tail = Tail::new(&source, &row, &self.hints, self.extent);
        let mut tail = match (cursor, self.begin.last()) {
            (Some(cursor), _) => tail.at(cursor.position),
            (None, Some(lines)) => tail.at_last(lines),
            (None, None) => tail,
        };
        tail.check().await?;
        let scope = Scope::of_project(source.root());
        Ok(self.follower(Form::Invocation, vec![Stream::sole(source, scope, tail)]))
    }

    pub(super) async fn scope(
        self,
        source: Arc<dyn Source>,
        task: Option<String>,
    ) -> Result<Follower, FollowError> {
        let scope = match &task {
            Some(task) => Scope::of_task(source.root(), task),
            None => Scope::of_project(source.root()),
        };
        let (hints, extent) = (&self.hints, self.extent);
        let reach = match (self.after, self.begin) {
            ("", Begin::First) => Some(Reach::default()),
            ("", Begin::Running | Begin::Last(_)) => None,
            (text, _) => Some(ScopeCursor::parse(text, scope)?.reach),
        };
        let stream = match reach {
            Some(reach) => {
                let mut stream = Stream::resume(source, scope, task, &reach, hints, extent).await?;
                stream.check().await?;
                stream
            }
            None => {
                let last = self.begin.last();
                let mut stream =
                    Stream::of_running(source, scope, task, hints, extent, 0, last).await?;
                if let Some(lines @ 1..) = last {
                    stream.take_up_newest(lines, hints, extent).await?;
                }
                stream
            }
        };
        Ok(self.follower(Form::Scope, vec![stream]))
    }

    pub(super) async fn all(self, sources: Box<dyn Sources>) -> Result<Follower, FollowError> {
        let absent: BTreeMap<_, _> = match self.after {
            "" => BTreeMap::new(),
            text => AllCursor::parse(text)?.reaches,
        };
        let begin = if self.after.is_empty() {
            self.begin
        } else {
            Begin::First
        };
        let is_resumed = !self.after.is_empty();
        let roster = Roster::new(sources, absent, begin);
        let mut follower = self.follower(Form::All(roster), Vec::new());
        follower.match_projects().await?;
        if let Form::All(roster) = &mut follower.form {
            roster.have_begun();
        }
        if is_resumed {
            follower.check_places().await?;
        }
        Ok(follower)
    }

    fn follower(self, form: Form, streams: Vec<Stream>) -> Follower {
        Follower {
            hints: self.hints,
            form,
            streams,
            extent: self.extent,
            pending: None,
            turn: None,
            polled: Instant::now(),
            pace: Pace::new(OWN_POLL, SILENT_POLL),
            alarm: Alarm::default(),
            distrusted: Instant::now(),
            is_matched: true,
            is_done: false,
        }
    }
}
