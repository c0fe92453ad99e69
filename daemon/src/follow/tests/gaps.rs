//! What cannot be given is told, and never anything else in its place.

use super::*;
use crate::domain::cursor::CursorError;

const ONE: Whole = Whole::Invocation(1);

async fn out_of_range(project: &Arc<Rows>, cursor: &str) -> CursorError {
    match project.open(ONE, cursor, Extent::Whole).await {
        Err(FollowError::CursorOutOfRange(error)) => error,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("{cursor} was taken"),
    }
}

#[tokio::test]
async fn a_cursor_of_nothing_here_is_out_of_range() {
    let project = project();
    project.ours(1);
    project.write(1, &lines(0..2));
    assert_eq!(
        out_of_range(&project, "1:0:-1").await,
        CursorError::Malformed
    );
    assert!(matches!(
        out_of_range(&project, "2:0:0").await,
        CursorError::OtherInvocation { .. }
    ));
    assert!(matches!(
        out_of_range(&project, "1:0:5").await,
        CursorError::InsideLine { .. }
    ));
    let missing = project.open(Whole::Invocation(9), "", Extent::Whole).await;
    assert!(matches!(missing, Err(FollowError::NoInvocation { .. })));
}

#[tokio::test]
async fn a_cursor_past_the_end_gets_a_gap_and_the_log_from_its_start() {
    let project = project();
    project.ours(1);
    project.write(1, &(line(0) + COMPLETE));
    let events = rest(&mut project.follow(ONE, "1:0:5000").await).await;
    assert_eq!(reasons(&events), ["truncated"]);
    assert_eq!(text(&events[1..]), line(0) + COMPLETE);
    let gap: serde_json::Value = serde_json::from_slice(&events[0].line).unwrap();
    assert_eq!(
        (&gap["offset"], &gap["generation"]),
        (&5000.into(), &"0".into())
    );
    assert_eq!(gap["resumesAt"], 0);
    assert_eq!(gap["ts"], events[0].ts);
    // Coming back after the gap, it is not told again.
    let again = rest(&mut project.follow(ONE, &events[0].cursor).await).await;
    assert_eq!(text(&again), line(0) + COMPLETE);
}

#[tokio::test]
async fn a_cursor_of_a_generation_that_is_gone_gets_a_gap() {
    let project = project();
    project.ours(1);
    project.write(1, &(lines(0..2) + COMPLETE));
    let cursor = format!("1:0:{}", line(0).len());
    project.rebuilt(1);
    let events = rest(&mut project.follow(ONE, &cursor).await).await;
    assert_eq!(reasons(&events), ["rebuilt"]);
    assert_eq!(text(&events[1..]), lines(0..2) + COMPLETE);
    assert!(events[1].cursor.starts_with("1:2:"));
}

#[tokio::test]
async fn a_log_rebuilt_while_it_is_followed_starts_over_after_a_gap() {
    let project = project();
    project.ours(1);
    project.write(1, &lines(0..2));
    let mut follower = project.follow(ONE, "").await;
    some(&mut follower, 2).await;
    let mut new = project.logs.replace(id(1)).unwrap();
    new.append(lines(0..3).as_bytes()).unwrap();
    new.commit().unwrap();
    project.rebuilt(1);
    project.write(1, COMPLETE);
    let events = rest(&mut follower).await;
    assert_eq!(reasons(&events), ["replaced"]);
    assert_eq!(text(&events[1..]), lines(0..3) + COMPLETE);
    assert!(events[1].cursor.starts_with("1:2:"), "{}", events[1].cursor);
}

/// Puts another log in the place of the one there is, and says so.
fn replace(project: &Rows, text: &str) {
    let mut new = project.logs.replace(id(1)).unwrap();
    new.append(text.as_bytes()).unwrap();
    new.commit().unwrap();
    project.hints.poke(&project.path(1));
}

