//! The task that sends: a trace after each end, the sums every so often, and what is left at the
//! daemon's end within a second; what is left then is written down for the next daemon.

use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use prost::Message as _;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};
use uuid::Uuid;

use super::backlog::{Backlog, Left};
use super::hung::Hung;
use super::spans::{About, Spans};
use super::sums::Sums;
use super::wire::{ResourceSpans, SCHEMA, ScopeSpans, Span, TracesRequest, resource, scope};
use super::{Board, Settings};
use crate::activity_log::{LogError, Step};
use crate::domain::{Invocation, Known, Offset, Secrets};
use crate::hooks::Poster;
use crate::supervise::{EndedRun, Ends, Supervisor};

/// Of a log read at once.
const BATCH: usize = 256 << 10;

/// Spans of one request: some 200 KiB, or 4 MiB with texts.
const PART: usize = 512;

/// What is left at the daemon's end: jobs have 1.5 s together.
const LAST_WITHIN: Duration = Duration::from_secs(1);

/// A log of a disk that is well is read within a second or two.
const READ_WITHIN: Duration = Duration::from_secs(30);

pub(super) struct Worker {
    pub(super) settings: Settings,
    pub(super) poster: Poster,
    pub(super) board: Board,
    started: u64,
    pub(super) stop: CancellationToken,
    /// What the log must not show.
    pub(super) secrets: Secrets,
    _known: Known,
    hung: Hung,
}

/// Where it hears of what has ended, and keeps what it could not tell.
pub struct Sources {
    /// Those that end from now on.
    pub ends: Ends,
    /// Who knows those that ended before.
    pub supervisor: Supervisor,
    /// The folder in which is written down what is left.
    pub state_dir: PathBuf,
}

/// What is sent, one at a time.
enum Errand {
    Trace(EndedRun),
    /// Sums of so many ends.
    Sums(u64, Vec<u8>),
}

/// Ends that are not told of yet.
#[derive(Default)]
struct Untold {
    backlog: Backlog,
    sums: Sums,
    sums_are_due: bool,
}

/// Sends what ends, until told to stop.
pub async fn run(
    settings: Settings,
    board: Board,
    sources: Sources,
    secrets: Secrets,
    tasks: TaskTracker,
    stop: CancellationToken,
) {
    // Connections outlive the word to stop: what is left is sent over them.
    let connections = CancellationToken::new();
    let _closing = connections.clone().drop_guard();
    let needs_tls = settings.endpoint.scheme_str() == Some("https");
    let poster = move || Poster::new(needs_tls, tasks, connections);
    // Only a panic, or the runtime's end, gives no answer.
    let Ok(poster) = tokio::task::spawn_blocking(poster).await else {
        return;
    };
    let names = settings.secrets().into_iter();
    let named: Vec<_> = names.map(|it| ("OTLP_HEADER".to_owned(), it)).collect();
    board.lock().endpoint = settings.target();
    let worker = Worker {
        _known: secrets.know_values(&named),
        hung: Hung::default(),
        secrets,
        settings,
        poster,
        board,
        started: now(),
        stop,
    };
    worker.run(sources).await;
}

