//! Many at once: callers of ours, and other programs with locks of their own.

use std::sync::mpsc;
use std::time::Duration;

use super::*;

/// Holds the file's write lock in another connection until it is told to let go.
fn hold(room: &Room) -> mpsc::Sender<()> {
    let connection = room.foreign();
    let (release, released) = mpsc::channel();
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    std::thread::spawn(move || {
        let _ = released.recv();
        connection.execute_batch("COMMIT").unwrap();
    });
    release
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_waits_for_another_programs_transaction() {
    let room = Room::new();
    let store = room.store();
    let release = hold(&room);
    let begin = tokio::spawn({
        let store = store.clone();
        async move { store.begin(new("a"), None).await }
    });
    // Reading needs no lock: it is held still.
    assert_eq!(store.running_count().await.unwrap(), 0);
    // Longer than busy_timeout: what is to be seen is a wait that goes on when SQLite has given up
    // once, and nothing tells when it has.
    tokio::time::sleep(Duration::from_millis(5300)).await;
    assert!(
        !begin.is_finished(),
        "one wait of SQLite's is over, the next has begun"
    );
    release.send(()).unwrap();
    assert!(matches!(begin.await.unwrap(), Ok(Begun::New(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_request_made_by_many_at_once_is_one_invocation() {
    let room = Room::new();
    let store = room.store();
    let callers: Vec<_> = (0..50)
        .map(|n| {
            let store = store.clone();
            let mut request = new("same");
            request.uuid = format!("uuid {n}");
            tokio::spawn(async move { store.begin(request, None).await.unwrap() })
        })
        .collect();
    let mut made = 0;
    let mut ids = Vec::new();
    for caller in callers {
        match caller.await.unwrap() {
            Begun::New(invocation) => {
                made += 1;
                ids.push(invocation.id);
            }
            Begun::Existing(invocation) => ids.push(invocation.id),
        }
    }
    assert_eq!(made, 1);
    ids.dedup();
    assert_eq!(ids.len(), 1);
    assert_eq!(store.unfinished().await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn another_writer_that_never_pauses_costs_no_caller_an_error() {
    let room = Room::new();
    let store = room.store();
    let foreign = room.foreign();
    foreign.busy_timeout(Duration::from_secs(30)).unwrap();
    let (stop, stopped) = mpsc::channel::<()>();
    let hammer = std::thread::spawn(move || {
        let mut rounds = 0;
        while stopped.try_recv() == Err(mpsc::TryRecvError::Empty) {
            foreign
                .execute_batch(
                    "BEGIN IMMEDIATE;
                     INSERT OR REPLACE INTO tasks (id, title) VALUES ('theirs', datetime('now'));
                     COMMIT;",
                )
                .unwrap();
            // Answers busy in a row rather than failing when we read.
            let _ = foreign.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_row| Ok(()));
            rounds += 1;
        }
        rounds
    });
    for n in 0..30 {
        let id = started(&store, new(&format!("{n}"))).await;
        let finished = store.finish(id, ending(Outcome::Success)).await.unwrap();
        assert_eq!(finished.overridden, None);
    }
    stop.send(()).unwrap();
    assert!(hammer.join().unwrap() > 0);
    assert_eq!(store.running_count().await.unwrap(), 0);
    let intact: String = room
        .foreign()
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(intact, "ok");
}

#[tokio::test]
async fn a_call_that_is_dropped_is_done_wholly_or_not_at_all() {
    let room = Room::new();
    let store = room.store();
    let release = hold(&room);
    let first = tokio::spawn({
        let store = store.clone();
        async move { store.begin(new("a"), None).await }
    });
    tokio::task::yield_now().await;
    // Waits behind the first and leaves before its turn.
    assert!(
        tokio::time::timeout(Duration::from_millis(100), store.begin(new("b"), None))
            .await
            .is_err()
    );
    release.send(()).unwrap();
    first.await.unwrap().unwrap();
    let open = store.unfinished().await.unwrap();
    assert_eq!(open.len(), 1);
    assert_eq!(open[0].managed.as_ref().unwrap().uuid, "uuid a");
}

#[tokio::test]
async fn changes_are_told_whoever_makes_them() {
    let room = Room::new();
    let store = room.store();
    let mut changes = store.changes();
    started(&store, new("a")).await;
    assert!(changes.has_changed().unwrap());
    changes.mark_unchanged();
    room.foreign()
        .execute("UPDATE tasks SET title = 'new'", [])
        .unwrap();
    let told = tokio::time::timeout(Duration::from_secs(30), changes.changed()).await;
    told.expect("told by the poll").unwrap();
}

#[tokio::test]
async fn a_closed_store_refuses_and_leaves_one_plain_file() {
    let room = Room::new();
    let store = room.store();
    started(&store, new("a")).await;
    store.clone().close().await;
    assert!(matches!(
        store.running_count().await,
        Err(StoreError::Closed { .. })
    ));
    assert!(matches!(
        store.begin(new("b"), None).await,
        Err(StoreError::Closed { .. })
    ));
    assert!(!room.folder().join("steroids.db-wal").exists());
}
