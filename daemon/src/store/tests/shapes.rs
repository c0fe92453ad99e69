//! What lies at the path may be anything.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

/// What the older tool has added to our two tables by its migration 028.
const TO_028: &str = "
ALTER TABLE tasks ADD COLUMN description TEXT;
ALTER TABLE tasks ADD COLUMN is_follow_up INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tasks ADD COLUMN dedupe_key TEXT;
ALTER TABLE tasks ADD COLUMN rebase_attempts INTEGER DEFAULT 0;
ALTER TABLE task_invocations ADD COLUMN session_id TEXT;
ALTER TABLE task_invocations ADD COLUMN resumed_from_session_id TEXT;
ALTER TABLE task_invocations ADD COLUMN invocation_mode TEXT DEFAULT 'fresh';
ALTER TABLE task_invocations ADD COLUMN token_usage_json TEXT;
ALTER TABLE task_invocations ADD COLUMN last_activity_at_ms INTEGER;
ALTER TABLE task_invocations ADD COLUMN runner_id TEXT;
CREATE TABLE merge_locks (id TEXT PRIMARY KEY, held_by TEXT);
INSERT INTO merge_locks VALUES ('a', 'b');
INSERT INTO tasks (id, title) VALUES ('theirs', 'Theirs');
INSERT INTO task_invocations (task_id, role, provider, model, prompt, status, started_at_ms, session_id)
    VALUES ('theirs', 'coder', 'claude', 'm', 'p', 'running', 5, 'old');";

fn at_028(room: &Room) -> Connection {
    let connection = room.at(10);
    connection.execute_batch(TO_028).unwrap();
    for id in 11..=28 {
        connection
            .execute(
                "INSERT INTO _migrations (id, name, checksum) VALUES (?1, ?2, 'x')",
                (id, format!("{id:03}_later")),
            )
            .unwrap();
    }
    connection
        .execute("UPDATE _schema SET value = '28' WHERE key = 'version'", [])
        .unwrap();
    connection
}

#[tokio::test]
async fn a_file_of_the_newest_older_tool_is_opened_and_only_our_tables_are_added() {
    let room = Room::new();
    let connection = at_028(&room);
    let before = dump(&connection, "");
    let store = Store::open(&room.db()).unwrap();
    assert_eq!(dump(&connection, "steroidsd"), before);
    let migrated = room.migrate().unwrap();
    assert_eq!(
        (migrated.from, migrated.to, migrated.backup),
        (28, 28, None)
    );

    let mut request = new("a");
    request.resume = Some("earlier".to_owned());
    let id = started(&store, request).await;
    store.finish(id, ending(Outcome::Success)).await.unwrap();
    let row: (String, String, String, String, i64) = connection
        .query_row(
            "SELECT session_id, resumed_from_session_id, invocation_mode, token_usage_json,
                 last_activity_at_ms FROM task_invocations WHERE id = ?1",
            [id.get()],
            |row| {
                Ok((
                    row.get(0)?,
                    row.get(1)?,
                    row.get(2)?,
                    row.get(3)?,
                    row.get(4)?,
                ))
            },
        )
        .unwrap();
    assert_eq!(
        (row.0.as_str(), row.1.as_str(), row.2.as_str()),
        ("S", "earlier", "resume")
    );
    let usage: serde_json::Value = serde_json::from_str(&row.3).unwrap();
    assert_eq!(
        usage,
        serde_json::json!({"inputTokens": 10, "outputTokens": 20, "cachedInputTokens": 30,
            "cacheReadTokens": 30, "totalCostUsd": 0.25})
    );
    assert_eq!(row.4, 1_700_000_001_623);
    let theirs = store.foreign_running().await.unwrap();
    assert_eq!(theirs.len(), 1);
    store.close().await;

    // Our rows taken away again, theirs are as they were.
    connection
        .execute("DELETE FROM task_invocations WHERE id = ?1", [id.get()])
        .unwrap();
    connection
        .execute("DELETE FROM tasks WHERE id = 'T-1'", [])
        .unwrap();
    connection
        .execute(
            "UPDATE sqlite_sequence SET seq = 1 WHERE name = 'task_invocations'",
            [],
        )
        .unwrap();
    assert_eq!(dump(&connection, "steroidsd"), before);
}

