//! Clients that ask for a start and are gone before the answer.

use rustix::process::Signal;
use steroids_proto::v1;
use steroids_tests::faults::held;
use steroids_tests::{Daemon, FailPoints, Home, Rpc, processes, rpc};

/// The steps of a start, in order.
const STEPS: [&str; 3] = ["start.row-committed", "start.spec-stored", "start.launched"];

#[tokio::test]
async fn a_start_is_seen_through_though_its_client_is_gone() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let project = daemon.project("app").await.project();
    let points = FailPoints::of(&home);
    for step in STEPS {
        leave_at(&daemon, &points, &project, step).await;
        daemon.signal(Signal::CONT);
        let rpc = daemon.rpc().await;
        // The same request again: what the first has started, and no other.
        let answer = rpc.invocations().start(request(&project, step)).await;
        let answer = answer.unwrap().into_inner();
        assert!(answer.existing, "{step}");
        let agent = answer.invocation.unwrap();
        running(&rpc, &project, &agent, step).await;
    }
    held(52, "gone at each step: one agent each, running and visible");
}

#[tokio::test]
async fn a_start_whose_client_and_daemon_are_gone_is_taken_up_or_ended() {
    let home = Home::new();
    let mut daemon = Daemon::start(&home).await;
    let project = daemon.project("app").await.project();
    let points = FailPoints::of(&home);
    let mut seen = Vec::new();
    for step in STEPS {
        leave_at(&daemon, &points, &project, step).await;
        points.clear();
        daemon.kill9_and_restart().await;
        let rpc = daemon.rpc().await;
        let answer = rpc.invocations().start(request(&project, step)).await;
        let answer = answer.unwrap().into_inner();
        assert!(answer.existing, "{step}");
        let agent = answer.invocation.unwrap();
        if agent.state() == v1::State::Running {
            running(&rpc, &project, &agent, step).await;
            seen.push(format!("{step}: adopted"));
        } else {
            assert_eq!(agent.outcome, "never_started", "{step}: {agent:?}");
            assert!(processes::marked(&agent.uuid).is_empty(), "{step}");
            seen.push(format!("{step}: never started"));
        }
    }
    held(52, seen.join(", "));
}

fn request(project: &str, step: &str) -> v1::StartRequest {
    v1::StartRequest {
        request_id: step.to_owned(),
        // One task for each: none is started twice while its agent runs.
        ..rpc::command(project, step, rpc::argv(&["stall"]))
    }
}

/// Asks for a start, and hangs up while the daemon is stopped at `step`.
async fn leave_at(daemon: &Daemon, points: &FailPoints, project: &str, step: &str) {
    let rpc = daemon.rpc().await;
    points.set(&[&format!("{step} stop")]);
    let request = request(project, step);
    let mut asking = tokio::spawn(async move { rpc.invocations().start(request).await });
    let stopped = tokio::select! {
        pid = points.hit(step) => pid,
        answer = &mut asking => panic!("{step} is not reached: {answer:?}"),
    };
    assert_eq!(stopped, daemon.pid());
    asking.abort();
    assert!(asking.await.unwrap_err().is_cancelled());
    points.clear();
}

/// One process, and a row that says that it runs.
async fn running(rpc: &Rpc, project: &str, agent: &v1::Invocation, step: &str) {
    let selector = rpc::invocation(project, agent.id);
    rpc.follow(selector, "", true).await.until("ready").await;
    assert_eq!(processes::marked(&agent.uuid).len(), 1, "{step}");
    let now = rpc.get(project, agent.id).await;
    assert_eq!(now.state(), v1::State::Running, "{step}: {now:?}");
}
