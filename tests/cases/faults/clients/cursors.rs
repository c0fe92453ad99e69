//! Cursors that nobody was given, or that belong to something else.

use std::fs;

use steroids_proto::v1;
use steroids_proto::v1::follow_request::Selector;
use steroids_tests::faults::{held, is_long};
use steroids_tests::{Daemon, Home, Rpc, eventually, old_database, rpc, within};
use tonic::{Code, Streaming};

#[tokio::test]
async fn a_cursor_gives_what_comes_after_it_or_is_refused_and_never_other_data() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let project = daemon.project("app").await.project();
    let rpc = daemon.rpc().await;
    let numbers = ["numbers", "--count", "3"];
    let agent = rpc.start_fake(&project, "T1", &numbers).await;
    let selector = rpc::invocation(&project, agent.id);
    let log = all(&rpc, selector.clone(), "").await.unwrap();
    let ends: Vec<usize> = log
        .iter()
        .scan(0, |end, event| {
            *end += event.line.len() + 1;
            Some(*end)
        })
        .collect();
    let length = *ends.last().unwrap();
    let last = &log.last().unwrap().cursor;
    let (place, offset) = last.rsplit_once(':').unwrap();
    assert_eq!(offset, length.to_string(), "{last}");

    let (mut honoured, mut refused) = (0, 0);
    // Each byte of the first two records; of the others those where something begins or ends.
    let is_tried =
        |at: &usize| is_long() || *at <= ends[1] || ends.iter().any(|end| end.abs_diff(*at) < 2);
    let offsets = (0..=length + 2)
        .filter(is_tried)
        .map(|offset| offset.to_string());
    let beyond = [
        "-1",
        "-9223372036854775808",
        "9223372036854775807",
        "18446744073709551616",
    ];
    for offset in offsets.chain(beyond.map(str::to_owned)) {
        let cursor = format!("{place}:{offset}");
        let number = offset.parse::<usize>().ok();
        let after = match number {
            Some(0) => Some(0),
            number => ends
                .iter()
                .position(|end| Some(*end) == number)
                .map(|at| at + 1),
        };
        match (all(&rpc, selector.clone(), &cursor).await, after) {
            (Ok(rest), Some(after)) => {
                assert_eq!(rest, log[after..], "{cursor}");
                honoured += 1;
            }
            (answer, None) => {
                refused_or_told(answer, &log, &cursor);
                refused += 1;
            }
            (Err(status), Some(_)) => panic!("{cursor}: {status:?}"),
        }
    }

    // Of another invocation, of another kind of stream, of another generation.
    let other = rpc.start_fake(&project, "T2", &numbers).await;
    let theirs = all(&rpc, rpc::invocation(&project, other.id), "")
        .await
        .unwrap();
    let of_task = all(&rpc, rpc::task(&project, "T2"), "").await.unwrap();
    let generation = place.rsplit_once(':').unwrap();
    let later = format!("{}:{}9:{length}", generation.0, generation.1);
    for cursor in [&theirs[1].cursor, &of_task[1].cursor, &later] {
        refused_or_told(all(&rpc, selector.clone(), cursor).await, &log, cursor);
        refused += 1;
    }
    let seen = format!("{honoured} cursors honoured exactly, {refused} refused or told as a gap");
    held(53, seen);
}

/// Nothing of the log but all of it, with a gap said first; or a refusal.
fn refused_or_told(answer: Result<Vec<v1::Event>, tonic::Status>, log: &[v1::Event], cursor: &str) {
    match answer {
        Err(status) => assert!(
            matches!(status.code(), Code::OutOfRange | Code::InvalidArgument),
            "{cursor}: {status:?}"
        ),
        Ok(events) => {
            let (first, rest) = events.split_first().expect(cursor);
            assert_eq!(first.r#type, "gap", "{cursor}: {first:?}");
            assert_eq!(rest, log, "{cursor}");
        }
    }
}

async fn all(rpc: &Rpc, selector: Selector, after: &str) -> Result<Vec<v1::Event>, tonic::Status> {
    let is_invocation = matches!(selector, Selector::Invocation(_));
    // Of a task there is no end: another invocation may come.
    rpc.try_follow(selector, after, is_invocation)
        .await?
        .rest()
        .await
}

#[tokio::test]
async fn a_number_that_no_event_can_have_is_refused() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let project = daemon.project("app").await.project();
    let rpc = daemon.rpc().await;
    for after in [-1, i64::MIN] {
        let request = v1::WatchRequest {
            project: project.clone(),
            after: Some(after),
            pulse: None,
            since_ms: None,
        };
        let answer = rpc.projects().watch(request).await;
        let status = answer.expect_err(&format!("{after}"));
        assert_eq!(status.code(), Code::InvalidArgument, "{after}: {status:?}");
    }
    held(53, "negative numbers of lifecycle events are refused");
}

