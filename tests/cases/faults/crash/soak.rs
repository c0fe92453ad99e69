//! Eight agents that number their lines, each with a client that follows it, and kills at random
//! moments. Agents end and others begin all the while, so that a kill meets each step of a life.
//! `STEROIDS_TEST_KILLS` sets how many kills, `STEROIDS_TEST_SEED` repeats a run's choices.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use steroids_tests::{
    Ctl, Daemon, Home, eventually, faults, log, patience, processes, reprojected, within,
};
use tokio::task::JoinHandle;

const LANES: u64 = 8;

/// Before a client that found no daemon looks once more.
const AGAIN: Duration = Duration::from_millis(20);

/// Kills, counting none of the daemon in the middle of its start.
fn kills() -> u32 {
    let asked = std::env::var("STEROIDS_TEST_KILLS").ok();
    let asked = asked.and_then(|value| value.parse().ok());
    asked.unwrap_or_else(|| faults::share(6, 200))
}

#[expect(clippy::print_stderr, reason = "libtest shows it beside a failure")]
fn seed() -> u64 {
    let asked = std::env::var("STEROIDS_TEST_SEED").ok();
    let seed = asked.and_then(|value| value.parse().ok());
    let seed = seed.unwrap_or_else(|| rand::rng().random());
    eprintln!("STEROIDS_TEST_SEED={seed}");
    seed
}

/// What was done to the processes of an invocation.
#[derive(Debug, Clone, Copy, Default)]
struct Hit {
    shim: bool,
    provider: bool,
}

/// What the lanes and the killer share.
struct Shared {
    ctl: Ctl,
    longest: Duration,
    over: AtomicBool,
    hits: Mutex<HashMap<String, Hit>>,
    /// Of each lane: answers and lines that its client has seen.
    steps: [AtomicU64; LANES as usize],
    agents: AtomicU64,
    lines: AtomicU64,
    unstarted: AtomicU64,
    lost: AtomicU64,
    interrupted: AtomicU64,
}

impl Shared {
    fn new(ctl: Ctl, kills: u32) -> Arc<Shared> {
        // As long as a few kills, so that most agents live through several and many end.
        let longest = (Duration::from_millis(600) * kills).min(Duration::from_secs(12));
        Arc::new(Shared {
            ctl,
            longest,
            over: AtomicBool::new(false),
            hits: Mutex::default(),
            steps: Default::default(),
            agents: AtomicU64::new(0),
            lines: AtomicU64::new(0),
            unstarted: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            interrupted: AtomicU64::new(0),
        })
    }

    /// One agent after the other, until the kills are over.
    async fn lane(self: Arc<Self>, lane: u64, seed: u64) {
        let mut rng = StdRng::seed_from_u64(seed ^ (lane + 1));
        for number in 0.. {
            let count = rng.random_range(20..=self.longest.as_millis() as u64 / 20);
            let code = rng.random_range(0..=125);
            self.agent(lane, number, count, code).await;
            if self.over.load(Ordering::Acquire) {
                return;
            }
        }
    }

    async fn agent(&self, lane: u64, number: u32, count: u64, code: i64) {
        let request = format!("{lane}-{number}");
        let started = self.start(&request, count, code).await;
        self.goes_on(lane);
        let id = started["id"]
            .as_i64()
            .expect("an answer names its invocation");
        let seen = self.follow(lane, id).await;
        let ended = self.ended(id).await;
        self.goes_on(lane);
        self.agents.fetch_add(1, Ordering::Relaxed);
        self.check(&ended, &seen, count, code);
    }

    fn goes_on(&self, lane: u64) {
        self.steps[lane as usize].fetch_add(1, Ordering::Relaxed);
    }

    fn steps(&self) -> Vec<u64> {
        let steps = self.steps.iter();
        steps.map(|steps| steps.load(Ordering::Relaxed)).collect()
    }

    /// Waits until each client has seen something more, or one has found something wrong. Who finds
    /// no daemon waits longer each time, and might not meet one that is killed each moment.
    async fn all_go_on(&self, lanes: &[JoinHandle<()>]) {
        let before = self.steps();
        eventually("each client to go on", async || {
            let all = self
                .steps()
                .iter()
                .zip(&before)
                .all(|(now, then)| now > then);
            (all || lanes.iter().any(JoinHandle::is_finished)).then_some(())
        })
        .await;
    }

