//! The house rules that a program can check: which room imports which, which crate depends on
//! which, how long a file may be, and what must not stand in one.

mod imports;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use steroids_tests::binaries::workspace;

use imports::imports;

/// Room, rooms it may import, crates of ours it may import.
type Room = (
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
);

const ROOMS: [Room; 19] = [
    ("domain", &[], &["steroids_provider"]),
    ("logging", &["domain"], &["steroids_journal"]),
    ("activity_log", &["domain"], &[]),
    ("counts", &["domain"], &[]),
    ("store", &["counts", "domain"], &[]),
    ("watch", &["domain"], &[]),
    (
        "projects",
        &["store", "activity_log", "domain"],
        &["steroids_shim"],
    ),
    (
        "projection",
        &["activity_log", "store", "projects", "domain"],
        &["steroids_provider", "steroids_shim"],
    ),
    ("launch", &["domain"], &["steroids_shim"]),
    (
        // `watch` too: a job waits for hints that its spool has grown.
        "supervise",
        &[
            "launch",
            "projection",
            "projects",
            "store",
            "watch",
            "counts",
            "domain",
        ],
        &["steroids_provider", "steroids_shim"],
    ),
    (
        "hooks",
        &["projects", "store", "domain"],
        &["steroids_provider", "steroids_shim"],
    ),
    (
        // `hooks` lends what posts.
        "otlp",
        &["hooks", "supervise", "activity_log", "domain"],
        &["steroids_shim"],
    ),
    ("browse", &["projects", "activity_log", "domain"], &[]),
    (
        "follow",
        &["projects", "activity_log", "watch", "domain"],
        &[],
    ),
    (
        "timeline",
        &["projects", "activity_log", "watch", "domain"],
        &[],
    ),
    (
        "retention",
        &["projects", "activity_log", "store", "domain"],
        &["steroids_shim"],
    ),
    (
        "wakeup",
        &["supervise", "retention", "projects", "domain"],
        &["steroids_shim"],
    ),
    (
        "service",
        &BELOW_SERVICE,
        &[
            "steroids_keys",
            "steroids_proto",
            "steroids_provider",
            "steroids_shim",
        ],
    ),
    (
        "config",
        &BELOW_RUN,
        &["steroids_keys", "steroids_provider", "steroids_shim"],
    ),
];

const BELOW_SERVICE: [&str; 16] = [
    "domain",
    "counts",
    "activity_log",
    "store",
    "watch",
    "projects",
    "projection",
    "launch",
    "supervise",
    "hooks",
    "otlp",
    "browse",
    "follow",
    "timeline",
    "retention",
    "wakeup",
];

const BELOW_RUN: [&str; 17] = [
    "domain",
    "counts",
    "activity_log",
    "store",
    "watch",
    "projects",
    "projection",
    "launch",
    "supervise",
    "hooks",
    "otlp",
    "browse",
    "follow",
    "timeline",
    "retention",
    "wakeup",
    "service",
];

/// The gateway's.
const GATEWAY_ROOMS: [Room; 14] = [
    ("together", &[], &[]),
    ("config", &[], &["steroids_client", "steroids_keys"]),
    ("logging", &[], &["steroids_journal"]),
    ("metrics", &[], &["steroids_client"]),
    ("daemon", &["together"], &["steroids_client"]),
    ("answer", &[], &["steroids_client"]),
    ("headers", &[], &[]),
    ("access", &[], &[]),
    ("guard", &["config"], &[]),
    ("listen", &["guard", "headers", "metrics"], &[]),
    ("page", &["answer"], &[]),
    (
        "api",
        &["config", "metrics", "daemon", "answer", "access", "guard"],
        &["steroids_client"],
    ),
    (
        "stream",
        &["metrics", "daemon", "answer", "together"],
        &["steroids_client"],
    ),
    (
        "front",
        &["metrics", "headers", "access", "guard", "answer"],
        &[],
    ),
];

/// Files of a crate that are no room: the table of contents, and those who know everybody.
const ABOVE_ROOMS: [&str; 4] = ["lib", "cli", "run", "main"];

/// Package, packages of ours it may depend on.
const CRATES: [(&str, &[&str]); 12] = [
    ("steroids-failpoint", &[]),
    ("steroids-journal", &[]),
    ("steroids-keys", &[]),
    ("steroids-proto", &[]),
    ("steroids-provider", &[]),
    (
        "steroids-shim",
        &["steroids-failpoint", "steroids-provider"],
    ),
    (
        "steroidsd",
        &[
            "steroids-failpoint",
            "steroids-journal",
            "steroids-keys",
            "steroids-proto",
            "steroids-provider",
            "steroids-shim",
        ],
    ),
    ("steroids-client", &["steroids-proto"]),
    (
        "steroidsctl",
        &["steroids-client", "steroids-keys", "steroids-proto"],
    ),
    (
        "steroids-gateway",
        &[
            "steroids-client",
            "steroids-journal",
            "steroids-keys",
            "steroids-proto",
        ],
    ),
    (
        "steroids-package",
        &[
            "steroids-gateway",
            "steroids-keys",
            "steroids-shim",
            "steroidsctl",
            "steroidsd",
        ],
    ),
    (
        "steroids-tests",
        &[
            "steroids-client",
            "steroids-failpoint",
            "steroids-gateway",
            "steroids-keys",
            "steroids-package",
            "steroids-proto",
            "steroids-provider",
            "steroids-shim",
            "steroidsd",
        ],
    ),
];

