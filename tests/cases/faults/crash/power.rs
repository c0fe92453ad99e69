//! The power of the whole machine is cut, at steps of what daemon and shim do. What was told is there
//! afterwards, but for output of the last seconds; what was not told is there whole, or not at all.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use steroids_proto::v1;
use steroids_shim::spool::{Payload, Reader};
use steroids_tests::faults::held;
use steroids_tests::{
    Ctl, CutDisk, Daemon, FailPoints, Home, Puppet, eventually, invocation, log, rpc, within,
};

use super::request;

const NOT_SHOWN: &str = "not shown: needs root, loop devices and mkfs.ext4";
const HAD: &str = "one could be had before";

/// A machine with a daemon and a project; the folder of the next start is made.
struct Machine {
    daemon: Daemon,
    // Of the one that ended before.
    first: String,
    ctl: Ctl,
    points: FailPoints,
    // After all that lives on it.
    disk: CutDisk,
}

impl Machine {
    /// Its configuration goes on with `more` in the table `[daemon]`. `None`, and said so, where none
    /// can be had.
    async fn new(more: &str) -> Option<Machine> {
        let disk = CutDisk::mount()?;
        let home = disk.home(more);
        let points = FailPoints::of(&home);
        // It is noted, and nothing fails there.
        points.set(&["draft.ready errno 1"]);
        let daemon = Daemon::start(&home).await;
        let ctl = daemon.project("app").await;
        let mut machine = Machine {
            daemon,
            first: String::new(),
            ctl,
            points,
            disk,
        };
        machine.hits("draft.ready", 1).await;
        let first = machine.started("r-0", &["numbers", "--count", "1"]).await;
        machine.ended(first.id).await;
        machine.first = first.uuid;
        // That of the next start.
        machine.hits("draft.ready", 2).await;
        machine.points.clear();
        // The disk as a machine has it that has run for a while.
        machine.disk.sync();
        Some(machine)
    }

    fn home(&self) -> &Home {
        self.daemon.home()
    }

    /// Waits until a point was hit so often.
    async fn hits(&self, point: &str, count: usize) {
        eventually(point, async || {
            (self.points.hits(point).len() >= count).then_some(())
        })
        .await;
    }

    async fn started(&self, id: &str, args: &[&str]) -> v1::Invocation {
        let request = request(&self.ctl.project(), id, args);
        self.daemon.rpc().await.start(request).await.unwrap()
    }

    /// The same request again, of which there is one row.
    async fn again(&self, id: &str) -> v1::Invocation {
        let request = request(&self.ctl.project(), id, &["stall"]);
        let rpc = self.daemon.rpc().await;
        let answer = within("Start", rpc.invocations().start(request)).await;
        let answer = answer.unwrap().into_inner();
        assert!(answer.existing, "{answer:?}");
        answer.invocation.unwrap()
    }

    async fn ended(&self, id: i64) -> v1::Invocation {
        let rpc = self.daemon.rpc().await;
        rpc.ended(&self.ctl.project(), id).await
    }

    /// As the machine starts again, every row ends, and says why.
    async fn lost(&self, id: i64) -> v1::Invocation {
        let ended = self.ended(id).await;
        let said = (&*ended.outcome, ended.exit_code, &*ended.error);
        assert_eq!(said, ("lost", Some(-1), "host restarted"));
        ended
    }

    /// Cuts the power; the machine starts again, and nothing on it yet.
    async fn cut(&mut self) {
        self.disk.cut(&mut self.daemon).await;
        self.points.clear();
    }

    /// What a log has, as who looks is told, and as it stands in its file.
    async fn log(&self, id: i64) -> Vec<serde_json::Value> {
        let all = invocation(&self.ctl.project(), id);
        let followed = self.daemon.rpc().await.follow(all, "", true).await;
        let events = followed.rest().await.unwrap();
        let lines = log::lines(&self.ctl.log_path(id));
        log::assert_whole(&lines);
        assert!(rpc::bytes(&events) == fs::read(self.ctl.log_path(id)).unwrap());
        lines
    }

