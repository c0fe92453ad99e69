//! Streams over all projects while the disk of one does not answer: the others go on, and of that one nothing is
//! lost or given twice.

use std::time::Duration;

use steroids_proto::v1;
use steroids_proto::v1::follow_request::Selector;
use steroids_tests::faults::held;
use steroids_tests::{Daemon, Home, HungDisk, Puppet, eventually};

use super::begun;

/// What an agent has printed, of these events.
fn numbers(events: &[v1::Event], project: &str) -> Vec<String> {
    let those = events.iter().filter(|it| it.project == project);
    let lines = those.map(|it| String::from_utf8_lossy(&it.line).into_owned());
    let number = |line: String| Some(line.split("n 0").nth(1)?[..5].to_owned());
    lines.filter_map(number).collect()
}

#[tokio::test]
async fn a_disk_that_does_not_answer_keeps_no_stream_over_all_from_the_others() {
    let home = Home::new();
    let Some(disk) = HungDisk::prepare() else {
        return held(146, "not shown: needs root");
    };
    let daemon = Daemon::start(&home).await;
    let (app, other) = (daemon.project("app").await, daemon.project("other").await);
    let (app_at, other_at) = (app.project(), other.project());
    let rpc = daemon.rpc().await;
    let (mut agent, mut beside) = (Puppet::new(&home, "agent"), Puppet::new(&home, "beside"));
    let started = begun(&app, &rpc, &mut agent).await;
    let all = || Selector::All(v1::AllSelector {});
    let mut stream = rpc.follow(all(), "", true).await;
    let mut seen = stream.until("n 000001").await;

    let hung = disk.mount(app.folder());
    // There is more of it, and of the other for longer than until whoever follows looks at everything.
    agent.counts(2..=3, 20, Duration::ZERO);
    begun(&other, &rpc, &mut beside).await;
    beside.counts(2..=14, 20, Duration::from_secs(7));
    seen.extend(stream.until("n 000014").await);
    let cursor = seen.last().unwrap().cursor.clone();
    // One that begins meanwhile has the other's, and so has one that goes on.
    let begins = rpc.follow(all(), "", true).await.until("n 000014").await;
    assert_eq!(numbers(&begins, &other_at).len(), 14, "{begins:?}");
    let mut again = rpc.follow(all(), &cursor, true).await;
    beside.counts(15..=15, 20, Duration::ZERO);
    let mut streams = [(&mut stream, Vec::new()), (&mut again, Vec::new())];
    for (stream, events) in &mut streams {
        events.extend(seen.clone());
        events.extend(stream.until("n 000015").await);
        assert_eq!(numbers(events, &other_at).len(), 15, "{events:?}");
    }

    drop(hung);
    agent.counts(4..=5, 20, Duration::ZERO);
    for (stream, events) in &mut streams {
        while numbers(events, &app_at).len() < 5 {
            events.push(stream.next().await.unwrap().expect("more events"));
        }
        let lines = ["00001", "00002", "00003", "00004", "00005"];
        assert_eq!(numbers(events, &app_at), lines, "{events:?}");
        let gaps = events.iter().filter(|it| it.r#type == "gap").count();
        assert_eq!(gaps, 0, "{events:?}");
    }
    agent.exits(0);
    let ended = rpc.ended(&app_at, started.id).await;
    assert_eq!(ended.exit_code, Some(0), "{ended:?}");
    beside.exits(0);
    eventually("nothing to be degraded", async || {
        rpc.degraded().await.is_empty().then_some(())
    })
    .await;
    held(
        146,
        "streams over all, one from before, one that began and one that went on meanwhile, gave the other project's lines as they came, and the hung one's once, from where they were, when it was back",
    );
}
