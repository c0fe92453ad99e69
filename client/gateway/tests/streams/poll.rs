//! The long-poll.

use serde_json::{Value, json};

use crate::browser::Gateway;
use crate::fake::{Fake, PROJECT};
use crate::task::{line, running};

async fn poll(gateway: &Gateway, query: &str) -> Value {
    let path = format!("/api/tasks/T1/events?project={PROJECT}{query}");
    let mut reader = gateway.get(&path, "").await;
    assert_eq!(reader.status, 200, "{query}");
    serde_json::from_str(&reader.body().await).unwrap()
}

fn numbers(answer: &Value) -> Vec<i64> {
    let events = answer["events"].as_array().unwrap().iter();
    events.map(|it| it["ts"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn polls_put_together_are_the_log() {
    let fake = running(3);
    let gateway = Gateway::start(&fake).await;
    let first = poll(&gateway, "").await;
    assert_eq!(numbers(&first), [0, 1, 2]);
    assert_eq!(first["cursor"], "1:0:3");
    assert_eq!(
        (&first["done"], &first["success"]),
        (&json!(false), &json!(true))
    );
    let nothing =
        json!({"success": true, "events": [], "own": 0, "cursor": "1:0:3", "done": false});
    assert_eq!(poll(&gateway, "&after=1:0:3&wait=0").await, nothing);
    let write = async {
        // Written once the poll is waiting for it.
        fake.until(|world| world.follows.iter().any(|it| it.follow))
            .await;
        fake.world(|world| world.line(1, line(3)));
    };
    let (came, ()) = tokio::join!(poll(&gateway, "&after=1:0:3&wait=20"), write);
    assert_eq!(
        (numbers(&came), &came["cursor"]),
        (vec![3], &json!("1:0:4"))
    );
    fake.world(|world| world.end(1));
    let last = poll(&gateway, "&after=1:0:4").await;
    assert_eq!((numbers(&last), &last["done"]), (vec![9], &json!(true)));
    let over = poll(&gateway, "&after=1:0:5").await;
    assert_eq!((numbers(&over), &over["done"]), (vec![], &json!(true)));
}

#[tokio::test]
async fn what_is_no_json_is_told_as_text() {
    let fake = Fake::start();
    fake.world(|world| {
        world.begin(1);
        world.line(1, "plain \"text\"");
        world.line(1, "{\"torn\":");
        world.line(1, "[{\"type\":\"error\"}]");
        world.line(
            1,
            " {\"type\":\"log_not_found\",\"taskId\":\"T1\",\"invocationId\":1}",
        );
    });
    let gateway = Gateway::start(&fake).await;
    let answer = poll(&gateway, "").await;
    let unknown = |data| json!({"invocationId": 1, "type": "unknown", "data": data});
    assert_eq!(answer["events"][0], unknown("plain \"text\""));
    assert_eq!(answer["events"][1], unknown("{\"torn\":"));
    assert_eq!(answer["events"][2], unknown("[{\"type\":\"error\"}]"));
    assert_eq!(answer["events"][3]["type"], "log_not_found");
    assert_eq!(
        answer["own"], 0,
        "they are the log's, whatever they look like"
    );
    assert_eq!(answer["done"], false);
}

#[tokio::test]
async fn what_a_stream_says_a_poll_says() {
    let fake = Fake::start();
    let gateway = Gateway::start(&fake).await;
    let idle = poll(&gateway, "").await;
    assert_eq!(idle["events"][0]["type"], "no_active_invocation");
    assert_eq!((&idle["own"], &idle["done"]), (&json!(1), &json!(true)));
    fake.world(|world| {
        world.begin(1);
        (0..3).for_each(|n| world.line(1, line(n)));
    });
    let gone = poll(&gateway, "&after=1:0:900001").await;
    assert_eq!(gone["events"][0]["type"], "gap");
    assert_eq!(gone["own"], 1);
    assert_eq!(gone["events"].as_array().unwrap().len(), 4);
    let bad = format!("/api/tasks/T1/events?project={PROJECT}&after=2:0:1");
    assert_eq!(gateway.get(&bad, "").await.status, 400);
}

#[tokio::test]
async fn a_poll_waits_for_a_daemon_that_is_away_and_says_nothing_is_new() {
    let mut fake = running(1);
    let gateway = Gateway::start(&fake).await;
    fake.kill();
    let answer = poll(&gateway, "&after=1:0:1&wait=0").await;
    assert_eq!(
        (&answer["cursor"], &answer["done"]),
        (&json!("1:0:1"), &json!(false))
    );
    fake.world(|world| world.line(1, line(1)));
    let (answer, ()) = tokio::join!(poll(&gateway, "&after=1:0:1&wait=20"), async {
        fake.serve()
    });
    assert_eq!(numbers(&answer), [1]);
}

#[tokio::test]
async fn a_poll_of_a_daemon_that_is_frozen_is_answered_in_its_time() {
    let mut fake = running(1);
    let gateway = Gateway::start(&fake).await;
    fake.freeze();
    let answer = poll(&gateway, "&after=1:0:1&wait=0").await;
    let nothing =
        json!({"success": true, "events": [], "own": 0, "cursor": "1:0:1", "done": false});
    assert_eq!(answer, nothing);
}
