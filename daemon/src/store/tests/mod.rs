//! A database in a temporary folder, in whichever shape a claim needs it.

mod absurd;
mod concurrency;
mod flat;
mod history;
mod hung;
mod life;
mod migrating;
mod models;
mod orders;
mod revising;
mod shapes;
mod spend;
mod stalls;

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use tempfile::TempDir;

use super::migrations::{self, STEPS};
use super::*;
use crate::domain::{Evidence, Outcome, UsageTotals};

pub(super) struct Room {
    dir: TempDir,
}

impl Room {
    pub(super) fn new() -> Room {
        // In memory where there is a place: hundreds of commits wait for a disk otherwise.
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        Room { dir: dir.unwrap() }
    }

    pub(super) fn db(&self) -> PathBuf {
        self.dir.path().join("steroids.db")
    }

    pub(super) fn backups(&self) -> PathBuf {
        self.dir.path().join("backup")
    }

    pub(super) fn folder(&self) -> &Path {
        self.dir.path()
    }

    /// As the older tool leaves it after migration `id`, through a connection of its own.
    pub(super) fn at(&self, id: u32) -> Connection {
        let mut connection = self.foreign();
        for step in STEPS.iter().filter(|step| step.id <= id) {
            migrations::apply(&mut connection, step).unwrap();
        }
        connection
    }

    /// Another program's connection.
    pub(super) fn foreign(&self) -> Connection {
        let connection = Connection::open(self.db()).unwrap();
        connection
            .pragma_update(None, "foreign_keys", true)
            .unwrap();
        connection
    }

    pub(super) fn migrate(&self) -> Result<Migrated, StoreError> {
        Store::migrate(&self.db(), &self.backups())
    }

    /// A fresh database, open.
    pub(super) fn store(&self) -> Store {
        self.migrate().unwrap();
        Store::open(&self.db()).unwrap()
    }

    /// The file's bytes; with no connection of ours open, reading it harms no lock.
    pub(super) fn bytes(&self) -> Vec<u8> {
        std::fs::read(self.db()).unwrap()
    }
}

/// A request as the supervisor makes it, its unique parts made from `name`.
pub(super) fn new(name: &str) -> NewInvocation {
    NewInvocation {
        task: "T-1".to_owned(),
        role: "coder".to_owned(),
        provider: "claude".to_owned(),
        model: "opus".to_owned(),
        prompt: "do it".to_owned(),
        request_id: format!("request {name}"),
        request_hash: format!("hash {name}"),
        uuid: format!("uuid {name}"),
        cwd: PathBuf::from("/project"),
        limits_json: "{}".to_owned(),
        parser_version: 1,
        created_ms: 1_700_000_000_123,
        ..NewInvocation::default()
    }
}

pub(super) fn ending(outcome: Outcome) -> Ending {
    Ending {
        outcome,
        error: (!outcome.is_success()).then(|| "why".to_owned()),
        exit_code: i32::from(!outcome.is_success()),
        duration_ms: 1500,
        completed_ms: 1_700_000_001_623,
        response: Some("done".to_owned()),
        session_id: Some("S".to_owned()),
        usage: Some(UsageTotals {
            input_tokens: 10,
            output_tokens: 20,
            cached_input_tokens: Some(30),
            cache_creation_tokens: None,
            total_cost_usd: Some(0.25),
            ..UsageTotals::default()
        }),
        price: None,
        rusage: Some(Rusage {
            user_us: 1,
            system_us: 2,
            max_rss_kib: 3,
            peak_bytes: Some(4),
            cpu_us: Some(3),
        }),
        leftovers: Some(0),
        resets_at_ms: (!outcome.is_success()).then_some(1_700_000_060_000),
        http_status: (!outcome.is_success()).then_some(429),
        answering_model: None,
        frees_request: false,
        cause: None,
        evidence: Evidence {
            final_event: Some("{}".to_owned()),
            ..Evidence::default()
        },
    }
}

pub(super) async fn started(store: &Store, request: NewInvocation) -> InvocationId {
    match store.begin(request, None).await.unwrap() {
        Begun::New(invocation) => invocation.id,
        Begun::Existing(invocation) => panic!("{} existed", invocation.id),
    }
}

/// Every table but those named, with every row as text: what "untouched" means.
pub(super) fn dump(connection: &Connection, but: &str) -> String {
    let mut text = String::new();
    let schema: Vec<(String, String, Option<String>)> = connection
        .prepare("SELECT type, name, sql FROM sqlite_master ORDER BY type, name")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    for (kind, name, sql) in schema {
        if !but.is_empty() && (name.contains(but) || sql.as_deref().unwrap_or("").contains(but)) {
            continue;
        }
        text.push_str(&format!("{kind} {name} {sql:?}\n"));
        if kind == "table" {
            text.push_str(&rows(connection, &name, but));
        }
    }
    text
}

fn rows(connection: &Connection, table: &str, but: &str) -> String {
    let mut statement = connection
        .prepare(&format!("SELECT * FROM \"{table}\" ORDER BY 1"))
        .unwrap();
    let columns = statement.column_count();
    let mut rows = statement.query([]).unwrap();
    let mut text = String::new();
    while let Some(row) = rows.next().unwrap() {
        let values: Vec<String> = (0..columns)
            .map(|column| match row.get_ref(column).unwrap() {
                rusqlite::types::ValueRef::Text(bytes) => String::from_utf8_lossy(bytes).into(),
                other => format!("{other:?}"),
            })
            .collect();
        let line = values.join("|");
        if but.is_empty() || !String::from_utf8_lossy(&text_of(row)).contains(but) {
            text.push_str(&line);
            text.push('\n');
        }
    }
    text
}

/// The first column's bytes where it is text: names of our tables in `sqlite_sequence`.
fn text_of(row: &rusqlite::Row<'_>) -> Vec<u8> {
    match row.get_ref(0).unwrap() {
        rusqlite::types::ValueRef::Text(bytes) => bytes.to_vec(),
        _ => Vec::new(),
    }
}
