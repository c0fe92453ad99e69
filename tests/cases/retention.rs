//! What may be deleted, and what is kept whatever its age.

use std::fs::{File, FileTimes};
use std::path::Path;
use std::time::{Duration, SystemTime};

use steroids_proto::v1;
use steroids_tests::{Daemon, Home, eventually};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn age(path: &Path, by: Duration) {
    let times = FileTimes::new().set_modified(SystemTime::now() - by);
    File::options()
        .append(true)
        .open(path)
        .unwrap()
        .set_times(times)
        .unwrap();
}

#[tokio::test]
async fn a_dry_run_counts_and_deletes_nothing_and_then_the_old_and_ended_go() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let old = ctl.start_fake("T1", &["exit", "0"]).await;
    let young = ctl.start_fake("T2", &["exit", "0"]).await;
    for id in [old, young] {
        rpc.ended(&ctl.project(), id).await;
    }
    let running = ctl.start_fake("T3", &["stall"]).await;
    rpc.follow(
        steroids_tests::invocation(&ctl.project(), running),
        "",
        true,
    )
    .await
    .until("ready")
    .await;
    age(&ctl.log_path(old), 8 * DAY);
    age(&ctl.log_path(running), 8 * DAY);
    let bytes = ctl.log_path(old).metadata().unwrap().len();
    let clean = |dry_run| v1::CleanupLogsRequest {
        project: ctl.project(),
        days: Some(7),
        dry_run,
    };
    for dry_run in [true, false] {
        let answer = rpc
            .projects()
            .cleanup_logs(clean(dry_run))
            .await
            .unwrap()
            .into_inner();
        assert_eq!(
            (answer.files, answer.bytes),
            (1, i64::try_from(bytes).unwrap())
        );
        assert_eq!(answer.kept_running, 1);
        assert_eq!(answer.failures, [""; 0]);
        assert_eq!(ctl.log_path(old).exists(), dry_run);
        assert!(ctl.log_path(young).exists());
        assert!(ctl.log_path(running).exists());
    }
    let readme = ctl.log_path(old).with_file_name("README.txt");
    age(&readme, 800 * DAY);
    ctl.run(["cleanup", "logs", "--days", "0"]).await.ok();
    assert!(!ctl.log_path(young).exists());
    assert!(ctl.log_path(running).exists());
    assert!(readme.exists());

    // Transcripts go by themselves, and the rows stay.
    let mut spools = Vec::new();
    for id in [old, young, running] {
        let shown = rpc.get(&ctl.project(), id).await;
        spools.push(home.invocation_dir(&shown.uuid));
    }
    for spool in &spools[..2] {
        // Made just behind the row.
        let mark = spool.join("projected");
        eventually("its mark", async || mark.exists().then_some(())).await;
    }
    for dry_run in [true, false] {
        let mut words = vec!["cleanup", "spools", "--days", "0", "--json"];
        words.extend(dry_run.then_some("--dry-run"));
        let cleaned = ctl.run(words).await.json();
        assert_eq!(cleaned["files"], 2, "{cleaned}");
        assert_eq!(cleaned["keptRunning"], 1, "{cleaned}");
        let reasons = cleaned["items"].as_array().unwrap();
        let reasons = reasons.iter().map(|item| &item["reason"]);
        assert_eq!(reasons.collect::<Vec<_>>(), ["age", "age"]);
        let there = spools.iter().map(|spool| spool.exists());
        assert_eq!(there.collect::<Vec<_>>(), [dry_run, dry_run, true]);
    }
    let shown = ctl.run(["show", &old.to_string()]).await.ok();
    assert!(shown.contains("success"), "{shown}");
    let gone = ctl.run(["reproject", &old.to_string()]).await;
    assert_ne!(gone.code, 0, "{gone:?}");
}

#[tokio::test]
async fn the_wakeup_pass_applies_the_configured_days() {
    let home = Home::with_config("[retention]\nlog_days = 2\nspool_days = 2");
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let id = ctl.start_fake("T1", &["exit", "0"]).await;
    let ended = rpc.ended(&ctl.project(), id).await;
    let pass = async || {
        rpc.daemon()
            .wakeup(v1::WakeupRequest {})
            .await
            .unwrap()
            .into_inner()
    };
    assert_eq!(pass().await.logs_removed, 0);
    age(&ctl.log_path(id), 3 * DAY);
    let report = pass().await;
    assert_eq!(report.logs_removed, 1);
    assert_eq!(report.failures, [""; 0]);
    assert!(!ctl.log_path(id).exists());
    // The row tells its story without the log.
    assert_eq!(rpc.get(&ctl.project(), id).await.outcome, ended.outcome);
    let human = ctl.run(["wakeup"]).await.ok();
    assert!(human.contains('0'), "{human}");
}

#[tokio::test]
async fn zero_days_in_the_configuration_keep_logs_for_ever() {
    let home = Home::with_config("[retention]\nlog_days = 0");
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let id = ctl.start_fake("T1", &["exit", "0"]).await;
    rpc.ended(&ctl.project(), id).await;
    age(&ctl.log_path(id), 4_000 * DAY);
    let answer = rpc.daemon().wakeup(v1::WakeupRequest {}).await.unwrap();
    assert_eq!(answer.into_inner().logs_removed, 0);
    assert!(ctl.log_path(id).exists());
}
