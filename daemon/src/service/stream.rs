//! Streams going out. Each is pulled: the next batch is made only when the client has room for it,
//! so that one who never reads costs a batch and a descriptor, and holds up nobody. A stream ends
//! with what its source says, or, when the daemon stops, with a status one can resume from.
//!
//! ```text
//! Idle ──pulled──> Busy ──batch──> Idle ──not pulled for STALL──> Given up ──pulled──> Over
//!                    ├──woken, and not pulled for STALL────────────────┘
//!                    └──end, error, stop──> Over
//! ```
//!
//! HTTP/2 gives no way to end one stream whose client takes nothing, not even an end; so what it
//! holds while idle is given back, and it is told when it comes back. A client that takes nothing of any of its
//! streams loses its connection (`peer`).

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use futures_util::Stream;
use futures_util::stream::unfold;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tokio_util::task::AbortOnDropHandle;
use tonic::{Code, Status};

use super::asked::{Asked, Noting};
use super::peer::{Peer, PeerStream};
use super::refusal::Refusal;
use super::subscribers::{Standing, Subscriber, Subscribers};

/// A client that takes nothing for so long is gone or stuck; what it has seen it can resume after.
const STALL: Duration = Duration::from_secs(60);

/// A stream as tonic takes it.
pub(super) type Outgoing<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// What a stream is made from.
pub(super) trait Source: Send + 'static {
    /// One message.
    type Batch: Send + 'static;

    /// The next message, when there is one; `None` at the end. Never asked again after an error.
    fn next(&mut self) -> impl Future<Output = Result<Option<Self::Batch>, Status>> + Send;

    /// About how many bytes a message has.
    fn size(batch: &Self::Batch) -> usize;

    /// How many lines of logs a message has.
    fn events(_batch: &Self::Batch) -> usize {
        0
    }

    /// Where it stands in the logs that it reads: their paths, and the offset of what comes next.
    fn places(&self) -> Vec<(PathBuf, u64)> {
        Vec::new()
    }
}

/// A source between two pulls.
struct Slot<S> {
    // Held for a look, a take or a put, never while waiting.
    idle: Mutex<Idle<S>>,
    asked: Arc<Asked>,
    peer: PeerStream,
}

struct Idle<S> {
    /// Absent while the next batch is made, and once given up.
    source: Option<Box<S>>,
    is_given_up: bool,
}

impl<S> Slot<S> {
    fn idle(&self) -> MutexGuard<'_, Idle<S>> {
        // Each change is one assignment, so a panic elsewhere leaves nothing half done.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Option<Box<S>> {
        self.idle().source.take()
    }

    fn put(&self, source: Box<S>) {
        let mut idle = self.idle();
        if !idle.is_given_up {
            idle.source = Some(source);
            self.asked.has_something();
        }
    }

    /// How often the client had asked, if now it is for the client to ask.
    fn is_due(&self) -> Option<u64> {
        let is_idle = self.idle().source.is_some();
        self.asked
            .is_due()
            .or_else(|| is_idle.then(|| self.asked.times()))
    }

    /// Waits until the client has stalled, and drops the source, or leaves it to whoever makes a
    /// batch with it.
    async fn give_up_when_stalled(&self) {
        loop {
            let Some(asked) = self.is_due() else {
                self.asked.changed().await;
                continue;
            };
            tokio::time::sleep(STALL).await;
            if self.is_due() == Some(asked) {
                tracing::info!("a client that reads nothing is given up");
                let mut idle = self.idle();
                idle.source = None;
                idle.is_given_up = true;
                drop(idle);
                self.peer.given_up();
                return;
            }
        }
    }
}

impl<S: Source> Standing for Slot<S> {
    fn places(&self) -> Vec<(PathBuf, u64)> {
        let idle = self.idle();
        let source = idle.source.as_deref();
        source.map(S::places).unwrap_or_default()
    }
}

/// One open stream: its source, and what ends with it.
struct Open<S> {
    slot: Arc<Slot<S>>,
    stop: CancellationToken,
    // Of the same, made once: each batch is waited for beside it.
    stopped: Pin<Box<WaitForCancellationFutureOwned>>,
    subscriber: Subscriber,
    _watchdog: AbortOnDropHandle<()>,
}

