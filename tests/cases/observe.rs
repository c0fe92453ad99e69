//! What an operator sees of a daemon: its status, its counts, and what a collector is told.

mod fields;
mod otlp;

use std::time::Duration;

use steroids_proto::v1;
use steroids_tests::{Ctl, Daemon, FailPoints, Home, Puppet, Rpc, eventually, rpc, served};

/// What the daemon says of itself.
async fn status(rpc: &Rpc) -> v1::StatusResponse {
    let answer = rpc.daemon().status(v1::StatusRequest {}).await;
    answer.unwrap().into_inner()
}

/// Waits until it says what is wanted.
async fn told<T>(rpc: &Rpc, what: &str, wanted: impl Fn(v1::StatusResponse) -> Option<T>) -> T {
    eventually(what, async || wanted(status(rpc).await)).await
}

#[tokio::test]
async fn a_reader_that_does_not_read_is_seen_to_be_behind_and_one_that_reads_is_not() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let mut agent = Puppet::new(&home, "agent");
    let id = ctl.start_fake("T1", &agent.args()).await;
    let rpc = daemon.rpc().await;
    let selector = || rpc::invocation(&ctl.project(), id);
    let mut reader = rpc.follow(selector(), "", true).await;
    let _idler = rpc.follow(selector(), "", true).await;
    // More than any stream's buffers hold.
    agent.counts(1..=60, 60_000, Duration::ZERO);
    agent.prints("the last");
    reader.until("the last").await;
    let lag = told(&rpc, "a reader behind", |status| {
        let lag = status.subscriber_lag?;
        (lag.streams == 1 && status.subscribers == 2).then_some(lag)
    })
    .await;
    assert!(lag.bytes > 1_000_000, "{lag:?}");
    assert_eq!(lag.bytes, lag.worst_bytes);
    let counts = status(&rpc).await.counts.unwrap();
    assert!(counts.events_sent >= 61, "{counts:?}");
    assert!(counts.events_sent_bytes > 3_600_000, "{counts:?}");
    let shown = ctl.run(["status"]).await.ok();
    assert!(shown.contains("1 behind by"), "{shown}");
}

#[tokio::test]
async fn what_was_done_is_counted_by_provider_and_outcome_and_shown_to_all_who_ask() {
    let (_home, daemon, gateway, ctl) = served().await;
    let rpc = daemon.rpc().await;
    for code in ["0", "3"] {
        let id = ctl.start_fake("T1", &["exit", code]).await;
        rpc.ended(&ctl.project(), id).await;
    }
    let counts = status(&rpc).await.counts.unwrap();
    let ended: Vec<_> = counts
        .ended
        .iter()
        .map(|it| (&*it.provider, &*it.outcome, it.count))
        .collect();
    assert_eq!(ended, [("command", "failed", 1), ("command", "success", 1)]);
    assert_eq!(counts.started[0].count, 2);
    let json = ctl.run(["--json", "status"]).await.json();
    assert_eq!(json["counts"]["started"][0]["count"], 2);
    assert_eq!(json["projectionLag"]["invocations"], 0);
    assert!(json["commits"]["count"].as_i64().unwrap() >= 4);
    let ended = "steroids_invocations_ended_total{provider=\"command\",outcome=\"failed\"}";
    assert!((gateway.metric(ended).await - 1.0).abs() < 0.5);
    assert!((gateway.metric("steroids_daemon_up").await - 1.0).abs() < 0.5);
    // Measured by a pass, and told with its age.
    ctl.run(["wakeup"]).await.ok();
    let stored = status(&rpc).await.stored.unwrap();
    assert_eq!((stored.spools, stored.logs), (2, 2));
    assert!(stored.spool_bytes > 0 && stored.log_bytes > 100);
}

#[tokio::test]
async fn a_log_that_cannot_be_written_is_behind_until_it_can() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let mut agent = Puppet::new(&home, "agent");
    let id = ctl.start_fake("T1", &agent.args()).await;
    let rpc = daemon.rpc().await;
    let points = FailPoints::of(&home);
    points.set(&["activity_log.append errno 28"]);
    agent.prints("one");
    let lag = told(&rpc, "a log behind", |status| {
        status.projection_lag.filter(|lag| lag.invocations == 1)
    })
    .await;
    assert_eq!(lag.worst_invocation, id);
    assert_eq!(lag.worst_project, ctl.project());
    assert!(lag.bytes > 0, "{lag:?}");
    points.clear();
    told(&rpc, "a log that is up to date", |status| {
        status.projection_lag.filter(|lag| lag.invocations == 0)
    })
    .await;
}

/// Ends one, and waits until its row says so.
async fn run_one(rpc: &Rpc, ctl: &Ctl, task: &str) -> i64 {
    let id = ctl.start_fake(task, &["exit", "0"]).await;
    rpc.ended(&ctl.project(), id).await;
    id
}
