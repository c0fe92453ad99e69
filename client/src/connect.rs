//! From a socket's path to a channel: one connection over the Unix socket, opened at once so that
//! an absent daemon is told from a refusing one, and opened anew by itself after it broke.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::transport::{Endpoint, Uri};

use crate::client::Client;
use crate::paths::LONGEST_SOCKET_PATH;

/// A local connect takes microseconds; this long, and the daemon is not accepting at all.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How often an open stream asks whether the other end still lives, and how long it waits for the
/// answer. A daemon that was killed is noticed at once; this is for one that is frozen.
const PING_EVERY: Duration = Duration::from_secs(60);
const PING_WITHIN: Duration = Duration::from_secs(20);
/// What the daemon sends ahead on a stream that nobody takes from: a batch, or a part of a longer line,
/// which passes all the same. That much is kept in memory here.
const WINDOW: u32 = 256 * 1024;
/// The same for all streams of a connection: a few that nobody takes from must not stop the others.
const CONNECTION_WINDOW: u32 = 4 * 1024 * 1024;
/// A message of a log's lines in one frame or two, where 16 KiB are usual.
const FRAME: u32 = 128 * 1024;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// There is no socket: no daemon was started, or it uses another path.
    #[error("no daemon: there is no socket at {}", socket.display())]
    NoDaemon {
        /// Where it was looked for.
        socket: PathBuf,
    },
    /// A socket is there, and nobody listens: the daemon ended without cleaning up.
    #[error("no daemon is listening at {}", socket.display())]
    Refused {
        /// The stale socket.
        socket: PathBuf,
    },
    /// The socket belongs to somebody else.
    #[error("no permission to use the socket {}", socket.display())]
    Permission {
        /// The other's socket.
        socket: PathBuf,
    },
    /// Somebody else listens there, who would be told all that is sent.
    #[error("the daemon at {} is user {uid}'s", socket.display())]
    Foreign {
        /// The other's socket.
        socket: PathBuf,
        /// Whose.
        uid: u32,
    },
    /// The daemon does not accept connections just now.
    #[error("the daemon at {} does not accept connections just now", socket.display())]
    Busy {
        /// Its socket.
        socket: PathBuf,
    },
    /// The kernel takes no path of this length.
    #[error(
        "the socket path {} is {length} bytes long, the kernel takes at most {LONGEST_SOCKET_PATH}",
        socket.display()
    )]
    TooLong {
        /// The path.
        socket: PathBuf,
        /// Its length in bytes.
        length: usize,
    },
    /// Something is there that is no gRPC server.
    #[error("what listens at {} does not speak gRPC", socket.display())]
    Protocol {
        /// The socket.
        socket: PathBuf,
        /// What the transport says.
        #[source]
        source: tonic::transport::Error,
    },
    /// Any other failure of connect(2).
    #[error("could not connect to {}", socket.display())]
    Io {
        /// The socket.
        socket: PathBuf,
        /// What the kernel says.
        #[source]
        source: io::Error,
    },
}

impl ConnectError {
    /// Where the daemon was looked for.
    pub fn socket(&self) -> &Path {
        match self {
            ConnectError::NoDaemon { socket }
            | ConnectError::Refused { socket }
            | ConnectError::Permission { socket }
            | ConnectError::Foreign { socket, .. }
            | ConnectError::Busy { socket }
            | ConnectError::TooLong { socket, .. }
            | ConnectError::Protocol { socket, .. }
            | ConnectError::Io { socket, .. } => socket,
        }
    }

    /// Names what connect(2) answered.
    pub(crate) fn of(socket: &Path, source: io::Error) -> Self {
        let socket = socket.to_owned();
        match source.kind() {
            io::ErrorKind::NotFound => ConnectError::NoDaemon { socket },
            io::ErrorKind::ConnectionRefused => ConnectError::Refused { socket },
            io::ErrorKind::PermissionDenied => ConnectError::Permission { socket },
            // What a non-blocking connect gives where the queue of waiting connections is full.
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => ConnectError::Busy { socket },
            _ => ConnectError::Io { socket, source },
        }
    }
}

/// Connects to the daemon at `socket`, whosever it is.
///
/// # Errors
/// [`ConnectError`], naming the socket.
pub async fn connect(socket: &Path) -> Result<Client, ConnectError> {
    connect_to(socket, Whose::Anybody).await
}

