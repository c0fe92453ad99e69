//! The older tool's `task_locks`: while an invocation of ours runs, its task has one, so that no
//! runner of that tool takes the task up, whatever became of its row or its status.
//!
//! A lock of somebody else is never touched before it has run out; one of ours runs out by itself
//! when no daemon renews it. No process id is in it.

use rusqlite::{Connection, params};

use super::error::Failure;
use super::schema;

/// As long as that tool's own locks last: also a daemon that is away for a while loses none.
const LASTS: &str = "+60 minutes";

/// Takes the task's lock, or renews it; leaves one of another runner alone.
pub(super) fn take(connection: &Connection, task: &str, uuid: &str) -> Result<(), Failure> {
    if !is_known(connection)? {
        return Ok(());
    }
    connection
        .prepare_cached(
            "INSERT INTO task_locks (task_id, runner_id, acquired_at, expires_at, heartbeat_at)
             VALUES (?1, ?2, datetime('now'), datetime('now', ?3), datetime('now'))
             ON CONFLICT (task_id) DO UPDATE
             SET runner_id = excluded.runner_id, expires_at = excluded.expires_at,
                 heartbeat_at = excluded.heartbeat_at,
                 acquired_at = iif(runner_id = excluded.runner_id, acquired_at,
                                   excluded.acquired_at)
             WHERE runner_id = excluded.runner_id OR expires_at <= datetime('now')",
        )?
        .execute(params![task, runner(uuid), LASTS])?;
    Ok(())
}

/// Renews the locks of all that runs, and takes those that were lost.
pub(super) fn renew(connection: &Connection) -> Result<(), Failure> {
    let running = connection
        .prepare_cached(
            "SELECT CAST(i.task_id AS TEXT), s.uuid FROM steroidsd_invocations s
             JOIN task_invocations i ON i.id = s.invocation_id
             WHERE s.state = 'running' AND EXISTS (SELECT 1 FROM tasks t WHERE t.id = i.task_id)",
        )?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<Vec<(String, String)>>>()?;
    for (task, uuid) in running {
        take(connection, &task, &uuid)?;
    }
    Ok(())
}

/// Gives back the lock of an invocation that is over.
pub(super) fn release(connection: &Connection, uuid: &str) -> Result<(), Failure> {
    if is_known(connection)? {
        connection
            .prepare_cached("DELETE FROM task_locks WHERE runner_id = ?1")?
            .execute([runner(uuid)])?;
    }
    Ok(())
}

/// Whether the file has the table as we know it.
fn is_known(connection: &Connection) -> Result<bool, Failure> {
    let columns = schema::columns(connection, "task_locks")?;
    let needed = [
        "task_id",
        "runner_id",
        "acquired_at",
        "expires_at",
        "heartbeat_at",
    ];
    Ok(needed.iter().all(|column| columns.contains(*column)))
}

fn runner(uuid: &str) -> String {
    format!("steroidsd:{uuid}")
}

#[cfg(test)]
mod tests {
    use super::super::tests::Room;
    use super::*;

    fn holder(db: &Connection) -> Option<String> {
        use rusqlite::OptionalExtension as _;
        db.query_row("SELECT runner_id FROM task_locks", [], |row| row.get(0))
            .optional()
            .unwrap()
    }

    #[test]
    fn a_lock_is_taken_when_it_is_free_or_has_run_out_and_only_our_own_is_given_back() {
        let room = Room::new();
        room.migrate().unwrap();
        let db = room.foreign();
        db.execute("INSERT INTO tasks (id, title) VALUES ('t', 't')", [])
            .unwrap();
        take(&db, "t", "a").unwrap();
        take(&db, "t", "a").unwrap();
        assert_eq!(holder(&db).as_deref(), Some("steroidsd:a"));
        take(&db, "t", "b").unwrap();
        assert_eq!(holder(&db).as_deref(), Some("steroidsd:a"));
        release(&db, "b").unwrap();
        assert!(holder(&db).is_some());
        release(&db, "a").unwrap();
        assert_eq!(holder(&db), None);

        let theirs = "INSERT INTO task_locks (task_id, runner_id, expires_at)
                      VALUES ('t', 'theirs', datetime('now', ?1))";
        db.execute(theirs, ["+1 minute"]).unwrap();
        take(&db, "t", "a").unwrap();
        assert_eq!(holder(&db).as_deref(), Some("theirs"));
        db.execute("DELETE FROM task_locks", []).unwrap();
        db.execute(theirs, ["-1 minute"]).unwrap();
        take(&db, "t", "a").unwrap();
        assert_eq!(holder(&db).as_deref(), Some("steroidsd:a"));
    }

    #[test]
    fn a_file_without_the_table_has_no_locks_to_take() {
        let db = Connection::open_in_memory().unwrap();
        take(&db, "t", "a").unwrap();
        release(&db, "a").unwrap();
    }
}
