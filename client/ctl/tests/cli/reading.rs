//! What the commands that only look print, for people and for scripts.

use crate::fake::{Fake, invocation};
use crate::harness::run;
use steroids_proto::v1;

/// Three invocations of two tasks: one failed, one succeeded, one runs.
pub(crate) fn three() -> Fake {
    let fake = Fake::start();
    fake.world(|world| {
        let mut failed = invocation(1, v1::State::Failed);
        failed.outcome = "rate_limited".to_owned();
        failed.error = "usage limit reached,\u{1b}[31m resets at 15:00".to_owned();
        failed.exit_code = Some(1);
        failed.resets_at_ms = Some(820_461_600_000);
        failed.http_status = Some(429);
        failed.cause = "unknown_session".to_owned();
        failed.evidence = Some(v1::Evidence {
            final_event: r#"{"type":"result","is_error":true}"#.to_owned(),
            stderr: vec!["it said:\u{1b}[2J no".to_owned()],
            ..v1::Evidence::default()
        });
        let mut done = invocation(2, v1::State::Completed);
        done.provider = "codex".to_owned();
        done.task_id = "T2-a-longer-name".to_owned();
        done.session_id = "0199-aa".to_owned();
        done.request_id = "r-2".to_owned();
        done.uuid = "5c7e".to_owned();
        done.usage = Some(v1::Usage {
            input_tokens: 12_300,
            output_tokens: 1_240,
            cached_input_tokens: 80_000,
            cache_creation_tokens: 0,
            total_cost_usd: Some(0.5312),
            ..v1::Usage::default()
        });
        done.prompt = (1..=12).map(|n| format!("prompt line {n}\n")).collect();
        done.response = "All tests pass.\n\u{1b}]0;evil\u{7}Done.".to_owned();
        let mut running = invocation(3, v1::State::Running);
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap();
        // In the middle of a minute, so that the test may take some time.
        running.started_at_ms = Some(now.as_millis() as i64 - 12_630_000);
        running.pid = Some(4711);
        world.invocations = vec![failed, done, running];
        world.tasks = vec![
            v1::Task {
                id: "T1".to_owned(),
                title: "Port the parser".to_owned(),
                status: "in_progress".to_owned(),
                invocations: 2,
                running: 1,
                last_started_at_ms: Some(820_454_400_000),
                last_state: v1::State::Failed.into(),
                last_outcome: "rate_limited".to_owned(),
            },
            v1::Task {
                id: "T2-a-longer-name".to_owned(),
                ..Default::default()
            },
        ];
        world.projects = vec![v1::Project {
            path: "/home/dev/app".to_owned(),
            state: "needs_migration".to_owned(),
            reason: "its schema is 009: run `steroidsctl migrate`".to_owned(),
            running: 1,
            registered_at_ms: 820_454_400_000,
        }];
        world.status = v1::StatusResponse {
            version: "0.1.0".to_owned(),
            pid: 99,
            started_at_ms: 820_454_400_000,
            socket: "/run/user/7/steroids/steroidsd.sock".to_owned(),
            state_dir: "/home/dev/.local/state/steroids".to_owned(),
            state: "serving".to_owned(),
            running: 1,
            max_running: 8,
            projects: 1,
            launcher: "fork".to_owned(),
            rss_bytes: 12_000_000,
            providers: vec![v1::Provider {
                name: "claude".to_owned(),
                kind: "claude".to_owned(),
                command: "claude".to_owned(),
                program: String::new(),
                env: Vec::new(),
            }],
            held: 2,
            stalled: 1,
            ..measured()
        };
    });
    fake
}