    /// An agent that had printed 500 lines when the power was cut, 250 of them before a sync; and the last
    /// that a follower was given.
    async fn half_synced(&mut self) -> (v1::Invocation, v1::Event) {
        // No other sync of a spool gets as far as the disk.
        self.points.set(&["spool.sync errno 5"]);
        let mut agent = Puppet::new(self.home(), "agent");
        let started = self.started("r-1", &agent.args()).await;
        let selector = invocation(&self.ctl.project(), started.id);
        let mut followed = self.daemon.rpc().await.follow(selector, "", true).await;
        // Behind its first one, and no other, a shim syncs the room for its exit record, too.
        self.hits("spool.sync", 1).await;
        agent.counts(1..=249, 100, Duration::ZERO);
        followed.until("n 000249").await;
        // A record of its own.
        agent.counts(250..=250, 100, Duration::ZERO);
        followed.until("n 000250").await;
        self.hits("spool.sync", 2).await;
        self.disk.sync();
        agent.counts(251..=500, 100, Duration::ZERO);
        let last = followed.until("n 000500").await.pop().unwrap();
        self.cut().await;
        (started, last)
    }

    /// How many lines an invocation has that a power cut has lost some of; who followed it is given all of
    /// them once more.
    async fn told_of_a_gap(&mut self, started: &v1::Invocation, last: &v1::Event) -> u64 {
        self.daemon.start_again().await;
        self.lost(started.id).await;
        let lines = self.log(started.id).await;
        let numbers = log::numbers(&lines);
        let count = numbers.len() as u64;
        log::assert_counts_to(&numbers, count);
        let selector = invocation(&self.ctl.project(), started.id);
        let rpc = self.daemon.rpc().await;
        let rest = rpc.follow(selector, &last.cursor, true).await.rest().await;
        let rest = rpc::values(&rest.unwrap());
        assert_eq!(rest[0]["type"], "gap");
        assert_eq!(rest[1..], lines);
        count
    }

    /// Nothing of a start is left but its row and log: no folder that nobody owns.
    fn nothing_else(&self, uuid: &str) {
        let left = names(&self.home().state_dir().join("inv"));
        assert!(
            left.iter()
                .all(|name| [uuid, &self.first].contains(&name.as_str())),
            "{left:?}"
        );
        let running = self.home().processes();
        assert!(
            running.iter().all(|it| it.pid == self.daemon.pid()),
            "{running:?}"
        );
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect()
}

/// Cuts a spool within the record that begins with this.
fn tear(spool: &Path, text: &str) {
    let mut reader = Reader::open(spool).unwrap();
    let mut begin = 0;
    loop {
        match reader.next().unwrap().unwrap().payload {
            Payload::Output { bytes, .. } if bytes.starts_with(text.as_bytes()) => break,
            _ => begin = reader.position(),
        }
    }
    let file = fs::File::options().write(true).open(spool).unwrap();
    file.set_len(begin.midpoint(reader.position())).unwrap();
}

/// Lines of an event that a client has, and what is behind it.
fn behind<'a>(lines: &'a [Value], last: &v1::Event) -> &'a [Value] {
    let seen: Value = serde_json::from_slice(&rpc::bytes(std::slice::from_ref(last))).unwrap();
    let at = lines.iter().position(|line| *line == seen).unwrap();
    &lines[at + 1..]
}

#[tokio::test]
async fn a_start_that_is_cut_short_has_one_row_that_says_so() {
    if CutDisk::mount().is_none() {
        return held(166, NOT_SHOWN);
    }
    for point in ["start.row-committed", "start.spec-stored", "start.launched"] {
        let mut machine = Machine::new("").await.expect(HAD);
        // A shim goes on without its daemon, and its first sync would make the rename durable.
        machine
            .points
            .set(&[&format!("{point} stop"), "spool.sync stop"]);
        let rpc = machine.daemon.rpc().await;
        let request = request(&machine.ctl.project(), "r-1", &["stall"]);
        let starting = tokio::spawn(async move { rpc.start(request).await });
        machine.points.hit(point).await;
        machine.cut().await;
        assert!(starting.await.unwrap().is_err());
        // Or this would be a kill of the daemon: what was renamed last is where it was before.
        let state = machine.home().state_dir();
        assert_eq!(names(&state.join("inv")), [&*machine.first], "{point}");
        let drafts = names(&state.join("drafts"));

        machine.daemon.start_again().await;
        let id = machine.again("r-1").await.id;
        let row = machine.lost(id).await;
        assert_eq!(drafts, [&*row.uuid], "{point}");
        let lines = machine.log(id).await;
        assert_eq!(log::types(&lines), ["start", "error"]);
        machine.nothing_else(&row.uuid);
    }
    let seen = "lost: host restarted, one row, its folder named again; nothing runs";
    held(166, seen);
}

