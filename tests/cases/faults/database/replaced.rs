//! The database is deleted, replaced or damaged under a running agent.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use rusqlite::{Connection, OpenFlags};
use steroids_proto::v1;
use steroids_tests::faults::held;
use steroids_tests::{Ctl, Daemon, Home, Puppet, eventually, old_database, processes, rpc};

use super::{descriptors, foreign, is_whole, row};

/// A daemon with an invocation that has ended with 5, and one that runs.
struct Scene {
    daemon: Daemon,
    ctl: Ctl,
    agent: Puppet,
    first: i64,
    running: v1::Invocation,
}

impl Scene {
    async fn new() -> Scene {
        let home = Home::new();
        let daemon = Daemon::start(&home).await;
        let ctl = daemon.project("app").await;
        let first = ctl.start_fake("T1", &["exit", "5"]).await;
        let rpc = daemon.rpc().await;
        rpc.ended(&ctl.project(), first).await;
        let agent = Puppet::new(&home, "agent");
        let running = rpc.start_fake(&ctl.project(), "T2", &agent.args()).await;
        Scene {
            daemon,
            ctl,
            agent,
            first,
            running,
        }
    }

    fn db(&self) -> PathBuf {
        old_database::path(self.ctl.folder())
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        self.ctl
            .folder()
            .join(format!(".steroids/steroids.db{suffix}"))
    }

    /// Puts all that was committed into the main file, so that what is done to that shows.
    fn checkpoint(&self) {
        let db = foreign(&self.ctl);
        db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| {
            assert_eq!(
                row.get::<_, i64>(0),
                Ok(0),
                "a checkpoint was kept from its work"
            );
            Ok(())
        })
        .unwrap();
    }

    /// Waits until both rows are there again; tells how long that took.
    async fn rows_are_back(&self) -> f64 {
        let running = |row: &v1::Invocation| row.state() == v1::State::Running;
        let ended = |row: &v1::Invocation| row.exit_code == Some(5);
        let seconds = row(&self.daemon, &self.ctl, self.running.id, running).await;
        seconds + row(&self.daemon, &self.ctl, self.first, ended).await
    }

    /// The agent was not disturbed: it goes on, and its end is recorded.
    async fn ends_well(&mut self) {
        let rpc = self.daemon.rpc().await;
        let project = self.ctl.project();
        assert_eq!(processes::marked(&self.running.uuid).len(), 1);
        self.agent.prints("all the while");
        let selector = rpc::invocation(&project, self.running.id);
        let mut followed = rpc.follow(selector, "", true).await;
        followed.until("all the while").await;
        self.agent.exits(6);
        let ended = rpc.ended(&project, self.running.id).await;
        assert_eq!((ended.exit_code, &*ended.outcome), (Some(6), "failed"));
        let next = self.ctl.start_fake("T3", &["exit", "0"]).await;
        assert!(next > self.running.id, "id {next} was given again");
        rpc.ended(&project, next).await;
        // A log that was deleted under its row is made again a second later.
        eventually("nothing to be wrong any more", async || {
            rpc.degraded().await.is_empty().then_some(())
        })
        .await;
        // What it works in is the file that stands there, and not one that is gone.
        let open = descriptors(self.daemon.pid(), &self.ctl);
        assert!(open.iter().all(|count| *count > 0), "{open:?}");
        assert!(is_whole(&self.db()));
    }

    /// Waits until `status` says what is wrong with the project; tells how long that took.
    async fn is_degraded(&self, words: &str) -> f64 {
        let begun = Instant::now();
        let project = self.ctl.project();
        eventually("status to tell of the database", async || {
            let lines = self.daemon.rpc().await.degraded().await;
            lines
                .iter()
                .any(|line| line.contains(&project) && line.contains(words))
                .then_some(())
        })
        .await;
        begun.elapsed().as_secs_f64()
    }
}

