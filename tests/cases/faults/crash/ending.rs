//! Killed between what the agent prints and what the log and the row say of it.

use std::fs::OpenOptions;

use rustix::process::Signal;
use steroids_proto::v1;
use steroids_tests::processes::signal;
use steroids_tests::{
    Ctl, Daemon, FailPoints, Home, Puppet, assert_undisturbed, faults, invocation, log, rpc, within,
};

/// An agent that waits, with a client that follows it.
struct Scene {
    daemon: Daemon,
    ctl: Ctl,
    points: FailPoints,
    agent: Puppet,
    started: v1::Invocation,
    client: steroids_tests::Terminal,
}

impl Scene {
    async fn new() -> Scene {
        let home = Home::new();
        let daemon = Daemon::start(&home).await;
        let ctl = daemon.project("app").await;
        let mut agent = Puppet::new(&home, "agent");
        let rpc = daemon.rpc().await;
        let started = rpc.start_fake(&ctl.project(), "T1", &agent.args()).await;
        let mut client = ctl.spawn(["--json", "stream", "1"]);
        agent.prints("one");
        client.until("one").await;
        Scene {
            points: FailPoints::of(&home),
            daemon,
            ctl,
            agent,
            started,
            client,
        }
    }

    /// The daemon dies at `point`; another one comes.
    async fn killed_at(&mut self, point: &str) {
        self.points.hit(point).await;
        self.daemon.ended().await;
        self.points.clear();
    }

    /// All went on as if nothing had been.
    async fn ends_well(mut self, lines: &[&str], code: i32) {
        let rpc = self.daemon.rpc().await;
        let ended = rpc.ended(&self.ctl.project(), self.started.id).await;
        assert_eq!(ended.exit_code, Some(code));
        let logged = log::lines(&self.ctl.log_path(ended.id));
        log::assert_whole(&logged);
        assert_eq!(log::messages(&logged, "output"), lines);
        assert_undisturbed(&self.ctl, &ended);
        let mut seen = Vec::new();
        while let Some(line) = self.client.line().await {
            seen.push(line);
        }
        let on_disk = std::fs::read_to_string(self.ctl.log_path(ended.id)).unwrap();
        let rest = on_disk.lines().skip(2);
        assert!(rest.eq(&seen), "{seen:#?} are not the rest of {on_disk}");
    }
}

#[tokio::test]
async fn killed_between_append_and_commit_no_line_is_lost_or_doubled() {
    let mut scene = Scene::new().await;
    scene.points.set(&["log.appended kill"]);
    scene.agent.prints("two");
    scene.killed_at("log.appended").await;
    scene.agent.prints("three");
    scene.daemon.start_again().await;
    scene.agent.exits(3);
    scene.ends_well(&["one", "two", "three"], 3).await;
    faults::held(102, "after an append: each line once, exit code 3");
}

#[tokio::test]
async fn killed_between_the_last_line_and_the_row_both_come_out_right() {
    for point in ["end.logged", "end.row-committed"] {
        let mut scene = Scene::new().await;
        scene.points.set(&[&format!("{point} kill")]);
        scene.agent.exits(3);
        scene.killed_at(point).await;
        scene.daemon.start_again().await;
        scene.ends_well(&["one"], 3).await;
    }
    let seen = "after the last line, after the row: one last line, the row final";
    faults::held(102, seen);
}

#[tokio::test]
async fn killed_in_the_middle_of_a_line_the_line_comes_out_whole() {
    // What a kill leaves of the log's last line: nothing but its first byte, all but the newline.
    for keep in [1, 20] {
        let mut scene = Scene::new().await;
        scene.points.set(&["log.appended kill"]);
        scene.agent.prints("two");
        // Of the agent's own line only the beginning is there.
        scene.killed_at("log.appended").await;
        scene.agent.begins("thr");
        let path = scene.ctl.log_path(1);
        let text = std::fs::read_to_string(&path).unwrap();
        let last = text.trim_end().rfind('\n').unwrap() + 1;
        let keep = if keep == 1 { last + 1 } else { text.len() - 1 };
        let log = OpenOptions::new().write(true).open(&path).unwrap();
        log.set_len(keep as u64).unwrap();
        scene.daemon.start_again().await;
        scene.agent.prints("ee");
        scene.agent.exits(0);
        scene.ends_well(&["one", "two", "three"], 0).await;
    }
    let seen = "the torn line is cut and written again, the agent's is joined";
    faults::held(113, seen);
}

