//! Reads the configuration anew when it is asked to, by HUP or by a client, and has the rooms go by it.
//! A file that is no good changes nothing; what cannot change while the daemon runs keeps its old value
//! and is named.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tracing::{info, warn};

use super::notify::{Told, tell};
use super::rooms;
use crate::config::{Changes, Config};
use crate::logging;
use crate::service::reload::{Outcome, Reloaded, Reloads, Standing};
use crate::service::{Configuration, Facts, Wakeups};
use crate::supervise::Supervisor;

/// A small file of a disk that is well is read at once.
const READ_WITHIN: Duration = Duration::from_secs(5);

/// Owns the configuration that is gone by.
pub(super) struct Reloader {
    pub(super) config: Config,
    pub(super) configuration: Configuration,
    pub(super) supervisor: Supervisor,
    pub(super) wakeups: Wakeups,
    pub(super) facts: watch::Sender<Arc<Facts>>,
}

impl Reloader {
    /// Reads it whenever somebody asks, one after the other.
    pub(super) async fn run(mut self, mut reloads: Reloads) {
        reloads
            .standing
            .send_modify(|it| it.loaded_at_ms = now_ms());
        while let Some(asker) = reloads.asks.recv().await {
            tell(Told::Reloading, "Reloading the configuration".to_owned()).await;
            let outcome = self.reload().await;
            let line = rooms::line(&self.supervisor);
            // Ready again, however it went: the old one is as good as it was.
            let line = match &outcome {
                Ok(_) => line,
                Err(why) => format!("{line}; configuration not reloaded: {why}"),
            };
            tell(Told::Ready, line).await;
            reloads.standing.send_modify(|it| note(it, &outcome));
            // Who asked may have gone.
            let _ = asker.send(outcome);
        }
    }

    async fn reload(&mut self) -> Outcome {
        match self.read().await {
            Ok(newer) => {
                let before = self.config.file.clone();
                let Changes { changed, pending } = self.config.take_over(newer);
                self.apply();
                let file = self
                    .config
                    .file
                    .clone()
                    .filter(|_| self.config.file != before);
                match &file {
                    None => info!(?changed, "configuration reloaded"),
                    Some(file) => {
                        info!(?changed, file = %file.display(), "configuration reloaded from another file");
                    }
                }
                if !pending.is_empty() {
                    warn!(?pending, "changed, and taking a restart");
                }
                Ok(Reloaded {
                    changed,
                    pending,
                    file,
                })
            }
            Err(why) => {
                warn!(why, "configuration not reloaded; the old one is kept");
                Err(why)
            }
        }
    }

    async fn read(&self) -> Result<Config, String> {
        let before = self.config.clone();
        let reading = tokio::task::spawn_blocking(move || read(&before));
        match tokio::time::timeout(READ_WITHIN, reading).await {
            Ok(Ok(read)) => read,
            Ok(Err(panicked)) => Err(panicked.to_string()),
            Err(_) => Err("its disk does not answer".to_owned()),
        }
    }

    fn apply(&self) {
        logging::set_level(&self.config.log_level);
        let settings = rooms::settings(&self.config, &self.supervisor.settings());
        self.supervisor.set(settings);
        self.wakeups.set(rooms::wakeups(&self.config));
        let started = self.facts.borrow().started;
        let facts = rooms::facts(&self.config, started);
        self.facts.send_replace(Arc::new(facts));
        self.configuration
            .replace(self.config.file.clone(), self.config.listing.clone());
    }
}

/// Without its file all would be as nobody, or somebody else, said it: budgets and bounds, too. That is for a
/// start to decide. A file that counts more than the one that was read is meant to. Blocks.
fn read(before: &Config) -> Result<Config, String> {
    let read = || {
        let read = before.read_again();
        read.map_err(|error| format!("{:#}", anyhow::Error::from(error)))
    };
    let newer = read()?;
    let Some(file) = before.file.as_deref().filter(|it| newer.is_without(it)) else {
        return Ok(newer);
    };
    // It may have been away for a moment, as whoever saved it renamed another one to its name.
    let again = read()?;
    if !again.is_without(file) {
        return Ok(again);
    }
    let instead = match &again.file {
        Some(other) => format!("by {}", other.display()),
        None => "without it".to_owned(),
    };
    Err(format!(
        "{} is not there any more; put it back, or restart to go on {instead}",
        file.display()
    ))
}

fn note(standing: &mut Standing, outcome: &Outcome) {
    match outcome {
        Ok(reloaded) => {
            *standing = Standing {
                loaded_at_ms: now_ms(),
                pending: reloaded.pending.clone(),
                error: None,
            };
        }
        Err(why) => standing.error = Some(why.clone()),
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    i64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::config::{Flags, Places};

    #[test]
    fn a_file_that_counts_more_is_read_and_one_that_is_gone_takes_no_bound_away() {
        let dir = tempfile::tempdir().unwrap();
        let folders = ["own", "system"].map(|name| dir.path().join(name));
        let [own, of_system] = folders.each_ref().map(|folder| {
            fs::create_dir(folder).unwrap();
            folder.join("config.toml")
        });
        let places = Places {
            config: folders.to_vec(),
            state: "/state".into(),
            runtime: None,
        };
        fs::write(&of_system, "").unwrap();
        let before = Config::resolve(&Flags::default(), Some(&places)).unwrap();
        fs::write(&own, "garbage").unwrap();
        let why = read(&before).unwrap_err();
        assert!(why.contains("own/config.toml:1"), "{why}");
        fs::write(&own, "").unwrap();
        let before = read(&before).unwrap();
        assert_eq!(before.file.as_ref(), Some(&own));
        // The system's may hold less than what the user has bounded.
        fs::remove_file(&own).unwrap();
        let why = read(&before).unwrap_err();
        let said = format!("restart to go on by {}", of_system.display());
        assert!(why.ends_with(&said), "{why}");
    }
}
