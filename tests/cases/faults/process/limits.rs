//! No room for another process.

use std::time::Duration;

use steroids_tests::cgroup::Cgroup;
use steroids_tests::faults::{held, share};
use steroids_tests::{Daemon, Home, Puppet, invocation, log, processes, rpc};
use tonic::Code;

/// How long the limit holds while the daemon is looked at. In the long form long enough for its
/// idle threads to end, which it cannot replace then.
fn shortage() -> Duration {
    share(Duration::from_millis(1500), Duration::from_secs(15))
}

#[tokio::test]
async fn a_daemon_that_may_start_no_process_refuses_clearly_and_recovers_by_itself() {
    let Some(group) = Cgroup::of_pids() else {
        return held(
            124,
            "not shown: no control group with a bound on pids can be made here",
        );
    };
    let home = Home::new();
    let daemon = Daemon::start_through(&home, &group.entering()).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let mut puppet = Puppet::new(&home, "puppet");
    let running = rpc.start_fake(&ctl.project(), "T1", &puppet.args()).await;
    puppet.prints("before");
    let selector = invocation(&ctl.project(), running.id);
    let mut followed = rpc.follow(selector, "", true).await;
    followed.until("before").await;

    group.write("pids.max", "1");
    let request = || rpc::command(&ctl.project(), "T2", rpc::argv(&["exit", "0"]));
    let refused = rpc.start(request()).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
    assert!(
        refused.message().contains("temporarily unavailable"),
        "{refused:?}"
    );
    puppet.prints("during");
    let cpu = || processes::cpu(daemon.pid()).unwrap();
    let before = cpu();
    // The time is what is looked at.
    tokio::time::sleep(shortage()).await;
    let spent = cpu().saturating_sub(before);
    assert!(
        spent < shortage().mul_f64(0.2) + Duration::from_millis(200),
        "{spent:?}"
    );

    group.write("pids.max", "max");
    puppet.exits(3);
    let ended = rpc.ended(&ctl.project(), running.id).await;
    assert_eq!(ended.exit_code, Some(3));
    let lines = log::lines(&ctl.log_path(running.id));
    log::assert_whole(&lines);
    assert_eq!(log::messages(&lines, "output"), ["before", "during"]);
    let later = rpc.start(request()).await.unwrap();
    assert_eq!(rpc.ended(&ctl.project(), later.id).await.outcome, "success");
    let open = ctl.run(["--json", "list", "--running"]).await.json();
    assert_eq!(open["invocations"].as_array().unwrap().len(), 0);
    let seen = format!(
        "`{}`; {spent:.0?} of CPU in {:.1?}; the next start and all ends go well",
        refused.message(),
        shortage()
    );
    held(124, seen);
}
