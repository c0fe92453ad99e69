//! Stories of tasks with real databases and logs.

use std::fs;
use std::path::PathBuf;

use super::*;
use crate::domain::{Evidence, InvocationId, Outcome, Queueing};
use crate::projects::Projects;
use crate::store::{Begun, Ending, NewInvocation};

struct Room {
    project: Arc<Project>,
    _dirs: [tempfile::TempDir; 2],
}

async fn room() -> Room {
    let (state, root) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let projects = Projects::open(state.path(), "owner".to_owned())
        .await
        .unwrap();
    let path = root.path().canonicalize().unwrap();
    let (project, _) = projects.register(&path, true).await.unwrap();
    Room {
        project,
        _dirs: [state, root],
    }
}

impl Room {
    async fn begin(&self, name: &str) -> InvocationId {
        self.ask(name, None).await
    }

    /// It waits from then on, or begins at once.
    async fn ask(&self, name: &str, queued_ms: Option<i64>) -> InvocationId {
        let new = NewInvocation {
            queued: queued_ms.is_some(),
            queueing: Queueing {
                queued_ms,
                ..Queueing::default()
            },
            task: "T".to_owned(),
            role: "coder".to_owned(),
            provider: "claude".to_owned(),
            model: "opus".to_owned(),
            request_id: name.to_owned(),
            uuid: name.to_owned(),
            cwd: PathBuf::from("/p"),
            limits_json: "{}".to_owned(),
            created_ms: 1000,
            ..NewInvocation::default()
        };
        match self.project.store.begin(new, None).await.unwrap() {
            Begun::New(row) => row.id,
            Begun::Existing(row) => panic!("{} existed", row.id),
        }
    }

    async fn end(&self, id: InvocationId, outcome: Outcome, error: Option<&str>) {
        let ending = Ending {
            outcome,
            error: error.map(str::to_owned),
            exit_code: if outcome.is_success() { 0 } else { 2 },
            duration_ms: 5,
            completed_ms: 1005,
            response: None,
            session_id: None,
            usage: None,
            price: None,
            rusage: None,
            leftovers: None,
            resets_at_ms: None,
            http_status: None,
            answering_model: None,
            frees_request: false,
            cause: None,
            evidence: Evidence::default(),
        };
        self.project.store.finish(id, ending).await.unwrap();
    }

    fn put(&self, id: InvocationId, log: &str) {
        fs::write(self.project.logs().path(id), log).unwrap();
    }

    async fn story(&self, sample: u32) -> Vec<String> {
        let mut telling = of_task(&self.project, "T", sample).await.unwrap();
        let mut story = Vec::new();
        while let Some(entry) = telling.next().await.unwrap() {
            story.push(String::from_utf8(entry.to_vec()).unwrap());
        }
        story
    }
}

#[tokio::test]
async fn a_story_has_its_start_its_tools_every_nth_line_and_its_end() {
    let room = room().await;
    let id = room.begin("a").await;
    let log: String = (0..7)
        .map(|n| {
            let kind = if n == 4 { "tool" } else { "output" };
            format!("{{\"ts\":{n},\"type\":\"{kind}\",\"raw\":{n}}}\n")
        })
        .collect();
    room.put(id, &log);
    room.end(id, Outcome::Failed, Some("why")).await;
    let of = |n: i32, kind: &str| {
        format!("{{\"invocationId\":1,\"ts\":{n},\"type\":\"{kind}\",\"raw\":{n}}}")
    };
    assert_eq!(room.story(3).await, [
        r#"{"ts":1000,"type":"invocation.started","invocationId":1,"role":"coder","provider":"claude","model":"opus"}"#.to_owned(),
        of(0, "output"),
        of(3, "output"),
        of(4, "tool"),
        of(6, "output"),
        r#"{"ts":1005,"type":"invocation.completed","invocationId":1,"role":"coder","provider":"claude","model":"opus","success":false,"duration":5,"exitCode":2,"outcome":"failed","error":"why"}"#.to_owned(),
    ]);
    assert_eq!(room.story(0).await.len(), 9, "every line");
    assert_eq!(room.story(u32::MAX).await.len(), 4);
}

#[tokio::test]
async fn what_was_never_started_is_told_as_that_and_when_it_was_asked_for() {
    let room = room().await;
    let (waited, absent) = (room.ask("a", Some(990)).await, room.begin("b").await);
    room.end(waited, Outcome::Cancelled, Some("stopped")).await;
    room.end(absent, Outcome::NeverStarted, Some("no such program"))
        .await;
    assert_eq!(
        room.story(1).await,
        [
            r#"{"ts":1005,"type":"invocation.completed","invocationId":1,"role":"coder","provider":"claude","model":"opus","success":false,"started":false,"queuedAtMs":990,"outcome":"cancelled","error":"stopped"}"#,
            r#"{"ts":1005,"type":"invocation.completed","invocationId":2,"role":"coder","provider":"claude","model":"opus","success":false,"started":false,"outcome":"never_started","error":"no such program"}"#,
        ]
    );
}

#[tokio::test]
async fn missing_logs_and_bad_lines_cost_only_themselves() {
    let room = room().await;
    let (gone, bad, linked) = (
        room.begin("a").await,
        room.begin("b").await,
        room.begin("c").await,
    );
    room.end(gone, Outcome::Success, None).await;
    room.put(
        bad,
        "no json\n{\"type\":\"tool\"}\n[1]\n{\"type\":\"tool\",}\n\n{\"a\":1}\n{\"torn",
    );
    let other = room.project.root.join("other");
    fs::write(&other, "{\"secret\":1}\n").unwrap();
    std::os::unix::fs::symlink(&other, room.project.logs().path(linked)).unwrap();
    let story = room.story(1).await;
    let kinds: Vec<_> = story
        .iter()
        .map(|entry| entry.split('"').nth(5).unwrap_or(entry))
        .collect();
    assert_eq!(story.len(), 2 + 3 + 1, "{kinds:?}");
    assert_eq!(story[3], r#"{"invocationId":2,"type":"tool"}"#);
    assert_eq!(story[4], r#"{"invocationId":2,"a":1}"#);
    for entry in story {
        serde_json::from_str::<serde_json::Value>(&entry).unwrap();
    }
}

#[tokio::test]
async fn a_long_story_is_told_in_pieces_whole() {
    let room = room().await;
    for name in 0..70 {
        let id = room.begin(&name.to_string()).await;
        if name % 10 == 0 {
            let line = format!("{{\"type\":\"tool\",\"cmd\":\"{}\"}}\n", "x".repeat(1000));
            room.put(id, &line.repeat(2_000));
        }
    }
    let mut telling = of_task(&room.project, "T", 10).await.unwrap();
    let mut count = 0;
    while let Some(_entry) = telling.next().await.unwrap() {
        count += 1;
        assert!(telling.entries.iter().map(Bytes::len).sum::<usize>() < CHUNKS);
    }
    assert_eq!(count, 70 + 7 * 2_000);
    assert!(
        of_task(&room.project, "none", 1)
            .await
            .unwrap()
            .next()
            .await
            .unwrap()
            .is_none()
    );
}

/// What one reading may leave waiting: a chunk, and one batch beyond.
const CHUNKS: usize = 600 * 1024;
