//! What the points do in a program that is tested.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use nix::sys::signal::{Signal, raise};
use nix::unistd::getpid;

/// Names the file.
const VARIABLE: &str = "STEROIDS_FAIL_POINTS";

static FILE: LazyLock<Option<PathBuf>> =
    LazyLock::new(|| std::env::var_os(VARIABLE).map(PathBuf::from));

/// How often each point was reached while the file named it.
static REACHED: LazyLock<Mutex<HashMap<String, u64>>> = LazyLock::new(Mutex::default);

/// What a line of the file asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Kill,
    Stop,
    Errno(i32),
}

/// A place where the program may be ended or stopped.
pub fn reach(name: &str) {
    // A point that cannot fail passes over an error that is asked for.
    let _ = check(name);
}

/// A place where an operation may fail, besides what [`reach`] does.
///
/// # Errors
/// The error number that the file asks for.
pub fn check(name: &str) -> io::Result<()> {
    let Some(file) = FILE.as_deref() else {
        return Ok(());
    };
    let text = fs::read_to_string(file).unwrap_or_default();
    let Some((action, after)) = text.lines().find_map(|line| wanted(line, name)) else {
        return Ok(());
    };
    if count(name) < after {
        return Ok(());
    }
    note(file, name);
    match action {
        Action::Errno(number) => return Err(io::Error::from_raw_os_error(number)),
        Action::Kill => signal(Signal::SIGKILL),
        Action::Stop => signal(Signal::SIGSTOP),
    }
    Ok(())
}

/// What a program that is started with a cleared environment must be given to have points too.
pub fn environment() -> Option<(&'static str, OsString)> {
    let file = FILE.as_deref()?;
    Some((VARIABLE, file.as_os_str().to_owned()))
}

/// The wall clock, moved by what the file says.
pub fn wall_clock() -> SystemTime {
    let now = SystemTime::now();
    let Some(file) = FILE.as_deref() else {
        return now;
    };
    let text = fs::read_to_string(file).unwrap_or_default();
    moved(now, text.lines().find_map(by).unwrap_or(0))
}

/// How far a line moves the wall clock, in milliseconds.
fn by(line: &str) -> Option<i64> {
    line.strip_prefix("clock ")?.trim().parse().ok()
}

fn moved(now: SystemTime, by: i64) -> SystemTime {
    let far = Duration::from_millis(by.unsigned_abs());
    let moved = match by {
        0.. => now.checked_add(far),
        _ => now.checked_sub(far),
    };
    moved.unwrap_or(now)
}

/// The action of a line about this point, and how often it is to be passed before.
fn wanted(line: &str, name: &str) -> Option<(Action, u64)> {
    let mut words = line.split_ascii_whitespace();
    if words.next() != Some(name) {
        return None;
    }
    let action = match words.next()? {
        "kill" => Action::Kill,
        "stop" => Action::Stop,
        "errno" => Action::Errno(words.next()?.parse().ok()?),
        _ => return None,
    };
    let after = match words.next() {
        Some("after") => words.next()?.parse().ok()?,
        _ => 0,
    };
    Some((action, after))
}

/// How often the point was reached before, this time counted from now on.
fn count(name: &str) -> u64 {
    let mut reached = REACHED.lock().unwrap_or_else(PoisonError::into_inner);
    let times = reached.entry(name.to_owned()).or_default();
    *times += 1;
    *times - 1
}

fn note(file: &Path, name: &str) {
    let mut hits = file.as_os_str().to_owned();
    hits.push(".hits");
    let opened = OpenOptions::new().create(true).append(true).open(hits);
    // Without the note a test waits for it in vain, and says so.
    let _ = opened.and_then(|mut hits| writeln!(hits, "{name} {}", getpid()));
}

fn signal(signal: Signal) {
    // To this very thread, which then goes no step further; a signal to the process is taken by any
    // of its threads, a moment later. A process may always signal itself.
    let _ = raise(signal);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_its_point_and_what_to_do_there() {
        assert_eq!(wanted("a.b kill", "a.b"), Some((Action::Kill, 0)));
        assert_eq!(wanted("a.b stop after 3", "a.b"), Some((Action::Stop, 3)));
        assert_eq!(wanted("a errno 28", "a"), Some((Action::Errno(28), 0)));
        for other in ["", "a.c kill", "a.b", "a.b dance", "a.b errno x"] {
            assert_eq!(wanted(other, "a.b"), None, "{other}");
        }
    }

    #[test]
    fn a_line_moves_the_wall_clock_forth_or_back() {
        assert_eq!(by("clock 1500"), Some(1500));
        assert_eq!(by("clock -7"), Some(-7));
        assert_eq!(by("clocks 7"), None);
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(10);
        let since = |by| moved(now, by).duration_since(SystemTime::UNIX_EPOCH);
        assert_eq!(since(1500).unwrap(), Duration::from_millis(11_500));
        assert_eq!(since(-1500).unwrap(), Duration::from_millis(8_500));
    }
}
