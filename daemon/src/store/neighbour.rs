//! The older tool's own database, in the user's home: who of its runners is at work where.
//!
//! It is somebody else's file. It is only read, through SQLite and for a moment; that it is missing,
//! busy or of another shape means that nobody is known to be at work, and is never an error.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::schema;

/// As long as a start may wait for that tool's lock.
const PATIENCE: Duration = Duration::from_millis(500);

/// A runner of the older tool, as it says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runner {
    /// Its id.
    pub id: String,
    /// Its process.
    pub pid: i32,
    /// The project it works on, as that tool wrote it.
    pub project: Option<PathBuf>,
    /// The task it works on.
    pub task: Option<String>,
    /// When it was heard of last, in epoch seconds.
    pub heard_at: Option<i64>,
}

/// Runners that say they are running; blocks.
pub fn running(db: &Path) -> Vec<Runner> {
    if !db.exists() {
        return Vec::new();
    }
    match read(db) {
        Ok(runners) => runners,
        Err(error) => {
            tracing::debug!(db = %db.display(), %error, "the older tool's runners are not known");
            Vec::new()
        }
    }
}

fn read(db: &Path) -> rusqlite::Result<Vec<Runner>> {
    // Before the first connection of all, as that changes how SQLite opens. That this file itself may
    // lie behind a link is its owner's choice, and SQLite's to resolve.
    super::sys::follow_no_links();
    let connection = Connection::open_with_flags(
        db,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.busy_timeout(PATIENCE)?;
    connection.pragma_update(None, "query_only", true)?;
    let columns = schema::columns(&connection, "runners")?;
    if !["id", "status", "pid"]
        .iter()
        .all(|needed| columns.contains(*needed))
    {
        return Ok(Vec::new());
    }
    let or_null = |column: &str, expression: &str| {
        if columns.contains(column) {
            expression.to_owned()
        } else {
            "NULL".to_owned()
        }
    };
    let sql = format!(
        "SELECT CAST(id AS TEXT), CAST(pid AS INTEGER), {}, {}, {} FROM runners
         WHERE status = 'running' AND pid IS NOT NULL",
        or_null("project_path", "CAST(project_path AS TEXT)"),
        or_null("current_task_id", "CAST(current_task_id AS TEXT)"),
        or_null(
            "heartbeat_at",
            "CAST(strftime('%s', heartbeat_at) AS INTEGER)"
        ),
    );
    let mut statement = connection.prepare(&sql)?;
    let runners = statement.query_map([], |row| {
        Ok(Runner {
            id: row.get::<_, Option<String>>(0)?.unwrap_or_default(),
            pid: row.get(1)?,
            project: row.get::<_, Option<String>>(2)?.map(PathBuf::from),
            task: row.get(3)?,
            heard_at: row.get(4)?,
        })
    })?;
    // One row that makes no sense says nothing about the others.
    Ok(runners.flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database(sql: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("steroids.db");
        let db = Connection::open(&path).unwrap();
        db.execute_batch(sql).unwrap();
        (folder, path)
    }

    #[test]
    fn those_that_run_are_told_and_others_are_not() {
        let (_folder, db) = database(
            "CREATE TABLE runners (id TEXT PRIMARY KEY, status TEXT NOT NULL, pid INTEGER,
                 project_path TEXT, current_task_id TEXT, heartbeat_at TEXT);
             INSERT INTO runners VALUES
                 ('a', 'running', 7, '/p', 't', '2025-01-01 00:00:01'),
                 ('b', 'idle', 8, '/p', NULL, '2025-01-01 00:00:00'),
                 ('c', 'running', NULL, '/p', NULL, NULL),
                 ('d', 'running', 'x', '/p', NULL, 'never'),
                 ('e', 'running', 99999999999, '/p', NULL, NULL)",
        );
        let runners = running(&db);
        let a = Runner {
            id: "a".to_owned(),
            pid: 7,
            project: Some("/p".into()),
            task: Some("t".to_owned()),
            heard_at: Some(1_735_689_601),
        };
        assert_eq!(runners.first(), Some(&a));
        // A pid that is none is nobody's.
        assert!(runners[1..].iter().all(|runner| runner.pid == 0));
        assert!(
            runners
                .iter()
                .all(|runner| !["b", "c", "e"].contains(&&*runner.id))
        );
    }

    #[test]
    fn a_file_of_another_shape_or_none_means_nobody() {
        let (folder, db) = database("CREATE TABLE runners (name TEXT)");
        assert_eq!(running(&db), []);
        std::fs::write(folder.path().join("text"), "no database").unwrap();
        assert_eq!(running(&folder.path().join("text")), []);
        assert_eq!(running(&folder.path().join("missing")), []);
    }
}