#[tokio::test]
async fn a_database_deleted_by_its_agent_is_back_with_its_rows_and_no_restart() {
    let mut scene = Scene::new().await;
    // All at once, so that nothing of it is written to while it goes.
    let gone = scene.ctl.home().path("tmp/gone");
    fs::rename(scene.ctl.folder().join(".steroids"), &gone).unwrap();
    fs::remove_dir_all(&gone).unwrap();
    let seconds = scene.rows_are_back().await;
    scene.ends_well().await;
    let seen =
        format!("rows of a running and an ended invocation back after {seconds:.1} s, ids go on");
    held(163, seen);
}

#[tokio::test]
async fn a_database_deleted_alone_is_back_with_its_rows() {
    let mut scene = Scene::new().await;
    fs::remove_file(scene.db()).unwrap();
    let seconds = scene.rows_are_back().await;
    scene.ends_well().await;
    let seen = format!("only the file deleted: back after {seconds:.1} s");
    held(163, seen);
}

#[tokio::test]
async fn a_database_deleted_time_and_again_is_back_though_nobody_asks() {
    let mut scene = Scene::new().await;
    let steroids = scene.ctl.folder().join(".steroids");
    let mut seen = Vec::new();
    // The first time looks come often by themselves; later ones the kernel has to tell of, and it must
    // be the folder that stands there which it is asked about.
    for _ in 0..3 {
        eventually("all of it to be gone", async || {
            fs::remove_dir_all(&steroids).ok()
        })
        .await;
        let begun = Instant::now();
        eventually("both rows to be back", async || {
            (rows_in(&scene.db()) == Some(2)).then_some(())
        })
        .await;
        seen.push(format!("{:.1} s", begun.elapsed().as_secs_f64()));
    }
    scene.ends_well().await;
    held(
        163,
        format!("deleted three times: back after {}", seen.join(", ")),
    );
}

/// Without a word to the daemon.
fn rows_in(db: &Path) -> Option<i64> {
    let db = Connection::open_with_flags(db, OpenFlags::SQLITE_OPEN_READ_ONLY).ok()?;
    let count = "SELECT count(*) FROM task_invocations";
    db.query_row(count, [], |row| row.get(0)).ok()
}

#[tokio::test]
async fn journals_deleted_under_an_open_database_cost_nothing_that_was_committed() {
    let mut seen = Vec::new();
    for suffix in ["-wal", "-shm"] {
        let mut scene = Scene::new().await;
        // Of another program, so that no state folder could give it back.
        let kept = "INSERT INTO tasks (id, title) VALUES ('kept', 'in the -wal')";
        foreign(&scene.ctl).execute(kept, []).unwrap();
        fs::remove_file(scene.beside(suffix)).unwrap();
        let begun = Instant::now();
        eventually("the database to be opened anew", async || {
            scene.daemon.rpc().await.degraded().await;
            scene.beside(suffix).exists().then_some(())
        })
        .await;
        scene.rows_are_back().await;
        let seconds = begun.elapsed().as_secs_f64();
        let kept = "SELECT title FROM tasks WHERE id = 'kept'";
        let kept = old_database::strings(&foreign(&scene.ctl), kept);
        assert_eq!(kept, ["in the -wal"], "after {suffix} was deleted");
        scene.ends_well().await;
        seen.push(format!(
            "{suffix} deleted: noticed after {seconds:.1} s, all rows there"
        ));
    }
    held(43, seen.join("; "));
}

