//! What the supervisor is told once, at start.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use steroids_provider::args;
use steroids_provider::kind::Kind;
use steroids_provider::redact::Redaction;
use steroids_shim::spec::{self, Life};

use super::Budgets;
use crate::domain::hold::Backoff;
use crate::domain::queue::Bounds;
use crate::domain::retry::{self, RetryPolicy};
use crate::domain::{Limits, Prices, Secrets, StartResources, Zone};
use crate::launch::Launcher;

/// Folders, bounds, limits and providers.
#[derive(Clone)]
pub struct Settings {
    /// Holds `inv/<uuid>/`, one folder an invocation.
    pub state_dir: PathBuf,
    /// Holds `s/<short>`, the shims' sockets.
    pub runtime_dir: PathBuf,
    /// Starts shims.
    pub launcher: Arc<dyn Launcher>,
    /// Invocations that may run at once.
    pub max_running: usize,
    /// What waits, for how long, and what is tried again.
    pub queue: QueueSettings,
    /// Bytes that must be free for a start, where state folders and the project are.
    pub min_free: u64,
    /// Limits where neither the start nor the provider says otherwise.
    pub limits: DefaultLimits,
    /// By their configured names.
    pub providers: BTreeMap<String, ProviderSettings>,
    /// For what a CLI used without saying what it cost.
    pub prices: Prices,
    /// How much may be used.
    pub budgets: Budgets,
    /// What an invocation may use of the machine, where neither the start nor the provider says otherwise.
    pub resources: StartResources,
    /// Whose days are meant where nobody says which.
    pub zone: Zone,
    /// What is kept out of logs and rows.
    pub redaction: RedactionSettings,
    /// Told of the secrets of those in our care, for our own log.
    pub secrets: Secrets,
    /// The older tool's own database, where its runners are; `None` where no home is known.
    pub older_tool: Option<PathBuf>,
}

impl Settings {
    /// How many may run at once.
    pub(super) fn bounds(&self) -> Bounds {
        let providers = self.providers.iter();
        Bounds {
            total: self.max_running,
            project: self.queue.project_max_running,
            providers: providers
                .filter_map(|(name, it)| Some((name.clone(), it.queue.max_running?)))
                .collect(),
        }
    }

    /// Whether a limit that this provider has reached holds its starts.
    pub(super) fn holds(&self, provider: &str) -> bool {
        let own = self.providers.get(provider).and_then(|it| it.queue.holds);
        own.unwrap_or(self.queue.holds)
    }
}

/// What is kept out of logs and rows, besides what is known for a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedactionSettings {
    /// False shows everything.
    pub enabled: bool,
    /// Further variables whose values are secret: names, or beginnings followed by `*`.
    pub variables: Vec<String>,
    /// Further shapes, as regular expressions that were checked.
    pub patterns: Vec<String>,
}

impl Default for RedactionSettings {
    fn default() -> Self {
        RedactionSettings {
            enabled: true,
            variables: Vec::new(),
            patterns: Vec::new(),
        }
    }
}

impl RedactionSettings {
    /// What is secret of an invocation with this environment, for its specification.
    pub(super) fn of(&self, env: &[(String, String)]) -> Option<Redaction> {
        self.enabled
            .then(|| Redaction::of(env, &self.variables, &self.patterns))
    }
}

/// One configured provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderSettings {
    /// Program, arguments and environment names.
    pub settings: args::Settings,
    /// What differs from the daemon's limits.
    pub limits: Limits,
    /// What counts as a sign of life, where that differs.
    pub life: Option<Life>,
    /// How many of it may run, and what follows when its limit is reached.
    pub queue: ProviderQueue,
    /// What of it may be used of the machine, where that differs.
    pub resources: StartResources,
}

/// What of the queue is a provider's own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProviderQueue {
    /// As many may run at once.
    pub max_running: Option<usize>,
    /// Whether a limit that is reached holds its starts; `None`: as the daemon's.
    pub holds: Option<bool>,
    /// `None`: as the daemon's.
    pub retry: Option<RetryPolicy>,
}

/// What waits, for how long, and what is tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueSettings {
    /// As many may wait.
    pub max: usize,
    /// As many may run in one project.
    pub project_max_running: Option<usize>,
    /// Whether a limit that is reached holds the starts of its provider.
    pub holds: bool,
    /// How long, where nobody says when the limit is over.
    pub hold_for: Backoff,
    /// When an invocation is tried again by itself.
    pub retry: RetryPolicy,
    /// How long after.
    pub retry_after: Backoff,
}

