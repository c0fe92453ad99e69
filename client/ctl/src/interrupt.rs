//! Ctrl-C where it means "leave", not "stop the agent": the first one is told to the command, the
//! second ends the program, whatever it waits for.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::exit::Exit;

/// Hears Ctrl-C from its making on.
pub(crate) struct Interrupt {
    pressed: watch::Receiver<bool>,
}

impl Interrupt {
    /// Begins to listen. Where that is impossible Ctrl-C keeps its usual meaning.
    pub(crate) fn listen() -> Self {
        let (tell, pressed) = watch::channel(false);
        // Here and not in the task, which may get its first turn after the first line was printed.
        if let Ok(mut signals) = signal(SignalKind::interrupt()) {
            tokio::spawn(async move {
                if signals.recv().await.is_none() {
                    return;
                }
                tell.send_replace(true);
                if signals.recv().await.is_some() {
                    std::process::exit(Exit::Stopped as i32);
                }
            });
        }
        Interrupt { pressed }
    }

    /// Resolves once Ctrl-C was pressed. Cancel-safe.
    pub(crate) async fn pressed(&mut self) {
        if self.pressed.wait_for(|pressed| *pressed).await.is_err() {
            std::future::pending().await
        }
    }
}
