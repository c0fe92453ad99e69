//! Any number of subscribers, each at its own pace, from wherever it was.

use steroids_proto::v1;
use steroids_proto::v1::follow_request::Selector;
use steroids_tests::{Daemon, Home, Puppet, log, rpc};
use tonic::Code;

#[tokio::test]
async fn every_cursor_resumes_with_exactly_what_comes_after_it() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let project = daemon.project("app").await.project();
    let rpc = daemon.rpc().await;
    let agent = rpc
        .start_fake(&project, "T1", &["split", "--count", "30"])
        .await;
    let selector = rpc::invocation(&project, agent.id);
    let all = rpc
        .follow(selector.clone(), "", true)
        .await
        .rest()
        .await
        .unwrap();
    assert_eq!(all.len(), 32, "a start, 30 lines, an end");
    for (at, event) in all.iter().enumerate() {
        let rest = rpc.follow(selector.clone(), &event.cursor, true).await;
        assert_eq!(
            rest.rest().await.unwrap(),
            all[at + 1..],
            "after {}",
            event.cursor
        );
    }
}

#[tokio::test]
async fn a_bounded_part_ends_by_itself_and_parts_make_the_whole() {
    const LIMIT: u64 = 300_000;
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let words = ["flood", "--lines", "5000", "--bytes", "200"];
    let agent = rpc.start_fake(&ctl.project(), "T1", &words).await;
    rpc.ended(&ctl.project(), agent.id).await;
    let selector = rpc::invocation(&ctl.project(), agent.id);
    let (mut cursor, mut all, mut parts) = (String::new(), Vec::new(), 0);
    // Of an ended one both kinds of stream have an end.
    for follow in [true, false].into_iter().cycle() {
        let part = rpc.part(selector.clone(), &cursor, follow, LIMIT).await;
        let size: usize = part.iter().map(|event| event.line.len()).sum();
        let limit = usize::try_from(LIMIT).unwrap();
        // One batch more at most.
        assert!(size < limit + 256 * 1024, "{size} bytes");
        all.extend(rpc::bytes(&part));
        parts += 1;
        if size < limit {
            break;
        }
        cursor.clone_from(&part.last().unwrap().cursor);
    }
    assert!(parts > 2, "{parts}");
    assert_eq!(all, std::fs::read(ctl.log_path(agent.id)).unwrap());
}

#[tokio::test]
async fn a_log_in_pieces_has_the_bytes_and_the_cursors_of_its_events() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let words = ["flood", "--lines", "2000", "--bytes", "200"];
    let agent = rpc.start_fake(&ctl.project(), "T1", &words).await;
    rpc.ended(&ctl.project(), agent.id).await;
    let selector = rpc::invocation(&ctl.project(), agent.id);
    let events = rpc.follow(selector.clone(), "", true).await;
    let events = events.rest().await.unwrap();
    // From the start, and from behind the first event.
    for (after, events) in [("", &events[..]), (&*events[0].cursor, &events[1..])] {
        let pieces = rpc.pieces(selector.clone(), after).await;
        assert!(pieces.len() > 1, "{}", pieces.len());
        let (mut lines, mut cursors) = (Vec::new(), Vec::new());
        for piece in &pieces {
            assert_eq!(piece.invocation_id, agent.id);
            let newlines = (0..piece.lines.len()).filter(|at| piece.lines[*at] == b'\n');
            let behind = newlines.map(|at| piece.first + at as u64 + 1);
            cursors.extend(behind.map(|offset| format!("{}{offset}", piece.cursor_base)));
            lines.extend_from_slice(&piece.lines);
        }
        assert_eq!(lines, rpc::bytes(events));
        let theirs: Vec<_> = events.iter().map(|event| event.cursor.clone()).collect();
        assert_eq!(cursors, theirs);
        let (last, end) = (pieces.last().unwrap(), events.last().unwrap());
        assert_eq!((&last.r#type, last.ts), (&end.r#type, end.ts));
    }
}

#[tokio::test]
async fn a_cursor_that_cannot_be_honoured_is_refused_or_told_as_a_gap() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let project = daemon.project("app").await.project();
    let rpc = daemon.rpc().await;
    let mut cursors = vec![
        "nonsense".to_owned(),
        "1:0:999999999".to_owned(),
        "-1:0:-5".to_owned(),
    ];
    for task in ["T1", "T2"] {
        let agent = rpc
            .start_fake(&project, task, &["numbers", "--count", "3"])
            .await;
        let followed = rpc
            .follow(rpc::invocation(&project, agent.id), "", true)
            .await;
        let events = followed.rest().await.unwrap();
        cursors.push(events[1].cursor.clone());
    }
    // The last is good for the second invocation alone.
    for cursor in &cursors[..3] {
        refused_or_gap(&rpc, &project, 1, cursor).await;
    }
    refused_or_gap(&rpc, &project, 1, &cursors[4]).await;
}

