//! How many there may be: enough descriptors for them, and an answer to whoever comes when all
//! seats are taken.

use std::time::Duration;

use http::StatusCode;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tracing::warn;

use crate::headers;

/// Who is told that all seats are taken, at a time; beyond these the connection is just closed.
pub(super) const MOST_TURNED_AWAY: usize = 64;
/// How long somebody who is turned away may take to hear it.
const PATIENCE: Duration = Duration::from_secs(1);
/// Descriptors besides connections: the daemon's socket, the log, files being read.
const OTHER_DESCRIPTORS: u64 = 128;

/// Sees to it that so many connections can be open, as far as the system lets us.
pub(crate) fn allow_descriptors(connections: usize) {
    let needed = OTHER_DESCRIPTORS + u64::try_from(connections).unwrap_or(u64::MAX / 2);
    let limit = getrlimit(Resource::Nofile);
    let Some(current) = limit.current.filter(|current| *current < needed) else {
        return;
    };
    let wanted = limit.maximum.map_or(needed, |most| most.min(needed));
    let raised = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: Some(wanted),
            maximum: limit.maximum,
        },
    );
    if raised.is_err() || wanted < needed {
        let limit = if raised.is_ok() { wanted } else { current };
        warn!(
            limit,
            needed, "fewer open files are allowed than connections"
        );
    }
}

/// Says that there is no room, and waits a moment until it was heard.
pub(super) async fn turn_away(mut stream: TcpStream, _step: OwnedSemaphorePermit) {
    let body = r#"{"success":false,"error":"Too many connections"}"#;
    let answer = headers::raw(StatusCode::SERVICE_UNAVAILABLE, body);
    let saying = async {
        stream.write_all(&answer).await?;
        stream.shutdown().await?;
        // Closing with unread bytes would tear the answer out of the other's hands.
        let mut rest = [0; 1024];
        while stream.read(&mut rest).await? > 0 {}
        std::io::Result::Ok(())
    };
    // Whoever does not listen has closed, or is cut off; both end here.
    let _ = tokio::time::timeout(PATIENCE, saying).await;
}
