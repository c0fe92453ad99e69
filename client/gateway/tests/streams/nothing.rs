//! Where there is nothing to stream: it is said, and in a way that a browser does not ask for again and again.

use crate::browser::{Came, Gateway};
use crate::fake::Fake;
use crate::task::{data, line};

#[tokio::test]
async fn where_there_is_nothing_to_watch_it_is_said() {
    let fake = Fake::start();
    let gateway = Gateway::start(&fake).await;
    let mut reader = gateway.task("", "").await;
    let idle = r#"{"type":"no_active_invocation","taskId":"T1"}"#;
    assert_eq!(reader.rest().await, [idle]);
    let unknown = r#"{"type":"error","error":"Project database not found","project":"/elsewhere"}"#;
    let mut reader = gateway
        .get("/api/tasks/T1/stream?project=/elsewhere", "")
        .await;
    let mut came = Vec::new();
    while came.last() != Some(&Came::End) {
        came.push(reader.next().await);
    }
    // A browser comes back by itself, and need not each two seconds.
    let wanted = [
        Came::Retry("2000".to_owned()),
        Came::Retry("30000".to_owned()),
        Came::Data(unknown.to_owned()),
        Came::End,
    ];
    assert_eq!(came, wanted);
    let poll = "/api/tasks/T1/events?project=/elsewhere";
    assert_eq!(gateway.get(poll, "").await.status, 404);
}

#[tokio::test]
async fn that_an_ended_invocation_has_no_log_is_told_once_to_who_comes_back() {
    let fake = Fake::start();
    fake.world(|world| {
        world.begin(1);
        world.end(1);
        world.logs.clear();
        world.lacks_log = true;
    });
    let gateway = Gateway::start(&fake).await;
    let gap = r#"{"invocationId":1,"ts":1,"type":"gap","reason":"no_log"}"#;
    let mut first = gateway.task("&invocation=1", "").await;
    assert_eq!(first.rest().await, [gap]);
    assert_eq!(gateway.task("&invocation=1", "1:0:0").await.status, 204);
    // A poll in the same way; the task goes on, though.
    let poll = "/api/tasks/T1/events?project=/home/dev/app&invocation=1&after=1:0:0";
    let polled = gateway.get(poll, "").await.body().await;
    assert!(
        polled.contains(r#""events":[],"own":0,"cursor":"1:0:0","done":true"#),
        "{polled}"
    );
    assert_eq!(
        gateway
            .task("&invocation=1&follow=task", "1:0:0")
            .await
            .status,
        200
    );
    // Made anew, it is read from its start.
    fake.world(|world| {
        world.lacks_log = false;
        world.line(1, line(0));
    });
    let mut made = gateway.task("&invocation=1", "1:0:0").await;
    assert_eq!(made.rest().await, [data(1, 0)]);
}
