use super::*;
use crate::outcome::Outcome;

const HEADER: &[&str] = &[
    "OpenAI Codex v0.169.0",
    "--------",
    "workdir: /home/dev/app",
    "session id: s-1",
    "--------",
    "user",
    "Do it.",
];

type Reading = crate::testing::Reading<Transcript>;

impl Reading {
    fn of_start() -> Reading {
        Reading::new(Transcript::new(Run::default()), shown)
    }

    fn after_header() -> Reading {
        let mut reading = Reading::of_start();
        reading.stderr(HEADER);
        assert_eq!(reading.seen, ["session s-1 0.169.0"]);
        reading.seen.clear();
        reading
    }

    fn stderr(&mut self, lines: &[&str]) -> &mut Reading {
        self.lines(Stream::Stderr, lines)
    }
}

fn shown(_at: Stamp, activity: &Activity<'_>) -> String {
    match activity {
        Activity::Session {
            session_id,
            provider_version,
        } => format!(
            "session {session_id} {}",
            provider_version.as_deref().unwrap()
        ),
        Activity::Tool { cmd, call_id, .. } => {
            format!("tool {} {}", call_id.as_deref().unwrap(), cmd.text)
        }
        Activity::ToolResult {
            call_id, ok, msg, ..
        } => {
            let msg = msg.as_ref().map_or("", |msg| &*msg.text);
            format!("result {call_id} {ok} {msg}")
        }
        Activity::Output { stream, msg } => format!("{stream:?} {}", msg.text),
        Activity::Notice { msg, .. } => format!("notice {}", msg.text),
        Activity::Retry { attempt, .. } => format!("retry {}", attempt.unwrap()),
        Activity::Thinking { msg } => format!("thinking {}", msg.text),
        other => format!("{other:?}"),
    }
}

#[test]
fn a_marker_that_nothing_confirms_is_text() {
    let mut reading = Reading::after_header();
    reading.stderr(&["codex", "exec", "runs it", "tokens used", "apply patch"]);
    reading.end(0);
    let expected = [
        "Stderr exec",
        "Stderr runs it",
        "Stderr tokens used",
        "Stderr apply patch",
    ];
    assert_eq!(reading.seen, expected);
}

#[test]
fn a_script_of_several_lines_is_one_command() {
    let mut reading = Reading::after_header();
    reading.stderr(&[
        "exec",
        "/bin/bash -lc 'cat x in /tmp",
        "exec",
        "done' in /home/dev/app",
    ]);
    assert_eq!(reading.seen, ["tool exec-1 cat x in /tmp\nexec\ndone"]);
    assert_eq!(reading.parser.vitals().open_tools, 1);
    reading.stderr(&[" exited 2 in 1.50s:", "one", "", "codex", "so"]);
    assert_eq!(reading.parser.vitals().open_tools, 0);
    assert_eq!(
        reading.seen[1..],
        ["result exec-1 false one\n", "Stderr so"]
    );
}

#[test]
fn what_a_tool_prints_is_no_end_while_codex_goes_on() {
    let refused = "ERROR: connect ECONNREFUSED 127.0.0.1:5432";
    let command = ["exec", "/bin/bash -lc test in /d", " exited 1 in 5ms:"];
    let mut reading = Reading::after_header();
    reading.stderr(&command).stderr(&[refused, refused]);
    reading.stderr(&["codex", "mended", "tokens used", "12"]);
    assert_eq!(reading.end(0).outcome, Outcome::Success);
    // Its own, behind that.
    let mut reading = Reading::after_header();
    reading.stderr(&command).stderr(&["", refused, refused]);
    assert_eq!(reading.end(1).outcome, Outcome::Overloaded);
}

#[test]
fn a_script_whose_quotes_never_close_is_still_shown() {
    let mut reading = Reading::after_header();
    reading.stderr(&["exec", "/bin/bash -lc 'a", "b"]);
    reading.end(0);
    assert_eq!(reading.seen, ["Stderr /bin/bash -lc 'a\nb"]);
}

#[test]
fn results_of_parallel_commands_are_matched_in_their_order() {
    let mut reading = Reading::after_header();
    reading.stderr(&[
        "exec",
        "/bin/bash -lc a in /d",
        "exec",
        "/bin/bash -lc b in /d",
    ]);
    reading.stderr(&[" succeeded in 5ms:", "A", " exited 1 in 6ms:", "B"]);
    reading.end(0);
    let expected = [
        "tool exec-1 a",
        "tool exec-2 b",
        "result exec-1 true A",
        "result exec-2 false B",
    ];
    assert_eq!(reading.seen, expected);
}

