//! The task that owns one invocation. It projects the spool as it grows, passes requests on to the
//! shim, and when the exit record is there, finishes log and row.
//!
//! ```text
//!            spool grew             exit record, lock free
//!   Running ───────────> project ───────────────> finish log ──> finish row ──> Ended
//!      │ shim gone without a record of its own
//!      └──> take the lock ──> kill what is left ──> write the record (lost) ──> as above
//! ```

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use steroids_provider::redact::Redactor;
use steroids_shim::lock;
use steroids_shim::paths::InvDir;
use steroids_shim::protocol::Message;
use steroids_shim::spec::Spec;
use tokio::sync::{mpsc, watch};
use tracing::{debug, info, warn};

use super::announce::{Announcements, Untold};
use super::finish;
use super::link::ShimLink;
use super::proof::{Doubt, Recorded, Weighed, recorded};
use super::stalls::Telling;
use super::supervisor::{Entry, Inner};
use super::vitals::{Vitals, Whose};
use super::wakes::{Event, Wakes};
use super::whereabouts::Whereabouts;
use crate::domain::{Invocation, InvocationId, Known, Live};
use crate::projection::{Projection, Step};
use crate::projects::Project;
use crate::store::{NewEvent, NewInvocation, Rebuild, Store, StoreError};
use crate::watch::Arming;

/// Between attempts to write a log or row that could not be written (disk full, database locked).
pub(super) const RETRY: Duration = Duration::from_secs(1);

/// Somebody stopping, and somebody stopping harder; more wait their turn.
pub(super) const REQUESTS: usize = 8;

/// What a job may be asked for.
#[derive(Debug, Clone)]
pub(super) enum Request {
    /// End it, gently first.
    Stop {
        /// `None`: its own.
        grace: Option<Duration>,
        /// Where it is not that somebody wanted it.
        why: Option<Arc<str>>,
        /// As the host goes down, or the user's session ends.
        shutdown: bool,
    },
    /// End it with all that runs.
    StopAll,
}

/// What a job publishes.
#[derive(Debug, Clone)]
pub(super) enum Progress {
    /// Not ended.
    Running(Vitals),
    /// It has ended: its log gets the last line, then its row becomes final.
    Ending(Vitals),
    /// The row is final.
    Ended(Box<Invocation>),
}

/// How others reach a job, or one that is about to be.
#[derive(Clone)]
pub(super) struct JobHandle {
    pub(super) requests: mpsc::Sender<Request>,
    pub(super) progress: watch::Receiver<Progress>,
    /// Set when there is a job.
    pub(super) whose: Arc<OnceLock<Whose>>,
    /// It was asked to end, as a budget is reached.
    pub(super) is_out_of_budget: Arc<AtomicBool>,
    /// Its input was closed for that, or is being closed.
    pub(super) takes_no_more: Arc<AtomicBool>,
    /// How many bytes of its spool are in its log.
    pub(super) reach: Arc<AtomicU64>,
    /// Where its project is, once there is a job.
    pub(super) home: Arc<Mutex<Option<Home>>>,
}

/// Where the project of a job is.
#[derive(Debug, Clone)]
pub(super) struct Home {
    /// By device and number: it is that folder's, whoever has its path.
    pub(super) folder: (u64, u64),
    /// As far as known: until somebody has looked, that which a moved one had before.
    pub(super) path: Arc<Path>,
}

/// One invocation in our care.
pub(super) struct Job {
    pub(super) id: InvocationId,
    pub(super) spec: Arc<Spec>,
    pub(super) dir: InvDir,
    /// Where its row is, as far as is known: the one that its path leads to.
    pub(super) project: Arc<Project>,
    /// The folder in which its log is.
    pub(super) log_folder: (u64, u64),
    /// When it was asked last what its path leads to.
    pub(super) sought: Option<Instant>,
    /// Its path leads to no project now.
    pub(super) lacks_project: bool,
    pub(super) inner: Arc<Inner>,
    pub(super) entry: Entry,
    pub(super) link: ShimLink,
    /// Its row counts a rebuilt log that a daemon before us may have published, or not.
    pub(super) half_published: bool,
    /// Somebody asked for its end, of this daemon.
    pub(super) is_stopped: bool,
    /// This daemon told it to end, as the host goes down or the session ends.
    pub(super) ends_with_host: bool,
    /// Of its end this daemon knows by the record alone.
    pub(super) had_ended: bool,
    /// What is known of a record of its end.
    pub(super) doubt: Doubt,
    /// There is a record of its end, and all of its spool is in its log.
    pub(super) is_ending: bool,
    /// What fails now was tried after its end was known.
    pub(super) is_over: bool,
    /// What keeps it from its end, which is left to whoever takes it up next.
    pub(super) stray: Option<String>,
    /// Takes its secrets out of its log and row,
    pub(super) redactor: Redactor,
    /// and they stand in no log of ours while there is a job.
    pub(super) _secrets: Known,
    /// What is told of it before its row changes.
    pub(super) announcements: Announcements,
    /// What was told of limits that are near, and of waits for a person.
    pub(super) telling: Telling,
}

