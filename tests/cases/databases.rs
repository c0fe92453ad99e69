//! Databases as they are found: older, newer, broken, or driven by the older tool at the moment.

use std::fs;
use std::io::Write;

use rusqlite::Connection;
use steroids_proto::v1;
use steroids_tests::faults::held;
use steroids_tests::{Ctl, Daemon, Home, log, old_database, processes, rpc};
use steroidsd::store::Store;
use tonic::Code;

#[tokio::test]
async fn a_database_at_009_asks_for_migrate_and_is_filled_exactly() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.ctl(&home.folder("app"));
    drop(old_database::at_009(ctl.folder(), 1_000));
    let register = v1::RegisterRequest {
        path: ctl.project(),
        init: false,
    };
    let refused = daemon.rpc().await.projects().register(register).await;
    assert_eq!(refused.unwrap_err().code(), Code::FailedPrecondition);
    // Registered by none: the commands of a person do that by themselves, and fare no better.
    ctl.run(["list"]).await.exits(4).says("steroidsctl migrate");
    let start = ["start", "--task", "T", "--", "true"];
    ctl.run(start).await.exits(4).says("steroidsctl migrate");

    let migrated = ctl.run(["--json", "migrate"]).await.json();
    assert_eq!(
        (&migrated["from"], &migrated["to"]),
        (&9.into(), &10.into())
    );
    let backup = migrated["backup"].as_str().unwrap();
    assert!(backup.contains("/.steroids/backup/"), "{backup}");
    let backup = Connection::open(backup).unwrap();
    let count = "SELECT count(*) || '' FROM task_invocations";
    assert_eq!(old_database::strings(&backup, count), ["1000"]);

    let db = Connection::open(old_database::path(ctl.folder())).unwrap();
    let exact = "SELECT count(*) || '' FROM task_invocations
                 WHERE started_at_ms = completed_at_ms AND status = 'completed'
                   AND typeof(started_at_ms) = 'integer'
                   AND started_at_ms = CAST(strftime('%s', created_at) AS INTEGER) * 1000";
    assert_eq!(old_database::strings(&db, exact), ["1000"]);
    ctl.run(["list"]).await.ok();
    ctl.run(start).await.ok();
    let seen = "at 009: refused with what to do, backed up, migrated, 1000 rows filled exactly";
    held(40, seen);
}

#[tokio::test]
async fn a_database_at_028_is_not_touched_but_for_our_own_tables() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.ctl(&home.folder("app"));
    let db = old_database::at_028(ctl.folder());
    let before = old_database::foreign_part(&db);
    drop(db);
    ctl.run(["init"]).await.ok();
    let id = ctl.start_fake("T1", &["exit", "0"]).await;
    daemon.rpc().await.ended(&ctl.project(), id).await;
    let db = Connection::open(old_database::path(ctl.folder())).unwrap();
    assert_eq!(old_database::foreign_part(&db), before);
    let row = "SELECT status || ' ' || success FROM task_invocations ORDER BY id DESC LIMIT 1";
    assert_eq!(old_database::strings(&db, row), ["completed 1"]);
    held(40, "at 028: schema and ledger as before, after a run");
}

#[tokio::test]
async fn a_database_at_any_schema_opens_and_fits_the_older_tool_afterwards() {
    for step in 1..=28 {
        let folder = tempfile::tempdir().unwrap();
        let db = old_database::at(folder.path(), step);
        let before = old_database::foreign_part(&db);
        drop(db);
        let path = old_database::path(folder.path());
        if step < 10 {
            let backups = folder.path().join(".steroids/backup");
            let migrated = Store::migrate(&path, &backups).unwrap();
            assert_eq!((migrated.from, migrated.to), (step, 10));
        }
        let store = Store::open(&path).unwrap();
        assert!(!store.is_read_only());
        store.close().await;
        let db = Connection::open(&path).unwrap();
        if step >= 10 {
            assert_eq!(old_database::foreign_part(&db), before, "at {step}");
        }
        old_database::assert_opens(&db);
    }
    let seen = "001 to 028: opened, migrated where below 010, else ledger and schema as before; the older \
     tool's checks and statements pass afterwards";
    held(40, seen);
}

#[tokio::test]
async fn a_running_row_of_the_older_tool_is_listed_and_followed_and_left_alone() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let (ctl, db, id) = daemon.project_of_older_tool().await;
    let path = ctl.log_path(id);
    let mut file = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .unwrap();
    writeln!(
        file,
        r#"{{"ts":1700000000001,"type":"start","role":"coder"}}"#
    )
    .unwrap();

    let listed = ctl.run(["--json", "list", "--running"]).await.json();
    assert_eq!(listed["invocations"][0]["id"], id);
    let rpc = daemon.rpc().await;
    let mut followed = rpc
        .follow(rpc::invocation(&ctl.project(), id), "", true)
        .await;
    followed.until("start").await;
    writeln!(file, r#"{{"ts":1700000000002,"type":"tool","cmd":"ls"}}"#).unwrap();
    followed.until("ls").await;
    let row = "SELECT status FROM task_invocations ORDER BY id DESC LIMIT 1";
    assert_eq!(old_database::strings(&db, row), ["running"]);
    // Its end is the row's end; there is no last line that says so.
    db.execute(
        "UPDATE task_invocations SET status = 'completed' WHERE id = ?1",
        [id],
    )
    .unwrap();
    assert!(followed.rest().await.unwrap().is_empty());
    assert_eq!(log::lines(&path).len(), 2);
}

