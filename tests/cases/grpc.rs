//! The gRPC surface as somebody without our client finds it.

use std::collections::BTreeMap;

use prost::Message;
use prost_types::FileDescriptorProto;
use steroids_proto::v1;
use steroids_tests::{Daemon, Home, eventually, old_database};
use tonic::Code;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

const SERVICES: [&str; 3] = [
    "steroids.v1.Daemon",
    "steroids.v1.Invocations",
    "steroids.v1.Projects",
];

#[tokio::test]
async fn health_says_serving_for_the_whole_and_for_each_service() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let mut health = HealthClient::new(daemon.rpc().await.channel());
    for service in ["", SERVICES[0], SERVICES[1], SERVICES[2]] {
        let request = HealthCheckRequest {
            service: service.to_owned(),
        };
        let answer = health.check(request).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving, "{service}");
    }
}

#[tokio::test]
async fn reflection_alone_is_enough_to_list_and_describe_everything() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let mut reflection = ServerReflectionClient::new(daemon.rpc().await.channel());
    let list = MessageRequest::ListServices(String::new());
    let MessageResponse::ListServicesResponse(list) = ask(&mut reflection, list).await else {
        panic!("no list of services");
    };
    let names: Vec<_> = list.service.iter().map(|it| it.name.as_str()).collect();
    for service in SERVICES {
        assert!(names.contains(&service), "{service} is not in {names:?}");
    }

    // As grpcurl does it: the file of each service, then all that it imports.
    let mut files = BTreeMap::new();
    let symbols = SERVICES.map(|it| MessageRequest::FileContainingSymbol(it.to_owned()));
    let mut questions = symbols.to_vec();
    while let Some(question) = questions.pop() {
        for file in described(&mut reflection, question).await {
            let imports = file.dependency.iter().cloned();
            questions.extend(imports.map(MessageRequest::FileByFilename));
            files.insert(file.name().to_owned(), file);
        }
        questions.retain(
            |it| !matches!(it, MessageRequest::FileByFilename(name) if files.contains_key(name)),
        );
    }
    let start = files
        .values()
        .flat_map(|file| &file.service)
        .flat_map(|service| &service.method)
        .find(|method| method.name() == "Start")
        .unwrap();
    assert_eq!(start.input_type(), ".steroids.v1.StartRequest");
    let request = files
        .values()
        .flat_map(|file| &file.message_type)
        .find(|message| message.name() == "StartRequest")
        .unwrap();
    for name in ["project", "task_id", "prompt", "limits", "request_id"] {
        assert!(request.field.iter().any(|it| it.name() == name), "{name}");
    }
}

type Reflection = ServerReflectionClient<Channel>;

/// One question and its answer.
async fn ask(reflection: &mut Reflection, question: MessageRequest) -> MessageResponse {
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(question),
    };
    let answers = reflection
        .server_reflection_info(tokio_stream::iter([request]))
        .await;
    let answer = answers.unwrap().into_inner().message().await.unwrap();
    answer.unwrap().message_response.unwrap()
}

async fn described(
    reflection: &mut Reflection,
    question: MessageRequest,
) -> Vec<FileDescriptorProto> {
    let words = format!("{question:?}");
    let MessageResponse::FileDescriptorResponse(files) = ask(reflection, question).await else {
        panic!("no file for {words}");
    };
    let files = files.file_descriptor_proto.into_iter();
    files
        .map(|file| FileDescriptorProto::decode(&*file).unwrap())
        .collect()
}

#[tokio::test]
async fn a_message_over_4_mib_is_refused_and_the_connection_lives_on() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let project = daemon.project("app").await.project();
    let rpc = daemon.rpc().await;
    let request = v1::StartRequest {
        project: project.clone(),
        task_id: "T1".to_owned(),
        prompt: "p".repeat(4 * 1024 * 1024 + 1),
        ..Default::default()
    };
    let status = rpc.start(request).await.unwrap_err();
    let refused = [
        Code::OutOfRange,
        Code::ResourceExhausted,
        Code::InvalidArgument,
    ];
    assert!(refused.contains(&status.code()), "{status:?}");
    let request = v1::ListRequest {
        project,
        ..Default::default()
    };
    let listed = rpc.invocations().list(request).await.unwrap();
    assert!(listed.into_inner().invocations.is_empty());
}

