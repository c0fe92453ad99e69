//! Following over real sockets, with the daemon breaking in every way at every moment.

#![expect(clippy::unwrap_used, reason = "a test that fails here says where")]

#[expect(dead_code, reason = "the tests of steroidsctl use the rest")]
mod fake;

use std::time::Duration;

use fake::{Fake, invocation};
use steroids_client::{Client, Follow, FollowError, Item, connect, v1};
use tonic::{Code, Status};

/// A daemon with one running invocation whose log has so many lines.
fn with_lines(count: usize) -> Fake {
    let fake = Fake::start();
    fake.world(|world| {
        world.invocations.push(invocation(1, v1::State::Running));
        for n in 0..count {
            world.line(
                1,
                format!("{{\"ts\":{n},\"type\":\"output\",\"msg\":\"{n}\"}}"),
            );
        }
    });
    fake
}

fn end(fake: &Fake) {
    fake.world(|world| world.line(1, "{\"ts\":9,\"type\":\"complete\"}"));
}

fn request(follow: bool) -> v1::FollowRequest {
    v1::FollowRequest {
        selector: Some(v1::follow_request::Selector::Invocation(
            v1::InvocationSelector {
                project: "/home/dev/app".to_owned(),
                id: 1,
            },
        )),
        after: String::new(),
        follow,
        skip_ended: false,
        limit_bytes: 0,
        pieces: false,
        tail: None,
    }
}

async fn client(fake: &Fake) -> Client {
    connect(fake.socket()).await.unwrap()
}

/// Everything to the end: the events' cursors, and what was said of the connection.
async fn drain(follow: &mut Follow) -> (Vec<String>, Vec<&'static str>) {
    let (mut cursors, mut news) = (Vec::new(), Vec::new());
    while let Some(item) = follow.next().await.unwrap() {
        match item {
            Item::Events(events) => cursors.extend(events.into_iter().map(|it| it.cursor)),
            Item::Live => news.push("live"),
            Item::Reconnecting { .. } => news.push("reconnecting"),
            Item::Away => news.push("away"),
        }
    }
    (cursors, news)
}

fn cursors(count: usize) -> Vec<String> {
    (1..=count).map(|n| format!("c{n}")).collect()
}

#[tokio::test]
async fn a_finished_log_is_replayed_and_ends() {
    let fake = with_lines(7);
    end(&fake);
    let mut follow = client(&fake).await.follow(request(true));
    let (seen, news) = drain(&mut follow).await;
    assert_eq!(seen, cursors(8));
    assert_eq!(news, ["live"]);
    assert!(follow.next().await.unwrap().is_none());
}

#[tokio::test]
async fn without_follow_it_ends_with_what_is_there() {
    let fake = with_lines(4);
    let mut follow = client(&fake).await.follow(request(false));
    assert_eq!(drain(&mut follow).await.0, cursors(4));
}

#[tokio::test]
async fn a_stream_broken_at_any_place_neither_repeats_nor_skips() {
    for breaks in 1..=8 {
        let fake = with_lines(20);
        end(&fake);
        fake.world(|world| world.break_after = vec![breaks; 4]);
        let mut follow = client(&fake).await.follow(request(true));
        let (seen, news) = drain(&mut follow).await;
        assert_eq!(seen, cursors(21), "broken after {breaks}");
        assert_eq!(news[..3], ["live", "reconnecting", "live"]);
    }
}

#[tokio::test]
async fn a_stream_broken_before_its_first_event_goes_on_where_it_began() {
    let fake = with_lines(5);
    fake.world(|world| world.break_after = vec![0]);
    let mut follow = client(&fake).await.follow(v1::FollowRequest {
        skip_ended: true,
        limit_bytes: 0,
        pieces: false,
        ..request(true)
    });
    while !matches!(
        follow.next().await.unwrap().unwrap(),
        Item::Reconnecting { .. }
    ) {}
    // It ends before the stream is open again.
    fake.world(|world| world.line(1, "{\"ts\":9,\"type\":\"output\"}"));
    end(&fake);
    let drained = tokio::time::timeout(Duration::from_secs(30), drain(&mut follow));
    let (seen, _) = drained.await.expect("what ended meanwhile is told");
    assert_eq!(seen, ["c6", "c7"]);
}

#[tokio::test]
async fn a_killed_daemon_is_awaited_and_told_of() {
    let mut fake = with_lines(5);
    let client = client(&fake).await;
    let mut follow = client.follow(request(true));
    let mut seen = Vec::new();
    while seen.len() < 5 {
        if let Some(Item::Events(events)) = follow.next().await.unwrap() {
            seen.extend(events.into_iter().map(|it| it.cursor));
        }
    }
    fake.kill();
    let mut news = Vec::new();
    while news.last() != Some(&"away") {
        match follow.next().await.unwrap().unwrap() {
            Item::Reconnecting { .. } => news.push("reconnecting"),
            Item::Away => news.push("away"),
            other => panic!("{other:?}"),
        }
    }
    end(&fake);
    fake.serve();
    let (rest, back) = drain(&mut follow).await;
    seen.extend(rest);
    assert_eq!(seen, cursors(6));
    assert_eq!(back, ["live"]);
    // The same handle serves other calls again, too.
    assert!(client.status(v1::StatusRequest {}).await.is_ok());
}

