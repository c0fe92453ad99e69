//! Killed while it makes good what an earlier kill has left: the next one does it all the same.

use rustix::process::Signal;
use steroids_proto::v1;
use steroids_tests::processes::signal;
use steroids_tests::{
    Ctl, Daemon, FailPoints, Home, Puppet, assert_undisturbed, eventually, faults, invocation, log,
    processes,
};

/// A daemon that was killed, over a project with agents.
struct Scene {
    daemon: Daemon,
    ctl: Ctl,
    points: FailPoints,
    agents: Vec<(Puppet, v1::Invocation)>,
}

impl Scene {
    async fn new(agents: usize) -> Scene {
        let home = Home::new();
        let daemon = Daemon::start(&home).await;
        let ctl = daemon.project("app").await;
        let rpc = daemon.rpc().await;
        let mut scene = Scene {
            points: FailPoints::of(&home),
            daemon,
            ctl,
            agents: Vec::new(),
        };
        for number in 0..agents {
            let mut agent = Puppet::new(&home, &number.to_string());
            let project = scene.ctl.project();
            let task = format!("T{number}");
            let started = rpc.start_fake(&project, &task, &agent.args()).await;
            agent.prints("one");
            let selector = invocation(&project, started.id);
            let mut followed = rpc.follow(selector, "", true).await;
            followed.until("one").await;
            scene.agents.push((agent, started));
        }
        scene.daemon.kill9().await;
        scene
    }

    /// A daemon that is killed at `line`'s point, on its way to being ready.
    async fn dies_at(&mut self, point: &str, line: &str) {
        self.points.set(&[line]);
        self.daemon = Daemon::launch(self.daemon.home(), Vec::new());
        self.points.hit(point).await;
        self.daemon.ended().await;
        self.points.clear();
    }

    async fn assert_ended(&self, agent: usize, outcome: &str, code: i32, lines: &[&str]) {
        let id = self.agents[agent].1.id;
        let ended = self.daemon.rpc().await.ended(&self.ctl.project(), id).await;
        assert_eq!((&*ended.outcome, ended.exit_code), (outcome, Some(code)));
        let logged = log::lines(&self.ctl.log_path(id));
        log::assert_whole(&logged);
        assert_eq!(log::messages(&logged, "output"), lines);
        assert_undisturbed(&self.ctl, &ended);
        assert_eq!(processes::marked(&ended.uuid), []);
    }
}

#[tokio::test]
async fn a_reconcile_killed_between_two_invocations_is_done_by_the_next() {
    let mut scene = Scene::new(3).await;
    let home = scene.daemon.home().clone();
    // One has ended, one goes on, one is lost.
    scene.agents[0].0.exits(3);
    home.recorded(&scene.agents[0].1.uuid).await;
    let lost = home.shim(&scene.agents[2].1.uuid);
    signal(lost, Signal::KILL);
    eventually("the shim to go", async || {
        (!processes::is_alive(lost)).then_some(())
    })
    .await;
    for passed in 0..3 {
        let line = format!("reconcile.found kill after {passed}");
        scene.dies_at("reconcile.found", &line).await;
    }
    scene.daemon.start_again().await;
    scene.assert_ended(0, "failed", 3, &["one"]).await;
    scene.assert_ended(2, "lost", -1, &["one"]).await;
    scene.agents[1].0.prints("two");
    scene.agents[1].0.exits(0);
    scene.assert_ended(1, "success", 0, &["one", "two"]).await;
    let seen = "killed at each of three folders: one finished, one adopted, one lost";
    faults::held(103, seen);
}

#[tokio::test]
async fn declaring_an_invocation_lost_may_be_killed_at_each_step() {
    let mut scene = Scene::new(1).await;
    let home = scene.daemon.home().clone();
    let lost = home.shim(&scene.agents[0].1.uuid);
    signal(lost, Signal::KILL);
    eventually("the shim to go", async || {
        (!processes::is_alive(lost)).then_some(())
    })
    .await;
    for point in ["lost.locked", "lost.killed", "lost.recorded", "end.logged"] {
        scene.dies_at(point, &format!("{point} kill")).await;
    }
    scene.daemon.start_again().await;
    scene.assert_ended(0, "lost", -1, &["one"]).await;
    let seen = "killed at each step of a loss: lost once, every line kept";
    faults::held(103, seen);
}

#[tokio::test]
async fn rebuilding_a_log_may_be_killed_at_each_step_and_old_cursors_do_not_fit_it() {
    for point in ["rebuild.written", "rebuild.counted", "rebuild.published"] {
        let mut scene = Scene::new(1).await;
        let path = scene.ctl.log_path(1);
        let changed = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, changed.replace("one", "eno")).unwrap();
        scene.dies_at(point, &format!("{point} kill")).await;
        scene.daemon.start_again().await;
        scene.agents[0].0.prints("two");
        let rpc = scene.daemon.rpc().await;
        let selector = invocation(&scene.ctl.project(), 1);
        let mut followed = rpc.follow(selector.clone(), "", true).await;
        followed.until("two").await;
        // The log has its name before the row says so; what is read meanwhile, while the number is
        // odd, may be of either file.
        let (events, generation) = eventually("the rebuild to be counted", async || {
            let mut followed = rpc.follow(selector.clone(), "", true).await;
            let events = followed.until("two").await;
            let generation = generation(&events[0].cursor);
            let is_counted = generation > 0 && generation.is_multiple_of(2);
            is_counted.then_some((events, generation))
        })
        .await;
        scene.agents[0].0.exits(0);
        scene.assert_ended(0, "success", 0, &["one", "two"]).await;
        // Beside the log: nothing but what was there before.
        let folder = std::fs::read_dir(path.parent().unwrap()).unwrap();
        let names = folder.map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = names.filter_map(|name| name.into_string().ok()).collect();
        names.sort();
        assert_eq!(names, ["1.log", "README.txt"], "{point}");
        let now = format!("1:{generation}:");
        let mid = format!("1:{}:", generation - 1);
        let mid = events[0].cursor.replace(&now, &mid);
        let resumed = rpc.follow(selector, &mid, false).await.rest().await;
        let told = resumed.unwrap();
        assert_eq!(told[0].r#type, "gap", "{point}: {told:?}");
    }
    let seen = "killed at each step of a rebuild: the log whole, cursors of before get a gap";
    faults::held(103, seen);
}

/// Of a cursor `<invocation>:<generation>:<offset>`.
fn generation(cursor: &str) -> u32 {
    let mut parts = cursor.split(':').skip(1);
    parts
        .next()
        .and_then(|part| part.parse().ok())
        .unwrap_or_else(|| panic!("{cursor}"))
}
