//! What is told of a running invocation, from its spool.

use super::*;

fn advance(projection: &mut Projection) {
    while projection.advance().unwrap() == Step::More {}
}

#[test]
fn after_a_restart_the_same_is_told_as_before() {
    let mut bench = Bench::new(Kind::Gemini, Format::Json);
    print_hard_run(&mut bench);
    let mut projection = bench.projection();
    advance(&mut projection);
    let before = projection.live();
    assert_eq!(before.lines, lines(&bench.log()).len() as u64);
    assert_eq!((before.tools, before.open_tools), (1, 0));
    assert_eq!(before.usage.unwrap().output_tokens, 4);
    let mut again = bench.projection();
    advance(&mut again);
    assert_eq!(again.live(), before);
    // Also where the log is written anew.
    fs::write(bench.log_path(), b"{\"ts\":1,\"type\":\"other\"}\n").unwrap();
    let mut rebuilding = bench.projection();
    advance(&mut rebuilding);
    rebuilding.publish().unwrap();
    assert_eq!(rebuilding.live(), before);
}

#[test]
fn the_model_that_answers_is_told_while_it_runs_and_at_its_end_without_secrets() {
    let mut bench = Bench::new(Kind::Claude, Format::Json);
    let token = format!("ghp_{}", "a1B2".repeat(9));
    let init = |model: &str| {
        format!(
            "{{\"type\":\"system\",\"subtype\":\"init\",\"session_id\":\"s\",\"model\":\"{model}\"}}\n"
        )
    };
    let open = |bench: &Bench| {
        let (spec, dir, logs) = (
            Arc::clone(&bench.spec),
            bench.dir.clone(),
            bench.logs.clone(),
        );
        Projection::open(spec, Redactor::of_shapes(), dir, logs).unwrap()
    };
    let mut projection = open(&bench);
    let mut told = |bench: &mut Bench, model: &str| {
        bench.print(Stream::Stdout, init(model).as_bytes());
        advance(&mut projection);
        projection.live().answering_model
    };
    assert_eq!(told(&mut bench, ""), None);
    assert_eq!(told(&mut bench, &token).as_deref(), Some("[redacted]"));
    let sonnet = "claude-sonnet-4-5-20250929";
    assert_eq!(told(&mut bench, sonnet).as_deref(), Some(sonnet));
    let ending = bench.finish(&mut open(&bench));
    assert_eq!(ending.answering_model.as_deref(), Some(sonnet));
    // In a line without an end.
    let last = init("claude-opus-4-5");
    bench.print(Stream::Stdout, last.trim_end().as_bytes());
    let ending = bench.finish(&mut open(&bench));
    assert_eq!(ending.answering_model.as_deref(), Some("claude-opus-4-5"));
}

#[test]
fn a_line_that_has_begun_is_told_until_it_ends_without_secrets() {
    let mut bench = Bench::new(Kind::Command, Format::Text);
    let redactor = Redactor::of_shapes();
    let (spec, dir, logs) = (
        Arc::clone(&bench.spec),
        bench.dir.clone(),
        bench.logs.clone(),
    );
    let mut projection = Projection::open(spec, redactor, dir, logs).unwrap();
    let mut told = |bytes: &[u8]| {
        bench.print(Stream::Stdout, bytes);
        advance(&mut projection);
        let live = projection.live();
        (live.waits_for, live.waits_on)
    };
    let line = |text: &str| ("unfinished_line", text.to_owned());
    assert_eq!(told(b"Push to main"), line("Push to main"));
    assert_eq!(told(b"? [y/N] "), line("Push to main? [y/N]"));
    assert_eq!(told(b"\n"), ("", String::new()));
    // Of a bar only what stands there now.
    assert_eq!(told(b"\r 10%\r 20%\r"), line("20%"));
    let token = format!("\nwith ghp_{}", "a1B2".repeat(9));
    assert_eq!(told(token.as_bytes()), line("with [redacted]"));
    // Nor is the end of one that begins long before what is shown.
    let begins = format!(
        "\n{{\"access_token\":\"eyJhbGciOiJIUzI1NiJ9.eyJ{}",
        "a1B2".repeat(700)
    );
    let token = format!(
        "{begins}.sig{}\",\"type\":\"Bearer\"}} ok? ",
        "x9".repeat(30)
    );
    let (_, end) = told(token.as_bytes());
    assert!(end.ends_with("ok?") && !end.contains("x9x9"), "{end}");
    // Its end is what is asked, and of all that has been printed no more than is shown.
    let long = "\n".to_owned() + &"x ".repeat(9000) + "Continue?";
    let (_, end) = told(long.as_bytes());
    assert!(end.ends_with("x Continue?") && end.len() > 190, "{end}");
    assert!(end.len() <= 200, "{end}");
    let endless = "x".repeat(20_000);
    assert_eq!(told(endless.as_bytes()), ("", String::new()));
}

