//! Any part of a log without the rest, as a page that shows a long one asks for it.

use std::fs;

use steroids_proto::v1;
use steroids_tests::{Ctl, Daemon, Home, Puppet, Rpc, log, rpc};
use tonic::{Code, Status};

fn outline_of(ctl: &Ctl, id: i64) -> v1::OutlineRequest {
    v1::OutlineRequest {
        project: ctl.project(),
        id,
        ..Default::default()
    }
}

fn read_of(ctl: &Ctl, id: i64) -> v1::ReadRequest {
    v1::ReadRequest {
        project: ctl.project(),
        id,
        ..Default::default()
    }
}

fn of_type(kind: &str) -> Option<v1::LineFilter> {
    Some(v1::LineFilter {
        types: vec![kind.to_owned()],
        ..Default::default()
    })
}

/// The bytes of all that `Read` gives, page after page.
async fn read_to_the_end(rpc: &Rpc, mut request: v1::ReadRequest) -> Vec<u8> {
    let mut read = Vec::new();
    loop {
        let page = rpc.read(request.clone()).await.unwrap();
        read.extend(rpc::bytes(&page.events));
        if !page.more {
            return read;
        }
        assert_ne!(request.after, page.next, "there is more, and no way to it");
        request.after = page.next;
    }
}

fn reason(status: &Status) -> String {
    String::from_utf8_lossy(status.details()).into_owned()
}

#[tokio::test]
async fn an_outline_and_pages_from_its_places_are_the_log() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let args = ["numbers", "--count", "3000"];
    let id = rpc.start_fake(&ctl.project(), "T1", &args).await.id;
    rpc.ended(&ctl.project(), id).await;
    let file = fs::read(ctl.log_path(id)).unwrap();
    let request = read_of(&ctl, id);
    assert!(read_to_the_end(&rpc, request.clone()).await == file);

    let max_places = 100;
    let outline = v1::OutlineRequest {
        max_places,
        ..outline_of(&ctl, id)
    };
    let outline = rpc.outline(outline).await.unwrap();
    assert_eq!((outline.lines, outline.stride), (3002, 32));
    assert_eq!(outline.places.len(), 3002_usize.div_ceil(32));
    let all: Vec<_> = file.split_inclusive(|&byte| byte == b'\n').collect();
    for (at, place) in outline.places.iter().enumerate() {
        let page = v1::ReadRequest {
            after: place.cursor.clone(),
            limit: 2,
            ..request.clone()
        };
        let page = rpc.read(page).await.unwrap();
        let expected = all[at * 32..].iter().take(2).copied();
        assert_eq!(
            rpc::bytes(&page.events),
            expected.collect::<Vec<_>>().concat()
        );
        assert_eq!(page.events[0].ts, place.ts);
    }
    // The cursors are those of Follow, both ways.
    let place = &outline.places[7].cursor;
    let selector = rpc::invocation(&ctl.project(), id);
    let followed = rpc.follow(selector.clone(), place, false).await;
    let followed = followed.rest().await.unwrap();
    assert_eq!(rpc::bytes(&followed), all[7 * 32..].concat());
    let page = v1::ReadRequest {
        after: followed[9].cursor.clone(),
        limit: 1,
        ..request
    };
    assert_eq!(rpc.read(page).await.unwrap().events, followed[10..11]);
    assert_eq!(outline.end, followed.last().unwrap().cursor);
}

#[tokio::test]
async fn the_log_of_a_running_agent_is_outlined_as_far_as_it_goes() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let mut agent = Puppet::new(&home, "agent");
    let id = rpc.start_fake(&ctl.project(), "T1", &agent.args()).await.id;
    let mut followed = rpc
        .follow(rpc::invocation(&ctl.project(), id), "", true)
        .await;
    agent.prints("one");
    followed.until("one").await;
    let first = rpc.outline(outline_of(&ctl, id)).await.unwrap();
    assert_eq!((first.lines, first.stride), (2, 1));
    agent.prints("two");
    followed.until("two").await;
    let more = v1::OutlineRequest {
        after: first.end.clone(),
        ..outline_of(&ctl, id)
    };
    assert_eq!(rpc.outline(more).await.unwrap().lines, 1);
    let before = v1::OutlineRequest {
        until: first.end.clone(),
        ..outline_of(&ctl, id)
    };
    assert_eq!(rpc.outline(before).await.unwrap(), first);
    let page = v1::ReadRequest {
        after: first.end,
        ..read_of(&ctl, id)
    };
    let page = rpc.read(page).await.unwrap();
    let values = rpc::values(&page.events);
    assert_eq!(log::messages(&values, "output"), ["two"]);
    assert!(!page.more);
}

