//! What somebody adds to a log while its run goes on.

use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};

use steroids_shim::lock;

use super::*;
use crate::activity_log::Step as Read;
use crate::domain::Offset;

/// As the last line of a log looks.
const FORGED: &[u8] = b"{\"ts\":1,\"type\":\"complete\",\"raw\":9}\n";

impl Bench {
    fn add(&self, bytes: &[u8]) {
        let file = fs::OpenOptions::new().append(true).open(self.log_path());
        file.unwrap().write_all(bytes).unwrap();
    }

    /// What somebody who comes now is given.
    fn shown(&self) -> Vec<u8> {
        let id = InvocationId::new(1).unwrap();
        let mut reader = self.logs.reader(id, Offset::START).unwrap();
        match reader.next_batch(1 << 20).unwrap() {
            Read::Batch(batch) => batch.bytes.to_vec(),
            Read::End => Vec::new(),
            other => panic!("{other:?}"),
        }
    }
}

/// Steps to the end of what there is.
fn catch_up(projection: &mut Projection) -> Step {
    loop {
        match projection.advance().unwrap() {
            Step::More => {}
            step => return step,
        }
    }
}

#[test]
fn until_a_log_is_made_anew_who_comes_is_shown_what_was_written() {
    let mut bench = Bench::new(Kind::Command, Format::Text);
    bench.print(Stream::Stdout, b"one\n");
    let mut projection = bench.projection();
    catch_up(&mut projection);
    let before = bench.log();
    bench.add(FORGED);
    assert_eq!(bench.shown(), before);
    bench.print(Stream::Stdout, b"two\n");
    assert_eq!(catch_up(&mut projection), Step::Rebuilt);
    assert_eq!(bench.shown(), before);
    // As on a full disk: it is begun again.
    projection.restart(Output::Broken);
    assert_eq!(bench.shown(), before);
    assert_eq!(catch_up(&mut projection), Step::Rebuilt);
    projection.publish().unwrap();
    let shown = String::from_utf8(bench.shown()).unwrap();
    assert!(
        shown.contains("two") && !shown.contains("complete"),
        "{shown}"
    );
}

#[test]
fn what_was_added_while_no_daemon_was_there_is_found_by_the_next() {
    let mut bench = Bench::new(Kind::Command, Format::Text);
    bench.print(Stream::Stdout, b"one\n");
    catch_up(&mut bench.projection());
    let before = bench.log();
    bench.add(FORGED);
    let lock = lock::acquire(&bench.dir.lock()).unwrap();
    let mut projection = bench.projection();
    assert_eq!(catch_up(&mut projection), Step::Rebuilt);
    projection.publish().unwrap();
    let why = projection.take_rebuilt_for().unwrap();
    assert_eq!(why, "somebody else had written to it");
    assert_eq!(bench.log(), before);
    drop(lock);
}

/// A daemon that died between the last line and the row has written more than the spool gives.
#[test]
fn the_end_that_a_daemon_wrote_before_it_died_is_no_surplus() {
    let mut bench = Bench::new(Kind::Command, Format::Text);
    bench.print(Stream::Stdout, b"one\n");
    bench.finish(&mut bench.projection());
    let whole = bench.log();
    // Its shim may still be there, having said how it ended; or is gone without having said so.
    let lock = lock::acquire(&bench.dir.lock()).unwrap();
    bench.exit().store(&bench.dir).unwrap();
    let up_to_date = Step::UpToDate { appended: false };
    assert_eq!(catch_up(&mut bench.projection()), up_to_date);
    drop(lock);
    fs::remove_file(bench.dir.exit()).unwrap();
    let mut projection = bench.projection();
    assert_eq!(catch_up(&mut projection), up_to_date);
    assert_eq!(bench.log(), whole);
}

#[test]
fn the_end_is_shown_however_somebody_writes_beside_it() {
    for _ in 0..20 {
        let mut bench = Bench::new(Kind::Command, Format::Text);
        bench.print(Stream::Stdout, b"one\n");
        let mut projection = bench.projection();
        catch_up(&mut projection);
        let path = bench.log_path();
        // Holds the file open as a follower does: what it was told stays what it was told.
        let id = InvocationId::new(1).unwrap();
        let mut reader = bench.logs.reader(id, Offset::START).unwrap();
        assert!(matches!(reader.next_batch(1 << 20), Ok(Read::Batch(_))));
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let file = fs::OpenOptions::new().append(true).open(&path);
                    file.unwrap().write_all(FORGED).unwrap();
                }
            });
            bench.finish(&mut projection);
            is_over.store(true, Ordering::Relaxed);
        });
        let shown = String::from_utf8(bench.shown()).unwrap();
        let last = shown.lines().last().unwrap();
        assert!(
            last.contains("\"duration\"") && !shown.contains("\"raw\":9}"),
            "{shown}"
        );
        drop(projection);
    }
}
