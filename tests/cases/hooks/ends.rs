//! What a hook is told by daemons that come and go.

use std::fs;

use steroids_proto::v1;
use steroids_tests::receiver::{Closed, Reply};
use steroids_tests::{Daemon, Home, eventually, old_database, rpc};

use super::{delivered, insert, insert_aged, lines, shown};

fn hook(name: &str, url: &str) -> String {
    format!("[[hooks]]\nname = \"{name}\"\non = [\"finished\"]\nurl = \"{url}\"\n")
}

#[tokio::test]
async fn a_daemon_killed_before_the_answer_delivers_again_under_the_same_id() {
    let (first, second) = (Closed::new(), Closed::new());
    let home = Home::with_config(&hook("first", &first.url("/")));
    let mut first = first.open();
    first.replies([Reply::Never]);
    let mut daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    ctl.start_fake("T1", &["exit", "0"]).await;
    let before = first.next().await;
    daemon.kill9().await;
    // One that is new begins with what comes; it is told nothing of what was before.
    home.configure(&(hook("first", &first_url(&before)) + &hook("second", &second.url("/"))));
    let mut second = second.open();
    daemon.start_again().await;
    let again = first.next().await;
    assert_eq!((before.id(), &before.body), (again.id(), &again.body));
    delivered(&ctl, "first", 1).await;
    // What was delivered is not again.
    assert_eq!(daemon.term().await, 0);
    daemon.start_again().await;
    ctl.start_fake("T1", &["exit", "0"]).await;
    for server in [&mut first, &mut second] {
        let next = server.next().await;
        assert_eq!(next.json()["invocation"]["id"], 2);
        assert_ne!(next.id(), before.id());
    }
}

#[tokio::test]
async fn another_attempt_is_told_of_also_where_somebody_asked_for_it() {
    let server = Closed::new();
    let home = Home::with_config(&hook("first", &server.url("/")).replace("finished", "retried"));
    let mut server = server.open();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let id = ctl.start_fake("T1", &["exit", "3"]).await;
    daemon.rpc().await.ended(&ctl.project(), id).await;
    let next = ctl.run(["retry", "--json", &id.to_string()]).await.json();
    let told = server.next().await.json();
    assert_eq!(told["event"], "retried");
    let it = &told["invocation"];
    assert_eq!((&it["id"], &it["retriedBy"]), (&id.into(), &next["id"]));
    let message = told["message"].as_str().unwrap();
    assert_eq!(
        message,
        format!("tried again as {}, which is attempt 2", next["id"])
    );
}

/// Where a request went.
fn first_url(request: &steroids_tests::receiver::Received) -> String {
    format!("http://{}/", request.headers["host"])
}

#[tokio::test]
async fn what_happens_while_no_daemon_is_there_is_told_by_the_next() {
    let server = Closed::new();
    let home = Home::with_config(&hook("first", &server.url("/")));
    let mut server = server.open();
    let mut daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let mut agent = steroids_tests::Puppet::new(&home, "agent");
    let started = daemon.rpc().await;
    let started = started
        .start_fake(&ctl.project(), "T1", &agent.args())
        .await;
    daemon.kill9().await;
    agent.exits(3);
    home.recorded(&started.uuid).await;
    assert!(server.ready().is_none());
    daemon.start_again().await;
    assert_eq!(
        server.next().await.json()["invocation"]["outcome"],
        "failed"
    );
}

