//! Where a shim is reached. Its socket lies in the runtime folder, which goes with the last session of
//! its user, or by anybody's hand, while the shim lives on; then the shim is told to bind it anew.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use steroids_shim::paths::InvDir;
use steroids_shim::recall::{RecallError, recall};
use tokio::net::UnixStream;
use tokio::time::{Instant, sleep, timeout};

use super::supervisor::chain;

/// A shim answers within milliseconds; a stopped one (SIGSTOP) never does.
pub(super) const ANSWER: Duration = Duration::from_secs(2);

/// Between two signals to a shim that stays away: its folder may be one that nobody can make.
const RECALL_EVERY: Duration = Duration::from_secs(10);

/// A shim that was told binds within milliseconds, and no event tells of it where there is no folder.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// So often, before whoever asked is left to come again.
const LOOKS: usize = 10;

/// The way to one shim.
pub(super) struct Door {
    socket: PathBuf,
    dir: InvDir,
    /// When the shim was told last.
    recalled: Option<Instant>,
    /// What became of it, while nobody listens at the socket.
    absent: Option<String>,
}

impl Door {
    pub(super) fn new(socket: PathBuf, dir: InvDir) -> Door {
        Door {
            socket,
            dir,
            recalled: None,
            absent: None,
        }
    }

    /// Why nobody listens at the socket, as far as the last attempt has shown.
    pub(super) fn absent(&self) -> Option<&str> {
        self.absent.as_deref()
    }

    /// Connects; within seconds, also where the shim has to bind first. Safe to cancel.
    pub(super) async fn connect(&mut self) -> Option<UnixStream> {
        match self.knock().await {
            Ok(stream) => return Some(stream),
            Err(error) if is_absent(&error) => {}
            Err(_) => {
                self.absent = None;
                return None;
            }
        }
        if !self.recall().await {
            return None;
        }
        for _ in 0..LOOKS {
            sleep(LOOK_AGAIN).await;
            if let Ok(stream) = self.knock().await {
                return Some(stream);
            }
        }
        None
    }

    async fn knock(&mut self) -> io::Result<UnixStream> {
        let stream = timeout(ANSWER, UnixStream::connect(&self.socket)).await??;
        self.absent = None;
        Ok(stream)
    }

    /// Tells the shim to bind anew, where it is time to; true if it was told.
    async fn recall(&mut self) -> bool {
        let is_due = |then: Instant| then.elapsed() >= RECALL_EVERY;
        if !self.recalled.is_none_or(is_due) {
            return false;
        }
        // Before anything is waited for: who is cancelled has had this turn.
        self.recalled = Some(Instant::now());
        self.absent = Some("it was told to make it anew".to_owned());
        let (dir, socket) = (self.dir.clone(), self.socket.clone());
        let span = tracing::Span::current();
        // Said there, as it is done whoever still waits for it.
        let telling = tokio::task::spawn_blocking(move || {
            let told = recall(&dir, &socket);
            if told.is_ok() {
                span.in_scope(|| {
                    tracing::info!(socket = %socket.display(), "a shim was told to bind its socket anew");
                });
            }
            told
        });
        let told = match timeout(ANSWER, telling).await {
            Ok(Ok(told)) => told,
            // A disk that does not answer, a panic, the runtime's end.
            Ok(Err(_)) | Err(_) => return false,
        };
        let Err(error) = told else {
            return true;
        };
        self.absent = match &error {
            RecallError::Gone => None,
            _ => Some(format!("it cannot be made anew: {}", chain(&error))),
        };
        // It was told all the same, and may do what could not be done here.
        matches!(error, RecallError::Folder { .. })
    }
}

/// Nobody listens there: the name is gone, another has its folder's, or it was left behind.
fn is_absent(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory | ConnectionRefused)
}
