//! Followers over real files and made-up rows.

mod away;
mod gaps;
mod last;
mod missing;
mod one;
mod past;
mod running;
mod unreadable;
mod wide;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::open::Opening;
use super::source::{Answer, Source, Sources};
use super::tail::Extent;
use super::*;
use crate::activity_log::ActivityLogs;
use crate::domain::cursor::{Scope, Span};
use crate::domain::{Invocation, Managed, Outcome, Phase, Queueing, RowStatus, Used};
use crate::projects::Origin;

/// Longer than any poll; what waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// So long is a disk waited for by whoever is told to look at it.
const ANSWERS_WITHIN: Duration = Duration::from_secs(25);

/// A project whose rows the test writes.
pub(super) struct Rows {
    dir: TempDir,
    root: Arc<Path>,
    logs: ActivityLogs,
    rows: Mutex<BTreeMap<i64, Invocation>>,
    changes: watch::Sender<u64>,
    hints: Hints,
    /// Done once a row was looked up next.
    meanwhile: Mutex<Option<Meanwhile>>,
    health: Mutex<Health>,
    opened: Instant,
    /// Another one is another database.
    origin: AtomicU64,
    /// How often somebody was told to look at it.
    asked: AtomicUsize,
}

/// How a project's database is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Health {
    Well,
    Broken,
    /// Its disk does not answer.
    Hung,
    /// The same, and that is known.
    Mute,
}

type Meanwhile = Box<dyn FnOnce(&Rows) + Send>;

fn id(n: i64) -> InvocationId {
    InvocationId::new(n).unwrap()
}

/// Hints without anybody turning inotify's events into them: only pokes and polls.
fn pokes() -> Hints {
    Hints::new().0
}

fn project() -> Arc<Rows> {
    project_with(&pokes())
}

fn project_with(hints: &Hints) -> Arc<Rows> {
    let dir = tempfile::tempdir().unwrap();
    let root = fs::File::open(dir.path()).unwrap();
    let logs = ActivityLogs::open(root.into(), dir.path());
    logs.create_folder().unwrap();
    Arc::new(Rows {
        root: Arc::from(dir.path()),
        logs,
        dir,
        rows: Mutex::default(),
        changes: watch::Sender::new(0),
        hints: hints.clone(),
        meanwhile: Mutex::default(),
        health: Mutex::new(Health::Well),
        opened: Instant::now(),
        origin: AtomicU64::new(0),
        asked: AtomicUsize::new(0),
    })
}

impl Rows {
    fn begin(&self, n: i64, task: &str, is_ours: bool) {
        let managed = Managed {
            uuid: String::new(),
            request_id: String::new(),
            request_hash: String::new(),
            mode: "fresh".to_owned(),
            cwd: PathBuf::new(),
            pid: None,
            log_generation: 0,
            leftovers: None,
            queueing: Queueing::default(),
            resets_at_ms: None,
            http_status: None,
            cause: None,
            resources: None,
            used: Used::default(),
        };
        let row = Invocation {
            id: id(n),
            task: task.to_owned(),
            role: "coder".to_owned(),
            provider: "claude".to_owned(),
            model: String::new(),
            answering_model: None,
            phase: Phase::Running,
            error: None,
            started_ms: Some(1),
            completed_ms: None,
            duration_ms: None,
            exit_code: None,
            session_id: None,
            usage: None,
            managed: is_ours.then_some(managed),
        };
        self.rows.lock().unwrap().insert(n, row);
        self.touch();
    }

    fn ours(&self, n: i64) {
        self.begin(n, "T", true);
    }

    fn queued(&self, n: i64) {
        self.ours(n);
        self.change(n, |row| row.phase = Phase::Queued);
    }

    fn start(&self, n: i64) {
        self.change(n, |row| row.phase = Phase::Running);
    }

    fn foreign(&self, n: i64) {
        self.begin(n, "T", false);
    }

    fn change(&self, n: i64, change: impl FnOnce(&mut Invocation)) {
        change(self.rows.lock().unwrap().get_mut(&n).unwrap());
        self.touch();
    }

    fn end(&self, n: i64) {
        self.change(n, |row| {
            let outcome = row.managed.as_ref().map(|_| Outcome::Success);
            row.phase = Phase::Ended {
                status: RowStatus::Completed,
                outcome,
            };
        });
    }

