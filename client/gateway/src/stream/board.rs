//! What the overview knows: what runs, what ended lately, the projects, the holds. Each has the version
//! at which it last changed, so that "what is newer than what I saw" is a look at a few numbers,
//! and a viewer that did not look for an hour costs nothing and gets the latest of each.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{SystemTime, UNIX_EPOCH};

use steroids_client::v1;

use super::shown;

/// How many of those that ended are kept.
const RECENT: usize = 50;

/// The states of projects whose rows can be read. Of an end in another one no event tells.
const READ: [&str; 2] = ["ready", "read_only"];

/// The state of those whose rows cannot be read, and may be soon.
const UNREAD: &str = "unusable";

/// What is said of one that ended there.
const UNRECORDED: &str = "it has ended; its log could not be kept, as the project's folder is gone";

/// What is known.
#[derive(Debug, Default)]
pub(super) struct Board {
    version: u64,
    /// When all was learned anew; a viewer that saw less gets everything. 0: never yet.
    begun: u64,
    is_live: bool,
    projects: (u64, Vec<v1::Project>),
    holds: (u64, Vec<v1::Hold>),
    running: BTreeMap<Name, Entry>,
    /// Newest first.
    recent: VecDeque<Entry>,
    /// The newest change that is no longer among the recent.
    forgotten: u64,
}

type Name = (String, i64);

#[derive(Debug, Clone)]
struct Entry {
    version: u64,
    invocation: v1::Invocation,
}

/// What a viewer was told.
#[derive(Debug, Default)]
pub(super) struct Told {
    version: u64,
    is_live: Option<bool>,
    was_away: bool,
}

// === impl Board ===

impl Board {
    /// Grows with every change.
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// The daemon is away; what is known stays.
    pub(super) fn away(&mut self) {
        self.version += 1;
        self.is_live = false;
    }

    /// Everything, as it is now.
    pub(super) fn begin(
        &mut self,
        projects: Vec<v1::Project>,
        running: Vec<v1::Invocation>,
        recent: Vec<v1::Invocation>,
    ) {
        self.version += 1;
        let version = self.version;
        let entry = |invocation| Entry {
            version,
            invocation,
        };
        self.begun = version;
        self.is_live = true;
        self.projects = (version, projects);
        let named = running.into_iter().map(|it| (name(&it), entry(it)));
        self.running = named.collect();
        self.recent = recent.into_iter().take(RECENT).map(entry).collect();
        let ended = |entry: &Entry| std::cmp::Reverse(entry.invocation.completed_at_ms);
        self.recent.make_contiguous().sort_by_key(ended);
    }

    /// What was told of lifecycles and of what runs.
    pub(super) fn take(&mut self, answer: v1::WatchResponse) {
        let told = answer
            .events
            .into_iter()
            .filter_map(|event| event.invocation);
        told.chain(answer.running).for_each(|it| self.put(it));
    }

    /// The projects, as they are now. What ended in one that was forgotten goes with it: nobody can
    /// look at it any more.
    pub(super) fn projects(&mut self, projects: Vec<v1::Project>) {
        if self.projects.1 == projects {
            return;
        }
        self.version += 1;
        let (_, before) = std::mem::replace(&mut self.projects, (self.version, projects));
        let now = &self.projects.1;
        let is_listed = |path: &str| now.iter().any(|it| it.path == path);
        let forgotten = before.into_iter().map(|it| it.path);
        let forgotten: BTreeSet<String> = forgotten.filter(|path| !is_listed(path)).collect();
        let had = self.recent.len();
        self.recent
            .retain(|entry| !forgotten.contains(&entry.invocation.project));
        if self.recent.len() < had {
            // Nothing says that one is gone, but that it is not among all.
            self.begun = self.version;
        }
    }

    /// Of which providers nothing is started, as it is now.
    pub(super) fn holds(&mut self, holds: Vec<v1::Hold>) {
        if self.holds.1 != holds {
            self.version += 1;
            self.holds = (self.version, holds);
        }
    }

    /// Whether something ran, when it was last told of, in a project that is not there any more.
    pub(super) fn has_lost(&self) -> bool {
        let missing = self.missing();
        self.running.keys().any(|(project, _)| missing(project))
    }

