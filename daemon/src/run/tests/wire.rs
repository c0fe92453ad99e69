//! What comes over the wire from a client that is broken, or wants to break something.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream as StdUnixStream;

use tonic::body::Body;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::codegen::http::{Request, Response};
use tonic_prost::ProstCodec;
use tower::{Service as _, ServiceExt as _};

use super::*;

/// Sends a body of raw gRPC frames to `Get`, and says what comes back.
async fn send_raw(channel: &mut Channel, encoding: &str, body: &str) -> Response<Body> {
    let request = Request::builder()
        .method("POST")
        .uri("http://steroidsd/steroids.v1.Invocations/Get")
        .header("content-type", "application/grpc")
        .header("grpc-encoding", encoding)
        .header("te", "trailers")
        .body(Body::new(body.to_owned()))
        .unwrap();
    channel.ready().await.unwrap().call(request).await.unwrap()
}

fn code(answer: &Response<Body>) -> Code {
    Status::from_header_map(answer.headers()).map_or(Code::Ok, |status| status.code())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_length_of_a_gibibyte_is_refused_without_a_gibibyte() {
    let daemon = Daemon::start().await;
    let mut channel = daemon.connect().await;
    let mut client = DaemonClient::new(channel.clone());
    let before = client
        .status(v1::StatusRequest {})
        .await
        .unwrap()
        .into_inner()
        .rss_bytes;
    let answer = send_raw(&mut channel, "identity", "\0\u{40}\0\0\0some").await;
    assert_eq!(code(&answer), Code::ResourceExhausted);
    let after = client
        .status(v1::StatusRequest {})
        .await
        .unwrap()
        .into_inner()
        .rss_bytes;
    assert!(after - before < 64 << 20, "{before} {after}");
    daemon.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_that_is_cut_or_packed_in_an_unknown_way_is_an_error() {
    let daemon = Daemon::start().await;
    let mut channel = daemon.connect().await;
    let cut = send_raw(&mut channel, "identity", "\0\0\0\0\u{09}cut").await;
    assert!(
        matches!(code(&cut), Code::Internal | Code::InvalidArgument),
        "{:?}",
        code(&cut)
    );
    let packed = send_raw(&mut channel, "gzip", "\u{1}\0\0\0\u{3}abc").await;
    assert_eq!(code(&packed), Code::Unimplemented);
    let mut client = DaemonClient::new(channel);
    client.status(v1::StatusRequest {}).await.unwrap();
    daemon.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn text_that_is_no_text_is_refused_and_unknown_fields_are_passed_over() {
    let daemon = Daemon::start().await;
    let mut client = Grpc::new(daemon.connect().await);
    client.ready().await.unwrap();
    // The path of a project first, as in GetProject; then a field 2 that it does not have.
    let message = |path: &str, bytes: &[u8]| prost_types::Any {
        type_url: path.to_owned(),
        value: bytes.to_vec(),
    };
    let path = PathAndQuery::from_static("/steroids.v1.Projects/Get");
    let codec = ProstCodec::<prost_types::Any, v1::GetProjectResponse>::default();
    let request = tonic::Request::new(message("/nowhere", b"new"));
    let status = client.unary(request, path, codec).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound, "{status}");

    client.ready().await.unwrap();
    let path = PathAndQuery::from_static("/steroids.v1.Invocations/Start");
    let codec = ProstCodec::<prost_types::Any, v1::StartResponse>::default();
    let request = tonic::Request::new(message("/nowhere", b"\xff\xfe"));
    let status = client.unary(request, path, codec).await.unwrap_err();
    assert!(
        matches!(status.code(), Code::Internal | Code::InvalidArgument),
        "{status}"
    );
    daemon.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_method_that_is_not_there_is_unimplemented() {
    let daemon = Daemon::start().await;
    let mut client = Grpc::new(daemon.connect().await);
    client.ready().await.unwrap();
    let path = PathAndQuery::from_static("/steroids.v1.Invocations/Teleport");
    let codec = ProstCodec::<prost_types::Any, prost_types::Any>::default();
    let request = tonic::Request::new(prost_types::Any::default());
    let status = client.unary(request, path, codec).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
    daemon.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_too_large_is_refused_as_such() {
    let daemon = Daemon::start().await;
    let mut client = InvocationsClient::new(daemon.connect().await);
    let request = v1::StartRequest {
        project: "/somewhere".to_owned(),
        task_id: "T1".to_owned(),
        prompt: "x".repeat(5 << 20),
        ..v1::StartRequest::default()
    };
    let status = client.start(request).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    assert!(status.message().contains("4 MiB"), "{status}");
    daemon.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_ends_its_own_connection_only() {
    let daemon = Daemon::start().await;
    let socket = daemon.config.socket.clone();
    let answer = tokio::task::spawn_blocking(move || {
        let mut stream = StdUnixStream::connect(socket).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            .unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).map_err(|error| error.kind())
    });
    // With what it had still to say unread, closing is a reset.
    let ended = answer.await.unwrap();
    assert!(
        matches!(ended, Ok(_) | Err(std::io::ErrorKind::ConnectionReset)),
        "{ended:?}"
    );
    DaemonClient::new(daemon.connect().await)
        .status(v1::StatusRequest {})
        .await
        .unwrap();
    daemon.end().await;
}
