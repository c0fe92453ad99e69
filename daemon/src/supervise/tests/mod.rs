//! A supervisor with a database, folders and files of its own, and a shim that a test plays.

mod budgets;
mod depending;
mod drafting;
mod ending;
mod ending_all;
mod forgetting;
mod known;
mod line;
mod orders;
mod preparing;
mod queueing;
mod reprojecting;
mod stalls;
mod starting;
mod strays;
mod taking_up;
mod whereabouts;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use steroids_provider::args;
use steroids_provider::kind::Kind;
use steroids_shim::exit::{End, ExitRecord};
use steroids_shim::lock::{self, Lock};
use steroids_shim::paths::InvDir;
use steroids_shim::spec::{PROTOCOL, Spec};
use steroids_shim::spool::{Control, Limited};
use steroids_shim::state::State;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::*;
use crate::domain::{
    Invocation, InvocationId, Limits, Phase, Prices, Secrets, StartBudget, StartRequest,
    StartResources, Zone,
};
use crate::launch::{LaunchError, Launcher, Launching, Order, Standby};
use crate::projects::{Project, Projects};
use crate::watch::Hints;

/// What a shim puts on record of a limit that is near; without an end, that it no longer is.
fn limit(limit: Limited, ends_ms: impl Into<Option<u64>>, msg: &str) -> Control {
    Control::Limit {
        limit,
        ends_ms: ends_ms.into(),
        msg: msg.to_owned(),
    }
}

/// What another program does to a database that then takes no lifecycle event: no run is told of there.
const REFUSE: &str =
    "CREATE TRIGGER no BEFORE INSERT ON steroidsd_events BEGIN SELECT RAISE(ABORT, 'no'); END";

/// Longer than anything here takes; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// A shim that is played, gone when dropped: its lock first, as its socket's end has the daemon look.
struct Shim {
    _lock: Lock,
    /// Bound as a shim's is, but nobody answers there.
    door: Option<UnixListener>,
}

/// Plays the shims: each launch waits for its turn, then holds the folder's lock.
struct Stage {
    turns: Semaphore,
    /// Those that wait for their turn, or had it.
    arrived: Mutex<Vec<InvDir>>,
    shims: Mutex<BTreeMap<PathBuf, Shim>>,
    /// The last words of shims that give up.
    refuses: Mutex<Option<String>>,
    /// Whoever starts shims is away.
    is_away: AtomicBool,
    /// No process can be started.
    is_short: AtomicBool,
    /// The shim's program is not there.
    is_missing: AtomicBool,
    /// The host goes down, where that can be told.
    is_stopping: Mutex<Option<bool>>,
    /// The launcher holds no bounds.
    is_boundless: AtomicBool,
    /// The units that were to be ended.
    ended_units: Mutex<Vec<String>>,
}

impl Stage {
    fn arrived(&self) -> Vec<InvDir> {
        held(&self.arrived).clone()
    }

    fn take(&self, dir: &InvDir) {
        // Refused where somebody has written the record before: then the shim starts nothing.
        if ExitRecord::load(dir).is_ok_and(|record| record.is_none()) {
            let lock = lock::acquire(&dir.lock()).unwrap();
            // As before a provider; of processes that there are not.
            let state = State {
                proto: PROTOCOL,
                shim_pid: 1,
                shim_start_ticks: 1,
                agent_pid: None,
                agent_start_ticks: None,
                boot_id: steroids_shim::state::boot_id().unwrap(),
                cgroup: None,
                unit: None,
            };
            state.store(dir).unwrap();
            let shim = Shim {
                _lock: lock,
                door: Spec::load(dir).ok().map(|spec| bind(&spec.socket)),
            };
            held(&self.shims).insert(dir.path().to_owned(), shim);
        }
    }

    /// The socket of a shim that lives, to answer at.
    fn door(&self, dir: &InvDir) -> UnixListener {
        held(&self.shims)
            .get_mut(dir.path())
            .unwrap()
            .door
            .take()
            .unwrap()
    }

    /// The shim is gone, without a word.
    fn vanish(&self, dir: &InvDir) {
        held(&self.shims).remove(dir.path());
    }

    /// The provider has ended, and its shim after it.
    fn end(&self, dir: &InvDir) {
        self.end_by(dir, None);
    }

    fn end_by(&self, dir: &InvDir, ended_by: Option<steroids_shim::exit::Reason>) {
        self.record(dir, ended_by);
        self.vanish(dir);
    }

    /// Somebody writes down an end, while the shim lives.
    fn record(&self, dir: &InvDir, ended_by: Option<steroids_shim::exit::Reason>) {
        let record = ExitRecord {
            proto: PROTOCOL,
            end: End::Ran {
                code: Some(0),
                signal: None,
                ended_by,
                duration_ms: 1,
                leftovers: 0,
            },
            ended_ms: 1_700_000_000_000,
            spool_length: 0,
            rusage: None,
        };
        record.store(dir).unwrap();
    }
}