/// Connects to the daemon at `socket` if it is this user's own, or root's: for a place that nobody has named. What
/// the environment says of it may be another user's, as after `su` without `-`.
///
/// # Errors
/// As [`connect`].
pub async fn connect_to_own(socket: &Path) -> Result<Client, ConnectError> {
    connect_to(socket, Whose::Own).await
}

/// Whom a connection may lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    Own,
    Anybody,
}

/// Who listens, where that is neither this user nor root, whose word counts here anyway.
fn stranger(stream: &UnixStream) -> io::Result<Option<u32>> {
    let uid = stream.peer_cred()?.uid();
    let us = nix::unistd::geteuid().as_raw();
    Ok((uid != us && uid != 0).then_some(uid))
}

async fn connect_to(socket: &Path, whose: Whose) -> Result<Client, ConnectError> {
    let length = socket.as_os_str().len();
    if length > LONGEST_SOCKET_PATH {
        return Err(ConnectError::TooLong {
            socket: socket.to_owned(),
            length,
        });
    }
    let stream = dial(socket)
        .await
        .map_err(|error| ConnectError::of(socket, error))?;
    let other = match whose {
        Whose::Own => stranger(&stream).map_err(|error| ConnectError::of(socket, error))?,
        Whose::Anybody => None,
    };
    if let Some(uid) = other {
        return Err(ConnectError::Foreign {
            socket: socket.to_owned(),
            uid,
        });
    }
    let channel = endpoint()
        .connect_with_connector(connector(socket.to_owned(), stream, whose))
        .await
        .map_err(|source| ConnectError::Protocol {
            socket: socket.to_owned(),
            source,
        })?;
    Ok(Client::new(channel, socket.to_owned()))
}

async fn dial(socket: &Path) -> io::Result<UnixStream> {
    tokio::time::timeout(CONNECT_TIMEOUT, UnixStream::connect(socket))
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

fn endpoint() -> Endpoint {
    // The host is never resolved: the connector goes to the socket whatever it is.
    Endpoint::from_static("http://steroidsd")
        .http2_keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_WITHIN)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(FRAME)
}

/// Hands out the stream that is open already, and dials again for every later connection.
fn connector(
    socket: PathBuf,
    first: UnixStream,
    whose: Whose,
) -> impl tower::Service<
    Uri,
    Response = TokioIo<UnixStream>,
    Error = io::Error,
    Future = impl Future<Output = io::Result<TokioIo<UnixStream>>> + Send,
> + Send
+ 'static {
    let first = Arc::new(Mutex::new(Some(first)));
    tower::service_fn(move |_: Uri| {
        let opened = first.lock().unwrap_or_else(PoisonError::into_inner).take();
        let socket = socket.clone();
        async move {
            match opened {
                Some(stream) => Ok(TokioIo::new(stream)),
                None => {
                    let stream = dial(&socket).await?;
                    if whose == Whose::Own && stranger(&stream)?.is_some() {
                        return Err(io::ErrorKind::PermissionDenied.into());
                    }
                    Ok(TokioIo::new(stream))
                }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn failure(socket: &Path) -> ConnectError {
        connect(socket).await.err().unwrap()
    }

    #[tokio::test]
    async fn an_absent_socket_is_no_daemon() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("none.sock");
        let error = failure(&socket).await;
        assert!(matches!(error, ConnectError::NoDaemon { .. }));
        assert_eq!(error.socket(), socket);
    }

    #[tokio::test]
    async fn a_socket_nobody_listens_at_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("stale.sock");
        drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
        assert!(matches!(
            failure(&socket).await,
            ConnectError::Refused { .. }
        ));
    }

    /// The pings go unanswered: of a daemon that hangs, not of one that went away.
    #[tokio::test(start_paused = true)]
    async fn a_daemon_that_is_silent_is_no_lost_connection() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("d.sock");
        // The kernel takes connections for it.
        let _silent = tokio::net::UnixListener::bind(&socket).unwrap();
        let client = connect(&socket).await.unwrap();
        let story = client.timeline(crate::v1::TimelineRequest::default()).await;
        let status = story.err().unwrap();
        assert!(crate::Refusal::is_timeout(&status), "{status:?}");
    }

    #[tokio::test]
    async fn a_path_the_kernel_would_cut_is_named_with_its_length() {
        let socket = PathBuf::from(format!("/tmp/{}", "x".repeat(103)));
        let error = failure(&socket).await;
        assert!(matches!(error, ConnectError::TooLong { length: 108, .. }));
        assert!(error.to_string().contains("107"));
    }
}
