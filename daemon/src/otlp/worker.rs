//! The task that sends: a trace after each end, the sums every so often, and what is left at the
//! daemon's end within a second.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::CONTENT_TYPE;
use hyper::{Method, Request, StatusCode};
use prost::Message as _;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};
use uuid::Uuid;

use super::spans::{About, Spans};
use super::sums::Sums;
use super::wire::{ResourceSpans, SCHEMA, ScopeSpans, Span, TracesRequest, resource, scope};
use super::{Board, Settings};
use crate::activity_log::{LogError, Step};
use crate::domain::{Invocation, Known, Offset, Secrets};
use crate::hooks::Poster;
use crate::supervise::{EndedRun, Ends};

/// Of a log read at once.
const BATCH: usize = 256 << 10;

/// Spans of one request: some 200 KiB, or 4 MiB with texts.
const PART: usize = 512;

/// Attempts for one request; with their pauses a collector that is away holds up the queue for so
/// long as it takes to be started anew.
const ATTEMPTS: u32 = 4;
const PAUSE: Duration = Duration::from_secs(1);

/// What is left at the daemon's end: jobs have 1.5 s together.
const LAST_WITHIN: Duration = Duration::from_secs(1);

/// A log of a disk that is well is read within a second or two.
const READ_WITHIN: Duration = Duration::from_secs(30);

struct Worker {
    settings: Settings,
    poster: Poster,
    board: Board,
    sums: Sums,
    started: u64,
    stop: CancellationToken,
    /// What the log must not show.
    secrets: Secrets,
    _known: Known,
}

/// Why nothing was taken.
enum Refused {
    /// It may be later.
    ForNow(String),
    /// It never will be.
    Ever(String),
}

/// Sends what ends, until told to stop.
pub async fn run(
    settings: Settings,
    board: Board,
    mut ends: Ends,
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
    let interval = settings.interval;
    let mut worker = Worker {
        _known: secrets.know_values(&named),
        secrets,
        settings,
        poster,
        board,
        sums: Sums::default(),
        started: now(),
        stop: stop.clone(),
    };
    let mut ticks = interval_at(Instant::now() + interval, interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            end = ends.recv() => match end {
                Ok(end) => tokio::select! {
                    biased;
                    () = stop.cancelled() => worker.dropped(1),
                    () = worker.tell(&end) => {}
                },
                Err(RecvError::Lagged(missed)) => worker.dropped(missed),
                Err(RecvError::Closed) => break,
            },
            _ = ticks.tick() => tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = worker.tell_sums() => {}
            },
        }
    }
    worker.last(ends).await;
}

