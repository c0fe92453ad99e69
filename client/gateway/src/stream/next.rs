//! Word of a task's next invocation, for those who follow the task. One upstream per task: a stream
//! of it that passes over what has ended, of which only the ids are looked at. It is a hint: who is
//! woken looks for itself.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use steroids_client::v1::follow_request::Selector;
use steroids_client::v1::{FollowRequest, TaskSelector};
use steroids_client::{Backoff, Item};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::Daemon;

/// Who waits for which task.
#[derive(Debug, Clone)]
pub(super) struct Nexts {
    daemon: Daemon,
    tasks: TaskTracker,
    stop: CancellationToken,
    waits: Arc<Mutex<HashMap<Task, Weak<watch::Sender<()>>>>>,
}

type Task = (Arc<str>, String);

/// One who waits.
#[derive(Debug)]
pub(super) struct Next {
    news: watch::Receiver<()>,
    // The upstream lives as long as somebody has it.
    _upstream: Arc<watch::Sender<()>>,
}

// === impl Nexts ===

impl Nexts {
    pub(super) fn new(daemon: Daemon, tasks: TaskTracker, stop: CancellationToken) -> Nexts {
        Nexts {
            daemon,
            tasks,
            stop,
            waits: Arc::default(),
        }
    }

    /// Tells when there may be another invocation of the task, once the watching has begun and
    /// whenever something new comes.
    pub(super) fn watch(&self, project: &Arc<str>, task: &str) -> Next {
        let key = (Arc::clone(project), task.to_owned());
        let mut waits = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
        waits.retain(|_, sender| sender.strong_count() > 0);
        if let Some(sender) = waits.get(&key).and_then(Weak::upgrade) {
            return Next::of(sender);
        }
        let sender = Arc::new(watch::Sender::new(()));
        waits.insert(key.clone(), Arc::downgrade(&sender));
        let next = Next::of(sender);
        let (all, weak) = (self.clone(), Arc::downgrade(&next._upstream));
        let mut receiver = next._upstream.subscribe();
        self.tasks.spawn(async move {
            let gone = async { while receiver.changed().await.is_ok() {} };
            tokio::select! {
                () = all.stop.cancelled() => {}
                () = gone => {}
                () = all.run(key, weak) => {}
            }
        });
        next
    }

    async fn run(&self, (project, task): Task, news: Weak<watch::Sender<()>>) {
        let mut backoff = Backoff::new();
        loop {
            if let Ok(lease) = self.daemon.lease().await {
                let request = FollowRequest {
                    selector: Some(Selector::Task(TaskSelector {
                        project: project.to_string(),
                        task_id: task.clone(),
                    })),
                    after: String::new(),
                    follow: true,
                    skip_ended: true,
                    limit_bytes: 0,
                    pieces: false,
                    tail: None,
                };
                let mut follow = lease.client.follow(request).with_patience(Duration::ZERO);
                let mut newest = 0;
                while let Ok(Some(item)) = follow.next().await {
                    self.daemon.heard(&item);
                    backoff.reset();
                    let is_news = match &item {
                        Item::Events(events) => {
                            let before = newest;
                            let ids = events.iter().map(|it| it.invocation_id);
                            newest = ids.fold(newest, i64::max);
                            newest > before
                        }
                        // What came before the stream was open is for the one who waits to find.
                        _ => true,
                    };
                    let Some(news) = news.upgrade().filter(|_| is_news) else {
                        continue;
                    };
                    news.send_replace(());
                }
            }
            tokio::time::sleep(backoff.wait()).await;
            self.daemon.until_live().await;
        }
    }
}

// === impl Next ===

impl Next {
    fn of(sender: Arc<watch::Sender<()>>) -> Next {
        Next {
            news: sender.subscribe(),
            _upstream: sender,
        }
    }

    /// What comes from now on is news.
    pub(super) fn mark(&mut self) {
        self.news.mark_unchanged();
    }

    /// Waits for news. Cancel-safe.
    pub(super) async fn changed(&mut self) {
        // The sender is its own: it cannot be closed.
        let _ = self.news.changed().await;
    }
}