impl Worker {
    async fn run(self, mut sources: Sources) {
        let mut untold = Untold::default();
        if !self.take_up_left(&mut sources, &mut untold).await {
            return;
        }
        let interval = self.settings.interval;
        let mut ticks = interval_at(Instant::now() + interval, interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_idle = false;
        loop {
            let Some(errand) = untold.next(&self) else {
                // Nothing is left of the daemon before either.
                if !std::mem::replace(&mut is_idle, true) {
                    keep(Left::default(), &sources.state_dir).await;
                }
                tokio::select! {
                    biased;
                    () = self.stop.cancelled() => break,
                    end = sources.ends.recv() => if !untold.hear(end, &self) { break },
                    _ = ticks.tick() => untold.sums_are_due = true,
                }
                continue;
            };
            // Whoever ends meanwhile is heard: in the sums are all, however long a collector is away.
            let went_well = {
                let mut running = pin!(self.run_errand(&errand));
                loop {
                    tokio::select! {
                        biased;
                        () = self.stop.cancelled() => break None,
                        end = sources.ends.recv() => if !untold.hear(end, &self) { break None },
                        went_well = &mut running => break Some(went_well),
                    }
                }
            };
            match (errand, went_well) {
                (Errand::Sums(ends, _), Some(true)) => untold.sums.told(ends),
                (Errand::Trace(end), None) => untold.backlog.put_back(end),
                _ => {}
            }
            if went_well.is_none() {
                break;
            }
        }
        self.last(untold, sources).await;
    }

    /// Those whose traces the daemon before could not send. Their sums were that one's.
    /// False if the daemon stops meanwhile: then the file stays as it is, for the next one.
    async fn take_up_left(&self, sources: &mut Sources, untold: &mut Untold) -> bool {
        let Sources {
            ends,
            supervisor,
            state_dir,
        } = sources;
        let state_dir = state_dir.clone();
        let finding = async {
            let read = tokio::task::spawn_blocking(move || Left::read(&state_dir)).await;
            let left = read.unwrap_or_default();
            (left.len(), left.find(supervisor).await)
        };
        let mut finding = pin!(finding);
        // Whoever ends meanwhile is heard: a project whose disk hangs takes 25 s to be refused.
        let (count, found) = loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return false,
                end = ends.recv() => if !untold.hear(end, self) { return false },
                found = &mut finding => break found,
            }
        };
        self.dropped((count - found.len().min(count)) as u64);
        for end in found {
            self.dropped(untold.backlog.put(end));
        }
        true
    }

    async fn run_errand(&self, errand: &Errand) -> bool {
        match errand {
            Errand::Trace(end) => match self.tell(end).await {
                Ok(()) => true,
                Err(untold) => {
                    self.dropped(untold);
                    false
                }
            },
            // What is not taken now is in the next: they are sums since the start.
            Errand::Sums(_, request) => self.send("/v1/metrics", request.clone()).await,
        }
    }

    /// Sends what waits, for as long as there is time; the rest is written down.
    async fn last(&self, mut untold: Untold, mut sources: Sources) {
        loop {
            match sources.ends.try_recv() {
                Ok(end) => {
                    untold.hear(Ok(end), self);
                }
                Err(TryRecvError::Lagged(missed)) => self.dropped(missed),
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        let backlog = &mut untold.backlog;
        let sums = untold.sums.is_new().then(|| self.sums(&untold.sums));
        let telling = async {
            // First: nobody else knows them.
            if let Some(sums) = &sums {
                self.run_errand(sums).await;
            }
            while let Some(end) = backlog.next() {
                // Put back before it is tried, as that may be cut short.
                backlog.put_back(end.clone());
                // What was not taken is kept, and so is no loss.
                if self.tell(&end).await.is_err() {
                    break;
                }
                drop(backlog.next());
            }
        };
        let is_late = timeout(LAST_WITHIN, telling).await.is_err();
        let left = untold.backlog.left();
        if is_late || left.len() > 0 {
            warn!(left = left.len(), "not all was told to the collector");
        }
        keep(left, &sources.state_dir).await;
    }

    fn sums(&self, sums: &Sums) -> Errand {
        let request = sums.request(self.started, now());
        Errand::Sums(sums.ends(), request.encode_to_vec())
    }

    fn maker<'a>(&self, row: &'a Invocation) -> &'a str {
        let maker = self.settings.makers.get(&row.provider).copied();
        maker.unwrap_or(&row.provider)
    }

    /// Sends the trace of one.
    ///
    /// # Errors
    /// How many of its spans were not taken.
    async fn tell(&self, end: &EndedRun) -> Result<(), u64> {
        let row = &end.row;
        let uuid = row.managed.as_ref();
        let Some(uuid) = uuid.and_then(|it| Uuid::try_parse(&it.uuid).ok()) else {
            return Ok(());
        };
        if !is_sampled(uuid, self.settings.sample) {
            return Ok(());
        }
        if self.hung.holds(&end.project.root) {
            self.dropped(1);
            return Ok(());
        }
        let about = About {
            project: end.project.root.to_string_lossy().into_owned(),
            maker: self.maker(row).to_owned(),
            has_turns: self.settings.makers.contains_key(&row.provider),
            content: self.settings.content,
        };
        let spans = Spans::new(about, Invocation::clone(row), uuid);
        let project = Arc::clone(&end.project);
        let id = row.id;
        let read = move || {
            let mut spans = spans;
            let mut read = || -> Result<(), LogError> {
                let mut reader = project.logs().reader(id, Offset::START)?;
                while let Step::Batch(batch) = reader.next_batch(BATCH)? {
                    let lines = batch.bytes.split(|byte| *byte == b'\n');
                    lines.for_each(|line| spans.line(line));
                }
                Ok(())
            };
            // Without its log the invocation is still a span.
            if let Err(error) = read() {
                debug!(invocation.id = %id, %error, "its log cannot be read for a trace");
            }
            spans.finish()
        };
        // Only a panic, or the runtime's end, gives none otherwise.
        let reading = tokio::task::spawn_blocking(read);
        let thread = reading.abort_handle();
        let Ok(Ok((spans, beyond))) = timeout(READ_WITHIN, reading).await else {
            warn!(invocation.id = %id, "its log cannot be read in time for a trace");
            self.hung.note(&end.project.root, thread);
            self.dropped(1);
            return Ok(());
        };
        self.dropped(beyond);
        let mut untaken = 0;
        // The root comes first, so that what arrives has a parent.
        for part in spans.rchunks(PART) {
            let count = part.len() as u64;
            let request = traces(part.to_vec()).encode_to_vec();
            match self.send("/v1/traces", request).await {
                true => self.board.lock().sent += count,
                false => untaken += count,
            }
        }
        match untaken {
            0 => Ok(()),
            untaken => Err(untaken),
        }
    }

    fn dropped(&self, count: u64) {
        self.board.lock().dropped += count;
    }
}

