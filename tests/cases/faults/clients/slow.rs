//! A client that opens a stream and reads nothing of it.

use prost::Message as _;
use steroids_proto::v1;
use steroids_tests::faults::{held, is_long, share};
use steroids_tests::{Daemon, Home, Wire, patience, processes, rpc, wire};
use tonic::codegen::Bytes;

/// In the long form a fifth of what the agent prints: were that kept for the one that reads nothing,
/// it would show.
const MOST_GROWTH: u64 = 24 << 20;

#[tokio::test]
async fn one_that_never_reads_is_cut_off_and_costs_the_others_nothing() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let project = daemon.project("app").await.project();
    let rpc = daemon.rpc().await;
    let lines = share("8000", "120000");
    let flood = ["flood", "--lines", lines, "--bytes", "1000"];
    let before = processes::resident(daemon.pid());
    let agent = rpc.start_fake(&project, "T1", &flood).await;
    let selector = rpc::invocation(&project, agent.id);

    let mut stuck = Wire::connect_shut(&home.socket()).await;
    let request = v1::FollowRequest {
        selector: Some(selector.clone()),
        follow: true,
        ..v1::FollowRequest::default()
    };
    let (_answer, mut asking) = stuck.open("Invocations/Follow", "identity").await;
    let request = wire::framed(0, &request.encode_to_vec());
    asking.send_data(Bytes::from(request), true).unwrap();
    rpc.subscribers(1).await;

    let good = (0..5).map(|_| {
        let (rpc, selector) = (rpc.clone(), selector.clone());
        tokio::spawn(async move {
            let mut followed = rpc.follow(selector, "", true).await;
            let mut count = 0;
            while let Some(event) = followed.next().await.unwrap() {
                count += usize::from(event.r#type == "output");
            }
            count
        })
    });
    let mut most = 0;
    for good in good.collect::<Vec<_>>() {
        assert_eq!(good.await.unwrap().to_string(), lines);
        most = most.max(processes::resident(daemon.pid()));
    }
    let grown = most.saturating_sub(before);

    // Nothing shorter than a minute is told from a client that is only slow; and what the short form
    // prints is less than the daemon may grow by.
    let end = if is_long() {
        assert!(grown < MOST_GROWTH, "{before} {most}");
        stuck.closed(patience() * 8).await;
        rpc.subscribers(0).await;
        assert!(home.daemon_log().contains("cut off"));
        "the slow one was cut off"
    } else {
        "the slow one still open"
    };
    let mib = grown >> 20;
    let seen = format!("5 good ones had {lines} lines each; the daemon grew by {mib} MiB; {end}");
    held(48, seen);
}
