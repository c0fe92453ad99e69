//! Starting an invocation. The order is the promise: row committed as running and spec durable, beside
//! one another, then shim launched and lock held, then the answer. A crash between any two leaves
//! something the next reconcile can name.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use steroids_provider::redact::Redactor;
use steroids_shim::durable::lacks_room;
use steroids_shim::exit::{End, ExitRecord};
use steroids_shim::lock;
use steroids_shim::paths::InvDir;
use steroids_shim::spec::{Spec, Turn};
use steroids_shim::state::{self, State};
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::{info, warn};

use super::admit::{admit, runners};
use super::ahead::Ahead;
use super::drafts::remove_behind;
use super::job::{JobHandle, Progress};
use super::line::{self, Coming, Stands};
use super::prepare::{Surroundings, prepare};
use super::reasons::rejected_for;
use super::room::check_disks;
use super::supervisor::{Entry, Inner, Place, chain};
use super::waiting::{now_ms, write_down};
use super::withdraw::withdraw;
use super::work::Work;
use super::{StartError, Supervisor, dependency, floors, lost, resume, retry, zone};
use crate::domain::{Again, Invocation, InvocationId, Queueing, StartRequest};
use crate::launch::{LaunchError, Order};
use crate::projects::{Project, ProjectError};
use crate::store::{Begun, NewInvocation, Runner};

/// A provider that could not be started is final within milliseconds; the answer then says so.
const EARLY_END: Duration = Duration::from_secs(5);

impl Supervisor {
    /// Starts an invocation; true: the request id was known, and nothing was started.
    ///
    /// The work goes on when the caller goes away: a request that has a row is always seen through.
    ///
    /// # Errors
    /// Every reason of [`StartError`]; after `Launch` the row exists and has ended.
    pub async fn start(&self, request: StartRequest) -> Result<(Invocation, bool), StartError> {
        // Before the project is had: what is had afterwards is not forgotten meanwhile.
        let begun = self.inner.starts.begin(&request.project);
        let begun = begun.ok_or_else(|| ProjectError::Busy {
            path: request.project.clone(),
        })?;
        let project = self.inner.projects.get(&request.project).await?;
        let inner = Arc::clone(&self.inner);
        let draining = self.is_draining();
        let starting = async move {
            let _begun = begun;
            let started = match request.again {
                None => start(&inner, project, request, None, draining).await,
                Some(again) => once_more(&inner, project, request, again, draining).await,
            };
            inner.drafts.prepare();
            started
        };
        match self.inner.tracker.spawn(starting).await {
            Ok(answer) => answer,
            // Only a panic, or the runtime's end.
            Err(_) => Err(StartError::Draining),
        }
    }
}

/// Starts the next attempt of what has ended.
async fn once_more(
    inner: &Arc<Inner>,
    project: Arc<Project>,
    request: StartRequest,
    again: Again,
    draining: bool,
) -> Result<(Invocation, bool), StartError> {
    if let Some(known) = retry::known(&project, &request).await? {
        return Ok((known, true));
    }
    let made = retry::request(inner, &project, request.clone(), again).await;
    let (request, next) = match made {
        Ok(made) => made,
        // What is in the way may be what the same request has started meanwhile.
        Err(error) => {
            let known = retry::known(&project, &request).await?;
            return known.map(|known| (known, true)).ok_or(error);
        }
    };
    start(inner, project, request, Some(next), draining).await
}

