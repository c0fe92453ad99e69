//! `GET /api/overview/stream`: what runs now, what ended lately and what is held, in all projects. One upstream
//! for all viewers; what it tells is kept as the latest of each, so that a viewer is a version
//! number and gets what is newer, however long it did not look.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use steroids_client::{Backoff, v1};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::{Code, Status};

use super::Streams;
use super::board::{Board, Told};
use super::body::{EventBody, Outlet};
use super::frame::{comment, object};
use crate::Daemon;
use crate::answer::Answer;

/// How often running invocations are told anew, at most.
const PULSE: Duration = Duration::from_secs(1);
/// No event tells of a project that was registered, nor of a hold for which nothing waits; somebody looks
/// at the lists meanwhile.
const LISTS_POLL: Duration = Duration::from_secs(5);
/// What is shown as running.
const GOING: [v1::State; 2] = [v1::State::Running, v1::State::Queued];
/// What one page of a list holds; of running invocations there are fewer.
const PAGE: i32 = 1000;
/// What is kept of those that ended.
const RECENT: i32 = 50;

/// The overview of everything. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Overview {
    daemon: Daemon,
    tasks: TaskTracker,
    stop: CancellationToken,
    // Held for a look or a change, never while waiting.
    hub: Arc<Mutex<Weak<Hub>>>,
}

/// What viewers share; its upstream ends when the last of them has left.
#[derive(Debug)]
struct Hub {
    board: Arc<Mutex<Board>>,
    news: watch::Receiver<u64>,
    // Closed with the hub, which the upstream notices.
    _viewers: watch::Sender<()>,
}

/// The upstream's side of it.
struct Upstream {
    daemon: Daemon,
    board: Arc<Mutex<Board>>,
    news: watch::Sender<u64>,
}

pub(super) async fn stream(State(streams): State<Streams>) -> Result<Response, Answer> {
    let place = streams.place()?;
    let guard = streams.metrics.stream_opened("overview");
    let hub = streams.overview.join();
    let body = EventBody::new(
        streams.metrics.clone(),
        streams.stopped(),
        |outlet| async move {
            let _open = (place, guard);
            show(hub, outlet).await;
        },
    );
    Ok(body.into_answer())
}

/// Hands on what is newer, again and again.
async fn show(hub: Arc<Hub>, outlet: Outlet) {
    let mut news = hub.news.clone();
    let mut told = Told::default();
    loop {
        news.mark_unchanged();
        let (objects, is_live) = lock(&hub.board).newer(&mut told);
        let is_back = told.say_live(is_live);
        if is_back == Some(false) {
            outlet.note(comment(": daemon away\n\n")).await;
        }
        if is_back == Some(true) && told.was_away() {
            outlet.note(comment(": daemon back\n\n")).await;
        }
        for it in objects {
            outlet.frames(object(&it), 1).await;
        }
        if is_back == Some(true) {
            outlet.note(comment(": live\n\n")).await;
        }
        if news.changed().await.is_err() {
            return;
        }
    }
}

fn lock(board: &Mutex<Board>) -> MutexGuard<'_, Board> {
    // A change that panics half-way is put right by the next snapshot.
    board.lock().unwrap_or_else(PoisonError::into_inner)
}

// === impl Overview ===

impl Overview {
    pub(super) fn new(daemon: Daemon, tasks: TaskTracker, stop: CancellationToken) -> Overview {
        Overview {
            daemon,
            tasks,
            stop,
            hub: Arc::default(),
        }
    }

    /// The upstream there is, or a new one.
    fn join(&self) -> Arc<Hub> {
        let mut shared = self.hub.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(hub) = shared.upgrade() {
            return hub;
        }
        let board = Arc::new(Mutex::new(Board::default()));
        let (news, viewers) = (watch::Sender::new(0), watch::Sender::new(()));
        let hub = Arc::new(Hub {
            board: Arc::clone(&board),
            news: news.subscribe(),
            _viewers: viewers.clone(),
        });
        let mut receiver = viewers.subscribe();
        drop(viewers);
        *shared = Arc::downgrade(&hub);
        let upstream = Upstream {
            daemon: self.daemon.clone(),
            board,
            news,
        };
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                _ = receiver.changed() => {}
                () = upstream.run() => {}
            }
        });
        hub
    }
}