#[tokio::test]
async fn an_older_copy_of_the_database_has_nobody_told_of_an_end_again() {
    let server = Closed::new();
    let on = r#"on = ["finished", "held"]"#;
    let config = hook("first", &server.url("/")).replace(r#"on = ["finished"]"#, on);
    let home = Home::with_config(&config);
    let mut server = server.open();
    let mut daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let (db, copy) = (old_database::path(ctl.folder()), home.path("tmp/copy.db"));
    let mut ids = Vec::new();
    for run in 0..4 {
        ctl.start_fake("T1", &["exit", "0"]).await;
        ids.push(server.next().await.id().to_owned());
        if run == 0 {
            let db = rusqlite::Connection::open(&db).unwrap();
            let made = format!("VACUUM INTO '{}'", copy.display());
            db.execute_batch(&made).unwrap();
        }
    }
    delivered(&ctl, "first", 4).await;
    let rpc = daemon.rpc().await;
    let uuid = rpc.ended(&ctl.project(), 4).await.uuid;
    assert_eq!(daemon.term().await, 0);
    for suffix in ["-wal", "-shm"] {
        let _ = fs::remove_file(format!("{}{suffix}", db.display()));
    }
    fs::rename(&copy, &db).unwrap();
    // As a daemon that was killed between the row and the mark leaves it.
    fs::remove_file(home.state_dir().join("inv").join(uuid).join("projected")).unwrap();
    // New, under numbers that others had before.
    insert(&ctl, "held", (0..20).map(|number| number.to_string()));
    daemon.start_again().await;
    for number in 0..20 {
        let held = server.next().await.json();
        assert_eq!(
            (&held["event"], &held["message"]),
            (&"held".into(), &number.to_string().into())
        );
    }
    let again = server.next().await;
    assert_eq!(again.id(), ids[3]);
    ctl.start_fake("T1", &["exit", "0"]).await;
    let next = server.next().await;
    assert_eq!(next.json()["invocation"]["id"], 5);
    assert!(!ids.iter().any(|id| id == next.id()));
    // Whoever watches is told of their ends all the same.
    let rpc = daemon.rpc().await;
    let told = rpc
        .events(&ctl.project(), |events| {
            rpc::told(events, "finished").len() == 3
        })
        .await;
    let restored = told
        .iter()
        .filter(|event| event.kind == "restored" && event.message == "success");
    let mut restored: Vec<_> = restored.filter_map(|event| event.invocation_id).collect();
    // Each is put back by itself.
    restored.sort_unstable();
    assert_eq!(restored, [2, 3]);
}

#[tokio::test]
async fn a_project_that_was_moved_or_copied_has_nobody_told_of_an_end_again() {
    let server = Closed::new();
    let home = Home::with_config(&hook("first", &server.url("/")));
    let mut server = server.open();
    let mut daemon = Daemon::start(&home).await;
    let app = daemon.project("app").await;
    app.start_fake("T1", &["exit", "0"]).await;
    assert_eq!(server.next().await.json()["invocation"]["id"], 1);
    delivered(&app, "first", 1).await;
    let (moved, copy) = (
        daemon.ctl(&home.path("moved")),
        daemon.ctl(&home.path("copy")),
    );
    let database = old_database::path(copy.folder());
    fs::create_dir_all(database.parent().unwrap()).unwrap();
    let db = rusqlite::Connection::open(old_database::path(app.folder())).unwrap();
    let made = format!("VACUUM INTO '{}'", database.display());
    db.execute_batch(&made).unwrap();
    drop(db);
    let mut agent = steroids_tests::Puppet::new(&home, "agent");
    let rpc = daemon.rpc().await;
    rpc.start_fake(&app.project(), "T2", &agent.args()).await;
    fs::rename(app.folder(), moved.folder()).unwrap();
    for ctl in [&moved, &copy] {
        ctl.run(["list"]).await.exits(0);
    }
    // One that runs on during the move, and has ended behind it.
    agent.exits(3);
    let told = server.next().await.json();
    assert_eq!(
        (&told["invocation"]["id"], &told["project"]),
        (&2.into(), &moved.project().into())
    );
    copy.start_fake("T3", &["exit", "0"]).await;
    let told = server.next().await.json();
    assert_eq!(
        (&told["invocation"]["taskId"], &told["project"]),
        (&"T3".into(), &copy.project().into())
    );
    let hook = delivered(&moved, "first", 3).await;
    assert_eq!(hook["skipped"], 0, "{hook}");
    // Nor are those who come after.
    assert_eq!(daemon.term().await, 0);
    daemon.start_again().await;
    moved.start_fake("T4", &["exit", "0"]).await;
    assert_eq!(server.next().await.json()["invocation"]["taskId"], "T4");
    delivered(&moved, "first", 1).await;
    // Back where it was, of which the hook knows an older event.
    fs::rename(moved.folder(), app.folder()).unwrap();
    app.run(["list"]).await.exits(0);
    app.start_fake("T5", &["exit", "0"]).await;
    assert_eq!(server.next().await.json()["invocation"]["taskId"], "T5");
}

#[tokio::test]
async fn who_was_away_for_long_is_told_of_what_is_new_and_how_much_was_left_out() {
    let server = Closed::new();
    let config = hook("held", &server.url("/")).replace("finished", "held");
    let home = Home::with_config(&config);
    let mut server = server.open();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let words = |count: usize| (0..count).map(|number| number.to_string());
    // More than a thousand events behind the first ones.
    insert(&ctl, "held", words(300));
    insert(&ctl, "stalled", words(900));
    insert(&ctl, "held", words(1));
    insert(&ctl, "stalled", words(200));
    ctl.start_fake("T1", &["exit", "0"]).await;
    let first = server.next().await.json();
    assert!(first["number"].as_i64().unwrap() > 1200, "{first}");
    assert_eq!(first["skipped"], 300);
    insert_aged(&ctl, "held", 7200, words(2));
    insert(&ctl, "held", words(1));
    ctl.start_fake("T2", &["exit", "0"]).await;
    assert_eq!(server.next().await.json()["skipped"], 2);
    delivered(&ctl, "held", 2).await;
    assert_eq!(shown(&ctl, "held").await["skipped"], 302);
}

/// Events that wait for the only hook, as far as they were read.
async fn waiting(rpc: &steroids_tests::Rpc) -> i64 {
    let status = rpc.daemon().status(v1::StatusRequest {}).await.unwrap();
    status.into_inner().hook_queues[0].waiting
}

#[tokio::test]
async fn what_ended_in_folders_that_are_deleted_at_once_is_told_all_the_same() {
    let home = Home::new();
    let (out, gate) = (home.path("out"), home.path("gate"));
    let script = home.script(
        "hook",
        &format!(
            "#!/bin/sh\necho \"$(cat)\" >> {}\nwhile [ ! -e {} ]; do sleep 0.05; done\n",
            out.display(),
            gate.display()
        ),
    );
    home.configure(&format!(
        "[[hooks]]\nname = \"slow\"\non = [\"finished\", \"stalled\"]\ncommand = [{script:?}]\n\
         timeout = \"100s\"\n"
    ));
    let daemon = Daemon::start(&home).await;
    let here = daemon.project("here").await;
    let rpc = daemon.rpc().await;
    let mut gone = Vec::new();
    for name in ["one", "two", "three"] {
        let ctl = daemon.project(name).await;
        if name == "three" {
            insert(&ctl, "stalled", ["a", "b"].map(str::to_owned).into_iter());
        }
        let id = ctl.start_fake(name, &["exit", "0"]).await;
        rpc.ended(&ctl.project(), id).await;
        gone.push(ctl);
    }
    // The first is on its way, and those of the others are read meanwhile.
    lines(&out, 1).await;
    eventually("all to be read", async || {
        (waiting(&rpc).await >= 4).then_some(())
    })
    .await;
    for ctl in &gone {
        ctl.delete_folder().await;
    }
    // Whoever asks for them finds that they are gone.
    here.run(["projects"]).await.exits(0);
    fs::write(&gate, "").unwrap();
    let told = lines(&out, 3).await;
    let told = told.iter().map(|line| {
        let body: serde_json::Value = serde_json::from_str(line).unwrap();
        body["project"].as_str().unwrap().to_owned()
    });
    let mut told: Vec<_> = told.collect();
    told.sort();
    let mut expected: Vec<_> = gone.iter().map(steroids_tests::Ctl::project).collect();
    expected.sort();
    assert_eq!(told, expected);
    let hook = delivered(&here, "slow", 3).await;
    assert_eq!(waiting(&rpc).await, 0);
    // Of the third project those that came behind.
    assert!(hook["skipped"].as_u64().unwrap() >= 1, "{hook}");
}