async fn start(
    inner: &Arc<Inner>,
    project: Arc<Project>,
    request: StartRequest,
    next: Option<retry::Next>,
    draining: bool,
) -> Result<(Invocation, bool), StartError> {
    let session = resume::session(inner, &project, &request).await?;
    let loan = inner.drafts.lend();
    let (Work { spec, redactor, .. }, around, request) = {
        let (inner, project, uuid) = (Arc::clone(inner), Arc::clone(&project), loan.uuid());
        let prepared = move || {
            let work = prepared(&inner, &project, &request, uuid, session.as_deref())?;
            Ok::<_, StartError>((work, Around::look(&inner, &project), request))
        };
        // Only a panic, or the runtime's end, keeps it from answering.
        let prepared = tokio::task::spawn_blocking(prepared).await;
        prepared.map_err(|_| StartError::Draining)??
    };
    let spec = Spec {
        project_folder: Some(project.folder()),
        ..spec
    };
    let spec = match &next {
        Some(next) => next.of(spec),
        None => spec,
    };
    let turn = inner.turns.take(&project.root, &spec.request_id).await;
    if let Some(known) = known(&project, &spec).await? {
        return Ok((known, true));
    }
    resume::check(&request, &spec.provider, spec.resume.as_deref())?;
    if draining {
        return Err(StartError::Draining);
    }
    around.shim.map_err(StartError::NoShim)?;
    let task_turn = inner.task_turns.take(&project.root, &spec.task).await;
    if let Some(next) = &next {
        next.check(&project).await?;
    }
    let after = dependency::check(&project, &request.after).await?;
    // Who is told what to wait for may wait for its own task, too; anybody else would do its work twice.
    let may_share_task = !request.after.is_empty();
    admit(inner, &project, &spec.task, may_share_task, around.runners).await?;
    inner.admit_by_budget(&project, &spec.task).await?;
    // Before there is a row: whoever finds that finds who takes care of it.
    let entry = inner.enter(&spec.uuid).ok_or(StartError::Draining)?;
    let coming = Coming {
        max: inner.settings().queue.max,
        may_wait: !request.no_queue,
        may_share_task,
    };
    inner.floors.raise(&project.root, around.highest);
    let floor = inner.floors.of(&project.root);
    let came = line::candidate(&spec, None);
    let came = inner.line.come(came, after, coming, now_ms());
    let (stands, order) = match came {
        Ok(came) => came,
        Err(rejected) => return Err(rejected_for(rejected, inner, &project, &spec).await),
    };
    let turned = Turn {
        order,
        ..spec.turn.clone()
    };
    let spec = Spec {
        turn: turned,
        ..spec
    };
    let draft = loan.keep();
    if stands == Stands::Waits {
        remove_behind(draft);
        // Until its row is there, nothing else tells that there is a next attempt.
        let _until_written = next.map(|_| task_turn);
        return write_down(inner, &project, spec, &request.prompt, entry, turn, floor).await;
    }
    let place = Place::of(inner, &spec.uuid);
    let new = row(&spec, &request.prompt);
    let dir = InvDir::new(&inner.settings().state_dir, &spec.uuid);
    let (tell, coming) = watch::channel(None);
    let floor = InvocationId::new(floor);
    let begun = project.store.begin_telling(new, floor, move |id| {
        tell.send_replace(Some(id));
    });
    // While the row waits for the disk; whoever finds only this finds nothing that was started.
    let (begun, mut ahead) = tokio::join!(begun, Ahead::make(inner, &spec, &dir, draft, coming));
    if !matches!(begun, Ok(Begun::New(_))) {
        std::mem::take(&mut ahead).discard(&dir).await;
    }
    let invocation = match begun {
        Ok(Begun::New(invocation)) => invocation,
        Ok(Begun::Existing(invocation)) => return Ok((invocation, true)),
        Err(error) => {
            // The same request waits until it is known what became of this one.
            let withdrawing = withdraw(Arc::clone(inner), project.root.clone(), entry, turn);
            inner.tracker.spawn(withdrawing);
            return Err(error.into());
        }
    };
    steroids_failpoint::reach("start.row-committed");
    drop(turn);
    inner.floors.raise(&project.root, invocation.id.get());
    project.touch();
    let spec = Spec {
        invocation: invocation.id.get(),
        ..spec
    };
    let work = Work::new(spec, redactor);
    let launched = launch(inner, &project, work, entry, place, ahead).await?;
    // Its lock is there to be seen.
    drop(task_turn);
    // Given up meanwhile, a project answers no more; who has its place knows the row.
    let project = inner.projects.get(&project.root).await.unwrap_or(project);
    answer(&project, invocation, launched).await
}

/// What a start has to know of others, as one look at the disks tells it.
struct Around {
    runners: Vec<Runner>,
    /// The highest id that has a log.
    highest: i64,
    /// What there is to start it with.
    shim: Result<(), LaunchError>,
}

impl Around {
    /// Blocks.
    fn look(inner: &Inner, project: &Project) -> Around {
        Around {
            runners: runners(inner, &project.root),
            highest: floors::highest(project),
            shim: inner.settings().launcher.runnable(),
        }
    }
}