#[tokio::test]
async fn a_start_that_was_answered_has_its_row() {
    let Some(mut machine) = Machine::new("").await else {
        return held(167, NOT_SHOWN);
    };
    let started = machine.started("r-1", &["stall"]).await;
    machine.cut().await;
    machine.daemon.start_again().await;
    let again = machine.again("r-1").await;
    assert_eq!((again.id, &again.uuid), (started.id, &started.uuid));
    let row = machine.lost(started.id).await;
    machine.nothing_else(&row.uuid);
    held(167, "the row that was answered, lost: host restarted");
}

#[tokio::test]
async fn what_waits_for_its_turn_has_it_after_the_restart() {
    let Some(mut machine) = Machine::new("max_running = 1").await else {
        return held(168, NOT_SHOWN);
    };
    let first = machine.started("r-1", &["stall"]).await;
    let waits = machine.started("r-2", &["stall"]).await;
    assert_eq!(waits.state(), v1::State::Queued, "{waits:?}");
    machine.cut().await;
    machine.daemon.start_again().await;
    machine.lost(first.id).await;
    let selector = invocation(&machine.ctl.project(), waits.id);
    let rpc = machine.daemon.rpc().await;
    rpc.follow(selector, "", true).await.until("ready").await;
    let row = rpc.get(&machine.ctl.project(), waits.id).await;
    assert_eq!((row.state(), &row.uuid), (v1::State::Running, &waits.uuid));
    held(168, "the one that ran is lost, the one that waited runs");
}

#[tokio::test]
async fn output_that_was_synced_is_there_and_who_followed_it_goes_on() {
    let Some(mut machine) = Machine::new("").await else {
        return held(169, NOT_SHOWN);
    };
    let mut agent = Puppet::new(machine.home(), "agent");
    let started = machine.started("r-1", &agent.args()).await;
    let selector = invocation(&machine.ctl.project(), started.id);
    let rpc = machine.daemon.rpc().await;
    let mut followed = rpc.follow(selector.clone(), "", true).await;
    agent.counts(1..=500, 100, Duration::ZERO);
    let last = followed.until("n 000500").await.pop().unwrap();
    // The next sync has all of these; where another would begin, that one is through.
    machine.points.set(&["spool.sync stop after 1"]);
    agent.counts(501..=5000, 1_000, Duration::from_secs(30));
    machine.points.hit("spool.sync").await;
    machine.cut().await;
    machine.daemon.start_again().await;
    machine.lost(started.id).await;
    let lines = machine.log(started.id).await;
    let numbers = log::numbers(&lines);
    let count = numbers.len() as u64;
    log::assert_counts_to(&numbers, count);
    assert!((500..5000).contains(&count), "{count}");
    let rpc = machine.daemon.rpc().await;
    let rest = rpc.follow(selector, &last.cursor, true).await.rest().await;
    assert_eq!(rpc::values(&rest.unwrap()), behind(&lines, &last));
    // How many were synced of the others, nobody knows.
    let seen = "at least the 500 lines before a sync, in order, then lost: host restarted; a follower goes on behind its cursor";
    held(169, seen);
}

#[tokio::test]
async fn of_output_that_was_not_synced_there_is_a_beginning_and_who_followed_it_is_told() {
    let Some(mut machine) = Machine::new("").await else {
        return held(170, NOT_SHOWN);
    };
    let (started, last) = machine.half_synced().await;
    let count = machine.told_of_a_gap(&started, &last).await;
    assert!((250..500).contains(&count), "{count}");
    let seen =
        format!("{count} of 500 lines, then lost: host restarted; a follower is told of a gap");
    held(170, seen);
}

