//! A person's habits at the terminal.

use rustix::process::Signal;
use steroids_tests::{Daemon, Home, Puppet, binaries, faults, processes, rpc};

#[tokio::test]
async fn ctrl_c_on_stream_leaves_the_agent_running_and_says_so() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let mut agent = Puppet::new(&home, "agent");
    let id = ctl.start_fake("T1", &agent.args()).await;
    agent.prints("hello");
    let mut stream = ctl.spawn(["stream", &id.to_string()]);
    stream.until("hello").await;
    stream.signal(Signal::INT);
    stream.end().await.says("steroidsctl stop");
    let shown = ctl.run(["--json", "show", &id.to_string()]).await.json();
    assert_eq!(shown["status"], "running");
}

#[tokio::test]
async fn ctrl_c_on_start_follow_only_leaves() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let program = binaries::fake_provider();
    let words = [
        "start",
        "--task",
        "T",
        "--follow",
        "--",
        program.to_str().unwrap(),
        "stall",
    ];
    let mut start = ctl.spawn(words);
    start.until("ready").await;
    start.signal(Signal::INT);
    start.end().await.says("steroidsctl stop");
    let shown = ctl.run(["--json", "show", "1"]).await.json();
    assert_eq!(shown["status"], "running");
}

#[tokio::test]
async fn who_leaves_a_stop_or_a_wait_is_told_what_goes_on_and_has_no_rest_of_a_line() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let project = ctl.project();
    let stubborn = rpc.start_fake(&project, "T1", &["ignore-term"]).await;
    let mut followed = rpc
        .follow(rpc::invocation(&project, stubborn.id), "", true)
        .await;
    // It ignores from then on.
    followed.until(r#""type":"output""#).await;
    let state = async || {
        let live = rpc.get(&project, stubborn.id).await.live;
        live.map(|live| live.waits_for)
    };
    let id = stubborn.id.to_string();
    for (words, draws, says) in [
        (
            &["wait", &id][..],
            "waiting for invocation",
            format!("left; what runs goes on — wait for it with: steroidsctl wait {id}"),
        ),
        (
            &["stop", &id, "--grace", "1h"],
            "stopping invocation",
            format!(
                "left without an answer; invocation {id} goes on ending if the daemon has heard of it — see with: steroidsctl show {id}"
            ),
        ),
    ] {
        let mut screen = ctl.at_terminal((120, 24), words);
        screen.shows(draws).await;
        screen.signal(Signal::INT);
        let (code, left) = screen.ends().await;
        assert_eq!((code, left.trim()), (130, &*says), "{words:?}");
    }
    assert_eq!(state().await.as_deref(), Some("ending"));
    let pid = i32::try_from(stubborn.pid.unwrap()).unwrap();
    processes::signal(pid, Signal::KILL);
    let ended = rpc.ended(&project, stubborn.id).await;
    assert_eq!(ended.outcome, "cancelled");
}

#[tokio::test]
async fn output_into_a_closed_pipe_ends_quietly() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let args = ["numbers", "--count", "100000", "--bytes", "100"];
    let id = ctl.start_fake("T1", &args).await;
    let mut stream = ctl.spawn(["stream", &id.to_string()]);
    stream.until("n 000001").await;
    let output = stream.hang_up().await;
    assert_eq!(output.stderr, "");
}

#[tokio::test]
async fn following_a_start_tells_the_agents_end_by_the_exit_code() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let program = binaries::fake_provider();
    let program = program.to_str().unwrap();
    let follow = async |code: &str| {
        let words = [
            "start", "--task", code, "--follow", "--", program, "exit", code,
        ];
        ctl.run(words).await.code
    };
    assert_eq!(follow("0").await, 0);
    assert_eq!(follow("3").await, 1);
    let ended = ctl.run(["stream", "2", "--exit-status"]).await;
    assert_eq!(ended.code, 1, "{ended:?}");
    ctl.run(["stream", "2"]).await.ok();
}

#[tokio::test]
async fn following_goes_on_with_what_is_tried_again_and_ends_as_that_does() {
    let home = Home::with_config("[retry]\non = [\"failed\"]\nfirst = \"10ms\"");
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let second_is_good = "[ -e tried ] && exit 0; touch tried; exit 3";
    let words = ["start", "--task", "T", "--follow", "--", "sh", "-c"];
    let followed = ctl.run(words.into_iter().chain([second_is_good])).await;
    let followed = followed.exits(0).says("invocation 1 is tried again as 2");
    let ends = followed.stdout.matches("exit 3").count();
    assert_eq!((ends, followed.stdout.matches("success").count()), (1, 1));
    let ended = ctl.run(["stream", "1", "--exit-status"]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    // One that was named alone is the one that is meant.
    let alone = ctl.run(["stream", "1", "--exit-status", "--no-follow"]);
    assert_eq!(alone.await.code, 1);
}

#[tokio::test]
async fn control_bytes_of_an_agent_do_not_reach_the_terminal() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let mut agent = Puppet::new(&home, "agent");
    let id = ctl.start_fake("T1", &agent.args()).await.to_string();
    agent.prints("\u{1b}]0;owned\u{7}visible\u{1b}[2J");
    agent.prints("\u{1b}]52;c;cHduZWQ=\u{7}no clipboard \u{202e}gpj.exe\u{2066}");
    agent.exits(0);
    let output = ctl.run(["stream", &id]).await.ok();
    assert!(output.contains("visible"), "{output:?}");
    assert!(!output.contains(['\u{1b}', '\u{7}']), "{output:?}");
    assert!(output.contains("no clipboard") && !output.contains("cHduZWQ="));
    assert!(!output.contains(['\u{202e}', '\u{2066}']), "{output:?}");
    let raw = ctl.run(["stream", &id, "--raw"]).await.ok();
    assert!(raw.contains("\u{1b}]0;owned"), "{raw:?}");
    let seen = "CSI, OSC 0 and 52 and bidi gone on a terminal, there with --raw";
    faults::held(59, seen);
}

#[tokio::test]
async fn a_prompt_may_come_on_stdin() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let words = ["start", "--task", "T", "--provider", "gemini", "-"];
    let words = words
        .into_iter()
        .chain(["--env", r#"FAKE_PROVIDER=["echo-stdin"]"#]);
    let output = ctl.run_with_stdin(words, b"from a pipe").await;
    let id: i64 = output.ok().trim().parse().unwrap();
    daemon.rpc().await.ended(&ctl.project(), id).await;
    let text = std::fs::read_to_string(ctl.log_path(id)).unwrap();
    assert!(text.contains("in from a pipe"), "{text}");
}

#[tokio::test]
async fn stream_survives_the_daemons_restart_without_repeating_or_skipping() {
    let home = Home::new();
    let mut daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let mut agent = Puppet::new(&home, "agent");
    let id = ctl.start_fake("T1", &agent.args()).await;
    let mut stream = ctl.spawn(["--json", "stream", &id.to_string()]);
    agent.prints("before");
    let mut lines = stream.until("before").await;
    daemon.kill9().await;
    agent.prints("meanwhile");
    daemon.start_again().await;
    agent.prints("after");
    agent.exits(0);
    let (rest, output) = stream.rest().await;
    lines.extend(rest);
    assert_eq!(output.code, 0, "{output:?}");
    let on_disk = std::fs::read_to_string(ctl.log_path(id)).unwrap();
    assert_eq!(lines.join("\n") + "\n", on_disk);
}