/// A project in which one has run, and its daemon, which has been stopped.
async fn with_one_that_ended() -> (Daemon, Ctl, i64) {
    let home = Home::new();
    let mut daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let id = ctl.start_fake("T1", &["exit", "0"]).await;
    daemon.rpc().await.ended(&ctl.project(), id).await;
    assert_eq!(daemon.term().await, 0);
    (daemon, ctl, id)
}

#[tokio::test]
async fn a_newer_version_of_our_tables_is_read_and_not_written() {
    let (mut daemon, ctl, id) = with_one_that_ended().await;
    let path = old_database::path(ctl.folder());
    let db = Connection::open(&path).unwrap();
    let changed = db.execute("UPDATE steroidsd_schema SET version = version + 1000", []);
    assert!(changed.unwrap() > 0);
    drop(db);
    let before = fs::read(&path).unwrap();

    daemon.start_again().await;
    let listed = ctl.run(["--json", "list"]).await.json();
    assert_eq!(listed["invocations"][0]["id"], id);
    let start = ["start", "--task", "T", "--", "true"];
    ctl.run(start).await.exits(4).says("newer");
    assert_eq!(daemon.term().await, 0);
    assert!(fs::read(&path).unwrap() == before, "the file was changed");
    let seen = "listed; start exits 4 and says newer; file byte-identical";
    held(42, seen);
}

#[tokio::test]
async fn what_ends_while_a_newer_steroidsd_has_its_database_is_stopped_and_told_with_the_cure() {
    let home = Home::new();
    let mut daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let runs = rpc.start(rpc::command(&ctl.project(), "T1", rpc::argv(&["stall"])));
    let runs = runs.await.unwrap();
    let db = Connection::open(old_database::path(ctl.folder())).unwrap();
    let change = |by: &str| {
        let change = format!("UPDATE steroidsd_schema SET version = version {by}");
        assert!(db.execute(&change, []).unwrap() > 0);
    };
    change("+ 1000");
    // One that is open goes on; the next daemon only reads it.
    assert_eq!(daemon.term().await, 0);
    daemon.start_again().await;
    let id = runs.id.to_string();
    let stopped = ctl.run(["stop", &id]).await.exits(4);
    let stopped = stopped.says("has ended; its log and row are made as soon as they can be");
    stopped.says("upgrade steroidsd");
    assert_eq!(processes::marked(&runs.uuid), []);
    // Nor is it another tool's from then on.
    ctl.run(["list"]).await.ok();
    ctl.run(["stop", &id])
        .await
        .exits(4)
        .says("has ended; its log");
    change("- 1000");
    assert_eq!(daemon.term().await, 0);
    daemon.start_again().await;
    let ended = daemon.rpc().await;
    let ended = ended.ended(&ctl.project(), runs.id).await;
    assert_eq!(ended.outcome, "cancelled", "{ended:?}");
    held(
        42,
        "a stop is told at once that the end cannot be written, and what to do",
    );
}

/// As moving-from-typescript.md has it: the rows stay, and so do the transcripts of this daemon.
#[tokio::test]
async fn what_is_over_is_no_trouble_where_the_tables_of_this_daemon_were_dropped() {
    let (mut daemon, ctl, _) = with_one_that_ended().await;
    let db = Connection::open(old_database::path(ctl.folder())).unwrap();
    let ours = "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'steroidsd%'";
    let ours: Vec<String> = {
        let mut ours = db.prepare(ours).unwrap();
        let names = ours.query_map([], |row| row.get(0)).unwrap();
        names.map(Result::unwrap).collect()
    };
    db.pragma_update(None, "foreign_keys", false).unwrap();
    for table in ours {
        db.execute_batch(&format!("DROP TABLE IF EXISTS \"{table}\""))
            .unwrap();
    }
    drop(db);
    fs::remove_file(ctl.folder().join(".steroids/steroidsd.lock")).unwrap();
    daemon.start_again().await;
    ctl.run(["list"]).await.ok();
    ctl.run(["wakeup"]).await.ok();
    let degraded = daemon.rpc().await.degraded().await;
    assert!(degraded.is_empty(), "{degraded:?}");
    let log = ctl.home().daemon_log();
    assert!(!log.contains("row put back"), "{log}");
}

#[tokio::test]
async fn what_is_no_database_or_a_broken_one_is_refused_and_kept() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    for (name, content) in [
        ("text", b"not a database\n".repeat(500)),
        ("header", broken(&home)),
    ] {
        let ctl = daemon.ctl(&home.folder(name));
        let path = old_database::path(ctl.folder());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &content).unwrap();
        let output = ctl.run(["init"]).await;
        assert_eq!(output.code, 4, "{output:?}");
        assert!(fs::read(&path).unwrap() == content, "{name} was changed");
    }
    daemon.project("good").await.run(["list"]).await.ok();
    let seen = "text, and noise after the first page: refused with exit 4, bytes kept";
    held(43, seen);
}

/// A database whose pages after the first are noise.
fn broken(home: &Home) -> Vec<u8> {
    let project = home.folder("broken");
    let db = old_database::at_009(&project, 200);
    db.pragma_update(None, "journal_mode", "delete").unwrap();
    drop(db);
    let mut bytes = fs::read(old_database::path(&project)).unwrap();
    bytes[4096..].fill(0x5a);
    bytes
}
