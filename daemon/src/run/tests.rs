//! A whole daemon in a temporary folder, spoken to over its socket.

mod refused;
mod wire;

use std::path::Path;
use std::time::Duration;

use std::os::unix::fs::PermissionsExt as _;

use hyper_util::rt::TokioIo;
use steroids_proto::v1;
use steroids_proto::v1::daemon_client::DaemonClient;
use steroids_proto::v1::invocations_client::InvocationsClient;
use steroids_proto::v1::projects_client::ProjectsClient;
use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::*;
use crate::config::{Flags, Places};

struct Daemon {
    home: tempfile::TempDir,
    config: Config,
    stop: CancellationToken,
    running: JoinHandle<anyhow::Result<()>>,
}

/// The configuration of a daemon at home in `folder`. Its shim starts nothing.
fn config(folder: &Path) -> Config {
    let places = Places {
        config: vec![folder.join("config")],
        state: folder.join("state"),
        runtime: Some(folder.join("run")),
    };
    let config = Config::resolve(&Flags::default(), Some(&places)).unwrap();
    Config {
        shim: Some("/bin/false".into()),
        allow_root: true,
        ..config
    }
}

impl Daemon {
    async fn start() -> Daemon {
        let home = tempfile::tempdir().unwrap();
        let config = config(home.path());
        let stop = CancellationToken::new();
        let running = tokio::spawn(run(config.clone(), stop.clone()));
        let daemon = Daemon {
            home,
            config,
            stop,
            running,
        };
        daemon.connect().await;
        daemon
    }

