//! The body of a stream's answer. It is pulled: the server asks for the next frames when the client
//! has room for them, and what makes them runs only then, so that a client that reads nothing costs
//! what its socket holds. Heartbeats and the end are put in here, whatever the maker waits for.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::Response;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http_body::{Body, Frame};
use tokio::time::{Instant, Sleep};

use super::frame::comment;
use super::ring::Frames;
use crate::Metrics;

/// Proxies and the page give up a stream that is silent for much longer.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Streams that rest have their heartbeats at the same moments, so that a thousand of them wake the
/// process a few times a minute and not a thousand times. One comes so much earlier at most.
const BEAT: Duration = Duration::from_secs(5);
/// Browsers come back after so long by themselves.
const RETRY: &str = "retry: 2000\n\n";
/// At a stop: whoever starts the gateway again is soon done.
const STOP: &str = "retry: 1000\n\n";

/// Where the maker puts what it made. It is for the maker's own task: who waits here for room is
/// polled with the body, and nobody else makes any.
#[derive(Debug)]
pub(super) struct Outlet(Slot);

/// Room for one, shared by maker and body. A channel would have room for 32, or two kilobytes.
#[derive(Debug, Clone, Default)]
struct Slot(Arc<Mutex<Option<Made>>>);

#[derive(Debug)]
struct Made {
    bytes: Bytes,
    events: u64,
    /// Epoch milliseconds of the newest line, where it has only just been written.
    fresh: Option<i64>,
}

/// A stream's body; dropping it ends the maker.
pub(super) struct EventBody {
    maker: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    made: Slot,
    stop: Pin<Box<dyn Future<Output = ()> + Send>>,
    heartbeat: Pin<Box<Sleep>>,
    written: Instant,
    metrics: Metrics,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Begin,
    Open,
    Over,
}

// === impl Outlet ===

impl Outlet {
    /// Hands on some frames, once those before are on their way.
    pub(super) async fn frames(&self, bytes: Bytes, events: u64) {
        self.put(bytes, events, None).await;
    }

    /// Hands on frames that were written just now.
    pub(super) async fn fresh(&self, frames: Frames) {
        let fresh = (frames.ts > 0).then_some(frames.ts);
        self.put(frames.bytes, frames.count, fresh).await;
    }

    /// Hands on what is no event of a log.
    pub(super) async fn note(&self, bytes: Bytes) {
        self.put(bytes, 0, None).await;
    }

    async fn put(&self, bytes: Bytes, events: u64, fresh: Option<i64>) {
        let mut made = Some(Made {
            bytes,
            events,
            fresh,
        });
        poll_fn(|_| self.0.poll_put(&mut made)).await;
    }
}

// === impl Slot ===

impl Slot {
    /// Pending, without a wake, where the last one was not taken yet.
    fn poll_put(&self, made: &mut Option<Made>) -> Poll<()> {
        let mut slot = self.lock();
        if slot.is_some() {
            return Poll::Pending;
        }
        *slot = made.take();
        Poll::Ready(())
    }

