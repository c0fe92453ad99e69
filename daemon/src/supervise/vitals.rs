//! How those that run are doing, as their jobs publish it, for whoever shows them.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use steroids_shim::spec::Budget;
use steroids_shim::tree::Load;
use tokio::sync::watch;
use tokio::time::timeout;

use super::Supervisor;
use super::audience::Onlooker;
use super::job::{Home, JobHandle, Progress};
use super::link::ENDING;
use super::supervisor::Entry;
use crate::domain::queue::Waits;
use crate::domain::{InvocationId, Live};
use crate::projects::Project;

/// A sync of the log and one transaction; longer means a disk or a database that refuses.
const ROW_WITHIN: Duration = Duration::from_secs(2);

/// How a running invocation is doing.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Vitals {
    /// What a person should know.
    pub alarm: Option<String>,
    /// What it did so far; `None` until its log was looked at.
    pub live: Option<Arc<Live>>,
    /// Where it stands among those that wait.
    pub waits: Option<Waits>,
    /// What its shim says of it, which the log cannot: this is what it waits for.
    pub held: Option<Held>,
    /// Where it runs, and what it uses there.
    pub place: Place,
    /// It was started to take messages, and its input is open.
    pub interactive: bool,
}

impl Vitals {
    /// The same, now that nothing of it is left: it uses nothing, and waits for its row since it was told to end, or
    /// ended by itself.
    pub(super) fn of_ended(mut self, ended_ms: u64) -> Vitals {
        let live = self.live.as_deref();
        let told = live.filter(|live| live.waits_for == ENDING);
        let ended_ms = i64::try_from(ended_ms).unwrap_or(i64::MAX);
        self.held = Some(Held {
            why: ENDING,
            since_ms: Some(told.map_or(ended_ms, |live| live.waits_since_ms)),
        });
        self.place.load = None;
        self.place.cpu_percent = None;
        self
    }
}

/// Where an invocation runs, and what it uses there, by its shim's word.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Place {
    /// Of the user's service manager.
    pub unit: Option<Arc<str>>,
    /// `None` until it was looked at.
    pub load: Option<Load>,
    /// Of one processor, in percent; `None` until it was looked at twice.
    pub cpu_percent: Option<f64>,
}

/// Why nothing comes, by the shim's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// `output_blocked`, `ending`.
    pub why: &'static str,
    /// In epoch milliseconds, where it said so.
    pub since_ms: Option<i64>,
}

/// Which invocation a job has in its care.
#[derive(Debug, Clone)]
pub(super) struct Whose {
    pub(super) project: Arc<Path>,
    pub(super) id: InvocationId,
    pub(super) task: Arc<str>,
    pub(super) model: Arc<str>,
    pub(super) budget: Option<Budget>,
    /// By its request: any budget that is reached ends it, not its own alone.
    pub(super) stops: bool,
    pub(super) interactive: bool,
}

/// One running invocation, and how it is doing.
#[derive(Debug, Clone)]
pub struct Beat {
    /// Path of its project.
    pub project: Arc<Path>,
    /// Its id there.
    pub id: InvocationId,
    /// How it is doing.
    pub vitals: Vitals,
}

impl Supervisor {
    /// How a running invocation is doing; of one that is not in our care, why it is not, or nothing.
    pub fn vitals(&self, uuid: &str) -> Vitals {
        let handle = self.inner.job(uuid);
        let vitals = handle.and_then(|handle| handle.vitals());
        let vitals = vitals.map(|vitals| self.alarmed(uuid, vitals));
        vitals.unwrap_or_else(|| Vitals {
            alarm: self.inner.foreign.protocol(uuid).map(foreign),
            live: None,
            waits: self.inner.line.waits(uuid),
            held: None,
            place: Place::default(),
            interactive: false,
        })
    }

    /// Where its shim has nothing to say, what we cannot do for it.
    fn alarmed(&self, uuid: &str, vitals: Vitals) -> Vitals {
        let alarm = vitals.alarm.or_else(|| self.inner.troubles.alarm(uuid));
        Vitals { alarm, ..vitals }
    }

    /// Waits for the row of an invocation whose log may have its last line already, for at most as
    /// long as that should take: who has seen that line is then not told that it runs.
    pub async fn settled(&self, uuid: &str) {
        if let Some(handle) = self.inner.job(uuid) {
            // In time or not: the row says what is true.
            let _ = timeout(ROW_WITHIN, handle.settled()).await;
        }
    }

