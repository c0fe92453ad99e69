//! A long log given again from its first line, and those who ask for it and do not read.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::process::Stdio;
use std::time::{Duration, Instant};

use steroids_tests::binaries;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use super::{Options, each};
use crate::figure::Figure;
use crate::figure::Limit::{Least, Most};
use crate::load::{Asked, Load, Report};
use crate::process::{peak_rss_kib, reset_peak, rss_kib};
use crate::scene::{Floor, Scene, Used};

const LINES: u64 = 350_000;
/// What a provider prints so that the log's line has 286 bytes, and the log 100 MB.
const BYTES: &str = "223";
/// Who replay at the same time, for what one of them costs.
const READERS: usize = 8;
const MUTE: usize = 8;
const WATCHED: Duration = Duration::from_secs(4);

/// A scene with an ended invocation whose log has 100 MB.
pub(super) struct Long {
    pub(super) scene: Scene,
    id: i64,
    length: u64,
}

/// What one repeat came to.
struct Replay {
    floor: Report,
    ours: Report,
    used: Used,
    by_terminal: Duration,
    growth: Growth,
}

/// By how much both grew, in KiB.
#[derive(Debug, Clone, Copy)]
struct Growth {
    daemon: u64,
    gateway: u64,
}

/// B and B'.
pub(crate) async fn replay(options: &Options) -> Vec<Figure> {
    let long = Long::new().await;
    let floor = long.floor().await;
    let (mut replays, mut many, mut mute) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..options.repeats {
        // Opens what the others find open, and brings back code that was given back at rest.
        long.replayed(1).await;
        let before = long.scene.used();
        let alone = Growth::before(&long.scene);
        let ours = long.replayed(1).await;
        let (used, growth) = (long.scene.used().since(before), alone.now(&long.scene));
        replays.push(Replay {
            floor: Load::whole(&Asked::new(
                floor.address,
                vec![floor.stream("log")],
                1,
                LINES,
            ))
            .await,
            ours,
            used,
            by_terminal: long.by_terminal().await,
            growth,
        });
        let before = Growth::before(&long.scene);
        let report = long.replayed(READERS).await;
        many.push((before.now(&long.scene), report));
        mute.push(long.never_read().await);
    }
    let bytes = long.length;
    let speed = |took: f64| bytes as f64 / 1e6 / took;
    let served = |report: &Report| speed(report.took_us as f64 / 1e6);
    let figure =
        |what, unit, of: &dyn Fn(&Replay) -> f64| Figure::new("B", what, unit, each(&replays, of));
    let lost = |report: &Report| report.wrong() as f64;
    let each_reader = |kib: u64| kib as f64 / 1024.0 / READERS as f64;
    let mute_growth =
        |of: fn(&Growth) -> u64| each(&mute, |it: &(Growth, Duration)| of(&it.0) as f64 / 1024.0);
    vec![
        figure("replay of 100 MB to one viewer", "MB/s", &|it| {
            served(&it.ours)
        })
        .floor(each(&replays, |it| served(&it.floor)))
        .must(Least(300.0))
        .want(Least(600.0)),
        figure("  first event after", "ms", &|it| {
            it.ours.first_us as f64 / 1e3
        })
        .floor(each(&replays, |it| it.floor.first_us as f64 / 1e3))
        .must(Most(5.0)),
        figure("  CPU of the daemon", "ms", &|it| {
            super::millis(it.used.daemon)
        }),
        figure("  CPU of the gateway", "ms", &|it| {
            super::millis(it.used.gateway)
        }),
        figure("  CPU of the viewer", "ms", &|it| {
            it.ours.cpu_us as f64 / 1e3
        })
        .floor(each(&replays, |it| it.floor.cpu_us as f64 / 1e3)),
        figure("  lost, repeated, out of order", "", &|it| lost(&it.ours)).must(Most(0.0)),
        figure("  by `steroidsctl stream --json`", "MB/s", &|it| {
            speed(it.by_terminal.as_secs_f64())
        }),
        Figure::new(
            "B'",
            "one reader: growth of daemon + gateway",
            "MiB",
            each(&replays, |it| it.growth.all() as f64 / 1024.0),
        )
        .must(Most(1.0)),
        Figure::new(
            "B'",
            "8 readers at once: growth each",
            "MiB",
            each(&many, |it| each_reader(it.0.all())),
        )
        .must(Most(1.0)),
        Figure::wrong("B'", each(&many, |it| lost(&it.1))),
        Figure::new(
            "B'",
            "8 that never read: growth of daemon + gateway",
            "MiB",
            mute_growth(Growth::all),
        )
        .must(Most(8.0)),
        Figure::new(
            "B'",
            "    of the daemon",
            "MiB",
            mute_growth(|it| it.daemon),
        ),
        Figure::new(
            "B'",
            "  CPU of daemon + gateway in 4 s",
            "s",
            each(&mute, |it| it.1.as_secs_f64()),
        )
        .must(Most(0.05)),
    ]
}

