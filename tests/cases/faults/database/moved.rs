//! A database that is moved away behind a commit, before anybody is told of it.

use std::fs;

use rustix::process::Signal;
use steroids_proto::v1;
use steroids_tests::faults::held;
use steroids_tests::{Daemon, FailPoints, Home, log, processes, rpc, within};

fn request(project: &str) -> v1::StartRequest {
    v1::StartRequest {
        request_id: "r-1".to_owned(),
        ..rpc::command(project, "T1", rpc::argv(&["stall"]))
    }
}

#[tokio::test]
async fn a_row_whose_start_was_refused_as_it_began_ends_when_its_database_is_back() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let points = FailPoints::of(&home);
    points.set(&["store.committed stop"]);
    let calls = daemon.rpc().await;
    let asked = request(&ctl.project());
    let starting = tokio::spawn(async move { calls.start(asked).await });
    points.hit("store.committed").await;
    let (steroids, away) = (ctl.folder().join(".steroids"), ctl.folder().join("away"));
    fs::rename(&steroids, &away).unwrap();
    points.clear();
    daemon.signal(Signal::CONT);
    let refused = within("the refusal", starting).await.unwrap().unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unavailable, "{refused:?}");

    fs::rename(&away, &steroids).unwrap();
    let rpc = daemon.rpc().await;
    // The same request waits until it is known what became of it.
    let mut invocations = rpc.invocations();
    let again = invocations.start(request(&ctl.project()));
    let again = within("the same request", again).await;
    let again = again.unwrap().into_inner();
    let row = again.invocation.unwrap();
    assert!(
        again.existing && row.state() == v1::State::Failed,
        "{row:?}"
    );
    assert_eq!((&*row.outcome, row.exit_code), ("never_started", Some(-1)));
    assert_eq!(
        log::types(&log::lines(&ctl.log_path(row.id))),
        ["start", "error"]
    );
    assert_eq!(processes::marked(&row.uuid), []);
    let seen = format!("refused ({}), then never_started by itself", refused.code());
    held(164, seen);
}