    fn take(&self) -> Option<Made> {
        self.lock().take()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Made>> {
        // Each change is one move, so a panic elsewhere leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl EventBody ===

impl EventBody {
    /// A body made by what `maker` puts into the outlet, until it is done or `stop` is.
    pub(super) fn new<F>(
        metrics: Metrics,
        stop: impl Future<Output = ()> + Send + 'static,
        maker: impl FnOnce(Outlet) -> F,
    ) -> EventBody
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let made = Slot::default();
        EventBody {
            maker: Some(Box::pin(maker(Outlet(made.clone())))),
            made,
            stop: Box::pin(stop),
            heartbeat: Box::pin(tokio::time::sleep_until(due(Instant::now()))),
            written: Instant::now(),
            metrics,
            state: State::Begin,
        }
    }

    /// A stream's answer.
    pub(super) fn into_answer(self) -> Response<axum::body::Body> {
        let mut answer = Response::new(axum::body::Body::new(self));
        let headers = answer.headers_mut();
        let fixed = HeaderValue::from_static;
        headers.insert(CONTENT_TYPE, fixed("text/event-stream"));
        headers.insert(CACHE_CONTROL, fixed("no-cache, no-transform"));
        headers.insert("x-accel-buffering", fixed("no"));
        answer
    }

    fn poll_made(&mut self, cx: &mut Context<'_>) -> Poll<Option<Made>> {
        if let Some(made) = self.made.take() {
            return Poll::Ready(Some(made));
        }
        let Some(maker) = &mut self.maker else {
            return Poll::Ready(None);
        };
        if maker.as_mut().poll(cx).is_ready() {
            // What it made last is followed by the end.
            self.maker = None;
            return Poll::Ready(self.made.take());
        }
        match self.made.take() {
            Some(made) => Poll::Ready(Some(made)),
            None => Poll::Pending,
        }
    }

    fn poll_heartbeat(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.heartbeat.as_mut().poll(cx).is_ready() {
            let due = due(self.written);
            if due <= Instant::now() {
                return Poll::Ready(());
            }
            self.heartbeat.as_mut().reset(due);
        }
        Poll::Pending
    }

    fn write(
        &mut self,
        made: Made,
    ) -> Poll<Option<Result<Frame<Bytes>, std::convert::Infallible>>> {
        self.written = Instant::now();
        self.metrics.sent(made.events, made.bytes.len() as u64);
        if let Some(age) = made.fresh.and_then(age) {
            self.metrics.live_latency(age);
        }
        Poll::Ready(Some(Ok(Frame::data(made.bytes))))
    }
}

impl Body for EventBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.get_mut();
        let note = |bytes| Made {
            bytes,
            events: 0,
            fresh: None,
        };
        match this.state {
            State::Begin => {
                this.state = State::Open;
                return this.write(note(comment(RETRY)));
            }
            State::Over => return Poll::Ready(None),
            State::Open => {}
        }
        if this.stop.as_mut().poll(cx).is_ready() {
            this.state = State::Over;
            this.maker = None;
            return this.write(note(comment(STOP)));
        }
        match this.poll_made(cx) {
            Poll::Ready(Some(made)) => return this.write(made),
            // The maker hears of the stop as well, and may have been the first to.
            Poll::Ready(None) if this.stop.as_mut().poll(cx).is_ready() => {
                this.state = State::Over;
                return this.write(note(comment(STOP)));
            }
            Poll::Ready(None) => {
                this.state = State::Over;
                return Poll::Ready(None);
            }
            Poll::Pending => {}
        }
        if this.poll_heartbeat(cx).is_ready() {
            this.heartbeat.as_mut().reset(due(Instant::now()));
            return this.write(note(comment(": heartbeat\n\n")));
        }
        Poll::Pending
    }
}

/// When a stream that was written to last at this moment has its heartbeat: on the last beat that is
/// not too late.
fn due(written: Instant) -> Instant {
    static FIRST: LazyLock<Instant> = LazyLock::new(Instant::now);
    let latest = written + HEARTBEAT;
    let since = latest.saturating_duration_since(*FIRST).as_millis();
    let over = since % BEAT.as_millis();
    latest - Duration::from_millis(u64::try_from(over).unwrap_or(0))
}

fn age(ts: i64) -> Option<Duration> {
    let age = now_ms().checked_sub(ts)?;
    u64::try_from(age).ok().map(Duration::from_millis)
}

/// Epoch milliseconds.
pub(super) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;

    #[tokio::test(start_paused = true)]
    async fn streams_that_rest_have_their_heartbeats_together_and_none_too_late() {
        let mut beats = Vec::new();
        for _ in 0..20 {
            let now = Instant::now();
            let due = due(now);
            assert!(due <= now + HEARTBEAT && due > now + HEARTBEAT - BEAT);
            beats.push(due);
            tokio::time::sleep(Duration::from_millis(777)).await;
        }
        // 15 s of writes, a beat each 5 s.
        beats.dedup_by(|a, b| a.duration_since(*b) < Duration::from_millis(2));
        assert!(beats.len() <= 5, "{}", beats.len());
    }

    #[tokio::test]
    async fn a_maker_that_hears_of_the_stop_first_does_not_end_the_stream_without_a_retry() {
        let mut asked = 0;
        let stop = std::future::poll_fn(move |_| {
            asked += 1;
            // Comes between the look at the stop and the maker's own.
            if asked > 1 {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        });
        let body = EventBody::new(Metrics::new(), stop, |_outlet| async {});
        let all = body.collect().await.unwrap().to_bytes();
        assert_eq!(all, format!("{RETRY}{STOP}"));
    }
}
