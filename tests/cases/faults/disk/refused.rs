//! A log that cannot be written for another reason than room: the agent goes on, everybody is
//! told, and the log is whole once it can be written again.

use std::time::Duration;

use steroids_proto::v1;
use steroids_tests::faults::held;
use steroids_tests::{
    Daemon, FailPoints, Home, Puppet, SmallDisk, assert_undisturbed, eventually, log, rpc,
};

use super::{alarmed, begun, told, well};

const EIO: i32 = 5;
const EDQUOT: i32 = 122;

#[tokio::test]
async fn logs_on_a_read_only_file_system_are_made_up_for_later() {
    let home = Home::new();
    let Some(disk) = SmallDisk::mount(&home, "home/app/.steroids/invocations", "1m") else {
        return held(27, "not shown: needs root");
    };
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    disk.set_read_only(true);
    let rpc = daemon.rpc().await;
    let agent = ["numbers", "--count", "100", "--exit", "7"];
    let started = rpc.start_fake(&ctl.project(), "T1", &agent).await;
    let line = told(&daemon, &[&ctl.project(), "Read-only", "writable again"]).await;
    home.recorded(&started.uuid).await;
    disk.set_read_only(false);
    let ended = rpc.ended(&ctl.project(), started.id).await;
    assert_eq!(ended.exit_code, Some(7));
    log::assert_counts_to(&log::numbers(&log::lines(&ctl.log_path(ended.id))), 100);
    assert_undisturbed(&ctl, &ended);
    well(&daemon).await;
    held(27, format!("`{line}`; the log was whole after"));
}

#[tokio::test]
async fn a_log_that_fails_while_it_is_written_is_whole_in_the_end() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let points = FailPoints::of(&home);
    let mut seen = Vec::new();
    for (point, number, attempts) in [
        ("activity_log.append", EIO, 2),
        ("activity_log.append", EDQUOT, 2),
        // After the first the log is written anew: the kernel may have dropped what it could not write.
        ("activity_log.sync", EIO, 1),
    ] {
        let mut agent = Puppet::new(&home, &format!("{point}{number}"));
        let started = begun(&ctl, &rpc, &mut agent).await;
        points.set(&[&format!("{point} errno {number}")]);
        agent.counts(2..=50, 20, Duration::ZERO);
        agent.exits(7);
        // What the first attempt left behind must not be in the way of the next.
        eventually("the attempts", async || {
            (points.hits(point).len() >= attempts).then_some(())
        })
        .await;
        if number == EDQUOT {
            told(&daemon, &[&ctl.project(), "have the quota raised"]).await;
        }
        points.clear();
        let ended = rpc.ended(&ctl.project(), started.id).await;
        assert_eq!(ended.exit_code, Some(7));
        let lines = log::lines(&ctl.log_path(ended.id));
        log::assert_counts_to(&log::numbers(&lines), 50);
        assert_undisturbed(&ctl, &ended);
        let selector = rpc::invocation(&ctl.project(), ended.id);
        let followed = rpc.follow(selector, "", true).await.rest().await.unwrap();
        assert_eq!(
            rpc::bytes(&followed),
            std::fs::read(ctl.log_path(ended.id)).unwrap()
        );
        seen.push(format!("{point} {number}"));
    }
    well(&daemon).await;
    held(27, format!("{}: told, retried, whole", seen.join(", ")));
}

#[tokio::test]
async fn a_spool_that_fails_while_it_is_written_loses_nothing() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let points = FailPoints::of(&home);
    let mut agent = Puppet::new(&home, "agent");
    let started = rpc.start_fake(&ctl.project(), "T1", &agent.args()).await;
    points.set(&["spool.append errno 5", "exit.commit errno 5"]);
    agent.counts(1..=500, 100, Duration::ZERO);
    agent.exits(7);
    let project = ctl.project();
    let alarm = alarmed(&rpc, &project, started.id, "ending: Input/output error").await;
    let line = told(&daemon, &[&project, "transcript", "Input/output error"]).await;
    // The spool is written again, and the end cannot be recorded yet.
    points.set(&["exit.commit errno 5"]);
    points.hit("exit.commit").await;
    assert_eq!(
        rpc.get(&project, started.id).await.state(),
        v1::State::Running
    );
    points.clear();
    let ended = rpc.ended(&project, started.id).await;
    assert_eq!(ended.exit_code, Some(7));
    log::assert_counts_to(&log::numbers(&log::lines(&ctl.log_path(ended.id))), 500);
    assert_undisturbed(&ctl, &ended);
    let seen = format!("`{alarm}`, `{line}`; all 500 lines and exit code 7 after");
    held(145, seen);
}
