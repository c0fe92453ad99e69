//! The service `Daemon`: how it is, and how it ends.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use steroids_proto::v1;
use tonic::{Code, Request, Response, Status};

use super::peer::{CROWDED, peer};
use super::refusal::{Refusal, invalid};
use super::stream::stopping;
use super::{Service, convert, measures, status, upkeep};
use crate::otlp::Board;
use crate::store;

/// Longer than a look at many databases takes, and no longer than somebody who asks would wait; for
/// the programs and the room on disk again so long.
const LOOK_WITHIN: Duration = Duration::from_secs(2);

/// Asks the file systems for something. One asker at a time, each on a thread: one that nobody
/// waits for any more, as a disk does not answer, is waited for on none.
#[derive(Clone, Default)]
pub(super) struct Asking(Arc<tokio::sync::Mutex<()>>);

impl Asking {
    /// `None` if no answer came in time.
    async fn ask<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let asked = async {
            let alone = Arc::clone(&self.0).lock_owned().await;
            let work = move || {
                let _alone = alone;
                work()
            };
            tokio::task::spawn_blocking(work).await.ok()
        };
        tokio::time::timeout(LOOK_WITHIN, asked)
            .await
            .ok()
            .flatten()
    }
}

/// What is wrong if the room on disk cannot be told in time.
const NO_ANSWER: &str = "the disk of the state folder or of a project does not answer; how much of it is free is not known";

/// What is wrong if the programs cannot be looked for in time.
const NO_PROGRAMS: &str =
    "a disk with the providers' programs does not answer; where they are is not known";

/// What does not change while the daemon runs, unless its configuration is read anew.
#[derive(Debug, Clone)]
pub struct Facts {
    /// When it was started.
    pub started: SystemTime,
    /// The socket it serves.
    pub socket: PathBuf,
    /// Where its state is.
    pub state_dir: PathBuf,
    /// The configuration file read; `None` where there was none.
    pub config: Option<PathBuf>,
    /// The configured providers.
    pub providers: Vec<ProviderFacts>,
    /// Folders in which programs are looked for.
    pub search_path: Vec<PathBuf>,
    /// What it was told to do and may not, a line each.
    pub warnings: Vec<String>,
}

/// A provider, as configured.
#[derive(Debug, Clone)]
pub struct ProviderFacts {
    /// Its name.
    pub name: String,
    /// Its kind's word.
    pub kind: &'static str,
    /// Program name or path.
    pub command: String,
    /// Variables of a caller that it gets.
    pub env: Vec<String>,
}

#[tonic::async_trait]
impl v1::daemon_server::Daemon for Service {
    async fn status(
        &self,
        request: Request<v1::StatusRequest>,
    ) -> Result<Response<v1::StatusResponse>, Status> {
        let is_crowded = peer(&request).is_spare();
        // So that what it says of projects is true now; where a disk does not answer, as it was
        // last known.
        let _ = tokio::time::timeout(LOOK_WITHIN, self.projects.look()).await;
        let now = Arc::clone(&self.facts.borrow());
        let (facts, supervisor) = (Arc::clone(&now), self.supervisor.clone());
        let programs = move || {
            let shown = |provider| shown(provider, &facts.search_path);
            facts.providers.iter().map(shown).collect()
        };
        let behind = {
            let (supervisor, subscribers) = (self.supervisor.clone(), self.subscribers.clone());
            move || (supervisor.behind(), subscribers.lag())
        };
        let (programs, low, behind) = tokio::join!(
            self.programs.ask(programs),
            self.disks.ask(move || supervisor.lacking()),
            self.spools.ask(behind)
        );
        let standings = self.supervisor.standings();
        let (launcher_why, mut warnings, controllers) = self.supervisor.launching();
        warnings.extend(now.warnings.iter().cloned());
        let mut degraded = self.supervisor.degraded();
        let providers = programs.unwrap_or_else(|| {
            degraded.push(NO_PROGRAMS.to_owned());
            let providers = now.providers.iter();
            providers.map(|it| told(it, None)).collect()
        });
        degraded.extend(low.unwrap_or_else(|| vec![NO_ANSWER.to_owned()]));
        degraded.extend(is_crowded.then(|| CROWDED.to_owned()));
        degraded.extend(self.projects.degraded());
        degraded.extend(self.told.degraded());
        degraded.extend(self.export.as_ref().and_then(Board::degraded));
        degraded.extend(self.wakeups.degraded());
        let unkept = self.unkept.lock();
        degraded.extend(unkept.unwrap_or_else(PoisonError::into_inner).clone());
        let standing = self.reload.standing();
        degraded.extend(standing.degraded());
        let state = if self.supervisor.is_draining() {
            "draining"
        } else {
            "serving"
        };
        Ok(Response::new(v1::StatusResponse {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: i64::from(std::process::id()),
            started_at_ms: epoch_ms(now.started),
            socket: convert::text(&now.socket),
            state_dir: convert::text(&now.state_dir),
            state: state.to_owned(),
            running: count(self.supervisor.running()),
            max_running: count(self.supervisor.max_running()),
            projects: count(self.projects.all().len()),
            subscribers: count(self.subscribers.count()),
            degraded,
            unknown_events: i64::try_from(self.supervisor.unknown_events()).unwrap_or(i64::MAX),
            launcher: self.supervisor.launcher().to_owned(),
            config: now.config.as_deref().map(convert::text).unwrap_or_default(),
            providers,
            rss_bytes: resident_bytes(),
            last_wakeup_at_ms: self.wakeups.last_ms(),
            queued: count(self.supervisor.queued()),
            max_queued: count(self.supervisor.max_queued()),
            holds: self.holds(),
            hooks: count(self.told.list().len()),
            unknown: upkeep::unknown(self.supervisor.unknown()),
            held: count(standings.held),
            stalled: count(standings.stalled),
            alarmed: count(standings.alarmed),
            asking: count(standings.asking),
            projection_lag: behind
                .as_ref()
                .map(|it| measures::projection_lag(it.0.clone())),
            subscriber_lag: behind.map(|it| measures::subscriber_lag(it.1)),
            stored: self.wakeups.stored().as_ref().map(measures::stored),
            commits: Some(measures::commits(&store::latency())),
            hook_queues: measures::hook_queues(self.told.list()),
            export: self.export.as_ref().map(|it| measures::export(it.look())),
            counts: Some(measures::counts(
                self.supervisor.counts(),
                self.subscribers.given(),
            )),
            config_loaded_at_ms: standing.loaded_at_ms,
            config_pending: standing.pending,
            config_error: standing.error.unwrap_or_default(),
            launcher_why,
            warnings,
            controllers,
        }))
    }

