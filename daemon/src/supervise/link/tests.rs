use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};

use tokio::net::{UnixListener, UnixStream};

use super::*;

/// The other end: takes a connection, and reads its lines.
struct Shim {
    folder: tempfile::TempDir,
    socket: UnixListener,
}

impl Shim {
    fn new() -> Shim {
        let folder = tempfile::tempdir().unwrap();
        let socket = UnixListener::bind(folder.path().join("s")).unwrap();
        Shim { folder, socket }
    }

    fn link(&self) -> ShimLink {
        ShimLink::new(self.folder.path().join("s"), InvDir::at(self.folder.path()))
    }

    async fn greeted(&self) -> BufReader<UnixStream> {
        let mut stream = BufReader::new(self.socket.accept().await.unwrap().0);
        assert!(line(&mut stream).await.contains("hello"));
        assert!(line(&mut stream).await.contains("stat"));
        say(&mut stream, &Message::Killed).await;
        stream
    }
}

async fn line(stream: &mut BufReader<UnixStream>) -> String {
    let mut line = String::new();
    // A broken connection has no more lines.
    let _ = stream.read_line(&mut line).await;
    line
}

async fn say(stream: &mut BufReader<UnixStream>, message: &Message) {
    let line = protocol::encode_message(message);
    stream.write_all(line.as_bytes()).await.unwrap();
}

/// What a provider does that prints without pause: `next` never gets further than one poll.
fn cut_short(link: &mut ShimLink) {
    let mut now = Context::from_waker(Waker::noop());
    let _ = pin!(link.next()).poll(&mut now);
}

#[tokio::test]
async fn a_stop_reaches_a_shim_that_comes_back_however_often_waiting_is_cut_short() {
    let shim = Shim::new();
    let path = shim.folder.path().join("s");
    drop(shim.socket);
    std::fs::remove_file(&path).unwrap();
    let mut link = ShimLink::new(path.clone(), InvDir::at(shim.folder.path()));
    link.stop(Some(Duration::from_secs(3)), None, false).await;
    assert!(link.mute);
    let socket = UnixListener::bind(&path).unwrap();
    let shim = Shim {
        folder: shim.folder,
        socket,
    };
    let told = tokio::spawn(async move {
        loop {
            // Connections that were cut short come to nothing.
            let mut stream = BufReader::new(shim.socket.accept().await.unwrap().0);
            let _ = (line(&mut stream).await, line(&mut stream).await);
            let hello = protocol::encode_message(&Message::Killed);
            let _ = stream.write_all(hello.as_bytes()).await;
            let told = line(&mut stream).await;
            if told.contains("stop") {
                return told;
            }
        }
    });
    while !told.is_finished() {
        cut_short(&mut link);
        link.catch_up().await;
        tokio::task::yield_now().await;
    }
    assert!(told.await.unwrap().contains("\"grace_ms\":3000"));
}

#[tokio::test]
async fn a_stop_is_repeated_to_a_new_connection_and_not_to_the_same() {
    let shim = Shim::new();
    let mut link = shim.link();
    let (mut first, ()) = tokio::join!(shim.greeted(), link.stop(None, None, false));
    assert!(line(&mut first).await.contains("stop"));
    link.catch_up().await;
    say(&mut first, &Message::Stopping).await;
    assert_eq!(link.next().await, Some(Message::Killed));
    assert_eq!(link.next().await, Some(Message::Stopping));
    drop(first);
    assert_eq!(link.next().await, None);
    let told = async { line(&mut shim.greeted().await).await };
    let told = tokio::select! {
        told = told => told,
        () = async { while link.next().await.is_none() {} } => panic!("it had nothing to say"),
    };
    assert!(told.contains("stop"));
}

