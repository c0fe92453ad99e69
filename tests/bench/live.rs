//! Logs that grow while some look on: what both the floor and ours are measured by. A line carries
//! its number and the time just before it was written.
//!
//! Two ways for a log to grow. `appended`: this program appends to a file that the server follows;
//! with ours it is the log of an invocation that the older tool runs, which the daemon follows as
//! it is. `printed`: a provider prints, under its shim, so that spool, parser and log lie between.
//! The floor has both, too: where lines are printed they go through as many programs as with ours.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use steroids_tests::{Home, Puppet, binaries, old_database};

use crate::load::{Asked, Load, Report, now};
use crate::process::{peak_rss_kib, reset_peak, rss_kib};
use crate::scene::{Floor, Scene, Used, spooling};

/// Of a line as the provider prints it; a log's line has some 60 more.
pub(crate) const BYTES: usize = 150;

/// After all have joined: what joining costs is not to be counted to what follows.
pub(crate) const SETTLE: Duration = Duration::from_millis(500);

/// How many look at how many logs, and how these grow.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Live {
    pub(crate) logs: usize,
    pub(crate) viewers_each: usize,
    pub(crate) lines: u64,
    /// Between two lines of a log.
    pub(crate) every: Duration,
    /// Between two who join while it grows; zero where all are there before it does.
    pub(crate) join_every: Duration,
}

/// What was seen, and what it cost the servers.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) report: Report,
    pub(crate) joined: Duration,
    pub(crate) used: Used,
    /// By which the server that viewers connect to grew at most.
    pub(crate) growth_kib: u64,
}

impl Seen {
    /// Processor time of the servers, in microseconds per delivery.
    pub(crate) fn per_delivery(&self) -> f64 {
        self.report.per_event(self.used.all())
    }
}

impl Live {
    /// One viewer of one log, a line each 10 ms.
    pub(crate) const ONE: Live = Live {
        logs: 1,
        viewers_each: 1,
        lines: 500,
        every: Duration::from_millis(10),
        join_every: Duration::ZERO,
    };

    /// The floor, with as many files.
    pub(crate) async fn floor(&self) -> Seen {
        self.at_floor(Floor::start).await
    }

    /// The floor through a second process.
    pub(crate) async fn relayed(&self) -> Seen {
        self.at_floor(Floor::relayed).await
    }

    /// The floor through as many programs as a line of ours that a provider prints: one for each provider
    /// that appends to a file, one that appends to another and sends, one that hands on.
    pub(crate) async fn printed_at_floor(&self) -> Seen {
        let home = Home::new();
        let [spools, logs] = ["spools", "logs"].map(|name| home.folder(name));
        let program = binaries::fake_provider();
        let program = program.to_str().expect("test paths are ASCII");
        let (mut puppets, mut shims) = (Vec::new(), Vec::new());
        for number in 0..self.logs {
            let name = number.to_string();
            let spool = spools.join(&name);
            begun(&spool);
            let puppet = Puppet::new(&home, &name);
            let [word, strings] = puppet.args();
            shims.push(spooling(&spool, &[program, word, strings]));
            puppets.push(puppet);
        }
        let floor = Floor::projected(&spools, &logs).await;
        let requests = (0..self.logs).map(|name| floor.stream(&name.to_string()));
        let asked = self.asked(floor.address, requests.collect());
        let used = || floor.used();
        let seen = self.seen(&asked, floor.pid(), used, || self.print(&mut puppets));
        let seen = seen.await;
        drop(puppets);
        for shim in &mut shims {
            let ended = shim.wait().await;
            ended.expect("it was started here");
        }
        seen
    }

    async fn at_floor(&self, start: impl AsyncFnOnce(&Path) -> Floor) -> Seen {
        let folder = tempfile::tempdir_in("/tmp").expect("/tmp takes a folder");
        let files: Vec<File> = (0..self.logs)
            .map(|name| begun(&folder.path().join(name.to_string())))
            .collect();
        let floor = start(folder.path()).await;
        let requests = (0..self.logs).map(|name| floor.stream(&name.to_string()));
        let asked = self.asked(floor.address, requests.collect());
        let used = || floor.used();
        self.seen(&asked, floor.pid(), used, || self.append(files))
            .await
    }

    /// Ours, following logs of the older tool.
    pub(crate) async fn appended(&self) -> Seen {
        let scene = Scene::bare().await;
        let db = old_database::at_028(scene.ctl.folder());
        let ids: Vec<i64> = (0..self.logs)
            .map(|_| old_database::insert_running(&db, "old", 1_700_000_000_000))
            .collect();
        scene.ctl.run(["init"]).await.ok();
        let files = ids.iter().map(|id| begun(&scene.ctl.log_path(*id)));
        let files: Vec<File> = files.collect();
        let requests = ids.iter().map(|id| scene.stream("old", *id)).collect();
        let seen = self.ours(&scene, requests, || self.append(files)).await;
        scene.end().await;
        seen
    }

