//! What the gateway counts is what happened: neither a replay nor a pause passes for live.

use steroids_tests::gateway::{Request, Sse};
use steroids_tests::{Ctl, Gateway, Puppet, rpc, served};

const REPLAYS: &str = "steroids_gateway_replay_duration_seconds_count";
const LIVE: &str = "steroids_gateway_live_latency_seconds_count";
const RECONNECTS: &str = "steroids_gateway_reconnects_total";

fn request(gateway: &Gateway, ctl: &Ctl, what: &str) -> Request {
    let project = ctl.project();
    gateway.get(&format!("/api/tasks/T1/{what}project={project}"))
}

async fn open(gateway: &Gateway, ctl: &Ctl, what: &str) -> Sse {
    let stream = request(gateway, ctl, &format!("stream?{what}&"));
    Sse::open(&stream).await.unwrap()
}

#[tokio::test]
async fn only_what_is_sent_to_who_had_caught_up_counts_as_live() {
    let (home, _daemon, gateway, ctl) = served().await;
    let mut agent = Puppet::new(&home, "agent");
    ctl.start_fake("T1", &agent.args()).await;
    let mut first = open(&gateway, &ctl, "").await;
    first.until_comment("live").await;
    agent.prints("one");
    let (cursor, _) = first.event().await.unwrap();
    agent.prints("two");
    first.until("two").await;
    let live = gateway.metric(LIVE).await;
    assert!(live >= 2.0, "{live}");
    // From the ring, and old all the same.
    let mut second = open(&gateway, &ctl, &format!("after={}", cursor.unwrap())).await;
    second.until_comment("live").await;
    assert!((gateway.metric(LIVE).await - live).abs() < 0.5);
    assert!((gateway.metric(REPLAYS).await - 2.0).abs() < 0.5);
    assert!((gateway.metric(RECONNECTS).await - 1.0).abs() < 0.5);
    agent.prints("three");
    first.until("three").await;
    second.until("three").await;
    assert!((gateway.metric(LIVE).await - live - 2.0).abs() < 0.5);
}

#[tokio::test]
async fn a_replay_to_the_end_counts_and_a_wait_for_something_to_begin_does_not() {
    let (home, daemon, gateway, ctl) = served().await;
    let id = ctl.start_fake("T1", &["numbers", "--count", "3"]).await;
    daemon.rpc().await.ended(&ctl.project(), id).await;
    let mut ended = open(&gateway, &ctl, &format!("invocation={id}")).await;
    ended.rest().await;
    assert!((gateway.metric(REPLAYS).await - 1.0).abs() < 0.5);
    let mut following = open(&gateway, &ctl, "follow=task").await;
    following.until("no_active_invocation").await;
    let mut agent = Puppet::new(&home, "agent");
    let next = ctl.start_fake("T1", &agent.args()).await;
    following.until_comment("live").await;
    agent.prints("begun");
    following.until("begun").await;
    assert!((gateway.metric(REPLAYS).await - 1.0).abs() < 0.5);
    // Asking again is how a long-poll goes on; nobody was gone.
    let followed = daemon.rpc().await;
    let selector = rpc::invocation(&ctl.project(), next);
    followed
        .follow(selector, "", true)
        .await
        .until("begun")
        .await;
    let polled = request(&gateway, &ctl, "events?").send().await.ok().value();
    let after = polled["cursor"].as_str().unwrap();
    let again = request(&gateway, &ctl, &format!("events?wait=0&after={after}&"));
    again.send().await.ok();
    assert!(gateway.metric(RECONNECTS).await < 0.5);
}