    /// Counts, as before a rebuilt log takes the old one's place and after that.
    fn count(&self, n: i64) {
        self.change(n, |row| row.managed.as_mut().unwrap().log_generation += 1);
    }

    fn rebuilt(&self, n: i64) {
        self.count(n);
        self.count(n);
    }

    fn becomes(&self, health: Health) {
        *self.health.lock().unwrap() = health;
    }

    fn health(&self) -> Health {
        *self.health.lock().unwrap()
    }

    fn touch(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    fn path(&self, n: i64) -> PathBuf {
        self.logs.path(id(n))
    }

    /// Appends, and says so as the projection does.
    fn write(&self, n: i64, text: &str) {
        let mut options = fs::OpenOptions::new();
        let mut file = options
            .append(true)
            .create(true)
            .open(self.path(n))
            .unwrap();
        file.write_all(text.as_bytes()).unwrap();
        self.hints.poke(&self.path(n));
    }

    fn content(&self, n: i64) -> String {
        fs::read_to_string(self.path(n)).unwrap_or_default()
    }

    async fn open(
        self: &Arc<Self>,
        what: Whole,
        after: &str,
        extent: Extent,
    ) -> Result<Follower, FollowError> {
        self.open_at(what, after, Begin::First, extent).await
    }

    async fn open_at(
        self: &Arc<Self>,
        what: Whole,
        after: &str,
        begin: Begin,
        extent: Extent,
    ) -> Result<Follower, FollowError> {
        let opening = Opening {
            hints: self.hints.clone(),
            after,
            begin,
            extent,
        };
        let source = Arc::new(Shared(Arc::clone(self)));
        match what {
            Whole::Invocation(n) => opening.invocation(source, id(n)).await,
            Whole::Task(task) => opening.scope(source, Some(task.to_owned())).await,
            Whole::Project => opening.scope(source, None).await,
        }
    }

    async fn follow(self: &Arc<Self>, what: Whole, after: &str) -> Follower {
        self.open(what, after, Extent::Whole).await.unwrap()
    }

    async fn present(self: &Arc<Self>, what: Whole, after: &str) -> Vec<Event> {
        rest(&mut self.open(what, after, Extent::Present).await.unwrap()).await
    }
}

#[derive(Clone, Copy)]
enum Whole {
    Invocation(i64),
    Task(&'static str),
    Project,
}

struct Shared(Arc<Rows>);

impl Shared {
    fn answer<T: Send + 'static>(&self, found: T) -> Answer<'_, T> {
        let health = self.0.health();
        Box::pin(async move {
            match health {
                Health::Well => Ok(found),
                Health::Broken => Err(FollowError::Store("broken".into())),
                Health::Hung | Health::Mute => std::future::pending().await,
            }
        })
    }
}

impl Source for Shared {
    fn number(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }

    fn root(&self) -> &Arc<Path> {
        &self.0.root
    }

    fn origin(&self) -> Origin {
        Some((self.0.origin.load(Ordering::Relaxed), None))
    }

    fn logs(&self) -> &ActivityLogs {
        &self.0.logs
    }

    fn opened(&self) -> Instant {
        self.0.opened
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    fn invocation(&self, id: InvocationId) -> Answer<'_, Option<Invocation>> {
        let row = self.0.rows.lock().unwrap().get(&id.get()).cloned();
        let meanwhile = self.0.meanwhile.lock().unwrap().take();
        meanwhile.into_iter().for_each(|change| change(&self.0));
        self.answer(row)
    }

    fn highest(&self) -> Answer<'_, i64> {
        let rows = self.0.rows.lock().unwrap();
        self.answer(rows.keys().last().copied().unwrap_or(0))
    }

    fn standing<'a>(&'a self, task: Option<&'a str>) -> Answer<'a, (i64, Vec<InvocationId>)> {
        let rows = self.0.rows.lock().unwrap();
        let high = rows.keys().last().copied().unwrap_or(0);
        let running = rows.values().filter(|row| !row.phase.is_ended());
        let of_task = running.filter(|row| task.is_none_or(|task| row.task == task));
        let ids = of_task.map(|row| row.id).collect();
        self.answer((high, ids))
    }

