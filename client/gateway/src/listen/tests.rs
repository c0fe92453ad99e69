//! Accepting, over real sockets.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;

#[tokio::test]
async fn who_waits_for_an_answer_keeps_nobody_else_waiting() {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let listener = Listener {
        socket,
        most: 1000,
        tasks: tasks.clone(),
        stop: stop.clone(),
        metrics: Metrics::new(),
    };
    let answer = |request: Request<Incoming>| async move {
        if request.uri() == "/never" {
            std::future::pending::<()>().await;
        }
        Response::new(Full::new(Bytes::from_static(b"ok")))
    };
    let accepting = tokio::spawn(listener.run(answer));
    let ask = async |path: &str| {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    };
    let mut hanging = Vec::new();
    for _ in 0..2 * OPENING {
        hanging.push(ask("/never").await);
    }
    let mut heard = String::new();
    let mut asking = ask("/").await;
    let read = asking.read_to_string(&mut heard);
    let bound = Duration::from_secs(30);
    tokio::time::timeout(bound, read).await.unwrap().unwrap();
    assert!(heard.ends_with("ok"), "{heard}");
    stop.cancel();
    accepting.await.unwrap();
    drop(hanging);
    tasks.close();
    tasks.wait().await;
}
