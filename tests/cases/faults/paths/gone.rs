//! A project whose folder is gone while its agents run and wait: what is told of it.

use std::fs;
use std::sync::Arc;

use serde_json::{Value, json};
use steroids_tests::{Ctl, Daemon, Gateway, Home, Puppet};

/// Two run in a project of which the folder was moved, and one waits.
struct Gone {
    home: Arc<Home>,
    _daemon: Daemon,
    stays: Ctl,
    path: String,
    _agents: [Puppet; 2],
}

impl Gone {
    async fn new() -> Gone {
        let home = Home::with_config("[daemon]\nmax_running = 2");
        let daemon = Daemon::start(&home).await;
        let (stays, gone) = (
            daemon.project("stays").await,
            daemon.project("my app").await,
        );
        let agents = ["one", "two"].map(|name| Puppet::new(&home, name));
        for (task, agent) in ["T1", "T2"].iter().zip(&agents) {
            gone.start_fake(task, &agent.args()).await;
        }
        gone.start_fake("T3", &["exit", "0"]).await;
        let path = gone.project();
        fs::rename(gone.folder(), home.path("home/moved")).unwrap();
        Gone {
            home,
            _daemon: daemon,
            stays,
            path,
            _agents: agents,
        }
    }

    async fn all(&self, more: &[&str]) -> Value {
        let words = ["list", "--all", "--json"];
        self.stays.run(words.iter().chain(more)).await.json()
    }
}

#[tokio::test]
async fn a_list_of_all_says_which_projects_are_gone() {
    let gone = Gone::new().await;
    let named = json!([gone.path]);
    for more in [&[][..], &["--unresolved"], &["--running"]] {
        let listed = gone.all(more).await;
        assert_eq!(listed["gone"], named, "{more:?}: {listed}");
        assert_eq!(listed["unread"], named, "{more:?}: {listed}");
        let said = gone.stays.run(["list", "--all"].iter().chain(more)).await;
        let said = said.exits(0).says("it is gone, and what has ended there");
        let todo = format!("steroidsctl projects forget '{}'", gone.path);
        assert!(said.stderr.contains(&todo), "{said:?}");
    }
    let gateway = Gateway::start(&gone.home).await;
    let listed = gateway.get("/api/invocations?outcome=success").send().await;
    let listed = listed.ok().value();
    assert_eq!(listed["gone"], named, "{listed}");
    // Of one where nothing goes on nobody who stops all is told.
    let stopped = gone.stays.run(["stop", "--all"]).await;
    assert!(stopped.stderr.contains("it is gone; what"), "{stopped:?}");
    let stopped = gone.stays.run(["stop", "--all"]).await.exits(0);
    assert!(!stopped.stderr.contains("gone"), "{stopped:?}");
    assert!(stopped.stderr.contains("nothing runs"), "{stopped:?}");
}
