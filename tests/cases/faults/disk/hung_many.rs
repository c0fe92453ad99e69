//! What is asked of all projects at once, while the disk of one of them does not answer.

use std::time::Duration;

use steroids_proto::v1;
use steroids_tests::faults::{held, is_long, share};
use steroids_tests::{Daemon, Home, HungDisk, Puppet, Rpc, eventually, processes, within};
use tonic::Streaming;

use super::begun;

/// What all projects share has to be asked of all of them before a start.
const BUDGET: &str = "[budget]\nday_tokens = 1000000\n";

async fn watch(rpc: &Rpc) -> Streaming<v1::WatchResponse> {
    let request = v1::WatchRequest {
        pulse: Some(Duration::from_millis(200).try_into().unwrap()),
        ..v1::WatchRequest::default()
    };
    let watch = within("Watch", rpc.projects().watch(request)).await;
    watch.expect("Watch is served").into_inner()
}

/// Waits for an event of this kind in the project.
async fn hears(watch: &mut Streaming<v1::WatchResponse>, project: &str, kind: &str) {
    let wanted = |it: &v1::LifecycleEvent| it.project == project && it.kind == kind;
    within(&format!("{kind} in {project}"), async {
        while !watch
            .message()
            .await
            .unwrap()
            .unwrap()
            .events
            .iter()
            .any(wanted)
        {}
    })
    .await;
}

#[tokio::test]
async fn what_is_asked_of_all_projects_is_answered_for_those_whose_disks_do() {
    let home = Home::new();
    let (out, script) = (home.path("told"), "#!/bin/sh\necho told >> \"$OUT\"\n");
    let hook = home.script("hook", script);
    home.configure(&format!(
        "{BUDGET}[[hooks]]\nname = \"run\"\non = [\"finished\"]\ncommand = [{hook:?}]\nenv = [\"OUT\"]\n"
    ));
    let Some(disk) = HungDisk::prepare() else {
        return held(146, "not shown: needs root");
    };
    let through = ["env", &format!("OUT={}", out.display())];
    let daemon = Daemon::start_through(&home, &through).await;
    let (app, other) = (daemon.project("app").await, daemon.project("other").await);
    let rpc = daemon.rpc().await;
    let mut agent = Puppet::new(&home, "agent");
    let started = begun(&app, &rpc, &mut agent).await;
    let mut before = watch(&rpc).await;

    let hung = disk.mount(app.folder());
    let mut meanwhile = watch(&rpc).await;
    let beside = rpc.start_fake(&other.project(), "T2", &["numbers"]).await;
    rpc.ended(&other.project(), beside.id).await;
    for watch in [&mut before, &mut meanwhile] {
        hears(watch, &other.project(), "finished").await;
    }
    let told = async |count: usize| {
        eventually("the hook to be run", async || {
            let lines = std::fs::read_to_string(&out).ok()?.lines().count();
            (lines == count).then_some(())
        })
        .await;
    };
    told(1).await;
    // What runs there is told by its state folder.
    let (all, away) = (vec![app.project(), other.project()], vec![app.project()]);
    assert_eq!(rpc.listed().await, (all, away.clone()));
    let output = other.run(["list", "--all"]).await.exits(0);
    assert!(output.stderr.contains(&app.project()), "{output:?}");
    if share(false, true) {
        let usage = v1::UsageRequest::default();
        let usage = within("Usage", rpc.invocations().usage(usage)).await;
        assert_eq!(usage.unwrap().into_inner().unread, away);
    }

    drop(hung);
    agent.counts(2..=3, 20, Duration::ZERO);
    agent.exits(5);
    for watch in [&mut before, &mut meanwhile] {
        hears(watch, &app.project(), "finished").await;
    }
    let ended = rpc.ended(&app.project(), started.id).await;
    assert_eq!(ended.exit_code, Some(5), "{ended:?}");
    told(2).await;
    let both = vec![other.project(), app.project()];
    assert_eq!(rpc.listed().await, (both, Vec::new()));
    held(
        146,
        "lists, sums, watchers and hooks of all projects went on with those that answer, and named the other; starts were held to the day's budget",
    );
}

#[tokio::test]
async fn what_waits_on_a_disk_that_hangs_is_stopped_with_all_and_never_begins() {
    let home = Home::with_config("[daemon]\nmax_running = 1");
    let Some(disk) = HungDisk::prepare() else {
        return;
    };
    let daemon = Daemon::start(&home).await;
    let (app, other) = (daemon.project("app").await, daemon.project("other").await);
    let rpc = daemon.rpc().await;
    let runs = rpc.start_fake(&other.project(), "T1", &["stall"]).await;
    let waits = rpc.start_fake(&app.project(), "T1", &["stall"]).await;
    let hung = disk.mount(app.folder());
    let said = other.run(["stop", "--all"]).await.exits(0);
    said.says(&format!(
        "{}: invocation {} has ended; its log",
        app.project(),
        waits.id
    ));
    assert_eq!(
        rpc.ended(&other.project(), runs.id).await.outcome,
        "cancelled"
    );
    drop(hung);
    let shown = eventually("its row", async || {
        let shown = app.run(["show", &waits.id.to_string(), "--json"]).await;
        let row = (shown.code == 0).then(|| shown.json())?;
        row["outcome"].is_string().then_some(row)
    })
    .await;
    assert_eq!(
        (&shown["outcome"], shown.get("pid")),
        (&"cancelled".into(), None)
    );
}

/// Nothing of it has been looked at when the daemon serves: its disk is waited for first.
#[tokio::test]
async fn what_runs_on_a_disk_that_hangs_is_known_to_a_new_daemon_from_its_first_answer() {
    if !is_long() {
        return;
    }
    let home = Home::with_config("[daemon]\nmax_running = 1");
    let Some(disk) = HungDisk::prepare() else {
        return;
    };
    let mut daemon = Daemon::start(&home).await;
    let (app, other) = (daemon.project("app").await, daemon.project("other").await);
    let rpc = daemon.rpc().await;
    let runs = rpc.start_fake(&app.project(), "T1", &["stall"]).await;
    let waits = rpc.start_fake(&app.project(), "T2", &["stall"]).await;
    daemon.kill9().await;
    let hung = disk.mount(app.folder());
    daemon.start_again().await;
    let listed = other.run(["list", "--all", "--running", "--json"]).await;
    let listed = listed.json();
    let ids = listed["invocations"].as_array().unwrap().iter();
    let mut ids: Vec<_> = ids.map(|it| it["id"].as_i64().unwrap()).collect();
    ids.sort_unstable();
    assert_eq!(ids, [runs.id, waits.id], "{listed}");
    other.run(["stop", "--all"]).await.exits(0);
    assert_eq!(processes::marked(&runs.uuid), []);
    drop(hung);
    let rpc = daemon.rpc().await;
    rpc.served_again(&app.project(), runs.id).await;
    for id in [runs.id, waits.id] {
        let ended = rpc.ended(&app.project(), id).await;
        assert_eq!(ended.outcome, "cancelled", "{ended:?}");
    }
}
