//! An agent runs as its shim's user, and may write to its state folder and kill its shim: it can put down an end
//! that was not. Nothing of it goes on unowned, and nothing that it wrote is a success.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::process::Signal;
use steroids_proto::v1;
use steroids_tests::processes::signal;
use steroids_tests::rpc::command;
use steroids_tests::{Ctl, Daemon, Home, Rpc, eventually, faults, invocation, log, processes};

/// What a shim would have written of a success.
const SUCCESS: &str = r#"{"proto":1,"end":{"kind":"ran","code":0,"signal":null,"ended_by":null,
    "duration_ms":5,"leftovers":0},"ended_ms":1800000000000,"spool_length":0,"rusage":null}"#;

/// Three that outlive it, and then, once the file `go` is there, what it does to its state folder `$1`, with `$2` as a
/// record and its shim as its parent.
fn script(deed: &str) -> String {
    format!(
        r#"for i in 1 2 3; do setsid sleep 1000 & done; echo before
        until [ -e go ]; do sleep 0.1; done
        cd "$1/$STEROIDS_INVOCATION"
        record() {{ printf '%s' "$2" > new; mv -T new exit.json; }}
        {deed}"#
    )
}

struct Scene {
    home: Arc<Home>,
    daemon: Daemon,
    ctl: Ctl,
    rpc: Rpc,
    started: v1::Invocation,
}

impl Scene {
    async fn new(deed: &str, record: &str, leave_background: bool) -> Scene {
        let home = Home::new();
        let daemon = Daemon::start(&home).await;
        let ctl = daemon.project("app").await;
        let rpc = daemon.rpc().await;
        let folder = home.path("state/steroids/inv");
        let (script, folder) = (script(deed), folder.to_string_lossy());
        let argv = ["/bin/sh", "-c", &script, "sh", &folder, record];
        let request = v1::StartRequest {
            leave_background,
            ..command(&ctl.project(), "T1", argv.map(str::to_owned).to_vec())
        };
        let started = rpc.start(request).await.unwrap();
        let scene = Scene {
            home,
            daemon,
            ctl,
            rpc,
            started,
        };
        eventually("its children", async || {
            let marked = processes::marked(&scene.started.uuid);
            let sleeps = marked
                .iter()
                .filter(|it| it.command.starts_with("sleep 1000"));
            (sleeps.count() == 3).then_some(())
        })
        .await;
        scene.prints("before").await;
        scene
    }

    fn dir(&self) -> PathBuf {
        self.home.invocation_dir(&self.started.uuid)
    }

    fn touch(&self, name: &str) {
        std::fs::write(self.ctl.folder().join(name), "").unwrap();
    }

    async fn prints(&self, words: &str) {
        let selector = invocation(&self.ctl.project(), self.started.id);
        let mut followed = self.rpc.follow(selector, "", true).await;
        followed.until(words).await;
    }

    async fn start_again(&mut self) {
        self.daemon.start_again().await;
        self.rpc = self.daemon.rpc().await;
    }

    async fn ended(&self) -> v1::Invocation {
        let (project, id) = (self.ctl.project(), self.started.id);
        self.rpc.ended(&project, id).await
    }

    /// It ended as lost, its log says why, and nothing of it is there.
    async fn is_lost(&self, why: &str) {
        let ended = self.ended().await;
        assert_eq!((&*ended.outcome, ended.exit_code), ("lost", Some(-1)));
        assert!(ended.error.contains(why), "{ended:?}");
        let lines = log::lines(&self.ctl.log_path(ended.id));
        log::assert_whole(&lines);
        let last = lines.last().unwrap().to_string();
        assert!(last.contains(why), "{last}");
        assert_eq!(processes::marked(&self.started.uuid), []);
    }
}

async fn appears(path: &Path) {
    eventually("a record", async || path.exists().then_some(())).await;
}

#[tokio::test]
async fn an_agent_that_kills_its_shim_behind_a_record_of_its_own_is_lost_with_all_its_tree() {
    let deed = r#"record "$@"; kill -KILL $PPID"#;
    let scene = Scene::new(deed, SUCCESS, false).await;
    scene.touch("go");
    scene.is_lost("is not its own").await;
    faults::held(
        173,
        "killed its shim behind its own record: lost, no process left",
    );
}

#[tokio::test]
async fn that_holds_where_what_it_leaves_was_to_be_left() {
    let deed = r#"record "$@"; kill -KILL $PPID"#;
    let scene = Scene::new(deed, SUCCESS, true).await;
    scene.touch("go");
    scene.is_lost("is not its own").await;
    faults::held(173, "also where what it leaves was to be left");
}

#[tokio::test]
async fn that_holds_where_no_daemon_was_there() {
    let deed = r#"record "$@"; kill -KILL $PPID"#;
    let mut scene = Scene::new(deed, SUCCESS, false).await;
    let shim = scene.home.shim(&scene.started.uuid);
    scene.daemon.kill9().await;
    scene.touch("go");
    eventually("no shim", async || {
        (!processes::is_alive(shim)).then_some(())
    })
    .await;
    scene.start_again().await;
    scene.is_lost("is not its own").await;
    faults::held(173, "the same without a daemon: lost, no process left");
}