#[tokio::test(start_paused = true)]
async fn nothing_of_a_log_is_sent_between_the_two_counts_of_a_rebuild() {
    for has_ended in [false, true] {
        let project = project();
        project.ours(1);
        project.write(1, &lines(0..2));
        let mut follower = project.follow(ONE, "").await;
        let before = some(&mut follower, 2).await;
        let whole = lines(0..3) + COMPLETE;
        project.count(1);
        replace(&project, &whole);
        if has_ended {
            project.end(1);
        }
        // Also to who comes, or comes back, just now.
        let mut late = project.follow(ONE, "").await;
        let mut again = project.follow(ONE, &before[0].cursor).await;
        if !has_ended {
            assert_eq!(reasons(&next(&mut follower).await.unwrap()), ["replaced"]);
            let early = tokio::time::timeout(OWN_POLL / 8, follower.next()).await;
            assert!(early.is_err(), "{early:?}");
        }
        for follower in [&mut late, &mut again] {
            let early = tokio::time::timeout(OWN_POLL / 8, follower.next()).await;
            assert!(early.is_err(), "{early:?}");
        }
        project.count(1);
        project.hints.poke(&project.path(1));
        assert_eq!(reasons(&next(&mut again).await.unwrap()), ["rebuilt"]);
        for mut follower in [follower, late, again] {
            let events = rest(&mut follower).await;
            let lines: Vec<_> = events.into_iter().filter(|it| it.kind != "gap").collect();
            assert_eq!(text(&lines), whole);
            // Who comes back is where it was.
            let cursor = &lines[1].cursor;
            assert!(cursor.starts_with("1:2:"), "{cursor}");
            let rest = rest(&mut project.follow(ONE, cursor).await).await;
            assert_eq!(text(&rest), line(2) + COMPLETE);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_log_that_takes_the_place_of_one_that_is_gone_is_of_its_own_generation() {
    let project = project();
    project.ours(1);
    project.write(1, &lines(0..2));
    let cursor = format!("1:0:{}", line(0).len());
    fs::remove_file(project.path(1)).unwrap();
    let mut follower = project.follow(ONE, &cursor).await;
    assert_eq!(reasons(&next(&mut follower).await.unwrap()), ["deleted"]);
    project.rebuilt(1);
    replace(&project, &(lines(0..3) + COMPLETE));
    let events = rest(&mut follower).await;
    assert_eq!(text(&events), lines(0..3) + COMPLETE);
    assert!(events[0].cursor.starts_with("1:2:"), "{}", events[0].cursor);
}

#[tokio::test(start_paused = true)]
async fn a_log_that_is_rebuilt_as_it_is_opened_is_of_its_new_generation() {
    for cursor in [String::new(), format!("1:0:{}", line(0).len())] {
        let project = project();
        project.ours(1);
        project.write(1, &lines(0..2));
        // Between the look at its row and at its file.
        let rebuild = |project: &Rows| {
            project.rebuilt(1);
            replace(project, &(lines(0..3) + COMPLETE));
        };
        *project.meanwhile.lock().unwrap() = Some(Box::new(rebuild));
        let events = rest(&mut project.follow(ONE, &cursor).await).await;
        let last = events.iter().rev().nth(1).unwrap();
        assert!(last.cursor.starts_with("1:2:"), "{}", last.cursor);
        let lines: Vec<_> = events.into_iter().filter(|it| it.kind != "gap").collect();
        assert_eq!(text(&lines), super::lines(0..3) + COMPLETE);
    }
}

#[tokio::test(start_paused = true)]
async fn a_look_at_a_log_between_the_two_counts_is_put_off_or_takes_what_is_there() {
    let project = project();
    project.ours(1);
    project.write(1, &(line(0) + COMPLETE));
    project.count(1);
    let looked = rest_or_error(&project, ONE).await;
    assert!(matches!(looked, Err(FollowError::BeingRebuilt { .. })));
    assert_eq!(project.present(Whole::Project, "").await, []);
    // Nobody may ever count on.
    project.end(1);
    assert_eq!(text(&project.present(ONE, "").await), line(0) + COMPLETE);
    let followed = rest(&mut project.follow(ONE, "").await).await;
    assert_eq!(text(&followed), line(0) + COMPLETE);
}

async fn rest_or_error(project: &Arc<Rows>, what: Whole) -> Result<(), FollowError> {
    let mut follower = project.open(what, "", Extent::Present).await?;
    while follower.next().await?.is_some() {}
    Ok(())
}

// Time runs as fast as it is waited for: the slow poll is all that can see some of this.
#[tokio::test(start_paused = true)]
async fn a_log_deleted_cut_or_overwritten_in_place_is_not_taken_for_the_same() {
    type Harm<'a> = (&'a str, &'a dyn Fn(&Path));
    let harms: [Harm<'_>; 4] = [
        ("deleted", &|path| fs::remove_file(path).unwrap()),
        ("truncated", &|path| fs::write(path, "").unwrap()),
        ("replaced", &|path| {
            fs::rename(path, path.with_extension("old")).unwrap();
            fs::write(path, "").unwrap();
        }),
        ("changed", &|path| {
            fs::write(path, "garbage ".repeat(50) + "\n").unwrap()
        }),
    ];
    for (reason, harm) in harms {
        for is_ours in [true, false] {
            let project = project();
            project.begin(1, "T", is_ours);
            project.write(1, &lines(0..2));
            let mut follower = project.follow(ONE, "").await;
            some(&mut follower, 2).await;
            harm(&project.path(1));
            if !is_ours && reason == "deleted" {
                project.hints.poke(&project.path(1));
            }
            let gap = next(&mut follower).await.unwrap();
            assert_eq!(reasons(&gap).len(), 1, "{reason}: {gap:?}");
            assert!(is_ours || reasons(&gap) != ["changed"] || reason == "changed");
            fs::write(project.path(1), "").unwrap();
            project.write(1, &(lines(0..3) + COMPLETE));
            project.end(1);
            let events = rest(&mut follower).await;
            let log: Vec<_> = events.into_iter().filter(|it| it.kind != "gap").collect();
            let end = text(&log);
            assert!(end.ends_with(&(lines(0..3) + COMPLETE)), "{reason}: {end}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn another_file_with_the_name_of_a_log_is_noticed_without_a_poll() {
    type Harm<'a> = &'a dyn Fn(&Path, &Path);
    let harms: [Harm<'_>; 2] = [
        &|path, other| fs::rename(other, path).unwrap(),
        // What was opened is as whole as it was.
        &|path, other| {
            fs::rename(path, path.with_extension("old")).unwrap();
            fs::rename(other, path).unwrap();
        },
    ];
    for harm in harms {
        let (hints, watcher) = Hints::new();
        tokio::spawn(watcher.run());
        let project = project_with(&hints);
        project.ours(1);
        project.write(1, &lines(0..2));
        let mut follower = project.follow(ONE, "").await;
        some(&mut follower, 2).await;
        let mut job = hints.name(&project.path(1));
        fs::write(project.path(2), "garbage\n").unwrap();
        harm(&project.path(1), &project.path(2));
        // Time passes only where nothing else does.
        let before = Instant::now();
        assert_eq!(reasons(&next(&mut follower).await.unwrap()).len(), 1);
        assert_eq!(before.elapsed(), Duration::ZERO);
        assert!(job.take(), "whoever can write it anew hears of it");
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_finds_a_log_spoiled_says_so() {
    let project = project();
    project.ours(1);
    project.write(1, &lines(0..2));
    let mut follower = project.follow(ONE, "").await;
    some(&mut follower, 2).await;
    let mut job = project.hints.name(&project.path(1));
    fs::write(project.path(1), "garbage\n").unwrap();
    assert_eq!(reasons(&next(&mut follower).await.unwrap()).len(), 1);
    assert!(job.take());
}

#[tokio::test(start_paused = true)]
async fn a_log_that_is_silent_is_looked_at_less_often_and_as_before_once_it_is_not() {
    let (hints, watcher) = Hints::new();
    tokio::spawn(watcher.run());
    let project = project_with(&hints);
    project.ours(1);
    project.write(1, &lines(0..1));
    let mut follower = project.follow(ONE, "").await;
    some(&mut follower, 1).await;
    let silence = tokio::time::timeout(Duration::from_secs(600), follower.next()).await;
    assert!(silence.is_err(), "{silence:?}");
    assert_eq!(follower.pace.wait(), SILENT_POLL);
    project.write(1, &lines(1..2));
    some(&mut follower, 1).await;
    fs::write(project.path(1), "garbage\n").unwrap();
    let before = Instant::now();
    assert_eq!(reasons(&next(&mut follower).await.unwrap()).len(), 1);
    assert!(before.elapsed() <= OWN_POLL + Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn what_somebody_wrote_into_our_log_is_not_sent_before_its_rebuild() {
    let harms: [&dyn Fn(&Rows); 3] = [
        &|project| project.write(1, "garbage\n"),
        &|project| fs::write(project.path(1), "garbage\n").unwrap(),
        &|project| {
            fs::write(project.path(2), "garbage\n").unwrap();
            fs::rename(project.path(2), project.path(1)).unwrap();
        },
    ];
    for harm in harms {
        let project = project();
        project.ours(1);
        project.write(1, &lines(0..2));
        let mut follower = project.follow(ONE, "").await;
        some(&mut follower, 2).await;
        harm(&project);
        assert_eq!(reasons(&next(&mut follower).await.unwrap()).len(), 1);
        // Hinted at, it is left alone still.
        project.hints.poke(&project.path(1));
        let early = tokio::time::timeout(OWN_POLL / 2, follower.next()).await;
        assert!(early.is_err(), "{early:?}");
        let mut new = project.logs.replace(id(1)).unwrap();
        new.append((lines(0..2) + COMPLETE).as_bytes()).unwrap();
        new.commit().unwrap();
        project.rebuilt(1);
        assert_eq!(text(&rest(&mut follower).await), lines(0..2) + COMPLETE);
    }
}

#[tokio::test(start_paused = true)]
async fn a_strange_line_that_nobody_mends_is_sent_in_the_end() {
    let project = project();
    project.ours(1);
    project.write(1, &(line(0) + "strange\n" + COMPLETE));
    let events = rest(&mut project.follow(ONE, "").await).await;
    assert_eq!(reasons(&events), ["changed"]);
    assert_eq!(text(&events[..1]), line(0));
    assert_eq!(text(&events[2..]), line(0) + "strange\n" + COMPLETE);
    project.end(1);
    let ended = rest(&mut project.follow(ONE, "").await).await;
    assert_eq!(text(&ended), line(0) + "strange\n" + COMPLETE);
}

#[tokio::test]
async fn a_foreign_log_made_anew_is_told_by_its_beginning_and_inode() {
    let project = project();
    project.foreign(1);
    project.write(1, &lines(0..2));
    let cursor = project.present(ONE, "").await[0].cursor.clone();
    // As long as before, with a line's end where one was: only its beginning differs.
    fs::write(project.path(1), lines(5..7)).unwrap();
    let events = project.present(ONE, &cursor).await;
    assert_eq!(reasons(&events), ["replaced"]);
    assert_eq!(text(&events[1..]), lines(5..7));

    // And while it is followed, with a line more, which alone would be read.
    let mut follower = project.follow(ONE, "").await;
    some(&mut follower, 2).await;
    fs::write(project.path(1), lines(2..5)).unwrap();
    project.hints.poke(&project.path(1));
    let events = some(&mut follower, 4).await;
    assert_eq!(reasons(&events), ["replaced"]);
    assert_eq!(text(&events[1..]), lines(2..5));
}

#[tokio::test(start_paused = true)]
async fn a_foreign_log_that_is_replaced_as_its_row_ends_is_seen_whole() {
    let project = project();
    project.foreign(1);
    project.write(1, &lines(0..2));
    let mut follower = project.follow(ONE, "").await;
    some(&mut follower, 2).await;
    let path = project.path(1);
    // It still has a name, so that nothing but a look at the path tells.
    fs::rename(&path, path.with_extension("old")).unwrap();
    fs::write(&path, lines(5..8)).unwrap();
    project.end(1);
    let events = rest(&mut follower).await;
    assert_eq!(reasons(&events), ["replaced"]);
    assert_eq!(text(&events[1..]), lines(5..8));
}

#[tokio::test]
async fn an_ended_invocation_without_its_log_or_its_last_line_says_so() {
    let project = project();
    for n in 1..=3 {
        project.ours(n);
        project.end(n);
    }
    let of = async |n| reasons(&rest(&mut project.follow(Whole::Invocation(n), "").await).await);
    assert_eq!(of(1).await, ["no_log"]);
    project.write(2, &line(0));
    assert_eq!(of(2).await, ["incomplete"]);
    project.write(3, "");
    assert_eq!(of(3).await, ["incomplete"]);
    let lost = rest(&mut project.follow(ONE, "1:0:77").await).await;
    assert_eq!(reasons(&lost), ["no_log"]);
}

#[tokio::test]
async fn what_an_agent_put_in_the_logs_place_is_never_read() {
    let project = project();
    project.ours(1);
    project.write(1, &line(0));
    let mut follower = project.follow(ONE, "").await;
    some(&mut follower, 1).await;
    let secret = project.dir.path().join("secret");
    fs::write(&secret, "secret\n").unwrap();
    fs::remove_file(project.path(1)).unwrap();
    std::os::unix::fs::symlink(&secret, project.path(1)).unwrap();
    project.hints.poke(&project.path(1));
    assert_eq!(reasons(&next(&mut follower).await.unwrap()).len(), 1);
    let mut new = project.logs.replace(id(1)).unwrap();
    new.append((line(0) + COMPLETE).as_bytes()).unwrap();
    new.commit().unwrap();
    project.rebuilt(1);
    project.hints.poke(&project.path(1));
    assert_eq!(text(&rest(&mut follower).await), line(0) + COMPLETE);
    assert_eq!(fs::read(&secret).unwrap(), b"secret\n");
}

#[tokio::test]
async fn a_line_too_long_to_send_is_told_and_the_next_one_sent() {
    let project = project();
    project.foreign(1);
    project.write(1, &format!("{{\"type\":\"a\"}}\n{}\n", "x".repeat(3 << 20)));
    project.write(1, "{\"type\":\"b\"}\n");
    let events = project.present(ONE, "").await;
    let kinds: Vec<_> = events.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds, ["a", "gap", "b"]);
    assert_eq!(project.present(ONE, &events[1].cursor).await.len(), 1);
}
