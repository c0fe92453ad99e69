//! The migrations, compiled in, and how one is applied.
//!
//! Each is one `BEGIN IMMEDIATE` transaction together with its row in the ledger, so a file is
//! always exactly at one step. Where the file stands is read again inside the transaction: the
//! older tool may be migrating the same file.

use std::fmt::Write as _;

use rusqlite::fallible_iterator::FallibleIterator as _;
use rusqlite::{Batch, Connection, TransactionBehavior, params};
use sha2::{Digest, Sha256};

use super::connection::has_table;

/// A numbered SQL file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    pub(super) id: u32,
    pub(super) name: &'static str,
    pub(super) sql: &'static str,
}

macro_rules! step {
    ($id:literal, $name:literal) => {
        Step {
            id: $id,
            name: $name,
            sql: include_str!(concat!("../../../migrations/", $name, ".sql")),
        }
    };
}

/// The older tool's schema, as far as we build it.
pub(super) const STEPS: &[Step] = &[
    step!(1, "001_initial_schema"),
    step!(2, "002_add_commit_sha"),
    step!(3, "003_add_section_priority"),
    step!(4, "004_add_section_dependencies"),
    step!(5, "005_add_audit_actor_model"),
    step!(6, "006_add_task_invocations"),
    step!(7, "007_add_file_anchor"),
    step!(8, "008_add_section_skipped"),
    step!(9, "009_add_incidents_and_failure_tracking"),
    step!(10, "010_add_lifecycle_timestamps"),
];

/// The last of [`STEPS`].
pub(super) const NEWEST: u32 = 10;

/// Our own tables.
const OWN_STEPS: &[Step] = &[
    step!(1, "steroidsd/001_initial"),
    step!(2, "steroidsd/002_usage"),
    step!(3, "steroidsd/003_queue"),
    step!(4, "steroidsd/004_evidence"),
    step!(5, "steroidsd/005_stalls"),
    step!(6, "steroidsd/006_resources"),
    step!(7, "steroidsd/007_model"),
    step!(8, "steroidsd/008_waits"),
];

/// The last of our own.
pub(super) const OWN_VERSION: u32 = 8;

impl Step {
    /// What brings the schema here; a file may also hold the way back.
    pub(super) fn up(&self) -> &'static str {
        let mut start = 0;
        for line in self.sql.split_inclusive('\n') {
            if line.trim() == "-- DOWN" {
                return &self.sql[..start];
            }
            start += line.len();
        }
        self.sql
    }

    /// SHA-256 of the whole file, in hexadecimal.
    pub(super) fn checksum(&self) -> String {
        let digest = Sha256::digest(self.sql.as_bytes());
        digest.iter().fold(String::new(), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

/// Applies one step of the shared schema, unless another program has done so meanwhile.
pub(super) fn apply(connection: &mut Connection, step: &Step) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if ledger_top(&transaction)? < step.id {
        run(&transaction, step.up())?;
        transaction.execute(
            "INSERT INTO _migrations (id, name, checksum) VALUES (?1, ?2, ?3)",
            params![step.id, step.name, step.checksum()],
        )?;
        reach();
        for (key, value) in [
            ("version", step.id.to_string()),
            ("last_migration", step.name.to_owned()),
        ] {
            transaction.execute(
                "INSERT INTO _schema (key, value) VALUES (?1, ?2)
                 ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                params![key, value],
            )?;
            reach();
        }
    }
    transaction.commit()?;
    reach();
    Ok(())
}

/// Brings our own tables to [`OWN_VERSION`]; a version above it is left alone.
pub(super) fn apply_own(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version = own_version(&transaction)?;
    for step in OWN_STEPS.iter().filter(|step| step.id > version) {
        run(&transaction, step.up())?;
        transaction.execute(
            "INSERT INTO steroidsd_schema (id, version) VALUES (1, ?1)
             ON CONFLICT (id) DO UPDATE SET version = excluded.version",
            [step.id],
        )?;
        reach();
    }
    transaction.commit()?;
    reach();
    Ok(())
}

/// Runs the statements of a step, one after the other.
fn run(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    let mut statements = Batch::new(connection, sql);
    while let Some(mut statement) = statements.next()? {
        statement.execute([])?;
        reach();
    }
    Ok(())
}

/// A migration may end here, or anywhere.
pub(super) fn reach() {
    steroids_failpoint::reach("store.migrate");
}

fn ledger_top(connection: &Connection) -> rusqlite::Result<u32> {
    if !has_table(connection, "_migrations")? {
        return Ok(0);
    }
    connection.query_row("SELECT coalesce(max(id), 0) FROM _migrations", [], |row| {
        row.get(0)
    })
}

fn own_version(connection: &Connection) -> rusqlite::Result<u32> {
    if !has_table(connection, "steroidsd_schema")? {
        return Ok(0);
    }
    connection.query_row(
        "SELECT coalesce(max(version), 0) FROM steroidsd_schema",
        [],
        |row| row.get(0),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_back_is_never_run() {
        for step in STEPS.iter().chain(OWN_STEPS) {
            assert!(step.up().contains("-- UP"), "{}", step.name);
            assert!(!step.up().contains("DROP"), "{}", step.name);
            assert!(step.sql.contains("-- DOWN"), "{}", step.name);
        }
    }

    #[test]
    fn numbers_follow_one_another_and_match_the_names() {
        for (index, step) in STEPS.iter().enumerate() {
            assert_eq!(step.id as usize, index + 1);
            assert!(step.name.starts_with(&format!("{:03}_", step.id)));
        }
        assert_eq!(STEPS.last().unwrap().id, NEWEST);
        assert_eq!(OWN_STEPS.last().unwrap().id, OWN_VERSION);
    }

    #[test]
    fn a_checksum_is_the_sha256_of_the_file() {
        let step = Step {
            id: 1,
            name: "abc",
            sql: "abc",
        };
        assert_eq!(
            step.checksum(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
