//! Projects as the older tool leaves them.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::types::Value;
use rusqlite::{Connection, params};

use crate::{Home, binaries};

const SCHEMA_009: &str = include_str!("schema-009.sql");
const SCHEMA_028: &str = include_str!("schema-028.sql");

/// Where a project keeps its database.
pub fn path(project: &Path) -> PathBuf {
    project.join(".steroids/steroids.db")
}

/// A database at step 009 with `rows` ended invocations of task `old`, one every 61 seconds.
pub fn at_009(project: &Path, rows: u32) -> Connection {
    let mut db = create(project);
    db.execute_batch(SCHEMA_009).expect("the schema is SQL");
    fill(&mut db, rows);
    db
}

/// A database at that tool's newest step, 028, with one ended invocation of task `old`.
pub fn at_028(project: &Path) -> Connection {
    let mut db = create(project);
    db.execute_batch(SCHEMA_009).expect("the schema is SQL");
    db.execute_batch(SCHEMA_028).expect("the schema is SQL");
    fill(&mut db, 1);
    db
}

/// A database at any step from 001 to 028, with one ended invocation if it has a table for that.
/// What 011 to 027 add one by one is not known here: of these the ledger is, and all of their columns.
pub fn at(project: &Path, step: u32) -> Connection {
    if step > 9 {
        let db = at_028(project);
        let ledger = "DELETE FROM _migrations WHERE id > ?1";
        db.execute(ledger, [step]).expect("the ledger is a table");
        let (version, name) = (
            "UPDATE _schema SET value = ?1 || '' WHERE key = 'version'",
            "UPDATE _schema SET value = (SELECT name FROM _migrations WHERE id = ?1)
             WHERE key = 'last_migration'",
        );
        for statement in [version, name] {
            db.execute(statement, [step])
                .expect("the schema is a table");
        }
        return db;
    }
    let mut db = create(project);
    for file in migrations().into_iter().take(step as usize) {
        let sql = fs::read_to_string(&file).expect("a migration is a file");
        let up = sql
            .split("-- DOWN")
            .next()
            .expect("a text has a first part");
        db.execute_batch(up).expect("a migration is SQL");
        let name = file
            .file_stem()
            .expect("a file has a name")
            .to_string_lossy();
        let number: u32 = name[..3]
            .parse()
            .expect("a migration's name has its number");
        db.execute(
            "INSERT INTO _migrations (id, name, checksum) VALUES (?1, ?2, 'theirs')",
            params![number, name],
        )
        .expect("the ledger is a table");
        db.execute(
            "INSERT INTO _schema (key, value) VALUES ('version', ?1 || ''), ('last_migration', ?2)
             ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            params![number, name],
        )
        .expect("the schema is a table");
    }
    if step >= 6 {
        fill(&mut db, 1);
    }
    db
}

/// The files of the migrations, in order.
pub fn migrations() -> Vec<PathBuf> {
    let folder = binaries::workspace().join("migrations");
    let entries = fs::read_dir(folder).expect("the workspace has migrations");
    let mut files: Vec<_> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    files
}

/// What the older tool does when it opens a file: it compares the ledger, and then works.
pub fn assert_opens(db: &Connection) {
    let ledger = strings(db, "SELECT id || ' ' || name FROM _migrations ORDER BY id");
    for (index, entry) in ledger.iter().enumerate() {
        let number = format!("{} {:03}_", index + 1, index + 1);
        assert!(entry.starts_with(&number), "{entry} is not the next step");
    }
    let version = strings(db, "SELECT value FROM _schema WHERE key = 'version'");
    assert_eq!(version, [ledger.len().to_string()]);
    assert_eq!(strings(db, "PRAGMA integrity_check"), ["ok"]);
    let broken = "SELECT count(*) || '' FROM pragma_foreign_key_check";
    assert_eq!(strings(db, broken), ["0"]);
    db.execute_batch(
        "PRAGMA foreign_keys = ON;
         BEGIN IMMEDIATE;
         INSERT INTO sections (id, name, position) VALUES ('theirs', 'Section', 1);
         INSERT INTO tasks (id, title, section_id) VALUES ('theirs', 'Task', 'theirs');
         INSERT INTO task_locks (task_id, runner_id, expires_at)
             VALUES ('theirs', 'r', datetime('now', '+1 hour'));
         INSERT INTO audit (task_id, to_status, actor) VALUES ('theirs', 'in_progress', 'r');
         INSERT INTO task_invocations (task_id, role, provider, model, prompt, status, started_at_ms)
             VALUES ('theirs', 'coder', 'claude', 'm', 'p', 'running', 1);
         UPDATE task_invocations SET status = 'completed', completed_at_ms = 2
             WHERE task_id = 'theirs' AND status = 'running';
         DELETE FROM task_locks WHERE task_id = 'theirs';
         COMMIT",
    )
    .expect("its statements fit");
}

/// Inserts a row of the older tool that runs now, and gives its id.
pub fn insert_running(db: &Connection, task: &str, started_ms: i64) -> i64 {
    db.execute(
        "INSERT INTO task_invocations (task_id, role, provider, model, prompt, status, started_at_ms)
         VALUES (?1, 'coder', 'claude', 'm', 'p', 'running', ?2)",
        params![task, started_ms],
    )
    .expect("the row is in order");
    db.last_insert_rowid()
}

/// Ends a row as the older tool does.
pub fn end_running(db: &Connection, id: i64) {
    let ended = "UPDATE task_invocations SET status = 'completed', success = 1, exit_code = 0,
                 completed_at_ms = 1700000009000 WHERE id = ?1";
    db.execute(ended, [id]).expect("the row is in order");
}

