//! The gateway's streams on a plain HTTP server, and a browser of them that reads frame by frame.

use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::BodyExt as _;
use steroids_gateway::stream::{Streams, routes};
use steroids_gateway::{Daemon, Metrics};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service as _;

use crate::fake::{Fake, PROJECT};

/// Nothing takes this long; it ends a test that would hang.
const BOUND: Duration = Duration::from_secs(20);

/// A gateway that serves streams and nothing else.
pub(crate) struct Gateway {
    address: SocketAddr,
    router: axum::Router,
    pub(crate) stop: CancellationToken,
}

impl Gateway {
    pub(crate) async fn start(fake: &Fake) -> Gateway {
        Gateway::with(fake, 100).await
    }

    /// With room for so many streams.
    pub(crate) async fn with(fake: &Fake, max: usize) -> Gateway {
        let stop = CancellationToken::new();
        let daemon = Daemon::new(fake.socket().to_owned());
        let tasks = TaskTracker::new();
        let streams = Streams::new(daemon, Metrics::default(), max, &tasks, stop.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = routes::<Streams>().with_state(streams);
        tokio::spawn(serve(listener, router.clone()));
        Gateway {
            address,
            router,
            stop,
        }
    }

    /// A task's stream that is answered and of which nothing was read.
    pub(crate) async fn unread(&self, query: &str) -> Unread {
        let path = format!("/api/tasks/T1/stream?project={PROJECT}{query}");
        let request = http::Request::get(path).body(axum::body::Body::empty());
        let Ok(answer) = self.router.clone().call(request.unwrap()).await;
        Unread(answer.into_body())
    }

    /// Opens a task's stream, with further parameters and the id of the last event.
    pub(crate) async fn task(&self, query: &str, last: &str) -> Reader {
        let path = format!("/api/tasks/T1/stream?project={PROJECT}{query}");
        self.get(&path, last).await
    }

    pub(crate) async fn get(&self, path: &str, last: &str) -> Reader {
        let mut socket = TcpStream::connect(self.address).await.unwrap();
        let last = match last {
            "" => String::new(),
            last => format!("Last-Event-ID: {last}\r\n"),
        };
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{last}\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        Reader::of(socket).await
    }
}

async fn serve(listener: TcpListener, router: axum::Router) {
    while let Ok((socket, _)) = listener.accept().await {
        let service = hyper_util::service::TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            let io = hyper_util::rt::TokioIo::new(socket);
            let connection =
                hyper::server::conn::http1::Builder::new().serve_connection(io, service);
            let _ = connection.await;
        });
    }
}

/// A body that makes nothing until it is read.
pub(crate) struct Unread(axum::body::Body);

impl Unread {
    /// Reads until it says this.
    pub(crate) async fn until(&mut self, words: &str) -> String {
        let mut text = String::new();
        let reading = async {
            while !text.contains(words) {
                let frame = self.0.frame().await.expect("more of it").unwrap();
                text.push_str(str::from_utf8(frame.data_ref().unwrap()).unwrap());
            }
        };
        let came = tokio::time::timeout(BOUND, reading).await.is_ok();
        assert!(came, "no {words:?} in {text}");
        text
    }
}

/// One answer, read as it comes.
pub(crate) struct Reader {
    socket: BufReader<TcpStream>,
    pub(crate) status: u16,
    pub(crate) head: String,
    text: String,
    is_over: bool,
    /// Id of the last event, as a browser keeps it.
    pub(crate) last: String,
}

/// What came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Came {
    Data(String),
    Comment(String),
    Retry(String),
    End,
}

impl Reader {
    async fn of(socket: TcpStream) -> Reader {
        let mut socket = BufReader::new(socket);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            let read = socket.read_line(&mut head);
            let read = tokio::time::timeout(BOUND, read).await;
            assert!(read.expect("an answer").unwrap() > 0, "a whole head");
        }
        Reader {
            status: head[9..12].parse().unwrap(),
            head,
            socket,
            text: String::new(),
            is_over: false,
            last: String::new(),
        }
    }

    /// The next frame.
    pub(crate) async fn next(&mut self) -> Came {
        let next = tokio::time::timeout(BOUND, self.frame()).await;
        next.unwrap_or_else(|_| panic!("nothing came after {:?}", self.last))
    }

    async fn frame(&mut self) -> Came {
        loop {
            while !self.text.contains("\n\n") {
                if self.is_over || !self.chunk().await {
                    assert_eq!(self.text, "", "no frame is cut");
                    return Came::End;
                }
            }
            let (frame, rest) = self.text.split_once("\n\n").unwrap();
            let (frame, rest) = (frame.to_owned(), rest.to_owned());
            self.text = rest;
            let mut came = None;
            for line in frame.lines() {
                match line.split_once(": ") {
                    Some(("id", id)) => self.last = id.to_owned(),
                    Some(("data", text)) => came = Some(Came::Data(text.to_owned())),
                    Some(("retry", text)) => came = Some(Came::Retry(text.to_owned())),
                    Some(("", text)) => came = Some(Came::Comment(text.to_owned())),
                    _ => panic!("a field of SSE: {line:?}"),
                }
            }
            // An id alone is kept, and nothing is dispatched.
            if let Some(came) = came {
                return came;
            }
        }
    }

    async fn chunk(&mut self) -> bool {
        let mut size = String::new();
        if self.socket.read_line(&mut size).await.unwrap_or(0) == 0 {
            self.is_over = true;
            return false;
        }
        let size = usize::from_str_radix(size.trim(), 16).expect("a chunk's size");
        let mut chunk = vec![0; size + 2];
        self.socket.read_exact(&mut chunk).await.unwrap();
        self.is_over = size == 0;
        self.text.push_str(str::from_utf8(&chunk[..size]).unwrap());
        size > 0
    }

    /// The next data; comments and the like are passed over.
    pub(crate) async fn data(&mut self) -> Option<String> {
        let reading = async {
            loop {
                match self.frame().await {
                    Came::Data(data) => return Some(data),
                    Came::End => return None,
                    Came::Comment(_) | Came::Retry(_) => {}
                }
            }
        };
        // Over all of them, as a heartbeat is no answer.
        let data = tokio::time::timeout(BOUND, reading).await;
        data.expect("an event")
    }

    /// All data to the end.
    pub(crate) async fn rest(&mut self) -> Vec<String> {
        let mut all = Vec::new();
        while let Some(data) = self.data().await {
            all.push(data);
        }
        all
    }

    /// Reads until this comment.
    pub(crate) async fn comment(&mut self, wanted: &str) {
        loop {
            match self.next().await {
                Came::Comment(text) if text == wanted => return,
                Came::End => panic!("ended before {wanted:?}"),
                _ => {}
            }
        }
    }

    /// The next data, as JSON.
    pub(crate) async fn value(&mut self) -> serde_json::Value {
        let data = self.data().await.expect("an object before the end");
        serde_json::from_str(&data).unwrap()
    }

    /// The body of an answer that is no stream.
    pub(crate) async fn body(&mut self) -> String {
        let length = self.head.to_lowercase();
        let length = length.split_once("content-length: ").map_or("0", |it| it.1);
        let length: usize = length.lines().next().unwrap().trim().parse().unwrap();
        let mut body = vec![0; length];
        self.socket.read_exact(&mut body).await.unwrap();
        String::from_utf8(body).unwrap()
    }
}
