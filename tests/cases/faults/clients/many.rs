//! Clients that come in crowds and say nothing, or half of it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Instant;

use steroids_tests::faults::{held, share};
use steroids_tests::{Daemon, Home, Wire, eventually, processes, wire};
use tonic::Code;

/// The first words of HTTP/2, and the first frame: settings, none of them changed.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];

#[tokio::test]
async fn two_hundred_that_say_nothing_or_half_of_it_keep_nobody_out() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let base = open_at_rest(&daemon).await;
    let crowd = connect(home.socket(), 200, |at| match at % 3 {
        0 => b"",
        1 => PREFACE.get(..1).unwrap(),
        _ => PREFACE.get(..PREFACE.len() - 1).unwrap(),
    });
    let crowd = crowd.await;
    let asked = Instant::now();
    is_served(&home).await;
    let served = asked.elapsed();
    // They are shown the door; nobody of them has hung up.
    back_to(base, &daemon).await;
    let closed = tokio::task::spawn_blocking(move || {
        crowd.into_iter().all(|mut stream| {
            let mut nothing = [0];
            matches!(stream.read(&mut nothing), Ok(0) | Err(_))
        })
    });
    assert!(closed.await.unwrap());
    let seen = format!(
        "200 silent: a new client served in {served:.0?}, then {base} descriptors as before"
    );
    held(49, seen);
}

#[tokio::test]
async fn a_thousand_that_come_and_go_leave_nothing_behind() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let base = open_at_rest(&daemon).await;
    let before = processes::resident(daemon.pid());
    let count = share(1_000, 10_000);
    // In parts, as a crowd would be refused by this process's own limit of descriptors.
    for _ in 0..count / 100 {
        let part = connect(home.socket(), 100, |at| match at % 3 {
            0 => b"",
            1 => PREFACE,
            _ => b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        });
        drop(part.await);
    }
    for _ in 0..20 {
        is_served(&home).await;
    }
    back_to(base, &daemon).await;
    let grown = processes::resident(daemon.pid()).saturating_sub(before);
    assert!(grown < 32 << 20, "{grown}");
    is_served(&home).await;
    let mib = grown >> 20;
    let seen = format!("{count} come and gone: {base} descriptors as before, {mib} MiB more");
    held(49, seen);
}

/// One that has closed its own half, and one that is whole but never asks: neither takes a place
/// that another needs.
#[tokio::test]
async fn those_that_are_half_open_take_no_place() {
    let home = Home::with_config("[daemon]\nmax_connections = 4");
    let daemon = Daemon::start(&home).await;
    let base = open_at_rest(&daemon).await;
    let crowd = connect(
        home.socket(),
        8,
        |at| if at % 2 == 0 { b"PRI" } else { PREFACE },
    );
    let mut crowd = crowd.await;
    for stream in &mut crowd {
        // The other half is shut: it can still be read from, and says no more.
        stream.shutdown(std::net::Shutdown::Write).unwrap();
    }
    is_served(&home).await;
    back_to(base, &daemon).await;
    drop(crowd);
    // Whole, as HTTP/2 sees it; the client itself is gone without a word.
    let asleep = connect(home.socket(), 3, |_| PREFACE).await;
    for mut stream in &asleep {
        stream.write_all(SETTINGS).unwrap();
    }
    is_served(&home).await;
    held(49, "half-open ones take no place");
}

/// Each that follows keeps its connection for hours.
#[tokio::test]
async fn beside_as_many_that_follow_as_may_be_an_agent_can_be_stopped() {
    let home = Home::with_config("[daemon]\nmax_connections = 2");
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let id = ctl.start_fake("T1", &["stall"]).await.to_string();
    let mut following = Vec::new();
    for _ in 0..2 {
        let mut stream = ctl.spawn(["stream", &id, "--json"]);
        stream.line().await;
        following.push(stream);
    }
    let refused = ctl.run(["stream", &id]).await;
    refused.exits(75).says("daemon.max_connections");
    let status = ctl.run(["status"]).await.ok();
    assert!(status.contains("daemon.max_connections"), "{status}");
    ctl.run(["stop", &id]).await.exits(0);
    drop(following);
    held(
        49,
        "as many follow as may: an agent is stopped all the same, who comes to follow is told",
    );
}

/// Connects so many, each with its words. Blocks, as a full backlog is waited for only then.
async fn connect(
    socket: PathBuf,
    count: usize,
    words: impl Fn(usize) -> &'static [u8] + Send + 'static,
) -> Vec<UnixStream> {
    let connect = move |at: usize, socket: &Path| {
        let mut stream = UnixStream::connect(socket).unwrap();
        // It may have been shown the door already.
        let _ = stream.write_all(words(at));
        stream
    };
    let connecting = move || (0..count).map(|at| connect(at, &socket)).collect();
    tokio::task::spawn_blocking(connecting).await.unwrap()
}

/// A new client is served.
async fn is_served(home: &Home) {
    let mut wire = Wire::connect(&home.socket()).await;
    let nothing = wire::framed(0, b"");
    let answered = wire.call("Daemon/Status", "identity", nothing).await;
    assert_eq!(answered.code, Code::Ok, "{answered:?}");
}

/// How many descriptors it has once the next start's folder is made, of which it keeps one open.
async fn open_at_rest(daemon: &Daemon) -> usize {
    let folder = PathBuf::from(format!("/proc/{}/fd", daemon.pid()));
    eventually("the folder of the next start", async || {
        let entries = fs::read_dir(&folder).unwrap().flatten();
        let links: Vec<_> = entries.map(|it| fs::read_link(it.path())).collect();
        let drafts = daemon.home().state_dir().join("drafts");
        let mut of_draft = links.iter().flatten().filter(|it| it.starts_with(&drafts));
        let is_made = of_draft.next().is_some_and(|it| it.ends_with("spec.json"));
        (is_made && of_draft.next().is_none()).then_some(links.len())
    })
    .await
}

async fn back_to(base: usize, daemon: &Daemon) {
    eventually("as few descriptors as before", async || {
        (processes::descriptors(daemon.pid()) <= base).then_some(())
    })
    .await;
}
