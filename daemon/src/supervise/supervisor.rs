//! The handle the rest of the daemon holds: what runs, what is wrong, and the way in.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use steroids_shim::paths::InvDir;
use steroids_shim::spec::Spec;
use tokio::sync::{Notify, broadcast, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, info_span};

use super::admit::Outlived;
use super::announce::Announcements;
use super::audience::Audience;
use super::budget::Told;
use super::drafts::Drafts;
use super::ends::{EndedRun, KEPT};
use super::floors::Floors;
use super::foreign::Foreign;
use super::holds;
use super::job::{Job, JobHandle, Progress, REQUESTS, Request};
use super::ledger::Ledger;
use super::line::Line;
use super::link::ShimLink;
use super::settings::Settings;
use super::stalls::Telling;
use super::starts::Starts;
use super::strays::Strays;
use super::troubles::{LACK, Troubles, mute_key};
use super::turns::Turns;
use super::unknown::{Counted, UnknownEvents};
use super::vitals::{Vitals, Whose};
use super::work::Work;
use crate::counts::{Counts, Invocations};
use crate::domain::InvocationId;
use crate::domain::queue::{Candidate, Placed};
use crate::projects::{Project, Projects};
use crate::watch::Hints;

/// Why nothing that waits is started while the daemon drains.
pub(super) const DRAINING: &str = "the daemon is draining";

/// Owner of all jobs. Cheap to clone.
#[derive(Clone)]
pub struct Supervisor {
    pub(super) inner: Arc<Inner>,
}

/// What the handle and the jobs share.
pub(super) struct Inner {
    // Replaced as a whole; who has begun with one goes on with it.
    settings: watch::Sender<Arc<Settings>>,
    pub(super) state_dir: PathBuf,
    pub(super) projects: Projects,
    pub(super) hints: Hints,
    pub(super) stop: CancellationToken,
    pub(super) tracker: TaskTracker,
    pub(super) floors: Floors,
    pub(super) drafts: Arc<Drafts>,
    pub(super) starts: Arc<Starts>,
    pub(super) turns: Turns,
    /// Starts of one task, from the look at who lives until there is a shim to be seen.
    pub(super) task_turns: Turns,
    /// Ends of rows that have no job.
    pub(super) end_turns: Turns,
    // Held for a look-up or an insertion, never across an await.
    jobs: Mutex<HashMap<String, JobHandle>>,
    pub(super) troubles: Troubles,
    pub(super) told: Told,
    pub(super) ledger: Ledger,
    pub(super) strays: Strays,
    pub(super) foreign: Foreign,
    pub(super) outlived: Outlived,
    /// Who runs and who waits.
    pub(super) line: Line,
    /// Held while the holds are written down; when that was tried last.
    pub(super) holds_file: tokio::sync::Mutex<Option<tokio::time::Instant>>,
    draining: AtomicBool,
    pub(super) unknown: Counted,
    pub(super) counts: Invocations,
    pub(super) ends: broadcast::Sender<EndedRun>,
    // Grows whenever a job has published something.
    beats: watch::Sender<u64>,
    pub(super) audience: Audience,
    /// Told whenever there is a job more.
    pub(super) more_jobs: Notify,
}

/// A place among the running; given back when dropped.
pub(super) struct Place {
    inner: Arc<Inner>,
    /// `None` once it was given back.
    uuid: Option<String>,
}

impl Place {
    /// The place that the line has given to an invocation.
    pub(super) fn of(inner: &Arc<Inner>, uuid: &str) -> Place {
        Place {
            inner: Arc::clone(inner),
            uuid: Some(uuid.to_owned()),
        }
    }

    /// Its owner waits again, because of this.
    pub(super) fn wait_again(mut self, candidate: Candidate, why: String) {
        self.uuid = None;
        self.inner.line.put_back(candidate, why);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What is let go of because the daemon stops runs on, and its place is not free.
        if let Some(uuid) = &self.uuid
            && !self.inner.stop.is_cancelled()
        {
            self.inner.line.free(uuid);
        }
    }
}

/// A job's entry among the jobs, made before there is a job: whoever looks for the invocation
/// meanwhile finds that it is taken care of, and what is asked of it waits for the job. Dropped,
/// it is forgotten.
pub(super) struct Entry {
    pub(super) inner: Arc<Inner>,
    uuid: String,
    pub(super) handle: JobHandle,
    /// Until the row is final.
    place: Option<Place>,
    pub(super) requests: mpsc::Receiver<Request>,
    pub(super) progress: watch::Sender<Progress>,
    pub(super) reach: Arc<AtomicU64>,
}

/// What was asked of one that has no job, the most of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Asked {
    Nothing,
    /// As all that runs is to end. One that waits is kept.
    TheEndOfAll,
    /// By somebody who means this one.
    ItsEnd,
}

impl Drop for Entry {
    fn drop(&mut self) {
        lock(&self.inner.jobs).remove(&self.uuid);
        self.inner.well(&self.uuid);
        self.inner.shim_trouble(&self.uuid, None);
        self.inner.troubles.well(&mute_key(&self.uuid));
        self.inner.line.look_again();
    }
}

