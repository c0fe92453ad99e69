//! `stream`: lines for people and bytes for scripts, across breaks, and left by Ctrl-C or by `head`.

use crate::fake::{Fake, invocation};
use crate::harness::{Running, command, finish, run};
use steroids_proto::v1;

const LOG: [&str; 12] = [
    r#"{"ts":820454400000,"type":"start","raw":0,"role":"coder","provider":"claude","model":"sonnet","mode":"fresh","cwd":"/home/dev/app"}"#,
    r#"{"ts":820454400400,"type":"session","raw":210,"sessionId":"5d1c-77","providerVersion":"2.1.197"}"#,
    r#"{"ts":820454402000,"type":"thinking","raw":420,"msg":"The test fails because\nthe path is wrong."}"#,
    r#"{"ts":820454402100,"type":"tool","raw":630,"cmd":"cargo test --workspace","name":"Bash","callId":"a"}"#,
    r#"{"ts":820454408300,"type":"tool_result","raw":840,"callId":"a","ok":false,"exitCode":101,"duration":6200,"msg":"error[E0432]: unresolved import\n --> src/lib.rs"}"#,
    r#"{"ts":820454409000,"type":"plan","raw":900,"items":[{"text":"find the import","status":"completed"},{"text":"fix it","status":"in_progress"}]}"#,
    r#"{"ts":820454409100,"type":"output","raw":1050,"stream":"stdout","msg":"I fix \u001b[1mthat\u001b[0m import.\u202e\nThen I run it again."}"#,
    r#"{"ts":820454410000,"type":"retry","raw":1200,"reason":"overloaded","attempt":2,"delay":3000,"msg":"529"}"#,
    r#"{"ts":820454411000,"type":"usage","raw":1260,"inputTokens":12300,"outputTokens":1240,"cachedInputTokens":80000}"#,
    r#"{"ts":820454412000,"type":"notice","raw":1300,"level":"warn","msg":"low on context"}"#,
    r#"{"ts":820454412500,"type":"unknown","raw":1400,"name":"system/new_thing","data":{"a":[1,2]}}"#,
    r#"{"ts":820454525000,"type":"complete","raw":1680,"success":true,"duration":125000,"exitCode":0,"timedOut":false,"outcome":"success","sessionId":"5d1c-77","usage":{"inputTokens":12300,"outputTokens":1240,"cachedInputTokens":80000,"totalCostUsd":0.5312,"total":true}}"#,
];

/// One finished invocation with the log above.
fn finished() -> Fake {
    let fake = Fake::start();
    fake.world(|world| {
        world.invocations.push(invocation(1, v1::State::Completed));
        for line in LOG {
            world.line(1, line);
        }
    });
    fake
}

/// One running invocation that has said so many lines.
fn running(lines: usize) -> Fake {
    let fake = Fake::start();
    fake.world(|world| {
        world.invocations.push(invocation(1, v1::State::Running));
        for n in 0..lines {
            world.line(
                1,
                format!("{{\"ts\":{n},\"type\":\"output\",\"msg\":\"line {n}\"}}"),
            );
        }
    });
    fake
}

#[test]
fn a_person_reads_aligned_lines_without_control_bytes() {
    insta::assert_snapshot!(run(&finished(), &["stream", "1"]).all());
}

#[test]
fn colours_come_only_when_asked_for() {
    let fake = finished();
    assert!(!run(&fake, &["stream", "1"]).stdout.contains('\u{1b}'));
    let mut forced = command(&fake, &["stream", "1"]);
    forced.env("CLICOLOR_FORCE", "1");
    let coloured = finish(&fake, forced).stdout;
    assert!(
        coloured.contains("\u{1b}[36mcargo test --workspace\u{1b}[0m"),
        "{coloured}"
    );
    let mut refused = command(&fake, &["stream", "1"]);
    refused.env("CLICOLOR_FORCE", "1").arg("--no-color");
    assert!(!finish(&fake, refused).stdout.contains('\u{1b}'));
}

#[test]
fn raw_leaves_control_bytes_in() {
    let raw = run(&finished(), &["stream", "1", "--raw"]).stdout;
    assert!(raw.contains("I fix \u{1b}[1mthat\u{1b}[0m import.\u{202e}"));
}

