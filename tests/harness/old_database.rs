//! Projects as the older tool leaves them.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, params};

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