    async fn wakeup(
        &self,
        _request: Request<v1::WakeupRequest>,
    ) -> Result<Response<v1::WakeupResponse>, Status> {
        let report = self.wakeups.pass().await;
        let count = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        Ok(Response::new(v1::WakeupResponse {
            reconciled: count(report.reconciled),
            logs_removed: count(report.logs_removed),
            bytes_removed: count(report.bytes_removed),
            spools_removed: count(report.spools_removed),
            failures: report.failures,
            spool_bytes_removed: count(report.spool_bytes_removed),
            logs_compressed: count(report.logs_compressed),
            bytes_saved: count(report.bytes_saved),
        }))
    }

    async fn list_hooks(
        &self,
        _request: Request<v1::ListHooksRequest>,
    ) -> Result<Response<v1::ListHooksResponse>, Status> {
        Ok(Response::new(self.hooks()))
    }

    async fn test_hook(
        &self,
        request: Request<v1::TestHookRequest>,
    ) -> Result<Response<v1::TestHookResponse>, Status> {
        self.test(request.into_inner()).await.map(Response::new)
    }

    async fn get_config(
        &self,
        _request: Request<v1::GetConfigRequest>,
    ) -> Result<Response<v1::GetConfigResponse>, Status> {
        self.configuration().await.map(Response::new)
    }

    async fn drain(
        &self,
        request: Request<v1::DrainRequest>,
    ) -> Result<Response<v1::DrainResponse>, Status> {
        let on = !request.into_inner().off;
        self.supervisor.drain(on);
        tracing::info!(draining = on, "draining was switched");
        Ok(Response::new(v1::DrainResponse {
            running: count(self.supervisor.running()),
        }))
    }

    async fn list_holds(
        &self,
        _request: Request<v1::ListHoldsRequest>,
    ) -> Result<Response<v1::ListHoldsResponse>, Status> {
        let holds = self.holds();
        Ok(Response::new(v1::ListHoldsResponse { holds }))
    }

    async fn set_hold(
        &self,
        request: Request<v1::SetHoldRequest>,
    ) -> Result<Response<v1::SetHoldResponse>, Status> {
        let request = request.into_inner();
        if request.until_ms <= epoch_ms(SystemTime::now()) {
            return Err(invalid("until_ms", "is past"));
        }
        let set = self.supervisor.hold(&request.provider, request.until_ms);
        set.await.map_err(|error| status::hold(&error))?;
        let holds = self.holds();
        Ok(Response::new(v1::SetHoldResponse { holds }))
    }

