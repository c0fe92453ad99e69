//! Having the configuration read anew: who asks waits for what came of it, and how things stand since is
//! there to be seen. Whoever reads it is on the other end.

use std::path::PathBuf;

use tokio::sync::{mpsc, oneshot, watch};

/// Who waits for their turn; each reads the file anew.
const ASKERS: usize = 8;

/// What reading it anew came to, or why the old one is kept.
pub type Outcome = Result<Reloaded, String>;

/// What was taken over, and what was not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// Keys and tables that go by their new values.
    pub changed: Vec<String>,
    /// Those that keep their old values until the daemon is started anew.
    pub pending: Vec<String>,
    /// The file that it was read from, where it is another than before.
    pub file: Option<PathBuf>,
}

/// How the configuration stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// When it was read last, with success, in epoch milliseconds.
    pub loaded_at_ms: i64,
    /// See [`Reloaded::pending`].
    pub pending: Vec<String>,
    /// Why the file was not taken over when it was read last.
    pub error: Option<String>,
}

impl Standing {
    /// What an operator has to look at.
    pub(super) fn degraded(&self) -> Vec<String> {
        let kept =
            |error| format!("the configuration was not reloaded, the old one is kept: {error}");
        let mut lines: Vec<String> = self.error.iter().map(kept).collect();
        if !self.pending.is_empty() {
            let keys = self.pending.join(", ");
            lines.push(format!(
                "changed in the configuration, and taking a restart of steroidsd: {keys}"
            ));
        }
        lines
    }
}

/// Asks. Clones ask the same one.
#[derive(Debug, Clone)]
pub struct Reload {
    asks: mpsc::Sender<oneshot::Sender<Outcome>>,
    standing: watch::Receiver<Standing>,
}

/// Is asked.
#[derive(Debug)]
pub struct Reloads {
    /// Who asks.
    pub asks: mpsc::Receiver<oneshot::Sender<Outcome>>,
    /// How it stands, for all to see.
    pub standing: watch::Sender<Standing>,
}

impl Reload {
    /// Both ends.
    pub fn new() -> (Reload, Reloads) {
        let (asker, asks) = mpsc::channel(ASKERS);
        let (teller, standing) = watch::channel(Standing::default());
        let reload = Reload {
            asks: asker,
            standing,
        };
        let reloads = Reloads {
            asks,
            standing: teller,
        };
        (reload, reloads)
    }

    /// Has it read anew; `None` if the daemon ends meanwhile.
    pub async fn ask(&self) -> Option<Outcome> {
        let (answer, answered) = oneshot::channel();
        self.asks.send(answer).await.ok()?;
        answered.await.ok()
    }

    /// Waits until it was read anew since this was told last, or tried to; for ever once nobody will.
    pub async fn over(&mut self) {
        if self.standing.changed().await.is_err() {
            std::future::pending().await
        }
    }

    /// How it stands.
    pub fn standing(&self) -> Standing {
        self.standing.borrow().clone()
    }
}