/// What a daemon measures.
fn measured() -> v1::StatusResponse {
    v1::StatusResponse {
        projection_lag: Some(v1::ProjectionLag {
            invocations: 1,
            bytes: 3 << 20,
            worst_bytes: 3 << 20,
            worst_age_ms: 4000,
            worst_project: "/home/dev/app".to_owned(),
            worst_invocation: 3,
        }),
        subscriber_lag: Some(v1::SubscriberLag {
            streams: 1,
            bytes: 9000,
            worst_bytes: 9000,
        }),
        commits: Some(v1::CommitLatency {
            count: 12,
            sum_us: 9000,
            last_us: 800,
            worst_us: 31_000,
            window_seconds: 300,
            buckets: Vec::new(),
        }),
        hook_queues: vec![v1::HookQueue {
            name: "page".to_owned(),
            state: "failing".to_owned(),
            waiting: 4,
            delivered: 8,
            failures: 2,
            skipped: 0,
        }],
        export: Some(v1::Export {
            endpoint: "https://collector.example".to_owned(),
            spans_sent: 120,
            spans_dropped: 3,
            failures: 1,
            last_error: "answered 503".to_owned(),
        }),
        stored: Some(v1::Stored {
            spools: 3,
            spool_bytes: 5 << 20,
            logs: 9,
            log_bytes: 1 << 20,
            measured_at_ms: 820_454_400_000,
        }),
        counts: Some(v1::Counts {
            started: vec![v1::ProviderCount {
                provider: "claude".to_owned(),
                count: 5,
            }],
            ended: vec![v1::EndedCount {
                provider: "claude".to_owned(),
                outcome: "success".to_owned(),
                count: 4,
            }],
            adopted: 1,
            used: vec![v1::UsedCount {
                provider: "claude".to_owned(),
                model: "opus".to_owned(),
                input_tokens: 1200,
                cost_usd: 1.25,
                ..Default::default()
            }],
            ..Default::default()
        }),
        ..Default::default()
    }
}

#[test]
fn lists_are_aligned_and_newest_first() {
    insta::assert_snapshot!(run(&three(), &["list"]).all());
}

#[test]
fn lists_can_be_narrowed() {
    let fake = three();
    let ids = |arguments: &[&str]| -> Vec<String> {
        let ran = run(&fake, arguments);
        assert_eq!(ran.code, 0, "{ran:?}");
        ran.stdout
            .lines()
            .skip(1)
            .map(|line| line.split_whitespace().next().unwrap().to_owned())
            .collect()
    };
    assert_eq!(ids(&["list"]), ["3", "2", "1"]);
    assert_eq!(ids(&["list", "--running"]), ["3"]);
    assert_eq!(ids(&["list", "--task", "T1"]), ["3", "1"]);
    assert_eq!(
        ids(&["list", "--status", "failed", "--status", "completed"]),
        ["2", "1"]
    );
    assert_eq!(ids(&["list", "--limit", "1"]), ["3"]);
}

#[test]
fn a_list_may_be_of_ids_alone() {
    let fake = three();
    let ids = run(&fake, &["list", "-q", "--limit", "2"]);
    assert_eq!((ids.code, ids.stdout.as_str()), (0, "3\n2\n"));
    assert!(ids.stderr.contains("more than these 2: --limit"), "{ids:?}");
    let none = run(&fake, &["list", "--quiet", "--status", "timeout"]);
    assert_eq!((none.stdout.as_str(), none.stderr.as_str()), ("", ""));
    // An id means nothing without its project.
    let all = run(&fake, &["list", "-q", "--all", "--limit", "1"]).stdout;
    assert!(all.starts_with("3 /"), "{all}");
}

#[test]
fn an_empty_list_says_so_beside_the_output() {
    let ran = run(&three(), &["list", "--status", "timeout"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, ""));
    assert!(ran.stderr.contains("no such invocations"));
}

#[test]
fn lists_for_scripts_have_stable_keys_and_no_nulls() {
    let ran = run(&three(), &["list", "--json", "--task", "T2-a-longer-name"]);
    insta::assert_snapshot!(ran.stdout);
    assert!(!run(&three(), &["list", "--json"]).stdout.contains("null"));
}

#[test]
fn what_runs_is_listed_behind_all_that_waits() {
    let fake = Fake::start();
    fake.world(|world| {
        world.invocations = vec![invocation(1, v1::State::Running)];
        let waiting = (2..70).map(|id| invocation(id, v1::State::Queued));
        world.invocations.extend(waiting);
    });
    for arguments in [&["list", "--running"][..], &["list", "--status", "running"]] {
        let ran = run(&fake, arguments);
        let last = ran.stdout.lines().last().unwrap_or_default();
        assert!(last.trim_start().starts_with("1 "), "{ran:?}");
        assert_eq!(ran.stderr, "");
    }
}

#[test]
fn a_list_says_that_it_is_not_all() {
    let fake = three();
    let ran = run(&fake, &["list", "--limit", "2"]);
    assert!(ran.stderr.contains("more than these 2: --limit"), "{ran:?}");
    let more = |arguments: &[&str]| {
        let ran = run(&fake, arguments);
        let listed: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        listed.get("more").cloned()
    };
    let cut = more(&["list", "--json", "--limit", "2"]);
    assert_eq!(cut, Some(serde_json::json!(true)));
    assert_eq!(more(&["list", "--json", "--limit", "3"]), None);
}

