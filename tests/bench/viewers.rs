//! A thousand browsers that look at one invocation, one of which never reads.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::process::{Resource, getrlimit, setrlimit};
use steroids_tests::gateway::Request;
use steroids_tests::{Daemon, Gateway, Home, Puppet};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Semaphore;

use crate::process::{cpu, rss_kib};
use crate::series::Row;

const VIEWERS: usize = 1_000;
const SECONDS: u64 = 30;
const PER_SECOND: u64 = 100;
const EVENTS: u64 = SECONDS * PER_SECOND;

/// What one viewer saw.
#[derive(Default)]
struct View {
    latencies: Vec<Duration>,
    last: u64,
    /// Not behind the one before it.
    wrong: u64,
    is_complete: bool,
}

pub(crate) async fn thousand_viewers() -> Vec<Row> {
    let limit = getrlimit(Resource::Nofile);
    let all = rustix::process::Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, all).expect("a limit may be raised to its maximum");
    let home = Home::with_config("[gateway]\nmax_streams = 1100\n");
    let daemon = Daemon::start(&home).await;
    let gateway = Gateway::start(&home).await;
    let ctl = daemon.project("bench").await;
    let mut agent = Puppet::new(&home, "agent");
    ctl.start_fake("T", &agent.args()).await;
    let target = format!("/api/tasks/T/stream?project={}&invocation=1", ctl.project());
    let request = gateway.get(&target);
    // The first opens what all of them share.
    let ready = Arc::new(Semaphore::new(0));
    let warm = tokio::spawn(view(request.clone(), Arc::clone(&ready)));
    wait_for(&ready, 1).await;
    let rss_before = rss_kib(gateway.pid());

    let mute = never_reads(&request).await;
    let viewers: Vec<_> = (1..VIEWERS)
        .map(|_| tokio::spawn(view(request.clone(), Arc::clone(&ready))))
        .collect();
    wait_for(&ready, VIEWERS - 1).await;
    let cpus = || {
        let of = |pid| cpu(pid).expect("it serves");
        (of(gateway.pid()), of(daemon.pid()))
    };
    let (before, begin) = (cpus(), Instant::now());
    std::thread::spawn(move || print(&mut agent));
    let (mut latencies, mut lost, mut unfinished) = (Vec::new(), 0, 0);
    let mut peak = 0;
    for viewer in std::iter::once(warm).chain(viewers) {
        let view = viewer.await.expect("a viewer does not panic");
        peak = peak.max(rss_kib(gateway.pid()));
        lost += EVENTS.saturating_sub(view.latencies.len() as u64) + view.wrong;
        unfinished += u64::from(!view.is_complete);
        latencies.extend(view.latencies);
    }
    assert_eq!(
        (lost, unfinished),
        (0, 0),
        "lost, and viewers without an end"
    );
    let (after, took) = (cpus(), begin.elapsed());
    drop(mute);
    let share = |used: Duration| Duration::from_secs_f64(used.as_secs_f64() / took.as_secs_f64());
    let growth = peak.saturating_sub(rss_before);
    vec![
        Row::millis("1,000 viewers: print to each of them", &latencies),
        Row::count("  events lost by the 1,000 that read", &[lost]),
        Row::count("  viewers that missed the end", &[unfinished]),
        Row::millis(
            "  CPU a second: gateway, 100 events to 1,000",
            &[share(after.0 - before.0)],
        ),
        Row::millis("  CPU a second: daemon", &[share(after.1 - before.1)]),
        Row::mebibytes("  gateway, resident, one viewer", &[rss_before]),
        Row::mebibytes("  gateway, resident, all of them", &[peak]),
        Row::kibibytes(
            "  gateway, resident, each more",
            growth as f64 / VIEWERS as f64,
        ),
    ]
}

/// Prints at its pace, whatever the readers do.
fn print(agent: &mut Puppet) {
    let begin = Instant::now();
    for number in 0..EVENTS {
        let due = Duration::from_millis(number * 1_000 / PER_SECOND);
        // The pace at which an agent prints.
        std::thread::sleep(due.saturating_sub(begin.elapsed()));
        agent.prints(&format!("t {}", now()));
    }
    agent.exits(0);
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(since.map_or(0, |since| since.as_nanos())).unwrap_or(u64::MAX)
}

async fn wait_for(ready: &Semaphore, how_many: usize) {
    let how_many = u32::try_from(how_many).expect("not that many");
    let permits = ready.acquire_many(how_many).await;
    permits.expect("nobody closes it").forget();
}

/// A connection that asks and takes nothing, with as little room as can be for what comes.
async fn never_reads(request: &Request) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket
        .set_recv_buffer_size(4096)
        .expect("a buffer may be small");
    let connected = socket.connect(request.address()).await;
    let mut stream = connected.expect("the gateway listens");
    stream
        .write_all(&request.bytes())
        .await
        .expect("it reads a request");
    stream
}

/// Reads as cheaply as can be, since the reading runs on the machine measured.
async fn view(request: Request, ready: Arc<Semaphore>) -> View {
    let connected = TcpStream::connect(request.address()).await;
    let mut stream = connected.expect("the gateway listens");
    let sent = stream.write_all(&request.bytes()).await;
    sent.expect("it reads a request");
    let mut view = View::default();
    view.latencies.reserve(EVENTS as usize);
    let mut buffer = vec![0; 8 * 1024];
    let (mut held, mut is_ready) = (0, false);
    while let Ok(length @ 1..) = stream.read(&mut buffer[held..]).await {
        let end = held + length;
        let whole = buffer[..end].iter().rposition(|byte| *byte == b'\n');
        let whole = whole.map_or(0, |at| at + 1);
        view.take(&buffer[..whole], now());
        if !is_ready && contains(&buffer[..whole], b"\"type\":\"start\"") {
            is_ready = true;
            ready.add_permits(1);
        }
        buffer.copy_within(whole..end, 0);
        held = end - whole;
        if view.is_complete || held == buffer.len() {
            break;
        }
    }
    view
}

impl View {
    fn take(&mut self, bytes: &[u8], now: u64) {
        for line in bytes.split(|byte| *byte == b'\n') {
            if !line.starts_with(b"data: ") {
                continue;
            }
            match stamp(line) {
                Some(stamp) => {
                    self.wrong += u64::from(stamp <= self.last);
                    self.last = stamp;
                    let latency = Duration::from_nanos(now.saturating_sub(stamp));
                    self.latencies.push(latency);
                }
                None => self.is_complete |= contains(line, b"\"type\":\"complete\""),
            }
        }
    }
}

/// The number in `…"msg":"t 123…`.
fn stamp(line: &[u8]) -> Option<u64> {
    const MARK: &[u8] = b"\"msg\":\"t ";
    let at = line.windows(MARK.len()).position(|here| here == MARK)? + MARK.len();
    let digits = line[at..].iter().take_while(|byte| byte.is_ascii_digit());
    Some(digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
}

fn contains(bytes: &[u8], words: &[u8]) -> bool {
    bytes.windows(words.len()).any(|here| here == words)
}
