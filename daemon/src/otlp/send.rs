//! One request to the collector: several attempts, and what is told of those that fail.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::CONTENT_TYPE;
use hyper::{Method, Request, StatusCode};
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use super::worker::Worker;

/// Attempts for one request; with their pauses a collector that is away holds up the queue for so
/// long as it takes to be started anew.
const ATTEMPTS: u32 = 4;
const PAUSE: Duration = Duration::from_secs(1);

/// Why nothing was taken.
enum Refused {
    /// It may be later.
    ForNow(String),
    /// It never will be.
    Ever(String),
}

impl Worker {
    /// Sends it, in several attempts if need be. After a failure one attempt is enough, until one goes
    /// well: what waits behind is not to be lost by waiting.
    pub(super) async fn send(&self, path: &str, body: Vec<u8>) -> bool {
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
}