/// Lays out the spec from what the request and this moment say.
fn prepared(
    inner: &Inner,
    project: &Project,
    request: &StartRequest,
    uuid: String,
    session: Option<&str>,
) -> Result<Work, StartError> {
    check_disks(inner, &project.root, request.prompt.len())?;
    let around = Surroundings {
        project: &project.root,
        uuid,
        boot_id: state::boot_id().map_err(|source| StartError::StateDir {
            path: PathBuf::from("/proc/sys/kernel/random/boot_id"),
            source,
        })?,
        now_ms: lost::now_ms(),
        session,
        is_file: &|path| path.is_file(),
        own_env: &own_env,
        zone: &zone::rule_of,
    };
    let spec = prepare(&inner.settings(), request, around)?.spec;
    let redactor = spec.redactor();
    Ok(Work::new(spec, redactor))
}

/// This process's own environment, but for what is not UTF-8.
fn own_env() -> BTreeMap<String, String> {
    let text = |text: OsString| text.into_string().ok();
    let all = std::env::vars_os();
    all.filter_map(|(name, value)| Some((text(name)?, text(value)?)))
        .collect()
}

/// The invocation of a request id that came before, if its parameters were the same.
async fn known(project: &Project, spec: &Spec) -> Result<Option<Invocation>, StartError> {
    let Some(known) = project.store.by_request(&spec.request_id).await? else {
        return Ok(None);
    };
    match &known.managed {
        Some(managed) if managed.request_hash != spec.request_hash => {
            Err(StartError::RequestIdReused {
                request_id: spec.request_id.clone(),
                id: known.id,
            })
        }
        _ => Ok(Some(known)),
    }
}

/// What the row is to hold. The prompt is the request's, wherever the provider takes it.
pub(super) fn row(spec: &Spec, prompt: &str) -> NewInvocation {
    NewInvocation {
        prompt: prompt.to_owned(),
        ..NewInvocation::from(spec)
    }
}

/// From the committed row to a shim that holds its lock. Whatever fails, the invocation ends.
pub(super) async fn launch(
    inner: &Inner,
    project: &Arc<Project>,
    Work { spec, redactor, .. }: Work,
    entry: Entry,
    place: Place,
    ahead: Ahead,
) -> Result<Launched, StartError> {
    let id = InvocationId::new(spec.invocation).ok_or(StartError::Draining)?;
    let dir = InvDir::new(&inner.settings().state_dir, &spec.uuid);
    let _secrets = inner.settings().secrets.know(redactor.clone());
    let refused = match ahead.settle(inner, &spec, &dir).await {
        Ok(Ok(standby)) => {
            let order = order(&spec, &dir);
            let launcher = Arc::clone(&inner.settings().launcher);
            let launched = launcher.launch(&order, standby).await;
            launched
                .err()
                .map(|error| without_secrets(error, &redactor))
        }
        Ok(Err(source)) => {
            let path = dir.path().to_path_buf();
            never_started(inner, project, &spec, &source).await;
            return Err(StartError::StateDir { path, source });
        }
        Err(_) => return Err(StartError::Draining),
    };
    steroids_failpoint::reach("start.launched");
    // Without the lock it is not for us to say that it never ran: a shim is at it.
    let refused = match refused {
        Some(error) if !close_unlaunched(&spec, &dir, &error).await => None,
        refused => refused,
    };
    inner.line.launched(&spec.uuid);
    if refused.is_none() {
        inner.counts.started(&spec.provider);
    }
    let work = Work::new(spec, redactor);
    let (around, place) = (Arc::clone(project), Some(place));
    let handle = entry.watch_over(id, work, dir.clone(), around, place, false);
    Ok(Launched {
        handle,
        dir,
        refused,
    })
}

/// What a launcher has to know.
fn order(spec: &Spec, dir: &InvDir) -> Order {
    let (task, id) = (&spec.task, spec.invocation);
    let project = spec.project.display();
    Order {
        dir: dir.path().to_path_buf(),
        uuid: spec.uuid.clone(),
        description: format!("steroids: task {task}, invocation {id} of {project}"),
        resources: spec.resources.clone(),
        leaves_background: spec.leave_background,
    }
}

/// As it may be told to whoever asked for the start: a program's last words may quote what it was
/// to run, and with which environment.
fn without_secrets(error: LaunchError, redactor: &Redactor) -> LaunchError {
    match error {
        LaunchError::Refused { program, message } => LaunchError::Refused {
            program,
            message: redactor.text(&message).into_owned(),
        },
        // The shim's own path, and what the system says.
        error @ (LaunchError::Spawn { .. }
        | LaunchError::Silent { .. }
        | LaunchError::NoManager(_)) => error,
    }
}

pub(super) struct Launched {
    handle: JobHandle,
    pub(super) dir: InvDir,
    pub(super) refused: Option<LaunchError>,
}

