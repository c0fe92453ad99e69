//! A CLI that prints what no parser knows is seen on the first day: in `status`, in `doctor` and by
//! a scrape.

use serde_json::json;
use steroids_tests::{Puppet, rpc, served};

#[tokio::test]
async fn events_of_another_format_are_counted_once_by_who_printed_them() {
    let (home, mut daemon, gateway, ctl) = served().await;
    let rpc = daemon.rpc().await;
    let none = ctl.run(["--json", "status"]).await.json();
    assert_eq!(
        (&none["unknownEvents"], none.get("unknown")),
        (&json!(0), None)
    );
    let mut agent = Puppet::new(&home, "agent");
    let words = agent.args();
    let started = rpc.start_as(&ctl.project(), "T1", "claude", &words).await;
    agent.prints(r#"{"type":"system","subtype":"init","session_id":"s-1","claude_code_version":"9.9.9","tools":[]}"#);
    agent.prints(r#"{"type":"system","subtype":"next_years_event","session_id":"s-1"}"#);
    agent.prints(r#"{"type":"system","subtype":"next_years_event","session_id":"s-1"}"#);
    agent.prints(r#"{"type":"telepathy"}"#);
    let selector = rpc::invocation(&ctl.project(), started.id);
    let mut followed = rpc.follow(selector, "", true).await;
    followed.until("telepathy").await;
    // Decoded once more, from the beginning: by this daemon, as its log is not what it was,
    std::fs::write(ctl.log_path(started.id), "garbage\n").unwrap();
    agent.prints(r#"{"type":"telepathy"}"#);
    followed.until("telepathy").await;
    let seen = |status: &serde_json::Value| {
        let mut unknown = status["unknown"][0].clone();
        let times = unknown.as_object_mut().unwrap();
        let mut time = |key: &str| times.remove(key).unwrap().as_i64().unwrap();
        assert!(time("firstAtMs") <= time("lastAtMs"));
        unknown
    };
    let expected = json!({
        "provider": "claude",
        "version": "9.9.9",
        "count": 4,
        "names": [
            {"name": "system/next_years_event", "count": 2},
            {"name": "telepathy", "count": 2},
        ],
    });
    assert_eq!(seen(&ctl.run(["--json", "status"]).await.json()), expected);
    // and by the next, which counts from its start.
    daemon.kill9_and_restart().await;
    agent.exits(0);
    let rpc = daemon.rpc().await;
    rpc.ended(&ctl.project(), started.id).await;
    let status = ctl.run(["--json", "status"]).await.json();
    assert_eq!(
        (seen(&status), &status["unknownEvents"]),
        (expected, &json!(4))
    );

    let line = "steroids_unknown_events_total{provider=\"claude\",version=\"9.9.9\"}";
    assert!((gateway.metric(line).await - 4.0).abs() < 0.5);
    let human = ctl.run(["status"]).await.ok();
    let said = "events: claude 9.9.9: 4 (system/next_years_event 2, telepathy 2), first ";
    assert!(
        human.contains(said) && human.contains("reproject --all"),
        "{human}"
    );
    let doctor = ctl.run(["--json", "doctor"]).await.stdout;
    let doctor: serde_json::Value = serde_json::from_str(&doctor).unwrap();
    let checks = doctor["checks"].as_array().unwrap();
    let suspected = checks
        .iter()
        .find(|check| check["name"] == "parsers")
        .unwrap();
    assert_eq!(suspected["status"], "warn");
    let message = suspected["message"].as_str().unwrap();
    assert!(
        message.starts_with("format change suspected: claude 9.9.9: 4"),
        "{message}"
    );
}
