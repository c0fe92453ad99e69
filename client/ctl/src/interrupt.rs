//! Ctrl-C, SIGTERM and SIGHUP (the terminal was closed) where they mean "leave", not "stop the agent": the first
//! one is told to the command, the second ends the program, whatever it waits for. What it would say last is kept
//! here for that: whoever follows waits for a reader, and cannot say it himself.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::exit::Exit;
use crate::terminal;

/// Who sends SIGTERM or SIGHUP sends one: so long may the last words take, as a pipe that is full takes none.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// What takes a line at all takes it at once; stderr may be the same pipe.
const TAKEN_WITHIN: Duration = Duration::from_millis(500);

/// Hears them from its making on.
pub(crate) struct Interrupt {
    pressed: watch::Receiver<Option<Exit>>,
    last_words: LastWords,
}

/// The line that a forced end says, if any.
#[derive(Clone, Default)]
struct LastWords(Arc<Mutex<Option<String>>>);

impl LastWords {
    fn replace(&self, words: Option<String>) -> Option<String> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *kept, words)
    }

    async fn say(&self) {
        let Some(words) = self.replace(None) else {
            return;
        };
        let saying = tokio::task::spawn_blocking(move || terminal::say(words));
        let _ = tokio::time::timeout(TAKEN_WITHIN, saying).await;
    }
}

impl Interrupt {
    /// Begins to listen. Where that is impossible they keep their usual meaning.
    pub(crate) fn listen() -> Self {
        let (tell, pressed) = watch::channel(None);
        let last_words = LastWords::default();
        // Here and not in the tasks, which may get their first turn after the first line was printed.
        if let Ok(mut signals) = signal(SignalKind::interrupt()) {
            let (tell, last_words) = (tell.clone(), last_words.clone());
            tokio::spawn(async move {
                if heard(&mut signals, &tell, Exit::Stopped).await && signals.recv().await.is_some()
                {
                    last_words.say().await;
                    std::process::exit(Exit::Stopped as i32);
                }
            });
        }
        for (kind, exit) in [
            (SignalKind::terminate(), Exit::Terminated),
            (SignalKind::hangup(), Exit::HungUp),
        ] {
            if exit == Exit::HungUp && is_ignored(kind) {
                continue;
            }
            let Ok(mut signals) = signal(kind) else {
                continue;
            };
            let (tell, last_words) = (tell.clone(), last_words.clone());
            tokio::spawn(async move {
                if heard(&mut signals, &tell, exit).await {
                    let _ = tokio::time::timeout(LAST_WORDS, signals.recv()).await;
                    last_words.say().await;
                    end(exit);
                }
            });
        }
        Interrupt {
            pressed,
            last_words,
        }
    }

    /// Keeps what is said where the program is ended before the command could say it; `None` once it has.
    pub(crate) fn keep(&self, words: impl Into<Option<String>>) {
        self.last_words.replace(words.into());
    }

    /// Resolves once one of them came, with how the program ends for it. Cancel-safe.
    pub(crate) async fn pressed(&mut self) -> Exit {
        let pressed = self.pressed.wait_for(Option::is_some).await;
        match pressed.ok().and_then(|exit| *exit) {
            Some(exit) => exit,
            None => std::future::pending().await,
        }
    }
}

async fn heard(signals: &mut Signal, tell: &watch::Sender<Option<Exit>>, exit: Exit) -> bool {
    let is_heard = signals.recv().await.is_some();
    if is_heard {
        tell.send_replace(Some(exit));
    }
    is_heard
}

/// Whether whoever started this program wants it to outlive such a signal, as `nohup` does.
pub(crate) fn is_ignored(kind: SignalKind) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (kind.as_raw_value() - 1) & 1 == 1)
}

/// Ends the program as a signal does where nobody listens, if it was one that has ended it: a service manager
/// takes SIGTERM for no failure.
pub(crate) fn end(exit: Exit) {
    let Some(signal) = exit.signal() else {
        return;
    };
    if signal_hook::low_level::emulate_default_handler(signal).is_err() {
        std::process::exit(exit as i32);
    }
}
