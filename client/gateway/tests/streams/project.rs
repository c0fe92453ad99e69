//! All that runs in a project, and what becomes of it.

use crate::browser::{Came, Gateway, Reader};
use crate::fake::{Fake, PROJECT};
use crate::task::{data, line, running};

async fn open(gateway: &Gateway, last: &str) -> Reader {
    let path = format!("/api/projects/stream?project={PROJECT}");
    gateway.get(&path, last).await
}

fn start(fake: &Fake, id: i64) {
    fake.world(|world| {
        world.begin(id);
        world.lifecycle("started", id);
    });
}

#[tokio::test]
async fn it_begins_with_what_runs_and_goes_on_with_what_comes() {
    let fake = running(2);
    fake.world(|world| {
        world.end(1);
        world.begin(2);
        world.line(2, line(0));
        world.lifecycle("started", 2);
    });
    let gateway = Gateway::start(&fake).await;
    let mut reader = open(&gateway, "").await;
    assert_eq!(reader.data().await, Some(data(2, 0)), "1 has ended");
    reader.comment("live").await;
    start(&fake, 3);
    let told = reader.value().await;
    assert_eq!(
        (&told["type"], &told["kind"]),
        (&"lifecycle".into(), &"started".into())
    );
    assert_eq!(
        (&told["invocationId"], &told["taskId"]),
        (&3.into(), &"T1".into())
    );
    assert_eq!(told["invocation"]["id"], 3);
    fake.world(|world| world.line(3, line(0)));
    assert_eq!(reader.data().await, Some(data(3, 0)));
    assert!(reader.last.starts_with("p.2."), "{}", reader.last);
}

#[tokio::test]
async fn an_id_resumes_lines_and_lifecycle_alike() {
    let fake = running(1);
    let gateway = Gateway::start(&fake).await;
    let mut reader = open(&gateway, "").await;
    assert_eq!(reader.data().await, Some(data(1, 0)));
    // Before any lifecycle event the id says since when there was none.
    let early = reader.last.clone();
    assert!(early.starts_with("p.t"), "{early}");
    reader.comment("live").await;
    start(&fake, 2);
    assert_eq!(reader.value().await["kind"], "started");
    let late = reader.last.clone();
    drop(reader);
    // While nobody is there, one comes and goes.
    start(&fake, 3);
    fake.world(|world| {
        world.line(3, line(0));
        world.end(3);
        world.lifecycle("finished", 3);
    });
    for (id, kinds) in [
        (early, &["started", "started", "finished"][..]),
        (late, &["started", "finished"]),
    ] {
        let mut again = open(&gateway, &id).await;
        let (mut lifecycle, mut lines) = (Vec::new(), Vec::new());
        while lifecycle.len() < kinds.len() || lines.len() < 2 {
            let told = again.value().await;
            match told["kind"].as_str() {
                Some(kind) => lifecycle.push(kind.to_owned()),
                None => lines.push(told["type"].as_str().unwrap().to_owned()),
            }
        }
        assert_eq!(lifecycle, kinds);
        assert_eq!(lines, ["output", "complete"]);
    }
}

#[tokio::test]
async fn a_cursor_of_something_else_is_refused() {
    let fake = running(1);
    let gateway = Gateway::start(&fake).await;
    for cursor in ["1:0:1", "p.1", "p.x.1:0:1", "p.0.nonsense"] {
        assert_eq!(open(&gateway, cursor).await.status, 400, "{cursor}");
    }
    // Also where its other half, which is looked at first, is one that is gone.
    assert_eq!(open(&gateway, "p.80.nonsense").await.status, 400);
    let mut elsewhere = gateway
        .get("/api/projects/stream?project=/elsewhere", "")
        .await;
    assert_eq!(
        elsewhere.value().await["error"],
        "Project database not found"
    );
    assert_eq!(gateway.get("/api/projects/stream", "").await.status, 400);
}

