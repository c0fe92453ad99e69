//! What is shown and what keys do, without any input or output: news and keys go in, and what is
//! to be done for them comes out.
//!
//! ```text
//!   List ──/──> Filter      List ──s──> Confirm      List ──?──> Help
//!     │  <─Enter, Esc─┘       │  <──y, any──┘           │ <──any──┘
//!     └──Enter──> Log ──s──> Confirm        Log ──Esc──> List
//! ```

use std::collections::{BTreeMap, BTreeSet};

use steroids_client::v1;

use super::log::Log;
use super::row::{self, Key, Sort, Standing};
use crate::clean::clean_line;
use crate::format;

/// Longest text that is sought: more than a line holds.
const LONGEST_FILTER: usize = 200;

/// What somebody outside has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ask {
    Quit,
    /// Ctrl-Z.
    Suspend,
    /// Draw everything anew, whatever the terminal shows.
    Repaint,
    /// Follow this one's log; what comes of it is marked with the number.
    Follow(Key, u64),
    /// Nobody looks at the log any more.
    Unfollow,
    Stop(Key),
}

/// What came from the daemon.
#[derive(Debug)]
pub(super) enum News {
    /// A watch has begun: what was known is out of date, and what runs follows.
    Joined,
    Watched(v1::WatchResponse),
    /// The daemon cannot be asked; trying goes on.
    Away(String),
    /// It was asked, and its answer takes longer than one should.
    Overdue,
    Status(Box<v1::StatusResponse>),
    /// Those that wait, with their places as they are now.
    Queue(Vec<v1::Invocation>),
    /// What no event tells of.
    Untold(Untold),
    /// Of the log with this number.
    Log(u64, LogNews),
    /// What came of a stop.
    Stopped(Key, Result<String, String>),
}

/// What runs and waits in projects that are gone or cannot be read, all of it.
#[derive(Debug, Default)]
pub(super) struct Untold {
    pub(super) invocations: Vec<v1::Invocation>,
    /// These projects.
    pub(super) projects: Vec<String>,
}

/// What came of a log that is followed.
#[derive(Debug)]
pub(super) enum LogNews {
    /// So many lines before the first are passed over.
    Passed(u64),
    Events(Vec<v1::Event>),
    Live,
    /// The stream broke, or the daemon is away; it goes on when it can.
    Broken(String),
    /// The log has ended.
    Ended,
    Refused(String),
}

/// What keys go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mode {
    List,
    /// What is typed is sought.
    Filter,
    /// Whether this one shall be stopped.
    Confirm(Key),
    Help,
}

/// One line about what just happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) text: String,
    pub(super) is_bad: bool,
}

/// Everything that is shown.
pub(super) struct App {
    /// The one that is shown; `None`: all.
    pub(super) project: Option<String>,
    pub(super) mode: Mode,
    pub(super) sort: Sort,
    pub(super) is_reversed: bool,
    pub(super) filter: String,
    pub(super) message: Option<Message>,
    pub(super) status: Option<v1::StatusResponse>,
    /// Since when the daemon is away, in epoch milliseconds, and why.
    pub(super) away: Option<(i64, String)>,
    /// Since when nothing came of it, where an answer is overdue, in epoch milliseconds.
    pub(super) late: Option<i64>,
    // When something came of it last.
    answered: i64,
    /// The log that is looked at, and its number.
    pub(super) log: Option<(Log, u64)>,
    /// The load of this machine, as the kernel words it.
    pub(super) load: String,
    /// Rows that fit on the screen, as it was last drawn.
    pub(super) page: usize,
    rows: BTreeMap<Key, v1::Invocation>,
    /// Rows of which no event has told.
    untold: BTreeSet<Key>,
    stopping: BTreeSet<Key>,
    selected: Option<Key>,
    /// Where the selected row stood: who takes its place is selected when it goes.
    at: usize,
    logs: u64,
    pub(super) now: i64,
}

impl App {
    pub(super) fn new(project: Option<String>, now: i64) -> App {
        App {
            project,
            mode: Mode::List,
            sort: Sort::State,
            is_reversed: false,
            filter: String::new(),
            message: None,
            status: None,
            away: None,
            late: None,
            answered: now,
            log: None,
            load: String::new(),
            page: 1,
            rows: BTreeMap::new(),
            untold: BTreeSet::new(),
            stopping: BTreeSet::new(),
            selected: None,
            at: 0,
            logs: 0,
            now,
        }
    }