    /// Sends a start until it is answered.
    async fn start(&self, request: &str, count: u64, code: i64) -> Value {
        let (count, code) = (count.to_string(), code.to_string());
        let program = steroids_tests::rpc::argv(&["numbers", "--every-ms", "20"]);
        let mut call = vec![
            "--json",
            "start",
            "--task",
            request,
            "--request-id",
            request,
            "--",
        ];
        call.extend(program.iter().map(String::as_str));
        call.extend(["--count", &count, "--exit", &code]);
        let answered = async {
            loop {
                let output = self.ctl.run(&call).await;
                match output.code {
                    // Nobody tells when there is a daemon again: a person would ask now and then.
                    69 | 75 => tokio::time::sleep(AGAIN).await,
                    // It was started, and has ended meanwhile.
                    0 | 1 => return output,
                    // Its shim was killed: the row tells it, and is the answer the next time.
                    4 if output.stderr.contains("could not be started") => {}
                    _ => panic!("{output:?}"),
                }
            }
        };
        let output = within("a start to be answered", answered).await;
        serde_json::from_str(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"))
    }

    /// What one client sees from its start to the last line.
    async fn follow(&self, lane: u64, id: i64) -> Vec<String> {
        let deadline = Instant::now() + patience();
        loop {
            let call = ["--json", "stream", &id.to_string()];
            let (mut terminal, mut seen) = (self.ctl.spawn(call), Vec::new());
            while let Some(line) = terminal.line().await {
                seen.push(line);
                self.goes_on(lane);
            }
            let output = terminal.end().await;
            // Who finds no daemon to begin with is told so.
            if output.code != 69 || !seen.is_empty() {
                assert_eq!(output.code, 0, "{output:?} after {seen:?}");
                return seen;
            }
            assert!(Instant::now() < deadline, "no daemon to stream from");
        }
    }

    async fn ended(&self, id: i64) -> Value {
        let final_row = async {
            loop {
                let output = self.ctl.run(["--json", "show", &id.to_string()]).await;
                if output.code != 69 {
                    let shown = output.json();
                    if shown["status"] != "running" {
                        return shown;
                    }
                }
                // As above.
                tokio::time::sleep(AGAIN).await;
            }
        };
        within("a final row", final_row).await
    }

    fn check(&self, ended: &Value, seen: &[String], count: u64, code: i64) {
        let id = ended["id"].as_i64().expect("an invocation has an id");
        let uuid = ended["uuid"].as_str().expect("ours has a uuid");
        let on_disk = std::fs::read_to_string(self.ctl.log_path(id)).expect("it has a log");
        assert_eq!(seen.join("\n") + "\n", on_disk, "{ended}");
        let lines = log::parse(&on_disk);
        log::assert_whole(&lines);
        let numbers = log::numbers(&lines);
        self.lines
            .fetch_add(numbers.len() as u64, Ordering::Relaxed);
        let hit = self.hits.lock().unwrap().get(uuid).copied();
        let hit = hit.unwrap_or_default();
        let outcome = ended["outcome"].as_str().expect("it has ended");
        let expected_code = match outcome {
            "never_started" => {
                self.unstarted.fetch_add(1, Ordering::Relaxed);
                assert!(numbers.is_empty(), "{ended}");
                assert_eq!(ended["exitCode"], -1, "{ended}");
                return;
            }
            "lost" if hit.shim => {
                self.lost.fetch_add(1, Ordering::Relaxed);
                log::assert_counts_to(&numbers, numbers.len() as u64);
                -1
            }
            "interrupted" if hit.provider => {
                self.interrupted.fetch_add(1, Ordering::Relaxed);
                log::assert_counts_to(&numbers, numbers.len() as u64);
                128 + 9
            }
            _ => {
                log::assert_counts_to(&numbers, count);
                assert_eq!(outcome == "success", code == 0, "{ended}");
                code
            }
        };
        assert_eq!(ended["exitCode"], expected_code, "{ended} {hit:?}");
        let undisturbed = reprojected(&self.ctl.home().invocation_dir(uuid));
        assert!(
            undisturbed == on_disk.as_bytes(),
            "not as its spool says: {ended}"
        );
        assert_eq!(processes::marked(uuid), [], "{ended}");
    }

    /// Kills a shim, a provider, or both, of a random invocation.
    fn kill_one(&self, rng: &mut StdRng) {
        let shims: Vec<_> = self.ctl.home().processes();
        let shims: Vec<_> = shims
            .iter()
            .filter(|process| process.command.contains("steroids-shim"))
            .collect();
        if shims.is_empty() {
            return;
        }
        let shim = shims[rng.random_range(0..shims.len())];
        let Some((_, uuid)) = shim.command.rsplit_once('/') else {
            return;
        };
        let (take_shim, take_provider) = match rng.random_range(0..3) {
            0 => (true, false),
            1 => (false, true),
            _ => (true, true),
        };
        // A shim's child that has its name still is the provider, in the moment before it becomes
        // what it is to run (or the shim itself, beside the process that launches it).
        let parent = processes::parent(shim.pid);
        let is_child = shims
            .iter()
            .any(|other| Some(other.pid) == parent && other.command == shim.command);
        let hit = Hit {
            shim: take_shim,
            provider: take_provider || (take_shim && is_child),
        };
        let mut hits = self.hits.lock().unwrap();
        let known = hits.entry(uuid.to_owned()).or_default();
        known.shim |= hit.shim;
        known.provider |= hit.provider;
        drop(hits);
        if take_provider {
            for provider in processes::marked(uuid) {
                kill(provider.pid);
            }
        }
        if take_shim {
            kill(shim.pid);
        }
    }
}

/// It may have ended meanwhile; ids are not given again so soon.
fn kill(pid: i32) {
    if let Some(pid) = Pid::from_raw(pid) {
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// Kills the daemon at some moment, and starts it again: sometimes only to kill it while it starts.
/// Tells how many kills that were beside the first.
async fn kill_daemon(daemon: &mut Daemon, rng: &mut StdRng) -> u32 {
    let moment = rng.random_range(Duration::ZERO..Duration::from_millis(400));
    // Not a wait for anything: the moment itself is what is tried.
    tokio::time::sleep(moment).await;
    daemon.kill9().await;
    let mut more = 0;
    while rng.random_bool(0.3) {
        *daemon = Daemon::launch(daemon.home(), Vec::new());
        let moment = rng.random_range(Duration::ZERO..Duration::from_millis(150));
        // As above: somewhere in its start.
        tokio::time::sleep(moment).await;
        daemon.kill9().await;
        more += 1;
    }
    daemon.start_again().await;
    more
}

/// Runs it all, and tells in words what was seen.
async fn soak(kills: u32, others: bool) -> String {
    let seed = seed();
    let begun = Instant::now();
    let home = Home::with_config("[daemon]\nmax_running = 32");
    let mut daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let shared = Shared::new(ctl.clone(), kills);
    let lanes: Vec<_> = (0..LANES)
        .map(|lane| tokio::spawn(Arc::clone(&shared).lane(lane, seed)))
        .collect();
    shared.all_go_on(&lanes).await;
    let mut rng = StdRng::seed_from_u64(seed);
    let mut starting = 0;
    for number in 1..=kills {
        if number.is_multiple_of(3) {
            shared.all_go_on(&lanes).await;
        }
        if others {
            shared.kill_one(&mut rng);
            if rng.random_bool(0.5) {
                continue_at_random(&mut rng).await;
                continue;
            }
        }
        starting += kill_daemon(&mut daemon, &mut rng).await;
        // Before its time: it says why below.
        if lanes.iter().any(JoinHandle::is_finished) {
            break;
        }
    }
    shared.over.store(true, Ordering::Release);
    for lane in lanes {
        lane.await.expect("a lane found nothing wrong");
    }
    let running = ctl.run(["--json", "list", "--running"]).await.json();
    assert_eq!(running["invocations"], Value::Array(Vec::new()));
    eventually("no process but the daemon", async || {
        let left = home.processes();
        (left.len() == 1 && left[0].pid == daemon.pid()).then_some(())
    })
    .await;
    let agents = shared.agents.load(Ordering::Relaxed);
    let rows = ctl.run(["--json", "list", "--limit", "1"]).await.json();
    assert_eq!(
        rows["invocations"][0]["id"], agents,
        "a request made two rows"
    );
    format!(
        "{kills} kills, {starting} more while starting, {agents} agents, 8 at a time: {} lines once \
         and in order, {} never started, {} lost, {} interrupted, in {:.1} min",
        shared.lines.load(Ordering::Relaxed),
        shared.unstarted.load(Ordering::Relaxed),
        shared.lost.load(Ordering::Relaxed),
        shared.interrupted.load(Ordering::Relaxed),
        begun.elapsed().as_secs_f64() / 60.0,
    )
}

async fn continue_at_random(rng: &mut StdRng) {
    let moment = rng.random_range(Duration::ZERO..Duration::from_millis(400));
    // Not a wait for anything: the moment itself is what is tried.
    tokio::time::sleep(moment).await;
}

#[tokio::test]
async fn eight_agents_lose_no_line_and_no_exit_code_however_often_the_daemon_is_killed() {
    let seen = soak(kills(), false).await;
    faults::held(106, seen);
}

#[tokio::test]
async fn kills_of_shims_and_providers_too_leave_final_rows_with_the_right_reason() {
    let seen = soak(kills(), true).await;
    faults::held(107, seen);
}