#[tokio::test]
async fn a_filter_finds_tools_results_and_words_of_a_real_run() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let recording = crate::recording("claude", "tools");
    let args = ["replay", &recording, "--speed", "100"];
    let agent = rpc.start_as(&ctl.project(), "T1", "claude", &args).await;
    rpc.ended(&ctl.project(), agent.id).await;
    let lines = log::lines(&ctl.log_path(agent.id));
    let count = |kind: &str| log::types(&lines).iter().filter(|it| **it == kind).count();

    let tools = v1::ReadRequest {
        filter: of_type("tool"),
        results: true,
        ..read_of(&ctl, agent.id)
    };
    let tools = rpc.read(tools).await.unwrap();
    assert!(tools.events.len() > 1);
    assert_eq!(tools.events.len(), count("tool"));
    assert_eq!(tools.results.len(), count("tool_result"));
    let outline = v1::OutlineRequest {
        filter: of_type("tool"),
        ..outline_of(&ctl, agent.id)
    };
    let outline = rpc.outline(outline).await.unwrap();
    assert_eq!(outline.places.len(), tools.events.len());

    let call = rpc::values(&tools.events)[0]["callId"].clone();
    let call_id = call.as_str().unwrap().to_owned();
    let one = v1::ReadRequest {
        filter: Some(v1::LineFilter {
            call_id,
            ..Default::default()
        }),
        ..read_of(&ctl, agent.id)
    };
    let one = rpc::values(&rpc.read(one).await.unwrap().events);
    assert_eq!(log::types(&one), ["tool", "tool_result"]);
    assert!(one.iter().all(|line| line["callId"] == call));

    let failed = v1::ReadRequest {
        filter: Some(v1::LineFilter {
            ok: Some(false),
            ..Default::default()
        }),
        ..read_of(&ctl, agent.id)
    };
    let failed = rpc.read(failed).await.unwrap().events;
    let not_ok = lines.iter().filter(|line| line["ok"] == false);
    assert_eq!(failed.len(), not_ok.count());

    // What a row shows, and none of its keys and ids.
    for (text, found) in [
        ("STARTED CODER", true),
        ("Sessionid", false),
        ("toolu_", false),
    ] {
        let word = v1::OutlineRequest {
            filter: Some(v1::LineFilter {
                text: text.to_owned(),
                ..Default::default()
            }),
            ..outline_of(&ctl, agent.id)
        };
        let lines = rpc.outline(word).await.unwrap().lines;
        assert_eq!(lines > 0, found, "{text}: {lines}");
    }
}

#[tokio::test]
async fn what_cannot_be_had_is_told_apart() {
    let home = Home::new();
    let mut daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let mut agent = Puppet::new(&home, "agent");
    let id = ctl.start_fake("T1", &agent.args()).await;
    let rpc = daemon.rpc().await;
    agent.prints("one");
    let mut followed = rpc
        .follow(rpc::invocation(&ctl.project(), id), "", true)
        .await;
    let cursor = followed.until("one").await.pop().unwrap().cursor;
    let read = |after: &str| v1::ReadRequest {
        after: after.to_owned(),
        ..read_of(&ctl, id)
    };
    for (bad, word) in [
        ("nonsense", "CURSOR_MALFORMED"),
        ("2:0:0", "CURSOR_MALFORMED"),
        ("1:0:5", "CURSOR_OUT_OF_RANGE"),
    ] {
        let status = rpc.read(read(bad)).await.unwrap_err();
        assert_eq!(status.code(), Code::OutOfRange, "{bad}: {status:?}");
        assert!(reason(&status).contains(word), "{status:?}");
        assert!(reason(&status).contains("after"), "{status:?}");
    }
    let status = rpc.read(read_of(&ctl, id + 1)).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    for (limit, after) in [(-1, String::new()), (1, "x".repeat(5000))] {
        let request = v1::ReadRequest {
            limit,
            after,
            ..read_of(&ctl, id)
        };
        let status = rpc.read(request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
    }
    // Another daemon finds another log than the spool says, and makes it anew.
    daemon.kill9().await;
    fs::write(ctl.log_path(id), "{\"ts\":1,\"type\":\"other\"}\n").unwrap();
    daemon.start_again().await;
    let rpc = daemon.rpc().await;
    let mut followed = rpc
        .follow(rpc::invocation(&ctl.project(), id), &cursor, true)
        .await;
    agent.prints("two");
    followed.until("two").await;
    let gone = rpc.read(read(&cursor)).await.unwrap_err();
    assert_eq!(gone.code(), Code::OutOfRange);
    assert!(reason(&gone).contains("GAP"), "{gone:?}");
    assert_eq!(rpc.read(read("")).await.unwrap().events.len(), 3);

    agent.exits(0);
    rpc.ended(&ctl.project(), id).await;
    fs::remove_file(ctl.log_path(id)).unwrap();
    let status = rpc.outline(outline_of(&ctl, id)).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert!(reason(&status).contains("NO_LOG"), "{status:?}");
}

#[tokio::test]
async fn logs_of_the_older_tool_are_browsed_too() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let (ctl, _db, id) = daemon.project_of_older_tool().await;
    let rpc = daemon.rpc().await;
    let empty = rpc.outline(outline_of(&ctl, id)).await.unwrap();
    assert_eq!((empty.lines, empty.places.len()), (0, 0));

    let line = |n: i64| format!("{{\"type\":\"tool\",\"cmd\":\"{n}\",\"ts\":{n}}}\n");
    let written: String = (1..=50).map(line).collect();
    fs::write(ctl.log_path(id), written.clone() + "{\"type\":\"to").unwrap();
    let after = empty.end.clone();
    let request = v1::ReadRequest {
        after,
        limit: 7,
        ..read_of(&ctl, id)
    };
    assert_eq!(read_to_the_end(&rpc, request).await, written.as_bytes());
    let outline = rpc.outline(outline_of(&ctl, id)).await.unwrap();
    assert_eq!((outline.lines, outline.places[9].ts), (50, 10));

    fs::write(ctl.log_path(id), line(7)).unwrap();
    let again = v1::OutlineRequest {
        after: outline.end,
        ..outline_of(&ctl, id)
    };
    let gone = rpc.outline(again).await.unwrap_err();
    assert_eq!(gone.code(), Code::OutOfRange);
    assert!(reason(&gone).contains("GAP"), "{gone:?}");
}
