//! Killed on the way of a start. Afterwards exactly one is right: nothing runs and the row says so,
//! or the agent runs and is ours; and the same request again never makes a second process.

use rustix::process::Signal;
use steroids_proto::v1;
use steroids_tests::processes::signal;
use steroids_tests::{
    Ctl, Daemon, FailPoints, Home, eventually, faults, invocation, log, processes, within,
};
use tokio::task::JoinHandle;
use tonic::Status;

use super::request;

/// A home with a daemon, a project, and one start on its way.
struct Scene {
    daemon: Daemon,
    ctl: Ctl,
    points: FailPoints,
    starting: JoinHandle<Result<v1::Invocation, Status>>,
}

impl Scene {
    async fn new(point: &str) -> Scene {
        let home = Home::new();
        let daemon = Daemon::start(&home).await;
        let ctl = daemon.project("app").await;
        let points = FailPoints::of(&home);
        points.set(&[point]);
        let rpc = daemon.rpc().await;
        let request = request(&ctl.project(), "r-1", &["stall"]);
        let starting = tokio::spawn(async move { rpc.start(request).await });
        Scene {
            daemon,
            ctl,
            points,
            starting,
        }
    }

    /// After the daemon's end: another one, with all points off.
    async fn restart(&mut self) {
        self.points.clear();
        self.daemon.start_again().await;
    }

    /// The same request again.
    async fn again(&self) -> v1::StartResponse {
        let rpc = self.daemon.rpc().await;
        let request = request(&self.ctl.project(), "r-1", &["stall"]);
        let answer = within("Start", rpc.invocations().start(request)).await;
        answer.unwrap().into_inner()
    }

    /// The one invocation there is, after the same request was sent again.
    async fn only(&self) -> v1::Invocation {
        let again = self.again().await;
        assert!(again.existing, "{again:?}");
        let only = again.invocation.unwrap();
        let list = v1::ListRequest {
            project: self.ctl.project(),
            ..Default::default()
        };
        let rpc = self.daemon.rpc().await;
        let listed = rpc.invocations().list(list).await.unwrap().into_inner();
        let ids: Vec<_> = listed.invocations.iter().map(|row| row.id).collect();
        assert_eq!(ids, [only.id]);
        only
    }

    /// Nothing runs, and the row says why.
    async fn nothing_runs(&self, outcome: &str) -> v1::Invocation {
        let id = self.only().await.id;
        let ended = self.daemon.rpc().await.ended(&self.ctl.project(), id).await;
        assert_eq!((&*ended.outcome, ended.exit_code), (outcome, Some(-1)));
        let lines = log::lines(&self.ctl.log_path(id));
        log::assert_whole(&lines);
        assert_eq!(log::types(&lines), ["start", "error"]);
        let home = self.daemon.home();
        eventually("no process but the daemon", async || {
            let left = home.processes();
            (left.len() == 1 && left[0].pid == self.daemon.pid()).then_some(())
        })
        .await;
        ended
    }

    /// The agent runs, once, and can be stopped.
    async fn one_runs(&self) {
        let one = self.only().await;
        assert_eq!(one.state(), v1::State::Running, "{one:?}");
        let project = self.ctl.project();
        let rpc = self.daemon.rpc().await;
        let selector = invocation(&project, one.id);
        let mut followed = rpc.follow(selector, "", true).await;
        followed.until("ready").await;
        assert_eq!(processes::marked(&one.uuid).len(), 1);
        assert_eq!(self.only().await.id, one.id);
        assert_eq!(processes::marked(&one.uuid).len(), 1);
        let stopped = self.ctl.run(["--json", "stop", &one.id.to_string()]).await;
        assert_eq!(stopped.json()["outcome"], "cancelled");
    }
}

#[tokio::test]
async fn a_daemon_killed_before_the_launch_has_started_nothing_and_the_row_says_so() {
    for point in ["start.row-committed", "start.spec-stored"] {
        let mut scene = Scene::new(&format!("{point} kill")).await;
        scene.points.hit(point).await;
        scene.daemon.ended().await;
        assert!((&mut scene.starting).await.unwrap().is_err());
        scene.restart().await;
        let ended = scene.nothing_runs("never_started").await;
        assert!(ended.error.contains("never"), "{ended:?}");
    }
    let seen = "never_started, exit -1, no process; the same request gives that row";
    faults::held(4, seen);
}