#[tokio::test]
async fn a_database_replaced_by_another_is_served_and_neither_is_spoilt() {
    let mut scene = Scene::new().await;
    // As it was before the second invocation, and with something that no state folder holds.
    let copy = scene.ctl.home().path("tmp/copy.db");
    let made = format!("VACUUM INTO '{}'", copy.display());
    foreign(&scene.ctl).execute_batch(&made).unwrap();
    let db = Connection::open(&copy).unwrap();
    db.execute_batch(
        "DELETE FROM task_invocations WHERE task_id = 'T2';
         DELETE FROM steroidsd_invocations WHERE state = 'running';
         INSERT INTO tasks (id, title) VALUES ('restored', 'of the copy')",
    )
    .unwrap();
    db.close().unwrap();
    let old = scene.ctl.home().path("tmp/old.db");
    fs::hard_link(scene.db(), &old).unwrap();
    let before = fs::read(&old).unwrap();
    fs::rename(&copy, scene.db()).unwrap();

    let seconds = scene.rows_are_back().await;
    let restored = "SELECT title FROM tasks WHERE id = 'restored'";
    let restored = old_database::strings(&foreign(&scene.ctl), restored);
    assert_eq!(restored, ["of the copy"]);
    scene.ends_well().await;
    assert!(
        fs::read(&old).unwrap() == before,
        "the old file was written to"
    );
    let seen = format!(
        "replaced by rename: served after {seconds:.1} s with the missing row, integrity ok, \
         not a byte written to the old file"
    );
    held(43, seen);
}

/// Overwrites part of a file in place.
fn overwrite(path: &Path, from: usize, bytes: &[u8]) {
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(bytes, from as u64).unwrap();
}

async fn damaged_and_mended(from: usize, len: usize, words: &str) -> String {
    let mut scene = Scene::new().await;
    scene.checkpoint();
    let good = fs::read(scene.db()).unwrap();
    let len = if len == 0 { good.len() - from } else { len };
    overwrite(&scene.db(), from, &vec![0x5a; len]);
    let bad = fs::read(scene.db()).unwrap();
    let seconds = scene.is_degraded(words).await;
    let start = ["start", "--task", "T", "--", "true"];
    scene
        .ctl
        .run(start)
        .await
        .exits(4)
        .says(words)
        .says(".steroids/backup");
    assert_eq!(processes::marked(&scene.running.uuid).len(), 1);
    assert!(
        fs::read(scene.db()).unwrap() == bad,
        "a damaged file was written to"
    );

    overwrite(&scene.db(), from, &good[from..from + len]);
    scene.rows_are_back().await;
    scene.ends_well().await;
    format!("{words}: told after {seconds:.1} s, file untouched, served again once mended")
}

#[tokio::test]
async fn a_damaged_header_is_told_and_left_alone_until_it_is_mended() {
    let seen = damaged_and_mended(0, 100, "is not a SQLite database").await;
    held(43, seen);
}

#[tokio::test]
async fn damaged_pages_are_told_and_left_alone_until_they_are_mended() {
    let seen = damaged_and_mended(4096, 0, "is corrupt").await;
    held(43, seen);
}

#[tokio::test]
async fn a_row_that_an_older_copy_of_the_database_brings_back_ends_once_more() {
    let mut scene = Scene::new().await;
    scene.checkpoint();
    let copy = scene.beside(".before");
    fs::copy(scene.db(), &copy).unwrap();
    scene.agent.exits(7);
    let rpc = scene.daemon.rpc().await;
    let (project, id) = (scene.ctl.project(), scene.running.id);
    let before = rpc.ended(&project, id).await;
    eventually("its folder to say that it is over", async || {
        let dir = scene.daemon.home().invocation_dir(&scene.running.uuid);
        dir.join("projected").exists().then_some(())
    })
    .await;
    fs::rename(&copy, scene.db()).unwrap();
    // At the latest with the next wakeup, and here at once.
    eventually("the row to end again", async || {
        scene.ctl.run(["wakeup"]).await;
        let row = scene.ctl.run(["show", &id.to_string(), "--json"]).await;
        let row = (row.code == 0).then(|| row.json())?;
        (row["exitCode"] == 7).then_some(())
    })
    .await;
    let after = rpc.ended(&project, id).await;
    assert_eq!(
        (after.outcome, after.exit_code),
        (before.outcome, before.exit_code)
    );
    let log = fs::read_to_string(scene.ctl.log_path(id)).unwrap();
    assert_eq!(
        log.matches(r#""type":"complete""#).count() + log.matches(r#""type":"error""#).count(),
        1,
        "{log}"
    );
}