impl Untold {
    /// One has ended; false once nobody tells of any.
    fn hear(&mut self, end: Result<EndedRun, RecvError>, worker: &Worker) -> bool {
        match end {
            Ok(end) => {
                self.sums.add(worker.maker(&end.row), &end.row);
                worker.dropped(self.backlog.put(end));
            }
            Err(RecvError::Lagged(missed)) => worker.dropped(missed),
            Err(RecvError::Closed) => return false,
        }
        true
    }

    /// What is to be sent now.
    fn next(&mut self, worker: &Worker) -> Option<Errand> {
        if std::mem::take(&mut self.sums_are_due) && self.sums.is_new() {
            return Some(worker.sums(&self.sums));
        }
        self.backlog.next().map(Errand::Trace)
    }
}

async fn keep(left: Left, state_dir: &Path) {
    let state_dir = state_dir.to_owned();
    // Only a panic, or the runtime's end.
    let _ = tokio::task::spawn_blocking(move || left.store(&state_dir)).await;
}

fn traces(spans: Vec<Span>) -> TracesRequest {
    TracesRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(resource()),
            scope_spans: vec![ScopeSpans {
                scope: Some(scope()),
                spans,
                schema_url: SCHEMA.to_owned(),
            }],
        }],
    }
}

/// By its id alone, so that every daemon decides the same.
fn is_sampled(uuid: Uuid, of_thousand: u32) -> bool {
    uuid.as_u128() % 1000 < u128::from(of_thousand)
}

fn now() -> u64 {
    let since = steroids_failpoint::wall_clock().duration_since(UNIX_EPOCH);
    u64::try_from(since.unwrap_or_default().as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervise::tests::Bench;

    #[tokio::test]
    async fn a_stop_before_what_was_left_is_taken_up_leaves_it_to_the_next() {
        let bench = Bench::new(1, 1).await;
        let state_dir = bench.supervisor.state_dir().to_owned();
        let (file, left) = (
            state_dir.join("otlp.json"),
            r#"{"invocations":[{"project":"/home/ada/api","id":7}]}"#,
        );
        std::fs::write(&file, left).unwrap();
        let settings = Settings {
            endpoint: "http://127.0.0.1:1".parse().unwrap(),
            headers: Vec::new(),
            interval: Duration::from_secs(60),
            timeout: Duration::from_secs(1),
            sample: 1000,
            content: false,
            makers: Default::default(),
        };
        let sources = Sources {
            ends: bench.supervisor.ends(),
            supervisor: bench.supervisor.clone(),
            state_dir,
        };
        let stop = CancellationToken::new();
        stop.cancel();
        let (secrets, tasks) = (Secrets::default(), TaskTracker::new());
        run(settings, Board::default(), sources, secrets, tasks, stop).await;
        assert_eq!(std::fs::read_to_string(&file).unwrap(), left);
    }

    #[test]
    fn as_many_are_traced_as_were_asked_for_and_always_the_same() {
        let ids: Vec<_> = (0..2000).map(|_| Uuid::new_v4()).collect();
        let of = |sample| ids.iter().filter(|id| is_sampled(**id, sample)).count();
        assert_eq!((of(0), of(1000)), (0, 2000));
        assert!((500..1500).contains(&of(500)), "{}", of(500));
    }
}