#[test]
fn a_patch_is_shown_with_its_paths_below_the_working_directory() {
    let mut reading = Reading::after_header();
    reading.stderr(&[
        "apply patch",
        "patch: failed",
        "/home/dev/app/a",
        "/etc/b",
        "diff --git",
    ]);
    assert_eq!(reading.seen, ["tool patch-1 Edit a, /etc/b"]);
    reading.stderr(&["+x", "thinking", "hm"]);
    assert_eq!(
        reading.seen[1..],
        ["result patch-1 false diff --git\n+x", "thinking hm"]
    );
}

#[test]
fn the_final_message_is_shown_once_wherever_it_comes_first() {
    for stdout_first in [true, false] {
        let mut reading = Reading::after_header();
        if stdout_first {
            reading.lines(Stream::Stdout, &["Done.", "", "All."]);
        }
        reading.stderr(&["codex", "Done.", "", "All.", "tokens used", "3,138"]);
        if !stdout_first {
            reading.lines(Stream::Stdout, &["Done.", "", "All."]);
        }
        assert!(reading.parser.vitals().result_seen);
        let verdict = reading.end(0);
        let expected = [
            "Stderr Done.",
            "Stderr ",
            "Stderr All.",
            "notice tokens used: 3,138",
        ];
        assert_eq!(reading.seen, expected);
        assert_eq!(verdict.outcome, Outcome::Success);
        assert_eq!(verdict.response.as_deref(), Some("Done.\n\nAll."));
    }
}

#[test]
fn stdout_that_repeats_nothing_is_shown() {
    let mut reading = Reading::after_header();
    reading.lines(Stream::Stdout, &["Done, otherwise."]);
    reading.stderr(&["codex", "Done."]);
    let verdict = reading.end(0);
    assert_eq!(reading.seen, ["Stderr Done.", "Stdout Done, otherwise."]);
    assert_eq!(verdict.response.as_deref(), Some("Done, otherwise."));
}

#[test]
fn stdout_without_end_is_not_held_for_ever() {
    let mut reading = Reading::after_header();
    let line = "x".repeat(100_000);
    reading.lines(Stream::Stdout, &vec![&*line; 30]);
    assert_eq!(reading.seen.len(), 30);
    reading.end(0);
    assert_eq!(reading.seen.len(), 30);
}

#[test]
fn an_error_is_a_notice_unless_it_is_repeated() {
    let mut reading = Reading::after_header();
    reading.stderr(&["ERROR: Reconnecting... 1/5", "ERROR: odd", "codex", "Fine."]);
    assert_eq!(reading.seen, ["retry 1", "notice odd", "Stderr Fine."]);
    reading.stderr(&["ERROR: unexpected status 401 Unauthorized: x"]);
    reading.stderr(&["ERROR: unexpected status 401 Unauthorized: x"]);
    let verdict = reading.end(1);
    assert_eq!(reading.seen.len(), 3);
    assert_eq!(verdict.outcome, Outcome::Auth);
    let error = verdict.error.unwrap();
    assert_eq!(error, "unexpected status 401 Unauthorized: x");
}

#[test]
fn errors_that_a_tool_printed_are_its_own() {
    let mut reading = Reading::after_header();
    reading.stderr(&[
        "exec",
        "/bin/bash -lc make in /d",
        " succeeded in 5ms:",
        "cc",
    ]);
    reading.stderr(&[
        "ERROR: one",
        "ERROR: one",
        "",
        "ERROR: Quota exceeded. Check your plan and billing details.",
    ]);
    let verdict = reading.end(1);
    assert_eq!(verdict.outcome, Outcome::CreditExhausted);
    assert!(
        reading.seen[1].ends_with("cc\nERROR: one\nERROR: one\n"),
        "{:?}",
        reading.seen
    );
}

#[test]
fn what_it_says_of_itself_is_a_notice() {
    let mut reading = Reading::after_header();
    reading.stderr(&[
        "warning: no metadata",
        "mcp: files ready",
        "still the prompt",
    ]);
    reading.stderr(&["2026-11-22T10:19:23.416901Z ERROR codex_core::tools::router: error=x"]);
    let expected = [
        "notice warning: no metadata",
        "notice mcp: files ready",
        "notice codex_core::tools::router: error=x",
    ];
    assert_eq!(reading.seen, expected);
}

#[test]
fn without_a_header_every_line_is_shown() {
    let mut reading = Reading::of_start();
    reading.stderr(&["error: unexpected argument", "", "codex", "exec", "user"]);
    let verdict = reading.end(2);
    assert_eq!(reading.seen.len(), 5);
    assert_eq!(
        verdict.error.unwrap(),
        "exit code 2: error: unexpected argument"
    );
}