/// Closes a row as that tool's maintenance does with one that it takes for dead, and gives its task
/// back; tells whether there was such a row.
pub fn sanitise(db: &Connection, id: i64) -> bool {
    let closed = "UPDATE task_invocations
                  SET status = 'failed', success = 0, exit_code = 1, completed_at_ms = 1700000009000,
                      error = 'orphaned invocation'
                  WHERE id = ?1 AND status = 'running'";
    let closed = db.execute(closed, [id]).expect("the row is in order");
    let back = "UPDATE tasks SET status = 'pending'
                WHERE id = (SELECT task_id FROM task_invocations WHERE id = ?1)";
    db.execute(back, [id]).expect("the row is in order");
    closed > 0
}

/// That tool's own database in a home, with nobody at work.
pub fn global(home: &Home) -> Connection {
    let path = home.path("home/.steroids/steroids.db");
    fs::create_dir_all(path.parent().expect("it is in a folder")).expect("the home takes a folder");
    let db = Connection::open(path).expect("the folder takes a database");
    db.execute_batch(
        "PRAGMA journal_mode = WAL;
         CREATE TABLE runners (
             id TEXT PRIMARY KEY, status TEXT NOT NULL DEFAULT 'idle', pid INTEGER,
             project_path TEXT, current_task_id TEXT, started_at TEXT,
             heartbeat_at TEXT NOT NULL DEFAULT (datetime('now')),
             section_id TEXT, parallel_session_id TEXT)",
    )
    .expect("the schema is SQL");
    db
}

/// A runner that is at work on a project, heard of `ago` seconds ago.
pub fn insert_runner(
    db: &Connection,
    id: &str,
    pid: u32,
    project: Option<&str>,
    task: &str,
    ago: u32,
) {
    db.execute(
        "INSERT INTO runners (id, status, pid, project_path, current_task_id, started_at, heartbeat_at)
         VALUES (?1, 'running', ?2, ?3, ?4, datetime('now', '-1 hour'),
                 datetime('now', '-' || ?5 || ' seconds'))",
        params![id, pid, project, task, ago],
    )
    .expect("the row is in order");
}

/// Whom that tool would signal: runners it has not heard of for five minutes.
pub fn silent_runners(db: &Connection) -> Vec<i32> {
    let silent = "SELECT pid || '' FROM runners
                  WHERE pid IS NOT NULL AND heartbeat_at <= datetime('now', '-5 minutes')";
    let pids = strings(db, silent).into_iter();
    pids.map(|pid| pid.parse().expect("a pid is a number"))
        .collect()
}

/// Everything that stands in the tables this tool reads, as text.
pub fn foreign_values(db: &Connection) -> Vec<String> {
    let tables = "SELECT name FROM sqlite_master
                  WHERE type = 'table' AND name NOT LIKE 'steroidsd%' AND name NOT LIKE 'sqlite%'";
    let mut values = Vec::new();
    for table in strings(db, tables) {
        let mut statement = db
            .prepare(&format!("SELECT * FROM \"{table}\""))
            .expect("the table is there");
        let columns = statement.column_count();
        let mut rows = statement.query([]).expect("the table can be read");
        while let Some(row) = rows.next().expect("the table can be read") {
            for column in 0..columns {
                let value: Value = row.get(column).expect("the column is there");
                values.push(match value {
                    Value::Integer(number) => number.to_string(),
                    Value::Text(text) => text,
                    other => format!("{other:?}"),
                });
            }
        }
    }
    values
}

/// Everything of the schema but our own tables, as SQL, and the ledger: what must not change.
pub fn foreign_part(db: &Connection) -> Vec<String> {
    let schema = "SELECT coalesce(sql, name) FROM sqlite_master \
                  WHERE tbl_name NOT LIKE 'steroidsd%' ORDER BY 1";
    let ledger = "SELECT id || name || checksum || applied_at FROM _migrations ORDER BY id";
    let versions = "SELECT key || '=' || value FROM _schema ORDER BY key";
    [schema, ledger, versions]
        .into_iter()
        .flat_map(|query| strings(db, query))
        .collect()
}

/// The first column of a query, as text.
pub fn strings(db: &Connection, query: &str) -> Vec<String> {
    let mut statement = db.prepare(query).expect("the query is SQL");
    let rows = statement.query_map([], |row| row.get(0));
    rows.expect("the query runs")
        .collect::<Result<_, _>>()
        .expect("the column is text")
}

fn create(project: &Path) -> Connection {
    fs::create_dir_all(project.join(".steroids")).expect("the project takes a folder");
    let db = Connection::open(path(project)).expect("the folder takes a database");
    db.pragma_update(None, "journal_mode", "wal")
        .expect("it is ours alone");
    db
}

fn fill(db: &mut Connection, rows: u32) {
    let transaction = db.transaction().expect("it is ours alone");
    transaction
        .execute(
            "INSERT INTO tasks (id, title) VALUES ('old', 'Old task')",
            [],
        )
        .expect("the row is in order");
    for row in 0..rows {
        transaction
            .execute(
                "INSERT INTO task_invocations
                   (task_id, role, provider, model, prompt, success, created_at)
                 VALUES ('old', 'coder', 'claude', 'm', 'p', 1,
                         datetime(1700000000 + ?1 * 61, 'unixepoch'))",
                [row],
            )
            .expect("the row is in order");
    }
    transaction.commit().expect("it is ours alone");
}
