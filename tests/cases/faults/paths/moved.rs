//! Projects that are moved or copied while something runs in them.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use rustix::process::Signal;
use serde_json::{Value, json};
use steroids_proto::v1;
use steroids_tests::processes::{marked, signal};
use steroids_tests::{Ctl, Daemon, Home, Puppet, eventually, rpc};

use super::scene::Scene;

/// Whether the daemon learns of the new path before it is killed, or only after its next start.
#[tokio::test]
async fn what_runs_in_a_folder_that_was_moved_is_taken_up_there_by_the_next_daemon() {
    let home = Home::new();
    let mut daemon = Daemon::start(&home).await;
    let rpc = daemon.rpc().await;
    let mut runs = Vec::new();
    for name in ["before", "after"] {
        let ctl = daemon.project(name).await;
        let agent = Puppet::new(&home, name);
        let started = rpc.start_fake(&ctl.project(), "T1", &agent.args()).await;
        runs.push((ctl, agent, started));
    }
    let moved = ["before", "after"].map(|name| daemon.ctl(&home.path(&format!("moved-{name}"))));
    fs::rename(runs[0].0.folder(), moved[0].folder()).unwrap();
    moved[0].run(["list"]).await.ok();
    daemon.kill9().await;
    fs::rename(runs[1].0.folder(), moved[1].folder()).unwrap();
    daemon.start_again().await;
    let rpc = daemon.rpc().await;
    moved[1].run(["list"]).await.ok();
    for ((_, mut agent, started), ctl) in runs.into_iter().zip(moved) {
        let selector = rpc::invocation(&ctl.project(), started.id);
        agent.prints("from its new place");
        let mut following = rpc.follow(selector, "", true).await;
        following.until("from its new place").await;
        agent.exits(0);
        let ended = rpc.ended(&ctl.project(), started.id).await;
        assert_eq!(ended.state(), v1::State::Completed, "{ended:?}");
    }
    assert_eq!(rpc.degraded().await, Vec::<String>::new());
}

/// By a copy of the folder, as by a backup that is opened in another one.
#[tokio::test]
async fn what_runs_in_a_project_that_is_copied_goes_on_and_its_copied_row_ends() {
    let home = Home::with_config("[daemon]\nmax_running = 1");
    let daemon = Daemon::start(&home).await;
    let (app, copy) = (daemon.project("app").await, daemon.ctl(&home.path("copy")));
    let mut agent = Puppet::new(&home, "agent");
    let rpc = daemon.rpc().await;
    let runs = rpc.start_fake(&app.project(), "T1", &agent.args()).await;
    let waits = rpc.start_fake(&app.project(), "T2", &["exit", "0"]).await;
    self::copy(&app, &copy);
    // The first command in it, so that nobody has looked at its rows before.
    copy.run(["stop", &runs.id.to_string()]).await.exits(0);
    for id in [runs.id, waits.id] {
        let ended = rpc.ended(&copy.project(), id).await;
        assert_eq!(ended.outcome, "lost", "{ended:?}");
        let from = format!("copied from {} while", app.project());
        assert!(ended.error.starts_with(&from), "{ended:?}");
    }
    agent.prints("on");
    agent.exits(0);
    for id in [runs.id, waits.id] {
        let ended = rpc.ended(&app.project(), id).await;
        assert_eq!(ended.outcome, "success", "{ended:?}");
    }
    copy.run(["projects", "forget", &copy.project()])
        .await
        .exits(0);
    assert_eq!(rpc.degraded().await, Vec::<String>::new());
}

/// Another project, or a copy of it, comes to the path that it was started under.
#[tokio::test]
async fn what_runs_stays_with_its_project_that_was_moved_whoever_has_its_path() {
    for is_copied in [false, true] {
        let Scene {
            home,
            daemon,
            app,
            moved,
            mut agent,
            runs,
        } = Scene::moved().await;
        let rpc = daemon.rpc().await;
        agent.prints("in its new place");
        let says = async |ctl: &Ctl, words: &str| {
            steroids_tests::eventually(words, async || {
                let text = fs::read_to_string(ctl.log_path(runs.id)).ok()?;
                text.contains(words).then_some(())
            })
            .await;
        };
        says(&moved, "in its new place").await;
        if is_copied {
            copy(&moved, &app);
        } else {
            fs::create_dir(app.folder()).unwrap();
        }
        app.run(["init"]).await.ok();
        // As each wakeup and each look at the rows does.
        for ctl in [&app, &moved] {
            ctl.run(["wakeup"]).await.ok();
        }
        let row = rpc.get(&moved.project(), runs.id).await;
        assert_eq!(row.state(), v1::State::Running, "{row:?}");
        let busy = ["start", "--task", "T1", "--no-queue", "--", "true"];
        moved.run(busy).await.exits(4);
        agent.prints("still there");
        says(&moved, "still there").await;
        let again = daemon.ctl(&home.path("moved-again"));
        fs::rename(moved.folder(), again.folder()).unwrap();
        again.run(["list"]).await.ok();
        agent.prints("and on");
        says(&again, "and on").await;
        agent.exits(0);
        let ended = rpc.ended(&again.project(), runs.id).await;
        assert_eq!(ended.outcome, "success", "{ended:?}");
        let expected: &[&str] = if is_copied { &["lost"] } else { &[] };
        assert_eq!(app.outcomes().await, expected);
        assert_eq!(rpc.degraded().await, Vec::<String>::new());
    }
}