impl Entry {
    /// Makes the job.
    pub(super) fn watch_over(
        mut self,
        id: InvocationId,
        work: Work,
        dir: InvDir,
        project: Arc<Project>,
        place: Option<Place>,
        half_published: bool,
    ) -> JobHandle {
        self.place = place;
        let (spec, redactor) = (work.spec, work.redactor);
        let (inner, handle) = (Arc::clone(&self.inner), self.handle.clone());
        let span = info_span!(
            "invocation",
            invocation.id = %id,
            invocation.uuid = %self.uuid,
            project = %project.root.display(),
            task = %spec.task,
        );
        // Nobody else sets it: an entry makes one job.
        let _ = handle.whose.set(Whose {
            project: Arc::from(project.root.as_path()),
            id,
            task: Arc::from(spec.task.as_str()),
            model: Arc::from(spec.model.as_str()),
            budget: spec.budget,
            stops: super::requested::stops(&spec),
            interactive: spec.interactive,
        });
        self.has_home(project.folder(), &project.root);
        inner.beat();
        // What it runs in is looked after from now on, whatever the job itself comes to.
        inner.more_jobs.notify_one();
        let announcements = Announcements::of(&inner, id, &project, work.news);
        let job = Job {
            id,
            _secrets: inner.settings().secrets.know(redactor.clone()),
            redactor,
            link: ShimLink::new(spec.socket.clone(), dir.clone()),
            spec: Arc::new(spec),
            dir,
            log_folder: project.folder(),
            sought: None,
            lacks_project: false,
            project,
            inner: Arc::clone(&inner),
            entry: self,
            half_published,
            is_stopped: false,
            had_ended: work.has_ended,
            doubt: Default::default(),
            is_ending: false,
            is_over: false,
            stray: None,
            ends_with_host: false,
            announcements,
            telling: Telling::default(),
        };
        let tracker = inner.tracker.clone();
        let watching = async move {
            job.run().await;
            // It may have been in somebody's way.
            inner.line.unblock();
        };
        tracker.spawn(watching.instrument(span));
        handle
    }

    /// What it was asked for, while it has no job.
    pub(super) fn asked(&mut self) -> Asked {
        let requests = std::iter::from_fn(|| self.requests.try_recv().ok());
        let asked = requests.map(|request| match request {
            Request::Stop {
                shutdown: false, ..
            } => Asked::ItsEnd,
            Request::Stop { shutdown: true, .. } | Request::StopAll => Asked::TheEndOfAll,
        });
        asked.max().unwrap_or(Asked::Nothing)
    }

    /// Whose it is.
    pub(super) fn uuid(&self) -> &str {
        &self.uuid
    }

    /// Its place is somebody else's from now on.
    pub(super) fn give_place_back(&mut self) {
        self.place = None;
    }
}

impl Supervisor {
    /// A supervisor without jobs; [`Supervisor::reconcile`] takes up those that are there.
    pub fn new(
        settings: Settings,
        projects: Projects,
        hints: Hints,
        tracker: TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        let line = Line::new(settings.bounds(), holds::load(&settings));
        let ledger = Ledger::load(&settings.state_dir);
        Supervisor {
            inner: Arc::new(Inner {
                line,
                holds_file: tokio::sync::Mutex::default(),
                drafts: Arc::new(Drafts::new(&settings.state_dir)),
                state_dir: settings.state_dir.clone(),
                settings: watch::Sender::new(Arc::new(settings)),
                projects,
                hints,
                stop,
                tracker,
                floors: Floors::default(),
                starts: Arc::default(),
                turns: Turns::default(),
                task_turns: Turns::default(),
                end_turns: Turns::default(),
                jobs: Mutex::default(),
                troubles: Troubles::default(),
                told: Told::default(),
                ledger,
                strays: Strays::default(),
                foreign: Foreign::default(),
                outlived: Outlived::default(),
                draining: AtomicBool::new(false),
                unknown: Counted::default(),
                counts: Invocations::default(),
                ends: broadcast::Sender::new(KEPT),
                beats: watch::Sender::new(0),
                audience: Audience::default(),
                more_jobs: Notify::new(),
            }),
        }
    }

    /// How many have a place, as the bounds count them: also what cannot be taken up, for want of its project,
    /// while its shim lives.
    pub fn running(&self) -> usize {
        self.inner.line.running()
    }

    /// As many as may run at once.
    pub fn max_running(&self) -> usize {
        self.inner.settings().max_running
    }

    /// Where the state folders are.
    pub fn state_dir(&self) -> &Path {
        &self.inner.state_dir
    }

    /// What is gone by now.
    pub fn settings(&self) -> Arc<Settings> {
        self.inner.settings()
    }

    /// Goes by other settings from now on: who starts, waits, is held or ends is decided by them; what
    /// runs keeps the limits that it was started with. Folders and launcher stay as they are.
    pub fn set(&self, settings: Settings) {
        self.inner.line.set_bounds(settings.bounds());
        self.inner.settings.send_replace(Arc::new(settings));
        holds::settings_changed(&self.inner);
        self.inner.line.unblock();
        self.inner.beat();
    }