async fn refused_or_gap(rpc: &steroids_tests::Rpc, project: &str, id: i64, cursor: &str) {
    let selector = rpc::invocation(project, id);
    let first = match rpc.try_follow(selector, cursor, true).await {
        Ok(mut followed) => followed.next().await,
        Err(status) => Err(status),
    };
    match first {
        Ok(Some(event)) => assert_eq!(event.r#type, "gap", "{cursor}: {event:?}"),
        Ok(None) => panic!("silence after {cursor}"),
        Err(status) => assert!(
            matches!(status.code(), Code::OutOfRange | Code::InvalidArgument),
            "{cursor}: {status:?}"
        ),
    }
}

#[tokio::test]
async fn following_a_task_goes_on_with_its_next_invocation() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let project = daemon.project("app").await.project();
    let rpc = daemon.rpc().await;
    let mut first = Puppet::new(&home, "first");
    let one = rpc.start_fake(&project, "T1", &first.args()).await;
    let mut followed = rpc.follow(rpc::task(&project, "T1"), "", true).await;
    first.prints("of the first");
    followed.until("of the first").await;
    first.exits(0);
    let ended = followed.until(r#""type":"complete""#).await;
    assert_eq!(ended.last().unwrap().invocation_id, one.id);
    // Another task's invocation does not show.
    rpc.start_fake(&project, "T2", &["exit", "0"]).await;
    rpc.ended(&project, one.id).await;
    let mut second = Puppet::new(&home, "second");
    let two = rpc.start_fake(&project, "T1", &second.args()).await;
    second.prints("of the second");
    let events = followed.until("of the second").await;
    assert!(
        events.iter().all(|event| event.invocation_id == two.id),
        "{events:?}"
    );
    assert_eq!(events[0].r#type, "start");
}

#[tokio::test]
async fn a_project_is_followed_from_the_beginning_of_each_invocation() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let project = daemon.project("app").await.project();
    let rpc = daemon.rpc().await;
    let selector = steroids_proto::v1::follow_request::Selector::Project(
        steroids_proto::v1::ProjectSelector {
            project: project.clone(),
        },
    );
    let mut followed = rpc.follow(selector, "", true).await;
    for task in ["T1", "T2", "T3"] {
        rpc.start_fake(&project, task, &["exit", "0", "--line", "hello"])
            .await;
    }
    let mut ends = Vec::new();
    let mut starts = Vec::new();
    while ends.len() < 3 {
        let event = followed.next().await.unwrap().unwrap();
        match &*event.r#type {
            "start" => starts.push(event.invocation_id),
            "complete" => ends.push(event.invocation_id),
            _ => assert!(starts.contains(&event.invocation_id)),
        }
    }
    ends.sort_unstable();
    assert_eq!(ends, [1, 2, 3]);
}