#[tokio::test]
async fn a_newer_version_of_our_tables_is_read_and_never_written() {
    let room = Room::new();
    let store = room.store();
    let id = started(&store, new("a")).await;
    store.close().await;
    let newer = migrations::OWN_VERSION + 1;
    room.foreign()
        .execute("UPDATE steroidsd_schema SET version = ?1", [newer])
        .unwrap();
    let before = room.bytes();

    let store = Store::open(&room.db()).unwrap();
    assert!(store.is_read_only());
    assert_eq!(store.unfinished().await.unwrap()[0].id, id);
    assert_eq!(store.tasks(None, 10).await.unwrap().0.len(), 1);
    let refused = store.begin(new("b"), None).await.unwrap_err();
    assert!(matches!(
        refused,
        StoreError::Newer { version, known, .. } if (version, known) == (newer, newer - 1)
    ));
    assert!(refused.todo().unwrap().contains("upgrade"), "{refused}");
    assert!(store.finish(id, ending(Outcome::Lost)).await.is_err());
    assert!(matches!(room.migrate(), Err(StoreError::Newer { .. })));
    store.check().await.unwrap();
    store.close().await;
    assert!(room.bytes() == before, "the file was changed");
}

#[test]
fn what_is_no_database_of_ours_is_named_and_left_alone() {
    let room = Room::new();
    assert!(matches!(
        Store::open(&room.db()),
        Err(StoreError::Missing { .. })
    ));
    let said = |content: &[u8]| {
        fs::write(room.db(), content).unwrap();
        let errors = [
            Store::inspect(&room.db()).err(),
            Store::open(&room.db()).err(),
            room.migrate().err(),
        ];
        assert_eq!(room.bytes(), content);
        errors.map(Option::unwrap)
    };
    for error in said(&b"hello, this is a text file\n".repeat(100)) {
        assert!(matches!(error, StoreError::NotADatabase { .. }), "{error}");
    }
    let mut header = b"SQLite format 3\0".to_vec();
    header.resize(4096, 0xff);
    for error in said(&header) {
        assert!(
            matches!(
                error,
                StoreError::NotADatabase { .. } | StoreError::Corrupt { .. }
            ),
            "{error}"
        );
    }

    fs::remove_file(room.db()).unwrap();
    room.foreign()
        .execute_batch("CREATE TABLE bookmarks (url TEXT)")
        .unwrap();
    let error = room.migrate().unwrap_err();
    assert!(matches!(error, StoreError::Alien { .. }), "{error}");

    fs::remove_file(room.db()).unwrap();
    let connection = room.at(3);
    connection
        .execute(
            "UPDATE _migrations SET name = '002_something' WHERE id = 2",
            [],
        )
        .unwrap();
    let error = room.migrate().unwrap_err();
    assert!(
        matches!(&error, StoreError::Alien { what, .. } if what.contains("002_something")),
        "{error}"
    );
}

#[test]
fn an_empty_file_is_a_project_to_be_made() {
    let room = Room::new();
    fs::write(room.db(), "").unwrap();
    assert_eq!(Store::inspect(&room.db()).unwrap(), Schema::Empty);
    assert!(matches!(
        Store::open(&room.db()),
        Err(StoreError::NeedsMigration { version: 0, .. })
    ));
    assert_eq!(room.migrate().unwrap().to, 10);
}

