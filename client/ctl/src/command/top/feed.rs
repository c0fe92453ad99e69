//! Asks the daemon, and hands on what it says: a watch that is opened again whenever it breaks,
//! the daemon's status after events and now and then, one followed log, and stops.
//!
//! Every task belongs to the feed and ends with it. What they say goes through one channel with a
//! bound: who draws slower than the daemon speaks has it wait, and nothing is lost.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use steroids_client::v1::follow_request::Selector;
use steroids_client::{Backoff, Client, FollowError, Item, Refusal, v1};
use tokio::sync::{Notify, mpsc};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tonic::Status;

use super::app::{LogNews, News, Untold};
use super::row::Key;
use crate::command::stop;
use crate::failure::Failure;

/// News that wait to be drawn: a few pictures' worth.
const WAITING: usize = 64;
/// How often rows may change: more often nobody reads.
const PULSE: Duration = Duration::from_secs(1);
/// A daemon that takes a connection and then says nothing is tried again after this long.
const OPEN_TIMEOUT: Duration = Duration::from_secs(30);
/// What no event tells (memory, new troubles) is at most so old.
const STATUS_EVERY: Duration = Duration::from_secs(10);
/// An answer that takes longer is told as overdue; it is waited for all the same.
const OVERDUE: Duration = Duration::from_secs(5);
/// Events come in crowds; one answer serves them all.
const STATUS_PAUSE: Duration = Duration::from_millis(500);
/// Those that wait whose places are told; more do not fit on any screen.
const QUEUE: i32 = 200;
/// Lines of a log that are read for looking back.
const TAIL: i64 = 2_000;
const PLACES: i32 = 4096;
/// Who looks at a log waits for the daemon as long as it takes.
const PATIENCE: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// What is told, or why there is nothing more to tell.
pub(super) type Told = Result<News, Failure>;

/// The connection to the daemon, and the tasks that listen to it.
pub(super) struct Feed {
    client: Client,
    tell: mpsc::Sender<Told>,
    tasks: JoinSet<()>,
    log: Option<AbortHandle>,
}

impl Feed {
    /// Begins to listen; `project` is empty for all of them.
    pub(super) fn start(client: Client, project: &str) -> (Feed, mpsc::Receiver<Told>) {
        let (tell, told) = mpsc::channel(WAITING);
        let mut tasks = JoinSet::new();
        let poke = Arc::new(Notify::new());
        tasks.spawn(watch(
            client.clone(),
            project.to_owned(),
            tell.clone(),
            Arc::clone(&poke),
        ));
        tasks.spawn(status(
            client.clone(),
            project.to_owned(),
            tell.clone(),
            poke,
        ));
        let feed = Feed {
            client,
            tell,
            tasks,
            log: None,
        };
        (feed, told)
    }

    /// Follows a log instead of the one before.
    pub(super) fn follow(&mut self, key: Key, number: u64) {
        self.unfollow();
        let following = follow(self.client.clone(), key, number, self.tell.clone());
        self.log = Some(self.tasks.spawn(following));
    }

    /// Follows none.
    pub(super) fn unfollow(&mut self) {
        if let Some(log) = self.log.take() {
            log.abort();
        }
        while self.tasks.try_join_next().is_some() {}
    }

    /// Stops one, and tells what came of it.
    pub(super) fn stop(&mut self, key: Key) {
        let (client, tell) = (self.client.clone(), self.tell.clone());
        self.tasks.spawn(async move {
            let request = v1::StopRequest {
                project: key.project.clone(),
                id: key.id,
                grace: None,
                uuid: String::new(),
            };
            let came = match client.stop_attempts(request, &BTreeSet::new(), false).await {
                Ok(answer) => Ok(stop::sentence(key.id, &answer)),
                Err((id, status)) => {
                    let failure = Failure::from(status);
                    Err(not_stopped(id, &failure))
                }
            };
            // Nobody is told who has left meanwhile.
            let _ = tell.send(Ok(News::Stopped(key, came))).await;
        });
    }
}

/// Where no answer came it may have been stopped all the same.
fn not_stopped(id: i64, failure: &Failure) -> String {
    let message = failure.message();
    match failure.is_unknown() {
        true => format!("invocation {id}: not known whether it is stopped: {message}"),
        false => format!("invocation {id} not stopped: {message}"),
    }
}