#[tokio::test]
async fn a_shim_that_stands_by_ends_with_the_daemon_that_never_told_it_to_begin() {
    for point in ["start.row-committed", "start.spec-stored"] {
        let mut scene = Scene::new(&format!("{point} stop")).await;
        scene.points.hit(point).await;
        let processes = scene.daemon.home().processes();
        let stands_by = |it: &processes::Process| it.command.contains("--standby");
        assert!(processes.iter().any(stands_by), "{processes:?}");
        scene.daemon.kill9().await;
        scene.restart().await;
        scene.nothing_runs("never_started").await;
        let inv = scene.daemon.home().state_dir().join("inv");
        let ended = scene.only().await;
        let left = std::fs::read_dir(inv)
            .unwrap()
            .map(|it| it.unwrap().file_name());
        assert!(left.into_iter().all(|name| name == *ended.uuid));
    }
}

#[tokio::test]
async fn a_daemon_killed_after_the_launch_finds_its_agent_again() {
    let mut scene = Scene::new("start.launched kill").await;
    scene.points.hit("start.launched").await;
    scene.daemon.ended().await;
    assert!((&mut scene.starting).await.unwrap().is_err());
    scene.restart().await;
    scene.one_runs().await;
    faults::held(101, "adopted; the same request gives the same one process");
}

#[tokio::test]
async fn a_shim_that_comes_after_it_was_given_up_starts_nothing() {
    let mut scene = Scene::new("shim.begun stop").await;
    let late = scene.points.hit("shim.begun").await;
    scene.daemon.kill9().await;
    scene.restart().await;
    let given_up = scene.only().await;
    assert_eq!(given_up.outcome, "never_started", "{given_up:?}");
    signal(late, Signal::CONT);
    eventually("the late shim to go", async || {
        (!processes::is_alive(late)).then_some(())
    })
    .await;
    assert_eq!(processes::marked(&given_up.uuid), []);
    let after = scene.nothing_runs("never_started").await;
    assert_eq!(after, given_up);
    faults::held(114, "it finds the record, goes, and the row stays as it is");
}

#[tokio::test]
async fn a_shim_that_took_over_while_no_daemon_was_there_is_adopted() {
    for point in ["shim.locked", "shim.state-stored", "shim.provider-started"] {
        let mut scene = Scene::new(&format!("{point} stop")).await;
        let shim = scene.points.hit(point).await;
        scene.daemon.kill9().await;
        scene.restart().await;
        let adopted = scene.only().await;
        assert_eq!(adopted.state(), v1::State::Running, "{point}: {adopted:?}");
        signal(shim, Signal::CONT);
        scene.one_runs().await;
    }
    let seen = "a shim in the middle of taking over is adopted, and starts its agent once";
    faults::held(101, seen);
}

#[tokio::test]
async fn a_shim_killed_while_it_takes_over_leaves_nothing_and_the_row_says_so() {
    for (point, outcome) in [
        ("shim.begun", "never_started"),
        ("shim.locked", "never_started"),
        // From here on nobody can tell that nothing was started.
        ("shim.state-stored", "lost"),
        ("shim.provider-started", "lost"),
    ] {
        let mut scene = Scene::new(&format!("{point} kill")).await;
        scene.points.hit(point).await;
        // Refused, or answered while the shim's lock goes with it; the row is the same either way.
        let _ = (&mut scene.starting).await.unwrap();
        scene.points.clear();
        scene.nothing_runs(outcome).await;
    }
    let seen = "before its state: never_started; after it: lost; no process left";
    faults::held(104, seen);
}

#[tokio::test]
async fn a_shim_and_its_daemon_killed_while_it_takes_over_leave_nothing() {
    for (point, outcome) in [
        ("shim.locked", "never_started"),
        ("shim.state-stored", "lost"),
        ("shim.provider-started", "lost"),
    ] {
        let mut scene = Scene::new(&format!("{point} stop")).await;
        let shim = scene.points.hit(point).await;
        scene.daemon.kill9().await;
        signal(shim, Signal::KILL);
        scene.restart().await;
        scene.nothing_runs(outcome).await;
    }
    faults::held(104, "with its daemon: the same rows after the restart");
}

#[tokio::test]
async fn an_agent_whose_launcher_is_killed_runs_all_the_same_and_the_answer_says_so() {
    let mut scene = Scene::new("shim.locked stop").await;
    let shim = scene.points.hit("shim.locked").await;
    // The process that the daemon waits for.
    let parent = format!("PPid:\t{}\n", scene.daemon.pid());
    let mut others = scene.ctl.home().processes().into_iter().filter(|it| {
        let status = std::fs::read_to_string(format!("/proc/{}/status", it.pid));
        it.pid != shim && status.is_ok_and(|status| status.contains(&parent))
    });
    signal(others.next().unwrap().pid, Signal::KILL);
    let started = (&mut scene.starting).await.unwrap().unwrap();
    assert_eq!(started.state(), v1::State::Running, "{started:?}");
    scene.points.clear();
    signal(shim, Signal::CONT);
    scene.one_runs().await;
    faults::held(115, "the start is answered with the running row");
}
