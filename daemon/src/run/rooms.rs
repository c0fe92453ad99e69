//! The rooms of a running daemon: built bottom up, and taken down in order, each step within its
//! time.

use std::convert::Infallible;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument as _, info, info_span, warn};

use super::launcher::{launcher, manager};
use super::place::{self, Kept, Occasions};
use super::reload::Reloader;
use super::state::StateFolder;
use crate::config::Config;
use crate::domain::Zone;
use crate::hooks::{self, Hooks};
use crate::launch::{Launcher, Manager};
use crate::projects::Projects;
use crate::service::lock::LockError;
use crate::service::reload::{Reload, Reloads};
use crate::service::{
    Configuration, Facts, ProviderFacts, ServeError, Service, WakeupSettings, Wakeups,
};
use crate::supervise::{self, Scope, Supervisor};
use crate::watch::Hints;
use crate::{logging, otlp, service, wakeup};

/// Jobs finish the line they are at. With the bounds below, five seconds in all.
const JOBS_WITHIN: Duration = Duration::from_millis(1500);
/// Streams are told, requests that run are answered, connections end.
const CONNECTIONS_WITHIN: Duration = Duration::from_millis(1500);
/// What is left waits for nothing but itself.
const TASKS_WITHIN: Duration = Duration::from_millis(300);
/// A last transaction, a checkpoint.
const STORES_WITHIN: Duration = Duration::from_millis(1200);

/// There is nothing to start invocations with.
#[derive(Debug, thiserror::Error)]
#[error("cannot find the program steroids-shim beside steroidsd or on PATH; set daemon.shim")]
pub(super) struct NoShim;

/// What there is to do, for a person who looks at the service.
pub(super) fn line(supervisor: &Supervisor) -> String {
    let (running, queued) = (supervisor.running(), supervisor.queued());
    let line = format!("{running} running, {queued} waiting");
    if supervisor.is_draining() {
        format!("Draining; {line}")
    } else {
        line
    }
}

/// The rooms of a running daemon, and what their tasks are stopped and counted by.
pub(super) struct Rooms {
    projects: Projects,
    supervisor: Supervisor,
    service: Service,
    hints: Hints,
    wakeups: Wakeups,
    reload: Reload,
    /// Asked whether the host goes down, where the launcher leaves that to us.
    manager: Option<Manager>,
    /// Jobs, and requests that are seen through.
    jobs: TaskTracker,
    let_go: CancellationToken,
    /// Everything else that runs by itself.
    tasks: TaskTracker,
    /// Ends streams and connections.
    close: CancellationToken,
}

impl Rooms {
    pub(super) async fn build(
        config: &Config,
        started: SystemTime,
        stop: CancellationToken,
        (reload, reloads): (Reload, Reloads),
    ) -> anyhow::Result<Rooms> {
        let launcher = launcher(config).await?;
        let launcher_name = launcher.name();
        let (jobs, tasks) = (TaskTracker::new(), TaskTracker::new());
        let (let_go, close) = (CancellationToken::new(), CancellationToken::new());

        let (hints, watcher) = Hints::new();
        // Without a span, which would be entered and left for each line of each log.
        tasks.spawn(until(let_go.clone(), watcher.run()));
        let ages = wakeup::ages(&config.state_dir).await;
        let projects = open_projects(&config.state_dir).await?;
        let zone = tokio::task::spawn_blocking(Zone::of_host);
        let zone = zone.await.context("the host's zone cannot be read")?;
        let supervisor = Supervisor::new(
            first_settings(config, launcher, zone),
            projects.clone(),
            hints.clone(),
            jobs.clone(),
            let_go.clone(),
        );
        jobs.spawn(supervisor.clone().keep().instrument(info_span!("keeper")));
        let queue = supervisor.clone().run_queue();
        jobs.spawn(queue.instrument(info_span!("queue")));
        let drafts = supervisor.clone().keep_drafts();
        jobs.spawn(drafts.instrument(info_span!("drafts")));
        jobs.spawn(
            supervisor
                .clone()
                .keep_budgets()
                .instrument(info_span!("budgets")),
        );
        let hooks = open_hooks(config, started, tasks.clone(), let_go.clone()).await?;
        let telling = hooks.clone().run(projects.clone());
        // With the jobs: what is on its way then has as long to end.
        jobs.spawn(telling.instrument(info_span!("hooks")));
        let wakeups = Wakeups::new(
            supervisor.clone(),
            projects.clone(),
            self::wakeups(config),
            ages,
        );
        let periodic = wakeups.clone().run(let_go.clone());
        tasks.spawn(periodic.instrument(info_span!("wakeup")));
        let facts = facts(config, started);
        for warning in &facts.warnings {
            warn!("{warning}");
        }
        let (facts, known) = watch::channel(Arc::new(facts));
        let configuration = configuration(config);
        let reloader = Reloader {
            config: config.clone(),
            configuration: configuration.clone(),
            supervisor: supervisor.clone(),
            wakeups: wakeups.clone(),
            facts,
        };
        let reloading = until(let_go.clone(), reloader.run(reloads));
        tasks.spawn(reloading.instrument(info_span!("reload")));
        let board = config.otlp.clone().map(|settings| {
            let board = otlp::Board::default();
            let sources = otlp::Sources {
                ends: supervisor.ends(),
                supervisor: supervisor.clone(),
                state_dir: config.state_dir.clone(),
            };
            let telling = otlp::run(
                settings,
                board.clone(),
                sources,
                logging::secrets(),
                tasks.clone(),
                let_go.clone(),
            );
            // With the jobs: what waits then has as long to be sent.
            jobs.spawn(telling.instrument(info_span!("otlp")));
            board
        });
        let (measured, stop_measuring) = (wakeups.clone(), let_go.clone());
        let measuring = until(stop_measuring, async move { measured.measure().await });
        tasks.spawn(measuring.instrument(info_span!("measuring")));
        let service = Service::new(
            projects.clone(),
            supervisor.clone(),
            hints.clone(),
            wakeups.clone(),
            hooks,
            known,
            configuration,
            reload.clone(),
            service::Stops {
                asked: stop,
                close: close.clone(),
            },
        );
        let service = match board {
            Some(board) => service.exporting(board),
            None => service,
        };
        Ok(Rooms {
            manager: (launcher_name == "fork").then(|| manager(config)),
            projects,
            supervisor,
            service,
            hints,
            wakeups,
            reload,
            jobs,
            let_go,
            tasks,
            close,
        })
    }

