//! Anything dies, at any moment: what a client received, put together, is the log.

use std::cell::Cell;
use std::time::{Duration, Instant};

use rand::RngExt;
use rand::seq::SliceRandom;
use steroids_tests::gateway::{Item, Received, Request, Sse, sse};
use steroids_tests::{Ctl, Daemon, Gateway, Puppet, eventually, faults, patience, served, within};
use tokio::sync::mpsc;

/// What may be taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    Gateway,
    Daemon,
    Both,
    Client,
}

/// Cuts of these kinds in some order, each kind as often as the others: `STEROIDS_TEST_CUTS` of
/// them or more, else 20 and more in the long form and each kind once or twice in the short one.
fn cuts(kinds: &[Cut], short: usize) -> Vec<Cut> {
    let asked = std::env::var("STEROIDS_TEST_CUTS").ok();
    let least = asked.and_then(|value| value.parse().ok());
    let least = least.unwrap_or(faults::share(short, 20));
    let mut cuts = kinds.repeat(least.div_ceil(kinds.len()));
    cuts.shuffle(&mut rand::rng());
    cuts
}

/// At some moment; not a wait for anything: the moment itself is what is tried.
async fn some_moment(most: u64) {
    let moment = rand::rng().random_range(0..most);
    tokio::time::sleep(Duration::from_millis(moment)).await;
}

