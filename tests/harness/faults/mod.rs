//! The catalogue of faults: what can happen to a daemon on somebody's machine, what must hold
//! then, and which tests show it. A test that has seen it says so by [`held`]; `make test-faults`
//! prints the catalogue with what was seen.

mod clients;
mod clock;
mod crash;
mod database;
mod disk;
mod gateway;
mod paths;
mod process;
mod secrets;

use std::fmt::Display;
use std::fs;
use std::path::PathBuf;

use crate::binaries;

/// One thing that can happen.
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    /// Its number. Numbers are names: they have gaps, and are never given again.
    pub id: u16,
    /// What happens.
    pub fault: &'static str,
    /// What must hold.
    pub required: &'static str,
    /// The tests that show it, by the path that `cargo test` prints.
    pub tests: &'static [&'static str],
}

/// A part of the catalogue: its title, and its faults by number.
pub type Part = (&'static str, &'static [Fault]);

/// All of it.
pub const CATALOGUE: [Part; 9] = [
    ("Crash and restart", crash::FAULTS),
    ("Processes", process::FAULTS),
    ("Disk and log files", disk::FAULTS),
    ("Database", database::FAULTS),
    ("Clock", clock::FAULTS),
    ("Clients and gRPC", clients::FAULTS),
    ("HTTP gateway", gateway::FAULTS),
    ("Paths, permissions, resources", paths::FAULTS),
    ("Secrets", secrets::FAULTS),
];

/// Every fault of the catalogue.
pub fn all() -> impl Iterator<Item = &'static Fault> {
    CATALOGUE.iter().flat_map(|(_, faults)| faults.iter())
}

/// True where the long forms are asked for (`make test-faults`); else a test does a bounded share.
pub fn is_long() -> bool {
    std::env::var_os("STEROIDS_TEST_LONG").is_some_and(|value| value == "1")
}

/// `long` in the long form, else `short`.
pub fn share<T>(short: T, long: T) -> T {
    if is_long() { long } else { short }
}

/// Notes that the calling test has shown fault `id`, and in a few words what was seen. Call it last.
/// Words that begin with "not shown" say that it could not be, on this machine: the table of `make
/// test-faults` counts them as a test that has shown nothing.
pub fn held(id: u16, seen: impl Display) {
    let thread = std::thread::current();
    let test = thread.name().expect("a test's thread has its name");
    let fault = all().find(|fault| fault.id == id);
    let fault = fault.unwrap_or_else(|| panic!("fault {id} is not in the catalogue"));
    assert!(
        fault.tests.contains(&test),
        "fault {id} does not name {test} among its tests"
    );
    let folder = results();
    let file = folder.join(format!("{id}.{}", test.replace("::", ".")));
    fs::create_dir_all(&folder)
        .and_then(|()| fs::write(file, format!("{seen}\n")))
        .expect("the build folder takes a file");
}

/// What a test said of a fault the last time it ran.
pub fn seen(id: u16, test: &str) -> Option<String> {
    let file = results().join(format!("{id}.{}", test.replace("::", ".")));
    let text = fs::read_to_string(file).ok()?;
    Some(text.trim_end().to_owned())
}

/// Forgets what was seen before.
pub fn forget() {
    // Nothing seen yet is nothing to forget.
    let _ = fs::remove_dir_all(results());
}

fn results() -> PathBuf {
    // Beside the program `faults`, which has that name.
    binaries::folder().join("faults-seen")
}