    async fn lift_hold(
        &self,
        request: Request<v1::LiftHoldRequest>,
    ) -> Result<Response<v1::LiftHoldResponse>, Status> {
        let v1::LiftHoldRequest { provider, by_hand } = request.into_inner();
        let lifted = self.supervisor.lift(&provider, by_hand).await;
        let lifted = lifted.map_err(|error| status::hold(&error))?;
        Ok(Response::new(v1::LiftHoldResponse { lifted }))
    }

    async fn reload(
        &self,
        _request: Request<v1::ReloadRequest>,
    ) -> Result<Response<v1::ReloadResponse>, Status> {
        let outcome = self.reload.ask().await.ok_or_else(stopping)?;
        let reloaded = outcome.map_err(|why| {
            Refusal::new(Code::FailedPrecondition, "CONFIGURATION", why)
                .todo("the old configuration is kept; mend the file, then reload again")
        })?;
        Ok(Response::new(v1::ReloadResponse {
            changed: reloaded.changed,
            pending: reloaded.pending,
            file: reloaded
                .file
                .as_deref()
                .map(convert::text)
                .unwrap_or_default(),
        }))
    }

    async fn shutdown(
        &self,
        request: Request<v1::ShutdownRequest>,
    ) -> Result<Response<v1::ShutdownResponse>, Status> {
        let stop_all = request.into_inner().stop_all;
        tracing::info!(stop_all, "shutdown was asked for");
        let stopped = self.supervisor.shutdown(stop_all).await;
        // Open requests are answered before connections end, this one among them.
        self.stops.asked.cancel();
        Ok(Response::new(v1::ShutdownResponse {
            stopped: count(stopped),
        }))
    }
}

impl Service {
    /// Providers that are held, on the wire.
    fn holds(&self) -> Vec<v1::Hold> {
        let holds = self.supervisor.holds().into_iter();
        let shown = holds.map(|hold| v1::Hold {
            provider: hold.provider,
            since_ms: hold.since_ms,
            until_ms: hold.until_ms,
            reason: hold.reason,
        });
        shown.collect()
    }
}

fn shown(provider: &ProviderFacts, search_path: &[PathBuf]) -> v1::Provider {
    told(provider, program(&provider.command, search_path).as_deref())
}

fn told(provider: &ProviderFacts, program: Option<&Path>) -> v1::Provider {
    v1::Provider {
        name: provider.name.clone(),
        kind: provider.kind.to_owned(),
        command: provider.command.clone(),
        program: program.map(convert::text).unwrap_or_default(),
        env: provider.env.clone(),
    }
}

/// Where a program is, as the daemon's own PATH has it; callers' may differ.
fn program(command: &str, search_path: &[PathBuf]) -> Option<PathBuf> {
    if command.is_empty() {
        return None;
    }
    if command.contains('/') {
        return Some(PathBuf::from(command)).filter(|path| is_program(path));
    }
    search_path
        .iter()
        .map(|folder| folder.join(command))
        .find(|path| is_program(path))
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata()
        .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

/// Resident memory of this process; 0 where the kernel does not say.
fn resident_bytes() -> i64 {
    let pages = std::fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|text| text.split_ascii_whitespace().nth(1)?.parse::<i64>().ok());
    pages.map_or(0, |pages| {
        pages.saturating_mul(count(rustix::param::page_size()))
    })
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn epoch_ms(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_by_path_or_by_name_and_must_be_executable() {
        let path = ["/nowhere".into(), "/bin".into()];
        assert_eq!(program("/bin/sh", &[]), Some("/bin/sh".into()));
        assert_eq!(program("sh", &path), Some("/bin/sh".into()));
        assert_eq!(program("sh", &[]), None);
        assert_eq!(program("/etc/passwd", &path), None);
        assert_eq!(program("", &path), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_disk_that_does_not_answer_holds_up_nobody_for_long_and_one_thread() {
        let disk = Asking::default();
        let (answers, waits) = std::sync::mpsc::channel::<()>();
        let threads = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let waits = Arc::new(std::sync::Mutex::new(waits));
        let ask = || {
            let (threads, waits) = (Arc::clone(&threads), Arc::clone(&waits));
            disk.ask(move || {
                threads.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                waits.lock().unwrap().recv()
            })
        };
        // Time stands still while a thread is busy.
        let time = tokio::spawn(async {
            loop {
                tokio::time::advance(LOOK_WITHIN / 4).await;
                tokio::task::yield_now().await;
            }
        });
        for _ in 0..3 {
            assert_eq!(ask().await, None);
        }
        assert!(threads.load(std::sync::atomic::Ordering::Relaxed) <= 1);
        time.abort();
        drop(answers);
        assert!(ask().await.is_some(), "it answers again");
    }

    #[test]
    fn resident_memory_is_more_than_nothing() {
        assert!(resident_bytes() > 100_000);
    }
}
