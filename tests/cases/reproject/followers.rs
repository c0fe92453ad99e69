//! Who reads a log while it is made anew is told of the gap, and then given all of it, once.

use std::fs;
use std::time::Duration;

use steroids_proto::v1;
use steroids_tests::gateway::{Item, Sse};
use steroids_tests::{Puppet, assert_undisturbed, rpc, served};

use super::falsify;

/// Twice as much as fits into what lies between a log and somebody who has stopped reading: a window
/// of 2 MiB, buffers of sockets and pipes.
const LINES: u64 = 200;

/// Bytes of a line.
const LINE: usize = 30_000;

/// Panics unless `seen` is a part of the false log from its start, then a gap, then all of the true
/// one.
fn assert_told(seen: &[Vec<u8>], is_gap: impl Fn(&[u8]) -> bool, is: &[u8], was: &[u8]) {
    let gaps: Vec<usize> = (0..seen.len()).filter(|at| is_gap(&seen[*at])).collect();
    assert_eq!(gaps.len(), 1, "gaps among {} lines", seen.len());
    let (before, after) = seen.split_at(gaps[0]);
    let text = |lines: &[Vec<u8>]| -> Vec<u8> {
        lines
            .iter()
            .flat_map(|line| [line, &b"\n"[..]].concat())
            .collect()
    };
    assert!(!before.is_empty() && was.starts_with(&text(before)));
    assert!(
        text(&after[1..]) == is,
        "{} lines follow the gap",
        after.len() - 1
    );
}

fn is_gap(line: &[u8]) -> bool {
    line.windows(12).any(|part| part == b"\"type\":\"gap\"")
}

#[tokio::test]
async fn everybody_who_reads_it_meanwhile_is_told_of_a_gap_and_given_all_of_it_once() {
    let (home, daemon, gateway, ctl) = served().await;
    let rpc = daemon.rpc().await;
    let mut agent = Puppet::new(&home, "agent");
    let started = rpc.start_fake(&ctl.project(), "T1", &agent.args()).await;
    agent.counts(1..=LINES, LINE, Duration::ZERO);
    agent.exits(0);
    let ended = rpc.ended(&ctl.project(), started.id).await;
    let path = ctl.log_path(ended.id);
    let was = falsify(&path);

    // Three of them, each at its beginning.
    let selector = rpc::invocation(&ctl.project(), ended.id);
    let mut followed = rpc.follow(selector.clone(), "", true).await;
    let mut events = vec![followed.next().await.unwrap().unwrap()];
    let mut terminal = ctl.spawn(["--json", "stream", &ended.id.to_string()]);
    let mut lines = vec![terminal.line().await.unwrap()];
    let project = ctl.project();
    let target = format!(
        "/api/tasks/T1/stream?invocation={}&project={project}",
        ended.id
    );
    let mut sse = Sse::open(&gateway.get(&target)).await.unwrap();
    let (cursor, first) = sse.event().await.unwrap();
    // A browser's connection may hold megabytes; this one breaks, and comes back.
    drop(sse);

    let request = v1::ReprojectRequest {
        project: ctl.project(),
        id: ended.id,
        ..Default::default()
    };
    let done = rpc.invocations().reproject(request).await.unwrap();
    assert_eq!(done.into_inner().result, "rebuilt");
    assert_undisturbed(&ctl, &ended);
    let is = fs::read(&path).unwrap();

    events.extend(followed.rest().await.unwrap());
    let bytes: Vec<_> = events.iter().map(|event| event.line.to_vec()).collect();
    assert_told(&bytes, is_gap, &is, &was);
    // The new ones' cursors are good: nothing is given twice to who comes back.
    let last = &events[events.len() - 2].cursor;
    let rest = rpc.follow(selector, last, true).await.rest().await.unwrap();
    assert_eq!(rest.len(), 1, "{rest:?}");

    while let Some(line) = terminal.line().await {
        lines.push(line);
    }
    let bytes: Vec<_> = lines.into_iter().map(String::into_bytes).collect();
    assert_told(&bytes, is_gap, &is, &was);

    let target = format!("{target}&after={}", cursor.unwrap());
    let mut sse = Sse::open(&gateway.get(&target)).await.unwrap();
    let mut data = vec![first];
    for item in sse.rest().await {
        if let Item::Event { data: text, .. } = item {
            data.push(text);
        }
    }
    let unspliced = |text: &str| steroids_tests::gateway::sse::unspliced(text, ended.id);
    let texts: Vec<Vec<u8>> = data
        .into_iter()
        .map(|text| match is_gap(text.as_bytes()) {
            true => text,
            false => unspliced(&text),
        })
        .map(String::into_bytes)
        .collect();
    assert_told(&texts, is_gap, &is, &was);
}
