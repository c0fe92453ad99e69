//! Tasks, projects and everything: many logs in one stream.

use proptest::prelude::*;

use super::*;

pub(super) const ALL: Whole = Whole::Project;

pub(super) fn of(events: &[Event], n: i64) -> String {
    let those: Vec<_> = events
        .iter()
        .filter(|it| it.invocation == id(n))
        .cloned()
        .collect();
    text(&those)
}

pub(super) fn order(events: &[Event]) -> Vec<i64> {
    let mut ids: Vec<_> = events.iter().map(|event| event.invocation.get()).collect();
    ids.dedup();
    ids
}

#[tokio::test]
async fn ended_ones_come_whole_and_in_order_then_the_running_and_the_new() {
    let project = project();
    for n in 1..=5 {
        project.begin(n, if n == 3 { "other" } else { "T" }, n != 2);
        project.write(n, &lines(0..3_000));
        if n != 4 {
            project.write(n, COMPLETE);
            project.end(n);
        }
    }
    let mut follower = project.follow(Whole::Task("T"), "").await;
    let replayed = some(&mut follower, 3 * 3_001 + 3_000).await;
    let firsts = order(&replayed);
    assert_eq!(firsts[..2], [1, 2]);
    assert!(!firsts.contains(&3) && firsts.contains(&4) && firsts.contains(&5));

    project.ours(6);
    project.write(6, &(line(0) + COMPLETE));
    project.write(4, COMPLETE);
    let live = some(&mut follower, 3).await;
    assert_eq!(
        (of(&live, 4), of(&live, 6)),
        (COMPLETE.to_owned(), line(0) + COMPLETE)
    );
    assert_eq!(
        live[2].cursor.split('.').count(),
        3,
        "all at their end: {}",
        live[2].cursor
    );
}

#[tokio::test]
async fn logs_that_retention_removed_are_passed_over() {
    let project = project();
    for n in 1..=3 {
        project.ours(n);
        project.end(n);
    }
    project.write(3, COMPLETE);
    assert_eq!(text(&project.present(ALL, "").await), COMPLETE);
}

#[tokio::test]
async fn a_cursor_of_another_task_is_refused_and_an_unknown_invocation_forgotten() {
    let project = project();
    project.ours(1);
    project.write(1, &line(0));
    let cursor = project.present(Whole::Task("T"), "").await[0]
        .cursor
        .clone();
    let other = project.open(Whole::Task("U"), &cursor, Extent::Whole).await;
    assert!(matches!(other, Err(FollowError::CursorOutOfRange(_))));
    project.rows.lock().unwrap().clear();
    assert_eq!(project.present(Whole::Task("T"), &cursor).await, []);
}

#[tokio::test]
async fn more_running_ones_than_a_cursor_lists_wait_for_a_place() {
    let project = project();
    let count = MAX_OPEN as i64 + 3;
    for n in 1..=count {
        project.ours(n);
        project.write(n, &line(0));
    }
    let mut follower = project.follow(ALL, "").await;
    let first = some(&mut follower, MAX_OPEN).await;
    assert_eq!(order(&first), (1..=MAX_OPEN as i64).collect::<Vec<_>>());
    assert_eq!(follower.places_taken(), MAX_OPEN);
    for n in 1..=count {
        project.write(n, COMPLETE);
    }
    let later = some(&mut follower, MAX_OPEN + 3 * 2).await;
    for n in MAX_OPEN as i64 + 1..=count {
        assert_eq!(of(&later, n), line(0) + COMPLETE);
    }
    assert!(
        later
            .iter()
            .chain(&first)
            .all(|event| event.cursor.len() <= 4096)
    );
    assert_eq!(follower.places_taken(), 0);
}

