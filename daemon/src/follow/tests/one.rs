//! One invocation: replay, live, the end, and coming back.

use proptest::prelude::*;

use super::*;

const ONE: Whole = Whole::Invocation(1);

#[tokio::test]
async fn what_is_there_comes_first_then_what_is_written_then_the_end() {
    let project = project();
    project.ours(1);
    project.write(1, &lines(0..3));
    let mut follower = project.follow(ONE, "").await;
    let first = some(&mut follower, 3).await;
    assert_eq!(text(&first), lines(0..3));
    assert_eq!((first[2].ts, first[2].kind.as_str()), (2, "output"));
    assert_eq!(first[2].cursor, format!("1:0:{}", lines(0..3).len()));

    let live = tokio::spawn(async move { rest(&mut follower).await });
    project.write(1, &line(3));
    project.write(1, COMPLETE);
    assert_eq!(text(&live.await.unwrap()), line(3) + COMPLETE);
}

#[tokio::test]
async fn a_log_that_is_not_there_yet_is_waited_for() {
    let project = project();
    project.ours(1);
    let mut follower = project.follow(ONE, "").await;
    let live = tokio::spawn(async move { rest(&mut follower).await });
    tokio::task::yield_now().await;
    project.write(1, COMPLETE);
    assert_eq!(text(&live.await.unwrap()), COMPLETE);
}

#[tokio::test]
async fn without_following_it_ends_with_what_is_there() {
    let project = project();
    project.ours(1);
    assert_eq!(project.present(ONE, "").await, []);
    project.write(1, &(lines(0..2) + "{\"torn"));
    assert_eq!(text(&project.present(ONE, "").await), lines(0..2));
}

#[tokio::test]
async fn at_the_end_of_an_ended_one_there_is_nothing_more() {
    let project = project();
    project.ours(1);
    project.write(1, &(lines(0..2) + COMPLETE));
    project.end(1);
    let all = rest(&mut project.follow(ONE, "").await).await;
    assert_eq!(text(&all), lines(0..2) + COMPLETE);
    assert_eq!(
        rest(&mut project.follow(ONE, &all[2].cursor).await).await,
        []
    );
    assert_eq!(
        text(&rest(&mut project.follow(ONE, &all[0].cursor).await).await),
        line(1) + COMPLETE
    );
}

#[tokio::test]
async fn a_foreign_log_ends_with_its_row_whatever_its_lines_say() {
    let project = project();
    project.foreign(1);
    project.write(1, COMPLETE);
    let mut follower = project.follow(ONE, "").await;
    assert_eq!(text(&some(&mut follower, 1).await), COMPLETE);
    let live = tokio::spawn(async move { rest(&mut follower).await });
    project.write(1, "not json\n");
    project.end(1);
    // Its writer may close the row first.
    project.write(1, "{\"type\":\"late\"}\n");
    let events = live.await.unwrap();
    assert_eq!(text(&events), "not json\n{\"type\":\"late\"}\n");
    assert_eq!((events[0].ts, events[0].kind.as_str()), (0, ""));
}

#[tokio::test]
async fn inotify_tells_of_a_foreign_log_as_it_is_written() {
    let (hints, watcher) = Hints::new();
    tokio::spawn(watcher.run());
    let project = project_with(&hints);
    project.foreign(1);
    let mut follower = project.follow(ONE, "").await;
    let live = tokio::spawn(async move { some(&mut follower, 2).await });
    // Written by somebody who pokes nobody.
    for n in 0..2 {
        let mut options = fs::OpenOptions::new();
        let mut file = options
            .append(true)
            .create(true)
            .open(project.path(1))
            .unwrap();
        file.write_all(line(n).as_bytes()).unwrap();
    }
    assert_eq!(text(&live.await.unwrap()), lines(0..2));
}

#[tokio::test(start_paused = true)]
async fn without_any_hint_the_poll_finds_what_was_written() {
    let project = project();
    for n in [1, 2] {
        project.begin(n, "T", n == 1);
        let mut follower = project.follow(Whole::Invocation(n), "").await;
        let live = tokio::spawn(async move { some(&mut follower, 1).await });
        tokio::task::yield_now().await;
        fs::write(project.path(n), line(1)).unwrap();
        assert_eq!(text(&live.await.unwrap()), line(1));
    }
}

// Its time passes only where nothing else is left to wait for: without the poke, that is the poll.
#[tokio::test(start_paused = true)]
async fn a_lost_hint_made_good_by_poking_all_is_enough() {
    let project = project();
    project.ours(1);
    let mut follower = project.follow(ONE, "").await;
    let started = tokio::time::Instant::now();
    let live = tokio::spawn(async move { some(&mut follower, 1).await });
    tokio::task::yield_now().await;
    fs::write(project.path(1), line(1)).unwrap();
    project.hints.poke_all();
    live.await.unwrap();
    assert!(started.elapsed() < OWN_POLL);
}

#[tokio::test]
async fn a_batch_is_bounded_with_its_cursors_and_a_long_line_comes_alone() {
    let project = project();
    project.ours(1);
    let long = format!(
        "{{\"ts\":1,\"type\":\"output\",\"msg\":\"{}\",\"raw\":1}}\n",
        "x".repeat(1 << 20)
    );
    let all = "{\"ts\":1,\"raw\":1}\n".repeat(60_000) + &long + &lines(0..2_000) + COMPLETE;
    project.write(1, &all);
    let mut follower = project.follow(ONE, "").await;
    let mut got = String::new();
    while let Some(events) = next(&mut follower).await {
        let size: usize = events
            .iter()
            .map(|it| it.line.len() + it.cursor.len())
            .sum();
        assert!(
            size <= BATCH || events.len() == 1,
            "{size} bytes in {} events",
            events.len()
        );
        got += &text(&events);
    }
    assert!(got == all);
}

