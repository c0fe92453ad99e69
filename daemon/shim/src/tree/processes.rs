//! `/proc`, read for the one question which processes belong to an invocation.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;

use rustix::param::page_size;

use super::Tree;
use super::usage::Usage;
use crate::procfs::Room;

/// Name of the variable by which a provider's processes are known.
pub const MARKER: &str = "STEROIDS_INVOCATION";

/// Bytes of an environment that are looked at. The marker comes first where the shim wrote it, and
/// programs that rebuild their environment rarely make it longer than this.
pub(super) const LONGEST_ENVIRONMENT: usize = 1024 * 1024;

/// Bytes of `/proc/PID/stat` that are looked at; it has about 300.
const LONGEST_STAT: usize = 4096;

/// Bytes of a list of children that are looked at: room for some hundred thousand.
const LONGEST_LIST: usize = 1024 * 1024;

/// Among a process's flags: it is a thread of the kernel's, which has no environment.
const PF_KTHREAD: u64 = 0x0020_0000;

/// A process that cannot be mistaken for a later one with its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: i32,
    /// When it started, in clock ticks since boot.
    pub start_ticks: u64,
    /// What it calls itself, fit to be shown: 15 bytes at most, of which the process chooses each.
    pub name: String,
}

impl Process {
    /// Whether this is the same one, which may have taken another name since.
    pub(super) fn is(&self, other: &Process) -> bool {
        (self.pid, self.start_ticks) == (other.pid, other.start_ticks)
    }
}

/// What `/proc/PID/stat` tells.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stat {
    name: String,
    state: u8,
    parent: i32,
    session: i32,
    flags: u64,
    /// Clock ticks of CPU time: its own,
    ticks: u64,
    /// and of the children it has waited for.
    child_ticks: u64,
    /// How many threads it has, the first one included until somebody has waited for it.
    threads: u64,
    start_ticks: u64,
    /// Resident pages.
    resident: u64,
}

impl Stat {
    /// Also of one whose first thread has ended before the others, and looks like a zombie.
    fn is_alive(&self) -> bool {
        match self.state {
            b'Z' => self.threads > 1,
            state => !matches!(state, b'X' | b'x'),
        }
    }

    fn process(&self, pid: i32) -> Process {
        Process {
            pid,
            start_ticks: self.start_ticks,
            name: self.name.clone(),
        }
    }
}

/// When a process started, in clock ticks since boot; `None` if there is none.
pub fn start_ticks(pid: i32) -> Option<u64> {
    Some(stat(pid, &mut Room::default())?.start_ticks)
}

/// Whether the process that began then is there, and has not ended.
pub(super) fn is_alive(pid: i32, start_ticks: u64) -> bool {
    let stat = stat(pid, &mut Room::default());
    stat.is_some_and(|stat| stat.start_ticks == start_ticks && stat.is_alive())
}

/// Whether a process was stopped by a signal, and waits to be continued; not by who traces it.
pub(crate) fn is_stopped(pid: i32) -> bool {
    stat(pid, &mut Room::default()).is_some_and(|stat| stat.state == b'T')
}

/// All live members of a tree. Never this process itself.
pub(super) fn members(tree: &Tree<'_>) -> Vec<Process> {
    let all = everything();
    let own = std::process::id() as i32;
    let related = Related::of(tree, &all);
    let marker = format!("{MARKER}={}", tree.uuid);
    let mut room = Room::default();
    let mut belongs = |pid: i32, stat: &Stat| {
        related.has(pid, stat)
            || (related.may_be_marked(stat) && is_marked(pid, marker.as_bytes(), &mut room))
    };
    all.iter()
        .filter(|(pid, stat)| **pid != own && stat.is_alive() && belongs(**pid, stat))
        .map(|(pid, stat)| stat.process(*pid))
        .collect()
}

/// Those that the kernel lists below this process; none where it keeps no lists.
pub(super) fn listed_below_us() -> Vec<Process> {
    let own = std::process::id() as i32;
    let all = listed_below(own, None).unwrap_or_default();
    all.iter()
        .filter(|(pid, stat)| **pid != own && stat.is_alive())
        .map(|(pid, stat)| stat.process(*pid))
        .collect()
}

