//! Streams over a pipe in memory, with the clock in our hands.

use std::convert::Infallible;
use std::time::Duration;

use http_body_util::StreamBody;
use tokio::io::{AsyncReadExt as _, DuplexStream};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::listen::serve;
use crate::metrics::Metrics;

/// What a pipe takes before its writer has to wait.
const PIPE: usize = 4096;

struct Peer {
    pipe: DuplexStream,
    /// What the stream is made of.
    made: mpsc::Sender<Result<Frame<Bytes>, Infallible>>,
    metrics: Metrics,
}

/// A viewer that asks by a request of this version.
async fn ask(version: &str) -> Peer {
    let (pipe, theirs) = tokio::io::duplex(PIPE);
    let (made, frames) = mpsc::channel(1);
    let frames = Mutex::new(Some(frames));
    let metrics = Metrics::new();
    let answer = move |_| {
        let frames = frames.lock().unwrap().take().unwrap();
        let mut answer = Response::new(StreamBody::new(ReceiverStream::new(frames)));
        let kind = HeaderValue::from_static("text/event-stream");
        answer.headers_mut().insert(CONTENT_TYPE, kind);
        std::future::ready(answer)
    };
    let stop = CancellationToken::new();
    tokio::spawn(serve(theirs, answer, None, stop, metrics.clone()));
    let mut peer = Peer {
        pipe,
        made,
        metrics,
    };
    let request = format!("GET / HTTP/{version}\r\nhost: a\r\n\r\n");
    peer.pipe.write_all(request.as_bytes()).await.unwrap();
    peer
}

impl Peer {
    async fn make(&self, data: &[u8]) {
        let frame = Frame::data(Bytes::copy_from_slice(data));
        self.made.send(Ok(frame)).await.unwrap();
    }

    async fn read_until(&mut self, end: &str) -> String {
        let mut text = Vec::new();
        while !text.ends_with(end.as_bytes()) {
            text.push(self.pipe.read_u8().await.unwrap());
        }
        String::from_utf8(text).unwrap()
    }

    /// Ends the stream; what is there until the connection ends.
    async fn rest(self) -> String {
        let Peer { mut pipe, made, .. } = self;
        drop(made);
        let mut text = String::new();
        pipe.read_to_string(&mut text).await.unwrap();
        text
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_sent_in_chunks_as_it_is_made_and_then_the_connection_ends() {
    let mut peer = ask("1.1").await;
    let head = peer.read_until("\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("transfer-encoding: chunked\r\n"), "{head}");
    assert!(head.contains("connection: close\r\n"), "{head}");
    peer.make(b"data: one\n\n").await;
    assert_eq!(peer.read_until("\n\n\r\n").await, "B\r\ndata: one\n\n\r\n");
    // One without anything would look like the end.
    peer.make(b"").await;
    peer.make(&[b'x'; 3 * PIPE]).await;
    let (prefix, end) = ("3000\r\n", "\r\n0\r\n\r\n");
    let rest = peer.rest().await;
    assert_eq!(rest, format!("{prefix}{}{end}", "x".repeat(3 * PIPE)));
}

#[tokio::test(start_paused = true)]
async fn who_asks_by_an_older_version_gets_no_chunks() {
    let mut peer = ask("1.0").await;
    let head = peer.read_until("\r\n\r\n").await;
    assert!(!head.contains("chunked"), "{head}");
    peer.make(b"data: one\n\n").await;
    assert_eq!(peer.rest().await, "data: one\n\n");
}

#[tokio::test(start_paused = true)]
async fn a_viewer_that_leaves_ends_what_makes_its_stream_though_it_is_silent() {
    let mut peer = ask("1.1").await;
    peer.read_until("\r\n\r\n").await;
    let Peer { pipe, made, .. } = peer;
    drop(pipe);
    tokio::time::timeout(Duration::from_secs(1), made.closed())
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_viewer_that_says_something_goes_on_hearing_and_is_not_listened_to() {
    let mut peer = ask("1.1").await;
    peer.read_until("\r\n\r\n").await;
    peer.pipe
        .write_all(b"GET / HTTP/1.1\r\n\r\n")
        .await
        .unwrap();
    peer.make(b"data: one\n\n").await;
    peer.read_until("\n\n\r\n").await;
    // Its pipe is full then, which is its own affair.
    let flood = peer.pipe.write_all(&[b'x'; 2 * PIPE]);
    let flooded = tokio::time::timeout(Duration::from_secs(60), flood).await;
    assert!(flooded.is_err());
    peer.make(b"data: two\n\n").await;
    assert_eq!(peer.read_until("\n\n\r\n").await, "B\r\ndata: two\n\n\r\n");
}

#[tokio::test(start_paused = true)]
async fn a_viewer_that_takes_nothing_is_let_go() {
    let peer = ask("1.1").await;
    peer.make(&[b'x'; 3 * PIPE]).await;
    tokio::time::timeout(Duration::from_secs(31), peer.made.closed())
        .await
        .unwrap();
    let text = peer.metrics.text();
    assert!(text.contains("refused_total{reason=\"stalled\"} 1\n"));
}
