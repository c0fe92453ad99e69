//! A daemon that may have 64 descriptors, or fewer.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use steroids_proto::v1;
use steroids_tests::faults::held;
use steroids_tests::{Daemon, Home, eventually, patience, processes, rpc};
use tonic::Code;

/// How long it is watched for doing nothing.
const WINDOW: Duration = Duration::from_secs(2);

#[tokio::test]
async fn with_no_descriptor_left_it_refuses_waits_and_recovers() {
    let home = Home::with_config("[daemon]\nmax_connections = 1000");
    let limit = "--nofile=64:64";
    let daemon = Daemon::try_start_through(&home, &[prlimit(), limit], &[]).await;
    let daemon = daemon.unwrap();
    let project = daemon.project("app").await.project();
    let rpc = daemon.rpc().await;
    let base = processes::descriptors(daemon.pid());

    // Each is a whole client, as far as the daemon can tell, and has a right to its place.
    let crowd = {
        let home = std::sync::Arc::clone(&home);
        tokio::task::spawn_blocking(move || crowd(&home))
    };
    let crowd = crowd.await.unwrap();

    let before = processes::cpu(daemon.pid()).unwrap_or_default();
    // The time is what is looked at.
    tokio::time::sleep(WINDOW).await;
    let used = processes::cpu(daemon.pid())
        .unwrap_or_default()
        .saturating_sub(before);
    assert!(
        used < WINDOW / 5,
        "{used:?} of {WINDOW:?} were spent waiting"
    );

    // Who is served already goes on being served, and is told what is missing.
    let request = |id: &str| v1::StartRequest {
        request_id: id.to_owned(),
        ..rpc::command(&project, "T1", rpc::argv(&["exit", "0"]))
    };
    let status = rpc.start(request("r-1")).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    assert!(status.message().contains("open files"), "{status:?}");
    let open = v1::ListRequest {
        project: project.clone(),
        states: vec![v1::State::Running.into(), v1::State::Queued.into()],
        ..Default::default()
    };
    let listed = rpc.invocations().list(open).await.unwrap();
    assert_eq!(listed.into_inner().invocations, []);

    drop(crowd);
    let again = daemon.rpc().await;
    let started = again.start(request("r-2")).await.unwrap();
    let ended = again.ended(&project, started.id).await;
    assert_eq!(ended.exit_code, Some(0), "{ended:?}");
    drop(again);
    eventually("as few descriptors as before", async || {
        (processes::descriptors(daemon.pid()) <= base + 2).then_some(())
    })
    .await;
    let seen = format!(
        "EMFILE at accept: {used:?} of processor time in {WINDOW:?}, a start is RESOURCE_EXHAUSTED, recovered"
    );
    held(69, seen);
}

#[tokio::test]
async fn with_too_few_to_begin_with_it_says_so_and_ends() {
    let home = Home::new();
    for limit in [8, 16, 32, 63] {
        let words = format!("--nofile={limit}:{limit}");
        let refused = Daemon::try_start_through(&home, &[prlimit(), &words], &[]).await;
        let refused = refused.expect_err("it serves");
        assert_eq!(refused.code, 78, "{limit}: {refused:?}");
        let last = refused.stderr.lines().next_back().unwrap_or_default();
        assert!(last.contains(&format!("{limit} files")), "{refused:?}");
        assert!(last.contains("LimitNOFILE"), "{refused:?}");
    }
    let daemon = Daemon::start(&home).await;
    daemon.project("app").await.run(["list"]).await.ok();
    held(69, "fewer than 64: exit 78, and what to raise");
}

#[tokio::test]
async fn with_more_projects_than_descriptors_it_says_that_there_are_too_few() {
    let home = Home::new();
    let mut daemon = Daemon::start(&home).await;
    let mut projects = Vec::new();
    for n in 0..12 {
        projects.push(daemon.project(&format!("p{n}")).await);
    }
    assert_eq!(daemon.term().await, 0);
    let _daemon = Daemon::start_through(&home, &[prlimit(), "--nofile=64:64"]).await;
    let mut refused = 0;
    for ctl in &projects {
        let listed = ctl.run(["list"]).await;
        if listed.code != 0 {
            listed.exits(75).says("LimitNOFILE");
            refused += 1;
        }
    }
    assert!(refused > 0);
    let log = home.daemon_log();
    assert!(!log.contains("cannot be written"), "{log}");
    held(
        69,
        "more projects than descriptors: exit 75, and what to raise",
    );
}

/// Connects until the daemon cannot accept any more; each is answered before the next comes.
fn crowd(home: &Home) -> Vec<UnixStream> {
    let is_full = || home.daemon_log().contains("cannot accept a connection");
    let connect = || {
        let mut stream = UnixStream::connect(home.socket()).unwrap();
        let words = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
        stream.write_all(words).unwrap();
        stream
    };
    let deadline = Instant::now() + patience();
    let mut crowd = Vec::new();
    while !is_full() {
        let mut stream = connect();
        let glance = Some(Duration::from_millis(50));
        stream.set_read_timeout(glance).unwrap();
        // The daemon's settings: it is served.
        while stream.read_exact(&mut [0; 9]).is_err() && !is_full() {
            assert!(Instant::now() < deadline, "neither served nor refused");
        }
        crowd.push(stream);
        assert!(crowd.len() < 100, "64 descriptors were enough");
    }
    // So that there is always one to be accepted, whatever the daemon lets go of.
    crowd.extend((0..10).map(|_| connect()));
    crowd
}

fn prlimit() -> &'static str {
    let path = "/usr/bin/prlimit";
    assert!(Path::new(path).exists(), "util-linux is everywhere");
    path
}