// The connections go on, on another thread, while the test reads thousands of lines: a client that
// answers no ping for as long as that may take is taken for gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscriber_that_never_reads_harms_none_of_the_others() {
    const LINES: u64 = 20_000;
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let mut gate = Puppet::new(&home, "gate");
    let waiting = rpc.start_fake(&ctl.project(), "gate", &gate.args()).await;
    let args = ["flood", "--lines", &LINES.to_string(), "--bytes", "200"];
    let agent = rpc.start_fake(&ctl.project(), "T1", &args).await;
    let selector = rpc::invocation(&ctl.project(), agent.id);
    // On a connection of its own: flow control of one connection is the client's own affair.
    let silent_rpc = daemon.rpc().await;
    let silent = silent_rpc.follow(selector.clone(), "", true).await;
    let good = (0..5).map(|_| {
        let (rpc, selector) = (rpc.clone(), selector.clone());
        tokio::spawn(async move { rpc.follow(selector, "", true).await.rest().await })
    });
    let good = good.collect::<Vec<_>>();
    rpc.ended(&ctl.project(), agent.id).await;
    let on_disk = std::fs::read(ctl.log_path(agent.id)).unwrap();
    let lines = log::lines(&ctl.log_path(agent.id));
    log::assert_counts_to(&log::numbers(&lines), LINES);
    for follower in good {
        let events = follower.await.unwrap().unwrap();
        assert!(rpc::bytes(&events) == on_disk);
    }
    drop(silent);
    gate.exits(0);
    rpc.ended(&ctl.project(), waiting.id).await;
}

#[tokio::test]
async fn without_follow_a_stream_ends_where_the_log_does() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let project = daemon.project("app").await.project();
    let rpc = daemon.rpc().await;
    let mut agent = Puppet::new(&home, "agent");
    let id = rpc.start_fake(&project, "T1", &agent.args()).await.id;
    agent.prints("so far");
    let selector = rpc::invocation(&project, id);
    rpc.follow(selector.clone(), "", true)
        .await
        .until("so far")
        .await;
    let events = rpc.follow(selector, "", false).await.rest().await.unwrap();
    assert_eq!(log::types(&rpc::values(&events)), ["start", "output"]);
}

#[tokio::test]
async fn a_stream_of_all_goes_on_beside_a_project_whose_database_is_gone() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let (app, other) = (daemon.project("app").await, daemon.project("other").await);
    let rpc = daemon.rpc().await;
    for project in [app.project(), other.project()] {
        let ran = rpc.start_fake(&project, "T1", &["numbers", "--count", "3"]);
        let ran = ran.await.id;
        rpc.ended(&project, ran).await;
    }
    let of = |events: &[v1::Event], project: &str| {
        let those = events.iter().filter(|it| it.project == project);
        those.map(|it| it.line.clone()).collect::<Vec<_>>()
    };
    let all = || Selector::All(v1::AllSelector {});
    let whole = rpc.follow(all(), "", false).await.rest().await.unwrap();

    // Nobody has asked for it since: the stream itself comes upon it.
    let steroids = app.folder().join(".steroids");
    let away = app.folder().join("away");
    std::fs::rename(&steroids, &away).unwrap();
    let mut stream = rpc.follow(all(), "", true).await;
    let mut given = stream.until("complete").await;
    let beside = rpc.follow(all(), "", false).await.rest().await.unwrap();
    for events in [&given, &beside] {
        assert_eq!(of(events, &app.project()), [""; 0]);
        let lines = of(&whole, &other.project());
        assert_eq!(of(events, &other.project()), lines);
    }

    std::fs::rename(&away, &steroids).unwrap();
    rpc.get(&app.project(), 1).await;
    given.extend(stream.until("complete").await);
    let lines = of(&whole, &app.project());
    assert_eq!(of(&given, &app.project()), lines);
    assert_eq!(given.len(), whole.len());
    let cursor = &beside.last().unwrap().cursor;
    let back = rpc.follow(all(), cursor, false).await.rest().await.unwrap();
    assert_eq!(of(&back, &app.project()), lines);
    assert_eq!(back.len(), lines.len());
}