// === impl Upstream ===

impl Upstream {
    async fn run(self) {
        let mut backoff = Backoff::new();
        loop {
            if let Err(status) = self.once(&mut backoff).await {
                tracing::debug!(%status, "overview broke");
            }
            self.change(|board| board.away());
            tokio::time::sleep(backoff.wait()).await;
            self.daemon.until_live().await;
        }
    }

    /// One connection's worth: everything, then what changes.
    async fn once(&self, backoff: &mut Backoff) -> Result<(), Status> {
        let away = |_| Status::unavailable("the daemon is away");
        let lease = self.daemon.lease().await.map_err(away)?;
        let pulse = prost_types::Duration {
            seconds: PULSE.as_secs() as i64,
            nanos: 0,
        };
        let request = v1::WatchRequest {
            pulse: Some(pulse),
            ..Default::default()
        };
        // Open before the lists are asked for, so that nothing falls between.
        let mut watch = self.daemon.noted(lease.client.watch(request).await)?;
        let projects = self.projects().await?;
        let running = self.list(&GOING, PAGE).await?;
        let ended = [v1::State::Completed, v1::State::Failed, v1::State::Timeout];
        let recent = self.list(&ended, RECENT).await?;
        let holds = self.holds().await?;
        self.change(|board| {
            board.begin(projects, running, recent);
            board.holds(holds);
        });
        backoff.reset();
        let mut poll = tokio::time::interval(LISTS_POLL);
        loop {
            let (mut is_polled, mut tells_of_waiting) = (false, false);
            let is_changed = tokio::select! {
                _ = poll.tick() => {
                    is_polled = true;
                    true
                }
                answer = watch.message() => {
                    let Some(answer) = self.daemon.noted(answer)? else {
                        return Ok(());
                    };
                    let has_events = !answer.events.is_empty();
                    let waits = |it: &v1::Invocation| it.state() == v1::State::Queued;
                    tells_of_waiting = answer.running.iter().any(waits);
                    self.change(|board| board.take(answer));
                    has_events
                }
            };
            // What waits says of which hold it does, and is not told without that.
            if is_changed || tells_of_waiting {
                let holds = self.holds().await?;
                self.change(|board| board.holds(holds));
            }
            if is_changed {
                let projects = self.projects().await?;
                self.change(|board| board.projects(projects));
                // Neither of what runs there nor of its end does an event tell.
                let has_lost = is_polled && lock(&self.board).has_lost();
                if has_lost {
                    let running = self.list(&GOING, PAGE).await?;
                    self.change(|board| board.keep(running));
                }
            }
        }
    }

    async fn projects(&self) -> Result<Vec<v1::Project>, Status> {
        let client = self.client().await?;
        let answer = client.projects(v1::ListProjectsRequest {}).await;
        Ok(self.daemon.noted(answer)?.projects)
    }

    async fn holds(&self) -> Result<Vec<v1::Hold>, Status> {
        let client = self.client().await?;
        match client.list_holds(v1::ListHoldsRequest {}).await {
            // A daemon of before.
            Err(status) if status.code() == Code::Unimplemented => Ok(Vec::new()),
            answer => Ok(self.daemon.noted(answer)?.holds),
        }
    }

    async fn list(&self, states: &[v1::State], most: i32) -> Result<Vec<v1::Invocation>, Status> {
        let request = v1::ListRequest {
            states: states.iter().map(|state| (*state).into()).collect(),
            page_size: most,
            ..Default::default()
        };
        let client = self.client().await?;
        Ok(self.daemon.noted(client.list(request).await)?.invocations)
    }

    async fn client(&self) -> Result<steroids_client::Client, Status> {
        let client = self.daemon.client().await;
        client.map_err(|_| Status::unavailable("the daemon is away"))
    }

    fn change(&self, change: impl FnOnce(&mut Board)) {
        let version = {
            let mut board = lock(&self.board);
            change(&mut board);
            board.version()
        };
        self.news
            .send_if_modified(|news| std::mem::replace(news, version) != version);
    }
}
