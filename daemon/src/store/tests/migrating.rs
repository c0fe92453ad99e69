//! From any step to the last one: exactly the tables agreed on, each step whole or not at all.

use std::collections::BTreeMap;

use super::*;
use crate::store::migrate::migrate_with;
use crate::store::migrations::Step;

/// Table, then its columns in order: name, type, `PK`, `NN`, `=default`, `->table`.
const TABLES: &str = "
_schema: key TEXT PK; value TEXT NN
_migrations: id INTEGER PK; name TEXT NN; checksum TEXT NN; applied_at TEXT NN =datetime('now')
sections: id TEXT PK; name TEXT NN; position INTEGER NN; created_at TEXT NN =datetime('now'); priority INTEGER =50; skipped INTEGER =0
tasks: id TEXT PK; title TEXT NN; status TEXT NN ='pending'; section_id TEXT ->sections; source_file TEXT; rejection_count INTEGER NN =0; created_at TEXT NN =datetime('now'); updated_at TEXT NN =datetime('now'); file_path TEXT; file_line INTEGER; file_commit_sha TEXT; file_content_hash TEXT; failure_count INTEGER NN =0; last_failure_at TEXT
audit: id INTEGER PK; task_id TEXT NN ->tasks; from_status TEXT; to_status TEXT NN; actor TEXT NN; notes TEXT; created_at TEXT NN =datetime('now'); commit_sha TEXT; actor_type TEXT ='human'; model TEXT
disputes: id TEXT PK; task_id TEXT NN ->tasks; type TEXT NN; status TEXT NN ='open'; reason TEXT NN; coder_position TEXT; reviewer_position TEXT; resolution TEXT; resolution_notes TEXT; created_by TEXT NN; resolved_by TEXT; created_at TEXT NN =datetime('now'); resolved_at TEXT
task_locks: task_id TEXT PK ->tasks; runner_id TEXT NN; acquired_at TEXT NN =datetime('now'); expires_at TEXT NN; heartbeat_at TEXT NN =datetime('now')
section_locks: section_id TEXT PK ->sections; runner_id TEXT NN; acquired_at TEXT NN =datetime('now'); expires_at TEXT NN
section_dependencies: id TEXT PK; section_id TEXT NN ->sections; depends_on_section_id TEXT NN ->sections; created_at TEXT =datetime('now')
task_invocations: id INTEGER PK; task_id TEXT NN ->tasks; role TEXT NN; provider TEXT NN; model TEXT NN; prompt TEXT NN; response TEXT; error TEXT; exit_code INTEGER NN =0; duration_ms INTEGER NN =0; success INTEGER NN =0; timed_out INTEGER NN =0; rejection_number INTEGER; created_at TEXT NN =datetime('now'); started_at_ms INTEGER; completed_at_ms INTEGER; status TEXT ='completed'
incidents: id TEXT PK; task_id TEXT ->tasks; runner_id TEXT; failure_mode TEXT NN; detected_at TEXT NN; resolved_at TEXT; resolution TEXT; details TEXT; created_at TEXT NN =datetime('now')";

const INDEXES: &str = "
idx_audit_commit: audit(commit_sha)
idx_audit_task: audit(task_id)
idx_disputes_status: disputes(status)
idx_disputes_task: disputes(task_id)
idx_incidents_detected: incidents(detected_at)
idx_incidents_task: incidents(task_id)
idx_incidents_unresolved: incidents(resolved_at) WHERE resolved_at IS NULL
idx_section_dependencies_depends_on: section_dependencies(depends_on_section_id)
idx_section_dependencies_section: section_dependencies(section_id)
idx_section_locks_expires: section_locks(expires_at)
idx_sections_priority: sections(priority)
idx_task_invocations_created: task_invocations(created_at DESC)
idx_task_invocations_role: task_invocations(role)
idx_task_invocations_task: task_invocations(task_id)
idx_task_invocations_task_status: task_invocations(task_id, status, started_at_ms DESC)
idx_task_locks_expires: task_locks(expires_at)
idx_tasks_failures: tasks(failure_count) WHERE failure_count > 0
idx_tasks_section: tasks(section_id)
idx_tasks_status: tasks(status)";

