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
