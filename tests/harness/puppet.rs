//! A provider moved from the test, one line at a time, so that no test waits for time to pass.

use std::fs::{File, OpenOptions, Permissions};
use std::io::Write;
use std::ops::RangeInclusive;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::stat::Mode;

use crate::Home;

/// The test's end of the strings. Once it is dropped the provider exits with 0.
#[derive(Debug)]
pub struct Puppet {
    path: PathBuf,
    strings: File,
}

impl Puppet {
    /// Strings of a provider that is not started yet.
    pub fn new(home: &Home, name: &str) -> Puppet {
        let path = home.path("tmp").join(name);
        let strings = Puppet::strings(&path);
        Puppet { path, strings }
    }

    /// Strings that anybody in a lab may take, in the folder that is `/lab` there.
    pub(crate) fn in_lab(shared: &Path, name: &str) -> Puppet {
        let outside = shared.join(name);
        let strings = Puppet::strings(&outside);
        let all = Permissions::from_mode(0o666);
        std::fs::set_permissions(&outside, all).expect("it is ours");
        let path = Path::new("/lab").join(name);
        Puppet { path, strings }
    }

    fn strings(path: &Path) -> File {
        nix::unistd::mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR).expect("a folder takes a FIFO");
        // For reading as well: opening then waits for nobody, and lines are kept until somebody
        // reads them.
        let both = OpenOptions::new().read(true).write(true).open(path);
        both.expect("it was just made")
    }

    /// What to start: `fake-provider ARGS`.
    pub fn args(&self) -> [&str; 2] {
        ["puppet", self.path.to_str().expect("test paths are ASCII")]
    }

    /// A line on its stdout.
    pub fn prints(&mut self, text: &str) {
        self.pull(&format!("o {text}"));
    }

    /// A line on its stderr.
    pub fn complains(&mut self, text: &str) {
        self.pull(&format!("e {text}"));
    }

    /// Bytes on its stdout that end no line.
    pub fn begins(&mut self, text: &str) {
        self.pull(&format!("p {text}"));
    }

    /// A line of so many bytes on its stdout.
    pub fn prints_long(&mut self, bytes: usize) {
        self.pull(&format!("l {bytes}"));
    }

    /// Numbered lines of `bytes` bytes each on its stdout, spread over so long.
    pub fn counts(&mut self, numbers: RangeInclusive<u64>, bytes: usize, over: Duration) {
        let (from, to, ms) = (numbers.start(), numbers.end(), over.as_millis());
        self.pull(&format!("n {from} {to} {bytes} {ms}"));
    }

    /// Numbered lines of `bytes` bytes on its stdout, each with the time of its write, one in each
    /// `every`.
    pub fn stamps(&mut self, count: u64, bytes: usize, every: Duration) {
        let micros = every.as_micros();
        self.pull(&format!("t {count} {bytes} {micros}"));
    }

    /// It exits.
    pub fn exits(&mut self, code: u8) {
        self.pull(&format!("x {code}"));
    }

    /// It ends by a signal.
    pub fn dies(&mut self, signal: i32) {
        self.pull(&format!("k {signal}"));
    }

    fn pull(&mut self, step: &str) {
        writeln!(self.strings, "{step}").expect("the test reads it too");
    }
}