/// Prints numbered lines, each in two pieces, until all cuts are made.
async fn print(agent: &mut Puppet, is_over: &Cell<bool>) {
    for number in 0_u64.. {
        agent.begins("a line that comes ");
        agent.prints(&format!("in two pieces {number}"));
        if is_over.get() {
            break;
        }
        // Its pace; nothing is waited for.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    agent.exits(0);
}

struct Scene {
    daemon: Daemon,
    gateway: Gateway,
    ctl: Ctl,
}

impl Scene {
    async fn new() -> Scene {
        let (_home, daemon, gateway, ctl) = served().await;
        Scene {
            daemon,
            gateway,
            ctl,
        }
    }

    async fn cut(&mut self, cut: Cut, client: &mpsc::Sender<()>) {
        some_moment(400).await;
        match cut {
            Cut::Gateway => {
                self.gateway.kill9().await;
                some_moment(50).await;
                self.gateway.start_again().await;
            }
            Cut::Daemon => {
                self.daemon.kill9().await;
                some_moment(100).await;
                self.daemon.start_again().await;
            }
            Cut::Both => {
                self.daemon.kill9().await;
                self.gateway.kill9().await;
                self.gateway.start_again().await;
                some_moment(100).await;
                self.daemon.start_again().await;
            }
            // It may have what it wanted, and be gone.
            Cut::Client => drop(client.send(()).await),
        }
    }

    fn stream(&self, id: i64) -> Request {
        let project = self.ctl.project();
        let target = format!("/api/tasks/T1/stream?project={project}&invocation={id}");
        self.gateway.get(&target)
    }
}

/// Reads as an EventSource would, until it has the whole: comes back with its last id whenever a stream
/// breaks, and gives up at any answer but a stream.
async fn browser(
    request: Request,
    mut leaves: mpsc::Receiver<()>,
    is_whole: impl Fn(&Received) -> bool,
) -> Received {
    let mut received = Received::default();
    let mut heard = Instant::now();
    loop {
        assert!(heard.elapsed() < patience(), "it comes back for nothing");
        let resumed = received.resumes(&request);
        let opened = eventually("the gateway to answer", async || {
            Sse::try_open(&resumed).await.ok()
        });
        let mut stream = match opened.await {
            Ok(stream) => stream,
            Err(answer) => panic!(
                "a browser gives up at {} {} after {:?}",
                answer.status,
                answer.text(),
                received.last_id
            ),
        };
        loop {
            let item = tokio::select! {
                item = within("something in a stream", stream.next_of_any_length()) => item,
                Some(()) = leaves.recv() => break,
            };
            if matches!(item, Item::End | Item::Cut) {
                break;
            }
            let is_event = matches!(item, Item::Event { .. });
            if is_event {
                heard = Instant::now();
            }
            assert!(heard.elapsed() < patience(), "it waits for nothing");
            received.take(item);
            // That of a project goes on.
            if is_event && received.is_complete() && is_whole(&received) {
                break;
            }
        }
        if is_whole(&received) {
            return received;
        }
    }
}

#[tokio::test]
async fn what_a_browser_received_through_every_cut_is_the_log_byte_for_byte() {
    let cuts = cuts(&[Cut::Gateway, Cut::Daemon, Cut::Both, Cut::Client], 8);
    let mut scene = Scene::new().await;
    let mut agent = Puppet::new(scene.daemon.home(), "agent");
    let id = scene.ctl.start_fake("T1", &agent.args()).await;
    let is_over = Cell::new(false);
    let (leave, leaves) = mpsc::channel(1);
    let request = scene.stream(id);
    let cutting = async {
        for cut in &cuts {
            scene.cut(*cut, &leave).await;
        }
        is_over.set(true);
    };
    let reading = browser(request.clone(), leaves, Received::is_complete);
    let (received, (), ()) = tokio::join!(reading, cutting, print(&mut agent, &is_over));
    let on_disk = std::fs::read(scene.ctl.log_path(id)).unwrap();
    if received.log(id) != on_disk {
        let text = String::from_utf8_lossy(&on_disk).into_owned();
        let lines = received.data.iter().zip(text.lines());
        for (number, (data, line)) in lines.enumerate() {
            let own = sse::unspliced(data, id);
            assert_eq!(own, line, "line {number} after {cuts:?}");
        }
        panic!("{} of {}", received.data.len(), text.lines().count());
    }
    // The row ends a moment after the last line.
    let rpc = scene.daemon.rpc().await;
    rpc.ended(&scene.ctl.project(), id).await;
    let again = Sse::open(&received.resumes(&request)).await;
    again.expect_err("nothing is left").is(204);
}

#[tokio::test]
async fn polling_through_every_cut_gives_the_log_too() {
    let cuts = cuts(&[Cut::Gateway, Cut::Daemon, Cut::Both], 3);
    let mut scene = Scene::new().await;
    let mut agent = Puppet::new(scene.daemon.home(), "agent");
    let id = scene.ctl.start_fake("T1", &agent.args()).await;
    let is_over = Cell::new(false);
    let project = scene.ctl.project();
    let base = format!("/api/tasks/T1/events?project={project}&invocation={id}&wait=1");
    let first = scene.gateway.get(&base);
    let (gateway, token) = (first.address(), scene.gateway.token());
    let polling = async {
        let mut cursor = String::new();
        let mut events = Vec::new();
        let mut heard = Instant::now();
        loop {
            let target = format!("{base}&after={cursor}");
            let request = Request::new(gateway, "GET", &target).bearer(&token);
            let answer = eventually("the gateway to answer", async || {
                let answer = request.try_send().await.ok()?;
                // The daemon is away; a client asks again.
                (answer.status != 503).then_some(answer)
            });
            let answer = answer.await.ok().value();
            let more = answer["events"].as_array().unwrap();
            if !more.is_empty() {
                heard = Instant::now();
            }
            assert!(heard.elapsed() < patience(), "it asks for nothing");
            events.extend(more.clone());
            cursor = answer["cursor"].as_str().unwrap().to_owned();
            if answer["done"] == true {
                return events;
            }
        }
    };
    let cutting = async {
        let (leave, _leaves) = mpsc::channel(1);
        for cut in cuts {
            scene.cut(cut, &leave).await;
        }
        is_over.set(true);
    };
    let (mut events, (), ()) = tokio::join!(polling, cutting, print(&mut agent, &is_over));
    for event in &mut events {
        let own = event.as_object_mut().unwrap().remove("invocationId");
        assert_eq!(own, Some(id.into()));
    }
    assert_eq!(events, steroids_tests::log::lines(&scene.ctl.log_path(id)));
}

#[tokio::test]
async fn a_stream_stays_open_while_the_daemon_is_away_and_goes_on_when_it_is_back() {
    let mut scene = Scene::new().await;
    let home = scene.daemon.home().clone();
    let mut agent = Puppet::new(&home, "agent");
    let id = scene.ctl.start_fake("T1", &agent.args()).await;
    agent.prints("before");
    let mut stream = Sse::open(&scene.stream(id)).await.unwrap();
    let mut seen = stream.until("before").await;
    scene.daemon.kill9().await;
    stream.until_comment("daemon away").await;
    let status = scene.gateway.get("/api/status").send().await.ok().value();
    assert_eq!(status["daemon"], "away");
    let health = scene.gateway.bare("GET", "/healthz").send().await;
    assert_eq!(health.status, 503, "{}", health.text());
    let projects = scene.gateway.get("/api/projects").send().await;
    assert_eq!(projects.status, 503, "{}", projects.text());
    // A new browser is not turned away: it waits with the others.
    let mut late = Sse::open(&scene.stream(id)).await.unwrap();
    stream.until_comment("heartbeat").await;
    agent.prints("meanwhile");
    scene.daemon.start_again().await;
    seen.extend(stream.until("meanwhile").await);
    late.until("meanwhile").await;
    agent.exits(0);
    let mut rest = Received {
        data: seen,
        ..Received::default()
    };
    assert_eq!(rest.read(&mut stream).await, Item::End);
    assert_eq!(rest.log(id), std::fs::read(scene.ctl.log_path(id)).unwrap());
}

#[tokio::test]
async fn a_gateway_asked_to_end_says_when_to_come_back_and_leaves_in_order() {
    let mut scene = Scene::new().await;
    let home = scene.daemon.home().clone();
    let mut agent = Puppet::new(&home, "agent");
    let id = scene.ctl.start_fake("T1", &agent.args()).await;
    agent.prints("before");
    let mut stream = Sse::open(&scene.stream(id)).await.unwrap();
    let mut received = Received::default();
    while received.data.len() < 2 {
        received.take(stream.next().await);
    }
    received.retry = None;
    let (ended, end) = tokio::join!(scene.gateway.term(), received.read(&mut stream));
    assert_eq!((ended, end), (0, Item::End), "{}", scene.gateway.log());
    assert!(received.retry.is_some(), "{received:?}");
    let address = home.state_dir().join("gateway/address");
    assert!(!address.exists(), "it is not there any more");
    agent.prints("meanwhile");
    scene.gateway.start_again().await;
    let mut again = Sse::open(&received.resumes(&scene.stream(id)))
        .await
        .unwrap();
    agent.exits(0);
    received.read(&mut again).await;
    let on_disk = std::fs::read(scene.ctl.log_path(id)).unwrap();
    assert_eq!(received.log(id), on_disk);
}

#[tokio::test]
async fn a_log_that_was_written_anew_is_not_given_once_more_to_who_comes_back() {
    let mut scene = Scene::new().await;
    let mut agent = Puppet::new(scene.daemon.home(), "agent");
    let id = scene.ctl.start_fake("T1", &agent.args()).await;
    let request = scene.stream(id);
    let mut stream = Sse::open(&request).await.unwrap();
    agent.prints("before");
    stream.until("before").await;
    std::fs::remove_file(scene.ctl.log_path(id)).unwrap();
    agent.prints("after");
    let mut received = Received::default();
    within("the log once more, and what came after", async {
        while !received.data.iter().any(|data| data.contains("after")) {
            received.take(stream.next_of_any_length().await);
        }
    })
    .await;
    assert!(received.data[0].contains("gap"), "{received:?}");
    // What the gateway has in memory would hide what the daemon does.
    scene.gateway.kill9().await;
    scene.gateway.start_again().await;
    agent.exits(0);
    let mut again = Received::default();
    let mut stream = Sse::open(&received.resumes(&request)).await.unwrap();
    assert_eq!(again.read(&mut stream).await, Item::End);
    assert!(again.is_complete() && again.data.len() == 1, "{again:?}");
}

/// Of a project's stream: an invocation's lines, as they stand in its log.
fn lines_of(received: &Received, id: i64) -> Vec<u8> {
    let front = format!("{{\"invocationId\":{id},\"ts\"");
    let own = received.data.iter().filter(|data| data.starts_with(&front));
    let own: String = own.map(|data| sse::unspliced(data, id) + "\n").collect();
    own.into_bytes()
}

#[tokio::test]
async fn of_a_project_that_is_come_back_to_what_is_quiet_is_given_whole_as_well() {
    let scene = Scene::new().await;
    let home = scene.daemon.home();
    let (mut quiet, mut loud) = (Puppet::new(home, "quiet"), Puppet::new(home, "loud"));
    let ids = [
        scene.ctl.start_fake("T1", &quiet.args()).await,
        scene.ctl.start_fake("T2", &loud.args()).await,
    ];
    let target = format!("/api/projects/stream?project={}", scene.ctl.project());
    let request = scene.gateway.get(&target);
    quiet.prints("hardly anything");
    // More than is read at once: what comes after it names the quiet one's place, or that it is at its end.
    loud.counts(1..=2_000, 100, Duration::ZERO);
    loud.prints("for now");
    let log = scene.ctl.log_path(ids[1]);
    eventually("all of it to be logged", async || {
        let text = std::fs::read_to_string(&log).ok()?;
        text.contains("for now").then_some(())
    })
    .await;
    let mut received = Received::default();
    for words in ["for now", "a word", "another"] {
        let resumed = received.resumes(&request);
        let mut stream = Sse::open(&resumed).await.unwrap();
        within(words, async {
            while !received.data.iter().any(|data| data.contains(words)) {
                received.take(stream.next_of_any_length().await);
            }
        })
        .await;
        match words {
            "for now" => quiet.prints("a word"),
            "a word" => loud.prints("another"),
            _ => {}
        }
    }
    let mut stream = Sse::open(&received.resumes(&request)).await.unwrap();
    quiet.exits(0);
    loud.exits(0);
    within("the end of both", async {
        while !ids.iter().all(|id| ends(&lines_of(&received, *id))) {
            received.take(stream.next_of_any_length().await);
        }
    })
    .await;
    for id in ids {
        let on_disk = std::fs::read(scene.ctl.log_path(id)).unwrap();
        assert!(lines_of(&received, id) == on_disk, "invocation {id}");
    }
}

#[tokio::test]
async fn of_a_project_each_log_is_received_whole_through_every_cut() {
    let cuts = cuts(&[Cut::Gateway, Cut::Daemon, Cut::Both, Cut::Client], 4);
    let mut scene = Scene::new().await;
    let home = scene.daemon.home().clone();
    let mut agents = ["a", "b", "c"].map(|name| Puppet::new(&home, name));
    let mut ids = Vec::new();
    for (agent, task) in agents.iter().zip(["T1", "T2", "T3"]) {
        ids.push(scene.ctl.start_fake(task, &agent.args()).await);
    }
    let is_over = Cell::new(false);
    let (leave, leaves) = mpsc::channel(1);
    let target = format!("/api/projects/stream?project={}", scene.ctl.project());
    let request = scene.gateway.get(&target);
    let cutting = async {
        for cut in &cuts {
            scene.cut(*cut, &leave).await;
        }
        is_over.set(true);
    };
    let is_whole = |received: &Received| ids.iter().all(|id| ends(&lines_of(received, *id)));
    let reading = browser(request.clone(), leaves, is_whole);
    let [b, c, a] = &mut agents;
    // One that prints all the time, one that has a last word, and one that says nothing.
    let printing = async {
        print(a, &is_over).await;
        b.prints("the end");
        b.exits(0);
        c.exits(0);
    };
    let (received, (), ()) = tokio::join!(reading, cutting, printing);
    for id in ids {
        let on_disk = std::fs::read(scene.ctl.log_path(id)).unwrap();
        assert!(
            lines_of(&received, id) == on_disk,
            "invocation {id} after {cuts:?}"
        );
    }
}

/// Whether the last line is a terminal one.
fn ends(lines: &[u8]) -> bool {
    let last = lines.trim_ascii_end().rsplit(|byte| *byte == b'\n').next();
    let last = last.unwrap_or_default();
    memchr::memmem::find(last, b"\"type\":\"complete\"").is_some()
}