    /// See [`line`].
    pub(super) fn line(&self) -> String {
        line(&self.supervisor)
    }

    /// Returns once connections are seen to be let in; false if nobody serves.
    pub(super) async fn lets_in(&self) -> bool {
        self.service.lets_in().await
    }

    /// A database whose thread has ended that nobody told to.
    pub(super) fn lost_database(&self) -> Option<PathBuf> {
        let projects = self.projects.all().into_iter();
        let lost = |store: &crate::store::Store| store.has_lost_a_thread();
        projects
            .filter(|project| lost(&project.store))
            .map(|project| project.store.path().to_owned())
            .next()
    }

    /// Gives every invocation of ours an owner or an end, within the time that it takes itself.
    pub(super) async fn reconcile(&self) {
        let found = self.supervisor.reconcile(Scope::Startup).await;
        info!(found.adopted, found.finished, found.lost, "reconciled");
        let strays = self.supervisor.clone().look_after_strays();
        self.jobs.spawn(strays.instrument(info_span!("strays")));
    }

    /// Starts serving.
    pub(super) fn serve(
        &self,
        listener: UnixListener,
        config: &Config,
    ) -> JoinHandle<Result<(), ServeError>> {
        let settings = service::Settings {
            connections: config.max_connections,
            streams: config.max_streams,
        };
        let rest = super::rest::give_back(self.service.clone());
        self.tasks.spawn(until(self.let_go.clone(), rest));
        let serving = self.service.clone().serve(listener, settings);
        tokio::spawn(serving.instrument(info_span!("server")))
    }

    fn occasions(&self) -> Occasions {
        Occasions {
            hints: self.hints.clone(),
            passes: self.wakeups.begun(),
            reload: self.reload.clone(),
        }
    }

    /// Keeps the socket's name.
    pub(super) async fn keep_place(&self, kept: &Kept, socket: &Path) -> Infallible {
        place::keep(kept, socket, self.occasions(), &self.service).await
    }

    /// Keeps the state folder, until another daemon has it.
    pub(super) async fn keep_state(&self, state: &StateFolder) -> LockError {
        let occasions = self.occasions();
        state.keep(occasions, &self.projects, &self.service).await
    }

    /// Looks at the state folder once more, at the end.
    pub(super) async fn look_at_state(&self, state: &StateFolder) {
        match timeout(TASKS_WITHIN, state.look(&self.projects)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => warn!(error = %format!("{error:#}"), "the state folder is not kept"),
            Err(_) => warn!("the disk of the state folder takes long"),
        }
    }

    /// Waits for the word to stop, or for a server that fails; then lets go of the jobs and ends
    /// the connections.
    pub(super) async fn until_stopped(
        &self,
        mut server: JoinHandle<Result<(), ServeError>>,
        stop: &CancellationToken,
    ) -> anyhow::Result<()> {
        tokio::select! {
            () = stop.cancelled() => {
                info!(running = self.supervisor.running(), "stopping");
                self.end_with_host().await;
            }
            ended = &mut server => {
                return ended.context("the server panicked")?.context("cannot serve");
            }
        }
        self.let_go_of_jobs().await;
        self.close.cancel();
        match timeout(CONNECTIONS_WITHIN, &mut server).await {
            Ok(ended) => ended
                .context("the server panicked")?
                .context("cannot serve"),
            Err(_) => {
                warn!("connections did not end in time and are cut");
                server.abort();
                Ok(())
            }
        }
    }

    /// Where the host goes down, or the user's session ends, has the shims end in order: those in units
    /// are told by the service manager, those of a fork would be killed.
    async fn end_with_host(&self) {
        if let Some(manager) = &self.manager
            && self.supervisor.running() > 0
            && manager.is_stopping().await == Some(true)
        {
            let ended = self.supervisor.end_with_host().await;
            info!(ended, "invocations ended with the host");
        }
    }

