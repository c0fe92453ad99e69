//! Cursors of a database that is gone, where ids have begun again.

use super::wide::{ALL, of, order};
use super::*;

const TASK: Whole = Whole::Task("T");

/// Longer than rows are put back.
const LONG: Duration = Duration::from_secs(61);

impl Rows {
    /// The folder was deleted, with all that was in it.
    fn lose_all(&self) -> BTreeMap<i64, Invocation> {
        let rows = std::mem::take(&mut *self.rows.lock().unwrap());
        for n in rows.keys() {
            let _ = fs::remove_file(self.path(*n));
        }
        rows
    }

    fn run(&self, n: i64) {
        self.ours(n);
        self.write(n, &(line(0) + COMPLETE));
        self.end(n);
    }
}

#[tokio::test(start_paused = true)]
async fn a_cursor_ahead_of_the_database_is_told_and_given_all_there_is() {
    for what in [TASK, ALL] {
        let project = project();
        (1..=3).for_each(|n| project.run(n));
        let cursor = project.present(what, "").await.pop().unwrap().cursor;
        project.lose_all();
        project.run(1);
        tokio::time::advance(LONG).await;
        let told = project.present(what, &cursor).await;
        assert_eq!(reasons(&told), ["other_database"]);
        assert_eq!((told[0].invocation, told[0].kind.as_str()), (id(3), "gap"));
        assert_eq!(text(&told[1..]), line(0) + COMPLETE);
        // Once; and before it was told, as at first.
        let again = project.present(what, &told[0].cursor).await;
        assert_eq!((order(&again), reasons(&again).len()), (vec![1], 0));
        let untold = project.follow(what, &cursor).await;
        assert_eq!(untold.beginning(), Some(cursor));
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_deleted_or_has_a_log_is_no_other_database() {
    let project = project();
    (1..=3).for_each(|n| project.run(n));
    let cursor = project.present(ALL, "").await.pop().unwrap().cursor;
    project.rows.lock().unwrap().clear();
    tokio::time::advance(LONG).await;
    assert_eq!(project.present(ALL, &cursor).await, []);
    project.rows.lock().unwrap().clear();
    project.run(4);
    assert_eq!(order(&project.present(ALL, &cursor).await), [4]);
}

#[tokio::test(start_paused = true)]
async fn rows_that_are_put_back_in_time_are_given_on() {
    let project = project();
    project.run(1);
    project.ours(2);
    project.write(2, &line(0));
    let cursor = project.present(ALL, "").await.pop().unwrap().cursor;
    let rows = project.lose_all();
    let mut follower = project.follow(ALL, &cursor).await;
    project.write(2, &lines(0..2));
    project.rows.lock().unwrap().extend(rows);
    project.touch();
    assert_eq!(text(&some(&mut follower, 1).await), line(1));
    tokio::time::advance(LONG).await;
    project.touch();
    project.write(2, &line(2));
    assert_eq!(text(&some(&mut follower, 1).await), line(2));
}

#[tokio::test(start_paused = true)]
async fn a_stream_begins_anew_once_nothing_can_be_put_back_any_more() {
    let project = project();
    (1..=3).for_each(|n| project.run(n));
    let cursor = project.present(ALL, "").await.pop().unwrap().cursor;
    project.lose_all();
    project.run(1);
    let mut follower = project.follow(ALL, &cursor).await;
    // Nobody tells: it looks by itself, a while before we have waited for long enough.
    tokio::time::advance(LONG - PATIENCE / 2).await;
    let told = some(&mut follower, 3).await;
    assert_eq!(reasons(&told), ["other_database"]);
    assert_eq!(text(&told[1..]), line(0) + COMPLETE);
    project.run(2);
    assert_eq!(of(&some(&mut follower, 2).await, 2), line(0) + COMPLETE);
}