impl Job {
    /// Runs until the row is final, or the daemon lets go of it. Its place is given back then.
    pub(super) async fn run(mut self) {
        match self.supervise().await {
            Some(ended) => {
                info!(
                    invocation.id = %self.id,
                    project = %self.project.root.display(),
                    status = ended.phase.as_str(),
                    "invocation ended"
                );
                let usage = ended.usage;
                let over = Progress::Ended(Box::new(ended));
                self.entry.progress.send_replace(over);
                let (inner, project) = (Arc::clone(&self.inner), Arc::clone(&self.project));
                let (id, spec) = (self.id, Arc::clone(&self.spec));
                // Whoever waits for the end looks for no job any more.
                drop(self);
                inner.budgets_after(&project, id, &spec, usage).await;
            }
            None => match self.stray.take() {
                Some(why) => self.go_astray(why).await,
                None => debug!(invocation.id = %self.id, "job let go"),
            },
        }
    }

    async fn supervise(&mut self) -> Option<Invocation> {
        let mut wakes = self.wakes().await?;
        if self.half_published {
            self.count_generation(Rebuild::Published).await?;
        }
        let mut projection = self.open_projection().await?;
        if self.had_ended && finish::was_final(&self.dir).await {
            self.telling.keep_silent();
        }
        let mut asks_life = false;
        loop {
            let armings = wakes.armings();
            let (back, exit) = self.project(projection, asks_life, armings).await?;
            projection = back;
            match self.weigh(exit).await {
                Weighed::No => self.doubt.is_gone(),
                Weighed::Claim => {
                    if self.lets_go().await? {
                        continue;
                    }
                }
                Weighed::Refuted => {
                    self.looks_anew().await?;
                    continue;
                }
                Weighed::Proof(exit) => {
                    self.publish_ending(exit.ended_ms);
                    return finish::finish(self, projection, exit).await;
                }
            }
            self.obey().await;
            self.link.ask_in_turn().await;
            let event = loop {
                self.link.heed(!wakes.is_watched()).await;
                match wakes.next(&mut self.entry.requests, &mut self.link).await {
                    // How it is, and nothing of the spool: of that the kernel tells.
                    Event::Shim(Some(Message::Stat(_))) if wakes.is_watched() => self.listen(),
                    event => break event,
                }
            };
            asks_life = matches!(event, Event::Poll);
            match event {
                Event::Hint => {}
                Event::Poll => self.link.ask().await,
                Event::Shim(Some(_)) => self.listen(),
                Event::Request(request) => {
                    debug!("stop asked");
                    self.stop(request).await;
                }
                Event::Shim(None) => self.check_life().await,
                Event::Detach => return None,
            }
        }
    }

    /// On a thread that may block, as it asks the project's disk.
    async fn wakes(&mut self) -> Option<Wakes> {
        let hints = self.inner.hints.clone();
        let (dir, log) = (self.dir.clone(), self.project.logs().path(self.id));
        let watch = move || [hints.folder(dir.path()), hints.name(&log)];
        let hints = self.blocking(watch).await?;
        let (stop, audience) = (self.inner.stop.clone(), &self.inner.audience);
        let projects = self.inner.projects.changed();
        Some(Wakes::new(stop, hints, projects, audience))
    }

    /// Is the shim still there? If not, and it left no record, the invocation is lost.
    async fn check_life(&mut self) {
        // What is told of it says whether it was stopped.
        self.link.rouse().await;
        let path = self.dir.lock();
        let held = tokio::task::spawn_blocking(move || lock::is_held(&path)).await;
        let held = held.unwrap_or_else(|panicked| Err(std::io::Error::other(panicked)));
        self.is_alive(held).await;
    }

