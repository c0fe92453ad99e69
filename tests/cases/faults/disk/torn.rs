//! What a crash or a bad disk leaves of files: half a last line, half a last record, a flipped bit.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use steroids_proto::v1;
use steroids_shim::spool::Reader;
use steroids_tests::faults::{held, share};
use steroids_tests::{Daemon, Home, Puppet, assert_undisturbed, eventually, log, rpc};

fn cut(path: &Path, to: u64) {
    let file = OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(to).unwrap();
}

#[tokio::test]
async fn half_a_last_line_is_cut_and_written_again_once() {
    let home = Home::new();
    let mut daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let mut agent = Puppet::new(&home, "agent");
    let rpc = daemon.rpc().await;
    let started = rpc.start_fake(&ctl.project(), "T1", &agent.args()).await;
    agent.prints("one");
    agent.prints("zwei ä🦀");
    let selector = rpc::invocation(&ctl.project(), started.id);
    let seen = rpc
        .follow(selector.clone(), "", true)
        .await
        .until("zwei")
        .await;
    let path = ctl.log_path(started.id);
    let whole = fs::read(&path).unwrap();
    let last = whole[..whole.len() - 1]
        .iter()
        .rposition(|&byte| byte == b'\n')
        .unwrap()
        + 1;
    // Within a character of two bytes and one of four, and at the line's ends; in the long form
    // everywhere.
    let crab = whole
        .windows(4)
        .position(|four| four == "🦀".as_bytes())
        .unwrap();
    let short = [
        last,
        last + 1,
        crab - 1,
        crab,
        crab + 1,
        crab + 2,
        crab + 3,
        whole.len() - 1,
    ];
    let places: BTreeSet<usize> = share(short.into(), (last..whole.len()).collect());
    for &place in &places {
        daemon.kill9().await;
        cut(&path, place as u64);
        daemon.start_again().await;
        eventually("the log to be whole again", async || {
            (fs::read(&path).unwrap() == whole).then_some(())
        })
        .await;
    }
    // A cursor of before is still good: nothing was rebuilt.
    let rpc = daemon.rpc().await;
    let mut resumed = rpc.follow(selector, &seen[1].cursor, true).await;
    agent.prints("three");
    let rest = resumed.until("three").await;
    assert_eq!(
        log::messages(&rpc::values(&rest), "output"),
        ["zwei ä🦀", "three"]
    );
    agent.exits(7);
    let ended = rpc.ended(&ctl.project(), started.id).await;
    assert_eq!(ended.exit_code, Some(7));
    assert_undisturbed(&ctl, &ended);
    let seen = format!(
        "cut at {} places of the last line, none lost or twice",
        places.len()
    );
    held(28, seen);
}

/// Where the records of a spool begin, and its end.
fn records(path: &Path) -> Vec<u64> {
    let mut reader = Reader::open(path).unwrap();
    let mut places = vec![0];
    while reader.next().unwrap().is_some() {
        places.push(reader.position());
    }
    places
}

fn flip(path: &Path, at: u64, bit: u32) {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ (1 << bit)], at).unwrap();
}

/// An invocation that ended while no daemon was there.
struct Ended {
    started: v1::Invocation,
    /// Lines that are to be in its log.
    expected: u64,
    what: String,
}

#[tokio::test]
async fn a_damaged_spool_gives_what_stands_before_and_says_where_it_ends() {
    let home = Home::with_config("[daemon]\nmax_running = 100");
    let mut daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let count = share(9, 60);
    let mut agents = Vec::new();
    for number in 0..count {
        let agent = Puppet::new(&home, &format!("a{number}"));
        let task = format!("T{number}");
        let started = rpc.start_fake(&ctl.project(), &task, &agent.args()).await;
        agents.push((agent, started));
    }
    daemon.kill9().await;
    let mut all = Vec::new();
    for (number, (mut agent, started)) in agents.into_iter().enumerate() {
        let spool = home.invocation_dir(&started.uuid).join("spool");
        // Each line a record of its own: the next is printed when the last is there.
        for line in 1..=4_u64 {
            agent.prints(&format!("n {line:06}"));
            eventually("the record", async || {
                (records(&spool).len() as u64 > line).then_some(())
            })
            .await;
        }
        agent.exits(7);
        home.recorded(&started.uuid).await;
        all.push(damaged(number, count, started, &spool));
    }
    daemon.start_again().await;
    let rpc = daemon.rpc().await;
    let mut seen = Vec::new();
    for ended in &all {
        let row = rpc.ended(&ctl.project(), ended.started.id).await;
        assert_eq!(row.exit_code, Some(7), "{}", ended.what);
        let lines = log::lines(&ctl.log_path(row.id));
        log::assert_whole(&lines);
        log::assert_counts_to(&log::numbers(&lines), ended.expected);
        let notices = log::messages(&lines, "notice");
        let told = notices
            .iter()
            .any(|notice| notice.contains("the spool is damaged at byte"));
        assert_eq!(told, ended.expected < 4, "{}: {notices:?}", ended.what);
        seen.push(&*ended.what);
    }
    // The next one fares as ever.
    let next = rpc
        .start_fake(&ctl.project(), "T", &["numbers", "--count", "5"])
        .await;
    let next = rpc.ended(&ctl.project(), next.id).await;
    assert_undisturbed(&ctl, &next);
    assert!(!home.daemon_log().contains("panicked"));
    let seen = format!(
        "{} spools, such as {}",
        all.len(),
        seen[..3.min(seen.len())].join("; ")
    );
    held(29, seen);
}

/// Damages a spool of four records, each in another way; the last one is left whole.
fn damaged(number: usize, count: usize, started: v1::Invocation, spool: &Path) -> Ended {
    let places = records(spool);
    assert_eq!(places.len(), 5);
    let record = 1 + number % 3;
    let (begin, end) = (places[record], places[record + 1]);
    let within = begin + (number as u64 * 7) % (end - begin);
    let (what, expected) = match number {
        number if number + 1 == count => ("whole".to_owned(), 4),
        number if number % 2 == 0 => {
            flip(spool, within, number as u32 % 8);
            (format!("a bit flipped at {within}"), record as u64)
        }
        _ => {
            cut(spool, within);
            (format!("cut at {within}"), record as u64)
        }
    };
    Ended {
        started,
        expected,
        what,
    }
}