/// Watches until nobody listens, or the daemon says what it would say again.
async fn watch(client: Client, project: String, tell: mpsc::Sender<Told>, poke: Arc<Notify>) {
    let mut backoff = Backoff::new();
    loop {
        let ended = watch_once(&client, &project, &tell, &poke, &mut backoff).await;
        let Some(status) = ended else {
            return;
        };
        let news = if Refusal::passes(&status) {
            let why = match Refusal::is_broken(&status) {
                true => "agents go on".to_owned(),
                false => status.message().to_owned(),
            };
            Ok(News::Away(why))
        } else {
            Err(Failure::from(status))
        };
        let is_final = news.is_err();
        if tell.send(news).await.is_err() || is_final {
            return;
        }
        sleep(backoff.wait()).await;
    }
}

/// One connection's worth; why it ended, or nothing where nobody listens any more.
async fn watch_once(
    client: &Client,
    project: &str,
    tell: &mpsc::Sender<Told>,
    poke: &Notify,
    backoff: &mut Backoff,
) -> Option<Status> {
    let request = v1::WatchRequest {
        project: project.to_owned(),
        pulse: PULSE.try_into().ok(),
        ..Default::default()
    };
    let opened = timeout(OPEN_TIMEOUT, client.watch(request)).await;
    let mut stream = match opened {
        Ok(Ok(stream)) => stream,
        Ok(Err(status)) => return Some(status),
        Err(_) => return Some(Status::unavailable("the daemon does not answer")),
    };
    let mut is_first = true;
    loop {
        let told = match stream.message().await {
            Ok(Some(told)) => told,
            Ok(None) => return Some(Status::unavailable("the daemon ended the stream")),
            Err(status) => return Some(status),
        };
        if is_first {
            backoff.reset();
            tell.send(Ok(News::Joined)).await.ok()?;
        }
        if is_first || !told.events.is_empty() {
            poke.notify_one();
        }
        is_first = false;
        tell.send(Ok(News::Watched(told))).await.ok()?;
    }
}

/// Asks for the status, what no event tells of, and the places of those that wait, after events and now and then.
async fn status(client: Client, project: String, tell: mpsc::Sender<Told>, poke: Arc<Notify>) {
    loop {
        let Some(answer) = or_overdue(client.status(v1::StatusRequest {}), &tell).await else {
            return;
        };
        // Where the daemon is away, the watch tells.
        if let Ok(status) = answer {
            let waits = status.queued > 0;
            if tell.send(Ok(News::Status(Box::new(status)))).await.is_err() {
                return;
            }
            if project.is_empty()
                && let Ok(untold) = untold(&client).await
            {
                let _ = tell.send(Ok(News::Untold(untold))).await;
            }
            if waits && let Ok(queue) = queue(&client, &project).await {
                let _ = tell.send(Ok(News::Queue(queue))).await;
            }
        }
        sleep(STATUS_PAUSE).await;
        let _ = timeout(STATUS_EVERY, poke.notified()).await;
    }
}

/// Waits for an answer, and tells if that takes long; `None` where nobody listens any more.
async fn or_overdue<T>(asked: impl Future<Output = T>, tell: &mpsc::Sender<Told>) -> Option<T> {
    let mut asked = std::pin::pin!(asked);
    if let Ok(answer) = timeout(OVERDUE, &mut asked).await {
        return Some(answer);
    }
    tell.send(Ok(News::Overdue)).await.ok()?;
    Some(asked.await)
}

/// What runs and waits in projects that are gone or cannot be read. A list of all begins with it.
async fn untold(client: &Client) -> Result<Untold, Status> {
    let request = v1::ListRequest {
        states: vec![v1::State::Running.into(), v1::State::Queued.into()],
        page_size: 1,
        ..Default::default()
    };
    let listed = client.list(request).await?;
    let (mut invocations, projects) = (listed.invocations, listed.unread);
    invocations.retain(|it| projects.contains(&it.project));
    Ok(Untold {
        invocations,
        projects,
    })
}

