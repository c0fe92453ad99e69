//! What was used, in several projects: by those that have ended, as their rows say, and by those that
//! run, as their jobs say.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use tracing::warn;

use super::Supervisor;
use super::job::JobHandle;
use super::lost::now_ms;
use super::supervisor::Inner;
use crate::domain::{
    Invocation, SpendGroup, SpendKey, SpendQuery, Spending, Spent, UsageTotals, Zone,
};
use crate::projects::Project;

/// Groups that are kept apart, of all projects together; as many as of one.
const GROUPS: usize = 20_000;

/// The sums over a long history are seconds of work; one that takes longer is left out, so that there is an
/// answer while its asker waits (30 s).
const SUMMED_WITHIN: Duration = Duration::from_secs(15);

/// What was used, and where that is not known.
#[derive(Debug, Clone, Default)]
pub struct Account {
    /// The sums.
    pub spending: Spending,
    /// Projects whose databases did not answer.
    pub unread: Vec<PathBuf>,
}

impl Account {
    /// All of it.
    pub fn total(&self) -> Spent {
        let mut total = self.spending.rest;
        for (_, spent) in &self.spending.groups {
            total.add(spent);
        }
        total
    }
}

impl Supervisor {
    /// What the invocations of these projects used. Days are those of the zone, or of this host.
    pub async fn account(
        &self,
        projects: &[Arc<Project>],
        query: &SpendQuery,
        zone: Option<Zone>,
    ) -> Account {
        let zone = zone.unwrap_or_else(|| self.inner.settings().zone.clone());
        self.inner.account(projects, query, &zone).await
    }

    /// Where this host's clock hangs.
    pub fn zone(&self) -> Zone {
        self.inner.settings().zone.clone()
    }

    /// What one that runs used, with its cost as far as that is known.
    pub fn priced(&self, asked: &str, named: Option<&str>, usage: UsageTotals) -> UsageTotals {
        self.inner.settings().prices.priced(asked, named, usage)
    }
}

impl Inner {
    pub(super) async fn account(
        &self,
        projects: &[Arc<Project>],
        query: &SpendQuery,
        zone: &Zone,
    ) -> Account {
        let mut sums = Sums::default();
        let mut unread = Vec::new();
        for project in projects {
            let asked = project.store.used(query.clone(), zone.clone());
            let used = match timeout(SUMMED_WITHIN, asked).await {
                Ok(Ok(used)) => used,
                Err(_elapsed) => {
                    warn!(project = %project.root.display(), "what was used is not known in time");
                    unread.push(project.root.clone());
                    continue;
                }
                Ok(Err(error)) => {
                    warn!(project = %project.root.display(), %error, "what was used is not known");
                    unread.push(project.root.clone());
                    continue;
                }
            };
            let root = project.root.to_string_lossy();
            for (mut group, spent) in used.ended.groups {
                if query.by.contains(&SpendKey::Project) || is_of_project(query) {
                    group.project = Some(root.clone().into_owned());
                }
                sums.add(group, &spent);
            }
            sums.rest.add(&used.ended.rest);
            sums.rest_groups += used.ended.rest_groups;
            let now = i64::try_from(now_ms()).unwrap_or(i64::MAX);
            for mut it in used.open {
                it.answering_model = self.answering_so_far(&it);
                if !query.takes_running(&it, now) {
                    continue;
                }
                let mut group = query.group(&root, &it, zone.day(now));
                if is_of_project(query) {
                    group.project = Some(root.clone().into_owned());
                }
                sums.add(group, &Spent::running(self.used_so_far(&it).as_ref()));
            }
        }
        let spending = Spending {
            groups: sums.groups.into_iter().collect(),
            rest: sums.rest,
            rest_groups: sums.rest_groups,
        };
        Account { spending, unread }
    }

    /// Of one that runs. A sum over its session is not taken: the runs before it are in it, until it
    /// has ended.
    fn used_so_far(&self, it: &Invocation) -> Option<UsageTotals> {
        self.used_by(&self.job(&it.managed.as_ref()?.uuid)?)
    }

    /// The model of one that runs.
    fn answering_so_far(&self, it: &Invocation) -> Option<String> {
        let job = self.job(&it.managed.as_ref()?.uuid)?;
        job.vitals()?.live?.answering_model.clone()
    }

    pub(super) fn used_by(&self, job: &JobHandle) -> Option<UsageTotals> {
        let live = job.vitals()?.live?;
        let (usage, named) = (live.usage?, live.answering_model.as_deref());
        let asked = &job.whose.get()?.model;
        (!usage.cumulative).then(|| self.settings().prices.priced(asked, named, usage))
    }
}

/// Ids of tasks and invocations say something in their own project alone.
fn is_of_project(query: &SpendQuery) -> bool {
    let is = |key: &SpendKey| matches!(key, SpendKey::Task | SpendKey::Invocation);
    query.by.iter().any(is)
}

/// Of all projects.
#[derive(Default)]
struct Sums {
    groups: HashMap<SpendGroup, Spent>,
    rest: Spent,
    rest_groups: u64,
}

impl Sums {
    fn add(&mut self, group: SpendGroup, spent: &Spent) {
        let is_full = self.groups.len() >= GROUPS;
        match self.groups.get_mut(&group) {
            Some(sum) => sum.add(spent),
            None if is_full => {
                self.rest.add(spent);
                self.rest_groups += 1;
            }
            None => {
                self.groups.insert(group, *spent);
            }
        }
    }
}
