//! Holds as they are kept and told: in a file of the state folder, since a provider's limit is that of
//! an account, whichever project meets it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use steroids_shim::durable;
use tokio::time::Instant;
use tracing::{info, warn};

use super::job::Job;
use super::settings::Settings;
use super::supervisor::{Inner, chain};
use super::{Supervisor, lost};
use crate::domain::hold::{Ended, Hold, Holds};
use crate::domain::{InvocationId, Outcome};
use crate::store::{Ending, NewEvent};

/// Between two times that something is tried which could not be written.
const AGAIN: Duration = Duration::from_secs(1);

/// Under this it stands among the troubles.
const UNKEPT: &str = "holds";

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

/// Why what somebody wants of a hold was not done.
#[derive(Debug, thiserror::Error)]
pub enum HoldError {
    /// There is no such provider.
    #[error("unknown provider `{name}`; there are {}", known.join(", "))]
    NoSuchProvider {
        /// As it was asked for.
        name: String,
        /// Those that are configured.
        known: Vec<String>,
    },
    /// It would be forgotten with the daemon.
    #[error("holds cannot be written down, so that all stays as it was: {why}")]
    Unkept {
        /// Why.
        why: String,
    },
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
    /// When there is no such provider, or it cannot be written down.
    pub async fn hold(&self, provider: &str, until_ms: i64) -> Result<(), HoldError> {
        self.known(provider)?;
        let now = now_ms();
        let name = provider.to_owned();
        let set = move |holds: &mut Holds| holds.set(&name, until_ms, now);
        change(&self.inner, set).await?;
        self.inner.counts.held(provider, "by hand");
        info!(provider, "held by hand");
        self.inner.line.look_again();
        Ok(())
    }

    /// Ends a hold before its time, or of a hold only what was set by hand; false if there was none.
    ///
    /// # Errors
    /// When there is no such provider, or it cannot be written down.
    pub async fn lift(&self, provider: &str, by_hand: bool) -> Result<bool, HoldError> {
        let now = now_ms();
        let name = provider.to_owned();
        let lift = move |holds: &mut Holds| match by_hand {
            true => holds.lift_by_hand(&name, now),
            false => holds.lift(&name),
        };
        // Also of one that the configuration has no more.
        let Some(hold) = change(&self.inner, lift).await? else {
            self.known(provider)?;
            return Ok(false);
        };
        self.inner.line.look_again();
        let (inner, provider) = (Arc::clone(&self.inner), provider.to_owned());
        // Told, whether or not this caller waits for it.
        let telling = self.inner.tracker.spawn(async move {
            if is_held(&inner, &provider) {
                info!(provider, "no longer held by hand");
            } else {
                tell_released(&inner, &provider, &hold, "lifted").await;
            }
        });
        // Only a panic, or the runtime's end.
        let _ = telling.await;
        Ok(true)
    }

    fn known(&self, provider: &str) -> Result<(), HoldError> {
        let providers = &self.inner.settings().providers;
        if providers.contains_key(provider) {
            return Ok(());
        }
        Err(HoldError::NoSuchProvider {
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
    match durable::read(path) {
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

/// Ends those whose time has come, and tries again what could not be written; tells when to look the next time.
pub(super) async fn pass(inner: &Arc<Inner>) -> Option<i64> {
    let (over, next) = inner.line.holds(|holds| {
        let over = holds.pass(now_ms());
        (
            over,
            holds.standing().map(|(_, hold)| hold.until_ms()).min(),
        )
    });
    if over.is_empty() {
        keep_again(inner).await;
    } else {
        keep(inner).await;
    }
    for (provider, hold) in over {
        // By itself: its project's disk may take its time, and nobody waits for an event.
        let telling = Arc::clone(inner);
        inner.tracker.spawn(async move {
            tell_released(&telling, &provider, &hold, "over").await;
        });
    }
    let is_unkept = inner.troubles.has(UNKEPT);
    let again = is_unkept.then(|| now_ms() + AGAIN.as_millis() as i64);
    [next, again].into_iter().flatten().min()
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

/// Does what somebody wants once it is written down, and not where it cannot be: who is told that it holds relies on it.
async fn change<T: Send + 'static>(
    inner: &Arc<Inner>,
    act: impl Fn(&mut Holds) -> T + Send + 'static,
) -> Result<T, HoldError> {
    let changing = Arc::clone(inner);
    // By itself: whoever asks may go meanwhile, and what is written down is to hold.
    let changed = inner.tracker.spawn(async move {
        let mut tried = changing.holds_file.lock().await;
        let before = changing.line.holds(|holds| holds.clone());
        let mut after = before.clone();
        act(&mut after);
        if after != before {
            write(&changing, after, &mut tried).await?;
        }
        // What an end or time has changed meanwhile is written down behind this.
        Ok::<_, io::Error>(changing.line.holds(act))
    });
    let changed = changed.await.map_err(io::Error::other).flatten();
    changed.map_err(|error| HoldError::Unkept { why: chain(&error) })
}

/// Writes down what stands. What cannot be written stands all the same, and is tried again until it is.
async fn keep(inner: &Inner) {
    let mut tried = inner.holds_file.lock().await;
    store(inner, &mut tried).await;
}

/// Tries once more what could not be written, now and then.
async fn keep_again(inner: &Inner) {
    if !inner.troubles.has(UNKEPT) {
        return;
    }
    let mut tried = inner.holds_file.lock().await;
    if tried.is_none_or(|tried| tried.elapsed() >= AGAIN) {
        store(inner, &mut tried).await;
    }
}

async fn store(inner: &Inner, tried: &mut Option<Instant>) {
    let holds = inner.line.holds(|holds| holds.clone());
    let Err(error) = write(inner, holds, tried).await else {
        return;
    };
    if inner.troubles.note_unkept(UNKEPT, "holds", &error) {
        warn!(error = %chain(&error), "holds cannot be written; tried again until it works");
        inner.line.look_again();
    }
}

/// The caller has the file's turn, and notes there when this was tried.
async fn write(inner: &Inner, holds: Holds, tried: &mut Option<Instant>) -> io::Result<()> {
    let path = file(&inner.settings().state_dir);
    let store = move || durable::store(&path, &holds).map_err(io::Error::other);
    let kept = tokio::task::spawn_blocking(store).await?;
    *tried = Some(Instant::now());
    if kept.is_ok() {
        inner.troubles.well(UNKEPT);
    }
    kept
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