    /// How one stands.
    pub(super) fn standing(&self, it: &v1::Invocation) -> Standing {
        let held = self.status.as_ref().map_or(&[][..], |status| &status.holds);
        row::standing(it, held, self.stopping.contains(&Key::of(it)))
    }

    /// The rows that are shown, in order.
    pub(super) fn shown(&self) -> Vec<&v1::Invocation> {
        let sought = |it: &&v1::Invocation| {
            self.filter.is_empty()
                || row::matches(it, self.standing(it).word(), &self.filter, self.now)
        };
        let (mut waiting, mut running): (Vec<_>, Vec<_>) = self
            .rows
            .values()
            .filter(sought)
            .partition(|it| self.standing(it).waits());
        running.sort_by(|one, other| {
            let by = match self.sort {
                Sort::State => self.standing(one).cmp(&self.standing(other)),
                _ => std::cmp::Ordering::Equal,
            };
            by.then_with(|| self.sort.order(one, other))
        });
        if self.is_reversed {
            running.reverse();
        }
        waiting.sort_by(|one, other| row::queue_order(one, other));
        running.extend(waiting);
        running
    }

    /// All there are, also those that the filter hides.
    pub(super) fn rows(&self) -> impl Iterator<Item = &v1::Invocation> {
        self.rows.values()
    }

    /// How many there are in all, also those that the filter hides.
    pub(super) fn count(&self) -> usize {
        self.rows.len()
    }

    /// How many stand so.
    pub(super) fn standing_so(&self, standing: Standing) -> usize {
        let so = |it: &&v1::Invocation| self.standing(it) == standing;
        self.rows.values().filter(so).count()
    }

    /// One of the rows.
    pub(super) fn row(&self, key: &Key) -> Option<&v1::Invocation> {
        self.rows.get(key)
    }

    /// Where the selected row is among those shown.
    pub(super) fn selected(&self, shown: &[&v1::Invocation]) -> Option<usize> {
        let last = shown.len().checked_sub(1)?;
        let found = self.selected.as_ref().and_then(|key| {
            let is_it = |it: &&v1::Invocation| it.id == key.id && it.project == key.project;
            shown.iter().position(is_it)
        });
        Some(found.unwrap_or(self.at.min(last)))
    }

    fn selected_key(&self) -> Option<Key> {
        let shown = self.shown();
        self.selected(&shown).map(|at| Key::of(shown[at]))
    }

    /// Selects the row so many further; it stops at either end.
    pub(super) fn select_by(&mut self, by: isize) {
        let shown = self.shown();
        let Some(at) = self.selected(&shown) else {
            return;
        };
        let at = at.saturating_add_signed(by).min(shown.len() - 1);
        let key = Key::of(shown[at]);
        self.at = at;
        self.selected = Some(key);
    }

    /// True while there is a time that grows on the screen.
    pub(super) fn has_ages(&self) -> bool {
        let is_absent = self.away.is_some() || self.late.is_some();
        is_absent || !self.rows.is_empty() || self.status.is_some()
    }

    /// Takes in what came; true if it can be seen.
    pub(super) fn hear(&mut self, news: News) {
        if matches!(
            news,
            News::Joined | News::Watched(_) | News::Status(_) | News::Queue(_)
        ) {
            self.answered = self.now;
            self.late = None;
        }
        match news {
            News::Joined => {
                self.rows.clear();
                self.untold.clear();
                self.away = None;
            }
            News::Watched(told) => self.watched(told),
            News::Away(why) => {
                let before = self.away.take().map(|(since, _)| since);
                let since = before.or(self.late).unwrap_or(self.now);
                self.away = Some((since, clean_line(&why)));
            }
            News::Overdue => {
                self.late.get_or_insert(self.answered);
            }
            News::Status(status) => self.status = Some(*status),
            News::Queue(waiting) => self.places(waiting),
            News::Untold(untold) => self.all_untold(untold),
            News::Log(number, news) => {
                if let Some((log, open)) = &mut self.log
                    && *open == number
                {
                    log.hear(news);
                }
            }
            News::Stopped(key, came) => {
                self.stopping.remove(&key);
                self.message = Some(match came {
                    Ok(text) => Message {
                        text,
                        is_bad: false,
                    },
                    Err(text) => Message { text, is_bad: true },
                });
            }
        }
        self.settle();
    }