    /// From now on whoever asks for the row waits for its end.
    fn publish_ending(&mut self, ended_ms: u64) {
        self.is_ending = true;
        self.entry.progress.send_if_modified(|progress| {
            if let Progress::Running(vitals) = progress {
                *progress = Progress::Ending(std::mem::take(vitals).of_ended(ended_ms));
            }
            true
        });
        self.inner.beat();
    }

    fn publish_live(&self, live: Live) {
        self.publish(|vitals| {
            let is_news = vitals.live.as_deref() != Some(&live);
            if is_news {
                vitals.live = Some(Arc::new(live));
            }
            is_news
        });
    }

    /// Changes what is published, and tells those who look at all jobs if that was news.
    pub(super) fn publish(&self, change: impl FnOnce(&mut Vitals) -> bool) {
        let is_news = self
            .entry
            .progress
            .send_if_modified(|progress| match progress {
                Progress::Running(vitals) | Progress::Ending(vitals) => change(vitals),
                Progress::Ended(_) => false,
            });
        if is_news {
            self.inner.beat();
        }
    }

    /// Opens the projection, however long the log's disk refuses; `None` once the daemon stops.
    pub(super) async fn open_projection(&mut self) -> Option<Box<Projection>> {
        loop {
            self.settle_in_folder();
            let (spec, redactor) = (Arc::clone(&self.spec), self.redactor.clone());
            let (dir, logs) = (self.dir.clone(), self.project.logs().clone());
            let open = move || Projection::open(spec, redactor, dir, logs).map(Box::new);
            match self.blocking(open).await? {
                Ok(projection) => return Some(projection),
                Err(error) => self.bear(&error, None).await?,
            }
        }
    }

    /// Projects all that is in the spool now. With what is recorded of its end, as that was before: what a
    /// record promises of the spool has then been projected. Asked for its life too, or to watch its folders,
    /// it is done in one trip to a thread that may block: with many silent ones the trips are what costs.
    async fn project(
        &mut self,
        mut projection: Box<Projection>,
        mut asks_life: bool,
        mut armings: Option<[Arming; 2]>,
    ) -> Option<(Box<Projection>, Recorded)> {
        loop {
            if self.is_to_look_around() {
                self.look_around(Some(&mut projection)).await;
            }
            let (dir, armings) = (self.dir.clone(), armings.take());
            let look = move || {
                // First of all: of what comes after this look the kernel tells.
                armings.iter().flatten().for_each(Arming::arm);
                // Before the record, which a shim writes before it lets go.
                let held = asks_life.then(|| lock::is_held(&dir.lock()));
                let exit = recorded(&dir);
                let step = projection.advance();
                (projection, held, exit, step)
            };
            let (back, held, exit, step) = self.blocking(look).await?;
            projection = back;
            if step.is_ok() && !projection.is_without_log() {
                let reach = projection.position();
                self.entry.reach.store(reach, Ordering::Relaxed);
            }
            self.count_unknown(&mut projection);
            match step {
                Ok(Step::UpToDate { .. }) if projection.is_without_log() => {
                    self.publish_live(projection.live());
                    let has_ended = matches!(exit, Ok(Recorded::Proven(_)));
                    self.sit_out(&mut projection, has_ended).await?;
                }
                Ok(Step::UpToDate { appended }) => {
                    if appended {
                        steroids_failpoint::reach("log.appended");
                        self.inner.hints.poke(projection.log_path());
                    }
                    let live = projection.live();
                    let mut stalls = projection.stalls(&live, &self.inner.settings().zone);
                    // What has ended in the meantime waits for nobody.
                    stalls.tells_waiting &= matches!(exit, Ok(Recorded::No));
                    self.publish_live(live);
                    self.telling.tell(stalls, &self.announcements);
                    if let (Some(held), Ok(Recorded::No)) = (held, &exit)
                        && !self.is_alive(held).await
                    {
                        asks_life = false;
                        continue;
                    }
                    return match exit {
                        Ok(exit) => {
                            if !self.lacks_project {
                                self.inner.well(&self.spec.uuid);
                            }
                            Some((projection, exit))
                        }
                        Err(error) => {
                            self.trouble(&error);
                            Some((projection, Recorded::No))
                        }
                    };
                }
                Ok(Step::More) => {
                    self.inner.hints.poke(projection.log_path());
                    // What is decoded again after a restart is behind what was told before it.
                    if projection.is_appending() {
                        self.publish_live(projection.live());
                    }
                }
                Ok(Step::Rebuilt) => projection = self.publish_rebuilt(projection).await?,
                Err(error) => self.read_on(&error, &mut projection).await?,
            }
            self.obey().await;
            if self.inner.stop.is_cancelled() {
                return None;
            }
        }
    }