/// What comes next on a stream of lifecycle events.
async fn next(stream: &mut Streaming<v1::WatchResponse>) -> Result<Vec<i64>, tonic::Status> {
    let message = within("a lifecycle event", stream.message()).await?;
    let message = message.expect("Watch goes on, or says why not");
    Ok(message.events.iter().map(|event| event.number).collect())
}

#[tokio::test]
async fn a_number_past_the_last_event_is_refused_also_where_the_database_is_a_new_one() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let project = ctl.project();
    let rpc = daemon.rpc().await;
    let watch = async |project: &str, after: Option<i64>| {
        let request = v1::WatchRequest {
            project: project.to_owned(),
            after,
            pulse: None,
            since_ms: None,
        };
        let answer = within("Watch", rpc.projects().watch(request)).await;
        answer.map(tonic::Response::into_inner)
    };
    let refused = async |after| {
        let status = watch(&project, Some(after)).await.unwrap_err();
        assert_eq!(status.code(), Code::OutOfRange, "{after}: {status:?}");
        let details = String::from_utf8_lossy(status.details()).into_owned();
        assert!(details.contains("CURSOR_OUT_OF_RANGE"), "{status:?}");
    };
    let first = rpc.start_fake(&project, "T1", &["exit", "0"]).await;
    // As after years of work, so that a new database does not come to it again.
    let last = 5_000;
    let db = rusqlite::Connection::open(old_database::path(ctl.folder())).unwrap();
    let event =
        "INSERT INTO steroidsd_events (number, ts_ms, kind, message) VALUES (?1, 1, 'x', '')";
    db.execute(event, [last]).unwrap();
    drop(db);
    refused(last + 1_000).await;
    let mut one = watch(&project, Some(last)).await.unwrap();
    let mut all = watch("", None).await.unwrap();
    let second = rpc.start_fake(&project, "T2", &["exit", "0"]).await;
    for stream in [&mut one, &mut all] {
        assert!(next(stream).await.unwrap()[0] > last);
    }

    // Nothing writes there any more.
    for id in [first.id, second.id] {
        rpc.ended(&project, id).await;
    }
    let gone = home.path("tmp/gone");
    fs::rename(ctl.folder().join(".steroids"), &gone).unwrap();
    fs::remove_dir_all(&gone).unwrap();
    ctl.run(["init"]).await.ok();
    let status = loop {
        match next(&mut one).await {
            Ok(numbers) => assert!(numbers.iter().all(|number| *number > last), "{numbers:?}"),
            Err(status) => break status,
        }
    };
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    refused(last).await;
    rpc.start_fake(&project, "T3", &["exit", "0"]).await;
    let anew = loop {
        let numbers = next(&mut all).await.unwrap();
        if let Some(first) = numbers.iter().find(|number| **number < last) {
            break *first;
        }
    };
    assert_eq!(anew, 1, "nothing of the new one was seen before");
    held(
        53,
        "numbers of a database that is gone are refused; who watches all gets the new one's",
    );
}

/// Given up while its folder is away, and opened again: what was written meanwhile is told too.
#[tokio::test]
async fn who_watches_all_keeps_its_place_in_a_database_that_goes_and_comes_back() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let mut projects = rpc.projects();
    let all = projects.watch(v1::WatchRequest::default());
    let mut all = within("Watch", all).await.unwrap().into_inner();
    let run = rpc.start_fake(&ctl.project(), "T1", &["exit", "0"]).await;
    rpc.ended(&ctl.project(), run.id).await;
    let last = loop {
        let message = within("the end", all.message()).await.unwrap().unwrap();
        if let Some(end) = message.events.iter().find(|event| event.kind == "finished") {
            break end.number;
        }
    };
    let is_ready = async |expected: bool| {
        eventually("the project to go or to come back", async || {
            let list = rpc.projects().list(v1::ListProjectsRequest {}).await;
            let projects = list.unwrap().into_inner().projects;
            ((projects[0].state == "ready") == expected).then_some(())
        })
        .await;
    };
    let (steroids, away) = (ctl.folder().join(".steroids"), ctl.folder().join("away"));
    fs::rename(&steroids, &away).unwrap();
    is_ready(false).await;
    let db = rusqlite::Connection::open(away.join("steroids.db")).unwrap();
    let event =
        "INSERT INTO steroidsd_events (number, ts_ms, kind, message) VALUES (?1, 1, 'x', '')";
    db.execute(event, [last + 1]).unwrap();
    drop(db);
    fs::rename(&away, &steroids).unwrap();
    is_ready(true).await;
    assert_eq!(next(&mut all).await.unwrap(), [last + 1]);
    held(
        53,
        "who watches all misses nothing of a database that was away",
    );
}
