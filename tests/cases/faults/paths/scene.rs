//! A project in which an agent runs, and where it is moved to.

use std::fs;
use std::sync::Arc;

use steroids_proto::v1;
use steroids_tests::{Ctl, Daemon, Home, Puppet};

pub(super) struct Scene {
    pub(super) home: Arc<Home>,
    pub(super) daemon: Daemon,
    /// The project at the path at which the agent was started,
    pub(super) app: Ctl,
    /// and at the other one.
    pub(super) moved: Ctl,
    pub(super) agent: Puppet,
    /// As it was started.
    pub(super) runs: v1::Invocation,
}

impl Scene {
    /// It is where it was.
    pub(super) async fn running() -> Scene {
        let home = Home::new();
        let daemon = Daemon::start(&home).await;
        let (app, moved) = (daemon.project("app").await, daemon.ctl(&home.path("moved")));
        let agent = Puppet::new(&home, "agent");
        let rpc = daemon.rpc().await;
        let runs = rpc.start_fake(&app.project(), "T1", &agent.args()).await;
        Scene {
            home,
            daemon,
            app,
            moved,
            agent,
            runs,
        }
    }

    /// It was moved, and used in its new place.
    pub(super) async fn moved() -> Scene {
        let scene = Scene::running().await;
        fs::rename(scene.app.folder(), scene.moved.folder()).unwrap();
        scene.moved.run(["list"]).await.ok();
        scene
    }
}