/// Makes a stream of a source to `peer`, until it ends or `stop` is cancelled.
pub(super) fn outgoing<S: Source>(
    source: S,
    peer: &Peer,
    subscribers: &Subscribers,
    stop: CancellationToken,
) -> Outgoing<S::Batch> {
    let idle = Mutex::new(Idle {
        source: Some(Box::new(source)),
        is_given_up: false,
    });
    let (asked, peer) = (Arc::<Asked>::default(), peer.opened());
    let slot = Arc::new(Slot {
        idle,
        asked: Arc::clone(&asked),
        peer,
    });
    let watched = Arc::clone(&slot);
    let watchdog = tokio::spawn(async move { watched.give_up_when_stalled().await });
    // It does not keep what it looks at.
    let standing = Arc::downgrade(&slot);
    let open = Open {
        slot,
        stopped: Box::pin(stop.clone().cancelled_owned()),
        stop,
        subscriber: subscribers.enter(standing),
        _watchdog: AbortOnDropHandle::new(watchdog),
    };
    let stream = unfold(Some(open), |open| async {
        let mut open = open?;
        match next(&mut open).await {
            Ok(Some(batch)) => Some((Ok(batch), Some(open))),
            Ok(None) => None,
            Err(status) => Some((Err(status), None)),
        }
    });
    Box::pin(Noting::new(stream, asked))
}

async fn next<S: Source>(open: &mut Open<S>) -> Result<Option<S::Batch>, Status> {
    if open.stop.is_cancelled() {
        return Err(stopping());
    }
    let mut source = open.slot.take().ok_or_else(stalled)?;
    let next = tokio::select! {
        biased;
        () = open.stopped.as_mut() => Err(stopping()),
        // Dropped half-way only when nobody will ask this source again.
        next = noting_rest(source.next(), &open.subscriber) => next,
    };
    if let Ok(Some(batch)) = &next {
        open.subscriber.gave(S::size(batch), S::events(batch));
        open.slot.put(source);
    }
    next
}

/// Tells when it has to be waited for.
async fn noting_rest<F: Future>(next: F, subscriber: &Subscriber) -> F::Output {
    let mut next = std::pin::pin!(next);
    if let Poll::Ready(next) = futures_util::poll!(next.as_mut()) {
        return next;
    }
    subscriber.rests();
    next.await
}

fn stalled() -> Status {
    let message = "nothing was read for a minute; resume with your cursor";
    Refusal::new(Code::Unavailable, "STALLED", message)
        .todo("read as it comes, and follow on from the cursor of the last event")
        .into()
}