impl Default for QueueSettings {
    fn default() -> Self {
        QueueSettings {
            // Each is a file with a prompt, and a row; a list of more nobody reads.
            max: 1000,
            project_max_running: None,
            holds: true,
            hold_for: Backoff::default(),
            retry: RetryPolicy {
                on: Vec::new(),
                max: 3,
            },
            retry_after: retry::PAUSE,
        }
    }
}

/// The daemon's limits; `None` is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DefaultLimits {
    /// For providers that print while they work; opencode and a plain command have none, as they
    /// are mute for as long as they work on one thing.
    pub silence: Option<Duration>,
    /// While a tool call is open.
    pub tool_silence: Option<Duration>,
    /// In all.
    pub wall: Option<Duration>,
    /// After the final result.
    pub post_result: Option<Duration>,
    /// Between asking to end and killing.
    pub grace: Duration,
    /// What else than output counts as a sign of life. By default all there is: to end one that works
    /// is worse than to end one later that does not.
    pub life: Life,
}

impl Default for DefaultLimits {
    fn default() -> Self {
        DefaultLimits {
            silence: Some(Duration::from_secs(15 * 60)),
            tool_silence: Some(Duration::from_secs(2 * 60 * 60)),
            wall: None,
            post_result: Some(Duration::from_secs(30)),
            grace: Duration::from_secs(10),
            life: Life::ALL,
        }
    }
}

impl DefaultLimits {
    /// The limits of one invocation: the start's word first, then the provider's, then ours.
    pub(super) fn resolve(
        &self,
        kind: Kind,
        provider: &Limits,
        life: Option<Life>,
        start: &Limits,
    ) -> spec::Limits {
        let silence = match kind {
            // It prints a call when it is over, and nothing while it tries again.
            Kind::Opencode => None,
            // Nobody here knows whether they print while they work.
            Kind::Jsonl | Kind::Command => None,
            Kind::Claude | Kind::Codex | Kind::Gemini => self.silence,
        };
        spec::Limits {
            silence_ms: pick(start.silence, provider.silence, silence),
            tool_silence_ms: pick(start.tool_silence, provider.tool_silence, self.tool_silence),
            wall_ms: pick(start.wall, provider.wall, self.wall),
            post_result_ms: pick(start.post_result, provider.post_result, self.post_result),
            grace_ms: millis(start.grace.or(provider.grace).unwrap_or(self.grace)),
            life: life.unwrap_or(self.life),
        }
    }
}

fn pick(
    start: Option<Option<Duration>>,
    provider: Option<Option<Duration>>,
    default: Option<Duration>,
) -> Option<u64> {
    start.or(provider).unwrap_or(default).map(millis)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn the_start_beats_the_provider_beats_the_daemon() {
        let defaults = DefaultLimits::default();
        let provider = Limits {
            silence: Some(Some(MINUTE)),
            wall: Some(Some(2 * MINUTE)),
            ..Limits::default()
        };
        let start = Limits {
            silence: Some(None),
            ..Limits::default()
        };
        let limits = defaults.resolve(Kind::Claude, &provider, None, &start);
        assert_eq!(limits.silence_ms, None);
        assert_eq!(limits.wall_ms, Some(120_000));
        assert_eq!(limits.post_result_ms, Some(30_000));
        assert_eq!(limits.grace_ms, 10_000);
        assert_eq!(limits.life, Life::ALL);
        let none = Life {
            tool: false,
            cpu: false,
            disk: false,
        };
        let limits = defaults.resolve(Kind::Claude, &provider, Some(none), &start);
        assert_eq!(limits.life, none);
    }

    #[test]
    fn who_is_mute_while_it_works_may_be_silent_unless_somebody_says_otherwise() {
        let defaults = DefaultLimits::default();
        let none = Limits::default();
        for kind in [Kind::Command, Kind::Opencode, Kind::Jsonl] {
            assert_eq!(defaults.resolve(kind, &none, None, &none).silence_ms, None);
        }
        let start = Limits {
            silence: Some(Some(MINUTE)),
            ..none
        };
        assert_eq!(
            defaults
                .resolve(Kind::Command, &none, None, &start)
                .silence_ms,
            Some(60_000)
        );
    }
}
