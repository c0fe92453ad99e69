//! Brings a file to the schema this release needs, after a backup if it holds anything.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::error::{StoreError, is_crowded};
use super::migrations::{self, NEWEST, STEPS, Step};
use super::schema::{self, Schema};
use super::{backup, connection, place};

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migrated {
    /// The last migration before; 0 is an empty or a new file.
    pub from: u32,
    /// The last migration now.
    pub to: u32,
    /// The copy made before, if the file held rows.
    pub backup: Option<PathBuf>,
}

/// Migrates the file at `db`, which is created if it does not exist; blocks.
pub(super) fn migrate(db: &Path, backup_dir: &Path) -> Result<Migrated, StoreError> {
    migrate_with(db, backup_dir, STEPS)
}

/// As [`migrate`], with the steps given.
pub(super) fn migrate_with(
    db: &Path,
    backup_dir: &Path,
    steps: &[Step],
) -> Result<Migrated, StoreError> {
    match create(db) {
        Ok(()) => migrations::reach(),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(source) if is_crowded(&source) => {
            let path = db.to_owned();
            return Err(StoreError::Io { path, source });
        }
        Err(source) => {
            return Err(StoreError::unwritable(db, Box::new(source)));
        }
    }
    let before = schema::inspect(db)?;
    if let Some(version) = before.newer() {
        return Err(StoreError::Newer {
            path: db.to_owned(),
            version,
            known: migrations::OWN_VERSION,
        });
    }
    let mut connection = writing(db)?;
    migrations::reach();
    let backup = if before.needs_migration() && holds_rows(&connection, db)? {
        quick_check(&connection, db)?;
        Some(backup::make(
            &connection,
            db,
            backup_dir,
            before.migration(),
        )?)
    } else {
        None
    };
    migrations::reach();
    for step in steps.iter().filter(|step| step.id > before.migration()) {
        migrations::apply(&mut connection, step).map_err(|source| failed(db, step, source))?;
    }
    if schema::read(&connection, db)
        .map_err(|failure| failure.at(db))?
        .migration()
        >= NEWEST
    {
        migrations::apply_own(&mut connection)
            .map_err(|source| StoreError::from_sqlite(db, source))?;
    }
    let after = schema::read(&connection, db).map_err(|failure| failure.at(db))?;
    tracing::info!(
        from = before.migration(),
        to = after.migration(),
        "database migrated"
    );
    Ok(Migrated {
        from: before.migration(),
        to: after.migration(),
        backup,
    })
}

/// Makes an empty file only we can read. SQLite would make one that others can.
fn create(db: &Path) -> io::Result<()> {
    let folder = db.parent().unwrap_or(Path::new("."));
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(db)?
        .sync_all()?;
    fs::File::open(folder)?.sync_all()
}

/// A connection for the migration, in whatever journal mode the file is.
fn writing(db: &Path) -> Result<Connection, StoreError> {
    let open = || {
        let connection = connection::raw(db, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        // Where a transaction ends by removing its journal, a power loss could bring that back, and with it
        // what was before the last step.
        connection.pragma_update(None, "synchronous", "EXTRA")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        Ok(connection)
    };
    open().map_err(|error| StoreError::from_sqlite(db, error))
}

fn holds_rows(connection: &Connection, db: &Path) -> Result<bool, StoreError> {
    let any = || {
        for table in schema::tables(connection)? {
            let ledger = table == "_schema" || table == "_migrations";
            let quoted = table.replace('"', "\"\"");
            let sql = format!("SELECT EXISTS (SELECT 1 FROM \"{quoted}\")");
            if !ledger && connection.query_row(&sql, [], |row| row.get(0))? {
                return Ok(true);
            }
        }
        Ok(false)
    };
    any().map_err(|error| StoreError::from_sqlite(db, error))
}

/// Refuses to build on damage.
pub(super) fn quick_check(connection: &Connection, db: &Path) -> Result<(), StoreError> {
    let answer: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|error| StoreError::from_sqlite(db, error))?;
    if answer == "ok" {
        return Ok(());
    }
    Err(StoreError::Corrupt {
        path: db.to_owned(),
        what: super::error::one_line(&answer),
    })
}

fn failed(db: &Path, step: &Step, source: rusqlite::Error) -> StoreError {
    match StoreError::from_sqlite(db, source) {
        StoreError::Sqlite { path, source } => StoreError::Migration {
            name: step.name,
            path,
            source,
        },
        sorted => sorted,
    }
}

/// Makes a folder only we can enter, with those above it.
pub(super) fn make_folder(folder: &Path) -> Result<(), StoreError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|source| place::io_error(folder, source))
}

/// True for a file that `migrate` has nothing to do for but create our tables.
pub(super) fn lacks_own_tables(schema: Schema) -> bool {
    matches!(schema, Schema::At { own, .. } if own.is_none_or(|own| own < migrations::OWN_VERSION))
}