async fn queue(client: &Client, project: &str) -> Result<Vec<v1::Invocation>, Status> {
    let request = v1::ListRequest {
        project: project.to_owned(),
        states: vec![v1::State::Queued.into()],
        page_size: QUEUE,
        ..Default::default()
    };
    Ok(client.list(request).await?.invocations)
}

/// Follows one log from near its end.
async fn follow(client: Client, key: Key, number: u64, tell: mpsc::Sender<Told>) {
    let say = async |news| tell.send(Ok(News::Log(number, news))).await;
    let (after, passed) = tail(&client, &key).await;
    if passed > 0 && say(LogNews::Passed(passed)).await.is_err() {
        return;
    }
    let request = v1::FollowRequest {
        selector: Some(Selector::Invocation(v1::InvocationSelector {
            project: key.project,
            id: key.id,
        })),
        after,
        follow: true,
        skip_ended: false,
        limit_bytes: 0,
        pieces: false,
        tail: None,
    };
    let mut stream = client.follow(request).with_patience(PATIENCE);
    loop {
        let (news, is_last) = match stream.next().await {
            Ok(Some(Item::Events(events))) => (LogNews::Events(events), false),
            Ok(Some(Item::Live)) => (LogNews::Live, false),
            Ok(Some(Item::Reconnecting { reason })) => (LogNews::Broken(reason), false),
            Ok(Some(Item::Away)) => (LogNews::Broken("the daemon is away".to_owned()), false),
            Ok(None) => (LogNews::Ended, true),
            Err(error) => (LogNews::Refused(refused(error)), true),
        };
        if say(news).await.is_err() || is_last {
            return;
        }
    }
}

fn refused(error: FollowError) -> String {
    Failure::from(error).message().to_owned()
}

/// Where to begin so that not the whole of a long log is read, and how many lines stand before.
/// Where that cannot be told, at the beginning.
async fn tail(client: &Client, key: &Key) -> (String, u64) {
    let request = v1::OutlineRequest {
        project: key.project.clone(),
        id: key.id,
        max_places: PLACES,
        ..Default::default()
    };
    match client.outline(request).await {
        Ok(outline) => place(&outline),
        Err(_) => (String::new(), 0),
    }
}

/// The place with about [`TAIL`] lines behind it.
fn place(outline: &v1::OutlineResponse) -> (String, u64) {
    let passed = outline.lines - TAIL;
    if passed <= 0 || outline.stride <= 0 {
        return (String::new(), 0);
    }
    let at = usize::try_from(passed / outline.stride).unwrap_or(usize::MAX);
    let at = at.min(outline.places.len().saturating_sub(1));
    match outline.places.get(at) {
        Some(place) if at > 0 => {
            let before = u64::try_from(at).unwrap_or(0) * outline.stride.unsigned_abs();
            (place.cursor.clone(), before)
        }
        _ => (String::new(), 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outline(lines: i64, stride: i64) -> v1::OutlineResponse {
        let places = (0..(lines + stride - 1) / stride).map(|number| v1::Place {
            cursor: format!("c{}", number * stride),
            ts: 0,
        });
        v1::OutlineResponse {
            lines,
            stride,
            places: places.collect(),
            end: String::new(),
        }
    }

    #[test]
    fn where_no_answer_came_it_may_be_stopped() {
        let gone = Failure::from(Status::deadline_exceeded("late"));
        let said = not_stopped(7, &gone);
        assert!(
            said.starts_with("invocation 7: not known whether"),
            "{said}"
        );
        let none = Failure::from(Status::not_found("no such"));
        let said = not_stopped(7, &none);
        assert!(said.starts_with("invocation 7 not stopped: "), "{said}");
    }

    #[test]
    fn of_a_long_log_only_the_end_is_read() {
        assert_eq!(place(&outline(TAIL, 1)), (String::new(), 0));
        assert_eq!(place(&outline(TAIL + 3, 1)), ("c3".to_owned(), 3));
        assert_eq!(place(&outline(100_000, 64)), ("c97984".to_owned(), 97_984));
        let mut none = outline(100_000, 64);
        none.places.clear();
        assert_eq!(place(&none), (String::new(), 0));
        none.stride = 0;
        assert_eq!(place(&none), (String::new(), 0));
    }
}
