//! How an invocation was started, as its state folder has it: a row has no room for that.

use std::time::Duration;

use steroids_shim::paths::InvDir;
use steroids_shim::spec::{Budget, Limits, Spec};

use super::Supervisor;

/// Who looks at a row waits no longer for a disk than this.
const WITHIN: Duration = Duration::from_secs(2);

/// What the request and the configuration came to.
#[derive(Debug, Clone)]
pub struct Terms {
    /// The program and its arguments, without secrets.
    pub argv: Vec<String>,
    /// The names of the variables that the request set.
    pub env: Vec<String>,
    /// Time limits.
    pub limits: Limits,
    /// The outcomes after which it is tried again,
    pub retry_on: Vec<String>,
    /// and how often.
    pub retry_max: u32,
    /// What it may use at most.
    pub budget: Option<Budget>,
}

impl Supervisor {
    /// How one was started; `None` where its folder is gone, or does not say.
    pub async fn terms(&self, uuid: &str) -> Option<Terms> {
        let dir = InvDir::new(&self.inner.settings().state_dir, uuid);
        let load = tokio::task::spawn_blocking(move || {
            let spec = Spec::load(&dir).or_else(|_| Spec::load_queued(&dir));
            Some(Terms::from(spec.ok()?))
        });
        tokio::time::timeout(WITHIN, load).await.ok()?.ok()?
    }
}

impl From<Spec> for Terms {
    fn from(spec: Spec) -> Terms {
        let redactor = spec.redactor();
        let shown = |word: &String| redactor.text(word).into_owned();
        Terms {
            argv: spec.argv.iter().map(shown).collect(),
            env: spec.requested.map(|said| said.env).unwrap_or_default(),
            limits: spec.limits,
            retry_on: spec.turn.retry_on,
            retry_max: spec.turn.retry_max,
            budget: spec.budget,
        }
    }
}
