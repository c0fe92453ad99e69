//! A database that is deleted under what runs, and somebody who asks for that before all of it is put back.

use std::fs;

use rustix::process::Signal;
use steroids_proto::v1;
use steroids_tests::faults::held;
use steroids_tests::{Ctl, Daemon, FailPoints, Home, Output, Puppet, eventually, processes, rpc};

/// All at once, so that nothing of it is written to while it goes.
fn delete(ctl: &Ctl) {
    let gone = ctl.home().path("tmp/gone");
    fs::rename(ctl.folder().join(".steroids"), &gone).unwrap();
    fs::remove_dir_all(&gone).unwrap();
}

/// Asks as a script does, which comes again where it is told to.
async fn answered(ctl: &Ctl, args: &[&str]) -> Output {
    let project = ctl.project();
    let args = [&["--project", &project], args].concat();
    eventually("an answer", async || {
        let printed = ctl.run(&args).await;
        (printed.code != 75).then_some(printed)
    })
    .await
}

#[tokio::test]
async fn the_attempt_that_goes_on_is_stopped_by_the_first_ones_id_before_all_rows_are_back() {
    let home = Home::with_config("[retry]\non = [\"failed\"]\nmax = 1\nfirst = \"1ms\"");
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let argv = [
        "/bin/sh",
        "-c",
        "[ -e again ] || { touch again; exit 3; }; echo on; exec sleep 600",
    ];
    let argv = argv.map(str::to_owned).to_vec();
    let request = rpc::command(&ctl.project(), "T1", argv);
    let first = rpc.start(request).await.unwrap();
    let next = rpc.ended(&ctl.project(), first.id).await.retried_by;
    let next = next.expect("it is tried again");
    let selector = rpc::invocation(&ctl.project(), next);
    rpc.follow(selector, "", true).await.until("on").await;
    let uuid = rpc.get(&ctl.project(), next).await.uuid;
    delete(&ctl);
    let stopped = answered(&ctl, &["stop", &first.id.to_string()]).await;
    let said = format!("invocation {next}, a later attempt of {},", first.id);
    assert!(stopped.stdout.contains(&said), "{stopped:?}");
    assert_eq!(processes::marked(&uuid).len(), 0, "{said}");
    assert_eq!(rpc.ended(&ctl.project(), next).await.outcome, "cancelled");
    held(163, "stopped by an earlier attempt's id meanwhile");
}

#[tokio::test]
async fn nobody_is_told_that_nothing_runs_before_its_row_is_back() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let over = ctl.start_fake("T1", &["exit", "0"]).await;
    rpc.ended(&ctl.project(), over).await;
    let agent = Puppet::new(&home, "agent");
    let running = rpc
        .start_fake(&ctl.project(), "T1", &agent.args())
        .await
        .id
        .to_string();
    for args in [
        &["list", "--running", "--json"][..],
        &[
            "start", "--task", "T2", "--after", &running, "--json", "--", "true",
        ],
        &["stop", "--task", "T1"],
    ] {
        delete(&ctl);
        let printed = answered(&ctl, args).await;
        match args[0] {
            "list" => {
                let listed = printed.json();
                let listed = listed["invocations"].as_array().unwrap();
                assert!(!listed.is_empty(), "what runs is not listed");
            }
            "stop" => {
                let said = format!("invocation {running} stopped");
                assert!(printed.stdout.contains(&said), "{printed:?}");
            }
            _ => {
                printed.ok();
            }
        }
    }
    held(
        163,
        "list, start --after and stop wait for the rows of what runs",
    );
}

#[tokio::test]
async fn a_log_that_is_deleted_as_its_invocation_ends_is_there_when_its_row_is_final() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let mut agent = Puppet::new(&home, "agent");
    let started = rpc.start_fake(&ctl.project(), "T1", &agent.args()).await;
    agent.prints("all of it");
    let points = FailPoints::of(&home);
    points.set(&["end.logged stop"]);
    agent.exits(0);
    points.hit("end.logged").await;
    eventually("the daemon to stand still", async || {
        processes::stands_still(daemon.pid()).then_some(())
    })
    .await;
    delete(&ctl);
    points.clear();
    processes::signal(daemon.pid(), Signal::CONT);
    answered(&ctl, &["show", "1"]).await.ok();
    let ended = rpc.ended(&ctl.project(), started.id).await;
    assert_eq!(ended.state(), v1::State::Completed);
    let log = ctl.folder().join(".steroids/invocations/1.log");
    eventually("its log", async || {
        let log = fs::read_to_string(&log).ok()?;
        (log.contains("all of it") && log.contains("\"complete\"")).then_some(())
    })
    .await;
    held(163, "a log deleted behind its last line comes back");
}
