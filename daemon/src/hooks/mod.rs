//! Tells others of what happened: runs a command, posts over HTTP, or shows a notification, for the
//! lifecycle events that a hook is on. The events are rows, so nothing is in the way of what makes
//! them: an invocation neither waits for a hook nor learns how it went.
//!
//! Promises: each event is delivered at least once, also when the daemon is killed in between, under an
//! id by which a second time is known; in order for a hook and project; one attempt at a time for a
//! hook, so that there are never more than there are hooks. What is given up is said.

mod attempt;
mod command;
mod lane;
mod notify;
mod outbox;
mod pattern;
mod payload;
mod positions;
mod post;
mod round;
mod settings;
mod sign;
mod standing;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument as _, info_span};

pub use pattern::Patterns;
pub use post::{NO_NETWORK, Poster, is_kept_from_network};
pub use settings::{
    Action, EVENTS, Endpoint, Environment, HookSettings, NOTIFIED, Secret, Settings,
};
pub use standing::Standing;

use crate::domain::{Known, Secrets};
use crate::projects::Projects;
use attempt::{Courier, Failed};
use command::Runner;
use payload::Delivery;
use positions::Positions;
use post::is_https;
use standing::Board;
use worker::{Worker, now_ms};

/// Tests at a time; each is somebody's who waits.
const TESTS: usize = 4;

/// All hooks. Cheap to clone.
#[derive(Clone)]
pub struct Hooks {
    inner: Arc<Inner>,
}

struct Inner {
    hooks: Vec<(HookSettings, Board)>,
    courier: Arc<Courier>,
    positions: Positions,
    tests: Semaphore,
    stop: CancellationToken,
    /// What the log must not show.
    _secrets: Vec<Known>,
}

/// A hook, for a list.
#[derive(Debug, Clone)]
pub struct Shown {
    /// Its name.
    pub name: String,
    /// What it is on.
    pub on: Vec<&'static str>,
    /// `command`, `url` or `notify`.
    pub kind: &'static str,
    /// The program or the host.
    pub target: String,
    /// How it is doing.
    pub standing: Standing,
}

/// What a test came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tested {
    /// Whether it was delivered.
    pub is_delivered: bool,
    /// What the other side said, or why it was not.
    pub said: String,
    /// From its beginning to its answer.
    pub took: Duration,
}

impl Hooks {
    /// Reads what was delivered before. Hooks that are new begin at `now_ms`. Connections are tasks of
    /// `tasks`; all ends with `stop`. Blocks.
    pub fn open(
        settings: Settings,
        secrets: &Secrets,
        tasks: TaskTracker,
        stop: CancellationToken,
        now_ms: i64,
    ) -> Hooks {
        let names = settings.hooks.iter().map(|hook| hook.name.as_str());
        let positions = Positions::open(&settings.state_dir, names, now_ms);
        let needs_tls = settings
            .hooks
            .iter()
            .any(|hook| matches!(&hook.action, Action::Post(endpoint) if is_https(&endpoint.uri)));
        let passed: Vec<_> = settings
            .hooks
            .iter()
            .map(|hook| hook.action.passed(&settings.environment.0))
            .collect();
        let courier = Courier {
            runner: Arc::new(Runner {
                guard: settings.guard,
                environment: settings.environment.0,
                search_path: settings.search_path,
            }),
            poster: Poster::new(needs_tls, tasks, stop.clone()),
            secrets: secrets.clone(),
        };
        let known = settings.hooks.iter().map(|hook| hook.action.secrets());
        let known = known.chain(passed);
        let known = known.filter(|values| !values.is_empty());
        let known = known.map(|values| secrets.know_values(&values)).collect();
        let hooks = settings.hooks.into_iter();
        Hooks {
            inner: Arc::new(Inner {
                hooks: hooks.map(|hook| (hook, Board::default())).collect(),
                courier: Arc::new(courier),
                positions,
                tests: Semaphore::new(TESTS),
                stop,
                _secrets: known,
            }),
        }
    }

    /// Delivers until told to stop, then keeps what was delivered.
    pub async fn run(self, projects: Projects) {
        let mut workers = JoinSet::new();
        for (hook, board) in &self.inner.hooks {
            let worker = Worker {
                hook: hook.clone(),
                board: board.clone(),
                courier: Arc::clone(&self.inner.courier),
                projects: projects.clone(),
                positions: self.inner.positions.clone(),
                stop: self.inner.stop.clone(),
            };
            let span = info_span!("hook", hook.name = hook.name);
            workers.spawn(worker.run().instrument(span));
        }
        let all_ended = async {
            while let Some(ended) = workers.join_next().await {
                if let Err(error) = ended {
                    tracing::error!(%error, "a hook's task has failed");
                }
            }
        };
        tokio::select! {
            () = all_ended => {}
            () = self.inner.positions.keep() => {}
        }
        self.inner.positions.save().await;
    }

    /// All of them, in the order of the configuration.
    pub fn list(&self) -> Vec<Shown> {
        let hooks = self.inner.hooks.iter();
        let shown = hooks.map(|(hook, board)| Shown {
            name: hook.name.clone(),
            on: match hook.on.len() == EVENTS.len() {
                true => vec!["any"],
                false => hook.on.clone(),
            },
            kind: hook.action.kind(),
            target: hook.action.target(),
            standing: board.look(),
        });
        shown.collect()
    }

    /// What does not work as it should; one line each.
    pub fn degraded(&self) -> Vec<String> {
        let hooks = self.inner.hooks.iter();
        let troubles = hooks.filter_map(|(hook, board)| board.lock().trouble(&hook.name));
        troubles.chain(self.inner.positions.trouble()).collect()
    }

    /// Delivers a test now, once; `None` if there is no such hook. A hook that was switched off or
    /// had given up is ready again if that goes well.
    pub async fn test(&self, name: &str) -> Option<Tested> {
        let (hook, board) = self
            .inner
            .hooks
            .iter()
            .find(|(hook, _)| hook.name == name)?;
        // It is never closed.
        let _place = self.inner.tests.acquire().await.ok()?;
        let delivery = Delivery::test(name, now_ms());
        let began = Instant::now();
        let attempt = self
            .inner
            .courier
            .attempt(hook, &delivery, &self.inner.stop);
        let attempt = attempt.await;
        if attempt.is_ok() {
            board.cured();
        }
        Some(Tested {
            is_delivered: attempt.is_ok(),
            said: attempt.unwrap_or_else(|failed: Failed| failed.why().into_owned()),
            took: began.elapsed(),
        })
    }
}
