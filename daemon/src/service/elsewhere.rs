//! What runs or waits in projects that cannot be read, in lists of all projects.

use std::sync::Arc;

use steroids_proto::v1;

use super::{Service, bounds};
use crate::domain::Query;
use crate::projects::Project;
use crate::supervise::{Elsewhere, Vitals};

impl Service {
    /// Those that a list of all projects asks for beside the rows of the projects that were read, newest first.
    pub(super) async fn elsewhere(
        &self,
        read: &[Arc<Project>],
        query: &Query,
    ) -> Vec<v1::Invocation> {
        let is_open = |state: &&str| matches!(*state, "queued" | "running");
        let may_be_asked = query.states.is_empty() || query.states.iter().any(is_open);
        if !may_be_asked || !query.outcomes.is_empty() {
            return Vec::new();
        }
        let found = self.supervisor.elsewhere(read).await.into_iter();
        let asked = found.map(shown).filter(|(it, _)| is_asked(query, it));
        let mut asked: Vec<_> = asked.map(|(it, vitals)| self.doing(it, vitals)).collect();
        asked.sort_by_key(|it| std::cmp::Reverse(it.started_at_ms));
        asked
    }
}

/// As its row would tell it, as far as its state folder has it.
fn shown(it: Elsewhere) -> (v1::Invocation, Vitals) {
    let spec = it.spec;
    let made_ms = i64::try_from(spec.created_ms).ok();
    let (state, started_at_ms) = match it.waits {
        true => (v1::State::Queued, None),
        false => (v1::State::Running, made_ms),
    };
    let shown = v1::Invocation {
        id: it.id.get(),
        project: bounds::path(&it.project),
        task_id: bounds::word(spec.task),
        role: bounds::word(spec.role),
        provider: bounds::word(spec.provider),
        model: bounds::word(spec.model),
        state: state.into(),
        started_at_ms,
        queued_at_ms: made_ms.filter(|_| it.waits),
        managed: true,
        uuid: spec.uuid,
        request_id: spec.request_id,
        cwd: bounds::path(&spec.cwd),
        priority: spec.turn.priority,
        ..Default::default()
    };
    (shown, it.vitals)
}

/// Whether a list takes it in. It has not ended, so that it is there since whenever.
fn is_asked(query: &Query, it: &v1::Invocation) -> bool {
    let state = match it.state() {
        v1::State::Queued => "queued",
        _ => "running",
    };
    let is = |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|it| it == found);
    let began = it.started_at_ms.or(it.queued_at_ms).unwrap_or(0);
    (query.states.is_empty() || query.states.contains(&state))
        && is(&query.task, &it.task_id)
        && is(&query.provider, &it.provider)
        && query.until_ms.is_none_or(|until| began < until)
}