    fn newest_ended<'a>(
        &'a self,
        task: Option<&'a str>,
        up_to: i64,
    ) -> Answer<'a, Option<Invocation>> {
        let rows = self.0.rows.lock().unwrap();
        let those = rows.range(..=up_to).map(|(_, row)| row);
        let mut of_task = those.filter(|row| task.is_none_or(|task| row.task == task));
        let newest = of_task.rfind(|row| row.phase.is_ended());
        self.answer(newest.cloned())
    }

    fn begun<'a>(&'a self, task: Option<&'a str>, span: Span) -> Answer<'a, Option<Invocation>> {
        let rows = self.0.rows.lock().unwrap();
        let those = rows.range(span.first.get()..=span.last.get());
        let those = those.map(|(_, row)| row);
        let mut of_task = those.filter(|row| task.is_none_or(|task| row.task == task));
        let begun = of_task.clone().find(|row| row.phase != Phase::Queued);
        let row = begun.or(of_task.next_back()).cloned();
        self.answer(row)
    }

    fn after<'a>(
        &'a self,
        task: Option<&'a str>,
        after: i64,
        limit: u32,
    ) -> Answer<'a, Vec<Invocation>> {
        let rows = self.0.rows.lock().unwrap();
        let above = rows.range(after + 1..).map(|(_, row)| row);
        let of_task = above.filter(|row| task.is_none_or(|task| row.task == task));
        let rows = of_task.take(limit as usize).cloned().collect();
        self.answer(rows)
    }
}

struct Several {
    projects: Arc<Mutex<Vec<Arc<Rows>>>>,
    changes: watch::Sender<u64>,
    registered: Registered,
}

/// Open or not; none where the list cannot be read.
type Registered = Arc<Mutex<Option<BTreeSet<Scope>>>>;

impl Several {
    fn at(&self, root: &Path) -> Arc<Rows> {
        let projects = self.projects.lock().unwrap();
        let project = projects.iter().find(|it| *it.root == *root);
        Arc::clone(project.unwrap())
    }
}

impl Sources for Several {
    fn all(&self) -> Vec<Arc<dyn Source>> {
        let served = |rows: &Arc<Rows>| -> Arc<dyn Source> { Arc::new(Shared(Arc::clone(rows))) };
        self.projects.lock().unwrap().iter().map(served).collect()
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn registered(&self) -> Answer<'_, BTreeSet<Scope>> {
        let registered = self.registered.lock().unwrap().clone();
        Box::pin(async move { registered.ok_or(FollowError::NoAnswer) })
    }

    fn is_mute(&self, root: &Path) -> bool {
        self.at(root).health() == Health::Mute
    }

    fn ask(&self, root: &Path) -> JoinHandle<bool> {
        let project = self.at(root);
        project.asked.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(async move {
            if project.health() == Health::Hung {
                tokio::time::sleep(ANSWERS_WITHIN).await;
            }
            // A database that some of its reads fail in may be opened all the same.
            !matches!(project.health(), Health::Hung | Health::Mute)
        })
    }
}

async fn next(follower: &mut Follower) -> Option<Vec<Event>> {
    tokio::time::timeout(PATIENCE, follower.next())
        .await
        .expect("an event in time")
        .unwrap()
}

/// Everything to the stream's end.
async fn rest(follower: &mut Follower) -> Vec<Event> {
    let mut all = Vec::new();
    while let Some(events) = next(follower).await {
        all.extend(events);
    }
    all
}

/// The next so many events, however they are batched.
async fn some(follower: &mut Follower, count: usize) -> Vec<Event> {
    let mut all = Vec::new();
    while all.len() < count {
        all.extend(next(follower).await.expect("more events"));
    }
    all
}

fn text(events: &[Event]) -> String {
    events
        .iter()
        .map(|it| String::from_utf8(it.line.to_vec()).unwrap() + "\n")
        .collect()
}

fn reasons(events: &[Event]) -> Vec<String> {
    let gaps = events.iter().filter(|event| event.kind == "gap");
    let parsed = gaps.map(|it| serde_json::from_slice::<serde_json::Value>(&it.line).unwrap());
    parsed
        .map(|gap| gap["reason"].as_str().unwrap().to_owned())
        .collect()
}

fn line(n: usize) -> String {
    format!("{{\"ts\":{n},\"type\":\"output\",\"msg\":\"line {n}\",\"raw\":{n}}}\n")
}

fn lines(range: std::ops::Range<usize>) -> String {
    range.map(line).collect()
}

const COMPLETE: &str = "{\"ts\":99,\"type\":\"complete\",\"success\":true,\"raw\":99}\n";
