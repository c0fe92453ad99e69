//! What was used today, in all projects: each run counts once, by its name, wherever its row is. One that has
//! ended counts as its database says, one that runs as its job does, and one of a project that was deleted, or
//! is away, as was known last. Kept in `day.json` in the state folder: a restart forgets nothing.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use steroids_shim::durable;
use tracing::{info, warn};

use super::lost::now_ms;
use super::supervisor::{Inner, chain};
use crate::domain::{Spent, UsageTotals};
use crate::projects::Project;

const NAME: &str = "day.json";

/// Runs that are remembered, those first that have used most: more agents than anybody runs on a day, and
/// some 350 KB, which are written at each end of one.
const MOST: usize = 2000;

/// What is remembered of a day.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Contents {
    /// As days since 1970-01-01.
    day: i64,
    /// Of whole databases, as an older steroidsd wrote it; of those of which nothing is known run by run.
    #[serde(default)]
    used: Vec<Used>,
    #[serde(default)]
    runs: Vec<Run>,
}

/// What a database had.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Used {
    project: PathBuf,
    /// Of its newest invocation.
    uuid: String,
    tokens: u64,
    cost_usd: f64,
}

/// What a run used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Run {
    project: PathBuf,
    /// See [`crate::store::RunUsed`].
    name: String,
    tokens: u64,
    cost_usd: f64,
    /// It had not ended, as far as any row said.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_open: bool,
}

impl Run {
    fn running(project: &Path, uuid: &str, usage: &UsageTotals) -> Run {
        let spent = Spent::running(Some(usage));
        Run {
            project: project.to_owned(),
            name: uuid.to_owned(),
            tokens: spent.all_tokens(),
            cost_usd: spent.cost_usd,
            is_open: true,
        }
    }
}

/// All runs of a day, each once.
#[derive(Debug, Default)]
struct Day {
    runs: Vec<Run>,
    /// Those of them that are in no database that answers, and in nobody's care.
    away: Vec<usize>,
}

impl Day {
    /// Adds them up: what databases say of those that have ended comes before what jobs say, and that
    /// before what is remembered.
    fn of(ended: Vec<Run>, running: Vec<Run>, remembered: Vec<Run>) -> Day {
        let mut day = Day::default();
        let mut by_name = HashMap::new();
        for run in ended.into_iter().chain(running) {
            by_name.entry(run.name.clone()).or_insert_with(|| {
                day.runs.push(run);
                day.runs.len() - 1
            });
        }
        for run in remembered {
            match by_name.get(&run.name) {
                // After a restart a job knows at first less than was known before.
                Some(at) if day.runs[*at].is_open => {
                    let known = &mut day.runs[*at];
                    known.tokens = known.tokens.max(run.tokens);
                    known.cost_usd = known.cost_usd.max(run.cost_usd);
                }
                Some(_) => {}
                None => {
                    day.away.push(day.runs.len());
                    day.runs.push(run);
                }
            }
        }
        day
    }

    fn total(&self) -> Spent {
        let mut total = Spent::default();
        for run in &self.runs {
            total.add(&sum(run.tokens, run.cost_usd));
        }
        total
    }
}

fn sum(tokens: u64, cost_usd: f64) -> Spent {
    Spent {
        input_tokens: tokens,
        cost_usd,
        ..Spent::default()
    }
}

/// The day so far.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    kept: Mutex<Kept>,
    /// Held while it is written down.
    file: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Kept {
    contents: Contents,
    is_dirty: bool,
    /// Of these projects it was said that they are away.
    told: HashSet<PathBuf>,
}

