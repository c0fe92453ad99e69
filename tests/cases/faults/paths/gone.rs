//! A project whose folder is gone while its agents run and wait: they are counted and shown as all others are, by
//! the daemon that saw it go and by the next one, and what to do about it can be typed as it is printed.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};
use steroids_proto::v1;
use steroids_tests::{Ctl, Daemon, Gateway, Home, Puppet, Rpc, eventually};
use tonic::Code;

/// Two run in a project of which the folder was moved, and one waits.
struct Gone {
    home: Arc<Home>,
    daemon: Daemon,
    stays: Ctl,
    path: String,
    moved: PathBuf,
    agents: [Puppet; 2],
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
        let (path, moved) = (gone.project(), home.path("home/moved"));
        fs::rename(gone.folder(), &moved).unwrap();
        Gone {
            home,
            daemon,
            stays,
            path,
            moved,
            agents,
        }
    }

    /// How many of the project's run by its entry in the list of projects.
    async fn running(&self) -> i64 {
        let listed = self.stays.run(["projects", "--json"]).await.json();
        let mut projects = listed["projects"].as_array().unwrap().iter();
        let it = projects.find(|it| it["path"] == *self.path).unwrap();
        it["running"].as_i64().unwrap()
    }

    async fn all(&self, more: &[&str]) -> Value {
        let words = ["list", "--all", "--json"];
        self.stays.run(words.iter().chain(more)).await.json()
    }

    /// Where one stands among those that wait.
    async fn place(&self, task: &str) -> Option<String> {
        let listed = self.all(&["--running"]).await;
        let mut those = listed["invocations"].as_array().unwrap().iter();
        let it = those.find(|it| it["taskId"] == *task)?;
        Some(it["waiting"].as_str()?[..10].to_owned())
    }
}

async fn counted(rpc: &Rpc) -> (i64, i64) {
    let status = rpc.daemon().status(v1::StatusRequest {}).await.unwrap();
    let status = status.into_inner();
    (status.running, status.queued)
}

fn row<'a>(text: &'a str, task: &str) -> &'a str {
    let is_it = |line: &&str| line.split_whitespace().any(|word| word == task);
    text.lines().find(is_it).unwrap_or_default()
}

#[tokio::test]
async fn what_has_a_place_where_the_folder_is_gone_is_counted_and_shown_also_after_a_restart() {
    let mut gone = Gone::new().await;
    for is_restarted in [false, true] {
        if is_restarted {
            gone.daemon.kill9_and_restart().await;
        }
        let rpc = gone.daemon.rpc().await;
        assert_eq!(counted(&rpc).await, (2, 1), "restarted: {is_restarted}");
        assert_eq!(gone.running().await, 2, "restarted: {is_restarted}");
        let place = gone.place("T3").await;
        assert_eq!(place.as_deref(), Some("1st of 1: "), "{is_restarted}");
        // Who waits for it is not told that there is no such thing.
        let request = v1::GetRequest {
            project: gone.path.clone(),
            id: 1,
            ..Default::default()
        };
        let refused = rpc.invocations().get(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
    }
    let rpc = gone.daemon.rpc().await;
    gone.stays.start_fake("T4", &["exit", "0"]).await;
    assert_eq!(counted(&rpc).await, (2, 2));
    assert_eq!(gone.place("T4").await.as_deref(), Some("2nd of 2: "));

    let mut screen = gone.stays.at_terminal((120, 24), &["top"]);
    let is_full = |text: &str| {
        // Something is wrong with those that run there, and it says what.
        ["T1", "T2"].map(|task| row(text, task).contains("stalled")) == [true; 2]
            && ["T3", "T4"].map(|task| row(text, task).contains("queued")) == [true; 2]
            && text.contains("running 2 of 2 · queued 2 of")
    };
    screen.until("all that run and wait", is_full).await;
    // No event tells of its end.
    gone.agents[0].exits(0);
    screen
        .until("one less", |text| row(text, "T1").is_empty())
        .await;
    gone.stays.run(["wakeup"]).await.ok();
    rpc.ended(&gone.stays.project(), 1).await;
    eventually("one runs, one waits", async || {
        (counted(&rpc).await == (1, 1)).then_some(())
    })
    .await;
    fs::rename(&gone.moved, &gone.path).unwrap();
    gone.stays.run(["wakeup"]).await.ok();
    let ended = rpc.ended(&gone.path, 3).await;
    assert_eq!(ended.outcome, "success", "{ended:?}");
    screen
        .until("what runs there", |text| {
            row(text, "T3").is_empty() && row(text, "T2").contains("running")
        })
        .await;
    assert_eq!(counted(&rpc).await, (1, 0));
    gone.agents[1].exits(0);
    rpc.ended(&gone.path, 2).await;
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
    let projects = gateway.get("/api/projects").send().await.ok().value();
    let mut projects = projects["projects"].as_array().unwrap().iter();
    let it = projects.find(|it| it["path"] == *gone.path).unwrap();
    assert_eq!(it["running"], 2, "{it}");

    // Of one where nothing goes on nobody who stops all is told.
    let stopped = gone.stays.run(["stop", "--all"]).await;
    assert!(stopped.stderr.contains("it is gone; what"), "{stopped:?}");
    let stopped = gone.stays.run(["stop", "--all"]).await.exits(0);
    assert!(!stopped.stderr.contains("gone"), "{stopped:?}");
    assert!(stopped.stderr.contains("nothing runs"), "{stopped:?}");
}

#[tokio::test]
async fn what_to_do_about_one_that_is_gone_can_be_typed_as_it_is_printed() {
    let gone = Gone::new().await;
    let rpc = gone.daemon.rpc().await;
    let todo = format!("`steroidsctl projects forget '{}'`", gone.path);
    let is_told = async |words: &str| {
        eventually(words, async || {
            let lines = rpc.degraded().await;
            let mut told = lines.iter().filter(|line| line.contains(words));
            told.next().cloned()
        })
        .await
    };
    // By whoever looks at what runs, and whoever would take up what has ended.
    let mut agents = gone.agents;
    agents[0].prints("after");
    let line = is_told("it goes on").await;
    assert!(line.contains(&todo), "{line}");
    let stop = ["--project", &gone.path, "stop", "1"];
    let stopped = gone.stays.run(stop).await.exits(4);
    assert!(stopped.stderr.contains(&todo), "{stopped:?}");
    let line = is_told("cannot be taken up").await;
    assert!(line.contains(&todo), "{line}");
    gone.stays
        .run(["--project", &gone.path, "stop", "--all"])
        .await;

    let typed = todo.trim_matches('`').replace("steroidsctl", "\"$@\"");
    let ctl = steroids_tests::binaries::steroidsctl();
    let output = gone
        .home
        .command(std::path::Path::new("/bin/sh"))
        .args(["-c", &format!("{typed} --discard-transcripts"), "sh"])
        .arg(ctl)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(gone.moved.exists());
}