#[test]
fn a_shim_that_cannot_write_is_told_of_until_it_can() {
    let stat = |phase: &str, paused, trouble: Option<&str>| {
        let mut said = Said::default();
        said.hear(&Message::Stat(Stat {
            phase: phase.to_owned(),
            spool: 0,
            waiting: 0,
            paused,
            trouble: trouble.map(str::to_owned),
            quiet_ms: 0,
            since_ms: Some(7),
            unit: None,
            load: None,
        }));
        said.hear(&Message::Stopping);
        (said.alarm.unwrap_or_default(), said.held)
    };
    let held = |why| {
        Some(Held {
            why,
            since_ms: Some(7),
        })
    };
    let full = Some("disk full");
    let ending = stat("ending: disk full", false, full);
    assert_eq!(ending, ("ending: disk full".to_owned(), held("ending")));
    let (alarm, why) = stat("running", true, full);
    assert!(alarm.contains("agent is paused"));
    assert_eq!(why, held("output_blocked"));
    let (alarm, why) = stat("stopping", false, full);
    assert!(alarm.contains("waits in memory"));
    assert_eq!(why, None);
    assert_eq!(stat("running", false, None), (String::new(), None));
    // To end is nothing that is wrong with it.
    for what in ["draining", "recording", "disk full"] {
        let mut said = Said {
            alarm: Some("of before".to_owned()),
            ..Said::default()
        };
        let what = what.to_owned();
        said.hear(&Message::Ending { what: what.clone() });
        let full = (what == "disk full").then(|| format!("ending: {what}"));
        assert_eq!((said.alarm, said.held.unwrap().why), (full, ENDING));
    }
    for phase in ["draining", "ending"] {
        assert_eq!(stat(phase, false, None), (String::new(), held("ending")));
    }
}

#[tokio::test]
async fn half_a_message_waits_for_its_other_half() {
    let shim = Shim::new();
    let mut link = shim.link();
    let (mut stream, ()) = tokio::join!(shim.greeted(), link.stop(None, None, false));
    let text = protocol::encode_message(&Message::Stopping);
    let (one, other) = text.split_at(9);
    stream.write_all(one.as_bytes()).await.unwrap();
    while link.partial.is_empty() {
        cut_short(&mut link);
        tokio::task::yield_now().await;
    }
    stream.write_all(other.as_bytes()).await.unwrap();
    assert_eq!(link.next().await, Some(Message::Stopping));
}

#[tokio::test]
async fn a_shim_that_falls_silent_is_mute_until_it_speaks_again_on_the_same_connection() {
    let shim = Shim::new();
    let mut link = shim.link();
    let (mut stream, _) =
        tokio::join!(shim.greeted(), async { link.stop(None, None, false).await });
    assert_eq!(link.next().await, Some(Message::Killed));
    assert!(line(&mut stream).await.contains("stop"));
    assert!(!link.is_mute());
    link.ask().await;
    // Once is enough, however often its owner looks.
    link.ask().await;
    assert!(line(&mut stream).await.contains("stat"));
    assert_eq!(link.next().await, None);
    assert!(link.is_mute());
    link.ask().await;
    let hint = Message::Spool { length: 7 };
    say(&mut stream, &hint).await;
    assert_eq!(
        link.next().await,
        Some(hint),
        "who is told of the silence is told of its end"
    );
    assert!(!link.is_mute());
    link.ask().await;
    assert!(line(&mut stream).await.contains("stat"));
}

#[tokio::test]
async fn hints_are_asked_for_while_the_kernel_tells_nothing() {
    let shim = Shim::new();
    let mut link = shim.link();
    let (mut stream, said) = tokio::join!(shim.greeted(), link.next());
    assert_eq!(said, Some(Message::Killed));
    for (hints, said) in [(true, r#""op":"hello"}"#), (false, r#""hints":false}"#)] {
        link.heed(hints).await;
        link.heed(hints).await;
        // The bound ends a test that would hang.
        let asked = timeout(ANSWER, line(&mut stream)).await.unwrap();
        assert!(asked.ends_with(&format!("{said}\n")), "{asked}");
    }
    drop(link);
    assert_eq!(line(&mut stream).await, "", "each was asked for once");
}

#[tokio::test]
async fn what_a_shim_said_of_its_end_is_heard_after_it_hung_up_also_by_who_was_about_to_ask() {
    for (what, parting) in [
        ("recording", Parting::Said),
        ("disk full", Parting::Said),
        // Its process lives, here.
        ("draining", Parting::Unheard),
    ] {
        let shim = Shim::new();
        let mut link = shim.link();
        assert_eq!(link.parting(), Parting::Unheard);
        let (mut stream, said) = tokio::join!(shim.greeted(), link.next());
        assert_eq!(said, Some(Message::Killed));
        assert_eq!(link.parting(), Parting::Connected);
        let what = what.to_owned();
        say(&mut stream, &Message::Ending { what }).await;
        assert_eq!(link.parting(), Parting::Connected);
        drop(stream);
        link.ask().await;
        assert_eq!(link.parting(), parting);
    }
}