impl Ledger {
    /// What a daemon before us has left. A file that cannot be read leaves what the databases say.
    pub(super) fn load(state_dir: &Path) -> Ledger {
        let file = state_dir.join(NAME);
        let contents = match durable::read(&file) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Contents::default()),
            Err(error) => Err(error.to_string()),
            Ok(text) => serde_json::from_slice(&text).map_err(|error| error.to_string()),
        };
        let contents = contents.unwrap_or_else(|error| {
            warn!(path = %file.display(), %error, "what was used today by projects that are away is not known");
            Contents::default()
        });
        Ledger {
            kept: Mutex::new(Kept {
                contents,
                ..Kept::default()
            }),
            file: tokio::sync::Mutex::default(),
        }
    }

    fn of(&self, day: i64) -> Contents {
        let kept = self.lock();
        match kept.contents.day == day {
            true => kept.contents.clone(),
            false => Contents::default(),
        }
    }

    /// Notes what is known of a day, and what is away with how much; says so of each project once.
    fn note(&self, day: i64, mut runs: Vec<Run>, used: Vec<Used>, away: BTreeMap<PathBuf, Spent>) {
        let mut kept = self.lock();
        kept.told.retain(|project| away.contains_key(project));
        for (project, spent) in away {
            let is_news = kept.told.insert(project.clone());
            if is_news {
                info!(
                    project = %project.display(),
                    tokens = spent.all_tokens(),
                    cost_usd = spent.cost_usd,
                    "is away, or has another database; what it used today counts on"
                );
            }
        }
        runs.sort_by(|a, b| {
            let cost = b.cost_usd.total_cmp(&a.cost_usd);
            cost.then(b.tokens.cmp(&a.tokens))
                .then_with(|| a.name.cmp(&b.name))
        });
        runs.truncate(MOST);
        let contents = Contents { day, used, runs };
        if kept.contents != contents {
            kept.contents = contents;
            kept.is_dirty = true;
        }
    }

    /// Notes one that has ended, and of which no row can say so.
    fn note_astray(&self, day: i64, run: Run) {
        let mut kept = self.lock();
        if kept.contents.day != day {
            kept.contents = Contents {
                day,
                ..Contents::default()
            };
        }
        let runs = &mut kept.contents.runs;
        runs.retain(|it| it.name != run.name);
        runs.push(run);
        kept.is_dirty = true;
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // Every change leaves it whole.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// What was used since midnight, and which day that is.
    pub(super) async fn spent_today(&self) -> (i64, Spent) {
        // Of two looks at once the older one must not be what is remembered.
        let _turn = self.turns.take(Path::new(""), "day").await;
        let now = i64::try_from(now_ms()).unwrap_or(i64::MAX);
        let zone = &self.settings().zone;
        let day = zone.day(now);
        // Before the databases: one that ends in between is in both, and counts once.
        let running = self.used_by_running();
        let mut asked = Vec::new();
        let mut ended = Vec::new();
        for project in self.projects.all() {
            // Nobody starts anything meanwhile, in any project.
            let store = &project.store;
            let used = store.promptly(store.used_since(zone.midnight(now)));
            match used.await {
                Ok(used) => ended.extend(used.into_iter().map(|it| Run {
                    project: project.root.clone(),
                    name: it.name,
                    tokens: it.tokens,
                    cost_usd: it.cost_usd,
                    is_open: false,
                })),
                Err(error) => {
                    warn!(project = %project.root.display(), %error, "what was used is not known");
                    continue;
                }
            }
            asked.push(project);
        }
        let Contents { used, runs, .. } = self.ledger.of(day);
        let mut day_so_far = Day::of(ended, running, runs);
        self.drop_ended(&mut day_so_far, &asked).await;
        let mut total = day_so_far.total();
        let mut away: BTreeMap<PathBuf, Spent> = BTreeMap::new();
        for at in &day_so_far.away {
            let run = &day_so_far.runs[*at];
            // Of one that runs no job may know just now.
            let is_served = asked.iter().any(|project| project.root == run.project);
            if !run.is_open || !is_served {
                let known = away.entry(run.project.clone()).or_default();
                known.add(&sum(run.tokens, run.cost_usd));
            }
        }
        let mut kept = Vec::new();
        for it in used {
            if !is_in_one(&it.uuid, &asked).await {
                let spent = sum(it.tokens, it.cost_usd);
                total.add(&spent);
                away.entry(it.project.clone()).or_default().add(&spent);
                kept.push(it);
            }
        }
        self.ledger.note(day, day_so_far.runs, kept, away);
        (day, total)
    }

    /// Of all in our care, with or without a project.
    fn used_by_running(&self) -> Vec<Run> {
        let jobs = self.handles().into_iter();
        let used = jobs.filter_map(|(uuid, job)| {
            let whose = job.whose.get()?;
            let usage = self.used_by(&job)?;
            Some(Run::running(&whose.project, &uuid, &usage))
        });
        used.filter(|run| run.tokens > 0 || run.cost_usd > 0.0)
            .collect()
    }

    /// Drops those that ran when they were noted, and have ended by now with a row that says nothing of them.
    async fn drop_ended(&self, day: &mut Day, asked: &[Arc<Project>]) {
        let mut dropped = HashSet::new();
        for at in day.away.iter().filter(|at| day.runs[**at].is_open) {
            let name = &day.runs[*at].name;
            for project in asked {
                let store = &project.store;
                if let Ok(Some(row)) = store.promptly(store.by_uuid(name)).await
                    && row.phase.is_ended()
                {
                    dropped.insert(name.clone());
                }
            }
        }
        if dropped.is_empty() {
            return;
        }
        let is_away: HashSet<_> = day
            .away
            .iter()
            .map(|at| day.runs[*at].name.clone())
            .collect();
        day.runs.retain(|run| !dropped.contains(&run.name));
        let runs = day.runs.iter().enumerate();
        let still = runs.filter(|(_, run)| is_away.contains(&run.name));
        day.away = still.map(|(at, _)| at).collect();
    }

    /// Notes what one used that has ended without a project, where a day has a budget.
    pub(super) fn count_astray(&self, project: &Path, uuid: &str, usage: Option<UsageTotals>) {
        let settings = self.settings();
        if let Some(usage) = usage
            && !settings.budgets.day.is_none()
        {
            let now = i64::try_from(now_ms()).unwrap_or(i64::MAX);
            let run = Run::running(project, uuid, &usage);
            self.ledger.note_astray(settings.zone.day(now), run);
        }
    }

    /// Writes down what there is to remember. What cannot be written is lost with the daemon, and no
    /// sooner.
    pub(super) async fn keep_ledger(&self) {
        let _turn = self.ledger.file.lock().await;
        let contents = {
            let mut kept = self.ledger.lock();
            if !std::mem::take(&mut kept.is_dirty) {
                return;
            }
            kept.contents.clone()
        };
        let path = self.state_dir.join(NAME);
        let kept = tokio::task::spawn_blocking(move || durable::store(&path, &contents)).await;
        if let Ok(Err(error)) = kept {
            warn!(error = %chain(&error), "what was used today cannot be written down");
            self.ledger.lock().is_dirty = true;
        }
    }
}

/// Whether a database that was asked has this invocation.
async fn is_in_one(uuid: &str, asked: &[Arc<Project>]) -> bool {
    for project in asked {
        let store = &project.store;
        if matches!(store.promptly(store.has(uuid)).await, Ok(true)) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests;
