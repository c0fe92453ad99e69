//! Project paths that are odd, hostile, or lead elsewhere than they did. The rest of these is in
//! `project_paths.rs`.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;

use steroids_proto::v1;
use steroids_tests::faults::held;
use steroids_tests::wire::framed;
use steroids_tests::{Ctl, Daemon, Home, Puppet, Wire, processes, rpc};
use tonic::Code;

#[tokio::test]
async fn a_path_that_cannot_be_a_line_of_text_is_refused() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let register = async |path: String| {
        let request = v1::RegisterRequest { path, init: true };
        let answer = daemon.rpc().await.projects().register(request).await;
        answer.expect_err("it was registered")
    };
    let text = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    home.folder("line");
    for name in ["line\n", "two\nlines", "bell\u{7}", "\u{85}next"] {
        let folder = home.folder(name);
        let status = register(text(&folder)).await;
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
        assert!(!status.message().contains('\n'), "{status:?}");
        assert!(!folder.join(".steroids").exists());
    }
    // Nor is a folder taken for the one whose name is the same without the line's end.
    assert!(!home.path("home/line/.steroids").exists());

    let long = format!("{}/{}", text(home.root()), "d/".repeat(2048));
    let longer = format!("/{}", "d".repeat(4095));
    for path in [&long[..4095], &long[..4096], &long, &longer] {
        let status = register(path.to_owned()).await;
        assert!(
            matches!(status.code(), Code::InvalidArgument | Code::NotFound),
            "{status:?}"
        );
    }
    let seen = "newlines and control characters, 4095 bytes and more: refused in one line";
    held(62, seen);
}

#[tokio::test]
async fn a_path_that_is_not_utf_8_is_refused() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let folder = home.path("home").join(OsStr::from_bytes(b"caf\xe9"));
    fs::create_dir(&folder).unwrap();
    let output = Ctl::new(&home, &folder).run(["init"]).await;
    assert_eq!(output.code, 2, "{output:?}");
    assert!(output.stderr.contains("UTF-8"), "{output:?}");

    let path = folder.as_os_str().as_bytes();
    let length = u8::try_from(path.len()).unwrap();
    let request = [&[1 << 3 | 2, length], path, &[2 << 3, 1]].concat();
    let mut wire = Wire::connect(&home.socket()).await;
    let answered = wire
        .call("Projects/Register", "identity", framed(0, &request))
        .await;
    assert_eq!(answered.code, Code::Internal, "{answered:?}");
    assert!(!folder.join(".steroids").exists());
    drop(daemon);
    held(62, "not UTF-8: refused by steroidsctl and by the daemon");
}

#[tokio::test]
async fn what_runs_in_a_folder_that_was_away_as_the_daemon_began_can_be_stopped() {
    let home = Home::new();
    let mut daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let agent = Puppet::new(&home, "agent");
    let rpc = daemon.rpc().await;
    let started = rpc.start_fake(&ctl.project(), "T1", &agent.args()).await;
    daemon.kill9().await;
    let away = home.path("away");
    fs::rename(ctl.folder(), &away).unwrap();
    daemon.start_again().await;
    let rpc = daemon.rpc().await;
    let stop = v1::StopRequest {
        project: ctl.project(),
        id: started.id,
        ..Default::default()
    };
    let stopped = rpc.invocations().stop(stop).await.unwrap_err();
    assert_eq!(stopped.code(), Code::FailedPrecondition, "{stopped:?}");
    assert!(stopped.message().contains("has ended"), "{stopped:?}");
    assert!(
        home.invocation_dir(&started.uuid)
            .join("exit.json")
            .exists()
    );
    fs::rename(&away, ctl.folder()).unwrap();
    ctl.run(["wakeup"]).await.ok();
    let ended = rpc.ended(&ctl.project(), started.id).await;
    assert_eq!(ended.outcome, "cancelled");
}