#[test]
fn half_an_event_is_no_line_that_somebody_is_asked() {
    let mut bench = Bench::new(Kind::Claude, Format::Json);
    let mut projection = bench.projection();
    bench.print(Stream::Stdout, br#"{"type":"assist"#);
    advance(&mut projection);
    assert_eq!(projection.live().waits_for, "model");
    bench.print(Stream::Stderr, b"Do you trust this folder? ");
    advance(&mut projection);
    let live = projection.live();
    assert_eq!(live.waits_for, "unfinished_line");
    assert_eq!(live.waits_on, "Do you trust this folder?");
}

#[test]
fn a_question_on_stdout_is_told_also_where_events_are_expected() {
    let mut bench = Bench::new(Kind::Claude, Format::Json);
    let mut projection = bench.projection();
    bench.print(Stream::Stdout, b"Continue? [y/N] ");
    advance(&mut projection);
    let live = projection.live();
    assert_eq!(live.waits_for, "unfinished_line");
    assert_eq!(live.waits_on, "Continue? [y/N]");
    bench.finish(&mut projection);
    assert_eq!(projection.take_unknown(), []);
}

#[test]
fn half_an_event_at_the_end_is_no_sign_of_another_format() {
    let mut bench = Bench::new(Kind::Claude, Format::Json);
    let mut projection = bench.projection();
    bench.print(Stream::Stdout, br#"{"type":"assist"#);
    bench.finish(&mut projection);
    assert_eq!(projection.take_unknown(), []);
}

#[test]
fn what_every_recorded_run_used_so_far_is_in_the_end_what_its_row_says() {
    let recordings = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/recordings");
    let mut used = 0;
    for kind in [Kind::Claude, Kind::Codex, Kind::Gemini, Kind::Opencode] {
        let folder = PathBuf::from(recordings).join(kind.as_str());
        for run in fs::read_dir(folder).unwrap().flatten() {
            let mut bench = Bench::new(kind, Format::Json);
            for (stream, name) in [(Stream::Stdout, "stdout"), (Stream::Stderr, "stderr")] {
                if let Ok(bytes) = fs::read(run.path().join(name)) {
                    bench.print(stream, &bytes);
                }
            }
            let mut projection = bench.projection();
            let ending = bench.finish(&mut projection);
            let live = projection.live();
            assert_eq!(live.usage, ending.usage, "{}", run.path().display());
            assert_eq!(live.lines, lines(&bench.log()).len() as u64);
            used += usize::from(ending.usage.is_some());
        }
    }
    assert!(used > 20, "{used}");
}

#[test]
fn a_message_that_nothing_answered_is_no_success() {
    let result = br#"{"type":"result","subtype":"success","is_error":false,"result":"ok"}
"#;
    let mut bench = Bench::new(Kind::Claude, Format::Json);
    let mut projection = bench.projection();
    bench.print(Stream::Stdout, result);
    advance(&mut projection);
    assert_eq!(projection.live().waits_for, "result_sent");
    let msg = "and the tests?".to_owned();
    let input = Control::Input { msg };
    bench.spool.control(1, 1, &input).unwrap();
    advance(&mut projection);
    assert_eq!(projection.live().waits_for, "model");
    let ending = bench.finish(&mut projection);
    assert_eq!(ending.outcome, Outcome::Interrupted);

    bench.print(Stream::Stdout, result);
    let ending = bench.finish(&mut bench.projection());
    assert_eq!(ending.outcome, Outcome::Success);
}
