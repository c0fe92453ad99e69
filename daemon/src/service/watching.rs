//! The stream of `Watch`: lifecycle events of one project, or of all that are served, also of those
//! that come to be served later. The events are rows with a number that grows; a change of the
//! database only says "look again". With a pulse, also how those that run are doing.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{pending, select_all};
use prost::Message as _;
use steroids_proto::v1;
use tokio::sync::watch;
use tonic::{Code, Status};

use super::pulse::Pulse;
use super::refusal::Refusal;
use super::stream::Source;
use super::{Service, bounds, convert, page, status};
use crate::projects::Project;
use crate::store::{LifecycleEvent, StoreError};

/// With an invocation beside each, about as much as a batch of the log.
const BATCH: u32 = 256;

/// A project of many that is looked at again is waited for so long, and looked at all the same.
const LOOKED_WITHIN: Duration = Duration::from_secs(2);

/// One watcher.
pub(super) struct Watching {
    service: Service,
    /// Grows with the list of projects; `None` where the request named one.
    roster: Option<watch::Receiver<u64>>,
    watched: Vec<Watched>,
    /// Numbers of the last events given of projects that went: they may be opened again, and the
    /// list of projects changes for either. No more than there are projects.
    left: BTreeMap<PathBuf, i64>,
    /// Whose turn it is to be looked at first, so that a busy project does not hide the others.
    turn: usize,
    pulse: Option<Pulse>,
    /// Of what the pulse has told, what did not go into one message.
    running: VecDeque<v1::Invocation>,
}

struct Watched {
    project: Arc<Project>,
    /// Where its events begin, until its database has told the number.
    from: Option<From>,
    /// Number of the last event given.
    last: i64,
    changes: watch::Receiver<u64>,
}

/// Where the events of a project begin.
#[derive(Debug, Clone, Copy)]
enum From {
    /// With the next one.
    Now,
    /// With the first one at this time, in epoch milliseconds, or later.
    Time(i64),
    /// Behind this number, which in one of many projects means nothing where there is none such.
    Number(i64),
    /// Behind the last one given of the same folder's database, which may be another one by now.
    Left(i64),
}

impl Watching {
    pub(super) async fn open(
        service: &Service,
        request: v1::WatchRequest,
    ) -> Result<Watching, Status> {
        if request.after.is_some_and(|after| after < 0) {
            return Err(super::refusal::invalid("after", "must not be negative"));
        }
        let is_sole = !request.project.is_empty();
        let pulse = convert::pulse(request.pulse)?;
        let pulse = pulse.map(|every| Pulse::new(service, every, is_sole));
        // Subscribed first: a project that is added in between is then seen twice, not missed.
        let roster = request
            .project
            .is_empty()
            .then(|| service.projects.changed());
        let mut watching = Watching {
            service: service.clone(),
            roster,
            watched: Vec::new(),
            left: BTreeMap::new(),
            turn: 0,
            pulse,
            running: VecDeque::new(),
        };
        let from = match (request.after, request.since_ms) {
            (None, Some(since)) => From::Time(since),
            (Some(after), _) => From::Number(after),
            (None, None) => From::Now,
        };
        let there = service.projects_at(&request.project).await?;
        for project in there.projects {
            watching.add(project, from);
        }
        for at in 0..watching.watched.len() {
            watching.begin(at).await?;
        }
        Ok(watching)
    }

    fn add(&mut self, project: Arc<Project>, from: From) {
        self.watched.push(Watched {
            changes: project.changes(),
            project,
            from: Some(from),
            last: 0,
        });
    }