#[tokio::test]
async fn one_that_never_reads_holds_nothing_back() {
    let project = project();
    project.ours(1);
    let idle = project.follow(ONE, "").await;
    let mut good = project.follow(ONE, "").await;
    for n in 0..100 {
        project.write(1, &line(n));
        assert_eq!(text(&next(&mut good).await.unwrap()), line(n));
    }
    assert!(idle.pending.is_none() && idle.streams[0].tails.len() == 1);
}

#[tokio::test]
async fn a_wait_that_is_dropped_loses_nothing() {
    let project = project();
    project.ours(1);
    let mut follower = project.follow(ONE, "").await;
    let mut got = String::new();
    for n in 0..50 {
        project.write(1, &line(n));
        // Dropped at whatever point it has come to.
        for polls in 0..n % 5 {
            let mut next = Box::pin(follower.next());
            for _ in 0..polls {
                if let std::task::Poll::Ready(events) = futures_util::poll!(&mut next) {
                    got += &text(&events.unwrap().unwrap());
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
    }
    project.write(1, COMPLETE);
    got += &text(&rest(&mut follower).await);
    assert_eq!(got, lines(0..50) + COMPLETE);
}

/// What a test does next.
#[derive(Debug, Clone)]
enum Act {
    Write(usize),
    Read,
    Reopen,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        (1usize..60).prop_map(Act::Write),
        Just(Act::Read),
        Just(Act::Reopen)
    ];
    prop::collection::vec(act, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever the pieces in which it is written, and however often the subscriber comes back:
    /// what it got is the file.
    #[test]
    fn what_a_subscriber_gets_is_the_file(
        acts in acts(),
        is_ours: bool,
        words in prop::collection::vec("[a-zé🦀\"]{0,30}", 1..30),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let project = project();
            project.begin(1, "T", is_ours);
            let all: String = words.iter().map(|word| format!("{{\"ts\":1,\"type\":\"x\",\"m\":{word:?},\"raw\":1}}\n")).collect();
            let mut unwritten = all.as_str();
            let (mut follower, mut cursor) = (project.follow(ONE, "").await, String::new());
            let (mut got, mut told) = (String::new(), 0);
            for act in acts {
                match act {
                    Act::Write(len) => {
                        let mut len = len.min(unwritten.len());
                        while !unwritten.is_char_boundary(len) { len += 1; }
                        project.write(1, &unwritten[..len]);
                        unwritten = &unwritten[len..];
                    }
                    Act::Read => {
                        let whole = project.content(1).matches('\n').count();
                        while told < whole {
                            let events = next(&mut follower).await.unwrap();
                            told += events.len();
                            got += &text(&events);
                            cursor = events.last().unwrap().cursor.clone();
                        }
                    }
                    Act::Reopen => follower = project.follow(ONE, &cursor).await,
                }
            }
            project.write(1, unwritten);
            project.write(1, COMPLETE);
            project.end(1);
            drop(follower);
            got += &text(&project.present(ONE, &cursor).await);
            assert_eq!(got, all + COMPLETE);
        });
    }
}

#[tokio::test]
async fn what_is_longer_than_a_read_is_read_on_without_a_hint() {
    let project = project();
    project.ours(1);
    let count = 10_000;
    project.write(1, &lines(0..count));
    let mut probe = project
        .logs
        .reader(id(1), crate::domain::Offset::START)
        .unwrap();
    if probe.next_cached(1000, false).is_none() {
        // A file system that leaves everything to a look, on another thread.
        return;
    }
    let mut follower = project.follow(Whole::Invocation(1), "").await;
    let mut seen = next(&mut follower).await.unwrap();
    assert!(seen.len() < count);
    // What has to be waited for here would be a hint, or a poll.
    let mut now = std::task::Context::from_waker(std::task::Waker::noop());
    while let Poll::Ready(more) = std::pin::pin!(follower.next()).poll(&mut now) {
        seen.extend(more.unwrap().unwrap());
    }
    assert_eq!(text(&seen), lines(0..count));
}

#[tokio::test]
async fn a_disk_is_asked_by_whoever_reads_and_not_by_whoever_opens_the_stream() {
    let (hints, watcher) = Hints::new();
    tokio::spawn(watcher.run());
    let project = project_with(&hints);
    let path = project.path(1);
    let mut watch = hints.name_unarmed(&path);
    project.ours(1);
    let mut follower = project.follow(Whole::Invocation(1), "").await;
    assert!(!watch.is_watched());
    project.write(1, &line(0));
    some(&mut follower, 1).await;
    assert!(watch.is_watched());
    // Moved, and back again, it is watched anew at the look that follows.
    let folder = path.parent().unwrap();
    let elsewhere = folder.with_extension("moved");
    fs::rename(folder, &elsewhere).unwrap();
    watch.changed().await;
    assert!(!watch.is_watched());
    fs::rename(&elsewhere, folder).unwrap();
    project.write(1, &line(1));
    some(&mut follower, 1).await;
    assert!(watch.is_watched());
}
