//! Transcripts take more room than they may: the oldest go, and only those nobody needs.

use std::time::Duration;

use steroids_proto::v1;
use steroids_tests::faults::held;
use steroids_tests::{Daemon, FailPoints, Home, Puppet, assert_undisturbed, log, rpc};

use super::{told, well};

#[tokio::test]
async fn over_its_budget_the_oldest_finished_transcripts_go_and_no_other() {
    let budget = "[retention]\nspool_days = 0\nmax_bytes = \"800 KiB\"";
    let home = Home::with_config(budget);
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    // The oldest of all still runs.
    let mut agent = Puppet::new(&home, "agent");
    let running = rpc.start_fake(&ctl.project(), "T0", &agent.args()).await;
    agent.counts(1..=300, 1_000, Duration::ZERO);
    let selector = rpc::invocation(&ctl.project(), running.id);
    rpc.follow(selector, "", true).await.until("n 000300").await;
    let flood = ["flood", "--lines", "200", "--bytes", "1000"];
    let mut ended = Vec::new();
    for _ in 0..4 {
        let started = rpc.start_fake(&ctl.project(), "T1", &flood).await;
        ended.push(rpc.ended(&ctl.project(), started.id).await);
    }
    // The youngest has ended, and its log could not be written yet.
    let points = FailPoints::of(&home);
    points.set(&["activity_log.append errno 28"]);
    let unprojected = rpc.start_fake(&ctl.project(), "T2", &flood).await;
    told(&daemon, &["No space left"]).await;
    // Its transcript does not grow any more.
    home.recorded(&unprojected.uuid).await;
    let there = |invocation: &v1::Invocation| home.invocation_dir(&invocation.uuid).exists();

    let pass = rpc
        .daemon()
        .wakeup(v1::WakeupRequest {})
        .await
        .unwrap()
        .into_inner();
    // 300 KB run, 200 KB wait, and of four times 200 KB one fits beside them.
    let kept: Vec<bool> = ended.iter().map(there).collect();
    assert_eq!(kept, [false, false, false, true], "{pass:?}");
    assert_eq!((pass.spools_removed, &pass.failures[..]), (3, &[][..]));
    assert!(there(&running) && there(&unprojected));

    points.clear();
    let late = rpc.ended(&ctl.project(), unprojected.id).await;
    assert_undisturbed(&ctl, &late);
    agent.counts(301..=310, 1_000, Duration::ZERO);
    agent.exits(7);
    let last = rpc.ended(&ctl.project(), running.id).await;
    assert_eq!(last.exit_code, Some(7));
    log::assert_counts_to(&log::numbers(&log::lines(&ctl.log_path(last.id))), 310);
    assert_undisturbed(&ctl, &last);
    // What went was the transcript: log and row tell the story.
    for invocation in &ended {
        let now = rpc.get(&ctl.project(), invocation.id).await;
        assert_eq!(now.outcome, "success");
        log::assert_whole(&log::lines(&ctl.log_path(invocation.id)));
    }
    well(&daemon).await;
    let seen =
        "of 4 finished ones the 3 oldest went, 600 KB; the running and the unprojected one stayed";
    held(36, seen);
}