    /// Learns where a project's events begin, if that is not known yet. One of many whose database cannot
    /// be asked now holds up no other: it is asked again when it has changed, or answers.
    async fn begin(&mut self, at: usize) -> Result<bool, Status> {
        let Some(watched) = self.watched.get_mut(at) else {
            return Ok(false);
        };
        let Some(from) = watched.from else {
            return Ok(true);
        };
        let is_sole = self.roster.is_none();
        let store = &watched.project.store;
        let ask = async {
            Ok(match from {
                From::Now => (store.last_event().await?, None),
                From::Time(since) => (store.event_before(since).await?, None),
                From::Number(after) | From::Left(after) => (after, Some(store.last_event().await?)),
            })
        };
        let (last, newest) = match asked(is_sole, &watched.project, ask).await {
            Ok(begun) => begun,
            Err(error) if is_sole => return Err(status::store(error)),
            Err(error) => {
                self.doubt(at, &error).await;
                return Ok(false);
            }
        };
        watched.last = match (from, newest) {
            (From::Number(after), Some(newest)) if after > newest && is_sole => {
                return Err(past_the_last(after, newest));
            }
            (From::Number(_), Some(newest)) => last.min(newest),
            // Of another database, where numbers went further: of this one nothing was seen.
            (_, Some(newest)) if last > newest => 0,
            _ => last,
        };
        watched.from = None;
        if let Some(pulse) = &mut self.pulse {
            pulse.add(&watched.project);
        }
        Ok(true)
    }

    /// Has a project that cannot be read looked at: one whose database is not what it was is given up, and
    /// goes with the next look at the list.
    async fn doubt(&self, at: usize, error: &StoreError) {
        let Some(watched) = self.watched.get(at) else {
            return;
        };
        let project = &watched.project;
        tracing::debug!(project = %project.root.display(), %error, "cannot be watched now");
        if !matches!(error, StoreError::NoAnswer { .. }) {
            // It goes on by itself where nobody waits for it.
            let _ =
                tokio::time::timeout(LOOKED_WITHIN, self.service.projects.get(&project.root)).await;
        }
    }

    /// Takes up projects that were added, and lets go of those given up or opened anew.
    fn refresh(&mut self) {
        let served = self.service.projects.all();
        let known = |project: &Arc<Project>, among: &[Watched]| {
            among
                .iter()
                .any(|watched| Arc::ptr_eq(&watched.project, project))
        };
        let gone = self.watched.extract_if(.., |watched| {
            !served
                .iter()
                .any(|project| Arc::ptr_eq(project, &watched.project))
        });
        let places = gone.filter_map(|watched| {
            let last = match watched.from {
                None => watched.last,
                Some(From::Left(last)) => last,
                // It has told nothing that could be gone on from.
                Some(From::Now | From::Time(_) | From::Number(_)) => return None,
            };
            Some((watched.project.root.clone(), last))
        });
        self.left.extend(places);
        for project in served {
            if known(&project, &self.watched) {
                continue;
            }
            // The same folder opened anew goes on where it was.
            let left = self.left.remove(&project.root);
            self.add(project, left.map_or(From::Now, From::Left));
        }
    }

    /// The next events of the first project that has any.
    async fn look(&mut self) -> Result<Option<v1::WatchResponse>, Status> {
        let count = self.watched.len();
        for step in 0..count {
            let at = (self.turn + step) % count;
            let Some(watched) = self.watched.get_mut(at) else {
                continue;
            };
            if let Some(pulse) = &mut self.pulse
                && watched.changes.has_changed().unwrap_or(false)
            {
                pulse.touch(&watched.project);
            }
            // Before the look, so that what comes during it is not missed.
            watched.changes.mark_unchanged();
            if !self.begin(at).await? {
                continue;
            }
            let Some(watched) = self.watched.get(at) else {
                continue;
            };
            let is_sole = self.roster.is_none();
            let ask = watched.project.store.events(watched.last, BATCH);
            let events = match asked(is_sole, &watched.project, ask).await {
                Ok(events) => events,
                Err(error) if is_sole => return Err(status::store(error)),
                // Its own project's watchers are told; here the others go on.
                Err(error) => {
                    self.doubt(at, &error).await;
                    continue;
                }
            };
            if events.is_empty() {
                continue;
            }
            let project = Arc::clone(&watched.project);
            let answer = match self.answer(&project, events).await {
                Ok(answer) => answer,
                Err(error) if is_sole => return Err(status::store(error)),
                // Lost since its events were read: they are told when it is back.
                Err(_) => continue,
            };
            if let Some(watched) = self.watched.get_mut(at)
                && let Some(last) = answer.events.last()
            {
                watched.last = last.number;
            }
            self.turn = (at + 1) % count;
            return Ok(Some(answer));
        }
        Ok(None)
    }

