//! A thread that owns one SQLite connection and does one request after the other.
//!
//! Requests wait in a queue of [`QUEUE`] places; who finds it full waits for a place without
//! blocking the runtime. A request whose caller has gone before its turn is dropped undone, one
//! that has begun is carried through.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// Requests that may wait: some for each running invocation and each open stream, and small.
const QUEUE: usize = 256;

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

enum Request {
    Run(Job, OwnedSemaphorePermit),
    Wake,
    Stop,
}

/// The worker is gone, or was told to stop.
#[derive(Debug)]
pub(super) struct Gone;

/// The thread's handle; when it is dropped, the thread ends after the requests that wait.
pub(super) struct Worker {
    requests: mpsc::Sender<Request>,
    places: Arc<Semaphore>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What a worker does when it has had nothing else to do for a while.
pub(super) trait Pulse: Send + 'static {
    /// How long to wait for a request before [`Pulse::beat`]; `None` waits for ever.
    fn interval(&self) -> Option<Duration>;
    /// Called about once an interval.
    fn beat(&mut self, connection: &Connection);
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
        let thread = thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || serve(connection, &queue, pulse))?;
        Ok(Worker {
            requests,
            places: Arc::new(Semaphore::new(QUEUE)),
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

fn serve(mut connection: Connection, queue: &mpsc::Receiver<Request>, mut pulse: impl Pulse) {
    let mut last_beat = Instant::now();
    loop {
        let request = match pulse.interval() {
            None => queue.recv().map_err(|_gone| RecvTimeoutError::Disconnected),
            Some(interval) => queue.recv_timeout(interval.saturating_sub(last_beat.elapsed())),
        };
        match request {
            Ok(Request::Run(job, place)) => {
                job(&mut connection);
                drop(place);
            }
            Ok(Request::Wake) | Err(RecvTimeoutError::Timeout) => {}
            Ok(Request::Stop) | Err(RecvTimeoutError::Disconnected) => break,
        }
        if let Some(interval) = pulse.interval()
            && last_beat.elapsed() >= interval
        {
            pulse.beat(&connection);
            last_beat = Instant::now();
        }
    }
    pulse.end(&connection);
}
