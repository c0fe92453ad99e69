//! A connection's whole life over a pipe in memory, with the clock in our hands.

use bytes::Bytes;
use http::Response;
use http_body_util::{Full, StreamBody};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio_stream::StreamExt as _;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::listen::serve;

/// What a pipe takes before its writer has to wait.
const PIPE: usize = 4096;
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";

struct Peer {
    pipe: DuplexStream,
    stop: CancellationToken,
    metrics: Metrics,
    began: Instant,
}

/// A connection on which every request is answered with `ok`.
fn connect() -> Peer {
    connect_to(|| Full::new(Bytes::from_static(b"ok")))
}

fn connect_to<B>(body: impl Fn() -> B + Clone + Send + Sync + 'static) -> Peer
where
    B: Body<Data = Bytes, Error: Into<axum::BoxError>> + Send + 'static,
{
    let (pipe, theirs) = tokio::io::duplex(PIPE);
    let stop = CancellationToken::new();
    let metrics = Metrics::new();
    let answer = move |_| {
        let mut answer = Response::new(body());
        headers::put(answer.headers_mut());
        std::future::ready(answer)
    };
    tokio::spawn(serve(theirs, answer, None, stop.clone(), metrics.clone()));
    Peer {
        pipe,
        stop,
        metrics,
        began: Instant::now(),
    }
}

impl Peer {
    async fn send(&mut self, bytes: &[u8]) {
        self.pipe.write_all(bytes).await.unwrap();
    }

    /// One whole answer of ours.
    async fn answer(&mut self) -> String {
        let mut text = Vec::new();
        while !text.ends_with(b"\r\n\r\nok") {
            text.push(self.pipe.read_u8().await.unwrap());
        }
        String::from_utf8(text).unwrap()
    }

    /// Everything until the connection ends, and after how long that was.
    async fn rest(&mut self) -> (String, u64) {
        let mut text = Vec::new();
        self.pipe.read_to_end(&mut text).await.unwrap();
        let text = String::from_utf8(text).unwrap();
        (text, self.began.elapsed().as_secs())
    }

    fn refused(&self, reason: &str) -> bool {
        let line = format!("refused_total{{reason=\"{reason}\"}} 1\n");
        self.metrics.text().contains(&line)
    }
}

#[tokio::test(start_paused = true)]
async fn who_says_nothing_is_let_go() {
    assert_eq!(connect().rest().await, (String::new(), 10));
}

#[tokio::test(start_paused = true)]
async fn a_head_that_trickles_in_is_not_awaited() {
    let mut peer = connect();
    peer.send(b"GET / HTTP/1.1\r\nx: ").await;
    let mut sent = 0;
    while peer.pipe.write_all(b"a").await.is_ok() {
        sent += 1;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!((9..=11).contains(&sent), "{sent}");
    assert!(peer.refused("slow_head"));
}

#[tokio::test(start_paused = true)]
async fn between_two_requests_there_is_a_minute() {
    let mut peer = connect();
    for _ in 0..3 {
        peer.send(REQUEST).await;
        peer.answer().await;
        tokio::time::sleep(Duration::from_secs(59)).await;
    }
    peer.send(REQUEST).await;
    peer.answer().await;
    assert_eq!(peer.rest().await, (String::new(), 3 * 59 + 60));
}

#[tokio::test(start_paused = true)]
async fn two_requests_at_once_are_answered_in_order() {
    let mut peer = connect();
    peer.send(&[REQUEST, REQUEST].concat()).await;
    assert!(peer.answer().await.starts_with("HTTP/1.1 200 OK\r\n"));
    assert!(peer.answer().await.starts_with("HTTP/1.1 200 OK\r\n"));
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_stalls_is_let_go_and_a_slow_one_is_not() {
    let endless = || {
        let frames = std::iter::repeat_with(|| {
            let frame = Frame::data(Bytes::from(vec![b'x'; 1024]));
            Ok::<_, std::convert::Infallible>(frame)
        });
        StreamBody::new(tokio_stream::iter(frames))
    };
    let mut peer = connect_to(endless);
    peer.send(REQUEST).await;
    let mut some = [0; 512];
    for _ in 0..20 {
        peer.pipe.read_exact(&mut some).await.unwrap();
        tokio::time::sleep(Duration::from_secs(29)).await;
    }
    assert!(!peer.refused("stalled"));
    tokio::time::sleep(Duration::from_secs(31)).await;
    assert!(peer.refused("stalled"));
    let (rest, _) = peer.rest().await;
    assert!(rest.len() <= 2 * PIPE);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_silent_stays_open() {
    let heartbeats = || {
        let ticks = tokio::time::interval(Duration::from_secs(300));
        let frames = tokio_stream::wrappers::IntervalStream::new(ticks)
            .map(|_| Ok::<_, std::convert::Infallible>(Frame::data(Bytes::from_static(b"tick"))));
        StreamBody::new(frames)
    };
    let mut peer = connect_to(heartbeats);
    peer.send(REQUEST).await;
    let mut seen = Vec::new();
    while seen.windows(4).filter(|it| *it == b"tick").count() < 4 {
        seen.push(peer.pipe.read_u8().await.unwrap());
    }
    assert_eq!(peer.began.elapsed().as_secs(), 900);
}

#[tokio::test(start_paused = true)]
async fn what_hyper_answers_by_itself_is_worded_as_ours() {
    let long = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "a".repeat(17 * 1024));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: 1\r\n".repeat(65));
    for (request, status) in [
        ("NONSENSE\r\n\r\n", "400 Bad Request"),
        ("GET / HTTP/3.0\r\n\r\n", "400 Bad Request"),
        (&long, "431 Request Header Fields Too Large"),
        (&many, "431 Request Header Fields Too Large"),
    ] {
        let mut peer = connect();
        // It may be cut off before it has said all.
        let _ = peer.pipe.write_all(request.as_bytes()).await;
        let _ = peer.pipe.shutdown().await;
        let (text, _) = peer.rest().await;
        assert!(
            text.starts_with(&format!("HTTP/1.1 {status}\r\n")),
            "{text}"
        );
        assert!(text.contains(headers::MARK) && text.contains("connection: close\r\n"));
        assert!(text.contains(r#"{"success":false,"error":"#), "{text}");
        assert_eq!(text.matches("HTTP/1.1 4").count(), 1);
        assert!(peer.refused("head"));
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_told_no_hears_it_although_he_still_talks() {
    let closing = || Full::new(Bytes::from_static(b"ok"));
    let mut peer = connect_to(closing);
    peer.send(b"POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 9000\r\n\r\n")
        .await;
    peer.answer().await;
    // Nobody reads it any more, and that takes nothing back.
    peer.send(&[b'x'; 9000]).await;
    let (rest, seconds) = peer.rest().await;
    assert_eq!((rest.as_str(), seconds), ("", 0));
}

#[tokio::test(start_paused = true)]
async fn told_to_stop_an_idle_connection_ends_at_once_and_a_busy_one_with_its_answer() {
    let mut idle = connect();
    let mut used = connect();
    used.send(REQUEST).await;
    used.answer().await;
    let mut half = connect();
    half.send(b"GET / HT").await;
    for peer in [&mut idle, &mut used, &mut half] {
        peer.stop.cancel();
        assert_eq!(peer.rest().await, (String::new(), 0));
    }
    let late = || {
        let later = tokio_stream::once(()).then(|()| async {
            tokio::time::sleep(Duration::from_secs(3)).await;
            Ok::<_, std::convert::Infallible>(Frame::data(Bytes::from_static(b"late")))
        });
        StreamBody::new(later)
    };
    let mut busy = connect_to(late);
    busy.send(REQUEST).await;
    while busy.pipe.read_u8().await.unwrap() != b'\n' {}
    busy.stop.cancel();
    let (text, seconds) = busy.rest().await;
    assert!(
        text.contains("late") && text.ends_with("0\r\n\r\n"),
        "{text}"
    );
    assert_eq!(seconds, 3);
}
