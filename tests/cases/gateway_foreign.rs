//! Invocations that the older tool runs: a row that is not ours, and a log that another process
//! appends to, cuts, or makes anew, while a browser looks on.

use std::fs::{File, OpenOptions};
use std::io::Write;

use rusqlite::Connection;
use serde_json::Value;
use steroids_tests::gateway::{Received, Sse};
use steroids_tests::{Ctl, Daemon, Gateway, Home, old_database};

/// A running row of the older tool, and a stream of it.
struct Foreign {
    _home: std::sync::Arc<Home>,
    _daemon: Daemon,
    ctl: Ctl,
    id: i64,
    db: Connection,
    gateway: Gateway,
}

impl Foreign {
    async fn new() -> Foreign {
        let home = Home::new();
        let daemon = Daemon::start(&home).await;
        let gateway = Gateway::start(&home).await;
        let (ctl, db, id) = daemon.project_of_older_tool().await;
        Foreign {
            _home: home,
            _daemon: daemon,
            ctl,
            id,
            db,
            gateway,
        }
    }

    async fn stream(&self) -> Sse {
        let project = self.ctl.project();
        let target = format!("/api/tasks/old/stream?project={project}");
        Sse::open(&self.gateway.get(&target)).await.unwrap()
    }

    /// Its last line, and then its row's end: only that ends a stream of the older tool's.
    fn ends(&self, log: &mut File) {
        log.write_all(complete().as_bytes()).unwrap();
        old_database::end_running(&self.db, self.id);
    }

    fn log(&self) -> File {
        let path = self.ctl.log_path(self.id);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .unwrap()
    }

    fn on_disk(&self) -> Vec<u8> {
        std::fs::read(self.ctl.log_path(self.id)).unwrap()
    }
}

fn line(kind: &str, msg: &str) -> String {
    format!("{{\"ts\":1700000000000,\"type\":\"{kind}\",\"msg\":\"{msg}\"}}\n")
}

fn complete() -> String {
    "{\"ts\":1700000000001,\"type\":\"complete\",\"success\":true,\"duration\":5}\n".to_owned()
}

fn kind(data: &str) -> String {
    let value: Value = serde_json::from_str(data).unwrap();
    value["type"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_log_that_comes_later_is_read_from_its_first_byte() {
    let foreign = Foreign::new().await;
    let mut stream = foreign.stream().await;
    stream.until("waiting_for_log").await;
    let mut log = foreign.log();
    log.write_all(line("start", "begun").as_bytes()).unwrap();
    let mut received = Received::default();
    while received.data.is_empty() {
        received.take(stream.next().await);
    }
    // A line in three pieces is one event, once it is whole.
    let text = line("output", "in pieces \u{2713}");
    let (first, rest) = text.as_bytes().split_at(20);
    let (second, third) = rest.split_at(30);
    for piece in [first, second, third] {
        log.write_all(piece).unwrap();
        log.sync_all().unwrap();
    }
    while received.data.len() < 2 {
        received.take(stream.next().await);
    }
    foreign.ends(&mut log);
    received.read(&mut stream).await;
    assert_eq!(received.log(foreign.id), foreign.on_disk());
}

#[tokio::test]
async fn half_a_line_is_not_shown_until_its_newline_is_there() {
    let foreign = Foreign::new().await;
    let mut log = foreign.log();
    log.write_all(line("start", "begun").as_bytes()).unwrap();
    let text = line("output", "second half");
    let (first, rest) = text.as_bytes().split_at(text.len() / 2);
    log.write_all(first).unwrap();
    let mut stream = foreign.stream().await;
    stream.until("begun").await;
    // It has caught up with half a line, and says so.
    stream.until_comment("live").await;
    log.write_all(rest).unwrap();
    let seen = stream.until("second half").await;
    assert_eq!(seen.len(), 1, "{seen:?}");
}

#[tokio::test]
async fn a_log_cut_short_is_told_as_a_gap_and_read_anew() {
    let foreign = Foreign::new().await;
    let mut log = foreign.log();
    for number in 0..5 {
        log.write_all(line("output", &format!("old {number}")).as_bytes())
            .unwrap();
    }
    let mut stream = foreign.stream().await;
    stream.until("old 4").await;
    log.set_len(0).unwrap();
    log.write_all(line("output", "anew").as_bytes()).unwrap();
    let seen = stream.until("anew").await;
    let kinds: Vec<String> = seen.iter().map(|data| kind(data)).collect();
    assert_eq!(kinds, ["gap", "output"], "{seen:?}");
}

#[tokio::test]
async fn a_log_deleted_and_made_again_is_told_as_a_gap_and_read_anew() {
    let foreign = Foreign::new().await;
    let mut log = foreign.log();
    log.write_all(line("output", "the old file").as_bytes())
        .unwrap();
    let mut stream = foreign.stream().await;
    stream.until("the old file").await;
    std::fs::remove_file(foreign.ctl.log_path(foreign.id)).unwrap();
    let mut log = foreign.log();
    log.write_all(line("output", "a new file").as_bytes())
        .unwrap();
    let seen = stream.until("a new file").await;
    let kinds: Vec<String> = seen.iter().map(|data| kind(data)).collect();
    assert_eq!(kinds, ["gap", "output"], "{seen:?}");
    foreign.ends(&mut log);
    stream.rest().await;
}
