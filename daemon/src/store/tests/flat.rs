//! What a start, an end and a daemon's begin ask of a database takes the same steps whatever has ended
//! in it before: counted by SQLite itself, statement by statement, and not by a clock.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use rusqlite::StatementStatus;
use rusqlite::trace::{TraceEvent, TraceEventCodes};

use super::*;
use crate::store::{begin, events, finish, locks, query};

/// Steps of the virtual machine, by statement.
type Steps = BTreeMap<String, i32>;

/// Invocations of a task.
const OF_A_TASK: u32 = 10;

/// A file with so many that have ended.
async fn after(ended: u32) -> (Room, Connection) {
    let room = Room::new();
    let store = room.store();
    let id = started(&store, new("first")).await;
    store.finish(id, ending(Outcome::Lost)).await.unwrap();
    store.close().await;
    let db = room.foreign();
    db.execute_batch(&format!(
        "BEGIN;
         WITH RECURSIVE c(n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM c WHERE n < {ended})
         INSERT INTO tasks (id, title, status) SELECT 'H' || n, 'H', 'in_progress' FROM c
         WHERE n % {OF_A_TASK} = 0;
         {} {} COMMIT;",
        copies(
            &db,
            "task_invocations",
            ended,
            &[
                ("id", "n"),
                (
                    "task_id",
                    &format!("iif(n < {OF_A_TASK}, task_id, 'H' || (n - n % {OF_A_TASK}))")
                ),
            ],
        ),
        copies(
            &db,
            "steroidsd_invocations",
            ended,
            &[
                ("invocation_id", "n"),
                ("uuid", "'u' || n"),
                ("request_id", "'r' || n"),
                ("session_id", "'s' || n"),
            ],
        ),
    ))
    .unwrap();
    db.execute_batch(&format!(
        "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {ended})
         INSERT INTO steroidsd_events (ts_ms, kind, invocation_id, task_id, message)
         SELECT n, 'finished', n, 'T-1', '' FROM c;"
    ))
    .unwrap();
    (room, db)
}

/// Copies 2 to `count` of a table's one row.
fn copies(db: &Connection, table: &str, count: u32, own: &[(&str, &str)]) -> String {
    let mut names = db
        .prepare("SELECT name FROM pragma_table_info(?1)")
        .unwrap();
    let names = names.query_map([table], |row| row.get(0)).unwrap();
    let names: Vec<String> = names.map(Result::unwrap).collect();
    let values = names.iter().map(|name| {
        let own = own.iter().find(|(column, _)| column == name);
        own.map_or(name.as_str(), |(_, value)| value)
    });
    let values: Vec<&str> = values.collect();
    format!(
        "WITH RECURSIVE c(n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM c WHERE n < {count})
         INSERT INTO {table} ({}) SELECT {} FROM c, {table};",
        names.join(", "),
        values.join(", ")
    )
}

/// Everything that a start, an end, a daemon that begins and one that looks after what runs ask.
fn lives(db: &Connection) {
    query::open(db, query::Whose::Ours).unwrap();
    let request = NewInvocation {
        task: "new".to_owned(),
        ..new("next")
    };
    assert_eq!(query::by_request(db, &request.request_id).unwrap(), None);
    let Begun::New(begun) = begin::begin(db, &request, 0, |_| {}).unwrap() else {
        panic!("it was there");
    };
    finish::launched(db, begun.id, Some(7)).unwrap();
    query::by_uuid(db, &request.uuid).unwrap().unwrap();
    assert_eq!(query::open(db, query::Whose::Ours).unwrap().len(), 1);
    assert_eq!(query::overridden(db).unwrap(), []);
    locks::renew(db).unwrap();
    let ended = Ending {
        session_id: Some("of its own".to_owned()),
        ..ending(Outcome::Success)
    };
    finish::finish(db, begun.id, &ended, finish::End::New).unwrap();
    query::last_session(db, "new", &request.provider)
        .unwrap()
        .unwrap();
    events::after(db, events::last(db).unwrap() - 1, 10).unwrap();
}

fn counted(db: &mut Connection) -> Steps {
    let steps: Arc<Mutex<Steps>> = Arc::default();
    let seen = Arc::clone(&steps);
    let count = move |event: TraceEvent<'_>| {
        if let TraceEvent::Profile(statement, _) = event {
            let mut seen = seen.lock().unwrap();
            // Of a statement that is used again these are all so far.
            let all = statement.get_status(StatementStatus::VmStep);
            seen.insert(statement.sql().into_owned(), all);
        }
    };
    db.trace_v2(TraceEventCodes::SQLITE_TRACE_PROFILE, Some(count))
        .unwrap();
    lives(db);
    steps.lock().unwrap().clone()
}

#[tokio::test]
async fn a_start_asks_no_more_of_a_long_history_than_of_a_short_one() {
    // Also with the statistics of the older tool's ANALYZE, by which SQLite plans otherwise.
    for analyzed in [false, true] {
        let mut all = Vec::new();
        for ended in [20, 2_000] {
            let (_room, mut db) = after(ended).await;
            if analyzed {
                db.execute_batch("ANALYZE").unwrap();
            }
            all.push(counted(&mut db));
        }
        let [short, long] = [&all[0], &all[1]];
        assert!(short.len() > 20, "{short:#?}");
        for (sql, steps) in long {
            // In a short one SQLite may find it easier to walk through all.
            let few = short.get(sql).copied().unwrap_or(0);
            assert!(*steps <= few, "{steps}, {few}, analyzed: {analyzed}, {sql}");
        }
    }
}