    /// How those that run are doing, if there is something to tell.
    async fn beat(&mut self) -> Result<Option<v1::WatchResponse>, Status> {
        let Some(pulse) = &mut self.pulse else {
            return Ok(None);
        };
        if self.running.is_empty() {
            let watched: Vec<_> = self.watched.iter().map(|it| &it.project).collect();
            let running = pulse.look(&self.service, &watched).await;
            let Some(running) = running.map_err(status::store)? else {
                return Ok(None);
            };
            self.running = running.into();
        }
        Ok(Some(v1::WatchResponse {
            running: page::fitting(&mut self.running),
            ..v1::WatchResponse::default()
        }))
    }

    /// As many of them as go into one message; one at least.
    async fn answer(
        &self,
        project: &Arc<Project>,
        events: Vec<LifecycleEvent>,
    ) -> Result<v1::WatchResponse, StoreError> {
        let is_sole = self.roster.is_none();
        let (mut answer, mut bytes) = (v1::WatchResponse::default(), 0);
        for event in events {
            let invocation = match event.invocation {
                Some(id) => asked(is_sole, project, project.store.invocation(id)).await?,
                None => None,
            };
            let event = v1::LifecycleEvent {
                number: event.number,
                project: convert::text(&project.root),
                ts: event.ts_ms,
                kind: bounds::word(event.kind),
                invocation_id: event.invocation.map(crate::domain::InvocationId::get),
                task_id: bounds::word(event.task.unwrap_or_default()),
                invocation: invocation.map(|row| self.service.shown(project, row)),
                message: bounds::line(event.message),
            };
            bytes += event.encoded_len();
            if bytes > page::BYTES_MAX && !answer.events.is_empty() {
                break;
            }
            answer.events.push(event);
        }
        Ok(answer)
    }

    fn is_begun(&self) -> bool {
        self.running.is_empty() && self.pulse.as_ref().is_none_or(Pulse::is_begun)
    }

    /// Waits until one of the projects, or their list, has changed. Cancel-safe.
    async fn changed(&mut self) {
        let projects = self.watched.iter_mut();
        let projects = projects.map(|watched| next_change(&mut watched.changes).boxed());
        let roster = self.roster.as_mut();
        let list = async {
            match roster {
                Some(roster) => next_change(roster).await,
                None => pending().await,
            }
        };
        let pulse = self.pulse.as_mut();
        let beat = async {
            match pulse {
                Some(pulse) => pulse.ready().await,
                None => pending().await,
            }
        };
        select_all(projects.chain([list.boxed(), beat.boxed()])).await;
    }
}

/// What a question comes to: among many projects only if that is soon.
pub(super) async fn asked<T>(
    is_sole: bool,
    project: &Project,
    question: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    match is_sole {
        true => question.await,
        false => project.store.promptly(question).await,
    }
}

/// Numbers never fall in a database, so this one is of another, that was here before.
fn past_the_last(after: i64, last: i64) -> Status {
    let message = format!("after {after} is past {last}, the number of the last lifecycle event");
    Refusal::new(Code::OutOfRange, "CURSOR_OUT_OF_RANGE", message)
        .field("after")
        .todo("the project's database is a new one: watch from its first event, with 0")
        .into()
}

/// Waits for the next change, and leaves it to be seen. What is closed has no more: it goes with the
/// next look at the list.
async fn next_change(changes: &mut watch::Receiver<u64>) {
    match changes.changed().await {
        Ok(()) => changes.mark_changed(),
        Err(_) => pending().await,
    }
}

impl Source for Watching {
    type Batch = v1::WatchResponse;

    fn size(batch: &v1::WatchResponse) -> usize {
        // Rows without their texts.
        (batch.events.len() + batch.running.len()) * 1024
    }

    async fn next(&mut self) -> Result<Option<v1::WatchResponse>, Status> {
        loop {
            if let Some(roster) = &mut self.roster {
                roster.mark_unchanged();
                self.refresh();
            }
            // What runs comes first, and its events after that: none is of an earlier moment.
            if self.is_begun()
                && let Some(batch) = self.look().await?
            {
                return Ok(Some(batch));
            }
            if let Some(batch) = self.beat().await? {
                return Ok(Some(batch));
            }
            self.changed().await;
        }
    }
}
