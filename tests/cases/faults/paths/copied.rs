//! Copies of projects (`cp -a`) in which something waits.

use std::path::Path;
use std::process::Command;

use steroids_proto::v1;
use steroids_tests::{Daemon, Home, Puppet, log, rpc};

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").args([from, to]).status();
    assert!(copied.unwrap().success());
}

#[tokio::test]
async fn what_waited_as_its_project_was_copied_has_lasted_no_time_in_the_copy() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let (app, copied) = (daemon.project("app").await, daemon.ctl(&home.path("copy")));
    let agent = Puppet::new(&home, "agent");
    let rpc = daemon.rpc().await;
    let runs = rpc.start_fake(&app.project(), "T1", &agent.args()).await;
    let waits = v1::StartRequest {
        after: vec![runs.id],
        ..rpc::command(&app.project(), "T2", rpc::argv(&["exit", "0"]))
    };
    let waits = rpc.start(waits).await.unwrap();
    copy(app.folder(), copied.folder());
    copied.run(["list"]).await.ok();
    let ended = rpc.ended(&copied.project(), waits.id).await;
    assert_eq!(ended.outcome, "lost", "{ended:?}");
    let lasted = (ended.started_at_ms, ended.duration_ms);
    assert_eq!(lasted, (ended.completed_at_ms, Some(0)));
    let lines = log::lines(&copied.log_path(waits.id));
    log::assert_whole(&lines);
    let times: Vec<_> = lines.iter().map(|line| line["ts"].as_i64()).collect();
    assert_eq!(times, [ended.completed_at_ms; 2]);
}
