//! `projects forget`: a project that nobody wants to hear of any more, with its folder there or gone.

use std::fs;
use std::path::PathBuf;

use steroids_proto::v1;
use steroids_tests::faults::held;
use steroids_tests::{Ctl, Daemon, FailPoints, Home, Puppet, Rpc, eventually, rpc, within};
use tonic::Code;

async fn paths(ctl: &Ctl) -> Vec<String> {
    let listed = ctl.run(["projects", "--json"]).await.json();
    let projects = listed["projects"].as_array().unwrap();
    let paths = projects.iter().map(|it| it["path"].as_str().unwrap());
    paths.map(str::to_owned).collect()
}

/// A run of a project whose folder went meanwhile, and that has ended; from a folder that stays.
struct Gone {
    home: std::sync::Arc<Home>,
    daemon: Daemon,
    ctl: Ctl,
    path: String,
    moved: PathBuf,
    transcript: PathBuf,
}

impl Gone {
    async fn new() -> Gone {
        let home = Home::new();
        let daemon = Daemon::start(&home).await;
        let (ctl, gone) = (daemon.project("stays").await, daemon.project("gone").await);
        let rpc = daemon.rpc().await;
        let mut agent = Puppet::new(&home, "agent");
        let started = rpc.start_fake(&gone.project(), "T1", &agent.args()).await;
        let path = gone.project();
        let moved = home.path("home/moved");
        fs::rename(gone.folder(), &moved).unwrap();
        agent.prints("after");
        until_told(&rpc, "it goes on").await;
        let busy = ctl
            .run(["projects", "forget", &path, "--discard-transcripts"])
            .await;
        let stop = format!("steroidsctl --project {path} stop {}", started.id);
        busy.exits(4).says("runs or waits").says(&stop);
        // What it says works, and tells what cannot be kept.
        let id = started.id.to_string();
        let stopped = ctl.run(["--project", &path, "stop", &id]).await;
        let todo = format!("`steroidsctl projects forget {path}`");
        stopped.exits(4).says(&todo);
        until_told(&rpc, "cannot be taken up").await;
        Gone {
            transcript: home.invocation_dir(&started.uuid),
            home,
            daemon,
            ctl,
            path,
            moved,
        }
    }

    async fn forget(&self, flags: &[&str]) -> steroids_tests::Output {
        let words = ["projects", "forget", &self.path];
        self.ctl.run(words.iter().chain(flags)).await
    }

    async fn is_forgotten(&self) {
        assert_eq!(paths(&self.ctl).await, [self.ctl.project()]);
        assert_eq!(
            self.daemon.rpc().await.degraded().await,
            Vec::<String>::new()
        );
        assert!(!self.transcript.exists());
    }
}

