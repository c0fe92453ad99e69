//! What was used today, in all projects: as their databases say, and of a project that was deleted, or
//! is away, as its database said last. Kept in `day.json` in the state folder: a restart forgets nothing.
//!
//! A database is known again by an invocation that it has: a project that was moved counts once, and of
//! a new database in an old place what the one before it had counts on, until its rows are back.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use steroids_shim::durable;
use tracing::{info, warn};

use super::lost::now_ms;
use super::supervisor::{Inner, chain};
use crate::domain::{SpendKey, SpendQuery, Spent};
use crate::projects::Project;
use crate::store::StoreError;

const NAME: &str = "day.json";

/// Databases that are remembered, those first that have used most: more than anybody has on a day, and
/// some 200 KB.
const MOST: usize = 1000;

/// What is remembered of a day.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Contents {
    /// As days since 1970-01-01.
    day: i64,
    used: Vec<Used>,
}

/// What a database had, when it was asked last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Used {
    project: PathBuf,
    /// Of its newest invocation.
    uuid: String,
    tokens: u64,
    cost_usd: f64,
}

impl Used {
    /// What it had beyond what was counted elsewhere.
    fn beyond(&self, counted: Option<&Spent>) -> Spent {
        let (tokens, cost) = counted.map_or((0, 0.0), |it| (it.all_tokens(), it.cost_usd));
        Spent {
            input_tokens: self.tokens.saturating_sub(tokens),
            cost_usd: (self.cost_usd - cost).max(0.0),
            ..Spent::default()
        }
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
    /// Of these it was said that they are away.
    told: Vec<String>,
}

impl Ledger {
    /// What a daemon before us has left. A file that cannot be read leaves what the databases say.
    pub(super) fn load(state_dir: &Path) -> Ledger {
        let file = state_dir.join(NAME);
        let contents = match std::fs::read(&file) {
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

    fn of(&self, day: i64) -> Vec<Used> {
        let kept = self.lock();
        if kept.contents.day != day {
            return Vec::new();
        }
        kept.contents.used.clone()
    }

    /// Notes what the databases have, and what those had that are away; says so of each once.
    fn note(&self, day: i64, there: Vec<Used>, away: Vec<Used>) {
        let mut kept = self.lock();
        kept.told
            .retain(|uuid| away.iter().any(|it| it.uuid == *uuid));
        for it in &away {
            if !kept.told.contains(&it.uuid) {
                kept.told.push(it.uuid.clone());
                info!(
                    project = %it.project.display(),
                    tokens = it.tokens,
                    cost_usd = it.cost_usd,
                    "is away, or has another database; what it used today counts on"
                );
            }
        }
        let mut used = there;
        used.extend(away);
        used.sort_by(|a, b| {
            let cost = b.cost_usd.total_cmp(&a.cost_usd);
            cost.then(b.tokens.cmp(&a.tokens))
                .then_with(|| a.uuid.cmp(&b.uuid))
        });
        used.truncate(MOST);
        let contents = Contents { day, used };
        if kept.contents != contents {
            kept.contents = contents;
            kept.is_dirty = true;
        }
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
        let zone = &self.settings().zone;
        let now = i64::try_from(now_ms()).unwrap_or(i64::MAX);
        let day = zone.day(now);
        let query = SpendQuery {
            since_ms: Some(zone.midnight(now)),
            by: vec![SpendKey::Project],
            ..SpendQuery::default()
        };
        let mut asked = self.projects.all();
        let account = self.account(&asked, &query, zone).await;
        let mut total = account.total();
        asked.retain(|project| !account.unread.contains(&project.root));
        let groups = account.spending.groups.into_iter();
        let sums: HashMap<_, _> = groups
            .filter_map(|(group, spent)| Some((group.project?, spent)))
            .collect();
        let mut there = Vec::new();
        for project in &asked {
            let spent = sums.get(&*project.root.to_string_lossy());
            there.extend(used(project, spent).await);
        }
        let mut away = Vec::new();
        for known in self.ledger.of(day) {
            if !is_in_one(&known, &asked).await {
                // A new database in its place, or an older copy, has part of it again.
                let home = asked.iter().find(|project| project.root == known.project);
                let there = home.and_then(|home| sums.get(&*home.root.to_string_lossy()));
                total.add(&known.beyond(there));
                away.push(known);
            }
        }
        self.ledger.note(day, there, away);
        (day, total)
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

/// What is to be remembered of a project, if it has used something.
async fn used(project: &Project, spent: Option<&Spent>) -> Option<Used> {
    let spent = spent.filter(|spent| spent.all_tokens() > 0 || spent.cost_usd > 0.0)?;
    // Without one of ours nobody could tell the database from another.
    let uuid = project.store.newest_uuid().await.ok()??;
    Some(Used {
        project: project.root.clone(),
        uuid,
        tokens: spent.all_tokens(),
        cost_usd: spent.cost_usd,
    })
}

/// Whether a database that was asked is the one of which this is known.
async fn is_in_one(known: &Used, asked: &[Arc<Project>]) -> bool {
    let at_home = |project: &&Arc<Project>| project.root == known.project;
    let home = asked.iter().find(at_home);
    for project in home.into_iter().chain(asked) {
        let has: Result<bool, StoreError> = project.store.has(&known.uuid).await;
        // It was asked a moment ago: what it had then is counted.
        if has.unwrap_or(at_home(&project)) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_new_database_has_of_an_old_one_counts_once() {
        let known = Used {
            project: PathBuf::from("/p"),
            uuid: "u".to_owned(),
            tokens: 500,
            cost_usd: 6.0,
        };
        let counted = |tokens, cost_usd| Spent {
            input_tokens: tokens,
            cost_usd,
            ..Spent::default()
        };
        let beyond = |there: Option<Spent>| {
            let beyond = known.beyond(there.as_ref());
            (beyond.all_tokens(), beyond.cost_usd)
        };
        assert_eq!(beyond(None), (500, 6.0));
        assert_eq!(beyond(Some(counted(400, 5.0))), (100, 1.0));
        assert_eq!(beyond(Some(counted(700, 7.0))), (0, 0.0));
    }
}