// === impl Long ===

impl Long {
    pub(super) async fn new() -> Long {
        let scene = Scene::new().await;
        let rpc = scene.rpc().await;
        let lines = LINES.to_string();
        let words = ["flood", "--lines", &lines, "--bytes", BYTES];
        let id = rpc.start_fake(&scene.project(), "T", &words).await.id;
        rpc.ended(&scene.project(), id).await;
        let log = fs::metadata(scene.ctl.log_path(id));
        let length = log.expect("an ended invocation has a log").len();
        Long { scene, id, length }
    }

    /// The floor, with the same log.
    async fn floor(&self) -> Floor {
        let folder = self.scene.home.path("floor");
        fs::create_dir(&folder).expect("the home takes a folder");
        let linked = symlink(self.scene.ctl.log_path(self.id), folder.join("log"));
        linked.expect("a folder takes a link");
        Floor::start(&folder).await
    }

    async fn replayed(&self, readers: usize) -> Report {
        let request = self.scene.stream("T", self.id);
        let address = self.scene.gateway.address();
        Load::whole(&Asked::new(address, vec![request], readers, LINES)).await
    }

    /// Reads the client's output without looking at it.
    async fn by_terminal(&self) -> Duration {
        let ctl = &self.scene.ctl;
        let begin = Instant::now();
        let command = ctl.home().command(&binaries::steroidsctl());
        let mut child = tokio::process::Command::from(command)
            .current_dir(ctl.folder())
            .args(["--json", "stream", &self.id.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("steroidsctl is built");
        let mut stdout = child.stdout.take().expect("it was asked for");
        let mut buffer = vec![0; 1 << 20];
        let mut all = 0;
        loop {
            match stdout.read(&mut buffer).await.expect("a pipe can be read") {
                0 => break,
                read => all += read as u64,
            }
        }
        assert_eq!(all, self.length, "what is printed is the log");
        begin.elapsed()
    }

    /// Some who ask and take nothing, each with as little room as can be.
    async fn never_read(&self) -> (Growth, Duration) {
        let before = Growth::before(&self.scene);
        let used = self.scene.used();
        let request = self.scene.stream("T", self.id);
        let mut mute = Vec::new();
        for _ in 0..MUTE {
            mute.push(never_reads(self.scene.gateway.address(), &request).await);
        }
        // The time is what is measured.
        tokio::time::sleep(WATCHED).await;
        (before.now(&self.scene), self.scene.used().since(used).all())
    }
}

async fn never_reads(address: SocketAddr, request: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    let set = socket.set_recv_buffer_size(4096);
    set.expect("a buffer may be small");
    let connected = socket.connect(address).await;
    let mut stream = connected.expect("the gateway listens");
    let sent = stream.write_all(request.as_bytes()).await;
    sent.expect("it reads a request");
    stream
}

// === impl Growth ===

impl Growth {
    /// What both have now, with their peaks forgotten.
    fn before(scene: &Scene) -> Growth {
        let (daemon, gateway) = (scene.daemon.pid(), scene.gateway.pid());
        reset_peak(daemon);
        reset_peak(gateway);
        Growth {
            daemon: rss_kib(daemon),
            gateway: rss_kib(gateway),
        }
    }

    /// How much more they had at most since.
    fn now(self, scene: &Scene) -> Growth {
        Growth {
            daemon: peak_rss_kib(scene.daemon.pid()).saturating_sub(self.daemon),
            gateway: peak_rss_kib(scene.gateway.pid()).saturating_sub(self.gateway),
        }
    }

    fn all(&self) -> u64 {
        self.daemon + self.gateway
    }
}