    /// Of what ran in projects that are not there only these still run, as they are now: no event
    /// tells of either. Ours that are not among them have ended; how, stands nowhere while the project's
    /// folder is away. What the older tool runs in a project that cannot be read just now is not among
    /// them, and may run; no event tells of it when the project is back.
    pub(super) fn keep(&mut self, now: Vec<v1::Invocation>) {
        let running: BTreeSet<Name> = now.iter().map(name).collect();
        let moved: BTreeSet<String> = now.iter().map(|it| it.uuid.clone()).collect();
        let missing = self.missing();
        let there = now.into_iter().filter(|it| missing(&it.project));
        there.for_each(|it| self.put(it));
        let unread = self.in_state(&[UNREAD]);
        let is_gone = |name: &Name, entry: &Entry| {
            let is_known = entry.invocation.managed || !unread.contains(&name.0);
            missing(&name.0) && is_known && !running.contains(name)
        };
        let gone = self
            .running
            .iter()
            .filter(|(name, entry)| is_gone(name, entry));
        let gone: Vec<Name> = gone.map(|(name, _)| name.clone()).collect();
        if gone.is_empty() {
            return;
        }
        let folderless = self.in_state(&["missing"]);
        for name in &gone {
            match self.running.remove(name) {
                // One that is told under another path goes on there.
                Some(entry)
                    if entry.invocation.managed
                        && folderless.contains(&name.0)
                        && !moved.contains(&entry.invocation.uuid) =>
                {
                    self.put(unrecorded(entry.invocation));
                }
                // Nothing says that one is gone, but that it is not among all.
                _ => {
                    self.version += 1;
                    self.begun = self.version;
                }
            }
        }
    }

    fn missing(&self) -> impl Fn(&str) -> bool + use<> {
        let there = self.in_state(&READ);
        move |path| !there.contains(path)
    }

    /// The paths of the projects that are in one of these.
    fn in_state(&self, states: &[&str]) -> BTreeSet<String> {
        let those = self.projects.1.iter();
        let those = those.filter(|it| states.contains(&&*it.state));
        those.map(|it| it.path.clone()).collect()
    }

    /// One invocation, as it is now.
    pub(super) fn put(&mut self, it: v1::Invocation) {
        let name = name(&it);
        let is_known = |entry: &Entry| entry.invocation == it;
        let is_ended = !matches!(it.state(), v1::State::Running | v1::State::Queued);
        let ended =
            |entry: &Entry| (entry.invocation.project == name.0) && entry.invocation.id == name.1;
        let before = self.recent.iter().position(ended);
        // Ended once is ended: what says otherwise was on its way for longer.
        if self.running.get(&name).is_some_and(is_known)
            || before.is_some_and(|at| !is_ended || is_known(&self.recent[at]))
        {
            return;
        }
        self.version += 1;
        let entry = Entry {
            version: self.version,
            invocation: it,
        };
        if !is_ended {
            self.running.insert(name, entry);
            return;
        }
        self.running.remove(&name);
        match before {
            Some(at) => self.recent[at] = entry,
            None => self.recent.push_front(entry),
        }
        if self.recent.len() > RECENT
            && let Some(gone) = self.recent.pop_back()
        {
            self.forgotten = self.forgotten.max(gone.version);
        }
    }

    /// What a viewer has not been told, oldest change first; and whether the daemon is there.
    /// `None` where nothing is known yet.
    pub(super) fn newer(&self, told: &mut Told) -> (Vec<String>, Option<bool>) {
        let seen = std::mem::replace(&mut told.version, self.version);
        let is_live = (self.version > 0).then_some(self.is_live);
        if self.begun == 0 {
            return (Vec::new(), is_live);
        }
        if seen < self.begun || seen < self.forgotten {
            return (vec![self.snapshot()], is_live);
        }
        let entries = self.running.values().chain(&self.recent);
        let mut newer: Vec<(u64, String)> = entries
            .filter(|entry| entry.version > seen)
            .map(|entry| (entry.version, shown::invocation(&entry.invocation)))
            .collect();
        if self.projects.0 > seen {
            newer.push((self.projects.0, shown::projects(&self.projects.1)));
        }
        if self.holds.0 > seen {
            newer.push((self.holds.0, shown::holds(&self.holds.1)));
        }
        newer.sort_by_key(|(version, _)| *version);
        (
            newer.into_iter().map(|(_, object)| object).collect(),
            is_live,
        )
    }