/// What open streams and late requests are told at the end.
pub(super) fn stopping() -> Status {
    Refusal::new(
        Code::Unavailable,
        "STOPPING",
        "daemon is stopping; resume with your cursor",
    )
    .todo("connect again and follow on from the cursor of the last event")
    .into()
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt as _, StreamExt as _};

    use super::super::subscribers::EBB;
    use super::*;

    /// Counts up to a number and then ends, fails, or waits for ever.
    struct Numbers {
        next: u32,
        last: u32,
        end: Result<Option<u32>, Code>,
    }

    impl Source for Numbers {
        type Batch = u32;

        fn size(_batch: &u32) -> usize {
            EBB / 2
        }

        async fn next(&mut self) -> Result<Option<u32>, Status> {
            if self.next < self.last {
                self.next += 1;
                return Ok(Some(self.next));
            }
            match self.end {
                Ok(Some(_)) => std::future::pending().await,
                Ok(None) => Ok(None),
                Err(code) => Err(Status::new(code, "")),
            }
        }
    }

    /// What somebody sends.
    struct Sent(tokio::sync::mpsc::Receiver<u32>);

    impl Source for Sent {
        type Batch = u32;

        fn size(_batch: &u32) -> usize {
            0
        }

        async fn next(&mut self) -> Result<Option<u32>, Status> {
            Ok(self.0.recv().await)
        }
    }

    fn stream(end: Result<Option<u32>, Code>) -> (Outgoing<u32>, Subscribers, CancellationToken) {
        let (subscribers, stop) = (Subscribers::default(), CancellationToken::new());
        let source = Numbers {
            next: 0,
            last: 2,
            end,
        };
        (
            outgoing(source, &Peer::default(), &subscribers, stop.clone()),
            subscribers,
            stop,
        )
    }

    #[tokio::test]
    async fn a_stream_ends_with_its_source() {
        let (stream, subscribers, _stop) = stream(Ok(None));
        assert_eq!(subscribers.count(), 1);
        let all: Vec<_> = stream.map(Result::unwrap).collect().await;
        assert_eq!((all, subscribers.count()), (vec![1, 2], 0));
    }

    #[tokio::test]
    async fn a_stream_that_gave_much_tells_when_it_rests_and_when_it_ends() {
        let (mut stream, subscribers, _stop) = stream(Ok(Some(0)));
        assert!(stream.next().await.unwrap().is_ok() && stream.next().await.unwrap().is_ok());
        assert!(subscribers.ebb().now_or_never().is_none());
        assert!(stream.next().now_or_never().is_none());
        subscribers.ebb().await;
        drop(stream);
        subscribers.ebb().await;
    }

    #[tokio::test]
    async fn after_an_error_nothing_comes() {
        let (mut stream, _, _stop) = stream(Err(Code::OutOfRange));
        assert!(stream.next().await.unwrap().is_ok() && stream.next().await.unwrap().is_ok());
        assert_eq!(
            stream.next().await.unwrap().unwrap_err().code(),
            Code::OutOfRange
        );
        assert!(stream.next().await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_is_given_up_and_told_when_it_comes_back() {
        let (mut stream, _, _stop) = stream(Ok(None));
        assert!(stream.next().await.unwrap().is_ok());
        tokio::time::sleep(STALL * 2).await;
        let status = stream.next().await.unwrap().unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
        assert!(status.message().contains("resume with your cursor"));
        assert!(stream.next().await.is_none());
    }

    /// One that stops asking while a batch is made: nothing but a waker tells that there is one.
    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_of_what_it_asked_for_is_given_up_too() {
        let (subscribers, stop) = (Subscribers::default(), CancellationToken::new());
        let peer = Peer::default();
        let (send, batches) = tokio::sync::mpsc::channel(1);
        let mut stream = outgoing(Sent(batches), &peer, &subscribers, stop);
        assert!(stream.next().now_or_never().is_none());
        tokio::time::sleep(STALL * 3).await;
        assert!(peer.cut_off().now_or_never().is_none(), "it only waits");
        send.send(1).await.unwrap();
        tokio::time::sleep(STALL - Duration::from_secs(1)).await;
        assert!(peer.cut_off().now_or_never().is_none());
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(peer.cut_off().now_or_never().is_some());
        // What was made is given, and nothing more.
        assert_eq!(stream.next().await.unwrap().unwrap(), 1);
        let status = stream.next().await.unwrap().unwrap_err();
        assert!(status.message().contains("resume with your cursor"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_waits_for_more_is_not_given_up() {
        let (mut stream, _, stop) = stream(Ok(Some(0)));
        for _ in 0..2 {
            tokio::time::sleep(STALL - Duration::from_secs(1)).await;
            assert!(stream.next().await.unwrap().is_ok());
        }
        let waiting = tokio::time::timeout(STALL * 10, stream.next()).await;
        assert!(waiting.is_err());
        stop.cancel();
        let status = stream.next().await.unwrap().unwrap_err();
        assert_eq!(
            status.message(),
            "daemon is stopping; resume with your cursor"
        );
    }

    #[tokio::test]
    async fn a_waiting_stream_is_told_to_resume_when_the_daemon_stops() {
        let (mut stream, _, stop) = stream(Ok(Some(0)));
        assert!(stream.next().await.unwrap().is_ok() && stream.next().await.unwrap().is_ok());
        assert!(futures_util::poll!(stream.next()).is_pending());
        stop.cancel();
        let status = stream.next().await.unwrap().unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
        assert_eq!(
            status.message(),
            "daemon is stopping; resume with your cursor"
        );
        assert!(stream.next().await.is_none());
    }
}
