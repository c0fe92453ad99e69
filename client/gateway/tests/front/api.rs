//! What is answered, with a daemon that does as it is told.

use steroids_proto::v1;
use tonic::{Code, Status};

use crate::fake::{Fake, invocation};
use crate::gateway::{Answer, Gateway};

const PROJECT: &str = "project=/home/dev/app";

/// A daemon with a project, a task and two invocations, and a gateway before it.
fn with_daemon(flags: &[&str]) -> (Fake, Gateway) {
    let fake = Fake::start();
    fake.world(|world| {
        world.projects.push(v1::Project {
            path: "/home/dev/app".to_owned(),
            state: "ready".to_owned(),
            running: 1,
            registered_at_ms: 5,
            ..v1::Project::default()
        });
        world.tasks.push(v1::Task {
            id: "T 1/ä".to_owned(),
            title: "Fix \"it\"".to_owned(),
            invocations: 2,
            running: 1,
            ..v1::Task::default()
        });
        for (id, state) in [(1, v1::State::Completed), (2, v1::State::Running)] {
            let mut new = invocation(id, state);
            new.task_id = "T 1/ä".to_owned();
            world.invocations.push(new);
        }
        world.status.version = "9.9.9".to_owned();
    });
    let mut all = vec!["--socket", fake.socket().to_str().unwrap()];
    all.extend(flags);
    let gateway = Gateway::start(&all);
    (fake, gateway)
}

fn get(gateway: &Gateway, path: &str) -> Answer {
    gateway.call(&format!("GET {path}"), "")
}

/// A task's path with what stands in it written as a URL has it.
const TASK: &str = "/api/tasks/T%201%2F%C3%A4";