/// The daemon that comes after knows it by its folder alone: another project has the path that it was started
/// under, or a copy does.
#[tokio::test]
async fn what_was_moved_is_taken_up_there_by_the_next_daemon_whoever_has_its_path() {
    for (is_copied, ends_meanwhile) in [(false, false), (false, true), (true, false), (true, true)]
    {
        let Scene {
            home,
            mut daemon,
            app,
            moved,
            mut agent,
            runs,
        } = Scene::moved().await;
        if is_copied {
            copy(&moved, &app);
        } else {
            fs::create_dir(app.folder()).unwrap();
        }
        app.run(["init"]).await.ok();
        daemon.kill9().await;
        agent.prints("to nobody");
        if ends_meanwhile {
            agent.exits(0);
            home.recorded(&runs.uuid).await;
        }
        daemon.start_again().await;
        let rpc = daemon.rpc().await;
        for ctl in [&app, &moved] {
            ctl.run(["wakeup"]).await.ok();
        }
        if !ends_meanwhile {
            let row = rpc.get(&moved.project(), runs.id).await;
            assert_eq!(row.state(), v1::State::Running, "{row:?}");
            agent.exits(0);
        }
        let ended = rpc.ended(&moved.project(), runs.id).await;
        assert_eq!(ended.outcome, "success", "{ended:?}");
        let log = fs::read_to_string(moved.log_path(runs.id)).unwrap();
        assert!(log.contains("to nobody"), "{log}");
        let expected: &[&str] = if is_copied { &["lost"] } else { &[] };
        assert_eq!(app.outcomes().await, expected);
        assert_eq!(rpc.degraded().await, Vec::<String>::new());
    }
}

/// As by a backup that is put back while the folder that was there is kept under another name, and looked at.
#[tokio::test]
async fn what_went_on_in_a_folder_made_anew_is_finished_there_by_the_next_daemon() {
    for (is_removed, is_moved) in [(false, false), (true, false), (true, true)] {
        let home = Home::new();
        let mut daemon = Daemon::start(&home).await;
        let (app, kept) = (daemon.project("app").await, daemon.ctl(&home.path("kept")));
        let mut agent = Puppet::new(&home, "agent");
        let rpc = daemon.rpc().await;
        let runs = rpc.start_fake(&app.project(), "T1", &agent.args()).await;
        fs::rename(app.folder(), kept.folder()).unwrap();
        copy(&kept, &app);
        app.run(["list"]).await.ok();
        agent.prints("anew");
        steroids_tests::eventually("it to go on there", async || {
            let text = fs::read_to_string(app.log_path(runs.id)).ok()?;
            text.contains("anew").then_some(())
        })
        .await;
        kept.run(["list"]).await.ok();
        kept.run(["wakeup"]).await.ok();
        assert_eq!(rpc.ended(&kept.project(), runs.id).await.outcome, "lost");
        if is_removed {
            fs::remove_dir_all(kept.folder()).unwrap();
        }
        daemon.kill9().await;
        agent.exits(0);
        home.recorded(&runs.uuid).await;
        let moved = daemon.ctl(&home.path("moved"));
        let there = if is_moved { &moved } else { &app };
        if is_moved {
            fs::rename(app.folder(), moved.folder()).unwrap();
        }
        daemon.start_again().await;
        let rpc = daemon.rpc().await;
        there.run(["list"]).await.ok();
        there.run(["wakeup"]).await.ok();
        let ended = rpc.ended(&there.project(), runs.id).await;
        assert_eq!(ended.outcome, "success", "{ended:?}");
    }
}