#[tokio::test]
async fn errors_carry_the_field_and_what_to_do() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let project = daemon.project("app").await.project();
    let request = v1::StartRequest {
        project,
        provider: "command".to_owned(),
        argv: vec!["true".to_owned()],
        ..Default::default()
    };
    let status = daemon.rpc().await.start(request).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains("task"), "{status:?}");
    let details = String::from_utf8_lossy(status.details()).into_owned();
    assert!(details.contains("task_id"), "{details:?}");
}

#[tokio::test]
async fn status_tells_what_a_person_asks_first() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    daemon
        .project("app")
        .await
        .start_fake("T1", &["stall"])
        .await;
    let answer = daemon
        .rpc()
        .await
        .daemon()
        .status(v1::StatusRequest {})
        .await;
    let status = answer.unwrap().into_inner();
    assert_eq!(status.pid, i64::from(daemon.pid()));
    assert_eq!((status.running, status.projects), (1, 1));
    assert_eq!(status.socket, home.socket().to_str().unwrap());
    assert_eq!(status.state, "serving");
    assert!(status.degraded.is_empty(), "{:?}", status.degraded);
    let names: Vec<_> = status
        .providers
        .iter()
        .map(|provider| &*provider.name)
        .collect();
    for name in ["claude", "codex", "gemini", "opencode", "command"] {
        assert!(names.contains(&name), "{names:?}");
    }
}

#[tokio::test]
async fn a_draining_daemon_starts_nothing_and_lets_the_rest_run() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    ctl.start_fake("T1", &["stall"]).await;
    let rpc = daemon.rpc().await;
    let drained = rpc
        .daemon()
        .drain(v1::DrainRequest { off: false })
        .await
        .unwrap();
    assert_eq!(drained.into_inner().running, 1);
    let refused = ctl.run(["start", "--task", "T2", "--", "true"]).await;
    assert_ne!(refused.code, 0, "{refused:?}");
    rpc.daemon()
        .drain(v1::DrainRequest { off: true })
        .await
        .unwrap();
    ctl.run(["start", "--task", "T2", "--", "true"]).await.ok();
}

#[tokio::test]
async fn shutdown_with_stop_all_ends_the_agents_and_the_daemon() {
    let home = Home::new();
    let mut daemon = Daemon::start(&home).await;
    daemon
        .project("app")
        .await
        .start_fake("T1", &["stall"])
        .await;
    let request = v1::ShutdownRequest { stop_all: true };
    let answer = daemon.rpc().await.daemon().shutdown(request).await.unwrap();
    assert_eq!(answer.into_inner().stopped, 1);
    assert_eq!(daemon.ended().await, 0);
    // A shim writes its record, and goes; the daemon has no reason to wait for the second.
    eventually("the shims to go", async || {
        home.processes().is_empty().then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_row_larger_than_a_message_is_told_as_far_as_one_can_hold_it() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let id = rpc
        .start_fake(&ctl.project(), "T1", &["exit", "3"])
        .await
        .id;
    rpc.ended(&ctl.project(), id).await;
    // As the older tool, or an agent that answers at length, may leave them.
    let db = rusqlite::Connection::open(old_database::path(ctl.folder())).unwrap();
    let grow = "UPDATE task_invocations SET prompt = hex(zeroblob(500000)),
                response = hex(zeroblob(3000000)), error = hex(zeroblob(3000000))";
    db.execute(grow, []).unwrap();
    let told = rpc.get(&ctl.project(), id).await;
    assert_eq!(told.prompt.len(), 1_000_000);
    assert!(told.response.ends_with(" more bytes]"));
    assert!(told.error.len() < 4096 && told.error.ends_with(" more bytes]"));
    let request = v1::ListRequest {
        project: ctl.project(),
        ..v1::ListRequest::default()
    };
    let listed = rpc.invocations().list(request).await.unwrap().into_inner();
    assert_eq!(listed.invocations.len(), 1);
}
