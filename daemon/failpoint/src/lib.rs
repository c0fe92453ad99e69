//! Fail-points: named places in daemon and shim where a test ends the program, stops it, or has
//! the operation that follows fail.
//!
//! They exist only with the feature `armed`, which the package `tests` asks for and no release
//! build has; without it each is an empty function. Armed, a point looks for its name in the file
//! that `STEROIDS_FAIL_POINTS` names, anew each time it is reached, so that a test can switch it on
//! and off under a running program:
//!
//! ```text
//! NAME kill            ends the program as kill -9 would
//! NAME stop            stops it (SIGSTOP), until somebody continues or kills it
//! NAME errno N         has the operation fail with this error number
//! NAME kill after K    as above, when the point has been reached K times before
//! clock MS             moves the wall clock by so many milliseconds, back where they are negative
//! ```
//!
//! Each action taken is a line `NAME PID` in the file beside it whose name ends in `.hits`.

#[cfg(feature = "armed")]
mod armed;

#[cfg(feature = "armed")]
pub use armed::{check, environment, reach, wall_clock};

/// A place where the program may be ended or stopped.
#[cfg(not(feature = "armed"))]
#[inline(always)]
pub fn reach(_name: &str) {}

/// A place where an operation may fail, besides what [`reach`] does.
///
/// # Errors
/// The error number that a test has asked for; never in a release build.
#[cfg(not(feature = "armed"))]
#[inline(always)]
pub fn check(_name: &str) -> std::io::Result<()> {
    Ok(())
}

/// What a program that is started with a cleared environment must be given to have points too.
#[cfg(not(feature = "armed"))]
#[inline(always)]
pub fn environment() -> Option<(&'static str, std::ffi::OsString)> {
    None
}

/// The wall clock; of a program that is tested, moved by what the test says.
#[cfg(not(feature = "armed"))]
#[inline(always)]
pub fn wall_clock() -> std::time::SystemTime {
    std::time::SystemTime::now()
}