#[tokio::test]
async fn what_is_queued_keeps_nobody_waiting_and_is_given_once_it_begins() {
    let project = project();
    let most = MAX_OPEN as i64;
    (1..=most + 4).for_each(|n| project.queued(n));
    project.ours(most + 5);
    project.write(most + 5, &line(0));
    let mut follower = project.follow(ALL, "").await;
    let first = some(&mut follower, 1).await;
    assert_eq!((order(&first), text(&first)), (vec![most + 5], line(0)));
    // More come, and some of the middle begin, or are over without a beginning.
    (most + 6..=most + 9).for_each(|n| project.queued(n));
    for n in [5, 9, most + 7] {
        project.start(n);
        project.write(n, &line(1));
    }
    project.write(2, COMPLETE);
    project.end(2);
    let later = some(&mut follower, 4).await;
    for (n, given) in [(5, line(1)), (9, line(1)), (most + 7, line(1))] {
        assert_eq!(of(&later, n), given, "{n}");
    }
    assert_eq!(of(&later, 2), COMPLETE);
    // So it is with each of the cursors.
    let given: Vec<_> = first.iter().chain(&later).collect();
    for (at, event) in given.iter().enumerate() {
        let again = project.present(ALL, &event.cursor).await;
        assert_eq!(again.len(), given.len() - at - 1, "{}", event.cursor);
    }
    // Those of a task share a place also where others stand between them.
    for n in most + 11..most + 11 + 2 * most {
        project.begin(n, if n % 2 == 0 { "V" } else { "W" }, true);
        project.change(n, |row| row.phase = Phase::Queued);
    }
    let mut follower = project.follow(Whole::Task("V"), "").await;
    let last = most + 12 + 2 * most;
    project.begin(last, "V", true);
    project.write(last, COMPLETE);
    assert_eq!(order(&some(&mut follower, 1).await), [last]);
    assert_eq!(follower.places_taken(), 1);
    // A task that none of them is of has none of them in its cursors.
    project.begin(most + 10, "U", true);
    project.write(most + 10, &line(0));
    let other = project.present(Whole::Task("U"), "").await;
    assert_eq!(other.len(), 1);
    assert!(!other[0].cursor.contains('-'), "{}", other[0].cursor);
}

#[tokio::test]
async fn queued_ones_with_others_between_them_are_all_given_in_the_end() {
    let project = project();
    let most = 3 * MAX_OPEN as i64;
    for n in 1..=most {
        match n % 3 {
            0 => project.queued(n),
            1 => {
                project.ours(n);
                project.write(n, COMPLETE);
                project.end(n);
            }
            _ => {
                project.ours(n);
                project.write(n, &line(0));
            }
        }
    }
    let mut follower = project.follow(ALL, "").await;
    let mut got = next(&mut follower).await.unwrap();
    // Those that begin first are such as came last.
    for n in (1..=most).rev().filter(|n| n % 3 != 1) {
        project.start(n);
        project.write(n, COMPLETE);
        project.end(n);
    }
    let count = 4 * MAX_OPEN;
    let rest = some(&mut follower, count - got.len()).await;
    got.extend(rest);
    assert!(got.iter().all(|event| event.cursor.len() <= 4096));
    for n in 1..=most {
        assert_eq!(of(&got, n), project.content(n), "{n}");
    }
    assert_eq!((got.len(), follower.places_taken()), (count, 0));
}

#[tokio::test]
async fn rows_of_queued_ones_that_were_deleted_are_forgotten() {
    let project = project();
    project.queued(1);
    project.ours(2);
    project.write(2, &line(0));
    let mut follower = project.follow(ALL, "").await;
    some(&mut follower, 1).await;
    assert_eq!(follower.places_taken(), 2);
    project.rows.lock().unwrap().remove(&1);
    project.write(2, &line(1));
    project.touch();
    some(&mut follower, 1).await;
    project.write(2, COMPLETE);
    some(&mut follower, 1).await;
    assert_eq!(follower.places_taken(), 0);
}

#[tokio::test]
async fn who_goes_on_after_a_look_gets_the_rest_of_what_still_ran() {
    let project = project();
    for n in 1..=4 {
        project.ours(n);
    }
    project.foreign(5);
    // One with little, one with more than one read, one that has ended, and two without a log yet.
    project.write(1, &line(0));
    project.write(2, &lines(0..5_000));
    project.write(3, COMPLETE);
    project.end(3);
    let looked = project.present(ALL, "").await;
    assert_eq!(of(&looked, 2), lines(0..5_000));
    for cursor in looked.iter().rev().step_by(1_000).map(|it| &it.cursor) {
        // Neither does a look at what has not changed lose anything.
        let again = project.present(ALL, cursor).await;
        let cursor = again.last().map_or(cursor, |it| &it.cursor);
        assert_eq!(project.present(ALL, cursor).await, []);
    }
    for n in [1, 2, 4, 5] {
        project.write(n, &(line(7) + COMPLETE));
        project.end(n);
    }
    let last = &looked.last().unwrap().cursor;
    let later = project.present(ALL, last).await;
    for n in [1, 2, 4, 5] {
        assert_eq!(of(&later, n), line(7) + COMPLETE, "{n}");
    }
    assert_eq!(later.len(), 8);
}