#[tokio::test]
async fn waiting_for_an_item_may_be_given_up_at_any_time() {
    let fake = with_lines(30);
    end(&fake);
    fake.world(|world| world.break_after = vec![7, 5]);
    let mut follow = client(&fake).await.follow(request(true));
    let mut seen = Vec::new();
    loop {
        let soon = tokio::time::timeout(Duration::from_micros(200), follow.next());
        match soon.await {
            Err(_) => {}
            Ok(Ok(Some(Item::Events(events)))) => {
                seen.extend(events.into_iter().map(|it| it.cursor))
            }
            Ok(Ok(Some(_))) => {}
            Ok(Ok(None)) => break,
            Ok(Err(error)) => panic!("{error}"),
        }
    }
    assert_eq!(seen, cursors(31));
}

#[tokio::test]
async fn a_refusal_that_would_come_again_ends_it() {
    for code in [
        Code::NotFound,
        Code::OutOfRange,
        Code::DataLoss,
        Code::PermissionDenied,
    ] {
        let fake = with_lines(1);
        fake.world(|world| world.refuse = Some(("follow", Status::new(code, "no"))));
        let mut follow = client(&fake).await.follow(request(true));
        match follow.next().await {
            Err(FollowError::Refused(status)) => assert_eq!(status.code(), code),
            other => panic!("{other:?}"),
        }
        assert!(follow.next().await.unwrap().is_none());
    }
}

#[tokio::test]
async fn too_many_streams_stop_a_newcomer_but_not_one_that_returns() {
    let full = || Some(("follow", Status::resource_exhausted("64 streams are open")));
    let fake = with_lines(2);
    end(&fake);
    fake.world(|world| world.refuse = full());
    let mut follow = client(&fake).await.follow(request(true));
    assert!(matches!(follow.next().await, Err(FollowError::Refused(_))));

    fake.world(|world| world.break_after = vec![1]);
    let mut follow = client(&fake).await.follow(request(true));
    assert!(matches!(follow.next().await.unwrap(), Some(Item::Live)));
    fake.world(|world| world.refuse = full());
    assert_eq!(drain(&mut follow).await.0, cursors(3));
}

#[tokio::test]
async fn a_daemon_that_is_slow_to_begin_a_stream_is_asked_again() {
    let fake = with_lines(2);
    end(&fake);
    let late = Status::deadline_exceeded("no answer within 30 s; what was begun goes on");
    fake.world(|world| world.refuse = Some(("follow", late)));
    let mut follow = client(&fake).await.follow(request(true));
    assert_eq!(drain(&mut follow).await.0, cursors(3));
}

#[tokio::test]
async fn patience_ends_and_the_cursor_is_kept() {
    let mut fake = with_lines(2);
    let patience = Duration::from_millis(300);
    let mut follow = client(&fake)
        .await
        .follow(request(true))
        .with_patience(patience);
    while follow.cursor() != "c2" {
        follow.next().await.unwrap();
    }
    fake.kill();
    let error = loop {
        match follow.next().await {
            Ok(item) => assert!(!matches!(item, None | Some(Item::Events(_)))),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, FollowError::Away { away, .. } if away >= patience));
    assert_eq!(follow.cursor(), "c2");
}

#[tokio::test]
async fn a_stream_that_held_without_a_word_ends_the_time_away() {
    let mut fake = with_lines(1);
    fake.world(|world| world.break_after = vec![1]);
    let mut follow = client(&fake).await.follow(request(true));
    let mut news = Vec::new();
    while news.len() < 4 {
        news.push(follow.next().await.unwrap().unwrap());
    }
    assert!(matches!(
        news[..],
        [
            Item::Live,
            Item::Events(_),
            Item::Reconnecting { .. },
            Item::Live
        ]
    ));
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(60 * 60)).await;
    tokio::time::resume();
    fake.kill();
    let broken = follow.next().await.unwrap().unwrap();
    assert!(matches!(broken, Item::Reconnecting { .. }), "{broken:?}");
    end(&fake);
    fake.serve();
    assert_eq!(drain(&mut follow).await.0, ["c2"]);
}

#[tokio::test]
async fn a_daemon_that_breaks_each_stream_it_opens_is_as_good_as_away() {
    let fake = with_lines(0);
    fake.world(|world| world.break_after = vec![0; 1000]);
    let mut follow = client(&fake)
        .await
        .follow(request(true))
        .with_patience(Duration::from_millis(300));
    let error = loop {
        match follow.next().await {
            Ok(item) => assert!(item.is_some()),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, FollowError::Away { .. }), "{error:?}");
}
