//! What `steroidsctl list` and `holds` tell and do, over HTTP.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use steroids_tests::{Gateway, served, served_with};

/// The ids of a list, and the page behind it.
async fn listed(gateway: &Gateway, query: &str) -> (Vec<i64>, Option<String>) {
    let target = format!("/api/invocations?{query}");
    let answer = gateway.get(&target).send().await.ok().value();
    let all = answer["invocations"].as_array().unwrap();
    let ids = all.iter().map(|it| it["id"].as_i64().unwrap()).collect();
    (ids, answer["nextPage"].as_str().map(str::to_owned))
}

#[tokio::test]
async fn invocations_are_found_by_how_they_are_page_by_page_and_over_all_projects() {
    let (_home, daemon, gateway, ctl) = served().await;
    let other = daemon.project("other").await;
    let rpc = daemon.rpc().await;
    for (ctl, task, code) in [
        (&ctl, "T1", "0"),
        (&ctl, "T1", "1"),
        (&ctl, "T2", "1"),
        (&other, "T1", "1"),
    ] {
        let id = ctl.start_fake(task, &["exit", code]).await;
        rpc.ended(&ctl.project(), id).await;
    }
    let project = format!("project={}", ctl.project());
    for (query, ids) in [
        ("", vec![3, 2, 1]),
        ("&status=failed", vec![3, 2]),
        ("&status=failed,completed&task=T1", vec![2, 1]),
        ("&outcome=success,rate_limited", vec![1]),
        ("&unresolved=true&task=T1", vec![2]),
        ("&provider=nobody", vec![]),
        ("&until=1000", vec![]),
        ("&since=1000&limit=3", vec![3, 2, 1]),
    ] {
        let query = format!("{project}{query}");
        assert_eq!(listed(&gateway, &query).await, (ids, None), "{query}");
    }
    let (first, next) = listed(&gateway, &format!("{project}&limit=2")).await;
    assert_eq!(first, [3, 2]);
    let rest = format!("{project}&limit=2&page={}", next.unwrap());
    assert_eq!(listed(&gateway, &rest).await, (vec![1], None));
    let (everywhere, _) = listed(&gateway, "outcome=failed").await;
    assert_eq!(everywhere.len(), 3);
    for (query, word) in [
        ("status=done", "status"),
        ("outcome=done", "outcomes"),
        ("since=12h", "since"),
        ("limit=-1", "limit"),
        ("unresolved=true&status=completed", "states"),
    ] {
        let answer = gateway.get(&format!("/api/invocations?{query}"));
        let said = answer.send().await.is(400).text();
        assert!(said.contains(word), "{query}: {said}");
    }
    let unknown = gateway.get("/api/invocations?project=/nowhere");
    let said = unknown.send().await.is(404).value();
    assert_eq!(said["error"], "Project database not found");
}

#[tokio::test]
async fn a_provider_is_held_and_let_go_where_control_is_on() {
    let (_home, _daemon, gateway, _ctl) = served_with("[gateway]\ncontrol = true\n").await;
    let held = async || gateway.get("/api/holds").send().await.ok().value()["holds"].clone();
    let lift = async |target: &str| {
        let request = gateway.bare("DELETE", target).bearer(&gateway.token());
        request.send().await
    };
    assert_eq!(held().await, json!([]));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let until_ms = now.as_millis() as i64 + 60 * 60 * 1000;
    let hold = |provider: &str, until_ms: i64| {
        let body = json!({"provider": provider, "untilMs": until_ms});
        gateway.post("/api/holds", &body)
    };
    let set = hold("claude", until_ms).send().await.ok().value();
    assert_eq!(set["holds"], held().await);
    let one: &Value = &set["holds"][0];
    assert_eq!(
        (&one["provider"], &one["untilMs"], &one["reason"]),
        (&json!("claude"), &json!(until_ms), &json!("by hand"))
    );
    for (provider, until_ms, word) in [
        ("claude", 1000, "until_ms is past"),
        ("nobody", until_ms, "nobody"),
        ("", until_ms, "provider"),
    ] {
        let refused = hold(provider, until_ms).send().await;
        assert!((400..500).contains(&refused.status), "{}", refused.text());
        assert!(refused.text().contains(word), "{}", refused.text());
    }
    for lifted in [true, false] {
        let answer = lift("/api/holds/claude?byHand=1").await.ok().value();
        assert_eq!(answer["lifted"], lifted);
    }
    assert_eq!(held().await, json!([]));
    lift("/api/holds").await.is(405);
    let unknown = lift("/api/holds/nobody").await;
    assert!((400..500).contains(&unknown.status), "{}", unknown.text());
}