#[tokio::test]
async fn a_shim_killed_around_its_record_has_the_code_once_it_is_written() {
    for (point, outcome, code) in [
        ("shim.spool-synced", "lost", -1),
        ("shim.recorded", "failed", 3),
    ] {
        let mut scene = Scene::new().await;
        scene.points.set(&[&format!("{point} kill")]);
        scene.agent.exits(3);
        scene.points.hit(point).await;
        let rpc = scene.daemon.rpc().await;
        let ended = rpc.ended(&scene.ctl.project(), scene.started.id).await;
        assert_eq!((&*ended.outcome, ended.exit_code), (outcome, Some(code)));
        scene.ends_well(&["one"], code).await;
    }
    let seen = "before the exit record: lost, every line kept; after it: the agent's code";
    faults::held(104, seen);
}

#[tokio::test]
async fn who_has_seen_the_last_line_is_not_told_that_it_runs() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let rounds = faults::share(20, 200);
    for round in 0..rounds {
        let task = format!("T{round}");
        let started = rpc.start_fake(&ctl.project(), &task, &["numbers"]).await;
        let selector = invocation(&ctl.project(), started.id);
        let mut followed = rpc.follow(selector, "", true).await;
        followed.until(r#""type":"complete""#).await;
        let shown = rpc.get(&ctl.project(), started.id).await;
        assert_eq!(shown.state(), v1::State::Completed, "{shown:?}");
    }
    let seen = format!("{rounds} times the row was final when the last line was seen");
    faults::held(112, seen);
}

#[tokio::test]
async fn a_list_waits_for_a_row_whose_end_is_logged() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let points = FailPoints::of(&home);
    let rounds = faults::share(10, 100);
    for round in 0..rounds {
        let mut agent = Puppet::new(&home, &format!("agent-{round}"));
        let task = format!("T{round}");
        rpc.start_fake(&ctl.project(), &task, &agent.args()).await;
        points.set(&["end.logged stop"]);
        agent.exits(0);
        let pid = points.hit("end.logged").await;
        points.clear();
        // Asked while the daemon stands between the last line and the row.
        let request = v1::ListRequest {
            project: ctl.project(),
            page_size: 1,
            ..v1::ListRequest::default()
        };
        let mut invocations = rpc.invocations();
        let listing = tokio::spawn(async move { invocations.list(request).await });
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        signal(pid, Signal::CONT);
        let listed = within("a list", listing).await.unwrap().unwrap();
        let row = &listed.into_inner().invocations[0];
        assert_eq!(row.state(), v1::State::Completed, "{row:?}");
    }
    let seen = format!("{rounds} times a list had the end that was logged");
    faults::held(112, seen);
}

#[tokio::test]
async fn a_row_that_does_not_come_is_not_waited_for_without_end() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let db = rusqlite::Connection::open(ctl.folder().join(".steroids/steroids.db")).unwrap();
    let rpc = daemon.rpc().await;
    let mut agent = Puppet::new(&home, "agent");
    let started = rpc.start_fake(&ctl.project(), "T1", &agent.args()).await;
    let selector = rpc::invocation(&ctl.project(), started.id);
    let mut followed = rpc.follow(selector, "", true).await;
    followed.until("start").await;
    db.execute_batch("BEGIN IMMEDIATE").unwrap();
    agent.exits(0);
    followed.until(r#""type":"complete""#).await;
    let shown = within("an answer", rpc.get(&ctl.project(), started.id)).await;
    assert_eq!(shown.state(), v1::State::Running);
    db.execute_batch("COMMIT").unwrap();
    drop(db);
    let ended = rpc.ended(&ctl.project(), started.id).await;
    assert_eq!(ended.outcome, "success");
    let seen = "running is told after 2 s while the database is locked";
    faults::held(112, seen);
}