fn spawn_error(source: std::io::Error) -> LaunchError {
    let program = PathBuf::from("/bin/steroids-shim");
    LaunchError::Spawn { program, source }
}

impl Launcher for Stage {
    fn name(&self) -> &'static str {
        "stage"
    }

    fn why(&self) -> String {
        String::new()
    }

    fn runnable(&self) -> Result<(), LaunchError> {
        match self.is_missing.load(Ordering::Relaxed) {
            true => Err(spawn_error(rustix::io::Errno::NOENT.into())),
            false => Ok(()),
        }
    }

    fn controllers(&self) -> Vec<String> {
        match self.is_boundless.load(Ordering::Relaxed) {
            true => Vec::new(),
            false => vec!["memory".to_owned()],
        }
    }

    fn end<'a>(&'a self, unit: &'a str) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        held(&self.ended_units).push(unit.to_owned());
        Box::pin(std::future::ready(()))
    }

    fn is_stopping(&self) -> Pin<Box<dyn Future<Output = Option<bool>> + Send + '_>> {
        let is_stopping = *held(&self.is_stopping);
        Box::pin(std::future::ready(is_stopping))
    }

    fn bounds_anyway(&self) -> bool {
        false
    }

    fn ready(&self) -> Launching<'_> {
        let is_away = self.is_away.load(Ordering::Relaxed);
        Box::pin(async move {
            let message = "away".to_owned();
            let program = PathBuf::from("/bin/steroids-shim");
            match is_away {
                true => Err(LaunchError::Refused { program, message }),
                false => Ok(()),
            }
        })
    }

    fn stand_by(&self, _dir: &Path) -> Result<Option<Standby>, LaunchError> {
        match self.is_short.load(Ordering::Relaxed) {
            true => Err(spawn_error(std::io::ErrorKind::WouldBlock.into())),
            false => Ok(None),
        }
    }

    fn launch<'a>(&'a self, order: &'a Order, _standby: Option<Standby>) -> Launching<'a> {
        Box::pin(async move {
            let dir = InvDir::at(&order.dir);
            held(&self.arrived).push(dir.clone());
            self.turns.acquire().await.unwrap().forget();
            if let Some(message) = held(&self.refuses).clone() {
                let program = PathBuf::from("/bin/steroids-shim");
                return Err(LaunchError::Refused { program, message });
            }
            self.take(&dir);
            Ok(())
        })
    }
}

pub(crate) struct Bench {
    stage: Arc<Stage>,
    projects: Projects,
    project: Arc<Project>,
    pub(crate) supervisor: Supervisor,
    jobs: TaskTracker,
    let_go: CancellationToken,
    max_running: usize,
    /// From the next restart on.
    budgets: Budgets,
    prices: Prices,
}

impl Bench {
    /// With so many shims that need no turn.
    pub(crate) async fn new(turns: usize, max_running: usize) -> Bench {
        let state_dir = own_folder().join("state");
        let folder = state_dir.with_file_name("project");
        fs::create_dir_all(&state_dir).unwrap();
        fs::create_dir(&folder).unwrap();
        let owner = state_dir.to_str().unwrap().to_owned();
        let projects = Projects::open(&state_dir, owner).await.unwrap();
        let (project, _) = projects.register(&folder, true).await.unwrap();
        let stage = Arc::new(Stage {
            turns: Semaphore::new(turns),
            arrived: Mutex::default(),
            shims: Mutex::default(),
            refuses: Mutex::default(),
            is_away: false.into(),
            is_short: false.into(),
            is_missing: false.into(),
            is_stopping: Some(false).into(),
            is_boundless: false.into(),
            ended_units: Mutex::default(),
        });
        let settings = settings(&state_dir, Arc::clone(&stage), max_running);
        let (supervisor, jobs, let_go) = supervise(settings, projects.clone());
        Bench {
            stage,
            projects,
            project,
            supervisor,
            jobs,
            let_go,
            max_running,
            budgets: Budgets::default(),
            prices: Prices::default(),
        }
    }

    fn request(&self, request_id: &str) -> StartRequest {
        StartRequest {
            project: self.project.root.clone(),
            // One of its own: two at once on one task are refused.
            task: format!("task-{request_id}"),
            role: String::new(),
            provider: "command".to_owned(),
            model: None,
            prompt: String::new(),
            cwd: None,
            env: BTreeMap::new(),
            caller_env: BTreeMap::new(),
            resume: None,
            request_id: Some(request_id.to_owned()),
            limits: Limits::default(),
            budget: StartBudget::default(),
            resources: StartResources::default(),
            argv: vec!["/bin/true".to_owned()],
            interactive: false,
            leave_background: false,
            priority: 0,
            after: Vec::new(),
            retry: None,
            no_queue: false,
            again: None,
        }
    }

    async fn start(&self, request_id: &str) -> Invocation {
        let started = self.supervisor.start(self.request(request_id)).await;
        started.unwrap().0
    }