/// The row as it is now: running with its pid, or ended if the provider could not be started.
async fn answer(
    project: &Project,
    begun: Invocation,
    launched: Launched,
) -> Result<(Invocation, bool), StartError> {
    let id = begun.id;
    let record = ExitRecord::load(&launched.dir).ok().flatten();
    if record.is_some() {
        let mut progress = launched.handle.progress;
        let over = progress.wait_for(|progress| matches!(progress, Progress::Ended(_)));
        // In time or not: the row below says what is true.
        let _ = timeout(EARLY_END, over).await;
    }
    if let Some(source) = launched.refused {
        return Err(StartError::Launch { id, source });
    }
    if let Some(End::NeverStarted {
        error: said,
        lacks_room: true,
    }) = record.map(|it| it.end)
    {
        return Err(StartError::NoRoom { id, said });
    }
    note_pid(project, id, &launched.dir).await;
    // It has started, whether or not its row can be read just now.
    let now = project.store.invocation(id).await.ok().flatten();
    Ok((now.unwrap_or(begun), false))
}

/// Writes down which process the provider is.
pub(super) async fn note_pid(project: &Project, id: InvocationId, dir: &InvDir) {
    let pid = State::load(dir)
        .ok()
        .flatten()
        .and_then(|state| state.agent_pid);
    if let Err(error) = project.store.launched(id, pid.map(i64::from)).await {
        warn!(invocation.id = %id, %error, "the provider's pid was not recorded");
    }
    info!(invocation.id = %id, pid, project = %project.root.display(), "invocation started");
}

/// No shim took over: the record says so, and the job that follows writes log and row. False if one
/// did after all, which then has the lock and writes the record: only the one that was to tell us
/// of it was killed, or had no more time.
async fn close_unlaunched(spec: &Spec, dir: &InvDir, error: &LaunchError) -> bool {
    let end = End::never_started(chain(error));
    let (id, lock) = (spec.invocation, dir.lock());
    let (spec, dir) = (spec.clone(), dir.clone());
    let closed = tokio::task::spawn_blocking(move || lost::close(&spec, &dir, end)).await;
    let Ok(Err(error)) = closed else {
        return true;
    };
    warn!(invocation.id = %id, %error, "could not record a failed launch");
    let held = tokio::task::spawn_blocking(move || lock::is_held(&lock)).await;
    !matches!(held, Ok(Ok(true)))
}

/// The state folder could not be written, so only the row can say what happened.
async fn never_started(inner: &Inner, project: &Arc<Project>, spec: &Spec, error: &io::Error) {
    let end = End::NeverStarted {
        error: format!("state folder: {}", chain(error)),
        lacks_room: lacks_room(error),
    };
    // The one it began in may have been given up meanwhile.
    let now = inner.projects.get(&project.root).await;
    let project = now.as_ref().unwrap_or(project);
    super::open_rows::end_without_folder(inner, project, spec.invocation, end).await;
}

impl From<&Spec> for NewInvocation {
    fn from(spec: &Spec) -> Self {
        NewInvocation {
            task: spec.task.clone(),
            role: spec.role.clone(),
            provider: spec.provider.clone(),
            model: spec.model.clone(),
            // Where it is not for its input it is among its arguments, and here.
            prompt: match (spec.prompt.as_str(), &spec.turn.asked) {
                ("", Some(asked)) => asked.clone(),
                (prompt, _) => prompt.to_owned(),
            },
            request_id: spec.request_id.clone(),
            request_hash: spec.request_hash.clone(),
            uuid: spec.uuid.clone(),
            resume: spec.resume.clone(),
            cwd: spec.cwd.clone(),
            resources_json: (!spec.resources.is_unbounded())
                .then(|| serde_json::to_string(&spec.resources).unwrap_or_default()),
            limits_json: serde_json::to_string(&spec.limits).unwrap_or_default(),
            parser_version: steroids_provider::decoder::VERSION,
            created_ms: i64::try_from(spec.created_ms).unwrap_or(i64::MAX),
            queued: false,
            queueing: Queueing {
                queued_ms: i64::try_from(spec.turn.order).ok().filter(|at| *at > 0),
                priority: spec.turn.priority,
                after: spec
                    .turn
                    .after
                    .iter()
                    .copied()
                    .filter_map(InvocationId::new)
                    .collect(),
                attempt: spec.turn.attempt,
                retry_of: spec.turn.retry_of.and_then(InvocationId::new),
                retried_by: None,
            },
        }
    }
}
