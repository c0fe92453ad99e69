//! The older tool takes what runs for dead: it closes the row, and signals whom it knows.

use rustix::process::Signal;
use steroids_proto::v1;
use steroids_tests::faults::held;
use steroids_tests::{Ctl, Daemon, Home, Puppet, Rpc, old_database, processes, rpc, within};

use super::foreign;

/// Waits for an event of this kind about an invocation.
async fn event(rpc: &Rpc, ctl: &Ctl, kind: &str, id: i64) -> v1::LifecycleEvent {
    let watched = v1::WatchRequest {
        project: ctl.project(),
        after: Some(0),
        pulse: None,
        since_ms: None,
    };
    let mut events = rpc.projects().watch(watched).await.unwrap().into_inner();
    within(kind, async {
        loop {
            let batch = events.message().await.unwrap();
            let batch = batch.expect("Watch goes on while the daemon does");
            let mut events = batch.events.into_iter();
            if let Some(event) = events.find(|it| it.kind == kind && it.invocation_id == Some(id)) {
                return event;
            }
        }
    })
    .await
}

fn events(ctl: &Ctl, kind: &str) -> usize {
    let query = format!("SELECT message FROM steroidsd_events WHERE kind = '{kind}'");
    old_database::strings(&foreign(ctl), &query).len()
}

#[tokio::test]
async fn a_row_closed_under_a_living_agent_is_told_at_once_and_ends_with_the_truth() {
    let home = Home::new();
    let mut daemon = Daemon::start(&home).await;
    let ctl = daemon.ctl(&home.folder("app"));
    let db = old_database::at_028(ctl.folder());
    ctl.run(["init"]).await.ok();
    let rpc = daemon.rpc().await;
    let mut agent = Puppet::new(&home, "agent");
    let started = rpc.start_fake(&ctl.project(), "T1", &agent.args()).await;

    // Its own way to keep runners from a task, whatever the task's status.
    let locks = "SELECT runner_id FROM task_locks
                 WHERE task_id = 'T1' AND expires_at > datetime('now', '+50 minutes')";
    let ours = format!("steroidsd:{}", started.uuid);
    assert_eq!(old_database::strings(&db, locks), [ours]);

    assert!(old_database::sanitise(&db, started.id));
    let told = event(&rpc, &ctl, "row_overridden", started.id).await;
    assert!(told.message.contains("failed"), "{told:?}");
    let now = rpc.get(&ctl.project(), started.id).await;
    assert_eq!((now.state(), now.pid), (v1::State::Running, started.pid));
    // Whatever the row says; also for a daemon that has only the row and the folder to go by.
    let again = ["start", "--task", "T1", "--", "true"];
    let named = format!("invocation {} of task `T1` is still running", started.id);
    ctl.run(again).await.exits(4).says(&named);
    daemon.kill9_and_restart().await;
    ctl.run(again).await.exits(4).says(&named);

    let rpc = daemon.rpc().await;
    agent.prints("still here");
    let selector = rpc::invocation(&ctl.project(), started.id);
    rpc.follow(selector, "", true)
        .await
        .until("still here")
        .await;
    agent.exits(0);
    let ended = rpc.ended(&ctl.project(), started.id).await;
    assert_eq!((ended.exit_code, &*ended.outcome), (Some(0), "success"));
    let row =
        "SELECT status || ' ' || success || ' ' || exit_code || ' ' || coalesce(error, 'none')
               FROM task_invocations WHERE task_id = 'T1'";
    assert_eq!(old_database::strings(&db, row), ["completed 1 0 none"]);
    assert_eq!(events(&ctl, "row_overridden"), 1);
    assert_eq!(old_database::strings(&db, locks).len(), 0);
    ctl.run(again).await.ok();
    let seen = "row closed as failed: event row_overridden while it ran, a second start refused, also \
     after a restart; row completed in the end";
    held(39, seen);
}

#[tokio::test]
async fn whom_the_older_tool_signals_is_never_an_agent_or_its_shim() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.ctl(&home.folder("app"));
    let db = old_database::at_028(ctl.folder());
    ctl.run(["init"]).await.ok();
    let global = old_database::global(&home);
    let rpc = daemon.rpc().await;
    let mut agent = Puppet::new(&home, "agent");
    let started = rpc.start_fake(&ctl.project(), "T1", &agent.args()).await;
    // A runner of its own that it has not heard of for long, so that there is one to be signalled.
    let mut runner = std::process::Command::new("sleep")
        .arg("300")
        .spawn()
        .unwrap();
    old_database::insert_runner(&global, "silent", runner.id(), None, "none", 360);

    let shim = home.shim(&started.uuid);
    let ours = [started.pid.unwrap().to_string(), shim.to_string()];
    let known = [
        old_database::foreign_values(&db),
        old_database::foreign_values(&global),
    ]
    .concat();
    assert!(
        known.iter().all(|value| !ours.contains(value)),
        "{ours:?} in {known:?}"
    );
    let silent = old_database::silent_runners(&global);
    assert_eq!(silent, [runner.id().cast_signed()]);
    for pid in silent {
        processes::signal(pid, Signal::TERM);
    }
    assert!(!runner.wait().unwrap().success());

    assert_eq!(processes::marked(&started.uuid).len(), 1);
    agent.prints("alive");
    agent.exits(0);
    let ended = rpc.ended(&ctl.project(), started.id).await;
    assert_eq!(ended.outcome, "success");
    let seen = format!(
        "of {} values in tables it reads none is a pid of ours; its own silent runner got the \
         signal, the agent lived",
        known.len()
    );
    held(39, seen);
}
