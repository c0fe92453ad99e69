//! Holds as they are kept and told: in a file of the state folder, since a provider's limit is that of
//! an account, whichever project meets it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use steroids_shim::durable;
use tracing::{info, warn};

use super::job::Job;
use super::settings::Settings;
use super::supervisor::{Inner, chain};
use super::{Supervisor, lost};
use crate::domain::hold::{Ended, Hold, Holds};
use crate::domain::{InvocationId, Outcome};
use crate::store::{Ending, NewEvent};

/// A provider that is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldProvider {
    /// Its configured name.
    pub provider: String,
    /// Since when and until when, in epoch milliseconds.
    pub since_ms: i64,
    /// In epoch milliseconds.
    pub until_ms: i64,
    /// One word, or a few.
    pub reason: String,
}

/// There is no such provider.
#[derive(Debug, thiserror::Error)]
#[error("unknown provider `{name}`; there are {}", known.join(", "))]
pub struct NoSuchProvider {
    /// As it was asked for.
    pub name: String,
    /// Those that are configured.
    pub known: Vec<String>,
}

impl Supervisor {
    /// Providers that are held, by name.
    pub fn holds(&self) -> Vec<HeldProvider> {
        self.inner.line.holds(|holds| {
            let standing = holds.standing().map(|(provider, hold)| HeldProvider {
                provider: provider.to_owned(),
                since_ms: hold.since_ms(),
                until_ms: hold.until_ms(),
                reason: hold.reason.clone(),
            });
            standing.collect()
        })
    }

    /// Holds a provider until a time, in epoch milliseconds; a limit that lasts longer stands.
    ///
    /// # Errors
    /// When there is no such provider.
    pub async fn hold(&self, provider: &str, until_ms: i64) -> Result<(), NoSuchProvider> {
        self.known(provider)?;
        let now = now_ms();
        self.inner
            .line
            .holds(|holds| holds.set(provider, until_ms, now));
        self.inner.counts.held(provider, "by hand");
        info!(provider, "held by hand");
        keep(&self.inner).await;
        self.inner.line.look_again();
        Ok(())
    }

    /// Ends a hold before its time, or of a hold only what was set by hand; false if there was none.
    ///
    /// # Errors
    /// When there is no such provider.
    pub async fn lift(&self, provider: &str, by_hand: bool) -> Result<bool, NoSuchProvider> {
        let lift = |holds: &mut Holds| match by_hand {
            true => holds.lift_by_hand(provider, now_ms()),
            false => holds.lift(provider),
        };
        // Also of one that the configuration has no more.
        let Some(hold) = self.inner.line.holds(lift) else {
            self.known(provider)?;
            return Ok(false);
        };
        keep(&self.inner).await;
        if is_held(&self.inner, provider) {
            info!(provider, "no longer held by hand");
        } else {
            tell_released(&self.inner, provider, &hold, "lifted").await;
        }
        self.inner.line.look_again();
        Ok(true)
    }

    fn known(&self, provider: &str) -> Result<(), NoSuchProvider> {
        let providers = &self.inner.settings().providers;
        if providers.contains_key(provider) {
            return Ok(());
        }
        Err(NoSuchProvider {
            name: provider.to_owned(),
            known: providers.keys().cloned().collect(),
        })
    }
}

/// What stood when a daemon before us ended. A file that cannot be read holds nobody: what a limit
/// is, the provider says again.
pub(super) fn load(settings: &Settings) -> Holds {
    let mut holds = read(&file(&settings.state_dir));
    // Somebody has switched them off since.
    lift_unwanted(&mut holds, settings);
    holds
}

/// Lifts those of limits where the settings hold for none.
fn lift_unwanted(holds: &mut Holds, settings: &Settings) -> Vec<(String, Hold)> {
    let standing = holds.standing();
    let unwanted: Vec<_> = standing
        .filter(|(provider, _)| !settings.holds(provider))
        .map(|(provider, hold)| (provider.to_owned(), hold.is_by_hand()))
        .collect();
    let lifted = unwanted.into_iter().filter_map(|(provider, by_hand)| {
        if by_hand {
            holds.lift_beneath(&provider);
            return None;
        }
        let hold = holds.lift(&provider)?;
        Some((provider, hold))
    });
    lifted.collect()
}

/// Lifts what other settings hold no more.
pub(super) fn settings_changed(inner: &Arc<Inner>) {
    let settings = inner.settings();
    let lifted = inner.line.holds(|holds| lift_unwanted(holds, &settings));
    if lifted.is_empty() {
        return;
    }
    // By itself, as at the end of any other.
    let telling = Arc::clone(inner);
    inner.tracker.spawn(async move {
        keep(&telling).await;
        for (provider, hold) in lifted {
            tell_released(&telling, &provider, &hold, "switched off").await;
        }
    });
}