#[test]
fn a_script_gets_the_logs_own_bytes() {
    let log: String = LOG.iter().map(|line| format!("{line}\n")).collect();
    let fake = finished();
    assert_eq!(run(&fake, &["stream", "1", "--json"]).stdout, log);
    let task = run(&fake, &["stream", "--task", "T1", "--no-follow", "--json"]).stdout;
    assert_eq!(task, log.replace("{\"ts\":", "{\"invocationId\":1,\"ts\":"));
    let all = run(&fake, &["stream", "--all", "--no-follow", "--json"]).stdout;
    let with = "{\"invocationId\":1,\"project\":\"/home/dev/app\",\"ts\":";
    assert_eq!(all, log.replace("{\"ts\":", with));
}

#[test]
fn a_cursor_resumes_and_a_foreign_one_is_refused() {
    let fake = finished();
    let rest = run(&fake, &["stream", "1", "--json", "--after", "c10"]).stdout;
    assert_eq!(rest, format!("{}\n{}\n", LOG[10], LOG[11]));
    let refused = run(&fake, &["stream", "1", "--after", "nonsense"]);
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("the cursor is of another log"));
}

#[test]
fn without_an_id_the_newest_running_one_is_chosen_and_named() {
    let fake = finished();
    fake.world(|world| {
        world.invocations.push(invocation(2, v1::State::Running));
        world.invocations.push(invocation(3, v1::State::Completed));
        world.invocations.push(invocation(4, v1::State::Queued));
        world.line(2, r#"{"ts":1,"type":"complete","outcome":"success"}"#);
    });
    let ran = run(&fake, &["stream"]);
    assert_eq!(ran.stderr, "invocation 2 of task T1 (claude, running)\n");
    assert!(ran.stdout.contains("success"));
}

#[test]
fn the_exit_status_is_the_invocations_only_when_asked_for() {
    for (outcome, code) in [
        ("success", 0),
        ("failed", 1),
        ("timeout_silence", 124),
        ("cancelled", 130),
    ] {
        let fake = Fake::start();
        fake.world(|world| {
            world.invocations.push(invocation(1, v1::State::Completed));
            world.line(
                1,
                format!(r#"{{"ts":1,"type":"complete","outcome":"{outcome}"}}"#),
            );
        });
        assert_eq!(run(&fake, &["stream", "1"]).code, 0);
        assert_eq!(run(&fake, &["stream", "1", "--exit-status"]).code, code);
        assert_eq!(
            run(&fake, &["stream", "1", "--exit-status", "--json"]).code,
            code
        );
        // The terminal line was before the cursor: the row tells.
        fake.world(|world| world.invocations[0].outcome = outcome.to_owned());
        let after = run(
            &fake,
            &[
                "stream",
                "1",
                "--exit-status",
                "--no-follow",
                "--after",
                "c1",
            ],
        );
        assert_eq!(after.code, code);
    }
    let open = run(
        &running(1),
        &["stream", "1", "--exit-status", "--no-follow"],
    );
    assert_eq!(open.code, 75);
}

#[test]
fn the_exit_status_is_that_of_the_last_attempt() {
    let fake = Fake::start();
    fake.world(|world| {
        for id in 1..4 {
            let mut it = invocation(id, v1::State::Failed);
            it.outcome = "failed".to_owned();
            it.retried_by = Some(id + 1).filter(|next| *next < 4);
            world.invocations.push(it);
            let line = r#"{"ts":1,"type":"complete","outcome":"failed"}"#;
            world.line(
                id,
                line.replace("failed", if id < 3 { "failed" } else { "timeout_wall" }),
            );
        }
    });
    let ran = run(&fake, &["stream", "1", "--exit-status", "--json"]);
    let note = |from: i64| {
        let to = from + 1;
        format!("{{\"note\":{{\"message\":\"invocation {from} is tried again as {to}\"}}}}\n")
    };
    assert_eq!((ran.code, ran.stderr), (124, note(1) + &note(2)));
    assert_eq!(ran.stdout.lines().count(), 3, "{}", ran.stdout);
    // Only who asks how it ends wants to know.
    let asked = ["stream", "1", "--exit-status", "--no-follow"];
    for (words, code) in [(&asked[..], 1), (&asked[..2], 0)] {
        let ran = run(&fake, words);
        assert_eq!((ran.code, &*ran.stderr), (code, ""));
        assert_eq!(
            fake.world(|world| world.follows.pop().unwrap().follow),
            code == 0
        );
    }
}

#[test]
fn a_reader_that_has_enough_ends_it_quietly() {
    let fake = running(20_000);
    let mut stream = Running::start(command(&fake, &["stream", "1"]));
    assert_eq!(stream.line(), "1970-01-01\n");
    assert!(stream.line().contains("line 0"));
    stream.close();
    let (status, _, stderr) = stream.end();
    assert_eq!((status.code(), stderr.as_str()), (Some(0), ""));
}

#[test]
fn a_reader_that_leaves_a_silent_agent_ends_it_too() {
    let fake = running(1);
    let mut stream = Running::start(command(&fake, &["stream", "1"]));
    assert_eq!(stream.line(), "1970-01-01\n");
    assert!(stream.line().contains("line 0"));
    stream.close();
    let (status, _, stderr) = stream.end();
    assert_eq!((status.code(), stderr.as_str()), (Some(0), ""));
}

#[test]
fn a_reader_that_leaves_is_no_success_of_what_goes_on() {
    let fake = running(20_000);
    let mut stream = Running::start(command(&fake, &["stream", "1", "--exit-status"]));
    stream.line();
    stream.close();
    let (status, _, stderr) = stream.end();
    assert_eq!((status.code(), stderr.as_str()), (Some(75), ""));
}

#[test]
fn ctrl_c_leaves_and_the_agent_goes_on() {
    let fake = running(2);
    let mut stream = Running::start(command(&fake, &["stream", "1"]));
    stream.line();
    stream.line();
    stream.interrupt();
    let (status, _, stderr) = stream.end();
    assert_eq!(status.code(), Some(130));
    assert_eq!(
        stderr,
        "left; invocation 1 goes on — stop it with: steroidsctl stop 1\n\
         come back with: steroidsctl stream 1 --after c2\n"
    );
}

#[test]
fn a_daemon_that_dies_and_returns_costs_no_line() {
    let mut fake = running(3);
    let mut stream = Running::start(command(&fake, &["stream", "1", "--json"]));
    let mut seen: Vec<String> = (0..3).map(|_| stream.line()).collect();
    fake.kill();
    fake.world(|world| {
        world.line(1, r#"{"ts":3,"type":"output","msg":"line 3"}"#);
        world.line(1, r#"{"ts":4,"type":"complete","outcome":"success"}"#);
    });
    fake.serve();
    let (status, rest, stderr) = stream.end();
    assert_eq!(status.code(), Some(0), "{stderr}");
    seen.extend(rest.lines().map(|line| format!("{line}\n")));
    let log = fake.world(|world| world.lines.clone());
    let log: Vec<String> = log
        .into_iter()
        .map(|(_, line)| format!("{line}\n"))
        .collect();
    assert_eq!(seen, log);
    assert!(
        stderr.contains(r#"{"note":{"message":"connected again"}}"#),
        "{stderr}"
    );
}

#[test]
fn lines_of_other_tools_are_shown_as_they_are() {
    let fake = Fake::start();
    fake.world(|world| {
        world.invocations.push(invocation(1, v1::State::Completed));
        world.line(1, "plain words");
        world.line(1, r#"{"timestamp":"x","type":"tool"}"#);
    });
    let ran = run(&fake, &["stream", "1", "--no-follow"]);
    insta::assert_snapshot!(ran.all());
    let json = run(&fake, &["stream", "1", "--no-follow", "--json"]).stdout;
    assert_eq!(
        json,
        "plain words\n{\"timestamp\":\"x\",\"type\":\"tool\"}\n"
    );
}

#[test]
fn so_many_last_lines_are_asked_of_the_daemon() {
    let fake = finished();
    run(&fake, &["stream", "1", "--tail", "2"]);
    run(&fake, &["stream", "--all", "--no-follow", "-n", "0"]);
    run(&fake, &["stream", "1"]);
    let asked = fake.world(|world| world.follows.iter().map(|it| it.tail).collect::<Vec<_>>());
    assert_eq!(asked, [Some(2), Some(0), None]);
    let both = run(&fake, &["stream", "1", "--tail", "2", "--after", "c1"]);
    assert_eq!(both.code, 2);
    assert!(
        both.stderr.contains("cannot be used with"),
        "{}",
        both.stderr
    );
}