#[tokio::test]
async fn what_has_no_project_is_ended_with_all_others_as_the_daemon_is() {
    let home = Home::new();
    let mut daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let id = ctl.start_fake("T1", &["stall"]).await;
    daemon.kill9().await;
    let away = home.path("away");
    fs::rename(ctl.folder(), &away).unwrap();
    daemon.start_again().await;
    let request = v1::ShutdownRequest { stop_all: true };
    let answer = daemon.rpc().await.daemon().shutdown(request).await.unwrap();
    assert_eq!(answer.into_inner().stopped, 1);
    assert_eq!(daemon.ended().await, 0);
    fs::rename(&away, ctl.folder()).unwrap();
    daemon.start_again().await;
    let rpc = daemon.rpc().await;
    let ended = rpc.ended(&ctl.project(), id).await;
    assert_eq!(ended.outcome, "cancelled");
}

/// No line of `status` speaks of a place any more that nobody has, and each says what to do.
#[tokio::test]
async fn folders_deleted_under_their_runs_keep_no_place_and_both_ends_are_kept_when_they_are_back()
{
    let home = Home::with_config("[daemon]\nmax_running = 2");
    let daemon = Daemon::start(&home).await;
    let rpc = daemon.rpc().await;
    let mut runs = Vec::new();
    for name in ["one", "two"] {
        let ctl = daemon.project(name).await;
        let mut agent = Puppet::new(&home, name);
        let started = rpc.start_fake(&ctl.project(), "T1", &agent.args()).await;
        agent.prints("before");
        let selector = rpc::invocation(&ctl.project(), started.id);
        rpc.follow(selector, "", true).await.until("before").await;
        runs.push((ctl, agent, started));
    }
    for (ctl, agent, _) in &mut runs {
        ctl.delete_folder().await;
        agent.prints("after");
    }
    let is_said = async |words: &str| {
        let what = format!("`{words}` in `status`, twice");
        steroids_tests::eventually(&what, async || {
            let lines = rpc.degraded().await;
            let todo = "run `steroidsctl init` in it";
            let said = |line: &&String| line.contains(words) && line.contains(todo);
            (lines.iter().filter(said).count() == 2).then_some(())
        })
        .await;
    };
    is_said("it goes on").await;
    // What runs can be stopped all the same, and whoever stops it is told what was not kept.
    let stop = v1::StopRequest {
        project: runs[0].0.project(),
        id: runs[0].2.id,
        ..Default::default()
    };
    let stopped = rpc.invocations().stop(stop).await.unwrap_err();
    assert_eq!(stopped.code(), Code::FailedPrecondition, "{stopped:?}");
    runs[1].1.exits(3);
    is_said("cannot be taken up").await;
    let third = daemon.project("three").await;
    let next = third.start_fake("T1", &["exit", "0"]).await;
    rpc.ended(&third.project(), next).await;

    for ((ctl, _, started), code) in runs.iter().zip([None, Some(3)]) {
        fs::create_dir(ctl.folder()).unwrap();
        ctl.run(["init"]).await.ok();
        steroids_tests::eventually("the row to be back, and final", async || {
            let request = v1::GetRequest {
                project: ctl.project(),
                id: started.id,
                terms: false,
            };
            let row = rpc.invocations().get(request).await.ok()?;
            let row = row.into_inner().invocation?;
            let is_over = row.state() != v1::State::Running;
            let is_final = is_over && code.is_none_or(|it| row.exit_code == Some(it));
            is_final.then_some(())
        })
        .await;
        let text = fs::read_to_string(ctl.log_path(started.id)).unwrap();
        assert!(
            text.contains(r#""before""#) && text.contains(r#""after""#),
            "{text}"
        );
    }
    assert_eq!(rpc.degraded().await, Vec::<String>::new());
    held(
        62,
        "deleted under two runs: no place lost, and logs and rows made once it is back",
    );
}

/// What was opened stays what is used; what took its place is not, until it is asked for.
#[tokio::test]
async fn an_invocation_stays_with_the_folder_it_was_started_in() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let mut agent = Puppet::new(&home, "agent");
    let started = rpc.start_fake(&ctl.project(), "T1", &agent.args()).await;
    agent.prints("before");
    let selector = rpc::invocation(&ctl.project(), started.id);
    rpc.follow(selector, "", true).await.until("before").await;

    let moved = home.path("home/moved");
    fs::rename(ctl.folder(), &moved).unwrap();
    home.folder("app/.steroids/invocations");
    let output = ctl.run(["list"]).await;
    assert_ne!(output.code, 0, "{output:?}");
    agent.prints("after");
    agent.exits(0);
    let log = moved.join(format!(".steroids/invocations/{}.log", started.id));
    steroids_tests::eventually(
        "the end of the log in the folder that was moved",
        async || {
            let text = fs::read_to_string(&log).ok()?;
            (text.contains(r#""after""#) && text.contains(r#""type":"complete""#)).then_some(())
        },
    )
    .await;
    let new = home.path("home/app/.steroids");
    let names = |path| {
        fs::read_dir(path)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
    };
    assert_eq!(names(new.join("invocations")).count(), 0);
    assert_eq!(names(new).collect::<Vec<_>>(), ["invocations"]);

    // Back where it was, all of it is there.
    fs::remove_dir_all(home.path("home/app")).unwrap();
    fs::rename(&moved, ctl.folder()).unwrap();
    let ended = rpc.ended(&ctl.project(), started.id).await;
    assert_eq!(ended.state(), v1::State::Completed, "{ended:?}");
    let seen =
        "another folder in its place: told, untouched; the run ends in the folder it began in";
    held(62, seen);
}

#[tokio::test]
async fn what_runs_in_a_project_that_was_deleted_is_listed_and_stopped_by_its_path() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let (ctl, other) = (daemon.project("app").await, daemon.project("other").await);
    let rpc = daemon.rpc().await;
    let mut agents = Vec::new();
    for (ctl, task) in [(&ctl, "T1"), (&ctl, "T2"), (&other, "T1")] {
        let agent = Puppet::new(&home, &format!("{task}-{}", agents.len()));
        let started = rpc.start_fake(&ctl.project(), task, &agent.args()).await;
        agents.push((agent, started));
    }
    fs::remove_dir_all(ctl.folder()).unwrap();
    let path = ctl.project();
    let away = ["--json", "--project", &path, "list"];
    let listed = steroids_tests::eventually("the list of what is left", async || {
        let output = other.run(away).await;
        (output.code == 0).then(|| output.json())
    })
    .await;
    let tasks = listed["invocations"].as_array().unwrap().iter();
    let mut tasks: Vec<_> = tasks.map(|it| it["taskId"].clone()).collect();
    tasks.sort_by_key(ToString::to_string);
    assert_eq!(tasks, ["T1", "T2"]);
    assert_eq!(listed["gone"], serde_json::json!([path]));
    let said = other.run(["--project", &path, "list"]).await.exits(0);
    let said = said.says("it is gone").says("projects forget");
    assert!(!said.stderr.contains("did not answer"), "{said:?}");
    // What is not to be told without its row says what to do instead.
    let shown = other.run(["--project", &path, "show", "1"]).await;
    assert_eq!(shown.code, 75, "{shown:?}");
    assert!(shown.stderr.contains("stop --all"), "{shown:?}");

    let of_task = ["--project", &path, "stop", "--task", "T2"];
    other.run(of_task).await.ok();
    assert_eq!(processes::marked(&agents[1].1.uuid), []);
    assert_ne!(processes::marked(&agents[0].1.uuid), []);
    other.run(["--project", &path, "stop", "--all"]).await.ok();
    assert_eq!(processes::marked(&agents[0].1.uuid), []);
    assert_ne!(processes::marked(&agents[2].1.uuid), []);
    agents[2].0.exits(0);
    rpc.ended(&other.project(), agents[2].1.id).await;
}