fn read(path: &Path) -> Holds {
    match std::fs::read(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Holds::default(),
        Err(error) => {
            warn!(path = %path.display(), %error, "holds cannot be read");
            Holds::default()
        }
        Ok(text) => serde_json::from_slice(&text).unwrap_or_else(|error| {
            warn!(path = %path.display(), %error, "holds cannot be read");
            Holds::default()
        }),
    }
}

/// Takes note of how one ended, durably, before its row says so: nothing of the same provider is
/// started in between.
pub(super) async fn note(job: &Job, ending: &Ending) {
    let (inner, spec) = (&job.inner, &job.spec);
    let matters = matches!(
        ending.outcome,
        Outcome::RateLimited | Outcome::CreditExhausted | Outcome::Success
    );
    if !matters || !inner.settings().holds(&spec.provider) {
        return;
    }
    let end = Ended {
        uuid: &spec.uuid,
        began_ms: i64::try_from(spec.created_ms).unwrap_or(i64::MAX),
        outcome: ending.outcome,
        resets_at_ms: resets_at_ms(ending),
    };
    let (until_ms, has_changed) = inner.line.holds(|holds| {
        let before = holds.clone();
        let until = holds.note(
            &spec.provider,
            end,
            inner.settings().queue.hold_for,
            now_ms(),
        );
        if until.is_some() {
            holds.tell(&spec.provider, spec.project.clone(), job.id.get());
        }
        (until, before != *holds)
    });
    if has_changed {
        keep(inner).await;
        inner.line.look_again();
    }
    if let Some(until_ms) = until_ms {
        let provider = &spec.provider;
        inner.counts.held(provider, ending.outcome.as_str());
        let until = moment(until_ms);
        info!(provider, until, outcome = %ending.outcome, "provider held");
        let message = format!("{provider} is held until {until}: {}", ending.outcome);
        job.tell("held", message);
    }
}

/// When the limit is over that an invocation has met.
pub(super) fn resets_at_ms(ending: &Ending) -> Option<i64> {
    ending.resets_at_ms
}

/// Whether a provider is held.
pub(super) fn is_held(inner: &Inner, provider: &str) -> bool {
    inner
        .line
        .holds(|holds| holds.standing().any(|(name, _)| name == provider))
}

/// Ends those whose time has come; tells when the next one's will.
pub(super) async fn pass(inner: &Arc<Inner>) -> Option<i64> {
    let (over, next) = inner.line.holds(|holds| {
        let over = holds.pass(now_ms());
        (
            over,
            holds.standing().map(|(_, hold)| hold.until_ms()).min(),
        )
    });
    if !over.is_empty() {
        keep(inner).await;
    }
    for (provider, hold) in over {
        // By itself: its project's disk may take its time, and nobody waits for an event.
        let telling = Arc::clone(inner);
        inner.tracker.spawn(async move {
            tell_released(&telling, &provider, &hold, "over").await;
        });
    }
    next
}

/// Says where the limit was met that it is over.
async fn tell_released(inner: &Inner, provider: &str, hold: &Hold, how: &str) {
    info!(provider, how, "provider no longer held");
    let Some((root, id)) = &hold.told else {
        return;
    };
    let Ok(project) = inner.projects.get(root).await else {
        return;
    };
    let event = NewEvent {
        kind: "released".to_owned(),
        invocation: InvocationId::new(*id),
        task: None,
        message: format!("the hold of {provider} is {how}"),
    };
    if let Err(error) = project.store.record(event).await {
        warn!(%error, "lifecycle event not recorded");
    }
    project.touch();
}

/// Writes down what stands. What cannot be written is lost with the daemon, and no sooner.
async fn keep(inner: &Inner) {
    let _turn = inner.holds_file.lock().await;
    let holds = inner.line.holds(|holds| holds.clone());
    let path = file(&inner.settings().state_dir);
    let kept = tokio::task::spawn_blocking(move || durable::store(&path, &holds)).await;
    if let Ok(Err(error)) = kept {
        warn!(error = %chain(&error), "holds cannot be written");
    }
}

fn file(state_dir: &Path) -> PathBuf {
    state_dir.join("holds.json")
}

/// A time as a person reads it in a log.
pub(super) fn moment(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |at| format!("{at:.0}"))
}

fn now_ms() -> i64 {
    i64::try_from(lost::now_ms()).unwrap_or(i64::MAX)
}