/// The members of a tree at a moment, but for those that only their marker tells: to read every
/// environment on the host would cost more than what is asked here is worth.
pub(super) struct Seen {
    all: HashMap<i32, Stat>,
    related: Related,
    own: i32,
}

impl Seen {
    pub(super) fn of(tree: &Tree<'_>) -> Seen {
        Seen::among(tree, everything())
    }

    /// As [`Seen::of`], by the kernel's lists of children where it has them: a search through all of
    /// the host's processes for each of a hundred agents is ten thousand times one's own. What is born
    /// or ends meanwhile may be passed over, so this is for a figure and not for a decision.
    pub(super) fn quickly(tree: &Tree<'_>) -> Seen {
        match tree.below.and_then(|root| listed_below(root, tree.cgroup)) {
            Some(all) => Seen::among(tree, all),
            None => Seen::of(tree),
        }
    }

    fn among(tree: &Tree<'_>, all: HashMap<i32, Stat>) -> Seen {
        Seen {
            related: Related::of(tree, &all),
            all,
            own: std::process::id() as i32,
        }
    }

    /// What they have used. Zombies count until somebody has waited for them, and afterwards with who
    /// did.
    pub(super) fn usage(&self, with_disk: bool) -> Usage {
        let mut usage = Usage::default();
        let mut room = Room::default();
        for (pid, stat) in &self.all {
            if *pid == self.own {
                // It waits for orphans; what it does itself is none of the tree's.
                usage.add(stat.child_ticks);
            } else if self.related.has(*pid, stat) {
                usage.add(stat.ticks + stat.child_ticks);
                if with_disk && let Some(bytes) = disk_bytes(*pid, &mut room) {
                    usage.moved((*pid, stat.start_ticks), bytes);
                }
            }
        }
        usage
    }

    /// What they hold in memory, in bytes, and how many they are.
    pub(super) fn residents(&self) -> (u64, u32) {
        let members = self.all.iter().filter(|(pid, stat)| {
            **pid != self.own && stat.is_alive() && self.related.has(**pid, stat)
        });
        let (pages, count) = members.fold((0_u64, 0_u32), |(pages, count), (_, stat)| {
            (pages.saturating_add(stat.resident), count + 1)
        });
        (pages.saturating_mul(page_size() as u64), count)
    }
}

/// How many processes are in a control group.
pub(super) fn group_size(cgroup: &Path) -> u32 {
    group_members(cgroup).len() as u32
}

/// The members of a tree that are found without a look into their environment.
struct Related {
    below: HashSet<i32>,
    grouped: HashSet<i32>,
    session: Option<i32>,
    /// When the one began that made the marker.
    since: u64,
}

impl Related {
    fn of(tree: &Tree<'_>, all: &HashMap<i32, Stat>) -> Related {
        let below = tree.below.map(|pid| descendants(all, pid));
        Related {
            below: below.unwrap_or_default(),
            grouped: tree.cgroup.map(group_members).unwrap_or_default(),
            session: tree.session,
            since: tree
                .below
                .and_then(|root| all.get(&root))
                .map_or(0, |root| root.start_ticks),
        }
    }

    /// A look into its environment is worth it: it is a program's, and no older than the marker.
    fn may_be_marked(&self, stat: &Stat) -> bool {
        stat.flags & PF_KTHREAD == 0 && stat.start_ticks >= self.since
    }

    fn has(&self, pid: i32, stat: &Stat) -> bool {
        self.below.contains(&pid)
            || self.grouped.contains(&pid)
            || self.session.is_some_and(|session| session == stat.session)
    }
}

fn everything() -> HashMap<i32, Stat> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return HashMap::new();
    };
    let mut room = Room::default();
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((pid, stat(pid, &mut room)?)))
        .collect()
}