    fn snapshot(&self) -> String {
        let running = self.running.values().map(|entry| &entry.invocation);
        let recent = self.recent.iter().map(|entry| &entry.invocation);
        shown::snapshot(&self.projects.1, running, recent, &self.holds.1)
    }
}

/// As one that has ended in a project whose folder is away.
fn unrecorded(it: v1::Invocation) -> v1::Invocation {
    v1::Invocation {
        state: v1::State::Failed.into(),
        outcome: "unrecorded".to_owned(),
        error: UNRECORDED.to_owned(),
        completed_at_ms: Some(now_ms()),
        alarm: String::new(),
        live: None,
        ..it
    }
}

/// When it was seen to have ended: nearer to its end than no time at all.
fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}

fn name(it: &v1::Invocation) -> Name {
    (it.project.clone(), it.id)
}

// === impl Told ===

impl Told {
    /// Whether the daemon is there, if that is news.
    pub(super) fn say_live(&mut self, is_live: Option<bool>) -> Option<bool> {
        let is_live = is_live?;
        if self.is_live.replace(is_live) == Some(is_live) {
            return None;
        }
        self.was_away |= !is_live;
        Some(is_live)
    }

    /// True if it was away since this was last asked.
    pub(super) fn was_away(&mut self) -> bool {
        std::mem::take(&mut self.was_away)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn running(id: i64) -> v1::Invocation {
        v1::Invocation {
            id,
            uuid: format!("of-{id}"),
            project: "/p".to_owned(),
            state: v1::State::Running.into(),
            managed: true,
            ..Default::default()
        }
    }

    fn ended(id: i64) -> v1::Invocation {
        v1::Invocation {
            state: v1::State::Completed.into(),
            ..running(id)
        }
    }

    fn kinds(board: &Board, told: &mut Told) -> Vec<String> {
        let (objects, _) = board.newer(told);
        let objects = objects.iter().map(|it| serde_json::from_str(it).unwrap());
        let kind = |it: serde_json::Value| match it["invocation"]["id"].as_i64() {
            Some(id) => id.to_string(),
            None => it["type"].as_str().unwrap().to_owned(),
        };
        objects.map(kind).collect()
    }

    #[test]
    fn a_viewer_gets_everything_once_and_then_what_changes() {
        let (mut board, mut told) = (Board::default(), Told::default());
        assert!(kinds(&board, &mut told).is_empty());
        board.begin(Vec::new(), vec![running(1)], vec![ended(0)]);
        assert_eq!(kinds(&board, &mut told), ["snapshot"]);
        board.put(running(2));
        board.put(running(1));
        assert_eq!(kinds(&board, &mut told), ["2"], "1 is as it was");
        board.put(ended(1));
        board.put(running(1));
        board.projects(vec![v1::Project::default()]);
        board.holds(vec![v1::Hold::default()]);
        assert_eq!(kinds(&board, &mut told), ["1", "projects", "holds"]);
        board.holds(vec![v1::Hold::default()]);
        assert!(kinds(&board, &mut told).is_empty());
        assert_eq!(board.running.len(), 1, "ended once is ended");
    }

    #[test]
    fn what_ended_in_a_project_goes_when_that_is_forgotten() {
        let (mut board, mut told) = (Board::default(), Told::default());
        let project = |path: &str| v1::Project {
            path: path.to_owned(),
            ..Default::default()
        };
        let elsewhere = v1::Invocation {
            project: "/q".to_owned(),
            ..ended(2)
        };
        let recent = vec![ended(1), elsewhere.clone()];
        board.begin(vec![project("/p"), project("/q")], Vec::new(), recent);
        kinds(&board, &mut told);
        board.projects(vec![project("/p"), project("/q"), project("/r")]);
        assert_eq!(kinds(&board, &mut told), ["projects"]);
        board.projects(vec![project("/q")]);
        assert_eq!(kinds(&board, &mut told), ["snapshot"]);
        let left: Vec<_> = board.recent.iter().map(|it| &it.invocation).collect();
        assert_eq!(left, [&elsewhere]);
    }

    #[test]
    fn what_an_older_tool_runs_stays_while_its_project_cannot_be_read() {
        let (mut board, mut told) = (Board::default(), Told::default());
        let project = |state: &str| v1::Project {
            path: "/p".to_owned(),
            state: state.to_owned(),
            ..Default::default()
        };
        let older = v1::Invocation {
            managed: false,
            ..running(2)
        };
        board.begin(vec![project("ready")], vec![running(1), older], Vec::new());
        board.projects(vec![project("unusable")]);
        kinds(&board, &mut told);
        assert!(board.has_lost());
        board.keep(Vec::new());
        let left = |board: &Board| board.running.keys().map(|(_, id)| *id).collect::<Vec<_>>();
        assert_eq!(left(&board), [2], "of ours its state folder tells");
        board.projects(vec![project("missing")]);
        board.keep(Vec::new());
        assert!(left(&board).is_empty());
    }

    #[test]
    fn what_runs_where_no_event_comes_from_is_kept_as_it_is_and_its_end_is_told() {
        let (mut board, mut told) = (Board::default(), Told::default());
        let project = v1::Project {
            path: "/p".to_owned(),
            state: "missing".to_owned(),
            ..Default::default()
        };
        board.begin(vec![project], vec![running(1), running(2)], Vec::new());
        kinds(&board, &mut told);
        let alarmed = v1::Invocation {
            alarm: "it goes on".to_owned(),
            ..running(1)
        };
        board.keep(vec![alarmed.clone(), running(2)]);
        assert_eq!(kinds(&board, &mut told), ["1"]);
        board.keep(vec![running(2)]);
        assert_eq!(kinds(&board, &mut told), ["1"]);
        let ended = &board.recent[0].invocation;
        assert_eq!((ended.id, &*ended.error), (1, UNRECORDED));
        assert!(ended.alarm.is_empty());
        // The folder is back, and its row is final.
        let final_row = v1::Invocation {
            state: v1::State::Completed.into(),
            ..running(1)
        };
        board.put(final_row.clone());
        assert_eq!(board.recent[0].invocation, final_row);
        assert_eq!(board.recent.len(), 1);
    }

    #[test]
    fn what_goes_on_under_another_path_or_in_a_project_that_cannot_be_read_is_not_told_as_ended() {
        let there = |path: &str, state: &str| v1::Project {
            path: path.to_owned(),
            state: state.to_owned(),
            ..Default::default()
        };
        let moved = v1::Invocation {
            project: "/q".to_owned(),
            ..running(1)
        };
        for (state, now) in [("missing", vec![moved]), ("unusable", Vec::new())] {
            let mut board = Board::default();
            let projects = vec![there("/p", state), there("/q", "ready")];
            board.begin(projects, vec![running(1)], Vec::new());
            board.keep(now);
            assert!(
                board.running.is_empty() && board.recent.is_empty(),
                "{state}"
            );
        }
    }

    #[test]
    fn who_missed_too_much_gets_everything() {
        let (mut board, mut told) = (Board::default(), Told::default());
        board.begin(Vec::new(), Vec::new(), Vec::new());
        kinds(&board, &mut told);
        (0..60).for_each(|id| board.put(ended(id)));
        assert_eq!(board.recent.len(), RECENT);
        assert_eq!(kinds(&board, &mut told), ["snapshot"]);
        board.put(ended(99));
        assert_eq!(kinds(&board, &mut told), ["99"]);
    }

    #[test]
    fn after_a_break_everything_is_told_again() {
        let (mut board, mut told) = (Board::default(), Told::default());
        board.begin(Vec::new(), vec![running(1)], Vec::new());
        let (_, is_live) = board.newer(&mut told);
        assert_eq!(told.say_live(is_live), Some(true));
        board.away();
        let (objects, is_live) = board.newer(&mut told);
        assert_eq!((objects.len(), told.say_live(is_live)), (0, Some(false)));
        board.begin(Vec::new(), Vec::new(), vec![ended(1)]);
        let (objects, is_live) = board.newer(&mut told);
        assert_eq!((objects.len(), told.say_live(is_live)), (1, Some(true)));
        assert!(told.was_away() && !told.was_away());
    }
}
