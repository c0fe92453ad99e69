//! A hook as an HTTP POST, by Standard Webhooks: `webhook-id`, `webhook-timestamp`, and with a secret
//! `webhook-signature`. Each attempt has a connection of its own; redirects are not followed, no proxy
//! is used, and of an answer no more is read than a person would.

use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, RETRY_AFTER, USER_AGENT};
use hyper::rt::Executor;
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::attempt::{Attempt, Failed, chain, line};
use super::payload::Delivery;
use super::settings::Endpoint;

/// A host that does not take a connection by then is tried again later.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// An answer's headers; more is no webhook's.
const HEAD_MAX: usize = 16 << 10;
/// Of the answer to a refused delivery: what it may say why, and how long that is waited for.
const ANSWER_MAX: usize = 2048;
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// Why nothing can be posted where [`is_kept_from_network`], and what to do.
pub const NO_NETWORK: &str = "this daemon may open no socket to a network, by RestrictAddressFamilies= of its unit as a rule: \
    a drop-in grants it, network.conf in docs/systemd.md";

const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// Posts, for hooks and for who else tells somebody of something.
pub struct Poster {
    plain: Client<HttpConnector, Full<Bytes>>,
    /// Why nothing can be posted over TLS, otherwise.
    tls: Result<Client<HttpsConnector<HttpConnector>, Full<Bytes>>, String>,
}

/// Runs a connection until its request is answered or dropped, or the daemon ends.
#[derive(Clone)]
struct Owned {
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl<F> Executor<F> for Owned
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, connection: F) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = connection => {}
            }
        });
    }
}

impl Poster {
    /// Reads the system's certificates if some are needed; blocks.
    pub fn new(needs_tls: bool, tasks: TaskTracker, stop: CancellationToken) -> Poster {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_WITHIN));
        connector.set_nodelay(true);
        connector.enforce_http(false);
        let mut builder = Client::builder(Owned { tasks, stop });
        builder.pool_max_idle_per_host(0);
        builder.http1_max_buf_size(HEAD_MAX);
        let tls = if needs_tls {
            HttpsConnectorBuilder::new()
                .with_native_roots()
                .map(|roots| {
                    let https = roots.https_only().enable_http1();
                    builder.build(https.wrap_connector(connector.clone()))
                })
                .map_err(|error| format!("no certificates to check https with: {error}"))
        } else {
            Err("no hook has an https URL".to_owned())
        };
        Poster {
            plain: builder.build(connector),
            tls,
        }
    }

    /// Posts it once; the caller bounds the time.
    pub(super) async fn post(&self, endpoint: &Endpoint, delivery: &Delivery) -> Attempt {
        let request = request(endpoint, delivery)?;
        match self.send(request).await {
            Ok(response) => judge(response).await,
            Err(why) => Err(Failed::later(why)),
        }
    }

    /// Sends a request once, over a connection of its own; the caller bounds the time.
    ///
    /// # Errors
    /// Why there was no answer, in a line.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, String> {
        let response = if is_https(request.uri()) {
            let tls = self.tls.as_ref().map_err(Clone::clone)?;
            tls.request(request).await
        } else {
            self.plain.request(request).await
        };
        response.map_err(|error| why_not(&error))
    }
}

/// Whether it goes over TLS.
pub(super) fn is_https(uri: &Uri) -> bool {
    uri.scheme_str() == Some("https")
}

fn request(endpoint: &Endpoint, delivery: &Delivery) -> Result<Request<Full<Bytes>>, Failed> {
    let timestamp = steroids_failpoint::wall_clock()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(&endpoint.uri)
        .header(CONTENT_TYPE, "application/json")
        .header(USER_AGENT, concat!("steroidsd/", env!("CARGO_PKG_VERSION")))
        .header(ID, &delivery.id)
        .header(TIMESTAMP, timestamp);
    if let Some(secret) = &endpoint.secret {
        let signature = secret.sign(&delivery.id, timestamp, &delivery.body);
        request = request.header(SIGNATURE, signature);
    }
    // Checked when the configuration was read.
    let mut request = request
        .body(Full::new(delivery.body.clone()))
        .map_err(|error| Failed::later(format!("cannot be sent: {error}")))?;
    for (name, value) in &endpoint.headers {
        request.headers_mut().insert(name.clone(), value.clone());
    }
    Ok(request)
}

async fn judge(response: Response<Incoming>) -> Attempt {
    let status = response.status();
    if status.is_success() {
        return Ok(status.to_string());
    }
    let after = retry_after(response.headers());
    let said = timeout(ANSWER_WITHIN, beginning(response.into_body())).await;
    let said = line(&said.unwrap_or_default());
    let why = if said.is_empty() {
        format!("answered {status}")
    } else {
        format!("answered {status}: {said}")
    };
    if status == StatusCode::GONE {
        return Err(Failed::Gone(why));
    }
    Err(Failed::Later { why, after })
}

/// Seconds; as a date it is not understood, and the pauses do.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?;
    value.trim().parse().ok().map(Duration::from_secs)
}

async fn beginning(mut body: impl Body<Data = Bytes> + Unpin) -> Vec<u8> {
    let mut said = Vec::new();
    while said.len() < ANSWER_MAX
        && let Some(Ok(frame)) = body.frame().await
    {
        if let Ok(data) = frame.into_data() {
            let room = ANSWER_MAX - said.len();
            said.extend_from_slice(&data[..data.len().min(room)]);
        }
    }
    said
}

/// Asked once it has failed: a name is then not found, an address belongs to no family, and neither says why.
fn why_not(error: &Error) -> String {
    let is_kept = error.is_connect() && is_kept_from_network();
    told(chain(error), is_kept)
}

fn told(why: String, is_kept_from_network: bool) -> String {
    match is_kept_from_network {
        true => format!("{why}; {NO_NETWORK}"),
        false => why,
    }
}

/// Whether the kernel gives this process no socket for any network, be it the machine's own.
pub fn is_kept_from_network() -> bool {
    let is_refused = |family| {
        let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None);
        matches!(socket, Err(Errno::AFNOSUPPORT))
    };
    is_refused(AddressFamily::INET) && is_refused(AddressFamily::INET6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_keeps_it_from_the_network_is_told_with_its_cure() {
        assert!(!is_kept_from_network());
        let why = "tcp open error: Address family not supported by protocol (os error 97)";
        assert_eq!(told(why.to_owned(), false), why);
        assert_eq!(told(why.to_owned(), true), format!("{why}; {NO_NETWORK}"));
    }
}
