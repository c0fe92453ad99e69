//! Streams that begin with what runs: nothing that ran at that moment is lost, whenever it ends.

use super::*;
use crate::domain::cursor::MAX_OPEN;

async fn running(project: &Arc<Rows>, what: Whole) -> Follower {
    let opened = project.open_at(what, "", Begin::Running, Extent::Whole);
    opened.await.unwrap()
}

/// Begins, writes a line, and ends.
fn whole(project: &Rows, n: i64) {
    project.ours(n);
    project.write(n, &(line(1) + COMPLETE));
    project.end(n);
}

fn order(events: &[Event]) -> Vec<i64> {
    let mut ids: Vec<_> = events.iter().map(|event| event.invocation.get()).collect();
    ids.dedup();
    ids
}

#[tokio::test]
async fn what_ended_is_passed_over_what_runs_comes_whole_and_what_starts_later() {
    let project = project();
    whole(&project, 1);
    project.begin(2, "other", true);
    project.foreign(3);
    project.write(3, &lines(0..2));
    whole(&project, 4);
    let mut follower = running(&project, Whole::Task("T")).await;
    let first = some(&mut follower, 2).await;
    assert_eq!((order(&first), text(&first)), (vec![3], lines(0..2)));
    whole(&project, 5);
    assert_eq!(order(&some(&mut follower, 2).await), [5]);
}

#[tokio::test]
async fn one_that_ends_after_the_look_is_given_to_its_end() {
    let project = project();
    whole(&project, 1);
    project.ours(2);
    let mut follower = running(&project, Whole::Project).await;
    project.write(2, &(lines(0..2) + COMPLETE));
    project.end(2);
    let given = some(&mut follower, 3).await;
    assert_eq!(text(&given), lines(0..2) + COMPLETE);
}

#[tokio::test]
async fn who_resumes_at_the_beginning_misses_nothing_that_ended_since() {
    let project = project();
    whole(&project, 1);
    project.ours(2);
    let follower = running(&project, Whole::Project).await;
    let beginning = follower.beginning().unwrap();
    drop(follower);
    whole(&project, 3);
    project.write(2, COMPLETE);
    project.end(2);
    let given = project.present(Whole::Project, &beginning).await;
    assert_eq!((order(&given), given.len()), (vec![2, 3], 3));
}

#[tokio::test]
async fn more_than_a_cursor_can_list_wait_for_a_place_and_are_not_lost() {
    let project = project();
    let most = i64::try_from(MAX_OPEN).unwrap();
    for n in 1..=most + 4 {
        project.ours(n);
    }
    project.end(most + 2);
    let mut follower = running(&project, Whole::Project).await;
    for n in 1..=most + 4 {
        project.write(n, COMPLETE);
        project.end(n);
    }
    let given = some(&mut follower, MAX_OPEN + 3).await;
    let mut ids: Vec<_> = given.iter().map(|event| event.invocation.get()).collect();
    ids.sort_unstable();
    let expected: Vec<_> = (1..=most + 4).filter(|&n| n != most + 2).collect();
    assert_eq!(ids, expected);
    // Now that all are behind it, the cursor speaks of none.
    let rest = project.present(Whole::Project, &given[MAX_OPEN + 2].cursor);
    assert_eq!(rest.await, []);
}

#[tokio::test]
async fn what_is_queued_takes_no_place_from_what_runs() {
    let project = project();
    let most = i64::try_from(MAX_OPEN).unwrap();
    whole(&project, 1);
    (2..most + 9).for_each(|n| project.queued(n));
    project.ours(most + 9);
    project.write(most + 9, &line(0));
    let mut follower = running(&project, Whole::Project).await;
    let first = some(&mut follower, 1).await;
    assert_eq!((order(&first), text(&first)), (vec![most + 9], line(0)));
    assert!(follower.beginning().unwrap().contains('-'));
    project.start(7);
    project.write(7, &(line(1) + COMPLETE));
    let later = some(&mut follower, 2).await;
    assert_eq!(order(&later), [7]);
    let again = project.present(Whole::Project, &first[0].cursor).await;
    assert_eq!(text(&again), text(&later));
}

#[tokio::test]
async fn of_all_projects_each_begins_with_what_runs_in_it() {
    let hints = pokes();
    let (one, two) = (project_with(&hints), project_with(&hints));
    for project in [&one, &two] {
        whole(project, 1);
        project.ours(2);
    }
    two.write(2, &line(7));
    let sources = Several {
        projects: Arc::new(Mutex::new(vec![Arc::clone(&one), Arc::clone(&two)])),
        changes: watch::Sender::new(0),
        registered: Registered::default(),
    };
    let opening = Opening {
        hints: hints.clone(),
        after: "",
        begin: Begin::Running,
        extent: Extent::Present,
    };
    let mut follower = opening.all(Box::new(sources)).await.unwrap();
    assert!(follower.beginning().unwrap().starts_with("a1_"));
    assert_eq!(text(&rest(&mut follower).await), line(7));
}