    /// Ours, with providers that print.
    pub(crate) async fn printed(&self) -> Seen {
        let scene = Scene::new().await;
        let rpc = scene.rpc().await;
        let (mut puppets, mut requests) = (Vec::new(), Vec::new());
        for number in 0..self.logs {
            let task = format!("T{number}");
            let puppet = Puppet::new(&scene.home, &task);
            let started = rpc
                .start_fake(&scene.project(), &task, &puppet.args())
                .await;
            requests.push(scene.stream(&task, started.id));
            puppets.push(puppet);
        }
        let seen = self.ours(&scene, requests, || self.print(&mut puppets));
        let seen = seen.await;
        scene.end().await;
        seen
    }

    async fn ours(&self, scene: &Scene, requests: Vec<String>, grow: impl FnOnce()) -> Seen {
        let asked = self.asked(scene.gateway.address(), requests);
        let used = || scene.used();
        self.seen(&asked, scene.gateway.pid(), used, grow).await
    }

    async fn seen(
        &self,
        asked: &Asked,
        server: i32,
        used: impl Fn() -> Used,
        grow: impl FnOnce(),
    ) -> Seen {
        let rss = rss_kib(server);
        reset_peak(server);
        let (joined, before, report);
        if self.join_every.is_zero() {
            let mut load = Load::start(asked).await;
            joined = load.ready().await;
            // Nothing tells when what joining costs is over.
            tokio::time::sleep(SETTLE).await;
            before = used();
            grow();
            report = load.report().await;
        } else {
            before = used();
            grow();
            let mut load = Load::start(asked).await;
            joined = load.ready().await;
            report = load.report().await;
        }
        Seen {
            report,
            joined,
            used: used().since(before),
            growth_kib: peak_rss_kib(server).saturating_sub(rss),
        }
    }

    fn asked(&self, address: std::net::SocketAddr, requests: Vec<String>) -> Asked {
        let join_every = self.join_every.as_micros();
        Asked {
            join_every_us: u64::try_from(join_every).unwrap_or(u64::MAX),
            ..Asked::new(address, requests, self.viewers_each, self.lines)
        }
    }

    /// Appends from a thread of its own, to one file after the other.
    pub(crate) fn append(&self, mut files: Vec<File>) {
        let live = *self;
        std::thread::spawn(move || {
            let begun = Instant::now();
            let each = live.every.div_f64(live.logs as f64);
            let mut at = 0;
            for number in 1..=live.lines {
                for file in &mut files {
                    // The pace at which agents print.
                    std::thread::sleep(each.mul_f64(f64::from(at)).saturating_sub(begun.elapsed()));
                    at += 1;
                    file.write_all(line(number).as_bytes())
                        .expect("a log takes a line");
                }
            }
        });
    }

    /// Has each print, one after the other beginning.
    fn print(&self, puppets: &mut [Puppet]) {
        let each = self.every.div_f64(self.logs as f64);
        let begun = Instant::now();
        for (at, puppet) in puppets.iter_mut().enumerate() {
            // The pace at which they begin, so that they do not print at the same moments.
            std::thread::sleep(each.mul_f64(at as f64).saturating_sub(begun.elapsed()));
            puppet.stamps(self.lines, BYTES, self.every);
        }
    }
}

/// A log with its first line, to append to.
fn begun(path: &Path) -> File {
    fs::create_dir_all(path.parent().expect("it is in a folder")).expect("a folder takes a folder");
    let file = OpenOptions::new().create(true).append(true).open(path);
    let mut file = file.expect("a folder takes a file");
    let start = "{\"ts\":1700000000000,\"type\":\"start\",\"role\":\"coder\"}\n";
    file.write_all(start.as_bytes())
        .expect("a log takes a line");
    file
}

/// As the projection writes it, stamped now.
pub(crate) fn line(number: u64) -> String {
    let nanos = now();
    let mut line = format!(
        "{{\"ts\":{},\"type\":\"output\",\"raw\":{},\"stream\":\"stdout\",\"msg\":\"t {number} {nanos} ",
        nanos / 1_000_000,
        number * BYTES as u64,
    );
    let padding = (BYTES + 60).saturating_sub(line.len());
    line.extend(std::iter::repeat_n('x', padding));
    line.push_str("\"}\n");
    line
}
