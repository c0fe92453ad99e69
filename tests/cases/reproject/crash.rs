//! A crash at any moment leaves the old log or the new one; asking once more does the rest. And
//! retention never meets it.

use std::fs;

use steroids_proto::v1;
use steroids_tests::{Daemon, FailPoints, Home, assert_undisturbed, eventually, rpc};

use super::falsify;

fn request(project: &str, id: i64) -> v1::ReprojectRequest {
    v1::ReprojectRequest {
        project: project.to_owned(),
        id,
        ..Default::default()
    }
}

#[tokio::test]
async fn a_daemon_killed_at_any_step_leaves_a_whole_log_and_the_next_one_goes_on() {
    let home = Home::new();
    let points = FailPoints::of(&home);
    let mut daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let ended = super::misread(&daemon, &ctl, "rate-limit").await;
    let path = ctl.log_path(ended.id);
    let half = path.with_extension("log.new");
    for (point, is_new, left_to_do) in [
        ("rebuild.published", true, "row"),
        ("rebuild.written", false, "rebuilt"),
        ("rebuild.counted", false, "rebuilt"),
    ] {
        // The log as it is, with some cursors given out, and another one that is false.
        let rpc = daemon.rpc().await;
        let selector = rpc::invocation(&ctl.project(), ended.id);
        let old = falsify(&path);
        let events = rpc
            .follow(selector.clone(), "", true)
            .await
            .rest()
            .await
            .unwrap();
        let cursor = events[0].cursor.clone();
        points.set(&[&format!("{point} kill")]);
        let asked = rpc
            .invocations()
            .reproject(request(&ctl.project(), ended.id))
            .await;
        asked.expect_err("its daemon was killed");
        assert_eq!(points.hits(point).len(), 1);
        points.clear();
        daemon.ended().await;
        let left = fs::read(&path).unwrap();
        assert_eq!(left != old, is_new, "{point}");

        daemon.start_again().await;
        let rpc = daemon.rpc().await;
        let answer = rpc
            .invocations()
            .reproject(request(&ctl.project(), ended.id))
            .await;
        assert_eq!(answer.unwrap().into_inner().result, left_to_do, "{point}");
        let now = rpc.get(&ctl.project(), ended.id).await;
        assert_ne!(now.outcome, ended.outcome);
        assert_undisturbed(&ctl, &now);
        assert!(!half.exists(), "{point}");
        // A cursor into the log before leads nowhere.
        let mut again = rpc.follow(selector, &cursor, true).await;
        let gap = again.next().await.unwrap().unwrap();
        assert_eq!(gap.r#type, "gap", "{point}");
        let rest = again.rest().await.unwrap();
        assert_eq!(rpc::bytes(&rest), fs::read(&path).unwrap(), "{point}");
    }
}

#[tokio::test]
async fn what_a_crash_left_is_swept_though_nobody_asks_again() {
    let home = Home::new();
    let points = FailPoints::of(&home);
    let mut daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let id = ctl.start_fake("T1", &["numbers", "--count", "3"]).await;
    let rpc = daemon.rpc().await;
    rpc.ended(&ctl.project(), id).await;
    let old = falsify(&ctl.log_path(id));
    points.set(&["rebuild.written kill"]);
    let asked = rpc
        .invocations()
        .reproject(request(&ctl.project(), id))
        .await;
    asked.expect_err("its daemon was killed");
    points.clear();
    daemon.ended().await;
    let half = ctl.log_path(id).with_extension("log.new");
    assert!(half.exists());
    daemon.start_again().await;
    ctl.run(["wakeup"]).await.ok();
    assert!(!half.exists());
    assert_eq!(fs::read(ctl.log_path(id)).unwrap(), old);
}

#[tokio::test]
async fn retention_waits_until_the_log_is_made_and_is_waited_for() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let id = ctl.start_fake("T1", &["numbers", "--count", "3"]).await;
    let ended = rpc.ended(&ctl.project(), id).await;
    falsify(&ctl.log_path(id));
    // Once the new log is written, its generation is to be counted, and that has to wait.
    let database = ctl.folder().join(".steroids/steroids.db");
    let locked = rusqlite::Connection::open(database).unwrap();
    locked.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (asking, project) = (rpc.clone(), ctl.project());
    let asked = tokio::spawn(async move {
        let answer = asking.invocations().reproject(request(&project, id)).await;
        answer.unwrap().into_inner()
    });
    let half = ctl.log_path(id).with_extension("log.new");
    eventually("the new log", async || half.exists().then_some(())).await;
    // Everything that may be removed is to go now.
    let (asking, project) = (rpc.clone(), ctl.project());
    let swept = tokio::spawn(async move {
        let all = v1::CleanupLogsRequest {
            project,
            days: Some(0),
            dry_run: false,
        };
        asking
            .projects()
            .cleanup_logs(all)
            .await
            .unwrap()
            .into_inner()
    });
    // Time enough for a pass that does not wait.
    for _ in 0..20 {
        rpc.degraded().await;
    }
    assert!(half.exists() && ctl.log_path(id).exists());
    drop(locked);
    let (did, swept) = (asked.await.unwrap(), swept.await.unwrap());
    assert_eq!((did.result.as_str(), swept.files), ("rebuilt", 1));
    assert!(!ctl.log_path(id).exists(), "what was made was then removed");

    // It is back, twice at once asked for: each has its turn.
    let restore = || v1::ReprojectRequest {
        restore: true,
        ..request(&ctl.project(), id)
    };
    let (mut one, mut two) = (rpc.invocations(), rpc.invocations());
    let both = tokio::join!(one.reproject(restore()), two.reproject(restore()));
    let mut did = [both.0, both.1].map(|it| it.unwrap().into_inner().result);
    did.sort();
    assert_eq!(did, ["restored", "unchanged"]);
    assert_undisturbed(&ctl, &ended);
}
