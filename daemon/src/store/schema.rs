//! Which schema a file has, told without changing it.
//!
//! ```text
//! (no rows in _migrations, no tables) Empty ──migrations 001..010──> At(10, own) ──> At(28, own)
//! ```
//!
//! The numbers up to 010 are applied by us or by the older tool, those above by that tool alone:
//! it only adds, and such a file is opened as it is. Our own tables have a version of their own.

use std::collections::BTreeSet;
use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension, ToSql, params};

use super::error::{Failure, StoreError};
use super::migrations::{NEWEST, OWN_VERSION, STEPS};
use super::{connection, place};
use crate::domain::InvocationId;

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schema {
    /// Nothing yet.
    Empty,
    /// The project's tables.
    At {
        /// The last migration in the ledger.
        migration: u32,
        /// The version of our own tables, where they exist.
        own: Option<u32>,
    },
}

impl Schema {
    /// The last migration; 0 for an empty file.
    pub fn migration(self) -> u32 {
        match self {
            Schema::Empty => 0,
            Schema::At { migration, .. } => migration,
        }
    }

    /// True if `migrate` has something to do before the file can be opened.
    pub fn needs_migration(self) -> bool {
        self.migration() < NEWEST
    }

    /// The version of our tables if it is one this release does not know.
    pub fn newer(self) -> Option<u32> {
        match self {
            Schema::At { own: Some(own), .. } if own > OWN_VERSION => Some(own),
            _ => None,
        }
    }
}

/// Reads the schema of the file at `db`; blocks.
pub(super) fn inspect(db: &Path) -> Result<Schema, StoreError> {
    place::check(db)?;
    let read_only = connection::raw(db, OpenFlags::SQLITE_OPEN_READ_ONLY)
        .map_err(Failure::from)
        .and_then(|connection| read(&connection, db));
    match read_only {
        // A hot journal left by a crash must be rolled back before anything can be read.
        Err(Failure::Sql(rusqlite::Error::SqliteFailure(error, _)))
            if error.extended_code == rusqlite::ffi::SQLITE_READONLY_ROLLBACK =>
        {
            connection::raw(db, OpenFlags::SQLITE_OPEN_READ_WRITE)
                .map_err(Failure::from)
                .and_then(|connection| read(&connection, db))
                .map_err(|failure| failure.at(db))
        }
        answer => answer.map_err(|failure| failure.at(db)),
    }
}

/// Reads the schema through a connection.
pub(super) fn read(connection: &Connection, db: &Path) -> Result<Schema, Failure> {
    let tables = tables(connection)?;
    let ledger = if tables.contains("_migrations") {
        ledger(connection)?
    } else {
        Vec::new()
    };
    let Some((last, _)) = ledger.last() else {
        let only_ledger = tables
            .iter()
            .all(|table| table == "_schema" || table == "_migrations");
        return if only_ledger {
            Ok(Schema::Empty)
        } else {
            Err(alien(db, "it has tables, but no ledger of migrations").into())
        };
    };
    let migration = u32::try_from(*last).unwrap_or(u32::MAX);
    if migration < NEWEST {
        check_ledger(&ledger, db)?;
    } else {
        check_columns(connection, db)?;
    }
    let own = if tables.contains("steroidsd_schema") {
        connection
            .query_row(
                "SELECT version FROM steroidsd_schema WHERE id = 1",
                [],
                |row| row.get(0),
            )
            .optional()?
    } else {
        None
    };
    Ok(Schema::At { migration, own })
}

/// Names of the tables, SQLite's own left out.
pub(super) fn tables(connection: &Connection) -> rusqlite::Result<BTreeSet<String>> {
    connection
        .prepare("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'")?
        .query_map([], |row| row.get(0))?
        .collect()
}

/// Names of a table's columns; empty if there is none of that name.
pub(super) fn columns(connection: &Connection, table: &str) -> rusqlite::Result<BTreeSet<String>> {
    connection
        .prepare_cached("SELECT name FROM pragma_table_info(?1)")?
        .query_map([table], |row| row.get(0))?
        .collect()
}

/// Sets a column of an invocation's row that the older tool has added since, where this file has it.
pub(super) fn set_extra(
    connection: &Connection,
    id: InvocationId,
    column: &str,
    value: &dyn ToSql,
) -> rusqlite::Result<()> {
    if columns(connection, "task_invocations")?.contains(column) {
        let sql = format!("UPDATE task_invocations SET {column} = ?2 WHERE id = ?1");
        connection
            .prepare_cached(&sql)?
            .execute(params![id.get(), value])?;
    }
    Ok(())
}

fn ledger(connection: &Connection) -> rusqlite::Result<Vec<(i64, String)>> {
    connection
        .prepare("SELECT id, name FROM _migrations ORDER BY id")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

/// A file we are to migrate must stand exactly on one of our steps.
fn check_ledger(ledger: &[(i64, String)], db: &Path) -> Result<(), StoreError> {
    for ((id, name), step) in ledger.iter().zip(STEPS) {
        let bare = name.strip_suffix(".sql").unwrap_or(name);
        if *id != i64::from(step.id) || bare != step.name {
            let what = format!(
                "its ledger has {id} `{name}` where {} `{}` belongs",
                step.id, step.name
            );
            return Err(alien(db, what));
        }
    }
    Ok(())
}

/// A file past our last step is opened as it is, if what we read and write is there.
fn check_columns(connection: &Connection, db: &Path) -> Result<(), Failure> {
    const NEEDED: &[(&str, &[&str])] = &[
        ("tasks", &["id", "title", "status"]),
        (
            "task_invocations",
            &[
                "id",
                "task_id",
                "role",
                "provider",
                "model",
                "prompt",
                "response",
                "error",
                "exit_code",
                "duration_ms",
                "success",
                "timed_out",
                "created_at",
                "started_at_ms",
                "completed_at_ms",
                "status",
            ],
        ),
    ];
    for (table, needed) in NEEDED {
        let found = columns(connection, table)?;
        if let Some(column) = needed.iter().find(|column| !found.contains(**column)) {
            return Err(alien(db, format!("column {table}.{column} is missing")).into());
        }
    }
    Ok(())
}

fn alien(db: &Path, what: impl Into<String>) -> StoreError {
    StoreError::Alien {
        path: db.to_owned(),
        what: what.into(),
    }
}