#[test]
fn a_damaged_file_is_refused_and_not_migrated() {
    for (step, broken) in [
        (9, "task_invocations"),
        (10, "idx_task_invocations_created"),
    ] {
        let room = Room::new();
        let connection = room.at(step);
        connection
            .execute("INSERT INTO tasks (id, title) VALUES ('T', 'T')", [])
            .unwrap();
        for n in 0..500 {
            connection
                .execute(
                    "INSERT INTO task_invocations (task_id, role, provider, model, prompt) VALUES ('T', 'r', 'p', 'm', ?1)",
                    [format!("{n}").repeat(50)],
                )
                .unwrap();
        }
        let (page, size): (u32, u32) = connection
            .query_row(
                "SELECT rootpage, (SELECT page_size FROM pragma_page_size) FROM sqlite_master WHERE name = ?1",
                [broken],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .unwrap();
        drop(connection);
        let mut bytes = room.bytes();
        bytes[((page - 1) * size) as usize..][..size as usize].fill(0x5a);
        fs::write(room.db(), &bytes).unwrap();
        let error = if step == 9 {
            room.migrate().unwrap_err()
        } else {
            Store::open(&room.db()).err().unwrap()
        };
        assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
        assert!(room.bytes() == bytes, "a damaged file was changed");
    }
}

#[test]
fn a_path_that_is_no_file_of_its_own_is_refused() {
    let room = Room::new();
    let real = room.folder().join("elsewhere.db");
    fs::write(&real, "").unwrap();
    symlink(&real, room.db()).unwrap();
    let refused = |what: &str| {
        for error in [
            Store::open(&room.db()).err().unwrap(),
            room.migrate().unwrap_err(),
        ] {
            assert!(
                matches!(error, StoreError::NotAFile { .. }),
                "{what}: {error}"
            );
        }
        fs::remove_file(room.db())
            .or_else(|_| fs::remove_dir(room.db()))
            .unwrap();
    };
    refused("a symbolic link");
    fs::hard_link(&real, room.db()).unwrap();
    refused("a hard link");
    fs::create_dir(room.db()).unwrap();
    refused("a folder");
    assert_eq!(fs::read(&real).unwrap(), b"");
}

/// Runs without the privilege that lets root write anywhere. It is a matter of the thread.
fn as_nobody<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        scope
            .spawn(|| {
                nix::unistd::setfsuid(nix::unistd::Uid::from_raw(65534));
                work()
            })
            .join()
            .unwrap()
    })
}

#[test]
fn a_folder_that_cannot_be_written_is_a_clear_error() {
    let room = Room::new();
    drop(room.at(10));
    let mode = |mode| {
        fs::set_permissions(room.folder(), fs::Permissions::from_mode(mode)).unwrap();
    };
    fs::set_permissions(room.db(), fs::Permissions::from_mode(0o644)).unwrap();
    let bytes = room.bytes();
    mode(0o555);
    let (opened, migrated, made) = as_nobody(|| {
        let fresh = room.folder().join("fresh.db");
        (
            Store::open(&room.db()).err(),
            room.migrate().err(),
            Store::migrate(&fresh, &room.backups()).err(),
        )
    });
    mode(0o755);
    for error in [opened.unwrap(), migrated.unwrap(), made.unwrap()] {
        assert!(matches!(error, StoreError::Unwritable { .. }), "{error:?}");
    }
    assert!(room.bytes() == bytes);
}

#[tokio::test]
async fn a_file_that_was_replaced_while_open_is_noticed_before_anything_is_written() {
    let room = Room::new();
    let store = room.store();
    started(&store, new("a")).await;
    fs::rename(room.db(), room.folder().join("moved.db")).unwrap();
    assert!(matches!(
        store.check().await,
        Err(StoreError::Replaced { .. })
    ));
    fs::write(room.db(), "").unwrap();
    assert!(matches!(
        store.begin(new("b"), None).await,
        Err(StoreError::Replaced { .. })
    ));
    fs::rename(room.folder().join("moved.db"), room.db()).unwrap();
    started(&store, new("b")).await;
    fs::remove_file(room.folder().join("steroids.db-wal")).unwrap();
    assert!(!store.is_in_place());
    assert!(matches!(
        store.begin(new("c"), None).await,
        Err(StoreError::Replaced { .. })
    ));
}