    /// The launcher's word for itself.
    pub fn launcher(&self) -> &'static str {
        self.inner.settings().launcher.name()
    }

    /// Why it is this launcher, what of it may surprise somebody, and what it can bound.
    pub fn launching(&self) -> (String, Vec<String>, Vec<String>) {
        let launcher = &self.inner.settings().launcher;
        let offered = launcher.controllers();
        let known = ["memory", "cpu", "pids"].map(str::to_owned).into_iter();
        let controllers = known.filter(|known| offered.contains(known)).collect();
        (launcher.why(), launcher.warnings(), controllers)
    }

    /// Refuses new starts from now on, or takes them again.
    pub fn drain(&self, on: bool) {
        self.inner.draining.store(on, Ordering::Release);
        self.inner.line.close(DRAINING, on);
        if !on {
            // One whose turn had come was put back.
            self.inner.line.unblock();
        }
    }

    /// Whether new starts are refused.
    pub fn is_draining(&self) -> bool {
        self.inner.draining.load(Ordering::Acquire)
    }

    /// Provider events no parser knew, since the daemon started.
    pub fn unknown_events(&self) -> u64 {
        self.inner.unknown.count()
    }

    /// The same by provider and version.
    pub fn unknown(&self) -> Vec<UnknownEvents> {
        self.inner.unknown.all()
    }

    /// What was started, how it ended and what it used, since the daemon started.
    pub fn counts(&self) -> Counts {
        self.inner.counts.counted()
    }

    /// What else does not work as it should, as far as known; one line each.
    pub fn degraded(&self) -> Vec<String> {
        let lack = self.inner.troubles.lack();
        if lack.is_some_and(|why| !self.inner.line.is_blocked_by(&why)) {
            self.inner.troubles.well(LACK);
        }
        let mut lines = self.inner.troubles.lines();
        lines.extend(self.inner.strays.lines());
        lines.extend(self.inner.foreign.lines());
        lines.extend(self.inner.settings().launcher.degraded());
        lines.sort();
        lines
    }
}

impl Inner {
    /// What is gone by now.
    pub(super) fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.borrow())
    }

    /// A place for what runs already, however many there are.
    pub(super) fn place_of_adopted(self: &Arc<Self>, spec: &Spec) -> Place {
        let placed = Placed {
            project: Arc::from(spec.project.as_path()),
            folder: spec.project_folder,
            task: spec.task.clone(),
            provider: spec.provider.clone(),
        };
        self.line.place(&spec.uuid, placed);
        Place::of(self, &spec.uuid)
    }

    /// Enters an invocation among the jobs; `None` if it is there already.
    pub(super) fn enter(self: &Arc<Self>, uuid: &str) -> Option<Entry> {
        let (requests, inbox) = mpsc::channel(REQUESTS);
        let (progress, published) = watch::channel(Progress::Running(Vitals::default()));
        let handle = JobHandle {
            requests,
            progress: published,
            whose: Arc::default(),
            is_out_of_budget: Arc::default(),
            takes_no_more: Arc::default(),
            reach: Arc::default(),
            home: Arc::default(),
        };
        let reach = Arc::clone(&handle.reach);
        let mut jobs = lock(&self.jobs);
        if jobs.contains_key(uuid) {
            return None;
        }
        jobs.insert(uuid.to_owned(), handle.clone());
        Some(Entry {
            inner: Arc::clone(self),
            uuid: uuid.to_owned(),
            handle,
            place: None,
            requests: inbox,
            progress,
            reach,
        })
    }

    pub(super) fn job(&self, uuid: &str) -> Option<JobHandle> {
        lock(&self.jobs).get(uuid).cloned()
    }

    pub(super) fn jobs(&self) -> Vec<JobHandle> {
        lock(&self.jobs).values().cloned().collect()
    }

    /// Invocations that have a job, by the names of their state folders.
    pub(super) fn in_care(&self) -> Vec<(String, Whose)> {
        let jobs = lock(&self.jobs);
        jobs.iter()
            .filter_map(|(uuid, job)| Some((uuid.clone(), job.whose.get()?.clone())))
            .collect()
    }

    /// The same with what they publish.
    pub(super) fn handles(&self) -> Vec<(String, JobHandle)> {
        let jobs = lock(&self.jobs);
        let handles = jobs.iter();
        handles
            .map(|(uuid, job)| (uuid.clone(), job.clone()))
            .collect()
    }

    /// Tells that a job has published something.
    pub(super) fn beat(&self) {
        self.beats
            .send_modify(|count| *count = count.wrapping_add(1));
    }

    pub(super) fn beats(&self) -> watch::Receiver<u64> {
        self.beats.subscribe()
    }

    pub(super) fn inv_root(&self) -> PathBuf {
        self.state_dir.join("inv")
    }
}

/// An error with its causes, on one line.
pub(super) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        said.push_str(": ");
        said.push_str(&error.to_string());
        cause = error.source();
    }
    said
}

/// A map is valid whatever panicked while it was held: every change to it is one call.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