#[test]
fn lists_and_objects_have_the_keys_that_steroidsctl_prints() {
    let (_fake, gateway) = with_daemon(&[]);
    let projects = get(&gateway, "/api/projects");
    assert_eq!(
        projects.body,
        r#"{"success":true,"projects":[{"path":"/home/dev/app","state":"ready","running":1,"registeredAtMs":5}]}"#
    );
    let tasks = get(&gateway, &format!("/api/tasks?{PROJECT}"));
    assert_eq!(
        tasks.body,
        r#"{"success":true,"tasks":[{"id":"T 1/ä","title":"Fix \"it\"","invocations":2,"running":1}]}"#
    );
    let task = get(&gateway, &format!("{TASK}?{PROJECT}")).json();
    assert_eq!(task["task"]["id"], "T 1/ä");
    let ids: Vec<_> = task["invocations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["id"].as_i64().unwrap())
        .collect();
    assert_eq!(ids, [1, 2]);
    let one = get(&gateway, &format!("{TASK}/invocations/2?{PROJECT}")).json();
    assert_eq!(one["invocation"]["status"], "running");
    assert_eq!(one["invocation"].get("outcome"), None);
    let status = get(&gateway, "/api/status").json();
    assert_eq!(
        (&status["daemon"], &status["version"]),
        (&"live".into(), &"9.9.9".into())
    );
    assert_eq!(
        (&status["control"], &status["auth"]),
        (&false.into(), &"token".into())
    );
}

#[test]
fn a_task_is_looked_for_page_by_page_however_many_there_are() {
    let (fake, gateway) = with_daemon(&[]);
    fake.world(|world| {
        world.tasks.extend((0..25_000).map(|n| v1::Task {
            id: format!("t{n}"),
            ..v1::Task::default()
        }));
    });
    let found = |path: &str| {
        let before = fake.world(|world| world.task_pages);
        let status = get(&gateway, &format!("{path}?{PROJECT}")).status;
        (status, fake.world(|world| world.task_pages) - before)
    };
    assert_eq!(found(TASK), (200, 1), "on the first of them");
    assert_eq!(found("/api/tasks/t24999"), (200, 26));
    assert_eq!(found("/api/tasks/t25000"), (404, 26));
}

#[test]
fn an_invocation_is_only_found_under_its_own_task() {
    let (_fake, gateway) = with_daemon(&[]);
    for (path, status) in [
        (format!("/api/tasks/T2/invocations/2?{PROJECT}"), 404),
        (format!("{TASK}/invocations/9?{PROJECT}"), 404),
        (format!("{TASK}/invocations/x?{PROJECT}"), 400),
        (format!("{TASK}/invocations/-1?{PROJECT}"), 400),
        (
            format!("{TASK}/invocations/99999999999999999999?{PROJECT}"),
            400,
        ),
        (format!("/api/tasks/T2?{PROJECT}"), 404),
    ] {
        let answer = get(&gateway, &path);
        assert_eq!(answer.status, status, "{path}: {answer:?}");
        assert_eq!(answer.json()["success"], false);
    }
}

#[test]
fn what_cannot_even_be_read_is_refused_in_json_too() {
    let (_fake, gateway) = with_daemon(&[]);
    for path in [
        format!("/api/tasks/%ff?{PROJECT}"),
        format!("/api/tasks/%ff/stream?{PROJECT}"),
        format!("/api/tasks/T2/stream?{PROJECT}&{PROJECT}"),
        format!("/api/projects/stream?{PROJECT}&{PROJECT}"),
    ] {
        let answer = get(&gateway, &path);
        assert_eq!(answer.status, 400, "{path}: {answer:?}");
        assert_eq!(answer.json()["success"], false, "{path}");
    }
}

#[test]
fn a_project_must_be_named_and_known() {
    let (fake, gateway) = with_daemon(&[]);
    for path in [
        "/api/tasks",
        TASK,
        &format!("{TASK}/timeline"),
        &format!("{TASK}/invocations/1"),
        &format!("{TASK}/invocations/1/lines"),
    ] {
        for query in ["", "?project="] {
            let answer = get(&gateway, &format!("{path}{query}"));
            assert_eq!(answer.status, 400);
            assert_eq!(
                answer.body,
                r#"{"success":false,"error":"Missing required query parameter: project"}"#
            );
        }
    }
    fake.world(|world| {
        let mut details = tonic_types::ErrorDetails::new();
        details.set_error_info(
            "NOT_REGISTERED",
            "steroidsd",
            [("a".to_owned(), "b".to_owned())],
        );
        let status =
            <Status as tonic_types::StatusExt>::with_error_details(Code::NotFound, "no", details);
        world.refuse = Some(("timeline", status));
    });
    let answer = get(&gateway, &format!("{TASK}/timeline?project=/gone"));
    assert_eq!(answer.status, 404);
    assert_eq!(
        answer.body,
        r#"{"success":false,"error":"Project database not found","project":"/gone"}"#
    );
}

#[test]
fn what_the_daemon_refuses_is_refused_in_its_words() {
    let (fake, gateway) = with_daemon(&[]);
    for (code, status) in [
        (Code::FailedPrecondition, 409),
        (Code::ResourceExhausted, 429),
        (Code::Unavailable, 503),
    ] {
        fake.world(|world| world.refuse = Some(("tasks", Status::new(code, "because"))));
        let answer = get(&gateway, &format!("/api/tasks?{PROJECT}"));
        assert_eq!(
            (answer.status, &answer.json()["error"]),
            (status, &"because".into())
        );
    }
}

#[test]
fn starting_and_stopping_need_to_be_allowed() {
    let (fake, gateway) = with_daemon(&[]);
    let start = format!("POST {TASK}/invocations?{PROJECT}");
    assert_eq!(gateway.call(&start, "{}").status, 403);
    drop(gateway);
    assert!(fake.world(|world| world.starts.is_empty()));

    let (fake, gateway) = with_daemon(&["--control"]);
    let body = r#"{"provider":"codex","prompt":"do it","requestId":"r1","limits":{"silenceMs":0,"toolSilenceMs":2000,"wallMs":1500,"postResultMs":0,"graceMs":3000},"argv":["a"]}"#;
    let answer = gateway.call(&start, body);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(
        answer
            .body
            .starts_with(r#"{"success":true,"invocationId":3,"#),
        "{answer:?}"
    );
    let asked = fake.world(|world| world.starts[0].clone());
    assert_eq!(
        (asked.project.as_str(), asked.task_id.as_str()),
        ("/home/dev/app", "T 1/ä")
    );
    assert_eq!(
        (asked.provider.as_str(), asked.prompt.as_str()),
        ("codex", "do it")
    );
    let limits = asked.limits.unwrap();
    let millis = |limit: Option<prost_types::Duration>| {
        let limit = limit.unwrap();
        (limit.seconds, limit.nanos)
    };
    // Zero is none, and not the same as nothing said.
    assert_eq!(millis(limits.silence), (0, 0));
    assert_eq!(millis(limits.tool_silence), (2, 0));
    assert_eq!(millis(limits.wall), (1, 500_000_000));
    assert_eq!(millis(limits.post_result), (0, 0));
    assert_eq!(millis(limits.grace), (3, 0));
    assert_eq!(asked.argv, ["a"]);

    for (body, status) in [
        ("{\"promt\":\"x\"}", 400),
        ("{\"prompt\":1}", 400),
        ("[]", 400),
        ("{", 400),
        ("{\"project\":\"/other\"}", 400),
    ] {
        let answer = gateway.call(&start, body);
        assert_eq!(answer.status, status, "{body}: {answer:?}");
    }
    let stop = format!("POST {TASK}/invocations/2/stop?{PROJECT}");
    let answer = gateway.call(&stop, "{}");
    assert_eq!(
        (answer.status, &answer.json()["invocationId"]),
        (200, &2.into())
    );
    // By now it has ended, and is tried again.
    fake.world(|world| {
        world.invocations.push(invocation(7, v1::State::Running));
        let first = world.invocations.iter_mut().find(|it| it.id == 2);
        first.unwrap().retried_by = Some(7);
    });
    let answer = gateway.call(&stop, "{}").json();
    let ids = (&answer["invocationId"], &answer["invocation"]["id"]);
    assert_eq!(ids, (&2.into(), &7.into()));
    assert_eq!(answer["alreadyEnded"], false);
    let other = format!("POST /api/tasks/T2/invocations/2/stop?{PROJECT}");
    assert_eq!(gateway.call(&other, "{}").status, 404);
}

#[test]
fn what_runs_is_stopped_whether_or_not_it_can_be_looked_at() {
    for code in [
        Code::NotFound,
        Code::Unavailable,
        Code::FailedPrecondition,
        Code::DeadlineExceeded,
        Code::DataLoss,
    ] {
        let (fake, gateway) = with_daemon(&["--control"]);
        fake.world(|world| world.refuse = Some(("get", Status::new(code, "no"))));
        let stop = format!("POST {TASK}/invocations/2/stop?{PROJECT}");
        let answer = gateway.call(&stop, "{}");
        assert_eq!(answer.status, 200, "{code:?}: {answer:?}");
        let outcome = fake.world(|world| world.find(2).unwrap().outcome.clone());
        assert_eq!(outcome, "cancelled", "{code:?}");
    }
    let (fake, gateway) = with_daemon(&["--control"]);
    let said = "it has ended, and its project is gone";
    fake.world(|world| world.refuse = Some(("stop", Status::failed_precondition(said))));
    let stop = format!("POST {TASK}/invocations/2/stop?{PROJECT}");
    let answer = gateway.call(&stop, "{}");
    assert_eq!(
        (answer.status, &answer.json()["error"]),
        (409, &said.into())
    );
    let none = format!("POST {TASK}/invocations/9/stop?{PROJECT}");
    assert_eq!(gateway.call(&none, "{}").status, 404);
}

#[test]
fn a_daemon_that_is_away_is_told_of_and_found_again() {
    let (mut fake, gateway) = with_daemon(&[]);
    assert_eq!(gateway.ask("GET /healthz", &[]).status, 200);
    fake.kill();
    let health = gateway.ask("GET /healthz", &[]);
    assert_eq!(
        (health.status, &health.json()["daemon"]),
        (503, &"away".into())
    );
    let projects = get(&gateway, "/api/projects");
    assert_eq!(
        (projects.status, &projects.json()["error"]),
        (503, &"the daemon is away".into())
    );
    let status = get(&gateway, "/api/status");
    assert_eq!(
        (status.status, &status.json()["daemon"]),
        (200, &"away".into())
    );
    fake.serve();
    assert_eq!(gateway.ask("GET /healthz", &[]).status, 200);
}

#[test]
fn what_is_counted_is_shown_to_whoever_has_the_token() {
    let (_fake, gateway) = with_daemon(&[]);
    gateway.ask("GET /", &["Host: evil"]);
    let answer = get(&gateway, "/metrics");
    assert!(
        answer
            .head
            .contains("content-type: text/plain; version=0.0.4")
    );
    assert!(
        answer
            .body
            .contains("steroids_gateway_refused_total{reason=\"host\"} 1\n")
    );
    assert!(answer.body.contains("\nsteroids_gateway_connections_open "));
}

#[test]
fn a_story_comes_in_parts_and_one_that_breaks_off_has_no_end() {
    let (fake, gateway) = with_daemon(&[]);
    fake.world(|world| (1..4).for_each(|n| world.line(1, format!("{{\"ts\":{n}}}"))));
    let ask = || get(&gateway, &format!("{TASK}/timeline?{PROJECT}"));
    let begin = r#"{"success":true,"timeline":[{"invocationId":1,"ts":1}"#;
    let rest = r#",{"invocationId":1,"ts":2},{"invocationId":1,"ts":3}"#;
    let part = |text: &str| format!("{:X}\r\n{text}\r\n", text.len());
    let whole = ask();
    assert!(whole.head.contains("transfer-encoding: chunked\r\n"));
    assert_eq!(
        whole.body,
        [part(begin), part(rest), part("]}"), part("")].concat()
    );
    fake.world(|world| world.break_after = vec![1]);
    let token = gateway.token();
    let host = &gateway.host;
    // How much of it was written by then is another matter.
    let broken = gateway.raw(
        format!(
            "GET {TASK}/timeline?{PROJECT} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n"
        )
        .as_bytes(),
    );
    assert!(!broken.ends_with(&part("")), "{broken}");
    // Another's connection is none the worse.
    assert_eq!(ask().body, whole.body);
    fake.world(|world| world.lines.clear());
    let empty = [
        part(r#"{"success":true,"timeline":["#),
        part("]}"),
        part(""),
    ];
    assert_eq!(ask().body, empty.concat());
}