#[tokio::test]
async fn a_look_ends_before_what_a_cursor_cannot_list() {
    let project = project();
    let most = MAX_OPEN as i64;
    for n in 1..=most + 1 {
        project.ours(n);
        project.write(n, &line(0));
    }
    project.ours(most + 2);
    project.write(most + 2, COMPLETE);
    project.end(most + 2);
    let looked = project.present(ALL, "").await;
    assert_eq!(order(&looked), (1..=most).collect::<Vec<_>>());
    for n in 1..=most + 1 {
        project.write(n, COMPLETE);
        project.end(n);
    }
    let later = project.present(ALL, &looked.last().unwrap().cursor).await;
    assert_eq!(later.len(), MAX_OPEN + 3);
    assert_eq!(of(&later, most + 1), line(0) + COMPLETE);
}

#[tokio::test]
async fn one_that_ends_while_it_is_looked_at_is_given_to_its_end() {
    let project = project();
    project.ours(1);
    project.ours(2);
    project.write(1, &line(0));
    project.write(2, &line(0));
    let opened = project.open(ALL, "", Extent::Present).await;
    let mut follower = opened.unwrap();
    let mut got = next(&mut follower).await.unwrap();
    // Behind what was there when its reading began.
    project.write(1, COMPLETE);
    project.end(1);
    got.extend(rest(&mut follower).await);
    let cursor = got.last().unwrap().cursor.clone();
    got.extend(project.present(ALL, &cursor).await);
    assert_eq!((of(&got, 1), of(&got, 2)), (line(0) + COMPLETE, line(0)));
}

#[tokio::test]
async fn one_that_never_rests_does_not_starve_the_others() {
    let project = project();
    project.ours(1);
    project.write(1, &lines(0..20_000));
    project.ours(2);
    project.write(2, COMPLETE);
    let mut follower = project.follow(ALL, "").await;
    let mut batches = 0;
    while !next(&mut follower)
        .await
        .unwrap()
        .iter()
        .any(|event| event.invocation == id(2))
    {
        batches += 1;
        project.write(1, &lines(0..5_000));
    }
    assert!(batches < 12, "{batches} batches first");
}

#[tokio::test]
async fn projects_come_go_and_come_back_without_a_line_lost_or_twice() {
    let hints = pokes();
    let (one, two) = (project_with(&hints), project_with(&hints));
    one.ours(1);
    one.write(1, &lines(0..2));
    two.ours(1);
    two.write(1, &lines(5..7));
    let projects = Arc::new(Mutex::new(vec![Arc::clone(&one)]));
    let changes = watch::Sender::new(0);
    let open = async |after: &str, extent| {
        let sources = Several {
            projects: Arc::clone(&projects),
            changes: changes.clone(),
            registered: Registered::default(),
        };
        let opening = Opening {
            hints: hints.clone(),
            after,
            begin: Begin::First,
            extent,
        };
        opening.all(Box::new(sources)).await.unwrap()
    };
    let mut follower = open("", Extent::Whole).await;
    assert_eq!(text(&some(&mut follower, 2).await), lines(0..2));

    projects.lock().unwrap().push(Arc::clone(&two));
    changes.send_modify(|count| *count += 1);
    let came = some(&mut follower, 2).await;
    assert_eq!((text(&came), &came[0].project), (lines(5..7), &two.root));

    // Opened anew while one of them is away: its place is kept.
    projects.lock().unwrap().remove(0);
    one.write(1, &line(2));
    two.write(1, &line(7));
    let away = rest(&mut open(&came[1].cursor, Extent::Present).await).await;
    assert_eq!(text(&away), line(7));
    projects.lock().unwrap().push(Arc::clone(&one));
    let back = rest(&mut open(&away[0].cursor, Extent::Present).await).await;
    assert_eq!(text(&back), line(2));

    projects.lock().unwrap().clear();
    changes.send_modify(|count| *count += 1);
    one.write(1, &line(3));
    assert!(
        tokio::time::timeout(Duration::from_millis(50), follower.next())
            .await
            .is_err()
    );
    projects.lock().unwrap().push(Arc::clone(&one));
    changes.send_modify(|count| *count += 1);
    assert_eq!(text(&some(&mut follower, 2).await), lines(2..4));
}