#[test]
fn a_list_names_the_projects_that_it_could_not_ask() {
    let fake = three();
    fake.world(|world| world.unread = vec!["/hung\u{1b}[2J".to_owned()]);
    let ran = run(&fake, &["list", "--all"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    // Once, though each page says so.
    let notes: Vec<_> = ran.stderr.lines().collect();
    let [note] = notes.as_slice() else {
        panic!("{ran:?}");
    };
    assert!(note.contains("did not answer: /hung"), "{note}");
    assert!(!note.contains('\u{1b}'), "{note:?}");
    let ran = run(&fake, &["list", "--all", "--json"]);
    let listed: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(listed["unread"], serde_json::json!(["/hung\u{1b}[2J"]));
    assert_eq!(ran.stderr, "");
}

#[test]
fn of_a_project_that_is_gone_it_is_said_so_and_what_to_do() {
    let fake = three();
    fake.world(|world| {
        world.unread = vec!["/home/ada/my app".to_owned()];
        world.gone = world.unread.clone();
    });
    let ran = run(&fake, &["list"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let note = ran.stderr.trim_end();
    assert!(note.starts_with("/home/ada/my app: it is gone, "), "{note}");
    for todo in [
        "steroidsctl --project '/home/ada/my app' stop --all",
        "steroidsctl projects forget '/home/ada/my app'",
    ] {
        assert!(note.contains(todo), "{note}");
    }
    assert!(!note.contains("did not answer"), "{note}");
    let listed = run(&fake, &["list", "--json"]).stdout;
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed["gone"], serde_json::json!(["/home/ada/my app"]));
}

#[test]
fn one_invocation_is_shown_with_prompt_and_answer() {
    insta::assert_snapshot!(run(&three(), &["show", "2"]).all());
}

#[test]
fn of_a_long_answer_its_end_is_shown_and_where_the_rest_is() {
    let fake = three();
    fake.world(|world| {
        world.invocations[1].response = (1..=300).map(|n| format!("line {n}\n")).collect();
    });
    let shown = run(&fake, &["show", "2"]).stdout;
    let (_, answer) = shown.split_once("\nanswer\n").unwrap();
    let lines: Vec<_> = answer.lines().collect();
    assert_eq!(
        lines[0],
        "  … the last 100 lines (all of it: steroidsctl stream 2 --no-follow)"
    );
    assert_eq!(lines[1], "  line 201");
    assert_eq!(lines[100..], ["  line 300"]);
}

#[test]
fn a_failed_invocation_says_why_without_its_control_bytes() {
    insta::assert_snapshot!(run(&three(), &["show", "#1"]).all());
}

#[test]
fn show_for_scripts_has_everything() {
    insta::assert_snapshot!(run(&three(), &["show", "1", "--json"]).stdout);
}

#[test]
fn tasks_projects_and_the_daemon_are_shown() {
    let fake = three();
    insta::assert_snapshot!("tasks", run(&fake, &["tasks"]).all());
    insta::assert_snapshot!("tasks_json", run(&fake, &["tasks", "--json"]).stdout);
    insta::assert_snapshot!("projects", run(&fake, &["projects"]).all());
    insta::assert_snapshot!("projects_json", run(&fake, &["projects", "--json"]).stdout);
    let status = run(&fake, &["status"]).stdout;
    let up = status.lines().nth(1).unwrap().to_owned();
    assert!(up.starts_with("process     99, up "), "{up}");
    insta::assert_snapshot!("status", status.replace(&up, "process     [UP]"));
    insta::assert_snapshot!("status_json", run(&fake, &["status", "--json"]).stdout);
}

#[test]
fn where_no_task_runs_it_is_not_said_that_there_is_none() {
    let fake = three();
    fake.world(|world| world.tasks[0].running = 0);
    let ran = run(&fake, &["tasks", "--running"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, ""));
    assert!(ran.stderr.contains("no task has a running"), "{ran:?}");
}

#[test]
fn every_key_for_scripts_is_documented() {
    let document = include_str!("../../../../docs/cli.md");
    let fake = three();
    for arguments in [
        &["list"][..],
        &["tasks"],
        &["projects"],
        &["status"],
        &["init"],
        &["stop", "1"],
        &["doctor"],
        &["migrate"],
        &["wakeup"],
        &["cleanup", "logs"],
        &["reproject", "1"],
    ] {
        let ran = run(&fake, &[arguments, &["--json"]].concat());
        let mut rest = vec![serde_json::from_str(&ran.stdout).unwrap()];
        while let Some(value) = rest.pop() {
            match value {
                serde_json::Value::Array(items) => rest.extend(items),
                serde_json::Value::Object(fields) => {
                    for (key, value) in fields {
                        let named = ["`", "?`", "\""].map(|end| format!("{key}{end}"));
                        let is_there = named.iter().any(|key| document.contains(key));
                        assert!(is_there, "{key} of {arguments:?}");
                        rest.push(value);
                    }
                }
                _ => {}
            }
        }
    }
}

#[test]
fn timelines_are_printed_for_both() {
    let fake = three();
    fake.world(|world| {
        world.line(1, r#"{"ts":820454400000,"type":"invocation.started","role":"coder","provider":"claude","model":"sonnet"}"#);
        world.line(1, r#"{"ts":820454401000,"type":"tool","cmd":"cargo test","callId":"a"}"#);
        world.line(1, r#"{"ts":820454525000,"type":"invocation.completed","success":false,"duration":125000,"exitCode":1,"outcome":"rate_limited","error":"limit"}"#);
    });
    insta::assert_snapshot!("timeline", run(&fake, &["timeline", "--task", "T1"]).all());
    insta::assert_snapshot!(
        "timeline_json",
        run(&fake, &["timeline", "--task", "T1", "--json"]).stdout
    );
    assert_eq!(
        run(&fake, &["timeline", "--task", "none", "--json"]).stdout,
        "{\"timeline\":[]}\n"
    );
}

#[test]
fn maintenance_reports_what_it_did() {
    let fake = three();
    let mut all = String::new();
    for arguments in [
        &["cleanup", "logs", "--dry-run"][..],
        &["cleanup", "logs", "--days", "0", "--json"],
        &["wakeup"],
        &["wakeup", "--json"],
        &["migrate"],
        &["migrate", "--json"],
    ] {
        all.push_str(&format!(
            "$ {}\n{}\n",
            arguments.join(" "),
            run(&fake, arguments).all()
        ));
    }
    insta::assert_snapshot!(all);
}

#[test]
fn logs_made_anew_say_what_changed() {
    let fake = three();
    let mut all = String::new();
    for arguments in [
        &["reproject", "1"][..],
        &["reproject", "1", "--dry-run", "--json"],
        &["reproject", "2"],
        &["reproject", "--all"],
        &["reproject", "--all", "--json"],
        &["reproject"],
        &["reproject", "1", "--restore"],
    ] {
        let ran = run(&fake, arguments).all();
        all.push_str(&format!("$ {}\n{ran}\n", arguments.join(" ")));
    }
    insta::assert_snapshot!(all);
}

#[test]
fn init_is_told_apart_from_init_again() {
    let fake = three();
    let first = run(&fake, &["init"]);
    assert_eq!(first.stdout, "[FOLDER]/app is a project now\n");
    let again = run(&fake, &["init"]);
    assert_eq!(
        (again.code, again.stdout.as_str()),
        (0, "[FOLDER]/app is a project already\n")
    );
    let json = run(&fake, &["init", "--json"]).stdout;
    assert!(
        json.contains(r#""path":"[FOLDER]/app","state":"ready""#),
        "{json}"
    );
    assert!(json.contains(r#""created":false"#), "{json}");
}

#[test]
fn every_help_has_examples_and_every_shell_its_script() {
    let fake = Fake::absent();
    for command in [
        "init",
        "start",
        "stream",
        "timeline",
        "list",
        "show",
        "stop",
        "send",
        "tasks",
        "projects",
        "migrate",
        "cleanup",
        "wakeup",
        "hooks",
        "reproject",
        "web",
        "status",
        "doctor",
        "completions",
    ] {
        let ran = run(&fake, &[command, "--help"]);
        assert_eq!(ran.code, 0);
        assert!(ran.stdout.contains("Examples:"), "{command}");
    }
    insta::assert_snapshot!("help", run(&fake, &["--help"]).stdout);
    for shell in ["bash", "zsh", "fish"] {
        let ran = run(&fake, &["completions", shell]);
        assert_eq!(ran.code, 0);
        assert!(ran.stdout.contains("STEROIDSCTL_COMPLETE"), "{shell}");
    }
}
