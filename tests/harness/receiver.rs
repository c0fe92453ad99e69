//! A server that hooks post to: it hands the test each request, and answers as it is told.

use std::collections::{BTreeMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::wait::within;

/// One request, as it came.
#[derive(Debug, Clone)]
pub struct Received {
    /// Method and path.
    pub line: String,
    /// By name in small letters.
    pub headers: BTreeMap<String, String>,
    /// Its bytes.
    pub body: Vec<u8>,
}

/// What a request is answered with.
#[derive(Debug, Clone)]
pub enum Reply {
    /// A status and further header lines.
    Status(u16, &'static str),
    /// Nothing: the connection stays open.
    Never,
}

/// An address at which nobody listens yet: connections are refused.
#[derive(Debug)]
pub struct Closed {
    socket: TcpSocket,
    tls: Option<Arc<rustls::ServerConfig>>,
}

/// The server. Dropping it closes it, with its connections.
#[derive(Debug)]
pub struct Receiver {
    requests: mpsc::UnboundedReceiver<Received>,
    replies: Replies,
    accepting: JoinHandle<()>,
}

/// Those that were asked for; then 200 for ever.
type Replies = Arc<Mutex<VecDeque<Reply>>>;

impl Closed {
    /// A free port of this machine, kept from others.
    pub fn new() -> Closed {
        let socket = TcpSocket::new_v4().expect("the machine has IPv4");
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        socket.bind(any).expect("a port is free");
        Closed { socket, tls: None }
    }

    /// The same, speaking TLS.
    pub fn with_tls(config: rustls::ServerConfig) -> Closed {
        Closed {
            tls: Some(Arc::new(config)),
            ..Closed::new()
        }
    }

    /// A URL there.
    pub fn url(&self, path: &str) -> String {
        let port = self.socket.local_addr().expect("it is bound").port();
        match self.tls {
            Some(_) => format!("https://localhost:{port}{path}"),
            None => format!("http://127.0.0.1:{port}{path}"),
        }
    }

    /// Begins to listen.
    pub fn open(self) -> Receiver {
        let listener = self.socket.listen(64).expect("it is bound");
        let tls = self.tls.map(TlsAcceptor::from);
        let replies = Replies::default();
        let (tell, requests) = mpsc::unbounded_channel();
        let given = Arc::clone(&replies);
        let accepting = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, tell, replies) = (tls.clone(), tell.clone(), Arc::clone(&given));
                connections.spawn(async move {
                    match tls {
                        None => converse::<TcpStream>(stream, tell, replies).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                converse(stream, tell, replies).await;
                            }
                        }
                    }
                });
            }
        });
        Receiver {
            requests,
            replies,
            accepting,
        }
    }
}

impl Default for Closed {
    fn default() -> Self {
        Closed::new()
    }
}

impl Receiver {
    /// Answers the next requests so.
    pub fn replies(&self, replies: impl IntoIterator<Item = Reply>) {
        let mut queue = self.replies.lock().expect("nobody panics with it");
        queue.extend(replies);
    }

    /// Waits for the next request.
    pub async fn next(&mut self) -> Received {
        let next = within("a hook to post", self.requests.recv()).await;
        next.expect("the server is there")
    }

    /// One that has come already.
    pub fn ready(&mut self) -> Option<Received> {
        self.requests.try_recv().ok()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Received {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("hooks post JSON")
    }

    /// The id of the delivery.
    pub fn id(&self) -> &str {
        &self.headers["webhook-id"]
    }
}

/// One request to a connection: a hook's are closed after it.
async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    tell: mpsc::UnboundedSender<Received>,
    replies: Replies,
) {
    let mut stream = BufReader::new(stream);
    let Some(request) = read(&mut stream).await else {
        return;
    };
    let reply = {
        let mut queue = replies.lock().expect("nobody panics with it");
        queue.pop_front().unwrap_or(Reply::Status(200, ""))
    };
    let body = format!("an answer to {}\n", request.line);
    // The test may have ended.
    let _ = tell.send(request);
    match reply {
        Reply::Never => std::future::pending().await,
        Reply::Status(status, headers) => {
            let answer = format!(
                "HTTP/1.1 {status} Said\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            // Whoever asked may be gone.
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    }
}

async fn read(stream: &mut (impl AsyncBufReadExt + Unpin)) -> Option<Received> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok()?;
    let mut headers = BTreeMap::new();
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).await.ok()?;
        let Some((name, value)) = header.trim_end().split_once(": ") else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length")?.parse().ok()?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(Received {
        line: line.trim_end().to_owned(),
        headers,
        body,
    })
}
