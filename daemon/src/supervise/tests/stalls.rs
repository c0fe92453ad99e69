//! What a job tells of limits that are near.

use steroids_provider::activity::Stream;
use steroids_shim::spool::{Limited, Writer};

use super::*;

/// What was told of stalls, once it is so much.
async fn told(bench: &Bench, count: usize) -> Vec<(String, String)> {
    eventually(async || {
        let project = bench.projects.get(&bench.project.root).await.unwrap();
        let events = project.store.events(0, 100).await.unwrap();
        let of_stalls = |kind: &str| ["stalled", "resumed"].contains(&kind);
        let told: Vec<_> = events
            .into_iter()
            .filter(|event| of_stalls(&event.kind))
            .map(|event| (event.kind, event.message))
            .collect();
        (told.len() >= count).then_some(told)
    })
    .await
}

fn near(spool: &mut Writer, ends_ms: Option<u64>, msg: &str) {
    let limit = limit(Limited::Silence, ends_ms, msg);
    spool.control(2, 2, &limit).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stall_and_its_end_are_told_once_whichever_daemon_sees_them() {
    let mut bench = Bench::new(8, 8).await;
    let dir = bench.dir(&bench.start("r1").await);
    let mut spool = Writer::create(&dir.spool()).unwrap();
    near(&mut spool, Some(9), "no output for 12m; ended at 15m");
    told(&bench, 1).await;

    bench.restart().await;
    bench.supervisor.reconcile(Scope::Startup).await;
    spool.output(3, 3, Stream::Stdout, b"back\n").unwrap();
    told(&bench, 2).await;

    bench.restart().await;
    // While nobody looked.
    near(&mut spool, Some(20), "over before it was seen");
    spool.output(4, 4, Stream::Stdout, b"and again\n").unwrap();
    near(&mut spool, Some(30), "a second time");
    bench.supervisor.reconcile(Scope::Startup).await;
    told(&bench, 3).await;
    near(&mut spool, None, "but its processes work");
    let pair = |kind: &str, message: &str| (kind.to_owned(), message.to_owned());
    let expected = [
        pair("stalled", "no output for 12m; ended at 15m"),
        pair("resumed", "it printed again"),
        pair("stalled", "a second time"),
        pair("resumed", "but its processes work"),
    ];
    assert_eq!(told(&bench, 4).await, expected);
}
