use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};

use super::*;

/// A marker that no other run of these tests has: the machine's processes are searched for it.
fn uuid(name: &str) -> String {
    format!("tree-tests-{name}-{}", std::process::id())
}

fn marked(uuid: &str, script: &str) -> Child {
    Command::new("/bin/sh")
        .args(["-c", script])
        .env(MARKER, uuid)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn marked_processes_are_killed_and_others_are_not() {
    let [our_uuid, other_uuid] = ["ours", "other"].map(uuid);
    let mut ours = marked(&our_uuid, "sleep 60 & wait");
    let mut other = marked(&other_uuid, "sleep 60 & wait");
    // The shell itself is marked once it was executed; its child may come later and is found then.
    while is_empty(&our_uuid) || is_empty(&other_uuid) {
        thread::yield_now();
    }
    let killed = kill_marked(&our_uuid);
    assert!(!killed.found.is_empty());
    assert!(
        killed
            .found
            .iter()
            .all(|process| process.pid > 0 && !process.name.is_empty())
    );
    assert_eq!(killed.left, 0);
    ours.wait().unwrap();
    assert!(other.try_wait().unwrap().is_none());
    kill_marked(&other_uuid);
    other.wait().unwrap();
}

fn is_empty(uuid: &str) -> bool {
    let tree = Tree {
        uuid,
        below: None,
        session: None,
        cgroup: None,
    };
    tree.alive().is_empty()
}

#[test]
fn remains_of_another_boot_are_left_alone() {
    let uuid = uuid("boot");
    let mut child = marked(&uuid, "exec sleep 60");
    let pid = child.id() as i32;
    let mut state = State {
        proto: 1,
        shim_pid: 1,
        shim_start_ticks: 1,
        agent_pid: Some(pid),
        agent_start_ticks: start_ticks(pid),
        boot_id: "another".to_owned(),
        cgroup: None,
        unit: None,
    };
    assert_eq!(kill_remains(&uuid, &state), Killed::default());
    assert!(child.try_wait().unwrap().is_none());
    state.boot_id = state::boot_id().unwrap();
    while kill_remains(&uuid, &state).found.is_empty() {}
    child.wait().unwrap();
}

#[test]
fn a_process_number_that_was_given_again_is_not_hit() {
    let mut child = Command::new("cat")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = child.id() as i32;
    kill(&Process {
        pid,
        start_ticks: 1,
        name: "cat".to_owned(),
    });
    // One that was hit may take a moment to go, but echoes nothing any more.
    let _ = child.stdin.take().unwrap().write_all(b"alive");
    let mut echo = String::new();
    let mut output = child.stdout.take().unwrap();
    output.read_to_string(&mut echo).unwrap();
    assert_eq!(echo, "alive");
    child.wait().unwrap();
}

#[test]
fn what_is_older_than_the_shim_is_not_looked_into_and_what_is_younger_is_found_by_its_marker() {
    let uuid = uuid("age");
    let mut older = marked(&uuid, "exec sleep 60");
    // The clock that tells them apart ticks a hundred times a second.
    let mut root = loop {
        let mut root = Command::new("sleep").arg("60").spawn().unwrap();
        if start_ticks(root.id() as i32) > start_ticks(older.id() as i32) {
            break root;
        }
        root.kill().unwrap();
        root.wait().unwrap();
    };
    let mut younger = marked(&uuid, "exec sleep 60");
    let tree = Tree {
        uuid: &uuid,
        below: Some(root.id() as i32),
        session: None,
        cgroup: None,
    };
    // It is marked once it was executed.
    let found = loop {
        let found = tree.alive();
        if !found.is_empty() {
            break found;
        }
        thread::yield_now();
    };
    let pids: Vec<i32> = found.iter().map(|process| process.pid).collect();
    assert_eq!(pids, [younger.id() as i32]);
    for child in [&mut older, &mut root, &mut younger] {
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

#[test]
fn what_a_tree_uses_is_told_of_all_that_is_in_it() {
    let mut child = Command::new("sh")
        .args(["-c", "sleep 60 & echo begun; wait"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut begun = [0; 6];
    let mut output = child.stdout.take().unwrap();
    output.read_exact(&mut begun).unwrap();
    let uuid = uuid("load");
    let tree = Tree {
        uuid: &uuid,
        below: Some(child.id() as i32),
        session: None,
        cgroup: None,
    };
    // One that is being executed has no memory yet.
    while tree.load(None).memory_bytes == 0 {
        thread::yield_now();
    }
    assert_eq!(tree.load(None).processes, 1);
    tree.kill_all();
    child.wait().unwrap();
}