/// `root`, what the kernel lists below it, and what is in a control group; `None` where it keeps no
/// such lists (`CONFIG_PROC_CHILDREN`).
fn listed_below(root: i32, cgroup: Option<&Path>) -> Option<HashMap<i32, Stat>> {
    let mut room = Room::default();
    // The first thread is there as long as its process is.
    room.read(&format!("/proc/{root}/task/{root}/children"), LONGEST_LIST)?;
    let mut all = HashMap::new();
    let mut open = vec![root];
    open.extend(cgroup.map(group_members).unwrap_or_default());
    while let Some(pid) = open.pop() {
        if all.contains_key(&pid) {
            continue;
        }
        let Some(stat) = stat(pid, &mut room) else {
            continue;
        };
        all.insert(pid, stat);
        // A child is its thread's.
        for thread in fs::read_dir(format!("/proc/{pid}/task"))
            .into_iter()
            .flatten()
        {
            let path = thread.ok().map(|thread| thread.path().join("children"));
            // One that has ended meanwhile has left its children to another.
            if let Some(list) = path.and_then(|path| room.read(path.to_str()?, LONGEST_LIST)) {
                open.extend(numbers(list));
            }
        }
    }
    Some(all)
}

fn numbers(list: &[u8]) -> impl Iterator<Item = i32> {
    let words = list.split(u8::is_ascii_whitespace);
    words.filter_map(|word| str::from_utf8(word).ok()?.parse().ok())
}

/// Everything below `root`. Zombies still are parents: their orphans have moved on by then, but
/// the list is not read in one instant.
fn descendants(all: &HashMap<i32, Stat>, root: i32) -> HashSet<i32> {
    let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
    for (pid, stat) in all {
        children.entry(stat.parent).or_default().push(*pid);
    }
    let mut found = HashSet::new();
    let mut open = vec![root];
    while let Some(parent) = open.pop() {
        for child in children.get(&parent).into_iter().flatten() {
            if found.insert(*child) {
                open.push(*child);
            }
        }
    }
    found
}

fn group_members(cgroup: &Path) -> HashSet<i32> {
    let text = fs::read_to_string(cgroup.join("cgroup.procs")).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).collect()
}

pub(super) fn is_marked(pid: i32, marker: &[u8], room: &mut Room) -> bool {
    // Only the environments of the user's own processes can be read, and only theirs matter.
    let environment = room.read(&format!("/proc/{pid}/environ"), LONGEST_ENVIRONMENT);
    environment.is_some_and(|environment| {
        environment
            .split(|byte| *byte == 0)
            .any(|variable| variable == marker)
    })
}

fn stat(pid: i32, room: &mut Room) -> Option<Stat> {
    parse_stat(room.read(&format!("/proc/{pid}/stat"), LONGEST_STAT)?)
}

/// The program's name stands in parentheses and may itself hold any byte, so what follows is
/// counted from the last one.
fn parse_stat(text: &[u8]) -> Option<Stat> {
    let begin = text.iter().position(|byte| *byte == b'(')?;
    let end = text.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(text.get(end + 2..)?).ok()?;
    let mut fields = rest.split_ascii_whitespace();
    Some(Stat {
        name: shown(text.get(begin + 1..end)?),
        state: *fields.next()?.as_bytes().first()?,
        parent: fields.next()?.parse().ok()?,
        // Past the process group.
        session: fields.nth(1)?.parse().ok()?,
        // Field 9 of all.
        flags: fields.nth(2)?.parse().ok()?,
        // Fields 14 to 17.
        ticks: ticks(fields.nth(4)?)?.saturating_add(ticks(fields.next()?)?),
        child_ticks: ticks(fields.next()?)?.saturating_add(ticks(fields.next()?)?),
        // Fields 20 and 22.
        threads: fields.nth(2)?.parse().ok()?,
        start_ticks: fields.nth(1)?.parse().ok()?,
        // Field 24.
        resident: fields.nth(1)?.parse().ok()?,
    })
}

/// The kernel prints those of children with a sign.
fn ticks(field: &str) -> Option<u64> {
    let ticks: i64 = field.parse().ok()?;
    Some(ticks.max(0) as u64)
}

/// What a process and the children it has waited for had disks read and write; `None` where that is
/// not to be known: of another user's, of one that has changed its identity, in a kernel that does
/// not count.
fn disk_bytes(pid: i32, room: &mut Room) -> Option<u64> {
    let text = room.read(&format!("/proc/{pid}/io"), LONGEST_STAT)?;
    parse_io(std::str::from_utf8(text).ok()?)
}

fn parse_io(text: &str) -> Option<u64> {
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().parse::<u64>().ok()
    };
    Some(field("read_bytes:")?.saturating_add(field("write_bytes:")?))
}