    /// No new invocations, and none in our care any more.
    async fn let_go_of_jobs(&self) {
        self.supervisor.drain(true);
        self.let_go.cancel();
        self.jobs.close();
        if timeout(JOBS_WITHIN, self.jobs.wait()).await.is_err() {
            warn!(left = self.jobs.len(), "jobs did not let go in time");
        }
    }

    /// Ends whatever still runs, and closes the stores.
    pub(super) async fn take_down(self) {
        if !self.jobs.is_closed() {
            self.let_go_of_jobs().await;
        }
        self.close.cancel();
        self.tasks.close();
        if timeout(TASKS_WITHIN, self.tasks.wait()).await.is_err() {
            warn!(left = self.tasks.len(), "tasks did not end in time");
        }
        if timeout(STORES_WITHIN, self.projects.close()).await.is_err() {
            warn!("databases were not closed in time");
        }
    }
}

/// Runs something that has no end of its own.
async fn until(stop: CancellationToken, endless: impl Future<Output = ()>) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = endless => {}
    }
}

async fn open_projects(state_dir: &Path) -> anyhow::Result<Projects> {
    // The whole path: it is what another daemon is told, and what a later one compares.
    let owner = state_dir.to_string_lossy().into_owned();
    let opened = Projects::open(state_dir, owner).await;
    opened.context("cannot open the list of projects")
}

/// Those that are new begin with what this daemon does, its first look at what runs included.
async fn open_hooks(
    config: &Config,
    started: SystemTime,
    tasks: TaskTracker,
    stop: CancellationToken,
) -> anyhow::Result<Hooks> {
    let settings = hooks::Settings {
        hooks: config.hooks.clone(),
        state_dir: config.state_dir.clone(),
        guard: shim(config)?,
        environment: config.environment.clone(),
        search_path: config.search_path.clone(),
    };
    let since = started.duration_since(UNIX_EPOCH).unwrap_or_default();
    let now_ms = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
    let open = move || Hooks::open(settings, &logging::secrets(), tasks, stop, now_ms);
    tokio::task::spawn_blocking(open)
        .await
        .context("opening hooks panicked")
}

pub(super) fn shim(config: &Config) -> Result<PathBuf, NoShim> {
    const NAME: &str = "steroids-shim";
    let beside = std::env::current_exe().ok();
    let beside = beside
        .as_deref()
        .and_then(Path::parent)
        .map(|folder| folder.join(NAME));
    let on_path = config.search_path.iter().map(|folder| folder.join(NAME));
    match &config.shim {
        Some(shim) => Some(shim.clone()),
        None => beside
            .into_iter()
            .chain(on_path)
            .find(|path| path.is_file()),
    }
    .ok_or(NoShim)
}

fn configuration(config: &Config) -> Configuration {
    let flags = config.flags.clone();
    let reread = move || match Config::examine(&flags) {
        Ok(config) => Ok((config.file, config.listing)),
        Err(problems) => Err(problems.iter().map(ToString::to_string).collect()),
    };
    Configuration::new(
        config.file.clone(),
        config.listing.clone(),
        Arc::new(reread),
    )
}

/// What the supervisor goes by first.
fn first_settings(config: &Config, launcher: Arc<dyn Launcher>, zone: Zone) -> supervise::Settings {
    supervise::Settings {
        state_dir: config.state_dir.clone(),
        runtime_dir: config.runtime_dir.clone(),
        launcher,
        max_running: config.max_running,
        queue: config.queue.clone(),
        min_free: config.min_free,
        limits: config.limits,
        providers: config.providers.clone(),
        prices: config.prices.clone(),
        budgets: config.budgets,
        resources: config.resources,
        zone,
        redaction: config.redaction.clone(),
        secrets: logging::secrets(),
        older_tool: config.older_tool.clone(),
    }
}

/// What it goes by after a reload: what [`Config::take_over`] may have changed, and the rest as it was.
pub(super) fn settings(config: &Config, before: &supervise::Settings) -> supervise::Settings {
    first_settings(config, Arc::clone(&before.launcher), before.zone.clone())
}

/// What maintenance goes by.
pub(super) fn wakeups(config: &Config) -> WakeupSettings {
    WakeupSettings {
        interval: config.wakeup_interval,
        pass: wakeup::Settings {
            retention: config.retention,
        },
    }
}

pub(super) fn facts(config: &Config, started: SystemTime) -> Facts {
    let providers = config
        .providers
        .iter()
        .map(|(name, provider)| ProviderFacts {
            name: name.clone(),
            kind: provider.settings.kind.as_str(),
            command: provider.settings.command.clone(),
            env: provider.settings.env.clone(),
        });
    Facts {
        started,
        socket: config.socket.clone(),
        state_dir: config.state_dir.clone(),
        config: config.file.clone(),
        providers: providers.collect(),
        search_path: config.search_path.clone(),
        warnings: config.hindered(),
    }
}