#[derive(Debug, Clone)]
enum Act {
    Begin(bool),
    Queue,
    Start(usize),
    Write(usize, usize),
    End(usize),
    Read,
    Reopen(usize),
    Look(usize),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        2 => any::<bool>().prop_map(Act::Begin),
        2 => Just(Act::Queue),
        2 => (0usize..4).prop_map(Act::Start),
        6 => (0usize..8, 1usize..200).prop_map(|(which, len)| Act::Write(which, len)),
        2 => (0usize..8).prop_map(Act::End),
        2 => Just(Act::Read),
        2 => (0usize..50).prop_map(Act::Reopen),
        2 => (0usize..50).prop_map(Act::Look),
    ];
    prop::collection::vec(act, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// However the logs grow, and at whichever event the subscriber comes back: of each
    /// invocation it got the file.
    #[test]
    fn of_each_invocation_a_subscriber_gets_the_file(acts in acts()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let project = project();
            let (mut running, mut waiting) = (Vec::new(), Vec::new());
            let mut unwritten: BTreeMap<i64, String> = BTreeMap::new();
            let mut follower = project.follow(ALL, "").await;
            let mut got: Vec<Event> = Vec::new();
            for act in acts {
                match act {
                    Act::Begin(is_ours) => {
                        let n = unwritten.len() as i64 + 1;
                        project.begin(n, "T", is_ours);
                        unwritten.insert(n, lines(0..20));
                        running.push(n);
                    }
                    Act::Queue => {
                        let n = unwritten.len() as i64 + 1;
                        project.queued(n);
                        unwritten.insert(n, lines(0..20));
                        waiting.push(n);
                    }
                    Act::Start(which) => {
                        if which >= waiting.len() { continue }
                        let n = waiting.remove(which);
                        project.start(n);
                        running.push(n);
                    }
                    Act::Write(which, len) => {
                        let Some(&n) = running.get(which) else { continue };
                        let rest = unwritten.get_mut(&n).unwrap();
                        let later = rest.split_off(len.min(rest.len()));
                        project.write(n, &std::mem::replace(rest, later));
                    }
                    Act::End(which) => {
                        if which >= running.len() { continue }
                        let n = running.remove(which);
                        project.write(n, &std::mem::take(unwritten.get_mut(&n).unwrap()));
                        project.write(n, COMPLETE);
                        project.end(n);
                    }
                    Act::Read => {
                        let whole: usize =
                            unwritten.keys().map(|&n| project.content(n).matches('\n').count()).sum();
                        while got.len() < whole {
                            got.extend(next(&mut follower).await.unwrap());
                        }
                    }
                    Act::Reopen(back) => {
                        // Somewhere among the last events; those behind it come again.
                        got.truncate(got.len().saturating_sub(back));
                        let cursor = got.last().map_or("", |event| &event.cursor);
                        follower = project.follow(ALL, cursor).await;
                    }
                    Act::Look(back) => {
                        got.truncate(got.len().saturating_sub(back));
                        let cursor = got.last().map_or("", |event| &event.cursor).to_owned();
                        got.extend(project.present(ALL, &cursor).await);
                        let cursor = got.last().map_or("", |event| &event.cursor);
                        follower = project.follow(ALL, cursor).await;
                    }
                }
            }
            let cursor = got.last().map_or("", |event| &event.cursor).to_owned();
            got.extend(project.present(ALL, &cursor).await);
            for &n in unwritten.keys() {
                let content = project.content(n);
                let whole = content.rfind('\n').map_or("", |end| &content[..=end]);
                assert_eq!(of(&got, n), whole, "invocation {n}");
            }
        });
    }
}

#[tokio::test]
async fn of_some_that_print_without_pause_each_has_its_turn() {
    let project = project();
    for n in 1..=3 {
        project.ours(n);
        project.write(n, &line(0));
    }
    let mut follower = project.follow(ALL, "").await;
    some(&mut follower, 3).await;
    for n in 1..=3 {
        project.write(n, &line(1));
    }
    // Each prints again when another one has had its turn.
    let mut turns = Vec::new();
    for _ in 0..12 {
        let came = next(&mut follower).await.unwrap()[0].invocation.get();
        if let Some(&before) = turns.last() {
            project.write(before, &line(2));
        }
        turns.push(came);
    }
    for n in 1..=3 {
        let is_served = turns.windows(4).all(|turns| turns.contains(&n));
        assert!(is_served, "{n}: {turns:?}");
    }
}
