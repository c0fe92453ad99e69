//! From the socket to requests: accepts connections up to a cap, reads HTTP/1.1 within limits, and
//! lets go of whoever is slow. What it hands up is a head within bounds; what it does with an
//! answer is to write it.
//!
//! Streams are written without hyper once they have begun: [`apart`].
//!
//! hyper answers a head it cannot read by itself, before anything of ours is asked: 400, 414, or
//! 431. [`socket`] words those answers as all others are.

mod apart;
mod cap;
mod socket;

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument as _, debug, warn};

use crate::guard::MOST_HEADERS;
use crate::metrics::Metrics;
use apart::{Aside, Sent};
pub(crate) use cap::allow_descriptors;
use socket::{Answering, Guarded, Phase};

/// A request's line and headers together.
const LARGEST_HEAD: usize = 16 * 1024;
/// Connections that have had no answer yet, at a time: while one is read and answered it takes several
/// times the room it needs as a viewer, and of a thousand that come back at once the heap would keep
/// what they all had together.
const OPENING: usize = 64;
/// So long those are waited for before the next is taken: whoever hangs holds others up no more than this.
const TURN: Duration = Duration::from_millis(1);
/// Between two tries where the system has nothing left to accept with; no event tells when it has.
const BREATH: Duration = Duration::from_millis(100);

/// Accepts until told to stop, then leaves; connections go on in `tasks`.
pub(crate) struct Listener {
    /// Where it listens.
    pub(crate) socket: TcpListener,
    /// Connections at a time.
    pub(crate) most: usize,
    /// Every connection's task.
    pub(crate) tasks: TaskTracker,
    /// Told to stop.
    pub(crate) stop: CancellationToken,
    /// Counts connections, and those turned away.
    pub(crate) metrics: Metrics,
}

impl Listener {
    /// Answers every request with `answer`, which never fails.
    pub(crate) async fn run<A, F, B>(self, answer: A)
    where
        A: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<B>> + Send + 'static,
        B: http_body::Body<Data = bytes::Bytes, Error: Into<axum::BoxError>> + Send + 'static,
    {
        let seats = Arc::new(Semaphore::new(self.most));
        let doorsteps = Arc::new(Semaphore::new(cap::MOST_TURNED_AWAY));
        let turns = Arc::new(Semaphore::new(OPENING));
        loop {
            let accepted = tokio::select! {
                () = self.stop.cancelled() => return,
                accepted = self.socket.accept() => accepted,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    if !self.breathe(&error).await {
                        return;
                    }
                    continue;
                }
            };
            let Ok(seat) = Arc::clone(&seats).try_acquire_owned() else {
                self.metrics.refused("connections");
                // Beyond these nobody gets an answer: saying no must not cost more than serving.
                if let Ok(step) = Arc::clone(&doorsteps).try_acquire_owned() {
                    self.tasks.spawn(cap::turn_away(stream, step));
                }
                continue;
            };
            let counted = self.metrics.connection_opened();
            let stop = self.stop.clone();
            let metrics = self.metrics.clone();
            // A frame of a stream is to arrive when it is written, not when the next one is.
            let _ = stream.set_nodelay(true);
            let turn = tokio::time::timeout(TURN, Arc::clone(&turns).acquire_owned()).await;
            let turn = turn.ok().and_then(Result::ok);
            let serving = serve(stream, answer.clone(), turn, stop, metrics);
            let span = tracing::debug_span!("connection");
            self.tasks.spawn(
                async move {
                    serving.await;
                    drop((seat, counted));
                }
                .instrument(span),
            );
        }
    }

    /// Waits a little where accepting again at once would fail again at once; false if told to stop.
    async fn breathe(&self, error: &io::Error) -> bool {
        if matches!(
            error.kind(),
            io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
        ) {
            return true;
        }
        self.metrics.refused("accept");
        warn!(%error, "cannot accept connections");
        tokio::select! {
            () = self.stop.cancelled() => false,
            () = tokio::time::sleep(BREATH) => true,
        }
    }
}

/// One connection, to its end.
async fn serve<S, A, F, B>(
    stream: S,
    answer: A,
    turn: Option<OwnedSemaphorePermit>,
    stop: CancellationToken,
    metrics: Metrics,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    A: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: http_body::Body<Data = bytes::Bytes, Error: Into<axum::BoxError>> + Send + 'static,
{
    // In a box, so that a stream, which comes last, is not kept in a room of this size.
    let exchanged = Box::pin(exchange(stream, answer, turn, stop, metrics)).await;
    let ended = match exchanged {
        Ok(Some((socket, body))) => apart::send(socket, body).await,
        Ok(None) => Ok(()),
        Err(error) => Err(error.into()),
    };
    if let Err(error) = ended {
        debug!(%error, "connection broke");
    }
}

/// Requests and their answers, to the end of the connection, or to a stream whose body is to follow.
/// Its turn is over with the first answer.
async fn exchange<S, A, F, B>(
    stream: S,
    answer: A,
    turn: Option<OwnedSemaphorePermit>,
    stop: CancellationToken,
    metrics: Metrics,
) -> hyper::Result<Option<(Guarded<S>, Answering<B>)>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    A: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: http_body::Body<Data = bytes::Bytes, Error: Into<axum::BoxError>> + Send + 'static,
{
    let phase = Arc::new(Phase::default());
    let aside = Aside::new();
    let turn = Mutex::new(turn);
    let io = TokioIo::new(Guarded::new(stream, Arc::clone(&phase), metrics));
    let service = service_fn(|request| {
        let asked = socket::Asked::new(&phase);
        let may_be_stream = apart::may_be(&request);
        // hyper keeps room for this future while the connection lasts.
        let answering = Box::pin(answer(request));
        let (aside, phase, turn) = (&aside, &phase, &turn);
        async move {
            let answer = answering.await.map(|body| asked.with(body));
            drop(turn.lock().unwrap_or_else(PoisonError::into_inner).take());
            Ok::<_, Infallible>(match may_be_stream {
                true => aside.put(answer, phase),
                false => answer.map(Sent::Whole),
            })
        }
    });
    let mut connection = http1::Builder::new()
        .max_headers(MOST_HEADERS)
        .max_buf_size(LARGEST_HEAD)
        // The socket counts by itself, as hyper's clock also runs between two requests.
        .header_read_timeout(None)
        .half_close(false)
        .serve_connection(io, service);
    let mut is_told = false;
    let mut stopped = pin!(stop.cancelled());
    let ended = poll_fn(|context| {
        if !is_told && stopped.as_mut().poll(context).is_ready() {
            is_told = true;
            phase.stop();
            Pin::new(&mut connection).graceful_shutdown();
        }
        match Pin::new(&mut connection).poll(context) {
            Poll::Pending if phase.has_left() => Poll::Ready(Ok(())),
            ended => ended,
        }
    });
    ended.await?;
    let socket = connection.into_parts().io.into_inner();
    Ok(aside
        .take()
        .filter(|_| phase.has_left())
        .map(|body| (socket, body)))
}

#[cfg(test)]
mod tests;
