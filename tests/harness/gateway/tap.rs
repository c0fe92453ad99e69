//! A tap on the line between gateway and daemon: hands bytes on and counts the requests among them,
//! so that a test can say that something never reached the daemon.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;

/// What precedes the first frame of a client.
const PREFACE: usize = 24;
const FRAME_HEAD: usize = 9;
/// The frame that begins a request.
const HEADERS: u8 = 1;

/// A socket that stands for the daemon's. Gone when dropped.
#[derive(Debug)]
pub struct Tap {
    path: PathBuf,
    requests: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Tap {
    /// Listens beside the daemon's socket `to`, which need not be there yet.
    pub fn new(to: &Path) -> Tap {
        Tap::breaking(to, 0)
    }

    /// The same, but the first `breaks` requests are not handed on, and end their connection, as where a daemon is
    /// just ending.
    pub fn breaking(to: &Path, breaks: u64) -> Tap {
        let path = to.with_extension("tap");
        // The daemon makes the folder, and may not have been started.
        std::fs::create_dir_all(to.parent().expect("a socket is in a folder"))
            .expect("the home takes a folder");
        let listener = UnixListener::bind(&path).expect("the folder takes a socket");
        let requests = Arc::new(AtomicU64::new(0));
        let (counted, to) = (Arc::clone(&requests), to.to_owned());
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(hand_on(client, to.clone(), Arc::clone(&counted), breaks));
            }
        });
        Tap {
            path,
            requests,
            task,
        }
    }

    /// Where the gateway finds it.
    pub fn path(&self) -> &str {
        self.path.to_str().expect("test paths are ASCII")
    }

    /// Requests so far, streams among them.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::SeqCst)
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn hand_on(client: UnixStream, to: PathBuf, requests: Arc<AtomicU64>, breaks: u64) {
    let Ok(daemon) = UnixStream::connect(to).await else {
        return;
    };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_daemon, mut to_daemon) = daemon.into_split();
    let there = async {
        let mut counter = Counter::default();
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = from_client.read(&mut buffer).await {
            // Counted before it is handed on: nobody has an answer that is not counted.
            let begun = counter.take(&buffer[..length]);
            if requests.fetch_add(begun, Ordering::SeqCst) < breaks && begun > 0 {
                return;
            }
            if to_daemon.write_all(&buffer[..length]).await.is_err() {
                return;
            }
        }
    };
    let back = async {
        // Either end may go at any time.
        let _ = tokio::io::copy(&mut from_daemon, &mut to_client).await;
    };
    tokio::select! {
        () = there => {}
        () = back => {}
    }
}

/// Reads along, frame by frame.
#[derive(Debug)]
struct Counter {
    /// Bytes to pass over.
    skip: usize,
    head: Vec<u8>,
}

impl Default for Counter {
    fn default() -> Counter {
        Counter {
            skip: PREFACE,
            head: Vec::with_capacity(FRAME_HEAD),
        }
    }
}

impl Counter {
    /// How many requests begin in these bytes.
    fn take(&mut self, mut bytes: &[u8]) -> u64 {
        let mut found = 0;
        while !bytes.is_empty() {
            let passed = self.skip.min(bytes.len());
            self.skip -= passed;
            bytes = &bytes[passed..];
            let wanted = (FRAME_HEAD - self.head.len()).min(bytes.len());
            self.head.extend_from_slice(&bytes[..wanted]);
            bytes = &bytes[wanted..];
            if let [a, b, c, kind, ..] = *self.head
                && self.head.len() == FRAME_HEAD
            {
                found += u64::from(kind == HEADERS);
                self.skip = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
                self.head.clear();
            }
        }
        found
    }
}
