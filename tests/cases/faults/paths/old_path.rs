//! What has the old path of a project that was moved has nothing of it.

use std::fs;
use std::os::unix::fs::MetadataExt;

use steroids_proto::v1;
use steroids_tests::{Ctl, Daemon, Home, Puppet, processes, rpc};

use super::moved::{copy, edit};
use super::scene::Scene;

/// Its folder is not there as the next daemon begins, or its database was deleted.
#[tokio::test]
async fn what_was_moved_to_a_path_that_was_known_before_is_looked_for_there() {
    for is_away in [true, false] {
        let home = Home::new();
        let mut daemon = Daemon::start(&home).await;
        let (moved, app) = (daemon.project("known").await, daemon.project("app").await);
        let mut agent = Puppet::new(&home, "agent");
        let rpc = daemon.rpc().await;
        let runs = rpc.start_fake(&app.project(), "T1", &agent.args()).await;
        moved.delete_folder().await;
        fs::rename(app.folder(), moved.folder()).unwrap();
        moved.run(["list"]).await.ok();
        fs::create_dir(app.folder()).unwrap();
        app.run(["init"]).await.ok();
        daemon.kill9().await;
        agent.exits(0);
        home.recorded(&runs.uuid).await;
        let away = home.path("away");
        if is_away {
            fs::rename(moved.folder(), &away).unwrap();
        } else {
            fs::remove_dir_all(moved.folder().join(".steroids")).unwrap();
        }
        daemon.start_again().await;
        let rpc = daemon.rpc().await;
        app.run(["wakeup"]).await.ok();
        assert_eq!(app.outcomes().await, [""; 0], "away: {is_away}");
        if is_away {
            fs::rename(&away, moved.folder()).unwrap();
            moved.run(["list"]).await.ok();
        }
        let ended = rpc.ended(&moved.project(), runs.id).await;
        assert_eq!(ended.outcome, "success", "{ended:?}");
        assert_eq!(rpc.degraded().await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_project_is_forgotten_by_what_is_its_own_and_not_by_what_was_moved_from_its_path() {
    let Scene {
        home,
        mut daemon,
        app,
        moved,
        mut agent,
        runs,
    } = Scene::moved().await;
    let other = daemon.project("other").await;
    let forget = async |ctl: &Ctl| {
        let words = [
            "projects",
            "forget",
            &ctl.project(),
            "--discard-transcripts",
        ];
        other.run(words).await
    };
    forget(&app).await.exits(0);
    let away = home.path("away");
    for is_restarted in [false, true] {
        fs::create_dir_all(app.folder()).unwrap();
        app.run(["init"]).await.ok();
        // It is no row of this one that is about to be put back.
        app.run(["show", "1"]).await.exits(3);
        if is_restarted {
            daemon.kill9().await;
        }
        fs::rename(moved.folder(), &away).unwrap();
        if is_restarted {
            daemon.start_again().await;
        }
        forget(&moved).await.exits(4).says("invocation 1 runs");
        forget(&app).await.exits(0);
        if !is_restarted {
            fs::rename(&away, moved.folder()).unwrap();
            moved.run(["list"]).await.ok();
        }
    }
    agent.exits(0);
    home.recorded(&runs.uuid).await;
    app.run(["init"]).await.ok();
    forget(&app).await.exits(0);
    let words = ["projects", "forget", &moved.project()];
    other.run(words).await.exits(4).says("1 of what ended");
    fs::rename(&away, moved.folder()).unwrap();
    moved.run(["list"]).await.ok();
    let ended = daemon.rpc().await.ended(&moved.project(), runs.id).await;
    assert_eq!(ended.outcome, "success", "{ended:?}");
}

/// As ext4 and XFS do.
#[tokio::test]
async fn a_project_in_a_folder_with_the_number_of_one_that_was_deleted_has_nothing_of_that() {
    for ends in [false, true] {
        let home = Home::new();
        let mut daemon = Daemon::start(&home).await;
        let (app, stays) = (daemon.project("app").await, daemon.project("stays").await);
        let mut agent = Puppet::new(&home, "agent");
        let rpc = daemon.rpc().await;
        let runs = rpc.start_fake(&app.project(), "T1", &agent.args()).await;
        app.delete_folder().await;
        let new = daemon.project("new").await;
        daemon.kill9().await;
        if ends {
            agent.exits(0);
            home.recorded(&runs.uuid).await;
        }
        let folder = fs::metadata(new.folder()).unwrap();
        let folder = serde_json::json!([folder.dev(), folder.ino()]);
        let dir = home.invocation_dir(&runs.uuid);
        edit(&dir.join("spec.json"), |spec| {
            assert!(spec["project_folder"].is_array());
            spec["project_folder"] = folder.clone();
        });
        edit(&home.state_dir().join("projects.json"), |list| {
            let all = list["projects"].as_array_mut().unwrap();
            let old = all.iter_mut().find(|it| it["path"] == app.project());
            old.unwrap()["folder"] = folder;
        });
        daemon.start_again().await;
        let forget = async |ctl: &Ctl, flags: &[&str]| {
            let path = ctl.project();
            let words = ["projects", "forget", path.as_str()];
            stays.run(words.iter().chain(flags)).await
        };
        let discard = ["--discard-transcripts"];
        let why = if ends {
            "1 of what ended"
        } else {
            "invocation 1 runs"
        };
        forget(&app, &[]).await.exits(4).says(why);
        forget(&new, &discard).await.exits(0);
        assert!(dir.join("spec.json").exists());
        if !ends {
            agent.exits(0);
            home.recorded(&runs.uuid).await;
        }
        let is_over = async || (forget(&app, &discard).await.code == 0).then_some(());
        steroids_tests::eventually("it to be forgotten", is_over).await;
        assert!(!dir.exists());
        assert_eq!(daemon.rpc().await.degraded().await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_folder_that_is_no_project_is_made_none_for_what_was_moved_from_its_path() {
    let Scene {
        home,
        mut daemon,
        app,
        moved,
        agent: _agent,
        ..
    } = Scene::moved().await;
    daemon.kill9().await;
    fs::rename(moved.folder(), home.path("away")).unwrap();
    // Nor where it was moved to.
    for ctl in [&app, &moved] {
        fs::create_dir(ctl.folder()).unwrap();
    }
    daemon.start_again().await;
    for ctl in [&app, &moved] {
        assert_eq!(fs::read_dir(ctl.folder()).unwrap().count(), 0);
    }
    let degraded = daemon.rpc().await.degraded().await;
    let is_astray = |it: &String| it.contains("cannot be taken up");
    assert!(degraded.iter().any(is_astray), "{degraded:?}");
}

/// As the handbook says of a project that was moved; another one is made at that path then.
/// Nobody has used the project in its new place yet, and something else is in the old one: a clone, or the folder
/// below a disk that is not mounted.
#[tokio::test]
async fn a_folder_that_came_to_the_path_while_nobody_looked_is_made_no_project() {
    let Scene {
        home,
        mut daemon,
        app,
        moved,
        mut agent,
        runs,
    } = Scene::running().await;
    let rpc = daemon.rpc().await;
    let waits = v1::StartRequest {
        after: vec![runs.id],
        ..rpc::command(
            &app.project(),
            "T2",
            ["/bin/sh", "-c", "touch was-here"]
                .map(str::to_owned)
                .into(),
        )
    };
    let waits = rpc.start(waits).await.unwrap();
    daemon.kill9().await;
    fs::rename(app.folder(), moved.folder()).unwrap();
    fs::create_dir(app.folder()).unwrap();
    daemon.start_again().await;
    agent.exits(0);
    home.recorded(&runs.uuid).await;
    moved.run(["wakeup"]).await.ok();
    app.run(["list"]).await.exits(3);
    assert_eq!(fs::read_dir(app.folder()).unwrap().count(), 0);
    let rpc = daemon.rpc().await;
    moved.run(["list"]).await.ok();
    for id in [runs.id, waits.id] {
        let ended = rpc.ended(&moved.project(), id).await;
        assert_eq!(ended.outcome, "success", "{ended:?}");
    }
    assert!(moved.folder().join("was-here").exists());
    assert_eq!(fs::read_dir(app.folder()).unwrap().count(), 0);
}

#[tokio::test]
async fn what_was_moved_is_looked_for_there_also_where_its_first_path_was_forgotten_since() {
    let Scene {
        home,
        mut daemon,
        app,
        moved,
        mut agent,
        runs,
    } = Scene::moved().await;
    daemon.kill9().await;
    // As by `steroidsctl projects forget`.
    edit(&home.state_dir().join("projects.json"), |list| {
        let all = list["projects"].as_array_mut().unwrap();
        all.retain(|it| it["path"] != app.project());
    });
    fs::create_dir(app.folder()).unwrap();
    daemon.start_again().await;
    app.run(["init"]).await.ok();
    daemon.kill9().await;
    agent.exits(0);
    home.recorded(&runs.uuid).await;
    let away = home.path("away");
    fs::rename(moved.folder(), &away).unwrap();
    daemon.start_again().await;
    assert_eq!(app.outcomes().await, [""; 0]);
    fs::rename(&away, moved.folder()).unwrap();
    moved.run(["list"]).await.ok();
    let ended = daemon.rpc().await.ended(&moved.project(), runs.id).await;
    assert_eq!(ended.outcome, "success", "{ended:?}");
}

/// The row in the copy ended as it was looked at, and tells nothing of the agent.
#[tokio::test]
async fn what_was_moved_twice_is_not_over_by_the_row_in_a_copy_at_its_first_path() {
    for ends_meanwhile in [false, true] {
        let home = Home::with_config("[daemon]\nmax_running = 1");
        let mut daemon = Daemon::start(&home).await;
        let (app, moved) = (daemon.project("app").await, daemon.ctl(&home.path("moved")));
        let mut agent = Puppet::new(&home, "agent");
        let rpc = daemon.rpc().await;
        let runs = rpc.start_fake(&app.project(), "T1", &agent.args()).await;
        fs::rename(app.folder(), moved.folder()).unwrap();
        moved.run(["list"]).await.ok();
        copy(&moved, &app);
        app.run(["list"]).await.ok();
        assert_eq!(rpc.ended(&app.project(), runs.id).await.outcome, "lost");
        let again = daemon.ctl(&home.path("again"));
        daemon.kill9().await;
        fs::rename(moved.folder(), again.folder()).unwrap();
        if ends_meanwhile {
            agent.exits(0);
            home.recorded(&runs.uuid).await;
        }
        daemon.start_again().await;
        let rpc = daemon.rpc().await;
        let state = if ends_meanwhile {
            "ended"
        } else {
            "unfinished"
        };
        let said = format!("an {state} invocation cannot be taken up");
        let degraded = rpc.degraded().await;
        assert!(degraded.iter().any(|it| it.contains(&said)), "{degraded:?}");
        assert!(!home.invocation_dir(&runs.uuid).join("projected").exists());
        if !ends_meanwhile {
            let start = ["start", "--task", "T2", "--no-queue", "--", "true"];
            let full = "as many as daemon.max_running allows";
            app.run(start).await.says(full);
            again.run(["list"]).await.ok();
            agent.exits(0);
        }
        again.run(["list"]).await.ok();
        let ended = rpc.ended(&again.project(), runs.id).await;
        assert_eq!(ended.outcome, "success", "{ended:?}");
        assert_eq!(app.outcomes().await, ["lost"]);
        assert_eq!(rpc.degraded().await, Vec::<String>::new());
    }
}

/// The row in the copy tells nothing of the agent, nor of what it printed, while nobody can say where its project is.
#[tokio::test]
async fn a_copy_at_the_first_path_has_nothing_removed_of_what_was_moved_from_there() {
    for ends_meanwhile in [false, true] {
        let Scene {
            home,
            daemon,
            app,
            moved,
            mut agent,
            runs,
        } = Scene::running().await;
        let rpc = daemon.rpc().await;
        let transcript = home.invocation_dir(&runs.uuid);
        fs::rename(app.folder(), moved.folder()).unwrap();
        moved.run(["list"]).await.ok();
        // Its job has seen where it is by then.
        agent.prints("moved");
        let there = rpc::invocation(&moved.project(), runs.id);
        rpc.follow(there, "", true).await.until("moved").await;
        copy(&moved, &app);
        app.run(["list"]).await.ok();
        assert_eq!(rpc.ended(&app.project(), runs.id).await.outcome, "lost");
        let away = home.path("away");
        fs::rename(moved.folder(), &away).unwrap();
        if ends_meanwhile {
            agent.exits(0);
            home.recorded(&runs.uuid).await;
        }
        let clean = ["cleanup", "spools", "--days", "0", "--json"];
        for _ in 0..2 {
            let cleaned = app.run(clean).await.json();
            assert_eq!(cleaned["files"], 0, "{cleaned}");
            assert!(transcript.join("spec.json").exists());
            app.run(["wakeup"]).await.ok();
        }
        assert!(!transcript.join("projected").exists());
        fs::rename(&away, moved.folder()).unwrap();
        moved.run(["list"]).await.ok();
        if !ends_meanwhile {
            agent.exits(0);
        }
        let ended = rpc.ended(&moved.project(), runs.id).await;
        assert_eq!(ended.outcome, "success", "{ended:?}");
        // Nothing is kept for the copy's sake.
        steroids_tests::eventually("it to go", async || {
            app.run(clean).await.ok();
            (!transcript.exists()).then_some(())
        })
        .await;
    }
}

/// By a copy of which the first is deleted: it is no other's folder than that one's.
#[tokio::test]
async fn what_ran_as_its_project_went_to_another_file_system_ends_where_that_was() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let (app, big) = (daemon.project("app").await, daemon.ctl(&home.path("big")));
    let mut agent = Puppet::new(&home, "agent");
    let rpc = daemon.rpc().await;
    let runs = rpc.start_fake(&app.project(), "T1", &agent.args()).await;
    copy(&app, &big);
    app.delete_folder().await;
    big.run(["list"]).await.ok();
    agent.exits(0);
    home.recorded(&runs.uuid).await;
    let words = "a copy, as on another file system, is another one";
    steroids_tests::eventually("it to be told", async || {
        let degraded = rpc.degraded().await;
        let is_told = |it: &String| it.contains("an ended invocation") && it.contains(words);
        degraded.iter().any(is_told).then_some(())
    })
    .await;
    assert_eq!(big.outcomes().await, [""]);
    fs::create_dir(app.folder()).unwrap();
    app.run(["init"]).await.ok();
    // It is taken up a moment after there is a project.
    steroids_tests::eventually("it to end there", async || {
        (app.outcomes().await == ["success"]).then_some(())
    })
    .await;
    app.run(["wakeup"]).await.ok();
    assert_eq!(big.outcomes().await, ["lost"]);
    assert_eq!(rpc.degraded().await, Vec::<String>::new());
}

/// Its disk is not mounted, before and after a restart of the daemon; or it is there, and nothing is at its first path.
#[tokio::test]
async fn what_was_moved_is_stopped_by_the_path_at_which_it_is_and_by_its_first_one() {
    for (is_restarted, is_away, by_first) in [
        (false, true, false),
        (true, true, false),
        (true, true, true),
        (true, false, true),
    ] {
        let Scene {
            home,
            mut daemon,
            app,
            moved,
            mut agent,
            runs,
        } = Scene::moved().await;
        let other = daemon.project("other").await;
        let rpc = daemon.rpc().await;
        // It has looked where it is.
        agent.prints("here");
        let selector = rpc::invocation(&moved.project(), runs.id);
        rpc.follow(selector, "", true).await.until("here").await;
        if is_restarted {
            daemon.kill9().await;
        }
        if is_away {
            fs::rename(moved.folder(), home.path("away")).unwrap();
        }
        if is_restarted {
            daemon.start_again().await;
        }
        let path = if by_first { &app } else { &moved }.project();
        let id = runs.id.to_string();
        let stopped = other.run(["--project", &path, "stop", &id]).await;
        assert_eq!(processes::marked(&runs.uuid), [], "{stopped:?}");
        if is_away {
            fs::rename(home.path("away"), moved.folder()).unwrap();
            moved.run(["list"]).await.ok();
        } else {
            stopped.exits(0);
        }
        let ended = daemon.rpc().await.ended(&moved.project(), runs.id).await;
        assert_eq!(ended.outcome, "cancelled", "{ended:?}");
    }
}
