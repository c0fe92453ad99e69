//! Processes that belong to a test's home: they name its folder in their arguments or environment,
//! or carry the marker of one of its invocations. No other is ever touched.

use std::collections::{BTreeSet, HashMap};
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};

/// One process, as it was seen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process {
    /// Its id.
    pub pid: i32,
    /// Its arguments, joined by blanks.
    pub command: String,
}

/// Every living process of the home at `root`, but the caller.
pub fn of(root: &Path) -> Vec<Process> {
    let needle = root.as_os_str().as_bytes();
    all()
        .filter(|process| belongs(process.pid, needle))
        .collect()
}

/// Every living process that carries `STEROIDS_INVOCATION=<uuid>`.
pub fn marked(uuid: &str) -> Vec<Process> {
    let needle = format!("STEROIDS_INVOCATION={uuid}");
    all()
        .filter(|process| mentions(process.pid, "environ", needle.as_bytes()))
        .collect()
}

/// True while a process of this id exists and is no zombie.
pub fn is_alive(pid: i32) -> bool {
    state(pid).is_some_and(|state| state != 'Z' && state != 'X')
}

/// True while all its threads are stopped, by SIGSTOP or the like: one after the other notices.
pub fn is_stopped(pid: i32) -> bool {
    threads_are(pid, &['T'])
}

/// The same of one that was told to stop, where it cannot notice before the kernel is done with it: whose
/// child was stopped before it ran a program of its own, waits for that for ever.
pub fn stands_still(pid: i32) -> bool {
    threads_are(pid, &['T', 'D'])
}

fn threads_are(pid: i32, states: &[char]) -> bool {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter();
    let mut stats = threads.flatten().flatten().map(|thread| thread.path());
    let is = |stat: &str| Some(stat.rsplit_once(") ")?.1.starts_with(states));
    is_alive(pid)
        && stats.all(|path| {
            let stat = fs::read_to_string(path.join("stat"));
            stat.ok().as_deref().and_then(is).unwrap_or(true)
        })
}

/// Open descriptors of a process; 0 if it is gone.
pub fn descriptors(pid: i32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

/// True while one of its threads is in the middle of opening something: what is there is opened at once.
pub fn opens(pid: i32) -> bool {
    let threads = fs::read_dir(format!("/proc/{pid}/task"));
    let calls = threads.into_iter().flatten().flatten();
    let mut calls = calls.map(|thread| fs::read_to_string(thread.path().join("syscall")));
    // openat2 has this number on every machine.
    calls.any(|call| call.is_ok_and(|call| call.starts_with("437 ")))
}

/// The process that started it, or took it over; `None` if it is gone.
pub fn parent(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}

/// User and system time of all its threads, ended ones too, in steps of 10 ms; `None` if it is
/// gone.
pub fn cpu(pid: i32) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    let ticks: u64 = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    // A tick is a hundredth of a second wherever Linux runs.
    Some(Duration::from_millis(ticks * 10))
}

/// How often the threads of a process have gone to sleep by themselves, so far.
pub fn sleeps(pid: i32) -> u64 {
    thread_sleeps(pid).into_values().sum()
}

/// The same of each thread there is, by its name in `/proc`.
pub fn thread_sleeps(pid: i32) -> HashMap<OsString, u64> {
    let threads = fs::read_dir(format!("/proc/{pid}/task"));
    let threads = threads.into_iter().flatten().flatten();
    threads
        .map(|thread| (thread.file_name(), sleeps_in(&thread.path())))
        .collect()
}

/// How often its first thread has.
pub fn main_sleeps(pid: i32) -> u64 {
    sleeps_in(Path::new(&format!("/proc/{pid}")))
}

fn sleeps_in(folder: &Path) -> u64 {
    let status = fs::read_to_string(folder.join("status")).unwrap_or_default();
    let mut lines = status.lines();
    let count = lines.find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    count
        .and_then(|count| count.trim().parse().ok())
        .unwrap_or(0)
}

/// A process's resident memory in bytes; 0 if it is gone.
pub fn resident(pid: i32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

/// Kills every process of the home at `root`, until none is found.
pub fn end_all(root: &Path) {
    let needle = root.as_os_str().as_bytes();
    let mut seen = BTreeSet::new();
    // A process that forks while we look is found in the next round; a hundred rounds end.
    for _ in 0..100 {
        let found = of(root);
        if found.is_empty() {
            return;
        }
        for process in &found {
            kill(process.pid, needle);
            seen.insert(process.clone());
        }
        std::thread::yield_now();
    }
    let left = of(root);
    assert!(left.is_empty(), "cannot be killed: {left:?} of {seen:?}");
}

/// Sends a signal to a process that was started here and not waited for.
pub fn signal(pid: i32, signal: Signal) {
    let pid = Pid::from_raw(pid).expect("a process id is positive");
    kill_process(pid, signal).expect("it is there");
}

/// Kills a process group that the caller has started and not waited for yet.
pub fn end_group(leader: i32) {
    if let Some(leader) = Pid::from_raw(leader) {
        // All of it may have ended, which is what is wanted.
        let _ = rustix::process::kill_process_group(leader, Signal::KILL);
    }
}

/// Through a descriptor, and looked at again once it is held, so that a reused id is safe.
fn kill(pid: i32, needle: &[u8]) {
    let Some(fd) = Pid::from_raw(pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok())
    else {
        return;
    };
    if belongs(pid, needle) {
        // It may have ended meanwhile, which is what is wanted.
        let _ = pidfd_send_signal(&fd, Signal::KILL);
        wait_end(&fd);
    }
}

/// A pidfd is readable once its process has ended.
fn wait_end(fd: &impl std::os::fd::AsFd) {
    let mut ends = [rustix::event::PollFd::new(fd, rustix::event::PollFlags::IN)];
    let bound = rustix::event::Timespec {
        tv_sec: 2,
        tv_nsec: 0,
    };
    // A process stuck in the kernel for longer is found again by the caller.
    let _ = rustix::event::poll(&mut ends, Some(&bound));
}

fn all() -> impl Iterator<Item = Process> {
    let own = std::process::id().cast_signed();
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(move |pid| *pid != own && is_alive(*pid))
        .map(|pid| Process {
            pid,
            command: command(pid),
        })
}

fn belongs(pid: i32, needle: &[u8]) -> bool {
    mentions(pid, "cmdline", needle) || mentions(pid, "environ", needle)
}

fn mentions(pid: i32, file: &str, needle: &[u8]) -> bool {
    fs::read(format!("/proc/{pid}/{file}"))
        .is_ok_and(|bytes| bytes.windows(needle.len()).any(|window| window == needle))
}

fn command(pid: i32) -> String {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words = bytes.split(|byte| *byte == 0).map(String::from_utf8_lossy);
    words.collect::<Vec<_>>().join(" ").trim_end().to_owned()
}

fn state(pid: i32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}
