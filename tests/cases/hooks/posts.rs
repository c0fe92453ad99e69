//! Hooks that post.

use base64::Engine as _;
use ring::hmac;
use serde_json::{Value, json};
use steroids_tests::receiver::{Closed, Received, Reply};
use steroids_tests::{Daemon, Home};

use super::{delivered, in_state, insert, shown};

/// A hook that posts there.
fn hook(name: &str, on: &str, url: &str, more: &str) -> String {
    format!("[[hooks]]\nname = \"{name}\"\non = [\"{on}\"]\nurl = \"{url}\"\n{more}\n")
}

fn is_signed_with(key: &[u8], request: &Received) -> bool {
    let signature = request.headers["webhook-signature"].strip_prefix("v1,");
    let encoded = base64::engine::general_purpose::STANDARD.decode(signature.unwrap());
    let (id, at) = (request.id(), &request.headers["webhook-timestamp"]);
    let mut signed = format!("{id}.{at}.").into_bytes();
    signed.extend_from_slice(&request.body);
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::verify(&key, &signed, &encoded.unwrap()).is_ok()
}

#[tokio::test]
async fn what_has_ended_is_posted_signed_and_as_show_has_it() {
    let server = Closed::new();
    let more = "outcome = [\"!success\"]\nsecret = \"hush hush\"\nheaders = { X-Key = \"k3y-of-the-door\" }";
    let url = server.url("/s3cret-path");
    let home = Home::with_config(&hook("alarm", "finished", &url, more));
    let mut server = server.open();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    for code in ["0", "3"] {
        let id = ctl.start_fake("T1", &["exit", code]).await;
        rpc.ended(&ctl.project(), id).await;
    }
    let request = server.next().await;
    assert_eq!(request.line, "POST /s3cret-path HTTP/1.1");
    assert!(is_signed_with(b"hush hush", &request));
    assert_eq!(request.headers["content-type"], "application/json");
    assert_eq!(request.headers["x-key"], "k3y-of-the-door");
    let body = request.json();
    assert_eq!(body["id"], request.id());
    assert_eq!(body["event"], "finished");
    assert_eq!(body["project"], ctl.project());
    assert_eq!(body["taskId"], "T1");
    assert_eq!(body["invocation"]["outcome"], "failed");
    // The same keys and values as everywhere.
    let mut show = ctl.run(["show", "2", "--json"]).await.json();
    for key in ["prompt", "response", "evidence", "terms"] {
        show.as_object_mut().unwrap().remove(key);
    }
    assert_eq!(body["invocation"], show);
    // The success before it was filtered out, not only late.
    let hook = delivered(&ctl, "alarm", 1).await;
    assert!(server.ready().is_none());
    assert_eq!(hook["state"], "ready");
    assert!(!hook.to_string().contains("s3cret-path"), "{hook}");
    let tested = ctl.run(["hooks", "test", "alarm", "--json"]).await.json();
    assert_eq!(tested["delivered"], true);
    let test = server.next().await.json();
    assert_eq!(test["event"], "test");
    // Who answers may quote where it was asked.
    server.replies([Reply::Status(500, "")]);
    let tested = ctl.run(["hooks", "test", "alarm"]).await.exits(4);
    let said = "answered 500 Internal Server Error: an answer to POST [redacted";
    assert!(tested.stdout.contains(said), "{tested:?}");
    assert!(!tested.stdout.contains("s3cret-path"), "{tested:?}");
    assert_eq!(ctl.run(["status", "--json"]).await.json()["hooks"], 1);
    ctl.run(["hooks", "test", "nobody"])
        .await
        .exits(3)
        .says("no hook named");
    for secret in ["s3cret-path", "hush hush", "k3y-of-the-door"] {
        assert!(!home.daemon_log().contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn an_endpoint_that_comes_back_gets_what_it_missed_in_order() {
    let closed = Closed::new();
    let more = "retry_after = \"20ms\"\nretries = 100";
    let home = Home::with_config(&hook("away", "finished", &closed.url("/"), more));
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    for _ in 0..2 {
        let id = ctl.start_fake("T1", &["exit", "0"]).await;
        rpc.ended(&ctl.project(), id).await;
    }
    let hook = in_state(&ctl, "away", "failing").await;
    let why = hook["lastError"].as_str().unwrap();
    assert!(why.contains("Connection refused"), "{why}");
    // Refused once more by one that is there, and then taken, under the id it had.
    let mut server = closed.open();
    server.replies([
        Reply::Status(500, ""),
        Reply::Status(302, "location: /other\r\n"),
    ]);
    let tries = [
        server.next().await,
        server.next().await,
        server.next().await,
    ];
    for again in &tries[1..] {
        assert_eq!(tries[0].body, again.body);
        assert_eq!(tries[0].id(), again.id());
        assert_eq!(again.line, "POST / HTTP/1.1");
    }
    let second = server.next().await.json();
    assert_eq!(tries[0].json()["invocation"]["id"], 1);
    assert_eq!(second["invocation"]["id"], 2);
    assert_ne!(second["id"], tries[0].id());
    let hook = delivered(&ctl, "away", 2).await;
    assert_eq!(
        (&hook["state"], &hook["failures"]),
        (&json!("ready"), &json!(0))
    );
}

#[tokio::test]
async fn what_cannot_be_delivered_is_given_up_said_and_in_nobodys_way() {
    let (bad, mute, stuck, good) = (Closed::new(), Closed::new(), Closed::new(), Closed::new());
    let few = "retries = 1\nretry_after = \"10ms\"";
    let config = [
        hook("bad", "finished", &bad.url("/"), few),
        hook(
            "mute",
            "finished",
            &mute.url("/"),
            "retries = 0\ntimeout = \"200ms\"",
        ),
        hook("stuck", "finished", &stuck.url("/"), "timeout = \"5m\""),
        hook("good", "finished", &good.url("/"), ""),
    ];
    let home = Home::with_config(&config.concat());
    let (mut bad, mute, mut stuck, mut good) = (bad.open(), mute.open(), stuck.open(), good.open());
    bad.replies([Reply::Status(500, ""), Reply::Status(500, "")]);
    mute.replies([Reply::Never]);
    stuck.replies([Reply::Never]);
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    ctl.start_fake("T1", &["exit", "0"]).await;
    let hook = in_state(&ctl, "mute", "given_up").await;
    assert_eq!(hook["lastError"], "did not end within 200ms");
    ctl.start_fake("T1", &["exit", "0"]).await;
    stuck.next().await;
    for id in [1, 2] {
        assert_eq!(good.next().await.json()["invocation"]["id"], id);
    }
    for id in [1, 1, 2] {
        assert_eq!(bad.next().await.json()["invocation"]["id"], id);
    }
    let hook = delivered(&ctl, "bad", 1).await;
    assert_eq!(hook["state"], "ready");
    let log = home.daemon_log();
    assert!(log.contains("given up"), "{log}");
}

#[tokio::test]
async fn a_given_up_hook_is_told_in_status_and_one_that_is_gone_is_off_until_a_test_goes_well() {
    let (bad, gone) = (Closed::new(), Closed::new());
    let config = [
        hook(
            "bad",
            "finished",
            &bad.url("/"),
            "retries = 0\nretry_after = \"1h\"",
        ),
        hook("gone", "finished", &gone.url("/"), ""),
    ];
    let home = Home::with_config(&config.concat());
    let (mut bad, mut gone) = (bad.open(), gone.open());
    bad.replies([Reply::Status(503, "")]);
    gone.replies([Reply::Status(410, ""), Reply::Status(410, "")]);
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    ctl.start_fake("T1", &["exit", "0"]).await;
    in_state(&ctl, "bad", "given_up").await;
    in_state(&ctl, "gone", "off").await;
    let rpc = daemon.rpc().await;
    let degraded = rpc.degraded().await.join("\n");
    assert!(
        degraded.contains("hook bad: 1 event could not be delivered: answered 503"),
        "{degraded}"
    );
    assert!(
        degraded.contains("hook gone: switched off, as its endpoint answered 410"),
        "{degraded}"
    );
    let tested = ctl.run(["hooks", "test", "gone"]).await.exits(4);
    assert!(tested.stdout.contains("not delivered in"), "{tested:?}");
    // What comes meanwhile is passed over.
    ctl.start_fake("T1", &["exit", "0"]).await;
    let skipped = async || {
        let hook = shown(&ctl, "gone").await;
        (hook["skipped"] == 1).then_some(())
    };
    steroids_tests::eventually("one passed over", skipped).await;
    for name in ["bad", "gone"] {
        ctl.run(["hooks", "test", name]).await.ok();
        in_state(&ctl, name, "ready").await;
    }
    assert!(rpc.degraded().await.is_empty());
    ctl.start_fake("T1", &["exit", "0"]).await;
    for (server, events) in [
        // What had to rest for an hour need not any more.
        (&mut bad, [json!(1), Value::Null, json!(2), json!(3)]),
        (&mut gone, [json!(1), Value::Null, Value::Null, json!(3)]),
    ] {
        for id in events {
            assert_eq!(server.next().await.json()["invocation"]["id"], id);
        }
    }
}

#[tokio::test]
async fn two_hundred_events_at_once_come_in_order_and_a_removed_project_holds_up_no_other() {
    let server = Closed::new();
    let home = Home::with_config(&hook("all", "stalled", &server.url("/"), ""));
    let mut server = server.open();
    let daemon = Daemon::start(&home).await;
    let (gone, ctl) = (daemon.project("a-gone").await, daemon.project("app").await);
    server.replies([Reply::Status(500, "retry-after: 3600\r\n")]);
    insert(
        &gone,
        "stalled",
        std::iter::once("waits for the model".to_owned()),
    );
    gone.start_fake("T1", &["exit", "0"]).await;
    assert_eq!(server.next().await.json()["project"], gone.project());
    gone.delete_folder().await;
    insert(&ctl, "stalled", (0..200).map(|number| number.to_string()));
    ctl.start_fake("T1", &["exit", "0"]).await;
    for number in 0..200 {
        let body = server.next().await.json();
        assert_eq!(body["message"], number.to_string());
        assert_eq!(body["text"], format!("app: stalled: {number}"));
    }
    delivered(&ctl, "all", 200).await;
}