/// A name without what would do something to a terminal or a line.
fn shown(name: &[u8]) -> String {
    let name = String::from_utf8_lossy(name);
    name.replace(char::is_control, "?")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_and_spaces_does_not_shift_the_fields() {
        let text = b"12 (a) S 1 (b)) S 7 12 9 0 -1 4 0 0 0 0 10 5 300 20 20 0 1 0 4711 1 2 3\n";
        assert_eq!(
            parse_stat(text),
            Some(Stat {
                name: "a) S 1 (b)".to_owned(),
                state: b'S',
                parent: 7,
                session: 9,
                flags: 4,
                ticks: 15,
                child_ticks: 320,
                threads: 1,
                start_ticks: 4711,
                resident: 2
            })
        );
        let text = b"12 (\x1b[2J\xff) S 7 12 9 0 -1 4 0 0 0 0 0 0 0 0 20 0 1 0 4711 1 2 3\n";
        assert_eq!(parse_stat(text).unwrap().name, "?[2J\u{fffd}");
        assert_eq!(parse_stat(b"12 (a"), None);
        assert_eq!(parse_stat(b"12 )a( S"), None);
        assert_eq!(parse_stat(b""), None);
    }

    #[test]
    fn what_looks_like_a_zombie_and_has_threads_is_alive() {
        let with = |state, threads| {
            let text =
                format!("7 (a) {state} 1 7 7 0 -1 4 0 0 0 0 0 0 0 0 20 0 {threads} 0 47 1 2\n");
            parse_stat(text.as_bytes()).unwrap().is_alive()
        };
        assert!(with('Z', 2) && with('S', 1));
        assert!(!with('Z', 1) && !with('X', 1));
    }

    #[test]
    fn disk_traffic_is_what_disks_did_not_what_was_read_from_a_cache_or_a_pipe() {
        let text = "rchar: 900\nwchar: 800\nsyscr: 7\nsyscw: 6\nread_bytes: 4096\nwrite_bytes: 8192\n\
                    cancelled_write_bytes: 1\n";
        assert_eq!(parse_io(text), Some(12_288));
        assert_eq!(parse_io(""), None);
        assert_eq!(parse_io("read_bytes: 1\nwrite_bytes: x\n"), None);
        assert_eq!(disk_bytes(0, &mut Room::default()), None);
    }

    #[test]
    fn the_kernels_lists_tell_of_the_same_processes_as_a_search() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        // A child of another thread than this one, which is there as long as it is looked for; and its
        // own child.
        let (looked, is_looked_for) = std::sync::mpsc::channel::<()>();
        let (begun, begins) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let child = std::process::Command::new("sh")
                .args(["-c", "sh -c 'echo $$; read line'; true"])
                .stdin(reader)
                .stdout(std::process::Stdio::piped())
                .spawn()
                .unwrap();
            begun.send(child).unwrap();
            is_looked_for.recv().unwrap();
        });
        let mut child = begins.recv().unwrap();
        let mut said = String::new();
        let mut output = std::io::BufReader::new(child.stdout.take().unwrap());
        std::io::BufRead::read_line(&mut output, &mut said).unwrap();
        let own = std::process::id() as i32;
        let tree = Tree {
            uuid: "",
            below: Some(own),
            session: None,
            cgroup: None,
        };
        let both = [child.id() as i32, said.trim().parse().unwrap()];
        for seen in [Seen::of(&tree), Seen::quickly(&tree)] {
            for pid in both {
                assert!(seen.all.contains_key(&pid) && seen.related.below.contains(&pid));
            }
        }
        // Where the kernel has the lists, no more than what is below is looked at.
        let listed = listed_below(own, None).unwrap();
        assert!(listed.contains_key(&own) && !listed.contains_key(&1));
        looked.send(()).unwrap();
        thread.join().unwrap();
        std::io::Write::write_all(&mut writer, b"\n").unwrap();
        drop(writer);
        child.wait().unwrap();
    }

    #[test]
    fn this_process_has_started_and_is_below_its_parent() {
        let own = std::process::id() as i32;
        assert!(start_ticks(own).is_some());
        let all = everything();
        assert!(descendants(&all, all[&own].parent).contains(&own));
    }
}
