//! A thread that owns one SQLite connection and does one request after the other.
//!
//! Requests wait in a queue of [`QUEUE`] places; who finds it full waits for a place without
//! blocking the runtime. A request whose caller has gone before its turn is dropped undone, one
//! that has begun is carried through.
//!
//! A disk can keep the thread for as long as it likes. Who asks many databases waits for none longer than
//! [`PROMPT`], and for one that is known to hang not at all; when it answers, whoever gave up is told.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::timeout;

use super::sys;

/// Requests that may wait: some for each running invocation and each open stream, and small.
const QUEUE: usize = 256;

/// What is asked of many takes a few milliseconds of one; a disk that has to spin up first, or another program's
/// lock, seconds.
const PROMPT: Duration = Duration::from_secs(2);

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

enum Request {
    Run(Job, OwnedSemaphorePermit),
    Wake,
    Stop,
}

/// The worker is gone, or was told to stop.
#[derive(Debug)]
pub(super) struct Gone;

/// The worker did not answer in time, or is known not to.
#[derive(Debug)]
pub(super) struct Late;

/// How long the thread has been at what it does, for who asks whether to wait for it.
#[derive(Debug)]
struct Pace {
    started: Instant,
    /// In milliseconds after the start, and one more; 0 while it waits for a request.
    busy_since: AtomicU64,
    /// Somebody did not wait for an answer, and is to be told once there are answers.
    is_given_up: AtomicBool,
}

/// The thread's handle; when it is dropped, the thread ends after the requests that wait.
pub(super) struct Worker {
    requests: mpsc::Sender<Request>,
    places: Arc<Semaphore>,
    pace: Arc<Pace>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What a worker does when it has had nothing else to do for a while.
pub(super) trait Pulse: Send + 'static {
    /// How long to wait for a request before [`Pulse::beat`]; `None` waits for ever.
    fn interval(&self) -> Option<Duration>;
    /// Called about once an interval.
    fn beat(&mut self, connection: &Connection);
    /// Called when it answers after somebody has given up waiting.
    fn answers(&mut self);
    /// Called last, with the connection about to be closed.
    fn end(&mut self, connection: &Connection);
}

impl Worker {
    /// Starts the thread.
    pub(super) fn spawn(
        name: &str,
        connection: Connection,
        pulse: impl Pulse,
    ) -> std::io::Result<Worker> {
        let (requests, queue) = mpsc::channel();
        let pace = Arc::new(Pace {
            started: Instant::now(),
            busy_since: AtomicU64::new(0),
            is_given_up: AtomicBool::new(false),
        });
        let kept = Arc::clone(&pace);
        let thread = thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || serve(connection, &queue, pulse, &kept))?;
        Ok(Worker {
            requests,
            places: Arc::new(Semaphore::new(QUEUE)),
            pace,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Runs `work` with the connection and hands back what it returns.
    ///
    /// When the future is dropped, the work is done wholly or not at all.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> T + Send + 'static,
    ) -> Result<T, Gone> {
        let place = Arc::clone(&self.places)
            .acquire_owned()
            .await
            .map_err(|_closed| Gone)?;
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            if !answer.is_closed() {
                // The caller may leave while the work is done; it is done all the same.
                let _ = answer.send(work(connection));
            }
        });
        self.requests
            .send(Request::Run(job, place))
            .map_err(|_ended| Gone)?;
        answered.await.map_err(|_ended| Gone)
    }

    /// What asking this worker comes to, if that is soon.
    pub(super) async fn promptly<T>(&self, answer: impl Future<Output = T>) -> Result<T, Late> {
        if !self.pace.hangs()
            && let Ok(answer) = timeout(PROMPT, answer).await
        {
            return Ok(answer);
        }
        if !self.pace.is_given_up.swap(true, Ordering::AcqRel) {
            // It may have come to an end with everything just now.
            self.wake();
        }
        Err(Late)
    }

    /// Whether the thread has ended without having been told to.
    pub(super) fn is_lost(&self) -> bool {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        thread.as_ref().is_some_and(JoinHandle::is_finished)
    }

    /// Makes the thread ask its pulse for the interval again.
    pub(super) fn wake(&self) {
        // A thread that has ended needs no waking.
        let _ = self.requests.send(Request::Wake);
    }

    /// Ends the thread after the requests that wait now, and blocks until it has closed the file.
    pub(super) fn stop(&self) {
        self.places.close();
        let _ = self.requests.send(Request::Stop);
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("a database thread had panicked");
        }
    }
}

impl Pace {
    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn hangs(&self) -> bool {
        match self.busy_since.load(Ordering::Acquire) {
            0 => false,
            since => u128::from(self.now().saturating_sub(since - 1)) >= PROMPT.as_millis(),
        }
    }

    fn begin(&self) {
        self.busy_since.store(self.now() + 1, Ordering::Release);
    }

    fn end(&self) {
        self.busy_since.store(0, Ordering::Release);
    }
}

fn serve(
    mut connection: Connection,
    queue: &mpsc::Receiver<Request>,
    mut pulse: impl Pulse,
    pace: &Pace,
) {
    let mut last_beat = Instant::now();
    loop {
        let request = match pulse.interval() {
            None => queue.recv().map_err(|_gone| RecvTimeoutError::Disconnected),
            Some(interval) => queue.recv_timeout(interval.saturating_sub(last_beat.elapsed())),
        };
        match request {
            Ok(Request::Run(job, place)) => {
                pace.begin();
                // What was refused to one before says nothing of this one.
                sys::was_crowded();
                job(&mut connection);
                pace.end();
                drop(place);
            }
            Ok(Request::Wake) | Err(RecvTimeoutError::Timeout) => {}
            Ok(Request::Stop) | Err(RecvTimeoutError::Disconnected) => break,
        }
        if let Some(interval) = pulse.interval()
            && last_beat.elapsed() >= interval
        {
            pace.begin();
            pulse.beat(&connection);
            pace.end();
            last_beat = Instant::now();
        }
        if pace.is_given_up.swap(false, Ordering::AcqRel) {
            pulse.answers();
        }
    }
    pulse.end(&connection);
}
