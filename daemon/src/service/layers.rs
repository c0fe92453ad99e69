//! What every request passes on its way in: a span with its name, and a deadline. Limits of size and
//! number are set where the server is built; the client's own deadline (`grpc-timeout`) is kept by
//! tonic, whichever comes first.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tonic::codegen::http::{Request, Response};
use tonic::{Code, Status};
use tower::{Layer, Service};
use tracing::Span;

use super::refusal::Refusal;

/// Nothing a client waits for takes longer when all is well; a stream has begun by then.
const UNARY: Duration = Duration::from_secs(30);
/// Walks over every log, copies a database first, or takes as long as a hook may; what has begun goes on without the client.
const MAINTENANCE: Duration = Duration::from_secs(600);
/// The caller's grace, bounded where it is read, and ten seconds for the killing and the log.
const ENDING: Duration = Duration::from_secs(3600 + 10);

/// How long a request may take. Streams are bound only until they begin.
fn deadline(path: &str) -> Duration {
    match path {
        "/steroids.v1.Invocations/Stop" | "/steroids.v1.Daemon/Shutdown" => ENDING,
        "/steroids.v1.Daemon/Wakeup"
        | "/steroids.v1.Daemon/TestHook"
        | "/steroids.v1.Projects/Register"
        | "/steroids.v1.Projects/Migrate"
        | "/steroids.v1.Projects/Forget"
        | "/steroids.v1.Projects/CleanupLogs"
        | "/steroids.v1.Projects/CleanupSpools"
        | "/steroids.v1.Invocations/Reproject" => MAINTENANCE,
        _ => UNARY,
    }
}

/// The span of one request.
pub(super) fn span(request: &Request<()>) -> Span {
    tracing::info_span!("request", rpc = request.uri().path())
}

/// Puts a deadline on each request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadlines;

impl<S> Layer<S> for Deadlines {
    type Service = Bounded<S>;

    fn layer(&self, inner: S) -> Bounded<S> {
        Bounded { inner }
    }
}

/// A service with a deadline.
#[derive(Debug, Clone)]
pub(super) struct Bounded<S> {
    inner: S,
}

type Answer<B, E> = Pin<Box<dyn Future<Output = Result<Response<B>, E>> + Send>>;

impl<S, A, B> Service<Request<A>> for Bounded<S>
where
    S: Service<Request<A>, Response = Response<B>>,
    S::Future: Send + 'static,
    B: Default,
{
    type Response = Response<B>;
    type Error = S::Error;
    type Future = Answer<B, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let deadline = deadline(request.uri().path());
        let answer = self.inner.call(request);
        Box::pin(async move {
            match tokio::time::timeout(deadline, answer).await {
                Ok(answer) => answer.map(worded),
                Err(_) => Ok(late(deadline).into_http()),
            }
        })
    }
}

/// Says in our words what the decoder says in its own: a message over the bound is no matter of
/// ranges, and OUT_OF_RANGE is what a cursor gets that cannot be honoured.
fn worded<B: Default>(answer: Response<B>) -> Response<B> {
    let is_too_large = answer.headers().get("grpc-message").is_some_and(|message| {
        message
            .as_bytes()
            .starts_with(b"Error,%20decoded%20message%20length%20too%20large")
    });
    if is_too_large {
        too_large().into_http()
    } else {
        answer
    }
}

fn too_large() -> Status {
    Refusal::new(
        Code::ResourceExhausted,
        "MESSAGE_TOO_LARGE",
        "the message is over 4 MiB",
    )
    .todo("a prompt may have 3 MiB; put the rest into a file and name that in the prompt")
    .into()
}

fn late(deadline: Duration) -> Status {
    Status::deadline_exceeded(format!(
        "no answer within {} s; what was begun goes on",
        deadline.as_secs()
    ))
}

#[cfg(test)]
mod tests {
    use tower::ServiceExt as _;

    use super::*;

    async fn call(path: &str, takes: Duration) -> Response<()> {
        let slow = tower::service_fn(move |_: Request<()>| async move {
            tokio::time::sleep(takes).await;
            Ok::<_, std::convert::Infallible>(Response::new(()))
        });
        let request = Request::builder().uri(path).body(()).unwrap();
        Deadlines.layer(slow).oneshot(request).await.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_does_not_come_is_a_deadline_exceeded() {
        let answer = call("/steroids.v1.Invocations/Get", Duration::from_secs(31)).await;
        assert_eq!(answer.headers()["grpc-status"], "4");
    }

    /// Register may have a database to copy and migrate.
    #[tokio::test(start_paused = true)]
    async fn what_walks_over_all_there_is_has_the_time_for_it() {
        for name in [
            "Daemon/Wakeup",
            "Projects/Register",
            "Projects/Migrate",
            "Projects/Forget",
            "Projects/CleanupLogs",
            "Projects/CleanupSpools",
            "Invocations/Reproject",
        ] {
            let path = format!("/steroids.v1.{name}");
            let answer = call(&path, Duration::from_secs(599)).await;
            assert!(answer.headers().get("grpc-status").is_none(), "{name}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_in_time_is_passed_on() {
        let answer = call("/steroids.v1.Invocations/Get", Duration::from_secs(29)).await;
        assert!(!answer.headers().contains_key("grpc-status"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_may_take_its_grace() {
        let answer = call("/steroids.v1.Invocations/Stop", Duration::from_secs(300)).await;
        assert!(!answer.headers().contains_key("grpc-status"));
    }
}
