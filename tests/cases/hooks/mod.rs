//! Who is told of what happens: real commands, real sockets, and a daemon that is killed in between.

mod commands;
mod ends;
mod posts;
mod tls;
mod waits;

use std::path::Path;

use rusqlite::params;
use serde_json::Value;
use steroids_tests::{Ctl, eventually, old_database};

/// What `hooks` says of one.
async fn shown(ctl: &Ctl, name: &str) -> Value {
    let hooks = ctl.run(["hooks", "--json"]).await.json();
    let mut hooks = hooks["hooks"].as_array().unwrap().iter();
    hooks.find(|hook| hook["name"] == name).unwrap().clone()
}

/// Waits until a hook is in a state, and tells how it is doing then.
async fn in_state(ctl: &Ctl, name: &str, state: &str) -> Value {
    eventually(state, async || {
        let hook = shown(ctl, name).await;
        (hook["state"] == state).then_some(hook)
    })
    .await
}

/// Waits until a hook has delivered so many.
async fn delivered(ctl: &Ctl, name: &str, count: u64) -> Value {
    eventually("deliveries", async || {
        let hook = shown(ctl, name).await;
        (hook["delivered"] == count).then_some(hook)
    })
    .await
}

/// Waits until a file has so many lines.
async fn lines(path: &Path, count: usize) -> Vec<String> {
    eventually("lines", async || {
        let text = std::fs::read_to_string(path).ok()?;
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        (lines.len() >= count && text.ends_with('\n')).then_some(lines)
    })
    .await
}

/// Puts events of this kind into a project, as another part of the daemon would. It learns of them
/// with the next that it makes itself.
fn insert(ctl: &Ctl, kind: &str, messages: impl Iterator<Item = String>) {
    insert_aged(ctl, kind, 0, messages);
}

/// The same, of so many seconds ago.
fn insert_aged(ctl: &Ctl, kind: &str, ago: i64, messages: impl Iterator<Item = String>) {
    let mut db = rusqlite::Connection::open(old_database::path(ctl.folder())).unwrap();
    let transaction = db.transaction().unwrap();
    for message in messages {
        transaction
            .execute(
                "INSERT INTO steroidsd_events (ts_ms, kind, message)
                 VALUES (CAST(unixepoch('subsec') * 1000 AS INTEGER) - ?3 * 1000, ?1, ?2)",
                params![kind, message, ago],
            )
            .unwrap();
    }
    transaction.commit().unwrap();
}
