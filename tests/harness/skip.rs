//! What cannot be shown on this machine is said, and counted, past the test runner's capture.

use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Says that the calling test shows nothing here.
///
/// # Panics
/// With `CI=true`, where everything is to be shown.
pub(crate) fn skip(why: &str) {
    let test = say(why);
    assert!(
        std::env::var("CI").as_deref() != Ok("true"),
        "{test} may not be skipped here: {why}"
    );
}

/// As `skip`, of what a machine that tests need not have. Gives the test's name.
pub fn say(why: &str) -> String {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed) + 1;
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test").to_owned();
    // Not eprintln: of a test that passes, the runner would keep it to itself.
    let _ = writeln!(
        std::io::stderr(),
        "SKIPPED ({count} so far): {test}: {why}; this is NOT shown"
    );
    test
}