/// The only files with `unsafe`.
const UNSAFE: [&str; 4] = [
    "daemon/src/run/sys.rs",
    "daemon/src/store/sys.rs",
    "daemon/shim/src/code.rs",
    "daemon/shim/src/sys.rs",
];

const MOST_LINES: usize = 500;

#[test]
fn rooms_import_only_what_is_below_them() {
    let mut wrong = wrong_imports("daemon/src", &ROOMS, &ABOVE_ROOMS);
    wrong.extend(wrong_imports(
        "client/gateway/src",
        &GATEWAY_ROOMS,
        &ABOVE_ROOMS,
    ));
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Edges of a crate that are not in its table.
fn wrong_imports(source: &str, table: &[Room], above: &[&str]) -> Vec<String> {
    let source = workspace().join(source);
    let rooms: BTreeSet<String> = fs::read_dir(&source)
        .unwrap()
        .flatten()
        .map(|entry| stem(&entry.path()))
        .collect();
    let mut wrong = Vec::new();
    for file in rust_files(&source) {
        let below = file.strip_prefix(&source).unwrap();
        let room = stem(Path::new(below.components().next().unwrap().as_os_str()));
        if above.contains(&room.as_str()) || is_test(below) {
            continue;
        }
        let Some((_, may_rooms, may_crates)) = table.iter().find(|(name, ..)| *name == room) else {
            wrong.push(format!("{room} is not in the table"));
            continue;
        };
        for import in imports(&fs::read_to_string(&file).unwrap()) {
            let is_room = rooms.contains(&import) && import != room;
            let bad_room = is_room && !may_rooms.contains(&import.as_str());
            // Fail-points are nothing in what ships, and stand wherever something can fail.
            let bad_crate = import.starts_with("steroids_")
                && import != "steroids_failpoint"
                && !may_crates.contains(&import.as_str());
            if bad_room || bad_crate {
                wrong.push(format!("{}: {room} imports {import}", file.display()));
            }
        }
    }
    wrong
}

#[test]
fn the_table_itself_points_down() {
    for table in [&ROOMS[..], &GATEWAY_ROOMS[..]] {
        let mut seen = BTreeSet::new();
        for (room, may_rooms, _) in table {
            let up: Vec<_> = may_rooms
                .iter()
                .filter(|name| !seen.contains(*name))
                .collect();
            // `config` stands before `run`, and takes the settings of `service` too.
            assert!(up.is_empty(), "{room} stands above {up:?}");
            seen.insert(room);
        }
    }
}

#[test]
fn crates_depend_only_on_crates_below_them() {
    let members: Vec<PathBuf> = rust_manifests();
    let known: BTreeMap<_, _> = CRATES.into_iter().collect();
    let mut wrong = Vec::new();
    for manifest in members {
        let text = fs::read_to_string(&manifest).unwrap();
        let table: toml::Table = text.parse().unwrap();
        let name = table["package"]["name"].as_str().unwrap().to_owned();
        let may = known[name.as_str()];
        for part in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let Some(toml::Value::Table(dependencies)) = table.get(part) else {
                continue;
            };
            let ours = dependencies
                .keys()
                .filter(|key| known.contains_key(key.as_str()));
            let bad = ours.filter(|key| !may.contains(&key.as_str()));
            wrong.extend(bad.map(|key| format!("{name} depends on {key}")));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn files_are_short_headed_and_without_loose_ends() {
    let loose_ends = [
        concat!("#[", "ignore"),
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
        concat!("#[", "allow("),
        concat!("#![", "allow("),
    ];
    let mut wrong = Vec::new();
    for file in rust_files(workspace()) {
        let below = file.strip_prefix(workspace()).unwrap();
        let name = below.display();
        let text = fs::read_to_string(&file).unwrap();
        let lines = text.lines().count();
        if lines > MOST_LINES {
            wrong.push(format!("{name} has {lines} lines"));
        }
        if !text.starts_with("//!") && !is_test(below) {
            wrong.push(format!("{name} has no head"));
        }
        // Generated code is not ours to correct.
        let found = loose_ends.iter().filter(|end| text.contains(**end));
        if !below.starts_with("proto") {
            wrong.extend(found.map(|end| format!("{name} has {end}")));
        }
        let may_unsafe = UNSAFE.iter().any(|file| below == Path::new(file));
        if text.contains(concat!("(", "unsafe_code")) && !may_unsafe {
            wrong.push(format!("{name} asks for unsafe code"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Tests may look around; what they import ships with nobody.
fn is_test(path: &Path) -> bool {
    path.components()
        .any(|part| stem(Path::new(part.as_os_str())) == "tests")
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap().to_string_lossy().into_owned()
}

fn rust_manifests() -> Vec<PathBuf> {
    let text = fs::read_to_string(workspace().join("Cargo.toml")).unwrap();
    let table: toml::Table = text.parse().unwrap();
    let members = table["workspace"]["members"].as_array().unwrap();
    let folders = members.iter().map(|member| member.as_str().unwrap());
    folders
        .map(|folder| workspace().join(folder).join("Cargo.toml"))
        .collect()
}

/// Every file of Rust below `folder`, but what is built.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().flatten() {
            let path = entry.path();
            let name = entry.file_name();
            if entry.file_type().unwrap().is_dir() {
                // What cargo builds into is no source of ours, whatever it is called.
                let marks = ["CACHEDIR.TAG", ".rustc_info.json"];
                let is_built = marks.iter().any(|mark| path.join(mark).exists());
                if !is_built && !name.to_string_lossy().starts_with('.') {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}