/// Until somebody uses it in its new place nobody knows where that is; then it is not the stranger's who has the
/// path of its start.
#[tokio::test]
async fn what_was_moved_twice_is_not_taken_for_one_of_the_project_at_its_first_path() {
    let Scene {
        home,
        daemon,
        app,
        moved,
        mut agent,
        runs,
    } = Scene::moved().await;
    let rpc = daemon.rpc().await;
    fs::create_dir(app.folder()).unwrap();
    app.run(["init"]).await.ok();
    agent.prints("in its new place");
    let selector = rpc::invocation(&moved.project(), runs.id);
    let mut following = rpc.follow(selector, "", true).await;
    following.until("in its new place").await;
    let again = daemon.ctl(&home.path("again"));
    fs::rename(moved.folder(), again.folder()).unwrap();
    agent.prints("nowhere");
    steroids_tests::eventually("it to be missed", async || {
        app.run(["list", "--all"]).await.ok();
        let degraded = rpc.degraded().await;
        degraded
            .iter()
            .any(|it| it.contains(&runs.uuid) || it.contains("gone"))
            .then_some(())
    })
    .await;
    agent.exits(0);
    home.recorded(&runs.uuid).await;
    steroids_tests::eventually("it to go astray", async || {
        let degraded = rpc.degraded().await;
        let is_astray = |it: &String| it.contains("cannot be taken up");
        degraded.iter().any(is_astray).then_some(())
    })
    .await;
    // As whoever looks for it does.
    app.run(["wakeup"]).await.ok();
    let there = app.run(["list", "--json"]).await.json();
    assert_eq!(there["invocations"].as_array().unwrap().len(), 0, "{there}");
    again.run(["list"]).await.ok();
    let ended = rpc.ended(&again.project(), runs.id).await;
    assert_eq!(ended.outcome, "success", "{ended:?}");
    let log = fs::read_to_string(again.log_path(runs.id)).unwrap();
    assert!(log.contains("nowhere"), "{log}");
}

pub(super) fn copy(from: &Ctl, to: &Ctl) {
    let paths = [from.folder(), to.folder()];
    let copied = std::process::Command::new("cp")
        .arg("-a")
        .args(paths)
        .status();
    assert!(copied.unwrap().success());
}

/// The folder says whose task is busy and whose places are taken, before and after its job has looked where it is.
#[tokio::test]
async fn a_project_at_the_path_of_one_that_was_moved_has_its_own_tasks_and_places() {
    let home = Home::with_config("[projects]\nmax_running = 1");
    let mut daemon = Daemon::start(&home).await;
    let (app, moved) = (daemon.project("app").await, daemon.ctl(&home.path("moved")));
    let mut agent = Puppet::new(&home, "agent");
    let rpc = daemon.rpc().await;
    let runs = rpc.start_fake(&app.project(), "T1", &agent.args()).await;
    fs::rename(app.folder(), moved.folder()).unwrap();
    moved.run(["list"]).await.ok();
    fs::create_dir(app.folder()).unwrap();
    app.run(["init"]).await.ok();
    for is_restarted in [false, true] {
        if is_restarted {
            daemon.kill9_and_restart().await;
        }
        let rpc = daemon.rpc().await;
        agent.prints("here");
        let selector = rpc::invocation(&moved.project(), runs.id);
        rpc.follow(selector, "", true).await.until("here").await;
        let task = |task| {
            let start = ["start", "--task", task, "--no-queue", "--follow"];
            [&start[..], &["--", "true"]].concat()
        };
        let busy = format!("invocation {} of task `T1`", runs.id);
        moved.run(task("T1")).await.exits(4).says(&busy);
        let full = "projects.max_running = 1 is reached";
        moved.run(task("T2")).await.says(full);
        for name in ["T1", "T2"] {
            app.run(task(name)).await.exits(0);
        }
    }
    agent.exits(0);
    let ended = daemon.rpc().await.ended(&moved.project(), runs.id).await;
    assert_eq!(ended.outcome, "success", "{ended:?}");
}

/// Nothing has the path of its start, or another project that is free to take its id, or a copy does.
#[tokio::test]
async fn what_was_moved_is_known_by_its_number_where_the_host_gave_its_device_another() {
    for there in ["nothing", "another", "a copy"] {
        let Scene {
            home,
            mut daemon,
            app,
            moved,
            agent: _agent,
            runs,
        } = Scene::moved().await;
        match there {
            "another" => fs::create_dir(app.folder()).unwrap(),
            "a copy" => copy(&moved, &app),
            _ => {}
        }
        if there != "nothing" {
            app.run(["init"]).await.ok();
        }
        daemon.kill9().await;
        host_started(&home, &runs.uuid).await;
        daemon.start_again().await;
        let ended = daemon.rpc().await.ended(&moved.project(), runs.id).await;
        assert_eq!(ended.outcome, "lost", "{there}: {ended:?}");
        assert!(ended.error.contains("host restarted"), "{there}: {ended:?}");
        if there != "nothing" {
            let expected: &[&str] = if there == "a copy" { &["lost"] } else { &[] };
            assert_eq!(app.outcomes().await, expected, "{there}");
            let log = fs::read_to_string(app.log_path(runs.id)).unwrap_or_default();
            assert!(!log.contains("host restarted"), "{there}: {log}");
        }
        assert_eq!(daemon.rpc().await.degraded().await, Vec::<String>::new());
    }
}