    /// Puts a log written anew in the old one's place, under a new generation. The number goes up
    /// before and after: while it is odd no follower opens either file, and a cursor that was made
    /// of one all the same, as it stayed odd for long, has a number that nothing has later.
    pub(super) async fn publish_rebuilt(
        &mut self,
        mut projection: Box<Projection>,
    ) -> Option<Box<Projection>> {
        steroids_failpoint::reach("rebuild.written");
        self.count_generation(Rebuild::Written).await?;
        steroids_failpoint::reach("rebuild.counted");
        let publish = move || {
            let published = projection.publish();
            (projection, published)
        };
        let (mut back, published) = self.blocking(publish).await?;
        steroids_failpoint::reach("rebuild.published");
        let generation = self.count_generation(Rebuild::Published).await?;
        match published {
            Ok(()) => {
                let why = back.take_rebuilt_for().unwrap_or_default();
                warn!(invocation.id = %self.id, generation, why, "activity log rebuilt");
                self.tell(
                    "log_rebuilt",
                    format!("the activity log was written anew: {why}"),
                );
            }
            // What was written is gone; the next step begins the log anew.
            Err(error) => {
                self.trouble(&error);
                self.pause().await?;
            }
        }
        self.inner.hints.poke(back.log_path());
        Some(back)
    }

    /// What no parser knew, as far as it was not counted before.
    pub(super) fn count_unknown(&self, projection: &mut Projection) {
        let met = projection.take_unknown();
        self.inner.unknown.add(&self.spec.provider, met);
    }

    async fn count_generation(&mut self, rebuild: Rebuild) -> Option<u32> {
        let id = self.id;
        let change = move |store: Store| async move { store.count_generation(id, rebuild).await };
        self.on_row(change).await
    }

    /// Does something to the row, as often as it takes: one that was deleted is put back first, and
    /// another file with the database's name is the project's database from then on. `None` once
    /// the daemon stops, if the id is another invocation's now, or if it goes astray.
    pub(super) async fn on_row<T, Done>(&mut self, change: impl Fn(Store) -> Done) -> Option<T>
    where
        Done: Future<Output = Result<T, StoreError>>,
    {
        loop {
            match self.find_project().await {
                Whereabouts::Gone(why) => {
                    self.miss_project(why).await?;
                    continue;
                }
                // Its row is final where its log is complete, and nowhere else.
                Whereabouts::Elsewhere if self.is_ending => {
                    self.stray = Some("its project was made anew as it ended".to_owned());
                    return None;
                }
                Whereabouts::Here | Whereabouts::Elsewhere | Whereabouts::Unknown => {}
            }
            match self.has_told().await {
                Ok(()) => {}
                Err(Untold::Stops) => return None,
                Err(Untold::Refused(error)) => {
                    self.endure(&*error).await?;
                    continue;
                }
            }
            let store = self.project.store.clone();
            let mut done = self.obeying(change(store.clone())).await.map(Some);
            if let Err(StoreError::RowDeleted { .. } | StoreError::NoSuchInvocation { .. }) = done {
                let row = NewInvocation::from(self.spec.as_ref());
                let restored = self.obeying(store.restore(self.id, row, None)).await;
                done = restored.map(|_| None);
            }
            match done {
                Ok(Some(done)) => return Some(done),
                Ok(None) => {}
                Err(error @ StoreError::IdTaken { .. }) => {
                    warn!(invocation.id = %self.id, %error, "its row cannot be put back");
                    return None;
                }
                Err(error) => {
                    self.endure(&error).await?;
                    continue;
                }
            }
            self.pause().await?;
        }
    }

    /// Records an event, and waits for nobody.
    pub(super) fn tell(&self, kind: &str, message: String) {
        let event = NewEvent {
            kind: kind.to_owned(),
            invocation: Some(self.id),
            task: Some(self.spec.task.clone()),
            message,
        };
        let (inner, spec) = (Arc::clone(&self.inner), Arc::clone(&self.spec));
        let project = Arc::clone(&self.project);
        self.inner.tracker.spawn(async move {
            inner.record(&spec, &project, event).await;
        });
    }
}