    /// The same of all in these projects. What is known for not being able to end keeps nobody
    /// waiting.
    pub async fn all_settled(&self, projects: &[Arc<Project>]) {
        let handles = self.inner.handles().into_iter();
        let ending = handles.filter(|(uuid, handle)| {
            handle.is_ending() && handle.is_of(projects) && !self.inner.troubles.has(uuid)
        });
        let settled = ending.map(|(_, handle)| handle.settled());
        let _ = timeout(ROW_WITHIN, join_all(settled)).await;
    }

    /// How all of them are doing, in no order.
    pub fn beats(&self) -> Vec<Beat> {
        let jobs = self.inner.handles().into_iter();
        let running = jobs.filter_map(|(uuid, handle)| {
            Some(Beat {
                project: handle.path()?,
                id: handle.whose.get()?.id,
                vitals: self.alarmed(&uuid, handle.vitals()?),
            })
        });
        let waiting = self.inner.line.waiting().into_iter();
        let waiting = waiting.map(|(uuid, project, id)| Beat {
            project,
            id,
            vitals: Vitals {
                waits: self.inner.line.waits(&uuid),
                ..Vitals::default()
            },
        });
        running.chain(waiting).collect()
    }

    /// As long as the answer is held, what they use is asked for each few seconds; otherwise less often
    /// the longer they are silent.
    pub fn look_on(&self) -> Onlooker {
        self.inner.audience.join()
    }

    /// Grows when one of them is doing otherwise than before.
    pub fn beating(&self) -> watch::Receiver<u64> {
        self.inner.beats()
    }
}

/// The alarm of an invocation whose shim speaks another protocol.
pub(super) fn foreign(proto: u32) -> String {
    format!(
        "foreign shim: it speaks protocol {proto}, which this steroidsd does not know; it is left alone, \
         and its row and log go on when a steroidsd that knows it is back"
    )
}

impl Entry {
    /// Says where the project of its job is.
    pub(super) fn has_home(&self, folder: (u64, u64), path: &Path) {
        let path: Arc<Path> = Arc::from(path);
        self.inner.line.runs_in(self.uuid(), folder, &path);
        *locked(&self.handle.home) = Some(Home { folder, path });
    }
}

/// A copy is valid whatever panicked while it was held.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl JobHandle {
    /// In which folder its project is; `None` before there is a job.
    pub(super) fn home(&self) -> Option<(u64, u64)> {
        locked(&self.home).as_ref().map(|home| home.folder)
    }

    /// The path that its project has now, as far as known; `None` before there is a job.
    pub(super) fn path(&self) -> Option<Arc<Path>> {
        locked(&self.home)
            .as_ref()
            .map(|home| Arc::clone(&home.path))
    }

    fn is_ending(&self) -> bool {
        matches!(&*self.progress.borrow(), Progress::Ending(_))
    }

    fn is_of(&self, projects: &[Arc<Project>]) -> bool {
        let path = self.path();
        path.is_some_and(|path| projects.iter().any(|it| it.root == *path))
    }

    /// Waits while it is ending.
    async fn settled(mut self) {
        let is_settled = |progress: &Progress| !matches!(progress, Progress::Ending(_));
        // Or it is gone with its end.
        let _ = self.progress.wait_for(is_settled).await;
    }

    /// `None` once it has ended.
    pub(super) fn vitals(&self) -> Option<Vitals> {
        match &*self.progress.borrow() {
            Progress::Running(vitals) => {
                let is_closed = vitals.live.as_ref().is_some_and(|live| live.input_closed);
                let was_open = self.whose.get().is_some_and(|whose| whose.interactive);
                Some(Vitals {
                    interactive: was_open && !is_closed,
                    ..vitals.clone()
                })
            }
            Progress::Ending(vitals) => Some(vitals.clone()),
            Progress::Ended(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_ended_uses_nothing_and_is_ending_since_its_end_or_since_it_was_told_to() {
        let vitals = |waits_for| Vitals {
            live: Some(Arc::new(Live {
                waits_for,
                waits_since_ms: 5,
                ..Live::default()
            })),
            place: Place {
                load: Some(Load {
                    cpu_ms: 1,
                    memory_bytes: 2,
                    processes: 3,
                }),
                cpu_percent: Some(3.0),
                ..Place::default()
            },
            ..Vitals::default()
        };
        let ended = vitals("").of_ended(9);
        let held = |since| {
            Some(Held {
                why: ENDING,
                since_ms: Some(since),
            })
        };
        assert_eq!((ended.held, ended.place), (held(9), Place::default()));
        assert_eq!(vitals(ENDING).of_ended(9).held, held(5));
    }
}