#[tokio::test]
async fn what_happens_after_the_clock_was_set_back_is_told_too() {
    let fake = running(1);
    let gateway = Gateway::start(&fake).await;
    let mut reader = open(&gateway, "").await;
    assert_eq!(reader.data().await, Some(data(1, 0)));
    reader.comment("live").await;
    fake.world(|world| {
        world.begin(2);
        world.lifecycle("started", 2);
        world.lifecycle.last_mut().unwrap().ts -= 3_600_000;
    });
    assert_eq!(reader.value().await["kind"], "started");
}

#[tokio::test]
async fn a_place_among_lifecycle_events_that_is_gone_is_told_and_it_goes_on_from_now() {
    let mut fake = running(1);
    start(&fake, 2);
    let gateway = Gateway::start(&fake).await;
    let mut reader = open(&gateway, "p.80.1:0:1_2:0:0").await;
    let gap = reader.value().await;
    assert_eq!(
        (&gap["type"], &gap["reason"], &gap["lost"]),
        (&"gap".into(), &"lifecycle".into(), &"80".into())
    );
    assert_eq!(reader.last, "", "it is no event to come back to");
    reader.comment("live").await;
    start(&fake, 3);
    assert_eq!(reader.value().await["invocationId"], 3);
    // Its place in the logs is as good as before.
    fake.world(|world| world.line(1, line(1)));
    assert_eq!(reader.data().await, Some(data(1, 1)));
    assert!(reader.last.starts_with("p.2."), "{}", reader.last);
    // The database is another one while somebody looks on.
    fake.kill();
    reader.comment("daemon away").await;
    fake.world(|world| world.lifecycle.clear());
    fake.serve();
    assert_eq!(reader.value().await["lost"], "2");
    reader.comment("live").await;
    start(&fake, 4);
    assert_eq!(reader.value().await["invocationId"], 4);
}

#[tokio::test]
async fn a_stream_of_a_daemon_that_is_frozen_begins_and_says_that_it_is_away() {
    let mut fake = running(1);
    fake.freeze();
    let gateway = Gateway::start(&fake).await;
    let mut reader = open(&gateway, "").await;
    assert_eq!(reader.status, 200);
    reader.comment("daemon away").await;
    fake.serve();
    reader.comment("daemon back").await;
    assert_eq!(reader.data().await, Some(data(1, 0)));
}

#[tokio::test]
async fn it_outlives_the_daemon() {
    let mut fake = running(1);
    let gateway = Gateway::start(&fake).await;
    let mut reader = open(&gateway, "").await;
    assert_eq!(reader.data().await, Some(data(1, 0)));
    reader.comment("live").await;
    fake.kill();
    reader.comment("daemon away").await;
    fake.world(|world| world.line(1, line(1)));
    start(&fake, 2);
    fake.serve();
    assert_eq!(reader.next().await, Came::Comment("daemon back".to_owned()));
    let both = [reader.value().await, reader.value().await];
    assert!(both.iter().any(|it| it["kind"] == "started"), "{both:?}");
    assert!(both.iter().any(|it| it["ts"] == 1), "{both:?}");
    reader.comment("live").await;
}

#[tokio::test]
async fn one_that_reads_nothing_holds_no_upstream_and_misses_nothing() {
    let fake = running(1);
    let gateway = Gateway::start(&fake).await;
    let mut reader = open(&gateway, "").await;
    assert_eq!(reader.data().await, Some(data(1, 0)));
    reader.comment("live").await;
    let long = |n: usize| {
        format!(
            r#"{{"ts":{n},"type":"output","msg":"{}"}}"#,
            "x".repeat(4000)
        )
    };
    fake.world(|world| (1..5000).for_each(|n| world.line(1, long(n))));
    // Its socket is full: the upstream is let go of.
    fake.until(|world| world.open == 0).await;
    for n in 1..5000 {
        assert_eq!(reader.value().await["ts"], n);
    }
}
