//! Lifecycle events that a job has recorded, however long the database refuses them: by a task of its own, one
//! after the other. The job goes on meanwhile, and waits for them before it changes the row: whoever reads the
//! events finds them in their order, and once.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::warn;

use super::job::{Job, RETRY};
use super::supervisor::Inner;
use crate::domain::{InvocationId, Stalls};
use crate::projects::Project;
use crate::store::{NewEvent, StoreError};

/// As many wait: an agent that stalls and goes on while nothing can be recorded. What comes then is told as it
/// stands when there is room, or before the row changes.
const MOST: usize = 16;

/// A project's, by device and number.
type Folder = (u64, u64);

/// What is to be told of an invocation.
#[derive(Debug, Clone)]
pub(super) enum News {
    Event(NewEvent),
    /// How near it is to its limits and whom it waits for, as far as the database does not have that.
    Stalls(Stalls),
}

/// Whether all has been told.
#[derive(Debug, Clone)]
enum Word {
    UnderWay,
    /// Not the next one, last time; it is tried again.
    Refused(Arc<StoreError>),
    Told,
}

/// Why something is not told yet.
pub(super) enum Untold {
    Refused(Arc<StoreError>),
    /// The daemon stops; the next one tells what still stands.
    Stops,
}

/// What one invocation's job has told. Dropped, it tells nothing more.
pub(super) struct Announcements {
    queue: mpsc::Sender<Box<(Folder, News)>>,
    word: Arc<watch::Sender<Word>>,
    /// Where its job is.
    home: watch::Sender<Arc<Project>>,
    _end: DropGuard,
}

impl Announcements {
    /// Has this told first.
    pub(super) fn of(
        inner: &Inner,
        id: InvocationId,
        project: &Arc<Project>,
        first: Option<NewEvent>,
    ) -> Announcements {
        let (queue, waiting) = mpsc::channel(MOST);
        let word = Arc::new(watch::Sender::new(Word::Told));
        let (home, its_home) = watch::channel(Arc::clone(project));
        let end = inner.stop.child_token();
        let task = Teller {
            id,
            waiting,
            word: Arc::clone(&word),
            home: its_home,
            end: end.clone(),
        };
        inner.tracker.spawn(task.run());
        let announcements = Announcements {
            queue,
            word,
            home,
            _end: end.drop_guard(),
        };
        if let Some(event) = first {
            // Nothing waits yet, so there is room.
            announcements.tell(News::Event(event));
        }
        announcements
    }

    /// Has it told, and waits for nobody. False if too much waits.
    pub(super) fn tell(&self, news: News) -> bool {
        let mut is_taken = false;
        // A channel has room for many from the first on, and each job has one.
        let news = Box::new((self.home.borrow().folder(), news));
        // In one step: who tells looks whether anything waits under the same lock.
        self.word.send_modify(|word| {
            is_taken = self.queue.try_send(news).is_ok();
            if is_taken && matches!(word, Word::Told) {
                *word = Word::UnderWay;
            }
        });
        is_taken
    }

    /// Its job goes on there: what is not told yet is told there, if that is the folder that it was of.
    pub(super) fn move_to(&self, project: &Arc<Project>) {
        self.home.send_replace(Arc::clone(project));
        self.word.send_if_modified(|word| {
            let is_refused = matches!(word, Word::Refused(_));
            if is_refused {
                *word = Word::UnderWay;
            }
            is_refused
        });
    }

    /// Whether all is told, once that was tried.
    async fn all_told(
        word: Arc<watch::Sender<Word>>,
        stop: CancellationToken,
    ) -> Result<(), Untold> {
        let mut tried = word.subscribe();
        let tried = tried.wait_for(|word| !matches!(word, Word::UnderWay));
        let _ = stop.run_until_cancelled(tried).await;
        match &*word.borrow() {
            Word::Told => Ok(()),
            Word::Refused(error) if !stop.is_cancelled() => Err(Untold::Refused(Arc::clone(error))),
            Word::Refused(_) | Word::UnderWay => Err(Untold::Stops),
        }
    }
}

/// The task.
struct Teller {
    id: InvocationId,
    waiting: mpsc::Receiver<Box<(Folder, News)>>,
    word: Arc<watch::Sender<Word>>,
    home: watch::Receiver<Arc<Project>>,
    end: CancellationToken,
}

impl Teller {
    async fn run(mut self) {
        let end = self.end.clone();
        // What is being written is written wholly or not at all.
        end.run_until_cancelled(async move {
            while let Some(news) = self.waiting.recv().await {
                let (folder, news) = *news;
                self.tell(folder, news).await;
                let waiting = &self.waiting;
                self.word.send_modify(|word| {
                    *word = match waiting.is_empty() {
                        true => Word::Told,
                        false => Word::UnderWay,
                    };
                });
            }
        })
        .await;
    }

    /// Until it is told, or its job goes on in another folder: there nothing is known of what was before.
    async fn tell(&mut self, of: Folder, news: News) {
        let mut is_first = true;
        loop {
            let project = Arc::clone(&self.home.borrow_and_update());
            if project.folder() != of {
                return;
            }
            let error = match record(&project, self.id, news.clone()).await {
                Ok(true) => return project.touch(),
                Ok(false) => return,
                Err(error) => error,
            };
            if std::mem::take(&mut is_first) {
                warn!(invocation.id = %self.id, %error, "lifecycle event not recorded yet");
            }
            // A home that came in the meantime is tried at once, and its job waits for that.
            let home = &self.home;
            self.word.send_if_modified(|word| {
                let is_refused = !home.has_changed().unwrap_or(false);
                if is_refused {
                    *word = Word::Refused(Arc::new(error));
                }
                is_refused
            });
            tokio::select! {
                () = sleep(RETRY) => {}
                // Whoever moves it is gone: then this ends, too.
                _ = self.home.changed() => {}
            }
        }
    }
}

/// Whether there was anything to tell.
async fn record(project: &Project, id: InvocationId, news: News) -> Result<bool, StoreError> {
    match news {
        News::Event(event) => project.store.record(event).await.map(|_number| true),
        News::Stalls(stalls) => project.store.tell_stalls(id, stalls).await,
    }
}

impl Job {
    /// Whether all is told that is to be before the row changes, once that was tried.
    pub(super) async fn has_told(&mut self) -> Result<(), Untold> {
        loop {
            let word = Arc::clone(&self.announcements.word);
            let stop = self.inner.stop.clone();
            self.obeying(Announcements::all_told(word, stop)).await?;
            match self.telling.tell_rest(&self.announcements) {
                None => return Ok(()),
                Some(true) => {}
                // Nothing waits, and still it is not taken: who tells has gone with the daemon.
                Some(false) => return Err(Untold::Stops),
            }
        }
    }
}
