use futures_util::StreamExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

fn incoming(connections: usize) -> (tempfile::TempDir, std::path::PathBuf, Incoming) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let listener = UnixListener::bind(&path).unwrap();
    (
        dir,
        path,
        Incoming::new(listener, connections, Doorbell::new().1),
    )
}

#[test]
fn only_we_and_root_may_enter() {
    assert!(may_enter(1000, 1000) && may_enter(0, 1000));
    assert!(!may_enter(1001, 1000) && !may_enter(65534, 1000) && !may_enter(1000, 0));
}

#[tokio::test]
async fn who_speaks_is_served_and_nothing_of_it_is_lost() {
    let (_dir, path, mut incoming) = incoming(1);
    let _silent = UnixStream::connect(&path).await.unwrap();
    let mut client = UnixStream::connect(&path).await.unwrap();
    client.write_all(b"hello").await.unwrap();
    let mut served = incoming.next().await.unwrap().unwrap();
    let mut said = [0; 5];
    served.read_exact(&mut said).await.unwrap();
    assert_eq!(&said, b"hello");
}

#[tokio::test]
async fn who_came_to_the_old_socket_is_served_and_who_comes_to_the_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let (bell, rings) = Doorbell::new();
    let mut incoming = Incoming::new(UnixListener::bind(&path).unwrap(), 2, rings);
    let mut old = UnixStream::connect(&path).await.unwrap();
    old.write_all(b"old").await.unwrap();
    std::fs::remove_file(&path).unwrap();
    assert!(bell.moves(UnixListener::bind(&path).unwrap()).await);
    let mut new = UnixStream::connect(&path).await.unwrap();
    new.write_all(b"new").await.unwrap();
    for words in [b"old", b"new"] {
        let mut served = incoming.next().await.unwrap().unwrap();
        let mut said = [0; 3];
        served.read_exact(&mut said).await.unwrap();
        assert_eq!(&said, words);
    }
}

#[tokio::test]
async fn half_of_the_first_words_take_no_slot_and_the_rest_is_waited_for() {
    let (_dir, path, mut incoming) = incoming(1);
    let (half, rest) = PREFACE.split_at(10);
    let mut slow = UnixStream::connect(&path).await.unwrap();
    slow.write_all(half).await.unwrap();
    let mut broken = UnixStream::connect(&path).await.unwrap();
    broken.write_all(half).await.unwrap();
    broken.shutdown().await.unwrap();
    // Until it is seen that the broken one will say no more.
    std::future::poll_fn(|cx| {
        assert!(Pin::new(&mut incoming).poll_next(cx).is_pending());
        if incoming.lobby.len() == 1 {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
    slow.write_all(rest).await.unwrap();
    let mut served = incoming.next().await.unwrap().unwrap();
    let mut said = [0; PREFACE.len()];
    served.read_exact(&mut said).await.unwrap();
    assert_eq!(said, PREFACE);
}

#[tokio::test]
async fn two_hundred_silent_ones_keep_nobody_out() {
    let (_dir, path, mut incoming) = incoming(2);
    let mut silent = Vec::new();
    // Never more than the backlog holds, for connecting beyond it waits for an accept.
    for _ in 0..4 {
        for _ in 0..50 {
            silent.push(UnixStream::connect(&path).await.unwrap());
        }
        assert!(futures_util::poll!(incoming.next()).is_pending());
    }
    assert_eq!(incoming.lobby.len(), LOBBY);
    let mut client = UnixStream::connect(&path).await.unwrap();
    client.write_all(b"hello").await.unwrap();
    incoming.next().await.unwrap().unwrap();
}

#[tokio::test]
async fn beside_all_that_follow_there_is_room_for_who_asks_and_goes() {
    let (_dir, path, mut incoming) = incoming(1);
    let mut clients = Vec::new();
    let mut come = async || {
        let mut client = UnixStream::connect(&path).await.unwrap();
        client.write_all(b"hello").await.unwrap();
        clients.push(client);
    };
    come().await;
    let first = incoming.next().await.unwrap().unwrap();
    assert!(!first.peer.is_spare() && first.peer.may_follow().is_ok());
    let mut spare = Vec::new();
    for _ in 0..16 {
        come().await;
        spare.push(incoming.next().await.unwrap().unwrap());
    }
    come().await;
    assert!(futures_util::poll!(incoming.next()).is_pending());
    assert!(spare.iter().all(|it| it.peer.is_spare()));
    assert!(spare.iter().all(|it| it.peer.may_follow().is_err()));
    // One that goes leaves its slot to the one that waits.
    spare.pop();
    let late = incoming.next().await.unwrap().unwrap();
    assert!(late.peer.may_follow().is_err());
    drop(first);
    assert!(late.peer.may_follow().is_ok());
    // And has its spare one back for others.
    assert!(spare.iter().all(|it| it.peer.may_follow().is_err()));
    come().await;
    assert!(incoming.next().await.unwrap().unwrap().peer.is_spare());
}

#[tokio::test]
async fn when_descriptors_are_short_the_longest_waiting_make_room() {
    let (_dir, path, mut incoming) = incoming(1);
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(UnixStream::connect(&path).await.unwrap());
        assert!(futures_util::poll!(incoming.next()).is_pending());
    }
    let mut relieve = || {
        let short = io::Error::from_raw_os_error(nix::libc::EMFILE);
        let mut cx = Context::from_waker(std::task::Waker::noop());
        incoming.relieve(&short, &mut cx);
        (incoming.lobby.len(), incoming.pause.is_some())
    };
    assert_eq!(relieve(), (1, false));
    assert_eq!(relieve(), (0, false));
    assert_eq!(relieve(), (0, true));
    // The pause ends by itself.
    let mut client = UnixStream::connect(&path).await.unwrap();
    client.write_all(b"hello").await.unwrap();
    incoming.next().await.unwrap().unwrap();
}

#[tokio::test]
async fn one_that_hung_up_takes_no_slot() {
    let (_dir, path, mut incoming) = incoming(1);
    drop(UnixStream::connect(&path).await.unwrap());
    let mut client = UnixStream::connect(&path).await.unwrap();
    client.write_all(b"x").await.unwrap();
    incoming.next().await.unwrap().unwrap();
    assert!(incoming.lobby.is_empty());
}
