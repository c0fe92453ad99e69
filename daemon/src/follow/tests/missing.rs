//! Invocations that a cursor speaks of, and that have no row, or no log, when it comes back.

use super::wide::{ALL, of, order};
use super::*;

#[tokio::test]
async fn an_invocation_whose_row_is_put_back_goes_on_where_the_cursor_was() {
    let project = project();
    for n in 1..=2 {
        project.ours(n);
        project.write(n, &line(0));
    }
    let cursor = project.present(ALL, "").await.pop().unwrap().cursor;
    let rows = std::mem::take(&mut *project.rows.lock().unwrap());
    let mut follower = project.follow(ALL, &cursor).await;
    // What comes meanwhile has a cursor that speaks of them.
    project.ours(3);
    project.write(3, &line(0));
    let other = some(&mut follower, 1).await;
    assert_eq!(order(&other), [3]);
    let again = project.follow(ALL, &other[0].cursor).await;
    project.rows.lock().unwrap().extend(rows);
    for n in 1..=2 {
        project.write(n, &line(1));
    }
    project.touch();
    for mut follower in [follower, again] {
        let given = some(&mut follower, 2).await;
        for n in 1..=2 {
            assert_eq!(of(&given, n), line(1));
        }
    }
}

#[tokio::test]
async fn a_look_while_some_rows_are_back_keeps_the_places_of_the_others() {
    let project = project();
    for n in 1..=2 {
        project.ours(n);
        project.write(n, &line(0));
    }
    project.queued(3);
    project.queued(4);
    project.ours(5);
    project.write(5, &line(0));
    let mut follower = project.follow(ALL, "").await;
    let cursor = some(&mut follower, 3).await.pop().unwrap().cursor;
    let mut rows = std::mem::take(&mut *project.rows.lock().unwrap());
    project.rows.lock().unwrap().extend(rows.remove_entry(&2));
    for n in 1..=2 {
        project.write(n, &line(1));
    }
    let looked = project.present(ALL, &cursor).await;
    assert_eq!((order(&looked), text(&looked)), (vec![2], line(1)));
    project.rows.lock().unwrap().extend(rows);
    project.start(4);
    project.write(4, &line(1));
    let later = project.present(ALL, &looked[0].cursor).await;
    assert_eq!((of(&later, 1), of(&later, 4)), (line(1), line(1)));
    assert_eq!(later.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_row_that_nobody_puts_back_has_its_place_for_a_while() {
    let project = project();
    for n in 1..=2 {
        project.ours(n);
        project.write(n, &line(0));
    }
    let cursor = project.present(ALL, "").await.pop().unwrap().cursor;
    project.rows.lock().unwrap().remove(&1);
    let mut follower = project.follow(ALL, &cursor).await;
    assert_eq!(follower.places_taken(), 2);
    tokio::time::advance(Duration::from_secs(61)).await;
    project.touch();
    project.write(2, &line(1));
    assert_eq!(order(&some(&mut follower, 1).await), [2]);
    project.touch();
    project.write(2, &line(2));
    assert_eq!(order(&some(&mut follower, 1).await), [2]);
    assert_eq!(follower.places_taken(), 1);
}

#[tokio::test]
async fn a_log_that_a_cursor_promised_and_that_is_gone_is_told_once() {
    let project = project();
    for n in 1..=4 {
        project.ours(n);
        project.write(n, &line(0));
    }
    project.queued(5);
    let mut follower = project.follow(ALL, "").await;
    let cursor = some(&mut follower, 4).await.pop().unwrap().cursor;
    // It has one in part, and of one that comes later nothing; of another tool's nobody knows.
    project.start(5);
    project.ours(6);
    project.foreign(7);
    for n in [1, 5, 6, 7] {
        project.end(n);
        let _ = fs::remove_file(project.path(n));
    }
    for n in 2..=4 {
        project.write(n, COMPLETE);
        project.end(n);
    }
    let told = project.present(ALL, &cursor).await;
    let (gaps, lines): (Vec<_>, Vec<_>) = told.iter().cloned().partition(|it| it.kind == "gap");
    assert_eq!(order(&gaps), [1, 5, 6]);
    assert_eq!(reasons(&gaps), ["no_log"; 3]);
    assert_eq!(order(&lines), [2, 3, 4]);
    for (at, event) in told.iter().enumerate() {
        let rest = project.present(ALL, &event.cursor).await;
        assert_eq!(order(&rest), order(&told[at + 1..]), "after {event:?}");
    }
    // Who comes with nothing was promised none of them.
    assert_eq!(order(&project.present(ALL, "").await), [2, 3, 4]);
}

#[tokio::test]
async fn what_is_seen_to_run_and_ends_without_a_log_is_told() {
    let project = project();
    for n in 1..=2 {
        project.foreign(n);
    }
    project.end(1);
    let mut follower = project.follow(ALL, "").await;
    project.ours(3);
    project.write(3, COMPLETE);
    assert_eq!(order(&some(&mut follower, 1).await), [3]);
    project.end(2);
    let told = some(&mut follower, 1).await;
    assert_eq!(
        (order(&told), reasons(&told)),
        (vec![2], vec!["no_log".to_owned()])
    );
}