/// As the roots of all subvolumes, and of all file systems of a kind, have.
#[tokio::test]
async fn what_was_moved_is_not_taken_for_one_of_a_folder_of_its_number_on_another_device() {
    let Scene {
        home,
        mut daemon,
        app,
        moved,
        mut agent,
        runs,
    } = Scene::moved().await;
    fs::create_dir(app.folder()).unwrap();
    app.run(["init"]).await.ok();
    daemon.kill9().await;
    agent.exits(0);
    home.recorded(&runs.uuid).await;
    // Its disk is not there as the daemon starts.
    fs::rename(moved.folder(), home.path("away")).unwrap();
    let it = fs::metadata(app.folder()).unwrap();
    let folder = json!([it.dev() + 1, it.ino()]);
    let spec = home.invocation_dir(&runs.uuid).join("spec.json");
    edit(&spec, |spec| spec["project_folder"] = folder.clone());
    edit_projects(&home, |path, noted| {
        if path == moved.project() {
            *noted = folder.clone();
        }
    });
    daemon.start_again().await;
    assert_eq!(app.outcomes().await, [""; 0]);
    let degraded = daemon.rpc().await.degraded().await;
    let is_astray = |it: &String| it.contains("cannot be taken up");
    assert!(degraded.iter().any(is_astray), "{degraded:?}");
}

/// As a mount point that was made for it again, by root, or for everybody.
#[tokio::test]
async fn what_was_moved_stays_with_its_project_where_nothing_at_its_path_can_be_used() {
    for is_restarted in [false, true] {
        let Scene {
            home: _home,
            mut daemon,
            app,
            moved,
            mut agent,
            runs,
        } = Scene::running().await;
        fs::rename(app.folder(), moved.folder()).unwrap();
        fs::create_dir(app.folder()).unwrap();
        fs::set_permissions(app.folder(), fs::Permissions::from_mode(0o777)).unwrap();
        moved.run(["list"]).await.ok();
        if is_restarted {
            daemon.kill9_and_restart().await;
        }
        let rpc = daemon.rpc().await;
        agent.prints("in its new place");
        let selector = rpc::invocation(&moved.project(), runs.id);
        let mut following = rpc.follow(selector, "", true).await;
        following.until("in its new place").await;
        agent.exits(0);
        let ended = rpc.ended(&moved.project(), runs.id).await;
        assert_eq!(ended.outcome, "success", "{ended:?}");
    }
}

/// Of what ran nothing is left, and each device has another number.
async fn host_started(home: &Home, uuid: &str) {
    let folder = home.invocation_dir(uuid);
    let state: Value =
        serde_json::from_slice(&fs::read(folder.join("state.json")).unwrap()).unwrap();
    let pid = state["shim_pid"].as_i64().unwrap();
    signal(i32::try_from(pid).unwrap(), Signal::KILL);
    // Its agent goes with it.
    eventually("its agent to be gone", async || {
        marked(uuid).is_empty().then_some(())
    })
    .await;
    for name in ["spec.json", "state.json"] {
        edit(&folder.join(name), |it| it["boot_id"] = json!("another"));
    }
    let renumber = |folder: &mut Value| folder[0] = json!(folder[0].as_u64().unwrap() + 1);
    edit(&folder.join("spec.json"), |spec| {
        renumber(&mut spec["project_folder"]);
    });
    edit_projects(home, |_, folder| renumber(folder));
    eventually("the shim to be gone", async || {
        let held = steroids_shim::lock::is_held(&folder.join("lock"));
        (!held.unwrap()).then_some(())
    })
    .await;
}

/// Where the daemon has seen its projects.
fn edit_projects(home: &Home, mut change: impl FnMut(&str, &mut Value)) {
    edit(&home.state_dir().join("projects.json"), |list| {
        for entry in list["projects"].as_array_mut().unwrap() {
            let path = entry["path"].as_str().unwrap().to_owned();
            change(&path, &mut entry["folder"]);
        }
    });
}

pub(super) fn edit(file: &Path, change: impl FnOnce(&mut Value)) {
    let mut value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    change(&mut value);
    fs::write(file, serde_json::to_vec(&value).unwrap()).unwrap();
}