#[tokio::test]
async fn of_a_record_that_is_torn_there_is_what_stands_before_it_and_who_followed_it_is_told() {
    let Some(mut machine) = Machine::new("").await else {
        return held(170, NOT_SHOWN);
    };
    let (started, last) = machine.half_synced().await;
    let dir = machine.home().invocation_dir(&started.uuid);
    tear(&dir.join("spool"), "n 000250");
    let count = machine.told_of_a_gap(&started, &last).await;
    assert_eq!(count, 249);
    let seen = "the 249 lines before a record that is torn; a follower is told of a gap";
    held(170, seen);
}

#[tokio::test]
async fn an_end_is_what_it_was_at_whatever_step_it_was_cut() {
    let failed = ("failed", Some(3));
    let steps = [
        // Its end stands nowhere yet.
        ("shim.spool-synced", ("lost", Some(-1))),
        ("shim.recorded", failed),
        ("end.logged", failed),
        ("end.row-committed", failed),
        ("told", failed),
    ];
    if CutDisk::mount().is_none() {
        return held(171, NOT_SHOWN);
    }
    for (point, expected) in steps {
        let mut machine = Machine::new("").await.expect(HAD);
        machine.points.set(&[&format!("{point} stop")]);
        let mut agent = Puppet::new(machine.home(), "agent");
        let started = machine.started("r-1", &agent.args()).await;
        agent.counts(1..=300, 100, Duration::ZERO);
        agent.exits(3);
        match point {
            "told" => drop(machine.ended(started.id).await),
            _ => drop(machine.points.hit(point).await),
        }
        machine.cut().await;
        machine.daemon.start_again().await;
        let ended = machine.ended(started.id).await;
        let said = (&*ended.outcome, ended.exit_code);
        assert_eq!(said, expected, "{point}: {ended:?}");
        let lines = machine.log(started.id).await;
        log::assert_counts_to(&log::numbers(&lines), 300);
    }
    let seen = "all 300 lines at 5 steps; exit code 3 from its record on";
    held(171, seen);
}

#[tokio::test]
async fn a_log_that_was_being_compressed_is_whole() {
    if CutDisk::mount().is_none() {
        return held(172, NOT_SHOWN);
    }
    // Whether the plain log is there, and the packed one.
    let steps = [
        ("pack.written", (true, false)),
        ("pack.named", (true, true)),
        ("done", (false, true)),
    ];
    for (point, expected) in steps {
        let config = "[retention]\nlog_days = 0\ncompress_after = \"1h\"";
        let mut machine = Machine::new(config).await.expect(HAD);
        let started = machine.started("r-1", &["numbers", "--count", "1000"]);
        let id = started.await.id;
        machine.ended(id).await;
        let path = machine.ctl.log_path(id);
        let plain = fs::read(&path).unwrap();
        let log = fs::File::options().append(true).open(&path).unwrap();
        log.set_modified(SystemTime::now() - Duration::from_secs(7200))
            .unwrap();
        drop(log);
        machine.points.set(&[&format!("{point} stop")]);
        let rpc = machine.daemon.rpc().await;
        let pass = async move { rpc.daemon().wakeup(v1::WakeupRequest {}).await };
        let pass = tokio::spawn(pass);
        match point {
            "done" => {
                let pass = pass.await.unwrap().unwrap().into_inner();
                assert_eq!((pass.logs_compressed, &pass.failures[..]), (1, &[][..]));
            }
            _ => drop(machine.points.hit(point).await),
        }
        machine.cut().await;
        let there = (path.exists(), path.with_extension("log.zst").exists());
        assert_eq!(there, expected, "{point}");
        machine.daemon.start_again().await;
        let all = invocation(&machine.ctl.project(), id);
        let followed = machine.daemon.rpc().await.follow(all, "", true).await;
        let events = followed.rest().await.unwrap();
        assert!(rpc::bytes(&events) == plain, "{point}");
    }
    let seen = "the same bytes, at 3 steps; the packed log named, and in the end alone";
    held(172, seen);
}
