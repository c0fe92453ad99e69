//! The stream of a task's invocation.

use steroids_proto::v1;

use crate::browser::{Came, Gateway, Reader};
use crate::fake::Fake;

pub(crate) fn line(n: usize) -> String {
    format!(r#"{{"ts":{n},"type":"output","msg":"line {n}"}}"#)
}

pub(crate) fn data(id: i64, n: usize) -> String {
    format!(r#"{{"invocationId":{id},{}"#, &line(n)[1..])
}

pub(crate) const COMPLETE: &str = r#"{"invocationId":1,"ts":9,"type":"complete","success":true}"#;

pub(crate) fn running(lines: usize) -> Fake {
    let fake = Fake::start();
    fake.world(|world| {
        world.begin(1);
        (0..lines).for_each(|n| world.line(1, line(n)));
    });
    fake
}

async fn expect(reader: &mut Reader, numbers: std::ops::Range<usize>) {
    for n in numbers {
        assert_eq!(reader.data().await, Some(data(1, n)));
    }
}

#[tokio::test]
async fn what_is_logged_comes_first_then_what_is_written_then_the_end() {
    let fake = running(5);
    let gateway = Gateway::start(&fake).await;
    let mut reader = gateway.task("", "").await;
    assert_eq!(reader.status, 200);
    let head = reader.head.to_lowercase();
    for header in [
        "content-type: text/event-stream\r",
        "cache-control: no-cache, no-transform",
        "x-accel-buffering: no\r",
    ] {
        assert!(head.contains(header), "{header} in {head}");
    }
    assert_eq!(reader.next().await, Came::Retry("2000".to_owned()));
    expect(&mut reader, 0..5).await;
    assert_eq!(reader.last, "1:0:5");
    reader.comment("live").await;
    fake.world(|world| world.line(1, line(5)));
    expect(&mut reader, 5..6).await;
    fake.world(|world| world.end(1));
    assert_eq!(reader.rest().await, [COMPLETE]);
    // What a browser does then: it comes back, and is told to stop.
    let again = gateway.task("", &reader.last).await;
    assert_eq!(again.status, 204);
}

#[tokio::test]
async fn nothing_is_said_behind_the_last_line() {
    let fake = running(2);
    let gateway = Gateway::start(&fake).await;
    let mut first = gateway.task("", "").await;
    first.comment("live").await;
    // It is there a moment before the daemon's own stream ends.
    fake.world(|world| world.line(1, r#"{"ts":9,"type":"complete","success":true}"#));
    assert_eq!(first.data().await.as_deref(), Some(COMPLETE));
    let mut late = gateway.task("", "1:0:2").await;
    assert_eq!(late.next().await, Came::Retry("2000".to_owned()));
    assert_eq!(late.next().await, Came::Data(COMPLETE.to_owned()));
    // What it would say now it says before it reads of the end.
    fake.world(|world| world.invocations[0].state = v1::State::Completed.into());
    for mut reader in [first, late] {
        assert_eq!(reader.next().await, Came::End);
    }
}

/// A reader that has the log with its end, of which the daemon's own stream has not heard.
async fn before_the_upstream(fake: &Fake) -> (Gateway, Reader) {
    let gateway = Gateway::start(fake).await;
    let mut reader = gateway.task("", "").await;
    expect(&mut reader, 0..2).await;
    reader.comment("live").await;
    fake.world(|world| {
        world.ends_late = true;
        world.end(1);
    });
    assert_eq!(reader.data().await.as_deref(), Some(COMPLETE));
    (gateway, reader)
}

#[tokio::test]
async fn who_has_all_is_told_to_stop_though_the_daemons_own_stream_goes_on() {
    let fake = running(2);
    let (gateway, mut reader) = before_the_upstream(&fake).await;
    let again = gateway.task("", &reader.last).await;
    assert_eq!(again.status, 204);
    fake.world(|world| world.ends_late = false);
    assert_eq!(reader.next().await, Came::End);
}

#[tokio::test]
async fn another_tool_may_write_on_once_its_row_has_ended() {
    let fake = running(2);
    fake.world(|world| world.invocations[0].managed = false);
    let (gateway, mut reader) = before_the_upstream(&fake).await;
    let mut again = gateway.task("", &reader.last).await;
    assert_eq!(again.status, 200);
    fake.world(|world| world.line(1, line(3)));
    expect(&mut reader, 3..4).await;
    expect(&mut again, 3..4).await;
    fake.world(|world| world.ends_late = false);
    for mut reader in [reader, again] {
        assert_eq!(reader.next().await, Came::End);
    }
}

#[tokio::test]
async fn every_cursor_resumes_with_exactly_what_comes_after_it() {
    let fake = running(7);
    fake.world(|world| world.end(1));
    let gateway = Gateway::start(&fake).await;
    for from in 0..7 {
        let mut reader = gateway.task("&invocation=1", &format!("1:0:{from}")).await;
        expect(&mut reader, from..7).await;
        assert_eq!(reader.rest().await, [COMPLETE]);
    }
    let mut by_query = gateway.task("&after=1:0:6", "").await;
    expect(&mut by_query, 6..7).await;
    // A browser that comes back says so in the header; its URL is as it was.
    let mut both = gateway.task("&after=1:0:1", "1:0:7").await;
    assert_eq!(both.rest().await, [COMPLETE]);
}

#[tokio::test]
async fn a_cursor_that_is_none_of_this_task_is_refused() {
    let fake = running(3);
    fake.world(|world| {
        world.begin(2);
        world.invocations[1].task_id = "T2".to_owned();
    });
    let gateway = Gateway::start(&fake).await;
    for cursor in [
        "nonsense",
        "1:0",
        "1:x:3",
        "-1:0:3",
        ":0:3",
        "0:0:3",
        "2:0:3",
        "9:0:3",
        "1:0:1\r\nLast-Event-ID: 1:0:2",
    ] {
        let mut reader = gateway.task("", cursor).await;
        assert_eq!(reader.status, 400, "{cursor}");
        assert!(
            reader
                .body()
                .await
                .starts_with(r#"{"success":false,"error":""#),
            "{cursor}"
        );
    }
    assert_eq!(gateway.task("&invocation=3", "1:0:2").await.status, 400);
    assert_eq!(gateway.task("&invocation=2", "").await.status, 404);
    assert_eq!(gateway.task("&invocation=x", "").await.status, 400);
    let path = "/api/tasks/T1/stream";
    let mut reader = gateway.get(path, "").await;
    assert_eq!(reader.status, 400);
    let said = r#"{"success":false,"error":"Missing required query parameter: project"}"#;
    assert_eq!(reader.body().await, said);
}

#[tokio::test]
async fn a_place_that_is_gone_is_told_and_the_log_follows_from_its_start() {
    let fake = running(3);
    fake.world(|world| world.end(1));
    let gateway = Gateway::start(&fake).await;
    for cursor in ["1:0:900001", "1:0:50", "1:7:2"] {
        let mut reader = gateway.task("", cursor).await;
        let gap = reader.data().await.unwrap();
        assert!(gap.contains(r#""type":"gap""#), "{cursor}: {gap}");
        expect(&mut reader, 0..3).await;
        assert_eq!(reader.rest().await, [COMPLETE]);
    }
}

#[tokio::test]
async fn a_log_that_is_rebuilt_while_it_is_watched_is_told() {
    let fake = running(3);
    let gateway = Gateway::start(&fake).await;
    let mut reader = gateway.task("", "").await;
    expect(&mut reader, 0..3).await;
    reader.comment("live").await;
    fake.world(|world| world.logs.get_mut(&1).unwrap().generation = 1);
    assert!(reader.data().await.unwrap().contains("gap"));
    expect(&mut reader, 0..3).await;
    assert_eq!(reader.last, "1:1:3");
}

#[tokio::test]
async fn what_comes_between_a_viewers_first_look_and_its_first_frame_is_not_waited_for() {
    let fake = running(3);
    let gateway = Gateway::start(&fake).await;
    // It was looked at up to its end, to know that its cursor is good.
    let mut late = gateway.unread("&after=1:0:1").await;
    fake.world(|world| world.line(1, line(3)));
    let mut other = gateway.task("", "").await;
    expect(&mut other, 0..4).await;
    other.comment("live").await;
    let text = late.until("id: 1:0:4").await;
    let lines = (1..4).map(|n| format!("data: {}\n", data(1, n)));
    assert!(lines.into_iter().all(|it| text.contains(&it)), "{text}");
}

#[tokio::test]
async fn viewers_share_one_upstream_and_it_ends_with_the_log() {
    let fake = running(10);
    let gateway = Gateway::start(&fake).await;
    let mut readers = Vec::new();
    for _ in 0..20 {
        let mut reader = gateway.task("", "").await;
        expect(&mut reader, 0..10).await;
        reader.comment("live").await;
        readers.push(reader);
    }
    assert_eq!(fake.world(|world| world.open), 1, "for all of them");
    fake.world(|world| world.line(1, line(10)));
    fake.world(|world| world.end(1));
    for reader in &mut readers {
        expect(reader, 10..11).await;
        assert_eq!(reader.rest().await, [COMPLETE]);
    }
    fake.until(|world| world.open == 0).await;
}

#[tokio::test]
async fn a_reader_that_does_not_read_holds_no_upstream_and_misses_nothing() {
    let fake = running(1);
    let gateway = Gateway::start(&fake).await;
    let mut slow = gateway.task("", "").await;
    let mut quick = gateway.task("", "").await;
    expect(&mut slow, 0..1).await;
    expect(&mut quick, 0..1).await;
    // Far more than its socket and the ring hold.
    let long = |n: usize| {
        format!(
            r#"{{"ts":{n},"type":"output","msg":"{}"}}"#,
            "x".repeat(4000)
        )
    };
    for block in 0..50 {
        fake.world(|world| (0..100).for_each(|n| world.line(1, long(block * 100 + n))));
        for _ in 0..100 {
            quick.data().await.unwrap();
        }
    }
    assert!(fake.world(|world| world.open) <= 1, "the shared one");
    fake.world(|world| world.end(1));
    for n in 0..5000 {
        let data = slow.data().await.unwrap();
        assert!(
            data.starts_with(&format!("{{\"invocationId\":1,\"ts\":{n},")),
            "{n}"
        );
    }
    assert_eq!(slow.rest().await, [COMPLETE]);
    assert_eq!(quick.rest().await, [COMPLETE]);
}

#[tokio::test]
async fn those_who_stop_reading_hold_no_turn_and_miss_nothing() {
    let fake = running(0);
    let long = |n: usize| format!("{}{}", line(n), " ".repeat(1000));
    fake.world(|world| (0..2000).for_each(|n| world.line(1, long(n))));
    fake.world(|world| world.end(1));
    let gateway = Gateway::start(&fake).await;
    let mut slow = Vec::new();
    // More than there are turns; each has taken a whole part, and so gets the rest as it comes.
    for _ in 0..20 {
        let mut viewer = gateway.unread("&invocation=1").await;
        let seen = viewer.until("line 120\"").await;
        slow.push((viewer, seen));
    }
    fake.until(|world| world.open == 0).await;
    let mut quick = gateway.task("&invocation=1", "").await;
    assert_eq!(quick.rest().await.len(), 2001);
    for (mut viewer, mut seen) in slow {
        seen += &viewer.until("complete").await;
        let lines = seen.split("\"msg\":\"line ").skip(1);
        let numbers: Vec<usize> = lines
            .map(|rest| rest.split('"').next().unwrap().parse().unwrap())
            .collect();
        assert!(numbers.into_iter().eq(0..2000));
    }
}

#[tokio::test]
async fn that_a_log_lacks_its_end_is_told_behind_its_last_line() {
    // In the first part, and in the run behind it.
    for lines in [3, 350] {
        let fake = running(0);
        let long = |n: usize| format!("{}{}", line(n), " ".repeat(1000));
        fake.world(|world| (0..lines).for_each(|n| world.line(1, long(n))));
        fake.world(|world| {
            world.end(1);
            world.logs.get_mut(&1).unwrap().lines.pop();
            world.lacks_end = true;
        });
        let gateway = Gateway::start(&fake).await;
        let all = gateway.task("&invocation=1", "").await.rest().await;
        assert_eq!(all.len(), lines + 1);
        assert!(all[lines].contains(r#""reason":"incomplete""#));
    }
}

#[tokio::test]
async fn streams_outlive_the_daemon_and_go_on_where_they_were() {
    let mut fake = running(3);
    let gateway = Gateway::start(&fake).await;
    let mut reader = gateway.task("", "").await;
    expect(&mut reader, 0..3).await;
    reader.comment("live").await;
    for round in 1..4 {
        fake.kill();
        reader.comment("daemon away").await;
        // One that comes meanwhile waits with it.
        let mut late = gateway.task("", "1:0:2").await;
        assert_eq!(late.status, 200);
        late.comment("daemon away").await;
        fake.world(|world| world.line(1, line(2 + round)));
        fake.serve();
        assert_eq!(reader.next().await, Came::Comment("daemon back".to_owned()));
        expect(&mut reader, 2 + round..3 + round).await;
        reader.comment("live").await;
        expect(&mut late, 2..3 + round).await;
        late.comment("live").await;
    }
    fake.world(|world| world.end(1));
    assert_eq!(reader.rest().await, [COMPLETE]);
}

#[tokio::test]
async fn a_gateway_that_starts_before_the_daemon_waits_for_it() {
    let mut fake = Fake::absent();
    fake.world(|world| {
        world.begin(1);
        world.line(1, line(0));
    });
    let gateway = Gateway::start(&fake).await;
    let mut reader = gateway.task("", "").await;
    reader.comment("daemon away").await;
    fake.serve();
    expect(&mut reader, 0..1).await;
}

#[tokio::test]
async fn a_daemon_that_is_busy_is_waited_for_and_is_no_end() {
    let fake = running(1);
    fake.world(|world| world.busy = 2);
    let gateway = Gateway::start(&fake).await;
    let mut reader = gateway.task("&invocation=1", "").await;
    expect(&mut reader, 0..1).await;
}

#[tokio::test]
async fn a_stop_ends_streams_so_that_browsers_come_back() {
    let fake = running(3);
    let gateway = Gateway::start(&fake).await;
    let mut reader = gateway.task("", "").await;
    expect(&mut reader, 0..3).await;
    reader.comment("live").await;
    gateway.stop.cancel();
    assert_eq!(reader.next().await, Came::Retry("1000".to_owned()));
    assert_eq!(reader.next().await, Came::End);
    let gateway = Gateway::start(&fake).await;
    fake.world(|world| world.line(1, line(3)));
    let mut again = gateway.task("", &reader.last).await;
    expect(&mut again, 3..4).await;
}

#[tokio::test]
async fn there_is_room_for_so_many_and_no_more() {
    let fake = running(1);
    let gateway = Gateway::with(&fake, 2).await;
    let mut first = gateway.task("", "").await;
    let mut second = gateway.task("", "").await;
    expect(&mut first, 0..1).await;
    let mut third = gateway.task("", "").await;
    assert_eq!(third.status, 429);
    let said = r#"{"success":false,"error":"Too many active streams","max":2}"#;
    assert_eq!(third.body().await, said);
    expect(&mut second, 0..1).await;
    fake.world(|world| world.end(1));
    assert_eq!(second.rest().await, [COMPLETE]);
    // Its place is free with its end.
    assert_eq!(gateway.task("&invocation=1", "").await.status, 200);
}

#[tokio::test]
async fn a_log_that_is_not_there_is_waited_for_five_seconds() {
    let fake = running(0);
    let gateway = Gateway::start(&fake).await;
    let mut reader = gateway.task("", "").await;
    let waiting = r#"{"type":"waiting_for_log","taskId":"T1","invocationId":1}"#;
    assert_eq!(reader.data().await.unwrap(), waiting);
    let missing = r#"{"type":"log_not_found","taskId":"T1","invocationId":1}"#;
    assert_eq!(reader.rest().await, [missing]);
}

#[tokio::test]
async fn a_log_that_comes_late_or_has_no_whole_line_yet_is_no_missing_log() {
    let fake = running(0);
    let gateway = Gateway::start(&fake).await;
    let mut reader = gateway.task("", "").await;
    assert!(reader.data().await.unwrap().contains("waiting_for_log"));
    fake.world(|world| world.line(1, line(0)));
    expect(&mut reader, 0..1).await;
    // Torn: the file is there, and the daemon gives nothing of it yet.
    fake.world(|world| {
        world.begin(2);
        world.logs.insert(2, Default::default());
    });
    let mut torn = gateway.task("&invocation=2", "").await;
    assert_eq!(torn.next().await, Came::Retry("2000".to_owned()));
    assert_eq!(torn.next().await, Came::Comment("live".to_owned()));
    fake.world(|world| world.line(2, line(0)));
    assert_eq!(torn.data().await, Some(data(2, 0)));
}

#[tokio::test]
async fn following_a_task_goes_on_with_its_next_invocation() {
    let fake = running(2);
    let gateway = Gateway::start(&fake).await;
    let mut reader = gateway.task("&follow=task", "").await;
    expect(&mut reader, 0..2).await;
    fake.world(|world| world.end(1));
    assert_eq!(reader.data().await.unwrap(), COMPLETE);
    for id in [2, 3] {
        fake.world(|world| {
            world.begin(id);
            world.line(id, line(0));
            world.end(id);
        });
        assert_eq!(reader.data().await, Some(data(id, 0)));
        assert!(reader.data().await.unwrap().contains("complete"));
    }
    // From the end of one that is over, with the next.
    let mut late = gateway.task("&follow=task", "2:0:2").await;
    assert_eq!(late.data().await, Some(data(3, 0)));
}

#[tokio::test]
async fn following_a_task_that_rests_begins_with_what_comes_not_with_what_was() {
    let fake = running(1);
    fake.world(|world| world.end(1));
    let gateway = Gateway::start(&fake).await;
    let mut reader = gateway.task("&follow=task", "").await;
    assert!(
        reader
            .data()
            .await
            .unwrap()
            .contains("no_active_invocation")
    );
    fake.until(|world| world.follows.iter().any(|it| it.skip_ended))
        .await;
    fake.world(|world| {
        world.begin(2);
        world.line(2, line(7));
    });
    assert_eq!(reader.data().await, Some(data(2, 7)));
}
