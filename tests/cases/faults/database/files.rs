//! Nothing but SQLite opens a database: closing any descriptor of one would drop the locks that
//! SQLite holds for the whole process, and another program would write in the middle of ours.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use steroids_tests::faults::held;
use steroids_tests::{Ctl, Daemon, Home, binaries, old_database};

use super::descriptors;

/// Files outside the store that name a database, and what for. A new one asks to be thought about.
const NAMED: [(&str, &str); 5] = [
    ("daemon/src/config/mod.rs", "where the older tool's is"),
    (
        "daemon/src/projects/folder.rs",
        "its name, and an empty file under it",
    ),
    (
        "daemon/src/projects/project.rs",
        "asks the store to open it",
    ),
    ("daemon/src/projects/care.rs", "when it was changed"),
    ("daemon/src/supervise/admit.rs", "whether two are the same"),
];

/// Files that open others by hand beside a database, and what: never one that SQLite has open.
const OPENED: [(&str, &str); 6] = [
    (
        "daemon/src/projects/folder.rs",
        "makes one that is not there",
    ),
    (
        "daemon/src/supervise/admit.rs",
        "what /proc says of a process",
    ),
    ("daemon/src/store/place.rs", "the table of mounts"),
    ("daemon/src/store/sys.rs", "what SQLite itself has opened"),
    ("daemon/src/store/backup.rs", "a copy that nobody uses yet"),
    ("daemon/src/store/migrate.rs", "makes one that is not there"),
];

/// Ways to open a file without SQLite.
const OPENERS: [&str; 10] = [
    "File::open",
    "File::create",
    "File::options",
    "OpenOptions",
    "fs::read(",
    "fs::read_to_string(",
    "fs::write(",
    "fs::copy(",
    "openat(",
    "openat2(",
];

#[test]
fn no_code_outside_the_store_opens_a_database() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for folder in [
        "daemon/src",
        "daemon/shim/src",
        "daemon/provider/src",
        "client",
    ] {
        for file in sources(&binaries::workspace().join(folder)) {
            let name = file.strip_prefix(binaries::workspace()).unwrap();
            let name = name.to_str().unwrap();
            let text = code(&fs::read_to_string(&file).unwrap());
            let in_store = name.starts_with("daemon/src/store/");
            let is_in = |list: &[(&str, &str)]| list.iter().any(|(known, _)| *known == name);
            let names = ["steroids.db", "DATABASE)", "\"-wal\"", "\"-shm\""]
                .iter()
                .any(|word| text.contains(word));
            seen += usize::from(names);
            if !in_store && text.contains("rusqlite") {
                wrong.push(format!("{name} uses SQLite outside the store"));
            }
            if !in_store && names && !is_in(&NAMED) {
                wrong.push(format!("{name} names a database"));
            }
            let opens = OPENERS.iter().find(|opener| text.contains(**opener));
            if let Some(opener) = opens
                && (in_store || names)
                && !is_in(&OPENED)
            {
                wrong.push(format!("{name} has {opener} where a database is at hand"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let seen =
        format!("static: of {seen} files that name a database none opens one but through SQLite");
    held(45, seen);
}

/// A file without its comments and its tests.
fn code(text: &str) -> String {
    let shipped = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let lines = shipped.lines().map(|line| line.trim_start());
    let lines = lines.filter(|line| !line.starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// Every file of Rust below a folder, but tests.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        let is_test = path.file_stem().is_some_and(|stem| stem == "tests");
        if is_test || path.join("CACHEDIR.TAG").exists() {
            continue;
        }
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// Locks on a database that a process holds, as the kernel lists them with its descriptors: while
/// others come and go, what is held is now and then not in `/proc/locks`, which is read in pieces.
fn locks(pid: i32, ctl: &Ctl) -> usize {
    let file = fs::metadata(old_database::path(ctl.folder())).unwrap();
    let inode = format!(":{} ", file.ino());
    fs::read_dir(format!("/proc/{pid}/fdinfo"))
        .unwrap()
        .flatten()
        .filter_map(|descriptor| fs::read_to_string(descriptor.path()).ok())
        .flat_map(|told| told.lines().map(str::to_owned).collect::<Vec<_>>())
        .filter(|line| line.starts_with("lock:") && line.contains("POSIX"))
        .filter(|line| line.contains(&inode))
        .count()
}

/// A run, and every call that has to do with a database.
async fn work(daemon: &Daemon, ctl: &Ctl) {
    let id = ctl.start_fake("T", &["exit", "0"]).await;
    daemon.rpc().await.ended(&ctl.project(), id).await;
    for call in [
        &["init"][..],
        &["list"],
        &["tasks"],
        &["timeline", "--task", "T"],
        &["wakeup"],
        &["migrate"],
        &["status"],
        &["doctor"],
        &["cleanup", "logs"],
    ] {
        ctl.run(call).await;
    }
}

#[tokio::test]
async fn a_daemon_at_work_has_its_connections_open_and_loses_no_lock() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    work(&daemon, &ctl).await;
    // SQLite keeps a descriptor that it cannot close without dropping a lock, and takes it again for
    // the next connection of that kind: one that reads and one that writes, beside ours.
    let before = (descriptors(daemon.pid(), &ctl), locks(daemon.pid(), &ctl));
    assert!(before.0[0] <= 4 && before.0[1..] == [2, 1], "{before:?}");
    // Its mark of a user of the -wal: whoever closes another descriptor takes it away.
    assert!(before.1 > 0, "no lock is listed");
    work(&daemon, &ctl).await;
    work(&daemon, &ctl).await;
    let after = (descriptors(daemon.pid(), &ctl), locks(daemon.pid(), &ctl));
    assert_eq!(before, after);
    let seen = format!(
        "at work: {:?} descriptors of db, -wal, -shm before and after a workload, {} locks \
         of SQLite kept",
        after.0, after.1
    );
    held(45, seen);
}