#[tokio::test]
async fn what_makes_no_sense_beside_a_shim_that_was_killed_ends_as_lost() {
    for (deed, record, why) in [
        (r#"record "$@""#, "no record", "is damaged"),
        (r#"record "$@""#, r#"{"proto":99,"what":1}"#, "is damaged"),
        ("echo none > state.json", "", "shim lost"),
        ("rm lock; mkdir lock", "", "shim lost"),
        (
            r#"rm lock; mkdir lock; record "$@""#,
            SUCCESS,
            "is not its own",
        ),
    ] {
        let scene = Scene::new(&format!("{deed}; kill -KILL $PPID"), record, false).await;
        scene.touch("go");
        scene.is_lost(why).await;
    }
    let seen = "records and locks of no shape: lost, no process left";
    faults::held(173, seen);
}

/// What it does to the lock's name leaves its shim where it was.
#[tokio::test]
async fn an_agent_that_takes_its_locks_name_and_records_an_end_goes_on_and_obeys() {
    for (deed, with_daemon) in [
        ("rm lock", true),
        ("rm lock; : > lock", true),
        ("mv lock lock.old", false),
        ("rm lock; : > lock", false),
    ] {
        let deed = format!(r#"{deed}; record "$@"; echo after; wait"#);
        let mut scene = Scene::new(&deed, SUCCESS, false).await;
        if !with_daemon {
            scene.daemon.kill9().await;
        }
        scene.touch("go");
        appears(&scene.dir().join("exit.json")).await;
        if !with_daemon {
            scene.start_again().await;
        }
        scene.prints("after").await;
        let (project, id) = (scene.ctl.project(), scene.started.id);
        eventually("an alarm", async || {
            let shown = scene.rpc.get(&project, id).await;
            assert_eq!(shown.state(), v1::State::Running);
            shown.alarm.contains("is not believed").then_some(())
        })
        .await;
        scene.ctl.run(["stop", &id.to_string()]).await.ok();
        assert_eq!(scene.ended().await.outcome, "cancelled");
        assert_eq!(processes::marked(&scene.started.uuid), []);
    }
    let seen = "a lock without its name beside a record: told, logged and stopped as ever";
    faults::held(173, seen);
}

#[tokio::test]
async fn an_agent_that_spoils_its_specification_too_is_ended_by_the_next_daemon() {
    let deed = r#"rm lock; echo none > spec.json; record "$@"; echo after; wait"#;
    let mut scene = Scene::new(deed, SUCCESS, false).await;
    scene.daemon.kill9().await;
    scene.touch("go");
    appears(&scene.dir().join("exit.json")).await;
    scene.start_again().await;
    let ended = scene.ended().await;
    assert_eq!((&*ended.outcome, ended.exit_code), ("lost", Some(-1)));
    eventually("nothing of it", async || {
        processes::marked(&scene.started.uuid)
            .is_empty()
            .then_some(())
    })
    .await;
    faults::held(173, "beside a damaged specification: lost, no process left");
}

/// The daemon has read the agent's record, and looks up from it only once the shim has put its own in its place.
#[tokio::test]
async fn what_its_shim_records_after_an_agents_record_was_read_is_its_end() {
    let deed = r#"rm lock; : > lock; record "$@"; echo after; wait"#;
    let scene = Scene::new(deed, SUCCESS, false).await;
    let points = steroids_tests::FailPoints::of(&scene.home);
    let shim = scene.home.shim(&scene.started.uuid);
    scene.touch("go");
    scene.prints("after").await;
    points.set(&["exit.weighed stop"]);
    points.hit("exit.weighed").await;
    signal(shim, Signal::TERM);
    eventually("no shim", async || {
        (!processes::is_alive(shim)).then_some(())
    })
    .await;
    points.clear();
    scene.daemon.signal(Signal::CONT);
    assert_eq!(scene.ended().await.outcome, "interrupted");
    faults::held(173, "read before its shim wrote its own: the latter counts");
}

#[tokio::test]
async fn what_a_shim_recorded_counts_where_it_was_killed_right_after_and_left_what_it_was_to_leave()
{
    for (with_daemon, leave_background) in [(true, true), (false, true), (false, false)] {
        let mut scene = Scene::new("exit 3", "", leave_background).await;
        let points = steroids_tests::FailPoints::of(&scene.home);
        points.set(&["shim.recorded kill"]);
        if !with_daemon {
            scene.daemon.kill9().await;
        }
        scene.touch("go");
        points.hit("shim.recorded").await;
        points.clear();
        if !with_daemon {
            scene.start_again().await;
        }
        let ended = scene.ended().await;
        assert_eq!((&*ended.outcome, ended.exit_code), ("failed", Some(3)));
        let left = processes::marked(&scene.started.uuid);
        assert_eq!(left.len(), if leave_background { 3 } else { 0 });
        left.iter().for_each(|it| signal(it.pid, Signal::KILL));
    }
    faults::held(173, "a shim's own record counts, heard or not");
}