fn strings(connection: &Connection, sql: &str, parameter: &str) -> Vec<String> {
    connection
        .prepare(sql)
        .unwrap()
        .query_map([parameter], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect()
}

/// A table as [`TABLES`] writes it.
fn described(connection: &Connection, table: &str) -> String {
    let references: BTreeMap<String, String> = connection
        .prepare("SELECT \"from\", \"table\" FROM pragma_foreign_key_list(?1)")
        .unwrap()
        .query_map([table], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let columns = strings(
        connection,
        "SELECT name || ' ' || type || CASE WHEN pk > 0 THEN ' PK' ELSE '' END
             || CASE WHEN \"notnull\" THEN ' NN' ELSE '' END
             || CASE WHEN dflt_value IS NULL THEN '' ELSE ' =' || dflt_value END
         FROM pragma_table_info(?1) ORDER BY cid",
        table,
    );
    let columns: Vec<String> = columns
        .into_iter()
        .map(|column| {
            let name = column.split(' ').next().unwrap();
            match references.get(name) {
                Some(target) => format!("{column} ->{target}"),
                None => column,
            }
        })
        .collect();
    format!("{table}: {}", columns.join("; "))
}

/// An index as [`INDEXES`] writes it.
fn described_index(connection: &Connection, name: &str) -> String {
    let columns = strings(
        connection,
        "SELECT name || CASE WHEN \"desc\" THEN ' DESC' ELSE '' END
         FROM pragma_index_xinfo(?1) WHERE key ORDER BY seqno",
        name,
    );
    let (table, sql): (String, String) = connection
        .query_row(
            "SELECT tbl_name, sql FROM sqlite_master WHERE type = 'index' AND name = ?1",
            [name],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();
    let partial = sql.find(" WHERE ").map_or("", |at| &sql[at..]);
    format!("{name}: {table}({}){partial}", columns.join(", "))
}

fn lines(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = text.trim().lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn the_last_step_has_exactly_the_tables_and_indexes_agreed_on() {
    let room = Room::new();
    let migrated = room.migrate().unwrap();
    assert_eq!((migrated.from, migrated.to, migrated.backup), (0, 10, None));
    let connection = room.foreign();
    let names = |kind: &str| -> Vec<String> {
        strings(
            &connection,
            "SELECT name FROM sqlite_master WHERE type = ?1 AND sql IS NOT NULL
             AND name NOT LIKE 'sqlite_%' AND name NOT LIKE 'steroidsd_%' ORDER BY name",
            kind,
        )
    };
    let tables: Vec<String> = names("table")
        .iter()
        .map(|name| described(&connection, name))
        .collect();
    assert_eq!(tables, lines(TABLES));
    let indexes: Vec<String> = names("index")
        .iter()
        .map(|name| described_index(&connection, name))
        .collect();
    assert_eq!(indexes, lines(INDEXES));
    for sql in [
        "INSERT INTO _migrations (id, name, checksum) VALUES (99, '001_initial_schema', '')",
        "INSERT INTO task_invocations (task_id, role, provider, model, prompt, status)
         VALUES ('T', '', '', '', '', 'queued')",
    ] {
        connection
            .execute(
                "INSERT OR IGNORE INTO tasks (id, title) VALUES ('T', 'T')",
                [],
            )
            .unwrap();
        assert!(connection.execute(sql, []).is_err(), "{sql}");
    }
    let unique: i64 = connection
        .query_row(
            "SELECT count(*) FROM pragma_index_list('section_dependencies') WHERE origin = 'u'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(unique, 1);
    let numbered = strings(
        &connection,
        "SELECT name FROM sqlite_master WHERE sql LIKE '%AUTOINCREMENT%' AND name NOT LIKE ?1 ORDER BY 1",
        "steroidsd%",
    );
    assert_eq!(numbered, ["audit", "task_invocations"]);
}

#[test]
fn the_ledger_is_the_older_tools() {
    let room = Room::new();
    room.migrate().unwrap();
    let connection = room.foreign();
    let ledger: Vec<(u32, String, String)> = connection
        .prepare(
            "SELECT id, name, checksum FROM _migrations WHERE applied_at IS NOT NULL ORDER BY id",
        )
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let wanted: Vec<(u32, String, String)> = STEPS
        .iter()
        .map(|step| (step.id, step.name.to_owned(), step.checksum()))
        .collect();
    assert_eq!(ledger, wanted);
    let schema = strings(
        &connection,
        "SELECT key || '=' || value FROM _schema WHERE key > ?1 ORDER BY key",
        "",
    );
    assert_eq!(
        schema,
        ["last_migration=010_add_lifecycle_timestamps", "version=10"]
    );
}

/// Seconds that came out one millisecond off where days were multiplied in floating point.
fn created(n: i64) -> i64 {
    1_600_000_000 + n * 86_413
}

fn fill_009(connection: &Connection) {
    connection
        .execute("INSERT INTO tasks (id, title) VALUES ('T', 'T')", [])
        .unwrap();
    for n in 0..1000 {
        connection
            .execute(
                "INSERT INTO task_invocations (task_id, role, provider, model, prompt, success, exit_code, created_at)
                 VALUES ('T', 'coder', 'claude', 'm', 'p', ?1, ?2, datetime(?3, 'unixepoch'))",
                [i64::from(n % 3 != 0), i64::from(n % 3 == 0), created(n)],
            )
            .unwrap();
    }
}

#[test]
fn rows_from_before_010_get_exactly_their_creation_time_in_milliseconds() {
    let room = Room::new();
    let connection = room.at(9);
    fill_009(&connection);
    drop(connection);
    let migrated = room.migrate().unwrap();
    assert_eq!((migrated.from, migrated.to), (9, 10));
    let rows: Vec<(i64, i64, String, String)> = room
        .foreign()
        .prepare(
            "SELECT started_at_ms, completed_at_ms, status, typeof(started_at_ms) || typeof(completed_at_ms)
             FROM task_invocations ORDER BY id",
        )
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(rows.len(), 1000);
    for (n, row) in (0..).zip(rows) {
        let at = created(n) * 1000;
        assert_eq!(
            row,
            (at, at, "completed".to_owned(), "integerinteger".to_owned())
        );
    }
}

#[test]
fn what_is_changed_is_backed_up_first_and_the_copy_is_whole() {
    let room = Room::new();
    let connection = room.at(9);
    fill_009(&connection);
    let before = dump(&connection, "");
    let backup = room.migrate().unwrap().backup.unwrap();
    drop(connection);
    assert_eq!(backup.parent().unwrap(), room.backups());
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(
        backup.metadata().unwrap().permissions().mode() & 0o777,
        0o600
    );
    let copy = Connection::open(&backup).unwrap();
    assert_eq!(dump(&copy, ""), before);
    let beside: Vec<_> = std::fs::read_dir(room.backups()).unwrap().collect();
    assert_eq!(beside.len(), 1, "one plain file");
    // At the last step already: nothing to do, nothing to copy.
    let again = room.migrate().unwrap();
    assert_eq!((again.from, again.to, again.backup), (10, 10, None));
}

#[test]
fn every_older_step_is_told_from_the_others_and_migrates_to_the_same() {
    let fresh = Room::new();
    fresh.migrate().unwrap();
    // The times of application differ.
    let timeless = |room: &Room| {
        let connection = room.foreign();
        connection
            .execute("UPDATE _migrations SET applied_at = ''", [])
            .unwrap();
        dump(&connection, "steroidsd")
    };
    let wanted = timeless(&fresh);
    for step in 0..10 {
        let room = Room::new();
        let connection = room.at(step);
        // Through the -wal too: the older tool may have the file open.
        connection
            .pragma_update(None, "journal_mode", "WAL")
            .unwrap();
        let inspected = Store::inspect(&room.db()).unwrap();
        assert_eq!(inspected.migration(), step);
        let refused = Store::open(&room.db()).err().unwrap();
        assert!(matches!(refused, StoreError::NeedsMigration { version, .. } if version == step));
        assert!(
            refused.todo().unwrap().contains("steroidsctl migrate"),
            "{refused}"
        );
        assert_eq!(room.migrate().unwrap().from, step);
        assert!(timeless(&room) == wanted, "from {step}");
        Store::open(&room.db()).unwrap();
    }
}

#[test]
fn a_step_that_fails_is_undone_and_the_next_try_goes_on_from_there() {
    const BROKEN: Step = Step {
        id: 10,
        name: "010_add_lifecycle_timestamps",
        sql: "ALTER TABLE task_invocations ADD COLUMN started_at_ms INTEGER;
              UPDATE task_invocations SET started_at_ms = 1;
              UPDATE tasks SET nonsense = 1;",
    };
    let room = Room::new();
    let connection = room.at(7);
    connection
        .execute("INSERT INTO tasks (id, title) VALUES ('T', 'T')", [])
        .unwrap();
    let mut steps = STEPS.to_vec();
    steps[9] = BROKEN;
    let error = migrate_with(&room.db(), &room.backups(), &steps).unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::Migration {
                name: "010_add_lifecycle_timestamps",
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(Store::inspect(&room.db()).unwrap().migration(), 9);
    assert!(!dump(&connection, "").contains("started_at_ms"));
    assert_eq!(room.migrate().unwrap().from, 9);
}

#[test]
fn a_step_broken_off_after_any_statement_leaves_the_file_at_a_step() {
    // As a kill does: what was not committed is not there for whoever opens the file next.
    let statements: Vec<String> = STEPS
        .iter()
        .flat_map(|step| step.up().split_inclusive(';').map(move |part| (step, part)))
        .map(|(step, part)| format!("{} {part}", step.id))
        .collect();
    for cut in 0..statements.len() {
        let (id, _) = statements[cut].split_once(' ').unwrap();
        let id: u32 = id.parse().unwrap();
        let mut steps = STEPS.to_vec();
        let upto: String = statements[..=cut]
            .iter()
            .filter_map(|line| line.split_once(' ').filter(|(of, _)| of.parse() == Ok(id)))
            .map(|(_, part)| part)
            .collect();
        steps[id as usize - 1].sql = Box::leak(format!("{upto}\nSELECT killed;").into_boxed_str());
        let room = Room::new();
        migrate_with(&room.db(), &room.backups(), &steps).unwrap_err();
        assert_eq!(Store::inspect(&room.db()).unwrap().migration(), id - 1);
        assert_eq!(room.migrate().unwrap().to, 10);
    }
}

#[test]
fn a_backup_that_cannot_be_made_stops_the_migration() {
    let room = Room::new();
    let connection = room.at(9);
    fill_009(&connection);
    std::fs::write(room.backups(), "in the way").unwrap();
    let before = dump(&connection, "");
    assert!(room.migrate().is_err());
    assert_eq!(dump(&connection, ""), before);
}

#[test]
fn two_who_migrate_at_once_apply_each_step_once() {
    for _ in 0..5 {
        let room = Room::new();
        room.at(3)
            .execute("INSERT INTO tasks (id, title) VALUES ('T', 'T')", [])
            .unwrap();
        let both = std::thread::scope(|scope| {
            let threads = [0; 2].map(|_| scope.spawn(|| room.migrate()));
            threads.map(|thread| thread.join().unwrap().unwrap().to)
        });
        assert_eq!(both, [10, 10]);
        let applied: i64 = room
            .foreign()
            .query_row("SELECT count(*) FROM _migrations", [], |row| row.get(0))
            .unwrap();
        assert_eq!(applied, 10);
    }
}
