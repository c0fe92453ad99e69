//! A database that is deleted, or replaced by an older one, while something waits in it, and nothing is started that
//! would bring it back.

use std::fs;

use steroids_proto::v1;
use steroids_tests::faults::held;
use steroids_tests::{Ctl, Daemon, Home, Puppet, Rpc, eventually, old_database, rpc};
use tonic::Code;

struct Scene {
    rpc: Rpc,
    ctl: Ctl,
    agent: Puppet,
    running: i64,
}

impl Scene {
    /// One agent that runs.
    async fn new(daemon: &Daemon) -> Scene {
        let ctl = daemon.project("app").await;
        let rpc = daemon.rpc().await;
        let mut agent = Puppet::new(daemon.home(), "agent");
        let running = rpc.start_fake(&ctl.project(), "T1", &agent.args()).await.id;
        agent.prints("before");
        let selector = rpc::invocation(&ctl.project(), running);
        rpc.follow(selector, "", true).await.until("before").await;
        Scene {
            rpc,
            ctl,
            agent,
            running,
        }
    }

    /// One that waits for it.
    async fn waits(&self, task: &str) -> i64 {
        let argv = rpc::argv(&["exit", "0"]);
        let request = v1::StartRequest {
            after: vec![self.running],
            ..rpc::command(&self.ctl.project(), task, argv)
        };
        self.rpc.start(request).await.unwrap().id
    }

    /// Waits until a row is there again. Nobody is told meanwhile that there is no such thing.
    async fn is_back(&self, id: i64, state: v1::State) {
        eventually("its row to be back", async || {
            let request = v1::GetRequest {
                project: self.ctl.project(),
                id,
                ..Default::default()
            };
            let got = self.rpc.invocations().get(request).await;
            let told = got
                .as_ref()
                .map_or_else(|it| it.code(), |_| Code::Unavailable);
            assert_eq!(told, Code::Unavailable, "{:?}", got.err());
            let row = got.ok()?.into_inner().invocation?;
            assert_eq!(row.state(), state, "{row:?}");
            Some(())
        })
        .await;
    }

    async fn all_are_back(&self, waits: [i64; 2]) {
        for id in waits {
            self.is_back(id, v1::State::Queued).await;
            let row = self.rpc.get(&self.ctl.project(), id).await;
            assert_eq!(row.after, [self.running]);
        }
        self.is_back(self.running, v1::State::Running).await;
    }

    /// The one is told of where its task is asked for, and is stopped; the other has its turn.
    async fn goes_on(&mut self, stopped: i64, other: i64) {
        let start = ["start", "--task", "T2", "--", "true"];
        let waits = format!("invocation {stopped} of task `T2` waits to be started");
        self.ctl.run(start).await.exits(4).says(&waits);
        self.ctl.run(["stop", &stopped.to_string()]).await.exits(0);
        let project = self.ctl.project();
        let ended = self.rpc.ended(&project, stopped).await;
        assert_eq!(ended.outcome, "cancelled", "{ended:?}");
        self.agent.exits(0);
        for id in [self.running, other] {
            let ended = self.rpc.ended(&project, id).await;
            assert_eq!(ended.outcome, "success", "{ended:?}");
        }
        assert_eq!(self.rpc.degraded().await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn what_waits_is_back_with_what_runs_and_can_be_stopped() {
    let daemon = Daemon::start(&Home::new()).await;
    let mut scene = Scene::new(&daemon).await;
    let waits = [scene.waits("T2").await, scene.waits("T3").await];
    eventually("all of it to be gone", async || {
        fs::remove_dir_all(scene.ctl.folder().join(".steroids")).ok()
    })
    .await;
    scene.all_are_back(waits).await;
    scene.goes_on(waits[0], waits[1]).await;
    held(
        163,
        "what waits is back before its turn, and can be stopped",
    );
}

#[tokio::test]
async fn what_waits_is_back_in_a_database_that_is_older() {
    let daemon = Daemon::start(&Home::new()).await;
    let mut scene = Scene::new(&daemon).await;
    let path = old_database::path(scene.ctl.folder());
    let older = daemon.home().path("older.db");
    let db = rusqlite::Connection::open(&path).unwrap();
    db.execute("VACUUM INTO ?1", [older.to_str().unwrap()])
        .unwrap();
    drop(db);
    let waits = [scene.waits("T2").await, scene.waits("T3").await];
    for journal in ["-wal", "-shm"] {
        let _ = fs::remove_file(path.with_extension(format!("db{journal}")));
    }
    fs::rename(&older, &path).unwrap();
    scene.all_are_back(waits).await;
    scene.goes_on(waits[0], waits[1]).await;
    held(163, "and in an older database that was put in the place");
}

#[tokio::test]
async fn what_waits_where_nothing_runs_is_back_with_the_next_pass() {
    let daemon = Daemon::start(&Home::with_config("[daemon]\nmax_running = 1")).await;
    let mut scene = Scene::new(&daemon).await;
    let other = daemon.project("other").await;
    let argv = rpc::argv(&["exit", "0"]);
    let waits = rpc::command(&other.project(), "T1", argv);
    let waits = scene.rpc.start(waits).await.unwrap();
    assert_eq!(waits.state(), v1::State::Queued);
    fs::remove_dir_all(other.folder().join(".steroids")).unwrap();
    other.run(["wakeup"]).await.ok();
    let row = scene.rpc.get(&other.project(), waits.id).await;
    assert_eq!((row.state(), row.uuid), (v1::State::Queued, waits.uuid));
    scene.agent.exits(0);
    let ended = scene.rpc.ended(&other.project(), waits.id).await;
    assert_eq!(ended.outcome, "success", "{ended:?}");
    held(
        163,
        "where nothing runs, what waits is back with the next pass",
    );
}