async fn until_told(rpc: &Rpc, words: &str) {
    eventually(words, async || {
        let lines = rpc.degraded().await;
        lines.iter().any(|line| line.contains(words)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_project_with_its_folder_is_let_go_of_and_taken_up_by_the_next_command() {
    let home = Home::new();
    let mut daemon = Daemon::start(&home).await;
    let (ctl, stays) = (daemon.project("app").await, daemon.project("stays").await);
    let rpc = daemon.rpc().await;
    let agent = Puppet::new(&home, "agent");
    let running = rpc.start_fake(&ctl.project(), "T1", &agent.args()).await;
    let path = ctl.project();
    let forget = ["projects", "forget", path.as_str()];
    let refused = stays.run(forget).await.exits(4);
    refused.says(&format!("stop {}", running.id));
    ctl.run(["stop", &running.id.to_string()]).await.ok();

    let watch = v1::WatchRequest {
        project: path.clone(),
        ..Default::default()
    };
    let watched = rpc.projects().watch(watch.clone()).await;
    let mut watched = watched.unwrap().into_inner();
    let task = rpc::task(&path, "T1");
    let mut followed = rpc.follow(task, "", true).await;
    followed.until("cancelled").await;

    // Its job lets go just behind the row.
    let forgotten = eventually("it to be forgotten", async || {
        let output = stays.run(forget).await;
        (output.code == 0).then_some(output)
    })
    .await;
    assert!(
        forgotten.stdout.contains("no longer served"),
        "{forgotten:?}"
    );
    assert_eq!(paths(&stays).await, [stays.project()]);
    assert!(ctl.folder().join(".steroids/steroids.db").exists());
    assert!(ctl.log_path(running.id).exists());

    // Those who look on are sent away, and told why when they come back.
    let ended = async {
        loop {
            match watched.message().await {
                Ok(Some(_)) => {}
                ended => return ended,
            }
        }
    };
    let ended = within("the end of Watch", ended).await.unwrap_err();
    assert_eq!(ended.code(), Code::Unavailable, "{ended:?}");
    let ended = within("the end of Follow", followed.rest())
        .await
        .unwrap_err();
    assert_eq!(ended.code(), Code::Unavailable, "{ended:?}");
    let again = rpc.projects().watch(watch).await.unwrap_err();
    assert_eq!(again.code(), Code::NotFound, "{again:?}");

    stays.run(forget).await.exits(3).says("not registered");
    daemon.kill9_and_restart().await;
    assert_eq!(paths(&stays).await, [stays.project()]);
    stays.run(forget).await.exits(3);
    let listed = ctl.run(["list"]).await.exits(0);
    assert!(listed.stdout.contains("T1"), "{listed:?}");
    assert!(listed.stderr.contains("registered"), "{listed:?}");
    assert_eq!(paths(&stays).await.len(), 2);
    let gone = stays.run(["projects", "forget", "../app", "--json"]).await;
    assert_eq!(gone.json()["path"], path);
}

#[tokio::test]
async fn what_ended_in_a_folder_that_is_gone_goes_only_where_that_is_said() {
    let mut gone = Gone::new().await;
    let kept = gone.forget(&[]).await.exits(4);
    kept.says("only its transcript tells")
        .says("--discard-transcripts");
    assert!(gone.transcript.exists());
    assert_eq!(paths(&gone.ctl).await.len(), 2);
    let told = gone.forget(&["--discard-transcripts"]).await.ok();
    assert!(told.contains("deleted 1 transcript"), "{told}");
    gone.is_forgotten().await;
    gone.forget(&[]).await.exits(3);
    gone.daemon.kill9_and_restart().await;
    gone.is_forgotten().await;
    held(
        213,
        "kept until its end is said, then nowhere, also after a restart",
    );
}

#[tokio::test]
async fn one_that_was_only_moved_loses_nothing() {
    let gone = Gone::new().await;
    gone.forget(&[]).await.exits(4).says("only moved");
    fs::rename(&gone.moved, &gone.path).unwrap();
    let ctl = gone.daemon.ctl(gone.path.as_ref());
    let text = eventually("its log to be made", async || {
        let shown = ctl.run(["show", "1", "--json"]).await;
        let text = fs::read_to_string(ctl.log_path(1)).ok()?;
        (shown.code == 0 && text.contains(r#""type":"complete""#)).then_some(text)
    })
    .await;
    assert!(text.contains("after"), "{text}");
    held(213, "put back after a refusal: log and row are made");
}

#[tokio::test]
async fn a_daemon_killed_while_it_forgets_is_asked_again() {
    for point in ["forget.discarded-one", "forget.discarded"] {
        let mut gone = Gone::new().await;
        let points = FailPoints::of(&gone.home);
        points.set(&[&format!("{point} kill")]);
        assert_ne!(gone.forget(&["--discard-transcripts"]).await.code, 0);
        points.clear();
        gone.daemon.kill9().await;
        gone.daemon.start_again().await;
        // It is there still, so that asking again is no mistake.
        gone.forget(&["--discard-transcripts"]).await.exits(0);
        gone.is_forgotten().await;
        held(
            213,
            format!("killed at {point}: forgotten when asked again"),
        );
    }
}