    /// A connection, once there is something to connect to.
    async fn connect(&self) -> Channel {
        for _ in 0..3000 {
            let path = self.config.socket.clone();
            let connector = tower::service_fn(move |_: tonic::transport::Uri| {
                let path = path.clone();
                async move { UnixStream::connect(path).await.map(TokioIo::new) }
            });
            let endpoint = Endpoint::from_static("http://steroidsd");
            match endpoint.connect_with_connector(connector).await {
                Ok(channel) => return channel,
                // The daemon tells nobody in this process when it listens.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
        panic!("the daemon does not listen");
    }

    async fn project(&self) -> String {
        let path = self.home.path().canonicalize().unwrap().join("project");
        std::fs::create_dir(&path).unwrap();
        let path = path.to_str().unwrap().to_owned();
        let request = v1::RegisterRequest {
            path: path.clone(),
            init: true,
        };
        let mut projects = ProjectsClient::new(self.connect().await);
        let answer = projects.register(request).await.unwrap().into_inner();
        assert!(answer.created);
        path
    }

    async fn end(self) {
        self.stop.cancel();
        self.running.await.unwrap().unwrap();
    }
}

/// A status's field at fault, and what to do.
fn details(status: &Status) -> (String, String) {
    let details = status.get_error_details();
    let field = details
        .bad_request()
        .map(|bad| bad.field_violations[0].field.clone());
    let todo = details.help().map(|help| help.links[0].description.clone());
    (field.unwrap_or_default(), todo.unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_tells_how_it_is_and_leaves_nothing_behind_when_it_ends() {
    let daemon = Daemon::start().await;
    let mut client = DaemonClient::new(daemon.connect().await);
    let status = client
        .status(v1::StatusRequest {})
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (status.state.as_str(), status.running, status.max_running),
        ("serving", 0, 8)
    );
    assert_eq!(status.socket, daemon.config.socket.to_str().unwrap());
    let names: Vec<_> = status
        .providers
        .iter()
        .map(|provider| provider.name.as_str())
        .collect();
    assert_eq!(names, ["claude", "codex", "command", "gemini", "opencode"]);
    assert!(status.rss_bytes > 0);
    let socket = daemon.config.socket.clone();
    assert_eq!(
        socket.metadata().unwrap().permissions().mode() & 0o777,
        0o600
    );
    daemon.end().await;
    assert!(!socket.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_daemon_is_refused_by_name_and_the_first_goes_on() {
    let daemon = Daemon::start().await;
    let error = run(daemon.config.clone(), CancellationToken::new())
        .await
        .unwrap_err();
    assert_eq!(exit_code(&error), 4);
    let holder = format!("pid {} with socket", std::process::id());
    assert!(error.to_string().contains(&holder), "{error}");
    DaemonClient::new(daemon.connect().await)
        .status(v1::StatusRequest {})
        .await
        .unwrap();
    daemon.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_state_folders_do_not_share_a_socket() {
    let daemon = Daemon::start().await;
    let other = Config {
        state_dir: daemon.home.path().join("other"),
        ..daemon.config.clone()
    };
    let error = run(other, CancellationToken::new()).await.unwrap_err();
    assert_eq!(exit_code(&error), 4, "{error}");
    daemon.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_is_answered_and_ends_the_daemon() {
    let daemon = Daemon::start().await;
    let mut client = DaemonClient::new(daemon.connect().await);
    let answer = client
        .shutdown(v1::ShutdownRequest { stop_all: false })
        .await
        .unwrap();
    assert_eq!(answer.into_inner().stopped, 0);
    daemon.running.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_stream_is_told_to_resume_when_the_daemon_ends() {
    let daemon = Daemon::start().await;
    let project = daemon.project().await;
    let mut projects = ProjectsClient::new(daemon.connect().await);
    let request = v1::WatchRequest {
        project: project.clone(),
        after: None,
        pulse: None,
        since_ms: None,
    };
    let mut watch = projects.watch(request).await.unwrap().into_inner();
    let mut invocations = InvocationsClient::new(daemon.connect().await);
    let selector = v1::follow_request::Selector::Project(v1::ProjectSelector { project });
    let request = v1::FollowRequest {
        selector: Some(selector),
        after: String::new(),
        follow: true,
        skip_ended: false,
        limit_bytes: 0,
        pieces: false,
        tail: None,
    };
    let mut follow = invocations.follow(request).await.unwrap().into_inner();
    let mut client = DaemonClient::new(daemon.connect().await);
    let status = client
        .status(v1::StatusRequest {})
        .await
        .unwrap()
        .into_inner();
    assert_eq!((status.subscribers, status.projects), (2, 1));
    daemon.end().await;
    for status in [
        watch.message().await.unwrap_err(),
        follow.message().await.unwrap_err(),
    ] {
        assert_eq!(status.code(), Code::Unavailable);
        assert_eq!(
            status.message(),
            "daemon is stopping; resume with your cursor"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_reflection_answer() {
    let daemon = Daemon::start().await;
    let mut health = tonic_health::pb::health_client::HealthClient::new(daemon.connect().await);
    for service in ["", "steroids.v1.Invocations"] {
        let request = tonic_health::pb::HealthCheckRequest {
            service: service.to_owned(),
        };
        assert_eq!(health.check(request).await.unwrap().into_inner().status, 1);
    }
    use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
    use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
    use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
    let mut reflection = ServerReflectionClient::new(daemon.connect().await);
    let request = tonic_reflection::pb::v1::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut answers = reflection
        .server_reflection_info(tokio_stream::once(request))
        .await
        .unwrap()
        .into_inner();
    let answer = answers
        .message()
        .await
        .unwrap()
        .unwrap()
        .message_response
        .unwrap();
    let MessageResponse::ListServicesResponse(services) = answer else {
        panic!("no list of services: {answer:?}");
    };
    let names: Vec<_> = services
        .service
        .iter()
        .map(|service| service.name.as_str())
        .collect();
    for name in [
        "steroids.v1.Invocations",
        "steroids.v1.Projects",
        "steroids.v1.Daemon",
    ] {
        assert!(names.contains(&name), "{names:?}");
    }
    daemon.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_told_to_stop_while_it_starts_never_listens() {
    let home = tempfile::tempdir().unwrap();
    let config = config(home.path());
    let stop = CancellationToken::new();
    stop.cancel();
    run(config.clone(), stop).await.unwrap();
    assert!(!config.socket.exists());
}
