//! One request, from its head to an answer with everything that stands on all of them: the guard,
//! the token, the handler, the headers.

mod task;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, Bytes, HttpBody as _};
use axum::response::IntoResponse as _;
use http::header::{ACCEPT, ALLOW, CONNECTION, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body::Frame;
use hyper::body::Incoming;
use tokio_util::sync::WaitForCancellationFutureOwned;
use tower::Service as _;

use crate::access::{Access, Grant};
use crate::answer::bad_request;
use crate::guard::{self, Allowed, Refused, Settings};
use crate::headers;
use crate::metrics::Metrics;

const NO_TOKEN: Refused = Refused {
    reason: "token",
    status: StatusCode::UNAUTHORIZED,
    error: "a bearer token is needed; `steroidsctl web` opens the page with one",
    allow: None,
};

/// For a person who mistyped the address of a page.
const NO_PAGE: &str = "<!doctype html><html lang=\"en\"><title>Not found · steroids</title>\
    <h1>There is nothing here</h1><p><a href=\"/\">What runs</a></p></html>";

/// What every request passes. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Front {
    pub(crate) settings: Arc<Settings>,
    pub(crate) access: Access,
    pub(crate) metrics: Metrics,
    pub(crate) router: Router,
}

impl Front {
    /// Answers a request.
    pub(crate) async fn answer(mut self, request: Request<Incoming>) -> Response<Body> {
        let (mut head, body) = request.into_parts();
        let is_page = is_page(&head);
        let answered = match self.admit(&head) {
            Ok(grant) => {
                // Of the same kind as what was let in: only the task is another.
                head.uri = task::in_place(&head.uri).unwrap_or(head.uri);
                let request = Request::from_parts(head, Body::new(body));
                match grant {
                    Some(grant) => self.granted(request, grant).await,
                    None => Ok(self.handle(request).await),
                }
            }
            Err(no) => Err(no),
        };
        let mut answer = answered.unwrap_or_else(|no| {
            self.metrics.refused(no.reason);
            refusal(no, is_page)
        });
        headers::put(answer.headers_mut());
        answer
    }

    /// The grant of a request that needs one.
    fn admit(&self, head: &Parts) -> Result<Option<Grant>, Refused> {
        match guard::check(head, &self.settings)? {
            Allowed::Open => Ok(None),
            Allowed::WithToken => {
                let grant = self.access.admit(&head.headers);
                grant.map(Some).ok_or(NO_TOKEN)
            }
        }
    }

    /// Who only reads is turned away once the token is no longer good, however long there is to wait
    /// for an answer; what somebody began to do is done, the replacing of the token with it.
    async fn granted(
        &mut self,
        request: Request<Body>,
        grant: Grant,
    ) -> Result<Response<Body>, Refused> {
        let is_reading = request.method().is_safe();
        tokio::select! {
            biased;
            () = grant.clone().ended(), if is_reading => Err(NO_TOKEN),
            answer = self.handle(request) => Ok(answer.map(|body| until(grant, body))),
        }
    }

    async fn handle(&mut self, request: Request<Body>) -> Response<Body> {
        // A router is always ready.
        let Ok(answer) = self.router.call(request).await;
        if answer.status() == StatusCode::BAD_REQUEST && !is_json(&answer) {
            // Of the router's own: a parameter that stands twice, a path that is no text.
            return bad_request("the URL makes no sense").into_response();
        }
        answer
    }
}

/// An answer that goes on for longer than the token it was given for is cut off.
fn until(grant: Grant, body: Body) -> Body {
    if body.size_hint().exact().is_some() {
        return body;
    }
    Body::new(Granted {
        ended: Box::pin(grant.ended()),
        body,
    })
}

struct Granted {
    ended: Pin<Box<WaitForCancellationFutureOwned>>,
    body: Body,
}

impl http_body::Body for Granted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.ended.as_mut().poll(context).is_ready() {
            return Poll::Ready(None);
        }
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}

fn is_json(answer: &Response<Body>) -> bool {
    let kind = answer.headers().get(CONTENT_TYPE);
    kind.is_some_and(|kind| kind == "application/json")
}

/// Whether a browser is to show it, rather than a program to read it.
fn is_page(head: &Parts) -> bool {
    let accepts = head.headers.get(ACCEPT).and_then(|it| it.to_str().ok());
    let path = head.uri.path();
    head.method == Method::GET
        && accepts.is_some_and(|kinds| kinds.contains("text/html"))
        && !["/api/", "/assets/"]
            .iter()
            .any(|begin| path.starts_with(begin))
}

/// A short no, after which the connection is closed.
fn refusal(no: Refused, is_page: bool) -> Response<Body> {
    let (body, kind) = match is_page && no.reason == "path" {
        true => (NO_PAGE.to_owned(), "text/html; charset=utf-8"),
        false => (
            format!(r#"{{"success":false,"error":"{}"}}"#, no.error),
            "application/json",
        ),
    };
    let mut answer = Response::new(Body::from(body));
    *answer.status_mut() = no.status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Some(methods) = no.allow {
        headers.insert(ALLOW, HeaderValue::from_static(methods));
    }
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    if no.status == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    answer
}