    fn watched(&mut self, told: v1::WatchResponse) {
        for event in told.events {
            if matches!(&*event.kind, "budget" | "stalled" | "waiting") {
                let id = event.invocation_id.unwrap_or_default();
                self.message = Some(Message {
                    text: clean_line(&format!("invocation {id}: {}", event.message)),
                    is_bad: true,
                });
            }
            if let Some(it) = event.invocation {
                self.put(it);
            }
        }
        for it in told.running {
            self.put(it);
        }
    }

    fn put(&mut self, it: v1::Invocation) {
        let key = Key::of(&it);
        self.untold.remove(&key);
        if format::is_open(&it) {
            self.rows.insert(key, it);
        } else {
            self.has_ended(&key, format::standing(&it));
        }
    }

    fn has_ended(&mut self, key: &Key, how: &str) {
        self.rows.remove(key);
        if let Some((log, _)) = &mut self.log
            && log.key() == key
        {
            log.ended = Some(clean_line(how));
        }
    }

    /// Of ours in these projects those that are not among all have ended; so have those of which an event would
    /// tell by now, as their project is back.
    fn all_untold(&mut self, untold: Untold) {
        let before = std::mem::take(&mut self.untold);
        let mut listed = BTreeSet::new();
        for it in untold.invocations {
            let key = Key::of(&it);
            // Of one that is listed because a disk was slow once, events go on to tell.
            if before.contains(&key) || !self.rows.contains_key(&key) {
                self.untold.insert(key.clone());
            }
            self.rows.insert(key.clone(), it);
            listed.insert(key);
        }
        let over = |(key, it): &(&Key, &v1::Invocation)| {
            let is_away = it.managed && untold.projects.contains(&key.project);
            (is_away || before.contains(key)) && !listed.contains(key)
        };
        let over: Vec<_> = self.rows.iter().filter(over).collect();
        let over: Vec<Key> = over.into_iter().map(|(key, _)| key.clone()).collect();
        for key in over {
            self.has_ended(&key, "its project is away");
        }
    }

    /// Only places: of what started meanwhile an event has told, or will.
    fn places(&mut self, waiting: Vec<v1::Invocation>) {
        for it in waiting {
            if let Some(row) = self.rows.get_mut(&Key::of(&it))
                && row.state == it.state
            {
                row.place = it.place;
                row.waiting = it.waiting;
            }
        }
    }

    /// Keeps the selection on its row, and where that has gone, at its place.
    fn settle(&mut self) {
        let shown = self.shown();
        let at = self.selected(&shown);
        let key = at.map(|at| Key::of(shown[at]));
        if self.selected.is_some() || key.is_none() {
            self.selected = key;
        }
        self.at = at.unwrap_or(0);
    }

    /// Opens the log of the selected one.
    pub(super) fn open(&mut self) -> Option<Ask> {
        let key = self.selected_key()?;
        let it = self.rows.get(&key)?;
        self.logs += 1;
        self.log = Some((Log::new(it), self.logs));
        self.message = None;
        Some(Ask::Follow(key, self.logs))
    }

    /// Back to the list.
    pub(super) fn close(&mut self) -> Option<Ask> {
        self.message = None;
        self.log.take().map(|_| Ask::Unfollow)
    }

    /// Asks whether the one that is looked at shall be stopped.
    pub(super) fn ask_to_stop(&mut self) {
        let key = match &self.log {
            Some((log, _)) => Some(log.key().clone()),
            None => self.selected_key(),
        };
        let Some(key) = key.filter(|key| self.rows.contains_key(key)) else {
            let text = if self.log.is_some() {
                "it has ended"
            } else {
                "there is none to stop"
            };
            self.say(text);
            return;
        };
        self.message = None;
        self.mode = Mode::Confirm(key);
    }

    /// Stops it.
    pub(super) fn stop(&mut self, key: Key) -> Ask {
        self.stopping.insert(key.clone());
        self.say(&format!("stopping invocation {} …", key.id));
        Ask::Stop(key)
    }

    /// Looks at the next column, or the one before, for the order.
    pub(super) fn sort_by(&mut self, sort: Sort) {
        self.sort = sort;
        self.settle();
    }

    /// Changes what is sought.
    pub(super) fn seek(&mut self, change: impl FnOnce(&mut String)) {
        change(&mut self.filter);
        let end = self.filter.floor_char_boundary(LONGEST_FILTER);
        self.filter.truncate(end);
        self.settle();
    }

    pub(super) fn say(&mut self, text: &str) {
        self.message = Some(Message {
            text: text.to_owned(),
            is_bad: false,
        });
    }
}

#[cfg(test)]
pub(super) mod tests;
