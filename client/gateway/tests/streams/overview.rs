//! The overview: all at once, then what changes.

use crate::browser::Gateway;
use crate::task::running;

#[tokio::test]
async fn everything_first_then_what_changes_and_everything_again_after_a_break() {
    let mut fake = running(1);
    fake.world(|world| {
        world.begin(2);
        world.end(2);
    });
    let gateway = Gateway::start(&fake).await;
    let mut reader = gateway.get("/api/overview/stream", "").await;
    let all = reader.value().await;
    assert_eq!(all["type"], "snapshot");
    assert_eq!(all["projects"].as_array().unwrap().len(), 1);
    assert_eq!(all["running"][0]["id"], 1);
    assert_eq!(all["recent"][0]["id"], 2);
    reader.comment("live").await;
    assert_eq!(reader.last, "", "there is nothing to resume");
    fake.world(|world| {
        world.begin(3);
        world.lifecycle("started", 3);
    });
    let told = reader.value().await;
    assert_eq!(
        (&told["type"], &told["invocation"]["id"]),
        (&"invocation".into(), &3.into())
    );
    fake.world(|world| {
        world.end(3);
        world.lifecycle("finished", 3);
    });
    assert_eq!(reader.value().await["invocation"]["id"], 3);
    fake.kill();
    reader.comment("daemon away").await;
    fake.serve();
    reader.comment("daemon back").await;
    let all = reader.value().await;
    assert_eq!(all["type"], "snapshot");
    assert_eq!(all["recent"].as_array().unwrap().len(), 2);
    reader.comment("live").await;
}

#[tokio::test]
async fn what_ran_in_a_project_that_was_deleted_runs_no_longer() {
    let fake = running(1);
    let gateway = Gateway::start(&fake).await;
    let mut reader = gateway.get("/api/overview/stream", "").await;
    assert_eq!(reader.value().await["running"][0]["id"], 1);
    reader.comment("live").await;
    // Its row is gone with it: nobody tells how it ended.
    fake.world(|world| world.is_missing = true);
    let all = loop {
        let told = reader.value().await;
        if told["type"] == "snapshot" {
            break told;
        }
    };
    assert_eq!(all["running"], serde_json::json!([]));
    assert_eq!(all["projects"][0]["state"], "unusable");
}
