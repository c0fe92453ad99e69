//! HTTP/2 to a daemon's socket, frame by frame: for clients that are broken, slow or mean.

use std::path::Path;
use std::time::Duration;

use h2::client::{Builder, ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use tonic::Code;
use tonic::codegen::Bytes;
use tonic::codegen::http::{HeaderMap, Method, Request};

use crate::wait::within;

/// A connection. Dropped, it is closed.
#[derive(Debug)]
pub struct Wire {
    send: SendRequest<Bytes>,
    connection: JoinHandle<Result<(), h2::Error>>,
}

/// What a call came to.
#[derive(Debug)]
pub struct Answered {
    /// The gRPC code.
    pub code: Code,
    /// The words with it.
    pub message: String,
}

/// A message as it goes over the wire: a flag, its length, its bytes.
pub fn framed(flag: u8, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("test messages are small");
    let mut frame = vec![flag];
    frame.extend(length.to_be_bytes());
    frame.extend(message);
    frame
}

impl Wire {
    /// Connects, and reads as fast as it comes.
    pub async fn connect(socket: &Path) -> Wire {
        Wire::connect_as(socket, &Builder::new()).await
    }

    /// Connects and takes nothing of any stream: a window of no bytes, never opened.
    pub async fn connect_shut(socket: &Path) -> Wire {
        Wire::connect_as(socket, Builder::new().initial_window_size(0)).await
    }

    async fn connect_as(socket: &Path, builder: &Builder) -> Wire {
        // Blocks while the backlog is full, where one that does not block is refused.
        let socket = socket.to_owned();
        let connecting = tokio::task::spawn_blocking(move || {
            let stream = std::os::unix::net::UnixStream::connect(socket)?;
            stream.set_nonblocking(true)?;
            Ok::<_, std::io::Error>(stream)
        });
        let stream = within("a connection", connecting).await;
        let stream = stream.expect("it does not panic").expect("it listens");
        let stream = UnixStream::from_std(stream).expect("it does not block");
        let (send, connection) = within("a handshake", builder.handshake(stream))
            .await
            .expect("it speaks HTTP/2");
        Wire {
            send,
            connection: tokio::spawn(connection),
        }
    }

    /// Opens a call, with nothing sent yet but its head.
    pub async fn open(
        &mut self,
        method: &str,
        encoding: &str,
    ) -> (ResponseFuture, SendStream<Bytes>) {
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("http://steroidsd/steroids.v1.{method}"))
            .header("content-type", "application/grpc")
            .header("grpc-encoding", encoding)
            .header("te", "trailers")
            .body(())
            .expect("a method's name makes a request");
        let mut send = self.send.clone().ready().await.expect("it takes streams");
        send.send_request(request, false).expect("it takes streams")
    }

    /// Sends a body to a method, whole, and waits for what becomes of it.
    pub async fn call(&mut self, method: &str, encoding: &str, body: Vec<u8>) -> Answered {
        let (answer, mut sending) = self.open(method, encoding).await;
        sending.reserve_capacity(body.len());
        let mut body = Bytes::from(body);
        if body.is_empty() {
            // A stream that was reset says why in its answer.
            let _ = sending.send_data(Bytes::new(), true);
        }
        within("an answer", async {
            // Refused early, it may leave some of the body unread.
            let mut answer = std::pin::pin!(answer);
            loop {
                tokio::select! {
                    answer = &mut answer => return answered(answer).await,
                    room = std::future::poll_fn(|cx| sending.poll_capacity(cx)), if !body.is_empty() => {
                        let Some(Ok(room)) = room else { body.clear(); continue };
                        let part = body.split_to(room.min(body.len()));
                        // A stream that was reset says why in its answer.
                        let _ = sending.send_data(part, body.is_empty());
                    }
                }
            }
        })
        .await
    }

    /// Waits until the other side has closed the connection.
    pub async fn closed(&mut self, patience: Duration) {
        let ended = tokio::time::timeout(patience, &mut self.connection).await;
        assert!(ended.is_ok(), "the connection is open after {patience:?}");
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

async fn answered(
    answer: Result<tonic::codegen::http::Response<RecvStream>, h2::Error>,
) -> Answered {
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => return broken(&error),
    };
    if let Some(answered) = status(answer.headers()) {
        return answered;
    }
    let mut body = answer.into_body();
    while let Some(data) = body.data().await {
        match data {
            Ok(data) => drop(body.flow_control().release_capacity(data.len())),
            Err(error) => return broken(&error),
        }
    }
    match body.trailers().await {
        Ok(trailers) => trailers.as_ref().and_then(status).unwrap_or(Answered {
            code: Code::Unknown,
            message: "no status".to_owned(),
        }),
        Err(error) => broken(&error),
    }
}

fn status(headers: &HeaderMap) -> Option<Answered> {
    let status = tonic::Status::from_header_map(headers)?;
    Some(Answered {
        code: status.code(),
        message: status.message().to_owned(),
    })
}

fn broken(error: &h2::Error) -> Answered {
    Answered {
        code: Code::Unknown,
        message: format!("the stream broke: {error}"),
    }
}
