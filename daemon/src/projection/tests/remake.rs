//! An ended log, made once more.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

const NEVER: &dyn Fn() -> bool = &|| false;

fn remake(bench: &Bench) -> Remake {
    Remake {
        spec: Arc::clone(&bench.spec),
        redactor: bench.spec.redactor(),
        dir: bench.dir.clone(),
        exit: bench.exit(),
        logs: bench.logs.clone(),
    }
}

fn names(bench: &Bench) -> Vec<String> {
    let folder = fs::read_dir(bench.logs.folder()).unwrap();
    let names = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

fn hard() -> (Bench, Vec<u8>) {
    let mut bench = Bench::new(Kind::Gemini, Format::Json);
    print_hard_run(&mut bench);
    let whole = bench.undisturbed();
    (bench, whole)
}

#[test]
fn a_look_tells_what_would_be_and_leaves_what_is() {
    let (bench, whole) = hard();
    let same = remake(&bench).check(NEVER).unwrap();
    assert!(same.is_same && !same.is_gone);
    assert_eq!(same.after.lines(), lines(&whole).len() as u64);
    assert_eq!(same.before, Some(same.after.clone()));
    assert_eq!(same.ending.outcome, Outcome::Success);

    let mut cut: Vec<u8> = whole.clone();
    cut.truncate(whole.len() / 2);
    let false_line = b"{\"ts\":1,\"type\":\"gossip\",\"raw\":1}\n";
    for other in [
        cut.clone(),
        [&whole[..], false_line].concat(),
        [false_line, &whole[..]].concat(),
        Vec::new(),
    ] {
        fs::write(bench.log_path(), &other).unwrap();
        let looked = remake(&bench).check(NEVER).unwrap();
        assert!(!looked.is_same && !looked.is_gone);
        assert_eq!(looked.after, same.after);
        assert_eq!(bench.log(), other);
    }
    fs::remove_file(bench.log_path()).unwrap();
    let gone = remake(&bench).check(NEVER).unwrap();
    assert!(gone.is_gone && gone.before.is_none());
    assert!(names(&bench).iter().all(|name| !name.contains(".log")));
}

#[test]
fn a_rebuilt_log_takes_its_place_when_it_is_published_and_else_leaves_nothing() {
    let (bench, whole) = hard();
    fs::write(bench.log_path(), "false\n").unwrap();
    drop(remake(&bench).rebuild(NEVER).unwrap());
    assert_eq!(bench.log(), b"false\n");
    assert!(!names(&bench).iter().any(|name| name.ends_with(".new")));
    let mut projection = remake(&bench).rebuild(NEVER).unwrap();
    assert_eq!(bench.log(), b"false\n");
    projection.publish().unwrap();
    assert_eq!(bench.log(), whole);
}

#[test]
fn what_nobody_wants_any_more_is_given_up_between_two_steps() {
    let mut bench = Bench::new(Kind::Command, Format::Text);
    let line = [&[b'x'; 60_000][..], b"\n"].concat();
    for _ in 0..300 {
        bench.print(Stream::Stdout, &line);
    }
    for at in [0, 1] {
        let asked = AtomicUsize::new(0);
        let is_given_up = || asked.fetch_add(1, Ordering::Relaxed) == at;
        let given_up = remake(&bench).rebuild(&is_given_up);
        assert!(matches!(given_up, Err(RemakeError::GivenUp)));
        assert_eq!(asked.into_inner(), at + 1);
    }
    assert!(matches!(
        remake(&bench).check(&|| true),
        Err(RemakeError::GivenUp)
    ));
    assert!(names(&bench).iter().all(|name| !name.contains(".log")));
}

#[test]
fn a_spool_without_its_end_makes_no_log_in_the_place_of_one() {
    let (bench, whole) = hard();
    let spool = fs::read(bench.dir.spool()).unwrap();
    fs::write(bench.dir.spool(), &spool[..spool.len() - 3]).unwrap();
    let refused = remake(&bench).check(NEVER);
    assert!(matches!(refused, Err(RemakeError::Damaged { .. })));
    fs::remove_file(bench.dir.spool()).unwrap();
    let refused = remake(&bench).check(NEVER);
    assert!(matches!(refused, Err(RemakeError::Damaged { .. })));
    assert_eq!(bench.log(), whole);
    // What it has is better than nothing.
    fs::remove_file(bench.log_path()).unwrap();
    assert!(remake(&bench).check(NEVER).unwrap().is_gone);
}

#[test]
fn events_that_no_parser_knew_are_told_once_though_the_log_is_rebuilt_in_between() {
    let mut bench = Bench::new(Kind::Gemini, Format::Json);
    let event = b"{\"type\":\"telepathy\"}\n";
    bench.print(Stream::Stdout, event);
    let mut projection = bench.projection();
    projection.advance().unwrap();
    let told = projection.take_unknown();
    assert_eq!(
        (told.len(), told[0].name.as_str(), told[0].count),
        (1, "telepathy", 1)
    );
    fs::write(bench.log_path(), "false\n").unwrap();
    fs::remove_file(bench.log_path()).unwrap();
    bench.print(Stream::Stdout, event);
    assert_eq!(projection.advance().unwrap(), Step::Rebuilt);
    let told = projection.take_unknown();
    assert_eq!((told.len(), told[0].count), (1, 1));
    projection.publish().unwrap();
    bench.finish(&mut projection);
    assert_eq!(projection.take_unknown(), []);
}