impl Worker {
    /// Sends what waits, for as long as there is time; the rest is counted.
    async fn last(mut self, mut ends: Ends) {
        // Of the last ends, whose trace may not be sent any more, the sums are known.
        let mut left = Vec::new();
        loop {
            match ends.try_recv() {
                Ok(end) => left.push(end),
                Err(TryRecvError::Lagged(missed)) => self.dropped(missed),
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        let mut told = 0;
        let telling = async {
            for end in &left {
                self.tell(end).await;
                told += 1;
            }
            self.tell_sums().await;
        };
        if timeout(LAST_WITHIN, telling).await.is_err() {
            warn!(
                left = left.len() - told,
                "not all was told to the collector"
            );
        }
    }

    async fn tell(&mut self, end: &EndedRun) {
        let row = &end.row;
        let maker = self.settings.makers.get(&row.provider).copied();
        self.sums.add(maker.unwrap_or(&row.provider), row);
        let uuid = row.managed.as_ref();
        let Some(uuid) = uuid.and_then(|it| Uuid::try_parse(&it.uuid).ok()) else {
            return;
        };
        if !is_sampled(uuid, self.settings.sample) {
            return;
        }
        let about = About {
            project: end.project.root.to_string_lossy().into_owned(),
            maker: maker.unwrap_or(&row.provider).to_owned(),
            has_turns: maker.is_some(),
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
        let Ok(Ok((spans, beyond))) = timeout(READ_WITHIN, reading).await else {
            warn!(invocation.id = %id, "its log cannot be read in time for a trace");
            return self.dropped(1);
        };
        self.dropped(beyond);
        // The root comes first, so that what arrives has a parent.
        for part in spans.rchunks(PART) {
            let count = part.len() as u64;
            let request = traces(part.to_vec()).encode_to_vec();
            match self.send("/v1/traces", request).await {
                true => self.board.lock().sent += count,
                false => self.dropped(count),
            }
        }
    }

    async fn tell_sums(&mut self) {
        if !self.sums.is_new() {
            return;
        }
        let request = self.sums.request(self.started, now());
        // What is not taken now is in the next: they are sums since the start.
        if self.send("/v1/metrics", request.encode_to_vec()).await {
            self.sums.told();
        }
    }

    /// Sends it, in several attempts if need be. After a failure one attempt is enough, until one goes
    /// well: what waits behind is not to be lost by waiting.
    async fn send(&self, path: &str, body: Vec<u8>) -> bool {
        let body = Bytes::from(body);
        let attempts = match self.board.lock().failures {
            0 => ATTEMPTS,
            _ => 1,
        };
        let mut pause = PAUSE;
        for attempt in 1..=attempts {
            let posting = self.post(path, body.clone());
            let posted = timeout(self.settings.timeout, posting).await;
            let late = || Err(Refused::ForNow("did not answer in time".to_owned()));
            match posted.unwrap_or_else(|_| late()) {
                Ok(()) => {
                    let mut standing = self.board.lock();
                    standing.failures = 0;
                    standing.last_error = None;
                    return true;
                }
                Err(Refused::Ever(why)) => {
                    self.failed(&why);
                    return false;
                }
                Err(Refused::ForNow(why)) if attempt == attempts => self.failed(&why),
                Err(Refused::ForNow(why)) => {
                    debug!(why, "the collector is asked again");
                    tokio::select! {
                        () = self.stop.cancelled() => {
                            self.failed(&why);
                            return false;
                        }
                        () = sleep(pause) => pause *= 2,
                    }
                }
            }
        }
        false
    }

    async fn post(&self, path: &str, body: Bytes) -> Result<(), Refused> {
        let uri = &self.settings.endpoint;
        let base = uri.path().trim_end_matches('/');
        let target = format!("{}{base}{path}", self.settings.target());
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(target)
            .header(CONTENT_TYPE, "application/x-protobuf")
            .body(Full::new(body))
            .map_err(|error| Refused::Ever(format!("cannot be asked: {error}")))?;
        for (name, value) in &self.settings.headers {
            request.headers_mut().insert(name.clone(), value.clone());
        }
        let response = self.poster.send(request).await.map_err(Refused::ForNow)?;
        let status = response.status();
        let may_pass = matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS
                | StatusCode::BAD_GATEWAY
                | StatusCode::SERVICE_UNAVAILABLE
                | StatusCode::GATEWAY_TIMEOUT
        );
        match status.is_success() {
            true => Ok(()),
            false if may_pass => Err(Refused::ForNow(format!("answered {status}"))),
            false => Err(Refused::Ever(format!("answered {status}"))),
        }
    }

    fn failed(&self, why: &str) {
        let why = self.secrets.hide(why).into_owned();
        let mut standing = self.board.lock();
        standing.failures = standing.failures.saturating_add(1);
        if standing.failures == 1 {
            warn!(
                endpoint = standing.endpoint,
                why, "the collector takes nothing"
            );
        }
        standing.last_error = Some(why);
    }

    fn dropped(&self, count: u64) {
        self.board.lock().dropped += count;
    }
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

    #[test]
    fn as_many_are_traced_as_were_asked_for_and_always_the_same() {
        let ids: Vec<_> = (0..2000).map(|_| Uuid::new_v4()).collect();
        let of = |sample| ids.iter().filter(|id| is_sampled(**id, sample)).count();
        assert_eq!((of(0), of(1000)), (0, 2000));
        assert!((500..1500).contains(&of(500)), "{}", of(500));
    }
}
