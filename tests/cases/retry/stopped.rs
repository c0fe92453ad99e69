//! What somebody has stopped is not tried again, whatever happens meanwhile.

use rusqlite::Connection;
use rustix::process::Signal;
use steroids_proto::v1;
use steroids_tests::{Ctl, Daemon, FailPoints, Home, Rpc, eventually, processes, rpc};

use super::id_of;

/// One that ignores what it is told, and is tried again however it ends.
async fn stubborn(rpc: &Rpc, ctl: &Ctl) -> v1::Invocation {
    let argv = [
        "/bin/sh",
        "-c",
        "trap '' TERM; echo on; while :; do sleep 1; done",
    ];
    let request = v1::StartRequest {
        retry: Some(v1::RetryPolicy {
            on: vec!["lost".to_owned(), "failed".to_owned()],
            max: Some(1),
        }),
        ..rpc::command(&ctl.project(), "T1", argv.map(str::to_owned).to_vec())
    };
    let started = rpc.start(request).await.unwrap();
    let selector = rpc::invocation(&ctl.project(), started.id);
    rpc.follow(selector, "", true).await.until("on").await;
    started
}

#[tokio::test]
async fn what_was_stopped_is_not_tried_again_by_a_later_daemon_either() {
    let home = Home::new();
    let mut daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let started = stubborn(&rpc, &ctl).await;
    let id = started.id.to_string();
    let stopping = ctl.spawn(["stop", &id, "--grace", "10m"]);
    let asked = home.invocation_dir(&started.uuid).join("stopped");
    eventually("a word of the stop", async || asked.exists().then_some(())).await;
    daemon.kill9().await;
    drop(stopping);
    processes::signal(home.shim(&started.uuid), Signal::KILL);
    daemon.start_again().await;
    let rpc = daemon.rpc().await;
    let ended = rpc.ended(&ctl.project(), started.id).await;
    assert_eq!((&*ended.outcome, ended.retried_by), ("lost", None));
}

/// With what keeps its end from being written down; it is asked to stop meanwhile.
async fn stopped_before_its_row_is_final(home: &Home, ctl: &Ctl, rpc: &Rpc) -> (i64, Connection) {
    let start = "start --task T1 --retry failed --retry-max 1 -- sh -c";
    let mut words: Vec<&str> = start.split(' ').collect();
    words.push("until [ -e go ]; do sleep 0.1; done; exit 5");
    let id = id_of(ctl, &words).await;
    let uuid = rpc.get(&ctl.project(), id).await.uuid;
    let db = Connection::open(ctl.folder().join(".steroids/steroids.db")).unwrap();
    db.execute_batch(
        "CREATE TRIGGER no BEFORE INSERT ON steroidsd_events BEGIN SELECT RAISE(ABORT, 'no'); END",
    )
    .unwrap();
    std::fs::write(ctl.folder().join("go"), "").unwrap();
    home.recorded(&uuid).await;
    eventually("its alarm", async || {
        let shown = rpc.get(&ctl.project(), id).await;
        shown.alarm.starts_with("it has ended").then_some(())
    })
    .await;
    ctl.run(["stop", &id.to_string()])
        .await
        .exits(4)
        .says("has ended");
    (id, db)
}

#[tokio::test]
async fn what_is_stopped_while_its_end_cannot_be_written_is_not_tried_again() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let (id, db) = stopped_before_its_row_is_final(&home, &ctl, &rpc).await;
    db.execute_batch("DROP TRIGGER no").unwrap();
    let ended = rpc.ended(&ctl.project(), id).await;
    assert_eq!(ended.exit_code, Some(5));
    if let Some(next) = ended.retried_by {
        let next = rpc.ended(&ctl.project(), next).await;
        assert_eq!(next.outcome, "cancelled", "{next:?}");
    }
}

/// Killed with the row of the next attempt made, and before that is ended.
#[tokio::test]
async fn the_next_attempt_of_what_was_stopped_is_not_started_by_a_later_daemon() {
    let home = Home::new();
    let mut daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let points = FailPoints::of(&home);
    points.set(&["retry.row-committed kill"]);
    let (id, db) = stopped_before_its_row_is_final(&home, &ctl, &rpc).await;
    db.execute_batch("DROP TRIGGER no").unwrap();
    daemon.ended().await;
    points.clear();
    daemon.start_again().await;
    let rpc = daemon.rpc().await;
    let next = rpc.ended(&ctl.project(), id).await.retried_by;
    let next = next.expect("its row was made");
    let next = rpc.ended(&ctl.project(), next).await;
    assert_eq!(
        (&*next.outcome, next.exit_code),
        ("cancelled", Some(-1)),
        "{next:?}"
    );
}
