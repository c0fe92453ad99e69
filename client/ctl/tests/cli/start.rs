//! `start`: what is asked of the daemon, once, whatever breaks.

use steroids_proto::v1;

use crate::fake::{Fake, invocation};
use crate::harness::{Running, command, finish, run, run_with};

const START: [&str; 5] = ["start", "--task", "T1", "--prompt", "do it"];

#[test]
fn the_id_is_all_a_script_reads() {
    let fake = Fake::start();
    let ran = run(&fake, &START);
    assert_eq!(
        (ran.code, ran.stdout.as_str(), ran.stderr.as_str()),
        (0, "1\n", "")
    );
    let start = fake.world(|world| world.starts.pop().unwrap());
    assert_eq!(
        (start.role.as_str(), start.prompt.as_str()),
        ("coder", "do it")
    );
    assert!(!start.request_id.is_empty());
    assert_eq!(start.limits, None);
    assert!(start.project.ends_with("/app"));
}

#[test]
fn everything_asked_for_is_sent() {
    let fake = Fake::start();
    fake.world(|world| {
        // Its configuration lets this pass, too.
        let of_codex = v1::Provider {
            name: "codex".to_owned(),
            env: vec!["WANTED_*".to_owned()],
            ..Default::default()
        };
        world.status.providers = vec![of_codex];
    });
    let mut full = command(
        &fake,
        &[
            "start",
            "--task",
            "T1",
            "--role",
            "reviewer",
            "--provider",
            "codex",
            "--model",
            "m",
            "--resume",
            "s",
            "--request-id",
            "r",
            "--cwd",
            "sub",
            "--env",
            "A=b=c",
            "--env",
            "ONLY",
            "--silence",
            "15m",
            "--wall",
            "none",
            "--grace",
            "500ms",
            "--interactive",
            "--leave-background",
            "--json",
            "-",
        ],
    );
    full.env("ONLY", "mine")
        .env("ANTHROPIC_API_KEY", "k")
        .env("WANTED_KEY", "w")
        .env("SECRET", "s");
    full.stdin(std::process::Stdio::piped());
    let mut child = full.spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"from stdin").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let answer = String::from_utf8(output.stdout).unwrap();
    assert!(answer.starts_with(r#"{"id":1,"taskId":"T1","#), "{answer}");
    assert!(answer.ends_with("\"existing\":false}\n"), "{answer}");

    let start = fake.world(|world| world.starts.pop().unwrap());
    assert_eq!(start.provider, "codex");
    assert_eq!(start.prompt, "from stdin");
    assert!(start.cwd.ends_with("/app/sub"));
    assert_eq!(start.env["A"], "b=c");
    assert_eq!(start.env["ONLY"], "mine");
    assert_eq!(start.caller_env["ANTHROPIC_API_KEY"], "k");
    assert!(start.caller_env.contains_key("PATH"));
    assert_eq!(start.caller_env["WANTED_KEY"], "w");
    assert!(!start.caller_env.contains_key("SECRET"));
    let limits = start.limits.unwrap();
    assert_eq!(limits.silence.unwrap().seconds, 900);
    assert_eq!(limits.wall.unwrap().seconds, 0);
    assert_eq!(limits.grace.unwrap().nanos, 500_000_000);
    assert!(limits.tool_silence.is_none());
    assert!(start.interactive && start.leave_background);
}

#[test]
fn all_limits_can_be_set_for_one_start_and_zero_is_none() {
    let fake = Fake::start();
    let flags = "--silence 1s --tool-silence 0 --wall 3s --post-result none --grace 5s";
    let words: Vec<&str> = START.into_iter().chain(flags.split(' ')).collect();
    assert_eq!(run(&fake, &words).code, 0);
    let start = fake.world(|world| world.starts.pop().unwrap());
    let limits = start.limits.unwrap();
    let all = [
        limits.silence,
        limits.tool_silence,
        limits.wall,
        limits.post_result,
        limits.grace,
    ];
    let seconds = all.map(|limit| limit.map(|limit| limit.seconds));
    assert_eq!(seconds, [Some(1), Some(0), Some(3), Some(0), Some(5)]);
}

#[test]
fn any_command_needs_neither_prompt_nor_provider() {
    let fake = Fake::start();
    let ran = run(&fake, &["start", "--task", "T1", "--", "make", "--help"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let start = fake.world(|world| world.starts.pop().unwrap());
    assert_eq!(
        (start.provider.as_str(), start.argv),
        ("command", vec!["make".to_owned(), "--help".to_owned()])
    );
}

#[test]
fn a_start_broken_in_the_middle_is_asked_for_again_and_starts_once() {
    let mut fake = Fake::start();
    fake.world(|world| world.hang_starts = true);
    let running = Running::start(command(&fake, &START));
    fake.until(|world| world.starts.len() == 1);
    fake.kill();
    fake.world(|world| world.hang_starts = false);
    fake.serve();
    let (status, stdout, stderr) = running.end();
    assert_eq!(
        (status.code(), stdout.as_str()),
        (Some(0), "1\n"),
        "{stderr}"
    );
    assert!(
        stderr.contains("started by this request id before"),
        "{stderr}"
    );
    fake.world(|world| {
        assert_eq!(world.invocations.len(), 1);
        assert!(
            world
                .starts
                .iter()
                .all(|it| it.request_id == world.starts[0].request_id)
        );
    });
}

#[test]
fn following_ends_as_the_invocation_did() {
    for (line, code) in [
        (
            r#"{"ts":1,"type":"complete","success":true,"outcome":"success"}"#,
            0,
        ),
        (
            r#"{"ts":1,"type":"complete","success":false,"outcome":"failed"}"#,
            1,
        ),
        (
            r#"{"ts":1,"type":"complete","success":false,"outcome":"timeout_wall"}"#,
            124,
        ),
        (
            r#"{"ts":1,"type":"complete","success":false,"outcome":"cancelled"}"#,
            130,
        ),
        (
            r#"{"ts":1,"type":"error","error":"claude: ENOENT","outcome":"never_started"}"#,
            1,
        ),
    ] {
        let fake = Fake::start();
        let mut following = command(&fake, &START);
        following.arg("--follow");
        let running = Running::start(following);
        fake.until(|world| !world.invocations.is_empty());
        fake.world(|world| {
            world.line(1, line);
            world.invocations[0] = invocation(1, v1::State::Failed);
        });
        let (status, stdout, stderr) = running.end();
        assert_eq!(status.code(), Some(code), "{stdout}{stderr}");
        assert!(stderr.contains("invocation 1 started"), "{stderr}");
    }
}

#[test]
fn following_goes_on_with_the_next_attempt_and_ends_as_that_did() {
    let fake = Fake::start();
    let mut following = command(&fake, &START);
    following.arg("--follow");
    let mut running = Running::start(following);
    fake.until(|world| !world.follows.is_empty());
    let failed = r#"{"ts":1,"type":"complete","success":false,"outcome":"failed"}"#;
    fake.world(|world| world.line(1, failed));
    // Its row is not final before its last line is read.
    assert!(running.line().contains("1970"));
    assert!(running.line().contains("failed"));
    fake.world(|world| {
        world.invocations[0] = invocation(1, v1::State::Failed);
        world.invocations[0].retried_by = Some(2);
        let mut next = invocation(2, v1::State::Queued);
        next.waiting = "until 00:10".to_owned();
        world.invocations.push(next);
    });
    fake.until(|world| world.follows.len() > 1);
    fake.world(|world| {
        world.line(2, r#"{"ts":2,"type":"output","msg":"once more"}"#);
        world.line(2, r#"{"ts":3,"type":"complete","outcome":"success"}"#);
    });
    let (status, stdout, stderr) = running.end();
    assert_eq!(status.code(), Some(0), "{stdout}{stderr}");
    assert!(stdout.contains("once more"), "{stdout}");
    let told = "invocation 1 is tried again as 2, which waits: until 00:10\n";
    assert!(stderr.ends_with(told), "{stderr}");
}

/// Follows what it starts, which has said something.
fn working(fake: &Fake, mut start: std::process::Command) -> Running {
    start.arg("--follow");
    let running = Running::start(start);
    fake.until(|world| !world.follows.is_empty());
    fake.world(|world| world.line(1, r#"{"ts":1,"type":"output","msg":"working"}"#));
    running
}

#[test]
fn a_reader_that_leaves_is_told_of_no_end_that_has_not_come() {
    let fake = Fake::start();
    let mut running = working(&fake, command(&fake, &START));
    running.line();
    running.close();
    let (status, _, _) = running.end();
    assert_eq!(status.code(), Some(75));
}

#[test]
fn one_whose_id_cannot_be_written_is_tried_again_only_where_that_starts_no_second() {
    let named = ["--request-id", "once"];
    for (flags, code) in [(&[][..], 4), (&["--json"], 4), (&named, 75)] {
        let fake = Fake::start();
        let mut start = command(&fake, &START);
        start.args(flags);
        start.stdout(std::fs::File::create("/dev/full").unwrap());
        let ran = finish(&fake, start);
        assert_eq!(ran.code, code, "{ran:?}");
        let says = |words| ran.stderr.contains(words);
        assert!(says("invocation 1 was started, and"), "{ran:?}");
        let id = fake.world(|world| world.starts[0].request_id.clone());
        assert!(says(&format!("--request-id {id}")), "{ran:?}");
    }
}

/// A pipe whose reader has left before anything was written.
fn unread() -> std::io::PipeWriter {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer
}

#[test]
fn one_whose_id_nobody_reads_is_told_of_beside_it() {
    let named = ["--request-id", "once"];
    for (flags, code) in [(&[][..], 4), (&["--json"], 4), (&named, 75)] {
        let fake = Fake::start();
        let mut start = command(&fake, &START);
        start.args(flags).stdout(unread());
        let ran = finish(&fake, start);
        assert_eq!(ran.code, code, "{ran:?}");
        let says = |words| ran.stderr.contains(words);
        assert!(
            says("invocation 1 was started, and nobody reads"),
            "{ran:?}"
        );
        let id = fake.world(|world| world.starts[0].request_id.clone());
        assert!(says(&format!("--request-id {id}")), "{ran:?}");
    }
}

#[test]
fn one_that_never_started_is_a_failure_whoever_reads_its_id() {
    let fake = Fake::start();
    let named = [&START[..], &["--request-id", "once"]].concat();
    assert_eq!(run(&fake, &named).code, 0);
    fake.world(|world| {
        let it = &mut world.invocations[0];
        it.state = v1::State::Failed.into();
        it.outcome = "never_started".to_owned();
        it.error = "no program".to_owned();
    });
    for flags in [&[][..], &["--json"]] {
        let mut start = command(&fake, &named);
        start.args(flags).stdout(unread());
        let ran = finish(&fake, start);
        assert_eq!(ran.code, 1, "{ran:?}");
        let said = "invocation 1 has ended: never_started: no program, and nobody reads";
        assert!(ran.stderr.contains(said), "{ran:?}");
    }
}

#[test]
fn one_that_is_followed_is_not_to_be_tried_again_where_what_it_does_cannot_be_written() {
    let fake = Fake::start();
    let mut start = command(&fake, &START);
    start.stdout(std::fs::File::create("/dev/full").unwrap());
    let (status, _, stderr) = working(&fake, start).end();
    assert_eq!(status.code(), Some(4), "{stderr}");
    assert!(stderr.contains("invocation 1 was started, and"), "{stderr}");
}

#[test]
fn leaving_says_that_the_agent_goes_on() {
    let fake = Fake::start();
    let mut running = working(&fake, command(&fake, &START));
    assert_eq!(running.line(), "1970-01-01\n");
    assert!(running.line().contains("working"));
    running.interrupt();
    let (status, _, stderr) = running.end();
    assert_eq!(status.code(), Some(130));
    assert!(
        stderr.contains("left; invocation 1 goes on — stop it with: steroidsctl stop 1"),
        "{stderr}"
    );
    assert!(
        stderr.contains("steroidsctl stream 1 --after c1"),
        "{stderr}"
    );
}

#[test]
fn stopping_tells_whether_there_was_anything_to_stop() {
    let fake = Fake::start();
    run(&fake, &START);
    let first = run(&fake, &["stop", "1", "--grace", "5s"]);
    assert_eq!(
        (first.code, first.stdout.as_str()),
        (0, "invocation 1 stopped: cancelled after 3.0 s\n")
    );
    let again = run(&fake, &["stop", "1"]);
    assert_eq!(
        (again.code, again.stdout.as_str()),
        (0, "invocation 1 had ended already: cancelled after 3.0 s\n")
    );
    let json = run(&fake, &["stop", "1", "--json"]).stdout;
    assert!(json.ends_with("\"alreadyEnded\":true}\n"), "{json}");
}

#[test]
fn several_are_stopped_and_each_is_told_of() {
    let sorted = |text: &str| {
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let fake = Fake::start();
    (0..3).for_each(|_| assert_eq!(run(&fake, &START).code, 0));
    let all = run(&fake, &["stop", "1", "9", "3", "1"]);
    let stopped = |id| format!("invocation {id} stopped: cancelled after 3.0 s");
    assert_eq!(sorted(&all.stdout), [stopped(1), stopped(3)]);
    assert_eq!(
        (all.code, all.stderr.as_str()),
        (3, "error: there is no invocation 9\n")
    );
    let json = run(&fake, &["stop", "1", "2", "--json"]);
    let ids = sorted(&json.stdout).into_iter().map(|line| {
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        line["id"].as_i64().unwrap()
    });
    assert_eq!((json.code, ids.collect::<Vec<_>>()), (0, vec![1, 2]));
    assert_eq!(run(&fake, &["stop"]).code, 2);
}

/// The first has failed and was tried again as the next, and so on; the last runs.
fn attempts(fake: &Fake, count: i64) {
    (0..count).for_each(|_| assert_eq!(run(fake, &START).code, 0));
    fake.world(|world| {
        for it in &mut world.invocations {
            if it.id < count {
                it.state = v1::State::Failed.into();
                it.outcome = "failed".to_owned();
                it.retried_by = Some(it.id + 1);
            }
        }
    });
}

#[test]
fn what_is_tried_again_is_stopped_in_the_attempt_that_goes_on() {
    let fake = Fake::start();
    attempts(&fake, 3);
    let both = run(&fake, &["stop", "1", "2"]);
    let mut lines: Vec<_> = both.stdout.lines().collect();
    lines.sort_unstable();
    let told = [
        "invocation 1 had ended already: failed",
        "invocation 3, a later attempt of 2, stopped: cancelled after 3.0 s",
    ];
    assert_eq!((both.code, &*lines), (0, &told[..]));
    let again = run(&fake, &["stop", "1"]);
    let told = "invocation 3, a later attempt of 1, had ended already: cancelled after 3.0 s\n";
    assert_eq!((again.code, &*again.stdout), (0, told));
    let json = run(&fake, &["stop", "1", "--json"]).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (&json["id"], &json["alreadyEnded"]),
        (&3.into(), &true.into())
    );
    // Whatever a row says, it comes to an end.
    fake.world(|world| world.invocations[2].retried_by = Some(1));
    assert_eq!(run(&fake, &["stop", "1"]).code, 0);
}

#[test]
fn messages_are_sent_from_the_command_line_and_from_stdin() {
    let fake = Fake::start();
    assert_eq!(run(&fake, &["send", "1", "-v please"]).code, 0);
    assert_eq!(
        run_with(&fake, &["send", "1", "-"], b"piped".to_vec()).code,
        0
    );
    let texts: Vec<_> =
        fake.world(|world| world.messages.iter().map(|it| it.text.clone()).collect());
    assert_eq!(texts, ["-v please", "piped"]);
    fake.world(|world| world.refuse = Some(("send", tonic::Status::unimplemented("not yet"))));
    assert_eq!(run(&fake, &["send", "1", "x"]).code, 4);
}

#[test]
fn a_named_project_is_found_from_anywhere() {
    let fake = Fake::start();
    let mut elsewhere = command(&fake, &START);
    elsewhere
        .arg("--project")
        .arg("app")
        .current_dir(fake.folder());
    assert_eq!(finish(&fake, elsewhere).code, 0);
    let project = fake.world(|world| world.starts.pop().unwrap().project);
    assert!(std::path::Path::new(&project).is_absolute() && project.ends_with("/app"));
}
