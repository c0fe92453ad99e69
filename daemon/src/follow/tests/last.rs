//! Streams that begin with the last lines of what there is.

use super::*;
use crate::domain::cursor::MAX_OPEN;

async fn last(project: &Arc<Rows>, what: Whole, lines: u32, extent: Extent) -> Follower {
    let opened = project.open_at(what, "", Begin::Last(lines), extent);
    opened.await.unwrap()
}

async fn there(project: &Arc<Rows>, what: Whole, lines: u32) -> String {
    text(&rest(&mut last(project, what, lines, Extent::Present).await).await)
}

const ONE: Whole = Whole::Invocation(1);

#[tokio::test]
async fn so_many_lines_of_what_is_there_come_and_then_what_is_written() {
    for is_ours in [true, false] {
        let project = project();
        project.begin(1, "T", is_ours);
        project.write(1, &lines(0..5));
        for (n, expected) in [(0, 5..5), (2, 3..5), (5, 0..5), (9, 0..5)] {
            assert_eq!(there(&project, ONE, n).await, lines(expected));
        }
        let mut follower = last(&project, ONE, 2, Extent::Whole).await;
        assert_eq!(text(&some(&mut follower, 2).await), lines(3..5));
        project.write(1, &line(5));
        assert_eq!(text(&some(&mut follower, 1).await), line(5));
    }
}

#[tokio::test]
async fn what_is_written_before_the_first_look_is_not_what_was_there() {
    let project = project();
    project.ours(1);
    let torn = line(3);
    let (begun, rest_of_it) = torn.split_at(9);
    project.write(1, &(lines(0..3) + begun));
    let mut follower = last(&project, ONE, 0, Extent::Whole).await;
    project.write(1, rest_of_it);
    assert_eq!(text(&some(&mut follower, 1).await), torn);

    // Nothing was there at all.
    project.queued(2);
    let mut follower = last(&project, Whole::Invocation(2), 0, Extent::Whole).await;
    project.start(2);
    project.write(2, &(lines(0..2) + COMPLETE));
    assert_eq!(text(&rest(&mut follower).await), lines(0..2) + COMPLETE);
}

#[tokio::test]
async fn who_comes_back_before_the_first_line_goes_on_from_the_same_place() {
    for is_ours in [true, false] {
        for what in [ONE, Whole::Task("T"), Whole::Project] {
            let project = project();
            project.begin(1, "T", is_ours);
            let beginning = async |n| last(&project, what, n, Extent::Whole).await.beginning();
            let empty = beginning(0).await.unwrap();
            project.write(1, &lines(0..3));
            let (one, none) = (beginning(1).await.unwrap(), beginning(0).await.unwrap());
            project.write(1, &line(3));
            for (cursor, expected) in [(empty, 0..4), (one, 2..4), (none, 3..4)] {
                assert_eq!(text(&project.present(what, &cursor).await), lines(expected));
            }
        }
    }
}

#[tokio::test]
async fn of_one_that_has_ended_the_last_lines_come_and_the_stream_ends() {
    let project = project();
    project.ours(1);
    project.write(1, &(lines(0..400) + COMPLETE));
    project.end(1);
    let ended = async |n| {
        let mut follower = last(&project, ONE, n, Extent::Whole).await;
        text(&rest(&mut follower).await)
    };
    assert_eq!(ended(2).await, line(399) + COMPLETE);
    assert_eq!(ended(0).await, "");
    project.logs.pack(id(1), &|| false).unwrap();
    assert_eq!(ended(3).await, lines(398..400) + COMPLETE);
    fs::remove_file(project.path(1).with_extension("log.zst")).unwrap();
    let mut follower = last(&project, ONE, 2, Extent::Whole).await;
    let gone = rest(&mut follower).await;
    assert_eq!((gone.len(), gone[0].kind.as_str()), (1, "gap"));
}

#[tokio::test]
async fn of_many_those_that_run_begin_with_so_many_lines_and_what_has_no_place_with_its_first() {
    let project = project();
    project.ours(1);
    project.write(1, &(lines(0..2) + COMPLETE));
    project.end(1);
    let most = i64::try_from(MAX_OPEN).unwrap();
    for n in 2..most + 3 {
        project.ours(n);
        project.write(n, &lines(0..3));
    }
    let mut follower = last(&project, Whole::Project, 1, Extent::Whole).await;
    for n in 2..most + 3 {
        project.write(n, COMPLETE);
        project.end(n);
    }
    let given = some(&mut follower, 2 * MAX_OPEN + 4).await;
    for n in 2..most + 3 {
        let of = given.iter().filter(|it| it.invocation.get() == n);
        let expected = if n == most + 2 { lines(0..3) } else { line(2) };
        assert_eq!(text(&of.cloned().collect::<Vec<_>>()), expected + COMPLETE);
    }
}

#[tokio::test]
async fn where_nothing_runs_it_is_the_newest_that_has_ended_and_then_what_starts() {
    let project = project();
    for (n, task) in [(1, "T"), (2, "T"), (3, "U")] {
        project.begin(n, task, true);
        project.write(n, &(lines(0..3) + COMPLETE));
        project.end(n);
    }
    project.queued(4);
    let whole = Whole::Task("T");
    assert_eq!(there(&project, whole, 2).await, line(2) + COMPLETE);
    assert_eq!(there(&project, whole, 0).await, "");
    let beginning = last(&project, whole, 2, Extent::Whole).await.beginning();
    let mut follower = last(&project, whole, 2, Extent::Whole).await;
    let given = some(&mut follower, 2).await;
    assert!(given.iter().all(|it| it.invocation.get() == 2));
    for (n, task) in [(5, "T"), (6, "U")] {
        project.begin(n, task, true);
        project.write(n, &line(7));
    }
    assert_eq!(text(&some(&mut follower, 1).await), line(7));
    let resumed = project.present(whole, &beginning.unwrap()).await;
    assert_eq!(text(&resumed), line(2) + COMPLETE + &line(7));
    // In the project 6 runs.
    assert_eq!(there(&project, Whole::Project, 1).await, line(7) + &line(7));
}

#[tokio::test]
async fn where_not_all_that_stands_has_a_place_nobody_says_that_nothing_runs() {
    let project = project();
    // Each by itself takes a place, as other tasks' ids lie between them.
    for n in 1..=i64::try_from(MAX_OPEN).unwrap() {
        project.queued(2 * n);
        project.begin(2 * n + 1, "U", true);
        project.end(2 * n + 1);
    }
    project.begin(100, "T", true);
    project.write(100, &(lines(0..3) + COMPLETE));
    project.end(100);
    assert_eq!(there(&project, Whole::Task("T"), 2).await, "");
}

#[tokio::test]
async fn of_a_log_that_is_rebuilt_as_it_is_opened_the_new_ones_last_lines_come() {
    let project = project();
    project.ours(1);
    project.write(1, &lines(0..2));
    // Between the look at its row and at its file.
    *project.meanwhile.lock().unwrap() = Some(Box::new(|project| {
        project.rebuilt(1);
        fs::write(project.path(1), lines(0..5)).unwrap();
    }));
    assert_eq!(there(&project, ONE, 1).await, line(4));
}