    fn dir(&self, invocation: &Invocation) -> InvDir {
        let uuid = &invocation.managed.as_ref().unwrap().uuid;
        InvDir::new(self.supervisor.state_dir(), uuid)
    }

    async fn project(&self) -> Arc<Project> {
        self.projects.get(&self.project.root).await.unwrap()
    }

    async fn row(&self, id: i64) -> Invocation {
        let id = InvocationId::new(id).unwrap();
        let project = self.project().await;
        project.store.invocation(id).await.unwrap().unwrap()
    }

    /// Waits until there is such a row: that of a retry comes a moment after the end of what it retries.
    async fn there(&self, id: i64) -> Invocation {
        let id = InvocationId::new(id).unwrap();
        let project = self.project().await;
        eventually(async || project.store.invocation(id).await.unwrap()).await
    }

    async fn ended(&self, id: i64) -> Invocation {
        eventually(async || Some(self.row(id).await).filter(|row| row.phase.is_ended())).await
    }

    fn log(&self, id: i64) -> String {
        let path = self.project.logs().path(InvocationId::new(id).unwrap());
        fs::read_to_string(path).unwrap()
    }

    /// Waits until so many shims have been launched; gives the last one's folder.
    async fn launched(&self, count: usize) -> InvDir {
        eventually(async || self.stage.arrived().get(count - 1).cloned()).await
    }

    /// Takes the state folder away at one stroke: whoever removes its files one by one may meet
    /// the job, which makes it anew as soon as it misses the lock.
    fn take_away(&self, dir: &InvDir) {
        let away = self.supervisor.state_dir().join("away");
        fs::rename(dir.path(), &away).unwrap();
        fs::remove_dir_all(&away).unwrap();
    }

    /// As many a daemon's restart: the jobs let go, and once none is left that could still act,
    /// another supervisor comes.
    async fn restart(&mut self) {
        self.let_go.cancel();
        self.jobs.close();
        tokio::time::timeout(PATIENCE, self.jobs.wait())
            .await
            .expect("jobs let go");
        let settings = settings(
            self.supervisor.state_dir(),
            Arc::clone(&self.stage),
            self.max_running,
        );
        let settings = Settings {
            budgets: self.budgets,
            prices: self.prices.clone(),
            ..settings
        };
        (self.supervisor, self.jobs, self.let_go) = supervise(settings, self.projects.clone());
    }
}

/// A supervisor, with a watch of its own.
fn supervise(
    settings: Settings,
    projects: Projects,
) -> (Supervisor, TaskTracker, CancellationToken) {
    let (jobs, let_go) = (TaskTracker::new(), CancellationToken::new());
    let (hints, watcher) = Hints::new();
    jobs.spawn(let_go.clone().run_until_cancelled_owned(watcher.run()));
    let supervisor = Supervisor::new(settings, projects, hints, jobs.clone(), let_go.clone());
    jobs.spawn(supervisor.clone().run_queue());
    jobs.spawn(supervisor.clone().keep_drafts());
    (supervisor, jobs, let_go)
}

/// A folder that goes with the thread of the test. The test's runtime has ended by then, and with it all that
/// may still write there: what is removed before is made again.
fn own_folder() -> PathBuf {
    thread_local! {
        static FOLDERS: RefCell<Vec<tempfile::TempDir>> = const { RefCell::new(Vec::new()) };
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().canonicalize().unwrap();
    FOLDERS.with_borrow_mut(|folders| folders.push(folder));
    path
}

fn bind(socket: &Path) -> UnixListener {
    fs::create_dir_all(socket.parent().unwrap()).unwrap();
    let _ = fs::remove_file(socket);
    UnixListener::bind(socket).unwrap()
}

fn settings(state_dir: &Path, stage: Arc<Stage>, max_running: usize) -> Settings {
    let command = ProviderSettings {
        settings: args::Settings::builtin(Kind::Command),
        limits: Limits::default(),
        queue: ProviderQueue::default(),
        life: None,
        resources: StartResources::default(),
    };
    Settings {
        state_dir: state_dir.to_owned(),
        runtime_dir: state_dir.join("run"),
        launcher: stage,
        max_running,
        queue: QueueSettings::default(),
        min_free: 0,
        limits: DefaultLimits::default(),
        providers: BTreeMap::from([("command".to_owned(), command)]),
        prices: Prices::default(),
        budgets: Budgets::default(),
        resources: StartResources::default(),
        zone: Zone::named("UTC").unwrap(),
        redaction: RedactionSettings::default(),
        secrets: Secrets::default(),
        older_tool: None,
    }
}

/// Asks until there is an answer: what is asked (files, rows, /proc) tells nobody of a change.
async fn eventually<T>(mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asking)
        .await
        .expect("in time")
}

fn held<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn outcome(invocation: &Invocation) -> &'static str {
    match invocation.phase {
        Phase::Ended {
            outcome: Some(outcome),
            ..
        } => outcome.as_str(),
        _ => invocation.phase.as_str(),
    }
}
