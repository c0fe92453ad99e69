//! What an agent is started with, and what is told of one that cannot be.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;
use steroids_proto::v1;
use steroids_tests::faults::held;
use steroids_tests::{Ctl, Daemon, Home, binaries, log, rpc};
use tonic::Code;

/// Becomes `$@` with a umask, dispositions and descriptors that nobody should have.
const DISORDER: &str = r#"umask 000
trap '' PIPE CHLD HUP USR1 USR2 ALRM
exec 7< /dev/null 8> /dev/null 9< /
exec "$@""#;

fn request(ctl: &Ctl, argv: &[&str]) -> v1::StartRequest {
    let argv = argv.iter().map(|&word| word.to_owned()).collect();
    rpc::command(&ctl.project(), "T1", argv)
}

/// All that a successful agent printed.
async fn printed(daemon: &Daemon, ctl: &Ctl, argv: &[&str]) -> String {
    let rpc = daemon.rpc().await;
    let started = rpc.start(request(ctl, argv)).await.unwrap();
    let ended = rpc.ended(&ctl.project(), started.id).await;
    assert_eq!(ended.outcome, "success", "{ended:?}");
    let lines = log::lines(&ctl.log_path(started.id));
    log::messages(&lines, "output").join("\n")
}

/// The rows of a `limits` file by name.
fn limits(text: &str) -> BTreeMap<&str, &str> {
    let rows = text.lines().filter(|line| line.starts_with("Max "));
    rows.filter_map(|line| line.split_at_checked(25))
        .map(|(name, values)| (name.trim_end(), values.trim()))
        .collect()
}

#[tokio::test]
async fn a_daemon_started_in_disorder_gives_its_agents_a_clean_slate_and_still_ends_when_told() {
    let home = Home::new();
    let fake = binaries::fake_provider();
    let through = [
        "/bin/sh",
        "-c",
        DISORDER,
        "sh",
        fake.to_str().unwrap(),
        "hold-off",
    ];
    let mut daemon = Daemon::start_through(&home, &through).await;
    let ctl = daemon.project("app").await;

    // By a program that changes none of it before it looks.
    let status = printed(&daemon, &ctl, &["/bin/cat", "/proc/self/status"]).await;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().trim().to_owned()
    };
    for name in ["SigBlk:", "SigIgn:", "SigPnd:", "ShdPnd:"] {
        assert_eq!(field(name), "0".repeat(16), "{name} of {status}");
    }
    assert_eq!(field("Umask:"), "0077");
    let theirs = printed(&daemon, &ctl, &["/bin/cat", "/proc/self/limits"]).await;
    let ours = fs::read_to_string("/proc/self/limits").unwrap();
    let (mut theirs, mut ours) = (limits(&theirs), limits(&ours));
    let core = theirs.remove("Max core file size").unwrap();
    assert_eq!(
        core.split_ascii_whitespace().collect::<Vec<_>>(),
        ["0", "0", "bytes"]
    );
    ours.remove("Max core file size");
    assert_eq!(theirs, ours);

    let words: Vec<String> = rpc::argv(&["facts"]);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let facts: Value = serde_json::from_str(&printed(&daemon, &ctl, &words).await).unwrap();
    let fds: Vec<_> = facts["fds"].as_object().unwrap().keys().collect();
    assert_eq!(fds, ["0", "1", "2"], "{facts}");
    assert_eq!(
        (&facts["sid"], &facts["pgid"]),
        (&facts["pid"], &facts["pid"])
    );
    let own = fs::read_to_string("/proc/self/oom_score_adj").unwrap();
    let own: i64 = own.trim().parse().unwrap();
    assert_eq!(facts["oomScoreAdj"], (own + 300).min(1000));

    let stalled = daemon
        .rpc()
        .await
        .start_fake(&ctl.project(), "T1", &["stall"])
        .await;
    assert_eq!(daemon.term().await, 0);
    let seen = "0, 1, 2; no signal blocked, ignored or pending; umask 077; limits as the daemon's, core 0; own session; oom_score_adj +300";
    held(23, seen);
    let seen = format!("TERM: exit 0, agent {} lives on", stalled.id);
    held(122, seen);
}

/// A start that cannot come to anything: the row says why, in the kernel's words, and none runs.
async fn never_starts(daemon: &Daemon, ctl: &Ctl, request: v1::StartRequest, why: &str) {
    let program = request.argv[0].clone();
    let rpc = daemon.rpc().await;
    let started = rpc.start(request).await.unwrap();
    let ended = rpc.ended(&ctl.project(), started.id).await;
    assert_eq!(
        (&*ended.outcome, ended.exit_code),
        ("never_started", Some(-1)),
        "{ended:?}"
    );
    assert!(ended.error.contains(why), "{why}: {}", ended.error);
    assert!(
        ended.error.contains(&program) || why.contains("directory"),
        "{}",
        ended.error
    );
    assert!(ended.error.len() < 1000, "{} bytes", ended.error.len());
    let lines = log::lines(&ctl.log_path(ended.id));
    log::assert_whole(&lines);
    assert_eq!(lines.last().unwrap()["type"], "error");
    let running = ctl.run(["--json", "list", "--running"]).await.json();
    assert_eq!(running["invocations"].as_array().unwrap().len(), 0);
}

#[tokio::test]
async fn what_cannot_be_executed_ends_with_the_kernels_words() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let folder = ctl.project();
    never_starts(
        &daemon,
        &ctl,
        request(&ctl, &[&folder]),
        "Permission denied",
    )
    .await;
    let gone = v1::StartRequest {
        cwd: "no-such-folder".to_owned(),
        ..request(&ctl, &["/bin/true"])
    };
    never_starts(&daemon, &ctl, gone, "No such file or directory").await;
    let seen = "folder, missing working directory: never_started with errno, -1, no running row";
    held(19, seen);
}

#[tokio::test]
async fn arguments_or_an_environment_that_are_too_long_end_with_the_kernels_words() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let why = "Argument list too long";
    // The kernel takes 128 KiB of one string, whatever the limits are.
    let long = "x".repeat(200 * 1024);
    let refused = daemon
        .rpc()
        .await
        .start(request(&ctl, &["/bin/true", &long]))
        .await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
    assert!(refused.message().len() < 1000, "{refused:?}");
    assert_eq!(
        ctl.run(["--json", "list"]).await.json()["invocations"],
        Value::Array(Vec::new())
    );
    let many = vec!["y".repeat(1000); 3500];
    let words: Vec<&str> = ["/bin/true"]
        .into_iter()
        .chain(many.iter().map(String::as_str))
        .collect();
    let stack = fs::read_to_string("/proc/self/limits").unwrap();
    // With an unlimited stack the kernel takes 6 MiB, which no message has room for.
    if !limits(&stack)["Max stack size"].starts_with("unlimited") {
        never_starts(&daemon, &ctl, request(&ctl, &words), why).await;
    }
    let big = v1::StartRequest {
        env: [("BIG".to_owned(), long.clone())].into(),
        ..request(&ctl, &["/bin/true"])
    };
    never_starts(&daemon, &ctl, big, why).await;
    let seen = format!(
        "one argument of 200 KiB: INVALID_ARGUMENT; one variable of it, 3.5 MB of arguments: `{why}`, -1, no running row"
    );
    held(123, seen);
}
