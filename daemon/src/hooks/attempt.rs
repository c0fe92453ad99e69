//! One attempt to deliver: what it may come to, and who makes it.

use std::borrow::Cow;
use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::command::Runner;
use super::notify;
use super::payload::Delivery;
use super::post::Poster;
use super::settings::{Action, HookSettings};
use crate::domain::{Secrets, without_escapes};

/// Why nothing was delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failed {
    /// It may go better later, but not before so long where the other side said that.
    Later {
        /// One line.
        why: String,
        /// Asked for by the other side.
        after: Option<Duration>,
    },
    /// The other side wants no more of them.
    Gone(String),
    /// There is nobody to show it to.
    Nobody(&'static str),
    /// The daemon ends.
    Stopped,
}

/// What an attempt came to; one line of what the other side said, if it did.
pub(super) type Attempt = Result<String, Failed>;

/// Makes attempts.
pub(super) struct Courier {
    pub(super) runner: Arc<Runner>,
    pub(super) poster: Poster,
    pub(super) secrets: Secrets,
}

impl Failed {
    /// A failure to be tried again.
    pub(super) fn later(why: impl Into<String>) -> Failed {
        let why = why.into();
        Failed::Later { why, after: None }
    }

    /// For a person, on one line.
    pub(super) fn why(&self) -> Cow<'_, str> {
        match self {
            Failed::Later { why, .. } | Failed::Gone(why) => Cow::Borrowed(why),
            Failed::Nobody(why) => Cow::Borrowed(why),
            Failed::Stopped => Cow::Borrowed("the daemon is stopping"),
        }
    }
}

impl Courier {
    /// Makes one, within the hook's time. Dropped, it leaves nothing running. What the other side says
    /// may quote what it was sent, or where: no secret is in it any more.
    pub(super) async fn attempt(
        &self,
        hook: &HookSettings,
        delivery: &Delivery,
        stop: &CancellationToken,
    ) -> Attempt {
        let hide = |said: String| self.secrets.hide(&said).into_owned();
        match self.deliver(hook, delivery, stop).await {
            Ok(said) => Ok(hide(said)),
            Err(Failed::Gone(why)) => Err(Failed::Gone(hide(why))),
            Err(Failed::Later { why, after }) => {
                let why = hide(why);
                Err(Failed::Later { why, after })
            }
            Err(other @ (Failed::Nobody(_) | Failed::Stopped)) => Err(other),
        }
    }

    async fn deliver(
        &self,
        hook: &HookSettings,
        delivery: &Delivery,
        stop: &CancellationToken,
    ) -> Attempt {
        match &hook.action {
            Action::Command { argv, env } => {
                let variables = self.runner.variables(env, hook, delivery);
                let input = delivery.body.clone();
                self.runner
                    .run(argv, variables, input, hook.timeout, stop)
                    .await
            }
            Action::Notify => {
                let program = self.notifier(hook.timeout, stop).await?;
                let argv = notify::arguments(program, delivery);
                let variables = self.runner.variables(&[], hook, delivery);
                self.runner
                    .run(&argv, variables, bytes::Bytes::new(), hook.timeout, stop)
                    .await
            }
            Action::Post(endpoint) => {
                let post = self.poster.post(endpoint, delivery);
                tokio::select! {
                    () = stop.cancelled() => Err(Failed::Stopped),
                    answered = timeout(hook.timeout, post) => {
                        answered.unwrap_or_else(|_| Err(Failed::later(too_slow(hook.timeout))))
                    }
                }
            }
        }
    }
}

impl Courier {
    /// Looked for where a disk that does not answer holds up nobody else.
    async fn notifier(&self, limit: Duration, stop: &CancellationToken) -> Result<PathBuf, Failed> {
        let runner = Arc::clone(&self.runner);
        let looking = tokio::task::spawn_blocking(move || notify::program(&runner));
        tokio::select! {
            () = stop.cancelled() => Err(Failed::Stopped),
            found = timeout(limit, looking) => match found {
                Ok(Ok(found)) => found.map_err(Failed::Nobody),
                // Only a panic, or the runtime's end.
                Ok(Err(_)) => Err(Failed::Stopped),
                Err(_) => Err(Failed::later("a folder of the daemon's PATH does not answer")),
            }
        }
    }
}

/// What is said of an attempt that took too long.
pub(super) fn too_slow(timeout: Duration) -> String {
    let timeout = humantime::format_duration(timeout);
    format!("did not end within {timeout}")
}

/// What somebody else has said, on one line, of a length to be read, and without escape sequences and
/// control characters.
pub(super) fn line(said: &[u8]) -> String {
    const LONGEST: usize = 400;
    let said = String::from_utf8_lossy(said);
    let said = without_escapes(&said);
    let mut line = String::new();
    for word in said.split(|c: char| c.is_whitespace() || c.is_control()) {
        if word.is_empty() {
            continue;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        if line.len() > LONGEST {
            line.truncate(line.floor_char_boundary(LONGEST));
            line.push('…');
            break;
        }
    }
    line
}

/// An error with its causes, on one line.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !said.ends_with(&text) {
            said.push_str(": ");
            said.push_str(&text);
        }
        cause = error.source();
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_says_is_one_short_line() {
        assert_eq!(line(b"  no\n\x1b[31mway\xff \t"), "no way\u{fffd}");
        let long = line(&[b'x'; 5000]);
        assert!(long.len() < 410 && long.ends_with('…'), "{long}");
    }
}
